// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: accepting interrupts, priorities, delivery to the processor and
 * end of interrupt (SDM, Handling Interrupts).
 */
#include <linux/bitops.h>

#include "internal.h"

#define FIRST_LEGAL_VECTOR	16

/**
 * vitro_lapic_error() - note an error and raise the error interrupt
 * @lapic:	APIC that detected it
 * @error:	one APIC_ESR_* bit
 *
 * Any context.
 */
void vitro_lapic_error(struct vitro_lapic *lapic, u32 error)
{
	u32 lvt = vitro_lapic_reg(lapic, APIC_LVTERR);
	u8 vector = lvt & APIC_VECTOR_MASK;

	if (test_and_set_bit(__ffs(error), &lapic->esr))
		return;
	/* An illegal vector here would report itself for ever. */
	if ((lvt & APIC_LVT_MASKED) || vector < FIRST_LEGAL_VECTOR)
		return;
	vitro_lapic_accept(lapic, APIC_DM_FIXED, vector, false);
}

/* Requests @vector. Return: 1; 0: it was requested already; -1: not accepted. */
static int set_irr(struct vitro_lapic *lapic, u8 vector, bool level)
{
	if (!vitro_lapic_enabled(lapic) || !vitro_lapic_sw_enabled(lapic))
		return -1;
	if (vector < FIRST_LEGAL_VECTOR) {
		vitro_lapic_error(lapic, APIC_ESR_RECVILL);
		return -1;
	}

	if (test_bit(vector, lapic->tmr) != level) {
		if (level)
			set_bit(vector, lapic->tmr);
		else
			clear_bit(vector, lapic->tmr);
	}
	/*
	 * Whoever sees the bit in the IRR must see the TMR; the atomic
	 * operation is a full barrier.
	 */
	return !test_and_set_bit(vector, lapic->irr);
}

static int accept_fixed(struct vitro_lapic *lapic, u8 vector, bool level)
{
	int ret = set_irr(lapic, vector, level);

	/* If the bit was set already, the one who set it tells the vCPU. */
	if (ret > 0) {
		vitro_request(lapic->vcpu, VITRO_REQ_EVENT);
		vitro_vcpu_kick(lapic->vcpu);
	}
	return ret;
}

/**
 * vitro_lapic_accept() - an interrupt message has reached its APIC
 * @lapic:	destination
 * @mode:	APIC_DM_*
 * @vector:	interrupt vector, or start-up vector
 * @level:	trigger mode is level
 *
 * Any context. Return: 1 accepted, 0 merged with one that is already
 * requested, -1 not accepted.
 */
int vitro_lapic_accept(struct vitro_lapic *lapic, u32 mode, u8 vector, bool level)
{
	switch (mode) {
	case APIC_DM_FIXED:
	case APIC_DM_LOWEST:
		return accept_fixed(lapic, vector, level);
	case APIC_DM_NMI:
		vitro_deliver_nmi(lapic->vcpu);
		return 1;
	case APIC_DM_INIT:
		vitro_deliver_init(lapic->vcpu);
		return 1;
	case APIC_DM_STARTUP:
		vitro_deliver_sipi(lapic->vcpu, vector);
		return 1;
	default:
		/* No SMM; ExtINT comes by the PIC's own wire; the rest is reserved. */
		return -1;
	}
}

/**
 * vitro_lapic_self() - request a fixed, edge-triggered interrupt of oneself
 * @lapic:	APIC of the calling vCPU thread, which need not be kicked
 * @vector:	which
 */
void vitro_lapic_self(struct vitro_lapic *lapic, u8 vector)
{
	if (set_irr(lapic, vector, false) > 0)
		vitro_request(lapic->vcpu, VITRO_REQ_EVENT);
}

/**
 * vitro_lapic_local() - an interrupt source inside the APIC fires
 * @lapic:	APIC of the calling vCPU thread
 * @lvt_offset:	its local vector table entry, e.g. APIC_LVTT
 */
void vitro_lapic_local(struct vitro_lapic *lapic, u32 lvt_offset)
{
	u32 lvt = vitro_lapic_reg(lapic, lvt_offset);

	if (!(lvt & APIC_LVT_MASKED))
		vitro_lapic_self(lapic, lvt & APIC_VECTOR_MASK);
}

/**
 * vitro_lapic_ppr() - processor priority
 * @lapic:	the APIC; of another thread's vCPU the answer is a hint
 *
 * Return: the PPR (SDM, Task and Processor Priorities).
 */
u8 vitro_lapic_ppr(const struct vitro_lapic *lapic)
{
	u8 tpr = vitro_lapic_reg(lapic, APIC_TASKPRI);
	int isr = vitro_highest_vector(lapic->isr);

	if (isr >= 0 && (isr & 0xf0) > (tpr & 0xf0))
		return isr & 0xf0;
	return tpr;
}

