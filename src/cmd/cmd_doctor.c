/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/where.h"
#include "deploy/driver.h"
#include "host/host.h"
#include "results/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What a check found; mend is what to do about it. */
enum finding { FINDING_GOOD, FINDING_WARN, FINDING_BAD };

struct check {
    enum finding finding;
    char what[200];
    char mend[320];
};

enum { DOCTOR_ROOM_MIB = 64, DOCTOR_RMEM_MIN = 4 << 20 };

static void doctor_lab(struct check *c, const struct facts *facts)
{
    struct err err = {0};

    (void)facts;
    if (driver_lab.probe(&err) == 0) {
        snprintf(c->what, sizeof c->what, "a lab can be built here, as %s",
                 geteuid() == 0 ? "root" : "an ordinary user");
        return;
    }
    c->finding = FINDING_BAD;
    snprintf(c->what, sizeof c->what, "no lab can be built here");
    snprintf(c->mend, sizeof c->mend, "%.300s", err.text);
}

static void doctor_agent(struct check *c, const struct facts *facts)
{
    struct err err = {0};
    char path[512];

    (void)facts;
    if (where_agent("", path, sizeof path, &err) == 0) {
        snprintf(c->what, sizeof c->what, "agent program %.160s",
                 where_agent_is_inside(path) ? "inside vnperf" : path);
        return;
    }
    c->finding = FINDING_BAD;
    snprintf(c->what, sizeof c->what, "%.190s", err.text);
    snprintf(c->mend, sizeof c->mend, "build it (make) or install it beside vnperf");
}

/* The nearest folder above that is there. */
static void doctor_existing(char *path)
{
    while (access(path, F_OK) < 0 && strrchr(path, '/') > path)
        *strrchr(path, '/') = 0;
}

static void doctor_state(struct check *c, const struct facts *facts)
{
    char state[STORE_PATH_SIZE], have[STORE_PATH_SIZE];
    struct statvfs fs;
    struct err err = {0};
    unsigned long long room;

    (void)facts;
    if (store_state_dir(state, &err) < 0) {
        c->finding = FINDING_BAD;
        snprintf(c->what, sizeof c->what, "%.190s", err.text);
        snprintf(c->mend, sizeof c->mend, "set HOME or XDG_STATE_HOME");
        return;
    }
    text_copy(have, sizeof have, state);
    doctor_existing(have);
    if (access(have, W_OK) < 0 || statvfs(have, &fs) < 0) {
        c->finding = FINDING_BAD;
        snprintf(c->what, sizeof c->what, "state folder %.140s: %s", state, strerror(errno));
        snprintf(c->mend, sizeof c->mend,
                 "make it writable, or set XDG_STATE_HOME to a folder that is");
        return;
    }
    room = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
    snprintf(c->what, sizeof c->what, "state folder %.120s, %llu MiB free", state, room);
    if (room < DOCTOR_ROOM_MIB) {
        c->finding = FINDING_BAD;
        snprintf(c->mend, sizeof c->mend, "make room, or set XDG_STATE_HOME to a folder elsewhere");
    }
}

static void doctor_congestion(struct check *c, const struct facts *facts)
{
    const char *cc = facts_get(facts, "congestion_control"),
               *all = facts_get(facts, "congestion_controls");

    snprintf(c->what, sizeof c->what, "congestion control %s (there is: %s)", cc ? cc : "unknown",
             all ? all : "unknown");
    if (cc && strcmp(cc, "bbr") == 0) {
        c->finding = FINDING_WARN;
        snprintf(c->mend, sizeof c->mend,
                 "bbr paces itself to some 10 Gbit/s on a virtual link; `run` sets cubic, `test` "
                 "takes --cc cubic");
    } else if (all && !strstr(all, "cubic")) {
        c->finding = FINDING_BAD;
        snprintf(c->mend, sizeof c->mend,
                 "`run` asks for cubic: modprobe tcp_cubic, or run with --cc %s", cc ? cc : "reno");
    }
}

