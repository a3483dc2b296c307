/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "monitor/gmond_xml.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char text[1 << 16];

static size_t read_corpus(const char *name)
{
    AUTO(fclose_p) FILE *f = NULL;
    char path[512];

    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/gmond/%s", getenv("VNPERF_SOURCE"), name);
    f = fopen(path, "re");
    assert_non_null(f);
    return fread(text, 1, sizeof text, f);
}

/* Fed in pieces of so many bytes. */
static int read_xml(const char *data, size_t n, size_t piece, struct gmond_hosts *ret,
                    struct err *err)
{
    struct gmond_xml *xml;
    int r = gmond_xml_new(&xml, err);

    for (size_t at = 0; at < n && r == 0; at += piece)
        r = gmond_xml_feed(xml, data + at, piece < n - at ? piece : n - at, err);
    if (r == 0)
        r = gmond_xml_end(xml, ret, err);
    gmond_xml_free(xml);
    return r;
}

/* What a real gmond 3.7.2 said, of a cluster whose name has a letter of ISO-8859-1. */
static void test_a_gmond_is_read_whole_and_in_pieces(void **state)
{
    size_t n = read_corpus("gmond_3.7.2.xml");

    (void)state;
    assert_non_null(memmem(text, n, "Caf\xe9", 4));
    for (size_t piece = 1; piece <= n; piece = piece * 7 + 3) {
        struct gmond_hosts hosts = {0};

        assert_int_equal(read_xml(text, n, piece, &hosts, NULL), 0);
        assert_int_equal(hosts.n, 1);
        assert_string_equal(hosts.host[0].name, "gate1");
        for (int m = 0; m < GMOND_METRIC_COUNT; m++)
            assert_true(hosts.host[0].has[m]);
        assert_true(hosts.host[0].value[GMOND_NUM] == 2);
        assert_true(hosts.host[0].value[GMOND_NICE] == 76.6);
        assert_true(hosts.host[0].value[GMOND_SYSTEM] == 21.9);
        assert_int_equal(hosts.host[0].age_s[GMOND_SYSTEM], 0);
        gmond_hosts_done(&hosts);
    }
}

static void test_names_of_hosts_become_utf8(void **state)
{
    static const char xml[] = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><GANGLIA_XML "
                              "VERSION=\"3\" SOURCE=\"gmond\"><CLUSTER NAME=\"\xfc\" "
                              "LOCALTIME=\"1\"><HOST NAME=\"caf\xe9\" IP=\"10.0.0.1\"/><HOST "
                              "NAME=\"\" IP=\"10.0.0.2\"/></CLUSTER></GANGLIA_XML>";
    struct gmond_hosts hosts = {0};

    (void)state;
    assert_int_equal(read_xml(xml, sizeof xml - 1, sizeof xml, &hosts, NULL), 0);
    assert_int_equal(hosts.n, 2);
    assert_string_equal(hosts.host[0].name, "caf\xc3\xa9");
    assert_string_equal(hosts.host[1].name, "10.0.0.2");
    gmond_hosts_done(&hosts);
}

static void test_values_that_cannot_be_are_not_there(void **state)
{
    struct gmond_hosts hosts = {0};
    size_t n = read_corpus("odd_values.xml");

    (void)state;
    assert_int_equal(read_xml(text, n, n, &hosts, NULL), 0);
    assert_int_equal(hosts.n, 1);
    for (int m = 0; m < GMOND_METRIC_COUNT; m++)
        assert_false(hosts.host[0].has[m]);
    gmond_hosts_done(&hosts);
}

static void test_hostile_documents_are_refused(void **state)
{
    static const struct {
        const char *file, *words;
    } rows[] = {{"entities.xml", "defines entities"},
                {"external.xml", "defines entities"},
                {"html.xml", "not gmond's"},
                {"empty.xml", "sent nothing"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gmond_hosts hosts = {0};
        struct err err = {0};
        size_t n = read_corpus(rows[i].file);

        assert_true(read_xml(text, n, 64, &hosts, &err) < 0);
        assert_non_null(strstr(err.text, rows[i].words));
        assert_true(err.code > 0);
        assert_int_equal(hosts.n, 0);
    }
}

static void test_a_document_cut_anywhere_is_none(void **state)
{
    size_t n = read_corpus("gmond_3.7.2.xml");

    (void)state;
    /* The last byte is the newline behind the root's end. */
    for (size_t cut = 1; cut + 1 < n; cut += 37) {
        struct gmond_hosts hosts = {0};
        struct err err = {0};

        assert_int_equal(read_xml(text, cut, cut, &hosts, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "line"));
    }
}

static void test_a_document_without_end_is_given_up(void **state)
{
    static char blanks[1 << 20];
    struct gmond_xml *xml;
    struct err err = {0};
    int r;

    (void)state;
    memset(blanks, ' ', sizeof blanks);
    assert_int_equal(gmond_xml_new(&xml, NULL), 0);
    r = gmond_xml_feed(xml, "<GANGLIA_XML VERSION=\"3\">", 25, &err);
    for (unsigned i = 0; i < 64 && r == 0; i++)
        r = gmond_xml_feed(xml, blanks, sizeof blanks, &err);
    assert_int_equal(r, -EFBIG);
    assert_non_null(strstr(err.text, "32 MiB"));
    gmond_xml_free(xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_gmond_is_read_whole_and_in_pieces),
        cmocka_unit_test(test_names_of_hosts_become_utf8),
        cmocka_unit_test(test_values_that_cannot_be_are_not_there),
        cmocka_unit_test(test_hostile_documents_are_refused),
        cmocka_unit_test(test_a_document_cut_anywhere_is_none),
        cmocka_unit_test(test_a_document_without_end_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
