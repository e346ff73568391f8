// SPDX-License-Identifier: GPL-2.0-only
/* One instruction from start to end, and the operations that only move data. */

#include "internal.h"

/* What an operation does with its operands. */
#define LOAD_DST BIT(0)		/* reads the destination */
#define STORE_DST BIT(1)	/* writes the destination */
#define LOCKABLE BIT(2)		/* LOCK is valid if the destination is memory */
#define ALWAYS_LOCKED BIT(3)	/* atomic without LOCK */
#define NO_LOAD BIT(4)		/* the source's address is checked, but nothing is read */
#define COMMITS BIT(5)		/* completed iterations stay when a later one fails */

struct operation {
	int (*run)(struct emul_ctx *ctx, struct emul_args *a);
	u8 flags;
};

static int run_nop(struct emul_ctx *ctx, struct emul_args *a)
{
	return EMUL_DONE;
}

/* Nothing to write back, but the line must be readable. */
static int run_clflush(struct emul_ctx *ctx, struct emul_args *a)
{
	if (!ctx->ops->probe)
		return EMUL_UNHANDLEABLE;
	return ctx->ops->probe(ctx, a->src.linear, 1, EMUL_READ);
}

/* MOV, MOVZX, MOVNTI, LEA: a source that is shorter is zero-extended. */
static int run_mov(struct emul_ctx *ctx, struct emul_args *a)
{
	a->dst.value = a->src.value;
	return EMUL_DONE;
}

static int run_movsx(struct emul_ctx *ctx, struct emul_args *a)
{
	unsigned int shift = 64 - 8 * a->src.bytes;

	a->dst.value = (u64)((s64)(a->src.value << shift) >> shift);
	return EMUL_DONE;
}

static u64 swap_bytes(u64 value, unsigned int bytes)
{
	return __builtin_bswap64(value) >> (64 - 8 * bytes);
}

static int run_movbe(struct emul_ctx *ctx, struct emul_args *a)
{
	a->dst.value = swap_bytes(a->src.value, a->src.bytes);
	return EMUL_DONE;
}

static int run_bswap(struct emul_ctx *ctx, struct emul_args *a)
{
	/* SDM, BSWAP: undefined for 16 bits. */
	if (a->dst.bytes == 2)
		return EMUL_UNHANDLEABLE;
	a->dst.value = swap_bytes(a->dst.value, a->dst.bytes);
	return EMUL_DONE;
}

static int run_xlat(struct emul_ctx *ctx, struct emul_args *a)
{
	int seg = ctx->insn.segment >= 0 ? ctx->insn.segment : EMUL_DS;
	u64 offset = ctx->gpr[EMUL_RBX] + (ctx->gpr[EMUL_RAX] & 0xff);
	u8 byte;
	int r;

	r = emul_linearise(ctx, seg, offset & emul_mask(ctx->insn.addr_bytes), 1, EMUL_READ,
			   &a->src.linear);
	if (r)
		return r;
	r = ctx->ops->read(ctx, a->src.linear, &byte, 1, EMUL_READ);
	if (r <= EMUL_STOP)
		emul_set_gpr(ctx, EMUL_RAX, 1, byte);
	return r;
}

/* The condition that the low four bits of Jcc, SETcc and CMOVcc encode. */
static bool condition(const struct emul_ctx *ctx)
{
	u64 f = ctx->rflags;
	bool less = !(f & X86_EFLAGS_SF) != !(f & X86_EFLAGS_OF);
	bool result = false;

	switch (ctx->insn.opcode >> 1 & 7) {
	case 0:
		result = f & X86_EFLAGS_OF;
		break;
	case 1:
		result = f & X86_EFLAGS_CF;
		break;
	case 2:
		result = f & X86_EFLAGS_ZF;
		break;
	case 3:
		result = f & (X86_EFLAGS_CF | X86_EFLAGS_ZF);
		break;
	case 4:
		result = f & X86_EFLAGS_SF;
		break;
	case 5:
		result = f & X86_EFLAGS_PF;
		break;
	case 6:
		result = less;
		break;
	case 7:
		result = less || f & X86_EFLAGS_ZF;
		break;
	}
	return result != (ctx->insn.opcode & 1);
}

static int run_setcc(struct emul_ctx *ctx, struct emul_args *a)
{
	a->dst.value = condition(ctx);
	return EMUL_DONE;
}

/* The source is read, and a 32-bit destination zero-extended, whatever the condition. */
static int run_cmovcc(struct emul_ctx *ctx, struct emul_args *a)
{
	if (condition(ctx))
		a->dst.value = a->src.value;
	return EMUL_DONE;
}

#define CHANGE (LOAD_DST | STORE_DST)

