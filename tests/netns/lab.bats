#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The lab as a whole run has it: nothing of it may be left, whatever ends the run.

load ../helper

setup() {
    skip_unless_netns
    skip_unless_command ip nft jq
}

# Network namespaces that processes are in, and keepers; other runs of this machine may come and go meanwhile.
keepers_of() {
    local status ppid
    for status in /proc/[0-9]*/status; do
        grep -q '^Name:[[:space:]]vnperf-keeper$' "$status" 2>/dev/null || continue
        ppid=$(awk '/^PPid:/ { print $2 }' "$status" 2>/dev/null)
        if [ "$ppid" = "$1" ]; then
            basename "$(dirname "$status")"
        fi
    done
}

a_keeper_of() {
    [ -n "$(keepers_of "$1")" ]
}

gone() {
    [ ! -d "/proc/$1" ] || grep -q '^State:[[:space:]]Z' "/proc/$1/status"
}

no_ledger() {
    [ -z "$(ls "$XDG_STATE_HOME/vnperf/ledger" 2>/dev/null)" ]
}

@test "an ordinary run leaves no ledger and no named namespace" {
    local before
    before=$(ip netns list)
    run --separate-stderr vnperf run --quick --scenarios 2.3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.cleanup.left | length')" = 0 ]
    no_ledger
    [ "$(ip netns list)" = "$before" ]
}

@test "kill -9 of the controller in mid run takes the keeper and the ledger with it" {
    "$VNPERF" run -t 60 --scenarios 2.1 --json - >"$TEST_DIR/out" 2>"$TEST_DIR/err" 3>&- &
    local controller=$! keeper
    wait_for 20 a_keeper_of "$controller"
    keeper=$(keepers_of "$controller")
    kill -KILL "$controller"
    wait "$controller" || true
    wait_for 20 gone "$keeper"
    wait_for 20 no_ledger
}

@test "kill -9 of the keeper in mid run is said, and the run ends by itself" {
    "$VNPERF" run -t 60 --scenarios 2.1 --json - >"$TEST_DIR/out" 2>"$TEST_DIR/err" 3>&- &
    local controller=$! keeper r=0
    wait_for 20 a_keeper_of "$controller"
    keeper=$(keepers_of "$controller")
    kill -KILL "$keeper"
    wait_for 60 gone "$controller"
    wait "$controller" || r=$?
    [ "$r" -ne 0 ]
    [ -s "$TEST_DIR/err" ]
    no_ledger
}

@test "the lab works for an ordinary user too" {
    skip_unless_userns
    run --separate-stderr as_user vnperf run --quick --scenarios 6.3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.summary.passed')" = 1 ]
    [ -z "$(ls "$TEST_DIR/user/state/vnperf/ledger" 2>/dev/null)" ]
}
