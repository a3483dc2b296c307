#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kernel-headers.sh DIR: links to the kernel's headers, and to them only.
# musl-gcc looks at musl's own headers alone, and <linux/tcp.h> is not one of them. All of /usr/include
# would bring glibc's headers in as well.
set -eu

dir=$1
multiarch=$("${CC_FOR_MULTIARCH:-gcc}" -print-multiarch)

mkdir -p "$dir"
for name in linux asm asm-generic; do
    for from in "/usr/include/$name" "/usr/include/$multiarch/$name"; do
        [ -d "$from" ] && ln -sfn "$from" "$dir/$name"
    done
    [ -d "$dir/$name/." ] || {
        echo "kernel-headers.sh: no <$name/…> in /usr/include: install linux-libc-dev" >&2
        exit 1
    }
done
