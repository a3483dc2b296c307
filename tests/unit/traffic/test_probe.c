/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "traffic/endpoint.h"
#include "traffic/probe_doors.h"
#include "traffic/probe_half.h"
#include "traffic/probe_knock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* A bound socket of somebody else's, which answers nothing. */
static int foreign(int type, uint16_t *ret_port)
{
    const struct flow_spec spec = {
        .kind = FLOW_TCP_RR, .role = FLOW_SERVER, .n_flows = 1, .address = "127.0.0.1"};
    int fd = socket_bind_range(&spec, type, ret_port, NULL);

    assert_true(fd >= 0);
    return fd;
}

static struct probe_knock knock_at(bool udp, const char *address, uint16_t port, uint32_t number)
{
    struct probe_knock k = {.udp = udp, .port = port, .number = number};

    text_copy(k.address, sizeof k.address, address);
    return k;
}

static void test_doors_answer_who_knows_the_token_and_tell_who_came(void **state)
{
    const struct probe_doors ask = {
        .n = 4,
        .door = {{0}, {.udp = true}, {.v6 = true}, {.udp = true, .v6 = true}},
        .token = {9}};
    struct probe_opened opened[PROBE_MAX_DOORS];
    struct probe_answer answers[PROBE_MAX_KNOCKS];
    static struct probe_heard heard[PROBE_MAX_DOORS];
    static struct probe_knocks knocks;
    struct probe_house *house = NULL;

    (void)state;
    assert_int_equal(probe_doors_open(&ask, opened, &house, NULL), 0);
    knocks = (struct probe_knocks){.n = 6, .wait_ns = 30ULL * CLOCK_S, .token = {9}};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(opened[i].error, 0);
        knocks.knock[i] = knock_at(i % 2, i < 2 ? "127.0.0.1" : "::1", opened[i].port, 250 + i);
    }
    /* "::" takes IPv4 too. */
    knocks.knock[4] = knock_at(false, "127.0.0.1", opened[2].port, 8);
    knocks.knock[5] = knock_at(true, "127.0.0.1", opened[3].port, 9);
    assert_int_equal(probe_knock_all(&knocks, answers, NULL), 0);
    for (uint32_t i = 0; i < knocks.n; i++)
        assert_int_equal(answers[i].end, PROBE_REACHED);
    probe_doors_shut(house, heard);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(probe_has_heard(&heard[i], 250 + i));
        assert_false(probe_has_heard(&heard[i], 7));
        assert_int_equal(heard[i].n_half, 0);
    }
    assert_true(probe_has_heard(&heard[2], 8) && probe_has_heard(&heard[3], 9));
}

static void test_another_token_is_a_strangers(void **state)
{
    const struct probe_doors ask = {.n = 2, .door = {{0}, {.udp = true}}, .token = {1}};
    struct probe_opened opened[PROBE_MAX_DOORS];
    struct probe_answer answers[PROBE_MAX_KNOCKS];
    static struct probe_heard heard[PROBE_MAX_DOORS];
    static struct probe_knocks knocks;
    struct probe_house *house = NULL;

    (void)state;
    assert_int_equal(probe_doors_open(&ask, opened, &house, NULL), 0);
    knocks = (struct probe_knocks){.n = 2, .wait_ns = 300ULL * CLOCK_MS, .token = {2}};
    knocks.knock[0] = knock_at(false, "127.0.0.1", opened[0].port, 1);
    knocks.knock[1] = knock_at(true, "127.0.0.1", opened[1].port, 2);
    assert_int_equal(probe_knock_all(&knocks, answers, NULL), 0);
    probe_doors_shut(house, heard);
    /* Who does not prove it is not answered over UDP, and is hung up on over TCP. */
    assert_int_equal(answers[1].end, PROBE_SILENT);
    assert_int_not_equal(answers[0].end, PROBE_REACHED);
    assert_false(probe_has_heard(&heard[0], 1) || probe_has_heard(&heard[1], 2));
}

