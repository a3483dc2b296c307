/* SPDX-License-Identifier: Apache-2.0 */
#include "results/run_json.h"

#include "sample.h"

#include "results/doc.h"
#include "results/measurement_json.h"
#include "results/repeats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static json_t *sample;

static int make(void **state)
{
    (void)state;
    sample = sample_document();
    return 0;
}

static int drop(void **state)
{
    (void)state;
    json_decref(sample);
    return 0;
}

static const json_t *measurement(size_t scenario, size_t i)
{
    return json_array_get(
        doc_at(json_array_get(doc_at(sample, "scenarios"), scenario), "measurements"), i);
}

/* The keys in their order, with blanks between. */
static void keys_are(const json_t *object, const char *want)
{
    char got[2000] = "";
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        size_t len = strlen(got);

        snprintf(got + len, sizeof got - len, "%s%s", len ? " " : "", key);
    }
    assert_string_equal(got, want);
}

static void number_is(const json_t *value, const char *path, double want)
{
    double got = 0;

    if (!doc_number(value, path, &got) || fabs(got - want) > 1e-12 * fabs(want))
        fail_msg("%s is %.15g, not %.15g", path, got, want);
}

static void null_with_reason(const json_t *m, const char *key)
{
    if (!json_is_null(doc_at(m, key)))
        fail_msg("%s is not null", key);
    if (!*doc_text(doc_at(m, "missing"), key))
        fail_msg("%s is null without a reason", key);
}

static void test_document_has_its_parts(void **state)
{
    (void)state;
    keys_are(sample, "schema run nodes endpoints scenarios summary cleanup");
    assert_string_equal(doc_text(sample, "schema"), "vnperf/1");
    keys_are(doc_at(sample, "run"), "id started ended version command description driver repeat");
    assert_string_equal(doc_text(sample, "run.id"), "20261121-073008-1a2b");
    assert_string_equal(doc_text(sample, "run.started"), "2026-11-21T07:30:08.123Z");
    assert_true(json_is_null(doc_at(sample, "run.ended")));
    assert_string_equal(doc_text(sample, "run.driver"), "lab");
    assert_int_equal(json_array_size(doc_at(sample, "run.command")), 4);
    keys_are(doc_at(sample, "summary"), "total passed failed skipped");
    number_is(sample, "summary.total", 8);
    number_is(sample, "summary.passed", 4);
    number_is(sample, "summary.failed", 2);
    number_is(sample, "summary.skipped", 2);
    keys_are(doc_at(sample, "cleanup"), "left done");
    assert_true(json_is_false(doc_at(sample, "cleanup.done")));
}

static void test_bytes_of_the_command_line_become_utf8(void **state)
{
    (void)state;
    assert_string_equal(json_string_value(json_array_get(doc_at(sample, "run.command"), 3)),
                        "caf\xc3\xa9 \xef\xbf\xbd");
}

static void test_facts_are_numbers_where_they_are(void **state)
{
    const json_t *node = json_array_get(doc_at(sample, "nodes"), 0);

    (void)state;
    keys_are(node, "name facts missing changed");
    keys_are(doc_at(node, "facts"), "system cpu tcp nic other");
    assert_true(json_is_integer(doc_at(node, "facts.cpu.usable")));
    assert_true(json_is_string(doc_at(node, "facts.system.kernel")));
    assert_int_equal(json_array_size(doc_at(node, "facts.tcp.rmem_bytes")), 3);
    assert_true(json_is_integer(json_array_get(doc_at(node, "facts.tcp.rmem_bytes"), 0)));
    assert_int_equal(json_array_size(doc_at(node, "facts.nic.offloads")), 2);
    assert_string_equal(doc_text(node, "facts.nic.irq_cpus.eth0-TxRx-1"), "2-3");
    assert_true(json_is_true(doc_at(node, "facts.nic.autonegotiation")));
    /* What this vnperf has no row for, and what is not as its row says. */
    assert_string_equal(doc_text(node, "facts.other.a_newer_one"), "seen");
    assert_string_equal(doc_text(node, "facts.nic.mtu_bytes"), "large");
    assert_string_equal(json_string_value(json_object_get(doc_at(node, "missing"), "nic.firmware")),
                        "Permission denied");
    assert_int_equal(json_array_size(doc_at(node, "changed")), 1);
    assert_string_equal(doc_text(json_array_get(doc_at(node, "changed"), 0), "fact"),
                        "tcp.congestion_control");
    assert_string_equal(doc_text(json_array_get(doc_at(node, "changed"), 0), "before"), "cubic");
    assert_true(json_is_null(doc_at(json_array_get(doc_at(node, "changed"), 0), "after")));
}

