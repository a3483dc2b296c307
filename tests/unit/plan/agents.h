/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deploy/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The agent program of this build: meson says where, else it is two folders above this test. */
static inline const char *agent_program(void)
{
    static char path[600];
    const char *build = getenv("VNPERF_BUILD");
    char self[512] = "";

    if (build) {
        snprintf(path, sizeof path, "%s/vnperf-agent", build);
    } else {
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

        for (int up = 0; up < 3 && n > 0; up++)
            *strrchr(self, '/') = 0;
        snprintf(path, sizeof path, "%s/vnperf-agent", self);
    }
    return path;
}

/* What every well-behaved agent says first. */
#define AGENT_HELLO "echo '0 hello protocol=1 version=0 pid=1 beat_ns=1000000000';"

/* An agent that is a shell script. */
static inline int agent_script(const char *script, struct spawned *ret, struct err *err)
{
    char text[1000], shell[] = "/bin/sh", option[] = "-c";
    char *argv[] = {shell, option, text, NULL};

    snprintf(text, sizeof text, "%s", script);
    return spawn_local(argv, ret, err);
}
