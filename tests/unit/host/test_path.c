/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/path_view.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <linux/if_arp.h>
#include <linux/rtnetlink.h>

#include <cmocka.h>

/* ---- messages as the kernel would write them ---- */

struct text {
    _Alignas(struct nlmsghdr) unsigned char bytes[1024];
    size_t used;
};

static void begin(struct text *t, unsigned type, const void *head, size_t size)
{
    struct nlmsghdr h = {.nlmsg_type = (uint16_t)type, .nlmsg_seq = 7};

    *t = (struct text){.used = NLMSG_ALIGN(NLMSG_LENGTH(size))};
    memcpy(t->bytes, &h, sizeof h);
    memcpy(t->bytes + NLMSG_HDRLEN, head, size);
}

static size_t put(struct text *t, unsigned type, const void *data, size_t size)
{
    struct nlattr a = {.nla_type = (uint16_t)type, .nla_len = (uint16_t)(NLA_HDRLEN + size)};
    size_t at = t->used;

    memcpy(t->bytes + at, &a, sizeof a);
    if (size)
        memcpy(t->bytes + at + NLA_HDRLEN, data, size);
    t->used += NLA_ALIGN(NLA_HDRLEN + size);
    return at;
}

static void put_u32(struct text *t, unsigned type, uint32_t v) { put(t, type, &v, sizeof v); }
static void put_text(struct text *t, unsigned type, const char *v)
{
    put(t, type, v, strlen(v) + 1);
}

/* What was put since `at` was put (empty) is inside of it. */
static void enclose(struct text *t, size_t at)
{
    uint16_t size = (uint16_t)(t->used - at);

    memcpy(t->bytes + at, &size, sizeof size);
}

static const struct nlmsghdr *finish(struct text *t)
{
    struct nlmsghdr *h = (void *)t->bytes;

    h->nlmsg_len = (uint32_t)t->used;
    return h;
}

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

static void vxlan_message(struct text *t)
{
    const struct ifinfomsg head = {.ifi_index = 9, .ifi_type = ARPHRD_ETHER, .ifi_flags = IFF_UP};
    const uint8_t port[2] = {0x12, 0xb5}, remote[4] = {192, 0, 2, 2}, no = 0;
    size_t info, data;

    begin(t, RTM_NEWLINK, &head, sizeof head);
    put_text(t, IFLA_IFNAME, "vx7");
    put(t, IFLA_ADDRESS, mac_a, sizeof mac_a);
    put_u32(t, IFLA_MASTER, 4);
    put_u32(t, IFLA_LINK_NETNSID, 3);
    info = put(t, IFLA_LINKINFO | NLA_F_NESTED, NULL, 0);
    put_text(t, IFLA_INFO_KIND, "vxlan");
    data = put(t, IFLA_INFO_DATA, NULL, 0);
    put_u32(t, IFLA_VXLAN_ID, 77);
    put(t, IFLA_VXLAN_PORT, port, sizeof port);
    put(t, IFLA_VXLAN_GROUP, remote, sizeof remote);
    put_u32(t, IFLA_VXLAN_LINK, 2);
    put(t, IFLA_VXLAN_COLLECT_METADATA, &no, 1);
    enclose(t, data);
    enclose(t, info);
}

static void test_a_vxlan_is_read_with_all_that_its_way_depends_on(void **state)
{
    struct path_link link;
    struct text t;

    (void)state;
    vxlan_message(&t);
    assert_true(path_link_parse(finish(&t), &link));
    assert_int_equal(link.index, 9);
    assert_string_equal(link.name, "vx7");
    assert_string_equal(link.kind, "vxlan");
    assert_true(link.up && link.ethernet && link.elsewhere && !link.external);
    assert_int_equal(link.nsid, 3);
    assert_int_equal(link.master, 4);
    assert_int_equal(link.vni, 77);
    assert_int_equal(link.port, 4789);
    assert_int_equal(link.underlay, 2);
    assert_memory_equal(link.mac, mac_a, 6);
    assert_int_equal(link.remote.family, AF_INET);
    assert_memory_equal(link.remote.bytes, "\xc0\x00\x02\x02", 4);
    assert_int_equal(link.local.family, 0);
}

