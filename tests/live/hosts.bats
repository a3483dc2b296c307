#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Runs between hosts and VMs that are there: real sshds, each in a network and mount namespace of its own inside the test's box.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2054,SC2154 # shells in the box expand for themselves; tests hand nothing on; names are of ssh_box.bash; commas are of the words themselves

bats_require_minimum_version 1.5.0
load ../helper
load ssh_box

# Two tenant networks and the outside, joined by a router; the client is on its own leg. v1 can be reached at a floating address.
#   net1 10.1.0.0/24: v1 .1, v2 .2    net2 10.2.0.0/24: v3 .3    outside 198.51.100.0/24: x .9
cloud() {
    box test -e /run/netns/r || cloud_up
    host v1
    host v2
    host v3
    host x
}

cloud_up() {
    box sh -ec '
        for n in r v1 v2 v3 x; do ip netns add $n; ip -n $n link set lo up; done
        for b in net1 net2 outside; do ip link add $b type bridge; ip link set $b up; done
        ip netns exec r sysctl -qw net.ipv4.ip_forward=1'
    join r wire leg0 10.77.0.254/24
    join r net1 leg1 10.1.0.254/24
    join r net2 leg2 10.2.0.254/24
    join r outside leg3 198.51.100.254/24
    join v1 net1 eth0 10.1.0.1/24
    join v2 net1 eth0 10.1.0.2/24
    join v3 net2 eth0 10.2.0.3/24
    join x outside eth0 198.51.100.9/24
    box sh -ec '
        ip -n r addr add 198.51.100.101/32 dev lo
        ip netns exec r nft "table ip nat { chain pre { type nat hook prerouting priority -100; ip daddr 198.51.100.101 dnat to 10.1.0.1; }; }"
        ip -n v1 route add default via 10.1.0.254
        ip -n v2 route add default via 10.1.0.254
        ip -n v3 route add default via 10.2.0.254
        ip -n x route add default via 198.51.100.254
        ip -n c route add default via 10.77.0.254'
}

vms=(--vm 10.1.0.1,name=v1,node=h1,net=n1,floating=198.51.100.101 --vm root@10.1.0.2,name=v2,node=h2,net=n1
    --vm ssh://10.2.0.3,name=v3,node=h1,net=n2)

@test "two hosts fill 7.1 to 7.3, the first is the server, and nothing is left there" {
    two_hosts
    run_there --host a --host b -t 0.3 --udpbuf 1024 --json -
    [ "$status" -eq 0 ]
    for id in 7.1 7.2 7.3; do
        [ "$(of $id .status)" = passed ]
        [ "$(of $id '"\(.from.name) \(.to.name) \(.from.address) \(.to.address)"')" = "b a 10.77.0.2 10.77.0.1" ]
    done
    [ "$(of 7.1 '.measurements[0].throughput_bps > 1000000')" = true ]
    [ "$(of 2.1 '"\(.status) \(.chosen)"')" = "skipped false" ]
    [ "$(json '[.nodes[].name] | join(" ")')" = "a b" ]
    [ "$(json .run.driver)" = ssh ]
    nothing_far a b
}

@test "HOST::IF is the server's interface and its address; if= of the client is where it sends by" {
    two_hosts
    box ip link add second type bridge
    box ip link set second up
    join a second eth5 10.78.0.1/24
    join b second eth5 10.78.0.2/24
    run_there --host root@10.77.0.1::eth5 --host 'ssh://b?if=eth5' -t 0.2 --protocols T --json -
    [ "$status" -eq 0 ]
    [ "$(of 7.1 '"\(.from.address) \(.to.address)"')" = "10.78.0.2 10.78.0.1" ]
    run_there --host root@10.77.0.1::eth9 --host b -t 0.2 --protocols T --json -
    [ "$status" -eq 3 ]
    [[ "$(of 7.1 .reason)" = *"has no IPv4 address on eth9"* ]]
    nothing_far a b
    box ip link del a-eth5
    box ip link del b-eth5
    box ip link del second
}

@test "one host is measured within itself, and the result says so" {
    host a
    run_there --host a -t 0.2 --protocols T --json -
    [ "$status" -eq 0 ]
    [ "$(of 7.1 '"\(.status) \(.name)"')" = "passed Native Throughput, Intra-node, TCP" ]
    [ "$(of 7.1 '"\(.from.name) \(.to.name)"')" = "a#2 a" ]
    nothing_far a
}

@test "VMs that are there and a host outside fill groups 1 to 6 and 8 by their labels; the rest says why not" {
    cloud
    run_there "${vms[@]}" --external-host 198.51.100.9,name=x -t 0.2 --protocols T --json -
    [ "$status" -eq 0 ]
    [ "$(json '[.scenarios[] | select(.status == "passed").id] | join(" ")')" = "2.1 3.1 4.1 5.1 8.1 8.2" ]
    [ "$(of 2.1 '"\(.from.name) \(.to.name) \(.to.address)"')" = "v2 v1 10.1.0.1" ]
    [ "$(of 3.1 '"\(.from.name) \(.to.name) \(.from.node) \(.to.node)"')" = "v3 v1 h1 h1" ]
    [ "$(of 5.1 '"\(.to.address) \(.to.floating)"')" = "10.1.0.1 198.51.100.101" ]
    [ "$(of 8.1 '"\(.from.name) \(.to.name) \(.to.address)"')" = "v1 x 198.51.100.9" ]
    [ "$(of 8.2 '"\(.from.name) \(.to.name) \(.to.floating)"')" = "x v1 198.51.100.101" ]
    [ "$(of 1.1 '"\(.chosen) \(.reason)"')" = "true no two --vm have the same net= and the same node=" ]
    [[ "$(of 6.1 .reason)" = *"different node=, one of them with floating="* ]]
    [ "$(of 7.1 .chosen)" = false ]
    nothing_far v1 v2 v3 x
}

@test "a VM that is reached at its floating address is measured at its own on its network" {
    cloud
    box sh -c 'echo "198.51.100.101 $(cat /run/keys/host.pub)" >>/run/client/.ssh/known_hosts'
    run_there --vm 198.51.100.101,name=v1,node=h1,net=n1 --vm 10.1.0.2,name=v2,node=h2,net=n1 -t 0.2 --protocols T --json -
    [ "$status" -eq 0 ]
    [ "$(of 2.1 '"\(.status) \(.to.address)"')" = "passed 10.1.0.1" ]
}

@test "a command that gives a pipe, a namespace and SSH go together" {
    two_hosts
    box mkdir -p /run/netns
    run_there --host 'exec:nsenter --net=/run/netns/a,name=pod' --host ssh://b -t 0.2 --udpbuf 1024 -b 10M --json -
    [ "$status" -eq 0 ]
    [ "$(of 7.1 '"\(.from.name) \(.to.name) \(.to.address)"')" = "b pod 10.77.0.1" ]
    run_there --host netns:a --host ssh://b,name=other -t 0.2 --protocols T --json -
    [ "$status" -eq 0 ]
    [ "$(of 7.1 '"\(.from.name) \(.to.name)"')" = "other a" ]
    nothing_far a b
}

@test "no host that is needed is reached: 4; one of several: its scenarios fail, the others are measured" {
    no_host a
    no_host b
    run_there --host a --host b -t 0.2 --json -
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"starting the agent on node a:"*"Connection refused"*"the hosts that they need were not reached"* ]]
    [ "$(of 7.1 .status)" = failed ]
    [ -z "$(ledgers)" ]
    cloud
    run_there "${vms[@]}" --external-host root@198.51.100.77,name=x -t 0.2 --protocols T --scenarios 2.1,8.1 --json -
    [ "$status" -eq 1 ]
    [ "$(of 2.1 .status)" = passed ]
    [[ "$(of 8.1 .reason)" = *"starting the agent on external x:"*"198.51.100.77"* ]]
    nothing_far v1 v2 v3
}

