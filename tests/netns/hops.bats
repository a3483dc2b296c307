# SPDX-License-Identifier: Apache-2.0
# `vnperf hops` as a person runs it, on a path that we made: a — bridge h — b. What passes is counted by others too.

# shellcheck disable=SC2154 # bats sets status, output and stderr
bats_require_minimum_version 1.5.0
load ../helper

setup_file() {
    is_root && command -v ip ping >/dev/null || return 0
    export base=vnhop$$
    path_up
}

teardown_file() {
    is_root || return 0
    path_down
}

path_up() {
    local a=$base-a h=$base-h b=$base-b ns side
    for ns in "$a" "$h" "$b"; do
        ip netns add "$ns"
        ip -n "$ns" link set lo up
    done
    ip -n "$h" link add br0 type bridge
    ip -n "$h" link set br0 up
    for side in a b; do
        ns=$base-$side
        ip -n "$h" link add "p$side" type veth peer name eth0 netns "$ns"
        ip -n "$h" link set "p$side" master br0 up
        ip -n "$ns" link set eth0 up
    done
    ip -n "$a" address add 10.99.0.1/24 dev eth0
    ip -n "$b" address add 10.99.0.2/24 dev eth0
    wait_for 20 ip netns exec "$a" ping -c 1 -W 1 10.99.0.2
}

path_down() {
    local side
    for side in a h b; do
        ip netns delete "$base-$side" 2>/dev/null || true
    done
}

setup() {
    skip_unless_root
    skip_unless_command ip nft jq ping
    a=$base-a h=$base-h b=$base-b
    doc=$TEST_DIR/hops.json
    all=(--at "netns:$a/eth0" --at "netns:$h/pa" --at "netns:$h/pb" --at "netns:$b/eth0")
}

# A test that failed, or took something away, leaves a path of which nobody knows what is on it.
teardown() {
    is_root || return 0
    [ -z "${pinging:-}" ] || ping_end
    if [ -z "${BATS_TEST_COMPLETED:-}" ] || ! ip -n "$h" link show pb >/dev/null 2>&1; then
        path_down
        path_up
    fi
    ip netns exec "$h" nft flush ruleset
}

# hops ARG…: it has to end well; its document is in $doc.
hops() {
    run --separate-stderr vnperf hops --json "$doc" --no-calibration "$@"
    echo "$output"
    echo "$stderr"
    [ "$status" = 0 ]
}

value() {
    jq -r "$1" "$doc"
}

# The hop between two points, by their places in the list.
hop() {
    value "(.points[$1].name) as \$f | (.points[$2].name) as \$t | .hops[] | select(.from == \$f and .to == \$t and (.whole | not)) | $3"
}

test_datagrams_are_followed_over_all_points() { #@test
    hops "${all[@]}" --traffic udp --count 4000 -t 1s "netns:$a" "netns:$b"
    # Those of the window, before and behind it, and hello and end. A busy machine sends fewer than were asked for.
    local n
    n=$(hop 0 1 .matched)
    [ "$n" -ge 100 ]
    [ "$(hop 1 2 .matched)" = "$n" ]
    [ "$(hop 2 3 .matched)" = "$n" ]
    [ "$(value '[.hops[].lost] | add')" = 0 ]
    # The hops add up to the whole.
    jq -e --arg f "netns:$a/eth0" --arg t "netns:$b/eth0" '
        (.hops[] | select(.whole and .from == $f and .to == $t)) as $w
        | ([.points[].name] | . as $p | [range(0; length - 1) | [$p[.], $p[. + 1]]]) as $pairs
        | ([$pairs[] as $q | .hops[] | select(.from == $q[0] and .to == $q[1] and (.whole | not)) | .delay_ns.mean] | add) as $sum
        | $w.delay_ns.count == '"$n"' and ($sum - $w.delay_ns.mean | fabs) < 0.02 * $w.delay_ns.mean + 5' "$doc"
}

