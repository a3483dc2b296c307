/* SPDX-License-Identifier: Apache-2.0 */
#include "results/csv.h"

#include "model/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *csv(const char *json)
{
    json_t *document = json_loads(json, JSON_DECODE_ANY, NULL);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_true(document && out);
    csv_print(document, out);
    fclose(out);
    json_decref(document);
    return text;
}

/* Commas outside of quotes. */
static unsigned fields(const char *line, size_t len)
{
    unsigned n = 1;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (line[i] == '"')
            quoted = !quoted;
        n += line[i] == ',' && !quoted;
    }
    return n;
}

static void test_every_line_has_every_field(void **state)
{
    char *text = csv("{\"run\":{\"id\":\"r\"},\"scenarios\":[{\"id\":\"1.1\",\"measurements\":[{"
                     "\"kind\":\"rr\"},{}]},"
                     "{\"id\":\"1.2\",\"status\":\"skipped\",\"reason\":\"a, b\"},7]}");
    unsigned n = 0, lines = 0;

    (void)state;
    for (const char *p = text, *end; (end = strstr(p, "\r\n")); p = end + 2) {
        if (lines++ == 0)
            n = fields(p, (size_t)(end - p));
        assert_int_equal(fields(p, (size_t)(end - p)), n);
    }
    assert_int_equal(lines, 5);
    assert_true(n > METRIC_COUNT_);
    free(text);
}

static void test_every_metric_has_a_column(void **state)
{
    char *text = csv("{}");

    (void)state;
    for (int m = 0; m < METRIC_COUNT_; m++) {
        char name[64];

        snprintf(name, sizeof name, ",%s,", metric_table[m].name);
        assert_non_null(strstr(text, name));
        snprintf(name, sizeof name, ",sender_%s,", metric_table[m].name);
        assert_non_null(strstr(text, name));
        snprintf(name, sizeof name, ",receiver_%s%s", metric_table[m].name,
                 m + 1 < METRIC_COUNT_ ? "," : "\r\n");
        assert_non_null(strstr(text, name));
    }
    free(text);
}

static void test_each_side_has_its_own_values(void **state)
{
    char *text =
             csv("{\"scenarios\":[{\"measurements\":[{\"sender\":{\"window_ns\":11,\"cpu_ns\":7},"
                 "\"receiver\":{\"window_ns\":22}}]}]}"),
         *values = strstr(text, "\r\n"), *sender = strstr(values, ",11,"),
         *receiver = strstr(values, ",22,");

    (void)state;
    /* window_ns is the first of each side's; the whole has none here, so all before it is empty. */
    assert_true(sender && receiver && strstr(values, ",7,"));
    assert_true(sender < strstr(values, ",7,") && strstr(values, ",7,") < receiver);
    assert_int_equal(fields(sender, (size_t)(receiver - sender)), METRIC_COUNT_ + 1);
    free(text);
}

static void test_text_is_quoted_where_it_must_be(void **state)
{
    char *text =
        csv("{\"run\":{\"id\":\"r\"},\"scenarios\":[{\"id\":\"say \\\"no\\\"\",\"name\":\"a,b\","
            "\"protocol\":\"x\\r\\ny\",\"status\":\" led\",\"reason\":\"plain\"}]}");

    (void)state;
    assert_non_null(strstr(text, "\r\nr,\"say \"\"no\"\"\",\"a,b\",\"x\r\ny\",\" led\",plain,"));
    free(text);
}

static void test_whole_numbers_are_exact(void **state)
{
    char *text = csv("{\"scenarios\":[{\"measurements\":[{\"bytes\":9007199254740993,\"throughput_"
                     "bps\":0.1,\"lost\":null}]}]}");

    (void)state;
    assert_non_null(strstr(text, ",9007199254740993,"));
    assert_non_null(strstr(text, ",0.1,"));
    assert_null(strstr(text, "null"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_line_has_every_field),
        cmocka_unit_test(test_every_metric_has_a_column),
        cmocka_unit_test(test_each_side_has_its_own_values),
        cmocka_unit_test(test_text_is_quoted_where_it_must_be),
        cmocka_unit_test(test_whole_numbers_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
