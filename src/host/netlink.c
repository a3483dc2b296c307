/* SPDX-License-Identifier: Apache-2.0 */
#include "host/netlink.h"

#include "base/auto.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/nsfs.h>
#include <linux/rtnetlink.h>

enum { DATAGRAM_SIZE = 64 * 1024 };

/* ---- namespaces ---- */

static int namespace_path(const char *netns, char *ret, size_t size)
{
    const char *rest = strchr(netns, ':');
    size_t word = rest ? (size_t)(rest - netns) : 0;
    bool number = rest && rest[1] && rest[1 + strspn(rest + 1, "0123456789")] == 0;
    int n;

    if (netns[0] == 0)
        n = snprintf(ret, size, "/proc/thread-self/ns/net");
    else if (word == 4 && memcmp(netns, "name", 4) == 0 && rest[1] && rest[1] != '.' &&
             !strchr(rest + 1, '/'))
        n = snprintf(ret, size, "/run/netns/%s", rest + 1);
    else if (word == 3 && memcmp(netns, "pid", 3) == 0 && number)
        n = snprintf(ret, size, "/proc/%s/ns/net", rest + 1);
    else if (word == 2 && memcmp(netns, "fd", 2) == 0 && number)
        n = snprintf(ret, size, "/proc/thread-self/fd/%s", rest + 1);
    else
        return -EINVAL;
    return n > 0 && (size_t)n < size ? 0 : -EINVAL;
}

int netlink_namespace(const char *netns, struct err *err)
{
    char path[96];
    int fd;

    if (namespace_path(netns, path, sizeof path) < 0)
        return err_say(err,
                       "'%s' names no network namespace: \"\", name:NAME, pid:NUMBER or fd:NUMBER",
                       netns);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    /* EACCES is how /proc refuses another user's process; the caller knows one code for rights. */
    if (fd < 0)
        return err_set(err, errno == EACCES ? EPERM : errno, "opening %s", path);
    return fd;
}

static bool namespace_is_own(int ns_fd)
{
    struct stat a, b;

    return fstat(ns_fd, &a) == 0 && stat("/proc/thread-self/ns/net", &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* In the child, by system calls only: another thread of its parent may have held any lock. */
static int namespace_enter(int ns_fd)
{
    int user, r = 0;

    if (setns(ns_fd, CLONE_NEWNET) == 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    /* The lab of an ordinary user: whoever made a user namespace may enter it, and has all rights inside. */
    user = ioctl(ns_fd, NS_GET_USERNS);
    if (user < 0)
        return -EPERM;
    if (setns(user, CLONE_NEWUSER) < 0 || setns(ns_fd, CLONE_NEWNET) < 0)
        r = -EPERM;
    close(user); /* the table of descriptors is the parent's too */
    return r;
}

_Noreturn static void namespace_child(int ns_fd, int answer_fd)
{
    int answer = namespace_enter(ns_fd);

    if (answer == 0) {
        answer = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        if (answer < 0)
            answer = -errno;
    }
    _exit(write(answer_fd, &answer, sizeof answer) == sizeof answer ? 0 : 1);
}

/* A socket made inside, or -errno. */
static int namespace_socket(int ns_fd)
{
    AUTO(close_p) int read_fd = -1;
    AUTO(close_p) int write_fd = -1;
    int pair[2], answer = -EIO;
    long pid;

    if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    read_fd = pair[0];
    write_fd = pair[1];
    /* No SIGCHLD: whoever waits for any child of this process must not find this one. */
    pid = syscall(SYS_clone, CLONE_FILES, 0, 0, 0, 0);
    if (pid < 0)
        return -errno;
    if (pid == 0)
        namespace_child(ns_fd, write_fd);
    while (waitpid((pid_t)pid, NULL, __WCLONE) < 0)
        if (errno != EINTR)
            return -errno;
    if (read(read_fd, &answer, sizeof answer) != sizeof answer)
        return -EIO;
    return answer;
}

int netlink_open(int ns_fd, struct netlink *ret_netlink, struct err *err)
{
    const int on = 1;
    int fd;

    if (namespace_is_own(ns_fd)) {
        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        fd = fd < 0 ? -errno : fd;
    } else {
        fd = namespace_socket(ns_fd);
    }
    if (fd == -EPERM)
        return err_set(err, EPERM,
                       "entering the network namespace (CAP_SYS_ADMIN, or be its owner)");
    if (fd < 0)
        return err_set(err, fd, "opening a netlink socket in the network namespace");
    /* Without it (before Linux 4.20) a dump is longer than asked for, and what is too much is passed over. */
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    *ret_netlink = (struct netlink){.fd = fd};
    return 0;
}

void netlink_close(struct netlink *netlink)
{
    if (netlink)
        close_p(&netlink->fd);
    if (netlink)
        netlink->fd = -1;
}

/* ---- asking ---- */

void netlink_begin(struct netlink_request *q, unsigned type, unsigned flags, const void *head,
                   size_t size)
{
    *q = (struct netlink_request){
        .header = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(size),
                   .nlmsg_type = (uint16_t)type,
                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST |
                                             (flags & NLM_F_DUMP ? flags : flags | NLM_F_ACK))}};
    assert(NLMSG_SPACE(size) <= sizeof q->bytes);
    memcpy(q->bytes + NLMSG_HDRLEN, head, size);
}

void netlink_put(struct netlink_request *q, unsigned type, const void *data, size_t size)
{
    size_t at = NLMSG_ALIGN(q->header.nlmsg_len);
    struct nlattr attr = {.nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = (uint16_t)type};

    assert(at + NLA_HDRLEN + NLA_ALIGN(size) <= sizeof q->bytes);
    memcpy(q->bytes + at, &attr, sizeof attr);
    memcpy(q->bytes + at + NLA_HDRLEN, data, size);
    q->header.nlmsg_len = (uint32_t)(at + NLA_HDRLEN + size);
}

/* One datagram of the kernel's; 0 when it was somebody else's. */
static ssize_t receive(int fd, char *buffer, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct sockaddr_nl from = {0};
    struct iovec iov = {.iov_base = buffer, .iov_len = DATAGRAM_SIZE};
    struct msghdr m = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    int r = poll(&p, 1, clock_ms_until(deadline_ns));

    if (r == 0)
        return -ETIMEDOUT;
    n = r < 0 ? -1 : recvmsg(fd, &m, MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    if (from.nl_pid != 0)
        return 0;
    return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}

static int ask_once(struct netlink *netlink, struct netlink_request *q, char *buffer,
                    struct netlink_answer *answer)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)NETLINK_WAIT_MS * CLOCK_MS;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int r = 1;

    q->header.nlmsg_seq = answer->seq = ++netlink->seq;
    if (sendto(netlink->fd, q->bytes, q->header.nlmsg_len, 0, (const void *)&kernel,
               sizeof kernel) < 0)
        return -errno;
    while (r == 1) {
        ssize_t n = receive(netlink->fd, buffer, deadline_ns);

        if (n < 0)
            return (int)n;
        if (n > 0)
            r = netlink_read(buffer, (size_t)n, answer);
    }
    if (r == 0 && answer->code < 0)
        return answer->code;
    return r == 0 && answer->interrupted ? -EAGAIN : r;
}

