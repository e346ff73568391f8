// SPDX-License-Identifier: GPL-2.0-only
/* From bytes to struct emul_insn: prefixes, opcode, ModRM, displacement, immediates. */

#include "internal.h"

/*
 * Decoding in progress. @ctx is NULL when only the bytes at hand are to be decoded. Functions
 * return 0, an errno as emul_insn_length() does, or what the fetch operation said.
 */
struct decoder {
	struct emul_insn *insn;
	struct emul_ctx *ctx;
	enum emul_mode mode;
	u8 pos;
};

#define PAGE_BYTES 4096

static int fetch_more(struct emul_ctx *ctx)
{
	struct emul_insn *insn = &ctx->insn;
	u64 offset = ctx->rip + insn->fetched;
	u64 len = EMUL_MAX_INSN - insn->fetched;
	u64 linear;
	int r;

	if (!ctx->ops->fetch)
		return EMUL_UNHANDLEABLE;
	if (ctx->mode != EMUL_LONG64)
		offset = (u32)offset;
	r = emul_linearise(ctx, EMUL_CS, offset, 1, 0, &linear);
	if (r)
		return r;
	len = min_t(u64, len, PAGE_BYTES - linear % PAGE_BYTES);
	if (ctx->mode != EMUL_LONG64)
		len = min_t(u64, len, ctx->seg[EMUL_CS].limit - offset + 1);
	r = ctx->ops->fetch(ctx, linear, insn->bytes + insn->fetched, len);
	if (r > EMUL_STOP)
		return r;
	insn->fetched += len;
	return 0;
}

/* The byte at d->pos has not been fetched. */
static noinline int need_byte(struct decoder *d)
{
	if (d->pos >= EMUL_MAX_INSN)
		return -E2BIG;
	return d->ctx ? fetch_more(d->ctx) : -ENODATA;
}

static inline int peek(struct decoder *d, u8 *byte)
{
	int r;

	if (d->pos >= d->insn->fetched) {
		r = need_byte(d);
		if (r)
			return r;
	}
	*byte = d->insn->bytes[d->pos];
	return 0;
}

static inline int next(struct decoder *d, u8 *byte)
{
	int r = peek(d, byte);

	if (!r)
		d->pos++;
	return r;
}

static int next_number(struct decoder *d, unsigned int bytes, u64 *value)
{
	unsigned int i;
	u8 byte;
	int r;

	*value = 0;
	for (i = 0; i < bytes; i++) {
		r = next(d, &byte);
		if (r)
			return r;
		*value |= (u64)byte << (8 * i);
	}
	return 0;
}

static u64 sign_extend(u64 value, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (u64)((s64)(value << shift) >> shift);
}

static void segment_override(struct decoder *d, int seg)
{
	/* APM, Segment Overrides in 64-Bit Mode: only FS and GS count. */
	if (d->mode != EMUL_LONG64 || seg >= EMUL_FS)
		d->insn->segment = seg;
}

/* Consumes prefixes. A REX prefix counts only directly before the opcode. */
static int decode_prefixes(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	u8 byte;
	int r;

	for (;;) {
		r = peek(d, &byte);
		if (r)
			return r;
		switch (byte) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			segment_override(d, byte >> 3 & 3);
			break;
		case 0x64:
		case 0x65:
			segment_override(d, byte & 7);
			break;
		case 0x66:
			insn->opsize_prefix = true;
			break;
		case 0x67:
			insn->addrsize_prefix = true;
			break;
		case 0xf0:
			insn->lock = true;
			break;
		case 0xf2:
		case 0xf3:
			insn->rep = byte;
			break;
		default:
			if (d->mode != EMUL_LONG64 || (byte & 0xf0) != REX_PRESENT)
				return 0;
			insn->rex = byte;
			d->pos++;
			continue;
		}
		insn->rex = 0;
		d->pos++;
	}
}

static bool starts_vex(struct decoder *d, u8 opcode, u8 following)
{
	if (opcode != 0xc4 && opcode != 0xc5)
		return false;
	if (d->mode == EMUL_LONG64)
		return true;
	/* LES and LDS have no register form, which leaves room for VEX in protected mode. */
	return d->mode != EMUL_REAL && d->mode != EMUL_VM86 && following >= 0xc0;
}

/* @first: C4 or C5. Sets @bad for a prefix that VEX does not tolerate. */
static int decode_vex(struct decoder *d, u8 first, bool *bad)
{
	static const u8 rep[4] = { 0, 0, 0xf3, 0xf2 };
	struct emul_insn *insn = d->insn;
	u8 high, low;
	int r;

	*bad = insn->rex || insn->opsize_prefix || insn->rep || insn->lock;
	insn->vex = true;
	insn->map = 1;
	r = next(d, &low);
	if (r)
		return r;
	insn->rex = low & 0x80 ? 0 : REX_R;
	if (first == 0xc4) {
		high = low;
		r = next(d, &low);
		if (r)
			return r;
		insn->map = high & 0x1f;
		if (insn->map < 1 || insn->map > 3)
			return -EINVAL;
		if (d->mode == EMUL_LONG64)
			insn->rex |= ~high >> 5 & (REX_B | REX_X);
		if (low & 0x80 && d->mode == EMUL_LONG64)
			insn->rex |= REX_W;
	}
	insn->vex_v = ~low >> 3 & 15;
	insn->vex_l = low & 4;
	insn->opsize_prefix = (low & 3) == 1;
	insn->rep = rep[low & 3];
	return next(d, &insn->opcode);
}

