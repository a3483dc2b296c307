/* SPDX-License-Identifier: Apache-2.0 */
#include "host/path.h"

#include "base/text.h"
#include "host/path_walk.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int path_find(const struct path_question *question, struct path *ret_path, struct err *err)
{
    struct path_question q = *question;
    struct path_kernel *kernel;
    struct path_view view;
    int r;

    if (q.n_places < 1 || q.n_places > PATH_MAX_PLACES || q.from >= q.n_places)
        return err_say(err, "a path is looked for in 1 to %d places, and begins in one of them",
                       PATH_MAX_PLACES);
    r = path_view_open(q.places, q.n_places, &kernel, &view, err);
    if (r < 0)
        return r;
    q.from = path_view_first(kernel, q.from);
    r = path_walk(&view, &q, ret_path, err);
    path_view_close(kernel);
    return r;
}

int path_address_read(const char *text, struct path_address *ret_address, struct err *err)
{
    struct path_address a = {0};
    int family = text_address(text, err);

    if (family < 0)
        return family;
    a.family = family;
    if (inet_pton(family, text, a.bytes) != 1)
        return err_say(err, "'%s' is no IP address", text);
    *ret_address = a;
    return 0;
}

/* ---- packets as words ---- */

static void show_layer(const struct path_layer *layer, char *ret, size_t size)
{
    char address[PATH_ADDRESS_SIZE], mac[PATH_MAC_SIZE];
    size_t n = 0;

    n += (size_t)snprintf(ret + n, size - n, "to=%s", path_walk_address(&layer->to, address));
    if (layer->from.family)
        n += (size_t)snprintf(ret + n, size - n, ",from=%s",
                              path_walk_address(&layer->from, address));
    if (layer->has_mac)
        n += (size_t)snprintf(ret + n, size - n, ",mac=%s", path_walk_mac(layer->mac, mac));
    for (unsigned i = 0; i < layer->n_tags; i++)
        n += (size_t)snprintf(ret + n, size - n, ",vlan=%u", layer->tags[i]);
    if (layer->vni || layer->port)
        snprintf(ret + n, size - n, ",vni=%u,port=%u", layer->vni, layer->port);
}

void path_packet_show(const struct path_packet *packet, char ret[PATH_PACKET_SIZE])
{
    size_t n = 0;

    ret[0] = 0;
    for (unsigned i = 0; i < packet->n_layers; i++) {
        if (i)
            ret[n++] = ';';
        show_layer(&packet->layer[i], ret + n, PATH_PACKET_SIZE - n);
        n += strlen(ret + n);
    }
}

static int read_mac(const char *text, struct path_layer *layer, struct err *err)
{
    static const char hex[] = "0123456789abcdefABCDEF";

    /* "02:76:6e:01:00:0b" */
    for (unsigned i = 0; i < PATH_MAC_SIZE - 1; i++)
        if (i % 3 == 2 ? text[i] != ':' : !text[i] || !strchr(hex, text[i]))
            return err_say(err, "'%s' is no MAC address", text);
    if (text[PATH_MAC_SIZE - 1])
        return err_say(err, "'%s' is no MAC address", text);
    for (unsigned i = 0; i < sizeof layer->mac; i++)
        layer->mac[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
    layer->has_mac = true;
    return 0;
}

/* One "key=value". */
static int read_word(char *word, struct path_layer *layer, struct err *err)
{
    char *value = strchr(word, '=');
    uint64_t n = 0;
    int r;

    if (!value)
        return err_say(err, "'%s' says nothing of a packet", word);
    *value++ = 0;
    if (strcmp(word, "to") == 0)
        return path_address_read(value, &layer->to, err);
    if (strcmp(word, "from") == 0)
        return path_address_read(value, &layer->from, err);
    if (strcmp(word, "mac") == 0)
        return read_mac(value, layer, err);
    if (strcmp(word, "vlan") == 0) {
        if (layer->n_tags == PATH_MAX_TAGS)
            return err_say(err, "a frame has at most %d VLANs here", PATH_MAX_TAGS);
        r = text_count(value, 0, 4095, &n, err);
        if (r == 0)
            layer->tags[layer->n_tags++] = (unsigned)n;
        return r;
    }
    if (strcmp(word, "vni") == 0) {
        r = text_count(value, 0, 0xffffff, &n, err);
        if (r == 0)
            layer->vni = (uint32_t)n;
        return r;
    }
    if (strcmp(word, "port") == 0) {
        r = text_count(value, 0, UINT16_MAX, &n, err);
        if (r == 0)
            layer->port = (uint16_t)n;
        return r;
    }
    return err_say(err, "'%s' says nothing of a packet", word);
}

int path_packet_read(const char *text, struct path_packet *ret_packet, struct err *err)
{
    struct path_packet packet = {0};
    char copy[PATH_PACKET_SIZE], *rest = copy, *part;
    int r;

    if (!text_copy(copy, sizeof copy, text))
        return err_say(err, "a packet's words are too long");
    while ((part = strsep(&rest, ";"))) {
        struct path_layer *layer = &packet.layer[packet.n_layers];
        char *word;

        if (packet.n_layers++ == PATH_MAX_LAYERS)
            return err_say(err, "a packet has at most %d layers here", PATH_MAX_LAYERS);
        while ((word = strsep(&part, ",")))
            if ((r = read_word(word, layer, err)) < 0)
                return r;
        if (!layer->to.family)
            return err_say(err, "'%s' does not say where the packet goes", text);
    }
    *ret_packet = packet;
    return 0;
}
