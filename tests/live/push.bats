#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How the agent comes to a host and runs there: which one, where, as whom; what is left (nothing). Real sshds, real sudo, an
# agent for aarch64 under qemu-user.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # shells in the box expand for themselves; tests hand nothing on; names are of the box

bats_require_minimum_version 1.5.0
load ../helper
load push_box

# run-tests.sh says "none" of a plain build.
sanitized() {
    [ "${VNPERF_SANITIZER:-none}" != none ]
}

skip_unless_sudo() {
    skip_unless_command sudo script
}

@test "the controller alone: what it needs is inside" {
    ! sanitized || skip "a build with sanitizers has no agent for its own machine inside"
    two_hosts
    mkdir "$TEST_DIR/alone"
    cp "$VNPERF" "$TEST_DIR/alone/vnperf"
    VNPERF=$TEST_DIR/alone/vnperf
    begin_with=(env -u VNPERF_AGENT "${begin_with[@]}")
    test_ssh ssh://a ssh://b --tcp -t 0.3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].measurements[0].throughput_bps > 1000000')" = true ]
    test_ssh ssh://a local --rr -t 0.2 --address 10.77.0.3
    [ "$status" -eq 0 ]
    # A command's far end starts it by its path, and this one has none.
    test_ssh local 'exec:env' --rr -t 0.2
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"vnperf-agent is not beside this program"*"--agent"* ]]
    nothing_far a b
}

@test "a pushed agent is called vnperf-agent; INT ends the test in order: 130, and nothing is left there" {
    two_hosts
    begin test ssh://a ssh://b --tcp -t 60 --nice 3
    wait_for 30 arriving b
    box ps -e -o comm=,args= | grep -E '^vnperf-agent +vnperf-agent --nice 3 *$' >"$TEST_DIR/ps"
    [ "$(wc -l <"$TEST_DIR/ps")" = 2 ]
    [ -z "$(files_at a)" ]
    box kill -INT "$controller"
    ended 130
    says interrupted
    nothing_far a b
}

@test "a host so small that its head has no -c" {
    host a 'printf "#!/bin/sh\nexit 1\n" >/run/keys/head; chmod 755 /run/keys/head; mount --bind /run/keys/head /usr/bin/head'
    test_ssh ssh://a local --rr -t 0.2 --address 10.77.0.3
    [ "$status" -eq 0 ]
    nothing_far a
}

@test "a host of another kind of processor is said" {
    host a 'printf "#!/bin/sh\ncase \$1 in -m) echo riscv64 ;; *) echo Linux ;; esac\n" >/run/keys/uname; chmod 755 /run/keys/uname; mount --bind /run/keys/uname /usr/bin/uname'
    test_ssh ssh://a local --rr -t 0.2
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"10.77.0.1: the host's processor is riscv64, and the agent that is here is for x86_64"* ]]
    nothing_far a
}

# ---- aarch64 ----

skip_unless_aarch64() {
    skip_unless_command qemu-aarch64
    arm=$VNPERF_BUILD/aarch64-vnperf-agent
    [ -x "$arm" ] || skip "this build has no agent for aarch64 (tools/deps run installs what it needs)"
}

@test "the agent for aarch64 speaks its lines, and is small" {
    skip_unless_aarch64
    run -0 qemu-aarch64 "$arm" --version
    [ "$output" = "$("$VNPERF_AGENT" --version)" ] || sanitized
    run -0 sh -c 'printf "1 facts\n2 quit\n" | qemu-aarch64 "$0"' "$arm"
    [[ "$output" = *"hello protocol="*"architecture="* ]]
    [ "$(stat -c %s "$arm")" -le 409600 ]
    sanitized || [ "$(stat -c %s "$VNPERF_AGENT")" -le 409600 ]
}

@test "x86-64 and aarch64 measure each other; what qemu does not tell is missing, not 0" {
    skip_unless_aarch64
    # The end of a command of its own, whose agent's path is another one.
    printf '#!/bin/sh\nshift\nexec qemu-aarch64 %s "$@"\n' "$arm" >"$TEST_DIR/arm"
    chmod 755 "$TEST_DIR/arm"
    test_ssh "exec:$TEST_DIR/arm" local --agent "$VNPERF_AGENT" --tcp -t 0.3 --json -
    [ "$status" -eq 0 ]
    jq -e '.scenarios[0].measurements[0] | .throughput_bps > 1e6 and .sender.bytes > 0
        and ([.sender.cwnd_bytes, .sender.mss_bytes, .sender.pmtu_bytes, .sender.retransmits, .sender.lost_segments, .rtt_ns] | all(. == null))
        and ([.sender.intervals[] | .retransmits, .rtt_ns, .cwnd_bytes] | all(. == null))' <<<"$output"
    test_ssh local "exec:$TEST_DIR/arm" --agent "$VNPERF_AGENT" --tcp --rr --icmp -t 0.3 --json -
    [ "$status" -eq 0 ]
    jq -e '.scenarios[0].measurements | length == 3
        and (.[0] | .throughput_bps > 1e6 and .sender.cwnd_bytes > 0 and .receiver.mss_bytes == null and .receiver.pmtu_bytes == null)
        and (.[1].rtt_ns.count > 0) and (.[2].rtt_ns.count > 0)' <<<"$output"
}

