/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "capture/seen.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Where frames come from, one after the other. A frame's ts_ns is 0 when the source knows no time of it.
 *
 * owns    source_free() ends it; takes NULL
 */
struct source;

struct source_ops {
    /*
     * The next frame: 1; 0 the end; negative: what comes cannot be read any further (a truncated or corrupt file), with a
     * sentence that names file and offset. What came before stays good.
     */
    int (*next)(struct source *source, struct frame *ret_frame, struct err *err);
    void (*free)(struct source *source);
};

struct source {
    const struct source_ops *ops;
    uint64_t drops; /* packets that whoever captured says it had no room for, so far */
    bool has_drops; /* it said so */
};

static inline int source_next(struct source *source, struct frame *ret_frame, struct err *err)
{
    return source->ops->next(source, ret_frame, err);
}

void source_free(struct source *source);

/*
 * A capture file: pcap (microseconds or nanoseconds, either byte order) or pcapng (several interfaces, if_tsresol,
 * if_tsoffset), as it is or packed with gzip or zstd; "-" is stdin. Read in pieces: memory does not grow with the file.
 *
 * errors  -ENOENT …; -EBADMSG it is no capture, with what it looks like; -EOPNOTSUPP packed in a way that was not built in
 */
int source_file_open(const char *path, struct source **ret_source, struct err *err);