static void test_a_tap_is_told_from_a_tun_and_the_loopback_from_hardware(void **state)
{
    static const struct {
        const char *kind, *want;
        unsigned short type;
        unsigned flags;
    } rows[] = {
        {"tun", "tap", ARPHRD_ETHER, IFF_UP},
        {"tun", "tun", ARPHRD_NONE, IFF_UP},
        {NULL, "loopback", ARPHRD_LOOPBACK, IFF_UP | IFF_LOOPBACK},
        {NULL, "", ARPHRD_ETHER, 0},
        /* Longer than any name that it is compared with: cut, and no other's. */
        {"a-kind-with-a-long-name", "a-kind-with-a-l", ARPHRD_ETHER, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct ifinfomsg head = {
            .ifi_index = 1, .ifi_type = rows[i].type, .ifi_flags = rows[i].flags};
        struct path_link link;
        struct text t;
        size_t info;

        begin(&t, RTM_NEWLINK, &head, sizeof head);
        put_text(&t, IFLA_IFNAME, "x0");
        info = put(&t, IFLA_LINKINFO, NULL, 0);
        if (rows[i].kind)
            put_text(&t, IFLA_INFO_KIND, rows[i].kind);
        enclose(&t, info);
        assert_true(path_link_parse(finish(&t), &link));
        assert_string_equal(link.kind, rows[i].want);
        assert_int_equal(link.up, rows[i].flags & IFF_UP);
    }
}

/* All parsers on what is left of a message that was cut, in memory that ends there: a sanitizer sees a byte too many. */
static void parse_all(const unsigned char *bytes, size_t size)
{
    AUTO(free_p) struct nlmsghdr *m = malloc(size);
    const struct path_ask ask = {.to = {.family = AF_INET}};
    struct path_neighbour neighbour;
    struct path_route route;
    struct path_link link;
    struct path_fdb entry;

    assert_non_null(m);
    memcpy(m, bytes, size);
    m->nlmsg_len = (uint32_t)size;
    path_link_parse(m, &link);
    path_table_fdb_parse(m, &entry);
    path_table_neighbour_parse(m, &neighbour);
    path_route_parse(m, &ask, &route);
}

static void fdb_message(struct text *t)
{
    const struct ndmsg head = {
        .ndm_family = AF_BRIDGE, .ndm_ifindex = 9, .ndm_state = NUD_NOARP, .ndm_flags = NTF_SELF};
    const uint8_t remote[16] = {0x20, 1, 0xd, 0xb8, [15] = 2}, port[2] = {0x12, 0xb6};

    begin(t, RTM_NEWNEIGH, &head, sizeof head);
    put(t, NDA_LLADDR, mac_b, sizeof mac_b);
    put(t, NDA_DST, remote, sizeof remote);
    put(t, NDA_PORT, port, sizeof port);
    put_u32(t, NDA_VNI, 78);
    put_u32(t, NDA_IFINDEX, 2);
}

static void route_message(struct text *t, unsigned char type)
{
    const struct rtmsg head = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_type = type};
    const uint8_t gateway[4] = {10, 0, 0, 254}, source[4] = {10, 0, 0, 1};

    begin(t, RTM_NEWROUTE, &head, sizeof head);
    put(t, RTA_GATEWAY, gateway, sizeof gateway);
    put(t, RTA_PREFSRC, source, sizeof source);
    put_u32(t, RTA_OIF, 5);
}

