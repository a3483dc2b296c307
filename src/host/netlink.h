/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

/*
 * Questions to the kernel's rtnetlink, in any network namespace, without leaving one's own.
 *
 * shape   a question is built in a struct netlink_request and answered message by message through a function; attributes are
 *         cut from what is left of a message, and what claims to be longer than that ends them
 * errors  -ETIMEDOUT when the kernel says nothing for 2 s; -EPERM without the right to enter a namespace; else the kernel's own
 * owns    netlink_close(); a struct that was never opened has fd -1
 * source  netlink(7), rtnetlink(7), RFC 3549
 */
enum { NETLINK_WAIT_MS = 2000, NETLINK_REQUEST_SIZE = 256, NETLINK_TRIES = 4 };

struct netlink {
    int fd; /* owned; -1 none */
    uint32_t seq;
};

/*
 * A descriptor of a namespace: "" the calling thread's own, "name:vm1" for /run/netns/vm1, "pid:123" that process's, as
 * this process's /proc numbers it, "fd:7" one that this process has open already.
 *
 * errors  -ENOENT; -EPERM another user's process
 */
int netlink_namespace(const char *netns, struct err *err);

/*
 * A socket of that namespace. The calling process stays where it is: a child that shares its descriptors goes in, first into
 * the user namespace that the network belongs to when it has to, and leaves the socket behind.
 */
int netlink_open(int ns_fd, struct netlink *ret_netlink, struct err *err);
void netlink_close(struct netlink *netlink);

/* ---- asking ---- */

struct netlink_request {
    union {
        struct nlmsghdr header;
        unsigned char bytes[NETLINK_REQUEST_SIZE];
    };
};

/* flags beside NLM_F_REQUEST: NLM_F_DUMP, or 0 for a question with one answer. */
void netlink_begin(struct netlink_request *q, unsigned type, unsigned flags, const void *head,
                   size_t size);
/* Room is the caller's to see to: attributes are few and small. */
void netlink_put(struct netlink_request *q, unsigned type, const void *data, size_t size);

/* Called for each message of an answer; with NULL when what came is void and the answer begins anew. A negative return
 * is the question's error. */
typedef int netlink_each(void *arg, const struct nlmsghdr *message);

/*
 * Ask, and hand out the answer. The kernel's refusals come back as they are (-ENETUNREACH, -ENODEV, …) and with no sentence.
 *
 * errors  -EAGAIN the tables changed under a dump, NETLINK_TRIES times
 */
int netlink_ask(struct netlink *netlink, struct netlink_request *q, netlink_each *each, void *arg);

/* ---- reading ---- */

struct netlink_answer {
    uint32_t seq; /* of the question */
    netlink_each *each;
    void *arg;
    int code; /* what each() refused with; it is not called again, but the answer is read to its end */
    bool interrupted; /* the tables changed meanwhile */
};

/*
 * The messages of a datagram that belong to an answer. Returns 1 when more datagrams follow, 0 at the end, or the error that
 * the kernel sent.
 *
 * errors  -EBADMSG a message is longer than the datagram
 */
int netlink_read(const void *datagram, size_t size, struct netlink_answer *answer);

/* Bytes of attributes that are still to be read. */
struct netlink_part {
    const unsigned char *at;
    size_t left;
};

struct netlink_attr {
    unsigned type;
    const unsigned char *data;
    size_t size;
};

/* The fixed head of a message (zeros where it is shorter), and its attributes behind. */
struct netlink_part netlink_head(const struct nlmsghdr *message, void *ret_head, size_t size);
/* The next attribute; false at the end and where one is malformed. */
bool netlink_next(struct netlink_part *part, struct netlink_attr *ret_attr);
/* The attributes inside an attribute. */
struct netlink_part netlink_inside(const struct netlink_attr *attr);
/* 0 when it is shorter than its number. */
uint32_t netlink_u32(const struct netlink_attr *attr);
uint16_t netlink_u16(const struct netlink_attr *attr);
/* In network order. */
uint16_t netlink_be16(const struct netlink_attr *attr);
/* A text, ended by a zero or the attribute's end; cut where it does not fit. */
void netlink_text(const struct netlink_attr *attr, char *ret, size_t size);
