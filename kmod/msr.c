// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model-specific registers that are the same for both vendors. What is not
 * known here is the backend's; what it does not know raises #GP.
 */
#include <linux/kvm_para.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <asm/mtrr.h>
#include <asm/msr-index.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>

#include "backend.h"
#include "clock.h"
#include "compat.h"
#include "cpuid.h"
#include "cr.h"
#include "irqchip/irqchip.h"
#include "mce.h"
#include "msr.h"
#include "msr_filter.h"
#include "steal.h"
#include "tsc.h"
#include "vm.h"

#define PAT_RESET	0x0007040600070406ULL
#define MTRR_VARIABLE	8
/* Eight variable ranges, fixed ranges, write-combining. */
#define MTRR_CAP	(MTRR_VARIABLE | BIT(8) | BIT(10))
#define MTRR_DEF_BITS	0xcffULL
#define APIC_MSR_END	0x8ff

/* IA32_ARCH_CAPABILITIES bits that concern what the guest can see or do. */
#define ARCH_CAP_PASSED							\
	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA |		\
	 ARCH_CAP_SKIP_VMENTRY_L1DFLUSH | ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO | \
	 ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO | \
	 ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR |	\
	 ARCH_CAP_RRSBA | ARCH_CAP_PBRSB_NO)

/* Registers that are read as zero, and that systems also write to: what is written is dropped. */
static bool drops_writes(u32 msr)
{
	switch (msr) {
	case MSR_IA32_BBL_CR_CTL3:
	case MSR_VM_HSAVE_PA:
	case MSR_K7_EVNTSEL0 ... MSR_K7_EVNTSEL3:
	case MSR_K7_PERFCTR0 ... MSR_K7_PERFCTR3:
	case MSR_P6_EVNTSEL0 ... MSR_P6_EVNTSEL1:
	case MSR_P6_PERFCTR0 ... MSR_P6_PERFCTR1:
		return true;
	default:
		return false;
	}
}

/*
 * Registers of model-specific monitoring that systems touch without asking
 * CPUID: they read as zero.
 */
static bool reads_as_zero(u32 msr)
{
	switch (msr) {
	case MSR_IA32_PLATFORM_ID:
	case MSR_IA32_EBL_CR_POWERON:
	case MSR_IA32_P5_MC_ADDR:
	case MSR_IA32_P5_MC_TYPE:
	case MSR_EBC_FREQUENCY_ID:
	case MSR_IA32_LASTBRANCHFROMIP:
	case MSR_IA32_LASTBRANCHTOIP:
	case MSR_IA32_LASTINTFROMIP:
	case MSR_IA32_LASTINTTOIP:
	case MSR_IA32_PERF_CTL:
		return true;
	default:
		return drops_writes(msr);
	}
}

/*
 * IA32_SPEC_CTRL bits that the processor takes: the value is loaded at VM
 * entry, where another one would fault in the host.
 */
static u64 spec_ctrl_bits(void)
{
	u64 bits = 0;

	if (!boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL))
		return 0;
	if (boot_cpu_has(X86_FEATURE_IBRS))
		bits |= SPEC_CTRL_IBRS;
	if (boot_cpu_has(X86_FEATURE_STIBP))
		bits |= SPEC_CTRL_STIBP;
	if (boot_cpu_has(X86_FEATURE_SPEC_CTRL_SSBD) || boot_cpu_has(X86_FEATURE_AMD_SSBD))
		bits |= SPEC_CTRL_SSBD;
	return bits;
}

/**
 * vitro_arch_capabilities() - IA32_ARCH_CAPABILITIES as guests get it
 *
 * Context: any.
 */
u64 vitro_arch_capabilities(void)
{
	u64 value = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrq(MSR_IA32_ARCH_CAPABILITIES, value);
	/* L1D is flushed at VM entry where that is needed. */
	return (value & ARCH_CAP_PASSED) | ARCH_CAP_SKIP_VMENTRY_L1DFLUSH;
}

