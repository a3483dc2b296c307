#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Captures with known truth (tests/capture) are sent again, frame by frame, through veths that `vnperf hops` watches: what it
# counts live is compared with the truth, for each source and each hook. So parsers in the kernel meet headers that no device
# of this kernel makes: 802.1Q, Geneve, GRE, extension headers, segments that were cut and merged.
#
#     one namespace: x0 = p0, x1 = p1, x2 = p2, a veth for each capture
#
# shellcheck disable=SC2154 # bats sets status, output and stderr

bats_require_minimum_version 1.5.0
load ../helper

GENERATE=$VNPERF_BUILD/tests/capture/generate
REPLAY=$VNPERF_BUILD/tests/netns/hops-replay
PACKETS=1000

setup_file() {
    is_root || return 0
    export R=vnrep$$r
    ip netns add "$R"
    ip netns exec "$R" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    for i in 0 1 2; do
        # Segments that were not cut yet pass, too.
        ip -n "$R" link add "x$i" mtu 65535 type veth peer name "p$i" mtu 65535
        ip -n "$R" link set "x$i" up
        ip -n "$R" link set "p$i" up
    done
}

teardown_file() {
    is_root || return 0
    ip netns del "$R" || true
}

setup() {
    skip_unless_root
    skip_unless_command ip jq
    [ -x "$REPLAY" ] || skip "hops-replay was not built"
    cd "$BATS_TEST_TMPDIR" || return
    # A packet lies between two points for as long as this machine lets the sender wait.
    window=1s
    nat=no
}

# replay SOURCE SIDE SCENARIO…: the captures of all of them, one after the other, past the veths' ends x or p: got.json
replay() {
    local source=$1 side=$2 name file at=() n=0 seed=0
    shift 2
    echo "set -e" >script
    for name; do
        # A seed each, or packets of two scenarios would be equal.
        seed=$((seed + 1))
        [ -s "$name/truth.json" ] ||
            "$GENERATE" --scenario "$name" --seed "$seed" --packets "$PACKETS" --out "$name"
        n=0
        {
            printf '%s' "$REPLAY"
            for file in "$name"/?.pcap*; do
                printf ' %s' "$PWD/$file=x$n:p$n"
                n=$((n + 1))
            done
            echo
        } >>script
    done
    for ((i = 0; i < n; i++)); do
        at+=(--at "netns:$R/$side$i")
    done
    run --separate-stderr vnperf hops "${at[@]}" --capture "$source" --nat "$nat" --window "$window" --no-calibration \
        --for 60s --source "netns:$R" --source-command "sh $PWD/script" --json got.json --quiet
    [ "$status" = 0 ] || [ -s got.json ] || {
        echo "$output"
        echo "$stderr"
        return 1
    }
}

# compare FIELDS POINT_FIELDS SCENARIO…: sums of the truths beside what was counted; a line for each that differs
compare() {
    local fields=$1 point_fields=$2 truths=()
    shift 2
    for name; do
        truths+=("$name/truth.json")
    done
    jq -r -n --arg fields "$fields" --arg point_fields "$point_fields" --slurpfile got got.json '
        # Points by their place: A.pcap and B.pcapng are the first and the second.
        def place: split(".")[0] as $letter | ["A", "B", "C"] | index($letter);
        [inputs] as $truths | $got[0] as $got | [$got.points[].name] as $names
        | ([$truths[].hops[] | {from: (.from | place), to: (.to | place), whole} ] | unique) as $hops
        | ($hops[] as $h
            | ([$truths[].hops[] | select((.from | place) == $h.from and (.to | place) == $h.to and .whole == $h.whole)]) as $want
            | ([$got.hops[] | select(.from == $names[$h.from] and .to == $names[$h.to] and (.whole // false) == $h.whole)] | first) as $is
            | ($fields | split(" ")[]) as $f
            | ([$want[] | [.[$f | split("+")[]]] | add] | add) as $sum
            | ([$is[$f | split("+")[]]] | add) as $real
            | select($sum != $real) | "hop \($h.from) to \($h.to): \($f) is \($real), truth \($sum)"),
          ($names | length) as $n
        | (range(0; $n) as $p | ($point_fields | split(" ")[]) as $f
            | ([$truths[].points[$p][$f]] | add) as $sum
            | select($sum != $got.points[$p][$f]) | "point \($p): \($f) is \($got.points[$p][$f]), truth \($sum)")
    ' "${truths[@]}" >wrong || return
    [ ! -s wrong ] || {
        cat wrong
        jq -r .warning got.json
        return 1
    }
}

POINT_FIELDS='seen unparsed fragments unmatched'

# exact SCENARIO…: all counts, by all sources, at both ends of the veths. In the kernel reordering is told within each flow.
exact() {
    local source side fields
    for source in tcx clsact af_packet; do
        fields='matched lost duplicated ambiguous only_later'
        [ "$source" != af_packet ] || fields+=' reordered'
        for side in x p; do
            [ "$source$side" != clsactx ] || continue
            replay "$source" "$side" "$@"
            compare "$fields" "$POINT_FIELDS" "$@" || {
                echo "with $source at $side"
                return 1
            }
        done
    done
}

test_troubles_are_counted_live_as_they_were() { #@test
    exact clean loss duplicates reordering resent resent_no_id resent_bare wrap partial udp udp_short udp_same_id \
        fragments foreign
}

test_tags_tunnels_extension_headers_and_all_protocols_are_looked_through() { #@test
    exact vlan vxlan geneve ipip ipv6 resent_ipv6 icmp sctp two_way
}

test_three_points_in_tunnels_of_all_kinds() { #@test
    exact vxlan_ports gre three_points
}

# Of what was merged or cut on the way the kernel times the first part alone; copied heads tell all of them.
test_merged_and_cut_segments_are_all_found() { #@test
    local wanted got
    for name in gro tso; do
        replay tcx x "$name"
        compare 'lost duplicated ambiguous only_later' "$POINT_FIELDS" "$name"
        # "Segments were cut (N pieces) and merged (M) on the way"
        wanted=$(jq .hops[0].matched "$name/truth.json")
        got=$(jq '(.warning | capture("cut \\((?<cut>[0-9]+) pieces\\) and merged \\((?<merged>[0-9]+)\\)"))
            as $w | .hops[0].matched + ($w.cut | tonumber) + ($w.merged | tonumber)' got.json)
        [ "$got" = "$wanted" ]
    done
    replay af_packet p gro gro_wrap gro_troubled tso tso_loss tso_troubled
    compare 'matched+ambiguous lost duplicated reordered only_later' "$POINT_FIELDS" gro gro_wrap gro_troubled tso tso_loss tso_troubled
}

# Once two may be meant the kernel says so of all that follow: never does it time one that it might have mistaken.
test_what_nothing_tells_apart_is_ambiguous() { #@test
    # A pause of the replay within one of them makes it look overdue: then its two are told apart.
    replay af_packet p udp_same_some
    compare 'matched+ambiguous lost' "$POINT_FIELDS" udp_same_some
    [ $(($(jq .hops[0].ambiguous got.json) * 100)) -ge $(($(jq .hops[0].ambiguous udp_same_some/truth.json) * 95)) ]
    replay tcx x udp_same_some
    compare 'matched+ambiguous lost duplicated' 'seen unparsed' udp_same_some
    [ "$(jq .hops[0].matched got.json)" -le "$(jq .hops[0].matched udp_same_some/truth.json)" ]
}

test_addresses_that_change_on_the_way() { #@test
    nat=yes
    replay af_packet p nat
    compare 'matched lost duplicated reordered only_later' "$POINT_FIELDS" nat
}
