/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/match_packets.h"
#include "results/csv_field.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

void match_packets_head(const struct match_packets *p)
{
    fputs("first,time_ns,direction,protocol,from,to,bytes,pos,id,seen", p->out);
    for (unsigned i = 0; i + 1 < p->n; i++) {
        char name[2 * HOP_NAME_SIZE + 16];

        snprintf(name, sizeof name, "%s to %s ns", p->names[p->order[i]],
                 p->names[p->order[i + 1]]);
        fputc(',', p->out);
        csv_field_text(name, p->out);
    }
    fputs(",flags\r\n", p->out);
}

static void match_packets_end(const struct seen_flow *flow, const uint8_t *address, uint16_t port,
                              FILE *out)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (!inet_ntop(flow->family == 6 ? AF_INET6 : AF_INET, address, text, sizeof text))
        return;
    if (port)
        fprintf(out, flow->family == 6 ? "[%s]:%u" : "%s:%u", text, port);
    else
        fputs(text, out);
}

static void match_packets_flow(const struct seen_flow *flow, FILE *out)
{
    if (!flow) {
        fputs(",,", out);
        return;
    }
    fprintf(out, "%u,", flow->protocol);
    match_packets_end(flow, flow->from, flow->from_port, out);
    fputc(',', out);
    match_packets_end(flow, flow->to, flow->to_port, out);
}

void match_packets_line(void *arg, const struct match_packet *packet)
{
    struct match_packets *p = arg;
    bool backward = packet->backward;
    const char *blank = "";

    if (p->error)
        return;
    errno = 0;
    csv_field_text(p->names[packet->first], p->out);
    fprintf(p->out, ",%llu,%s,", (unsigned long long)packet->at_ns[packet->first],
            backward ? "backward" : "forward");
    match_packets_flow(packet->flow, p->out);
    fprintf(p->out, ",%u,%u,%u,", packet->len, packet->pos, packet->id);
    for (unsigned i = 0; i < p->n; i++)
        fputc(packet->points & 1U << i ? '1' : '0', p->out);
    for (unsigned i = 0; i + 1 < p->n; i++) {
        unsigned a = p->order[backward ? i + 1 : i], b = p->order[backward ? i : i + 1];

        fputc(',', p->out);
        if (packet->points & 1U << a && packet->points & 1U << b)
            fprintf(p->out, "%lld", (long long)(packet->at_ns[b] - packet->at_ns[a]));
    }
    fputc(',', p->out);
    if (packet->reordered) {
        fputs("reordered", p->out);
        blank = " ";
    }
    if (packet->merged) {
        fprintf(p->out, "%smerged", blank);
        blank = " ";
    }
    if (packet->ambiguous) {
        fprintf(p->out, "%sambiguous", blank);
        blank = " ";
    }
    if (packet->n_duplicates)
        fprintf(p->out, "%sduplicated", blank);
    fputs("\r\n", p->out);
    if (ferror(p->out))
        p->error = errno ? errno : EIO;
}
