# SPDX-License-Identifier: Apache-2.0
# vnperf-agent, driven by hand: lines go into a pipe, answers into a file.
# shellcheck disable=SC2030,SC2031 # each test is a subshell of its own, and nothing is handed on

bats_require_minimum_version 1.5.0
load ../helper

TOKEN=000102030405060708090a0b0c0d0e0f
OTHER_TOKEN=ff0102030405060708090a0b0c0d0e0f
WAIT=20

# bats reads this file inside a function.
declare -gA pid in

setup() {
    dir=$BATS_TEST_TMPDIR
}

teardown() {
    local name
    for name in "${!in[@]}"; do
        hang_up "$name"
    done
    for name in "${!pid[@]}"; do
        wait_for 5 ended "${pid[$name]}" || kill -9 "${pid[$name]}"
        wait "${pid[$name]}" 2>/dev/null || true
    done
}

# What the agent says without its blobs, so that every line begins at the beginning of one.
lines_only() {
    exec python3 -c '
import re, sys
for line in iter(sys.stdin.buffer.readline, b""):
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
    blob = re.search(rb" blob=(\d+)\n$", line)
    sys.stdin.buffer.read(int(blob[1]) if blob else 0)
'
}

# start_agent NAME: its lines come into $dir/NAME.out; ends with its hello.
start_agent() {
    local fd
    mkfifo "$dir/$1.in"
    (
        # Another agent's pipe, held open here, would not end with us.
        for fd in "${in[@]}"; do
            exec {fd}>&-
        done
        exec "$VNPERF_AGENT" 3>&- <"$dir/$1.in" > >(lines_only >>"$dir/$1.out") 2>"$dir/$1.err"
    ) &
    pid[$1]=$!
    exec {fd}>"$dir/$1.in"
    in[$1]=$fd
    answered "$1" "0 hello "
}

# say NAME TEXT: a line to the agent.
say() {
    printf '%s\n' "$2" >&"${in[$1]}"
}

# answered NAME WORDS [SECONDS]: wait for a line that begins with WORDS, an extended regular expression. It is in $line.
answered() {
    wait_for "${3:-$WAIT}" grep -aqE "^$2" "$dir/$1.out" || {
        cat "$dir/$1.out" "$dir/$1.err" >&2
        return 1
    }
    line=$(grep -aE -m 1 "^$2" "$dir/$1.out")
}

# value KEY: of $line.
value() {
    sed -nE "s/.* $1=([^ ]*).*/\1/p" <<<"$line"
}

hang_up() {
    local fd=${in[$1]}
    unset "in[$1]"
    exec {fd}>&-
}

ended() {
    [ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status"
}

# gone NAME CODE [SECONDS]: the agent ends, with that exit code.
gone() {
    local status=0
    wait_for "${3:-$WAIT}" ended "${pid[$1]}"
    wait "${pid[$1]}" || status=$?
    unset "pid[$1]"
    [ "$status" = "$2" ] || {
        echo "ended with $status" >&2
        cat "$dir/$1.out" "$dir/$1.err" >&2
        return 1
    }
}

# prepare NAME ID KIND ROLE PORT [TOKEN [PAYLOAD [CONNECT_NS]]]
prepare() {
    local payload=${7:-}
    if [ -z "$payload" ]; then
        case $3 in
        tcp_stream) payload=65536 ;;
        udp_stream) payload=1024 ;;
        icmp_echo) payload=56 ;;
        tcp_rr) payload=1 ;;
        udp_rr) payload=32 ;;
        esac
    fi
    say "$1" "$2 prepare kind=$3 role=$4 direction=1 flows=1 payload_bytes=$payload port=$5 port_last=0 address=127.0.0.1 cc= gap_ns=1000000 connect_ns=${8:-10000000000} peer=agent io=app pin=0 mss_bytes=0 window_bytes=0 dscp=0 gso=1 ttl=0 nodelay=0 imix=0 spin=0 bind= token=${6:-$TOKEN}"
}

