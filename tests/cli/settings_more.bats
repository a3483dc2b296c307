#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Settings as people get them wrong: variables and keys that are misspelt, lists where one value goes, VMTP's mappings, and
# openrc files as their makers write them.
# shellcheck disable=SC2030,SC2031 # each test has its own HOME and its own output

bats_require_minimum_version 1.5.0
load ../helper
load settings

@test "a misspelt variable is told of: an error when something is called nearly so" {
    VNPERF_TIEM=3 told 2 "VNPERF_TIEM is no setting: did you mean VNPERF_TIME?" vnperf plan
    VNPERF_time=3 told 2 "did you mean VNPERF_TIME?" vnperf plan
    VNPERF_TCP_PKT_SIZES=3 told 2 "did you mean VNPERF_TCPBUF?" vnperf plan
    VNPERF_SSH_HOSTKEYS=strict told 2 "did you mean VNPERF_SSH_HOST_KEYS?" vnperf test local local
    VNPERF_OF_SOMEBODY=hush told 0 "VNPERF_OF_SOMEBODY is no setting: nobody reads it" vnperf plan --scenarios 1.1
    [[ "$stderr" != *hush* ]]
    # of another command, of the tests, and the one that sudo's password comes by
    VNPERF_ICMP_GAP=1ms VNPERF_BUILD=x VNPERF_SOURCE=x VNPERF_SANITIZER=x VNPERF_BECOME_PASSWORD=hush \
        told 0 "" vnperf plan --scenarios 1.1
    [ -z "$stderr" ]
}

@test "a list where one value goes" {
    refused "f.yaml:1:7: time: takes one value, not a list" 'time: [1, 2]\n'
    refused "f.yaml:1:7: port: takes one value, not a list" 'port: [5001, 5002]\n'
    refused "f.yaml:1:12: protocols: takes one value, not a list" 'protocols: [T, U]\n'
    refused "f.yaml:2:3: tp_tool: takes one value, not a list" 'tp_tool:\n  - nuttcp\n  - iperf\n'
    refused "f.yaml:1:16: ssh_host_keys: takes one value" 'ssh_host_keys: [strict, pinned]\n'
    refused "f.yaml:1:7: host: takes a value, or a list of them, not a mapping" 'host: {a: 1}\n'
    # what may be given again is a list too
    printf 'host: [local, local]\nnode:\n  - local\n' >f.yaml
    vnperf plan -c f.yaml --scenarios 7.1 | grep -q 'driver ssh'
}

@test "no option of run or test takes the last of a list in silence" {
    local command key said code ask n=0
    for command in run test; do
        ask=(plan)
        [ "$command" = run ] || ask=(test local local)
        while read -r key; do
            # Names of files and machines, and patterns, are lists or any word.
            case $key in monitor | host | vm | node | controller_node | external_host) continue ;; esac
            printf '%s: [qqq1, qqq2]\n' "$key" >f.yaml
            code=0
            said=$("$VNPERF" "${ask[@]}" -c f.yaml 2>&1 >/dev/null) || code=$?
            if [ "$code" != 2 ] || [[ "$said" != *": f.yaml:1:"*": $key: "* ]]; then
                echo "$command $key: $code $said"
                return 1
            fi
            n=$((n + 1))
        done < <(vnperf $command --help | sed -n 's/^  \(-.,\|   \) --\([a-z0-9-]*\).*/\2/p' |
            grep -vx 'config\|debug\|help' | tr - _)
    done
    [ "$n" -gt 60 ]
}

@test "VMTP's mappings and lists are looked into" {
    refused "f.yaml:1:17: flavor: vcpus: number 'x'" 'flavor: {vcpus: x}\n'
    refused "f.yaml:2:3: flavor has no 'vcpu': did you mean vcpus?" 'flavor:\n  vcpu: 1\n'
    refused "f.yaml:1:11: fluentd has no 'portt': did you mean port?" 'fluentd: {portt: 1}\n'
    refused "f.yaml:1:28: dns_nameservers: 'x' is no address" 'dns_nameservers: [8.8.8.8, x]\n'
    refused "f.yaml:1:17: internal_cidr: '192.168.1.0' is no network" 'internal_cidr: [192.168.1.0, 192.168.2.0/24]\n'
    refused "f.yaml:1:12: ipv6_mode: 'x' is none of slaac" 'ipv6_mode: x\n'
    refused "f.yaml:1:20: tcp_tp_loop_count: number '0'" 'tcp_tp_loop_count: 0\n'
    printf 'flavor:\n  vcpus: 1\n  ram: 2048\n  disk:\n  extra_specs:\n    "hw:cpu_policy": dedicated\nvmtp_db: x\n' >f.yaml
    told 0 "flavor is for the openstack driver" vnperf plan -c f.yaml --scenarios 1.1
    [[ "$stderr" = *"vmtp_db is for a store of results, which this version has not"* ]]
}

