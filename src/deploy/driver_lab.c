/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lab: nodes, tenant networks, router, external host and VMs as network namespaces of this machine.
 * lab_net.h has the picture; lab_keeper.h says what all of it hangs on.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "deploy/driver.h"
#include "deploy/lab_keeper.h"
#include "deploy/lab_net.h"
#include "deploy/process.h"
#include "deploy/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum {
    LAB_COMMAND_MS = 10000,
    LAB_UP_MS = 5000,    /* from links set up to links that carry */
    LAB_EMPTY_MS = 2000, /* for processes of a namespace to die */
    LAB_POLL_US = 500,
    LAB_GONE_POLL_MS = 5,
    LAB_OUTPUT_SIZE = 16384,
    LAB_PATH_SIZE = 256,
    LAB_PLACES_MAX = 256,
    LAB_DESCRIBED_SIZE = 48,
};

/* A resource that create was called for; with a network namespace unless it is a network. */
struct lab_place {
    bool used;
    struct resource resource;
    int netns_fd;           /* owned; -1 none (yet) */
    unsigned number;        /* of its kind, from 1 */
    struct lab_place *node; /* VM, router, external host: lent by the table; where its links end */
    struct lab_vm_net vm;
    bool floats; /* its floating address is in the router */
};

struct driver_state {
    char ip[LAB_PATH_SIZE], nft[LAB_PATH_SIZE];
    bool v6;
    struct lab_keeper keeper;       /* owned */
    char first[LAB_DESCRIBED_SIZE]; /* the resource that stands for the keeper in the ledger */
    struct lab_place place[LAB_PLACES_MAX];
    unsigned n_vms;                           /* so far; numbers are not used again */
    unsigned next_host[LAB_NETWORKS_MAX + 1]; /* by number of the network */
    unsigned next_floating;
    int *agent; /* owned; pidfds of what was spawned */
    size_t n_agents;
};

/* ---- the table ---- */

static struct lab_place *place_find(struct driver_state *lab, int kind, const char *name)
{
    for (size_t i = 0; i < LAB_PLACES_MAX; i++) {
        struct lab_place *p = &lab->place[i];

        if (p->used && (kind < 0 || p->resource.kind == (enum resource_kind)kind) &&
            (!name || strcmp(p->resource.name, name) == 0))
            return p;
    }
    return NULL;
}

static unsigned place_count(const struct driver_state *lab, enum resource_kind kind)
{
    unsigned n = 0;

    for (size_t i = 0; i < LAB_PLACES_MAX; i++)
        n += lab->place[i].used && lab->place[i].resource.kind == kind;
    return n;
}

/* The node of that number, or NULL. */
static struct lab_place *place_node(struct driver_state *lab, unsigned number)
{
    for (size_t i = 0; i < LAB_PLACES_MAX; i++)
        if (lab->place[i].used && lab->place[i].resource.kind == RESOURCE_NODE &&
            lab->place[i].number == number)
            return &lab->place[i];
    return NULL;
}

static int place_add(struct driver_state *lab, const struct resource *resource,
                     struct lab_place **ret_place, struct err *err)
{
    unsigned n = place_count(lab, resource->kind);

    if (place_find(lab, (int)resource->kind, resource->name))
        return err_set(err, EEXIST, "the lab has it");
    if (resource->kind == RESOURCE_NODE && n >= LAB_NODES_MAX)
        return err_say(err, "the lab has %d nodes and no more", LAB_NODES_MAX);
    if (resource->kind == RESOURCE_NETWORK && n >= LAB_NETWORKS_MAX)
        return err_say(err, "the lab has %d networks and no more", LAB_NETWORKS_MAX);
    if ((resource->kind == RESOURCE_ROUTER || resource->kind == RESOURCE_EXTERNAL) && n)
        return err_say(err, "the lab has one %s and no more", resource_kind_name[resource->kind]);
    for (size_t i = 0; i < LAB_PLACES_MAX; i++) {
        struct lab_place *p = &lab->place[i];

        if (p->used)
            continue;
        *p = (struct lab_place){
            .used = true, .resource = *resource, .netns_fd = -1, .number = n + 1};
        *ret_place = p;
        return 0;
    }
    return err_say(err, "the lab has %d resources and no more", LAB_PLACES_MAX);
}

