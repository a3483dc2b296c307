/* SPDX-License-Identifier: Apache-2.0 */
#include "results/table_column.h"

#include "base/text.h"
#include "results/doc.h"

#include <math.h>
#include <stdarg.h>
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

static const struct table_column_kind {
    const char *kind, *transport, *word, *size_key;
} table_column_kinds[] = {
    {"tcp_stream", "", "TCP", "write_bytes"},   {"udp_stream", "", "UDP", "payload_bytes"},
    {"icmp_echo", "", "ICMP", "payload_bytes"}, {"rr", "tcp", "TCP RR", "payload_bytes"},
    {"rr", "udp", "UDP RR", "payload_bytes"},   {"crr", "tcp", "TCP CRR", "payload_bytes"},
    {"stamp", "", "STAMP", "payload_bytes"},    {"multicast", "", "Multicast", "payload_bytes"},
};

static const struct table_column_kind *table_column_kind(const json_t *m)
{
    const char *kind = doc_text(m, "kind"), *transport = doc_text(m, "transport");

    for (size_t i = 0; i < sizeof table_column_kinds / sizeof *table_column_kinds; i++)
        if (strcmp(kind, table_column_kinds[i].kind) == 0 &&
            strcmp(transport, table_column_kinds[i].transport) == 0)
            return &table_column_kinds[i];
    return NULL;
}

/* " 64 KiB", " 1400 B", of datagrams that leave as one call " 40x1400 B", of a mix " IMIX". */
static void table_column_bytes(const json_t *m, const struct table_column_kind *kind,
                               char ret[TABLE_CELL_SIZE])
{
    uint64_t bytes = doc_count(m, kind->size_key), segments = doc_count(m, "segments");
    char size[TEXT_SHORT];

    if (json_is_true(doc_at(m, "imix"))) {
        snprintf(ret, TABLE_CELL_SIZE, " IMIX");
        return;
    }
    if (strcmp(kind->kind, "tcp_stream") == 0 && bytes && bytes % 1024 == 0)
        text_show_size(bytes, size);
    else
        snprintf(size, sizeof size, "%llu B", (unsigned long long)bytes);
    if (segments > 1)
        snprintf(ret, TABLE_CELL_SIZE, " %llux%s", (unsigned long long)segments, size);
    else
        snprintf(ret, TABLE_CELL_SIZE, " %s", size);
}

/* What is not as ever: other programs, who received, how the ends waited, what else was on the path. */
static void table_column_how(const json_t *m, char ret[TABLE_CELL_SIZE])
{
    static const char *const words[] = {"peer", "tool", "to"};
    const char *load = doc_text(m, "load"), *placement = doc_text(m, "placement");
    double gap_ns = 0;
    char text[48];

    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        doc_clean(text, sizeof text, doc_text(m, words[i]));
        if (*text)
            text_add(ret, TABLE_CELL_SIZE, ", %.24s", text);
    }
    if (json_is_true(doc_at(m, "spin")))
        text_add(ret, TABLE_CELL_SIZE, ", spinning");
    if (json_is_true(doc_at(m, "pinned")))
        text_add(ret, TABLE_CELL_SIZE, "%s",
                 strcmp(placement, "same") == 0        ? ", on one CPU"
                 : strcmp(placement, "different") == 0 ? ", on two CPUs"
                                                       : ", pinned");
    /* Echo and STAMP have a schedule as a rule, and so have probes under load. */
    if (!*load &&
        (strcmp(doc_text(m, "kind"), "rr") == 0 || strcmp(doc_text(m, "kind"), "crr") == 0) &&
        doc_number(m, "gap_ns", &gap_ns) && gap_ns > 0)
        text_add(ret, TABLE_CELL_SIZE, ", every %s", text_show_time(gap_ns, text));
    doc_clean(text, sizeof text, load);
    if (strcmp(load, "idle") == 0)
        text_add(ret, TABLE_CELL_SIZE, ", idle");
    else if (*load)
        text_add(ret, TABLE_CELL_SIZE, ", under load: %.10s", text);
}

void table_column_test(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE])
{
    const json_t *m = row->measurement;
    const struct table_column_kind *kind = table_column_kind(m);
    uint64_t flows = doc_count(m, "flows");
    bool lean = strcmp(doc_text(m, "io"), "lean") == 0;
    char size[TABLE_CELL_SIZE];

    (void)path;
    if (!kind) {
        const char *protocol = doc_text(row->scenario, "protocol");

        snprintf(ret, TABLE_CELL_SIZE, "%s",
                 strcmp(protocol, "tcp") == 0         ? "TCP"
                 : strcmp(protocol, "udp") == 0       ? "UDP"
                 : strcmp(protocol, "icmp") == 0      ? "ICMP"
                 : strcmp(protocol, "multicast") == 0 ? "Multicast"
                                                      : "-");
        return;
    }
    table_column_bytes(m, kind, size);
    /* As fast as it goes, a lean sender hands over what the pipe takes, whatever the size of a write. */
    if (lean && !doc_count(m, "requested_bps"))
        *size = 0;
    snprintf(ret, TABLE_CELL_SIZE, "%s%s%.40s", kind->word, lean ? " lean" : "", size);
    if (flows > 1)
        text_add(ret, TABLE_CELL_SIZE, " x%llu", (unsigned long long)flows);
    if (strcmp(doc_text(m, "direction"), "reverse") == 0)
        text_add(ret, TABLE_CELL_SIZE, " back");
    table_column_how(m, ret);
}

