/* SPDX-License-Identifier: Apache-2.0 */
#include "results/table_column.h"

#include "base/text.h"
#include "results/doc.h"

#include <stdio.h>
#include <string.h>

static void table_column_none(char ret[TABLE_CELL_SIZE]) { memcpy(ret, "-", 2); }

static void table_column_scenario_text(const struct table_row *row, const char *path,
                                       char ret[TABLE_CELL_SIZE])
{
    doc_clean(ret, TABLE_CELL_SIZE, doc_text(row->scenario, path));
    if (!*ret)
        table_column_none(ret);
}

static void table_column_text(const struct table_row *row, const char *path,
                              char ret[TABLE_CELL_SIZE])
{
    doc_clean(ret, TABLE_CELL_SIZE, doc_text(row->measurement, path));
    if (!*ret)
        table_column_none(ret);
}

static void table_column_rate(const struct table_row *row, const char *path,
                              char ret[TABLE_CELL_SIZE])
{
    double v;

    if (doc_number(row->measurement, path, &v) && v >= 0)
        text_show_rate(v, ret);
    else
        table_column_none(ret);
}

static void table_column_time(const struct table_row *row, const char *path,
                              char ret[TABLE_CELL_SIZE])
{
    double v;

    if (doc_number(row->measurement, path, &v))
        text_show_time(v, ret);
    else
        table_column_none(ret);
}

/* A percentile that no sample can lie beyond is nothing but the largest one. */
static void table_column_tail(const struct table_row *row, const char *path,
                              char ret[TABLE_CELL_SIZE])
{
    static const struct {
        const char *path;
        uint64_t least;
    } rows[] = {{"rtt_ns.p999", 1000}, {"rtt_ns.p9999", 10000}};

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(path, rows[i].path) == 0 &&
            doc_count(row->measurement, "rtt_ns.count") < rows[i].least) {
            table_column_none(ret);
            return;
        }
    table_column_time(row, path, ret);
}

static void table_column_size(const struct table_row *row, const char *path,
                              char ret[TABLE_CELL_SIZE])
{
    double v;

    if (doc_number(row->measurement, path, &v) && v >= 0 && v < 1e18)
        text_show_size((uint64_t)v, ret);
    else
        table_column_none(ret);
}

/* Whole up to six digits; an operator compares retransmits to the last one. */
static void table_column_count(const struct table_row *row, const char *path,
                               char ret[TABLE_CELL_SIZE])
{
    double v;

    if (!doc_number(row->measurement, path, &v) || v < 0)
        table_column_none(ret);
    else if (v < 1e6)
        snprintf(ret, TABLE_CELL_SIZE, "%.0f", v);
    else
        text_show_count(v, ret);
}

static void table_column_pps(const struct table_row *row, const char *path,
                             char ret[TABLE_CELL_SIZE])
{
    double v;

    if (doc_number(row->measurement, path, &v) && v >= 0)
        text_show_count(v, ret);
    else
        table_column_none(ret);
}

/* A loss that is there never reads as 0. */
static void table_column_share(const struct table_row *row, const char *path,
                               char ret[TABLE_CELL_SIZE])
{
    double v;

    if (!doc_number(row->measurement, path, &v) || v < 0 || v > 1)
        table_column_none(ret);
    else if (v == 0)
        snprintf(ret, TABLE_CELL_SIZE, "0 %%");
    else if (v < 0.00001)
        snprintf(ret, TABLE_CELL_SIZE, "<.001 %%");
    else
        snprintf(ret, TABLE_CELL_SIZE, "%.*f %%",
                 v < 0.01  ? 3
                 : v < 0.1 ? 2
                 : v < 1   ? 1
                           : 0,
                 v * 100);
}

static void table_column_seconds(const struct table_row *row, const char *path,
                                 char ret[TABLE_CELL_SIZE])
{
    double v;

    if (doc_number(row->measurement, path, &v) && v >= 0 && v < 1e9)
        snprintf(ret, TABLE_CELL_SIZE, "%.*f", v < 10 ? 2 : v < 100 ? 1 : 0, v);
    else
        table_column_none(ret);
}

