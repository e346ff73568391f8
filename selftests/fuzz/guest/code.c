// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code for guests: mostly what exits, or what the hypervisor has to
 * emulate, or what changes the state that it must keep; and anything at all.
 */
#include <string.h>

#include "guest.h"

/* In templates: a byte of anything, a ModRM byte that means memory, or registers. */
#define ANY	0x100
#define MEM	0x101
#define REG	0x102
#define END	0xffff

static const uint16_t templates[][12] = {
	{ 0x0f, 0xa2, END },				/* cpuid */
	{ 0x0f, 0x32, END },				/* rdmsr */
	{ 0x0f, 0x30, END },				/* wrmsr */
	{ 0x0f, 0x31, END },				/* rdtsc */
	{ 0x0f, 0x33, END },				/* rdpmc */
	{ 0x0f, 0x01, 0xf9, END },			/* rdtscp */
	{ 0xf4, END },					/* hlt */
	{ 0xfb, 0xf4, END },				/* sti; hlt */
	{ 0xfa, END }, { 0xfb, END },			/* cli, sti */
	{ 0x9c, END }, { 0x9d, END },			/* pushf, popf */
	{ 0xe4, ANY, END }, { 0xe6, ANY, END },		/* in, out imm8 */
	{ 0xe5, ANY, END }, { 0xe7, ANY, END },
	{ 0xec, END }, { 0xed, END }, { 0xee, END }, { 0xef, END },	/* in, out dx */
	{ 0x6c, END }, { 0x6d, END }, { 0x6e, END }, { 0x6f, END },	/* ins, outs */
	{ 0xf3, 0x6c, END }, { 0xf3, 0x6e, END }, { 0xf3, 0x6f, END }, { 0x67, 0xf3, 0x6d, END },
	{ 0xe6, 0x20, END }, { 0xe6, 0x21, END }, { 0xe6, 0xa0, END }, { 0xe6, 0xa1, END },	/* PIC */
	{ 0xe4, 0x20, END }, { 0xe4, 0xa1, END }, { 0xe6, 0x40, END }, { 0xe4, 0x40, END },
	{ 0xe6, 0x43, END }, { 0xe6, 0x42, END }, { 0xe6, 0x61, END }, { 0xe4, 0x61, END },	/* PIT */
	{ 0x0f, 0x20, REG, END }, { 0x0f, 0x22, REG, END },	/* mov cr */
	{ 0x0f, 0x21, REG, END }, { 0x0f, 0x23, REG, END },	/* mov dr */
	{ 0x0f, 0x06, END },				/* clts */
	{ 0x0f, 0x01, 0xf0, END }, { 0x0f, 0x01, 0xe0, END },	/* lmsw, smsw */
	{ 0x0f, 0x00, MEM, END }, { 0x0f, 0x00, REG, END },	/* sldt, str, lldt, ltr, ... */
	{ 0x0f, 0x01, MEM, END }, { 0x0f, 0x01, REG, END },	/* lgdt, lidt, invlpg, vm... */
	{ 0x0f, 0x01, 0xc1, END }, { 0x0f, 0x01, 0xd9, END },	/* vmcall, vmmcall */
	{ 0x0f, 0x01, 0xd8, END }, { 0x0f, 0x01, 0xda, END }, { 0x0f, 0x01, 0xdb, END },	/* vmrun ... */
	{ 0x0f, 0x01, 0xdc, END }, { 0x0f, 0x01, 0xdd, END }, { 0x0f, 0x01, 0xde, END },
	{ 0x0f, 0x01, 0xdf, END }, { 0x0f, 0x01, 0xd1, END },	/* invlpga, xsetbv */
	{ 0x0f, 0xc7, MEM, END }, { 0xf3, 0x0f, 0xc7, MEM, END },	/* cmpxchg8b, vmxon ... */
	{ 0x0f, 0x78, MEM, END }, { 0x0f, 0x79, MEM, END },	/* vmread, vmwrite */
	{ 0x0f, 0x01, 0xc8, END }, { 0x0f, 0x01, 0xc9, END },	/* monitor, mwait */
	{ 0xf3, 0x90, END }, { 0x0f, 0x08, END }, { 0x0f, 0x09, END },	/* pause, invd, wbinvd */
	{ 0x0f, 0x05, END }, { 0x0f, 0x07, END }, { 0x0f, 0x34, END }, { 0x0f, 0x35, END },
	{ 0xcc, END }, { 0xcd, ANY, END }, { 0xcf, END }, { 0xf1, END }, { 0x0f, 0x0b, END },
	{ 0x0f, 0xaa, END }, { 0x0f, 0x01, 0xf8, END },	/* rsm, swapgs */
	{ 0x66, 0x0f, 0x38, 0x82, MEM, END },		/* invpcid */
	/* What is emulated when it meets a device. */
	{ 0x88, MEM, END }, { 0x89, MEM, END }, { 0x8a, MEM, END }, { 0x8b, MEM, END },
	{ 0xc6, MEM, ANY, END }, { 0x00, MEM, END }, { 0x01, MEM, END }, { 0x31, MEM, END },
	{ 0x39, MEM, END }, { 0x85, MEM, END }, { 0x86, MEM, END }, { 0x87, MEM, END },
	{ 0xf0, 0x01, MEM, END }, { 0xf0, 0x0f, 0xb1, MEM, END }, { 0xf0, 0x0f, 0xc1, MEM, END },
	{ 0xf0, 0x0f, 0xc7, MEM, END }, { 0xf0, 0x0f, 0xab, MEM, END }, { 0x0f, 0xa3, MEM, END },
	{ 0x80, MEM, ANY, END }, { 0xc0, MEM, ANY, END }, { 0xd3, MEM, END }, { 0xf7, MEM, END },
	{ 0xff, MEM, END }, { 0xfe, MEM, END }, { 0x0f, 0xb6, MEM, END }, { 0x0f, 0xbf, MEM, END },
	{ 0x63, MEM, END }, { 0x8f, MEM, END }, { 0x8c, MEM, END }, { 0x8e, MEM, END },
	{ 0x0f, 0x40, MEM, END }, { 0x0f, 0x94, MEM, END }, { 0x0f, 0xa4, MEM, ANY, END },
	{ 0x0f, 0xaf, MEM, END }, { 0x69, MEM, ANY, ANY, ANY, ANY, END }, { 0x0f, 0xba, MEM, ANY, END },
	{ 0xa4, END }, { 0xa5, END }, { 0xf3, 0xa4, END }, { 0xf3, 0xa5, END }, { 0xaa, END },
	{ 0xf3, 0xaa, END }, { 0xf3, 0xab, END }, { 0xac, END }, { 0xf2, 0xae, END }, { 0xf3, 0xa6, END },
	{ 0x0f, 0x10, MEM, END }, { 0x0f, 0x11, MEM, END }, { 0x66, 0x0f, 0x6f, MEM, END },
	{ 0xf3, 0x0f, 0x7f, MEM, END }, { 0x66, 0x0f, 0x7e, MEM, END }, { 0x0f, 0x2b, MEM, END },
	{ 0xc5, 0xfc, 0x11, MEM, END }, { 0xc4, 0xe1, 0x7c, 0x28, MEM, END },
	{ 0x0f, 0xae, MEM, END }, { 0x0f, 0xae, MEM, END }, { 0xdd, MEM, END }, { 0xd9, MEM, END },
	{ 0x66, 0x89, MEM, END }, { 0x67, 0x8b, MEM, END }, { 0x48, 0x89, MEM, END },
	{ 0x4c, 0x8b, MEM, END }, { 0x2e, 0x8b, MEM, END }, { 0x64, 0x89, MEM, END },
	/* Ways of going elsewhere. */
	{ 0xea, ANY, 0x01, 0x01, 0x00, 0x08, 0x00, END }, { 0xe8, ANY, 0x00, END },
	{ 0xea, ANY, 0x00, 0x28, 0x00, END }, { 0x9a, ANY, 0x00, 0x28, 0x00, END },
	{ 0xeb, ANY, END }, { 0x74, ANY, END }, { 0xe2, ANY, END }, { 0xc3, END }, { 0xcb, END },
	{ 0x50, END }, { 0x5b, END }, { 0x1e, END }, { 0x1f, END }, { 0x07, END },
};

