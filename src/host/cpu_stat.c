/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu_stat.h"
#include "base/auto.h"
#include "base/clock.h"
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CPU_STAT_FIRST_BYTES = 8192, CPU_STAT_MOST_BYTES = 1 << 20, CPU_STAT_COLUMNS = 8 };

/* Where the columns of a line go. */
static const enum cpu_mode cpu_stat_columns[CPU_STAT_COLUMNS] = {
    CPU_USER, CPU_USER, CPU_SYSTEM, CPU_IDLE, CPU_IDLE, CPU_IRQ, CPU_SOFTIRQ, CPU_STEAL};

/* "cpuN …"; 0 it is no line of a core. */
static int cpu_stat_line(const char *line, uint64_t tick_ns, struct core_cpus *cpus)
{
    struct core_cpu *core;
    uint64_t ticks[CPU_STAT_COLUMNS];
    unsigned id;
    int at = 0, n;

    /* "cpu" alone is the sum; %u would pass over the blanks behind it. */
    if (strncmp(line, "cpu ", 4) == 0 || sscanf(line, "cpu%u%n", &id, &at) != 1 || line[at] != ' ')
        return 0;
    n = sscanf(line + at,
               " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64,
               &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6],
               &ticks[7]);
    if (n < 4)
        return 0;
    core = core_cpus_at(cpus, id);
    if (!core)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        cpus->has[cpu_stat_columns[i]] = true;
        core->ns[cpu_stat_columns[i]] += ticks[i] * tick_ns;
    }
    return 0;
}

int cpu_stat_parse(const char *text, uint64_t tick_ns, struct core_cpus *ret_cpus, struct err *err)
{
    struct core_cpus cpus = {0};
    int r = 0;

    while (r == 0 && text && *text) {
        const char *end = strchr(text, '\n');

        r = cpu_stat_line(text, tick_ns, &cpus);
        text = end ? end + 1 : text + strlen(text);
    }
    if (r == 0 && cpus.n_cores == 0)
        r = -EBADMSG;
    if (r < 0) {
        core_cpus_done(&cpus);
        return err_set(err, r, "CPU times in /proc/stat");
    }
    *ret_cpus = cpus;
    return 0;
}

/* The lines of cores, which come first. What follows (a number an interrupt) may be much longer, and is not asked for. */
static int cpu_stat_text(char **ret_text)
{
    AUTO(close_p) int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    size_t size = CPU_STAT_FIRST_BYTES, used = 0;
    AUTO(free_p) char *text = malloc(size + 1);

    if (fd < 0)
        return -errno;
    while (text && size <= CPU_STAT_MOST_BYTES) {
        ssize_t n = read(fd, text + used, size - used);
        char *grown;

        if (n < 0)
            return -errno;
        used += (size_t)n;
        text[used] = '\0';
        if (n == 0 || strstr(text, "\nintr")) {
            *ret_text = TAKE(text);
            return 0;
        }
        if (used < size)
            continue;
        size *= 2;
        grown = realloc(text, size + 1);
        if (!grown)
            return -ENOMEM;
        text = grown;
    }
    return text ? -EFBIG : -ENOMEM;
}

int cpu_stat_read(struct core_cpus *ret_cpus, struct err *err)
{
    AUTO(free_p) char *text = NULL;
    long hz = sysconf(_SC_CLK_TCK);
    uint64_t tick_ns = hz > 0 ? (uint64_t)CLOCK_S / (uint64_t)hz : 10 * (uint64_t)CLOCK_MS;
    int r = cpu_stat_text(&text);

    return r < 0 ? err_set(err, r, "reading /proc/stat")
                 : cpu_stat_parse(text, tick_ns, ret_cpus, err);
}

bool cpu_stat_machine(uint64_t *ret_machine)
{
    /* FNV-1a, 64 bit, of the text: a boot's number itself is nobody's business. */
    uint64_t hash = 0xcbf29ce484222325;
    char id[64];

    if (host_read_line("/proc/sys/kernel/random/boot_id", id, sizeof id) < 0 || !id[0])
        return false;
    for (const char *p = id; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3;
    *ret_machine = hash;
    return true;
}
