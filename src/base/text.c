/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Wide enough for 25 digits times the largest unit. */
__extension__ typedef unsigned __int128 text_wide;

struct text_unit {
    const char *word;
    uint64_t factor;
};

/*
 * digits[.digits][unit] times the unit's factor, in whole numbers all the way: a double would take 0.3 G for
 * 299999999.99. what names the quantity, list the units, for the sentence.
 */
static int text_decimal(const char *text, const char *what, const struct text_unit *units,
                        size_t n_units, const char *list, uint64_t *ret, struct err *err)
{
    text_wide value = 0, scale = 1;
    const char *p = text, *start;
    uint64_t factor = 0;
    bool point = false;

    if (!*text)
        return err_say(err, "an empty %s", what);
    if (*p == '-')
        return err_say(err, "%s '%s' is negative", what, text);
    for (start = p; (*p >= '0' && *p <= '9') || (*p == '.' && !point && p > start); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        if (p - start > 24)
            return err_say(err, "%s '%.40s…' has too many digits", what, text);
        value = value * 10 + (unsigned)(*p - '0');
        if (point)
            scale *= 10;
    }
    if (p == start)
        return err_say(err, "%s '%s' does not begin with a digit", what, text);
    if (p[-1] == '.')
        return err_say(err, "%s '%s' has no digit after its point", what, text);
    for (size_t i = 0; i < n_units; i++)
        if (strcmp(p, units[i].word) == 0)
            factor = units[i].factor;
    if (!factor)
        return err_say(err, "%s '%s': '%s' is not a unit (%s)", what, text, p, list);
    if (value > ((text_wide)-1) / factor / 2 || value * factor / scale > INT64_MAX)
        return err_say(err, "%s '%s' is too large", what, text);
    if (value * factor % scale)
        return err_say(err, "%s '%s' is finer than this quantity can be", what, text);
    *ret = (uint64_t)(value * factor / scale);
    return 0;
}

int text_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count, struct err *err)
{
    static const struct text_unit units[] = {{"", 1}};
    uint64_t n = 0;
    int r = text_decimal(text, "number", units, 1, "only digits", &n, err);

    if (r < 0)
        return r;
    if (strchr(text, '.'))
        return err_say(err, "number '%s' is not a whole number", text);
    if (n < min || n > max)
        return err_say(err, "number '%s' is not between %llu and %llu", text,
                       (unsigned long long)min, (unsigned long long)max);
    *ret_count = n;
    return 0;
}

int text_rate(const char *text, uint64_t *ret_bps, struct err *err)
{
    static const struct text_unit units[] = {
        {"", 1},
        {"bit", 1},
        {"k", 1000},
        {"K", 1000},
        {"kbit", 1000},
        {"M", 1000000},
        {"Mbit", 1000000},
        {"G", 1000000000},
        {"Gbit", 1000000000},
        {"T", 1000000000000},
        {"Tbit", 1000000000000},
    };

    return text_decimal(text, "rate", units, sizeof units / sizeof *units,
                        "bit/s with k, M, G or T", ret_bps, err);
}

int text_time(const char *text, uint64_t *ret_ns, struct err *err)
{
    static const struct text_unit units[] = {{"", 1000000000}, {"s", 1000000000},
                                             {"ms", 1000000},  {"us", 1000},
                                             {"ns", 1},        {"min", 60000000000}};

    return text_decimal(text, "time", units, sizeof units / sizeof *units,
                        "min, s, ms, us, ns; none is seconds", ret_ns, err);
}

int text_size(const char *text, uint64_t *ret_bytes, struct err *err)
{
    static const struct text_unit units[] = {
        {"", 1},        {"B", 1},         {"K", 1 << 10}, {"k", 1 << 10},   {"KiB", 1 << 10},
        {"M", 1 << 20}, {"MiB", 1 << 20}, {"G", 1 << 30}, {"GiB", 1 << 30},
    };

    return text_decimal(text, "size", units, sizeof units / sizeof *units,
                        "bytes with K, M or G of 1024", ret_bytes, err);
}