/**
 * vitro_msr_reset() - power-up values of MSRs
 * @vcpu: the vCPU
 */
void vitro_msr_reset(struct vitro_vcpu *vcpu)
{
	u64 apic_base = vcpu->msrs.apic_base;

	memset(&vcpu->msrs, 0, sizeof(vcpu->msrs));
	vcpu->msrs.apic_base = apic_base;
	vcpu->msrs.pat = PAT_RESET;
	vcpu->msrs.misc_enable = MSR_IA32_MISC_ENABLE_FAST_STRING |
				 MSR_IA32_MISC_ENABLE_BTS_UNAVAIL |
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL;
	vcpu->msrs.ucode_rev = 0x100000000ULL;
	vcpu->msrs.arch_capabilities = vitro_arch_capabilities();
	vitro_tsc_reset(vcpu);
}

static bool valid_memory_type(u8 type)
{
	return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

static bool valid_types(u64 value)
{
	int i;

	for (i = 0; i < 8; i++)
		if (!valid_memory_type(value >> (8 * i)))
			return false;
	return true;
}

/* Each byte 0, 1, 4, 5, 6 or 7: no high bits, and bit 1 only with bit 2. */
static bool valid_pat(u64 value)
{
	const u64 bit1 = 0x0202020202020202ULL, high = 0xf8f8f8f8f8f8f8f8ULL;

	return !(value & high) && !(value & bit1 & ~(value >> 1));
}

/* Where a fixed-range or variable-range MTRR is kept, NULL if it is neither. */
static u64 *mtrr_field(struct vitro_vcpu *vcpu, u32 msr)
{
	switch (msr) {
	case MSR_MTRRfix64K_00000:
		return &vcpu->msrs.mtrr_fixed[0];
	case MSR_MTRRfix16K_80000:
	case MSR_MTRRfix16K_A0000:
		return &vcpu->msrs.mtrr_fixed[1 + (msr & 1)];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return &vcpu->msrs.mtrr_fixed[3 + array_index_nospec(msr & 7, 8)];
	case MTRRphysBase_MSR(0) ... MTRRphysMask_MSR(MTRR_VARIABLE - 1):
		return &vcpu->msrs.mtrr_var[array_index_nospec(msr & 15, 2 * MTRR_VARIABLE)];
	default:
		return NULL;
	}
}

/* Memory types are the guest's own business: nested paging has all its RAM write-back. */
static int set_mtrr(struct vitro_vcpu *vcpu, u32 msr, u64 value)
{
	u64 *field = mtrr_field(vcpu, msr);
	u64 reserved = ~(BIT_ULL(vcpu->maxphyaddr) - 1);

	if (msr == MSR_MTRRdefType) {
		if (value & ~MTRR_DEF_BITS || !valid_memory_type(value))
			return 1;
		vcpu->msrs.mtrr_def_type = value;
		return 0;
	}
	if (!field)
		return 1;
	if (msr >= MSR_MTRRfix64K_00000) {
		if (!valid_types(value))
			return 1;
	} else if (msr & 1) {
		if (value & (reserved | 0x7ff))
			return 1;
	} else if (value & (reserved | 0xf00) || !valid_memory_type(value)) {
		return 1;
	}
	*field = value;
	return 0;
}

/* SDM, IA32_MISC_ENABLE: what is there of monitoring, a guest can read but not change. */
static int set_misc_enable(struct vitro_vcpu *vcpu, u64 value, bool host)
{
	const u64 unavailable = MSR_IA32_MISC_ENABLE_BTS_UNAVAIL |
				MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL;
	u64 old = vcpu->msrs.misc_enable;
	bool shown;

	if (!host) {
		if ((value ^ old) & unavailable)
			return 1;
		value &= ~MSR_IA32_MISC_ENABLE_EMON;
		value |= old & MSR_IA32_MISC_ENABLE_EMON;
	}
	shown = READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT &&
		(value ^ old) & MSR_IA32_MISC_ENABLE_MWAIT;
	/* SDM: a processor without SSE3 has not that bit. */
	if (shown && !vcpu_has(vcpu, VITRO_GF_SSE3))
		return 1;
	vcpu->msrs.misc_enable = value;
	if (shown)
		vitro_cpuid_runtime(vcpu);
	return 0;
}

static int get_lapic_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value)
{
	return vcpu->lapic ? vitro_lapic_msr_read(vcpu, msr, value) : 1;
}

