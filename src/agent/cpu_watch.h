/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "wire/channel.h"
#include "wire/cpu_message.h"

/*
 * The CPU of this machine, core by core, over a window that is to come: a thread of its own reads /proc/stat at both edges and
 * between, and answers under the request's id with "cpu" and then "ok", or with "error".
 */
struct cpu_watch;

int cpu_watch_new(struct channel *channel, uint32_t id, const struct cpu_ask *ask,
                  struct cpu_watch **ret_watch, struct err *err);
/* End it, answered or not. Takes NULL. */
void cpu_watch_free(struct cpu_watch *watch);

/* Answer at once with what passed since the machine started, and with the machine's number. */
int cpu_watch_answer(struct channel *channel, uint32_t id, struct err *err);
