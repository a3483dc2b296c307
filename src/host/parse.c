/* SPDX-License-Identifier: Apache-2.0 */
#include "host/parse.h"

#include "base/auto.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool parse_number(const char *text, char ret[FACT_VALUE_SIZE])
{
    size_t n;

    text += strspn(text, " \t");
    n = strspn(text, "0123456789");
    if (n == 0 || n > 19 || text[n + strspn(text + n, " \t\n")] != 0)
        return false;
    memcpy(ret, text, n);
    ret[n] = 0;
    return true;
}

bool parse_bracket(const char *text, char *ret, size_t size)
{
    const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;
    size_t n = close ? (size_t)(close - open - 1) : 0;

    if (n == 0 || n >= size)
        return false;
    memcpy(ret, open + 1, n);
    ret[n] = 0;
    return true;
}

/* Where the next line begins; at the end of the text it stays there. */
static const char *parse_next_line(const char *p)
{
    p += strcspn(p, "\n");
    return p + (*p == '\n');
}

/* The value of a line "key : value" or "key: value" whose key is exactly this; false when the line is another. */
static bool parse_colon(const char *line, const char *key, char *ret, size_t size)
{
    size_t n = strlen(key), len = strcspn(line, "\n");
    const char *value;

    if (len < n || memcmp(line, key, n) != 0)
        return false;
    value = line + n;
    value += strspn(value, " \t");
    if (*value != ':')
        return false;
    value++;
    value += strspn(value, " \t");
    len = strcspn(value, "\n");
    while (len && isspace((unsigned char)value[len - 1]))
        len--;
    snprintf(ret, size, "%.*s", (int)(len < size ? len : size - 1), value);
    return len > 0;
}

/* The first such line of a text. */
static bool parse_key(const char *text, const char *key, char *ret, size_t size)
{
    for (const char *p = text; *p; p = parse_next_line(p))
        if (parse_colon(p, key, ret, size))
            return true;
    return false;
}

void parse_meminfo(const char *text, struct facts *facts)
{
    unsigned long long kib = 0;
    char value[64];
    char *end;

    if (!parse_key(text, "MemTotal", value, sizeof value) || !isdigit((unsigned char)value[0]))
        return;
    kib = strtoull(value, &end, 10);
    if (strcmp(end, " kB") == 0 && kib < UINT64_MAX / 1024)
        facts_put_number(facts, "memory_bytes", kib * 1024);
}

/* ---- os-release ---- */

/* A value of a shell assignment: quotes off, and what a backslash protects. */
static void parse_unquote(const char *value, size_t len, char *ret, size_t size)
{
    char quote = len && (*value == '"' || *value == '\'') ? *value : 0;
    size_t used = 0;

    for (size_t i = quote ? 1 : 0; i < len && used < size - 1; i++) {
        if (quote && value[i] == quote)
            break;
        if (quote != '\'' && value[i] == '\\' && i + 1 < len)
            i++;
        ret[used++] = value[i];
    }
    ret[used] = 0;
}

void parse_os_release(const char *text, struct facts *facts)
{
    static const struct {
        const char *name, *key;
    } rows[] = {
        {"PRETTY_NAME=", "distribution"},
        {"ID=", "distribution_id"},
        {"VERSION_ID=", "distribution_version"},
    };

    for (const char *p = text; *p; p = parse_next_line(p)) {
        size_t len = strcspn(p, "\n");

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            size_t n = strlen(rows[i].name);
            char value[160];

            if (len < n || memcmp(p, rows[i].name, n) != 0)
                continue;
            parse_unquote(p + n, len - n, value, sizeof value);
            facts_put(facts, rows[i].key, value);
        }
    }
}

/* ---- cpuinfo ---- */

/* Arm's MIDR implementers and parts that servers have; source: arch/arm64/include/asm/cputype.h. */
static const struct {
    unsigned implementer, part;
    const char *name;
} parse_arm[] = {
    {0x41, 0xd03, "ARM Cortex-A53"},    {0x41, 0xd05, "ARM Cortex-A55"},
    {0x41, 0xd07, "ARM Cortex-A57"},    {0x41, 0xd08, "ARM Cortex-A72"},
    {0x41, 0xd09, "ARM Cortex-A73"},    {0x41, 0xd0b, "ARM Cortex-A76"},
    {0x41, 0xd0c, "ARM Neoverse-N1"},   {0x41, 0xd40, "ARM Neoverse-V1"},
    {0x41, 0xd49, "ARM Neoverse-N2"},   {0x41, 0xd4f, "ARM Neoverse-V2"},
    {0x43, 0x0a1, "Cavium ThunderX"},   {0x43, 0x0af, "Cavium ThunderX2"},
    {0x48, 0xd01, "HiSilicon TSV110"},  {0x46, 0x001, "Fujitsu A64FX"},
    {0xc0, 0xac3, "Ampere-1"},          {0xc0, 0xac4, "Ampere-1A"},
    {0x61, 0x022, "Apple M1 Icestorm"}, {0x61, 0x023, "Apple M1 Firestorm"},
    {0x50, 0x000, "APM X-Gene"},        {0x51, 0xc00, "Qualcomm Falkor"},
};

