/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/number.h"

#include <math.h>

enum { NUMBER_DIGITS = 18, NUMBER_EXPONENT = 300 };

static bool number_digit(char c) { return c >= '0' && c <= '9'; }

/* "e+06" to the exponent; false when it is none. */
static bool number_exponent(const char *p, const char *end, int *ret)
{
    bool minus = p < end && *p == '-';
    int e = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end)
        return false;
    for (; p < end; p++) {
        if (!number_digit(*p))
            return false;
        if (e <= NUMBER_EXPONENT)
            e = e * 10 + (*p - '0');
    }
    *ret = minus ? -e : e;
    return e <= NUMBER_EXPONENT;
}

bool number_parse(const char *text, size_t n, double *ret_number)
{
    const char *p = text, *end = text + n;
    bool minus = p < end && *p == '-', point = false;
    unsigned long long mantissa = 0;
    int kept = 0, scale = 0, digits = 0, exponent = 0;
    double v;

    for (p += minus; p < end && (number_digit(*p) || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        digits++;
        if (kept < NUMBER_DIGITS) {
            mantissa = mantissa * 10 + (unsigned)(*p - '0');
            kept += mantissa > 0;
            scale -= point;
        } else if (scale < NUMBER_EXPONENT) {
            scale += !point;
        }
    }
    if (digits == 0 || (p < end && *p != 'e' && *p != 'E'))
        return false;
    if (p < end && !number_exponent(p + 1, end, &exponent))
        return false;
    exponent += scale;
    /* Divided by a power that is exact, a short decimal is the nearest double. */
    v = exponent < 0 ? (double)mantissa / pow(10, -exponent) : (double)mantissa * pow(10, exponent);
    if (!isfinite(v))
        return false;
    *ret_number = minus ? -v : v;
    return true;
}
