// SPDX-License-Identifier: GPL-2.0-only
/* Instructions with operands in memory or registers, by table. */
#include "emit.h"

enum {
	BYTE	 = 1 << 0,	/* operands of one byte, whatever the prefixes */
	IMM8	 = 1 << 1,
	IMMZ	 = 1 << 2,	/* 16 or 32 bits, as the operand */
	ONLY64	 = 1 << 3,
	NO64	 = 1 << 4,
	LOCK	 = 1 << 5,	/* may have LOCK with a memory operand */
	UNDEF	 = 1 << 6,	/* leaves arithmetic flags undefined */
	MEM	 = 1 << 7,	/* memory operands only */
	COUNT	 = 1 << 8,	/* wants a small CL */
	OFFSET	 = 1 << 9,	/* register operand is an offset in bits */
	EXT	 = 1 << 10,	/* reg is part of the opcode */
	NO_SIZE	 = 1 << 11,	/* no operand-size prefix */
};

struct insn {
	uint32_t opcode;
	uint8_t prefix;
	uint8_t reg;
	uint16_t flags;
};

#define ALU(op, extra)							\
	{ (op), 0, 0, BYTE | (extra) }, { (op) + 1, 0, 0, (extra) },	\
	{ (op) + 2, 0, 0, BYTE }, { (op) + 3, 0, 0, 0 }
#define ALU_IMM(n, extra)						\
	{ 0x80, 0, (n), EXT | BYTE | IMM8 | (extra) },			\
	{ 0x81, 0, (n), EXT | IMMZ | (extra) },				\
	{ 0x83, 0, (n), EXT | IMM8 | (extra) }
#define SHIFT(n)							\
	{ 0xc0, 0, (n), EXT | BYTE | IMM8 | UNDEF },			\
	{ 0xc1, 0, (n), EXT | IMM8 | UNDEF },				\
	{ 0xd0, 0, (n), EXT | BYTE | UNDEF },				\
	{ 0xd1, 0, (n), EXT | UNDEF },					\
	{ 0xd2, 0, (n), EXT | BYTE | COUNT | UNDEF },			\
	{ 0xd3, 0, (n), EXT | COUNT | UNDEF }
#define CONDITIONS(op, flags)						\
	{ (op) + 0, 0, 0, flags }, { (op) + 3, 0, 0, flags },		\
	{ (op) + 4, 0, 0, flags }, { (op) + 6, 0, 0, flags },		\
	{ (op) + 9, 0, 0, flags }, { (op) + 10, 0, 0, flags },		\
	{ (op) + 12, 0, 0, flags }, { (op) + 15, 0, 0, flags }

