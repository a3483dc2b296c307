#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf match against captures whose truth is known, because we made them (tests/capture); and against broken ones.

bats_require_minimum_version 1.5.0
load ../helper

GENERATE=$VNPERF_BUILD/tests/capture/generate
CHECK=$VNPERF_SOURCE/tests/capture/check.jq

setup_file() {
    local dir=$BATS_FILE_TMPDIR
    "$GENERATE" --scenario two_way --seed 7 --packets 3000 --out "$dir/two"
    "$GENERATE" --scenario loss --seed 7 --packets 3000 --out "$dir/one"
    "$GENERATE" --scenario three_points --seed 7 --packets 3000 --out "$dir/three"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    ONE=$BATS_FILE_TMPDIR/one TWO=$BATS_FILE_TMPDIR/two THREE=$BATS_FILE_TMPDIR/three
}

# compare TRUTH RESULT [COUNTS_ONLY]: says what differs, and fails then.
compare() {
    local wrong
    wrong=$(jq -n -r --slurpfile truth "$1" --slurpfile got "$2" --argjson counts_only "${3:-false}" -f "$CHECK" 2>&1)
    [ -z "$wrong" ] || {
        printf '%s: %s\n' "$1" "$wrong"
        return 1
    }
}

# check_truth SCENARIO…: with two seeds each, the second one shorter.
check_truth() {
    local name seed
    for name; do
        for seed in 1 2; do
            if [ "$seed" = 1 ]; then
                "$GENERATE" --scenario "$name" --seed 1 --out "$name-$seed"
            else
                "$GENERATE" --scenario "$name" --seed 2 --packets 6000 --out "$name-$seed"
            fi
            vnperf match "$name-$seed"/?.pcap* --json "$name.json" >/dev/null
            compare "$name-$seed/truth.json" "$name.json"
            rm -rf "$name-$seed"
        done
    done
}

# Of the first hop in FILE.
first_hop() {
    jq -r ".hops[0].$1" "$2"
}

# poke FILE OFFSET HEX…: bytes written over others.
poke() {
    local file=$1 offset=$2 bytes
    shift 2
    bytes=$(printf '\\x%s' "$@")
    # shellcheck disable=SC2059 # the format is the data
    printf "$bytes" | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
}

# ---- the generator ----

@test "generate: the same seed gives the same bytes, another one others" {
    "$GENERATE" --scenario mix --seed 5 --packets 2000 --out a
    "$GENERATE" --scenario mix --seed 5 --packets 2000 --out b
    "$GENERATE" --scenario mix --seed 6 --packets 2000 --out c
    cmp a/A.pcap b/A.pcap
    cmp a/B.pcap b/B.pcap
    cmp a/truth.json b/truth.json
    run -1 cmp -s a/A.pcap c/A.pcap
}

@test "generate: tcpdump reads every kind of file, and finds every checksum right where it is filled in" {
    skip_unless_command tcpdump
    local name file bad
    for name in nat vlan vxlan vxlan_ports geneve gre ipip links ipv6 gro tso partial udp_gro icmp sctp fragments snap \
        micro_big big pcapng mix; do
        "$GENERATE" --scenario "$name" --seed 3 --packets 300 --out "$name"
        for file in "$name"/?.pcap*; do
            tcpdump -nnvvr "$file" >words.txt 2>talk.txt || {
                cat talk.txt
                return 1
            }
            case $name:${file##*/} in
            # Left to the card; zero over IPv6, which RFC 6935 allows; not IP.
            tso:A.pcap | mix:A.pcap | partial:A.pcap | vxlan_ports:C.pcap | links:*) continue ;;
            # Bytes that tcpdump takes for another protocol.
            geneve:B.pcap) continue ;;
            esac
            bad=$(grep -cE 'incorrect|bad (udp )?cksum|wrong' words.txt) || true
            [ "$bad" = 0 ] || {
                echo "$file: $bad wrong checksums"
                return 1
            }
        done
        rm -rf "$name"
    done
}

