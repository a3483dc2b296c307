/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Read a JSON document that anybody may have written: what is missing or of another type is simply not there.
 *
 * shape   path is a list of keys with points between, "rtt_ns.p50"; "" is the value itself
 * owns    nothing: answers are lent by the document
 */
enum { DOC_KEY_SIZE = 48 };

/* The value, or NULL; any value may be NULL. */
const json_t *doc_at(const json_t *value, const char *path);
/* The text, or "". */
const char *doc_text(const json_t *value, const char *path);
/* A finite number, whole or not. */
bool doc_number(const json_t *value, const char *path, double *ret_number);
/* A whole number that is not negative, else 0. */
uint64_t doc_count(const json_t *value, const char *path);

/* Copy, cut at the end of a letter, with every control character made a '?': a file must not steer a terminal. */
void doc_clean(char *ret, size_t size, const char *text);

/* The same text as valid UTF-8: bytes that are not become U+FFFD. NULL without memory; "" of NULL. */
json_t *doc_string(const char *text);
/* A whole number that may be larger than JSON's readers take for whole; then a real. */
json_t *doc_whole(uint64_t number);
/* A real, or null when it is not finite. */
json_t *doc_real(double number);

/* Columns that a terminal gives to a text: letters, not bytes. */
size_t doc_columns(const char *text);