static const struct insn insns[] = {
	/* MOV, the most frequent on devices */
	{ 0x88, 0, 0, BYTE }, { 0x89, 0, 0, 0 }, { 0x8a, 0, 0, BYTE }, { 0x8b, 0, 0, 0 },
	{ 0x88, 0, 0, BYTE }, { 0x89, 0, 0, 0 }, { 0x8a, 0, 0, BYTE }, { 0x8b, 0, 0, 0 },
	{ 0xc6, 0, 0, EXT | BYTE | IMM8 }, { 0xc7, 0, 0, EXT | IMMZ },
	{ 0x8c, 0, SEG_DS, EXT }, { 0x8c, 0, 0, EXT },
	ALU(0x00, LOCK), ALU(0x08, LOCK | UNDEF), ALU(0x10, LOCK), ALU(0x18, LOCK),
	ALU(0x20, LOCK | UNDEF), ALU(0x28, LOCK), ALU(0x30, LOCK | UNDEF), ALU(0x38, 0),
	ALU_IMM(0, LOCK), ALU_IMM(1, LOCK | UNDEF), ALU_IMM(2, LOCK), ALU_IMM(3, LOCK),
	ALU_IMM(4, LOCK | UNDEF), ALU_IMM(5, LOCK), ALU_IMM(6, LOCK | UNDEF), ALU_IMM(7, 0),
	{ 0x84, 0, 0, BYTE | UNDEF }, { 0x85, 0, 0, UNDEF },
	{ 0x86, 0, 0, BYTE | LOCK }, { 0x87, 0, 0, LOCK },
	{ 0x8f, 0, 0, EXT },
	SHIFT(0), SHIFT(1), SHIFT(2), SHIFT(3), SHIFT(4), SHIFT(5), SHIFT(6), SHIFT(7),
	{ 0xf6, 0, 0, EXT | BYTE | IMM8 | UNDEF }, { 0xf7, 0, 0, EXT | IMMZ | UNDEF },
	{ 0xf6, 0, 2, EXT | BYTE | LOCK }, { 0xf7, 0, 2, EXT | LOCK },
	{ 0xf6, 0, 3, EXT | BYTE | LOCK }, { 0xf7, 0, 3, EXT | LOCK },
	{ 0xf6, 0, 4, EXT | BYTE | UNDEF }, { 0xf7, 0, 4, EXT | UNDEF },
	{ 0xf6, 0, 5, EXT | BYTE | UNDEF }, { 0xf7, 0, 5, EXT | UNDEF },
	{ 0xf6, 0, 6, EXT | BYTE | UNDEF }, { 0xf7, 0, 6, EXT | UNDEF },
	{ 0xf6, 0, 7, EXT | BYTE | UNDEF }, { 0xf7, 0, 7, EXT | UNDEF },
	{ 0xfe, 0, 0, EXT | BYTE | LOCK }, { 0xff, 0, 0, EXT | LOCK },
	{ 0xfe, 0, 1, EXT | BYTE | LOCK }, { 0xff, 0, 1, EXT | LOCK },
	{ 0xff, 0, 6, EXT },
	CONDITIONS(0x0f40, 0), CONDITIONS(0x0f90, EXT | BYTE),
	{ 0x0fa3, 0, 0, OFFSET | UNDEF }, { 0x0fab, 0, 0, OFFSET | LOCK | UNDEF },
	{ 0x0fb3, 0, 0, OFFSET | LOCK | UNDEF }, { 0x0fbb, 0, 0, OFFSET | LOCK | UNDEF },
	{ 0x0fba, 0, 4, EXT | IMM8 | UNDEF }, { 0x0fba, 0, 5, EXT | IMM8 | LOCK | UNDEF },
	{ 0x0fba, 0, 6, EXT | IMM8 | LOCK | UNDEF }, { 0x0fba, 0, 7, EXT | IMM8 | LOCK | UNDEF },
	{ 0x0fa4, 0, 0, IMM8 | UNDEF }, { 0x0fa5, 0, 0, COUNT | UNDEF },
	{ 0x0fac, 0, 0, IMM8 | UNDEF }, { 0x0fad, 0, 0, COUNT | UNDEF },
	{ 0x0faf, 0, 0, UNDEF }, { 0x69, 0, 0, IMMZ | UNDEF }, { 0x6b, 0, 0, IMM8 | UNDEF },
	{ 0x0fb0, 0, 0, BYTE | LOCK }, { 0x0fb1, 0, 0, LOCK },
	{ 0x0fb6, 0, 0, 0 }, { 0x0fb7, 0, 0, 0 }, { 0x0fbe, 0, 0, 0 }, { 0x0fbf, 0, 0, 0 },
	{ 0x0fbc, 0, 0, UNDEF }, { 0x0fbd, 0, 0, UNDEF },
	{ 0x0fc0, 0, 0, BYTE | LOCK }, { 0x0fc1, 0, 0, LOCK },
	{ 0x0fc3, 0, 0, MEM | NO_SIZE }, { 0x0fc7, 0, 1, EXT | MEM | LOCK | NO_SIZE },
	{ 0x0fae, 0, 7, EXT | MEM | NO_SIZE }, { 0x0f18, 0, 1, EXT | MEM | NO_SIZE },
	{ 0x63, 0, 0, ONLY64 },
	{ 0x8d, 0, 0, MEM },
	{ 0x0f38f0, 0, 0, MEM }, { 0x0f38f1, 0, 0, MEM },
};

static const struct insn vectors[] = {
	{ 0x0f10, 0, 0, 0 }, { 0x0f11, 0, 0, 0 }, { 0x0f28, 0, 0, 0 }, { 0x0f29, 0, 0, 0 },
	{ 0x0f10, 0x66, 0, 0 }, { 0x0f11, 0x66, 0, 0 },
	{ 0x0f28, 0x66, 0, 0 }, { 0x0f29, 0x66, 0, 0 },
	{ 0x0f6f, 0x66, 0, 0 }, { 0x0f7f, 0x66, 0, 0 },
	{ 0x0f6f, 0xf3, 0, 0 }, { 0x0f7f, 0xf3, 0, 0 },
	{ 0x0fe7, 0x66, 0, MEM }, { 0x0f2b, 0, 0, MEM },
};

/* Those that stock KVM does not emulate. */
static const struct insn rare_vectors[] = {
	{ 0x0f10, 0xf3, 0, 0 }, { 0x0f11, 0xf3, 0, 0 },
	{ 0x0f10, 0xf2, 0, 0 }, { 0x0f11, 0xf2, 0, 0 },
	{ 0x0f6e, 0x66, 0, 0 }, { 0x0f7e, 0x66, 0, 0 },
	{ 0x0fd6, 0x66, 0, 0 }, { 0x0f7e, 0xf3, 0, 0 },
};

static void emit_immediate(struct emit *e, unsigned int bytes)
{
	uint64_t value = rng_value(e->rng);

	while (bytes--) {
		emit8(e, value);
		value >>= 8;
	}
}

static unsigned int any_register(struct emit *e)
{
	return rng_below(e->rng, e->bits == 64 ? 16 : 8);
}

