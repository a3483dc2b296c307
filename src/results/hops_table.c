/* SPDX-License-Identifier: Apache-2.0 */
#include "results/hops_table.h"

#include "base/auto.h"
#include "base/text.h"
#include "results/doc.h"
#include "results/hops_csv.h"
#include "results/hops_note.h"
#include "results/hops_waterfall.h"
#include "results/json_out.h"
#include "results/table_text.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>

enum {
    HOPS_TABLE_CELL = 128,
    HOPS_TABLE_FEW = 24, /* flows and parts of a series that the narrow table has of a hop */
};

struct hops_column {
    const char *heading, *path;
    void (*show)(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL]);
    bool right, narrow;
};

struct hops_table {
    FILE *out;
    const char *indent;
    bool colour, wide, markdown;
    unsigned n_notes;
};

static void hops_cell_text(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    doc_clean(ret, HOPS_TABLE_CELL, doc_text(row, path));
    if (!*ret)
        memcpy(ret, "-", 2);
}

static void hops_cell_to(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    size_t len;

    hops_cell_text(row, path, ret);
    len = strlen(ret);
    if (json_is_true(doc_at(row, "whole")))
        snprintf(ret + len, HOPS_TABLE_CELL - len, " (whole)");
}

/* Whole up to seven digits: a person compares them to the last one. */
static void hops_cell_count(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    double v;

    if (!doc_number(row, path, &v) || v < 0)
        memcpy(ret, "-", 2);
    else if (v < 1e7)
        snprintf(ret, HOPS_TABLE_CELL, "%.0f", v);
    else
        text_show_count(v, ret);
}

static void hops_cell_time(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    double v;

    if (doc_number(row, path, &v))
        text_show_time(v, ret);
    else
        memcpy(ret, "-", 2);
}

/* A percentile that no sample can lie beyond is nothing but the largest one. */
static void hops_cell_tail(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    uint64_t least = strcmp(path, "delay_ns.p9999") == 0 ? 10000 : 1000;

    if (doc_count(row, "delay_ns.count") < least)
        memcpy(ret, "-", 2);
    else
        hops_cell_time(row, path, ret);
}

/* "0", "12 0.012 %", "<=12 0.012 %": a loss that is there never reads as 0. */
static void hops_cell_lost(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    char count[HOPS_TABLE_CELL];
    const char *bound = json_is_true(doc_at(row, "lost_is_bound")) ? "<=" : "";
    double share = 0;

    hops_cell_count(row, path, count);
    if (!doc_number(row, "loss_share", &share) || share <= 0 || share > 1)
        snprintf(ret, HOPS_TABLE_CELL, "%s%.40s", bound, count);
    else if (share < 0.00001)
        snprintf(ret, HOPS_TABLE_CELL, "%s%.40s <.001 %%", bound, count);
    else
        snprintf(ret, HOPS_TABLE_CELL, "%s%.40s %.*f %%", bound, count,
                 share < 0.01  ? 3
                 : share < 0.1 ? 2
                 : share < 1   ? 1
                               : 0,
                 share * 100);
}

/* "tcp", or a number. */
static void hops_cell_protocol(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    if (json_is_integer(doc_at(row, path)))
        snprintf(ret, HOPS_TABLE_CELL, "%llu", (unsigned long long)doc_count(row, path));
    else
        hops_cell_text(row, path, ret);
}

/* "+-3.2 us", "not bounded". */
static void hops_cell_bound(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    char text[TEXT_SHORT];
    double v;

    if (doc_number(row, path, &v))
        snprintf(ret, HOPS_TABLE_CELL, "+-%s", text_show_time(v, text));
    else
        memcpy(ret, "-", 2);
}

static void hops_cell_skew(const json_t *row, const char *path, char ret[HOPS_TABLE_CELL])
{
    double v;

    if (doc_number(row, path, &v))
        snprintf(ret, HOPS_TABLE_CELL, "%.3g ppm", v * 1e6);
    else
        memcpy(ret, "-", 2);
}

