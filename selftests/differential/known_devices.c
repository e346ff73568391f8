// SPDX-License-Identifier: GPL-2.0-only
/* Known differences: devices, page tables, and instructions that are emulated for them. */
#include <string.h>

#include "known.h"

/* Is it #UD, or what comes of one whose gate leads nowhere? */
static bool from_ud(const struct guest *g, const struct item *trap)
{
	unsigned int gate = g->mode == MODE_LONG || g->mode == MODE_COMPAT ? 16 : 8;
	uint16_t selector;

	memcpy(&selector, g->mem + IDT_BASE + 6 * gate + 2, sizeof(selector));
	if (trap->value == 6)
		return true;
	/* Without the bit that says that an event was on its way. */
	if (trap->value >= 10 && trap->value <= 13 && trap[1].key == ITEM_TRAP_ERROR)
		return (trap[1].value & ~1ULL) == (6 << 3 | 2) ||
		       (trap[1].value & ~7ULL) == (selector & ~7U);
	return trap->value == 8 && g->mode == MODE_V86;
}

/* Stock KVM gives up on an instruction that vitro emulates: an error, #UD for users, or a loop. */
static bool kvm_cannot_emulate(const struct guest *g, const struct item *a, const struct item *b)
{
	bool gave_up = (a->key == ITEM_EXIT && a->value == KVM_EXIT_INTERNAL_ERROR) ||
		       (a->key == ITEM_TRAP && a->slot == b->slot && from_ud(g, a));

	return (gave_up || endless(a)) && b->key == ITEM_MMIO;
}

/* In virtual-8086 mode the generator has given a segment a type that it cannot have there. */
static bool typed_v86(const struct guest *g, const struct item *a, const struct item *b)
{
	unsigned int seg;

	if (g->mode != MODE_V86 || b->key != ITEM_MMIO || a->key != ITEM_TRAP ||
	    (a->value != 8 && a->value != 12 && a->value != 13))
		return false;
	for (seg = 0; seg < NR_SEGS; seg++)
		if (guest_segment(g, seg)->type != 3)
			return true;
	return false;
}

/* Page tables are where there is no memory, or none that accessed bits can be written to. */
static bool tables_nowhere(const struct item *a, const struct item *b)
{
	if (b->key != ITEM_EXIT ||
	    (b->value != KVM_EXIT_INTERNAL_ERROR && b->value != KVM_EXIT_SHUTDOWN))
		return false;
	return endless(a) || (a->key == ITEM_TRAP && a->value == 14);
}

/* The same in PAE mode: stock KVM goes on with what it knew of the old tables. */
static bool old_pdpte(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->mode == MODE_PAE && step_of(g, b) == STEP_CR_WRITE && a->key == ITEM_IO &&
	       b->key == ITEM_EXIT && b->value == KVM_EXIT_INTERNAL_ERROR;
}

/* INS to a device: stock KVM asks for the next item, and forgets the write of this one. */
static bool ins_to_device(const struct guest *g, const struct item *a, const struct item *b)
{
	return step_of(g, b) == STEP_STRING_PORT && a->key == ITEM_IO && !(a->value >> 32) &&
	       b->key == ITEM_MMIO;
}

static bool not_emulated(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->mode != MODE_LONG && a->key == ITEM_MMIO && b->key == ITEM_EXIT &&
	       b->value == KVM_EXIT_INTERNAL_ERROR && b[1].key == ITEM_DETAIL &&
	       b[1].value == KVM_INTERNAL_ERROR_EMULATION;
}

/* Reading, changing, writing: the write is checked first. INS is alike. */
static bool read_before_fault(const struct item *a, const struct item *b)
{
	if (a->key != ITEM_MMIO && (a->key != ITEM_IO || a->value >> 32))
		return false;
	/* Or what comes of it, if the fault cannot be delivered. */
	return (b->key == ITEM_EXIT && b->value == KVM_EXIT_SHUTDOWN) ||
	       (b->key == ITEM_TRAP && (b->value == 8 || (b->value >= 10 && b->value <= 14)));
}

static bool beyond_memory(uint64_t cr3)
{
	return (cr3 & ~0xfffULL) >= MEM_SIZE;
}

