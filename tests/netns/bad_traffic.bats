# SPDX-License-Identifier: Apache-2.0
# Bad days of the traffic engine as a person meets them: a clear sentence within seconds, the documented exit code, nothing left,
# and a server that goes on serving. Agents of a lab that end: bad_days.bats. Black holes and silence of TCP streams: truth_tcp.bats.
# shellcheck disable=SC2016,SC2046,SC2086,SC2154 # what is asked for is words, and so are process ids; bash -c expands for itself; path.bash has the names

bats_require_minimum_version 1.5.0
load ../helper
load path

# What each kind is asked with. The n-th of a list uses port 5001 + n.
KINDS=("--tcp" "--tcp --io lean" "--udp -b 5M" "--udp -b 5M --gso 4" "--rr" "--udp-rr" "--crr" "--stamp")

setup() {
    skip_unless_root
    skip_unless_command ip nft jq ss iperf3 python3
    dir=$BATS_TEST_TMPDIR
    begun=()
}

teardown() {
    local job
    is_root || return 0
    for job in "${begun[@]}"; do
        kill -KILL "$job" 2>/dev/null || true
        wait "$job" 2>/dev/null || true
    done
    path_clear
}

# in_background NAMESPACE NAME CMD…: its number in $last, its words in $dir/NAME.
in_background() {
    local ns=$1 name=$2
    shift 2
    ip netns exec "$ns" "$@" >"$dir/$name" 2>&1 3>&- &
    last=$!
    begun+=("$last")
}

# all_begin WORDS…: one test for each; all of them are under way when this returns.
all_begin() {
    local i counters='' marks=''
    asked=("$@")
    tests=()
    for i in "${!asked[@]}"; do
        counters="$counters
        counter p$((5001 + i)) { }"
        marks="$marks
            th dport $((5001 + i)) counter name p$((5001 + i))
            th sport $((5001 + i)) counter name p$((5001 + i))"
    done
    rules "$M" "table inet t {$counters
        chain c {
            type filter hook forward priority 0$marks
        }
    }"
    for i in "${!asked[@]}"; do
        timeout 90 "$VNPERF" test "netns:$A" "netns:$B" --quiet --no-save -t 60 --port $((5001 + i)) ${asked[i]} >"$dir/out$i" 2>&1 3>&- &
        tests+=("$!")
        begun+=("$!")
    done
    for i in "${!asked[@]}"; do
        wait_for 20 passed $((5001 + i)) || return 1
    done
}

# More than a handshake of that port's.
passed() {
    [ "$(counted "$M" "p$1")" -gt 60 ]
}

# all_end WORDS: each failed, and said so; timeout's own 124 would be a test that hung.
all_end() {
    local i r
    for i in "${!asked[@]}"; do
        r=0
        wait "${tests[i]}" || r=$?
        if [ "$r" != 1 ] || ! grep -qE -- "$1" "$dir/out$i"; then
            echo "${asked[i]}: $r, or nothing says '$1'"
            cat "$dir/out$i"
            return 1
        fi
    done
    begun=()
    nothing_runs
}

nothing_runs() {
    wait_for 10 empty "$A"
    wait_for 10 empty "$B"
}

empty() {
    [ -z "$(ip netns pids "$1")" ]
}

# refused_with CODE WORDS CMD…
refused_with() {
    local code=$1 words=$2
    shift 2
    run "$@"
    if [ "$status" != "$code" ] || ! grep -qE -- "$words" <<<"$output"; then
        echo "$*: $status, not $code, or nothing says '$words'"
        echo "$output"
        return 1
    fi
    nothing_runs
}

