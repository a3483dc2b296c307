# SPDX-License-Identifier: Apache-2.0
# A box with a client c and hosts a and b on one wire, real sshds in each. It is made once and serves all tests of a file; after
# each, only what that test changed is put back. A test that failed, or that says `spoil`, leaves none: the next makes a new one.
#
# host NAME[:PORT] [COMMANDS [stays]]  an sshd there, with /root, /home, /tmp, /var/tmp and /dev/shm of its own; COMMANDS are done
#                          before it (host_key and sshd_with there: the key it has, more of its arguments). One without COMMANDS
#                          stays for the tests behind, and so does one that `stays`.
# machine NAME COMMANDS SERVER   the same with another server, which stays in the foreground; its name is $0
# ssh_box_more             a function of the file's, where it has one: what it wants of a box that has just been made. It may change
#                          what a test finds: /run/keys/sshd_config.new, and the client's folder .ssh, /run/keys/ssh.new
# client CMD…              at the client, whose home is /root
# begin_typed ARG…         vnperf there in the background, on a terminal into which fd 9 types, its words in $out; typed_well at its end
# test_ssh ARG…, run_there ARG…  vnperf test or run at the client: $status, $stderr, $output
# at NAME CMD…             in that machine, as its sshd sees it
# nothing_far NAME…        no agent anywhere, no file of ours there, no ledger
# The client knows every host's key: it is one for all.
# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154 # shells in the box expand for themselves; names are of box.bash; commas are of the words themselves

load ../netns/box

setup() {
    skip_unless_root
    [ -x /usr/sbin/sshd ] || skip "needs sshd (tools/deps test installs it)"
    skip_unless_command ssh ssh-keygen ip ss nft nsenter unshare perl jq
    export TMPDIR=$TEST_DIR/tmp
    unset SSH_AUTH_SOCK
    state=$XDG_STATE_HOME/vnperf
    out=$TEST_DIR/out err=$TEST_DIR/err
    mkdir -p "$TMPDIR"
    begin_with=(ip netns exec c sh -c 'mount --bind /run/client /root && exec "$@"' sh)
    if [ -s "$BATS_FILE_TMPDIR/box" ]; then
        box_pid=$(cat "$BATS_FILE_TMPDIR/box")
    else
        box_up >/dev/null 2>&1
        echo "$box_pid" >"$BATS_FILE_TMPDIR/box"
        ssh_box_begin
    fi
    box sh /run/keys/as_new
}

teardown() {
    [ -n "${box_pid:-}" ] || return 0
    if [ -n "${spoilt:-}" ] || [ -z "${BATS_TEST_COMPLETED:-}" ]; then
        teardown_file
    else
        box sh /run/keys/end_all
    fi
}

teardown_file() {
    [ -s "$BATS_FILE_TMPDIR/box" ] || return 0
    kill -KILL "$(cat "$BATS_FILE_TMPDIR/box")" 2>/dev/null || true
    rm "$BATS_FILE_TMPDIR/box"
}

# What this test does to the box cannot be put back.
spoil() {
    spoilt=1
}

ssh_box_begin() {
    box sh -e <<'BOX'
mkdir -p /run/keys /run/client /run/sshd
mkdir -m 700 /run/keys/ssh.new
chmod 700 /run/client
ssh-keygen -q -t ed25519 -N '' -f /run/keys/ssh.new/id_ed25519
cp /run/keys/ssh.new/id_ed25519.pub /run/keys/authorized
ssh-keygen -q -t ed25519 -N '' -f /run/keys/host
cat >/run/keys/sshd_config.new <<'END'
UsePAM no
UseDNS no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp /bin/false
END
cat >/run/keys/ssh.new/config <<'END'
Host a
    HostName 10.77.0.1
Host b
    HostName 10.77.0.2
END
for address in 10.77.0.1 10.77.0.2 10.77.0.3 10.77.0.4 10.1.0.1 10.1.0.2 10.2.0.3 198.51.100.9; do
    echo "$address $(cut -d' ' -f1,2 /run/keys/host.pub)"
done >/run/keys/ssh.new/known_hosts
# What a test finds.
cat >/run/keys/as_new <<'END'
cp /run/keys/sshd_config.new /run/keys/sshd_config
rm -rf /run/client/.ssh
cp -a /run/keys/ssh.new /run/client/.ssh
END
# All processes but the first and the sshds that stay; then nothing of ours is to be in those machines.
cat >/run/keys/end_all <<'END'
stay=" 1 $$ "
for f in /run/keys/pid.*; do
    if [ -e "/run/keys/plain.${f##*.}" ]; then
        stay="$stay$(cat "$f") "
    else
        rm -f "$f"
    fi
done
for p in /proc/[0-9]*; do
    case $stay in
    *" ${p#/proc/} "*) ;;
    *) kill -KILL "${p#/proc/}" 2>/dev/null ;;
    esac
done
exit 0
END
for name in a b c; do ip netns add $name; ip -n $name link set lo up; done
ip link add wire type bridge
ip link set wire up
BOX
    join a wire eth0 10.77.0.1/24
    join b wire eth0 10.77.0.2/24
    join c wire eth0 10.77.0.3/24
    box sh /run/keys/as_new
    ! declare -F ssh_box_more >/dev/null || ssh_box_more
}

