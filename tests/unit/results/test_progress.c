/* SPDX-License-Identifier: Apache-2.0 */
#include "results/progress.h"

#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

enum { S = 1000000000 };

static struct progress at(unsigned number, const char *name, const char *result)
{
    struct progress p = {.n_scenarios = 23, .number = number};

    snprintf(p.name, sizeof p.name, "%s", name);
    snprintf(p.result, sizeof p.result, "%s", result);
    return p;
}

static void test_line_says_what_runs(void **state)
{
    struct progress p = at(5, "2.2 Same Network, Fixed IP, Inter-node, UDP", "1.02 Gbit/s");
    char line[PROGRESS_LINE_SIZE];

    (void)state;
    progress_line(&p, 200, 42ULL * S, line);
    assert_string_equal(
        line, "[ 5/23] 2.2 Same Network, Fixed IP, Inter-node, UDP  1.02 Gbit/s  about 42 s left");
    p.result[0] = 0;
    progress_line(&p, 200, 0, line);
    assert_string_equal(line, "[ 5/23] 2.2 Same Network, Fixed IP, Inter-node, UDP");
    progress_line(&p, 200, 1, line);
    assert_non_null(strstr(line, "about 1 s left"));
    progress_line(&p, 200, 600ULL * S, line);
    assert_non_null(strstr(line, "about 10 min left"));
    progress_line(&p, 200, 3ULL * 3600 * S, line);
    assert_non_null(strstr(line, "about 3 h left"));
}

static void test_line_is_cut_between_letters(void **state)
{
    struct progress p = at(5, "\xc3\xa9\xc3\xa9\xc3\xa9", "");
    char line[PROGRESS_LINE_SIZE];

    (void)state;
    progress_line(&p, 10, 0, line);
    assert_string_equal(line, "[ 5/23] \xc3\xa9\xc3\xa9");
    progress_line(&p, 3, 0, line);
    assert_string_equal(line, "[ 5");
    progress_line(&p, 0, 0, line);
    assert_string_equal(line, "");
    progress_line(&p, 11, 0, line);
    assert_string_equal(line, "[ 5/23] \xc3\xa9\xc3\xa9\xc3\xa9");
}

static void test_time_left_before_the_first_is_the_plan(void **state)
{
    struct progress p = {.plan_ns = 60ULL * S};

    (void)state;
    assert_true(progress_left_ns(&p, 0) == 60ULL * S);
}

static void test_time_left_follows_the_pace(void **state)
{
    /* 20 s of plan took 40 s, weighed against 5 s (a twentieth) as planned: 45/25 = 1.8 times 80 s. */
    struct progress p = {.plan_ns = 100ULL * S, .plan_ended_ns = 20ULL * S, .spent_ns = 40ULL * S};

    (void)state;
    assert_true(progress_left_ns(&p, 0) == 144ULL * S);
    /* Of which 10 s of plan run since 4 s. */
    p.plan_running_ns = 10ULL * S;
    p.started_ns = 1000ULL * S;
    assert_true(progress_left_ns(&p, 1004ULL * S) == 140ULL * S);
    /* One that takes too long does not make the rest negative. */
    assert_true(progress_left_ns(&p, 5000ULL * S) == 126ULL * S);
}

static void test_time_left_is_zero_at_the_end(void **state)
{
    struct progress p = {
        .plan_ns = 100ULL * S, .plan_ended_ns = 100ULL * S, .spent_ns = 300ULL * S};
    struct progress none = {0};

    (void)state;
    assert_true(progress_left_ns(&p, 7) == 0);
    assert_true(progress_left_ns(&none, 7) == 0);
}

static void test_a_skipped_scenario_leaves_the_plan(void **state)
{
    struct progress p;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    progress_init(&p, fds[1], true, 2, 20ULL * S);
    progress_start(&p, 1, "1.1", "a", 15ULL * S);
    progress_end(&p, SCENARIO_SKIPPED, "");
    assert_true(progress_left_ns(&p, 0) == 5ULL * S);
    progress_done(&p);
    close(fds[0]);
    close(fds[1]);
}

