/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/probe.h"

/*
 * Who asks for a connection and has not taken the answer: what distinguishes "nothing arrives here" from "no answer gets back".
 *
 * source  /proc/net/tcp and tcp6, net/ipv4/tcp_ipv4.c get_openreq4(): state 03 is SYN_RECV
 */

/* The far address of a line that is such a request to that port, an IPv4 one also when it came to an IPv6 socket. */
bool probe_half_line(const char *line, uint16_t port, char ret_address[FLOW_ADDRESS_SIZE]);

/* All of this network namespace, added to what heard has. What cannot be read is not there. */
void probe_half_read(uint16_t port, struct probe_heard *heard);
