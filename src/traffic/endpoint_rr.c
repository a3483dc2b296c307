/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/rr.h"
#include "traffic/tcp_open.h"
#include "traffic/udp_open.h"

/*
 * Request and response: the client sends a payload, waits for all of the answer, and only then asks again, or, with a
 * gap, asks by a schedule; the server returns what came. A thread a flow, no epoll: two system calls a transaction and
 * side.
 */
static enum rr_end rr_ask_one(struct rr *rr, uint64_t sent_ns)
{
    if (rr->tcp)
        return rr_tcp_send(rr) ? rr_tcp_receive(rr) : RR_OVER;
    rr_udp_number(rr);
    /* An answer after the limit is not looked at: whoever blocks would see that too late. */
    return rr_udp_send(rr) ? rr_udp_receive(rr, sent_ns + RR_TIMEOUT_NS) : RR_OVER;
}

static void rr_ask_loop(struct rr *rr)
{
    uint64_t end = trial_end(rr->worker->trial), answered;

    while (rr->done < rr->count && rr->now_ns < end && !rr_stopped(rr)) {
        /* The last look at the clock is the next start: nothing but counting lies between. */
        uint64_t sent_ns = rr->now_ns;
        enum rr_end got = rr_ask_one(rr, sent_ns);

        if (got == RR_OVER)
            break;
        if (got == RR_NOTHING) {
            rr->timeouts += tally_in_window(&rr->flow->tally);
            continue;
        }
        rr_done_one(rr);
        if (tally_in_window(&rr->flow->tally))
            hist_add(rr->flow->rtt, rr->now_ns - sent_ns);
    }
    answered = tally_window(&rr->flow->tally).packets;
    rr_report_loss(rr, answered + rr->timeouts, answered);
}

static void rr_answer_loop(struct rr *rr)
{
    /* Only here both sides count the same ones. */
    uint64_t count = rr->tcp && rr->worker->trial->warmup_ns == 0 ? rr->count : UINT64_MAX;

    while (rr->done < count && !rr_stopped(rr)) {
        enum rr_end got = rr->tcp ? rr_tcp_receive(rr) : rr_udp_receive(rr, UINT64_MAX);

        if (got != RR_GOT)
            break;
        rr_done_one(rr);
        if (!(rr->tcp ? rr_tcp_send(rr) : rr_udp_send(rr)))
            break;
    }
}

static void rr_run(struct worker *worker, void (*body)(struct rr *rr))
{
    struct rr rr;
    int r = rr_init(&rr, worker);

    if (r < 0)
        worker_fail(worker, worker->flows[0], -r, "preparing to ask and answer");
    else if (worker_sleep_until(worker, worker->trial->start_ns)) {
        rr_look(&rr);
        body(&rr);
        rr_report_drops(&rr);
    }
    rr_done(&rr);
}

static void rr_ask(struct worker *worker)
{
    rr_run(worker, worker->engine->spec.gap_ns ? rr_open_ask : rr_ask_loop);
}

static void rr_answer(struct worker *worker) { rr_run(worker, rr_answer_loop); }

const struct endpoint_ops endpoint_tcp_rr = {
    .kind = FLOW_TCP_RR,
    .want_rtt = true,
    .thread_per_flow = true,
    .open = tcp_open,
    .accept = tcp_accept,
    .ask = rr_ask,
    .answer = rr_answer,
};

const struct endpoint_ops endpoint_udp_rr = {
    .kind = FLOW_UDP_RR,
    .want_rtt = true,
    .thread_per_flow = true,
    .open = udp_open,
    .accept = udp_accept,
    .ask = rr_ask,
    .answer = rr_answer,
};
