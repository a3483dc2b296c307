/* SPDX-License-Identifier: Apache-2.0 */
#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

int library_open(const char *soname, const char *package, const struct library_row rows[],
                 size_t n_rows, void *table, struct err *err)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < n_rows; i++) {
        void *function = dlsym(library, rows[i].name);

        /* A pointer to a function is as large as one to data: POSIX asks for that. */
        memcpy((char *)table + rows[i].offset, &function, sizeof function);
        if (!function) {
            err_say(err, "%s lacks %s: it is too old, or another library of that name", soname,
                    rows[i].name);
            if (err)
                err->code = ENOENT;
            return -ENOENT;
        }
    }
    if (library)
        return 0;
    err_say(err, "%s is not there (apt install %s)", soname, package);
    if (err)
        err->code = ENOENT;
    return -ENOENT;
}