static const struct operation operations[OP_COUNT] = {
	[OP_ADD ... OP_XOR] = { emul_run_binary, CHANGE | LOCKABLE },
	[OP_CMP] = { emul_run_binary, LOAD_DST },
	[OP_ROL ... OP_SAR] = { emul_run_shift, CHANGE },
	[OP_TEST] = { emul_run_binary, LOAD_DST },
	[OP_INC ... OP_NEG] = { emul_run_unary, CHANGE | LOCKABLE },
	[OP_MUL ... OP_IMUL] = { emul_run_multiply },
	[OP_DIV ... OP_IDIV] = { emul_run_divide },
	[OP_IMUL_TRUNC] = { emul_run_imul_trunc, STORE_DST },
	[OP_BT] = { emul_run_bit, LOAD_DST },
	[OP_BTS ... OP_BTC] = { emul_run_bit, CHANGE | LOCKABLE },
	[OP_BSF ... OP_LZCNT] = { emul_run_scan },
	[OP_SHLD ... OP_SHRD] = { emul_run_double_shift, CHANGE },
	[OP_MOV] = { run_mov, STORE_DST },
	[OP_MOVSX] = { run_movsx, STORE_DST },
	[OP_MOVBE] = { run_movbe, STORE_DST },
	[OP_BSWAP] = { run_bswap, CHANGE },
	[OP_LEA] = { run_mov, STORE_DST },
	[OP_XLAT] = { run_xlat },
	[OP_SETCC] = { run_setcc, STORE_DST },
	[OP_CMOVCC] = { run_cmovcc, CHANGE },
	[OP_XCHG] = { emul_run_xchg, CHANGE | LOCKABLE | ALWAYS_LOCKED },
	[OP_XADD] = { emul_run_xadd, CHANGE | LOCKABLE },
	[OP_CMPXCHG] = { emul_run_cmpxchg, CHANGE | LOCKABLE },
	[OP_CMPXCHG8B] = { emul_run_cmpxchg8b, LOCKABLE },
	[OP_PUSH] = { emul_run_push },
	[OP_POP] = { emul_run_pop, STORE_DST },
	[OP_CALL ... OP_JMP] = { emul_run_branch },
	[OP_NOP] = { run_nop },
	[OP_CLFLUSH] = { run_clflush, NO_LOAD },
	[OP_MOVS ... OP_SCAS] = { emul_run_string, COMMITS },
	[OP_INS ... OP_OUTS] = { emul_run_port_string, COMMITS },
	[OP_IN ... OP_OUT] = { emul_run_port },
	[OP_VLOAD ... OP_VTO] = { emul_run_vector },
	[OP_STORE_SELECTOR ... OP_STORE_MSW] = { emul_run_store_system },
};

/* SDM, LOCK: certain instructions, and only if the destination is memory. */
static bool lock_allowed(const struct emul_insn *insn, const struct operation *op)
{
	const struct emul_form_desc *form = &emul_forms[insn->desc->form];

	if (!(op->flags & LOCKABLE) || !insn->has_modrm || insn->modrm >= 0xc0)
		return false;
	return form->dst == AT_E || form->src == AT_ADDRESS;
}

static int execute(struct emul_ctx *ctx, const struct operation *op, struct emul_args *a)
{
	unsigned int access = 0;
	int r;

	if (ctx->insn.lock && !lock_allowed(&ctx->insn, op))
		return emul_ud(ctx);
	a->locked = ctx->insn.lock || op->flags & ALWAYS_LOCKED;
	if (op->flags & LOAD_DST)
		access |= EMUL_READ;
	if (op->flags & STORE_DST)
		access |= EMUL_WRITE;
	r = emul_locate(ctx, a, access);
	if (r)
		return r;
	if (!(op->flags & NO_LOAD)) {
		r = emul_load(ctx, &a->src, EMUL_READ);
		if (r > EMUL_STOP)
			return r;
	}
	if (op->flags & LOAD_DST) {
		r = emul_load(ctx, &a->dst, access);
		if (r > EMUL_STOP)
			return r;
	}
	r = op->run(ctx, a);
	if (r > EMUL_STOP || !(op->flags & STORE_DST))
		return r;
	return emul_store(ctx, &a->dst, a->locked);
}

/* Translate what emul_decode() says if it did not succeed. */
static int decode_failure(struct emul_ctx *ctx, int r)
{
	switch (r) {
	case -E2BIG:
		return emul_gp(ctx);
	case -EINVAL:
		return ctx->insn.op == OP_UNDEFINED ? emul_ud(ctx) : EMUL_UNHANDLEABLE;
	default:
		return r;
	}
}

int emul_step(struct emul_ctx *ctx)
{
	const struct operation *op;
	struct emul_args a = {};
	u64 rip = ctx->rip, rflags = ctx->rflags;
	int r;

	ctx->again = false;
	if (!ctx->decoded) {
		r = emul_decode(ctx);
		if (r)
			return decode_failure(ctx, r);
	}
	/* Before the operands' faults. */
	if (ctx->insn.op == OP_UNDEFINED)
		return emul_ud(ctx);
	op = &operations[ctx->insn.op];
	if (!op->run)
		return EMUL_UNHANDLEABLE;

	memcpy(ctx->saved, ctx->gpr, sizeof(ctx->saved));
	ctx->rip += ctx->insn.len;
	if (ctx->mode != EMUL_LONG64)
		ctx->rip = (u32)ctx->rip;
	r = execute(ctx, op, &a);
	if (r <= EMUL_STOP) {
		ctx->rflags &= ~(u64)X86_EFLAGS_RF;
		ctx->again = a.again;
		if (a.again) {
			ctx->rip = rip;
			/* SDM, "Masking Instruction-Breakpoint Exceptions: RF Flag". */
			ctx->rflags |= X86_EFLAGS_RF;
		}
		return EMUL_DONE;
	}
	ctx->rip = rip;
	ctx->rflags = rflags;
	if (!(op->flags & COMMITS))
		memcpy(ctx->gpr, ctx->saved, sizeof(ctx->gpr));
	/* Another processor was faster: the guest executes the instruction again. */
	return r == EMUL_MISMATCH ? EMUL_DONE : r;
}
