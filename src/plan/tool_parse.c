/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/tool_parse.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What can be a result: no rate is larger, no test longer. */
static const double rate_max = 1e15, seconds_max = 1e6, count_max = 1e18;

/* A number without sign, nan, hex or blanks before it; NULL when there is none. */
static const char *tool_number(const char *p, double max, double *ret)
{
    char *end;
    double v;

    if (!isdigit((unsigned char)*p) || (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')))
        return NULL;
    v = strtod(p, &end);
    if (!isfinite(v) || v > max)
        return NULL;
    *ret = v;
    return end;
}

/* The value behind " key=" in a line; false when there is none. */
static bool tool_key(const char *line, size_t len, const char *key, double max, double *ret)
{
    size_t n = strlen(key);

    for (const char *p = line; p + n < line + len; p++)
        if ((p == line || p[-1] == ' ') && strncmp(p, key, n) == 0 && p[n] == '=')
            return tool_number(p + n + 1, max, ret);
    return false;
}

/* Of what a tool wrote, the line that a person should see: the first that speaks of an error, else the last. */
static int tool_complain(const char *text, const char *tool, struct err *err)
{
    const char *best = NULL;
    size_t best_len = 0;
    bool found = false;
    char line[160];

    for (const char *p = text; *p && !found;) {
        size_t len = strcspn(p, "\n");

        found = memmem(p, len, "rror", 4) || memmem(p, len, "failed", 6) ||
                memmem(p, len, "WARNING", 7) || memmem(p, len, "not supported", 13);
        if (len && (found || *p != '-')) {
            best = p;
            best_len = len;
        }
        p += len + (p[len] == '\n');
    }
    snprintf(line, sizeof line, "%.*s", (int)(best_len < sizeof line ? best_len : sizeof line - 1),
             best ? best : "");
    err_say(err, best ? "%s gave no result: %s" : "%s gave no result%s", tool, text_tame(line));
    if (err)
        err->code = ENODATA;
    return -ENODATA;
}

int tool_parse_nuttcp(const char *text, struct tool_report *ret, struct err *err)
{
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "\n");
        struct tool_report t = {0};
        double mbps, megabytes = 0, seconds, retransmits, packets, lost = 0;

        if (tool_key(p, len, "rate_Mbps", rate_max / 1e6, &mbps) &&
            tool_key(p, len, "real_seconds", seconds_max, &seconds)) {
            t.bps = mbps * 1e6;
            t.window_ns = (uint64_t)(seconds * 1e9);
            if (tool_key(p, len, "megabytes", count_max / 1048576, &megabytes))
                t.bytes = (uint64_t)(megabytes * 1048576);
            t.has_retransmits = tool_key(p, len, "retrans", count_max, &retransmits);
            if (t.has_retransmits)
                t.retransmits = (uint64_t)retransmits;
            t.has_loss = tool_key(p, len, "pkt", count_max, &packets);
            if (t.has_loss) {
                /* "drop=-1" is no number here: more came than it knows of, nothing is lost. */
                if (!tool_key(p, len, "drop", count_max, &lost) || lost > packets)
                    lost = 0;
                t.packets = (uint64_t)packets;
                t.lost = (uint64_t)lost;
            }
            *ret = t;
            return 0;
        }
        p += len + (p[len] == '\n');
    }
    return tool_complain(text, "nuttcp", err);
}

static const char *tool_blanks(const char *p) { return p + strspn(p, " "); }

/* "2531328 KBytes", "20711041 Kbits/sec": a number and its unit in ones; NULL when it is neither. */
static const char *tool_quantity(const char *p, const char *unit, double kilo, double *ret)
{
    static const char letters[] = "KMGT";
    const char *at;
    size_t n = strlen(unit);
    double v;

    p = tool_number(tool_blanks(p), count_max, &v);
    if (!p)
        return NULL;
    p = tool_blanks(p);
    if (*p && (at = strchr(letters, *p))) {
        for (const char *k = letters; k <= at; k++)
            v *= kilo;
        p++;
    }
    if (strncmp(p, unit, n) != 0 || v > count_max)
        return NULL;
    *ret = v;
    return p + n;
}

/* Behind the rate: "W/E RETRIES …" of a TCP sender, "J ms LOST/TOTAL (P%)" of a UDP receiver. */
static void tool_iperf_rest(const char *p, struct tool_report *t)
{
    double a, b, c;
    const char *q = tool_number(tool_blanks(p), count_max, &a);

    if (!q)
        return;
    if (*q == '/') {
        q = tool_number(q + 1, count_max, &b);
        if (!q || *q != ' ')
            return;
        q = tool_number(tool_blanks(q), count_max, &c);
        /* Of a UDP sender the rate in packets stands here. */
        if (!q || strncmp(q, " pps", 4) == 0)
            return;
        t->has_retransmits = true;
        t->retransmits = (uint64_t)c;
        return;
    }
    if (strncmp(q, " ms ", 4) != 0)
        return;
    q = tool_number(tool_blanks(q + 4), count_max, &b);
    if (!q || *q != '/' || !tool_number(q + 1, count_max, &c) || b > c)
        return;
    t->has_jitter = t->has_loss = true;
    t->jitter_ns = a * 1e6;
    t->lost = (uint64_t)b;
    t->packets = (uint64_t)c;
}

/* "[  1] 0.0000-1.0012 sec  2531328 KBytes  20711041 Kbits/sec  …" */
static bool tool_iperf_line(const char *line, struct tool_report *ret)
{
    struct tool_report t = {0};
    double from, to, bytes, bps;
    const char *p = strchr(line, ']');

    if (line[0] != '[' || !p)
        return false;
    p = tool_number(tool_blanks(p + 1), seconds_max, &from);
    if (!p || *p != '-')
        return false;
    p = tool_number(p + 1, seconds_max, &to);
    if (!p || strncmp(p, " sec ", 5) != 0 || to <= from)
        return false;
    p = tool_quantity(p + 5, "Bytes", 1024, &bytes);
    if (!p && (p = strstr(line, " sec ")))
        p = tool_quantity(p + 5, "bytes", 1024, &bytes);
    p = p ? tool_quantity(p, "bits/sec", 1000, &bps) : NULL;
    if (!p || bps > rate_max)
        return false;
    t.bps = bps;
    t.bytes = (uint64_t)bytes;
    t.window_ns = (uint64_t)((to - from) * 1e9);
    tool_iperf_rest(p, &t);
    *ret = t;
    return true;
}

int tool_parse_iperf(const char *text, struct tool_report *ret, struct err *err)
{
    struct tool_report first = {0};
    bool found = false;

    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "\n");
        struct tool_report t;
        char line[512];

        snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1), p);
        if (tool_iperf_line(line, &t)) {
            bool sum = strncmp(line, "[SUM]", 5) == 0;

            if (!found || sum)
                first = t;
            found = true;
            if (sum)
                break;
        }
        p += len + (p[len] == '\n');
    }
    if (!found)
        return tool_complain(text, "iperf", err);
    *ret = first;
    return 0;
}
