// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_GET_MSRS and its relatives.
 */
#include <linux/cpufeature.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include <asm/msr-index.h>
#include <asm/mtrr.h>

#include "backend.h"
#include "msr.h"
#include "vm.h"

/* No more in one call, as KVM. */
#define MAX_MSRS	256

/* State that user space has to carry along with a vCPU. */
static const u32 saved_msrs[] = {
	MSR_IA32_TSC,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE,
	MSR_FS_BASE, MSR_GS_BASE,
	MSR_IA32_CR_PAT, MSR_TSC_AUX, MSR_IA32_SPEC_CTRL, MSR_IA32_DEBUGCTLMSR,
	MSR_IA32_APICBASE, MSR_EFER,
	MSR_IA32_MISC_ENABLE, MSR_IA32_TSC_ADJUST, MSR_IA32_TSC_DEADLINE,
	MSR_IA32_MCG_STATUS, MSR_IA32_MCG_CTL, MSR_IA32_UCODE_REV, MSR_IA32_ARCH_CAPABILITIES,
	MSR_PLATFORM_INFO, MSR_IA32_POWER_CTL,
	MSR_MTRRdefType,
	MSR_MTRRfix64K_00000, MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000,
	MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_C8000, MSR_MTRRfix4K_D0000, MSR_MTRRfix4K_D8000,
	MSR_MTRRfix4K_E0000, MSR_MTRRfix4K_E8000, MSR_MTRRfix4K_F0000, MSR_MTRRfix4K_F8000,
	MTRRphysBase_MSR(0), MTRRphysMask_MSR(0), MTRRphysBase_MSR(1), MTRRphysMask_MSR(1),
	MTRRphysBase_MSR(2), MTRRphysMask_MSR(2), MTRRphysBase_MSR(3), MTRRphysMask_MSR(3),
	MTRRphysBase_MSR(4), MTRRphysMask_MSR(4), MTRRphysBase_MSR(5), MTRRphysMask_MSR(5),
	MTRRphysBase_MSR(6), MTRRphysMask_MSR(6), MTRRphysBase_MSR(7), MTRRphysMask_MSR(7),
	MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME,
	MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_STEAL_TIME, MSR_KVM_PV_EOI_EN,
};

/* Properties of the processor that the device fd can be asked for. */
static const u32 feature_msrs[] = {
	MSR_IA32_ARCH_CAPABILITIES, MSR_IA32_PERF_CAPABILITIES,
};

static bool get_feature(u32 msr, u64 *value)
{
	switch (msr) {
	case MSR_IA32_ARCH_CAPABILITIES:
		*value = vitro_arch_capabilities();
		return true;
	case MSR_IA32_PERF_CAPABILITIES:
		/* Guests have no performance counters. */
		*value = 0;
		return true;
	default:
		return false;
	}
}

static long copy_list(struct kvm_msr_list *head, unsigned long arg, const u32 *list, u32 nr)
{
	struct kvm_msr_list __user *user = (void __user *)arg;
	u32 room = head->nmsrs;

	head->nmsrs = nr;
	if (put_user(nr, &user->nmsrs))
		return -EFAULT;
	if (room < nr)
		return -E2BIG;
	return copy_to_user(user->indices, list, nr * sizeof(*list)) ? -EFAULT : 0;
}

long vitro_get_msr_index_list(void *head, unsigned long arg)
{
	return copy_list(head, arg, saved_msrs, ARRAY_SIZE(saved_msrs));
}

long vitro_get_msr_feature_index_list(void *head, unsigned long arg)
{
	return copy_list(head, arg, feature_msrs, ARRAY_SIZE(feature_msrs));
}

static struct kvm_msr_entry *copy_entries(const struct kvm_msrs *head, void __user *entries)
{
	if (head->nmsrs >= MAX_MSRS)
		return ERR_PTR(-E2BIG);
	return vmemdup_user(entries, array_size(head->nmsrs, sizeof(struct kvm_msr_entry)));
}

/* Fills entries until one is refused; the number filled, or -EFAULT. */
static long return_entries(struct kvm_msr_entry *list, u32 done, void __user *entries)
{
	long r = done;

	if (copy_to_user(entries, list, array_size(done, sizeof(*list))))
		r = -EFAULT;
	kvfree(list);
	return r;
}

long vitro_get_msrs(struct vitro_vcpu *vcpu, const struct kvm_msrs *head, void __user *entries)
{
	struct kvm_msr_entry *list = copy_entries(head, entries);
	u64 value;
	u32 i;

	if (IS_ERR(list))
		return PTR_ERR(list);
	for (i = 0; i < head->nmsrs; i++) {
		if (vitro_get_msr(vcpu, list[i].index, &value, true))
			break;
		list[i].data = value;
	}
	return return_entries(list, i, entries);
}

long vitro_set_msrs(struct vitro_vcpu *vcpu, const struct kvm_msrs *head, void __user *entries)
{
	struct kvm_msr_entry *list = copy_entries(head, entries);
	int srcu;
	u32 i;

	if (IS_ERR(list))
		return PTR_ERR(list);
	/* kvmclock's are addresses of guest memory. */
	srcu = srcu_read_lock(&vcpu->vm->srcu);
	for (i = 0; i < head->nmsrs; i++)
		if (vitro_set_msr(vcpu, list[i].index, list[i].data, true))
			break;
	srcu_read_unlock(&vcpu->vm->srcu, srcu);
	kvfree(list);
	return i;
}

long vitro_get_feature_msrs(const struct kvm_msrs *head, void __user *entries)
{
	struct kvm_msr_entry *list = copy_entries(head, entries);
	u64 value;
	u32 i;

	if (IS_ERR(list))
		return PTR_ERR(list);
	for (i = 0; i < head->nmsrs; i++) {
		if (!get_feature(list[i].index, &value))
			break;
		list[i].data = value;
	}
	return return_entries(list, i, entries);
}
