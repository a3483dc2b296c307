/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cmd/options.h"

#include <stdio.h>

/* The manual page of a subcommand as scdoc source, from the same rows as its usage. */
void man_page(const struct command *command, FILE *out);
