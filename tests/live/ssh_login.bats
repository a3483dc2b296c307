#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Logins, host keys and the user's configuration against real sshds. One box for the whole file: a host h with an sshd a way to log
# in, a host g that is reached by way of h alone, and the client in the box itself. Each test has a folder .ssh of its own.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # shells in the box expand for themselves; names are of box.bash

bats_require_minimum_version 1.5.0
load ../helper
load ../netns/box

setup_file() {
    is_root && [ -x /usr/sbin/sshd ] && command -v ssh-keygen ssh ip nsenter unshare jq >/dev/null || return 0
    box_up 2>/dev/null
    export box_pid box_job
    box sh -e <<'BOX'
mkdir -p /run/keys /run/home /run/sshd /run/client
chmod 755 /run/sshd
mount -t tmpfs -o mode=700 none /root
mount -t tmpfs none /dev/shm
cd /run/keys
for k in user other; do ssh-keygen -q -t ed25519 -N '' -f $k; done
ssh-keygen -q -t rsa -b 2048 -N '' -f rsa
ssh-keygen -q -t ecdsa -N '' -f ecdsa
ssh-keygen -q -t ed25519 -N 'open sesame' -f locked
ssh-keygen -q -t ed25519 -N '' -f ca
ssh-keygen -q -t ed25519 -N '' -f certified
ssh-keygen -q -s ca -I test -n root certified.pub
ssh-keygen -q -t rsa -b 2048 -N '' -f certified_rsa
ssh-keygen -q -s ca -I test -n root certified_rsa.pub
for k in host host_g; do ssh-keygen -q -t ed25519 -N '' -f $k; done
ssh-keygen -q -t rsa -b 2048 -N '' -f host_rsa
ssh-keygen -q -s ca -h -I host -n 10.79.0.1 host.pub
cat user.pub rsa.pub ecdsa.pub locked.pub >authorized
cat >sshd_config <<'END'
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile /run/keys/authorized
TrustedUserCAKeys /run/keys/ca.pub
MaxAuthTries 4
PidFile none
END
ip netns add h
ip netns add g
ip link add to_h type veth peer name eth0 netns h
ip link add eth1 netns h type veth peer name eth0 netns g
ip addr add 10.79.0.254/24 dev to_h
ip addr add fd79::fe/64 dev to_h nodad
ip link set to_h up
ip -n h addr add 10.79.0.1/24 dev eth0
ip -n h addr add fd79::1/64 dev eth0 nodad
ip -n h addr add 10.79.1.1/24 dev eth1
ip -n g addr add 10.79.1.2/24 dev eth0
for l in eth0 eth1 lo; do ip -n h link set $l up; done
for l in eth0 lo; do ip -n g link set $l up; done
ip netns exec h /usr/sbin/sshd -f sshd_config -p 22 -h /run/keys/host -h /run/keys/host_rsa -o HostCertificate=/run/keys/host-cert.pub
ip netns exec h /usr/sbin/sshd -f sshd_config -p 2201 -h /run/keys/host -o MaxSessions=1
ip netns exec h /usr/sbin/sshd -f sshd_config -p 2202 -h /run/keys/host -o MaxStartups=1:100:1
ip netns exec g /usr/sbin/sshd -f sshd_config -p 22 -h /run/keys/host_g
perl -e 'print join q(:), q(root), crypt(q(sesame), q($6$saltsalt)), 19000, 0, 99999, 7, q(), q(), qq(\n)' >shadow
mount --bind shadow /etc/shadow
ip netns exec h /usr/sbin/sshd -f sshd_config -p 2203 -h /run/keys/host -o PasswordAuthentication=yes -o PubkeyAuthentication=no
BOX
}

teardown_file() {
    [ -z "${box_pid:-}" ] || kill -KILL "$box_pid" 2>/dev/null || true
}

