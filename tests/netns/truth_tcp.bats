# SPDX-License-Identifier: Apache-2.0
# TCP streams over a link whose rate is known: what arrives is the payload's share of the frames that the shaper counts.

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
