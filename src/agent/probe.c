/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/probe.h"
#include "base/auto.h"
#include "traffic/probe_knock.h"
#include "wire/probe_message.h"

#include <errno.h>
#include <stdlib.h>

int probe_do_doors(struct probe *probe, struct channel *channel, const struct line *line,
                   struct err *err)
{
    struct probe_opened opened[PROBE_MAX_DOORS];
    struct probe_doors doors;
    struct line_out out;
    char buf[1024];
    int r = probe_message_get_doors(line, &doors, err);

    if (r < 0)
        return r;
    if (probe->house)
        return err_set(err, EBUSY, "the doors of request %u are open", probe->id);
    r = probe_doors_open(&doors, opened, &probe->house, err);
    if (r < 0)
        return r;
    probe->id = line->id;
    probe->n = doors.n;
    line_begin(&out, buf, sizeof buf, line->id, "ok");
    probe_message_put_opened(&out, opened, doors.n);
    return channel_send(channel, &out, NULL, 0, err);
}

int probe_do_knock(struct channel *channel, const struct line *line, struct err *err)
{
    AUTO(free_p) struct probe_knocks *knocks = malloc(sizeof *knocks); /* large */
    struct probe_answer answers[PROBE_MAX_KNOCKS];
    struct line_out out;
    char buf[4096];
    int r;

    if (!knocks)
        return err_set(err, ENOMEM, "memory for knocks");
    r = probe_message_get_knocks(line, knocks, err);
    if (r == 0)
        r = probe_knock_all(knocks, answers, err);
    if (r < 0)
        return r;
    line_begin(&out, buf, sizeof buf, line->id, "ok");
    probe_message_put_answers(&out, answers, knocks->n);
    return channel_send(channel, &out, NULL, 0, err);
}

int probe_do_shut(struct probe *probe, struct channel *channel, const struct line *line,
                  struct err *err)
{
    AUTO(free_p) struct probe_heard *heard = calloc(PROBE_MAX_DOORS, sizeof *heard);
    AUTO(free_p) char *buf = malloc(LINE_MAX_BYTES);
    struct line_out out;
    uint64_t id = 0;

    if (!heard || !buf)
        return err_set(err, ENOMEM, "memory for what was heard");
    if (line_get_u64(line, "doors", &id) < 0)
        return err_say(err, "%s lacks doors=NUMBER", line->verb);
    if (!probe->house || probe->id != id)
        return err_say(err, "there are no doors %llu", (unsigned long long)id);
    probe_doors_shut(probe->house, heard);
    probe->house = NULL;
    line_begin(&out, buf, LINE_MAX_BYTES, line->id, "ok");
    probe_message_put_heard(&out, heard, probe->n);
    return channel_send(channel, &out, NULL, 0, err);
}

void probe_done(struct probe *probe)
{
    probe_doors_shut(probe->house, NULL);
    probe->house = NULL;
}
