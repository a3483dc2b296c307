#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Hosts over SSH: real sshds and a dropbear, each in a network and mount namespace of its own inside the test's box, with keys,
# home folders and configuration of their own. Nothing of this machine's own SSH is read or touched.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # shells in the box expand for themselves; tests hand nothing on; names are of ssh_box.bash

bats_require_minimum_version 1.5.0
load ../helper
load ssh_box

@test "two hosts: measured from a third, and nothing is left there" {
    two_hosts
    test_ssh ssh://a ssh://b --tcp -t 0.3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].status')" = passed ]
    [ "$(json '.scenarios[0].to.address')" = 10.77.0.2 ]
    [ "$(json '.scenarios[0].measurements[0].throughput_bps > 1000000')" = true ]
    [ -z "$stderr" ] || [[ "$stderr" = *"saved in"* ]]
    nothing_far a b
}

@test "if= names the interface, whose address the agent tells; addr= the address itself" {
    two_hosts
    box ip -n b link add other type bridge
    box ip -n b addr add 10.77.1.9/24 dev other
    box ip -n b link set other up
    box ip -n a route add 10.77.1.0/24 via 10.77.0.2
    test_ssh ssh://a 'ssh://root@b:22?if=other' --rr -t 0.2 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].to.address')" = 10.77.1.9 ]
    test_ssh 'ssh://a?if=eth0' 'ssh://b?addr=10.77.1.9' --rr -t 0.2 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].to.address')" = 10.77.1.9 ]
    test_ssh ssh://a 'ssh://b?if=nosuch' --rr -t 0.2
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"no IPv4 address on nosuch"*"?addr="* ]]
    nothing_far a b
    box ip -n a route del 10.77.1.0/24
    box ip -n b link del other
}

@test "a host key that is not known is refused: 4, and how to take it" {
    host a
    box rm /run/client/.ssh/known_hosts
    test_ssh ssh://a local --rr -t 0.2
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"the host key of 10.77.0.1 is not known"*"SHA256:"*"--ssh-host-keys accept-new"* ]]
    [ -z "$(box sh -c 'cat /run/client/.ssh/known_hosts 2>/dev/null')" ]
    nothing_far a
}

@test "accept-new takes a key once; a changed one is refused either way" {
    two_hosts
    box rm /run/client/.ssh/known_hosts
    test_ssh ssh://a ssh://b --rr -t 0.2 --ssh-host-keys accept-new
    [ "$status" -eq 0 ]
    [ "$(box grep -c ssh-ed25519 /run/client/.ssh/known_hosts)" = 2 ]
    test_ssh ssh://a ssh://b --rr -t 0.2
    [ "$status" -eq 0 ]
    host a 'ssh-keygen -q -t ed25519 -N "" -f /root/another; host_key=/root/another'
    for keys in strict accept-new; do
        test_ssh ssh://a ssh://b --rr -t 0.2 --ssh-host-keys "$keys"
        [ "$status" -eq 4 ]
        [[ "$stderr" = *"the host key of 10.77.0.1 has changed"* ]]
    done
    [ "$(box grep -c ssh-ed25519 /run/client/.ssh/known_hosts)" = 2 ]
    nothing_far a b
}

@test "a login that is refused: 4, and what was tried" {
    host a ': >/root/.ssh/authorized_keys'
    test_ssh ssh://a local --rr -t 0.2
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"10.77.0.1 refuses the login of root: it takes keys, and no key"* ]]
    test_ssh ssh://nosuchuser@a local --rr -t 0.2
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"refuses the login of nosuchuser"* ]]
}

@test "nobody listens, nobody is there, no such name: 4" {
    no_host a
    test_ssh ssh://a local --rr -t 0.2
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"connecting to port 22 of 10.77.0.1: Connection refused"* ]]
    test_ssh ssh://10.77.0.99 local --rr -t 0.2
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"10.77.0.99: No route to host"* ]]
    test_ssh ssh://no.such.name.invalid local --rr -t 0.2
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"host 'no.such.name.invalid': "* ]]
}

