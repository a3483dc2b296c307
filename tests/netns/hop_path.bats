#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016,SC2030,SC2031
# host/path.c against namespaces that the kernel really has: the interfaces that it names are those that a packet crosses.

load ../helper

setup() {
    walk=$VNPERF_BUILD/tests/unit/host/hop_path_walk
    [ -x "$walk" ] || skip "built without the tests' programs"
    skip_unless_root
    skip_unless_netns
    skip_unless_command ip bridge nft ping jq
    made=()
}

teardown() {
    local ns
    for ns in "${made[@]}"; do
        ip netns del "$ns" 2>/dev/null || true
    done
}

# Namespaces under names of this test's own; $place names them all to the program. An IPv6 address serves at once.
places() {
    local name ns
    place=()
    for name; do
        ns=path$$$name
        ip netns add "$ns"
        made+=("$ns")
        place+=("$name=name:$ns")
        ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.accept_dad=0
        at "$name" link set lo up
    done
}

at() {
    ip -n "path$$$1" "${@:2}"
}

inside() {
    ip netns exec "path$$$1" "${@:2}"
}

# veth A DEV B DEV: a pair, both up.
veth() {
    at "$1" link add "$2" type veth peer name "$4" netns "path$$$3"
    at "$1" link set "$2" up
    at "$3" link set "$4" up
}

# bridge_in PLACE BRIDGE PORT…: as the lab's, it learns and forwards at once.
bridge_in() {
    at "$1" link add "$2" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    at "$1" link set "$2" up
    local port
    for port in "${@:3}"; do
        at "$1" link set "$port" master "$2"
    done
}

address() {
    at "$1" addr add "$3" dev "$2"
}

