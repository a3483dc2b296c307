/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/output.h"
#include "base/text.h"
#include "results/json_out.h"
#include "results/run_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_set_format(void *target, const char *value, struct err *err)
{
    struct output_options *o = target;
    int format = table_format_find(value);

    if (format < 0)
        return err_say(err, "'%.40s' is none of table, wide, json, ndjson, csv, markdown", value);
    o->format = (enum table_format)format;
    return 0;
}

int output_set_colour(void *target, const char *value, struct err *err)
{
    struct output_options *o = target;

    if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 && strcmp(value, "never") != 0)
        return err_say(err, "'%.40s' is none of auto, always, never", value);
    text_copy(o->colour, sizeof o->colour, value);
    return 0;
}

bool output_colour(const struct output_options *options)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    if (strcmp(options->colour, "always") == 0)
        return true;
    if (strcmp(options->colour, "never") == 0 || (no && *no) || (term && strcmp(term, "dumb") == 0))
        return false;
    return isatty(STDOUT_FILENO);
}

int output_check(const struct output_options *options, struct err *err)
{
    char folder[sizeof options->json];
    struct stat st;
    char *slash;

    if (!options->json[0] || strcmp(options->json, "-") == 0 || access(options->json, W_OK) == 0) {
        if (options->json[0] && stat(options->json, &st) == 0 && S_ISDIR(st.st_mode))
            return err_set(err, EISDIR, "--json '%s'", options->json);
        return 0;
    }
    if (errno != ENOENT)
        return err_set(err, errno, "--json '%s'", options->json);
    /* It is made when there is something to write; a folder that takes it has to be there. */
    text_copy(folder, sizeof folder, options->json);
    slash = strrchr(folder, '/');
    if (slash == folder)
        slash++;
    if (slash)
        *slash = 0;
    else
        text_copy(folder, sizeof folder, ".");
    if (access(folder, W_OK | X_OK) < 0)
        return err_set(err, errno, "--json '%s'", options->json);
    return 0;
}

int output_run(const struct output_options *options, const struct run_result *run, struct err *err)
{
    json_t *document = NULL;
    int r = run_json(run, &document, err);

    if (r < 0)
        return r;
    if (options->json[0])
        r = json_out_file(document, options->json, err);
    if (r == 0 && strcmp(options->json, "-") != 0)
        r = table_print(document, options->format, output_colour(options), stdout, err);
    json_decref(document);
    return r;
}
