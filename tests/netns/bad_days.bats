#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bad days: whatever happens to a run, it says so in a sentence, ends with the documented code, keeps what it has
# measured, and leaves nothing behind.
# The tools for it stand in box.bash.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # shells and perl in the box expand for themselves; tests hand nothing on; names are of box.bash

bats_require_minimum_version 1.5.0
load ../helper
load box

@test "the processes of a VM killed in mid test: its scenarios fail, others go on" {
    begin run -t "$(longer 8)" --scenarios 1.1,2.1,7.3
    # node1, node2, vm1, vm2, vm3
    wait_flowing 3 5
    box nsenter --target "$pid" --net sh -c '
        here=$(readlink /proc/self/ns/net)
        for p in /proc/[0-9]*; do
            [ "${p#/proc/}" = $$ ] || [ "$(readlink $p/ns/net)" != "$here" ] || victims="$victims ${p#/proc/}"
        done
        kill -KILL $victims 2>/dev/null || true'
    ended 1
    says '\[1/3\] 1.1 .* failed: the agent at vm1 has ended' '\[3/3\] 7.3 .* passed'
    [ "$(status_of 1.1)" = failed ]
    [ "$(status_of 2.1)" = failed ]
    [ "$(status_of 7.3)" = passed ]
    [[ "$(reason_of 1.1)" = *"the agent at vm1 has ended"* ]]
    nothing_left
}

@test "an agent stopped is an error after its silence" {
    begin run -t 60 --scenarios 1.3
    wait_for 30 agent 4 4
    pid=$(agent 4 4)
    wait_for 30 pinging "$pid"
    box kill -STOP "$pid"
    ended 1
    says 'the agent at vm2 has ended \(silent for 4 s\)'
    [ "$(status_of 1.3)" = failed ]
    nothing_left
}

@test "the link of a test is deleted: an error, and what was measured is kept" {
    two_ends
    begin test netns:a netns:b -t 60 -i 0.1
    wait_flowing 1 2
    box ip -n a link del a0
    # Unreachable, or failed when it had counted something; it depends on what the kernel tries next, who says it first.
    ended '[14]'
    says 'error: netns:[ab]: .* flow 0: (the connection broke|nothing .* for 3 s|the peer acknowledged nothing for 3 s)'
    [ "$(status_of test)" = failed ]
    no_ends
    nothing_left
}

@test "a namespace of a test is deleted: its agents end with it or with the test" {
    two_ends
    begin test netns:a netns:b -t 60
    wait_flowing 1 2
    box ip netns del b
    # The name is gone; the namespace lives as long as the agent in it.
    box kill -INT "$controller"
    ended 130
    shown .summary.total
    no_ends
    nothing_left
}

@test "the keeper killed: the run ends by itself, and says so" {
    begin run -t 60 --scenarios 1.1,7.1
    wait_flowing 3 4
    box kill -KILL "$(of_name vnperf-keeper)"
    ended 1
    says 'has ended'
    [ "$(shown .summary.failed)" = 2 ]
    nothing_left
}

# ---- the controller is ended ----

@test "TERM ends a run in order: 143" {
    begin run -t 60 --scenarios 1.1
    wait_flowing 3 4
    box kill -TERM "$controller"
    ended 143
    says 'saved in '
    [ "$(status_of 1.1)" = failed ]
    [ "$(reason_of 1.1)" = interrupted ]
    [ "$(shown .cleanup.left[])" = '' ]
    nothing_left
}

@test "TERM ends a test in order: 143" {
    two_ends
    begin test netns:a netns:b -t 60
    wait_flowing 1 2
    box kill -TERM "$controller"
    ended 143
    says interrupted
    [ "$(reason_of test)" = interrupted ]
    no_ends
    nothing_left
}

@test "TERM while the lab is built: 143, and nothing of it stays" {
    begin run -t 60 --scenarios 1.1
    wait_for 20 of_name_found vnperf-keeper
    box kill -TERM "$controller"
    ended 143
    nothing_left
}

of_name_found() {
    [ -n "$(of_name "$1")" ]
}

@test "INT ends a run in order: 130, and what was measured before it is kept" {
    begin run -t 60 --scenarios 1.1,1.3 --flows 2
    wait_flowing 3 4
    box kill -INT "$controller"
    ended 130
    says 'saved in '
    [ "$(status_of 1.1)" = failed ]
    [ "$(reason_of 1.1)" = interrupted ]
    [ "$(shown '.scenarios[] | select(.id == "1.1").measurements[0].kind')" = tcp_stream ]
    [ "$(shown .cleanup.left[])" = '' ]
    [ "$(status_of 1.3)" = skipped ]
    [[ "$(reason_of 1.3)" = *interrupted* ]]
    nothing_left
}