static void test_scenario_has_its_keys(void **state)
{
    const json_t *list = doc_at(sample, "scenarios"), *first = json_array_get(list, 0);

    (void)state;
    keys_are(first, "id name protocol status reason chosen from to measurements");
    assert_true(json_is_null(doc_at(first, "reason")));
    assert_string_equal(doc_text(first, "status"), "passed");
    keys_are(doc_at(first, "from"), "name node network address floating");
    assert_true(json_is_null(doc_at(first, "from.floating")));
    assert_string_equal(doc_text(first, "to.floating"), "203.0.113.7");
    assert_string_equal(doc_text(json_array_get(list, 3), "status"), "failed");
    assert_non_null(strstr(doc_text(json_array_get(list, 3), "reason"), "no answer within 5 s"));
    assert_string_equal(doc_text(json_array_get(list, 4), "reason"),
                        "a floating IPv6 address does not exist");
    assert_true(json_is_false(doc_at(json_array_get(list, 5), "chosen")));
}

static void test_tcp_stream(void **state)
{
    const json_t *m = measurement(0, 0);

    (void)state;
    keys_are(m, "kind direction write_bytes flows io warmup_ns port window_ns throughput_bps "
                "retransmits rtt_ns rtt_source "
                "congestion_control limit limit_reason warning sender receiver intervals");
    assert_string_equal(doc_text(m, "kind"), "tcp_stream");
    assert_string_equal(doc_text(m, "direction"), "forward");
    assert_string_equal(doc_text(m, "congestion_control"), "bbr");
    assert_string_equal(doc_text(m, "limit"), "sender");
    number_is(m, "write_bytes", 65536);
    number_is(m, "flows", 2);
    number_is(m, "throughput_bps", 9412345678.5);
    number_is(m, "sender.bytes", 1180000000);
    number_is(m, "receiver.bytes", 1176543209);
    keys_are(doc_at(m, "rtt_ns"), "min mean stddev p50 p90 p99 p999 p9999 max count");
    number_is(m, "rtt_ns.min", 20000);
    number_is(m, "rtt_ns.max", 29990);
    number_is(m, "rtt_ns.count", 1000);
    number_is(m, "rtt_ns.mean", 24995);
    assert_null(doc_at(m, "sender.flow_bytes"));
    assert_int_equal(json_array_size(doc_at(m, "receiver.flow_bytes")), 2);
    assert_null(doc_at(m, "search"));
    assert_null(doc_at(m, "missing"));
}

/* Bytes are the receiver's, TCP samples the sender's; the last interval is what the window left of it. */
static void test_intervals_join_both_sides(void **state)
{
    const json_t *list = doc_at(measurement(0, 0), "intervals");

    (void)state;
    assert_int_equal(json_array_size(list), 3);
    keys_are(json_array_get(list, 0),
             "start_ns length_ns bytes throughput_bps retransmits rtt_ns cwnd_bytes");
    assert_true(json_is_null(doc_at(json_array_get(list, 0), "rtt_ns")));
    number_is(json_array_get(list, 1), "rtt_ns", 25000);
    number_is(json_array_get(list, 1), "start_ns", 400000000);
    number_is(json_array_get(list, 1), "length_ns", 400000000);
    number_is(json_array_get(list, 1), "bytes", 400000000);
    number_is(json_array_get(list, 1), "throughput_bps", 8e9);
    number_is(json_array_get(list, 2), "length_ns", 200000000);
    number_is(json_array_get(list, 2), "throughput_bps", 16e9);
}

