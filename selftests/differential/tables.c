// SPDX-License-Identifier: GPL-2.0-only
/* What the processor reads in a guest's memory: descriptors, gates, TSS, page tables. */
#include <asm/processor-flags.h>
#include <string.h>

#include "guest.h"

#define P	(1ULL << 0)
#define W	(1ULL << 1)
#define U	(1ULL << 2)
#define A	(1ULL << 5)
#define D	(1ULL << 6)
#define PS	(1ULL << 7)
#define NX	(1ULL << 63)
#define PAGE	0x1000ULL
#define LARGE	0x200000ULL

/* Linear addresses of odd mappings; 32-bit paging has larger steps. */
#define ODD_PAE		(3 * LARGE)
#define ODD_32		0x800000ULL
#define ALIAS_PAE	LARGE
#define ALIAS_32	0x400000ULL
#define GIGABYTE	0x40000000ULL
#define FAR_HOLE	0xd0000000ULL

static const uint32_t high_pages[] = { 0xd0000000, 0xfec00000, 0xfee00000 };

static void put(struct guest *g, uint32_t gpa, const void *data, unsigned int size)
{
	memcpy(g->mem + gpa, data, size);
}

static void put64(struct guest *g, uint32_t gpa, uint64_t value)
{
	put(g, gpa, &value, sizeof(value));
}

static bool long_mode(const struct guest *g)
{
	return g->mode == MODE_LONG || g->mode == MODE_COMPAT;
}

/* The address at which the handlers' segment has its 0. */
static uint16_t handler_selector(const struct guest *g)
{
	switch (g->mode) {
	case MODE_REAL:
		return CODE_BASE / 16;
	case MODE_PROT16:
		return SEL_CODE16;
	case MODE_LONG:
	case MODE_COMPAT:
		return SEL_CODE64;
	default:
		return SEL_CODE32;
	}
}

