/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate.h"

#include <stdlib.h>
#include <string.h>

struct sight *sights_add(struct sights *sights, int64_t ns, uint32_t item, unsigned n)
{
    struct sight *sight;

    if (sights->n == sights->room) {
        size_t room = sights->room ? sights->room * 2 : 4096;
        struct sight *all = realloc(sights->all, room * sizeof *all);

        if (!all)
            abort();
        sights->all = all;
        sights->room = room;
    }
    sight = &sights->all[sights->n++];
    memset(sight, 0, sizeof *sight);
    sight->ns = ns;
    sight->item = item;
    sight->n = (uint8_t)n;
    return sight;
}

/* They are nearly in order, which runs make use of and quicksort does not. */
static void sights_merge(struct sight *from, struct sight *to, size_t low, size_t mid, size_t high)
{
    size_t a = low, b = mid;

    for (size_t k = low; k < high; k++)
        to[k] = b >= high || (a < mid && from[a].ns <= from[b].ns) ? from[a++] : from[b++];
}

void sights_sort(struct sights *sights)
{
    size_t n = sights->n;
    struct sight *from = sights->all, *to = malloc((n + 1) * sizeof *to);

    if (!to)
        abort();
    for (size_t width = 1; width < n; width *= 2) {
        struct sight *swap = from;

        for (size_t low = 0; low < n; low += 2 * width) {
            size_t mid = low + width < n ? low + width : n;
            size_t high = low + 2 * width < n ? low + 2 * width : n;

            sights_merge(from, to, low, mid, high);
        }
        from = to;
        to = swap;
    }
    free(to);
    sights->all = from;
    sights->room = n + 1;
    for (size_t i = 1; i < n; i++) {
        if (from[i].ns <= from[i - 1].ns)
            from[i].ns = from[i - 1].ns + 1;
    }
}
