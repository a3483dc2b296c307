/* SPDX-License-Identifier: Apache-2.0 */
#include "far.h"

#include "base/auto.h"

#include <stdio.h>

/* "result part=NAME" of trial id. */
static void expect_result(struct far *far, uint32_t id, const char *part,
                          struct flow_result *ret_result)
{
    struct err err = {0};

    far_expect(far, id, "result");
    assert_string_equal(line_get(&far->message.line, "part"), part);
    assert_int_equal(message_get_result(&far->message.line, far->message.blob, far->message.n_blob,
                                        ret_result, &err),
                     0);
}

static void test_a_trial_gives_results_at_both_ends_and_then_ok(void **state)
{
    struct flow_result sent, received;
    struct far server, client;

    (void)state;
    far_pair(&server, &client);
    /* On a busy machine nothing may pass in less. */
    far_start(&server, 2, 1, 1000ULL * CLOCK_MS);
    far_start(&client, 2, 1, 1000ULL * CLOCK_MS);
    expect_result(&client, 2, "sent", &sent);
    far_expect(&client, 2, "ok");
    expect_result(&server, 2, "received", &received);
    far_expect(&server, 2, "ok");
    assert_true(metric_get(&sent.metrics, METRIC_bytes) > 0);
    assert_true(metric_get(&received.metrics, METRIC_bytes) > 0);
    assert_int_equal(received.n_flow_bytes, 1);
    assert_int_equal(received.flow_bytes[0], metric_get(&received.metrics, METRIC_bytes));
    flow_result_done(&sent);
    flow_result_done(&received);
    far_done(&client, 0);
    far_done(&server, 0);
}

static void test_the_next_start_may_follow_the_answer_at_once(void **state)
{
    struct far server, client;

    (void)state;
    far_pair(&server, &client);
    for (uint32_t id = 2; id < 22; id++) {
        far_start(&server, id, 1, 2ULL * CLOCK_MS);
        far_start(&client, id, 1, 2ULL * CLOCK_MS);
        far_expect(&client, id, "result");
        far_expect(&client, id, "ok");
        far_expect(&server, id, "result");
        far_expect(&server, id, "ok");
    }
    far_done(&client, 0);
    far_done(&server, 0);
}

static void test_a_session_that_runs_refuses_a_second_start(void **state)
{
    struct far server, client;

    (void)state;
    far_pair(&server, &client);
    far_start(&server, 2, 1, 3600ULL * CLOCK_S);
    far_start(&server, 3, 1, 3600ULL * CLOCK_S);
    far_expect_fault(&server, 3, "error", EBUSY, "session 1 runs a test already");
    far_done(&client, 0);
    far_done(&server, 0);
}

static void test_stop_hands_over_what_was_counted(void **state)
{
    struct flow_result sent;
    struct far server, client;

    (void)state;
    far_pair(&server, &client);
    far_start(&server, 2, 1, 3600ULL * CLOCK_S);
    far_start(&client, 2, 1, 3600ULL * CLOCK_S);
    do
        assert_int_equal(far_next(&client), 1);
    while (!line_is(&client.message.line, "interval"));
    far_stop(&client, 3, 1);
    expect_result(&client, 2, "sent", &sent);
    assert_true(metric_get(&sent.metrics, METRIC_bytes) > 0);
    flow_result_done(&sent);
    far_expect_fault(&client, 2, "error", ECANCELED, "");
    far_expect(&client, 3, "ok");
    far_stop(&client, 4, 1);
    far_expect_fault(&client, 4, "error", EINVAL, "there is no session 1");
    far_done(&client, 0);
    far_done(&server, 0);
}

static void test_stop_of_a_server_that_waits_is_answered_by_ok_alone(void **state)
{
    struct far far;

    (void)state;
    far_init(&far);
    far_listen(&far, 1);
    far_stop(&far, 2, 1);
    far_expect(&far, 2, "ok");
    far_done(&far, 0);
}

