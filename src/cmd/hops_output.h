/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cmd/output.h"
#include "model/hop.h"

/*
 * Show hops as a command's output options ask: the JSON file, and the table on stdout unless the document (or, with
 * `stdout_taken`, something else) goes there. errors: a sentence; what could be written was written
 */
int hops_output_print(const struct output_options *options, const struct hops *hops,
                      bool stdout_taken, struct err *err);
