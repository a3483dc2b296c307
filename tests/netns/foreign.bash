# SPDX-License-Identifier: Apache-2.0
# Two namespaces and one of other people's programs in one of them, ours in the other.
#
# both_up, both_down   $A (10.78.0.1, fd78::1) and $B (10.78.0.2, fd78::2) on a veth; in setup_file and teardown_file
# serve ARG…           vnperf serve in $B; its lines are in $served; ends in teardown
# behind CMD…          another program in $B, in the background; its output is in $behind_out
# client KEY=VALUE…    a test of the program in $B by an agent in $A; its results are $ours
# part FILTER          of $ours
# near A B SHARE       both numbers, apart by at most that share
# shellcheck shell=bash disable=SC2034

both_up() {
    export A=vf$$a B=vf$$b
    ip netns add "$A"
    ip netns add "$B"
    ip link add f0 netns "$A" type veth peer name f0 netns "$B"
    for_side "$A" 1
    for_side "$B" 2
}

for_side() {
    ip -n "$1" link set lo up
    ip -n "$1" addr add "10.78.0.$2/24" dev f0
    ip -n "$1" addr add "fd78::$2/64" dev f0 nodad
    ip -n "$1" link set f0 up
}

both_down() {
    ip netns del "$A" 2>/dev/null || true
    ip netns del "$B" 2>/dev/null || true
}

# What was begun in this test.
background_end() {
    local job
    for job in ${jobs_begun:-}; do
        kill -TERM "$job" 2>/dev/null || true
        wait "$job" 2>/dev/null || true
    done
    jobs_begun=
}

listens() {
    ip netns exec "$B" ss -Hln "$1" "sport = :$2" | grep -q .
}

serve() {
    served=$BATS_TEST_TMPDIR/served
    ip netns exec "$B" "$VNPERF" serve -o ndjson "$@" >"$served" 2>"$served.err" 3>&- &
    server=$!
    jobs_begun="${jobs_begun:-} $server"
    wait_for 10 grep -q serving "$served.err"
}

behind() {
    behind_out=$BATS_TEST_TMPDIR/behind
    ip netns exec "$B" "$@" >"$behind_out" 2>&1 3>&- &
    jobs_begun="${jobs_begun:-} $!"
}

client() {
    ours=$BATS_TEST_TMPDIR/ours
    ip netns exec "$A" "$VNPERF_SOURCE/tests/netns/foreign_client.py" "$VNPERF_AGENT" address=10.78.0.2 "$@" >"$ours" 3>&- || {
        cat "$ours"
        return 1
    }
    [ "$(jq -r .error "$ours")" = null ] || {
        echo "$*: $(jq -r .error "$ours")"
        return 1
    }
}

part() {
    jq -r "$1" "$ours"
}

# reports N: so many lines of the server are there.
reports() {
    [ "$(wc -l <"$served")" -ge "$1" ]
}

near() {
    awk -v a="$1" -v b="$2" -v s="$3" 'BEGIN {
        if (a !~ /^[0-9]/ || b !~ /^[0-9]/ || b == 0 || (d = a / b - 1) > s || d < -s) {
            printf "%s is not within %g %% of %s\n", a, s * 100, b
            exit 1
        }
    }'
}

# others_work: while nothing of ours runs, the machine is more than half taken.
others_work() {
    local before after
    before=$(awk '/^cpu / { print $5 + $6, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat)
    sleep 0.5
    after=$(awk '/^cpu / { print $5 + $6, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat)
    awk -v b="$before" -v a="$after" 'BEGIN { split(b, x); split(a, y); exit !((y[1] - x[1]) * 2 < y[2] - x[2]) }'
}

# near_in_time A B SHARE: of two programs that count in windows of their own. Who has no CPU at a window's edge counts less: with
# others at work that is no finding, on a machine of our own it is.
near_in_time() {
    near "$@" && return
    others_work || return
    skip "the machine is busy with other work: two programs' windows do not agree"
}

same() {
    [ "$1" = "$2" ] || {
        echo "$1 is not $2"
        return 1
    }
}
