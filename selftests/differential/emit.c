// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "emit.h"

#define REX_B	1
#define REX_X	2
#define REX_R	4
#define REX_W	8

/* A step that does not fit is cut off: the rest of its slot is never reached. */
void emit8(struct emit *e, uint8_t byte)
{
	if (e->n < sizeof(e->bytes))
		e->bytes[e->n++] = byte;
}

void emit16(struct emit *e, uint16_t value)
{
	emit8(e, value);
	emit8(e, value >> 8);
}

void emit32(struct emit *e, uint32_t value)
{
	emit16(e, value);
	emit16(e, value >> 16);
}

void emit64(struct emit *e, uint64_t value)
{
	emit32(e, value);
	emit32(e, value >> 32);
}

void emit_load(struct emit *e, unsigned int reg, uint64_t value)
{
	bool wide = e->bits == 64 && value >> 32;

	if (e->bits == 16)
		emit8(e, 0x66);
	if (wide || reg > 7)
		emit8(e, 0x40 | (wide ? REX_W : 0) | (reg > 7 ? REX_B : 0));
	emit8(e, 0xb8 | (reg & 7));
	if (wide)
		emit64(e, value);
	else
		emit32(e, value);
}

void emit_load_any(struct emit *e)
{
	unsigned int reg = rng_below(e->rng, e->bits == 64 ? 16 : 8);

	if (reg != RSP)
		emit_load(e, reg, rng_value(e->rng));
}

static const uint8_t overrides[NR_SEGS] = { 0x2e, 0x3e, 0x26, 0x64, 0x65, 0x36 };

/* A segment through which a linear address can be had; DS if none is better. */
static unsigned int choose_segment(struct emit *e, uint64_t address)
{
	const struct kvm_segment *seg;
	unsigned int i, n;

	for (n = 0; n < 4; n++) {
		i = n < 2 ? SEG_DS : rng_below(e->rng, NR_SEGS);
		seg = guest_segment(e->g, i);
		if (e->bits == 64 || address - seg->base <= seg->limit)
			return i;
	}
	return SEG_DS;
}

static uint64_t segment_base(const struct emit *e, unsigned int seg)
{
	if (e->bits == 64 && seg != SEG_FS && seg != SEG_GS)
		return 0;
	return guest_segment(e->g, seg)->base;
}

/* The registers of the eight 16-bit forms. */
static const struct {
	int8_t base, index;
} forms_16[8] = {
	{ RBX, RSI }, { RBX, RDI }, { RBP, RSI }, { RBP, RDI },
	{ RSI, -1 }, { RDI, -1 }, { RBP, -1 }, { RBX, -1 },
};

/* A displacement of no, one or more bytes. */
static int32_t displacement(struct rng *rng, unsigned int mod)
{
	int32_t value = rng_next(rng);

	return mod == 0 ? 0 : mod == 1 ? (int8_t)value : value;
}

static uint32_t operand_16(struct emit *e, struct operand *op, uint32_t spare)
{
	unsigned int mod = rng_below(e->rng, 3), form, index;
	int16_t disp = displacement(e->rng, mod);
	uint32_t used;

	do {
		form = rng_below(e->rng, 8);
		used = 1 << forms_16[form].base;
		if (forms_16[form].index >= 0)
			used |= 1 << forms_16[form].index;
	} while (used & spare);

	if (form == 6 && mod == 0) {
		op->bytes[0] = 6;
		op->bytes[1] = op->target;
		op->bytes[2] = op->target >> 8;
		op->n = 3;
		return 0;
	}
	index = forms_16[form].index >= 0 ? rng_below(e->rng, 0x10000) : 0;
	if (index)
		emit_load(e, forms_16[form].index, index | rng_bits(e->rng, 0xffff0000));
	emit_load(e, forms_16[form].base, (uint16_t)(op->target - disp - index));
	op->bytes[0] = mod << 6 | form;
	op->bytes[1] = disp;
	op->bytes[2] = disp >> 8;
	op->n = 1 + mod;
	return used;
}

static unsigned int free_register(struct emit *e, uint32_t spare)
{
	unsigned int reg;

	do {
		reg = rng_below(e->rng, e->bits == 64 ? 16 : 8);
	} while (reg == RSP || spare >> reg & 1);
	return reg;
}

static void put_disp(struct operand *op, unsigned int mod, uint32_t disp)
{
	unsigned int i, n = mod == 1 ? 1 : 4;

	for (i = 0; i < n; i++)
		op->bytes[op->n++] = disp >> (8 * i);
}