/* Interesting MSRs, one list for code and for KVM_SET_MSRS. */
uint32_t msr_index(struct stream *s)
{
	static const uint32_t msrs[] = {
		0x10, 0x1b, 0x3a, 0x3b, 0x48, 0x49, 0x79, 0x8b, 0xc1, 0xfe, 0x10b, 0x174, 0x175,
		0x176, 0x179, 0x17a, 0x186, 0x198, 0x1a0, 0x1d9, 0x1db, 0x200, 0x20f, 0x250, 0x26f,
		0x277, 0x2ff, 0x345, 0x38f, 0x400, 0x401, 0x480, 0x48d, 0x6e0, 0x802, 0x803, 0x808,
		0x80b, 0x80f, 0x828, 0x830, 0x832, 0x838, 0x839, 0x83e, 0x83f, 0xda0, 0x4b564d00,
		0x4b564d01, 0x4b564d02, 0x4b564d04, 0x11, 0x12, 0xc0000080, 0xc0000081, 0xc0000082,
		0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103, 0xc0000104, 0xc0010010,
		0xc0010015, 0xc0010058, 0xc0010062, 0xc0010114, 0xc0010115, 0xc0010117, 0xc0011029,
		0xc001011f,
	};

	return one_in(s, 8) ? take(s, 4) : pick(s, msrs);
}

