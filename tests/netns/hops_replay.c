/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hops-replay FILE=NEAR:FAR…: the frames of each capture through its veth, all captures together in the order of their times,
 * one right behind the other. For hops_replay.bats: captures of which the truth is known pass points that are watched.
 *
 * Packets of a conversation's way that the first capture saw first leave by NEAR, those of the other way by FAR: so each end
 * sees the two ways at its two hooks, as an interface on their path does. Prints "sent N". Stays on one processor: what was
 * sent first then arrives first, on all interfaces.
 */
#include "base/auto.h"
#include "capture/decode.h"
#include "capture/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST = 8, MOST_CONVERSATIONS = 4096 };

struct track {
    struct source *source; /* owned */
    int fd[2];             /* NEAR, FAR */
    bool more;
    struct frame next; /* when there is more */
    const char *name;  /* lent by argv */
};

static int track_next(struct track *t, struct err *err)
{
    int r = source_next(t->source, &t->next, err);

    t->more = r > 0;
    return r;
}

static int track_socket(const char *ifname, struct err *err)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(ifname)};
    /* Protocol 0: it is to send alone. */
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    if (fd < 0 || to.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0)
        return err_set(err, errno, "sending from '%s'", ifname);
    return fd;
}

/* FILE=NEAR:FAR, which is cut. */
static int track_open(struct track *t, char *arg, struct err *err)
{
    char *near = strrchr(arg, '='), *far = near ? strchr(near, ':') : NULL;
    int r;

    if (!far)
        return err_say(err, "'%s' is no FILE=NEAR:FAR", arg);
    *near++ = 0;
    *far++ = 0;
    t->name = near;
    r = source_file_open(arg, &t->source, err);
    if (r < 0)
        return r;
    t->fd[0] = track_socket(near, err);
    t->fd[1] = t->fd[0] < 0 ? -1 : track_socket(far, err);
    return t->fd[1] < 0 ? -1 : track_next(t, err);
}

/* Whether the frame goes the other way. */
static bool backward(const struct frame *frame, bool at_first)
{
    static struct conversation {
        uint32_t flow; /* of the way that the first capture saw first */
    } all[MOST_CONVERSATIONS];
    static unsigned n;
    struct seen seen;

    if (decode_frame(frame, &seen, NULL, NULL) != DECODE_OK)
        return false;
    for (unsigned i = 0; i < n; i++)
        if ((all[i].flow | 1) == (seen.flow | 1))
            return all[i].flow != seen.flow;
    if (n < MOST_CONVERSATIONS)
        all[n++].flow = at_first ? seen.flow : seen.flow ^ 1;
    return !at_first;
}

static int replay(struct track *tracks, unsigned n, unsigned long *ret_sent, struct err *err)
{
    for (;;) {
        struct track *first = NULL;

        for (unsigned i = 0; i < n; i++)
            if (tracks[i].more && (!first || tracks[i].next.ts_ns < first->next.ts_ns))
                first = &tracks[i];
        if (!first)
            return 0;
        if (first->next.n != first->next.wire_len)
            return err_say(err, "a frame for '%s' was cut by its capture", first->name);
        if (send(first->fd[backward(&first->next, first == tracks)], first->next.data,
                 first->next.n, 0) != (ssize_t)first->next.n)
            return err_set(err, errno, "sending %u bytes from '%s'", first->next.n, first->name);
        (*ret_sent)++;
        if (track_next(first, err) < 0)
            return -1;
    }
}

int main(int argc, char **argv)
{
    static struct track tracks[MOST];
    struct err err = {0};
    unsigned long sent = 0;
    cpu_set_t cpus;
    int r = 0, n = argc - 1;

    if (n < 1 || n > MOST) {
        fputs("hops-replay: FILE=NEAR:FAR…\n", stderr);
        return 2;
    }
    CPU_ZERO(&cpus);
    CPU_SET((unsigned)sched_getcpu(), &cpus);
    (void)sched_setaffinity(0, sizeof cpus, &cpus);
    for (int i = 0; i < n && r >= 0; i++)
        r = track_open(&tracks[i], argv[i + 1], &err);
    if (r >= 0)
        r = replay(tracks, (unsigned)n, &sent, &err);
    for (int i = 0; i < n; i++)
        source_free(tracks[i].source);
    if (r < 0) {
        fprintf(stderr, "hops-replay: %s\n", err.text);
        return 1;
    }
    printf("sent %lu\n", sent);
    return 0;
}