@test "generate: its truth is what tcpdump and awk count, where that is simple" {
    skip_unless_command tcpdump
    "$GENERATE" --scenario resent --seed 4 --out resent
    # Port, number and ID tell every packet of this one from all others.
    for point in A B; do
        tcpdump -nnttvSr "resent/$point.pcap" --nano 2>/dev/null | paste - - |
            sed -E 's/^([0-9.]+) .* id ([0-9]+), .* ([0-9.]+) > .* seq ([0-9]+).*/\3-\4-\2 \1/' >"$point.txt"
    done
    run awk '
        function ns(t) { split(t, part, "."); return (part[1] - 1700000000) * 1e9 + part[2] }
        NR == FNR { at[$1] = ns($2); if (NR == 1 || at[$1] < first) first = at[$1]; next }
        $1 in at { d = ns($2) - at[$1]; sum += d; n++; if (n == 1 || d < min) min = d; if (d > max) max = d; delete at[$1] }
        END { for (k in at) lost++; printf "%d %d %d %d %.3f\n", n, lost, min, max, sum / n }' A.txt B.txt
    [ "$output" = "$(jq -r '.hops[0] | "\(.matched) \(.lost) \(.delay_ns.min) \(.delay_ns.max) \(.delay_ns.mean)"' resent/truth.json |
        awk '{ printf "%d %d %d %d %.3f\n", $1, $2, $3, $4, $5 }')" ]
}

@test "the comparison sees a packet too few, a nanosecond too many, a percentile too far off" {
    compare "$ONE/truth.json" <(jq '.schema = "vnperf/1"' "$ONE/truth.json")
    local change
    for change in '.hops[0].matched -= 1' '.hops[0].lost += 1' '.hops[0].delay_ns.min += 1' '.hops[0].delay_ns.max -= 1' \
        '.hops[0].delay_ns.mean += 0.6' '.hops[0].delay_ns.p99 *= 1.01' '.hops[0].delay_ns.p50 = null' '.points[1].seen += 1' \
        '.hops[0].from = "B.pcap"' 'del(.hops[0])' '.hops[0].duplicated = 1' '.hops[0].reordered = 1'; do
        jq ".schema = \"vnperf/1\" | $change" "$ONE/truth.json" >changed.json
        run -1 compare "$ONE/truth.json" changed.json
    done
}

@test "generate: what it does not know it says" {
    run -2 "$GENERATE" --scenario nothing --out a
    run -2 "$GENERATE" --scenario clean --points 9 --out a
    run -2 "$GENERATE" --scenario clean
}

# ---- the truth ----

@test "truth: nothing happens, losses, duplicates, reordering" {
    check_truth clean loss duplicates reordering three_points
}

@test "truth: losses at the edges count only between packets that came through" {
    check_truth edge_losses
}

@test "truth: retransmits are told apart by IP ID" {
    check_truth resent_needlessly resent
}

@test "truth: retransmits without ID are told apart by time stamps, or by time" {
    check_truth resent_no_id resent_ipv6 resent_bare resent_bare_late
}

@test "truth: retransmits that are longer, acknowledgements that are equal" {
    check_truth resent_longer duplicate_acks
}

@test "truth: NAT, of two points and between the last two of three" {
    check_truth nat nat_between
}

@test "truth: VLAN and QinQ" {
    check_truth vlan
}

@test "truth: VXLAN, on either port, in a VLAN, over IPv6" {
    check_truth vxlan vxlan_ports
}

@test "truth: Geneve, GRE, NVGRE, IP in IP" {
    check_truth geneve gre ipip
}

@test "truth: Linux cooked captures and raw IP" {
    check_truth links
}

@test "truth: IPv6 with extension headers" {
    check_truth ipv6
}

@test "truth: sequence numbers that wrap" {
    check_truth wrap gro_wrap
}

@test "truth: receive offload merged segments" {
    check_truth gro gro_troubled
}

@test "truth: merged in the middle of the path, and so or cut behind it" {
    check_truth gro_kept gro_cut
}

@test "truth: segmentation offload cut packets" {
    check_truth tso tso_loss tso_troubled
}

@test "truth: cut on the way and merged again" {
    check_truth tso_gro everything
}

@test "truth: checksums that are not filled in yet" {
    check_truth partial
}

@test "truth: UDP with distinct payload, of any length" {
    check_truth udp udp_short
}

@test "truth: UDP with equal payload is told apart by ID" {
    check_truth udp_same_id
}

