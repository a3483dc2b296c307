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

# in_view_of_names CMD…: CMD where only it could have made a named namespace; the names are in named.
in_view_of_names() {
    mkdir -p /run/netns
    # shellcheck disable=SC2016 # the inner shell's own
    unshare --mount sh -c 'mount -t tmpfs none /run/netns; named=$1; shift; "$@"; r=$?; ls /run/netns >"$named"; exit $r' sh "$TEST_DIR/named" "$@"
}

@test "an ordinary run leaves no ledger and no named namespace" {
    skip_unless_root
    run --separate-stderr in_view_of_names "$VNPERF" run --quick --scenarios 2.3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.cleanup.left | length')" = 0 ]
    no_ledger
    [ -z "$(cat "$TEST_DIR/named")" ]
}

@test "the lab works for an ordinary user too" {
    skip_unless_userns
    run --separate-stderr as_user vnperf run --quick --scenarios 6.3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.summary.passed')" = 1 ]
    [ -z "$(ls "$TEST_DIR/user/state/vnperf/ledger" 2>/dev/null)" ]
}
