/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/tcp_info.h"
#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

struct tcp_row {
    uint16_t offset, size;
    uint32_t scale; /* the kernel's unit to ours */
};

#define TCP_ROW(field, member, scale)                                                              \
    [field] = {offsetof(struct tcp_info, member), sizeof(((struct tcp_info *)0)->member), scale}

static const struct tcp_row tcp_rows[TCP_FIELD_COUNT] = {
    TCP_ROW(TCP_FIELD_RTT_NS, tcpi_rtt, CLOCK_US),
    TCP_ROW(TCP_FIELD_CWND_PACKETS, tcpi_snd_cwnd, 1),
    TCP_ROW(TCP_FIELD_SND_MSS_BYTES, tcpi_snd_mss, 1),
    TCP_ROW(TCP_FIELD_RCV_MSS_BYTES, tcpi_rcv_mss, 1),
    TCP_ROW(TCP_FIELD_PMTU_BYTES, tcpi_pmtu, 1),
    TCP_ROW(TCP_FIELD_RCV_SPACE_BYTES, tcpi_rcv_space, 1),
    TCP_ROW(TCP_FIELD_LOST, tcpi_lost, 1),
    TCP_ROW(TCP_FIELD_TOTAL_RETRANS, tcpi_total_retrans, 1),
    TCP_ROW(TCP_FIELD_BUSY_NS, tcpi_busy_time, CLOCK_US),
    TCP_ROW(TCP_FIELD_RWND_LIMITED_NS, tcpi_rwnd_limited, CLOCK_US),
    TCP_ROW(TCP_FIELD_SNDBUF_LIMITED_NS, tcpi_sndbuf_limited, CLOCK_US),
    TCP_ROW(TCP_FIELD_SND_WND_BYTES, tcpi_snd_wnd, 1),
    TCP_ROW(TCP_FIELD_BYTES_ACKED, tcpi_bytes_acked, 1),
};

void tcp_info_parse(const void *bytes, size_t n, struct tcp_sample *ret_sample)
{
    *ret_sample = (struct tcp_sample){0};
    for (unsigned i = 0; i < TCP_FIELD_COUNT; i++) {
        const struct tcp_row *row = &tcp_rows[i];
        const char *at = (const char *)bytes + row->offset;
        uint64_t wide = 0;
        uint32_t narrow = 0;

        if ((size_t)row->offset + row->size > n)
            continue;
        if (row->size == sizeof wide)
            memcpy(&wide, at, sizeof wide);
        else
            memcpy(&narrow, at, sizeof narrow);
        ret_sample->has[i] = true;
        ret_sample->value[i] = (row->size == sizeof wide ? wide : narrow) * row->scale;
    }
    if (ret_sample->value[TCP_FIELD_RTT_NS] == 0)
        ret_sample->has[TCP_FIELD_RTT_NS] = false;
}

int tcp_info_read(int fd, struct tcp_sample *ret_sample)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return -errno;
    tcp_info_parse(&info, len, ret_sample);
    return 0;
}

void tcp_info_congestion(int fd, char ret_cc[FLOW_CC_SIZE])
{
    char name[FLOW_CC_SIZE] = "";
    socklen_t len = sizeof name - 1;

    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) < 0)
        name[0] = '\0';
    memcpy(ret_cc, name, sizeof name);
}

static uint64_t tcp_watch_cwnd(const struct tcp_sample *s)
{
    return s->value[TCP_FIELD_CWND_PACKETS] * s->value[TCP_FIELD_SND_MSS_BYTES];
}

static void tcp_watch_put(struct flow *flow, enum metric m, const struct tcp_sample *s,
                          enum tcp_field f)
{
    if (s->has[f])
        metric_put(&flow->metrics, m, s->value[f]);
}

/* What the window added to a counter of the kernel. */
static void tcp_watch_delta(struct tcp_watch *w, struct flow *flow, enum metric m,
                            const struct tcp_sample *s, enum tcp_field f)
{
    if (w->begun && s->has[f] && w->begin.has[f])
        metric_put(&flow->metrics, m, s->value[f] - w->begin.value[f]);
}

static void tcp_watch_buffers(struct flow *flow)
{
    int size = flow->sends ? socket_send_buffer(flow->fd, 0) : socket_receive_buffer(flow->fd, 0);

    if (size >= 0)
        metric_put(&flow->metrics,
                   flow->sends ? METRIC_send_buffer_bytes : METRIC_receive_buffer_bytes,
                   (uint64_t)size);
}

