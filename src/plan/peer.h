/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "deploy/driver.h"
#include "model/facts.h"
#include "model/flow_spec.h"
#include "model/result.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * One agent as the controller sees it. All peers of a run stand in one peer_set, so that while two of them are waited
 * for, the others are still read (beats, deaths) and get beats themselves. One thread.
 *
 * units   ns; offset_ns is what to add to our monotonic clock to get the agent's
 * errors  -EPIPE, -ECONNRESET the agent has ended or is silent; -ECANCELED a signal came (interrupt_fd); -ETIMEDOUT
 */
enum { PEER_MAX = 32, PEER_MAX_CALLS = 16 };

/* What keeps an agent alive that nobody has spoken to yet (remote_options.beat). */
#define PEER_BEAT "0 beat\n"

struct peer {
    char name[48];
    struct spawned spawned; /* owned */
    struct channel channel;
    struct facts facts;
    int64_t offset_ns;
    int64_t wall_offset_ns;   /* the same of the wall clocks, at the same exchange */
    uint64_t offset_error_ns; /* half the round trip of the best exchange */
    uint32_t pid;             /* as the agent knows it */
    uint32_t next_id;
    bool said_hello;
    bool gone;
    char gone_text[300];
    struct call *calls[PEER_MAX_CALLS]; /* lent by who waits for them */
};

struct peer_set {
    struct peer *peers[PEER_MAX]; /* owned */
    unsigned n_peers;
    int interrupt_fd; /* lent; readable when the user wants to stop; -1 none */
    struct node_cpu_watch
        *cpu; /* owned, node_cpu_close(); NULL: nobody looks at CPUs (node_cpu.h) */
};

/* What the controller waits for: the answer to one request. */
enum call_state { CALL_NONE, CALL_WAITING, CALL_OK, CALL_FAILED };

struct call {
    enum call_state state;
    uint32_t id;
    struct peer *peer;
    struct err err;
    uint64_t number;     /* port= or mono_ns= of an ok */
    uint64_t wall_ns;    /* wall_ns= of an ok */
    struct facts *facts; /* lent: facts of the answer are added here; NULL none */
    struct flow_result results[FLOW_PART_COUNT]; /* ended by call_done() */
    bool has[FLOW_PART_COUNT];
    void (*on_interval)(void *arg, uint32_t index, bool received,
                        const struct flow_interval *interval);
    void (*on_message)(void *arg, const struct message *message); /* every line of the answer */
    void *arg;
};

/* The command that starts an agent; argv points into the struct itself. */
struct peer_program {
    char path[256], option[8], nice[8];
    char *argv[4];
};
void peer_program_init(struct peer_program *program, const char *path, int nice);

/* Take over a spawned agent and wait for its hello. owns: spawned is taken in any case. */
int peer_set_add(struct peer_set *set, const char *name, struct spawned *spawned,
                 uint64_t timeout_ns, struct peer **ret_peer, struct err *err);
/* The peer of that name, or NULL. */
struct peer *peer_find(const struct peer_set *set, const char *name);
/* Say quit, close, reap. grace_ns for all of them together. */
void peer_set_done(struct peer_set *set, uint64_t grace_ns);

/* Ask for facts, few: only its addresses, as plan/fact_round.h will ask for all of them; estimate the clock's offset by n exchanges. */
int peer_ask_facts(struct peer_set *set, struct peer *peer, bool few, struct err *err);
int peer_ask_clock(struct peer_set *set, struct peer *peer, unsigned n, struct err *err);

/* Send a request begun with peer_begin(); its answer comes into call. */
void peer_begin(struct peer *peer, struct line_out *out, char *buf, size_t size, const char *verb);
int peer_send(struct peer *peer, struct line_out *out, struct call *call, struct err *err);
int peer_send_blob(struct peer *peer, struct line_out *out, const void *blob, size_t n_blob,
                   struct call *call, struct err *err);

/*
 * Read and dispatch until all calls are answered, or one has failed (the first failure's sentence, with the peer's
 * name, is the error), or the deadline.
 */
int peer_wait(struct peer_set *set, struct call *const calls[], unsigned n_calls,
              uint64_t deadline_ns, struct err *err);

/*
 * Wait for something from any agent, at most until the deadline and at most a beat, and keep all of them alive: for who waits
 * for something else. -ECANCELED a signal came.
 */
int peer_pump(struct peer_set *set, uint64_t deadline_ns, struct err *err);

/* The same without waiting, for who waits for a host: remote_options.on_wait; arg is the set. */
void peer_on_wait(void *arg);

/* Forget the call (no answer is awaited any more) and free its results. Takes a zeroed one. */
void call_done(struct call *call);
