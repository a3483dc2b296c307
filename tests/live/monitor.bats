#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# CPU of the machines: by our agents, a real gmond and a real prometheus-node-exporter in the test's box, against what this test
# itself reads from /proc/stat while one core is kept busy.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # shells in the box expand for themselves; names are of box.bash

bats_require_minimum_version 1.5.0
load ../helper
load ../netns/box

setup() {
    skip_unless_root
    skip_unless_command ip jq nsenter unshare taskset perl
    export TMPDIR=$TEST_DIR/tmp HOME=$TEST_DIR/home
    mkdir -p "$TMPDIR" "$HOME"
    state=$XDG_STATE_HOME/vnperf
    box_up
}

teardown() {
    [ -z "${box_pid:-}" ] || kill -KILL "$box_pid" 2>/dev/null || true
    [ -z "${box_job:-}" ] || wait "$box_job" 2>/dev/null || true
}

answers() {
    box perl -MIO::Socket::IP -e 'exit !IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Timeout => 2)' "$1" "$2"
}

# gmond_up ADDRESS PORT SECONDS FAMILY: sends each value so often, to itself
gmond_up() {
    local modules
    [ -x /usr/sbin/gmond ] || skip "needs gmond (tools/deps test installs it)"
    modules=$(dirname "$(find /usr/lib -name modcpu.so | head -n 1)")
    printf 'globals { daemonize = no setuid = no mute = no deaf = no host_dmax = 0 cleanup_threshold = 300
  send_metadata_interval = 1 override_hostname = "gate1" }
cluster { name = "Caf\xe9" owner = "x" latlong = "" url = "" }
udp_send_channel { host = %s port = %s }
udp_recv_channel { port = %s bind = %s family = %s }
tcp_accept_channel { port = %s bind = %s family = %s }
modules { module { name = "core_metrics" } module { name = "cpu_module" path = "%s/modcpu.so" } }
collection_group { collect_every = %s time_threshold = %s
' "$1" "$2" "$2" "$1" "$4" "$2" "$1" "$4" "$modules" "$3" "$3" >"$TEST_DIR/gmond.conf"
    for metric in num user system idle nice wio steal; do
        echo "metric { name = \"cpu_$metric\" }"
    done >>"$TEST_DIR/gmond.conf"
    echo '}' >>"$TEST_DIR/gmond.conf"
    box /usr/sbin/gmond -f -c "$TEST_DIR/gmond.conf" >"$TEST_DIR/gmond.log" 2>&1 3>&- &
    wait_for 20 gmond_tells "$1" "$2"
}

gmond_tells() {
    box perl -MIO::Socket::IP -e '
        my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Timeout => 2) or exit 1;
        my $text = join "", <$s>;
        exit !($text =~ /"cpu_num"/ && $text =~ /"cpu_user"/ && $text =~ /"cpu_system"/ && $text =~ /"cpu_idle"/)' "$1" "$2"
}

exporter_up() {
    [ -x /usr/bin/prometheus-node-exporter ] ||
        skip "needs prometheus-node-exporter (tools/deps test installs it)"
    box /usr/bin/prometheus-node-exporter --collector.disable-defaults --collector.cpu \
        --web.listen-address=127.0.0.1:9100 "$@" >"$TEST_DIR/exporter.log" 2>&1 3>&- &
    wait_for 20 answers 127.0.0.1 9100
}

test_local() {
    run --separate-stderr box "$VNPERF" test local local --json "$TEST_DIR/run.json" "$@"
    : "${stderr:=}"
    printf '%s\n' "--- $status" "$stderr" "$output" >&2
}

# of SOURCE FILTER: of the first measurement's entry of that source
of() {
    jq -r --arg source "$1" ".scenarios[0].measurements[0].cpu_nodes[] | select(.source == \$source) | $2" "$TEST_DIR/run.json"
}

# ns of user and nice of a core, as this test reads them; of all that it did
core_user_ns() {
    awk -v cpu="cpu$1" '$1 == cpu { printf "%.0f\n", ($2 + $3) * 10000000 }' /proc/stat
}

