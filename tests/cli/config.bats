#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Files of settings, VNPERF_ variables and openrc files, and vnperf config, which shows them.

bats_require_minimum_version 1.5.0
load ../helper
load settings

setting() {
    vnperf config --origin "$@" | sed -n "s/^$key: //p"
}

@test "flags beat the environment, that -c, that the user's file, that the defaults" {
    local key=flows
    mkdir -p "$XDG_CONFIG_HOME/vnperf"
    [ "$(setting)" = "1  # default" ]
    echo 'flows: 2' >"$XDG_CONFIG_HOME/vnperf/config.yaml"
    [ "$(setting)" = "2  # $XDG_CONFIG_HOME/vnperf/config.yaml:1:8" ]
    echo 'flows: 3' >c.yaml
    [ "$(setting -c c.yaml)" = "3  # c.yaml:1:8" ]
    [ "$(VNPERF_CONFIG=c.yaml setting)" = "3  # c.yaml:1:8" ]
    [ "$(VNPERF_FLOWS=4 setting -c c.yaml)" = "4  # VNPERF_FLOWS" ]
    [ "$(VNPERF_FLOWS=4 setting -c c.yaml --flows 5)" = "5  # flag" ]
    # and it is what a run does
    vnperf plan -c c.yaml --scenarios 1.1 | grep -q 'tcp_stream .* 3 flows'
    VNPERF_FLOWS=4 vnperf plan -c c.yaml --scenarios 1.1 | grep -q 'tcp_stream .* 4 flows'
    echo 'flows: ~' >c.yaml
    [ "$(setting -c c.yaml)" = "1  # default" ]
}

@test "a stronger one of two that do not go together is heard alone" {
    printf 'time: 3\n' >c.yaml
    vnperf plan -c c.yaml --quick --scenarios 1.3 | grep -q 'icmp_echo .* 1.00 s$'
    printf 'quick: true\n' >c.yaml
    vnperf plan -c c.yaml -t 3 --scenarios 1.3 | grep -q 'icmp_echo .* 3.00 s$'
    refused "--quick sets the time to 1 s" 'quick: true\ntime: 3\n'
}

@test "mistakes are told with file, line, column and the nearest word" {
    refused "f.yaml:2:1: there is no key 'tiem': did you mean time?" 'flows: 1\ntiem: 3\n'
    refused "f.yaml:1:1: there is no key 'icmp_pkt_size': did you mean icmp_pkt_sizes?" 'icmp_pkt_size: 3\n'
    refused "f.yaml:1:1: there is no key 'qqqqqqq'" 'qqqqqqq: 3\n'
    refused "f.yaml:1:7: time: time '10x': 'x' is not a unit" 'time: 10x\n'
    refused "f.yaml:1:7: time: a test lasts 0.1 s" 'time: 0.01\n'
    refused "f.yaml:1:8: flows: number '0' is not between 1" 'flows: 0\n'
    refused "f.yaml:1:8: quick: '3' is neither true nor false" 'quick: 3\n'
    refused "f.yaml:1:7: time: takes a value, not a mapping" 'time: {a: 1}\n'
    refused "f.yaml:1:8: flows: takes one value, not a list" 'flows: [1, 2]\n'
    refused "f.yaml:2:1: 'time' stands twice: first in line 1" 'time: 1\ntime: 2\n'
    refused "f.yaml:2:1: tcpbuf: it stands in line 1 already" 'tcp_pkt_sizes: [1]\ntcpbuf: 2\n'
    refused "f.yaml:1:1: config: a file of settings names no other" 'config: x\n'
    VNPERF_TIME=x told 2 "plan: VNPERF_TIME: time 'x'" vnperf plan
}

@test "YAML that is none, or more than is taken" {
    refused "f.yaml:2:1: a tab stands where YAML wants blanks" 'time:\n\tx: 1\n'
    refused "f.yaml:1:4: an anchor (&x) is not taken" 'a: &x 1\n'
    refused "f.yaml:1:7: an alias (*x) is not taken" 'time: *x\n'
    refused "f.yaml:1:7: a tag (" 'time: !!int 3\n'
    refused "f.yaml:2:1: a second document" 'time: 1\n---\ntime: 2\n'
    refused "f.yaml:1:11: more than 8 levels deep" 'a: [[[[[[[[[[[[[[\n'
    refused "f.yaml:1:1: a file of settings has lines like" 'just words\n'
    refused "f.yaml:1:2: this is no text in UTF-8" 'x\0377: 1\n'
    refused "f.yaml:1:1: this is no text in UTF-8" '\0377\0376t\0000\n'
    refused "f.yaml:" 'time: "1\n'
    refused "f.yaml:1:7: a value of more than 4096 bytes" "time: $(printf '%5000d' 0 | tr ' ' 0)\n"
    head -c 300000 /dev/zero | tr '\0' '#' >f.yaml
    told 2 "f.yaml: more than 256 KiB" vnperf plan -c f.yaml
}

