/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/host.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

/* Those that what we do may need. */
static const struct {
    unsigned number;
    const char *name;
} privileges[] = {
    {CAP_NET_ADMIN, "net_admin"}, {CAP_NET_RAW, "net_raw"}, {CAP_SYS_ADMIN, "sys_admin"},
    {CAP_SYS_NICE, "sys_nice"},   {CAP_PERFMON, "perfmon"}, {CAP_BPF, "bpf"},
};

void privilege_facts(struct facts *facts)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    char text[FACT_VALUE_SIZE] = "";
    size_t used = 0;

    facts_put_number(facts, "user_id", geteuid());
    if (syscall(SYS_capget, &header, data) < 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(privileges); i++) {
        unsigned n = privileges[i].number;

        if (data[n / 32].effective & 1U << n % 32)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "",
                                     privileges[i].name);
    }
    facts_put(facts, "capabilities", used ? text : "none");
}