@test "a host with aarch64 is given the agent for it" {
    skip_unless_aarch64
    # A user namespace has programs of other kinds of its own since Linux 6.7. The maps are written from outside, by root.
    box sh -c 'cat >/run/keys/in_user' <<'END'
rm -f /run/keys/go
mkfifo /run/keys/go
unshare --user --mount sh -c 'read -r go </run/keys/go; exec sh "$@"' sh "$@" &
for _ in $(seq 200); do
    [ "$(readlink /proc/$!/ns/user)" = "$(readlink /proc/$$/ns/user)" ] || break
    sleep 0.05
done
echo 0 0 65536 >/proc/$!/uid_map
echo 0 0 65536 >/proc/$!/gid_map
echo go >/run/keys/go
wait $!
END
    box sh /run/keys/in_user -c \
        'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && test -w /proc/sys/fs/binfmt_misc/register' ||
        skip "this kernel has no binfmt_misc for a user namespace of its own"
    box ip netns exec a sysctl -qw net.ipv4.ip_unprivileged_port_start=0
    box sh -c 'cat >/run/keys/arm_sshd' <<'END'
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf %s ':arm:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64:' \
    >/proc/sys/fs/binfmt_misc/register
exec /usr/sbin/sshd -D -e -f /run/keys/sshd_config -h /run/keys/host
END
    machine a 'printf "#!/bin/sh\ncase \$1 in -m) echo aarch64 ;; *) echo Linux ;; esac\n" >/run/keys/uname; chmod 755 /run/keys/uname; mount --bind /run/keys/uname /usr/bin/uname' \
        'sh /run/keys/in_user /run/keys/arm_sshd'
    host b
    test_ssh ssh://a ssh://b --tcp -t 0.3 --json -
    [ "$status" -eq 0 ]
    jq -e '.scenarios[0].measurements[0] | .throughput_bps > 1e6 and .sender.cwnd_bytes == null' <<<"$output"
    test_ssh ssh://b ssh://a --rr -t 0.3
    [ "$status" -eq 0 ]
    nothing_far a b
}

# ---- places ----

@test "an ordinary user: his cache where everybody's folders let nothing run; --agent-path" {
    host a "$(with_bob '')"'
        for d in /dev/shm /tmp /var/tmp; do mount -o remount,noexec $d; done
        mkdir /home/bob/.cache; chown 4242:4242 /home/bob/.cache'
    test_ssh ssh://bob@a local --rr -t 0.2 --address 10.77.0.3
    [ "$status" -eq 0 ]
    nobody_far
    # Nothing is put where a program is named, wherever it stands.
    box cp "$VNPERF_AGENT" /run/keys/agent.there
    begin test ssh://bob@a local --tcp -t 60 --agent-path /run/keys/agent.there --address 10.77.0.3
    wait_for 30 arriving c
    box sh -c 'readlink /proc/[0-9]*/exe' | grep -qx /run/keys/agent.there
    [ -z "$(bobs_files a)" ]
    box kill -KILL "$controller"
    ended 137
    nobody_far
}

# ---- sudo ----

@test "--become: NOPASSWD asks nothing, and the agent is root; without it what is lost is said" {
    skip_unless_sudo
    host a "$(with_bob 'bob ALL=(root) NOPASSWD: ALL')"
    # Nobody's group may ping.
    box ip netns exec a sysctl -qw 'net.ipv4.ping_group_range=1 0'
    test_ssh ssh://bob@a local --icmp -t 0.2 --address 10.77.0.3
    [ "$status" -ne 0 ]
    [[ "$stderr" = *"warning: the agent at ssh://bob@a is not root, which ICMP may need: it has no raw sockets"*"--become"* ]]
    test_ssh ssh://bob@a local --icmp -t 0.2 --address 10.77.0.3 --become --json -
    [ "$status" -eq 0 ]
    [[ "$stderr" != *"--become"* ]]
    nobody_far
    run --separate-stderr box "${begin_with[@]}" "$VNPERF" hops --at ssh://bob@a/eth0 --at ssh://bob@a/lo --for 100ms --no-calibration
    [ "$status" -ne 0 ]
    [[ "${stderr:=}" = *"is not root, which watching packets may need"* ]]
    run --separate-stderr box "${begin_with[@]}" "$VNPERF" hops --at ssh://bob@a/eth0 --at ssh://bob@a/lo --for 100ms --no-calibration --become
    printf '%s\n' "$stderr" >&2
    # They watched, and no packet passed both.
    [[ "$stderr" = *"nothing was paired"* ]]
    [[ "$stderr" != *"is not root"* ]]
    nobody_far
}