setup() {
    skip_unless_root
    [ -x /usr/sbin/sshd ] || skip "needs sshd (tools/deps test installs it)"
    skip_unless_command ssh ssh-keygen ip nsenter unshare jq perl
    export TMPDIR=$TEST_DIR/tmp
    unset SSH_AUTH_SOCK
    mkdir -p "$TMPDIR"
    box sh -c 'rm -rf /root/.ssh; mkdir -m 700 /root/.ssh
        (for p in 22 2201 2202 2203; do echo "[10.79.0.1]:$p $(cut -d" " -f1,2 /run/keys/host.pub)"; done | sed "s/^\[\(.*\)\]:22 /\1 /"
         echo "fd79::1 $(cut -d" " -f1,2 /run/keys/host.pub)"; echo "10.79.1.2 $(cut -d" " -f1,2 /run/keys/host_g.pub)") >/root/.ssh/known_hosts'
}

teardown() {
    [ -z "${agent_pid:-}" ] || box kill "$agent_pid" 2>/dev/null || true
}

# with NAME: the client's only key
with() {
    box sh -c 'cp /run/keys/$1 /root/.ssh/${2:-id_ed25519}; cp /run/keys/$1.pub /root/.ssh/${2:-id_ed25519}.pub' sh "$@"
}

# reach ENDPOINT ARG…: a short test between the host and the host; so two agents and, unless said otherwise, one connection. The
# login is what is tried: the data ports are not.
reach() {
    local at=$1
    shift
    run --separate-stderr box env ${agent_sock:+SSH_AUTH_SOCK=$agent_sock} "$VNPERF" test "$at" "$at" --rr -t 0.1 --warmup 0 --no-preflight --address 127.0.0.1 "$@"
    printf '%s\n' "--- $status" "${stderr:=}" "$output" >&2
}

# reached ENDPOINT ARG…
reached() {
    reach "$@"
    [ "$status" -eq 0 ]
}

# refused WORDS ENDPOINT ARG…: exit code 4, and the words are a pattern
refused() {
    local words=$1
    shift
    reach "$@"
    [ "$status" -eq 4 ]
    # shellcheck disable=SC2053
    [[ "$stderr" = *$words* ]]
}

configure() {
    box sh -c 'cat >/root/.ssh/config'
}

@test "keys of all kinds log in: ed25519, RSA, ECDSA" {
    with user
    reached ssh://10.79.0.1
    box sh -c 'rm /root/.ssh/id_*'
    with rsa id_rsa
    reached ssh://10.79.0.1
    box sh -c 'rm /root/.ssh/id_*'
    with ecdsa id_ecdsa
    reached ssh://10.79.0.1
    box sh -c 'rm /root/.ssh/id_*'
    refused "refuses the login of root" ssh://10.79.0.1
}

@test "an encrypted key: its passphrase is asked for once, wrong ones are told" {
    skip_unless_command script
    local job out=$TEST_DIR/out r=0
    with locked
    mkfifo "$TEST_DIR/typed"
    box script -qefc "\"$VNPERF\" test ssh://10.79.0.1 ssh://10.79.0.1 --rr -t 0.1 --address 127.0.0.1" /dev/null \
        <"$TEST_DIR/typed" >"$out" 2>&1 3>&- &
    job=$!
    exec 9>"$TEST_DIR/typed"
    wait_for 20 grep -q 'passphrase of the key /root/.ssh/id_ed25519' "$out"
    printf 'wrong\r' >&9
    wait_for 20 grep -q 'not right' "$out"
    printf 'open sesame\r' >&9
    wait "$job" || r=$?
    exec 9>&-
    cat "$out"
    [ "$r" -eq 0 ]
    [ "$(grep -o 'passphrase of the key' "$out" | wc -l)" = 2 ]
    [ "$(grep -cE 'sesame|wrong' "$out")" = 0 ]
    # Without a terminal nobody is asked, and it ends.
    refused "refuses the login" ssh://10.79.0.1
}