forwards() {
    inside "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

# One packet each way: the kernel's tables know both ends from then on.
speak() {
    wait_for 1 inside "$1" ping -c 1 -W 1 "$2"
}

# walk FROM TO [NAT_TO [PACKET]]: $output is what the program prints.
walk() {
    run "$walk" "$1" "$2" "${3:--}" "${4:--}" "${place[@]}"
    echo "$output"
}

# crossed POINT…: exactly these, in this order. ends END WORDS: and so it ends.
crossed() {
    local want
    want=$(printf '%s\n' "$@")
    [ "$(grep -E ' (in|out)( tunnelled)?$' <<<"$output")" = "$want" ] || {
        echo "wanted: $want"
        return 1
    }
}

ends() {
    grep -q "^$1: .*$2" <<<"$output" || {
        echo "wanted: $1: …$2…"
        return 1
    }
}

@test "a pair of veths" {
    places a b
    veth a a0 b b0
    address a a0 10.91.0.1/24
    address b b0 10.91.0.2/24
    walk a 10.91.0.2
    crossed "a/a0 veth out" "b/b0 veth in"
    ends arrived "an address of b"
}

@test "veth, bridge, veth: the bridge's ports are crossed and not the bridge" {
    places a n b
    veth a a0 n na
    veth b b0 n nb
    bridge_in n br0 na nb
    address a a0 10.91.0.1/24
    address b b0 10.91.0.2/24
    speak a 10.91.0.2
    walk a 10.91.0.2
    crossed "a/a0 veth out" "n/na veth in" "n/nb veth out" "b/b0 veth in"
    ends arrived "an address of b"
    # Back it is the same way.
    walk b 10.91.0.1
    crossed "b/b0 veth out" "n/nb veth in" "n/na veth out" "a/a0 veth in"
}

@test "a bridge's own address ends at the bridge, and what it sends itself begins there" {
    places a n
    veth a a0 n na
    bridge_in n br0 na
    address a a0 10.91.0.1/24
    address n br0 10.91.0.254/24
    speak a 10.91.0.254
    walk a 10.91.0.254
    crossed "a/a0 veth out" "n/na veth in" "n/br0 bridge in"
    ends arrived "an address of n"
    walk n 10.91.0.1
    crossed "n/br0 bridge out" "n/na veth out" "a/a0 veth in"
    ends arrived "an address of a"
}

@test "a neighbour that nobody has spoken with is said to be unknown, until somebody has" {
    places a n b c
    veth a a0 n na
    veth b b0 n nb
    veth c c0 n nc
    bridge_in n br0 na nb nc
    address a a0 10.91.0.1/24
    address b b0 10.91.0.2/24
    walk a 10.91.0.2
    crossed "a/a0 veth out" "n/na veth in"
    ends unlearnt "a/a0 does not know the MAC address of 10.91.0.2 yet"
    # Asking has sent nothing.
    [ -z "$(at a neigh show 10.91.0.2)" ]
    speak a 10.91.0.2
    walk a 10.91.0.2
    crossed "a/a0 veth out" "n/na veth in" "n/nb veth out" "b/b0 veth in"
    # What the bridge has forgotten goes to all its ports: the one behind which that MAC is takes it.
    inside n bridge fdb flush dev br0 dynamic || skip "bridge(8) cannot flush"
    walk a 10.91.0.2
    crossed "a/a0 veth out" "n/na veth in" "n/nb veth out" "b/b0 veth in"
    ends arrived "an address of b"
}

@test "a router between two networks" {
    places a r b
    veth a a0 r r0
    veth b b0 r r1
    address a a0 10.91.1.1/24
    address r r0 10.91.1.254/24
    address r r1 10.91.2.254/24
    address b b0 10.91.2.1/24
    at a route add default via 10.91.1.254
    at b route add default via 10.91.2.254
    # Before it forwards the packet ends there.
    walk a 10.91.2.1
    crossed "a/a0 veth out" "r/r0 veth in"
    ends unreachable "from r/r0 there is no way to 10.91.2.1, or forwarding is off"
    forwards r
    walk a 10.91.2.1
    crossed "a/a0 veth out" "r/r0 veth in" "r/r1 veth out" "b/b0 veth in"
    ends arrived "an address of b"
    # The same packet where it is known by its interface only.
    walk r/r0 10.91.2.1
    crossed "r/r0 veth in" "r/r1 veth out" "b/b0 veth in"
}

@test "a translated address goes on with the one behind it, and ends at the router when that is not said" {
    places a r b
    veth a a0 r r0
    veth b b0 r r1
    address a a0 198.51.100.2/24
    address r r0 198.51.100.1/24
    address r r0 198.51.100.11/32
    address r r1 10.91.2.254/24
    address b b0 10.91.2.1/24
    at b route add default via 10.91.2.254
    forwards r
    inside r nft -f - <<<'table ip t { chain c { type nat hook prerouting priority dstnat; ip daddr 198.51.100.11 dnat to 10.91.2.1; }; }'
    speak a 198.51.100.11
    walk a 198.51.100.11
    crossed "a/a0 veth out" "r/r0 veth in"
    ends arrived "198.51.100.11 is an address of r"
    walk a 198.51.100.11 10.91.2.1
    crossed "a/a0 veth out" "r/r0 veth in" "r/r1 veth out" "b/b0 veth in"
    ends arrived "10.91.2.1 is an address of b"
}

# Two nodes with VMs on bridges that a VXLAN joins; v6 or not.
overlay() {
    local us=$1 them=$2 prefix=$3 extra=$4
    places vm1 node1 node2 vm2
    veth node1 under0 node2 under0
    address node1 under0 "$us/$prefix"
    address node2 under0 "$them/$prefix"
    veth vm1 eth0 node1 tap1
    veth vm2 eth0 node2 tap2
    # shellcheck disable=SC2086
    at node1 link add vx7 type vxlan id 7 dstport 4789 local "$us" remote "$them" dev under0 $extra
    # shellcheck disable=SC2086
    at node2 link add vx7 type vxlan id 7 dstport 4789 local "$them" remote "$us" dev under0 $extra
    at node1 link set vx7 up
    at node2 link set vx7 up
    bridge_in node1 br7 tap1 vx7
    bridge_in node2 br7 tap2 vx7
    address vm1 eth0 10.91.0.1/24
    address vm2 eth0 10.91.0.2/24
    at vm1 link set eth0 mtu 1400
    at vm2 link set eth0 mtu 1400
}

across=("vm1/eth0 veth out" "node1/tap1 veth in" "node1/vx7 vxlan out" "node1/under0 veth out tunnelled"
    "node2/under0 veth in tunnelled" "node2/vx7 vxlan in" "node2/tap2 veth out" "vm2/eth0 veth in")

@test "VXLAN between two nodes: inside the tunnel on the underlay, outside before and after" {
    overlay 192.0.2.1 192.0.2.2 24 ''
    speak vm1 10.91.0.2
    walk vm1 10.91.0.2
    crossed "${across[@]}"
    ends arrived "an address of vm2"
    grep -q '^packet: to=10.91.0.2,from=10.91.0.1,mac=' <<<"$output"
}

@test "VXLAN over IPv6" {
    overlay 2001:db8::1 2001:db8::2 64 ''
    speak vm1 10.91.0.2
    walk vm1 10.91.0.2
    crossed "${across[@]}"
    ends arrived "an address of vm2"
}

@test "a VXLAN to a group goes where the sender of the answer was learnt" {
    overlay 192.0.2.1 192.0.2.2 24 ''
    at node1 link del vx7
    at node1 link add vx7 type vxlan id 7 dstport 4789 local 192.0.2.1 group 239.1.1.7 dev under0
    at node1 link set vx7 master br7 up
    at node1 route add 239.1.1.0/24 dev under0
    # Of vm2's own MAC its first IPv6 packets may have told already; nobody ever sends from this one.
    at vm1 neigh add 10.91.0.9 lladdr 02:00:00:00:00:09 dev eth0
    at vm1 neigh add 10.91.0.2 lladdr "$(at vm2 -j link show eth0 | jq -r '.[0].address')" dev eth0
    walk vm1 10.91.0.9
    crossed "${across[@]:0:3}"
    ends unlearnt "node1/vx7 has not learnt where"
    # vm2's node sends to node1 alone, so this teaches node1's VXLAN.
    inside vm2 ping -c 1 -W 1 10.91.0.1 || true
    wait_for 20 eval 'bridge -n "path$$node1" fdb show dev vx7 | grep -q "dst 192.0.2.2"'
    walk vm1 10.91.0.2
    crossed "${across[@]}"
}

@test "what ends at one machine's edge goes on at the next with the same packet" {
    overlay 192.0.2.1 192.0.2.2 24 ''
    speak vm1 10.91.0.2
    local -a all=("${place[@]}")
    # The other node and its VM are another machine's: all that is seen here is that it goes beyond.
    place=("${all[@]:0:2}")
    walk vm1 10.91.0.2
    crossed "${across[@]:0:4}"
    ends unseen "the other side of node1/under0"
    local packet
    packet=$(sed -n 's/^packet: //p' <<<"$output")
    grep -q ';to=192.0.2.2,from=192.0.2.1,.*vni=7,port=4789$' <<<"$packet"
    place=("${all[@]:2}")
    walk node2/under0 - - "$packet"
    crossed "${across[@]:4}"
    ends arrived "an address of vm2"
    # Another identifier is nobody's.
    walk node2/under0 - - "${packet/vni=7/vni=8}"
    ends unreachable "node2 has no VXLAN with id 8"
}

@test "macvlan: out by its lower interface, and between two of them" {
    places n a b c
    veth n n0 c c0
    local ns
    for ns in a b; do
        at n link add "mv$ns" link n0 type macvlan mode bridge
        at n link set "mv$ns" netns "path$$$ns" name mv0
        at "$ns" link set mv0 up
    done
    address a mv0 10.91.0.1/24
    address b mv0 10.91.0.2/24
    address c c0 10.91.0.3/24
    speak a 10.91.0.3
    speak a 10.91.0.2
    walk a 10.91.0.3
    crossed "a/mv0 macvlan out" "n/n0 veth out" "c/c0 veth in"
    ends arrived "an address of c"
    walk c 10.91.0.1
    crossed "c/c0 veth out" "n/n0 veth in" "a/mv0 macvlan in"
    ends arrived "an address of a"
    walk a 10.91.0.2
    crossed "a/mv0 macvlan out" "n/n0 veth in" "b/mv0 macvlan in"
    ends arrived "an address of b"
}

@test "macvtap and tap: a VM or a process takes it; what comes from one needs its frame's MAC" {
    places a n
    veth a a0 n n0
    at n link add mt0 link n0 address 02:00:00:00:00:07 type macvtap mode bridge
    at n link set mt0 up
    address a a0 10.91.0.1/24
    at a neigh add 10.91.0.7 lladdr 02:00:00:00:00:07 dev a0
    walk a 10.91.0.7
    crossed "a/a0 veth out" "n/n0 veth in" "n/mt0 macvtap in"
    ends taken "a VM or a process takes it at n/mt0"
    at n link del mt0
    at n tuntap add tap0 mode tap
    at n link set tap0 up
    bridge_in n br0 n0 tap0
    inside n bridge fdb add 02:00:00:00:00:07 dev tap0 master static
    walk a 10.91.0.7
    crossed "a/a0 veth out" "n/n0 veth in" "n/tap0 tap out"
    ends taken "at n/tap0"
    walk n/tap0 10.91.0.1
    crossed "n/tap0 tap in"
    ends unlearnt "which MAC address the sender behind tap0 uses was not said"
    walk n/tap0 - - "to=10.91.0.1,mac=$(at a -j link show a0 | jq -r '.[0].address')"
    crossed "n/tap0 tap in" "n/n0 veth out" "a/a0 veth in"
    ends arrived "an address of a"
}

@test "an address that nothing leads to" {
    places a
    walk a 10.99.0.1
    crossed
    ends unreachable "from a there is no way to 10.99.0.1: Network is unreachable"
    at a route add blackhole 10.99.0.0/24
    walk a 10.99.0.1
    ends unreachable "no way to 10.99.0.1"
    at a link add d0 type veth peer name d1
    at a link set d0 up
    at a route add 10.98.0.0/24 dev d0
    walk a 10.98.0.1
    crossed "a/d0 veth out" "a/d1 veth in"
    ends unreachable "a/d1 is down"
}

@test "IPv6: bridges, routers that forward it and one that does not" {
    places a n r b
    veth a a0 n na
    veth r r0 n nr
    veth b b0 r r1
    bridge_in n br0 na nr
    address a a0 fd91:1::1/64
    address r r0 fd91:1::fe/64
    address r r1 fd91:2::fe/64
    address b b0 fd91:2::1/64
    at a route add default via fd91:1::fe
    at b route add default via fd91:2::fe
    speak a fd91:1::fe
    walk a fd91:2::1
    crossed "a/a0 veth out" "n/na veth in" "n/nr veth out" "r/r0 veth in"
    ends unreachable "r does not forward IPv6"
    forwards r
    speak a fd91:2::1
    walk a fd91:2::1
    crossed "a/a0 veth out" "n/na veth in" "n/nr veth out" "r/r0 veth in" "r/r1 veth out" "b/b0 veth in"
    ends arrived "fd91:2::1 is an address of b"
}

@test "two routers that send a packet to each other are a loop" {
    places a b
    veth a a0 b b0
    address a a0 10.91.0.1/24
    address b b0 10.91.0.2/24
    at a route add 10.92.0.0/24 via 10.91.0.2
    at b route add 10.92.0.0/24 via 10.91.0.1
    forwards a
    forwards b
    speak a 10.91.0.2
    walk a 10.92.0.1
    # The second time it came in at a and not out of nothing, but it is the same packet.
    crossed "a/a0 veth out" "b/b0 veth in" "b/b0 veth out" "a/a0 veth in"
    ends loop "it comes to a/a0 again"
}

@test "processes are places, one namespace may have two, and a place that is gone is named" {
    places a b
    veth a a0 b b0
    address a a0 10.91.0.1/24
    address b b0 10.91.0.2/24
    # ip becomes sleep: the number is the one in the namespace.
    ip netns exec "path$$b" sleep 60 3>&- &
    local pid=$!
    in_b() { [ "$(readlink "/proc/$pid/ns/net")" = "$(inside b readlink /proc/self/ns/net)" ]; }
    wait_for 20 in_b
    place=("${place[0]}" "agent=pid:$pid" "${place[1]}")
    walk a 10.91.0.2
    crossed "a/a0 veth out" "agent/b0 veth in"
    # The second name of one namespace is the first's.
    walk b 10.91.0.1
    crossed "agent/b0 veth out" "a/a0 veth in"
    kill -KILL "$pid"
    wait "$pid" || true
    walk a 10.91.0.2
    [ "$status" -eq 1 ]
    grep -q "^error 2: agent: opening /proc/$pid/ns/net: No such file or directory" <<<"$output"
}

@test "a place that is not given ends what is seen" {
    places a b
    veth a a0 b b0
    address a a0 10.91.0.1/24
    place=("${place[0]}")
    walk a 10.91.0.2
    crossed "a/a0 veth out"
    ends unseen "the other side of a/a0 is in a namespace that is none of the places"
}

@test "an ordinary user: another's namespace is refused by name, one in his own user namespace is entered" {
    places a
    # What is tested is copied to where he may look.
    as_user true
    cp "$walk" "$TEST_DIR/user/bin/hop_path_walk"
    chmod 755 "$TEST_DIR/user/bin/hop_path_walk"
    run as_user hop_path_walk a 10.91.0.2 - - "${place[@]}"
    echo "$output"
    [ "$status" -eq 1 ]
    grep -q '^error 1: a: .*Operation not permitted' <<<"$output"
    # His own namespace needs no right.
    run as_user hop_path_walk me 127.0.0.1 - - me=
    echo "$output"
    [ "$status" -eq 0 ]
    skip_unless_userns
    run as_user sh -ec '
        unshare --user --map-root-user --net sh -c "ip link add u0 type veth peer name u1; ip link set u0 up; ip link set u1 up;
            ip addr add 10.91.0.1/24 dev u0; echo ready; exec sleep 60" >"$HOME/ready" &
        pid=$!
        n=0
        until grep -q ready "$HOME/ready" || [ $((n += 1)) -gt 400 ]; do sleep 0.05; done
        hop_path_walk u 10.91.0.2 - - "u=pid:$pid" me=
        kill -KILL "$pid"'
    echo "$output"
    grep -qx 'u/u0 veth out' <<<"$output"
    grep -qx 'u/u1 veth in' <<<"$output"
}
