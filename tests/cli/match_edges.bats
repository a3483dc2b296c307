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

@test "a file that breaks off is read once: its losses are a bound, and --window is named" {
    captures t 't + (300 * 10**6 if i >= 1000 else 10000)'
    gzip b.pcap
    truncate -s $(($(stat -c %s b.pcap.gz) * 9 / 10)) b.pcap.gz
    run --separate-stderr vnperf match a.pcap b.pcap.gz --json -
    [ "$status" -eq 1 ]
    [ "$(json '.hops[0] | .matched == 1000 and .lost > 3000 and .only_later > 3000 and .lost_is_bound')" = true ]
    [[ "$(json .warning)" = *"--window"* ]]
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

# Bytes in the middle of a file are others.
spoil() {
    local n
    n=$(stat -c %s "$1")
    printf '%064d' 0 | dd of="$1" bs=1 seek="$((n * 2 / 3))" conv=notrunc status=none
}

@test "a packed file that is corrupt near its beginning: what was read until then is matched, and 1" {
    local packer
    captures t 't + 12345'
    for packer in gzip zstd; do
        command -v "$packer" >/dev/null || continue
        "$packer" -q -c <a.pcap >packed
        spoil packed
        [ "$(stat -c %s packed)" -lt 262144 ]
        run --separate-stderr vnperf match packed b.pcap --json -
        printf '%s\n' "${stderr:-}" >&2
        [ "$status" -eq 1 ]
        [ "$(json '.hops[0] | .matched > 100 and .delay_ns.min == 12345 and .delay_ns.max == 12345')" = true ]
        # What it unpacks to may be found wrong before the packing is.
        [[ "${stderr:-}" = *"'packed', byte "*"what is shown is what was read until then"* ]]
    done
}

@test "an order that the packets contradict is named as such" {
    captures t 't + 44500 + i % 3'
    run --separate-stderr vnperf match b.pcap a.pcap --order 1,2 --json -
    [ "$(json .warning)" = "the order given puts b.pcap before a.pcap, but packets are seen at a.pcap first: --order a.pcap,b.pcap, or a clock is wrong: --offset auto" ]
    run vnperf match b.pcap a.pcap --order 1,2
    [[ "$output" != *"clocks of the two points disagree"* ]]
    run --separate-stderr vnperf match b.pcap a.pcap --order a.pcap,b.pcap --json -
    [ "$(json '[.warning, .hops[0].from, .hops[0].delay_ns.min] | join(" ")')" = " a.pcap 44500" ]
    mv b.pcap c.pcap
    captures t 't + 20000'
    run --separate-stderr vnperf match a.pcap b.pcap c.pcap --order b.pcap,a.pcap,c.pcap --json -
    [[ "$(json .warning)" = *"puts b.pcap before a.pcap, but packets are seen at a.pcap first: --order a.pcap,b.pcap,c.pcap,"* ]]
    run --separate-stderr vnperf match a.pcap b.pcap c.pcap --order a.pcap,b.pcap,c.pcap --json -
    [ "$(json .warning)" = null ]
}

@test "sentences about clocks: units of people, once, and no drift that is none" {
    captures t 't + 86400 * 10**9 + 20000'
    run --separate-stderr vnperf match a.pcap b.pcap --json -
    [[ "$(json .warning)" = "the clock of point b.pcap is about 1 d ahead of that of point a.pcap: "* ]]
    run vnperf match a.pcap b.pcap --offset auto
    [[ "$output" != *"ppm"* ]]
    captures t 't + 20000 - (10 * 10**9 if i == 3000 else 0)'
    mv b.pcap back.pcap
    # The one that is early stands where it was sent.
    python3 - <<'END'
import struct
data = open("back.pcap", "rb").read()
n = 16 + struct.unpack("<I", data[32:36])[0]
records = [data[24 + i * n:24 + (i + 1) * n] for i in range(6000)]
records.insert(3000, records.pop(0))
open("b.pcap", "wb").write(data[:24] + b"".join(records))
END
    run vnperf match a.pcap b.pcap
    [[ "$(tr -s '\n ' ' ' <<<"$output")" = *"times of point b.pcap go back 1 times, by up to 10.0 s"* ]]
    [[ "$output" != *"the time goes back"* ]]
}

@test "packets of a pcapng without times: that is said" {
    captures t 't + 20000'
    python3 - <<'END'
import struct
def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))
data = open("a.pcap", "rb").read()[24:]
n = struct.unpack("<I", data[8:12])[0]
with open("a.pcapng", "wb") as f:
    f.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0)))
    for i in range(100):
        f.write(block(3, struct.pack("<I", n) + data[i * (16 + n) + 16:(i + 1) * (16 + n)]))
END
    run --separate-stderr vnperf match a.pcapng b.pcap
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"none of the packets of a.pcapng has a time"* ]]
    [[ "${stderr:-}" != *"no IP"* ]]
}

@test "a window that was given and is too short for some: losses are bounds, and it is named" {
    captures t "t + (300 * 10**6 if i % 100 == 50 else 20000)"
    run --separate-stderr vnperf match a.pcap b.pcap --window 100ms --json got.json
    [ "$(jq -c '.hops[0] | [.matched, .lost, .lost_is_bound, .only_later]' got.json)" = "[5940,60,true,60]" ]
    [[ "$(warning)" = *"a longer --window tells"* ]]
    run --separate-stderr vnperf match a.pcap b.pcap --window 1s --json got.json
    [ "$(jq -c '.hops[0] | [.matched, .lost, .lost_is_bound, .only_later]' got.json)" = "[6000,0,null,0]" ]
}

@test "far more packets before the first that came than can be put off are not counted as lost" {
    "$VNPERF_BUILD/tests/capture/generate" --scenario speed --packets 1300000 --out s >/dev/null
    # The last 50,000 of B alone.
    python3 - <<'END'
import struct
with open("s/B.pcap", "rb") as f:
    head, rest = f.read(24), f.read()
at, begins = 0, []
while at < len(rest):
    begins.append(at)
    at += 16 + struct.unpack_from("<I", rest, at + 8)[0]
with open("last.pcap", "wb") as f:
    f.write(head + rest[begins[-50000]:])
END
    run --separate-stderr vnperf match s/A.pcap last.pcap --json got.json
    [ "$(jq -c '.hops[0] | [.matched, .lost]' got.json)" = "[50000,0]" ]
    [[ "$(warning)" = *"are not among LOST"* ]]
}
