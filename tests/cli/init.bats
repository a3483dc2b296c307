#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf init: a file of settings with every key.

bats_require_minimum_version 1.5.0
load ../helper

# The agent of the build under test is named by the environment, which is a setting too.
setup() {
    unset VNPERF_AGENT
    cd "$TEST_DIR" || return 1
}

# What is commented out, in.
all_on() {
    sed 's/^#\([a-z_0-9]*:\)/\1/' "$1"
}

@test "what init writes changes nothing, as it is and with every key on" {
    vnperf init a.yaml
    all_on a.yaml >b.yaml
    [ "$(grep -c '^[a-z]' b.yaml)" -gt 40 ]
    [ "$(grep -c '^[a-z]' a.yaml)" = 0 ]
    vnperf plan >plan.txt
    vnperf config >config.txt
    for file in a.yaml b.yaml; do
        vnperf plan -c "$file" | diff plan.txt -
        vnperf config -c "$file" | diff config.txt -
        vnperf test local local -c "$file" --help >/dev/null
        # A flag that is refused beside the file's own default would be no default.
        vnperf plan -c "$file" --quick >/dev/null
    done
}

@test "test takes the file with every key on, and measures as without it" {
    vnperf init - >a.yaml
    all_on a.yaml >b.yaml
    run --separate-stderr "$VNPERF" test local local -c b.yaml --tcp -t 0.1 --no-save -q -o json --agent "$VNPERF_BUILD/vnperf-agent"
    [ "$status" -eq 0 ]
    [ "$(json '.. | objects | .write_bytes? // empty' | head -1)" = 131072 ]
}

@test "every option of run and test has its key" {
    local name command
    vnperf init - >a.yaml
    for command in run test; do
        while read -r name; do
            case $name in config | debug | help) continue ;; esac
            grep -q "^#${name//-/_}: " a.yaml || {
                echo "$command --$name has no key"
                return 1
            }
        done < <(vnperf $command --help | sed -n 's/^  \(-.,\|   \) --\([a-z0-9-]*\).*/\2/p')
    done
}

@test "a file that is there is not written over" {
    echo mine >a.yaml
    run --separate-stderr vnperf init a.yaml
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"a.yaml is there already"* ]]
    [ "$(cat a.yaml)" = mine ]
    ln -s nowhere b.yaml
    run vnperf init b.yaml
    [ "$status" -eq 2 ]
    [ ! -e nowhere ]
}

@test "without a name it is the user's own file, and is read from there" {
    vnperf init
    [ -f "$XDG_CONFIG_HOME/vnperf/config.yaml" ]
    sed -i 's/^#flows: .*/flows: 3/' "$XDG_CONFIG_HOME/vnperf/config.yaml"
    vnperf config --origin | grep -q "^flows: 3  # $XDG_CONFIG_HOME/vnperf/config.yaml:[0-9]*:8$"
}

@test "a folder that takes no file: a sentence, and 3" {
    run --separate-stderr vnperf init nowhere/a.yaml
    [ "$status" -eq 3 ]
    [[ "${stderr:-}" = *"nowhere/a.yaml: No such file or directory"* ]]
}
