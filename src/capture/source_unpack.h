/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A file that was packed with gzip or zstd, by their libraries; several packed files one behind the other are one.
 *
 * source  RFC 1952, RFC 8878
 */
struct input_unpack;

/*
 * What unpacks a file that begins so; NULL when it is not packed. head: its first 4 bytes, or NULL when it has fewer;
 * begin: the n that were read already.
 *
 * errors  -EOPNOTSUPP packed with what was not built in; -ENOMEM
 */
int unpack_new(const char *path, const uint8_t *head, const uint8_t *begin, size_t n,
               struct input_unpack **ret_unpack, struct err *err);
void unpack_free(struct input_unpack *unpack);

/* Bytes: at least 1, or 0 at the end, or a negative errno: it is cut short, corrupt or cannot be read. */
ssize_t unpack_read(struct input_unpack *unpack, int fd, uint8_t *to, size_t room, struct err *err);
