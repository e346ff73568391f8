// SPDX-License-Identifier: GPL-2.0-only
/* Where operands are, and how they are read and written: registers, segmentation, memory. */

#include "internal.h"

static bool has_error_code(u8 vector)
{
	switch (vector) {
	case 8:		/* #DF */
	case 10 ... 14:	/* #TS, #NP, #SS, #GP, #PF */
	case 17:	/* #AC */
	case 21:	/* #CP */
	case 29 ... 30:	/* #VC, #SX */
		return true;
	default:
		return false;
	}
}

int emul_fault(struct emul_ctx *ctx, u8 vector, u32 error_code)
{
	bool has_error = ctx->mode != EMUL_REAL && has_error_code(vector);

	ctx->fault = (struct emul_exception) {
		.vector = vector,
		.has_error = has_error,
		.error_code = has_error ? error_code : 0,
	};
	return EMUL_FAULT;
}

int emul_page_fault(struct emul_ctx *ctx, u64 linear, u32 error_code)
{
	emul_fault(ctx, X86_TRAP_PF, error_code);
	ctx->fault.cr2 = linear;
	return EMUL_FAULT;
}

int emul_ud(struct emul_ctx *ctx)
{
	return emul_fault(ctx, X86_TRAP_UD, 0);
}

int emul_gp(struct emul_ctx *ctx)
{
	return emul_fault(ctx, X86_TRAP_GP, 0);
}

u64 emul_mask(unsigned int bytes)
{
	return bytes >= 8 ? ~0ULL : BIT_ULL(8 * bytes) - 1;
}

u64 emul_get_gpr(const struct emul_ctx *ctx, unsigned int reg, unsigned int bytes)
{
	return ctx->gpr[reg] & emul_mask(bytes);
}

void emul_set_gpr(struct emul_ctx *ctx, unsigned int reg, unsigned int bytes, u64 value)
{
	u64 mask = emul_mask(bytes);

	if (bytes >= 4)
		ctx->gpr[reg] = value & mask;
	else
		ctx->gpr[reg] = (ctx->gpr[reg] & ~mask) | (value & mask);
}

static bool canonical(const struct emul_ctx *ctx, u64 linear)
{
	unsigned int shift = ctx->cr4 & X86_CR4_LA57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(linear << shift) >> shift) == linear;
}

u64 emul_address(const struct emul_ctx *ctx, s64 extra)
{
	const struct emul_insn *insn = &ctx->insn;
	u64 offset = insn->disp + extra;

	if (insn->base >= 0)
		offset += ctx->gpr[insn->base];
	if (insn->index >= 0)
		offset += ctx->gpr[insn->index] << insn->scale;
	if (insn->rip_relative)
		offset += ctx->rip;
	return offset & emul_mask(insn->addr_bytes);
}

int emul_default_segment(const struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;

	if (insn->segment >= 0)
		return insn->segment;
	if (insn->base == EMUL_RSP || insn->base == EMUL_RBP)
		return EMUL_SS;
	return EMUL_DS;
}

static bool type_allows(const struct emul_seg *s, unsigned int access)
{
	bool code = s->type & 8, second = s->type & 2;

	if (s->unusable || !s->present)
		return false;
	if (access & EMUL_WRITE && (code || !second))
		return false;
	return !(access & EMUL_READ && code && !second);
}

static bool limit_allows(const struct emul_ctx *ctx, const struct emul_seg *s, u64 offset,
			 unsigned int len)
{
	bool expands_down = (s->type & 0xc) == 4 && ctx->mode != EMUL_REAL && ctx->mode != EMUL_VM86;
	u64 last = offset + len - 1;

	if (expands_down)
		return offset > s->limit && last <= (s->db ? 0xffffffff : 0xffff);
	return last <= s->limit;
}

const struct emul_seg *emul_segment(struct emul_ctx *ctx, unsigned int seg)
{
	seg = array_index_nospec(seg, EMUL_NR_SEG);
	if (ctx->seg_absent & BIT(seg)) {
		ctx->ops->segment(ctx, seg);
		ctx->seg_absent &= ~BIT(seg);
	}
	return &ctx->seg[seg];
}

