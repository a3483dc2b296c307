#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh ROOT COMPILER [ARG…]: compile include_one.c once for each header of ROOT/src. Prints TAP.
# The headers are found when the test runs, so that a new one cannot be forgotten.
set -eu

root=$1
shift
headers=$(cd "$root/src" && find . -name '*.h' | sed 's|^\./||' | LC_ALL=C sort)
[ -n "$headers" ] || {
    echo "1..0 # SKIP no header in src/"
    exit 0
}

n=0
status=0
echo "1..$(printf '%s\n' "$headers" | wc -l)"
for header in $headers; do
    n=$((n + 1))
    if out=$("$@" -fsyntax-only "-I$root/src" "-DHEADER=\"$header\"" "$root/tests/headers/include_one.c" 2>&1); then
        echo "ok $n - $header compiles alone"
    else
        echo "not ok $n - $header compiles alone"
        printf '%s\n' "$out" | sed 's/^/# /'
        status=1
    fi
done
exit "$status"
