/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <termios.h>

enum { REMOTE_TURN_MS = 50 };

static pthread_mutex_t remote_terminal = PTHREAD_MUTEX_INITIALIZER;

/* A line, without its end; what does not fit is dropped. The terminal waits for the whole line itself. */
static int remote_read_line(struct remote_line *line, int fd, char *ret, size_t size)
{
    const uint64_t deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_PERSON_S * CLOCK_S;
    size_t used = 0;

    for (;;) {
        char c;
        ssize_t n;
        int r = remote_line_poll(line, fd, POLLIN, deadline_ns);

        if (r <= 0)
            return r < 0 ? r : -ETIMEDOUT;
        n = read(fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -ENOTTY;
        if (c == '\n' || c == '\r')
            break;
        if (used + 1 < size)
            ret[used++] = c;
    }
    ret[used] = 0;
    return 0;
}

static int remote_ask_terminal(struct remote_line *line, int fd, const char *question, bool echo,
                               char *ret_answer, size_t size)
{
    struct termios was, quiet;
    int r;

    if (tcgetattr(fd, &was) < 0)
        return -ENOTTY;
    quiet = was;
    quiet.c_lflag |= ICANON | ISIG;
    if (!echo)
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    tcflush(fd, TCIFLUSH);
    if (tcsetattr(fd, TCSANOW, &quiet) < 0)
        return -ENOTTY;
    dprintf(fd, "\r\033[K%s", question);
    r = remote_read_line(line, fd, ret_answer, size);
    tcsetattr(fd, TCSANOW, &was);
    if (!echo || r < 0)
        dprintf(fd, "\n");
    return r;
}

int remote_ask(struct remote_line *line, const char *question, bool echo, char *ret_answer,
               size_t size)
{
    AUTO(close_p) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    char clean[256];
    int r;

    if (fd < 0)
        return -ENOTTY;
    text_copy(clean, sizeof clean, question);
    /* Others may be asking for long; the programs on this line are not to wait for them. */
    while (pthread_mutex_trylock(&remote_terminal) != 0)
        if (remote_line_poll(line, -1, 0, clock_mono_ns() + (uint64_t)REMOTE_TURN_MS * CLOCK_MS) <
            0)
            return -ECANCELED;
    r = remote_line_is_stopped(line)
            ? -ECANCELED
            : remote_ask_terminal(line, fd, text_tame(clean), echo, ret_answer, size);
    pthread_mutex_unlock(&remote_terminal);
    if (r < 0)
        explicit_bzero(ret_answer, size);
    return r;
}
