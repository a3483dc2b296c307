/* SPDX-License-Identifier: Apache-2.0 */
#include "agents.h"
#include "base/clock.h"
#include "base/text.h"
#include "plan/peer.h"
#include "plan/session_pair.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

/* Long enough for a slow machine; where a test waits for the deadline itself it takes a short one. */
static const uint64_t patience_ns = 20ULL * CLOCK_S, grace_ns = CLOCK_S;

static int add_script(struct peer_set *set, const char *name, const char *script,
                      uint64_t timeout_ns, struct peer **ret_peer, struct err *err)
{
    struct spawned spawned;

    assert_int_equal(agent_script(script, &spawned, NULL), 0);
    return peer_set_add(set, name, &spawned, timeout_ns, ret_peer, err);
}

static struct peer *add_agent(struct peer_set *set, const char *name)
{
    char program[600];
    char *argv[] = {program, NULL};
    struct spawned spawned;
    struct peer *peer = NULL;
    struct err err = {0};

    snprintf(program, sizeof program, "%s", agent_program());
    if (spawn_local(argv, &spawned, &err) < 0 ||
        peer_set_add(set, name, &spawned, patience_ns, &peer, &err) < 0)
        fail_msg("%s", err.text);
    return peer;
}

static void expect_words(const struct err *err, const char *words)
{
    const char *found = strstr(err->text, words);

    if (!found)
        print_message("came: %s\n", err->text);
    assert_non_null(found);
}

static void test_talk_before_hello_is_passed_over(void **state)
{
    struct peer_set set = {.interrupt_fd = -1};
    struct peer *peer = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(add_script(&set, "far",
                                "echo 'Welcome to Debian!'; printf '\\001\\377 x\\n\\n'; echo 12;"
                                "echo '0 nonsense a=%zz';" AGENT_HELLO "cat >/dev/null",
                                patience_ns, &peer, &err),
                     0);
    assert_non_null(peer);
    assert_true(peer_find(&set, "far") == peer);
    assert_null(peer_find(&set, "fa"));
    peer_set_done(&set, grace_ns);
    assert_int_equal(set.n_peers, 0);
}

