/* SPDX-License-Identifier: Apache-2.0 */
/* Settings as text: defaults, and values as YAML. */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "cmd/run_flags.h"
#include "cmd/settings.h"
#include "cmd/test_flags.h"

#include <inttypes.h>
#include <string.h>

/* Of rows that a function of their own parses. A test gives each to its parser, and nothing may change. */
static const struct {
    const char *name, *run, *test;
} settings_parsed[] = {
    {"time", "5", "5"},
    {"protocols", "TUI", ""},
    {"tcpbuf", "65536", "131072"},
    {"udpbuf", "128,1024,8192", "1400"},
    {"icmp-sizes", "56", "56"},
    {"loss", "0.1%", "0.1%"},
    {"io", "app", "app"},
    {"gso", "1", "1"},
    {"port", "5001-5031", "5001-5031"},
    {"driver", "lab", ""},
    {"nice", "-10", ""},
    {"output", "table", "table"},
    {"color", "auto", "auto"},
    {"ssh-host-keys", "strict", "strict"},
};

static bool settings_of_test(const struct command *command)
{
    return command->rows == test_flags_rows;
}

const char *settings_default(const struct command *command, const struct option_row *row,
                             char buf[SETTINGS_TEXT_SIZE])
{
    static struct run_flags run;
    static struct test_flags test;
    bool of_test = settings_of_test(command);
    const char *at = (const char *)(of_test ? (void *)&test : (void *)&run) + row->offset;
    uint64_t n = 0;

    run_flags_default(&run);
    test_flags_default(&test);
    buf[0] = 0;
    switch (row->type) {
    case OPTION_FLAG:
    case OPTION_OFF:
        snprintf(buf, SETTINGS_TEXT_SIZE, "%s",
                 *(const bool *)(const void *)at == (row->type == OPTION_FLAG) ? "true" : "false");
        break;
    case OPTION_TEXT:
        text_copy(buf, SETTINGS_TEXT_SIZE, at);
        break;
    case OPTION_TIME:
        n = *(const uint64_t *)(const void *)at;
        if (n && n % CLOCK_S == 0)
            snprintf(buf, SETTINGS_TEXT_SIZE, "%" PRIu64, n / CLOCK_S);
        else if (n)
            snprintf(buf, SETTINGS_TEXT_SIZE, "%" PRIu64 "%s", n % CLOCK_MS ? n : n / CLOCK_MS,
                     n % CLOCK_MS ? "ns" : "ms");
        break;
    case OPTION_RATE:
        n = *(const uint64_t *)(const void *)at;
        if (n)
            snprintf(buf, SETTINGS_TEXT_SIZE, "%" PRIu64, n);
        break;
    case OPTION_COUNT:
        n = *(const uint32_t *)(const void *)at;
        if (n)
            snprintf(buf, SETTINGS_TEXT_SIZE, "%" PRIu64, n);
        break;
    case OPTION_SHARE:
        if (*(const double *)(const void *)at > 0)
            snprintf(buf, SETTINGS_TEXT_SIZE, "%.9g", *(const double *)(const void *)at);
        break;
    case OPTION_CALL:
    case OPTION_EACH:
        for (size_t i = 0; i < ARRAY_SIZE(settings_parsed); i++)
            if (strcmp(settings_parsed[i].name, row->name) == 0)
                text_copy(buf, SETTINGS_TEXT_SIZE,
                          of_test ? settings_parsed[i].test : settings_parsed[i].run);
        break;
    }
    return buf;
}

bool settings_defaults(const struct command *command, const struct command *other,
                       const struct option_row *row, char ret_one[SETTINGS_TEXT_SIZE],
                       char ret_other[SETTINGS_TEXT_SIZE])
{
    char key[SETTINGS_KEY_SIZE];
    const struct option_row *same = settings_row(other, settings_key(row, false, key));

    settings_default(command, row, ret_one);
    ret_other[0] = 0;
    if (same)
        settings_default(other, same, ret_other);
    return same && strcmp(ret_one, ret_other) != 0;
}

const char *settings_vmtp_means(const struct config_vmtp_key *key)
{
    switch (key->kind) {
    case CONFIG_VMTP_CLOUD:
        return "for the openstack driver, which this version has not";
    case CONFIG_VMTP_STORE:
        return "for a store of results that this version has not";
    case CONFIG_VMTP_DEAD:
        return "does nothing, as in VMTP";
    case CONFIG_VMTP_OPTION:
        break;
    }
    return "";
}

void settings_print(const char *text, FILE *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._,%/+-";

    if (!*text) {
        fputs("~", out);
        return;
    }
    if (strspn(text, plain) == strlen(text) && strcasecmp(text, "null") != 0 &&
        !strchr(",%", text[0]) && strcmp(text, "-") != 0 && strncmp(text, "---", 3) != 0) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if ((unsigned char)*p < 0x20 || *p == 0x7f)
            fprintf(out, "\\x%02x", (unsigned char)*p);
        else
            fputc(*p, out);
    }
    fputc('"', out);
}
