/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "deploy/lab.h"
#include "deploy/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

enum {
    LAB_COMMAND_MS = 10000,
    LAB_UP_MS = 5000, /* from links set up to links that carry; the same for links to go */
    LAB_POLL_US = 500,
    LAB_GONE_POLL_MS = 5,
};

/* Run it; output is what it wrote, exit code 0 or not. */
static int lab_run(struct driver_state *lab, const struct lab_command *c,
                   char output[LAB_OUTPUT_SIZE], struct err *err)
{
    char *const ip[] = {lab->ip, (char *)"-d", (char *)"-o", (char *)"-batch", (char *)"-", NULL};
    char *const force[] = {lab->ip, (char *)"-force", (char *)"-batch", (char *)"-", NULL};
    char *const nft[] = {lab->nft, (char *)"-f", (char *)"-", NULL};
    struct spawn_request q = {.argv = c->tool == LAB_NFT        ? nft
                                      : c->tool == LAB_IP_FORCE ? force
                                                                : ip,
                              .netns_fd = c->in->netns_fd,
                              .pass_fd = {c->other ? c->other->netns_fd : 0},
                              .prepare = c->prepare,
                              .prepare_arg = c->prepare_arg};
    int r;

    if (lab->tell) {
        lab->tell(lab->tell_arg, c->in->resource.name,
                  c->tool == LAB_NFT ? "nft -f -" : "ip -batch -", c->text->text);
        return 0;
    }
    r = lab_keeper_check(&lab->keeper, err);
    if (r < 0)
        return r;
    if (c->text->full)
        return err_set(err, ENOBUFS, "the text for %s", q.argv[0]);
    lab_keeper_place(&lab->keeper, &q);
    return spawn_run(&q, c->text->text, output, LAB_OUTPUT_SIZE,
                     clock_mono_ns() + (uint64_t)LAB_COMMAND_MS * CLOCK_MS, err);
}

/* The same, where anything but success is an error. */
int lab_command_do(struct driver_state *lab, const struct lab_command *c, struct err *err)
{
    char output[LAB_OUTPUT_SIZE] = "", line[160] = "", about[160] = "";
    int r = lab_run(lab, c, output, err);

    if (r <= 0)
        return r;
    lab_net_complaint(c->text->text, output, line, sizeof line, about, sizeof about);
    err_say(err, "%s%s%s in %s ended with %d: %s", c->tool == LAB_NFT ? "nft" : "ip",
            about[0] ? " " : "", about, c->in->resource.name, r,
            line[0] ? line : "it says nothing");
    return -EIO;
}

/* Lines that remove what may not be there (any more). */
int lab_command_undo(struct driver_state *lab, const struct lab_place *in,
                     const struct lab_text *text, struct err *err)
{
    struct lab_command c = {.tool = LAB_IP_FORCE, .in = in, .text = text};
    char output[LAB_OUTPUT_SIZE] = "", line[160] = "", about[160] = "";
    int r = lab_run(lab, &c, output, err);

    if (r <= 0 || lab_net_is_gone(output))
        return r < 0 ? r : 0;
    lab_net_complaint(text->text, output, line, sizeof line, about, sizeof about);
    err_say(err, "ip in %s ended with %d: %s", in->resource.name, r, line);
    return -EIO;
}

/* Wait until a link carries packets. */
int lab_command_wait_link(struct driver_state *lab, const struct lab_place *in, const char *link,
                          struct err *err)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)LAB_UP_MS * CLOCK_MS;
    struct lab_text t = {0};
    struct lab_command c = {.tool = LAB_IP, .in = in, .text = &t};

    if (lab->tell)
        return 0;
    lab_net_add(&t, "link show dev %s\n", link);
    for (;;) {
        char output[LAB_OUTPUT_SIZE] = "";
        int r = lab_run(lab, &c, output, err);

        if (r < 0)
            return r;
        if (r == 0 && output[0] && lab_net_is_up(output))
            return 0;
        if (clock_mono_ns() >= deadline_ns)
            return err_set(err, ETIMEDOUT, "waiting for link %s in %s to come up", link,
                           in->resource.name);
        clock_sleep_until(clock_mono_ns() + (uint64_t)LAB_POLL_US * CLOCK_US);
    }
}

/*
 * A veth whose one end was in a namespace that we let go of is taken down by the kernel, many at a time; removing each by
 * hand would cost a wait of the kernel's each. The node, which goes last, waits until it sees that they are gone.
 */
