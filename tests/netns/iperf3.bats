# SPDX-License-Identifier: Apache-2.0
# Debian's iperf3 in both roles: every mode goes to its end, and what we say is what it says.
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
    skip_unless_command ip jq ss iperf3 python3
}

teardown() {
    background_end
}

# iperf3 in $A against our server in $B; its document is $theirs, our line of it is $line.
iperf3_to_us() {
    local before
    before=$(wc -l <"$served")
    theirs=$BATS_TEST_TMPDIR/theirs
    ip netns exec "$A" timeout 40 iperf3 -J -c "${host:-10.78.0.2}" "$@" >"$theirs" 3>&- || {
        echo "iperf3 $*: $(jq -r .error "$theirs")"
        return 1
    }
    same "$(jq -r .error "$theirs")" null || return 1
    wait_for 10 reports $((before + 1)) || return 1
    line=$(tail -1 "$served")
    same "$(jq -r .error <<<"$line")" null
}

told() {
    jq -r "$1" "$theirs"
}

line() {
    jq -r "$1" <<<"$line"
}

@test "an iperf3 client sends TCP to us, in every mode, and shows what we counted" {
    local mode
    serve
    for mode in "-t 1 -C cubic" "-t 1 -P 4" "-t 2 -O 1 -i 0.5" "-t 1 -b 100M" "-t 1 -l 1460 -M 1000 -w 64K -N" "-n 20M" "-k 50" \
        "-t 1 -S 184" "-t 1 -Z"; do
        echo "mode $mode"
        iperf3_to_us $mode
        same "$(line .protocol)" tcp
        # What it shows for the receiver is ours.
        same "$(told .end.sum_received.bytes)" "$(line .received.bytes)"
        near_in_time "$(line .received.throughput_bps)" "$(told .end.sum_received.bits_per_second)" 0.03
        near_in_time "$(line .received.bytes)" "$(told .end.sum_sent.bytes)" 0.03
    done
    # Given bytes arrive to the last one; iperf3 looks how many it has sent between blocks of 128 KiB, up to ten at a time.
    iperf3_to_us -n 20M
    same "$(line .received.bytes)" "$(told .end.sum_sent.bytes)"
    [ $(($(line .received.bytes) - 20971520)) -ge 0 ]
    [ $(($(line .received.bytes) - 20971520)) -lt $((10 * 131072)) ]
}

@test "we send TCP to an iperf3 client" {
    local mode
    serve
    # Given bytes: again and again, as the end meets the client in the middle of a block or not.
    for mode in "-n 20M" "-n 20M" "-n 20M" "-n 20M" "-t 1" "-t 1 -P 3" "-t 1 -b 50M" "-t 2 -O 1" "-n 20M" "-t 1 -C cubic -l 4096"; do
        echo "mode -R $mode"
        iperf3_to_us -R $mode
        same "$(told .end.sum_sent.bytes)" "$(line .sent.bytes)"
        same "$(told .end.sum_sent.retransmits)" "$(line .sent.retransmits)"
        [[ "$mode" == -n* ]] || near "$(line .sent.offered_bps)" "$(told .end.sum_sent.bits_per_second)" 0.03
    done
}

@test "an iperf3 client sends and receives TCP at once" {
    serve
    iperf3_to_us --bidir -t 1 -b 100M
    same "$(told .end.sum_received.bytes)" "$(line .received.bytes)"
    near_in_time "$(told .end.sum_sent_bidir_reverse.bytes)" "$(line .sent.bytes)" 0.03
    near_in_time "$(line .received.throughput_bps)" "$(told .end.sum_received.bits_per_second)" 0.03
    near_in_time "$(line .sent.offered_bps)" "$(told .end.sum_received_bidir_reverse.bits_per_second)" 0.03
}

@test "an iperf3 client sends UDP to us, in every mode: no datagram is forgotten" {
    local mode
    serve
    for mode in "-t 1 -b 20M" "-t 1 -b 20M -P 3" "-t 1 -b 20M -l 64" "-t 1 -b 20M --udp-counters-64bit" "-n 2M -b 50M" "-t 1 -b 5M -S 32"; do
        echo "mode -u $mode"
        iperf3_to_us -u $mode
        same "$(line .protocol)" udp
        same "$(told .end.sum.packets)" "$(line '.received.packets + .received.lost')"
        same "$(told .end.sum.lost_packets)" "$(line .received.lost)"
        near_in_time "$(line .received.bytes)" "$(told .end.sum.bytes)" 0.03
    done
    iperf3_to_us -u -t 2 -O 1 -b 20M
    near_in_time "$(line .received.throughput_bps)" "$(told .end.sum.bits_per_second)" 0.03
    same "$(line .received.lost)" "$(told .end.sum.lost_packets)"
}

