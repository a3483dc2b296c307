#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Facts beside a second source on this machine: ethtool, ip, tc, /sys, lscpu, sysctl. Of the interface that carries the data, of what
# a bridge stands on; a field that is not there is missing and not 0, and what cannot be read costs no result.

# shellcheck disable=SC2154 # bats sets status, output and stderr
bats_require_minimum_version 1.5.0
load ../helper

setup() {
    skip_unless_root
    skip_unless_command ip ethtool jq
    doc=$TEST_DIR/facts.json
}

teardown() {
    is_root || return 0
    [ -z "${ns:-}" ] || ip netns delete "$ns" 2>/dev/null || true
}

value() {
    jq -r "$1" "$doc"
}

same() {
    [ "$1" = "$2" ] || {
        echo "'$1' is not '$2'" >&2
        return 1
    }
}

# The facts of this machine, as a run has them. More words stand before the agent.
asked() {
    run --separate-stderr vnperf run --scenarios 1.3 -t 0.1 --json "$doc" --node "${*:-local}"
    echo "$output$stderr"
    [ "$status" = 0 ]
    same "$(value .summary.passed)" 1
}

of_machine() {
    value "[.nodes[] | select(.role == \"asked\")][0] | $1"
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
    asked
    same "$(of_machine .facts.nic.name)" "$nic"
    same "$(of_machine '.facts.nic.driver // ""')" "$(ethtool -i "$nic" | sed -n 's/^driver: //p')"
    same "$(of_machine '.facts.nic.firmware // ""')" "$(ethtool -i "$nic" | sed -n 's/^firmware-version: //p' | sed 's,^N/A$,,')"
    same "$(of_machine .facts.nic.mtu_bytes)" "$(cat "/sys/class/net/$nic/mtu")"
    same "$(of_machine '.facts.nic.rx_ring // "null"')" "$(ethtool_value -g 'Current' RX "$nic")"
    same "$(of_machine '.facts.nic.tx_ring // "null"')" "$(ethtool_value -g 'Current' TX "$nic")"
    same "$(of_machine '.facts.nic.combined_channels // "null"')" "$(ethtool_value -l 'Current' Combined "$nic")"
    same "$(of_machine .facts.nic.rx_coalesce_us)" "$(ethtool_value -c Coalesce rx-usecs "$nic")"
    same "$(of_machine .facts.nic.rx_coalesce_frames)" "$(ethtool_value -c Coalesce rx-frames "$nic")"
    same "$(of_machine .facts.nic.tx_coalesce_us)" "$(ethtool_value -c Coalesce tx-usecs "$nic")"
    same "$(of_machine .facts.nic.tx_coalesce_frames)" "$(ethtool_value -c Coalesce tx-frames "$nic")"
    # what the driver has not is not there: neither false nor 0
    same "$(of_machine '.facts.nic.adaptive_tx')" "$(ethtool -c "$nic" 2>/dev/null |
        sed -n 's/^Adaptive RX: .*TX: //p' | sed 's/^off$/false/; s/^on$/true/; s,^n/a$,null,' | grep . || echo null)"
    same "$(of_machine '.facts.nic.speed_bps // "null"')" "$(cat "/sys/class/net/$nic/speed" 2>/dev/null | sed 's/^-1$/null/; s/$/000000/; s/^null000000$/null/' | grep . || echo null)"
    same "$(of_machine '.facts.nic.qdisc[0]')" "$(tc -j qdisc show dev "$nic" | jq -r '[.[] | select(.root)][0].kind')"
    if [ -r "/sys/class/net/$nic/device/vendor" ]; then
        same "$(of_machine .facts.nic.model)" "$(sed 's/^0x//' "/sys/class/net/$nic/device/vendor"):$(sed 's/^0x//' "/sys/class/net/$nic/device/device")"
    fi
    same "$(of_machine '.facts.nic.numa_node // "null"')" "$(sed 's/^-1$/null/' "/sys/class/net/$nic/device/numa_node" 2>/dev/null || echo null)"
}

@test "CPU, clocks and sysctls, as lscpu, /sys and sysctl say" {
    skip_unless_command lscpu sysctl
    asked
    same "$(of_machine .facts.cpu.model)" "$(LC_ALL=C lscpu | sed -n 's/^Model name: *//p')"
    same "$(of_machine '.facts.cpu.sockets // "null"')" "$(LC_ALL=C lscpu | sed -n 's/^Socket(s): *//p')"
    same "$(of_machine '.facts.cpu.governor[0] // "null"')" "$(cat /sys/devices/system/cpu/cpufreq/policy0/scaling_governor 2>/dev/null || echo null)"
    same "$(of_machine '.facts.cpu.numa_nodes // "null"')" "$(find /sys/devices/system/node -maxdepth 1 -name 'node[0-9]*' 2>/dev/null | wc -l | sed 's/^0$/null/')"
    same "$(of_machine '.facts.clock.source // "null"')" "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null || echo null)"
    same "$(of_machine '.facts.tcp.congestion_control')" "$(sysctl -n net.ipv4.tcp_congestion_control)"
    same "$(of_machine '[.facts.tcp.congestion_controls[] | select(. == "bbr")] | length')" \
        "$(sysctl -n net.ipv4.tcp_available_congestion_control | grep -cw bbr || true)"
    same "$(of_machine '.facts.net.netdev_tstamp_prequeue // "null"')" "$(sysctl -n net.core.netdev_tstamp_prequeue 2>/dev/null || echo null)"
    same "$(of_machine '.facts.tcp.mem_pages | map(tostring) | join("\t")')" "$(sysctl -n net.ipv4.tcp_mem)"
}