static void place_drop(struct lab_place *p)
{
    close_p(&p->netns_fd);
    *p = (struct lab_place){.netns_fd = -1};
}

/* ---- commands inside ---- */

enum lab_tool { LAB_IP, LAB_IP_FORCE, LAB_NFT };

struct lab_command {
    enum lab_tool tool;
    const struct lab_place *in;
    const struct lab_place *other; /* seen as fd 7; NULL none */
    const struct lab_text *text;
    int (*prepare)(const void *arg, char detail[SPAWN_DETAIL_SIZE]);
    const void *prepare_arg;
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
    int r = lab_keeper_check(&lab->keeper, err);

    if (r < 0)
        return r;
    if (c->text->full)
        return err_set(err, ENOBUFS, "the text for %s", q.argv[0]);
    lab_keeper_place(&lab->keeper, &q);
    return spawn_run(&q, c->text->text, output, LAB_OUTPUT_SIZE,
                     clock_mono_ns() + (uint64_t)LAB_COMMAND_MS * CLOCK_MS, err);
}

/* The same, where anything but success is an error. */
static int lab_do(struct driver_state *lab, const struct lab_command *c, struct err *err)
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
static int lab_undo(struct driver_state *lab, const struct lab_place *in,
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
static int lab_wait_link(struct driver_state *lab, const struct lab_place *in, const char *link,
                         struct err *err)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)LAB_UP_MS * CLOCK_MS;
    struct lab_text t = {0};
    struct lab_command c = {.tool = LAB_IP, .in = in, .text = &t};

    lab_text_add(&t, "link show dev %s\n", link);
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

static int lab_prepare(const void *arg, char detail[SPAWN_DETAIL_SIZE])
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

/* ---- making ---- */

static int lab_make_netns(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_text t = {0};
    struct lab_command c = {
        .tool = LAB_IP, .in = p, .text = &t, .prepare = lab_prepare, .prepare_arg = p};

    p->netns_fd = lab_keeper_netns(&lab->keeper, err);
    if (p->netns_fd < 0)
        return p->netns_fd;
    lab_text_add(&t, "link set dev lo up\n");
    return lab_do(lab, &c, err);
}

static int lab_make_node(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_place *first = p->number > 1 ? place_node(lab, 1) : NULL;
    struct lab_text t = {0}, t_first = {0};
    struct lab_command c = {.tool = LAB_IP, .in = p, .other = first, .text = &t};
    struct lab_command c_first = {.tool = LAB_IP, .in = first, .text = &t_first};
    int r;

    r = lab_make_netns(lab, p, err);
    if (r < 0)
        return r;
    lab_net_node(&t, p->number, lab->v6);
    r = lab_do(lab, &c, err);
    if (r < 0 || !first)
        return r;
    lab_net_node_first(&t_first, lab->v6);
    r = lab_do(lab, &c_first, err);
    if (r < 0)
        return r;
    r = lab_wait_link(lab, first, "under0", err);
    return r < 0 ? r : lab_wait_link(lab, p, "under0", err);
}

static int lab_make_network(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    bool stretched = place_count(lab, RESOURCE_NODE) > 1;

    if (!place_node(lab, 1))
        return err_say(err, "a network needs a node first");
    for (unsigned i = 1; i <= LAB_NODES_MAX; i++) {
        struct lab_place *node = place_node(lab, i);
        struct lab_text t = {0};
        struct lab_command c = {.tool = LAB_IP, .in = node, .text = &t};
        char link[16];
        int r;

        if (!node)
            continue;
        lab_net_network(&t, p->number, node->number, stretched);
        r = lab_do(lab, &c, err);
        if (r < 0)
            return r;
        snprintf(link, sizeof link, "vx-net%u", p->number);
        if (stretched && (r = lab_wait_link(lab, node, link, err)) < 0)
            return r;
    }
    lab->next_host[p->number] = LAB_HOST_FIRST;
    return 0;
}

