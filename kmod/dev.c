// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vitro: calls that concern no particular VM.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/compat.h>
#include <linux/cpu.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <asm/cpufeature.h>
#include <asm/tsc.h>

#include "../uapi/vitro.h"
#include "attr.h"
#include "backend.h"
#include "cpuid.h"
#include "debug.h"
#include "dev.h"
#include "dirty_ring.h"
#include "ioctl.h"
#include "irqchip/irqchip.h"
#include "mce.h"
#include "msr.h"
#include "vm.h"

/* A capability that is either there (value) or not (absent from the table). */
static const struct {
	unsigned int cap;
	int value;
} capabilities[] = {
	{ KVM_CAP_IRQCHIP, 1 },
	{ KVM_CAP_HLT, 1 },
	{ KVM_CAP_USER_MEMORY, 1 },
	{ KVM_CAP_MMU_SHADOW_CACHE_CONTROL, 1 },
	{ KVM_CAP_SET_TSS_ADDR, 1 },
	{ KVM_CAP_EXT_CPUID, 1 },
	{ KVM_CAP_CLOCKSOURCE, 1 },
	{ KVM_CAP_NR_VCPUS, VITRO_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPUS, VITRO_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPU_ID, VITRO_MAX_VCPUS },
	{ KVM_CAP_NR_MEMSLOTS, VITRO_MAX_SLOTS },
	{ KVM_CAP_NOP_IO_DELAY, 1 },
	{ KVM_CAP_MP_STATE, 1 },
	{ KVM_CAP_SYNC_MMU, 1 },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 },
	{ KVM_CAP_USER_NMI, 1 },
	{ KVM_CAP_REINJECT_CONTROL, 1 },
	{ KVM_CAP_IRQ_ROUTING, VITRO_MAX_GSIS },
	{ KVM_CAP_IRQ_INJECT_STATUS, 1 },
	{ KVM_CAP_ENABLE_CAP, 1 },
	{ KVM_CAP_ENABLE_CAP_VM, 1 },
	{ KVM_CAP_SPLIT_IRQCHIP, 1 },
	{ KVM_CAP_IRQFD, 1 },
	{ KVM_CAP_IRQFD_RESAMPLE, 1 },
	{ KVM_CAP_PIT2, 1 },
	{ KVM_CAP_PIT_STATE2, 1 },
	{ KVM_CAP_SET_BOOT_CPU_ID, 1 },
	{ KVM_CAP_IOEVENTFD, 1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },
	{ KVM_CAP_COALESCED_MMIO, KVM_COALESCED_MMIO_PAGE_OFFSET },
	{ KVM_CAP_COALESCED_PIO, 1 },
	{ KVM_CAP_IOEVENTFD_NO_LENGTH, 1 },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
	{ KVM_CAP_ADJUST_CLOCK,
	  KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC },
	{ KVM_CAP_INTERNAL_ERROR_DATA, 1 },
	{ KVM_CAP_VCPU_EVENTS, 1 },
	{ KVM_CAP_DEBUGREGS, 1 },
	{ KVM_CAP_SREGS2, 1 },
	{ KVM_CAP_INTR_SHADOW, 1 },
	{ KVM_CAP_EXCEPTION_PAYLOAD, 1 },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1 },
	{ KVM_CAP_SYNC_REGS, KVM_SYNC_X86_VALID_FIELDS },
	{ KVM_CAP_SET_GUEST_DEBUG, 1 },
	{ KVM_CAP_SET_GUEST_DEBUG2, VITRO_GUESTDBG_FLAGS },
	{ KVM_CAP_XSAVE, 1 },
	{ KVM_CAP_XSAVE2, sizeof(struct kvm_xsave) },
	{ KVM_CAP_XCRS, 1 },
	{ KVM_CAP_STEAL_TIME, IS_ENABLED(CONFIG_SCHED_INFO) },
	{ KVM_CAP_GET_TSC_KHZ, 1 },
	{ KVM_CAP_TSC_CONTROL, 1 },
	{ KVM_CAP_VM_TSC_CONTROL, 1 },
	{ KVM_CAP_KVMCLOCK_CTRL, 1 },
	{ KVM_CAP_VCPU_ATTRIBUTES, 1 },
	{ KVM_CAP_SYS_ATTRIBUTES, 1 },
	{ KVM_CAP_HALT_POLL, 1 },
	{ KVM_CAP_LAST_CPU, 1 },
	{ KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1 },
	{ KVM_CAP_TSC_DEADLINE_TIMER, 1 },
	{ KVM_CAP_MCE, VITRO_MAX_MCE_BANKS },
	{ KVM_CAP_SIGNAL_MSI, 1 },
	{ KVM_CAP_X2APIC_API, VITRO_X2APIC_API },
	{ KVM_CAP_READONLY_MEM, 1 },
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	  KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET },
	{ KVM_CAP_DIRTY_LOG_RING, VITRO_DIRTY_RING_MAX * sizeof(struct kvm_dirty_gfn) },
	{ KVM_CAP_DIRTY_LOG_RING_ACQ_REL, VITRO_DIRTY_RING_MAX * sizeof(struct kvm_dirty_gfn) },
	{ KVM_CAP_IMMEDIATE_EXIT, 1 },
	{ KVM_CAP_DISABLE_QUIRKS2, VITRO_QUIRKS },
	{ KVM_CAP_GET_MSR_FEATURES, 1 },
	{ KVM_CAP_MSR_PLATFORM_INFO, 1 },
	{ KVM_CAP_X86_DISABLE_EXITS,
	  KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE |
	  KVM_X86_DISABLE_EXITS_MWAIT | KVM_X86_DISABLE_EXITS_CSTATE },
	{ KVM_CAP_X86_USER_SPACE_MSR, 1 },
	{ KVM_CAP_X86_MSR_FILTER, 1 },
	{ KVM_CAP_EXT_EMUL_CPUID, 0 },
	{ KVM_CAP_CHECK_EXTENSION_VM, 1 },
	{ KVM_CAP_BINARY_STATS_FD, 1 },
};