# refused_at_once CODE WORDS ASKED …: three words a test, all of them at once, each at a port of its own.
refused_at_once() {
    local i r code words asked jobs=()
    for ((i = 0; i < $#; i += 3)); do
        asked=${*:i + 3:1}
        timeout 60 "$VNPERF" test "netns:$A" "netns:$B" --quiet --no-save --port $((5001 + i)) $asked >"$dir/refused$i" 2>&1 3>&- &
        jobs+=("$!")
        begun+=("$!")
    done
    for ((i = 0; i < $#; i += 3)); do
        code=${*:i + 1:1} words=${*:i + 2:1} asked=${*:i + 3:1} r=0
        wait "${jobs[i / 3]}" || r=$?
        if [ "$r" != "$code" ] || ! grep -qE -- "$words" "$dir/refused$i"; then
            echo "$asked: $r, not $code, or nothing says '$words'"
            cat "$dir/refused$i"
            return 1
        fi
    done
    begun=()
    nothing_runs
}

ours() {
    timeout 30 "$VNPERF" test "netns:$A" "netns:$B" --quiet --no-save "$@"
}

test_receiver_stopped_is_found_out_for_every_kind() { #@test
    all_begin "${KINDS[@]}"
    kill -STOP $(ip netns pids "$B")
    all_end 'error: .*(has ended \(silent for 4 s\)|for 3 s|nothing arrived any more)'
}

test_receiver_killed_is_found_out_for_every_kind() { #@test
    all_begin "${KINDS[@]}"
    kill -KILL $(ip netns pids "$B")
    all_end 'error: .*(has ended|the connection broke|connection)'
}

test_sender_killed_is_found_out_for_every_kind() { #@test
    all_begin "${KINDS[@]}"
    kill -KILL $(ip netns pids "$A")
    all_end 'error: .*(has ended|the connection broke|connection)'
}

test_path_gone_silent_is_found_out_for_every_kind() { #@test
    all_begin "${KINDS[@]:2}" "--tcp --reverse" "--tcp --bidir -b 10M" "--udp -b 5M --reverse" "--under-load"
    rules "$M" 'table inet t {
        chain c { type filter hook forward priority 0; drop; }
    }'
    all_end 'error: .*(for 3 s|nothing arrived any more)'
}

test_path_that_takes_nothing_is_unreachable() { #@test
    local words='error: .*(timed out|not answered|dropped on the way)'
    rules "$M" 'table inet t {
        chain c { type filter hook forward priority 0; drop; }
    }'
    refused_at_once 4 "$words" "--crr -t 30" 4 "$words" "--stamp -t 30" 4 "$words" "--tcp --io lean -t 30" \
        4 "$words" "--udp -b 5M --gso 4 -t 30"
}

test_small_datagrams_only_is_said_for_segments_and_search() { #@test
    rules "$M" 'table inet t {
        chain c { type filter hook forward priority 0; meta length > 1000 drop; }
    }'
    # Small ones do come through: TO is there, and the test has failed.
    refused_at_once 1 'no datagram arrived, though the small ones of the handshake did' '-t 30 --udp -b 5M --gso 16' \
        1 'small datagrams arrive, of 1400 bytes not one' '-t 1 --udp' \
        1 'small packets came through, none with an MSS of 1448 bytes did' '-t 30 --tcp --reverse' \
        4 'no (request|answer) for 3 s' '-t 30 --rr --rr-size 8000' \
        4 'no (request|answer) for 3 s' '-t 30 --udp-rr --rr-size 1400' \
        4 'none of [0-9]+ echo requests was answered' '-t 1 --icmp --icmp-sizes 1400'
    # Whoever passes goes on.
    ours -t 0.2 --udp -b 1M --udpbuf 600
}

test_families_that_do_not_go_together_are_said() { #@test
    local kind to all=()
    for kind in --tcp "--udp -b 1M" --icmp --rr --udp-rr --crr --stamp; do
        all+=(1 'own address fd77:1::1 and peer 10.77.2.1 are not of one family' "-t 30 --bind fd77:1::1 $kind")
    done
    refused_at_once "${all[@]}"
    refused_with 1 'own address 10.77.1.1 and peer fd77:2::1 are not of one family' ours -t 30 --bind 10.77.1.1 --ipv6
    serve --bind 10.77.2.1 --iperf2 --stamp
    for to in iperf3://10.77.2.1 iperf2://10.77.2.1 "stamp://10.77.2.1 --stamp"; do
        stranger_says 1 'own address fd77:1::1 and peer 10.77.2.1 are not of one family' $to --bind fd77:1::1
    done
    for to in 'iperf3://[fd77:2::1]' 'iperf2://[fd77:2::1]' 'stamp://[fd77:2::1] --stamp'; do
        stranger_says 4 'fused' $to
    done
    from_a iperf3://10.77.2.1 -t 0.5
    end_server
}

serve() {
    in_background "$B" served "$VNPERF" serve "$@"
    server=$last
    wait_for 10 grep -q serving "$dir/served"
}

# By TERM, and in order.
end_server() {
    local r=0
    kill -TERM "$server"
    wait "$server" || r=$?
    same "$r" 143
    nothing_runs
}

from_a() {
    timeout 30 ip netns exec "$A" "$VNPERF" test local "$@" --quiet --no-save
}

stranger_says() {
    local code=$1 words=$2
    shift 2
    run from_a -t 20 "$@"
    if [ "$status" != "$code" ] || ! grep -qE -- "$words" <<<"$output"; then
        echo "$*: $status, not $code, or nothing says '$words'"
        echo "$output"
        return 1
    fi
}

test_rate_that_nobody_can_send_is_the_senders_limit() { #@test
    local ask
    for ask in "--udp" "--udp --gso 16" "--tcp" "--tcp --io lean"; do
        measure $ask -b 4000G -t 0.5
        [ "$(value .limit)" != requested_rate ]
        holds "$(value .offered_bps) < 1e12"
        [[ "$ask" != --udp* ]] || [[ "$(value .warning)" = *"offered only"*"of the requested rate"* ]]
    done
}

test_thousand_flows_of_other_kinds_work() { #@test
    local kind
    [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 1200 ] || skip "the hard limit of open files is below 1200"
    ulimit -Sn 256
    for kind in "--tcp --io lean" "--udp -b 100M" --rr --udp-rr --crr; do
        measure $kind --flows 1000 -t 0.3
        same "$(value .flows)" 1000
        holds "$(value '.throughput_bps // .transactions') > 0"
    done
}

test_thousand_flows_of_any_kind_under_a_low_hard_limit_name_it() { #@test
    local kind
    for kind in "--tcp --io lean" "--udp -b 100M" --rr --udp-rr --crr --stamp; do
        refused_with 1 '1000 flows need more than the 256 files this process may have open \(RLIMIT_NOFILE, ulimit -n\)' \
            timeout 30 bash -c 'ulimit -n 256; exec "$0" "$@"' "$VNPERF" test "netns:$A" "netns:$B" --quiet --no-save --flows 1000 -t 1 $kind
    done
}

# Knocks at a data port of the test, TCP and UDP, again and again: junk, nothing, and a half hello; some connections stay open.
STRANGER='
import os, socket, time
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.setblocking(False)
held, n = [], 0
while True:
    n += 1
    for size in (1, 16, 44, 200):
        try: u.sendto(os.urandom(size), ("10.77.2.1", 5001))
        except OSError: pass
    t = socket.socket(); t.settimeout(0.2)
    try:
        t.connect(("10.77.2.1", 5001))
        t.sendall((b"", b"GET / HTTP/1.1\r\n\r\n" * 50, os.urandom(20))[n % 3])
        held.append(t)
    except OSError: t.close()
    if len(held) > 8: held.pop(0).close()
    time.sleep(0.002)
'

test_strangers_at_the_data_port_spoil_no_kind() { #@test
    local kind time
    in_background "$A" stranger python3 -c "$STRANGER"
    for kind in --tcp "--tcp --io lean" "--udp -b 5M" --rr --udp-rr --crr --stamp; do
        time=0.4
        [ "$kind" != --crr ] || time=1
        measure $kind --port 5001 -t $time
        same "$(values .summary.passed)" 1
        # Their datagrams are nobody's loss, and no answer to us.
        same "$(value '.duplicates // 0')" 0
        # Only CRR takes connections all the time.
        [ "$kind" != --crr ] || holds "$(value .receiver.refused) > 0"
    done
}

# Peers that say little, or too much.
HOSTILE='
import socket, sys
kind = sys.argv[1]
s = socket.create_connection(("10.77.2.1", 5201), 5); s.settimeout(40)
cookie = (kind[0] * 36).encode() + b"\0"
if kind != "silent":
    s.sendall(cookie)
if kind in ("huge", "part"):
    s.recv(1)
    s.sendall({"huge": b"\xff\xff\xff\xff{", "part": b"\0\0\0\x40{\"h"}[kind])
print("knocked", flush=True)
try:
    while s.recv(4096): pass
except ConnectionResetError: pass
print("closed", flush=True)
'

test_hostile_iperf3_clients_are_closed_and_others_are_served() { #@test
    local kind i clients=()
    serve
    for kind in silent cookie huge part; do
        in_background "$A" "$kind" python3 -c "$HOSTILE" "$kind"
        wait_for 10 grep -q knocked "$dir/$kind"
    done
    # While they hang there: what a person does.
    for i in 1 2 3 4 5 6 7 8 9 10; do
        timeout 40 ip netns exec "$A" iperf3 -c 10.77.2.1 -t 1 -b 2M >"$dir/c$i" 2>&1 3>&- &
        clients+=("$!")
    done
    for i in "${clients[@]}"; do
        wait "$i"
    done
    for kind in silent cookie huge part; do
        wait_for 20 grep -q closed "$dir/$kind"
    done
    grep -qE 'parameters are said to have 4294967295 bytes' "$dir/served"
    grep -qE "waiting for the client's parameters: .*timed out" "$dir/served"
    from_a iperf3://10.77.2.1 -t 0.5
    end_server
}

test_iperf3_clients_that_vanish_are_told_and_the_server_goes_on() { #@test
    serve
    # --forceflush: its word that it is connected is the event that is waited for.
    in_background "$A" gone iperf3 --forceflush -c 10.77.2.1 -t 30 -b 1M
    wait_for 10 grep -q "connected to" "$dir/gone"
    kill -KILL "$last"
    wait_for 10 grep -q "the client went away in mid test" "$dir/served"
    timeout 30 ip netns exec "$A" iperf3 -c 10.77.2.1 -t 1 -b 1M
    # Silence on the path is found out by keepalive, in half a minute; it keeps nobody from being served meanwhile.
    in_background "$A" cut iperf3 --forceflush -c 10.77.2.1 --cport 40001 -t 60 -b 1M
    wait_for 10 grep -q "connected to" "$dir/cut"
    rules "$M" 'table inet t {
        chain c { type filter hook forward priority 0; th sport 40001 drop; th dport 40001 drop; }
    }'
    from_a iperf3://10.77.2.1 -t 0.5
    from_a iperf3://10.77.2.1 --udp -b 1M -t 0.5
    kill -KILL "$last"
    end_server
}

