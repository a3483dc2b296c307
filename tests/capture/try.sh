#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# try.sh [SCENARIO]…: generate captures, match them, compare with the truth; a line a scenario. Without names: all but the large.
#
#   VNPERF_BUILD  build/ when not said     SEEDS    "1 2"
#   PACKETS       the scenario's own       KEEP     a folder where captures and results stay
#   ARGS          more for vnperf match
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
build=${VNPERF_BUILD:-$source_dir/build}
generate=$build/tests/capture/generate
dir=${KEEP:-$(mktemp -d)}
[ -n "${KEEP:-}" ] || trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"

names=("$@")
[ $# -gt 0 ] || mapfile -t names < <("$generate" --list | awk '!/^speed/ { print $1 }')

failed=0
for name in "${names[@]}"; do
    for seed in ${SEEDS:-1 2}; do
        out=$dir/$name-$seed
        args=() counts_only=false
        case $name in
        clocks | clocks_day) args=(--offset auto) counts_only=true ;;
        clocks_near) args=(--order "1,2") ;; # else B seems to come first
        esac
        # shellcheck disable=SC2086 # ARGS are words
        {
            "$generate" --scenario "$name" --seed "$seed" ${PACKETS:+--packets "$PACKETS"} --out "$out"
            r=0
            "$build/vnperf" match "$out"/?.pcap* "${args[@]}" ${ARGS:-} --json "$out/got.json" >"$out/table" 2>"$out/talk" || r=$?
        }
        if [ "$r" != 0 ] && [ ! -s "$out/got.json" ]; then
            wrong="exit $r: $(tail -n 1 "$out/talk")"
        else
            wrong=$(jq -n -r --slurpfile truth "$out/truth.json" --slurpfile got "$out/got.json" \
                --argjson counts_only "$counts_only" -f "$source_dir/tests/capture/check.jq" 2>&1)
        fi
        if [ -z "$wrong" ]; then
            echo "pass $name $seed"
        else
            echo "FAIL $name $seed"
            # shellcheck disable=SC2001 # of every line
            sed 's/^/     /' <<<"$wrong"
            failed=$((failed + 1))
        fi
        [ -n "${KEEP:-}" ] || rm -rf "$out"
    done
done
echo "$failed failed"
[ "$failed" = 0 ]
