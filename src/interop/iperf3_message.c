/* SPDX-License-Identifier: Apache-2.0 */
#include "interop/iperf3_message.h"
#include "base/auto.h"
#include "base/text.h"
#include "interop/json_read.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char *iperf3_error_words(int number)
{
    static const struct {
        int number;
        const char *words;
    } rows[] = {
        {IPERF3_IEDURATION, "the test is too long for it"},
        {IPERF3_IENUMSTREAMS, "too many streams for it"},
        {IPERF3_IEBLOCKSIZE, "the payload is too large for it"},
        {IPERF3_IEBUFSIZE, "the window is too large for it"},
        {IPERF3_IEMSS, "the MSS is too large for it"},
        {IPERF3_IEUDPBLOCKSIZE, "the datagram's size is not possible there"},
        {IPERF3_IETOS, "the TOS is not possible there"},
        {27, "the rate is above its limit"},
        {37, "the test is longer than it allows"},
        {IPERF3_IERECVPARAMS, "it could not read the parameters"},
        {IPERF3_IESETCONGESTION, "the congestion control is not possible there"},
        {142, "it wants a user and a password"},
        {160, "its time limit ran out"},
        {IPERF3_IESTREAMCONNECT, "it did not get the test's streams"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].number == number)
            return rows[i].words;
    return NULL;
}

/* A text that is written piece by piece; n above size: it did not fit. */
struct iperf3_text {
    char *text;
    size_t n, size;
};

static void iperf3_print(struct iperf3_text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void iperf3_print(struct iperf3_text *t, const char *fmt, ...)
{
    va_list args;
    int n;

    if (t->n >= t->size)
        return;
    va_start(args, fmt);
    n = vsnprintf(t->text + t->n, t->size - t->n, fmt, args);
    va_end(args);
    t->n = n < 0 ? t->size : t->n + (size_t)n;
}

static int iperf3_printed(const struct iperf3_text *t)
{
    return t->n < t->size ? (int)t->n : -ENOSPC;
}

/* A string as JSON has it. */
static void iperf3_print_string(struct iperf3_text *t, const char *string)
{
    iperf3_print(t, "\"");
    for (const char *c = string; *c; c++) {
        if (*c == '"' || *c == '\\')
            iperf3_print(t, "\\%c", *c);
        else if ((unsigned char)*c < ' ')
            iperf3_print(t, "\\u%04x", (unsigned)*c);
        else
            iperf3_print(t, "%c", *c);
    }
    iperf3_print(t, "\"");
}

int iperf3_params_write(const struct iperf3_params *p, char *ret_text, size_t size)
{
    struct iperf3_text t = {.text = ret_text, .size = size};

    iperf3_print(&t, "{\"%s\":true,\"omit\":%u,\"time\":%u,\"num\":0,\"blockcount\":0",
                 p->udp ? "udp" : "tcp", p->omit_s, p->time_s);
    iperf3_print(&t, ",\"parallel\":%u,\"len\":%u", p->parallel, p->len);
    if (p->reverse)
        iperf3_print(&t, ",\"reverse\":true");
    if (p->bidirectional)
        iperf3_print(&t, ",\"bidirectional\":true");
    if (p->nodelay)
        iperf3_print(&t, ",\"nodelay\":true");
    if (p->window_bytes)
        iperf3_print(&t, ",\"window\":%u", p->window_bytes);
    if (p->mss_bytes)
        iperf3_print(&t, ",\"MSS\":%u", p->mss_bytes);
    if (p->bandwidth_bps)
        iperf3_print(&t, ",\"bandwidth\":%llu", (unsigned long long)p->bandwidth_bps);
    if (p->tos)
        iperf3_print(&t, ",\"TOS\":%u", p->tos);
    if (p->congestion[0]) {
        iperf3_print(&t, ",\"congestion\":");
        iperf3_print_string(&t, p->congestion);
    }
    if (p->udp && p->counters_64bit)
        iperf3_print(&t, ",\"udp_counters_64bit\":1");
    iperf3_print(&t, ",\"pacing_timer\":1000,\"client_version\":\"vnperf " VNPERF_VERSION "\"}");
    return iperf3_printed(&t);
}

/* Values as the client wrote them, before they are checked. */
struct iperf3_asked {
    double omit, time_s, num, blocks, parallel, len, window, mss, tos, bandwidth, output, wide,
        skip;
};

/* What the server of iperf3 refuses, and its number for it. */
static int iperf3_params_check(const struct iperf3_params *p, const struct iperf3_asked *a,
                               int *ret_number, struct err *err)
{
    const struct {
        const char *name;
        double value, min, max;
        int number;
    } rows[] = {
        {"omit", a->omit, 0, 600, IPERF3_IEDURATION},
        {"time", a->time_s, 0, 86400, IPERF3_IEDURATION},
        {"parallel", a->parallel, 1, IPERF3_MAX_PARALLEL, IPERF3_IENUMSTREAMS},
        {"len", a->len, p->udp ? 16 : 1, p->udp ? 65507 : 1 << 20,
         p->udp ? IPERF3_IEUDPBLOCKSIZE : IPERF3_IEBLOCKSIZE},
        {"window", a->window, 0, 512 << 20, IPERF3_IEBUFSIZE},
        {"MSS", a->mss, 0, 32767, IPERF3_IEMSS},
        {"TOS", a->tos, 0, 255, IPERF3_IETOS},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].value >= rows[i].min && rows[i].value <= rows[i].max)
            continue;
        *ret_number = rows[i].number;
        return err_say(err, "the client asks for %s %g, which is not between %g and %g",
                       rows[i].name, rows[i].value, rows[i].min, rows[i].max);
    }
    return 0;
}

