/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of files of settings, before anybody looks for words in them. */
#include "base/auto.h"
#include "base/clock.h"
#include "plan/config_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>

enum { CONFIG_WAIT_S = 10 };

/* The next bytes: how many, 0 at the end. A pipe that says nothing does not hold the program for ever. */
static ssize_t config_more(int fd, char *to, size_t room, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = clock_mono_ns();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int r = poll(&p, 1, now < deadline_ns ? (int)((deadline_ns - now) / CLOCK_MS) + 1 : 0);
        ssize_t n;

        if (r == 0)
            return -ETIMEDOUT;
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r < 0)
            continue;
        n = read(fd, to, room);
        if (n >= 0)
            return n;
        if (errno != EINTR && errno != EAGAIN)
            return -errno;
    }
}

int config_tree_bytes(const char *path, char **ret_bytes, size_t *ret_size, struct err *err)
{
    uint64_t deadline_ns = clock_mono_ns() + CONFIG_WAIT_S * (uint64_t)CLOCK_S;
    AUTO(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    AUTO(free_p) char *bytes = malloc(CONFIG_MAX_BYTES + 2);
    struct stat st;
    size_t size = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return err_set(err, EISDIR, "%s", path);
    if (!bytes)
        return err_set(err, ENOMEM, "%s", path);
    while (size <= CONFIG_MAX_BYTES) {
        ssize_t n = config_more(fd, bytes + size, CONFIG_MAX_BYTES + 1 - size, deadline_ns);

        if (n < 0)
            return err_set(err, (int)-n, "%s", path);
        if (n == 0)
            break;
        size += (size_t)n;
    }
    bytes[size] = 0;
    *ret_bytes = TAKE(bytes);
    *ret_size = size;
    return 0;
}

/* How many bytes the character at s takes, 0 when it is none. source: RFC 3629 section 4 */
static size_t config_character(const unsigned char *s, size_t left)
{
    static const struct {
        unsigned char first, last, low, high; /* of the first byte; of the second */
        unsigned char n;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                 {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};

    if (s[0] < 0x80)
        return s[0] >= 0x20 || s[0] == '\t' || s[0] == '\n' || s[0] == '\r' ? s[0] != 0x7f : 0;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (left < forms[i].n || s[1] < forms[i].low || s[1] > forms[i].high)
            return 0;
        for (size_t k = 2; k < forms[i].n; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        /* C1: a terminal takes some of these for commands; NEL is one that YAML 1.1 has. */
        return s[0] == 0xc2 && s[1] < 0xa0 && s[1] != 0x85 ? 0 : forms[i].n;
    }
    return 0;
}

bool config_tree_text(const char *bytes, size_t size, unsigned *ret_line, unsigned *ret_column)
{
    unsigned line = 1, column = 1;

    for (size_t i = 0; i < size;) {
        size_t n = config_character((const unsigned char *)bytes + i, size - i);

        if (n == 0) {
            *ret_line = line;
            *ret_column = column;
            return false;
        }
        column++;
        if (bytes[i] == '\n') {
            line++;
            column = 1;
        }
        i += n;
    }
    return true;
}
