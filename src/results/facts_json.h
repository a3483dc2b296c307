/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"

#include <jansson.h>

/*
 * A machine of a run as JSON: name, role (when it was only asked), address, error, facts (an object a group), missing (reasons
 * by "GROUP.NAME"), changed (what was different after the run; not there when it was not looked at again).
 *
 * errors  NULL without memory
 */
json_t *facts_json_node(const struct node_result *node);
