/* SPDX-License-Identifier: Apache-2.0 */
#include "interop/json_read.h"

#include <math.h>
#include <string.h>

void json_begin(struct json_read *j, const char *text, size_t n)
{
    *j = (struct json_read){.text = text, .n = n, .token = JSON_NULL};
}

static int json_peek(struct json_read *j)
{
    while (j->at < j->n && strchr(" \t\r\n", j->text[j->at]) && j->text[j->at])
        j->at++;
    return j->at < j->n ? (unsigned char)j->text[j->at] : -1;
}

static enum json_token json_open(struct json_read *j, bool object)
{
    if (j->depth == JSON_DEPTH)
        return JSON_BAD;
    j->at++;
    j->depth++;
    j->objects = object ? j->objects | 1ull << j->depth : j->objects & ~(1ull << j->depth);
    j->need_comma = j->have_key = false;
    return object ? JSON_OBJECT : JSON_ARRAY;
}

static bool json_in_object(const struct json_read *j)
{
    return j->depth > 0 && (j->objects >> j->depth & 1);
}

static int json_hex(const char *digits)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        const char *all = "0123456789abcdef0123456789ABCDEF", *d = strchr(all, digits[i]);

        if (!d || !digits[i])
            return -1;
        value = value * 16 + (int)((d - all) % 16);
    }
    return value;
}

/* One character of a string, its escape undone: '?' for what is not ASCII; -1 bad. */
static int json_char(struct json_read *j)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = (unsigned char)j->text[j->at++];
    const char *e;

    if (c < ' ')
        return -1;
    if (c != '\\')
        return c < 0x80 ? c : '?';
    if (j->at >= j->n)
        return -1;
    c = (unsigned char)j->text[j->at++];
    if (c == 'u') {
        if (j->n - j->at < 4 || (c = json_hex(j->text + j->at)) < 0)
            return -1;
        j->at += 4;
        return c > 0 && c < 0x80 ? c : '?';
    }
    e = c ? strchr(from, c) : NULL;
    return e ? to[e - from] : -1;
}

static bool json_string(struct json_read *j)
{
    size_t n = 0;

    for (j->at++; j->at < j->n && j->text[j->at] != '"';) {
        int c = json_char(j);

        if (c < 0)
            return false;
        if (n + 1 < sizeof j->string)
            j->string[n++] = (char)c;
    }
    j->string[n] = 0;
    return j->at++ < j->n;
}

static bool json_digits(struct json_read *j, double *value, int *ret_n)
{
    size_t from = j->at;

    for (; j->at < j->n && j->text[j->at] >= '0' && j->text[j->at] <= '9'; j->at++)
        *value = *value * 10 + (j->text[j->at] - '0');
    *ret_n = (int)(j->at - from);
    return j->at > from;
}

/* To some 15 digits, which is what a double takes; not strtod(), which wants a NUL and minds the locale. */
static enum json_token json_read_number(struct json_read *j)
{
    bool negative = j->text[j->at] == '-';
    double value = 0, exponent = 0;
    int n, scale = 0;

    j->at += negative;
    if (!json_digits(j, &value, &n))
        return JSON_BAD;
    if (j->at < j->n && j->text[j->at] == '.') {
        j->at++;
        if (!json_digits(j, &value, &scale))
            return JSON_BAD;
    }
    if (j->at < j->n && (j->text[j->at] == 'e' || j->text[j->at] == 'E')) {
        bool small = ++j->at < j->n && j->text[j->at] == '-';

        if (j->at < j->n && (small || j->text[j->at] == '+'))
            j->at++;
        if (!json_digits(j, &exponent, &n))
            return JSON_BAD;
        exponent = small ? -exponent : exponent;
    }
    exponent -= scale;
    if (value != 0 && exponent < 0)
        value /= pow(10, -exponent);
    else if (value != 0)
        value *= pow(10, exponent);
    j->number = negative ? -value : value;
    return isfinite(j->number) ? JSON_NUMBER : JSON_BAD;
}

static enum json_token json_word(struct json_read *j, const char *word, enum json_token token)
{
    size_t n = strlen(word);

    if (j->n - j->at < n || memcmp(j->text + j->at, word, n) != 0)
        return JSON_BAD;
    j->at += n;
    return token;
}

static enum json_token json_value(struct json_read *j, int c)
{
    switch (c) {
    case '{':
        return json_open(j, true);
    case '[':
        return json_open(j, false);
    case '"':
        return json_string(j) ? JSON_STRING : JSON_BAD;
    case 't':
        return json_word(j, "true", JSON_TRUE);
    case 'f':
        return json_word(j, "false", JSON_FALSE);
    case 'n':
        return json_word(j, "null", JSON_NULL);
    default:
        return c == '-' || (c >= '0' && c <= '9') ? json_read_number(j) : JSON_BAD;
    }
}

static enum json_token json_close(struct json_read *j, bool object)
{
    j->at++;
    j->depth--;
    j->need_comma = true;
    return object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static enum json_token json_step(struct json_read *j)
{
    int c = json_peek(j);
    bool object = json_in_object(j), first = !j->need_comma;
    enum json_token token;

    if (j->depth == 0 && j->need_comma)
        return c < 0 ? JSON_END : JSON_BAD;
    if (!j->have_key && j->depth > 0 && c == (object ? '}' : ']'))
        return json_close(j, object);
    if (!j->have_key && !first) {
        if (c != ',')
            return JSON_BAD;
        j->at++;
        c = json_peek(j);
    }
    if (object && !j->have_key) {
        if (c != '"' || !json_string(j) || json_peek(j) != ':')
            return JSON_BAD;
        j->at++;
        j->have_key = true;
        return JSON_KEY;
    }
    j->have_key = false;
    token = json_value(j, c);
    j->need_comma = token != JSON_OBJECT && token != JSON_ARRAY;
    return token;
}

enum json_token json_next(struct json_read *j)
{
    if (j->token != JSON_BAD && j->token != JSON_END)
        j->token = json_step(j);
    return j->token;
}

bool json_skip(struct json_read *j)
{
    uint32_t depth = j->depth;
    enum json_token token = json_next(j);

    while (token != JSON_BAD && token != JSON_END && j->depth > depth)
        token = json_next(j);
    return token != JSON_BAD && token != JSON_END;
}

bool json_is(const struct json_read *j, const char *word) { return strcmp(j->string, word) == 0; }

bool json_number(struct json_read *j, double *ret_number)
{
    if (json_next(j) == JSON_NUMBER) {
        *ret_number = j->number >= 0x1p63 ? -1 : j->number;
        return true;
    }
    if (j->token == JSON_OBJECT || j->token == JSON_ARRAY) {
        uint32_t depth = j->depth;

        while (j->token != JSON_BAD && j->depth >= depth)
            json_next(j);
    }
    return false;
}

uint64_t json_count(double number) { return number > 0 && number < 0x1p63 ? (uint64_t)number : 0; }
