/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/hop_message.h"

#include "base/auto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A line as it comes out of the other side: written, cut, read. */
static struct line over_the_wire(char buf[LINE_MAX_BYTES], const struct live_options *options)
{
    struct line_out out;
    struct line line;
    size_t n;

    line_begin(&out, buf, LINE_MAX_BYTES, 3, "watch");
    hop_message_put_options(&out, options);
    n = line_end(&out);
    assert_true(n > 0);
    buf[n - 1] = 0;
    assert_int_equal(LINE_OK, line_cut(buf, n - 1, &line));
    return line;
}

static struct live_options *some_options(void)
{
    struct live_options *o = calloc(1, sizeof *o);

    assert_non_null(o);
    o->n_points = 2;
    strcpy(o->points[0].name, "pif:eth0");
    strcpy(o->points[0].ifname, "eth0");
    strcpy(o->points[1].name, "netns:vm 1/eth0"); /* a blank is encoded */
    strcpy(o->points[1].netns, "name:vm 1");
    strcpy(o->points[1].ifname, "eth0");
    o->source = LIVE_CLSACT;
    o->keys_only = true;
    o->nat = -1;
    o->window_ns = 250000000;
    o->protocol = 17;
    o->port = 5001;
    o->n_filter = 2;
    o->filter[0] = (struct live_insn){0x28, 1, 2, 12};
    o->filter[1] = (struct live_insn){0x06, 0, 0, 0xfffefdfc};
    return o;
}

static void test_what_is_to_be_watched_comes_back_the_same(void **state)
{
    AUTO(free_p) struct live_options *o = some_options();
    AUTO(free_p) struct live_options *back = calloc(1, sizeof *back);
    AUTO(free_p) uint8_t *filter = NULL;
    size_t n_filter = 0;
    char buf[LINE_MAX_BYTES];
    struct line line = over_the_wire(buf, o);

    (void)state;
    assert_int_equal(0, hop_message_pack_filter(o, &filter, &n_filter, NULL));
    assert_int_equal(16, n_filter);
    assert_int_equal(0, hop_message_get_options(&line, filter, n_filter, back, NULL));
    assert_memory_equal(o, back, sizeof *o);
}

static void test_sixteen_points_with_long_names_fit_into_a_line(void **state)
{
    AUTO(free_p) struct live_options *o = some_options();
    AUTO(free_p) struct live_options *back = calloc(1, sizeof *back);
    char buf[LINE_MAX_BYTES];
    struct line line;

    (void)state;
    o->n_points = HOP_MAX_POINTS;
    o->n_filter = 0;
    for (unsigned i = 0; i < o->n_points; i++) {
        memset(o->points[i].name, ' ', sizeof o->points[i].name - 1);
        memset(o->points[i].netns, ' ', sizeof o->points[i].netns - 1);
        memset(o->points[i].ifname, ' ', sizeof o->points[i].ifname - 1);
    }
    line = over_the_wire(buf, o);
    assert_int_equal(0, hop_message_get_options(&line, NULL, 0, back, NULL));
    assert_int_equal(HOP_MAX_POINTS, back->n_points);
    assert_memory_equal(o->points, back->points, sizeof o->points);
}

static void test_a_question_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"3 watch points=0 source=tcx keys_only=0 nat=no window_ns=0 protocol=0 port=0",
         "no points"},
        {"3 watch points=17 source=tcx keys_only=0 nat=no window_ns=0 protocol=0 port=0",
         "up to 16"},
        {"3 watch points=1 name0=a netns0= source=tcx keys_only=0 nat=no window_ns=0 protocol=0 "
         "port=0",
         "lacks if0="},
        {"3 watch points=1 name0=a netns0= if0=abcdefghijklmnopq source=tcx keys_only=0 nat=no "
         "window_ns=0 protocol=0 port=0",
         "if0= is longer than 15"},
        {"3 watch points=1 name0=a netns0= if0=b source=xdp keys_only=0 nat=no window_ns=0 "
         "protocol=0 "
         "port=0",
         "source=xdp is unknown"},
        {"3 watch points=1 name0=a netns0= if0=b source=tcx keys_only=0 nat=maybe window_ns=0 "
         "protocol=0 port=0",
         "nat="},
        {"3 watch points=1 name0=a netns0= if0=b source=tcx keys_only=2 nat=no window_ns=0 "
         "protocol=0 "
         "port=0",
         "keys_only="},
        {"3 watch points=1 name0=a netns0= if0=b source=tcx keys_only=0 nat=no window_ns=0 "
         "protocol=256 port=0",
         "protocol="},
        {"3 watch points=1 name0=a netns0= if0=b source=tcx keys_only=0 nat=no window_ns=0 "
         "protocol=0 "
         "port=65536",
         "port="},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free_p) struct live_options *back = calloc(1, sizeof *back);
        AUTO(free_p) char *text = strdup(rows[i].text);
        struct err err = {0};
        struct line line;

        assert_int_equal(LINE_OK, line_cut(text, strlen(text), &line));
        assert_int_equal(-EINVAL, hop_message_get_options(&line, NULL, 0, back, &err));
        assert_non_null(strstr(err.text, rows[i].says));
    }
}

