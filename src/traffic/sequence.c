/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/sequence.h"

static bool sequence_has(const struct sequence *s, uint64_t number)
{
    return s->seen[number / 64 % SEQUENCE_WORDS] >> number % 64 & 1;
}

static void sequence_clear(struct sequence *s, uint64_t number)
{
    s->seen[number / 64 % SEQUENCE_WORDS] &= ~(UINT64_C(1) << number % 64);
}

/* A number is final: it came or it is missing. */
static void sequence_settle(struct sequence *s, bool came, uint64_t n)
{
    s->loss_bursts += !came && s->run == 0;
    s->run = came ? 0 : s->run + n;
    if (s->run > s->longest_loss)
        s->longest_loss = s->run;
}

/* Make number the highest: what it pushes out of the bitmap's lower end is final. */
static void sequence_advance(struct sequence *s, uint64_t number)
{
    uint64_t n_new = number + 1 - s->next, n = n_new < SEQUENCE_SPAN ? n_new : SEQUENCE_SPAN;

    /*
     * The places of the new numbers are those of the numbers one span below; numbers below 0 never
     * were.
     */
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = s->next + i, *word = &s->seen[at / 64 % SEQUENCE_WORDS];

        /* A word of which all came: one step. */
        if (at % 64 == 0 && n - i >= 64 && *word == UINT64_MAX) {
            s->run = 0;
            *word = 0;
            i += 63;
            continue;
        }
        if (at >= SEQUENCE_SPAN)
            sequence_settle(s, sequence_has(s, at), 1);
        sequence_clear(s, at);
    }
    /* A jump over more than the bitmap: what lies between was never in it. */
    if (n_new > SEQUENCE_SPAN)
        sequence_settle(s, false, n_new - SEQUENCE_SPAN);
    s->next = number + 1;
}

bool sequence_add(struct sequence *s, uint64_t number)
{
    if (number >= s->next) {
        sequence_advance(s, number);
    } else {
        if (s->next - number > SEQUENCE_SPAN) {
            s->reordered++;
            s->received++;
            return true;
        }
        if (sequence_has(s, number)) {
            s->duplicated++;
            return false;
        }
        s->reordered++;
    }
    s->seen[number / 64 % SEQUENCE_WORDS] |= UINT64_C(1) << number % 64;
    s->received++;
    return true;
}

uint64_t sequence_add_row(struct sequence *s, uint64_t number, uint64_t n)
{
    uint64_t first = 0;

    if (n == 0)
        return 0;
    if (number < s->next) {
        for (uint64_t i = 0; i < n; i++)
            first += sequence_add(s, number + i);
        return first;
    }
    sequence_advance(s, number + n - 1);
    for (uint64_t at = number, left = n, step; left > 0; at += step, left -= step) {
        uint64_t bits = 64 - at % 64;

        step = left < bits ? left : bits;
        s->seen[at / 64 % SEQUENCE_WORDS] |= (step == 64 ? UINT64_MAX : (UINT64_C(1) << step) - 1)
                                             << at % 64;
    }
    s->received += n;
    return n;
}

uint64_t sequence_end(struct sequence *s, uint64_t sent)
{
    uint64_t from = s->next > SEQUENCE_SPAN ? s->next - SEQUENCE_SPAN : 0;

    if (sent < s->next)
        sent = s->next;
    for (uint64_t at = from; at < s->next; at++)
        sequence_settle(s, sequence_has(s, at), 1);
    if (sent > s->next)
        sequence_settle(s, false, sent - s->next);
    return sent > s->received ? sent - s->received : 0;
}
