#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# musl-arm64.sh [DIR]: musl's headers and libc.a for aarch64, out of Debian's musl-dev:arm64, unpacked in DIR
# (/usr/local/lib/musl-arm64, where the build looks for them).
#
# As `dpkg --add-architecture arm64` would change what this system's apt does from then on, and fails where a mirror has no
# arm64, apt is asked with lists and a cache of its own, which are removed. They come from the mirror that this system has.
set -eu

dir=${1:-/usr/local/lib/musl-arm64}
# The day of the last failure: who builds without a network is not made to wait each time.
failed=$dir/failed
if [ "$(cat "$failed" 2>/dev/null)" = "$(date +%F)" ]; then
    echo "musl-arm64.sh: could not be had earlier today; rm $failed tries again" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$dir"

codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
# shellcheck disable=SC2016 # apt's own words
mirror=$(apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' -v name="$codename" '$1 == "Debian" && $2 == "main" && $3 == name { print $4; exit }')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
signed=''
[ ! -e "$keyring" ] || signed=" signed-by=$keyring"
echo "deb [arch=arm64$signed] ${mirror:-http://deb.debian.org/debian} $codename main" >"$work/sources.list"

apt() {
    apt-get -q -o APT::Architectures::=arm64 -o APT::Architectures::="$(dpkg --print-architecture)" \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::Etc::SourceList="$work/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null -o Acquire::Languages=none -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
        -o APT::Sandbox::User="$(id -un)" "$@" </dev/null >&2
}

if apt update && (cd "$work" && apt download musl-dev:arm64) && dpkg -x "$work"/musl-dev_*.deb "$dir"; then
    # They know themselves in /usr.
    sed -i "s,/usr/\(lib\|include\)/aarch64,$dir&,g" "$dir/usr/lib/aarch64-linux-musl/musl-gcc.specs"
    rm -f "$failed"
else
    date +%F >"$failed"
    echo "musl-arm64.sh: musl-dev:arm64 could not be had: vnperf is built without the agent for aarch64" >&2
    exit 1
fi
