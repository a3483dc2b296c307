/* SPDX-License-Identifier: Apache-2.0 */
/* A STAMP packet from anybody: what is read comes out the same when it is written again, and nothing is both kinds. */
#include "fuzz.h"
#include "traffic/stamp_packet.h"

#include <assert.h>
#include <string.h>

static void write_test_again(const uint8_t *data, const struct stamp_test *test)
{
    uint8_t bytes[STAMP_PACKET_BYTES];

    stamp_packet_write_test(test, bytes);
    assert(memcmp(bytes, data, sizeof bytes) == 0);
}

static void write_answer_again(const struct stamp_answer *answer)
{
    bool ptp = answer->error & STAMP_PACKET_PTP;
    uint8_t bytes[STAMP_PACKET_BYTES];
    struct stamp_answer back;

    stamp_packet_write_answer(answer, bytes);
    /* The moment that is all zeros on the wire, to the ns, means that there is no time. */
    if (stamp_packet_read_answer(bytes, sizeof bytes, &back) < 0) {
        assert(stamp_packet_time(answer->sent_ns, ptp) == 0 ||
               stamp_packet_time(answer->received_ns, ptp) == 0);
        return;
    }
    assert(back.sent_ns == answer->sent_ns && back.received_ns == answer->received_ns);
    assert(back.sequence == answer->sequence && back.error == answer->error);
    assert(back.test.time == answer->test.time && back.test.sequence == answer->test.sequence);
    assert(back.test.error == answer->test.error && back.ttl == answer->ttl);
    assert(back.ssid == answer->ssid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stamp_test test;
    struct stamp_answer answer;
    bool is_test = stamp_packet_read_test(data, size, &test) == 0;
    bool is_answer = stamp_packet_read_answer(data, size, &answer) == 0;

    assert(!is_test || !is_answer);
    assert(!is_test || size >= STAMP_PACKET_BYTES);
    assert(!is_answer || size >= STAMP_PACKET_ANSWER_MIN);
    if (is_test)
        write_test_again(data, &test);
    if (is_answer)
        write_answer_again(&answer);
    return 0;
}
