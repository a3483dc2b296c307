/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The translation of classic filters, held against an interpreter of them: random filters and packets, and a few that
 * libpcap made, run by the kernel (BPF_PROG_TEST_RUN). Where that is not allowed, the checks alone are tested.
 */
#include "base/auto.h"
#include "capture/bpf_filter.h"
#include "capture/bpf_sys.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { TAKEN = 7, PACKET = 128, N_FILTERS = 400, N_PACKETS = 24, MAX_INSNS = 60 };

/* ---- the interpreter ---- */

struct machine {
    const uint8_t *data;
    uint32_t len, a, x, m[BPF_MEMWORDS];
};

static int load(const struct machine *v, uint32_t at, unsigned size, uint32_t *ret)
{
    uint32_t value = 0;

    if (at > v->len || size > v->len - at)
        return -1;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | v->data[at + i];
    *ret = value;
    return 0;
}

static int interpret_ld(struct machine *v, const struct live_insn *i)
{
    unsigned size = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1;
    uint32_t *to = BPF_CLASS(i->code) == BPF_LDX ? &v->x : &v->a;
    uint32_t byte;

    switch (BPF_MODE(i->code)) {
    case BPF_IMM:
        *to = i->k;
        return 0;
    case BPF_MEM:
        *to = v->m[i->k];
        return 0;
    case BPF_LEN:
        *to = v->len;
        return 0;
    case BPF_MSH:
        if (load(v, i->k, 1, &byte) < 0)
            return -1;
        v->x = (byte & 15) * 4;
        return 0;
    case BPF_IND:
        return load(v, v->x + i->k, size, &v->a);
    default:
        if (i->k == (uint32_t)SKF_AD_OFF + SKF_AD_PROTOCOL)
            return load(v, 12, 2, &v->a);
        if ((int32_t)i->k < 0) { /* no VLAN tag is beside these packets */
            v->a = 0;
            return 0;
        }
        return load(v, i->k, size, &v->a);
    }
}

static int interpret_alu(struct machine *v, const struct live_insn *i)
{
    uint32_t by = BPF_SRC(i->code) == BPF_X ? v->x : i->k;

    switch (BPF_OP(i->code)) {
    case BPF_ADD:
        v->a += by;
        return 0;
    case BPF_SUB:
        v->a -= by;
        return 0;
    case BPF_MUL:
        v->a *= by;
        return 0;
    case BPF_OR:
        v->a |= by;
        return 0;
    case BPF_AND:
        v->a &= by;
        return 0;
    case BPF_XOR:
        v->a ^= by;
        return 0;
    case BPF_LSH:
        v->a <<= by & 31;
        return 0;
    case BPF_RSH:
        v->a >>= by & 31;
        return 0;
    case BPF_NEG:
        v->a = 0 - v->a;
        return 0;
    default:
        if (by == 0)
            return -1;
        v->a = BPF_OP(i->code) == BPF_DIV ? v->a / by : v->a % by;
        return 0;
    }
}

static int holds(const struct machine *v, const struct live_insn *i)
{
    uint32_t with = BPF_SRC(i->code) == BPF_X ? v->x : i->k;

    switch (BPF_OP(i->code)) {
    case BPF_JEQ:
        return v->a == with;
    case BPF_JGT:
        return v->a > with;
    case BPF_JGE:
        return v->a >= with;
    default:
        return (v->a & with) != 0;
    }
}

static int interpret(const struct live_insn *filter, const uint8_t *data, uint32_t len)
{
    struct machine v = {.data = data, .len = len};

    for (unsigned at = 0;; at++) {
        const struct live_insn *i = &filter[at];
        int r = 0;

        switch (BPF_CLASS(i->code)) {
        case BPF_LD:
        case BPF_LDX:
            r = interpret_ld(&v, i);
            break;
        case BPF_ST:
            v.m[i->k] = v.a;
            break;
        case BPF_STX:
            v.m[i->k] = v.x;
            break;
        case BPF_ALU:
            r = interpret_alu(&v, i);
            break;
        case BPF_JMP:
            at += i->code == (BPF_JMP | BPF_JA) ? i->k : holds(&v, i) ? i->jt : i->jf;
            break;
        case BPF_RET:
            return (BPF_RVAL(i->code) == BPF_A ? v.a : i->k) != 0;
        default:
            if (BPF_MISCOP(i->code) == BPF_TAX)
                v.x = v.a;
            else
                v.a = v.x;
        }
        if (r < 0)
            return 0;
    }
}

/* ---- random filters ---- */

