#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# hops_speed.sh [BUILD [ROUNDS]]: what watching two points costs a packet, on veth - bridge - veth in namespaces of its own.
#
# A flood of 64-byte frames for at most 0.5 s, SCHED_FIFO on CPU 0, bare and with each source in turns: medians of CPU time a
# packet. Then 300000 packets a second against rings, whose reader shares its core with a busy loop. Figures, no verdicts.
set -euo pipefail

build=${1:-build} rounds=${2:-8}
probe=$build/tests/netns/hops-probe flood=$build/tests/netns/hops-flood
S=bpfs$$ H=bpfh$$ G=bpfg$$
dir=$(mktemp -d)
busy=

finish() {
    [ -z "$busy" ] || kill "$busy" 2>/dev/null || true
    for ns in "$S" "$H" "$G"; do
        ip netns del "$ns" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap finish EXIT

for ns in "$S" "$H" "$G"; do
    ip netns add "$ns"
    ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
ip link add w0 netns "$S" type veth peer name pif netns "$H"
ip link add e0 netns "$G" type veth peer name vif netns "$H"
ip -n "$H" link add name br0 type bridge mcast_snooping 0
for dev in pif vif; do
    ip -n "$H" link set "$dev" master br0
    ip -n "$H" link set "$dev" up
done
ip -n "$H" link set br0 up
ip -n "$S" link set w0 up
ip -n "$G" addr add 10.7.0.2/24 dev e0
ip -n "$G" link set e0 up
# The guest's stack is no part of the path.
ip netns exec "$G" nft -f - <<RULES
table netdev sink { chain into { type filter hook ingress device e0 priority 0; udp dport 40001 drop; }; }
RULES
mac=$(ip netns exec "$G" cat /sys/class/net/e0/address)
ip netns exec "$G" ping -c1 -W1 10.7.0.1 >/dev/null 2>&1 || true # the bridge learns where the guest is

# send N PPS REALTIME
send() {
    ip netns exec "$S" taskset -c 0 "$flood" w0 "$mac" "$@"
}

# watched SOURCE N PPS REALTIME [WRAP…]: what flood and probe said, on one line
watched() {
    local source=$1 n=$2 pps=$3 realtime=$4
    shift 4
    rm -f "$dir/in"
    mkfifo "$dir/in"
    "$@" "$probe" --source "$source" "name:$H/pif" "name:$H/vif" <"$dir/in" >"$dir/out" &
    exec 9>"$dir/in"
    until grep -q ^ready "$dir/out"; do sleep 0.02; done
    send "$n" "$pps" "$realtime" >"$dir/sent"
    echo stop >&9
    exec 9>&-
    wait $!
    cat "$dir/sent" "$dir/out" | tr '\n' ' '
    echo
}

echo "== flood, $rounds rounds"
for ((i = 0; i < rounds; i++)); do
    for mode in $(shuf -e none tcx clsact af_packet); do
        if [ "$mode" = none ]; then
            echo "none $(send 100000000 0 1)"
        else
            echo "$mode $(watched "$mode" 100000000 0 1)"
        fi
    done
done >"$dir/flood"
for mode in none tcx clsact af_packet; do
    grep "^$mode " "$dir/flood" | sed 's/.*cpu_ns_per_packet \([0-9.]*\).*/\1/' | sort -n |
        awk -v mode="$mode" '{ v[NR] = $1 } END { printf "%-10s median %.0f, least %.0f ns CPU a packet\n", mode, v[int((NR + 1) / 2)], v[1] }'
    grep "^$mode " "$dir/flood" | sed -n 's/hop from=[^ ]*vif .*//; s/.*to=[^ ]*vif whole=0 matched=\([0-9]*\) lost=\([0-9]*\).* min=\([0-9]*\) p1=\([0-9]*\) p50=\([0-9]*\) p99=\([0-9]*\).*/           matched \1 lost \2 min \3 p50 \5 p99 \6/p'
done
grep -o 'drops=[0-9]* overflow=[0-9]*' "$dir/flood" | sort | uniq -c

echo "== instrument alone"
for source in tcx clsact af_packet; do
    "$probe" --calibrate --source "$source"
done

echo "== 300000 packets a second, rings, reader on a busy core"
taskset -c 1 sh -c 'while :; do :; done' &
busy=$!
for ((i = 0; i < 5; i++)); do
    watched af_packet 900000 300000 1 taskset -c 1 | grep -oE 'sent [0-9]*|wall_ns_per_packet [0-9.]*|seen=[0-9]*|drops=[0-9]*|matched=[0-9]* lost=[0-9]*' | tr '\n' ' '
    echo
done
