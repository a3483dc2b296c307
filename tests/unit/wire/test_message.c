/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/text.h"
#include "wire/message.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A line under way and what it is read as; one at a time is enough here. */
static char out_buf[LINE_MAX_BYTES];
static struct line_out out;
static struct line line;

static void begin(const char *verb) { line_begin(&out, out_buf, sizeof out_buf, 1, verb); }

static const struct line *cut(void)
{
    size_t len = line_end(&out);

    assert_true(len > 0);
    out_buf[len - 1] = 0;
    assert_int_equal(line_cut(out_buf, len - 1, &line), LINE_OK);
    return &line;
}

static const struct flow_spec a_spec = {
    .kind = FLOW_UDP_STREAM,
    .role = FLOW_CLIENT,
    .direction = FLOW_REVERSE,
    .n_flows = 3,
    .payload_bytes = 1024,
    .port = 5001,
    .port_last = 0,
    .address = "fe80::1",
    .cc = "",
    .bind = "eth0",
    .gap_ns = 123,
    .connect_ns = 5000000000,
    .token = {0, 1, 2, 0x7f, 0x80, 0xff, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
};

static void test_a_spec_comes_back_as_it_went(void **state)
{
    (void)state;
    for (int kind = 0; kind < FLOW_KIND_COUNT; kind++) {
        struct flow_spec spec = a_spec, read;
        struct err err = {0};

        spec.kind = (enum flow_kind)kind;
        spec.role = kind % 2 ? FLOW_SERVER : FLOW_CLIENT;
        spec.port_last = kind % 2 ? 5031 : 0;
        if (flow_kind_asks(spec.kind) || kind == FLOW_MULTICAST)
            spec.direction = FLOW_FORWARD;
        if (kind == FLOW_ICMP_ECHO || kind == FLOW_MULTICAST)
            spec.n_flows = 1;
        if (kind == FLOW_MULTICAST) {
            text_copy(spec.address, sizeof spec.address, "231.1.1.1");
            spec.ttl = 7;
        }
        if (kind == FLOW_TCP_STREAM) {
            spec.io = FLOW_IO_LEAN;
            spec.mss_bytes = 1400;
            spec.nodelay = true;
        }
        if (kind == FLOW_UDP_STREAM)
            spec.gso = 40;
        if (kind == FLOW_STAMP)
            spec.peer = FLOW_PEER_STAMP;
        spec.spin = flow_kind_asks(spec.kind);
        spec.imix = kind == FLOW_UDP_STREAM && spec.gso < 2;
        spec.pin = 3;
        spec.window_bytes = 1 << 20;
        spec.dscp = 46;
        text_copy(spec.cc, sizeof spec.cc, kind == FLOW_TCP_STREAM ? "cubic" : "");
        memset(&read, 0, sizeof read);
        begin("prepare");
        message_put_spec(&out, &spec);
        assert_int_equal(message_get_spec(cut(), &read, &err), 0);
        assert_int_equal(read.kind, spec.kind);
        assert_int_equal(read.role, spec.role);
        assert_int_equal(read.direction, spec.direction);
        assert_int_equal(read.n_flows, spec.n_flows);
        assert_int_equal(read.payload_bytes, spec.payload_bytes);
        assert_int_equal(read.port, spec.port);
        assert_int_equal(read.port_last, spec.port_last);
        assert_string_equal(read.address, spec.address);
        assert_string_equal(read.cc, spec.cc);
        assert_int_equal(read.gap_ns, spec.gap_ns);
        assert_int_equal(read.connect_ns, spec.connect_ns);
        assert_int_equal(read.peer, spec.peer);
        assert_int_equal(read.io, spec.io);
        assert_int_equal(read.pin, spec.pin);
        assert_int_equal(read.mss_bytes, spec.mss_bytes);
        assert_int_equal(read.window_bytes, spec.window_bytes);
        assert_int_equal(read.dscp, spec.dscp);
        assert_int_equal(read.gso, spec.gso);
        assert_int_equal(read.ttl, spec.ttl);
        assert_int_equal(read.nodelay, spec.nodelay);
        assert_int_equal(read.imix, spec.imix);
        assert_int_equal(read.spin, spec.spin);
        assert_string_equal(read.bind, spec.bind);
        assert_memory_equal(read.token, spec.token, sizeof spec.token);
    }
}

/* The keys of a good spec; a row below replaces one of them, or leaves it out. */
static const char *const good_keys[][2] = {
    {"kind", "tcp_stream"},
    {"role", "client"},
    {"direction", "1"},
    {"flows", "1"},
    {"port", "5001"},
    {"payload_bytes", "65536"},
    {"port_last", "0"},
    {"cc", ""},
    {"address", "192.0.2.1"},
    {"gap_ns", "0"},
    {"token", "000102030405060708090a0b0c0d0e0f"},
    {"connect_ns", "5000000000"},
    {"peer", "agent"},
    {"io", "app"},
    {"pin", "0"},
    {"mss_bytes", "0"},
    {"window_bytes", "0"},
    {"dscp", "0"},
    {"gso", "1"},
    {"ttl", "0"},
    {"nodelay", "0"},
    {"imix", "0"},
    {"spin", "0"},
    {"bind", ""},
};

static int read_spec_with(const char *key, const char *value, struct err *err)
{
    struct flow_spec spec;

    begin("prepare");
    for (size_t i = 0; i < ARRAY_SIZE(good_keys); i++) {
        if (strcmp(good_keys[i][0], key) != 0)
            line_put(&out, good_keys[i][0], good_keys[i][1]);
        else if (value)
            line_put(&out, key, value);
    }
    return message_get_spec(cut(), &spec, err);
}

static void test_a_spec_that_lacks_a_key_is_refused_by_its_name(void **state)
{
    (void)state;
    assert_int_equal(read_spec_with("none", NULL, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(good_keys); i++) {
        struct err err = {0};

        assert_int_equal(read_spec_with(good_keys[i][0], NULL, &err), -EINVAL);
        assert_non_null(strstr(err.text, good_keys[i][0]));
    }
}

static void test_a_spec_out_of_bounds_is_refused_with_a_sentence(void **state)
{
    static const struct {
        const char *key, *value, *words;
    } rows[] = {
        {"kind", "sctp_stream", "kind=sctp_stream is unknown"},
        {"kind", "a_kind_that_is_far_too_long", "kind= is longer than 15"},
        {"role", "both", "role=both is neither client nor server"},
        {"direction", "0", "direction 0"},
        {"direction", "4", "direction=4"},
        {"flows", "0", "0 flows"},
        {"flows", "4097", "flows=4097"},
        {"flows", "-1", "flows=-1"},
        {"flows", "1e3", "flows=1e3"},
        {"payload_bytes", "0", "payload of 0 bytes"},
        {"payload_bytes", "16777217", "payload of 16777217 bytes"},
        {"payload_bytes", "4294967296", "payload_bytes=4294967296"},
        {"port", "65536", "port=65536"},
        {"port_last", "5000", "ports 5001 to 5000"},
        {"address", "localhost", "'localhost' is not an IPv4 or IPv6 address"},
        {"address", "", "'' is not"},
        {"address", "0123456789012345678901234567890123456789012345678901234567890123",
         "address= is longer than 63"},
        {"cc", "0123456789abcdef", "cc= is longer than 15"},
        {"connect_ns", "0", "opening may take"},
        {"connect_ns", "18446744073709551615", "opening may take"},
        {"connect_ns", "18446744073709551616", "connect_ns=18446744073709551616"},
        {"peer", "iperf4", "peer=iperf4 is unknown"},
        {"peer", "stamp", "not with stamp at the other end"},
        {"io", "fast", "io=fast is unknown"},
        {"pin", "65536", "pin=65536"},
        {"mss_bytes", "87", "an MSS is 88 to 32767"},
        {"mss_bytes", "65536", "mss_bytes=65536"},
        {"window_bytes", "1073741825", "window_bytes=1073741825"},
        {"dscp", "64", "dscp=64"},
        {"gso", "2", "segments of one call"},
        {"gso", "129", "gso=129"},
        {"ttl", "256", "ttl=256"},
        {"nodelay", "2", "nodelay=2"},
        {"imix", "1", "the mix of sizes is of UDP streams"},
        {"imix", "yes", "imix=yes"},
        {"spin", "2", "spin=2"},
        {"bind", "0123456789012345678901234567890123456789012345678901234567890123",
         "bind= is longer than 63"},
        {"token", "", "token= is not 32 hexadecimal digits"},
        {"token", "000102030405060708090a0b0c0d0e0", "token="},
        {"token", "000102030405060708090a0b0c0d0e0f0", "token="},
        {"token", "000102030405060708090A0B0C0D0E0F", "token="},
        {"token", "0x0102030405060708090a0b0c0d0e0f", "token="},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err err = {0};

        assert_int_equal(read_spec_with(rows[i].key, rows[i].value, &err), -EINVAL);
        if (!strstr(err.text, rows[i].words))
            print_message("row %zu: %s\n", i, err.text);
        assert_non_null(strstr(err.text, rows[i].words));
    }
}

static void test_a_trial_comes_back_as_it_went(void **state)
{
    const struct flow_trial trial = {.number = UINT32_MAX,
                                     .start_ns = UINT64_MAX / 4,
                                     .warmup_ns = 1,
                                     .duration_ns = 2,
                                     .tail_ns = 3,
                                     .interval_ns = 4,
                                     .rate_bps = INT64_MAX,
                                     .count = UINT64_MAX};
    struct flow_trial read;
    struct err err = {0};

    (void)state;
    begin("start");
    message_put_trial(&out, &trial);
    assert_int_equal(message_get_trial(cut(), &read, &err), 0);
    assert_int_equal(read.number, trial.number);
    assert_int_equal(read.start_ns, trial.start_ns);
    assert_int_equal(read.warmup_ns, trial.warmup_ns);
    assert_int_equal(read.duration_ns, trial.duration_ns);
    assert_int_equal(read.tail_ns, trial.tail_ns);
    assert_int_equal(read.interval_ns, trial.interval_ns);
    assert_int_equal(read.rate_bps, trial.rate_bps);
    assert_int_equal(read.count, trial.count);
}

static void test_a_trial_out_of_bounds_leaves_the_answer_alone(void **state)
{
    static const char *const bad[] = {"9223372036854775808", "x", ""};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct flow_trial read = {.number = 77};
        struct err err = {0};

        begin("start");
        line_put(&out, "trial", "1");
        line_put(&out, "start_ns", bad[i]);
        assert_int_equal(message_get_trial(cut(), &read, &err), -EINVAL);
        assert_non_null(strstr(err.text, "start: start_ns="));
        assert_int_equal(read.number, 77);
    }
}

static void test_an_interval_comes_back_as_it_went(void **state)
{
    const struct flow_interval interval = {UINT64_MAX, 2, 3, 4, 5};
    struct flow_interval read;

    (void)state;
    begin("interval");
    message_put_interval(&out, &interval);
    assert_int_equal(message_get_interval(cut(), &read, NULL), 0);
    assert_memory_equal(&read, &interval, sizeof read);
    begin("interval");
    line_put(&out, "bytes", "1");
    assert_int_equal(message_get_interval(cut(), &read, NULL), -EINVAL);
}

static void test_facts_keep_their_kind(void **state)
{
    struct facts facts = {0}, read = {0};

    (void)state;
    facts_put(&facts, "kernel", "6.1.0 with blanks & %");
    facts_put(&facts, "digits", "12");
    facts_put_number(&facts, "cpus", 2);
    facts_put_number(&facts, "most", UINT64_MAX);
    facts_miss(&facts, "nic_firmware", "Operation not supported");
    begin("ok");
    line_put(&out, "session", "1"); /* no fact, and no harm */
    assert_int_equal(message_put_facts(&out, &facts, 0), 5);
    message_get_facts(cut(), &read);
    assert_int_equal(read.n_facts, 5);
    assert_null(facts_get(&read, "nic_firmware"));
    for (unsigned i = 0; i < read.n_facts; i++) {
        assert_string_equal(facts_key(&read, i), facts_key(&facts, i));
        assert_string_equal(facts_value(&read, i), facts_value(&facts, i));
        assert_int_equal(facts_state(&read, i), facts_state(&facts, i));
    }
}

static void test_facts_that_do_not_fit_a_line_go_on_in_the_next(void **state)
{
    static struct facts facts, read;
    char value[FACT_VALUE_SIZE], key[16];
    unsigned next = 0, lines = 0;

    (void)state;
    memset(value, ' ', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "long%d", i);
        facts_put(&facts, key, value);
    }
    for (int i = 0; i < 150; i++) {
        snprintf(key, sizeof key, "short%d", i);
        facts_put_number(&facts, key, (uint64_t)i);
    }
    assert_false(facts.cut);
    while (next < facts.n_facts) {
        begin("facts");
        next = message_put_facts(&out, &facts, next);
        message_get_facts(cut(), &read);
        lines++;
        assert_true(lines < 10);
    }
    assert_int_equal(read.n_facts, facts.n_facts);
    assert_string_equal(facts_get(&read, "long4"), value);
    assert_string_equal(facts_get(&read, "short149"), "149");
}

