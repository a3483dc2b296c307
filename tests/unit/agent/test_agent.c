/* SPDX-License-Identifier: Apache-2.0 */
#include "far.h"

#include "base/auto.h"

#include <stdio.h>

static void test_the_agent_speaks_first_and_says_its_version(void **state)
{
    struct far far;

    (void)state;
    far_init(&far);
    assert_int_equal(far_number(&far, "protocol"), MESSAGE_PROTOCOL);
    assert_int_equal(far_number(&far, "pid"), getpid());
    assert_int_equal(far_number(&far, "beat_ns"), (uint64_t)MESSAGE_BEAT_S * CLOCK_S);
    assert_string_equal(line_get(&far.message.line, "version"), VNPERF_VERSION);
    far_done(&far, 0);
}

static void test_facts_and_clock_are_answered_under_their_ids(void **state)
{
    uint64_t before = clock_mono_ns();
    struct facts facts;
    struct far far;

    (void)state;
    far_init(&far);
    far_write(&far, "7 facts\n8 clock\n");
    far_expect(&far, 7, "facts");
    message_get_facts(&far.message.line, &facts);
    assert_non_null(facts_get(&facts, "kernel"));
    do
        assert_int_equal(far_next(&far), 1);
    while (line_is(&far.message.line, "facts"));
    assert_int_equal(far.message.line.id, 7);
    assert_true(line_is(&far.message.line, "ok"));
    far_expect(&far, 8, "ok");
    assert_in_range(far_number(&far, "mono_ns"), before, clock_mono_ns());
    far_done(&far, 0);
}

static void test_a_silent_agent_beats(void **state)
{
    struct far far;
    int r = 0;

    (void)state;
    far_init(&far);
    far_write(&far, "0 beat\n");
    while ((r = channel_next(&far.channel, &far.message, NULL)) == 0) {
        struct pollfd pfd = {.fd = far.ends[0], .events = POLLIN};

        assert_int_equal(poll(&pfd, 1, FAR_WAIT_MS), 1);
        assert_int_equal(channel_fill(&far.channel, NULL), 1);
    }
    assert_int_equal(r, 1);
    assert_string_equal(far.message.line.verb, "beat");
    assert_int_equal(far.message.line.id, 0);
    far_done(&far, 0);
}

static void test_what_makes_no_sense_is_answered_and_the_agent_goes_on(void **state)
{
    static const struct {
        const char *text;
        uint32_t id;
        int code;
        const char *word;
    } rows[] = {
        {"rubbish\n", 0, EBADMSG, "does not begin with a number"},
        {"\n", 0, EBADMSG, "does not begin with a number"},
        {"1 facts a=1 a=2\n", 0, EBADMSG, "twice"},
        {"1 facts a=%0\n", 0, EBADMSG, "% code"},
        {"1 facts blob=x\n", 0, EBADMSG, "no number"},
        {"2 dance\n", 2, EINVAL, "verb 'dance' is unknown"},
        {"3 hello\n", 3, EINVAL, "unknown"},
        {"4 facts blob=8\n5 quit\n6", 4, EINVAL, "facts takes no blob"},
        {"0 facts\n", 0, EINVAL, "id 0"},
        {"7 start\n", 7, EINVAL, "start lacks trial="},
        {"8 stop\n", 8, EINVAL, "lacks session="},
        {"9 stop session=none\n", 9, EINVAL, "lacks session=NUMBER"},
        {"10 stop session=4294967297\n", 10, EINVAL, "lacks session=NUMBER"},
        {"11 stop session=77\n", 11, EINVAL, "there is no session 77"},
        {"12 prepare\n", 12, EINVAL, "prepare lacks kind="},
        {"13 prepare kind=tcp_stream role=king\n", 13, EINVAL, "role=king"},
    };
    struct far far;

    (void)state;
    far_init(&far);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        far_write(&far, rows[i].text);
        far_expect_fault(&far, rows[i].id, "error", rows[i].code, rows[i].word);
    }
    far_write(&far, "99 clock\n");
    far_expect(&far, 99, "ok");
    far_done(&far, 0);
}

static void test_a_line_without_an_end_ends_the_agent_with_a_word(void **state)
{
    AUTO(free_p) char *text = malloc(LINE_MAX_BYTES + 2);
    struct far far;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', LINE_MAX_BYTES + 1);
    text[LINE_MAX_BYTES + 1] = 0;
    far_init(&far);
    far_write(&far, text);
    far_expect_fault(&far, 0, "error", E2BIG, "longer than 16384");
    far_done(&far, 1);
}

static void test_quit_stops_the_sessions_and_is_answered_last(void **state)
{
    struct far far;

    (void)state;
    far_init(&far);
    far_listen(&far, 1);
    far_start(&far, 2, 1, 50ULL * CLOCK_MS);
    far_write(&far, "3 quit\n4 clock\n");
    far_expect_fault(&far, 2, "error", ECANCELED, "");
    far_expect(&far, 3, "ok");
    assert_int_equal(far_next(&far), -EPIPE);
    far_done(&far, 0);
}

static void test_the_end_of_the_pipe_ends_an_agent_with_sessions(void **state)
{
    struct far far;

    (void)state;
    far_init(&far);
    for (uint32_t id = 1; id <= 3; id++)
        far_listen(&far, id);
    far_done(&far, 0);
}

static void test_the_end_of_the_pipe_ends_an_agent_that_connects(void **state)
{
    struct flow_spec spec;
    uint16_t port;
    struct far far;
    int fd = far_mute_port(&port);

    (void)state;
    far_init(&far);
    spec = far_spec(FLOW_CLIENT, port);
    far_prepare(&far, 1, &spec);
    far_write(&far, "2 clock\n");
    far_expect(&far, 2, "ok");
    far_done(&far, 0);
    close(fd);
}

static void test_the_end_of_the_pipe_ends_running_trials(void **state)
{
    struct far server, client;

    (void)state;
    far_pair(&server, &client);
    far_start(&server, 2, 1, 3600ULL * CLOCK_S);
    far_start(&client, 2, 1, 3600ULL * CLOCK_S);
    do
        assert_int_equal(far_next(&client), 1);
    while (!line_is(&client.message.line, "interval"));
    far_done(&client, 0);
    far_done(&server, 0);
}

static void test_a_controller_that_does_not_read_is_given_up(void **state)
{
    struct far far;
    int r;

    (void)state;
    far_init(&far);
    /* Each question is answered with a longer line, until the answers fill the socket. */
    do
        r = (int)send(far.ends[0], "1 facts\n", 8, MSG_DONTWAIT);
    while (r == 8);
    assert_int_equal(errno, EAGAIN);
    pthread_join(far.thread, NULL);
    assert_int_equal(far.exit_code, 1);
    channel_done(&far.channel);
    close(far.ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_agent_speaks_first_and_says_its_version),
        cmocka_unit_test(test_facts_and_clock_are_answered_under_their_ids),
        cmocka_unit_test(test_a_silent_agent_beats),
        cmocka_unit_test(test_what_makes_no_sense_is_answered_and_the_agent_goes_on),
        cmocka_unit_test(test_a_line_without_an_end_ends_the_agent_with_a_word),
        cmocka_unit_test(test_quit_stops_the_sessions_and_is_answered_last),
        cmocka_unit_test(test_the_end_of_the_pipe_ends_an_agent_with_sessions),
        cmocka_unit_test(test_the_end_of_the_pipe_ends_an_agent_that_connects),
        cmocka_unit_test(test_the_end_of_the_pipe_ends_running_trials),
        cmocka_unit_test(test_a_controller_that_does_not_read_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
