/* SPDX-License-Identifier: Apache-2.0 */
#include "results/table.h"

#include "sample.h"

#include "base/auto.h"
#include "results/repeats.h"

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A test of what it would say if the file were there is no test: no folder, no golden outputs. */
static const char *source_dir(void)
{
    const char *dir = getenv("VNPERF_SOURCE");

    return dir ? dir : ".";
}

static char *draw(const json_t *document, enum table_format format, bool colour)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct err e = {0};

    assert_non_null(out);
    if (table_print(document, format, colour, out, &e) != 0)
        fail_msg("%s", e.text);
    fclose(out);
    return text;
}

static char *draw_text(const char *json, enum table_format format)
{
    json_t *document = json_loads(json, JSON_DECODE_ANY, NULL);
    char *text = draw(document, format, false);

    assert_non_null(document);
    json_decref(document);
    return text;
}

static void golden(enum table_format format, bool colour, const char *name)
{
    json_t *document = sample_document();
    AUTO(free_p) char *got = draw(document, format, colour);
    AUTO(free_p) char *want = calloc(1, 1 << 20);
    AUTO(fclose_p) FILE *file = NULL;
    const char *write = getenv("GOLDEN_WRITE");
    char path[4096];

    json_decref(document);
    assert_non_null(want);
    snprintf(path, sizeof path, "%s/tests/unit/results/golden/%s", source_dir(), name);
    if (write && strcmp(write, "1") == 0) {
        file = fopen(path, "we");
        assert_non_null(file);
        fputs(got, file);
        return;
    }
    file = fopen(path, "re");
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    assert_true(fread(want, 1, (1 << 20) - 1, file) > 0);
    if (strcmp(got, want) != 0)
        fail_msg("%s is not what was drawn:\n%s", path, got);
}

static void test_table_is_as_it_was(void **state)
{
    (void)state;
    golden(TABLE_TABLE, false, "table.txt");
}

static void test_table_in_colour_is_as_it_was(void **state)
{
    (void)state;
    golden(TABLE_TABLE, true, "colour.txt");
}

static void test_wide_is_as_it_was(void **state)
{
    (void)state;
    golden(TABLE_WIDE, false, "wide.txt");
}

static void test_markdown_is_as_it_was(void **state)
{
    (void)state;
    golden(TABLE_MARKDOWN, true, "markdown.txt");
}

static void test_csv_is_as_it_was(void **state)
{
    (void)state;
    golden(TABLE_CSV, false, "csv.txt");
}

static void test_ndjson_is_as_it_was(void **state)
{
    (void)state;
    golden(TABLE_NDJSON, false, "ndjson.txt");
}

static void test_json_is_as_it_was(void **state)
{
    (void)state;
    golden(TABLE_JSON, false, "json.txt");
}

/* But for the one scenario whose tests have long names. */
static void test_table_fits_100_columns(void **state)
{
    json_t *document = sample_document();
    char *text, *rest, *line;

    (void)state;
    json_array_remove(json_object_get(document, "scenarios"), 6);
    rest = text = draw(document, TABLE_TABLE, false);
    json_decref(document);
    while ((line = strsep(&rest, "\n")))
        if (strlen(line) > 100)
            fail_msg("%zu columns: %s", strlen(line), line);
    free(text);
}

static json_t *repeated(const char *measurements, const char *repeats)
{
    json_t *scenario = json_pack("{s:o, s:o}", "measurements", json_loads(measurements, 0, NULL),
                                 "repeats", json_loads(repeats, 0, NULL));

    assert_non_null(scenario);
    return scenario;
}

