/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/text.h"
#include "deploy/driver.h"

#include <stdint.h>

/*
 * A program on another host, over SSH: one session, one channel, and a thread that has them for itself. To the caller it is a
 * pair of pipes like any other program (struct spawned). Several hosts: begin them all, then wait for each.
 *
 * The thread reads ~/.ssh/config, connects (itself, or by ProxyCommand and ProxyJump as a process of ours), compares the host
 * key, logs in (agent, keys, what is typed on the terminal), puts the program there (deploy/remote_push.h), and then pumps.
 *
 * errors  -ENOEXEC nothing can run there, or not this; -ENOMEM, -EMFILE … of this machine; -ECANCELED a signal came; any other
 *         code: the host cannot be reached, shows a key that is not known, or refuses the login
 * deadlines  name and connection 10 s; each answer of the host 15 s; a person who types 2 min
 */
struct remote;

/* Begin to reach a host; comes back at once. at, options and argv are copied. owns: ret_remote ends with remote_end() */
int remote_begin(const struct endpoint_text *at, const struct remote_options *options,
                 char *const argv[], struct remote **ret_remote, struct err *err);
/* Wait until the program runs there, with the interrupt_fd and on_wait of options. owns: remote is taken in any case; a success has it in ret_spawned */
int remote_wait(struct remote *remote, const struct remote_options *options,
                struct spawned *ret_spawned, struct err *err);

/* The host's address as we are connected to it; "" none is known, as behind a proxy. */
const char *remote_address(const struct remote *remote);

/*
 * The pipe to the program is closed: give it up to grace_ns to end, then give up the connection, with which it ends by itself.
 * Never waits for a dead host. Takes NULL.
 */
void remote_end(struct remote *remote, uint64_t grace_ns);