@test "truth: what nothing tells apart is ambiguous, and only that" {
    check_truth udp_same udp_same_loss udp_same_some udp_sparse
}

@test "truth: UDP merged by receive offload, or cut" {
    check_truth udp_gro udp_gro_id udp_gso
}

@test "truth: ICMP echo and SCTP" {
    check_truth icmp sctp
}

@test "truth: traffic both ways" {
    check_truth two_way two_way_data
}

@test "truth: fragments are counted, their datagrams matched" {
    check_truth fragments
}

@test "truth: captures that began and ended at other times" {
    check_truth windows windows_later
}

@test "truth: 96 bytes of each frame, at both points or at one" {
    check_truth snap snap_one
}

@test "truth: microseconds and nanoseconds, either byte order, pcapng" {
    check_truth micro micro_big big pcapng
}

@test "truth: frames between that are no IP, or broken" {
    check_truth foreign
}

@test "truth: a capture that missed frames" {
    check_truth gaps
}

@test "truth: delays below zero where a clock is behind, and --order says where packets come from" {
    local seed
    for seed in 1 2; do
        "$GENERATE" --scenario clocks_near --seed "$seed" --out near
        vnperf match near/A.pcap near/B.pcap --order 1,2 --json got.json >/dev/null
        compare near/truth.json got.json
        [ "$(first_hop delay_ns.min got.json)" -lt 0 ]
    done
}

@test "truth: all protocols and troubles together" {
    check_truth mix cloud
}

@test "--offset auto: clocks apart and drifting, the estimate lies within its bound" {
    local name seed
    for name in clocks clocks_day; do
        for seed in 1 2; do
            "$GENERATE" --scenario "$name" --seed "$seed" --out "$name-$seed"
            vnperf match "$name-$seed"/?.pcap --offset auto --json got.json >/dev/null
            compare "$name-$seed/truth.json" got.json true
            # Of the clock at the point's first packet: what the skew has added until then is less than a microsecond.
            jq -e -n --slurpfile truth "$name-$seed/truth.json" --slurpfile got got.json '
                $truth[0].points[1] as $want | $got[0].points[1]
                | .offset_bound_ns != null and .offset_packets > 100
                    and ((.offset_ns - $want.offset_ns) | fabs) <= .offset_bound_ns + 1000
                    and .offset_bound_ns < 20000
                    and ((.skew_share - $want.skew) | fabs) < 2e-6'
            # The least delay each way is of the path, not of the clocks.
            jq -e '[.hops[].delay_ns.min] | all(. > 0 and . < 20000)' got.json
        done
    done
}

@test "--offset TIME takes a known error off" {
    "$GENERATE" --scenario clocks_near --out near
    vnperf match near/A.pcap near/B.pcap --offset -9us --json got.json >/dev/null
    jq -e -n --slurpfile truth near/truth.json --slurpfile got got.json '
        $truth[0].hops[0] as $want | $got[0].hops[0]
        | .matched == $want.matched and .lost == $want.lost
            and .delay_ns.min == $want.delay_ns.min + 9000 and .delay_ns.max == $want.delay_ns.max + 9000
            and ((.delay_ns.mean - $want.delay_ns.mean - 9000) | fabs) < 0.5'
}

@test "clocks a day apart and no --offset: packets are found, delays are a day, and what to try is said" {
    "$GENERATE" --scenario clocks_day --packets 2000 --out day
    vnperf match day/A.pcap day/B.pcap --json got.json >table
    compare day/truth.json got.json
    [ "$(first_hop delay_ns.min got.json)" -gt 86399000000000 ]
    grep -q "the clock of point B.pcap" table
    grep -q -e "--offset auto" table
}

# ---- the same by other ways ----

@test "files in another order than packets pass them: the order is found out" {
    vnperf match "$THREE"/C.pcap "$THREE"/A.pcap "$THREE"/B.pcap --json got.json >/dev/null
    jq '.points |= sort_by(.name)' got.json >sorted.json
    compare "$THREE/truth.json" sorted.json
    vnperf match "$ONE"/B.pcap "$ONE"/A.pcap --json got.json >/dev/null
    jq '.points |= sort_by(.name)' got.json >sorted.json
    compare "$ONE/truth.json" sorted.json
}