# join NAMESPACE BRIDGE INTERFACE ADDRESS
join() {
    box sh -ec '
        ip link add "$1-$3" type veth peer name "$3" netns "$1"
        ip link set "$1-$3" master "$2" up
        ip -n "$1" addr add "$4" dev "$3"
        ip -n "$1" link set "$3" up
        # That nobody is at an address is known in a second.
        ip netns exec "$1" sysctl -qw "net.ipv4.neigh.$3.retrans_time_ms=300"' sh "$@"
}

# What both kinds of machine begin with.
own_folders='
    for d in /root /home /tmp /var/tmp /dev/shm; do mount -t tmpfs -o mode=700 none $d || exit; done
    mkdir -m 700 /root/.ssh
    cp /run/keys/authorized /root/.ssh/authorized_keys
    rm -f /run/keys/plain.$0 /run/keys/pid.$0'

host() {
    local commands=${2:-} stays=${3:-}
    [ -n "$commands" ] || stays=stays
    [ -z "$stays" ] || ! box test -e "/run/keys/plain.$1" || return 0
    no_host "$1"
    # It writes its number when it listens.
    if ! box ip netns exec "${1%:*}" sh -c "$own_folders
        $commands"'
        /usr/sbin/sshd -f /run/keys/sshd_config -p "$1" -h "${host_key:-/run/keys/host}" -o PidFile=/run/keys/pid.$0 -E /run/keys/log.$0 ${sshd_with:-}' \
        "$1" "$(port_of "$1")" >"$TEST_DIR/host.$1" 2>&1 3>&- || ! wait_for 20 box test -s "/run/keys/pid.$1"; then
        cat "$TEST_DIR/host.$1"
        box cat "/run/keys/log.$1"
        return 1
    fi
    [ -z "$stays" ] || box touch "/run/keys/plain.$1"
}

port_of() {
    case $1 in
    *:*) echo "${1#*:}" ;;
    *) echo 22 ;;
    esac
}

# Nobody listens there.
no_host() {
    listening "$1" || return 0
    box sh -c 'kill "$(cat "/run/keys/pid.$1")"; rm -f "/run/keys/plain.$1"' sh "$1"
    wait_for 20 not_listening "$1"
}

machine() {
    no_host "$1"
    box ip netns exec "$1" sh -c "$own_folders"'
        echo $$ >/run/keys/pid.$0
        '"$2"'
        '"$3" "$1" >"$TEST_DIR/host.$1" 2>&1 3>&- &
    wait_for 20 listening "$1" || {
        cat "$TEST_DIR/host.$1"
        return 1
    }
}

listening() {
    [ -n "$(box ip netns exec "${1%:*}" ss -Hltn "sport = :$(port_of "$1")")" ]
}

not_listening() {
    ! listening "$1"
}

two_hosts() {
    host a
    host b
}

# Commands for host(): root has the password sesame, and no key.
with_password=': >/root/.ssh/authorized_keys
    perl -e "print join q(:), q(root), crypt(q(sesame), q(\$6\$saltsalt)), 19000, 0, 99999, 7, q(), q(), qq(\n)" >/run/keys/shadow
    mount --bind /run/keys/shadow /etc/shadow
    sshd_with="-o PasswordAuthentication=yes -o KbdInteractiveAuthentication=yes"'

there() {
    run --separate-stderr box "${begin_with[@]}" "$VNPERF" "$@"
    : "${stderr:=}"
    printf '%s\n' "--- $status" "$stderr" "$output" >&2
}

test_ssh() {
    there test "$@"
}

run_there() {
    there run "$@"
}

client() {
    box "${begin_with[@]}" "$@"
}

begin_typed() {
    mkfifo "$TEST_DIR/typed"
    box sh -c 'echo $$ >"$0"; exec "$@"' "$TEST_DIR/pid" "${begin_with[@]}" script -qefc "$(printf '%q ' "$VNPERF" "$@")" /dev/null \
        <"$TEST_DIR/typed" >"$out" 2>&1 3>&- &
    job=$!
    exec 9>"$TEST_DIR/typed"
}

# It ends with 0, and of WORDS that were typed (a pattern) none is to be seen.
# typed_well WORDS
typed_well() {
    local r=0
    wait "$job" || r=$?
    exec 9>&-
    cat "$out"
    [ "$r" -eq 0 ] && [ "$(grep -cE "$1" "$out")" = 0 ]
}

# asked_for WORDS TIMES: so often those words stand on the terminal
asked_for() {
    [ "$(grep -oF "$1" "$out" | wc -l)" = "$2" ]
}

# of ID FILTER: of that scenario of the JSON on stdout
of() {
    json ".scenarios[] | select(.id == \"$1\") | $2"
}

agents() {
    box sh -c 'readlink /proc/[0-9]*/exe | grep vnperf-agent' || true
}

no_agents() {
    [ -z "$(agents)" ]
}

at() {
    local name=$1
    shift
    box sh -c 'exec nsenter --target "$(cat "/run/keys/pid.$0")" --mount --net -- "$@"' "$name" "$@"
}

files_at() {
    at "$1" find /root /tmp /var/tmp /dev/shm -name '*vnperf*'
}

nothing_far() {
    local name found
    wait_for 20 no_agents || {
        agents
        return 1
    }
    for name; do
        found=$(files_at "$name")
        [ -z "$found" ] || {
            echo "at $name: $found"
            return 1
        }
    done
    [ -z "$(ledgers)" ]
}

# TCP data comes in at that machine: arriving NAME [ADDRESS], from there.
arriving() {
    [ -n "$(box ip netns exec "$1" ss -Htn state established "( sport >= :5001 and sport <= :5031 )${2:+ and dst $2}")" ]
}
