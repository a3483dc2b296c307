/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an interface's driver says over SIOCETHTOOL: of the namespace that the socket is in, which /sys may not be of.
 *
 * source  ethtool(8); linux/ethtool.h. dev_ethtool() lets anybody ask these.
 */
#include "base/auto.h"
#include "base/text.h"
#include "host/netlink.h"
#include "host/parts.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* After net/if.h, whose names linux/if.h would repeat. */
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>

/* Ask about the interface that was chosen. errors: -ENODEV there is none; the driver's own */
static int ethtool_ask(const struct facts *facts, void *question)
{
    AUTO(close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const char *name = facts_get(facts, "nic");
    struct ifreq ifr = {0};

    if (!name)
        return -ENODEV;
    if (fd < 0)
        return -errno;
    text_copy(ifr.ifr_name, sizeof ifr.ifr_name, name);
    ifr.ifr_data = question;
    return ioctl(fd, SIOCETHTOOL, &ifr) == 0 ? 0 : -errno;
}

/* The same; that it has no answer is noted with the key. */
static bool ethtool_told(struct facts *facts, const char *key, void *question)
{
    int r = ethtool_ask(facts, question);

    if (r < 0)
        host_miss(facts, key, r);
    return r == 0;
}

/* A text of the driver's that need not end. */
static void ethtool_text(struct facts *facts, const char *key, const char *text, size_t size)
{
    char copy[64];
    size_t n = strnlen(text, size < sizeof copy ? size : sizeof copy - 1);

    memcpy(copy, text, n);
    copy[n] = 0;
    /* How drivers say that they have none. */
    if (strcmp(copy, "N/A") != 0 && strcmp(copy, "n/a") != 0)
        facts_put(facts, key, copy);
}

void nic_step_driver(const struct host_ask *ask, struct facts *facts)
{
    struct ethtool_drvinfo d = {.cmd = ETHTOOL_GDRVINFO};

    (void)ask;
    if (!ethtool_told(facts, "nic_driver", &d))
        return;
    ethtool_text(facts, "nic_driver", d.driver, sizeof d.driver);
    ethtool_text(facts, "nic_driver_version", d.version, sizeof d.version);
    ethtool_text(facts, "nic_firmware", d.fw_version, sizeof d.fw_version);
    ethtool_text(facts, "nic_bus", d.bus_info, sizeof d.bus_info);
}

void nic_step_speed(const struct host_ask *ask, struct facts *facts)
{
    /* The masks of modes come behind: first how many words they have, then all. */
    union {
        struct ethtool_link_settings head;
        unsigned char room[sizeof(struct ethtool_link_settings) + 3 * 127 * sizeof(uint32_t)];
    } s = {.head = {.cmd = ETHTOOL_GLINKSETTINGS}};
    const char *kind = facts_get(facts, "nic_kind");

    (void)ask;
    /* A veth claims 10 Gbit/s; only what a real device says is a fact. */
    if ((kind && strcmp(kind, "veth") == 0) || !ethtool_told(facts, "nic_speed_bps", &s))
        return;
    if (s.head.link_mode_masks_nwords >= 0)
        return;
    s.head.link_mode_masks_nwords = (int8_t)-s.head.link_mode_masks_nwords;
    s.head.cmd = ETHTOOL_GLINKSETTINGS;
    if (!ethtool_told(facts, "nic_speed_bps", &s))
        return;
    if (s.head.speed != 0 && s.head.speed != (uint32_t)SPEED_UNKNOWN)
        facts_put_number(facts, "nic_speed_bps", (uint64_t)s.head.speed * 1000000);
    if (s.head.duplex == DUPLEX_FULL || s.head.duplex == DUPLEX_HALF)
        facts_put(facts, "nic_duplex", s.head.duplex == DUPLEX_FULL ? "full" : "half");
    if (s.head.autoneg == AUTONEG_ENABLE || s.head.autoneg == AUTONEG_DISABLE)
        facts_put_flag(facts, "nic_autonegotiation", s.head.autoneg == AUTONEG_ENABLE);
}

void nic_step_channels(const struct host_ask *ask, struct facts *facts)
{
    struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

    (void)ask;
    if (!ethtool_told(facts, "nic_combined_channels", &c))
        return;
    /* A driver has either kind; the other's most is 0, and then its count is no number of anything. */
    if (c.max_rx)
        facts_put_number(facts, "nic_rx_channels", c.rx_count);
    if (c.max_tx)
        facts_put_number(facts, "nic_tx_channels", c.tx_count);
    if (c.max_combined) {
        facts_put_number(facts, "nic_combined_channels", c.combined_count);
        facts_put_number(facts, "nic_combined_channels_max", c.max_combined);
    }
}

void nic_step_rings(const struct host_ask *ask, struct facts *facts)
{
    struct ethtool_ringparam g = {.cmd = ETHTOOL_GRINGPARAM};

    (void)ask;
    if (!ethtool_told(facts, "nic_rx_ring", &g))
        return;
    if (g.rx_max_pending) {
        facts_put_number(facts, "nic_rx_ring", g.rx_pending);
        facts_put_number(facts, "nic_rx_ring_max", g.rx_max_pending);
    }
    if (g.tx_max_pending) {
        facts_put_number(facts, "nic_tx_ring", g.tx_pending);
        facts_put_number(facts, "nic_tx_ring_max", g.tx_max_pending);
    }
}

/* ---- coalescing ---- */

/*
 * Over netlink the kernel leaves out what the driver has not; over ioctl that is a 0 like any other.
 *
 * source  Documentation/networking/ethtool-netlink.rst, COALESCE_GET (Linux 5.6)
 */
static struct netlink_part coalesce_answer(const struct nlmsghdr *message)
{
    struct genlmsghdr head;

    /* Without a message the answer begins anew. */
    return message ? netlink_head(message, &head, sizeof head) : (struct netlink_part){0};
}

static int coalesce_family(void *arg, const struct nlmsghdr *message)
{
    struct netlink_part part = coalesce_answer(message);
    struct netlink_attr attr;

    while (netlink_next(&part, &attr))
        if (attr.type == CTRL_ATTR_FAMILY_ID)
            *(uint16_t *)arg = netlink_u16(&attr);
    return 0;
}

static int coalesce_each(void *arg, const struct nlmsghdr *message)
{
    static const struct {
        unsigned type;
        const char *key;
        bool flag;
    } rows[] = {
        {ETHTOOL_A_COALESCE_RX_USECS, "nic_rx_coalesce_us", false},
        {ETHTOOL_A_COALESCE_RX_MAX_FRAMES, "nic_rx_coalesce_frames", false},
        {ETHTOOL_A_COALESCE_TX_USECS, "nic_tx_coalesce_us", false},
        {ETHTOOL_A_COALESCE_TX_MAX_FRAMES, "nic_tx_coalesce_frames", false},
        {ETHTOOL_A_COALESCE_USE_ADAPTIVE_RX, "nic_adaptive_rx", true},
        {ETHTOOL_A_COALESCE_USE_ADAPTIVE_TX, "nic_adaptive_tx", true},
    };
    struct netlink_part part = coalesce_answer(message);
    struct facts *facts = arg;
    struct netlink_attr attr;

    while (netlink_next(&part, &attr))
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            if (attr.type != rows[i].type)
                continue;
            if (rows[i].flag && attr.size >= 1)
                facts_put_flag(facts, rows[i].key, attr.data[0] != 0);
            else if (!rows[i].flag && attr.size >= 4)
                facts_put_number(facts, rows[i].key, netlink_u32(&attr));
        }
    return 0;
}

