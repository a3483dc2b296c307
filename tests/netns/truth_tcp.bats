# SPDX-License-Identifier: Apache-2.0
# TCP streams over a link whose rate is known: what arrives is the payload's share of the frames that the shaper counts.

# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load ../helper
load path

# With timestamps, as Linux has them by default: 1448 of 1500 bytes are payload, and 52 are headers.
MSS=1448
TCP_HEADERS=52

setup() {
    skip_unless_root
    skip_unless_command ip tc jq
}

teardown() {
    is_root || return 0
    path_clear
}

# cubic fills a queue and goes on; the first loss, of slow start, is over when the window begins.
tcp() {
    measure --tcp --cc cubic --warmup 1 "$@"
}

full_link() {
    near "$(value .throughput_bps)" "$(payload_bps "$1" "$MSS" "$TCP_HEADERS")" 0.02
    same "$(value .mss_bytes)" "$MSS"
}

test_tcp_fills_a_router_of_10_mbit() { #@test
    shape "$M" m1 10 20 10
    tcp -t 6
    full_link 10
    same "$(value .limit)" path
}

test_tcp_fills_a_router_of_100_mbit() { #@test
    shape "$M" m1 100 20 10
    tcp -t 2
    full_link 100
    same "$(value .limit)" path
}

test_tcp_fills_a_router_of_1000_mbit() { #@test
    shape "$M" m1 1000 20 10
    tcp -t 2
    full_link 1000
    same "$(value .limit)" path
}

test_tcp_fills_its_own_interface_of_10_100_and_1000_mbit() { #@test
    local mbit

    for mbit in 10 100 1000; do
        shape "$A" a0 "$mbit" 20 10
        tcp -t $((mbit == 10 ? 6 : 2))
        full_link "$mbit"
        same "$(value .limit)" path
    done
}

test_tcp_keeps_to_the_rate_asked_for() { #@test
    shape "$M" m1 10 20 10
    tcp --bandwidth 5M -t 2
    near "$(value .throughput_bps)" 5000000 0.02
    same "$(value .limit)" requested_rate
    same "$(value .retransmits)" "0"
}

test_tcp_of_four_flows_adds_up_to_the_link() { #@test
    shape "$M" m1 100 20 10
    tcp --flows 4 -t 3
    full_link 100
    same "$(value .flows)" "4"
    same "$(value .limit)" path
    # What each flow counted is what all of them did.
    same "$(value '.receiver.flow_bytes | length')" "4"
    same "$(value '(.receiver.flow_bytes | add) == .receiver.bytes')" "true"
    same "$(value '(.sender.flow_bytes | add) == .sender.bytes')" "true"
}

test_tcp_in_reverse_meets_the_other_shaper() { #@test
    shape "$M" m1 100 20 10
    shape "$M" m0 30 20 10
    tcp --reverse -t 3
    full_link 30
    same "$(value .direction)" "reverse"
    same "$(value .limit)" path
}

# Several flows, as one that halves its window while the other way's queue delays it leaves a gap.
test_tcp_both_ways_at_once_fills_both() { #@test
    local way

    shape "$M" m1 100 10 10
    shape "$M" m0 50 10 10
    tcp --bidir --flows 4 -t 3
    [ "$(values '.scenarios[0].measurements | map(.direction) | sort | join(" ")')" = "forward reverse" ]
    for way in "forward 100 50" "reverse 50 100"; do
        # shellcheck disable=SC2086 # three words
        both_ways $way
    done
}

# both_ways DIRECTION MBIT OTHER-MBIT: what the link carries less an acknowledgement of 66 bytes for every second segment of the
# other way, or for fewer.
both_ways() {
    local got most least

    got=$(values ".scenarios[0].measurements[] | select(.direction == \"$1\").throughput_bps")
    most=$(payload_bps "$2" "$MSS" "$TCP_HEADERS")
    least=$(awk -v most="$most" -v other="$3" 'BEGIN { print most - other * 1e6 / 1514 / 2 * 66 * 1448 / 1514 }')
    holds "$got <= $most * 1.02 && $got >= $least * 0.98"
}

test_tcp_of_64_flows_moves_bytes_on_every_one() { #@test
    tcp --flows 64 -t 2
    same "$(value '.receiver.flow_bytes | length')" "64"
    same "$(value '.receiver.flow_bytes | map(select(. > 0)) | length')" "64"
    same "$(value '.sender.flow_bytes | map(select(. > 0)) | length')" "64"
    same "$(value '(.receiver.flow_bytes | add) == .receiver.bytes')" "true"
    same "$(value '.throughput_bps > 0')" "true"
}

# ---- what is asked of the sockets, as the wire and the kernel show it ----

