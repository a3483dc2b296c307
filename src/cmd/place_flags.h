/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/places.h"

/*
 * A word of --host, --external-host and --vm into places: WORD[,KEY=VALUE …]. WORD is VMTP's [USER@]HOST[:PASSWORD[:IF]], or
 * any endpoint that a test may start at: ssh://…, exec:COMMAND, netns:NAME, local. Keys: name, addr, if; of a VM node, net and
 * floating, too. They are cut off from the end, so that a command may have commas of its own.
 *
 * A password is overwritten in the word, and warned of.
 *
 * errors  -EINVAL a sentence without the password
 */
int place_flags_add(struct places *places, enum place_role role, char *word, struct err *err);

/*
 * WORD alone, without labels. A password in it is overwritten there, and warned of.
 *
 * owns  ret_there's password is the caller's
 */
int place_flags_word(char *word, struct resource_there *ret_there, struct err *err);
