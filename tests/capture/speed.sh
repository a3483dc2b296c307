#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# speed.sh: what vnperf match costs beside other tools on the same captures, in turns, as CPU time. No test: it fails nothing.
#
#   VNPERF_BUILD  build/ when not said       ROUNDS  5
#   PACKETS       5000000, of each file      TEXT    1000000, of the part where tools write text; 0 leaves that out
#   KEEP          a folder for the captures, which are 300 bytes a packet
#
# Marks: 5 M + 5 M frames in 0.6 s of CPU and 64 MiB of private memory, 3 times tcpdump -r -w; on 1 M packets 200 times
# tcpdump's text and NetWeaver's method.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${VNPERF_BUILD:-$here/../../build}
build=$(cd "$build" && pwd)
generate=$build/tests/capture/generate vnperf=$build/vnperf
rounds=${ROUNDS:-5} packets=${PACKETS:-5000000} text=${TEXT:-1000000}
dir=${KEEP:-$(mktemp -d)}
[ -n "${KEEP:-}" ] || trap 'rm -rf "$dir"' EXIT
export LC_ALL=C.UTF-8 TZ=UTC

# make NAME SCENARIO PACKETS
make_pair() {
    [ -s "$dir/$1/truth.json" ] || "$generate" --scenario "$2" --packets "$3" --out "$dir/$1"
}

# cost CMD…: user and system CPU seconds of it and its children, on stdout.
cost() {
    local TIMEFORMAT='%U %S' out
    out=$({ time "$@" >/dev/null 2>&1; } 2>&1) || true
    awk '{ printf "%.3f\n", $1 + $2 }' <<<"$out"
}

# What each round runs; both files, but where one tool takes one.
run_match() { "$vnperf" match "$pair/A.pcap" "$pair/B.pcap" --json -; }
run_tcpdump() { for f in A B; do tcpdump -r "$pair/$f.pcap" -w /dev/null; done; }
run_cat() { cat "$pair/A.pcap" "$pair/B.pcap"; }
run_text() { for f in A B; do tcpdump -ttttnSr "$pair/$f.pcap" >"$dir/$f.txt"; done; }
run_python() { python3 "$here/seed_method.py" "$dir/A.txt" "$dir/B.txt" 9; }
# shellcheck disable=SC2016 # $ is awk's
run_awk() {
    awk '{ split($10, seq, ":"); split($2, clock, ":"); at = (clock[1] * 60 + clock[2]) * 60 + clock[3] }
        NR == FNR { first[seq[1]] = at; next }
        { second[seq[1]] = at }
        END {
            for (k in first) if (k in second) { d = second[k] - first[k]; n++; sum += d; squares += d * d }
            print n, sum / n, sqrt(squares / n - (sum / n) ^ 2)
        }' "$dir/A.txt" "$dir/B.txt"
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# turns N NAME…: N rounds in turns, into $dir/cost.NAME.
turns() {
    local n=$1 i name
    shift
    for name; do : >"$dir/cost.$name"; done
    for ((i = 0; i < n; i++)); do
        for name; do cost "run_$name" >>"$dir/cost.$name"; done
    done
}

# line NAME WORDS FRAMES
line() {
    local got
    got=$(median <"$dir/cost.$1")
    awk -v s="$got" -v ours="$(median <"$dir/cost.match")" -v w="$2" -v n="$3" -v all="$(paste -sd' ' "$dir/cost.$1")" \
        'BEGIN { printf "%-34s %8.3f s %8.0f ns/frame %8.1f x ours   (%s)\n", w, s, s * 1e9 / n, s / ours, all }'
}

# Private memory of the process at its largest: sampled from its own pages, without those of the file.
memory() {
    local pid most=0 now
    "$vnperf" match "$pair/A.pcap" "$pair/B.pcap" --json - >/dev/null 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        now=$(awk '/^Rss(Anon|Shmem):/ { kb += $2 } END { print kb + 0 }' "/proc/$pid/status" 2>/dev/null) || now=0
        [ "${now:-0}" -le "$most" ] || most=$now
        sleep 0.01
    done
    wait "$pid" || true
    awk -v kb="$most" 'BEGIN { printf "private memory at its most: %.1f MiB\n", kb / 1024 }'
}

has_tcpdump=no
command -v tcpdump >/dev/null && has_tcpdump=yes
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) processors, $rounds rounds in turns; medians of CPU seconds"

make_pair large speed "$packets"
pair=$dir/large
frames=$((2 * packets))
cat "$pair/A.pcap" "$pair/B.pcap" >/dev/null
echo "--- $packets + $packets frames of 64 B payload"
names=(match cat)
[ "$has_tcpdump" = no ] || names+=(tcpdump)
turns "$rounds" "${names[@]}"
line match "vnperf match" "$frames"
line cat "cat" "$frames"
[ "$has_tcpdump" = no ] || line tcpdump "tcpdump -r -w /dev/null" "$frames"
memory
run_match >"$dir/got.json" || true
wrong=$(jq -n -r --slurpfile truth "$pair/truth.json" --slurpfile got "$dir/got.json" --argjson counts_only false \
    -f "$here/check.jq" 2>&1) || true
echo "truth: ${wrong:-every figure is right}"

if [ "$text" != 0 ] && [ "$has_tcpdump" = yes ]; then
    make_pair text speed "$text"
    pair=$dir/text
    frames=$((2 * text))
    echo "--- $text + $text frames, tools that write and read text"
    names=(match text awk)
    command -v python3 >/dev/null && names+=(python)
    turns "$(((rounds + 1) / 2))" "${names[@]}"
    line match "vnperf match" "$frames"
    line text "tcpdump -tttt, both files" "$frames"
    line awk "NetWeaver's method in awk, alone" "$frames"
    if [ -s "$dir/cost.python" ]; then
        line python "NetWeaver's method, alone" "$frames"
        paste "$dir/cost.text" "$dir/cost.python" | awk '{ print $1 + $2 }' >"$dir/cost.both"
        line both "NetWeaver's method and its tcpdump" "$frames"
    fi
    rm -f "$dir/A.txt" "$dir/B.txt"
fi
rm -f "$dir"/cost.* "$dir/got.json"