/* One key's value, which has just been read; what is not known, or of another type, is passed over. */
static void iperf3_params_take(struct iperf3_params *p, struct iperf3_asked *a, const char *key,
                               const struct json_read *j)
{
    const struct {
        const char *key;
        double *value;
    } numbers[] = {
        {"omit", &a->omit},
        {"time", &a->time_s},
        {"num", &a->num},
        {"blockcount", &a->blocks},
        {"parallel", &a->parallel},
        {"len", &a->len},
        {"window", &a->window},
        {"MSS", &a->mss},
        {"TOS", &a->tos},
        {"bandwidth", &a->bandwidth},
        {"get_server_output", &a->output},
        {"udp_counters_64bit", &a->wide},
        {"skip_rx_copy", &a->skip},
    };
    const struct {
        const char *key;
        bool *value;
    } flags[] = {
        {"udp", &p->udp},
        {"reverse", &p->reverse},
        {"bidirectional", &p->bidirectional},
        {"nodelay", &p->nodelay},
    };

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (j->token == JSON_NUMBER && strcmp(key, numbers[i].key) == 0)
            *numbers[i].value = j->number;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (j->token == JSON_TRUE && strcmp(key, flags[i].key) == 0)
            *flags[i].value = true;
    if (j->token == JSON_STRING && strcmp(key, "congestion") == 0)
        text_copy(p->congestion, sizeof p->congestion, j->string);
    if (j->token == JSON_STRING && strcmp(key, "client_version") == 0)
        text_copy(p->version, sizeof p->version, j->string);
}

int iperf3_params_read(const char *text, size_t n, struct iperf3_params *ret_params,
                       int *ret_number, struct err *err)
{
    struct iperf3_params p = {0};
    struct iperf3_asked a = {.time_s = 10, .parallel = 1, .len = IPERF3_TCP_BYTES};
    struct json_read j;
    int r;

    *ret_number = IPERF3_IERECVPARAMS;
    json_begin(&j, text, n);
    if (json_next(&j) != JSON_OBJECT)
        return err_set(err, EBADMSG, "the client's parameters are not a JSON object");
    while (json_next(&j) == JSON_KEY) {
        char key[JSON_TEXT];

        memcpy(key, j.string, sizeof key);
        json_skip(&j);
        iperf3_params_take(&p, &a, key, &j);
    }
    if (j.token != JSON_OBJECT_END || json_next(&j) != JSON_END)
        return err_set(err, EBADMSG, "the client's parameters are not JSON");
    r = iperf3_params_check(&p, &a, ret_number, err);
    if (r < 0)
        return r;
    p.omit_s = (uint32_t)a.omit;
    p.time_s = (uint32_t)a.time_s;
    p.bytes = json_count(a.num);
    p.blocks = json_count(a.blocks);
    p.parallel = (uint32_t)a.parallel;
    p.len = (uint32_t)a.len;
    p.window_bytes = (uint32_t)a.window;
    p.mss_bytes = (uint32_t)a.mss;
    p.tos = (uint32_t)a.tos;
    p.bandwidth_bps = json_count(a.bandwidth);
    p.get_server_output = a.output == 1;
    p.counters_64bit = a.wide == 1;
    p.skip_copy = a.skip == 1;
    p.reverse &= !p.bidirectional;
    text_tame(p.version);
    *ret_params = p;
    return 0;
}

/* A whole number as it is; the client of 3.12 reads no other. */
static void iperf3_print_count(struct iperf3_text *t, const char *key, double value)
{
    iperf3_print(t, ",\"%s\":%.0f", key, value);
}

