// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the processor must have and what it can have. Each feature is a line of
 * a table, with the name under which a user hears that it is missing.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/cpu.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/special_insns.h>

#include "vmx.h"

#define MISC_ACTIVITY_HLT	BIT(6)	/* of IA32_VMX_MISC */

struct vmx_config vmx_config __read_mostly;

/* The MSR that tells which bits of a word of controls may be 0 and 1. */
static const struct vmx_word_info {
	u32 msr;
	const char *name;
} words[VMX_NR_WORDS] = {
	[VMX_PIN]   = { MSR_IA32_VMX_TRUE_PINBASED_CTLS,  "IA32_VMX_TRUE_PINBASED_CTLS" },
	[VMX_CPU]   = { MSR_IA32_VMX_TRUE_PROCBASED_CTLS, "IA32_VMX_TRUE_PROCBASED_CTLS" },
	[VMX_CPU2]  = { MSR_IA32_VMX_PROCBASED_CTLS2,     "IA32_VMX_PROCBASED_CTLS2" },
	[VMX_EXIT]  = { MSR_IA32_VMX_TRUE_EXIT_CTLS,      "IA32_VMX_TRUE_EXIT_CTLS" },
	[VMX_ENTRY] = { MSR_IA32_VMX_TRUE_ENTRY_CTLS,     "IA32_VMX_TRUE_ENTRY_CTLS" },
};

enum vmx_use {
	REQUIRED,		/* always on */
	REQUIRED_LATER,		/* switched on and off as the guest runs */
	REQUIRED_OFF,		/* must be possible to leave off */
	OPTIONAL,		/* always on where there is */
	OPTIONAL_LATER,
};

