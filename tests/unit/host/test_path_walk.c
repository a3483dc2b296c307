/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/path_view.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/*
 * The walk through machines that this one cannot be: VLANs, bonds, Open vSwitch, ipvlan, a bridge that does not know.
 * A machine is rows of interfaces, neighbours, forwarding entries and local addresses; a route is "by this interface", one a
 * place, and what is local is said by address. Addresses are 10.0.0.N, MACs 02:00:00:00:00:N.
 */
enum { ROWS = 40 };

struct machine {
    struct path_link links[3][ROWS]; /* by place; index 0 ends */
    struct {
        unsigned place, host;
    } local[8]; /* host 0 ends */
    uint32_t route[3];
    unsigned known; /* bit N: every place knows the MAC of 10.0.0.N, which is N */
    struct path_fdb fdb[8];
};

static const struct path_place places[] = {{"a", ""}, {"b", ""}, {"c", ""}};

static int machine_links(void *arg, unsigned place, const struct path_link **ret_links,
                         unsigned *ret_n, struct err *err)
{
    struct machine *m = arg;
    unsigned n = 0;

    (void)err;
    while (m->links[place][n].index)
        n++;
    *ret_links = m->links[place];
    *ret_n = n;
    return 0;
}

static int machine_place(void *arg, unsigned place, int32_t nsid, unsigned *ret_place,
                         struct err *err)
{
    (void)arg;
    (void)place;
    (void)err;
    if (nsid < 0 || nsid >= 3)
        return -ENOENT;
    *ret_place = (unsigned)nsid;
    return 0;
}

static int machine_route(void *arg, unsigned place, const struct path_ask *ask,
                         struct path_route *ret_route, struct err *err)
{
    struct machine *m = arg;

    (void)err;
    *ret_route = (struct path_route){.kind = PATH_ROUTE_NONE, .code = -ENETUNREACH};
    if (m->route[place])
        *ret_route =
            (struct path_route){.kind = PATH_ROUTE_OUT, .out = m->route[place], .next = ask->to};
    for (unsigned i = 0; i < ARRAY_SIZE(m->local) && m->local[i].host; i++)
        if (m->local[i].place == place && m->local[i].host == ask->to.bytes[3])
            *ret_route = (struct path_route){.kind = PATH_ROUTE_LOCAL};
    return 0;
}

static int machine_forwards(void *arg, unsigned place, int family, bool *ret_forwards,
                            struct err *err)
{
    (void)arg;
    (void)place;
    (void)family;
    (void)err;
    *ret_forwards = true;
    return 0;
}

static int machine_neighbour(void *arg, unsigned place, uint32_t index,
                             const struct path_address *address, uint8_t ret_mac[6],
                             struct err *err)
{
    struct machine *m = arg;

    (void)place;
    (void)index;
    (void)err;
    if (!(m->known & 1U << address->bytes[3]))
        return -ENOENT;
    memcpy(ret_mac, (uint8_t[6]){2, 0, 0, 0, 0, address->bytes[3]}, 6);
    return 0;
}

static int machine_fdb(void *arg, unsigned place, uint32_t bridge, uint32_t index,
                       const struct path_fdb **ret_entries, unsigned *ret_n, struct err *err)
{
    struct machine *m = arg;
    unsigned n = 0;

    (void)place;
    (void)bridge;
    (void)index;
    (void)err;
    while (n < ARRAY_SIZE(m->fdb) && m->fdb[n].index)
        n++;
    *ret_entries = m->fdb;
    *ret_n = n;
    return 0;
}

/* From a to 10.0.0.2, and what it crossed as "a/eth0> b/eth1<". */
static struct path walk(struct machine *m, const char *ifname, char *ret, size_t size)
{
    const struct path_view view = {m,
                                   machine_links,
                                   machine_place,
                                   machine_route,
                                   machine_forwards,
                                   machine_neighbour,
                                   machine_fdb};
    const struct path_question q = {
        .places = places, .n_places = 3, .from_ifname = ifname, .to = "10.0.0.2"};
    struct path path;
    size_t n = 0;

    assert_int_equal(path_walk(&view, &q, &path, NULL), 0);
    ret[0] = 0;
    for (unsigned i = 0; i < path.n_points; i++)
        n += (size_t)snprintf(ret + n, size - n, "%s%s/%s%s%s", i ? " " : "",
                              places[path.points[i].place].name, path.points[i].ifname,
                              path.points[i].tunnelled ? "*" : "",
                              path.points[i].outgoing ? ">" : "<");
    return path;
}