/* Sender and receiver in one column, "0.34/0.52": there is no room for two in 100. */
static void table_column_both_cpus(const struct table_row *row, const char *path,
                                   char ret[TABLE_CELL_SIZE])
{
    char sender[TABLE_CELL_SIZE], receiver[TABLE_CELL_SIZE];

    (void)path;
    /* A paced sender spins while it waits, and what is asked one by one costs by the request: of those it says nothing. */
    if (strcmp(doc_text(row->measurement, "kind"), "tcp_stream") != 0) {
        table_column_none(ret);
        return;
    }
    table_column_seconds(row, "sender.cpu_s_per_gb", sender);
    table_column_seconds(row, "receiver.cpu_s_per_gb", receiver);
    if (strcmp(sender, "-") == 0 && strcmp(receiver, "-") == 0)
        table_column_none(ret);
    else
        snprintf(ret, TABLE_CELL_SIZE, "%.20s/%.20s", sender, receiver);
}

void table_column_test(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE])
{
    const char *kind = doc_text(row->measurement, "kind");
    bool reverse = strcmp(doc_text(row->measurement, "direction"), "reverse") == 0;
    uint64_t bytes = doc_count(row->measurement, "payload_bytes"),
             flows = doc_count(row->measurement, "flows");
    char size[TEXT_SHORT], many[24] = "";
    const char *word;

    (void)path;
    snprintf(size, sizeof size, "%llu B", (unsigned long long)bytes);
    if (strcmp(kind, "tcp_stream") == 0) {
        word = "TCP";
        bytes = doc_count(row->measurement, "write_bytes");
        if (bytes && bytes % 1024 == 0)
            text_show_size(bytes, size);
        else
            snprintf(size, sizeof size, "%llu B", (unsigned long long)bytes);
    } else if (strcmp(kind, "udp_stream") == 0) {
        word = "UDP";
    } else if (strcmp(kind, "icmp_echo") == 0) {
        word = "ICMP";
    } else if (strcmp(kind, "rr") == 0) {
        word = strcmp(doc_text(row->measurement, "transport"), "udp") == 0 ? "UDP RR" : "TCP RR";
    } else {
        const char *protocol = doc_text(row->scenario, "protocol");

        word = strcmp(protocol, "tcp") == 0    ? "TCP"
               : strcmp(protocol, "udp") == 0  ? "UDP"
               : strcmp(protocol, "icmp") == 0 ? "ICMP"
                                               : "-";
        size[0] = 0;
    }
    if (flows > 1)
        snprintf(many, sizeof many, " x%llu", (unsigned long long)flows);
    snprintf(ret, TABLE_CELL_SIZE, "%s%s%s%s%s", word, *size ? " " : "", size, many,
             reverse ? " back" : "");
}

void table_column_result(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE])
{
    const char *kind = doc_text(row->measurement, "kind");
    double v;

    (void)path;
    if (strcmp(kind, "icmp_echo") == 0) {
        table_column_time(row, "rtt_ns.p50", ret);
    } else if (strcmp(kind, "rr") != 0) {
        table_column_rate(row, "throughput_bps", ret);
    } else if (doc_number(row->measurement, "transactions_per_s", &v) && v >= 0) {
        char count[TEXT_SHORT];

        text_show_count(v, count);
        snprintf(ret, TABLE_CELL_SIZE, "%s%s", count, strchr(count, ' ') ? "/s" : " /s");
    } else {
        table_column_none(ret);
    }
}

static void table_column_limit(const struct table_row *row, const char *path,
                               char ret[TABLE_CELL_SIZE])
{
    const char *limit = doc_text(row->measurement, path);

    if (strcmp(limit, "requested_rate") == 0)
        limit = "rate";
    else if (strcmp(limit, "unknown") == 0)
        limit = "";
    doc_clean(ret, TABLE_CELL_SIZE, limit);
    if (!*ret)
        table_column_none(ret);
}

