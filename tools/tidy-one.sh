#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tidy-one.sh FILE: clang-tidy on one file with build-lint's flags; silent when it is clean.
out=$(clang-tidy-14 -p build-lint --quiet "$1" 2>&1) && exit 0
# How much it left out in system headers is no news.
printf '%s\n' "$out" | grep -v -E 'warnings? generated|treated as error'
exit 1
