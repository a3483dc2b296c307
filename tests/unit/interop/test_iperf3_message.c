/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "interop/foreign_datagram.h"
#include "interop/iperf2_report.h"
#include "interop/iperf3_message.h"

#include <errno.h>
#include <string.h>

static void assert_near(double wanted, double got, double most)
{
    assert_true(got - wanted <= most && wanted - got <= most);
}

static void test_parameters_come_back_as_they_were_written(void **state)
{
    struct iperf3_params p = {.udp = true,
                              .bidirectional = true,
                              .counters_64bit = true,
                              .omit_s = 2,
                              .time_s = 7,
                              .parallel = 4,
                              .len = 1400,
                              .window_bytes = 65536,
                              .mss_bytes = 1000,
                              .tos = 184,
                              .bandwidth_bps = 123456789,
                              .nodelay = true,
                              .congestion = "cubic"};
    struct iperf3_params q;
    char text[1024];
    int number, n = iperf3_params_write(&p, text, sizeof text);

    (void)state;
    assert_true(n > 0);
    assert_int_equal(0, iperf3_params_read(text, (size_t)n, &q, &number, NULL));
    memcpy(p.version, q.version, sizeof p.version);
    assert_memory_equal(&p, &q, sizeof p);
    assert_int_equal(-ENOSPC, iperf3_params_write(&p, text, 100));
}

static void test_parameters_of_strangers(void **state)
{
    static const struct {
        const char *text;
        int r, number;
    } rows[] = {
        {"{\"tcp\":true,\"omit\":0,\"time\":10,\"parallel\":1,\"len\":131072}", 0, 0},
        {"{}", 0, 0},
        {"{\"parallel\":\"many\",\"reverse\":1,\"nothing\":[{}]}", 0, 0},
        {"{\"parallel\":129}", -EINVAL, IPERF3_IENUMSTREAMS},
        {"{\"parallel\":-1}", -EINVAL, IPERF3_IENUMSTREAMS},
        {"{\"parallel\":1e300}", -EINVAL, IPERF3_IENUMSTREAMS},
        {"{\"time\":86401}", -EINVAL, IPERF3_IEDURATION},
        {"{\"udp\":true}", -EINVAL, IPERF3_IEUDPBLOCKSIZE},
        {"{\"udp\":true,\"len\":15}", -EINVAL, IPERF3_IEUDPBLOCKSIZE},
        {"{\"len\":0}", -EINVAL, IPERF3_IEBLOCKSIZE},
        {"{\"TOS\":256}", -EINVAL, IPERF3_IETOS},
        {"[]", -EBADMSG, IPERF3_IERECVPARAMS},
        {"{\"time\":", -EBADMSG, IPERF3_IERECVPARAMS},
        {"", -EBADMSG, IPERF3_IERECVPARAMS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct iperf3_params p;
        struct err err = {0};
        int number;

        assert_int_equal(rows[i].r,
                         iperf3_params_read(rows[i].text, strlen(rows[i].text), &p, &number, &err));
        if (rows[i].r < 0)
            assert_int_equal(rows[i].number, number);
        assert_int_equal(rows[i].r < 0, err.text[0] != 0);
    }
}

static void test_results_of_debian_12(void **state)
{
    /* Its -1 went through an unsigned. */
    static const char text[] =
        "{\"cpu_util_total\":12.5,\"cpu_util_user\":2,\"cpu_util_system\":10.5,"
        "\"sender_has_retransmits\":-1,\"congestion_used\":\"cubic\","
        "\"streams\":[{\"id\":1,\"bytes\":1000,\"retransmits\":18446744073709551615,"
        "\"jitter\":1.5e-05,\"errors\":3,\"packets\":10,\"start_time\":0,\"end_time\":2.5},"
        "{\"id\":3,\"bytes\":7,\"retransmits\":4,\"jitter\":0,\"errors\":0,\"packets\":1}]}";
    struct iperf3_results r;
    const struct iperf3_stream *s;

    (void)state;
    assert_int_equal(0, iperf3_results_read(text, strlen(text), &r, NULL));
    assert_int_equal(2, r.n_streams);
    assert_int_equal(-1, r.has_retransmits);
    assert_string_equal("cubic", r.congestion);
    s = iperf3_results_find(&r, 1);
    assert_non_null(s);
    assert_near(1000, s->bytes, 0);
    assert_near(-1, s->retransmits, 0);
    assert_near(0.000015, s->jitter_s, 1e-12);
    assert_near(2.5, s->end_s, 0);
    assert_near(-1, s->omitted_packets, 0);
    assert_non_null(iperf3_results_find(&r, iperf3_stream_id(1)));
    assert_null(iperf3_results_find(&r, 2));
}

static void test_results_come_back_as_they_were_written(void **state)
{
    struct iperf3_results a = {.has_retransmits = 1, .congestion = "reno", .n_streams = 2}, b;
    char text[2048];
    int n;

    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        a.streams[i] = (struct iperf3_stream){.id = iperf3_stream_id(i),
                                              .bytes = 1e12 + i,
                                              .retransmits = -1,
                                              .errors = 5,
                                              .packets = 9,
                                              .omitted_packets = 2,
                                              .end_s = 1.5};
    n = iperf3_results_write(&a, "a \"word\"\nand \x01 more", text, sizeof text);
    assert_true(n > 0);
    assert_int_equal(0, iperf3_results_read(text, (size_t)n, &b, NULL));
    assert_memory_equal(&a, &b, sizeof a);
}

static void test_results_that_are_none(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"streams\":{}}",
        "{\"streams\":[1]}",
        "{\"streams\":[{\"id\":1}",
        "{\"streams\":[{\"id\":1}]} x",
        "{\"streams\":[],\"congestion_used\":}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct iperf3_results r;
        struct err err = {0};

        assert_int_equal(-EBADMSG, iperf3_results_read(texts[i], strlen(texts[i]), &r, &err));
        assert_true(err.text[0]);
    }
}

