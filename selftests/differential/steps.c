// SPDX-License-Identifier: GPL-2.0-only
/* Instructions that exit, events, strings, stacks and segments. */
#include <asm/processor-flags.h>

#include "emit.h"

static const uint32_t leaves[] = {
	0, 1, 2, 4, 5, 6, 7, 0xa, 0xb, 0xd, 0xf, 0x10, 0x14, 0x15, 0x16, 0x19, 0x1f, 0x20,
	0x40000000, 0x40000001, 0x40000010, 0x40000100, 0x80000000, 0x80000001, 0x80000002,
	0x80000004, 0x80000005, 0x80000006, 0x80000007, 0x80000008, 0x8000000a, 0x80000019,
	0x8000001d, 0x8000001e, 0x8000001f, 0x80000021, 0x8fffffff, 0xc0000000, 0xc0000001,
};

/* On which stock KVM and vitro differ, see known.c: not often. */
static const uint32_t rare_msrs[] = {
	0x0, 0x1, 0x3a, 0x8b, 0xce, 0x179, 0x17a, 0x17b, 0x1a0, 0x400, 0x480, 0x48b, 0x6e0,
	0x1d9, 0xda0, 0xc001001f, 0xc0010114, 0xc0010117, 0xc0011029,
};

static const uint32_t msrs[] = {
	0x17, 0x1b, 0x2a, 0x3b, 0x48, 0x49, 0xfe, 0x10a, 0x10b,
	0x174, 0x175, 0x176, 0x186, 0x1db, 0x1dc,
	0x200, 0x201, 0x20f, 0x250, 0x258, 0x259, 0x268, 0x26f, 0x277, 0x2ff, 0x38f, 0x802, 0x808, 0x80b, 0x830, 0x83f,
	0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04, 0x4b564d08, 0x11, 0x12,
	0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101,
	0xc0000102, 0xc0000103, 0xc0000104, 0xc0010000, 0xc0010004, 0xc0010010, 0xc0010015,
	0xc001011b, 0xc0010140,
	0x1234, 0x40000000, 0xc0001234, 0xdeadbeef, 0xffffffff,
};

static uint32_t any_msr(struct emit *e)
{
	return one_in(e->rng, 64) ? PICK(e->rng, rare_msrs) : PICK(e->rng, msrs);
}

static unsigned int any_register(struct emit *e)
{
	unsigned int reg;

	do {
		reg = rng_below(e->rng, e->bits == 64 ? 16 : 8);
	} while (reg == RSP);
	return reg;
}

void step_cpuid(struct emit *e)
{
	e->step->arg = PICK(e->rng, leaves);
	emit_load(e, RAX, e->step->arg);
	emit_load(e, RCX, one_in(e->rng, 4) ? rng_value(e->rng) : rng_below(e->rng, 4));
	/* Prefixes that change nothing but the length. */
	if (one_in(e->rng, 8))
		emit8(e, 0x66);
	EMIT(e, 0x0f, 0xa2);
}

void step_rdmsr(struct emit *e)
{
	e->step->arg = any_msr(e);
	emit_load(e, RCX, e->step->arg);
	EMIT(e, 0x0f, 0x32);
}

/* A value that the register may take, if it is one of those that are picky. */
static uint64_t msr_value(struct emit *e)
{
	uint64_t efer;

	switch (e->step->arg) {
	case 0xc0000080:
		efer = one_in(e->rng, 2) ? rng_bits(e->rng, 0x801) : 1ULL << rng_below(e->rng, 64);
		/* LME: see paging() in state.c. */
		return e->g->sregs.efer ^ (guest_on_amd(e->g) ? efer & ~0x100ULL : efer);
	case 0x1b:
		return e->g->sregs.apic_base ^ (one_in(e->rng, 2) ? 0 : 1ULL << (12 + rng_below(e->rng, 52)));
	case 0x277:
	case 0x250 ... 0x26f:
		return one_in(e->rng, 2) ? 0x0606060604050100 : rng_next(e->rng);
	case 0x4b564d00 ... 0x4b564dff:
	case 0x11:
	case 0x12:
		/* Nothing that makes the host write its time to memory. */
		return 0;
	case 0x6e0:
		return 0;
	default:
		return one_in(e->rng, 3) ? rng_below(e->rng, 16) : rng_value(e->rng);
	}
}

