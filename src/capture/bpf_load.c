/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/bpf_load.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/hist.h"
#include "capture/bpf_sys.h"

#include <errno.h>
#include <string.h>

#ifdef VNPERF_BPF
#include <bpf_object.h> /* made while building */
#else
static const uint64_t bpf_object_insns[1];
static const struct {
    uint32_t insn;
    const char *map;
} bpf_object_maps[1];
#endif

/* Their buckets become those of a histogram one by one. */
_Static_assert((int)LATENCY_SUB_BITS == (int)HIST_SUB_BITS &&
                   (int)LATENCY_BUCKETS <= (int)HIST_BUCKETS,
               "buckets of the kernel are the first of base/hist.h");

enum { LDDW = 0x18, MAX_INSNS = 16384 };
static const char *const map_names[LATENCY_MAP_COUNT] = {"latency_config", "latency_table",
                                                         "latency_spill",  "latency_spots",
                                                         "latency_pairs",  "latency_order"};

bool bpf_load_built(void)
{
#ifdef VNPERF_BPF
    return true;
#else
    return false;
#endif
}

static int bpf_load_maps(struct bpf_load *load, struct err *err)
{
    uint32_t n = load->n_points, wholes = n > 2 ? 2 : 1;
    const struct {
        enum bpf_sys_map_type type;
        uint32_t value_size, n;
    } rows[LATENCY_MAP_COUNT] = {
        [LATENCY_CONFIG] = {BPF_SYS_ARRAY, sizeof(struct latency_config), 1},
        [LATENCY_TABLE] = {BPF_SYS_ARRAY, sizeof(struct latency_bucket), LATENCY_TABLE_BUCKETS},
        [LATENCY_SPILL] = {BPF_SYS_ARRAY, sizeof(struct latency_bucket), LATENCY_SPILL_BUCKETS},
        [LATENCY_SPOTS] = {BPF_SYS_PERCPU_ARRAY, sizeof(struct latency_spot), 2 * n},
        [LATENCY_PAIRS] = {BPF_SYS_PERCPU_ARRAY, sizeof(struct latency_pair), n * n * wholes},
        [LATENCY_ORDER] = {BPF_SYS_ARRAY, sizeof(struct latency_order),
                           2 * n * LATENCY_FLOWS * wholes},
    };

    for (unsigned i = 0; i < LATENCY_MAP_COUNT; i++) {
        int r = bpf_sys_map(rows[i].type, rows[i].value_size, rows[i].n, map_names[i], err);

        if (r < 0)
            return r;
        load->maps[i] = r;
    }
    return 0;
}

/* The second half of an 8-byte instruction, or its first byte. */
static void bpf_load_set_imm(uint64_t *insn, uint32_t imm)
{
    *insn = (*insn & 0xffffffffULL) | (uint64_t)imm << 32;
}

static int bpf_load_patch(const struct bpf_load *load, uint64_t *insns, size_t n,
                          const uint64_t constants[LATENCY_CONSTANT_COUNT], struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(bpf_object_maps); i++) {
        uint64_t *at = &insns[bpf_object_maps[i].insn];
        unsigned m = 0;

        while (m < LATENCY_MAP_COUNT && strcmp(map_names[m], bpf_object_maps[i].map) != 0)
            m++;
        if (m == LATENCY_MAP_COUNT)
            return err_set(err, EINVAL, "map %s of the programs", bpf_object_maps[i].map);
        /* BPF_PSEUDO_MAP_FD in the source register. */
        at[0] = (at[0] & ~0xf000ULL) | 1ULL << 12;
        bpf_load_set_imm(&at[0], (uint32_t)load->maps[m]);
        bpf_load_set_imm(&at[1], 0);
    }
    for (size_t i = 0; i + 1 < n; i++) {
        uint64_t value;

        if ((insns[i] & 0xff) != LDDW)
            continue;
        value = insns[i] >> 32 | (insns[i + 1] >> 32) << 32;
        if (value >= LATENCY_CONSTANT && value < (LATENCY_CONSTANT) + LATENCY_CONSTANT_COUNT) {
            value = constants[value - (LATENCY_CONSTANT)];
            bpf_load_set_imm(&insns[i], (uint32_t)value);
            bpf_load_set_imm(&insns[i + 1], (uint32_t)(value >> 32));
        }
        i++;
    }
    return 0;
}

