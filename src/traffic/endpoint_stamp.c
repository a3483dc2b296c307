/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/stat.h"
#include "traffic/call.h"
#include "traffic/schedule.h"
#include "traffic/sequence.h"
#include "traffic/stamp.h"
#include "traffic/stamp_delay.h"
#include "traffic/stamp_packet.h"
#include "traffic/stamp_reflect.h"
#include "traffic/tick.h"
#include "traffic/udp_open.h"
#include "traffic/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Two-way delay by STAMP (RFC 8762): test packets by a schedule, or each as soon as the one before is answered. The round
 * trip is (T4 - T1) - (T3 - T2), which needs no common clock. T2 and T4 are the kernel's receive stamps.
 *
 * Between our own agents the flow is opened with the token, and the SSID of an answer tells whose clock the reflector
 * has: both ends hash the machine's boot id with the token. Any other reflector just gets test packets.
 */
enum {
    STAMP_RUN_RING = 65536,     /* requests that may be on their way */
    STAMP_RUN_ANSWER = CLOCK_S, /* an answer that takes longer is lost */
    STAMP_RUN_PATIENCE =
        200 * CLOCK_MS, /* without a schedule: so long for the last one until the next */
    STAMP_RUN_QUIET = 100 * CLOCK_MS, /* server: past the trial's end */
    STAMP_RUN_READS = 64,
    STAMP_RUN_CALL_MS = 100,    /* without a tick: a blocking call has to see stop */
    STAMP_RUN_BUFFER = 4 << 20, /* who is put aside for a while loses nothing */
    STAMP_RUN_SPINS =
        64, /* empty reads of a spinner before it looks at the clock and offers its CPU */
    STAMP_RUN_TTL = 255,
    STAMP_RUN_BOOT_ID = 36,
};

struct stamp_run {
    struct worker *worker;
    const struct engine *engine;
    const struct flow_trial *trial;
    struct flow *flow;
    struct schedule schedule;
    struct stamp stamp;
    int64_t
        ahead_ns; /* wall less monotonic clock at the begin; a step of the former does not matter then */
    uint16_t error, ssid;
    uint8_t *packet; /* owned */
    uint64_t *times; /* owned; T1 as on the wire, by number */
    uint64_t next;   /* number of the next packet */
    uint64_t first;  /* number of the first measured one; they follow each other */
    uint64_t n_measured, last_ns, since_ns, n_answers;
    bool waiting; /* the last one has no answer yet */
    uint32_t spins;
    int broken;          /* errno that a packet met last */
    double reflector_ns; /* sum */
    uint64_t n_reflector;
    struct sequence sequence;
    struct stamp_delay delay;
};

/* A number that two processes of one machine share, and nobody else but by chance; 0 not known. */
static uint16_t stamp_boot(const struct flow_spec *spec)
{
    AUTO(close_p) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    uint8_t id[STAMP_RUN_BOOT_ID];
    uint16_t hash;

    if (fd < 0 || read(fd, id, sizeof id) != sizeof id)
        return 0;
    hash = (uint16_t)token_siphash(spec->token, id, sizeof id);
    return hash ? hash : 1;
}

static int stamp_connect(struct engine *engine, struct flow *flow, struct err *err)
{
    const struct flow_spec *spec = &engine->spec;
    uint16_t port = spec->port ? spec->port : STAMP_REFLECT_PORT;
    union socket_address address;
    socklen_t len;
    int r = socket_address(spec->address, port, &address, &len, err);

    if (r < 0)
        return r;
    flow->fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (flow->fd < 0)
        return socket_none(spec, errno, err);
    r = socket_prepare(flow->fd, spec, err);
    if (r < 0)
        return r;
    if (connect(flow->fd, &address.any, len) < 0)
        return err_set(err, errno, "reaching %s port %u", spec->address, port);
    return 0;
}

