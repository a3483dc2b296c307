#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# vnperf completion: scripts that their shells take, with the words of the program.

bats_require_minimum_version 1.5.0
load ../helper

# complete_words WORD…: what bash offers for the last word of vnperf WORD…. A line of words from stdin each: complete_lines.
complete_words() {
    complete_lines <<<"$*"
}

complete_lines() {
    vnperf completion bash >"$TEST_DIR/script"
    # shellcheck disable=SC2016 # it expands for itself
    bash --noprofile --norc -c '
        source "$0"
        while read -ra words; do
            COMP_WORDS=(vnperf "${words[@]}") COMP_CWORD=${#words[@]} COMPREPLY=()
            _vnperf
            printf "%s\n" "${COMPREPLY[@]}"
        done' "$TEST_DIR/script"
}

# The long options that --help of a command lists.
options_of() {
    vnperf "$1" --help | sed -n 's/^  *\(-.,\)\? *\(--[a-z0-9-]*\).*/\2/p'
}

@test "bash completes commands, options and their words" {
    [ "$(complete_words cl)" = cleanup ]
    [ "$(complete_words run --stop)" = --stop-on-error ]
    [ "$(complete_words run --driver l)" = lab ]
    [ "$(complete_words show -o md)" = "" ]
    [ "$(complete_words show --output mark)" = markdown ]
    [ "$(complete_words completion f)" = fish ]
    [ "$(complete_words agen)" = "" ]
}

@test "bash completes every option that --help lists" {
    local name
    for name in run plan test show doctor cleanup; do
        options_of "$name" >"$TEST_DIR/options"
        [ -s "$TEST_DIR/options" ]
        # Of each its whole word is among what is offered for it.
        sed "s/^/$name /" "$TEST_DIR/options" | complete_lines | sort -u >"$TEST_DIR/offered"
        diff <(sort -u "$TEST_DIR/options") <(sort -u "$TEST_DIR/options" | comm -12 - "$TEST_DIR/offered")
    done
}

@test "zsh takes its script" {
    command -v zsh >/dev/null || skip "zsh is not installed, and is not needed for anything else"
    vnperf completion zsh | zsh -n
    vnperf completion zsh >"$TEST_DIR/script"
    zsh -f -c "autoload -U compinit && compinit -D; source $TEST_DIR/script"
}

@test "fish takes its script" {
    command -v fish >/dev/null || skip "fish is not installed, and is not needed for anything else"
    vnperf completion fish >"$TEST_DIR/script"
    fish --no-execute "$TEST_DIR/script"
    HOME=$TEST_DIR fish -c "source $TEST_DIR/script; complete -C 'vnperf cl'" | grep -q cleanup
}

@test "fish gets every option of run" {
    local option
    vnperf completion fish >"$TEST_DIR/script"
    for option in $(options_of run); do
        case $option in --debug | --help) continue ;; esac
        grep -q "seen_subcommand_from run' -l ${option#--}\b" "$TEST_DIR/script"
    done
}

@test "another shell: 2, and which there are" {
    run --separate-stderr vnperf completion tcsh
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"'tcsh' is none of bash, zsh, fish"* ]]
    run --separate-stderr vnperf completion
    [ "$status" -eq 2 ]
    [[ "${stderr:-}" = *"needs bash|zsh|fish"* ]]
}