@test "what a bridge, a bond's member and a VLAN stand on is told with its driver, queues and offloads" {
    skip_unless_netns
    ns=vnlower$$
    ip netns add "$ns"
    ip -n "$ns" link add br0 type bridge
    ip -n "$ns" link add p0 mtu 1400 numtxqueues 3 numrxqueues 3 type veth peer name p1
    ip -n "$ns" link add d0 type dummy 2>/dev/null || ip -n "$ns" link add d0 type veth peer name d1
    ip -n "$ns" link set p0 master br0
    ip -n "$ns" link set d0 master br0
    ip netns exec "$ns" ethtool -K p0 tso off gro on >/dev/null
    ip -n "$ns" address add 10.97.0.1/24 dev br0
    for link in lo p0 p1 d0 br0; do ip -n "$ns" link set "$link" up; done
    asked "netns:$ns"
    # what is asked of is br0: it has the only address
    same "$(of_machine .facts.nic.name)" br0
    same "$(of_machine '.facts.nic.lower | sort | tojson')" '["d0","p0"]'
    same "$(of_machine .facts.nic.lower_driver.p0)" "$(ip netns exec "$ns" ethtool -i p0 | sed -n 's/^driver: //p')"
    same "$(of_machine .facts.nic.lower_driver.d0)" "$(ip netns exec "$ns" ethtool -i d0 | sed -n 's/^driver: //p')"
    same "$(of_machine .facts.nic.lower_kind.p0)" veth
    same "$(of_machine .facts.nic.lower_mtu_bytes.p0)" 1400
    same "$(of_machine .facts.nic.lower_tx_queues.p0)" "$(ip -n "$ns" -d -j link show p0 | jq .[0].num_tx_queues)"
    same "$(of_machine .facts.nic.lower_rx_queues.p0)" "$(ip -n "$ns" -d -j link show p0 | jq .[0].num_rx_queues)"
    same "$(of_machine .facts.nic.lower_qdisc.d0)" "$(ip netns exec "$ns" tc -j qdisc show dev d0 | jq -r .[0].kind)"
    [[ ,$(of_machine .facts.nic.lower_offloads.p0), == *,rx-gro,* ]]
    [[ ,$(of_machine .facts.nic.lower_offloads.p0), != *,tx-tcp-segmentation,* ]]
    [[ ,$(of_machine .facts.nic.lower_offloads.d0), == *,tx-tcp-segmentation,* ]]
    # neither a veth nor a bridge has rings or a speed of its own
    same "$(of_machine '.facts.nic | [has("lower_rx_ring"), has("lower_speed_bps"), has("rx_ring")] | tojson')" '[false,false,false]'
}

# before WORDS: a program that does that in a mount namespace of its own, and then the agent
before() {
    printf '#!/bin/sh\n%s\nexec "$@"\n' "$1" >"$TEST_DIR/in"
    chmod +x "$TEST_DIR/in"
    asked "exec:unshare --mount $TEST_DIR/in"
}

@test "without /sys, with files that may not be read, and without ethtool the result stands" {
    before "mount -t tmpfs none /sys"
    same "$(of_machine .facts.system.kernel)" "$(uname -r)"
    same "$(of_machine '.facts.clock.source // "null"')" null
    same "$(of_machine '.facts.nic.model // "null"')" null
    # what /proc and the kernel's own words have is there all the same
    [ "$(of_machine '.facts.nic | has("mtu_bytes")')" = true ]
    before "mount -t tmpfs none /proc/sys"
    same "$(of_machine '.facts.tcp // {} | has("congestion_control")')" false
    same "$(of_machine .facts.system.kernel)" "$(uname -r)"
}

@test "a chronyc that hangs costs its facts and not the run" {
    skip_unless_command chronyc
    printf '#!/bin/sh\nexec sleep %s\n' "1000.$$" >"$TEST_DIR/hang"
    chmod +x "$TEST_DIR/hang"
    # shellcheck disable=SC2016 # the inner shell's
    printf '#!/bin/sh\nmount --bind %s "$(readlink -f "$(command -v chronyc)")" && exec "$@"\n' "$TEST_DIR/hang" >"$TEST_DIR/in"
    chmod +x "$TEST_DIR/in"
    asked "exec:unshare --mount $TEST_DIR/in"
    same "$(of_machine .facts.system.kernel)" "$(uname -r)"
    run pgrep -f "sleep 1000[.]$$"
    [ "$status" != 0 ]
}
