# SPDX-License-Identifier: Apache-2.0
# The main job: all 23 scenarios in the lab, measured once; then what the document says, key by key, and what is left.

bats_require_minimum_version 1.5.0
load ../helper
load path

# A machine of its own as to processes, links and mounts, in which the run is, and then is not. What it leaves is listed there.
#
# boxed LEFT CMD…: CMD's exit code; the file LEFT has what there is afterwards
boxed() {
    local -a user=()

    is_root || user=(--user --map-root-user)
    mkdir -p "$1.tmp"
    touch "$1.before"
    # shellcheck disable=SC2016 # the box's shell expands
    TMPDIR=$1.tmp unshare "${user[@]}" --pid --fork --kill-child --mount --net --mount-proc bash -c '
        mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up || exit 99
        left=$1
        shift
        sort /proc/mounts >"$left.mounts"
        r=0
        "$@" || r=$?
        processes=$(ps -eo stat=,args=)
        {
            grep -vE "^Z| (bash -c|ps -eo)" <<<"$processes" | sed "s/^/process /"
            ip -o link | grep -v "^1: lo:" | sed "s/^/link /"
            ls /run/netns | sed "s/^/namespace /"
            find /run /dev/shm "$TMPDIR" -mindepth 1 ! -path /run/netns -newer "$left.before" | sed "s/^/file /"
            sort /proc/mounts | comm -13 "$left.mounts" - | sed "s/^/mount /"
        } >"$left"
        exit "$r"' boxed "$@"
}

setup_file() {
    skip_unless_netns
    boxed "$BATS_FILE_TMPDIR/left" "$VNPERF" run --quick --json - >"$BATS_FILE_TMPDIR/doc.json" 2>"$BATS_FILE_TMPDIR/talk" 3>&- || {
        echo "vnperf run ended with $?"
        cat "$BATS_FILE_TMPDIR/talk"
        return 1
    } >&2
}

setup() {
    skip_unless_netns
    skip_unless_command ip nft jq
    DOC=$BATS_FILE_TMPDIR/doc.json
}

# true FILTER: jq's answer is true; else what FILTER named WHAT is shown.
true_of() {
    [ "$(values "$1")" = true ] || {
        echo "is not true: $1"
        return 1
    }
}