static int decode_opcode(struct decoder *d, bool *bad)
{
	struct emul_insn *insn = d->insn;
	u8 following;
	int r;

	*bad = false;
	r = next(d, &insn->opcode);
	if (r)
		return r;
	if (insn->opcode == 0xc4 || insn->opcode == 0xc5 || insn->opcode == 0x62) {
		r = peek(d, &following);
		if (r)
			return r;
		/* BOUND has no register form and is gone in 64-bit mode: there it is EVEX. */
		if (insn->opcode == 0x62)
			return d->mode == EMUL_LONG64 || following >= 0xc0 ? -EINVAL : 0;
		if (starts_vex(d, insn->opcode, following))
			return decode_vex(d, insn->opcode, bad);
		return 0;
	}
	if (insn->opcode != 0x0f)
		return 0;
	insn->map = 1;
	r = next(d, &insn->opcode);
	if (r || (insn->opcode != 0x38 && insn->opcode != 0x3a))
		return r;
	insn->map = insn->opcode == 0x38 ? 2 : 3;
	return next(d, &insn->opcode);
}

static int need_modrm(struct decoder *d)
{
	if (d->insn->has_modrm)
		return 0;
	d->insn->has_modrm = true;
	return next(d, &d->insn->modrm);
}

static unsigned int prefix_index(const struct emul_insn *insn)
{
	if (insn->rep)
		return insn->rep == 0xf3 ? 2 : 3;
	return insn->opsize_prefix ? 1 : 0;
}

/* Walk from the map's entry to that of the instruction. */
static int find_descriptor(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	const struct emul_opcode *o = &emul_maps[insn->map][insn->opcode];
	int r = 0;

	while (o->next && !r) {
		if (o->flags & OPC_BY_PREFIX) {
			o = &o->next[prefix_index(insn)];
			continue;
		}
		r = need_modrm(d);
		if (o->flags & OPC_BY_REG)
			o = &o->next[insn->modrm >> 3 & 7];
		else
			o = &o->next[insn->modrm >= 0xc0];
	}
	insn->desc = o;
	return r;
}

static void decode_sizes(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	bool small = insn->opsize_prefix;

	switch (d->mode) {
	case EMUL_LONG64:
		insn->addr_bytes = insn->addrsize_prefix ? 4 : 8;
		if (insn->rex & REX_W || insn->desc->flags & OPC_NEAR)
			insn->op_bytes = 8;
		else if (insn->desc->flags & OPC_D64)
			insn->op_bytes = small ? 2 : 8;
		else
			insn->op_bytes = small ? 2 : 4;
		break;
	case EMUL_PROT32:
		insn->addr_bytes = insn->addrsize_prefix ? 2 : 4;
		insn->op_bytes = small ? 2 : 4;
		break;
	default:
		insn->addr_bytes = insn->addrsize_prefix ? 4 : 2;
		insn->op_bytes = small ? 4 : 2;
		break;
	}
}

static int decode_disp(struct decoder *d, unsigned int bytes)
{
	u64 value;
	int r = next_number(d, bytes, &value);

	if (!r)
		d->insn->disp = (s64)sign_extend(value, bytes);
	return r;
}

static int decode_memory16(struct decoder *d)
{
	static const s8 bases[8] = {
		EMUL_RBX, EMUL_RBX, EMUL_RBP, EMUL_RBP, EMUL_RSI, EMUL_RDI, EMUL_RBP, EMUL_RBX,
	};
	static const s8 indices[8] = {
		EMUL_RSI, EMUL_RDI, EMUL_RSI, EMUL_RDI, -1, -1, -1, -1,
	};
	struct emul_insn *insn = d->insn;
	u8 mod = insn->modrm >> 6, rm = insn->modrm & 7;

	if (mod == 0 && rm == 6)
		return decode_disp(d, 2);
	insn->base = bases[rm];
	insn->index = indices[rm];
	return mod ? decode_disp(d, mod) : 0;
}

static int decode_memory(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	u8 mod = insn->modrm >> 6, rm = insn->modrm & 7;
	u8 sib, base;
	int r;

	if (insn->addr_bytes == 2)
		return decode_memory16(d);
	if (mod == 0 && rm == 5) {
		insn->rip_relative = d->mode == EMUL_LONG64;
		return decode_disp(d, 4);
	}
	base = rm;
	if (rm == 4) {
		r = next(d, &sib);
		if (r)
			return r;
		base = sib & 7;
		insn->scale = sib >> 6;
		insn->index = (sib >> 3 & 7) | (insn->rex & REX_X ? 8 : 0);
		if (insn->index == EMUL_RSP)
			insn->index = -1;
		if (base == 5 && mod == 0)
			return decode_disp(d, 4);
	}
	insn->base = base | (insn->rex & REX_B ? 8 : 0);
	if (!mod)
		return 0;
	return decode_disp(d, mod == 1 ? 1 : 4);
}

