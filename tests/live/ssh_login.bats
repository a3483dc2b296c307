#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Logins, host keys and the user's configuration against real sshds: a host a with an sshd a way to log in, a host g that is reached
# by way of a alone. The client's folder .ssh has known_hosts, and of keys what a test puts there.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # shells in the box expand for themselves; names are of ssh_box.bash

bats_require_minimum_version 1.5.0
load ../helper
load ssh_box

ssh_box_more() {
    box sh -e <<'BOX'
cd /run/keys
mv ssh.new/id_ed25519 user
mv ssh.new/id_ed25519.pub user.pub
rm ssh.new/config
ssh-keygen -q -t ed25519 -N '' -f other
ssh-keygen -q -t rsa -b 2048 -N '' -f rsa
ssh-keygen -q -t ecdsa -N '' -f ecdsa
ssh-keygen -q -t ed25519 -N 'open sesame' -f locked
ssh-keygen -q -t ed25519 -N '' -f ca
ssh-keygen -q -t ed25519 -N '' -f certified
ssh-keygen -q -s ca -I test -n root certified.pub
ssh-keygen -q -t rsa -b 2048 -N '' -f certified_rsa
ssh-keygen -q -s ca -I test -n root certified_rsa.pub
ssh-keygen -q -t ed25519 -N '' -f host_g
ssh-keygen -q -t rsa -b 2048 -N '' -f host_rsa
ssh-keygen -q -s ca -h -I host -n 10.77.0.1 host.pub
cat user.pub rsa.pub ecdsa.pub locked.pub >authorized
cat >>sshd_config.new <<'END'
TrustedUserCAKeys /run/keys/ca.pub
MaxAuthTries 4
END
cp sshd_config.new sshd_config
{
    key=$(cut -d' ' -f1,2 host.pub)
    echo "10.77.0.1 $key"
    for p in 2201 2202 2203; do echo "[10.77.0.1]:$p $key"; done
    echo "fd77::1 $key"
    echo "10.79.1.2 $(cut -d' ' -f1,2 host_g.pub)"
} >ssh.new/known_hosts
ip -n a addr add fd77::1/64 dev eth0 nodad
ip -n c addr add fd77::3/64 dev eth0 nodad
ip netns add g
ip -n g link set lo up
ip link add eth1 netns a type veth peer name eth0 netns g
ip -n a addr add 10.79.1.1/24 dev eth1
ip -n g addr add 10.79.1.2/24 dev eth0
ip -n a link set eth1 up
ip -n g link set eth0 up
BOX
    host a 'sshd_with="-h /run/keys/host_rsa -o HostCertificate=/run/keys/host-cert.pub"' stays
    host a:2201 'sshd_with="-o MaxSessions=1"' stays
    host a:2202 'sshd_with="-o MaxStartups=1:100:1"' stays
    host a:2203 "$with_password"'; sshd_with="-o PasswordAuthentication=yes -o PubkeyAuthentication=no"' stays
    host g 'host_key=/run/keys/host_g' stays
}

# with NAME [FILE]: the client's only key
with() {
    client sh -c 'cp "/run/keys/$1" "/root/.ssh/$2"; cp "/run/keys/$1.pub" "/root/.ssh/$2.pub"' sh "$1" "${2:-id_ed25519}"
}

# reach ENDPOINT ARG…: a short test between the host and the host; so two agents and, unless said otherwise, one connection. The
# login is what is tried: the data ports are not.
reach() {
    local at=$1
    shift
    test_ssh "$at" "$at" --rr -t 0.1 --warmup 0 --no-preflight --address 127.0.0.1 "$@"
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
    client sh -c 'cat >/root/.ssh/config'
}

@test "keys of all kinds log in: ed25519, RSA, ECDSA" {
    with user
    reached ssh://10.77.0.1
    client sh -c 'rm /root/.ssh/id_*'
    with rsa id_rsa
    reached ssh://10.77.0.1
    client sh -c 'rm /root/.ssh/id_*'
    with ecdsa id_ecdsa
    reached ssh://10.77.0.1
    client sh -c 'rm /root/.ssh/id_*'
    refused "refuses the login of root" ssh://10.77.0.1
}

