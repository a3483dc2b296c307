#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf match as a person runs it: what it refuses, NetWeaver's text logs, and captures of real packets.
# (Captures with a known truth are in match_truth.bats.)

bats_require_minimum_version 1.5.0
load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# netweaver_logs: 200 packets as the README of NetWeaver shows them, 11 to 17 us apart; 4 are not in the second log.
netweaver_logs() {
    local ip='IP 192.168.1.2.2911 > 192.168.1.1.0: S'
    awk -v ip="$ip" 'BEGIN { for (i = 0; i < 200; i++)
        printf "2013-05-21 20:53:56.%06d %s %d:%d(0) win 512\n", 421831 + i * 100, ip, 36550021 + i * 977, 36550021 + i * 977 }' >pif.log
    awk -v ip="$ip" 'BEGIN { for (i = 0; i < 200; i++) if (i % 50 != 20)
        printf "2013-05-21 20:53:56.%06d %s %d:%d(0) win 512\n", 421842 + i * 100 + i % 7, ip, 36550021 + i * 977, 36550021 + i * 977 }' >vif.log
}

# ---- what it refuses ----

@test "usage: one file, two stdins, columns without --text: 2 and a sentence" {
    run --separate-stderr vnperf match a.pcap
    [ "$status" -eq 2 ]
    run --separate-stderr vnperf match - -
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"standard input can be one of the files"* ]]
    run --separate-stderr vnperf match a b --seq-col 7
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"go with --text"* ]]
    run --separate-stderr vnperf match - b --offset auto
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"twice"* ]]
    run --separate-stderr vnperf match a b --packets - --json -
    [ "$status" -eq 2 ]
}

@test "usage: values that cannot be are named" {
    local option
    for option in "--window 0" "--window soon" "--nat perhaps" "--offset 1,2" "--offset 1,x" "--interval 0" "--seq-col -1" \
        "--time-col x" "--order a" "--order a,a" "--order a,c" "--order 1,3" "-o xml"; do
        # shellcheck disable=SC2086 # two words
        run --separate-stderr vnperf match a b $option
        [ "$status" -eq 2 ] || {
            echo "$option: $status"
            return 1
        }
        [[ "${stderr:-}" = *"${option%% *}"* ]] || [[ "${stderr:-}" = *"xml"* ]] || {
            echo "$option: ${stderr:-}"
            return 1
        }
    done
}

@test "usage: --text takes two logs and nothing of captures" {
    netweaver_logs
    run -2 vnperf match --text pif.log vif.log pif.log
    run -2 vnperf match --text pif.log vif.log --offset auto
    run -2 vnperf match --text pif.log vif.log --packets x
    run -2 vnperf match --text pif.log vif.log --per-flow
}

@test "a place where --json cannot be written is told before anything is read: 3" {
    run --separate-stderr vnperf match a b --json /nowhere/x.json
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"/nowhere/x.json"* ]]
}

# ---- text logs ----

@test "--text: NetWeaver's own columns, exact to the nanosecond" {
    netweaver_logs
    vnperf match --text --seq-col 7 --time-col 1 --seq-split : --seq-index 0 pif.log vif.log --json got.json >table
    jq -e '.schema == "vnperf/1" and (.hops | length) == 1
        and (.hops[0] | .from == "pif.log" and .to == "vif.log" and .matched == 196 and .lost == 4
            and .lost_is_bound == null and .duplicated == 0 and .reordered == 0 and .only_later == 0
            and .delay_ns.min == 11000 and .delay_ns.max == 17000 and .delay_ns.count == 196)' got.json
    # The mean by another way.
    want=$(awk 'BEGIN { for (i = 0; i < 200; i++) if (i % 50 != 20) { n++; sum += 11000 + i % 7 * 1000 } printf "%.6f", sum / n }')
    [ "$(jq '.hops[0].delay_ns.mean' got.json | awk '{ printf "%.6f", $1 }')" = "$want" ]
    grep -q '^pif.log  vif.log .* 196  4 2.00 %' table
}

@test "--text: these columns are the default" {
    netweaver_logs
    vnperf match --text pif.log vif.log -o csv | tr -d '\r' >got.csv
    vnperf match --text --seq-col 7 --time-col 1 --seq-split : --seq-index 0 pif.log vif.log -o csv | tr -d '\r' >want.csv
    diff got.csv want.csv
    [ "$(wc -l <got.csv)" -eq 2 ]
}

@test "--text: a log on standard input, and the document alone on stdout" {
    netweaver_logs
    vnperf match --text - vif.log --json - <pif.log >got.json
    jq -e '.hops[0].matched == 196 and .hops[0].from == "stdin"' got.json
}

