/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/facts.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Facts of the machine (and network namespace) this process runs in. What cannot be had is left out, or missing with a reason
 * where that tells something. model/facts.def says how each is had.
 */

/* What is asked for beyond the machine's own. */
struct host_ask {
    char address[64]; /* data address: our own, or one that we send to; "" unknown */
    bool node;        /* what a node of a cloud has: packages, L2 agent, Open vSwitch */
    bool few;         /* only who it is and where it is reached: kernel, capabilities, addresses */
};

enum {
    HOST_STEP_MS = 1500,  /* without an answer a question is given up */
    HOST_ALL_MS = 4000,   /* all that has no programs to run */
    HOST_NODE_MS = 12000, /* all */
};

/*
 * All facts, gathered by a child: a question that the kernel does not answer costs that fact and not the process.
 * ask may be NULL.
 */
void host_facts_asked(const struct host_ask *ask, struct facts *facts);
void host_facts(struct facts *facts);

/* ---- the questions, in this process ---- */

/* kernel, distribution, virtualisation, and every fact whose row names a file */
void kernel_facts(struct facts *facts);
/* model, count, governor, NUMA nodes, memory */
void cpu_facts(struct facts *facts);
/* the interface that carries the data address, else the default route, else the first that is up, and what it is like */
void nic_facts(struct facts *facts);
/* user_id and capabilities: "net_raw net_admin …" of this process, of those that measuring may need, or "none" */
void privilege_facts(struct facts *facts);
/* addresses of every interface that is up, but loopback and link-local ones */
void address_facts(struct facts *facts);

/* First line of a small file without its newline, tabs as blanks; -errno. */
int host_read_line(const char *path, char *ret, int size);
/* A file up to size - 1 bytes, ended by 0; its length, or -errno. */
int host_read_text(const char *path, char *ret, size_t size);
/* A line of a file as a fact: nothing when there is none, missing when it may not be read. */
void host_put_line(struct facts *facts, const char *key, const char *path);
/* What a failed question says: nothing for what is not there or not supported, else missing with the errno's words. */
void host_miss(struct facts *facts, const char *key, int code);
