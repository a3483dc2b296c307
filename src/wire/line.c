/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/line.h"

const char *const line_fault_words[LINE_FAULT_COUNT] = {
    [LINE_OK] = "no fault",
    [LINE_NO_ID] = "does not begin with a number",
    [LINE_NO_VERB] = "has no verb of small letters",
    [LINE_BAD_KEY] = "has a key that is not small letters, digits and _ before a =",
    [LINE_BAD_VALUE] = "has a value with a wrong % code or a control character",
    [LINE_TWICE] = "has a key twice",
    [LINE_TOO_MANY] = "has too many keys",
};

static bool line_same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static bool line_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static int line_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode in place up to the next blank or the end; NULL on a bad code. ret_next is behind it. */
static char *line_value(char *p, char *end, char **ret_next)
{
    char *from = p, *to = p;

    while (from < end && *from != ' ') {
        if ((unsigned char)*from < 0x20 || *from == 0x7f)
            return (char *)0;
        if (*from == '%') {
            int high = end - from > 2 ? line_hex(from[1]) : -1;
            int low = high >= 0 ? line_hex(from[2]) : -1;

            if (low < 0 || (high == 0 && low == 0))
                return (char *)0;
            *to++ = (char)(high * 16 + low);
            from += 3;
            continue;
        }
        *to++ = *from++;
    }
    *ret_next = from < end ? from + 1 : end;
    *to = 0;
    return p;
}

enum line_fault line_cut(char *text, size_t len, struct line *ret_line)
{
    char *p = text, *end = text + len, *verb;
    uint64_t id = 0;

    ret_line->n_pairs = 0;
    while (p < end && *p >= '0' && *p <= '9' && id <= UINT32_MAX)
        id = id * 10 + (uint64_t)(*p++ - '0');
    if (p == text || p == end || *p != ' ' || id > UINT32_MAX)
        return LINE_NO_ID;
    ret_line->id = (uint32_t)id;
    verb = ++p;
    while (p < end && line_letter(*p))
        p++;
    if (p == verb || (p < end && *p != ' '))
        return LINE_NO_VERB;
    ret_line->verb = verb;
    /* A blank that ends the line would hide a blob= before it from whoever looks at the last word. */
    if (end[-1] == ' ')
        return LINE_BAD_KEY;
    if (p < end)
        *p++ = 0;
    while (p < end) {
        char *key = p, *value, *next;

        while (p < end && line_letter(*p))
            p++;
        if (p == key || p == end || *p != '=')
            return LINE_BAD_KEY;
        *p++ = 0;
        value = line_value(p, end, &next);
        if (!value)
            return LINE_BAD_VALUE;
        p = next;
        if (line_get(ret_line, key))
            return LINE_TWICE;
        if (ret_line->n_pairs == LINE_MAX_PAIRS)
            return LINE_TOO_MANY;
        ret_line->pair[ret_line->n_pairs].key = key;
        ret_line->pair[ret_line->n_pairs++].value = value;
    }
    return LINE_OK;
}

const char *line_get(const struct line *line, const char *key)
{
    for (unsigned i = 0; i < line->n_pairs; i++)
        if (line_same(line->pair[i].key, key))
            return line->pair[i].value;
    return (const char *)0;
}

bool line_is(const struct line *line, const char *verb) { return line_same(line->verb, verb); }

int line_get_u64(const struct line *line, const char *key, uint64_t *ret)
{
    const char *p = line_get(line, key);
    uint64_t v = 0;

    if (!p)
        return -1;
    if (!*p)
        return -2;
    for (; *p; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        if (*p < '0' || *p > '9' || v > (UINT64_MAX - digit) / 10)
            return -2;
        v = v * 10 + digit;
    }
    *ret = v;
    return 0;
}

static void line_char(struct line_out *out, char c)
{
    if (out->used < out->size)
        out->buf[out->used++] = c;
    else
        out->full = true;
}

static void line_text(struct line_out *out, const char *text)
{
    while (*text)
        line_char(out, *text++);
}

static void line_number(struct line_out *out, uint64_t value)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n)
        line_char(out, digits[--n]);
}

void line_begin(struct line_out *out, char *buf, size_t size, uint32_t id, const char *verb)
{
    out->buf = buf;
    out->size = size;
    out->used = 0;
    out->full = false;
    line_number(out, id);
    line_char(out, ' ');
    line_text(out, verb);
}

void line_put(struct line_out *out, const char *key, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";

    line_char(out, ' ');
    line_text(out, key);
    line_char(out, '=');
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;

        if (c <= 0x20 || c == '%' || c == 0x7f) {
            line_char(out, '%');
            line_char(out, hex[c >> 4]);
            line_char(out, hex[c & 15]);
        } else {
            line_char(out, (char)c);
        }
    }
}

void line_put_u64(struct line_out *out, const char *key, uint64_t value)
{
    line_char(out, ' ');
    line_text(out, key);
    line_char(out, '=');
    line_number(out, value);
}

size_t line_end(struct line_out *out)
{
    line_char(out, '\n');
    return out->full ? 0 : out->used;
}