@test "we send UDP to an iperf3 client" {
    local mode
    serve
    for mode in "-t 1 -b 20M" "-t 1 -b 20M -P 2 --udp-counters-64bit" "-t 1 -b 20M -l 200"; do
        echo "mode -u -R $mode"
        iperf3_to_us -u -R $mode
        near_in_time "$(told .end.sum.packets)" "$(line .sent.packets)" 0.03
        near_in_time "$(told .end.sum.bytes)" "$(line .sent.bytes)" 0.03
    done
    iperf3_to_us -u --bidir -t 1 -b 10M
    near_in_time "$(line .received.bytes)" "$(told .end.sum_sent.bytes)" 0.03
    near_in_time "$(line .sent.bytes)" "$(told .end.sum_received_bidir_reverse.bytes)" 0.03
}

@test "an iperf3 client over IPv6, and one that wants our words" {
    serve
    host=fd78::2 iperf3_to_us -t 1 -b 10M
    same "$(line .client)" fd78::1
    host=fd78::2 iperf3_to_us -u -t 1 -b 10M
    run ip netns exec "$A" iperf3 -c 10.78.0.2 -t 1 -b 10M --get-server-output
    [ "$status" = 0 ]
    [[ "$output" == *"vnperf "*"receiver"* ]]
}

@test "ten iperf3 clients at once, TCP and UDP, all go to their end" {
    local i clients='' udp
    serve
    for i in 1 2 3 4 5 6 7 8 9 10; do
        udp=
        [ $((i % 2)) = 1 ] || udp=-u
        ip netns exec "$A" timeout 40 iperf3 -c 10.78.0.2 -t 2 -b 5M $udp >"$BATS_TEST_TMPDIR/c$i" 2>&1 3>&- &
        clients="$clients $!"
    done
    for i in $clients; do
        wait "$i"
    done
    wait_for 10 reports 10
    same "$(jq -s '[.[] | select(.error == null and .received.bytes > 1000000)] | length' "$served")" 10
}

@test "the server ends by a signal, in mid test too, and after one test when asked" {
    local status=0 one
    serve
    kill -INT "$server"
    wait "$server" || status=$?
    same "$status" 130
    serve
    ip netns exec "$A" timeout 40 iperf3 --forceflush -c 10.78.0.2 -t 30 -b 1M >"$BATS_TEST_TMPDIR/cut" 2>&1 3>&- &
    one=$!
    wait_for 10 grep -q "connected to" "$BATS_TEST_TMPDIR/cut"
    status=0
    kill -TERM "$server"
    wait "$server" || status=$?
    same "$status" 143
    status=0
    wait "$one" || status=$?
    [ "$status" != 0 ]
    serve --one
    iperf3_to_us -t 1 -b 1M
    status=0
    wait "$server" || status=$?
    same "$status" 0
}

@test "an address that is not ours, a port that is taken, and a wrong network are said" {
    serve
    run -3 ip netns exec "$B" "$VNPERF" serve
    [[ "$output" == *"port 5201"*"in use"* ]]
    run -2 vnperf serve --bind nowhere
    [[ "$output" == *"nowhere"* ]]
    run -2 vnperf serve --allow 10.0.0.0/40
    [[ "$output" == *"10.0.0.0/40"* ]]
    run -3 ip netns exec "$B" "$VNPERF" serve --bind 192.0.2.1
    [[ "$output" == *"5201"* ]]
}

# Our client in $A against iperf3 -s in $B; its document is $theirs.
us_to_iperf3() {
    behind iperf3 -s -1 -J
    wait_for 10 listens -t 5201
    client cc=cubic "$@" || return 1
    wait "${jobs_begun##* }" 2>/dev/null || true
    theirs=$behind_out
}

@test "we send TCP to an iperf3 server, in every mode" {
    local mode
    for mode in "" "flows=4" "seconds=2 warmup=1 interval=0.5" "rate=100000000" \
        "payload_bytes=1460 mss_bytes=1000 nodelay=1 window_bytes=65536 dscp=46" "cc=reno"; do
        echo "mode $mode"
        us_to_iperf3 $mode
        same "$(part '.far_received.bytes')" "$(told .end.sum_received.bytes)"
        near_in_time "$(part .far_received.throughput_bps)" "$(told .end.sum_received.bits_per_second)" 0.03
        near_in_time "$(part .far_received.bytes)" "$(part .sent.bytes)" 0.05
    done
}