int text_share(const char *text, double *ret_share, struct err *err)
{
    static const struct text_unit units[] = {{"", 1000000000}, {"%", 10000000}};
    uint64_t billionths = 0;
    int r =
        text_decimal(text, "share", units, 2, "a share of 1, or a number with %", &billionths, err);

    if (r < 0)
        return r;
    if (billionths > 1000000000)
        return err_say(err, "share '%s' is more than 1 (100%%)", text);
    *ret_share = (double)billionths / 1e9;
    return 0;
}

int text_sizes(const char *text, uint32_t *ret_sizes, size_t max, struct err *err)
{
    uint32_t sizes[64];
    size_t n = 0;
    const char *p = text;

    for (;;) {
        size_t len = strcspn(p, ",");
        char one[32];
        uint64_t v = 0;
        int r;

        if (len >= sizeof one)
            return err_say(err, "size '%.*s' is too long", (int)sizeof one, p);
        memcpy(one, p, len);
        one[len] = 0;
        r = text_size(one, &v, err);
        if (r < 0)
            return err_wrap(err, r, "list '%s'", text);
        if (v == 0)
            return err_say(err, "list '%s': a size of 0 sends nothing", text);
        if (v > UINT32_MAX)
            return err_say(err, "list '%s': size '%s' is too large", text, one);
        if (n == max || n == sizeof sizes / sizeof *sizes)
            return err_say(err, "list '%s' has more than %zu sizes", text, max);
        sizes[n++] = (uint32_t)v;
        p += len;
        if (!*p)
            break;
        p++;
    }
    memcpy(ret_sizes, sizes, n * sizeof *sizes);
    return (int)n;
}

/* Three significant digits and the step of 1000 (or 1024) that fits. */
static const char *text_show(double v, double step, const char *const *units, size_t n_units,
                             const char *tail, char buf[TEXT_SHORT])
{
    size_t i = 0;
    int digits;

    for (; i + 1 < n_units && v >= step * 0.9995; i++)
        v /= step;
    digits = v >= 99.95 || v == 0 ? 0 : v >= 9.995 ? 1 : 2;
    /* Whole is shown whole where the number was counted: 64 KiB, 7 ns; but 1.00 Gbit/s was measured. */
    if ((i == 0 || step == 1024) && v >= 0 && v < 1e6 && v == (double)(uint64_t)v)
        digits = 0;
    snprintf(buf, TEXT_SHORT, "%.*f %s%s", digits, v, units[i], tail);
    digits = (int)strlen(buf);
    if (digits && buf[digits - 1] == ' ')
        buf[digits - 1] = 0;
    return buf;
}

const char *text_show_rate(double bps, char buf[TEXT_SHORT])
{
    static const char *const units[] = {"", "k", "M", "G", "T"};

    return text_show(bps, 1000, units, 5, "bit/s", buf);
}

const char *text_show_time(double ns, char buf[TEXT_SHORT])
{
    static const char *const units[] = {"ns", "us", "ms", "s"};

    if (ns < 0) {
        char positive[TEXT_SHORT];

        snprintf(buf, TEXT_SHORT, "-%.*s", TEXT_SHORT - 2, text_show_time(-ns, positive));
        return buf;
    }
    return text_show(ns, 1000, units, 4, "", buf);
}

const char *text_show_span(double ns, char buf[TEXT_SHORT])
{
    static const struct {
        const char *unit, *part;
        uint32_t unit_s, part_s;
    } units[] = {{"d", "h", 86400, 3600}, {"h", "min", 3600, 60}, {"min", "s", 60, 1}};
    double by = ns < 0 ? -ns : ns;
    uint32_t s, n;
    size_t i = 0;

    if (by < 120e9 || by > 4e18)
        return text_show_time(ns, buf);
    s = (uint32_t)(by / 1e9 + 0.5);
    while (i < 2 && s + units[i].part_s / 2 < units[i].unit_s)
        i++;
    n = units[i].unit_s / units[i].part_s;
    s = (s + units[i].part_s / 2) / units[i].part_s;
    if (s % n)
        snprintf(buf, TEXT_SHORT, "%s%u %s %u %s", ns < 0 ? "-" : "", s / n, units[i].unit, s % n,
                 units[i].part);
    else
        snprintf(buf, TEXT_SHORT, "%s%u %s", ns < 0 ? "-" : "", s / n, units[i].unit);
    return buf;
}

