# SPDX-License-Identifier: Apache-2.0
# Facts of machines: what ip, ethtool, sysctl and tc say of a veth, a bridge and lo is what the document says; what changes
# while a test goes on is told; and what cannot be had costs no result.

# shellcheck disable=SC2154 # bats sets status, output and stderr
bats_require_minimum_version 1.5.0
load ../helper
load facts

setup() {
    skip_unless_root
    skip_unless_command ip tc ethtool jq
    base=vnfact$$x$BATS_TEST_NUMBER
    a=$base-a b=$base-b doc=$TEST_DIR/facts.json
    for ns in "$a" "$b"; do
        ip netns add "$ns"
        ip -n "$ns" link set lo up
    done
    ip -n "$a" link add eth0 mtu 1450 type veth peer name eth0 netns "$b"
    ip -n "$a" address add 10.98.0.1/24 dev eth0
    ip -n "$b" link add br0 type bridge
    ip -n "$b" link set eth0 master br0 up
    ip -n "$b" address add 10.98.0.2/24 dev br0
    ip -n "$b" link set br0 up
    ip -n "$a" link set eth0 up
    ip netns exec "$a" tc qdisc replace dev eth0 root pfifo limit 400
    # The kernel tells the state a little later than it has it.
    wait_for 20 eval "ip -n $a link show eth0 | grep -q 'state UP'"
    wait_for 20 eval "ip -n $b link show br0 | grep -q 'state UP'"
    wait_for 20 ip netns exec "$a" ping -c 1 -W 1 10.98.0.2
}

teardown() {
    is_root || return 0
    for ns in "$a" "$b"; do
        ip netns delete "$ns" 2>/dev/null || true
    done
}

measure() {
    run --separate-stderr vnperf test --json "$doc" "$@"
    echo "$output"
    echo "$stderr"
    [ "$status" = 0 ]
}

# Of a namespace's interface, by ethtool's names made the kernel's; what only sums up others is left out.
features_on() {
    ip netns exec "$1" ethtool -k "$2" | sed -n 's/^\t\?\([a-z0-9_-]*\): on.*/\1/p' | sed '
        s/^rx-checksumming$/rx-checksum/
        s/^generic-segmentation-offload$/tx-generic-segmentation/
        s/^generic-receive-offload$/rx-gro/
        s/^large-receive-offload$/rx-lro/
        s/^rx-vlan-offload$/rx-vlan-hw-parse/
        s/^tx-vlan-offload$/tx-vlan-hw-insert/
        s/^ntuple-filters$/rx-ntuple-filter/
        s/^receive-hashing$/rx-hashing/
        /^tx-checksumming$/d; /^scatter-gather$/d; /^tcp-segmentation-offload$/d; /^udp-fragmentation-offload$/d' | sort
}

# The facts of node $1 of the document are those of interface $3 in namespace $2.
facts_are_those_of() {
    local nic=".nodes[$1].facts.nic" drv
    drv=$(ip netns exec "$2" ethtool -i "$3")
    same "$(value "$nic.name")" "$3"
    same "$(value "$nic.mtu_bytes")" "$(ip -n "$2" -j link show "$3" | jq '.[0].mtu')"
    same "$(value "$nic.tx_queue_packets")" "$(ip -n "$2" -j link show "$3" | jq '.[0].txqlen')"
    same "$(value "$nic.gso_max_bytes")" "$(ip -n "$2" -d -j link show "$3" | jq '.[0].gso_max_size')"
    same "$(value "$nic.tx_queues")" "$(ip -n "$2" -d -j link show "$3" | jq '.[0].num_tx_queues')"
    same "$(value "$nic.kind // \"null\"")" "$(ip -n "$2" -d -j link show "$3" | jq -r '.[0].linkinfo.info_kind')"
    same "$(value "$nic.state")" "$(ip -n "$2" -j link show "$3" | jq -r '.[0].operstate | ascii_downcase')"
    same "$(value "$nic.qdisc[0]")" "$(ip netns exec "$2" tc -j qdisc show dev "$3" | jq -r '.[0].kind')"
    same "$(value "$nic.driver // \"\"")" "$(sed -n 's/^driver: //p' <<<"$drv")"
    same "$(value "$nic.bus // \"\"")" "$(sed -n 's/^bus-info: //p' <<<"$drv" | sed 's,^N/A$,,')"
    same "$(value "$nic.offloads[]" | sort)" "$(features_on "$2" "$3")"
}

# What ethtool does not support is not there: neither 0 nor anything else.
nothing_where_ethtool_has_nothing() {
    ip netns exec "$2" ethtool -c "$3" >/dev/null 2>&1 ||
        same "$(value ".nodes[$1].facts.nic | has(\"rx_coalesce_us\") or has(\"tx_coalesce_us\")")" false
    ip netns exec "$2" ethtool -g "$3" >/dev/null 2>&1 ||
        same "$(value ".nodes[$1].facts.nic | has(\"rx_ring\") or has(\"tx_ring\")")" false
    same "$(value ".nodes[$1].facts.nic | has(\"speed_bps\") and .kind == \"veth\"")" false
}

