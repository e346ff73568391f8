// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's CPUID, and the decisions that follow from it.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <asm/msr-index.h>
#include <asm/processor.h>

#include "backend.h"
#include "compat.h"
#include "cpuid.h"
#include "hot.h"
#include "vm.h"
#include "xstate.h"

#define BIT_OF(feature)		BIT(X86_FEATURE_##feature & 31)

#define CR4_ALWAYS (X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | \
		    X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | \
		    X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)
/* Vendor's string in EBX of leaf 0. */
#define EBX_AUTH 0x68747541	/* AuthenticAMD */
#define EBX_HYGO 0x6f677948	/* HygonGenuine */

/*
 * Leaves are sought from where the first of their hash bucket is. Basic leaves have
 * buckets 0 to 31 for themselves but for the hypervisor's (0x40000000), which come in at 16;
 * extended ones begin at 32.
 */
static __always_inline u32 bucket(u32 function)
{
	return (function % 32) ^ (function >> 26);
}

static __always_inline bool is_leaf(const struct kvm_cpuid_entry2 *e, u32 function, u32 index)
{
	return e->function == function &&
	       (e->index == index || !(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX));
}

static void index_entries(struct vitro_vcpu *vcpu)
{
	u32 i;

	BUILD_BUG_ON(ARRAY_SIZE(vcpu->cpuid_first) != 64);
	for (i = 0; i < ARRAY_SIZE(vcpu->cpuid_first); i++)
		vcpu->cpuid_first[i] = vcpu->cpuid_nent;
	for (i = vcpu->cpuid_nent; i--; )
		vcpu->cpuid_first[bucket(vcpu->cpuid[i].function)] = i;
}

static struct kvm_cpuid_entry2 *find(struct vitro_vcpu *vcpu, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *e;
	u32 i;

	for (i = vcpu->cpuid_first[bucket(function)]; i < vcpu->cpuid_nent; i++) {
		e = &vcpu->cpuid[i];
		if (is_leaf(e, function, index))
			return e;
	}
	return NULL;
}

u32 vitro_cpuid_signature(struct vitro_vcpu *vcpu)
{
	struct kvm_cpuid_entry2 *e = find(vcpu, 1, 0);

	/* Without CPUID: a P6, as SDM's reset state does. */
	return e ? e->eax : 0x600;
}

struct feature_bit {
	u32 function;
	u8 reg;			/* 0..3: EAX..EDX */
	u32 bit;
	u32 feature;		/* VITRO_GF_* */
};

enum { EAX, EBX, ECX, EDX };

static const struct feature_bit feature_bits[] = {
	{ 1, ECX, BIT_OF(XMM3), VITRO_GF_SSE3 },
	{ 1, ECX, BIT_OF(MWAIT), VITRO_GF_MWAIT },
	{ 1, ECX, BIT_OF(PCID), VITRO_GF_PCID },
	{ 1, ECX, BIT_OF(X2APIC), VITRO_GF_X2APIC },
	{ 1, ECX, BIT_OF(TSC_DEADLINE_TIMER), VITRO_GF_TSC_DEADLINE },
	{ 1, ECX, BIT_OF(XSAVE), VITRO_GF_XSAVE },
	{ 7, EBX, BIT_OF(TSC_ADJUST), VITRO_GF_TSC_ADJUST },
	{ 7, EBX, BIT_OF(INVPCID), VITRO_GF_INVPCID },
	{ 7, ECX, BIT_OF(UMIP), VITRO_GF_UMIP },
	{ 7, ECX, BIT_OF(RDPID), VITRO_GF_RDPID },
	{ 7, EDX, BIT_OF(SPEC_CTRL), VITRO_GF_SPEC_CTRL | VITRO_GF_PRED_CMD },
	{ 7, EDX, BIT_OF(SPEC_CTRL_SSBD), VITRO_GF_SPEC_CTRL },
	{ 7, EDX, BIT_OF(ARCH_CAPABILITIES), VITRO_GF_ARCH_CAP },
	{ 7, EDX, BIT_OF(FLUSH_L1D), VITRO_GF_FLUSH_CMD },
	{ 0x80000001, EDX, BIT_OF(SYSCALL), VITRO_GF_SYSCALL },
	{ 0x80000001, EDX, BIT_OF(NX), VITRO_GF_NX },
	{ 0x80000001, EDX, BIT_OF(GBPAGES), VITRO_GF_GBPAGES },
	{ 0x80000001, EDX, BIT_OF(RDTSCP), VITRO_GF_RDTSCP },
	{ 0x80000001, EDX, BIT_OF(LM), VITRO_GF_LM },
	{ 0x80000008, EBX, BIT_OF(AMD_IBPB), VITRO_GF_PRED_CMD },
	{ 0x80000008, EBX, BIT_OF(AMD_IBRS), VITRO_GF_SPEC_CTRL },
	{ 0x80000008, EBX, BIT_OF(AMD_STIBP), VITRO_GF_SPEC_CTRL },
	{ 0x80000008, EBX, BIT_OF(AMD_SSBD), VITRO_GF_SPEC_CTRL },
};

