/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which of an ssh-agent's keys a host is offered, and in which order; without I/O. A host counts each that it does not know.
 *
 * source  draft-ietf-sshm-ssh-agent: messages and their numbers; RFC 4251, 5: strings
 */
enum {
    AGENT_KEYS_ASK = 11,    /* SSH_AGENTC_REQUEST_IDENTITIES */
    AGENT_KEYS_ANSWER = 12, /* SSH_AGENT_IDENTITIES_ANSWER */
    AGENT_KEYS_MESSAGE_MAX = 1 << 18,
};

/* A public key or a certificate as it goes over the wire. */
struct agent_key {
    uint8_t *bytes; /* owned */
    size_t n_bytes;
};

/*
 * The line of a file .pub: "KIND BASE64 COMMENT".
 *
 * errors  -EINVAL it is none; -ENOMEM
 * owns    ret_key->bytes
 */
int agent_keys_read(const char *line, struct agent_key *ret_key);

/*
 * An agent's answer, without its length, with those keys first that are named, in their order; with `only` no others.
 *
 * errors  -EPROTO it is no such answer; -ENOMEM
 * owns    ret_answer
 */
int agent_keys_pick(const uint8_t *answer, size_t n_answer, const struct agent_key *named,
                    size_t n_named, bool only, uint8_t **ret_answer, size_t *ret_n);
