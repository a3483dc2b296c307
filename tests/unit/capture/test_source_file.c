/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/source.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* A file in memory, written number by number in either byte order. */
struct file {
    uint8_t bytes[1 << 16];
    size_t n;
    bool big;
};

static void put(struct file *f, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        f->bytes[f->n++] = (uint8_t)(v >> 8 * (f->big ? n - 1 - i : i));
}

static void put_bytes(struct file *f, const char *bytes, size_t n)
{
    memcpy(f->bytes + f->n, bytes, n);
    f->n += n;
}

static void put_header(struct file *f, uint32_t magic, uint32_t snaplen, uint32_t link)
{
    put(f, magic, 4);
    put(f, 2, 2);
    put(f, 4, 2);
    put(f, 0, 8);
    put(f, snaplen, 4);
    put(f, link, 4);
}

static void put_record(struct file *f, uint32_t s, uint32_t part, uint32_t n, uint32_t wire_len)
{
    put(f, s, 4);
    put(f, part, 4);
    put(f, n, 4);
    put(f, wire_len, 4);
}

/* Opened under a name of its own: its bytes, or the error. */
static int open_file(const struct file *f, struct source **ret_source, struct err *err)
{
    char path[64];
    int fd = memfd_create("capture", MFD_CLOEXEC), r;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, f->bytes, f->n), (ssize_t)f->n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    r = source_file_open(path, ret_source, err);
    close(fd);
    return r;
}

static struct source *must_open(const struct file *f)
{
    struct source *source = NULL;
    struct err err = {0};

    if (open_file(f, &source, &err) < 0)
        fail_msg("%s", err.text);
    return source;
}

static void assert_frame(struct source *source, uint64_t ns, const char *bytes, uint32_t wire_len,
                         uint16_t link)
{
    struct frame frame;
    struct err err = {0};

    if (source_next(source, &frame, &err) != 1)
        fail_msg("%s", err.text);
    assert_int_equal(frame.ts_ns, ns);
    assert_int_equal(frame.n, strlen(bytes));
    assert_memory_equal(frame.data, bytes, frame.n);
    assert_int_equal(frame.wire_len, wire_len);
    assert_int_equal(frame.link, link);
}

static void assert_end(struct source *source)
{
    struct frame frame;

    assert_int_equal(source_next(source, &frame, NULL), 0);
    assert_int_equal(source_next(source, &frame, NULL), 0);
    source_free(source);
}

/* What comes next is a complaint that has these words. */
static void assert_broken(struct source *source, const char *words)
{
    struct frame frame;
    struct err err = {0};

    assert_int_equal(source_next(source, &frame, &err), -EBADMSG);
    if (!strstr(err.text, words) || !strstr(err.text, "/proc/self/fd/"))
        fail_msg("'%s' does not say '%s'", err.text, words);
    source_free(source);
}