@test "a password typed on the terminal lets in, and none is in argv" {
    skip_unless_command script
    host a "$with_password"
    begin_typed test ssh://a local --rr -t 0.2 --address 10.77.0.3
    wait_for 30 asked_for "root@10.77.0.1's password: " 1
    printf 'wrong\r' >&9
    wait_for 30 asked_for "root@10.77.0.1's password: " 2
    printf 'sesame\r' >&9
    typed_well 'sesame|wrong'
    nothing_far a
}

@test "a profile that talks is passed over" {
    host a 'printf "echo welcome to a\nprintf \"no end of line\"\necho trouble >&2\n" >/root/.bashrc'
    host b
    [ "$(box "${begin_with[@]}" ssh -o BatchMode=yes a true)" = "welcome to a
no end of line" ]
    test_ssh ssh://a ssh://b --rr -t 0.2
    [ "$status" -eq 0 ]
    nothing_far a b
}

@test "a login that starts no shell is said with its words" {
    host a 'echo "ForceCommand echo this account is closed" >>/run/keys/sshd_config'
    test_ssh ssh://a local --rr -t 0.2
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"ended before the program ran: this account is closed"* ]]
}

@test "folders where nothing may run are passed over; where none is left it is said: 3" {
    host a 'mount -o remount,noexec /dev/shm; mount -o remount,noexec /tmp'
    host b 'for d in /dev/shm /tmp /var/tmp /root; do mount -o remount,noexec $d; done'
    test_ssh ssh://a ssh://a --rr -t 0.2 --address 10.77.0.1
    [ "$status" -eq 0 ]
    test_ssh ssh://a ssh://b --rr -t 0.2
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"no folder there in which the agent can run: /dev/shm lets no program run, /tmp lets no program run"*"--agent-path"* ]]
    nothing_far a b
}

@test "a full folder is passed over" {
    host a 'mount -o remount,size=64k /dev/shm; mount -o remount,size=64k /tmp'
    test_ssh ssh://a ssh://a --rr -t 0.2 --address 10.77.0.1
    [ "$status" -eq 0 ]
    nothing_far a
}

@test "an agent that is there is run as it is, and stays; --agent-path names one" {
    local hash
    hash=$(sha256sum "$VNPERF_AGENT" | cut -c1-16)
    box cp "$VNPERF_AGENT" /run/keys/agent
    host a "mkdir -p /root/.cache; cp /run/keys/agent /root/.cache/vnperf-agent-$hash; for d in /dev/shm /tmp /var/tmp; do mount -o remount,noexec \$d; done; mount -o remount,ro /root"
    test_ssh ssh://a ssh://a --rr -t 0.2 --address 10.77.0.1
    [ "$status" -eq 0 ]
    [ "$(files_at a)" = "/root/.cache/vnperf-agent-$hash" ]
    test_ssh ssh://a ssh://a --rr -t 0.2 --address 10.77.0.1 --agent-path /run/keys/agent
    [ "$status" -eq 0 ]
    test_ssh ssh://a ssh://a --rr -t 0.2 --address 10.77.0.1 --agent-path /run/keys/none
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"there is no program '/run/keys/none' there"* ]]
}

@test "a host without head, dd and cat: the agent goes by SFTP; without that it is said" {
    local few=(sh uname chmod rm id)
    box sh -c 'mkdir -p /run/keys/few; for p; do ln -sf "$(command -v "$p")" "/run/keys/few/$p"; done; echo "SetEnv PATH=/run/keys/few" >>/run/keys/sshd_config' sh "${few[@]}"
    host a :
    test_ssh ssh://a ssh://a --rr -t 0.2 --address 10.77.0.1
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"has no programs that read the agent"*"SFTP does not put it at /dev/shm/"* ]]
    nothing_far a
    box sed -i 's/^Subsystem.*/Subsystem sftp internal-sftp/' /run/keys/sshd_config
    host a :
    test_ssh ssh://a ssh://a --rr -t 0.2 --address 10.77.0.1
    [ "$status" -eq 0 ]
    nothing_far a
}

