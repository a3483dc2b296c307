# SPDX-License-Identifier: Apache-2.0
# Our counts against the counts of others: interfaces, nftables, the kernel's TCP, ping, iperf3.

bats_require_minimum_version 1.5.0
load ../helper
load path

setup() {
    skip_unless_root
    skip_unless_command ip tc nft jq
}

teardown() {
    is_root || return 0
    [ -z "${iperf3_pid:-}" ] || kill "$iperf3_pid" 2>/dev/null || true
    path_clear
}

# received NS DEV bytes|packets: of the interface, so far.
received() {
    ip -n "$1" -s -j link show dev "$2" | jq ".[0].stats64.rx.$3"
}

# Segments are counted as the kernel moves them, many to a packet: each packet has one header of 66 bytes. The trial's tail of
# 20 ms is no part of the window; nor is what connects and proves the token.
test_tcp_bytes_are_those_of_the_interface() { #@test
    local bytes packets payload

    bytes=$(received "$B" b0 bytes)
    packets=$(received "$B" b0 packets)
    measure --tcp --cc cubic --bandwidth 80M --warmup 0 -t 4
    bytes=$(($(received "$B" b0 bytes) - bytes))
    packets=$(($(received "$B" b0 packets) - packets))
    payload=$((bytes - packets * 66))
    same "$(value .retransmits)" 0
    near "$(value .receiver.bytes)" "$payload" 0.01
    near "$(value .sender.bytes)" "$payload" 0.01
    holds "$(value .receiver.bytes) <= $payload"
}

# Every frame is accounted for: ours by their flags, what else is IP by nftables, and the rest is ARP.
test_udp_frames_of_the_interface_are_explained_one_by_one() { #@test
    local bytes packets arp ip_bytes ip_packets

    rules "$B" "table inet truth {
        counter ip_packets { }
        counter warmup { }
        counter measured { }
        counter tail { }
        counter ending { }
        chain prerouting {
            type filter hook prerouting priority 0
            iifname b0 counter name ip_packets
            meta l4proto udp @th,256,16 1 counter name warmup
            meta l4proto udp @th,256,16 2 counter name measured
            meta l4proto udp @th,256,16 4 counter name tail
            meta l4proto udp @th,256,16 8 counter name ending
        }
    }"
    bytes=$(received "$B" b0 bytes)
    packets=$(received "$B" b0 packets)
    measure --no-preflight --udp --udpbuf 1000 --bandwidth 8M -t 2 --warmup 0.5
    bytes=$(($(received "$B" b0 bytes) - bytes))
    packets=$(($(received "$B" b0 packets) - packets))
    ip_bytes=$(counted "$B" ip_packets bytes)
    ip_packets=$(counted "$B" ip_packets)
    arp=$((packets - ip_packets))

    same "$(value .sent)" "$(counted "$B" measured)"
    same "$(value .received)" "$(counted "$B" measured)"
    same "$(value '.sent * 1028')" "$(counted "$B" measured bytes)"
    # Half a second of warm-up and 20 ms of tail, at 1000 datagrams a second.
    near "$(counted "$B" warmup)" 500 0.02
    holds "$(counted "$B" tail) >= 10 && $(counted "$B" tail) <= 30"
    holds "$(counted "$B" ending) >= 1 && $(counted "$B" ending) <= 10"
    # What is left are a handful: the proof of the token, and a neighbour's question.
    holds "$ip_packets - $(counted "$B" warmup) - $(counted "$B" measured) - $(counted "$B" tail) - $(counted "$B" ending) <= 10"
    holds "$arp >= 0 && $arp <= 5"
    same "$bytes" $((ip_bytes + arp * 28 + packets * 14))
}

test_tcp_throughput_is_that_of_iperf3() { #@test
    local theirs

    skip_unless_command iperf3
    shape "$M" m1 200 20 10
    ip netns exec "$B" iperf3 --server --one-off 3>&- >"$BATS_TEST_TMPDIR/server" 2>&1 &
    iperf3_pid=$!
    wait_for 10 iperf3_listens
    ip netns exec "$A" iperf3 --client 10.77.2.1 --congestion cubic --omit 1 --time 3 --json >"$BATS_TEST_TMPDIR/iperf3.json"
    theirs=$(jq .end.sum_received.bits_per_second "$BATS_TEST_TMPDIR/iperf3.json")
    measure --tcp --cc cubic --warmup 1 -t 3
    near "$(value .throughput_bps)" "$theirs" 0.03
}

iperf3_listens() {
    ip netns exec "$B" ss -Hltn 'sport = :5201' | grep -q .
}

retransmitted() {
    # shellcheck disable=SC2016 # $ is awk's
    ip netns exec "$A" awk '/^Tcp:/ { if (n++) print $13 }' /proc/net/snmp
}