@test "an ssh-agent's keys; with IdentitiesOnly those of the configuration are tried alone" {
    skip_unless_command ssh-agent ssh-add
    agent_sock=/run/client/agent.$BATS_TEST_NUMBER
    agent_pid=$(box sh -c 'eval "$(ssh-agent -a "$0")" >/dev/null; export SSH_AUTH_SOCK=$0; echo $SSH_AGENT_PID; ssh-add -q /run/keys/user' "$agent_sock" 3>&-)
    reached ssh://10.79.0.1
    # More keys than the host lets try, and the good one in a file.
    box env SSH_AUTH_SOCK="$agent_sock" sh -c 'ssh-add -qD; for i in 1 2 3 4 5; do rm -f /run/client/k*; ssh-keygen -q -t ed25519 -N "" -f /run/client/k; ssh-add -q /run/client/k; done'
    box cp /run/keys/user /root/.ssh/mine
    printf 'Host *\n  IdentityFile ~/.ssh/mine\n' | configure
    refused "" ssh://10.79.0.1
    printf 'Host *\n  IdentityFile ~/.ssh/mine\n  IdentitiesOnly yes\n' | configure
    reached ssh://10.79.0.1
    # The file's public half is here, the other one with the agent.
    box env SSH_AUTH_SOCK="$agent_sock" sh -c 'ssh-add -qD; ssh-add -q /run/keys/user; rm /root/.ssh/mine; cp /run/keys/user.pub /root/.ssh/mine.pub'
    reached ssh://10.79.0.1
}

@test "a certificate of the user beside its key, by CertificateFile, and at the agent" {
    local kind
    for kind in certified certified_rsa; do
        box sh -c 'rm -f /root/.ssh/*.pub; cp "/run/keys/$0" /root/.ssh/mine' $kind
        printf 'Host *\n  IdentityFile ~/.ssh/mine\n' | configure
        refused "refuses the login" ssh://10.79.0.1
        box cp /run/keys/$kind-cert.pub /root/.ssh/mine-cert.pub
        reached ssh://10.79.0.1
        box mv /root/.ssh/mine-cert.pub /root/.ssh/other.pub
        printf 'Host *\n  IdentityFile ~/.ssh/mine\n  CertificateFile ~/.ssh/other.pub\n' | configure
        reached ssh://10.79.0.1
    done
    box sh -c 'rm /root/.ssh/config /root/.ssh/mine; cp /run/keys/certified /root/.ssh/id_ed25519; cp /run/keys/certified-cert.pub /root/.ssh/id_ed25519-cert.pub'
    reached ssh://10.79.0.1
}

@test "known_hosts: hashed names, ports, a revoked key; a @cert-authority is said not to be enough" {
    with user
    box ssh-keygen -q -H -f /root/.ssh/known_hosts 2>/dev/null
    [ "$(box grep -c '^|1|' /root/.ssh/known_hosts)" -ge 5 ]
    reached ssh://10.79.0.1
    reached ssh://10.79.0.1:2202
    box sh -c 'echo "@revoked * $(cut -d" " -f1,2 /run/keys/host.pub)" >>/root/.ssh/known_hosts'
    refused "is revoked" ssh://10.79.0.1
    box sh -c 'echo "@cert-authority * $(cat /run/keys/ca.pub)" >/root/.ssh/known_hosts'
    refused "certificates of hosts are not checked here" ssh://10.79.0.1
}

@test "StrictHostKeyChecking no in the configuration lets no unknown key in; UserKnownHostsFile is read" {
    with user
    box mv /root/.ssh/known_hosts /root/.ssh/mine
    printf 'Host *\n  StrictHostKeyChecking no\n' | configure
    refused "is not known" ssh://10.79.0.1
    printf 'Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile ~/.ssh/mine\n' | configure
    reached ssh://10.79.0.1
}