/* Agents that never become one. */
static void test_agents_that_do_not_say_hello(void **state)
{
    static const struct {
        const char *script;
        uint64_t timeout_ns;
        int code;
        const char *words;
    } rows[] = {
        {"echo '0 hello protocol=2'; cat >/dev/null", 0, -EPIPE,
         "the agent at far has ended (it speaks protocol 2, this vnperf speaks 1)"},
        {"echo '0 hello'; cat >/dev/null", 0, -EPIPE, "it speaks protocol 0"},
        {"echo '0 hello protocol=x'; cat >/dev/null", 0, -EPIPE, "it speaks protocol 0"},
        {"exit 3", 0, -EPIPE, "the agent at far has ended"},
        {"echo 'sh: vnperf-agent: not found'; exit 127", 0, -EPIPE, "the agent at far has ended"},
        {"kill -9 $$", 0, -EPIPE, "the agent at far has ended"},
        {"cat >/dev/null", CLOCK_S / 5, -ETIMEDOUT, "waiting for the agent at far to say hello"},
        {"echo '1 hello protocol=1'; cat >/dev/null", CLOCK_S / 5, -ETIMEDOUT, "say hello"},
        {"while :; do echo noise; sleep 0.02; done", CLOCK_S / 5, -ETIMEDOUT, "say hello"},
        {"exec tr '\\0' x </dev/zero", 0, -EPIPE, "the agent at far has ended"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer_set set = {.interrupt_fd = -1};
        struct peer *peer = NULL;
        struct err err = {0};
        int r = add_script(&set, "far", rows[i].script,
                           rows[i].timeout_ns ? rows[i].timeout_ns : patience_ns, &peer, &err);

        if (r != rows[i].code)
            print_message("%s: %d %s\n", rows[i].script, r, err.text);
        assert_int_equal(r, rows[i].code);
        assert_null(peer);
        expect_words(&err, rows[i].words);
        peer_set_done(&set, 0);
    }
}

/* What may come for an answer to the first question. */
static void test_answers(void **state)
{
    static const struct {
        const char *answer;
        int code;
        const char *words;
    } rows[] = {
        {"echo '77 ok mono_ns=5'; echo '0 error code=1 text=x'; echo '1 ok mono_ns=123'", 0, ""},
        {"echo '1 error code=13 text=no%20way'", -EACCES, "asking for the time: far: no way"},
        {"echo '1 error text=x'", -EPROTO, "far: x"},
        {"echo '1 error code=0'", -EPROTO, "failed without a word"},
        {"echo '1 failed code=99999999999 text=x'", -EPROTO, "far: x"},
        {"echo 'Segmentation fault'", -EPIPE, "Segmentation fault"},
        {"echo '1 ok =5'", -EPIPE, "has ended"},
        {"exit 0", -EPIPE, "the agent at far has ended"},
        {"head -c 6000000 /dev/zero | tr '\\0' x", -EPIPE, "the agent at far has ended"},
        {"head -c 17000 /dev/zero | tr '\\0' x; echo", -EPIPE, "the agent at far has ended"},
        {"echo '1 result part=sent blob=5000000'", -EPIPE, "the agent at far has ended"},
        {"printf '1 result part=sent blob=4\\nabcd'", -EBADMSG, "far"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer_set set = {.interrupt_fd = -1};
        struct peer *peer = NULL;
        struct err err = {0};
        char script[400];
        int r;

        snprintf(script, sizeof script, AGENT_HELLO "read line; %s; cat >/dev/null",
                 rows[i].answer);
        assert_int_equal(add_script(&set, "far", script, patience_ns, &peer, &err), 0);
        r = peer_ask_clock(&set, peer, 1, &err);
        if (r != rows[i].code)
            print_message("%s: %d %s\n", rows[i].answer, r, err.text);
        assert_int_equal(r, rows[i].code);
        expect_words(&err, rows[i].words);
        /* Who is gone stays so, with the same words. */
        if (r == -EPIPE) {
            assert_int_equal(peer_ask_facts(&set, peer, false, &err), -EPIPE);
            expect_words(&err, "the agent at far has ended");
        }
        peer_set_done(&set, 0);
    }
}

/* Alive but mute: not even beats come. */
static void test_silent_agent_is_given_up(void **state)
{
    struct peer_set set = {.interrupt_fd = -1};
    struct peer *peer = NULL;
    struct err err = {0};
    int r;

    (void)state;
    assert_int_equal(
        add_script(&set, "far", AGENT_HELLO "cat >/dev/null", patience_ns, &peer, &err), 0);
    r = peer_ask_clock(&set, peer, 1, &err);
    assert_true(r == -EPIPE || r == -ETIMEDOUT);
    expect_words(&err, "far");
    peer_set_done(&set, 0);
}

static void test_death_of_one_leaves_the_other(void **state)
{
    struct peer_set set = {.interrupt_fd = -1};
    struct peer *a = NULL, *b = NULL;
    struct err err = {0};

    (void)state;
    a = add_agent(&set, "a");
    b = add_agent(&set, "b");
    kill(a->spawned.pid, SIGKILL);
    assert_int_equal(peer_ask_clock(&set, a, 1, &err), -EPIPE);
    expect_words(&err, "the agent at a has ended");
    assert_int_equal(peer_ask_clock(&set, b, 1, &err), 0);
    assert_true(a->gone);
    assert_false(b->gone);
    peer_set_done(&set, grace_ns);
}

static void test_a_signal_ends_every_wait(void **state)
{
    int fds[2];
    struct peer_set set = {.interrupt_fd = -1};
    struct peer *peer = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(
        add_script(&set, "far", AGENT_HELLO "cat >/dev/null", patience_ns, &peer, &err), 0);
    set.interrupt_fd = fds[0];
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(peer_ask_clock(&set, peer, 1, &err), -ECANCELED);
    assert_int_equal(add_script(&set, "other", "cat >/dev/null", patience_ns, &peer, &err),
                     -ECANCELED);
    peer_set_done(&set, 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_clock_and_facts_of_a_real_agent(void **state)
{
    struct peer_set set = {.interrupt_fd = -1};
    struct peer *peer = add_agent(&set, "near");
    struct err err = {0};

    (void)state;
    assert_int_equal(peer_ask_clock(&set, peer, 5, &err), 0);
    /* One machine, one clock: the offset is nothing but the error. */
    assert_true(llabs(peer->offset_ns) <= (int64_t)peer->offset_error_ns + 1);
    assert_int_equal(peer_ask_facts(&set, peer, false, &err), 0);
    assert_non_null(facts_get(&peer->facts, "kernel"));
    peer_set_done(&set, grace_ns);
}

static void test_too_many_agents_are_refused(void **state)
{
    struct peer_set set = {.interrupt_fd = -1};
    struct peer *peer = NULL;
    struct spawned spawned;
    struct err err = {0};

    (void)state;
    set.n_peers = PEER_MAX;
    assert_int_equal(agent_script("cat >/dev/null", &spawned, NULL), 0);
    assert_int_equal(peer_set_add(&set, "x", &spawned, patience_ns, &peer, &err), -ENOMEM);
}

static struct measure_ask tcp_ask(uint16_t port)
{
    return (struct measure_ask){.spec = {.kind = FLOW_TCP_STREAM,
                                         .direction = FLOW_FORWARD,
                                         .payload_bytes = 16384,
                                         .n_flows = 1,
                                         .port = port,
                                         .port_last = port},
                                .duration_ns = CLOCK_S / 10,
                                .interval_ns = CLOCK_S / 50};
}

/* The client's side fails: the server's session is stopped, so that its port is free again. */
static void test_failed_open_stops_the_other_side(void **state)
{
    struct peer_set set = {.interrupt_fd = -1};
    struct peer *server = add_agent(&set, "server"), *bad = NULL;
    struct measure_path path = {.set = &set, .server = server, .address = "127.0.0.1"};
    struct measure_ask ask = tcp_ask(0);
    struct session_pair pair;
    struct err err = {0};

    (void)state;
    assert_int_equal(add_script(&set, "bad",
                                AGENT_HELLO
                                "while read id rest; do echo $id error code=111 text=refused; done",
                                patience_ns, &bad, &err),
                     0);
    path.client = bad;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(session_pair_open(&pair, &path, &ask, NULL, &err), -ECONNREFUSED);
        expect_words(&err, "bad: refused");
        assert_int_not_equal(pair.port, 0);
        session_pair_close(&pair);
        /* From now on it must be the same port. */
        ask.spec.port = ask.spec.port_last = pair.port;
        for (int i = 0; i < PEER_MAX_CALLS; i++) {
            assert_null(server->calls[i]);
            assert_null(bad->calls[i]);
        }
    }
    assert_false(server->gone);
    peer_set_done(&set, grace_ns);
}

static void kill_server(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                        double per_s)
{
    (void)ask, (void)index, (void)bps, (void)per_s;
    kill(((struct peer *)arg)->spawned.pid, SIGKILL);
}

static void test_death_in_mid_trial_keeps_what_the_other_counted(void **state)
{
    struct peer_set set = {.interrupt_fd = -1};
    struct peer *server = add_agent(&set, "server"), *client = add_agent(&set, "client");
    struct measure_path path = {
        .set = &set, .client = client, .server = server, .address = "127.0.0.1"};
    struct measure_ask ask = tcp_ask(0);
    struct measure_watch watch = {.on_interval = kill_server, .arg = server};
    struct flow_trial trial = {.duration_ns = 5ULL * CLOCK_S, .interval_ns = CLOCK_S / 50};
    struct session_pair pair;
    struct trial_results t;
    struct err err = {0};
    int r;

    (void)state;
    assert_int_equal(session_pair_open(&pair, &path, &ask, &watch, &err), 0);
    r = session_pair_run(&pair, &trial, 1, &t, &err);
    /* Who speaks first, the pipe of the dead or the client's broken connection, is chance. */
    assert_true(r < 0);
    assert_true(t.client_has[FLOW_SENT]);
    assert_true(metric_get(&t.client[FLOW_SENT].metrics, METRIC_bytes) > 0);
    assert_false(t.server_has[0][FLOW_RECEIVED]);
    session_pair_close(&pair);
    trial_results_done(&t);
    assert_int_equal(peer_ask_clock(&set, client, 1, &err), 0);
    assert_int_equal(peer_ask_clock(&set, server, 1, &err), -EPIPE);
    peer_set_done(&set, grace_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talk_before_hello_is_passed_over),
        cmocka_unit_test(test_agents_that_do_not_say_hello),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_silent_agent_is_given_up),
        cmocka_unit_test(test_death_of_one_leaves_the_other),
        cmocka_unit_test(test_a_signal_ends_every_wait),
        cmocka_unit_test(test_clock_and_facts_of_a_real_agent),
        cmocka_unit_test(test_too_many_agents_are_refused),
        cmocka_unit_test(test_failed_open_stops_the_other_side),
        cmocka_unit_test(test_death_in_mid_trial_keeps_what_the_other_counted),
    };

    /* As every program that holds a peer does. */
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
