/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A copy that ends with its 0, so that a sanitizer sees a read or write behind it. */
static char *copy_of(const char *text)
{
    char *copy = strdup(text);

    assert_non_null(copy);
    return copy;
}

static void test_a_line_is_cut_into_id_verb_and_pairs(void **state)
{
    char *text = copy_of("17 start session=3 name=a%20b%25c empty= utf=\xc3\xa9 blob=5");
    struct line line;
    uint64_t n = 0;

    (void)state;
    assert_int_equal(line_cut(text, strlen(text), &line), LINE_OK);
    assert_int_equal(line.id, 17);
    assert_true(line_is(&line, "start"));
    assert_false(line_is(&line, "star"));
    assert_false(line_is(&line, "starts"));
    assert_int_equal(line.n_pairs, 5);
    assert_string_equal(line_get(&line, "name"), "a b%c");
    assert_string_equal(line_get(&line, "empty"), "");
    assert_string_equal(line_get(&line, "utf"), "\xc3\xa9");
    assert_null(line_get(&line, "nam"));
    assert_null(line_get(&line, "names"));
    assert_int_equal(line_get_u64(&line, "session", &n), 0);
    assert_int_equal(n, 3);
    free(text);
}

static void test_a_line_may_have_no_pairs_and_the_largest_id(void **state)
{
    char *text = copy_of("4294967295 x_9");
    struct line line;

    (void)state;
    assert_int_equal(line_cut(text, strlen(text), &line), LINE_OK);
    assert_int_equal(line.id, UINT32_MAX);
    assert_string_equal(line.verb, "x_9");
    assert_int_equal(line.n_pairs, 0);
    free(text);
}