static int lab_make_router(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    unsigned n_networks = place_count(lab, RESOURCE_NETWORK);
    struct lab_text t_node = {0}, t = {0}, t_nft = {0};
    struct lab_command c_node = {.tool = LAB_IP, .other = p, .text = &t_node};
    struct lab_command c = {.tool = LAB_IP, .in = p, .text = &t},
                       c_nft = {.tool = LAB_NFT, .in = p, .text = &t_nft};
    int r;

    p->node =
        p->resource.node[0] ? place_find(lab, RESOURCE_NODE, p->resource.node) : place_node(lab, 1);
    if (!p->node || !n_networks)
        return err_say(err, "a router needs its node and a network first");
    r = lab_make_netns(lab, p, err);
    if (r < 0)
        return r;
    c_node.in = p->node;
    lab_net_router_node(&t_node, n_networks);
    lab_net_router(&t, n_networks, lab->v6);
    lab_net_router_nft(&t_nft, n_networks);
    if ((r = lab_do(lab, &c_node, err)) < 0 || (r = lab_do(lab, &c, err)) < 0 ||
        (r = lab_do(lab, &c_nft, err)) < 0)
        return r;
    for (unsigned i = 0; i <= n_networks; i++) {
        char link[16] = "ext", port[20];

        if (i)
            snprintf(link, sizeof link, "net%u", i);
        snprintf(port, sizeof port, "rt-%s", link);
        if ((r = lab_wait_link(lab, p, link, err)) < 0 ||
            (r = lab_wait_link(lab, p->node, port, err)) < 0)
            return r;
    }
    return 0;
}

static int lab_make_external(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_place *router = place_find(lab, RESOURCE_ROUTER, NULL);
    struct lab_text t_node = {0}, t = {0};
    struct lab_command c_node = {.tool = LAB_IP, .other = p, .text = &t_node};
    struct lab_command c = {.tool = LAB_IP, .in = p, .text = &t};
    int r;

    if (!router)
        return err_say(err, "an external host needs the router first");
    p->node = router->node;
    r = lab_make_netns(lab, p, err);
    if (r < 0)
        return r;
    c_node.in = p->node;
    lab_net_external_node(&t_node);
    lab_net_external(&t, lab->v6);
    if ((r = lab_do(lab, &c_node, err)) < 0 || (r = lab_do(lab, &c, err)) < 0)
        return r;
    r = lab_wait_link(lab, p, "eth0", err);
    return r < 0 ? r : lab_wait_link(lab, p->node, "ex-host", err);
}

/* The floating address of a VM, when there is a router to carry it. */
static int lab_float(struct driver_state *lab, struct lab_place *p, bool add, struct err *err)
{
    struct lab_place *router = place_find(lab, RESOURCE_ROUTER, NULL);
    struct lab_text t = {0}, t_nft = {0};
    struct lab_command c = {.tool = LAB_IP, .in = router, .text = &t};
    struct lab_command c_nft = {.tool = LAB_NFT, .in = router, .text = &t_nft};
    int r;

    if (!router || !p->vm.floating || add == p->floats)
        return 0;
    lab_net_floating(&t, &p->vm, add);
    lab_net_floating_nft(&t_nft, &p->vm, add);
    if ((r = lab_do(lab, &c, err)) < 0 || (r = lab_do(lab, &c_nft, err)) < 0)
        return r;
    p->floats = add;
    return 0;
}

