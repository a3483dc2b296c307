#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf test FROM TO: endpoints that are there already.

# shellcheck disable=SC2016 # shells of their own expand for themselves
bats_require_minimum_version 1.5.0
load ../helper

# Ports and addresses are those of a network namespace of the test's own; its loopback is up.
alone() {
    local -a user=()
    is_root || user=(--user --map-root-user)
    unshare "${user[@]}" --net --mount sh -c 'ip link set lo up && exec "$@"' sh "$@"
}

# failed CODE WORDS CMD…: that exit code, and an error with WORDS
failed() {
    local code=$1 words=$2
    shift 2
    run --separate-stderr "$@"
    if [ "$status" != "$code" ] || [[ "${stderr:-}" != *"vnperf: error: "*"$words"* ]] || [[ "${stderr:-}" = *"(null)"* ]]; then
        echo "$*: $status, not $code, or not: $words"
        echo "$output"
        echo "${stderr:-}"
        return 1
    fi
}

@test "this machine with itself, every kind at once" {
    skip_unless_root # echo is not everybody's
    run --separate-stderr vnperf test local local --tcp --udp --icmp --rr --udp-rr -b 10M -t 0.2 --json -
    [ "$status" -eq 0 ] || {
        echo "${stderr:-}"
        false
    }
    [ "$(json '[.scenarios[].measurements[].kind] | unique | join(" ")')" = "icmp_echo rr tcp_stream udp_stream" ]
    [ "$(json .summary.passed)" = 1 ]
    [ "$(json '.cleanup.left | length')" = 0 ]
}

@test "this machine with itself as an ordinary user, every kind but echo" {
    run --separate-stderr as_user vnperf test local local --tcp --udp --rr --udp-rr -b 10M -t 0.2 --json -
    [ "$status" -eq 0 ]
    [ "$(json '[.scenarios[].measurements[].kind] | unique | join(" ")')" = "rr tcp_stream udp_stream" ]
    [ "$(json .summary.passed)" = 1 ]
}

@test "64 flows" {
    run --separate-stderr vnperf test local local --flows 64 -t 0.2 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].measurements[0].flows')" = 64 ]
}

@test "exec: and netns: are endpoints like any" {
    skip_unless_netns
    run --separate-stderr vnperf test local exec:env --rr -t 0.1 --json -
    [ "$status" -eq 0 ]
    run --separate-stderr alone sh -c '
        mount -t tmpfs none /run && mkdir /run/netns && ip netns add a && ip netns add b &&
        ip link add a0 netns a type veth peer name b0 netns b &&
        ip -n a addr add 10.9.9.1/24 dev a0 && ip -n b addr add 10.9.9.2/24 dev b0 &&
        ip -n a link set a0 up && ip -n b link set b0 up &&
        exec "$VNPERF" test netns:a "exec:ip netns exec b" --rr -t 0.1 --json -'
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].to.address')" = 10.9.9.2 ]
}

@test "endpoints that are none: 2" {
    failed 2 "endpoint 'bogus:x' is none of local, netns:NAME, exec:COMMAND" vnperf test local bogus:x
    # A host as ssh takes it is told how it is written here; and what may be a password is not told again.
    failed 2 "(a host: ssh://root@h1)" vnperf test local root@h1
    failed 2 "ssh://[USER@]HOST[:PORT]" vnperf test local root@h1:sesame
    [[ "$stderr" != *sesame* ]]
    failed 2 "names nothing after its colon" vnperf test local exec:
    failed 2 "needs FROM TO" vnperf test local
    failed 2 "'x' is one argument too many" vnperf test local local x
    [ ! -e "$XDG_STATE_HOME" ]
}

