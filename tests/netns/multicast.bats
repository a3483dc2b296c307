# SPDX-License-Identifier: Apache-2.0
# Groups, against nftables' own counters: what left, what each receiver got, and what the packets say.

bats_require_minimum_version 1.5.0
load ../helper

# As in truth_udp.bats: a datagram of the window.
MEASURED='meta l4proto udp @th,256,16 2'

setup() {
    skip_unless_root
    skip_unless_command ip nft jq
    spaces=()
    switch_up
}

teardown() {
    local ns

    for ns in "${spaces[@]}"; do
        ip netns del "$ns" 2>/dev/null || true
    done
}

# A switch in $S and three machines on it, $A, $B and $C.
switch_up() {
    local ns i=0

    S=vmt$$s A=vmt$$a B=vmt$$b C=vmt$$c
    spaces=("$S" "$A" "$B" "$C")
    for ns in "${spaces[@]}"; do
        ip netns add "$ns"
        ip -n "$ns" link set dev lo up
    done
    ip -n "$S" link add name sw0 type bridge mcast_snooping 0 forward_delay 0 stp_state 0
    ip -n "$S" link set dev sw0 up
    for ns in "$A" "$B" "$C"; do
        i=$((i + 1))
        ip -n "$ns" link add eth0 type veth peer name "p$i" netns "$S"
        ip -n "$ns" addr add "10.79.0.$i/24" dev eth0
        ip -n "$ns" addr add "fd79::$i/64" dev eth0 nodad
        ip -n "$ns" link set dev eth0 up
        ip -n "$S" link set dev "p$i" master sw0 up
    done
    for i in 1 2 3; do
        wait_for 5 carries "p$i"
    done
}

carries() {
    ip -d -n "$S" link show dev "$1" | grep -q 'state forwarding'
}

# counters NS HOOK RULE…: each rule has a counter of its own, c1, c2 …
counters() {
    local ns=$1 hook=$2 rule names='' rules='' i=0

    shift 2
    for rule; do
        i=$((i + 1))
        names+="counter c$i { }"$'\n'
        rules+="${rule/COUNT/counter name c$i}"$'\n'
    done
    ip netns exec "$ns" nft -f - <<<"table inet truth {
        $names chain c {
            type filter hook $hook priority 0
            $rules
        }
    }"
}

counted() {
    ip netns exec "$1" nft -j list counters | jq --arg name "$2" '.nftables[].counter | select(.name == $name).packets // empty'
}

group() {
    DOC=$BATS_TEST_TMPDIR/doc.json
    vnperf test "netns:$A" "netns:$B" "netns:$C" --multicast --quiet --no-save --json - "$@" >"$DOC" || {
        cat "$DOC"
        return 1
    }
}

of() {
    jq -r --arg to "netns:$1" ".scenarios[0].measurements[] | select(.to == \$to) | $2" "$DOC"
}

same() {
    [ "$1" = "$2" ] || {
        echo "$1 is not $2"
        jq -c '.scenarios[0].measurements[] | {to, sent, received, lost, lost_in_socket, loss_bursts, longest_loss, reordered, duplicated}' "$DOC"
        return 1
    }
}

test_multicast_is_counted_datagram_by_datagram() { #@test
    counters "$A" output "$MEASURED COUNT"
    counters "$B" input "$MEASURED COUNT"
    counters "$C" input "$MEASURED numgen inc mod 50 < 3 COUNT drop" "$MEASURED COUNT"
    group --bandwidth 8M --udpbuf 500 -t 1
    for r in "$B" "$C"; do
        same "$(of "$r" .sent)" "$(counted "$A" c1)"
        same "$(of "$r" '.received + .lost')" "$(of "$r" .sent)"
        same "$(of "$r" '.reordered + .duplicated + .lost_in_socket')" 0
    done
    same "$(of "$B" .received)" "$(counted "$B" c1)"
    same "$(of "$B" .lost)" 0
    same "$(of "$C" .lost)" "$(counted "$C" c1)"
    same "$(of "$C" .received)" "$(counted "$C" c2)"
    same "$(of "$C" .longest_loss)" 3
    same "$(of "$C" .loss_bursts)" "$((($(counted "$C" c1) + 2) / 3))"
}

test_multicast_goes_one_hop_with_the_sign_that_was_asked_for() { #@test
    counters "$B" input "$MEASURED COUNT" "$MEASURED ip ttl 1 ip dscp af41 ip daddr 231.1.1.1 COUNT"
    group --dscp 34 --bandwidth 2M --udpbuf 500 -t 1
    same "$(of "$B" .received)" "$(counted "$B" c1)"
    same "$(of "$B" .received)" "$(counted "$B" c2)"
}

test_multicast_over_ipv6_is_counted_too() { #@test
    counters "$A" output "$MEASURED COUNT"
    counters "$C" input "$MEASURED ip6 hoplimit 1 COUNT"
    group --ipv6 --bandwidth 2M --udpbuf 500 -t 1
    same "$(of "$B" .sent)" "$(counted "$A" c1)"
    same "$(of "$C" .received)" "$(counted "$C" c1)"
    same "$(of "$B" .lost)" 0
}

test_multicast_leaves_by_the_interface_that_was_named() { #@test
    counters "$A" output "$MEASURED oifname eth0 COUNT" "$MEASURED oifname != eth0 COUNT"
    ip -n "$A" link add other0 type veth peer name other1
    ip -n "$A" link set dev other1 up
    ip -n "$A" addr add 10.80.0.1/24 dev other0
    ip -n "$A" link set dev other0 up
    ip -n "$A" route add 224.0.0.0/4 dev other0
    group --bind eth0 --bandwidth 2M --udpbuf 500 -t 1
    same "$(of "$B" .lost)" 0
    same "$(of "$B" .sent)" "$(counted "$A" c1)"
    same "$(counted "$A" c2)" 0
}