/**
 * vitro_lapic_recheck() - something has changed that may unblock an interrupt
 * @lapic:	APIC of the calling vCPU thread
 */
void vitro_lapic_recheck(struct vitro_lapic *lapic)
{
	struct vitro_irqchip *chip = vitro_chip(lapic->vcpu->vm);

	/* User space may wait for a window to inject its PIC's interrupt. */
	if (vitro_highest_vector(lapic->irr) >= 0 ||
	    (chip && (READ_ONCE(chip->pic.output) || chip->split)))
		vitro_request(lapic->vcpu, VITRO_REQ_EVENT);
}

/* An IOAPIC in user space has to know: the vCPU leaves with KVM_EXIT_IOAPIC_EOI. */
static void tell_user(struct vitro_lapic *lapic, unsigned int vector)
{
	__set_bit(vector, lapic->user_eois);
	vitro_request(lapic->vcpu, VITRO_REQ_IOAPIC_EOI);
}

/**
 * vitro_lapic_take_user_eoi() - the next EOI to tell user space about
 * @vcpu:	the caller's vCPU
 *
 * One instruction may have ended several interrupts; the others are requested again.
 *
 * Return: the vector, or -1.
 */
int vitro_lapic_take_user_eoi(struct vitro_vcpu *vcpu)
{
	unsigned long *eois = vcpu->lapic->user_eois;
	int vector = vitro_highest_vector(eois);

	if (vector < 0)
		return -1;
	__clear_bit(vector, eois);
	if (vitro_highest_vector(eois) >= 0)
		vitro_request(vcpu, VITRO_REQ_IOAPIC_EOI);
	return vector;
}

/* SDM, "Signaling Interrupt Servicing Completion": of level-triggered ones IOAPICs hear. */
static bool ioapic_hears(const struct vitro_lapic *lapic, const struct vitro_irqchip *chip,
			 unsigned int vector)
{
	bool level = test_bit(vector, lapic->tmr);

	if (!chip)
		return false;
	if (unlikely(chip->split))
		return level && chip->user_pins;
	return level || test_bit(vector, chip->ioapic.eoi_watch);
}

static void broadcast_eoi(struct vitro_lapic *lapic, unsigned int vector)
{
	struct vitro_irqchip *chip = vitro_chip(lapic->vcpu->vm);

	if (!ioapic_hears(lapic, chip, vector))
		return;
	if (unlikely(chip->split))
		tell_user(lapic, vector);
	else
		vitro_ioapic_eoi(&chip->ioapic, vector);
}

/**
 * vitro_lapic_end() - the guest has ended the interrupt of highest priority
 * @lapic:	APIC of the calling vCPU thread
 */
void vitro_lapic_end(struct vitro_lapic *lapic)
{
	int vector = vitro_highest_vector(lapic->isr);

	if (vector < 0)
		return;
	__clear_bit(vector, lapic->isr);
	broadcast_eoi(lapic, vector);
	vitro_lapic_recheck(lapic);
}

/**
 * vitro_lapic_eoi() - the guest writes to the EOI register
 * @lapic:	APIC of the calling vCPU thread
 */
void vitro_lapic_eoi(struct vitro_lapic *lapic)
{
	struct vitro_vcpu *vcpu = lapic->vcpu;

	/* A guest writes here if it finds the bit clear: it has ended another one before. */
	if (unlikely(vcpu->pv_eoi_pending) && !vitro_pv_eoi_try_settle(vcpu)) {
		vcpu->pv_eoi_pending = false;
		vitro_lapic_end(lapic);
	}
	vitro_lapic_end(lapic);
}

/**
 * vitro_lapic_takes_extint() - is the PIC's INT wired to this processor?
 * @lapic:	any vCPU's APIC
 *
 * A disabled APIC passes its INTR pin through (SDM, Local APIC Status and
 * Location); only the boot processor's is connected.
 *
 * Any context.
 */
bool vitro_lapic_takes_extint(const struct vitro_lapic *lapic)
{
	u32 lvt0 = vitro_lapic_reg(lapic, APIC_LVT0);

	if (!vitro_lapic_enabled(lapic))
		return lapic->vcpu->id == READ_ONCE(lapic->vcpu->vm->bsp_id);
	return !(lvt0 & APIC_LVT_MASKED) && GET_APIC_DELIVERY_MODE(lvt0) == APIC_MODE_EXTINT;
}

static struct vitro_pic *extint_pending(const struct vitro_lapic *lapic)
{
	struct vitro_irqchip *chip = vitro_chip(lapic->vcpu->vm);

	if (!chip || !READ_ONCE(chip->pic.output) || !vitro_lapic_takes_extint(lapic))
		return NULL;
	return &chip->pic;
}

