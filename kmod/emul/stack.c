// SPDX-License-Identifier: GPL-2.0-only
/* PUSH, POP, and near CALL and JMP through a register or memory. */

#include "internal.h"

/* Width of the stack pointer. */
unsigned int emul_stack_bytes(const struct emul_ctx *ctx)
{
	if (ctx->mode == EMUL_LONG64)
		return 8;
	return ctx->seg[EMUL_SS].db ? 4 : 2;
}

static int push(struct emul_ctx *ctx, u64 value, unsigned int bytes)
{
	unsigned int width = emul_stack_bytes(ctx);
	u64 sp = (ctx->gpr[EMUL_RSP] - bytes) & emul_mask(width);
	u64 linear;
	int r;

	r = emul_linearise(ctx, EMUL_SS, sp, bytes, EMUL_WRITE, &linear);
	if (r)
		return r;
	r = ctx->ops->write(ctx, linear, &value, bytes);
	if (r <= EMUL_STOP)
		emul_set_gpr(ctx, EMUL_RSP, width, sp);
	return r;
}

int emul_run_push(struct emul_ctx *ctx, struct emul_args *a)
{
	return push(ctx, a->src.value, a->src.bytes);
}

int emul_run_pop(struct emul_ctx *ctx, struct emul_args *a)
{
	unsigned int width = emul_stack_bytes(ctx);

	a->dst.value = a->src.value;
	emul_set_gpr(ctx, EMUL_RSP, width, ctx->gpr[EMUL_RSP] + a->src.bytes);
	return EMUL_DONE;
}

/* CALL and JMP: RIP already is the return address. */
int emul_run_branch(struct emul_ctx *ctx, struct emul_args *a)
{
	u64 target = a->src.value & emul_mask(a->src.bytes);
	u64 linear;
	int r;

	r = emul_linearise(ctx, EMUL_CS, target, 1, 0, &linear);
	if (r)
		return r;
	if (ctx->insn.op == OP_CALL) {
		r = push(ctx, ctx->rip, a->src.bytes);
		if (r > EMUL_STOP)
			return r;
	}
	ctx->rip = target;
	return r;
}
