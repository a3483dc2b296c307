/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/exposition.h"
#include "monitor/number.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { EXPOSITION_LABEL_SIZE = 32, EXPOSITION_MODES = 8 };

/* Beyond that a counter of seconds is none: sixty years; all modes together fit into 64 bits of ns. */
static const double exposition_most_s = 2e9;

static const struct {
    const char *name;
    enum cpu_mode mode;
} exposition_modes[EXPOSITION_MODES] = {
    {"user", CPU_USER},   {"nice", CPU_USER}, {"system", CPU_SYSTEM},   {"idle", CPU_IDLE},
    {"iowait", CPU_IDLE}, {"irq", CPU_IRQ},   {"softirq", CPU_SOFTIRQ}, {"steal", CPU_STEAL}};

/* One line, as far as it has been read. */
struct exposition_cut {
    const char *p, *end;
};

static void exposition_blanks(struct exposition_cut *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
        c->p++;
}

static bool exposition_char(struct exposition_cut *c, char want)
{
    exposition_blanks(c);
    if (c->p == c->end || *c->p != want)
        return false;
    c->p++;
    return true;
}

static size_t exposition_word(struct exposition_cut *c, const char **ret)
{
    exposition_blanks(c);
    *ret = c->p;
    while (c->p < c->end && (*c->p == '_' || *c->p == ':' || (*c->p >= '0' && *c->p <= '9') ||
                             (*c->p >= 'a' && *c->p <= 'z') || (*c->p >= 'A' && *c->p <= 'Z')))
        c->p++;
    return (size_t)(c->p - *ret);
}

/* A quoted value; what does not fit is cut, and is then none that is looked for. */
static bool exposition_quoted(struct exposition_cut *c, char ret[EXPOSITION_LABEL_SIZE])
{
    size_t used = 0;

    if (!exposition_char(c, '"'))
        return false;
    while (c->p < c->end && *c->p != '"') {
        char v = *c->p++;

        if (v == '\\') {
            if (c->p == c->end)
                return false;
            v = *c->p++;
            v = v == 'n' ? '\n' : v;
        }
        if (used < EXPOSITION_LABEL_SIZE - 1)
            ret[used++] = v;
    }
    ret[used] = '\0';
    return exposition_char(c, '"');
}

struct exposition_labels {
    char cpu[EXPOSITION_LABEL_SIZE], mode[EXPOSITION_LABEL_SIZE];
    bool has_cpu, has_mode;
};

static bool exposition_labels(struct exposition_cut *c, struct exposition_labels *ret)
{
    if (!exposition_char(c, '{'))
        return false;
    while (!exposition_char(c, '}')) {
        char value[EXPOSITION_LABEL_SIZE];
        const char *name;
        size_t n = exposition_word(c, &name);

        if (n == 0 || !exposition_char(c, '=') || !exposition_quoted(c, value))
            return false;
        if (n == 3 && memcmp(name, "cpu", 3) == 0) {
            memcpy(ret->cpu, value, sizeof value);
            ret->has_cpu = true;
        } else if (n == 4 && memcmp(name, "mode", 4) == 0) {
            memcpy(ret->mode, value, sizeof value);
            ret->has_mode = true;
        }
        if (!exposition_char(c, ',') && (c->p == c->end || *c->p != '}'))
            return false;
    }
    return ret->has_cpu && ret->has_mode;
}

/* "0" and "cpu0". */
static bool exposition_id(const char *text, uint32_t *ret)
{
    uint32_t id = 0;

    if (strncmp(text, "cpu", 3) == 0)
        text += 3;
    if (!*text || strlen(text) > 6 || strspn(text, "0123456789") != strlen(text))
        return false;
    for (; *text; text++)
        id = id * 10 + (uint32_t)(*text - '0');
    *ret = id;
    return true;
}

static int exposition_add(struct core_cpus *cpus, uint8_t *seen,
                          const struct exposition_labels *labels, double seconds)
{
    struct core_cpu *core;
    unsigned k = 0;
    uint32_t id;

    if (!exposition_id(labels->cpu, &id))
        return -EBADMSG;
    while (k < EXPOSITION_MODES && strcmp(labels->mode, exposition_modes[k].name) != 0)
        k++;
    if (k == EXPOSITION_MODES)
        return 0; /* a newer exporter may know more */
    core = core_cpus_at(cpus, id);
    if (!core)
        return cpus->n_cores == NODE_CPU_MAX_CORES ? 0 : -ENOMEM;
    if (seen[core - cpus->cores] >> k & 1)
        return -EBADMSG;
    seen[core - cpus->cores] |= (uint8_t)(1U << k);
    cpus->has[exposition_modes[k].mode] = true;
    core->ns[exposition_modes[k].mode] += (uint64_t)(seconds * 1e9);
    return 0;
}

/* 0 also when the line is about something else. */
static int exposition_line(const char *line, size_t n, struct core_cpus *cpus, uint8_t *seen)
{
    static const char total[] = "node_cpu_seconds_total", old[] = "node_cpu";
    struct exposition_cut c = {line, line + n};
    struct exposition_labels labels = {0};
    const char *name, *value;
    size_t n_name = exposition_word(&c, &name);
    double seconds;

    if (!(n_name == sizeof total - 1 && memcmp(name, total, n_name) == 0) &&
        !(n_name == sizeof old - 1 && memcmp(name, old, n_name) == 0))
        return 0;
    if (!exposition_labels(&c, &labels))
        return -EBADMSG;
    exposition_blanks(&c);
    value = c.p;
    while (c.p < c.end && *c.p != ' ' && *c.p != '\t' && *c.p != '\r')
        c.p++;
    /* What may follow is a time stamp, which nobody sends. */
    if (!number_parse(value, (size_t)(c.p - value), &seconds) || seconds < 0 ||
        seconds > exposition_most_s)
        return -EBADMSG;
    return exposition_add(cpus, seen, &labels, seconds);
}

int exposition_parse(const char *text, size_t n, struct core_cpus *ret_cpus, struct err *err)
{
    uint8_t seen[NODE_CPU_MAX_CORES] = {0};
    struct core_cpus cpus = {0};
    const char *end = text + n;
    unsigned at = 1;
    int r = 0;

    for (; text < end && r == 0; at++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));

        if (!stop)
            r = -EMSGSIZE;
        else
            r = exposition_line(text, (size_t)(stop - text), &cpus, seen);
        if (r == 0)
            text = stop + 1;
    }
    if (r == 0 && cpus.n_cores == 0) {
        err_say(err, "there is no node_cpu_seconds_total in what came: this is no node exporter's "
                     "/metrics");
        r = -ENODATA;
    } else if (r == -EMSGSIZE) {
        err_say(err, "what came is cut off in line %u", at - 1);
        r = -EBADMSG;
    } else if (r == -EBADMSG) {
        err_say(err, "line %u of what came is no CPU counter", at - 1);
    } else if (r < 0) {
        err_set(err, r, "memory for CPU times");
    }
    if (r < 0) {
        core_cpus_done(&cpus);
        return r;
    }
    *ret_cpus = cpus;
    return 0;
}
