/* SPDX-License-Identifier: Apache-2.0 */
#include "results/table.h"

#include "base/auto.h"
#include "results/csv.h"
#include "results/doc.h"
#include "results/facts_table.h"
#include "results/hops_table.h"
#include "results/json_out.h"
#include "results/node_cpu_json.h"
#include "results/repeats.h"
#include "results/table_column.h"
#include "results/table_text.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>

const char *const table_format_name[TABLE_FORMAT_COUNT] = {"table",  "wide", "json",
                                                           "ndjson", "csv",  "markdown"};

enum { TABLE_LINE_SIZE = 512, TABLE_NOTES = 32 };

/* What is drawn: rows in the document's order, and what belongs under the table. */
struct table {
    FILE *out;
    bool colour, wide;
    struct table_row *rows; /* owned */
    size_t n_rows;
    json_t *typical; /* owned: a list of what stands for repetitions, lent to the rows */
    size_t n_not_chosen;
    const char *notes[TABLE_NOTES]; /* lent by the document */
    unsigned n_notes;
};

int table_format_find(const char *name)
{
    for (int i = 0; i < TABLE_FORMAT_COUNT; i++)
        if (strcmp(table_format_name[i], name) == 0)
            return i;
    return -ENOENT;
}

static const char *table_paint(const struct table *t, const char *code)
{
    return t->colour ? code : "";
}

/* Left out by the user's own choice: counted, not drawn. */
static bool table_not_chosen(const json_t *scenario)
{
    return strcmp(doc_text(scenario, "status"), "skipped") == 0 &&
           strncmp(doc_text(scenario, "reason"), "not chosen", 10) == 0;
}

/* The same sentence stands at many measurements: it is told once, and rows carry its number. */
static unsigned table_note(struct table *t, const char *text)
{
    if (!*text)
        return 0;
    for (unsigned i = 0; i < t->n_notes; i++)
        if (strcmp(t->notes[i], text) == 0)
            return i + 1;
    if (t->n_notes == TABLE_NOTES)
        return 0;
    t->notes[t->n_notes] = text;
    return ++t->n_notes;
}

static void table_add(struct table *t, const json_t *scenario, const json_t *m,
                      const json_t *repeats)
{
    t->rows[t->n_rows++] = (struct table_row){.scenario = scenario,
                                              .measurement = m,
                                              .repeats = repeats,
                                              .note = table_note(t, doc_text(m, "warning"))};
}

/* One row for all repetitions, where the first of them stands. */
static int table_add_typical(struct table *t, const json_t *scenario, const json_t *entry)
{
    json_t *typical;

    if (doc_count(entry, "n") == 0)
        return 0;
    typical = repeats_typical(scenario, entry);
    if (!typical)
        return 0;
    if (json_array_append_new(t->typical, typical) < 0)
        return -ENOMEM;
    table_add(t, scenario, typical, entry);
    return 0;
}

/* Repetitions have rows of their own in the wide table, and where they failed. */
static int table_collect_scenario(struct table *t, const json_t *scenario)
{
    const json_t *list = doc_at(scenario, "measurements"), *all = doc_at(scenario, "repeats");
    size_t n_all = json_array_size(all);
    AUTO(free_p) bool *shown = calloc(n_all + 1, sizeof *shown);

    if (!shown)
        return -ENOMEM;
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *m = json_array_get(list, k);
        size_t at = 0;

        while (at < n_all && !repeats_has(json_array_get(all, at), k))
            at++;
        if (at < n_all && !shown[at]) {
            shown[at] = true;
            if (table_add_typical(t, scenario, json_array_get(all, at)) < 0)
                return -ENOMEM;
        }
        if (at == n_all || t->wide || *doc_text(m, "error"))
            table_add(t, scenario, m, NULL);
    }
    return 0;
}