static void test_pcap_of_either_order_and_unit(void **state)
{
    static const struct {
        uint32_t magic;
        bool big;
        uint32_t unit_ns;
    } kinds[] = {{0xa1b2c3d4, false, 1000},
                 {0xa1b2c3d4, true, 1000},
                 {0xa1b23c4d, false, 1},
                 {0xa1b23c4d, true, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct file f = {.big = kinds[i].big};
        struct source *source;

        put_header(&f, kinds[i].magic, 65535, 1);
        put_record(&f, 1700000000, 123456, 5, 60);
        put_bytes(&f, "hello", 5);
        put_record(&f, 1700000001, 0, 2, 2);
        put_bytes(&f, "ho", 2);
        source = must_open(&f);
        assert_frame(source, 1700000000000000000ULL + 123456ULL * kinds[i].unit_ns, "hello", 60, 1);
        assert_frame(source, 1700000001000000000ULL, "ho", 2, 1);
        assert_end(source);
    }
}

static void test_modified_pcap_has_longer_records(void **state)
{
    struct file f = {0};
    struct source *source;
    struct frame frame;

    (void)state;
    put_header(&f, 0xa1b2cd34, 0,
               0xf0000071); /* with the length of a checksum above the link type */
    put_record(&f, 1, 2, 3, 3);
    put(&f, 7, 4);
    put(&f, 0x0800, 2);
    put(&f, 4, 1);
    put(&f, 0, 1);
    put_bytes(&f, "abc", 3);
    source = must_open(&f);
    assert_int_equal(source_next(source, &frame, NULL), 1);
    assert_int_equal(frame.ts_ns, 1000002000);
    assert_int_equal(frame.link, 113);
    assert_int_equal(frame.outgoing, 1);
    assert_memory_equal(frame.data, "abc", 3);
    assert_end(source);
}

/* ---- pcapng ---- */

static void put_section(struct file *f)
{
    put(f, 0x0a0d0d0a, 4);
    put(f, 28, 4);
    put(f, 0x1a2b3c4d, 4);
    put(f, 1, 2);
    put(f, 0, 2);
    put(f, UINT64_MAX, 8);
    put(f, 28, 4);
}

/* resolution -1: that option is left out; offset_s 0: likewise. */
static void put_interface(struct file *f, uint32_t link, uint32_t snaplen, int resolution,
                          int64_t offset_s)
{
    uint32_t n = 20 + (resolution >= 0 ? 8 : 0) + (offset_s ? 12 : 0) + 4;

    put(f, 1, 4);
    put(f, n, 4);
    put(f, link, 2);
    put(f, 0, 2);
    put(f, snaplen, 4);
    if (resolution >= 0) {
        put(f, 9, 2);
        put(f, 1, 2);
        put(f, (uint64_t)resolution << (f->big ? 24 : 0), 4);
    }
    if (offset_s) {
        put(f, 14, 2);
        put(f, 8, 2);
        put(f, (uint64_t)offset_s, 8);
    }
    put(f, 0, 4);
    put(f, n, 4);
}

/* outgoing: -1 no flags. */
static void put_enhanced(struct file *f, uint32_t interface, uint64_t ticks, const char *bytes,
                         int outgoing)
{
    uint32_t n = (uint32_t)strlen(bytes), padded = (n + 3) & ~3U;
    uint32_t all = 32 + padded + (outgoing >= 0 ? 12 : 0);

    put(f, 6, 4);
    put(f, all, 4);
    put(f, interface, 4);
    put(f, ticks >> 32, 4);
    put(f, ticks & 0xffffffff, 4);
    put(f, n, 4);
    put(f, n, 4);
    put_bytes(f, bytes, n);
    put(f, 0, padded - n);
    if (outgoing >= 0) {
        put(f, 2, 2);
        put(f, 4, 2);
        put(f, outgoing ? 2 : 1, 4);
        put(f, 0, 4);
    }
    put(f, all, 4);
}

static void test_pcapng_units_of_time(void **state)
{
    static const struct {
        int resolution;
        int64_t offset_s;
        uint64_t ticks, ns;
    } rows[] = {
        {-1, 0, 1700000000123456, 1700000000123456000}, /* microseconds when nothing is said */
        {9, 0, 1700000000123456789, 1700000000123456789},
        {3, 0, 1700000000123, 1700000000123000000},
        {0, 0, 1700000000, 1700000000000000000},
        {12, 1700000000, 123456789123, 1700000000123456789},
        {0x80 | 10, 0, 1700000000ULL << 10 | 512, 1700000000500000000},
        {0x80 | 32, 0, 1700000000ULL << 32 | 1ULL << 31, 1700000000500000000},
        {0x80 | 40, 1700000000, 1ULL << 38, 1700000000250000000},
        {6, -3600, 1700003600000001, 1700000000000001000},
    };

    (void)state;
    for (unsigned big = 0; big < 2; big++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct file f = {.big = big};
            struct source *source;

            put_section(&f);
            put_interface(&f, 1, 0, rows[i].resolution, rows[i].offset_s);
            put_enhanced(&f, 0, rows[i].ticks, "frame", -1);
            source = must_open(&f);
            assert_frame(source, rows[i].ns, "frame", 5, 1);
            assert_end(source);
        }
}

static void test_pcapng_sections_interfaces_and_other_blocks(void **state)
{
    struct file f = {.big = true};
    struct source *source;
    struct frame frame;

    (void)state;
    put_section(&f);
    put_interface(&f, 1, 0, 9, 0);
    put_interface(&f, 276, 4, 6, 0);
    put(&f, 0xabc, 4); /* a block that nobody knows */
    put(&f, 16, 4);
    put(&f, 1, 4);
    put(&f, 16, 4);
    put_enhanced(&f, 1, 5, "second", 1);
    put_enhanced(&f, 0, 7, "first", 0);
    /* The obsolete packet: interface and drops in two bytes each. */
    put(&f, 2, 4);
    put(&f, 36, 4);
    put(&f, 1, 2);
    put(&f, 0, 2);
    put(&f, 0, 4);
    put(&f, 9, 4);
    put(&f, 3, 4);
    put(&f, 30, 4);
    put_bytes(&f, "old\0", 4);
    put(&f, 36, 4);
    /* How many were dropped. */
    put(&f, 5, 4);
    put(&f, 40, 4);
    put(&f, 0, 4);
    put(&f, 0, 8);
    put(&f, 5, 2);
    put(&f, 8, 2);
    put(&f, 17, 8);
    put(&f, 0, 4);
    put(&f, 40, 4);
    /* Another section, the other way round, whose interface 0 is another one. */
    f.big = false;
    put_section(&f);
    put_interface(&f, 101, 3, 6, 0);
    put_enhanced(&f, 0, 1, "third", -1);
    put(&f, 3, 4); /* simple: no time, and as long as the interface cuts it */
    put(&f, 20, 4);
    put(&f, 90, 4);
    put_bytes(&f, "cut\0", 4);
    put(&f, 20, 4);
    source = must_open(&f);
    assert_int_equal(source_next(source, &frame, NULL), 1);
    assert_int_equal(frame.ts_ns, 5000);
    assert_int_equal(frame.link, 276);
    assert_int_equal(frame.outgoing, 1);
    assert_int_equal(source_next(source, &frame, NULL), 1);
    assert_int_equal(frame.ts_ns, 7);
    assert_int_equal(frame.outgoing, 0);
    assert_frame(source, 9000, "old", 30, 276);
    assert_false(source->has_drops);
    assert_frame(source, 1000, "third", 5, 101);
    assert_true(source->has_drops);
    assert_int_equal(source->drops, 17);
    assert_frame(source, 0, "cut", 90, 101);
    assert_end(source);
}

static void test_what_is_cut_off_is_told_and_what_was_read_stays_good(void **state)
{
    struct file f = {0}, cut;
    struct source *source;
    size_t at;

    (void)state;
    put_header(&f, 0xa1b2c3d4, 65535, 1);
    put_record(&f, 1, 0, 4, 4);
    put_bytes(&f, "good", 4);
    at = f.n;
    put_record(&f, 2, 0, 4, 4);
    put_bytes(&f, "lost", 4);
    for (size_t n = at + 1; n < f.n; n++) {
        cut = f;
        cut.n = n;
        source = must_open(&cut);
        assert_frame(source, 1000000000, "good", 4, 1);
        assert_broken(source, "byte 44");
    }
    cut = (struct file){0};
    put_section(&cut);
    put_interface(&cut, 1, 0, -1, 0);
    put_enhanced(&cut, 0, 1, "good", -1);
    at = cut.n;
    put_enhanced(&cut, 0, 2, "lost", -1);
    for (size_t n = at + 1; n < cut.n; n++) {
        f = cut;
        f.n = n;
        source = must_open(&f);
        assert_frame(source, 1000, "good", 4, 1);
        assert_broken(source, "ends in the middle");
    }
}

static void test_who_claims_4_gib_is_not_believed(void **state)
{
    struct file f = {0};

    (void)state;
    put_header(&f, 0xa1b2c3d4, 0x7fffffff, 1);
    put_record(&f, 1, 0, 0xffffffff, 0xffffffff);
    assert_broken(must_open(&f), "claims to have 4294967295 bytes");
    f = (struct file){0};
    put_section(&f);
    put(&f, 6, 4);
    put(&f, 0xfffffffc, 4);
    assert_broken(must_open(&f), "claims to have 4294967292 bytes");
    f = (struct file){0};
    put_section(&f);
    put(&f, 0x777, 4);
    put(&f, 0xfffffffc, 4);
    assert_broken(must_open(&f), "ends in the middle of a block");
    f = (struct file){0};
    put_section(&f);
    put_interface(&f, 1, 0, -1, 0);
    put_enhanced(&f, 0, 1, "four", -1);
    f.bytes[f.n - 16] = 200; /* the packet's length, not the block's */
    assert_broken(must_open(&f), "claims to have 200 bytes");
    f = (struct file){0};
    put_section(&f);
    put_enhanced(&f, 3, 1, "four", -1);
    assert_broken(must_open(&f), "interface 3");
    f = (struct file){0};
    put_section(&f);
    put(&f, 1, 4);
    put(&f, 0, 4);
    assert_broken(must_open(&f), "claims to have 0 bytes");
}

static void test_what_is_no_capture_is_said_to_look_like_something(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int r;
        const char *words;
    } rows[] = {
        {"", 0, -EBADMSG, "is empty"},
        {"a, b, c\n1, 2, 3\n", 16, -EBADMSG, "looks like text"},
        {"\x7f"
         "ELF\2\1\1",
         7, -EBADMSG, "a program"},
        {"{\"a\": 1}", 8, -EBADMSG, "JSON"},
        {"\1\2\3\4\5", 5, -EBADMSG, "begins with 01 02 03 04"},
        {"\xfd"
         "7zXZ",
         5, -EOPNOTSUPP, "packed with xz"},
        {"\xd4\xc3\xb2\xa1\2\0", 6, -EBADMSG, "in the middle of the header"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct file f = {0};
        struct source *source = NULL;
        struct err err = {0};

        put_bytes(&f, rows[i].bytes, rows[i].n);
        assert_int_equal(open_file(&f, &source, &err), rows[i].r);
        if (!strstr(err.text, rows[i].words))
            fail_msg("'%s' does not say '%s'", err.text, rows[i].words);
        assert_null(source);
    }
    assert_int_equal(source_file_open("/does/not/exist", &(struct source *){NULL}, NULL), -ENOENT);
}

static void test_a_large_packet_is_read_whole(void **state)
{
    static char bytes[60001];
    struct file f = {0};
    struct source *source;

    (void)state;
    memset(bytes, 'x', 60000);
    put_header(&f, 0xa1b2c3d4, 0, 1);
    put_record(&f, 1, 0, 60000, 60000);
    put_bytes(&f, bytes, 60000);
    source = must_open(&f);
    assert_frame(source, 1000000000, bytes, 60000, 1);
    assert_end(source);
}

static uint32_t crc_of(const uint8_t *bytes, size_t n)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* One member of a gzip file (RFC 1952) whose bytes are stored as they are. */
static void put_gzip(struct file *f, const uint8_t *bytes, size_t n)
{
    put_bytes(f, "\x1f\x8b\x08\0\0\0\0\0\0\3\1", 11);
    put(f, n, 2);
    put(f, ~n & 0xffff, 2);
    put_bytes(f, (const char *)bytes, n);
    put(f, crc_of(bytes, n), 4);
    put(f, n, 4);
}

/* One frame of a zstd file (RFC 8878), likewise. */
static void put_zstd(struct file *f, const uint8_t *bytes, size_t n)
{
    put(f, 0xfd2fb528, 4);
    put(f, 0x60, 1);
    put(f, n - 256, 2);
    put(f, n << 3 | 1, 3);
    put_bytes(f, (const char *)bytes, n);
}

static void test_packed_files_are_read_and_complained_about(void **state)
{
    void (*const packs[])(struct file *, const uint8_t *, size_t) = {put_gzip, put_zstd};
    struct file plain = {0};

    (void)state;
    put_header(&plain, 0xa1b2c3d4, 0, 1);
    for (unsigned i = 0; i < 40; i++) {
        put_record(&plain, i + 1, 0, 4, 4);
        put_bytes(&plain, "four", 4);
    }
    for (size_t k = 0; k < sizeof packs / sizeof *packs; k++) {
        struct file f = {0};
        struct source *source;
        struct err err = {0};
        int r;

        /* Two packed files, one behind the other, are one. */
        packs[k](&f, plain.bytes, 500);
        packs[k](&f, plain.bytes + 500, plain.n - 500);
        r = open_file(&f, &source, &err);
        if (r == -EOPNOTSUPP) {
            print_message("not built in: %s\n", err.text);
            continue;
        }
        assert_int_equal(r, 0);
        for (unsigned i = 0; i < 40; i++)
            assert_frame(source, (i + 1) * 1000000000ULL, "four", 4, 1);
        assert_end(source);
        f.n -= 6;
        source = must_open(&f);
        do
            r = source_next(source, &(struct frame){0}, &err);
        while (r > 0);
        assert_int_equal(r, -EBADMSG);
        assert_non_null(strstr(err.text, "unpacking"));
        source_free(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pcap_of_either_order_and_unit),
        cmocka_unit_test(test_modified_pcap_has_longer_records),
        cmocka_unit_test(test_pcapng_units_of_time),
        cmocka_unit_test(test_pcapng_sections_interfaces_and_other_blocks),
        cmocka_unit_test(test_what_is_cut_off_is_told_and_what_was_read_stays_good),
        cmocka_unit_test(test_who_claims_4_gib_is_not_believed),
        cmocka_unit_test(test_what_is_no_capture_is_said_to_look_like_something),
        cmocka_unit_test(test_a_large_packet_is_read_whole),
        cmocka_unit_test(test_packed_files_are_read_and_complained_about),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