static void test_a_fact_that_is_no_number_is_left_out(void **state)
{
    struct facts read = {0};

    (void)state;
    begin("ok");
    line_put(&out, "n_cpus", "many");
    line_put(&out, "t_a_key_that_is_longer_than_any_fact_has_one", "x");
    line_put(&out, "other", "x");
    line_put(&out, "t_nic", "eth0");
    message_get_facts(cut(), &read);
    assert_int_equal(read.n_facts, 1);
    assert_string_equal(facts_get(&read, "nic"), "eth0");
}

/* Every metric, a histogram, n intervals and flows. */
static void fill_result(struct flow_result *r, uint32_t n_intervals, uint32_t n_flows)
{
    *r = (struct flow_result){.interval_ns = 100000000};
    text_copy(r->congestion_control, sizeof r->congestion_control, "cubic");
    for (int m = 0; m < METRIC_COUNT_; m++) {
        if (metric_table[m].real)
            metric_put_real(&r->metrics, (enum metric)m, (m - 20) / 3.0);
        else
            metric_put(&r->metrics, (enum metric)m, UINT64_MAX - (uint64_t)m);
    }
    r->rtt = calloc(1, sizeof *r->rtt);
    r->intervals = calloc(n_intervals + 1, sizeof *r->intervals);
    r->flow_bytes = calloc(n_flows + 1, sizeof *r->flow_bytes);
    assert_true(r->rtt && r->intervals && r->flow_bytes);
    r->n_intervals = n_intervals;
    r->n_flow_bytes = n_flows;
    for (uint64_t v = 1; v < UINT64_MAX / 3; v *= 3)
        hist_add(r->rtt, v);
    for (uint32_t i = 0; i < n_intervals; i++)
        r->intervals[i] = (struct flow_interval){UINT64_MAX - i, i, 1ULL << (i % 64), 0, 127 + i};
    for (uint32_t i = 0; i < n_flows; i++)
        r->flow_bytes[i] = UINT64_MAX / (i + 1);
}

