#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh: speed of this build beside iperf3's, on the same veth, in turns; and what a whole run takes.
#
#   ROUNDS   of each comparison (5); what is shown is the median
#   SECONDS_EACH   of a measurement (2)
#   ONLY     of tcp udp start memory run, those that are wanted
#
# Both sides of every comparison use cubic, whatever the machine's default is.
#
# Numbers of one machine on one day: it is the ratios that say something. As root or as an ordinary user; everything
# stands in namespaces of its own and ends with this script.
set -euo pipefail

cd "$(dirname "$0")/../.."
build=${VNPERF_BUILD:-build}
vnperf=$(realpath "$build/vnperf")
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-2}
only=${ONLY:-tcp udp start memory run}

if [ "${1:-}" != inside ]; then
    map=()
    [ "$(id -u)" = 0 ] || map=(--user --map-root-user)
    exec unshare "${map[@]}" --net --mount --pid --fork --kill-child --mount-proc "$0" inside
fi

# Names of namespaces live in /run/netns: a /run of our own keeps them out of the machine's.
mount -t tmpfs tmpfs /run
work=$(mktemp -d /run/bench.XXXXXX)
export XDG_STATE_HOME=$work/state PATH=$PATH:/usr/sbin:/sbin
ip netns add a
ip netns add b
ip link add a0 netns a type veth peer name b0 netns b
for side in a b; do
    ip -n "$side" link set lo up
    ip -n "$side" link set "${side}0" up
done
ip -n a address add 10.99.0.1/24 dev a0
ip -n b address add 10.99.0.2/24 dev b0
ip netns exec b iperf3 --server --port 5999 >"$work/iperf3.log" 2>&1 &
for _ in $(seq 100); do
    [ -z "$(ip netns exec b ss -Hltn 'sport = :5999')" ] || break
    sleep 0.05
done

wanted() {
    [[ " $only " == *" $1 "* ]]
}

median() {
    sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# ours KIND KEY OPTION…: one value of one measurement of ours.
ours() {
    local kind=$1 key=$2
    shift 2
    "$vnperf" test netns:a netns:b "$@" --time "$seconds" --no-save --cc cubic --json - 2>"$work/talk" |
        jq -e "[.. | objects | select(.kind? == \"$kind\") | .$key] | first" || {
        cat "$work/talk" >&2
        exit 1
    }
}

theirs() {
    local filter=$1
    shift
    ip netns exec a iperf3 --client 10.99.0.2 --port 5999 --time "$seconds" --json "$@" | jq -e "$filter"
}

# side_by_side NAME UNIT SCALE: medians of $work/ours and $work/theirs, and their ratio.
side_by_side() {
    local a b
    a=$(median <"$work/ours")
    b=$(median <"$work/theirs")
    awk -v name="$1" -v unit="$2" -v scale="$3" -v a="$a" -v b="$b" \
        'BEGIN { printf "%-24s %10.3f %10.3f %8.2f   %s\n", name, a / scale, b / scale, a / b, unit }'
    : >"$work/ours"
    : >"$work/theirs"
}

now_ms() {
    echo $((${EPOCHREALTIME/./} / 1000))
}

printf '%-24s %10s %10s %8s   %s\n' what vnperf iperf3 ratio unit
if wanted tcp; then
    for _ in $(seq "$rounds"); do
        ours tcp_stream throughput_bps --tcp >>"$work/ours"
        theirs .end.sum_received.bits_per_second --congestion cubic --omit 1 >>"$work/theirs"
    done
    side_by_side "TCP, one flow" Gbit/s 1e9
    for _ in $(seq "$rounds"); do
        ours tcp_stream throughput_bps --tcp --flows 4 >>"$work/ours"
        theirs .end.sum_received.bits_per_second --congestion cubic --omit 1 --parallel 4 >>"$work/theirs"
    done
    side_by_side "TCP, four flows" Gbit/s 1e9
fi
if wanted udp; then
    for _ in $(seq "$rounds"); do
        ours udp_stream received_pps --udp --udpbuf 1024 >>"$work/ours"
        theirs '(.end.sum.packets - .end.sum.lost_packets) / .end.sum.seconds' --udp --bitrate 0 --length 1024 >>"$work/theirs"
    done
    side_by_side "UDP, 1024 bytes" kpps 1e3
fi

printf '\n%-24s %10s %10s\n' what took mark
if wanted start; then
    # What a test takes beyond the time that it measures: agents up, flow up, results back, all ended. The first byte
    # leaves within that.
    for _ in $(seq "$rounds"); do
        begin=$(now_ms)
        "$vnperf" test netns:a netns:b --time 50ms --warmup 0 --no-save --quiet >/dev/null
        echo $(($(now_ms) - begin - 50)) >>"$work/ours"
    done
    printf '%-24s %7.0f ms %10s\n' "test beyond its time" "$(median <"$work/ours")" "100 ms"
    : >"$work/ours"
fi
if wanted memory; then
    # VmHWM of the controller and of both agents, in the middle of a test of 64 flows.
    "$vnperf" test netns:a netns:b --time 2 --flows 64 --no-save --quiet >/dev/null &
    test_pid=$!
    sleep 1.5
    for pid in $test_pid $(ps -o pid= --ppid "$test_pid"); do
        awk -v name="$(cat "/proc/$pid/comm")" '/VmHWM/ { printf "%-24s %6.1f MiB %10s\n", name, $2 / 1024, "16 MiB" }' \
            "/proc/$pid/status"
    done
    wait "$test_pid"
fi
if wanted run; then
    begin=$(now_ms)
    "$vnperf" run --quick --json "$work/run.json" >/dev/null 2>"$work/talk" || {
        cat "$work/talk" >&2
        exit 1
    }
    printf '%-24s %8.1f s %10s   %s of %s passed\n' "run --quick" "$(($(now_ms) - begin))e-3" "75 s" \
        "$(jq .summary.passed "$work/run.json")" "$(jq .summary.total "$work/run.json")"
    printf '%-24s %7.0f ms %10s\n' "building the lab" "$(jq .run.staging_ns/1e6 "$work/run.json")" "2000 ms" \
        "removing the lab" "$(jq .run.removal_ns/1e6 "$work/run.json")" "1000 ms"
fi
