/* SPDX-License-Identifier: Apache-2.0 */
#include "model/result.h"

#include <stdlib.h>

void flow_result_done(struct flow_result *result)
{
    if (!result)
        return;
    free(result->rtt);
    free(result->intervals);
    free(result->flow_bytes);
    *result = (struct flow_result){0};
}