struct writer {
	uint8_t *at, *end;
	bool narrow;		/* operands are of 16 bits */
};

static void emit(struct writer *w, uint8_t byte)
{
	if (w->at < w->end)
		*w->at++ = byte;
}

/* MOV of a constant of 32 bits into a general register. */
static void emit_constant(struct writer *w, unsigned int reg, uint32_t value)
{
	unsigned int i;

	if (w->narrow)
		emit(w, 0x66);
	emit(w, 0xb8 | (reg & 7));
	for (i = 0; i < 4; i++)
		emit(w, value >> (8 * i));
}

static void emit_template(struct writer *w, struct stream *s)
{
	const uint16_t *t = pick(s, templates);

	for (; *t != END; t++) {
		if (*t == ANY)
			emit(w, take8(s));
		else if (*t == MEM)
			/* Without displacement, so that a register is the address. */
			emit(w, one_in(s, 4) ? take8(s) & 0x7f : take8(s) & 0x3b);
		else if (*t == REG)
			emit(w, take8(s) | 0xc0);
		else
			emit(w, *t);
	}
}

/* wrmsr of something sensible to something sensible */
static void emit_wrmsr(struct writer *w, struct stream *s)
{
	emit_constant(w, 1, msr_index(s));
	emit_constant(w, 0, interesting(s));
	emit_constant(w, 2, one_in(s, 2) ? 0 : interesting(s));
	emit(w, 0x0f);
	emit(w, 0x30);
}

/* A register of the local APIC or the IOAPIC: address into (E)DI or (E)BX, then a MOV. */
static void emit_mmio(struct writer *w, struct stream *s)
{
	uint64_t at = APIC_MMIO + (take8(s) & 0x3f) * 16;

	if (one_in(s, 3))
		at = IOAPIC_MMIO + (take8(s) & 1) * 16 + (one_in(s, 16) ? 0x30 : 0);
	else if (one_in(s, 16))
		at += take8(s) & 15;
	emit_constant(w, 7, at);
	emit_constant(w, 0, one_in(s, 2) ? interesting(s) : take(s, 2) | (take8(s) & 0xf) << 16);
	if (w->narrow)
		emit(w, 0x67);
	emit(w, one_in(s, 3) ? 0x8b : 0x89);
	emit(w, 0x07);
}

/* A page-table entry, or code, by MOV. */
static void emit_scribble(struct writer *w, struct stream *s)
{
	emit_constant(w, 7, one_in(s, 3) ? CODE + below(s, CODE_SIZE) :
					   TABLES + below(s, 7 * 512) * 8);
	emit_constant(w, 0, one_in(s, 2) ? interesting(s) : take(s, 3) << 8 | 0x67);
	if (w->narrow)
		emit(w, 0x67);
	emit(w, 0x89);
	emit(w, 0x07);
}

void code_make(uint8_t *to, unsigned int size, enum mode mode, struct stream *s)
{
	struct writer w = {
		.at = to, .end = to + size,
		.narrow = mode == MODE_REAL || mode == MODE_UNREAL || mode == MODE_VM86 ||
			  mode == MODE_PROT16,
	};
	unsigned int n;

	while (w.at < w.end) {
		switch (take8(s) % 16) {
		case 0:
			for (n = 1 + below(s, 8); n; n--)
				emit(&w, take8(s));
			break;
		case 1:
			emit_wrmsr(&w, s);
			break;
		case 2:
		case 3:
			emit_mmio(&w, s);
			break;
		case 4:
			emit_scribble(&w, s);
			break;
		case 5:
			emit_constant(&w, take8(s), interesting(s));
			break;
		case 6:
			emit_constant(&w, 2, take(s, 2));
			break;
		default:
			emit_template(&w, s);
		}
	}
}
