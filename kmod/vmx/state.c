// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's registers that live in the VMCS: segments, tables, control
 * registers, RIP, RSP, RFLAGS.
 */
#include <linux/kvm.h>
#include <linux/string.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>

#include "../cr.h"
#include "../vm.h"
#include "vmx.h"

/* CR0.TS: the guest changes it at every task switch, and only it looks at it. */
#define CR0_GUEST_OWNED		X86_CR0_TS

/*
 * CR4 bits that concern nobody but the guest. They stay intercepted as long
 * as its CPUID forbids them.
 */
#define CR4_GUEST_OWNED		(X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE |	\
				 X86_CR4_PCE | X86_CR4_PGE | X86_CR4_OSFXSR |	\
				 X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE)

/* Changes that make cached translations of linear addresses wrong. */
#define CR0_TRANSLATION		(X86_CR0_PG | X86_CR0_WP)
#define CR4_TRANSLATION		(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE |	\
				 X86_CR4_PCIDE | X86_CR4_SMEP | X86_CR4_SMAP)

#define VMX_AR_TYPE_TSS_BUSY	2	/* in the types of TSS descriptors */

static const struct vmx_segment_fields {
	enum vmcs_field selector, base, limit, ar;
} segments[VITRO_NR_SEGS] = {
#define SEGMENT(name) [VITRO_##name] = {				\
	GUEST_##name##_SELECTOR, GUEST_##name##_BASE,			\
	GUEST_##name##_LIMIT, GUEST_##name##_AR_BYTES }
	SEGMENT(ES), SEGMENT(CS), SEGMENT(SS), SEGMENT(DS),
	SEGMENT(FS), SEGMENT(GS), SEGMENT(TR), SEGMENT(LDTR),
#undef SEGMENT
};

/*
 * Bits that the guest owns are the VMCS's, the others those of the last
 * vmx_set_cr*(), which are in the field already.
 */
static __always_inline void cache_reg(struct vitro_vcpu *vcpu, enum vitro_reg reg,
				      u64 (*read)(struct vitro_vmx *vmx, enum vmcs_field field))
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	switch (reg) {
	case VITRO_RSP:
		vcpu->gpr[VITRO_RSP] = read(vmx, GUEST_RSP);
		break;
	case VITRO_RIP:
		vcpu->rip = read(vmx, GUEST_RIP);
		break;
	case VITRO_RFLAGS:
		vcpu->rflags = read(vmx, GUEST_RFLAGS);
		break;
	case VITRO_CR0:
		vcpu->cr0 = (vcpu->cr0 & ~(u64)CR0_GUEST_OWNED) |
			    (read(vmx, GUEST_CR0) & CR0_GUEST_OWNED);
		break;
	case VITRO_CR3:
		vcpu->cr3 = read(vmx, GUEST_CR3);
		break;
	case VITRO_CR4:
		vcpu->cr4 = (vcpu->cr4 & ~vmx->cr4_guest_owned) |
			    (read(vmx, GUEST_CR4) & vmx->cr4_guest_owned);
		break;
	default:
		break;
	}
	vcpu->regs_avail |= BIT(reg);
}

static noinline void cache_reg_windowed(struct vitro_vcpu *vcpu, enum vitro_reg reg)
{
	cache_reg(vcpu, reg, vmx_read_windowed);
}

static __always_inline u64 read_current(struct vitro_vmx *vmx, enum vmcs_field field)
{
	return vmcs_read(field);
}

/*
 * vmx_cache_reg() - see struct vitro_backend
 *
 * Two versions, since many exits come here: see vmx_skip().
 */
void vmx_cache_reg(struct vitro_vcpu *vcpu, enum vitro_reg reg)
{
	if (static_branch_unlikely(&vmx_windowed))
		cache_reg_windowed(vcpu, reg);
	else
		cache_reg(vcpu, reg, read_current);
}

/*
 * vmx_cs_long() - see struct vitro_backend
 */
