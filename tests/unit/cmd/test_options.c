/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/text.h"
#include "cmd/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"

struct target {
    bool flag, off;
    char text[8];
    uint64_t time_ns, rate_bps;
    uint32_t count;
    double share;
    char called[16];
};

static int set_called(void *target, const char *value, struct err *err)
{
    struct target *t = target;

    if (strcmp(value, "bad") == 0)
        return err_say(err, "'bad' is bad");
    text_copy(t->called, sizeof t->called, value);
    return 0;
}

#define AT(member) offsetof(struct target, member)

static const struct option_row rows[] = {
    {"flag", 'f', NULL, "a flag", OPTION_FLAG, AT(flag), 0, 0, 0, NULL, NULL},
    {"no-off", 0, NULL, "turns off", OPTION_OFF, AT(off), 0, 0, 0, NULL, NULL},
    {"text", 0, "TEXT", "a text", OPTION_TEXT, AT(text), sizeof(((struct target *)0)->text), 1, 0,
     NULL, NULL},
    {"time", 't', "SEC", "a time", OPTION_TIME, AT(time_ns), 0, 0, 0, NULL, NULL},
    {"rate", 'b', "RATE", "a rate", OPTION_RATE, AT(rate_bps), 0, 0, 0, NULL, NULL},
    {"count", 'n', "N", "a count", OPTION_COUNT, AT(count), 0, 1, 10, NULL, NULL},
    {"share", 0, "SHARE", "a share", OPTION_SHARE, AT(share), 0, 0, 0, NULL, NULL},
    {"call", 0, "WORD", "a call", OPTION_CALL, 0, 0, 0, 0, set_called, NULL},
    {0},
};

static const struct command command = {.name = "try",
                                       .summary = "a try",
                                       .args = "ONE [TWO]",
                                       .rows = rows,
                                       .min_args = 1,
                                       .max_args = 2};

enum { MAX_WORDS = 12 };

/* Parse "word|word|…" behind the command's name; ret_said is lent until the next call. */
static int parse(const char *words, struct target *ret_target, const char *ret_args[MAX_WORDS],
                 int *ret_n, const char **ret_said)
{
    static struct capture capture;
    static char line[400];
    char *argv[MAX_WORDS + 2] = {(char[]){"try"}}, **args = NULL, *rest = line;
    int argc = 1, code, n = 0;

    text_copy(line, sizeof line, words);
    while (rest && argc < MAX_WORDS)
        argv[argc++] = strsep(&rest, "|");
    *ret_target = (struct target){.off = true};
    capture_begin(&capture, 2);
    code = options_parse(&command, argc, argv, ret_target, &args, &n);
    *ret_said = capture_end(&capture);
    for (int i = 0; code == OPTIONS_GO_ON && i < n && i < MAX_WORDS; i++)
        ret_args[i] = args[i];
    *ret_n = n;
    return code;
}

static void test_values_are_stored(void **state)
{
    const char *args[MAX_WORDS], *said;
    struct target t;
    int n;

    (void)state;
    assert_int_equal(parse("-f|--no-off|-t|0.8|one|-b100M|--count=7", &t, args, &n, &said),
                     OPTIONS_GO_ON);
    assert_true(t.flag);
    assert_false(t.off);
    assert_int_equal(t.time_ns, 800000000);
    assert_int_equal(t.rate_bps, 100000000);
    assert_int_equal(t.count, 7);
    assert_int_equal(n, 1);
    assert_string_equal(args[0], "one");
    assert_string_equal(said, "");
    /* A second parse knows nothing of the first. */
    assert_int_equal(parse("--text|1234567|--share|0.1%|--call|x|a|b", &t, args, &n, &said),
                     OPTIONS_GO_ON);
    assert_false(t.flag);
    assert_string_equal(t.text, "1234567");
    assert_true(t.share > 0.000999 && t.share < 0.001001);
    assert_string_equal(t.called, "x");
    assert_int_equal(n, 2);
    assert_string_equal(args[1], "b");
}