static void test_messages_cut_or_spoilt_at_any_byte_are_not_read_beyond_their_end(void **state)
{
    struct text t[3];

    (void)state;
    vxlan_message(&t[0]);
    fdb_message(&t[1]);
    route_message(&t[2], RTN_UNICAST);
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
        for (size_t n = NLMSG_HDRLEN; n <= t[i].used; n++)
            parse_all(t[i].bytes, n);
        /* Lengths and types live in these bytes too. */
        for (size_t at = NLMSG_HDRLEN; at < t[i].used; at++)
            for (unsigned v = 0; v < 256; v += 5) {
                unsigned char was = t[i].bytes[at];

                t[i].bytes[at] = (unsigned char)v;
                parse_all(t[i].bytes, t[i].used);
                t[i].bytes[at] = was;
            }
    }
}

static void test_forwarding_entries_say_whose_they_are(void **state)
{
    struct ndmsg head = {.ndm_family = AF_BRIDGE, .ndm_ifindex = 3, .ndm_state = NUD_PERMANENT};
    const uint16_t vlan = 10;
    struct path_fdb e;
    struct text t;

    (void)state;
    fdb_message(&t);
    assert_true(path_table_fdb_parse(finish(&t), &e));
    assert_true(e.self && !e.local);
    assert_int_equal(e.remote.family, AF_INET6);
    assert_int_equal(e.vni, 78);
    assert_int_equal(e.port, 4790);
    assert_int_equal(e.underlay, 2);
    begin(&t, RTM_NEWNEIGH, &head, sizeof head);
    put(&t, NDA_LLADDR, mac_a, sizeof mac_a);
    put_u32(&t, NDA_MASTER, 4);
    put(&t, NDA_VLAN, &vlan, sizeof vlan);
    assert_true(path_table_fdb_parse(finish(&t), &e));
    assert_true(e.local && !e.self);
    assert_int_equal(e.bridge, 4);
    assert_int_equal(e.vlan, 10);
    /* An address of another length is no MAC. */
    begin(&t, RTM_NEWNEIGH, &head, sizeof head);
    put(&t, NDA_LLADDR, mac_a, 4);
    assert_false(path_table_fdb_parse(finish(&t), &e));
}

static void test_only_neighbours_that_are_valid_count(void **state)
{
    static const struct {
        unsigned short state;
        unsigned char flags;
        bool valid;
    } rows[] = {{NUD_REACHABLE, 0, true},   {NUD_STALE, 0, true},
                {NUD_PERMANENT, 0, true},   {NUD_FAILED, 0, false},
                {NUD_INCOMPLETE, 0, false}, {NUD_PERMANENT, NTF_PROXY, false}};
    const uint8_t address[4] = {10, 0, 0, 2};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct ndmsg head = {.ndm_family = AF_INET,
                                   .ndm_ifindex = 3,
                                   .ndm_state = rows[i].state,
                                   .ndm_flags = rows[i].flags};
        struct path_neighbour n;
        struct text t;

        begin(&t, RTM_NEWNEIGH, &head, sizeof head);
        put(&t, NDA_DST, address, sizeof address);
        put(&t, NDA_LLADDR, mac_b, sizeof mac_b);
        assert_int_equal(path_table_neighbour_parse(finish(&t), &n), rows[i].valid);
        if (rows[i].valid)
            assert_memory_equal(n.mac, mac_b, 6);
    }
}

