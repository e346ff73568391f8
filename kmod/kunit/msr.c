// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSR policy: what exists, for whom, with which values (SDM, Model-Specific
 * Registers; Memory Cache Control).
 */
#include <linux/kvm_para.h>
#include <asm/apicdef.h>
#include <asm/mce.h>
#include <asm/mtrr.h>
#include <asm/msr-index.h>

#include "../mce.h"
#include "../msr.h"
#include "../msr_filter.h"
#include "fake_backend.h"
#include "fixture.h"

#define ANY_VALUE	BIT_ULL(63)	/* not looked at */
#define GUEST		false
#define HOST		true
#define GP		1

/* A write, then a read by the same side. */
static const struct msr_case {
	const char *name;
	u32 msr;
	bool host;
	u32 features;		/* VITRO_GF_* of the guest */
	u64 value;
	int write, read;
	u64 is;
} msrs[] = {
	{ "PAT", MSR_IA32_CR_PAT, GUEST, 0, 0x0706050401000706, 0, 0, 0x0706050401000706 },
	{ "PAT type 2", MSR_IA32_CR_PAT, GUEST, 0, 0x0007040600070402, GP, 0, ANY_VALUE },
	{ "PAT type 3", MSR_IA32_CR_PAT, GUEST, 0, 0x0307040600070406, GP, 0, ANY_VALUE },
	{ "PAT type 8", MSR_IA32_CR_PAT, HOST, 0, 0x0007040600080406, GP, 0, ANY_VALUE },
	{ "MTRRdefType", MSR_MTRRdefType, GUEST, 0, 0xc06, 0, 0, 0xc06 },
	{ "MTRRdefType type 2", MSR_MTRRdefType, GUEST, 0, 0xc02, GP, 0, 0 },
	{ "MTRRdefType type 7", MSR_MTRRdefType, GUEST, 0, 0xc07, GP, 0, 0 },
	{ "MTRRdefType bit 8", MSR_MTRRdefType, GUEST, 0, 0xd06, GP, 0, 0 },
	{ "MTRRdefType bit 12", MSR_MTRRdefType, GUEST, 0, 0x1c06, GP, 0, 0 },
	{ "MTRRcap is read-only", MSR_MTRRcap, GUEST, 0, 0x508, GP, 0, 0x508 },
	{ "fixed MTRR 64K", MSR_MTRRfix64K_00000, GUEST, 0, 0x0606060605040100, 0, 0,
	  0x0606060605040100 },
	{ "fixed MTRR, last", MSR_MTRRfix4K_F8000, GUEST, 0, 0x0606060606060606, 0, 0,
	  0x0606060606060606 },
	{ "fixed MTRR, type 2", MSR_MTRRfix16K_A0000, GUEST, 0, 0x0206060606060606, GP, 0, 0 },
	{ "fixed MTRR, type 7", MSR_MTRRfix4K_C8000, GUEST, 0, 0x0606060606060607, GP, 0, 0 },
	{ "no fixed MTRR 0x251", 0x251, GUEST, 0, 0, GP, GP, 0 },
	{ "variable MTRR, base", MTRRphysBase_MSR(0), GUEST, 0, 0x80000006, 0, 0, 0x80000006 },
	{ "variable MTRR, bit 8", MTRRphysBase_MSR(0), GUEST, 0, 0x80000106, GP, 0, 0 },
	{ "variable MTRR, type 7", MTRRphysBase_MSR(7), GUEST, 0, 7, GP, 0, 0 },
	{ "variable MTRR, too high", MTRRphysBase_MSR(7), GUEST, 0, BIT_ULL(36) | 6, GP, 0, 0 },
	{ "variable MTRR, mask", MTRRphysMask_MSR(7), GUEST, 0, 0xf80000800, 0, 0, 0xf80000800 },
	{ "variable MTRR, mask bit 10", MTRRphysMask_MSR(7), GUEST, 0, 0xf80000c00, GP, 0, 0 },
	{ "no ninth variable MTRR", MTRRphysBase_MSR(8), GUEST, 0, 6, GP, GP, 0 },
	{ "EFER", MSR_EFER, GUEST, VITRO_GF_LM, EFER_SCE | EFER_LME, 0, 0, EFER_SCE | EFER_LME },
	{ "EFER, LMA is the processor's", MSR_EFER, GUEST, VITRO_GF_LM, EFER_LMA | EFER_LME, 0, 0,
	  EFER_LME },
	{ "EFER, SVME", MSR_EFER, GUEST, VITRO_GF_LM, EFER_SVME, GP, 0, 0 },
	{ "EFER, SVME by user space", MSR_EFER, HOST, VITRO_GF_LM, EFER_SVME, GP, 0, 0 },
	{ "EFER, reserved bit", MSR_EFER, GUEST, VITRO_GF_LM, BIT(1), GP, 0, 0 },
	{ "EFER, upper half", MSR_EFER, GUEST, VITRO_GF_LM, BIT_ULL(32), GP, 0, 0 },
	{ "TSC_AUX", MSR_TSC_AUX, GUEST, VITRO_GF_RDTSCP, U32_MAX, 0, 0, U32_MAX },
	{ "TSC_AUX by RDPID", MSR_TSC_AUX, GUEST, VITRO_GF_RDPID, 5, 0, 0, 5 },
	{ "TSC_AUX, upper half", MSR_TSC_AUX, GUEST, VITRO_GF_RDTSCP, BIT_ULL(32), GP, 0, 0 },
	{ "TSC_AUX not offered", MSR_TSC_AUX, GUEST, 0, 5, GP, GP, 0 },
	{ "TSC_AUX by user space", MSR_TSC_AUX, HOST, 0, 5, 0, 0, 5 },
	{ "SPEC_CTRL not offered", MSR_IA32_SPEC_CTRL, GUEST, 0, 0, GP, GP, 0 },
	{ "SPEC_CTRL", MSR_IA32_SPEC_CTRL, GUEST, VITRO_GF_SPEC_CTRL, 0, 0, 0, 0 },
	{ "SPEC_CTRL, reserved bit", MSR_IA32_SPEC_CTRL, GUEST, VITRO_GF_SPEC_CTRL, BIT_ULL(40),
	  GP, 0, 0 },
	{ "SPEC_CTRL, reserved bit by user space", MSR_IA32_SPEC_CTRL, HOST, 0, BIT_ULL(63),
	  GP, 0, 0 },
	{ "PRED_CMD not offered", MSR_IA32_PRED_CMD, GUEST, 0, 0, GP, GP, 0 },
	{ "PRED_CMD, reserved bit", MSR_IA32_PRED_CMD, GUEST, VITRO_GF_PRED_CMD, 2, GP, GP, 0 },
	{ "FLUSH_CMD not offered", MSR_IA32_FLUSH_CMD, GUEST, 0, 1, GP, GP, 0 },
	{ "FLUSH_CMD, reserved bit", MSR_IA32_FLUSH_CMD, GUEST, VITRO_GF_FLUSH_CMD, 3, GP, GP, 0 },
	{ "ARCH_CAPABILITIES not offered", MSR_IA32_ARCH_CAPABILITIES, GUEST, 0, 0, GP, GP, 0 },
	{ "ARCH_CAPABILITIES is read-only", MSR_IA32_ARCH_CAPABILITIES, GUEST, VITRO_GF_ARCH_CAP,
	  0, GP, 0, ANY_VALUE },
	{ "ARCH_CAPABILITIES by user space", MSR_IA32_ARCH_CAPABILITIES, HOST, 0, 1, 0, 0, 1 },
	{ "PLATFORM_INFO is read-only", MSR_PLATFORM_INFO, GUEST, 0, 1, GP, 0, 0 },
	{ "PLATFORM_INFO by user space", MSR_PLATFORM_INFO, HOST, 0, 1, 0, 0, 1 },
	{ "microcode revision is kept", MSR_IA32_UCODE_REV, GUEST, 0, 0, 0, 0, BIT_ULL(32) },
	{ "microcode revision by user space", MSR_IA32_UCODE_REV, HOST, 0, 7, 0, 0, 7 },
	{ "microcode loader", MSR_IA32_UCODE_WRITE, GUEST, 0, 0x1000, 0, GP, 0 },
	{ "MCG_CAP: no banks", MSR_IA32_MCG_CAP, GUEST, 0, 1, GP, 0, 0 },
	{ "MCG_STATUS can be cleared", MSR_IA32_MCG_STATUS, GUEST, 0, 0, 0, 0, 0 },
	{ "MCG_STATUS cannot be set", MSR_IA32_MCG_STATUS, GUEST, 0, 4, GP, 0, 0 },
	{ "MCG_STATUS by user space", MSR_IA32_MCG_STATUS, HOST, 0, 4, 0, 0, 4 },
	{ "MCG_CTL is not there", MSR_IA32_MCG_CTL, GUEST, 0, 0, GP, GP, 0 },
	{ "MCG_CTL, which is not there, by user space", MSR_IA32_MCG_CTL, HOST, 0, ~0ULL, GP, 0, 0 },
	{ "TSC_DEADLINE not offered", MSR_IA32_TSC_DEADLINE, GUEST, 0, 0, GP, GP, 0 },
	{ "TSC_DEADLINE without APIC", MSR_IA32_TSC_DEADLINE, GUEST, VITRO_GF_TSC_DEADLINE, 99,
	  0, 0, 0 },
	{ "TSC_ADJUST not offered", MSR_IA32_TSC_ADJUST, GUEST, 0, 0, GP, GP, 0 },
	{ "TSC_ADJUST", MSR_IA32_TSC_ADJUST, GUEST, VITRO_GF_TSC_ADJUST, 1000, 0, 0, 1000 },
	{ "x2APIC without APIC", APIC_BASE_MSR + 2, GUEST, VITRO_GF_X2APIC, 0, GP, GP, 0 },
	{ "APIC_BASE, reserved bit", MSR_IA32_APICBASE, GUEST, 0, 0xfee00a00, GP, 0, 0xfee00900 },
	{ "APIC_BASE, x2APIC not offered", MSR_IA32_APICBASE, GUEST, 0, 0xfee00d00, GP, 0,
	  0xfee00900 },
	{ "the backend's", FAKE_MSR, GUEST, 0, 0x12345, 0, 0, 0x12345 },
	{ "performance counters read as zero", MSR_K7_EVNTSEL0, GUEST, 0, 0x430076, 0, 0, 0 },
	{ "VM_HSAVE_PA reads as zero", MSR_VM_HSAVE_PA, GUEST, 0, 0x1000, 0, 0, 0 },
	{ "FEATURE_CONTROL is not there", MSR_IA32_FEAT_CTL, GUEST, 0, 0, GP, GP, 0 },
	{ "VMX capabilities are not there", MSR_IA32_VMX_BASIC, GUEST, 0, 0, GP, GP, 0 },
	{ "VM_CR is not there", MSR_VM_CR, GUEST, 0, 0, GP, GP, 0 },
	{ "DEBUGCTL is the backend's", MSR_IA32_DEBUGCTLMSR, GUEST, 0, 0, GP, GP, 0 },
	{ "PERF_GLOBAL_CTRL is not there", MSR_CORE_PERF_GLOBAL_CTRL, GUEST, 0, 0, GP, GP, 0 },
	{ "the host's SMM base", 0x9e, GUEST, 0, 0, GP, GP, 0 },
	{ "MCi_CTL without banks", MSR_IA32_MC0_CTL, GUEST, 0, 0, GP, GP, 0 },
	{ "KVM's range, unknown", 0x4b564dff, GUEST, 0, 0, GP, GP, 0 },
	{ "the last of all", U32_MAX, GUEST, 0, 0, GP, GP, 0 },
};
TEST_PARAMS(msrs);

