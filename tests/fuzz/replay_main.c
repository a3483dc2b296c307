/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz harness as an ordinary test: feed it every file of its corpus, and every beginning of each.
 *
 * Beginnings are what a peer that dies in the middle of a line leaves behind. Prints TAP, one line a file.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum {
    FILE_MAX_BYTES = 1 << 20,
    /* Longer files are cut at this many places, evenly. */
    N_CUTS_MAX = 512,
};

/* The copy is exactly as long as the input, so that a sanitizer sees a read past its end. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int replay_file(const char *dir, const char *name)
{
    static uint8_t data[FILE_MAX_BYTES];
    char path[4096];
    size_t size, step;
    FILE *file;
    int r;

    r = snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (r < 0 || (size_t)r >= sizeof(path))
        return -ENAMETOOLONG;
    file = fopen(path, "re");
    if (!file)
        return -errno;
    size = fread(data, 1, sizeof(data), file);
    r = ferror(file) ? -EIO : 0;
    fclose(file);
    if (r < 0)
        return r;

    step = size / N_CUTS_MAX + 1;
    for (size_t cut = 0; cut < size; cut += step)
        feed(data, cut);
    feed(data, size);
    return 0;
}

static int not_hidden(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(int argc, char **argv)
{
    struct dirent **names = NULL;
    int n_files, n_failed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    n_files = scandir(argv[1], &names, not_hidden, alphasort);
    if (n_files <= 0) {
        printf("1..1\nnot ok 1 - a corpus in %s: %s\n", argv[1],
               n_files < 0 ? strerror(errno) : "the folder is empty");
        free(names);
        return 1;
    }
    printf("1..%d\n", n_files);
    for (int i = 0; i < n_files; i++) {
        int r = replay_file(argv[1], names[i]->d_name);

        if (r < 0) {
            n_failed++;
            printf("# %s\n", strerror(-r));
        }
        printf("%s %d - %s\n", r < 0 ? "not ok" : "ok", i + 1, names[i]->d_name);
        /* A crash in the next file must not take this line with it. */
        fflush(stdout);
        free(names[i]);
    }
    free(names);
    return n_failed ? 1 : 0;
}
