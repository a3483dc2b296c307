# SPDX-License-Identifier: Apache-2.0
# What push.bats adds to the box of hosts: an ordinary user, sudo, a processor of another kind.
# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # shells in the box expand for themselves; names are of the box

load ssh_box

# Commands for host(): a user bob with the password sesame, who may log in with the client's key; SUDOERS are the rules there.
# with_bob SUDOERS
with_bob() {
    printf '%s' '
        chmod 1777 /tmp /var/tmp /dev/shm
        mount -t tmpfs -o mode=755 none /home
        mkdir -p /home/bob/.ssh
        cp /run/keys/authorized /home/bob/.ssh/authorized_keys
        chown -R 4242:4242 /home/bob
        d=/run/keys/etc.$0
        rm -rf $d
        mkdir $d
        (cat /etc/passwd; echo bob:x:4242:4242::/home/bob:/bin/sh) >$d/passwd
        (cat /etc/group; echo bob:x:4242:) >$d/group
        perl -e "print join q(:), q(bob), crypt(q(sesame), q(\$6\$saltsalt)), 19000, 0, 99999, 7, q(), q(), qq(\n)" >$d/shadow
        cat >$d/sudoers <<END
'"$1"'
END
        chmod 440 $d/sudoers
        for f in passwd group shadow sudoers; do mount --bind $d/$f /etc/$f || exit; done'
}

# Who the agents of the box belong to, by their numbers.
agents_users() {
    box sh -c 'for p in /proc/[0-9]*; do
        case $(readlink $p/exe) in *vnperf-agent*) stat -c %u $p ;; esac
    done' | sort -u
}

# What all processes of the box were started with and have in their environment.
box_words() {
    box sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null' | tr '\0' '\n'
}

bobs_files() {
    at "$1" find /home /root /tmp /var/tmp /dev/shm /run/user -name '*vnperf*' 2>/dev/null
}

nobody_far() {
    wait_for 20 no_agents || {
        agents
        return 1
    }
    # Shells and sudos that waited for them.
    wait_for 20 no_sudo
    [ -z "$(bobs_files a)" ] || {
        bobs_files a
        return 1
    }
}

no_sudo() {
    ! box pgrep -x sudo
}
