// SPDX-License-Identifier: GPL-2.0-only
/* IN, OUT, INS and OUTS. */

#include "internal.h"

#define PAGE_BYTES 4096

/* SDM, I/O Permission Bit Map: IOPL decides except in virtual-8086 mode, then the bitmap. */
static int check_permission(struct emul_ctx *ctx, u16 port, unsigned int size)
{
	unsigned int iopl = (ctx->rflags & X86_EFLAGS_IOPL) >> X86_EFLAGS_IOPL_BIT;

	if (ctx->mode == EMUL_REAL)
		return EMUL_DONE;
	if (ctx->mode != EMUL_VM86 && ctx->cpl <= iopl)
		return EMUL_DONE;
	if (!ctx->ops->io_permitted)
		return emul_gp(ctx);
	return ctx->ops->io_permitted(ctx, port, size);
}

int emul_run_port(struct emul_ctx *ctx, struct emul_args *a)
{
	bool immediate = emul_forms[ctx->insn.desc->form].imm;
	u16 port = immediate ? ctx->insn.imm & 0xff : ctx->gpr[EMUL_RDX];
	unsigned int size = min_t(unsigned int, a->dst.bytes, 4);
	u32 value = emul_get_gpr(ctx, EMUL_RAX, size);
	int r;

	r = check_permission(ctx, port, size);
	if (r > EMUL_STOP)
		return r;
	if (ctx->insn.op == OP_OUT)
		return ctx->ops->io_out(ctx, port, size, &value, 1);
	r = ctx->ops->io_in(ctx, port, size, &value, 1);
	if (r <= EMUL_STOP)
		emul_set_gpr(ctx, EMUL_RAX, size, value);
	return r;
}

/* A batch of a repeated INS or OUTS: @count items of @size bytes at @linear. */
struct batch {
	unsigned int size;
	unsigned int count;
	unsigned int access;
	unsigned int reg;
	int seg;
	u64 linear;
};

/*
 * How many items can be moved at once: those that lie ascending within one page of plain memory, do
 * not wrap and pass the segment checks. One, if it is a device's memory, or if each is traced.
 */
static int size_batch(struct emul_ctx *ctx, struct batch *b, u64 wanted)
{
	u64 offset = emul_get_gpr(ctx, b->reg, ctx->insn.addr_bytes);
	u64 room = PAGE_BYTES, wrap = emul_mask(ctx->insn.addr_bytes) - offset;
	u64 linear;
	int r;

	b->count = 1;
	r = emul_linearise(ctx, b->seg, offset, b->size, b->access, &b->linear);
	if (r)
		return r;
	room = min_t(u64, PAGE_BYTES - b->linear % PAGE_BYTES, EMUL_IO_BATCH);
	if (wrap < room)
		room = wrap;
	wanted = min_t(u64, wanted, room / b->size);
	if (wanted > 1 && !(ctx->rflags & (X86_EFLAGS_DF | X86_EFLAGS_TF)) &&
	    !emul_linearise(ctx, b->seg, offset, wanted * b->size, b->access, &linear))
		b->count = wanted;
	r = ctx->ops->probe(ctx, b->linear, b->count * b->size, b->access);
	if (r == EMUL_STOP)
		b->count = 1;
	return r > EMUL_STOP ? r : EMUL_DONE;
}

/* Move a batch. The destination was probed: the device must not be read for a fault's sake. */
static int move_batch(struct emul_ctx *ctx, const struct batch *b)
{
	unsigned int bytes = b->count * b->size;
	u16 port = ctx->gpr[EMUL_RDX];
	int r, r2;

	if (ctx->insn.op == OP_INS) {
		r = ctx->ops->io_in(ctx, port, b->size, ctx->io, b->count);
		if (r > EMUL_STOP)
			return r;
		r2 = ctx->ops->write(ctx, b->linear, ctx->io, bytes);
	} else {
		r = ctx->ops->read(ctx, b->linear, ctx->io, bytes, EMUL_READ);
		if (r > EMUL_STOP)
			return r;
		r2 = ctx->ops->io_out(ctx, port, b->size, ctx->io, b->count);
	}
	return r2 == EMUL_DONE ? r : r2;
}

int emul_run_port_string(struct emul_ctx *ctx, struct emul_args *a)
{
	bool in = ctx->insn.op == OP_INS;
	unsigned int width = ctx->insn.addr_bytes;
	struct batch b = {
		.size = min_t(unsigned int, a->dst.bytes, 4),
		.access = in ? EMUL_WRITE : EMUL_READ,
		.reg = in ? EMUL_RDI : EMUL_RSI,
		.seg = in ? EMUL_ES : EMUL_DS,
	};
	u64 count = ctx->insn.rep ? emul_get_gpr(ctx, EMUL_RCX, width) : 1;
	s64 step;
	int r;

	if (!in && ctx->insn.segment >= 0)
		b.seg = ctx->insn.segment;
	if (!ctx->ops->probe)
		return EMUL_UNHANDLEABLE;
	r = check_permission(ctx, ctx->gpr[EMUL_RDX], b.size);
	if (r > EMUL_STOP || !count)
		return r;
	r = size_batch(ctx, &b, count);
	if (r <= EMUL_STOP)
		r = move_batch(ctx, &b);
	if (r > EMUL_STOP)
		return r;
	step = (s64)b.count * b.size;
	if (ctx->rflags & X86_EFLAGS_DF)
		step = -step;
	emul_set_gpr(ctx, b.reg, width, ctx->gpr[b.reg] + step);
	if (ctx->insn.rep) {
		count -= b.count;
		emul_set_gpr(ctx, EMUL_RCX, width, count);
		a->again = count;
	}
	return EMUL_DONE;
}
