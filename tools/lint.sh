#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lint.sh [CHECK…]: every check of the source, or those named; says at the end which found something.
#
#   format    clang-format 14
#   size      files under 600 lines (functions under 70 are clang-tidy's)
#   arrows    includes against src/arrows
#   shell     shellcheck on scripts and bats files
#   tidy      clang 14's warnings and clang-tidy's, one file a call (FILES="src/x.c …" for some only)
#   cppcheck
#   analyzer  a build with gcc -fanalyzer
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
jobs=${JOBS:-$(nproc)}

c_files() {
    find src tests -name '*.c' -o -name '*.h' | LC_ALL=C sort
}

shell_files() {
    {
        echo tools/deps
        echo .ci/run
        find tools tests -name '*.sh' -o -name '*.bash' -o -name '*.bats'
    } | LC_ALL=C sort
}

check_format() {
    c_files | xargs -r -P "$jobs" -n 8 clang-format --dry-run -Werror
}

check_size() {
    c_files | xargs -r wc -l | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines, over 600: is there a seam?"; bad = 1 } END { exit bad }'
}

check_arrows() {
    tools/arrows.sh
}

check_shell() {
    shell_files | xargs -r -P "$jobs" -n 4 shellcheck -x
}

# Each file of src, then those of tests without clang's static analyzer, which is slow: they are run under the sanitizers.
check_tidy() {
    local talk files
    talk=$(CC=clang-14 tools/build.sh build-lint -Dtests=enabled -Dagent=native -Dagent_aarch64=disabled -- src/capture/bpf_object.h 2>&1) || {
        printf '%s\n' "$talk"
        return 1
    }
    # The list has paths as the compiler saw them, from the build directory.
    files=${FILES:-$(jq -r '.[] | .directory + "/" + .file' build-lint/compile_commands.json | xargs -n 100 realpath --relative-to=. | LC_ALL=C sort -u)}
    tr ' ' '\n' <<<"$files" | xargs -r -P "$jobs" -n 1 tools/tidy-one.sh
}

# cppcheck 2.10 does not see what AUTO() releases at the end of a scope: leaks are for the analyzer and the sanitizers.
# What runs in the kernel (*.bpf.c) takes pointers to locals as map keys for the time of a call, which it takes for leaks of them.
# readdir() is safe on a stream of one's own (POSIX.1-2024); readdir_r() is deprecated.
# In match_pair.c members of a struct arrival are set one by one, those that only merged packets need not at all: it takes the rest for missing.
check_cppcheck() {
    mkdir -p build-lint/cppcheck
    cppcheck --quiet --std=c11 --library=posix --enable=warning,performance,portability --inline-suppr \
        '--suppress=returnDanglingLifetime:*.bpf.c' --suppress=missingIncludeSystem --suppress=memleak --suppress=resourceLeak --suppress=readdirCalled \
        --suppress=ctuuninitvar:src/capture/match_pair.c --error-exitcode=1 -j "$jobs" --cppcheck-build-dir=build-lint/cppcheck \
        -D_GNU_SOURCE '-DVNPERF_VERSION="0"' -I src src
}

check_analyzer() {
    tools/build.sh build-analyzer -Dc_args=-fanalyzer -Dwerror=true -Dtests=disabled -Dagent=native -Dagent_aarch64=disabled -Dman=disabled -- vnperf vnperf-agent
}

all=(format size arrows shell tidy cppcheck analyzer)
[ $# -gt 0 ] || set -- "${all[@]}"
bad=()
for check; do
    declare -F "check_$check" >/dev/null || {
        echo "lint.sh: '$check' is none of: ${all[*]}" >&2
        exit 2
    }
    start=$SECONDS
    if "check_$check"; then
        echo "lint: $check is clean ($((SECONDS - start)) s)"
    else
        echo "lint: $check found something ($((SECONDS - start)) s)"
        bad+=("$check")
    fi
done
if [ ${#bad[@]} -gt 0 ]; then
    echo "lint: ${bad[*]} found something"
    exit 1
fi
echo "lint: clean"
