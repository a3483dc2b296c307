#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh DIR [-Doption=value …] [-- TARGET …]: set DIR up with meson when needed, and build.
#
# Sets up anew by itself when an option is new to DIR, or when a file came or went that meson looks for by name
# (a harness, a folder's meson.build): ninja alone would not see that. CC says which compiler, the first time.
set -eu

cd "$(dirname "$0")/.."
dir=$1
shift

if [ -e "$dir" ] && [ ! -w "$dir" ]; then
    echo "build.sh: $dir belongs to $(stat -c %U "$dir"); as $(id -un), choose another: make BUILD=/tmp/vnperf-build …" >&2
    exit 1
fi

options=''
again=no
[ -f "$dir/build.ninja" ] || again=new
while [ $# -gt 0 ]; do
    case $1 in
    --)
        shift
        break
        ;;
    -*)
        options="$options $1"
        grep -qxF -e "$1" "$dir/.options" 2>/dev/null || [ "$again" = new ] || again=yes
        shift
        ;;
    *)
        echo "build.sh: '$1' is neither an option nor behind --" >&2
        exit 2
        ;;
    esac
done

found=$(find src tests/unit tests/fuzz docs/man \
    \( -name meson.build -o -name main.c -o -name 'fuzz_*.c' -o -name '*.scd' \) | LC_ALL=C sort)
# And with what tools/deps unpacked for the agent of another machine.
found="$found $(ls -d /usr/local/lib/musl-arm64/usr/lib 2>/dev/null || true)"
if [ "$again" = no ] && [ "$found" != "$(cat "$dir/.found" 2>/dev/null)" ]; then
    again=yes
fi

# Talk goes to stderr: stdout is for what the user asked for.
# shellcheck disable=SC2086 # options are words
case $again in
new) meson setup "$dir" $options </dev/null >&2 ;;
yes) meson setup --reconfigure "$dir" $options </dev/null >&2 ;;
esac
if [ "$again" != no ]; then
    for option in $options; do
        grep -qxF -e "$option" "$dir/.options" 2>/dev/null || echo "$option" >>"$dir/.options"
    done
    printf '%s\n' "$found" >"$dir/.found"
fi
exec ninja -C "$dir" "$@" </dev/null >&2