test_every_source_sees_the_same() { #@test
    for source in tcx clsact af_packet; do
        hops "${all[@]}" --capture "$source" --traffic udp --count 2000 "netns:$a" "netns:$b"
        [ "$(value .source)" = "$source" ]
        [ "$(hop 0 1 .matched)" -ge 100 ]
        [ "$(hop 0 1 .matched)" = "$(hop 2 3 .matched)" ]
        [ "$(value '[.hops[].lost] | add')" = 0 ]
        [ "$(value '[.points[].overflow] | add')" = 0 ]
        [ "$(hop 0 1 '.delay_ns.min > 0 and .delay_ns.max < 1e9')" = true ]
    done
}

test_the_path_is_found() { #@test
    hops --path --traffic icmp --count 200 "netns:$a" "netns:$b"
    [ "$(value '[.points[].name] | join(" ")')" = "$a/eth0 $h/pa $h/pb $b/eth0" ]
    # There, and back.
    [ "$(hop 0 1 .matched)" -ge 50 ]
    [ "$(hop 1 0 .matched)" -ge 50 ]
}

test_what_a_bridge_drops_is_counted_where_it_is_lost() { #@test
    # Only what is watched: hellos before it have another length.
    ip netns exec "$h" nft -f - <<<'table bridge t { chain f { type filter hook forward priority 0; udp dport 5001 udp length 208 numgen inc mod 10 == 0 counter drop; }; }'
    for source in tcx af_packet; do
        local before after
        before=$(dropped)
        hops "${all[@]}" --capture "$source" --traffic udp --size 200 --count 3000 "netns:$a" "netns:$b"
        after=$(dropped)
        [ "$((after - before))" -ge 10 ]
        [ "$(hop 1 2 .lost)" = "$((after - before))" ]
        [ "$(hop 0 1 .lost)" = 0 ]
        [ "$(hop 2 3 .lost)" = 0 ]
    done
}

dropped() {
    ip netns exec "$h" nft -j list ruleset | jq '[.. | .counter? | objects | .packets] | add'
}

test_a_command_at_the_source_makes_the_traffic() { #@test
    hops "${all[@]}" --filter 'icmp' --source "netns:$a" --source-command 'ping -q -c 50 -i 0.01 10.99.0.2'
    [ "$(hop 0 1 .matched)" = 50 ]
    [ "$(hop 3 2 .matched)" = 50 ]
}

test_connections_and_streams_pass_too() { #@test
    hops "${all[@]}" --traffic syn --count 100 "netns:$a" "netns:$b"
    [ "$(hop 0 1 .matched)" -ge 30 ]
    hops "${all[@]}" --traffic tcp -b 50M -t 1s "netns:$a" "netns:$b"
    [ "$(hop 2 3 .matched)" -ge 20 ]
    [ "$(hop 3 2 .matched)" -ge 2 ]
}

test_points_on_several_machines_are_matched_here() { #@test
    hops --at "exec:ip netns exec $a/eth0" --at "exec:ip netns exec $b/eth0" --agent "$VNPERF_AGENT" \
        --traffic udp --count 2000 "netns:$a" "netns:$b"
    [ "$(value .source)" = af_packet ]
    [ "$(hop 0 1 .matched)" -ge 100 ]
    [ "$(value '[.hops[].lost] | add')" = 0 ]
    # Both have one clock, and the bound says how far that was known.
    jq -e '.points[1] | .offset_bound_ns > 0 and (.offset_ns | fabs) <= .offset_bound_ns' "$doc"
    # One way only: what the agents' answers told, and how well, stands beside each delay.
    hops --at "exec:ip netns exec $a/eth0" --at "exec:ip netns exec $b/eth0" --agent "$VNPERF_AGENT" \
        --filter 'icmp[icmptype] == icmp-echo' --source "netns:$a" --source-command 'ping -q -c 100 -i 0.005 10.99.0.2'
    [ "$(hop 0 1 .matched)" = 100 ]
    jq -e '(.points[1] | .offset_packets == 0 and .offset_bound_ns > 0)
        and .hops[0].delay_bound_ns == .points[1].offset_bound_ns' "$doc"
    [[ $output == *CLOCKS*"+-"* ]]
    [[ $(tr -s ' \n' ' ' <<<"$output") == *"known to +-"*"by how long its agent took to answer"* ]]
    [[ $output != *--offset* ]]
}

