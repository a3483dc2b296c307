/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/probe_doors.h"
#include "wire/channel.h"
#include "wire/line.h"

/*
 * An agent's part in finding out who reaches whom: "doors" opens, "knock" tries others' doors, "shut" closes and tells what came.
 * Each answers its line, or fails with a sentence that the caller sends.
 */
struct probe {
    struct probe_house *house; /* owned; one set of doors at a time */
    uint32_t id;               /* of the line that opened it */
    uint32_t n;
};

int probe_do_doors(struct probe *probe, struct channel *channel, const struct line *line,
                   struct err *err);
/* Takes as long as the line says, at most a minute. */
int probe_do_knock(struct channel *channel, const struct line *line, struct err *err);
int probe_do_shut(struct probe *probe, struct channel *channel, const struct line *line,
                  struct err *err);
void probe_done(struct probe *probe);