@test "an iperf3 server sends TCP to us, alone and at once with us" {
    us_to_iperf3 direction=2 rate=100000000 flows=2
    same "$(part '.far_sent.bytes')" "$(told .end.sum_sent.bytes)"
    near_in_time "$(part .received.throughput_bps)" "$(told .end.sum_sent.bits_per_second)" 0.03
    us_to_iperf3 direction=3 rate=50000000
    near_in_time "$(part .received.throughput_bps)" "$(part .far_sent.offered_bps)" 0.03
    near_in_time "$(part .far_received.throughput_bps)" "$(part .sent.offered_bps)" 0.05
    same "$(part 'keys | map(select(. != "intervals")) | join(" ")')" "far_received far_sent received sent"
}

@test "we send UDP to an iperf3 server, and it to us: no datagram is forgotten" {
    us_to_iperf3 kind=udp_stream payload_bytes=1000 rate=10000000
    same "$(part '.far_received.lost')" 0
    same "$(part .far_received.received)" "$(part .sent.sent)"
    same "$(part '.far_received.bytes')" "$(told .end.sum_received.bytes)"
    us_to_iperf3 kind=udp_stream payload_bytes=200 rate=10000000 direction=2 flows=2
    same "$(part '.received.lost')" 0
    near_in_time "$(part .received.throughput_bps)" "$(part .far_sent.offered_bps)" 0.03
    us_to_iperf3 kind=udp_stream payload_bytes=1000 rate=10000000 direction=3
    same "$(part '.far_received.lost + .received.lost')" 0
    us_to_iperf3 kind=udp_stream payload_bytes=1000 rate=10000000 seconds=2 warmup=1
    near_in_time "$(part .far_received.throughput_bps)" "$(part .sent.offered_bps)" 0.03
    same "$(part '.far_received.lost')" 0
}

@test "loss on the path is counted as iperf3 counts it" {
    skip_unless_command nft
    ip netns exec "$A" nft -f - <<<'table inet loss {
        chain output { type filter hook output priority 0; udp dport 5201 meta length > 500 numgen inc mod 10 0 drop; }
    }'
    us_to_iperf3 kind=udp_stream payload_bytes=1000 rate=8000000
    ip netns exec "$A" nft flush ruleset
    near_in_time "$(part .far_received.loss_share)" 0.1 0.05
    same "$(part '.sent.sent - .far_received.received')" "$(part '.far_received.lost')"
    # Whether its last ones were lost it cannot know.
    near_in_time "$(part .far_received.lost)" "$(told .end.sum.lost_packets)" 0.03
}

@test "a busy iperf3 server, and none, are said in a sentence" {
    local busy
    behind iperf3 -s
    wait_for 10 listens -t 5201
    ip netns exec "$A" timeout 40 iperf3 --forceflush -c 10.78.0.2 -t 20 -b 1M >"$BATS_TEST_TMPDIR/busy" 2>&1 3>&- &
    busy=$!
    wait_for 10 grep -q "connected to" "$BATS_TEST_TMPDIR/busy"
    run client
    [ "$status" = 1 ]
    [[ "$output" == *"10.78.0.2 port 5201"*"busy"* ]]
    kill "$busy"
    wait "$busy" || true
    run client port=5299
    [ "$status" = 1 ]
    [[ "$output" == *"10.78.0.2 port 5299"*"connecting"*"refused"* ]]
}

# A pipe that is full and that nobody reads; it is open as long as this test runs.
full_pipe() {
    mkfifo "$1"
    exec 7<>"$1"
    dd if=/dev/zero of="$1" bs=4096 count=10000 oflag=nonblock status=none 2>/dev/null || true
}

@test "a reader who does not read keeps neither clients waiting nor the server from ending" {
    local pipe=$BATS_TEST_TMPDIR/pipe words=$BATS_TEST_TMPDIR/words
    full_pipe "$pipe"
    ip netns exec "$B" "$VNPERF" serve >"$pipe" 2>"$words" 3>&- &
    server=$!
    jobs_begun="${jobs_begun:-} $server"
    wait_for 10 grep -q serving "$words"
    for _ in 1 2; do
        ip netns exec "$A" timeout 40 iperf3 -c 10.78.0.2 -n 1M >"$BATS_TEST_TMPDIR/theirs" 3>&-
    done
    wait_for 20 grep -q "dropped, 1 so far" "$words"
    kill -TERM "$server"
    wait_for 20 grep -q "2 lines of tests were dropped" "$words"
    run wait "$server"
    exec 7>&-
}
