// SPDX-License-Identifier: GPL-2.0-only
/* Known differences: control registers, MSRs, CPUID. */
#include <asm/processor-flags.h>

#include "known.h"

/* SYSENTER on AMD, in a mode where it has none. */
static bool sysenter_on_amd(const struct guest *g, const struct item *a, const struct item *b)
{
	uint32_t step = step_of(g, b);

	return guest_on_amd(g) && (step == STEP_NONE ||
		(step == STEP_OTHER && item_step(g, b)->arg == 0x0f3400)) &&
	       a->key == ITEM_EXIT && a->value == KVM_EXIT_INTERNAL_ERROR &&
	       b->key == ITEM_TRAP && b->value == 6;
}

/* EFER.LMSLE, which CPUID's EferLmsleUnsupported takes away. */
static bool lmsle(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && step_of(g, b) == STEP_WRMSR &&
	       item_step(g, b)->arg == 0xc0000080 && a->key == ITEM_EXIT &&
	       a->value == KVM_EXIT_FAIL_ENTRY && b->key == ITEM_TRAP && b->value == 13;
}

/* On Intel, too, stock KVM has some of AMD's registers. */
static bool amd_msr_on_intel(const struct guest *g, const struct item *item)
{
	const struct step *step = item_step(g, item);

	if (guest_on_amd(g))
		return false;
	return (step->kind == STEP_RDMSR || step->kind == STEP_WRMSR) &&
	       step->arg >> 16 == 0xc001;
}

/* VMCALL is not AMD's: no privilege makes a difference. The #UD may meet with other faults. */
static bool vmcall_on_amd(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && g->user && step_of(g, b) == STEP_HYPERCALL && trap_of(a) && trap_of(b) &&
	       trap_of(a)->value < 32;
}

/* SFMASK with bits from 32 up. */
static bool wide_sfmask(const struct guest *g, const struct item *b)
{
	return !guest_on_amd(g) && b->key == ITEM_TRAP && b->value == 13 &&
	       step_of(g, b) == STEP_WRMSR && item_step(g, b)->arg == 0xc0000084 &&
	       item_step(g, b)->value >> 32;
}

/*
 * Has vitro #GP for this value of a control register? Stock KVM goes on, so whatever comes
 * next comes later.
 */
static bool refused_cr(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *trap = trap_of(b);

	return g->mode == MODE_LONG && trap && trap->value == 13 &&
	       step_of(g, trap) == STEP_CR_WRITE && (a->key == ITEM_IO || a->slot > trap->slot);
}

static bool upper_half_of_cr(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct step *step = item_step(g, b);

	return guest_on_amd(g) && refused_cr(g, a, b) && (step->arg == 0 || step->arg == 4) &&
	       step->value >> 32;
}

static bool wide_cr8(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct step *step = item_step(g, b);

	return !guest_on_amd(g) && refused_cr(g, a, b) && step->arg == 8 && step->value > 0xff &&
	       !(step->value & 0xf0);
}

/*
 * vitro refused the special registers, and so did stock KVM: the guest has those of reset.
 * Hashes of them do not tell which differ.
 */
static bool tr_of_reset(const struct guest *g, const struct item *a, const struct item *b)
{
	if (!guest_on_amd(g) || a->key != ITEM_SPECIAL || b->key != ITEM_SPECIAL)
		return false;
	if (b->index != ANY && (b->index != 19 || (a->value ^ b->value) & ~(8ULL << 48)))
		return false;
	while (b->key != ITEM_SETUP)
		b--;
	for (; b->key == ITEM_SETUP && b->slot == NO_SLOT; b--)
		if (b->index == (uint32_t)KVM_SET_SREGS)
			return b->value;
	return false;
}

/* The generator has cleared CR0.ET; hashes do not tell whether that is all. */
static bool hardwired_et(const struct guest *g, const struct item *a, const struct item *b)
{
	if (g->sregs.cr0 & X86_CR0_ET || a->key != b->key)
		return false;
	if (a->key == ITEM_SPECIAL && a->index == ANY)
		return true;
	return (a->key == ITEM_SPECIAL || a->key == ITEM_STATE_SREGS) && a->index == 28 &&
	       (a->value ^ b->value) == X86_CR0_ET;
}

/* The type of a TSS that is not busy: stock KVM's entry fails. */
static bool available_tr(const struct guest *g, const struct item *a, const struct item *b)
{
	return !guest_on_amd(g) && (g->sregs.tr.type == 1 || g->sregs.tr.type == 9) &&
	       a->key == ITEM_EXIT && a->value == KVM_EXIT_FAIL_ENTRY &&
	       (b->key != ITEM_EXIT || b->value != KVM_EXIT_FAIL_ENTRY);
}

/* Stock KVM's guest has given itself another APIC ID: a message does not find it. */
static bool other_apic_id(const struct guest *g, const struct item *a, const struct item *b)
{
	return a->key == ITEM_INJECT && b->key == ITEM_INJECT && !a->value && b->value == 1 &&
	       g->irqchip && has_step(g, 0, b->slot, STEP_APIC, 0x20, 0x20);
}

const char *known_of_registers(const struct guest *g, const struct item *a, const struct item *b)
{
	if (sysenter_on_amd(g, a, b))
		return "SYSENTER is undefined in AMD's long mode (APM, SYSENTER); stock KVM tries to emulate it and fails";
	if (lmsle(g, a, b))
		return "EFER.LMSLE is refused, as not all processors have it (APM, EFER); with stock KVM the entry fails";
	if (hardwired_et(g, a, b))
		return "CR0.ET is always set (SDM, Control Registers); stock KVM shows what user space wrote";
	if (available_tr(g, a, b))
		return loaded_tr;
	if (other_apic_id(g, a, b))
		return apic_id;
	if (amd_msr_on_intel(g, a) || amd_msr_on_intel(g, b))
		return "AMD's MSRs do not exist on Intel (SDM, RDMSR); stock KVM has some of them on any vendor";
	if (wide_cr8(g, a, b))
		return "reserved bits of CR8 raise #GP (SDM, Control Registers); stock KVM on Intel looks at the lowest byte";
	if (tr_of_reset(g, a, b))
		return after_init;
	if (upper_half_of_cr(g, a, b))
		return "reserved bits of the upper half of CR0 and CR4 raise #GP (APM, Control Registers); stock KVM without decode assists drops them";
	if (vmcall_on_amd(g, a, b))
		return "VMCALL is undefined on AMD at any CPL; stock KVM checks the CPL first";
	if (wide_sfmask(g, b))
		return "the upper half of SFMASK is reserved, and reserved bits raise #GP (SDM, WRMSR); Bochs, whom stock KVM asks, drops them";
	return NULL;
}