@test "a core that is kept busy is the busiest, by agent and exporter, within what /proc/stat says" {
    local before after core
    exporter_up
    core=$(taskset -pc $$ | sed 's/.*[ ,-]//')
    box taskset -c "$core" sh -c 'while :; do :; done' 3>&- &
    before=$(core_user_ns "$core")
    test_local --icmp -t 2 --monitor http://127.0.0.1:9100/metrics
    after=$(core_user_ns "$core")
    [ "$status" = 0 ]
    for source in agent node_exporter; do
        # The window lies between the two readings, so no core can have worked more in it than between them.
        of "$source" '.cores[] | "\(.cpu) \(.user_ns)"' >"$TEST_DIR/cores"
        [ "$(wc -l <"$TEST_DIR/cores")" = "$(getconf _NPROCESSORS_ONLN)" ]
        ns=$(awk -v c="$core" '$1 == c { print $2 }' "$TEST_DIR/cores")
        echo "$source: $ns of $((after - before))"
        # Others may want that core too; but it is never idle.
        [ "$ns" -gt 0 ]
        [ "$ns" -le $((after - before)) ]
        [ "$(of "$source" ".cores[] | select(.cpu == $core) | .busy_share > 0.9")" = true ]
        [ "$(of "$source" '.busiest_core.busy_share >= ([.cores[].busy_share] | max)')" = true ]
        [ "$(of "$source" '.cpus')" = "$(getconf _NPROCESSORS_ONLN)" ]
        [ "$(of "$source" '.covers_ns > 1900000000')" = true ]
        [ "$(of "$source" '([.user_share, .system_share, .irq_share, .softirq_share, .steal_share, .idle_share] | add) as $s | $s > 0.999 and $s < 1.001')" = true ]
        [ "$(of "$source" 'has("baseline_busy_share")')" = true ]
    done
    # Both ends are one machine: once.
    [ "$(jq -c '[.cpu_nodes[].source]' "$TEST_DIR/run.json")" = '["agent","node_exporter"]' ]
}

@test "bytes have a price, in the table too" {
    test_local --tcp -t 0.5 -o wide
    [ "$status" = 0 ]
    [ "$(of agent '(.cpu_s_per_gb > 0) and has("added_cpu_s_per_gb")')" = true ]
    # What the machine did over the bytes that arrived
    [ "$(jq '.scenarios[0].measurements[0] | (.cpu_nodes[0] as $n | ([$n.cores[] | .user_ns + .system_ns + .irq_ns + .softirq_ns] | add) / .receiver.bytes / $n.cpu_s_per_gb) as $q | $q > 0.8 and $q < 1.25' "$TEST_DIR/run.json")" = true ]
    [[ $output == *"CPU s/GB"* ]]
    [ "$(grep -c '^CPU of local: mean ' <<<"$output")" = 1 ]
}

@test "gmond's values are of the window, or told to be old" {
    gmond_up 127.0.0.1 8649 1 inet4
    test_local --icmp -t 4 -m 127.0.0.1
    [ "$status" = 0 ]
    [ "$(of gmond .node)" = gate1 ]
    [ "$(of gmond .cpus)" = "$(getconf _NPROCESSORS_ONLN)" ]
    [ "$(of gmond '(.samples >= 1) and (.busy_share >= 0) and (.busy_share <= 1) and (.newest_age_s <= 6)')" = true ]
    [ "$(of gmond 'has("irq_share") or has("softirq_share") or has("cores")')" = false ]
    [[ $(of gmond .note) == *"sample"*"means of about 20 s"*"irq and softirq are in its system"* ]]
    [ "$(jq -r '.cpu_nodes[] | select(.source == "gmond") | .node' "$TEST_DIR/run.json")" = gate1 ]
    [[ $stderr != *warning* ]]
}

@test "a gmond that measured before the test only is said to be old, once" {
    gmond_up 127.0.0.1 8650 1200 inet4
    # Now all that it has was measured before the window begins.
    sleep 1.1
    test_local --icmp -t 0.3 --repeat 3 -m 127.0.0.1:8650
    [ "$status" = 0 ]
    [ "$(of gmond '.busy_share')" = null ]
    [[ $(of gmond .note) == *"s old at the end of the window of 0.3 s"* ]]
    [ "$(grep -c 'CPU of gate1: gmond' <<<"$stderr")" = 1 ]
    # Before the test any age will do.
    [ "$(jq '.cpu_nodes[] | select(.source == "gmond") | .baseline_busy_share >= 0 and .baseline_age_ns >= 0' "$TEST_DIR/run.json")" = true ]
}

