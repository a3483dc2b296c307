#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What far hosts do to a run, and a run to far hosts: hosts that hang or vanish, agents that wait, and what is there afterwards.
# Real sshds, each in a network and mount namespace of its own inside the test's box.
# FAR_FIGURES=1 says how long it took to notice.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # shells in the box expand for themselves; tests hand nothing on; names are of box.bash

bats_require_minimum_version 1.5.0
load ../helper
load ../netns/box

# A client c and hosts a, b and d on one wire. One host key serves all.
setup() {
    skip_unless_root
    [ -x /usr/sbin/sshd ] || skip "needs sshd (tools/deps test installs it)"
    skip_unless_command ssh-keygen ip ss nft nsenter unshare perl jq
    export TMPDIR=$TEST_DIR/tmp
    unset SSH_AUTH_SOCK
    state=$XDG_STATE_HOME/vnperf
    out=$TEST_DIR/out err=$TEST_DIR/err
    mkdir -p "$TMPDIR"
    box_up
    box sh -e <<'BOX'
mkdir -p /run/keys /run/client/.ssh /run/sshd
chmod 700 /run/client /run/client/.ssh
ssh-keygen -q -t ed25519 -N '' -f /run/client/.ssh/id_ed25519
ssh-keygen -q -t ed25519 -N '' -f /run/keys/host
cat >/run/keys/sshd_config <<'END'
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
HostKey /run/keys/host
END
ip link add wire type bridge
ip link set wire up
n=0
for name in a b d c; do
    n=$((n + 1))
    ip netns add $name
    ip link add w$name type veth peer name eth0 netns $name
    ip link set w$name master wire up
    ip -n $name addr add 10.77.0.$n/24 dev eth0
    ip -n $name link set eth0 up
    ip -n $name link set lo up
    echo "10.77.0.$n $(cat /run/keys/host.pub)" >>/run/client/.ssh/known_hosts
    printf 'Host %s\n    HostName 10.77.0.%s\n' $name $n >>/run/client/.ssh/config
done
BOX
    begin_with=(ip netns exec c sh -c 'mount --bind /run/client /root && exec "$@"' sh)
}

teardown() {
    [ -z "${box_pid:-}" ] || kill -KILL "$box_pid" 2>/dev/null || true
    [ -z "${box_job:-}" ] || wait "$box_job" 2>/dev/null || true
}

# host NAME [COMMANDS]: its own /root, /tmp, /var/tmp, /dev/shm, /home, and an sshd
host() {
    box ip netns exec "$1" sh -c '
        for d in /root /tmp /var/tmp /dev/shm /home; do mount -t tmpfs -o mode=700 none $d || exit; done
        mkdir -m 700 /root/.ssh
        cp /run/client/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
        echo $$ >/run/keys/pid.$0
        '"${2:-}"'
        exec /usr/sbin/sshd -D -e -f /run/keys/sshd_config' "$1" >"$TEST_DIR/host.$1" 2>&1 3>&- &
    wait_for 20 listening "$1" || {
        cat "$TEST_DIR/host.$1"
        return 1
    }
}

listening() {
    [ -n "$(box ip netns exec "$1" ss -Hltn 'sport = :22')" ]
}

at() {
    box nsenter --target "$(box cat "/run/keys/pid.$1")" --mount --net -- "${@:2}"
}

# run_there ARG…: vnperf ARG… at the client
run_there() {
    run --separate-stderr box "${begin_with[@]}" "$VNPERF" "$@"
    : "${stderr:=}"
    printf '%s\n' "--- $status" "$stderr" "$output" >&2
}

agents() {
    box sh -c 'for p in /proc/[0-9]*; do readlink $p/exe; done | grep vnperf-agent' || true
}

no_agents() {
    [ -z "$(agents)" ]
}

of() {
    json ".scenarios[] | select(.id == \"$1\") | $2"
}

# arriving_from HOST ADDRESS: test data of that peer comes in there
arriving_from() {
    [ -n "$(box ip netns exec "$1" ss -Htn state established "( sport >= :5001 and sport <= :5031 ) and dst $2")" ]
}

# All that a program could leave on those hosts, and the processes of all of them (they share a process table).
there_is() {
    local name
    box ps -eo args= | grep -vE '^(ps|nsenter|sshd: [a-z]+(@|$| \[))' | sort
    for name; do
        echo "--- $name"
        at "$name" sh -c '
            find /root /tmp /var/tmp /dev/shm /home /run -path /run/keys -prune -o -path /run/client -prune -o -printf "%p %y %s\n" | sort
            for family in -4 -6; do ip $family rule; ip $family route show table all; done
            ip -o addr | sed "s/valid_lft.*//; s/ tentative//"
            tc qdisc show
            nft list ruleset
            ss -Hlntu | awk "{ print \$1, \$2, \$5 }" | sort
            ss -Hwl; ss -H0l
            cut -d" " -f2,3,4 /proc/self/mounts
            cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/core/rmem_max /proc/sys/net/core/wmem_max'
    done
    echo '--- client'
    box sh -c 'find /run/client -type f | sort; ip netns exec c ip route show table all; ip netns exec c ip rule'
}

as_before() {
    there_is "$@" >"$TEST_DIR/after" 2>&1
    cmp -s "$TEST_DIR/before" "$TEST_DIR/after"
}