/* On Intel, page tables are to be where there is no memory: from the beginning, or from now on. */
static bool tables_in_device(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct step *step = item_step(g, b);
	bool written = step->kind == STEP_CR_WRITE && step->arg == 3 && beyond_memory(step->value);

	if (guest_on_amd(g) || !(written || beyond_memory(g->sregs.cr3)))
		return false;
	/* Both gave up, with different errors; or PAE's MOV to CR3 reads the first of them. */
	return (a->key == ITEM_DETAIL && b->key == ITEM_DETAIL) ||
	       (g->mode == MODE_PAE && a->key == ITEM_TRAP && a->value == 13 &&
		b->key == ITEM_EXIT && b->value == KVM_EXIT_INTERNAL_ERROR);
}

/* An event is to be delivered by way of a device, its stack for instance. */
static bool delivery_by_device(const struct item *b)
{
	return b->key == ITEM_EXIT && b->value == KVM_EXIT_INTERNAL_ERROR &&
	       b[1].key == ITEM_DETAIL && b[1].value == KVM_INTERNAL_ERROR_DELIVERY_EV;
}

/*
 * TCG sets accessed bits in the entries that PAE's CR3 points to, where they are reserved.
 * Stock KVM reads them whenever it emulates an instruction, skips one or changes CR0 or CR4.
 */
static bool accessed_pdpte(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *trap = trap_of(a);
	uint32_t step = step_of(g, a);

	if (!guest_on_amd(g) || g->mode != MODE_PAE)
		return false;
	if (a->key == ITEM_EXIT && a->value == KVM_EXIT_INTERNAL_ERROR)
		return b->key != ITEM_EXIT;
	/* #GP, or what comes of it. */
	if (trap && (trap->value == 13 || trap->value == 8) &&
	    (step == STEP_CR_WRITE || step == STEP_LMSW))
		return true;
	return a->key == ITEM_TRAP && a->value == 14 && b->value != 14;
}

/* Entries that PAE's CR3 may not point to, which no processor would have loaded. */
static bool bad_pdpte(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->mode == MODE_PAE && a->key == ITEM_EXIT && a->value == KVM_EXIT_SHUTDOWN &&
	       b->key == ITEM_EXIT && b->value == KVM_EXIT_FAIL_ENTRY;
}

const char *known_of_devices(const struct guest *g, const struct item *a, const struct item *b)
{
	if (accessed_pdpte(g, a, b))
		return "QEMU sets accessed bits in PAE page-directory pointers, which stock KVM refuses as reserved bits when it reads them again";
	if (tables_nowhere(a, b))
		return "page tables are where there is no memory, or none to be written: vitro says so, stock KVM tries for ever or takes them for empty";
	if (old_pdpte(g, a, b))
		return "page tables are where there is no memory; stock KVM emulates with PAE's old page-directory pointers";
	if (ins_to_device(g, a, b))
		return "INS writes to a device as to memory (SDM, INS); stock KVM loses what a repeated one writes";
	if (not_emulated(g, a, b))
		return "vitro does not emulate on a device what no driver uses there, such as PUSHA, and says so";
	if (bad_pdpte(g, a, b))
		return "VM entry refuses reserved bits in PAE's page-directory pointers (SDM, Checks on Guest Page-Directory-Pointer-Table Entries); stock KVM loads none of them";
	if (read_before_fault(a, b))
		return "an instruction that reads a device or port and then writes memory is checked for the write before it reads; stock KVM reads first";
	if (tables_in_device(g, a, b))
		return "page tables where there is no memory: vitro gives up when they are read; stock KVM raises #GP for PAE's first entries, and gives up at the delivery of an event";
	if (delivery_by_device(b))
		return "an event whose delivery accesses a device is an error that user space is told of; stock KVM on AMD, and at the first access on Intel, emulates the instruction at RIP instead";
	if (typed_v86(g, a, b))
		return "segments have a fixed type in virtual-8086 mode (SDM, Segment Registers in virtual-8086 mode); stock KVM's emulator looks at it";
	if (kvm_cannot_emulate(g, a, b))
		return "stock KVM does not emulate the instruction on a device";
	return NULL;
}
