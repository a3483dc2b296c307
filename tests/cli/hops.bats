# SPDX-License-Identifier: Apache-2.0
# `vnperf hops`: what it says of questions that cannot be.

# shellcheck disable=SC2154 # bats sets status, output and stderr
bats_require_minimum_version 1.5.0
load ../helper

# refused SAYS ARG…
refused() {
    local says=$1
    shift
    run --separate-stderr vnperf hops "$@"
    echo "$status: $stderr"
    [ "$status" = 2 ]
    [[ $stderr == *"$says"* ]]
}

test_points_are_wanted() { #@test
    refused "at least two --at"
    refused "at least two --at" --at pif:lo
    refused "one of both" --at pif:lo --at pif:eth0 --path local local
    refused "FROM TO" --path
    refused "FROM without TO" --at pif:lo --at pif:eth0 local
}

test_a_point_that_is_none_is_refused() { #@test
    refused "none of pif:INTERFACE" --at lo --at pif:eth0
    refused "names no interface" --at netns:x --at pif:eth0
    refused "no interface's name" --at "netns:x/a name that is long" --at pif:eth0
    refused "no interface's name" --at pif: --at pif:eth0
    refused "twice" --at pif:lo --at pif:lo
    local -a many=()
    for i in $(seq 17); do many+=(--at "pif:e$i"); done
    refused "more than 16" "${many[@]}"
}

test_a_filter_that_does_not_compile_is_refused() { #@test
    refused "--filter 'tcp prot 80'" --at pif:lo --at pif:eth0 --filter 'tcp prot 80'
}

test_traffic_that_does_not_fit_is_refused() { #@test
    local -a at=(--at pif:lo --at pif:eth0)
    refused "none of tcp, udp, icmp, syn" "${at[@]}" --traffic sctp local local
    refused "FROM TO" "${at[@]}" --traffic udp
    refused "do not go together" "${at[@]}" --traffic udp --source-command true local local
    refused "say how --traffic is" "${at[@]}" --rate 1M
    refused "--gap says how often" "${at[@]}" --traffic icmp --rate 1M local local
    refused "--source says where" "${at[@]}" --source local
    refused "another program's server" "${at[@]}" --source iperf3://h --source-command true
    refused "none of auto, tcx, clsact, af_packet" "${at[@]}" --capture pcap
}

test_without_rights_it_says_which() { #@test
    is_root || skip "needs root, to become an ordinary user"
    skip_unless_command ip
    # Of an interface that is there, so that it is rights that lack.
    run --separate-stderr as_user vnperf hops --at pif:lo --at netns:nobodys/lo --for 100ms
    [ "$status" = 3 ]
    run --separate-stderr as_user vnperf hops --at pif:lo --at "pif:$(ip -o link | awk -F'[ @:]+' '$2 != "lo" { print $2; exit }')" --for 100ms
    echo "$status: $stderr"
    [ "$status" = 3 ]
    [[ $stderr == *CAP_* || $stderr == *"ot permitted"* ]]
}