# The connection's own packets pass; of the payload's one in a hundred does not, and the kernel repeats whole packets of several
# segments. What it repeats after the window is its own.
test_tcp_retransmits_are_the_kernels() { #@test
    local kernel

    rules "$M" "table inet truth {
        counter dropped { }
        chain forward {
            type filter hook forward priority 0
            meta l4proto tcp meta length > 500 numgen inc mod 100 < 1 counter name dropped drop
        }
    }"
    kernel=$(retransmitted)
    measure --tcp --cc cubic --bandwidth 20M --warmup 0 -t 3
    kernel=$(($(retransmitted) - kernel))
    holds "$(counted "$M" dropped) > 0"
    holds "$(value .retransmits) >= $(counted "$M" dropped) * 0.9 - 3"
    holds "$(value .retransmits) <= $kernel && $(value .retransmits) >= $kernel * 0.9 - 3"
}

test_icmp_requests_and_answers_are_those_on_the_path() { #@test
    rules "$M" "table inet truth {
        counter requests { }
        counter answers { }
        counter dropped { }
        chain forward {
            type filter hook forward priority 0
            icmp type echo-request counter name requests
            icmp type echo-request numgen inc mod 20 < 1 counter name dropped drop
            icmp type echo-reply counter name answers
        }
    }"
    measure --icmp --warmup 0 -t 1
    same "$(value .sent)" "$(counted "$M" requests)"
    same "$(value .received)" "$(counted "$M" answers)"
    same "$(value .lost)" "$(counted "$M" dropped)"
    same "$(value '.lost > 0')" true
    same "$(value .rtt_ns.count)" "$(value .received)"
}

# On a link of 1 Mbit/s with an empty bucket a request of 1042 bytes takes 8.336 ms, and the next one leaves when the answer is
# here: that is the time of each round, but for the little that lies between answer and request. ping -f does as we do, but also sends when
# 10 ms are over.
test_icmp_round_trips_take_as_long_as_the_link_and_as_ping_says() { #@test
    local theirs

    skip_unless_command ping
    tc -n "$M" qdisc replace dev m1 root tbf rate 1mbit burst 2000 limit 20000
    measure --icmp --icmp-gap 0 --icmp-sizes 1000 --warmup 0.2 -t 2
    near "$(value .rtt_ns.p50)" 8336000 0.05
    near "$(value .rtt_ns.mean)" 8336000 0.05
    near "$(value .sent)" "$(awk 'BEGIN { print 2 / 0.008336 }')" 0.02
    theirs=$(ip netns exec "$A" ping -f -q -s 1000 -c 200 10.77.2.1 | awk -F/ '/^rtt/ { print $5 * 1e6 }')
    holds "$(value .rtt_ns.mean) >= 0.5 * $theirs && $(value .rtt_ns.mean) <= 2 * $theirs"
}

# Where nothing delays, both see what the machine takes: the same order.
test_icmp_round_trips_of_a_free_path_are_of_pings_order() { #@test
    local least most

    skip_unless_command ping
    read -r least most < <(ip netns exec "$A" ping -q -i 0.01 -c 100 10.77.2.1 |
        awk -F'[/= ]+' '/^rtt/ { print $6 * 1e6, $8 * 1e6 }')
    measure --icmp --icmp-gap 10ms -t 1
    holds "$(value .rtt_ns.p50) >= 0.2 * $least && $(value .rtt_ns.p50) <= 5 * $most"
}

# A transaction is two packets. The length tells them from those that prove the token; the last one may be cut short by the end.
test_udp_transactions_are_half_of_the_packets_on_the_path() { #@test
    local packets

    rules "$M" "table inet truth {
        counter rounds { }
        chain forward {
            type filter hook forward priority 0
            udp length 208 counter name rounds
        }
    }"
    measure --udp-rr --rr-size 200 --warmup 0 -t 1
    packets=$(counted "$M" rounds)
    same "$(value .timeouts)" 0
    holds "$(value .transactions) > 0"
    holds "$packets - 2 * $(value .transactions) >= 0 && $packets - 2 * $(value .transactions) <= 2"
    same "$(value .rtt_ns.count)" "$(value .transactions)"
}

test_tcp_transactions_are_half_of_the_segments_with_payload() { #@test
    local packets

    rules "$M" "table inet truth {
        counter rounds { }
        chain forward {
            type filter hook forward priority 0
            meta l4proto tcp meta length 252 counter name rounds
        }
    }"
    measure --rr --rr-size 200 --warmup 0 -t 1
    packets=$(counted "$M" rounds)
    holds "$(value .transactions) > 0"
    holds "$packets - 2 * $(value .transactions) >= 0 && $packets - 2 * $(value .transactions) <= 2"
    same "$(value .rtt_ns.count)" "$(value .transactions)"
}
