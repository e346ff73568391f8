// SPDX-License-Identifier: GPL-2.0-only
/* SSE and AVX instructions that move data. */

#include "internal.h"

/* XCR0: state that YMM registers need. */
#define XCR0_SSE_AVX 6

/* SDM, SIMD Exceptions: what must be enabled for the instruction to be defined. */
static int check_enabled(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;

	if (insn->vex) {
		if (!(ctx->cr4 & X86_CR4_OSXSAVE) || (ctx->xcr0 & XCR0_SSE_AVX) != XCR0_SSE_AVX ||
		    insn->vex_v)
			return emul_ud(ctx);
	} else if (ctx->cr0 & X86_CR0_EM || !(ctx->cr4 & X86_CR4_OSFXSR)) {
		return emul_ud(ctx);
	}
	if (ctx->cr0 & X86_CR0_TS)
		return emul_fault(ctx, X86_TRAP_NM, 0);
	return EMUL_DONE;
}

static unsigned int vector_reg(const struct emul_insn *insn)
{
	return (insn->modrm >> 3 & 7) | (insn->rex & REX_R ? 8 : 0);
}

static unsigned int rm_reg(const struct emul_insn *insn)
{
	return (insn->modrm & 7) | (insn->rex & REX_B ? 8 : 0);
}

static int locate_memory(struct emul_ctx *ctx, unsigned int bytes, unsigned int access,
			 u64 *linear)
{
	int r;

	r = emul_linearise(ctx, emul_default_segment(ctx), emul_address(ctx, 0), bytes, access,
			   linear);
	/* This #GP comes before #SS. */
	if (ctx->insn.desc->flags & OPC_ALIGNED && *linear % bytes)
		return emul_gp(ctx);
	return r;
}

/* Write @bytes to a register and clear what is above, up to 128 bits, or all of it with VEX. */
static int set_extended(struct emul_ctx *ctx, unsigned int reg, u8 *buf, unsigned int bytes)
{
	if (bytes < 16)
		memset(buf + bytes, 0, 16 - bytes);
	return ctx->ops->set_vec(ctx, reg, buf, bytes > 16 ? bytes : 16, ctx->insn.vex);
}

/* Between registers. MOVSS and MOVSD keep the rest of the destination. */
static int move_registers(struct emul_ctx *ctx, unsigned int to, unsigned int from,
			  unsigned int bytes)
{
	u8 buf[32], kept[32];
	int r;

	r = ctx->ops->get_vec(ctx, from, buf, bytes > 16 ? bytes : 16);
	if (r > EMUL_STOP)
		return r;
	if (!(ctx->insn.desc->flags & OPC_MERGE))
		return set_extended(ctx, to, buf, bytes);
	r = ctx->ops->get_vec(ctx, to, kept, 16);
	if (r > EMUL_STOP)
		return r;
	memcpy(kept, buf, bytes);
	return ctx->ops->set_vec(ctx, to, kept, 16, false);
}

static int load(struct emul_ctx *ctx, unsigned int bytes)
{
	const struct emul_insn *insn = &ctx->insn;
	u8 buf[32];
	u64 linear;
	int r;

	if (insn->modrm >= 0xc0)
		return move_registers(ctx, vector_reg(insn), rm_reg(insn), bytes);
	r = locate_memory(ctx, bytes, EMUL_READ, &linear);
	if (r)
		return r;
	r = ctx->ops->read(ctx, linear, buf, bytes, EMUL_READ);
	if (r > EMUL_STOP)
		return r;
	return set_extended(ctx, vector_reg(insn), buf, bytes);
}

static int store(struct emul_ctx *ctx, unsigned int bytes)
{
	const struct emul_insn *insn = &ctx->insn;
	u8 buf[32];
	u64 linear;
	int r;

	if (insn->modrm >= 0xc0)
		return move_registers(ctx, rm_reg(insn), vector_reg(insn), bytes);
	r = locate_memory(ctx, bytes, EMUL_WRITE, &linear);
	if (r)
		return r;
	r = ctx->ops->get_vec(ctx, vector_reg(insn), buf, bytes > 16 ? bytes : 16);
	if (r > EMUL_STOP)
		return r;
	return ctx->ops->write(ctx, linear, buf, bytes);
}

/* MOVD and MOVQ from a general register. */
static int load_gpr(struct emul_ctx *ctx, unsigned int bytes)
{
	u64 value = emul_get_gpr(ctx, rm_reg(&ctx->insn), bytes);
	u8 buf[16];

	memcpy(buf, &value, bytes);
	return set_extended(ctx, vector_reg(&ctx->insn), buf, bytes);
}

static int store_gpr(struct emul_ctx *ctx, unsigned int bytes)
{
	u64 value = 0;
	u8 buf[16];
	int r;

	r = ctx->ops->get_vec(ctx, vector_reg(&ctx->insn), buf, 16);
	if (r > EMUL_STOP)
		return r;
	memcpy(&value, buf, bytes);
	emul_set_gpr(ctx, rm_reg(&ctx->insn), bytes, value);
	return EMUL_DONE;
}

int emul_run_vector(struct emul_ctx *ctx, struct emul_args *a)
{
	bool registers = ctx->insn.modrm >= 0xc0;
	unsigned int bytes = a->dst.bytes;
	int r;

	if (!ctx->ops->get_vec || !ctx->ops->set_vec)
		return EMUL_UNHANDLEABLE;
	/* VMOVSS and VMOVSD between registers have a third operand. */
	if (registers && ctx->insn.vex && ctx->insn.desc->flags & OPC_MERGE)
		return EMUL_UNHANDLEABLE;
	r = check_enabled(ctx);
	if (r)
		return r;
	switch (ctx->insn.op) {
	case OP_VLOAD:
		return load(ctx, bytes);
	case OP_VSTORE:
		return store(ctx, bytes);
	case OP_VFROM:
		return registers ? load_gpr(ctx, bytes) : load(ctx, bytes);
	default:
		return registers ? store_gpr(ctx, bytes) : store(ctx, bytes);
	}
}
