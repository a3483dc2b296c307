/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/agent_keys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Three keys "A", "BB" and "C" with comments. */
static const uint8_t three[] = {12,  0, 0, 0, 3, 0, 0, 0, 1, 'A', 0, 0, 0, 1, 'x', 0,  0, 0, 2, 'B',
                                'B', 0, 0, 0, 0, 0, 0, 0, 1, 'C', 0, 0, 0, 2, 'y', 'z'};

static struct agent_key key(const char *text)
{
    return (struct agent_key){.bytes = (uint8_t *)(uintptr_t)text, .n_bytes = strlen(text)};
}

/* What is picked, as the letters of its keys. */
static void picks(const struct agent_key *named, size_t n, bool only, const char *letters)
{
    uint8_t *answer = NULL;
    size_t size = 0, at = 5;

    assert_int_equal(agent_keys_pick(three, sizeof three, named, n, only, &answer, &size), 0);
    assert_int_equal(answer[0], 12);
    assert_int_equal(answer[4], strlen(letters));
    for (; *letters; letters++) {
        assert_true(at + 4 < size);
        assert_int_equal(answer[at + 4], *letters);
        at += 4U + answer[at + 3];
        at += 4U + answer[at + 3];
    }
    assert_int_equal(at, size);
    free(answer);
}

static void test_keys_that_are_named_come_first_or_alone(void **state)
{
    const struct agent_key named[] = {key("C"), key("none"), key("BB"), key("C"), key("B")};

    (void)state;
    picks(NULL, 0, false, "ABC");
    picks(NULL, 0, true, "");
    picks(named, 1, false, "CAB");
    picks(named, 1, true, "C");
    picks(named, 5, false, "CBA");
    picks(named, 5, true, "CB");
    picks(named + 4, 1, true, "");
}

static void test_an_answer_that_is_cut_or_lies_is_none(void **state)
{
    uint8_t copy[sizeof three + 1], *answer = NULL;
    size_t size = 0;

    (void)state;
    for (size_t n = 0; n < sizeof three; n++)
        assert_int_equal(agent_keys_pick(three, n, NULL, 0, false, &answer, &size), -EPROTO);
    memcpy(copy, three, sizeof three);
    copy[sizeof three] = 0;
    assert_int_equal(agent_keys_pick(copy, sizeof copy, NULL, 0, false, &answer, &size), -EPROTO);
    copy[4] = 2;
    assert_int_equal(agent_keys_pick(copy, sizeof three, NULL, 0, false, &answer, &size), -EPROTO);
    copy[4] = 3;
    copy[0] = 5; /* SSH_AGENT_FAILURE */
    assert_int_equal(agent_keys_pick(copy, sizeof three, NULL, 0, false, &answer, &size), -EPROTO);
    copy[0] = 12;
    copy[5] = 0xff;
    assert_int_equal(agent_keys_pick(copy, sizeof three, NULL, 0, false, &answer, &size), -EPROTO);
}

static void test_a_line_of_a_public_key_is_read(void **state)
{
    /* A string "ssh-ed25519", and one of two bytes. */
    static const uint8_t blob[] = {0,   0,   0,   11,  's', 's', 'h', '-', 'e', 'd', '2',
                                   '5', '5', '1', '9', 0,   0,   0,   2,   250, 251};
    static const char *const bad[] = {
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAAvr7 kind",
        "ssh-ed25519 AAAA",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    };
    struct agent_key found = {0};

    (void)state;
    assert_int_equal(agent_keys_read("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAvr7 me@host\n", &found),
                     0);
    assert_int_equal(found.n_bytes, sizeof blob);
    assert_memory_equal(found.bytes, blob, sizeof blob);
    free(found.bytes);
    found.bytes = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(agent_keys_read(bad[i], &found), -EINVAL);
    assert_null(found.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_that_are_named_come_first_or_alone),
        cmocka_unit_test(test_an_answer_that_is_cut_or_lies_is_none),
        cmocka_unit_test(test_a_line_of_a_public_key_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
