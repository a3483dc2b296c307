# SPDX-License-Identifier: Apache-2.0
# UDP streams over paths that lose a known part: rates against a shaper, losses against nftables' own counters, one by one.
# shellcheck disable=SC2154 # bats sets status and output

bats_require_minimum_version 1.5.0
load ../helper
load path

UDP_HEADERS=28

# The flags of our datagrams are 16 bits at byte 24 of the payload (src/traffic/datagram.h): bit 64 + 192 from the UDP header on.
# Warm-up and tail go by uncounted; 2 is a datagram of the window.
MEASURED='meta l4proto udp @th,256,16 2'

setup() {
    skip_unless_root
    skip_unless_command ip tc nft jq
}

teardown() {
    is_root || return 0
    [ -z "${stopped:-}" ] || kill -CONT "$stopped" 2>/dev/null || true
    path_clear
}

# What m saw of the window, and what b got of it.
count_measured() {
    rules "$M" "table inet truth {
        counter seen { }
        counter dropped { }
        chain forward { type filter hook forward priority 0; $MEASURED counter name seen; ${1:-accept}; }
    }" && rules "$B" "table inet truth {
        counter came { }
        chain input { type filter hook input priority 0; $MEASURED counter name came; }
    }"
}

agrees_with_counters() {
    same "$(value .sent)" "$(counted "$M" seen)"
    same "$(value .received)" "$(counted "$B" came)"
    same "$(value .lost)" $(($(counted "$M" seen) - $(counted "$B" came)))
}

# undisturbed FILTER ARG…: measure, again when FILTER says that the sender was kept from its CPU. When that is so each time, an idle
# machine is no excuse, and what the last one says is judged as it is.
undisturbed() {
    local filter=$1 try
    shift
    for try in 1 2 3 4 5; do
        count_measured
        measure --udp "$@"
        [ "$(value "$filter")" != true ] || return 0
        echo "trial $try: the sender had no CPU for a while"
        limits
    done
    [ "$(value '.sender.node_idle_ns > 0.2 * .window_ns * .sender.node_cpus')" != true ] || return 0
    skip "the machine is busy with other work: the sender lost its CPU in each of $try trials"
}

# rate_below MBIT PAYLOAD, rate_above MBIT PAYLOAD: of a link with 3 ms of queue.
rate_below() {
    local bps=$(($(payload_bps "$1" "$2" "$UDP_HEADERS") * 4 / 5))

    shape "$M" m1 "$1" 3 5
    undisturbed '.skipped < .sent / 100' --udpbuf "$2" --bandwidth "$bps" -t 2
    agrees_with_counters
    near "$(value .offered_bps)" "$bps" 0.02
    near "$(value .throughput_bps)" "$bps" 0.02
    same "$(value .lost)" 0
    same "$(value .limit)" requested_rate
}

rate_above() {
    local truth bps

    truth=$(payload_bps "$1" "$2" "$UDP_HEADERS")
    bps=$((truth * 3 / 2))
    shape "$M" m1 "$1" 3 5
    undisturbed '.skipped < .sent / 100' --udpbuf "$2" --bandwidth "$bps" -t 2
    agrees_with_counters
    near "$(value .throughput_bps)" "$truth" 0.02
    skip_if_held_back "$M" m1
    near "$(value .offered_bps)" "$bps" 0.02
    near "$(value '1 - .loss_share')" "$(value "$truth / .offered_bps")" 0.02
    same "$(value .lost_in_socket)" 0
    same "$(value '.lost_on_path == .lost and .lost > 0')" true
    same "$(value .limit)" path
}

# What the sender offered and what it gave up make the rate that was asked for, however busy the machine: also where others work.
test_udp_sender_tells_what_it_did_not_offer() { #@test
    count_measured
    measure --udp --udpbuf 1000 --bandwidth 160M -t 2
    agrees_with_counters
    near "$(value '.sent + .skipped')" 40000 0.01
    near "$(value .offered_bps)" "$(value '.sent * 8000 / 2')" 0.001
    same "$(value .limit)" "$(value 'if .offered_bps >= 0.97 * 160e6 then "requested_rate" else "sender" end')"
}

search() {
    local mbit=$1 payload=$2

    shape "$M" m1 "$mbit" 3
    undisturbed '.limit == "path" and .skipped < .sent / 100 and .search.duration_ns <= 3e9' --udpbuf "$payload" -t 1
    near "$(value .throughput_bps)" "$(payload_bps "$mbit" "$payload" "$UDP_HEADERS")" 0.02
    holds "$(value .loss_share) <= $(value .search.loss_target)"
    same "$(value .search.confirmed)" true
    holds "$(value .search.duration_ns) <= 3e9"
}

test_udp_below_the_link_of_10_mbit_loses_nothing() { #@test
    rate_below 10 1400
}