static void round_trip(const struct flow_result *result, struct flow_result *ret_read)
{
    AUTO(free_p) uint8_t *blob = NULL;
    struct err err = {0};
    size_t n = 0;

    begin("result");
    line_put(&out, "part", "sent");
    message_put_result(&out, result);
    assert_int_equal(message_pack_bulk(result, &blob, &n, &err), 0);
    assert_int_equal(message_get_result(cut(), blob, n, ret_read, &err), 0);
}

static void assert_same_result(const struct flow_result *a, const struct flow_result *b)
{
    assert_string_equal(a->congestion_control, b->congestion_control);
    for (int m = 0; m < METRIC_COUNT_; m++) {
        assert_int_equal(a->metrics.has[m], b->metrics.has[m]);
        if (a->metrics.has[m])
            assert_memory_equal(&a->metrics.value[m], &b->metrics.value[m],
                                sizeof a->metrics.value[m]);
    }
    assert_int_equal(a->interval_ns, b->interval_ns);
    assert_int_equal(a->n_intervals, b->n_intervals);
    if (a->n_intervals)
        assert_memory_equal(a->intervals, b->intervals, a->n_intervals * sizeof *a->intervals);
    assert_int_equal(a->n_flow_bytes, b->n_flow_bytes);
    if (a->n_flow_bytes)
        assert_memory_equal(a->flow_bytes, b->flow_bytes, a->n_flow_bytes * sizeof *a->flow_bytes);
    assert_int_equal(!a->rtt, !b->rtt);
    if (a->rtt)
        assert_memory_equal(a->rtt, b->rtt, sizeof *a->rtt);
}

