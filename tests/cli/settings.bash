# SPDX-License-Identifier: Apache-2.0
# What config.bats and settings_more.bats have in common: each test works in a folder of its own, without a VNPERF_ variable.
# shellcheck shell=bash disable=SC2154 # bats sets status

setup() {
    unset VNPERF_AGENT
    cd "$TEST_DIR" || return 1
}

# told STATUS WORDS COMMAND…: that exit code, and one sentence on stderr with WORDS
told() {
    local code=$1 words=$2
    shift 2
    run --separate-stderr "$@"
    if [ "$status" != "$code" ] || [[ "${stderr:-}" != *"$words"* ]]; then
        echo "$status, wanted: $words"
        echo "$output"
        echo "${stderr:-}"
        return 1
    fi
}

# refused WORDS TEXT: a file f.yaml with that text: 2, nothing on stdout, one sentence that begins with WORDS
refused() {
    printf '%b' "$2" >f.yaml
    told 2 "$1" vnperf plan -c f.yaml
    [[ -z "$output" && "${stderr:-}" = "vnperf: error: plan: $1"* ]]
}
