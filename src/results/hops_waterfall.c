/* SPDX-License-Identifier: Apache-2.0 */
#include "results/hops_waterfall.h"

#include "base/text.h"
#include "results/doc.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { HOPS_WATERFALL_BAR = 40, HOPS_WATERFALL_LABEL = 256, HOPS_WATERFALL_NAME = 100 };

/* One direction: hops that follow each other, and what they are the parts of. */
struct hops_waterfall {
    const json_t *list;
    size_t first, n;
    const json_t *whole; /* NULL none */
    double sum_ns, scale_ns;
    bool bars; /* no delay is negative */
    size_t label_columns;
};

static bool hops_waterfall_is_whole(const json_t *hop)
{
    return json_is_true(doc_at(hop, "whole"));
}

static void hops_waterfall_label(const json_t *hop, char ret[HOPS_WATERFALL_LABEL])
{
    char from[HOPS_WATERFALL_NAME], to[HOPS_WATERFALL_NAME];

    doc_clean(from, sizeof from, doc_text(hop, "from"));
    doc_clean(to, sizeof to, doc_text(hop, "to"));
    snprintf(ret, HOPS_WATERFALL_LABEL, "%s to %s", from, to);
}

/* The hops from `at` on that lead one into the next. */
static struct hops_waterfall hops_waterfall_next(const json_t *list, size_t at)
{
    struct hops_waterfall w = {.list = list, .first = at, .bars = true};
    size_t n_list = json_array_size(list);

    for (; at < n_list; at++, w.n++) {
        const json_t *hop = json_array_get(list, at);
        char label[HOPS_WATERFALL_LABEL];
        double mean;

        if (hops_waterfall_is_whole(hop) ||
            (w.n &&
             strcmp(doc_text(hop, "from"), doc_text(json_array_get(list, at - 1), "to")) != 0))
            break;
        /* Back again to where it began is the other direction. */
        if (w.n && strcmp(doc_text(hop, "to"), doc_text(json_array_get(list, at - 1), "from")) == 0)
            break;
        hops_waterfall_label(hop, label);
        if (doc_columns(label) > w.label_columns)
            w.label_columns = doc_columns(label);
        if (!doc_number(hop, "delay_ns.mean", &mean))
            continue;
        w.sum_ns += mean;
        w.bars = w.bars && mean >= 0;
    }
    if (at < n_list && hops_waterfall_is_whole(json_array_get(list, at)))
        w.whole = json_array_get(list, at);
    return w;
}

static int hops_waterfall_column(const struct hops_waterfall *w, double ns)
{
    double at = w->scale_ns > 0 ? ns / w->scale_ns * HOPS_WATERFALL_BAR : 0;

    return at < 0 ? 0 : at > HOPS_WATERFALL_BAR ? HOPS_WATERFALL_BAR : (int)lround(at);
}

/* # as far as the median, - from there to the mean; a hop too short for either is still seen. */
static void hops_waterfall_bar(const struct hops_waterfall *w, double begin_ns, double mean,
                               double p50, char ret[HOPS_WATERFALL_BAR + 2])
{
    int begin = hops_waterfall_column(w, begin_ns), end = hops_waterfall_column(w, begin_ns + mean),
        middle = hops_waterfall_column(w, begin_ns + (p50 < mean ? p50 : mean));

    memset(ret, ' ', HOPS_WATERFALL_BAR + 1);
    for (int i = begin; w->bars && i < end; i++)
        ret[i] = i < middle || i == begin ? '#' : '-';
    if (w->bars && begin == end)
        ret[begin] = '|';
    ret[HOPS_WATERFALL_BAR + 1] = 0;
}

static void hops_waterfall_pad(const char *text, size_t columns, FILE *out)
{
    size_t used = doc_columns(text);

    fprintf(out, "%s%*s", text, used < columns ? (int)(columns - used) : 0, "");
}

