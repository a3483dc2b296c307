#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf cleanup: removes what a ledger names, and only that. Ledgers of real runs are in netns/bad_days.bats.

bats_require_minimum_version 1.5.0
load ../helper

setup() {
    dir=$XDG_STATE_HOME/vnperf/ledger
}

# ledger NAME LINE…: one of a process that is gone
ledger() {
    local name=$1
    shift
    mkdir -p "$dir"
    printf '%s\n' "vnperf-ledger/1 run=$name driver=lab pid=999999 start=1" "$@" >"$dir/$name"
}

@test "nothing to clean up is good, and makes no folder" {
    run --separate-stderr vnperf cleanup
    [ "$status" -eq 0 ]
    [ "$output" = "nothing to clean up: no run has left a ledger in $dir" ]
    [ ! -e "$XDG_STATE_HOME" ]
}

@test "a ledger whose things are gone is cleared" {
    ledger one '+ node keeper pid=999998 start=5' '+ vm vm vm1'
    run --separate-stderr vnperf cleanup
    [ "$status" -eq 0 ]
    [[ "$output" = *"run one: vm vm vm1 is gone"*"run one: node keeper pid=999998 start=5 is gone"* ]]
    [ -z "$(ls "$dir")" ]
}

@test "only the run that is named is cleared" {
    ledger one '+ vm vm vm1'
    ledger two '+ vm vm vm1'
    vnperf cleanup two
    [ "$(ls "$dir")" = one ]
}

@test "a process that only has the number of a keeper is not touched" {
    sleep 60 3>&- &
    local other=$!
    ledger one "+ node keeper pid=$other start=1"
    run --separate-stderr vnperf cleanup
    [ "$status" -eq 0 ]
    kill -0 "$other"
    kill "$other"
}

@test "an unknown run: 2" {
    ledger one '+ vm vm vm1'
    run --separate-stderr vnperf cleanup three
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"run 'three' has left nothing: there is no ledger of it in $dir"* ]]
    [ "$(ls "$dir")" = one ]
}

@test "things that it does not know stay, and are named: 6" {
    ledger one '+ moon the moon'
    run --separate-stderr vnperf cleanup
    [ "$status" -eq 6 ]
    [[ "${stderr:-}" = *"the moon"* ]]
    [ "$(ls "$dir")" = one ]
}

@test "a file that is no ledger stays, and is named: 6; others are cleared" {
    ledger one '+ vm vm vm1'
    head -c 300 /dev/urandom >"$dir/noise"
    run --separate-stderr vnperf cleanup
    [ "$status" -eq 6 ]
    [[ "${stderr:-}" = *"$dir/noise"* ]]
    [ "$(ls "$dir")" = noise ]
}

@test "a line that a crash cut is said; the rest is cleared" {
    ledger one '+ vm vm vm1'
    printf '+ vm v' >>"$dir/one"
    run --separate-stderr vnperf cleanup
    [ "$status" -eq 0 ]
    [[ "$output" = *"vm1 is gone"* ]]
    [[ "${stderr:-}" = *"$dir/one"* ]]
}

@test "a name with a path in it is no run" {
    ledger one '+ vm vm vm1'
    run --separate-stderr vnperf cleanup ../ledger/one
    [ "$status" -eq 2 ]
    [ "$(ls "$dir")" = one ]
}
