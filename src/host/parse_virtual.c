/* SPDX-License-Identifier: Apache-2.0 */
#include "host/parse.h"

#include "base/auto.h"

#include <stdio.h>
#include <string.h>

/*
 * What a hypervisor signs with, and what machines that it makes are called. Order: the sign that cannot be configured first.
 *
 * source  CPUID leaf 0x40000000: Linux arch/x86/kernel (kvm.c, cpu/vmware.c, cpu/mshyperv.c), QEMU target/i386/kvm,
 *         FreeBSD bhyve; DMI: vendors' own documents
 */
static const struct {
    const char *sign, *word;
} virtual_cpuid[] =
    {
        {"KVMKVMKVM", "kvm"},           {"Linux KVM Hv", "kvm"},       {"TCGTCGTCGTCG", "qemu"},
        {"VMwareVMware", "vmware"},     {"Microsoft Hv", "hyperv"},    {"XenVMMXenVMM", "xen"},
        {"bhyve bhyve ", "bhyve"},      {"ACRNACRNACRN", "acrn"},      {"QNXQVMBSQG", "qnx"},
        {"VBoxVBoxVBox", "virtualbox"}, {" lrpepyh  vr", "parallels"}, {"NVMMNVMMNVMM", "nvmm"},
},
  virtual_dmi[] =
      {
          {"QEMU", "qemu"},
          {"KVM", "kvm"},
          {"OpenStack", "kvm"},
          {"Amazon EC2", "amazon"},
          {"Google Compute Engine", "google"},
          {"VMware", "vmware"},
          {"innotek GmbH", "virtualbox"},
          {"VirtualBox", "virtualbox"},
          {"Oracle Corporation VirtualBox", "virtualbox"},
          {"Xen", "xen"},
          {"Bochs", "bochs"},
          {"Parallels", "parallels"},
          {"BHYVE", "bhyve"},
          {"Virtual Machine", "hyperv"},
          {"Apple Virtualization", "apple"},
},
  virtual_tree[] = {
      {"linux,kvm", "kvm"}, {"xen,xen", "xen"}, {"linux,dummy-virt", "qemu"}, {"vmware", "vmware"}};

static void virtual_tell(struct facts *facts, const char *word, const char *kind, const char *sign)
{
    char text[128];

    snprintf(text, sizeof text, "%s %s", kind, sign);
    facts_put(facts, "virtualisation", word);
    facts_put(facts, "virtualisation_sign", text);
}

/* The flags of the first CPU have "hypervisor". */
static bool virtual_flag(const char *cpuinfo)
{
    const char *flags = cpuinfo ? strstr(cpuinfo, "\nflags") : NULL;
    const char *end = flags ? strchr(flags + 1, '\n') : NULL;
    const char *word = flags ? strstr(flags, " hypervisor") : NULL;

    return word && (!end || word < end) && (word[11] == ' ' || word[11] == '\n' || !word[11]);
}

/* Xen's privileged domain is a machine of its own, whatever else speaks. */
static bool virtual_xen(const struct virtual_signs *signs, struct facts *facts)
{
    if (strstr(signs->xen_capabilities, "control_d"))
        virtual_tell(facts, "xen-dom0", "/proc/xen/capabilities", signs->xen_capabilities);
    else if (strcmp(signs->hypervisor_type, "xen") == 0)
        virtual_tell(facts, "xen", "/sys/hypervisor/type", signs->hypervisor_type);
    else if (signs->proc_xen)
        virtual_tell(facts, "xen", "/proc/xen", "is there");
    else
        return false;
    return true;
}

void parse_virtual(const struct virtual_signs *signs, struct facts *facts)
{
    if (virtual_xen(signs, facts))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(virtual_cpuid); i++)
        if (signs->cpuid[0] && strcmp(signs->cpuid, virtual_cpuid[i].sign) == 0) {
            virtual_tell(facts, virtual_cpuid[i].word, "CPUID", signs->cpuid);
            return;
        }
    for (size_t i = 0; i < ARRAY_SIZE(virtual_dmi); i++) {
        const char *sign = virtual_dmi[i].sign;
        size_t n = strlen(sign);

        if (strncmp(signs->dmi_vendor, sign, n) == 0 || strncmp(signs->dmi_product, sign, n) == 0) {
            virtual_tell(facts, virtual_dmi[i].word, "DMI",
                         strncmp(signs->dmi_vendor, sign, n) == 0 ? signs->dmi_vendor
                                                                  : signs->dmi_product);
            return;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(virtual_tree); i++)
        if (strncmp(signs->device_tree, virtual_tree[i].sign, strlen(virtual_tree[i].sign)) == 0) {
            virtual_tell(facts, virtual_tree[i].word, "device tree", signs->device_tree);
            return;
        }
    if (signs->cpuinfo && strstr(signs->cpuinfo, "User Mode Linux"))
        virtual_tell(facts, "uml", "/proc/cpuinfo", "User Mode Linux");
    else if (signs->cpuid[0])
        virtual_tell(facts, "unknown", "CPUID", signs->cpuid);
    else if (virtual_flag(signs->cpuinfo))
        virtual_tell(facts, "unknown", "/proc/cpuinfo", "flag hypervisor");
    else if (signs->cpuinfo)
        facts_put(facts, "virtualisation", "none");
}

void parse_container(const struct virtual_signs *signs, struct facts *facts)
{
    const char *word = NULL;

    if (signs->kubernetes)
        word = "kubernetes";
    else if (signs->systemd_container[0])
        word = signs->systemd_container;
    else if (signs->containerenv)
        word = "podman";
    else if (signs->dockerenv)
        word = "docker";
    else if (signs->environment[0])
        word = signs->environment;
    if (word)
        facts_put(facts, "container", word);
}
