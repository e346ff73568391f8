// SPDX-License-Identifier: GPL-2.0-only
/* Where a guest starts: registers, segments, tables; right at first, then damaged. */
#include <string.h>

#include "guest.h"

#define PTE_P		1ULL
#define PTE_W		2ULL
#define PTE_U		4ULL
#define PTE_PS		0x80ULL
#define PAGE		0x1000UL

#define CR0_PE		1ULL
#define CR0_PG		(1ULL << 31)
#define CR4_PSE		0x10ULL
#define CR4_PAE		0x20ULL
#define EFER_LME	0x100ULL
#define EFER_LMA	0x400ULL

static uint64_t *entry(struct machine *m, uint64_t table, unsigned int i)
{
	return (uint64_t *)(m->ram + table) + i;
}

/* 4 GiB one to one: PML4, one table of pointers, four directories of large pages. */
static void map_64(struct machine *m)
{
	const uint64_t flags = PTE_P | PTE_W | PTE_U;
	unsigned int i;

	*entry(m, TABLES, 0) = (TABLES + PAGE) | flags;
	for (i = 0; i < 4; i++)
		*entry(m, TABLES + PAGE, i) = (TABLES + (2 + i) * PAGE) | flags;
	for (i = 0; i < 4 * 512; i++)
		*entry(m, TABLES + 2 * PAGE, i) = (uint64_t)i << 21 | flags | PTE_PS;
	/* The first of them in small pages. */
	for (i = 0; i < 512; i++)
		*entry(m, TABLES + 6 * PAGE, i) = (uint64_t)i << 12 | flags;
	*entry(m, TABLES + 2 * PAGE, 0) = (TABLES + 6 * PAGE) | flags;
}

/* Entries of PAE's pointer table have no W and U. */
static void map_pae(struct machine *m)
{
	unsigned int i;

	map_64(m);
	for (i = 0; i < 4; i++)
		*entry(m, TABLES + PAGE, i) = (TABLES + (2 + i) * PAGE) | PTE_P;
}

static void map_32(struct machine *m)
{
	uint32_t *directory = (uint32_t *)(m->ram + TABLES);
	uint32_t *table = (uint32_t *)(m->ram + TABLES + PAGE);
	unsigned int i;

	for (i = 0; i < 1024; i++) {
		directory[i] = i << 22 | PTE_P | PTE_W | PTE_U | PTE_PS;
		table[i] = i << 12 | PTE_P | PTE_W | PTE_U;
	}
	directory[0] = (TABLES + PAGE) | PTE_P | PTE_W | PTE_U;
}

/* Loops, tables where there is no memory or a device or ROM, reserved bits, nothing. */
static uint64_t bad_entry(struct stream *s)
{
	static const uint64_t where[] = {
		TABLES, TABLES + PAGE, TABLES + 2 * PAGE, CODE, ROM_GPA, DEVICE, APIC_MMIO,
		IOAPIC_MMIO, RAM_SIZE, 1ULL << 40, 1ULL << 47, 0xffffffffff000, 0, DATA,
	};

	return pick(s, where) | take(s, 2) % 0x1000 | (one_in(s, 4) ? 1ULL << 63 : 0) |
	       (one_in(s, 8) ? 1ULL << (51 - below(s, 12)) : 0);
}

static void damage_tables(struct machine *m, struct stream *s)
{
	unsigned int n = one_in(s, 2) ? 0 : below(s, 8);

	while (n--)
		*entry(m, TABLES, one_in(s, 2) ? below(s, 8) : below(s, 7 * 512)) =
			one_in(s, 4) ? interesting(s) : bad_entry(s);
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool big, bool l)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .s = 1,
		.db = big && !l, .g = 1, .l = l,
	};
}

/* As the processor makes them in real and virtual-8086 mode. */
static struct kvm_segment old(uint64_t base, uint32_t limit, uint8_t dpl)
{
	return (struct kvm_segment){
		.base = base, .selector = base >> 4, .limit = limit, .type = 3, .present = 1,
		.s = 1, .dpl = dpl, .g = limit > 0xfffff,
	};
}

static void segments(struct machine *m, struct kvm_sregs *r, bool user)
{
	bool big = m->mode != MODE_PROT16 && m->mode != MODE_REAL;
	unsigned int rpl = user ? 3 : 0;

	if (m->mode == MODE_REAL || m->mode == MODE_VM86 || m->mode == MODE_UNREAL) {
		uint32_t limit = m->mode == MODE_UNREAL ? 0xffffffff : 0xffff;
		uint8_t dpl = m->mode == MODE_VM86 ? 3 : 0;

		r->cs = old(CODE, 0xffff, dpl);
		r->ss = old(STACK, 0xffff, dpl);
		r->ds = r->es = old(m->mode == MODE_UNREAL ? 0 : DATA, limit, dpl);
		r->fs = r->gs = old(0, limit, dpl);
		return;
	}
	r->cs = flat(0x08 | rpl, 11, big, m->mode == MODE_LONG);
	r->ds = r->es = r->ss = r->fs = r->gs = flat(0x10 | rpl, 3, big, false);
	r->cs.dpl = r->ss.dpl = r->ds.dpl = r->es.dpl = rpl;
}

