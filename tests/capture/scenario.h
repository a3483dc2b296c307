/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * What a generated pair (or row) of captures is like. Rows of scenario.c; shares are 0 to 1, times ns.
 */
enum { SCENARIO_MAX_POINTS = 5 };

enum scenario_encap {
    ENCAP_NONE,
    ENCAP_VLAN,
    ENCAP_QINQ,
    ENCAP_VXLAN,
    ENCAP_VXLAN_LINUX, /* port 8472, which Linux took before 4789 was assigned */
    ENCAP_VXLAN_OVER_6,
    ENCAP_VLAN_VXLAN,
    ENCAP_GENEVE,
    ENCAP_GRE,
    ENCAP_GRE_KEY, /* with key and sequence number */
    ENCAP_NVGRE,
    ENCAP_IPIP,
    ENCAP_COOKED,
    ENCAP_COOKED2,
    ENCAP_RAW,
};

enum scenario_format {
    FORMAT_PCAP_NS,
    FORMAT_PCAP_US,
    FORMAT_PCAP_NS_BIG,
    FORMAT_PCAP_US_BIG,
    FORMAT_PCAPNG,     /* one interface, if_tsresol 9 */
    FORMAT_PCAPNG_BIG, /* big endian, microseconds by default */
    FORMAT_PCAPNG_MANY /* three interfaces; one way of traffic in ns, the other in ps, other blocks between */
};

enum scenario_two_way { ONE_WAY, TWO_WAY_ACKS, TWO_WAY_DATA };

enum scenario_resend {
    RESEND_NEEDLESS, /* the first got through */
    RESEND_LOST,     /* the first was lost somewhere */
    RESEND_HALF,     /* half of them */
};

struct scenario_point {
    enum scenario_encap encap;
    enum scenario_format format;
    bool nat;         /* addresses and ports are others from this point on */
    bool partial;     /* checksums not filled in yet: the sending host leaves that to the card */
    uint32_t snaplen; /* 0 all */
    int64_t offset_ns;
    double skew;       /* the clock gains so much */
    double start, end; /* shares of the time that the capture runs; end 0 is 1 */
    double gap;        /* of the frames the capture missed */
    double foreign;    /* frames in between that are no traffic, a packet */
};

struct scenario_hop {
    int64_t base_ns, mean_ns; /* and exponential beyond base */
    double heavy;             /* so many have a Pareto tail, of at least heavy_ns */
    int64_t heavy_ns;
    double loss, duplicate, reorder;
    int64_t reorder_ns; /* those are late by about that */
    bool merge;         /* receive offload at its end */
    bool cut;           /* segmentation offload on the way */
};

struct scenario {
    const char *name;
    const char *about;
    unsigned n_points, n_flows;
    uint32_t n_packets;
    double rate_pps;
    double tcp, udp, icmp, sctp; /* weights of the flows */
    uint16_t payload, payload_max;
    double ipv6; /* of the flows */
    bool extension;
    bool no_id;         /* IP ID 0 */
    bool no_timestamps; /* TCP without that option */
    bool wrap;          /* sequence numbers pass 2^32 */
    bool same_payload;
    double resend;
    enum scenario_resend resend_kind;
    int64_t resend_after_ns;
    bool resend_longer;      /* together with what came behind it */
    unsigned duplicate_acks; /* of every 20th acknowledgement so many more, soon */
    enum scenario_two_way two_way;
    unsigned burst;    /* segments of a flow in a row, at most */
    bool super;        /* the sender hands out a burst as one packet (TSO, UDP GSO) */
    double fragmented; /* of the datagrams are sent in three fragments */
    bool edge_losses;  /* losses spare the first and last packets, but not here */
    struct scenario_point point[SCENARIO_MAX_POINTS];
    struct scenario_hop hop[SCENARIO_MAX_POINTS - 1];
};

extern const struct scenario scenario_table[]; /* ends with one without a name */

/* NULL: none of that name. */
const struct scenario *scenario_find(const char *name);