static void test_udp_stream_and_its_search(void **state)
{
    const json_t *m = measurement(1, 0), *probe = json_array_get(doc_at(m, "search.probes"), 0);

    (void)state;
    keys_are(m, "kind direction payload_bytes flows warmup_ns port window_ns offered_pps "
                "received_pps throughput_bps "
                "lost loss_share reordered duplicated jitter_ns missing limit sender receiver "
                "intervals search");
    null_with_reason(m, "jitter_ns");
    number_is(m, "reordered", 0);
    keys_are(doc_at(m, "search"), "loss_target duration_ns confirmed probes");
    assert_true(json_is_true(doc_at(m, "search.confirmed")));
    keys_are(probe, "rate_bps offered_bps received_bps sent lost loss_share delay_growth_ns "
                    "duration_ns verdict");
    number_is(probe, "rate_bps", 2e9);
    assert_string_equal(doc_text(probe, "verdict"), "over");
    /* Not a number in the sample, and JSON has none. */
    assert_true(json_is_null(doc_at(json_array_get(doc_at(m, "search.probes"), 1), "loss_share")));
}

static void test_request_and_response(void **state)
{
    const json_t *m = measurement(0, 1);

    (void)state;
    assert_string_equal(doc_text(m, "kind"), "rr");
    assert_string_equal(doc_text(m, "transport"), "tcp");
    assert_string_equal(doc_text(m, "placement"), "different");
    number_is(m, "payload_bytes", 64);
    number_is(m, "transactions_per_s", 23400);
    number_is(m, "rtt_ns.count", 23400);
}

static void test_icmp_echo(void **state)
{
    const json_t *m = measurement(2, 0);

    (void)state;
    assert_string_equal(doc_text(m, "kind"), "icmp_echo");
    number_is(m, "payload_bytes", 56);
    number_is(m, "sent", 100);
    number_is(m, "received", 100);
    number_is(m, "rtt_ns.count", 100);
    assert_null(doc_at(m, "port"));
    assert_null(doc_at(m, "congestion_control"));
}

static void test_what_a_failed_measurement_lacks_is_null_with_a_reason(void **state)
{
    const json_t *m = measurement(3, 0);

    (void)state;
    assert_non_null(strstr(doc_text(m, "error"), "no answer within 5 s"));
    null_with_reason(m, "throughput_bps");
    null_with_reason(m, "retransmits");
    null_with_reason(m, "rtt_ns");
    null_with_reason(m, "congestion_control");
}

static void test_the_receivers_congestion_control_is_not_the_senders(void **state)
{
    struct measurement m = {.kind = FLOW_TCP_STREAM};
    json_t *json;

    (void)state;
    strcpy(m.receiver.congestion_control, "bbr");
    json = measurement_json(&m);
    null_with_reason(json, "congestion_control");
    assert_string_equal(doc_text(json, "receiver.congestion_control"), "bbr");
    json_decref(json);
}

