/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/node_cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * CPU values out of the XML that gmond sends to whoever connects: all hosts of its cluster. Text is converted to UTF-8. An
 * entity that the document defines itself, and a document of more than GMOND_XML_BYTES, is refused.
 *
 * units   percent, as gmond has them; ages in whole seconds, rounded down
 * errors  -EBADMSG it is not XML, or not gmond's, or is cut off, with line and column; -EFBIG; -ENOENT no expat; -ENOMEM
 * source  gmond 3.7's own DTD, in front of each answer; gmond.conf(5): cpu_system holds cpu_intr and cpu_sintr
 */
enum gmond_metric {
    GMOND_USER,
    GMOND_NICE,
    GMOND_SYSTEM,
    GMOND_WIO,
    GMOND_IDLE,
    GMOND_INTR,
    GMOND_SINTR,
    GMOND_STEAL,
    GMOND_NUM,
    GMOND_METRIC_COUNT
};

enum { GMOND_MAX_HOSTS = 1024, GMOND_XML_BYTES = 32 << 20 };

struct gmond_host {
    char name[NODE_CPU_NAME_SIZE];
    bool has[GMOND_METRIC_COUNT];
    double value[GMOND_METRIC_COUNT];
    uint32_t age_s[GMOND_METRIC_COUNT]; /* TN: since it was reported */
};

struct gmond_hosts {
    struct gmond_host *host; /* owned; ended by gmond_hosts_done() */
    uint32_t n, room;
};
void gmond_hosts_done(struct gmond_hosts *hosts);

struct gmond_xml;
int gmond_xml_new(struct gmond_xml **ret_xml, struct err *err);
/* The next bytes; after an error nothing more is taken. */
int gmond_xml_feed(struct gmond_xml *xml, const char *data, size_t n, struct err *err);
/* The document's end: what it had. owns: ret_hosts */
int gmond_xml_end(struct gmond_xml *xml, struct gmond_hosts *ret_hosts, struct err *err);
void gmond_xml_free(struct gmond_xml *xml);