static u32 reg_of(const struct kvm_cpuid_entry2 *e, u8 reg)
{
	switch (reg) {
	case EAX:
		return e->eax;
	case EBX:
		return e->ebx;
	case ECX:
		return e->ecx;
	default:
		return e->edx;
	}
}

static bool has_bit(struct vitro_vcpu *vcpu, u32 function, u8 reg, u32 bit)
{
	struct kvm_cpuid_entry2 *e = find(vcpu, function, 0);

	return e && reg_of(e, reg) & bit;
}

/* CR4 bits that both the guest's CPUID (or none at all) and the host have. */
static u64 cr4_bits(struct vitro_vcpu *vcpu)
{
	static const struct {
		u32 function;
		u8 reg;
		u32 bit;
		u64 cr4;
		u16 host;
	} bits[] = {
		{ 1, ECX, BIT_OF(PCID), X86_CR4_PCIDE, X86_FEATURE_PCID },
		{ 1, ECX, BIT_OF(XSAVE), X86_CR4_OSXSAVE, X86_FEATURE_OSXSAVE },
		{ 7, EBX, BIT_OF(FSGSBASE), X86_CR4_FSGSBASE, X86_FEATURE_FSGSBASE },
		{ 7, EBX, BIT_OF(SMEP), X86_CR4_SMEP, X86_FEATURE_SMEP },
		{ 7, EBX, BIT_OF(SMAP), X86_CR4_SMAP, X86_FEATURE_SMAP },
	};
	u64 cr4 = CR4_ALWAYS;
	int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++)
		if (boot_cpu_has(bits[i].host) &&
		    (!vcpu->cpuid_nent ||
		     has_bit(vcpu, bits[i].function, bits[i].reg, bits[i].bit)))
			cr4 |= bits[i].cr4;
	if (vitro_caps.has_umip && (!vcpu->cpuid_nent || vcpu_has(vcpu, VITRO_GF_UMIP)))
		cr4 |= X86_CR4_UMIP;
	return cr4;
}

/*
 * Without CPUID, programs that set a vCPU's state by hand still expect the
 * host's control-register bits to work.
 */
static u64 efer_bits(struct vitro_vcpu *vcpu)
{
	u64 efer = 0;

	if (!vcpu->cpuid_nent || vcpu_has(vcpu, VITRO_GF_SYSCALL | VITRO_GF_LM))
		efer |= EFER_SCE;
	if (!vcpu->cpuid_nent || vcpu_has(vcpu, VITRO_GF_LM))
		efer |= EFER_LME | EFER_LMA;
	if (boot_cpu_has(X86_FEATURE_NX) &&
	    (!vcpu->cpuid_nent || vcpu_has(vcpu, VITRO_GF_NX)))
		efer |= EFER_NX;
	if (boot_cpu_has(X86_FEATURE_FXSR_OPT) && vcpu_has(vcpu, VITRO_GF_AMD))
		efer |= EFER_FFXSR;
	return efer;
}

/* Hypervisors' leaves begin at multiples of 0x100; KVM's are where its signature is. */
static struct kvm_cpuid_entry2 *find_kvm_features(struct vitro_vcpu *vcpu)
{
	static const char signature[12] = KVM_SIGNATURE;
	struct kvm_cpuid_entry2 *e;
	u32 i;

	for (i = 0; i < vcpu->cpuid_nent; i++) {
		e = &vcpu->cpuid[i];
		if ((e->function & 0xffff00ff) == KVM_CPUID_SIGNATURE &&
		    !memcmp(&e->ebx, signature, sizeof(signature)))
			return find(vcpu, e->function | KVM_CPUID_FEATURES, 0);
	}
	return NULL;
}

