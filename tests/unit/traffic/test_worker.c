/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "traffic/endpoint.h"

enum { PATIENCE_S = 3 };

static const uint64_t s = CLOCK_S;

/* A flow of a trial from 10 s to 20 s has heard nothing since since_s; another did last at heard_s, 0 never. */
static void test_a_flow_is_deaf_when_all_are_or_the_trial_is_over(void **state)
{
    static const struct {
        unsigned since_s, heard_s, now_s;
        bool deaf;
    } rows[] = {
        {10, 0, 13, false},                       /* patience is not over */
        {10, 0, 14, true},                        /* nobody hears of the peer */
        {10, 13, 14, false},                      /* others do */
        {10, 13, 16, false},                      /* to the last second of patience */
        {10, 13, 17, true},                       /* they have ceased to */
        {12, 19, 20, false}, {12, 22, 23, false}, /* patience after the trial's end */
        {12, 23, 24, true},                       /* and no longer, whoever is heard */
        {22, 23, 24, false},                      /* but it is each flow's own first of all */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct engine engine = {0};
        struct flow_trial trial = {.start_ns = 10 * s, .duration_ns = 10 * s};
        struct worker worker = {.engine = &engine, .trial = &trial};

        if (rows[i].heard_s)
            worker_heard(&worker, rows[i].heard_s * s);
        assert_int_equal(rows[i].deaf, worker_deaf(&worker, rows[i].since_s * s, rows[i].now_s * s,
                                                   PATIENCE_S * s));
    }
}

static void test_what_is_heard_is_kept_to_a_tenth_of_a_second(void **state)
{
    struct engine engine = {0};
    struct worker worker = {.engine = &engine};

    (void)state;
    worker_heard(&worker, 10 * s);
    worker_heard(&worker, 10 * s + 50 * CLOCK_MS);
    assert_int_equal(10 * s, engine.heard_ns);
    worker_heard(&worker, 10 * s + 101 * CLOCK_MS);
    assert_int_equal(10 * s + 101 * CLOCK_MS, engine.heard_ns);
    worker_heard(&worker, 9 * s);
    assert_int_equal(10 * s + 101 * CLOCK_MS, engine.heard_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flow_is_deaf_when_all_are_or_the_trial_is_over),
        cmocka_unit_test(test_what_is_heard_is_kept_to_a_tenth_of_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