test_tcp_lean_fills_the_same_link_as_app() { #@test
    local io

    shape "$M" m1 100 20 10
    for io in app lean; do
        tcp --io "$io" -t 2
        full_link 100
        same "$(value .io)" "$io"
    done
}

# Slow enough that no megabyte comes together in an interval: each has its share all the same.
test_tcp_lean_counts_a_slow_path_when_it_comes() { #@test
    shape "$M" m1 10 20 10
    tcp --io lean -t 4
    full_link 10
}

test_tcp_lean_keeps_to_the_rate_asked_for() { #@test
    shape "$M" m1 10 20 10
    tcp --io lean --bandwidth 5M -t 2
    near "$(value .throughput_bps)" 5000000 0.02
}

test_tcp_of_an_asked_mss_sends_segments_of_that_size() { #@test
    rules "$B" "table inet t {
        counter large { }
        chain in { type filter hook input priority 0; tcp dport 5001-5031 ip length > 1040 counter name large; }
    }"
    shape "$M" m1 20 20 10
    tcp --mss 1000 -t 1
    # 12 bytes of it are time stamps; 40 are headers.
    same "$(value .mss_bytes)" "988"
    same "$(value .sender.requested_mss_bytes)" "1000"
    same "$(value .receiver.requested_mss_bytes)" "1000"
    tcp -t 1
    holds "$(counted "$B" large) > 0"
}

test_tcp_with_a_dscp_marks_every_packet_of_both_sides() { #@test
    rules "$M" "table ip t {
        counter there { }
        counter back { }
        counter other { }
        chain c {
            type filter hook forward priority 0
            meta l4proto != tcp accept
            ip dscp 46 iifname m0 counter name there accept
            ip dscp 46 iifname m1 counter name back accept
            counter name other
        }
    }"
    # A preflight asks whether a port answers, with packets of its own.
    tcp --no-preflight --dscp 46 --bandwidth 50M -t 1
    holds "$(counted "$M" there) > 1000"
    holds "$(counted "$M" back) > 10"
    same "$(counted "$M" other)" "0"
    same "$(value .sender.dscp)" "46"
}

test_tcp_with_a_window_keeps_to_it() { #@test
    tcp --window 64K --bandwidth 50M -t 1
    same "$(value .sender.requested_window_bytes)" "$((64 * 1024))"
    same "$(value .sender.send_buffer_bytes)" "$((128 * 1024))"
    same "$(value .receiver.receive_buffer_bytes)" "$((128 * 1024))"
}

# ---- bad days ----

# Handshake and token are small. Nobody says that the large ones are dropped, so the sender's MSS stays.
test_tcp_through_a_path_that_drops_large_packets_says_so() { #@test
    local io

    rules "$M" "table ip t {
        chain c { type filter hook forward priority 0; ip length > 1000 drop; }
    }"
    for io in app lean; do
        run --separate-stderr vnperf test "netns:$A" "netns:$B" --tcp --io "$io" --quiet --no-save -t 30
        [ "$status" != 0 ]
        [[ "$output$stderr" == *"small packets came through, none with an MSS of $MSS bytes did"* ]] || {
            echo "$output$stderr"
            return 1
        }
    done
}

# The path takes nothing any more in mid test: no reset, no answer.
test_tcp_over_a_path_that_goes_silent_ends_by_itself() { #@test
    local io

    for io in app lean; do
        rules "$M" "table ip t {
            chain c { type filter hook forward priority 0; quota over 20 mbytes drop; }
        }"
        run --separate-stderr vnperf test "netns:$A" "netns:$B" --tcp --io "$io" --bandwidth 200M --quiet --no-save -t 30
        [ "$status" != 0 ]
        [[ "$output$stderr" == *"nothing "*" for 3 s"* ]] || {
            echo "$output$stderr"
            return 1
        }
    done
}

test_tcp_of_a_thousand_flows_raises_the_soft_limit() { #@test
    [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 1200 ] || skip "the hard limit of open files is below 1200"
    ulimit -Sn 256
    tcp --flows 1000 -t 2
    same "$(value '.receiver.flow_bytes | length')" "1000"
    same "$(value '.throughput_bps > 0')" "true"
}

test_tcp_of_a_thousand_flows_under_a_low_hard_limit_names_it() { #@test
    run --separate-stderr bash -c "ulimit -n 256; exec '$VNPERF' test 'netns:$A' 'netns:$B' --tcp --flows 1000 --quiet --no-save -t 1"
    [ "$status" != 0 ]
    [[ "$output$stderr" == *"1000 flows need more than the 256 files this process may have open (RLIMIT_NOFILE, ulimit -n)"* ]] || {
        echo "$output$stderr"
        return 1
    }
}
