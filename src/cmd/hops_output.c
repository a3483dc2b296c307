/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/hops_output.h"
#include "results/hops_json.h"
#include "results/hops_table.h"
#include "results/json_out.h"

#include <errno.h>
#include <string.h>

int hops_output_print(const struct output_options *options, const struct hops *hops,
                      bool stdout_taken, struct err *err)
{
    json_t *document = hops_json_document(hops);
    struct err table_err = {0};
    int r = 0, table_r = 0;

    if (!document)
        return err_set(err, ENOMEM, "writing the hops as JSON");
    if (options->json[0])
        r = json_out_file(document, options->json, err);
    if (!stdout_taken && strcmp(options->json, "-") != 0)
        table_r = hops_table_print(document, options->format, output_colour(options), stdout,
                                   r < 0 ? &table_err : err);
    json_decref(document);
    return r < 0 ? r : table_r;
}