@test "VMTP's flags by any spelling, and as keys" {
    told 2 "--icmp-pkt-sizes is --icmp-sizes here" vnperf plan --icmp-pkt-sizes 64
    told 2 "--vnic_type is for the openstack driver" vnperf plan --vnic_type direct
    told 2 "-v is 'vnperf --version' here" vnperf run -v
    refused "f.yaml:1:1: there is no key 'hypervisor': it is for the openstack driver" 'hypervisor: x\n'
    refused "f.yaml:1:1: there is no key 'TIME': did you mean time?" 'TIME: 3\n'
}

rc_has() {
    printf '%b' "$1" >rc
    run --separate-stderr vnperf config -r rc
    if [ "$status" != 0 ] || [[ "$output" != *"$2"* ]]; then
        echo "$status, wanted: $2"
        echo "$output" | grep '^# OS'
        echo "${stderr:-}"
        return 1
    fi
}

@test "openrc files as they are written" {
    rc_has '\xef\xbb\xbfexport OS_USERNAME=a\r\n' '# OS_USERNAME: a (rc:1)'
    rc_has 'read -s -p "Password: " OS_PASSWORD\n' '# OS_PASSWORD: asked for'
    rc_has 'read -rsp Password: OS_PASSWORD\n' '# OS_PASSWORD: asked for'
    rc_has 'export OS_CACERT=~/ca.pem\n' "# OS_CACERT: $HOME/ca.pem"
    rc_has 'echo "a; b" ; export OS_USERNAME=x; OS_REGION_NAME=z\n' '# OS_REGION_NAME: z'
    # shellcheck disable=SC2016 # the file has it so
    rc_has 'for key in $(set | awk -F= "/^OS_/ {print \\$1}"); do unset "${key}" ; done\nOS_USERNAME=b\n' '# OS_USERNAME: b (rc:2)'
    # what a shell would do that is not done here is refused, without a word of the value
    printf 'export OS_PASSWORD=hush;hush2\n' >rc
    told 2 "rc:1: this is no NAME=value" vnperf config -r rc
    [[ "$stderr" != *hush* ]]
    # shellcheck disable=SC2016
    printf "export OS_PASSWORD=\$'hush'\n" >rc
    told 2 "rc:1: $'…' is not understood" vnperf config -r rc
    [[ "$stderr" != *hush* ]]
}

a_cloud() {
    mkdir -p "$1"
    cat >"$1/clouds.yaml" <<'YAML'
clouds:
  north:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://203.0.113.1:5000/v3
      application_credential_id: "0123"
      application_credential_secret: hush1
    regions: [one, two]
    interface: internal
    volume_api_version: 3
    verify: false
  south:
    auth: {auth_url: "http://203.0.113.2/v3", username: me, project_name: mine}
    region_name: three
  bad:
    auth: {auth_url: [hush2]}
  vendor:
    profile: somebody
  typo:
    auth: {usernam: hush3}
YAML
}

@test "clouds.yaml: an entry, its secrets from secure.yaml, and none of them shown" {
    export HOME=$TEST_DIR/home
    a_cloud "$HOME/.config/openstack"
    told 0 "" vnperf config --os-cloud north
    grep -qF "# OS_AUTH_URL: https://203.0.113.1:5000/v3 ($HOME/.config/openstack/clouds.yaml:5:17)" <<<"$output"
    grep -qF '# OS_APPLICATION_CREDENTIAL_ID: 0123 (' <<<"$output"
    grep -qF '# OS_APPLICATION_CREDENTIAL_SECRET: *** (' <<<"$output"
    grep -qF '# OS_REGION_NAME: one (' <<<"$output"
    grep -qF '# OS_INSECURE: true (' <<<"$output"
    grep -qF '# OS_AUTH_TYPE: v3applicationcredential (' <<<"$output"
    [[ "$output$stderr" != *hush* && "$output" != *"asked for"* ]]
    # without a secret a person is asked, with one in secure.yaml not
    OS_CLOUD=south told 0 "" vnperf config
    grep -q '^# OS_PASSWORD: asked for' <<<"$output"
    echo 'clouds: {south: {auth: {password: hush4, username: other}}}' >"$HOME/.config/openstack/secure.yaml"
    OS_CLOUD=south told 0 "" vnperf config
    grep -q '^# OS_PASSWORD: \*\*\* (.*/secure.yaml:1:' <<<"$output"
    grep -q '^# OS_USERNAME: other (.*/secure.yaml:1:' <<<"$output"
    grep -q '^# OS_PROJECT_NAME: mine (.*/clouds.yaml:13:' <<<"$output"
    [[ "$output$stderr" != *hush* && "$output" != *"asked for"* ]]
    told 0 "" vnperf config --os-cloud north
    # the other variables may be about another cloud
    OS_USERNAME=stranger OS_PASSWORD=hush5 told 0 "" vnperf config --os-cloud north
    [[ "$output" != *stranger* && "$output" != *hush* ]]
    OS_CLOUD=south told 0 "" vnperf config --no-env
    [[ "$output" != *OS_* ]]
}

