#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Firewalls and NAT between the two ends of a test: what has to pass passes, and what cannot is said before anything is measured.
# The namespaces are of path.bash: a (client) — m (router, firewall, NAT) — b (server).
# shellcheck disable=SC2154 # bats sets status and output

bats_require_minimum_version 1.5.0
load ../helper
load path

PUBLIC=10.77.1.200

setup() {
    skip_unless_root
    skip_unless_command ip nft jq ss python3
}

teardown() {
    is_root || return 0
    [ -z "${taker:-}" ] || kill "$taker" 2>/dev/null || true
    path_clear
    ip -n "$B" route replace default via 10.77.2.254
    ip -n "$M" addr del "$PUBLIC/32" dev m0 2>/dev/null || true
}

# The server behind a floating IP: ports 5001 and 5002 are forwarded and nothing else is; it has no way of its own to the client.
behind_dnat() {
    ip -n "$M" addr add "$PUBLIC/32" dev m0
    ip -n "$B" route del default
    rules "$M" "table ip nat {
        chain in { type nat hook prerouting priority -100; ip daddr $PUBLIC meta l4proto { tcp, udp } th dport 5001-5002 dnat to 10.77.2.1; }
        chain out { type nat hook postrouting priority 100; oifname m1 masquerade $*; }
    }
    table ip filter { chain forward { type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname m0 ct status dnat accept; }; }"
}

# vnperf test from a to b with its document in $output; the words in $stderr
try() {
    run --separate-stderr vnperf test "netns:$A" "netns:$B" --no-save --json - --quiet -t 0.1 "$@"
}

passes() {
    try "$@"
    [ "$status" -eq 0 ] || {
        echo "$*: ended with $status"
        echo "${stderr:-}"
        return 1
    }
}

# fails CODE WORDS ARG…: with that code and those words, and nothing was measured
fails() {
    local code=$1 words=$2
    shift 2
    try "$@"
    if [ "$status" -ne "$code" ] || [[ "${stderr:-}" != *"$words"* ]] || [ "$(json '.scenarios[0].measurements | length')" != 0 ]; then
        echo "$*: ended with $status, not $code and '$words'"
        echo "${stderr:-}"
        return 1
    fi
}

ports_used() {
    json '[.scenarios[0].measurements[].port] | unique | join(" ")'
}

# take PROTOCOL PORT…: somebody else listens there, in b
take() {
    ip netns exec "$B" python3 -c 'import socket, sys
held = []
for port in sys.argv[2:]:
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM)
    if sys.argv[1] == "tcp":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", int(port)))
    if sys.argv[1] == "tcp":
        s.listen()
    held.append(s)
print("held", flush=True)
sys.stdin.read()' "$@" < <(exec sleep 120) >"$BATS_TEST_TMPDIR/held" 3>&- &
    taker=$!
    wait_for 20 grep -q held "$BATS_TEST_TMPDIR/held"
}

# Every kind of traffic, both ways, and two sessions at once, by two ports.
all_pass() {
    passes "$@" --tcp --udp -b 20M --rr --udp-rr --crr --stamp
    [ "$(ports_used)" = 5001 ]
    passes "$@" --tcp --udp -b 20M --reverse
    [ "$(ports_used)" = 5001 ]
    passes "$@" --tcp --udp -b 20M --bidir --flows 2
    passes "$@" --under-load --udp-rr --udp -b 5M
    [ "$(ports_used)" = "5001 5002" ]
}

# ---- what passes ----

@test "a server behind a floating IP of which two ports are forwarded: all kinds pass, both ways" {
    behind_dnat
    all_pass --address "$PUBLIC"
}

@test "a server behind a floating IP: the rate search passes, both ways" {
    behind_dnat
    shape "$M" m1 20 50
    passes --address "$PUBLIC" --udp --udpbuf 1024
    passes --address "$PUBLIC" --udp --udpbuf 1024 --reverse
    [ "$(json '.scenarios[0].measurements[0].direction')" = reverse ]
}

@test "NAT that draws another source port for each flow: all kinds pass, both ways" {
    behind_dnat fully-random
    passes --address "$PUBLIC" --tcp --udp -b 20M --bidir --flows 2
    passes --address "$PUBLIC" --udp-rr --crr --stamp
}

stateful() {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname m0 meta l4proto { tcp, udp } th dport 5001-5002 ct state new accept; }; }'
}

@test "a firewall that lets in only what the client begins: all kinds pass, both ways" {
    stateful
    all_pass
}

