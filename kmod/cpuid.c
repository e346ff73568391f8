// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_GET_SUPPORTED_CPUID: what the processor has, the kernel uses, and vitro
 * can virtualize.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

#include "backend.h"
#include "compat.h"
#include "cpuid.h"
#include "steal.h"
#include "xstate.h"

#define BIT_OF(feature)		BIT(X86_FEATURE_##feature & 31)

/* Leaf 1 */
#define LEAF_1_ECX							\
	(BIT_OF(XMM3) | BIT_OF(PCLMULQDQ) | BIT_OF(SSSE3) | BIT_OF(FMA) | BIT_OF(CX16) | \
	 BIT_OF(PCID) | BIT_OF(XMM4_1) | BIT_OF(XMM4_2) | BIT_OF(MOVBE) | BIT_OF(POPCNT) | \
	 BIT_OF(AES) | BIT_OF(XSAVE) | BIT_OF(AVX) | BIT_OF(F16C) | BIT_OF(RDRAND))
#define LEAF_1_EDX							\
	(BIT_OF(FPU) | BIT_OF(VME) | BIT_OF(DE) | BIT_OF(PSE) | BIT_OF(TSC) | BIT_OF(MSR) | \
	 BIT_OF(PAE) | BIT_OF(MCE) | BIT_OF(CX8) | BIT_OF(APIC) | BIT_OF(SEP) | BIT_OF(MTRR) | \
	 BIT_OF(PGE) | BIT_OF(MCA) | BIT_OF(CMOV) | BIT_OF(PAT) | BIT_OF(PSE36) | \
	 BIT_OF(CLFLUSH) | BIT_OF(MMX) | BIT_OF(FXSR) | BIT_OF(XMM) | BIT_OF(XMM2) | \
	 BIT_OF(SELFSNOOP))

/* Leaf 7, subleaves 0 and 1 */
#define LEAF_7_EBX							\
	(BIT_OF(FSGSBASE) | BIT_OF(BMI1) | BIT_OF(AVX2) | BIT_OF(SMEP) | BIT_OF(BMI2) | \
	 BIT_OF(ERMS) | BIT_OF(RDSEED) | BIT_OF(ADX) | BIT_OF(SMAP) | BIT_OF(CLFLUSHOPT) | \
	 BIT_OF(CLWB) | BIT_OF(SHA_NI))
#define LEAF_7_EBX_AVX512						\
	(BIT_OF(AVX512F) | BIT_OF(AVX512DQ) | BIT_OF(AVX512IFMA) | BIT_OF(AVX512PF) | \
	 BIT_OF(AVX512ER) | BIT_OF(AVX512CD) | BIT_OF(AVX512BW) | BIT_OF(AVX512VL))
#define LEAF_7_ECX							\
	(BIT_OF(GFNI) | BIT_OF(VAES) | BIT_OF(VPCLMULQDQ) | BIT_OF(CLDEMOTE) | \
	 BIT_OF(MOVDIRI) | BIT_OF(MOVDIR64B))
#define LEAF_7_ECX_AVX512						\
	(BIT_OF(AVX512VBMI) | BIT_OF(AVX512_VBMI2) | BIT_OF(AVX512_VNNI) | \
	 BIT_OF(AVX512_BITALG) | BIT_OF(AVX512_VPOPCNTDQ))
#define LEAF_7_EDX							\
	(BIT_OF(FSRM) | BIT_OF(MD_CLEAR) | BIT_OF(SERIALIZE) | BIT_OF(SPEC_CTRL) | \
	 BIT_OF(INTEL_STIBP) | BIT_OF(ARCH_CAPABILITIES) | BIT_OF(SPEC_CTRL_SSBD) | \
	 BIT_OF(FLUSH_L1D))
#define LEAF_7_1_EAX		BIT_OF(AVX_VNNI)
#define LEAF_7_1_EAX_AVX512	BIT_OF(AVX512_BF16)

/* Leaf 0xd, subleaf 1 */
#define LEAF_D_1_EAX		(BIT_OF(XSAVEOPT) | BIT_OF(XSAVEC) | BIT_OF(XGETBV1))

/* Leaves 0x80000001 and 0x80000008 */
#define LEAF_EXT_1_ECX							\
	(BIT_OF(LAHF_LM) | BIT_OF(CR8_LEGACY) | BIT_OF(ABM) | BIT_OF(SSE4A) | \
	 BIT_OF(MISALIGNSSE) | BIT_OF(3DNOWPREFETCH) | BIT_OF(XOP) | BIT_OF(FMA4) | BIT_OF(TBM))
#define LEAF_EXT_1_EDX							\
	(BIT_OF(SYSCALL) | BIT_OF(NX) | BIT_OF(MMXEXT) | BIT_OF(FXSR_OPT) | BIT_OF(GBPAGES) | \
	 BIT_OF(LM) | BIT_OF(3DNOWEXT) | BIT_OF(3DNOW))