test_per_flow_and_series() { #@test
    hops "${all[@]}" --per-flow --interval 200ms --traffic udp -t 1s "netns:$a" "netns:$b"
    [ "$(hop 0 1 '.flows | length >= 1')" = true ]
    [ "$(hop 0 1 '[.series[].matched] | add')" = "$(hop 0 1 .matched)" ]
}

test_the_instrument_is_measured_and_told() { #@test
    run --separate-stderr vnperf hops --json "$doc" "${all[@]}" --traffic udp --count 500 "netns:$a" "netns:$b"
    [ "$status" = 0 ]
    [ "$(value '.instrument.cost_ns > 0 and .instrument.packets > 0')" = true ]
    [[ $output == *"ns"* ]]
}

test_nothing_that_passes_is_a_failure_with_a_reason() { #@test
    run --separate-stderr vnperf hops "${all[@]}" --no-calibration --filter 'tcp port 9' --for 300ms
    [ "$status" = 1 ]
    [[ $stderr == *"nothing was paired"* ]]
}

test_what_is_not_there_is_named() { #@test
    run --separate-stderr vnperf hops --at "netns:$a/eth0" --at "netns:$h/nope" --for 100ms
    [ "$status" = 3 ]
    [[ $stderr == *nope* ]]
    run --separate-stderr vnperf hops --at "netns:$a/eth0" --at "netns:$base-none/eth0" --for 100ms
    [ "$status" = 3 ]
    [[ $stderr == *"$base-none"* ]]
}

vanishes() {
    vnperf hops "${all[@]}" --capture "$1" --no-calibration --json "$doc" --filter icmp --source "netns:$a" \
        --source-command "ping -q -c 20 -i 0.01 10.99.0.2; ip -n $h link delete pb; ping -q -c 3 -i 0.01 -W 1 10.99.0.2; true" \
        >"$TEST_DIR/out" 2>"$TEST_DIR/err"
    cat "$TEST_DIR/out" "$TEST_DIR/err"
    [ "$(hop 0 1 '.matched >= 20')" = true ]
    [ "$(hop 2 3 '.matched == 20')" = true ]
    # It is said of both ends of the veth, and what is lost next to them is a bound.
    [[ $(value .warning) == *"interface pb of netns:$h/pb has vanished"* ]]
    [ "$(value '[.points[] | select(.vanished) | .name] | join(" ")')" = "netns:$h/pb netns:$b/eth0" ]
    [ "$(hop 1 2 .lost_is_bound)" = true ]
    [ "$(hop 0 1 .lost_is_bound)" = null ]
}

test_an_interface_that_vanishes_is_told_and_costs_the_rest_nothing() { #@test
    vanishes tcx
    path_down
    path_up
    vanishes af_packet
}

test_nothing_stays_at_the_interfaces() { #@test
    for source in tcx clsact af_packet; do
        hops "${all[@]}" --capture "$source" --traffic udp --count 100 "netns:$a" "netns:$b"
    done
    run ip netns exec "$h" tc qdisc show
    [[ $output != *clsact* ]]
    # Killed in the midst of it.
    "$VNPERF" hops "${all[@]}" --no-calibration --capture af_packet --for 60s 3>&- &
    local pid=$!
    wait_for 20 pgrep -P "$pid"
    local agent
    agent=$(pgrep -P "$pid" | head -n 1)
    kill -KILL "$pid"
    wait "$pid" || true
    wait_for 20 not_there "$agent"
}

