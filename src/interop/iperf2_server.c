/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "interop/foreign_datagram.h"
#include "interop/iperf2_report.h"
#include "interop/serve_test.h"
#include "interop/talk.h"

#include <errno.h>
#include <string.h>

enum {
    IPERF2_DAY_S = 86400,
    IPERF2_LINGER_NS =
        600 * CLOCK_MS,  /* for the end's copies, when our answer was lost: two of them */
    IPERF2_ANSWERS = 10, /* a client sends no more copies */
    IPERF2_PROOF_NS = 2 * CLOCK_S,
};

/* Until a copy of the end comes. Only that is answered: nobody gets more from us than there are ends from him. */
static bool iperf2_end_again(const struct talk *talk, uint64_t until)
{
    for (;;) {
        uint8_t head[FOREIGN_HEAD_BYTES];
        struct foreign_datagram d;
        ssize_t n = talk_take(talk, head, sizeof head, until);

        if (n < 0)
            return false;
        if (n < IPERF2_DATAGRAM_BYTES)
            continue;
        foreign_datagram_read(FOREIGN_IPERF2, head, (uint32_t)n, &d);
        if (d.number < 0)
            return true;
    }
}

/* The answer to the end, once, and again to each copy of it that still comes. */
static void iperf2_answer(struct serve_test *test, int fd, const struct foreign_flow *flow)
{
    const struct iperf2_report report = {
        .bytes = flow->bytes,
        .seconds =
            flow->end_ns > flow->begin_ns ? (double)(flow->end_ns - flow->begin_ns) / 1e9 : 0,
        .jitter_ns = flow->jitter_ns,
        .lost = flow->lost,
        .reordered = flow->reordered,
        .packets = flow->received + flow->lost,
    };
    const struct foreign_datagram last = {.number = -(int64_t)flow->total,
                                          .departed_ns = clock_mono_ns()};
    const struct talk talk = {fd, test->serve->stop_fd};
    uint64_t until = clock_mono_ns() + IPERF2_LINGER_NS;
    uint8_t bytes[IPERF2_REPORT_BYTES], head[FOREIGN_HEAD_BYTES] = {0};

    foreign_datagram_write(FOREIGN_IPERF2, &last, head);
    iperf2_report_write(&report, head, bytes);
    for (int i = 0; i < IPERF2_ANSWERS; i++) {
        if (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) < 0 || !iperf2_end_again(&talk, until))
            return;
    }
}

static void iperf2_sum_up(struct serve_report *report, const struct foreign_flow *flow)
{
    report->received_bytes = flow->bytes;
    report->received_s =
        flow->end_ns > flow->begin_ns ? (double)(flow->end_ns - flow->begin_ns) / 1e9 : 0;
    report->received_packets = flow->received;
    report->lost_packets = flow->lost;
    report->jitter_ns = flow->jitter_ns;
}

static int iperf2_serve(struct serve_test *test, struct err *err)
{
    const struct flow_spec spec = {.kind = test->udp ? FLOW_UDP_STREAM : FLOW_TCP_STREAM,
                                   .role = FLOW_SERVER,
                                   .direction = FLOW_FORWARD,
                                   .n_flows = 1,
                                   .payload_bytes = FLOW_UDP_HEADER,
                                   .peer = FLOW_PEER_IPERF2};
    struct foreign_flow flow = {0};
    struct foreign_side side = {.form = FOREIGN_IPERF2,
                                .until_finished = true,
                                .idle_ns = test->serve->options.idle_ns,
                                .proof_ns = IPERF2_PROOF_NS,
                                .proven = &test->proven,
                                .flows = &flow};
    struct flow_trial trial = {
        .number = 1, .start_ns = clock_mono_ns(), .duration_ns = IPERF2_DAY_S * (uint64_t)CLOCK_S};
    struct flow_result parts[FLOW_PART_COUNT] = {0};
    bool has[FLOW_PART_COUNT];
    struct engine *engine = NULL;
    int fd = test->fd, r;

    test->fd = -1;
    test->report.n_flows = 1;
    test->report.direction = FLOW_FORWARD;
    test->report.udp = test->udp;
    /* Datagrams that came before this thread ran are the test's: its start is the first of them. */
    if (test->udp)
        trial.start_ns -= CLOCK_S;
    r = engine_adopt_as(&spec, test->udp ? &foreign_udp : &foreign_tcp, &side, &fd,
                        test->serve->stop_fd, &engine, err);
    if (r < 0)
        return r;
    r = engine_run(engine, &trial, NULL, NULL, parts, has, err);
    iperf2_sum_up(&test->report, &flow);
    /* Anybody can send a datagram or two in another's name: they are no test, and do not end --one. */
    if (test->udp && !flow.finished && !test->proven)
        test->report.n_flows = 0;
    if (flow.finished && test->udp)
        iperf2_answer(test, fd, &flow);
    engine_close(engine);
    for (int part = 0; part < FLOW_PART_COUNT; part++)
        flow_result_done(&parts[part]);
    if (r == -ECANCELED || (r == 0 && !flow.finished))
        return err_set(err, ECANCELED, "the server was stopped");
    return r;
}

void iperf2_server_test(struct serve_test *test)
{
    struct err err = {0};
    int r;

    pthread_mutex_lock(&test->serve->lock);
    test->phase = SERVE_RUNNING;
    pthread_mutex_unlock(&test->serve->lock);
    r = iperf2_serve(test, &err);
    test->report.error = -r;
    text_copy(test->report.what, sizeof test->report.what, r < 0 ? err.text : "");
    serve_tell(test);
}
