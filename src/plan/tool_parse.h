/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What nuttcp 6 and 8 (-fparse) and iperf 2 (-e) print, as numbers. The text may be anything: it is another program's.
 *
 * units   bit/s with 1000 (nuttcp's rate_Mbps, iperf's Kbits/sec); bytes with 1024 (KBytes); ns
 * errors  -ENODATA there is no result in the text; the sentence quotes what there is instead
 * source  nuttcp(8) -fparse; iperf(1) section NOTES, enhanced output
 */
struct tool_report {
    double bps;
    uint64_t window_ns;
    uint64_t bytes; /* as far as the print is exact */
    bool has_retransmits, has_loss, has_jitter;
    uint64_t retransmits;
    uint64_t packets, lost; /* UDP: sent, and of them */
    double jitter_ns;
};

/* The transmitter's or receiver's line, which says the same of both. */
int tool_parse_nuttcp(const char *text, struct tool_report *ret, struct err *err);
/* The line of one end: the sum of its flows when there is one, else the first; of a UDP client the server's report is left out. */
int tool_parse_iperf(const char *text, struct tool_report *ret, struct err *err);
