// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID: what is offered, what follows from what a guest is given, and the
 * instruction.
 */
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>
#include <asm/processor-flags.h>

#include "../cpuid.h"
#include "../xstate.h"
#include "fake_backend.h"
#include "fixture.h"

enum { A, B, C, D };

#define INDEXED	KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static u32 reg_of(const struct kvm_cpuid_entry2 *e, int reg)
{
	return reg == A ? e->eax : reg == B ? e->ebx : reg == C ? e->ecx : e->edx;
}

static const struct filter_case {
	const char *name;
	u32 function, index;
	int reg;
	u32 clear;		/* never offered */
	u32 set;		/* always offered */
	u32 synthetic;		/* not the host's to say */
} filters[] = {
	{ "1.ECX: no VMX, SMX, MONITOR, PDCM, OSXSAVE", 1, 0, C,
	  BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(15) | BIT(18) |
	  BIT(27), BIT(21) | BIT(31), BIT(21) | BIT(31) },
	{ "1.EDX: no DS, ACPI, HT, TM, PBE", 1, 0, D,
	  BIT(18) | BIT(21) | BIT(22) | BIT(28) | BIT(29) | BIT(31), BIT(4) | BIT(5) | BIT(9), 0 },
	{ "1.EBX: no APIC ID of the host", 1, 0, B, 0xffff00ff, 0, 0 },
	{ "6.EAX: only ARAT", 6, 0, A, ~4U, 4, 4 },
	{ "7.EBX: no SGX, TSX, MPX, PQM, RDT, PT", 7, 0, B,
	  BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) | BIT(25), BIT(1), BIT(1) },
	{ "7.ECX: no PKU, WAITPKG, SHSTK, LA57, ENQCMD", 7, 0, C,
	  BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(13) | BIT(16) | BIT(29) | BIT(30) | BIT(31),
	  0, 0 },
	{ "7.EDX: no UINTR, PCONFIG, LBR, IBT, AMX", 7, 0, D,
	  BIT(5) | BIT(15) | BIT(18) | BIT(19) | BIT(20) | BIT(22) | BIT(24) | BIT(25), 0, 0 },
	{ "7.EAX: at most subleaf 1", 7, 0, A, ~1U, 0, 0 },
	{ "0xd.1.EAX: no XSAVES, no XFD", 0xd, 1, A, ~7U, 0, 0 },
	{ "0xd.1.ECX: no supervisor states", 0xd, 1, C, ~0U, 0, 0 },
	{ "0x80000001.ECX: no SVM, IBS, SKINIT, LWP, counters, MWAITX", 0x80000001, 0, C,
	  BIT(2) | BIT(3) | BIT(10) | BIT(12) | BIT(13) | BIT(15) | BIT(22) | BIT(23) | BIT(24) |
	  BIT(28) | BIT(29), 0, 0 },
	{ "0x80000001.EDX", 0x80000001, 0, D, BIT(10) | BIT(18) | BIT(19) | BIT(21) | BIT(28),
	  BIT(29), 0 },
	{ "0x80000007.EDX: only the invariant TSC", 0x80000007, 0, D, (u32)~BIT(8), 0, 0 },
	{ "0x80000007.EAX", 0x80000007, 0, A, ~0U, 0, 0 },
	{ "0x80000008.EBX: no RDPRU, WBNOINVD, INVLPGB", 0x80000008, 0, B,
	  BIT(3) | BIT(4) | BIT(8) | BIT(9), 0, 0 },
	{ "0x80000008.ECX: no core count of the host", 0x80000008, 0, C, ~0U, 0, 0 },
	{ "0x40000001: clock, no I/O delay, steal time, PV EOI and IPIs", 0x40000001, 0, A, ~0x1000aebU,
	  0x1000aeb, ~0U },
};
TEST_PARAMS(filters);