static uint32_t state = 1;

static uint32_t roll(uint32_t below)
{
    state = state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(state ^ state >> 15) * below >> 32);
}

static uint32_t some_number(void)
{
    static const uint32_t edges[] = {0, 1, 31, 255, 0x7fffffff, 0x80000000, 0xffffffff, 0x0800};

    return roll(2) ? edges[roll(ARRAY_SIZE(edges))] : roll(200);
}

static struct live_insn some_insn(unsigned left)
{
    static const uint16_t loads[] = {
        BPF_LD | BPF_W | BPF_ABS,  BPF_LD | BPF_H | BPF_ABS, BPF_LD | BPF_B | BPF_ABS,
        BPF_LD | BPF_W | BPF_IND,  BPF_LD | BPF_H | BPF_IND, BPF_LD | BPF_B | BPF_IND,
        BPF_LDX | BPF_B | BPF_MSH, BPF_LD | BPF_IMM,         BPF_LDX | BPF_IMM,
        BPF_LD | BPF_W | BPF_LEN,  BPF_LDX | BPF_W | BPF_LEN};
    static const uint16_t alu[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND,
                                   BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_NEG};
    static const uint16_t jumps[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
    static const uint32_t beside[] = {SKF_AD_PROTOCOL, SKF_AD_VLAN_TAG, SKF_AD_VLAN_TAG_PRESENT};
    struct live_insn i = {0};

    switch (roll(6)) {
    case 0:
        i.code = (uint16_t)(roll(2) ? BPF_MISC | BPF_TAX : BPF_MISC | BPF_TXA);
        break;
    case 1:
        i.code = (uint16_t)(roll(2) ? roll(2) ? BPF_ST : BPF_STX
                                    : (roll(2) ? BPF_LD | BPF_MEM : BPF_LDX | BPF_MEM));
        i.k = roll(BPF_MEMWORDS);
        break;
    case 2:
        i.code = (uint16_t)(BPF_ALU | alu[roll(ARRAY_SIZE(alu))]);
        if (BPF_OP(i.code) != BPF_NEG && roll(3) == 0)
            i.code |= BPF_X;
        i.k = BPF_OP(i.code) == BPF_LSH || BPF_OP(i.code) == BPF_RSH ? roll(32) : some_number();
        i.k += (BPF_OP(i.code) == BPF_DIV || BPF_OP(i.code) == BPF_MOD) && i.k == 0;
        break;
    case 3:
        i.code = (uint16_t)(BPF_JMP | jumps[roll(ARRAY_SIZE(jumps))] | (roll(3) ? BPF_K : BPF_X));
        i.k = some_number();
        i.jt = (uint8_t)roll(left < 6 ? left : 6);
        i.jf = (uint8_t)roll(left < 6 ? left : 6);
        break;
    case 4:
        i.code = BPF_LD | BPF_W | BPF_ABS;
        i.k = (uint32_t)SKF_AD_OFF + beside[roll(ARRAY_SIZE(beside))];
        break;
    default:
        i.code = loads[roll(ARRAY_SIZE(loads))];
        i.k = BPF_MODE(i.code) == BPF_IMM ? some_number() : roll(PACKET * 3 / 4);
    }
    return i;
}

static unsigned some_filter(struct live_insn *ret)
{
    unsigned n = 2 + roll(MAX_INSNS - 2);

    for (unsigned i = 0; i + 1 < n; i++)
        ret[i] = some_insn(n - 1 - i);
    ret[n - 1] = (struct live_insn){.code = BPF_RET | (roll(4) ? BPF_A : BPF_K), .k = 1};
    return n;
}

static uint32_t some_packet(uint8_t *ret)
{
    static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x8100};
    uint32_t n = 54 + roll(PACKET - 53); /* the kernel wants whole IP headers */
    uint16_t type = types[roll(ARRAY_SIZE(types))];

    for (uint32_t i = 0; i < PACKET; i++)
        ret[i] = (uint8_t)(roll(2) ? roll(256) : roll(8));
    ret[12] = (uint8_t)(type >> 8);
    ret[13] = (uint8_t)type;
    ret[14] = type == 0x0800 ? 0x45 : ret[14];
    ret[20] = roll(2) ? 58 : ret[20];
    ret[23] = roll(2) ? 6 : 17;
    return n;
}

/* ---- the kernel ---- */

