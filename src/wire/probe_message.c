/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/probe_message.h"
#include "base/text.h"
#include "wire/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROBE_KEY_SIZE = 24,
    PROBE_WORD_SIZE = 2 * FLOW_ADDRESS_SIZE + 48,
    PROBE_MAX_WAIT_S = 60,
    PROBE_MAX_ERRNO = 4095,
};

/* A key with a number behind it. */
static const char *probe_key(char buf[PROBE_KEY_SIZE], const char *what, uint32_t i)
{
    snprintf(buf, PROBE_KEY_SIZE, "%s%u", what, i);
    return buf;
}

/* The words of a value, cut in a copy; how many there are, -1 when they do not fit. */
static int probe_words(const char *value, char copy[PROBE_WORD_SIZE], const char *words[],
                       int max_words)
{
    int n = 0;

    if (!value || !text_copy(copy, PROBE_WORD_SIZE, value))
        return -1;
    for (char *p = copy; *p; n++) {
        if (n == max_words)
            return -1;
        words[n] = p;
        p += strcspn(p, " ");
        if (*p)
            *p++ = 0;
    }
    return n;
}

/* A decimal number up to max, and nothing else; false when it is none. */
static bool probe_number(const char *word, uint32_t max, uint32_t *ret)
{
    uint32_t v = 0;

    if (!*word || strlen(word) > 5)
        return false;
    for (const char *p = word; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        v = v * 10 + (uint32_t)(*p - '0');
    }
    *ret = v;
    return v <= max;
}

static int probe_count(const struct line *line, const char *key, uint32_t max, uint32_t *ret,
                       struct err *err)
{
    uint64_t n = 0;

    if (line_get_u64(line, key, &n) < 0 || n < 1 || n > max)
        return err_say(err, "%s: %s= is not 1 to %u", line->verb, key, max);
    *ret = (uint32_t)n;
    return 0;
}

void probe_message_put_doors(struct line_out *out, const struct probe_doors *doors)
{
    char key[PROBE_KEY_SIZE], word[PROBE_WORD_SIZE];

    line_put_u64(out, "doors", doors->n);
    for (uint32_t i = 0; i < doors->n; i++) {
        const struct probe_door *d = &doors->door[i];

        snprintf(word, sizeof word, "%s %s %u %u", d->udp ? "udp" : "tcp", d->v6 ? "6" : "4",
                 d->port, d->port_last);
        line_put(out, probe_key(key, "door", i), word);
    }
    message_put_token(out, doors->token);
}

static bool probe_door(const char *value, struct probe_door *ret)
{
    char copy[PROBE_WORD_SIZE];
    const char *w[4];
    uint32_t family = 0, port = 0, last = 0;

    if (probe_words(value, copy, w, 4) != 4 || !probe_number(w[1], 6, &family) ||
        !probe_number(w[2], UINT16_MAX, &port) || !probe_number(w[3], UINT16_MAX, &last))
        return false;
    *ret = (struct probe_door){.udp = strcmp(w[0], "udp") == 0,
                               .v6 = family == 6,
                               .port = (uint16_t)port,
                               .port_last = (uint16_t)last};
    return (ret->udp || strcmp(w[0], "tcp") == 0) && (family == 4 || family == 6) &&
           (last == 0 || last >= port);
}

int probe_message_get_doors(const struct line *line, struct probe_doors *ret_doors, struct err *err)
{
    struct probe_doors doors = {.n = 0};
    char key[PROBE_KEY_SIZE];
    int r = probe_count(line, "doors", PROBE_MAX_DOORS, &doors.n, err);

    for (uint32_t i = 0; i < doors.n && r == 0; i++)
        if (!probe_door(line_get(line, probe_key(key, "door", i)), &doors.door[i]))
            r = err_say(err, "%s: %s= is not a protocol, a family and two ports", line->verb, key);
    if (r == 0)
        r = message_get_token(line, doors.token, err);
    if (r == 0)
        *ret_doors = doors;
    return r;
}