#define HOPS_DELAYS                                                                                \
    {"MIN", "delay_ns.min", hops_cell_time, true, false},                                          \
        {"MEAN", "delay_ns.mean", hops_cell_time, true, true},                                     \
        {"STDDEV", "delay_ns.stddev", hops_cell_time, true, false},                                \
        {"p50", "delay_ns.p50", hops_cell_time, true, true},                                       \
        {"p90", "delay_ns.p90", hops_cell_time, true, false},                                      \
        {"p99", "delay_ns.p99", hops_cell_time, true, true},                                       \
        {"p99.9", "delay_ns.p999", hops_cell_tail, true, false},                                   \
        {"p99.99", "delay_ns.p9999", hops_cell_tail, true, false},                                 \
    {                                                                                              \
        "MAX", "delay_ns.max", hops_cell_time, true, true                                          \
    }

static const struct hops_column hops_columns[] = {
    {"FROM", "from", hops_cell_text, false, true},
    {"TO", "to", hops_cell_to, false, true},
    {"MATCHED", "matched", hops_cell_count, true, true},
    {"LOST", "lost", hops_cell_lost, true, true},
    {"DUP", "duplicated", hops_cell_count, true, true},
    {"REORD", "reordered", hops_cell_count, true, true},
    {"ONLY LATER", "only_later", hops_cell_count, true, false},
    {"AMBIGUOUS", "ambiguous", hops_cell_count, true, false},
    HOPS_DELAYS,
    {"HOLD p50", "hold_ns.p50", hops_cell_time, true, false},
    {"HOLD MAX", "hold_ns.max", hops_cell_time, true, false},
    {"PATH p50", "path_ns.p50", hops_cell_time, true, false},
    {"PATH MAX", "path_ns.max", hops_cell_time, true, false},
    /* Of points with several clocks; else it is left out. */
    {"CLOCKS", "delay_bound_ns", hops_cell_bound, true, true},
};

static const struct hops_column hops_point_columns[] = {
    {"POINT", "name", hops_cell_text, false, true},
    {"SOURCE", "source", hops_cell_text, false, true},
    {"SEEN", "seen", hops_cell_count, true, true},
    {"UNMATCHED", "unmatched", hops_cell_count, true, true},
    {"UNPARSED", "unparsed", hops_cell_count, true, true},
    {"FRAGMENTS", "fragments", hops_cell_count, true, false},
    {"DROPS", "kernel_drops", hops_cell_count, true, true},
    {"OVERFLOW", "overflow", hops_cell_count, true, true},
    {"BACKWARD", "backward", hops_cell_count, true, false},
    {"OFFSET", "offset_ns", hops_cell_time, true, false},
    {"KNOWN TO", "offset_bound_ns", hops_cell_bound, true, false},
    {"SKEW", "skew_share", hops_cell_skew, true, false},
};

static const struct hops_column hops_flow_columns[] = {
    {"PROTOCOL", "protocol", hops_cell_protocol, false, true},
    {"FROM", "from", hops_cell_text, false, true},
    {"TO", "to", hops_cell_text, false, true},
    {"MATCHED", "matched", hops_cell_count, true, true},
    {"LOST", "lost", hops_cell_lost, true, true},
    {"DUP", "duplicated", hops_cell_count, true, false},
    {"REORD", "reordered", hops_cell_count, true, false},
    {"AMBIGUOUS", "ambiguous", hops_cell_count, true, false},
    HOPS_DELAYS,
};

static const struct hops_column hops_series_columns[] = {
    {"AT", "start_ns", hops_cell_time, true, true},
    {"MATCHED", "matched", hops_cell_count, true, true},
    {"LOST", "lost", hops_cell_lost, true, true},
    {"MIN", "min_ns", hops_cell_time, true, true},
    {"MEAN", "mean_ns", hops_cell_time, true, true},
    {"MAX", "max_ns", hops_cell_time, true, true},
};

static void hops_table_heading(const struct hops_table *t, const char *text)
{
    if (t->markdown)
        fprintf(t->out, "%s\n\n", text);
    else
        fprintf(t->out, "%s%s%s%s\n", t->indent, t->colour ? "\033[1m" : "", text,
                t->colour ? "\033[0m" : "");
}