static int test_run(int program, const uint8_t *data, uint32_t n, uint32_t *ret)
{
    union bpf_attr attr = {0};

    attr.test.prog_fd = (uint32_t)program;
    attr.test.data_in = (uintptr_t)data;
    attr.test.data_size_in = n;
    attr.test.repeat = 1;
    if (syscall(__NR_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr) < 0)
        return -errno;
    *ret = attr.test.retval;
    return 0;
}

/* A program that says TAKEN when its filter lets it come so far. */
static int load_filter(const struct live_insn *filter, unsigned n, struct err *err)
{
    enum { MOV = BPF_ALU64 | BPF_MOV | BPF_K, EXIT = BPF_JMP | BPF_EXIT };
    size_t room = BPF_FILTER_ROOM(n) + 2;
    AUTO(free_p) uint64_t *insns = calloc(room, sizeof *insns);
    int r;

    assert_non_null(insns);
    r = bpf_filter_translate(filter, n, insns, room - 2, err);
    assert_true(r > 0);
    insns[r++] = (uint64_t)TAKEN << 32 | MOV;
    insns[r++] = EXIT;
    return bpf_sys_load(insns, (size_t)r, "test", err);
}

static void skip_without_bpf(void)
{
    static const struct live_insn all = {.code = BPF_RET | BPF_K, .k = 1};
    struct err err = {0};
    int fd = load_filter(&all, 1, &err);

    if (fd == -EPERM) {
        print_message("needs CAP_BPF: %s\n", err.text);
        skip();
    }
    assert_true(fd >= 0);
    close(fd);
}

static void compare(const struct live_insn *filter, unsigned n, uint64_t *ret_taken)
{
    uint8_t packet[PACKET];
    struct err err = {0};
    int fd = load_filter(filter, n, &err);

    if (fd < 0)
        print_message("%s\n", err.text);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < N_PACKETS; i++) {
        uint32_t len = some_packet(packet), got = 0;
        int want = interpret(filter, packet, len);

        assert_int_equal(test_run(fd, packet, len, &got), 0);
        if ((got == TAKEN) != want)
            print_message("packet %u of a filter of %u: kernel %d, interpreter %d\n", i, n,
                          (int)got, want);
        assert_int_equal(got, want ? TAKEN : UINT32_MAX);
        *ret_taken += (uint64_t)want;
    }
    close(fd);
}

static void test_random_filters_decide_as_the_interpreter_does(void **cookie)
{
    struct live_insn filter[MAX_INSNS];
    uint64_t taken = 0;

    (void)cookie;
    skip_without_bpf();
    for (unsigned i = 0; i < N_FILTERS; i++)
        compare(filter, some_filter(filter), &taken);
    /* Neither all nor nothing: else this says little. */
    assert_in_range(taken, N_FILTERS * N_PACKETS / 20, N_FILTERS * N_PACKETS * 19 / 20);
}

/* tcpdump -dd for Ethernet: "udp or (tcp and port 80)",
   "ip6 and icmp6",
   "greater 60 and not arp",
   "vlan 5 and tcp",
   "ip[8] * 2 > 120 and not net 10.0.0.0/8". */
