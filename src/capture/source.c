/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/source.h"

void source_free(struct source *source)
{
    if (source)
        source->ops->free(source);
}