/* Features of the processor, which user space may hide or set but a guest not. */
static int get_feature_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value, bool host)
{
	switch (msr) {
	case MSR_IA32_UCODE_REV:
		*value = vcpu->msrs.ucode_rev;
		return 0;
	case MSR_PLATFORM_INFO:
		if (!host && READ_ONCE(vcpu->vm->hide_platform_info))
			return 1;
		*value = vcpu->msrs.platform_info;
		return 0;
	case MSR_IA32_POWER_CTL:
		*value = vcpu->msrs.power_ctl;
		return 0;
	case MSR_IA32_ARCH_CAPABILITIES:
		if (!host && !vcpu_has(vcpu, VITRO_GF_ARCH_CAP))
			return 1;
		*value = vcpu->msrs.arch_capabilities;
		return 0;
	default:
		return -1;
	}
}

/* Which feature of the guest's CPUID has the MSR? 0: not one of KVM's. */
static u32 feature_of_kvm_msr(u32 msr)
{
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME:
		return BIT(KVM_FEATURE_CLOCKSOURCE);
	case MSR_KVM_WALL_CLOCK_NEW:
	case MSR_KVM_SYSTEM_TIME_NEW:
		return BIT(KVM_FEATURE_CLOCKSOURCE2);
	case MSR_KVM_STEAL_TIME:
		return BIT(KVM_FEATURE_STEAL_TIME);
	case MSR_KVM_PV_EOI_EN:
		return BIT(KVM_FEATURE_PV_EOI);
	default:
		return 0;
	}
}

/* 0; -1: not one of KVM's; 1: the guest's CPUID does not have it, and user space insists. */
static int check_kvm_msr(const struct vitro_vcpu *vcpu, u32 msr, bool host)
{
	u32 feature = feature_of_kvm_msr(msr);

	if (!feature)
		return -1;
	return !host && vcpu->pv_enforced && !(vcpu->pv_features & feature);
}

static int get_kvm_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value, bool host)
{
	int r = check_kvm_msr(vcpu, msr, host);

	if (r)
		return r;
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		*value = vcpu->msrs.wall_clock;
		return 0;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		*value = vcpu->msrs.system_time;
		return 0;
	case MSR_KVM_STEAL_TIME:
		*value = vcpu->msrs.steal_time;
		return 0;
	case MSR_KVM_PV_EOI_EN:
		*value = vcpu->msrs.pv_eoi;
		return 0;
	default:
		return -1;
	}
}

