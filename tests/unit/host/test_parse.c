/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A fact is this text, or with NULL not there. */
static void fact_is(const struct facts *facts, const char *key, const char *value)
{
    const char *got = facts_get(facts, key);

    if (!value && got)
        fail_msg("%s is '%s' and should not be there", key, got);
    if (value && !got)
        fail_msg("%s is not there, not '%s'", key, value);
    if (value)
        assert_string_equal(got, value);
}

static const char cpuinfo_x86[] = "processor\t: 0\n"
                                  "vendor_id\t: GenuineIntel\n"
                                  "cpu family\t: 6\n"
                                  "model\t\t: 106\n"
                                  "model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz\n"
                                  "stepping\t: 6\n"
                                  "physical id\t: 0\n"
                                  "siblings\t: 2\n"
                                  "flags\t\t: fpu vme de pse tsc msr hypervisor lahf_lm abm\n"
                                  "bugs\t\t: spectre_v1 spectre_v2\n"
                                  "\n"
                                  "processor\t: 1\n"
                                  "vendor_id\t: GenuineIntel\n"
                                  "model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz\n"
                                  "physical id\t: 1\n"
                                  "flags\t\t: fpu vme de pse tsc msr hypervisor lahf_lm abm\n"
                                  "\n";

static const char cpuinfo_arm[] = "processor\t: 0\n"
                                  "BogoMIPS\t: 50.00\n"
                                  "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics\n"
                                  "CPU implementer\t: 0x41\n"
                                  "CPU architecture: 8\n"
                                  "CPU variant\t: 0x3\n"
                                  "CPU part\t: 0xd0c\n"
                                  "CPU revision\t: 1\n"
                                  "\n";

static const char cpuinfo_power[] = "processor\t: 0\n"
                                    "cpu\t\t: POWER9 (raw), altivec supported\n"
                                    "clock\t\t: 2166.000000MHz\n"
                                    "revision\t: 2.2 (pvr 004e 1202)\n";