@test "the same over IPv6" {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; policy drop;
        meta l4proto ipv6-icmp accept
        ct state established,related accept
        iifname m0 meta l4proto { tcp, udp } th dport 5001-5002 ct state new accept; }; }'
    passes --ipv6 --tcp --udp -b 20M --bidir
    passes --ipv6 --rr --udp-rr --crr --stamp
    [ "$(ports_used)" = 5001 ]
}

@test "a tool's ports are VMTP's: it passes where 5001 and 5002 are forwarded" {
    skip_unless_command nuttcp iperf
    behind_dnat
    passes --address "$PUBLIC" --tp-tool nuttcp --tcp --reverse -t 1
    passes --address "$PUBLIC" --tp-tool nuttcp --udp -b 5M -t 1
    passes --address "$PUBLIC" --tp-tool iperf --tcp --reverse -t 1
}

# ---- what does not ----

@test "a firewall that drops UDP alone: the test says so, TCP passes" {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m0 meta l4proto udp drop; }; }'
    passes --tcp --rr
    fails 4 "netns:$A cannot reach netns:$B at 10.77.2.1, UDP port 5001: nothing arrives there, and nothing comes back: it is dropped on the way" --tcp --udp
}

@test "TCP and UDP that are dropped on the way there" {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m0 meta l4proto { tcp, udp } drop; }; }'
    fails 4 'TCP port 5001: nothing arrives there, and nothing comes back' --tcp --udp
    [[ "${stderr:-}" = *'UDP port 5001: nothing arrives there'* ]]
}

@test "TCP and UDP that are dropped on the way back" {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m1 meta l4proto { tcp, udp } drop; }; }'
    fails 4 'TCP port 5001: what it sends arrives there, but the answers do not come back' --tcp --udp
    [[ "${stderr:-}" = *'UDP port 5001: what it sends arrives there, but the answers do not come back'* ]]
}

@test "a connection that stands and carries nothing" {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m0 tcp flags & (syn | psh) == psh drop; }; }'
    fails 4 'TCP port 5001: it connects, but what it sends then does not arrive there' --tcp
}

@test "a firewall that rejects: with RST and with ICMP, over IPv4 and IPv6" {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m0 meta l4proto tcp reject with tcp reset; }; }'
    fails 4 'TCP port 5001: it is refused: a firewall rejects it, or that address leads to another host (Connection refused)' --tcp
    fails 4 'at fd77:2::1, TCP port 5001: it is refused' --tcp --ipv6
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m0 meta l4proto udp reject; }; }'
    fails 4 'UDP port 5001: it is refused' --udp
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m0 meta l4proto { tcp, udp } reject with icmpx type admin-prohibited; }; }'
    fails 4 'TCP port 5001: it is told so by a firewall or router, or has no route' --tcp
    fails 4 'at fd77:2::1, UDP port 5001: it is told so by a firewall or router, or has no route' --udp --ipv6
}

@test "over IPv6 too a silence has a place" {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m1 meta l4proto { tcp, udp } drop; }; }'
    fails 4 'at fd77:2::1, TCP port 5001: what it sends arrives there, but the answers do not come back' --tcp --ipv6
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m0 meta l4proto { tcp, udp } drop; }; }'
    fails 4 'at fd77:2::1, TCP port 5001: nothing arrives there' --tcp --udp --ipv6
}

@test "an address that leads to another host is not ours, and is told" {
    # m itself answers at that port
    ip netns exec "$M" python3 -c 'import socket
s = socket.create_server(("", 5001))
while True:
    c, _ = s.accept()
    c.sendall(b"220 some other program greets you\r\n")' 3>&- &
    taker=$!
    wait_for 20 eval "[ -n \"\$(ip netns exec $M ss -Hltn '( sport = :5001 )')\" ]"
    fails 4 'at 10.77.1.254, TCP port 5001: what answers there is not our agent' --tcp --address 10.77.1.254
}

@test "its own firewall does not let a client out" {
    rules "$A" 'table inet filter { chain output { type filter hook output priority 0; meta l4proto udp drop; }; }'
    fails 4 'UDP port 5001: a firewall of its own does not let it out' --udp
    rules "$A" ''
}

@test "--no-preflight leaves it out: the test itself meets the firewall" {
    rules "$M" 'table inet filter { chain forward { type filter hook forward priority 0; iifname m0 meta l4proto tcp reject with tcp reset; }; }'
    try --tcp --no-preflight
    [ "$status" -eq 4 ]
    [[ "${stderr:-}" = *'connecting to 10.77.2.1 port 5001'* ]]
}

# ---- ports of others ----

