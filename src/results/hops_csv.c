/* SPDX-License-Identifier: Apache-2.0 */
#include "results/hops_csv.h"

#include "results/csv_field.h"
#include "results/doc.h"

#include <string.h>

static const char *const hops_csv_hop[] = {"from",      "to",         "whole",         "matched",
                                           "lost",      "loss_share", "lost_is_bound", "duplicated",
                                           "reordered", "only_later", "ambiguous"};
static const char *const hops_csv_delays[] = {"delay", "hold", "path"};
static const char *const hops_csv_delay[] = {"min", "mean", "stddev", "p50", "p90",
                                             "p99", "p999", "p9999",  "max", "count"};

enum {
    HOPS_CSV_HOP = sizeof hops_csv_hop / sizeof *hops_csv_hop,
    HOPS_CSV_DELAYS = sizeof hops_csv_delays / sizeof *hops_csv_delays,
    HOPS_CSV_DELAY = sizeof hops_csv_delay / sizeof *hops_csv_delay,
};

void hops_csv_print(const json_t *hops, FILE *out)
{
    const json_t *list = doc_at(hops, "hops");

    for (unsigned i = 0; i < HOPS_CSV_HOP; i++)
        fprintf(out, "%s%s", i ? "," : "", hops_csv_hop[i]);
    for (unsigned d = 0; d < HOPS_CSV_DELAYS; d++)
        for (unsigned i = 0; i < HOPS_CSV_DELAY; i++)
            fprintf(out, ",%s_%s%s", hops_csv_delays[d], hops_csv_delay[i],
                    strcmp(hops_csv_delay[i], "count") == 0 ? "" : "_ns");
    fputs("\r\n", out);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *hop = json_array_get(list, i);

        for (unsigned k = 0; k < HOPS_CSV_HOP; k++) {
            const json_t *value = doc_at(hop, hops_csv_hop[k]);

            /* Said only where it is so. */
            bool flag = strcmp(hops_csv_hop[k], "whole") == 0 ||
                        strcmp(hops_csv_hop[k], "lost_is_bound") == 0;

            if (k)
                fputc(',', out);
            if (flag && !value)
                fputs("false", out);
            else
                csv_field_value(value, out);
        }
        for (unsigned d = 0; d < HOPS_CSV_DELAYS; d++)
            for (unsigned k = 0; k < HOPS_CSV_DELAY; k++) {
                char path[DOC_KEY_SIZE];

                snprintf(path, sizeof path, "%s_ns.%s", hops_csv_delays[d], hops_csv_delay[k]);
                fputc(',', out);
                csv_field_value(doc_at(hop, path), out);
            }
        fputs("\r\n", out);
    }
}
