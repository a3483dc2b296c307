/* SPDX-License-Identifier: Apache-2.0 */
/* What an ssh-agent answers, behind a line of a public key: what is picked is an answer again, and with `only` of named keys. */
#include "deploy/agent_keys.h"
#include "fuzz.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t n_keys(const uint8_t *answer)
{
    return (uint32_t)answer[1] << 24 | (uint32_t)answer[2] << 16 | (uint32_t)answer[3] << 8 |
           answer[4];
}

static void pick(const uint8_t *answer, size_t n, const struct agent_key *named, bool only)
{
    uint8_t *picked = NULL, *again = NULL;
    size_t n_picked = 0, n_again = 0;
    int r = agent_keys_pick(answer, n, named, named ? 1 : 0, only, &picked, &n_picked);

    assert(r == 0 || r == -EPROTO);
    if (r < 0) {
        assert(!picked);
        return;
    }
    assert(n_picked <= n && n_keys(picked) <= n_keys(answer));
    assert(only || (n_picked == n && n_keys(picked) == n_keys(answer)));
    assert(!only || named || n_picked == 5);
    assert(agent_keys_pick(picked, n_picked, named, named ? 1 : 0, only, &again, &n_again) == 0);
    assert(n_again == n_picked && memcmp(again, picked, n_again) == 0);
    free(picked);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_key named = {0};
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t n_line = end ? (size_t)(end - data) : 0;
    char *line = calloc(1, n_line + 1);
    bool found;

    assert(line);
    if (n_line)
        memcpy(line, data, n_line);
    found = agent_keys_read(line, &named) == 0;
    assert(found == (named.bytes != NULL));
    if (end) {
        data = end + 1;
        size -= n_line + 1;
    }
    pick(data, size, NULL, false);
    pick(data, size, NULL, true);
    if (found) {
        pick(data, size, &named, false);
        pick(data, size, &named, true);
    }
    free(named.bytes);
    free(line);
    return 0;
}
