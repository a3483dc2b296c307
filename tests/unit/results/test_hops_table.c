/* SPDX-License-Identifier: Apache-2.0 */
#include "results/hops_table.h"

#include "hops_sample.h"

#include "base/auto.h"
#include "results/doc.h"
#include "results/hops_json.h"

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *draw(const json_t *document, enum table_format format)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct err e = {0};

    assert_non_null(out);
    if (hops_table_print(document, format, false, out, &e) != 0)
        fail_msg("%s", e.text);
    fclose(out);
    return text;
}

/* Takes the hops. */
static char *draw_hops(struct hops hops, enum table_format format)
{
    json_t *document = hops_json_document(&hops);
    char *text;

    hops_done(&hops);
    assert_non_null(document);
    text = draw(document, format);
    json_decref(document);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in:\n%s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("'%s' is in:\n%s", part, text);
}

static void test_the_table_is_as_it_was(void **state)
{
    static const struct {
        enum table_format format;
        const char *name;
    } rows[] = {{TABLE_TABLE, "hops_table.txt"},
                {TABLE_WIDE, "hops_wide.txt"},
                {TABLE_CSV, "hops_csv.txt"},
                {TABLE_MARKDOWN, "hops_markdown.txt"},
                {TABLE_NDJSON, "hops_ndjson.txt"}};
    const char *dir = getenv("VNPERF_SOURCE"), *write = getenv("GOLDEN_WRITE");

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(free_p) char *got = draw_hops(hops_sample(), rows[i].format);
        AUTO(free_p) char *want = calloc(1, 1 << 16);
        AUTO(fclose_p) FILE *file = NULL;
        char path[4096];

        assert_non_null(want);
        snprintf(path, sizeof path, "%s/tests/unit/results/golden/%s", dir ? dir : ".",
                 rows[i].name);
        if (write && strcmp(write, "1") == 0) {
            file = fopen(path, "we");
            assert_non_null(file);
            fputs(got, file);
            continue;
        }
        file = fopen(path, "re");
        if (!file)
            fail_msg("%s: %s", path, strerror(errno));
        assert_true(fread(want, 1, (1 << 16) - 1, file) > 0);
        if (strcmp(got, want) != 0)
            fail_msg("%s is not what was drawn:\n%s", path, got);
    }
}

static void test_the_table_fits_a_terminal(void **state)
{
    AUTO(free_p) char *text = draw_hops(hops_sample(), TABLE_TABLE);
    char *save = NULL;

    (void)state;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (doc_columns(line) > 100)
            fail_msg("%zu columns: %s", doc_columns(line), line);
}

static void test_a_loss_that_is_a_bound_says_so_and_why(void **state)
{
    struct hops hops = hops_sample();
    AUTO(free_p) char *text = NULL;

    (void)state;
    hops.hops[0].lost_is_bound = true;
    hops.points[1].has_kernel_drops = true;
    hops.points[1].kernel_drops = 12;
    text = draw_hops(hops, TABLE_TABLE);
    assert_has(text, "<=1 0.990 %");
    assert_has(text, "bridge.pcap did not see all that passed: 12 dropped by the kernel");
}

static void test_the_waterfall_adds_up(void **state)
{
    AUTO(free_p) char *text = draw_hops(hops_sample(), TABLE_TABLE);

    (void)state;
    assert_has(text, "Where the time goes, pif.pcap to vif.pcap");
    assert_has(text, "Where the time goes, vif.pcap to pif.pcap");
    assert_has(text, "means of the hops together: 15.2 us; of the whole: 15.2 us; 0 % apart");
}

static void test_a_waterfall_that_does_not_add_up_says_so(void **state)
{
    struct hops hops = hops_sample();
    AUTO(free_p) char *text = NULL;

    (void)state;
    hops_sample_fill(&hops.hops[0].delay, 50, 40000);
    text = draw_hops(hops, TABLE_TABLE);
    assert_has(text, "the hops count packets that the whole does not");
}

static void test_two_points_have_no_waterfall(void **state)
{
    struct hops hops = {.n_points = 2, .points = {{.name = "a"}, {.name = "b"}}};
    AUTO(free_p) char *text = NULL;

    (void)state;
    hops_sample_hop(&hops, 0, 1, false, 3, 100);
    hops_sample_hop(&hops, 1, 0, false, 3, 100);
    text = draw_hops(hops, TABLE_TABLE);
    assert_has_not(text, "Where the time goes");
}

static void test_delays_below_zero_draw_no_bars(void **state)
{
    struct hops hops = hops_sample();
    AUTO(free_p) char *text = NULL;

    (void)state;
    delay_done(&hops.hops[1].delay);
    hops_sample_fill(&hops.hops[1].delay, 100, -700000);
    text = draw_hops(hops, TABLE_TABLE);
    assert_has(text, "-707 us");
    assert_has(text, "the clocks of the two points disagree");
}

