// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_X86_SET_MSR_FILTER, and MSR accesses that end in user space.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
#include <asm/traps.h>

#include "backend.h"
#include "insn.h"
#include "msr_filter.h"
#include "vm.h"

#define ACCESSES	(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)
#define APIC_MSR_END	0x8ff

/**
 * vitro_msr_allowed() - does a filter let an access pass?
 * @filter: the filter
 * @msr:    MSR number
 * @access: KVM_MSR_FILTER_READ or KVM_MSR_FILTER_WRITE
 *
 * Context: any; vm->srcu or vm->slots_lock held.
 */
bool vitro_msr_allowed(const struct vitro_msr_filter *filter, u32 msr, u32 access)
{
	const struct vitro_msr_range *range;
	int i;

	/* The x2APIC is not subject to filters. */
	if (msr >= APIC_BASE_MSR && msr <= APIC_MSR_END)
		return true;
	for (i = 0; i < filter->nr; i++) {
		range = &filter->ranges[i];
		if (range->access & access && msr >= range->base && msr - range->base < range->nr)
			return test_bit(array_index_nospec(msr - range->base, range->nr),
					range->allowed);
	}
	return !filter->deny;
}

/**
 * vitro_msrs_allowed() - is a list of MSRs allowed for reading and for writing?
 * @vm:   the VM
 * @msrs: MSR numbers
 * @nr:   of them
 *
 * For backends: with one that is not, these MSRs have to be intercepted.
 *
 * Context: a vCPU's thread or its creation; takes vm->srcu.
 */
bool vitro_msrs_allowed(struct vitro_vm *vm, const u32 *msrs, unsigned int nr)
{
	const struct vitro_msr_filter *filter;
	int srcu = srcu_read_lock(&vm->srcu);
	bool allowed = true;
	unsigned int i;

	filter = srcu_dereference(vm->msr_filter, &vm->srcu);
	for (i = 0; filter && i < nr; i++)
		allowed &= vitro_msr_allowed(filter, msrs[i], KVM_MSR_FILTER_READ) &&
			   vitro_msr_allowed(filter, msrs[i], KVM_MSR_FILTER_WRITE);
	srcu_read_unlock(&vm->srcu, srcu);
	return allowed;
}

static void free_filter(struct vitro_msr_filter *filter)
{
	int i;

	if (!filter)
		return;
	for (i = 0; i < filter->nr; i++)
		kfree(filter->ranges[i].allowed);
	kfree(filter);
}

/**
 * vitro_free_msr_filter() - the VM dies
 * @vm: the VM
 */
void vitro_free_msr_filter(struct vitro_vm *vm)
{
	free_filter(rcu_dereference_protected(vm->msr_filter, true));
}

/* Adds user space's range, if it has MSRs. 0 or -errno. */
static int add_msr_range(struct vitro_msr_filter *filter, const struct kvm_msr_filter_range *args)
{
	struct vitro_msr_range *range = &filter->ranges[filter->nr];
	size_t size = BITS_TO_LONGS(args->nmsrs) * sizeof(long);

	if (!args->nmsrs)
		return 0;
	if (size > KVM_MSR_FILTER_MAX_BITMAP_SIZE || args->flags & ~ACCESSES || !args->flags)
		return -EINVAL;
	range->allowed = memdup_user((const void __user *)args->bitmap, size);
	if (IS_ERR(range->allowed))
		return PTR_ERR(range->allowed);
	range->base = args->base;
	range->nr = args->nmsrs;
	range->access = args->flags;
	filter->nr++;
	return 0;
}

/* NULL: user space allows everything. */
static struct vitro_msr_filter *build(const struct kvm_msr_filter *args)
{
	struct vitro_msr_filter *filter;
	int i, err = 0;