/* Flat descriptors for both privileges, a TSS and an LDT, gates to anywhere in the code. */
static void descriptors(struct machine *m, struct stream *s)
{
	bool wide = m->mode == MODE_LONG || m->mode == MODE_COMPAT;
	uint64_t *gdt = (uint64_t *)(m->ram + GDT), *idt = (uint64_t *)(m->ram + IDT);
	uint16_t *vectors = (uint16_t *)m->ram;
	unsigned int i;
	uint64_t to;

	gdt[1] = m->mode == MODE_LONG ? 0x00af9b000000ffff : 0x00cf9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;
	gdt[3] = m->mode == MODE_LONG ? 0x00affb000000ffff : 0x00cffb000000ffff;
	gdt[4] = 0x00cff3000000ffff;
	gdt[5] = 0x0000890000000067 | TSS << 16;
	gdt[7] = 0x0000820000000067 | TSS << 16;
	for (i = 8; i < 16; i++)
		gdt[i] = take(s, 8);
	for (i = 0; i < 256; i++) {
		to = CODE + below(s, CODE_SIZE);
		if (m->mode < MODE_PROT16 || m->mode == MODE_VM86) {
			vectors[2 * i] = to;
			vectors[2 * i + 1] = CODE >> 4;
		}
		to = (to & 0xffff) | 0x08ULL << 16 | (0x8e00ULL | (take8(s) & 0x6100)) << 32 |
		     to >> 16 << 48;
		if (wide) {
			idt[2 * i] = to;
			idt[2 * i + 1] = 0;
		} else {
			idt[i] = one_in(s, 32) ? 0x0000e50000280000 : to;	/* a task gate */
		}
	}
}

static void control(struct machine *m, struct kvm_sregs *r)
{
	r->cr0 = 0x10;
	r->cr4 = 0x600;
	if (m->mode >= MODE_PROT16)
		r->cr0 |= CR0_PE | 0x20;
	switch (m->mode) {
	case MODE_PAGED32:
	case MODE_VM86:
		map_32(m);
		r->cr3 = TABLES;
		r->cr0 |= CR0_PG;
		r->cr4 |= CR4_PSE;
		break;
	case MODE_PAE:
		map_pae(m);
		r->cr3 = TABLES + PAGE;
		r->cr0 |= CR0_PG;
		r->cr4 |= CR4_PAE;
		break;
	case MODE_LONG:
	case MODE_COMPAT:
		map_64(m);
		r->cr3 = TABLES;
		r->cr0 |= CR0_PG;
		r->cr4 |= CR4_PAE;
		r->efer = EFER_LME | EFER_LMA | 1;
		break;
	default:
		break;
	}
}

/* A few fields of anything. What KVM_SET_SREGS refuses is left out by the caller. */
static void damage_registers(struct kvm_sregs *r, struct stream *s)
{
	static const uint16_t offsets[] = {
		offsetof(struct kvm_sregs, cr0), offsetof(struct kvm_sregs, cr3),
		offsetof(struct kvm_sregs, cr4), offsetof(struct kvm_sregs, efer),
		offsetof(struct kvm_sregs, gdt.base), offsetof(struct kvm_sregs, idt.base),
		offsetof(struct kvm_sregs, apic_base), offsetof(struct kvm_sregs, cs.base),
		offsetof(struct kvm_sregs, cr8),
	};
	unsigned int n = one_in(s, 2) ? 0 : below(s, 6);
	uint8_t *bytes = (uint8_t *)r;

	while (n--) {
		if (one_in(s, 2))
			*(uint64_t *)(bytes + pick(s, offsets)) ^= 1ULL << below(s, 64);
		else
			bytes[below(s, sizeof(*r))] = take8(s);
	}
}

/* Addresses for instructions to work on. */
static uint64_t pointer(struct stream *s)
{
	static const uint64_t where[] = {
		DATA, DATA, DATA + PAGE - 2, DEVICE, DEVICE + PAGE - 3, APIC_MMIO + 0x300,
		APIC_MMIO + 0x20, IOAPIC_MMIO, IOAPIC_MMIO + 0x10, CODE, CODE + 0x800, TABLES,
		TABLES + 6 * PAGE, ROM_GPA, ROM_GPA + ROM_SIZE - 2, RAM_SIZE - 4, 0xffffffff, 0,
	};

	return one_in(s, 6) ? interesting(s) : pick(s, where) + (one_in(s, 3) ? take8(s) : 0);
}

void state_make(struct machine *m, struct stream *s)
{
	bool user;
	unsigned int i, j;

	m->mode = below(s, NR_MODES);
	user = m->mode == MODE_VM86 || (m->mode >= MODE_PROT16 && one_in(s, 5));
	descriptors(m, s);
	for (i = 0; i < m->nr_vcpus; i++) {
		struct vcpu *v = &m->vcpu[i];
		uint64_t *gpr = (uint64_t *)&v->regs;

		segments(m, &v->sregs, user);
		control(m, &v->sregs);
		v->sregs.gdt = (struct kvm_dtable){ .base = GDT, .limit = 0x7f };
		v->sregs.idt = (struct kvm_dtable){ .base = IDT, .limit = 0xfff };
		if (m->mode < MODE_PROT16)
			v->sregs.idt = (struct kvm_dtable){ .base = 0, .limit = 0x3ff };
		v->sregs.tr = (struct kvm_segment){
			.base = TSS, .limit = 0x67, .selector = 0x28, .type = 11, .present = 1,
		};
		/* Up to R15; RIP and RFLAGS follow. */
		for (j = 0; j < 16; j++)
			gpr[j] = pointer(s);
		v->regs.rcx = one_in(s, 2) ? take8(s) : msr_index(s);
		v->regs.rsp = m->mode == MODE_REAL || m->mode == MODE_VM86 ||
			      m->mode == MODE_UNREAL ? 0x8000 : STACK + 0x8000;
		v->regs.rip = m->mode == MODE_REAL || m->mode == MODE_VM86 ||
			      m->mode == MODE_UNREAL ? 0 : CODE;
		v->regs.rip += i * 0x40;
		v->regs.rflags = 2 | (take(s, 2) & 0x7ed5) |
				 (m->mode == MODE_VM86 ? 0x23000 : 0);
		damage_registers(&v->sregs, s);
	}
	damage_tables(m, s);
}
