/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/hops_run.h"
#include "base/auto.h"
#include "base/clock.h"
#include "plan/hop_path.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOPS_QUIT_MS = 500,
    HOPS_CLOCK_ASKS = 5,
    HOPS_COMMAND_S = 600, /* a source command may take so long when --for does not say */
    HOPS_COMMAND_GRACE_MS = 500,
};

struct hops_job {
    const struct hops_options *options;
    const struct hop_sink *sink;
    struct peer_set *set;
    struct run_result *run;
    struct hop_place *places; /* owned; HOP_WATCH_PLACES */
    unsigned n_places;
    struct hops *hops; /* lent: the answer */
    char left_out[256], left_out_back[256];
    char command_end[256]; /* how source commands ended that did not end well */
    bool environment;      /* what failed was an agent, a point or the instrument */
};

/* The place of that machine: an agent of ours is there, or is started. */
static int hops_place(struct hops_job *job, const struct endpoint_text *machine, const char *text,
                      struct hop_place **ret_place, struct err *err)
{
    struct hop_place *place;
    struct peer *peer = NULL;
    char name[48];
    int r;

    /* Beside the agents that send: those sit in their namespaces, this one watches from its machine's own. */
    snprintf(name, sizeof name, "%.38s (points)", text);
    peer = peer_find(job->set, name);
    for (unsigned i = 0; i < job->n_places && peer; i++)
        if (job->places[i].peer == peer) {
            *ret_place = &job->places[i];
            return 0;
        }
    if (job->n_places == HOP_WATCH_PLACES)
        return err_say(err, "points are on more than %d machines", HOP_WATCH_PLACES);
    place = &job->places[job->n_places];
    *place = (struct hop_place){.options = job->options->live};
    place->options.n_points = 0;
    r = pair_run_agent(&job->options->pair, machine, text, name, job->set, job->run, &peer, err);
    if (r < 0)
        return r;
    place->peer = peer;
    job->n_places++;
    *ret_place = place;
    return 0;
}

static int hops_add_point(struct hop_place *place, const struct live_point *point, unsigned index,
                          struct err *err)
{
    if (place->options.n_points == HOP_MAX_POINTS || index >= HOP_MAX_POINTS)
        return err_say(err, "there are more than %d points", HOP_MAX_POINTS);
    place->point[place->options.n_points] = (uint8_t)index;
    place->options.points[place->options.n_points++] = *point;
    return 0;
}

/* ---- the points between two ends ---- */

/* A machine's namespaces that have names, behind its own. */
static void hops_path_names(struct hop_path *path)
{
    AUTO(closedir_p) DIR *dir = opendir("/run/netns");
    const struct dirent *entry;

    while (dir && path->n_places < HOP_PATH_PLACES && (entry = readdir(dir))) {
        struct hop_path_place *p = &path->places[path->n_places];

        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof p->name)
            continue;
        text_copy(p->name, sizeof p->name, entry->d_name);
        snprintf(p->netns, sizeof p->netns, "name:%.31s", entry->d_name);
        path->n_places++;
    }
}

/* Walk from one end on its machine; a name that no namespace has is an error of the endpoint's own. */
static int hops_walk(struct hops_job *job, const struct endpoint_text *end, const char *text,
                     const char *to, struct hop_path *path, struct hop_place **ret_place,
                     struct err *err)
{
    const struct endpoint_text local = {.kind = ENDPOINT_LOCAL};
    bool here = end->kind == ENDPOINT_LOCAL || end->kind == ENDPOINT_NETNS;
    int r = hops_place(job, here ? &local : end, here ? "local" : text, ret_place, err);

    if (r < 0 || !*ret_place)
        return r;
    *path = (struct hop_path){.peer = (*ret_place)->peer, .to = to, .nat_to = "", .n_places = 1};
    if (here)
        hops_path_names(path);
    if (end->kind == ENDPOINT_NETNS) {
        while (path->from < path->n_places && strcmp(path->places[path->from].name, end->arg) != 0)
            path->from++;
        if (path->from == path->n_places)
            return err_set(err, ENOENT, "namespace %s", end->arg);
    }
    return hop_path_find(job->set, path, err);
}

static int hops_put_points(struct hop_place *place, struct hop_path *path, bool backward,
                           unsigned first, struct err *err)
{
    int r = 0;

    for (unsigned i = 0; i < path->n_points && r == 0; i++)
        r = hops_add_point(place, &path->points[backward ? path->n_points - 1 - i : i], first + i,
                           err);
    return r;
}