@test "clouds.yaml is looked for here, then at home, then where it is named" {
    export HOME=$TEST_DIR/home
    a_cloud "$HOME/.config/openstack"
    echo 'clouds: {north: {auth: {auth_url: "http://here"}}}' >clouds.yaml
    told 0 "" vnperf config --os-cloud north
    grep -q '^# OS_AUTH_URL: http://here (clouds.yaml:1:' <<<"$output"
    echo 'clouds: {north: {auth: {auth_url: "http://there"}}}' >other.yaml
    OS_CLIENT_CONFIG_FILE=other.yaml told 0 "" vnperf config --os-cloud north
    grep -q '^# OS_AUTH_URL: http://there (other.yaml:1:' <<<"$output"
    rm clouds.yaml
    a_cloud "$XDG_CONFIG_HOME/openstack"
    told 0 "" vnperf config --os-cloud north
    grep -qF "($XDG_CONFIG_HOME/openstack/clouds.yaml:5:17)" <<<"$output"
    echo 'export OS_CLOUD=south' >rc
    told 0 "" vnperf config -r rc
    grep -q '^# OS_REGION_NAME: three' <<<"$output"
    # it is a setting as others are
    echo 'os_cloud: south' >f.yaml
    told 0 "" vnperf config -c f.yaml
    grep -q '^# OS_REGION_NAME: three' <<<"$output"
}

@test "clouds.yaml: what is wrong is told with its place and without a value" {
    export HOME=$TEST_DIR/home
    told 2 "no clouds.yaml is here" vnperf plan --os-cloud north
    a_cloud .
    told 2 "clouds.yaml: there is no cloud 'nort': did you mean north?" vnperf plan --os-cloud nort
    told 2 "clouds.yaml:16:22: auth_url: takes one value, not a list" vnperf plan --os-cloud bad
    told 2 "clouds.yaml:18:14: profile: vendors' profiles are not read here" vnperf plan --os-cloud vendor
    told 2 "clouds.yaml:20:12: there is no key 'usernam' of auth: did you mean username?" vnperf plan --os-cloud typo
    [[ "$stderr" != *hush* ]]
    touch rc
    told 2 "--rc names a cloud already" vnperf plan -r rc --os-cloud north
    printf 'clouds:\n  north: &a\n    auth: {}\n' >clouds.yaml
    told 2 "clouds.yaml:2:10: an anchor (&a) is not taken" vnperf plan --os-cloud north
    printf 'clouds: [north]\n' >clouds.yaml
    told 2 "clouds.yaml:1:9: clouds: takes a mapping, not a list" vnperf plan --os-cloud north
    : >clouds.yaml
    told 2 "clouds.yaml: there is no cloud 'north'" vnperf plan --os-cloud north
    # a run that needs no cloud is not kept from it by OS_CLOUD
    OS_CLOUD=north told 0 "" vnperf plan --scenarios 1.1
    [ -z "$stderr" ]
}

@test "config shows the settings of test too" {
    echo 'gap: 4ms' >f.yaml
    VNPERF_RR_SIZE=100 told 0 "" vnperf config test --origin --rr -c f.yaml
    grep -q '^rr: true  # flag$' <<<"$output"
    grep -q '^rr_size: 100  # VNPERF_RR_SIZE$' <<<"$output"
    grep -q '^gap: 4ms  # f.yaml:1:6$' <<<"$output"
    grep -q '^tcpbuf: 131072  # default$' <<<"$output"
    told 2 "there is no option '--scenarios'" vnperf config test --scenarios 1.1
    told 0 "" vnperf config run
    [ "$output" = "$(vnperf config)" ]
    told 2 "'tset' is one argument too many" vnperf config tset
}

@test "vnperf.yaml(5) has every key of a file, and VMTP's" {
    local key n=0
    vnperf help --scdoc vnperf.yaml >page
    head -1 page | grep -qx 'vnperf.yaml(5)'
    while read -r key; do
        grep -qF "*${key//_/\\_}*" page || {
            echo "$key is not in the page"
            return 1
        }
        n=$((n + 1))
    done < <(vnperf init - | sed -n 's/^#\([a-z_0-9]*\): .*/\1/p' && grep -o '^[a-z_0-9]*' "$VNPERF_SOURCE/tests/fuzz/corpus/config/vmtp")
    [ "$n" -gt 90 ]
    grep -q 'Type: number, 1 to 1000\. VMTP called it tcp\\_tp\\_loop\\_count\.$' page
    grep -qF 'Default: run 65536; test 131072.' page
    ! command -v scdoc >/dev/null || scdoc <page | grep -q '^\.TH "vnperf\.yaml" "5"'
}

@test "--controller-node takes VMTP's words; a password in them is kept nowhere" {
    told 0 "a password on the command line" vnperf plan --scenarios 1.1 --controller-node me@192.0.2.1:hush:eth0
    [[ "$output$stderr" != *hush* ]]
    told 2 "a password comes behind user and host" vnperf plan --controller-node :hush
    [[ "$output$stderr" != *hush* ]]
    printf 'controller_node: "me@192.0.2.1:hush"\n' >f.yaml
    told 0 "" vnperf config --origin -c f.yaml
    [[ "$output$stderr" != *hush* ]]
    grep -q '^controller_node: "me@192.0.2.1:\*\*\*"' <<<"$output"
}