static void test_a_filter_that_is_cut_is_refused(void **state)
{
    AUTO(free_p) struct live_options *o = some_options();
    AUTO(free_p) struct live_options *back = calloc(1, sizeof *back);
    char buf[LINE_MAX_BYTES];
    struct line line = over_the_wire(buf, o);
    uint8_t bytes[15] = {0};

    (void)state;
    assert_int_equal(-EINVAL, hop_message_get_options(&line, bytes, sizeof bytes, back, NULL));
}

static void some_hops(struct hops *hops)
{
    struct hop *h;

    *hops = (struct hops){.n_points = 2, .nat = true, .window_ns = 7, .source = "tcx"};
    strcpy(hops->points[0].name, "a");
    strcpy(hops->points[1].name, "b");
    hops->points[0].seen = UINT64_MAX;
    hops->points[1].has_kernel_drops = true;
    hops->points[1].kernel_drops = 3;
    hops->instrument =
        (struct hop_instrument){.measured = true, .cost_ns = 61.5, .bias_ns = -38, .stamp = "tc"};
    h = hops_add(hops);
    assert_non_null(h);
    h->to = 1;
    h->matched = 3;
    h->lost = 1;
    h->lost_is_bound = true;
    assert_int_equal(0, delay_add(&h->delay, -1000));
    assert_int_equal(0, delay_add(&h->delay, 0));
    assert_int_equal(0, delay_add(&h->delay, 5000000000));
    h->interval_ns = 1000;
    h->n_intervals = 2;
    h->intervals = calloc(2, sizeof *h->intervals);
    assert_non_null(h->intervals);
    h->intervals[1] = (struct hop_interval){2, 1, -5, 9, 4.5};
    h->n_flows = h->room_flows = 1;
    h->flows = calloc(1, sizeof *h->flows);
    assert_non_null(h->flows);
    strcpy(h->flows[0].from, "10.0.0.1:1");
    assert_int_equal(0, delay_add(&h->flows[0].delay, 77));
}

static void test_hops_come_back_the_same(void **state)
{
    struct hops hops, back;
    const struct hop *h;
    AUTO(free_p) uint8_t *blob = NULL;
    size_t n = 0;

    (void)state;
    some_hops(&hops);
    assert_int_equal(0, hop_message_pack(&hops, &blob, &n, NULL));
    assert_int_equal(0, hop_message_unpack(blob, n, &back, NULL));
    assert_int_equal(2, back.n_points);
    assert_memory_equal(hops.points, back.points, sizeof hops.points);
    assert_memory_equal(&hops.instrument, &back.instrument, sizeof hops.instrument);
    assert_string_equal("tcx", back.source);
    assert_true(back.nat);
    assert_int_equal(1, back.n_hops);
    h = &back.hops[0];
    assert_int_equal(3, h->matched);
    assert_true(h->lost_is_bound);
    assert_int_equal(-1000, h->delay.min);
    assert_int_equal(5000000000, h->delay.max);
    assert_true(delay_mean(&h->delay) == delay_mean(&hops.hops[0].delay));
    assert_int_equal(0, delay_percentile(&h->delay, 0.5));
    assert_memory_equal(hops.hops[0].intervals, h->intervals, 2 * sizeof *h->intervals);
    assert_string_equal("10.0.0.1:1", h->flows[0].from);
    assert_int_equal(77, delay_percentile(&h->flows[0].delay, 0.99));
    hops_done(&hops);
    hops_done(&back);
}

static void test_hops_that_are_cut_anywhere_are_refused(void **state)
{
    struct hops hops;
    AUTO(free_p) uint8_t *blob = NULL;
    size_t n = 0;

    (void)state;
    some_hops(&hops);
    assert_int_equal(0, hop_message_pack(&hops, &blob, &n, NULL));
    for (size_t cut = 0; cut < n; cut++) {
        struct hops back;

        assert_int_equal(-EBADMSG, hop_message_unpack(blob, cut, &back, NULL));
        hops_done(&back);
    }
    hops_done(&hops);
}

static void test_a_hop_of_no_point_is_refused(void **state)
{
    struct hops hops, back;
    AUTO(free_p) uint8_t *blob = NULL;
    size_t n = 0;

    (void)state;
    some_hops(&hops);
    hops.hops[0].to = 2;
    assert_int_equal(0, hop_message_pack(&hops, &blob, &n, NULL));
    assert_int_equal(-EBADMSG, hop_message_unpack(blob, n, &back, NULL));
    hops_done(&hops);
    hops_done(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_to_be_watched_comes_back_the_same),
        cmocka_unit_test(test_sixteen_points_with_long_names_fit_into_a_line),
        cmocka_unit_test(test_a_question_that_cannot_be_is_refused),
        cmocka_unit_test(test_a_filter_that_is_cut_is_refused),
        cmocka_unit_test(test_hops_come_back_the_same),
        cmocka_unit_test(test_hops_that_are_cut_anywhere_are_refused),
        cmocka_unit_test(test_a_hop_of_no_point_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