# Nobody may be there to wait for an orphan: one that has ended is gone, too.
not_there() {
    [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"
}

test_a_run_tells_where_the_time_goes() { #@test
    run --separate-stderr vnperf run --quick --hops --scenarios 2.1,3.3 --json "$doc"
    echo "$output"
    echo "$stderr"
    [ "$status" = 0 ]
    # From VM to VM over both nodes, and the parts come to the whole.
    jq -e '[.scenarios[] | select(.status == "passed") | .hops] | length == 2 and all(
        (.points | length) >= 4 and ([.hops[] | select(.whole)] | length) >= 2)' "$doc"
    jq -e '.scenarios[] | select(.id == "2.1") | .hops
        | [.points[].name] as $p
        | ([range(0; ($p | length) - 1)] | map([$p[.], $p[. + 1]])) as $pairs
        | ([.hops[] | select(.whole and .from == $p[0] and .to == $p[-1])][0].delay_ns.mean) as $whole
        | ([$pairs[] as $q | .hops[] | select((.whole | not) and .from == $q[0] and .to == $q[1]) | .delay_ns.mean] | add) as $sum
        | ($sum - $whole | fabs) < 0.05 * $whole + 10' "$doc"
    run vnperf show last
    [[ $output == *"2.1"* ]]
}

test_how_a_source_command_ended_is_told() { #@test
    hops "${all[@]}" --filter icmp --source "netns:$a" --source-command 'ping -q -c 5 -i 0.01 10.99.0.2; exit 3'
    [ "$(hop 0 1 .matched)" = 5 ]
    [[ $(value .warning) == *"source command at netns:$a ended with exit status 3"* ]]
    hops "${all[@]}" --filter icmp --source "netns:$a" --source-command 'ping -q -c 5 -i 0.01 10.99.0.2'
    [ "$(value .warning)" = null ]
    run --separate-stderr vnperf hops "${all[@]}" --no-calibration --source "netns:$a" --source-command 'nosuchcommand -x'
    [ "$status" = 3 ]
    [[ $stderr == *"source command at netns:$a could not be run: 'nosuchcommand -x'"* ]]
}

test_why_it_is_no_better_capture_is_told_in_whole_words() { #@test
    skip_unless_command setpriv
    ping_begin
    run --separate-stderr ip netns exec "$h" setpriv --bounding-set=-bpf,-sys_admin \
        "$VNPERF" hops --no-calibration --json "$doc" --at pif:pa --at pif:pb --for 500ms
    ping_end
    echo "$output$stderr"
    [ "$status" = 0 ]
    [ "$(value .source)" = af_packet ]
    [[ $(value .warning) == *"no tcx"*"no clsact"*CAP_BPF*"Operation not permitted" ]]
    [ "$(value '[.points[].vanished] | any')" = false ]
}

refused() {
    run --separate-stderr vnperf hops "$@"
    echo "$stderr"
    [ "$status" = 2 ]
    [[ $stderr == *"--capture af_packet"* ]]
    [ -z "$output" ]
}

test_what_a_capture_cannot_do_is_refused() { #@test
    for source in tcx clsact; do
        refused "${all[@]}" --for 1s --capture "$source" --per-flow
        refused "${all[@]}" --for 1s --interval 200ms --capture "$source"
        refused --at "exec:ip netns exec $a/eth0" --at "exec:ip netns exec $b/eth0" --for 1s --capture "$source"
        refused --at "netns:$a/eth0" --at "ssh://$base/eth0" --for 1s --capture "$source"
        refused --path "netns:$a" "exec:ip netns exec $b" --traffic udp --capture "$source"
    done
}

# ping_begin [SECONDS]: pings from a to b so often, which the test ends; its number is in $pinging
ping_begin() {
    ip netns exec "$a" ping -q -i "${1:-0.01}" -c 30000 10.99.0.2 >/dev/null 2>&1 3>&- &
    pinging=$!
}

ping_end() {
    kill "$pinging" 2>/dev/null || true
    wait "$pinging" 2>/dev/null || true
}

# hops_begin ARG…: hops in the background; it watches when this returns. Its agent is in $agent.
hops_begin() {
    "$VNPERF" hops --no-calibration --json "$doc" "$@" >"$TEST_DIR/out" 2>"$TEST_DIR/err" 3>&- &
    watching=$!
    wait_for 20 watched "$watching"
}

