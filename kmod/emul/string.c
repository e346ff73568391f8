// SPDX-License-Identifier: GPL-2.0-only
/* MOVS, CMPS, STOS, LODS and SCAS. */

#include "internal.h"

/* What one iteration works with. */
struct string_state {
	unsigned int bytes;
	u64 source;		/* linear, from DS:rSI */
	u64 destination;	/* linear, from ES:rDI */
	u64 rflags;		/* as the last iteration left them */
};

static bool uses_source(unsigned int op)
{
	return op == OP_MOVS || op == OP_CMPS || op == OP_LODS;
}

static bool uses_destination(unsigned int op)
{
	return op != OP_LODS;
}

static bool compares(unsigned int op)
{
	return op == OP_CMPS || op == OP_SCAS;
}

static int locate_iteration(struct emul_ctx *ctx, struct string_state *s)
{
	unsigned int op = ctx->insn.op, width = ctx->insn.addr_bytes;
	unsigned int access = compares(op) ? EMUL_READ : EMUL_WRITE;
	int seg = ctx->insn.segment >= 0 ? ctx->insn.segment : EMUL_DS;
	int r = EMUL_DONE;

	if (uses_source(op))
		r = emul_linearise(ctx, seg, emul_get_gpr(ctx, EMUL_RSI, width), s->bytes,
				   EMUL_READ, &s->source);
	if (!r && uses_destination(op))
		r = emul_linearise(ctx, EMUL_ES, emul_get_gpr(ctx, EMUL_RDI, width), s->bytes,
				   access, &s->destination);
	return r;
}

/* The comparison sets the flags of @s only: an instruction that is interrupted keeps its own. */
static void compare(struct emul_ctx *ctx, struct string_state *s, u64 first, u64 second)
{
	u64 rflags = ctx->rflags;

	emul_compare(ctx, first, second, s->bytes);
	s->rflags = ctx->rflags;
	ctx->rflags = rflags;
}

/* Memory accesses of one iteration. EMUL_STOP if any of them said so. */
static int access_memory(struct emul_ctx *ctx, struct string_state *s)
{
	unsigned int op = ctx->insn.op;
	u64 first = emul_get_gpr(ctx, EMUL_RAX, s->bytes), second = 0;
	int r = EMUL_DONE, r2 = EMUL_DONE;

	if (uses_source(op)) {
		first = 0;
		r = ctx->ops->read(ctx, s->source, &first, s->bytes, EMUL_READ);
		if (r > EMUL_STOP)
			return r;
	}
	if (compares(op))
		r2 = ctx->ops->read(ctx, s->destination, &second, s->bytes, EMUL_READ);
	else if (uses_destination(op))
		r2 = ctx->ops->write(ctx, s->destination, &first, s->bytes);
	if (r2 > EMUL_STOP)
		return r2;
	if (compares(op))
		compare(ctx, s, first, second);
	else if (op == OP_LODS)
		emul_set_gpr(ctx, EMUL_RAX, s->bytes, first);
	return r == EMUL_STOP ? r : r2;
}

static int iterate(struct emul_ctx *ctx, struct string_state *s)
{
	unsigned int op = ctx->insn.op, width = ctx->insn.addr_bytes;
	s64 step = ctx->rflags & X86_EFLAGS_DF ? -(s64)s->bytes : s->bytes;
	int r;

	r = locate_iteration(ctx, s);
	if (r)
		return r;
	r = access_memory(ctx, s);
	if (r > EMUL_STOP)
		return r;
	if (uses_source(op))
		emul_set_gpr(ctx, EMUL_RSI, width, ctx->gpr[EMUL_RSI] + step);
	if (uses_destination(op))
		emul_set_gpr(ctx, EMUL_RDI, width, ctx->gpr[EMUL_RDI] + step);
	return r;
}

/* Has a comparison ended REPE or REPNE? */
static bool found(const struct emul_ctx *ctx, const struct string_state *s)
{
	bool equal = s->rflags & X86_EFLAGS_ZF;

	return compares(ctx->insn.op) && equal != (ctx->insn.rep == 0xf3);
}

int emul_run_string(struct emul_ctx *ctx, struct emul_args *a)
{
	struct string_state s = { .bytes = a->dst.bytes, .rflags = ctx->rflags };
	unsigned int width = ctx->insn.addr_bytes;
	unsigned int budget = EMUL_MAX_REP;
	u64 count = emul_get_gpr(ctx, EMUL_RCX, width);
	int r;

	if (!ctx->insn.rep) {
		r = iterate(ctx, &s);
		if (r <= EMUL_STOP)
			ctx->rflags = s.rflags;
		return r;
	}
	while (count) {
		r = iterate(ctx, &s);
		if (r > EMUL_STOP)
			return r;
		emul_set_gpr(ctx, EMUL_RCX, width, --count);
		if (found(ctx, &s))
			break;
		if (count && (r == EMUL_STOP || ctx->rflags & X86_EFLAGS_TF || !--budget)) {
			a->again = true;
			return EMUL_DONE;
		}
	}
	ctx->rflags = s.rflags;
	return EMUL_DONE;
}