void step_wrmsr(struct emit *e)
{
	uint64_t value;

	do {
		e->step->arg = any_msr(e);
	} while (e->step->arg >= 0x4b564d00 && e->step->arg <= 0x4b564d01);
	value = msr_value(e);
	e->step->value = value;
	emit_load(e, RCX, e->step->arg);
	emit_load(e, RAX, (uint32_t)value);
	emit_load(e, RDX, value >> 32);
	EMIT(e, 0x0f, 0x30);
}

void step_cr_read(struct emit *e)
{
	static const uint8_t crs[] = { 0, 0, 2, 3, 4, 4, 8, 1, 5, 7 };
	unsigned int cr = PICK(e->rng, crs);

	if (cr == 8 && e->bits != 64)
		cr = 0;
	e->step->arg = cr;
	emit_modrm(e, NULL, 0, false, 0x0f20, cr, any_register(e), 0);
}

static uint64_t cr_value(struct emit *e, unsigned int cr)
{
	const struct kvm_sregs *s = &e->g->sregs;
	struct rng *rng = e->rng;
	uint64_t bit;

	switch (cr) {
	case 0:
		if (one_in(rng, 12))
			return s->cr0 ^ 1ULL << rng_below(rng, e->bits == 64 ? 64 : 32);
		return s->cr0 ^ rng_bits(rng, X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_MP |
					 X86_CR0_CD | (one_in(rng, 4) ? X86_CR0_TS | X86_CR0_EM : 0));
	case 3:
		return s->cr3 ^ (one_in(rng, 4) ? 1ULL << rng_below(rng, 64) :
				 rng_bits(rng, 0x18));
	case 4:
		bit = 1ULL << rng_below(rng, e->bits == 64 ? 64 : 32);
		/* Not PAE with LME: see paging() in state.c. */
		if (one_in(rng, 6) && !(bit == X86_CR4_PAE && guest_on_amd(e->g)))
			return s->cr4 ^ bit;
		return s->cr4 ^ rng_bits(rng, X86_CR4_DE | X86_CR4_TSD | X86_CR4_PGE |
					 X86_CR4_PCE | X86_CR4_MCE);
	case 8:
		return one_in(rng, 4) ? rng_value(rng) : rng_below(rng, 16);
	default:
		return rng_value(rng);
	}
}

void step_cr_write(struct emit *e)
{
	static const uint8_t crs[] = { 0, 0, 0, 2, 3, 3, 4, 4, 4, 8, 8, 1, 6 };
	unsigned int cr = PICK(e->rng, crs), reg = any_register(e);

	if (one_in(e->rng, 8)) {
		e->step->arg = 0x06;
		EMIT(e, 0x0f, 0x06);
		return;
	}
	/* QEMU 7.2 ends at a CR8 that a guest writes while a virtual interrupt is pending. */
	if (cr == 8 && (e->bits != 64 || (e->g->irqchip && guest_on_amd(e->g))))
		cr = 4;
	e->step->arg = cr;
	e->step->value = cr_value(e, cr);
	emit_load(e, reg, e->step->value);
	emit_modrm(e, NULL, 0, false, 0x0f22, cr, reg, 0);
}

void step_dr(struct emit *e)
{
	unsigned int dr = rng_below(e->rng, 8), reg = any_register(e);
	uint64_t value = rng_value(e->rng);

	e->step->arg = dr;
	if (one_in(e->rng, 2)) {
		emit_modrm(e, NULL, 0, false, 0x0f21, dr, reg, 0);
		return;
	}
	/* Seldom a breakpoint that is enabled, or general detection. */
	if (dr == 7 || dr == 5)
		value &= guest_on_amd(e->g) ? ~0x20ffULL : one_in(e->rng, 4) ? ~0ULL : ~0x20ffULL;
	/* Reserved bits are kept by TCG, and bit 11 of DR7 by stock KVM without RTM. */
	value &= ~(dr == 7 || dr == 5 ? 0xd800ULL : guest_on_amd(e->g) ? 0x1000ULL : 0);
	if (dr < 4)
		value = guest_address(e->g);
	emit_load(e, reg, value);
	emit_modrm(e, NULL, 0, false, 0x0f23, dr, reg, 0);
}

