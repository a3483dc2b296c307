#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf doctor: what is missing here, each with its mend. What it says of a machine that lacks something is in
# netns/bad_days.bats.

bats_require_minimum_version 1.5.0
load ../helper

@test "every finding is one line, what is bad has its mend behind it" {
    run --separate-stderr vnperf doctor
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ]
    [[ "${lines[0]}" = "vnperf "*", Linux "* ]]
    [ "$(grep -cE '^(good|warn|BAD )  ' <<<"$output")" = 7 ]
    [ "$(grep -cE '^(warn|BAD )' <<<"$output")" = "$(grep -c '^      ' <<<"$output")" ]
    if grep -q '^BAD' <<<"$output"; then
        [ "$status" -eq 3 ]
    else
        [ "$status" -eq 0 ]
    fi
}

@test "doctor makes no state folder, no process and no namespace that stay" {
    vnperf doctor || true
    [ ! -e "$XDG_STATE_HOME" ]
}

@test "where namespaces may be made, a lab can be built" {
    skip_unless_netns
    skip_unless_command ip nft
    grep -q '^good  a lab can be built here' < <(vnperf doctor)
}

@test "no agent program beside it: the one inside, else 3 and what to do" {
    mkdir "$TEST_DIR/alone"
    cp "$VNPERF" "$TEST_DIR/alone/vnperf"
    run --separate-stderr "$TEST_DIR/alone/vnperf" doctor
    # Built with musl it is in vnperf too; with this libc it is not.
    if ! ldd "$VNPERF_AGENT" >/dev/null 2>&1; then
        [[ "$output" = *"good  agent program inside vnperf"* ]]
        return
    fi
    [ "$status" -eq 3 ]
    [[ "$output" = *"BAD   the agent program $TEST_DIR/alone/vnperf-agent"*"build it (make) or install it beside vnperf"* ]]
}

@test "a state folder that may not be written: 3, and what to do" {
    run --separate-stderr as_user env XDG_STATE_HOME=/proc/1 "$VNPERF" doctor
    [ "$status" -eq 3 ]
    [[ "$output" = *"BAD   state folder /proc/1/vnperf: "*"set XDG_STATE_HOME"* ]]
}

@test "doctor takes no argument" {
    run --separate-stderr vnperf doctor all
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"'all' is one argument too many"* ]]
}
