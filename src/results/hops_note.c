/* SPDX-License-Identifier: Apache-2.0 */
#include "results/hops_note.h"

#include "base/text.h"
#include "results/doc.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { HOPS_NOTE_SIZE = 640, HOPS_NOTE_NAME = 100 };

struct hops_note {
    void (*note)(void *arg, const char *text);
    void *arg;
};

__attribute__((format(printf, 2, 3))) static void hops_note_say(const struct hops_note *n,
                                                                const char *fmt, ...)
{
    char text[HOPS_NOTE_SIZE], clean[HOPS_NOTE_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    doc_clean(clean, sizeof clean, text);
    n->note(n->arg, clean);
}

static const char *hops_note_name(const json_t *o, const char *key, char ret[HOPS_NOTE_NAME])
{
    doc_clean(ret, HOPS_NOTE_NAME, doc_text(o, key));
    return *ret ? ret : "-";
}

static const char *hops_note_s(uint64_t n) { return n == 1 ? "" : "s"; }

static void hops_note_instrument(const struct hops_note *n, const json_t *hops)
{
    const char *source = doc_text(hops, "source"), *stamp = doc_text(hops, "instrument.stamp");
    char bias[TEXT_SHORT], spread[TEXT_SHORT], cost[TEXT_SHORT], name[32];
    double bias_ns, spread_ns, cost_ns;

    doc_clean(name, sizeof name, source);
    if (!doc_number(hops, "instrument.bias_ns", &bias_ns) ||
        !doc_number(hops, "instrument.bias_spread_ns", &spread_ns) ||
        !doc_number(hops, "instrument.cost_ns", &cost_ns)) {
        /* Files say so by their names. */
        if (*name && strcmp(name, "file") != 0 && strcmp(name, "text") != 0)
            hops_note_say(n, "seen by %s, not calibrated%s%s", name, *stamp ? "; time taken " : "",
                          stamp);
        return;
    }
    hops_note_say(n,
                  "seen by %s%s%s: a hop of no length reads %s here (spread %s), and all points "
                  "together cost %s of CPU a packet",
                  *name ? name : "-", *stamp ? ", time taken " : "", stamp,
                  text_show_time(bias_ns, bias), text_show_time(spread_ns, spread),
                  text_show_time(cost_ns, cost));
}

/* How fast it runs: where that, over all of the capture, is more than what the offset is known to. */
static void hops_note_skew(const json_t *point, double bound_ns, char ret[64])
{
    double share, first_ns, last_ns;

    ret[0] = 0;
    if (doc_number(point, "skew_share", &share) && doc_number(point, "first_ns", &first_ns) &&
        doc_number(point, "last_ns", &last_ns) && fabs(share) * (last_ns - first_ns) > bound_ns)
        snprintf(ret, 64, ", and runs %.3g ppm too %s", fabs(share) * 1e6,
                 share > 0 ? "fast" : "slow");
}

static void hops_note_clock(const struct hops_note *n, const json_t *point)
{
    char name[HOPS_NOTE_NAME], offset[TEXT_SHORT], bound[TEXT_SHORT], skew[64];
    uint64_t packets = doc_count(point, "offset_packets");
    double offset_ns, bound_ns = 0;
    bool bounded = doc_number(point, "offset_bound_ns", &bound_ns);

    if (!doc_number(point, "offset_ns", &offset_ns))
        return;
    hops_note_name(point, "name", name);
    text_show_span(fabs(offset_ns), offset);
    /* One way: a microsecond is what delays vary by at the least. */
    hops_note_skew(point, bounded ? bound_ns : 1000, skew);
    if (!bounded && packets) {
        hops_note_say(n,
                      "clock of %s: packets went one way only, so its offset is not known (%s were "
                      "taken off%s): delays tell how they vary, not how long they are",
                      name, text_show_span(offset_ns, offset), skew);
        return;
    }
    if (packets)
        hops_note_say(n,
                      "clock of %s is %s %s%s: taken off, known to +-%s by %llu packets both ways",
                      name, offset, offset_ns < 0 ? "behind" : "ahead", skew,
                      text_show_time(bound_ns, bound), (unsigned long long)packets);
    else if (bounded)
        hops_note_say(
            n,
            "clock of %s is %s %s: taken off, known to +-%s by how long its agent took to "
            "answer (too few packets went both ways to tell it better)",
            name, offset, offset_ns < 0 ? "behind" : "ahead", text_show_time(bound_ns, bound));
    else if (offset_ns != 0)
        hops_note_say(n, "clock of %s is taken to be %s %s, as --offset says", name, offset,
                      offset_ns < 0 ? "behind" : "ahead");
}

/* Why what is called lost may have been there. */
static void hops_note_bounds(const struct hops_note *n, const json_t *hops)
{
    const json_t *points = doc_at(hops, "points"), *list = doc_at(hops, "hops");
    bool bound = false, told = false;

    for (size_t i = 0; i < json_array_size(list); i++)
        bound = bound || json_is_true(doc_at(json_array_get(list, i), "lost_is_bound"));
    for (size_t i = 0; i < json_array_size(points); i++) {
        const json_t *p = json_array_get(points, i);
        uint64_t drops = doc_count(p, "kernel_drops"), overflow = doc_count(p, "overflow");
        char name[HOPS_NOTE_NAME];

        if (!drops && !overflow)
            continue;
        told = true;
        hops_note_say(
            n,
            "%s did not see all that passed: %llu dropped by the kernel, %llu for want of "
            "room here; losses are at most what is said",
            hops_note_name(p, "name", name), (unsigned long long)drops,
            (unsigned long long)overflow);
    }
    if (bound && !told)
        hops_note_say(n, "<= losses are at most that: not all that passed was captured");
}

static void hops_note_merged(const struct hops_note *n, const json_t *hop, const char *from,
                             const char *to)
{
    char hold[TEXT_SHORT], path[TEXT_SHORT];
    double hold_ns, path_ns;

    if (!doc_number(hop, "hold_ns.p50", &hold_ns) || !doc_number(hop, "path_ns.p50", &path_ns))
        return;
    hops_note_say(n,
                  "%s to %s: %llu packets arrived merged with others (receive offload); in the "
                  "median the first waited %s for the last (hold), and the last took %s (path)",
                  from, to, (unsigned long long)doc_count(hop, "path_ns.count"),
                  text_show_time(hold_ns, hold), text_show_time(path_ns, path));
}

static void hops_note_hop(const struct hops_note *n, const json_t *hop, const char *warning)
{
    uint64_t ambiguous = doc_count(hop, "ambiguous"), later = doc_count(hop, "only_later"),
             more = doc_count(hop, "more_flows");
    char from[HOPS_NOTE_NAME], to[HOPS_NOTE_NAME];
    char bound[TEXT_SHORT];
    double min_ns = 0, bound_ns = 0, mean_ns = 0;

    hops_note_name(hop, "from", from);
    hops_note_name(hop, "to", to);
    if (doc_number(hop, "delay_bound_ns", &bound_ns) &&
        doc_number(hop, "delay_ns.mean", &mean_ns) && bound_ns >= fabs(mean_ns))
        hops_note_say(n,
                      "%s to %s: the clocks of the two are known to +-%s, which is more than the "
                      "delay: it tells how delays vary, not how long they are",
                      from, to, text_show_time(bound_ns, bound));
    if (ambiguous)
        hops_note_say(n,
                      "%s to %s: %llu packet%s cannot be told from others like them: counted as "
                      "ambiguous, in no delay",
                      from, to, (unsigned long long)ambiguous, hops_note_s(ambiguous));
    if (later)
        hops_note_say(n, "%s to %s: %llu packet%s seen at %s and not before it", from, to,
                      (unsigned long long)later, later == 1 ? " was" : "s were", to);
    /* How well clocks are known, and a wrong order, are told already. */
    if (doc_number(hop, "delay_ns.min", &min_ns) && min_ns < -bound_ns &&
        !strstr(warning, "the order given puts"))
        hops_note_say(n,
                      "%s to %s: delays below 0: the clocks of the two points disagree (--offset "
                      "auto estimates by how much, from packets both ways)",
                      from, to);
    if (more)
        hops_note_say(n, "%s to %s: %llu packets of further flows are in the sums only", from, to,
                      (unsigned long long)more);
    hops_note_merged(n, hop, from, to);
}

void hops_note_each(const json_t *hops, void (*note)(void *arg, const char *text), void *arg)
{
    const struct hops_note n = {note, arg};
    const json_t *list = doc_at(hops, "hops"), *points = doc_at(hops, "points");

    hops_note_instrument(&n, hops);
    for (size_t i = 0; i < json_array_size(points); i++)
        hops_note_clock(&n, json_array_get(points, i));
    if (json_is_true(doc_at(hops, "nat")))
        hops_note_say(&n, "addresses or ports change on the way (NAT): packets are told by what "
                          "it leaves as it is");
    hops_note_bounds(&n, hops);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_true(doc_at(json_array_get(list, i), "whole")))
            hops_note_hop(&n, json_array_get(list, i), doc_text(hops, "warning"));
    for (size_t i = 0; i < json_array_size(points); i++) {
        const json_t *p = json_array_get(points, i);
        uint64_t backward = doc_count(p, "backward");
        char name[HOPS_NOTE_NAME], told[HOPS_NOTE_NAME + 32];

        hops_note_name(p, "name", name);
        snprintf(told, sizeof told, "times of point %s go back", name);
        /* By how much stands in the warning of files. */
        if (backward && !strstr(doc_text(hops, "warning"), told))
            hops_note_say(&n, "%s: the time goes back at %llu record%s", name,
                          (unsigned long long)backward, hops_note_s(backward));
    }
    if (*doc_text(hops, "warning"))
        hops_note_say(&n, "%s", doc_text(hops, "warning"));
}
