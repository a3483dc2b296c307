#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf help, and --help of every command.

bats_require_minimum_version 1.5.0
load ../helper

# Commands as the program itself lists them.
commands() {
    vnperf help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

@test "help lists the commands and the exit codes" {
    local name
    run --separate-stderr vnperf help
    [ "$status" -eq 0 ]
    [[ "$output" = *"Exit codes: 0 good"* ]]
    for name in run plan test serve show doctor cleanup version completion help; do
        grep -qx "$name" < <(commands)
    done
    [ "$(vnperf --help)" = "$output" ]
    [ "$(vnperf -h)" = "$output" ]
}

@test "every command has --help, on stdout, and help COMMAND says the same" {
    local name
    for name in $(commands); do
        run --separate-stderr vnperf "$name" --help
        [ "$status" -eq 0 ]
        [[ "$output" = "vnperf $name: "*"Usage: vnperf $name"*"--help"* ]]
        [ -z "${stderr:-}" ]
        [ "$(vnperf help "$name")" = "$output" ]
        [ "$(vnperf "$name" -h)" = "$output" ]
    done
}

@test "--help wins over what stands behind it, and touches nothing" {
    run --separate-stderr vnperf run --help --nonsense
    [ "$status" -eq 0 ]
    [ ! -e "$XDG_STATE_HOME" ]
}

@test "every command refuses an unknown option and tells where the options are" {
    local name
    for name in $(commands); do
        run --separate-stderr vnperf "$name" --frobnicate
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [[ "${stderr:-}" = *"$name: there is no option '--frobnicate'"*"vnperf $name --help"* ]]
    done
}

@test "help of an unknown command: 2" {
    run --separate-stderr vnperf help nosuch
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"there is no command 'nosuch'"* ]]
    [ -z "$output" ]
}