/* A number by the name of what it is: a rate, a count a second, a time. */
static void table_column_value(const char *metric, double v, char ret[TABLE_CELL_SIZE])
{
    char text[TEXT_SHORT];

    if (strcmp(metric, "throughput_bps") == 0) {
        snprintf(ret, TABLE_CELL_SIZE, "%s", text_show_rate(v, text));
    } else if (strcmp(metric, "transactions_per_s") == 0) {
        text_show_count(v, text);
        snprintf(ret, TABLE_CELL_SIZE, "%s%s", text, strchr(text, ' ') ? "/s" : " /s");
    } else {
        snprintf(ret, TABLE_CELL_SIZE, "%s", text_show_time(v, text));
    }
}

void table_column_result(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE])
{
    const json_t *m = row->measurement;
    const char *kind = doc_text(m, "kind"), *metric = "throughput_bps", *at = metric;
    double v;

    (void)path;
    if (strcmp(kind, "icmp_echo") == 0 || strcmp(kind, "stamp") == 0 || doc_count(m, "gap_ns"))
        metric = "rtt_p50_ns", at = "rtt_ns.p50";
    else if (strcmp(kind, "rr") == 0 || strcmp(kind, "crr") == 0)
        metric = at = "transactions_per_s";
    if (doc_number(m, at, &v) && v >= 0)
        table_column_value(metric, v, ret);
    else
        table_column_none(ret);
}

/* "median" of those together, else which one it is. */
static void table_column_repetition(const struct table_row *row, const char *path,
                                    char ret[TABLE_CELL_SIZE])
{
    uint64_t number = doc_count(row->measurement, path);

    if (row->repeats)
        snprintf(ret, TABLE_CELL_SIZE, "median of %llu",
                 (unsigned long long)doc_count(row->repeats, "n"));
    else if (number)
        snprintf(ret, TABLE_CELL_SIZE, "%llu%s", (unsigned long long)number,
                 json_is_true(doc_at(row->measurement, "outlier")) ? " outlier" : "");
    else
        table_column_none(ret);
}

/* A number of the entry's own metric, "median", "low", "high". */
static bool table_column_of(const json_t *repeats, const char *key, char ret[TABLE_CELL_SIZE])
{
    const char *metric = doc_text(repeats, "metric");
    double v;

    if (!doc_number(json_object_get(json_object_get(repeats, metric), key), "", &v) || v < 0)
        return false;
    table_column_value(metric, v, ret);
    return true;
}

static void table_column_interval(const struct table_row *row, const char *path,
                                  char ret[TABLE_CELL_SIZE])
{
    char low[TABLE_CELL_SIZE], high[TABLE_CELL_SIZE];

    (void)path;
    if (table_column_of(row->repeats, "low", low) && table_column_of(row->repeats, "high", high))
        snprintf(ret, TABLE_CELL_SIZE, "%.40s to %.40s", low, high);
    else
        table_column_none(ret);
}

static void table_column_width(const struct table_row *row, const char *path,
                               char ret[TABLE_CELL_SIZE])
{
    double share;

    if (doc_number(row->repeats, path, &share) && share >= 0)
        snprintf(ret, TABLE_CELL_SIZE, share < 0.1 ? "%.2g %%" : "%.0f %%", share * 100);
    else
        table_column_none(ret);
}

void table_column_rise(const struct table_row *row, char ret[TABLE_CELL_SIZE])
{
    static const struct {
        const char *word, *path;
    } rises[] = {{"p50", "rise_p50_ns"},
                 {"p99", "rise_p99_ns"},
                 {"forward p99", "forward_rise_p99_ns"},
                 {"backward p99", "backward_rise_p99_ns"}};
    double v;

    ret[0] = 0;
    for (unsigned i = 0; i < sizeof rises / sizeof *rises; i++) {
        char text[TEXT_SHORT];

        if (!doc_number(row->measurement, rises[i].path, &v))
            continue;
        text_show_time(fabs(v), text);
        text_add(ret, TABLE_CELL_SIZE, "%s%s %c%s", *ret ? ", " : "above idle: ", rises[i].word,
                 v < 0 ? '-' : '+', text);
    }
}

/* How many of an entry's measurements carry a warning. */
static size_t table_column_warned(const struct table_row *row)
{
    const json_t *members = doc_at(row->repeats, "measurements"),
                 *list = doc_at(row->scenario, "measurements");
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(members); i++) {
        json_int_t index = json_integer_value(json_array_get(members, i));

        n += index >= 0 && *doc_text(json_array_get(list, (size_t)index), "warning");
    }
    return n;
}