/**
 * vitro_disable_exits() - which exits user space may do without on this host
 *
 * MWAIT may bring the CPU into states in which its own timer must go on. And where a
 * thread that sleeps lets the other one of its core speculate by its returns, only
 * exits keep guests from putting threads to sleep as they like.
 *
 * Return: KVM_X86_DISABLE_EXITS_* bits.
 */
u32 vitro_disable_exits(void)
{
	u32 exits = vitro_caps.disable_exits;

	if (!boot_cpu_has(X86_FEATURE_MWAIT) || !boot_cpu_has(X86_FEATURE_ARAT) ||
	    boot_cpu_has_bug(X86_BUG_MONITOR))
		exits &= ~KVM_X86_DISABLE_EXITS_MWAIT;
	if (boot_cpu_has_bug(X86_BUG_SMT_RSB) && cpu_smt_possible() && !cpu_mitigations_off())
		exits &= KVM_X86_DISABLE_EXITS_PAUSE;
	return exits;
}

int vitro_check_extension(struct vitro_vm *vm, unsigned long cap)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].cap == cap)
			break;
	if (i == ARRAY_SIZE(capabilities))
		return 0;
	if (cap == KVM_CAP_X86_DISABLE_EXITS)
		return capabilities[i].value & vitro_disable_exits();
	if (cap == KVM_CAP_TSC_CONTROL || cap == KVM_CAP_VM_TSC_CONTROL)
		return vitro_caps.tsc_ratio_bits ? capabilities[i].value : 0;
	return capabilities[i].value;
}

static long dev_get_api_version(void *obj, void *data, unsigned long arg)
{
	return arg ? -EINVAL : KVM_API_VERSION;
}

static long dev_create_vm(void *obj, void *data, unsigned long arg)
{
	return vitro_vm_create(arg);
}

static long dev_check_extension(void *obj, void *data, unsigned long arg)
{
	return vitro_check_extension(NULL, arg);
}