void probe_message_put_opened(struct line_out *out, const struct probe_opened *opened, uint32_t n)
{
    char key[PROBE_KEY_SIZE], word[PROBE_WORD_SIZE];

    for (uint32_t i = 0; i < n; i++) {
        snprintf(word, sizeof word, "%u %d", opened[i].port, opened[i].error);
        line_put(out, probe_key(key, "door", i), word);
    }
}

int probe_message_get_opened(const struct line *line, struct probe_opened *ret_opened, uint32_t n,
                             struct err *err)
{
    char key[PROBE_KEY_SIZE], copy[PROBE_WORD_SIZE];

    for (uint32_t i = 0; i < n; i++) {
        const char *w[2];
        uint32_t port = 0, error = 0;

        if (probe_words(line_get(line, probe_key(key, "door", i)), copy, w, 2) != 2 ||
            !probe_number(w[0], UINT16_MAX, &port) || !probe_number(w[1], PROBE_MAX_ERRNO, &error))
            return err_say(err, "%s: %s= is not a port and a code", line->verb, key);
        ret_opened[i] = (struct probe_opened){.port = (uint16_t)port, .error = (int)error};
    }
    return 0;
}

void probe_message_put_knocks(struct line_out *out, const struct probe_knocks *knocks)
{
    char key[PROBE_KEY_SIZE], word[PROBE_WORD_SIZE];

    line_put_u64(out, "knocks", knocks->n);
    line_put_u64(out, "wait_ns", knocks->wait_ns);
    for (uint32_t i = 0; i < knocks->n; i++) {
        const struct probe_knock *k = &knocks->knock[i];

        snprintf(word, sizeof word, "%u %s %s %u %u%s%s", k->number, k->udp ? "udp" : "tcp",
                 k->address, k->port, k->dscp, k->bind[0] ? " " : "", k->bind);
        line_put(out, probe_key(key, "knock", i), word);
    }
    message_put_token(out, knocks->token);
}

static bool probe_knock(const char *value, struct probe_knock *ret)
{
    char copy[PROBE_WORD_SIZE];
    const char *w[6];
    uint32_t port = 0;
    int n = probe_words(value, copy, w, 6);

    *ret = (struct probe_knock){.udp = n > 1 && strcmp(w[1], "udp") == 0};
    if (n < 5 || !probe_number(w[0], PROBE_NUMBERS - 1, &ret->number) ||
        !(ret->udp || strcmp(w[1], "tcp") == 0) ||
        !text_copy(ret->address, sizeof ret->address, w[2]) || text_address(w[2], NULL) < 0 ||
        !probe_number(w[3], UINT16_MAX, &port) || !probe_number(w[4], 63, &ret->dscp))
        return false;
    ret->port = (uint16_t)port;
    return n == 5 || text_copy(ret->bind, sizeof ret->bind, w[5]);
}

int probe_message_get_knocks(const struct line *line, struct probe_knocks *ret_knocks,
                             struct err *err)
{
    struct probe_knocks knocks = {.n = 0};
    char key[PROBE_KEY_SIZE];
    int r = probe_count(line, "knocks", PROBE_MAX_KNOCKS, &knocks.n, err);

    if (r == 0 && (line_get_u64(line, "wait_ns", &knocks.wait_ns) < 0 ||
                   knocks.wait_ns > PROBE_MAX_WAIT_S * 1000000000ULL))
        r = err_say(err, "%s: wait_ns= is not up to %d s", line->verb, PROBE_MAX_WAIT_S);
    for (uint32_t i = 0; i < knocks.n && r == 0; i++)
        if (!probe_knock(line_get(line, probe_key(key, "knock", i)), &knocks.knock[i]))
            r = err_say(err, "%s: %s= is not a number, protocol, address, port and DSCP",
                        line->verb, key);
    if (r == 0)
        r = message_get_token(line, knocks.token, err);
    if (r == 0)
        *ret_knocks = knocks;
    return r;
}

