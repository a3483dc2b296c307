# SPDX-License-Identifier: Apache-2.0
# Latency under load, over a queue that is as deep as we made it: what waits in it delays its own direction by its bytes over
# the rate, and the other direction by nothing.

# shellcheck disable=SC2154 # bats sets status and output
bats_require_minimum_version 1.5.0
load ../helper
load path

# A bucket so deep that a late timer costs the shaper nothing; a full queue waits for it, too.
MBIT=20 BUCKET_MS=10 QUEUE_MS=110
# The probe takes its share: 1000 a second of 44 bytes, with UDP's, IP's and Ethernet's headers 86.
LEFT=19.312

setup() {
    skip_unless_root
    skip_unless_command ip tc jq
}

teardown() {
    is_root || return 0
    path_clear
}

# Of the probe in a phase, of the stream in a phase and direction.
probe() {
    values ".scenarios[0].measurements[] | select(.load == \"$1\" and .throughput_bps == null) | $2"
}

stream() {
    values ".scenarios[0].measurements[] | select(.load == \"$1\" and .throughput_bps != null and .direction == \"$2\") | $3"
}

# Milliseconds of a probe's metric.
ms() {
    probe "$1" ".$2 / 1e6"
}

test_udp_that_overflows_the_queue_delays_by_all_of_it_and_the_table_says_so() { #@test
    shape "$M" m1 "$MBIT" $((QUEUE_MS - BUCKET_MS)) "$BUCKET_MS"
    # The table, too.
    DOC=$BATS_TEST_TMPDIR/doc.json
    run --separate-stderr vnperf test "netns:$A" "netns:$B" --no-save --json "$DOC" --under-load --udp --bandwidth 25M -t 2
    [ "$status" -eq 0 ]
    grep -qE 'above idle: p50 \+[0-9.]+ ms, p99 \+[0-9.]+ ms' <<<"$output"
    same "$(values '[.scenarios[0].measurements[] | .load] | join(" ")')" \
        "idle forward forward reverse reverse both both both"
    # The bucket lets some go at once, and a datagram is on its way while it is sent.
    for phase in forward both; do
        near "$(ms "$phase" forward_rise_p50_ns)" "$QUEUE_MS" 0.05
        near "$(ms "$phase" rise_p50_ns)" "$QUEUE_MS" 0.05
        near "$(ms "$phase" forward_max_ns)" "$QUEUE_MS" 0.15
        near "$(stream "$phase" forward .throughput_bps)" "$(payload_bps "$LEFT" 1400 28)" 0.02
        holds "$(ms "$phase" backward_rise_p50_ns) < $QUEUE_MS / 10"
    done
    holds "$(ms idle forward_p50_ns) < $QUEUE_MS / 10"
    # Back there is no queue.
    holds "$(ms reverse forward_rise_p50_ns) < $QUEUE_MS / 10"
    holds "$(ms reverse backward_rise_p50_ns) < $QUEUE_MS / 10"
    same "$(stream reverse reverse .lost)" 0
}

test_a_queue_on_the_way_back_delays_the_way_back() { #@test
    shape "$M" m0 "$MBIT" $((QUEUE_MS - BUCKET_MS)) "$BUCKET_MS"
    measure --under-load --udp --bandwidth 25M -t 2
    near "$(ms reverse backward_rise_p50_ns)" "$QUEUE_MS" 0.05
    near "$(ms both backward_rise_p50_ns)" "$QUEUE_MS" 0.05
    holds "$(ms reverse forward_rise_p50_ns) < $QUEUE_MS / 10"
    holds "$(ms forward backward_rise_p50_ns) < $QUEUE_MS / 10"
}

test_tcp_fills_the_queue_as_far_as_its_window() { #@test
    shape "$M" m1 "$MBIT" $((QUEUE_MS - BUCKET_MS)) "$BUCKET_MS"
    measure --under-load --cc cubic -t 3 --warmup 1
    near "$(stream forward forward .throughput_bps)" "$(payload_bps "$LEFT" 1448 52)" 0.03
    # TCP sees the same queue as the probe.
    near "$(ms forward forward_p50_ns)" "$(stream forward forward '.rtt_ns.p50 / 1e6')" 0.25
    holds "$(ms forward forward_rise_p99_ns) < 1.15 * $QUEUE_MS"
    holds "$(ms forward forward_rise_p50_ns) > $QUEUE_MS / 5"
    holds "$(ms forward backward_rise_p50_ns) < $QUEUE_MS / 10"
    holds "$(ms reverse forward_rise_p50_ns) < $QUEUE_MS / 10"
}

test_request_and_response_can_be_the_probe() { #@test
    shape "$M" m1 "$MBIT" $((QUEUE_MS - BUCKET_MS)) "$BUCKET_MS"
    measure --under-load --udp-rr --udp --bandwidth 25M -t 2
    same "$(probe forward .kind)" rr
    near "$(ms forward rise_p50_ns)" "$QUEUE_MS" 0.05
    same "$(probe forward .forward_rise_p50_ns)" null
}

test_what_does_not_go_together_is_said() { #@test
    local words

    for words in "--udp" "--udp --tcp" "--rr --stamp" "--bidir" "--reverse" "--icmp" "--multicast" "--tcpbuf 1024,2048"; do
        # shellcheck disable=SC2086 # words
        run vnperf test "netns:$A" "netns:$B" --under-load $words
        [ "$status" -eq 2 ]
        grep -q -- --under-load <<<"$output"
    done
}
