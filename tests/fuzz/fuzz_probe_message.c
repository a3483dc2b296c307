/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer may say of doors and knocks: a line, read as each of the five; and the bytes as the kernel's lines of half connections.
 * What was accepted must come back the same when it is said again.
 */
#include "fuzz.h"
#include "traffic/probe_half.h"
#include "wire/probe_message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static char buf[2 * LINE_MAX_BYTES];

static void begin(struct line_out *out) { line_begin(out, buf, sizeof buf, 1, "again"); }

static void cut(struct line_out *out, struct line *ret_line)
{
    size_t len = line_end(out);

    assert(len > 0);
    buf[len - 1] = 0;
    assert(line_cut(buf, len - 1, ret_line) == LINE_OK);
}

static void read_asked(const struct line *line)
{
    static struct probe_knocks knocks, knocks_again;
    struct probe_doors doors, doors_again;
    struct line_out out;
    struct line second;

    if (probe_message_get_doors(line, &doors, NULL) == 0) {
        begin(&out);
        probe_message_put_doors(&out, &doors);
        cut(&out, &second);
        assert(probe_message_get_doors(&second, &doors_again, NULL) == 0);
        assert(memcmp(&doors, &doors_again, sizeof doors) == 0);
    }
    if (probe_message_get_knocks(line, &knocks, NULL) == 0) {
        begin(&out);
        probe_message_put_knocks(&out, &knocks);
        cut(&out, &second);
        assert(probe_message_get_knocks(&second, &knocks_again, NULL) == 0);
        assert(memcmp(&knocks, &knocks_again, sizeof knocks) == 0);
    }
}

static void read_answered(const struct line *line)
{
    static struct probe_heard heard[PROBE_MAX_DOORS], heard_again[PROBE_MAX_DOORS];
    struct probe_opened opened[2], opened_again[2];
    struct probe_answer answers[2], answers_again[2];
    struct line_out out;
    struct line second;

    for (uint32_t n = 1; n <= 2; n++) {
        if (probe_message_get_opened(line, opened, n, NULL) == 0) {
            begin(&out);
            probe_message_put_opened(&out, opened, n);
            cut(&out, &second);
            assert(probe_message_get_opened(&second, opened_again, n, NULL) == 0);
            assert(memcmp(opened, opened_again, n * sizeof *opened) == 0);
        }
        if (probe_message_get_answers(line, answers, n, NULL) == 0) {
            begin(&out);
            probe_message_put_answers(&out, answers, n);
            cut(&out, &second);
            assert(probe_message_get_answers(&second, answers_again, n, NULL) == 0);
            assert(memcmp(answers, answers_again, n * sizeof *answers) == 0);
        }
        if (probe_message_get_heard(line, heard, n, NULL) == 0) {
            begin(&out);
            probe_message_put_heard(&out, heard, n);
            cut(&out, &second);
            assert(probe_message_get_heard(&second, heard_again, n, NULL) == 0);
            assert(memcmp(heard, heard_again, n * sizeof *heard) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char address[FLOW_ADDRESS_SIZE] = "", *text;
    struct line line;

    if (size > LINE_MAX_BYTES)
        return 0;
    text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    if (probe_half_line(text, 5001, address))
        assert(address[0] && strlen(address) < sizeof address);
    if (line_cut(text, size, &line) == LINE_OK) {
        read_asked(&line);
        read_answered(&line);
    }
    free(text);
    return 0;
}