bool vmx_cs_long(struct vitro_vcpu *vcpu)
{
	return vcpu->efer & EFER_LMA &&
	       vmx_read(to_vmx(vcpu), GUEST_CS_AR_BYTES) & VMX_AR_L_MASK;
}

/*
 * vmx_cpl() - see struct vitro_backend
 *
 * Real mode has no levels; everywhere else SS.DPL is the level, in
 * virtual-8086 mode too.
 */
int vmx_cpl(struct vitro_vcpu *vcpu)
{
	if (!(vcpu->cr0 & X86_CR0_PE))
		return 0;
	return VMX_AR_DPL(vmx_read(to_vmx(vcpu), GUEST_SS_AR_BYTES));
}

#define SHADOW (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* All cases, the rare ones among them. */
static noinline void skip_carefully(struct vitro_vcpu *vcpu, unsigned int len)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	u64 rip = vcpu_rip(vcpu);
	u64 next = rip + len;
	u32 state = vmx_intr_state(vmx);

	/* Only 64-bit code goes beyond 4 GiB; elsewhere the sum wraps. */
	if (upper_32_bits(next ^ rip) && !vmx_cs_long(vcpu))
		next = lower_32_bits(next);
	vcpu_write_rip(vcpu, next);
	if (state & SHADOW)
		vmx_set_intr_state(vmx, state & ~SHADOW);
	if (vcpu_rflags(vcpu) & X86_EFLAGS_TF)
		vitro_step_trap(vcpu);
}

/*
 * vmx_skip() - see struct vitro_backend
 *
 * Almost every exit comes here, so what is rare is left to another function: a
 * shadow, a single step, a carry into the upper half of RIP, and whoever has looked at
 * RIP or RFLAGS since the exit.
 */
void vmx_skip(struct vitro_vcpu *vcpu, unsigned int len)
{
	u64 rip, next;

	if (static_branch_unlikely(&vmx_windowed) ||
	    unlikely(vcpu->regs_avail & (BIT(VITRO_RIP) | BIT(VITRO_RFLAGS)))) {
		skip_carefully(vcpu, len);
		return;
	}
	rip = vmcs_read(GUEST_RIP);
	next = rip + len;
	if (unlikely(vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & SHADOW ||
		     vmcs_read(GUEST_RFLAGS) & X86_EFLAGS_TF || upper_32_bits(next ^ rip))) {
		skip_carefully(vcpu, len);
		return;
	}
	vcpu_write_rip(vcpu, next);
}

static __always_inline void get_segment(struct vitro_vmx *vmx, enum vitro_seg seg,
					struct kvm_segment *out,
					u64 (*read)(struct vitro_vmx *vmx, enum vmcs_field field))
{
	const struct vmx_segment_fields *f = &segments[seg];
	u32 ar = read(vmx, f->ar);

	memset(out, 0, sizeof(*out));
	out->base = read(vmx, f->base);
	out->limit = read(vmx, f->limit);
	out->selector = read(vmx, f->selector);
	out->type = ar & VMX_AR_TYPE_MASK;
	out->s = !!(ar & VMX_AR_S_MASK);
	out->dpl = VMX_AR_DPL(ar);
	/* What is unusable reads as not present, as user space expects. */
	out->unusable = !!(ar & VMX_AR_UNUSABLE_MASK);
	out->present = !out->unusable && ar & VMX_AR_P_MASK;
	out->avl = !!(ar & BIT(12));
	out->l = !!(ar & VMX_AR_L_MASK);
	out->db = !!(ar & VMX_AR_DB_MASK);
	out->g = !!(ar & VMX_AR_G_MASK);
}

static noinline void get_segment_windowed(struct vitro_vmx *vmx, enum vitro_seg seg,
					  struct kvm_segment *out)
{
	get_segment(vmx, seg, out, vmx_read_windowed);
}

/*
 * vmx_get_segment() - see struct vitro_backend
 *
 * Two versions, like vmx_cache_reg(): user space and the emulator ask for many.
 */
