/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "model/flow_spec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct flow_spec good(enum flow_kind kind)
{
    return (struct flow_spec){
        .kind = kind,
        .direction = FLOW_FORWARD,
        .n_flows = 1,
        .payload_bytes = 64,
        .port = FLOW_PORT,
        .port_last = FLOW_PORT_LAST,
        .address = "10.0.0.1",
        .connect_ns = 5000000000,
    };
}

static void refused(const struct flow_spec *spec, const char *part)
{
    struct err e = {0};

    assert_int_equal(flow_spec_check(spec, &e), -EINVAL);
    if (!strstr(e.text, part))
        fail_msg("'%s' does not say '%s'", e.text, part);
}

static void test_names_are_found(void **state)
{
    (void)state;
    for (int k = 0; k < FLOW_KIND_COUNT; k++)
        assert_int_equal(flow_kind_find(flow_kind_name[k]), k);
    assert_int_equal(flow_kind_find("rr"), -ENOENT);
    assert_int_equal(flow_kind_find(""), -ENOENT);
}

static void test_every_kind_can_be_asked_for(void **state)
{
    (void)state;
    for (int k = 0; k < FLOW_KIND_COUNT; k++) {
        struct flow_spec s = good((enum flow_kind)k);
        struct err e = {0};

        if (k == FLOW_MULTICAST)
            strcpy(s.address, "231.1.1.1");
        if (flow_spec_check(&s, &e) != 0)
            fail_msg("%s: %s", flow_kind_name[k], e.text);
    }
}

static void test_multicast_needs_a_group(void **state)
{
    static const struct {
        const char *address;
        int group;
    } rows[] = {
        {"223.255.255.255", 0}, {"224.0.0.1", 1}, {"239.255.255.255", 1}, {"240.0.0.1", 0},
        {"10.0.0.1", 0},        {"ff02::1", 1},   {"ff1e::7:1", 1},       {"fe80::1", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct flow_spec s = good(FLOW_MULTICAST);

        text_copy(s.address, sizeof s.address, rows[i].address);
        if (rows[i].group)
            assert_int_equal(flow_spec_check(&s, NULL), 0);
        else
            refused(&s, "is no group");
        /* To others a group is an address as any. */
        s.kind = FLOW_UDP_STREAM;
        assert_int_equal(flow_spec_check(&s, NULL), 0);
    }
}

static void test_payloads_have_bounds(void **state)
{
    static const struct {
        enum flow_kind kind;
        uint32_t min, max;
    } rows[] = {
        {FLOW_TCP_STREAM, 1, FLOW_MAX_WRITE},
        {FLOW_UDP_STREAM, FLOW_UDP_HEADER, FLOW_MAX_DATAGRAM},
        {FLOW_ICMP_ECHO, 0, FLOW_MAX_DATAGRAM},
        {FLOW_TCP_RR, 1, FLOW_MAX_RR},
        {FLOW_UDP_RR, FLOW_UDP_HEADER, FLOW_MAX_DATAGRAM},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct flow_spec s = good(rows[i].kind);

        s.payload_bytes = rows[i].min;
        assert_int_equal(flow_spec_check(&s, NULL), 0);
        s.payload_bytes = rows[i].max;
        assert_int_equal(flow_spec_check(&s, NULL), 0);
        s.payload_bytes = rows[i].max + 1;
        refused(&s, "payload");
        s.payload_bytes = rows[i].min - 1;
        refused(&s, "payload");
    }
}

static void test_what_cannot_be_is_refused(void **state)
{
    struct flow_spec s = good(FLOW_TCP_STREAM);

    (void)state;
    s.n_flows = 0;
    refused(&s, "flows");
    s.n_flows = FLOW_MAX_FLOWS;
    assert_int_equal(flow_spec_check(&s, NULL), 0);
    s.n_flows = FLOW_MAX_FLOWS + 1;
    refused(&s, "flows");
    s = good(FLOW_ICMP_ECHO);
    s.n_flows = 2;
    refused(&s, "flows");
    s = good(FLOW_TCP_RR);
    s.direction = FLOW_BOTH;
    refused(&s, "direction");
    s = good(FLOW_UDP_STREAM);
    s.direction = FLOW_BOTH;
    assert_int_equal(flow_spec_check(&s, NULL), 0);
    s.direction = 0;
    refused(&s, "direction");
    s.direction = 4;
    refused(&s, "direction");
    s = good(FLOW_TCP_STREAM);
    s.port_last = s.port - 1;
    refused(&s, "ports");
    s = good(FLOW_TCP_STREAM);
    s.connect_ns = 0;
    refused(&s, "opening");
    s = good(FLOW_TCP_STREAM);
    strcpy(s.address, "somewhere");
    refused(&s, "somewhere");
    s = good(FLOW_TCP_STREAM);
    s.kind = FLOW_KIND_COUNT;
    refused(&s, "unknown");
    s.kind = (enum flow_kind) - 1;
    refused(&s, "unknown");
}

static void test_trials(void **state)
{
    static const struct {
        struct flow_trial trial;
        const char *said; /* NULL: can be */
    } rows[] = {
        {{.duration_ns = 1000000000}, NULL},
        {{.duration_ns = 999999}, "lasts"},
        {{.duration_ns = 0}, "lasts"},
        {{.duration_ns = 86400000000001}, "lasts"},
        {{.duration_ns = 1000000000, .warmup_ns = UINT64_MAX}, "warm-up"},
        {{.duration_ns = 1000000000, .tail_ns = 60000000001}, "tail"},
        {{.duration_ns = 1000000000, .interval_ns = 100000000}, NULL},
        {{.duration_ns = 1000000000, .interval_ns = 999999}, "interval"},
        {{.duration_ns = 86400000000000, .interval_ns = 1000000}, "intervals"},
        /* One datagram of 64 bytes, at least. */
        {{.duration_ns = 1000000000, .rate_bps = 511}, "no datagram"},
        {{.duration_ns = 1000000000, .rate_bps = 512}, NULL},
        {{.duration_ns = 10000000, .rate_bps = 512}, "no datagram"},
    };
    struct flow_spec s = good(FLOW_UDP_STREAM);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = {0};
        int r = flow_trial_check(&s, &rows[i].trial, &e);

        if (r != (rows[i].said ? -EINVAL : 0) || (rows[i].said && !strstr(e.text, rows[i].said)))
            fail_msg("row %zu: %d '%s'", i, r, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_found),
        cmocka_unit_test(test_every_kind_can_be_asked_for),
        cmocka_unit_test(test_multicast_needs_a_group),
        cmocka_unit_test(test_payloads_have_bounds),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_trials),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
