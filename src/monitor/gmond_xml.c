/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/gmond_xml.h"
#include "base/text.h"
#include "monitor/expat_library.h"
#include "monitor/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct gmond_xml {
    XML_Parser parser; /* owned */
    struct gmond_hosts hosts;
    size_t n_bytes;
    bool root, in_host;
    int failed;
    struct err failure;
};

static const char *const gmond_names[GMOND_METRIC_COUNT] = {"cpu_user",  "cpu_nice",  "cpu_system",
                                                            "cpu_wio",   "cpu_idle",  "cpu_intr",
                                                            "cpu_sintr", "cpu_steal", "cpu_num"};

void gmond_hosts_done(struct gmond_hosts *hosts)
{
    free(hosts->host);
    *hosts = (struct gmond_hosts){0};
}

static void gmond_xml_stop(struct gmond_xml *x, int r, const char *why)
{
    if (x->failed)
        return;
    x->failed = r;
    err_say(&x->failure, "%s", why);
    x->failure.code = -r;
    expat_library.stop_parser(x->parser, XML_FALSE);
}

static const char *gmond_xml_attribute(const XML_Char **attributes, const char *name)
{
    for (; attributes[0]; attributes += 2)
        if (strcmp(attributes[0], name) == 0)
            return attributes[1];
    return "";
}

static void gmond_xml_host(struct gmond_xml *x, const XML_Char **attributes)
{
    struct gmond_hosts *hosts = &x->hosts;
    const char *name = gmond_xml_attribute(attributes, "NAME");

    x->in_host = false;
    if (hosts->n == GMOND_MAX_HOSTS)
        return;
    if (hosts->n == hosts->room) {
        uint32_t room = hosts->room ? hosts->room * 2 : 8;
        struct gmond_host *grown = realloc(hosts->host, room * sizeof *grown);

        if (!grown) {
            gmond_xml_stop(x, -ENOMEM, "no memory for its hosts");
            return;
        }
        hosts->host = grown;
        hosts->room = room;
    }
    hosts->host[hosts->n] = (struct gmond_host){0};
    text_copy(hosts->host[hosts->n].name, sizeof hosts->host->name,
              *name ? name : gmond_xml_attribute(attributes, "IP"));
    text_tame(hosts->host[hosts->n].name);
    hosts->n++;
    x->in_host = true;
}

static void gmond_xml_metric(struct gmond_xml *x, const XML_Char **attributes)
{
    struct gmond_host *host = &x->hosts.host[x->hosts.n - 1];
    const char *name = gmond_xml_attribute(attributes, "NAME"),
               *value = gmond_xml_attribute(attributes, "VAL"),
               *age = gmond_xml_attribute(attributes, "TN");
    double v, age_s;
    int m = 0;

    while (m < GMOND_METRIC_COUNT && strcmp(name, gmond_names[m]) != 0)
        m++;
    /* A value without an age may be of any time. */
    if (m == GMOND_METRIC_COUNT || !number_parse(value, strlen(value), &v) ||
        !number_parse(age, strlen(age), &age_s) || age_s < 0 || age_s > UINT32_MAX || v < 0)
        return;
    if (m == GMOND_NUM ? v < 1 || v > NODE_CPU_MAX_CORES : v > 100.5)
        return;
    host->has[m] = true;
    host->value[m] = v;
    host->age_s[m] = (uint32_t)age_s;
}

static void XMLCALL gmond_xml_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct gmond_xml *x = arg;

    if (!x->root) {
        x->root = true;
        if (strcmp(name, "GANGLIA_XML") != 0)
            gmond_xml_stop(x, -EBADMSG, "what came is XML, but not gmond's");
    } else if (strcmp(name, "HOST") == 0) {
        gmond_xml_host(x, attributes);
    } else if (strcmp(name, "METRIC") == 0 && x->in_host) {
        gmond_xml_metric(x, attributes);
    }
}

static void XMLCALL gmond_xml_stop_host(void *arg, const XML_Char *name)
{
    struct gmond_xml *x = arg;

    if (strcmp(name, "HOST") == 0)
        x->in_host = false;
}

/* gmond's DTD declares elements and attributes alone. Who defines entities wants them expanded. */
static void XMLCALL gmond_xml_entity(void *arg, const XML_Char *name, int is_parameter,
                                     const XML_Char *value, int value_length, const XML_Char *base,
                                     const XML_Char *system_id, const XML_Char *public_id,
                                     const XML_Char *notation)
{
    (void)name;
    (void)is_parameter;
    (void)value;
    (void)value_length;
    (void)base;
    (void)system_id;
    (void)public_id;
    (void)notation;
    gmond_xml_stop(arg, -EBADMSG, "what came defines entities, which gmond does not");
}

int gmond_xml_new(struct gmond_xml **ret_xml, struct err *err)
{
    struct gmond_xml *x;
    int r = expat_library_load(err);

    if (r < 0)
        return r;
    x = calloc(1, sizeof *x);
    if (x)
        x->parser = expat_library.parser_create(NULL);
    if (!x || !x->parser) {
        free(x);
        return err_set(err, ENOMEM, "memory for reading XML");
    }
    expat_library.set_user_data(x->parser, x);
    expat_library.set_element_handler(x->parser, gmond_xml_start, gmond_xml_stop_host);
    expat_library.set_entity_decl_handler(x->parser, gmond_xml_entity);
    *ret_xml = x;
    return 0;
}

static int gmond_xml_parse(struct gmond_xml *x, const char *data, size_t n, bool last,
                           struct err *err)
{
    if (!x->failed && expat_library.parse(x->parser, data, (int)n, last) != XML_STATUS_OK &&
        !x->failed) {
        enum XML_Error code = expat_library.get_error_code(x->parser);

        x->failed = code == XML_ERROR_NO_MEMORY ? -ENOMEM : -EBADMSG;
        err_say(&x->failure, "what came is %s: line %lu, column %lu: %s",
                last ? "cut off" : "not XML", expat_library.get_line(x->parser),
                expat_library.get_column(x->parser) + 1, expat_library.error_string(code));
        x->failure.code = -x->failed;
    }
    if (x->failed && err)
        *err = x->failure;
    return x->failed;
}

int gmond_xml_feed(struct gmond_xml *x, const char *data, size_t n, struct err *err)
{
    x->n_bytes += n;
    if (x->n_bytes > GMOND_XML_BYTES)
        gmond_xml_stop(x, -EFBIG, "it sends more than 32 MiB");
    return gmond_xml_parse(x, data, n, false, err);
}

int gmond_xml_end(struct gmond_xml *x, struct gmond_hosts *ret_hosts, struct err *err)
{
    int r;

    if (x->n_bytes == 0 && !x->failed) {
        err_say(err, "it sent nothing (its accept lists may leave this machine out)");
        if (err)
            err->code = ENODATA;
        return -ENODATA;
    }
    r = gmond_xml_parse(x, "", 0, true, err);
    if (r < 0)
        return r;
    *ret_hosts = x->hosts;
    x->hosts = (struct gmond_hosts){0};
    return 0;
}

void gmond_xml_free(struct gmond_xml *x)
{
    if (!x)
        return;
    expat_library.parser_free(x->parser);
    gmond_hosts_done(&x->hosts);
    free(x);
}
