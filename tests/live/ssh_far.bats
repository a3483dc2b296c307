#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What far hosts do to a run, and a run to far hosts: hosts that hang or vanish, agents that wait, and what is there afterwards.
# Real sshds, each in a network and mount namespace of its own inside the test's box.
# FAR_FIGURES=1 says how long it took to notice.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # shells in the box expand for themselves; tests hand nothing on; names are of ssh_box.bash

bats_require_minimum_version 1.5.0
load ../helper
load ssh_box

ssh_box_more() {
    box ip netns add d
    join d wire eth0 10.77.0.4/24
}

# All that a program could leave on those hosts, and the processes of all of them (they share a process table).
there_is() {
    local name
    box ps -eo args= | grep -vE '^(ps|nsenter|sshd: [a-z]+(@|$| \[))' | sort
    for name; do
        echo "--- $name"
        at "$name" sh -c '
            find /root /tmp /var/tmp /dev/shm /home /run -path /run/keys -prune -o -path /run/client -prune -o -printf "%p %y %s\n" | sort
            for family in -4 -6; do ip $family rule; ip $family route show table all; done
            ip -o addr | sed "s/valid_lft.*//; s/ tentative//"
            tc qdisc show
            nft list ruleset
            ss -Hlntu | awk "{ print \$1, \$2, \$5 }" | sort
            ss -Hwl; ss -H0l
            cut -d" " -f2,3,4 /proc/self/mounts
            cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/core/rmem_max /proc/sys/net/core/wmem_max'
    done
    echo '--- client'
    box sh -c 'find /run/client -type f | sort; ip netns exec c ip route show table all; ip netns exec c ip rule'
}

as_before() {
    there_is "$@" >"$TEST_DIR/after" 2>&1
    cmp -s "$TEST_DIR/before" "$TEST_DIR/after"
}

# Addresses of IPv6 are on trial at first, and bring their routes later.
settled() {
    local name
    for name; do
        [ -z "$(box ip -n "$name" -6 addr show tentative)" ] || return 1
        [ -n "$(box ip -n "$name" -6 addr show dev eth0 scope link)" ] || return 1
    done
}

# The hosts are as they were (looking takes long), no ledger and no temporary file is left here.
all_as_before() {
    wait_for 10 as_before "$@" || {
        diff "$TEST_DIR/before" "$TEST_DIR/after"
        return 1
    }
    [ -z "$(ledgers)" ]
    nothing_temporary
}

@test "processes, files, routes, rules, listeners are as before: after the end, INT, and kill -9 of the controller" {
    two_hosts
    wait_for 20 settled a b c
    there_is a b >"$TEST_DIR/before" 2>&1
    grep -q '10.77.0.0/24' "$TEST_DIR/before"
    grep -q '0.0.0.0:22' "$TEST_DIR/before"

    run_there --host a --host b -t 0.2 --udpbuf 1024 --json -
    [ "$status" -eq 0 ]
    all_as_before a b

    begin run --host a --host b -t 60 --protocols T
    wait_for 30 arriving a 10.77.0.2
    run ! as_before a b # what is looked at does change
    box kill -INT "$controller"
    ended 130
    [ "$(status_of 7.1)" = failed ]
    all_as_before a b

    rm "$TEST_DIR/pid"
    begin run --host a --host b -t 60 --protocols T
    wait_for 30 arriving a 10.77.0.2
    # The ledger names the run, and nothing in it.
    [ "$(grep -c '^[+]' "$state"/ledger/*)" = 0 ]
    box kill -KILL "$controller"
    ended 137
    wait_for 30 no_agents
    run vnperf cleanup
    [ "$status" -eq 0 ]
    all_as_before a b
}

@test "hosts that hang hold nobody up beyond their time: the others are measured and saved" {
    two_hosts
    # An sshd that stands still, and one that takes connections and says nothing.
    host d :
    box kill -STOP "$(box cat /run/keys/pid.d)"
    box ip netns exec c perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(LocalAddr => "10.77.0.3:22", Listen => 5) or die;
        my @all; while (my $c = $s->accept) { push @all, $c }' >/dev/null 2>&1 3>&- &
    wait_for 20 listening c
    run_there --vm 10.77.0.4,name=stopped,node=h3,net=n2 --vm 10.77.0.1,name=v1,node=h1,net=n1 --vm 10.77.0.2,name=v2,node=h2,net=n1 \
        --external-host 10.77.0.3,name=mute -t 0.2 --protocols T --json -
    [ "$status" -eq 1 ]
    [ "$(of 2.1 .status)" = passed ]
    [ "$(of 8.1 .status)" = failed ]
    [[ "$(of 8.1 .reason)" = *"starting the agent on "*" mute: "* || "$(of 8.1 .reason)" = *" stopped: "* ]]
    [ "$(status_of 2.1)" = passed ]
    wait_for 20 no_agents
}

# vanishes NAME: no process ends there and no RST comes: the wire is away, and then the namespace. What runs is to end with 1.
vanishes() {
    local begun
    spoil
    box ip link del "$1-eth0"
    begun=$(date +%s%N)
    box ip netns del "$1"
    ended 1
    [ -z "${FAR_FIGURES:-}" ] || echo "# $1: noticed, saved and ended after $((($(date +%s%N) - begun) / 1000000)) ms" >&3
}

@test "a host that vanishes in mid test is noticed by its silence, and what was measured is saved" {
    two_hosts
    host d
    begin run --vm 10.77.0.1,name=v1,node=h1,net=n1 --vm 10.77.0.2,name=v2,node=h2,net=n1 --vm 10.77.0.4,name=v3,node=h1,net=n2 \
        -t 6 --warmup 0 --protocols T --scenarios 2.1,3.1,4.1
    # The second one runs.
    wait_for 60 arriving a 10.77.0.4
    vanishes d
    [ "$(status_of 2.1)" = passed ]
    [ "$(shown '.scenarios[] | select(.id == "2.1").measurements[0].throughput_bps > 1000000')" = true ]
    [ "$(status_of 3.1)" = failed ]
    [[ "$(reason_of 3.1)" = *"the agent at v3 has ended (silent for "* ]]
    [ "$(status_of 4.1)" = failed ]
    [[ "$(reason_of 4.1)" = *"the agent at v3 has ended"* ]]
    [ -z "$(ledgers)" ]
    # And of a single test: saved with its reason.
    rm "$TEST_DIR/pid"
    begin test ssh://a ssh://b -t 60 --tcp
    wait_for 30 arriving b 10.77.0.1
    vanishes a
    [ "$(status_of test)" = failed ]
    [[ "$(reason_of test)" = *"the agent at ssh://a has ended (silent for "* ]]
}
