/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/bpf_tc.h"

#include "base/auto.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define BPF_TC_NAME "vnperf"

struct bpf_tc_message {
    struct nlmsghdr head;
    struct tcmsg tc;
    uint8_t attributes[256];
};

static void bpf_tc_put(struct bpf_tc_message *m, uint16_t type, const void *data, size_t n)
{
    struct rtattr *a = (struct rtattr *)((uint8_t *)m + NLMSG_ALIGN(m->head.nlmsg_len));

    a->rta_type = type;
    a->rta_len = (uint16_t)RTA_LENGTH(n);
    if (n > 0)
        memcpy(RTA_DATA(a), data, n);
    m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
}

static struct bpf_tc_message bpf_tc_new(uint16_t type, uint16_t flags, uint32_t ifindex,
                                        uint32_t parent)
{
    return (struct bpf_tc_message){
        .head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct tcmsg)),
                 .nlmsg_type = type,
                 .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                 .nlmsg_seq = 1},
        .tc = {.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = parent}};
}

/*
 * Send, and hear answers until the acknowledgement (or the end of a dump). each is called with every message of
 * another kind, NULL nobody wants them.
 */
static int bpf_tc_ask(int fd, const struct bpf_tc_message *m,
                      void (*each)(void *arg, const struct nlmsghdr *head), void *arg)
{
    uint8_t buf[16384] __attribute__((aligned(8)));

    if (send(fd, m, m->head.nlmsg_len, 0) < 0)
        return -errno;
    for (;;) {
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        const struct nlmsghdr *head = (const struct nlmsghdr *)buf;

        if (n < 0)
            return -errno;
        for (; NLMSG_OK(head, (uint32_t)n); head = NLMSG_NEXT(head, n)) {
            if (head->nlmsg_type == NLMSG_DONE)
                return 0;
            if (head->nlmsg_type == NLMSG_ERROR)
                return ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
            if (each)
                each(arg, head);
        }
    }
}

static int bpf_tc_socket(struct err *err)
{
    AUTO(close_p) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct timeval wait = {.tv_sec = 5};

    if (fd < 0)
        return err_set(err, errno, "opening a netlink socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return TAKE_FD(fd);
}

static void bpf_tc_echo(void *arg, const struct nlmsghdr *head)
{
    struct bpf_tc *tc = arg;
    const struct tcmsg *t = NLMSG_DATA(head);

    if (head->nlmsg_type != RTM_NEWTFILTER)
        return;
    tc->info = t->tcm_info;
    tc->handle = t->tcm_handle;
}

static int bpf_tc_say(struct err *err, int r, const char *what)
{
    return err_set(err, r, r == -EPERM ? "%s: that needs CAP_NET_ADMIN" : "%s", what);
}

static void bpf_tc_count(void *arg, const struct nlmsghdr *head)
{
    unsigned *n = arg;

    if (head->nlmsg_type == RTM_NEWTFILTER)
        ++*n;
}

/* The clsact that we made, unless somebody else hung a filter on it meanwhile. */
static int bpf_tc_drop_qdisc(int fd, uint32_t ifindex)
{
    struct bpf_tc_message m;
    unsigned n = 0;
    int r = 0;

    for (unsigned hook = TC_H_MIN_INGRESS; r >= 0 && hook <= TC_H_MIN_EGRESS; hook++) {
        m = bpf_tc_new(RTM_GETTFILTER, NLM_F_DUMP, ifindex, TC_H_MAKE(TC_H_CLSACT, hook));
        r = bpf_tc_ask(fd, &m, bpf_tc_count, &n);
    }
    if (r < 0 || n > 0)
        return r;
    m = bpf_tc_new(RTM_DELQDISC, NLM_F_ACK, ifindex, TC_H_CLSACT);
    m.tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    return bpf_tc_ask(fd, &m, NULL, NULL);
}

int bpf_tc_attach(uint32_t ifindex, bool egress, int program, struct bpf_tc *ret_tc,
                  struct err *err)
{
    uint32_t parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
    struct bpf_tc tc = {.ifindex = ifindex, .parent = parent};
    AUTO(close_p) int fd = bpf_tc_socket(err);
    uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT, number = (uint32_t)program;
    struct bpf_tc_message m;
    struct rtattr *options;
    int r;

    if (fd < 0)
        return fd;
    m = bpf_tc_new(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, ifindex, TC_H_CLSACT);
    m.tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    bpf_tc_put(&m, TCA_KIND, "clsact", sizeof "clsact");
    r = bpf_tc_ask(fd, &m, NULL, NULL);
    if (r < 0 && r != -EEXIST)
        return bpf_tc_say(err, r, "a clsact qdisc");
    tc.made_qdisc = r == 0;
    /* No priority of ours: the kernel chooses one before all that are there. */
    m = bpf_tc_new(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO | NLM_F_ACK, ifindex,
                   parent);
    m.tc.tcm_info = TC_H_MAKE(0, htons(ETH_P_ALL));
    bpf_tc_put(&m, TCA_KIND, "bpf", sizeof "bpf");
    options = (struct rtattr *)((uint8_t *)&m + NLMSG_ALIGN(m.head.nlmsg_len));
    bpf_tc_put(&m, TCA_OPTIONS, NULL, 0);
    bpf_tc_put(&m, TCA_BPF_FD, &number, sizeof number);
    bpf_tc_put(&m, TCA_BPF_NAME, BPF_TC_NAME, sizeof BPF_TC_NAME);
    bpf_tc_put(&m, TCA_BPF_FLAGS, &flags, sizeof flags);
    options->rta_len = (uint16_t)((uint8_t *)&m + m.head.nlmsg_len - (uint8_t *)options);
    r = bpf_tc_ask(fd, &m, bpf_tc_echo, &tc);
    if (r == 0 && tc.info == 0)
        r = -ENOMSG; /* it would not be found again */
    if (r < 0) {
        if (tc.made_qdisc)
            bpf_tc_drop_qdisc(fd, ifindex);
        return bpf_tc_say(err, r, "a filter of kind bpf");
    }
    *ret_tc = tc;
    return 0;
}

int bpf_tc_detach(const struct bpf_tc *tc, struct err *err)
{
    AUTO(close_p) int fd = bpf_tc_socket(err);
    struct bpf_tc_message m = bpf_tc_new(RTM_DELTFILTER, NLM_F_ACK, tc->ifindex, tc->parent);
    int r;

    if (fd < 0)
        return fd;
    m.tc.tcm_info = tc->info;
    m.tc.tcm_handle = tc->handle;
    bpf_tc_put(&m, TCA_KIND, "bpf", sizeof "bpf");
    r = bpf_tc_ask(fd, &m, NULL, NULL);
    /* Gone with its interface, or somebody took the qdisc away. */
    if (r == -ENODEV || r == -ENOENT || r == -EINVAL)
        return 0;
    if (r >= 0 && tc->made_qdisc)
        r = bpf_tc_drop_qdisc(fd, tc->ifindex);
    if (r == -ENODEV || r == -ENOENT || r == -EINVAL)
        return 0;
    return r < 0 ? err_set(err, r, "taking the clsact filter away again") : 0;
}
