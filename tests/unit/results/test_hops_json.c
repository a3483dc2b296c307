/* SPDX-License-Identifier: Apache-2.0 */
#include "results/hops_json.h"

#include "hops_sample.h"

#include "results/doc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A copy that has been through text, as a saved one has. */
static json_t *through_text(const struct hops *hops)
{
    json_t *document = hops_json_document(hops), *read;
    char *text;

    assert_non_null(document);
    text = json_dumps(document, JSON_REAL_PRECISION(15));
    assert_non_null(text);
    read = json_loads(text, 0, NULL);
    assert_non_null(read);
    free(text);
    json_decref(document);
    return read;
}

static const json_t *hop_of(const json_t *document, size_t i)
{
    return json_array_get(doc_at(document, "hops"), i);
}

static void test_keys_stand_as_the_issue_has_them(void **state)
{
    static const char *const keys[] = {"from",       "to",         "matched",
                                       "lost",       "duplicated", "reordered",
                                       "only_later", "ambiguous",  "delay_ns"};
    static const char *const delays[] = {"min", "mean", "stddev", "p50", "p90",
                                         "p99", "p999", "p9999",  "max", "count"};
    static const char *const points[] = {
        "name",      "source",       "seen",       "unparsed",       "fragments",
        "unmatched", "kernel_drops", "overflow",   "backward",       "first_ns",
        "last_ns",   "offset_ns",    "skew_share", "offset_bound_ns"};
    struct hops hops = hops_sample();
    json_t *d = through_text(&hops);

    (void)state;
    assert_string_equal(doc_text(d, "schema"), "vnperf/1");
    assert_int_equal(json_array_size(doc_at(d, "hops")), 6);
    for (size_t i = 0; i < 6; i++) {
        for (unsigned k = 0; k < sizeof keys / sizeof *keys; k++)
            assert_non_null(json_object_get(hop_of(d, i), keys[k]));
        for (unsigned k = 0; k < sizeof delays / sizeof *delays; k++)
            assert_true(json_is_number(
                json_object_get(json_object_get(hop_of(d, i), "delay_ns"), delays[k])));
    }
    for (size_t i = 0; i < 3; i++)
        for (unsigned k = 0; k < sizeof points / sizeof *points; k++)
            assert_non_null(json_object_get(json_array_get(doc_at(d, "points"), i), points[k]));
    assert_true(json_is_false(doc_at(d, "nat")));
    assert_int_equal(doc_count(d, "window_ns"), 100000000);
    json_decref(d);
    hops_done(&hops);
}

static void test_numbers_are_those_of_the_struct(void **state)
{
    struct hops hops = hops_sample();
    json_t *d = through_text(&hops);
    const json_t *first = hop_of(d, 0);
    double v;

    (void)state;
    assert_string_equal(doc_text(first, "from"), "pif.pcap");
    assert_string_equal(doc_text(first, "to"), "bridge.pcap");
    assert_null(doc_at(first, "whole"));
    assert_true(json_is_true(doc_at(hop_of(d, 2), "whole")));
    assert_int_equal(doc_count(first, "matched"), 100);
    assert_int_equal(doc_count(first, "lost"), 1);
    assert_true(doc_number(first, "loss_share", &v) && fabs(v - 1.0 / 101) < 1e-12);
    assert_int_equal(doc_count(first, "delay_ns.min"), 10000);
    assert_int_equal(doc_count(first, "delay_ns.max"), 20000);
    assert_int_equal(doc_count(first, "delay_ns.count"), 100);
    assert_true(doc_number(first, "delay_ns.mean", &v) && fabs(v - 10100) < 1e-9);
    /* Values 99 times 10000 and once 20000: variance 0.99 × 0.01 × 10000². */
    assert_true(doc_number(first, "delay_ns.stddev", &v) && fabs(v - sqrt(0.0099) * 10000) < 1e-6);
    assert_true(doc_number(first, "delay_ns.p50", &v) && fabs(v - 10000) <= 80);
    assert_int_equal(doc_count(hop_of(d, 1), "duplicated"), 2);
    assert_int_equal(doc_count(hop_of(d, 1), "reordered"), 3);
    json_decref(d);
    hops_done(&hops);
}