static void test_a_closed_port_is_refused_and_a_silent_one_silent(void **state)
{
    struct probe_answer answers[PROBE_MAX_KNOCKS];
    static struct probe_knocks knocks;
    uint16_t tcp, udp, silent_tcp, silent_udp;
    int closed[2] = {foreign(SOCK_STREAM, &tcp), foreign(SOCK_DGRAM, &udp)};
    int silent[2] = {foreign(SOCK_STREAM, &silent_tcp), foreign(SOCK_DGRAM, &silent_udp)};

    (void)state;
    close(closed[0]);
    close(closed[1]);
    knocks = (struct probe_knocks){.n = 4, .wait_ns = 500ULL * CLOCK_MS};
    knocks.knock[0] = knock_at(false, "127.0.0.1", tcp, 0);
    knocks.knock[1] = knock_at(true, "127.0.0.1", udp, 1);
    knocks.knock[2] = knock_at(false, "127.0.0.1", silent_tcp, 2);
    knocks.knock[3] = knock_at(true, "127.0.0.1", silent_udp, 3);
    assert_int_equal(probe_knock_all(&knocks, answers, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(answers[i].end, PROBE_ERROR);
        assert_int_equal(answers[i].error, ECONNREFUSED);
        close(silent[i]);
    }
    /* The kernel takes the connection, and nobody reads from it. */
    assert_int_equal(answers[2].end, PROBE_CONNECTED);
    assert_int_equal(answers[3].end, PROBE_SILENT);
}

static void test_a_door_passes_over_a_port_that_is_taken(void **state)
{
    struct probe_opened opened[PROBE_MAX_DOORS];
    struct probe_doors ask = {.n = 2};
    struct probe_house *house = NULL;
    uint16_t port = 0;
    int fd = -1;

    (void)state;
    while (port < 1024 || port > 65000) {
        if (fd >= 0)
            close(fd);
        fd = foreign(SOCK_STREAM, &port);
    }
    ask.door[0] = (struct probe_door){.port = port, .port_last = (uint16_t)(port + 500)};
    ask.door[1] = (struct probe_door){.port = port};
    assert_int_equal(probe_doors_open(&ask, opened, &house, NULL), 0);
    probe_doors_shut(house, NULL);
    close(fd);
    assert_int_equal(opened[0].error, 0);
    assert_true(opened[0].port > port && opened[0].port <= port + 500U);
    assert_int_equal(opened[1].error, EADDRINUSE);
    assert_int_equal(opened[1].port, 0);
}

static void test_half_connections_are_read_from_the_kernels_lines(void **state)
{
    static const struct {
        const char *line;
        uint16_t port;
        const char *address; /* NULL none; of a machine whose words begin low */
    } rows[] = {
        {"   3: 0102000A:1389 0101000A:9C40 03 00000000:00000000 01:00000014 00000000     0        "
         "0 0 1 "
         "00000000a1b2c3d4\n",
         5001, "10.0.1.1"},
        {"   3: 0102000A:1389 0101000A:9C40 03 0", 5002, NULL},
        {"   3: 0102000A:1389 0101000A:9C40 01 0", 5001, NULL},
        {"   3: 0102000A:1389 00000000:0000 0A 0", 5001, NULL},
        {" 12: 00000000000000000000000000000000:1389 0000000000000000FFFF00000101000A:9C40 03 0",
         5001, "10.0.1.1"},
        {" 12: 00000000000000000000000000000000:1389 000077FD010000000000000001000000:9C40 03 0",
         5001, "fd77:0:0:1::1"},
        {"  sl  local_address rem_address   st tx_queue", 5001, NULL},
        {" 1: 0102000A:1389 0101000A00:9C40 03 0", 5001, NULL},
        {" 1: 0102000A:1389 :9C40 03 0", 5001, NULL},
        {"", 5001, NULL},
    };

    (void)state;
    if (htonl(1) == 1)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char address[FLOW_ADDRESS_SIZE] = "";

        assert_int_equal(probe_half_line(rows[i].line, rows[i].port, address),
                         rows[i].address != NULL);
        if (rows[i].address)
            assert_string_equal(address, rows[i].address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doors_answer_who_knows_the_token_and_tell_who_came),
        cmocka_unit_test(test_another_token_is_a_strangers),
        cmocka_unit_test(test_a_closed_port_is_refused_and_a_silent_one_silent),
        cmocka_unit_test(test_a_door_passes_over_a_port_that_is_taken),
        cmocka_unit_test(test_half_connections_are_read_from_the_kernels_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