static const struct live_insn real[][25] = {
    {{0x28, 0, 0, 0x0000000c},  {0x15, 0, 10, 0x00000800}, {0x30, 0, 0, 0x00000017},
     {0x15, 19, 0, 0x00000011}, {0x15, 0, 19, 0x00000006}, {0x28, 0, 0, 0x00000014},
     {0x45, 17, 0, 0x00001fff}, {0xb1, 0, 0, 0x0000000e},  {0x48, 0, 0, 0x0000000e},
     {0x15, 13, 0, 0x00000050}, {0x48, 0, 0, 0x00000010},  {0x15, 11, 12, 0x00000050},
     {0x15, 0, 11, 0x000086dd}, {0x30, 0, 0, 0x00000014},  {0x15, 8, 0, 0x00000011},
     {0x15, 0, 2, 0x0000002c},  {0x30, 0, 0, 0x00000036},  {0x15, 5, 6, 0x00000011},
     {0x15, 0, 5, 0x00000006},  {0x28, 0, 0, 0x00000036},  {0x15, 2, 0, 0x00000050},
     {0x28, 0, 0, 0x00000038},  {0x15, 0, 1, 0x00000050},  {0x6, 0, 0, 0x00040000},
     {0x6, 0, 0, 0x00000000}},
    {{0x28, 0, 0, 0x0000000c},
     {0x15, 0, 6, 0x000086dd},
     {0x30, 0, 0, 0x00000014},
     {0x15, 3, 0, 0x0000003a},
     {0x15, 0, 3, 0x0000002c},
     {0x30, 0, 0, 0x00000036},
     {0x15, 0, 1, 0x0000003a},
     {0x6, 0, 0, 0x00040000},
     {0x6, 0, 0, 0x00000000}},
    {{0x80, 0, 0, 0x00000000},
     {0x35, 0, 3, 0x0000003c},
     {0x28, 0, 0, 0x0000000c},
     {0x15, 1, 0, 0x00000806},
     {0x6, 0, 0, 0x00040000},
     {0x6, 0, 0, 0x00000000}},
    {{0x28, 0, 0, 0x0000000c},
     {0x15, 2, 0, 0x00008100},
     {0x15, 1, 0, 0x000088a8},
     {0x15, 0, 14, 0x00009100},
     {0x28, 0, 0, 0x0000000e},
     {0x54, 0, 0, 0x00000fff},
     {0x15, 0, 11, 0x00000005},
     {0x28, 0, 0, 0x00000010},
     {0x15, 0, 2, 0x00000800},
     {0x30, 0, 0, 0x0000001b},
     {0x15, 6, 7, 0x00000006},
     {0x15, 0, 6, 0x000086dd},
     {0x30, 0, 0, 0x00000018},
     {0x15, 3, 0, 0x00000006},
     {0x15, 0, 3, 0x0000002c},
     {0x30, 0, 0, 0x0000003a},
     {0x15, 0, 1, 0x00000006},
     {0x6, 0, 0, 0x00040000},
     {0x6, 0, 0, 0x00000000}},
    {{0x28, 0, 0, 0x0000000c},
     {0x15, 0, 10, 0x00000800},
     {0x30, 0, 0, 0x00000016},
     {0x24, 0, 0, 0x00000002},
     {0x25, 0, 7, 0x00000078},
     {0x20, 0, 0, 0x0000001a},
     {0x54, 0, 0, 0xff000000},
     {0x15, 4, 0, 0x0a000000},
     {0x20, 0, 0, 0x0000001e},
     {0x54, 0, 0, 0xff000000},
     {0x15, 1, 0, 0x0a000000},
     {0x6, 0, 0, 0x00040000},
     {0x6, 0, 0, 0x00000000}}};
static const unsigned real_n[] = {25, 9, 6, 19, 13};

static void test_filters_of_libpcap_decide_as_the_interpreter_does(void **cookie)
{
    (void)cookie;
    skip_without_bpf();
    for (unsigned i = 0; i < ARRAY_SIZE(real); i++) {
        uint64_t taken = 0;

        for (unsigned k = 0; k < 20; k++)
            compare(real[i], real_n[i], &taken);
        /* A VLAN's number is hit too seldom. */
        if (i != 3)
            assert_in_range(taken, 1, 20 * N_PACKETS - 1);
    }
}

static void test_what_the_kernel_would_refuse_is_refused_with_a_sentence(void **cookie)
{
    static const struct {
        struct live_insn filter[2];
        unsigned n;
        const char *words;
    } rows[] = {
        {{{0}}, 0, "0 instructions"},
        {{{BPF_LD | BPF_IMM, 0, 0, 1}}, 1, "does not end"},
        {{{BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}, 2, "instruction 0"},
        {{{BPF_JMP | BPF_JA, 0, 0, 0xffffffff}, {BPF_RET | BPF_K, 0, 0, 1}}, 2, "instruction 0"},
        {{{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}, 2, "instruction 0"},
        {{{BPF_ALU | BPF_LSH | BPF_K, 0, 0, 32}, {BPF_RET | BPF_K, 0, 0, 1}}, 2, "instruction 0"},
        {{{BPF_ST, 0, 0, 16}, {BPF_RET | BPF_K, 0, 0, 1}}, 2, "instruction 0"},
        {{{BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)SKF_AD_OFF + SKF_AD_CPU},
          {BPF_RET | BPF_K, 0, 0, 1}},
         2,
         "instruction 0"},
        {{{BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)SKF_NET_OFF}, {BPF_RET | BPF_K, 0, 0, 1}},
         2,
         "instruction 0"},
        {{{0xffff, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}, 2, "instruction 0"},
    };

    (void)cookie;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err err = {0};

        assert_int_equal(bpf_filter_check(rows[i].filter, rows[i].n, &err), -EINVAL);
        assert_non_null(strstr(err.text, rows[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_filters_decide_as_the_interpreter_does),
        cmocka_unit_test(test_filters_of_libpcap_decide_as_the_interpreter_does),
        cmocka_unit_test(test_what_the_kernel_would_refuse_is_refused_with_a_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