test_udp_below_the_link_of_100_mbit_loses_nothing() { #@test
    rate_below 100 1400
}

test_udp_below_the_link_of_1000_mbit_loses_nothing() { #@test
    skip_when_slow
    mtu 9000
    rate_below 1000 8000
}

test_udp_above_the_link_of_10_mbit_loses_the_rest() { #@test
    rate_above 10 1400
}

test_udp_above_the_link_of_100_mbit_loses_the_rest() { #@test
    rate_above 100 1400
}

test_udp_above_the_link_of_1000_mbit_loses_the_rest() { #@test
    skip_when_slow
    mtu 9000
    rate_above 1000 8000
}

test_udp_search_finds_10_mbit() { #@test
    search 10 1400
}

test_udp_search_finds_100_mbit() { #@test
    skip_when_slow
    search 100 1400
}

test_udp_search_finds_1000_mbit() { #@test
    skip_when_slow
    mtu 9000
    search 1000 8000
}

# The true share is 2 %. 3.29 standard deviations on either side: a sound loss falls outside one time in a thousand.
test_udp_loss_of_two_percent_is_counted_datagram_by_datagram() { #@test
    count_measured "$MEASURED numgen random mod 1000 < 20 counter name dropped drop"
    measure --udp --udpbuf 64 --bandwidth 8M -t 2
    agrees_with_counters
    same "$(value .lost)" "$(counted "$M" dropped)"
    same "$(value .lost_on_path)" "$(counted "$M" dropped)"
    same "$(value .lost_in_socket)" 0
    same "$(value .duplicated)" 0
    same "$(value .limit)" path
    holds "$(value '(.loss_share - 0.02) | fabs') < 3.29 * sqrt(0.02 * 0.98 / $(value .sent))"
    wilson
}

# The interval that we print is Wilson's, 95 %.
wilson() {
    local n p
    n=$(value .sent)
    p=$(value .loss_share)
    near "$(value .loss_low_share)" "$(awk -v n="$n" -v p="$p" 'BEGIN {
        z = 1.959964; d = 1 + z * z / n; print (p + z * z / 2 / n - z * sqrt(p * (1 - p) / n + z * z / 4 / n / n)) / d }')" 0.0001
    near "$(value .loss_high_share)" "$(awk -v n="$n" -v p="$p" 'BEGIN {
        z = 1.959964; d = 1 + z * z / n; print (p + z * z / 2 / n + z * sqrt(p * (1 - p) / n + z * z / 4 / n / n)) / d }')" 0.0001
}

# Seven of every hundred, one after the other: the run has its length, and the count is no matter of chance.
test_udp_loss_in_a_row_is_the_longest_loss() { #@test
    count_measured "$MEASURED numgen inc mod 100 < 7 counter name dropped drop"
    measure --udp --udpbuf 200 --bandwidth 4M -t 1
    agrees_with_counters
    same "$(value .lost)" "$(counted "$M" dropped)"
    same "$(value .longest_loss)" 7
    same "$(value .reordered)" 0
}

test_udp_duplicates_are_told_from_the_first_copies() { #@test
    count_measured
    ip netns exec "$M" nft -f - <<<"table ip truth {
        counter doubled { }
        chain forward { type filter hook forward priority 1; $MEASURED numgen inc mod 50 < 1 counter name doubled dup to 10.77.2.1 device m1; }
    }" || skip "this kernel's nftables has no dup"
    measure --udp --udpbuf 200 --bandwidth 4M -t 1
    same "$(value .sent)" "$(counted "$M" seen)"
    same "$(value .lost)" 0
    same "$(value .duplicated)" "$(counted "$M" doubled)"
    same "$(value .received)" "$(value .sent)"
    same "$(value '.duplicated > 0')" true
    same "$(value '.sent + .duplicated')" "$(counted "$B" came)"
}

# The receiver sleeps while more arrives than its socket holds: all of it was inside the window, and none was lost on the path.
test_udp_overflow_of_the_receivers_socket_is_not_blamed_on_the_path() { #@test
    local before

    mtu 9000
    count_measured
    DOC=$BATS_TEST_TMPDIR/doc.json
    vnperf test "netns:$A" "netns:$B" --quiet --no-save --json "$DOC" \
        --udp --udpbuf 8000 --bandwidth 800M -t 4 --warmup 0.2 3>&- >/dev/null &
    vnperf_pid=$!
    wait_for 20 counted_more seen 2000
    stopped=$(ip netns pids "$B")
    kill -STOP "$stopped"
    before=$(counted "$M" seen)
    wait_for 20 counted_more seen $((before + 15000))
    kill -CONT "$stopped"
    wait "$vnperf_pid"
    agrees_with_counters_of_the_path
    same "$(value '.lost_in_socket > 0')" true
    same "$(value .lost_on_path)" 0
    same "$(value .lost)" "$(value .lost_in_socket)"
    same "$(value .limit)" receiver
}