@test "a closed terminal (HUP) ends a run in order: 129" {
    skip_unless_command script
    # The outer shell leads the session: with its end the kernel tells the terminal's other processes. The inner one
    # outlives that, to say what became of vnperf, where a caught signal is no longer caught.
    TEST_OUT=$TEST_DIR box setsid script -qefc \
        'sh -c '\''trap : HUP; "$VNPERF" run -t 60 --scenarios 1.1; echo $? >"$TEST_OUT/code"'\''; true' /dev/null >"$out" 2>"$err" </dev/null 3>&- &
    job=$!
    wait_flowing 3 4
    box kill -KILL "$(of_name script | head -1)"
    wait_for 30 test -s "$TEST_DIR/code"
    [ "$(cat "$TEST_DIR/code")" = 129 ]
    [ "$(status_of 1.1)" = failed ]
    [ "$(reason_of 1.1)" = interrupted ]
    [ "$(shown .cleanup.left[])" = '' ]
    nothing_left
}

@test "the controller killed: keeper and agents end, and the ledger goes with them" {
    begin run -t 60 --scenarios 1.1
    wait_flowing 3 4
    box kill -KILL "$controller"
    ended 137
    wait_for 20 nothing_in_box
    wait_for 20 no_ledger
    nothing_left
}

no_ledger() {
    [ -z "$(ledgers)" ]
}

# The keeper is stopped first, so that it does not see the controller's end.
kill_all() {
    local -a all
    mapfile -t all < <(of_name vnperf-keeper && of_name vnperf-agent)
    box kill -STOP "${all[0]}"
    box kill -KILL "$controller" "${all[@]}" || true
}

@test "all processes killed at once: only the ledger is left; the next run works, cleanup clears it" {
    local id
    begin run -t 60 --scenarios 7.3,1.1
    wait_flowing 3 4
    kill_all
    ended 137
    wait_for 10 nothing_in_box
    [ "$(box ip -o link | wc -l)" = "$box_links" ]
    id=$(ledgers)
    [ -n "$id" ]

    run --separate-stderr box "$VNPERF" run -t 0.2 --scenarios 7.3
    [ "$status" -eq 0 ]
    [ "$(ledgers)" = "$id" ]
    run --separate-stderr box "$VNPERF" cleanup
    [ "$status" -eq 0 ]
    [[ "$output" = *"run $id: "*" is gone"* ]]
    nothing_left
    run --separate-stderr box "$VNPERF" cleanup
    [ "$status" -eq 0 ]
    [[ "$output" = *"nothing to clean up"* ]]
}

@test "the first scenario's result outlives a kill of everything in the second" {
    begin run -t "$(longer 10)" --scenarios 1.3,7.1
    wait_for 30 said '^\[1/2\] '
    wait_flowing 2 4
    kill_all
    ended 137
    [ "$(status_of 1.3)" = passed ]
    [ "$(status_of 7.1)" = skipped ]
    box "$VNPERF" cleanup
    nothing_left
}

@test "a run is not cleaned up while it goes on" {
    begin run -t 60 --scenarios 1.1
    wait_flowing 3 4
    run --separate-stderr box "$VNPERF" cleanup
    [ "$status" -eq 0 ]
    [[ "${stderr:-}" = *"still running"*"left alone"* ]]
    box kill -INT "$controller"
    ended 130
    nothing_left
}

# ---- the state folder ----

@test "a full disk is said before anything is measured: 3" {
    box mkdir -p "$XDG_STATE_HOME"
    box mount -t tmpfs -o size=64k none "$XDG_STATE_HOME"
    run --separate-stderr box "$VNPERF" run -t 0.2 --scenarios 7.3
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"keeping room for results in '$state/runs'"*"No space left on device"* ]]
    [ -z "$output" ]
    nothing_left
}

@test "a disk that fills up in mid run: results are saved elsewhere, and it is said" {
    local there
    box mkdir -p "$XDG_STATE_HOME"
    box mount -t tmpfs -o size=4m none "$XDG_STATE_HOME"
    begin run -t "$(longer 2)" --scenarios 1.1,1.3,7.3
    wait_for 30 said '^\[1/3\] '
    box dd if=/dev/zero of="$XDG_STATE_HOME/fill" bs=64k status=none || true
    ended 3
    says "results are in '$TMPDIR/vnperf-[^']*\.json' instead: .*No space left on device" "saved in $TMPDIR/vnperf-"
    there=$(ls "$TMPDIR"/vnperf-*.json)
    run --separate-stderr vnperf show "$there" --json -
    [ "$status" -eq 0 ]
    [ "$(json .summary.passed)" = 3 ]
    [ "$(grep -c 'No space left' "$err")" = 1 ]
    rm "$there"
    box umount "$XDG_STATE_HOME"
    nothing_left
}

