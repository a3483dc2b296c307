#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many hosts reached together: an sshd each, in a network namespace of its own. SSH_HOSTS=100 says how many (8).
# shellcheck disable=SC2016,SC2154 # shells in the box expand for themselves; names are of ssh_box.bash

bats_require_minimum_version 1.5.0
load ../helper
load ssh_box

n_hosts=${SSH_HOSTS:-8}

# Hosts from 10.77.0.11 on.
ssh_box_more() {
    local i
    box sh -c 'echo "10.77.0.* $(cut -d" " -f1,2 /run/keys/host.pub)" >/run/keys/ssh.new/known_hosts'
    for i in $(seq "$n_hosts"); do
        box ip netns add "h$i"
        join "h$i" wire eth0 "10.77.0.$((10 + i))/24"
        host "h$i"
    done
}

@test "many hosts are reached together, agents put there and answering, and nothing is left" {
    local i names=() at=()
    [ -x "$VNPERF_BUILD/tests/live/ssh-hundred" ] || skip "needs a build with -Dtests=enabled"
    for i in $(seq "$n_hosts"); do
        names+=("h$i")
        at+=("ssh://10.77.0.$((10 + i))")
    done
    client sh -c ": >/root/.ssh/config"
    run --separate-stderr client "$VNPERF_BUILD/tests/live/ssh-hundred" /root/.ssh/config "$VNPERF_AGENT" "${at[@]}"
    printf '%s\n' "${stderr:=}" "$output" >&2
    [ "$status" -eq 0 ]
    [[ "$output" = "$n_hosts of $n_hosts hosts answered in "* ]]
    [ -z "${SSH_HOSTS:-}" ] || echo "# $output" >&3
    nothing_far "${names[@]}"
}