# has PATH KEY:TYPE…: every object that PATH gives has these keys, of these types. An alternative: KEY:TYPE|null.
has() {
    local path=$1 bad
    shift
    bad=$(jq -c --arg keys "$*" '
        def wanted: $keys | split(" ") | map(split(":") | {key: .[0], types: (.[1] | split("|"))});
        [('"$path"') | . as $o | if type != "object" then "no object" else
            wanted[] | select(.key as $k | .types | index($o | .[$k] | type) == null or ($o | has($k) | not))
            | "\(.key) is \($o[.key] | type)" end] | unique' "$DOC")
    [ "$bad" = "[]" ] || {
        echo "$path: $bad"
        return 1
    }
    # A path that leads nowhere proves nothing.
    [ "$(jq "[$path] | length > 0" "$DOC")" = true ]
}

test_all_23_scenarios_pass() { #@test
    same "$(values '.summary | "\(.total) \(.passed) \(.failed) \(.skipped)"')" "23 23 0 0"
    same "$(values '[.scenarios[].id] | join(" ")')" \
        "1.1 1.2 1.3 2.1 2.2 2.3 3.1 3.2 3.3 4.1 4.2 4.3 5.1 5.2 5.3 6.1 6.2 6.3 7.1 7.2 7.3 8.1 8.2"
    true_of '[.scenarios[] | .status == "passed" and .reason == null] | all'
    same "$(values '.scenarios[0].name')" "Same Network, Fixed IP, Intra-node, TCP"
    same "$(values '[.scenarios[].protocol] | unique | sort | join(" ")')" "icmp tcp udp"
}

test_the_document_has_the_keys_of_the_whole() { #@test
    same "$(values .schema)" vnperf/1
    has . run:object nodes:array scenarios:array summary:object cleanup:object
    has .run id:string started:string ended:string version:string command:array description:string driver:string
    same "$(values .run.driver)" lab
    true_of '.run | [.started, .ended] | map(test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$")) | all'
    true_of '.run.started < .run.ended'
    true_of '[.run.command[] | type == "string"] | all'
    has '.nodes[]' name:string data_address:string facts:object changed:array
    has '.nodes[].facts' system:object cpu:object nic:object tcp:object net:object clock:object
    has '.nodes[].facts.nic' name:string mtu_bytes:number offloads:array qdisc:array
    has '.endpoints[]' name:string facts:object
    same "$(values '.nodes[0].facts.system.kernel')" "$(uname -r)"
    has '.scenarios[]' id:string name:string protocol:string status:string "reason:string|null" from:object to:object measurements:array
    has '.scenarios[] | .from, .to' name:string address:string
    has .summary total:number passed:number failed:number skipped:number
    same "$(values '.cleanup.left | tojson')" "[]"
}

test_tcp_measurements_have_their_keys() { #@test
    local all='.scenarios[].measurements[] | select(.kind == "tcp_stream")'

    same "$(values "[$all] | length")" 9
    has "$all" write_bytes:number flows:number window_ns:number throughput_bps:number retransmits:number rtt_ns:object \
        congestion_control:string limit:string sender:object receiver:object intervals:array mss_bytes:number pmtu_bytes:number
    has "$all | .sender, .receiver" bytes:number cpu_ns:number cpu_user_ns:number cpu_system_ns:number \
        node_softirq_ns:number node_steal_ns:number cpu_s_per_gb:number congestion_control:string
    has "$all | .intervals[]" start_ns:number length_ns:number bytes:number throughput_bps:number retransmits:number
    true_of "[$all | .congestion_control == \"cubic\" and .throughput_bps > 0] | all"
    true_of "[$all | .limit | . == \"sender\" or . == \"receiver\" or . == \"path\"] | all"
    # The headline is the receiver's bytes over its window, and the intervals are all of it.
    true_of "[$all | (.receiver.bytes * 8e9 / .window_ns / .throughput_bps - 1 | fabs) < 1e-6] | all"
    true_of "[$all | ([.receiver.intervals[].bytes] | add) == .receiver.bytes] | all"
    true_of "[$all | ([.intervals[].length_ns] | add) == .window_ns] | all"
}

test_udp_measurements_have_their_keys() { #@test
    local all='.scenarios[].measurements[] | select(.kind == "udp_stream")'

    same "$(values "[$all | .payload_bytes] | sort | group_by(.) | map(\"\(.[0]) \(length)\") | join(\", \")")" "128 7, 1024 7, 8192 7"
    has "$all" payload_bytes:number window_ns:number offered_pps:number received_pps:number throughput_bps:number loss_share:number \
        reordered:number duplicated:number jitter_ns:number search:object limit:string sender:object receiver:object intervals:array
    has "$all | .search" loss_target:number probes:array duration_ns:number confirmed:boolean
    has "$all | .search.probes[]" rate_bps:number offered_bps:number received_bps:number loss_share:number verdict:string
    true_of "[$all | .loss_share >= 0 and .loss_share <= 1 and .loss_low_share <= .loss_share and .loss_share <= .loss_high_share] | all"
    true_of "[$all | .lost == .sent - .received and .lost == .lost_in_socket + .lost_on_path] | all"
    true_of "[$all | (.receiver.bytes * 8e9 / .window_ns / .throughput_bps - 1 | fabs) < 1e-6] | all"
}

test_icmp_measurements_have_their_keys() { #@test
    local all='.scenarios[].measurements[] | select(.kind == "icmp_echo")'

    same "$(values "[$all] | length")" 7
    has "$all" payload_bytes:number sent:number received:number rtt_ns:object loss_share:number
    true_of "[$all | .rtt_ns.count == .received and .received > 0 and .received <= .sent] | all"
}

test_request_response_measurements_have_their_keys() { #@test
    local all='.scenarios[].measurements[] | select(.kind == "rr")'

    has "$all" transport:string payload_bytes:number transactions:number transactions_per_s:number rtt_ns:object
    true_of "[$all | .rtt_ns.count == .transactions and .transactions > 0] | all"
    same "$(values "[$all.transport] | unique | sort | join(\" \")")" "tcp udp"
}

test_every_histogram_has_its_percentiles_in_order() { #@test
    local all='.scenarios[].measurements[] | select(.kind == "icmp_echo" or .kind == "rr").rtt_ns'

    has "$all" min:number mean:number stddev:number p50:number p90:number p99:number p999:number p9999:number max:number count:number
    true_of "[$all | .min <= .p50 * 1.01 and .p50 <= .p90 and .p90 <= .p99 and .p99 <= .p999 and .p999 <= .p9999 and .p9999 <= .max * 1.01] | all"
    true_of "[$all | .min <= .mean and .mean <= .max] | all"
}

test_no_number_is_nan_infinite_or_negative_without_reason() { #@test
    run ! grep -oiE '[[:[,][[:space:]]*-?(nan|inf)[a-z]*' "$DOC"
    # Clocks differ, so these may fall as well as grow; a machine may be busier before a test; a priority has a sign.
    same "$(values '[paths(type == "number" and . < 0) | last] | unique - ["delay_slope", "delay_growth_ns", "added_cpu_s_per_gb", "agent_nice"] | tojson')" "[]"
    true_of '[.. | numbers | isinfinite or isnan | not] | all'
}

test_the_saved_file_is_the_printed_one() { #@test
    local saved

    saved=$XDG_STATE_HOME/vnperf/runs
    saved=${saved/$TEST_DIR/$BATS_FILE_TMPDIR}
    same "$(ls "$saved")" "$(values .run.id).json"
    cmp "$saved/$(values .run.id).json" "$DOC"
    # And nothing but results is in the state folder.
    same "$(find "$BATS_FILE_TMPDIR/state" -type f)" "$saved/$(values .run.id).json"
    same "$(find "$BATS_FILE_TMPDIR/config" -type f 2>/dev/null)" ""
}

test_nothing_is_left_of_the_run() { #@test
    # It would be seen: one of each.
    # shellcheck disable=SC2016 # the box's shell expands
    boxed "$BATS_TEST_TMPDIR/left" bash -c '
        sleep 60 & ip link add left0 type veth peer name left1; ip netns add left; touch "$TMPDIR/left"'
    same "$(sed 's/ .*//' "$BATS_TEST_TMPDIR/left" | sort -u | xargs)" "file link mount namespace process"
    same "$(cat "$BATS_FILE_TMPDIR/left")" ""
}

test_an_ordinary_user_runs_the_lab() { #@test
    skip_unless_userns
    DOC=$BATS_TEST_TMPDIR/user.json
    as_user vnperf run --quick --quiet --scenarios 1.1,5.2,8.2 --json - >"$DOC"
    same "$(values '[.scenarios[] | select(.status == "passed").id] | join(" ")')" "1.1 5.2 8.2"
    same "$(values '.summary.failed')" 0
    same "$(values '.cleanup.left | tojson')" "[]"
}

test_two_runs_at_once_do_not_meet() { #@test
    local first second r=0

    "$VNPERF" run --quick --quiet --scenarios 1.1,7.2 --json "$BATS_TEST_TMPDIR/1.json" >/dev/null 2>"$BATS_TEST_TMPDIR/1.err" 3>&- &
    first=$!
    "$VNPERF" run --quick --quiet --scenarios 1.1,7.2 --json "$BATS_TEST_TMPDIR/2.json" >/dev/null 2>"$BATS_TEST_TMPDIR/2.err" 3>&- &
    second=$!
    wait "$first" || r=$?
    wait "$second" || r=$?
    cat "$BATS_TEST_TMPDIR"/[12].err
    same "$r" 0
    for DOC in "$BATS_TEST_TMPDIR/1.json" "$BATS_TEST_TMPDIR/2.json"; do
        same "$(values '[.scenarios[] | select(.status == "passed").id] | join(" ")')" "1.1 7.2"
        same "$(values '.cleanup.left | tojson')" "[]"
    done
    [ "$(jq -r .run.id "$BATS_TEST_TMPDIR/1.json")" != "$(jq -r .run.id "$BATS_TEST_TMPDIR/2.json")" ]
    same "$(find "$XDG_STATE_HOME/vnperf/runs" -name '*.json' | wc -l)" 2
    [ -z "$(ls "$XDG_STATE_HOME/vnperf/ledger" 2>/dev/null)" ]
}
