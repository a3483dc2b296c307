/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "monitor/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* "collect[]=cpu&collect[]=stat": which collectors a node exporter runs. Anything else might be a secret. */
static bool monitor_spec_query(const char *query)
{
    static const char key[] = "collect[]=";

    while (*query) {
        size_t n;

        if (strncmp(query, key, sizeof key - 1) != 0)
            return false;
        query += sizeof key - 1;
        n = strspn(query, "abcdefghijklmnopqrstuvwxyz0123456789_.");
        if (n == 0 || (query[n] && query[n] != '&'))
            return false;
        query += n + (query[n] == '&');
    }
    return true;
}

/*
 * "HOST", "HOST:PORT", "[ADDR6]:PORT", of n bytes.
 *
 * returns bytes without a port that is empty, which is the scheme's own (RFC 3986, 3.2.3 and 6.2.3); -EINVAL
 */
static int monitor_spec_authority(const char *host, size_t n, struct err *err)
{
    const char *end = host + n;
    const char *bracket = host[0] == '[' ? memchr(host, ']', n) : NULL;
    const char *port =
        memchr(bracket ? bracket : host, ':', (size_t)(end - (bracket ? bracket : host)));
    char digits[8];
    uint64_t number;

    if ((host[0] == '[' && !bracket) || (bracket && bracket + 1 != (port ? port : end)) ||
        port == host)
        return err_say(err, "'%.*s' is no host: HOST[:PORT] or [ADDR6][:PORT]", (int)n, host);
    if (!port)
        return (int)n;
    if (port + 1 == end)
        return (int)(port - host);
    if ((size_t)(end - port) > sizeof digits)
        return err_say(err, "'%.*s' is no port", (int)(end - port - 1), port + 1);
    memcpy(digits, port + 1, (size_t)(end - port - 1));
    digits[end - port - 1] = '\0';
    if (text_count(digits, 1, UINT16_MAX, &number, NULL) < 0)
        return err_say(err, "'%.*s': '%s' is no port", (int)n, host, digits);
    return (int)n;
}

static int monitor_spec_url(const char *text, struct monitor_spec *spec, struct err *err)
{
    const char *host = strstr(text, "://") + 3;
    size_t n_host = strcspn(host, "/?#");
    const char *query = strchr(host, '?');
    int n_said;

    /* Not quoted here: what is wrong with it may be that it has a password. */
    if (memchr(host, '@', n_host) || (strchr(host, '@') && !query))
        return err_say(err, "a URL with a user or a password is refused, as others could read it: "
                            "put them into ~/.netrc");
    if (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)
        return err_say(err, "'%.40s' is neither a gmond's HOST[:PORT] nor http:// or https://",
                       text);
    if (n_host == 0 || n_host >= sizeof spec->name)
        return err_say(err, "'%.40s' names no host", text);
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p == 0x7f)
            return err_say(err, "a URL has no blanks");
    if (strchr(host, '#') || (query && !monitor_spec_query(query + 1)))
        return err_say(err, "of a query only ?collect[]=NAME&collect[]=NAME is taken");
    n_said = monitor_spec_authority(host, n_host, err);
    if (n_said < 0)
        return n_said;
    if (snprintf(spec->url, sizeof spec->url, "%.*s%s", (int)(host - text) + n_said, text,
                 host + n_host) >= (int)sizeof spec->url)
        return err_say(err, "a URL has at most %zu bytes", sizeof spec->url - 1);
    /* An address alone is a node exporter's, whose page of numbers is always the same. */
    if (host[n_host] == '\0' || strcmp(host + n_host, "/") == 0) {
        size_t used = (size_t)(host - text) + (size_t)n_said;

        if (snprintf(spec->url + used, sizeof spec->url - used, "/metrics") >=
            (int)(sizeof spec->url - used))
            return err_say(err, "a URL has at most %zu bytes", sizeof spec->url - 1);
    }
    spec->source = NODE_CPU_EXPORTER;
    memcpy(spec->name, host, (size_t)n_said);
    spec->name[n_said] = '\0';
    return 0;
}

/* "HOST", "HOST:PORT", "ADDR6", "[ADDR6]:PORT" */
static int monitor_spec_gmond(const char *text, struct monitor_spec *spec, struct err *err)
{
    const char *port = NULL, *host = text;
    size_t n = strcspn(text, ":");
    uint64_t number = MONITOR_GMOND_PORT;
    bool v6 = false;

    if (text[0] == '[') {
        host = text + 1;
        n = strcspn(host, "]");
        v6 = true;
        if (host[n] != ']' || (host[n + 1] && host[n + 1] != ':'))
            return err_say(err, "'%.60s': an IPv6 address with a port is [ADDR]:PORT", text);
        port = host[n + 1] ? host + n + 2 : NULL;
    } else if (text[n] && strchr(text + n + 1, ':')) {
        n = strlen(text);
        v6 = true;
    } else if (text[n]) {
        port = text + n + 1;
    }
    if (n == 0 || n >= sizeof spec->host)
        return err_say(err, "'%.60s' names no host", text);
    memcpy(spec->host, host, n);
    spec->host[n] = '\0';
    if (v6 && text_address(spec->host, NULL) < 0)
        return err_say(err, "'%.60s' is no IPv6 address", spec->host);
    if (strspn(spec->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:") !=
        n)
        return err_say(err, "'%.60s' names no host", text);
    if (port && text_count(port, 1, UINT16_MAX, &number, NULL) < 0)
        return err_say(err, "'%.60s': '%.20s' is no port", text, port);
    spec->port = (uint16_t)number;
    spec->source = NODE_CPU_GMOND;
    snprintf(spec->name, sizeof spec->name, v6 ? "[%s]:%u" : "%s:%u", spec->host, spec->port);
    return 0;
}

int monitor_spec_parse(const char *text, struct monitor_spec *ret_spec, struct err *err)
{
    struct monitor_spec spec = {0};
    int r = strstr(text, "://") ? monitor_spec_url(text, &spec, err)
                                : monitor_spec_gmond(text, &spec, err);

    if (r == 0)
        *ret_spec = spec;
    return r;
}