@test "options of the lab's runs go with hosts" {
    two_hosts
    box ip -n a addr add fd00:77::1/64 dev eth0 nodad
    box ip -n b addr add fd00:77::2/64 dev eth0 nodad
    run_there --host a --host b -t 0.2 --protocols TI --ipv6 --repeat 2 --json -
    [ "$status" -eq 0 ]
    [ "$(of 7.1 .to.address)" = fd00:77::1 ]
    [ "$(of 7.1 '.measurements | length')" = 4 ]
    run_there --host a --host b -t 0.2 --scenarios 7.4 --json -
    [ "$status" -eq 0 ]
    [ "$(of 7.4 .status)" = passed ]
    nothing_far a b
    box ip -n a addr del fd00:77::1/64 dev eth0
    box ip -n b addr del fd00:77::2/64 dev eth0
}

@test "hops between VMs of several machines: the two ends' interfaces, as far as anyone can look" {
    cloud
    run_there "${vms[@]}" -t 0.4 --protocols T --scenarios 2.1,5.1 --hops --json -
    [ "$status" -eq 0 ]
    [ "$(of 2.1 '[.hops.points[].name] | join(" ")')" = "v2/eth0 v1/eth0" ]
    [ "$(of 2.1 '.hops.hops[0].matched > 20')" = true ]
    [ "$(of 5.1 '[.hops.points[].name] | join(" ")')" = "v3/eth0 v1/eth0" ]
    [ "$(of 5.1 '.hops.hops[0].matched > 20')" = true ]
    nothing_far v1 v2 v3
    # Where the way leads through what is none of the ends, it says so, and the scenario's numbers stand.
    run_there --vm netns:v2,node=h2,net=n1 --vm netns:v1,node=h1,net=n1 -t 0.4 --protocols T --scenarios 2.1 --hops --json -
    [ "$status" -eq 0 ]
    [ "$(of 2.1 .status)" = passed ]
    [[ "$(of 2.1 .hops_reason)" = *"is in a namespace that is none of the places"* ]]
}

@test "VMTP's password lets in, and stands in no argv, result or talk" {
    host a "$with_password"
    begin run --host root@10.77.0.1:sesame -t 60 --protocols T
    wait_for 30 arriving a
    [ "$(box sh -c 'cat /proc/[0-9]*/cmdline' | grep -ac sesame)" = 0 ]
    box kill -INT "$controller"
    ended 130
    says 'a password on the command line'
    [ "$(cat "$out" "$err" "$state"/runs/* | grep -c sesame)" = 0 ]
    [ "$(shown '.scenarios[] | select(.id == "7.1").measurements[0].kind')" = tcp_stream ]
    nothing_far a
}
