/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <yaml.h>

/*
 * libyaml, opened when the first file of settings is read (library.h): a run without one neither starts slower nor
 * holds it.
 *
 * errors  of library_open()
 */
int config_library_load(struct err *err);

/* clang-format off */
#define CONFIG_LIBRARY(X) \
    X(yaml_event_delete) \
    X(yaml_parser_delete) \
    X(yaml_parser_initialize) \
    X(yaml_parser_parse) \
    X(yaml_parser_set_encoding) \
    X(yaml_parser_set_input_string)
/* clang-format on */

struct config_library {
#define CONFIG_LIBRARY_MEMBER(name) __typeof__(name) *(name);
    CONFIG_LIBRARY(CONFIG_LIBRARY_MEMBER)
#undef CONFIG_LIBRARY_MEMBER
};
extern struct config_library config_library;

#ifndef CONFIG_LIBRARY_NAMES /* config_library.c needs them as they are */
#define yaml_event_delete config_library.yaml_event_delete
#define yaml_parser_delete config_library.yaml_parser_delete
#define yaml_parser_initialize config_library.yaml_parser_initialize
#define yaml_parser_parse config_library.yaml_parser_parse
#define yaml_parser_set_encoding config_library.yaml_parser_set_encoding
#define yaml_parser_set_input_string config_library.yaml_parser_set_input_string
#endif
