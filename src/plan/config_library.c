/* SPDX-License-Identifier: Apache-2.0 */
#define CONFIG_LIBRARY_NAMES
#include "plan/config_library.h"

#include "base/auto.h"
#include "base/library.h"

#include <stdbool.h>

struct config_library config_library;

/* Of one thread: settings are read before there are others. */
int config_library_load(struct err *err)
{
#define CONFIG_LIBRARY_ROW(name) {#name, offsetof(struct config_library, name)},
    static const struct library_row rows[] = {CONFIG_LIBRARY(CONFIG_LIBRARY_ROW)};
#undef CONFIG_LIBRARY_ROW
    static bool loaded;
    int r = 0;

    if (!loaded)
        r = library_open("libyaml-0.so.2", "libyaml-0-2", rows, ARRAY_SIZE(rows), &config_library,
                         err);
    loaded = loaded || r == 0;
    return r;
}
