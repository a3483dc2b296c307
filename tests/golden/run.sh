#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [LIST]: every line of tests/golden/LIST, compared with its expected text. Prints TAP.
# GOLDEN_WRITE=1 writes the expected files instead; read the difference before it is kept.
set -eu

list=${1:-$VNPERF_SOURCE/tests/golden/LIST}
dir=$(cd "$(dirname "$list")" && pwd)
rows=$(sed 's/#.*//' "$list" | awk 'NF')
[ -n "$rows" ] || {
    echo "1..0 # SKIP $list has no line yet"
    exit 0
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A user's own state and settings stay out of it.
export XDG_STATE_HOME="$work/state" XDG_CONFIG_HOME="$work/config" LC_ALL=C.UTF-8 NO_COLOR=1

# produce INPUT: what our program makes of the input, on stdout.
produce() {
    case $1 in
    *.args)
        # One argument a line, spaces and stars and all. This runs in a shell of its own, so nothing is put back.
        arguments=$(cat "$dir/$1")
        set -f
        IFS='
'
        # shellcheck disable=SC2086 # cut at line ends on purpose
        set -- $arguments
        "$VNPERF_BUILD/vnperf" "$@" </dev/null
        ;;
    *)
        echo "run.sh: nobody knows what to do with $1" >&2
        return 2
        ;;
    esac
}

echo "1..$(printf '%s\n' "$rows" | wc -l)"
printf '%s\n' "$rows" >"$work/rows"
n=0
status=0
while read -r name input expected; do
    n=$((n + 1))
    r=0
    (produce "$input") >"$work/out" 2>"$work/talk" || r=$?
    if [ "$r" = 0 ] && [ "${GOLDEN_WRITE:-}" = 1 ]; then
        cp "$work/out" "$dir/$expected"
    fi
    if [ "$r" = 0 ] && diff -u "$dir/$expected" "$work/out" >"$work/diff" 2>&1; then
        echo "ok $n - $name"
        continue
    fi
    status=1
    echo "not ok $n - $name"
    [ "$r" = 0 ] || echo "# exit $r"
    sed 's/^/# /' "$work/talk"
    [ "$r" != 0 ] || sed 's/^/# /' "$work/diff"
done <"$work/rows"
exit "$status"
