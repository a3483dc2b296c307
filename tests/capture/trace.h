/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "simulate.h"

/*
 * The capture file of a point.
 *
 * errors  aborts the program with a sentence
 * source  pcap and pcapng: IETF drafts draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng
 */
enum { TRACE_EPOCH_S = 1700000000 };

/* "A.pcap"; of the letter and the format. */
void trace_name(const struct simulation *sim, unsigned point, char *buf, unsigned size);
void trace_write(const struct simulation *sim, unsigned point, const char *dir);
