// SPDX-License-Identifier: GPL-2.0-only
/* Arithmetic and logic. */

#include "flags.h"

/* Run @body on a destination of @type; %[d] is the destination, %[s] the source. */
#define RUN_SIZED(type, body, constraint)						\
	do {										\
		type d_ = *dst, s_ = src;						\
											\
		asm(LOAD_FLAGS body SAVE_FLAGS						\
		    : "+&a" (ax), [d] "+q" (d_) : [s] constraint (s_) : "cc");		\
		*dst = d_;								\
	} while (0)

#define RUN_ALL_SIZES(body, constraint)							\
	do {										\
		switch (bytes) {							\
		case 1:									\
			RUN_SIZED(u8, body, constraint);				\
			break;								\
		case 2:									\
			RUN_SIZED(u16, body, constraint);				\
			break;								\
		case 4:									\
			RUN_SIZED(u32, body, constraint);				\
			break;								\
		default:								\
			RUN_SIZED(u64, body, constraint);				\
			break;								\
		}									\
	} while (0)

#define RUN_BINARY(insn) RUN_ALL_SIZES(insn " %[s], %[d]", "q")

static void binary(struct emul_ctx *ctx, unsigned int op, unsigned int bytes, u64 *dst, u64 src)
{
	u16 ax = emul_flags_to_ax(ctx->rflags);

	switch (op) {
	case OP_ADD:
		RUN_BINARY("add");
		break;
	case OP_OR:
		RUN_BINARY("or");
		break;
	case OP_ADC:
		RUN_BINARY("adc");
		break;
	case OP_SBB:
		RUN_BINARY("sbb");
		break;
	case OP_AND:
		RUN_BINARY("and");
		break;
	case OP_SUB:
		RUN_BINARY("sub");
		break;
	case OP_XOR:
		RUN_BINARY("xor");
		break;
	case OP_CMP:
		RUN_BINARY("cmp");
		break;
	case OP_TEST:
		RUN_BINARY("test");
		break;
	}
	emul_flags_from_ax(ctx, ax);
}

int emul_run_binary(struct emul_ctx *ctx, struct emul_args *a)
{
	binary(ctx, ctx->insn.op, a->dst.bytes, &a->dst.value, a->src.value);
	return EMUL_DONE;
}

void emul_compare(struct emul_ctx *ctx, u64 dst, u64 src, unsigned int bytes)
{
	binary(ctx, OP_CMP, bytes, &dst, src);
}

int emul_run_unary(struct emul_ctx *ctx, struct emul_args *a)
{
	u16 ax = emul_flags_to_ax(ctx->rflags);
	unsigned int bytes = a->dst.bytes;
	u64 *dst = &a->dst.value;
	u64 src = 0;

	switch (ctx->insn.op) {
	case OP_INC:
		RUN_ALL_SIZES("inc %[d]", "q");
		break;
	case OP_DEC:
		RUN_ALL_SIZES("dec %[d]", "q");
		break;
	case OP_NOT:
		RUN_ALL_SIZES("not %[d]", "q");
		break;
	case OP_NEG:
		RUN_ALL_SIZES("neg %[d]", "q");
		break;
	}
	emul_flags_from_ax(ctx, ax);
	return EMUL_DONE;
}

#define RUN_SHIFT(insn) RUN_ALL_SIZES(insn " %b[s], %[d]", "c")

int emul_run_shift(struct emul_ctx *ctx, struct emul_args *a)
{
	u16 ax = emul_flags_to_ax(ctx->rflags);
	unsigned int bytes = a->dst.bytes;
	u64 *dst = &a->dst.value;
	u64 src = a->src.value & 0xff;

	switch (ctx->insn.op) {
	case OP_ROL:
		RUN_SHIFT("rol");
		break;
	case OP_ROR:
		RUN_SHIFT("ror");
		break;
	case OP_RCL:
		RUN_SHIFT("rcl");
		break;
	case OP_RCR:
		RUN_SHIFT("rcr");
		break;
	case OP_SHL:
	case OP_SAL:
		RUN_SHIFT("shl");
		break;
	case OP_SHR:
		RUN_SHIFT("shr");
		break;
	case OP_SAR:
		RUN_SHIFT("sar");
		break;
	}
	emul_flags_from_ax(ctx, ax);
	return EMUL_DONE;
}

