/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/walk.h"
#include "base/auto.h"
#include "base/text.h"
#include "host/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A key with a number behind it. */
static const char *walk_key(char buf[24], const char *what, unsigned i)
{
    snprintf(buf, 24, "%s%u", what, i);
    return buf;
}

static int walk_places(const struct line *line, struct path_place *places, unsigned *ret_n,
                       struct err *err)
{
    uint64_t n = 0;
    char key[24];

    /* A line has room for 128 keys, so 48 places of two keys each. */
    if (line_get_u64(line, "places", &n) < 0 || n < 1 || n > 48)
        return err_say(err, "%s: places= is not 1 to 48", line->verb);
    for (unsigned i = 0; i < n; i++) {
        const char *name = line_get(line, walk_key(key, "place", i));
        const char *netns = line_get(line, walk_key(key, "netns", i));

        if (!name || !netns || !text_copy(places[i].name, sizeof places[i].name, name) ||
            !text_copy(places[i].netns, sizeof places[i].netns, netns))
            return err_say(err, "%s: place %u lacks its name or namespace, or they are too long",
                           line->verb, i);
    }
    *ret_n = (unsigned)n;
    return 0;
}

static int walk_send(struct channel *channel, const struct line *line, const struct path *path,
                     struct err *err)
{
    AUTO(free_p) char *buf = malloc(LINE_MAX_BYTES);
    char key[24], packet[PATH_PACKET_SIZE];
    struct line_out out;

    if (!buf)
        return err_set(err, ENOMEM, "memory for a path");
    line_begin(&out, buf, LINE_MAX_BYTES, line->id, "ok");
    line_put(&out, "end", path_end_name[path->end]);
    line_put(&out, "text", path->text);
    line_put_u64(&out, "place", path->place);
    path_packet_show(&path->packet, packet);
    line_put(&out, "packet", packet);
    line_put_u64(&out, "points", path->n_points);
    for (unsigned i = 0; i < path->n_points; i++) {
        const struct path_point *p = &path->points[i];

        /* One key a point: 32 of them have room in a line. */
        snprintf(packet, sizeof packet, "%u %s %s %s%s", p->place, p->ifname, p->kind,
                 p->outgoing ? "out" : "in", p->tunnelled ? " tunnelled" : "");
        line_put(&out, walk_key(key, "point", i), packet);
    }
    return channel_send(channel, &out, NULL, 0, err);
}

int walk_answer(struct channel *channel, const struct line *line, struct err *err)
{
    AUTO(free_p) struct path_place *places = calloc(PATH_MAX_PLACES, sizeof *places);
    AUTO(free_p) struct path *path = calloc(1, sizeof *path);
    const char *packet = line_get(line, "packet");
    struct path_question question = {.places = places,
                                     .from_ifname = line_get(line, "from_if"),
                                     .to = line_get(line, "to"),
                                     .nat_to = line_get(line, "nat_to")};
    struct path_packet given;
    uint64_t from = 0;
    int r;

    if (!places || !path)
        return err_set(err, ENOMEM, "memory for a path");
    r = walk_places(line, places, &question.n_places, err);
    if (r < 0)
        return r;
    if (line_get_u64(line, "from", &from) < 0 || from >= question.n_places)
        return err_say(err, "%s: from= is no place", line->verb);
    question.from = (unsigned)from;
    if (question.to && !*question.to)
        question.to = NULL;
    if (packet && *packet) {
        r = path_packet_read(packet, &given, err);
        question.packet = &given;
    }
    if (r == 0)
        r = path_find(&question, path, err);
    return r < 0 ? r : walk_send(channel, line, path, err);
}
