/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/text_match.h"

#include "capture/text_log.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[2] = {"pif.log", "vif.log"};
static const struct text_match_options netweaver = {.seq_col = 7, .time_col = 1, .seq_split = ":"};
static const struct text_match_options plain = {.seq_col = 1, .time_col = 0};

static FILE *log_of(const char *text)
{
    FILE *f =
        *text ? fmemopen((void *)(uintptr_t)text, strlen(text), "r") : fopen("/dev/null", "re");

    assert_non_null(f);
    return f;
}

static int match(const char *a, const char *b, const struct text_match_options *o,
                 struct hops *ret_hops, struct err *err)
{
    FILE *const logs[2] = {log_of(a), log_of(b)};
    int r = text_match(logs, names, o, ret_hops, err);

    fclose(logs[0]);
    fclose(logs[1]);
    return r;
}

static struct hops matched(const char *a, const char *b, const struct text_match_options *o)
{
    struct hops hops = {0};
    struct err err = {0};

    if (match(a, b, o, &hops, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(hops.n_hops, 1);
    assert_int_equal(hops.n_points, 2);
    return hops;
}

static void refused(const char *a, const char *b, const struct text_match_options *o, int code,
                    const char *part)
{
    struct hops hops = {0};
    struct err err = {0};

    assert_int_equal(match(a, b, o, &hops, &err), -code);
    if (!strstr(err.text, part))
        fail_msg("'%s' is not in '%s'", part, err.text);
    assert_int_equal(hops.n_points, 0);
    hops_done(&hops);
}

static void test_lines_of_netweavers_readme_give_its_delay(void **state)
{
    struct hops h = matched(
        "2013-05-21 20:53:56.421831 IP 192.168.1.2.2911 > 192.168.1.1.0: S 36550021:36550021(0) "
        "win 512\n"
        "2013-05-21 20:53:56.421900 IP 192.168.1.2.2912 > 192.168.1.1.0: S 77:77(0) win 512\n",
        "2013-05-21 20:53:56.421852 IP 192.168.1.2.2911 > 192.168.1.1.0: S 36550021:36550021(0) "
        "win 512\n"
        "2013-05-21 20:53:56.422414 IP 192.168.1.2.2912 > 192.168.1.1.0: S 77:77(0) win 512\n",
        &netweaver);
    const struct hop *hop = &h.hops[0];

    (void)state;
    assert_int_equal(hop->matched, 2);
    assert_int_equal(hop->lost, 0);
    assert_int_equal(hop->delay.min, 21000);
    assert_int_equal(hop->delay.max, 514000);
    assert_true(delay_mean(&hop->delay) == 267500);
    assert_int_equal(h.points[0].first_ns, 1369169636421831000);
    assert_string_equal(h.points[0].source, "text");
    hops_done(&h);
}

static void test_what_is_lost_again_or_only_later_is_counted(void **state)
{
    struct hops h = matched("1.0 a\n2.0 b\n3.0 c\n4.0 d\n",
                            "1.1 a\n3.1 c\n3.2 c\n3.5 x\n4.1 d\nnoise\n", &plain);
    const struct hop *hop = &h.hops[0];

    (void)state;
    assert_int_equal(hop->matched, 3);
    assert_int_equal(hop->lost, 1);
    assert_false(hop->lost_is_bound);
    assert_int_equal(hop->duplicated, 1);
    assert_int_equal(hop->only_later, 1);
    assert_int_equal(hop->ambiguous, 0);
    assert_int_equal(hop->reordered, 0);
    assert_int_equal(h.points[0].seen, 4);
    assert_int_equal(h.points[0].unmatched, 1);
    assert_int_equal(h.points[1].unmatched, 1);
    assert_int_equal(h.points[1].unparsed, 1);
    assert_int_equal(hop->delay.count, 3);
    assert_int_equal(hop->delay.min, 100000000);
    assert_int_equal(hop->delay.max, 100000000);
    hops_done(&h);
}

static void test_retransmits_go_first_with_first(void **state)
{
    struct hops h = matched("1.0 a\n2.0 a\n3.0 b\n", "1.1 a\n2.2 a\n3.1 b\n", &plain);

    (void)state;
    assert_int_equal(h.hops[0].matched, 3);
    assert_int_equal(h.hops[0].delay.max, 200000000);
    assert_int_equal(h.hops[0].lost, 0);
    hops_done(&h);
}

static void test_a_retransmit_after_a_loss_is_ambiguous_and_in_no_delay(void **state)
{
    struct hops h = matched("1.0 a\n2.0 a\n3.0 b\n", "2.1 a\n3.1 b\n", &plain);

    (void)state;
    assert_int_equal(h.hops[0].matched, 1);
    assert_int_equal(h.hops[0].ambiguous, 1);
    assert_int_equal(h.hops[0].lost, 1);
    assert_int_equal(h.hops[0].delay.max, 100000000);
    hops_done(&h);
}

static void test_reordering_is_by_the_first_logs_order(void **state)
{
    struct hops h = matched("1 a\n2 b\n3 c\n4 d\n", "2.1 b\n2.2 a\n3.1 c\n4.1 d\n", &plain);

    (void)state;
    assert_int_equal(h.hops[0].reordered, 1);
    assert_int_equal(h.hops[0].matched, 4);
    hops_done(&h);
}

static void test_losses_at_the_ends_are_a_bound(void **state)
{
    struct hops h = matched("1 a\n2 b\n3 c\n4 d\n", "2.1 b\n3.1 c\n", &plain);

    (void)state;
    assert_int_equal(h.hops[0].lost, 2);
    assert_true(h.hops[0].lost_is_bound);
    assert_non_null(strstr(h.warning, "begun later or ended earlier"));
    hops_done(&h);
}

static void test_midnight_is_passed_without_a_day(void **state)
{
    static const struct {
        const char *a, *b;
        int64_t min_ns, max_ns;
    } rows[] = {
        /* In both logs, between them, before the first line of one, and back again by a late line. */
        {"23:59:59.9 a\n00:00:00.1 b\n", "23:59:59.95 a\n00:00:00.15 b\n", 50000000, 50000000},
        {"23:59:59.9 a\n00:00:00.1 b\n", "00:00:00.05 a\n00:00:00.25 b\n", 150000000, 150000000},
        {"00:00:00.1 a\n1:00:00.0 b\n", "23:59:59.9 a\n1:00:00.1 b\n", -200000000, 100000000},
        {"23:59:59.9 a\n00:00:00.1 b\n23:59:59.99 c\n",
         "00:00:00.0 a\n00:00:00.2 b\n00:00:00.09 c\n", 100000000, 100000000},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hops h = matched(rows[i].a, rows[i].b, &plain);

        assert_int_equal(h.hops[0].delay.min, rows[i].min_ns);
        assert_int_equal(h.hops[0].delay.max, rows[i].max_ns);
        hops_done(&h);
    }
}

static void test_a_day_in_one_log_alone_is_enough(void **state)
{
    static const struct text_match_options dated = {.seq_col = 2, .time_col = 1};
    struct hops h = matched("2024-02-29 23:59:59.9 a\n2024-03-01 00:00:01 b\n",
                            "x 00:00:00.1 a\nx 00:00:01.2 b\n", &dated);

    (void)state;
    assert_int_equal(h.hops[0].delay.min, 200000000);
    assert_int_equal(h.hops[0].delay.max, 200000000);
    hops_done(&h);
}

static void test_many_days_without_a_day_column(void **state)
{
    struct hops h = matched("22:00:00 a\n06:00:00 b\n16:00:00 c\n02:00:00 d\n",
                            "22:00:01 a\n06:00:01 b\n16:00:01 c\n02:00:01 d\n", &plain);

    (void)state;
    assert_int_equal(h.hops[0].delay.min, 1000000000);
    assert_int_equal(h.hops[0].delay.max, 1000000000);
    assert_int_equal(h.points[0].last_ns - h.points[0].first_ns, 28LL * 3600 * 1000000000);
    hops_done(&h);
}

static void test_times_are_read_to_the_nanosecond_or_not_at_all(void **state)
{
    static const struct {
        const char *day, *time;
        int r;
        int64_t ns;
    } rows[] = {
        {"", "20:53:56.421831", 1, 75236421831000},
        {"2013-05-21", "20:53:56.421831", 0, 1369169636421831000},
        {"", "2013-05-21T20:53:56.421831Z", 0, 1369169636421831000},
        {"", "2000-03-01T00:00:00", 0, 951868800000000000},
        {"", "1369169636.421831", 0, 1369169636421831000},
        {"", "1369169636", 0, 1369169636000000000},
        {"", "0.000000001", 0, 1},
        {"", "0.1234567899", 0, 123456789},
        {"", "7:00:00,5", 1, 25200500000000},
        {"2013-13-21", "20:53:56", 1, 75236000000000},
        {"", "24:00:00", -EINVAL, 0},
        {"", "20:60:00", -EINVAL, 0},
        {"", "20:53", -EINVAL, 0},
        {"", "20:53:56x", -EINVAL, 0},
        {"", "-1.5", -EINVAL, 0},
        {"", "1.", -EINVAL, 0},
        {"", ".5", -EINVAL, 0},
        {"", "1e9", -EINVAL, 0},
        {"", "99999999999", -EINVAL, 0},
        {"", "9999999999", -EINVAL, 0},
        {"", "2013-02-30T00:00:00", -EINVAL, 0},
        {"", "2013-05-21", -EINVAL, 0},
        {"", "", -EINVAL, 0},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text_piece day = {rows[i].day, strlen(rows[i].day)},
                          time = {rows[i].time, strlen(rows[i].time)};
        int64_t ns = -7;

        assert_int_equal(text_log_time(day, time, &ns), rows[i].r);
        assert_int_equal(ns, rows[i].r < 0 ? -7 : rows[i].ns);
    }
}

static void test_todays_tcpdump_with_netweavers_columns_is_refused_with_advice(void **state)
{
    const char *text =
        "2026-11-28 11:00:00.000001 IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], seq 36550021, win 512\n"
        "2026-11-28 11:00:00.000002 IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], seq 36550022, win 512\n";
    const struct text_match_options right = {.seq_col = 9, .time_col = 1, .seq_split = ":"};
    struct hops h;

    (void)state;
    refused(
        text, text, &netweaver, EINVAL,
        "column 7 is '[S],' in each of the 2 lines of pif.log: it tells no packet from another; in "
        "this log the sequence number follows 'seq': --seq-col 9");
    h = matched(text, text, &right);
    assert_int_equal(h.hops[0].matched, 2);
    hops_done(&h);
}

static void test_a_column_of_few_texts_is_refused(void **state)
{
    char text[2000] = "";

    (void)state;
    for (unsigned i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%u.5 [%c],\n", i, "SP."[i % 3]);
    refused(text, text, &plain, EINVAL, "column 1 has only 3 different texts");
}

static void test_columns_that_are_not_there_are_told_with_a_line(void **state)
{
    static const struct text_match_options far = {.seq_col = 9, .time_col = 0};

    (void)state;
    refused("x y\n", "1.0 a\n", &plain, EINVAL, "no line of pif.log has a time in column 0");
    refused("1.0 a\n", "\x1b[2J y\n", &plain, EINVAL, "'?[2J y'");
    refused("1.0 a\n", "1.0 a\n", &far, EINVAL, "has a sequence number in column 9");
    refused("", "1.0 a\n", &plain, ENODATA, "pif.log has no line");
}

static void test_an_offset_is_taken_off_exactly(void **state)
{
    const struct text_match_options o = {.seq_col = 1, .time_col = 0, .offset_ns = -86400000000001};
    struct hops h = matched("1369169636.000000001 a\n", "1369083236.000000001 a\n", &o);

    (void)state;
    assert_int_equal(h.hops[0].delay.min, 1);
    assert_true(h.points[1].has_offset);
    hops_done(&h);
}

static void test_a_series_has_matched_and_lost_in_their_parts(void **state)
{
    const struct text_match_options o = {.seq_col = 1, .time_col = 0, .interval_ns = 1000000000};
    const struct text_match_options endless = {.seq_col = 1, .time_col = 0, .interval_ns = 1};
    struct hops h = matched("10.0 a\n10.5 b\n11.0 c\n13.9 d\n", "10.1 a\n11.2 c\n14.2 d\n", &o);
    const struct hop *hop = &h.hops[0];

    (void)state;
    assert_int_equal(hop->n_intervals, 4);
    assert_int_equal(hop->intervals[0].matched, 1);
    assert_int_equal(hop->intervals[0].lost, 1);
    assert_int_equal(hop->intervals[1].max_ns, 200000000);
    assert_int_equal(hop->intervals[2].matched, 0);
    assert_int_equal(hop->intervals[3].matched, 1);
    assert_int_equal(hop->series_start_ns, 10000000000);
    hops_done(&h);
    h = (struct hops){0};
    assert_int_equal(match("1 a\n9 b\n", "1 a\n9 b\n", &endless, &h, NULL), -EINVAL);
    hops_done(&h);
}

static void test_both_directions_in_one_log_are_doubted(void **state)
{
    struct hops h = matched("1.0 a\n2.1 b\n", "1.1 a\n2.0 b\n", &plain);

    (void)state;
    assert_int_equal(h.hops[0].matched, 2);
    assert_non_null(strstr(h.warning, "both directions"));
    hops_done(&h);
}

static void test_long_lines_and_lines_without_an_end(void **state)
{
    char *text = malloc(400000);
    struct hops h;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 200000);
    memcpy(text + 200000, "\n1.0 a\r\n2.0 b", 14);
    h = matched(text, "1.5 a\n2.5 b\n", &plain);
    assert_int_equal(h.points[0].unparsed, 1);
    assert_int_equal(h.points[0].seen, 2);
    assert_int_equal(h.hops[0].matched, 2);
    hops_done(&h);
    free(text);
}

static void test_a_hundred_thousand_lines_are_each_found(void **state)
{
    enum { LINES = 100000 };
    char *a = malloc(LINES * 24), *b = malloc(LINES * 24);
    size_t a_used = 0, b_used = 0;
    struct hops h;

    (void)state;
    assert_true(a && b);
    for (unsigned i = 0; i < LINES; i++) {
        a_used += (size_t)sprintf(a + a_used, "%u.%06u s%u\n", i / 1000, i % 1000 * 1000, i);
        if (i % 100 != 50)
            b_used +=
                (size_t)sprintf(b + b_used, "%u.%06u s%u\n", i / 1000, i % 1000 * 1000 + 7, i);
    }
    h = matched(a, b, &plain);
    assert_int_equal(h.hops[0].matched, LINES - LINES / 100);
    assert_int_equal(h.hops[0].lost, LINES / 100);
    assert_int_equal(h.hops[0].delay.min, 7000);
    assert_int_equal(h.hops[0].delay.max, 7000);
    assert_true(fabs(delay_mean(&h.hops[0].delay) - 7000) < 1e-6);
    hops_done(&h);
    free(a);
    free(b);
}

static void test_a_log_that_cannot_be_read_is_told(void **state)
{
    FILE *const logs[2] = {log_of("1 a\n2 b\n"), fopen("/", "re")};
    struct hops hops = {0};
    struct err err = {0};

    (void)state;
    assert_non_null(logs[1]);
    assert_int_equal(text_match(logs, names, &plain, &hops, &err), -EISDIR);
    assert_non_null(strstr(err.text, "vif.log: reading"));
    hops_done(&hops);
    fclose(logs[0]);
    fclose(logs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_netweavers_readme_give_its_delay),
        cmocka_unit_test(test_what_is_lost_again_or_only_later_is_counted),
        cmocka_unit_test(test_retransmits_go_first_with_first),
        cmocka_unit_test(test_a_retransmit_after_a_loss_is_ambiguous_and_in_no_delay),
        cmocka_unit_test(test_reordering_is_by_the_first_logs_order),
        cmocka_unit_test(test_losses_at_the_ends_are_a_bound),
        cmocka_unit_test(test_midnight_is_passed_without_a_day),
        cmocka_unit_test(test_a_day_in_one_log_alone_is_enough),
        cmocka_unit_test(test_many_days_without_a_day_column),
        cmocka_unit_test(test_times_are_read_to_the_nanosecond_or_not_at_all),
        cmocka_unit_test(test_todays_tcpdump_with_netweavers_columns_is_refused_with_advice),
        cmocka_unit_test(test_a_column_of_few_texts_is_refused),
        cmocka_unit_test(test_columns_that_are_not_there_are_told_with_a_line),
        cmocka_unit_test(test_an_offset_is_taken_off_exactly),
        cmocka_unit_test(test_a_series_has_matched_and_lost_in_their_parts),
        cmocka_unit_test(test_both_directions_in_one_log_are_doubted),
        cmocka_unit_test(test_long_lines_and_lines_without_an_end),
        cmocka_unit_test(test_a_hundred_thousand_lines_are_each_found),
        cmocka_unit_test(test_a_log_that_cannot_be_read_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