static void test_routes_say_out_of_where_and_to_which_neighbour(void **state)
{
    const struct path_ask ask = {.to = {.family = AF_INET, .bytes = {10, 9, 9, 9}}};
    struct {
        uint16_t family;
        uint8_t address[16];
    } via = {AF_INET6, {0xfe, 0x80, [15] = 1}};
    struct rtmsg head = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_type = RTN_UNICAST};
    struct path_route route;
    struct text t;

    (void)state;
    route_message(&t, RTN_UNICAST);
    assert_true(path_route_parse(finish(&t), &ask, &route));
    assert_int_equal(route.kind, PATH_ROUTE_OUT);
    assert_int_equal(route.out, 5);
    assert_memory_equal(route.next.bytes, "\x0a\0\0\xfe", 4);
    assert_memory_equal(route.source.bytes, "\x0a\0\0\x01", 4);
    route_message(&t, RTN_LOCAL);
    assert_true(path_route_parse(finish(&t), &ask, &route));
    assert_int_equal(route.kind, PATH_ROUTE_LOCAL);
    route_message(&t, RTN_BLACKHOLE);
    assert_true(path_route_parse(finish(&t), &ask, &route));
    assert_int_equal(route.kind, PATH_ROUTE_NONE);
    /* No gateway: the address itself; a gateway of the other family. */
    begin(&t, RTM_NEWROUTE, &head, sizeof head);
    put_u32(&t, RTA_OIF, 6);
    assert_true(path_route_parse(finish(&t), &ask, &route));
    assert_memory_equal(&route.next, &ask.to, sizeof ask.to);
    put(&t, RTA_VIA, &via, sizeof via);
    assert_true(path_route_parse(finish(&t), &ask, &route));
    assert_int_equal(route.next.family, AF_INET6);
    assert_memory_equal(route.next.bytes, via.address, 16);
    put(&t, RTA_ENCAP, NULL, 0);
    assert_true(path_route_parse(finish(&t), &ask, &route));
    assert_int_equal(route.kind, PATH_ROUTE_TUNNEL);
}

/* ---- answers ---- */

static int count(void *arg, const struct nlmsghdr *message)
{
    assert_non_null(message);
    return ++*(int *)arg == 3 ? -ENOMEM : 0;
}

static size_t append(unsigned char *to, unsigned type, uint32_t seq, uint32_t len, int code)
{
    struct nlmsghdr h = {.nlmsg_type = (uint16_t)type, .nlmsg_seq = seq, .nlmsg_len = len};

    memcpy(to, &h, sizeof h);
    memcpy(to + NLMSG_HDRLEN, &code, sizeof code);
    return NLMSG_ALIGN(NLMSG_HDRLEN + sizeof code);
}

static void test_an_answer_is_its_own_messages_to_its_end(void **state)
{
    _Alignas(struct nlmsghdr) unsigned char bytes[256];
    struct netlink_answer answer = {.seq = 7, .each = count};
    const uint32_t full = NLMSG_HDRLEN + sizeof(int);
    size_t n = 0;
    int calls = 0;

    (void)state;
    answer.arg = &calls;
    n += append(bytes + n, RTM_NEWLINK, 7, full, 0);
    n += append(bytes + n, RTM_NEWLINK, 6, full, 0); /* of a question before */
    n += append(bytes + n, NLMSG_NOOP, 7, full, 0);
    assert_int_equal(netlink_read(bytes, n, &answer), 1);
    assert_int_equal(calls, 1);
    n += append(bytes + n, NLMSG_DONE, 7, full, 0);
    assert_int_equal(netlink_read(bytes, n, &answer), 0);
    assert_int_equal(calls, 2);
    /* Refused: no more are handed out, and the end is still waited for. */
    assert_int_equal(netlink_read(bytes, n, &answer), 0);
    assert_int_equal(netlink_read(bytes, n, &answer), 0);
    assert_int_equal(calls, 3);
    assert_int_equal(answer.code, -ENOMEM);
    append(bytes, NLMSG_ERROR, 7, full, -ENODEV);
    assert_int_equal(netlink_read(bytes, full, &answer), -ENODEV);
    /* Lengths that are not so. */
    append(bytes, RTM_NEWLINK, 7, full + 1, 0);
    assert_int_equal(netlink_read(bytes, full, &answer), -EBADMSG);
    append(bytes, RTM_NEWLINK, 7, 3, 0);
    assert_int_equal(netlink_read(bytes, full, &answer), -EBADMSG);
    assert_int_equal(netlink_read(bytes, NLMSG_HDRLEN - 1, &answer), 1);
}