@test "gmond and exporter over IPv6" {
    exporter_up --web.listen-address='[::1]:9101'
    wait_for 20 answers ::1 9101
    gmond_up ::1 8649 1 inet6
    test_local --icmp -t 1 -m ::1 -m 'http://[::1]:9101/metrics'
    [ "$status" = 0 ]
    [ "$(of gmond .node)" = gate1 ]
    [ "$(of node_exporter .node)" = '[::1]:9101' ]
    [ "$(of node_exporter '.busy_share >= 0')" = true ]
}

@test "HTTPS: a certificate is verified, and password comes from .netrc and stays there" {
    skip_unless_command openssl
    openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$TEST_DIR/key" -out "$TEST_DIR/cert" 2>/dev/null
    {
        printf 'tls_server_config:\n  cert_file: %s\n  key_file: %s\n' "$TEST_DIR/cert" "$TEST_DIR/key"
        printf 'basic_auth_users:\n  me: %s\n' "$(perl -e 'print crypt("hunter2", q($2b$04$abcdefghijklmnopqrstuu))')"
    } >"$TEST_DIR/web.yml"
    exporter_up --web.config.file="$TEST_DIR/web.yml"
    test_local --icmp -t 0.3 -m https://127.0.0.1:9100/metrics
    [ "$status" = 0 ]
    [[ $(of node_exporter .note) == *certificate* ]]
    export SSL_CERT_FILE=$TEST_DIR/cert
    test_local --icmp -t 0.3 -m https://127.0.0.1:9100/metrics
    [[ $(of node_exporter .note) == *"HTTP 401"*".netrc"* ]]
    (umask 077 && echo 'machine 127.0.0.1 login me password hunter2' >"$HOME/.netrc")
    test_local --icmp -t 0.3 -m https://127.0.0.1:9100/metrics
    [ "$(of node_exporter '.busy_share >= 0')" = true ]
    run grep -rl hunter2 "$state" "$TEST_DIR/run.json"
    [ "$status" = 1 ]
    [[ "$stderr$output" != *hunter2* ]]
}

@test "a monitor that does not answer costs neither result nor exit code, and is told once" {
    test_local --icmp -t 0.3 --repeat 3 -m 127.0.0.1:1 -m http://127.0.0.1:1/metrics
    [ "$status" = 0 ]
    [ "$(grep -c 'CPU of 127.0.0.1:1' <<<"$stderr")" = 2 ]
    [ "$(jq -c '[.scenarios[0].measurements[].cpu_nodes[] | select(.source != "agent") | .busy_share]' "$TEST_DIR/run.json")" = '[null,null,null,null,null,null]' ]
    [ "$(jq -c '[.scenarios[0].measurements[].received > 0]' "$TEST_DIR/run.json")" = '[true,true,true]' ]
}

@test "a URL with a password is refused before anything is kept" {
    test_local -t 0.3 -m http://me:hunter2@127.0.0.1:9100/metrics
    [ "$status" = 2 ]
    [[ $stderr == *.netrc* && $stderr != *hunter2* ]]
    [ ! -e "$state" ]
}

@test "in the lab all agents share a machine: it is told once" {
    run --separate-stderr box "$VNPERF" run --scenarios 2.1 -t 0.5 --json "$TEST_DIR/run.json"
    printf '%s\n' "--- $status" "$stderr" "$output" >&2
    [ "$status" = 0 ]
    [ "$(jq '.cpu_nodes | length' "$TEST_DIR/run.json")" = 1 ]
    [[ $(jq -r '.cpu_nodes[0] | .node + ", " + .also' "$TEST_DIR/run.json") == *node2*vm* ]]
    [ "$(jq '.scenarios[].measurements[] | .cpu_nodes | length' "$TEST_DIR/run.json" | sort -u)" = 1 ]
    [ "$(grep -c '^CPU of ' <<<"$output")" = 1 ]
}