@test "--text: today's tcpdump has '[S],' in that column: refused, with the column that would do" {
    awk 'BEGIN { for (i = 0; i < 100; i++)
        printf "2026-11-28 11:00:00.%06d IP 10.0.0.1.2911 > 10.0.0.2.0: Flags [S], seq %d, win 512, length 0\n", i * 1000, 36550021 + i }' >a.log
    sed 's/\([0-9]*\) IP/\19 IP/' a.log >b.log
    run --separate-stderr vnperf match --text --seq-col 7 --time-col 1 --seq-split : --seq-index 0 a.log b.log
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [[ "${stderr:-}" = *"column 7 is '[S],' in each of the 100 lines of a.log"*"--seq-col 9"* ]]
    vnperf match --text --seq-col 9 a.log b.log --json got.json >/dev/null
    jq -e '.hops[0].matched == 100 and .hops[0].delay_ns.min == 900 and .hops[0].delay_ns.max == 900' got.json
}

@test "--text: over midnight without a date" {
    printf '23:59:59.999990 x 1\n00:00:00.000020 x 2\n' >a.log
    printf '00:00:00.000010 x 1\n00:00:00.000035 x 2\n' >b.log
    vnperf match --text --time-col 0 --seq-col 2 a.log b.log --json got.json >/dev/null
    jq -e '.hops[0].matched == 2 and .hops[0].delay_ns.min == 15000 and .hops[0].delay_ns.max == 20000' got.json
}

@test "--text: losses at the ends are at most that" {
    netweaver_logs
    head -n 100 vif.log >short.log
    vnperf match --text pif.log short.log --json got.json >table
    jq -e '.hops[0].lost == 100 and .hops[0].lost_is_bound' got.json
    grep -q '<=100 ' table
    grep -q 'ended earlier' table
}

@test "--text: logs that have nothing in common: 1, and why" {
    printf '1.0 x 1\n2.0 x 2\n' >a.log
    printf '1.0 x 3\n2.0 x 4\n' >b.log
    run --separate-stderr vnperf match --text --time-col 0 --seq-col 2 a.log b.log
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"nothing was matched: no text of column 2 is in both logs"* ]]
    : >empty.log
    run --separate-stderr vnperf match --text --time-col 0 --seq-col 2 a.log empty.log
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"empty.log has no line"* ]]
}

@test "--text: a log that is not there: 3" {
    netweaver_logs
    run --separate-stderr vnperf match --text pif.log nothing.log
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"nothing.log"*"No such file"* ]]
}

@test "--text: every form of output, and a terminal is not steered by a log" {
    netweaver_logs
    for form in table wide json ndjson csv markdown; do
        vnperf match --text pif.log vif.log --interval 5ms -o "$form" >"got.$form"
        [ -s "got.$form" ]
    done
    jq -e '(.hops[0].series | length) == 4 and ([.hops[0].series[].matched] | add) == 196' got.json
    jq -e '.schema == "vnperf/1" and .from == "pif.log"' got.ndjson
    grep -q '^| pif.log | vif.log | 196 |' got.markdown
    cp pif.log "$(printf 'p\033[2J.log')"
    vnperf match --text "$(printf 'p\033[2J.log')" vif.log >table
    run ! grep -q "$(printf '\033')" table
}

# ---- real packets ----

# Two namespaces, a veth pair, and a bridge between: captured at the sender's wire, at the bridge, at the receiver.
net_up() {
    NS=show-$BASHPID
    for n in a b c; do
        ip netns add "$NS-$n"
        ip -n "$NS-$n" link set lo up
    done
    ip -n "$NS-a" link add eth0 type veth peer name left netns "$NS-b"
    ip -n "$NS-c" link add eth0 type veth peer name right netns "$NS-b"
    ip -n "$NS-b" link add br0 type bridge
    for n in left right br0; do
        ip -n "$NS-b" link set "$n" up
    done
    ip -n "$NS-b" link set left master br0
    ip -n "$NS-b" link set right master br0
    for n in a c; do
        ip -n "$NS-$n" link set eth0 up
    done
    ip -n "$NS-a" addr add 10.99.0.1/24 dev eth0
    ip -n "$NS-c" addr add 10.99.0.2/24 dev eth0
}

net_down() {
    for n in a b c; do
        ip netns del "$NS-$n" 2>/dev/null || true
    done
}

teardown() {
    [ -z "${NS:-}" ] || net_down
}

# capture NETNS INTERFACE FILE: begins when tcpdump says that it listens. -p: nothing else is on these wires.
capture() {
    ip netns exec "$NS-$1" tcpdump -p -U -nn -s 128 --nano -i "$2" -w "$3" icmp 2>"$3.talk" 3>&- &
    CAPTURES+=($!)
    wait_for 10 grep -q listening "$3.talk"
}

# catches PID SIGNAL: the process has a handler for it.
catches() {
    local mask
    mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status")
    ((0x$mask >> ($2 - 1) & 1))
}

catches_no() {
    ! catches "$@"
}

# Until a file has so many packets.
has_packets() {
    [ "$(tcpdump -nnr "$1" 2>/dev/null | wc -l)" -ge "$2" ]
}