# Links or sockets of both points are there.
watched() {
    agent=$(pgrep -P "$1" | head -n 1)
    [ -n "$agent" ] && [ "$(find "/proc/$agent/fd" -lname 'socket:*' -o -lname '*bpf_link*' 2>/dev/null | wc -l)" -ge 2 ]
}

# passed N: so many packets more came to the bridge from a than when this was first asked
passed() {
    local now
    now=$(ip netns exec "$h" cat /sys/class/net/pa/statistics/rx_packets)
    passed_from=${passed_from:-$now}
    [ $((now - passed_from)) -ge "$1" ]
}

# hops_ended: how it ended is in $code
hops_ended() {
    code=0
    wait "$watching" || code=$?
    cat "$TEST_DIR/out" "$TEST_DIR/err"
}

test_what_was_seen_until_a_signal_is_shown() { #@test
    ping_begin
    for how in tcx:INT:130 af_packet:TERM:143; do
        IFS=: read -r source signal expected <<<"$how"
        rm -f "$doc"
        hops_begin --at "netns:$h/pa" --at "netns:$h/pb" --capture "$source" --for 60s
        passed_from=
        wait_for 20 passed 50
        kill -"$signal" "$watching"
        hops_ended
        [ "$code" = "$expected" ]
        [ "$(hop 0 1 '.matched >= 20')" = true ]
        [ "$(value '[.points[] | .seen >= 20 and .kernel_drops == 0] | all')" = true ]
    done
    ping_end
}

test_an_agent_that_is_killed_takes_along_only_what_nobody_else_has() { #@test
    ping_begin
    for source in af_packet tcx; do
        rm -f "$doc"
        hops_begin --at "netns:$h/pa" --at "netns:$h/pb" --capture "$source" --for 60s
        passed_from=
        wait_for 20 passed 100
        kill -KILL "$agent"
        hops_ended
        [ "$code" = 4 ]
        grep -q 'the agent at local (points) has ended' "$TEST_DIR/err"
        if [ "$source" = af_packet ]; then
            # What had come here by then; whether the kernel dropped some more it did not say.
            jq -e '[.points[] | .seen >= 20 and .kernel_drops == null and .first_ns > 0] | all' "$doc"
            jq -e '[.hops[] | .matched >= 10 and .lost_is_bound] | all' "$doc"
        else
            [ ! -e "$doc" ]
            grep -q 'counted in the kernel is gone' "$TEST_DIR/err"
        fi
    done
    ping_end
}

test_of_several_machines_one_may_go_away() { #@test
    ping_begin
    "$VNPERF" hops --no-calibration --json "$doc" --agent "$VNPERF_AGENT" --for 60s \
        --at "exec:ip netns exec $a/eth0" --at "exec:ip netns exec $h/pa" --at "exec:ip netns exec $b/eth0" \
        >"$TEST_DIR/out" 2>"$TEST_DIR/err" 3>&- &
    watching=$!
    wait_for 30 rings 3
    passed_from=
    wait_for 20 passed 150
    kill -KILL "$(agents | sed -n 3p)"
    hops_ended
    ping_end
    [ "$code" = 4 ]
    grep -q "the agent at exec:ip netns exec $b (points) has ended" "$TEST_DIR/err"
    # The two that stayed.
    jq -e '[.points[0, 1] | .seen >= 50 and .kernel_drops == 0] | all' "$doc"
    [ "$(hop 0 1 '.matched >= 50')" = true ]
}

# Those behind exec: are children of its shells.
agents() {
    local shell
    for shell in $(pgrep -P "$watching"); do
        pgrep -P "$shell" || true
    done
}

# So many agents have a packet socket.
rings() {
    local pid n=0
    for pid in $(agents); do
        [ -z "$(find "/proc/$pid/fd" -lname 'socket:*' 2>/dev/null)" ] || n=$((n + 1))
    done
    [ "$n" -ge "$1" ]
}

