/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lab: nodes, tenant networks, router, external host and VMs as network namespaces of this machine.
 * lab_net.h has the picture; lab_keeper.h says what all of it hangs on.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "deploy/driver.h"
#include "deploy/lab.h"
#include "deploy/process.h"
#include "deploy/spawn.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

enum { LAB_EMPTY_MS = 2000 }; /* for processes of a namespace to die */

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

static int lab_create(struct driver_state *lab, const struct resource *resource,
                      struct placed *ret_placed, struct err *err)
{
    struct lab_place *p = NULL;
    int r = lab_keeper_check(&lab->keeper, err);

    if (r == 0)
        r = lab_make_place(lab, resource, &p, err);
    if (r == 0 && p)
        r = lab_make(lab, p, err);
    if (r < 0 || !p)
        return err_wrap(err, r, "making %s %s", resource_kind_name[resource->kind], resource->name);
    lab_placed(lab, p, ret_placed);
    return 0;
}

/* ---- removing ---- */

static int lab_destroy(struct driver_state *lab, const struct resource *resource, struct err *err)
{
    struct lab_place *p = lab_make_find(lab, (int)resource->kind, resource->name);
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
            r = lab_make_remove(lab, p, err);
        if (r < 0 && lab_keeper_check(&lab->keeper, NULL) == 0)
            return err_wrap(err, r, "removing %s %s", resource_kind_name[resource->kind],
                            resource->name);
    }
    lab_make_drop(p);
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
    struct spawn_request q = {.argv = argv, .own_mounts = true};
    int r = lab_keeper_check(&lab->keeper, err);

    for (int kind = 0; kind < RESOURCE_KIND_COUNT && !p; kind++)
        if (kind != RESOURCE_NETWORK)
            p = lab_make_find(lab, kind, name);
    if (r == 0 && (!p || p->netns_fd < 0))
        r = err_set(err, ENOENT, "the lab has no '%s' to start a program in", name);
    if (r == 0 && p) {
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

/* A sentence that needs no words of errno behind it, with a code all the same. */
static int lab_refuse(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int lab_refuse(struct err *err, int code, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_say(err, "%s", text);
    if (err)
        err->code = code;
    return -code;
}

static int lab_find_tools(char ip[LAB_PATH_SIZE], char nft[LAB_PATH_SIZE], struct err *err)
{
    if (spawn_find("ip", ip, LAB_PATH_SIZE) < 0)
        return lab_refuse(err, ENOENT, "the lab needs the program 'ip' (apt install iproute2)");
    if (spawn_find("nft", nft, LAB_PATH_SIZE) < 0)
        return lab_refuse(err, ENOENT, "the lab needs the program 'nft' (apt install nftables)");
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
static int lab_why_not(struct err *err)
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
            return lab_refuse(
                err, EPERM,
                "the lab needs network namespaces; %s forbids them to this user: run as "
                "root, or as "
                "root once: %s",
                rows[i].path, rows[i].mend);
    }
    return lab_refuse(
        err, EPERM,
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
        return lab_why_not(err);
    fd = r < 0 ? r : lab_keeper_netns(&keeper, &why);
    if (fd >= 0)
        close(fd);
    lab_keeper_stop(&keeper, NULL, NULL);
    if (fd == -EPERM || fd == -EACCES || fd == -ENOSPC)
        return lab_why_not(err);
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
            lab_make_drop(&lab->place[i]);
    for (size_t i = 0; i < lab->n_agents; i++)
        close(lab->agent[i]);
    free(lab->agent);
    free(lab);
}

static void lab_close_p(struct driver_state **lab) { lab_close(*lab); }

static int lab_open(const char *run_id, const struct driver_setup *setup,
                    struct driver_state **ret_state, struct err *err)
{
    const char *ledger_path = setup ? setup->ledger_path : NULL;
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

static int lab_explain(const struct resource *const resources[], size_t n_resources,
                       driver_explain_fn *tell, void *arg, struct err *err)
{
    AUTO(free_p) struct driver_state *lab = calloc(1, sizeof *lab);
    int r = 0;

    if (!lab)
        return err_set(err, ENOMEM, "explaining the lab");
    lab->next_floating = LAB_FLOATING_FIRST;
    lab->v6 = access("/proc/sys/net/ipv6", F_OK) == 0;
    lab->tell = tell;
    lab->tell_arg = arg;
    for (size_t i = 0; i < n_resources && r == 0; i++) {
        struct lab_place *p = NULL;

        r = lab_make_place(lab, resources[i], &p, err);
        if (r == 0 && p)
            r = lab_make(lab, p, err);
    }
    return r;
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
    .explain = lab_explain,
    .describe = lab_describe,
    .clean = lab_clean,
};
