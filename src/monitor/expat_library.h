/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <expat.h>

/*
 * expat, opened when the first gmond is read (library.h).
 *
 * errors  of library_open()
 */
struct expat_library {
    __typeof__(&XML_ParserCreate) parser_create;
    __typeof__(&XML_ParserFree) parser_free;
    __typeof__(&XML_SetUserData) set_user_data;
    __typeof__(&XML_SetElementHandler) set_element_handler;
    __typeof__(&XML_SetEntityDeclHandler) set_entity_decl_handler;
    __typeof__(&XML_Parse) parse;
    __typeof__(&XML_StopParser) stop_parser;
    __typeof__(&XML_GetErrorCode) get_error_code;
    __typeof__(&XML_ErrorString) error_string;
    __typeof__(&XML_GetCurrentLineNumber) get_line;
    __typeof__(&XML_GetCurrentColumnNumber) get_column;
};
extern struct expat_library expat_library;

int expat_library_load(struct err *err);