static const struct vmx_feature {
	u8 word;
	u8 use;
	u32 bits;
	const char *name;	/* in messages */
	const char *shown;	/* in the list of features, or NULL */
} features[] = {
	/* require that nothing of the host's is taken by the guest */
	{ VMX_PIN, REQUIRED, PIN_BASED_EXT_INTR_MASK, "external-interrupt exiting" },
	{ VMX_PIN, REQUIRED, PIN_BASED_NMI_EXITING, "NMI exiting" },
	/* require NMI blocking that the processor tracks for the guest */
	{ VMX_PIN, REQUIRED, PIN_BASED_VIRTUAL_NMIS, "virtual NMIs", "vnmi" },
	/* bounds the time without an exit: see vcpu.c */
	{ VMX_PIN, OPTIONAL, PIN_BASED_VMX_PREEMPTION_TIMER, "VMX-preemption timer",
	  "preemption-timer" },

	{ VMX_CPU, REQUIRED, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS, "secondary controls" },
	{ VMX_CPU, REQUIRED, CPU_BASED_HLT_EXITING, "HLT exiting" },
	{ VMX_CPU, REQUIRED, CPU_BASED_MWAIT_EXITING, "MWAIT exiting" },
	{ VMX_CPU, REQUIRED, CPU_BASED_MONITOR_EXITING, "MONITOR exiting" },
	{ VMX_CPU, REQUIRED, CPU_BASED_RDPMC_EXITING, "RDPMC exiting" },
	{ VMX_CPU, REQUIRED, CPU_BASED_MOV_DR_EXITING, "MOV-DR exiting" },
	{ VMX_CPU, REQUIRED, CPU_BASED_UNCOND_IO_EXITING, "unconditional I/O exiting" },
	{ VMX_CPU, REQUIRED, CPU_BASED_USE_MSR_BITMAPS, "MSR bitmaps", "msr-bitmap" },
	{ VMX_CPU, REQUIRED, CPU_BASED_USE_TSC_OFFSETTING, "TSC offsetting" },
	/* require notice of when an interrupt or an NMI can be delivered */
	{ VMX_CPU, REQUIRED_LATER, CPU_BASED_INTR_WINDOW_EXITING, "interrupt-window exiting" },
	{ VMX_CPU, REQUIRED_LATER, CPU_BASED_NMI_WINDOW_EXITING, "NMI-window exiting" },
	/* require a TPR that the guest changes by MOV CR8 without exits */
	{ VMX_CPU, REQUIRED_LATER, CPU_BASED_TPR_SHADOW, "TPR shadow", "tpr-shadow" },
	{ VMX_CPU, REQUIRED_LATER, CPU_BASED_CR8_LOAD_EXITING, "CR8-load exiting" },
	{ VMX_CPU, REQUIRED_LATER, CPU_BASED_CR8_STORE_EXITING, "CR8-store exiting" },
	/* require that nested paging makes these exits unnecessary */
	{ VMX_CPU, REQUIRED_OFF, CPU_BASED_CR3_LOAD_EXITING, "MOV to CR3 without exits" },
	{ VMX_CPU, REQUIRED_OFF, CPU_BASED_CR3_STORE_EXITING, "MOV from CR3 without exits" },
	{ VMX_CPU, REQUIRED_OFF, CPU_BASED_INVLPG_EXITING, "INVLPG without exits" },

	{ VMX_CPU2, REQUIRED, SECONDARY_EXEC_ENABLE_EPT, "EPT", "ept" },
	{ VMX_CPU2, REQUIRED, SECONDARY_EXEC_UNRESTRICTED_GUEST, "unrestricted guest",
	  "unrestricted-guest" },
	{ VMX_CPU2, OPTIONAL, SECONDARY_EXEC_WBINVD_EXITING, "WBINVD exiting", "wbinvd-exiting" },
	{ VMX_CPU2, OPTIONAL, SECONDARY_EXEC_PAUSE_LOOP_EXITING, "PAUSE-loop exiting", "ple" },
	/* SGX is not offered: its instructions must not reach the processor's */
	{ VMX_CPU2, OPTIONAL, SECONDARY_EXEC_ENCLS_EXITING, "ENCLS exiting" },
	{ VMX_CPU2, OPTIONAL, VMX_EXEC_ENCLV, "ENCLV exiting" },
	{ VMX_CPU2, OPTIONAL_LATER, SECONDARY_EXEC_ENABLE_VPID, "VPID", "vpid" },
	{ VMX_CPU2, OPTIONAL_LATER, SECONDARY_EXEC_ENABLE_RDTSCP, "RDTSCP", "rdtscp" },
	{ VMX_CPU2, OPTIONAL_LATER, SECONDARY_EXEC_ENABLE_INVPCID, "INVPCID", "invpcid" },
	{ VMX_CPU2, OPTIONAL_LATER, SECONDARY_EXEC_TSC_SCALING, "TSC scaling", "tsc-scaling" },
	{ VMX_CPU2, OPTIONAL_LATER, SECONDARY_EXEC_ENABLE_PML, "page-modification logging", "pml" },

	{ VMX_EXIT, REQUIRED, VM_EXIT_HOST_ADDR_SPACE_SIZE, "64-bit host" },
	{ VMX_EXIT, REQUIRED, VM_EXIT_LOAD_IA32_EFER, "EFER loaded on exit" },
	{ VMX_EXIT, REQUIRED, VM_EXIT_LOAD_IA32_PAT, "PAT loaded on exit" },
	{ VMX_ENTRY, REQUIRED, VM_ENTRY_LOAD_DEBUG_CONTROLS, "debug controls loaded on entry" },
	{ VMX_ENTRY, REQUIRED, VM_ENTRY_LOAD_IA32_EFER, "EFER loaded on entry" },
	{ VMX_ENTRY, REQUIRED, VM_ENTRY_LOAD_IA32_PAT, "PAT loaded on entry" },
	{ VMX_ENTRY, REQUIRED_LATER, VM_ENTRY_IA32E_MODE, "IA-32e mode guest" },
};

static const struct vmx_ept_feature {
	u64 bits;		/* in IA32_VMX_EPT_VPID_CAP */
	bool required;
	const char *name;
	const char *shown;
} ept_features[] = {
	{ VMX_EPT_PAGE_WALK_4_BIT, true, "EPT page walks of four levels" },
	{ VMX_EPTP_WB_BIT, true, "write-back EPT paging structures" },
	{ VMX_EPT_INVEPT_BIT, true, "INVEPT" },
	{ VMX_EPT_EXTENT_GLOBAL_BIT, true, "INVEPT of all contexts" },
	{ VMX_EPT_2MB_PAGE_BIT, false, "2 MiB EPT pages", "ept-2m" },
	{ VMX_EPT_1GB_PAGE_BIT, false, "1 GiB EPT pages", "ept-1g" },
	{ VMX_EPT_AD_BIT, false, "EPT accessed and dirty bits", "ept-ad" },
};

/**
 * vmx_insn_failed() - log that a VMX instruction reported failure
 * @insn:	its name
 * @operand:	VMCS field or type of invalidation
 * @value:	the other operand
 *
 * That is a defect of this module: operands are constant or checked before.
 *
 * Context: any but NMI.
 */
noinline void vmx_insn_failed(const char *insn, u64 operand, u64 value)
{
	pr_warn_ratelimited("CPU %d: %s %#llx failed, operand %#llx, VM-instruction error %llu: please report this\n",
			    raw_smp_processor_id(), insn, operand, value,
			    vmcs_read(VM_INSTRUCTION_ERROR));
}

