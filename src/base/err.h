/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>

/*
 * One error: a code and a sentence that grows on its way up, printed once by cmd/ or agent/.
 *
 * shape   code is a positive errno; text reads from the goal down to the cause
 * owns    nothing: the text is inside; a zeroed struct is "no error"
 */
struct err {
    int code;
    char text[480];
};

/* Set the sentence and add the errno's own words; code may have either sign. Returns -code. err may be NULL. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, for a mistake that the sentence explains fully (a bad flag): no errno words. Code is EINVAL. */
int err_say(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put "what: " in front of the sentence; returns r. */
int err_wrap(struct err *err, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
