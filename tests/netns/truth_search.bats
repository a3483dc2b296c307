# SPDX-License-Identifier: Apache-2.0
# What the rate search finds against shapers whose rate is known, at the middle of the path and at the sender's own door, for one
# loss target and for several.

bats_require_minimum_version 1.5.0
load ../helper
load path

UDP_HEADERS=28

setup() {
    skip_unless_root
    skip_unless_command ip tc nft jq
    skip_when_slow
}

teardown() {
    is_root || return 0
    path_clear
}

# searched FILTER ARG…: search, before others' work where that is allowed, and again when FILTER does not hold: then the search has
# to say that it was disturbed, or at least "close", a filter of the caller's, must hold.
searched() {
    local filter=$1 try disturbed=0
    shift
    for try in 1 2 3 4 5; do
        measure --udp -t 1 --nice -15 "$@"
        whole
        [ "$(value "$filter")" != true ] || return 0
        echo "trial $try: not so"
        limits
        [ "$(value "${close:-false}")" != true ] || continue
        said_disturbed
        disturbed=1
    done
    [ "$disturbed" = 1 ] || return 0 # the caller says what is wrong
    skip "the machine is busy with other work: the sender lost its CPU in each of $try searches"
}

# A number that is off has its excuse: the search says that the sender was kept from sending.
said_disturbed() {
    same "$(value '.warning // "" | startswith("disturbed")')" true
}

# Whatever was found: the document is complete and does not contradict itself.
whole() {
    same "$(value '.search.probes | length > 2')" true
    same "$(value '[.search.probes[].verdict] - ["under", "over", "unsure", "spoiled", "sender", "confirmed"] | length')" 0
    same "$(value '[.search.probes[] | select(.duration_ns <= 0)] | length')" 0
    same "$(value '[.search.targets[] | select(.confirmed and .loss_share > .loss_target)] | length')" 0
    same "$(value '[.search.targets[] | select(.loss_low_share > .loss_share or .loss_high_share < .loss_share)] | length')" 0
    same "$(value '.search.targets[0].loss_target')" "$(value '.search.loss_target')"
}

# within MBIT PAYLOAD NS DEV ARG…: what arrives is within 1 % of what the shaper lets through, in the time that a search may take; of
# five searches the best, and each within 2 %.
within() {
    local mbit=$1 payload=$2 ns=$3 dev=$4 truth close
    shift 4
    truth=$(payload_bps "$mbit" "$payload" "$UDP_HEADERS")
    close=".throughput_bps > 0.98 * $truth"
    shape "$ns" "$dev" "$mbit" 12
    searched ".throughput_bps > 0.99 * $truth and .search.duration_ns <= 2.5e9" --udpbuf "$payload" "$@"
    near "$(value .throughput_bps)" "$truth" 0.01
    same "$(value .search.confirmed)" true
    holds "$(value .loss_share) <= $(value .search.loss_target)"
}

test_search_finds_200_mbit_on_the_path() { #@test
    within 200 1400 "$M" m1
    same "$(value .limit)" path
}

test_search_finds_200_mbit_at_the_senders_own_interface() { #@test
    within 200 1400 "$A" a0
    same "$(value .limit)" path
}

test_search_finds_1000_mbit_on_the_path() { #@test
    within 1000 1400 "$M" m1
}

test_search_finds_1000_mbit_at_the_senders_own_interface() { #@test
    within 1000 1400 "$A" a0
}

test_search_in_reverse_finds_200_mbit() { #@test
    within 200 1400 "$M" m0 --reverse
    same "$(value .limit)" path
}

# A stream of 5 % more than that loses some at the shaper, or the test steps aside.
overflows() {
    measure --udp --udpbuf 1400 --bandwidth $(($1 * 105 / 100)) -t 1
    skip_if_held_back "$M" m1
}

# No loss at all, next to none, and what the older tool looks for: the probes are the same, each answer is confirmed by itself.
test_search_for_several_targets_answers_each() { #@test
    local truth
    truth=$(payload_bps 200 1400 "$UDP_HEADERS")
    shape "$M" m1 200 3
    overflows "$truth"
    searched "[.search.targets[] | .received_bps > 0.99 * $truth and .confirmed] | all" --udpbuf 1400 --loss 0,0.1%,3%
    same "$(value '.search.targets | map(.loss_target) | tojson')" "[0,0.001,0.03]"
    same "$(value '.search.targets[0].loss_share')" "$(value .loss_share)"
    same "$(value .lost)" 0
    near "$(value '.search.targets[0].received_bps')" "$truth" 0.01
    near "$(value '.search.targets[1].received_bps')" "$truth" 0.01
    near "$(value '.search.targets[2].received_bps')" "$truth" 0.01
    # More is asked of the path for the largest: near the rate of which the target's share is lost.
    holds "$(value '.search.targets[2].rate_bps') > 1.015 * $truth"
    holds "$(value '.search.targets[2].rate_bps') < 1.031 * $truth"
    holds "$(value '.search.duration_ns') <= 3.5e9"
}

# A path that loses 1 % of what it is given has no rate without loss, and is as wide as ever for those who take 3 %.
test_search_tells_targets_below_a_loss_by_chance_from_those_above() { #@test
    local truth
    truth=$(payload_bps 100 1400 "$UDP_HEADERS")
    shape "$M" m1 100 3
    rules "$M" "table inet truth {
        chain forward { type filter hook forward priority 0; meta l4proto udp @th,256,16 2 numgen random mod 1000 < 10 drop; }
    }"
    searched ".search.targets[1].received_bps > 0.97 * $truth" --udpbuf 1400 --loss 0,3%
    same "$(value '.search.targets[0].confirmed')" false
    same "$(value '.search.confirmed')" false
    same "$(value '.search.targets[1].confirmed')" true
    near "$(value '.search.targets[1].received_bps')" "$truth" 0.03
    holds "$(value '.search.targets[1].loss_low_share') < 0.03"
    same "$(value '.warning | contains("no rate was confirmed")')" true
}

# What the older tool looks for, 2 to 5 %: a target of 5 % is met from below.
test_search_for_five_percent_stays_at_or_below_it() { #@test
    local truth
    truth=$(payload_bps 200 1400 "$UDP_HEADERS")
    shape "$M" m1 200 3
    overflows "$truth"
    searched ".throughput_bps > 0.99 * $truth" --udpbuf 1400 --loss 5%
    near "$(value .throughput_bps)" "$truth" 0.01
    holds "$(value .loss_share) <= 0.05"
    holds "$(value .loss_share) > 0.02"
}

test_search_of_a_mix_finds_the_path() { #@test
    local mean truth
    shape "$M" m1 100 3
    # 7 of 60, 4 of 576 and 1 of 1500 bytes of IP; 14 more of Ethernet each, 28 less of payload.
    mean=$(awk 'BEGIN { print (7 * 32 + 4 * 548 + 1472) / 12 }')
    truth=$(awk -v m="$mean" 'BEGIN { printf "%.0f\n", 100e6 * m / (m + 42) }')
    searched ".throughput_bps > 0.98 * $truth" --sizes imix
    near "$(value .throughput_bps)" "$truth" 0.02
    holds "$(value .loss_share) <= 0.001"
}

# Nothing but the sender's own speed: then it is said so, and not called the path's.
test_search_without_a_bottleneck_names_the_sender() { #@test
    searched '.limit == "sender"' --udpbuf 64
    same "$(value .search.confirmed)" true
    same "$(value .lost)" 0
    near "$(value .throughput_bps)" "$(value .offered_bps)" 0.01
}