static void descriptor(struct guest *g, unsigned int selector, uint32_t base, uint32_t limit,
		       unsigned int access, unsigned int flags)
{
	if (limit > 0xfffff) {
		limit >>= 12;
		flags |= 8;
	}
	put64(g, GDT_BASE + (selector & ~7), (limit & 0xffff) | (base & 0xffffffULL) << 16 |
	      (uint64_t)access << 40 | (uint64_t)(limit >> 16) << 48 |
	      (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56);
}

/* Accessed bits are set: no descriptor is written to. */
static void fill_gdt(struct guest *g)
{
	const uint32_t all = 0xffffffff;

	descriptor(g, SEL_CODE32, 0, all, 0x9b, 4);
	descriptor(g, SEL_DATA32, 0, all, 0x93, 4);
	descriptor(g, SEL_CODE16, CODE_BASE, 0xffff, 0x9b, 0);
	descriptor(g, SEL_DATA16, DATA_BASE, 0xffff, 0x93, 0);
	descriptor(g, SEL_STACK16, 0, 0xffff, 0x93, 0);
	descriptor(g, SEL_CODE64, 0, all, 0x9b, 2);
	descriptor(g, SEL_USER_CODE32, 0, all, 0xfb, 4);
	descriptor(g, SEL_USER_DATA32, 0, all, 0xf3, 4);
	descriptor(g, SEL_USER_CODE64, 0, all, 0xfb, 2);
	descriptor(g, SEL_USER_CODE16, CODE_BASE, 0xffff, 0xfb, 0);
	descriptor(g, SEL_USER_DATA16, DATA_BASE, 0xffff, 0xf3, 0);
	descriptor(g, SEL_USER_STACK16, 0, 0xffff, 0xf3, 0);
	descriptor(g, SEL_TSS, TSS_BASE, TSS_LIMIT, 0x8b, 0);
	descriptor(g, SEL_LDT, LDT_BASE, 0xff, 0x82, 0);
	descriptor(g, SEL_READONLY, DATA_BASE, 0xffff, 0xf1, 0);
	descriptor(g, SEL_EXPAND_DOWN, DATA_BASE, 0x4000, 0xf7, 0);
	descriptor(g, SEL_ABSENT, 0, all, 0x73, 4);
	descriptor(g, SEL_CONFORMING, 0, all, 0xff, 4);
	descriptor(g, SEL_SMALL, DATA_BASE, rng_below(&g->rng, 0x10000), 0xf3, 0);
	descriptor(g, SEL_EXECUTE_ONLY, 0, all, 0xf9, 4);
}

static void fill_tss(struct guest *g)
{
	uint8_t *tss = g->mem + TSS_BASE;
	unsigned int i;

	if (long_mode(g)) {
		put64(g, TSS_BASE + 4, KERNEL_STACK);
		put64(g, TSS_BASE + 36, IST_STACK);
	} else {
		put64(g, TSS_BASE + 4, KERNEL_STACK | (uint64_t)SEL_DATA32 << 32);
		if (g->mode == MODE_PROT16)
			put64(g, TSS_BASE + 4, KERNEL_STACK | (uint64_t)SEL_STACK16 << 32);
	}
	/* The I/O bitmap, with 32 bytes of interrupt redirection before it. */
	tss[102] = 0x68 + 32;
	for (i = 0; i < 32; i++)
		tss[0x68 + i] = one_in(&g->rng, 2) ? 0xff : 0;
	for (i = 0; i < 0x80; i++)
		tss[0x68 + 32 + i] = one_in(&g->rng, 4) ? rng_next(&g->rng) : 0;
	/* The handlers' and slots' ports are free to all. */
	memset(tss + 0x68 + 32 + DONE_PORT / 8, 0, 9);
	memset(tss + 0x68 + 32 + 0x80, 0xff, 16);
}

static uint64_t gate(struct guest *g, unsigned int vector, unsigned int access)
{
	uint64_t offset = (g->sregs.cs.base && g->mode == MODE_PROT16 ? 0 : CODE_BASE) +
			  STUBS + vector * STUB_SIZE;

	return (offset & 0xffff) | (uint64_t)handler_selector(g) << 16 |
	       (uint64_t)access << 40 | offset >> 16 << 48;
}

/* Interrupt gates, trap gates, gates for CPL 0 only. */
static unsigned int gate_access(struct guest *g)
{
	unsigned int access = g->gate_size == 2 ? 0x86 : 0x8e;

	if (one_in(&g->rng, 2))
		access |= 1;
	if (!one_in(&g->rng, 3))
		access |= 0x60;
	return access;
}

static void spoil_gate(struct guest *g, uint32_t gpa)
{
	switch (rng_below(&g->rng, 4)) {
	case 0:
		g->mem[gpa + 5] &= 0x7f;
		break;
	case 1:
		g->mem[gpa + 2] = g->mem[gpa + 3] = 0;
		break;
	case 2:
		g->mem[gpa + 2] = SEL_DATA32;
		break;
	default:
		g->mem[gpa + 5] = rng_next(&g->rng);
	}
}

static void fill_idt(struct guest *g)
{
	unsigned int size = long_mode(g) ? 16 : 8, i;
	bool spoilt = one_in(&g->rng, 8);

	g->gate_size = g->mode == MODE_REAL ? 2 : long_mode(g) ? 8 : 4;
	if (g->mode == MODE_PROT16 && one_in(&g->rng, 2))
		g->gate_size = 2;
	for (i = 0; i < 256; i++) {
		uint32_t vector = (STUBS + i % NR_VECTORS * STUB_SIZE) |
				  (uint32_t)(CODE_BASE / 16) << 16;

		put(g, 4 * i, &vector, 4);
	}
	for (i = 0; i < NR_VECTORS; i++) {
		put64(g, IDT_BASE + i * size, gate(g, i, gate_access(g)));
		if (long_mode(g) && one_in(&g->rng, 4))
			g->mem[IDT_BASE + i * size + 4] = 1;
		if (spoilt && one_in(&g->rng, 8))
			spoil_gate(g, IDT_BASE + i * size);
	}
}

/* An entry of any kind, for a page that has something in it. */
static uint64_t odd_entry(struct guest *g, bool wide)
{
	static const uint32_t pages[] = {
		DATA_BASE, DATA_BASE, DATA_BASE + PAGE, DATA_BASE + 2 * PAGE, READONLY_BASE,
		HOLE_BASE, CODE_BASE, FAR_HOLE,
	};
	uint64_t entry = PICK(&g->rng, pages) | P | W | U;

	if (one_in(&g->rng, 3))
		entry &= ~rng_bits(&g->rng, P | W | U);
	entry |= rng_bits(&g->rng, A | D | 1ULL << 8);
	if (one_in(&g->rng, 6))
		entry |= rng_bits(&g->rng, 0xe98);
	if (wide && one_in(&g->rng, 4))
		entry |= NX;
	if (wide && one_in(&g->rng, 12))
		entry |= 1ULL << (48 + rng_below(&g->rng, 4));
	return entry;
}

/* Entries of the tables in between: mostly good. */
static uint64_t table_entry(struct guest *g, uint64_t gpa)
{
	uint64_t entry = gpa | P | W | U;

	if (one_in(&g->rng, 16))
		entry &= ~rng_bits(&g->rng, W | U);
	return entry | rng_bits(&g->rng, A);
}

/* Pages that the guest needs to get anywhere; more is random. */
static uint64_t low_entry(struct guest *g, uint64_t gpa)
{
	uint64_t entry = gpa | P | W;

	/* The handlers' page and the kernel's tables and stacks are not the user's. */
	if (g->user ? gpa >= STACK_BASE && gpa != CODE_BASE + STUBS :
		      gpa >= DATA_BASE && one_in(&g->rng, 3))
		entry |= U;
	if (one_in(&g->rng, 2))
		entry |= rng_bits(&g->rng, A | D);
	if (gpa >= DATA_BASE && one_in(&g->rng, 8))
		entry &= ~rng_bits(&g->rng, W);
	return entry;
}

static void fill_wide_tables(struct guest *g)
{
	uint64_t flags = P | W | (g->user ? U : 0);
	unsigned int i;

	for (i = 0; i < 512; i++) {
		put64(g, LOW_TABLE + 8 * i, low_entry(g, i * PAGE));
		put64(g, ODD_TABLE + 8 * i, odd_entry(g, true));
	}
	put64(g, PD_TABLE, LOW_TABLE | flags);
	put64(g, PD_TABLE + 8, PS | table_entry(g, 0));
	put64(g, PD_TABLE + 16, odd_entry(g, true) | PS);
	put64(g, PD_TABLE + 24, table_entry(g, ODD_TABLE));
	for (i = 0; i < ARRAY_SIZE(high_pages); i++)
		put64(g, HIGH_TABLE + 8 * (high_pages[i] / LARGE % 512),
		      high_pages[i] | flags | PS);
	if (g->mode == MODE_PAE) {
		put64(g, PDPT_TABLE, PD_TABLE | P);
		put64(g, PDPT_TABLE + 24, HIGH_TABLE | P);
		if (one_in(&g->rng, 16))
			put64(g, PDPT_TABLE + 16, rng_next(&g->rng) & (PAGE - 1));
		return;
	}
	put64(g, TOP_TABLE, PDPT_TABLE | flags);
	put64(g, TOP_TABLE + 8 * 256, table_entry(g, PDPT_TABLE));
	put64(g, TOP_TABLE + 8 * 510, odd_entry(g, true));
	put64(g, PDPT_TABLE, PD_TABLE | flags);
	if (guest_has(g, 0x80000001, 3, 26))
		put64(g, PDPT_TABLE + 8, PS | table_entry(g, 0));
	put64(g, PDPT_TABLE + 24, HIGH_TABLE | flags);
}

static void fill_narrow_tables(struct guest *g)
{
	uint32_t flags = P | W | (g->user ? U : 0), entry;
	unsigned int i;

	for (i = 0; i < 1024; i++) {
		entry = low_entry(g, i * PAGE);
		put(g, LOW_TABLE + 4 * i, &entry, 4);
		entry = odd_entry(g, false);
		put(g, ODD_TABLE + 4 * i, &entry, 4);
	}
	for (i = 0; i < ARRAY_SIZE(high_pages); i++) {
		entry = (high_pages[i] & 0xffc00000) | flags | PS;
		put(g, TOP_TABLE + 4 * (high_pages[i] >> 22), &entry, 4);
	}
	entry = LOW_TABLE | flags;
	put(g, TOP_TABLE, &entry, 4);
	entry = PS | table_entry(g, 0);
	put(g, TOP_TABLE + 4, &entry, 4);
	entry = table_entry(g, ODD_TABLE);
	put(g, TOP_TABLE + 8, &entry, 4);
}

static uint64_t paged_address(struct guest *g, uint64_t window)
{
	bool wide = g->mode != MODE_PAGED32;

	switch (rng_below(&g->rng, 10)) {
	case 0:
		return (wide ? ALIAS_PAE : ALIAS_32) + window;
	case 1:
		return g->mode == MODE_LONG ? GIGABYTE + window : window;
	case 2:
		return FAR_HOLE + window % PAGE;
	case 3 ... 5:
		return (wide ? ODD_PAE : ODD_32) + rng_below(&g->rng, wide ? 512 : 1024) * PAGE +
		       window % PAGE;
	case 6:
		if (g->mode == MODE_LONG && one_in(&g->rng, 4))
			return rng_value(&g->rng);
		return g->mode == MODE_LONG ? 0xffff800000000000 + window : window;
	default:
		return window;
	}
}

uint64_t guest_address(struct guest *g)
{
	struct rng *rng = &g->rng;
	uint32_t offset;

	switch (rng_below(rng, 16)) {
	case 0 ... 6:
		offset = rng_below(rng, READONLY_BASE - DATA_BASE);
		break;
	case 7 ... 8:
		offset = READONLY_BASE - DATA_BASE + rng_below(rng, HOLE_BASE - READONLY_BASE);
		break;
	case 9 ... 13:
		offset = HOLE_BASE - DATA_BASE + rng_below(rng, 0x4000);
		break;
	default:
		/* Across a page. */
		offset = rng_below(rng, 17) * PAGE - 1 - rng_below(rng, 16);
		offset %= WINDOW_SIZE;
	}
	if (!one_in(rng, 3))
		offset &= ~7;
	return guest_paging(g) ? paged_address(g, DATA_BASE + offset) : DATA_BASE + offset;
}

void guest_tables(struct guest *g)
{
	unsigned int i;

	for (i = DATA_BASE; i < MEM_SIZE; i += 8)
		put64(g, i, rng_value(&g->rng));
	fill_gdt(g);
	fill_tss(g);
	fill_idt(g);
	if (g->mode == MODE_PAGED32)
		fill_narrow_tables(g);
	else if (guest_paging(g))
		fill_wide_tables(g);
}