int netlink_ask(struct netlink *netlink, struct netlink_request *q, netlink_each *each, void *arg)
{
    AUTO(free_p) char *buffer = calloc(1, DATAGRAM_SIZE);
    int r = -EAGAIN;

    if (!buffer)
        return -ENOMEM;
    for (int i = 0; i < NETLINK_TRIES && r == -EAGAIN; i++) {
        struct netlink_answer answer = {.each = each, .arg = arg};

        each(arg, NULL);
        r = ask_once(netlink, q, buffer, &answer);
    }
    return r;
}

/* ---- reading ---- */

/* What an NLMSG_ERROR or NLMSG_DONE says; 0 when it has no number. */
static int message_code(const struct nlmsghdr *m, size_t size)
{
    int code = 0;

    if (size >= NLMSG_HDRLEN + sizeof code)
        memcpy(&code, (const char *)m + NLMSG_HDRLEN, sizeof code);
    return code < 0 ? code : 0;
}

int netlink_read(const void *datagram, size_t size, struct netlink_answer *answer)
{
    const unsigned char *at = datagram;

    while (size >= NLMSG_HDRLEN) {
        /* Datagrams are read into memory that is aligned, and messages keep to it. */
        const struct nlmsghdr *m = (const void *)at;
        size_t step;

        if (m->nlmsg_len < NLMSG_HDRLEN || m->nlmsg_len > size)
            return -EBADMSG;
        step = NLMSG_ALIGN(m->nlmsg_len);
        if (m->nlmsg_seq == answer->seq) {
            answer->interrupted |= (m->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE)
                return message_code(m, m->nlmsg_len);
            if (m->nlmsg_type >= NLMSG_MIN_TYPE && answer->code == 0)
                answer->code = answer->each(answer->arg, m);
        }
        if (step >= size)
            break;
        at += step;
        size -= step;
    }
    return 1;
}

struct netlink_part netlink_head(const struct nlmsghdr *message, void *ret_head, size_t size)
{
    const unsigned char *body = (const unsigned char *)message + NLMSG_HDRLEN;
    size_t have = message->nlmsg_len - NLMSG_HDRLEN, skip = NLMSG_ALIGN(size);

    memset(ret_head, 0, size);
    memcpy(ret_head, body, have < size ? have : size);
    if (have <= skip)
        return (struct netlink_part){0};
    return (struct netlink_part){.at = body + skip, .left = have - skip};
}

bool netlink_next(struct netlink_part *part, struct netlink_attr *ret_attr)
{
    struct nlattr attr;
    size_t step;

    if (part->left < NLA_HDRLEN)
        return false;
    memcpy(&attr, part->at, sizeof attr);
    if (attr.nla_len < NLA_HDRLEN || attr.nla_len > part->left) {
        part->left = 0;
        return false;
    }
    *ret_attr = (struct netlink_attr){.type = attr.nla_type & NLA_TYPE_MASK,
                                      .data = part->at + NLA_HDRLEN,
                                      .size = attr.nla_len - (size_t)NLA_HDRLEN};
    step = NLA_ALIGN(attr.nla_len);
    step = step < part->left ? step : part->left;
    part->at += step;
    part->left -= step;
    return true;
}

struct netlink_part netlink_inside(const struct netlink_attr *attr)
{
    return (struct netlink_part){.at = attr->data, .left = attr->size};
}

uint32_t netlink_u32(const struct netlink_attr *attr)
{
    uint32_t v = 0;

    if (attr->size >= sizeof v)
        memcpy(&v, attr->data, sizeof v);
    return v;
}

uint16_t netlink_u16(const struct netlink_attr *attr)
{
    uint16_t v = 0;

    if (attr->size >= sizeof v)
        memcpy(&v, attr->data, sizeof v);
    return v;
}

uint16_t netlink_be16(const struct netlink_attr *attr)
{
    return attr->size >= 2 ? (uint16_t)(attr->data[0] << 8 | attr->data[1]) : 0;
}

void netlink_text(const struct netlink_attr *attr, char *ret, size_t size)
{
    size_t n = strnlen((const char *)attr->data, attr->size);

    n = n < size ? n : size - 1;
    memcpy(ret, attr->data, n);
    ret[n] = 0;
}