static void test_namespaces_are_named_strictly(void **state)
{
    static char large[128] = "name:";
    static const char *const bad[] = {
        "name:", "name:../../etc", "name:.x", "pid:",  "pid:1/../2", "pid:self",
        "fd:",   "fd:-1",          "vm1",     "net:4", ":",          large};
    struct err err = {0};
    struct stat a, b;
    char name[16];
    int fd, again;

    (void)state;
    memset(large + strlen("name:"), 'x', sizeof large - 1 - strlen("name:"));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(netlink_namespace(bad[i], &err), -EINVAL);
    assert_int_equal(netlink_namespace("name:there-is-none", &err), -ENOENT);
    fd = netlink_namespace("", &err);
    assert_true(fd >= 0);
    /* That one by its number is another descriptor of the same. */
    snprintf(name, sizeof name, "fd:%d", fd);
    again = netlink_namespace(name, &err);
    assert_true(again >= 0 && again != fd);
    assert_int_equal(fstat(fd, &a), 0);
    assert_int_equal(fstat(again, &b), 0);
    assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    close_p(&again);
    close_p(&fd);
}

/* ---- packets as words ---- */

static void test_a_packet_survives_as_words(void **state)
{
    static const char *const same[] = {
        "to=10.0.0.2",
        "to=fd00::2,from=fd00::1,mac=02:00:00:00:00:0a,vlan=5,vlan=100",
        "to=10.0.0.2,from=10.0.0.1,mac=02:00:00:00:00:0a;to=192.0.2.2,from=192.0.2.1,vni=1,port=9",
    };
    static const char *const bad[] = {"",
                                      "to=10.0.0.256",
                                      "from=10.0.0.1",
                                      "to=10.0.0.1;",
                                      "to=10.0.0.1,mac=02:00:00:00:00",
                                      "to=10.0.0.1,mac=02:00:00:00:00:0a:",
                                      "to=10.0.0.1,mac=02-00-00-00-00-0a",
                                      "to=10.0.0.1,vlan=4096",
                                      "to=10.0.0.1,vlan=1,vlan=2,vlan=3",
                                      "to=10.0.0.1,vni=16777216",
                                      "to=10.0.0.1,port=-1",
                                      "to=10.0.0.1,color=red",
                                      "to=1.1.1.1;to=1.1.1.1;to=1.1.1.1;to=1.1.1.1;to=1.1.1.1"};
    char text[PATH_PACKET_SIZE], large[2 * PATH_PACKET_SIZE];
    struct path_packet packet;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        assert_int_equal(path_packet_read(same[i], &packet, NULL), 0);
        path_packet_show(&packet, text);
        assert_string_equal(text, same[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(path_packet_read(bad[i], &packet, NULL), -EINVAL);
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    assert_int_equal(path_packet_read(large, &packet, NULL), -EINVAL);
    /* The longest that there is. */
    packet = (struct path_packet){.n_layers = PATH_MAX_LAYERS};
    for (unsigned i = 0; i < PATH_MAX_LAYERS; i++) {
        struct path_layer *layer = &packet.layer[i];

        memset(layer, 0xff, sizeof *layer);
        layer->to.family = layer->from.family = AF_INET6;
        layer->has_mac = true;
        layer->n_tags = PATH_MAX_TAGS;
        layer->tags[0] = layer->tags[1] = 65535;
    }
    path_packet_show(&packet, text);
    assert_true(strlen(text) < sizeof text - 1);
    assert_string_equal(text + strlen(text) - strlen("port=65535"), "port=65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_vxlan_is_read_with_all_that_its_way_depends_on),
        cmocka_unit_test(test_a_tap_is_told_from_a_tun_and_the_loopback_from_hardware),
        cmocka_unit_test(test_messages_cut_or_spoilt_at_any_byte_are_not_read_beyond_their_end),
        cmocka_unit_test(test_forwarding_entries_say_whose_they_are),
        cmocka_unit_test(test_only_neighbours_that_are_valid_count),
        cmocka_unit_test(test_routes_say_out_of_where_and_to_which_neighbour),
        cmocka_unit_test(test_an_answer_is_its_own_messages_to_its_end),
        cmocka_unit_test(test_namespaces_are_named_strictly),
        cmocka_unit_test(test_a_packet_survives_as_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
