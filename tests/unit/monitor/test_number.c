/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_numbers_are_the_nearest_doubles(void **state)
{
    static const struct {
        const char *text;
        double want;
    } rows[] = {{"0", 0},
                {"5337.17", 5337.17},
                {"1.23456789e+06", 1.23456789e6},
                {"4.72", 4.72},
                {"-1", -1},
                {".5", 0.5},
                {"7.", 7},
                {"1E-3", 1e-3},
                {"00012", 12},
                {"0.000000000000000000000000012", 1.2e-26},
                {"123456789012345678901234567890", 123456789012345678901234567890.0}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double got = -7;

        assert_true(number_parse(rows[i].text, strlen(rows[i].text), &got));
        assert_true(fabs(got - rows[i].want) <= 1e-15 * fabs(rows[i].want));
    }
}

static void test_what_is_no_number_is_refused(void **state)
{
    static const char *const rows[] = {"",     "-",     ".",     "NaN",          "+Inf",
                                       "1e",   "1e+",   "1e9x",  "1 ",           " 1",
                                       "0x10", "1.2.3", "1e999", "1e99999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double got = -7;

        assert_false(number_parse(rows[i], strlen(rows[i]), &got));
        assert_true(got == -7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_the_nearest_doubles),
        cmocka_unit_test(test_what_is_no_number_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