/* Nobody sees the guest halt whose HLT does not exit, so a kick cannot wake it. */
static void hide_unhalt(struct vitro_vcpu *vcpu)
{
	struct kvm_cpuid_entry2 *e;

	if (!vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_HLT))
		return;
	e = find_kvm_features(vcpu);
	if (e)
		e->eax &= ~BIT(KVM_FEATURE_PV_UNHALT);
}

static void derive(struct vitro_vcpu *vcpu)
{
	struct kvm_cpuid_entry2 *e;
	int i;

	vcpu->guest_features = 0;
	for (i = 0; i < ARRAY_SIZE(feature_bits); i++)
		if (has_bit(vcpu, feature_bits[i].function, feature_bits[i].reg,
			    feature_bits[i].bit))
			vcpu->guest_features |= feature_bits[i].feature;
	e = find(vcpu, 0, 0);
	if (e && (e->ebx == EBX_AUTH || e->ebx == EBX_HYGO))
		vcpu->guest_features |= VITRO_GF_AMD;

	e = find(vcpu, 0x80000008, 0);
	vcpu->maxphyaddr = e ? clamp_t(u8, e->eax, 32, 52) : 36;
	vcpu->cr4_reserved = ~cr4_bits(vcpu);
	vcpu->efer_reserved = ~efer_bits(vcpu);

	e = find_kvm_features(vcpu);
	vcpu->pv_features = e ? e->eax : 0;

	e = find(vcpu, 0xd, 0);
	vcpu->guest_xcr0_mask = XFEATURE_MASK_FP;
	if (e)
		vcpu->guest_xcr0_mask |= (e->eax | (u64)e->edx << 32) & vitro_guest_xcr0;
}

/**
 * vitro_cpuid_defaults() - a vCPU to which KVM_SET_CPUID2 has given nothing
 * @vcpu: the vCPU, under construction
 */
void vitro_cpuid_defaults(struct vitro_vcpu *vcpu)
{
	derive(vcpu);
}

static u32 compact_xstate_size(u64 xcr0)
{
	u32 size = VITRO_XSAVE_LEGACY_SIZE, eax, ebx, ecx, edx;
	int i;

	for (i = 2; i < 63; i++) {
		if (!(xcr0 & BIT_ULL(i)))
			continue;
		cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx);
		if (ecx & 2)
			size = ALIGN(size, 64);
		size += eax;
	}
	return size;
}

static void set_bit_if(u32 *reg, u32 bit, bool on)
{
	*reg = on ? *reg | bit : *reg & ~bit;
}

void vitro_cpuid_runtime(struct vitro_vcpu *vcpu)
{
	struct kvm_cpuid_entry2 *e;
	bool mwait;

	e = find(vcpu, 1, 0);
	if (e) {
		set_bit_if(&e->ecx, BIT_OF(OSXSAVE), vcpu_cr4(vcpu) & X86_CR4_OSXSAVE);
		set_bit_if(&e->edx, BIT_OF(APIC),
			   vcpu->msrs.apic_base & MSR_IA32_APICBASE_ENABLE);
		if (READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT) {
			mwait = vcpu->msrs.misc_enable & MSR_IA32_MISC_ENABLE_MWAIT;
			set_bit_if(&e->ecx, BIT_OF(MWAIT), mwait);
			set_bit_if(&vcpu->guest_features, VITRO_GF_MWAIT, mwait);
		}
	}
	e = find(vcpu, 0xd, 0);
	if (e)
		e->ebx = vitro_xstate_size(vcpu->xcr0);
	e = find(vcpu, 0xd, 1);
	if (e && e->eax & BIT_OF(XSAVEC))
		e->ebx = compact_xstate_size(vcpu->xcr0);
}

/**
 * vitro_set_cpuid() - KVM_SET_CPUID2
 * @vcpu:    the vCPU, loaded
 * @head:    number of entries
 * @entries: user space's array
 *
 * Return: 0, -E2BIG, -ENOMEM, -EFAULT, or -EINVAL if the vCPU has run and the
 * new CPUID differs.
 */
