/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cmd/options.h"

/* One row a subcommand, each in its file cmd_<name>.c; commands.c lists them. */
extern const struct command cmd_run, cmd_plan, cmd_test, cmd_hops, cmd_match, cmd_serve, cmd_show,
    cmd_doctor, cmd_init, cmd_config, cmd_cleanup, cmd_version, cmd_completion, cmd_help, cmd_agent;
