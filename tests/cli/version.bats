#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf version, and the program without a command.

# shellcheck disable=SC2016 # shells of their own expand for themselves
bats_require_minimum_version 1.5.0
load ../helper

@test "version is one line" {
    run --separate-stderr vnperf version
    [ "$status" -eq 0 ]
    [[ "$output" =~ ^vnperf\ [0-9]+\.[0-9]+\.[0-9]+ ]]
    [ "${#lines[@]}" = 1 ]
    [ -z "${stderr:-}" ]
}

@test "--version says the same" {
    [ "$(vnperf --version)" = "$(vnperf version)" ]
}

@test "version takes no argument" {
    run --separate-stderr vnperf version now
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"'now' is one argument too many"* ]]
}

@test "output that cannot be written is a failure" {
    [ -e /dev/full ] || skip "needs /dev/full"
    run --separate-stderr bash -c '"$0" version >/dev/full' "$VNPERF"
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"writing to standard output failed"* ]]
}

@test "no command: the usage on stderr, 2" {
    run --separate-stderr vnperf
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [[ "${stderr:-}" = *"Usage: vnperf COMMAND"* ]]
}

@test "an unknown command: 2, and a suggestion when one is near" {
    run --separate-stderr vnperf verson
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"there is no command 'verson': did you mean version?"* ]]
    run --separate-stderr vnperf xyzzy
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"there is no command 'xyzzy'"* ]]
}
