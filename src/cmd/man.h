/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cmd/options.h"

#include <stdio.h>

/* The manual page of a subcommand as scdoc source, from the same rows as its usage. */
void man_page(const struct command *command, FILE *out);
/* vnperf.yaml(5), likewise: every key of a file of settings. */
void man_settings_page(FILE *out);
/* Text of ours, in which nothing is markup. */
void man_text(const char *text, FILE *out);
