/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/match_packets.h"

#include "base/auto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"a.pcap", "b,c.pcap", "d.pcap"};
/* d stands between a and b,c. */
static const uint8_t order[] = {0, 2, 1};

static const struct seen_flow flow4 = {.protocol = 6,
                                       .family = 4,
                                       .from_port = 5001,
                                       .to_port = 80,
                                       .from = {10, 0, 0, 1},
                                       .to = {10, 0, 0, 2}};
static const struct seen_flow flow6 = {.protocol = 17,
                                       .family = 6,
                                       .from_port = 1,
                                       .to_port = 2,
                                       .from = {0xfd},
                                       .to = {0xfd, [15] = 1}};
static const struct seen_flow echo = {
    .protocol = 1, .family = 4, .from = {10, 0, 0, 1}, .to = {10, 0, 0, 2}};

/* The line of one packet, without its end; the caller frees it. */
static char *line(const struct match_packet *packet)
{
    char *text = NULL;
    size_t size = 0;
    struct match_packets p = {
        .out = open_memstream(&text, &size), .n = 3, .order = order, .names = names};

    assert_non_null(p.out);
    if (packet)
        match_packets_line(&p, packet);
    else
        match_packets_head(&p);
    fclose(p.out);
    assert_true(size > 2 && strcmp(text + size - 2, "\r\n") == 0);
    text[size - 2] = 0;
    return text;
}

static void test_the_head_names_the_hops_in_their_order(void **state)
{
    AUTO(free_p) char *text = line(NULL);

    (void)state;
    assert_string_equal(text, "first,time_ns,direction,protocol,from,to,bytes,pos,id,seen,"
                              "a.pcap to d.pcap ns,\"d.pcap to b,c.pcap ns\",flags");
}

static void test_a_packet_on_its_way_and_one_on_its_way_back(void **state)
{
    const struct match_packet forward = {.flow = &flow4,
                                         .pos = 7,
                                         .len = 64,
                                         .id = 3,
                                         .first = 0,
                                         .points = 7,
                                         .at_ns = {1000, 1150, 1100}};
    const struct match_packet back = {.flow = &flow6,
                                      .first = 1,
                                      .backward = true,
                                      .points = 7,
                                      .at_ns = {1000, 600, 900},
                                      .reordered = true,
                                      .n_duplicates = 2};
    AUTO(free_p) char *a = line(&forward);
    AUTO(free_p) char *b = line(&back);

    (void)state;
    assert_string_equal(a, "a.pcap,1000,forward,6,10.0.0.1:5001,10.0.0.2:80,64,7,3,111,100,50,");
    assert_string_equal(b, "\"b,c.pcap\",600,backward,17,[fd00::]:1,[fd00::1]:2,0,0,0,111,100,300,"
                           "reordered duplicated");
}

static void test_a_point_that_did_not_see_it_leaves_fields_empty(void **state)
{
    const struct match_packet lost = {
        .flow = &echo, .first = 0, .points = 1 | 1 << 1, .at_ns = {1000, 900}, .merged = true};
    const struct match_packet alone = {.first = 2, .points = 1 << 2, .at_ns = {0, 0, 5}};
    AUTO(free_p) char *a = line(&lost);
    AUTO(free_p) char *b = line(&alone);

    (void)state;
    assert_string_equal(a, "a.pcap,1000,forward,1,10.0.0.1,10.0.0.2,0,0,0,110,,,merged");
    assert_string_equal(b, "d.pcap,5,forward,,,,0,0,0,001,,,");
}

static void test_a_clock_that_is_behind_gives_a_delay_below_zero(void **state)
{
    const struct match_packet packet = {
        .flow = &echo, .first = 0, .points = 5, .at_ns = {1000, 0, 990}};
    AUTO(free_p) char *a = line(&packet);

    (void)state;
    assert_string_equal(a, "a.pcap,1000,forward,1,10.0.0.1,10.0.0.2,0,0,0,101,-10,,");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_head_names_the_hops_in_their_order),
        cmocka_unit_test(test_a_packet_on_its_way_and_one_on_its_way_back),
        cmocka_unit_test(test_a_point_that_did_not_see_it_leaves_fields_empty),
        cmocka_unit_test(test_a_clock_that_is_behind_gives_a_delay_below_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
