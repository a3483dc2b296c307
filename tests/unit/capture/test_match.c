/* SPDX-License-Identifier: Apache-2.0 */
/* Each trap of CAPTURE.md's table, a few packets each; the generator of captures has them in masses. */
#include "capture/match.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packets.h"

enum { TCP = 6, UDP = 17, ACK = 16, POINTS = 4, SIGHTS = 400, US = 1000, MS = 1000000 };
static const uint64_t start_ns = 1700000000000000000ULL;

/* A frame at a point. */
struct sight {
    uint64_t ns;
    uint8_t bytes[700];
    uint32_t n;
};

/* What the points saw; each is a source of its own. */
struct list {
    struct source source;
    struct sight all[SIGHTS];
    unsigned n, at;
    int r; /* in the end */
};

struct scene {
    struct list points[POINTS];
    unsigned n_points;
    struct match_options options;
    struct hops hops;
    struct err err;
};

/* What a packet is. */
struct spec {
    uint8_t protocol;
    uint32_t seq; /* UDP: what its payload is */
    unsigned len;
    uint16_t id;
    uint32_t time; /* TSval; 0 none */
    bool back, nat;
};

static int list_next(struct source *source, struct frame *ret_frame, struct err *err)
{
    struct list *l = (struct list *)source;

    if (l->at == l->n) {
        if (l->r < 0)
            err_set(err, l->r, "the list");
        return l->r;
    }
    *ret_frame = (struct frame){.ts_ns = l->all[l->at].ns,
                                .data = l->all[l->at].bytes,
                                .n = l->all[l->at].n,
                                .wire_len = l->all[l->at].n,
                                .link = 101,
                                .outgoing = 2};
    l->at++;
    return 1;
}

static const struct source_ops list_ops = {list_next, NULL};

static void see(struct scene *s, unsigned point, uint64_t ns, const struct spec *spec)
{
    struct list *l = &s->points[point];
    struct sight *sight = &l->all[l->n++];
    uint8_t times[12] = {1, 1, 8, 10};
    struct packet p;
    uint32_t one = spec->nat ? 0xc0000201 : 0x0a000001, two = 0x0a000002;

    assert_true(l->n <= SIGHTS);
    packet_u32(times + 4, spec->time);
    packet_payload(&p, spec->len, spec->protocol == UDP ? spec->seq : 0);
    if (spec->protocol == TCP)
        packet_tcp(&p, spec->seq, ACK, times, spec->time ? 12 : 0);
    else
        packet_udp(&p, 40000, 80);
    if (spec->back) {
        packet_u16(p.bytes + p.at, 80);
        packet_u16(p.bytes + p.at + 2, 40000);
    }
    packet_ip4(&p, spec->protocol, spec->id, spec->back ? two : one, spec->back ? one : two);
    assert_true(p.n <= sizeof sight->bytes);
    sight->ns = start_ns + ns;
    sight->n = p.n;
    memcpy(sight->bytes, p.bytes + p.at, p.n);
}