void vmx_get_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg, struct kvm_segment *out)
{
	if (static_branch_unlikely(&vmx_windowed))
		get_segment_windowed(to_vmx(vcpu), seg, out);
	else
		get_segment(to_vmx(vcpu), seg, out, read_current);
}

/*
 * vmx_get_segments() - see struct vitro_backend
 *
 * Each has its copy of the code, with its fields' numbers in it.
 */
void vmx_get_segments(struct vitro_vcpu *vcpu, struct kvm_sregs *out)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	if (static_branch_unlikely(&vmx_windowed)) {
		get_segment_windowed(vmx, VITRO_CS, &out->cs);
		get_segment_windowed(vmx, VITRO_DS, &out->ds);
		get_segment_windowed(vmx, VITRO_ES, &out->es);
		get_segment_windowed(vmx, VITRO_FS, &out->fs);
		get_segment_windowed(vmx, VITRO_GS, &out->gs);
		get_segment_windowed(vmx, VITRO_SS, &out->ss);
		get_segment_windowed(vmx, VITRO_TR, &out->tr);
		get_segment_windowed(vmx, VITRO_LDTR, &out->ldt);
		return;
	}
	get_segment(vmx, VITRO_CS, &out->cs, read_current);
	get_segment(vmx, VITRO_DS, &out->ds, read_current);
	get_segment(vmx, VITRO_ES, &out->es, read_current);
	get_segment(vmx, VITRO_FS, &out->fs, read_current);
	get_segment(vmx, VITRO_GS, &out->gs, read_current);
	get_segment(vmx, VITRO_SS, &out->ss, read_current);
	get_segment(vmx, VITRO_TR, &out->tr, read_current);
	get_segment(vmx, VITRO_LDTR, &out->ldt, read_current);
}

/**
 * vmx_get_access_rights() - a segment's access rights as the VMCS has them
 * @vmx: the vCPU
 * @seg: the segment
 */
u32 vmx_get_access_rights(struct vitro_vmx *vmx, enum vitro_seg seg)
{
	return vmx_read(vmx, segments[seg].ar);
}

static u32 access_rights(enum vitro_seg seg, const struct kvm_segment *in)
{
	u32 ar;

	ar = (in->type & VMX_AR_TYPE_MASK) | (in->s & 1) << 4 |
	     (in->dpl & 3) << VMX_AR_DPL_SHIFT | (in->present & 1) << 7 |
	     (in->avl & 1) << 12 | (in->l & 1) << 13 | (in->db & 1) << 14 |
	     (in->g & 1) << 15;
	/* The DPL stays: SS.DPL is the CPL even when SS is unusable. */
	if (in->unusable || !in->present)
		return ar | VMX_AR_UNUSABLE_MASK;
	/* Loading a descriptor marks it: segments accessed, the task's busy. */
	if (seg == VITRO_TR && !(ar & VMX_AR_S_MASK))
		ar |= VMX_AR_TYPE_TSS_BUSY;
	else if (seg != VITRO_LDTR && ar & VMX_AR_S_MASK)
		ar |= VMX_AR_TYPE_ACCESSES_MASK;
	return ar;
}

/*
 * vmx_set_segment() - see struct vitro_backend
 */
void vmx_set_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg,
		     const struct kvm_segment *in)
{
	const struct vmx_segment_fields *f = &segments[seg];
	struct vitro_vmx *vmx = to_vmx(vcpu);

	vmx_write(vmx, f->base, in->base);
	vmx_write(vmx, f->limit, in->limit);
	vmx_write(vmx, f->selector, in->selector);
	vmx_write(vmx, f->ar, access_rights(seg, in));
}

/*
 * vmx_get_idt() - see struct vitro_backend
 */
void vmx_get_idt(struct vitro_vcpu *vcpu, struct vitro_dtable *out)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	out->base = vmx_read(vmx, GUEST_IDTR_BASE);
	out->limit = vmx_read(vmx, GUEST_IDTR_LIMIT);
}

