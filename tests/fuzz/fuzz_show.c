/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A saved run as anybody may have written it: read back, checked, drawn in every format.
 *
 * What is no run is drawn too: the drawing must not lean on the check.
 */
#include "results/store.h"
#include "results/table.h"

#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static void draw(const json_t *document)
{
    for (int format = 0; format < TABLE_FORMAT_COUNT; format++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        if (!out)
            abort();
        if (table_print(document, (enum table_format)format, format % 2, out, NULL) < 0)
            abort();
        fclose(out);
        free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *document = NULL;
    struct err e = {0};

    if (store_parse("input", (const char *)data, size, &document, &e) < 0) {
        if (!e.text[0])
            abort();
        document = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
        if (!document)
            return 0;
    }
    draw(document);
    json_decref(document);
    return 0;
}