static void msr(struct kunit *test)
{
	const struct msr_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 before = 0x5555, after = 0x5555;

	vcpu->guest_features = p->features;
	KUNIT_EXPECT_EQ(test, !!vitro_get_msr(vcpu, p->msr, &before, p->host), p->read);
	KUNIT_EXPECT_EQ(test, !!vitro_set_msr(vcpu, p->msr, p->value, p->host), p->write);
	KUNIT_EXPECT_EQ(test, !!vitro_get_msr(vcpu, p->msr, &after, p->host), p->read);
	if (p->is != ANY_VALUE)
		KUNIT_EXPECT_EQ(test, after, p->is);
	/* A refused write changes nothing. */
	if (p->write)
		KUNIT_EXPECT_EQ(test, after, before);
}

/* What user space is told of refused accesses: whether there is such an MSR. */
static void unknown(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 value;

	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, 0x40000000, &value, GUEST), VITRO_MSR_UNKNOWN);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, 0x40000000, 0, GUEST), VITRO_MSR_UNKNOWN);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_CR_PAT, 2, GUEST), VITRO_MSR_INVALID);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_PLATFORM_INFO, 0, GUEST), VITRO_MSR_INVALID);
}

static void tsc(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 value, adjust;

	vcpu->guest_features = VITRO_GF_TSC_ADJUST;
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MSR_IA32_TSC, &value, GUEST), 0);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_TSC, value + BIT_ULL(50), GUEST), 0);
	/* SDM, Time-Stamp Counter Adjustment: a write of the one moves the other. */
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MSR_IA32_TSC_ADJUST, &adjust, GUEST), 0);
	KUNIT_EXPECT_GT(test, adjust, BIT_ULL(50) - BIT_ULL(40));
	KUNIT_EXPECT_LE(test, adjust, BIT_ULL(50));
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_TSC_ADJUST, 0, GUEST), 0);
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MSR_IA32_TSC, &value, GUEST), 0);
	KUNIT_EXPECT_LT(test, value, BIT_ULL(50));
}