static void parse_arm_name(const char *text, struct facts *facts)
{
    char implementer[16], part[16], name[64];
    unsigned long i, p;

    if (!parse_key(text, "CPU implementer", implementer, sizeof implementer) ||
        !parse_key(text, "CPU part", part, sizeof part))
        return;
    i = strtoul(implementer, NULL, 16);
    p = strtoul(part, NULL, 16);
    snprintf(name, sizeof name, "implementer %.12s part %.12s", implementer, part);
    for (size_t k = 0; k < ARRAY_SIZE(parse_arm); k++)
        if (parse_arm[k].implementer == i && parse_arm[k].part == p)
            text_copy(name, sizeof name, parse_arm[k].name);
    facts_put(facts, "cpu", name);
}

void parse_cpuinfo(const char *text, struct facts *facts)
{
    /* x86 and MIPS, POWER, s390, RISC-V */
    static const char *const names[] = {"model name", "cpu", "processor 0", "uarch", "isa"};
    uint64_t sockets[4] = {0}; /* bits of physical ids below 256 */
    unsigned n = 0;
    char value[160];

    for (size_t i = 0; i < ARRAY_SIZE(names) && !facts_get(facts, "cpu"); i++) {
        if (parse_key(text, names[i], value, sizeof value))
            facts_put(facts, "cpu", value);
        if (i == 0)
            parse_arm_name(text, facts);
    }
    for (const char *p = text; *p; p = parse_next_line(p))
        if (parse_colon(p, "physical id", value, sizeof value) &&
            isdigit((unsigned char)value[0]) && strtoul(value, NULL, 10) < 256)
            sockets[strtoul(value, NULL, 10) / 64] |= 1ULL << strtoul(value, NULL, 10) % 64;
    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
        n += (unsigned)__builtin_popcountll(sockets[i]);
    if (n)
        facts_put_number(facts, "cpu_sockets", n);
}

/* ---- interrupts ---- */

/* ifname stands in name and neither letters nor digits stand at its sides: "eth1" is not of "eth10-TxRx-0". */
static bool parse_has_word(const char *name, const char *ifname)
{
    size_t n = strlen(ifname);

    for (const char *p = n ? strstr(name, ifname) : NULL; p; p = strstr(p + 1, ifname))
        if ((p == name || !isalnum((unsigned char)p[-1])) && !isalnum((unsigned char)p[n]))
            return true;
    return false;
}

static bool parse_in(const unsigned *numbers, unsigned n_numbers, unsigned number)
{
    for (unsigned i = 0; i < n_numbers; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

unsigned parse_interrupts(const char *text, const char *ifname, const unsigned *numbers,
                          unsigned n_numbers, struct parse_irq *ret, unsigned max)
{
    unsigned n = 0;

    for (const char *p = text; *p && n < max; p = parse_next_line(p)) {
        size_t len = strcspn(p, "\n"), word = 0, skip = strspn(p, " ");
        unsigned long number;
        char *end;

        /* "NMI:" and its like have no number, the headings no colon. */
        if (skip >= len || !isdigit((unsigned char)p[skip]))
            continue;
        number = strtoul(p + skip, &end, 10);
        if (*end != ':' || number > 1000000)
            continue;
        while (len && (p[len - 1] == ' ' || p[len - 1] == '\r'))
            len--;
        while (word < len && p[len - 1 - word] != ' ')
            word++;
        snprintf(ret[n].name, sizeof ret[n].name, "%.*s",
                 (int)(word < sizeof ret[n].name ? word : sizeof ret[n].name - 1), p + len - word);
        ret[n].number = (unsigned)number;
        if (n_numbers ? parse_in(numbers, n_numbers, (unsigned)number)
                      : parse_has_word(ret[n].name, ifname))
            n++;
    }
    return n;
}

bool parse_mask(const char *text, char *ret, size_t size)
{
    size_t used = 0;

    for (; *text && *text != '\n'; text++) {
        if (!isxdigit((unsigned char)*text) && *text != ',')
            return false;
        if ((*text == '0' || *text == ',') && used == 0)
            continue;
        if (used + 1 >= size)
            return false;
        ret[used++] = *text;
    }
    if (used == 0 && size > 1)
        ret[used++] = '0';
    ret[used] = 0;
    return used > 0;
}