void table_column_repeats(const struct table_row *row, char ret[TABLE_REPEATS_SIZE])
{
    static const struct {
        const char *stopped, *text;
    } ends[] = {{"narrow", "; as narrow as --until asked"},
                {"failed", "; a failure ended them"},
                {"interrupted", "; the run was interrupted"}};
    uint64_t n = doc_count(row->repeats, "n"), outliers = doc_count(row->repeats, "outliers");
    char interval[TABLE_CELL_SIZE], width[TABLE_CELL_SIZE];
    size_t used;

    ret[0] = 0;
    if (!row->repeats)
        return;
    table_column_interval(row, "", interval);
    table_column_width(row, "width_share", width);
    if (strcmp(interval, "-") == 0)
        snprintf(ret, TABLE_REPEATS_SIZE,
                 "median of %llu; fewer than 6 values have no 95 %% interval",
                 (unsigned long long)n);
    else
        snprintf(ret, TABLE_REPEATS_SIZE, "median of %llu; 95 %% interval %s (%.20s)",
                 (unsigned long long)n, interval, width);
    used = strlen(ret);
    if (outliers)
        used += (size_t)snprintf(ret + used, TABLE_REPEATS_SIZE - used, "; %llu outlier%s",
                                 (unsigned long long)outliers, outliers == 1 ? "" : "s");
    if (!*doc_text(row->measurement, "warning") && table_column_warned(row))
        used += (size_t)snprintf(ret + used, TABLE_REPEATS_SIZE - used,
                                 "; %zu with a warning of its own", table_column_warned(row));
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(doc_text(row->repeats, "stopped"), ends[i].stopped) == 0)
            snprintf(ret + used, TABLE_REPEATS_SIZE - used, "%s", ends[i].text);
}

bool table_column_target(const struct table_row *row, unsigned number, char ret[TABLE_CELL_SIZE])
{
    const json_t *list = doc_at(row->measurement, "search.targets");
    const json_t *target = json_array_size(list) > 1 ? json_array_get(list, number) : NULL;
    const struct table_row at = {.measurement = target};
    char rate[TABLE_CELL_SIZE], loss[TABLE_CELL_SIZE];
    double most;

    if (!doc_number(target, "loss_target", &most) || most < 0 || most > 1)
        return false;
    table_column_rate(&at, "received_bps", rate);
    table_column_share(&at, "loss_share", loss);
    if (most > 0)
        snprintf(ret, TABLE_CELL_SIZE, "PDR, loss up to %.3g %%: ", most * 100);
    else
        snprintf(ret, TABLE_CELL_SIZE, "NDR, no loss: ");
    text_add(ret, TABLE_CELL_SIZE, "%s received, lost %s%s", rate, loss,
             json_is_false(doc_at(target, "confirmed")) ? ", not confirmed" : "");
    return true;
}

/* "same", "different" CPU, and whether that was chosen. */
static void table_column_placement(const struct table_row *row, const char *path,
                                   char ret[TABLE_CELL_SIZE])
{
    bool pinned = json_is_true(doc_at(row->measurement, "pinned"));

    doc_clean(ret, TABLE_CELL_SIZE - 16, doc_text(row->measurement, path));
    if (pinned)
        text_add(ret, TABLE_CELL_SIZE, "%spinned", *ret ? ", " : "");
    else if (!*ret)
        table_column_none(ret);
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
        {"REPETITION", "repetition", table_column_repetition, false, false},
        {"RESULT", "", table_column_result, true, true},
        {"95 % INTERVAL", "", table_column_interval, false, false},
        {"WIDTH", "width_share", table_column_width, true, false},
        {"LOSS", "loss_share", table_column_share, true, true},
        {"RTT p50", "rtt_ns.p50", table_column_time, true, true},
        {"p90", "rtt_ns.p90", table_column_time, true, false},
        {"p99", "rtt_ns.p99", table_column_time, true, true},
        {"p99.9", "rtt_ns.p999", table_column_tail, true, false},
        {"p99.99", "rtt_ns.p9999", table_column_tail, true, false},
        {"MAX", "rtt_ns.max", table_column_time, true, false},
        {"SAMPLES", "rtt_ns.count", table_column_count, true, false},
        {"FWD p50", "forward_p50_ns", table_column_time, true, false},
        {"FWD p99", "forward_p99_ns", table_column_time, true, false},
        {"BACK p50", "backward_p50_ns", table_column_time, true, false},
        {"BACK p99", "backward_p99_ns", table_column_time, true, false},
        {"CLOCK +-", "clock_error_ns", table_column_time, true, false},
        {"RISE p50", "rise_p50_ns", table_column_time, true, false},
        {"RISE p99", "rise_p99_ns", table_column_time, true, false},
        {"FWD RISE p99", "forward_rise_p99_ns", table_column_time, true, false},
        {"BACK RISE p99", "backward_rise_p99_ns", table_column_time, true, false},
        {"MISSED", "missed", table_column_count, true, false},
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
        {"PLACEMENT", "placement", table_column_placement, false, false},
        {"LIMIT", "limit", table_column_limit, false, true},
        {"STATUS", "", table_column_status, false, true},
    };

    *ret_n = sizeof list / sizeof *list;
    return list;
}