static void machine_check_banks(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 value;

	KUNIT_EXPECT_EQ(test, vitro_mce_setup(vcpu, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, vitro_mce_setup(vcpu, VITRO_MAX_MCE_BANKS + 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, vitro_mce_setup(vcpu, 4 | MCG_CMCI_P), -EINVAL);
	KUNIT_EXPECT_EQ(test, vitro_mce_setup(vcpu, 4 | MCG_CTL_P), 0);
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MSR_IA32_MCx_MISC(3), &value, GUEST), 0);
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MSR_IA32_MCx_CTL(4), &value, HOST), GP);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_MCx_MISC(4), 0, HOST), GP);
	/* SDM, IA32_MCi_STATUS: software can only clear it. */
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_MCx_STATUS(0), 1, GUEST), GP);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_MCx_STATUS(0), 1, HOST), 0);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_MCx_STATUS(0), 0, GUEST), 0);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_MCG_CTL, 3, GUEST), GP);
	KUNIT_EXPECT_EQ(test, vitro_set_msr(vcpu, MSR_IA32_MCG_CTL, 0, GUEST), 0);
	/* Processor State After Reset: a machine check's registers survive INIT. */
	vitro_set_msr(vcpu, MSR_IA32_MCx_ADDR(1), 0x5000, HOST);
	vitro_vcpu_reset(vcpu, true);
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MSR_IA32_MCx_ADDR(1), &value, GUEST), 0);
	KUNIT_EXPECT_EQ(test, value, 0x5000ULL);
}

