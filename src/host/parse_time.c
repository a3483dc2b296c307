/* SPDX-License-Identifier: Apache-2.0 */
#include "host/parse.h"

#include "base/auto.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds to nanoseconds, as far as they are a time at all. */
static bool time_ns(double s, int64_t *ret_ns)
{
    if (!isfinite(s) || fabs(s) > 1e9)
        return false;
    *ret_ns = (int64_t)(s * 1e9 + (s < 0 ? -0.5 : 0.5));
    return true;
}

static void time_put(struct facts *facts, const char *key, double s)
{
    int64_t ns;

    if (time_ns(s, &ns) && ns >= 0)
        facts_put_number(facts, key, (uint64_t)ns);
}

/* chronyc's "system time" is positive when the clock is fast, which is the sign that we show. */
static void time_tracking(struct facts *facts, const char *reference, unsigned stratum, bool synced,
                          double ahead, double root_delay, double root_dispersion)
{
    int64_t ns;

    facts_put_flag(facts, "chrony_synchronised", synced);
    /* An unsynchronised chronyd has no source, and its zeros say nothing. */
    if (!synced)
        return;
    facts_put(facts, "chrony_reference", reference);
    facts_put_number(facts, "chrony_stratum", stratum);
    if (time_ns(ahead, &ns))
        facts_put_signed(facts, "chrony_offset_ns", ns);
    time_put(facts, "chrony_root_delay_ns", root_delay);
    time_put(facts, "chrony_root_dispersion_ns", root_dispersion);
}

bool parse_chronyc(const char *text, struct facts *facts)
{
    /* Reference ID, name, stratum, ref time, system time, last offset, RMS, frequency, residual, skew, root delay,
     * root dispersion, update interval, leap status */
    enum { FIELDS = 14 };
    char line[512], *field[FIELDS], *p = line;
    double number[FIELDS] = {0};
    unsigned n = 0;

    snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
    while (p && n < FIELDS) {
        field[n++] = p;
        p = strchr(p, ',');
        if (p)
            *p++ = 0;
    }
    if (n != FIELDS || p)
        return false;
    for (unsigned i = 2; i < FIELDS - 1; i++) {
        char *end;

        number[i] = strtod(field[i], &end);
        if (end == field[i] || *end || !isfinite(number[i]))
            return false;
    }
    if (number[2] < 0 || number[2] > 16)
        return false;
    /* chronyc: the system time is behind by what is positive in its list of fields. */
    time_tracking(facts, field[1][0] ? field[1] : field[0], (unsigned)number[2],
                  strcmp(field[13], "Not synchronised") != 0, -number[4], number[10], number[11]);
    return true;
}

/* ---- the packet ---- */

static uint32_t time_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* candm.h: 7 bits of exponent and 25 of coefficient, both with a sign, and the coefficient's point before its digits. */
static double time_float(const unsigned char *p)
{
    uint32_t x = time_u32(p);
    int32_t exponent = (int32_t)(x >> 25), coefficient = (int32_t)(x & 0x1ffffff);

    if (exponent >= 1 << 6)
        exponent -= 1 << 7;
    if (coefficient >= 1 << 24)
        coefficient -= 1 << 25;
    return ldexp(coefficient, exponent - 25);
}

bool parse_chrony_packet(const unsigned char *packet, size_t size, uint32_t sequence,
                         struct facts *facts)
{
    /* Where things stand: a header of 28 bytes, then ref id, address (20), stratum, leap, time (12), and floats. */
    enum {
        AT_REF_ID = 28,
        AT_ADDRESS = 32,
        AT_FAMILY = 48,
        AT_STRATUM = 52,
        AT_LEAP = 54,
        AT_CORRECTION = 68,
        AT_ROOT_DELAY = 92,
        AT_ROOT_DISPERSION = 96,
        AT_END = 104,
        LEAP_NONE = 3,
    };
    char reference[INET6_ADDRSTRLEN];
    unsigned family, stratum;

    /* version 6, a reply, to command 33 (tracking), of form 5 (tracking), status 0 */
    if (size < AT_END || packet[0] != 6 || packet[1] != 2 || packet[4] != 0 || packet[5] != 33 ||
        packet[6] != 0 || packet[7] != 5 || packet[8] != 0 || packet[9] != 0 ||
        time_u32(packet + 16) != sequence)
        return false;
    family = (unsigned)packet[AT_FAMILY] << 8 | packet[AT_FAMILY + 1];
    stratum = (unsigned)packet[AT_STRATUM] << 8 | packet[AT_STRATUM + 1];
    if (stratum > 16)
        return false;
    if (family == 1)
        inet_ntop(AF_INET, packet + AT_ADDRESS, reference, sizeof reference);
    else if (family == 2)
        inet_ntop(AF_INET6, packet + AT_ADDRESS, reference, sizeof reference);
    else
        snprintf(reference, sizeof reference, "%08X", time_u32(packet + AT_REF_ID));
    /* What is to be added to the clock is what it is behind. */
    time_tracking(facts, reference, stratum, packet[AT_LEAP + 1] != LEAP_NONE,
                  -time_float(packet + AT_CORRECTION), time_float(packet + AT_ROOT_DELAY),
                  time_float(packet + AT_ROOT_DISPERSION));
    return true;
}