void step_lmsw(struct emit *e)
{
	unsigned int reg = any_register(e);

	e->step->arg = 6;
	emit_load(e, reg, (e->g->sregs.cr0 & 1) | rng_bits(e->rng, one_in(e->rng, 4) ? 0xfffe : 2));
	emit_modrm(e, NULL, 0, false, 0x0f01, 6, reg, 0);
}

void step_invlpg(struct emit *e)
{
	struct operand op;

	emit_operand(e, &op, guest_address(e->g), 0);
	emit_modrm(e, &op, 0, false, 0x0f01, 7, 0, 0);
}

/* PUSHF, BTR of bit 8, POPF. */
static void clear_tf(struct emit *e)
{
	EMIT(e, 0x9c, 0x58, 0x0f, 0xba, 0xf0, 0x08, 0x50, 0x9d);
}

/* Nobody sees what time it is: the registers are cleared at once. */
void step_tsc(struct emit *e)
{
	if (e->g->regs.rflags & X86_EFLAGS_TF)
		return;
	clear_tf(e);
	if (one_in(e->rng, 2))
		EMIT(e, 0x0f, 0x31);
	else
		EMIT(e, 0x0f, 0x01, 0xf9);
	emit_load(e, RAX, 0);
	emit_load(e, RDX, 0);
}

/* Only values that are refused or there already: QEMU's TCG lets a guest write the real
 * XCR0, and stock KVM does not notice.
 */
void step_xsetbv(struct emit *e)
{
	static const uint64_t bad[] = { 0, 2, 4, 5, 1ULL << 63, 0xffffffff };
	uint64_t value = one_in(e->rng, 2) ? e->g->xcr0 : PICK(e->rng, bad);

	emit_load(e, RCX, one_in(e->rng, 4) ? rng_value(e->rng) : 0);
	if (one_in(e->rng, 3)) {
		EMIT(e, 0x0f, 0x01, 0xd0);
		return;
	}
	emit_load(e, RAX, (uint32_t)value);
	emit_load(e, RDX, value >> 32);
	EMIT(e, 0x0f, 0x01, 0xd1);
}

void step_hypercall(struct emit *e)
{
	static const uint32_t numbers[] = { 0, 1, 2, 3, 5, 8, 10, 11, 12, 13, 0x100 };

	/* Not KVM_HC_CLOCK_PAIRING: it writes the time to memory. */
	e->step->arg = PICK(e->rng, numbers);
	emit_load(e, RAX, e->step->arg);
	if (one_in(e->rng, 2))
		EMIT(e, 0x0f, 0x01, 0xc1);
	else
		EMIT(e, 0x0f, 0x01, 0xd9);
}

/* WBINVD, INVD, PAUSE, HLT, MONITOR, MWAIT. */
void step_hint(struct emit *e)
{
	e->step->arg = rng_below(e->rng, 6);
	emit_load(e, RAX, DATA_BASE - e->g->sregs.ds.base);
	emit_load(e, RCX, one_in(e->rng, 4));
	switch (e->step->arg) {
	case 0:
		EMIT(e, 0x0f, 0x09);
		break;
	case 1:
		EMIT(e, 0x0f, 0x08);
		break;
	case 2:
		EMIT(e, 0xf3, 0x90);
		break;
	case 3:
		EMIT(e, 0x0f, 0x01, 0xc8);
		break;
	case 4:
		EMIT(e, 0x0f, 0x01, 0xc9);
		break;
	default:
		/* With a local APIC it would wait in the kernel. */
		if (!e->g->irqchip)
			EMIT(e, 0xf4);
	}
}