void probe_message_put_answers(struct line_out *out, const struct probe_answer *answers, uint32_t n)
{
    char key[PROBE_KEY_SIZE], word[PROBE_WORD_SIZE];

    for (uint32_t i = 0; i < n; i++) {
        snprintf(word, sizeof word, "%s %d", probe_end_name[answers[i].end], answers[i].error);
        line_put(out, probe_key(key, "knock", i), word);
    }
}

int probe_message_get_answers(const struct line *line, struct probe_answer *ret_answers, uint32_t n,
                              struct err *err)
{
    char key[PROBE_KEY_SIZE], copy[PROBE_WORD_SIZE];

    for (uint32_t i = 0; i < n; i++) {
        const char *w[2];
        uint32_t error = 0;
        int end = 0, words = probe_words(line_get(line, probe_key(key, "knock", i)), copy, w, 2);

        while (words == 2 && end < PROBE_END_COUNT && strcmp(w[0], probe_end_name[end]) != 0)
            end++;
        if (words != 2 || end == PROBE_END_COUNT || !probe_number(w[1], PROBE_MAX_ERRNO, &error))
            return err_say(err, "%s: %s= is not an end and a code", line->verb, key);
        ret_answers[i] = (struct probe_answer){.end = (enum probe_end)end, .error = (int)error};
    }
    return 0;
}

void probe_message_put_heard(struct line_out *out, const struct probe_heard *heard, uint32_t n)
{
    char key[PROBE_KEY_SIZE], list[PROBE_NUMBERS * 4 + 1];

    for (uint32_t i = 0; i < n; i++) {
        size_t used = 0;

        list[0] = 0;
        for (uint32_t k = 0; k < PROBE_NUMBERS; k++)
            if (probe_has_heard(&heard[i], k))
                used +=
                    (size_t)snprintf(list + used, sizeof list - used, "%s%u", used ? " " : "", k);
        line_put(out, probe_key(key, "heard", i), list);
        list[0] = 0;
        used = 0;
        for (uint32_t k = 0; k < heard[i].n_half; k++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? " " : "",
                                     heard[i].half[k]);
        line_put(out, probe_key(key, "half", i), list);
    }
}

/* The next word of a list, at most size - 1 long; false at its end, or when the word is longer. */
static bool probe_next(const char **list, char *ret, size_t size)
{
    size_t len = strcspn(*list, " ");

    if (!len || len >= size)
        return false;
    memcpy(ret, *list, len);
    ret[len] = 0;
    *list += len + ((*list)[len] == ' ');
    return true;
}

int probe_message_get_heard(const struct line *line, struct probe_heard *ret_heard, uint32_t n,
                            struct err *err)
{
    char key[PROBE_KEY_SIZE], word[FLOW_ADDRESS_SIZE];

    for (uint32_t i = 0; i < n; i++) {
        struct probe_heard heard = {.n_half = 0};
        const char *numbers = line_get(line, probe_key(key, "heard", i)),
                   *half = line_get(line, probe_key(key, "half", i));
        uint32_t k = 0;

        while (numbers && probe_next(&numbers, word, sizeof word) &&
               probe_number(word, PROBE_NUMBERS - 1, &k))
            heard.number[k / 8] |= (uint8_t)(1U << k % 8);
        while (half && heard.n_half < PROBE_MAX_HALF && probe_next(&half, word, sizeof word) &&
               text_address(word, NULL) >= 0)
            text_copy(heard.half[heard.n_half++], sizeof heard.half[0], word);
        if (!numbers || *numbers || !half || *half)
            return err_say(err, "%s: heard%u= and half%u= are not numbers and addresses",
                           line->verb, i, i);
        ret_heard[i] = heard;
    }
    return 0;
}