static int coalesce_netlink(struct facts *facts, const char *name)
{
    struct genlmsghdr head = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
    struct netlink netlink = {.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)};
    struct {
        struct nlattr attr;
        char name[IFNAMSIZ];
    } nest = {.attr = {.nla_type = ETHTOOL_A_HEADER_DEV_NAME}};
    size_t size = strnlen(name, IFNAMSIZ - 1) + 1;
    struct netlink_request q;
    uint16_t family = 0;
    int r;

    if (netlink.fd < 0)
        return -errno;
    memcpy(nest.name, name, size);
    nest.attr.nla_len = (uint16_t)(sizeof nest.attr + size);
    netlink_begin(&q, GENL_ID_CTRL, 0, &head, sizeof head);
    netlink_put(&q, CTRL_ATTR_FAMILY_NAME, ETHTOOL_GENL_NAME, sizeof ETHTOOL_GENL_NAME);
    r = netlink_ask(&netlink, &q, coalesce_family, &family);
    if (r == 0 && !family)
        r = -EOPNOTSUPP;
    if (r == 0) {
        head =
            (struct genlmsghdr){.cmd = ETHTOOL_MSG_COALESCE_GET, .version = ETHTOOL_GENL_VERSION};
        netlink_begin(&q, family, 0, &head, sizeof head);
        netlink_put(&q, ETHTOOL_A_COALESCE_HEADER | NLA_F_NESTED, &nest,
                    NLA_ALIGN(nest.attr.nla_len));
        r = netlink_ask(&netlink, &q, coalesce_each, facts);
    }
    netlink_close(&netlink);
    return r;
}