# start NAME ID SESSION DURATION_NS RATE_BPS: in 50 ms from now, by the agent's own clock.
start() {
    say "$1" "9$2 clock"
    answered "$1" "9$2 ok "
    say "$1" "$2 start session=$3 trial=$2 start_ns=$(($(value mono_ns) + 50000000)) warmup_ns=0 duration_ns=$4 tail_ns=20000000 interval_ns=100000000 rate_bps=$5 count=0"
}

# pair KIND: two agents, server and client, with session 1 each, connected.
pair() {
    start_agent server
    start_agent client
    prepare server 1 "$1" server 0
    answered server "1 ok port="
    prepare client 1 "$1" client "$(value port)"
    answered client "1 ok port=0"
    answered client "1 ready"
    answered server "1 ready"
}

# trial RATE_BPS: 300 ms of it, to the answers of both ends.
trial() {
    start server 2 1 600000000 "$1"
    start client 2 1 600000000 "$1"
    answered client "2 (ok|error)"
    [ "$line" = "2 ok" ]
    answered server "2 (ok|error)"
    [ "$line" = "2 ok" ]
}

# part NAME PART: of trial 2, into $line.
part() {
    answered "$1" "2 result part=$2 "
}

@test "the agent says its version and how it is used, and takes nothing else" {
    run "$VNPERF_AGENT" --version
    [ "$status" = 0 ]
    [[ $output =~ ^vnperf-agent\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    run "$VNPERF_AGENT" --help
    [ "$status" = 0 ]
    [[ $output == usage:* ]]
    run "$VNPERF_AGENT" --port 5001 </dev/null
    [ "$status" = 2 ]
    [[ $output == *"takes no arguments"* ]]
}

@test "the agent speaks first, answers facts and clock, and quits when told" {
    start_agent a
    [ "$(value protocol)" = 1 ]
    [ "$(value pid)" = "${pid[a]}" ]
    [ "$(value version)" = "$("$VNPERF_AGENT" --version | cut -d' ' -f2)" ]
    say a "1 facts"
    answered a "1 ok"
    answered a "1 facts .*t_kernel="
    [ "$(value t_kernel)" = "$(uname -r)" ]
    answered a "1 facts .*n_cpus="
    [ "$(value n_cpus)" = "$(nproc)" ]
    say a "2 clock"
    answered a "2 ok mono_ns=[0-9]+ wall_ns=[0-9]+$"
    say a "3 quit"
    answered a "3 ok"
    gone a 0
}

@test "an agent with nothing to say beats" {
    start_agent a
    answered a "0 beat$"
    hang_up a
    gone a 0
}

@test "the end of its input ends the agent" {
    start_agent a
    hang_up a
    gone a 0
    [ ! -s "$dir/a.err" ]
}

@test "a closed output ends the agent without a word" {
    coproc AGENT { exec "$VNPERF_AGENT" 2>"$dir/err" 3>&-; }
    pid[a]=$AGENT_PID
    read -r -u "${AGENT[0]}" line
    [[ $line == "0 hello "* ]]
    local fd=${AGENT[0]}
    exec {fd}<&-
    # The next beat finds nobody.
    gone a 0
    [ ! -s "$dir/err" ]
}

@test "a malformed line is answered with an error and the next line as if nothing had been" {
    local text
    start_agent a
    for text in rubbish "" "1 x a=1 a=2" "1 x a=%zz" "1 x  a=1" "-1 facts" "99999999999 facts"; do
        : >"$dir/a.out"
        say a "$text"
        answered a "0 error code=74 text=the%20line"
        say a "5 clock"
        answered a "5 ok "
    done
    : >"$dir/a.out"
    printf '1 x\0y\n\377\376\n6 clock\n' >&"${in[a]}"
    answered a "0 error code=74"
    answered a "6 ok "
    hang_up a
    gone a 0
}

@test "an unknown verb, an unknown session and an id of 0 are refused" {
    start_agent a
    say a "1 dance"
    answered a "1 error code=22 text=verb%20'dance'%20is%20unknown"
    say a "2 stop session=12"
    answered a "2 error code=22 text=there%20is%20no%20session%2012"
    say a "3 start session=12 trial=1 start_ns=0 warmup_ns=0 duration_ns=1000000 tail_ns=0 interval_ns=0 rate_bps=0 count=0"
    answered a "3 error code=22 text=there%20is%20no%20session%2012"
    say a "0 clock"
    answered a "0 error code=22 text=clock%20has%20id%200"
    hang_up a
    gone a 0
}

@test "a blob that nobody takes is passed over and said to be unwanted" {
    start_agent a
    printf '1 facts blob=14\n2 quit\n\0\1\2\3\4\5\6' >&"${in[a]}"
    answered a "1 error code=22 text=facts%20takes%20no%20blob"
    say a "3 clock"
    answered a "3 ok "
    run ! grep -aq "^2 " "$dir/a.out"
    # One that was promised and does not come holds nothing up but itself.
    printf '4 facts blob=100\nabc' >&"${in[a]}"
    hang_up a
    gone a 0
    run ! grep -aq "^4 " "$dir/a.out"
}

@test "a line that is too long, and a blob, end the agent with a sentence" {
    start_agent a
    head -c 20000 /dev/zero | tr '\0' x >&"${in[a]}"
    answered a "0 error code=7 text=a%20line%20longer%20than%2016384%20bytes"
    gone a 1
    grep -q "a line longer than 16384 bytes" "$dir/a.err"
    start_agent b
    say b "1 x blob=4194305"
    answered b "0 error code=7 text=a%20blob%20of%20more%20than%204194304%20bytes"
    gone b 1
}

@test "a TCP stream between two agents" {
    pair tcp_stream
    trial 0
    part client sent
    [ "$(value bytes)" -gt 0 ]
    [ -n "$(value congestion_control)" ]
    [ "$(value blob)" -gt 0 ]
    part server received
    [ "$(value bytes)" -gt 0 ]
    [ "$(value refused)" = 0 ] || [ -z "$(value refused)" ]
    [[ $(value throughput_bps) =~ ^x[0-9a-f]{16}$ ]]
    answered client "2 interval part=sent index=0 bytes=[0-9]+"
    answered server "2 interval part=received index=0 bytes=[0-9]+"
    hang_up client
    hang_up server
    gone client 0
    gone server 0
}

@test "a UDP stream between two agents loses nothing unless it says so" {
    pair udp_stream
    trial 8192000
    part client sent
    sent=$(value sent)
    [ "$sent" -gt 0 ]
    part server received
    [ "$(value received)" -gt 0 ]
    [ "$(value received)" -le "$sent" ]
}

@test "TCP and UDP request and response between two agents" {
    local kind
    for kind in tcp_rr udp_rr; do
        pair $kind
        trial 0
        part client sent
        [ "$(value transactions)" -gt 0 ]
        [ "$(value blob)" -gt 0 ]
        for name in client server; do
            hang_up $name
            gone $name 0
            rm "$dir/$name.in"
        done
    done
}

@test "ICMP echo needs one agent only" {
    start_agent a
    prepare a 1 icmp_echo client 0
    answered a "1 (ok|error)"
    [ "$(value code)" != 1 ] && [ "$(value code)" != 13 ] || skip "raw sockets and ping sockets are not allowed here"
    answered a "1 ready"
    start a 2 1 600000000 0
    answered a "2 (ok|error)"
    [ "$line" = "2 ok" ]
    part a sent
    [ "$(value received)" -gt 0 ]
    [ "$(value received)" -le "$(value sent)" ]
}

@test "a session takes one start after the other but not two at once" {
    pair tcp_stream
    start server 2 1 3600000000000 0
    start server 3 1 3600000000000 0
    answered server "3 error code=16 text=session%201%20runs%20a%20test%20already"
    start client 2 1 3600000000000 0
    answered client "2 interval part=sent index=1 "
    say client "4 stop session=1"
    answered client "4 ok"
    part client sent
    [ "$(value bytes)" -gt 0 ]
    answered client "2 error code=125"
    say server "4 stop session=1"
    answered server "4 ok"
    # The same ids again: what was stopped is forgotten.
    : >"$dir/server.out"
    prepare server 1 tcp_stream server 0
    answered server "1 ok port="
}

@test "a client with another token is refused, and the server counts it" {
    start_agent server
    start_agent client
    prepare server 1 tcp_stream server 0
    answered server "1 ok port="
    port=$(value port)
    prepare client 1 tcp_stream client "$port" $OTHER_TOKEN
    answered client "1 error code=13 text="
    # Who is right is served all the same, and hears how many were not.
    prepare client 8 tcp_stream client "$port"
    answered client "8 ready"
    answered server "1 ready"
    start server 2 1 200000000 0
    start client 2 8 200000000 0
    answered server "2 ok"
    part server received
    [ "$(value refused)" = 1 ]
}

@test "a port that is taken is told" {
    start_agent a
    prepare a 1 tcp_stream server 0
    answered a "1 ok port="
    port=$(value port)
    prepare a 2 tcp_stream server "$port"
    answered a "2 error code=98"
    [[ $line == *$port* ]]
}

@test "the end of the input ends an agent in the middle of a test" {
    pair tcp_stream
    start server 2 1 3600000000000 0
    start client 2 1 3600000000000 0
    answered client "2 interval part=sent index=1 "
    # Sanitizers are slow with everything.
    [ "${VNPERF_SANITIZER:-none}" = none ] && limit=1 || limit=10
    hang_up client
    gone client 0 "$limit"
    hang_up server
    gone server 0 "$limit"
}

@test "an agent whose peer was killed ends its test with what it has" {
    pair tcp_stream
    start server 2 1 3600000000000 0
    start client 2 1 3600000000000 0
    answered server "2 interval part=received index=1 "
    kill -9 "${pid[client]}"
    answered server "2 error "
    part server received
    [ "$(value bytes)" -gt 0 ]
    say server "5 clock"
    answered server "5 ok "
    hang_up server
    gone server 0
}

@test "several hundred sessions one after the other leave nothing open" {
    local before id
    start_agent a
    # The first thread of all may bring one of a sanitizer with it, which stays.
    prepare a 10 tcp_stream server 0
    say a "11 stop session=10"
    answered a "11 ok"
    before=$(find "/proc/${pid[a]}/fd" "/proc/${pid[a]}/task" -maxdepth 1 | wc -l)
    for id in {100..399}; do
        prepare a "$id" tcp_stream server 0
        say a "1$id stop session=$id"
    done
    answered a "1399 ok"
    [ "$(grep -acE '^[1-3][0-9][0-9] (ok|error code=125)' "$dir/a.out")" = 300 ]
    [ "$(find "/proc/${pid[a]}/fd" "/proc/${pid[a]}/task" -maxdepth 1 | wc -l)" = "$before" ]
}

@test "points of a machine are watched, and told when they are no longer" {
    skip_unless_root
    start_agent a
    say a "1 watch points=2 name0=one netns0= if0=lo name1=two netns1= if1=lo source=af_packet keys_only=1 nat=no window_ns=0 protocol=1 port=0"
    answered a "1 ok source=af_packet "
    say a "2 watch points=1 name0=x netns0= if0=lo source=auto keys_only=0 nat=no window_ns=0 protocol=0 port=0"
    answered a "2 error code=16 "
    ping -q -c 3 -i 0.01 127.0.0.1
    say a "3 unwatch watch=1"
    answered a "3 ok"
    # Keys came under the watch's own id, and the points behind them.
    answered a "1 keys point=[01] heard_ns=[0-9]+ blob="
    answered a "1 flows blob="
    answered a "3 hops blob="
    say a "4 unwatch watch=1"
    answered a "4 error code=22 text=there%20is%20no%20watch"
    say a "5 quit"
    answered a "5 ok"
    gone a 0
}

@test "what cannot be watched is refused, and the next line is as if nothing had been" {
    start_agent a
    say a "1 watch points=1 name0=x netns0= if0=nosuchif0 source=af_packet keys_only=1 nat=no window_ns=0 protocol=0 port=0"
    answered a "1 error "
    say a "2 watch points=1"
    answered a "2 error code=22 "
    say a "3 calibrate source=auto points=2"
    answered a "3 error code=22 "
    say a "4 path places=0"
    answered a "4 error code=22 "
    say a "5 path places=1 place0=here netns0= from=0 to=127.0.0.1 nat_to="
    answered a "5 ok end=arrived "
    say a "6 quit"
    answered a "6 ok"
    gone a 0
}