static void test_datagrams_of_each_form(void **state)
{
    static const struct {
        enum foreign_form form;
        int64_t number;
    } rows[] = {
        {FOREIGN_IPERF3, 1},         {FOREIGN_IPERF3, 4294967295},
        {FOREIGN_IPERF3_WIDE, 1},    {FOREIGN_IPERF3_WIDE, 1ll << 40},
        {FOREIGN_IPERF2, 1},         {FOREIGN_IPERF2, -5},
        {FOREIGN_IPERF2, 1ll << 40}, {FOREIGN_IPERF2, -(1ll << 40)},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct foreign_datagram d = {rows[i].number, 123456789012000}, e;
        uint8_t bytes[FOREIGN_HEAD_BYTES] = {0};

        if (rows[i].form == FOREIGN_IPERF2)
            bytes[IPERF2_DATAGRAM_BYTES] = IPERF2_WIDE_NUMBERS >> 24;
        foreign_datagram_write(rows[i].form, &d, bytes);
        foreign_datagram_read(rows[i].form, bytes, sizeof bytes, &e);
        assert_int_equal(d.number, e.number);
        assert_int_equal(d.departed_ns, e.departed_ns);
    }
}

static void test_an_iperf2_report_comes_back_as_it_was_written(void **state)
{
    const struct iperf2_report a = {.bytes = 5000000000,
                                    .seconds = 10.25,
                                    .jitter_ns = 1234000,
                                    .lost = 7,
                                    .reordered = 2,
                                    .packets = 4000000000};
    struct iperf2_report b;
    uint8_t bytes[IPERF2_REPORT_BYTES];

    (void)state;
    iperf2_report_write(&a, (const uint8_t[16]){0}, bytes);
    assert_true(iperf2_report_read(bytes, sizeof bytes, &b));
    assert_int_equal(a.bytes, b.bytes);
    assert_near(a.seconds, b.seconds, 1e-6);
    assert_near(a.jitter_ns, b.jitter_ns, 1e3);
    assert_int_equal(a.lost, b.lost);
    assert_int_equal(a.reordered, b.reordered);
    assert_int_equal(a.packets, b.packets);
    assert_false(iperf2_report_read(bytes, 20, &b));
    bytes[16] = 0;
    assert_false(iperf2_report_read(bytes, sizeof bytes, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters_come_back_as_they_were_written),
        cmocka_unit_test(test_parameters_of_strangers),
        cmocka_unit_test(test_results_of_debian_12),
        cmocka_unit_test(test_results_come_back_as_they_were_written),
        cmocka_unit_test(test_results_that_are_none),
        cmocka_unit_test(test_datagrams_of_each_form),
        cmocka_unit_test(test_an_iperf2_report_comes_back_as_it_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