@test "a disk that has room again in time: saved in its place, and all is well" {
    box mkdir -p "$XDG_STATE_HOME"
    box mount -t tmpfs -o size=4m none "$XDG_STATE_HOME"
    begin run -t "$(longer 2)" --scenarios 1.1,1.3,7.1,7.3
    wait_for 30 said '^\[1/4\] '
    box dd if=/dev/zero of="$XDG_STATE_HOME/fill" bs=64k status=none || true
    wait_for 30 said "results are in '$TMPDIR/"
    box rm "$XDG_STATE_HOME/fill"
    ended 0
    says "saved in $state/runs/"
    [ "$(box "$VNPERF" show --json - | jq .summary.passed)" = 4 ]
    [ -z "$(ls "$TMPDIR")" ]
    nothing_left
}

# ---- what the machine lacks ----

# hide PROGRAM: in the box there is none of that name
hide() {
    local dir
    for dir in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
        [ ! -e "$dir/$1" ] || box mount --bind "$TEST_DIR/nothing" "$(readlink -f "$dir/$1")" || true
    done
}

@test "no nft: 3, and which package has it" {
    touch "$TEST_DIR/nothing"
    hide nft
    run --separate-stderr box "$VNPERF" run -t 0.2 --scenarios 7.3
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"the lab needs the program 'nft' (apt install nftables)"* ]]
    run --separate-stderr box "$VNPERF" doctor
    [ "$status" -eq 3 ]
    [[ "$output" = *"apt install nftables"* ]]
    nothing_left
}

@test "no ip: 3, and which package has it" {
    touch "$TEST_DIR/nothing"
    hide ip
    run --separate-stderr box "$VNPERF" run -t 0.2 --scenarios 7.3
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"the lab needs the program 'ip' (apt install iproute2)"* ]]
    # ip is hidden from the test as well.
    wait_for 10 nothing_in_box
    [ -z "$(ledgers)" ]
}

# Where an ordinary user may not make user namespaces: a user namespace of the test's own in which that holds.
forbidden() {
    as_user unshare --user --map-root-user sh -c '
        echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all -- "$@"' sh "$@"
}

@test "no rights: 3, and the sentence and doctor tell what to do" {
    skip_unless_userns
    skip_unless_command setpriv
    run --separate-stderr forbidden "$VNPERF" run -t 0.2 --scenarios 7.3
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"the lab needs network namespaces"*"max_user_namespaces"*"sysctl user.max_user_namespaces="* ]]
    run --separate-stderr forbidden "$VNPERF" doctor
    [ "$status" -eq 3 ]
    [[ "$output" = *"no lab can be built here"*"sysctl user.max_user_namespaces="* ]]
}

# ---- the clock ----

@test "a step of the wall clock changes no duration and no result" {
    skip_unless_command gcc
    [ "${VNPERF_SANITIZER:-none}" = none ] || skip "a sanitizer's runtime does not let another library be loaded before it"
    # An hour forward after some calls, and back two hours after some more, in controller and agents alike.
    cat >"$TEST_DIR/step.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
static long step(void)
{
    static int n;
    int k = __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED);
    return k < 2 ? 0 : k % 2 ? 3600 : -3600;
}
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int r = (int)syscall(SYS_clock_gettime, id, ts);
    if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI))
        ts->tv_sec += step();
    return r;
}
int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec ts;
    (void)tz;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *t)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (t)
        *t = ts.tv_sec;
    return ts.tv_sec;
}
END
    gcc -shared -fPIC -O -o "$TEST_DIR/step.so" "$TEST_DIR/step.c"
    # The agent of the build may be static; vnperf's own is not.
    printf '#!/bin/sh\nexec "$VNPERF" agent\n' >"$TEST_DIR/agent"
    chmod +x "$TEST_DIR/agent"
    begin_with=(env "LD_PRELOAD=$TEST_DIR/step.so")
    begin run -t 0.5 --scenarios 1.1,1.2,1.3 --udpbuf 1024 \
        --agent "$TEST_DIR/agent" --json "$TEST_DIR/run.json" --test-description step
    ended 0
    # Only a trend and the difference of two rates may be below 0.
    run jq -r 'paths(numbers) as $p | select(getpath($p) < 0) | $p | map(tostring) | join(".")' "$TEST_DIR/run.json"
    [ "$(grep -cvE '^$|slope|growth' <<<"$output")" = 0 ] || {
        echo "below 0: $output"
        false
    }
    jq -e '[.scenarios[].measurements[] | .window_ns | select(. != null)]
        | length > 3 and all(. >= 100e6 and . < 5e9)' "$TEST_DIR/run.json"
    nothing_left
}
