// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: life, reset, IA32_APIC_BASE and the state that user space gets
 * and sets.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "internal.h"

#define LVT_STEP	0x10

/**
 * vitro_lapic_create() - give a vCPU its local APIC
 * @vcpu:	vCPU that nobody else can see yet
 *
 * Context: process; vm->lock held. Return: 0 or -ENOMEM.
 */
int vitro_lapic_create(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = kzalloc(sizeof(*lapic), GFP_KERNEL_ACCOUNT);

	if (!lapic)
		return -ENOMEM;
	lapic->vcpu = vcpu;
	vitro_lapic_timer_init(lapic);
	vcpu->lapic = lapic;
	return 0;
}

/**
 * vitro_lapic_destroy() - free a vCPU's local APIC
 * @vcpu:	vCPU that no thread runs and nobody sends interrupts to any more
 *
 * Context: process.
 */
void vitro_lapic_destroy(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	if (!lapic)
		return;
	hrtimer_cancel(&lapic->timer.hrtimer);
	vcpu->lapic = NULL;
	kfree(lapic);
}

static void clear_vectors(unsigned long *map)
{
	int i;

	for (i = 0; i < VITRO_VECTOR_LONGS; i++)
		WRITE_ONCE(map[i], 0);
}

static bool is_bsp(const struct vitro_vcpu *vcpu)
{
	return vcpu->id == READ_ONCE(vcpu->vm->bsp_id);
}

/* SDM, Local APIC State After Power-Up or Reset */
static void reset_registers(struct vitro_lapic *lapic)
{
	u32 offset;

	vitro_lapic_timer_stop(lapic);
	/* Software disabled first: nothing is accepted while we clear. */
	vitro_lapic_set_reg(lapic, APIC_SPIV, 0xff);
	for (offset = 0; offset < KVM_APIC_REG_SIZE; offset += LVT_STEP)
		if (offset != APIC_SPIV)
			vitro_lapic_set_reg(lapic, offset, 0);
	vitro_lapic_set_reg(lapic, APIC_DFR, APIC_DFR_FLAT);
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += LVT_STEP)
		vitro_lapic_set_reg(lapic, offset, APIC_LVT_MASKED);
	/*
	 * Users of the KVM API expect the virtual wire that firmware would
	 * have set up: the boot processor takes the PIC's interrupts.
	 */
	if (is_bsp(lapic->vcpu))
		vitro_lapic_set_reg(lapic, APIC_LVT0,
				    SET_APIC_DELIVERY_MODE(0, APIC_MODE_EXTINT));

	clear_vectors(lapic->irr);
	clear_vectors(lapic->isr);
	clear_vectors(lapic->tmr);
	vitro_pv_eoi_set_msr(lapic->vcpu, 0);
	xchg(&lapic->esr, 0);
	WRITE_ONCE(lapic->timer.expired, false);
	vitro_request(lapic->vcpu, VITRO_REQ_EVENT);
}

/**
 * vitro_lapic_reset() - RESET or INIT
 * @vcpu:	the caller's vCPU, with or without a local APIC
 * @init:	INIT, which keeps IA32_APIC_BASE (and with it x2APIC mode)
 */
void vitro_lapic_reset(struct vitro_vcpu *vcpu, bool init)
{
	u64 base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE;

	if (!init) {
		if (is_bsp(vcpu))
			base |= MSR_IA32_APICBASE_BSP;
		WRITE_ONCE(vcpu->msrs.apic_base, base);
	}
	if (vcpu->lapic)
		reset_registers(vcpu->lapic);
}

/* x2APIC needs the APIC enabled; SDM, x2APIC State Transitions */
static bool transition_allowed(u64 old, u64 new)
{
	u64 old_mode = old & (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE);
	u64 new_mode = new & (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE);

	if (old_mode == new_mode)
		return true;
	if (old_mode & X2APIC_ENABLE)
		return !new_mode;
	if (new_mode & X2APIC_ENABLE)
		return old_mode;
	return true;
}

/**
 * vitro_apic_base_write() - write IA32_APIC_BASE
 * @vcpu:	the caller's vCPU, with or without a local APIC
 * @value:	new value
 * @host:	by user space: every consistent state may follow every other
 *
 * Return: 0, or 1 for #GP.
 */
int vitro_apic_base_write(struct vitro_vcpu *vcpu, u64 value, bool host)
{
	u64 old = vcpu->msrs.apic_base;
	u64 allowed = MSR_IA32_APICBASE_BSP | MSR_IA32_APICBASE_ENABLE;
	unsigned int bits = clamp_t(unsigned int, vcpu->maxphyaddr, 32, 52);

	allowed |= GENMASK_ULL(bits - 1, 12);
	/* User space may restore the mode before it tells about CPUID. */
	if (host || vcpu_has(vcpu, VITRO_GF_X2APIC))
		allowed |= X2APIC_ENABLE;
	if (value & ~allowed)
		return 1;
	if ((value & X2APIC_ENABLE) && !(value & MSR_IA32_APICBASE_ENABLE))
		return 1;
	if (!host && !transition_allowed(old, value))
		return 1;

	WRITE_ONCE(vcpu->msrs.apic_base, value);
	if (!vcpu->lapic)
		return 0;
	if ((old & MSR_IA32_APICBASE_ENABLE) && !(value & MSR_IA32_APICBASE_ENABLE))
		reset_registers(vcpu->lapic);
	vitro_lapic_recheck(vcpu->lapic);
	return 0;
}

static void put_reg(struct kvm_lapic_state *state, u32 offset, u32 value)
{
	memcpy(state->regs + offset, &value, sizeof(value));
}