/* At every point in turn, step_ns later at each. */
static void pass(struct scene *s, uint64_t ns, uint64_t step_ns, const struct spec *spec)
{
    for (unsigned k = 0; k < s->n_points; k++) {
        unsigned point = spec->back ? s->n_points - 1 - k : k;

        see(s, point, ns + k * step_ns, spec);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct sight *x = a, *y = b;

    return (x->ns > y->ns) - (x->ns < y->ns);
}

static struct scene *scene(unsigned n_points)
{
    struct scene *s = calloc(1, sizeof *s);

    assert_non_null(s);
    s->n_points = n_points;
    return s;
}

static int run(struct scene *s)
{
    static const char *const names[POINTS] = {"A", "B", "C", "D"};
    struct source *sources[POINTS];
    struct match *m = NULL;
    int r;

    for (unsigned k = 0; k < s->n_points; k++) {
        s->points[k].source.ops = &list_ops;
        sources[k] = &s->points[k].source;
        qsort(s->points[k].all, s->points[k].n, sizeof *s->points[k].all, by_time);
    }
    assert_int_equal(match_new(s->n_points, &s->options, &m, &s->err), 0);
    r = match_sources(m, sources, names, &s->hops, &s->err);
    match_free(m);
    return r;
}

static const struct hop *hop(const struct scene *s, unsigned from, unsigned to)
{
    const struct hop *found = hops_find(&s->hops, from, to, false);

    assert_non_null(found);
    return found;
}

static void assert_counts(const struct hop *h, uint64_t matched, uint64_t lost, uint64_t duplicated,
                          uint64_t reordered, uint64_t only_later, uint64_t ambiguous)
{
    assert_int_equal(h->matched, matched);
    assert_int_equal(h->lost, lost);
    assert_int_equal(h->duplicated, duplicated);
    assert_int_equal(h->reordered, reordered);
    assert_int_equal(h->only_later, only_later);
    assert_int_equal(h->ambiguous, ambiguous);
    assert_int_equal(h->delay.count, matched);
}

static void end(struct scene *s)
{
    hops_done(&s->hops);
    free(s);
}

/* n packets in a row, 100 us apart from ns on, 10 us on the hop. */
static void some(struct scene *s, uint64_t ns, unsigned n, struct spec spec)
{
    for (unsigned i = 0; i < n; i++) {
        pass(s, ns + i * 100 * US, 10 * US, &spec);
        spec.seq += spec.protocol == TCP ? spec.len : 1;
        spec.id = (uint16_t)(spec.id ? spec.id + 1 : 0);
    }
}

static void test_loss_duplicates_and_reordering_are_counted(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    some(s, 0, 10, (struct spec){TCP, 1000, 100, 1, 0, false, false});
    see(s, 0, 1000 * US, &(struct spec){TCP, 2000, 100, 11, 0, false, false});         /* lost */
    pass(s, 1100 * US, 200 * US, &(struct spec){TCP, 2100, 100, 12, 0, false, false}); /* late */
    pass(s, 1200 * US, 10 * US, &(struct spec){TCP, 2200, 100, 13, 0, false, false});
    see(s, 1, 1215 * US, &(struct spec){TCP, 2200, 100, 13, 0, false, false}); /* twice */
    see(s, 1, 1220 * US, &(struct spec){TCP, 9000, 100, 90, 0, false, false}); /* from nowhere */
    some(s, 1500 * US, 3, (struct spec){TCP, 2300, 100, 14, 0, false, false});
    see(s, 0, 1900 * US, &(struct spec){TCP, 2600, 100, 17, 0, false, false}); /* behind the end */
    assert_int_equal(run(s), 0);
    assert_int_equal(s->hops.n_hops, 1);
    assert_counts(hop(s, 0, 1), 15, 1, 1, 1, 1, 0);
    assert_int_equal(hop(s, 0, 1)->delay.min, 10 * US);
    assert_int_equal(hop(s, 0, 1)->delay.max, 200 * US);
    assert_int_equal(s->hops.points[0].seen, 17);
    assert_int_equal(s->hops.points[0].unmatched, 2);
    assert_int_equal(s->hops.points[1].unmatched, 1);
    end(s);
}

static void test_a_retransmit_is_told_by_its_id_or_time(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    some(s, 0, 3, (struct spec){TCP, 1000, 100, 1, 0, false, false});
    /* The first is lost, what was sent again 8 ms later came: by ID, and by time stamp. */
    see(s, 0, 1 * MS, &(struct spec){TCP, 2000, 100, 50, 0, false, false});
    pass(s, 9 * MS, 10 * US, &(struct spec){TCP, 2000, 100, 60, 0, false, false});
    see(s, 0, 10 * MS, &(struct spec){TCP, 3000, 100, 0, 500, false, false});
    pass(s, 18 * MS, 10 * US, &(struct spec){TCP, 3000, 100, 0, 508, false, false});
    /* Both came, overtaking each other. */
    pass(s, 20 * MS, 900 * US, &(struct spec){TCP, 4000, 100, 70, 0, false, false});
    pass(s, 20 * MS + 500 * US, 10 * US, &(struct spec){TCP, 4000, 100, 71, 0, false, false});
    some(s, 30 * MS, 3, (struct spec){TCP, 5000, 100, 80, 0, false, false});
    assert_int_equal(run(s), 0);
    assert_counts(hop(s, 0, 1), 10, 2, 0, 1, 0, 0);
    assert_int_equal(hop(s, 0, 1)->delay.max, 900 * US);
    end(s);
}

static void test_sequence_numbers_wrap(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    some(s, 0, 20, (struct spec){TCP, 0xffffff00, 100, 1, 0, false, false});
    assert_int_equal(run(s), 0);
    assert_counts(hop(s, 0, 1), 20, 0, 0, 0, 0, 0);
    end(s);
}

static void test_nat_is_found_out(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        see(s, 0, i * 100 * US, &(struct spec){TCP, i * 100, 100, 1, 0, false, false});
        see(s, 1, i * 100 * US + 5 * US, &(struct spec){TCP, i * 100, 100, 1, 0, false, true});
    }
    assert_int_equal(run(s), 0);
    assert_true(s->hops.nat);
    assert_counts(hop(s, 0, 1), 20, 0, 0, 0, 0, 0);
    end(s);
    s = scene(2);
    some(s, 0, 20, (struct spec){TCP, 1000, 100, 1, 0, false, false});
    assert_int_equal(run(s), 0);
    assert_false(s->hops.nat);
    end(s);
}

