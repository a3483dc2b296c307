/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"

/*
 * Connect, request, response, close.
 *
 * Each flow keeps the connection that it was opened with, and has nothing on it but the number of a trial (4 bytes,
 * network order) that the client has ended: so the server knows that no more will come, and that the client is gone. The
 * transactions have connections of their own, one after the other: the hello and the request in one segment, the
 * response, and a reset by the client, which leaves nothing behind at either end.
 *
 * shape   a thread a flow at both ends; the server's threads take whatever connection comes, so its flows' counts are
 *         not those of the client's flows: only the sums are
 * errors  crr_answer() by worker_fail(); crr_accept() as tcp_accept(); strangers are closed and counted in
 *         engine->refused
 * owns    the engine its flows' connections and the listening socket, which stays open until engine_close(); a thread
 *         the connections that it has taken
 */
enum {
    CRR_CALL_MS = 100, /* a blocking call lasts no longer: it has to see stop */
    CRR_SPINS = 64, /* empty reads of a spinner before it looks at the clock and offers its CPU */
    CRR_END_BYTES = 4,
};

/* crr_server.c: endpoint_ops.answer and accept. */
void crr_answer(struct worker *worker);
int crr_accept(struct engine *engine, struct err *err);