/* Of a kernel that is older: what is 0 may be what the driver has not. */
static int coalesce_ioctl(struct facts *facts)
{
    struct ethtool_coalesce c = {.cmd = ETHTOOL_GCOALESCE};
    int r = ethtool_ask(facts, &c);

    if (r == 0 && c.rx_coalesce_usecs)
        facts_put_number(facts, "nic_rx_coalesce_us", c.rx_coalesce_usecs);
    if (r == 0 && c.rx_max_coalesced_frames)
        facts_put_number(facts, "nic_rx_coalesce_frames", c.rx_max_coalesced_frames);
    if (r == 0 && c.tx_coalesce_usecs)
        facts_put_number(facts, "nic_tx_coalesce_us", c.tx_coalesce_usecs);
    if (r == 0 && c.tx_max_coalesced_frames)
        facts_put_number(facts, "nic_tx_coalesce_frames", c.tx_max_coalesced_frames);
    if (r == 0 && c.use_adaptive_rx_coalesce)
        facts_put_flag(facts, "nic_adaptive_rx", true);
    if (r == 0 && c.use_adaptive_tx_coalesce)
        facts_put_flag(facts, "nic_adaptive_tx", true);
    return r;
}

void nic_step_coalesce(const struct host_ask *ask, struct facts *facts)
{
    const char *name = facts_get(facts, "nic");
    int r = name ? coalesce_netlink(facts, name) : -ENODEV;

    (void)ask;
    if (r == -ENOENT || r == -EPROTONOSUPPORT)
        r = coalesce_ioctl(facts);
    if (r < 0)
        host_miss(facts, "nic_rx_coalesce_us", r);
}

/* ---- offloads ---- */

/* Names of all features, one each ETH_GSTRING_LEN; how many, or -errno. owns ret_strings: free() */
static int ethtool_feature_names(const struct facts *facts, struct ethtool_gstrings **ret_strings)
{
    union {
        struct ethtool_sset_info head;
        unsigned char room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
    } info = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
    struct ethtool_gstrings *strings;
    uint32_t count;
    int r = ethtool_ask(facts, &info);

    if (r < 0)
        return r;
    memcpy(&count, info.room + sizeof info.head, sizeof count);
    if (!(info.head.sset_mask & 1ULL << ETH_SS_FEATURES) || count == 0 || count > 1024)
        return -EOPNOTSUPP;
    strings = calloc(1, sizeof *strings + (size_t)count * ETH_GSTRING_LEN);
    if (!strings)
        return -ENOMEM;
    *strings = (struct ethtool_gstrings){
        .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = count};
    r = ethtool_ask(facts, strings);
    if (r < 0 || strings->len > count) {
        free(strings);
        return r < 0 ? r : -EPROTO;
    }
    *ret_strings = strings;
    return (int)strings->len;
}

static int ethtool_features(struct facts *facts)
{
    AUTO(free_p) struct ethtool_gstrings *strings = NULL;
    AUTO(free_p) struct ethtool_gfeatures *features = NULL;
    char list[FACT_VALUE_SIZE] = "";
    int n = ethtool_feature_names(facts, &strings), r;
    unsigned blocks;

    if (n < 0)
        return n;
    blocks = ((unsigned)n + 31) / 32;
    features = calloc(1, sizeof *features + blocks * sizeof features->features[0]);
    if (!features)
        return -ENOMEM;
    features->cmd = ETHTOOL_GFEATURES;
    features->size = blocks;
    r = ethtool_ask(facts, features);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < (unsigned)n && i / 32 < blocks; i++) {
        char name[ETH_GSTRING_LEN + 1];

        memcpy(name, strings->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
        name[ETH_GSTRING_LEN] = 0;
        if (features->features[i / 32].active & 1u << i % 32)
            facts_list(list, name);
    }
    facts_put(facts, "offloads", list[0] ? list : "none");
    return 0;
}

/* What there was before ETHTOOL_GFEATURES, Linux 2.6.39: one question each. */
static int ethtool_legacy(struct facts *facts)
{
    static const struct {
        uint32_t command;
        const char *word;
    } offloads[] = {
        {ETHTOOL_GTSO, "tso"},
        {ETHTOOL_GGSO, "gso"},
        {ETHTOOL_GGRO, "gro"},
        {ETHTOOL_GRXCSUM, "rx-checksum"},
        {ETHTOOL_GTXCSUM, "tx-checksum"},
        {ETHTOOL_GSG, "sg"},
    };
    char list[FACT_VALUE_SIZE] = "";
    int r = 0, any = 0;

    for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
        struct ethtool_value v = {.cmd = offloads[i].command};

        r = ethtool_ask(facts, &v);
        any |= r == 0;
        if (r == 0 && v.data)
            facts_list(list, offloads[i].word);
    }
    if (any)
        facts_put(facts, "offloads", list[0] ? list : "none");
    return any ? 0 : r;
}

void nic_step_offloads(const struct host_ask *ask, struct facts *facts)
{
    int r = ethtool_features(facts);

    (void)ask;
    if (r < 0)
        r = ethtool_legacy(facts);
    if (r < 0)
        host_miss(facts, "offloads", r);
}
