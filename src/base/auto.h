/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Release at the end of scope, hand over on the way out.
 *
 *     AUTO(free_p) char *text = NULL;
 *     AUTO(close_p) int fd = -1;
 *     return TAKE_FD(fd);
 */
#define AUTO(ender) __attribute__((cleanup(ender)))

/* The pointer, which the scope no longer releases. */
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) *take_p_ = &(p);                                                             \
        __typeof__(p) take_v_ = *take_p_;                                                          \
        *take_p_ = NULL;                                                                           \
        take_v_;                                                                                   \
    })

/* The same for a file descriptor. */
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int *take_p_ = &(fd);                                                                      \
        int take_v_ = *take_p_;                                                                    \
        *take_p_ = -1;                                                                             \
        take_v_;                                                                                   \
    })

static inline void free_p(void *p) { free(*(void **)p); }

static inline void close_p(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void fclose_p(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void closedir_p(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
