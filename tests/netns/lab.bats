#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The lab as a whole run has it: nothing of it may be left, whatever ends the run.

load ../helper

setup() {
    skip_unless_netns
    skip_unless_command ip nft jq
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

@test "the lab works for an ordinary user too" {
    skip_unless_userns
    run --separate-stderr as_user vnperf run --quick --scenarios 6.3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.summary.passed')" = 1 ]
    [ -z "$(ls "$TEST_DIR/user/state/vnperf/ledger" 2>/dev/null)" ]
}
