/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/hops_filter.h"
#include "base/auto.h"
#include "base/library.h"

#include <errno.h>
#include <pcap/pcap.h>

enum { HOPS_FILTER_SNAPLEN = 65535 };

/* libpcap, opened when there is a filter. */
struct pcap_library {
    __typeof__(pcap_open_dead) *open_dead;
    __typeof__(pcap_compile) *compile;
    __typeof__(pcap_geterr) *geterr;
    __typeof__(pcap_freecode) *freecode;
    __typeof__(pcap_close) *close;
};

static int pcap_library_open(struct pcap_library *ret_library, struct err *err)
{
    static const struct library_row rows[] = {
        {"pcap_open_dead", offsetof(struct pcap_library, open_dead)},
        {"pcap_compile", offsetof(struct pcap_library, compile)},
        {"pcap_geterr", offsetof(struct pcap_library, geterr)},
        {"pcap_freecode", offsetof(struct pcap_library, freecode)},
        {"pcap_close", offsetof(struct pcap_library, close)},
    };

    return library_open("libpcap.so.0.8", "libpcap0.8", rows, ARRAY_SIZE(rows), ret_library, err);
}

int hops_filter_compile(const char *text, struct live_options *options, struct err *err)
{
    struct bpf_program program = {0};
    struct pcap_library library = {0};
    pcap_t *pcap;
    int r = pcap_library_open(&library, err);

    if (r < 0)
        return err_wrap(err, r, "--filter");
    pcap = library.open_dead(DLT_EN10MB, HOPS_FILTER_SNAPLEN);
    if (!pcap)
        return err_set(err, ENOMEM, "memory for a filter");
    if (library.compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
        r = err_say(err, "--filter '%.200s': %s", text, library.geterr(pcap));
    else if (program.bf_len > LIVE_MAX_FILTER)
        r = err_say(err, "--filter '%.200s' becomes %u instructions, and %d are the most", text,
                    program.bf_len, LIVE_MAX_FILTER);
    for (unsigned i = 0; i < program.bf_len && r == 0; i++)
        options->filter[i] = (struct live_insn){program.bf_insns[i].code, program.bf_insns[i].jt,
                                                program.bf_insns[i].jf, program.bf_insns[i].k};
    options->n_filter = r == 0 ? program.bf_len : 0;
    library.freecode(&program);
    library.close(pcap);
    return r;
}