static void test_merged_segments_have_each_its_delay(void **state)
{
    struct scene *s = scene(2);
    const struct hop *h;

    (void)state;
    some(s, 0, 3, (struct spec){TCP, 1000, 100, 1, 7, false, false});
    for (unsigned i = 0; i < 4; i++)
        see(s, 0, 1 * MS + i * 10 * US,
            &(struct spec){TCP, 2000 + i * 100, 100, (uint16_t)(20 + i), 7, false, false});
    see(s, 1, 1 * MS + 50 * US, &(struct spec){TCP, 2000, 400, 20, 7, false, false});
    some(s, 2 * MS, 3, (struct spec){TCP, 3000, 100, 40, 7, false, false});
    assert_int_equal(run(s), 0);
    h = hop(s, 0, 1);
    assert_counts(h, 10, 0, 0, 0, 0, 0);
    assert_int_equal(h->delay.max, 50 * US);
    assert_int_equal(h->hold.count, 1);
    assert_int_equal(h->hold.max, 30 * US);
    assert_int_equal(h->path.max, 20 * US);
    end(s);
}

static void test_cut_packets_are_found_by_position(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    some(s, 0, 3, (struct spec){TCP, 1000, 100, 1, 7, false, false});
    see(s, 0, 1 * MS, &(struct spec){TCP, 2000, 600, 20, 7, false, false});
    for (unsigned i = 0; i < 6; i++)
        if (i != 2) /* lost, behind where it was cut */
            see(s, 1, 1 * MS + (i + 1) * 10 * US,
                &(struct spec){TCP, 2000 + i * 100, 100, (uint16_t)(20 + i), 7, false, false});
    see(s, 1, 1 * MS + 70 * US, &(struct spec){TCP, 2500, 100, 25, 7, false, false}); /* twice */
    some(s, 2 * MS, 3, (struct spec){TCP, 3000, 100, 40, 7, false, false});
    assert_int_equal(run(s), 0);
    assert_counts(hop(s, 0, 1), 11, 1, 1, 0, 0, 0);
    assert_int_equal(hop(s, 0, 1)->delay.max, 60 * US);
    end(s);
}

