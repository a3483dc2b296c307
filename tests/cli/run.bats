#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf run: the lab, as a person runs it. What breaks in its middle is in netns/bad_days.bats; what its options refuse is
# in plan.bats, as they are the same.

# shellcheck disable=SC2016 # shells of their own expand for themselves
bats_require_minimum_version 1.5.0
load ../helper

setup() {
    skip_unless_netns
    skip_unless_command ip nft jq
}

# failed CODE WORDS CMD…: that exit code, and an error with WORDS
failed() {
    local code=$1 words=$2
    shift 2
    run --separate-stderr "$@"
    if [ "$status" != "$code" ] || [[ "${stderr:-}" != *"$words"* ]] || [[ "${stderr:-}" = *"(null)"* ]]; then
        echo "$*: $status, not $code, or not: $words"
        echo "$output"
        echo "${stderr:-}"
        return 1
    fi
}

@test "--json - prints JSON on stdout and nothing else" {
    vnperf run --scenarios 1.1,6.3,8.2 -t 0.2 --json - >"$TEST_DIR/out" 2>"$TEST_DIR/err"
    jq -es 'length == 1' "$TEST_DIR/out"
    [ "$(json .schema "$TEST_DIR/out")" = vnperf/1 ]
    [ "$(json '.summary | "\(.total) \(.passed) \(.failed) \(.skipped)"' "$TEST_DIR/out")" = "23 3 0 20" ]
    [ "$(json '.cleanup.left | length' "$TEST_DIR/out")" = 0 ]
    [ "$(head -c 1 "$TEST_DIR/out")" = '{' ]
    # Talk has no control codes where it is no terminal.
    [ "$(grep -c $'[\033\r]' "$TEST_DIR/err")" = 0 ]
    [ "$(grep -c '^\[[1-3]/3\] ' "$TEST_DIR/err")" = 3 ]
    # What was saved is what was printed.
    [ "$(vnperf show --json - | jq -S .)" = "$(jq -S . "$TEST_DIR/out")" ]
    [ -z "$(ls "$XDG_STATE_HOME/vnperf/ledger")" ]
}

@test "64 flows" {
    run --separate-stderr vnperf run --scenarios 1.1 --flows 64 -t 0.2 --json -
    [ "$status" -eq 0 ]
    [ "$(json '[.scenarios[].measurements[]? | select(.kind == "tcp_stream").flows] | unique | join(" ")')" = 64 ]
}

@test "an ordinary user measures too" {
    skip_unless_userns
    run --separate-stderr as_user vnperf run --scenarios 1.1,5.3 -t 0.2 --json -
    [ "$status" -eq 0 ]
    [ "$(json .summary.passed)" = 2 ]
}

@test "-q says nothing" {
    run --separate-stderr vnperf run --scenarios 7.3 -t 0.2 -q
    [ "$status" -eq 0 ]
    [ -z "${stderr:-}" ]
}

@test "progress on a terminal is one line, and gone at the end" {
    skip_unless_command script
    TERM=xterm script -qefc "$VNPERF run --scenarios 7.3 -t 0.5 --color never >$TEST_DIR/out" /dev/null >"$TEST_DIR/tty" </dev/null
    grep -q $'\r\[1/1\] 7.3 ' "$TEST_DIR/tty"
    [ "$(grep -c $'\033' "$TEST_DIR/out")" = 0 ]
    # The last word about the line is that it is erased.
    [ "$(tr '\r' '\n' <"$TEST_DIR/tty" | grep -a $'\033\[K' | tail -1 | grep -c '1/1')" = 0 ]
}

@test "no colour for NO_COLOR" {
    skip_unless_command script
    TERM=xterm script -qefc "env NO_COLOR=1 $VNPERF run --scenarios 7.3 -t 0.2 -q" /dev/null >"$TEST_DIR/tty" </dev/null
    grep -q 7.3 "$TEST_DIR/tty"
    [ "$(grep -c $'\033' "$TEST_DIR/tty")" = 0 ]
}

@test "an unknown scenario, a buffer of 0, an unknown option: 2, and nothing is touched" {
    failed 2 "there is no scenario '9.9'" vnperf run --scenarios 9.9
    failed 2 "a size of 0 sends nothing" vnperf run --tcpbuf 0
    failed 2 "did you mean --scenarios?" vnperf run --scenaros 1.1
    failed 2 "did you mean --quick?" vnperf run --quik
    [ ! -e "$XDG_STATE_HOME" ]
}

