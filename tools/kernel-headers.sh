#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kernel-headers.sh DIR [MACHINE]: links to the kernel's headers, and to them only; MACHINE: of a cross compiler.
# musl-gcc looks at musl's own headers alone, and <linux/tcp.h> is not one of them. All of /usr/include
# would bring glibc's headers in as well.
set -eu

dir=$1
machine=${2:-}
multiarch=$("${CC_FOR_MULTIARCH:-gcc}" -print-multiarch)

mkdir -p "$dir"
for name in linux asm asm-generic; do
    if [ -n "$machine" ]; then
        set -- "/usr/$machine-linux-gnu/include/$name"
    else
        set -- "/usr/include/$name" "/usr/include/$multiarch/$name"
    fi
    for from; do
        [ -d "$from" ] && ln -sfn "$from" "$dir/$name"
    done
    [ -d "$dir/$name/." ] || {
        echo "kernel-headers.sh: no <$name/…> in $1: install linux-libc-dev${machine:+-arm64-cross}" >&2
        exit 1
    }
done
