/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "model/measurement.h"
#include "results/run_json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The same run for every test of results/; in a header, because a unit test is one file. */
static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n, size);

    assert(p);
    return p;
}

static struct hist *latencies(uint64_t first_ns, uint64_t step_ns, unsigned n)
{
    struct hist *h = zeroed(1, sizeof *h);

    for (unsigned i = 0; i < n; i++)
        hist_add(h, first_ns + i * step_ns);
    return h;
}

static struct measurement *add(struct scenario_result *s, enum flow_kind kind, uint32_t payload)
{
    struct measurement *m = scenario_result_add(s);

    assert(m);
    m->kind = kind;
    m->payload_bytes = payload;
    m->n_flows = 1;
    m->port = kind == FLOW_ICMP_ECHO ? 0 : FLOW_PORT;
    m->warmup_ns = 200000000;
    metric_put(&m->headline, METRIC_window_ns, 1000000000);
    return m;
}

static void add_tcp(struct scenario_result *s)
{
    struct measurement *m = add(s, FLOW_TCP_STREAM, 65536);

    m->n_flows = 2;
    metric_put_real(&m->headline, METRIC_throughput_bps, 9412345678.5);
    metric_put(&m->headline, METRIC_retransmits, 12);
    m->limit = LIMIT_SENDER;
    snprintf(m->limit_reason, sizeof m->limit_reason, "its busiest thread had no time left");
    snprintf(m->warning, sizeof m->warning, "congestion control bbr paces on its own");
    snprintf(m->sender.congestion_control, sizeof m->sender.congestion_control, "bbr");
    m->sender.rtt = latencies(20000, 10, 1000);
    metric_put(&m->sender.metrics, METRIC_bytes, 1180000000);
    metric_put(&m->sender.metrics, METRIC_cpu_ns, 400000000);
    metric_put_real(&m->sender.metrics, METRIC_cpu_s_per_gb, 0.34);
    metric_put(&m->sender.metrics, METRIC_cwnd_bytes, 3 << 20);
    metric_put(&m->sender.metrics, METRIC_retransmits, 12);
    metric_put(&m->receiver.metrics, METRIC_window_ns, 1000000000);
    metric_put(&m->receiver.metrics, METRIC_bytes, 1176543209);
    metric_put_real(&m->receiver.metrics, METRIC_cpu_s_per_gb, 0.52);
    m->sender.interval_ns = m->receiver.interval_ns = 400000000;
    m->sender.n_intervals = m->receiver.n_intervals = 3;
    m->sender.intervals = zeroed(3, sizeof *m->sender.intervals);
    m->receiver.intervals = zeroed(3, sizeof *m->receiver.intervals);
    for (unsigned i = 0; i < 3; i++) {
        m->sender.intervals[i] = (struct flow_interval){.bytes = 470000000,
                                                        .retransmits = 4,
                                                        .rtt_ns = i == 0 ? 0 : 25000,
                                                        .cwnd_bytes = 3 << 20};
        m->receiver.intervals[i].bytes = 400000000;
    }
    m->receiver.flow_bytes = zeroed(2, sizeof *m->receiver.flow_bytes);
    m->receiver.n_flow_bytes = 2;
    m->receiver.flow_bytes[0] = 600000000;
    m->receiver.flow_bytes[1] = 576543209;
}

static void add_udp(struct scenario_result *s)
{
    struct measurement *m = add(s, FLOW_UDP_STREAM, 1024);

    metric_put_real(&m->headline, METRIC_offered_pps, 124600);
    metric_put_real(&m->headline, METRIC_received_pps, 124480);
    metric_put_real(&m->headline, METRIC_throughput_bps, 1.01974e9);
    metric_put_real(&m->headline, METRIC_loss_share, 0.00096);
    metric_put(&m->headline, METRIC_lost, 120);
    metric_put(&m->headline, METRIC_reordered, 0);
    metric_put(&m->headline, METRIC_duplicated, 0);
    m->limit = LIMIT_PATH;
    m->searched = true;
    m->search.loss_target = 0.001;
    m->search.duration_ns = 2600000000;
    m->search.confirmed = true;
    m->search.n_probes = 2;
    m->search.probes = zeroed(2, sizeof *m->search.probes);
    m->search.probes[0] = (struct probe){.rate_bps = 2000000000,
                                         .offered_bps = 1.99e9,
                                         .received_bps = 1.02e9,
                                         .sent = 1000,
                                         .lost = 487,
                                         .loss_share = 0.487,
                                         .delay_growth_ns = 3e6,
                                         .duration_ns = 50000000,
                                         .verdict = "over"};
    m->search.probes[1] =
        (struct probe){.rate_bps = 1020000000, .loss_share = NAN, .verdict = "under"};
}

