#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# arrows.sh [ROOT]: hold every include of ROOT/src against ROOT/src/arrows.
# Prints file:line of each that goes against an arrow; exit 1 when there is one, 2 when src/arrows itself is wrong.
set -eu

cd "${1:-$(dirname "$0")/..}"
[ -f src/arrows ] || {
    echo "arrows.sh: no src/arrows in $PWD" >&2
    exit 2
}

find src -mindepth 2 \( -name '*.c' -o -name '*.h' -o -name '*.def' \) -print | LC_ALL=C sort | awk '
function complain(where, text) {
    print where ": " text
    n_wrong++
}

# The first input is src/arrows, the second the list of files.
FILENAME == "src/arrows" {
    sub(/#.*/, "")
    if (!NF)
        next
    if ($1 !~ /^[a-z0-9_]+:$/) {
        print "src/arrows:" FNR ": not \"folder: folder …\"" > "/dev/stderr"
        broken = 1
        exit
    }
    folder = substr($1, 1, length($1) - 1)
    for (i = 2; i <= NF; i++) {
        # A folder stands above those that use it: so there is no way round in a circle.
        if (!($i in known)) {
            print "src/arrows:" FNR ": " $i " is not described above " folder > "/dev/stderr"
            broken = 1
            exit
        }
        may[folder, $i] = 1
    }
    known[folder] = 1
    may[folder, folder] = 1
    next
}

{
    file = $0
    split(file, part, "/")
    folder = part[2]
    if (!(folder in known)) {
        complain(file ":1", "the folder " folder " is not in src/arrows")
        next
    }
    n_files++
    line = 0
    while ((getline text < file) > 0) {
        line++
        if (text !~ /^[ \t]*#[ \t]*include[ \t]*"/)
            continue
        target = text
        sub(/^[^"]*"/, "", target)
        sub(/".*/, "", target)
        slash = index(target, "/")
        to = substr(target, 1, slash - 1)
        if (!slash || to ~ /^\.\.?$/)
            complain(file ":" line, "\"" target "\" is written without its folder: \"" folder "/" target "\"")
        else if (!(to in known))
            complain(file ":" line, "\"" target "\" is of no folder in src/arrows")
        else if (!((folder, to) in may))
            complain(file ":" line, folder " may not include " to " (\"" target "\")")
    }
    close(file)
}

END {
    if (broken)
        exit 2
    if (n_wrong) {
        printf "%d against the arrows of src/arrows\n", n_wrong
        exit 1
    }
    printf "%d files follow the arrows\n", n_files
}' src/arrows -