/* What guests are not offered, and UD2. */
void step_other(struct emit *e)
{
	static const uint8_t forms[][3] = {
		{ 0x0f, 0x0b }, { 0x0f, 0xff, 0xc0 }, { 0x0f, 0x0b }, { 0x0f, 0x37 },
		{ 0x0f, 0x01, 0xd8 }, { 0x0f, 0x01, 0xda }, { 0x0f, 0x01, 0xdb },
		{ 0x0f, 0x01, 0xdc }, { 0x0f, 0x01, 0xdd }, { 0x0f, 0x01, 0xde },
		{ 0x0f, 0x01, 0xdf }, { 0x0f, 0x01, 0xc2 }, { 0x0f, 0x01, 0xc3 },
		{ 0x0f, 0x01, 0xc4 }, { 0x0f, 0x78, 0xc8 }, { 0x0f, 0x79, 0xc8 },
		{ 0x0f, 0xaa }, { 0x0f, 0x01, 0xf8 }, { 0x0f, 0x01, 0xcf },
		{ 0x0f, 0x05 }, { 0x0f, 0x34 }, { 0x0f, 0x01, 0xfa },
	};
	const uint8_t *form = PICK(e->rng, forms);

	/* QEMU's SYSCALL goes to flat segments even in real mode. */
	while (form[1] == 0x05 && e->bits == 16)
		form = PICK(e->rng, forms);
	e->step->arg = form[0] << 16 | form[1] << 8 | form[2];
	emit_load(e, RCX, rng_below(e->rng, 8));
	emit8(e, form[0]);
	emit8(e, form[1]);
	if (form[2])
		emit8(e, form[2]);
}

static uint32_t any_port(struct emit *e)
{
	return 0x100 + rng_below(e->rng, 0x1f0);
}

void step_port(struct emit *e)
{
	static const uint16_t pic[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };
	bool byte = one_in(e->rng, 2), wide = one_in(e->rng, 3);

	if (e->g->irqchip && one_in(e->rng, 3)) {
		/* By bytes only: stock KVM ignores others. */
		e->step->arg = PICK(e->rng, pic);
		emit_load(e, RDX, e->step->arg);
		e->step->value = one_in(e->rng, 2);
		emit8(e, 0xec | e->step->value << 1);
		return;
	}
	if (one_in(e->rng, 3)) {
		e->step->arg = 0x80 + rng_below(e->rng, 0x20);
		if (wide)
			emit8(e, 0x66);
		emit8(e, 0xe4 | !byte | (one_in(e->rng, 2) ? 2 : 0));
		emit8(e, e->step->arg);
		return;
	}
	e->step->arg = any_port(e);
	emit_load(e, RDX, e->step->arg);
	if (wide)
		emit8(e, 0x66);
	emit8(e, 0xec | !byte | (one_in(e->rng, 2) ? 2 : 0));
}

/* SI, DI and CX for a string instruction. */
static void string_registers(struct emit *e, uint64_t from, uint64_t to)
{
	const struct kvm_sregs *s = &e->g->sregs;
	uint64_t mask = e->bits == 16 ? 0xffff : ~0ULL;

	emit_load(e, RSI, (from - (e->bits == 64 ? 0 : s->ds.base)) & mask);
	emit_load(e, RDI, (to - (e->bits == 64 ? 0 : s->es.base)) & mask);
	emit_load(e, RCX, one_in(e->rng, 8) ? 0 : rng_below(e->rng, 12));
	if (one_in(e->rng, 4))
		emit8(e, 0xfd);
	else
		emit8(e, 0xfc);
}

static void string_prefixes(struct emit *e, unsigned int segment_one_in)
{
	if (one_in(e->rng, segment_one_in))
		emit8(e, one_in(e->rng, 2) ? 0x64 : 0x65);
	if (one_in(e->rng, 12))
		emit8(e, 0x67);
	if (one_in(e->rng, 4))
		emit8(e, 0x66);
	if (!one_in(e->rng, 3))
		emit8(e, 0xf2 | one_in(e->rng, 2));
	if (e->bits == 64 && one_in(e->rng, 3))
		emit8(e, 0x48);
}

void step_string(struct emit *e)
{
	static const uint8_t opcodes[] = { 0xa4, 0xa6, 0xaa, 0xac, 0xae };
	unsigned int opcode = PICK(e->rng, opcodes) | one_in(e->rng, 2);

	e->step->arg = opcode;
	string_registers(e, guest_address(e->g), guest_address(e->g));
	if (one_in(e->rng, 2))
		emit_load(e, RAX, rng_value(e->rng));
	string_prefixes(e, 12);
	emit8(e, opcode);
}