static void test_equal_datagrams_are_ambiguous_only_while_several_are_on_the_way(void **state)
{
    struct spec same = {UDP, 5, 64, 0, 0, false, false};
    struct scene *s = scene(2);

    (void)state;
    pass(s, 0, 10 * US, &same);
    pass(s, 1 * MS, 10 * US, &same);
    pass(s, 2 * MS, 500 * US, &same);
    pass(s, 2 * MS + 100 * US, 500 * US, &same);
    pass(s, 4 * MS, 10 * US, &same);
    assert_int_equal(run(s), 0);
    assert_int_equal(hop(s, 0, 1)->matched, 3);
    assert_int_equal(hop(s, 0, 1)->ambiguous, 2);
    assert_int_equal(hop(s, 0, 1)->delay.max, 10 * US);
    end(s);
    /* With an ID each there is nothing to doubt. */
    s = scene(2);
    for (same.id = 1; same.id < 20; same.id++)
        pass(s, same.id * 100 * US, 500 * US, &same);
    assert_int_equal(run(s), 0);
    assert_counts(hop(s, 0, 1), 19, 0, 0, 0, 0, 0);
    end(s);
}

static void test_traffic_both_ways_is_a_hop_each(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    some(s, 0, 10, (struct spec){TCP, 1000, 100, 1, 0, true, false});
    some(s, 50 * US, 12, (struct spec){TCP, 9000, 100, 1, 0, false, false});
    see(s, 1, 500 * US,
        &(struct spec){TCP, 3000, 100, 77, 0, true, false}); /* lost on its way back */
    assert_int_equal(run(s), 0);
    assert_int_equal(s->hops.n_hops, 2);
    assert_int_equal(s->hops.hops[0].from, 0);
    assert_counts(hop(s, 0, 1), 12, 0, 0, 0, 0, 0);
    assert_counts(hop(s, 1, 0), 10, 1, 0, 0, 0, 0);
    end(s);
}

static void test_the_order_of_points_is_learnt_or_given(void **state)
{
    /* The files are given as middle, last, first. */
    static const unsigned place[3] = {2, 0, 1};

    (void)state;
    for (unsigned given = 0; given < 2; given++) {
        struct scene *s = scene(3);

        for (unsigned i = 0; i < 20; i++)
            for (unsigned k = 0; k < 3; k++)
                if (!(i == 7 && k == 2)) /* one is lost on the last stretch */
                    see(s, place[k], i * 100 * US + k * 10 * US,
                        &(struct spec){TCP, i * 100, 100, 1, 0, false, false});
        s->options.order_given = given;
        memcpy(s->options.order, (uint8_t[]){2, 0, 1}, 3);
        assert_int_equal(run(s), 0);
        assert_int_equal(s->hops.n_hops, 3);
        if (given) {
            assert_counts(hop(s, 2, 0), 20, 0, 0, 0, 0, 0);
            assert_counts(hop(s, 0, 1), 19, 1, 0, 0, 0, 0);
            assert_int_equal(hops_find(&s->hops, 2, 1, true)->delay.min, 20 * US);
        } else {
            assert_int_equal(hop(s, 2, 0)->matched, 20);
            assert_int_equal(hop(s, 0, 1)->matched, 19);
            assert_int_equal(hop(s, 0, 1)->lost, 1);
        }
        end(s);
    }
    /* The file of the end is given first: the order turns about, and all of it. */
    for (unsigned back = 0; back < 2; back++) {
        struct scene *s = scene(4);

        for (unsigned i = 0; i < 20; i++)
            for (unsigned k = 0; k < 4; k++)
                see(s, (unsigned[]){3, 1, 2, 0}[back ? 3 - k : k], i * 100 * US + k * 10 * US,
                    &(struct spec){TCP, i * 100, 100, 1, 0, back, false});
        assert_int_equal(run(s), 0);
        assert_int_equal(back ? hop(s, 1, 3)->matched : hop(s, 3, 1)->matched, 20);
        assert_int_equal(back ? hop(s, 2, 1)->matched : hop(s, 1, 2)->matched, 20);
        end(s);
    }
}

