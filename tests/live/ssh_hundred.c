/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssh-hundred CONFIG AGENT HOST…: reach all hosts together, put the agent there, hear its hello from each, then end
 * them. Prints how many answered, the seconds until the last one had, the most memory that was held, and the CPU it took here.
 */
#include "base/clock.h"
#include "base/text.h"
#include "deploy/driver.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The first line that the agent says. */
static bool hello(int fd, uint64_t deadline_ns)
{
    char line[512];

    for (size_t n = 0; n + 1 < sizeof line;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (poll(&p, 1, clock_ms_until(deadline_ns)) <= 0 || read(fd, line + n, 1) != 1)
            return false;
        if (line[n++] == '\n') {
            line[n] = 0;
            return strstr(line, "hello");
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    const struct remote_options options = {
        .config = argc > 1 ? argv[1] : "", .push = true, .beat = "0 beat\n", .interrupt_fd = -1};
    char *agent[] = {argc > 2 ? argv[2] : NULL, NULL};
    size_t n = argc > 3 ? (size_t)argc - 3 : 0, n_answered = 0;
    struct spawn_ssh_ask *asks = calloc(n + 1, sizeof *asks);
    struct endpoint_text *at = calloc(n + 1, sizeof *at);
    uint64_t begun_ns = clock_mono_ns(), ns;
    struct rusage usage;

    if (!n)
        return 2;
    if (!asks || !at)
        abort();
    for (size_t i = 0; i < n; i++) {
        struct err err = {0};

        if (text_endpoint(argv[3 + i], &at[i], &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            return 2;
        }
        asks[i] = (struct spawn_ssh_ask){.at = &at[i], .options = &options, .argv = agent};
    }
    spawn_ssh_all(asks, n);
    for (size_t i = 0; i < n; i++) {
        if (asks[i].r < 0)
            fprintf(stderr, "%s: %s\n", argv[3 + i], asks[i].err.text);
        else if (hello(asks[i].spawned.out_fd, clock_mono_ns() + (uint64_t)10 * CLOCK_S))
            n_answered++;
    }
    ns = clock_mono_ns() - begun_ns;
    /* All are told, then each is waited for. */
    for (size_t i = 0; i < n; i++)
        if (asks[i].r == 0)
            close(asks[i].spawned.in_fd), asks[i].spawned.in_fd = -1;
    for (size_t i = 0; i < n; i++)
        if (asks[i].r == 0)
            spawned_end(&asks[i].spawned, (uint64_t)2 * CLOCK_S);
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu of %zu hosts answered in %.1f s, %.1f MiB, %.2f s of CPU\n", n_answered, n,
           (double)ns / CLOCK_S, (double)usage.ru_maxrss / 1024,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    spawn_ssh_done();
    free(asks);
    free(at);
    return n_answered == n ? 0 : 1;
}
