// SPDX-License-Identifier: GPL-2.0-only
/* Multiplication and division. */

#include "flags.h"

/* The upper half of the double-width operand: AH for bytes, else RDX. */
static u64 get_high(struct emul_ctx *ctx, unsigned int bytes)
{
	if (bytes == 1)
		return ctx->gpr[EMUL_RAX] >> 8 & 0xff;
	return emul_get_gpr(ctx, EMUL_RDX, bytes);
}

static void set_pair(struct emul_ctx *ctx, unsigned int bytes, u64 low, u64 high)
{
	if (bytes == 1) {
		emul_set_gpr(ctx, EMUL_RAX, 2, (low & 0xff) | (high & 0xff) << 8);
		return;
	}
	emul_set_gpr(ctx, EMUL_RAX, bytes, low);
	emul_set_gpr(ctx, EMUL_RDX, bytes, high);
}

#define MULTIPLY(insn, type)								\
	do {										\
		type lo_, hi_, s_ = a->src.value;					\
											\
		asm(LOAD_FLAGS "mov %[in], %%rax\n\t" insn " %[s]\n\t"			\
		    "mov %%rax, %[in]" SAVE_FLAGS					\
		    : "+&a" (ax), "=&d" (hi_), [in] "+&r" (rax) : [s] "r" (s_) : "cc");	\
		lo_ = rax;								\
		low = lo_;								\
		high = hi_;								\
	} while (0)

#define MULTIPLY_BYTE(insn)								\
	do {										\
		u8 s_ = a->src.value;							\
											\
		asm(LOAD_FLAGS "mov %[in], %%rax\n\t" insn " %[s]\n\t"			\
		    "mov %%rax, %[in]" SAVE_FLAGS					\
		    : "+&a" (ax), [in] "+&r" (rax) : [s] "q" (s_) : "cc");		\
		low = rax & 0xff;							\
		high = rax >> 8 & 0xff;							\
	} while (0)

#define MULTIPLY_SIZES(insn)								\
	do {										\
		switch (a->src.bytes) {							\
		case 1:									\
			MULTIPLY_BYTE(insn);						\
			break;								\
		case 2:									\
			MULTIPLY(insn, u16);						\
			break;								\
		case 4:									\
			MULTIPLY(insn, u32);						\
			break;								\
		default:								\
			MULTIPLY(insn, u64);						\
			break;								\
		}									\
	} while (0)

/* MUL and one-operand IMUL, on the host's processor for the flags. */
int emul_run_multiply(struct emul_ctx *ctx, struct emul_args *a)
{
	u16 ax = emul_flags_to_ax(ctx->rflags);
	u64 rax = ctx->gpr[EMUL_RAX], low, high;

	if (ctx->insn.op == OP_MUL)
		MULTIPLY_SIZES("mul");
	else
		MULTIPLY_SIZES("imul");
	set_pair(ctx, a->src.bytes, low, high);
	emul_flags_from_ax(ctx, ax);
	return EMUL_DONE;
}

#define TRUNCATE(type)									\
	do {										\
		type d_ = factor;							\
											\
		asm(LOAD_FLAGS "imul %[s], %[d]" SAVE_FLAGS				\
		    : "+&a" (ax), [d] "+r" (d_) : [s] "r" ((type)a->src.value) : "cc");	\
		a->dst.value = d_;							\
	} while (0)

/* IMUL with two or three operands. */
int emul_run_imul_trunc(struct emul_ctx *ctx, struct emul_args *a)
{
	bool immediate = emul_forms[ctx->insn.desc->form].imm;
	u64 factor = immediate ? ctx->insn.imm : ctx->gpr[a->dst.reg];
	u16 ax = emul_flags_to_ax(ctx->rflags);

	if (a->dst.bytes == 2)
		TRUNCATE(u16);
	else if (a->dst.bytes == 4)
		TRUNCATE(u32);
	else
		TRUNCATE(u64);
	emul_flags_from_ax(ctx, ax);
	return EMUL_DONE;
}

/*
 * Divide @high:@low by @divisor. False if the quotient needs more than 64 bits, or the divisor is
 * zero: the host's processor must not see these.
 */
static bool divide(u64 high, u64 low, u64 divisor, u64 *quotient, u64 *remainder)
{
	if (high >= divisor)
		return false;
	asm("divq %[divisor]"
	    : "=a" (*quotient), "=d" (*remainder)
	    : "0" (low), "1" (high), [divisor] "r" (divisor) : "cc");
	return true;
}

static bool divide_unsigned(struct emul_ctx *ctx, unsigned int bytes, u64 divisor, u64 *quotient,
			    u64 *remainder)
{
	u64 low = emul_get_gpr(ctx, EMUL_RAX, bytes);
	u64 high = get_high(ctx, bytes);

	if (bytes < 8) {
		low |= high << (8 * bytes);
		high = 0;
	}
	return divide(high, low, divisor, quotient, remainder) && *quotient <= emul_mask(bytes);
}

static u64 sign_of(u64 value, unsigned int bytes)
{
	return value >> (8 * bytes - 1) & 1;
}

/* Signed division by way of magnitudes; the remainder has the dividend's sign. */
static bool divide_signed(struct emul_ctx *ctx, unsigned int bytes, u64 divisor, u64 *quotient,
			  u64 *remainder)
{
	u64 low = emul_get_gpr(ctx, EMUL_RAX, bytes);
	u64 high = get_high(ctx, bytes);
	bool negative = sign_of(high, bytes);
	bool opposite = negative != sign_of(divisor, bytes);
	u64 largest = emul_mask(bytes) >> 1;

	if (bytes < 8) {
		low |= high << (8 * bytes);
		high = 0;
	}
	if (negative) {
		low = -low;
		high = bytes < 8 ? 0 : ~high + !low;
		if (bytes < 4)
			low &= emul_mask(2 * bytes);
	}
	if (sign_of(divisor, bytes))
		divisor = -divisor & emul_mask(bytes);
	if (!divide(high, low, divisor, quotient, remainder))
		return false;
	if (*quotient > largest + opposite)
		return false;
	if (opposite)
		*quotient = -*quotient;
	if (negative)
		*remainder = -*remainder;
	return true;
}

/* DIV and IDIV leave the flags undefined; here they stay. */
int emul_run_divide(struct emul_ctx *ctx, struct emul_args *a)
{
	unsigned int bytes = a->src.bytes;
	u64 quotient, remainder;
	bool ok;

	if (ctx->insn.op == OP_DIV)
		ok = divide_unsigned(ctx, bytes, a->src.value, &quotient, &remainder);
	else
		ok = divide_signed(ctx, bytes, a->src.value, &quotient, &remainder);
	if (!ok)
		return emul_fault(ctx, X86_TRAP_DE, 0);
	set_pair(ctx, bytes, quotient, remainder);
	return EMUL_DONE;
}
