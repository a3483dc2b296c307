# SPDX-License-Identifier: Apache-2.0
# Debian's iperf 2 in both roles.
# shellcheck disable=SC2086,SC2154 # modes are words; foreign.bash has the names

bats_require_minimum_version 1.5.0
load ../helper
load foreign

setup_file() {
    is_root || return 0
    both_up
}

teardown_file() {
    is_root || return 0
    both_down
}

setup() {
    skip_unless_root
    skip_unless_command ip jq ss iperf python3
}

teardown() {
    background_end
}

# iperf in $A to our server; the sum of its last COUNT lines, one a stream, is $line; what it shows is $theirs.
iperf_to_us() {
    local count=$1 before
    shift
    before=$(wc -l <"$served")
    theirs=$BATS_TEST_TMPDIR/theirs
    ip netns exec "$A" timeout 40 iperf -c 10.78.0.2 -y C "$@" >"$theirs" 2>&1 3>&- || {
        cat "$theirs"
        return 1
    }
    wait_for 10 reports $((before + count)) || return 1
    line=$(tail -n "$count" "$served" | jq -s '{bytes: map(.received.bytes) | add, packets: map(.received.packets) | add,
        lost: map(.received.lost) | add, throughput_bps: map(.received.throughput_bps) | add, errors: map(.error // empty)}')
    same "$(jq -c .errors <<<"$line")" '[]'
}

line() {
    jq -r "$1" <<<"$line"
}

# Sum of field N over the streams' lines that iperf writes with -y C: 8 bytes, 9 bit/s. (A line of stream -1 is their sum.)
field() {
    awk -F, -v n="$1" '$6 > 0 { sum += $n } END { printf "%.0f", sum }' "$theirs"
}

@test "an iperf 2 client sends TCP to us" {
    serve --iperf2
    iperf_to_us 1 -t 1
    same "$(line .bytes)" "$(field 8)"
    near_in_time "$(line .throughput_bps)" "$(field 9)" 0.03
    iperf_to_us 1 -n 20M
    same "$(line .bytes)" 20971520
    iperf_to_us 3 -t 1 -P 3
    same "$(line .bytes)" "$(field 8)"
}

@test "an iperf 2 client sends UDP to us, and shows our answer" {
    serve --iperf2
    iperf_to_us 1 -u -t 1 -b 10M
    same "$(line .bytes)" "$(field 8)"
    near_in_time "$(line .throughput_bps)" "$(field 9)" 0.03
    run ip netns exec "$A" iperf -c 10.78.0.2 -u -t 1 -b 10M
    [ "$status" = 0 ]
    [[ "$output" == *"Server Report"* ]]
    same "$(grep -oE '[0-9]+/[0-9]+ \(' <<<"$output")" "$(tail -1 "$served" | jq -r '"\(.received.lost)/\(.received.packets + .received.lost) ("')"
    iperf_to_us 2 -u -t 1 -b 10M -P 2 -l 200
    same "$(line '.packets > 0')" true
}

@test "we send TCP to an iperf 2 server" {
    behind iperf -s -y C
    wait_for 10 listens -t 5001
    client peer=iperf2 port=5001 cc=cubic
    wait_for 10 grep -q , "$behind_out"
    same "$(part '.far_received.bytes')" "$(tail -1 "$behind_out" | cut -d, -f 8)"
    near_in_time "$(part .far_received.throughput_bps)" "$(tail -1 "$behind_out" | cut -d, -f 9)" 0.03
}

@test "we send UDP to an iperf 2 server" {
    behind iperf -s -u
    wait_for 10 listens -u 5001
    client peer=iperf2 port=5001 kind=udp_stream payload_bytes=1000 rate=10000000
    same "$(part .far_received.received)" "$(part .sent.sent)"
    same "$(part '.far_received.bytes')" "$(part '.sent.bytes')"
    near_in_time "$(part .far_received.throughput_bps)" "$(part .sent.offered_bps)" 0.03
}

@test "what iperf 2 cannot do, and a server that is not there, are said in a sentence" {
    run client peer=iperf2 port=5001 direction=2
    [ "$status" = 1 ]
    [[ "$output" == *"--reverse"* ]]
    run client peer=iperf2 port=5001
    [ "$status" = 1 ]
    [[ "$output" == *"10.78.0.2 port 5001"*"refused"* ]]
    run client peer=iperf2 port=5001 kind=udp_stream payload_bytes=1000 rate=1000000
    [ "$status" = 1 ]
    [[ "$output" == *"nobody takes datagrams there"* ]]
}