static void offered(struct kunit *test)
{
	const struct filter_case *p = test->param_value;
	struct kvm_cpuid_entry2 *list, host = {};
	u32 nent, i, value;
	bool found = false;

	list = vitro_build_supported_cpuid(&nent);
	KUNIT_ASSERT_NOT_NULL(test, list);
	cpuid_count(p->function, p->index, &host.eax, &host.ebx, &host.ecx, &host.edx);
	for (i = 0; i < nent; i++) {
		if (list[i].function != p->function || list[i].index != p->index)
			continue;
		KUNIT_EXPECT_FALSE(test, found);
		found = true;
		value = reg_of(&list[i], p->reg);
		KUNIT_EXPECT_EQ(test, value & p->clear, 0U);
		KUNIT_EXPECT_EQ(test, value & p->set, p->set);
		/* Nothing that this processor lacks. */
		KUNIT_EXPECT_EQ(test, value & ~p->synthetic & ~reg_of(&host, p->reg), 0U);
	}
	/* A processor that ends before a leaf is not given it. */
	if (p->function < 0x40000000 ? p->function <= cpuid_eax(0) :
				       p->function <= max(cpuid_eax(0x80000000), 0x40000001U))
		KUNIT_EXPECT_TRUE(test, found || p->function == 0xd);
	kvfree(list);
}

static void offered_addresses(struct kunit *test)
{
	struct kvm_cpuid_entry2 *list;
	u32 nent, i, j;

	list = vitro_build_supported_cpuid(&nent);
	KUNIT_ASSERT_NOT_NULL(test, list);
	KUNIT_EXPECT_LE(test, nent, (u32)VITRO_MAX_CPUID);
	for (i = 0; i < nent; i++) {
		if (list[i].function == 0x80000008) {
			/* What four levels of nested paging reach. */
			KUNIT_EXPECT_LE(test, list[i].eax & 0xff, 48U);
			KUNIT_EXPECT_EQ(test, list[i].eax >> 8, 48U);
		}
		if (!list[i].function)
			KUNIT_EXPECT_LE(test, list[i].eax, 0xdU);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_FALSE(test, list[i].function == list[j].function &&
						 list[i].index == list[j].index);
		/* What has no subleaves must not be found by index. */
		if (list[i].index)
			KUNIT_EXPECT_EQ(test, list[i].flags, (u32)INDEXED);
	}
	kvfree(list);
}

static int give(struct kunit *test, const struct kvm_cpuid_entry2 *entries, u32 nent)
{
	struct kvm_cpuid2 head = { .nent = nent };
	struct test_env *env = test->priv;
	unsigned long hva = env->nr_maps ? env->map[0].hva : test_map(test, 4 * PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, copy_to_user((void __user *)hva, entries,
					   min(nent, 256U) * sizeof(*entries)), 0UL);
	return vitro_set_cpuid(env->vcpu, &head, (void __user *)hva);
}

static const struct feature_case {
	const char *name;
	struct kvm_cpuid_entry2 entry;
	u32 features;
} features[] = {
	{ "nothing", { 1, 0, 0, 0, 0, 0, 0 }, 0 },
	{ "SSE3", { .function = 1, .ecx = BIT(0) }, VITRO_GF_SSE3 },
	{ "MWAIT", { .function = 1, .ecx = BIT(3) }, VITRO_GF_MWAIT },
	{ "PCID", { .function = 1, .ecx = BIT(17) }, VITRO_GF_PCID },
	{ "x2APIC", { .function = 1, .ecx = BIT(21) }, VITRO_GF_X2APIC },
	{ "TSC deadline", { .function = 1, .ecx = BIT(24) }, VITRO_GF_TSC_DEADLINE },
	{ "XSAVE", { .function = 1, .ecx = BIT(26) }, VITRO_GF_XSAVE },
	{ "TSC_ADJUST", { .function = 7, .flags = INDEXED, .ebx = BIT(1) }, VITRO_GF_TSC_ADJUST },
	{ "INVPCID", { .function = 7, .flags = INDEXED, .ebx = BIT(10) }, VITRO_GF_INVPCID },
	{ "UMIP", { .function = 7, .flags = INDEXED, .ecx = BIT(2) }, VITRO_GF_UMIP },
	{ "RDPID", { .function = 7, .flags = INDEXED, .ecx = BIT(22) }, VITRO_GF_RDPID },
	{ "SPEC_CTRL", { .function = 7, .flags = INDEXED, .edx = BIT(26) },
	  VITRO_GF_SPEC_CTRL | VITRO_GF_PRED_CMD },
	{ "FLUSH_L1D", { .function = 7, .flags = INDEXED, .edx = BIT(28) }, VITRO_GF_FLUSH_CMD },
	{ "ARCH_CAPABILITIES", { .function = 7, .flags = INDEXED, .edx = BIT(29) },
	  VITRO_GF_ARCH_CAP },
	{ "SSBD", { .function = 7, .flags = INDEXED, .edx = BIT(31) }, VITRO_GF_SPEC_CTRL },
	{ "another subleaf of 7", { .function = 7, .index = 1, .flags = INDEXED, .edx = ~0 }, 0 },
	{ "SYSCALL", { .function = 0x80000001, .edx = BIT(11) }, VITRO_GF_SYSCALL },
	{ "NX", { .function = 0x80000001, .edx = BIT(20) }, VITRO_GF_NX },
	{ "GiB pages", { .function = 0x80000001, .edx = BIT(26) }, VITRO_GF_GBPAGES },
	{ "RDTSCP", { .function = 0x80000001, .edx = BIT(27) }, VITRO_GF_RDTSCP },
	{ "long mode", { .function = 0x80000001, .edx = BIT(29) }, VITRO_GF_LM },
	{ "IBPB", { .function = 0x80000008, .ebx = BIT(12) }, VITRO_GF_PRED_CMD },
	{ "IBRS", { .function = 0x80000008, .ebx = BIT(14) }, VITRO_GF_SPEC_CTRL },
	{ "AMD", { .function = 0, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65 },
	  VITRO_GF_AMD },
	{ "Hygon", { .function = 0, .ebx = 0x6f677948 }, VITRO_GF_AMD },
	{ "Intel", { .function = 0, .ebx = 0x756e6547 }, 0 },
};
TEST_PARAMS(features);