static void test_a_result_comes_back_bit_by_bit(void **state)
{
    static const struct {
        uint32_t n_intervals, n_flows;
    } rows[] = {{0, 0}, {1, 1}, {100, 8}, {FLOW_MAX_INTERVALS + 1, 2 * FLOW_MAX_FLOWS}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_result result, read = {0};

        fill_result(&result, rows[i].n_intervals, rows[i].n_flows);
        round_trip(&result, &read);
        assert_same_result(&result, &read);
        flow_result_done(&result);
        flow_result_done(&read);
    }
}

static void test_an_empty_result_measured_nothing(void **state)
{
    const struct flow_result result = {0};
    struct flow_result read = {0};

    (void)state;
    round_trip(&result, &read);
    assert_same_result(&result, &read);
    assert_null(read.rtt);
    for (int m = 0; m < METRIC_COUNT_; m++)
        assert_false(read.metrics.has[m]);
    flow_result_done(&read);
}

static void test_a_result_without_a_blob_has_no_bulk(void **state)
{
    struct flow_result read;

    (void)state;
    begin("result");
    line_put_u64(&out, "bytes", 9);
    assert_int_equal(message_get_result(cut(), NULL, 0, &read, NULL), 0);
    assert_int_equal(metric_get(&read.metrics, METRIC_bytes), 9);
    assert_null(read.intervals);
    flow_result_done(&read);
}