static long dev_get_vcpu_mmap_size(void *obj, void *data, unsigned long arg)
{
	return arg ? -EINVAL : VITRO_RUN_PAGES * PAGE_SIZE;
}

static long dev_get_supported_cpuid(void *obj, void *data, unsigned long arg)
{
	return vitro_get_supported_cpuid(data, vitro_user_tail(arg, struct kvm_cpuid2, entries));
}

static long dev_get_emulated_cpuid(void *obj, void *data, unsigned long arg)
{
	struct kvm_cpuid2 *cpuid = data;

	/* Nothing is emulated that the processor does not have. */
	cpuid->nent = 0;
	return 0;
}

static long dev_get_msr_index_list(void *obj, void *data, unsigned long arg)
{
	return vitro_get_msr_index_list(data, arg);
}

static long dev_get_msr_feature_index_list(void *obj, void *data, unsigned long arg)
{
	return vitro_get_msr_feature_index_list(data, arg);
}

static long dev_get_msrs(void *obj, void *data, unsigned long arg)
{
	return vitro_get_feature_msrs(data, vitro_user_tail(arg, struct kvm_msrs, entries));
}

static long dev_has_attr(void *obj, void *data, unsigned long arg)
{
	return vitro_dev_has_attr(data);
}

static long dev_get_attr(void *obj, void *data, unsigned long arg)
{
	return vitro_dev_get_attr(data);
}

static long dev_get_mce_cap(void *obj, void *data, unsigned long arg)
{
	*(u64 *)data = vitro_mce_get_supported();
	return 0;
}

static long dev_get_info(void *obj, void *data, unsigned long arg)
{
	struct vitro_info *info = data;

	info->version = VITRO_EXTENSION_VERSION;
	info->backend = vitro_backend->id;
	info->tsc_khz = tsc_khz;
	info->max_vcpus = VITRO_MAX_VCPUS;
	strscpy(info->release, VITRO_RELEASE, sizeof(info->release));
	strscpy(info->features, vitro_caps.features, sizeof(info->features));
	return 0;
}

static const struct vitro_ioctl dev_ioctls[VITRO_IOCTL_SLOTS] = {
	VITRO_IOCTL(KVM_GET_API_VERSION, 0, dev_get_api_version),
	VITRO_IOCTL(KVM_CREATE_VM, 0, dev_create_vm),
	VITRO_IOCTL(KVM_CHECK_EXTENSION, 0, dev_check_extension),
	VITRO_IOCTL(KVM_GET_VCPU_MMAP_SIZE, 0, dev_get_vcpu_mmap_size),
	VITRO_IOCTL(KVM_GET_SUPPORTED_CPUID, 0, dev_get_supported_cpuid),
	VITRO_IOCTL(KVM_GET_EMULATED_CPUID, 0, dev_get_emulated_cpuid),
	VITRO_IOCTL(KVM_GET_MSR_INDEX_LIST, 0, dev_get_msr_index_list),
	VITRO_IOCTL(KVM_GET_MSR_FEATURE_INDEX_LIST, 0, dev_get_msr_feature_index_list),
	VITRO_IOCTL(KVM_GET_MSRS, 0, dev_get_msrs),
	VITRO_IOCTL(KVM_HAS_DEVICE_ATTR, 0, dev_has_attr),
	VITRO_IOCTL(KVM_GET_DEVICE_ATTR, 0, dev_get_attr),
	VITRO_IOCTL(KVM_X86_GET_MCE_CAP_SUPPORTED, 0, dev_get_mce_cap),
};

static const struct vitro_ioctl dev_get_info_ioctl =
	VITRO_IOCTL_EXTENSION(VITRO_GET_INFO, 0, dev_get_info);

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct vitro_ioctl *ioctl;

	ioctl = vitro_ioctl_find(dev_ioctls, cmd);
	if (unlikely(!ioctl)) {
		if (cmd != VITRO_GET_INFO)
			return -ENOTTY;
		ioctl = &dev_get_info_ioctl;
	}
	return vitro_ioctl_call(ioctl, NULL, arg);
}

const struct file_operations vitro_dev_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= dev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};
