/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 20000 };

/* A channel that reads from a pipe and writes to another; the test has the far ends. */
struct rig {
    struct channel channel;
    int in[2];  /* the test writes in[1] */
    int out[2]; /* the test reads out[0] */
};

static void rig_init(struct rig *rig)
{
    struct err err = {0};

    assert_int_equal(pipe2(rig->in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(rig->out, O_CLOEXEC), 0);
    assert_int_equal(channel_init(&rig->channel, rig->in[0], rig->out[1], &err), 0);
}

static void rig_done(struct rig *rig)
{
    channel_done(&rig->channel);
    channel_done(&rig->channel);
    for (int i = 0; i < 2; i++) {
        close_p(&rig->in[i]);
        close_p(&rig->out[i]);
    }
}

static void rig_write(const struct rig *rig, const void *bytes, size_t n)
{
    assert_int_equal(write(rig->in[1], bytes, n), n);
}

/* The next message, waiting for its bytes. */
static int rig_next(struct rig *rig, struct message *message, struct err *err)
{
    for (;;) {
        struct pollfd pfd = {.fd = rig->channel.in_fd, .events = POLLIN};
        int r = channel_next(&rig->channel, message, err);

        if (r != 0)
            return r;
        assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
        r = channel_fill(&rig->channel, err);
        if (r < 0)
            return r;
    }
}

static void test_messages_come_whole_however_the_bytes_are_cut(void **state)
{
    static const char bytes[] = "1 first\n2 second a=b blob=4\n\0\n\xff\n3 third blob=0\n";
    const size_t n = sizeof bytes - 1;

    (void)state;
    for (size_t step = 1; step <= n; step++) {
        struct rig rig;
        uint32_t seen = 0;

        rig_init(&rig);
        for (size_t at = 0; at < n; at += step) {
            struct message m;

            rig_write(&rig, bytes + at, n - at < step ? n - at : step);
            assert_int_equal(channel_fill(&rig.channel, NULL), 1);
            while (channel_next(&rig.channel, &m, NULL) == 1) {
                assert_int_equal(m.line.id, ++seen);
                assert_int_equal(m.n_blob, seen == 2 ? 4 : 0);
                if (seen == 2)
                    assert_memory_equal(m.blob, "\0\n\xff\n", 4);
                else
                    assert_null(m.blob);
            }
        }
        assert_int_equal(seen, 3);
        rig_done(&rig);
    }
}

static void test_nothing_to_read_is_no_error_and_the_end_is(void **state)
{
    struct err err = {0};
    struct message m;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    assert_int_equal(channel_fill(&rig.channel, &err), 0);
    assert_int_equal(channel_next(&rig.channel, &m, &err), 0);
    rig_write(&rig, "1 whole\n2 half", 14);
    close(rig.in[1]);
    rig.in[1] = -1;
    assert_int_equal(channel_fill(&rig.channel, &err), 1);
    assert_int_equal(channel_next(&rig.channel, &m, &err), 1);
    assert_int_equal(channel_next(&rig.channel, &m, &err), 0);
    assert_int_equal(channel_fill(&rig.channel, &err), -EPIPE);
    assert_non_null(strstr(err.text, "closed"));
    rig_done(&rig);
}

static void test_a_blob_that_never_comes_holds_back_its_line_alone(void **state)
{
    struct message m;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    rig_write(&rig, "1 before\n2 bulk blob=100\nshort", 30);
    assert_int_equal(rig_next(&rig, &m, NULL), 1);
    assert_int_equal(m.line.id, 1);
    assert_int_equal(channel_next(&rig.channel, &m, NULL), 0);
    assert_int_equal(channel_fill(&rig.channel, NULL), 0);
    assert_int_equal(channel_next(&rig.channel, &m, NULL), 0);
    rig_done(&rig);
}

static void test_reading_goes_on_behind_a_malformed_line_and_its_blob(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *words;
    } rows[] = {
#define BYTES(text) text, sizeof(text) - 1
        {BYTES("rubbish\n"), "the line 'rubbish' does not begin with a number"},
        {BYTES("\n"), "does not begin with a number"},
        {BYTES("1 x\0y\n"), "control character"},
        {BYTES("\0\0\n"), "control character"},
        {BYTES("Rubbish blob=4\n7 x\n"), "does not begin with a number"},
        {BYTES("1 x a=1 a=2 blob=5\n8 x\n\n"), "has a key twice"},
        {BYTES("1 x blob=3 a=1\n"), "not at its end"},
        {BYTES("1 x blob=\n"), "is no number"},
        {BYTES("1 x blob=-1\n"), "is no number"},
        {BYTES("1 x blob=%33\n"), "is no number"},
        {BYTES("1 x blob=3 \n"), "has a key that"},
        {BYTES("1 x \x1b[31m=1\n"), "has a key that"},
#undef BYTES
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err err = {0};
        struct message m;
        struct rig rig;

        rig_init(&rig);
        rig_write(&rig, rows[i].bytes, rows[i].n);
        rig_write(&rig, "9 good\n", 7);
        assert_int_equal(rig_next(&rig, &m, &err), -EBADMSG);
        if (!strstr(err.text, rows[i].words))
            print_message("row %zu: %s\n", i, err.text);
        assert_non_null(strstr(err.text, rows[i].words));
        assert_int_equal(rig_next(&rig, &m, &err), 1);
        assert_int_equal(m.line.id, 9);
        rig_done(&rig);
    }
}

