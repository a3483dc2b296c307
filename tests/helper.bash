# SPDX-License-Identifier: Apache-2.0
# What every bats file loads: load ../helper
#
# $VNPERF, $VNPERF_AGENT   the programs of the build under test ($VNPERF_BUILD, else build/)
# vnperf ARG…              runs $VNPERF; so `run vnperf version` reads as a person types it
# as_user CMD…             runs CMD as an ordinary user with a home of its own
# skip_unless_…            step aside with a reason
# json FILTER [FILE]       what jq makes of FILE, or of $output
# wait_for SECONDS CMD…    until CMD succeeds: for an event, never for a time
#
# Each test has a state folder of its own ($XDG_STATE_HOME), so runs of the user are neither seen nor touched.

bats_require_minimum_version 1.5.0

VNPERF_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VNPERF_BUILD=${VNPERF_BUILD:-$VNPERF_SOURCE/build}
VNPERF=$VNPERF_BUILD/vnperf
VNPERF_AGENT=$VNPERF_BUILD/vnperf-agent
export VNPERF_SOURCE VNPERF_BUILD VNPERF VNPERF_AGENT

# Settings of whoever runs the tests must not change what they see. Ours are about the tests, not about vnperf.
for name in $(compgen -e VNPERF_); do
    case $name in
    VNPERF_SOURCE | VNPERF_BUILD | VNPERF | VNPERF_AGENT | VNPERF_SANITIZER) ;;
    *) unset "$name" ;;
    esac
done
unset name
# In setup_file there is no test yet, and the file's folder serves.
TEST_DIR=${BATS_TEST_TMPDIR:-${BATS_FILE_TMPDIR:-${BATS_RUN_TMPDIR:?run this with bats}}}
export XDG_STATE_HOME=$TEST_DIR/state XDG_CONFIG_HOME=$TEST_DIR/config
export LC_ALL=C.UTF-8 NO_COLOR=1
# ip and nft stand in sbin, which an ordinary user's PATH has not.
export PATH=$PATH:/usr/sbin:/sbin

[ -x "$VNPERF" ] || {
    echo "$VNPERF is not there: make builds it, VNPERF_BUILD=DIR says where" >&2
    exit 1
}

vnperf() {
    "$VNPERF" "$@"
}

is_root() {
    [ "$(id -u)" = 0 ]
}

skip_unless_root() {
    is_root || skip "needs root"
}

skip_unless_command() {
    local command
    for command; do
        command -v "$command" >/dev/null || skip "needs $command (tools/deps test installs it)"
    done
}

# The lab of an ordinary user stands in a user namespace, which some systems forbid.
skip_unless_userns() {
    as_user unshare --user --map-root-user --net --mount true 2>/dev/null ||
        skip "an ordinary user may not make user namespaces here"
}

# Network namespaces in any way: as root itself, or through a user namespace.
skip_unless_netns() {
    if is_root; then
        unshare --net --mount true 2>/dev/null || skip "network namespaces may not be made here, even by root"
    else
        skip_unless_userns
    fi
}

# As root this becomes nobody; who is an ordinary user already stays himself. Our programs are given by copies, as the
# source tree may stand where nobody may not look. XDG_STATE_HOME is then $TEST_DIR/user/state.
as_user() {
    local home=$TEST_DIR/user arg
    local -a command=()

    if ! is_root; then
        "$@"
        return
    fi
    if [ ! -d "$home" ]; then
        mkdir -p "$home/bin" "$home/state" "$home/config"
        cp "$VNPERF" "$home/bin/vnperf"
        [ ! -x "$VNPERF_AGENT" ] || cp "$VNPERF_AGENT" "$home/bin/vnperf-agent"
        chown -R 65534:65534 "$home"
        # bats makes its folders for root alone.
        chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$TEST_DIR"
    fi
    for arg; do
        case $arg in
        vnperf | "$VNPERF") command+=("$home/bin/vnperf") ;;
        vnperf-agent | "$VNPERF_AGENT") command+=("$home/bin/vnperf-agent") ;;
        *) command+=("$arg") ;;
        esac
    done
    (
        cd "$home" || exit 1
        HOME=$home XDG_STATE_HOME=$home/state XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR='' TMPDIR=$home \
            PATH=$home/bin:$PATH VNPERF=$home/bin/vnperf VNPERF_AGENT=$home/bin/vnperf-agent \
            exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- "${command[@]}"
    )
}

json() {
    if [ $# -gt 1 ]; then
        jq -r "$1" "$2"
    else
        jq -r "$1" <<<"${output:-}"
    fi
}

# The number of tries is the deadline; what is waited for is the event.
wait_for() {
    local tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            echo "waited in vain for: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}
