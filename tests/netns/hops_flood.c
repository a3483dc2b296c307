/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hops-flood IFNAME DST-MAC N [PPS [REALTIME]]: N frames of 64 bytes (UDP over IPv4, each with a payload of its own) out of an
 * interface, 32 a call; PPS 0 as fast as it goes. REALTIME 1: SCHED_FIFO, at most 0.5 s long.
 *
 * Prints "sent N cpu_ns_per_packet X wall_ns_per_packet X".
 */
#include "base/clock.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 32, FRAME = 64, MAX_REALTIME_MS = 500 };

static uint8_t frames[BATCH][FRAME];

static void make(uint8_t *f, const unsigned mac[6])
{
    static const uint8_t ip[20] = {0x45, 0, 0,  FRAME - 14, 0, 0, 0x40, 0, 64, 17,
                                   0,    0, 10, 7,          0, 1, 10,   7, 0,  2};
    unsigned sum = 0;

    for (unsigned i = 0; i < 6; i++)
        f[i] = (uint8_t)mac[i];
    f[6] = 2;
    f[12] = 8;
    memcpy(f + 14, ip, sizeof ip);
    for (unsigned i = 0; i < 20; i += 2)
        sum += (unsigned)ip[i] << 8 | ip[i + 1];
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    f[24] = (uint8_t)(sum >> 8);
    f[25] = (uint8_t)sum;
    f[34] = 0x9c;
    f[35] = 0x40;
    f[36] = 0x9c;
    f[37] = 0x41;
    f[39] = FRAME - 34;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * CLOCK_S + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    uint64_t n, pps, sent = 0, start_ns, start_cpu_ns, wall_ns;
    unsigned mac[6];
    int fd, one = 1;

    if (argc < 4 || sscanf(argv[2], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3],
                           &mac[4], &mac[5]) != 6)
        return 2;
    n = strtoull(argv[3], NULL, 10);
    pps = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    to.sll_ifindex = (int)if_nametoindex(argv[1]);
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("hops-flood");
        return 1;
    }
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    for (unsigned i = 0; i < BATCH; i++) {
        make(frames[i], mac);
        parts[i] = (struct iovec){frames[i], FRAME};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    if (argc > 5 && atoi(argv[5]) == 1) {
        struct sched_param p = {.sched_priority = 1};

        sched_setscheduler(0, SCHED_FIFO, &p);
    }
    start_ns = clock_mono_ns();
    start_cpu_ns = cpu_ns();
    while (sent < n) {
        int r;

        for (unsigned i = 0; i < BATCH; i++) {
            uint64_t number = sent + i;

            memcpy(frames[i] + 42, &number, sizeof number);
        }
        r = sendmmsg(fd, messages, n - sent < BATCH ? (unsigned)(n - sent) : BATCH, 0);
        if (r <= 0)
            continue;
        sent += (unsigned)r;
        if (argc > 5 && atoi(argv[5]) == 1 &&
            clock_mono_ns() - start_ns > (uint64_t)MAX_REALTIME_MS * CLOCK_MS)
            break;
        if (pps)
            while (clock_mono_ns() - start_ns < sent * CLOCK_S / pps)
                ;
    }
    wall_ns = clock_mono_ns() - start_ns;
    printf("sent %llu cpu_ns_per_packet %.1f wall_ns_per_packet %.1f\n", (unsigned long long)sent,
           (double)(cpu_ns() - start_cpu_ns) / (double)sent, (double)wall_ns / (double)sent);
    return 0;
}