static int stamp_open(struct engine *engine, struct err *err)
{
    int r = 0;

    if (engine->spec.peer != FLOW_PEER_STAMP)
        return udp_open(engine, err);
    for (uint32_t i = 0; i < engine->n_flows && r == 0; i++)
        r = stamp_connect(engine, &engine->flows[i], err);
    return r;
}

static int stamp_run_init(struct stamp_run *u, struct worker *worker)
{
    const int ttl = STAMP_RUN_TTL;

    u->worker = worker;
    u->engine = worker->engine;
    u->trial = worker->trial;
    u->flow = worker->flows[0];
    u->error = stamp_reflect_clock();
    u->ssid = u->engine->spec.peer == FLOW_PEER_AGENT ? stamp_boot(&u->engine->spec) : 0;
    schedule_init(&u->schedule, worker, u->flow);
    u->packet = calloc(1, u->engine->spec.payload_bytes);
    u->times = calloc(STAMP_RUN_RING, sizeof *u->times);
    if (!u->packet || !u->times)
        return -ENOMEM;
    if (u->engine->spec.window_bytes == 0)
        socket_receive_buffer(u->flow->fd, STAMP_RUN_BUFFER);
    /* So that the reflector can tell how many hops it took; only one of the two fits the family. */
    setsockopt(u->flow->fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    setsockopt(u->flow->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof ttl);
    return stamp_enable(u->flow->fd);
}

static void stamp_run_free(struct stamp_run *u)
{
    if (!u)
        return;
    free(u->packet);
    free(u->times);
    free(u);
}

/* A packet that met an error is lost; one that nobody waits for at the other end says that there is no reflector. */
static void stamp_met(struct stamp_run *u, int code)
{
    u->broken = code;
    if (code == ECONNREFUSED)
        worker_fail(u->worker, u->flow, code,
                    u->n_answers ? "the reflector is gone" : "nobody reflects at this port");
}

static void stamp_send(struct stamp_run *u, uint64_t now)
{
    struct stamp_test test = {.sequence = (uint32_t)u->next, .error = u->error};
    uint64_t due = schedule_is_free(&u->schedule) ? now : schedule_take(&u->schedule, now);

    if (schedule_measures(&u->schedule, due) && u->n_measured++ == 0)
        u->first = u->next;
    u->since_ns = u->since_ns ? u->since_ns : now;
    u->last_ns = now;
    u->waiting = true;
    test.time = stamp_packet_time((uint64_t)((int64_t)clock_mono_ns() + u->ahead_ns), false);
    u->times[u->next++ % STAMP_RUN_RING] = test.time;
    stamp_packet_write_test(&test, u->packet);
    if (call_send(u->flow->fd, u->packet, u->engine->spec.payload_bytes,
                  MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
        stamp_met(u, errno);
}

/* Number of the packet that was answered; false when it is none of ours, or of an earlier trial. */
static bool stamp_match(const struct stamp_run *u, const struct stamp_answer *a,
                        uint64_t *ret_number)
{
    uint64_t back = (uint32_t)((uint32_t)(u->next - 1) - a->test.sequence);

    if (back >= u->next || back >= STAMP_RUN_RING ||
        u->times[(u->next - 1 - back) % STAMP_RUN_RING] != a->test.time)
        return false;
    *ret_number = u->next - 1 - back;
    return true;
}

/* A measured answer, not a copy. */
static void stamp_measure(struct stamp_run *u, const struct stamp_answer *a, uint64_t arrived)
{
    int64_t sent = (int64_t)stamp_packet_wall(a->test.time, false);
    int64_t came = (int64_t)arrived + u->ahead_ns;
    int64_t held = (int64_t)(a->sent_ns - a->received_ns);
    int64_t all = came > sent ? came - sent : 0;

    /* A reflector's coarse clock, or one that was set, must not make it negative. */
    held = held < 0 ? 0 : held > all ? all : held;
    hist_add(u->flow->rtt, (uint64_t)(all - held));
    u->reflector_ns += (double)held;
    if (u->n_reflector++ == 0)
        u->delay.maybe_one_clock = u->ssid && a->ssid == u->ssid;
    stamp_delay_add(&u->delay,
                    (struct stamp_delay_sample){.forward_ns = (int64_t)a->received_ns - sent,
                                                .backward_ns = came - (int64_t)a->sent_ns,
                                                .at_ns = (int64_t)arrived});
}

static void stamp_take(struct stamp_run *u, const struct stamp_answer *a,
                       const struct msghdr *message)
{
    uint64_t number, arrived;

    if (!stamp_match(u, a, &number))
        return;
    arrived = stamp_arrival_ns(&u->stamp, message);
    u->n_answers++;
    u->since_ns = 0;
    if (number == u->next - 1)
        u->waiting = false;
    if (u->n_measured && number >= u->first && number - u->first < u->n_measured) {
        if (!sequence_add(&u->sequence, number - u->first))
            return;
        stamp_measure(u, a, arrived);
    }
    tally_add(&u->flow->tally, arrived, u->engine->spec.payload_bytes, 1);
}

/* Read what has come; true when there was something. */
static bool stamp_read(struct stamp_run *u)
{
    _Alignas(struct cmsghdr) uint8_t control[STAMP_CONTROL_BYTES];
    uint8_t bytes[STAMP_PACKET_BYTES];
    bool any = false;

    for (int i = 0; i < STAMP_RUN_READS; i++) {
        struct iovec iov = {bytes, sizeof bytes};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(u->flow->fd, &m, MSG_DONTWAIT);
        struct stamp_answer answer;

        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                stamp_met(u, errno);
            return any;
        }
        any = true;
        stamp_sync(&u->stamp);
        if (stamp_packet_read_answer(bytes, (size_t)n, &answer) == 0)
            stamp_take(u, &answer, &m);
    }
    return any;
}

/* Edges that now has passed; false when the trial cannot go on. */
static bool stamp_edges(struct stamp_run *u, uint64_t now)
{
    uint64_t patience = ENDPOINT_STALL_S * (uint64_t)CLOCK_S + 2 * u->engine->spec.gap_ns;

    if (now >= trial_window_start(u->trial))
        worker_window_begin(u->worker);
    if (now >= trial_window_end(u->trial))
        worker_window_end(u->worker);
    if (now >= u->flow->tally.edge_ns)
        tally_advance(&u->flow->tally, now);
    if (u->since_ns && now > u->since_ns + patience)
        worker_fail(u->worker, u->flow, u->broken ? u->broken : ETIMEDOUT,
                    u->n_answers ? "no answer for 3 s" : "no answer: is there a reflector?");
    return u->flow->error == 0 && !wake_stopped(u->engine);
}

static void stamp_wait(struct stamp_run *u, uint64_t until)
{
    bool spin = u->engine->spec.spin;

    if (!spin && schedule_wait(u->flow->fd, POLLIN, until))
        return;
    if (u->waiting && (!spin || ++u->spins % STAMP_RUN_SPINS == 0))
        sched_yield(); /* who has to answer may be waiting for this CPU */
}

/* Warm-up, window and tail. */
static void stamp_ask_loop(struct stamp_run *u)
{
    bool is_free = schedule_is_free(&u->schedule);
    uint64_t now = clock_mono_ns(), end = trial_end(u->trial);

    while (stamp_edges(u, now) && (is_free ? now : u->schedule.pacing.due_ns) < end &&
           (u->trial->count == 0 || u->n_measured < u->trial->count)) {
        uint64_t next = is_free ? u->last_ns + STAMP_RUN_PATIENCE : u->schedule.pacing.due_ns;
        bool due = is_free ? !u->waiting || now > next : schedule_due(&u->schedule, now);

        if (due)
            stamp_send(u, now);
        if (!stamp_read(u) && (is_free ? u->waiting : !due)) {
            next = is_free ? u->last_ns + STAMP_RUN_PATIENCE : u->schedule.pacing.due_ns;
            stamp_wait(u, is_free && end < next ? end : next);
        }
        now = clock_mono_ns();
    }
}

/* Answers that are still on their way. */
static void stamp_drain(struct stamp_run *u)
{
    uint64_t now = clock_mono_ns(), until = u->last_ns + STAMP_RUN_ANSWER;

    while (stamp_edges(u, now) && u->sequence.received < u->n_measured && now < until) {
        if (!stamp_read(u))
            stamp_wait(u, until);
        now = clock_mono_ns();
    }
}

static void stamp_report_ways(struct stamp_run *u, struct metric_set *m)
{
    struct stamp_delay_way forward, backward;
    struct stamp_delay_clock clock;

    if (!stamp_delay_end(&u->delay, &forward, &backward, &clock))
        return;
    metric_put_real(m, METRIC_forward_min_ns, forward.min_ns);
    metric_put_real(m, METRIC_forward_p50_ns, forward.p50_ns);
    metric_put_real(m, METRIC_forward_p99_ns, forward.p99_ns);
    metric_put_real(m, METRIC_forward_max_ns, forward.max_ns);
    metric_put_real(m, METRIC_backward_min_ns, backward.min_ns);
    metric_put_real(m, METRIC_backward_p50_ns, backward.p50_ns);
    metric_put_real(m, METRIC_backward_p99_ns, backward.p99_ns);
    metric_put_real(m, METRIC_backward_max_ns, backward.max_ns);
    metric_put_real(m, METRIC_clock_error_ns, clock.error_ns);
    metric_put_real(m, METRIC_clock_ahead_ns, clock.ahead_ns);
    metric_put_real(m, METRIC_clock_drift_share, clock.drift);
    metric_put_real(m, METRIC_clock_at_ns, clock.at_ns);
    metric_put_real(m, METRIC_reflector_ns, u->reflector_ns / (double)u->n_reflector);
}

static void stamp_report(struct stamp_run *u)
{
    struct metric_set *m = &u->flow->metrics;
    uint64_t lost = sequence_end(&u->sequence, u->n_measured);
    struct stat_interval likely = stat_share_interval(lost, u->n_measured);
    int mtu = socket_path_mtu(u->flow->fd);

    metric_put(m, METRIC_sent, u->n_measured);
    metric_put(m, METRIC_received, u->sequence.received);
    metric_put(m, METRIC_lost, lost);
    metric_put(m, METRIC_longest_loss, u->sequence.longest_loss);
    metric_put(m, METRIC_duplicated, u->sequence.duplicated);
    metric_put(m, METRIC_reordered, u->sequence.reordered);
    if (u->n_measured) {
        metric_put_real(m, METRIC_loss_share, (double)lost / (double)u->n_measured);
        metric_put_real(m, METRIC_loss_low_share, likely.low);
        metric_put_real(m, METRIC_loss_high_share, likely.high);
    }
    schedule_report(&u->schedule, m);
    stamp_report_ways(u, m);
    if (mtu > 0)
        metric_put(m, METRIC_pmtu_bytes, (uint64_t)mtu);
}

static void stamp_ask(struct worker *worker)
{
    struct stamp_run *u = calloc(1, sizeof *u);
    int r = u ? stamp_run_init(u, worker) : -ENOMEM;

    if (r < 0) {
        worker_fail(worker, worker->flows[0], -r, "preparing to send test packets");
    } else if (worker_sleep_until(worker, worker->trial->start_ns)) {
        stamp_sync(&u->stamp);
        u->ahead_ns = u->stamp.ahead_ns;
        stamp_ask_loop(u);
        worker_window_end(worker);
        stamp_drain(u);
        stamp_report(u);
        if (u->n_answers == 0 && u->next && !wake_stopped(u->engine))
            worker_fail(worker, u->flow, u->broken ? u->broken : ETIMEDOUT,
                        "no answer: is there a reflector?");
    }
    stamp_run_free(u);
}

/* The server's side. */
struct stamp_server {
    struct worker *worker;
    struct flow *flow;
    uint64_t now_ns, moved_ns, done;
};

static void stamp_edge(struct stamp_server *s)
{
    const struct tally *tally = &s->flow->tally;

    if (tally->slot > 0)
        worker_window_begin(s->worker);
    if (tally->slot == tally->n_slots - 1)
        worker_window_end(s->worker);
}

/* Nothing came for a moment. False: nothing will. */
static bool stamp_idle(struct stamp_server *s)
{
    const struct engine *engine = s->worker->engine;
    const struct flow_trial *trial = s->worker->trial;
    uint64_t gap = engine->spec.gap_ns;

    s->now_ns = clock_mono_ns();
    if (tally_advance(&s->flow->tally, s->now_ns))
        stamp_edge(s);
    if (wake_stopped(engine))
        return false;
    if (s->now_ns >= trial_end(trial) && s->now_ns > s->moved_ns + STAMP_RUN_QUIET)
        return false;
    /* The count may have begun in the client's warm-up: only a long silence is the end. */
    if (trial->count && s->done >= trial->count &&
        s->now_ns > s->moved_ns + 3 * (STAMP_RUN_PATIENCE + gap))
        return false;
    if (s->now_ns <= s->moved_ns + ENDPOINT_STALL_S * (uint64_t)CLOCK_S + 2 * gap)
        return true;
    worker_fail(s->worker, s->flow, ETIMEDOUT, "no test packet for 3 s");
    return false;
}

static void stamp_answer_loop(struct stamp_server *s, struct stamp_reflector *reflector)
{
    const int flags = s->worker->engine->spec.spin ? MSG_DONTWAIT : 0;
    uint32_t spins = 0;

    while (stamp_idle(s)) {
        int r = stamp_reflect_one(reflector, flags);

        while (r == 1) {
            s->moved_ns = s->now_ns = clock_mono_ns();
            s->done++;
            if (tally_add(&s->flow->tally, s->now_ns, reflector->bytes_in, 1))
                stamp_edge(s);
            if (wake_stopped(s->worker->engine))
                return;
            r = stamp_reflect_one(reflector, flags);
        }
        for (; r == -EAGAIN && flags && ++spins % STAMP_RUN_SPINS;)
            r = stamp_reflect_one(reflector, flags);
        if (r == -EAGAIN && flags)
            sched_yield();
        if (r < 0 && r != -EAGAIN && s->now_ns < trial_end(s->worker->trial)) {
            worker_fail(s->worker, s->flow, -r,
                        r == -ECONNREFUSED ? "the client has closed its socket"
                                           : "the connection broke");
            return;
        }
    }
}

static void stamp_reply(struct worker *worker)
{
    struct stamp_server s = {
        .worker = worker, .flow = worker->flows[0], .moved_ns = worker->trial->start_ns};
    struct stamp_reflector reflector;
    struct tick tick = {0};
    struct err err = {0};
    int r = stamp_reflector_init(&reflector, s.flow->fd, &err);

    if (worker->engine->spec.window_bytes == 0)
        socket_receive_buffer(s.flow->fd, STAMP_RUN_BUFFER);
    reflector.ssid = stamp_boot(&worker->engine->spec);
    if (r == 0)
        r = socket_timeouts(s.flow->fd, tick_start(&tick) < 0 ? STAMP_RUN_CALL_MS : 0);
    if (r < 0)
        worker_fail(worker, s.flow, -r, "preparing to reflect");
    else if (worker_sleep_until(worker, worker->trial->start_ns))
        stamp_answer_loop(&s, &reflector);
    tick_stop(&tick);
    stamp_reflector_done(&reflector);
}

const struct endpoint_ops endpoint_stamp = {
    .kind = FLOW_STAMP,
    .want_rtt = true,
    .thread_per_flow = true,
    .open = stamp_open,
    .accept = udp_accept,
    .ask = stamp_ask,
    .answer = stamp_reply,
};