#define ETHER .up = true, .ethernet = true
/* An interface with the MAC of host N. Parentheses around a text that fills an array are no C. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define LINK(number, called, of, host)                                                             \
    .index = (number), .name = called, .kind = of, .mac = {2, 0, 0, 0, 0, host}, ETHER
/* NOLINTEND(bugprone-macro-parentheses) */
#define OTHER(place, number) .elsewhere = true, .nsid = (place), .lower = (number)

static void expect(struct machine *m, const char *crossed, enum path_end end, const char *words)
{
    char text[1024];
    struct path path = walk(m, NULL, text, sizeof text);

    assert_string_equal(text, crossed);
    assert_string_equal(path_end_name[path.end], path_end_name[end]);
    if (!strstr(path.text, words))
        fail_msg("'%s' is not in '%s'", words, path.text);
}

static void test_a_vlan_goes_down_with_its_tag_and_up_where_the_tag_is_known(void **state)
{
    struct machine m = {.links = {{{LINK(1, "eth0", "veth", 1), OTHER(1, 1)},
                                   {LINK(2, "eth0.5", "vlan", 1), .lower = 1, .vlan = 5}},
                                  {{LINK(1, "eth0", "veth", 9), OTHER(0, 1)},
                                   {LINK(2, "eth0.6", "vlan", 2), .lower = 1, .vlan = 6},
                                   {LINK(3, "eth0.5", "vlan", 2), .lower = 1, .vlan = 5}}},
                        .local = {{1, 2}},
                        .route = {2},
                        .known = 1U << 2};

    (void)state;
    expect(&m, "a/eth0.5> a/eth0> b/eth0< b/eth0.5<", PATH_ARRIVED, "10.0.0.2 is an address of b");
    m.links[1][2].vlan = 7;
    expect(&m, "a/eth0.5> a/eth0> b/eth0<", PATH_UNREACHABLE, "nobody takes VLAN 5 at b/eth0");
}

static void test_open_vswitch_is_where_it_ends_whatever_its_ports(void **state)
{
    struct machine m = {.links = {{{LINK(1, "eth0", "veth", 1), OTHER(1, 1)}},
                                  {{LINK(1, "tap1", "veth", 9), OTHER(0, 1), .master = 2},
                                   {LINK(2, "ovs-system", "openvswitch", 8)},
                                   {LINK(3, "phy", "", 7), .master = 2}}},
                        .route = {1},
                        .known = 1U << 2};

    (void)state;
    expect(&m, "a/eth0> b/tap1<", PATH_UNSEEN, "Open vSwitch takes it at b/tap1");
    /* And its internal ports. */
    m.links[0][0] = (struct path_link){LINK(1, "br-int", "openvswitch", 1)};
    expect(&m, "a/br-int>", PATH_UNSEEN, "Open vSwitch takes it at a/br-int");
}

static void test_a_bond_is_followed_where_one_interface_of_it_is_up(void **state)
{
    struct machine m = {.links = {{{LINK(1, "bond0", "bond", 1)},
                                   {LINK(2, "eth0", "", 1), .master = 1},
                                   {LINK(3, "eth1", "", 1), .master = 1}}},
                        .route = {1},
                        .known = 1U << 2};

    (void)state;
    expect(&m, "a/bond0>", PATH_UNSEEN, "a/bond0 chooses among 2 interfaces");
    m.links[0][1].up = false;
    expect(&m, "a/bond0> a/eth1>", PATH_LEAVES, "leaves this machine by a/eth1");
}

static void test_ipvlans_share_a_mac_and_are_told_by_address(void **state)
{
    struct machine m = {.links = {{{LINK(1, "ip0", "ipvlan", 1), OTHER(1, 1)}},
                                  {{LINK(1, "eth0", "", 1)}},
                                  {{LINK(4, "ip1", "ipvlan", 1), OTHER(1, 1)}}},
                        .local = {{2, 2}},
                        .route = {1},
                        .known = 0};

    (void)state;
    expect(&m, "a/ip0> c/ip1<", PATH_ARRIVED, "an address of c");
    m.local[0].host = 3;
    expect(&m, "a/ip0> b/eth0>", PATH_LEAVES, "by b/eth0");
}

/* a's veth into b's bridge, whose other ports are c's veth and a tap. */
static struct machine bridged(void)
{
    return (struct machine){.links = {{{LINK(1, "eth0", "veth", 1), OTHER(1, 1)}},
                                      {{LINK(1, "pa", "veth", 9), OTHER(0, 1), .master = 4},
                                       {LINK(2, "pc", "veth", 9), OTHER(2, 1), .master = 4},
                                       {LINK(3, "tap", "tap", 9), .master = 4},
                                       {LINK(4, "br", "bridge", 8)}},
                                      {{LINK(1, "eth0", "veth", 2), OTHER(1, 2)}}},
                            .local = {{2, 2}},
                            .route = {1},
                            .known = 1U << 2 | 1U << 5};
}

