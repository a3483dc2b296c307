/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"
#include "base/auto.h"
#include "base/text.h"
#include "wire/bulk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number that must be there, within bounds. */
static int message_number(const struct line *line, const char *key, uint64_t max, uint64_t *ret,
                          struct err *err)
{
    uint64_t v = 0;
    int r = line_get_u64(line, key, &v);

    if (r == -1)
        return err_say(err, "%s lacks %s=", line->verb, key);
    if (r < 0 || v > max)
        return err_say(err, "%s: %s=%s is not a number up to %llu", line->verb, key,
                       line_get(line, key), (unsigned long long)max);
    *ret = v;
    return 0;
}

static int message_word(const struct line *line, const char *key, char *ret, size_t size,
                        struct err *err)
{
    const char *v = line_get(line, key);

    if (!v)
        return err_say(err, "%s lacks %s=", line->verb, key);
    if (!text_copy(ret, size, v))
        return err_say(err, "%s: %s= is longer than %zu", line->verb, key, size - 1);
    return 0;
}

void message_put_token(struct line_out *out, const uint8_t token[FLOW_TOKEN_BYTES])
{
    char hex[2 * FLOW_TOKEN_BYTES + 1];

    for (unsigned i = 0; i < FLOW_TOKEN_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", token[i]);
    line_put(out, "token", hex);
}

void message_put_spec(struct line_out *out, const struct flow_spec *spec)
{
    line_put(out, "kind", flow_kind_name[spec->kind]);
    line_put(out, "role", spec->role == FLOW_SERVER ? "server" : "client");
    line_put_u64(out, "direction", spec->direction);
    line_put_u64(out, "flows", spec->n_flows);
    line_put_u64(out, "payload_bytes", spec->payload_bytes);
    line_put_u64(out, "port", spec->port);
    line_put_u64(out, "port_last", spec->port_last);
    line_put(out, "address", spec->address);
    line_put(out, "cc", spec->cc);
    line_put_u64(out, "gap_ns", spec->gap_ns);
    line_put_u64(out, "connect_ns", spec->connect_ns);
    line_put(out, "peer", flow_peer_name[spec->peer]);
    line_put(out, "io", flow_io_name[spec->io]);
    line_put_u64(out, "pin", spec->pin);
    line_put_u64(out, "mss_bytes", spec->mss_bytes);
    line_put_u64(out, "window_bytes", spec->window_bytes);
    line_put_u64(out, "dscp", spec->dscp);
    line_put_u64(out, "gso", spec->gso);
    line_put_u64(out, "ttl", spec->ttl);
    line_put_u64(out, "nodelay", spec->nodelay);
    line_put_u64(out, "imix", spec->imix);
    line_put_u64(out, "spin", spec->spin);
    line_put(out, "bind", spec->bind);
    message_put_token(out, spec->token);
}

int message_get_token(const struct line *line, uint8_t ret_token[FLOW_TOKEN_BYTES], struct err *err)
{
    const char *hex = line_get(line, "token");

    if (!hex || strlen(hex) != (size_t)2 * FLOW_TOKEN_BYTES ||
        strspn(hex, "0123456789abcdef") != strlen(hex))
        return err_say(err, "%s: token= is not %d hexadecimal digits", line->verb,
                       2 * FLOW_TOKEN_BYTES);
    for (unsigned i = 0; i < FLOW_TOKEN_BYTES; i++) {
        char byte[3] = {hex[2 * i], hex[2 * i + 1], 0};

        ret_token[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return 0;
}

/* The index of a name in a table of names. */
static int message_name(const struct line *line, const char *key, const char *const *names,
                        int n_names, int *ret, struct err *err)
{
    const char *v = line_get(line, key);

    if (!v)
        return err_say(err, "%s lacks %s=", line->verb, key);
    for (int i = 0; i < n_names; i++)
        if (strcmp(v, names[i]) == 0) {
            *ret = i;
            return 0;
        }
    return err_say(err, "%s: %s=%s is unknown", line->verb, key, v);
}

/* A number that fits into 32 bits. */
static int message_u32(const struct line *line, const char *key, uint32_t max, uint32_t *ret,
                       struct err *err)
{
    uint64_t v = 0;
    int r = message_number(line, key, max, &v, err);

    if (r == 0)
        *ret = (uint32_t)v;
    return r;
}

static int message_flag(const struct line *line, const char *key, bool *ret, struct err *err)
{
    uint32_t v = 0;
    int r = message_u32(line, key, 1, &v, err);

    if (r == 0)
        *ret = v;
    return r;
}

/* What was said of how the traffic is to be made. */
static int message_get_options(const struct line *line, struct flow_spec *spec, struct err *err)
{
    int peer = 0, io = 0, r;

    if ((r = message_name(line, "peer", flow_peer_name, FLOW_PEER_COUNT, &peer, err)) < 0 ||
        (r = message_name(line, "io", flow_io_name, FLOW_IO_COUNT, &io, err)) < 0 ||
        (r = message_u32(line, "pin", UINT16_MAX, &spec->pin, err)) < 0 ||
        (r = message_u32(line, "mss_bytes", UINT16_MAX, &spec->mss_bytes, err)) < 0 ||
        (r = message_u32(line, "window_bytes", FLOW_MAX_WINDOW, &spec->window_bytes, err)) < 0 ||
        (r = message_u32(line, "dscp", 63, &spec->dscp, err)) < 0 ||
        (r = message_u32(line, "gso", FLOW_MAX_GSO, &spec->gso, err)) < 0 ||
        (r = message_u32(line, "ttl", 255, &spec->ttl, err)) < 0 ||
        (r = message_flag(line, "nodelay", &spec->nodelay, err)) < 0 ||
        (r = message_flag(line, "imix", &spec->imix, err)) < 0 ||
        (r = message_flag(line, "spin", &spec->spin, err)) < 0 ||
        (r = message_word(line, "bind", spec->bind, sizeof spec->bind, err)) < 0)
        return r;
    spec->peer = (enum flow_peer)peer;
    spec->io = (enum flow_io)io;
    return 0;
}

int message_get_spec(const struct line *line, struct flow_spec *ret_spec, struct err *err)
{
    struct flow_spec spec = {0};
    char kind[16], role[8];
    uint64_t direction = 0, flows = 0, payload = 0, port = 0, port_last = 0;
    int r;

    r = message_word(line, "kind", kind, sizeof kind, err);
    if (r < 0 || (r = message_word(line, "role", role, sizeof role, err)) < 0)
        return r;
    r = flow_kind_find(kind);
    if (r < 0)
        return err_say(err, "%s: kind=%s is unknown", line->verb, kind);
    spec.kind = (enum flow_kind)r;
    if (strcmp(role, "server") != 0 && strcmp(role, "client") != 0)
        return err_say(err, "%s: role=%s is neither client nor server", line->verb, role);
    spec.role = strcmp(role, "server") == 0 ? FLOW_SERVER : FLOW_CLIENT;
    if ((r = message_number(line, "direction", FLOW_BOTH, &direction, err)) < 0 ||
        (r = message_number(line, "flows", FLOW_MAX_FLOWS, &flows, err)) < 0 ||
        (r = message_number(line, "payload_bytes", UINT32_MAX, &payload, err)) < 0 ||
        (r = message_number(line, "port", UINT16_MAX, &port, err)) < 0 ||
        (r = message_number(line, "port_last", UINT16_MAX, &port_last, err)) < 0 ||
        (r = message_number(line, "gap_ns", UINT64_MAX, &spec.gap_ns, err)) < 0 ||
        (r = message_number(line, "connect_ns", UINT64_MAX, &spec.connect_ns, err)) < 0 ||
        (r = message_word(line, "address", spec.address, sizeof spec.address, err)) < 0 ||
        (r = message_word(line, "cc", spec.cc, sizeof spec.cc, err)) < 0 ||
        (r = message_get_options(line, &spec, err)) < 0 ||
        (r = message_get_token(line, spec.token, err)) < 0)
        return r;
    spec.direction = (enum flow_direction)direction;
    spec.n_flows = (uint32_t)flows;
    spec.payload_bytes = (uint32_t)payload;
    spec.port = (uint16_t)port;
    spec.port_last = (uint16_t)port_last;
    r = flow_spec_check(&spec, err);
    if (r < 0)
        return r;
    *ret_spec = spec;
    return 0;
}

void message_put_trial(struct line_out *out, const struct flow_trial *trial)
{
    line_put_u64(out, "trial", trial->number);
    line_put_u64(out, "start_ns", trial->start_ns);
    line_put_u64(out, "warmup_ns", trial->warmup_ns);
    line_put_u64(out, "duration_ns", trial->duration_ns);
    line_put_u64(out, "tail_ns", trial->tail_ns);
    line_put_u64(out, "interval_ns", trial->interval_ns);
    line_put_u64(out, "rate_bps", trial->rate_bps);
    line_put_u64(out, "count", trial->count);
}

int message_get_trial(const struct line *line, struct flow_trial *ret_trial, struct err *err)
{
    struct flow_trial t = {0};
    uint64_t number = 0;
    int r;

    if ((r = message_number(line, "trial", UINT32_MAX, &number, err)) < 0 ||
        (r = message_number(line, "start_ns", UINT64_MAX / 4, &t.start_ns, err)) < 0 ||
        (r = message_number(line, "warmup_ns", UINT64_MAX, &t.warmup_ns, err)) < 0 ||
        (r = message_number(line, "duration_ns", UINT64_MAX, &t.duration_ns, err)) < 0 ||
        (r = message_number(line, "tail_ns", UINT64_MAX, &t.tail_ns, err)) < 0 ||
        (r = message_number(line, "interval_ns", UINT64_MAX, &t.interval_ns, err)) < 0 ||
        (r = message_number(line, "rate_bps", INT64_MAX, &t.rate_bps, err)) < 0 ||
        (r = message_number(line, "count", UINT64_MAX, &t.count, err)) < 0)
        return r;
    t.number = (uint32_t)number;
    *ret_trial = t;
    return 0;
}

/* A fact's kind of value is told by the first letter of its key on the wire: n_ a number, t_ a text. */
void message_put_facts(struct line_out *out, const struct facts *facts)
{
    for (unsigned i = 0; i < facts->n_facts; i++) {
        char key[FACT_KEY_SIZE + 2];

        snprintf(key, sizeof key, "%c_%s", facts->fact[i].number ? 'n' : 't', facts->fact[i].key);
        line_put(out, key, facts->fact[i].value);
    }
}

void message_get_facts(const struct line *line, struct facts *ret_facts)
{
    *ret_facts = (struct facts){0};
    for (unsigned i = 0; i < line->n_pairs; i++) {
        const char *key = line->pair[i].key;
        uint64_t n;

        /* Cut to fit, two keys might become one. */
        if (strlen(key) >= FACT_KEY_SIZE + 2)
            continue;
        if (strncmp(key, "n_", 2) == 0 && line_get_u64(line, key, &n) == 0)
            facts_put_number(ret_facts, key + 2, n);
        else if (strncmp(key, "t_", 2) == 0)
            facts_put(ret_facts, key + 2, line->pair[i].value);
    }
}

void message_put_interval(struct line_out *out, const struct flow_interval *interval)
{
    line_put_u64(out, "bytes", interval->bytes);
    line_put_u64(out, "packets", interval->packets);
    line_put_u64(out, "retransmits", interval->retransmits);
    line_put_u64(out, "rtt_ns", interval->rtt_ns);
    line_put_u64(out, "cwnd_bytes", interval->cwnd_bytes);
}

int message_get_interval(const struct line *line, struct flow_interval *ret_interval,
                         struct err *err)
{
    struct flow_interval i = {0};
    int r;

    if ((r = message_number(line, "bytes", UINT64_MAX, &i.bytes, err)) < 0 ||
        (r = message_number(line, "packets", UINT64_MAX, &i.packets, err)) < 0 ||
        (r = message_number(line, "retransmits", UINT64_MAX, &i.retransmits, err)) < 0 ||
        (r = message_number(line, "rtt_ns", UINT64_MAX, &i.rtt_ns, err)) < 0 ||
        (r = message_number(line, "cwnd_bytes", UINT64_MAX, &i.cwnd_bytes, err)) < 0)
        return r;
    *ret_interval = i;
    return 0;
}

void message_put_result(struct line_out *out, const struct flow_result *result)
{
    if (result->congestion_control[0])
        line_put(out, "congestion_control", result->congestion_control);
    for (int m = 0; m < METRIC_COUNT_; m++) {
        char hex[24];

        if (!result->metrics.has[m])
            continue;
        if (!metric_table[m].real) {
            line_put_u64(out, metric_table[m].name, result->metrics.value[m].count);
            continue;
        }
        snprintf(hex, sizeof hex, "x%016llx", (unsigned long long)result->metrics.value[m].count);
        line_put(out, metric_table[m].name, hex);
    }
}

int message_pack_bulk(const struct flow_result *result, uint8_t **ret_blob, size_t *ret_n,
                      struct err *err)
{
    struct bulk_out out = {0};

    bulk_put(&out, result->interval_ns);
    bulk_put(&out, result->n_intervals);
    for (uint32_t i = 0; i < result->n_intervals; i++) {
        const struct flow_interval *v = &result->intervals[i];

        bulk_put(&out, v->bytes);
        bulk_put(&out, v->packets);
        bulk_put(&out, v->retransmits);
        bulk_put(&out, v->rtt_ns);
        bulk_put(&out, v->cwnd_bytes);
    }
    bulk_put(&out, result->n_flow_bytes);
    for (uint32_t i = 0; i < result->n_flow_bytes; i++)
        bulk_put(&out, result->flow_bytes[i]);
    if (result->rtt)
        bulk_put_last_hist(&out, result->rtt);
    if (out.failed) {
        bulk_done(&out);
        return err_set(err, ENOMEM, "memory for a result");
    }
    *ret_n = out.used;
    *ret_blob = TAKE(out.buf);
    return 0;
}

static int message_get_bulk(struct bulk_in *in, struct flow_result *result, struct err *err)
{
    uint32_t n;

    result->interval_ns = bulk_get(in);
    n = bulk_get_count(in, FLOW_MAX_INTERVALS + 1);
    if (in->bad)
        return err_set(err, EBADMSG, "a result's intervals");
    result->intervals = calloc(n ? n : 1, sizeof *result->intervals);
    if (!result->intervals)
        return err_set(err, ENOMEM, "memory for a result");
    result->n_intervals = n;
    for (uint32_t i = 0; i < n && !in->bad; i++) {
        struct flow_interval *v = &result->intervals[i];

        v->bytes = bulk_get(in);
        v->packets = bulk_get(in);
        v->retransmits = bulk_get(in);
        v->rtt_ns = bulk_get(in);
        v->cwnd_bytes = bulk_get(in);
    }
    n = bulk_get_count(in, (uint64_t)2 * FLOW_MAX_FLOWS);
    if (in->bad)
        return err_set(err, EBADMSG, "a result's flows");
    result->flow_bytes = calloc(n ? n : 1, sizeof *result->flow_bytes);
    if (!result->flow_bytes)
        return err_set(err, ENOMEM, "memory for a result");
    result->n_flow_bytes = n;
    for (uint32_t i = 0; i < n; i++)
        result->flow_bytes[i] = bulk_get(in);
    if (in->bad)
        return err_set(err, EBADMSG, "a result's flows");
    result->rtt = bulk_get_last_hist(in);
    if (in->bad)
        return err_set(err, EBADMSG, "a result's histogram");
    return 0;
}

static int message_get_metric(const struct line *line, const char *key, const char *value,
                              struct metric_set *set, struct err *err)
{
    int m = metric_find(key);
    uint64_t v = 0;

    if (m < 0)
        return 0; /* a newer agent may know more */
    if (!metric_table[m].real) {
        if (line_get_u64(line, key, &v) < 0)
            return err_say(err, "%s: %s=%s is not a number", line->verb, key, value);
        metric_put(set, (enum metric)m, v);
        return 0;
    }
    if (strlen(value) != 17 || value[0] != 'x' || strspn(value + 1, "0123456789abcdef") != 16)
        return err_say(err, "%s: %s=%s is not a real number's bits", line->verb, key, value);
    v = strtoull(value + 1, NULL, 16);
    double real;
    memcpy(&real, &v, sizeof real);
    metric_put_real(set, (enum metric)m, real);
    return 0;
}

int message_get_result(const struct line *line, const uint8_t *blob, size_t n_blob,
                       struct flow_result *ret_result, struct err *err)
{
    struct bulk_in in = bulk_in(blob, n_blob);
    const char *cc = line_get(line, "congestion_control");
    int r;

    *ret_result = (struct flow_result){0};
    if (cc && !text_copy(ret_result->congestion_control, sizeof ret_result->congestion_control, cc))
        return err_say(err, "%s: congestion_control=%s is too long", line->verb, cc);
    for (unsigned i = 0; i < line->n_pairs; i++) {
        r = message_get_metric(line, line->pair[i].key, line->pair[i].value, &ret_result->metrics,
                               err);
        if (r < 0)
            return r;
    }
    return n_blob ? message_get_bulk(&in, ret_result, err) : 0;
}

void message_put_error(struct line_out *out, int code, const char *text)
{
    line_put_u64(out, "code", (uint64_t)(code < 0 ? -code : code));
    line_put(out, "text", text);
}
