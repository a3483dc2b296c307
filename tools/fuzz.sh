#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh [DIR [SECONDS [PARSER…]]]: every libFuzzer harness of the build in DIR, SECONDS each (60), as many at once as there are CPUs (JOBS).
#
# Starts from tests/fuzz/corpus/<parser>/; what it finds on the way stays in DIR/fuzz/<parser>/, a crash in
# DIR/fuzz/crash-<parser>-…: put that into the corpus with the mend, and it is a test from then on.
set -eu

cd "$(dirname "$0")/.."
dir=${1:-build-fuzz}
seconds=${2:-60}
if [ $# -gt 2 ]; then
    shift 2
else
    set --
    for file in tests/fuzz/fuzz_*.c; do
        [ -e "$file" ] || continue
        file=${file#tests/fuzz/fuzz_}
        set -- "$@" "${file%.c}"
    done
fi
[ $# -gt 0 ] || {
    echo "fuzz.sh: no harness in tests/fuzz" >&2
    exit 1
}

export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}"
status=0 n_good=0 bad=''

# one PARSER: its words are in DIR/fuzz/PARSER.log; what the harness ended with in PARSER.status.
one() {
    r=0
    "$dir/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$dir/fuzz/crash-$1-" "$dir/fuzz/$1" "tests/fuzz/corpus/$1" </dev/null >"$dir/fuzz/$1.log" 2>&1 || r=$?
    echo "$r" >"$dir/fuzz/$1.status"
}

# told PARSER…: how each of them ended.
told() {
    for parser; do
        echo "fuzz_$parser: $seconds s"
        if [ "$(cat "$dir/fuzz/$parser.status" 2>/dev/null)" = 0 ]; then
            tail -n 1 "$dir/fuzz/$parser.log"
            n_good=$((n_good + 1))
        else
            tail -n 60 "$dir/fuzz/$parser.log"
            bad="$bad $parser"
        fi
    done
}

jobs=${JOBS:-$(nproc)}
round='' n_round=0 pids=''
# What runs in the background of a shell does not hear the terminal.
trap 'kill $pids 2>/dev/null; exit 130' INT TERM
for parser; do
    mkdir -p "$dir/fuzz/$parser"
    [ -d "tests/fuzz/corpus/$parser" ] || {
        echo "fuzz.sh: fuzz_$parser.c has no corpus: put inputs into tests/fuzz/corpus/$parser" >&2
        bad="$bad $parser"
        continue
    }
    rm -f "$dir/fuzz/$parser.status"
    one "$parser" &
    pids="$pids $!"
    round="$round $parser" n_round=$((n_round + 1))
    if [ "$n_round" -ge "$jobs" ]; then
        wait
        # shellcheck disable=SC2086 # parsers are words
        told $round
        round='' n_round=0 pids=''
    fi
done
wait
# shellcheck disable=SC2086 # parsers are words
told $round
if [ -n "$bad" ]; then
    echo "fuzz.sh: failed:$bad; $n_good without a finding" >&2
    status=1
else
    echo "$n_good harnesses without a finding"
fi
exit "$status"
