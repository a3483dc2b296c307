/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/tcp_info.h"

/*
 * Why a stream stands still, or broke, as far as its end can know: a sentence of at most TCP_STALL_WORDS bytes. Returns the
 * errno that goes with it: the code, or EMSGSIZE where only large packets were lost. The peer was reached then.
 *
 * shape   sample is the last one from before it broke (the kernel forgets with the connection); all its fields may be
 *         missing
 */
enum { TCP_STALL_WORDS = 96 };
int tcp_stall_words(const struct tcp_sample *sample, bool sends, int code,
                    char ret_words[TCP_STALL_WORDS]);