const char *text_show_size(uint64_t bytes, char buf[TEXT_SHORT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};

    return text_show((double)bytes, 1024, units, 5, "", buf);
}

const char *text_show_count(double n, char buf[TEXT_SHORT])
{
    static const char *const units[] = {"", "k", "M", "G", "T"};

    return text_show(n, 1000, units, 5, "", buf);
}

static const struct {
    const char *prefix;
    enum endpoint_kind kind;
    uint16_t port;
} text_servers[] = {
    {"iperf3://", ENDPOINT_IPERF3, 5201},
    {"iperf2://", ENDPOINT_IPERF2, 5001},
    {"stamp://", ENDPOINT_STAMP, 862},
};

/* HOST, HOST:PORT, [ADDRESS]:PORT, or a bare IPv6 address. */
static int text_host_port(const char *text, const char *rest, struct endpoint_text *e,
                          struct err *err)
{
    const char *host = rest, *end = rest + strlen(rest), *port = NULL;
    uint64_t n = 0;

    if (*rest == '[') {
        host = rest + 1;
        end = strchr(host, ']');
        if (!end || (end[1] && end[1] != ':'))
            return err_say(err, "endpoint '%s': '[' without ']'", text);
        port = end[1] ? end + 2 : NULL;
    } else if (strchr(rest, ':') && strchr(rest, ':') == strrchr(rest, ':')) {
        end = strchr(rest, ':');
        port = end + 1;
    }
    if (end == host)
        return err_say(err, "endpoint '%s' names no host", text);
    if ((size_t)(end - host) >= sizeof e->arg)
        return err_say(err, "endpoint '%.40s…': the host's name is too long", text);
    if (port && text_count(port, 1, UINT16_MAX, &n, NULL) < 0)
        return err_say(err, "endpoint '%s': '%s' is no port", text, port);
    memcpy(e->arg, host, (size_t)(end - host));
    e->arg[end - host] = 0;
    if (strpbrk(e->arg, "/ \t@?"))
        return err_say(err, "endpoint '%s': '%s' is no host", text, e->arg);
    if (port)
        e->port = (uint16_t)n;
    return 0;
}

/* Letters and digits of any host or user; '-' is no first one, as a program may take it for an option. */
static bool text_is_word(const char *text, size_t n, const char *also)
{
    if (n == 0 || text[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              strchr(also, c)))
            return false;
    }
    return true;
}

/* As `ssh-keygen -l` shows it: SHA256: and 32 bytes in base64, without the '=' at its end. */
static bool text_is_fingerprint(const char *text)
{
    static const char prefix[] = "SHA256:", digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij"
                                                       "klmnopqrstuvwxyz0123456789+/";

    return strncmp(text, prefix, sizeof prefix - 1) == 0 &&
           strspn(text + sizeof prefix - 1, digits) == 43 && !text[sizeof prefix - 1 + 43];
}

/* "if=NAME&addr=ADDRESS&key=FINGERPRINT", each at most once. */
static int text_ssh_query(const char *text, const char *query, struct endpoint_text *e,
                          struct err *err)
{
    const struct {
        const char *key;
        char *to;
        size_t size;
    } rows[] = {
        {"if=", e->ifname, sizeof e->ifname},
        {"addr=", e->address, sizeof e->address},
        {"key=", e->host_key, sizeof e->host_key},
    };

