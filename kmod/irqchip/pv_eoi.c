// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paravirtual end of interrupt (MSR_KVM_PV_EOI_EN): with an interrupt the guest finds a bit
 * set in its memory. If it clears the bit instead of writing to the EOI register, there is no
 * exit, and the APIC learns of it when it is looked at the next time.
 *
 * The bit is set only when nothing waits for the end of that interrupt: neither an IOAPIC nor
 * another interrupt. For what comes later it is taken back, and the guest writes to
 * the register: at the next exit that leaves the inner loop, or before the next event is
 * injected. So ISR is what it seems wherever it decides something, the bit is never set in
 * what user space sees, and an exit that the inner loop handles need not ask.
 */
#include <linux/kvm_para.h>
#include <linux/uaccess.h>

#include "internal.h"

static u64 bit_gpa(const struct vitro_vcpu *vcpu)
{
	return vcpu->msrs.pv_eoi & ~(u64)KVM_MSR_ENABLED;
}

/**
 * vitro_pv_eoi_set_msr() - write MSR_KVM_PV_EOI_EN
 * @vcpu:	the caller's vCPU, whose last interrupt is settled
 * @value:	guest-physical address, a multiple of four, and KVM_MSR_ENABLED
 *
 * Kept where the APIC is user space's, too, which does not know of such an end.
 *
 * Return: 0, or 1 for #GP.
 */
int vitro_pv_eoi_set_msr(struct vitro_vcpu *vcpu, u64 value)
{
	if (!IS_ALIGNED(value & ~(u64)KVM_MSR_ENABLED, sizeof(u32)))
		return 1;
	vcpu->msrs.pv_eoi = value;
	vcpu->pv_eoi_enabled = vcpu->lapic && value & KVM_MSR_ENABLED;
	return 0;
}

/**
 * vitro_pv_eoi_offer() - let the guest end an interrupt without an exit
 * @vcpu:	the caller's vCPU, which has just accepted an interrupt whose EOI only its APIC
 *		has to know
 *
 * If the page cannot be written now there is no offer, and the guest does it the usual way.
 *
 * Context: vm->srcu held; does not sleep.
 */
void vitro_pv_eoi_offer(struct vitro_vcpu *vcpu)
{
	u8 bit = KVM_PV_EOI_ENABLED;

	pagefault_disable();
	vcpu->pv_eoi_pending = !vitro_guest_write(vcpu->vm, bit_gpa(vcpu), &bit, sizeof(bit));
	pagefault_enable();
	if (unlikely(!vcpu->pv_eoi_pending))
		vitro_request(vcpu, VITRO_REQ_PV_EOI);
}

/**
 * vitro_pv_eoi_bring_page() - VITRO_REQ_PV_EOI: let the host make the page writable
 * @vcpu:	the caller's vCPU
 *
 * If it cannot, there are no offers before the guest writes the MSR again.
 *
 * Context: process; vm->srcu held; may sleep.
 */
void vitro_pv_eoi_bring_page(struct vitro_vcpu *vcpu)
{
	u64 old = 0;

	if (vitro_guest_cmpxchg(vcpu->vm, bit_gpa(vcpu), &old, 0, 1) == -EFAULT)
		vcpu->pv_eoi_enabled = false;
}

/* 1: the guest has ended the interrupt; 0: it has not, the bit is taken back; -EFAULT. */
static int take_back(struct vitro_vcpu *vcpu)
{
	u8 bit;

	if (vitro_guest_read(vcpu->vm, bit_gpa(vcpu), &bit, sizeof(bit)))
		return -EFAULT;
	if (!(bit & KVM_PV_EOI_ENABLED))
		return 1;
	bit &= ~KVM_PV_EOI_ENABLED;
	return vitro_guest_write(vcpu->vm, bit_gpa(vcpu), &bit, sizeof(bit));
}

/**
 * vitro_pv_eoi_settle() - learn whether the guest has ended the interrupt, and end the offer
 * @vcpu:	the caller's vCPU, with an offer pending
 *
 * A guest that has its bit where there is no memory any more hurts itself only: the
 * interrupt counts as ended.
 *
 * Context: process; vm->srcu held; may sleep.
 */
void vitro_pv_eoi_settle(struct vitro_vcpu *vcpu)
{
	int ended = take_back(vcpu);

	vcpu->pv_eoi_pending = false;
	if (ended)
		vitro_lapic_end(vcpu->lapic);
}

/**
 * vitro_pv_eoi_try_settle() - vitro_pv_eoi_settle() if the page is present
 * @vcpu:	the caller's vCPU, with an offer pending
 *
 * Context: vm->srcu held; does not sleep.
 * Return: false if it has to be done where page faults can be.
 */
bool vitro_pv_eoi_try_settle(struct vitro_vcpu *vcpu)
{
	int ended;

	pagefault_disable();
	ended = take_back(vcpu);
	pagefault_enable();
	if (ended < 0)
		return false;
	vcpu->pv_eoi_pending = false;
	if (ended)
		vitro_lapic_end(vcpu->lapic);
	return true;
}