# Addresses of IPv6 are on trial at first, and bring their routes later.
settled() {
    local name
    for name; do
        [ -z "$(box ip -n "$name" -6 addr show tentative)" ] || return 1
        [ -n "$(box ip -n "$name" -6 addr show dev eth0 scope link)" ] || return 1
    done
}

# The hosts are as they were (looking takes long: few tries), no ledger and no temporary file is left here.
all_as_before() {
    wait_for 1 as_before "$@" || {
        diff "$TEST_DIR/before" "$TEST_DIR/after"
        return 1
    }
    [ -z "$(ledgers)" ]
    nothing_temporary
}

@test "processes, files, routes, rules, listeners are as before: after the end, INT, and kill -9 of the controller" {
    host a
    host b
    wait_for 20 settled a b c
    there_is a b >"$TEST_DIR/before" 2>&1
    grep -q '10.77.0.0/24' "$TEST_DIR/before"
    grep -q '0.0.0.0:22' "$TEST_DIR/before"

    run_there run --host a --host b -t 0.2 --udpbuf 1024 --json -
    [ "$status" -eq 0 ]
    all_as_before a b

    begin run --host a --host b -t 60 --protocols T
    wait_for 30 arriving_from a 10.77.0.2
    run ! as_before a b # what is looked at does change
    box kill -INT "$controller"
    ended 130
    all_as_before a b

    rm "$TEST_DIR/pid"
    begin run --host a --host b -t 60 --protocols T
    wait_for 30 arriving_from a 10.77.0.2
    box kill -KILL "$controller"
    ended 137
    wait_for 30 no_agents
    run vnperf cleanup
    [ "$status" -eq 0 ]
    all_as_before a b
}

@test "hosts that hang hold nobody up beyond their time: the others are measured and saved" {
    host a
    host b
    # An sshd that stands still (no child of nsenter, which would stop with it), and one that takes connections and says nothing.
    host d '/usr/sbin/sshd -f /run/keys/sshd_config -o PidFile=/run/keys/daemon.d; exec perl -e "sleep 1 while 1"'
    wait_for 20 box test -s /run/keys/daemon.d
    box kill -STOP "$(box cat /run/keys/daemon.d)"
    box ip netns exec c perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(LocalAddr => "10.77.0.4:22", Listen => 5) or die;
        my @all; while (my $c = $s->accept) { push @all, $c }' >/dev/null 2>&1 3>&- &
    wait_for 20 listening c
    box sh -c 'echo "10.77.0.4 $(cat /run/keys/host.pub)" >>/run/client/.ssh/known_hosts'
    run_there run --vm 10.77.0.3,name=stopped,node=h3,net=n2 --vm 10.77.0.1,name=v1,node=h1,net=n1 --vm 10.77.0.2,name=v2,node=h2,net=n1 \
        --external-host 10.77.0.4,name=mute -t 0.2 --protocols T --json -
    [ "$status" -eq 1 ]
    [ "$(of 2.1 .status)" = passed ]
    [ "$(of 8.1 .status)" = failed ]
    [[ "$(of 8.1 .reason)" = *"starting the agent on "*" mute: "* || "$(of 8.1 .reason)" = *" stopped: "* ]]
    [ "$(status_of 2.1)" = passed ]
    wait_for 20 no_agents
}

@test "a host that vanishes in mid test is noticed by its silence, and what was measured is saved" {
    local begun
    host a
    host b
    host d
    begin run --vm 10.77.0.1,name=v1,node=h1,net=n1 --vm 10.77.0.2,name=v2,node=h2,net=n1 --vm 10.77.0.3,name=v3,node=h1,net=n2 \
        -t 8 --protocols T --scenarios 2.1,3.1
    wait_for 20 arriving_from a 10.77.0.3
    # No process ends there and no RST comes: the wire is away, and then the namespace.
    box ip link del wd
    begun=$(date +%s%N)
    box ip netns del d
    ended 1
    [ -z "${FAR_FIGURES:-}" ] || echo "# noticed, saved and ended after $((($(date +%s%N) - begun) / 1000000)) ms" >&3
    [ "$(status_of 2.1)" = passed ]
    [ "$(shown '.scenarios[] | select(.id == "2.1").measurements[0].throughput_bps > 1000000')" = true ]
    [ "$(status_of 3.1)" = failed ]
    [[ "$(reason_of 3.1)" = *"the agent at v3 has ended (silent for "* ]]
    [ -z "$(ledgers)" ]
    # And of a single test: exit code 1, saved with its reason.
    host_again
    rm "$TEST_DIR/pid"
    begin test ssh://a ssh://b -t 60 --tcp
    wait_for 20 arriving_from b 10.77.0.1
    box ip link del wa
    begun=$(date +%s%N)
    box ip netns del a
    ended 1
    [ -z "${FAR_FIGURES:-}" ] || echo "# vnperf test: noticed, saved and ended after $((($(date +%s%N) - begun) / 1000000)) ms" >&3
    [ "$(status_of test)" = failed ]
    [[ "$(reason_of test)" = *"the agent at ssh://a has ended (silent for "* ]]
}

# The agent in d's lost namespace ends with its session's processes.
host_again() {
    box sh -c 'for p in /proc/[0-9]*; do readlink $p/exe | grep -q vnperf-agent && echo ${p#/proc/}; done' | while read -r pid; do box kill -KILL "$pid"; done
    wait_for 20 no_agents
}
