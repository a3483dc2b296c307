/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_level log_level = LOG_INFO;
static void (*log_before)(void);

void log_set_level(enum log_level level) { log_level = level; }

void log_set_hook(void (*before)(void)) { log_before = before; }

void log_say(enum log_level level, const char *fmt, ...)
{
    static const char *const word[] = {"error: ", "warning: ", "", "debug: "};
    char line[1024];
    va_list ap;

    if (level > log_level)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (log_before)
        log_before();
    fprintf(stderr, "vnperf: %s%s\n", word[level], line);
}