/*
 * On one machine the walk arrives. Between two it is begun at both ends, each towards the other: that routes are the same both ways
 * is taken for granted where nobody can look.
 */
static int hops_find_path(struct hops_job *job, const struct measure_path *ends, struct err *err)
{
    const struct pair_options *pair = &job->options->pair;
    AUTO(free_p) struct hop_path *there = calloc(1, sizeof *there);
    AUTO(free_p) struct hop_path *back = calloc(1, sizeof *back);
    struct hop_place *place = NULL, *far = NULL;
    char from_address[FLOW_ADDRESS_SIZE];
    int r;

    if (!there || !back)
        return err_set(err, ENOMEM, "memory for a path");
    r = hops_walk(job, &pair->from, pair->from_text, ends->address, there, &place, err);
    if (r == 0 && there->arrived) {
        hop_path_thin(there,
                      job->options->live.source == LIVE_AF_PACKET ? HOP_MAX_POINTS
                                                                  : LIVE_MAX_KERNEL_POINTS,
                      job->left_out, sizeof job->left_out);
        return hops_put_points(place, there, false, 0, err);
    }
    if (r < 0 || !place)
        return err_wrap(err, r, "the way to %s", ends->address);
    r = pair_run_own_address(pair, ends, from_address, sizeof from_address, err);
    if (r == 0)
        r = hops_walk(job, &pair->to, pair->to_text, from_address, back, &far, err);
    if (r < 0 || !far)
        return err_wrap(err, r, "the way back from %s", ends->address);
    if (far == place)
        return err_say(err, "the way to %s cannot be followed to its end: %s (--at names points)",
                       ends->address, there->text);
    hop_path_thin(there, HOP_MAX_POINTS / 2, job->left_out, sizeof job->left_out);
    hop_path_thin(back, HOP_MAX_POINTS / 2, job->left_out_back, sizeof job->left_out_back);
    r = hops_put_points(place, there, false, 0, err);
    return r == 0 ? hops_put_points(far, back, true, there->n_points, err) : r;
}

static int hops_points(struct hops_job *job, struct err *err)
{
    int r = 0;

    for (unsigned i = 0; i < job->options->n_at; i++)
        if (i == 0 ||
            strcmp(job->options->at[i].machine_text, job->options->at[i - 1].machine_text) != 0)
            pair_run_ahead(&job->options->pair, &job->options->at[i].machine);
    for (unsigned i = 0; i < job->options->n_at && r == 0; i++) {
        const struct hops_at *at = &job->options->at[i];
        struct hop_place *place = NULL;

        r = hops_place(job, &at->machine, at->machine_text, &place, err);
        if (r == 0)
            r = hops_add_point(place, &at->point, i, err);
    }
    /* A machine with several points has one agent. */
    spawn_ssh_ahead_end();
    return r;
}

/* An agent that has gone away will not come back: the exit code of machines that cannot be reached. */
static int hops_gone(const struct hops_job *job, struct err *err)
{
    for (unsigned i = 0; i < job->n_places; i++)
        if (job->places[i].peer->gone) {
            err_say(err, "%s", job->places[i].peer->gone_text);
            if (err)
                err->code = EHOSTUNREACH;
            return -EHOSTUNREACH;
        }
    return 0;
}

/* ---- traffic that is not ours ---- */

/* Behind all that a command printed: how it ended, wherever it ran. */
#define HOPS_COMMAND_SCRIPT "sh -c \"$1\"; echo \"vnperf-exit=$?\""
static const char hops_command_mark[] = "vnperf-exit=";

struct hops_command {
    struct spawned spawned;
    char tail[64]; /* the last that it printed */
};

static void hops_command_keep(struct hops_command *c, const char *text, size_t n)
{
    size_t room = sizeof c->tail - 1, have = strlen(c->tail), keep = have;

    if (n > room) {
        text += n - room;
        n = room;
    }
    if (keep > room - n)
        keep = room - n;
    memmove(c->tail, c->tail + have - keep, keep);
    memcpy(c->tail + keep, text, n);
    c->tail[keep + n] = 0;
    /* No text that is cut short by a zero. */
    for (size_t i = 0; i < keep + n; i++)
        if (!c->tail[i])
            c->tail[i] = '?';
}

