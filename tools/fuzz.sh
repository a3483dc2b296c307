#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh [DIR [SECONDS [PARSER…]]]: every libFuzzer harness of the build in DIR, SECONDS each (60).
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
for parser; do
    mkdir -p "$dir/fuzz/$parser"
    corpus=tests/fuzz/corpus/$parser
    [ -d "$corpus" ] || {
        echo "fuzz.sh: fuzz_$parser.c has no corpus: put inputs into $corpus" >&2
        bad="$bad $parser"
        continue
    }
    echo "fuzz_$parser: $seconds s"
    log=$dir/fuzz/$parser.log
    if "$dir/tests/fuzz/fuzz_$parser" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$dir/fuzz/crash-$parser-" "$dir/fuzz/$parser" "$corpus" </dev/null >"$log" 2>&1; then
        tail -n 1 "$log"
        n_good=$((n_good + 1))
    else
        tail -n 60 "$log"
        bad="$bad $parser"
    fi
done
if [ -n "$bad" ]; then
    echo "fuzz.sh: failed:$bad; $n_good without a finding" >&2
    status=1
else
    echo "$n_good harnesses without a finding"
fi
exit "$status"