/* "1 x a=aaa…" of n characters and a newline. */
static char *line_of(size_t n)
{
    char *text = malloc(n + 2);

    assert_non_null(text);
    memset(text, 'a', n);
    memcpy(text, "1 x a=", 6);
    text[n] = '\n';
    text[n + 1] = 0;
    return text;
}

static void test_the_longest_line_passes_and_one_more_byte_does_not(void **state)
{
    (void)state;
    for (size_t more = 0; more <= 2; more++) {
        AUTO(free_p) char *text = line_of(LINE_MAX_BYTES + more);
        struct err err = {0};
        struct message m;
        struct rig rig;

        rig_init(&rig);
        rig_write(&rig, text, strlen(text));
        assert_int_equal(rig_next(&rig, &m, &err), more ? -E2BIG : 1);
        if (more)
            assert_non_null(strstr(err.text, "longer than 16384 bytes"));
        rig_done(&rig);
    }
}

static void test_a_line_without_an_end_is_given_up_in_time(void **state)
{
    AUTO(free_p) char *text = line_of(LINE_MAX_BYTES + 1);
    struct message m;
    struct rig rig;

    (void)state;
    rig_init(&rig);
    rig_write(&rig, text, LINE_MAX_BYTES);
    assert_int_equal(channel_fill(&rig.channel, NULL), 1);
    assert_int_equal(channel_next(&rig.channel, &m, NULL), 0);
    rig_write(&rig, "a", 1);
    assert_int_equal(channel_fill(&rig.channel, NULL), 1);
    assert_int_equal(channel_next(&rig.channel, &m, NULL), -E2BIG);
    rig_done(&rig);
}

static void test_a_blob_beyond_the_bound_cannot_be_waited_for(void **state)
{
    static const char *const lines[] = {"1 x blob=4194305\n", "1 x blob=18446744073709551617\n",
                                        "1 x blob=99999999999999999999999999999999\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct message m;
        struct rig rig;

        rig_init(&rig);
        rig_write(&rig, lines[i], strlen(lines[i]));
        assert_int_equal(rig_next(&rig, &m, NULL), -E2BIG);
        rig_done(&rig);
    }
}

struct sender {
    struct channel *channel; /* lent by the test */
    const void *blob;
    size_t n_blob;
    unsigned n_lines, first_id;
    int r;
};

static void *sender_thread(void *arg)
{
    struct sender *s = arg;

    s->r = 0;
    for (unsigned i = 0; i < s->n_lines && s->r == 0; i++) {
        struct line_out out;
        char buf[64];

        line_begin(&out, buf, sizeof buf, s->first_id + i, "bulk");
        s->r = channel_send(s->channel, &out, s->blob, s->n_blob, NULL);
    }
    return NULL;
}

