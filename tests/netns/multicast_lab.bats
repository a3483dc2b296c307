# SPDX-License-Identifier: Apache-2.0
# Groups: the scenarios of the lab, and several receivers of which each has its own loss.

# shellcheck disable=SC2154 # bats sets status and output
bats_require_minimum_version 1.5.0
load ../helper

setup() {
    skip_unless_root
    skip_unless_command ip nft jq
    spaces=()
}

teardown() {
    local ns

    for ns in "${spaces[@]}"; do
        ip netns del "$ns" 2>/dev/null || true
    done
}

# A switch in $S and three machines on it, $A, $B and $C, 10.78.0.1 … 3.
switch_up() {
    local ns i=0

    S=vmc$$s A=vmc$$a B=vmc$$b C=vmc$$c
    spaces=("$S" "$A" "$B" "$C")
    for ns in "${spaces[@]}"; do
        ip netns add "$ns"
        ip -n "$ns" link set lo up
    done
    ip -n "$S" link add name sw0 type bridge mcast_snooping "${1:-0}" mcast_querier 0 forward_delay 0 stp_state 0
    ip -n "$S" link set sw0 up
    for ns in "$A" "$B" "$C"; do
        i=$((i + 1))
        ip -n "$ns" link add eth0 type veth peer name "p$i" netns "$S"
        ip -n "$ns" addr add "10.78.0.$i/24" dev eth0
        ip -n "$ns" addr add "fd78::$i/64" dev eth0 nodad
        ip -n "$ns" link set eth0 up
        ip -n "$S" link set "p$i" master sw0 up
    done
    for i in 1 2 3; do
        wait_for 5 carries "p$i"
    done
}

carries() {
    ip -d -n "$S" link show "$1" | grep -q 'state forwarding'
}

group() {
    DOC=$BATS_TEST_TMPDIR/doc.json
    vnperf test "netns:$A" "netns:$B" "netns:$C" --multicast --quiet --no-save --json - "$@" >"$DOC"
}

of() {
    jq -r --arg to "$1" ".scenarios[0].measurements[] | select(.to == \$to) | $2" "$DOC"
}

test_the_lab_measures_groups_of_one_network_and_skips_the_routed_ones() { #@test
    run --separate-stderr vnperf run --protocols M --quick --udpbuf 1024 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.summary | "\(.total) \(.passed) \(.failed)"')" = "30 3 0" ]
    [ "$(json '[.scenarios[] | select(.status == "passed") | .id] | join(" ")')" = "1.4 2.4 7.4" ]
    [ "$(json '[.scenarios[] | select(.id == "2.4") | .measurements[].to] | sort | join(" ")')" = "vm1 vm2" ]
    [ "$(json '[.scenarios[] | select(.status == "passed") | .measurements[] | .lost] | add')" = 0 ]
    [ "$(json '[.scenarios[] | select(.status == "passed") | .measurements[] | .kind] | unique | join(" ")')" = multicast ]
    # The usual rate is 10 Mbit/s a group.
    [ "$(json '[.scenarios[] | select(.status == "passed") | .measurements[] | .requested_bps] | unique[]')" = 10000000 ]
    [ "$(json '.scenarios[] | select(.id == "5.4") | .reason')" = "the router between the networks forwards no multicast" ]
    [ "$(json '.scenarios[] | select(.id == "1.4") | .protocol')" = multicast ]
}

test_an_ordinary_run_has_23_scenarios() { #@test
    run vnperf plan
    [ "$status" -eq 0 ]
    grep -q '^23 scenarios of 23' <<<"$output"
    ! grep -qi multicast <<<"$output"
    run vnperf plan --scenarios 2
    grep -q '^3 scenarios of 23' <<<"$output"
    run vnperf plan --scenarios 2.4
    grep -q '^1 scenario of 30' <<<"$output"
    run vnperf plan --group 231.1.1.1
    grep -q '^26 scenarios of 30' <<<"$output"
}

test_each_receiver_has_its_own_loss() { #@test
    switch_up
    # Every fourth datagram of the group is dropped before C, after the first ones.
    ip netns exec "$C" nft -f - <<'RULES'
table netdev t {
  counter gone {}
  chain in { type filter hook ingress device "eth0" priority 0; policy accept;
    ip daddr 231.1.1.1 udp dport 5001 numgen inc mod 4 0 counter name gone drop
  }
}
RULES
    group -t 1
    [ "$(of "netns:$B" .lost)" = 0 ]
    [ "$(of "netns:$B" .sent)" = "$(of "netns:$C" .sent)" ]
    awk -v share="$(of "netns:$C" .loss_share)" 'BEGIN { exit !(share > 0.245 && share < 0.255) }'
    [ "$(of "netns:$C" .longest_loss)" = 1 ]
    [ "$(of "netns:$B" '.jitter_ns != null')" = true ]
    [ "$(of "netns:$C" '.jitter_ns != null')" = true ]
}

test_a_receiver_that_hears_nothing_fails_alone() { #@test
    switch_up
    ip -n "$S" link set p3 nomaster
    ! group -t 1 || return 1
    [ "$(of "netns:$B" .lost)" = 0 ]
    [ "$(of "netns:$B" .error)" = null ]
    [ "$(of "netns:$C" .error)" != null ]
    jq -r '.scenarios[0].reason' "$DOC" | grep -q "netns:$C"
}

test_groups_of_ipv6_and_of_a_bridge_that_snoops() { #@test
    switch_up 1
    group -t 1 --ipv6
    [ "$(of "netns:$B" .lost)" = 0 ]
    [ "$(of "netns:$C" .lost)" = 0 ]
    group -t 1 --group 239.9.9.9 --bandwidth 2M
    [ "$(of "netns:$C" .lost)" = 0 ]
    [ "$(of "netns:$C" .requested_bps)" = 2000000 ]
}

test_more_than_two_endpoints_are_of_groups_alone() { #@test
    run vnperf test local local local --tcp
    [ "$status" -eq 2 ]
    grep -q 'only --multicast has several receivers' <<<"$output"
    run vnperf test local local --group 10.0.0.1
    [ "$status" -eq 2 ]
    grep -q '10.0.0.1 is no group' <<<"$output"
}
