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

static void pacing_advance(struct pacing *p, uint32_t n)
{
    uint64_t part = p->due_part + p->gap_part * n;

    p->due_ns += p->gap_ns * n + (part >> 32);
    p->due_part = part & UINT32_MAX;
}

/* Whole gaps are given up, so that those that remain keep their places in the schedule. */
static void pacing_give_up(struct pacing *p, uint64_t now_ns)
{
    uint64_t latest = now_ns - PACING_CATCH_UP_NS;

    while (p->due_ns + p->gap_ns < latest) {
        uint64_t n = (latest - p->due_ns) / (p->gap_ns + 1);

        n = n == 0 ? 1 : n > UINT32_MAX / 2 ? UINT32_MAX / 2 : n;
        pacing_advance(p, (uint32_t)n);
        p->skipped += n;
    }
}

uint32_t pacing_due(struct pacing *p, uint64_t now_ns, uint32_t most)
{
    uint64_t due = p->due_ns, part = p->due_part;
    uint32_t n = 0;

    if (pacing_is_free(p))
        return most;
    if (now_ns < due)
        return 0;
    if (now_ns - due > PACING_CATCH_UP_NS) {
        pacing_give_up(p, now_ns);
        due = p->due_ns;
        part = p->due_part;
    }
    while (n < most && due <= now_ns) {
        n++;
        part += p->gap_part;
        due += p->gap_ns + (part >> 32);
        part &= UINT32_MAX;
    }
    return n;
}

uint64_t pacing_take(struct pacing *p)
{
    uint64_t due = p->due_ns;

    if (pacing_is_free(p))
        return 0;
    pacing_advance(p, 1);
    return due;
}