static void test_one_file_twice_has_no_delay(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        pass(s, i * 100 * US, 0, &(struct spec){TCP, i * 100, 100, 1, 0, i % 2, false});
    assert_int_equal(run(s), 0);
    assert_int_equal(hop(s, 0, 1)->matched, 50);
    assert_int_equal(hop(s, 0, 1)->delay.min, 0);
    assert_int_equal(hop(s, 0, 1)->delay.max, 0);
    assert_int_equal(hop(s, 0, 1)->lost, 0);
    end(s);
}

static void test_no_packets_are_an_empty_answer_with_words(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    assert_int_equal(run(s), 0);
    assert_int_equal(s->hops.n_hops, 1);
    assert_counts(hop(s, 0, 1), 0, 0, 0, 0, 0, 0);
    assert_non_null(strstr(s->hops.warning, "A saw no packets"));
    end(s);
}

static void test_clocks_a_day_apart_are_seen_through(void **state)
{
    const uint64_t day_ns = 86400000000000;
    struct scene *s = scene(2);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct spec spec = {TCP, i * 100, 100, 1, 0, i % 2, false};

        see(s, 0, i * 100 * US + (spec.back ? 10 * US : 0), &spec);
        see(s, 1, i * 100 * US + (spec.back ? 0 : 10 * US) + day_ns, &spec);
    }
    assert_int_equal(run(s), 0);
    assert_int_equal(hop(s, 0, 1)->matched, 50);
    assert_int_equal(hop(s, 1, 0)->matched, 50);
    assert_true(hop(s, 0, 1)->delay.min == (int64_t)day_ns + 10 * US);
    assert_true(hop(s, 1, 0)->delay.min == -(int64_t)day_ns + 10 * US);
    assert_non_null(strstr(s->hops.warning, "--offset auto"));
    end(s);
}

static void test_offsets_take_the_day_out(void **state)
{
    struct scene *s = scene(2);
    struct hop_point points[2] = {{.seen = 0}};
    struct source *sources[2] = {&s->points[0].source, &s->points[1].source};

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct spec spec = {TCP, i * 100, 100, 1, 0, i % 2, false};

        see(s, 0, i * 100 * US + (spec.back ? 10 * US : 0), &spec);
        see(s, 1, i * 100 * US + (spec.back ? 0 : 10 * US) + 86400000000000, &spec);
    }
    s->points[0].source.ops = s->points[1].source.ops = &list_ops;
    assert_int_equal(match_offsets(sources, 2, points, &s->err), 0);
    assert_true(points[1].has_offset);
    assert_true(llabs(points[1].offset_ns - 86400000000000) <= 5);
    assert_in_range(points[1].offset_bound_ns, 10 * US - 5, 10 * US + 200);
    assert_int_equal(points[1].n_offset_packets, 100);
    end(s);
}

static void test_one_way_traffic_leaves_the_delay_in(void **state)
{
    struct scene *s = scene(2);
    struct hop_point points[2] = {{.seen = 0}};
    struct source *sources[2] = {&s->points[0].source, &s->points[1].source};

    (void)state;
    some(s, 0, 50, (struct spec){TCP, 1000, 100, 1, 0, false, false});
    s->points[0].source.ops = s->points[1].source.ops = &list_ops;
    assert_int_equal(match_offsets(sources, 2, points, &s->err), 0);
    assert_true(points[1].has_offset);
    assert_int_equal(points[1].offset_ns, 0);
    assert_true(points[1].offset_bound_ns == UINT64_MAX);
    end(s);
}

static void test_losses_count_while_both_captures_run(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    /* B begins later and ends earlier. */
    for (unsigned i = 0; i < 300; i++) {
        struct spec spec = {TCP, i * 100, 100, 1, 0, false, false};

        see(s, 0, i * MS, &spec);
        if (i >= 120 && i < 250 && i != 200)
            see(s, 1, i * MS + 10 * US, &spec);
    }
    assert_int_equal(run(s), 0);
    assert_counts(hop(s, 0, 1), 129, 1, 0, 0, 0, 0);
    end(s);
}

