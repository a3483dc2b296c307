/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The password that sudo wants at the far side: out of VNPERF_BECOME_PASSWORD, else typed on the terminal. It goes over the
 * channel as a line of sudo's stdin and nowhere else.
 */
#include "base/text.h"
#include "deploy/driver.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REMOTE_PASSWORD_SIZE = 512 };

/* Written by one thread before there are others. */
static char remote_password[REMOTE_PASSWORD_SIZE];
static bool remote_has_password;

void spawn_take_password(void)
{
    static const char name[] = "VNPERF_BECOME_PASSWORD";
    char *value = getenv(name);

    if (!value)
        return;
    text_copy(remote_password, sizeof remote_password, value);
    remote_has_password = true;
    /* /proc/PID/environ shows where the environment stood at the start. */
    explicit_bzero(value, strlen(value));
    unsetenv(name);
}

static int remote_become_typed(struct remote *remote, const struct remote_push *push, char *ret,
                               size_t size, struct err *err)
{
    char question[256];
    int r;

    snprintf(question, sizeof question,
             "%spassword of %.60s for sudo at %.100s: ", push->n_passwords > 1 ? "not right; " : "",
             push->user, remote->line->host);
    r = remote_ask(remote->line, question, false, ret, size);
    if (r == -ENOTTY)
        return remote_say(
            err, EACCES,
            "sudo at %s asks for the password of %s, and there is no terminal to ask "
            "at: VNPERF_BECOME_PASSWORD may hold it, or its sudoers let %s do without",
            remote->line->host, push->user, push->user);
    return r < 0 ? err_set(err, r, "asking for the password of %s for sudo at %s", push->user,
                           remote->line->host)
                 : 0;
}

int remote_become_answer(struct remote *remote, const struct remote_push *push, struct err *err)
{
    char answer[REMOTE_PASSWORD_SIZE + 1];
    size_t n;
    int r = 0;

    if (remote_has_password && push->n_passwords > 1)
        return remote_say(err, EACCES,
                          "sudo at %s does not take the password of %s that VNPERF_BECOME_PASSWORD "
                          "holds",
                          remote->line->host, push->user);
    if (remote_has_password)
        text_copy(answer, sizeof answer - 1, remote_password);
    else
        r = remote_become_typed(remote, push, answer, sizeof answer - 1, err);
    if (r == 0) {
        n = strcspn(answer, "\r\n");
        answer[n++] = '\n';
        r = remote_send(remote, (const uint8_t *)answer, n, err);
    }
    explicit_bzero(answer, sizeof answer);
    return r;
}
