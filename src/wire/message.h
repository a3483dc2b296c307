/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/facts.h"
#include "model/flow_spec.h"
#include "model/result.h"
#include "wire/line.h"

/*
 * Lines and blobs ↔ flow_spec, flow_trial, flow_result, facts. The writers add keys to a line that has been begun; the
 * readers refuse what is missing, not a number or out of bounds with a sentence.
 */
enum {
    MESSAGE_PROTOCOL = 1,  /* version; both sides must speak the same */
    MESSAGE_BEAT_S = 1,    /* a side that has nothing to say says "beat" this often */
    MESSAGE_SILENCE_S = 4, /* an agent silent for so long has vanished */
    MESSAGE_ORPHAN_S = 60, /* a controller silent for so long has vanished */
    MESSAGE_LINE_FACTS = 100,
    MESSAGE_FACTS_ROOM = 3 * FACT_VALUE_SIZE + FACT_KEY_SIZE + 64,
};

void message_put_spec(struct line_out *out, const struct flow_spec *spec);
int message_get_spec(const struct line *line, struct flow_spec *ret_spec, struct err *err);

/* "token=", 32 hexadecimal digits. */
void message_put_token(struct line_out *out, const uint8_t token[FLOW_TOKEN_BYTES]);
int message_get_token(const struct line *line, uint8_t ret_token[FLOW_TOKEN_BYTES],
                      struct err *err);

void message_put_trial(struct line_out *out, const struct flow_trial *trial);
int message_get_trial(const struct line *line, struct flow_trial *ret_trial, struct err *err);

/*
 * Facts from the first-th on, as many as a line has room for (MESSAGE_FACTS_ROOM bytes hold any one). Returns which comes
 * next; n_facts when all were put.
 */
unsigned message_put_facts(struct line_out *out, const struct facts *facts, unsigned first);
/* Add those of a line to facts. */
void message_get_facts(const struct line *line, struct facts *facts);

void message_put_interval(struct line_out *out, const struct flow_interval *interval);
int message_get_interval(const struct line *line, struct flow_interval *ret_interval,
                         struct err *err);

/* Metrics and congestion control as keys; reals are the hexadecimal bits of the double, so nothing is rounded. */
void message_put_result(struct line_out *out, const struct flow_result *result);
/*
 * The bulk of a result: histogram, intervals, bytes of each flow, as varints.
 *
 * owns    ret_blob: freed by the caller; ret_result: ended by the caller, also when reading failed
 */
int message_pack_bulk(const struct flow_result *result, uint8_t **ret_blob, size_t *ret_n,
                      struct err *err);
int message_get_result(const struct line *line, const uint8_t *blob, size_t n_blob,
                       struct flow_result *ret_result, struct err *err);

/* The text of an error answer. */
void message_put_error(struct line_out *out, int code, const char *text);
