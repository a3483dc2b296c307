/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/preflight_judge.h"
#include "model/ports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Is that one of the client's addresses? */
static bool judge_is_client(const struct preflight_knock *k, const char *address)
{
    static const char *const keys[] = {"addresses", "addresses_v6"};
    size_t len = strlen(address);

    if (strcmp(k->from, address) == 0 || strcmp(k->bind, address) == 0)
        return true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (const char *p = facts_get(&k->client->facts, keys[i]); p && *p;) {
            if (strncmp(p, address, len) == 0 && p[len] == '/')
                return true;
            p += strcspn(p, " ");
            p += *p == ' ';
        }
    return false;
}

/* How far it came. */
enum judge_came { CAME_UNKNOWN, CAME_NOT, CAME };

static enum judge_came judge_came(const struct preflight_knock *k, const struct probe_heard *heard,
                                  uint32_t number, bool alone)
{
    if (!heard)
        return CAME_UNKNOWN;
    if (probe_has_heard(heard, number) || (heard->n_half && alone))
        return CAME;
    for (uint32_t i = 0; i < heard->n_half; i++)
        if (judge_is_client(k, heard->half[i]))
            return CAME;
    /* Somebody's request for a connection came, behind a translation it may have been this one's. */
    return heard->n_half ? CAME_UNKNOWN : CAME_NOT;
}

static const char *judge_silent(enum judge_came came)
{
    return came == CAME       ? "what it sends arrives there, but the answers do not come back"
           : came == CAME_NOT ? "nothing arrives there, and nothing comes back: it is dropped on "
                                "the way"
                              : "no answer comes back";
}

static const char *judge_connected(enum judge_came came)
{
    return came == CAME_NOT ? "it connects, but what it sends then does not arrive there"
                            : "it connects, but then no answer comes back";
}

static const char *judge_error(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "it is refused: a firewall rejects it, or that address leads to another host";
    case EPERM:
        return "a firewall of its own does not let it out";
    case EACCES:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "it is told so by a firewall or router, or has no route";
    case ENODEV:
        return "it has no interface of that name (if=) itself";
    case EADDRNOTAVAIL:
        return "it does not have that address (addr=) itself";
    default:
        return "trying it failed";
    }
}

void preflight_judge_knock(struct preflight_knock *k, uint16_t port,
                           const struct probe_answer *answer, const struct probe_heard *heard,
                           uint32_t number, bool alone)
{
    enum judge_came came = judge_came(k, heard, number, alone);
    const char *why = "", *words = "";

    switch (answer->end) {
    case PROBE_REACHED:
    case PROBE_END_COUNT:
        return;
    case PROBE_SILENT:
        why = judge_silent(came);
        break;
    case PROBE_CONNECTED:
        why = judge_connected(came);
        break;
    case PROBE_STRANGER:
        why = "what answers there is not our agent: a proxy, or that address leads to another host";
        break;
    case PROBE_ERROR:
        /* That ends of two families were named is no firewall's doing: the test says it in its own words. */
        if (answer->error == EAFNOSUPPORT)
            return;
        why = judge_error(answer->error);
        words = strerror(answer->error);
        break;
    }
    k->code = EHOSTUNREACH;
    snprintf(k->why, sizeof k->why, "%s cannot reach %s at %s, %s port %u: %s%s%s%s",
             k->client->name, k->server->name, k->address, k->udp ? "UDP" : "TCP", port, why,
             *words ? " (" : "", words, *words ? ")" : "");
}

void preflight_judge_door(struct preflight_knock *k, int error)
{
    char ports[PORTS_TEXT_SIZE];
    bool many = k->port_last > k->port;

    ports_say(k->port, k->port_last, ports);
    k->code = error;
    if (error == EADDRINUSE)
        snprintf(k->why, sizeof k->why,
                 "%s: %s%s %s %s taken by other programs (--port names others)", k->server->name,
                 many ? "all of " : "", k->udp ? "UDP" : "TCP", ports, many ? "are" : "is");
    else
        snprintf(k->why, sizeof k->why, "%s: %s %s cannot be opened: %s", k->server->name,
                 k->udp ? "UDP" : "TCP", ports, strerror(error));
}