static void feature(struct kunit *test)
{
	const struct feature_case *p = test->param_value;

	KUNIT_ASSERT_EQ(test, give(test, &p->entry, 1), 0);
	KUNIT_EXPECT_EQ(test, test_vcpu(test)->guest_features, p->features);
}

static const struct control_case {
	const char *name;
	struct kvm_cpuid_entry2 entry;
	u64 cr4, efer;
	u16 host;
} controls[] = {
	{ "PCIDE", { .function = 1, .ecx = BIT(17) }, X86_CR4_PCIDE, 0, X86_FEATURE_PCID },
	{ "OSXSAVE", { .function = 1, .ecx = BIT(26) }, X86_CR4_OSXSAVE, 0, X86_FEATURE_OSXSAVE },
	{ "FSGSBASE", { .function = 7, .ebx = BIT(0) }, X86_CR4_FSGSBASE, 0,
	  X86_FEATURE_FSGSBASE },
	{ "SMEP", { .function = 7, .ebx = BIT(7) }, X86_CR4_SMEP, 0, X86_FEATURE_SMEP },
	{ "SMAP", { .function = 7, .ebx = BIT(20) }, X86_CR4_SMAP, 0, X86_FEATURE_SMAP },
	{ "UMIP", { .function = 7, .ecx = BIT(2) }, X86_CR4_UMIP, 0, X86_FEATURE_FPU },
	{ "NX", { .function = 0x80000001, .edx = BIT(20) }, 0, EFER_NX, X86_FEATURE_NX },
	{ "LM", { .function = 0x80000001, .edx = BIT(29) }, 0, EFER_LME | EFER_LMA | EFER_SCE,
	  X86_FEATURE_LM },
	{ "SYSCALL", { .function = 0x80000001, .edx = BIT(11) }, 0, EFER_SCE, X86_FEATURE_LM },
};
TEST_PARAMS(controls);

static void control_bits(struct kunit *test)
{
	const struct control_case *p = test->param_value;
	struct kvm_cpuid_entry2 none = { .function = p->entry.function };
	struct vitro_vcpu *vcpu = test_vcpu(test);
	bool host = boot_cpu_has(p->host);

	KUNIT_ASSERT_EQ(test, give(test, &p->entry, 1), 0);
	KUNIT_EXPECT_EQ(test, vcpu->cr4_reserved & p->cr4, host ? 0 : p->cr4);
	KUNIT_EXPECT_EQ(test, vcpu->efer_reserved & p->efer, host ? 0 : p->efer);
	/* Not offered: reserved, whatever the host can do. */
	KUNIT_ASSERT_EQ(test, give(test, &none, 1), 0);
	KUNIT_EXPECT_EQ(test, vcpu->cr4_reserved & p->cr4, p->cr4);
	KUNIT_EXPECT_EQ(test, vcpu->efer_reserved & p->efer, p->efer);
	/* Never: VMXE, LA57, PKE, CET; SVME. */
	KUNIT_EXPECT_EQ(test, ~vcpu->cr4_reserved &
			      (BIT(13) | BIT(14) | BIT(12) | BIT(22) | BIT(23)), 0ULL);
	KUNIT_EXPECT_EQ(test, ~vcpu->efer_reserved & EFER_SVME, 0ULL);
}

