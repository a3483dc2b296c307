/* SPDX-License-Identifier: Apache-2.0 */
#include "results/json_out.h"

#include "base/auto.h"

#include <errno.h>
#include <string.h>

static int json_out_dump(const json_t *document, FILE *out, size_t flags, struct err *err)
{
    errno = 0;
    if (json_dumpf(document, out, flags | JSON_OUT_FLAGS) < 0 || fputc('\n', out) == EOF ||
        fflush(out) == EOF)
        return err_set(err, errno ? errno : EIO, "writing JSON");
    return 0;
}

int json_out_write(const json_t *document, FILE *out, struct err *err)
{
    return json_out_dump(document, out, JSON_INDENT(1), err);
}

int json_out_line(const json_t *document, FILE *out, struct err *err)
{
    return json_out_dump(document, out, JSON_COMPACT, err);
}

int json_out_file(const json_t *document, const char *path, struct err *err)
{
    AUTO(fclose_p) FILE *out = NULL;
    int r;

    if (strcmp(path, "-") == 0) {
        r = json_out_write(document, stdout, err);
        return r < 0 ? err_wrap(err, r, "standard output") : 0;
    }
    out = fopen(path, "we");
    if (!out)
        return err_set(err, errno, "opening '%s'", path);
    r = json_out_write(document, out, err);
    if (r < 0)
        return err_wrap(err, r, "'%s'", path);
    /* A network file system may say only now that there is no room. */
    if (fclose(TAKE(out)) == EOF)
        return err_set(err, errno, "closing '%s'", path);
    return 0;
}