    for (const char *p = query;; p++) {
        size_t n = strcspn(p, "&"), i = 0, len;
        char *to;

        while (i < 3 && strncmp(p, rows[i].key, strlen(rows[i].key)) != 0)
            i++;
        if (i == 3)
            return err_say(err,
                           "endpoint '%s': '%.*s' is none of if=NAME, addr=ADDRESS, key=SHA256:…",
                           text, (int)n, p);
        to = rows[i].to;
        len = n - strlen(rows[i].key);
        if (to[0])
            return err_say(err, "endpoint '%s': %s comes twice", text, rows[i].key);
        if (len == 0 || len >= rows[i].size)
            return err_say(err, "endpoint '%s': '%.*s' names nothing that can be", text, (int)n, p);
        memcpy(to, p + strlen(rows[i].key), len);
        to[len] = 0;
        if (i == 0 && (strpbrk(to, "/ \t:?") || strcmp(to, ".") == 0 || strcmp(to, "..") == 0))
            return err_say(err, "endpoint '%s': '%s' is no interface", text, to);
        if (i == 1 && text_address(to, NULL) < 0)
            return err_say(err, "endpoint '%s': '%s' is not an IPv4 or IPv6 address", text, to);
        if (i == 2 && !text_is_fingerprint(to))
            return err_say(err,
                           "endpoint '%s': '%s' is no fingerprint of a key (SHA256: and 43 "
                           "characters, as ssh-keygen -l shows it)",
                           text, to);
        p += n;
        if (!*p)
            return 0;
    }
}

/* [USER@]HOST[:PORT][?QUERY] */
static int text_ssh(const char *text, const char *rest, struct endpoint_text *e, struct err *err)
{
    size_t n = strcspn(rest, "?");
    const char *at = memrchr(rest, '@', n), *host = at ? at + 1 : rest;
    char one[sizeof e->arg];
    size_t len = n - (size_t)(host - rest);
    int r;

    if (at && memchr(rest, ':', (size_t)(at - rest)))
        /* The text is not quoted: what stands there is a secret. */
        return err_say(err,
                       "endpoint ssh://…%.100s: no password on a command line, where everybody "
                       "can read it: it is asked for on the terminal",
                       at);
    if (at &&
        (!text_is_word(rest, (size_t)(at - rest), "._-+") || (size_t)(at - rest) >= sizeof e->user))
        return err_say(err, "endpoint '%s': '%.*s' is no user", text, (int)(at - rest), rest);
    if (at)
        memcpy(e->user, rest, (size_t)(at - rest));
    if (len >= sizeof one)
        return err_say(err, "endpoint '%.40s…': the host's name is too long", text);
    memcpy(one, host, len);
    one[len] = 0;
    if (one[0] != '[' && strchr(one, ':') != strrchr(one, ':'))
        return err_say(err, "endpoint '%s': an IPv6 address stands in brackets", text);
    r = text_host_port(text, one, e, err);
    if (r < 0)
        return r;
    if (!text_is_word(e->arg, strlen(e->arg), one[0] == '[' ? ":.%-_" : ".-_") ||
        (one[0] == '[' && !strchr(e->arg, ':')))
        return err_say(err, "endpoint '%s': '%s' is no host", text, e->arg);
    return rest[n] ? text_ssh_query(text, rest + n + 1, e, err) : 0;
}

bool text_endpoint_foreign(const struct endpoint_text *endpoint)
{
    return endpoint->kind == ENDPOINT_IPERF3 || endpoint->kind == ENDPOINT_IPERF2 ||
           endpoint->kind == ENDPOINT_STAMP;
}

/* Most often a host as ssh and VMTP have it, where a password may stand behind the user: such a text is not repeated. */
static int text_no_endpoint(const char *text, struct err *err)
{
    const char *at = strchr(text, '@');
    bool host = text_is_word(text, strlen(text), "@._-");

    if (at && strchr(text, ':'))
        return err_say(err, "an endpoint with '@' and ':' is none of local, netns:NAME, "
                            "exec:COMMAND, ssh://[USER@]HOST[:PORT]");
    return err_say(err,
                   "endpoint '%s' is none of local, netns:NAME, exec:COMMAND, ssh://HOST, "
                   "iperf3://HOST, iperf2://HOST, stamp://HOST%s%s%s",
                   text, host ? " (a host: ssh://" : "", host ? text : "", host ? ")" : "");
}