@test "SFTP that never answers costs its time, and is said" {
    local few=(sh uname chmod rm id sleep)
    box sh -c 'mkdir -p /run/keys/few; for p; do ln -sf "$(command -v "$p")" "/run/keys/few/$p"; done; echo "SetEnv PATH=/run/keys/few" >>/run/keys/sshd_config' sh "${few[@]}"
    box sed -i 's/^Subsystem.*/Subsystem sftp sleep 3000/' /run/keys/sshd_config
    host a :
    test_ssh ssh://a ssh://a --rr -t 0.2 --address 10.77.0.1
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"gave no answer to SFTP within 15 s"* ]]
}

@test "dropbear, which has no SFTP" {
    skip_unless_command dropbear dropbearkey
    host a
    box sh -c 'sed -i "/^10.77.0.2 /d" /run/client/.ssh/known_hosts; rm -f /run/keys/dropbear; dropbearkey -t ed25519 -f /run/keys/dropbear'
    machine b '' 'exec dropbear -F -E -s -r /run/keys/dropbear -p 22'
    test_ssh ssh://a ssh://b --tcp -t 0.5 --ssh-host-keys accept-new
    [ "$status" -eq 0 ]
    nothing_far a b
}

@test "ProxyCommand of the configuration" {
    two_hosts
    box sh -c 'cat >>/run/client/.ssh/config' <<'END'
Host behind
    HostName 10.77.0.2
    ProxyCommand perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new("%h:%p") or die; if (fork) { while (sysread(STDIN, my $b, 65536)) { syswrite($s, $b) } shutdown($s, 1); wait } else { while (sysread($s, my $b, 65536)) { syswrite(STDOUT, $b) } }'
END
    test_ssh ssh://a ssh://behind --rr -t 0.2 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].to.address')" = 10.77.0.2 ]
    nothing_far a b
    box sed -i 's/ProxyCommand .*/ProxyCommand false/' /run/client/.ssh/config
    test_ssh ssh://a ssh://behind --rr -t 0.2
    [ "$status" -eq 4 ]
    nothing_far a b
}

@test "a host that vanishes in mid test is noticed, and what was counted is kept" {
    two_hosts
    begin test ssh://a ssh://b --tcp -t 60 -i 0.1
    wait_for 30 arriving b
    spoil
    box ip link del b-eth0
    ended '[14]'
    says 'error: .*(ssh://[ab]|10.77)'
    [ "$(status_of test)" = failed ]
    [ "$(shown '.scenarios[0].measurements[0].kind')" = tcp_stream ]
}

@test "INT while a host does not answer: 130 at once" {
    no_host a
    box ip netns exec a perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 5, LocalAddr => "10.77.0.1:22") or die; while ($c = $s->accept) { push @c, $c }' 3>&- &
    wait_for 20 listening a
    begin test ssh://a local --rr -t 60
    wait_for 20 connected_to_a
    box kill -INT "$controller"
    ended 130
}

connected_to_a() {
    [ -n "$(box ip netns exec a ss -Htn state established 'sport = :22')" ]
}

test_hops_between_two_hosts_are_told_with_how_far_their_clocks_are_known() { #@test
    two_hosts
    run --separate-stderr box "${begin_with[@]}" "$VNPERF" hops --at ssh://a/eth0 --at ssh://b/eth0 --traffic udp --count 200 \
        --no-calibration --json "$TEST_DIR/hops.json" ssh://a ssh://b
    printf '%s\n' "--- $status" "${stderr:=}" "$output" >&2
    [ "$status" = 0 ]
    # One machine in truth, so its clocks are one.
    jq -e '.source == "af_packet" and (.hops[0] | .matched >= 20 and .lost == 0)
        and (.points[1] | .offset_bound_ns > 0 and (.offset_ns | fabs) <= .offset_bound_ns)' "$TEST_DIR/hops.json"
    nothing_far a b
    # A host that is not there.
    run --separate-stderr box "${begin_with[@]}" "$VNPERF" hops --at ssh://10.77.0.9/eth0 --at ssh://b/eth0 --for 100ms
    [ "$status" = 4 ]
}
