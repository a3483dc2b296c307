/* SPDX-License-Identifier: Apache-2.0 */
/* What a node exporter says: whatever it is, counters are bounded, and no core comes twice. */
#include "fuzz.h"
#include "monitor/exposition.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct core_cpus cpus = {0};
    struct err err = {0};
    char *text = malloc(size + 1); /* exactly so long, for ASan */
    int r;

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    r = exposition_parse(text, size, &cpus, &err);
    free(text);
    assert(r == 0 || (err.text[0] && cpus.n_cores == 0));
    assert(r < 0 || (cpus.n_cores > 0 && cpus.n_cores <= NODE_CPU_MAX_CORES));
    for (uint32_t i = 0; i < cpus.n_cores; i++) {
        assert(core_cpu_all_ns(&cpus.cores[i]) <= 16ULL * 1000000000 * 1000000000);
        for (uint32_t k = 0; k < i && i < 64; k++)
            assert(cpus.cores[i].id != cpus.cores[k].id);
    }
    core_cpus_done(&cpus);
    return 0;
}
