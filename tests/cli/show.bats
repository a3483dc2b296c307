#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf show: saved runs again, and what is no saved run.

bats_require_minimum_version 1.5.0
load ../helper

setup() {
    runs=$XDG_STATE_HOME/vnperf/runs
}

# One measurement of this machine with itself; its number comes in $id.
measured() {
    vnperf test local local --rr -t 0.1 --json "$TEST_DIR/$1.json" --test-description "$1" >/dev/null 2>&1
    id=$(jq -r .run.id "$TEST_DIR/$1.json")
}

# refused WORDS ARG…
refused() {
    local words=$1
    shift
    run --separate-stderr vnperf show "$@"
    if [ "$status" != 2 ] || [ -n "$output" ] || [[ "${stderr:-}" != "vnperf: error: show: "*"$words"* ]]; then
        echo "show $*: $status, wanted: $words"
        echo "$output"
        echo "${stderr:-}"
        return 1
    fi
}

@test "the last run, by its name, its beginning and its file, is the document that was written" {
    local first what
    measured first
    first=$id
    measured second
    [ "$first" != "$id" ]
    for what in last "$id" "$runs/$id.json"; do
        [ "$(vnperf show "$what" --json - | jq -S .)" = "$(jq -S . "$TEST_DIR/second.json")" ]
    done
    [ "$(vnperf show --json - | jq -r .run.description)" = second ]
    [ "$(vnperf show "$first" --json - | jq -r .run.description)" = first ]
    # The last letter may be left out unless the other run has the same beginning.
    [ "$(vnperf show "${first%?}" --json - 2>/dev/null | jq -r .run.description)" = first ] ||
        [ "${first%?}" = "${id%?}" ]
    refused "which run is meant" 20
    vnperf show - --json - <"$runs/$first.json" | jq -e '.run.description == "first"'
}

@test "every format of a saved run" {
    measured one
    [[ "$(vnperf show)" = *"local to local"*"passed"* ]]
    [[ "$(vnperf show -o wide)" = *"local to local"* ]]
    vnperf show -o json | jq -e '.schema == "vnperf/1"'
    vnperf show -o ndjson | jq -es 'length >= 1'
    vnperf show -o csv | grep -q ,
    vnperf show -o markdown | grep -q '^|'
}

@test "results are for their owner alone" {
    measured one
    [ "$(stat -c %a "$runs")" = 700 ]
    [ "$(stat -c %a "$runs/$id.json")" = 600 ]
}

@test "nothing saved yet, no such run: 2" {
    refused "no run is saved in '$runs' yet"
    refused "no run '2026' in '$runs'" 2026
    [ ! -e "$XDG_STATE_HOME" ]
    refused "opening '/nonexistent/x.json': No such file or directory" /nonexistent/x.json
    refused "opening 'x.json'" x.json
    refused "Is a directory" "$TEST_DIR/"
}

@test "files that are no result: 2, with the place" {
    printf '{"schema": "vnperf/1",\n oops' >"$TEST_DIR/bad.json"
    refused "'$TEST_DIR/bad.json' line 2" "$TEST_DIR/bad.json"
    head -c 4096 /dev/urandom >"$TEST_DIR/random.json"
    refused "'$TEST_DIR/random.json' line 1" "$TEST_DIR/random.json"
    : >"$TEST_DIR/empty.json"
    refused "'$TEST_DIR/empty.json' line" "$TEST_DIR/empty.json"
    echo '{"start": {}, "end": {}}' >"$TEST_DIR/other.json"
    refused "is not a result file of vnperf" "$TEST_DIR/other.json"
    echo '{"schema": "vnperf/2"}' >"$TEST_DIR/newer.json"
    refused "has schema vnperf/2, and this vnperf reads vnperf/1" "$TEST_DIR/newer.json"
}

@test "a result cut in its middle is refused, whatever the place" {
    local size
    measured one
    for size in 1 20 500 1000; do
        head -c "$size" "$runs/$id.json" >"$TEST_DIR/cut.json"
        refused "'$TEST_DIR/cut.json' line" "$TEST_DIR/cut.json"
    done
}

@test "a result of strange types is shown without a crash" {
    echo '{"schema": "vnperf/1", "run": 7, "nodes": {}, "scenarios": [1, null, {"id": [], "measurements": [3, {"kind": 9}]}], "summary": []}' >"$TEST_DIR/odd.json"
    run vnperf show "$TEST_DIR/odd.json"
    [ "$status" -le 3 ]
}

@test "control codes in a file do not reach the terminal" {
    measured one
    jq '.run.description = "\u001b[31mred" | .scenarios[0].reason = "a\u001b]0;b\u0007"' "$runs/$id.json" >"$TEST_DIR/codes.json"
    [ "$(vnperf show "$TEST_DIR/codes.json" | grep -c $'\033')" = 0 ]
    [ "$(vnperf show "$TEST_DIR/codes.json" -o markdown | grep -c $'\033')" = 0 ]
}

@test "colour when asked for, not for NO_COLOR or a pipe" {
    measured one
    [ "$(vnperf show | grep -c $'\033')" = 0 ]
    [ "$(vnperf show --color always | grep -c $'\033')" -gt 0 ]
    skip_unless_command script
    TERM=xterm script -qefc "env NO_COLOR=1 $VNPERF show" /dev/null >"$TEST_DIR/plain" </dev/null
    [ "$(grep -c $'\033' "$TEST_DIR/plain")" = 0 ]
    TERM=xterm script -qefc "env -u NO_COLOR $VNPERF show" /dev/null >"$TEST_DIR/colour" </dev/null
    [ "$(grep -c $'\033' "$TEST_DIR/colour")" -gt 0 ]
}

@test "one argument at most; an unknown option" {
    refused "'b' is one argument too many" a b
    refused "there is no option '--jsn': did you mean --json?" --jsn
}
