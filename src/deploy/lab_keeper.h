/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "deploy/spawn.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The process that a lab hangs on: PID 1 of a PID namespace in which all else of the lab runs.
 *
 * The kernel kills all of a PID namespace with its PID 1. So the end of the keeper is the end of the lab's processes, and
 * the keeper ends when this process does: it watches a pidfd of it and the end of its control socket, which also sees
 * SIGKILL. (PR_SET_PDEATHSIG would look at the thread that forked, not at the process, and would leave no time to remove
 * the ledger.) Network namespaces are made by the keeper and live by the file descriptors that this process got for them:
 * they are anonymous and go with it.
 *
 * For an ordinary user the keeper is also root of a user namespace of its own.
 */
struct lab_keeper {
    pid_t pid;       /* 0 none */
    uint64_t start;  /* process_start() of it */
    int pidfd;       /* owned */
    int control_fd;  /* owned */
    bool enter_user; /* it has a user namespace of its own */
};

/* Must what the lab needs be got through a user namespace? */
bool lab_keeper_wants_user(void);

/* ledger_path: absolute, removed by the keeper when this process dies before lab_keeper_stop(); "" none. */
int lab_keeper_start(const char *ledger_path, struct lab_keeper *ret_keeper, struct err *err);

/* errors  -ESRCH with a sentence: it has ended */
int lab_keeper_check(const struct lab_keeper *keeper, struct err *err);

/* A new network namespace; returns its file descriptor (above 2), owned by the caller. */
int lab_keeper_netns(const struct lab_keeper *keeper, struct err *err);

/* What a program needs to be started among the keeper's. */
void lab_keeper_place(const struct lab_keeper *keeper, struct spawn_request *request);

/*
 * End it and all that runs under it, and wait until they are gone. Programs that this process started there and has not
 * reaped keep their number, and so the keeper: reap them meanwhile by ones (may be NULL), called again and again.
 *
 * errors  -ETIMEDOUT it is still there
 */
int lab_keeper_stop(struct lab_keeper *keeper, void (*reap)(void *arg), void *arg);
