/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/source_unpack.h"

#include "base/auto.h"
#include "capture/source_input.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef VNPERF_GZIP
#include <zlib.h>
#endif
#ifdef VNPERF_ZSTD
#include <zstd.h>
#endif

/* What was read before it was known that it is packed goes into one. */
enum { UNPACK_PIECE = INPUT_PIECE };

struct input_unpack {
    uint8_t packed[UNPACK_PIECE];
    size_t at, n;
    size_t wanted; /* zstd: packed bytes to the end of the block; 0 not known */
    bool zstd;
    bool ended;  /* of what is packed: the file is read */
    bool inside; /* of a member or frame */
    int r;       /* it is corrupt behind what was handed out; err says how */
    struct err err;
#ifdef VNPERF_GZIP
    z_stream gzip;
    bool has_gzip;
#endif
#ifdef VNPERF_ZSTD
    ZSTD_DStream *stream; /* owned */
#endif
};

/* Bytes, and by what a file that begins with them was packed. */
static const struct {
    uint8_t magic[4];
    unsigned n;
    const char *name;
} packers[] = {
    {{0x1f, 0x8b}, 2, "gzip"},
    {{0x28, 0xb5, 0x2f, 0xfd}, 4, "zstd"},
    {{0xfd, '7', 'z', 'X'}, 4, "xz"},
    {{'B', 'Z', 'h'}, 3, "bzip2"},
    {{0x04, 0x22, 0x4d, 0x18}, 4, "lz4"},
    {{'P', 'K', 3, 4}, 4, "zip"},
};

static int unpack_begin(struct input_unpack *unpack, const char *name)
{
    (void)unpack;
#ifdef VNPERF_GZIP
    if (strcmp(name, "gzip") == 0) {
        /* 16: a gzip header and nothing else. */
        if (inflateInit2(&unpack->gzip, 15 + 16) != Z_OK)
            return -ENOMEM;
        unpack->has_gzip = true;
        return 0;
    }
#endif
#ifdef VNPERF_ZSTD
    if (strcmp(name, "zstd") == 0) {
        unpack->zstd = true;
        unpack->wanted = 1;
        unpack->stream = ZSTD_createDStream();
        /* A frame may want a window of 2 GiB; what people pack captures with wants 8 MiB, --long 128. */
        if (!unpack->stream ||
            ZSTD_isError(ZSTD_DCtx_setParameter(unpack->stream, ZSTD_d_windowLogMax, 27)))
            return -ENOMEM;
        return 0;
    }
#endif
    (void)name;
    return -EOPNOTSUPP;
}

static void unpack_free_p(struct input_unpack **unpack) { unpack_free(*unpack); }

int unpack_new(const char *path, const uint8_t *head, const uint8_t *begin, size_t n,
               struct input_unpack **ret_unpack, struct err *err)
{
    AUTO(unpack_free_p) struct input_unpack *unpack = NULL;
    const char *name = NULL;
    int r;

    for (size_t i = 0; head && i < ARRAY_SIZE(packers); i++)
        if (memcmp(head, packers[i].magic, packers[i].n) == 0)
            name = packers[i].name;
    if (!name)
        return 0;
    unpack = calloc(1, sizeof *unpack);
    r = unpack ? unpack_begin(unpack, name) : -ENOMEM;
    if (r == -EOPNOTSUPP) {
        err_say(err, "'%s' is packed with %s, which this vnperf cannot unpack: unpack it first",
                path, name);
        if (err)
            err->code = EOPNOTSUPP;
        return r;
    }
    if (r < 0)
        return err_set(err, r, "unpacking '%s'", path);
    /* Never more than one piece was read. */
    unpack->n = n < sizeof unpack->packed ? n : sizeof unpack->packed;
    memcpy(unpack->packed, begin, unpack->n);
    *ret_unpack = TAKE(unpack);
    return 0;
}

void unpack_free(struct input_unpack *unpack)
{
    if (!unpack)
        return;
#ifdef VNPERF_GZIP
    if (unpack->has_gzip)
        inflateEnd(&unpack->gzip);
#endif
#ifdef VNPERF_ZSTD
    ZSTD_freeDStream(unpack->stream);
#endif
    free(unpack);
}