static size_t drain(int fd, char *ret, size_t size)
{
    ssize_t n = read(fd, ret, size - 1);

    ret[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static void run_two(struct progress *p)
{
    progress_start(p, 1, "1.1", "Same Network, TCP", S);
    progress_update(p, "9.41 Gbit/s");
    progress_end(p, SCENARIO_PASSED, "9.41 Gbit/s");
    progress_start(p, 2, "1.2", "Same Network, UDP", S);
    progress_end(p, SCENARIO_FAILED, "no\nanswer");
}

static void test_a_pipe_gets_plain_lines(void **state)
{
    struct progress p;
    char text[1000];
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    progress_init(&p, fds[1], false, 2, 2ULL * S);
    run_two(&p);
    progress_done(&p);
    drain(fds[0], text, sizeof text);
    assert_string_equal(text, "[1/2] 1.1 Same Network, TCP passed: 9.41 Gbit/s\n"
                              "[2/2] 1.2 Same Network, UDP failed: no?answer\n");
    progress_init(&p, fds[1], true, 2, 2ULL * S);
    run_two(&p);
    progress_done(&p);
    assert_int_equal(drain(fds[0], text, sizeof text), 0);
    close(fds[0]);
    close(fds[1]);
}

/* A pseudo-terminal of so many columns; fails the test when there is none. */
static int terminal(int *ret_other, unsigned short columns)
{
    struct winsize ws = {.ws_row = 24, .ws_col = columns};
    int us = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (us < 0 || grantpt(us) < 0 || unlockpt(us) < 0)
        return -1;
    *ret_other = open(ptsname(us), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*ret_other >= 0);
    assert_int_equal(ioctl(us, TIOCSWINSZ, &ws), 0);
    return us;
}

static void test_a_terminal_gets_one_line_redrawn(void **state)
{
    struct progress p;
    char text[2000];
    int other = -1, us = terminal(&other, 30);

    (void)state;
    if (us < 0) {
        print_message("no pseudo-terminal here\n");
        skip();
    }
    setenv("TERM", "xterm", 1);
    progress_init(&p, other, false, 2, 2ULL * S);
    assert_true(p.terminal);
    progress_start(&p, 1, "1.1", "Same Network, Fixed IP, Intra-node, TCP", S);
    drain(us, text, sizeof text);
    /* 29 columns: the last one stays free. */
    assert_string_equal(text, "\r[1/2] 1.1 Same Network, Fixed\033[K");
    progress_update(&p, "9.41 Gbit/s");
    assert_int_equal(drain(us, text, sizeof text), 0);
    log_set_level(LOG_ERROR);
    log_say(LOG_INFO, "not printed");
    assert_int_equal(drain(us, text, sizeof text), 0);
    progress_done(&p);
    drain(us, text, sizeof text);
    assert_string_equal(text, "\r\033[K");
    setenv("TERM", "dumb", 1);
    progress_init(&p, other, false, 2, 2ULL * S);
    assert_false(p.terminal);
    progress_done(&p);
    close(other);
    close(us);
}

static void test_headlines(void **state)
{
    struct measurement m = {.kind = FLOW_TCP_STREAM};
    struct hist *h = calloc(1, sizeof *h);
    char text[PROGRESS_HEADLINE_SIZE];

    (void)state;
    assert_non_null(h);
    for (int k = 0; k < FLOW_KIND_COUNT; k++) {
        m.kind = (enum flow_kind)k;
        assert_string_equal(progress_headline(&m, text), "");
    }
    m.kind = FLOW_UDP_STREAM;
    metric_put_real(&m.headline, METRIC_throughput_bps, 1.02e9);
    assert_string_equal(progress_headline(&m, text), "1.02 Gbit/s");
    m.kind = FLOW_TCP_RR;
    metric_put_real(&m.headline, METRIC_transactions_per_s, 23400);
    assert_string_equal(progress_headline(&m, text), "23.4 k/s");
    metric_put_real(&m.headline, METRIC_transactions_per_s, 12);
    assert_string_equal(progress_headline(&m, text), "12 /s");
    m.kind = FLOW_ICMP_ECHO;
    m.sender.rtt = h;
    assert_string_equal(progress_headline(&m, text), "");
    hist_add(h, 41234);
    assert_string_equal(progress_headline(&m, text), "41.2 us");
    measurement_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_says_what_runs),
        cmocka_unit_test(test_line_is_cut_between_letters),
        cmocka_unit_test(test_time_left_before_the_first_is_the_plan),
        cmocka_unit_test(test_time_left_follows_the_pace),
        cmocka_unit_test(test_time_left_is_zero_at_the_end),
        cmocka_unit_test(test_a_skipped_scenario_leaves_the_plan),
        cmocka_unit_test(test_a_pipe_gets_plain_lines),
        cmocka_unit_test(test_a_terminal_gets_one_line_redrawn),
        cmocka_unit_test(test_headlines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