int emul_linearise(struct emul_ctx *ctx, int seg, u64 offset, unsigned int len,
		   unsigned int access, u64 *linear)
{
	const struct emul_seg *s;
	bool ok;

	if (ctx->mode == EMUL_LONG64) {
		*linear = offset;
		if (seg >= EMUL_FS)
			*linear += emul_segment(ctx, seg)->base;
		ok = canonical(ctx, *linear) && canonical(ctx, *linear + len - 1);
	} else {
		s = emul_segment(ctx, seg);
		*linear = (u32)(s->base + offset);
		ok = limit_allows(ctx, s, offset, len);
		if (access && ctx->mode != EMUL_REAL && ctx->mode != EMUL_VM86)
			ok = ok && type_allows(s, access);
	}
	if (ok)
		return EMUL_DONE;
	return emul_fault(ctx, seg == EMUL_SS ? X86_TRAP_SS : X86_TRAP_GP, 0);
}

static unsigned int operand_bytes(const struct emul_insn *insn, u8 size)
{
	switch (size) {
	case SZ_V:
		return insn->op_bytes;
	case SZ_Y:
		return insn->rex & REX_W ? 8 : 4;
	case SZ_X:
		return insn->vex_l ? 32 : 16;
	default:
		return size;
	}
}

static void use_register(const struct emul_insn *insn, struct emul_operand *o, unsigned int reg)
{
	o->kind = OPERAND_REG;
	o->reg = reg;
	/* Without REX, byte registers 4 to 7 are AH, CH, DH and BH. */
	if (o->bytes == 1 && !insn->rex && reg >= 4) {
		o->reg = reg - 4;
		o->shift = 8;
	}
}

/* BT and its kind with a register address a bit string that begins at the operand. */
static s64 bit_string_offset(struct emul_ctx *ctx, const struct emul_args *a)
{
	unsigned int shift = 64 - 8 * a->dst.bytes;
	s64 bit;

	if (ctx->insn.op < OP_BT || ctx->insn.op > OP_BTC || a->src.kind != OPERAND_REG)
		return 0;
	bit = (s64)(ctx->gpr[a->src.reg] << shift) >> shift;
	return (bit >> 3) & -(s64)a->dst.bytes;
}

static int use_memory(struct emul_ctx *ctx, struct emul_args *a, struct emul_operand *o,
		      unsigned int access)
{
	s64 extra = 0;

	/* POP computes the address after it has incremented the stack pointer. */
	if (ctx->insn.op == OP_POP && ctx->insn.base == EMUL_RSP)
		extra = o->bytes;
	else if (o == &a->dst)
		extra = bit_string_offset(ctx, a);
	o->kind = OPERAND_MEM;
	return emul_linearise(ctx, emul_default_segment(ctx), emul_address(ctx, extra), o->bytes,
			      access, &o->linear);
}

static void use_value(struct emul_operand *o, u64 value)
{
	o->kind = OPERAND_VALUE;
	o->value = value;
}

static int use_selector(struct emul_ctx *ctx, struct emul_args *a, struct emul_operand *o)
{
	unsigned int seg = ctx->insn.modrm >> 3 & 7;

	if (seg >= EMUL_NR_SEG)
		return emul_ud(ctx);
	/* In memory a selector has 16 bits whatever the operand size. */
	if (ctx->insn.modrm < 0xc0)
		a->dst.bytes = 2;
	use_value(o, emul_segment(ctx, seg)->selector);
	return EMUL_DONE;
}

