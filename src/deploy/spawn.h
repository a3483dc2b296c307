/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "deploy/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How drivers start programs: what spawn_local() and its sisters, and the commands of the lab, are made of.
 * The functions for everybody are in deploy/driver.h.
 */
enum { SPAWN_DETAIL_SIZE = 96, SPAWN_PASS_FIRST = 7, SPAWN_PASS_MAX = 2 };

struct spawn_request {
    char *const *argv;

    /* 0, or a keeper's pidfd: the program is started in its PID namespace, and in its user namespace when enter_user. */
    int keeper_pidfd;
    bool enter_user;
    int netns_fd;    /* 0, or the network namespace to be in */
    bool own_mounts; /* /sys and /proc of those namespaces, as far as they may be mounted */

    int stdin_fd;                /* 0 a pipe to the caller; else this file */
    int stdout_fd;               /* 0 a pipe to the caller; else this file */
    bool stderr_to_out;          /* stderr goes where stdout goes; else to ours */
    int pass_fd[SPAWN_PASS_MAX]; /* known to the program as 7 and 8; 0 none */

    /* Done in the new process before the program; a failure's detail says at what. May be NULL; may not allocate. */
    int (*prepare)(const void *arg, char detail[SPAWN_DETAIL_SIZE]);
    const void *prepare_arg;
};

/* errors  a sentence that names the program or the step; nothing runs then */
int spawn_start(const struct spawn_request *request, struct spawned *ret_spawned, struct err *err);

/*
 * Run a program to its end with input as its stdin, and collect what it writes to stdout and stderr, cut to size.
 *
 * errors  as spawn_start(); -ETIMEDOUT: it was killed at the deadline
 * returns its exit code; 128 + signal when a signal ended it
 */
int spawn_run(const struct spawn_request *request, const char *input, char *output, size_t size,
              uint64_t deadline_ns, struct err *err);

/* The path of a program: of PATH, or of the folders for administrators that PATH of an ordinary user lacks. */
int spawn_find(const char *program, char *ret_path, size_t size);