/* Read away what the commands print, until they have closed it; 0 all have, 1 time is up. */
static int hops_commands_wait(struct hops_job *job, struct hops_command commands[], unsigned n,
                              uint64_t until_ns, struct err *err)
{
    unsigned open = n;

    while (open && clock_mono_ns() < until_ns) {
        struct pollfd pfds[HOPS_MAX_SOURCES];
        uint64_t step = clock_mono_ns() + (uint64_t)100 * CLOCK_MS;
        char text[4096];
        int r = peer_pump(job->set, clock_mono_ns(), err);

        r = r == 0 ? hops_gone(job, err) : r;
        if (r < 0)
            return r;
        for (unsigned i = 0; i < n; i++)
            pfds[i] = (struct pollfd){.fd = commands[i].spawned.out_fd, .events = POLLIN};
        if (poll(pfds, n, clock_ms_until(step < until_ns ? step : until_ns)) < 0 && errno != EINTR)
            return err_set(err, errno, "waiting for the source command");
        for (unsigned i = 0; i < n; i++) {
            ssize_t got = pfds[i].revents ? read(pfds[i].fd, text, sizeof text) : 1;

            if (!pfds[i].revents)
                continue;
            if (got > 0) {
                hops_command_keep(&commands[i], text, (size_t)got);
                continue;
            }
            close(commands[i].spawned.out_fd);
            commands[i].spawned.out_fd = -1;
            open--;
        }
    }
    return open ? 1 : 0;
}

/* What a shell says of a command that is not there is an error; else it may be what is measured: ping that got no answer. */
static int hops_command_ended(struct hops_job *job, const struct hops_command *c, const char *where,
                              struct err *err)
{
    const char *mark = NULL;
    int status;

    for (const char *p = c->tail; (p = strstr(p, hops_command_mark)); p++)
        mark = p;
    status = mark ? atoi(mark + sizeof hops_command_mark - 1) : -1;
    if (status == 0)
        return 0;
    if (status == 126 || status == 127) {
        job->environment = true;
        return err_say(err, "the source command at %s could not be run: '%.200s' (exit status %d)",
                       where, job->options->source_command, status);
    }
    text_add(job->command_end, sizeof job->command_end, "%sthe source command at %s ended with ",
             job->command_end[0] ? "; " : "", where);
    if (status > 0)
        text_add(job->command_end, sizeof job->command_end, "exit status %d", status);
    else
        text_add(job->command_end, sizeof job->command_end, "no exit status");
    return 0;
}

static int hops_commands(struct hops_job *job, struct err *err)
{
    const struct hops_options *o = job->options;
    struct hops_command commands[HOPS_MAX_SOURCES] = {0};
    uint64_t most = o->for_ns ? o->for_ns : (uint64_t)HOPS_COMMAND_S * CLOCK_S;
    char shell[] = "sh", dash_c[] = "-c", script[] = HOPS_COMMAND_SCRIPT,
         command[sizeof o->source_command];
    char *argv[] = {shell, dash_c, script, shell, command, NULL};
    unsigned n = 0;
    int r = 0;

    text_copy(command, sizeof command, o->source_command);
    for (; n < o->n_sources && r == 0; n += r == 0)
        r = pair_run_spawn(&o->pair, &o->sources[n], argv, &commands[n].spawned, err);
    if (r < 0)
        err_wrap(err, r, "starting the source command at %s", o->source_text[n]);
    if (r == 0)
        r = hops_commands_wait(job, commands, n, clock_mono_ns() + most, err);
    if (r == 1 && !o->for_ns)
        r = err_set(err, ETIMEDOUT, "the source command has not ended after %d s", HOPS_COMMAND_S);
    for (unsigned i = 0; i < n; i++)
        spawned_end(&commands[i].spawned, r == 0 ? (uint64_t)HOPS_COMMAND_GRACE_MS * CLOCK_MS : 0);
    /* Of those that the time was up for, nothing is known. */
    for (unsigned i = 0; i < n && r == 0; i++)
        r = hops_command_ended(job, &commands[i], o->source_text[i], err);
    return r < 0 ? r : 0;
}

static int hops_wait(struct hops_job *job, struct err *err)
{
    uint64_t until = clock_mono_ns() + job->options->for_ns;
    int r = 0;

    while (r == 0 && clock_mono_ns() < until) {
        r = peer_pump(job->set, until, err);
        r = r == 0 ? hops_gone(job, err) : r;
    }
    return r;
}