test_what_passed_while_the_watch_began_is_of_no_point() { #@test
    ping_begin 0.002
    for source in af_packet tcx; do
        hops "${all[@]}" --capture "$source" --filter icmp --for 500ms
        [ "$(hop 0 1 '.matched >= 20')" = true ]
        [ "$(value '[.hops[] | .only_later] | add')" = 0 ]
        [ "$(value '[.hops[] | .lost] | add')" = 0 ]
        # Where the time is taken is known without a calibration.
        [ "$(value '.instrument.cost_ns')" = null ]
        [ "$(value '.instrument.stamp | length > 20')" = true ]
        [[ $output == *"not calibrated; time taken"* ]]
    done
    ping_end
}

test_what_was_not_watched_is_no_table_of_zeros() { #@test
    run --separate-stderr vnperf hops --agent "$VNPERF_AGENT" --at "exec:ip netns exec $a/eth0" --at "exec:ip netns exec $h/nope" \
        --for 100ms --json "$doc"
    [ "$status" = 3 ]
    [[ $stderr == *nope* ]]
    [ -z "$output" ]
    [ ! -e "$doc" ]
}

test_the_man_page_tells_what_is_counted_and_where() { #@test
    vnperf help --scdoc hops >"$TEST_DIR/page"
    for word in '# WHERE THE TIME IS TAKEN' qdisc prequeue '^\*MATCHED\*' '^\*REORD\*' '^\*UNMATCHED\*' '^\*OVERFLOW\*' \
        '# WINDOW' '# OUTPUT' '# EXIT STATUS'; do
        grep -q "$word" "$TEST_DIR/page"
    done
    ! command -v scdoc >/dev/null || scdoc <"$TEST_DIR/page" | grep -q '^\.TH "vnperf-hops" "1"'
}

# The other point watched to the end, and saw nothing: what was lost near the end counts too, but for the last window.
test_what_is_all_lost_counts_to_the_end_by_every_source() { #@test
    ip netns exec "$h" nft -f - <<<'table bridge lose { chain forward { type filter hook forward priority 0; oifname "pb" drop; }; }'
    ip -n "$a" neigh replace 10.99.0.2 lladdr "$(ip netns exec "$b" cat /sys/class/net/eth0/address)" dev eth0
    ping_begin 0.002
    for source in tcx af_packet; do
        # Nothing is paired: that ends with 1.
        run vnperf hops --json "$doc" --no-calibration --at "netns:$h/pa" --at "netns:$h/pb" --capture "$source" --filter icmp --for 1s
        echo "$output"
        [ "$status" = 1 ]
        [ "$(hop 0 1 '.matched')" = 0 ]
        [ "$(value '.points[0].seen >= 100')" = true ]
        # The last 100 ms of them might have come.
        [ "$(hop 0 1 '.lost')" -ge $(($(value '.points[0].seen') * 7 / 10)) ]
    done
    # The same of several machines, whose clocks are compared.
    run vnperf hops --json "$doc" --no-calibration --at "exec:ip netns exec $h/pa" --at "exec:ip netns exec $b/eth0" \
        --agent "$VNPERF_AGENT" --filter icmp --for 1s
    echo "$output"
    [ "$status" = 1 ]
    [ "$(value '.points[0].seen >= 100')" = true ]
    [ "$(hop 0 1 '.lost')" -ge $(($(value '.points[0].seen') * 7 / 10)) ]
    ping_end
    ip -n "$a" neigh del 10.99.0.2 dev eth0
}

test_an_interface_that_is_renamed_has_not_vanished() { #@test
    ping_begin
    for source in tcx af_packet; do
        hops_begin --at "netns:$h/pa" --at "netns:$h/pb" --capture "$source" --for 2s
        ip -n "$h" link set pb name pz || {
            ip -n "$h" link set pb down
            ip -n "$h" link set pb name pz
            ip -n "$h" link set pz up
        }
        hops_ended
        ip -n "$h" link set pz name pb
        [ "$code" = 0 ]
        [ "$(value '[.points[].vanished] | any')" = false ]
        [ "$(hop 0 1 '.lost_is_bound')" != true ]
    done
    ping_end
}
