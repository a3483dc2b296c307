/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is written to a descriptor (1, 2) in between, as text. */
struct capture {
    FILE *stream; /* that writes to fd: flushed at both ends */
    int fd, was, file;
    char text[16384];
};

static inline void capture_begin(struct capture *c, int fd)
{
    char name[] = "/tmp/vnperf-capture-XXXXXX";

    c->fd = fd;
    c->stream = fd == 1 ? stdout : stderr;
    fflush(c->stream);
    c->file = mkostemp(name, O_CLOEXEC);
    unlink(name);
    c->was = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    dup2(c->file, fd);
}

static inline const char *capture_end(struct capture *c)
{
    ssize_t n;

    fflush(c->stream);
    dup2(c->was, c->fd);
    close(c->was);
    n = pread(c->file, c->text, sizeof c->text - 1, 0);
    c->text[n > 0 ? n : 0] = 0;
    close(c->file);
    return c->text;
}