static void hops_table_markdown(const struct hops_table *t, const struct hops_column *columns,
                                size_t n_columns, const json_t *rows, size_t n_rows)
{
    for (size_t c = 0; c < n_columns; c++)
        if (columns[c].narrow)
            fprintf(t->out, "| %s ", columns[c].heading);
    fputs("|\n", t->out);
    for (size_t c = 0; c < n_columns; c++)
        if (columns[c].narrow)
            fputs(columns[c].right ? "| ---: " : "| --- ", t->out);
    fputs("|\n", t->out);
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t c = 0; c < n_columns; c++) {
            char cell[HOPS_TABLE_CELL];

            if (!columns[c].narrow)
                continue;
            columns[c].show(json_array_get(rows, i), columns[c].path, cell);
            fputs("| ", t->out);
            table_text_markdown(cell, t->out);
            fputc(' ', t->out);
        }
        fputs("|\n", t->out);
    }
}

/* The rows in libsmartcols; -ENOMEM. */
static int hops_table_fill(const struct hops_table *t, struct libscols_table *tb,
                           const struct hops_column *columns, size_t n_columns, const json_t *rows,
                           size_t n_rows)
{
    for (size_t c = 0; c < n_columns; c++)
        if ((t->wide || columns[c].narrow) &&
            !scols_table_new_column(tb, columns[c].heading, 0,
                                    columns[c].right ? SCOLS_FL_RIGHT : 0))
            return -ENOMEM;
    for (size_t i = 0; i < n_rows; i++) {
        struct libscols_line *line = scols_table_new_line(tb, NULL);
        size_t at = 0;

        if (!line)
            return -ENOMEM;
        for (size_t c = 0; c < n_columns; c++) {
            char cell[HOPS_TABLE_CELL];

            if (!t->wide && !columns[c].narrow)
                continue;
            columns[c].show(json_array_get(rows, i), columns[c].path, cell);
            if (scols_line_set_data(line, at++, cell) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* The drawn text, each line behind the indent and without trailing blanks. */
static int hops_table_emit(const struct hops_table *t, struct libscols_table *tb)
{
    char *text = NULL, *save = NULL;

    if (scols_print_table_to_string(tb, &text) < 0 || !text) {
        free(text);
        return -ENOMEM;
    }
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        for (size_t len = strlen(line); len && line[len - 1] == ' '; len--)
            line[len - 1] = 0;
        fprintf(t->out, "%s%s\n", t->indent, line);
    }
    free(text);
    return 0;
}

static int hops_table_rows(const struct hops_table *t, const struct hops_column *columns,
                           size_t n_columns, const json_t *rows, size_t n_rows)
{
    struct libscols_table *tb;
    int r = -ENOMEM;

    if (n_rows == 0)
        return 0;
    if (t->markdown) {
        hops_table_markdown(t, columns, n_columns, rows, n_rows);
        return 0;
    }
    tb = scols_new_table();
    if (!tb)
        return -ENOMEM;
    /* The same text on a terminal and in a file; lines that a narrow terminal breaks can still be copied whole. */
    if (scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER) == 0 &&
        scols_table_set_column_separator(tb, "  ") == 0 &&
        hops_table_fill(t, tb, columns, n_columns, rows, n_rows) == 0)
        r = hops_table_emit(t, tb);
    scols_unref_table(tb);
    return r;
}

/* Flows or parts of a series of each hop that has some. */
static int hops_table_parts(const struct hops_table *t, const json_t *list, const char *key,
                            const char *what, const struct hops_column *columns, size_t n_columns)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        const json_t *hop = json_array_get(list, i), *rows = doc_at(hop, key);
        size_t n = json_array_size(rows),
               shown = t->wide || n < HOPS_TABLE_FEW ? n : HOPS_TABLE_FEW;
        char from[HOPS_TABLE_CELL], to[HOPS_TABLE_CELL], heading[3 * HOPS_TABLE_CELL];

        if (n == 0)
            continue;
        hops_cell_text(hop, "from", from);
        hops_cell_to(hop, "to", to);
        snprintf(heading, sizeof heading, "%s, %s to %s", what, from, to);
        fputc('\n', t->out);
        hops_table_heading(t, heading);
        r = hops_table_rows(t, columns, n_columns, rows, shown);
        if (shown < n)
            fprintf(t->out, "%s… and %zu more (-o wide and --json have them)\n", t->indent,
                    n - shown);
    }
    return r;
}

