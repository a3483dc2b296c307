/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/ssh_note.h"
#include "base/log.h"

#include <string.h>

void ssh_note_say(const struct run_result *run, const struct pair_options *pair, const char *wanted)
{
    if (!wanted || pair->become)
        return;
    for (uint32_t i = 0; i < run->n_nodes; i++) {
        const struct node_result *node = &run->nodes[i];
        const char *may = facts_get(&node->facts, "capabilities");

        if (strncmp(node->name, "ssh://", 6) == 0 && may &&
            !(strstr(may, "net_admin") && strstr(may, "net_raw")))
            log_say(LOG_WARN,
                    "the agent at %s is not root, which %s may need: it has no raw sockets, no "
                    "captures and no programs in the kernel, no buffers above the host's limits, "
                    "no higher priority (--become starts it by sudo)",
                    node->name, wanted);
    }
}

const char *ssh_note_wanted(const struct pair_options *pair)
{
    for (unsigned i = 0; i < pair->n_asks; i++) {
        if (pair->asks[i].spec.kind == FLOW_ICMP_ECHO)
            return "ICMP";
        if (pair->asks[i].spec.window_bytes)
            return "--window";
    }
    return pair->nice < 0 ? "--nice" : NULL;
}