/* Reads the capability MSRs of this CPU. Any context. -EIO if they fault. */
static int read_config(struct vmx_config *c)
{
	u64 basic, value;
	int i;

	memset(c, 0, sizeof(*c));
	if (rdmsrq_safe(MSR_IA32_VMX_BASIC, &basic) || !(basic & VMX_BASIC_TRUE_CTLS))
		return -EIO;
	c->revision = vmx_basic_vmcs_revision_id(basic);
	c->error_codes = basic & BIT_ULL(56);

	for (i = 0; i < VMX_NR_WORDS; i++) {
		if (rdmsrq_safe(words[i].msr, &value))
			return -EIO;
		c->must[i] = lower_32_bits(value);
		c->may[i] = upper_32_bits(value);
	}
	if (rdmsrq_safe(MSR_IA32_VMX_EPT_VPID_CAP, &c->ept_vpid) ||
	    rdmsrq_safe(MSR_IA32_VMX_MISC, &c->misc) ||
	    rdmsrq_safe(MSR_IA32_VMX_CR0_FIXED0, &c->cr0_must) ||
	    rdmsrq_safe(MSR_IA32_VMX_CR0_FIXED1, &c->cr0_may) ||
	    rdmsrq_safe(MSR_IA32_VMX_CR4_FIXED0, &c->cr4_must) ||
	    rdmsrq_safe(MSR_IA32_VMX_CR4_FIXED1, &c->cr4_may))
		return -EIO;
	/* An unrestricted guest may turn protection and paging off. */
	c->cr0_must &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	return 0;
}

static bool usable(const struct vmx_config *c, const struct vmx_feature *f)
{
	if (f->use == REQUIRED_OFF)
		return !(c->must[f->word] & f->bits);
	return (c->may[f->word] & f->bits) == f->bits;
}

static bool always_on(const struct vmx_feature *f)
{
	return f->use == REQUIRED || f->use == OPTIONAL;
}

/* INVVPID of one VPID or of all is what makes VPIDs usable. */
static bool vpid_usable(const struct vmx_config *c)
{
	u64 cap = c->ept_vpid >> 32;

	return c->may[VMX_CPU2] & SECONDARY_EXEC_ENABLE_VPID &&
	       cap & VMX_VPID_INVVPID_BIT &&
	       cap & VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT &&
	       cap & VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT;
}

static void choose_base(struct vmx_config *c)
{
	int i;

	if (!vpid_usable(c))
		c->may[VMX_CPU2] &= ~SECONDARY_EXEC_ENABLE_VPID;
	/* Pages are logged when their dirty bits are set. */
	if (!(c->ept_vpid & VMX_EPT_AD_BIT))
		c->may[VMX_CPU2] &= ~SECONDARY_EXEC_ENABLE_PML;
	for (i = 0; i < VMX_NR_WORDS; i++)
		c->base[i] = c->must[i];
	for (i = 0; i < ARRAY_SIZE(features); i++)
		if (always_on(&features[i]) && usable(c, &features[i]))
			c->base[features[i].word] |= features[i].bits;
}

static int missing(const char *name, const char *where, u64 value)
{
	pr_err("CPU %d: the processor (or the hypervisor that it runs under) lacks %s (%s=%#llx), which vitro requires: use another machine\n",
	       raw_smp_processor_id(), name, where, value);
	return -EOPNOTSUPP;
}

static int check_required(const struct vmx_config *c)
{
	const struct vmx_feature *f;
	int i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		f = &features[i];
		if (f->use < OPTIONAL && !usable(c, f))
			return missing(f->name, words[f->word].name,
				       (u64)c->may[f->word] << 32 | c->must[f->word]);
	}
	for (i = 0; i < ARRAY_SIZE(ept_features); i++)
		if (ept_features[i].required && !(c->ept_vpid & ept_features[i].bits))
			return missing(ept_features[i].name, "IA32_VMX_EPT_VPID_CAP",
				       c->ept_vpid);
	return 0;
}

static void show(const char *name)
{
	if (!name)
		return;
	if (vitro_caps.features[0])
		strlcat(vitro_caps.features, " ", sizeof(vitro_caps.features));
	strlcat(vitro_caps.features, name, sizeof(vitro_caps.features));
}

/*
 * Where a guest can make the host check-stop by changing the size of a mapping
 * that it executes from, large mappings are not used (Intel's guidance
 * "Machine Check Error Avoidance on Page Size Change").
 */
static bool large_pages_safe(void)
{
	return !boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) || cpu_mitigations_off();
}