static void add_rr(struct scenario_result *s)
{
    struct measurement *m = add(s, FLOW_TCP_RR, 64);

    metric_put(&m->headline, METRIC_transactions, 23400);
    metric_put_real(&m->headline, METRIC_transactions_per_s, 23400);
    m->sender.rtt = latencies(30000, 5, 23400);
    snprintf(m->placement, sizeof m->placement, "different");
    snprintf(m->sender.congestion_control, sizeof m->sender.congestion_control, "cubic");
}

static void add_icmp(struct scenario_result *s)
{
    struct measurement *m = add(s, FLOW_ICMP_ECHO, 56);

    metric_put(&m->headline, METRIC_sent, 100);
    metric_put(&m->headline, METRIC_received, 100);
    metric_put_real(&m->headline, METRIC_loss_share, 0);
    m->sender.rtt = latencies(40000, 100, 100);
}

static void name(struct scenario_result *s, const char *id, const char *text, const char *protocol)
{
    snprintf(s->id, sizeof s->id, "%s", id);
    snprintf(s->name, sizeof s->name, "%s", text);
    snprintf(s->protocol, sizeof s->protocol, "%s", protocol);
    s->chosen = true;
    snprintf(s->from.name, sizeof s->from.name, "vm1");
    snprintf(s->from.node, sizeof s->from.node, "node1");
    snprintf(s->from.network, sizeof s->from.network, "net1");
    snprintf(s->from.address, sizeof s->from.address, "10.1.0.11");
    snprintf(s->to.name, sizeof s->to.name, "vm2");
    snprintf(s->to.node, sizeof s->to.node, "node2");
    snprintf(s->to.address, sizeof s->to.address, "10.1.0.12");
    snprintf(s->to.floating, sizeof s->to.floating, "203.0.113.7");
}

static void add_targets(struct scenario_result *s)
{
    struct measurement *m = add(s, FLOW_UDP_STREAM, 1472);

    m->imix = true;
    metric_put_real(&m->headline, METRIC_throughput_bps, 2.01e9);
    metric_put_real(&m->headline, METRIC_loss_share, 0);
    m->searched = true;
    m->search.duration_ns = 900000000;
    m->search.confirmed = true;
    m->search.n_targets = 3;
    for (unsigned i = 0; i < 3; i++)
        m->search.target[i] = (struct search_target){.loss_target = i * 0.001,
                                                     .rate_bps = 2000000000 + i * 100000000,
                                                     .received_bps = 2.01e9 + i * 1e8,
                                                     .loss_share = i * 0.0008,
                                                     .loss_high_share = 0.002,
                                                     .duration_ns = 500000000,
                                                     .confirmed = i < 2};
}

/* A UDP RR of that many a second. */
static struct measurement *add_loaded(struct scenario_result *s, enum load load, double per_s)
{
    struct measurement *m = add(s, FLOW_UDP_RR, 64);

    m->load = load;
    metric_put(&m->headline, METRIC_transactions, (uint64_t)per_s);
    metric_put_real(&m->headline, METRIC_transactions_per_s, per_s);
    m->sender.rtt = latencies(20000, 2, 1000);
    return m;
}