static void test_stop_of_a_client_that_connects_is_an_error_of_its_prepare(void **state)
{
    struct flow_spec spec;
    uint16_t port;
    struct far far;
    int fd = far_mute_port(&port);

    (void)state;
    far_init(&far);
    spec = far_spec(FLOW_CLIENT, port);
    far_prepare(&far, 1, &spec);
    far_stop(&far, 2, 1);
    far_expect_fault(&far, 1, "error", ECANCELED, "");
    far_expect(&far, 2, "ok");
    far_done(&far, 0);
    close(fd);
}

static void test_a_start_that_was_never_begun_is_answered_when_the_session_stops(void **state)
{
    struct far far;

    (void)state;
    far_init(&far);
    far_listen(&far, 1);
    far_start(&far, 2, 1, 50ULL * CLOCK_MS);
    far_stop(&far, 3, 1);
    far_expect_fault(&far, 2, "error", ECANCELED, "");
    far_expect(&far, 3, "ok");
    far_done(&far, 0);
}

static void test_a_start_that_was_never_begun_is_answered_when_the_session_fails(void **state)
{
    struct flow_spec spec = far_spec(FLOW_SERVER, 0);
    struct far far;

    (void)state;
    far_init(&far);
    spec.connect_ns = 300ULL * CLOCK_MS;
    far_prepare(&far, 1, &spec);
    far_expect(&far, 1, "ok");
    far_start(&far, 2, 1, 50ULL * CLOCK_MS);
    far_expect_fault(&far, 2, "error", ETIMEDOUT, "");
    far_expect_fault(&far, 1, "failed", ETIMEDOUT, "");
    far_done(&far, 0);
}

static void test_a_session_that_failed_refuses_starts_and_gives_its_id_back(void **state)
{
    struct flow_spec spec = far_spec(FLOW_SERVER, 0);
    struct far far;

    (void)state;
    far_init(&far);
    spec.connect_ns = 20ULL * CLOCK_MS;
    far_prepare(&far, 1, &spec);
    far_expect(&far, 1, "ok");
    far_expect_fault(&far, 1, "failed", ETIMEDOUT, "");
    far_start(&far, 2, 1, 50ULL * CLOCK_MS);
    far_expect_fault(&far, 2, "error", EPIPE, "session 1 has ended");
    far_listen(&far, 1);
    far_stop(&far, 3, 1);
    far_expect(&far, 3, "ok");
    far_done(&far, 0);
}

static void test_stop_of_a_session_that_failed_is_ok(void **state)
{
    struct flow_spec spec = far_spec(FLOW_SERVER, 0);
    struct far far;

    (void)state;
    far_init(&far);
    spec.connect_ns = 20ULL * CLOCK_MS;
    far_prepare(&far, 1, &spec);
    far_expect(&far, 1, "ok");
    far_expect_fault(&far, 1, "failed", ETIMEDOUT, "");
    far_stop(&far, 2, 1);
    far_expect(&far, 2, "ok");
    far_done(&far, 0);
}

static void test_nobody_at_the_port_is_an_error_of_prepare(void **state)
{
    struct flow_spec spec;
    struct far far;

    (void)state;
    far_init(&far);
    /* A port that was free a moment ago, and is again when its session's stop is answered. */
    spec = far_spec(FLOW_CLIENT, far_listen(&far, 1));
    far_stop(&far, 2, 1);
    far_expect(&far, 2, "ok");
    far_prepare(&far, 3, &spec);
    far_expect_fault(&far, 3, "error", ECONNREFUSED, "127.0.0.1");
    far_done(&far, 0);
}

static void test_a_session_s_id_is_taken_while_it_lives(void **state)
{
    const struct flow_spec spec = far_spec(FLOW_SERVER, 0);
    struct far far;

    (void)state;
    far_init(&far);
    far_listen(&far, 1);
    far_prepare(&far, 1, &spec);
    far_expect_fault(&far, 1, "error", EEXIST, "there is a session 1 already");
    far_stop(&far, 2, 1);
    far_expect(&far, 2, "ok");
    far_listen(&far, 1);
    far_done(&far, 0);
}