static void test_what_is_no_line_is_refused_with_its_fault(void **state)
{
    static const struct {
        const char *text;
        enum line_fault fault;
    } rows[] = {
        {"", LINE_NO_ID},
        {" ", LINE_NO_ID},
        {"beat", LINE_NO_ID},
        {"1", LINE_NO_ID},
        {"-1 beat", LINE_NO_ID},
        {"+1 beat", LINE_NO_ID},
        {"0x1 beat", LINE_NO_ID},
        {"1\tbeat", LINE_NO_ID},
        {" 1 beat", LINE_NO_ID},
        {"4294967296 beat", LINE_NO_ID},
        {"99999999999999999999999999 beat", LINE_NO_ID},
        {"1 ", LINE_NO_VERB},
        {"1  beat", LINE_NO_VERB},
        {"1 Beat", LINE_NO_VERB},
        {"1 be-at", LINE_NO_VERB},
        {"1 beat\r", LINE_NO_VERB},
        {"1 a=b", LINE_NO_VERB},
        {"1 beat ", LINE_BAD_KEY},
        {"1 beat  a=1", LINE_BAD_KEY},
        {"1 beat a=1 ", LINE_BAD_KEY},
        {"1 beat a", LINE_BAD_KEY},
        {"1 beat a b=1", LINE_BAD_KEY},
        {"1 beat =1", LINE_BAD_KEY},
        {"1 beat A=1", LINE_BAD_KEY},
        {"1 beat a.b=1", LINE_BAD_KEY},
        {"1 beat a=\x01", LINE_BAD_VALUE},
        {"1 beat a=b\tc", LINE_BAD_VALUE},
        {"1 beat a=b\r", LINE_BAD_VALUE},
        {"1 beat a=\x7f", LINE_BAD_VALUE},
        {"1 beat a=%", LINE_BAD_VALUE},
        {"1 beat a=%4", LINE_BAD_VALUE},
        {"1 beat a=%4 b=1", LINE_BAD_VALUE},
        {"1 beat a=%zz", LINE_BAD_VALUE},
        {"1 beat a=%2f", LINE_BAD_VALUE},
        {"1 beat a=%00", LINE_BAD_VALUE},
        {"1 beat a=1 a=2", LINE_TWICE},
        {"1 beat a=1 b=2 a=1", LINE_TWICE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = copy_of(rows[i].text);
        struct line line;
        enum line_fault fault = line_cut(text, strlen(text), &line);

        if (fault != rows[i].fault)
            print_message("'%s': %s, not: %s\n", rows[i].text, line_fault_words[fault],
                          line_fault_words[rows[i].fault]);
        assert_int_equal(fault, rows[i].fault);
        free(text);
    }
}

static void test_every_fault_has_words(void **state)
{
    (void)state;
    for (int i = 0; i < LINE_FAULT_COUNT; i++)
        assert_true(line_fault_words[i] && strlen(line_fault_words[i]) > 5);
}

/* n pairs k0= k1= …, each with a value of its own. */
static char *line_of_pairs(unsigned n)
{
    const size_t size = 16 * ((size_t)n + 1);
    char *text = malloc(size);
    size_t used;

    assert_non_null(text);
    used = (size_t)snprintf(text, size, "1 many");
    for (unsigned i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, size - used, " k%u=%u", i, i);
    return text;
}

static void test_as_many_pairs_as_allowed_and_not_one_more(void **state)
{
    char *text = line_of_pairs(LINE_MAX_PAIRS);
    struct line line;
    uint64_t n = 0;

    (void)state;
    assert_int_equal(line_cut(text, strlen(text), &line), LINE_OK);
    assert_int_equal(line.n_pairs, LINE_MAX_PAIRS);
    for (unsigned i = 0; i < LINE_MAX_PAIRS; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(line_get_u64(&line, key, &n), 0);
        assert_int_equal(n, i);
    }
    free(text);
    text = line_of_pairs(LINE_MAX_PAIRS + 1);
    assert_int_equal(line_cut(text, strlen(text), &line), LINE_TOO_MANY);
    free(text);
}

static void test_numbers_are_whole_decimal_and_fit_64_bits(void **state)
{
    static const struct {
        const char *value;
        int r;
        uint64_t number;
    } rows[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -2, 0},
        {"99999999999999999999", -2, 0},
        {"184467440737095516150", -2, 0},
        {"", -2, 0},
        {"-1", -2, 0},
        {"+1", -2, 0},
        {"1e3", -2, 0},
        {"0x10", -2, 0},
        {"1.0", -2, 0},
        {"1%20", -2, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t n = 42;
        struct line line;
        char text[64];

        snprintf(text, sizeof text, "1 x n=%s", rows[i].value);
        assert_int_equal(line_cut(text, strlen(text), &line), LINE_OK);
        assert_int_equal(line_get_u64(&line, "n", &n), rows[i].r);
        assert_int_equal(n, rows[i].r == 0 ? rows[i].number : 42);
        assert_int_equal(line_get_u64(&line, "m", &n), -1);
    }
}

static void test_every_byte_of_a_value_comes_back(void **state)
{
    char value[256], buf[1024];
    struct line_out out;
    struct line line;
    size_t len;

    (void)state;
    for (int c = 1; c < 256; c++)
        value[c - 1] = (char)c;
    value[255] = 0;
    line_begin(&out, buf, sizeof buf, 7, "echo");
    line_put(&out, "v", value);
    line_put(&out, "empty", "");
    line_put_u64(&out, "most", UINT64_MAX);
    len = line_end(&out);
    assert_true(len > 0);
    assert_int_equal(buf[len - 1], '\n');
    assert_ptr_equal(memchr(buf, '\n', len), buf + len - 1);
    buf[len - 1] = 0;
    assert_int_equal(line_cut(buf, len - 1, &line), LINE_OK);
    assert_string_equal(line_get(&line, "v"), value);
    assert_string_equal(line_get(&line, "empty"), "");
    assert_string_equal(line_get(&line, "most"), "18446744073709551615");
}

static void test_a_line_that_does_not_fit_is_not_ended(void **state)
{
    static const char expected[] = "1 word key=a%20b n=10\n";
    const size_t needed = sizeof expected - 1;

    (void)state;
    for (size_t size = 0; size <= needed; size++) {
        char *buf = malloc(size ? size : 1);
        struct line_out out;
        size_t len;

        assert_non_null(buf);
        line_begin(&out, buf, size, 1, "word");
        line_put(&out, "key", "a b");
        line_put_u64(&out, "n", 10);
        len = line_end(&out);
        assert_int_equal(len, size < needed ? 0 : needed);
        if (len)
            assert_memory_equal(buf, expected, needed);
        free(buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_cut_into_id_verb_and_pairs),
        cmocka_unit_test(test_a_line_may_have_no_pairs_and_the_largest_id),
        cmocka_unit_test(test_what_is_no_line_is_refused_with_its_fault),
        cmocka_unit_test(test_every_fault_has_words),
        cmocka_unit_test(test_as_many_pairs_as_allowed_and_not_one_more),
        cmocka_unit_test(test_numbers_are_whole_decimal_and_fit_64_bits),
        cmocka_unit_test(test_every_byte_of_a_value_comes_back),
        cmocka_unit_test(test_a_line_that_does_not_fit_is_not_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