/* What is not as in a run by default. */
static void add_kinds(struct scenario_result *s)
{
    struct measurement *m = add(s, FLOW_TCP_STREAM, 262144);

    m->io = FLOW_IO_LEAN;
    m->reverse = m->pinned = true;
    metric_put_real(&m->headline, METRIC_throughput_bps, 9.1e10);
    m = add(s, FLOW_UDP_STREAM, 1400);
    m->peer = FLOW_PEER_IPERF3;
    metric_put(&m->headline, METRIC_segments, 40);
    metric_put_real(&m->headline, METRIC_throughput_bps, 6.2e10);
    add_targets(s);
    m = add(s, FLOW_TCP_CRR, 64);
    metric_put_real(&m->headline, METRIC_transactions_per_s, 8123);
    m = add(s, FLOW_STAMP, 44);
    m->gap_ns = 1000000;
    m->sender.rtt = latencies(50000, 10, 100);
    metric_put_real(&m->headline, METRIC_forward_p50_ns, 24000);
    metric_put_real(&m->headline, METRIC_backward_p50_ns, 26000);
    metric_put_real(&m->headline, METRIC_clock_error_ns, 0);
    m = add(s, FLOW_MULTICAST, 1400);
    snprintf(m->to, sizeof m->to, "vm3");
    metric_put_real(&m->headline, METRIC_throughput_bps, 1e7);
    metric_put_real(&m->headline, METRIC_loss_share, 0);
    metric_put_real(&m->headline, METRIC_jitter_ns, 2100);
    m = add_loaded(s, LOAD_NONE, 91234);
    m->spin = m->pinned = true;
    snprintf(m->placement, sizeof m->placement, "different");
    m = add_loaded(s, LOAD_NONE, 1000);
    m->gap_ns = 1000000;
    metric_put(&m->headline, METRIC_missed, 3);
    add_loaded(s, LOAD_IDLE, 45000);
    m = add_loaded(s, LOAD_FORWARD, 4500);
    metric_put_real(&m->headline, METRIC_rise_p50_ns, 1.2e6);
    metric_put_real(&m->headline, METRIC_rise_p99_ns, 3.41e6);
    metric_put_real(&m->headline, METRIC_backward_rise_p99_ns, -300);
    snprintf(add(s, FLOW_TCP_STREAM, 65536)->tool, sizeof m->tool, "nuttcp");
}

/* Nine repetitions, of which the fourth is far off and the last one failed. */
static void add_repetitions(struct scenario_result *s)
{
    static const double bps[] = {9.4e9, 9.5e9, 9.45e9, 5e9, 9.42e9, 9.48e9, 9.44e9, 9.46e9, 0};

    s->repeats = zeroed(1, sizeof *s->repeats);
    s->n_repeats = 1;
    s->repeats[0] = (struct repeats){.measured = MEASURED_THROUGHPUT,
                                     .n = 8,
                                     .median = 9.445e9,
                                     .has_interval = true,
                                     .low = 5e9,
                                     .high = 9.5e9,
                                     .width_share = 0.476,
                                     .n_outliers = 1,
                                     .end = REPEAT_FAILED};
    for (uint32_t i = 0; i < 9; i++) {
        struct measurement *m = add(s, FLOW_TCP_STREAM, 65536);

        m->repetition = i + 1;
        m->group = 1;
        m->outlier = i == 3;
        if (bps[i] > 0) {
            metric_put_real(&m->headline, METRIC_throughput_bps, bps[i]);
            metric_put(&m->headline, METRIC_retransmits, i % 3);
            metric_put_real(&m->sender.metrics, METRIC_cpu_s_per_gb, 0.3 + i * 0.01);
            metric_put_real(&m->receiver.metrics, METRIC_cpu_s_per_gb, 0.5);
            m->limit = i < 3 ? LIMIT_PATH : LIMIT_SENDER;
        } else {
            snprintf(m->error, sizeof m->error, "the agent at vm2 has ended");
        }
    }
}