int iperf3_results_write(const struct iperf3_results *results, const char *output, char *ret_text,
                         size_t size)
{
    struct iperf3_text t = {.text = ret_text, .size = size};

    iperf3_print(&t, "{\"cpu_util_total\":%.6g,\"cpu_util_user\":%.6g,\"cpu_util_system\":%.6g",
                 results->cpu_total, results->cpu_user, results->cpu_system);
    iperf3_print(&t, ",\"sender_has_retransmits\":%d", results->has_retransmits);
    if (results->congestion[0]) {
        iperf3_print(&t, ",\"congestion_used\":");
        iperf3_print_string(&t, results->congestion);
    }
    if (output) {
        iperf3_print(&t, ",\"server_output_text\":");
        iperf3_print_string(&t, output);
    }
    iperf3_print(&t, ",\"streams\":[");
    for (uint32_t i = 0; i < results->n_streams; i++) {
        const struct iperf3_stream *s = &results->streams[i];

        iperf3_print(&t, "%s{\"id\":%d", i ? "," : "", s->id);
        iperf3_print_count(&t, "bytes", s->bytes);
        iperf3_print_count(&t, "retransmits", s->retransmits);
        iperf3_print(&t, ",\"jitter\":%.9g", s->jitter_s);
        iperf3_print_count(&t, "errors", s->errors);
        if (s->omitted_errors >= 0)
            iperf3_print_count(&t, "omitted_errors", s->omitted_errors);
        iperf3_print_count(&t, "packets", s->packets);
        if (s->omitted_errors >= 0)
            iperf3_print_count(&t, "omitted_packets", s->omitted_packets);
        iperf3_print(&t, ",\"start_time\":0,\"end_time\":%.6f}", s->end_s);
    }
    iperf3_print(&t, "]}");
    return iperf3_printed(&t);
}

/* One element of "streams"; its brace has been read. */
static bool iperf3_stream_read(struct json_read *j, struct iperf3_stream *ret_stream)
{
    static const struct {
        const char *key;
        size_t offset;
    } rows[] = {
        {"bytes", offsetof(struct iperf3_stream, bytes)},
        {"retransmits", offsetof(struct iperf3_stream, retransmits)},
        {"jitter", offsetof(struct iperf3_stream, jitter_s)},
        {"errors", offsetof(struct iperf3_stream, errors)},
        {"packets", offsetof(struct iperf3_stream, packets)},
        {"omitted_errors", offsetof(struct iperf3_stream, omitted_errors)},
        {"omitted_packets", offsetof(struct iperf3_stream, omitted_packets)},
        {"end_time", offsetof(struct iperf3_stream, end_s)},
    };
    struct iperf3_stream s = {.retransmits = -1, .omitted_errors = -1, .omitted_packets = -1};
    double id = 0;

    while (json_next(j) == JSON_KEY) {
        double *field = json_is(j, "id") ? &id : NULL;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
            if (json_is(j, rows[i].key))
                /* cppcheck-suppress invalidPointerCast; the offset is that of a double, see rows */
                field = (double *)(void *)((char *)&s + rows[i].offset);
        if (field)
            json_number(j, field);
        else
            json_skip(j);
    }
    s.id = id > 0 && id <= IPERF3_MAX_STREAMS + 1 ? (int)id : 0;
    *ret_stream = s;
    return j->token == JSON_OBJECT_END;
}

static bool iperf3_streams_read(struct json_read *j, struct iperf3_results *results)
{
    if (json_next(j) != JSON_ARRAY)
        return false;
    results->n_streams = 0;
    while (json_next(j) == JSON_OBJECT) {
        struct iperf3_stream s;

        if (results->n_streams == IPERF3_MAX_STREAMS || !iperf3_stream_read(j, &s))
            return false;
        results->streams[results->n_streams++] = s;
    }
    return j->token == JSON_ARRAY_END;
}

int iperf3_results_read(const char *text, size_t n, struct iperf3_results *ret_results,
                        struct err *err)
{
    double has = -1;
    bool streams = false;
    struct json_read j;

    *ret_results = (struct iperf3_results){0};
    json_begin(&j, text, n);
    if (json_next(&j) != JSON_OBJECT)
        return err_set(err, EBADMSG, "the peer's results are not a JSON object");
    while (json_next(&j) == JSON_KEY) {
        if (json_is(&j, "cpu_util_total"))
            json_number(&j, &ret_results->cpu_total);
        else if (json_is(&j, "cpu_util_user"))
            json_number(&j, &ret_results->cpu_user);
        else if (json_is(&j, "cpu_util_system"))
            json_number(&j, &ret_results->cpu_system);
        else if (json_is(&j, "sender_has_retransmits"))
            json_number(&j, &has);
        else if (json_is(&j, "congestion_used")) {
            if (json_skip(&j) && j.token == JSON_STRING)
                text_copy(ret_results->congestion, sizeof ret_results->congestion, j.string);
        } else if (json_is(&j, "streams")) {
            if (!iperf3_streams_read(&j, ret_results))
                return err_set(err, EBADMSG, "the streams in the peer's results");
            streams = true;
        } else {
            json_skip(&j);
        }
    }
    if (j.token != JSON_OBJECT_END || json_next(&j) != JSON_END)
        return err_set(err, EBADMSG, "the peer's results are not JSON");
    if (!streams)
        return err_set(err, EBADMSG, "the peer's results have no streams");
    ret_results->has_retransmits = has > 0 ? 1 : has < 0 ? -1 : 0;
    text_tame(ret_results->congestion);
    return 0;
}

const struct iperf3_stream *iperf3_results_find(const struct iperf3_results *results, int id)
{
    for (uint32_t i = 0; i < results->n_streams; i++)
        if (results->streams[i].id == id)
            return &results->streams[i];
    return NULL;
}