int vitro_set_cpuid(struct vitro_vcpu *vcpu, const struct kvm_cpuid2 *head, void __user *entries)
{
	struct kvm_cpuid_entry2 *new = NULL, *old = vcpu->cpuid;
	u32 old_nent = vcpu->cpuid_nent;
	int r = 0;

	if (head->nent > VITRO_MAX_CPUID)
		return -E2BIG;
	if (head->nent) {
		new = vmemdup_user(entries, array_size(head->nent, sizeof(*new)));
		if (IS_ERR(new))
			return PTR_ERR(new);
	}

	vcpu->cpuid = new;
	vcpu->cpuid_nent = head->nent;
	index_entries(vcpu);
	hide_unhalt(vcpu);
	if (vcpu->has_run) {
		/* The bits that follow other registers may differ in what was given. */
		vitro_cpuid_runtime(vcpu);
		if (head->nent != old_nent ||
		    (old_nent && memcmp(new, old, array_size(old_nent, sizeof(*new))))) {
			r = -EINVAL;
			vcpu->cpuid = old;
			vcpu->cpuid_nent = old_nent;
			index_entries(vcpu);
			old = new;
		}
	} else {
		derive(vcpu);
		vitro_cpuid_runtime(vcpu);
		vitro_backend->cpuid_changed(vcpu);
	}
	kvfree(old);
	return r;
}

/**
 * vitro_get_cpuid() - KVM_GET_CPUID2
 * @vcpu:    the vCPU
 * @head:    entries that user space has room for; set to the number there is
 * @entries: user space's array
 *
 * Return: 0, -E2BIG, -EFAULT.
 */
int vitro_get_cpuid(struct vitro_vcpu *vcpu, struct kvm_cpuid2 *head, void __user *entries)
{
	u32 room = head->nent;

	head->nent = vcpu->cpuid_nent;
	if (room < vcpu->cpuid_nent)
		return -E2BIG;
	if (vcpu->cpuid_nent &&
	    copy_to_user(entries, vcpu->cpuid,
			 array_size(vcpu->cpuid_nent, sizeof(*vcpu->cpuid))))
		return -EFAULT;
	return 0;
}

/*
 * A leaf beyond the last one of its range: Intel answers with the last basic
 * leaf, AMD with zeros.
 */
static struct kvm_cpuid_entry2 *out_of_range(struct vitro_vcpu *vcpu, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *base = find(vcpu, function & 0xffff0000, 0);
	struct kvm_cpuid_entry2 *basic = find(vcpu, 0, 0);

	if (!basic || vcpu_has(vcpu, VITRO_GF_AMD))
		return NULL;
	if (base && function >= 0x40000000 && function <= base->eax)
		return NULL;
	if (function <= basic->eax)
		return NULL;
	return find(vcpu, basic->eax, index);
}

/* Leaves that are not where their bucket begins, are not there, or are not constant. */
static noinline void execute_any(struct vitro_vcpu *vcpu, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *e;
	bool topology;

	/* This leaf shows sizes that depend on XCR0. */
	if (function == 0xd && vcpu->hot) {
		vitro_hot_xcr0(vcpu);
		vitro_cpuid_runtime(vcpu);
	}
	e = find(vcpu, function, index);
	if (!e)
		e = out_of_range(vcpu, function, index);
	vcpu->gpr[VITRO_RAX] = e ? e->eax : 0;
	vcpu->gpr[VITRO_RBX] = e ? e->ebx : 0;
	/* Leaf 0xb shows the subleaf asked for even where it has nothing to say. */
	topology = !e && function == 0xb && find(vcpu, function, 0);
	vcpu->gpr[VITRO_RCX] = e ? e->ecx : topology ? index & 0xff : 0;
	vcpu->gpr[VITRO_RDX] = e ? e->edx : topology ? vcpu->id : 0;
}

/**
 * vitro_cpuid_execute() - the CPUID instruction
 * @vcpu: the vCPU
 *
 * Most leaves are the first of their bucket: found by one look, without a search.
 *
 * Context: any of the vCPU's thread.
 */
void vitro_cpuid_execute(struct vitro_vcpu *vcpu)
{
	u32 function = vcpu->gpr[VITRO_RAX], index = vcpu->gpr[VITRO_RCX];
	u32 first = vcpu->cpuid_first[bucket(function)];
	const struct kvm_cpuid_entry2 *e = &vcpu->cpuid[first];

	if (unlikely(first >= vcpu->cpuid_nent || function == 0xd ||
		     !is_leaf(e, function, index))) {
		execute_any(vcpu, function, index);
		return;
	}
	vcpu->gpr[VITRO_RAX] = e->eax;
	vcpu->gpr[VITRO_RBX] = e->ebx;
	vcpu->gpr[VITRO_RCX] = e->ecx;
	vcpu->gpr[VITRO_RDX] = e->edx;
}
