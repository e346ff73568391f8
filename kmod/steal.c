// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steal time (MSR_KVM_STEAL_TIME): a page of the guest's where it finds for how long this
 * vCPU would have run, had the host let it, and whether it has been preempted just now.
 *
 * Who finds it preempted may ask for its TLB to be flushed in that same byte, instead of
 * sending an IPI: the flush is done before the vCPU enters its guest again.
 */
#include <linux/kvm_para.h>
#include <linux/srcu.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>

#include "backend.h"
#include "steal.h"
#include "vm.h"

#define FIELD(name)	offsetof(struct kvm_steal_time, name)
/* How often a guest's other vCPUs may get in between. */
#define MAX_RACES	8

int vitro_steal_set_msr(struct vitro_vcpu *vcpu, u64 value)
{
	if (!vitro_steal_offered() || value & KVM_STEAL_RESERVED_MASK)
		return 1;
	vcpu->msrs.steal_time = value;
	vcpu->steal.gpa = value & KVM_STEAL_VALID_BITS;
	vcpu->steal.enabled = value & KVM_MSR_ENABLED;
	vcpu->steal.told = false;
	if (vcpu->steal.enabled)
		vitro_request(vcpu, VITRO_REQ_STEAL);
	return 0;
}

/* The vCPU runs again. 0 or -EFAULT. */
static int clear_preempted(struct vitro_vcpu *vcpu)
{
	u64 old = 0;
	int races = 0, err;

	/* Another vCPU may ask for a flush meanwhile. One that goes on writing hurts its guest only. */
	do {
		err = vitro_guest_cmpxchg(vcpu->vm, vcpu->steal.gpa + FIELD(preempted), &old, 0, 1);
	} while (err == -EAGAIN && races++ < MAX_RACES);
	/* Whether somebody has asked is not known if the page has gone meanwhile. */
	if (err ? vcpu->steal.told : old & KVM_VCPU_FLUSH_TLB)
		static_call(vitro_flush_guest_tlb)(vcpu);
	vcpu->steal.told = false;
	return err;
}

/*
 * Where there is no memory nobody is told: a guest hurts itself only. The guest's
 * own values are added to, as it may have brought them from elsewhere.
 */
void vitro_steal_update(struct vitro_vcpu *vcpu)
{
	u64 gpa = vcpu->steal.gpa, waited = vitro_steal_waited(), steal;
	u32 version;

	if (!vcpu->steal.enabled || clear_preempted(vcpu) ||
	    vitro_guest_read(vcpu->vm, gpa + FIELD(version), &version, sizeof(version)) ||
	    vitro_guest_read(vcpu->vm, gpa + FIELD(steal), &steal, sizeof(steal)))
		return;

	/* Another thread's waiting is not this vCPU's. */
	if (vcpu->steal.thread != task_pid_nr(current)) {
		vcpu->steal.thread = task_pid_nr(current);
		vcpu->steal.waited = waited;
	}
	version = (version + 1) | 1;	/* odd while it is being written */
	if (vitro_guest_write(vcpu->vm, gpa + FIELD(version), &version, sizeof(version)))
		return;
	smp_wmb();	/* the odd version before what it warns of ... */
	steal += waited - vcpu->steal.waited;
	if (!vitro_guest_write(vcpu->vm, gpa + FIELD(steal), &steal, sizeof(steal)))
		vcpu->steal.waited = waited;
	smp_wmb();	/* ... and that before the even one, which guests wait for */
	version++;
	vitro_guest_write(vcpu->vm, gpa + FIELD(version), &version, sizeof(version));
}

/**
 * vitro_steal_preempted() - tell the guest that a vCPU does not run for now
 * @vcpu: the vCPU
 *
 * Context: its thread is being scheduled out; no sleeping. If the page is not present it
 * is not told.
 */
void vitro_steal_preempted(struct vitro_vcpu *vcpu)
{
	u8 preempted = KVM_VCPU_PREEMPTED;
	struct vitro_vm *vm = vcpu->vm;
	int srcu;

	if (!vcpu->steal.enabled || vcpu->steal.told || current->mm != vm->mm)
		return;
	srcu = srcu_read_lock(&vm->srcu);
	pagefault_disable();
	if (!vitro_guest_write(vm, vcpu->steal.gpa + FIELD(preempted), &preempted, 1))
		vcpu->steal.told = true;
	pagefault_enable();
	srcu_read_unlock(&vm->srcu, srcu);
}