@test "an encrypted key: its passphrase is asked for once, wrong ones are told" {
    skip_unless_command script
    with locked
    begin_typed test ssh://10.77.0.1 ssh://10.77.0.1 --rr -t 0.1 --address 127.0.0.1
    wait_for 20 grep -q 'passphrase of the key /root/.ssh/id_ed25519' "$out"
    printf 'wrong\r' >&9
    wait_for 20 grep -q 'not right' "$out"
    printf 'open sesame\r' >&9
    typed_well 'sesame|wrong'
    asked_for 'passphrase of the key' 2
    # Without a terminal nobody is asked, and it ends.
    refused "refuses the login" ssh://10.77.0.1
}

# agent_with N [KEY…]: an ssh-agent of the client with N keys that no host knows, and those behind them
agent_with() {
    local n=$1
    shift
    box sh -ec 'rm -f /run/client/agent; eval "$(ssh-agent -a /run/client/agent)" >/dev/null
        for i in $(seq "$0"); do rm -f /run/client/k*; ssh-keygen -q -t ed25519 -N "" -f /run/client/k; ssh-add -q /run/client/k; done
        for k; do ssh-add -q "/run/keys/$k"; done' "$n" "$@" 3>&-
    begin_with=(env SSH_AUTH_SOCK=/run/client/agent "${begin_with[@]}")
}

@test "an ssh-agent's keys: those of the configuration come first, and with IdentitiesOnly no others" {
    skip_unless_command ssh-agent ssh-add
    agent_with 5 user
    client cp /run/keys/user.pub /root/.ssh/mine.pub
    printf 'Host *\n  IdentityFile ~/.ssh/mine\n' | configure
    reached ssh://10.77.0.1
    printf 'Host *\n  IdentityFile ~/.ssh/mine.pub\n' | configure
    reached ssh://10.77.0.1
    # The host knows none, and is offered that one alone: five would have ended the connection.
    client cp /run/keys/other.pub /root/.ssh/mine.pub
    printf 'Host *\n  IdentityFile ~/.ssh/mine\n  IdentitiesOnly yes\n' | configure
    refused "refuses the login of root" ssh://10.77.0.1
    client ssh-add -q /run/keys/other
    refused "refuses the login of root" ssh://10.77.0.1
    printf 'Host *\n  IdentityFile ~/.ssh/mine\n  IdentitiesOnly yes\n  IdentityAgent none\n' | configure
    client cp /run/keys/user.pub /root/.ssh/mine.pub
    refused "refuses the login of root" ssh://10.77.0.1
    printf 'Host *\n  IdentityFile ~/.ssh/mine\n  IdentitiesOnly yes\n  IdentityAgent /run/client/agent\n' | configure
    begin_with=("${begin_with[@]:2}")
    reached ssh://10.77.0.1
}

@test "an ssh-agent with more keys than the host lets try: said as soon as the host has said it, and how to mend it" {
    skip_unless_command ssh-agent ssh-add
    agent_with 5
    client cp /run/keys/user /root/.ssh/mine
    printf 'Host *\n  IdentityFile ~/.ssh/mine\n' | configure
    # It used to wait for the 15 s of an answer.
    begin_with+=(timeout 12)
    refused "too many tries failed (its MaxAuthTries)" ssh://10.77.0.1
    [[ "$stderr" = *"in ~/.ssh/config, by IdentityFile with IdentitiesOnly yes"* ]]
    printf 'Host *\n  IdentityFile ~/.ssh/mine\n  IdentitiesOnly yes\n' | configure
    reached ssh://10.77.0.1
}