void step_string_port(struct emit *e)
{
	unsigned int opcode = 0x6c + rng_below(e->rng, 4);
	uint64_t address = DATA_BASE + rng_below(e->rng, 0x7f00);

	/* Stock KVM reads many items ahead even if each iteration traps. */
	if (e->g->regs.rflags & X86_EFLAGS_TF)
		return;
	/* How many items INS reads before it writes the first is not laid down. */
	if (opcode >= 0x6e && one_in(e->rng, 3))
		address = guest_address(e->g);
	e->step->arg = opcode;
	string_registers(e, address, address);
	emit_load(e, RDX, STRING_PORT + rng_below(e->rng, 0x40));
	string_prefixes(e, 24);
	emit8(e, opcode);
}

void step_stack(struct emit *e)
{
	static const uint8_t pairs[][2] = {
		{ 0x50, 0x59 }, { 0x53, 0x5f }, { 0x9c, 0x58 }, { 0x60, 0x61 }, { 0x06, 0x07 },
		{ 0x1e, 0x58 }, { 0x9c, 0x9d },
	};
	/* The stack stays where it is: stock KVM wedges L1 if an event's delivery meets MMIO. */
	const uint8_t *pair = PICK(e->rng, pairs);

	e->step->arg = pair[0];
	switch (rng_below(e->rng, 4)) {
	case 0:
		/* POPF with flags of all kinds. */
		emit_load(e, RAX, 2 | rng_bits(e->rng, one_in(e->rng, 4) ? 0x3f7fd5 : 0x0e55));
		EMIT(e, 0x50, 0x9d);
		break;
	case 1:
		/* ENTER with a nesting level of 0, then LEAVE. */
		EMIT(e, 0xc8, 0x10, 0x00, 0x00, 0xc9);
		break;
	case 2:
		EMIT(e, 0x68);
		if (e->bits == 16)
			emit16(e, rng_next(e->rng));
		else
			emit32(e, rng_next(e->rng));
		EMIT(e, 0x58);
		break;
	default:
		emit8(e, pair[0]);
		emit8(e, pair[1]);
	}
}

/* Loops and jumps that end. */
void step_branch(struct emit *e)
{
	emit_load(e, RCX, 1 + rng_below(e->rng, 6));
	switch (rng_below(e->rng, 4)) {
	case 0:
		/* LOOP around an OUT. */
		EMIT(e, 0xe6, 0x81, 0xe2, 0xfc);
		break;
	case 1:
		/* CALL of what follows, whose return address is dropped. */
		emit8(e, 0xe8);
		if (e->bits == 16)
			emit16(e, 0);
		else
			emit32(e, 0);
		EMIT(e, 0x58);
		break;
	case 2:
		emit8(e, 0x70 | rng_below(e->rng, 16));
		EMIT(e, 0x02, 0xe6, 0x82);
		break;
	default:
		EMIT(e, 0xe3, 0x02, 0xe6, 0x83);
	}
}

/* Exceptions and software interrupts. */
void step_event(struct emit *e)
{
	e->step->arg = rng_below(e->rng, 9);
	switch (e->step->arg) {
	case 0:
		EMIT(e, 0xcc);
		break;
	case 1:
		emit8(e, 0xcd);
		emit8(e, one_in(e->rng, 4) ? 3 : 32 + rng_below(e->rng, 32));
		break;
	case 2:
		/* An overflow, then INTO. */
		EMIT(e, 0xb0, 0x7f, 0x04, 0x01, 0xce);
		break;
	case 3:
		EMIT(e, 0xf1);
		break;
	case 4:
		/* Division by zero. */
		EMIT(e, 0x30, 0xc9, 0xf6, 0xf1);
		break;
	case EVENT_STI:
		EMIT(e, 0xfb, 0x90);
		break;
	case 6:
		EMIT(e, 0xfa);
		break;
	case 7:
		/* TF for some instructions. */
		emit8(e, 0x9c);
		EMIT(e, 0x58);
		EMIT(e, 0x0f, 0xba, 0xe8, 0x08, 0x50, 0x9d, 0x90, 0x0f, 0xa2, 0xe4, 0x84, 0x90);
		clear_tf(e);
		break;
	default:
		emit8(e, 0x0f);
		emit8(e, 0x0b);
	}
}