/* ---- all of it ---- */

struct hops_go {
    int (*call)(void *arg, struct err *err);
    void *arg;
};

static int hops_traffic(struct hops_job *job, const struct hops_go *go, struct err *err)
{
    if (job->options->traffic && go->call)
        return go->call(go->arg, err);
    return job->options->source_command[0] ? hops_commands(job, err) : hops_wait(job, err);
}

static int hops_watched(struct hops_job *job, const struct hops_go *go, struct err *err)
{
    struct hop_watch watch;
    struct err close_err = {0};
    bool began;
    int r, closed;

    r = hop_watch_open(&watch, job->set, job->places, job->n_places, job->options->calibrate,
                       job->sink, err);
    job->environment = r < 0 && r != -ECANCELED;
    began = r == 0;
    if (began)
        r = hops_traffic(job, go, err);
    closed = hop_watch_close(&watch, job->hops, &close_err);
    if (r != -ECANCELED && hops_gone(job, NULL) < 0)
        r = hops_gone(job, err);
    /* Nothing was watched: zeros would look as if nothing had passed. */
    if (!began) {
        hops_done(job->hops);
        return r;
    }
    /* The maps of programs in the kernel go with who holds them. */
    if (r == -EHOSTUNREACH && !job->hops->n_points && err)
        text_add(err->text, sizeof err->text,
                 ": what it had counted in the kernel is gone (--capture af_packet keeps it here)");
    hop_path_say(job->hops, job->left_out);
    hop_path_say(job->hops, job->left_out_back);
    hop_path_say(job->hops, job->command_end);
    if (closed < 0 && r == 0 && err)
        *err = close_err;
    return r < 0 ? r : closed;
}

/* A path whose neighbours have not spoken yet is found when some of the traffic has passed. */
static int hops_learn_path(struct hops_job *job, const struct measure_path *ends,
                           const struct hops_go *go, struct err *err)
{
    int r = hops_find_path(job, ends, err);

    if (r != -EAGAIN || !job->options->traffic)
        return r;
    if (err)
        *err = (struct err){0};
    r = go->call(go->arg, err);
    if (r == 0)
        r = hops_find_path(job, ends, err);
    return r;
}

/* ends: NULL without FROM and TO. */
static int hops_do(struct hops_job *job, const struct measure_path *ends, const struct hops_go *go,
                   struct err *err)
{
    int r;

    job->places = calloc(HOP_WATCH_PLACES, sizeof *job->places);
    if (!job->places)
        return err_set(err, ENOMEM, "memory for points");
    job->environment = true;
    r = job->options->path && ends ? hops_learn_path(job, ends, go, err) : hops_points(job, err);
    if (r == 0)
        r = hops_watched(job, go, err);
    free(job->places);
    return r;
}

static int hops_around(void *arg, const struct measure_path *path,
                       int (*go)(void *go_arg, struct err *err), void *go_arg, struct err *err)
{
    struct hops_job *job = arg;
    const struct hops_go traffic = {go, go_arg};

    job->set = path->set;
    return hops_do(job, path, &traffic, err);
}

enum pair_end hops_run(const struct hops_options *options, const struct hop_sink *sink,
                       int interrupt_fd, const struct measure_watch *watch, struct run_result *run,
                       struct hops *ret_hops, struct err *err)
{
    struct peer_set set = {.interrupt_fd = interrupt_fd};
    struct hops_job job = {
        .options = options, .sink = sink, .set = &set, .run = run, .hops = ret_hops};
    const struct pair_around around = {.arg = &job, .call = hops_around};
    const struct hops_go none = {0};
    enum pair_end end;

    *ret_hops = (struct hops){0};
    if (options->has_pair) {
        struct pair_options pair = options->pair;

        pair.around = &around;
        end = pair_run(&pair, interrupt_fd, watch, run, err);
    } else {
        int r = hops_do(&job, NULL, &none, err);

        end = r == 0               ? PAIR_DONE
              : r == -ECANCELED    ? PAIR_INTERRUPTED
              : r == -EHOSTUNREACH ? PAIR_UNREACHABLE
                                   : PAIR_FAILED;
        peer_set_done(&set, (uint64_t)HOPS_QUIT_MS * CLOCK_MS);
    }
    return end == PAIR_FAILED && job.environment ? PAIR_ENVIRONMENT : end;
}