@test "options that are none: 2" {
    failed 2 "a size of 0 sends nothing" vnperf test local local --tcpbuf 0
    failed 2 "a payload of 8 bytes is not between 32 and" vnperf test local local --udp --udpbuf 8
    failed 2 "a test lasts at least 10 ms" vnperf test local local -t 0
    failed 2 "time '-1' is negative" vnperf test local local -t -1
    failed 2 "time '1e400'" vnperf test local local -t 1e400
    failed 2 "rate '10Gb'" vnperf test local local -b 10Gb
    failed 2 "an empty time" vnperf test local local -t ''
    failed 2 "--cc: is empty" vnperf test local local --cc ''
    failed 2 "is not an IPv4 or IPv6 address" vnperf test local local --address bogus
    failed 2 "do not go together" vnperf test local local --bidir --reverse
    failed 2 "did you mean --bidir?" vnperf test local local --bdir
    [ ! -e "$XDG_STATE_HOME" ]
}

@test "a time of 0.8 s is measured for 800 ms" {
    skip_unless_root
    run --separate-stderr vnperf test local local --icmp -t 0.8 --icmp-gap 100ms --no-save --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].measurements[0].sent')" = 8 ]
}

@test "a namespace that is not there: 3" {
    failed 3 "network namespace nosuch (\`ip netns\` lists those there are)" vnperf test local netns:nosuch
    vnperf show --json - | jq -e '.summary.failed == 1'
}

@test "a command that ends, is not there, or talks nonsense: 3" {
    # Without an end it takes the deadline of a greeting: beside the others.
    local nonsense r=0
    vnperf test local 'exec:yes #: nonsense' >"$TEST_DIR/nonsense" 2>&1 3>&- &
    nonsense=$!
    failed 3 "the agent at exec:false has ended" vnperf test local exec:false
    failed 3 "the agent at exec:cat has ended" vnperf test local exec:cat
    failed 3 "the agent at exec:nosuchprogram has ended" vnperf test local exec:nosuchprogram
    [[ "${stderr:-}" = *"nosuchprogram: "* ]]
    wait "$nonsense" || r=$?
    [ "$r" = 3 ]
    cat "$TEST_DIR/nonsense"
    grep -q "vnperf: error: .*waiting for the agent at exec:yes #: nonsense to say hello" "$TEST_DIR/nonsense"
}

@test "an agent that is not there: 3" {
    failed 3 "agent '/nonexistent': No such file or directory" vnperf test local local --agent /nonexistent
    failed 3 "starting /nonexistent: No such file or directory" vnperf test local exec:env --agent /nonexistent
    failed 3 "the agent at exec:env has ended" vnperf test exec:env local --agent /nonexistent
}

@test "an agent of another protocol is not spoken to: 3" {
    printf '#!/bin/sh\necho "0 hello protocol=99 version=9.9"\nexec cat\n' >"$TEST_DIR/agent"
    chmod +x "$TEST_DIR/agent"
    failed 3 "it speaks protocol 99" vnperf test local local --agent "$TEST_DIR/agent"
}

@test "a congestion control that is not there: the sentence lists what there is" {
    failed 1 "congestion control 'nosuch' (this machine offers: " vnperf test local local --cc nosuch -t 0.2
    [[ "${stderr:-}" = *"cubic"* ]] || [[ "${stderr:-}" = *"reno"* ]]
}

@test "nobody answers: 4, within seconds" {
    local kind r n=0 jobs=()
    skip_unless_netns
    skip_unless_command ip
    # All at once, each in a namespace and with a state folder of its own.
    for kind in --tcp --udp --icmp --rr --udp-rr; do
        # Frames for the address go to nobody.
        XDG_STATE_HOME=$TEST_DIR/state$kind alone sh -c 'ip link add v0 type veth peer name v1 && ip addr add 10.8.0.1/24 dev v0 &&
            ip link set v0 up && ip link set v1 up && ip neigh add 10.8.0.2 lladdr 02:00:00:00:00:09 dev v0 &&
            exec "$VNPERF" test local local --address 10.8.0.2 -t 0.2 -b 1M "$0"' "$kind" >"$TEST_DIR/nobody$kind" 2>&1 3>&- &
        jobs+=("$!")
    done
    for kind in --tcp --udp --icmp --rr --udp-rr; do
        r=0
        wait "${jobs[n]}" || r=$?
        n=$((n + 1))
        cat "$TEST_DIR/nobody$kind"
        [ "$r" = 4 ]
        grep -qF "vnperf: error: " "$TEST_DIR/nobody$kind"
        run ! grep -qF "(null)" "$TEST_DIR/nobody$kind"
        XDG_STATE_HOME=$TEST_DIR/state$kind vnperf show --json - | jq -e '.summary.failed == 1'
    done
}

