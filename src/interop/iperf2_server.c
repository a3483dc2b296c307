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
        600 * CLOCK_MS, /* for the end's copies, when our answer was lost: two of them */
};

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
    do {
        iperf2_report_write(&report, head, bytes);
        if (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) < 0)
            return;
    } while (talk_receive(&talk, head, 1, until, "a copy of the end", NULL) == 0);
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