static void tcp_watch_finish(struct tcp_watch *w, struct flow *flow, const struct tcp_sample *s)
{
    w->ended = true;
    tcp_watch_buffers(flow);
    tcp_watch_put(flow, METRIC_pmtu_bytes, s, TCP_FIELD_PMTU_BYTES);
    if (!flow->sends) {
        tcp_watch_put(flow, METRIC_mss_bytes, s, TCP_FIELD_RCV_MSS_BYTES);
        tcp_watch_put(flow, METRIC_receive_window_bytes, s, TCP_FIELD_RCV_SPACE_BYTES);
        return;
    }
    tcp_watch_put(flow, METRIC_mss_bytes, s, TCP_FIELD_SND_MSS_BYTES);
    tcp_watch_put(flow, METRIC_receive_window_bytes, s, TCP_FIELD_SND_WND_BYTES);
    tcp_watch_put(flow, METRIC_lost_segments, s, TCP_FIELD_LOST);
    if (s->has[TCP_FIELD_CWND_PACKETS] && s->has[TCP_FIELD_SND_MSS_BYTES]) {
        metric_put(&flow->metrics, METRIC_cwnd_bytes, tcp_watch_cwnd(s));
        metric_put(&flow->metrics, METRIC_cwnd_max_bytes, w->cwnd_max_bytes);
    }
    tcp_watch_delta(w, flow, METRIC_retransmits, s, TCP_FIELD_TOTAL_RETRANS);
    tcp_watch_delta(w, flow, METRIC_busy_ns, s, TCP_FIELD_BUSY_NS);
    tcp_watch_delta(w, flow, METRIC_peer_window_limited_ns, s, TCP_FIELD_RWND_LIMITED_NS);
    tcp_watch_delta(w, flow, METRIC_send_buffer_limited_ns, s, TCP_FIELD_SNDBUF_LIMITED_NS);
}

/* An interval is over. When several passed unseen, the last of them gets it all. */
static void tcp_watch_interval(struct tcp_watch *w, struct flow *flow, uint32_t slot,
                               const struct tcp_sample *s)
{
    struct flow_interval *i = &flow->tally.slots[slot];
    uint64_t retransmits = s->value[TCP_FIELD_TOTAL_RETRANS];

    if (slot < 1)
        return;
    /* The engine's thread may read them already. */
    __atomic_store_n(&i->retransmits, retransmits - w->retransmits, __ATOMIC_RELAXED);
    __atomic_store_n(&i->rtt_ns, s->has[TCP_FIELD_RTT_NS] ? s->value[TCP_FIELD_RTT_NS] : 0,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&i->cwnd_bytes, tcp_watch_cwnd(s), __ATOMIC_RELAXED);
}

void tcp_watch_sample(struct tcp_watch *watch, struct flow *flow)
{
    bool edge = flow->tally.slot != watch->slot, over = flow->tally.slot == flow->tally.n_slots - 1;
    struct tcp_sample s = {0};

    if (watch->ended || (!flow->sends && !edge) || tcp_info_read(flow->fd, &s) < 0)
        return;
    watch->last = s;
    if (edge && watch->slot == 0) {
        watch->begin = s;
        watch->begun = true;
        watch->retransmits = s.value[TCP_FIELD_TOTAL_RETRANS];
    }
    if (flow->sends && flow->tally.slot > 0) {
        if (edge)
            tcp_watch_interval(watch, flow, flow->tally.slot - 1, &s);
        if (tcp_watch_cwnd(&s) > watch->cwnd_max_bytes)
            watch->cwnd_max_bytes = tcp_watch_cwnd(&s);
        if (s.has[TCP_FIELD_RTT_NS] && flow->rtt)
            hist_add(flow->rtt, s.value[TCP_FIELD_RTT_NS]);
    }
    if (edge) {
        watch->slot = flow->tally.slot;
        watch->retransmits = s.value[TCP_FIELD_TOTAL_RETRANS];
    }
    if (over)
        tcp_watch_finish(watch, flow, &s);
}

void tcp_watch_end(struct tcp_watch *watch, struct flow *flow)
{
    struct tcp_sample s = {0};

    if (watch->ended || tcp_info_read(flow->fd, &s) < 0)
        return;
    /* Cut short in the middle of an interval. */
    if (flow->sends && watch->begun && tally_in_window(&flow->tally))
        tcp_watch_interval(watch, flow, flow->tally.slot, &s);
    tcp_watch_finish(watch, flow, &s);
}