static int lab_make_vm(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_place *network = place_find(lab, RESOURCE_NETWORK, p->resource.network);
    struct lab_text t_node = {0}, t = {0};
    struct lab_command c_node = {.tool = LAB_IP, .other = p, .text = &t_node};
    struct lab_command c = {.tool = LAB_IP, .in = p, .text = &t};
    char port[16];
    int r;

    p->node = place_find(lab, RESOURCE_NODE, p->resource.node);
    if (!p->node || !network)
        return err_say(err, "the lab has no %s '%s'", p->node ? "network" : "node",
                       p->node ? p->resource.network : p->resource.node);
    if (lab->next_host[network->number] > LAB_HOST_LAST || lab->next_floating > LAB_FLOATING_LAST)
        return err_say(err, "network %s has no address left", network->resource.name);
    p->vm = (struct lab_vm_net){
        .vm = ++lab->n_vms,
        .network = network->number,
        .host = lab->next_host[network->number]++,
        .floating = place_find(lab, RESOURCE_ROUTER, NULL) ? lab->next_floating++ : 0};
    r = lab_make_netns(lab, p, err);
    if (r < 0)
        return r;
    c_node.in = p->node;
    lab_net_vm_node(&t_node, &p->vm);
    lab_net_vm(&t, &p->vm, lab->v6);
    snprintf(port, sizeof port, "vm%u", p->vm.vm);
    if ((r = lab_do(lab, &c_node, err)) < 0 || (r = lab_do(lab, &c, err)) < 0 ||
        (r = lab_float(lab, p, true, err)) < 0)
        return r;
    r = lab_wait_link(lab, p, "eth0", err);
    return r < 0 ? r : lab_wait_link(lab, p->node, port, err);
}

static void lab_placed(const struct driver_state *lab, const struct lab_place *p,
                       struct placed *ret_placed)
{
    struct placed placed = {.mtu = LAB_MTU};

    for (int v6 = 0; v6 <= (lab->v6 ? 1 : 0); v6++) {
        char *to = v6 ? placed.address_v6 : placed.address;

        switch (p->resource.kind) {
        case RESOURCE_NODE:
            lab_net_node_address(p->number, v6, to);
            break;
        case RESOURCE_ROUTER:
            lab_net_router_address(v6, to);
            break;
        case RESOURCE_EXTERNAL:
            lab_net_external_address(v6, to);
            break;
        case RESOURCE_VM:
            lab_net_vm_address(&p->vm, v6, to);
            break;
        default:
            break; /* a network itself has no address */
        }
    }
    if (p->floats)
        lab_net_floating_address(p->vm.floating, placed.floating);
    if (p->resource.kind == RESOURCE_VM || p->resource.kind == RESOURCE_NETWORK)
        placed.mtu = LAB_TENANT_MTU;
    *ret_placed = placed;
}

typedef int lab_maker(struct driver_state *lab, struct lab_place *p, struct err *err);

static int lab_create(struct driver_state *lab, const struct resource *resource,
                      struct placed *ret_placed, struct err *err)
{
    static lab_maker *const makers[RESOURCE_KIND_COUNT] = {
        lab_make_node, lab_make_network, lab_make_router, lab_make_external, lab_make_vm};
    struct lab_place *p = NULL;
    int r = lab_keeper_check(&lab->keeper, err);

    if (r == 0)
        r = place_add(lab, resource, &p, err);
    if (r == 0)
        r = makers[resource->kind](lab, p, err);
    if (r < 0)
        return err_wrap(err, r, "making %s %s", resource_kind_name[resource->kind], resource->name);
    lab_placed(lab, p, ret_placed);
    return 0;
}

/* ---- removing ---- */

/*
 * A veth whose one end was in a namespace that we let go of is taken down by the kernel, many at a time; removing each by
 * hand would cost a wait of the kernel's each. The node, which goes last, waits until it sees that they are gone.
 */
static int lab_wait_bare(struct driver_state *lab, struct lab_place *node, struct err *err)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)LAB_UP_MS * CLOCK_MS;
    struct lab_text t = {0};
    struct lab_command c = {.tool = LAB_IP, .in = node, .text = &t};

    lab_text_add(&t, "link show\n");
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

