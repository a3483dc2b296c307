/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "model/measurement.h"
#include "plan/measure.h"
#include "plan/repeat.h"
#include "plan/tool_run.h"

/*
 * One pair of endpoints that are there already: start an agent at each, find the address, measure.
 */
enum { PAIR_MAX_ASKS = 24 };

struct pair_options {
    struct endpoint_text from, to;
    const char *from_text, *to_text;                      /* lent: as the user wrote them */
    struct endpoint_text more[MEASURE_MAX_RECEIVERS - 1]; /* multicast: receivers besides to */
    const char *more_text[MEASURE_MAX_RECEIVERS - 1];
    uint32_t n_more;
    char address[FLOW_ADDRESS_SIZE]; /* of TO, as FROM reaches it; "" found out */
    char group[FLOW_ADDRESS_SIZE];   /* of multicast */
    bool ipv6;
    char agent[256];
    int32_t nice; /* of the agents; 0 as they are */
    struct measure_ask asks[PAIR_MAX_ASKS];
    unsigned n_asks;
    bool under_load;           /* asks[0] is the probe, stream loads the path */
    struct measure_ask stream; /* of under_load */
    enum tool tool;            /* what measures; TOOL_NONE we do */
    struct repeat_options repeat;
};

enum pair_end { PAIR_DONE, PAIR_FAILED, PAIR_ENVIRONMENT, PAIR_UNREACHABLE, PAIR_INTERRUPTED };

/*
 * Fills run's nodes and its one scenario, "test".
 *
 * returns PAIR_ENVIRONMENT an agent could not be started, PAIR_UNREACHABLE TO has no address or nobody answers there
 */
enum pair_end pair_run(const struct pair_options *options, int interrupt_fd,
                       const struct measure_watch *watch, struct run_result *run, struct err *err);
