/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/bpf_sys.h"

#include "base/auto.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf_sys(int command, union bpf_attr *attr, size_t size)
{
    long r = syscall(__NR_bpf, command, attr, size);

    return r < 0 ? -errno : (int)r;
}

/* Before 5.11 maps and programs count as locked memory, of which there is little by default. */
static void bpf_sys_allow_memory(void)
{
    static bool done;
    struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};

    if (!done)
        setrlimit(RLIMIT_MEMLOCK, &all);
    done = true;
}

static int bpf_sys_say(struct err *err, int r, const char *what, const char *name)
{
    if (r == -EPERM)
        return err_set(err, r,
                       "%s %s for the kernel: that needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN "
                       "(before Linux 5.8 CAP_SYS_ADMIN)",
                       what, name);
    return err_set(err, r, "%s %s for the kernel", what, name);
}

int bpf_sys_map(enum bpf_sys_map_type type, uint32_t value_size, uint32_t n, const char *name,
                struct err *err)
{
    union bpf_attr attr = {
        .map_type = type, .key_size = 4, .value_size = value_size, .max_entries = n};
    int r;

    bpf_sys_allow_memory();
    snprintf(attr.map_name, sizeof attr.map_name, "%s", name);
    /* Values that may be mapped begin at a page, so that a bucket is one cache line (from 5.5 on). */
    attr.map_flags = type == BPF_SYS_ARRAY ? BPF_F_MMAPABLE : 0;
    r = bpf_sys(BPF_MAP_CREATE, &attr, offsetof(union bpf_attr, map_ifindex));
    if (r == -EINVAL && attr.map_flags) {
        attr.map_flags = 0;
        r = bpf_sys(BPF_MAP_CREATE, &attr, offsetof(union bpf_attr, map_ifindex));
    }
    return r < 0 ? bpf_sys_say(err, r, "making the table", name) : r;
}

int bpf_sys_lookup(int map, uint32_t key, void *ret_value)
{
    union bpf_attr attr = {
        .map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)ret_value};

    return bpf_sys(BPF_MAP_LOOKUP_ELEM, &attr, offsetof(union bpf_attr, flags) + 8);
}

int bpf_sys_update(int map, uint32_t key, const void *value)
{
    union bpf_attr attr = {
        .map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)value};

    return bpf_sys(BPF_MAP_UPDATE_ELEM, &attr, offsetof(union bpf_attr, flags) + 8);
}

/* The verifier's last line but its own statistics. */
static void bpf_sys_last_words(char *log, char *ret, size_t size)
{
    char *line, *rest = log;

    ret[0] = 0;
    while ((line = strsep(&rest, "\n")))
        if (*line && strncmp(line, "processed ", 10) != 0 &&
            strncmp(line, "verification time", 17) != 0 && strncmp(line, "stack depth", 11) != 0)
            snprintf(ret, size, "%s", line);
}

int bpf_sys_load(const uint64_t *insns, size_t n, const char *name, struct err *err)
{
    enum { LOG_SIZE = 1 << 20 };
    AUTO(free_p) char *log = NULL;
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SCHED_CLS,
                           .insns = (uintptr_t)insns,
                           .insn_cnt = (uint32_t)n,
                           .license = (uintptr_t) "Dual BSD/GPL"};
    char words[160];
    int r, refused;

    bpf_sys_allow_memory();
    snprintf(attr.prog_name, sizeof attr.prog_name, "%s", name);
    r = bpf_sys(BPF_PROG_LOAD, &attr, offsetof(union bpf_attr, prog_ifindex));
    if (r >= 0)
        return r;
    if (r != -EACCES && r != -EINVAL && r != -E2BIG)
        return bpf_sys_say(err, r, "loading the program", name);
    /* Refused: once more, to hear why. */
    refused = r;
    log = calloc(1, LOG_SIZE);
    if (!log)
        return err_set(err, ENOMEM, "loading a program");
    attr.log_buf = (uintptr_t)log;
    attr.log_size = LOG_SIZE;
    attr.log_level = 1;
    r = bpf_sys(BPF_PROG_LOAD, &attr, offsetof(union bpf_attr, prog_ifindex));
    if (r >= 0)
        return r;
    if (getenv("VNPERF_BPF_LOG"))
        fprintf(stderr, "%s\n", log);
    bpf_sys_last_words(log, words, sizeof words);
    return err_set(err, refused, "the kernel does not take the program %s (%s)", name, words);
}

int bpf_sys_link(int program, uint32_t ifindex, uint32_t attach_type)
{
    union bpf_attr attr = {0};

    attr.link_create.prog_fd = (uint32_t)program;
    attr.link_create.target_fd = (int32_t)ifindex;
    attr.link_create.attach_type = attach_type;
    return bpf_sys(BPF_LINK_CREATE, &attr, sizeof attr);
}

int bpf_sys_cpus(void)
{
    AUTO(fclose_p) FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
    int last = -1, a, b;
    char sign;

    /* "0-3,8-11": the last one counts. */
    while (f && fscanf(f, "%d", &a) == 1) {
        last = a;
        if (fscanf(f, "%c", &sign) == 1 && sign == '-' && fscanf(f, "%d", &b) == 1) {
            last = b;
            if (fscanf(f, "%c", &sign) != 1)
                break;
        }
    }
    return last < 0 ? -ENODATA : last + 1;
}