/* No base register: an absolute address, or in 64-bit mode one relative to RIP. */
static uint32_t operand_absolute(struct emit *e, struct operand *op)
{
	op->bytes[0] = 5;
	op->n = 1;
	if (e->bits == 64 && one_in(e->rng, 2)) {
		op->bytes[0] = 4;
		op->bytes[1] = 0x25;
		op->n = 2;
	} else {
		op->rip_relative = e->bits == 64;
	}
	put_disp(op, 0, op->target);
	return 0;
}

static uint32_t operand_32(struct emit *e, struct operand *op, uint32_t spare)
{
	uint64_t mask = e->bits == 64 && !op->address_size ? ~0ULL : 0xffffffff;
	unsigned int mod = rng_below(e->rng, 3), base, index, scale = rng_below(e->rng, 4);
	int64_t disp = displacement(e->rng, mod);
	uint32_t used;
	uint64_t scaled = 0;

	if (one_in(e->rng, 6) && op->target <= 0x7fffffff)
		return operand_absolute(e, op);
	base = free_register(e, spare);
	used = 1U << base;
	if ((base & 7) == RBP && mod == 0) {
		mod = 1;
		disp = (int8_t)rng_next(e->rng);
	}
	op->rex = base > 7 ? REX_B : 0;
	op->bytes[0] = mod << 6 | (base & 7);
	op->n = 1;
	if ((base & 7) == RSP || one_in(e->rng, 3)) {
		index = free_register(e, spare | used);
		used |= 1U << index;
		scaled = rng_value(e->rng) & mask;
		emit_load(e, index, scaled);
		scaled <<= scale;
		op->rex |= index > 7 ? REX_X : 0;
		op->bytes[0] = mod << 6 | 4;
		op->bytes[1] = scale << 6 | (index & 7) << 3 | (base & 7);
		op->n = 2;
	}
	emit_load(e, base, (op->target - disp - scaled) & mask);
	if (mod)
		put_disp(op, mod, disp);
	return used;
}

uint32_t emit_operand(struct emit *e, struct operand *op, uint64_t address, uint32_t spare)
{
	unsigned int seg = choose_segment(e, address);

	memset(op, 0, sizeof(*op));
	op->segment = seg == SEG_DS && !one_in(e->rng, 8) ? 0 : overrides[seg];
	op->target = address - segment_base(e, seg);
	/*
	 * Operands based on BP or SP mean SS unless a prefix says otherwise. In 64-bit mode QEMU
	 * 7.2 does not ignore such a prefix, if the segment has a base.
	 */
	if (!op->segment)
		op->segment = 0x3e;
	if (e->bits == 64 && guest_on_amd(e->g) && op->segment < 0x64)
		op->segment = 0;
	if (e->bits != 64)
		op->target = (uint32_t)op->target;
	/* The other address size, where it can reach. */
	if (one_in(e->rng, 6) && (e->bits == 16 || op->target <= 0xffff ||
				  (e->bits == 64 && op->target <= 0xffffffff)))
		op->address_size = true;
	if (e->bits != 64 && (e->bits == 16) != op->address_size) {
		op->target = (uint16_t)op->target;
		return operand_16(e, op, spare);
	}
	return operand_32(e, op, spare);
}

void emit_modrm(struct emit *e, const struct operand *op, uint8_t prefix, bool rex_w,
		uint32_t opcode, unsigned int reg, unsigned int rm, unsigned int imm)
{
	uint8_t rex = (rex_w ? REX_W : 0) | (reg > 7 ? REX_R : 0);
	unsigned int i;
	uint32_t disp;

	if (op && op->segment)
		emit8(e, op->segment);
	if (op && op->address_size)
		emit8(e, 0x67);
	if (prefix)
		emit8(e, prefix);
	rex |= op ? op->rex : rm > 7 ? REX_B : 0;
	if (e->bits == 64 && (rex || one_in(e->rng, 8)))
		emit8(e, 0x40 | rex);
	if (opcode >> 16)
		emit8(e, opcode >> 16);
	if (opcode >> 8)
		emit8(e, opcode >> 8);
	emit8(e, opcode);
	if (!op) {
		emit8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
		return;
	}
	emit8(e, op->bytes[0] | (reg & 7) << 3);
	if (op->rip_relative) {
		disp = op->target - (CODE_BASE + (e->step - e->g->steps) * SLOT_SIZE + e->n +
				     4 + imm);
		emit32(e, disp);
		return;
	}
	for (i = 1; i < op->n; i++)
		emit8(e, op->bytes[i]);
}