@test "an ssh-agent that does not answer is as none" {
    with user
    client perl -MIO::Socket::UNIX -e 'unlink $ARGV[0]; $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9) or die; $| = 1; print "up\n"; sleep 600' /run/client/agent \
        >"$TEST_DIR/agent" 3>&- &
    wait_for 20 test -s "$TEST_DIR/agent"
    begin_with=(env SSH_AUTH_SOCK=/run/client/agent "${begin_with[@]}")
    reached ssh://10.77.0.1
}

@test "a certificate of the user beside its key, by CertificateFile, and at the agent" {
    local kind
    for kind in certified certified_rsa; do
        client sh -c 'rm -f /root/.ssh/*.pub; cp "/run/keys/$0" /root/.ssh/mine' $kind
        printf 'Host *\n  IdentityFile ~/.ssh/mine\n' | configure
        refused "refuses the login" ssh://10.77.0.1
        client cp /run/keys/$kind-cert.pub /root/.ssh/mine-cert.pub
        reached ssh://10.77.0.1
        client mv /root/.ssh/mine-cert.pub /root/.ssh/other.pub
        printf 'Host *\n  IdentityFile ~/.ssh/mine\n  CertificateFile ~/.ssh/other.pub\n' | configure
        reached ssh://10.77.0.1
    done
    client sh -c 'rm /root/.ssh/config /root/.ssh/mine; cp /run/keys/certified /root/.ssh/id_ed25519; cp /run/keys/certified-cert.pub /root/.ssh/id_ed25519-cert.pub'
    reached ssh://10.77.0.1
}

@test "known_hosts: hashed names, ports, a revoked key; a @cert-authority is said not to be enough" {
    with user
    client ssh-keygen -q -H -f /root/.ssh/known_hosts 2>/dev/null
    [ "$(client grep -c '^|1|' /root/.ssh/known_hosts)" -ge 5 ]
    reached ssh://10.77.0.1
    reached ssh://10.77.0.1:2202
    client sh -c 'echo "@revoked * $(cut -d" " -f1,2 /run/keys/host.pub)" >>/root/.ssh/known_hosts'
    refused "is revoked" ssh://10.77.0.1
    client sh -c 'echo "@cert-authority * $(cat /run/keys/ca.pub)" >/root/.ssh/known_hosts'
    refused "certificates of hosts are not checked here" ssh://10.77.0.1
}

@test "StrictHostKeyChecking no in the configuration lets no unknown key in; UserKnownHostsFile is read" {
    with user
    client mv /root/.ssh/known_hosts /root/.ssh/mine
    printf 'Host *\n  StrictHostKeyChecking no\n' | configure
    refused "is not known" ssh://10.77.0.1
    printf 'Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile ~/.ssh/mine\n' | configure
    reached ssh://10.77.0.1
}

@test "a pinned key: its fingerprint with the endpoint, or a file; any other is refused" {
    local print rsa
    with user
    print=$(box ssh-keygen -lf /run/keys/host.pub | cut -d' ' -f2)
    rsa=$(box ssh-keygen -lf /run/keys/host_rsa.pub | cut -d' ' -f2)
    client mv /root/.ssh/known_hosts /run/client/pins
    reached "ssh://10.77.0.1?key=$print"
    # The host has keys of several kinds, and another than the first one may be meant.
    reached "ssh://10.77.0.1?key=$rsa" --ssh-host-keys pinned
    refused "is not the one that is pinned" "ssh://10.77.0.1?key=$(box ssh-keygen -lf /run/keys/other.pub | cut -d' ' -f2)" --ssh-host-keys accept-new
    refused "is not pinned" ssh://10.77.0.1 --ssh-host-keys pinned
    reached ssh://10.77.0.1 --ssh-host-keys pinned:/run/client/pins
    client sh -c 'grep -v "^10.77.0.1 " /run/client/pins >/root/.ssh/known_hosts; cp /run/client/pins /run/client/all; cp /root/.ssh/known_hosts /run/client/pins; cp /run/client/all /root/.ssh/known_hosts'
    refused "is not pinned" ssh://10.77.0.1 --ssh-host-keys pinned:/run/client/pins
    client test ! -s /root/.ssh/config
    reach ssh://10.77.0.1 --ssh-host-keys pinned:/none
    [ "$status" -eq 2 ]
}