static int decode_immediate(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	unsigned int z = min_t(unsigned int, insn->op_bytes, 4);
	u64 second;
	int r;

	switch (emul_forms[insn->desc->form].imm) {
	case IMM_B:
		r = next_number(d, 1, &insn->imm);
		insn->imm = sign_extend(insn->imm, 1);
		return r;
	case IMM_W:
		return next_number(d, 2, &insn->imm);
	case IMM_Z:
		r = next_number(d, z, &insn->imm);
		insn->imm = sign_extend(insn->imm, z);
		return r;
	case IMM_V:
		return next_number(d, insn->op_bytes, &insn->imm);
	case IMM_O:
		r = next_number(d, insn->addr_bytes, &second);
		insn->disp = (s64)second;
		return r;
	case IMM_WB:
		r = next_number(d, 2, &insn->imm);
		break;
	case IMM_FAR:
		r = next_number(d, z, &insn->imm);
		break;
	default:
		return 0;
	}
	if (r)
		return r;
	r = next_number(d, emul_forms[insn->desc->form].imm == IMM_WB ? 1 : 2, &second);
	insn->imm2 = second;
	return r;
}

static void choose_operation(struct decoder *d, bool bad_vex)
{
	struct emul_insn *insn = d->insn;
	u16 flags = insn->desc->flags;

	insn->op = insn->desc->op;
	if (flags & OPC_ADD_REG)
		insn->op += insn->modrm >> 3 & 7;
	if (flags & OPC_ONLY64 && d->mode != EMUL_LONG64)
		insn->op = OP_NONE;
	if (insn->vex && !(flags & OPC_VEX256) && (!(flags & OPC_VEX) || insn->vex_l))
		insn->op = OP_NONE;
	if (bad_vex)
		insn->op = OP_UNDEFINED;
}

/* Decode @d->insn, of which only bytes and fetched are valid. */
static int decode(struct decoder *d)
{
	struct emul_insn *insn = d->insn;
	bool bad_vex;
	u16 flags;
	int r;

	r = decode_prefixes(d);
	if (!r)
		r = decode_opcode(d, &bad_vex);
	if (!r)
		r = find_descriptor(d);
	if (r)
		return r;
	flags = insn->desc->flags;
	if (insn->desc->form == F_UNKNOWN)
		return -EINVAL;
	/* With VEX only VZEROUPPER and VZEROALL have no ModRM byte. */
	if (insn->vex && !emul_forms[insn->desc->form].modrm && insn->opcode != 0x77)
		return -EINVAL;
	if (flags & OPC_NO64 && d->mode == EMUL_LONG64) {
		insn->op = OP_UNDEFINED;
		return -EINVAL;
	}
	/* AMD honours the operand size of near branches in 64-bit mode, Intel does not. */
	if (flags & OPC_NEAR && d->mode == EMUL_LONG64 && insn->opsize_prefix &&
	    !(insn->rex & REX_W))
		return -EINVAL;
	decode_sizes(d);
	if (emul_forms[insn->desc->form].modrm) {
		r = need_modrm(d);
		if (!r && insn->modrm < 0xc0 && emul_forms[insn->desc->form].modrm == MODRM_FULL)
			r = decode_memory(d);
		if (r)
			return r;
	}
	r = decode_immediate(d);
	if (r)
		return r;
	choose_operation(d, bad_vex);
	insn->len = d->pos;
	return 0;
}

/* Everything but the bytes. */
static void reset(struct emul_insn *insn, unsigned int fetched)
{
	const size_t kept = offsetof(struct emul_insn, fetched);

	memset((u8 *)insn + kept, 0, sizeof(*insn) - kept);
	insn->fetched = fetched;
	insn->segment = -1;
	insn->base = -1;
	insn->index = -1;
}

int emul_decode(struct emul_ctx *ctx)
{
	struct decoder d = { .insn = &ctx->insn, .ctx = ctx, .mode = ctx->mode };

	reset(&ctx->insn, min_t(unsigned int, ctx->insn.fetched, EMUL_MAX_INSN));
	return decode(&d);
}

int emul_insn_length(struct emul_insn *insn, enum emul_mode mode, const void *bytes,
		     unsigned int len)
{
	struct decoder d = { .insn = insn, .mode = mode };
	int r;

	len = min_t(unsigned int, len, EMUL_MAX_INSN);
	memcpy(insn->bytes, bytes, len);
	reset(insn, len);
	r = decode(&d);
	return r ? r : insn->len;
}

u16 emul_insn_id(const struct emul_insn *insn)
{
	static const u16 prefix[4] = { 0x0000, 0x0f00, 0x3800, 0x3a00 };

	return prefix[insn->map & 3] | insn->opcode;
}
