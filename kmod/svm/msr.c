// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs that the VMCB holds, those that only AMD has, and the permission maps:
 * which MSRs and ports the guest reaches without an exit.
 */
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "../msr_filter.h"
#include "svm.h"

/* 64 Ki ports and three more bits, for an access that runs over the end */
#define SVM_IOPM_ORDER	get_order(12 * 1024 + 1)
#define SVM_MSRPM_ORDER	get_order(8 * 1024)

#define PAT_RESET_VALUE	0x0007040600070406ULL

u64 svm_iopm_pa;
static u8 *svm_iopm, *svm_msrpm;
/* The same with no MSR left free, for guests of which a filter forbids one of these. */
static u8 *svm_msrpm_filtered;

/*
 * Not intercepted: VMLOAD and VMSAVE switch these, and no value that the
 * processor accepts does harm to the host.
 */
static const u32 svm_free_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* Ranges of the permission map in its order, 2 KiB each (APM, MSR Intercepts). */
static const u32 svm_msrpm_ranges[] = { 0x00000000, 0xc0000000, 0xc0010000 };

#define SVM_MSRPM_RANGE_MSRS	0x2000
#define SVM_MSRPM_RANGE_BYTES	0x800

static void svm_free_msr(u32 msr)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(svm_msrpm_ranges); i++) {
		u32 offset = msr - svm_msrpm_ranges[i];

		if (offset >= SVM_MSRPM_RANGE_MSRS)
			continue;
		/* Two bits an MSR: read and write. */
		svm_msrpm[i * SVM_MSRPM_RANGE_BYTES + offset / 4] &= ~(3 << (offset % 4 * 2));
		return;
	}
}

/**
 * svm_setup_maps() - allocate the permission maps, which all guests share
 *
 * Process context, at load.
 *
 * Return: 0 or -ENOMEM.
 */
int svm_setup_maps(void)
{
	int i;

	svm_iopm = (u8 *)__get_free_pages(GFP_KERNEL, SVM_IOPM_ORDER);
	svm_msrpm = (u8 *)__get_free_pages(GFP_KERNEL, SVM_MSRPM_ORDER);
	svm_msrpm_filtered = (u8 *)__get_free_pages(GFP_KERNEL, SVM_MSRPM_ORDER);
	if (!svm_iopm || !svm_msrpm || !svm_msrpm_filtered) {
		svm_teardown_maps();
		return -ENOMEM;
	}
	memset(svm_iopm, 0xff, PAGE_SIZE << SVM_IOPM_ORDER);
	memset(svm_msrpm, 0xff, PAGE_SIZE << SVM_MSRPM_ORDER);
	memset(svm_msrpm_filtered, 0xff, PAGE_SIZE << SVM_MSRPM_ORDER);
	for (i = 0; i < ARRAY_SIZE(svm_free_msrs); i++)
		svm_free_msr(svm_free_msrs[i]);

	svm_iopm_pa = __pa(svm_iopm);
	return 0;
}

/**
 * svm_teardown_maps() - free what svm_setup_maps() has allocated
 */
void svm_teardown_maps(void)
{
	free_pages((unsigned long)svm_iopm, SVM_IOPM_ORDER);
	free_pages((unsigned long)svm_msrpm, SVM_MSRPM_ORDER);
	free_pages((unsigned long)svm_msrpm_filtered, SVM_MSRPM_ORDER);
	svm_iopm = NULL;
	svm_msrpm = NULL;
	svm_msrpm_filtered = NULL;
}

/**
 * svm_msr_filter_changed() - choose the MSR permission map
 * @vcpu: the vCPU
 *
 * What the filter forbids must exit. If it is one of those that are free otherwise,
 * all of them do.
 */
void svm_msr_filter_changed(struct vitro_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	bool all_free = vitro_msrs_allowed(vcpu->vm, svm_free_msrs, ARRAY_SIZE(svm_free_msrs));

	vmcb->control.msrpm_base_pa = __pa(all_free ? svm_msrpm : svm_msrpm_filtered);
	svm_dirty(vmcb, SVM_CLEAN_PERM);
}

/**
 * svm_reset_msrs() - values of RESET
 * @svm: the vCPU
 */
void svm_reset_msrs(struct svm_vcpu *svm)
{
	struct vmcb_save_area *save = &svm->vmcb->save;

	save->star = 0;
	save->lstar = 0;
	save->cstar = 0;
	save->sfmask = 0;
	save->kernel_gs_base = 0;
	save->sysenter_cs = 0;
	save->sysenter_esp = 0;
	save->sysenter_eip = 0;
	save->dbgctl = 0;
	save->g_pat = PAT_RESET_VALUE;
	svm->hwcr = 0;
	svm->vmcb->control.clean = 0;
}

/* What a value must be to be taken. */
enum svm_msr_rule {
	SVM_MSR_ANY,
	SVM_MSR_32BIT,		/* upper half reserved */
	SVM_MSR_ADDRESS,	/* canonical */
};

#define SAVED(number, field, rule)						\
	{ .msr = (number), .offset = offsetof(struct vmcb_save_area, field),	\
	  .check = SVM_MSR_##rule }

static const struct svm_saved_msr {
	u32 msr;
	u16 offset;
	u8 check;
} svm_saved_msrs[] = {
	SAVED(MSR_FS_BASE, fs.base, ADDRESS),
	SAVED(MSR_GS_BASE, gs.base, ADDRESS),
	SAVED(MSR_KERNEL_GS_BASE, kernel_gs_base, ADDRESS),
	SAVED(MSR_STAR, star, ANY),
	SAVED(MSR_LSTAR, lstar, ADDRESS),
	SAVED(MSR_CSTAR, cstar, ADDRESS),
	SAVED(MSR_SYSCALL_MASK, sfmask, 32BIT),
	SAVED(MSR_IA32_SYSENTER_CS, sysenter_cs, ANY),
	SAVED(MSR_IA32_SYSENTER_ESP, sysenter_esp, ANY),
	SAVED(MSR_IA32_SYSENTER_EIP, sysenter_eip, ANY),
};

static const struct svm_saved_msr *svm_find_saved(u32 msr)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(svm_saved_msrs); i++)
		if (svm_saved_msrs[i].msr == msr)
			return &svm_saved_msrs[i];
	return NULL;
}