static struct path_fdb entry(uint32_t index, uint8_t host, unsigned vlan)
{
    return (struct path_fdb){
        .index = index, .bridge = 4, .mac = {2, 0, 0, 0, 0, host}, .vlan = vlan};
}

static void test_a_bridge_that_does_not_know_floods_and_one_takes_it(void **state)
{
    struct machine m = bridged();

    (void)state;
    expect(&m, "a/eth0> b/pa< b/pc> c/eth0<", PATH_ARRIVED, "an address of c");
    /* Nobody is seen to have that MAC, and there are two who may. */
    m.links[2][0].mac[5] = 7;
    expect(&m, "a/eth0> b/pa<", PATH_UNLEARNT, "b/br has not learnt where 02:00:00:00:00:02 is");
    /* There is one only. */
    m.links[1][1].master = 0;
    expect(&m, "a/eth0> b/pa< b/tap>", PATH_TAKEN, "at b/tap");
    m.links[1][2].up = false;
    expect(&m, "a/eth0> b/pa<", PATH_UNLEARNT, "has not learnt");
    m.known = 0;
    expect(&m, "a/eth0> b/pa<", PATH_UNLEARNT,
           "a/eth0 does not know the MAC address of 10.0.0.2 yet");
}

static void test_a_bridges_table_decides(void **state)
{
    struct machine m = bridged();

    (void)state;
    m.fdb[0] = entry(3, 2, 0);
    expect(&m, "a/eth0> b/pa< b/tap>", PATH_TAKEN, "at b/tap");
    m.fdb[0] = entry(1, 2, 0);
    expect(&m, "a/eth0> b/pa<", PATH_UNREACHABLE, "drops what would go back by b/pa");
    /* In two VLANs at two ports: which one, a frame without a tag does not say. */
    m.fdb[0] = entry(2, 2, 10);
    m.fdb[1] = entry(3, 2, 20);
    expect(&m, "a/eth0> b/pa<", PATH_UNSEEN, "knows 02:00:00:00:00:02 on several ports");
    m.fdb[1] = entry(2, 2, 20);
    expect(&m, "a/eth0> b/pa< b/pc> c/eth0<", PATH_ARRIVED, "an address of c");
    /* A port's own MAC is the bridge's too. */
    m.fdb[1].local = true;
    m.fdb[0] = m.fdb[1];
    m.route[1] = 0;
    expect(&m, "a/eth0> b/pa< b/br<", PATH_UNREACHABLE, "from b/br there is no way");
    /* What self entries say is the device's business. */
    m.fdb[0].self = m.fdb[1].self = true;
    expect(&m, "a/eth0> b/pa< b/pc> c/eth0<", PATH_ARRIVED, "an address of c");
}

static void test_a_frame_for_somebody_else_is_dropped(void **state)
{
    struct machine m = {.links = {{{LINK(1, "eth0", "veth", 1), OTHER(1, 1)}},
                                  {{LINK(1, "eth0", "veth", 9), OTHER(0, 1)}}},
                        .local = {{1, 2}},
                        .route = {1},
                        .known = 1U << 2};

    (void)state;
    expect(&m, "a/eth0> b/eth0<", PATH_UNREACHABLE,
           "b/eth0 drops it: the frame is for 02:00:00:00:00:02");
    m.links[1][0].mac[5] = 2;
    expect(&m, "a/eth0> b/eth0<", PATH_ARRIVED, "an address of b");
}

static void test_a_way_that_never_ends_is_left_after_so_many_points(void **state)
{
    struct machine m = {.route = {1}, .known = 1U << 2};
    char text[1024];
    struct path path;

    (void)state;
    /* VLANs in each other end first; macvlans on each other do not. */
    for (unsigned i = 0; i < ROWS - 1; i++) {
        m.links[0][i] = (struct path_link){LINK(i + 1, "m", "macvlan", 1), .lower = i + 2};
        snprintf(m.links[0][i].name, sizeof m.links[0][i].name, "m%u", i);
    }
    path = walk(&m, NULL, text, sizeof text);
    assert_int_equal(path.end, PATH_TOO_LONG);
    assert_int_equal(path.n_points, PATH_MAX_POINTS);
    assert_string_equal(path.points[PATH_MAX_POINTS - 1].ifname, "m31");
    for (unsigned i = 0; i < ROWS - 1; i++)
        memcpy(m.links[0][i].kind, "vlan", sizeof "vlan");
    expect(&m, "a/m0> a/m1> a/m2>", PATH_UNSEEN, "more than 2 VLANs");
    /* And one that stands on itself. */
    m.links[0][0] = (struct path_link){LINK(1, "m0", "macvlan", 1), .lower = 1};
    expect(&m, "a/m0>", PATH_LOOP, "it comes to a/m0 again");
}

