/* SPDX-License-Identifier: Apache-2.0 */
#include "host/path.h"

#include <stdio.h>
#include <string.h>

/*
 * hop_path_walk FROM[/IFNAME] TO NAT_TO PACKET PLACE=NETNS…: the way of a packet, a point a line, and then how it ends.
 * What is not said is "-".
 *
 *     a/a0 veth out
 *     node1/eth0 physical out tunnelled
 *     leaves: it leaves this machine by node1/eth0
 *     packet: to=10.0.0.2;to=192.0.2.2,vni=7,port=4789
 */
static const char *said(const char *arg) { return strcmp(arg, "-") == 0 ? NULL : arg; }

static int complain(const struct err *err)
{
    printf("error %d: %s\n", err->code, err->text);
    return 1;
}

static void show(const struct path_question *q, const struct path *path)
{
    char text[PATH_PACKET_SIZE];

    for (unsigned i = 0; i < path->n_points; i++) {
        const struct path_point *p = &path->points[i];

        printf("%s/%s %s %s%s\n", q->places[p->place].name, p->ifname, p->kind,
               p->outgoing ? "out" : "in", p->tunnelled ? " tunnelled" : "");
    }
    path_packet_show(&path->packet, text);
    printf("%s: %s\npacket: %s\n", path_end_name[path->end], path->text, text);
}

int main(int argc, char **argv)
{
    static struct path_place places[PATH_MAX_PLACES];
    struct path_question q = {.places = places};
    struct path_packet packet;
    struct err err = {0};
    struct path path;
    char *ifname;

    if (argc < 6 || argc - 5 > PATH_MAX_PLACES)
        return 2;
    ifname = strchr(argv[1], '/');
    if (ifname)
        *ifname++ = 0;
    q.from = PATH_MAX_PLACES;
    for (int i = 5; i < argc; i++) {
        struct path_place *p = &places[q.n_places];
        char *netns = strchr(argv[i], '=');

        if (!netns)
            return 2;
        *netns++ = 0;
        snprintf(p->name, sizeof p->name, "%s", argv[i]);
        snprintf(p->netns, sizeof p->netns, "%s", netns);
        if (strcmp(p->name, argv[1]) == 0)
            q.from = q.n_places;
        q.n_places++;
    }
    q.from_ifname = ifname;
    q.to = said(argv[2]);
    q.nat_to = said(argv[3]);
    if (said(argv[4])) {
        if (path_packet_read(argv[4], &packet, &err) < 0)
            return complain(&err);
        q.packet = &packet;
    }
    if (path_find(&q, &path, &err) < 0)
        return complain(&err);
    show(&q, &path);
    return 0;
}