static void test_the_largest_blob_passes_between_two_channels(void **state)
{
    AUTO(free_p) uint8_t *blob = malloc(CHANNEL_MAX_BLOB);
    struct channel far;
    struct sender sender = {&far, blob, CHANNEL_MAX_BLOB, .n_lines = 2, .first_id = 1};
    struct rig rig = {.in = {-1, -1}, .out = {-1, -1}};
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_non_null(blob);
    for (size_t i = 0; i < CHANNEL_MAX_BLOB; i++)
        blob[i] = (uint8_t)(i * 7 + i / 251);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(channel_init(&rig.channel, ends[0], ends[0], NULL), 0);
    assert_int_equal(channel_init(&far, ends[1], ends[1], NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, sender_thread, &sender), 0);
    for (uint32_t id = 1; id <= 2; id++) {
        struct message m;

        assert_int_equal(rig_next(&rig, &m, NULL), 1);
        assert_int_equal(m.line.id, id);
        assert_int_equal(m.n_blob, CHANNEL_MAX_BLOB);
        assert_memory_equal(m.blob, blob, CHANNEL_MAX_BLOB);
    }
    pthread_join(thread, NULL);
    assert_int_equal(sender.r, 0);
    channel_done(&far);
    rig_done(&rig);
    close(ends[0]);
    close(ends[1]);
}

static void test_too_much_to_send_sends_nothing(void **state)
{
    AUTO(free_p) char *big = malloc(LINE_MAX_BYTES + 64), *value = line_of(LINE_MAX_BYTES);
    struct line_out out;
    char small[16], read_back[64] = "";
    struct rig rig;

    (void)state;
    assert_non_null(big);
    rig_init(&rig);
    line_begin(&out, small, sizeof small, 1, "word");
    line_put(&out, "key", "too long for it");
    assert_int_equal(channel_send(&rig.channel, &out, NULL, 0, NULL), -E2BIG);
    line_begin(&out, big, LINE_MAX_BYTES + 64, 1, "word");
    line_put(&out, "key", value);
    assert_int_equal(channel_send(&rig.channel, &out, NULL, 0, NULL), -E2BIG);
    line_begin(&out, small, sizeof small, 1, "word");
    assert_int_equal(channel_send(&rig.channel, &out, big, CHANNEL_MAX_BLOB + 1, NULL), -E2BIG);
    line_begin(&out, small, sizeof small, 2, "good");
    assert_int_equal(channel_send(&rig.channel, &out, NULL, 0, NULL), 0);
    assert_int_equal(read(rig.out[0], read_back, sizeof read_back), 7);
    assert_string_equal(read_back, "2 good\n");
    rig_done(&rig);
}

/* Reads a little of what is sent, then is gone. */
static void *leaver_thread(void *arg)
{
    struct rig *rig = arg;
    char some[5000];

    assert_true(read(rig->out[0], some, sizeof some) > 0);
    close(rig->out[0]);
    rig->out[0] = -1;
    return NULL;
}

static void test_after_a_message_was_cut_off_nothing_more_is_sent(void **state)
{
    AUTO(free_p) uint8_t *blob = calloc(1, 1 << 20);
    struct err err = {0};
    struct line_out out;
    pthread_t thread;
    char buf[64];
    struct rig rig;

    (void)state;
    assert_non_null(blob);
    signal(SIGPIPE, SIG_IGN);
    rig_init(&rig);
    assert_int_equal(pthread_create(&thread, NULL, leaver_thread, &rig), 0);
    line_begin(&out, buf, sizeof buf, 1, "bulk");
    assert_int_equal(channel_send(&rig.channel, &out, blob, 1 << 20, &err), -EPIPE);
    assert_non_null(strstr(err.text, "writing to the control pipe"));
    pthread_join(thread, NULL);
    line_begin(&out, buf, sizeof buf, 2, "beat");
    assert_int_equal(channel_send(&rig.channel, &out, NULL, 0, NULL), -EPIPE);
    rig_done(&rig);
}