static void add_scenarios(struct run_result *run)
{
    struct scenario_result *s = zeroed(8, sizeof *s);

    run->scenarios = s;
    run->n_scenarios = 8;
    name(&s[0], "1.1", "Same Network, Fixed IP, Intra-node, TCP", "tcp");
    add_tcp(&s[0]);
    add_rr(&s[0]);
    name(&s[1], "1.2", "Same Network, Fixed IP, Intra-node, UDP", "udp");
    add_udp(&s[1]);
    name(&s[2], "1.3", "Same Network, Fixed IP, Intra-node, ICMP", "icmp");
    add_icmp(&s[2]);
    name(&s[3], "5.1", "Different Network, Floating IP, Intra-node, TCP", "tcp");
    s[3].status = SCENARIO_FAILED;
    snprintf(s[3].reason, sizeof s[3].reason,
             "connecting from vm1 to 203.0.113.7 port 5001: no answer within 5 s; a filter between "
             "the two may drop "
             "it: Connection timed out");
    snprintf(add(&s[3], FLOW_TCP_STREAM, 65536)->error, sizeof s[3].measurements[0].error, "%.299s",
             s[3].reason);
    name(&s[4], "5.2", "Different Network, Floating IP, Intra-node, UDP", "udp");
    s[4].status = SCENARIO_SKIPPED;
    snprintf(s[4].reason, sizeof s[4].reason, "a floating IPv6 address does not exist");
    name(&s[5], "8.1", "VM to Host Uploading", "tcp");
    s[5].status = SCENARIO_SKIPPED;
    s[5].chosen = false;
    snprintf(s[5].reason, sizeof s[5].reason, "not chosen by --scenarios");
    name(&s[6], "7.1", "Native Throughput, TCP", "tcp");
    add_kinds(&s[6]);
    name(&s[7], "7.2", "Native Throughput, TCP", "tcp");
    add_repetitions(&s[7]);
    s[7].status = SCENARIO_FAILED;
    snprintf(s[7].reason, sizeof s[7].reason, "repetition 9 of 20: the agent at vm2 has ended");
}

/* A run with one of everything that results/ has to write and to show. End it with sample_done(). */
static struct run_result *sample_run(void)
{
    struct run_result *run = zeroed(1, sizeof *run);
    static const char *const command[] = {"vnperf", "run", "--test-description",
                                          "caf\xc3\xa9 \xff"};

    snprintf(run->id, sizeof run->id, "20261121-073008-1a2b");
    run->started_wall_ns = 1795246208123000000;
    run->command = zeroed(4, sizeof *run->command);
    run->n_command = 4;
    for (unsigned i = 0; i < 4; i++)
        run->command[i] = strdup(command[i]);
    snprintf(run->description, sizeof run->description, "after the upgrade");
    snprintf(run->driver, sizeof run->driver, "lab");
    snprintf(run->nodes[0].name, sizeof run->nodes[0].name, "node1");
    facts_put(&run->nodes[0].facts, "kernel", "6.1.0-25-amd64");
    facts_put(&run->nodes[0].facts, "cpu", "Example CPU 3.0 GHz");
    facts_put_number(&run->nodes[0].facts, "cpus", 2);
    facts_put(&run->nodes[0].facts, "congestion_control", "cubic");
    facts_put(&run->nodes[0].facts, "tcp_rmem", "4096 131072 6291456");
    facts_put(&run->nodes[0].facts, "offloads", "tx-tcp-segmentation rx-gro");
    facts_put(&run->nodes[0].facts, "nic_irq_cpus", "eth0-TxRx-0=0-1 eth0-TxRx-1=2-3");
    facts_put_flag(&run->nodes[0].facts, "nic_autonegotiation", true);
    facts_put(&run->nodes[0].facts, "mtu_bytes", "large");
    facts_put(&run->nodes[0].facts, "a_newer_one", "seen");
    facts_miss(&run->nodes[0].facts, "nic_firmware", "Permission denied");
    run->nodes[0].compared = true;
    text_copy(run->nodes[0].changes[0].key, FACT_KEY_SIZE, "congestion_control");
    text_copy(run->nodes[0].changes[0].before, FACT_CHANGE_SIZE, "cubic");
    run->nodes[0].n_changes = 1;
    run->n_nodes = 1;
    run->repeat =
        (struct repeat_record){.n = 20, .until_share = 0.02, .shuffled = true, .seed = 4711};
    add_scenarios(run);
    return run;
}

static void sample_done(struct run_result *run)
{
    run_result_done(run);
    free(run);
}

/* The sample as a document, its version made one that stays. */
__attribute__((unused)) static json_t *sample_document(void)
{
    struct run_result *run = sample_run();
    json_t *document = NULL;
    int r = run_json(run, &document, NULL);

    assert(r == 0);
    (void)r;
    json_object_set_new(json_object_get(document, "run"), "version", json_string("0.0.0"));
    sample_done(run);
    return document;
}