# iperf3_servers_fail SIGNAL WORDS ARGS …: three words a server, all of them at once, each at a port of its own.
iperf3_servers_fail() {
    local i r port signal words args peers=() tests=()
    for ((i = 0; i < $#; i += 3)); do
        in_background "$B" "peer$i" iperf3 -s -p $((5201 + i)) --forceflush
        peers+=("$last")
    done
    for ((i = 0; i < $#; i += 3)); do
        port=$((5201 + i)) args=${*:i + 3:1}
        wait_for 10 grep -q listening "$dir/peer$i"
        in_background "$A" "ours$i" timeout 60 "$VNPERF" test local "iperf3://10.77.2.1:$port" --quiet --no-save --warmup 0 $args
        tests+=("$last")
    done
    for ((i = 0; i < $#; i += 3)); do
        # It tells its first second: so data has passed.
        wait_for 20 grep -qE '0\.00-[12]\.' "$dir/peer$i"
        kill "-${*:i + 1:1}" "${peers[i / 3]}"
    done
    for ((i = 0; i < $#; i += 3)); do
        signal=${*:i + 1:1} words="iperf3 server 10.77.2.1 port $((5201 + i)): ${*:i + 2:1}" args=${*:i + 3:1} r=0
        wait "${tests[i / 3]}" || r=$?
        kill -KILL "${peers[i / 3]}" 2>/dev/null || true
        wait "${peers[i / 3]}" || true
        if [ "$r" != 1 ] || ! grep -qE -- "$words" "$dir/ours$i"; then
            echo "SIG$signal $args: $r, not 1, or nothing says '$words'"
            cat "$dir/ours$i"
            return 1
        fi
    done
    nothing_runs
}

test_iperf3_server_killed_or_stopped_in_mid_test_is_said() { #@test
    # Datagrams go out to whoever does not listen: that is found out when the time is over.
    iperf3_servers_fail KILL '' '-t 30 -b 20M' KILL '' '-t 30 -R -b 20M' KILL '' '-t 30 --udp -b 1M' \
        STOP '.* for 3 s' '-t 30 -b 20M' STOP '.* for 3 s' '-t 30 -R -b 20M' STOP '' '-t 20 --udp -b 1M'
}

test_ports_that_other_servers_have_are_said() { #@test
    serve --iperf2 --stamp
    refused_in_b '5201'
    refused_in_b '5001' -p 5202 --iperf2
    refused_in_b '862' -p 5202 --stamp
    from_a iperf3://10.77.2.1 -t 0.5
    end_server
}

refused_in_b() {
    local words=$1
    shift
    run -3 timeout 30 ip netns exec "$B" "$VNPERF" serve "$@"
    [[ "$output" == *"port $words"*"in use"* ]] || {
        echo "$output"
        return 1
    }
}
