/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/live_options.h"

/*
 * A filter in tcpdump's words to the program that the kernel runs at each point. libpcap compiles it, for Ethernet.
 *
 * errors  -EINVAL it does not compile, in libpcap's words; it is too long
 */
int hops_filter_compile(const char *text, struct live_options *options, struct err *err);