static void hops_waterfall_hop(const struct hops_waterfall *w, const json_t *hop, const char *label,
                               double begin_ns, const char *indent, FILE *out)
{
    char bar[HOPS_WATERFALL_BAR + 2], time[TEXT_SHORT], median[TEXT_SHORT];
    double mean = 0, p50 = 0;

    fputs(indent, out);
    hops_waterfall_pad(label, w->label_columns, out);
    if (!doc_number(hop, "delay_ns.mean", &mean) || !doc_number(hop, "delay_ns.p50", &p50)) {
        fputs("  no packet was matched\n", out);
        return;
    }
    hops_waterfall_bar(w, begin_ns, mean, p50, bar);
    fprintf(out, "  %s %8s", bar, text_show_time(mean, time));
    if (w->bars && w->scale_ns > 0)
        fprintf(out, "  %5.1f %%", mean / w->scale_ns * 100);
    fprintf(out, "  p50 %s\n", text_show_time(p50, median));
}

/* What the hops give together must be the whole: it is said how far that holds. */
static void hops_waterfall_sum(const struct hops_waterfall *w, const char *indent, FILE *out)
{
    char sum[TEXT_SHORT], whole[TEXT_SHORT];
    double mean = 0, apart = 0;
    bool same = true;

    text_show_time(w->sum_ns, sum);
    if (!doc_number(w->whole, "delay_ns.mean", &mean)) {
        fprintf(out, "%smeans of the hops together: %s\n", indent, sum);
        return;
    }
    for (size_t i = 0; i < w->n; i++)
        same = same && doc_count(json_array_get(w->list, w->first + i), "delay_ns.count") ==
                           doc_count(w->whole, "delay_ns.count");
    fprintf(out, "%smeans of the hops together: %s; of the whole: %s", indent, sum,
            text_show_time(mean, whole));
    if (mean != 0)
        apart = fabs(w->sum_ns - mean) / fabs(mean) * 100;
    /* What a sum of reals leaves in its last digits is nothing. */
    fprintf(out, "; %.2g %% apart", apart < 1e-6 ? 0 : apart);
    fprintf(out, "%s\n",
            same || fabs(w->sum_ns - mean) <= 0.005 * fabs(mean)
                ? ""
                : " (the hops count packets that the whole does not: lost later, or not seen at "
                  "each point)");
}

static void hops_waterfall_draw(struct hops_waterfall *w, const char *indent, FILE *out)
{
    const json_t *first = json_array_get(w->list, w->first),
                 *last = json_array_get(w->list, w->first + w->n - 1);
    char label[HOPS_WATERFALL_LABEL], to[HOPS_WATERFALL_NAME];
    double mean = 0, begin_ns = 0;

    if (doc_number(w->whole, "delay_ns.mean", &mean) && mean < 0)
        w->bars = false;
    w->scale_ns = mean > 0 ? mean : w->sum_ns;
    if (w->whole && w->label_columns < strlen("whole"))
        w->label_columns = strlen("whole");
    doc_clean(label, HOPS_WATERFALL_NAME, doc_text(first, "from"));
    doc_clean(to, sizeof to, doc_text(last, "to"));
    fprintf(out, "%sWhere the time goes, %s to %s%s\n", indent, label, to,
            w->bars ? " (mean; # up to the median)" : " (mean)");
    for (size_t i = 0; i < w->n; i++) {
        const json_t *hop = json_array_get(w->list, w->first + i);

        hops_waterfall_label(hop, label);
        hops_waterfall_hop(w, hop, label, begin_ns, indent, out);
        if (doc_number(hop, "delay_ns.mean", &mean))
            begin_ns += mean;
    }
    if (w->whole)
        hops_waterfall_hop(w, w->whole, "whole", 0, indent, out);
    hops_waterfall_sum(w, indent, out);
}

void hops_waterfall_print(const json_t *hops, const char *indent, FILE *out)
{
    const json_t *list = doc_at(hops, "hops");
    bool drawn = false;

    for (size_t at = 0; at < json_array_size(list);) {
        struct hops_waterfall w = hops_waterfall_next(list, at);

        if (w.n > 1) {
            if (drawn)
                fputc('\n', out);
            hops_waterfall_draw(&w, indent, out);
            drawn = true;
        }
        at += w.n + (w.whole || w.n == 0);
    }
}
