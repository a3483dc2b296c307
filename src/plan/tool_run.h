/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/measure.h"

/*
 * nuttcp or iperf as processes of their own at both ends, for those who need the numbers that these give: VMTP's command
 * lines, and what they print as a measurement.
 *
 * The processes are started like agents, by the driver of the ends, so they stand in the ends' namespaces. Each is started by
 * a shell that watches its own stdin: it ends the tool when we go, wherever that is. Output is kept up to TOOL_OUTPUT
 * bytes, the rest is read and dropped.
 *
 * errors  -ENOPKG the tool is not at an end (the sentence names the package); -ETIMEDOUT; -ECANCELED a signal came;
 *         -ENODATA it gave no result
 */
enum tool { TOOL_NONE, TOOL_NUTTCP, TOOL_IPERF, TOOL_COUNT };
/* "", "nuttcp", "iperf". */
extern const char *const tool_name[TOOL_COUNT];

enum { TOOL_OUTPUT = 16384 };

struct tool_ends {
    void *arg;
    /* Start argv at the client's or the server's end, as spawn_local() does. */
    int (*spawn)(void *arg, bool server, char *const argv[], struct spawned *ret_spawned,
                 struct err *err);
    const char *client, *server; /* lent: for people */
};

/* The tool of that name. */
int tool_find(const char *name, enum tool *ret_tool, struct err *err);

/* Where the server takes its control connection: nuttcp behind its data ports, one a flow, VMTP's 5001 and 5002. */
unsigned tool_control_port(enum tool tool, const struct measure_ask *ask);

/* What the tool cannot do is -EINVAL with a sentence. */
int tool_check(enum tool tool, const struct measure_ask *ask, struct err *err);

/*
 * Adds one measurement to the scenario, also when it failed. Ports that are taken are passed over up to spec.port_last. path's agents are kept alive meanwhile, and do nothing.
 */
int tool_measure(enum tool tool, const struct tool_ends *ends, const struct measure_path *path,
                 const struct measure_ask *ask, struct scenario_result *scenario, struct err *err);

/* The words of a command line, for a person: the server's or the client's. At most size bytes, cut. */
void tool_say(enum tool tool, const struct measure_ask *ask, const char *address, bool server,
              char *ret, size_t size);
