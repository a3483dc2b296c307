/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Talk on stderr; called from cmd/ and agent/ only.
 *
 * shape   error: somebody must act; warn: the numbers may be worse than they look; info: what goes on; debug: for -d
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
/* Called before each line is printed, to clear a progress line that stands there; may be NULL. */
void log_set_hook(void (*before)(void));

void log_say(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
