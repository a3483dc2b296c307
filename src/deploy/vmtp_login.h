/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/text.h"

/*
 * VMTP's way to name a host: "[USER@]HOST[:PASSWORD[:INTERFACE]]", and "USER@HOST::INTERFACE" without a password. An IPv6
 * address stands in brackets. USER ends at the first '@', INTERFACE begins behind the last of two or more ':', so a
 * password may have both in it; one with a ':' and no interface behind it ends with a ':'. A password takes a USER.
 *
 * The password of text is overwritten in place, where it is in argv and everybody's `ps` shows it: at once, and also when the
 * text is refused. No sentence has it. Whoever prints says vmtp_login_warning when there was one.
 *
 * errors  -EINVAL a sentence, without the password; -ENOMEM
 * owns    ret_login: ended with vmtp_login_done(), which wipes the password
 * source  VMTP's options --host, --external-host, --controller-node
 */
struct vmtp_login {
    char user[64];      /* "" not named */
    char host[256];     /* without brackets */
    char interface[16]; /* "" not named */
    char *password;     /* owned; NULL none */
};

extern const char vmtp_login_warning[];

int vmtp_login_parse(char *text, struct vmtp_login *ret_login, struct err *err);
/* Wipes and frees the password. Takes NULL and a zeroed one. */
void vmtp_login_done(struct vmtp_login *login);
/* The same host as ssh:// names it; the password stays with the login, for remote_options. */
void vmtp_login_endpoint(const struct vmtp_login *login, struct endpoint_text *ret_endpoint);
