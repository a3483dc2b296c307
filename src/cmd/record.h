/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"

/*
 * What a run's record begins with: id, time, the command line with its secrets masked.
 *
 * owns    ret_run: ended by run_result_done()
 */
int record_begin(struct run_result *ret_run, const char *driver, const char *description, int argc,
                 char **argv, struct err *err);
