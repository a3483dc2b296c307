# SPDX-License-Identifier: Apache-2.0
# nuttcp and iperf as they are, over a link whose rate is known, and on bad days.

# shellcheck disable=SC2154 # bats sets status and output
bats_require_minimum_version 1.5.0
load ../helper
load path

setup() {
    skip_unless_root
    skip_unless_command ip tc jq ss
}

teardown() {
    is_root || return 0
    path_clear
}

with() {
    skip_unless_command "$1"
    shape "$M" m1 20 100
}

# Nothing of the tools is left at the ends.
gone() {
    local ns

    for ns in "$A" "$B"; do
        [ -z "$(ip netns pids "$ns")" ] || {
            ip netns pids "$ns" | xargs ps -f -p
            return 1
        }
    done
}

test_nuttcp_tcp_and_udp_give_the_links_rate() { #@test
    with nuttcp
    measure --tp-tool nuttcp -t 3
    same "$(value .tool)" nuttcp
    # It counts from the first byte to the last, start and end included.
    near "$(value .throughput_bps)" "$(payload_bps 20 1448 52)" 0.05
    same "$(value '.retransmits != null')" true
    measure --tp-tool nuttcp --udp --bandwidth 25M -t 2
    near "$(value .throughput_bps)" "$(payload_bps 20 1400 28)" 0.07
    near "$(value .offered_bps)" 25000000 0.05
    holds "$(value .loss_share) > 0.15"
    measure --tp-tool nuttcp --udp --bandwidth 10M -t 2
    near "$(value .throughput_bps)" 10000000 0.03
    same "$(value .lost)" 0
    gone
}

test_iperf_tcp_and_udp_give_the_links_rate() { #@test
    with iperf
    measure --tp-tool iperf -t 3 --cc cubic
    same "$(value .tool)" iperf
    near "$(value .throughput_bps)" "$(payload_bps 20 1448 52)" 0.05
    same "$(value '.retransmits != null')" true
    same "$(value .congestion_control)" cubic
    measure --tp-tool iperf --udp --bandwidth 25M -t 2
    near "$(value .throughput_bps)" "$(payload_bps 20 1400 28)" 0.07
    near "$(value .offered_bps)" 25000000 0.05
    holds "$(value .loss_share) > 0.15"
    measure --tp-tool iperf --udp --bandwidth 10M -t 2
    # 10 Mbit/s, and not 10 x 1024 x 1024.
    near "$(value .throughput_bps)" 10000000 0.02
    same "$(value .lost)" 0
    same "$(value '.jitter_ns != null')" true
    gone
}

test_the_other_way_round_many_flows_and_ipv6() { #@test
    local tool

    with nuttcp
    skip_unless_command iperf
    unshape "$M" m1
    shape "$M" m0 20 100
    for tool in nuttcp iperf; do
        measure --tp-tool "$tool" -t 2 --reverse
        same "$(value .direction)" reverse
        near "$(value .throughput_bps)" "$(payload_bps 20 1448 52)" 0.07
        measure --tp-tool "$tool" -t 2 --reverse --ipv6 --flows 3
        same "$(value .flows)" 3
        near "$(value .throughput_bps)" "$(payload_bps 20 1428 72)" 0.1
    done
    gone
}

test_an_end_behind_a_command() { #@test
    with iperf
    DOC=$BATS_TEST_TMPDIR/doc.json
    vnperf test "netns:$A" "exec:ip netns exec $B" --quiet --no-save --json - --tp-tool iperf -t 1 >"$DOC"
    near "$(value .throughput_bps)" "$(payload_bps 20 1448 52)" 0.1
    gone
}

test_a_tool_that_is_not_there() { #@test
    local bin=$BATS_TEST_TMPDIR/bin program

    mkdir "$bin"
    for program in sh cat grep sleep kill; do
        ln -s "$(type -P "$program")" "$bin/$program"
    done
    PATH=$bin run "$VNPERF" test "netns:$A" "netns:$B" --tp-tool nuttcp -t 1 --no-save --agent "$VNPERF_AGENT"
    [ "$status" -eq 3 ]
    grep -q "nuttcp is not installed at netns:$B: Debian's package nuttcp has it" <<<"$output"
}

# taken PORT…: somebody listens there, in b
taken() {
    skip_unless_command python3
    ip netns exec "$B" python3 -c 'import socket, sys
held = [socket.create_server(("", int(port))) for port in sys.argv[1:]]
sys.stdin.read()' "$@" < <(sleep 60) &
    taker=$!
    wait_for 10 listens
}

test_a_port_that_is_taken() { #@test
    with iperf
    taken 5001
    run vnperf test "netns:$A" "netns:$B" --tp-tool iperf -t 1 --no-save --port 5001
    kill "$taker"
    [ "$status" -eq 3 ]
    grep -q "port 5001 at netns:$B, which iperf needs: Address already in use" <<<"$output"
}

test_ports_that_are_taken_are_passed_over() { #@test
    with iperf
    skip_unless_command nuttcp
    taken 5001 5003
    measure --tp-tool iperf -t 1
    same "$(value .port)" 5002
    # Data and control stand side by side.
    measure --tp-tool nuttcp -t 1
    same "$(value .port)" 5004
    run vnperf test "netns:$A" "netns:$B" --tp-tool nuttcp -t 1 --no-save --port 5001-5003
    kill "$taker"
    [ "$status" -eq 3 ]
    grep -q "netns:$B: all of TCP and UDP ports 5001 to 5003 that nuttcp could use are taken (--port names others)" <<<"$output"
}

listens() {
    [ -n "$(ip netns exec "$B" ss -Hltn '( sport = :5001 )')" ]
}

running() {
    ip netns pids "$A" | xargs -r ps -o comm= -p | grep -qx iperf
}

test_an_interrupt_ends_the_tools_too() { #@test
    local pid code=0

    with iperf
    "$VNPERF" test "netns:$A" "netns:$B" --tp-tool iperf -t 30 --no-save >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    pid=$!
    wait_for 20 running
    kill -TERM "$pid"
    wait "$pid" || code=$?
    [ "$code" -eq 143 ]
    wait_for 10 gone
}

test_what_a_tool_cannot_is_refused() { #@test
    run vnperf test local local --tp-tool iperf --udp
    [ "$status" -eq 2 ]
    grep -q 'iperf sends UDP at a given rate: --bandwidth' <<<"$output"
    run vnperf test local local --tp-tool nuttcp --rr
    [ "$status" -eq 2 ]
    run vnperf test local local --tp-tool ttcp
    [ "$status" -eq 2 ]
    grep -q "'ttcp' is neither nuttcp nor iperf" <<<"$output"
}