@test "no way to the address: 4" {
    skip_unless_netns
    failed 4 "nreachable" alone "$VNPERF" test local local --address 10.99.0.1 -t 0.2
}

@test "a port in use: an error that names it; the next of the range is taken" {
    local listener
    skip_unless_netns
    skip_unless_command python3
    # Twice 5001 is taken, by TCP and by UDP.
    listener='
import os, socket, sys
t = socket.socket(); t.bind(("", 5001)); t.listen()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 5001))
t.set_inheritable(True); u.set_inheritable(True)
os.execvp(sys.argv[1], sys.argv[1:])'
    failed 3 "port 5001 is taken" alone python3 -c "$listener" "$VNPERF" test local local -t 0.2 --port 5001
    failed 3 "port 5001 is taken" alone python3 -c "$listener" "$VNPERF" test local local -t 0.2 --port 5001 --udp -b 1M
    run --separate-stderr alone python3 -c "$listener" "$VNPERF" test local local -t 0.2 --tcp --udp -b 1M --json -
    [ "$status" -eq 0 ]
    [ "$(json '[.scenarios[0].measurements[].port] | unique | join(" ")')" = 5002 ]
}

@test "the result is kept, unless it should not be" {
    vnperf test local local --rr -t 0.1 --no-save
    [ ! -e "$XDG_STATE_HOME" ]
    run --separate-stderr vnperf test local local --rr -t 0.1 --test-description why
    [ "$status" -eq 0 ]
    [[ "${stderr:-}" = *"saved in $XDG_STATE_HOME/vnperf/runs/"* ]]
    [ "$(vnperf show --json - | jq -r .run.description)" = why ]
}

@test "where the result cannot be kept nothing is measured: 3" {
    failed 3 "making the folder '/proc/1/vnperf'" as_user env XDG_STATE_HOME=/proc/1 "$VNPERF" test local local -t 60
    [[ "${stderr:-}" = *"--no-save does without"* ]]
    as_user env XDG_STATE_HOME=/proc/1 "$VNPERF" test local local --rr -t 0.1 --no-save
}

@test "a --json that cannot be written is said before the measuring: 3" {
    failed 3 "--json '/nonexistent/x.json': No such file or directory" vnperf test local local -t 60 --json /nonexistent/x.json
    failed 3 "--json '$TEST_DIR': Is a directory" vnperf test local local -t 60 --json "$TEST_DIR"
    [ ! -e "$XDG_STATE_HOME" ]
}

@test "no control codes where stderr is no terminal" {
    vnperf test local local --rr -t 0.1 >"$TEST_DIR/out" 2>&1
    [ "$(grep -c $'[\033\r]' "$TEST_DIR/out")" = 0 ]
}

