#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run-tests.sh [DIR] [--suite NAME]… [--no-suite NAME]… [--bats-list FILE]: every test of the build in DIR (build/ when not said).
#
#   --suite NAME      of meson's tests only those of this suite; may be said again
#   --no-suite NAME   of meson's tests not those of this suite; may be said again
#   --bats-list FILE  of the bats files only those that FILE names, one a line
#
# Bats files go in lanes, two of them at once: those whose tests stand in a box of their own or need none beside those that use this machine;
# then, alone, those that hold rates and delays against a truth. LANES=1, and a build with a sanitizer: one file after the other.
#
# Each bats test tells its time. A few that failed (RETRIES, default 8; 0 none) are tried once more: the machine is shared, and what
# holds the second time is counted as passed and named above the last line. Not so what a sanitizer found.
# What failed is named there too ("failed: NAME (file)"), with the end of what it said.
#
# Last line: "N passed, N failed, N skipped", summed over meson's tests (each case of a unit counts) and bats. Exit 1 when one failed.
set -euo pipefail

cd "$(dirname "$0")/.."
source_dir=$PWD
dir=build
suites=()
bats_list=
while [ $# -gt 0 ]; do
    case $1 in
    --suite | --no-suite)
        suites+=("$1" "$2")
        shift 2
        ;;
    --bats-list)
        bats_list=$2
        shift 2
        ;;
    -*)
        echo "run-tests.sh: '$1' is not known" >&2
        exit 2
        ;;
    *)
        dir=$1
        shift
        ;;
    esac
done
dir=$(cd "$dir" && pwd)
export VNPERF_SOURCE=$source_dir VNPERF_BUILD=$dir
VNPERF_SANITIZER=$(meson introspect --buildoptions "$dir" | jq -r '.[] | select(.name == "b_sanitize").value')
export VNPERF_SANITIZER

# A finding of a sanitizer fails the test that it is found in.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
wrap=()
slow=1
case $VNPERF_SANITIZER in
none) ;;
*thread*)
    # gcc 12's ThreadSanitizer gives up on address layouts that vm.mmap_rnd_bits over 28 may bring.
    if setarch -R true 2>/dev/null; then
        wrap=(setarch -R)
    fi
    slow=4
    ;;
*) slow=4 ;;
esac

passed=0 failed=0 skipped=0
retries=${RETRIES:-8}
held=()
failures=$dir/meson-logs/failures.txt
: >"$failures"

# found LOG: a sanitizer's finding is in it. Not a leak: a unit test that fails leaves what it had, and a true one is there the
# second time too.
found() {
    grep -qE 'ERROR: AddressSanitizer|WARNING: ThreadSanitizer|runtime error:' "$1"
}