int lab_command_wait_bare(struct driver_state *lab, const struct lab_place *node, struct err *err)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)LAB_UP_MS * CLOCK_MS;
    struct lab_text t = {0};
    struct lab_command c = {.tool = LAB_IP, .in = node, .text = &t};

    lab_net_add(&t, "link show\n");
    for (;;) {
        char output[LAB_OUTPUT_SIZE] = "";
        int r = lab_run(lab, &c, output, err);

        if (r < 0 || (r == 0 && lab_net_is_bare(output)))
            return r;
        if (clock_mono_ns() >= deadline_ns)
            return err_set(err, ETIMEDOUT, "waiting for its links to go (%.100s)", output);
        clock_sleep_until(clock_mono_ns() + LAB_GONE_POLL_MS * CLOCK_MS);
    }
}

/* ---- settings of a new namespace, written by a process inside, before it becomes `ip` ---- */

struct lab_sysctl {
    const char *path, *value;
    bool may_lack; /* a kernel may be without it */
};

static const struct lab_sysctl lab_sysctls[] = {
    /* Inherited from the host otherwise, and what it has there is not ours to know. */
    {"ipv4/conf/all/rp_filter", "0", false},
    {"ipv4/conf/default/rp_filter", "0", false},
    {"ipv6/conf/all/disable_ipv6", "0", true},
    {"ipv6/conf/default/disable_ipv6", "0", true},
    /* An address is usable at once: nobody else can have it here. */
    {"ipv6/conf/all/accept_dad", "0", true},
    {"ipv6/conf/default/accept_dad", "0", true},
    {"ipv6/conf/all/accept_ra", "0", true},
    {"ipv6/conf/default/accept_ra", "0", true},
    /* A host with containers has bridged frames go through its firewall; here bridges only carry. */
    {"bridge/bridge-nf-call-iptables", "0", true},
    {"bridge/bridge-nf-call-ip6tables", "0", true},
    {"bridge/bridge-nf-call-arptables", "0", true},
};

static const struct lab_sysctl lab_sysctls_host[] = {{"ipv4/ip_forward", "0", false}};
static const struct lab_sysctl lab_sysctls_router[] = {{"ipv4/ip_forward", "1", false},
                                                       {"ipv6/conf/all/forwarding", "1", true}};

static int sysctl_write(const struct lab_sysctl *s, const char *path)
{
    AUTO(close_p) int fd = open(path, O_RDWR | O_CLOEXEC);
    AUTO(close_p) int read_fd = -1;
    char was[16] = "";
    int r;

    if (fd >= 0 && write(fd, s->value, strlen(s->value)) > 0)
        return 0;
    r = -errno;
    if (r == -ENOENT && s->may_lack)
        return 0;
    /* Not ours to set, but as it should be. */
    read_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (read_fd >= 0 && read(read_fd, was, sizeof was - 1) > 0 &&
        strncmp(was, s->value, strlen(s->value)) == 0)
        return 0;
    return r;
}

static int sysctls_write(const struct lab_sysctl *s, size_t n, bool *fresh_proc,
                         char detail[SPAWN_DETAIL_SIZE])
{
    for (size_t i = 0; i < n; i++) {
        char path[SPAWN_DETAIL_SIZE - 16];
        int r;

        snprintf(path, sizeof path, "/proc/sys/net/%s", s[i].path);
        r = sysctl_write(&s[i], path);
        /* Containers have /proc/sys read-only; a /proc of our own is not, where it may be mounted. */
        if (r == -EROFS && !*fresh_proc) {
            *fresh_proc = true;
            if (unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) == 0 &&
                mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
                r = sysctl_write(&s[i], path);
        }
        if (r < 0) {
            snprintf(detail, SPAWN_DETAIL_SIZE, "writing %s", path);
            return r;
        }
    }
    return 0;
}

int lab_command_settings(const void *arg, char detail[SPAWN_DETAIL_SIZE])
{
    const struct lab_place *p = arg;
    bool fresh_proc = false;
    int r = sysctls_write(lab_sysctls, ARRAY_SIZE(lab_sysctls), &fresh_proc, detail);

    if (r < 0)
        return r;
    if (p->resource.kind == RESOURCE_ROUTER)
        return sysctls_write(lab_sysctls_router, ARRAY_SIZE(lab_sysctls_router), &fresh_proc,
                             detail);
    return sysctls_write(lab_sysctls_host, ARRAY_SIZE(lab_sysctls_host), &fresh_proc, detail);
}
