/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * SHA-256 of bytes in memory, as 64 small hexadecimal digits: what sha256sum(1) prints.
 *
 * source  FIPS 180-4 section 6.2
 */
enum { SHA256_TEXT_SIZE = 65 };
void sha256_text(const void *bytes, size_t n, char ret_text[SHA256_TEXT_SIZE]);