/*
 * vmx_set_idt() - see struct vitro_backend
 */
void vmx_set_idt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	vmx_write(vmx, GUEST_IDTR_BASE, in->base);
	vmx_write(vmx, GUEST_IDTR_LIMIT, in->limit);
}

/*
 * vmx_get_gdt() - see struct vitro_backend
 */
void vmx_get_gdt(struct vitro_vcpu *vcpu, struct vitro_dtable *out)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	out->base = vmx_read(vmx, GUEST_GDTR_BASE);
	out->limit = vmx_read(vmx, GUEST_GDTR_LIMIT);
}

/*
 * vmx_set_gdt() - see struct vitro_backend
 */
void vmx_set_gdt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	vmx_write(vmx, GUEST_GDTR_BASE, in->base);
	vmx_write(vmx, GUEST_GDTR_LIMIT, in->limit);
}

/*
 * With PAE paging, VM entry takes the four top entries from the VMCS. When the
 * guest itself writes CR3, the processor loads them; when software has
 * changed what they depend on, it must. Common code has read and judged them.
 */
static void load_pdptes(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	if (!(vcpu->cr0 & X86_CR0_PG) || !(vcpu->cr4 & X86_CR4_PAE) ||
	    vcpu->efer & EFER_LMA)
		return;
	vmx_write(vmx, GUEST_PDPTR0, vcpu->pdpte[0]);
	vmx_write(vmx, GUEST_PDPTR1, vcpu->pdpte[1]);
	vmx_write(vmx, GUEST_PDPTR2, vcpu->pdpte[2]);
	vmx_write(vmx, GUEST_PDPTR3, vcpu->pdpte[3]);
}

/* EFER.LMA and the VM-entry control follow from EFER.LME and CR0.PG. */
static void update_long_mode(struct vitro_vmx *vmx)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;
	u32 entry = vmx_config.base[VMX_ENTRY];

	vcpu->efer &= ~(u64)EFER_LMA;
	if (vcpu->efer & EFER_LME && vcpu->cr0 & X86_CR0_PG) {
		vcpu->efer |= EFER_LMA;
		entry |= VM_ENTRY_IA32E_MODE;
	}
	vmx_write(vmx, VM_ENTRY_CONTROLS, entry);
	vmx_write(vmx, GUEST_IA32_EFER, vcpu->efer);
}

/*
 * vmx_set_cr0() - see struct vitro_backend
 */
void vmx_set_cr0(struct vitro_vcpu *vcpu, u64 cr0)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	u64 changed = vcpu_cr0(vcpu) ^ cr0;

	vcpu->cr0 = cr0;
	vcpu->regs_avail |= BIT(VITRO_CR0);
	vmx_write(vmx, CR0_READ_SHADOW, cr0);
	vmx_write(vmx, GUEST_CR0, (cr0 | vmx_config.cr0_must) & vmx_config.cr0_may);
	if (changed & X86_CR0_PG)
		update_long_mode(vmx);
	if (changed & CR0_LOADS_PDPTES)
		load_pdptes(vcpu);
	if (changed & CR0_TRANSLATION)
		vmx_pend(vmx, VMX_PENDING_FLUSH_VPID);
	vitro_forget_sites(vcpu);
}

/*
 * vmx_set_cr3() - see struct vitro_backend
 */
void vmx_set_cr3(struct vitro_vcpu *vcpu, u64 cr3)
{
	vcpu->cr3 = cr3;
	vcpu->regs_avail |= BIT(VITRO_CR3);
	vmx_write(to_vmx(vcpu), GUEST_CR3, cr3);
	load_pdptes(vcpu);
}

/*
 * vmx_set_cr4() - see struct vitro_backend
 *
 * The processor runs the guest with CR4.MCE as the host has it: without, a
 * machine check would shut the whole machine down.
 */