void step_segment(struct emit *e)
{
	static const uint16_t selectors[] = {
		0, SEL_DATA32, SEL_DATA16, SEL_USER_DATA32, SEL_USER_DATA16, SEL_READONLY,
		SEL_EXPAND_DOWN, SEL_ABSENT, SEL_SMALL, SEL_EXECUTE_ONLY, SEL_CODE32, 0xfff8,
		DATA_BASE / 16, READONLY_BASE / 16, 0x1234,
	};
	static const uint8_t movs[] = { 0xc0, 0xd8, 0xe0, 0xe8, 0xe0, 0xe8 };
	uint16_t selector = PICK(e->rng, selectors);

	e->step->arg = selector;
	emit_load(e, RAX, selector);
	switch (rng_below(e->rng, 6)) {
	case 0:
		/* LAR, LSL, VERR, VERW */
		emit_modrm(e, NULL, 0, false, 0x0f02 + rng_below(e->rng, 2), RDX, RAX, 0);
		break;
	case 1:
		emit_modrm(e, NULL, 0, false, 0x0f00, rng_below(e->rng, 8), RAX, 0);
		break;
	case 2:
		/* MOV SS with what is there, and an instruction in its shadow. */
		EMIT(e, 0x8c, 0xd0, 0x8e, 0xd0, 0xe6, 0x85);
		break;
	default:
		emit8(e, 0x8e);
		emit8(e, PICK(e->rng, movs));
		/* Through the new segment. */
		EMIT(e, 0x64);
		emit_modrm(e, NULL, 0, false, 0x88, RAX, RDX, 0);
	}
}

/* SGDT, SIDT, SLDT and STR to memory. */
void step_tables(struct emit *e)
{
	struct operand op;
	unsigned int form = rng_below(e->rng, 4);

	e->step->arg = form;
	emit_operand(e, &op, DATA_BASE + rng_below(e->rng, 0x7f00), 0);
	if (form < 2)
		emit_modrm(e, &op, 0, false, 0x0f01, form, 0, 0);
	else
		emit_modrm(e, &op, 0, false, 0x0f00, form - 2, 0, 0);
}

/* Registers of the local APIC and the I/O APIC that do not count time. */
void step_apic(struct emit *e)
{
	static const uint16_t regs[] = {
		0x20, 0x30, 0x80, 0x80, 0x90, 0xa0, 0xb0, 0xb0, 0xd0, 0xe0, 0xf0, 0xf0, 0x100, 0x170,
		0x180, 0x200, 0x210, 0x280, 0x300, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360,
		0x370, 0x3e0,
	};
	bool ioapic = one_in(e->rng, 5);
	struct operand op;
	uint32_t value;

	if (!e->g->irqchip || e->bits == 16) {
		step_memory(e);
		return;
	}
	e->step->arg = ioapic ? (one_in(e->rng, 2) ? 0x10 : 0) : PICK(e->rng, regs);
	switch (e->step->arg) {
	case 0x300:
		/* A fixed interrupt to itself. */
		value = 0x44000 | (32 + rng_below(e->rng, 32));
		break;
	case 0x320 ... 0x370:
		value = rng_bits(e->rng, 0x107ff) | 0x10000;
		break;
	case 0xf0:
		value = 0x1ff;
		break;
	case 0x80:
		/* Stock KVM on AMD loses the sub-class. */
		value = rng_below(e->rng, 16) << 4;
		break;
	default:
		value = one_in(e->rng, 2) ? rng_below(e->rng, 64) : rng_value(e->rng);
	}
	emit_operand(e, &op, (ioapic ? 0xfec00000 : 0xfee00000) + e->step->arg, 1);
	emit_load(e, RAX, value);
	emit_modrm(e, &op, 0, false, one_in(e->rng, 3) ? 0x8b : 0x89, RAX, 0, 0);
	if (ioapic)
		e->step->arg |= 0x10000;
}
