/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/auto.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int hooked;

static void hook(void) { hooked++; }

/* What two lines of each level leave on stderr at this level. */
static void say_all(enum log_level level, char *ret, size_t size)
{
    AUTO(fclose_p) FILE *file = tmpfile();
    int was = dup(STDERR_FILENO);
    size_t n;

    assert_non_null(file);
    assert_true(was >= 0);
    fflush(stderr);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    log_set_level(level);
    log_say(LOG_ERROR, "e %d", 1);
    log_say(LOG_WARN, "w");
    log_say(LOG_INFO, "i");
    log_say(LOG_DEBUG, "d");
    fflush(stderr);
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    close(was);
    rewind(file);
    n = fread(ret, 1, size - 1, file);
    ret[n] = 0;
}

static void test_levels_choose_lines(void **state)
{
    char text[400];

    (void)state;
    say_all(LOG_DEBUG, text, sizeof text);
    assert_string_equal(text,
                        "vnperf: error: e 1\nvnperf: warning: w\nvnperf: i\nvnperf: debug: d\n");
    say_all(LOG_ERROR, text, sizeof text);
    assert_string_equal(text, "vnperf: error: e 1\n");
}

static void test_hook_is_called_for_printed_lines_only(void **state)
{
    char text[400];

    (void)state;
    log_set_hook(hook);
    say_all(LOG_WARN, text, sizeof text);
    log_set_hook(NULL);
    assert_int_equal(hooked, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_choose_lines),
        cmocka_unit_test(test_hook_is_called_for_printed_lines_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