void table_column_status(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE])
{
    char status[24];

    (void)path;
    doc_clean(status, sizeof status, doc_text(row->scenario, "status"));
    if (row->measurement && *doc_text(row->measurement, "error"))
        memcpy(status, "failed", 7);
    else if (row->measurement && strcmp(status, "failed") == 0)
        /* What this row says was measured; another part of the scenario was not. */
        memcpy(status, "measured", 9);
    if (row->note)
        snprintf(ret, TABLE_CELL_SIZE, "%s [%u]", *status ? status : "-", row->note);
    else
        snprintf(ret, TABLE_CELL_SIZE, "%s", *status ? status : "-");
}

const struct table_column *table_column_list(size_t *ret_n)
{
    static const struct table_column list[] = {
        {"ID", "id", table_column_scenario_text, false, true},
        {"SCENARIO", "name", table_column_scenario_text, false, false},
        {"TEST", "", table_column_test, false, true},
        {"RESULT", "", table_column_result, true, true},
        {"LOSS", "loss_share", table_column_share, true, true},
        {"RTT p50", "rtt_ns.p50", table_column_time, true, true},
        {"p90", "rtt_ns.p90", table_column_time, true, false},
        {"p99", "rtt_ns.p99", table_column_time, true, true},
        {"p99.9", "rtt_ns.p999", table_column_tail, true, false},
        {"p99.99", "rtt_ns.p9999", table_column_tail, true, false},
        {"MAX", "rtt_ns.max", table_column_time, true, false},
        {"SAMPLES", "rtt_ns.count", table_column_count, true, false},
        {"JITTER", "jitter_ns", table_column_time, true, false},
        {"OFFERED", "offered_bps", table_column_rate, true, false},
        {"SENT/s", "offered_pps", table_column_pps, true, false},
        {"RECEIVED/s", "received_pps", table_column_pps, true, false},
        {"LOST", "lost", table_column_count, true, false},
        {"IN SOCKET", "lost_in_socket", table_column_count, true, false},
        {"REORDERED", "reordered", table_column_count, true, false},
        {"DUPLICATED", "duplicated", table_column_count, true, false},
        {"RETR", "retransmits", table_column_count, true, true},
        {"CWND", "sender.cwnd_bytes", table_column_size, true, false},
        {"CC", "congestion_control", table_column_text, false, false},
        {"MSS", "sender.mss_bytes", table_column_count, true, false},
        {"PMTU", "sender.pmtu_bytes", table_column_count, true, false},
        {"CPU s/GB", "", table_column_both_cpus, true, true},
        {"SND s/GB", "sender.cpu_s_per_gb", table_column_seconds, true, false},
        {"SND USER", "sender.cpu_user_ns", table_column_time, true, false},
        {"SND SYSTEM", "sender.cpu_system_ns", table_column_time, true, false},
        {"SND SOFTIRQ", "sender.node_softirq_ns", table_column_time, true, false},
        {"SND STEAL", "sender.node_steal_ns", table_column_time, true, false},
        {"RCV s/GB", "receiver.cpu_s_per_gb", table_column_seconds, true, false},
        {"RCV USER", "receiver.cpu_user_ns", table_column_time, true, false},
        {"RCV SYSTEM", "receiver.cpu_system_ns", table_column_time, true, false},
        {"RCV SOFTIRQ", "receiver.node_softirq_ns", table_column_time, true, false},
        {"RCV STEAL", "receiver.node_steal_ns", table_column_time, true, false},
        {"PLACEMENT", "placement", table_column_text, false, false},
        {"LIMIT", "limit", table_column_limit, false, true},
        {"STATUS", "", table_column_status, false, true},
    };

    *ret_n = sizeof list / sizeof *list;
    return list;
}
