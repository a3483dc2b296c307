/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/driver_fake.h"

#include "base/auto.h"
#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

enum { FAKE_FAULTS = 32, FAKE_RESOURCES = 64, FAKE_LINE = 300, FAKE_LOG = 64 << 10 };

enum fake_what { FAKE_FAIL, FAKE_STEP, FAKE_DIE };

struct fake_fault {
    enum fake_what what;
    char call[FAKE_LINE]; /* the whole call, or its first word */
    uint64_t step;
};

struct driver_state {
    char run_id[64];
};

static struct {
    struct fake_fault fault[FAKE_FAULTS];
    unsigned n_faults;
    char there[FAKE_RESOURCES][FAKE_LINE]; /* "vm:server"; "" a free row */
    char log[FAKE_LOG];
    size_t used;
    unsigned n_steps, n_spawned;
} fake;

void driver_fake_reset(void) { memset(&fake, 0, sizeof fake); }

int driver_fake_fault(const char *text)
{
    struct fake_fault f = {.what = FAKE_FAIL};
    const char *call = NULL;

    if (strncmp(text, "fail step ", 10) == 0) {
        f.what = FAKE_STEP;
        if (text_count(text + 10, 1, 1000000, &f.step, NULL) < 0)
            return -EINVAL;
        call = "";
    } else if (strncmp(text, "fail ", 5) == 0 && text[5]) {
        call = text + 5;
    } else if (strncmp(text, "die spawn", 9) == 0 && (!text[9] || text[9] == ' ')) {
        f.what = FAKE_DIE;
        call = text + 4;
    }
    if (!call || !text_copy(f.call, sizeof f.call, call))
        return -EINVAL;
    if (fake.n_faults == FAKE_FAULTS)
        return -ENOSPC;
    fake.fault[fake.n_faults++] = f;
    return 0;
}

const char *driver_fake_log(void) { return fake.log; }

unsigned driver_fake_n_steps(void) { return fake.n_steps; }

unsigned driver_fake_n_spawned(void) { return fake.n_spawned; }

size_t driver_fake_n_left(void)
{
    size_t n = 0;

    for (size_t i = 0; i < FAKE_RESOURCES; i++)
        n += fake.there[i][0] != 0;
    return n;
}

/* Is it the whole call, or its first word? */
static bool fake_means(const char *asked, const char *call)
{
    size_t len = strlen(asked);

    return strncmp(asked, call, len) == 0 &&
           (!call[len] || (call[len] == ' ' && !strchr(asked, ' ')));
}

static bool fake_faulted(enum fake_what what, const char *call)
{
    for (unsigned i = 0; i < fake.n_faults; i++) {
        const struct fake_fault *f = &fake.fault[i];

        if (f->what == what &&
            (what == FAKE_STEP ? f->step == fake.n_steps : fake_means(f->call, call)))
            return true;
    }
    return false;
}

static void fake_log(const char *line, bool failed)
{
    int n = snprintf(fake.log + fake.used, sizeof fake.log - fake.used, "%s%s\n", line,
                     failed ? " failed" : "");

    if (n > 0 && (size_t)n < sizeof fake.log - fake.used)
        fake.used += (size_t)n;
}

/* One call: counted, and refused when that was asked for. It is logged when its outcome is known. */
static int fake_call(char line[FAKE_LINE], struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fake_call(char line[FAKE_LINE], struct err *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, FAKE_LINE, fmt, ap);
    va_end(ap);
    fake.n_steps++;
    if (fake_faulted(FAKE_FAIL, line) || fake_faulted(FAKE_STEP, line))
        return err_set(err, EIO, "the fake cloud was told to fail at '%s'", line);
    return 0;
}

static int fake_end(const char *line, int r)
{
    fake_log(line, r < 0);
    return r;
}

static char *fake_row(const char *name)
{
    for (size_t i = 0; i < FAKE_RESOURCES; i++)
        if (strcmp(fake.there[i], name) == 0)
            return fake.there[i];
    return NULL;
}

static void fake_name(const struct resource *resource, char ret[FAKE_LINE])
{
    snprintf(ret, FAKE_LINE, "%s:%s", resource_kind_name[resource->kind], resource->name);
}

static int fake_probe(struct err *err)
{
    char line[FAKE_LINE];
    int r = fake_call(line, err, "probe");

    return fake_end(line, r);
}

