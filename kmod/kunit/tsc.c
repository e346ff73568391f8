// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ratios of the guest's TSC to the host's (SDM, Offsetting and Scaling of the TSC; APM, TSC
 * Ratio MSR).
 */
#include <asm/tsc.h>

#include "../svm/svm.h"
#include "../tsc.h"
#include "../vmx/vmx.h"
#include "fixture.h"

#define SVM_BITS	32
#define SVM_MAX		(BIT_ULL(40) - 1)
#define VMX_BITS	48

static const struct ratio_case {
	const char *name;
	u32 khz, host_khz;
	unsigned int bits;
	u64 ratio;
} ratios[] = {
	{ "SVM, the same", 3000000, 3000000, SVM_BITS, BIT_ULL(32) },
	{ "SVM, half", 1500000, 3000000, SVM_BITS, BIT_ULL(31) },
	{ "SVM, 3/4", 2250000, 3000000, SVM_BITS, 3ULL << 30 },
	{ "SVM, double", 6000000, 3000000, SVM_BITS, BIT_ULL(33) },
	{ "SVM, 255 times", 255, 1, SVM_BITS, 255ULL << 32 },
	{ "SVM, rounded down", 1, 3000000, SVM_BITS, 1431 },
	{ "SVM, too small", 1, U32_MAX, SVM_BITS, 1 },
	{ "VMX, the same", 2400000, 2400000, VMX_BITS, BIT_ULL(48) },
	{ "VMX, half", 1200000, 2400000, VMX_BITS, BIT_ULL(47) },
	{ "VMX, 3/4", 1800000, 2400000, VMX_BITS, 3ULL << 46 },
	{ "VMX, double", 4800000, 2400000, VMX_BITS, BIT_ULL(49) },
	{ "VMX, rounded down", 1, 3, VMX_BITS, 0x555555555555 },
	{ "VMX, 65535 times", 65535, 1, VMX_BITS, 65535ULL << 48 },
	{ "VMX, 65536 times", 65536, 1, VMX_BITS, 0 },
	{ "VMX, the largest", U32_MAX, 65536, VMX_BITS, 0xffffffffULL << 32 },
	{ "VMX, beyond", U32_MAX, 65535, VMX_BITS, 0 },
	{ "no frequency", 0, 3000000, VMX_BITS, 0 },
	{ "no host's frequency", 1000, 0, VMX_BITS, 0 },
};
TEST_PARAMS(ratios);

static void ratio(struct kunit *test)
{
	const struct ratio_case *p = test->param_value;

	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio(p->khz, p->host_khz, p->bits), p->ratio);
}

static void use_svm(void)
{
	vitro_caps.tsc_ratio_bits = SVM_BITS;
	vitro_caps.tsc_ratio_max = SVM_MAX;
}

static void use_vmx(void)
{
	vitro_caps.tsc_ratio_bits = VMX_BITS;
	vitro_caps.tsc_ratio_max = U64_MAX;
}

static void asked_for(struct kunit *test)
{
	u64 ratio = 5, khz = tsc_khz;

	vitro_caps.tsc_ratio_bits = 0;
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(khz / 2, &ratio), -EINVAL);
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(0, &ratio), 0);
	KUNIT_EXPECT_EQ(test, ratio, 0ULL);
	use_svm();
	/* 250 ppm, and not more */
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(khz + khz / 4000, &ratio), 0);
	KUNIT_EXPECT_EQ(test, ratio, 0ULL);
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(khz - khz / 4000, &ratio), 0);
	KUNIT_EXPECT_EQ(test, ratio, 0ULL);
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(khz + khz / 4000 + 1, &ratio), 0);
	KUNIT_EXPECT_GT(test, ratio, BIT_ULL(32));
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(khz - khz / 4000 - 1, &ratio), 0);
	KUNIT_EXPECT_LT(test, ratio, BIT_ULL(32));
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(khz * 2, &ratio), 0);
	KUNIT_EXPECT_EQ(test, ratio, BIT_ULL(33));
	/* What the register holds */
	if (khz * 256 <= INT_MAX) {
		KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(khz * 255, &ratio), 0);
		KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(khz * 256, &ratio), -EINVAL);
	}
	use_vmx();
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(1ULL << 31, &ratio), -EINVAL);
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(1ULL << 32 | khz, &ratio), -EINVAL);
	KUNIT_EXPECT_EQ(test, vitro_tsc_ratio_for(ULONG_MAX, &ratio), -EINVAL);
	vitro_caps.tsc_ratio_bits = 0;
}

