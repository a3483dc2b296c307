/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/bpf_filter.h"

#include "base/auto.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdbool.h>

/*
 * A lives in r7 and X in r8, both with their upper half 0; r6 has the context. Jumps of eBPF are as classic ones:
 * unsigned, but their immediate is extended by its sign, so large ones are put in a register. 32-bit jumps would do
 * without, and are of 5.1.
 */
enum { CONTEXT = BPF_REG_6, ACC = BPF_REG_7, IDX = BPF_REG_8, SCRATCH = -64, LOADED = -72 };
enum { MOV64 = BPF_ALU64 | BPF_MOV, MOV32 = BPF_ALU | BPF_MOV };

struct out {
    uint64_t *insns;
    size_t room, n;
};

/* Where a classic instruction begins, and where both ends are. */
struct places {
    uint32_t *at; /* owned */
    uint32_t take, drop;
};

static void emit(struct out *o, int code, int dst, int src, int off, uint32_t imm)
{
    if (o->n < o->room)
        o->insns[o->n] = (uint64_t)(uint8_t)code | (uint64_t)(dst & 15) << 8 |
                         (uint64_t)(src & 15) << 12 | (uint64_t)(uint16_t)off << 16 |
                         (uint64_t)imm << 32;
    o->n++;
}

/* From the instruction that comes next to that place. */
static void emit_jump(struct out *o, int op, int src, uint32_t imm, uint32_t to)
{
    emit(o, BPF_JMP | op, ACC, src, (int)to - (int)o->n - 1, imm);
}

static void emit_goto(struct out *o, uint32_t to)
{
    emit(o, BPF_JMP | BPF_JA, 0, 0, (int)to - (int)o->n - 1, 0);
}

