/* SPDX-License-Identifier: Apache-2.0 */
#include "results/csv.h"

#include "model/metric.h"
#include "results/csv_field.h"
#include "results/doc.h"
#include "results/repeats.h"

#include <string.h>

static const char *const csv_scenario[] = {"id", "name", "protocol", "status", "reason"};
static const char *const csv_measurement[] = {
    "kind",   "transport", "direction", "write_bytes", "payload_bytes", "flows",
    "io",     "peer",      "tool",      "to",          "load",          "imix",
    "gap_ns", "spin",      "pinned",    "warmup_ns",   "port",          "congestion_control",
    "limit"};
static const char *const csv_rtt[] = {"min", "mean", "stddev", "p50", "p90",
                                      "p99", "p999", "p9999",  "max", "count"};
static const char *const csv_words[] = {"limit_reason", "placement", "warning", "error"};
/* Of a repetition its number; of what stands for all of them "median", and what they say together. */
static const char *const csv_repeats[] = {
    "repetition", "outlier",     "repeat_metric",      "repeat_n",        "repeat_median",
    "repeat_low", "repeat_high", "repeat_width_share", "repeat_outliers", "repeat_stopped"};
/* What each side has measured, under "sender_bytes" …; a plain "bytes" is of the whole. */
static const char *const csv_sides[] = {"sender", "receiver"};

enum {
    CSV_SCENARIO = sizeof csv_scenario / sizeof *csv_scenario,
    CSV_MEASUREMENT = sizeof csv_measurement / sizeof *csv_measurement,
    CSV_RTT = sizeof csv_rtt / sizeof *csv_rtt,
    CSV_WORDS = sizeof csv_words / sizeof *csv_words,
    CSV_REPEATS = sizeof csv_repeats / sizeof *csv_repeats,
    CSV_SIDES = sizeof csv_sides / sizeof *csv_sides,
};

static void csv_line_repeats(const json_t *m, const json_t *entry, FILE *out)
{
    const json_t *whole = json_object_get(entry, doc_text(entry, "metric"));
    const json_t *values[] = {doc_at(m, "repetition"),   doc_at(m, "outlier"),
                              doc_at(entry, "metric"),   doc_at(entry, "n"),
                              doc_at(whole, "median"),   doc_at(whole, "low"),
                              doc_at(whole, "high"),     doc_at(entry, "width_share"),
                              doc_at(entry, "outliers"), doc_at(entry, "stopped")};

    for (unsigned i = 0; i < CSV_REPEATS; i++) {
        fputc(',', out);
        if (i == 0 && entry)
            csv_field_text("median", out);
        else
            csv_field_value(values[i], out);
    }
}

/* entry: the measurement stands for its repetitions; else NULL. */
static void csv_line(const char *run_id, const json_t *scenario, const json_t *measurement,
                     const json_t *entry, FILE *out)
{
    const json_t *rtt = doc_at(measurement, "rtt_ns");

    csv_field_text(run_id, out);
    for (unsigned i = 0; i < CSV_SCENARIO; i++) {
        fputc(',', out);
        csv_field_value(doc_at(scenario, csv_scenario[i]), out);
    }
    for (unsigned i = 0; i < CSV_MEASUREMENT; i++) {
        fputc(',', out);
        csv_field_value(doc_at(measurement, csv_measurement[i]), out);
    }
    for (int m = 0; m < METRIC_COUNT_; m++) {
        fputc(',', out);
        csv_field_value(doc_at(measurement, metric_table[m].name), out);
    }
    for (unsigned i = 0; i < CSV_RTT; i++) {
        fputc(',', out);
        csv_field_value(doc_at(rtt, csv_rtt[i]), out);
    }
    for (unsigned i = 0; i < CSV_WORDS; i++) {
        fputc(',', out);
        csv_field_value(doc_at(measurement, csv_words[i]), out);
    }
    csv_line_repeats(measurement, entry, out);
    for (unsigned i = 0; i < CSV_SIDES; i++) {
        const json_t *side = doc_at(measurement, csv_sides[i]);

        for (int m = 0; m < METRIC_COUNT_; m++) {
            fputc(',', out);
            csv_field_value(doc_at(side, metric_table[m].name), out);
        }
    }
    fputs("\r\n", out);
}

void csv_print(const json_t *document, FILE *out)
{
    const char *run_id = doc_text(document, "run.id");
    const json_t *scenarios = doc_at(document, "scenarios");

    fputs("run", out);
    for (unsigned i = 0; i < CSV_SCENARIO; i++)
        fprintf(out, ",%s", csv_scenario[i]);
    for (unsigned i = 0; i < CSV_MEASUREMENT; i++)
        fprintf(out, ",%s", csv_measurement[i]);
    for (int m = 0; m < METRIC_COUNT_; m++)
        fprintf(out, ",%s", metric_table[m].name);
    for (unsigned i = 0; i < CSV_RTT; i++)
        fprintf(out, strcmp(csv_rtt[i], "count") == 0 ? ",rtt_%s" : ",rtt_%s_ns", csv_rtt[i]);
    for (unsigned i = 0; i < CSV_WORDS; i++)
        fprintf(out, ",%s", csv_words[i]);
    for (unsigned i = 0; i < CSV_REPEATS; i++)
        fprintf(out, ",%s", csv_repeats[i]);
    for (unsigned i = 0; i < CSV_SIDES; i++)
        for (int m = 0; m < METRIC_COUNT_; m++)
            fprintf(out, ",%s_%s", csv_sides[i], metric_table[m].name);
    fputs("\r\n", out);

    for (size_t i = 0; i < json_array_size(scenarios); i++) {
        const json_t *scenario = json_array_get(scenarios, i),
                     *list = doc_at(scenario, "measurements"), *all = doc_at(scenario, "repeats");

        if (json_array_size(list) == 0)
            csv_line(run_id, scenario, NULL, NULL, out);
        for (size_t k = 0; k < json_array_size(list); k++)
            csv_line(run_id, scenario, json_array_get(list, k), NULL, out);
        for (size_t k = 0; k < json_array_size(all); k++) {
            json_t *typical = repeats_typical(scenario, json_array_get(all, k));

            if (typical)
                csv_line(run_id, scenario, typical, json_array_get(all, k), out);
            json_decref(typical);
        }
    }
}