static int unpack_short(struct err *err)
{
    err_say(err, "unpacking it: the packed bytes end too early");
    if (err)
        err->code = EBADMSG;
    return -EBADMSG;
}

static int unpack_corrupt(struct err *err, const char *packer, const char *what)
{
    err_say(err, "unpacking it: %s says \"%s\"", packer, what);
    if (err)
        err->code = EBADMSG;
    return -EBADMSG;
}

/* Each makes what it can of the packed bytes; ret_n may be 0, and is what there was before an error. */
#ifdef VNPERF_GZIP
static int unpack_gzip(struct input_unpack *unpack, uint8_t *to, size_t room, size_t *ret_n,
                       struct err *err)
{
    z_stream *z = &unpack->gzip;
    int r;

    if (!unpack->inside && inflateReset(z) != Z_OK)
        return unpack_corrupt(err, "gzip", "cannot begin");
    unpack->inside = true;
    z->next_in = unpack->packed + unpack->at;
    z->avail_in = (unsigned)(unpack->n - unpack->at);
    z->next_out = to;
    z->avail_out = (unsigned)room;
    r = inflate(z, Z_NO_FLUSH);
    unpack->at = unpack->n - z->avail_in;
    *ret_n = room - z->avail_out;
    if (r == Z_STREAM_END)
        unpack->inside = false;
    else if (r != Z_OK && r != Z_BUF_ERROR)
        return unpack_corrupt(err, "gzip", z->msg ? z->msg : "corrupt");
    return 0;
}
#endif

#ifdef VNPERF_ZSTD
static int unpack_zstd(struct input_unpack *unpack, uint8_t *to, size_t room, size_t *ret_n,
                       struct err *err)
{
    ZSTD_inBuffer in = {unpack->packed, unpack->n, unpack->at};
    ZSTD_outBuffer out = {to, room, 0};
    size_t r;

    /* A block at a time: when one is corrupt, zstd does not tell how many bytes it made of those before it. */
    if (unpack->wanted && unpack->wanted < unpack->n - unpack->at)
        in.size = unpack->at + unpack->wanted;
    r = ZSTD_decompressStream(unpack->stream, &out, &in);
    if (ZSTD_isError(r))
        return unpack_corrupt(err, "zstd", ZSTD_getErrorName(r));
    unpack->at = in.pos;
    unpack->inside = r != 0;
    unpack->wanted =
        r ? r : 1; /* a frame begins: how long its first part is, its first byte tells */
    *ret_n = out.pos;
    return 0;
}
#endif

static int unpack_some(struct input_unpack *unpack, uint8_t *to, size_t room, size_t *ret_n,
                       struct err *err)
{
    if (room > 1U << 30)
        room = 1U << 30;
#ifdef VNPERF_ZSTD
    if (unpack->zstd)
        return unpack_zstd(unpack, to, room, ret_n, err);
#endif
#ifdef VNPERF_GZIP
    return unpack_gzip(unpack, to, room, ret_n, err);
#else
    (void)to;
    (void)ret_n;
    return unpack_corrupt(err, "vnperf", "not built in");
#endif
}

ssize_t unpack_read(struct input_unpack *unpack, int fd, uint8_t *to, size_t room, struct err *err)
{
    for (;;) {
        size_t n = 0;
        int r = unpack->r;

        if (r < 0) {
            if (err)
                *err = unpack->err;
            return r;
        }
        /* Also without new bytes: the last ones may have given more than there was room for. */
        if (unpack->at < unpack->n || unpack->inside)
            r = unpack_some(unpack, to, room, &n, &unpack->err);
        unpack->r = r;
        if (n > 0)
            return (ssize_t)n;
        if (r < 0 || unpack->at < unpack->n)
            continue;
        if (unpack->ended)
            return unpack->inside ? unpack_short(err) : 0;
        do
            r = (int)read(fd, unpack->packed, sizeof unpack->packed);
        while (r < 0 && errno == EINTR);
        if (r < 0)
            return err_set(err, errno, "reading it");
        unpack->at = 0;
        unpack->n = (size_t)r;
        unpack->ended = r == 0;
    }
}