@test "--order says it" {
    vnperf match "$THREE"/C.pcap "$THREE"/A.pcap "$THREE"/B.pcap --order 2,3,1 --json got.json >/dev/null
    jq '.points |= sort_by(.name)' got.json >sorted.json
    compare "$THREE/truth.json" sorted.json
}

@test "gzip, zstd and standard input give what the plain file gives" {
    skip_unless_command gzip zstd
    gzip -c "$TWO/A.pcap" >A.pcap.gz
    zstd -q -c "$TWO/B.pcap" >B.pcap.zst
    vnperf match A.pcap.gz B.pcap.zst --json got.json >/dev/null
    sed -i 's/\.gz"/"/; s/\.zst"/"/' got.json
    compare "$TWO/truth.json" got.json

    vnperf match - "$TWO/B.pcap" --json got.json <"$TWO/A.pcap" >/dev/null
    jq '(.points[].name, .hops[].from, .hops[].to) |= if test("pcap$") then . else "A.pcap" end' got.json >named.json
    compare "$TWO/truth.json" named.json
    # A pipe, which has no end that can be asked for, and packed.
    gzip -c "$TWO/A.pcap" | vnperf match - "$TWO/B.pcap" --json got.json >/dev/null
    jq '(.points[].name, .hops[].from, .hops[].to) |= if test("pcap$") then . else "A.pcap" end' got.json >named.json
    compare "$TWO/truth.json" named.json
}

@test "several gzip members and zstd frames in one file are one capture" {
    skip_unless_command gzip zstd
    head -c 100000 "$TWO/A.pcap" | gzip >A.pcap.gz
    tail -c +100001 "$TWO/A.pcap" | gzip >>A.pcap.gz
    head -c 7777 "$TWO/B.pcap" | zstd -q >B.pcap.zst
    tail -c +7778 "$TWO/B.pcap" | zstd -q >>B.pcap.zst
    vnperf match A.pcap.gz B.pcap.zst --json got.json >/dev/null
    sed -i 's/\.gz"/"/; s/\.zst"/"/' got.json
    compare "$TWO/truth.json" got.json
}

@test "--per-flow and --interval sum up to the hop" {
    vnperf match "$TWO"/A.pcap "$TWO"/B.pcap --per-flow --interval 10ms --json got.json >/dev/null
    compare "$TWO/truth.json" got.json
    jq -e '.hops | all((.flows | length) == 8
        and ([.flows[].matched] | add) == .matched
        and ([.flows[].lost] | add) == .lost
        and ([.flows[].duplicated] | add) == .duplicated
        and ([.flows[].reordered] | add) <= .reordered
        and ([.flows[].delay_ns.min] | min) == .delay_ns.min
        and ([.flows[].delay_ns.max] | max) == .delay_ns.max)' got.json
    jq -e '.hops | all((.series | length) > 3
        and ([.series[].matched] | add) == .matched
        and ([.series[].lost] | add) == .lost
        and ([.series[].min_ns | values] | min) == .delay_ns.min
        and ([.series[].max_ns | values] | max) == .delay_ns.max)' got.json
}

@test "--packets has a line for each packet, and their delays are the hop's" {
    vnperf match "$ONE"/A.pcap "$ONE"/B.pcap --packets way.csv --json got.json >/dev/null
    tr -d '\r' <way.csv >way.txt
    run awk -F, 'NR > 1 && $11 != "" { n++; sum += $11; if (n == 1 || $11 < min) min = $11; if ($11 > max) max = $11 }
        END { printf "%d %d %d %.2f\n", n, min, max, sum / n }' way.txt
    [ "$output" = "$(jq -r '.hops[0] | "\(.matched) \(.delay_ns.min) \(.delay_ns.max) \(.delay_ns.mean)"' "$ONE/truth.json" |
        awk '{ printf "%d %d %d %.2f\n", $1, $2, $3, $4 }')" ]
    # Seen at the first point alone: lost, or at the very end.
    [ "$(awk -F, 'NR > 1 && $10 == "10"' way.txt | wc -l)" -eq "$(jq '.points[0].unmatched' "$ONE/truth.json")" ]
}

# ---- bad days ----

