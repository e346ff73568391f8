// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generation of instructions. Bytes are random around the wanted opcode; then registers and
 * displacement are solved so that the memory operand lies in the data area, or deliberately at its
 * edges and outside.
 */
#include "case.h"

u64 rng_next(struct rng *rng)
{
	u64 z = rng->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

unsigned int rng_below(struct rng *rng, unsigned int n)
{
	return rng_next(rng) % n;
}

bool rng_one_in(struct rng *rng, unsigned int n)
{
	return rng_below(rng, n) == 0;
}

struct builder {
	u8 bytes[32];
	unsigned int n;
	unsigned int modrm_at;
};

static void emit(struct builder *b, u8 byte)
{
	b->bytes[b->n++] = byte;
}

static void emit_prefixes(struct builder *b, const struct pattern *p, struct rng *rng)
{
	static const u8 segments[6] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	unsigned int turns = 1 + rng_below(rng, 2);

	while (turns--) {
		if (rng_one_in(rng, 5))
			emit(b, segments[rng_below(rng, 6)]);
		if (rng_one_in(rng, 4) && !p->vex)
			emit(b, 0x66);
		if (rng_one_in(rng, 8))
			emit(b, 0x67);
		if (rng_one_in(rng, p->map ? 5 : 8) && (!p->vex || rng_one_in(rng, 8)))
			emit(b, rng_one_in(rng, 2) ? 0xf2 : 0xf3);
		if (rng_one_in(rng, 12) && (!p->vex || rng_one_in(rng, 8)))
			emit(b, 0xf0);
	}
	if (p->mode == EMUL_LONG64 && rng_one_in(rng, 2) && (!p->vex || rng_one_in(rng, 32)))
		emit(b, REX_PRESENT | rng_below(rng, 16));
}

static void emit_opcode(struct builder *b, const struct pattern *p, struct rng *rng)
{
	u8 vvvv = rng_one_in(rng, 8) ? rng_below(rng, 16) : 15;
	u8 low = vvvv << 3 | rng_below(rng, 8);
	u8 top = p->mode == EMUL_LONG64 ? rng_below(rng, 8) << 5 : 0xe0;

	if (p->vex) {
		if (p->map == 1 && rng_one_in(rng, 2)) {
			emit(b, 0xc5);
			emit(b, (top & 0x80) | low);
		} else {
			emit(b, 0xc4);
			emit(b, top | p->map);
			emit(b, rng_below(rng, 2) << 7 | low);
		}
	} else if (p->map) {
		emit(b, 0x0f);
		if (p->map > 1)
			emit(b, p->map == 2 ? 0x38 : 0x3a);
	}
	emit(b, p->opcode);
}

/* Random state of a register: numbers at which arithmetic changes its mind, or anything. */
static u64 random_value(struct rng *rng)
{
	static const u64 edges[] = {
		0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, ~0ULL, ~0ULL - 1,
	};

	switch (rng_below(rng, 4)) {
	case 0:
		return edges[rng_below(rng, ARRAY_SIZE(edges))];
	case 1:
		return rng_below(rng, 64);
	default:
		return rng_next(rng);
	}
}

/* Offset in the data area for an operand. */
static u32 random_target(struct rng *rng)
{
	u32 middle = 0x1200 + rng_below(rng, 0x6000);

	switch (rng_below(rng, 16)) {
	case 0:
		return 0x3000 - rng_below(rng, 40);
	case 1:
		return AREA_SIZE - rng_below(rng, 40);
	case 2:
		return rng_below(rng, 0x1040);
	case 3 ... 6:
		return middle;
	default:
		return middle & ~31;
	}
}

static u64 area_base(const struct pattern *p)
{
	return p->mode == EMUL_LONG64 ? DATA_BASE : 0;
}

static int operand_segment(const struct emul_insn *insn)
{
	if (insn->segment >= 0)
		return insn->segment;
	return EMUL_DS;
}

/* The offset that makes the memory operand begin at @target in the data area. */
static u64 wanted_offset(const struct pattern *p, const struct emul_insn *insn,
			 const struct emul_seg *seg, u32 target)
{
	int s = operand_segment(insn);

	if (p->mode != EMUL_LONG64)
		return target;
	return DATA_BASE + target - (s >= EMUL_FS ? seg[s].base : 0);
}

static u64 width_mask(unsigned int bytes)
{
	return bytes == 8 ? ~0ULL : (1ULL << 8 * bytes) - 1;
}

static void write_disp(struct test_case *c, unsigned int at, unsigned int bytes, u64 disp)
{
	memcpy(c->insn.bytes + at, &disp, bytes);
}

/* Where the displacement of an operand without base register is, and how long. */
static unsigned int find_disp(const struct emul_insn *insn, unsigned int modrm_at,
			      unsigned int *bytes)
{
	const struct emul_form_desc *form = &emul_forms[insn->desc->form];

	*bytes = insn->addr_bytes == 2 ? 2 : 4;
	if (form->imm == IMM_O) {
		*bytes = insn->addr_bytes;
		return modrm_at;
	}
	if (insn->addr_bytes != 2 && (insn->modrm & 7) == 4)
		return modrm_at + 2;
	return modrm_at + 1;
}

/* Solve base + (index << scale) + disp = offset. */
static void solve_address(struct test_case *c, const struct pattern *p,
			  const struct emul_seg *seg, unsigned int modrm_at, u32 target)
{
	struct emul_insn *insn = &c->insn;
	u64 *gpr = c->before.gpr;
	u64 offset = wanted_offset(p, insn, seg, target);
	unsigned int at, bytes;
	u64 index = 0;

	if (insn->base >= 0 && insn->base == insn->index) {
		gpr[insn->base] = (offset - insn->disp) / (1 + (1ULL << insn->scale));
		return;
	}
	if (insn->index >= 0)
		index = gpr[insn->index] << insn->scale;
	if (insn->base >= 0) {
		gpr[insn->base] = offset - insn->disp - index;
		return;
	}
	at = find_disp(insn, modrm_at, &bytes);
	if (insn->index >= 0 && bytes == 4) {
		gpr[insn->index] &= 0xffff;
		index = gpr[insn->index] << insn->scale;
	}
	if (insn->rip_relative)
		offset -= c->before.rip + insn->len;
	write_disp(c, at, bytes, offset - index);
}

static bool has_memory_operand(const struct emul_insn *insn)
{
	if (emul_forms[insn->desc->form].imm == IMM_O)
		return true;
	return emul_forms[insn->desc->form].modrm == MODRM_FULL && insn->modrm < 0xc0;
}

static void random_registers(struct test_case *c, const struct pattern *p, struct rng *rng)
{
	struct machine *m = &c->before;
	unsigned int i;

	for (i = 0; i < EMUL_NR_GPR; i++)
		m->gpr[i] = random_value(rng);
	for (i = 0; i < sizeof(m->vec); i++)
		((u8 *)m->vec)[i] = rng_next(rng);
	m->gpr[EMUL_RSP] = area_base(p) + c->fill[1];
	if (c->insn.op >= OP_MOVS && c->insn.op <= OP_OUTS) {
		m->gpr[EMUL_RSI] = area_base(p) + c->fill[2];
		m->gpr[EMUL_RDI] = area_base(p) + c->fill[3];
		if (c->insn.rep)
			m->gpr[EMUL_RCX] = rng_below(rng, 12);
		if (operand_segment(&c->insn) >= EMUL_FS && p->mode == EMUL_LONG64)
			m->gpr[EMUL_RSI] -= AREA_SIZE / 2 + DATA_BASE;
	}
	if (c->insn.op == OP_XLAT)
		m->gpr[EMUL_RBX] = area_base(p) + c->fill[0];
	if ((c->insn.op == OP_DIV || c->insn.op == OP_IDIV) && !rng_one_in(rng, 3))
		m->gpr[EMUL_RDX] = rng_one_in(rng, 2) ? 0 : -rng_below(rng, 2);
	/* Keep most bit strings within the data area. */
	if (c->insn.op >= OP_BT && c->insn.op <= OP_BTC && !rng_one_in(rng, 8))
		m->gpr[(c->insn.modrm >> 3 & 7) | (c->insn.rex & REX_R ? 8 : 0)] =
			(u64)(s64)(s16)rng_next(rng);
	m->rflags = (rng_next(rng) & FLAGS_ARITH) | X86_EFLAGS_IF | X86_EFLAGS_FIXED;
	if (rng_one_in(rng, 3))
		m->rflags |= X86_EFLAGS_DF;
}

/* Contents of memory: random, repetitive, or related to registers so that comparisons succeed. */
static void random_contents(struct test_case *c, const struct pattern *p, struct rng *rng)
{
	u64 *gpr = c->before.gpr;
	unsigned int i, j;
	u64 value;

	for (i = 0; i < ARRAY_SIZE(c->fill); i++) {
		value = random_value(rng);
		for (j = 0; j < 64; j += 8) {
			if (rng_one_in(rng, 2))
				value = random_value(rng);
			memcpy(c->value[i] + j, &value, 8);
		}
	}
	if (rng_one_in(rng, 2))
		memcpy(c->value[3], c->value[2], 64);
	if (rng_one_in(rng, 2)) {
		unsigned int half = c->insn.rex & REX_W ? 8 : 4;

		memcpy(c->value[0] + 16, &gpr[EMUL_RAX], 8);
		if (c->insn.op == OP_CMPXCHG8B)
			memcpy(c->value[0] + 16 + half, &gpr[EMUL_RDX], half);
	}
	if (c->insn.op == OP_SCAS && rng_one_in(rng, 2))
		memset(c->value[3], gpr[EMUL_RAX] & 0xff, 64);
	if ((c->insn.op == OP_CALL || c->insn.op == OP_JMP) && !rng_one_in(rng, 4)) {
		value = (p->mode == EMUL_LONG64 ? CODE_BASE : 0) + rng_below(rng, AREA_SIZE);
		memcpy(c->value[0] + 16, &value, 8);
		if (c->insn.modrm >= 0xc0)
			gpr[(c->insn.modrm & 7) | (c->insn.rex & REX_B ? 8 : 0)] = value;
	}
}

bool generate(struct test_case *c, const struct pattern *p, const struct emul_seg *seg,
	      struct rng *rng)
{
	struct builder b = {};
	unsigned int i;
	int len;

	memset(c, 0, sizeof(*c));
	emit_prefixes(&b, p, rng);
	emit_opcode(&b, p, rng);
	b.modrm_at = b.n;
	emit(&b, (rng_next(rng) & 0xc7) | p->reg << 3);
	if (rng_one_in(rng, 2))
		b.bytes[b.modrm_at] &= 0x3f;
	while (b.n < sizeof(b.bytes))
		emit(&b, rng_next(rng));
	/* More than a fair share of SIB bytes, and of these with the stack pointer as base. */
	if (rng_one_in(rng, 4))
		b.bytes[b.modrm_at] = (b.bytes[b.modrm_at] & 0xf8) | 4;
	if (rng_one_in(rng, 3))
		b.bytes[b.modrm_at + 1] = (b.bytes[b.modrm_at + 1] & 0xf8) | EMUL_RSP;
	len = emul_insn_length(&c->insn, p->mode, b.bytes, EMUL_MAX_INSN);
	/* The bytes may also make another instruction, whose ModRM is somewhere else. */
	if (len < 0 || c->insn.opcode != p->opcode || c->insn.map != p->map)
		return false;

	c->before.rip = (p->mode == EMUL_LONG64 ? CODE_BASE : 0) +
			rng_below(rng, AREA_SIZE - EMUL_MAX_INSN);
	for (i = 0; i < ARRAY_SIZE(c->fill); i++)
		c->fill[i] = random_target(rng);
	random_registers(c, p, rng);
	if (has_memory_operand(&c->insn)) {
		solve_address(c, p, seg, b.modrm_at, c->fill[0]);
		/* A non-canonical address, or one beyond a segment's limit. */
		if (rng_one_in(rng, 32) && c->insn.base >= 0)
			c->before.gpr[c->insn.base] ^= rng_one_in(rng, 2) ? 1ULL << 62 : 1ULL << 28;
	}
	random_contents(c, p, rng);
	if (p->mode != EMUL_LONG64) {
		for (i = 0; i < EMUL_NR_GPR; i++)
			c->before.gpr[i] &= width_mask(4);
	}
	c->pending = rng_one_in(rng, 4);
	return true;
}
