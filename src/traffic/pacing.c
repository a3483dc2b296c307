/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/pacing.h"

void pacing_init(struct pacing *p, uint64_t start_ns, uint64_t num, uint64_t den)
{
    uint64_t rest;

    if (den == 0)
        den = 1;
    *p = (struct pacing){.due_ns = start_ns, .gap_ns = num / den};
    /*
     * Long division: the rest over den in 32 binary digits, without 128 bits, which would need a
     * library.
     */
    rest = num % den;
    for (int i = 0; i < 32; i++) {
        rest <<= 1;
        p->gap_part <<= 1;
        if (rest >= den) {
            rest -= den;
            p->gap_part |= 1;
        }
    }
    p->late_ns = p->gap_ns > PACING_LATE_NS ? p->gap_ns : PACING_LATE_NS;
}

void pacing_init_weights(struct pacing *p, uint64_t start_ns, uint64_t num, uint64_t den,
                         const uint16_t *weights, uint32_t n)
{
    uint64_t mean;

    pacing_init(p, start_ns, num, den);
    if (n == 0) /* all sends are alike */
        return;
    p->weights = weights;
    p->n_weights = n;
    for (uint32_t i = 0; i < n; i++)
        p->round_weight += weights[i];
    p->round_ns = p->gap_ns * p->round_weight + (p->gap_part * p->round_weight >> 32) + 1;
    mean = p->round_ns / n;
    p->late_ns = mean > PACING_LATE_NS ? mean : PACING_LATE_NS;
}

static void pacing_advance(struct pacing *p, uint64_t weight)
{
    uint64_t part = p->due_part + p->gap_part * weight;

    p->due_ns += p->gap_ns * weight + (part >> 32);
    p->due_part = part & UINT32_MAX;
}

/* On to the next: what is given up, or taken. */
static void pacing_next(struct pacing *p)
{
    pacing_advance(p, pacing_weight(p, 0));
    if (p->weights)
        p->turn = p->turn + 1 < p->n_weights ? p->turn + 1 : 0;
}

/* How many fit into a time at the least, at most what an advance can count. */
static uint64_t pacing_fit(uint64_t time_ns, uint64_t gap_ns, uint64_t weight)
{
    uint64_t n = time_ns / (gap_ns + 1), most = UINT32_MAX / 2 / weight;

    return n < most ? n : most;
}

/* Whole gaps are given up, so that those that remain keep their places in the schedule. */
static void pacing_give_up(struct pacing *p, uint64_t now_ns)
{
    uint64_t latest = now_ns - PACING_CATCH_UP_NS;

    while (p->due_ns + p->gap_ns * pacing_weight(p, 0) < latest) {
        uint64_t weight = p->weights ? p->round_weight : 1;
        uint64_t gap = p->weights ? p->round_ns : p->gap_ns;
        uint64_t n = pacing_fit(latest - p->due_ns, gap, weight);

        if (n == 0) {
            pacing_next(p);
            p->skipped++;
            continue;
        }
        pacing_advance(p, n * weight);
        p->skipped += p->weights ? n * p->n_weights : n;
    }
}

uint32_t pacing_due(struct pacing *p, uint64_t now_ns, uint32_t most)
{
    uint64_t due = p->due_ns, part = p->due_part;
    uint32_t n = 0;

    if (pacing_is_free(p))
        return most;
    if (now_ns < pacing_next_ns(p))
        return 0;
    if (now_ns - due > PACING_CATCH_UP_NS) {
        pacing_give_up(p, now_ns);
        due = p->due_ns;
        part = p->due_part;
    }
    if (pacing_gap_ns(p) >= PACING_SPREAD_NS) {
        uint64_t apart = p->gap_ns * pacing_weight(p, 0) / 2;

        p->apart_ns = now_ns + (apart < PACING_APART_NS ? apart : PACING_APART_NS);
        return most > 0;
    }
    while (n < most && due <= now_ns) {
        uint64_t weight = pacing_weight(p, n);

        n++;
        part += p->gap_part * weight;
        due += p->gap_ns * weight + (part >> 32);
        part &= UINT32_MAX;
    }
    return n;
}

uint64_t pacing_take(struct pacing *p)
{
    uint64_t due = pacing_is_free(p) ? 0 : p->due_ns;

    pacing_next(p); /* without a schedule the gaps are 0 */
    return due;
}
