/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cpu_message.h"
#include "base/auto.h"
#include "wire/bulk.h"

#include <errno.h>

/* Shares are told in parts of a million: a stretch has fewer ticks than that. */
static const double cpu_message_parts = 1e6;

static int cpu_message_number(const struct line *line, const char *key, uint64_t max, uint64_t *ret,
                              struct err *err)
{
    uint64_t v = 0;

    if (line_get_u64(line, key, &v) < 0 || v > max)
        return err_say(err, "%s: %s= is not a number up to %llu", line->verb, key,
                       (unsigned long long)max);
    *ret = v;
    return 0;
}

void cpu_message_put_ask(struct line_out *out, const struct cpu_ask *ask)
{
    line_put_u64(out, "start_ns", ask->start_ns);
    line_put_u64(out, "duration_ns", ask->duration_ns);
    line_put_u64(out, "sample_ns", ask->sample_ns);
}

int cpu_message_get_ask(const struct line *line, struct cpu_ask *ret_ask, struct err *err)
{
    const uint64_t day_ns = 86400ULL * 1000000000;
    struct cpu_ask ask = {0};
    int r;

    if ((r = cpu_message_number(line, "start_ns", UINT64_MAX / 4, &ask.start_ns, err)) < 0 ||
        (r = cpu_message_number(line, "duration_ns", day_ns, &ask.duration_ns, err)) < 0 ||
        (r = cpu_message_number(line, "sample_ns", day_ns, &ask.sample_ns, err)) < 0)
        return r;
    if (ask.sample_ns && ask.duration_ns / ask.sample_ns > CPU_ASK_MAX_SAMPLES)
        return err_say(err, "%s: more than %d samples", line->verb, CPU_ASK_MAX_SAMPLES);
    *ret_ask = ask;
    return 0;
}

void cpu_message_put(struct line_out *out, const struct node_cpu *node)
{
    line_put_u64(out, "covers_ns", node->covers_ns);
    line_put_u64(out, "samples", node->n_samples);
    if (node->has_busy)
        line_put_u64(out, "max_busy_millionths",
                     (uint64_t)(node->max_busy_share * cpu_message_parts + 0.5));
}

int cpu_message_pack(const struct core_cpus *cpus, uint8_t **ret_blob, size_t *ret_n,
                     struct err *err)
{
    struct bulk_out out = {0};
    uint64_t has = 0;

    for (int m = 0; m < CPU_MODE_COUNT; m++)
        has |= (uint64_t)cpus->has[m] << m;
    bulk_put(&out, has);
    bulk_put(&out, cpus->n_cores);
    for (uint32_t i = 0; i < cpus->n_cores; i++) {
        bulk_put(&out, cpus->cores[i].id);
        for (int m = 0; m < CPU_MODE_COUNT; m++)
            bulk_put(&out, cpus->cores[i].ns[m]);
    }
    if (out.failed) {
        bulk_done(&out);
        return err_set(err, ENOMEM, "memory for CPU times");
    }
    *ret_n = out.used;
    *ret_blob = TAKE(out.buf);
    return 0;
}

static int cpu_message_cores(const uint8_t *blob, size_t n_blob, struct core_cpus *cpus)
{
    struct bulk_in in = bulk_in(blob, n_blob);
    uint64_t has = bulk_get(&in);
    uint32_t n = bulk_get_count(&in, NODE_CPU_MAX_CORES);

    for (int m = 0; m < CPU_MODE_COUNT; m++)
        cpus->has[m] = has >> m & 1;
    for (uint32_t i = 0; i < n && !in.bad; i++) {
        uint64_t id = bulk_get(&in);
        struct core_cpu *core = id <= UINT32_MAX ? core_cpus_at(cpus, (uint32_t)id) : NULL;

        if (!core)
            return id <= UINT32_MAX ? -ENOMEM : -EBADMSG;
        for (int m = 0; m < CPU_MODE_COUNT; m++)
            core->ns[m] = bulk_get(&in);
    }
    return in.bad ? -EBADMSG : 0;
}

int cpu_message_get(const struct line *line, const uint8_t *blob, size_t n_blob,
                    struct node_cpu *ret_node, struct err *err)
{
    struct node_cpu node = {.source = NODE_CPU_AGENT};
    uint64_t samples = 0, most = 0;
    int r;

    if ((r = cpu_message_number(line, "covers_ns", UINT64_MAX, &node.covers_ns, err)) < 0 ||
        (r = cpu_message_number(line, "samples", UINT32_MAX, &samples, err)) < 0)
        return r;
    r = cpu_message_cores(blob, n_blob, &node.cores);
    if (r < 0) {
        node_cpu_done(&node);
        return err_set(err, r, "CPU times of an agent");
    }
    node_cpu_sum(&node);
    node.n_samples = (uint32_t)samples;
    node.max_busy_share = node.busy_share;
    if (line_get_u64(line, "max_busy_millionths", &most) == 0 && most <= cpu_message_parts)
        node.max_busy_share = (double)most / cpu_message_parts;
    if (node.max_busy_share < node.busy_share)
        node.max_busy_share = node.busy_share;
    *ret_node = node;
    return 0;
}
