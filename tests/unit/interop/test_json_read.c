/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "interop/json_read.h"

#include <string.h>

static void assert_near(double wanted, double got, double most)
{
    assert_true(got - wanted <= most && wanted - got <= most);
}

/* Tokens as letters: { } [ ] k(ey) s(tring) 1 t f n, . the end, ! bad. */
static void tokens(const char *text, char *ret, size_t size)
{
    static const char letter[] = "!.{}[]ks1tfn";
    struct json_read j;
    size_t n = 0;

    json_begin(&j, text, strlen(text));
    do {
        ret[n++] = letter[json_next(&j)];
    } while (j.token != JSON_BAD && j.token != JSON_END && n + 1 < size);
    ret[n] = 0;
}

static void test_texts_become_tokens(void **state)
{
    static const struct {
        const char *text, *tokens;
    } rows[] = {
        {"{}", "{}."},
        {" [ ] ", "[]."},
        {"{\"a\":1,\"b\":[true,false,null,\"x\"]}", "{k1k[tfns]}."},
        {"{\"a\":{\"b\":{}}}", "{k{k{}}}."},
        {"-1.5e+3", "1."},
        {"\"a\\n\\u0041\\\"\"", "s."},
        {"", "!"},
        {"{", "{!"},
        {"{\"a\"", "{!"},
        {"{\"a\":", "{k!"},
        {"{\"a\":}", "{k!"},
        {"{\"a\":1,}", "{k1!"},
        {"{\"a\":1 \"b\":2}", "{k1!"},
        {"{1:2}", "{!"},
        {"[1,]", "[1!"},
        {"[1}", "[1!"},
        {"[,1]", "[!"},
        {"{} {}", "{}!"},
        {"1 2", "1!"},
        {"nul", "!"},
        {"+1", "!"},
        {".5", "!"},
        {"1.", "!"},
        {"1e", "!"},
        {"-", "!"},
        {"1e999", "!"},
        {"\"a", "!"},
        {"\"\\x\"", "!"},
        {"\"\\u00g0\"", "!"},
        {"\"\\", "!"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char got[64];

        tokens(rows[i].text, got, sizeof got);
        assert_string_equal(rows[i].tokens, got);
    }
}

static void test_numbers_keep_their_value(void **state)
{
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        {"0", 0},
        {"-7", -7},
        {"123456789012", 123456789012},
        {"0.5", 0.5},
        {"2.5e3", 2500},
        {"1E-3", 0.001},
        {"9007199254740991", 9007199254740991},
        {"18446744073709551615", -1}, /* -1 that went through an unsigned */
        {"1.8446744073709552e+19", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json_read j;
        double value = 42;

        json_begin(&j, rows[i].text, strlen(rows[i].text));
        assert_true(json_number(&j, &value));
        assert_near(rows[i].value, value, 1e-12);
    }
}

static void test_a_value_of_another_type_is_passed_over(void **state)
{
    static const char text[] = "{\"a\":{\"x\":[1,{\"y\":2}]},\"b\":\"7\",\"c\":3}";
    struct json_read j;
    double value = 42;

    (void)state;
    json_begin(&j, text, strlen(text));
    assert_int_equal(JSON_OBJECT, json_next(&j));
    assert_int_equal(JSON_KEY, json_next(&j));
    assert_false(json_number(&j, &value));
    assert_int_equal(JSON_KEY, json_next(&j));
    assert_true(json_is(&j, "b"));
    assert_false(json_number(&j, &value));
    assert_int_equal(JSON_KEY, json_next(&j));
    assert_true(json_number(&j, &value));
    assert_near(3, value, 0);
    assert_int_equal(JSON_OBJECT_END, json_next(&j));
    assert_int_equal(JSON_END, json_next(&j));
    assert_int_equal(JSON_END, json_next(&j));
}

static void test_depth_is_bounded(void **state)
{
    char deep[2 * JSON_DEPTH + 3], got[2 * JSON_DEPTH + 8];

    (void)state;
    memset(deep, '[', JSON_DEPTH);
    memset(deep + JSON_DEPTH, ']', JSON_DEPTH);
    deep[2 * JSON_DEPTH] = 0;
    tokens(deep, got, sizeof got);
    assert_int_equal('.', got[strlen(got) - 1]);
    memset(deep, '[', JSON_DEPTH + 1);
    memset(deep + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    deep[2 * JSON_DEPTH + 2] = 0;
    tokens(deep, got, sizeof got);
    assert_int_equal('!', got[strlen(got) - 1]);
}

static void test_long_strings_are_cut_and_strange_letters_marked(void **state)
{
    char text[300];
    struct json_read j;

    (void)state;
    memset(text, 'x', sizeof text);
    text[0] = text[sizeof text - 1] = '"';
    json_begin(&j, text, sizeof text);
    assert_int_equal(JSON_STRING, json_next(&j));
    assert_int_equal(JSON_TEXT - 1, strlen(j.string));
    json_begin(&j, "\"\xc3\xa4\\u0000\\u20ac\\/\"", 18);
    assert_int_equal(JSON_STRING, json_next(&j));
    assert_string_equal("?"
                        "?"
                        "?"
                        "?"
                        "/",
                        j.string);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_become_tokens),
        cmocka_unit_test(test_numbers_keep_their_value),
        cmocka_unit_test(test_a_value_of_another_type_is_passed_over),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_long_strings_are_cut_and_strange_letters_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
