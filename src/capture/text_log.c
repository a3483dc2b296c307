/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/text_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LOG_S 1000000000LL

int text_log_init(struct text_log *ret_log, FILE *in, size_t size, struct err *err)
{
    *ret_log = (struct text_log){.in = in, .size = size, .buffer = malloc(size)};
    return ret_log->buffer ? 0 : err_set(err, ENOMEM, "reading a log");
}

void text_log_done(struct text_log *log)
{
    if (!log)
        return;
    free(log->buffer);
    log->buffer = NULL;
}

/* More bytes behind those that are left: how many; 0 the end. */
static int text_log_fill(struct text_log *log, struct err *err)
{
    size_t n;

    memmove(log->buffer, log->buffer + log->at, log->used - log->at);
    log->used -= log->at;
    log->at = 0;
    if (log->ended)
        return 0;
    errno = 0;
    n = fread(log->buffer + log->used, 1, log->size - log->used, log->in);
    if (ferror(log->in)) {
        log->ended = true;
        return err_set(err, errno ? errno : EIO, "reading");
    }
    log->ended = n == 0;
    log->used += n;
    return n > 0;
}

int text_log_line(struct text_log *log, struct text_piece *ret_line, struct err *err)
{
    bool passed_over = false;

    for (;;) {
        char *begin = log->buffer + log->at, *end = memchr(begin, '\n', log->used - log->at);
        int r;

        if (end) {
            *ret_line = (struct text_piece){begin, passed_over ? 0 : (size_t)(end - begin)};
            log->at = (size_t)(end - log->buffer) + 1;
            return 1;
        }
        if (log->at == 0 && log->used == log->size) {
            passed_over = true;
            log->at = log->used;
        }
        r = text_log_fill(log, err);
        if (r < 0)
            return r;
        if (r == 0 && log->used == 0 && !passed_over)
            return 0;
        if (r == 0) {
            /* The last line has no end. */
            *ret_line = (struct text_piece){log->buffer, passed_over ? 0 : log->used};
            log->at = log->used;
            return 1;
        }
    }
}

static bool text_log_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool text_log_column(struct text_piece line, uint32_t col, struct text_piece *ret_column)
{
    const char *p = line.text, *end = line.text + line.n, *begin;

    for (uint32_t i = 0;; i++) {
        while (p < end && text_log_blank(*p))
            p++;
        begin = p;
        while (p < end && !text_log_blank(*p))
            p++;
        if (p == begin)
            return false;
        if (i == col)
            break;
    }
    *ret_column = (struct text_piece){begin, (size_t)(p - begin)};
    return true;
}

bool text_log_split(struct text_piece text, const char *split, uint32_t index,
                    struct text_piece *ret_piece)
{
    size_t len = strlen(split);

    for (uint32_t i = 0; len; i++) {
        const char *at = memmem(text.text, text.n, split, len);
        size_t n = at ? (size_t)(at - text.text) : text.n;

        if (i == index) {
            *ret_piece = (struct text_piece){text.text, n};
            return n > 0;
        }
        if (!at)
            return false;
        text.text += n + len;
        text.n -= n + len;
    }
    *ret_piece = text;
    return index == 0 && text.n > 0;
}

/* Digits in front of what is left, from least to most of them; they are taken off. */
static bool text_log_digits(struct text_piece *p, size_t least, size_t most, int64_t *ret)
{
    int64_t v = 0;
    size_t n = 0;

    while (n < p->n && n < most && p->text[n] >= '0' && p->text[n] <= '9')
        v = v * 10 + (p->text[n++] - '0');
    if (n < least || (n < p->n && p->text[n] >= '0' && p->text[n] <= '9'))
        return false;
    p->text += n;
    p->n -= n;
    *ret = v;
    return true;
}

static bool text_log_letter(struct text_piece *p, char c)
{
    if (p->n == 0 || *p->text != c)
        return false;
    p->text++;
    p->n--;
    return true;
}

/* ".421831" or nothing, to its end: digits beyond the ninth are below what is kept. */
static bool text_log_fraction(struct text_piece *p, int64_t *ret_ns)
{
    int64_t ns = 0, step = TEXT_LOG_S / 10;
    size_t n = 0;

    if (!text_log_letter(p, '.') && !text_log_letter(p, ',')) {
        *ret_ns = 0;
        return true;
    }
    for (; n < p->n && p->text[n] >= '0' && p->text[n] <= '9'; n++, step /= 10)
        ns += (p->text[n] - '0') * step;
    p->text += n;
    p->n -= n;
    *ret_ns = ns;
    return n > 0;
}

/* Days since 1970-01-01 of the Gregorian calendar: a year counts from March, so that the odd day is its last. */
static int64_t text_log_days(int64_t year, int64_t month, int64_t day)
{
    int64_t y = year - (month <= 2), m = (month + 9) % 12;

    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

static bool text_log_date(struct text_piece *p, int64_t *ret_ns)
{
    static const int64_t lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day;

    if (!text_log_digits(p, 4, 4, &year) || !text_log_letter(p, '-') ||
        !text_log_digits(p, 2, 2, &month) || !text_log_letter(p, '-') ||
        !text_log_digits(p, 2, 2, &day) || year < 1970 || year > 2260 || month < 1 || month > 12 ||
        day < 1 || day > lengths[month - 1])
        return false;
    *ret_ns = text_log_days(year, month, day) * 86400 * TEXT_LOG_S;
    return true;
}

/* "20:53:56.421831", to its end. 60 is a leap second. */
static bool text_log_clock(struct text_piece *p, int64_t *ret_ns)
{
    int64_t hour, minute, second, ns;

    if (!text_log_digits(p, 1, 2, &hour) || !text_log_letter(p, ':') ||
        !text_log_digits(p, 2, 2, &minute) || !text_log_letter(p, ':') ||
        !text_log_digits(p, 2, 2, &second) || !text_log_fraction(p, &ns) || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    *ret_ns = ((hour * 60 + minute) * 60 + second) * TEXT_LOG_S + ns;
    return true;
}

int text_log_time(struct text_piece day, struct text_piece time, int64_t *ret_ns)
{
    struct text_piece p = time;
    int64_t day_ns = 0, ns, s;

    if (text_log_date(&p, &day_ns)) {
        if (!text_log_letter(&p, 'T') || !text_log_clock(&p, &ns))
            return -EINVAL;
        text_log_letter(&p, 'Z');
        if (p.n)
            return -EINVAL;
        *ret_ns = day_ns + ns;
        return 0;
    }
    p = time;
    if (text_log_clock(&p, &ns) && p.n == 0) {
        bool dated = text_log_date(&day, &day_ns) && day.n == 0;

        *ret_ns = (dated ? day_ns : 0) + ns;
        return !dated;
    }
    p = time;
    if (!text_log_digits(&p, 1, 10, &s) || s > 9000000000 || !text_log_fraction(&p, &ns) || p.n)
        return -EINVAL;
    *ret_ns = s * TEXT_LOG_S + ns;
    return 0;
}
