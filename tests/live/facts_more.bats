#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Facts beside a second source on this machine: ethtool, ip, tc, /sys, lscpu, sysctl. Of the interface that carries the data, of what
# a bridge stands on; a field that is not there is missing and not 0, and what cannot be read costs no result.

# shellcheck disable=SC2154 # bats sets status, output and stderr
bats_require_minimum_version 1.5.0
load ../helper
load ../netns/facts

# One run of the lab, whose facts all tests look at: of this machine, of a namespace with a bridge, and of machines that have not
# all that there should be.
setup_file() {
    is_root || return 0
    export doc=$TEST_DIR/facts.json ns=vnlower$$
    unshare --net --mount true 2>/dev/null && command -v ethtool jq ip >/dev/null || return 0
    bridge_up
    hides nosys "mount -t tmpfs none /sys"
    hides nosysctl "mount -t tmpfs none /proc/sys"
    printf '#!/bin/sh\nexec sleep %s\n' "1000.$$" >"$TEST_DIR/hang"
    chmod +x "$TEST_DIR/hang"
    hides hung "$(hangs chronyc)"
    hides hung_controller "$(hangs dpkg-query)"
    export hung="1000[.]$$"
    vnperf run --scenarios 1.3 -t 0.1 --json "$doc" --node local --node "netns:$ns" --node "exec:unshare --mount $TEST_DIR/nosys" \
        --node "exec:unshare --mount $TEST_DIR/nosysctl" --node "exec:unshare --mount $TEST_DIR/hung" \
        --controller-node "exec:unshare --mount $TEST_DIR/hung_controller" >"$TEST_DIR/out" 2>&1 || {
        cat "$TEST_DIR/out"
        return 1
    }
}

setup() {
    skip_unless_root
    skip_unless_command ip ethtool jq
    skip_unless_netns
}

teardown_file() {
    [ -z "${ns:-}" ] || ip netns delete "$ns" 2>/dev/null || true
}

# hides NAME COMMAND: a program that does that in its own mount namespace, and then what it is given
hides() {
    printf '#!/bin/sh\n%s\nexec "$@"\n' "$2" >"$TEST_DIR/$1"
    chmod +x "$TEST_DIR/$1"
}

# For hides(): what asks that program waits in vain, where there is one.
# hangs PROGRAM
hangs() {
    echo "! c=\$(command -v $1) || mount --bind $TEST_DIR/hang \"\$(readlink -f \"\$c\")\""
}

# br0 has the only address, and stands on a veth p0 and on d0.
bridge_up() {
    ip netns add "$ns"
    ip -n "$ns" link add br0 type bridge
    ip -n "$ns" link add p0 mtu 1400 numtxqueues 3 numrxqueues 3 type veth peer name p1
    ip -n "$ns" link add d0 type dummy 2>/dev/null || ip -n "$ns" link add d0 type veth peer name d1
    ip -n "$ns" link set p0 master br0
    ip -n "$ns" link set d0 master br0
    ip netns exec "$ns" ethtool -K p0 tso off gro on >/dev/null
    ip -n "$ns" address add 10.97.0.1/24 dev br0
    for link in lo p0 p1 d0 br0; do ip -n "$ns" link set "$link" up; done
}

# of K FILTER: of the K-th machine that was asked
of() {
    value "[.nodes[] | select(.role == \"asked\")][$1] | $2"
}

# ethtool_value OPTION SECTION LINE INTERFACE: "n/a" and nothing are null
ethtool_value() {
    ethtool "$1" "$4" 2>/dev/null | sed -n "/^$2/,\$p" | sed -n "s/^$3:[[:space:]]*//p" | head -1 |
        grep -v '^n/a$' || echo null
}

@test "the interface of the default route, as ethtool, ip and tc say" {
    local nic
    nic=$(ip -j route show default | jq -r '.[0].dev // empty')
    [ -n "$nic" ] || skip "there is no default route"
    same "$(of 0 .facts.nic.name)" "$nic"
    same "$(of 0 '.facts.nic.driver // ""')" "$(ethtool -i "$nic" | sed -n 's/^driver: //p')"
    same "$(of 0 '.facts.nic.firmware // ""')" "$(ethtool -i "$nic" | sed -n 's/^firmware-version: //p' | sed 's,^N/A$,,')"
    same "$(of 0 .facts.nic.mtu_bytes)" "$(cat "/sys/class/net/$nic/mtu")"
    same "$(of 0 '.facts.nic.rx_ring // "null"')" "$(ethtool_value -g 'Current' RX "$nic")"
    same "$(of 0 '.facts.nic.tx_ring // "null"')" "$(ethtool_value -g 'Current' TX "$nic")"
    same "$(of 0 '.facts.nic.combined_channels // "null"')" "$(ethtool_value -l 'Current' Combined "$nic")"
    same "$(of 0 .facts.nic.rx_coalesce_us)" "$(ethtool_value -c Coalesce rx-usecs "$nic")"
    same "$(of 0 .facts.nic.rx_coalesce_frames)" "$(ethtool_value -c Coalesce rx-frames "$nic")"
    same "$(of 0 .facts.nic.tx_coalesce_us)" "$(ethtool_value -c Coalesce tx-usecs "$nic")"
    same "$(of 0 .facts.nic.tx_coalesce_frames)" "$(ethtool_value -c Coalesce tx-frames "$nic")"
    # what the driver has not is not there: neither false nor 0
    same "$(of 0 '.facts.nic.adaptive_tx')" "$(ethtool -c "$nic" 2>/dev/null |
        sed -n 's/^Adaptive RX: .*TX: //p' | sed 's/^off$/false/; s/^on$/true/; s,^n/a$,null,' | grep . || echo null)"
    same "$(of 0 '.facts.nic.speed_bps // "null"')" "$(sed 's/^-1$/null/; s/$/000000/; s/^null000000$/null/' "/sys/class/net/$nic/speed" 2>/dev/null | grep . || echo null)"
    same "$(of 0 '.facts.nic.qdisc[0]')" "$(tc -j qdisc show dev "$nic" | jq -r '[.[] | select(.root)][0].kind')"
    if [ -r "/sys/class/net/$nic/device/vendor" ]; then
        same "$(of 0 .facts.nic.model)" "$(sed 's/^0x//' "/sys/class/net/$nic/device/vendor"):$(sed 's/^0x//' "/sys/class/net/$nic/device/device")"
    fi
    same "$(of 0 '.facts.nic.numa_node // "null"')" "$(sed 's/^-1$/null/' "/sys/class/net/$nic/device/numa_node" 2>/dev/null || echo null)"
}

