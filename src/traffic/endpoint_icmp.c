/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/stat.h"
#include "base/text.h"
#include "traffic/call.h"
#include "traffic/endpoint.h"
#include "traffic/icmp_packet.h"
#include "traffic/pacing.h"
#include "traffic/sequence.h"
#include "traffic/stamp.h"
#include "traffic/wake.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>

/*
 * ICMP echo: requests by an absolute schedule that does not wait for answers, or one after the
 * other. The answer to a request is found by the mark in its payload, or, when that is too small,
 * by ICMP sequence number.
 */
enum {
    ICMP_BUFFER = 4 << 20,
    ICMP_ANSWER_NS = CLOCK_S, /* an answer that takes longer is lost */
    /* Without a schedule: so long, and so many times the longest answer, until the next request. */
    ICMP_PATIENCE_NS = 10 * CLOCK_MS,
    ICMP_PATIENCE = 4,
    ICMP_READ_BYTES = 128, /* of an answer: IP header, ICMP header, mark */
    ICMP_NUMBERS = 65536,  /* ICMP sequence numbers */
    ICMP_READS = 64,       /* answers read before a look at the time */
    ICMP_MISSES =
        64, /* answers that were not here at once: the path is no call into our own kernel */
    ICMP_FILTER_OPTION = 1, /* linux/icmp.h: ICMP_FILTER, one bit a type, set: not wanted */
    ICMP_ECHO_ANSWER = 0,
};

struct icmp_run {
    struct worker *worker;
    const struct engine *engine;
    const struct flow_trial *trial;
    struct flow *flow;
    bool v6, raw;
    uint16_t id, base; /* base: ICMP sequence of request 0, another one in each trial */
    struct icmp_packet packet;
    struct pacing pacing;
    uint64_t next;       /* number of the next request; all of the trial are numbered through */
    uint64_t first;      /* number of the first measured one */
    uint64_t n_measured; /* they follow each other */
    uint64_t last_ns;    /* when the last request departed */
    uint64_t n_answers;
    bool waiting;         /* without a schedule: the last request has no answer yet */
    uint64_t patience_ns; /* how long the next one waits for it; later, it still counts */
    int error;            /* newest errno that a request met: words for when nothing was answered */
    uint64_t late, latest_ns, skipped, blocked_ns;
    uint64_t *departures; /* owned; by number; NULL when the payload carries them */
    struct stamp stamp;
    uint32_t misses;          /* of a flood */
    struct sequence sequence; /* of the measured ones */
};

/* A raw socket, or the kernel's own kind for ping where those are not allowed. */
static int icmp_socket(int family, int *ret_fd, bool *ret_raw, struct err *err)
{
    int protocol = family == AF_INET6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP;
    int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

    *ret_raw = fd >= 0;
    if (fd < 0 && (errno == EPERM || errno == EACCES)) {
        fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
        if (fd < 0 && (errno == EPERM || errno == EACCES))
            return err_set(err, EPERM,
                           "neither raw sockets nor ping sockets are allowed here; run as root, "
                           "give the program "
                           "CAP_NET_RAW, or let your group ping: sysctl -w "
                           "net.ipv4.ping_group_range='0 2147483647'");
    }
    if (fd < 0)
        return err_set(err, errno, "opening an ICMP socket");
    *ret_fd = fd;
    return 0;
}

/* Only answers shall wake us; errors about our requests come as the socket's errors. */
static int icmp_set_up(const struct engine *engine, int fd, int family, bool raw, struct err *err)
{
    const uint32_t filter = ~(UINT32_C(1) << ICMP_ECHO_ANSWER);
    const int on = 1, fragment = IP_PMTUDISC_DONT, fragment6 = IPV6_PMTUDISC_DONT;
    struct icmp6_filter filter6;
    int r = 0;

    ICMP6_FILTER_SETBLOCKALL(&filter6);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter6);
    if (raw && family == AF_INET)
        r = setsockopt(fd, SOL_RAW, ICMP_FILTER_OPTION, &filter, sizeof filter);
    if (raw && family == AF_INET6)
        r = setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6, sizeof filter6);
    if (r < 0)
        return err_set(err, errno, "asking for echo answers only");
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    else
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    if (engine->spec.window_bytes == 0) {
        socket_receive_buffer(fd, ICMP_BUFFER);
        socket_send_buffer(fd, ICMP_BUFFER);
    }
    r = socket_path_mtu(fd);
    if (r > 0 &&
        engine->spec.payload_bytes + ICMP_PACKET_HEADER + (family == AF_INET6 ? 40U : 20U) >
            (uint32_t)r) {
        if (family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &fragment6, sizeof fragment6);
        else
            setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &fragment, sizeof fragment);
    }
    return 0;
}