#define RUN_DOUBLE(insn, type)								\
	do {										\
		type d_ = a->dst.value, s_ = a->src.value;				\
											\
		asm(LOAD_FLAGS insn " %%cl, %[s], %[d]" SAVE_FLAGS			\
		    : "+&a" (ax), [d] "+r" (d_) : [s] "r" (s_), "c" (count) : "cc");	\
		a->dst.value = d_;							\
	} while (0)

int emul_run_double_shift(struct emul_ctx *ctx, struct emul_args *a)
{
	bool immediate = emul_forms[ctx->insn.desc->form].imm;
	u8 count = immediate ? ctx->insn.imm : ctx->gpr[EMUL_RCX];
	u16 ax = emul_flags_to_ax(ctx->rflags);
	bool left = ctx->insn.op == OP_SHLD;

	if (a->dst.bytes == 2 && left)
		RUN_DOUBLE("shld", u16);
	else if (a->dst.bytes == 2)
		RUN_DOUBLE("shrd", u16);
	else if (a->dst.bytes == 4 && left)
		RUN_DOUBLE("shld", u32);
	else if (a->dst.bytes == 4)
		RUN_DOUBLE("shrd", u32);
	else if (left)
		RUN_DOUBLE("shld", u64);
	else
		RUN_DOUBLE("shrd", u64);
	emul_flags_from_ax(ctx, ax);
	return EMUL_DONE;
}

/* BT and its kind: the bit goes to CF, the other flags stay. */
int emul_run_bit(struct emul_ctx *ctx, struct emul_args *a)
{
	u64 bit = BIT_ULL(a->src.value & (8 * a->dst.bytes - 1));

	ctx->rflags &= ~(u64)X86_EFLAGS_CF;
	if (a->dst.value & bit)
		ctx->rflags |= X86_EFLAGS_CF;
	switch (ctx->insn.op) {
	case OP_BTS:
		a->dst.value |= bit;
		break;
	case OP_BTR:
		a->dst.value &= ~bit;
		break;
	case OP_BTC:
		a->dst.value ^= bit;
		break;
	}
	return EMUL_DONE;
}

#define RUN_SCAN(insn, type)								\
	do {										\
		type s_ = a->src.value;							\
											\
		asm(LOAD_FLAGS insn " %[s], %" SCAN_##type "[d]" SAVE_FLAGS		\
		    : "+&a" (ax), [d] "+r" (value) : [s] "r" (s_) : "cc");		\
	} while (0)
#define SCAN_u16 "w"
#define SCAN_u32 "k"
#define SCAN_u64 "q"

#define RUN_SCAN_SIZES(insn)								\
	do {										\
		if (a->dst.bytes == 2)							\
			RUN_SCAN(insn, u16);						\
		else if (a->dst.bytes == 4)						\
			RUN_SCAN(insn, u32);						\
		else									\
			RUN_SCAN(insn, u64);						\
	} while (0)

/*
 * The whole destination register takes part: what BSF and BSR of zero leave in it, upper half
 * included, is the processor's affair.
 */
int emul_run_scan(struct emul_ctx *ctx, struct emul_args *a)
{
	u16 ax = emul_flags_to_ax(ctx->rflags);
	u64 value = ctx->gpr[a->dst.reg];

	switch (ctx->insn.op) {
	case OP_BSF:
		RUN_SCAN_SIZES("bsf");
		break;
	case OP_BSR:
		RUN_SCAN_SIZES("bsr");
		break;
	case OP_TZCNT:
		RUN_SCAN_SIZES("rep bsf");
		break;
	case OP_LZCNT:
		RUN_SCAN_SIZES("rep bsr");
		break;
	}
	emul_flags_from_ax(ctx, ax);
	ctx->gpr[a->dst.reg] = value;
	return EMUL_DONE;
}
