#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf plan: what a run would do. It takes run's options, so what they accept and refuse is tested here.

# shellcheck disable=SC2016 # shells of their own expand for themselves
bats_require_minimum_version 1.5.0
load ../helper

# refused WORDS ARG…: 2, nothing on stdout, one sentence with WORDS
refused() {
    local words=$1
    shift
    run --separate-stderr vnperf plan "$@"
    if [ "$status" != 2 ] || [ -n "$output" ] || [[ "${stderr:-}" != "vnperf: error: plan: "*"$words"* ]]; then
        echo "plan $*: $status, wanted: $words"
        echo "$output"
        echo "${stderr:-}"
        return 1
    fi
}

@test "all scenarios are planned, and nothing is touched" {
    run --separate-stderr vnperf plan
    [ "$status" -eq 0 ]
    [ "$(grep -c '^  measure ' <<<"$output")" = 23 ]
    [[ "$output" = *"23 scenarios of 23"*"nothing was touched"* ]]
    [ ! -e "$XDG_STATE_HOME" ]
    [ -z "${stderr:-}" ]
}

@test "plan works for who may do nothing, without ip and nft" {
    run --separate-stderr as_user env PATH=/nonexistent "$VNPERF" plan --scenarios 1.1
    [ "$status" -eq 0 ]
}

@test "what is made is removed" {
    run vnperf plan --scenarios 3.1,8.2
    [ "$status" -eq 0 ]
    [ "$(awk '$1 == "make" { print $2, $3 }' <<<"$output" | sort)" = "$(awk '$1 == "remove" { print $2, $3 }' <<<"$output" | sort)" ]
}

@test "only what a scenario needs is made" {
    run vnperf plan --scenarios 7.3
    [ "$status" -eq 0 ]
    [[ "$output" != *"make    vm"* ]]
    [[ "$output" != *"make    router"* ]]
}

@test "scenarios are chosen by number, group and pattern" {
    [ "$(vnperf plan --scenarios 1.1,2.*,8 | awk '$1 == "measure" { print $2 }' | xargs)" = "1.1 2.1 2.2 2.3 8.1 8.2" ]
    [ "$(vnperf plan --scenarios 7 | grep -c '^  measure ')" = 3 ]
}

@test "what is left out has its reason" {
    run vnperf plan --ipv6 --protocols T
    [ "$status" -eq 0 ]
    grep -qE '^  skip    5.1 .*: .*floating IPv6' <<<"$output"
    grep -qE '^  skip    1.2 .*: .*--protocols' <<<"$output"
    [ "$(vnperf plan --inter-node-only | grep -cE '^  (measure|skip) ')" = 23 ]
    [ "$(vnperf plan --inter-node-only | grep -cE '^  measure [135]\.')" = 0 ]
    [ "$(vnperf plan --same-network-only | grep -cE '^  measure [3-6]\.')" = 0 ]
}

@test "a time of 0.8 s is 800 ms exactly" {
    vnperf plan -t 0.8 --scenarios 1.3 | grep -q 'icmp_echo .* 800 ms$'
    vnperf plan -t 250ms --scenarios 1.3 | grep -q 'icmp_echo .* 250 ms$'
    vnperf plan -t 2min --scenarios 1.3 | grep -qE 'icmp_echo .* (120 s|2.00 min|2 min)$'
}

@test "times that are none are refused" {
    refused "a test lasts 0.1 s to 24 h" -t 0
    refused "a test lasts 0.1 s to 24 h" -t 25000min
    refused "time '-1' is negative" -t -1
    refused "time '1e400'" -t 1e400
    refused "an empty time" -t ''
    refused "time 'nan'" -t nan
    refused "time '0x10'" -t 0x10
    refused "time '1 '" -t '1 '
    refused "-t needs a value" -t
    refused "does not go with --time" --quick -t 3
}

@test "rates that are none are refused" {
    refused "rate '10Gb': 'Gb' is not a unit" --bandwidth 10Gb
    refused "rate '10GB'" -b 10GB
    refused "rate '-5' is negative" -b -5
    refused "rate '1e400'" -b 1e400
    refused "an empty rate" -b ''
    refused "share '2' is more than 1" --loss 2
    refused "share" --loss -0.1
    refused "an empty share" --loss ''
}

@test "a rate is taken as written" {
    vnperf plan -b 1.5M --scenarios 1.1 | grep -q 'tcp_stream .* 1.50 Mbit/s'
}

@test "sizes and counts that are none are refused" {
    refused "a size of 0 sends nothing" --tcpbuf 0
    refused "a payload of 8 bytes is not between 32 and 65507" --udpbuf 8
    refused "65508" --udpbuf 65508
    refused "empty" --udpbuf ''
    refused "empty" --tcpbuf 1,,2
    refused "'12x'" --tcpbuf 12x
    refused "number '0' is not between 1 and 4096" --flows 0
    refused "number '4097' is not between 1 and 4096" --flows 4097
    refused "number '-1'" --flows -1
    refused "a size of 0" --icmp-sizes 0
    refused "number '0'" --rr-size 0
    refused "number '0' is not between 1 and 65535" --port 0
    refused "number '70000'" --port 70000
    refused "the last port is below the first" --port 10-5
    refused "empty" --port ''
    refused "empty" --port 5001-
}

@test "64 flows are planned" {
    vnperf plan --flows 64 --scenarios 1.1 | grep -q 'tcp_stream .* 64 flows'
}

@test "words that are none are refused, with those there are" {
    refused "there is no scenario '9.9' (they are 1.1 to 7.4, 8.1 and 8.2" --scenarios 9.9
    refused "there is no scenario ''" --scenarios 1.1,
    refused "--scenarios: is empty" --scenarios ''
    refused "--cc: is empty" --cc ''
    refused "--agent: is empty" --agent ''
    refused "--json: is empty" --json ''
    refused "'X' is none of T (TCP), U (UDP), I (ICMP)" --protocols X
    refused "is empty" --protocols ''
    refused "'aws' is no driver" --driver aws
    refused "'xml' is none of table, wide, json" -o xml
    refused "'blue' is none of auto, always, never" --color blue
}

@test "an unknown option, one argument too many: 2, and a suggestion when one is near" {
    refused "there is no option '--secnarios': did you mean --scenarios?" --secnarios 1.1
    refused "there is no option '--bandwith=1G': did you mean --bandwidth?" --bandwith=1G
    refused "there is no option '-z'" -z
    refused "'extra' is one argument too many" extra
}

@test "a description may be empty, or hold anything" {
    vnperf plan --test-description '' --scenarios 7.3 >/dev/null
    vnperf plan --test-description $'a "b"\n\\' --scenarios 7.3 >/dev/null
    refused "is longer than" --test-description "$(printf '%1000s' x)"
}

@test "a closed stdout is said" {
    [ -e /dev/full ] || skip "needs /dev/full"
    run --separate-stderr bash -c '"$0" plan >/dev/full' "$VNPERF"
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"writing to standard output failed"* ]]
}
