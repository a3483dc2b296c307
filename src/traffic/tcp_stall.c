/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/tcp_stall.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>

/* Its window has less room than a segment: the peer's kernel answers, and nobody reads there. */
static bool stall_is_shut(const struct tcp_sample *s)
{
    return s->has[TCP_FIELD_SND_WND_BYTES] &&
           s->value[TCP_FIELD_SND_WND_BYTES] < s->value[TCP_FIELD_SND_MSS_BYTES];
}

/* The token went through, and after it not one whole segment, though they were sent, and sent again. */
static bool stall_is_black_hole(const struct tcp_sample *s)
{
    return s->has[TCP_FIELD_BYTES_ACKED] && s->value[TCP_FIELD_BYTES_ACKED] > 1 &&
           s->value[TCP_FIELD_BYTES_ACKED] < s->value[TCP_FIELD_SND_MSS_BYTES] &&
           s->value[TCP_FIELD_TOTAL_RETRANS] > 0;
}

int tcp_stall_words(const struct tcp_sample *sample, bool sends, int code,
                    char ret_words[TCP_STALL_WORDS])
{
    const char *words = "the connection broke";

    if (code == ECONNRESET || code == EPIPE)
        words = "the peer closed the connection before the end";
    else if (code == ETIMEDOUT && !sends)
        words = "nothing arrived for 3 s";
    else if (code == ETIMEDOUT && stall_is_shut(sample))
        words = "nothing could be sent for 3 s: the peer reads nothing, its window is shut";
    else if (code == ETIMEDOUT)
        words = "the peer acknowledged nothing for 3 s";
    if (code == ETIMEDOUT && sends && stall_is_black_hole(sample)) {
        snprintf(ret_words, TCP_STALL_WORDS,
                 "small packets came through, none with an MSS of %llu bytes did: MTU too large?",
                 (unsigned long long)sample->value[TCP_FIELD_SND_MSS_BYTES]);
        return EMSGSIZE;
    }
    text_copy(ret_words, TCP_STALL_WORDS, words);
    return code;
}