static const struct width_case {
	const char *name;
	u32 eax;
	u8 width;
} widths[] = {
	{ "36", 0x3024, 36 }, { "40", 0x3028, 40 }, { "52", 0x3034, 52 },
	{ "too small", 0x3010, 32 }, { "0", 0, 32 }, { "too large", 0x30ff, 52 },
};
TEST_PARAMS(widths);

static void address_width(struct kunit *test)
{
	const struct width_case *p = test->param_value;
	struct kvm_cpuid_entry2 entry = { .function = 0x80000008, .eax = p->eax };

	KUNIT_ASSERT_EQ(test, give(test, &entry, 1), 0);
	KUNIT_EXPECT_EQ(test, test_vcpu(test)->maxphyaddr, p->width);
}

static void xcr0_mask(struct kunit *test)
{
	struct kvm_cpuid_entry2 entry = { .function = 0xd, .flags = INDEXED, .eax = ~0, .edx = ~0 };
	struct vitro_vcpu *vcpu = test_vcpu(test);

	KUNIT_ASSERT_EQ(test, give(test, &entry, 1), 0);
	KUNIT_EXPECT_EQ(test, vcpu->guest_xcr0_mask & ~vitro_guest_xcr0,
			vitro_guest_xcr0 ? 0ULL : 1ULL);
	entry.eax = 0;
	entry.edx = 0;
	KUNIT_ASSERT_EQ(test, give(test, &entry, 1), 0);
	KUNIT_EXPECT_EQ(test, vcpu->guest_xcr0_mask, 1ULL);
}

static void execute(struct kunit *test, u32 function, u32 index, const u32 *is)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	/* The upper halves do not count, and are cleared. */
	vcpu->gpr[VITRO_RAX] = function | BIT_ULL(40);
	vcpu->gpr[VITRO_RCX] = index | BIT_ULL(41);
	vcpu->gpr[VITRO_RBX] = ~0ULL;
	vcpu->gpr[VITRO_RDX] = ~0ULL;
	vitro_cpuid_execute(vcpu);
	KUNIT_EXPECT_EQ(test, vcpu->gpr[VITRO_RAX], (u64)is[A]);
	KUNIT_EXPECT_EQ(test, vcpu->gpr[VITRO_RBX], (u64)is[B]);
	KUNIT_EXPECT_EQ(test, vcpu->gpr[VITRO_RCX], (u64)is[C]);
	KUNIT_EXPECT_EQ(test, vcpu->gpr[VITRO_RDX], (u64)is[D]);
}

static const struct leaf_case {
	const char *name;
	bool amd;
	u32 function, index;
	u32 is[4];
} leaves[] = {
	{ "plain", false, 2, 0, { 0x21, 0x22, 0x23, 0x24 } },
	{ "plain, whatever the index", false, 2, 9, { 0x21, 0x22, 0x23, 0x24 } },
	{ "subleaf 0", false, 4, 0, { 0x41, 0, 0, 0 } },
	{ "subleaf 1", false, 4, 1, { 0x42, 0, 0, 0 } },
	{ "no such subleaf", false, 4, 2, { 0, 0, 0, 0 } },
	{ "hole", false, 3, 0, { 0, 0, 0, 0 } },
	{ "Intel beyond the basic leaves", false, 6, 1, { 0x52, 0, 0, 0 } },
	{ "Intel far beyond", false, 0x12345678, 0, { 0x51, 0, 0, 0 } },
	{ "AMD beyond the basic leaves", true, 6, 1, { 0, 0, 0, 0 } },
	{ "extended", false, 0x80000001, 0, { 0x81, 0, 0, 0 } },
	{ "Intel beyond the extended leaves", false, 0x80000005, 0, { 0x51, 0, 0, 0 } },
	{ "AMD beyond the extended leaves", true, 0x80000005, 0, { 0, 0, 0, 0 } },
	{ "hypervisor", false, 0x40000000, 0, { 0x40000001, 0, 0, 0 } },
	{ "hypervisor, hole in its range", false, 0x40000001, 0, { 0, 0, 0, 0 } },
	{ "hypervisor, beyond its range", false, 0x40000002, 0, { 0x51, 0, 0, 0 } },
	{ "AMD, topology that is not given", true, 0xb, 7, { 0, 0, 0, 0 } },
};
TEST_PARAMS(leaves);

