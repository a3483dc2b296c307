/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "traffic/stamp.h"

#include <string.h>

/* A message with the kernel's stamp of a wall time. */
static struct msghdr *stamped(uint64_t wall_ns)
{
    static _Alignas(struct cmsghdr) uint8_t control[STAMP_CONTROL_BYTES];
    static struct msghdr m;
    const struct timespec ts = {(time_t)(wall_ns / CLOCK_S), (long)(wall_ns % CLOCK_S)};
    struct cmsghdr *c;

    m = (struct msghdr){.msg_control = control, .msg_controllen = sizeof control};
    c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_TIMESTAMPNS;
    c->cmsg_len = CMSG_LEN(sizeof ts);
    memcpy(CMSG_DATA(c), &ts, sizeof ts);
    return &m;
}

static const uint64_t ahead = UINT64_C(1700000000000000000);

static void test_a_stamp_is_turned_into_monotonic_time(void **state)
{
    struct stamp s = {.now_ns = 50000, .ahead_ns = (int64_t)ahead, .newest_ns = 10000};

    (void)state;
    assert_int_equal(stamp_arrival_ns(&s, stamped(ahead + 20000)), 20000);
    assert_int_equal(stamp_arrival_ns(&s, stamped(ahead + 30000)), 30000);
}

static void test_a_step_of_the_wall_clock_is_held_between_the_last_arrival_and_now(void **state)
{
    struct stamp s = {.now_ns = 50000, .ahead_ns = (int64_t)ahead, .newest_ns = 10000};

    (void)state;
    assert_int_equal(stamp_arrival_ns(&s, stamped(ahead - CLOCK_S)), 10000);
    assert_int_equal(stamp_arrival_ns(&s, stamped(ahead + CLOCK_S)), 50000);
    /* The next drain is right again. */
    s.now_ns = 90000;
    s.ahead_ns -= CLOCK_S;
    assert_int_equal(stamp_arrival_ns(&s, stamped(ahead - CLOCK_S + 70000)), 70000);
}

static void test_without_a_stamp_it_came_now(void **state)
{
    struct stamp s = {.now_ns = 50000, .ahead_ns = (int64_t)ahead, .newest_ns = 10000};
    const struct msghdr none = {0};

    (void)state;
    assert_int_equal(stamp_arrival_ns(&s, &none), 50000);
}

static void test_the_clocks_agree_with_themselves(void **state)
{
    struct stamp s = {0};
    uint64_t before = clock_mono_ns(), wall, arrived;

    (void)state;
    wall = clock_wall_ns();
    stamp_sync(&s);
    arrived = stamp_arrival_ns(&s, stamped(wall));
    assert_in_range(s.now_ns, before, clock_mono_ns());
    assert_in_range(arrived, 1, s.now_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stamp_is_turned_into_monotonic_time),
        cmocka_unit_test(test_a_step_of_the_wall_clock_is_held_between_the_last_arrival_and_now),
        cmocka_unit_test(test_without_a_stamp_it_came_now),
        cmocka_unit_test(test_the_clocks_agree_with_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
