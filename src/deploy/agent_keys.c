/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/agent_keys.h"

#include "base/auto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    AGENT_KEYS_HEAD = 5, /* kind, number of keys */
    AGENT_KEYS_SIZE = 4,
};

static int agent_keys_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

static uint32_t agent_keys_number(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The string that begins at *at; the place behind it. */
static bool agent_keys_string(const uint8_t *answer, size_t n, size_t *at, const uint8_t **ret,
                              size_t *ret_n)
{
    size_t size;

    if (n - *at < AGENT_KEYS_SIZE)
        return false;
    size = agent_keys_number(answer + *at);
    *at += AGENT_KEYS_SIZE;
    if (size > n - *at)
        return false;
    *ret = answer + *at;
    *ret_n = size;
    *at += size;
    return true;
}

int agent_keys_read(const char *line, struct agent_key *ret_key)
{
    const char *word = line + strspn(line, " \t"), *text;
    AUTO(free_p) uint8_t *bytes = NULL;
    const uint8_t *kind;
    uint32_t bits = 0;
    size_t n_word = strcspn(word, " \t\r\n"), n_text, n = 0, n_digits = 0, at = 0, n_kind;

    text = word + n_word;
    text += strspn(text, " \t");
    n_text = strcspn(text, " \t\r\n");
    bytes = malloc(n_text / 4 * 3 + 3);
    if (!bytes)
        return -ENOMEM;
    for (size_t i = 0; i < n_text && text[i] != '='; i++) {
        int digit = agent_keys_digit(text[i]);

        if (digit < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)digit;
        if (++n_digits % 4 != 1)
            bytes[n++] = (uint8_t)(bits >> (6 - 2 * ((n_digits - 1) % 4)));
    }
    /* A key begins with the kind that stands before it. */
    if (!agent_keys_string(bytes, n, &at, &kind, &n_kind) || n_kind != n_word ||
        memcmp(kind, word, n_word) != 0)
        return -EINVAL;
    ret_key->bytes = TAKE(bytes);
    ret_key->n_bytes = n;
    return 0;
}

/* Copy those keys that are the named one, or (NULL) that are none of the named. Whole answers come here: n keys. */
static void agent_keys_copy(const uint8_t *answer, size_t n_answer, const struct agent_key *which,
                            const struct agent_key *named, size_t n_named, uint8_t *to,
                            size_t *used)
{
    const uint8_t *key, *comment;
    size_t n_key, n_comment;

    for (size_t at = AGENT_KEYS_HEAD, from = at; at < n_answer; from = at) {
        bool is_named = false, same;

        if (!agent_keys_string(answer, n_answer, &at, &key, &n_key) ||
            !agent_keys_string(answer, n_answer, &at, &comment, &n_comment))
            return;
        for (size_t i = 0; i < n_named && !which; i++)
            is_named |= named[i].n_bytes == n_key && memcmp(named[i].bytes, key, n_key) == 0;
        same = which && which->n_bytes == n_key && memcmp(which->bytes, key, n_key) == 0;
        if (which ? !same : is_named)
            continue;
        memcpy(to + *used, answer + from, at - from);
        *used += at - from;
        to[4]++;
        if (to[4] == 0)
            to[3]++;
    }
}

/* Is it an answer with as many keys as it says, and nothing behind them? */
static bool agent_keys_whole(const uint8_t *answer, size_t n_answer)
{
    size_t at = AGENT_KEYS_HEAD, n;
    const uint8_t *piece;

    if (n_answer < AGENT_KEYS_HEAD || answer[0] != AGENT_KEYS_ANSWER)
        return false;
    for (uint32_t left = agent_keys_number(answer + 1); left; left--)
        if (!agent_keys_string(answer, n_answer, &at, &piece, &n) ||
            !agent_keys_string(answer, n_answer, &at, &piece, &n))
            return false;
    return at == n_answer;
}

static bool agent_keys_before(const struct agent_key *named, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (named[k].n_bytes == named[i].n_bytes &&
            memcmp(named[k].bytes, named[i].bytes, named[i].n_bytes) == 0)
            return true;
    return false;
}

int agent_keys_pick(const uint8_t *answer, size_t n_answer, const struct agent_key *named,
                    size_t n_named, bool only, uint8_t **ret_answer, size_t *ret_n)
{
    AUTO(free_p) uint8_t *picked = NULL;
    size_t used = AGENT_KEYS_HEAD;

    if (n_answer > AGENT_KEYS_MESSAGE_MAX || !agent_keys_whole(answer, n_answer))
        return -EPROTO;
    picked = calloc(1, n_answer);
    if (!picked)
        return -ENOMEM;
    picked[0] = AGENT_KEYS_ANSWER;
    for (size_t i = 0; i < n_named; i++)
        if (!agent_keys_before(named, i))
            agent_keys_copy(answer, n_answer, &named[i], NULL, 0, picked, &used);
    if (!only)
        agent_keys_copy(answer, n_answer, NULL, named, n_named, picked, &used);
    *ret_answer = TAKE(picked);
    *ret_n = used;
    return 0;
}