/* What a resource has in nodes and in the router beside the ends of its own links. */
static int lab_remove_traces(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_text t = {0};
    int r = 0;

    switch (p->resource.kind) {
    case RESOURCE_NODE:
        if (p->netns_fd < 0)
            return 0;
        lab_text_add(&t, "link del dev under0\n");
        r = lab_undo(lab, p, &t, err);
        return r < 0 ? r : lab_wait_bare(lab, p, err);
    case RESOURCE_NETWORK:
        lab_net_network_remove(&t, p->number);
        for (unsigned i = 1; i <= LAB_NODES_MAX && r == 0; i++)
            if (place_node(lab, i))
                r = lab_undo(lab, place_node(lab, i), &t, err);
        return r;
    case RESOURCE_ROUTER:
        lab_net_router_node_remove(&t);
        return p->node ? lab_undo(lab, p->node, &t, err) : 0;
    case RESOURCE_VM:
        return lab_float(lab, p, false, err);
    default:
        return 0;
    }
}

static int lab_destroy(struct driver_state *lab, const struct resource *resource, struct err *err)
{
    struct lab_place *p = place_find(lab, (int)resource->kind, resource->name);
    int r = 0;

    if (!p)
        return 0;
    /* Without a keeper all processes are gone, and links go with the namespace when we let go of it. */
    if (lab_keeper_check(&lab->keeper, NULL) == 0) {
        if (p->netns_fd >= 0) {
            r = process_empty_netns(p->netns_fd,
                                    clock_mono_ns() + (uint64_t)LAB_EMPTY_MS * CLOCK_MS);
            if (r < 0)
                err_set(err, r, "ending what runs in it");
        }
        if (r == 0)
            r = lab_remove_traces(lab, p, err);
        if (r < 0 && lab_keeper_check(&lab->keeper, NULL) == 0)
            return err_wrap(err, r, "removing %s %s", resource_kind_name[resource->kind],
                            resource->name);
    }
    place_drop(p);
    return 0;
}

/* ---- programs ---- */

/* Keep a pidfd of what we started, and let go of those that were reaped meanwhile. */
static void lab_remember(struct driver_state *lab, pid_t pid)
{
    size_t n = 0;
    int *agent;

    for (size_t i = 0; i < lab->n_agents; i++)
        if (process_is_child(lab->agent[i]))
            lab->agent[n++] = lab->agent[i];
        else
            close(lab->agent[i]);
    lab->n_agents = n;
    agent = reallocarray(lab->agent, n + 1, sizeof *agent);
    if (!agent)
        return;
    lab->agent = agent;
    lab->agent[n] = process_open(pid);
    lab->n_agents += lab->agent[n] >= 0;
}

static int lab_spawn(struct driver_state *lab, const char *name, char *const argv[],
                     struct spawned *ret_spawned, struct err *err)
{
    struct lab_place *p = NULL;
    struct spawn_request q = {.argv = argv, .fresh_sys = true};
    int r = lab_keeper_check(&lab->keeper, err);

    for (int kind = 0; kind < RESOURCE_KIND_COUNT && !p; kind++)
        if (kind != RESOURCE_NETWORK)
            p = place_find(lab, kind, name);
    if (r == 0 && (!p || p->netns_fd < 0))
        r = err_set(err, ENOENT, "the lab has no '%s' to start a program in", name);
    if (r == 0) {
        q.netns_fd = p->netns_fd;
        lab_keeper_place(&lab->keeper, &q);
        r = spawn_start(&q, ret_spawned, err);
    }
    if (r < 0)
        return err_wrap(err, r, "starting an agent in %s", name);
    lab_remember(lab, ret_spawned->pid);
    return 0;
}

static void lab_reap(void *arg)
{
    struct driver_state *lab = arg;

    for (size_t i = 0; i < lab->n_agents; i++)
        process_reap(lab->agent[i], 0);
}