int vitro_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value, bool host)
{
	u64 *field;
	int r;

	*value = 0;
	switch (msr) {
	case MSR_IA32_TSC:
		*value = vitro_guest_tsc(vcpu);
		return 0;
	case MSR_IA32_TSC_DEADLINE:
		if (!host && !vcpu_has(vcpu, VITRO_GF_TSC_DEADLINE))
			return 1;
		*value = vcpu->lapic ? vitro_lapic_get_deadline(vcpu) : 0;
		return 0;
	case MSR_IA32_TSC_ADJUST:
		if (!host && !vcpu_has(vcpu, VITRO_GF_TSC_ADJUST))
			return 1;
		*value = vcpu->msrs.tsc_adjust;
		return 0;
	case MSR_IA32_APICBASE:
		*value = vcpu->msrs.apic_base;
		return 0;
	case APIC_BASE_MSR ... APIC_MSR_END:
		return get_lapic_msr(vcpu, msr, value);
	case MSR_EFER:
		*value = vcpu->efer;
		return 0;
	case MSR_IA32_CR_PAT:
		*value = vcpu->msrs.pat;
		return 0;
	case MSR_TSC_AUX:
		if (!host && !vcpu_has(vcpu, VITRO_GF_RDTSCP | VITRO_GF_RDPID))
			return 1;
		*value = vcpu->msrs.tsc_aux;
		return 0;
	case MSR_IA32_SPEC_CTRL:
		if (!host && !vcpu_has(vcpu, VITRO_GF_SPEC_CTRL))
			return 1;
		*value = vcpu->msrs.spec_ctrl;
		return 0;
	case MSR_IA32_MISC_ENABLE:
		*value = vcpu->msrs.misc_enable;
		return 0;
	case MSR_MTRRcap:
		*value = MTRR_CAP;
		return 0;
	case MSR_MTRRdefType:
		*value = vcpu->msrs.mtrr_def_type;
		return 0;
	case MSR_IA32_MCG_CAP:
	case MSR_IA32_MCG_STATUS:
	case MSR_IA32_MCG_CTL:
	case VITRO_MCE_FIRST_MSR ... VITRO_MCE_LAST_MSR:
		return vitro_mce_get_msr(vcpu, msr, value, host);
	}

	r = get_feature_msr(vcpu, msr, value, host);
	if (r >= 0)
		return r;
	r = get_kvm_msr(vcpu, msr, value, host);
	if (r >= 0)
		return r;
	field = mtrr_field(vcpu, msr);
	if (field) {
		*value = *field;
		return 0;
	}
	if (!vitro_backend->get_msr(vcpu, msr, value))
		return 0;
	*value = 0;
	return reads_as_zero(msr) ? 0 : VITRO_MSR_UNKNOWN;
}

bool vitro_msr_write_sleeps(u32 msr)
{
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
	case MSR_KVM_PV_EOI_EN:
		return true;
	default:
		return false;
	}
}

/* Commands: written to act, never read. */
static int write_command(struct vitro_vcpu *vcpu, u32 msr, u64 value, bool host)
{
	bool ibpb = msr == MSR_IA32_PRED_CMD;
	bool offered = vcpu_has(vcpu, ibpb ? VITRO_GF_PRED_CMD : VITRO_GF_FLUSH_CMD);
	bool there = boot_cpu_has(ibpb ? X86_FEATURE_IBPB : X86_FEATURE_FLUSH_L1D);

	/* Both have one defined bit, bit 0. The guest's CPUID may promise too much. */
	if ((!host && !offered) || !there || value & ~1ULL)
		return 1;
	if (value && !host)
		wrmsrq(msr, value);
	return 0;
}

static int set_feature_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value, bool host)
{
	switch (msr) {
	case MSR_IA32_UCODE_REV:
		/* A guest writes zero before it asks for the revision by CPUID. */
		if (host)
			vcpu->msrs.ucode_rev = value;
		return 0;
	case MSR_IA32_UCODE_WRITE:
	case MSR_AMD64_PATCH_LOADER:
		return 0;
	case MSR_PLATFORM_INFO:
		if (!host)
			return 1;
		vcpu->msrs.platform_info = value;
		return 0;
	case MSR_IA32_POWER_CTL:
		/* Kept, as systems without a driver for it read it back: no power is managed. */
		vcpu->msrs.power_ctl = value;
		return 0;
	case MSR_IA32_ARCH_CAPABILITIES:
		if (!host)
			return 1;
		vcpu->msrs.arch_capabilities = value;
		return 0;
	default:
		return -1;
	}
}

