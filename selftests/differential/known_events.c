// SPDX-License-Identifier: GPL-2.0-only
/* Known differences: exceptions, interrupts, and their controllers. */
#include "known.h"

/* Was the last exit before this item a write to a device? */
static bool after_device_write(const struct item *item)
{
	for (item--; item->key != ITEM_SETUP; item--) {
		if (item->key == ITEM_MMIO_KIND)
			return item->value >> 32;
		if (item->key == ITEM_IO || item->key == ITEM_TRAP || item->key == ITEM_EXIT)
			return false;
	}
	return false;
}

/* With TF set, vitro has a #DB for the guest where stock KVM has none, or a later one. */
static bool step_lost(const struct item *a, const struct item *b)
{
	const struct item *trap = trap_of(b);

	if (b->key == ITEM_RUN)
		return (a->value ^ b->value) == 2 && after_device_write(b);
	return trap && trap->value == 1 && after_device_write(trap);
}

/* What an IRET from an NMI handler uncovers: without virtual NMIs stock KVM notices it late. */
static bool nmi_first(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && a->key == ITEM_TRAP && a->value >= 32 &&
	       b->key == ITEM_TRAP && b->value == 2;
}

/* Did an exception or interrupt come in the handler of another? @trap: its item. */
static bool in_handler(const struct guest *g, const struct item *trap)
{
	uint64_t offset = frame_ip(trap) - (guest_bits(g) == 16 ? 0 : CODE_BASE);

	return offset >= STUBS && offset < CODE_SIZE;
}

static bool begins_handler(uint64_t ip)
{
	return (uint16_t)ip >= STUBS && !(ip % STUB_SIZE);
}

/*
 * QEMU 7.2 lets the shadow of the STI before VMRUN reach into the guest, so an NMI, interrupt
 * or window that is to follow an injected event at once follows an instruction later, in
 * whichever way it was asked for. The same if the guest's first instruction faults.
 */
static bool after_event(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *kvm = trap_of(a);

	if (guest_on_amd(g) && a->key == ITEM_EXIT && a->value == KVM_EXIT_IRQ_WINDOW_OPEN)
		return b->key == ITEM_TRAP && a[1].key == ITEM_RUN && a[2].key == ITEM_RIP &&
		       begins_handler(a[2].value);
	if (!guest_on_amd(g) || !kvm || a->key != b->key || (kvm->value != 2 && kvm->value < 32))
		return false;
	if (a->key == ITEM_TRAP)
		return b->value == 1 || in_handler(g, kvm);
	return a->key == ITEM_TRAP_IP && in_handler(g, kvm);
}

/*
 * An NMI and an interrupt from user space, both of them before the instruction was completed:
 * one begins, the other one comes at its handler's first instruction, and is seen first.
 */
static bool nmi_and_irq(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *kvm = trap_of(a), *item = trap_of(b);
	bool nmi = false, irq = false;

	if (guest_on_amd(g) || g->irqchip || g->complete || !kvm || !item || kvm->value != 2)
		return false;
	if (a->key == ITEM_TRAP ? item->value < 32 : !in_handler(g, kvm))
		return false;
	for (item--; item->key != ITEM_TRAP && item->key != ITEM_SETUP; item--) {
		nmi |= item->key == ITEM_INJECT && item->value == 0x50000;
		irq |= item->key == ITEM_INJECT && item->value >> 16 == 4;
	}
	return nmi && irq;
}

/*
 * TCG does not take the shadow from the VMCB: an interrupt of L1's in that of STI, and stock
 * KVM's guest has none any more. vitro is where it should be, after the NOP.
 */
static bool sti_shadow_lost(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct step *step = item_step(g, b);

	return guest_on_amd(g) && step->kind == STEP_EVENT && step->arg == EVENT_STI &&
	       a->key == b->key && (a->key == ITEM_RIP || a->key == ITEM_TRAP_IP) &&
	       b->value == a->value + 1;
}

/* Waiting for the end of an NMI's handler, stock KVM steps, and clears the guest's own TF. */
static bool tf_forgotten(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && (a->key == ITEM_TRAP_FLAGS || a->key == ITEM_FLAGS) &&
	       a->key == b->key && b->value == (a->value | 0x100);
}

/*
 * Between the exits of an instruction that is not complete. The interrupt that user space wants
 * to inject, or has injected, comes after the instruction in any case.
 */
static bool window(const struct guest *g, const struct item *a, const struct item *b)
{
	uint32_t step = step_of(g, b);

	/* User space completes the exits one by one, but those of strings. */
	if (g->irqchip || (g->complete && step != STEP_STRING && step != STEP_STRING_PORT))
		return false;
	if (a->key == ITEM_EXIT && a->value == KVM_EXIT_IRQ_WINDOW_OPEN)
		return b->key == ITEM_INJECT || b->key == ITEM_TRAP;
	if (b->key == ITEM_EXIT && b->value == KVM_EXIT_IRQ_WINDOW_OPEN)
		return a->key == ITEM_INJECT;
	return a->key == ITEM_INJECT && (b->key == ITEM_MMIO || b->key == ITEM_IO);
}

