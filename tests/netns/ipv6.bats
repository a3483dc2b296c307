# SPDX-License-Identifier: Apache-2.0
# IPv6: the lab's fixed addresses, and every kind of test over a path on which IPv4 would be seen.

bats_require_minimum_version 1.5.0
load ../helper
load path

# Of 1500 bytes 40 are IPv6 and 32 TCP with timestamps; UDP has 48 of both.
MSS=1428

setup() {
    skip_unless_netns
    skip_unless_command ip nft tc jq
}

teardown() {
    is_root || return 0
    path_clear
}

families() {
    rules "$M" "table inet truth {
        counter v4 { }
        counter v6 { }
        chain forward {
            type filter hook forward priority 0
            meta nfproto ipv4 counter name v4
            meta nfproto ipv6 counter name v6
        }
    }"
}

measure_v6() {
    skip_unless_root
    families
    measure --ipv6 -t 1 "$@"
    same "$(counted "$M" v4)" 0
    same "$(values '.scenarios[0].to.address')" fd77:2::1
    holds "$(counted "$M" v6) > 0"
}

test_lab_over_ipv6_skips_floating_addresses_with_the_reason() { #@test
    DOC=$BATS_TEST_TMPDIR/lab.json
    vnperf run --quick --quiet --ipv6 --scenarios 1.1,2.3,5.1,7.2 --json - >"$DOC"
    same "$(values '[.scenarios[] | select(.status == "passed").id] | join(" ")')" "1.1 2.3 7.2"
    same "$(values '.scenarios[] | select(.id == "5.1").status')" skipped
    [[ $(values '.scenarios[] | select(.id == "5.1").reason') = *IPv6* ]]
    same "$(values '[.scenarios[] | select(.status == "passed") | .from, .to | .address | contains(":")] | all')" true
    # VXLAN takes 50 bytes of the underlay's 1500, and IPv6 72 of what is left.
    same "$(values '.scenarios[] | select(.id == "1.1").measurements[0].mss_bytes')" 1378
}

test_tcp_over_ipv6_fills_the_link() { #@test
    skip_unless_root
    shape "$M" m1 100 20 10
    measure_v6 --tcp --cc cubic --warmup 1 -t 2
    same "$(value .mss_bytes)" "$MSS"
    near "$(value .throughput_bps)" "$(payload_bps 100 "$MSS" 72)" 0.02
}

test_udp_over_ipv6_loses_what_the_link_has_no_room_for() { #@test
    skip_unless_root
    shape "$M" m1 10 3 5
    measure_v6 --udp --bandwidth 15M
    near "$(value .throughput_bps)" "$(payload_bps 10 1400 48)" 0.02
    same "$(value '.lost > 0 and .lost == .lost_on_path')" true
}

test_udp_over_ipv6_is_searched() { #@test
    skip_unless_root
    local truth try
    truth=$(payload_bps 10 1400 48)
    shape "$M" m1 10 3
    for try in 1 2 3 4 5; do
        measure_v6 --udp
        [ "$(value ".throughput_bps / $truth - 1 | fabs <= 0.02")" != true ] || return 0
        # A number that is off has its excuse: the search says that the sender was kept from sending.
        same "$(value '.warning // "" | startswith("disturbed")')" true
    done
    skip "the machine is busy with other work: the sender lost its CPU in each of $try searches"
}

test_icmp_over_ipv6_is_answered() { #@test
    measure_v6 --icmp
    same "$(value '.received > 0 and .received == .sent')" true
}

test_tcp_transactions_over_ipv6() { #@test
    measure_v6 --rr
    same "$(value '.transport + " \(.transactions > 0)"')" "tcp true"
}

test_udp_transactions_over_ipv6() { #@test
    measure_v6 --udp-rr
    same "$(value '.transport + " \(.transactions > 0)"')" "udp true"
}
