/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer may say: a line, and bytes behind it as its blob. Everything that can be read from a line is read from it; what
 * was accepted must come back the same when it is said again.
 */
#include "fuzz.h"
#include "wire/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static char buf[8 * LINE_MAX_BYTES];

static void begin(struct line_out *out) { line_begin(out, buf, sizeof buf, 1, "again"); }

static void cut(struct line_out *out, struct line *ret_line)
{
    size_t len = line_end(out);

    assert(len > 0);
    buf[len - 1] = 0;
    assert(line_cut(buf, len - 1, ret_line) == LINE_OK);
}

static void read_spec(const struct line *line)
{
    struct flow_spec spec, again;
    struct line_out out;
    struct line second;

    if (message_get_spec(line, &spec, NULL) < 0)
        return;
    begin(&out);
    message_put_spec(&out, &spec);
    cut(&out, &second);
    assert(message_get_spec(&second, &again, NULL) == 0);
    assert(again.kind == spec.kind && again.role == spec.role && again.n_flows == spec.n_flows);
    assert(again.direction == spec.direction && again.payload_bytes == spec.payload_bytes);
    assert(again.port == spec.port && again.port_last == spec.port_last);
    assert(again.gap_ns == spec.gap_ns && again.connect_ns == spec.connect_ns);
    assert(strcmp(again.address, spec.address) == 0 && strcmp(again.cc, spec.cc) == 0);
    assert(memcmp(again.token, spec.token, sizeof spec.token) == 0);
}

static void read_trial(const struct line *line)
{
    const struct flow_spec spec = {.kind = FLOW_UDP_STREAM, .n_flows = 1};
    struct flow_trial trial, again;
    struct err err = {0};
    struct line_out out;
    struct line second;

    if (message_get_trial(line, &trial, &err) < 0) {
        assert(err.text[0]);
        return;
    }
    (void)flow_trial_check(&spec, &trial, &err);
    begin(&out);
    message_put_trial(&out, &trial);
    cut(&out, &second);
    assert(message_get_trial(&second, &again, NULL) == 0);
    assert(again.number == trial.number && again.start_ns == trial.start_ns);
    assert(again.duration_ns == trial.duration_ns && again.rate_bps == trial.rate_bps);
}

static void read_interval(const struct line *line)
{
    struct flow_interval interval, again;
    struct line_out out;
    struct line second;

    if (message_get_interval(line, &interval, NULL) < 0)
        return;
    begin(&out);
    message_put_interval(&out, &interval);
    cut(&out, &second);
    assert(message_get_interval(&second, &again, NULL) == 0);
    assert(memcmp(&again, &interval, sizeof again) == 0);
}

static void read_facts(const struct line *line)
{
    struct facts facts = {0}, again = {0};
    struct line_out out;
    struct line second;
    unsigned next = 0;

    message_get_facts(line, &facts);
    assert(facts.n_facts <= FACTS_MAX);
    while (next < facts.n_facts) {
        unsigned was = next;

        begin(&out);
        next = message_put_facts(&out, &facts, next);
        assert(next > was);
        cut(&out, &second);
        message_get_facts(&second, &again);
    }
    assert(again.n_facts == facts.n_facts);
    for (unsigned i = 0; i < facts.n_facts; i++) {
        assert(strcmp(facts_key(&again, i), facts_key(&facts, i)) == 0);
        assert(strcmp(facts_value(&again, i), facts_value(&facts, i)) == 0);
        assert(facts_state(&again, i) == facts_state(&facts, i));
    }
}

static void read_result(const struct line *line, const uint8_t *blob, size_t n_blob)
{
    struct flow_result result, again = {0};
    struct line_out out;
    struct line second;
    uint8_t *packed;
    size_t n_packed;

    if (message_get_result(line, blob, n_blob, &result, NULL) == 0) {
        assert(message_pack_bulk(&result, &packed, &n_packed, NULL) == 0);
        begin(&out);
        message_put_result(&out, &result);
        cut(&out, &second);
        assert(message_get_result(&second, packed, n_packed, &again, NULL) == 0);
        assert(again.n_intervals == result.n_intervals && again.interval_ns == result.interval_ns);
        assert(again.n_flow_bytes == result.n_flow_bytes && !again.rtt == !result.rtt);
        assert(memcmp(again.metrics.has, result.metrics.has, sizeof again.metrics.has) == 0);
        if (result.rtt)
            assert(hist_percentile(again.rtt, 0.5) == hist_percentile(result.rtt, 0.5));
        free(packed);
        flow_result_done(&again);
    }
    flow_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - data) : size, n_blob = end ? size - len - 1 : 0;
    struct line line;
    uint8_t *blob;
    char *text;

    if (len > LINE_MAX_BYTES)
        return 0;
    text = malloc(len + 1);
    blob = n_blob ? malloc(n_blob) : NULL;
    if (text && (blob || !n_blob)) {
        if (len)
            memcpy(text, data, len);
        text[len] = 0;
        if (blob)
            memcpy(blob, end + 1, n_blob);
        if (line_cut(text, len, &line) == LINE_OK) {
            read_spec(&line);
            read_trial(&line);
            read_interval(&line);
            read_facts(&line);
            read_result(&line, blob, n_blob);
        }
    }
    free(text);
    free(blob);
    return 0;
}
