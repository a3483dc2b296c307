/* SPDX-License-Identifier: Apache-2.0 */
#include "results/progress.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "results/doc.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The one whose line a log line must clear: the hook of base/log.h has no argument. */
static struct progress *progress_shown;

static void progress_write(const struct progress *p, const char *text)
{
    struct pollfd ready = {.fd = p->fd, .events = POLLOUT};

    /* A terminal that somebody stopped (Ctrl-S) must not stop the measuring. */
    if (p->terminal && poll(&ready, 1, 0) != 1)
        return;
    if (write(p->fd, text, strlen(text)) < 0)
        return; /* a closed terminal: nobody reads this */
}

static void progress_clear(void)
{
    struct progress *p = progress_shown;

    if (!p || !p->shown)
        return;
    progress_write(p, "\r\033[K");
    p->shown = false;
    p->line[0] = 0;
}

void progress_init(struct progress *p, int fd, bool quiet, unsigned n_scenarios, uint64_t plan_ns)
{
    const char *term = getenv("TERM");

    *p =
        (struct progress){.fd = fd, .quiet = quiet, .n_scenarios = n_scenarios, .plan_ns = plan_ns};
    p->terminal = isatty(fd) && term && strcmp(term, "dumb") != 0;
    progress_shown = p;
    log_set_hook(progress_clear);
}

void progress_done(struct progress *p)
{
    if (!p || progress_shown != p)
        return;
    progress_clear();
    progress_shown = NULL;
    log_set_hook(NULL);
}

uint64_t progress_left_ns(const struct progress *p, uint64_t now_ns)
{
    double calm = (double)p->plan_ns / 20;
    double pace = p->plan_ended_ns + calm > 0
                      ? ((double)p->spent_ns + calm) / ((double)p->plan_ended_ns + calm)
                      : 1;
    double running = (double)p->plan_running_ns * pace, later = 0;
    double spent = now_ns > p->started_ns && p->started_ns ? (double)(now_ns - p->started_ns) : 0;

    if (p->plan_ns > p->plan_ended_ns + p->plan_running_ns)
        later = (double)(p->plan_ns - p->plan_ended_ns - p->plan_running_ns) * pace;
    /* One that takes longer than planned adds nothing; it is over any moment. */
    running = running > spent ? running - spent : 0;
    return (uint64_t)(running + later);
}

static void progress_show_left(uint64_t left_ns, char *ret, size_t size)
{
    unsigned long long s = left_ns / CLOCK_S + (left_ns % CLOCK_S != 0);

    if (s < 120)
        snprintf(ret, size, "about %llu s left", s);
    else if (s < 7200)
        snprintf(ret, size, "about %llu min left", (s + 30) / 60);
    else
        snprintf(ret, size, "about %llu h left", (s + 1800) / 3600);
}

static int progress_digits(unsigned n) { return n < 10 ? 1 : n < 100 ? 2 : n < 1000 ? 3 : 4; }

void progress_line(const struct progress *p, unsigned columns, uint64_t left_ns,
                   char ret[PROGRESS_LINE_SIZE])
{
    char text[PROGRESS_LINE_SIZE], left[40] = "";
    size_t used = 0;
    unsigned at = 0;

    if (left_ns)
        progress_show_left(left_ns, left, sizeof left);
    snprintf(text, sizeof text, "[%*u/%u] %s%s%s%s%s", progress_digits(p->n_scenarios), p->number,
             p->n_scenarios, p->name, *p->result ? "  " : "", p->result, *left ? "  " : "", left);
    doc_clean(ret, PROGRESS_LINE_SIZE, text);
    /* Count the letters by their first bytes; the cut falls before the first that has no column. */
    for (; ret[used]; used++) {
        if (((unsigned char)ret[used] & 0xc0) != 0x80 && at++ == columns)
            break;
    }
    ret[used] = 0;
}

static unsigned progress_columns(const struct progress *p)
{
    struct winsize ws;

    if (ioctl(p->fd, TIOCGWINSZ, &ws) < 0 || ws.ws_col == 0)
        return 79;
    /* The last column stays free: some terminals begin a new line there. */
    return ws.ws_col > 1 ? ws.ws_col - 1U : 1;
}

void progress_start(struct progress *p, unsigned number, const char *id, const char *name,
                    uint64_t plan_ns)
{
    p->number = number;
    p->plan_running_ns = plan_ns;
    p->started_ns = clock_mono_ns();
    p->result[0] = 0;
    snprintf(p->name, sizeof p->name, "%.8s %.80s", id, name);
    progress_update(p, NULL);
}

void progress_update(struct progress *p, const char *result)
{
    char line[PROGRESS_LINE_SIZE], all[PROGRESS_LINE_SIZE + 16];

    if (result)
        text_copy(p->result, sizeof p->result, result);
    if (p->quiet || !p->terminal)
        return;
    progress_line(p, progress_columns(p), progress_left_ns(p, clock_mono_ns()), line);
    if (p->shown && strcmp(line, p->line) == 0)
        return;
    snprintf(all, sizeof all, "\r%s\033[K", line);
    progress_write(p, all);
    text_copy(p->line, sizeof p->line, line);
    p->shown = true;
}

void progress_end(struct progress *p, enum scenario_status status, const char *text)
{
    uint64_t now = clock_mono_ns();
    char line[PROGRESS_LINE_SIZE], clean[PROGRESS_LINE_SIZE];

    if (status == SCENARIO_SKIPPED) {
        /* It took no time and says nothing about the pace: it leaves the plan. */
        p->plan_ns -= p->plan_running_ns < p->plan_ns ? p->plan_running_ns : p->plan_ns;
    } else {
        p->plan_ended_ns += p->plan_running_ns;
        p->spent_ns += now - p->started_ns;
    }
    p->plan_running_ns = 0;
    p->started_ns = 0;
    if (p->quiet || p->terminal)
        return;
    doc_clean(clean, sizeof clean, text);
    snprintf(line, sizeof line, "[%*u/%u] %s %s%s%.300s\n", progress_digits(p->n_scenarios),
             p->number, p->n_scenarios, p->name, scenario_status_name[status], *clean ? ": " : "",
             clean);
    progress_write(p, line);
}

const char *progress_headline(const struct measurement *m, char ret[PROGRESS_HEADLINE_SIZE])
{
    char text[TEXT_SHORT];
    double value;

    ret[0] = 0;
    if (!measurement_value(m, &value))
        return ret;
    switch (measurement_measured(m)) {
    case MEASURED_THROUGHPUT:
        text_show_rate(value, ret);
        break;
    case MEASURED_RTT:
        text_show_time(value, ret);
        break;
    case MEASURED_TRANSACTIONS:
        text_show_count(value, text);
        snprintf(ret, PROGRESS_HEADLINE_SIZE, "%s%s", text, strchr(text, ' ') ? "/s" : " /s");
        break;
    case MEASURED_COUNT:
        break;
    }
    return ret;
}