static void reset(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 value;

	vitro_set_msr(vcpu, MSR_IA32_CR_PAT, 0, GUEST);
	vitro_set_msr(vcpu, MSR_MTRRdefType, 0xc06, GUEST);
	vitro_set_msr(vcpu, MTRRphysBase_MSR(3), 6, GUEST);
	vitro_msr_reset(vcpu);
	/* SDM, Processor State After Reset: PAT; MTRRs are off */
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MSR_IA32_CR_PAT, &value, GUEST), 0);
	KUNIT_EXPECT_EQ(test, value, 0x0007040600070406ULL);
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MSR_MTRRdefType, &value, GUEST), 0);
	KUNIT_EXPECT_EQ(test, value, 0ULL);
	KUNIT_EXPECT_EQ(test, vitro_get_msr(vcpu, MTRRphysBase_MSR(3), &value, GUEST), 0);
	KUNIT_EXPECT_EQ(test, value, 0ULL);
}

static void sleeping_writes(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, vitro_msr_write_sleeps(MSR_KVM_WALL_CLOCK));
	KUNIT_EXPECT_TRUE(test, vitro_msr_write_sleeps(MSR_KVM_SYSTEM_TIME_NEW));
	KUNIT_EXPECT_FALSE(test, vitro_msr_write_sleeps(MSR_IA32_TSC_DEADLINE));
	KUNIT_EXPECT_FALSE(test, vitro_msr_write_sleeps(MSR_EFER));
}

static struct kunit_case msr_cases[] = {
	KUNIT_CASE_PARAM(msr, msrs_gen_params),
	KUNIT_CASE(unknown),
	KUNIT_CASE(tsc),
	KUNIT_CASE(machine_check_banks),
	KUNIT_CASE(reset),
	KUNIT_CASE(sleeping_writes),
	{}
};

TEST_SUITE(msr, test_init_vcpu);