static int fake_open(const char *run_id, const struct driver_setup *setup,
                     struct driver_state **ret_state, struct err *err)
{
    AUTO(free_p) struct driver_state *state = calloc(1, sizeof *state);
    char line[FAKE_LINE];
    int r = fake_call(line, err, "open %s", run_id);

    (void)
        setup; /* what is in memory cannot outlive us, but the tests want to see what a ledger would keep */
    if (r == 0 && !state)
        r = err_set(err, ENOMEM, "the fake cloud");
    if (r < 0)
        return fake_end(line, r);
    text_copy(state->run_id, sizeof state->run_id, run_id);
    *ret_state = TAKE(state);
    return fake_end(line, 0);
}

static void fake_close(struct driver_state *state)
{
    if (!state)
        return;
    fake.n_steps++;
    fake_log("close", false);
    free(state);
}

static int fake_create(struct driver_state *state, const struct resource *resource,
                       struct placed *ret_placed, struct err *err)
{
    struct placed placed = {.address = "127.0.0.1", .address_v6 = "::1", .mtu = 65536};
    char line[FAKE_LINE], name[FAKE_LINE], *row;
    int r;

    (void)state;
    fake_name(resource, name);
    r = fake_call(line, err, "create %s", name);
    if (fake_row(name))
        return fake_end(line, err_set(err, EEXIST, "%s %s", resource_kind_name[resource->kind],
                                      resource->name));
    row = fake_row("");
    if (!row)
        return fake_end(line, err_set(err, ENOSPC, "the fake cloud"));
    text_copy(row, FAKE_LINE, name);
    if (r < 0)
        return fake_end(line, err_wrap(err, r, "making %s %s", resource_kind_name[resource->kind],
                                       resource->name));
    if (resource->kind == RESOURCE_VM)
        text_copy(placed.floating, sizeof placed.floating, "127.0.0.1");
    *ret_placed = placed;
    return fake_end(line, 0);
}

static int fake_destroy(struct driver_state *state, const struct resource *resource,
                        struct err *err)
{
    char line[FAKE_LINE], name[FAKE_LINE], *row;
    int r;

    (void)state;
    fake_name(resource, name);
    r = fake_call(line, err, "destroy %s", name);
    row = fake_row(name);
    if (r == 0 && row)
        row[0] = 0;
    if (r < 0)
        err_wrap(err, r, "removing %s %s", resource_kind_name[resource->kind], resource->name);
    return fake_end(line, r);
}

static int fake_spawn(struct driver_state *state, const char *name, char *const argv[],
                      struct spawned *ret_spawned, struct err *err)
{
    struct spawned spawned = {0};
    char line[FAKE_LINE];
    int r = fake_call(line, err, "spawn %s", name);

    (void)state;
    if (r == 0)
        r = spawn_local(argv, &spawned, err);
    if (r < 0)
        return fake_end(line, err_wrap(err, r, "starting an agent in %s", name));
    fake.n_spawned++;
    if (fake_faulted(FAKE_DIE, line))
        kill(spawned.pid, SIGKILL);
    *ret_spawned = spawned;
    return fake_end(line, 0);
}

static int fake_describe(struct driver_state *state, const struct resource *resource,
                         char *ret_text, size_t size)
{
    char name[FAKE_LINE];

    (void)state;
    fake_name(resource, name);
    return text_copy(ret_text, size, name) ? 0 : -ENOBUFS;
}

static int fake_clean(const char *text, struct err *err)
{
    char line[FAKE_LINE], *row;
    int r = fake_call(line, err, "clean %s", text);

    if (r < 0)
        return fake_end(line, r);
    if (!text[0] || !strchr(text, ':'))
        return fake_end(line, err_say(err, "'%s' is nothing that the fake cloud makes", text));
    row = fake_row(text);
    if (row)
        row[0] = 0;
    return fake_end(line, row ? 1 : 0);
}

const struct driver driver_fake = {
    .name = "fake",
    .summary = "a cloud in memory, for tests",
    .probe = fake_probe,
    .open = fake_open,
    .close = fake_close,
    .create = fake_create,
    .destroy = fake_destroy,
    .spawn = fake_spawn,
    .describe = fake_describe,
    .clean = fake_clean,
};
