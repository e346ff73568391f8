// SPDX-License-Identifier: GPL-2.0-only
/* SLDT, STR, SGDT, SIDT and SMSW: instructions that store a system register. */

#include "internal.h"

/* SDM, CR4.UMIP. In real mode and virtual-8086 mode there are no selectors of these registers. */
static int check_allowed(struct emul_ctx *ctx)
{
	if (ctx->insn.op == OP_STORE_SELECTOR &&
	    (ctx->mode == EMUL_REAL || ctx->mode == EMUL_VM86))
		return emul_ud(ctx);
	if (ctx->cr4 & X86_CR4_UMIP && ctx->cpl)
		return emul_gp(ctx);
	return EMUL_DONE;
}

static int store(struct emul_ctx *ctx, const void *buf, unsigned int bytes)
{
	u64 linear;
	int r;

	r = emul_linearise(ctx, emul_default_segment(ctx), emul_address(ctx, 0), bytes, EMUL_WRITE,
			   &linear);
	return r ? r : ctx->ops->write(ctx, linear, buf, bytes);
}

static int store_table(struct emul_ctx *ctx, u64 base, u16 limit)
{
	unsigned int bytes = ctx->mode == EMUL_LONG64 ? 8 : 4;
	u8 buf[10];

	/* SDM, SGDT: with a 16-bit operand size, 24 bits of the base. */
	if (bytes == 4 && ctx->insn.op_bytes == 2)
		base &= 0xffffff;
	memcpy(buf, &limit, 2);
	memcpy(buf + 2, &base, 8);
	return store(ctx, buf, 2 + bytes);
}

int emul_run_store_system(struct emul_ctx *ctx, struct emul_args *a)
{
	struct emul_system system = {};
	bool second = ctx->insn.modrm >> 3 & 1;
	u16 word;
	int r;

	r = check_allowed(ctx);
	if (r)
		return r;
	if (!ctx->ops->system)
		return EMUL_UNHANDLEABLE;
	ctx->ops->system(ctx, &system);
	switch (ctx->insn.op) {
	case OP_STORE_TABLE:
		return second ? store_table(ctx, system.idt_base, system.idt_limit) :
				store_table(ctx, system.gdt_base, system.gdt_limit);
	case OP_STORE_SELECTOR:
		word = second ? system.tr : system.ldtr;
		break;
	default:
		word = ctx->cr0;
	}
	return store(ctx, &word, sizeof(word));
}
