/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger of any bytes: what is read from it must be what could have been written to it. */
#include "deploy/ledger.h"

#include <assert.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledger_content c = {0};
    struct err err = {0};

    if (ledger_parse("ledger", (const char *)data, size, &c, &err) < 0) {
        assert(err.text[0] && !c.entry);
        return 0;
    }
    assert(c.pid > 0 && c.run_id[0] && !strchr(c.run_id, '/') && c.run_id[0] != '.');
    assert((c.n_bad > 0) == (err.text[0] != 0));
    for (size_t i = 0; i < c.n_entries; i++) {
        assert(c.entry[i].kind[0] && !strchr(c.entry[i].kind, ' '));
        assert(c.entry[i].text[0] && !strchr(c.entry[i].text, '\n'));
        for (size_t j = 0; j < i; j++)
            assert(strcmp(c.entry[i].text, c.entry[j].text) != 0);
    }
    ledger_content_done(&c);
    return 0;
}
