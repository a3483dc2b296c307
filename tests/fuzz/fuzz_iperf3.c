/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger's iperf3 sends as JSON: parameters and results, and the tokens they are read by. */
#include "fuzz.h"
#include "interop/iperf3_message.h"
#include "interop/json_read.h"

#include <assert.h>
#include <string.h>

static void read_tokens(const char *text, size_t n)
{
    struct json_read j;
    size_t n_tokens = 0;

    json_begin(&j, text, n);
    while (json_next(&j) != JSON_BAD && j.token != JSON_END) {
        assert(j.depth <= JSON_DEPTH && j.at <= n);
        assert(++n_tokens <= n);
    }
    assert(json_next(&j) == j.token);
}

static void write_again(const struct iperf3_results *results)
{
    static char text[IPERF3_MAX_RESULTS];
    static struct iperf3_results again;
    int n = iperf3_results_write(results, NULL, text, sizeof text);

    assert(n > 0);
    assert(iperf3_results_read(text, (size_t)n, &again, NULL) == 0);
    assert(again.n_streams == results->n_streams);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct iperf3_results results;
    struct iperf3_params params;
    char text[1024];
    int number;

    read_tokens((const char *)data, size);
    if (iperf3_results_read((const char *)data, size, &results, NULL) == 0)
        write_again(&results);
    if (iperf3_params_read((const char *)data, size, &params, &number, NULL) == 0) {
        assert(params.parallel >= 1 && params.parallel <= IPERF3_MAX_PARALLEL && params.len >= 1);
        assert(iperf3_params_write(&params, text, sizeof text) > 0);
    }
    return 0;
}
