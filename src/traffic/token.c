/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/endpoint.h"

#include <errno.h>
#include <string.h>

/*
 * The token itself never goes over a data connection: both sides send what SipHash makes of it.
 *
 * shape   hello: "VNPF", version, kind, two zero bytes, flow index (network order), four zero bytes, 16 bytes of proof
 *         over the 16 before; welcome: 16 bytes of proof over the flow's index with another label
 */
enum { TOKEN_VERSION = 1, TOKEN_PROOF = 16, TOKEN_SAID = TOKEN_HELLO_BYTES - TOKEN_PROOF };
enum token_label { TOKEN_LABEL_HELLO = 1, TOKEN_LABEL_WELCOME = 2, TOKEN_LABEL_TAG = 3 };

static const uint8_t token_magic[4] = {'V', 'N', 'P', 'F'};

static uint64_t token_rotate(uint64_t x, unsigned bits) { return x << bits | x >> (64 - bits); }

static void token_rounds(uint64_t v[4], unsigned n)
{
    while (n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = token_rotate(v[1], 13) ^ v[0];
        v[3] = token_rotate(v[3], 16) ^ v[2];
        v[0] = token_rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = token_rotate(v[1], 17) ^ v[2];
        v[3] = token_rotate(v[3], 21) ^ v[0];
        v[2] = token_rotate(v[2], 32);
    }
}

static uint64_t token_little(const uint8_t *bytes, size_t n)
{
    uint64_t word = 0;

    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static void token_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    token_rounds(v, 2);
    v[0] ^= word;
}

uint64_t token_siphash(const uint8_t key[FLOW_TOKEN_BYTES], const uint8_t *bytes, size_t n)
{
    uint64_t k0 = token_little(key, 8), k1 = token_little(key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                     k1 ^ 0x7465646279746573};
    size_t at = 0;

    for (; n - at >= 8; at += 8)
        token_absorb(v, token_little(bytes + at, 8));
    token_absorb(v, token_little(bytes + at, n - at) | (uint64_t)n << 56);
    v[2] ^= 0xff;
    token_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void token_put32(uint8_t *at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t token_get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* 16 bytes over what was said: two hashes that differ in their first byte. */
static void token_prove(const struct flow_spec *spec, enum token_label label,
                        const uint8_t said[TOKEN_SAID], uint8_t ret_proof[TOKEN_PROOF])
{
    uint8_t message[2 + TOKEN_SAID];

    message[1] = (uint8_t)label;
    memcpy(message + 2, said, TOKEN_SAID);
    for (uint8_t half = 0; half < 2; half++) {
        uint64_t hash;

        message[0] = half;
        hash = token_siphash(spec->token, message, sizeof message);
        token_put32(ret_proof + 8 * half, (uint32_t)(hash >> 32));
        token_put32(ret_proof + 8 * half + 4, (uint32_t)hash);
    }
}

/* Takes as long whether they differ early, late or not at all. */
static bool token_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
    volatile uint8_t differ = 0;

    for (size_t i = 0; i < n; i++)
        differ |= a[i] ^ b[i];
    return differ == 0;
}

void token_write_hello(const struct flow_spec *spec, uint32_t flow_index,
                       uint8_t ret_bytes[TOKEN_HELLO_BYTES])
{
    memset(ret_bytes, 0, TOKEN_SAID);
    memcpy(ret_bytes, token_magic, sizeof token_magic);
    ret_bytes[4] = TOKEN_VERSION;
    ret_bytes[5] = (uint8_t)spec->kind;
    token_put32(ret_bytes + 8, flow_index);
    token_prove(spec, TOKEN_LABEL_HELLO, ret_bytes, ret_bytes + TOKEN_SAID);
}

int token_read_hello(const struct flow_spec *spec, const uint8_t bytes[TOKEN_HELLO_BYTES],
                     struct token_hello *ret_hello)
{
    uint8_t proof[TOKEN_PROOF];

    if (memcmp(bytes, token_magic, sizeof token_magic) != 0 || bytes[4] != TOKEN_VERSION)
        return -EBADMSG;
    token_prove(spec, TOKEN_LABEL_HELLO, bytes, proof);
    if (!token_equal(proof, bytes + TOKEN_SAID, sizeof proof))
        return -EACCES;
    *ret_hello = (struct token_hello){.flow_index = token_get32(bytes + 8), .kind = bytes[5]};
    return 0;
}

void token_write_welcome(const struct flow_spec *spec, uint32_t flow_index,
                         uint8_t ret_bytes[TOKEN_WELCOME_BYTES])
{
    uint8_t said[TOKEN_SAID] = {0};

    token_put32(said, flow_index);
    token_prove(spec, TOKEN_LABEL_WELCOME, said, ret_bytes);
}

bool token_is_welcome(const struct flow_spec *spec, uint32_t flow_index,
                      const uint8_t bytes[TOKEN_WELCOME_BYTES])
{
    uint8_t welcome[TOKEN_WELCOME_BYTES];

    token_write_welcome(spec, flow_index, welcome);
    return token_equal(welcome, bytes, sizeof welcome);
}

uint32_t token_tag(const struct flow_spec *spec)
{
    uint8_t said[TOKEN_SAID] = {0}, proof[TOKEN_PROOF];
    uint32_t tag;

    token_prove(spec, TOKEN_LABEL_TAG, said, proof);
    tag = token_get32(proof);
    return tag == token_get32(token_magic) ? tag ^ 1 : tag;
}
