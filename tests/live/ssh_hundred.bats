#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many hosts reached together: an sshd each, in a network namespace of its own. SSH_HOSTS=100 says how many (8).
# shellcheck disable=SC2016,SC2154 # shells in the box expand for themselves; names are of box.bash

bats_require_minimum_version 1.5.0
load ../helper
load ../netns/box

setup() {
    skip_unless_root
    [ -x /usr/sbin/sshd ] || skip "needs sshd (tools/deps test installs it)"
    [ -x "$VNPERF_BUILD/tests/live/ssh-hundred" ] || skip "needs a build with -Dtests=enabled"
    skip_unless_command ssh-keygen ip ss nsenter unshare
    export TMPDIR=$TEST_DIR/tmp n_hosts=${SSH_HOSTS:-8}
    unset SSH_AUTH_SOCK
    mkdir -p "$TMPDIR"
    box_up
    box sh -e <<'BOX'
mkdir -p /run/keys /run/client/.ssh /run/sshd
chmod 700 /run/client /run/client/.ssh
# One home for all: that of this machine may have a profile that takes long.
mount --bind /run/client /root
mount -t tmpfs none /dev/shm
ssh-keygen -q -t ed25519 -N '' -f /run/client/.ssh/id_ed25519
ssh-keygen -q -t ed25519 -N '' -f /run/keys/host
echo "10.78.0.* $(cat /run/keys/host.pub)" >/run/client/.ssh/known_hosts
cp /run/client/.ssh/id_ed25519.pub /run/keys/authorized
cat >/run/keys/sshd_config <<'END'
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
AuthorizedKeysFile /run/keys/authorized
PidFile none
END
ip link add wire type bridge
ip addr add 10.78.0.254/24 dev wire
ip link set wire up
for i in $(seq $n_hosts); do
    ip netns add h$i
    ip link add w$i type veth peer name eth0 netns h$i
    ip link set w$i master wire up
    ip -n h$i addr add 10.78.0.$i/24 dev eth0
    ip -n h$i link set eth0 up
    ip netns exec h$i /usr/sbin/sshd -f /run/keys/sshd_config -h /run/keys/host
done
BOX
}

agents() {
    box sh -c 'for p in /proc/[0-9]*; do readlink $p/exe; done | grep vnperf-agent' || true
}

no_agents() {
    [ -z "$(agents)" ]
}

@test "many hosts are reached together, agents put there and answering, and nothing is left" {
    run --separate-stderr box sh -c ': >/run/client/config
        exec "$0" /run/client/config "$1" $(for i in $(seq $n_hosts); do echo ssh://10.78.0.$i; done)' \
        "$VNPERF_BUILD/tests/live/ssh-hundred" "$VNPERF_AGENT"
    printf '%s\n' "${stderr:=}" "$output" >&2
    [ "$status" -eq 0 ]
    [[ "$output" = "$n_hosts of $n_hosts hosts answered in "* ]]
    [ -z "${SSH_HOSTS:-}" ] || echo "# $output" >&3
    wait_for 20 no_agents
    [ -z "$(box find /dev/shm /tmp /var/tmp -name '*vnperf-agent-*' 2>/dev/null)" ]
}
