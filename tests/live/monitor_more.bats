#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Monitors that are slow, broken or hostile: a clear sentence for each, within its deadline, and the result stands.

bats_require_minimum_version 1.5.0
load ../helper

# hostile.pl MODE: a server on a free port, which it prints; each caller gets what MODE is.
hostile_pl() {
    cat <<'PERL'
use strict; use IO::Socket::IP; $| = 1; $SIG{PIPE} = 'IGNORE'; $SIG{CHLD} = 'IGNORE';
my $mode = shift;
my $s = IO::Socket::IP->new(LocalHost => $mode =~ /6$/ ? '::1' : '127.0.0.1', LocalPort => 0, Listen => 8) or exit 1;
print $s->sockport, "\n";
my $head = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<GANGLIA_XML VERSION=\"3.7\" SOURCE=\"gmond\">\n<CLUSTER NAME=\"c\">\n";
sub host { "<HOST NAME=\"h$_[0]\" IP=\"10.0.0.1\" REPORTED=\"1\" TN=\"1\" TMAX=\"20\" DMAX=\"0\"><METRIC NAME=\"cpu_idle\" VAL=\"50\" TYPE=\"float\" TN=\"1\" TMAX=\"90\"/></HOST>\n" }
sub http { print {$_[0]} "HTTP/1.1 $_[1]\r\n$_[2]\r\n\r\n$_[3]" }
while (my $c = $s->accept) {
    next if fork;
    alarm 60; # a caller that does not come back
    if ($mode =~ /^http-/) { while (my $line = <$c>) { last if $line =~ /^\r?$/ } }
    if ($mode eq 'gmond-huge') { print $c $head; my $many = join '', map { host($_) } 1 .. 1000; for (1 .. 1000) { print $c $many or last } }
    elsif ($mode =~ /^gmond-half/) { print $c $head, substr(host(1), 0, 60) }
    elsif ($mode eq 'gmond-charset') { print $c "<?xml version=\"1.0\" encoding=\"EBCDIC-9\"?>\n<GANGLIA_XML>\n</GANGLIA_XML>\n" }
    elsif ($mode eq 'gmond-laughs') { print $c "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;\">]><GANGLIA_XML>&b;</GANGLIA_XML>" }
    elsif ($mode =~ /silent/) { sleep 50 }
    elsif ($mode eq 'http-cut') { http($c, '200 OK', 'Content-Length: 5000', "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n") }
    elsif ($mode eq 'http-drip') { http($c, '200 OK', 'X: y', ''); for (1 .. 500) { print $c "# x\n" or last; select undef, undef, undef, 0.1 } }
    elsif ($mode eq 'http-404') { http($c, '404 Not Found', 'Content-Length: 0', '') }
    elsif ($mode eq 'http-redirect') { http($c, '302 Found', "Location: http://203.0.113.1/\r\nContent-Length: 0", '') }
    elsif ($mode eq 'http-other') { http($c, '200 OK', 'Content-Length: 6', '<html>') }
    elsif ($mode eq 'http-huge') { http($c, '200 OK', 'X: y', ''); print $c "# " . 'x' x 65000 . "\n" or last for 1 .. 2000 }
    exit;
}
PERL
}

# up MODE…
up() {
    local mode
    for mode; do
        perl "$TEST_DIR/hostile.pl" "$mode" >"$TEST_DIR/port-$mode" 2>/dev/null 3>&- &
        pids+=("$!")
    done
    for mode; do wait_for 20 test -s "$TEST_DIR/port-$mode"; done
}

setup() {
    skip_unless_command perl jq
    hostile_pl >"$TEST_DIR/hostile.pl"
    pids=()
}

teardown() {
    [ "${#pids[@]}" = 0 ] || kill "${pids[@]}" 2>/dev/null || true
}

# said PORT WORDS: that monitor has no number, and its note has one of those words
said() {
    local note
    note=$(jq -r --arg port ":$1" '.scenarios[0].measurements[0].cpu_nodes[] | select(.node | endswith($port)) | select(.busy_share == null).note' "$TEST_DIR/run.json")
    [[ $note =~ $2 ]] || {
        echo "port $1: '$note', wanted: $2"
        return 1
    }
}

@test "monitors that are slow, cut, too large, of another charset, or not what they should be" {
    local mode words port row try wrong
    local late="in time|came within 2 s|timed out"
    local -a rows=(
        "gmond-huge=sends more than|$late" "gmond-half=what came is cut off" "gmond-charset=unknown encoding"
        "gmond-laughs=defines entities" "gmond-silent=$late" "http-silent=$late" "https-silent=$late"
        "http-cut=bytes remaining" "http-drip=$late" "http-404=it answered HTTP 404"
        "http-redirect=names another address" "http-other=what came is cut off" "http-huge=sends more than 16 MiB"
    ) asks=() ports=()
    ! perl -MIO::Socket::IP -e 'exit !IO::Socket::IP->new(LocalHost => "::1", LocalPort => 0, Listen => 1)' || rows+=("gmond-half6=what came is cut off")
    up "${rows[@]%%=*}"
    for row in "${rows[@]}"; do
        mode=${row%%=*}
        port=$(cat "$TEST_DIR/port-$mode")
        ports+=("$port")
        case $mode in
        gmond-*6) asks+=(-m "[::1]:$port") ;;
        gmond-*) asks+=(-m "127.0.0.1:$port") ;;
        *) asks+=(-m "${mode%%-*}://127.0.0.1:$port/metrics") ;;
        esac
    done
    # On a machine under load what is large, or late, may be told by its deadline alone: then once more.
    for try in 1 2 3; do
        wrong=0
        run --separate-stderr vnperf test local local --icmp -t 0.3 --json "$TEST_DIR/run.json" "${asks[@]}"
        printf '%s\n' "try $try: $status" "$output" "${stderr:-}"
        [ "$status" -eq 0 ]
        [ "$(json '.scenarios[0].measurements[0].received > 0' "$TEST_DIR/run.json")" = true ]
        for row in "${!rows[@]}"; do
            words=${rows[$row]#*=}
            said "${ports[$row]}" "$words" || wrong=1
        done
        [ "$wrong" = 1 ] || break
    done
    [ "$wrong" = 0 ]
}
