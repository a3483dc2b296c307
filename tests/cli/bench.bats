# SPDX-License-Identifier: Apache-2.0
# tools/bench: its arithmetic, its namespaces, and one small run of it. What it measures is no test.
# shellcheck disable=SC2154 # status and stderr are of run

bats_require_minimum_version 1.5.0
load ../helper

setup() {
    skip_unless_command python3
    export BENCH_DIR=$VNPERF_SOURCE/tools/bench TEST_DIR
    parts=$VNPERF_SOURCE/tests/cli/bench_parts.py
}

# bench SETTING…: a small run with these settings.
bench() {
    env ROUNDS=1 SECONDS_EACH=1 MAX_FOREIGN=1 TOOLS='' OUT="$TEST_DIR/out.md" "$@" "$BENCH_DIR/bench.py"
}

# row TOOL: its line in the first table of a case.
row() {
    grep -E "^\| $1 \|" "$TEST_DIR/out.md"
}

test_bench_reads_what_tools_print() { #@test
    python3 "$parts" Words
}

test_bench_rows_are_what_vnperf_understands() { #@test
    python3 "$parts" Rows
}

test_bench_judges_by_medians() { #@test
    python3 "$parts" Judging
}

test_bench_counts_both_sides_in_namespaces() { #@test
    skip_unless_netns
    skip_unless_command ip unshare
    local map=()
    is_root || map=(--user --map-root-user)
    unshare "${map[@]}" --net --mount -- python3 "$parts" Namespaces
}

test_bench_measures_ours_beside_a_peer() { #@test
    skip_unless_netns
    skip_unless_command ip tc unshare socat iperf3
    run bench ONLY="tcp1 pacing100 search200" TOOLS="iperf3"
    [ "$status" = 0 ]
    row vnperf
    row vnperf-lean
    row iperf3
    run ! row iperf2
    grep -qF "vnperf-agent" "$TEST_DIR/out.md"
    run ! grep -qE "no figure" "$TEST_DIR/out.md"
}

test_bench_of_an_ordinary_user() { #@test
    skip_unless_userns
    skip_unless_command ip unshare socat ping
    local home=$TEST_DIR/user
    as_user true
    mkdir -p "$home/tools"
    cp -r "$BENCH_DIR" "$home/tools/bench"
    as_user env VNPERF_BUILD="$home/bin" ONLY=ping TOOLS=ping-f ROUNDS=1 MAX_FOREIGN=1 OUT="$home/out.md" "$home/tools/bench/bench.py"
    [ "$(grep -cE '^\| (vnperf|ping-f) \|' "$home/out.md")" = 2 ]
}

test_bench_says_what_it_does_not_know() { #@test
    run --separate-stderr bench ONLY=tpc1
    [ "$status" = 1 ]
    [[ $stderr == *"ONLY=tpc1 is none of"*tcp1* ]]
    run --separate-stderr bench ROUNDS=0
    [[ $stderr == *"ROUNDS=0 is no whole number above 0"* ]]
}