sysctls_are_those_of() {
    local name key
    while read -r name key; do
        same "$(value ".nodes[$1].facts.$key | if type == \"array\" then map(tostring) | join(\" \") else . end")" \
            "$(ip netns exec "$2" sysctl -n "$name" 2>/dev/null | tr '\t' ' ' | grep . || echo null)"
    done <<'ROWS'
net.ipv4.tcp_rmem tcp.rmem_bytes
net.ipv4.tcp_wmem tcp.wmem_bytes
net.ipv4.tcp_mem tcp.mem_pages
net.ipv4.udp_mem net.udp_mem_pages
net.ipv4.tcp_congestion_control tcp.congestion_control
net.ipv4.tcp_available_congestion_control tcp.congestion_controls
net.core.rmem_max net.rmem_max_bytes
net.core.wmem_max net.wmem_max_bytes
net.core.default_qdisc net.default_qdisc
net.core.netdev_max_backlog net.netdev_max_backlog
net.core.netdev_budget net.netdev_budget
net.core.busy_poll net.busy_poll_us
net.core.netdev_tstamp_prequeue net.netdev_tstamp_prequeue
ROWS
}

test_a_veth_and_a_bridge_are_as_ip_ethtool_tc_and_sysctl_say() { #@test
    skip_unless_command sysctl
    ip netns exec "$a" sysctl -qw net.ipv4.tcp_rmem="4096 100000 4000000"
    measure "netns:$a" "netns:$b" --tcp -t 0.1s
    facts_are_those_of 0 "$a" eth0
    facts_are_those_of 1 "$b" br0
    nothing_where_ethtool_has_nothing 0 "$a" eth0
    nothing_where_ethtool_has_nothing 1 "$b" br0
    sysctls_are_those_of 0 "$a"
    sysctls_are_those_of 1 "$b"
    same "$(value '.nodes[0].facts.tcp.rmem_bytes | tojson')" "[4096,100000,4000000]"
    same "$(value '.nodes[0].facts.nic.chosen_by')" "route to the address"
    same "$(value '.nodes[1].facts.nic.chosen_by')" "own address"
    same "$(value '.nodes[1].facts.nic.lower | tojson')" '["eth0"]'
    same "$(value '.nodes[0].facts.system.kernel')" "$(uname -r)"
    same "$(value '.nodes[0].facts.system.distribution')" "$(. /etc/os-release && echo "$PRETTY_NAME")"
    same "$(value '.nodes[0].facts.clock.source // "none"')" \
        "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null || echo none)"
    # Nothing changed, and nothing is said of it.
    same "$(value '[.nodes[].changed | length] | tojson')" "[0,0]"
    [[ $output != *"changed while"* ]]
}

test_lo_is_the_interface_of_a_test_with_oneself() { #@test
    measure local local --tcp -t 0.1s
    same "$(value '[.nodes[].facts.nic.name] | tojson')" '["lo","lo"]'
    same "$(value '.nodes[0].facts.nic.mtu_bytes')" "$(ip -j link show lo | jq '.[0].mtu')"
    same "$(value '.nodes[0].facts.nic | has("speed_bps")')" false
}

data_flows() {
    [ "$(ip netns exec "$a" ss -Htn state established | wc -l)" -ge 1 ]
}

test_what_changes_while_it_runs_is_told() { #@test
    skip_unless_command ss
    vnperf test --json "$doc" "netns:$a" "netns:$b" --tcp -t 2s >"$TEST_DIR/out" 2>"$TEST_DIR/err" &
    local pid=$!
    wait_for 30 data_flows
    ip -n "$a" link set eth0 mtu 1440
    ip netns exec "$a" tc qdisc replace dev eth0 root bfifo limit 900000
    ip netns exec "$a" ethtool -K eth0 tso off
    ip netns exec "$b" sysctl -qw net.ipv4.tcp_wmem="4096 20000 5000000"
    wait "$pid"
    cat "$TEST_DIR/out" "$TEST_DIR/err"
    changed() {
        value ".nodes[$1].changed[] | select(.fact == \"$2\") | [.before, .after] | tojson"
    }
    same "$(changed 0 nic.mtu_bytes)" "[1450,1440]"
    same "$(changed 0 nic.qdisc)" '[["pfifo"],["bfifo"]]'
    [[ $(changed 0 nic.offloads) == *tx-tcp-segmentation*,null* ]]
    [[ $(changed 1 tcp.wmem_bytes) == *",[4096,20000,5000000]]" ]]
    same "$(value '.nodes[1].changed | length')" 1
    grep -q "nic.mtu_bytes changed while the run went on: 1450, then 1440" "$TEST_DIR/out"
    run vnperf show --facts
    [[ $output == *"nic.mtu_bytes changed while"* ]]
    [[ $output == *"mtu_bytes 1450"* ]]
}