/* ---- begin and end ---- */

static int lab_find_tools(char ip[LAB_PATH_SIZE], char nft[LAB_PATH_SIZE], struct err *err)
{
    if (spawn_find("ip", ip, LAB_PATH_SIZE) < 0)
        return err_set(err, ENOENT, "the lab needs the program 'ip' (apt install iproute2)");
    if (spawn_find("nft", nft, LAB_PATH_SIZE) < 0)
        return err_set(err, ENOENT, "the lab needs the program 'nft' (apt install nftables)");
    return 0;
}

/* A whole number in a file, or -1. */
static long lab_read_number(const char *path)
{
    AUTO(fclose_p) FILE *f = fopen(path, "re");
    long n = -1;

    return f && fscanf(f, "%ld", &n) == 1 ? n : -1;
}

/* Why could namespaces not be made, and what helps? */
static int lab_why_not(int code, struct err *err)
{
    static const struct {
        const char *path;
        bool when_zero;
        const char *mend;
    } rows[] = {
        {"/proc/sys/kernel/unprivileged_userns_clone", true,
         "sysctl kernel.unprivileged_userns_clone=1"},
        {"/proc/sys/user/max_user_namespaces", true, "sysctl user.max_user_namespaces=10000"},
        {"/proc/sys/user/max_net_namespaces", true, "sysctl user.max_net_namespaces=10000"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", false,
         "sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        long n = lab_read_number(rows[i].path);

        if (n >= 0 && (n == 0) == rows[i].when_zero)
            return err_set(err, code,
                           "the lab needs network namespaces; %s forbids them to this user: run as "
                           "root, or as "
                           "root once: %s",
                           rows[i].path, rows[i].mend);
    }
    return err_set(
        err, code,
        geteuid() == 0
            ? "the lab needs network namespaces, and this root may not make them: a container "
              "needs CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW"
            : "the lab needs network namespaces, and this user may not make them: run as root");
}

static int lab_probe(struct err *err)
{
    char ip[LAB_PATH_SIZE], nft[LAB_PATH_SIZE];
    struct lab_keeper keeper = {0};
    struct err why = {0};
    int r = lab_find_tools(ip, nft, err), fd;

    if (r < 0)
        return r;
    /* The thing itself, and gone at once: no list of rules would be as right. */
    r = lab_keeper_start("", &keeper, &why);
    if (r < 0 && (r == -EPERM || r == -EACCES || r == -ENOSPC || r == -EUSERS))
        return lab_why_not(r, err);
    fd = r < 0 ? r : lab_keeper_netns(&keeper, &why);
    if (fd >= 0)
        close(fd);
    lab_keeper_stop(&keeper, NULL, NULL);
    if (fd == -EPERM || fd == -EACCES || fd == -ENOSPC)
        return lab_why_not(fd, err);
    if (fd < 0) {
        if (err)
            *err = why;
        return err_wrap(err, fd, "the lab cannot be built here");
    }
    return 0;
}

static void lab_close(struct driver_state *lab)
{
    if (!lab)
        return;
    lab_keeper_stop(&lab->keeper, lab_reap, lab);
    for (size_t i = 0; i < LAB_PLACES_MAX; i++)
        if (lab->place[i].used)
            place_drop(&lab->place[i]);
    for (size_t i = 0; i < lab->n_agents; i++)
        close(lab->agent[i]);
    free(lab->agent);
    free(lab);
}

static void lab_close_p(struct driver_state **lab) { lab_close(*lab); }

static int lab_open(const char *run_id, const char *ledger_path, struct driver_state **ret_state,
                    struct err *err)
{
    AUTO(lab_close_p) struct driver_state *lab = calloc(1, sizeof *lab);
    AUTO(free_p) char *path = NULL;
    int r;

    if (!lab)
        return err_set(err, ENOMEM, "the lab of run %s", run_id);
    lab->next_floating = LAB_FLOATING_FIRST;
    lab->v6 = access("/proc/sys/net/ipv6", F_OK) == 0;
    r = lab_find_tools(lab->ip, lab->nft, err);
    if (r < 0)
        return r;
    /* The keeper may stand elsewhere when it has to remove it. */
    if (ledger_path && !(path = realpath(ledger_path, NULL)))
        return err_set(err, errno, "the lab of run %s: ledger %s", run_id, ledger_path);
    r = lab_keeper_start(path ? path : "", &lab->keeper, err);
    if (r < 0)
        return err_wrap(err, r, "the lab of run %s", run_id);
    *ret_state = TAKE(lab);
    return 0;
}

/* ---- the ledger ---- */

static int lab_describe(struct driver_state *lab, const struct resource *resource, char *ret_text,
                        size_t size)
{
    char name[LAB_DESCRIBED_SIZE];
    int n;

    snprintf(name, sizeof name, "%s %s", resource_kind_name[resource->kind], resource->name);
    if (!lab->first[0])
        text_copy(lab->first, sizeof lab->first, name);
    if (strcmp(lab->first, name) == 0)
        n = snprintf(ret_text, size, "keeper pid=%d start=%llu", (int)lab->keeper.pid,
                     (unsigned long long)lab->keeper.start);
    else
        n = snprintf(ret_text, size, "%s", name);
    return n < 0 || (size_t)n >= size ? -ENOBUFS : 0;
}

/* "keeper pid=N start=S", exactly. */
static int lab_parse_keeper(const char *text, pid_t *ret_pid, uint64_t *ret_start)
{
    uint64_t pid = 0, start = 0;
    char digits[24];
    int n = 0;

    if (sscanf(text, "keeper pid=%20[0-9]%n", digits, &n) != 1 ||
        text_count(digits, 1, INT_MAX, &pid, NULL) < 0)
        return -EINVAL;
    text += n;
    if (sscanf(text, " start=%20[0-9]%n", digits, &n) != 1 || text[n] ||
        text_count(digits, 0, INT64_MAX, &start, NULL) < 0)
        return -EINVAL;
    *ret_pid = (pid_t)pid;
    *ret_start = start;
    return 0;
}

static int lab_clean(const char *text, struct err *err)
{
    AUTO(close_p) int pidfd = -1;
    uint64_t start = 0, now = 0;
    pid_t pid = 0;
    int r;

    if (lab_parse_keeper(text, &pid, &start) < 0) {
        /* All but the keeper live by it, and by the process that the run was. */
        for (int kind = 0; kind < RESOURCE_KIND_COUNT; kind++) {
            size_t len = strlen(resource_kind_name[kind]);

            if (strncmp(text, resource_kind_name[kind], len) == 0 && text[len] == ' ' &&
                text[len + 1])
                return 0;
        }
        return err_say(err, "'%s' is nothing that the lab makes", text);
    }
    /* The pidfd first: the start time then certainly is that of the process it stands for. */
    pidfd = process_open(pid);
    if (pidfd == -ESRCH || (pidfd >= 0 && (process_start(pid, &now) < 0 || now != start)))
        return 0;
    if (pidfd < 0)
        return err_set(err, pidfd, "the lab's keeper (pid %d)", (int)pid);
    r = process_signal(pidfd, SIGKILL);
    if (r == 0)
        r = process_wait(pidfd, clock_mono_ns() + (uint64_t)LAB_EMPTY_MS * CLOCK_MS);
    if (r < 0 && r != -ESRCH)
        return err_set(err, r, "ending the lab's keeper (pid %d)", (int)pid);
    return 1;
}

const struct driver driver_lab = {
    .name = "lab",
    .summary = "nodes, networks, router and NAT made of network namespaces on this machine",
    .probe = lab_probe,
    .open = lab_open,
    .close = lab_close,
    .create = lab_create,
    .destroy = lab_destroy,
    .spawn = lab_spawn,
    .describe = lab_describe,
    .clean = lab_clean,
};