@test "files that cannot be read" {
    told 2 "nowhere.yaml: No such file" vnperf plan -c nowhere.yaml
    told 2 ".: Is a directory" vnperf plan -c .
    vnperf plan -c /dev/null >/dev/null
    # of a pipe too
    vnperf plan -c <(echo 'flows: 7') --scenarios 1.1 | grep -q '7 flows'
    mkdir -p "$XDG_CONFIG_HOME/vnperf/config.yaml"
    told 2 "config.yaml: Is a directory" vnperf plan
}

@test "a file of VMTP's is understood; what is its cloud's is said and not hidden" {
    local file=$VNPERF_SOURCE/tests/fuzz/corpus/config/vmtp key
    told 0 "" vnperf config --origin -c "$file"
    grep -q "^repeat: 3  # $file:36:20$" <<<"$output"
    grep -q '^tcpbuf: 65536  # ' <<<"$output"
    grep -q '^icmp_sizes: 64,391,1500  # ' <<<"$output"
    grep -q '^loss: 5%  # ' <<<"$output"
    grep -q '^bandwidth: ~  # default$' <<<"$output"
    grep -q '^# image_name (.*:2:13): for the openstack driver, which this version has not$' <<<"$output"
    grep -q '^# vmtp_db (.*): for a store of results that this version has not$' <<<"$output"
    grep -q '^# ping_count (.*): does nothing, as in VMTP$' <<<"$output"
    told 0 " more are for the openstack driver, which this version has not" vnperf plan -c "$file" --scenarios 7.1
    [[ "${stderr:-}" = *"image_name and "*" more are for the openstack driver"* ]]
    printf 'vm_bandwidth: 1500\n' >f.yaml
    key=bandwidth
    [ "$(setting -c f.yaml)" = "1500k  # f.yaml:1:15" ]
}

@test "VMTP's keys that did nothing are refused when they ask for something" {
    refused "f.yaml:1:13: ping_count: VMTP never read it" 'ping_count: 5\n'
    refused "f.yaml:1:22: ping_pass_threshold: VMTP never read it" 'ping_pass_threshold: 10\n'
    refused "f.yaml:1:20: reuse_existing_vm: it never worked" 'reuse_existing_vm: x\n'
    refused "f.yaml:1:14: floating_ip: 'x' is neither true nor false" 'floating_ip: x\n'
    refused "f.yaml:1:22: udp_loss_rate_range: the first is above" 'udp_loss_rate_range: [5, 2]\n'
    refused "f.yaml:1:9: flavor: takes a mapping" 'flavor: 3\n'
}

@test "VMTP's flags that are not ours say what to do" {
    told 2 "--hypervisor is for the openstack driver, which this version has not" vnperf plan --hypervisor x
    told 2 "vnperf init -" vnperf run -sc
    told 2 "OS_PASSWORD" vnperf plan -p secret
    [[ "$output${stderr:-}" != *"secret"* ]]
}

@test "an openrc file is read and not run, and its secrets are not shown" {
    cat >rc <<'RC'
#!/usr/bin/env bash
export OS_AUTH_URL=http://203.0.113.1:5000/v3
export OS_USERNAME="ad min" OS_TOKEN='hush$x'
if [ -z "$OS_USERNAME" ]; then unset OS_USERNAME; fi
echo "password of $OS_USERNAME:"
read -sr OS_PASSWORD_INPUT
export OS_PASSWORD=$OS_PASSWORD_INPUT
RC
    told 0 "" vnperf config -r rc
    grep -q '^# OS_USERNAME: ad min (rc:3)' <<<"$output"
    grep -q '^# OS_TOKEN: \*\*\*' <<<"$output"
    grep -q '^# OS_PASSWORD: asked for' <<<"$output"
    [[ "$output${stderr:-}" != *hush* ]]
    OS_PASSWORD=hush run vnperf config -r rc
    [[ "$output" = *"OS_PASSWORD: *** (environment)"* && "$output" != *hush* ]]
    OS_PASSWORD=hush run vnperf config --no-env
    [[ "$output" != *OS_PASSWORD* ]]
    # shellcheck disable=SC2016 # the file has it so
    echo 'export OS_PASSWORD=$(touch ran)' >rc
    told 2 "rc:1: a command stands here" vnperf plan -r rc
    [ ! -e ran ]
}

@test "a password in a value is not shown" {
    printf 'test_description: "root@a:hush:eth0"\n' >f.yaml
    run vnperf config --origin -c f.yaml
    [[ "$output" = *'"root@a:***"'* && "$output" != *hush* ]]
}