static void test_there_are_sixteen_sessions_and_no_more(void **state)
{
    const struct flow_spec spec = far_spec(FLOW_SERVER, 0);
    struct far far;

    (void)state;
    far_init(&far);
    for (uint32_t id = 1; id <= 16; id++)
        far_listen(&far, id);
    far_prepare(&far, 17, &spec);
    far_expect_fault(&far, 17, "error", EBUSY, "there are 16 sessions already");
    far_stop(&far, 18, 9);
    far_expect(&far, 18, "ok");
    far_listen(&far, 19);
    far_done(&far, 0);
}

static void test_sessions_that_failed_make_room(void **state)
{
    struct flow_spec spec = far_spec(FLOW_SERVER, 0);
    struct far far;

    (void)state;
    far_init(&far);
    spec.connect_ns = CLOCK_MS;
    for (uint32_t id = 1; id <= 40; id++) {
        far_prepare(&far, id, &spec);
        far_expect(&far, id, "ok");
        far_expect_fault(&far, id, "failed", ETIMEDOUT, "");
    }
    far_done(&far, 0);
}

static void test_a_start_at_a_wrong_time_or_of_a_wrong_length_is_refused(void **state)
{
    const uint64_t now = clock_mono_ns(), s = CLOCK_S;
    const struct {
        struct flow_trial trial;
        const char *word;
    } rows[] = {
        {{.number = 1, .start_ns = 0, .duration_ns = s}, "ms ago"},
        {{.number = 1, .start_ns = now - 2 * s, .duration_ns = s}, "ms ago"},
        {{.number = 1, .start_ns = now + 3600 * s, .duration_ns = s}, "more than 60 s ahead"},
        {{.number = 1, .start_ns = UINT64_MAX / 4, .duration_ns = s}, "more than 60 s ahead"},
        {{.number = 1, .start_ns = now, .duration_ns = 0}, "lasts 1 ms to 24 h"},
        {{.number = 1, .start_ns = now, .duration_ns = UINT64_MAX}, "lasts 1 ms to 24 h"},
        {{.number = 1, .start_ns = now, .duration_ns = s, .interval_ns = 1}, "interval"},
        {{.number = 1, .start_ns = now, .duration_ns = s, .tail_ns = UINT64_MAX}, "tail"},
    };
    struct far far;

    (void)state;
    far_init(&far);
    far_listen(&far, 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char buf[512];
        struct line_out out;

        line_begin(&out, buf, sizeof buf, 2, "start");
        line_put_u64(&out, "session", 1);
        message_put_trial(&out, &rows[i].trial);
        assert_int_equal(channel_send(&far.channel, &out, NULL, 0, NULL), 0);
        far_expect_fault(&far, 2, "error", EINVAL, rows[i].word);
    }
    far_done(&far, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_trial_gives_results_at_both_ends_and_then_ok),
        cmocka_unit_test(test_the_next_start_may_follow_the_answer_at_once),
        cmocka_unit_test(test_a_session_that_runs_refuses_a_second_start),
        cmocka_unit_test(test_stop_hands_over_what_was_counted),
        cmocka_unit_test(test_stop_of_a_server_that_waits_is_answered_by_ok_alone),
        cmocka_unit_test(test_stop_of_a_client_that_connects_is_an_error_of_its_prepare),
        cmocka_unit_test(test_a_start_that_was_never_begun_is_answered_when_the_session_stops),
        cmocka_unit_test(test_a_start_that_was_never_begun_is_answered_when_the_session_fails),
        cmocka_unit_test(test_a_session_that_failed_refuses_starts_and_gives_its_id_back),
        cmocka_unit_test(test_stop_of_a_session_that_failed_is_ok),
        cmocka_unit_test(test_nobody_at_the_port_is_an_error_of_prepare),
        cmocka_unit_test(test_a_session_s_id_is_taken_while_it_lives),
        cmocka_unit_test(test_there_are_sixteen_sessions_and_no_more),
        cmocka_unit_test(test_sessions_that_failed_make_room),
        cmocka_unit_test(test_a_start_at_a_wrong_time_or_of_a_wrong_length_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