static int table_collect(struct table *t, const json_t *document)
{
    const json_t *scenarios = doc_at(document, "scenarios");
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(scenarios); i++) {
        const json_t *scenario = json_array_get(scenarios, i);

        n += 1 + json_array_size(doc_at(scenario, "measurements")) +
             json_array_size(doc_at(scenario, "repeats"));
    }
    t->rows = calloc(n + 1, sizeof *t->rows);
    t->typical = json_array();
    if (!t->rows || !t->typical)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(scenarios); i++) {
        const json_t *scenario = json_array_get(scenarios, i);

        if (table_not_chosen(scenario))
            t->n_not_chosen++;
        else if (json_array_size(doc_at(scenario, "measurements")) == 0)
            table_add(t, scenario, NULL, NULL);
        else if (table_collect_scenario(t, scenario) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void table_head(const struct table *t, const json_t *document)
{
    static const struct {
        const char *before, *path, *after;
    } parts[] = {{"run ", "run.id", ""},
                 {", started ", "run.started", ""},
                 {", driver ", "run.driver", ""},
                 {", vnperf ", "run.version", ""}};
    const json_t *node = json_array_get(doc_at(document, "nodes"), 0);
    char text[TABLE_LINE_SIZE];

    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        doc_clean(text, sizeof text, doc_text(document, parts[i].path));
        fprintf(t->out, "%s%s", parts[i].before, *text ? text : "-");
    }
    fputc('\n', t->out);
    if (*doc_text(document, "run.description"))
        table_text_wrap("", doc_text(document, "run.description"), t->out);
    if (node) {
        const unsigned long long n_cpus = doc_count(node, "facts.cpu.usable");
        char kernel[64], cpu[80], cc[24], cpus[32] = "";

        doc_clean(kernel, sizeof kernel, doc_text(node, "facts.system.kernel"));
        doc_clean(cpu, sizeof cpu, doc_text(node, "facts.cpu.model"));
        doc_clean(cc, sizeof cc, doc_text(node, "facts.tcp.congestion_control"));
        /* What failed early has not all facts. */
        if (n_cpus)
            snprintf(cpus, sizeof cpus, ", %llu CPUs", n_cpus);
        snprintf(text, sizeof text, "kernel %s%s%s%s%s, default congestion control %s",
                 *kernel ? kernel : "-", cpus, *cpu ? " (" : "", cpu, *cpu ? ")" : "",
                 *cc ? cc : "-");
        table_text_wrap("", text, t->out);
    }
    if (doc_at(document, "run.repeat.seed")) {
        snprintf(text, sizeof text, "%llu round%s, in an order by seed %llu",
                 (unsigned long long)doc_count(document, "run.repeat.n"),
                 doc_count(document, "run.repeat.n") == 1 ? "" : "s",
                 (unsigned long long)doc_count(document, "run.repeat.seed"));
        table_text_wrap("", text, t->out);
    }
    if (*doc_text(document, "run.error"))
        table_text_wrap("", doc_text(document, "run.error"), t->out);
}

static void table_foot(const struct table *t, const json_t *document)
{
    const json_t *left = doc_at(document, "cleanup.left");
    size_t n_left = json_array_size(left);
    char cpu[NODE_CPU_JSON_LINE];

    if (t->n_rows)
        fputc('\n', t->out);
    for (unsigned i = 0; i < t->n_notes; i++) {
        char head[16];

        snprintf(head, sizeof head, "[%u] ", i + 1);
        table_text_wrap(head, t->notes[i], t->out);
    }
    for (size_t k = 0; node_cpu_json_whole(document, k, cpu); k++)
        table_text_wrap("", cpu, t->out);
    fprintf(t->out, "%llu scenario%s: %llu passed, %llu failed, %llu skipped",
            (unsigned long long)doc_count(document, "summary.total"),
            doc_count(document, "summary.total") == 1 ? "" : "s",
            (unsigned long long)doc_count(document, "summary.passed"),
            (unsigned long long)doc_count(document, "summary.failed"),
            (unsigned long long)doc_count(document, "summary.skipped"));
    if (t->n_not_chosen)
        fprintf(t->out, " (%zu not chosen)", t->n_not_chosen);
    fputc('\n', t->out);
    facts_table_changes(document, "", t->out);
    for (size_t i = 0; i < n_left; i++)
        table_text_wrap("left behind: ", doc_text(json_array_get(left, i), ""), t->out);
    if (n_left == 0 && json_is_true(doc_at(document, "cleanup.done")))
        fputs("nothing left behind\n", t->out);
}

/* The path a scenario is on: its name less the protocol, which TEST says. */
static void table_path(const json_t *scenario, char ret[TABLE_CELL_SIZE])
{
    static const char *const tails[] = {", TCP", ", UDP", ", ICMP", ", Multicast"};
    size_t len;

    doc_clean(ret, TABLE_CELL_SIZE, doc_text(scenario, "name"));
    len = strlen(ret);
    for (unsigned i = 0; i < sizeof tails / sizeof *tails; i++) {
        size_t n = strlen(tails[i]);

        if (len > n && strcmp(ret + len - n, tails[i]) == 0) {
            ret[len - n] = 0;
            return;
        }
    }
}

static const char *table_status_colour(const char *status)
{
    return strncmp(status, "failed", 6) == 0    ? "\033[31m"
           : strncmp(status, "skipped", 7) == 0 ? "\033[33m"
                                                : NULL;
}

/* The rows in libsmartcols; -ENOMEM. */
static int table_fill(const struct table *t, struct libscols_table *tb)
{
    size_t n_columns;
    const struct table_column *columns = table_column_list(&n_columns);

    for (size_t c = 0; c < n_columns; c++)
        if ((t->wide || columns[c].narrow) &&
            !scols_table_new_column(tb, columns[c].heading, 0,
                                    columns[c].right ? SCOLS_FL_RIGHT : 0))
            return -ENOMEM;
    for (size_t i = 0; i < t->n_rows; i++) {
        struct libscols_line *line = scols_table_new_line(tb, NULL);
        size_t at = 0;

        if (!line)
            return -ENOMEM;
        for (size_t c = 0; c < n_columns; c++) {
            char cell[TABLE_CELL_SIZE];

            if (!t->wide && !columns[c].narrow)
                continue;
            columns[c].show(&t->rows[i], columns[c].path, cell);
            if (columns[c].show == table_column_status && table_status_colour(cell))
                scols_cell_set_color(scols_line_get_cell(line, at), table_status_colour(cell));
            if (scols_line_set_data(line, at++, cell) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* What has no column: targets of a search for several, the rise under load, what repetitions say together. */
static void table_asides(const struct table *t, const struct table_row *row, const char *head)
{
    char text[TABLE_REPEATS_SIZE], target[TABLE_CELL_SIZE];

    for (unsigned i = 0; table_column_target(row, i, target); i++)
        table_text_wrap(head, target, t->out);
    table_column_rise(row, target);
    if (*target)
        table_text_wrap(head, target, t->out);
    table_column_repeats(row, text);
    if (*text)
        table_text_wrap(head, text, t->out);
}

/* The machines over a measurement's window; what stands for repetitions has no window of its own. */
static void table_cpu(const struct table *t, const struct table_row *row)
{
    const json_t *nodes = doc_at(row->measurement, "cpu_nodes");
    char line[NODE_CPU_JSON_LINE];

    for (size_t i = 0; i < json_array_size(nodes) && t->wide && !row->repeats; i++) {
        node_cpu_json_line(json_array_get(nodes, i), line);
        table_text_wrap("     ", line, t->out);
    }
}

/* Why a row failed or was skipped. The scenario's own reason stands under its last row. */
static void table_reasons(const struct table *t, size_t i)
{
    const struct table_row *row = &t->rows[i];
    const char *error = doc_text(row->measurement, "error"),
               *reason = doc_text(row->scenario, "reason");
    bool last = i + 1 == t->n_rows || t->rows[i + 1].scenario != row->scenario;

    /* "repetition 3 of 10: …" tells it too. */
    if (*error && !(last && strstr(reason, error)))
        table_text_wrap("     ", error, t->out);
    if (last && *reason)
        table_text_wrap("     ", reason, t->out);
}

/* Where on the scenario's path the time went, under its last row. */
static int table_hops(const struct table *t, size_t i)
{
    const json_t *scenario = t->rows[i].scenario, *hops = doc_at(scenario, "hops");
    const char *reason = doc_text(scenario, "hops_reason");
    int r = 0;

    if (i + 1 < t->n_rows && t->rows[i + 1].scenario == scenario)
        return 0;
    if (json_is_object(hops))
        r = hops_table_inset(hops, t->wide, t->colour, "     ", t->out);
    if (*reason)
        table_text_wrap("     ", reason, t->out);
    return r;
}

/* One row as text, its ends of line and trailing blanks gone; the first one has the headings in front. */
static char *table_row_text(struct libscols_table *tb, size_t i)
{
    struct libscols_line *line = scols_table_get_line(tb, i);
    char *text = NULL;

    if (!line || scols_table_print_range_to_string(tb, line, line, &text) < 0 || !text) {
        free(text);
        return NULL;
    }
    for (size_t len = strlen(text); len && strchr("\n ", text[len - 1]); len--)
        text[len - 1] = 0;
    return text;
}

/* The table with the name of each path over its rows, so that the name needs no column. */
static int table_draw_rows(const struct table *t, struct libscols_table *tb)
{
    char path[TABLE_CELL_SIZE] = "";

    for (size_t i = 0; i < t->n_rows; i++) {
        AUTO(free_p) char *text = table_row_text(tb, i);
        char *row = text, here[TABLE_CELL_SIZE];

        if (!text)
            return -ENOMEM;
        if (i == 0 && (row = strchr(text, '\n'))) {
            *row++ = 0;
            fprintf(t->out, "%s\n", text);
        }
        table_path(t->rows[i].scenario, here);
        if (!t->wide && (i == 0 || strcmp(here, path) != 0))
            fprintf(t->out, "%s%s%s\n", table_paint(t, "\033[1m"), here, table_paint(t, "\033[0m"));
        memcpy(path, here, sizeof path);
        fprintf(t->out, "%s\n", row ? row : text);
        table_asides(t, &t->rows[i], "     ");
        table_cpu(t, &t->rows[i]);
        table_reasons(t, i);
        if (table_hops(t, i) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int table_draw(const struct table *t)
{
    struct libscols_table *tb;
    int r = -ENOMEM;

    if (t->n_rows == 0)
        return 0;
    tb = scols_new_table();
    if (!tb)
        return -ENOMEM;
    /* The same text on a terminal and in a file; lines that a narrow terminal breaks can still be copied whole. */
    if (scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER) == 0 &&
        scols_table_enable_colors(tb, t->colour) == 0 &&
        scols_table_set_column_separator(tb, "  ") == 0 && table_fill(t, tb) == 0)
        r = table_draw_rows(t, tb);
    scols_unref_table(tb);
    return r;
}

static void table_markdown(const struct table *t)
{
    size_t n_columns;
    const struct table_column *columns = table_column_list(&n_columns);

    for (size_t c = 0; c < n_columns; c++)
        if (columns[c].narrow || strcmp(columns[c].path, "name") == 0)
            fprintf(t->out, "| %s ", columns[c].heading);
    fputs("|\n", t->out);
    for (size_t c = 0; c < n_columns; c++)
        if (columns[c].narrow || strcmp(columns[c].path, "name") == 0)
            fputs(columns[c].right ? "| ---: " : "| --- ", t->out);
    fputs("|\n", t->out);
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t c = 0; c < n_columns; c++) {
            char cell[TABLE_CELL_SIZE];

            if (!columns[c].narrow && strcmp(columns[c].path, "name") != 0)
                continue;
            columns[c].show(&t->rows[i], columns[c].path, cell);
            fputs("| ", t->out);
            table_text_markdown(cell, t->out);
            fputc(' ', t->out);
        }
        fputs("|\n", t->out);
    }
    fputc('\n', t->out);
    for (size_t i = 0; i < t->n_rows; i++) {
        char head[TABLE_CELL_SIZE + 32], id[12], test[TABLE_CELL_SIZE];

        doc_clean(id, sizeof id, doc_text(t->rows[i].scenario, "id"));
        table_column_test(&t->rows[i], "", test);
        snprintf(head, sizeof head, "- %s %s: ", id, test);
        table_asides(t, &t->rows[i], head);
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        const json_t *scenario = t->rows[i].scenario;
        const char *reason = doc_text(scenario, "reason");
        char head[32], id[12];

        if (!*reason || (i && t->rows[i - 1].scenario == scenario))
            continue;
        doc_clean(id, sizeof id, doc_text(scenario, "id"));
        snprintf(head, sizeof head, "- %s: ", id);
        table_text_wrap(head, reason, t->out);
    }
}

static int table_ndjson(const json_t *document, FILE *out, struct err *err)
{
    const json_t *scenarios = doc_at(document, "scenarios");

    for (size_t i = 0; i < json_array_size(scenarios); i++) {
        json_t *line = json_object();
        int bad = 0, r;

        bad |= json_object_set_new(line, "schema", doc_string(doc_text(document, "schema")));
        bad |= json_object_set_new(line, "run", doc_string(doc_text(document, "run.id")));
        if (json_is_object(json_array_get(scenarios, i)))
            bad |= json_object_update_missing(line, json_array_get(scenarios, i));
        r = bad ? err_set(err, ENOMEM, "writing a scenario as JSON")
                : json_out_line(line, out, err);
        json_decref(line);
        if (r < 0)
            return r;
    }
    return 0;
}

static int table_people(const json_t *document, enum table_format format, bool colour, FILE *out)
{
    struct table t = {
        .out = out, .colour = colour && format != TABLE_MARKDOWN, .wide = format == TABLE_WIDE};
    int r = table_collect(&t, document);

    if (r == 0) {
        table_head(&t, document);
        fputc('\n', out);
        if (format == TABLE_MARKDOWN)
            table_markdown(&t);
        else
            r = table_draw(&t);
    }
    if (r == 0)
        table_foot(&t, document);
    json_decref(t.typical);
    free(t.rows);
    return r;
}

int table_print(const json_t *document, enum table_format format, bool colour, FILE *out,
                struct err *err)
{
    int r = 0;

    errno = 0;
    switch (format) {
    case TABLE_JSON:
        return json_out_write(document, out, err);
    case TABLE_NDJSON:
        return table_ndjson(document, out, err);
    case TABLE_CSV:
        csv_print(document, out);
        break;
    case TABLE_TABLE:
    case TABLE_WIDE:
    case TABLE_MARKDOWN:
    case TABLE_FORMAT_COUNT:
        r = table_people(document, format, colour, out);
        break;
    }
    if (r < 0)
        return err_set(err, r, "drawing the table");
    if (fflush(out) == EOF || ferror(out))
        return err_set(err, errno ? errno : EIO, "writing the table");
    return 0;
}
