/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/source_input.h"

#include "base/auto.h"
#include "capture/source_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t input_read(int fd, uint8_t *to, size_t room)
{
    ssize_t n;

    do
        n = read(fd, to, room);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* More bytes behind those that are there. */
static void input_more(struct input *input)
{
    ssize_t n;

    if (input->unpack)
        n = unpack_read(input->unpack, input->fd, input->bytes + input->n, input->room - input->n,
                        &input->err);
    else
        n = input_read(input->fd, input->bytes + input->n, input->room - input->n);
    if (n > 0) {
        input->n += (size_t)n;
        return;
    }
    input->ended = true;
    input->r = (int)n;
    if (n < 0 && !input->unpack)
        err_set(&input->err, (int)n, "reading it");
}

const uint8_t *input_fill(struct input *input, size_t n)
{
    if (n > INPUT_MAX)
        return NULL;
    memmove(input->bytes, input->bytes + input->at, input->n - input->at);
    input->offset += input->at;
    input->n -= input->at;
    input->at = 0;
    if (n > input->room) {
        size_t room = n + INPUT_PIECE;
        uint8_t *bytes = realloc(input->bytes, room);

        if (!bytes) {
            input->ended = true;
            input->r = err_set(&input->err, ENOMEM, "keeping a packet of it");
            return NULL;
        }
        input->bytes = bytes;
        input->room = room;
    }
    while (input->n < n && !input->ended)
        input_more(input);
    return input->n >= n ? input->bytes : NULL;
}

bool input_skip(struct input *input, uint64_t n)
{
    while (n > input_left(input)) {
        n -= input_left(input);
        input->at = input->n;
        if (!input_fill(input, 1))
            return false;
    }
    input->at += (size_t)n;
    return true;
}

int input_failure(const struct input *input, const char *what, struct err *err)
{
    if (input->r < 0) {
        if (err)
            *err = input->err;
        return err_wrap(err, input->r, "'%s', byte %" PRIu64, input->path, input_offset(input));
    }
    if (input_left(input) == 0)
        return 0;
    err_say(err, "'%s' ends in the middle of %s that begins at byte %" PRIu64, input->path, what,
            input_offset(input));
    if (err)
        err->code = EBADMSG;
    return -EBADMSG;
}

static int input_begin(struct input *input, const char *path, struct err *err)
{
    bool from_stdin = strcmp(path, "-") == 0;
    const uint8_t *head;

    input->fd =
        from_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (input->fd < 0)
        return err_set(err, errno, "opening '%s'", path);
    input->path = strdup(from_stdin ? "stdin" : path);
    input->bytes = malloc(INPUT_PIECE);
    input->room = INPUT_PIECE;
    if (!input->path || !input->bytes)
        return err_set(err, ENOMEM, "reading '%s'", path);
    (void)posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    head = input_peek(input, 4);
    if (!head && input->r < 0)
        return input_failure(input, "it", err);
    return unpack_new(input->path, head, input->bytes, input->n, &input->unpack, err);
}

int input_open(const char *path, struct input *ret_input, struct err *err)
{
    struct input input = {.fd = -1};
    int r = input_begin(&input, path, err);

    if (r < 0) {
        input_done(&input);
        return r;
    }
    /* What was read so far is the unpacker's now. */
    if (input.unpack)
        input.n = 0;
    *ret_input = input;
    return 0;
}

void input_done(struct input *input)
{
    if (!input)
        return;
    unpack_free(input->unpack);
    free(input->bytes);
    free(input->path);
    close_p(&input->fd);
    *input = (struct input){.fd = -1};
}
