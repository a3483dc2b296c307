/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/ports.h"

#include <errno.h>
#include <string.h>

/* Ports that are free, and which were tried. */
struct world {
    uint16_t free_from, free_to;
    int other_error; /* of the port odd; 0 none */
    uint16_t odd;
    uint32_t n_tried;
    uint16_t first_tried, last_tried;
};

static int world_try(void *arg, uint16_t port)
{
    struct world *w = arg;

    if (!w->n_tried++)
        w->first_tried = port;
    w->last_tried = port;
    if (w->other_error && port == w->odd)
        return w->other_error;
    return port >= w->free_from && port <= w->free_to ? 0 : -EADDRINUSE;
}

static void test_the_first_free_port_of_a_range_is_taken(void **state)
{
    static const struct {
        uint16_t first, last, free_from, free_to;
        int r;
        uint32_t n_tried;
        uint16_t last_tried;
    } rows[] = {
        {5001, 5031, 5001, 5031, 0, 1, 5001},             /* all free */
        {5001, 5031, 5003, 5031, 0, 3, 5003},             /* two are passed over */
        {5001, 5031, 5031, 5031, 0, 31, 5031},            /* the last one serves */
        {5001, 5031, 5032, 65535, -EADDRINUSE, 31, 5031}, /* none outside of the range is taken */
        {5001, 5001, 5002, 65535, -EADDRINUSE, 1, 5001},
        {5001, 0, 5002, 65535, -EADDRINUSE, 1, 5001}, /* no last one: the first alone */
        {5001, 0, 5001, 5001, 0, 1, 5001},
        {65534, 65535, 1, 1, -EADDRINUSE, 2, 65535}, /* behind the last port of all comes none */
        {65535, 65535, 65535, 65535, 0, 1, 65535},
        {1, 65535, 65535, 65535, 0, 65535, 65535},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world w = {.free_from = rows[i].free_from, .free_to = rows[i].free_to};

        assert_int_equal(ports_choose(rows[i].first, rows[i].last, world_try, &w), rows[i].r);
        assert_int_equal(w.first_tried, rows[i].first);
        assert_int_equal(w.n_tried, rows[i].n_tried);
        assert_int_equal(w.last_tried, rows[i].last_tried);
    }
}

static void test_port_0_is_asked_for_once(void **state)
{
    struct world w = {.free_from = 0, .free_to = 0};

    (void)state;
    assert_int_equal(ports_choose(0, 0, world_try, &w), 0);
    assert_int_equal(w.n_tried, 1);
}

static void test_another_error_ends_the_search(void **state)
{
    struct world w = {.free_from = 83, .free_to = 90, .odd = 81, .other_error = -EACCES};

    (void)state;
    assert_int_equal(ports_choose(80, 90, world_try, &w), -EACCES);
    assert_int_equal(w.last_tried, 81);
}

static void test_ports_in_words(void **state)
{
    static const struct {
        uint16_t first, last;
        const char *text;
    } rows[] = {{5001, 5001, "port 5001"},
                {5001, 0, "port 5001"},
                {5001, 5002, "ports 5001 to 5002"},
                {10000, 65535, "ports 10000 to 65535"}};
    char text[PORTS_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ports_say(rows[i].first, rows[i].last, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_each_kind_has_its_protocol(void **state)
{
    (void)state;
    assert_int_equal(ports_of(FLOW_TCP_STREAM), PORTS_TCP);
    assert_int_equal(ports_of(FLOW_TCP_CRR), PORTS_TCP);
    assert_int_equal(ports_of(FLOW_UDP_RR), PORTS_UDP);
    assert_int_equal(ports_of(FLOW_STAMP), PORTS_UDP);
    assert_int_equal(ports_of(FLOW_ICMP_ECHO), PORTS_NONE);
    assert_int_equal(ports_of(FLOW_MULTICAST), PORTS_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_free_port_of_a_range_is_taken),
        cmocka_unit_test(test_port_0_is_asked_for_once),
        cmocka_unit_test(test_another_error_ends_the_search),
        cmocka_unit_test(test_ports_in_words),
        cmocka_unit_test(test_each_kind_has_its_protocol),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
