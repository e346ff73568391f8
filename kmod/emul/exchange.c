// SPDX-License-Identifier: GPL-2.0-only
/* Instructions that swap or conditionally replace their destination. */

#include "internal.h"

/* Registers are changed before memory is; emul_step() takes them back if the store fails. */
static void set_source(struct emul_ctx *ctx, struct emul_args *a, u64 value)
{
	struct emul_operand source = a->src;

	source.value = value;
	emul_store(ctx, &source, false);
}

int emul_run_xchg(struct emul_ctx *ctx, struct emul_args *a)
{
	a->dst.value = a->src.value;
	set_source(ctx, a, a->dst.old);
	return EMUL_DONE;
}

int emul_run_xadd(struct emul_ctx *ctx, struct emul_args *a)
{
	u64 old = a->dst.value;
	unsigned int op = ctx->insn.op;

	ctx->insn.op = OP_ADD;
	emul_run_binary(ctx, a);
	ctx->insn.op = op;
	set_source(ctx, a, old);
	return EMUL_DONE;
}

/*
 * SDM, CMPXCHG: memory is written in either case. A register that is not replaced stays as it is,
 * the upper half included.
 */
int emul_run_cmpxchg(struct emul_ctx *ctx, struct emul_args *a)
{
	unsigned int bytes = a->dst.bytes;
	u64 expected = emul_get_gpr(ctx, EMUL_RAX, bytes);

	emul_compare(ctx, expected, a->dst.old, bytes);
	if (expected == a->dst.old)
		a->dst.value = a->src.value;
	else
		emul_set_gpr(ctx, EMUL_RAX, bytes, a->dst.old);
	if (expected != a->dst.old && a->dst.kind == OPERAND_REG)
		a->dst.kind = OPERAND_NONE;
	return EMUL_DONE;
}

static void pack(const struct emul_ctx *ctx, unsigned int low, unsigned int high,
		 unsigned int bytes, u8 *buf)
{
	memcpy(buf, &ctx->gpr[low], bytes);
	memcpy(buf + bytes, &ctx->gpr[high], bytes);
}

/* CMPXCHG8B and CMPXCHG16B. */
int emul_run_cmpxchg8b(struct emul_ctx *ctx, struct emul_args *a)
{
	unsigned int half = ctx->insn.rex & REX_W ? 8 : 4;
	u8 expected[16], new[16], old[16];
	u64 linear, low = 0, high = 0;
	int r;

	r = emul_linearise(ctx, emul_default_segment(ctx), a->src.value, 2 * half,
			   EMUL_READ | EMUL_WRITE, &linear);
	if (r)
		return r;
	if (half == 8 && linear % 16)
		return emul_gp(ctx);
	r = ctx->ops->read(ctx, linear, old, 2 * half, EMUL_READ | EMUL_WRITE);
	if (r > EMUL_STOP)
		return r;
	pack(ctx, EMUL_RAX, EMUL_RDX, half, expected);
	pack(ctx, EMUL_RBX, EMUL_RCX, half, new);
	ctx->rflags |= X86_EFLAGS_ZF;
	if (memcmp(old, expected, 2 * half)) {
		ctx->rflags &= ~(u64)X86_EFLAGS_ZF;
		memcpy(new, old, 2 * half);
		memcpy(&low, old, half);
		memcpy(&high, old + half, half);
		emul_set_gpr(ctx, EMUL_RAX, half, low);
		emul_set_gpr(ctx, EMUL_RDX, half, high);
	}
	if (a->locked)
		return ctx->ops->compare_exchange(ctx, linear, old, new, 2 * half);
	return ctx->ops->write(ctx, linear, new, 2 * half);
}
