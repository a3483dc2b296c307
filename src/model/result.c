/* SPDX-License-Identifier: Apache-2.0 */
#include "model/result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const flow_part_name[FLOW_PART_COUNT] = {"sent", "received", "far_sent",
                                                     "far_received"};

void flow_result_done(struct flow_result *result)
{
    if (!result)
        return;
    free(result->rtt);
    free(result->intervals);
    free(result->flow_bytes);
    *result = (struct flow_result){0};
}

static int result_dup(const void *from, size_t bytes, void **ret)
{
    *ret = from && bytes ? malloc(bytes) : NULL;
    if (*ret)
        memcpy(*ret, from, bytes);
    return from && bytes && !*ret ? -ENOMEM : 0;
}

int flow_result_copy(const struct flow_result *result, struct flow_result *ret_copy)
{
    void *rtt = NULL, *intervals = NULL, *flow_bytes = NULL;

    *ret_copy = (struct flow_result){0};
    if (result_dup(result->rtt, sizeof *result->rtt, &rtt) < 0 ||
        result_dup(result->intervals, result->n_intervals * sizeof *result->intervals, &intervals) <
            0 ||
        result_dup(result->flow_bytes, result->n_flow_bytes * sizeof *result->flow_bytes,
                   &flow_bytes) < 0) {
        free(rtt);
        free(intervals);
        return -ENOMEM;
    }
    *ret_copy = *result;
    ret_copy->rtt = rtt;
    ret_copy->intervals = intervals;
    ret_copy->flow_bytes = flow_bytes;
    return 0;
}