static void hops_table_note(void *arg, const char *text)
{
    struct hops_table *t = arg;
    char head[HOPS_TABLE_CELL];

    if (t->n_notes++ == 0)
        fputc('\n', t->out);
    snprintf(head, sizeof head, "%s- ", t->indent);
    table_text_wrap(head, text, t->out);
}

static bool hops_table_has_waterfall(const json_t *hops)
{
    const json_t *list = doc_at(hops, "hops");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_true(doc_at(json_array_get(list, i), "whole")))
            return true;
    return false;
}

static void hops_table_waterfall(const struct hops_table *t, const json_t *hops)
{
    if (!hops_table_has_waterfall(hops))
        return;
    fputs(t->markdown ? "\n```\n" : "\n", t->out);
    hops_waterfall_print(hops, t->indent, t->out);
    if (t->markdown)
        fputs("```\n", t->out);
}

static int hops_table_hops(const struct hops_table *t, const json_t *hops)
{
    const json_t *list = doc_at(hops, "hops");
    size_t n = ARRAY_SIZE(hops_columns) - 1;

    if (json_array_size(list) == 0)
        fprintf(t->out, "%sno packet went from one point to another\n", t->indent);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (doc_at(json_array_get(list, i), "delay_bound_ns"))
            n = ARRAY_SIZE(hops_columns);
    return hops_table_rows(t, hops_columns, n, list, json_array_size(list));
}

static int hops_table_people(struct hops_table *t, const json_t *hops)
{
    const json_t *list = doc_at(hops, "hops"), *points = doc_at(hops, "points");
    int r = hops_table_hops(t, hops);

    if (r == 0)
        r = hops_table_parts(t, list, "flows", "Flows", hops_flow_columns,
                             ARRAY_SIZE(hops_flow_columns));
    if (r == 0)
        r = hops_table_parts(t, list, "series", "Series", hops_series_columns,
                             ARRAY_SIZE(hops_series_columns));
    if (r < 0)
        return r;
    hops_table_waterfall(t, hops);
    fputc('\n', t->out);
    r = hops_table_rows(t, hops_point_columns, ARRAY_SIZE(hops_point_columns), points,
                        json_array_size(points));
    if (r == 0)
        hops_note_each(hops, hops_table_note, t);
    return r;
}

static int hops_table_ndjson(const json_t *hops, FILE *out, struct err *err)
{
    const json_t *list = doc_at(hops, "hops");

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *line = json_object();
        int bad = json_object_set_new(line, "schema", doc_string(doc_text(hops, "schema"))), r;

        if (json_is_object(json_array_get(list, i)))
            bad |= json_object_update_missing(line, json_array_get(list, i));
        r = bad ? err_set(err, ENOMEM, "writing a hop as JSON") : json_out_line(line, out, err);
        json_decref(line);
        if (r < 0)
            return r;
    }
    return 0;
}

int hops_table_inset(const json_t *hops, bool wide, bool colour, const char *indent, FILE *out)
{
    struct hops_table t = {.out = out, .indent = indent, .colour = colour, .wide = wide};
    int r = hops_table_hops(&t, hops);

    if (r < 0)
        return r;
    hops_table_waterfall(&t, hops);
    /* No empty line inside a scenario. */
    t.n_notes = 1;
    hops_note_each(hops, hops_table_note, &t);
    return 0;
}

int hops_table_print(const json_t *hops, enum table_format format, bool colour, FILE *out,
                     struct err *err)
{
    struct hops_table t = {.out = out,
                           .indent = "",
                           .colour = colour && format != TABLE_MARKDOWN,
                           .wide = format == TABLE_WIDE,
                           .markdown = format == TABLE_MARKDOWN};
    int r = 0;

    errno = 0;
    switch (format) {
    case TABLE_JSON:
        return json_out_write(hops, out, err);
    case TABLE_NDJSON:
        return hops_table_ndjson(hops, out, err);
    case TABLE_CSV:
        hops_csv_print(hops, out);
        break;
    case TABLE_TABLE:
    case TABLE_WIDE:
    case TABLE_MARKDOWN:
    case TABLE_FORMAT_COUNT:
        r = hops_table_people(&t, hops);
        break;
    }
    if (r < 0)
        return err_set(err, r, "drawing the table");
    if (fflush(out) == EOF || ferror(out))
        return err_set(err, errno ? errno : EIO, "writing the table");
    return 0;
}