/* A vector that the slave or the master makes up, as the request has gone. */
static bool spurious_irq(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->irqchip && a->key == ITEM_TRAP && (a->value & 7) == 7 &&
	       (b->key != ITEM_TRAP || b->value < 32);
}

/* Has the guest initialised the master in a slot before this one? */
static bool after_icw1(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->irqchip && a->key == ITEM_TRAP && b->key != ITEM_TRAP && b->slot < MAX_SLOTS &&
	       has_out(g, b->slot, 0x20);
}

/* A string instruction on a device with TF set: stock KVM forgets the traps of iterations. */
static bool iteration_lost(const struct guest *g, const struct item *b)
{
	const struct item *trap = trap_of(b);
	uint32_t step = step_of(g, b);

	return trap && trap->value == 1 && (step == STEP_STRING || step == STEP_STRING_PORT);
}

/* Is it a #DB, or a fault that names its gate, as the #DB could not be delivered? */
static bool from_debug_trap(const struct item *trap)
{
	/* Vector 1's in the IDT, while an event was on its way. */
	const uint64_t gate = 1 << 3 | 2 | 1;

	return trap->value == 1 || (trap->value >= 10 && trap->value <= 13 &&
				    trap[1].key == ITEM_TRAP_ERROR && trap[1].value == gate);
}

/* The IP in the frame of what comes of a #DB; ~0 if the exception is another. */
static uint64_t debug_trap_ip(const struct item *trap)
{
	return from_debug_trap(trap) ? frame_ip(trap) : ~0ULL;
}

/* Where user space has a handler return to after a fault, see record_frame(). */
static uint64_t next_slot(uint64_t ip)
{
	return (ip | (SLOT_SIZE - 1)) + 1;
}

/*
 * Bochs notes before an instruction that it will trap, and an exit from the midst of it
 * keeps the note in the pending debug exceptions: when the instruction is begun again, its
 * trap comes first. Stock KVM has instructions begun again where vitro finishes them:
 * first accesses to devices, and to debug registers.
 */
static bool stepped_again(const struct guest *g, const struct item *a)
{
	const struct item *trap = trap_of(a);
	uint64_t ip = trap ? debug_trap_ip(trap) : ~0ULL;

	if (guest_on_amd(g) || ip == ~0ULL)
		return false;
	/* Where the handler before this one has returned to: a fault's, to the next slot. */
	for (trap--; trap->key != ITEM_SETUP; trap--)
		if (trap->key == ITEM_TRAP)
			return debug_trap_ip(trap) == ip ||
			       (trap->value < 32 && next_slot(frame_ip(trap)) == ip);
	return false;
}

const char *known_of_events(const struct guest *g, const struct item *a, const struct item *b)
{
	if (tf_forgotten(g, a, b))
		return "NMIs leave RFLAGS.TF alone; stock KVM on AMD, stepping to the end of a handler, clears it";
	if (window(g, a, b))
		return "when the interrupt window is said to open, in the middle of an instruction, is the hypervisor's choice";
	if (after_icw1(g, a, b))
		return "initialisation forgets edges (8259A data sheet), the slave's as well; stock KVM makes a new one at any change";
	if (spurious_irq(g, a, b))
		return "a request that has gone interrupts no more; stock KVM's PIC looks again only when something else changes";
	if (nmi_first(g, a, b))
		return "NMIs come before interrupts (APM, Priorities); stock KVM on AMD notices the end of an NMI handler an instruction late";
	if (nmi_and_irq(g, a, b))
		return "NMIs come before interrupts (SDM, Priority Among Concurrent Events); stock KVM takes an interrupt that user space injects for begun";
	if (after_event(g, a, b))
		return "an NMI, interrupt or window comes before a handler's first instruction (APM, Priorities); QEMU takes the host's STI shadow for the guest's";
	if (sti_shadow_lost(g, a, b))
		return "the instruction after STI is in its shadow (APM, Interrupt Shadow); TCG forgets that if an interrupt of the host's comes between the two";
	if (iteration_lost(g, b))
		return "each iteration of a string instruction traps if TF is set (SDM, Single-Step Exception); stock KVM forgets some when a device is read";
	if (step_lost(a, b))
		return "an instruction that completes with TF set traps (SDM, Single-Step Exception); stock KVM forgets it when a device write goes to user space";
	if (stepped_again(g, a))
		return "an instruction that is begun again after an exit has not completed, so it has not trapped (SDM, Single-Step Exception); Bochs has kept the trap, where stock KVM has instructions begun again";
	return NULL;
}
