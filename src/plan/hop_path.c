/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/hop_path.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOP_PATH_ANSWER_S = 10 };

struct hop_path_answer {
    struct hop_path *path;
    bool came, malformed;
    char end[16];
};

/* "PLACE IFNAME KIND in|out [tunnelled]" */
static bool hop_path_point(struct hop_path *path, const char *text)
{
    struct live_point *p = &path->points[path->n_points];
    char name[32], ifname[LIVE_IFNAME_SIZE], kind[16], way[8];
    unsigned place;

    if (sscanf(text, "%u %15s %15s %7s", &place, ifname, kind, way) != 4 || place >= path->n_places)
        return false;
    text_copy(name, sizeof name, path->places[place].name);
    snprintf(p->name, sizeof p->name, "%s%s%s", name, name[0] ? "/" : "", ifname);
    text_copy(p->netns, sizeof p->netns, path->places[place].netns);
    text_copy(p->ifname, sizeof p->ifname, ifname);
    path->tunnelled[path->n_points] = strstr(text, " tunnelled") != NULL;
    /* The same interface twice, out of it and in again, is one point. */
    for (unsigned i = 0; i < path->n_points; i++)
        if (strcmp(path->points[i].name, p->name) == 0)
            return true;
    path->n_points++;
    return true;
}

static void hop_path_hear(void *arg, const struct message *message)
{
    struct hop_path_answer *answer = arg;
    struct hop_path *path = answer->path;
    const struct line *line = &message->line;
    const char *end = line_get(line, "end"), *text = line_get(line, "text");
    uint64_t n = 0;

    if (!line_is(line, "ok"))
        return;
    answer->came = true;
    answer->malformed =
        !end || !text || line_get_u64(line, "points", &n) < 0 || n > HOP_PATH_POINTS;
    text_copy(answer->end, sizeof answer->end, end ? end : "");
    text_copy(path->text, sizeof path->text, text ? text : "");
    text_tame(path->text);
    for (unsigned i = 0; i < n && !answer->malformed; i++) {
        char key[24];
        const char *point;

        snprintf(key, sizeof key, "point%u", i);
        point = line_get(line, key);
        answer->malformed = !point || !hop_path_point(path, point);
    }
}

static void hop_path_put(struct line_out *out, const char *what, unsigned i, const char *value)
{
    char key[24];

    snprintf(key, sizeof key, "%s%u", what, i);
    line_put(out, key, value);
}

static int hop_path_judge(const struct hop_path_answer *answer, struct hop_path *path,
                          struct err *err)
{
    if (!answer->came || answer->malformed)
        return err_set(err, EPROTO, "%s: an answer about a path", path->peer->name);
    path->arrived = strcmp(answer->end, "arrived") == 0;
    if (strcmp(answer->end, "unlearnt") == 0) {
        err_say(err, "%s", path->text);
        return -EAGAIN;
    }
    if (strcmp(answer->end, "unreachable") == 0 || strcmp(answer->end, "loop") == 0) {
        err_say(err, "%s", path->text);
        if (err)
            err->code = EHOSTUNREACH;
        return -EHOSTUNREACH;
    }
    return 0;
}

int hop_path_find(struct peer_set *set, struct hop_path *path, struct err *err)
{
    AUTO(free_p) char *buf = malloc(LINE_MAX_BYTES);
    struct hop_path_answer answer = {.path = path};
    struct call call = {.on_message = hop_path_hear, .arg = &answer}, *calls[] = {&call};
    struct line_out out;
    int r;

    if (!buf)
        return err_set(err, ENOMEM, "memory for a path");
    path->n_points = 0;
    peer_begin(path->peer, &out, buf, LINE_MAX_BYTES, "path");
    line_put_u64(&out, "places", path->n_places);
    for (unsigned i = 0; i < path->n_places; i++) {
        hop_path_put(&out, "place", i, path->places[i].name);
        hop_path_put(&out, "netns", i, path->places[i].netns);
    }
    line_put_u64(&out, "from", path->from);
    line_put(&out, "to", path->to);
    line_put(&out, "nat_to", path->nat_to ? path->nat_to : "");
    r = peer_send(path->peer, &out, &call, err);
    if (r == 0)
        r = peer_wait(set, calls, 1, clock_mono_ns() + (uint64_t)HOP_PATH_ANSWER_S * CLOCK_S, err);
    call_done(&call);
    return r < 0 ? r : hop_path_judge(&answer, path, err);
}

void hop_path_thin(struct hop_path *path, unsigned max, char *ret_text, size_t size)
{
    size_t used = 0;

    *ret_text = 0;
    /* Inside a tunnel first: what the outer packet crosses between its ends is one stretch to who asks about VMs. */
    while (path->n_points > max && max >= 2) {
        unsigned drop = 0;
        int n;

        for (unsigned i = 1; i + 1 < path->n_points && !drop; i++)
            if (path->tunnelled[i] && path->tunnelled[i + 1])
                drop = i;
        if (!drop)
            drop = path->n_points / 2;
        n = snprintf(ret_text + used, used < size ? size - used : 0, "%s%s",
                     used ? ", " : "on the way, and not watched: ", path->points[drop].name);
        used += n > 0 && used + (size_t)n < size ? (size_t)n : 0;
        for (unsigned i = drop; i + 1 < path->n_points; i++) {
            path->points[i] = path->points[i + 1];
            path->tunnelled[i] = path->tunnelled[i + 1];
        }
        path->n_points--;
    }
}

void hop_path_say(struct hops *hops, const char *text)
{
    size_t used = strlen(hops->warning);

    if (*text && used < sizeof hops->warning)
        snprintf(hops->warning + used, sizeof hops->warning - used, "%s%s", used ? "; " : "", text);
}
