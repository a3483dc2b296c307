/* SPDX-License-Identifier: Apache-2.0 */
#include "results/doc.h"

#include "base/auto.h"

#include <math.h>
#include <string.h>

const json_t *doc_at(const json_t *value, const char *path)
{
    while (value && *path) {
        size_t len = strcspn(path, ".");
        char key[DOC_KEY_SIZE];

        if (len >= sizeof key)
            return NULL;
        memcpy(key, path, len);
        key[len] = 0;
        value = json_object_get(value, key);
        path += len + (path[len] == '.');
    }
    return value;
}

const char *doc_text(const json_t *value, const char *path)
{
    const char *text = json_string_value(doc_at(value, path));

    return text ? text : "";
}

bool doc_number(const json_t *value, const char *path, double *ret_number)
{
    const json_t *number = doc_at(value, path);

    if (!json_is_number(number) || !isfinite(json_number_value(number)))
        return false;
    *ret_number = json_number_value(number);
    return true;
}

uint64_t doc_count(const json_t *value, const char *path)
{
    const json_t *number = doc_at(value, path);

    return json_is_integer(number) && json_integer_value(number) > 0
               ? (uint64_t)json_integer_value(number)
               : 0;
}

/* Bytes of the letter that begins here; 0 when it is not UTF-8 (RFC 3629 section 4). */
static size_t doc_letter(const unsigned char *p)
{
    unsigned low = 0x80, high = 0xbf;
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        n = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        n = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    /* A text that ends too early has its 0 here, which is no continuation. */
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

void doc_clean(char *ret, size_t size, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t used = 0;

    while (*p) {
        size_t n = doc_letter(p);
        /* C0, DEL, and C1 (U+0080 to U+009F), which some terminals obey too. */
        bool control = n == 0 || *p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);

        if (n == 0)
            n = 1;
        if (used + (control ? 1 : n) >= size)
            break;
        if (control)
            ret[used++] = '?';
        else
            for (size_t i = 0; i < n; i++)
                ret[used++] = (char)p[i];
        p += n;
    }
    ret[used] = 0;
}

json_t *doc_string(const char *text)
{
    static const char unknown[3] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */
    const unsigned char *p = (const unsigned char *)(text ? text : "");
    size_t len = strlen((const char *)p), used = 0;
    AUTO(free_p) char *good = malloc(len * 3 + 1);

    if (!good)
        return NULL;
    while (*p) {
        size_t n = doc_letter(p);

        if (n == 0) {
            memcpy(good + used, unknown, sizeof unknown);
            used += sizeof unknown;
            p++;
            continue;
        }
        memcpy(good + used, p, n);
        used += n;
        p += n;
    }
    return json_stringn(good, used);
}

json_t *doc_whole(uint64_t number)
{
    return number <= INT64_MAX ? json_integer((json_int_t)number) : json_real((double)number);
}

json_t *doc_real(double number) { return isfinite(number) ? json_real(number) : json_null(); }

size_t doc_columns(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}