@test "a congestion control that is not there fails its scenario and no other: 1" {
    failed 1 "congestion control 'nosuch' (this machine offers: " vnperf run --scenarios 7.1,7.3 -t 0.2 --cc nosuch --json -
    [ "$(json '[.scenarios[] | select(.id | startswith("7")) | .status] | join(" ")')" = "failed skipped passed" ]
}

@test "--stop-on-error ends at the first that fails, and says why the others are skipped" {
    failed 1 "congestion control" vnperf run --scenarios 7.1,7.3 -t 0.2 --cc nosuch --stop-on-error --json -
    [ "$(json '.scenarios[] | select(.id == "7.3") | "\(.status) \(.reason)"')" = "skipped --stop-on-error: a scenario before it failed" ]
}

@test "a relative XDG_STATE_HOME does not count" {
    mkdir "$TEST_DIR/home"
    cd "$TEST_DIR"
    HOME=$TEST_DIR/home XDG_STATE_HOME=relative vnperf run --scenarios 7.3 -t 0.2 -q
    [ ! -e relative ]
    [ "$(find home/.local/state/vnperf/runs -name '*.json' | wc -l)" = 1 ]
}

@test "no place for results at all: 3" {
    failed 3 "neither XDG_STATE_HOME nor HOME names one" env -u HOME -u XDG_STATE_HOME "$VNPERF" run --scenarios 7.3 -t 60
}

@test "a state folder that may not be written: 3, with the path" {
    mkdir "$TEST_DIR/closed"
    chmod 755 "$TEST_DIR/closed"
    if is_root; then
        failed 3 "making the folder '$TEST_DIR/closed/vnperf' for results" as_user env XDG_STATE_HOME="$TEST_DIR/closed" "$VNPERF" run --scenarios 7.3 -t 60
    else
        chmod 555 "$TEST_DIR/closed"
        failed 3 "making the folder '$TEST_DIR/closed/vnperf' for results" env XDG_STATE_HOME="$TEST_DIR/closed" "$VNPERF" run --scenarios 7.3 -t 60
    fi
    [[ "${stderr:-}" = *"XDG_STATE_HOME chooses another"* ]]
}

@test "a --json that cannot be written is said before the measuring: 3" {
    failed 3 "--json '/nonexistent/x.json': No such file or directory" vnperf run -t 60 --json /nonexistent/x.json
    failed 3 "--json '$TEST_DIR': Is a directory" vnperf run -t 60 --json "$TEST_DIR"
    [ ! -e "$XDG_STATE_HOME" ]
}

@test "a --json that cannot be written at the end: 3, and the run is kept" {
    [ -e /dev/full ] || skip "needs /dev/full"
    failed 3 "'/dev/full': writing JSON: No space left on device" vnperf run --scenarios 7.3 -t 0.2 --json /dev/full
    vnperf show --json - | jq -e '.summary.passed == 1'
}

@test "a reader that goes away: 3, and the run is kept" {
    # The reader is gone before there is anything to write.
    run --separate-stderr bash -c '"$VNPERF" run --scenarios 7.3 -t 0.2 --json - | true; exit "${PIPESTATUS[0]}"'
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"Broken pipe"* ]]
    vnperf show --json - | jq -e '.summary.passed == 1'
    run --separate-stderr bash -c '"$VNPERF" run --scenarios 7.3 -t 0.2 | true; exit "${PIPESTATUS[0]}"'
    [ "$status" -eq 3 ]
    [ -z "$(ls "$XDG_STATE_HOME/vnperf/ledger")" ]
}

@test "an agent that is not there, or is none: 3" {
    failed 3 "agent '/nonexistent': No such file or directory" vnperf run --scenarios 7.3 --agent /nonexistent
    [ ! -e "$XDG_STATE_HOME" ]
    failed 3 "no scenario could be measured" vnperf run --scenarios 7.3 --agent "$(type -P false)"
    [[ "${stderr:-}" = *"starting the agent on node node1"* ]]
    [ -z "$(ls "$XDG_STATE_HOME/vnperf/ledger")" ]
}

@test "-t 0.8 is measured for 800 ms" {
    vnperf run --scenarios 7.3 -t 0.8 --json - 2>/dev/null | jq -e '.scenarios[] | select(.id == "7.3").measurements[0].window_ns as $w | $w >= 8e8 and $w < 9e8'
}
