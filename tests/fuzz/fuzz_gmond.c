/* SPDX-License-Identifier: Apache-2.0 */
/* What a gmond says, whole and in two pieces: both must say the same, and what they say must make sense in a window. */
#include "fuzz.h"
#include "monitor/gmond_window.h"

#include <assert.h>
#include <string.h>

static int read_in(const char *data, size_t size, size_t cut, struct gmond_hosts *ret)
{
    struct gmond_xml *xml = NULL;
    struct err err = {0};
    int r = gmond_xml_new(&xml, &err);

    if (r == 0 && cut)
        r = gmond_xml_feed(xml, data, cut, &err);
    if (r == 0 && size > cut)
        r = gmond_xml_feed(xml, data + cut, size - cut, &err);
    if (r == 0)
        r = gmond_xml_end(xml, ret, &err);
    assert(r == 0 || err.text[0]);
    gmond_xml_free(xml);
    return r;
}

static void check_window(const struct gmond_hosts *hosts, bool any_age)
{
    const uint64_t s = 1000000000;
    struct gmond_window w = {.start_ns = 100 * s, .end_ns = 110 * s, .any_age = any_age};
    struct node_cpus nodes = {0};

    assert(gmond_window_add(&w, hosts, 105 * s) == 0);
    assert(gmond_window_add(&w, hosts, 110 * s) == 0);
    assert(gmond_window_nodes(&w, &nodes) == 0);
    assert(nodes.n <= hosts->n);
    for (uint32_t i = 0; i < nodes.n; i++) {
        const struct node_cpu *node = &nodes.node[i];

        assert(!node->has_busy || (node->busy_share >= 0 && node->busy_share <= 1));
        assert(node->has_busy == (node->n_samples > 0));
        assert(node->note[0]);
        for (int m = 0; m < CPU_MODE_COUNT; m++)
            assert(node->share[m] >= 0 && node->share[m] <= 2.1);
    }
    node_cpus_done(&nodes);
    gmond_window_done(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gmond_hosts whole = {0}, parts = {0};
    const char *text = (const char *)data;
    int a = read_in(text, size, 0, &whole), b = read_in(text, size, size / 2, &parts);

    /* Bytes behind what is wrong may be named differently, but not taken. */
    assert((a == 0) == (b == 0));
    if (a == 0) {
        assert(whole.n == parts.n);
        assert(whole.n == 0 || memcmp(whole.host, parts.host, whole.n * sizeof *whole.host) == 0);
        check_window(&whole, false);
        check_window(&whole, true);
    }
    gmond_hosts_done(&whole);
    gmond_hosts_done(&parts);
    return 0;
}