/* The fewest of the host's ticks in which the guest's TSC advances by so many. */
static void both_ways(struct kunit *test)
{
	static const u64 ratios[] = { 1, 3, 1431, BIT_ULL(31), 3ULL << 30, BIT_ULL(32), SVM_MAX };
	static const u64 values[] = { 0, 1, 2, 3, 1000, 999999937, BIT_ULL(40) + 1, BIT_ULL(60) };
	struct vitro_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);
	u64 back;
	int i, j;

	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	use_svm();
	for (j = 0; j < ARRAY_SIZE(values); j++) {
		vcpu->tsc_ratio = 0;
		KUNIT_EXPECT_EQ(test, vitro_tsc_scale(vcpu, values[j]), values[j]);
		KUNIT_EXPECT_EQ(test, vitro_tsc_unscale(vcpu, values[j]), values[j]);
		for (i = 0; i < ARRAY_SIZE(ratios); i++) {
			vcpu->tsc_ratio = ratios[i];
			back = vitro_tsc_unscale(vcpu, values[j]);
			if (back == S64_MAX) {
				KUNIT_EXPECT_LT(test, vitro_tsc_scale(vcpu, BIT_ULL(62) - 1),
						values[j]);
				continue;
			}
			KUNIT_EXPECT_GE(test, vitro_tsc_scale(vcpu, back), values[j]);
			if (back)
				KUNIT_EXPECT_LT(test, vitro_tsc_scale(vcpu, back - 1), values[j]);
		}
	}
	/* Where the quotient does not fit */
	KUNIT_EXPECT_EQ(test, vitro_tsc_divide(U64_MAX, 1, VMX_BITS), (u64)S64_MAX);
	KUNIT_EXPECT_EQ(test, vitro_tsc_divide(U64_MAX, BIT_ULL(VMX_BITS), VMX_BITS), (u64)S64_MAX);
	KUNIT_EXPECT_EQ(test, vitro_tsc_divide(U64_MAX, U64_MAX, VMX_BITS), BIT_ULL(48));
	KUNIT_EXPECT_EQ(test, vitro_tsc_divide(0, 1, VMX_BITS), 0ULL);
	vitro_caps.tsc_ratio_bits = 0;
}

static void svm_register(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, SVM_TSC_RATIO_BITS, SVM_BITS);
	KUNIT_EXPECT_EQ(test, svm_tsc_ratio_msr(0), BIT_ULL(32));
	KUNIT_EXPECT_EQ(test, svm_tsc_ratio_msr(BIT_ULL(31)), BIT_ULL(31));
	/* Bits 63 to 40 are reserved. */
	KUNIT_EXPECT_EQ(test, SVM_TSC_RATIO_MAX, SVM_MAX);
}

static void vmx_fields(struct kunit *test)
{
	struct vitro_vmx *vmx = kunit_kzalloc(test, sizeof(*vmx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vmx);
	vmx_config.may[VMX_CPU2] = SECONDARY_EXEC_TSC_SCALING;
	vmx_config.base[VMX_CPU2] = 0;
	vmx->vcpu.tsc_ratio = 3ULL << 47;
	vitro_vmx_backend.write_tsc_ratio(&vmx->vcpu);
	KUNIT_EXPECT_EQ(test, vmcs_read(TSC_MULTIPLIER), 3ULL << 47);
	KUNIT_EXPECT_EQ(test, vmcs_read(SECONDARY_VM_EXEC_CONTROL),
			(u64)SECONDARY_EXEC_TSC_SCALING);
	vmx->vcpu.tsc_ratio = 0;
	vitro_vmx_backend.write_tsc_ratio(&vmx->vcpu);
	KUNIT_EXPECT_EQ(test, vmcs_read(SECONDARY_VM_EXEC_CONTROL), 0ULL);
}

static struct kunit_case tsc_cases[] = {
	KUNIT_CASE_PARAM(ratio, ratios_gen_params),
	KUNIT_CASE(asked_for),
	KUNIT_CASE(both_ways),
	KUNIT_CASE(svm_register),
	KUNIT_CASE(vmx_fields),
	{}
};

TEST_BARE_SUITE(tsc, NULL);