/* On AMD, leaf 0x80000001 repeats these bits of leaf 1. */
#define LEAF_EXT_1_EDX_SHARED	0x0183f3ffU
#define LEAF_EXT_8_EBX							\
	(BIT_OF(CLZERO) | BIT_OF(XSAVEERPTR) | BIT_OF(AMD_IBPB) | BIT_OF(AMD_IBRS) | \
	 BIT_OF(AMD_STIBP) | BIT_OF(AMD_SSBD))
#define INVARIANT_TSC		BIT(8)	/* leaf 0x80000007, EDX */

#define KVM_LEAF		KVM_CPUID_SIGNATURE
#define KVM_LEAF_FEATURES						\
	(BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |	\
	 BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_PV_EOI) |	\
	 BIT(KVM_FEATURE_PV_UNHALT) | BIT(KVM_FEATURE_PV_SEND_IPI) |	\
	 BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT))

/* What the processor says, and the kernel has not disabled. */
static u32 host(u32 value, enum cpuid_leafs word)
{
	return value & boot_cpu_data.x86_capability[word];
}

struct builder {
	struct kvm_cpuid_entry2 *entries;
	u32 nent;
};

static struct kvm_cpuid_entry2 *add(struct builder *b, u32 function, u32 index, u32 flags)
{
	struct kvm_cpuid_entry2 *e;

	if (b->nent == VITRO_MAX_CPUID)
		return NULL;
	e = &b->entries[b->nent++];
	e->function = function;
	e->index = index;
	e->flags = flags;
	cpuid_count(function, index, &e->eax, &e->ebx, &e->ecx, &e->edx);
	return e;
}

static void leaf_1(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add(b, 1, 0, 0);

	/* APIC id, logical processors: user space fills them in. */
	e->ebx &= 0xff00;
	e->ecx = host(e->ecx, CPUID_1_ECX) & LEAF_1_ECX;
	e->ecx |= BIT_OF(X2APIC) | BIT_OF(HYPERVISOR);
	if (!vitro_caps.has_invpcid)
		e->ecx &= ~BIT_OF(PCID);
	e->edx = host(e->edx, CPUID_1_EDX) & LEAF_1_EDX;
}

