/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/flow_spec.h"
#include "model/result.h"

#include <stdbool.h>

/*
 * One side of a session of traffic. Blocking calls, made by one thread (the session's); every wait also watches stop_fd
 * (an eventfd or pipe that becomes readable when the session has to end) and has a deadline.
 *
 * order   engine_open, engine_accept (server), then any number of engine_run, engine_close
 * errors  -ECANCELED stop_fd became readable; else a negative errno with a sentence
 */
struct engine;

/*
 * Client: connect all flows, exchange tokens. Server: bind and listen, nothing more; engine_port() then tells where.
 *
 * errors  -ETIMEDOUT, -ECONNREFUSED … of the connection; -EADDRINUSE no port of the range is free; -EACCES the peer did
 *         not know the token; -EPERM raw sockets are not allowed
 * owns    ret_engine: ended by engine_close(), on this thread
 */
int engine_open(const struct flow_spec *spec, int stop_fd, struct engine **ret_engine,
                struct err *err);

/*
 * A side over connections that are there already and owe each other no token (interop/: other tools' streams): flow k
 * takes fds[k], forward ones first. TCP streams only.
 *
 * owns    the sockets from the call on, also when it fails
 */
int engine_adopt(const struct flow_spec *spec, const int *fds, int stop_fd,
                 struct engine **ret_engine, struct err *err);

/* Server: take the client's flows until all have proved the token, at most spec->connect_ns. Client: returns 0. */
int engine_accept(struct engine *engine, struct err *err);

/* Server: the port it listens on; 0 for a client and for ICMP. */
uint16_t engine_port(const struct engine *engine);

/* Called on the session's thread while a trial runs, after each interval: what the interval held, this side. */
typedef void engine_interval_fn(void *arg, enum flow_part part, uint32_t index,
                                const struct flow_interval *interval);

/*
 * Run one trial to its end. ret_result[FLOW_SENT] is set when this side sent payload (or asked, in RR and echo),
 * ret_result[FLOW_RECEIVED] when it received; ret_has tells which.
 *
 * errors  -ETIMEDOUT nothing moved for 3 s (the peer has vanished) or the trial overran its time; -ECONNRESET …;
 *         a trial that was cut short by an error still fills what was counted until then, and ret_has says so
 * owns    the caller ends each result with flow_result_done()
 */
int engine_run(struct engine *engine, const struct flow_trial *trial,
               engine_interval_fn *on_interval, void *arg,
               struct flow_result ret_result[FLOW_PART_COUNT], bool ret_has[FLOW_PART_COUNT],
               struct err *err);

/* Close sockets, free. Takes NULL. */
void engine_close(struct engine *engine);