@test "the configuration: Host, HostName, Port, User, Include, Match, first value wins" {
    with user
    client sh -c 'echo "Port 2202" >/root/.ssh/more'
    configure <<'END'
Host nick
    HostName 10.77.0.1
    Include more
Match host 10.77.0.*
    User root
Host *
    Port 1
    User nobody
END
    reached ssh://nick
    printf 'Host nick\n  HostName 10.77.0.1\n  Port 22\n  User nosuchuser\n' | configure
    refused "refuses the login of nosuchuser" ssh://nick
    reached ssh://root@nick
}

@test "an interface that an end does not have is named, and what is not known of the machine is not said to be 0" {
    with user
    test_ssh ssh://10.77.0.1 'ssh://10.77.0.1?if=eth9' --rr -t 0.1
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"no IPv4 address on eth9"* ]]
    [[ "$output" = *"kernel "* ]]
    [[ "$output" != *" 0 CPUs"* ]]
}

@test "ProxyJump is the only way to a host behind another" {
    with user
    refused "10.79.1.2" ssh://10.79.1.2
    printf 'Host g\n  HostName 10.79.1.2\n  ProxyJump 10.77.0.1\n' | configure
    reached ssh://g
    printf 'Host g\n  HostName 10.79.1.2\n  ProxyJump 10.77.0.1:2202,10.77.0.1\n' | configure
    reached ssh://g
    [ -z "$(box pgrep -x ssh)" ]
    printf 'Host g\n  HostName 10.79.1.2\n  ProxyJump 10.77.0.1:1\n' | configure
    refused "with 10.79.1.2 by way of its ProxyJump or ProxyCommand" ssh://g
}

@test "IPv6: an address in brackets, a port, a link-local address with its interface" {
    local address
    with user
    client sh -c 'echo "[fd77::1]:2202 $(cut -d" " -f1,2 /run/keys/host.pub)" >>/root/.ssh/known_hosts'
    reached 'ssh://[fd77::1]'
    reached 'ssh://root@[fd77::1]:2202'
    address=$(box ip -n a -o -6 addr show dev eth0 scope link | grep -o 'fe80[0-9a-f:]*')
    wait_for 20 client ping -c1 -W1 "$address%eth0"
    reached "ssh://[$address%eth0]" --ssh-host-keys accept-new
}

@test "one connection and one login for a host that is named twice, and one more where MaxSessions is 1" {
    with user
    # What goes out to that port is counted by who connects: each SYN is a line.
    client sh -c 'nft add table ip t; nft add chain ip t o "{ type filter hook output priority 0; }"; nft add rule ip t o tcp dport 22 tcp flags syn counter; nft add rule ip t o tcp dport 2201 tcp flags syn counter'
    reached ssh://10.77.0.1
    [ "$(client nft list table ip t | sed -n 's/.*dport 22 .*packets \([0-9]*\).*/\1/p')" = 1 ]
    reached ssh://10.77.0.1:2201
    [ "$(client nft list table ip t | sed -n 's/.*dport 2201 .*packets \([0-9]*\).*/\1/p')" = 2 ]
    client nft delete table ip t
}

@test "a host that is full of logins (MaxStartups) is asked again, and said to be full at last" {
    with user
    client perl -MIO::Socket::INET -e '$| = 1; $s = IO::Socket::INET->new("10.77.0.1:2202") or die; sysread $s, $b, 1; print "$$\n"; sleep 600' \
        >"$TEST_DIR/held" 3>&- &
    wait_for 20 test -s "$TEST_DIR/held"
    refused "MaxStartups" ssh://10.77.0.1:2202
    box kill "$(cat "$TEST_DIR/held")"
    reached ssh://10.77.0.1:2202
}

@test "a password that nobody answers, and one that nobody can be asked for: 4" {
    refused "there is no terminal to ask for a password on" ssh://10.77.0.1:2203
}