void vmx_set_cr4(struct vitro_vcpu *vcpu, u64 cr4)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	u64 changed = vcpu_cr4(vcpu) ^ cr4;
	u64 real = (cr4 & ~(u64)X86_CR4_MCE) | (__read_cr4() & X86_CR4_MCE);

	vcpu->cr4 = cr4;
	vcpu->regs_avail |= BIT(VITRO_CR4);
	vmx_write(vmx, CR4_READ_SHADOW, cr4);
	vmx_write(vmx, GUEST_CR4, (real | vmx_config.cr4_must) & vmx_config.cr4_may);
	if (changed & CR4_LOADS_PDPTES)
		load_pdptes(vcpu);
	if (changed & CR4_TRANSLATION)
		vmx_pend(vmx, VMX_PENDING_FLUSH_VPID);
	vitro_forget_sites(vcpu);
}

/**
 * vmx_update_cr4_mask() - let the guest own the CR4 bits that its CPUID allows
 * @vmx: the vCPU, its VMCS current
 */
void vmx_update_cr4_mask(struct vitro_vmx *vmx)
{
	/* Fetch what the guest owned before it is owned no more. */
	u64 cr4 = vcpu_cr4(&vmx->vcpu);

	vmx->cr4_guest_owned = CR4_GUEST_OWNED & vmx_config.cr4_may &
			       ~vmx->vcpu.cr4_reserved;
	vmx_write(vmx, CR4_GUEST_HOST_MASK, ~vmx->cr4_guest_owned);
	vmx_set_cr4(&vmx->vcpu, cr4);
}

/*
 * vmx_set_efer() - see struct vitro_backend
 */
void vmx_set_efer(struct vitro_vcpu *vcpu, u64 efer)
{
	vcpu->efer = efer;
	update_long_mode(to_vmx(vcpu));
	vitro_forget_sites(vcpu);
}

/*
 * vmx_set_dr7() - see struct vitro_backend
 */
void vmx_set_dr7(struct vitro_vcpu *vcpu, u64 dr7)
{
	vmx_write(to_vmx(vcpu), GUEST_DR7, dr7);
}

/**
 * vmx_reset_state() - registers of the VMCS after RESET or INIT
 * @vmx: the vCPU, its VMCS current
 *
 * SDM, "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT".
 */
void vmx_reset_state(struct vitro_vmx *vmx)
{
	static const struct kvm_segment data = {
		.limit = 0xffff, .type = 3, .s = 1, .present = 1,
	};
	static const struct kvm_segment code = {
		.base = 0xffff0000, .selector = 0xf000,
		.limit = 0xffff, .type = 11, .s = 1, .present = 1,
	};
	static const struct kvm_segment ldtr = {
		.limit = 0xffff, .type = 2, .present = 1,
	};
	static const struct kvm_segment tr = {
		.limit = 0xffff, .type = 11, .present = 1,
	};
	static const struct vitro_dtable table = { .limit = 0xffff };
	struct vitro_vcpu *vcpu = &vmx->vcpu;

	vmx_set_segment(vcpu, VITRO_ES, &data);
	vmx_set_segment(vcpu, VITRO_CS, &code);
	vmx_set_segment(vcpu, VITRO_SS, &data);
	vmx_set_segment(vcpu, VITRO_DS, &data);
	vmx_set_segment(vcpu, VITRO_FS, &data);
	vmx_set_segment(vcpu, VITRO_GS, &data);
	vmx_set_segment(vcpu, VITRO_TR, &tr);
	vmx_set_segment(vcpu, VITRO_LDTR, &ldtr);
	vmx_set_gdt(vcpu, &table);
	vmx_set_idt(vcpu, &table);
	vmx_write(vmx, CR0_GUEST_HOST_MASK, ~(u64)CR0_GUEST_OWNED);
	vmx_write(vmx, GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmx_write(vmx, GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmx_set_intr_state(vmx, 0);
}
