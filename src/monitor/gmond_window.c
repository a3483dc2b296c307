/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/gmond_window.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GMOND_INTERVAL_S = 20 }; /* collect_every of CPU in gmond's default configuration */

/* Five values rounded to tenths, one second apart at most, do not differ by so much. */
static const double gmond_apart = 0.1;

static struct gmond_seen *gmond_window_seen(struct gmond_window *w, const char *name,
                                            uint32_t guess)
{
    struct gmond_seen *grown;

    if (guess < w->n && strcmp(w->seen[guess].name, name) == 0)
        return &w->seen[guess];
    for (uint32_t i = 0; i < w->n; i++)
        if (strcmp(w->seen[i].name, name) == 0)
            return &w->seen[i];
    grown = realloc(w->seen, (w->n + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    w->seen = grown;
    grown[w->n] = (struct gmond_seen){0};
    text_copy(grown[w->n].name, sizeof grown->name, name);
    return &grown[w->n++];
}

/* Ages are rounded down: so much older it may be. */
static bool gmond_window_counts(const struct gmond_window *w, const struct gmond_host *host,
                                enum gmond_metric m, uint64_t read_ns)
{
    uint64_t age_ns = ((uint64_t)host->age_s[m] + 1) * CLOCK_S;

    return host->has[m] && (w->any_age || (read_ns > age_ns && read_ns - age_ns >= w->start_ns));
}

static uint64_t gmond_window_when(const struct gmond_host *host, enum gmond_metric m,
                                  uint64_t read_ns)
{
    uint64_t age_ns = (uint64_t)host->age_s[m] * CLOCK_S;

    return read_ns > age_ns ? read_ns - age_ns : 0;
}

/* Of the values that count one number a mode; cpu_system holds interrupts, which are taken out where they are told. */
static void gmond_window_modes(const struct gmond_host *host, const bool *counts,
                               double ret_share[CPU_MODE_COUNT], bool ret_has[CPU_MODE_COUNT])
{
    const double *v = host->value;

    ret_has[CPU_USER] = counts[GMOND_USER];
    ret_share[CPU_USER] = v[GMOND_USER] + (counts[GMOND_NICE] ? v[GMOND_NICE] : 0);
    ret_has[CPU_IDLE] = counts[GMOND_IDLE];
    ret_share[CPU_IDLE] = v[GMOND_IDLE] + (counts[GMOND_WIO] ? v[GMOND_WIO] : 0);
    ret_has[CPU_STEAL] = counts[GMOND_STEAL];
    ret_share[CPU_STEAL] = v[GMOND_STEAL];
    ret_has[CPU_IRQ] = counts[GMOND_INTR];
    ret_share[CPU_IRQ] = v[GMOND_INTR];
    ret_has[CPU_SOFTIRQ] = counts[GMOND_SINTR];
    ret_share[CPU_SOFTIRQ] = v[GMOND_SINTR];
    ret_has[CPU_SYSTEM] = counts[GMOND_SYSTEM];
    ret_share[CPU_SYSTEM] = v[GMOND_SYSTEM] - (counts[GMOND_INTR] ? v[GMOND_INTR] : 0) -
                            (counts[GMOND_SINTR] ? v[GMOND_SINTR] : 0);
    for (int m = 0; m < CPU_MODE_COUNT; m++)
        ret_share[m] = ret_share[m] < 0 ? 0 : ret_share[m] / 100;
}

/*
 * What worked, from its parts or from what did not; negative when neither is known. gmond measures each of its values by itself:
 * where the two ways disagree the parts are of different times, and are taken for none.
 */
static double gmond_window_busy(const double share[CPU_MODE_COUNT], bool has[CPU_MODE_COUNT])
{
    bool parts = has[CPU_USER] && has[CPU_SYSTEM], rest = has[CPU_IDLE];
    double worked = share[CPU_USER] + share[CPU_SYSTEM] + (has[CPU_IRQ] ? share[CPU_IRQ] : 0) +
                    (has[CPU_SOFTIRQ] ? share[CPU_SOFTIRQ] : 0);
    double left = 1 - share[CPU_IDLE] - (has[CPU_STEAL] ? share[CPU_STEAL] : 0);

    if (parts && (rest ? fabs(worked - left) > gmond_apart : worked > 1 + gmond_apart)) {
        has[CPU_USER] = has[CPU_SYSTEM] = has[CPU_IRQ] = has[CPU_SOFTIRQ] = false;
        parts = false;
    }
    if (!parts && !rest)
        return -1;
    if (!parts)
        worked = left;
    return worked < 0 ? 0 : worked > 1 ? 1 : worked;
}

static void gmond_window_host(const struct gmond_window *w, const struct gmond_host *host,
                              uint64_t read_ns, struct gmond_seen *seen)
{
    /* A second and a half: ages are whole seconds, so the same value may seem to move by one. */
    const uint64_t apart_ns = (uint64_t)1500 * CLOCK_MS;
    bool counts[GMOND_METRIC_COUNT], has[CPU_MODE_COUNT];
    double share[CPU_MODE_COUNT], busy;
    uint64_t sample_ns = 0;

    for (int m = 0; m < GMOND_NUM; m++) {
        uint64_t when = gmond_window_when(host, (enum gmond_metric)m, read_ns);

        counts[m] = gmond_window_counts(w, host, (enum gmond_metric)m, read_ns);
        if (host->has[m] && (!seen->has_newest || when > seen->newest_ns))
            seen->newest_ns = when;
        seen->has_newest |= host->has[m];
        if (counts[m] && when > sample_ns)
            sample_ns = when;
    }
    /* The number of CPUs does not age. */
    if (host->has[GMOND_NUM])
        seen->n_cpus = (uint32_t)host->value[GMOND_NUM];
    gmond_window_modes(host, counts, share, has);
    busy = gmond_window_busy(share, has);
    if (busy < 0 || (seen->n_samples && sample_ns < seen->sample_ns + apart_ns))
        return;
    seen->sample_ns = sample_ns;
    seen->n_samples++;
    seen->split |= has[CPU_SOFTIRQ];
    seen->sum_busy += busy;
    seen->max_busy = busy > seen->max_busy ? busy : seen->max_busy;
    for (int m = 0; m < CPU_MODE_COUNT; m++) {
        seen->sum[m] += has[m] ? share[m] : 0;
        seen->n[m] += has[m];
    }
}

int gmond_window_add(struct gmond_window *w, const struct gmond_hosts *hosts, uint64_t read_ns)
{
    for (uint32_t i = 0; i < hosts->n; i++) {
        struct gmond_seen *seen = gmond_window_seen(w, hosts->host[i].name, i);

        if (!seen)
            return -ENOMEM;
        gmond_window_host(w, &hosts->host[i], read_ns, seen);
    }
    return 0;
}

static void gmond_window_note(const struct gmond_window *w, struct node_cpu *node, bool split)
{
    double window_s = (double)(w->end_ns - w->start_ns) / CLOCK_S;
    int used = 0;

    if (!node->has_age)
        text_copy(node->note, sizeof node->note, "gmond tells nothing of its CPU");
    else if (!node->has_busy)
        snprintf(
            node->note, sizeof node->note,
            "gmond's newest value was %.0f s old at the end of the window of %.3g s, and is not "
            "of it: gmond measures about every %d s",
            node->age_s, window_s, GMOND_INTERVAL_S);
    else if (window_s < 2 * GMOND_INTERVAL_S)
        used =
            snprintf(node->note, sizeof node->note,
                     "%u sample%s, the newest %.0f s old; gmond's values are means of about %d s, "
                     "the window has %.3g s",
                     node->n_samples, node->n_samples == 1 ? "" : "s", node->age_s,
                     GMOND_INTERVAL_S, window_s);
    else
        used = snprintf(node->note, sizeof node->note, "%u sample%s, the newest %.0f s old",
                        node->n_samples, node->n_samples == 1 ? "" : "s", node->age_s);
    if (used > 0 && (size_t)used < sizeof node->note && !split)
        snprintf(node->note + used, sizeof node->note - (size_t)used,
                 "; irq and softirq are in its system");
}

int gmond_window_nodes(const struct gmond_window *w, struct node_cpus *nodes)
{
    for (uint32_t i = 0; i < w->n; i++) {
        const struct gmond_seen *seen = &w->seen[i];
        struct node_cpu *node = node_cpus_add(nodes);

        if (!node)
            return -ENOMEM;
        text_copy(node->node, sizeof node->node, seen->name);
        node->source = NODE_CPU_GMOND;
        node->n_cpus = seen->n_cpus;
        node->n_samples = seen->n_samples;
        node->has_age = seen->has_newest;
        node->age_s =
            seen->newest_ns < w->end_ns ? (double)(w->end_ns - seen->newest_ns) / CLOCK_S : 0;
        node->has_busy = seen->n_samples > 0;
        if (node->has_busy) {
            node->busy_share = seen->sum_busy / seen->n_samples;
            node->max_busy_share = seen->max_busy;
        }
        for (int m = 0; m < CPU_MODE_COUNT; m++) {
            node->has[m] = seen->n[m] > 0;
            node->share[m] = seen->n[m] ? seen->sum[m] / seen->n[m] : 0;
        }
        gmond_window_note(w, node, seen->split);
    }
    return 0;
}

void gmond_window_done(struct gmond_window *w)
{
    free(w->seen);
    *w = (struct gmond_window){0};
}
