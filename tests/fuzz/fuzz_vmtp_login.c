/* SPDX-License-Identifier: Apache-2.0 */
/* VMTP's host with a password: whatever it is, the password is nowhere but in its own place. */
#include "deploy/vmtp_login.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmtp_login login = {0};
    struct endpoint_text at;
    struct err err = {0};
    char *text = malloc(size + 1), *was;
    size_t n;
    int r;

    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    n = strlen(text);
    was = strdup(text);
    if (!was)
        abort();
    r = vmtp_login_parse(text, &login, &err);
    if (strlen(text) != n)
        abort();
    if (r < 0) {
        if (r != -EINVAL || !err.text[0] || login.password || login.host[0])
            abort();
    } else {
        const char *found = login.password ? strstr(was, login.password) : NULL;

        if (!login.host[0] || (login.password && (!login.password[0] || !found)))
            abort();
        /* It stood between two of our ':' and there are only x now. */
        if (login.password) {
            const char *at_end = was[n - 1] == ':' || login.interface[0]
                                     ? was + n - strlen(login.interface) - 1
                                     : was + n;
            size_t begin = (size_t)(at_end - was) - strlen(login.password);

            if (strspn(text + begin, "x") < strlen(login.password))
                abort();
        }
        vmtp_login_endpoint(&login, &at);
        if (strcmp(at.arg, login.host) != 0)
            abort();
    }
    vmtp_login_done(&login);
    free(was);
    free(text);
    return 0;
}
