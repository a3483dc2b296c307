#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install-agent.sh FILE TO: `meson install` runs this for the agent of another machine, as its targets have no other name
# when they are installed. TO is below the prefix.
set -eu

to=$MESON_INSTALL_DESTDIR_PREFIX/$2
mkdir -p "${to%/*}"
install -m 755 "$1" "$to"
[ -n "${MESON_INSTALL_QUIET:-}" ] || echo "Installing $1 to $to"