static void test_clocks_are_told_with_their_bound(void **state)
{
    struct hops hops = hops_sample();
    AUTO(free_p) char *text = NULL;

    (void)state;
    hops.points[1].has_offset = hops.points[2].has_offset = true;
    hops.points[1].offset_ns = -5000000;
    hops.points[1].skew_share = 12.5e-6;
    hops.points[1].offset_bound_ns = 3200;
    hops.points[1].n_offset_packets = 20000;
    hops.points[2].offset_ns = 7;
    hops.points[2].offset_bound_ns = UINT64_MAX;
    hops.points[2].n_offset_packets = 4;
    text = draw_hops(hops, TABLE_TABLE);
    assert_has(text, "clock of bridge.pcap is 5.00 ms behind, and runs 12.5 ppm too fast");
    assert_has(text, "+-3.20 us");
    assert_has(text, "clock of vif.pcap: packets went one way only");
}

static void test_a_saved_one_that_anybody_wrote_is_drawn(void **state)
{
    static const char *const documents[] = {
        "7",
        "{}",
        "{\"hops\":7,\"points\":{}}",
        "{\"hops\":[7,null,{}],\"points\":[[]]}",
        "{\"hops\":[{\"from\":7,\"to\":null,\"whole\":true,\"lost\":-1,\"delay_ns\":{\"p50\":1e300}"
        "}]}",
        "{\"hops\":[{\"from\":\"a\",\"to\":\"b\",\"flows\":[1],\"series\":[{\"start_ns\":\"x\"}]},"
        "{\"from\":\"b\",\"to\":\"\\u001b[2J\",\"delay_ns\":{\"mean\":1e308}},{\"whole\":true}],"
        "\"warning\":\"a\\u0007b\"}"};

    (void)state;
    for (unsigned i = 0; i < sizeof documents / sizeof *documents; i++)
        for (int format = 0; format < TABLE_FORMAT_COUNT; format++) {
            json_t *document = json_loads(documents[i], JSON_DECODE_ANY, NULL);
            AUTO(free_p) char *text = NULL;

            assert_non_null(document);
            text = draw(document, (enum table_format)format);
            /* CSV is for programs: it has the bytes as they are. */
            for (const char *p = text; *p && format != TABLE_CSV; p++)
                assert_true(*p != 7 && *p != 27);
            json_decref(document);
        }
}

static void test_many_flows_are_cut_in_the_narrow_table(void **state)
{
    struct hops hops = hops_sample();
    AUTO(free_p) char *text = NULL;
    enum { FLOWS = 30 };

    (void)state;
    hops.hops[0].flows = calloc(FLOWS, sizeof *hops.hops[0].flows);
    assert_non_null(hops.hops[0].flows);
    hops.hops[0].n_flows = FLOWS;
    for (unsigned i = 0; i < FLOWS; i++)
        snprintf(hops.hops[0].flows[i].from, sizeof hops.hops[0].flows[i].from, "10.0.0.%u:1", i);
    text = draw_hops(hops, TABLE_TABLE);
    assert_has(text, "10.0.0.23:1");
    assert_has_not(text, "10.0.0.24:1");
    assert_has(text, "and 6 more");
}

static void test_an_inset_stands_behind_its_indent(void **state)
{
    struct hops hops = hops_sample();
    json_t *document = hops_json(&hops);
    AUTO(free_p) char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    char *save = NULL;

    (void)state;
    assert_true(document && out);
    memcpy(hops.warning, "x", 2);
    assert_int_equal(hops_table_inset(document, false, false, "     ", out), 0);
    fclose(out);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        assert_memory_equal(line, "     ", 5);
    json_decref(document);
    hops_done(&hops);
}

static void test_a_full_disk_is_told(void **state)
{
    struct hops hops = hops_sample();
    json_t *document = hops_json_document(&hops);
    FILE *out = fopen("/dev/full", "we");
    struct err e = {0};

    (void)state;
    assert_true(document && out);
    assert_int_equal(hops_table_print(document, TABLE_TABLE, false, out, &e), -ENOSPC);
    fclose(out);
    json_decref(document);
    hops_done(&hops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_as_it_was),
        cmocka_unit_test(test_the_table_fits_a_terminal),
        cmocka_unit_test(test_a_loss_that_is_a_bound_says_so_and_why),
        cmocka_unit_test(test_the_waterfall_adds_up),
        cmocka_unit_test(test_a_waterfall_that_does_not_add_up_says_so),
        cmocka_unit_test(test_two_points_have_no_waterfall),
        cmocka_unit_test(test_delays_below_zero_draw_no_bars),
        cmocka_unit_test(test_clocks_are_told_with_their_bound),
        cmocka_unit_test(test_a_saved_one_that_anybody_wrote_is_drawn),
        cmocka_unit_test(test_many_flows_are_cut_in_the_narrow_table),
        cmocka_unit_test(test_an_inset_stands_behind_its_indent),
        cmocka_unit_test(test_a_full_disk_is_told),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