/* KVM_X86_DISABLE_EXITS_*: what can be off, and for HLT that entries can go on with it. */
static u32 exits_to_disable(const struct vmx_config *c)
{
	u32 exits = 0, must = c->must[VMX_CPU];

	if (!(must & CPU_BASED_HLT_EXITING) && c->misc & MISC_ACTIVITY_HLT)
		exits |= KVM_X86_DISABLE_EXITS_HLT;
	if (!(must & (CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING)))
		exits |= KVM_X86_DISABLE_EXITS_MWAIT;
	if (!(must & CPU_BASED_PAUSE_EXITING ||
	      c->must[VMX_CPU2] & SECONDARY_EXEC_PAUSE_LOOP_EXITING))
		exits |= KVM_X86_DISABLE_EXITS_PAUSE;
	if (vmx_has_cstate_msrs())
		exits |= KVM_X86_DISABLE_EXITS_CSTATE;
	return exits;
}

static void fill_caps(const struct vmx_config *c)
{
	bool large = large_pages_safe();
	int i;

	vitro_caps.features[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(features); i++)
		if (features[i].shown && usable(c, &features[i]))
			show(features[i].shown);
	for (i = 0; i < ARRAY_SIZE(ept_features); i++)
		if (c->ept_vpid & ept_features[i].bits)
			show(ept_features[i].shown);
	if (!large)
		show("no-large-pages(itlb-multihit)");

	vitro_caps.tdp_2m = large && c->ept_vpid & VMX_EPT_2MB_PAGE_BIT;
	vitro_caps.tdp_1g = large && c->ept_vpid & VMX_EPT_1GB_PAGE_BIT;
	vitro_caps.tdp_log = c->may[VMX_CPU2] & SECONDARY_EXEC_ENABLE_PML;
	vitro_caps.has_umip = boot_cpu_has(X86_FEATURE_UMIP) && c->cr4_may & X86_CR4_UMIP;
	vitro_caps.has_invpcid = c->may[VMX_CPU2] & SECONDARY_EXEC_ENABLE_INVPCID;
	vitro_caps.has_rdtscp = c->may[VMX_CPU2] & SECONDARY_EXEC_ENABLE_RDTSCP;
	/* SDM, TSC Multiplier: 64 bits, 48 of them behind the point. */
	if (c->may[VMX_CPU2] & SECONDARY_EXEC_TSC_SCALING) {
		vitro_caps.tsc_ratio_bits = 48;
		vitro_caps.tsc_ratio_max = U64_MAX;
	}
	/* XSAVES raises #UD in guests, so the host's IA32_XSS can stay. */
	vitro_caps.has_xsaves = false;
	vitro_caps.disable_exits = exits_to_disable(c);
}

/*
 * IA32_FEATURE_CONTROL: 0 if VMXON may be executed or the MSR is not locked
 * yet. (cpuid: the kernel hides the feature bit when firmware has locked it.)
 */
static int check_firmware(void)
{
	u64 value;

	if (rdmsrq_safe(MSR_IA32_FEAT_CTL, &value))
		return 0;
	if (value & FEAT_CTL_LOCKED && !(value & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX)) {
		pr_err("CPU %d: VT-x is locked off by firmware (IA32_FEATURE_CONTROL=%#llx): enable it in the firmware set-up\n",
		       raw_smp_processor_id(), value);
		return -EOPNOTSUPP;
	}
	return 0;
}

/*
 * vmx_probe() - see struct vitro_backend
 */
int vmx_probe(void)
{
	int err;

	if (!(cpuid_ecx(1) & BIT(X86_FEATURE_VMX & 31))) {
		pr_err("CPU %d: the processor (or the hypervisor that it runs under) does not offer VT-x: use another machine, or enable nested virtualization\n",
		       raw_smp_processor_id());
		return -ENODEV;
	}
	err = check_firmware();
	if (err)
		return err;
	if (read_config(&vmx_config))
		return missing("the TRUE capability MSRs or secondary controls",
			       "IA32_VMX_BASIC", vmx_config.revision);
	err = check_required(&vmx_config);
	if (err)
		return err;
	choose_base(&vmx_config);
	fill_caps(&vmx_config);
	return 0;
}

/**
 * vmx_check_cpu() - does this CPU have what probe() found?
 *
 * A VMCS moves between CPUs, so all must agree.
 *
 * Context: IRQs off.
 * Return: 0 or -ENXIO.
 */
int vmx_check_cpu(void)
{
	struct vmx_config here;

	if (read_config(&here))
		return -ENXIO;
	choose_base(&here);
	return memcmp(&here, &vmx_config, sizeof(here)) ? -ENXIO : 0;
}