static int bpf_load_program(const struct bpf_load_options *options, struct bpf_load *load,
                            unsigned point, unsigned hook, struct err *err)
{
    const uint64_t constants[LATENCY_CONSTANT_COUNT] = {
        [LATENCY_POINT] = point,
        [LATENCY_HOOK] = hook,
        [LATENCY_N_POINTS] = options->n_points,
        [LATENCY_NAT] = options->nat,
        [LATENCY_RAW] = options->raw[point],
        [LATENCY_PROTOCOL] = options->protocol,
        [LATENCY_PORT] = options->port,
        [LATENCY_WINDOW_NS] = options->window_ns,
    };
    size_t n = ARRAY_SIZE(bpf_object_insns), n_filter = options->filter ? options->n_filter : 0;
    AUTO(free_p) uint64_t *insns = calloc(n_filter + n, sizeof *insns);
    int r;

    if (!insns)
        return err_set(err, ENOMEM, "programs for the kernel");
    if (n_filter > 0)
        memcpy(insns, options->filter, n_filter * sizeof *insns);
    memcpy(insns + n_filter, bpf_object_insns, sizeof bpf_object_insns);
    r = bpf_load_patch(load, insns + n_filter, n, constants, err);
    if (r < 0)
        return r;
    r = bpf_sys_load(insns, n_filter + n, "vnperf_hop", err);
    if (r < 0)
        return r;
    load->programs[point][hook] = r;
    return 0;
}

int bpf_load(const struct bpf_load_options *options, struct bpf_load *ret_load, struct err *err)
{
    struct bpf_load load = {.ready = true, .n_points = options->n_points};
    int r = bpf_sys_cpus();

    for (unsigned i = 0; i < LATENCY_MAP_COUNT; i++)
        load.maps[i] = -1;
    for (unsigned p = 0; p < LATENCY_MAX_POINTS; p++)
        load.programs[p][0] = load.programs[p][1] = -1;
    if (!bpf_load_built())
        return err_set(err, EOPNOTSUPP,
                       "this agent was built without clang, so it has no programs");
    if (options->n_points < 1 || options->n_points > LATENCY_MAX_POINTS ||
        options->window_ns > LATENCY_MAX_WINDOW_NS)
        return err_set(err, EINVAL, "%u points, a window of %llu ns", options->n_points,
                       (unsigned long long)options->window_ns);
    if (r < 0)
        return err_set(err, r, "how many CPUs there may be");
    load.n_cpus = (unsigned)r;
    r = bpf_load_maps(&load, err);
    for (unsigned p = 0; r >= 0 && p < options->n_points; p++)
        for (unsigned hook = 0; r >= 0 && hook < 2; hook++)
            if (options->spots[p][hook])
                r = bpf_load_program(options, &load, p, hook, err);
    /* Nothing counts until all are in place. */
    if (r >= 0)
        r = bpf_load_span(&load, UINT64_MAX, UINT64_MAX, 0, err);
    if (r < 0) {
        bpf_load_done(&load);
        return r;
    }
    *ret_load = load;
    return 0;
}

void bpf_load_done(struct bpf_load *load)
{
    if (!load || !load->ready)
        return;
    for (unsigned p = 0; p < LATENCY_MAX_POINTS; p++)
        for (unsigned hook = 0; hook < 2; hook++)
            close_p(&load->programs[p][hook]);
    for (unsigned i = 0; i < LATENCY_MAP_COUNT; i++)
        close_p(&load->maps[i]);
    *load = (struct bpf_load){0};
}

int bpf_load_span(const struct bpf_load *load, uint64_t start_ns, uint64_t stop_ns,
                  uint64_t early_until_ns, struct err *err)
{
    struct latency_config config;
    int r = bpf_sys_lookup(load->maps[LATENCY_CONFIG], 0, &config);

    if (r >= 0) {
        config.start_ns = start_ns;
        config.stop_ns = stop_ns;
        config.early_until = early_until_ns;
        r = bpf_sys_update(load->maps[LATENCY_CONFIG], 0, &config);
    }

    return r < 0 ? err_set(err, r, "starting the programs") : 0;
}

