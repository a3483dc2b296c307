#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh PROGRAM: a cmocka program, its TAP mended. cmocka 1.1 writes a skipped test as "not ok 2 # SKIP …",
# which everyone who reads TAP takes for a failure.
set -o pipefail

"$@" | sed -u 's/^not ok \([0-9]*\) # SKIP/ok \1 # SKIP/'
