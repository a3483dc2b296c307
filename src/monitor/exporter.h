/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/node_cpu.h"

#include <stdint.h>

/*
 * Ask a node exporter over HTTP or HTTPS, over one connection as long as it holds. No redirect is followed, a server's
 * certificate is verified ($SSL_CERT_FILE names other authorities than the system's), names and passwords come from ~/.netrc.
 *
 * errors  -EPROTO it answered, but not as it should; -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH …; of exposition_parse()
 */
struct exporter;
int exporter_new(const char *url, struct exporter **ret_exporter, struct err *err);
/* ret_at_ns: when, of our CLOCK_MONOTONIC: the middle between question and answer. owns: ret_cpus */
int exporter_read(struct exporter *exporter, uint64_t timeout_ns, struct core_cpus *ret_cpus,
                  uint64_t *ret_at_ns, struct err *err);
void exporter_free(struct exporter *exporter);
