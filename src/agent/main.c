/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("vnperf-agent %s\n", VNPERF_VERSION);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: vnperf-agent [--version | --help]\n"
               "Sends and receives test traffic for vnperf, which speaks to it over stdin and "
               "stdout;\n"
               "see vnperf-agent(1).\n");
        return 0;
    }
    if (argc > 1) {
        fprintf(stderr, "vnperf-agent: takes no arguments: it speaks lines over stdin and stdout, "
                        "see vnperf-agent(1)\n");
        return 2;
    }
    if (isatty(STDIN_FILENO))
        fprintf(
            stderr,
            "vnperf-agent: waits for a controller's lines on stdin (vnperf starts it by itself)\n");
    return agent_serve(STDIN_FILENO, STDOUT_FILENO);
}