static int locate(struct emul_ctx *ctx, struct emul_args *a, struct emul_operand *o, u8 place,
		  unsigned int access)
{
	const struct emul_insn *insn = &ctx->insn;

	switch (place) {
	case AT_M:
	case AT_ADDRESS:
		if (insn->modrm >= 0xc0)
			return emul_ud(ctx);
		if (place == AT_M)
			return use_memory(ctx, a, o, access);
		use_value(o, emul_address(ctx, 0));
		break;
	case AT_E:
		if (insn->modrm < 0xc0)
			return use_memory(ctx, a, o, access);
		use_register(insn, o, (insn->modrm & 7) | (insn->rex & REX_B ? 8 : 0));
		break;
	case AT_G:
		use_register(insn, o, (insn->modrm >> 3 & 7) | (insn->rex & REX_R ? 8 : 0));
		break;
	case AT_Z:
		use_register(insn, o, (insn->opcode & 7) | (insn->rex & REX_B ? 8 : 0));
		break;
	case AT_A:
		use_register(insn, o, EMUL_RAX);
		break;
	case AT_O:
		return use_memory(ctx, a, o, access);
	case AT_S:
		return use_selector(ctx, a, o);
	case AT_I:
		use_value(o, insn->imm & emul_mask(o->bytes));
		break;
	case AT_STACK:
		o->kind = OPERAND_MEM;
		return emul_linearise(ctx, EMUL_SS,
				      emul_get_gpr(ctx, EMUL_RSP, emul_stack_bytes(ctx)),
				      o->bytes, EMUL_READ, &o->linear);
	case AT_1:
		use_value(o, 1);
		break;
	case AT_CL:
		use_value(o, ctx->gpr[EMUL_RCX] & 0xff);
		break;
	}
	return EMUL_DONE;
}

int emul_locate(struct emul_ctx *ctx, struct emul_args *a, unsigned int access)
{
	const struct emul_form_desc *form = &emul_forms[ctx->insn.desc->form];
	int r;

	a->src.bytes = operand_bytes(&ctx->insn, form->src_size);
	a->dst.bytes = operand_bytes(&ctx->insn, form->dst_size);
	r = locate(ctx, a, &a->src, form->src, EMUL_READ);
	if (r)
		return r;
	return locate(ctx, a, &a->dst, form->dst, access);
}

int emul_load(struct emul_ctx *ctx, struct emul_operand *o, unsigned int access)
{
	int r = EMUL_DONE;

	if (o->kind == OPERAND_REG) {
		o->value = ctx->gpr[o->reg] >> o->shift & emul_mask(o->bytes);
	} else if (o->kind == OPERAND_MEM) {
		o->value = 0;
		r = ctx->ops->read(ctx, o->linear, &o->value, o->bytes, access);
	}
	o->old = o->value;
	return r;
}

int emul_store(struct emul_ctx *ctx, struct emul_operand *o, bool locked)
{
	if (o->kind == OPERAND_MEM) {
		if (locked)
			return ctx->ops->compare_exchange(ctx, o->linear, &o->old, &o->value, o->bytes);
		return ctx->ops->write(ctx, o->linear, &o->value, o->bytes);
	}
	if (o->kind != OPERAND_REG)
		return EMUL_DONE;
	if (o->shift)
		ctx->gpr[o->reg] = (ctx->gpr[o->reg] & ~0xff00ULL) | (o->value & 0xff) << 8;
	else
		emul_set_gpr(ctx, o->reg, o->bytes, o->value);
	return EMUL_DONE;
}

bool emul_plain_mov(const struct emul_insn *insn, struct emul_mov *mov)
{
	const struct emul_form_desc *form = &emul_forms[insn->desc->form];
	bool store = form->dst == AT_E || form->dst == AT_M;
	u8 reg_place = store ? form->src : form->dst;
	struct emul_operand reg = {
		.bytes = operand_bytes(insn, store ? form->src_size : form->dst_size),
	};

	memset(mov, 0, sizeof(*mov));
	if ((insn->op != OP_MOV && insn->op != OP_MOVSX) || insn->vex || insn->lock || insn->rep ||
	    insn->segment >= 0 || insn->addr_bytes != 8 || !insn->has_modrm || insn->modrm >= 0xc0)
		return false;
	if (!store && form->src != AT_E)
		return false;
	if (reg_place == AT_G)
		use_register(insn, &reg, (insn->modrm >> 3 & 7) | (insn->rex & REX_R ? 8 : 0));
	else if (!store || reg_place != AT_I)
		return false;

	*mov = (struct emul_mov) {
		.len = insn->len,
		.bytes = operand_bytes(insn, store ? form->dst_size : form->src_size),
		.store = store,
		.has_imm = reg_place == AT_I,
		.sign = insn->op == OP_MOVSX,
		.reg = reg.reg,
		.reg_bytes = reg.bytes,
		.reg_shift = reg.shift,
		.base = insn->base,
		.index = insn->index,
		.scale = insn->scale,
		.rip_relative = insn->rip_relative,
		.disp = insn->disp,
		.imm = insn->imm,
	};
	return true;
}