static void test_abbreviations_and_the_end_of_options(void **state)
{
    const char *args[MAX_WORDS], *said;
    struct target t;
    int n;

    (void)state;
    assert_int_equal(parse("--fl|--ra|1k|x", &t, args, &n, &said), OPTIONS_GO_ON);
    assert_true(t.flag);
    assert_int_equal(t.rate_bps, 1000);
    assert_int_equal(parse("--|--flag", &t, args, &n, &said), OPTIONS_GO_ON);
    assert_false(t.flag);
    assert_string_equal(args[0], "--flag");
    assert_int_equal(parse("-|-f", &t, args, &n, &said), OPTIONS_GO_ON);
    assert_string_equal(args[0], "-");
}

static void test_mistakes_are_said(void **state)
{
    static const struct {
        const char *words, *said;
    } wrong[] = {
        {"--tim3|5|x", "try: there is no option '--tim3': did you mean --time?"},
        {"--falg|x", "'--falg': did you mean --flag?"},
        {"--zzzzzz|x", "there is no option '--zzzzzz'"},
        {"x|--cuont|5", "there is no option '--cuont': did you mean --count?"},
        {"x|y|--hlep", "there is no option '--hlep': did you mean --help?"},
        {"--cuont=5|x", "'--cuont=5': did you mean --count?"},
        {"--t|5|x", "there is no option '--t'"}, /* text or time? */
        {"-z|x", "there is no option '-z'"},
        {"x|-z", "there is no option '-z'"},
        {"-fz|x", "there is no option '-z'"},
        {"x|-fzt|5", "there is no option '-z'"},
        {"--flag=1|x", "'--flag=1': this option takes no value"},
        {"x|--time", "try: --time needs a value"},
        {"x|-t", "try: -t needs a value"},
        {"x|-ft", "needs a value"},
        {"-t|-1|x", "--time: time '-1'"},
        {"-t|1e400|x", "--time: time '1e400'"},
        {"-t||x", "--time: an empty time"},
        {"-t|10Gb|x", "--time: time '10Gb'"},
        {"-t| 5|x", "--time: time ' 5'"},
        {"--rate|-5|x", "--rate: rate '-5'"},
        {"--rate|10Gb|x", "--rate: rate '10Gb'"},
        {"--count|0|x", "--count: number '0'"},
        {"--count|11|x", "--count: number '11'"},
        {"--count|1.5|x", "--count: number '1.5'"},
        {"--count|18446744073709551617|x", "--count: number '18446744073709551617'"},
        {"--share|1.1|x", "--share: share '1.1'"},
        {"--share|101%|x", "--share: share '101%'"},
        {"--share|nan|x", "--share: share 'nan'"},
        {"--text|12345678|x", "--text: is longer than 7 characters"},
        {"--text||x", "--text: is empty"},
        {"--call|bad|x", "--call: 'bad' is bad"},
        {"-f", "try: needs ONE [TWO]"},
        {"a|b|c", "try: 'c' is one argument too many"},
        {"a|b|c|-f|d", "try: 'c' is one argument too many"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *args[MAX_WORDS], *said;
        struct target t;
        int n, code = parse(wrong[i].words, &t, args, &n, &said);

        if (code != EXIT_USAGE || !strstr(said, wrong[i].said))
            print_message("%s: %d %s\n", wrong[i].words, code, said);
        assert_int_equal(code, EXIT_USAGE);
        assert_non_null(strstr(said, wrong[i].said));
        assert_non_null(strstr(said, "vnperf try --help"));
    }
}

static void test_help_lists_every_option(void **state)
{
    static struct capture capture;
    const char *args[MAX_WORDS], *said, *text;
    struct target t;
    int n, code;

    (void)state;
    capture_begin(&capture, 1);
    code = parse("--nothing-here|-h", &t, args, &n, &said);
    capture_end(&capture);
    assert_int_equal(code, EXIT_USAGE);
    capture_begin(&capture, 1);
    code = parse("-fh", &t, args, &n, &said);
    text = capture_end(&capture);
    assert_int_equal(code, EXIT_OK);
    assert_string_equal(said, "");
    assert_non_null(strstr(text, "Usage: vnperf try [OPTION…] ONE [TWO]"));
    assert_int_equal(options_count(&command), 8);
    for (size_t i = 0; i < options_count(&command); i++) {
        char name[40];

        snprintf(name, sizeof name, "--%s", rows[i].name);
        assert_non_null(strstr(text, name));
        assert_non_null(strstr(text, rows[i].help));
    }
}

static void test_ports(void **state)
{
    static const struct {
        const char *text;
        int first, last; /* 0: refused */
        const char *word;
    } ports[] = {
        {"5001", 5001, 5001, ""},
        {"5001-5031", 5001, 5031, ""},
        {"1-65535", 1, 65535, ""},
        {"7-7", 7, 7, ""},
        {"0", 0, 0, "'0'"},
        {"65536", 0, 0, "'65536'"},
        {"5031-5001", 0, 0, "'5031-5001': the last port is below the first"},
        {"", 0, 0, "an empty number"},
        {"-", 0, 0, "an empty number"},
        {"5001-", 0, 0, "an empty number"},
        {"-5001", 0, 0, "an empty number"},
        {"5001-5002-5003", 0, 0, "'5002-5003'"},
        {"5001,5002", 0, 0, "'5001,5002'"},
        {"http", 0, 0, "'http'"},
        {"0x10", 0, 0, "'0x10'"},
        {"500000000000000001-7", 0, 0, "'5000000000"},
        {"00000000000000005001", 5001, 5001, ""},
        {"000000000005001xyz", 0, 0, "'000000000005001xyz'"},
        {"00000000000000000000000000000000000000005001", 0, 0, "is no port"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        uint16_t first = 1, last = 2;
        struct err err = {0};
        int r = options_port(ports[i].text, &first, &last, &err);

        if ((r == 0) != (ports[i].first > 0) || !strstr(err.text, ports[i].word))
            print_message("'%s': %d %s\n", ports[i].text, r, err.text);
        assert_int_equal(r == 0, ports[i].first > 0);
        assert_int_equal(first, r == 0 ? ports[i].first : 1);
        assert_int_equal(last, r == 0 ? ports[i].last : 2);
        assert_non_null(strstr(err.text, ports[i].word));
    }
}

/* Rows of the real commands: names and letters are their own, and every value has a name. */
static void test_rows_of_all_commands(void **state)
{
    (void)state;
    for (const struct command *const *c = command_table; *c; c++) {
        const size_t n = options_count(*c);

        assert_true(n <= 64); /* OPTIONS_MAX */
        assert_true((*c)->min_args <= (*c)->max_args);
        for (size_t i = 0; i < n; i++) {
            const struct option_row *row = &(*c)->rows[i];

            assert_non_null(row->help);
            assert_string_not_equal(row->name, "help");
            assert_string_not_equal(row->name, "debug");
            assert_true(row->letter != 'h' && row->letter != 'd');
            assert_int_equal(row->type == OPTION_FLAG || row->type == OPTION_OFF, row->arg == NULL);
            assert_int_equal(row->type == OPTION_CALL || row->type == OPTION_EACH,
                             row->call != NULL);
            assert_true(row->type != OPTION_TEXT || row->size > 1);
            for (size_t k = 0; k < i; k++) {
                assert_string_not_equal(row->name, (*c)->rows[k].name);
                assert_true(!row->letter || row->letter != (*c)->rows[k].letter);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_stored),
        cmocka_unit_test(test_abbreviations_and_the_end_of_options),
        cmocka_unit_test(test_mistakes_are_said),
        cmocka_unit_test(test_help_lists_every_option),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_rows_of_all_commands),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