static void test_nothing_matched_is_null_with_a_reason(void **state)
{
    struct hops hops = {.n_points = 2, .points = {{.name = "a"}, {.name = "b"}}};
    struct hop *hop = hops_add(&hops);
    json_t *d;

    (void)state;
    assert_non_null(hop);
    hop->to = 1;
    d = through_text(&hops);
    assert_true(json_is_null(doc_at(hop_of(d, 0), "delay_ns.min")));
    assert_true(json_is_null(doc_at(hop_of(d, 0), "delay_ns.p9999")));
    assert_true(json_is_integer(doc_at(hop_of(d, 0), "delay_ns.count")));
    assert_true(json_is_null(doc_at(hop_of(d, 0), "loss_share")));
    assert_string_not_equal(doc_text(hop_of(d, 0), "missing.delay_ns"), "");
    assert_string_not_equal(doc_text(hop_of(d, 0), "missing.loss_share"), "");
    assert_true(json_is_null(doc_at(json_array_get(doc_at(d, "points"), 0), "first_ns")));
    assert_string_not_equal(
        doc_text(json_array_get(doc_at(d, "points"), 0), "missing.kernel_drops"), "");
    assert_true(json_is_null(doc_at(d, "instrument")));
    assert_string_not_equal(doc_text(d, "missing.instrument"), "");
    assert_true(json_is_null(doc_at(d, "warning")));
    json_decref(d);
    hops_done(&hops);
}

static void test_delays_below_zero_and_days_keep_their_digits(void **state)
{
    struct hops hops = {.n_points = 2, .points = {{.name = "a"}, {.name = "b"}}};
    struct hop *hop = hops_add(&hops);
    const int64_t day = 86400LL * 1000000000;
    json_t *d;
    double v;

    (void)state;
    assert_non_null(hop);
    hop->to = 1;
    hop->matched = 2;
    assert_int_equal(delay_add(&hop->delay, -day + 1), 0);
    assert_int_equal(delay_add(&hop->delay, -day + 4), 0);
    d = through_text(&hops);
    assert_int_equal(json_integer_value(doc_at(hop_of(d, 0), "delay_ns.min")), -day + 1);
    assert_int_equal(json_integer_value(doc_at(hop_of(d, 0), "delay_ns.max")), -day + 4);
    assert_true(doc_number(hop_of(d, 0), "delay_ns.mean", &v));
    assert_true(v == (double)-day + 2.5);
    assert_true(doc_number(hop_of(d, 0), "delay_ns.stddev", &v) && fabs(v - 1.5) < 1e-6);
    json_decref(d);
    hops_done(&hops);
}

static void test_drops_offsets_and_the_instrument_are_told(void **state)
{
    struct hops hops = hops_sample();
    json_t *d;
    const json_t *b, *c;

    (void)state;
    hops.points[1].has_kernel_drops = true;
    hops.points[1].kernel_drops = 7;
    hops.hops[0].lost_is_bound = true;
    hops.points[1].has_offset = true;
    hops.points[1].offset_ns = -5000000;
    hops.points[1].skew_share = -40e-6;
    hops.points[1].offset_bound_ns = 3200;
    hops.points[1].n_offset_packets = 20000;
    hops.points[2].has_offset = true;
    hops.points[2].offset_bound_ns = UINT64_MAX;
    hops.points[2].n_offset_packets = 5;
    hops.instrument = (struct hop_instrument){
        .measured = true, .cost_ns = 150.5, .bias_ns = 42, .bias_spread_ns = 36, .n_packets = 1000};
    d = through_text(&hops);
    b = json_array_get(doc_at(d, "points"), 1);
    c = json_array_get(doc_at(d, "points"), 2);
    assert_int_equal(doc_count(b, "kernel_drops"), 7);
    assert_true(json_is_true(doc_at(hop_of(d, 0), "lost_is_bound")));
    assert_null(doc_at(hop_of(d, 1), "lost_is_bound"));
    assert_int_equal(json_integer_value(doc_at(b, "offset_ns")), -5000000);
    assert_int_equal(doc_count(b, "offset_bound_ns"), 3200);
    assert_true(json_is_null(doc_at(c, "offset_bound_ns")));
    assert_non_null(strstr(doc_text(c, "missing.offset_bound_ns"), "one way"));
    assert_int_equal(doc_count(d, "instrument.bias_ns"), 42);
    json_decref(d);
    hops_done(&hops);
}