static void test_cpus_of_several_kinds_have_a_model(void **state)
{
    static const struct {
        const char *text, *model, *sockets;
    } rows[] = {
        {cpuinfo_x86, "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", "2"},
        {cpuinfo_arm, "ARM Neoverse-N1", NULL},
        {"CPU implementer\t: 0x99\nCPU part\t: 0x123\n", "implementer 0x99 part 0x123", NULL},
        {"CPU implementer\t: 0x41\n", NULL, NULL},
        {cpuinfo_power, "POWER9 (raw), altivec supported", NULL},
        {"processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\nuarch\t\t: sifive,u74-mc\n",
         "sifive,u74-mc", NULL},
        {"model name\t:\n", NULL, NULL},
        {"", NULL, NULL},
        {"model name", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct facts facts = {0};

        parse_cpuinfo(rows[i].text, &facts);
        fact_is(&facts, "cpu", rows[i].model);
        fact_is(&facts, "cpu_sockets", rows[i].sockets);
    }
}

static void test_os_release_is_unquoted(void **state)
{
    static const struct {
        const char *text, *name, *id, *version;
    } rows[] = {
        {"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n"
         "VERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nID=debian\n",
         "Debian GNU/Linux 12 (bookworm)", "debian", "12"},
        {"NAME='CentOS Stream'\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID='9'\n"
         "PRETTY_NAME='CentOS Stream 9'",
         "CentOS Stream 9", "centos", "9"},
        {"PRETTY_NAME=\"A \\\"quoted\\\" \\$name\"\n", "A \"quoted\" $name", NULL, NULL},
        {"ID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19", "Alpine Linux v3.19",
         "alpine", "3.19.1"},
        {"ID=\n# ID=no\n", NULL, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct facts facts = {0};

        parse_os_release(rows[i].text, &facts);
        fact_is(&facts, "distribution", rows[i].name);
        fact_is(&facts, "distribution_id", rows[i].id);
        fact_is(&facts, "distribution_version", rows[i].version);
    }
}

static void test_memory_is_in_bytes(void **state)
{
    struct facts facts = {0}, none = {0};

    (void)state;
    parse_meminfo("MemTotal:       16316412 kB\nMemFree:         1234 kB\n", &facts);
    fact_is(&facts, "memory_bytes", "16708005888");
    parse_meminfo("MemTotalX: 1 kB\nMemTotal: 5 MB\n", &none);
    fact_is(&none, "memory_bytes", NULL);
}

static void test_numbers_words_in_brackets_and_masks(void **state)
{
    static const struct {
        const char *text, *number;
    } numbers[] = {{"212992", "212992"}, {" 7 \n", "7"}, {"0", "0"},   {"-1", NULL},
                   {"1 2", NULL},        {"", NULL},     {"12a", NULL}};
    static const struct {
        const char *text, *mask;
    } masks[] = {{"00000000,0000000f", "f"},          {"00", "0"},  {"ff,00000001", "ff,00000001"},
                 {"00000001,00000000", "1,00000000"}, {"f\n", "f"}, {"xyz", NULL}};
    char ret[FACT_VALUE_SIZE], small[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        assert_int_equal(parse_number(numbers[i].text, ret), numbers[i].number != NULL);
        if (numbers[i].number)
            assert_string_equal(ret, numbers[i].number);
    }
    for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
        assert_int_equal(parse_mask(masks[i].text, ret, sizeof ret), masks[i].mask != NULL);
        if (masks[i].mask)
            assert_string_equal(ret, masks[i].mask);
    }
    assert_true(parse_bracket("always [madvise] never", ret, sizeof ret));
    assert_string_equal(ret, "madvise");
    assert_false(parse_bracket("always [madvise] never", small, sizeof small - 1));
    assert_false(parse_bracket("always madvise] never", ret, sizeof ret));
}

static void test_a_hypervisor_is_told_by_what_it_cannot_hide_first(void **state)
{
    static const struct {
        struct virtual_signs signs;
        const char *word, *sign;
    } rows[] = {
        {{.cpuinfo = cpuinfo_x86, .cpuid = "KVMKVMKVM", .dmi_vendor = "QEMU"},
         "kvm",
         "CPUID KVMKVMKVM"},
        {{.cpuinfo = cpuinfo_x86, .cpuid = "TCGTCGTCGTCG"}, "qemu", "CPUID TCGTCGTCGTCG"},
        {{.cpuinfo = cpuinfo_x86, .cpuid = "VMwareVMware"}, "vmware", "CPUID VMwareVMware"},
        {{.cpuinfo = cpuinfo_x86, .cpuid = "Microsoft Hv"}, "hyperv", "CPUID Microsoft Hv"},
        {{.cpuinfo = cpuinfo_arm, .dmi_vendor = "QEMU", .dmi_product = "KVM Virtual Machine"},
         "qemu",
         "DMI QEMU"},
        {{.cpuinfo = cpuinfo_arm, .dmi_vendor = "Amazon EC2"}, "amazon", "DMI Amazon EC2"},
        {{.cpuinfo = cpuinfo_x86, .hypervisor_type = "xen", .cpuid = "XenVMMXenVMM"},
         "xen",
         "/sys/hypervisor/type xen"},
        {{.cpuinfo = cpuinfo_x86, .hypervisor_type = "xen", .xen_capabilities = "control_d"},
         "xen-dom0",
         "/proc/xen/capabilities control_d"},
        {{.cpuinfo = cpuinfo_arm, .device_tree = "linux,dummy-virt"},
         "qemu",
         "device tree linux,dummy-virt"},
        {{.cpuinfo = cpuinfo_x86}, "unknown", "/proc/cpuinfo flag hypervisor"},
        {{.cpuinfo = cpuinfo_x86, .cpuid = "SomebodyNew!"}, "unknown", "CPUID SomebodyNew!"},
        {{.cpuinfo = cpuinfo_power, .dmi_vendor = "Dell Inc."}, "none", NULL},
        {{.cpuinfo = NULL}, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct facts facts = {0};

        parse_virtual(&rows[i].signs, &facts);
        fact_is(&facts, "virtualisation", rows[i].word);
        fact_is(&facts, "virtualisation_sign", rows[i].sign);
    }
}

static void test_a_container_is_told(void **state)
{
    static const struct {
        struct virtual_signs signs;
        const char *word;
    } rows[] = {
        {{.dockerenv = true}, "docker"},    {{.dockerenv = true, .kubernetes = true}, "kubernetes"},
        {{.containerenv = true}, "podman"}, {{.systemd_container = "lxc"}, "lxc"},
        {{.environment = "oci"}, "oci"},    {{.cpuinfo = cpuinfo_x86}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct facts facts = {0};

        parse_container(&rows[i].signs, &facts);
        fact_is(&facts, "container", rows[i].word);
    }
}

static const char interrupts[] =
    "            CPU0       CPU1       CPU2       CPU3       \n"
    "   0:         45          0          0          0   IO-APIC   2-edge      timer\n"
    "   9:          0          0          0          0   IO-APIC   9-fasteoi   acpi\n"
    "  25:          0          0        100          0   PCI-MSI 524288-edge      eth1-TxRx-0\n"
    "  26:       1213          0          0          7   PCI-MSI 524289-edge      eth1-TxRx-1\n"
    "  27:          3          0          0          0   PCI-MSI 524290-edge      eth1\n"
    "  28:         90          0          0          0   PCI-MSI 1048576-edge      eth10-TxRx-0\n"
    "  31:          0      88381          0          0   PCI-MSI 49153-edge      virtio1-input.0\n"
    "  32:          1          0       1189          0   PCI-MSI 49154-edge      virtio1-output.0\n"
    "  40:          1          0          0          0  GICv3  41 Level     4000000.ethernet\n"
    " NMI:          0          0          0          0   Non-maskable interrupts\n"
    " LOC:     120389     119283     110293     120382   Local timer interrupts\n"
    " ERR:          0\n";

static void test_interrupts_of_a_nic_are_its_own(void **state)
{
    static const unsigned virtio[] = {30, 31, 32};
    struct parse_irq irqs[8];

    (void)state;
    assert_int_equal(parse_interrupts(interrupts, "eth1", NULL, 0, irqs, 8), 3);
    assert_int_equal(irqs[0].number, 25);
    assert_string_equal(irqs[0].name, "eth1-TxRx-0");
    assert_string_equal(irqs[1].name, "eth1-TxRx-1");
    assert_string_equal(irqs[2].name, "eth1");
    assert_int_equal(parse_interrupts(interrupts, "eth10", NULL, 0, irqs, 8), 1);
    assert_int_equal(irqs[0].number, 28);
    /* By number, whatever the name is. */
    assert_int_equal(parse_interrupts(interrupts, "ens3", virtio, 3, irqs, 8), 2);
    assert_string_equal(irqs[1].name, "virtio1-output.0");
    assert_int_equal(parse_interrupts(interrupts, "eth1", NULL, 0, irqs, 2), 2);
    assert_int_equal(parse_interrupts(interrupts, "lo", NULL, 0, irqs, 8), 0);
    assert_int_equal(parse_interrupts("", "eth1", NULL, 0, irqs, 8), 0);
}

static void test_chronyc_is_read_when_it_is_whole(void **state)
{
    static const char good[] =
        "C0A80101,192.168.1.1,3,1732790000.123456789,-0.000012345,0.000004000,0.000020000,-12.345,"
        "0.001,0.050,0.000800000,0.000300000,64.2,Normal\n";
    struct facts facts = {0}, unsynced = {0}, none = {0};

    (void)state;
    assert_true(parse_chronyc(good, &facts));
    fact_is(&facts, "chrony_reference", "192.168.1.1");
    fact_is(&facts, "chrony_stratum", "3");
    fact_is(&facts, "chrony_synchronised", "yes");
    /* The field is what the clock is behind. */
    fact_is(&facts, "chrony_offset_ns", "12345");
    fact_is(&facts, "chrony_root_delay_ns", "800000");
    fact_is(&facts, "chrony_root_dispersion_ns", "300000");
    assert_true(parse_chronyc("00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,"
                              "Not synchronised\n",
                              &unsynced));
    fact_is(&unsynced, "chrony_synchronised", "no");
    fact_is(&unsynced, "chrony_offset_ns", NULL);
    fact_is(&unsynced, "chrony_stratum", NULL);
    assert_false(parse_chronyc("506 Cannot talk to daemon\n", &none));
    assert_false(parse_chronyc("a,b,3,x,0,0,0,0,0,0,0,0,0,Normal\n", &none));
    assert_false(parse_chronyc("a,b,99,0,0,0,0,0,0,0,0,0,0,Normal\n", &none));
    assert_false(parse_chronyc("a,b,3,0,nan,0,0,0,0,0,0,0,0,Normal\n", &none));
    assert_false(parse_chronyc("", &none));
    assert_int_equal(none.n_facts, 0);
}

/* An answer to tracking as chronyd sends it. */
/* Four bytes of a packet. */
static void put_word(unsigned char *p, uint32_t word)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(word >> (24 - 8 * i));
}

static void chrony_packet(unsigned char p[104])
{
    memset(p, 0, 104);
    p[0] = 6;
    p[1] = 2;
    p[5] = 33;
    p[7] = 5;
    put_word(p + 16, 0x01020304);
    put_word(p + 28, 0xc0a80101);
    put_word(p + 32, 0xc0a80101);
    p[49] = 1;
    p[53] = 2;
    /* 2^-10 s as a coefficient of 2^24 - … : exponent -8, coefficient 2^23: 2^23 * 2^(-8-25) = 2^-10 */
    put_word(p + 68, 0xf0800000);
    /* exponent 1, coefficient 2^23: 2^(23+1-25) = 0.5 s */
    put_word(p + 92, 0x02800000);
    put_word(p + 96, 0x02800000);
}

static void test_chronyds_packet_is_read_when_it_answers_us(void **state)
{
    struct facts facts = {0}, none = {0};
    unsigned char p[104];

    (void)state;
    chrony_packet(p);
    assert_true(parse_chrony_packet(p, sizeof p, 0x01020304, &facts));
    fact_is(&facts, "chrony_reference", "192.168.1.1");
    fact_is(&facts, "chrony_stratum", "2");
    fact_is(&facts, "chrony_offset_ns", "-976563");
    fact_is(&facts, "chrony_root_delay_ns", "500000000");
    assert_false(parse_chrony_packet(p, sizeof p, 0x01020305, &none));
    assert_false(parse_chrony_packet(p, sizeof p - 1, 0x01020304, &none));
    p[9] = 1; /* refused */
    assert_false(parse_chrony_packet(p, sizeof p, 0x01020304, &none));
    assert_int_equal(none.n_facts, 0);
    chrony_packet(p);
    p[55] = 3; /* leap: not synchronised */
    assert_true(parse_chrony_packet(p, sizeof p, 0x01020304, &none));
    fact_is(&none, "chrony_synchronised", "no");
    fact_is(&none, "chrony_offset_ns", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpus_of_several_kinds_have_a_model),
        cmocka_unit_test(test_os_release_is_unquoted),
        cmocka_unit_test(test_memory_is_in_bytes),
        cmocka_unit_test(test_numbers_words_in_brackets_and_masks),
        cmocka_unit_test(test_a_hypervisor_is_told_by_what_it_cannot_hide_first),
        cmocka_unit_test(test_a_container_is_told),
        cmocka_unit_test(test_interrupts_of_a_nic_are_its_own),
        cmocka_unit_test(test_chronyc_is_read_when_it_is_whole),
        cmocka_unit_test(test_chronyds_packet_is_read_when_it_answers_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