/* Numbers are medians, words the most frequent, nulls what others have; failed ones do not count. */
static void test_what_stands_for_repetitions_is_their_middle(void **state)
{
    json_t *scenario = repeated(
        "[{\"x\":1,\"limit\":\"path\",\"rtt_ns\":null,\"repetition\":1,\"outlier\":false},"
        "{\"x\":5,\"limit\":\"sender\",\"rtt_ns\":{\"p50\":7}},{\"x\":99,\"error\":\"e\"},"
        "{\"x\":4,\"limit\":\"sender\",\"rtt_ns\":{\"p50\":9.5},\"intervals\":[1,2],\"late\":3}]",
        "[{\"measurements\":[0,1,2,3]}]");
    json_t *typical =
        repeats_typical(scenario, json_array_get(json_object_get(scenario, "repeats"), 0));
    AUTO(free_p) char *text = json_dumps(typical, JSON_COMPACT | JSON_SORT_KEYS);

    (void)state;
    assert_string_equal(text,
                        "{\"late\":3,\"limit\":\"sender\",\"rtt_ns\":{\"p50\":8.25},\"x\":4}");
    json_decref(typical);
    json_decref(scenario);
}

/* Entries that name what is not there, or is of another type. */
static void test_any_repeats_are_drawn(void **state)
{
    static const char *const rows[] = {
        "null",
        "[]",
        "[null]",
        "[{}]",
        "[{\"measurements\":[-1,7,1e300,null,\"x\"],\"n\":2}]",
        "[{\"measurements\":[0,1],\"n\":2,\"metric\":\"\",\"\":{\"low\":-1}}]",
        "[{\"measurements\":[0,0,1,1],\"n\":9223372036854775807,\"metric\":7}]",
        "[{\"measurements\":{\"0\":1},\"n\":1,\"stopped\":[]},{\"measurements\":[0],\"n\":1}]"};
    static const char list[] =
        "[{\"kind\":\"rr\",\"a\":[{}],\"b\":{\"c\":{\"d\":{\"e\":{\"f\":1}}}}},{\"kind\":5,"
        "\"a\":[1,{}],\"b\":[]},7]";

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int f = 0; f < TABLE_FORMAT_COUNT; f++) {
            AUTO(free_p) char *json = NULL, *text = NULL;

            assert_true(asprintf(&json, "{\"scenarios\":[{\"measurements\":%s,\"repeats\":%s}]}",
                                 list, rows[i]) > 0);
            text = draw_text(json, (enum table_format)f);
            assert_non_null(text);
        }
}

static void test_without_colour_there_is_no_escape(void **state)
{
    json_t *document = sample_document();
    AUTO(free_p) char *plain = draw(document, TABLE_TABLE, false);
    AUTO(free_p) char *colour = draw(document, TABLE_TABLE, true);

    (void)state;
    json_decref(document);
    assert_null(strchr(plain, '\033'));
    assert_non_null(strchr(colour, '\033'));
}

static void test_what_the_user_did_not_choose_is_only_counted(void **state)
{
    AUTO(free_p)
    char *text = draw_text(
        "{\"scenarios\":[{\"id\":\"8.1\",\"name\":\"VM to Host Uploading\",\"status\":"
        "\"skipped\",\"reason\":\"not chosen\"}],\"summary\":{\"total\":1,\"skipped\":1}}",
        TABLE_TABLE);

    (void)state;
    assert_null(strstr(text, "8.1"));
    assert_non_null(strstr(text, "1 scenario: 0 passed, 0 failed, 1 skipped (1 not chosen)\n"));
}

static void test_what_was_left_behind_is_named(void **state)
{
    AUTO(free_p)
    char *text = draw_text("{\"cleanup\":{\"left\":[\"bridge br7\",\"pid 4711\"],\"done\":true}}",
                           TABLE_TABLE);
    AUTO(free_p) char *clean = draw_text("{\"cleanup\":{\"left\":[],\"done\":true}}", TABLE_TABLE);
    AUTO(free_p)
    char *not_yet = draw_text("{\"cleanup\":{\"left\":[],\"done\":false}}", TABLE_TABLE);

    (void)state;
    assert_non_null(strstr(text, "left behind: bridge br7\nleft behind: pid 4711\n"));
    assert_non_null(strstr(clean, "nothing left behind\n"));
    assert_null(strstr(not_yet, "behind"));
}

