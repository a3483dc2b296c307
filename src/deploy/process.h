/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Processes named so that no other can be meant: by pid and start time, or by pidfd.
 *
 * units   start in clock ticks after boot; deadlines are CLOCK_MONOTONIC ns
 * source  proc(5) /proc/PID/stat field 22; pidfd_open(2)
 */

/* When the process of that pid was started. errors: -ESRCH none, or it has ended and was not waited for. */
int process_start(pid_t pid, uint64_t *ret_start);

/* A pidfd, owned by the caller. errors: -ESRCH; -ENOSYS */
int process_open(pid_t pid);
/* errors: -ESRCH; -EPERM */
int process_signal(int pidfd, int signal);
/* Wait until it has ended; it need not be our child. errors: -ETIMEDOUT */
int process_wait(int pidfd, uint64_t deadline_ns);
/* The same, and reap our child; 0 also when it was reaped before. errors: -ETIMEDOUT */
int process_reap(int pidfd, uint64_t deadline_ns);

/* Is it our child, running or ended, and not reaped yet? */
bool process_is_child(int pidfd);

/* SIGKILL all that runs in a network namespace and wait until nothing does. errors: -ETIMEDOUT */
int process_empty_netns(int netns_fd, uint64_t deadline_ns);
