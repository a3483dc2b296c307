/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

/* Text beside and inside tables, as a terminal and as Markdown take it. */

/* A line behind its head, cut between words at 100 columns; what goes on stands under the head's end. Control characters are left out. */
void table_text_wrap(const char *head, const char *text, FILE *out);
/* A cell of a Markdown table: what would be markup there is text. */
void table_text_markdown(const char *text, FILE *out);
