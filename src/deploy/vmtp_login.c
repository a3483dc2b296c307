/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/vmtp_login.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char vmtp_login_warning[] =
    "a password on the command line can be read by every user of this machine until vnperf has "
    "wiped "
    "it, and in the shell's history for good: a key, or the question on the terminal, is safer";

static void vmtp_wipe(char *text, size_t n)
{
    explicit_bzero(text, n);
    /* Zeros would end the word early, and ps would show what follows it as words of their own. */
    memset(text, 'x', n);
}

/* Where HOST ends: at its ':' or at the end. NULL: '[' without ']'. */
static char *vmtp_host_end(char *host)
{
    char *end = host;

    if (*host == '[') {
        end = strchr(host, ']');
        if (!end || (end[1] && end[1] != ':'))
            return NULL;
        return end + 1;
    }
    return host + strcspn(host, ":");
}

/* Any name that a kernel takes; what is none may be the rest of a password, and is not quoted. */
static bool vmtp_is_interface(const char *name)
{
    size_t n = strlen(name);

    for (const char *p = name; *p; p++)
        if (*p <= ' ' || *p > '~' || strchr("/:?&", *p))
            return false;
    return n < sizeof((struct vmtp_login *)NULL)->interface;
}

/* text is "USER@HOST" now, or what stands there. */
static int vmtp_login_host(const char *text, size_t n, struct vmtp_login *login, struct err *err)
{
    struct endpoint_text at;
    char one[512];
    int r;

    if (n > sizeof one - 8)
        return err_say(err, "the host's name is too long");
    /* One parser says what may stand there. */
    snprintf(one, sizeof one, "ssh://%.*s", (int)n, text);
    if (strchr(one, '?'))
        return err_say(err, "'%s' is no host: it has a '?'", one + 6);
    r = text_endpoint(one, &at, err);
    if (r < 0)
        return r;
    text_copy(login->user, sizeof login->user, at.user);
    text_copy(login->host, sizeof login->host, at.arg);
    return 0;
}

int vmtp_login_parse(char *text, struct vmtp_login *ret_login, struct err *err)
{
    struct vmtp_login login = {0};
    size_t n = strcspn(text, ":"), n_password = 0;
    /* A '@' behind the first ':' is the password's: an address in brackets has none. */
    char *sign = memchr(text, '@', n), *host = sign ? sign + 1 : text, *end = vmtp_host_end(host),
         *last;
    struct in6_addr address;
    int r;

    if (!end || inet_pton(AF_INET6, host, &address) == 1) {
        if (!end)
            vmtp_wipe(host, strlen(host));
        return err_say(err, "a host that is an IPv6 address stands in brackets: [fd00::1]");
    }
    last = *end ? strrchr(end + 1, ':') : NULL;
    if (last && !vmtp_is_interface(last + 1)) {
        vmtp_wipe(end + 1, strlen(end + 1));
        return err_say(err,
                       "host '%.*s': what stands behind the last ':' is no interface (a "
                       "password with a ':' in it ends with one)",
                       (int)(end - text), text);
    }
    if (last)
        text_copy(login.interface, sizeof login.interface, last + 1);
    if (*end)
        n_password = last ? (size_t)(last - end - 1) : strlen(end + 1);
    if (n_password) {
        login.password = strndup(end + 1, n_password);
        vmtp_wipe(end + 1, n_password);
        if (!login.password)
            return err_set(err, ENOMEM, "memory for a login");
    }
    if (n_password && !sign)
        /* What stands first may be a user, and the host behind the password. */
        r = err_say(err, "a password comes behind user and host: USER@HOST:PASSWORD (and a port "
                         "with a host is ssh://[USER@]HOST:PORT)");
    else
        r = vmtp_login_host(text, (size_t)(end - text), &login, err);
    if (r < 0) {
        vmtp_login_done(&login);
        return r;
    }
    *ret_login = login;
    return 0;
}

void vmtp_login_done(struct vmtp_login *login)
{
    if (!login)
        return;
    if (login->password)
        explicit_bzero(login->password, strlen(login->password));
    free(login->password);
    *login = (struct vmtp_login){0};
}

void vmtp_login_endpoint(const struct vmtp_login *login, struct endpoint_text *ret_endpoint)
{
    struct endpoint_text at = {.kind = ENDPOINT_SSH};

    text_copy(at.arg, sizeof at.arg, login->host);
    text_copy(at.user, sizeof at.user, login->user);
    text_copy(at.ifname, sizeof at.ifname, login->interface);
    *ret_endpoint = at;
}