	if (args->flags & ~KVM_MSR_FILTER_DEFAULT_DENY)
		return ERR_PTR(-EINVAL);
	filter = kzalloc(sizeof(*filter), GFP_KERNEL_ACCOUNT);
	if (!filter)
		return ERR_PTR(-ENOMEM);
	filter->deny = args->flags & KVM_MSR_FILTER_DEFAULT_DENY;
	for (i = 0; i < ARRAY_SIZE(args->ranges) && !err; i++)
		err = add_msr_range(filter, &args->ranges[i]);
	/* A guest that may access no MSR at all is a mistake. */
	if (!err && !filter->nr && filter->deny)
		err = -EINVAL;
	if (err || !filter->nr) {
		free_filter(filter);
		return ERR_PTR(err);
	}
	return filter;
}

/**
 * vitro_set_msr_filter() - KVM_X86_SET_MSR_FILTER
 * @vm:   the VM, vm->lock held
 * @args: the call's argument
 *
 * When it returns, no vCPU is in its guest by the old filter.
 *
 * Context: process context; takes vm->slots_lock, waits for readers of vm->srcu.
 * Return: 0, -EINVAL, -ENOMEM, -EFAULT.
 */
int vitro_set_msr_filter(struct vitro_vm *vm, const struct kvm_msr_filter *args)
{
	struct vitro_msr_filter *filter, *old;
	struct vitro_vcpu *vcpu;
	int i;

	filter = build(args);
	if (IS_ERR(filter))
		return PTR_ERR(filter);

	mutex_lock(&vm->slots_lock);
	old = rcu_dereference_protected(vm->msr_filter, lockdep_is_held(&vm->slots_lock));
	rcu_assign_pointer(vm->msr_filter, filter);
	/* Before they enter again, they have the backend look at what it lets pass. */
	vitro_for_each_vcpu(i, vcpu, vm)
		vitro_request(vcpu, VITRO_REQ_MSR_FILTER);
	vitro_sync_readers(vm);
	mutex_unlock(&vm->slots_lock);
	free_filter(old);
	return 0;
}

static u32 reason_of(int fault)
{
	switch (fault) {
	case VITRO_MSR_FILTERED:
		return KVM_MSR_EXIT_REASON_FILTER;
	case VITRO_MSR_UNKNOWN:
		return KVM_MSR_EXIT_REASON_UNKNOWN;
	default:
		return KVM_MSR_EXIT_REASON_INVAL;
	}
}

/**
 * vitro_msr_is_users() - is it for user space to deal with a refused access?
 * @vm:    the VM
 * @fault: enum vitro_msr_fault
 *
 * Context: any.
 */
bool vitro_msr_is_users(struct vitro_vm *vm, int fault)
{
	return READ_ONCE(vm->user_msr_reasons) & reason_of(fault);
}

static int complete_access(struct vitro_vcpu *vcpu, bool write)
{
	const struct kvm_run *run = vcpu->run;
	u64 value;

	if (READ_ONCE(run->msr.error)) {
		vitro_queue_exception_error(vcpu, X86_TRAP_GP, 0);
		return 1;
	}
	if (!write) {
		value = READ_ONCE(run->msr.data);
		vcpu->gpr[VITRO_RAX] = (u32)value;
		vcpu->gpr[VITRO_RDX] = value >> 32;
	}
	return vitro_skip_insn(vcpu);
}

static int complete_read(struct vitro_vcpu *vcpu)
{
	return complete_access(vcpu, false);
}

static int complete_write(struct vitro_vcpu *vcpu)
{
	return complete_access(vcpu, true);
}

/**
 * vitro_msr_refused() - an access of the guest's that the kernel does not carry out
 * @vcpu:  the vCPU
 * @msr:   MSR number
 * @write: WRMSR, else RDMSR
 * @value: what is written
 * @fault: enum vitro_msr_fault
 *
 * Context: process context of the vCPU's thread.
 * Return: 1: the guest gets #GP; 0: user space has to decide.
 */
int vitro_msr_refused(struct vitro_vcpu *vcpu, u32 msr, bool write, u64 value, int fault)
{
	struct kvm_run *run = vcpu->run;

	if (!vitro_msr_is_users(vcpu->vm, fault)) {
		vitro_queue_exception_error(vcpu, X86_TRAP_GP, 0);
		return 1;
	}
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason_of(fault);
	run->msr.index = msr;
	run->msr.data = value;
	vcpu->complete = write ? complete_write : complete_read;
	return 0;
}