static int icmp_open(struct engine *engine, struct err *err)
{
    union socket_address address;
    socklen_t len;
    bool raw;
    int r;

    if (engine->spec.role != FLOW_CLIENT)
        return err_say(err, "echo is answered by the kernel: there is no server to start");
    r = socket_address(engine->spec.address, 0, &address, &len, err);
    for (uint32_t i = 0; r >= 0 && i < engine->n_flows; i++) {
        AUTO(close_p) int fd = -1;

        r = icmp_socket(address.any.sa_family, &fd, &raw, err);
        if (r < 0)
            break;
        r = socket_prepare(fd, &engine->spec, err);
        if (r < 0)
            break;
        if (connect(fd, &address.any, len) < 0)
            return err_set(err, errno, "no way to %s", engine->spec.address);
        r = icmp_set_up(engine, fd, address.any.sa_family, raw, err);
        if (r < 0)
            break;
        engine->flows[i].fd = TAKE_FD(fd);
    }
    return r < 0 ? r : 0;
}

static int icmp_init(struct icmp_run *u, struct worker *worker)
{
    const struct flow_spec *spec = &worker->engine->spec;
    int type = SOCK_RAW, domain = AF_INET;
    uint16_t random[2] = {0};

    u->worker = worker;
    u->engine = worker->engine;
    u->trial = worker->trial;
    u->flow = worker->flows[0]; /* model/flow_spec.c: echo has one flow */
    getsockopt(u->flow->fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type});
    getsockopt(u->flow->fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
    u->raw = type == SOCK_RAW;
    u->v6 = domain == AF_INET6;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        random[0] = random[1] = (uint16_t)(worker->trial->number ^ clock_mono_ns());
    u->id = random[0];
    u->patience_ns = ICMP_ANSWER_NS; /* of a path that is not known yet */
    u->base = random[1];
    pacing_init(&u->pacing, worker->trial->start_ns, spec->gap_ns, 1);
    if (spec->payload_bytes < ICMP_PACKET_MARK) {
        u->departures = calloc(ICMP_NUMBERS, sizeof *u->departures);
        if (!u->departures)
            return -ENOMEM;
    }
    return icmp_packet_init(&u->packet, u->v6, spec->payload_bytes);
}

static void icmp_done(struct icmp_run *u)
{
    icmp_packet_done(&u->packet);
    free(u->departures);
}

