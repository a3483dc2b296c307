/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/probe.h"
#include "wire/line.h"

/*
 * Lines ↔ doors, knocks and what came of both. The writers add keys to a line that has been begun; the readers refuse what is
 * missing, not a number or out of bounds with a sentence. Answers are read for as many as were asked.
 */
void probe_message_put_doors(struct line_out *out, const struct probe_doors *doors);
int probe_message_get_doors(const struct line *line, struct probe_doors *ret_doors,
                            struct err *err);

void probe_message_put_opened(struct line_out *out, const struct probe_opened *opened, uint32_t n);
int probe_message_get_opened(const struct line *line, struct probe_opened *ret_opened, uint32_t n,
                             struct err *err);

void probe_message_put_knocks(struct line_out *out, const struct probe_knocks *knocks);
int probe_message_get_knocks(const struct line *line, struct probe_knocks *ret_knocks,
                             struct err *err);

void probe_message_put_answers(struct line_out *out, const struct probe_answer *answers,
                               uint32_t n);
int probe_message_get_answers(const struct line *line, struct probe_answer *ret_answers, uint32_t n,
                              struct err *err);

void probe_message_put_heard(struct line_out *out, const struct probe_heard *heard, uint32_t n);
int probe_message_get_heard(const struct line *line, struct probe_heard *ret_heard, uint32_t n,
                            struct err *err);
