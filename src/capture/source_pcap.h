/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/source.h"
#include "capture/source_input.h"

/*
 * The two kinds of capture file over a struct input that stands at its beginning.
 *
 * errors  -EBADMSG the header is not right
 * owns    on success the source has taken the input over; on failure it is the caller's
 * source  draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng; the modified format of 2000's Red Hat: wireshark wtap/libpcap.h
 */
enum {
    SOURCE_SECTION = 0x0a0d0d0a, /* pcapng, in either byte order */
    SOURCE_MAX_PACKET = 16 << 20 /* who claims more than that lies */
};

/* Does a file that begins with these 4 bytes look so? */
bool source_is_pcap(const uint8_t head[4]);
bool source_is_pcapng(const uint8_t head[4]);
int source_pcap_new(struct input *input, struct source **ret_source, struct err *err);
int source_pcapng_new(struct input *input, struct source **ret_source, struct err *err);

/* -EBADMSG with a sentence that names file and offset. */
int source_bad(const struct input *input, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
