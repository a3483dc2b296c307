/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Files and commands' outputs to facts: text in, facts out, no I/O. What is not understood is left out.
 *
 * shape   texts end with 0 and may be cut off anywhere
 * source  named at each function
 */
enum { PARSE_CPUINFO_SIZE = 128 * 1024, PARSE_INTERRUPTS_SIZE = 512 * 1024, PARSE_MAX_IRQS = 256 };

/* A whole number and nothing else, blanks around it aside; ret has its digits. */
bool parse_number(const char *text, char ret[FACT_VALUE_SIZE]);
/* The word in brackets, "always [madvise] never"; false when there is none. */
bool parse_bracket(const char *text, char *ret, size_t size);
/* /proc/meminfo: MemTotal as memory_bytes. */
void parse_meminfo(const char *text, struct facts *facts);
/* os-release(5): distribution and its two parts. */
void parse_os_release(const char *text, struct facts *facts);
/* /proc/cpuinfo of x86, ARM, POWER, s390 and RISC-V: cpu and cpu_sockets. */
void parse_cpuinfo(const char *text, struct facts *facts);

/* ---- virtualisation ---- */

struct virtual_signs {
    const char *cpuinfo; /* lent; NULL none */
    char cpuid[13];      /* of leaf 0x40000000; "" there is no hypervisor, or not x86 */
    char dmi_vendor[64], dmi_product[64];
    char hypervisor_type[16];  /* /sys/hypervisor/type */
    char xen_capabilities[64]; /* /proc/xen/capabilities */
    bool proc_xen;
    char device_tree[64]; /* /proc/device-tree/hypervisor/compatible */
    char systemd_container[32], environment[32];
    bool dockerenv, containerenv, kubernetes;
};
/* virtualisation ("none" when nothing speaks for it) and virtualisation_sign; container. */
void parse_virtual(const struct virtual_signs *signs, struct facts *facts);
void parse_container(const struct virtual_signs *signs, struct facts *facts);

/* ---- interrupts ---- */

struct parse_irq {
    unsigned number;
    char name[48]; /* the last word of its line */
};
/*
 * Lines of /proc/interrupts that belong to an interface: those in numbers (n_numbers of them) when there are any, else those
 * whose name has ifname as a word. Returns how many, at most max.
 */
unsigned parse_interrupts(const char *text, const char *ifname, const unsigned *numbers,
                          unsigned n_numbers, struct parse_irq *ret, unsigned max);

/* A mask of CPUs, "00000000,0000000f", without what is 0 in front: "f". "0" none. false when it is no mask. */
bool parse_mask(const char *text, char *ret, size_t size);

/* ---- chrony ---- */

/* `chronyc -c -n tracking`: one line, 14 fields between commas. false when it is none. */
bool parse_chronyc(const char *text, struct facts *facts);
/* The answer of chronyd's command port to REQ_TRACKING. false when it is none. source: chrony's candm.h, version 6 */
bool parse_chrony_packet(const unsigned char *packet, size_t size, uint32_t sequence,
                         struct facts *facts);

/* ---- packages ---- */

/*
 * "NAME VERSION" a line, of rpm, or "ii NAME VERSION", of dpkg-query: those of OpenStack, OVS and OVN that are installed,
 * which release they are, and which L2 agents.
 */
void parse_packages(const char *text, struct facts *facts);
/* The packages that are asked for, one by one; NULL behind the last. */
const char *parse_package_name(unsigned i);
/* Which release a version of nova, neutron, keystone … is of: "Zed"; NULL unknown. */
const char *parse_release(const char *project, const char *version);
/* The version of the package of the first agent in l2_agent. false when there is none. */
bool parse_l2_version(const struct facts *facts, char *ret, size_t size);
/* "ovs-vsctl (Open vSwitch) 2.17.9": the version. false when there is none. */
bool parse_tool_version(const char *text, char *ret, size_t size);
/* An L2 agent by the words of a process's command line (args, n bytes, 0 between): "openvswitch"; NULL none. */
const char *parse_l2_process(const char *args, size_t n);