static void doctor_cpu(struct check *c, const struct facts *facts)
{
    const char *cpus = facts_get(facts, "cpus"), *governor = facts_get(facts, "cpu_governor");
    double load = 0;
    long n = cpus ? strtol(cpus, NULL, 10) : 1;

    if (getloadavg(&load, 1) != 1)
        load = 0;
    snprintf(c->what, sizeof c->what, "%s CPUs, load %.2f%s%.40s", cpus ? cpus : "?", load,
             governor ? ", governor " : "", governor ? governor : "");
    if (n < 2) {
        c->finding = FINDING_WARN;
        snprintf(c->mend, sizeof c->mend,
                 "sender and receiver share one CPU: every result is limited by it");
    } else if (load > 0.5 * (double)n) {
        c->finding = FINDING_WARN;
        snprintf(c->mend, sizeof c->mend,
                 "others use this machine: results will be low and uneven until it is quiet");
    } else if (governor && strcmp(governor, "performance") != 0) {
        c->finding = FINDING_WARN;
        snprintf(c->mend, sizeof c->mend,
                 "latency suffers from clock changes: cpupower frequency-set -g performance");
    }
}

static void doctor_buffers(struct check *c, const struct facts *facts)
{
    const char *rmem = facts_get(facts, "rmem_max");
    long long bytes = rmem ? strtoll(rmem, NULL, 10) : 0;
    char size[TEXT_SHORT];

    snprintf(c->what, sizeof c->what, "largest receive buffer %s",
             text_show_size((uint64_t)bytes, size));
    if (bytes < DOCTOR_RMEM_MIN && geteuid() != 0) {
        c->finding = FINDING_WARN;
        snprintf(c->mend, sizeof c->mend,
                 "`test --udp` as an ordinary user may lose datagrams in its own socket: sysctl "
                 "net.core.rmem_max=33554432");
    }
}

static void doctor_clock(struct check *c, const struct facts *facts)
{
    const char *source = facts_get(facts, "clock_source");

    snprintf(c->what, sizeof c->what, "clock source %s", source ? source : "unknown");
    if (source && (strcmp(source, "hpet") == 0 || strcmp(source, "acpi_pm") == 0)) {
        c->finding = FINDING_WARN;
        snprintf(c->mend, sizeof c->mend,
                 "reading it takes microseconds: latency and pacing suffer (tsc or kvm-clock)");
    }
}

static void (*const doctor_checks[])(struct check *c, const struct facts *facts) = {
    doctor_lab, doctor_agent,   doctor_state, doctor_congestion,
    doctor_cpu, doctor_buffers, doctor_clock};

static int doctor_run(const struct command *command, int argc, char **argv)
{
    static const char *const words[] = {"good", "warn", "BAD "};
    struct facts facts = {0};
    const char *kernel;
    char **args;
    bool bad = false;
    int n_args, code = options_parse(command, argc, argv, NULL, &args, &n_args);

    if (code != OPTIONS_GO_ON)
        return code;
    host_facts(&facts);
    kernel = facts_get(&facts, "kernel");
    printf("vnperf %s, Linux %s, %s\n", VNPERF_VERSION, kernel ? kernel : "?",
           facts_get(&facts, "distribution") ? facts_get(&facts, "distribution")
                                             : "unknown distribution");
    for (size_t i = 0; i < sizeof doctor_checks / sizeof *doctor_checks; i++) {
        struct check c = {0};

        doctor_checks[i](&c, &facts);
        printf("%s  %s\n", words[c.finding], c.what);
        if (c.mend[0])
            printf("      %s\n", c.mend);
        bad |= c.finding == FINDING_BAD;
    }
    return bad ? EXIT_ENVIRONMENT : EXIT_OK;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .summary = "what is missing or will spoil the numbers here, each with its mend",
    .args = "",
    .run = doctor_run,
};
