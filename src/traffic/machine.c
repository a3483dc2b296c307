/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/machine.h"
#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

int machine_cpu_read(struct machine_cpu *ret_cpu)
{
    AUTO(close_p) int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    char text[512]; /* its first line is shorter */
    uint64_t t[8] = {0};
    long hz = sysconf(_SC_CLK_TCK), n = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t tick_ns = hz > 0 ? (uint64_t)CLOCK_S / (uint64_t)hz : 10 * CLOCK_MS;
    ssize_t n_text = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (n_text < 0)
        return -errno;
    text[n_text] = '\0';
    /* user nice system idle iowait irq softirq steal; the last three came one by one, so four are enough. */
    if (sscanf(text,
               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64 " %" SCNu64,
               &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) < 4)
        return -EBADMSG;
    *ret_cpu = (struct machine_cpu){
        .user_ns = (t[0] + t[1]) * tick_ns,
        .system_ns = t[2] * tick_ns,
        .softirq_ns = (t[5] + t[6]) * tick_ns,
        .steal_ns = t[7] * tick_ns,
        .idle_ns = (t[3] + t[4]) * tick_ns,
        .n_cpus = n > 0 ? (uint32_t)n : 1,
    };
    return 0;
}