@test "a file that ends in the middle of a record: what was read until then, and 1" {
    local size
    size=$(stat -c %s "$ONE/A.pcap")
    head -c $((size * 6 / 10 + 7)) "$ONE/A.pcap" >A.pcap
    run --separate-stderr vnperf match A.pcap "$ONE/B.pcap" --json got.json
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"A.pcap"* ]]
    [[ "${stderr:-}" = *"read until then"* ]]
    [ "$(first_hop matched got.json)" -gt 1000 ]
    [ "$(first_hop matched got.json)" -lt 2500 ]
    # The other file is not compared beyond that time.
    [ "$(first_hop only_later got.json)" -lt 20 ]
}

@test "a record that claims 4 GiB: what was read until then, no such memory, and 1" {
    cp "$ONE/B.pcap" B.pcap
    # Records are 16 and 130 bytes, the first 8 (SYN) 16 and 74.
    poke B.pcap $((24 + 8 * 90 + 1000 * 146 + 8)) ff ff ff ff ff ff ff ff
    # shellcheck disable=SC2016 # for the inner shell
    run --separate-stderr bash -c '[ "${VNPERF_SANITIZER:-none}" != none ] || ulimit -v 500000
        exec "$VNPERF" match "$1/A.pcap" B.pcap --json got.json' bash "$ONE"
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"B.pcap"* ]]
    [ "$(first_hop matched got.json)" -gt 900 ]
    [ "$(first_hop matched got.json)" -lt 1100 ]
}

@test "rubbish in the middle: what was read until then, and 1" {
    cp "$ONE/A.pcap" A.pcap
    head -c 4096 /dev/zero | tr '\0' '\252' |
        dd of=A.pcap bs=1 seek=$((24 + 8 * 90 + 1500 * 146 + 3)) conv=notrunc status=none
    run --separate-stderr vnperf match A.pcap "$ONE/B.pcap" --json got.json
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"A.pcap"* ]]
    [ "$(first_hop matched got.json)" -gt 1300 ]
}

@test "pcapng that ends early, or whose blocks lie about their length: what was read until then, and 1" {
    local size bytes
    "$GENERATE" --scenario pcapng --packets 2000 --out ng
    size=$(stat -c %s ng/A.pcapng)
    head -c $((size / 2 + 1)) ng/A.pcapng >A.pcapng
    run --separate-stderr vnperf match A.pcapng ng/B.pcapng --json got.json
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"A.pcapng"* ]]
    [ "$(first_hop matched got.json)" -gt 500 ]
    # Section 28 and interface 40 bytes long, then SYN (32 and 74 and 2): the length of the third block.
    for bytes in "00 00 00 00" "0b 00 00 00" "6d 00 00 00" "ff ff ff ff" "fc ff ff 7f"; do
        cp ng/A.pcapng A.pcapng
        # shellcheck disable=SC2086 # bytes are words
        poke A.pcapng $((28 + 40 + 2 * 108 + 4)) $bytes
        # shellcheck disable=SC2016 # for the inner shell
        run --separate-stderr bash -c '[ "${VNPERF_SANITIZER:-none}" != none ] || ulimit -v 500000
            exec "$VNPERF" match A.pcapng ng/B.pcapng --json got.json'
        [ "$status" -eq 1 ]
        [[ "${stderr:-}" = *"A.pcapng"* ]]
        [ "$(jq '.points[0].seen' got.json)" = 2 ]
    done
}

@test "a packed file that was cut: what was unpacked until then, and 1" {
    skip_unless_command gzip zstd
    local size
    gzip -c "$ONE/A.pcap" >all.gz
    size=$(stat -c %s all.gz)
    head -c $((size / 2)) all.gz >A.pcap.gz
    run --separate-stderr vnperf match A.pcap.gz "$ONE/B.pcap" --json got.json
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"A.pcap.gz"* ]]
    [ "$(first_hop matched got.json)" -gt 300 ]

    # Frames of their own, as zstd may not give what is in half a frame.
    head -c 200000 "$ONE/A.pcap" | zstd -q >A.pcap.zst
    tail -c +200001 "$ONE/A.pcap" | zstd -q | head -c 5000 >>A.pcap.zst
    run --separate-stderr vnperf match A.pcap.zst "$ONE/B.pcap" --json got.json
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"A.pcap.zst"* ]]
    [ "$(first_hop matched got.json)" -gt 1000 ]
}

