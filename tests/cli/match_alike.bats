#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Packets that nothing tells apart but the time: UDP without IP ID, and always the same payload. A lost one must not spoil the
# others, and the losses are counted also where nobody can say which they were.

bats_require_minimum_version 1.5.0
load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# captures A B [C]: a.pcap, b.pcap, c.pcap. Python expressions of packet i, 0 to 999, t its time every ms: the ns at which it was seen
# there, a list of several, or None not.
captures() {
    python3 - "$@" <<'END_PYTHON'
import struct, sys

udp = struct.pack(">HHHH", 1000, 2000, 8 + 64, 0) + bytes(64)
frame = bytes(12) + b"\x08\0" + struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))) + udp
for name, text in zip("abc", sys.argv[1:]):
    seen = []
    for i in range(1000):
        t = 1700000000 * 10**9 + i * 10**6
        ns = eval(text)
        seen += ns if isinstance(ns, list) else [] if ns is None else [ns]
    with open(name + ".pcap", "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for t in sorted(seen):
            f.write(struct.pack("<IIII", t // 10**9, t % 10**9, len(frame), len(frame)) + frame)
END_PYTHON
}

# hops [ARG…]: of each: matched, ambiguous, lost, bound, duplicated, only later, most
hops() {
    run --separate-stderr vnperf match ./?.pcap --json - "$@"
    printf '%s\n' "$output" "${stderr:-}" >&2
    printf '%s' "$output" >got.json
    jq -c '.hops[] | [.matched, .ambiguous, .lost, .lost_is_bound, .duplicated, .only_later, .delay_ns.max]' got.json
}

@test "one that is lost leaves the others as they are" {
    captures t 't + 20000 + i % 7 * 500 if i != 500 else None'
    [ "$(hops)" = "[999,0,1,null,0,0,23000]" ]
    [ "$(jq .warning got.json)" = null ]
}

@test "many that are lost, and bursts of them" {
    captures t 't + 20000 + i % 7 * 500 if i < 100 or i % 100 > 30 and i % 5 else None'
    # 100, and of each of the 9 hundreds behind: 69 from 31 to 99, less 13 that 5 divides.
    [ "$(hops)" = "[604,0,396,null,0,0,23000]" ]
}

@test "the clock of one point a day ahead, and it is told" {
    captures t 't + 86400 * 10**9 + 20000 + i % 7 * 500 if i != 500 else None'
    [ "$(hops --offset 86400s)" = "[999,0,1,null,0,0,23000]" ]
}

@test "between each two of three points" {
    captures t 't + 20000 + i % 7 * 500 if i != 500 else None' 't + 40000 + i % 5 * 500 if i not in (500, 700) else None'
    [ "$(hops)" = "$(printf '%s\n' "[999,0,1,null,0,0,23000]" "[998,0,1,null,0,0,22000]" "[998,0,2,null,0,0,42000]")" ]
}

@test "lost before any delay is known: the number is a bound, and --window is named" {
    captures t 't + 20000 + i % 7 * 500 if i else None'
    [ "$(hops)" = "[0,999,1,true,0,0,null]" ]
    [ "$(jq .hops[0].loss_share got.json)" = 0.001 ]
    [[ "$(jq .warning got.json)" = *"1 of the LOST"*"a bound"*"--window TIME"* ]]
    [ "$(hops --window 500us)" = "[999,0,0,null,0,0,23000]" ]
}

@test "always several on the way: as many are lost as are not seen behind" {
    captures t 't + 5 * 10**6 + 20000 if i % 100 != 50 else None'
    [ "$(hops)" = "[0,990,10,true,0,0,null]" ]
}

@test "one that is later than others, and one that comes twice, are no loss" {
    captures t 't + (20000 + i % 7 * 500 if i != 500 else 700000)'
    [ "$(hops)" = "[1000,0,0,null,0,0,700000]" ]
    captures t '[t + 20000 + i % 7 * 500, t + 25000] if i == 500 else t + 20000 + i % 7 * 500'
    [ "$(hops)" = "[1000,0,0,null,1,0,23000]" ]
}

@test "delays that grow beyond the time between packets: ambiguous, and nothing is called lost that came" {
    captures t 't + (20000 + i % 7 * 500 if i < 500 else 5300000 if i < 600 else 20000)'
    run hops
    [ "$(jq -c '.[2]' <<<"$output")" = 0 ]
    [ "$(jq -c '.[0] + .[1]' <<<"$output")" = 1000 ]
}

@test "what is lost on the first hop of two is not said to be lost on the second" {
    # One packet each 5 us, up to 3 us on each hop; 2 % are lost on each.
    python3 - <<'END_PYTHON'
import random, struct

udp = struct.pack(">HHHH", 1000, 2000, 8 + 64, 0) + bytes(64)
frame = bytes(12) + b"\x08\0" + struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))) + udp
rng = random.Random(3)
seen = ([], [], [])
lost = [0, 0, 0]
for i in range(3000):
    t = 1700000000 * 10**9 + i * 5000
    seen[0].append(t)
    for k in (1, 2):
        if rng.random() < 0.02:
            lost[k] += 1
            break
        t += 2000 + rng.randrange(3000)
        seen[k].append(t)
for name, times in zip("abc", seen):
    with open(name + ".pcap", "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for t in sorted(times):
            f.write(struct.pack("<IIII", t // 10**9, t % 10**9, len(frame), len(frame)) + frame)
with open("lost", "w") as f:
    f.write("[%d,%d]" % (lost[1], lost[2]))
END_PYTHON
    hops --order 1,2,3
    [ "$(jq -c '[.hops[] | select(.whole | not) | .lost]' got.json)" = "$(cat lost)" ]
}
