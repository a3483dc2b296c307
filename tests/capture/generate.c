/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generate --scenario NAME [--seed N] [--packets N] [--points K] --out DIR
 * generate --list
 *
 * Captures of packets on a path whose every delay and mishap is known: DIR/A.pcap, B.pcap … and DIR/truth.json. The same
 * arguments give the same bytes. --list prints name and purpose of every scenario.
 */
#include "simulate.h"
#include "trace.h"
#include "truth.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t number_of(const char *name, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || *end || end == text || value < min || value > max) {
        fprintf(stderr, "generate: --%s: '%s' is no number from %llu to %llu\n", name, text,
                (unsigned long long)min, (unsigned long long)max);
        exit(2);
    }
    return value;
}

static int list(void)
{
    for (const struct scenario *s = scenario_table; s->name; s++)
        printf("%-24s %s\n", s->name, s->about);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"scenario", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'r'},
                                            {"packets", required_argument, NULL, 'n'},
                                            {"points", required_argument, NULL, 'k'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"list", no_argument, NULL, 'l'},
                                            {NULL, 0, NULL, 0}};
    const char *name = NULL, *dir = NULL;
    struct simulation sim = {0};
    uint64_t seed = 1, n_packets = 0, n_points = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's':
            name = optarg;
            break;
        case 'r':
            seed = number_of("seed", optarg, 0, UINT64_MAX);
            break;
        case 'n':
            n_packets = number_of("packets", optarg, 1, 100000000);
            break;
        case 'k':
            n_points = number_of("points", optarg, 2, SCENARIO_MAX_POINTS);
            break;
        case 'o':
            dir = optarg;
            break;
        case 'l':
            return list();
        default:
            return 2;
        }
    }
    sim.scenario = name ? scenario_find(name) : NULL;
    if (!sim.scenario || !dir) {
        fprintf(stderr, "generate: needs --out and a --scenario that --list knows\n");
        return 2;
    }
    if (mkdir(dir, 0777) < 0 && errno != EEXIST) {
        fprintf(stderr, "generate: %s: %s\n", dir, strerror(errno));
        return 1;
    }
    sim.n_packets = n_packets ? (uint32_t)n_packets : sim.scenario->n_packets;
    sim.n_points = n_points ? (unsigned)n_points : sim.scenario->n_points;
    sim.random.state = random_mix(seed);
    simulate_run(&sim);
    for (unsigned i = 0; i < sim.n_points; i++)
        trace_write(&sim, i, dir);
    truth_write(&sim, seed, dir);
    simulate_done(&sim);
    return 0;
}