static int set_kvm_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value, bool host)
{
	int r = check_kvm_msr(vcpu, msr, host);

	if (r)
		return r;
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		vcpu->msrs.wall_clock = value;
		return vitro_write_wall_clock(vcpu, value);
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		vcpu->msrs.system_time = value;
		return vitro_set_system_time(vcpu, value);
	case MSR_KVM_STEAL_TIME:
		return vitro_steal_set_msr(vcpu, value);
	case MSR_KVM_PV_EOI_EN:
		return vitro_pv_eoi_set_msr(vcpu, value);
	default:
		return -1;
	}
}

/* MSRs that entries load. Returns 0. */
static int store_loaded(struct vitro_vcpu *vcpu, u64 *field, u64 value)
{
	if (*field == value)
		return 0;
	*field = value;
	vcpu->refresh |= VITRO_REFRESH_GUEST;
	return 0;
}

int vitro_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value, bool host)
{
	int r;

	switch (msr) {
	case MSR_IA32_TSC:
		vitro_tsc_write(vcpu, value, host);
		return 0;
	case MSR_IA32_TSC_DEADLINE:
		if (!host && !vcpu_has(vcpu, VITRO_GF_TSC_DEADLINE))
			return 1;
		if (vcpu->lapic)
			vitro_lapic_set_deadline(vcpu, value);
		return 0;
	case MSR_IA32_TSC_ADJUST:
		if (!host && !vcpu_has(vcpu, VITRO_GF_TSC_ADJUST))
			return 1;
		vitro_tsc_adjust(vcpu, value, host);
		return 0;
	case MSR_IA32_APICBASE:
		r = vitro_apic_base_write(vcpu, value, host);
		vitro_cpuid_runtime(vcpu);
		return r;
	case APIC_BASE_MSR ... APIC_MSR_END:
		return vcpu->lapic ? vitro_lapic_msr_write(vcpu, msr, value) : 1;
	case MSR_EFER:
		return vitro_write_efer(vcpu, value);
	case MSR_IA32_CR_PAT:
		if (!valid_pat(value))
			return 1;
		return store_loaded(vcpu, &vcpu->msrs.pat, value);
	case MSR_TSC_AUX:
		if (!host && !vcpu_has(vcpu, VITRO_GF_RDTSCP | VITRO_GF_RDPID))
			return 1;
		/* AMD's processors drop the reserved half, Intel's refuse it. */
		if (value >> 32 && !vcpu_has(vcpu, VITRO_GF_AMD))
			return 1;
		return store_loaded(vcpu, &vcpu->msrs.tsc_aux, (u32)value);
	case MSR_IA32_SPEC_CTRL:
		if ((!host && !vcpu_has(vcpu, VITRO_GF_SPEC_CTRL)) || value & ~spec_ctrl_bits())
			return 1;
		return store_loaded(vcpu, &vcpu->msrs.spec_ctrl, value);
	case MSR_IA32_PRED_CMD:
	case MSR_IA32_FLUSH_CMD:
		return write_command(vcpu, msr, value, host);
	case MSR_IA32_MISC_ENABLE:
		return set_misc_enable(vcpu, value, host);
	case MSR_IA32_MCG_CAP:
	case MSR_IA32_MCG_STATUS:
	case MSR_IA32_MCG_CTL:
	case VITRO_MCE_FIRST_MSR ... VITRO_MCE_LAST_MSR:
		return vitro_mce_set_msr(vcpu, msr, value, host);
	case MSR_MTRRdefType:
		return set_mtrr(vcpu, msr, value);
	}

	r = set_feature_msr(vcpu, msr, value, host);
	if (r >= 0)
		return r;
	r = set_kvm_msr(vcpu, msr, value, host);
	if (r >= 0)
		return r;
	if (mtrr_field(vcpu, msr))
		return set_mtrr(vcpu, msr, value);
	r = vitro_backend->set_msr(vcpu, msr, value);
	return r && drops_writes(msr) ? 0 : r;
}
