// SPDX-License-Identifier: GPL-2.0-only
/* Known differences: the state in which a guest ends. */
#include <linux/kvm_para.h>

#include "known.h"

/* Did the guest end in a shutdown or an error? @item: of the state afterwards. */
static bool after_crash(const struct item *item)
{
	while (item->key >= ITEM_STATE_FIRST || item->key == ITEM_END)
		item--;
	while (item->key != ITEM_EXIT && item->key != ITEM_SETUP)
		item--;
	return item->key == ITEM_EXIT && (item->value == KVM_EXIT_SHUTDOWN ||
					  item->value == KVM_EXIT_INTERNAL_ERROR);
}

/* The guest ends before an instruction is completed, at the first one after VMRUN. */
static bool host_shadow(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *item = b ? b : a;
	uint64_t shadow = ((a ? a->value : 0) ^ (b ? b->value : 0)) & ~0x3000000ULL;

	return guest_on_amd(g) && item->key == ITEM_STATE_EVENTS && item->index == 1 && !shadow;
}

/* What is in service when a PIC's initialisation begins. */
static bool pic_begun_anew(const struct guest *g, const struct item *a, const struct item *b)
{
	if (a->key != ITEM_STATE_PIC || (a->value ^ b->value) & ~0xff000000ULL)
		return false;
	return has_out(g, MAX_SLOTS - 1, 0x20) || has_out(g, MAX_SLOTS - 1, 0xa0);
}

/* What a poll of a PIC has acknowledged is in service. */
static bool polled(const struct guest *g, const struct item *a, const struct item *b)
{
	uint32_t port = b->index < 8 ? 0x20 : 0xa0;
	uint64_t irr = 0xff00, isr = 0xff000000;

	return a->key == ITEM_STATE_PIC && !((a->value ^ b->value) & ~(irr | isr)) &&
	       !(a->value & ~b->value & isr) && has_out(g, MAX_SLOTS - 1, port) &&
	       has_step(g, 0, MAX_SLOTS, STEP_PORT, port, port + 1);
}

/* The local APIC's errors that a write of the ESR has made readable. */
static bool apic_errors(const struct guest *g, const struct item *a, const struct item *b)
{
	return b->key == ITEM_STATE_LAPIC && b->index == 0x50 && !(a && a->value) &&
	       b->value <= 0xff && has_step(g, 0, MAX_SLOTS, STEP_APIC, 0x280, 0x280);
}

/* Nothing takes a vector that is illegal: it stays among those requested. */
static bool illegal_vector(const struct guest *g, const struct item *a, const struct item *b)
{
	return a && a->key == ITEM_STATE_LAPIC && a->index == 0x40 &&
	       !((a->value ^ (b ? b->value : 0)) & ~0xffffULL) &&
	       has_step(g, 0, MAX_SLOTS, STEP_HYPERCALL, KVM_HC_SEND_IPI, KVM_HC_SEND_IPI);
}

/* Reserved bits of CR0 that user space has set. */
static bool initial_cr0(const struct guest *g, const struct item *a, const struct item *b)
{
	uint64_t reserved = g->sregs.cr0 & 0x1ffaffc0;

	return !guest_on_amd(g) && a->key == ITEM_STATE_SREGS && a->index == 28 && reserved &&
	       a->value == (b->value | reserved);
}

/* What CR0 was given by a step that nobody looked after. */
static bool reserved_cr0(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && a->key == ITEM_STATE_SREGS && a->index == 28 &&
	       (a->value & ~0x1ffaffc0ULL) == b->value &&
	       (has_step(g, 0, MAX_SLOTS, STEP_CR_WRITE, 0, 0) ||
		has_step(g, 0, MAX_SLOTS, STEP_CR_WRITE, 6, 6) ||
		has_step(g, 0, MAX_SLOTS, STEP_LMSW, ALL));
}

/* What CPUID leaf 0xB left in CL, if nothing looked at it before the end. */
static bool subleaf_in_cl(const struct guest *g, const struct item *item)
{
	return item->key == ITEM_STATE_REGS && item->index == 2 &&
	       has_step(g, 0, MAX_SLOTS, STEP_CPUID, 0xb, 0xb);
}

/* The generator has given TR a type that it cannot have. */
static bool type_of_tr(const struct guest *g, const struct item *a, const struct item *b)
{
	uint8_t type = g->sregs.tr.type;

	return !guest_on_amd(g) && a->key == ITEM_STATE_SREGS && a->index == 19 &&
	       (a->value >> 48 & 0xf) == (type | 1U) && (b->value >> 48 & 0xf) == (type | 2U) &&
	       !((a->value ^ b->value) & ~(0xfULL << 48));
}

/* The highest class of the interrupts in service. @lapic: any of the local APIC's words. */
static uint64_t in_service(const struct item *lapic)
{
	unsigned int vector;
	uint64_t class = 0;

	for (; lapic->key == ITEM_STATE_LAPIC; lapic--)
		;
	for (lapic++; lapic->key == ITEM_STATE_LAPIC; lapic++) {
		if (lapic->index < 0x20 || lapic->index >= 0x30 || lapic->index & 1)
			continue;
		vector = (lapic->index - 0x20) * 16 + 31 - __builtin_clz((uint32_t)lapic->value);
		class = vector & 0xf0;
	}
	return class;
}

static uint64_t task_priority(const struct item *lapic)
{
	while (lapic->key == ITEM_STATE_LAPIC && lapic->index > 0x10)
		lapic--;
	return lapic->key == ITEM_STATE_LAPIC && lapic->index == 0x10 ? lapic->value & 0xff : 0;
}

/* The processor priority is what the manual has it computed from. @b: vitro's. */
static bool old_ppr(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *item = b ? b : a;
	uint64_t tpr, isr;

	if (guest_on_amd(g) || item->key != ITEM_STATE_LAPIC || item->index != 0x14)
		return false;
	tpr = task_priority(item);
	isr = in_service(item);
	return (b ? b->value : 0) == ((tpr & 0xf0) >= isr ? tpr : isr);
}

const char *known_of_end(const struct guest *g, const struct item *a, const struct item *b)
{
	if (a && !b && a->key == ITEM_STATE_EVENTS && !a->index && (uint8_t)a->value == 1 &&
	    after_crash(a))
		return "what ends in a shutdown or an error is over; stock KVM keeps the exception injected, or has one for the error";
	if (host_shadow(g, a, b))
		return "QEMU takes the host's STI shadow for the guest's, and shows it at the exit";
	if (subleaf_in_cl(g, b ? b : a))
		return cpuid_topology;
	if (old_ppr(g, a, b))
		return "the processor priority follows the task priority (SDM, Task and Processor Priorities); stock KVM with a TPR shadow computes it later";
	if (b && apic_errors(g, a, b))
		return "an access to a register that does not exist is an error (SDM, Error Handling of the local APIC); stock KVM records none";
	if (illegal_vector(g, a, b))
		return illegal_ipi;
	if (!a || !b)
		return NULL;
	if (polled(g, a, b))
		return "what a poll acknowledges is in service until its EOI (8259A data sheet); stock KVM ends it at once";
	if (initial_cr0(g, a, b))
		return "reserved bits of CR0 are clear (SDM, Control Registers); stock KVM keeps those that user space sets";
	if (reserved_cr0(g, a, b))
		return cr0_reserved;
	if (type_of_tr(g, a, b))
		return loaded_tr;
	if (pic_begun_anew(g, a, b))
		return "ICW1 begins the initialisation of a PIC, after which nothing is in service; stock KVM keeps what was";
	return NULL;
}