int bpf_load_spot(const struct bpf_load *load, unsigned spot, struct latency_spot *ret_spot)
{
    AUTO(free_p) struct latency_spot *each = calloc(load->n_cpus, sizeof *each);
    struct latency_spot sum = {0};
    int r = each ? bpf_sys_lookup(load->maps[LATENCY_SPOTS], spot, each) : -ENOMEM;

    if (r < 0)
        return r;
    for (unsigned c = 0; c < load->n_cpus; c++) {
        const struct latency_spot *s = &each[c];

        sum.seen += s->seen;
        sum.unparsed += s->unparsed;
        sum.fragments += s->fragments;
        sum.not_selected += s->not_selected;
        sum.first += s->first;
        sum.early += s->early;
        sum.duplicated += s->duplicated;
        sum.ambiguous += s->ambiguous;
        sum.returned += s->returned;
        sum.cut += s->cut;
        sum.overflow += s->overflow;
        if (s->first_ns && (!sum.first_ns || s->first_ns < sum.first_ns))
            sum.first_ns = s->first_ns;
        if (s->last_ns > sum.last_ns)
            sum.last_ns = s->last_ns;
    }
    *ret_spot = sum;
    return 0;
}

int bpf_load_pair(const struct bpf_load *load, unsigned i, struct latency_pair *ret_pair)
{
    AUTO(free_p) struct latency_pair *each = calloc(load->n_cpus, sizeof *each);
    int r = each ? bpf_sys_lookup(load->maps[LATENCY_PAIRS], i, each) : -ENOMEM;

    if (r < 0)
        return r;
    *ret_pair = (struct latency_pair){0};
    for (unsigned c = 0; c < load->n_cpus; c++) {
        const struct latency_pair *p = &each[c];

        ret_pair->merged += p->merged;
        if (p->count == 0)
            continue;
        if (ret_pair->count == 0 || p->min < ret_pair->min)
            ret_pair->min = p->min;
        if (p->max > ret_pair->max)
            ret_pair->max = p->max;
        ret_pair->count += p->count;
        ret_pair->from_first += p->from_first;
        ret_pair->reordered += p->reordered;
        for (unsigned hook = 0; hook < 2; hook++) {
            ret_pair->from_hook[hook] += p->from_hook[hook];
            ret_pair->to_hook[hook] += p->to_hook[hook];
        }
        ret_pair->sum += p->sum;
        ret_pair->squares_low += p->squares_low;
        ret_pair->squares_high += p->squares_high + (ret_pair->squares_low < p->squares_low);
        for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
            ret_pair->bucket[b] += p->bucket[b];
    }
    return 0;
}

int bpf_load_waiting(const struct bpf_load *load, uint64_t younger_ns,
                     uint64_t ret_waiting[2 * LATENCY_MAX_POINTS])
{
    static const struct {
        enum latency_map map;
        unsigned n;
    } tables[] = {{LATENCY_TABLE, LATENCY_TABLE_BUCKETS}, {LATENCY_SPILL, LATENCY_SPILL_BUCKETS}};
    uint64_t now_ns = clock_mono_ns();
    struct latency_config config;
    int r = bpf_sys_lookup(load->maps[LATENCY_CONFIG], 0, &config);

    memset(ret_waiting, 0, 2 * LATENCY_MAX_POINTS * sizeof *ret_waiting);
    for (unsigned t = 0; r >= 0 && t < ARRAY_SIZE(tables); t++) {
        if (tables[t].map == LATENCY_SPILL && config.spill_until == 0)
            break;
        for (unsigned i = 0; r >= 0 && i < tables[t].n; i++) {
            struct latency_bucket b;

            r = bpf_sys_lookup(load->maps[tables[t].map], i, &b);
            for (unsigned k = 0; r >= 0 && k < 2; k++)
                if (b.slot[k].key && b.slot[k].flags == 0 &&
                    (int64_t)(now_ns - b.slot[k].last_ns) < (int64_t)younger_ns)
                    ret_waiting[b.slot[k].spots & 15]++;
        }
    }
    return r < 0 ? r : 0;
}
