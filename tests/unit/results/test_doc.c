/* SPDX-License-Identifier: Apache-2.0 */
#include "results/doc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_paths_lead_to_values(void **state)
{
    json_t *d = json_loads("{\"a\":{\"b\":{\"c\":7}},\"t\":\"x\",\"r\":1.5,\"n\":-3}", 0, NULL);
    double v = 0;

    (void)state;
    assert_true(doc_number(d, "a.b.c", &v) && v == 7);
    assert_true(doc_number(d, "r", &v) && v == 1.5);
    assert_int_equal(doc_count(d, "a.b.c"), 7);
    assert_int_equal(doc_count(d, "n"), 0);
    assert_int_equal(doc_count(d, "r"), 0);
    assert_string_equal(doc_text(d, "t"), "x");
    assert_ptr_equal(doc_at(d, ""), d);
    json_decref(d);
}

static void test_what_is_not_there_is_empty(void **state)
{
    json_t *d = json_loads("{\"a\":[1],\"t\":\"x\"}", 0, NULL);
    double v = 4711;

    (void)state;
    assert_null(doc_at(d, "a.b"));
    assert_null(doc_at(d, "t.x"));
    assert_null(doc_at(d, "z.z.z"));
    assert_null(doc_at(NULL, "a"));
    assert_null(doc_at(d, "a key that is longer than any key that this program ever wrote"));
    assert_string_equal(doc_text(d, "a"), "");
    assert_false(doc_number(d, "t", &v));
    assert_true(v == 4711);
    json_decref(d);
}

static void test_control_characters_are_made_visible(void **state)
{
    static const struct {
        const char *text, *clean;
    } rows[] = {
        {"plain", "plain"}, {"\033[31m", "?[31m"}, {"a\nb\tc\r", "a?b?c?"},
        {"\x7f", "?"},      {"\xc2\x9b", "?"},     {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xff\xfe", "??"}, {"\xe2\x82", "??"},    {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char clean[32];

        doc_clean(clean, sizeof clean, rows[i].text);
        assert_string_equal(clean, rows[i].clean);
    }
}

static void test_a_cut_falls_between_letters(void **state)
{
    char clean[5];

    (void)state;
    doc_clean(clean, sizeof clean, "abc\xc3\xa9");
    assert_string_equal(clean, "abc");
    doc_clean(clean, sizeof clean, "ab\xc3\xa9xyz");
    assert_string_equal(clean, "ab\xc3\xa9");
}

/* The rows of the table in RFC 3629 section 4, their edges and what lies beyond. */
static void test_bytes_that_are_not_utf8_are_replaced(void **state)
{
    static const struct {
        const char *text, *good;
    } rows[] = {
        {"\x7f\xc2\x80\xdf\xbf", "\x7f\xc2\x80\xdf\xbf"},
        {"\xe0\xa0\x80\xef\xbf\xbf", "\xe0\xa0\x80\xef\xbf\xbf"},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\xc1\xbf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"a\xff", "a\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *s = doc_string(rows[i].text);

        assert_non_null(s);
        assert_string_equal(json_string_value(s), rows[i].good);
        json_decref(s);
    }
}

static void test_numbers_are_always_valid_json(void **state)
{
    json_t *v = doc_real(NAN);

    (void)state;
    assert_true(json_is_null(v));
    json_decref(v);
    v = doc_real(-INFINITY);
    assert_true(json_is_null(v));
    json_decref(v);
    v = doc_whole(INT64_MAX);
    assert_true(json_is_integer(v) && json_integer_value(v) == INT64_MAX);
    json_decref(v);
    v = doc_whole(UINT64_MAX);
    assert_true(json_is_real(v));
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_lead_to_values),
        cmocka_unit_test(test_what_is_not_there_is_empty),
        cmocka_unit_test(test_control_characters_are_made_visible),
        cmocka_unit_test(test_a_cut_falls_between_letters),
        cmocka_unit_test(test_bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(test_numbers_are_always_valid_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
