# SPDX-License-Identifier: Apache-2.0
# Each test has a box: a machine of its own as to processes, links and mounts, so that what is left can be listed
# exactly, whoever else works on this machine.
#
# box CMD…                   runs CMD in the box
# begin ARG…                 starts vnperf ARG… in the box; its number there is $controller, its talk is in $err
# ended CODE                 waits for it; its exit code has to be CODE (a pattern)
# nothing_left               no process, no link, no namespace, no ledger, no temporary file
# shellcheck shell=bash disable=SC2016,SC2030,SC2031,SC2034,SC2154

setup() {
    skip_unless_netns
    skip_unless_command ip nft jq perl nsenter unshare ss
    export TMPDIR=$TEST_DIR/tmp
    state=$XDG_STATE_HOME/vnperf
    out=$TEST_DIR/out err=$TEST_DIR/err
    begin_with=()
    mkdir -p "$TMPDIR"
    box_up
}

teardown() {
    [ -z "${box_pid:-}" ] || kill -KILL "$box_pid" 2>/dev/null || true
    [ -z "${box_job:-}" ] || wait "$box_job" 2>/dev/null || true
    [ -z "${job:-}" ] || wait "$job" 2>/dev/null || true
}

# Its first process waits, and lets ended orphans vanish.
box_up() {
    local -a user=()
    is_root || user=(--user --map-root-user)
    unshare "${user[@]}" --pid --fork --kill-child --mount --net --mount-proc \
        perl -e '$SIG{CHLD} = "IGNORE"; sleep 1 while 1' 3>&- &
    box_job=$!
    wait_for 20 pgrep -P "$box_job" -x perl
    box_pid=$(pgrep -P "$box_job" -x perl)
    box mount -t tmpfs none /run
    box mkdir /run/netns
    box ip link set lo up
    box_links=$(box ip -o link | wc -l)
}

box() {
    local -a user=()
    is_root || user=(--user --preserve-credentials)
    nsenter --target "$box_pid" "${user[@]}" --mount --net --pid -- "$@"
}

begin() {
    box sh -c 'echo $$ >"$0"; exec "$@"' "$TEST_DIR/pid" "${begin_with[@]}" "$VNPERF" "$@" >"$out" 2>"$err" 3>&- &
    job=$!
    wait_for 20 test -s "$TEST_DIR/pid"
    controller=$(cat "$TEST_DIR/pid")
}

ended() {
    local r=0
    wait_for 40 not_running "$controller" || {
        tell
        return 1
    }
    wait "$job" || r=$?
    job=
    # shellcheck disable=SC2053 # it may be a pattern
    if [[ "$r" != $1 ]]; then
        echo "it ended with $r, not with $1"
        tell
        return 1
    fi
}

tell() {
    echo "--- stderr" && cat "$err"
    echo "--- stdout" && head -c 2000 "$out"
    echo "--- box" && box ps -ef
}

not_running() {
    ! box test -d "/proc/$1"
}

# The words on stderr, one pattern an argument.
says() {
    local words
    for words; do
        grep -qE -- "$words" "$err" || {
            echo "nothing says '$words'"
            tell
            return 1
        }
    done
}

# Agents and the keeper, by their numbers in the box; agents in the order in which they were started.
of_name() {
    box pgrep -x "$1" | sort -n
}

# agent NUMBER of how many there have to be
agent() {
    [ "$(of_name vnperf-agent | wc -l)" = "$2" ] && of_name vnperf-agent | sed -n "$1p"
}

# TCP data passes in the namespace of that process.
flowing() {
    [ -n "$(box nsenter --target "$1" --net ss -Htn state established '( sport >= :5001 and sport <= :5031 ) or ( dport >= :5001 and dport <= :5031 )')" ]
}

# It has an ICMP socket open.
pinging() {
    box nsenter --target "$1" --net cat /proc/net/raw /proc/net/icmp | grep -q '^ *[0-9]*:'
}

# A time in s in which something has to happen: a sanitizer's build takes three times as much.
longer() {
    if [ "${VNPERF_SANITIZER:-none}" = none ]; then
        echo "$1"
    else
        echo "$((3 * $1))"
    fi
}

# wait_flowing NUMBER OF: that agent's number in the box comes in $pid
wait_flowing() {
    wait_for 30 agent "$1" "$2" || {
        tell
        return 1
    }
    pid=$(agent "$1" "$2")
    wait_for 30 flowing "$pid" || {
        tell
        return 1
    }
}

said() {
    grep -qE -- "$1" "$err"
}

ledgers() {
    ls "$state/ledger" 2>/dev/null || true
}

nothing_in_box() {
    local processes spaces
    # Besides the box's first process there are those that look.
    processes=$(box ps -eo comm= | grep -vxE 'perl|ps' || true)
    spaces=$(box sh -c 'for p in /proc/[0-9]*; do readlink $p/ns/net; done' | sort -u | wc -l)
    [ -z "$processes" ] && [ "$spaces" = 1 ]
}

nothing_left() {
    wait_for 10 nothing_in_box || {
        tell
        return 1
    }
    [ "$(box ip -o link | wc -l)" = "$box_links" ]
    [ -z "$(box ip netns list)" ]
    [ -z "$(box sh -c 'find /proc/[0-9]*/fd -lname "net:*"' 2>/dev/null)" ]
    [ -z "$(ledgers)" ]
    nothing_temporary
}

# Only the result itself may be there.
nothing_temporary() {
    local found
    found=$(find "$XDG_STATE_HOME" "$TMPDIR" -type f ! -path "$state/runs/[0-9]*.json" ! -path "$state/ledger/*" 2>/dev/null || true)
    [ -z "$found" ] || {
        echo "left: $found"
        return 1
    }
}

# shown FILTER: what jq makes of the last saved run, read back by show
shown() {
    vnperf show last --json - | jq -r "$1"
}

status_of() {
    shown ".scenarios[] | select(.id == \"$1\").status"
}

reason_of() {
    shown ".scenarios[] | select(.id == \"$1\").reason"
}

# Two namespaces with names, and a link between them.
two_ends() {
    box ip netns add a
    box ip netns add b
    box ip link add a0 netns a type veth peer name b0 netns b
    box ip -n a addr add 10.9.9.1/24 dev a0
    box ip -n b addr add 10.9.9.2/24 dev b0
    box ip -n a link set a0 up
    box ip -n b link set b0 up
}

no_ends() {
    local ns
    for ns in $(box ip netns list | cut -d' ' -f1); do
        box ip netns del "$ns"
    done
}

# ---- something on the path breaks ----