@test "a pinned key: its fingerprint with the endpoint, or a file; any other is refused" {
    local print rsa
    with user
    print=$(box ssh-keygen -lf /run/keys/host.pub | cut -d' ' -f2)
    rsa=$(box ssh-keygen -lf /run/keys/host_rsa.pub | cut -d' ' -f2)
    box mv /root/.ssh/known_hosts /run/client/pins
    reached "ssh://10.79.0.1?key=$print"
    # The host has keys of several kinds, and another than the first one may be meant.
    reached "ssh://10.79.0.1?key=$rsa" --ssh-host-keys pinned
    refused "is not the one that is pinned" "ssh://10.79.0.1?key=$(box ssh-keygen -lf /run/keys/other.pub | cut -d' ' -f2)" --ssh-host-keys accept-new
    refused "is not pinned" ssh://10.79.0.1 --ssh-host-keys pinned
    reached ssh://10.79.0.1 --ssh-host-keys pinned:/run/client/pins
    box sh -c 'grep -v "^10.79.0.1 " /run/client/pins >/root/.ssh/known_hosts; cp /run/client/pins /run/client/all; cp /root/.ssh/known_hosts /run/client/pins; cp /run/client/all /root/.ssh/known_hosts'
    refused "is not pinned" ssh://10.79.0.1 --ssh-host-keys pinned:/run/client/pins
    box test ! -s /root/.ssh/config
    reach ssh://10.79.0.1 --ssh-host-keys pinned:/none
    [ "$status" -eq 2 ]
}

@test "the configuration: Host, HostName, Port, User, Include, Match, first value wins" {
    with user
    box sh -c 'echo "Port 2202" >/root/.ssh/more'
    configure <<'END'
Host nick
    HostName 10.79.0.1
    Include more
Match host 10.79.0.*
    User root
Host *
    Port 1
    User nobody
END
    reached ssh://nick
    printf 'Host nick\n  HostName 10.79.0.1\n  Port 22\n  User nosuchuser\n' | configure
    refused "refuses the login of nosuchuser" ssh://nick
    reached ssh://root@nick
}

@test "ProxyJump is the only way to a host behind another" {
    with user
    refused "10.79.1.2" ssh://10.79.1.2
    printf 'Host g\n  HostName 10.79.1.2\n  ProxyJump 10.79.0.1\n' | configure
    reached ssh://g
    printf 'Host g\n  HostName 10.79.1.2\n  ProxyJump 10.79.0.1:2202,10.79.0.1\n' | configure
    reached ssh://g
    [ -z "$(box pgrep -x ssh)" ]
}

@test "IPv6: an address in brackets, a port, a link-local address with its interface" {
    local address
    with user
    box sh -c 'echo "[fd79::1]:2202 $(cut -d" " -f1,2 /run/keys/host.pub)" >>/root/.ssh/known_hosts'
    reached 'ssh://[fd79::1]'
    reached 'ssh://root@[fd79::1]:2202'
    address=$(box ip -n h -o -6 addr show dev eth0 scope link | grep -o 'fe80[0-9a-f:]*')
    wait_for 20 box ping -c1 -W1 "$address%to_h"
    reached "ssh://[$address%to_h]" --ssh-host-keys accept-new
}

@test "one connection and one login for a host that is named twice, and one more where MaxSessions is 1" {
    with user
    # What goes out to that port is counted by who connects: each SYN is a line.
    box sh -c 'nft add table ip t; nft add chain ip t o "{ type filter hook output priority 0; }"; nft add rule ip t o tcp dport 22 tcp flags syn counter; nft add rule ip t o tcp dport 2201 tcp flags syn counter'
    reached ssh://10.79.0.1
    [ "$(box nft list table ip t | sed -n 's/.*dport 22 .*packets \([0-9]*\).*/\1/p')" = 1 ]
    reached ssh://10.79.0.1:2201
    [ "$(box nft list table ip t | sed -n 's/.*dport 2201 .*packets \([0-9]*\).*/\1/p')" = 2 ]
    box nft delete table ip t
}

@test "a host that is full of logins (MaxStartups) is asked again, and said to be full at last" {
    with user
    box perl -MIO::Socket::INET -e '$| = 1; $s = IO::Socket::INET->new("10.79.0.1:2202") or die; sysread $s, $b, 1; print "$$\n"; sleep 600' \
        >"$TEST_DIR/held" 3>&- &
    wait_for 20 test -s "$TEST_DIR/held"
    refused "MaxStartups" ssh://10.79.0.1:2202
    box kill "$(cat "$TEST_DIR/held")"
    reached ssh://10.79.0.1:2202
}

@test "a password that nobody answers, and one that nobody can be asked for: 4" {
    refused "there is no terminal to ask for a password on" ssh://10.79.0.1:2203
}