static u32 take_reg(const struct kvm_lapic_state *state, u32 offset)
{
	u32 value;

	memcpy(&value, state->regs + offset, sizeof(value));
	return value;
}

static void put_vectors(struct kvm_lapic_state *state, u32 offset, const unsigned long *map)
{
	unsigned int i;

	for (i = 0; i < VITRO_NR_VECTORS / 32; i++)
		put_reg(state, offset + i * 16, vitro_vector_word(map, i));
}

static void take_vectors(const struct kvm_lapic_state *state, u32 offset, unsigned long *map)
{
	unsigned int i;

	for (i = 0; i < VITRO_VECTOR_LONGS; i++) {
		u64 low = take_reg(state, offset + i * 32);
		u64 high = take_reg(state, offset + i * 32 + 16);
		u64 word = high << 32 | low;

		WRITE_ONCE(map[i], word);
	}
}

/* Does the ID that user space sees have 32 bits? */
static bool whole_id(const struct vitro_lapic *lapic)
{
	return vitro_lapic_x2apic(lapic) &&
	       READ_ONCE(lapic->vcpu->vm->x2apic_api) & KVM_X2APIC_API_USE_32BIT_IDS;
}

/**
 * vitro_lapic_get_state() - KVM_GET_LAPIC
 * @vcpu:	vCPU whose mutex is held
 * @state:	filled with the registers as in the xAPIC page; the ID in its
 *		top byte in x2APIC mode, too, unless user space wants it whole
 *
 * Return: 0, or -EINVAL without an in-kernel APIC.
 */
int vitro_lapic_get_state(struct vitro_vcpu *vcpu, struct kvm_lapic_state *state)
{
	struct vitro_lapic *lapic = vcpu->lapic;
	u32 offset;

	if (!lapic)
		return -EINVAL;
	/*
	 * A tick that has come but is not in the IRR would be lost. It may be one
	 * that is due in some us: what is left to wait for is not saved.
	 */
	vitro_lapic_timer_check(vcpu);

	memset(state, 0, sizeof(*state));
	for (offset = 0; offset < KVM_APIC_REG_SIZE; offset += LVT_STEP)
		put_reg(state, offset, vitro_lapic_reg(lapic, offset));
	put_reg(state, APIC_ID, whole_id(lapic) ? vcpu->id : vcpu->id << 24);
	put_reg(state, APIC_LVR, VITRO_LAPIC_VERSION);
	put_reg(state, APIC_LDR, vitro_lapic_ldr(lapic));
	put_reg(state, APIC_PROCPRI, vitro_lapic_ppr(lapic));
	put_reg(state, APIC_TMCCT, vitro_lapic_timer_count(lapic));
	put_vectors(state, APIC_ISR, lapic->isr);
	put_vectors(state, APIC_TMR, lapic->tmr);
	put_vectors(state, APIC_IRR, lapic->irr);
	return 0;
}

/**
 * vitro_lapic_set_state() - KVM_SET_LAPIC
 * @vcpu:	vCPU whose mutex is held; IA32_APIC_BASE tells the mode
 * @state:	registers; reserved bits are dropped, version ignored, and the ID if it has 8 bits
 *
 * Return: 0; -EINVAL without an in-kernel APIC, or if the 32-bit ID is another one's.
 */
int vitro_lapic_set_state(struct vitro_vcpu *vcpu, const struct kvm_lapic_state *state)
{
	struct vitro_lapic *lapic = vcpu->lapic;
	u32 offset;

	if (!lapic || (whole_id(lapic) && take_reg(state, APIC_ID) != vcpu->id))
		return -EINVAL;
	vitro_lapic_timer_stop(lapic);
	WRITE_ONCE(lapic->timer.expired, false);

	vitro_lapic_set_reg(lapic, APIC_TASKPRI, take_reg(state, APIC_TASKPRI) & APIC_TPRI_MASK);
	vitro_lapic_set_reg(lapic, APIC_LDR, take_reg(state, APIC_LDR) & APIC_LDR_MASK);
	vitro_lapic_set_reg(lapic, APIC_DFR, take_reg(state, APIC_DFR) | APIC_DFR_CLUSTER);
	vitro_lapic_set_reg(lapic, APIC_SPIV, take_reg(state, APIC_SPIV) & VITRO_LAPIC_SPIV_BITS);
	vitro_lapic_set_reg(lapic, APIC_ESR, take_reg(state, APIC_ESR) & 0xff);
	vitro_lapic_set_reg(lapic, APIC_ICR, take_reg(state, APIC_ICR) & ~APIC_SEND_PENDING);
	vitro_lapic_set_reg(lapic, APIC_ICR2, take_reg(state, APIC_ICR2));
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += LVT_STEP) {
		u32 bits = vitro_lapic_lvt_bits(lapic, offset);

		/* User space may restore this before it tells about CPUID. */
		if (offset == APIC_LVTT)
			bits |= APIC_LVT_TIMER_TSCDEADLINE;
		vitro_lapic_set_reg(lapic, offset, take_reg(state, offset) & bits);
	}
	vitro_lapic_set_reg(lapic, APIC_TMICT, take_reg(state, APIC_TMICT));
	vitro_lapic_set_reg(lapic, APIC_TDCR, take_reg(state, APIC_TDCR) & VITRO_LAPIC_TDCR_BITS);

	take_vectors(state, APIC_ISR, lapic->isr);
	WRITE_ONCE(lapic->isr[0], lapic->isr[0] & ~0xffffUL);
	take_vectors(state, APIC_TMR, lapic->tmr);
	/* No priority is low enough for vectors 0..15: they stay there, as user space said. */
	take_vectors(state, APIC_IRR, lapic->irr);
	vitro_lapic_timer_restore(lapic, take_reg(state, APIC_TMCCT));
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return 0;
}