/* What the network said about our requests: the queue behind the socket's error. */
static void icmp_read_errors(struct icmp_run *u)
{
    _Alignas(struct cmsghdr) uint8_t control[512];
    uint8_t bytes[ICMP_READ_BYTES] = {0};

    for (int i = 0; i < ICMP_READS; i++) {
        struct iovec iov = {bytes, sizeof bytes};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};

        if (recvmsg(u->flow->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            const struct sock_extended_err *e = (const struct sock_extended_err *)CMSG_DATA(c);

            if (((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                 (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) &&
                e->ee_errno)
                u->error = (int)e->ee_errno;
        }
    }
}

/* Send one; what a local queue, a firewall or a missing route kept has been sent and is lost. */
static void icmp_send(struct icmp_run *u, uint64_t now)
{
    bool measured = now >= trial_window_start(u->trial) && now < trial_window_end(u->trial);
    const struct icmp_mark mark = {u->engine->tag, u->trial->number, u->next, now};

    icmp_packet_write(&u->packet, u->id, (uint16_t)(u->base + u->next), &mark);
    if (call_send(u->flow->fd, u->packet.bytes, u->packet.size, MSG_DONTWAIT) < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            struct pollfd room = {.fd = u->flow->fd, .events = POLLOUT};

            poll(&room, 1, WAKE_STOP_NS / CLOCK_MS);
            u->blocked_ns += measured ? clock_mono_ns() - now : 0;
            return;
        }
        u->error = errno;
        icmp_read_errors(u);
    }
    if (u->departures)
        u->departures[u->next % ICMP_NUMBERS] = now;
    if (measured && u->n_measured++ == 0)
        u->first = u->next;
    u->next++;
    u->last_ns = now;
    u->waiting = true;
    if (!pacing_is_free(&u->pacing)) {
        uint64_t behind = now - pacing_take(&u->pacing);

        if (measured) {
            u->late += behind > u->pacing.late_ns;
            u->latest_ns = behind > u->latest_ns ? behind : u->latest_ns;
        }
    }
}

/* Number and departure of the request that was answered; false when it is none of ours. */
static bool icmp_match(const struct icmp_run *u, const struct icmp_answer *a, uint64_t *ret_number,
                       uint64_t *ret_departed_ns)
{
    uint64_t back;

    if (u->raw && a->id != u->id)
        return false;
    if (!u->departures) {
        if (!a->has_mark || a->mark.tag != u->engine->tag || a->mark.trial != u->trial->number ||
            a->mark.number >= u->next)
            return false;
        *ret_number = a->mark.number;
        *ret_departed_ns = a->mark.departure_ns;
        return true;
    }
    /* The newest request that has this ICMP sequence. */
    back = (uint16_t)(u->base + u->next - 1 - a->sequence);
    if (back >= u->next)
        return false;
    *ret_number = u->next - 1 - back;
    *ret_departed_ns = u->departures[*ret_number % ICMP_NUMBERS];
    return true;
}

static void icmp_take(struct icmp_run *u, const struct icmp_answer *a, uint64_t arrived)
{
    uint64_t number, departed;

    if (!icmp_match(u, a, &number, &departed))
        return;
    if (number == u->next - 1)
        u->waiting = false;
    if (u->n_answers == 0)
        u->patience_ns = ICMP_PATIENCE_NS;
    if (arrived > departed && (arrived - departed) * ICMP_PATIENCE > u->patience_ns)
        u->patience_ns = (arrived - departed) * ICMP_PATIENCE;
    if (u->patience_ns > ICMP_ANSWER_NS)
        u->patience_ns = ICMP_ANSWER_NS;
    u->n_answers++;
    if (u->n_measured && number >= u->first && number - u->first < u->n_measured) {
        if (!sequence_add(&u->sequence, number - u->first))
            return;
        hist_add(u->flow->rtt, arrived > departed ? arrived - departed : 0);
    }
    tally_add(&u->flow->tally, arrived, u->engine->spec.payload_bytes, 1);
}

/*
 * Read what has come; true when there was something. Without a schedule it returns with the answer
 * to the last request.
 */
static bool icmp_read(struct icmp_run *u)
{
    _Alignas(struct cmsghdr) uint8_t control[STAMP_CONTROL_BYTES];
    uint8_t bytes[ICMP_READ_BYTES];
    bool any = false;

    for (int i = 0; i < ICMP_READS; i++) {
        struct iovec iov = {bytes, sizeof bytes};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        struct icmp_answer answer;
        ssize_t n = recvmsg(u->flow->fd, &m, MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            return any;
        if (n < 0) {
            u->error = errno == EINTR ? u->error : errno;
            icmp_read_errors(u);
            continue;
        }
        any = true;
        stamp_sync(&u->stamp);
        if (icmp_packet_read(bytes, (size_t)n, u->v6, u->raw && !u->v6, &answer) == 0)
            icmp_take(u, &answer, stamp_arrival_ns(&u->stamp, &m));
        if (!u->waiting && pacing_is_free(&u->pacing))
            return true;
    }
    return any;
}

/* Wait for an answer, until a time that is not far: near ones are spun for. */
static void icmp_wait(const struct icmp_run *u, uint64_t until)
{
    struct pollfd answer = {.fd = u->flow->fd, .events = POLLIN};
    uint64_t now = clock_mono_ns(), ns;
    struct timespec timeout;

    if (until > now + WAKE_STOP_NS)
        until = now + WAKE_STOP_NS;
    if (until < now + WAKE_SPIN_NS)
        return;
    ns = until - WAKE_EARLY_NS - now;
    timeout = (struct timespec){.tv_sec = (time_t)(ns / CLOCK_S), .tv_nsec = (long)(ns % CLOCK_S)};
    ppoll(&answer, 1, &timeout, NULL);
}

/* Edges that now has passed; false when no more requests are to be sent. */
static bool icmp_edges(struct icmp_run *u, uint64_t now)
{
    if (now >= trial_window_start(u->trial))
        worker_window_begin(u->worker);
    if (now >= trial_window_end(u->trial))
        worker_window_end(u->worker);
    if (now >= u->flow->tally.edge_ns)
        tally_advance(&u->flow->tally, now);
    return now < trial_end(u->trial) && (u->trial->count == 0 || u->n_measured < u->trial->count);
}

static uint64_t icmp_next_mark(const struct icmp_run *u, uint64_t now)
{
    uint64_t begin = trial_window_start(u->trial), end = trial_window_end(u->trial);

    return now < begin ? begin : now < end ? end : trial_end(u->trial);
}

/* Where there are no stamps each arrival is the time of its read. */
static void icmp_set_stamps(const struct icmp_run *u, int on)
{
    setsockopt(u->flow->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
}

/*
 * A flood to a machine that answers inside our own send call, as one on this machine does: the plainest calls, one look
 * at the clock an echo. Where answers are not here at once they are waited for; after some of those, kernel stamps are
 * worth their price, and this gives up.
 */
static void icmp_flood(struct icmp_run *u)
{
    uint64_t now = clock_mono_ns(), mark = 0;

    icmp_set_stamps(u, 0);
    while (!wake_stopped(u->engine) && u->misses < ICMP_MISSES) {
        uint8_t bytes[ICMP_READ_BYTES];
        struct icmp_answer answer;
        ssize_t n;

        if (now >= mark || u->trial->count) {
            if (!icmp_edges(u, now))
                return;
            mark = icmp_next_mark(u, now);
        }
        if (!u->waiting || now > u->last_ns + u->patience_ns)
            icmp_send(u, now);
        n = call_recv(u->flow->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        now = clock_mono_ns();
        if (n >= 0) {
            if (icmp_packet_read(bytes, (size_t)n, u->v6, u->raw && !u->v6, &answer) == 0)
                icmp_take(u, &answer, now);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            u->error = errno;
            icmp_read_errors(u);
            continue;
        }
        u->misses++;
        icmp_wait(u, u->last_ns + u->patience_ns < mark ? u->last_ns + u->patience_ns : mark);
        now = clock_mono_ns();
    }
}

/* Warm-up, window and tail. */
static void icmp_ask(struct icmp_run *u)
{
    bool is_free = pacing_is_free(&u->pacing);

    while (!wake_stopped(u->engine)) {
        uint64_t now = clock_mono_ns(), mark = icmp_next_mark(u, now), skipped = u->pacing.skipped;
        uint64_t next = is_free ? u->last_ns + u->patience_ns : u->pacing.due_ns;
        bool due = is_free ? !u->waiting || now > next : pacing_due(&u->pacing, now, 1);

        if (now >= trial_window_start(u->trial) && now < trial_window_end(u->trial))
            u->skipped += u->pacing.skipped - skipped;
        if (!icmp_edges(u, now))
            return;
        if (due)
            icmp_send(u, now);
        if (!icmp_read(u) && !due)
            icmp_wait(u, next < mark ? next : mark);
    }
}

/* Answers that are still on their way. */
static void icmp_drain(struct icmp_run *u)
{
    uint64_t now = clock_mono_ns();

    while (u->sequence.received < u->n_measured && now < u->last_ns + ICMP_ANSWER_NS &&
           !wake_stopped(u->engine)) {
        if (!icmp_read(u))
            icmp_wait(u, u->last_ns + ICMP_ANSWER_NS);
        now = clock_mono_ns();
        icmp_edges(u, now);
    }
}

static void icmp_report(struct icmp_run *u)
{
    struct metric_set *m = &u->flow->metrics;
    uint64_t lost = sequence_end(&u->sequence, u->n_measured);
    int mtu = socket_path_mtu(u->flow->fd);

    metric_put(m, METRIC_sent, u->n_measured);
    metric_put(m, METRIC_received, u->sequence.received);
    metric_put(m, METRIC_lost, lost);
    metric_put(m, METRIC_longest_loss, u->sequence.longest_loss);
    metric_put(m, METRIC_duplicated, u->sequence.duplicated);
    metric_put(m, METRIC_reordered, u->sequence.reordered);
    metric_put(m, METRIC_blocked_ns, u->blocked_ns);
    if (u->n_measured) {
        struct stat_interval likely = stat_share_interval(lost, u->n_measured);

        metric_put_real(m, METRIC_loss_share, (double)lost / (double)u->n_measured);
        metric_put_real(m, METRIC_loss_low_share, likely.low);
        metric_put_real(m, METRIC_loss_high_share, likely.high);
    }
    if (!pacing_is_free(&u->pacing)) {
        metric_put(m, METRIC_late, u->late);
        metric_put(m, METRIC_latest_ns, u->latest_ns);
        metric_put(m, METRIC_skipped, u->skipped);
    }
    if (mtu > 0)
        metric_put(m, METRIC_pmtu_bytes, (uint64_t)mtu);
}

static void icmp_run(struct worker *worker)
{
    AUTO(free_p) struct icmp_run *u = calloc(1, sizeof *u);

    if (!u || icmp_init(u, worker) < 0) {
        worker->error = ENOMEM;
        text_copy(worker->what, sizeof worker->what, "making buffers for echo");
    } else if (worker_sleep_until(worker, worker->trial->start_ns)) {
        if (pacing_is_free(&u->pacing))
            icmp_flood(u);
        icmp_set_stamps(u, 1);
        icmp_ask(u);
        worker_window_end(worker);
        icmp_drain(u);
        icmp_report(u);
        /*
         * Silence is loss, and the result says so. An error that the network, or our own kernel,
         * told is a reason.
         */
        if (u->n_answers == 0 && u->error)
            worker_fail(worker, u->flow, u->error, "no answer");
    }
    if (u)
        icmp_done(u);
}

const struct endpoint_ops endpoint_icmp = {
    .kind = FLOW_ICMP_ECHO,
    .want_rtt = true,
    .open = icmp_open,
    .ask = icmp_run,
};
