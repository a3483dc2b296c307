/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as clouds.yaml: the entry's values, each with its place, or a sentence that names the file.
 */
#include "plan/cloud_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cloud_access access = {0};
    struct config_tree tree = {0};
    struct err err = {0};
    int r = config_tree_parse("f", (const char *)data, size, &tree, &err);

    if (r == 0) {
        r = cloud_file_take(&tree, "a", &access, &err);
        if (r < 0 && ((r != -EINVAL && r != -ENOENT) || strncmp(err.text, "f:", 2) != 0))
            abort();
        if (r == 0 && !access.value[CLOUD_NAME])
            abort();
    }
    for (int f = 0; f < CLOUD_FIELDS; f++)
        if (!access.value[f] != !access.from[f] || (access.value[f] && !access.value[f][0]))
            abort();
    cloud_access_done(&access);
    config_tree_done(&tree);
    return 0;
}
