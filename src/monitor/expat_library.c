/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/expat_library.h"

#include "base/auto.h"
#include "base/library.h"

#include <pthread.h>
#include <stdbool.h>

struct expat_library expat_library;

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

#define ROW(name, member)                                                                          \
    {                                                                                              \
#name, offsetof(struct expat_library, member)                                              \
    }

int expat_library_load(struct err *err)
{
    static const struct library_row rows[] = {
        ROW(XML_ParserCreate, parser_create),
        ROW(XML_ParserFree, parser_free),
        ROW(XML_SetUserData, set_user_data),
        ROW(XML_SetElementHandler, set_element_handler),
        ROW(XML_SetEntityDeclHandler, set_entity_decl_handler),
        ROW(XML_Parse, parse),
        ROW(XML_StopParser, stop_parser),
        ROW(XML_GetErrorCode, get_error_code),
        ROW(XML_ErrorString, error_string),
        ROW(XML_GetCurrentLineNumber, get_line),
        ROW(XML_GetCurrentColumnNumber, get_column),
    };
    static bool loaded; /* under load_lock */
    int r = 0;

    pthread_mutex_lock(&load_lock);
    if (!loaded)
        r = library_open("libexpat.so.1", "libexpat1", rows, ARRAY_SIZE(rows), &expat_library, err);
    loaded = loaded || r == 0;
    pthread_mutex_unlock(&load_lock);
    return r;
}