@test "a time that goes back is counted and named, and the other packets are matched" {
    cp "$ONE/B.pcap" B.pcap
    # A second earlier, of the thousandth record of data: little endian seconds.
    poke B.pcap $((24 + 8 * 90 + 1000 * 146)) ff f0 53 65
    vnperf match "$ONE/A.pcap" B.pcap --json got.json >table
    [ "$(jq '.points[1].backward' got.json)" -ge 1 ]
    [ "$(jq '.points[1].backward' got.json)" -le 2 ]
    [ "$(first_hop matched got.json)" -ge $(($(jq '.hops[0].matched' "$ONE/truth.json") - 1)) ]
    grep -qi "back" table
}

@test "zero packets: 1, and which file has none" {
    head -c 24 "$ONE/A.pcap" >A.pcap
    run --separate-stderr vnperf match A.pcap "$ONE/B.pcap" --json got.json
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"A.pcap has no packet"* ]]
    [ "$(jq '.points[0].seen' got.json)" = 0 ]
    [ "$(jq '.points[1].seen' got.json)" = "$(jq '.points[1].seen' "$ONE/truth.json")" ]
}

@test "an empty file is no capture: 3" {
    : >A.pcap
    run --separate-stderr vnperf match A.pcap "$ONE/B.pcap"
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"A.pcap"* ]]
}

@test "one file given twice: said, and all delays are 0" {
    run --separate-stderr vnperf match "$ONE/A.pcap" "$ONE/A.pcap" --json got.json
    [ "$status" -eq 0 ]
    # Notes are wrapped.
    [[ "$(tr -s ' \n' ' ' <<<"$output ${stderr:-}")" = *"the same file"* ]]
    [ "$(first_hop delay_ns.max got.json)" = 0 ]
    [ "$(first_hop matched got.json)" = "$(jq '.points[0].seen' "$ONE/truth.json")" ]
}

@test "captures of other traffic: 1, and nothing invented" {
    "$GENERATE" --scenario udp --seed 9 --packets 1000 --out other
    run --separate-stderr vnperf match "$ONE/A.pcap" other/B.pcap --json got.json
    [ "$status" -eq 1 ]
    [[ "${stderr:-}" = *"nothing was matched"* ]]
    [ "$(jq '[.hops[].matched] | add // 0' got.json)" = 0 ]
}

@test "no such file, a folder, no right, no capture: 3 and a sentence each" {
    run --separate-stderr vnperf match nothing.pcap "$ONE/B.pcap"
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"nothing.pcap"*"No such file"* ]]
    mkdir folder
    run --separate-stderr vnperf match folder "$ONE/B.pcap"
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"folder"* ]]
    echo "2013-05-21 20:53:56.421831 IP 192.168.1.2.2911 > 192.168.1.1.0: S 36550021" >log.txt
    run --separate-stderr vnperf match log.txt "$ONE/B.pcap"
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"log.txt"* ]]
    [[ "${stderr:-}" = *"capture"* ]]
    cp "$ONE/A.pcap" "$BATS_TEST_TMPDIR/closed.pcap"
    chmod 0 "$BATS_TEST_TMPDIR/closed.pcap"
    run --separate-stderr as_user "$VNPERF" match "$BATS_TEST_TMPDIR/closed.pcap" "$ONE/B.pcap"
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"closed.pcap"*"Permission denied"* ]]
}

@test "a full disk: 3 and a sentence, and what was measured is still shown" {
    run --separate-stderr vnperf match "$ONE/A.pcap" "$ONE/B.pcap" --packets /dev/full
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"/dev/full"*"No space left"* ]]
    [[ "$output" = *"A.pcap"* ]]
    run --separate-stderr vnperf match "$ONE/A.pcap" "$ONE/B.pcap" --json /dev/full
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"No space left"* ]]
    # shellcheck disable=SC2016 # for the inner shell
    run --separate-stderr bash -c '"$VNPERF" match "$1/A.pcap" "$1/B.pcap" --json - >/dev/full' bash "$ONE"
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"No space left"* ]]
}