/* The register operand; what it holds, where that matters. */
static unsigned int choose_register(struct emit *e, const struct insn *insn, uint32_t used)
{
	unsigned int reg = any_register(e);

	if (insn->flags & EXT)
		return insn->reg;
	/* Not the stack pointer, and an offset must not change the address. */
	while (reg == RSP || (insn->flags & OFFSET && used >> reg & 1))
		reg = any_register(e);
	if (insn->flags & OFFSET)
		emit_load(e, reg, (int64_t)rng_below(e->rng, 512) - (one_in(e->rng, 2) ? 256 : 0));
	return reg;
}

static void emit_insn(struct emit *e, const struct insn *insn, bool memory)
{
	bool byte = insn->flags & BYTE, wide = e->bits == 64 && one_in(e->rng, 3);
	bool small = !byte && !(insn->flags & NO_SIZE) && one_in(e->rng, 4);
	unsigned int imm = insn->flags & IMM8 ? 1 : 0, reg, rm;
	uint8_t prefix = insn->prefix;
	struct operand op;
	uint32_t used = 0;

	if (insn->flags & IMMZ)
		imm = (e->bits == 16) != small && !wide ? 2 : 4;
	if (insn->flags & COUNT)
		emit_load(e, RCX, rng_below(e->rng, 70));
	if (memory)
		used = emit_operand(e, &op, guest_address(e->g), insn->flags & COUNT ? 2 : 0);
	reg = choose_register(e, insn, used);
	do {
		rm = any_register(e);
	} while (rm == RSP);
	if (one_in(e->rng, 2) && !(used & 1))
		emit_load(e, RAX, rng_value(e->rng));
	if (memory && insn->flags & LOCK && one_in(e->rng, 4))
		emit8(e, 0xf0);
	if (small)
		emit8(e, 0x66);
	e->step->arg = insn->opcode << 8 | (insn->flags & EXT ? insn->reg : 0);
	e->step->undefined_flags = insn->flags & UNDEF;
	emit_modrm(e, memory ? &op : NULL, prefix, wide, insn->opcode, reg, rm, imm);
	emit_immediate(e, imm);
}

static bool fits(const struct emit *e, const struct insn *insn)
{
	return e->bits == 64 ? !(insn->flags & NO64) : !(insn->flags & ONLY64);
}

/* QEMU 7.2 spoils the carry flag when RCL or RCR exits for its memory operand. */
static bool rotates_carry(const struct insn *insn)
{
	return insn->opcode >= 0xc0 && insn->opcode <= 0xd3 && (insn->reg & 6) == 2;
}

/* With undefined flags only where nobody sees them. */
static const struct insn *choose(struct emit *e, bool memory)
{
	const struct insn *insn;

	do {
		insn = &PICK(e->rng, insns);
	} while (!fits(e, insn) || (memory && rotates_carry(insn) && guest_on_amd(e->g)) || (!memory && insn->flags & MEM) ||
		 (insn->flags & UNDEF && e->g->regs.rflags & 0x100));
	return insn;
}

void step_memory(struct emit *e)
{
	if (one_in(e->rng, 16)) {
		/* MOV between the accumulator and an absolute address. */
		uint64_t address = guest_address(e->g) - (e->bits == 64 ? 0 : e->g->sregs.ds.base);
		unsigned int i;

		emit8(e, 0xa0 + rng_below(e->rng, 4));
		for (i = 0; i < e->bits / 8; i++)
			emit8(e, address >> (8 * i));
		return;
	}
	emit_insn(e, choose(e, true), true);
}

void step_plain(struct emit *e)
{
	/* One byte, for what tables do not hold. */
	static const uint8_t single[] = {
		0x98, 0x99, 0x9e, 0x9f, 0xf5, 0xf8, 0xf9, 0xfc, 0xfd, 0x90, 0x91, 0x96, 0xd7,
	};

	if (one_in(e->rng, 4)) {
		if (e->bits == 64 && one_in(e->rng, 2))
			emit8(e, 0x48);
		emit_load(e, RBX, guest_address(e->g) - e->g->sregs.ds.base);
		emit8(e, PICK(e->rng, single));
		return;
	}
	emit_insn(e, choose(e, false), false);
}

void step_vector(struct emit *e)
{
	const struct insn *insn = one_in(e->rng, 24) ? &PICK(e->rng, rare_vectors) :
				  &PICK(e->rng, vectors);
	bool memory = insn->flags & MEM || !one_in(e->rng, 4);
	struct operand op;

	e->step->arg = insn->opcode << 8 | insn->prefix;
	if (memory)
		emit_operand(e, &op, guest_address(e->g) & (one_in(e->rng, 3) ? ~0ULL : ~15ULL), 0);
	emit_modrm(e, memory ? &op : NULL, insn->prefix, e->bits == 64 && one_in(e->rng, 4),
		   insn->opcode, rng_below(e->rng, e->bits == 64 ? 16 : 8),
		   rng_below(e->rng, e->bits == 64 ? 16 : 8) & ~RSP, 0);
}
