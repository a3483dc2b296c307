#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers of a real podman as ends: whatever gives a pipe. Not among the packages of `make deps`: skipped where it is not
# installed (podman, runc, busybox-static).

load ../helper

setup() {
    skip_unless_netns
    skip_unless_command podman runc busybox ip jq
    names=("vnperf-pod-a-$$" "vnperf-pod-b-$$")
}

teardown() {
    [ -z "${names:-}" ] || {
        pod rm --force --all --time 0 >/dev/null 2>&1 || true
        umount "$TEST_DIR/pods/store/vfs" "$TEST_DIR/pods/store" 2>/dev/null || true
        for name in "${names[@]}"; do ip netns del "$name" 2>/dev/null || true; done
    }
}

# Nothing of this machine's podman is touched.
pod() {
    timeout 60 "${podman[@]}" "$@"
}

containers() {
    local root=$TEST_DIR/pods/root n=0 name
    podman=(podman --root "$TEST_DIR/pods/store" --runroot "$TEST_DIR/pods/run" --storage-driver vfs
        --cgroup-manager cgroupfs --events-backend file --runtime runc)
    mkdir -p "$root/bin"
    cp "$(command -v busybox)" "$VNPERF_AGENT" "$root/bin/"
    ln -s busybox "$root/bin/sleep"
    tar -C "$root" -cf "$TEST_DIR/pods/root.tar" .
    pod import --quiet "$TEST_DIR/pods/root.tar" small >/dev/null 2>"$TEST_DIR/pods/said" || skip "no image here: $(tail -n 1 "$TEST_DIR/pods/said")"
    for name in "${names[@]}"; do ip netns add "$name"; done
    ip -n "${names[0]}" link add e0 type veth peer name e0 netns "${names[1]}"
    for name in "${names[@]}"; do
        n=$((n + 1))
        ip -n "$name" link set lo up
        ip -n "$name" addr add "10.66.0.$n/24" dev e0
        ip -n "$name" link set e0 up
        pod run --detach --name "c$n" --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network "ns:/run/netns/$name" \
            small /bin/sleep 600 >/dev/null 2>"$TEST_DIR/pods/said" || skip "no container runs here: $(tail -n 1 "$TEST_DIR/pods/said")"
    done
}

@test "two containers by podman exec: measured, and nothing runs there afterwards" {
    containers
    run --separate-stderr "$VNPERF" test "exec:${podman[*]} exec -i c1" "exec:${podman[*]} exec -i c2" \
        --agent-path /bin/vnperf-agent --tcp --rr -t 0.3 --json -
    [ "$status" -eq 0 ]
    [ "$(json '.scenarios[0].to.address')" = 10.66.0.2 ]
    [ "$(json '[.scenarios[].measurements[].kind] | sort | join(" ")')" = "rr tcp_stream" ]
    for n in 1 2; do
        [ "$(pod exec "c$n" /bin/busybox ps | grep -c vnperf-agent)" = 0 ]
    done
}

@test "a container without the agent, and one that is not there: 3, and why" {
    containers
    run --separate-stderr "$VNPERF" test "exec:${podman[*]} exec -i c1" "exec:${podman[*]} exec -i c2" --agent-path /bin/none --rr -t 0.2
    : "${stderr:=}"
    [ "$status" -eq 3 ]
    [[ "$stderr" = *"/bin/none"* ]]
    run --separate-stderr "$VNPERF" test "exec:${podman[*]} exec -i c1" "exec:${podman[*]} exec -i c9" --agent-path /bin/vnperf-agent --rr -t 0.2
    [ "$status" -ne 0 ]
    [[ "$stderr" = *"c9"* ]]
}