/*
 * MSRs of AMD's that operating systems touch without asking CPUID. They read
 * as constants; writing what was read is allowed, and with it what the mask names.
 */
static const struct svm_fixed_msr {
	u32 msr;
	u64 value;
	u64 ignored;		/* bits that can be written without effect */
} svm_fixed_msrs[] = {
	{ MSR_AMD64_SYSCFG },
	{ MSR_K8_INT_PENDING_MSG },
	{ MSR_FAM10H_MMIO_CONF_BASE },
	{ MSR_K8_TSEG_ADDR },
	{ MSR_K8_TSEG_MASK },
	/* Linux turns extended configuration space by port I/O on. */
	{ MSR_AMD64_NB_CFG, 0, BIT_ULL(46) },
	{ MSR_AMD64_LS_CFG },
	{ MSR_F15H_IC_CFG },
	{ MSR_AMD64_DC_CFG },
	{ MSR_AMD64_BU_CFG2 },
	/* Makes LFENCE serialise: offered where the host's does. */
	{ MSR_AMD64_DE_CFG, MSR_AMD64_DE_CFG_LFENCE_SERIALIZE,
	  MSR_AMD64_DE_CFG_LFENCE_SERIALIZE },
	/* Firmware's lock on SVM: the guest has none. */
	{ MSR_VM_CR, SVM_VM_CR_SVM_DIS_MASK | SVM_VM_CR_SVM_LOCK_MASK },
};

static const struct svm_fixed_msr *svm_find_fixed(u32 msr)
{
	int i;

	/* Elsewhere it is not serialising, and there is nothing to offer. */
	if (msr == MSR_AMD64_DE_CFG && !boot_cpu_has(X86_FEATURE_LFENCE_RDTSC))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(svm_fixed_msrs); i++)
		if (svm_fixed_msrs[i].msr == msr)
			return &svm_fixed_msrs[i];
	return NULL;
}

static u64 *svm_saved_field(struct svm_vcpu *svm, const struct svm_saved_msr *saved)
{
	return (u64 *)((u8 *)&svm->vmcb->save + saved->offset);
}

/**
 * svm_get_msr() - read an MSR that is the backend's
 * @vcpu:	the vCPU
 * @msr:	its number
 * @value:	receives the value
 *
 * Return: 0, or 1 if there is no such MSR.
 */
int svm_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	const struct svm_saved_msr *saved = svm_find_saved(msr);
	const struct svm_fixed_msr *fixed;

	if (saved) {
		*value = *svm_saved_field(svm, saved);
		return 0;
	}
	switch (msr) {
	case MSR_IA32_DEBUGCTLMSR:
		*value = 0;
		return 0;
	case MSR_K7_HWCR:
		*value = svm->hwcr;
		return 0;
	}
	fixed = svm_find_fixed(msr);
	if (!fixed)
		return 1;
	*value = fixed->value;
	return 0;
}

static int svm_set_saved(struct svm_vcpu *svm, const struct svm_saved_msr *saved, u64 value)
{
	int va_bits = svm->vcpu.cr4 & X86_CR4_LA57 ? 57 : 48;

	if (saved->check == SVM_MSR_32BIT && value >> 32)
		return 1;
	if (saved->check == SVM_MSR_ADDRESS && sign_extend64(value, va_bits - 1) != value)
		return 1;
	*svm_saved_field(svm, saved) = value;
	return 0;
}

/* LBR, BTF and the four performance-monitor pins (APM, DebugCtl MSR). */
#define DEBUGCTL_DEFINED	0x3fULL

/* HWCR bits that a guest may set: caches' and monitor's switches have no effect. */
#define HWCR_IGNORED	(BIT_ULL(3) | BIT_ULL(6) | BIT_ULL(8))	/* TlbCacheDis, FFDIS, MonMwaitDis */
#define HWCR_KEPT	(BIT_ULL(18) | BIT_ULL(24))		/* McStatusWrEn, TscFreqSel */

/**
 * svm_set_msr() - write an MSR that is the backend's
 * @vcpu:	the vCPU
 * @msr:	its number
 * @value:	the value
 *
 * Without LBR virtualization the guest has no DEBUGCTL; what it asks of it, such as
 * systems do without asking CPUID, has no effect.
 *
 * Return: 0, or 1 if there is no such MSR or it does not take the value.
 */
int svm_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	const struct svm_saved_msr *saved = svm_find_saved(msr);
	const struct svm_fixed_msr *fixed;

	if (saved)
		return svm_set_saved(svm, saved, value);
	switch (msr) {
	case MSR_IA32_DEBUGCTLMSR:
		return value & ~DEBUGCTL_DEFINED;
	case MSR_K7_HWCR:
		value &= ~HWCR_IGNORED;
		if (value & ~HWCR_KEPT)
			return 1;
		svm->hwcr = value;
		return 0;
	}
	fixed = svm_find_fixed(msr);
	if (!fixed)
		return VITRO_MSR_UNKNOWN;
	return (value ^ fixed->value) & ~fixed->ignored;
}