/* The vector that a PIC in user space has sent by KVM_INTERRUPT, or VITRO_NO_VECTOR. */
static int user_extint(const struct vitro_lapic *lapic)
{
	int vector = READ_ONCE(lapic->vcpu->events.user_irq);

	if (likely(vector == VITRO_NO_VECTOR) || !vitro_lapic_takes_extint(lapic))
		return VITRO_NO_VECTOR;
	return vector;
}

static int deliverable_vector(const struct vitro_lapic *lapic)
{
	int vector = vitro_highest_vector(lapic->irr);

	if (vector < 0 || !vitro_lapic_enabled(lapic))
		return -1;
	if ((vector & 0xf0) <= (vitro_lapic_ppr(lapic) & 0xf0))
		return -1;
	return vector;
}

/**
 * vitro_next_vector() - what would be delivered now?
 * @vcpu:	the caller's vCPU
 *
 * Return: vector of a PIC's or the local APIC's interrupt, or -1.
 */
int vitro_next_vector(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = vcpu->lapic;
	struct vitro_pic *pic;
	int vector;

	if (!lapic)
		return -1;
	pic = extint_pending(lapic);
	if (unlikely(pic))
		return vitro_pic_peek(pic);
	vector = user_extint(lapic);
	if (unlikely(vector != VITRO_NO_VECTOR))
		return vector;
	return deliverable_vector(lapic);
}

/**
 * vitro_ack_vector() - accept what is to be delivered
 * @vcpu:	the caller's vCPU
 *
 * Moves the vector from IRR to ISR, or acknowledges the PIC, or forgets user space's vector.
 *
 * Return: the vector to inject, or -1 if there is none (any more).
 */
int vitro_ack_vector(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = vcpu->lapic;
	struct vitro_pic *pic;
	int vector;

	if (!lapic)
		return -1;
	pic = extint_pending(lapic);
	if (unlikely(pic))
		return vitro_pic_ack(pic);
	vector = user_extint(lapic);
	if (unlikely(vector != VITRO_NO_VECTOR)) {
		WRITE_ONCE(vcpu->events.user_irq, VITRO_NO_VECTOR);
		return vector;
	}

	vector = deliverable_vector(lapic);
	if (vector < 0)
		return -1;
	clear_bit(vector, lapic->irr);
	__set_bit(vector, lapic->isr);
	if (vcpu->pv_eoi_enabled && vitro_highest_vector(lapic->irr) < 0 &&
	    !ioapic_hears(lapic, vitro_chip(vcpu->vm), vector))
		vitro_pv_eoi_offer(vcpu);
	return vector;
}

/**
 * vitro_lapic_irr_class() - priority class of the highest requested vector
 * @vcpu:	the caller's vCPU
 *
 * Return: 0..15, or -1 if nothing is requested.
 */
int vitro_lapic_irr_class(struct vitro_vcpu *vcpu)
{
	int vector;

	if (!vcpu->lapic)
		return -1;
	vector = vitro_highest_vector(vcpu->lapic->irr);
	return vector < 0 ? -1 : vector >> 4;
}

/**
 * vitro_has_interrupt() - is there a reason to leave HLT?
 * @vcpu:	any vCPU
 *
 * An APIC timer that has expired is not one yet: VITRO_REQ_TIMER tells of it,
 * and vitro_lapic_timer_check() decides.
 *
 * Any context; for other threads the answer is a hint.
 *
 * Return: true if an interrupt could be delivered, but for RFLAGS.IF.
 */
bool vitro_has_interrupt(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	if (!lapic)
		return false;
	return extint_pending(lapic) || user_extint(lapic) != VITRO_NO_VECTOR ||
	       deliverable_vector(lapic) >= 0;
}

/**
 * vitro_lapic_get_tpr() - task priority
 * @vcpu:	the caller's vCPU
 *
 * Return: the TPR, 0..255; 0 without an in-kernel APIC.
 */
u8 vitro_lapic_get_tpr(struct vitro_vcpu *vcpu)
{
	return vcpu->lapic ? vitro_lapic_reg(vcpu->lapic, APIC_TASKPRI) : 0;
}

/**
 * vitro_lapic_set_tpr() - set the task priority
 * @vcpu:	the caller's vCPU
 * @tpr:	the whole TPR; CR8 << 4
 */
void vitro_lapic_set_tpr(struct vitro_vcpu *vcpu, u8 tpr)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	if (!lapic || vitro_lapic_reg(lapic, APIC_TASKPRI) == tpr)
		return;
	vitro_lapic_set_reg(lapic, APIC_TASKPRI, tpr);
	/* Even if nothing waits: the backend may show the guest its own copy. */
	vitro_request(vcpu, VITRO_REQ_EVENT);
}
