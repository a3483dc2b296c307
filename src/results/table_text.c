/* SPDX-License-Identifier: Apache-2.0 */
#include "results/table_text.h"

#include "results/doc.h"

#include <string.h>

enum { TABLE_TEXT_COLUMNS = 100, TABLE_TEXT_SIZE = 1024 };

void table_text_wrap(const char *head, const char *text, FILE *out)
{
    char line[TABLE_TEXT_SIZE], word[TABLE_TEXT_SIZE];
    size_t indent = doc_columns(head), at = indent;

    doc_clean(line, sizeof line, text);
    fputs(head, out);
    for (const char *p = line; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " "), wide;

        memcpy(word, p, len);
        word[len] = 0;
        wide = doc_columns(word);
        if (at > indent && at + 1 + wide > TABLE_TEXT_COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
        }
        fprintf(out, "%s%s", at > indent ? " " : "", word);
        at += wide + (at > indent);
        p += len;
    }
    fputc('\n', out);
}

void table_text_markdown(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (strchr("|\\`*_<>[]", *text))
            fputc('\\', out);
        fputc(*text, out);
    }
}
