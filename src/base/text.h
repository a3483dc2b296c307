/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Text that people write to quantities, and back. A text is taken exactly or refused with a sentence; nothing is
 * rounded, cut or guessed: "0.8" s is 800000000 ns, "10Gb", "-1", "1e400", " 5" and "" are refused.
 *
 * errors  -EINVAL with a sentence that quotes the text
 */

/* A whole number, decimal digits only. */
int text_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count, struct err *err);
/* Bits a second: "250k", "1.5G", "10Gbit"; k M G T are SI. */
int text_rate(const char *text, uint64_t *ret_bps, struct err *err);
/* A time: "10", "0.8", "10s", "250ms", "5us", "20ns", "2min"; without a unit seconds. */
int text_time(const char *text, uint64_t *ret_ns, struct err *err);
/* Bytes: "64", "8KiB", "1MiB", "128K"; K M G are IEC here (1024). */
int text_size(const char *text, uint64_t *ret_bytes, struct err *err);
/* A share: "0", "0.001", "0.1%"; 0…1. */
int text_share(const char *text, double *ret_share, struct err *err);
/* A comma list of sizes, "128,1024,8192": 1 to max of them. Returns how many. */
int text_sizes(const char *text, uint32_t *ret_sizes, size_t max, struct err *err);

/* Quantities for people: "9.41 Gbit/s", "12.3 us", "64 KiB", "1.20 M". Always terminated; returns buf. */
enum { TEXT_SHORT = 32 };
const char *text_show_rate(double bps, char buf[TEXT_SHORT]);
const char *text_show_time(double ns, char buf[TEXT_SHORT]);
/* The same, but what is longer than two minutes as "26 min", "5 h 3 min", "1 d 2 h". */
const char *text_show_span(double ns, char buf[TEXT_SHORT]);
const char *text_show_size(uint64_t bytes, char buf[TEXT_SHORT]);
const char *text_show_count(double n, char buf[TEXT_SHORT]);

/* Where a test may start or end, as the command line names it. */
enum endpoint_kind {
    ENDPOINT_LOCAL,
    ENDPOINT_NETNS,
    ENDPOINT_EXEC,
    ENDPOINT_SSH,
    /* Servers of other programs: a test can only go there. */
    ENDPOINT_IPERF3,
    ENDPOINT_IPERF2,
    ENDPOINT_STAMP,
};

struct endpoint_text {
    enum endpoint_kind kind;
    char arg[256]; /* namespace name, command, or a host: a name or an address */
    uint16_t
        port; /* of a server, its program's default when none is named; of SSH 0 when none is named; else 0 */
    /* Of SSH; "" not named. */
    char user[64];
    char ifname[16];   /* ?if= the interface whose address data goes to, or by which it leaves */
    char address[64];  /* ?addr= the literal address that data goes to, or comes from */
    char host_key[64]; /* ?key= "SHA256:…": the fingerprint that the host's key has to have */
};

/*
 * "local", "netns:NAME", "exec:COMMAND", "ssh://[USER@]HOST[:PORT][?if=NAME][&addr=ADDR][&key=SHA256:…]", "iperf3://HOST[:PORT]",
 * "iperf2://HOST[:PORT]", "stamp://HOST[:PORT]"; an IPv6 address with a port stands in brackets, in ssh:// always.
 */
int text_endpoint(const char *text, struct endpoint_text *ret_endpoint, struct err *err);

/* Another program's server: no agent of ours is there. */
bool text_endpoint_foreign(const struct endpoint_text *endpoint);

/* An IPv4 or IPv6 literal; returns AF_INET or AF_INET6. */
int text_address(const char *text, struct err *err);

/* The nearest of some words (at most two letters apart), or NULL: for "did you mean". */
const char *text_nearest(const char *word, const char *const *words, size_t n_words);

/* Control characters become '?': for text of another machine that goes to a terminal. Returns text. */
char *text_tame(char *text);

/* Words behind those that stand in ret[size]; what does not fit is left out. */
void text_add(char *ret, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Copy with an end; false when it did not fit (ret is then cut). */
bool text_copy(char *ret, size_t size, const char *from);