counted_more() {
    [ "$(counted "$M" "$1")" -ge "$2" ]
}

# b's input hook stands before the socket: it saw what the socket had no room for.
agrees_with_counters_of_the_path() {
    same "$(value .sent)" "$(counted "$M" seen)"
    same "$(value .sent)" "$(counted "$B" came)"
}

# Seven of every hundred, again: how many runs there were, and how long they were on average.
test_udp_loss_in_rows_is_so_many_bursts() { #@test
    count_measured "$MEASURED numgen inc mod 100 < 7 counter name dropped drop"
    measure --udp --udpbuf 200 --bandwidth 4M -t 1
    same "$(value .lost)" "$(counted "$M" dropped)"
    same "$(value .loss_bursts)" "$((($(value .lost) + 6) / 7))"
}

# payload_of NS COUNTER: what its packets held, less IP and UDP headers. Several datagrams of one call are one packet to it, with
# one header.
payload_of() {
    echo $(($(counted "$1" "$2" bytes) - UDP_HEADERS * $(counted "$1" "$2")))
}

# A veth takes them as they are, so that the rule drops all datagrams of a call or none: datagrams are counted by bytes.
test_udp_segments_of_a_call_are_counted_one_by_one() { #@test
    count_measured "$MEASURED numgen inc mod 10 < 1 counter name dropped drop"
    measure --udp --udpbuf 1000 --bandwidth 80M --gso 16 -t 1
    same "$(value .segments)" 16
    same "$(($(value .sent) * 1000))" "$(payload_of "$M" seen)"
    same "$(($(value .lost) * 1000))" "$(payload_of "$M" dropped)"
    same "$(($(value .received) * 1000))" "$(payload_of "$B" came)"
    same "$(counted "$M" dropped)" "$(value .loss_bursts)"
    same "$(value .longest_loss)" 16
    same "$(value .lost_on_path)" "$(value .lost)"
}

# Behind a router that cuts them, since its next link cannot take them as one, they come as they are, and some get lost.
test_udp_segments_that_are_cut_on_the_way_are_counted_one_by_one() { #@test
    ip netns exec "$M" ethtool -K m1 tx-udp-segmentation off >/dev/null 2>&1 || skip "this veth cannot cut datagrams"
    count_measured
    rules "$B" "table inet truth {
        counter came { }
        counter gone { }
        chain input { type filter hook input priority 0; $MEASURED numgen inc mod 10 < 1 counter name gone drop; $MEASURED counter name came; }
    }"
    measure --udp --udpbuf 1000 --bandwidth 80M --gso 16 -t 1
    ip netns exec "$M" ethtool -K m1 tx-udp-segmentation on >/dev/null
    same "$(value .segments)" 16
    same "$(($(value .sent) * 1000))" "$(payload_of "$M" seen)"
    same "$(value .lost)" "$(counted "$B" gone)"
    same "$(value .received)" "$(counted "$B" came)"
    same "$(value .longest_loss)" 1
}

test_udp_datagrams_larger_than_the_link_go_one_by_one() { #@test
    count_measured
    measure --udp --udpbuf 2000 --bandwidth 20M --gso 8 -t 1
    same "$(value .segments)" 1
    same "$(value .lost)" 0
    same "$(value .pmtu_bytes)" 1500
}

test_udp_mix_has_the_bytes_of_its_sizes_and_the_rate() { #@test
    undisturbed '.skipped < .sent / 100' --sizes imix --bandwidth 20M -t 2
    agrees_with_counters
    same "$(value .lost)" 0
    same "$(value .sender.bytes)" "$(payload_of "$M" seen)"
    near "$(value .offered_bps)" 20e6 0.02
    near "$(value .throughput_bps)" 20e6 0.02
    # Seven of twelve are small, four of 548 bytes, one is of 1472.
    near "$(value '.sender.bytes / .sent')" "$(value '(7 * 32 + 4 * 548 + 1472) / 12')" 0.01
}

# What is large vanishes without a word: an answer in words and within seconds.
test_udp_black_hole_of_large_datagrams_is_named() { #@test
    local seconds=$SECONDS

    rules "$M" 'table inet truth { chain forward { type filter hook forward priority 0; meta l4proto udp udp length > 1000 drop; }; }'
    run vnperf test "netns:$A" "netns:$B" --quiet --no-save --udp --udpbuf 1400 --bandwidth 20M -t 2
    [ "$status" -ne 0 ]
    grep -q 'small datagrams arrive, of 1400 bytes not one of [0-9]' <<<"$output"
    holds "$((SECONDS - seconds)) <= 12"
}