test_a_machine_without_facts_costs_no_result() { #@test
    run --separate-stderr vnperf run --quick --scenarios 1.1 --json "$doc" --controller-node exec:false --node local \
        --node netns:vnperf-no-such-namespace
    echo "$output$stderr"
    [ "$status" = 0 ]
    same "$(value .summary.passed)" 1
    [[ $stderr == *"no facts of exec:false"* ]]
    same "$(value '[.nodes[] | select(.name == "exec:false")][0] | [.role, (.error | length > 0), .facts] | tojson')" \
        '["controller",true,{}]'
    same "$(value '[.nodes[] | select(.name == "local")][0] | [.role, .facts.system.kernel] | tojson')" \
        "[\"asked\",\"$(uname -r)\"]"
    # VMs have theirs, by the interface of their own address.
    same "$(value '[.endpoints[].facts.nic.name] | unique | tojson')" '["eth0"]'
    same "$(value '[.endpoints[].facts.nic.chosen_by] | unique | tojson')" '["own address"]'
    # The table has not grown by it.
    [ "$(grep -c . <<<"$output")" -le 10 ]
}

# A database of dpkg's as a controller of Ubuntu's cloud archive has it; dpkg-query is the real one.
package() {
    printf 'Package: %s\nStatus: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody\nDescription: x\n\n' "$1" "$2" "$3"
}

test_a_controller_tells_its_release_and_l2_agent() { #@test
    skip_unless_command dpkg-query
    local admin=$TEST_DIR/dpkg
    mkdir -p "$admin"/{info,updates}
    {
        package nova-common "install ok installed" 3:26.1.0-0ubuntu1~cloud0
        package neutron-common "install ok installed" 2:21.1.0-0ubuntu1~cloud0
        package neutron-linuxbridge-agent "install ok installed" 2:21.1.0-0ubuntu1~cloud0
        package neutron-openvswitch-agent "deinstall ok config-files" 2:20.0.0-0ubuntu1
    } >"$admin/status"
    run --separate-stderr vnperf run --quick --scenarios 1.1 --json "$doc" \
        --controller-node "exec:env DPKG_ADMINDIR=$admin" --node local
    echo "$output$stderr"
    [ "$status" = 0 ]
    openstack() {
        value "[.nodes[] | select(.role == \"$1\")][0] | $2"
    }
    same "$(openstack controller .facts.openstack.release)" Zed
    same "$(openstack controller '.facts.openstack.l2_agent | tojson')" '["linuxbridge"]'
    same "$(openstack controller .facts.openstack.l2_agent_version)" 21.1.0
    same "$(openstack controller '.facts.openstack.packages["nova-common"]')" "3:26.1.0-0ubuntu1~cloud0"
    # Without packages there is no release, and the reason.
    if ! dpkg-query -W -f '${db:Status-Abbrev}' nova-common neutron-common keystone glance-common cinder-common 2>/dev/null | grep -q ii; then
        same "$(openstack asked '.facts.openstack.release // "none"')" none
        [[ $(openstack asked '.missing["openstack.release"]') == "no package of"* ]]
    fi
    if command -v ovs-vsctl >/dev/null; then
        same "$(openstack asked .facts.openstack.ovs_version)" "$(ovs-vsctl --version | sed -n '1s/.* //p')"
    fi
}

test_chronyd_is_asked_at_its_port() { #@test
    skip_unless_command chronyd chronyc
    printf 'local stratum 5\npidfile %s/chronyd.pid\nbindcmdaddress /\ndriftfile %s/drift\n' "$TEST_DIR" "$TEST_DIR" >"$TEST_DIR/chrony.conf"
    ip netns exec "$a" chronyd -x -u root -n -f "$TEST_DIR/chrony.conf" >"$TEST_DIR/chrony.log" 2>&1 &
    local pid=$!
    if ! wait_for 20 ip netns exec "$a" chronyc -n -h 127.0.0.1 tracking; then
        kill "$pid" 2>/dev/null
        skip "chronyd does not run here: $(tail -1 "$TEST_DIR/chrony.log")"
    fi
    measure "netns:$a" "netns:$b" --tcp -t 0.1s
    local line
    line=$(ip netns exec "$a" chronyc -c -n -h 127.0.0.1 tracking)
    kill "$pid"
    same "$(value .nodes[0].facts.clock.chrony_by)" "command port 127.0.0.1:323"
    same "$(value .nodes[0].facts.clock.chrony_stratum)" "$(cut -d, -f3 <<<"$line")"
    same "$(value '.nodes[1].facts.clock | has("chrony_by")')" false
}