@test "repeated: each time alone, all together, the seed kept" {
    run --separate-stderr vnperf test local local --rr --tcp -t 0.05 --repeat 7 --seed 3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.run.repeat | [.n, .seed] | join(" ")')" = "7 3" ]
    [ "$(json '[.scenarios[0].repeats[] | .n, .stopped] | join(" ")')" = "7 all 7 all" ]
    # In each round both, and all seven rounds one after the other.
    [ "$(json '[.scenarios[0].measurements[].repetition] | join(" ")')" = "1 1 2 2 3 3 4 4 5 5 6 6 7 7" ]
    [ "$(json '[.scenarios[0].repeats[] | .[.metric] | .low <= .median and .median <= .high] | all')" = true ]
    # The median is one of theirs, of an odd number.
    [ "$(json '.scenarios[0] | .measurements as $m | [.repeats[] | . as $r | $r[$r.metric].median as $x |
        any($r.measurements[]; $m[.][$r.metric] == $x)] | all')" = true ]
    first=$(json '[.scenarios[0].measurements[].kind] | join(" ")')
    run --separate-stderr vnperf test local local --rr --tcp -t 0.05 --repeat 7 --seed 3 --json -
    [ "$(json '[.scenarios[0].measurements[].kind] | join(" ")')" = "$first" ]
    vnperf show | grep -q "median of 7; 95 % interval "
}

@test "repeated until it is known well enough" {
    run --separate-stderr vnperf test local local --rr -t 0.05 --repeat 9 --until 100% --json -
    [ "$status" -eq 0 ]
    # One share of the median: such a loop is not that unsteady. Six values are the least that have an interval.
    [ "$(json '.scenarios[0].repeats[0].n >= 6')" = true ]
    [ "$(json '.scenarios[0].repeats[0] | (.stopped == "narrow") == (.width_share <= 1)')" = true ]
    failed 2 "--until needs --repeat N" vnperf test local local --until 2%
    failed 2 "at least 6" vnperf test local local --until 2% --repeat 5
}

@test "a CPU that is named is that one, or the test fails" {
    run --separate-stderr vnperf test local local --rr -t 0.1 --cpu 0,0 --json -
    [ "$status" -eq 0 ]
    [ "$(json '[.. | objects | .pinned_cpu? | values] | unique | length == 1 and .[0] == 0')" = true ]
    failed 1 "CPU 4000 is none that this process may use" vnperf test local local --rr -t 0.1 --cpu 0,4000
    failed 2 "neither same, spread nor two CPUs" vnperf test local local --rr --cpu 1
}

@test "one lean flow one way has both ends on one CPU unless --cpu says otherwise; a flow that copies is left to the scheduler" {
    local ask pinned
    while read -r pinned ask; do
        # shellcheck disable=SC2086 # words of a row
        run --separate-stderr vnperf test local local --tcp -t 0.1 $ask --json -
        [ "$status" -eq 0 ]
        [ "$(json '.scenarios[0].measurements[0].pinned // false')" = "$pinned" ]
        [ "$(json '[.. | objects | .pinned_cpu? | values] | unique | length')" = "$([ "$pinned" = true ] && echo 1 || echo 0)" ]
    done <<'END'
true --io lean
true --io lean --reverse
false --io lean --flows 2
false --io lean --bidir
false --io app
END
    run --separate-stderr vnperf test local local --tcp -t 0.1 --io lean --json -
    [ "$(json '.scenarios[0].measurements[0].placement')" = same ]
}

@test "what another program's server cannot do is refused before anything starts" {
    failed 2 "the search needs our own agent" vnperf test local iperf3://127.0.0.1 --udp --loss 1%
    failed 2 "towards itself only" vnperf test local iperf2://127.0.0.1 --reverse
    failed 2 "whole seconds" vnperf test local iperf3://127.0.0.1 --warmup 0.3
    failed 2 "tcp_rr: not with iperf3 at the other end" vnperf test local iperf3://127.0.0.1 --rr
    failed 2 "can only be where a test goes to" vnperf test iperf3://127.0.0.1 local
}

@test "a warm-up that is found is told" {
    run --separate-stderr vnperf test local local -t 0.2 --warmup auto --cc cubic --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].measurements[0] | .warmup_ns >= 450000000')" = true ]
    [ "$(json '.scenarios[0].measurements[0] | (.warmup_found // false) or (.warning | test("still rose"))')" = true ]
}