# add P F S: one part's counts, said and summed.
add() {
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# Each failed test of bats's log once more, by its file and name.
again_bats() {
    local file name pattern
    while IFS=$'\t' read -r file name; do
        echo "once more: $name ($file)"
        # shellcheck disable=SC2001 # a set of characters, each with itself in the answer
        pattern=$(sed 's/[][\\.^$*+?(){}|]/\\&/g' <<<"$name")
        if BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-$((180 * slow))} "${wrap[@]}" bats --formatter tap --filter "^$pattern\$" "$file" </dev/null >"$dir/meson-logs/again.tap" 2>&1 &&
            grep -q '^ok 1 ' "$dir/meson-logs/again.tap"; then
            add 1 -1 0
            held+=("$name ($file)")
        else
            cat "$dir/meson-logs/again.tap"
            { echo "failed: $name ($file)" && tail -n 20 "$dir/meson-logs/again.tap"; } >>"$failures"
        fi
    done < <(awk '
        /^not ok / { name = $0; sub(/^not ok [0-9]+ /, "", name); sub(/ in [0-9]+ms$/, "", name); next }
        name != "" && match($0, /in test file [^,]*,/) {
            print substr($0, RSTART + 13, RLENGTH - 14) "\t" name
            name = ""
        }' "$dir/meson-logs/bats.tap")
}

# Each failed test of meson's once more; the second answer takes the place of the first in its log.
again_meson() {
    local name names first=$dir/meson-logs/testlog-first.json
    mapfile -t names < <(jq -r 'select(.result != "OK" and .result != "SKIP" and .result != "EXPECTEDFAIL").name | sub("^.* / "; "")' "$log")
    [ ${#names[@]} -le "$retries" ] || return 0
    echo "once more: ${names[*]}"
    mv "$log" "$first"
    r=0
    "${meson_tests[@]}" "${names[@]}" </dev/null || r=$?
    for name in "${names[@]}"; do
        ! jq -e --arg n "$name" 'select((.name | sub("^.* / "; "")) == $n and .result == "OK")' "$log" >/dev/null || held+=("$name")
    done
    jq -c --slurpfile again "$log" 'select(.name as $n | all($again[]; .name != $n))' "$first" >"$log.both"
    cat "$log" >>"$log.both"
    mv "$log.both" "$log"
}

log=$dir/meson-logs/testlog.json
rm -f "$log"
r=0
meson_tests=("${wrap[@]}" meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier "$slow")
"${meson_tests[@]}" "${suites[@]}" </dev/null || r=$?
if [ "$r" != 0 ] && [ -s "$log" ] && ! found "$dir/meson-logs/testlog.txt"; then
    again_meson
fi
if [ -s "$log" ]; then
    # shellcheck disable=SC2016 # $ is jq's
    counts=$(jq -rs '
        def count(f): map(select(f)) | length;
        map(.result as $result
            | (.stdout // "") | split("\n") | map(sub("^\\s+"; ""))
            | {p: count(test("^ok\\b") and (test("# *skip"; "i") | not)),
               s: count(test("^ok\\b") and test("# *skip"; "i")),
               f: count(test("^not ok\\b"))}
            | if $result == "OK" or $result == "EXPECTEDFAIL" then
                  if .p + .s == 0 then .p = 1 else . end
              elif $result == "SKIP" then
                  if .s == 0 then .s = 1 else . end
              elif .f == 0 then .f = 1
              else . end)
        | "\(map(.p) | add // 0) \(map(.f) | add // 0) \(map(.s) | add // 0)"' "$log")
    read -r p f s <<<"$counts"
    add "$p" "$f" "$s"
    # meson keeps the words of a failed TAP test to itself.
    jq -r 'select(.result | IN("OK", "SKIP", "EXPECTEDFAIL") | not)
        | "failed: \(.name): \(.result)", (.stdout // "" | split("\n")[] | select(test("^ok ") | not)),
          (.stderr // "" | split("\n")[-20:][])' "$log" >>"$failures"
fi
if [ "$r" != 0 ] && [ "$failed" = 0 ]; then
    echo "meson test ended with $r, and no test says why" >&2
    add 0 1 0
fi

if [ -n "$bats_list" ]; then
    mapfile -t bats_files < <(sed 's/#.*//' "$bats_list" | awk 'NF { print $1 }')
else
    mapfile -t bats_files < <(find tests/cli tests/netns tests/live -name '*.bats' 2>/dev/null | LC_ALL=C sort)
fi
# lane NAME FILE…: bats, and its words kept beside those of the other lanes. No test hangs the others: bats ends one that takes
# too long.
lane() {
    local name=$1 r=0 tap=$dir/meson-logs/bats-$1.tap
    shift
    : >"$tap"
    [ $# -gt 0 ] || return 0
    BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-$((180 * slow))} \
        "${wrap[@]}" bats --timing --formatter tap "$@" </dev/null 2>&1 | tee "$tap" || r=$?
    if [ "$r" != 0 ] && ! grep -qE '^not ok [0-9]' "$tap"; then
        echo "not ok 0 bats ended with $r in lane $name, and no test says why" | tee -a "$tap"
    fi
}

if [ ${#bats_files[@]} -gt 0 ]; then
    log=$dir/meson-logs/bats.tap
    boxed=() open=() alone=()
    for file in "${bats_files[@]}"; do
        case $file in
        tests/live/* | */bad_days.bats | */match_truth.bats) boxed+=("$file") ;;
        */truth_* | */hops_* | */iperf[23].bats | */ipv6.bats | */tool.bats | */under_load.bats) alone+=("$file") ;;
        *) open+=("$file") ;;
        esac
    done
    if [ "${LANES:-2}" = 1 ] || [ "$(nproc)" = 1 ] || [ "$slow" != 1 ]; then
        lane boxed "${boxed[@]}"
        lane open "${open[@]}"
    else
        lane boxed "${boxed[@]}" &
        lane open "${open[@]}"
        wait $!
    fi
    lane alone "${alone[@]}"
    cat "$dir"/meson-logs/bats-{boxed,open,alone}.tap >"$log"
    p=$(grep -cE '^ok [0-9]' "$log" || true)
    s=$(grep -cE '^ok [0-9].*# skip' "$log" || true)
    f=$(grep -cE '^not ok [0-9]' "$log" || true)
    add $((p - s)) "$f" "$s"
    if [ "$f" -gt 0 ] && [ "$f" -le "$retries" ] && ! found "$log"; then
        again_bats
    elif [ "$f" -gt 0 ]; then
        awk '/^not ok / { sub(/^not ok [0-9]+ /, "failed: "); print; lines = 20; next } /^ok / { lines = 0 } lines-- > 0' "$log" >>"$failures"
    fi
fi

cat "$failures"
for name in "${held[@]}"; do
    echo "held only at the second try: $name"
done
if [ $((passed + failed + skipped)) = 0 ]; then
    echo "no test ran: that is no good news" >&2
    add 0 1 0
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
