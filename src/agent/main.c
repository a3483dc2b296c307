/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "base/auto.h"
#include "base/sha256.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A sender that others keep from its CPU measures them. Where that is not allowed it stays as it is: the facts tell. With
 * autogroups a process alone in its session is weighed by its group's nice and not by its own.
 */
static void main_nice(int nice)
{
    AUTO(fclose_p) FILE *group = fopen("/proc/self/autogroup", "we");

    if (setpriority(PRIO_PROCESS, 0, nice) == 0 && group)
        fprintf(group, "%d", nice);
}

/*
 * As ps and top show us. A program that is run by its descriptor, as one that was put on a host and has lost its name, is
 * called by the descriptor's number.
 */
static void main_name(int argc, char **argv)
{
    static const char name[] = "vnperf-agent", by_fd[] = "/proc/self/fd/";
    size_t shorter;

    prctl(PR_SET_NAME, name);
    if (argc < 1 || strncmp(argv[0], by_fd, sizeof by_fd - 1) != 0)
        return;
    shorter = strlen(argv[0]) + 1 - sizeof name;
    memcpy(argv[0], name, sizeof name);
    /* The words stand one behind the other; /proc/PID/cmdline is that memory. */
    for (int i = 1; i < argc; i++) {
        size_t size = strlen(argv[i]) + 1;

        memmove(argv[i] - shorter, argv[i], size);
        argv[i] -= shorter;
        memset(argv[i] + size, 0, shorter);
    }
    if (argc == 1)
        memset(argv[0] + sizeof name, 0, shorter);
}

/* A flow is an open file, and the limit that a login has is for programs that wait on them with select(). */
static void main_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Of its own file, so that who put it there knows at once that it arrived whole and that it runs. */
static int main_sha256(void)
{
    AUTO(close_p) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char text[SHA256_TEXT_SIZE];
    struct stat st;
    void *bytes;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
        return 1;
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return 1;
    sha256_text(bytes, (size_t)st.st_size, text);
    printf("%s\n", text);
    munmap(bytes, (size_t)st.st_size);
    return 0;
}

int main(int argc, char **argv)
{
    main_name(argc, argv);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("vnperf-agent %s\n", VNPERF_VERSION);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--sha256") == 0)
        return main_sha256();
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: vnperf-agent [--nice N | --version | --sha256 | --help]\n"
               "Sends and receives test traffic for vnperf, which speaks to it over stdin and "
               "stdout;\n"
               "see vnperf-agent(1).\n");
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--nice") == 0 &&
        strspn(argv[2], "-0123456789") == strlen(argv[2])) {
        main_nice((int)strtol(argv[2], NULL, 10));
    } else if (argc > 1) {
        fprintf(stderr,
                "vnperf-agent: takes no arguments but --nice N: it speaks lines over stdin and "
                "stdout, see vnperf-agent(1)\n");
        return 2;
    }
    if (isatty(STDIN_FILENO))
        fprintf(
            stderr,
            "vnperf-agent: waits for a controller's lines on stdin (vnperf starts it by itself)\n");
    main_open_files();
    return agent_serve(STDIN_FILENO, STDOUT_FILENO);
}
