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

static int monitor_spec_url(const char *text, struct monitor_spec *spec, struct err *err)
{
    const char *host = strstr(text, "://") + 3;
    size_t n_host = strcspn(host, "/?#");
    const char *query = strchr(host, '?');

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
    if (!text_copy(spec->url, sizeof spec->url, text))
        return err_say(err, "a URL has at most %zu bytes", sizeof spec->url - 1);
    /* An address alone is a node exporter's, whose page of numbers is always the same. */
    if (host[n_host] == '\0' || strcmp(host + n_host, "/") == 0) {
        size_t used = (size_t)(host - text) + n_host;

        if (snprintf(spec->url + used, sizeof spec->url - used, "/metrics") >=
            (int)(sizeof spec->url - used))
            return err_say(err, "a URL has at most %zu bytes", sizeof spec->url - 1);
    }
    spec->source = NODE_CPU_EXPORTER;
    memcpy(spec->name, host, n_host);
    spec->name[n_host] = '\0';
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
