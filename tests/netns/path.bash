# SPDX-License-Identifier: Apache-2.0
# A path whose truth is known: three namespaces a — m — b on veths, m routing, and what stands in m's way is ours to say.
#
#     a: $A   a0 10.77.1.1, fd77:1::1   |   m: $M   m0 … m1   |   b: $B   b0 10.77.2.1, fd77:2::1
#
# setup_file, teardown_file   are here: a file that loads this has the path, under names of its own
# shape NS DEV RATE QUEUE_MS [BUCKET_MS]
#                             tbf on DEV's egress; RATE in Mbit/s of whole Ethernet frames
# unshape NS DEV
# mtu BYTES                   of every interface
# path_clear                  in teardown: no shaper, no rules, MTU 1500
# rules NS TEXT               nftables, in place of those before
# counted NS NAME [bytes]     packets, or bytes, of a named counter
# measure ARG…                vnperf test from a to b; the document is $DOC
# value FILTER                what jq makes of its first measurement; values: of the document
# near VALUE TRUTH SHARE      both are numbers, and differ by at most that share of TRUTH
# same VALUE TRUTH
# holds EXPRESSION            of numbers, as awk reads it
# payload_bps MBIT PAYLOAD HEADERS   what is left of a shaped rate: HEADERS as IP sees them, 14 bytes of Ethernet are added

setup_file() {
    is_root || return 0
    path_up
}

teardown_file() {
    is_root || return 0
    path_down
}

path_up() {
    export A=vt$$a M=vt$$m B=vt$$b
    local ns

    for ns in "$A" "$M" "$B"; do
        ip netns add "$ns"
        ip -n "$ns" link set lo up
    done
    ip link add a0 netns "$A" type veth peer name m0 netns "$M"
    ip link add b0 netns "$B" type veth peer name m1 netns "$M"
    ip netns exec "$M" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    path_end "$A" a0 "$M" m0 1
    path_end "$B" b0 "$M" m1 2
}

# path_end NS DEV ROUTER ROUTER-DEV SUBNET; nodad: an address serves at once.
path_end() {
    ip -n "$1" addr add "10.77.$5.1/24" dev "$2"
    ip -n "$1" addr add "fd77:$5::1/64" dev "$2" nodad
    ip -n "$3" addr add "10.77.$5.254/24" dev "$4"
    ip -n "$3" addr add "fd77:$5::fe/64" dev "$4" nodad
    ip -n "$1" link set "$2" up
    ip -n "$3" link set "$4" up
    ip -n "$1" route add default via "10.77.$5.254"
    ip -n "$1" -6 route add default via "fd77:$5::fe"
}

path_down() {
    local ns

    for ns in "$A" "$M" "$B"; do
        [ -z "$ns" ] || ip netns del "$ns" 2>/dev/null || true
    done
}

# A timer that comes later than the bucket is deep costs the shaper some of its rate, and then the truth is not true: deep where
# only the long run counts, shallow where a search looks at moments.
shape() {
    local bytes=$(($3 * 125)) burst

    burst=$((bytes * ${5:-1}))
    burst=$((burst > 6056 ? burst : 6056))
    tc -n "$1" qdisc replace dev "$2" root tbf rate "$3mbit" burst "$burst" limit $((bytes * $4 + burst))
}

unshape() {
    tc -n "$1" qdisc del dev "$2" root 2>/dev/null || true
}

# Too much for a shaper has to overflow it, by the shaper's own counter. On some kernels the sender is charged for a packet until
# that has passed a router's shaper too: then the sender is held back instead, nothing is too much, and there is no loss to see.
skip_if_held_back() {
    local dropped
    dropped=$(tc -n "$1" -s qdisc show dev "$2" | sed -n 's/.*(dropped \([0-9]*\),.*/\1/p' | head -n 1)
    [ "$dropped" != 0 ] || skip "this kernel holds the sender back at the shaper of $2, which dropped nothing"
}

# Nothing in the way any more: after each test.
path_clear() {
    unshape "$A" a0
    unshape "$B" b0
    unshape "$M" m0
    unshape "$M" m1
    rules "$M" ''
    rules "$B" ''
    mtu 1500
}

mtu() {
    ip -n "$A" link set a0 mtu "$1"
    ip -n "$M" link set m0 mtu "$1"
    ip -n "$M" link set m1 mtu "$1"
    ip -n "$B" link set b0 mtu "$1"
}

rules() {
    ip netns exec "$1" nft -f - <<<"flush ruleset
$2"
}

counted() {
    ip netns exec "$1" nft -j list counters | jq --arg name "$2" --arg of "${3:-packets}" '.nftables[].counter | select(.name == $name)[$of] // empty'
}

measure() {
    DOC=$BATS_TEST_TMPDIR/doc.json
    vnperf test "netns:$A" "netns:$B" --quiet --no-save --json - "$@" >"$DOC" || {
        echo "vnperf test $* ended with $?"
        cat "$DOC"
        return 1
    }
}

value() {
    jq -r ".scenarios[0].measurements[0] | $1" "$DOC"
}

values() {
    jq -r "$1" "$DOC"
}

near() {
    awk -v v="$1" -v t="$2" -v s="$3" 'BEGIN {
        if (v !~ /^-?[0-9]/ || t !~ /^-?[0-9]/ || t == 0 || (d = v / t - 1) > s || d < -s) {
            printf "%s is not within %g %% of %s (%+.2f %%)\n", v, s * 100, t, d * 100
            exit 1
        }
    }' || {
        limits
        return 1
    }
}

same() {
    [ "$1" = "$2" ] || {
        echo "$1 is not $2"
        limits
        return 1
    }
}

holds() {
    awk "BEGIN { exit !($1) }" || {
        echo "does not hold: $1"
        limits
        return 1
    }
}

# What a person wants to see beside a number that is wrong; of a whole run that is too much.
limits() {
    [ ! -s "${DOC:-}" ] || jq -c '.scenarios | select(length == 1)[].measurements[] | {kind, direction, throughput_bps, offered_bps, sent, received, lost,
        lost_in_socket, loss_share, retransmits, limit, limit_reason, warning, late, latest_ns, skipped,
        search: (.search | del(.probes?)), idle: [.sender, .receiver | .node_idle_ns]}' "$DOC"
}

payload_bps() {
    awk -v m="$1" -v p="$2" -v h="$3" 'BEGIN { printf "%.0f\n", m * 1e6 * p / (p + h + 14) }'
}

# A sanitizer's program has not the speed that some truths ask for.
skip_when_slow() {
    case ${VNPERF_SANITIZER:-none} in
    none) ;;
    *) skip "built with a sanitizer: too slow for this rate" ;;
    esac
}
