/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/output.h"
#include "cmd/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"

static void test_formats_and_colours(void **state)
{
    static const char *const formats[] = {"table", "wide", "json", "ndjson", "csv", "markdown"};
    struct output_options o = {.colour = "auto"};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        assert_int_equal(output_set_format(&o, formats[i], NULL), 0);
        assert_string_equal(table_format_name[o.format], formats[i]);
    }
    assert_true(output_set_format(&o, "", &err) < 0);
    assert_true(output_set_format(&o, "JSON", &err) < 0);
    assert_non_null(strstr(err.text, "'JSON' is none of"));
    assert_true(output_set_colour(&o, "yes", &err) < 0);
    assert_string_equal(o.colour, "auto");
    assert_int_equal(output_set_colour(&o, "always", NULL), 0);
    assert_true(output_colour(&o));
    assert_int_equal(output_set_colour(&o, "never", NULL), 0);
    assert_false(output_colour(&o));
}

static struct run_result empty_run(void)
{
    struct run_result run = {0};
    char word[] = "run", *argv[] = {word};

    assert_int_equal(record_begin(&run, "lab", "", 1, argv, NULL), 0);
    return run;
}

/* "--json -": the document and nothing else. */
static void test_json_alone_on_stdout(void **state)
{
    static struct capture capture;
    struct output_options o = {.colour = "never", .json = "-"};
    struct run_result run = empty_run();
    const char *text;
    int r;

    (void)state;
    capture_begin(&capture, 1);
    r = output_run(&o, &run, NULL);
    text = capture_end(&capture);
    assert_int_equal(r, 0);
    assert_int_equal(text[0], '{');
    assert_non_null(strstr(text, "\"schema\": \"vnperf/1\""));
    assert_non_null(strstr(text, run.id));
    assert_string_equal(text + strlen(text) - 2, "}\n");
    run_result_done(&run);
}

static void test_json_file_that_cannot_be_written(void **state)
{
    static struct capture capture;
    struct output_options o = {.colour = "never", .json = "/nonexistent/out.json"};
    struct run_result run = empty_run();
    struct err err = {0};
    int r;

    (void)state;
    capture_begin(&capture, 1);
    r = output_run(&o, &run, &err);
    capture_end(&capture);
    assert_int_equal(r, -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/out.json"));
    run_result_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_and_colours),
        cmocka_unit_test(test_json_alone_on_stdout),
        cmocka_unit_test(test_json_file_that_cannot_be_written),
    };

    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