@test "a port that somebody listens on is passed over, and the result tells which was taken" {
    take tcp 5001 5002
    passes --tcp --udp -b 10M --rr
    [ "$(json '[.scenarios[0].measurements[] | .kind + " " + (.transport // "") + " " + (.port | tostring)] | join(", ")')" = 'tcp_stream  5003, udp_stream  5001, rr tcp 5003' ]
    passes --tcp --port 5001-5003
    [ "$(ports_used)" = 5003 ]
    passes --udp -b 10M --port 5001
}

@test "no port of the range is free: a sentence with range and host, 3" {
    take tcp 5001 5002
    fails 3 "netns:$B: all of TCP ports 5001 to 5002 are taken by other programs (--port names others)" --tcp --port 5001-5002
    fails 3 "netns:$B: TCP port 5002 is taken by other programs (--port names others)" --tcp --port 5002
    try --tcp --port 5001-5002 --no-preflight
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"netns:$B: "*'all of TCP ports 5001 to 5002 are taken (--port names others)'* ]]
}

@test "of UDP too" {
    take udp 5001
    passes --udp -b 10M --udp-rr
    [ "$(ports_used)" = 5002 ]
    fails 3 "netns:$B: UDP port 5001 is taken by other programs" --udp --port 5001
}

@test "two tests at once to one server do not disturb each other" {
    vnperf test "netns:$A" "netns:$B" --no-save --quiet --udp -b 5M -t 1 --json "$BATS_TEST_TMPDIR/one" >/dev/null 3>&- &
    local first=$!
    passes --udp -b 5M -t 1
    wait "$first"
    [ "$(jq -r '.scenarios[0].status' "$BATS_TEST_TMPDIR/one")" = passed ]
}

# ---- runs ----

VM1=192.168.1.11 # vm1 of the lab; 1.1 goes there from vm2, 2.1 from vm3

# An agent that sets up rules in the namespace of vm1 before it begins.
agent_with_rules() {
    local agent=$BATS_TEST_TMPDIR/agent
    printf '#!/bin/sh\nip -o addr | grep -q " %s/" && nft "%s"\nexec "%s" "$@"\n' \
        "$VM1" "add table ip t; add chain ip t in { type filter hook input priority 0; }; add rule ip t in $1" "$VNPERF_AGENT" >"$agent"
    chmod +x "$agent"
    echo "$agent"
}

@test "a run lists who does not reach whom before the first test; those scenarios fail, others go on" {
    run --separate-stderr vnperf run --scenarios 1.1,1.2,1.3,2.2,7.2 -t 0.1 --bandwidth 10M --udpbuf 1024 --json "$BATS_TEST_TMPDIR/run" \
        --agent "$(agent_with_rules 'ip saddr 192.168.1.12 meta l4proto udp drop')"
    [ "$status" -eq 1 ] || { echo "${stderr:-}" && false; }
    [[ "${stderr:-}" = *"vm2 cannot reach vm1 at $VM1, UDP port 5001: nothing arrives there"*"[1/5] 1.1 "*passed*"[2/5] 1.2 "*"failed: vm2 cannot reach vm1 at $VM1, UDP port 5001"*"[3/5] 1.3 "*passed* ]]
    [ "$(grep -c '^vnperf: warning: .* cannot reach ' <<<"$stderr")" = 1 ]
    [ "$(jq -r '[.scenarios[] | select(.chosen) | .id + " " + .status] | join(", ")' "$BATS_TEST_TMPDIR/run")" = '1.1 passed, 1.2 failed, 1.3 passed, 2.2 passed, 7.2 passed' ]
    [ "$(jq -r '.scenarios[] | select(.id == "1.2").measurements | length' "$BATS_TEST_TMPDIR/run")" = 0 ]
}

@test "a run none of whose ports is reached ends with 4" {
    run --separate-stderr vnperf run --scenarios 1.1,1.2 -t 0.1 --agent "$(agent_with_rules 'meta l4proto { tcp, udp } reject')"
    [ "$status" -eq 4 ] || { echo "${stderr:-}" && false; }
    [[ "${stderr:-}" = *"vm2 cannot reach vm1 at $VM1, TCP port 5001: it is refused"*"vm2 cannot reach vm1 at $VM1, UDP port 5001: it is refused"*"no scenario could be measured: the data ports are not reached"* ]]
}

@test "a whole lab is reached by one port" {
    run --separate-stderr vnperf run --scenarios '1.1,4.1,5.2,7.1,8.*' -t 0.1 --bandwidth 5M --udpbuf 1024 --port 5001 --json -
    [ "$status" -eq 0 ]
    [[ "${stderr:-}" != *cannot* ]]
    [ "$(json '[.scenarios[].measurements[].port | numbers] | unique | join(" ")')" = 5001 ]
}