static void leaf(struct kunit *test)
{
	const struct leaf_case *p = test->param_value;
	struct kvm_cpuid_entry2 entries[] = {
		{ .function = 0, .eax = 5, .ebx = p->amd ? 0x68747541 : 0x756e6547 },
		{ .function = 2, .eax = 0x21, .ebx = 0x22, .ecx = 0x23, .edx = 0x24 },
		{ .function = 4, .index = 0, .flags = INDEXED, .eax = 0x41 },
		{ .function = 4, .index = 1, .flags = INDEXED, .eax = 0x42 },
		{ .function = 5, .index = 0, .flags = INDEXED, .eax = 0x51 },
		{ .function = 5, .index = 1, .flags = INDEXED, .eax = 0x52 },
		{ .function = 0x40000000, .eax = 0x40000001 },
		{ .function = 0x80000000, .eax = 0x80000001 },
		{ .function = 0x80000001, .eax = 0x81 },
	};

	KUNIT_ASSERT_EQ(test, give(test, entries, ARRAY_SIZE(entries)), 0);
	execute(test, p->function, p->index, p->is);
}

static void runtime_bits(struct kunit *test)
{
	struct kvm_cpuid_entry2 entry = { .function = 1, .ecx = BIT(26), .edx = BIT(9) };
	struct vitro_vcpu *vcpu = test_vcpu(test);

	KUNIT_ASSERT_EQ(test, give(test, &entry, 1), 0);
	execute(test, 1, 0, (u32[]) { 0, 0, BIT(26), BIT(9) });
	vcpu->cr4 |= X86_CR4_OSXSAVE;
	vcpu->msrs.apic_base &= ~(u64)MSR_IA32_APICBASE_ENABLE;
	vitro_cpuid_runtime(vcpu);
	execute(test, 1, 0, (u32[]) { 0, 0, BIT(26) | BIT(27), 0 });
}

static void fixed_once_run(struct kunit *test)
{
	struct kvm_cpuid_entry2 entry = { .function = 1, .eax = 0x600, .ecx = BIT(21) };
	struct kvm_cpuid2 head = { .nent = 257 };
	struct vitro_vcpu *vcpu = test_vcpu(test);

	KUNIT_ASSERT_EQ(test, give(test, &entry, 1), 0);
	KUNIT_EXPECT_EQ(test, vitro_set_cpuid(vcpu, &head, NULL), -E2BIG);
	head.nent = 1;
	KUNIT_EXPECT_EQ(test, vitro_set_cpuid(vcpu, &head, (void __user *)8), -EFAULT);
	KUNIT_EXPECT_EQ(test, vitro_cpuid_signature(vcpu), 0x600U);
	vcpu->has_run = true;
	/* The same again is fine; the bit that follows the APIC may differ. */
	KUNIT_EXPECT_EQ(test, give(test, &entry, 1), 0);
	entry.edx = BIT(9);
	KUNIT_EXPECT_EQ(test, give(test, &entry, 1), 0);
	entry.eax = 0x601;
	KUNIT_EXPECT_EQ(test, give(test, &entry, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, vitro_cpuid_signature(vcpu), 0x600U);
	KUNIT_EXPECT_EQ(test, give(test, &entry, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, vcpu->guest_features, (u32)VITRO_GF_X2APIC);
}

static struct kunit_case cpuid_cases[] = {
	KUNIT_CASE_PARAM(offered, filters_gen_params),
	KUNIT_CASE(offered_addresses),
	KUNIT_CASE_PARAM(feature, features_gen_params),
	KUNIT_CASE_PARAM(control_bits, controls_gen_params),
	KUNIT_CASE_PARAM(address_width, widths_gen_params),
	KUNIT_CASE(xcr0_mask),
	KUNIT_CASE_PARAM(leaf, leaves_gen_params),
	KUNIT_CASE(runtime_bits),
	KUNIT_CASE(fixed_once_run),
	{}
};

TEST_SUITE(cpuid, test_init_vcpu);
