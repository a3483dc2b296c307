/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an openrc file: values that were set in it, or a sentence that names the line and nothing of a value.
 */
#include "plan/openrc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cloud_access rc = {0};
    struct err err = {0};
    char *text = malloc(size + 1);
    int r;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    r = openrc_parse("rc", text, &rc, &err);
    if (r < 0 && (r != -EINVAL || strncmp(err.text, "rc:", 3) != 0))
        abort();
    for (size_t f = 0; f < CLOUD_FIELDS; f++) {
        if (rc.value[f] && (r < 0 || !rc.value[f][0] || !rc.from[f]))
            abort();
    }
    cloud_access_done(&rc);
    free(text);
    return 0;
}
