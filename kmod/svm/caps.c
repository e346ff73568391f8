// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the processor must have for the SVM backend, and what it can have.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/cc_platform.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/printk.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/special_insns.h>

#include "svm.h"

struct svm_caps svm_caps;

static bool svm_has_cpuid(void)
{
	return boot_cpu_has(X86_FEATURE_SVM) && cpuid_eax(0x80000000) >= SVM_CPUID_FUNC;
}

static bool svm_not_locked(void)
{
	u64 vm_cr;

	return rdmsrq_safe(MSR_VM_CR, &vm_cr) || !(vm_cr & SVM_VM_CR_SVM_DIS_MASK);
}

static bool svm_has_npt(void)
{
	return boot_cpu_has(X86_FEATURE_NPT);
}

static bool svm_has_nx(void)
{
	return boot_cpu_has(X86_FEATURE_NX);
}

static bool svm_has_asids(void)
{
	return cpuid_ebx(SVM_CPUID_FUNC) >= 2;
}

static bool svm_has_plain_memory(void)
{
	return !cc_platform_has(CC_ATTR_MEM_ENCRYPT);
}

/* Required: one line each, in the order in which they are asked for. */
static const struct {
	const char *name;
	bool (*present)(void);
	int error;
	const char *remedy;
} svm_required[] = {
	{ "no AMD-V (SVM)", svm_has_cpuid, -ENODEV,
	  "use a processor that has it, or let the hypervisor below pass it on" },
	{ "SVM is locked off by firmware (VM_CR.SVMDIS)", svm_not_locked, -EOPNOTSUPP,
	  "enable SVM in the firmware set-up" },
	{ "no nested paging (NPT)", svm_has_npt, -ENODEV,
	  "use a processor that has it, or let the hypervisor below pass it on" },
	{ "no-execute pages (NX) are off", svm_has_nx, -ENODEV,
	  "enable NX in the firmware set-up" },
	{ "fewer than two address space identifiers (ASIDs)", svm_has_asids, -ENODEV,
	  "let the hypervisor below offer more" },
	{ "memory encryption (SME) is active in the host", svm_has_plain_memory, -EOPNOTSUPP,
	  "boot with mem_encrypt=off" },
};

/* Optional: the name in the list of features, and the flag to look at. */
static const struct {
	const char *name;
	const bool *used;
} svm_optional[] = {
	{ "npt-1g", &vitro_caps.tdp_1g },
	{ "nrips", &svm_caps.nrips },
	{ "decode-assists", &svm_caps.decode_assists },
	{ "flush-by-asid", &svm_caps.flush_by_asid },
	{ "vmcb-clean", &svm_caps.vmcb_clean },
	{ "pause-filter", &svm_caps.pause_filter },
	{ "pause-threshold", &svm_caps.pause_threshold },
	{ "v-spec-ctrl", &svm_caps.v_spec_ctrl },
	{ "npt-5level", &svm_caps.la57 },
	{ "umip", &vitro_caps.has_umip },
	{ "invpcid", &vitro_caps.has_invpcid },
	{ "rdtscp", &vitro_caps.has_rdtscp },
	{ "xsaves", &vitro_caps.has_xsaves },
	{ "tsc-scaling", &svm_caps.tsc_ratio },
};

static void svm_find_optional(void)
{
	u32 ext = boot_cpu_data.extended_cpuid_level >= 0x80000008 ? cpuid_ebx(0x80000008) : 0;

	svm_caps.nr_asids = cpuid_ebx(SVM_CPUID_FUNC);
	svm_caps.nrips = boot_cpu_has(X86_FEATURE_NRIPS);
	svm_caps.decode_assists = boot_cpu_has(X86_FEATURE_DECODEASSISTS);
	svm_caps.flush_by_asid = boot_cpu_has(X86_FEATURE_FLUSHBYASID);
	svm_caps.vmcb_clean = boot_cpu_has(X86_FEATURE_VMCBCLEAN);
	svm_caps.pause_filter = boot_cpu_has(X86_FEATURE_PAUSEFILTER);
	svm_caps.pause_threshold = svm_caps.pause_filter && boot_cpu_has(X86_FEATURE_PFTHRESHOLD);
	svm_caps.v_spec_ctrl = boot_cpu_has(X86_FEATURE_V_SPEC_CTRL);
	svm_caps.spec_ctrl = boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL) && !svm_caps.v_spec_ctrl;
	svm_caps.rdpru = boot_cpu_has(X86_FEATURE_RDPRU);
	svm_caps.mcommit = ext & BIT(8);
	svm_caps.invlpgb = ext & BIT(3);
	svm_caps.tsc_ratio = boot_cpu_has(X86_FEATURE_TSCRATEMSR);
	svm_caps.la57 = __read_cr4() & X86_CR4_LA57;
	svm_caps.host_cr4_mce = __read_cr4() & X86_CR4_MCE;

	vitro_caps.tdp_1g = boot_cpu_has(X86_FEATURE_GBPAGES);
	vitro_caps.tdp_2m = true;
	vitro_caps.has_umip = boot_cpu_has(X86_FEATURE_UMIP);
	vitro_caps.has_invpcid = boot_cpu_has(X86_FEATURE_INVPCID);
	vitro_caps.has_rdtscp = boot_cpu_has(X86_FEATURE_RDTSCP);
	vitro_caps.has_xsaves = boot_cpu_has(X86_FEATURE_XSAVES);
	if (svm_caps.tsc_ratio) {
		vitro_caps.tsc_ratio_bits = SVM_TSC_RATIO_BITS;
		vitro_caps.tsc_ratio_max = SVM_TSC_RATIO_MAX;
	}
	/* APM, "Global Status and Control Registers": nothing above MCG_CTL_P. */
	vitro_caps.mcg_cap_reserved = ~(u64)(MCG_BANKCNT_MASK | MCG_CTL_P);
	/* C-states have no MSRs here. */
	vitro_caps.disable_exits = KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE |
				   KVM_X86_DISABLE_EXITS_MWAIT;
	vitro_caps.xss_host = 0;
	if (vitro_caps.has_xsaves)
		rdmsrq(MSR_IA32_XSS, vitro_caps.xss_host);
}

/**
 * svm_probe() - check what is required, find what is optional
 *
 * Process context, at load. Fills vitro_caps and svm_caps.
 *
 * Return: 0; -ENODEV or -EOPNOTSUPP after one line that says what is missing.
 */
int svm_probe(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(svm_required); i++) {
		if (svm_required[i].present())
			continue;
		pr_err("CPU %d: %s: %s\n", raw_smp_processor_id(), svm_required[i].name,
		       svm_required[i].remedy);
		return svm_required[i].error;
	}

	svm_find_optional();

	strscpy(vitro_caps.features, "npt", sizeof(vitro_caps.features));
	for (i = 0; i < ARRAY_SIZE(svm_optional); i++) {
		if (!*svm_optional[i].used)
			continue;
		strlcat(vitro_caps.features, " ", sizeof(vitro_caps.features));
		strlcat(vitro_caps.features, svm_optional[i].name, sizeof(vitro_caps.features));
	}
	return 0;
}