/* No kind may lack a key of its own, whatever was measured. */
static void test_an_empty_measurement_of_each_kind_has_its_keys(void **state)
{
    static const char *const must[FLOW_KIND_COUNT][10] = {
        [FLOW_TCP_STREAM] = {"write_bytes", "window_ns", "throughput_bps", "retransmits", "rtt_ns",
                             "congestion_control", "sender", "receiver", "intervals", "limit"},
        [FLOW_UDP_STREAM] = {"payload_bytes", "offered_pps", "received_pps", "throughput_bps",
                             "loss_share", "reordered", "duplicated", "jitter_ns", "sender",
                             "receiver"},
        [FLOW_ICMP_ECHO] = {"payload_bytes", "sent", "received", "rtt_ns"},
        [FLOW_TCP_RR] = {"transport", "payload_bytes", "transactions_per_s", "rtt_ns",
                         "congestion_control"},
        [FLOW_UDP_RR] = {"transport", "payload_bytes", "transactions_per_s", "rtt_ns", "spin"},
        [FLOW_TCP_CRR] = {"transport", "payload_bytes", "transactions_per_s", "rtt_ns", "spin"},
        [FLOW_STAMP] = {"payload_bytes", "sent", "received", "loss_share", "rtt_ns", "spin"},
        [FLOW_MULTICAST] = {"payload_bytes", "offered_pps", "received_pps", "throughput_bps",
                            "loss_share", "reordered", "duplicated", "jitter_ns", "sender",
                            "receiver"},
    };
    struct scenario_result scenario = {.id = "1.1", .status = SCENARIO_PASSED};
    struct run_result *run = calloc(1, sizeof *run);
    json_t *document = NULL;

    (void)state;
    assert_non_null(run);
    run->scenarios = &scenario;
    run->n_scenarios = 1;
    for (int k = 0; k < FLOW_KIND_COUNT; k++)
        scenario_result_add(&scenario)->kind = (enum flow_kind)k;
    assert_int_equal(run_json(run, &document, NULL), 0);
    for (size_t k = 0; k < FLOW_KIND_COUNT; k++)
        for (size_t i = 0; i < 10 && must[k][i]; i++)
            if (!doc_at(json_array_get(doc_at(json_array_get(doc_at(document, "scenarios"), 0),
                                              "measurements"),
                                       k),
                        must[k][i]))
                fail_msg("%s has no %s", flow_kind_name[k], must[k][i]);
    json_decref(document);
    scenario_result_done(&scenario);
    free(run);
}

static void test_how_it_was_measured_is_said(void **state)
{
    const json_t *lean = measurement(6, 0), *foreign = measurement(6, 1), *mix = measurement(6, 2);

    (void)state;
    assert_string_equal(doc_text(lean, "io"), "lean");
    assert_string_equal(doc_text(lean, "direction"), "reverse");
    assert_true(json_is_true(doc_at(lean, "pinned")));
    assert_string_equal(doc_text(foreign, "peer"), "iperf3");
    assert_string_equal(doc_text(doc_at(foreign, "missing"), "received_pps"),
                        "the far end's program does not tell");
    number_is(foreign, "segments", 40);
    assert_true(json_is_true(doc_at(mix, "imix")));
    assert_int_equal(json_array_size(doc_at(mix, "search.targets")), 3);
    number_is(json_array_get(doc_at(mix, "search.targets"), 1), "received_bps", 2.11e9);
    assert_true(
        json_is_false(doc_at(json_array_get(doc_at(mix, "search.targets"), 2), "confirmed")));
    assert_string_equal(doc_text(measurement(6, 3), "kind"), "crr");
    number_is(measurement(6, 4), "forward_p50_ns", 24000);
    assert_string_equal(doc_text(measurement(6, 5), "to"), "vm3");
    assert_true(json_is_true(doc_at(measurement(6, 6), "spin")));
    number_is(measurement(6, 7), "gap_ns", 1000000);
    number_is(measurement(6, 7), "missed", 3);
    assert_string_equal(doc_text(measurement(6, 9), "load"), "forward");
    assert_string_equal(doc_text(measurement(6, 10), "tool"), "nuttcp");
}

