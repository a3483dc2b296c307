#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# self_test.sh ROOT: tools/arrows.sh finds what is wrong and lets pass what is right. Prints TAP.
set -eu

root=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
n=0
status=0

# fresh: a small tree that follows the arrows of the real file.
fresh() {
    rm -rf "$tree/src"
    mkdir -p "$tree/src/base" "$tree/src/model" "$tree/src/wire" "$tree/src/traffic"
    cp "$root/src/arrows" "$tree/src/arrows"
    printf '#include <stdio.h>\n#include "base/err.h"\n' >"$tree/src/base/err.c"
    printf '\n#include "base/err.h"\n#include "model/result.h"\n' >"$tree/src/wire/message.c"
}

# check NAME EXIT TEXT: the exit code of arrows.sh, and a line that it has to print.
check() {
    n=$((n + 1))
    r=0
    out=$("$root/tools/arrows.sh" "$tree" 2>&1) || r=$?
    if [ "$r" = "$2" ] && printf '%s\n' "$out" | grep -qF -- "$3"; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        printf '%s\n' "exit $r, expected $2 and: $3" "$out" | sed 's/^/# /'
        status=1
    fi
}

echo "1..8"

fresh
check "a tree along the arrows passes" 0 "2 files follow the arrows"

fresh
printf '#include "traffic/flow.h"\n' >>"$tree/src/wire/message.c"
check "a neighbour is named with file and line" 1 "src/wire/message.c:4: wire may not include traffic"

fresh
printf '  #  include "wire/line.h"\n' >"$tree/src/base/err.h"
check "an include upwards is found in a header too" 1 "src/base/err.h:1: base may not include wire"

fresh
printf '#include "err.h"\n' >>"$tree/src/base/err.c"
check "an include without its folder is found" 1 'src/base/err.c:3: "err.h" is written without its folder'

fresh
printf '#include "../traffic/flow.h"\n' >>"$tree/src/wire/message.c"
check "an include by .. is found" 1 'src/wire/message.c:4: "../traffic/flow.h" is written without its folder'

fresh
mkdir "$tree/src/other"
printf 'int x;\n' >"$tree/src/other/x.c"
check "a folder that src/arrows does not know is found" 1 "src/other/x.c:1: the folder other is not in src/arrows"

fresh
printf 'plan cmd\n' >>"$tree/src/arrows"
check "a line of src/arrows that is no arrow is refused" 2 'not "folder: folder …"'

fresh
printf 'early: late\nlate: early\n' >>"$tree/src/arrows"
check "a circle in src/arrows is refused" 2 "late is not described above early"

exit "$status"
