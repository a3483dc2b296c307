/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/pair_talk.h"

#include "base/text.h"
#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "results/progress.h"

#include <stdio.h>

void pair_talk_on_interval(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                           double per_s)
{
    char text[TEXT_SHORT], line[64];

    (void)index;
    if (!flow_kind_asks(ask->spec.kind))
        snprintf(line, sizeof line, "%s", text_show_rate(bps, text));
    else
        snprintf(line, sizeof line, "%.0f/s", per_s);
    progress_update(arg, line);
}

int pair_talk_code(enum pair_end end, int interrupt_fd)
{
    static const int codes[] = {[PAIR_DONE] = EXIT_OK,
                                [PAIR_FAILED] = EXIT_FAILED,
                                [PAIR_ENVIRONMENT] = EXIT_ENVIRONMENT,
                                [PAIR_UNREACHABLE] = EXIT_UNREACHABLE};
    int signal_number;

    if (end != PAIR_INTERRUPTED)
        return codes[end];
    signal_number = interrupt_taken(interrupt_fd);
    return EXIT_SIGNAL + (signal_number ? signal_number : 15);
}
