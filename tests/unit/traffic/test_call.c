/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "traffic/call.h"

#include <string.h>
#include <unistd.h>

enum { MANY = 5 };

static void test_what_is_sent_is_received(void **state)
{
    char bytes[8] = {0};
    int fds[2];

    (void)state;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds));
    assert_int_equal(5, call_send(fds[0], "hello", 5, MSG_NOSIGNAL));
    assert_int_equal(5, call_recv(fds[1], bytes, 3, MSG_TRUNC));
    assert_memory_equal("hel\0\0", bytes, 5);
    close(fds[0]);
    close(fds[1]);
}

static void test_many_messages_go_and_come_in_one_call(void **state)
{
    static const char *const words[MANY] = {"a", "bc", "", "def", "g"};
    struct mmsghdr messages[MANY + 1] = {0};
    struct iovec iov[MANY + 1];
    char bytes[MANY + 1][8];
    int fds[2];

    (void)state;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds));
    for (int i = 0; i < MANY; i++) {
        iov[i] = (struct iovec){(void *)(uintptr_t)words[i], strlen(words[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    assert_int_equal(MANY, call_sendmmsg(fds[0], messages, MANY, MSG_DONTWAIT));
    for (int i = 0; i < MANY; i++)
        assert_int_equal(strlen(words[i]), messages[i].msg_len);
    for (int i = 0; i <= MANY; i++) {
        iov[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    assert_int_equal(MANY, call_recvmmsg(fds[1], messages, MANY + 1, MSG_DONTWAIT));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(strlen(words[i]), messages[i].msg_len);
        assert_memory_equal(words[i], bytes[i], messages[i].msg_len);
    }
    close(fds[0]);
    close(fds[1]);
}

static void test_an_error_is_in_errno(void **state)
{
    struct mmsghdr message = {0};
    char byte;
    int fds[2];

    (void)state;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds));
    errno = 0;
    assert_int_equal(-1, call_recv(fds[0], &byte, 1, MSG_DONTWAIT));
    assert_int_equal(EAGAIN, errno);
    errno = 0;
    assert_int_equal(-1, call_recvmmsg(fds[0], &message, 1, MSG_DONTWAIT));
    assert_int_equal(EAGAIN, errno);
    close(fds[1]);
    errno = 0;
    assert_int_equal(-1, call_send(fds[0], "x", 1, MSG_NOSIGNAL));
    assert_int_equal(ECONNREFUSED, errno);
    close(fds[0]);
    errno = 0;
    assert_int_equal(-1, call_sendmmsg(-1, &message, 1, MSG_NOSIGNAL));
    assert_int_equal(EBADF, errno);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent_is_received),
        cmocka_unit_test(test_many_messages_go_and_come_in_one_call),
        cmocka_unit_test(test_an_error_is_in_errno),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
