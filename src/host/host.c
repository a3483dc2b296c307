/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"

#include "base/auto.h"
#include "base/clock.h"
#include "host/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HOST_LOOK_MS = 20,
    HOST_DEAD_MS = 200, /* for a killed child to be gone; one that hangs in the kernel stays */
};

enum { HOST_FEW = 3 };
static const struct host_step host_steps[] = {
    {kernel_step_names, "kernel", HOST_STEP_MS},
    {privilege_step, "capabilities", HOST_STEP_MS},
    {address_step, "addresses", HOST_STEP_MS},
    {kernel_step_distribution, "distribution", HOST_STEP_MS},
    {kernel_step_virtual, "virtualisation", HOST_STEP_MS},
    {cpu_step_info, "cpu", HOST_STEP_MS},
    {cpu_step_governor, "cpu_governor", HOST_STEP_MS},
    {cpu_step_numa, "numa_nodes", HOST_STEP_MS},
    {cpu_step_memory, "memory_bytes", HOST_STEP_MS},
    {nic_step_choose, "nic", HOST_STEP_MS},
    {nic_step_link, "mtu_bytes", HOST_STEP_MS},
    {nic_step_qdisc, "nic_qdisc", HOST_STEP_MS},
    {nic_step_driver, "nic_driver", HOST_STEP_MS},
    {nic_step_speed, "nic_speed_bps", HOST_STEP_MS},
    {nic_step_channels, "nic_combined_channels", HOST_STEP_MS},
    {nic_step_rings, "nic_rx_ring", HOST_STEP_MS},
    {nic_step_coalesce, "nic_rx_coalesce_us", HOST_STEP_MS},
    {nic_step_offloads, "offloads", HOST_STEP_MS},
    {nic_step_device, "nic_model", HOST_STEP_MS},
    {nic_step_queues, "nic_rps_cpus", HOST_STEP_MS},
    {nic_step_irqs, "nic_irq_cpus", HOST_STEP_MS},
    {nic_step_lower, "nic_lower_driver", HOST_STEP_MS},
    {timekeeping_step_kernel, "clock_synchronised", HOST_STEP_MS},
    {timekeeping_step_daemons, "clock_daemons", HOST_STEP_MS},
    {timekeeping_step_chrony, "chrony_offset_ns", HOST_STEP_MS},
};

/* They start programs, which have a deadline of their own before this one. */
static const struct host_step host_node_steps[] = {
    {node_step_packages, "openstack_packages", 2 * HOST_ALL_MS},
    {node_step_agent, "l2_agent", HOST_ALL_MS},
    {node_step_ovs, "ovs_version", 2 * HOST_ALL_MS},
    {node_step_chronyc, "chrony_offset_ns", HOST_ALL_MS},
};

/* Between us and the child: after step k its facts stand in side[k % 2], so that the last whole ones are never written to. */
struct host_shared {
    _Atomic unsigned n_done;
    struct facts side[2];
};

_Noreturn static void host_child(const struct host_step *steps, unsigned first, unsigned n_steps,
                                 const struct host_ask *ask, struct facts *facts,
                                 struct host_shared *shared)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = first; i < n_steps; i++) {
        if (steps[i].call)
            steps[i].call(ask, facts);
        else
            kernel_row(facts_row(steps[i].key), facts);
        shared->side[i % 2] = *facts;
        atomic_store(&shared->n_done, i + 1);
    }
    _exit(0);
}

/* Until the child has ended (which closes its end of the pipe), gets nowhere for its step's time, or all is over. */
static void host_watch(int fd, const struct host_shared *shared, const struct host_step *steps,
                       unsigned n_steps, uint64_t deadline_ns)
{
    uint64_t since_ns = clock_mono_ns();
    unsigned seen = atomic_load(&shared->n_done);

    for (;;) {
        uint64_t now = clock_mono_ns(), until;
        unsigned done = atomic_load(&shared->n_done);
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (done > seen) {
            seen = done;
            since_ns = now;
        }
        until = since_ns + (uint64_t)(seen < n_steps ? steps[seen].wait_ms : 0) * CLOCK_MS;
        until = until < deadline_ns ? until : deadline_ns;
        if (now >= until)
            return;
        /* Steps that are done wake nobody: in between it is looked which one it is at. */
        if (until > now + (uint64_t)HOST_LOOK_MS * CLOCK_MS)
            until = now + (uint64_t)HOST_LOOK_MS * CLOCK_MS;
        if (poll(&p, 1, clock_ms_until(until)) > 0)
            return;
    }
}

