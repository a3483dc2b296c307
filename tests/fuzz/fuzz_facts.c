/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and outputs of a machine, any bytes: the first says which parser. What comes out are facts that have a row, end, and
 * have nothing in them that a line of the protocol could not carry; and facts against other facts give changes that end.
 */
#include "fuzz.h"
#include "host/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check(const struct facts *facts)
{
    assert(facts->n_facts <= FACTS_MAX);
    for (unsigned i = 0; i < facts->n_facts; i++) {
        const char *key = facts_key(facts, i), *value = facts_value(facts, i);

        assert(facts_row(key));
        assert(value[0] && strlen(value) < FACT_VALUE_SIZE);
        for (const char *p = value; *p; p++)
            assert((unsigned char)*p >= ' ' && *p != 0x7f);
    }
}

static void small_ones(const char *text, struct facts *facts)
{
    char ret[FACT_VALUE_SIZE], small[4];

    parse_number(text, ret);
    if (parse_bracket(text, small, sizeof small))
        assert(strlen(small) < sizeof small);
    if (parse_mask(text, small, sizeof small))
        assert(strlen(small) < sizeof small);
    if (parse_tool_version(text, small, sizeof small))
        assert(strlen(small) < sizeof small);
    parse_release("nova", text);
    facts_put(facts, "openstack_packages", text);
    facts_put(facts, "l2_agent", "openvswitch");
    parse_l2_version(facts, ret, sizeof ret);
}

static void interrupts(const char *text)
{
    static const unsigned numbers[] = {25, 31};
    struct parse_irq irqs[16];
    unsigned n = parse_interrupts(text, "eth1", NULL, 0, irqs, 16);

    assert(n <= 16);
    n = parse_interrupts(text, "eth1", numbers, 2, irqs, 16);
    assert(n <= 16);
    for (unsigned i = 0; i < n; i++)
        assert(irqs[i].number == 25 || irqs[i].number == 31);
}

/* Halves of the text as what was before and after. */
static void changes(const char *text, size_t size)
{
    static const char *const keys[] = {"offloads", "nic_irq_cpus", "mtu_bytes", "chrony_offset_ns"};
    struct facts before = {0}, after = {0};
    struct fact_change change[FACT_CHANGES_MAX];
    unsigned n;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        facts_put(&before, keys[i], text);
        facts_put(&after, keys[i], text + size / 2);
    }
    n = facts_changes(&before, &after, change, FACT_CHANGES_MAX);
    assert(n <= 4);
    for (unsigned i = 0; i < n; i++) {
        assert(strlen(change[i].before) < FACT_CHANGE_SIZE);
        assert(strlen(change[i].after) < FACT_CHANGE_SIZE);
        assert(strcmp(change[i].before, change[i].after) != 0 || facts_row(change[i].key));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct facts facts = {0};
    struct virtual_signs signs = {0};
    char *text;

    if (size == 0)
        return 0;
    text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    switch (data[0]) {
    case 'c':
        parse_cpuinfo(text, &facts);
        signs.cpuinfo = text;
        parse_virtual(&signs, &facts);
        break;
    case 'o':
        parse_os_release(text, &facts);
        break;
    case 'm':
        parse_meminfo(text, &facts);
        break;
    case 'i':
        interrupts(text);
        break;
    case 'p':
        parse_packages(text, &facts);
        break;
    case 't':
        parse_chronyc(text, &facts);
        break;
    case 'u':
        /* The sequence is ours, so that the bytes behind it are reached. */
        parse_chrony_packet((const unsigned char *)text, size - 1, 0x01020304, &facts);
        break;
    case 'l':
        parse_l2_process(text, size - 1);
        break;
    case 'd':
        changes(text, size - 1);
        break;
    default:
        small_ones(text, &facts);
        break;
    }
    check(&facts);
    free(text);
    return 0;
}