int text_endpoint(const char *text, struct endpoint_text *ret_endpoint, struct err *err)
{
    struct endpoint_text e = {.kind = ENDPOINT_LOCAL};
    const char *arg = "";

    if (strcmp(text, "local") == 0) {
        *ret_endpoint = e;
        return 0;
    }
    for (size_t i = 0; i < sizeof text_servers / sizeof *text_servers; i++) {
        size_t n = strlen(text_servers[i].prefix);
        int r;

        if (strncmp(text, text_servers[i].prefix, n) != 0)
            continue;
        e.kind = text_servers[i].kind;
        e.port = text_servers[i].port;
        r = text_host_port(text, text + n, &e, err);
        if (r == 0)
            *ret_endpoint = e;
        return r;
    }
    if (strncmp(text, "ssh://", 6) == 0) {
        int r;

        e.kind = ENDPOINT_SSH;
        r = text_ssh(text, text + 6, &e, err);
        if (r == 0)
            *ret_endpoint = e;
        return r;
    }
    if (strncmp(text, "netns:", 6) == 0) {
        e.kind = ENDPOINT_NETNS;
        arg = text + 6;
        if (strchr(arg, '/') || strcmp(arg, ".") == 0 || strcmp(arg, "..") == 0)
            return err_say(err, "endpoint '%s': a namespace name has no '/'", text);
    } else if (strncmp(text, "exec:", 5) == 0) {
        e.kind = ENDPOINT_EXEC;
        arg = text + 5;
    } else {
        return text_no_endpoint(text, err);
    }
    if (!*arg)
        return err_say(err, "endpoint '%s' names nothing after its colon", text);
    if (!text_copy(e.arg, sizeof e.arg, arg))
        return err_say(err, "endpoint '%.40s…' is longer than %zu characters", text,
                       sizeof e.arg - 1);
    *ret_endpoint = e;
    return 0;
}

int text_address(const char *text, struct err *err)
{
    unsigned char addr[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, text, addr) == 1)
        return AF_INET;
    if (inet_pton(AF_INET6, text, addr) == 1)
        return AF_INET6;
    return err_say(err, "'%s' is not an IPv4 or IPv6 address", text);
}

/* Edit distance, cut off: words longer than 31 are never near. */
static unsigned text_distance(const char *a, const char *b)
{
    unsigned char row[32];
    size_t n_a = strlen(a), n_b = strlen(b);

    if (n_a > 31 || n_b > 31)
        return UINT_MAX;
    for (size_t j = 0; j <= n_b; j++)
        row[j] = (unsigned char)j;
    for (size_t i = 1; i <= n_a; i++) {
        unsigned char diagonal = row[0];

        row[0] = (unsigned char)i;
        for (size_t j = 1; j <= n_b; j++) {
            unsigned char up = row[j], best = (unsigned char)(diagonal + (a[i - 1] != b[j - 1]));

            if (up + 1 < best)
                best = (unsigned char)(up + 1);
            if (row[j - 1] + 1 < best)
                best = (unsigned char)(row[j - 1] + 1);
            diagonal = up;
            row[j] = best;
        }
    }
    return row[n_b];
}

const char *text_nearest(const char *word, const char *const *words, size_t n_words)
{
    const char *best = NULL;
    unsigned least = 3;

    for (size_t i = 0; i < n_words; i++) {
        unsigned d = text_distance(word, words[i]);

        if (d < least) {
            least = d;
            best = words[i];
        }
    }
    return best;
}

char *text_tame(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return text;
}

bool text_copy(char *ret, size_t size, const char *from)
{
    size_t n = strlen(from);
    bool fits = n < size;

    if (!fits)
        n = size - 1;
    memcpy(ret, from, n);
    ret[n] = 0;
    return fits;
}

void text_add(char *ret, size_t size, const char *fmt, ...)
{
    size_t used = strlen(ret);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(ret + used, size - used, fmt, ap);
    va_end(ap);
}
