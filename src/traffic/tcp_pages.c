/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/tcp_pages.h"
#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    PAGES_UNIT = 16,         /* pages of one packet; splice_to_socket() takes as many at a time */
    PAGES_PIPE = 1 << 20,    /* the most a user may have without rights */
    PAGES_GSO_BYTES = 65215, /* what sk_setup_caps() leaves of 64 KiB to the segments of a packet */
    PAGES_SMALLEST = 4096,   /* of pages, on all machines */
};

uint32_t tcp_pages_unit(uint32_t mss_bytes)
{
    uint32_t most = PAGES_UNIT * PAGES_SMALLEST;

    if (mss_bytes == 0)
        return most;
    if (mss_bytes > PAGES_GSO_BYTES)
        return mss_bytes < most ? mss_bytes : most;
    return PAGES_GSO_BYTES / mss_bytes * mss_bytes;
}

/* Not zeros, as a path may compress. A mapping of its own: memory of the heap could be used again while it is sent. */
static char *pages_map(size_t n)
{
    /* cppcheck-suppress invalidFunctionArg ; memory without a file has descriptor -1 */
    char *bytes = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED)
        return NULL;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)((i * 2654435761u) >> 13);
    return bytes;
}

/* Both pipes of the same size: what is in one goes into the other whole. Pages of each, or -errno. */
static int pages_pipes(struct tcp_pages *pages, int page)
{
    if (pipe2(pages->source, O_CLOEXEC | O_NONBLOCK) < 0 ||
        pipe2(pages->out, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    for (int size = PAGES_PIPE; size >= PAGES_UNIT * page; size /= 2) {
        if (fcntl(pages->source[1], F_SETPIPE_SZ, size) >= size &&
            fcntl(pages->out[1], F_SETPIPE_SZ, size) >= size)
            return size / page;
    }
    return -EPERM;
}

/* Whole units. */
static int pages_fill(struct tcp_pages *pages, int n_pages, char *bytes, size_t page, size_t unit)
{
    for (int i = 0; i < n_pages / PAGES_UNIT; i++) {
        struct iovec v[PAGES_UNIT];
        ssize_t n;

        for (size_t k = 0; k < PAGES_UNIT; k++)
            v[k] = (struct iovec){.iov_base = bytes + k * page,
                                  .iov_len = unit * (k + 1) / PAGES_UNIT - unit * k / PAGES_UNIT};
        n = vmsplice(pages->source[1], v, PAGES_UNIT, SPLICE_F_NONBLOCK);
        if (n != (ssize_t)unit)
            return n < 0 ? -errno : -EIO;
        pages->size += unit;
    }
    return 0;
}

int tcp_pages_init(struct tcp_pages *pages, uint32_t mss_bytes)
{
    int page = (int)sysconf(_SC_PAGESIZE), r;
    char *bytes = pages_map(PAGES_UNIT * (size_t)page);

    *pages = (struct tcp_pages){.source = {-1, -1}, .out = {-1, -1}};
    if (!bytes)
        return -ENOMEM;
    r = pages_pipes(pages, page);
    if (r > 0)
        r = pages_fill(pages, r, bytes, (size_t)page, tcp_pages_unit(mss_bytes));
    munmap(bytes, PAGES_UNIT * (size_t)page);
    if (r < 0)
        tcp_pages_done(pages);
    return r;
}

void tcp_pages_done(struct tcp_pages *pages)
{
    if (pages->size == 0 && pages->source[1] == 0)
        return;
    for (int i = 0; i < 2; i++) {
        close_p(&pages->source[i]);
        close_p(&pages->out[i]);
        pages->source[i] = pages->out[i] = -1;
    }
    pages->size = 0;
}

ssize_t tcp_pages_send(struct tcp_pages *pages, int fd, size_t most, bool wait)
{
    ssize_t n;

    if (pages->left == 0) {
        n = tee(pages->source[0], pages->out[1], pages->size, SPLICE_F_NONBLOCK);
        if (n <= 0)
            return n;
        pages->left = (size_t)n;
    }
    n = splice(pages->out[0], NULL, fd, NULL, most < pages->left ? most : pages->left,
               wait ? 0 : SPLICE_F_NONBLOCK);
    if (n > 0)
        pages->left -= (size_t)n;
    return n;
}