static int size_of(uint16_t code)
{
    return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* size bytes of the frame at k (and X) to a register, in the machine's order; beyond its end: not taken. */
static void emit_load(struct out *o, const struct places *p, int dst, int size, bool indexed,
                      uint32_t k)
{
    int bits = size == 4 ? BPF_W : size == 2 ? BPF_H : BPF_B;

    emit(o, MOV64 | BPF_X, BPF_REG_1, CONTEXT, 0, 0);
    if (indexed) {
        emit(o, MOV32 | BPF_X, BPF_REG_2, IDX, 0, 0);
        emit(o, BPF_ALU | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, k);
    } else {
        emit(o, MOV32 | BPF_K, BPF_REG_2, 0, 0, k);
    }
    emit(o, MOV64 | BPF_X, BPF_REG_3, BPF_REG_10, 0, 0);
    emit(o, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, (uint32_t)LOADED);
    emit(o, MOV32 | BPF_K, BPF_REG_4, 0, 0, (uint32_t)size);
    emit(o, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
    emit(o, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, (int)p->drop - (int)o->n - 1, 0);
    emit(o, BPF_LDX | bits | BPF_MEM, dst, BPF_REG_10, LOADED, 0);
    if (size > 1)
        emit(o, BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, (uint32_t)size * 8);
}

static bool ancillary(uint32_t k) { return (int32_t)k < 0; }

static void emit_ancillary(struct out *o, uint32_t k)
{
    switch (k - (uint32_t)SKF_AD_OFF) {
    case SKF_AD_PROTOCOL:
        emit(o, BPF_LDX | BPF_W | BPF_MEM, ACC, CONTEXT, offsetof(struct __sk_buff, protocol), 0);
        emit(o, BPF_ALU | BPF_END | BPF_TO_BE, ACC, 0, 0, 16);
        break;
    case SKF_AD_VLAN_TAG:
        emit(o, BPF_LDX | BPF_W | BPF_MEM, ACC, CONTEXT, offsetof(struct __sk_buff, vlan_tci), 0);
        break;
    default:
        emit(o, BPF_LDX | BPF_W | BPF_MEM, ACC, CONTEXT, offsetof(struct __sk_buff, vlan_present),
             0);
        break;
    }
}

static void emit_ld(struct out *o, const struct places *p, const struct live_insn *i)
{
    bool to_x = BPF_CLASS(i->code) == BPF_LDX;
    int dst = to_x ? IDX : ACC;

    switch (BPF_MODE(i->code)) {
    case BPF_IMM:
        emit(o, MOV32 | BPF_K, dst, 0, 0, i->k);
        break;
    case BPF_MEM:
        emit(o, BPF_LDX | BPF_W | BPF_MEM, dst, BPF_REG_10, SCRATCH + 4 * (int)i->k, 0);
        break;
    case BPF_LEN:
        emit(o, BPF_LDX | BPF_W | BPF_MEM, dst, CONTEXT, offsetof(struct __sk_buff, len), 0);
        break;
    case BPF_MSH:
        emit_load(o, p, IDX, 1, false, i->k);
        emit(o, BPF_ALU | BPF_AND | BPF_K, IDX, 0, 0, 15);
        emit(o, BPF_ALU | BPF_LSH | BPF_K, IDX, 0, 0, 2);
        break;
    case BPF_IND:
        emit_load(o, p, ACC, size_of(i->code), true, i->k);
        break;
    default:
        if (ancillary(i->k))
            emit_ancillary(o, i->k);
        else
            emit_load(o, p, ACC, size_of(i->code), false, i->k);
    }
}

static void emit_alu(struct out *o, const struct places *p, const struct live_insn *i)
{
    int op = BPF_OP(i->code);
    bool by_x = BPF_SRC(i->code) == BPF_X;

    if (op == BPF_NEG) {
        emit(o, BPF_ALU | BPF_NEG, ACC, 0, 0, 0);
        return;
    }
    /* Division by 0 ends a classic filter. */
    if (by_x && (op == BPF_DIV || op == BPF_MOD))
        emit(o, BPF_JMP | BPF_JEQ | BPF_K, IDX, 0, (int)p->drop - (int)o->n - 1, 0);
    emit(o, BPF_ALU | op | (by_x ? BPF_X : BPF_K), ACC, by_x ? IDX : 0, 0, by_x ? 0 : i->k);
}

static void emit_jmp(struct out *o, const struct places *p, unsigned at, const struct live_insn *i)
{
    int op = BPF_OP(i->code), src = IDX;

    if (op == BPF_JA) {
        emit_goto(o, p->at[at + 1 + i->k]);
        return;
    }
    if (BPF_SRC(i->code) == BPF_K && i->k > INT32_MAX) {
        emit(o, MOV32 | BPF_K, BPF_REG_2, 0, 0, i->k);
        src = BPF_REG_2;
    }
    if (BPF_SRC(i->code) == BPF_K && src == IDX)
        emit_jump(o, op | BPF_K, 0, i->k, p->at[at + 1 + i->jt]);
    else
        emit_jump(o, op | BPF_X, src, 0, p->at[at + 1 + i->jt]);
    emit_goto(o, p->at[at + 1 + i->jf]);
}

static void emit_ret(struct out *o, const struct places *p, const struct live_insn *i)
{
    if (BPF_RVAL(i->code) == BPF_A) {
        emit_jump(o, BPF_JNE | BPF_K, 0, 0, p->take);
        emit_goto(o, p->drop);
    } else {
        emit_goto(o, i->k ? p->take : p->drop);
    }
}

static void emit_one(struct out *o, const struct places *p, unsigned at, const struct live_insn *i)
{
    switch (BPF_CLASS(i->code)) {
    case BPF_LD:
    case BPF_LDX:
        emit_ld(o, p, i);
        break;
    case BPF_ST:
        emit(o, BPF_STX | BPF_W | BPF_MEM, BPF_REG_10, ACC, SCRATCH + 4 * (int)i->k, 0);
        break;
    case BPF_STX:
        emit(o, BPF_STX | BPF_W | BPF_MEM, BPF_REG_10, IDX, SCRATCH + 4 * (int)i->k, 0);
        break;
    case BPF_ALU:
        emit_alu(o, p, i);
        break;
    case BPF_JMP:
        emit_jmp(o, p, at, i);
        break;
    case BPF_RET:
        emit_ret(o, p, i);
        break;
    default: /* BPF_MISC */
        if (BPF_MISCOP(i->code) == BPF_TAX)
            emit(o, MOV32 | BPF_X, IDX, ACC, 0, 0);
        else
            emit(o, MOV32 | BPF_X, ACC, IDX, 0, 0);
    }
}

/* ---- what a filter may be ---- */

static bool alu_known(const struct live_insn *i)
{
    switch (i->code) {
    case BPF_ALU | BPF_ADD | BPF_K:
    case BPF_ALU | BPF_ADD | BPF_X:
    case BPF_ALU | BPF_SUB | BPF_K:
    case BPF_ALU | BPF_SUB | BPF_X:
    case BPF_ALU | BPF_MUL | BPF_K:
    case BPF_ALU | BPF_MUL | BPF_X:
    case BPF_ALU | BPF_OR | BPF_K:
    case BPF_ALU | BPF_OR | BPF_X:
    case BPF_ALU | BPF_AND | BPF_K:
    case BPF_ALU | BPF_AND | BPF_X:
    case BPF_ALU | BPF_XOR | BPF_K:
    case BPF_ALU | BPF_XOR | BPF_X:
    case BPF_ALU | BPF_NEG:
    case BPF_ALU | BPF_DIV | BPF_X:
    case BPF_ALU | BPF_MOD | BPF_X:
    case BPF_ALU | BPF_LSH | BPF_X:
    case BPF_ALU | BPF_RSH | BPF_X:
        return true;
    case BPF_ALU | BPF_DIV | BPF_K:
    case BPF_ALU | BPF_MOD | BPF_K:
        return i->k != 0;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K:
        return i->k < 32;
    default:
        return false;
    }
}

static bool load_known(const struct live_insn *i)
{
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_H | BPF_ABS:
    case BPF_LD | BPF_B | BPF_ABS:
        if (!ancillary(i->k))
            return true;
        switch (i->k - (uint32_t)SKF_AD_OFF) {
        case SKF_AD_PROTOCOL:
        case SKF_AD_VLAN_TAG:
        case SKF_AD_VLAN_TAG_PRESENT:
            return true;
        default:
            return false;
        }
    case BPF_LDX | BPF_B | BPF_MSH:
        return !ancillary(i->k);
    case BPF_LD | BPF_W | BPF_IND:
    case BPF_LD | BPF_H | BPF_IND:
    case BPF_LD | BPF_B | BPF_IND:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
        return true;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
        return i->k < BPF_MEMWORDS;
    default:
        return false;
    }
}

static bool jump_known(const struct live_insn *i, unsigned left)
{
    switch (i->code) {
    case BPF_JMP | BPF_JA:
        return i->k < left;
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JEQ | BPF_X:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_X:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_X:
    case BPF_JMP | BPF_JSET | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_X:
        return i->jt < left && i->jf < left;
    default:
        return false;
    }
}

int bpf_filter_check(const struct live_insn *filter, unsigned n, struct err *err)
{
    if (n < 1 || n > LIVE_MAX_FILTER)
        return err_say(err, "%u instructions; 1 to %d are allowed", n, LIVE_MAX_FILTER);
    for (unsigned at = 0; at < n; at++) {
        const struct live_insn *i = &filter[at];
        bool known;

        switch (BPF_CLASS(i->code)) {
        case BPF_ALU:
            known = alu_known(i);
            break;
        case BPF_JMP:
            known = jump_known(i, n - at - 1);
            break;
        case BPF_RET:
            known = i->code == (BPF_RET | BPF_K) || i->code == (BPF_RET | BPF_A);
            break;
        case BPF_MISC:
            known = i->code == (BPF_MISC | BPF_TAX) || i->code == (BPF_MISC | BPF_TXA);
            break;
        default:
            known = load_known(i);
        }
        if (!known)
            return err_say(err, "instruction %u (code 0x%x, k 0x%x) is none that can be run here",
                           at, i->code, i->k);
    }
    if (BPF_CLASS(filter[n - 1].code) != BPF_RET)
        return err_say(err, "its last instruction does not end it");
    return 0;
}

static void emit_all(struct out *o, struct places *p, const struct live_insn *filter, unsigned n)
{
    o->n = 0;
    emit(o, MOV64 | BPF_X, CONTEXT, BPF_REG_1, 0, 0);
    emit(o, MOV32 | BPF_K, ACC, 0, 0, 0);
    emit(o, MOV32 | BPF_K, IDX, 0, 0, 0);
    /* Never taken: a filter may have no way to one of both ends, and the verifier refuses what no way leads to. */
    emit_jump(o, BPF_JNE | BPF_K, 0, 0, p->take);
    emit_jump(o, BPF_JNE | BPF_K, 0, 0, p->drop);
    for (int word = 0; word < BPF_MEMWORDS; word += 2)
        emit(o, BPF_ST | BPF_DW | BPF_MEM, BPF_REG_10, 0, SCRATCH + 4 * word, 0);
    for (unsigned i = 0; i < n; i++) {
        p->at[i] = (uint32_t)o->n;
        emit_one(o, p, i, &filter[i]);
    }
    p->drop = (uint32_t)o->n;
    emit(o, MOV64 | BPF_K, BPF_REG_0, 0, 0, (uint32_t)-1);
    emit(o, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    p->take = (uint32_t)o->n;
    emit(o, MOV64 | BPF_X, BPF_REG_1, CONTEXT, 0, 0);
}

/* Whether an instruction can be come to: the verifier refuses programs with others. */
static unsigned reachable(const struct live_insn *filter, unsigned n, struct live_insn *ret,
                          uint32_t *number)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++)
        number[i] = i == 0;
    for (unsigned i = 0; i < n; i++) {
        if (!number[i])
            continue;
        if (filter[i].code == (BPF_JMP | BPF_JA)) {
            number[i + 1 + filter[i].k] = 1;
        } else if (BPF_CLASS(filter[i].code) == BPF_JMP) {
            number[i + 1 + filter[i].jt] = 1;
            number[i + 1 + filter[i].jf] = 1;
        } else if (BPF_CLASS(filter[i].code) != BPF_RET) {
            number[i + 1] = 1;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        bool keep = number[i];

        number[i] = kept;
        if (keep)
            ret[kept++] = filter[i];
        else
            number[i] = UINT32_MAX;
    }
    /* Distances shrink by what went. */
    for (unsigned i = 0; i < n; i++) {
        struct live_insn *now = number[i] == UINT32_MAX ? NULL : &ret[number[i]];

        if (!now || BPF_CLASS(now->code) != BPF_JMP)
            continue;
        if (now->code == (BPF_JMP | BPF_JA)) {
            now->k = number[i + 1 + filter[i].k] - number[i] - 1;
        } else {
            now->jt = (uint8_t)(number[i + 1 + filter[i].jt] - number[i] - 1);
            now->jf = (uint8_t)(number[i + 1 + filter[i].jf] - number[i] - 1);
        }
    }
    return kept;
}

int bpf_filter_translate(const struct live_insn *filter, unsigned n, uint64_t *ret_insns,
                         size_t room, struct err *err)
{
    AUTO(free_p) struct live_insn *kept = calloc(n + 1, sizeof *kept);
    AUTO(free_p) uint32_t *at = calloc(n + 1, sizeof *at);
    struct out o = {.insns = ret_insns, .room = room};
    struct places p = {.at = at};
    int r = bpf_filter_check(filter, n, err);

    if (r < 0)
        return r;
    if (!kept || !at)
        return err_set(err, ENOMEM, "translating");
    n = reachable(filter, n, kept, at);
    /* Once to learn the places, once with them: no instruction's length hangs on how far it jumps. */
    emit_all(&o, &p, kept, n);
    emit_all(&o, &p, kept, n);
    if (o.n > room || o.n > INT16_MAX)
        return err_say(err, "it becomes %zu instructions, too many for programs in the kernel",
                       o.n);
    return (int)o.n;
}