static void test_a_reader_who_stands_still_is_given_up(void **state)
{
    AUTO(free_p) uint8_t *blob = calloc(1, 1 << 20);
    struct line_out out;
    char buf[64], drain[4096];
    struct rig rig;

    (void)state;
    assert_non_null(blob);
    rig_init(&rig);
    line_begin(&out, buf, sizeof buf, 1, "bulk");
    assert_int_equal(channel_send(&rig.channel, &out, blob, 1 << 20, NULL), -ETIMEDOUT);
    /* There is room now, but behind half a blob a line would be read as the rest of it. */
    assert_int_equal(read(rig.out[0], drain, sizeof drain), sizeof drain);
    line_begin(&out, buf, sizeof buf, 2, "beat");
    assert_int_equal(channel_send(&rig.channel, &out, NULL, 0, NULL), -ETIMEDOUT);
    rig_done(&rig);
}

static void test_lines_of_several_threads_do_not_mix(void **state)
{
    enum { N_THREADS = 4, N_LINES = 200, ID_STEP = 1000 };
    struct sender senders[N_THREADS];
    pthread_t threads[N_THREADS];
    unsigned n_seen[N_THREADS] = {0};
    uint8_t blob[3000];
    struct rig near = {.in = {-1, -1}, .out = {-1, -1}}, rig;

    (void)state;
    memset(blob, '\n', sizeof blob);
    rig_init(&rig);
    assert_int_equal(channel_init(&near.channel, rig.out[0], rig.in[1], NULL), 0);
    for (unsigned t = 0; t < N_THREADS; t++) {
        senders[t] = (struct sender){&rig.channel, blob, sizeof blob, N_LINES, t * ID_STEP, 0};
        assert_int_equal(pthread_create(&threads[t], NULL, sender_thread, &senders[t]), 0);
    }
    for (unsigned i = 0; i < N_THREADS * N_LINES; i++) {
        struct message m;
        unsigned t;

        assert_int_equal(rig_next(&near, &m, NULL), 1);
        assert_string_equal(m.line.verb, "bulk");
        assert_int_equal(m.n_blob, sizeof blob);
        assert_memory_equal(m.blob, blob, sizeof blob);
        t = m.line.id / ID_STEP;
        assert_in_range(t, 0, N_THREADS - 1);
        assert_int_equal(m.line.id, t * ID_STEP + n_seen[t]++);
    }
    for (unsigned t = 0; t < N_THREADS; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(senders[t].r, 0);
        assert_int_equal(n_seen[t], N_LINES);
    }
    channel_done(&near.channel);
    rig_done(&rig);
}

static void test_a_descriptor_that_is_none_is_refused(void **state)
{
    struct channel channel;
    struct err err = {0};

    (void)state;
    assert_int_equal(channel_init(&channel, -1, 1, &err), -EBADF);
    assert_non_null(strstr(err.text, "control pipe"));
    channel_done(&channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_come_whole_however_the_bytes_are_cut),
        cmocka_unit_test(test_nothing_to_read_is_no_error_and_the_end_is),
        cmocka_unit_test(test_a_blob_that_never_comes_holds_back_its_line_alone),
        cmocka_unit_test(test_reading_goes_on_behind_a_malformed_line_and_its_blob),
        cmocka_unit_test(test_the_longest_line_passes_and_one_more_byte_does_not),
        cmocka_unit_test(test_a_line_without_an_end_is_given_up_in_time),
        cmocka_unit_test(test_a_blob_beyond_the_bound_cannot_be_waited_for),
        cmocka_unit_test(test_the_largest_blob_passes_between_two_channels),
        cmocka_unit_test(test_too_much_to_send_sends_nothing),
        cmocka_unit_test(test_after_a_message_was_cut_off_nothing_more_is_sent),
        cmocka_unit_test(test_a_reader_who_stands_still_is_given_up),
        cmocka_unit_test(test_lines_of_several_threads_do_not_mix),
        cmocka_unit_test(test_a_descriptor_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