static void test_a_file_does_not_steer_the_terminal(void **state)
{
    static const enum table_format formats[] = {TABLE_TABLE, TABLE_WIDE, TABLE_MARKDOWN};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        AUTO(free_p)
        char *text = draw_text(
            "{\"run\":{\"id\":\"\\u001b[2J\",\"description\":\"\\u009b31m\"},\"scenarios\":[{"
            "\"id\":\"\\u001b]0;x\\u0007\","
            "\"name\":\"a\\nb\\r\",\"status\":\"failed\",\"reason\":\"\\u001b[31mred\","
            "\"measurements\":[{\"kind\":\"rr\","
            "\"warning\":\"\\u001b[0m\",\"error\":\"\\u007f\",\"placement\":\"\\u001b\"}]}]}",
            formats[i]);

        for (const char *p = text; *p; p++)
            assert_true(*p == '\n' || ((unsigned char)*p >= 0x20 && *p != 0x7f));
        assert_null(strstr(text, "\xc2\x9b"));
    }
}

static void test_any_json_is_drawn(void **state)
{
    static const char *const rows[] = {
        "null",
        "1",
        "[]",
        "{}",
        "\"text\"",
        "{\"run\":7,\"nodes\":{},\"scenarios\":{},\"summary\":[],\"cleanup\":null}",
        "{\"nodes\":[1,null],\"scenarios\":[null,1,\"x\",[],{}]}",
        "{\"scenarios\":[{\"id\":5,\"name\":[],\"status\":null,\"measurements\":[null,7,{},[],{"
        "\"kind\":5}]}]}",
        "{\"scenarios\":[{\"measurements\":[{\"kind\":\"tcp_stream\",\"throughput_bps\":1e308,"
        "\"rtt_ns\":{\"p50\":-1e300},"
        "\"loss_share\":-5,\"retransmits\":1e200,\"write_bytes\":-9223372036854775808,\"flows\":"
        "9223372036854775807,"
        "\"sender\":{\"cwnd_bytes\":1e300,\"cpu_s_per_gb\":-1}}]}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int f = 0; f < TABLE_FORMAT_COUNT; f++) {
            AUTO(free_p) char *text = draw_text(rows[i], (enum table_format)f);

            assert_non_null(text);
        }
}

static void test_a_full_disk_is_noticed(void **state)
{
    json_t *document = sample_document();

    (void)state;
    for (int f = 0; f < TABLE_FORMAT_COUNT; f++) {
        FILE *full = fopen("/dev/full", "we");
        struct err e = {0};

        assert_non_null(full);
        assert_int_equal(table_print(document, (enum table_format)f, false, full, &e), -ENOSPC);
        assert_non_null(strstr(e.text, "No space left"));
        fclose(full);
    }
    json_decref(document);
}

static void test_formats_are_found_by_name(void **state)
{
    (void)state;
    for (int f = 0; f < TABLE_FORMAT_COUNT; f++)
        assert_int_equal(table_format_find(table_format_name[f]), f);
    assert_int_equal(table_format_find("xml"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_as_it_was),
        cmocka_unit_test(test_table_in_colour_is_as_it_was),
        cmocka_unit_test(test_wide_is_as_it_was),
        cmocka_unit_test(test_markdown_is_as_it_was),
        cmocka_unit_test(test_csv_is_as_it_was),
        cmocka_unit_test(test_ndjson_is_as_it_was),
        cmocka_unit_test(test_json_is_as_it_was),
        cmocka_unit_test(test_table_fits_100_columns),
        cmocka_unit_test(test_what_stands_for_repetitions_is_their_middle),
        cmocka_unit_test(test_any_repeats_are_drawn),
        cmocka_unit_test(test_without_colour_there_is_no_escape),
        cmocka_unit_test(test_what_the_user_did_not_choose_is_only_counted),
        cmocka_unit_test(test_what_was_left_behind_is_named),
        cmocka_unit_test(test_a_file_does_not_steer_the_terminal),
        cmocka_unit_test(test_any_json_is_drawn),
        cmocka_unit_test(test_a_full_disk_is_noticed),
        cmocka_unit_test(test_formats_are_found_by_name),
    };

    setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
