// SPDX-License-Identifier: GPL-2.0-only
/* PUSH, POP, and near CALL and JMP through a register or memory. */

#include "internal.h"

unsigned int emul_stack_bytes(struct emul_ctx *ctx)
{
	if (ctx->mode == EMUL_LONG64)
		return 8;
	return emul_segment(ctx, EMUL_SS)->db ? 4 : 2;
}

/* Where the next PUSH of @bytes goes: stack pointer and linear address. */
static int locate_push(struct emul_ctx *ctx, unsigned int bytes, u64 *sp, u64 *linear)
{
	*sp = (ctx->gpr[EMUL_RSP] - bytes) & emul_mask(emul_stack_bytes(ctx));
	return emul_linearise(ctx, EMUL_SS, *sp, bytes, EMUL_WRITE, linear);
}

static int store_push(struct emul_ctx *ctx, u64 value, unsigned int bytes, u64 sp, u64 linear)
{
	int r = ctx->ops->write(ctx, linear, &value, bytes);

	if (r <= EMUL_STOP)
		emul_set_gpr(ctx, EMUL_RSP, emul_stack_bytes(ctx), sp);
	return r;
}

int emul_run_push(struct emul_ctx *ctx, struct emul_args *a)
{
	u64 sp, linear;
	int r;

	r = locate_push(ctx, a->src.bytes, &sp, &linear);
	if (r)
		return r;
	return store_push(ctx, a->src.value, a->src.bytes, sp, linear);
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
	u64 sp = 0, linear = 0, unused;
	int r;

	/* The stack is checked before the target. */
	if (ctx->insn.op == OP_CALL) {
		r = locate_push(ctx, a->src.bytes, &sp, &linear);
		if (r)
			return r;
	}
	r = emul_linearise(ctx, EMUL_CS, target, 1, 0, &unused);
	if (r)
		return r;
	if (ctx->insn.op == OP_CALL) {
		r = store_push(ctx, ctx->rip, a->src.bytes, sp, linear);
		if (r > EMUL_STOP)
			return r;
	}
	ctx->rip = target;
	return r;
}