static void test_a_source_that_breaks_leaves_what_was_measured(void **state)
{
    struct scene *s = scene(2);

    (void)state;
    some(s, 0, 50, (struct spec){TCP, 1000, 100, 1, 0, false, false});
    s->points[1].n = 20;
    s->points[1].r = -EBADMSG;
    assert_int_equal(run(s), -EBADMSG);
    assert_non_null(strstr(s->err.text, "the list"));
    assert_counts(hop(s, 0, 1), 20, 0, 0, 0, 0, 0);
    end(s);
}

static unsigned n_told, n_told_lost;

static void on_packet(void *arg, const struct match_packet *packet)
{
    (void)arg;
    n_told++;
    n_told_lost += packet->points == 1;
    assert_non_null(packet->flow);
    assert_int_equal(packet->flow->to_port, 80);
    if (packet->points == 3)
        assert_int_equal(packet->at_ns[1] - packet->at_ns[0], 10 * US);
}

static void test_flows_series_and_packets_are_told(void **state)
{
    struct scene *s = scene(2);
    const struct hop *h;

    (void)state;
    n_told = n_told_lost = 0;
    s->options.per_flow = true;
    s->options.interval_ns = 1 * MS;
    s->options.on_packet = on_packet;
    some(s, 0, 25, (struct spec){TCP, 1000, 100, 1, 0, false, false});
    see(s, 0, 1 * MS + 50 * US, &(struct spec){TCP, 90000, 100, 99, 0, false, false});
    assert_int_equal(run(s), 0);
    h = hop(s, 0, 1);
    assert_int_equal(n_told, 26);
    assert_int_equal(n_told_lost, 1);
    assert_int_equal(h->n_flows, 1);
    assert_string_equal(h->flows[0].from, "10.0.0.1:40000");
    assert_string_equal(h->flows[0].to, "10.0.0.2:80");
    assert_int_equal(h->flows[0].matched, 25);
    assert_int_equal(h->flows[0].lost, 1);
    assert_int_equal(h->n_intervals, 3);
    assert_int_equal(h->intervals[0].matched, 10);
    assert_int_equal(h->intervals[1].lost, 1);
    assert_int_equal(h->intervals[2].matched, 5);
    end(s);
}

static void test_options_that_cannot_be_are_refused(void **state)
{
    struct match_options options = {.order = {0, 0}, .order_given = true};
    struct match *m = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(match_new(2, &options, &m, &err), -EINVAL);
    assert_int_equal(match_new(1, &(struct match_options){0}, &m, &err), -EINVAL);
    assert_int_equal(match_new(17, &(struct match_options){0}, &m, &err), -EINVAL);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_duplicates_and_reordering_are_counted),
        cmocka_unit_test(test_a_retransmit_is_told_by_its_id_or_time),
        cmocka_unit_test(test_sequence_numbers_wrap),
        cmocka_unit_test(test_nat_is_found_out),
        cmocka_unit_test(test_merged_segments_have_each_its_delay),
        cmocka_unit_test(test_cut_packets_are_found_by_position),
        cmocka_unit_test(test_equal_datagrams_are_ambiguous_only_while_several_are_on_the_way),
        cmocka_unit_test(test_traffic_both_ways_is_a_hop_each),
        cmocka_unit_test(test_the_order_of_points_is_learnt_or_given),
        cmocka_unit_test(test_one_file_twice_has_no_delay),
        cmocka_unit_test(test_no_packets_are_an_empty_answer_with_words),
        cmocka_unit_test(test_clocks_a_day_apart_are_seen_through),
        cmocka_unit_test(test_offsets_take_the_day_out),
        cmocka_unit_test(test_one_way_traffic_leaves_the_delay_in),
        cmocka_unit_test(test_losses_count_while_both_captures_run),
        cmocka_unit_test(test_a_source_that_breaks_leaves_what_was_measured),
        cmocka_unit_test(test_flows_series_and_packets_are_told),
        cmocka_unit_test(test_options_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
