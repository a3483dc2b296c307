#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Packets that are longer on their way than others, and losses before the first and after the last packet that came: what is
# known is counted, and what is not is told.

bats_require_minimum_version 1.5.0
load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# captures A B: a.pcap and b.pcap. Python expressions of packet i, 0 to 5999, sent every ms from port 1000: the ns at which it was
# seen there; None not. C: when packets of port 2000 (i from 6000) were seen at B alone.
captures() {
    python3 - "$@" <<'END'
import struct, sys

def frame(i, port):
    tcp = struct.pack(">HHIIBBHHH", port, 80, i * 64, 7, 0x50, 0x10, 500, 0, 0) + struct.pack(">I", i) * 16
    return bytes(12) + b"\x08\0" + struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), i + 1, 0, 64, 6, 0, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))) + tcp

def write(name, seen):
    with open(name, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for t, data in sorted(seen):
            f.write(struct.pack("<IIII", t // 10**9, t % 10**9, len(data), len(data)) + data)

for name, text in (("a.pcap", sys.argv[1]), ("b.pcap", sys.argv[2])):
    seen = []
    for i in range(6000):
        t = 1700000000 * 10**9 + i * 10**6
        ns = eval(text)
        if ns is not None:
            seen.append((ns, frame(i, 1000)))
    if name == "b.pcap" and len(sys.argv) > 3:
        for i in range(6000, 6100):
            t = 1700000000 * 10**9 + (i - 6000) * 10**6
            seen.append((eval(sys.argv[3]), frame(i, 2000)))
    write(name, seen)
END
}

# hops: matched, lost, bound, only later, most
hops() {
    run --separate-stderr vnperf match a.pcap b.pcap --json -
    printf '%s\n' "$output" "${stderr:-}" >&2
    printf '%s' "$output" >got.json
    jq -c '.hops[0] | [.matched, .lost, .lost_is_bound, .only_later, .delay_ns.max]' got.json
}

warning() {
    jq -r '.warning // ""' got.json
}

@test "a delay of all packets that is longer than the first window" {
    local ms
    for ms in 50 150 200 500 1500; do
        captures t "t + $ms * 10**6"
        [ "$(hops)" = "[6000,0,null,0,$((ms * 1000000))]" ]
    done
}

@test "a few packets that are much later than all others" {
    captures t 't + (300 * 10**6 if i % 100 == 50 else 10000)'
    [ "$(hops)" = "[6000,0,null,0,300000000]" ]
}

@test "a stream cannot be read anew: its losses are a bound, and --window is named" {
    captures t 't + (300 * 10**6 if i % 100 == 50 else 10000)'
    # shellcheck disable=SC2016 # the inner shell's own
    run --separate-stderr bash -c '"$0" match - b.pcap --json - <a.pcap' "$VNPERF"
    [ "$status" -eq 0 ]
    [ "$(json '.hops[0].lost_is_bound')" = true ]
    [[ "$(json .warning)" = *"--window"* ]]
    # shellcheck disable=SC2016 # the inner shell's own
    run --separate-stderr bash -c '"$0" match - b.pcap --window 1s --json - <a.pcap' "$VNPERF"
    [ "$(json '.hops[0] | [.matched, .lost] | join(" ")')" = "6000 0" ]
}

@test "lost before the first and after the last that came, while the other point saw others: counted" {
    captures t 't + 12345 if 300 <= i < 5800 else None' 't + (0 if i < 6050 else 9000 * 10**6)'
    [ "$(hops)" = "[5500,500,null,100,12345]" ]
    [[ "$(warning)" != *"not among LOST"* ]]
}

@test "the same where the other point saw nothing then: told, and not counted" {
    captures t 't + 12345 if 300 <= i < 5800 else None'
    [ "$(hops)" = "[5500,0,null,0,12345]" ]
    [[ "$(warning)" = *"500 packets of a.pcap were seen before the first or after the last that b.pcap saw"* ]]
}

@test "losses between are exact as before" {
    captures t 't + 12345 if i % 7 else None'
    # The first and the last one are outside of all that came.
    [ "$(hops)" = "[5142,856,null,0,12345]" ]
    [[ "$(warning)" = *"2 packets of a.pcap"* ]]
}