@test "--become: the password of VNPERF_BECOME_PASSWORD is in no argv, no environment and no result" {
    skip_unless_sudo
    host a "$(with_bob 'bob ALL=(root) ALL')"
    begin_with=(env VNPERF_BECOME_PASSWORD=sesame "${begin_with[@]}")
    begin test ssh://bob@a local --tcp -t 60 --address 10.77.0.3 --become --json "$TEST_DIR/json"
    wait_for 30 arriving c
    [ "$(box_words | grep -c sesame)" = 0 ]
    agents_users | grep -qx 0
    [ "$(agents_users | grep -c 4242)" = 0 ]
    box kill -INT "$controller"
    ended 130
    [ "$(grep -rc sesame "$out" "$err" "$TEST_DIR/json" "$state" | grep -vc ':0$')" = 0 ]
    nobody_far
}

@test "--become: a wrong password, none to be had, no rule, no sudo: a sentence and 4" {
    skip_unless_sudo
    host a "$(with_bob 'bob ALL=(root) ALL')"
    local with=("${begin_with[@]}")
    begin_with=(env VNPERF_BECOME_PASSWORD=wrong "${with[@]}")
    test_ssh ssh://bob@a local --rr -t 0.2 --become
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"sudo at 10.77.0.1 does not take the password of bob"* ]]
    [[ "$stderr" != *wrong* ]]
    begin_with=(setsid --wait "${with[@]}")
    test_ssh ssh://bob@a local --rr -t 0.2 --become
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"sudo at 10.77.0.1 asks for the password of bob, and there is no terminal to ask at: VNPERF_BECOME_PASSWORD"* ]]
    box sh -c ': >/run/keys/etc.a/sudoers'
    begin_with=(env VNPERF_BECOME_PASSWORD=sesame "${with[@]}")
    test_ssh ssh://bob@a local --rr -t 0.2 --become
    [ "$status" -eq 4 ]
    [[ "$stderr" = *"sudo at 10.77.0.1 does not let bob start the agent as root: "*"not in the sudoers file"* ]]
    at a mount --bind /run/keys/sshd_config "$(command -v sudo)"
    test_ssh ssh://bob@a local --rr -t 0.2 --become
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"there is no sudo there"* ]]
    nobody_far
}

@test "--become: a password typed on the terminal; the first one was wrong" {
    skip_unless_sudo
    host a "$(with_bob 'bob ALL=(root) ALL')"
    begin_typed test ssh://bob@a local --icmp -t 0.2 --address 10.77.0.3 --become
    wait_for 30 asked_for 'password of bob for sudo at 10.77.0.1: ' 1
    printf 'wrong\r' >&9
    wait_for 30 asked_for 'password of bob for sudo at 10.77.0.1: ' 2
    printf 'sesame\r' >&9
    typed_well 'sesame|wrong'
    nobody_far
}

@test "--become: a rule for one installed agent suffices with --agent-path" {
    skip_unless_sudo
    box cp "$VNPERF_AGENT" /run/keys/agent.there
    host a "$(with_bob 'bob ALL=(root) NOPASSWD: /run/keys/agent.there')"
    box ip netns exec a sysctl -qw 'net.ipv4.ping_group_range=1 0'
    test_ssh ssh://bob@a local --icmp -t 0.2 --address 10.77.0.3 --become --agent-path /run/keys/agent.there
    [ "$status" -eq 0 ]
    nobody_far
}

@test "--become: the controller killed, and nothing is left there" {
    skip_unless_sudo
    # As Debian 12 has it: sudo stays between.
    host a "$(with_bob 'Defaults use_pty
bob ALL=(root) NOPASSWD: ALL')"
    begin test ssh://bob@a local --tcp -t 60 --address 10.77.0.3 --become
    wait_for 30 arriving c
    box kill -KILL "$controller"
    ended 137
    nobody_far
}