/* Read from an exact copy, so that a sanitizer sees a step beyond it. */
static int read_bulk(const uint8_t *blob, size_t n)
{
    AUTO(free_p) uint8_t *copy = malloc(n ? n : 1);
    struct flow_result read = {0};
    int r;

    assert_non_null(copy);
    memcpy(copy, blob, n);
    begin("result");
    r = message_get_result(cut(), copy, n, &read, NULL);
    flow_result_done(&read);
    return r;
}

static void test_a_blob_that_was_cut_off_is_refused(void **state)
{
    AUTO(free_p) uint8_t *blob = NULL;
    struct flow_result result;
    size_t n = 0, n_good = 0;

    (void)state;
    fill_result(&result, 3, 2);
    assert_int_equal(message_pack_bulk(&result, &blob, &n, NULL), 0);
    for (size_t cut_at = 1; cut_at < n; cut_at++)
        n_good += read_bulk(blob, cut_at) == 0;
    /* One beginning is a result by itself: all but the histogram. */
    assert_int_equal(n_good, 1);
    assert_int_equal(read_bulk(blob, n), 0);
    flow_result_done(&result);
}

static void test_a_blob_that_lies_about_its_counts_is_refused(void **state)
{
    static const struct {
        uint8_t bytes[16];
        size_t n;
    } rows[] = {
        /* more intervals than a result may have; than there are bytes; a number without an end */
        {{0, 0xff, 0xff, 0xff, 0x7f}, 5},
        {{0, 0xa0, 0x8d, 0x06, 1, 2, 3}, 7},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, 11},
        /* no interval and more flows than allowed; than there are bytes; a histogram of one byte */
        {{0, 0, 0xff, 0x7f}, 4},
        {{0, 0, 0x80, 0x04, 1}, 5},
        {{0, 0, 0, 1}, 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(read_bulk(rows[i].bytes, rows[i].n), -EBADMSG);
}

static void test_metrics_of_the_wrong_sort_are_refused(void **state)
{
    static const char *const rows[][2] = {
        {"bytes", "x3ff0000000000000"},
        {"bytes", "-1"},
        {"throughput_bps", "12"},
        {"throughput_bps", "x3ff"},
        {"throughput_bps", "x3FF0000000000000"},
        {"throughput_bps", "y3ff0000000000000"},
        {"congestion_control", "a_name_of_16_long"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_result read;
        struct err err = {0};

        begin("result");
        line_put(&out, rows[i][0], rows[i][1]);
        assert_int_equal(message_get_result(cut(), NULL, 0, &read, &err), -EINVAL);
        assert_non_null(strstr(err.text, rows[i][0]));
        flow_result_done(&read);
    }
}

static void test_a_metric_of_a_newer_agent_and_a_number_that_is_none_are_left_out(void **state)
{
    struct flow_result read;

    (void)state;
    begin("result");
    line_put(&out, "metric_of_tomorrow", "12");
    line_put(&out, "throughput_bps", "x7ff8000000000000"); /* not a number */
    line_put(&out, "offered_bps", "x7ff0000000000000");    /* infinite */
    line_put(&out, "jitter_ns", "xbff8000000000000");      /* -1.5 */
    assert_int_equal(message_get_result(cut(), NULL, 0, &read, NULL), 0);
    assert_false(read.metrics.has[METRIC_throughput_bps]);
    assert_false(read.metrics.has[METRIC_offered_bps]);
    assert_true(fabs(metric_get_real(&read.metrics, METRIC_jitter_ns) + 1.5) < 1e-12);
    flow_result_done(&read);
}

static void test_an_error_has_a_positive_code_and_its_words(void **state)
{
    const struct line *read;
    uint64_t code = 0;

    (void)state;
    begin("error");
    message_put_error(&out, -ETIMEDOUT, "nobody\ncame");
    read = cut();
    assert_int_equal(line_get_u64(read, "code", &code), 0);
    assert_int_equal(code, ETIMEDOUT);
    assert_string_equal(line_get(read, "text"), "nobody\ncame");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_spec_comes_back_as_it_went),
        cmocka_unit_test(test_a_spec_that_lacks_a_key_is_refused_by_its_name),
        cmocka_unit_test(test_a_spec_out_of_bounds_is_refused_with_a_sentence),
        cmocka_unit_test(test_a_trial_comes_back_as_it_went),
        cmocka_unit_test(test_a_trial_out_of_bounds_leaves_the_answer_alone),
        cmocka_unit_test(test_an_interval_comes_back_as_it_went),
        cmocka_unit_test(test_facts_keep_their_kind),
        cmocka_unit_test(test_facts_that_do_not_fit_a_line_go_on_in_the_next),
        cmocka_unit_test(test_a_fact_that_is_no_number_is_left_out),
        cmocka_unit_test(test_a_result_comes_back_bit_by_bit),
        cmocka_unit_test(test_an_empty_result_measured_nothing),
        cmocka_unit_test(test_a_result_without_a_blob_has_no_bulk),
        cmocka_unit_test(test_a_blob_that_was_cut_off_is_refused),
        cmocka_unit_test(test_a_blob_that_lies_about_its_counts_is_refused),
        cmocka_unit_test(test_metrics_of_the_wrong_sort_are_refused),
        cmocka_unit_test(test_a_metric_of_a_newer_agent_and_a_number_that_is_none_are_left_out),
        cmocka_unit_test(test_an_error_has_a_positive_code_and_its_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
