/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "monitor/gmond_xml.h"

#include <stdint.h>

/*
 * Connect to a gmond and read all that it says, to its end, within timeout_ns.
 *
 * errors  -EHOSTUNREACH there is no such host; -ETIMEDOUT; -ECONNREFUSED …; of gmond_xml_feed()
 * owns    ret_hosts: ended with gmond_hosts_done()
 */
int gmond_read(const char *host, uint16_t port, uint64_t timeout_ns, struct gmond_hosts *ret_hosts,
               uint64_t *ret_at_ns, struct err *err);
