/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "host/parse.h"
#include "host/parts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>

enum { CHRONY_PORT = 323, CHRONY_PACKET = 104, CHRONY_WAIT_MS = 300, CHRONY_SEQUENCE = 0x766e7066 };

/*
 * The kernel's own view, which ntpd, chronyd and timesyncd keep: no tool is needed.
 *
 * source  adjtimex(2)
 */
void timekeeping_step_kernel(const struct host_ask *ask, struct facts *facts)
{
    struct timex t = {0};
    int state = adjtimex(&t);
    bool synced;

    (void)ask;
    if (state < 0) {
        host_miss(facts, "clock_synchronised", errno);
        return;
    }
    synced = state != TIME_ERROR && !(t.status & STA_UNSYNC);
    facts_put_flag(facts, "clock_synchronised", synced);
    /* Nobody keeps the rest while nobody disciplines the clock. */
    if (!synced)
        return;
    facts_put_signed(facts, "clock_offset_ns",
                     (int64_t)t.offset * (t.status & STA_NANO ? 1 : CLOCK_US));
    if (t.esterror >= 0)
        facts_put_number(facts, "clock_error_ns", (uint64_t)t.esterror * CLOCK_US);
    if (t.maxerror >= 0)
        facts_put_number(facts, "clock_max_error_ns", (uint64_t)t.maxerror * CLOCK_US);
}

/* Which of them run, as far as this PID namespace shows it. */
void timekeeping_step_daemons(const struct host_ask *ask, struct facts *facts)
{
    /* comm has 15 letters. */
    static const struct {
        const char *comm, *word;
    } daemons[] = {
        {"chronyd", "chronyd"}, {"ntpd", "ntpd"},       {"systemd-timesyn", "systemd-timesyncd"},
        {"ptp4l", "ptp4l"},     {"phc2sys", "phc2sys"}, {"timemaster", "timemaster"}};
    AUTO(closedir_p) DIR *dir = opendir("/proc");
    bool seen[ARRAY_SIZE(daemons)] = {false};
    char list[FACT_VALUE_SIZE] = "", path[280], comm[32];
    const struct dirent *entry;

    (void)ask;
    while (dir && (entry = readdir(dir))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        if (host_read_line(path, comm, sizeof comm) < 0)
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(daemons); i++)
            seen[i] = seen[i] || strcmp(comm, daemons[i].comm) == 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(daemons); i++)
        if (seen[i])
            facts_list(list, daemons[i].word);
    facts_put(facts, "clock_daemons", list);
}

/*
 * chronyd's command port answers "tracking" to everybody on this machine.
 *
 * source  chrony's candm.h: protocol version 6, REQ_TRACKING; requests are as long as their answer
 */
static int chrony_ask(int family, struct facts *facts)
{
    static const unsigned char request[CHRONY_PACKET] = {6,
                                                         1,
                                                         0,
                                                         0,
                                                         0,
                                                         33,
                                                         0,
                                                         0,
                                                         CHRONY_SEQUENCE >> 24,
                                                         CHRONY_SEQUENCE >> 16 & 0xff,
                                                         CHRONY_SEQUENCE >> 8 & 0xff,
                                                         CHRONY_SEQUENCE & 0xff};
    AUTO(close_p) int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_port = htons(CHRONY_PORT),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                                    .sin6_port = htons(CHRONY_PORT),
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    unsigned char answer[512];
    ssize_t n;

    if (fd < 0)
        return -errno;
    if (connect(fd, family == AF_INET ? (const void *)&v4 : (const void *)&v6,
                family == AF_INET ? sizeof v4 : sizeof v6) < 0 ||
        send(fd, request, sizeof request, 0) < 0)
        return -errno;
    if (poll(&p, 1, CHRONY_WAIT_MS) <= 0)
        return -ETIMEDOUT;
    n = recv(fd, answer, sizeof answer, 0);
    if (n < 0)
        return -errno;
    return parse_chrony_packet(answer, (size_t)n, CHRONY_SEQUENCE, facts) ? 0 : -EPROTO;
}

void timekeeping_step_chrony(const struct host_ask *ask, struct facts *facts)
{
    (void)ask;
    if (chrony_ask(AF_INET, facts) == 0)
        facts_put(facts, "chrony_by", "command port 127.0.0.1:323");
    else if (chrony_ask(AF_INET6, facts) == 0)
        facts_put(facts, "chrony_by", "command port [::1]:323");
}