static void leaf_7(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add(b, 7, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	bool avx512 = vitro_guest_xcr0 & XFEATURE_MASK_ZMM_Hi256;
	u32 subleaves = min_t(u32, e->eax, 1);

	e->eax = subleaves;
	e->ebx = host(e->ebx, CPUID_7_0_EBX) &
		 (LEAF_7_EBX | (avx512 ? LEAF_7_EBX_AVX512 : 0) |
		  (vitro_caps.has_invpcid ? BIT_OF(INVPCID) : 0));
	e->ebx |= BIT_OF(TSC_ADJUST);
	e->ecx = host(e->ecx, CPUID_7_ECX) &
		 (LEAF_7_ECX | (avx512 ? LEAF_7_ECX_AVX512 : 0) |
		  (vitro_caps.has_umip ? BIT_OF(UMIP) : 0) |
		  (vitro_caps.has_rdtscp ? BIT_OF(RDPID) : 0));
	e->edx = host(e->edx, CPUID_7_EDX) & LEAF_7_EDX;
	if (!subleaves)
		return;
	e = add(b, 7, 1, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	e->eax = host(e->eax, CPUID_7_1_EAX) &
		 (LEAF_7_1_EAX | (avx512 ? LEAF_7_1_EAX_AVX512 : 0));
	e->ebx = 0;
	e->ecx = 0;
	e->edx = 0;
}

static void leaf_xsave(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add(b, 0xd, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	int i;

	e->eax = vitro_guest_xcr0;
	e->edx = vitro_guest_xcr0 >> 32;
	e->ecx = vitro_xstate_size(vitro_guest_xcr0);
	e->ebx = e->ecx;

	e = add(b, 0xd, 1, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	e->eax = host(e->eax, CPUID_D_1_EAX) & LEAF_D_1_EAX;
	e->ebx = 0;
	e->ecx = 0;
	e->edx = 0;

	for (i = 2; i < 63; i++)
		if (vitro_guest_xcr0 & BIT_ULL(i))
			add(b, 0xd, i, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
}

/* Deterministic cache parameters: a type of 0 ends the list. */
static void leaf_caches(struct builder *b, u32 function)
{
	struct kvm_cpuid_entry2 *e;
	u32 i = 0;

	do {
		e = add(b, function, i++, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	} while (e && e->eax & 0x1f && i < 16);
}

/* Extended topology: one level, which user space may refine. */
static void leaf_topology(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add(b, 0xb, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);

	e->eax = 0;
	e->ebx = 0;
	e->ecx = 0;
	e->edx = 0;
}

static void basic_leaves(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add(b, 0, 0, 0);
	u32 max = min_t(u32, e->eax, 0xd);

	e->eax = max;
	leaf_1(b);
	if (max >= 2)
		add(b, 2, 0, 0);
	if (max >= 4)
		leaf_caches(b, 4);
	if (max >= 6) {
		e = add(b, 6, 0, 0);
		e->eax = BIT(2);	/* ARAT: the APIC timer never stops */
		e->ebx = 0;
		e->ecx = 0;
		e->edx = 0;
	}
	if (max >= 7)
		leaf_7(b);
	if (max >= 0xb)
		leaf_topology(b);
	if (max >= 0xd && vitro_host_xcr0)
		leaf_xsave(b);
}

static void kvm_leaves(struct builder *b)
{
	static const char signature[12] = KVM_SIGNATURE;
	struct kvm_cpuid_entry2 *e = add(b, KVM_LEAF, 0, 0);

	e->eax = KVM_CPUID_FEATURES;
	memcpy(&e->ebx, signature, 4);
	memcpy(&e->ecx, signature + 4, 4);
	memcpy(&e->edx, signature + 8, 4);

	e = add(b, KVM_CPUID_FEATURES, 0, 0);
	e->eax = KVM_LEAF_FEATURES;
	if (vitro_steal_offered())
		e->eax |= BIT(KVM_FEATURE_STEAL_TIME) | BIT(KVM_FEATURE_PV_TLB_FLUSH);
	e->ebx = 0;
	e->ecx = 0;
	e->edx = 0;
}

static void leaf_ext_1(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add(b, 0x80000001, 0, 0);
	u32 shared = e->edx & LEAF_EXT_1_EDX_SHARED & LEAF_1_EDX;

	e->ebx = 0;
	e->ecx = host(e->ecx, CPUID_8000_0001_ECX) & LEAF_EXT_1_ECX;
	e->edx = (host(e->edx, CPUID_8000_0001_EDX) &
		  (LEAF_EXT_1_EDX | (vitro_caps.has_rdtscp ? BIT_OF(RDTSCP) : 0))) | shared;
}

static void leaf_ext_8(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add(b, 0x80000008, 0, 0);
	/* What four levels of nested paging reach. */
	u32 phys = min_t(u32, boot_cpu_data.x86_phys_bits, 48);

	e->eax = phys | (48 << 8);
	e->ebx = host(e->ebx, CPUID_8000_0008_EBX) & LEAF_EXT_8_EBX;
	e->ecx = 0;
	e->edx = 0;
}

static void extended_leaves(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add(b, 0x80000000, 0, 0);
	u32 i, max = clamp_t(u32, e->eax, 0x80000000, 0x80000008);

	e->eax = max;
	if (max >= 0x80000001)
		leaf_ext_1(b);
	for (i = 0x80000002; i <= min_t(u32, max, 0x80000006); i++)
		add(b, i, 0, 0);
	if (max >= 0x80000007) {
		e = add(b, 0x80000007, 0, 0);
		e->eax = 0;
		e->ebx = 0;
		e->ecx = 0;
		e->edx &= INVARIANT_TSC;
	}
	if (max >= 0x80000008)
		leaf_ext_8(b);
}

/**
 * vitro_build_supported_cpuid() - list what can be offered to guests
 * @nent: receives the number of entries
 *
 * Context: process context.
 * Return: VITRO_MAX_CPUID entries, to be freed by kvfree(), or NULL.
 */
struct kvm_cpuid_entry2 *vitro_build_supported_cpuid(u32 *nent)
{
	struct builder b = { };

	b.entries = kvcalloc(VITRO_MAX_CPUID, sizeof(*b.entries), GFP_KERNEL_ACCOUNT);
	if (!b.entries)
		return NULL;
	basic_leaves(&b);
	kvm_leaves(&b);
	extended_leaves(&b);
	*nent = b.nent;
	return b.entries;
}

/**
 * vitro_get_supported_cpuid() - KVM_GET_SUPPORTED_CPUID
 * @head:    nent: entries that user space has room for; set to those filled in
 * @entries: user space's array
 *
 * Return: 0, -E2BIG, -ENOMEM, -EFAULT.
 */
int vitro_get_supported_cpuid(struct kvm_cpuid2 *head, void __user *entries)
{
	struct kvm_cpuid_entry2 *supported;
	int r = 0;
	u32 nent;

	supported = vitro_build_supported_cpuid(&nent);
	if (!supported)
		return -ENOMEM;
	if (head->nent < nent)
		r = -E2BIG;
	else if (copy_to_user(entries, supported, array_size(nent, sizeof(*supported))))
		r = -EFAULT;
	else
		head->nent = nent;
	kvfree(supported);
	return r;
}