@test "CPU, clocks and sysctls, as lscpu, /sys and sysctl say" {
    skip_unless_command lscpu sysctl
    same "$(of 0 .facts.cpu.model)" "$(LC_ALL=C lscpu | sed -n 's/^Model name: *//p')"
    same "$(of 0 '.facts.cpu.sockets // "null"')" "$(LC_ALL=C lscpu | sed -n 's/^Socket(s): *//p')"
    same "$(of 0 '.facts.cpu.governor[0] // "null"')" "$(cat /sys/devices/system/cpu/cpufreq/policy0/scaling_governor 2>/dev/null || echo null)"
    same "$(of 0 '.facts.cpu.numa_nodes // "null"')" "$(find /sys/devices/system/node -maxdepth 1 -name 'node[0-9]*' 2>/dev/null | wc -l | sed 's/^0$/null/')"
    same "$(of 0 '.facts.clock.source // "null"')" "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null || echo null)"
    same "$(of 0 '.facts.tcp.congestion_control')" "$(sysctl -n net.ipv4.tcp_congestion_control)"
    same "$(of 0 '[.facts.tcp.congestion_controls[] | select(. == "bbr")] | length')" \
        "$(sysctl -n net.ipv4.tcp_available_congestion_control | grep -cw bbr || true)"
    same "$(of 0 '.facts.net.netdev_tstamp_prequeue // "null"')" "$(sysctl -n net.core.netdev_tstamp_prequeue 2>/dev/null || echo null)"
    same "$(of 0 '.facts.tcp.mem_pages | map(tostring) | join("\t")')" "$(sysctl -n net.ipv4.tcp_mem)"
}

@test "what a bridge stands on is told with its driver, queues and offloads" {
    same "$(of 1 .facts.nic.name)" br0
    same "$(of 1 '.facts.nic.lower | sort | tojson')" '["d0","p0"]'
    same "$(of 1 .facts.nic.lower_driver.p0)" "$(ip netns exec "$ns" ethtool -i p0 | sed -n 's/^driver: //p')"
    same "$(of 1 .facts.nic.lower_driver.d0)" "$(ip netns exec "$ns" ethtool -i d0 | sed -n 's/^driver: //p')"
    same "$(of 1 .facts.nic.lower_kind.p0)" veth
    same "$(of 1 .facts.nic.lower_mtu_bytes.p0)" 1400
    same "$(of 1 .facts.nic.lower_tx_queues.p0)" "$(ip -n "$ns" -d -j link show p0 | jq .[0].num_tx_queues)"
    same "$(of 1 .facts.nic.lower_rx_queues.p0)" "$(ip -n "$ns" -d -j link show p0 | jq .[0].num_rx_queues)"
    same "$(of 1 .facts.nic.lower_qdisc.d0)" "$(ip netns exec "$ns" tc -j qdisc show dev d0 | jq -r .[0].kind)"
    [[ ,$(of 1 .facts.nic.lower_offloads.p0), == *,rx-gro,* ]]
    [[ ,$(of 1 .facts.nic.lower_offloads.p0), != *,tx-tcp-segmentation,* ]]
    [[ ,$(of 1 .facts.nic.lower_offloads.d0), == *,tx-tcp-segmentation,* ]]
    # neither a veth nor a bridge has rings or a speed of its own
    same "$(of 1 '.facts.nic | [has("lower_rx_ring"), has("lower_speed_bps"), has("rx_ring")] | tojson')" '[false,false,false]'
}

@test "without /sys, and without /proc/sys, the rest is told and the result stands" {
    same "$(value .summary.passed)" 1
    same "$(of 2 .facts.system.kernel)" "$(uname -r)"
    same "$(of 2 '.facts.clock.source // "null"')" null
    same "$(of 2 '.facts.nic.model // "null"')" null
    # what /proc and the kernel's own words have is there all the same
    [ "$(of 2 '.facts.nic | has("mtu_bytes")')" = true ]
    same "$(of 3 '.facts.tcp // {} | has("congestion_control")')" false
    same "$(of 3 .facts.system.kernel)" "$(uname -r)"
}

@test "a chronyc and a dpkg-query that hang cost their facts and not the run, and are gone" {
    local controller='[.nodes[] | select(.role == "controller")][0]'
    same "$(of 4 .facts.system.kernel)" "$(uname -r)"
    same "$(value "$controller.facts.system.kernel")" "$(uname -r)"
    ! command -v dpkg-query || [[ $(value "$controller.missing[\"openstack.packages\"]") == *"did not answer in time" ]]
    same "$(value .summary.passed)" 1
    run pgrep -f "sleep $hung"
    [ "$status" != 0 ]
}