static void test_repetitions_stand_each_alone_and_together(void **state)
{
    const json_t *scenario = json_array_get(doc_at(sample, "scenarios"), 7);
    const json_t *entry = json_array_get(doc_at(scenario, "repeats"), 0);

    (void)state;
    number_is(sample, "run.repeat.n", 20);
    number_is(sample, "run.repeat.until_share", 0.02);
    number_is(sample, "run.repeat.seed", 4711);
    assert_int_equal(json_array_size(doc_at(scenario, "measurements")), 9);
    number_is(measurement(7, 3), "repetition", 4);
    assert_true(json_is_true(doc_at(measurement(7, 3), "outlier")));
    assert_true(json_is_false(doc_at(measurement(7, 2), "outlier")));
    keys_are(entry, "kind direction write_bytes flows io measurements metric n throughput_bps "
                    "width_share outliers stopped");
    assert_int_equal(json_array_size(doc_at(entry, "measurements")), 9);
    assert_string_equal(doc_text(entry, "metric"), "throughput_bps");
    number_is(entry, "n", 8);
    number_is(entry, "throughput_bps.median", 9.445e9);
    number_is(entry, "throughput_bps.low", 5e9);
    number_is(entry, "throughput_bps.high", 9.5e9);
    number_is(entry, "outliers", 1);
    assert_string_equal(doc_text(entry, "stopped"), "failed");
    assert_null(doc_at(json_array_get(doc_at(sample, "scenarios"), 0), "repeats"));
    assert_null(doc_at(measurement(0, 0), "repetition"));
}

static void test_too_few_repetitions_have_no_interval_and_say_so(void **state)
{
    struct measurement m = {.group = 1, .repetition = 1};
    struct repeats repeats = {.n = 1, .median = 5};
    struct scenario_result s = {
        .measurements = &m, .n_measurements = 1, .repeats = &repeats, .n_repeats = 1};
    json_t *list = repeats_json(&s);
    const json_t *entry = json_array_get(list, 0);

    (void)state;
    assert_true(json_is_null(doc_at(entry, "throughput_bps.low")));
    null_with_reason(entry, "width_share");
    assert_non_null(strstr(doc_text(entry, "missing.low"), "fewer than 6 values"));
    assert_string_equal(doc_text(entry, "stopped"), "not yet");
    json_decref(list);
}

static void test_what_is_left_is_listed_and_an_error_told(void **state)
{
    struct run_result *run = calloc(1, sizeof *run);
    json_t *document = NULL;

    (void)state;
    assert_non_null(run);
    snprintf(run->error, sizeof run->error, "interrupted");
    snprintf(run->left[0], sizeof run->left[0], "bridge br7");
    run->n_left = 1;
    run->cleaned = true;
    run->ended_wall_ns = 1;
    assert_int_equal(run_json(run, &document, NULL), 0);
    assert_string_equal(doc_text(document, "run.error"), "interrupted");
    assert_string_equal(doc_text(document, "run.ended"), "1970-01-01T00:00:00.000Z");
    assert_true(json_is_true(doc_at(document, "cleanup.done")));
    assert_string_equal(json_string_value(json_array_get(doc_at(document, "cleanup.left"), 0)),
                        "bridge br7");
    json_decref(document);
    free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document_has_its_parts),
        cmocka_unit_test(test_bytes_of_the_command_line_become_utf8),
        cmocka_unit_test(test_facts_are_numbers_where_they_are),
        cmocka_unit_test(test_scenario_has_its_keys),
        cmocka_unit_test(test_tcp_stream),
        cmocka_unit_test(test_intervals_join_both_sides),
        cmocka_unit_test(test_udp_stream_and_its_search),
        cmocka_unit_test(test_request_and_response),
        cmocka_unit_test(test_icmp_echo),
        cmocka_unit_test(test_what_a_failed_measurement_lacks_is_null_with_a_reason),
        cmocka_unit_test(test_the_receivers_congestion_control_is_not_the_senders),
        cmocka_unit_test(test_an_empty_measurement_of_each_kind_has_its_keys),
        cmocka_unit_test(test_how_it_was_measured_is_said),
        cmocka_unit_test(test_repetitions_stand_each_alone_and_together),
        cmocka_unit_test(test_too_few_repetitions_have_no_interval_and_say_so),
        cmocka_unit_test(test_what_is_left_is_listed_and_an_error_told),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