static void host_reap(pid_t pid)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)HOST_DEAD_MS * CLOCK_MS;

    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, WNOHANG) == 0 && clock_mono_ns() < deadline_ns)
        clock_sleep_until(clock_mono_ns() + CLOCK_MS);
}

/* The steps from first on in a child; returns which comes next, and facts has what was told. */
static unsigned host_run(const struct host_step *steps, unsigned first, unsigned n_steps,
                         const struct host_ask *ask, struct facts *facts, uint64_t deadline_ns)
{
    struct host_shared *shared =
        /* cppcheck-suppress invalidFunctionArg ; an anonymous mapping has no file */
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned next = first;
    int pair[2];
    pid_t pid;

    if (shared == MAP_FAILED)
        return first;
    atomic_store(&shared->n_done, first);
    if (pipe2(pair, O_CLOEXEC) == 0) {
        pid = fork();
        if (pid == 0)
            host_child(steps, first, n_steps, ask, facts, shared);
        close(pair[1]);
        if (pid > 0) {
            host_watch(pair[0], shared, steps, n_steps, deadline_ns);
            host_reap(pid);
            next = atomic_load(&shared->n_done);
        }
        close(pair[0]);
    }
    if (next > first)
        *facts = shared->side[(next - 1) % 2];
    munmap(shared, sizeof *shared);
    return next;
}

void host_gather(const struct host_step *steps, unsigned n_steps, const struct host_ask *ask,
                 unsigned all_ms, struct facts *facts)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)all_ms * CLOCK_MS;

    for (unsigned next = 0; next < n_steps; next++) {
        if (clock_mono_ns() >= deadline_ns) {
            facts_miss(facts, steps[next].key, "the facts before it took too long");
            continue;
        }
        next = host_run(steps, next, n_steps, ask, facts, deadline_ns);
        if (next < n_steps)
            facts_miss(facts, steps[next].key, "no answer");
    }
}

void host_facts_asked(const struct host_ask *ask, struct facts *facts)
{
    struct host_step steps[ARRAY_SIZE(host_steps) + ARRAY_SIZE(host_node_steps) + FACTS_MAX];
    const struct host_ask nothing = {0};
    unsigned n = ARRAY_SIZE(host_steps);

    ask = ask ? ask : &nothing;
    if (ask->few) {
        host_gather(host_steps, HOST_FEW, ask, HOST_ALL_MS, facts);
        return;
    }
    memcpy(steps, host_steps, sizeof host_steps);
    for (const struct fact_row *row = fact_rows; row->key && n < ARRAY_SIZE(steps); row++)
        if (row->path)
            steps[n++] = (struct host_step){NULL, row->key, HOST_STEP_MS};
    if (ask->node) {
        memcpy(steps + n, host_node_steps, sizeof host_node_steps);
        n += ARRAY_SIZE(host_node_steps);
    }
    host_gather(steps, n, ask, ask->node ? HOST_NODE_MS : HOST_ALL_MS, facts);
}

void host_facts(struct facts *facts) { host_facts_asked(NULL, facts); }

/* ---- files ---- */

int host_read_text(const char *path, char *ret, size_t size)
{
    AUTO(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t used = 0;

    if (fd < 0)
        return -errno;
    while (used < size - 1) {
        ssize_t n = read(fd, ret + used, size - 1 - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    ret[used] = 0;
    return (int)used;
}

int host_read_line(const char *path, char *ret, int size)
{
    int n = host_read_text(path, ret, (size_t)size);

    if (n <= 0)
        return n < 0 ? n : -ENODATA;
    ret[strcspn(ret, "\n")] = 0;
    for (char *p = ret; *p; p++)
        if (*p == '\t')
            *p = ' ';
    return 0;
}

void host_miss(struct facts *facts, const char *key, int code)
{
    code = code < 0 ? -code : code;
    if (code == ENOENT || code == EOPNOTSUPP || code == ENODATA || code == EINVAL ||
        code == ENOTDIR || code == ENODEV)
        return;
    facts_miss(facts, key, strerror(code));
}

void host_put_line(struct facts *facts, const char *key, const char *path)
{
    char text[FACT_VALUE_SIZE];
    int r = host_read_line(path, text, (int)sizeof text);

    if (r < 0)
        host_miss(facts, key, r);
    else
        facts_put(facts, key, text);
}
