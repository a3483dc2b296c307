/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/hops_filter.h"

#include <errno.h>
#include <pcap/pcap.h>

enum { HOPS_FILTER_SNAPLEN = 65535 };

int hops_filter_compile(const char *text, struct live_options *options, struct err *err)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, HOPS_FILTER_SNAPLEN);
    struct bpf_program program = {0};
    int r = 0;

    if (!pcap)
        return err_set(err, ENOMEM, "memory for a filter");
    if (pcap_compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
        r = err_say(err, "--filter '%.200s': %s", text, pcap_geterr(pcap));
    else if (program.bf_len > LIVE_MAX_FILTER)
        r = err_say(err, "--filter '%.200s' becomes %u instructions, and %d are the most", text,
                    program.bf_len, LIVE_MAX_FILTER);
    for (unsigned i = 0; i < program.bf_len && r == 0; i++)
        options->filter[i] = (struct live_insn){program.bf_insns[i].code, program.bf_insns[i].jt,
                                                program.bf_insns[i].jf, program.bf_insns[i].k};
    options->n_filter = r == 0 ? program.bf_len : 0;
    pcap_freecode(&program);
    pcap_close(pcap);
    return r;
}