static void test_series_flows_and_merged_parts_stand_where_they_are(void **state)
{
    struct hops hops = hops_sample();
    struct hop *hop = &hops.hops[0];
    const json_t *first;
    json_t *d;
    double v;

    (void)state;
    hop->interval_ns = 100000000;
    hop->series_start_ns = 1700000000000000000;
    hop->n_intervals = 2;
    hop->intervals = calloc(2, sizeof *hop->intervals);
    hop->flows = calloc(1, sizeof *hop->flows);
    assert_true(hop->intervals && hop->flows);
    hop->intervals[1] = (struct hop_interval){.matched = 2, .min_ns = 5, .max_ns = 6, .sum_ns = 11};
    hop->n_flows = 1;
    hop->flows[0] = (struct hop_flow){
        .protocol = 6, .from = "10.0.0.1:5001", .to = "10.0.0.2:80", .matched = 9};
    assert_int_equal(delay_add(&hop->hold, 30), 0);
    assert_int_equal(delay_add(&hop->path, 40), 0);
    d = through_text(&hops);
    first = hop_of(d, 0);
    assert_true(json_is_null(doc_at(json_array_get(doc_at(first, "series"), 0), "mean_ns")));
    assert_true(doc_number(json_array_get(doc_at(first, "series"), 1), "mean_ns", &v));
    assert_true(v == 5.5);
    assert_int_equal(doc_count(json_array_get(doc_at(first, "series"), 1), "start_ns"), 100000000);
    assert_string_equal(doc_text(json_array_get(doc_at(first, "flows"), 0), "protocol"), "tcp");
    assert_true(json_is_null(doc_at(json_array_get(doc_at(first, "flows"), 0), "delay_ns.p50")));
    assert_int_equal(doc_count(first, "hold_ns.max"), 30);
    assert_int_equal(doc_count(first, "path_ns.max"), 40);
    assert_null(doc_at(hop_of(d, 1), "series"));
    assert_null(doc_at(hop_of(d, 1), "flows"));
    assert_null(doc_at(hop_of(d, 1), "hold_ns"));
    json_decref(d);
    hops_done(&hops);
}

static void test_names_that_are_not_utf8_do_not_cost_the_document(void **state)
{
    struct hops hops = hops_sample();
    json_t *d;

    (void)state;
    memcpy(hops.points[0].name, "a\xff", 3);
    d = through_text(&hops);
    assert_string_equal(doc_text(hop_of(d, 0), "from"), "a\xef\xbf\xbd");
    json_decref(d);
    hops_done(&hops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_stand_as_the_issue_has_them),
        cmocka_unit_test(test_numbers_are_those_of_the_struct),
        cmocka_unit_test(test_nothing_matched_is_null_with_a_reason),
        cmocka_unit_test(test_delays_below_zero_and_days_keep_their_digits),
        cmocka_unit_test(test_drops_offsets_and_the_instrument_are_told),
        cmocka_unit_test(test_series_flows_and_merged_parts_stand_where_they_are),
        cmocka_unit_test(test_names_that_are_not_utf8_do_not_cost_the_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