@test "captures by tcpdump: three points, both ways, the hops add up" {
    skip_unless_root
    skip_unless_netns
    skip_unless_command tcpdump ping ip jq
    CAPTURES=()
    net_up
    capture a eth0 a.pcap
    capture b left b.pcap
    capture c eth0 c.pcap
    ip netns exec "$NS-a" ping -q -c 100 -i 0.002 10.99.0.2 >/dev/null
    for file in a b c; do
        wait_for 10 has_packets "$file.pcap" 200
    done
    kill "${CAPTURES[@]}"
    wait "${CAPTURES[@]}" || true

    vnperf match a.pcap b.pcap c.pcap --json got.json --packets way.csv >table
    # Each way two hops and the whole; nothing is lost on a veth, and no packet is before it was sent.
    jq -e '(.hops | length) == 6 and ([.hops[] | select(.whole)] | length) == 2
        and (.hops | all(.matched == 100 and .lost == 0 and .duplicated == 0 and .delay_ns.min >= 0))
        and (.hops[0] | .from == "a.pcap" and .to == "b.pcap")
        and (.points | all(.seen == 200 and .unparsed == 0))' got.json
    # The same packets at each point: the means of the hops are the mean of the whole.
    jq -e '[.hops[0:3], .hops[3:6]] | all(
        .[0].delay_ns.mean + .[1].delay_ns.mean - .[2].delay_ns.mean | fabs < 0.01)' got.json
    grep -q 'Where the time goes, a.pcap to c.pcap' table
    grep -q 'Where the time goes, c.pcap to a.pcap' table
    [ "$(tr -d '\r' <way.csv | awk -F, 'NR > 1 && $10 == "111"' | wc -l)" -eq 200 ]
    [ "$(awk -F, '$3 == "backward"' way.csv | wc -l)" -eq 100 ]

    # The files in another order: the order in which packets pass them is found out.
    vnperf match b.pcap c.pcap a.pcap --json other.json >/dev/null
    [ "$(jq -c '[.hops[] | [.from, .to, .matched, .delay_ns.mean]] | sort' got.json)" = \
        "$(jq -c '[.hops[] | [.from, .to, .matched, .delay_ns.mean]] | sort' other.json)" ]
    # By another program and its text: the requests, by ICMP's sequence number.
    for file in a c; do
        tcpdump -nn --nano -tt -r "$file.pcap" 2>/dev/null | grep 'echo request' >"$file.log"
    done
    vnperf match --text --time-col 0 --seq-col 11 --seq-split , a.log c.log --json text.json >/dev/null
    [ "$(jq -c '.hops[0] | [.matched, .delay_ns.min, .delay_ns.max]' text.json)" = \
        "$(jq -c '[.hops[] | select(.whole)][0] | [.matched, .delay_ns.min, .delay_ns.max]' got.json)" ]
}

@test "Ctrl-C while a capture still comes in: all that came is matched, and 130" {
    skip_unless_root
    skip_unless_netns
    skip_unless_command tcpdump ping ip jq
    CAPTURES=()
    net_up
    capture a eth0 a.pcap
    ip netns exec "$NS-a" ping -q -c 20 -i 0.002 10.99.0.2 >/dev/null
    wait_for 10 has_packets a.pcap 40
    kill "${CAPTURES[@]}"
    wait "${CAPTURES[@]}" || true

    mkfifo pipe
    # Without job control a shell has what it starts behind it ignore SIGINT.
    env --default-signal=INT "$VNPERF" match - a.pcap --json got.json <pipe >table 2>talk.txt 3>&- &
    local pid=$! out status=0
    exec {out}>pipe
    cat a.pcap >&"$out"
    wait_for 10 catches "$pid" 2
    kill -INT "$pid"
    # Who writes has got the same Ctrl-C in a terminal, and ends.
    exec {out}>&-
    wait "$pid" || status=$?
    [ "$status" -eq 130 ]
    grep -q 'interrupted' talk.txt
    jq -e '.points[0].seen == 40 and ([.hops[].matched] | add) == 40' got.json
}

@test "a second SIGTERM ends it at once" {
    local generate=$VNPERF_BUILD/tests/capture/generate pid status=0
    skip_unless_command jq
    "$generate" --scenario loss --seed 7 --packets 1000 --out one
    # A pipe under another name that is never ended keeps it waiting; the second signal is as ever.
    mkfifo never
    "$VNPERF" match one/A.pcap never --json got.json >table 2>talk.txt 3>&- &
    pid=$!
    exec {out}>never
    cat one/B.pcap >&"$out"
    wait_for 10 catches "$pid" 15
    kill -TERM "$pid"
    wait_for 10 catches_no "$pid" 15
    kill -TERM "$pid"
    wait "$pid" || status=$?
    exec {out}>&-
    [ "$status" -eq 143 ]
}