static void test_kinds_that_are_not_known_are_named(void **state)
{
    struct machine m = {.links = {{{LINK(1, "gre1", "gretap", 1)}}}, .route = {1}};

    (void)state;
    expect(&m, "a/gre1>", PATH_UNSEEN, "a/gre1 is of kind gretap");
    /* An interface without a lower one, and one whose lower one is nowhere. */
    m.links[0][0] = (struct path_link){LINK(1, "v", "veth", 1)};
    expect(&m, "a/v>", PATH_UNREACHABLE, "the other side of a/v is gone");
    m.links[0][0] = (struct path_link){LINK(1, "v", "veth", 1), OTHER(-1, 3)};
    expect(&m, "a/v>", PATH_UNSEEN, "none of the places");
    m.links[0][0].index = 2;
    expect(&m, "", PATH_UNREACHABLE, "the interface that a sends by is gone");
}

static void test_a_vxlan_of_this_place_takes_it_without_the_underlay(void **state)
{
    const struct path_address far = {AF_INET, {10, 0, 0, 5}};
    struct machine m = {
        .links = {{{LINK(1, "vx", "vxlan", 1), .vni = 7, .port = 4789, .remote = far}},
                  {{LINK(1, "vy", "vxlan", 2), .vni = 7, .port = 4789, .elsewhere = true,
                    .nsid = 0}},
                  {{LINK(1, "vz", "vxlan", 2), .vni = 7, .port = 4789}}},
        .local = {{1, 2}, {0, 5}, {2, 2}},
        .route = {1},
        .known = 1U << 2};

    (void)state;
    /* The first with that number in the place is the sender itself. */
    expect(&m, "a/vx> a/vx<", PATH_UNREACHABLE, "a/vx drops it");
    m.links[1][0].vni = 8;
    m.fdb[0] = (struct path_fdb){
        .index = 1, .self = true, .mac = {2, 0, 0, 0, 0, 2}, .vni = 8, .remote = far};
    expect(&m, "a/vx> b/vy<", PATH_ARRIVED, "an address of b");
    m.fdb[0].vni = 9;
    expect(&m, "a/vx>", PATH_UNREACHABLE, "a has no VXLAN with id 9 at UDP port 4789");
    /* Several that unknown frames go to, and nothing learnt. */
    memset(m.fdb[0].mac, 0, 6);
    m.fdb[1] = m.fdb[0];
    m.fdb[1].remote.bytes[3] = 6;
    expect(&m, "a/vx>", PATH_UNLEARNT, "a/vx has not learnt");
    m.links[0][0].external = true;
    expect(&m, "a/vx>", PATH_UNSEEN, "each packet's own settings");
}

static void test_tunnels_in_tunnels_are_left_after_so_many(void **state)
{
    const struct path_address far = {AF_INET, {10, 0, 0, 5}};
    struct machine m = {
        .links = {{{LINK(1, "vx", "vxlan", 1), .vni = 7, .port = 4789, .remote = far}}},
        .route = {1}};

    (void)state;
    /* Its own far end is behind itself. */
    expect(&m, "a/vx> a/vx*> a/vx*> a/vx*>", PATH_UNSEEN, "more than 3 tunnels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_vlan_goes_down_with_its_tag_and_up_where_the_tag_is_known),
        cmocka_unit_test(test_open_vswitch_is_where_it_ends_whatever_its_ports),
        cmocka_unit_test(test_a_bond_is_followed_where_one_interface_of_it_is_up),
        cmocka_unit_test(test_ipvlans_share_a_mac_and_are_told_by_address),
        cmocka_unit_test(test_a_bridge_that_does_not_know_floods_and_one_takes_it),
        cmocka_unit_test(test_a_bridges_table_decides),
        cmocka_unit_test(test_a_frame_for_somebody_else_is_dropped),
        cmocka_unit_test(test_a_way_that_never_ends_is_left_after_so_many_points),
        cmocka_unit_test(test_kinds_that_are_not_known_are_named),
        cmocka_unit_test(test_a_vxlan_of_this_place_takes_it_without_the_underlay),
        cmocka_unit_test(test_tunnels_in_tunnels_are_left_after_so_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
