// SPDX-License-Identifier: GPL-2.0-only
/*
 * Segments, descriptor tables and control registers in the VMCB's state save
 * area.
 */
#include <linux/kernel.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "../insn.h"
#include "svm.h"

/* Guest CR4 bits whose change by MOV drops translations. */
#define SVM_CR4_FLUSHES	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PCIDE | \
			 X86_CR4_SMEP | X86_CR4_LA57)

#define SEG_TYPE_ACCESSED	0x1
#define SEG_TYPE_BUSY		0x2

static __always_inline struct vmcb_seg *svm_seg(struct svm_vcpu *svm, enum vitro_seg seg)
{
	struct vmcb_save_area *save = &svm->vmcb->save;

	switch (seg) {
	case VITRO_ES:
		return &save->es;
	case VITRO_CS:
		return &save->cs;
	case VITRO_SS:
		return &save->ss;
	case VITRO_DS:
		return &save->ds;
	case VITRO_FS:
		return &save->fs;
	case VITRO_GS:
		return &save->gs;
	case VITRO_TR:
		return &save->tr;
	default:
		return &save->ldtr;
	}
}

static void svm_put_seg(struct vmcb_seg *seg, u16 selector, u64 base, u16 attrib)
{
	seg->selector = selector;
	seg->base = base;
	seg->limit = 0xffff;
	seg->attrib = attrib;
}

/**
 * svm_reset_state() - segments and tables after RESET or INIT
 * @svm: the vCPU
 *
 * APM, Initial Processor State. Control registers and RIP are common code's.
 */
void svm_reset_state(struct svm_vcpu *svm)
{
	const u16 data = SVM_SELECTOR_P_MASK | SVM_SELECTOR_S_MASK |
			 SVM_SELECTOR_WRITE_MASK | SEG_TYPE_ACCESSED;
	struct vmcb_save_area *save = &svm->vmcb->save;

	svm_put_seg(&save->es, 0, 0, data);
	svm_put_seg(&save->ss, 0, 0, data);
	svm_put_seg(&save->ds, 0, 0, data);
	svm_put_seg(&save->fs, 0, 0, data);
	svm_put_seg(&save->gs, 0, 0, data);
	svm_put_seg(&save->cs, 0xf000, 0xffff0000, data | SVM_SELECTOR_CODE_MASK);
	svm_put_seg(&save->gdtr, 0, 0, 0);
	svm_put_seg(&save->idtr, 0, 0, 0);
	svm_put_seg(&save->ldtr, 0, 0, SVM_SELECTOR_P_MASK | 0x2);
	svm_put_seg(&save->tr, 0, 0, SVM_SELECTOR_P_MASK | 0xb);
	save->cpl = 0;
	save->dr6 = SVM_DR6_QUIET;
	save->dr7 = DR7_FIXED_1;
	svm->vmcb->control.clean = 0;
}

/*
 * What the VMCB leaves open is given the form that other processors' VM
 * entries insist on, so that the state can move there.
 */
static __always_inline void get_segment(struct svm_vcpu *svm, enum vitro_seg seg,
					struct kvm_segment *out)
{
	const struct vmcb_seg *s = svm_seg(svm, seg);

	*out = (struct kvm_segment) {
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.type = s->attrib & SVM_SELECTOR_TYPE_MASK,
		.s = (s->attrib >> SVM_SELECTOR_S_SHIFT) & 1,
		.dpl = (s->attrib >> SVM_SELECTOR_DPL_SHIFT) & 3,
		.present = (s->attrib >> SVM_SELECTOR_P_SHIFT) & 1,
		.avl = (s->attrib >> SVM_SELECTOR_AVL_SHIFT) & 1,
		.l = (s->attrib >> SVM_SELECTOR_L_SHIFT) & 1,
		.db = (s->attrib >> SVM_SELECTOR_DB_SHIFT) & 1,
		/* Processors need not keep G: the VMCB's limit counts bytes. */
		.g = s->limit > 0xfffff,
		.unusable = !(s->attrib & SVM_SELECTOR_P_MASK),
	};

	switch (seg) {
	case VITRO_TR:
		out->type |= SEG_TYPE_BUSY;
		break;
	case VITRO_SS:
		/* The VMCB keeps CPL apart; of a null SS nothing else counts. */
		out->dpl = svm->vmcb->save.cpl;
		if (out->unusable)
			out->db = 0;
		fallthrough;
	case VITRO_ES:
	case VITRO_DS:
	case VITRO_FS:
	case VITRO_GS:
		if (!out->unusable)
			out->type |= SEG_TYPE_ACCESSED;
		break;
	default:
		break;
	}
}

/**
 * svm_get_segment() - read a segment register with its hidden part
 * @vcpu:	the vCPU
 * @seg:	which
 * @out:	receives it
 */
void svm_get_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg, struct kvm_segment *out)
{
	get_segment(to_svm(vcpu), seg, out);
}

/**
 * svm_get_segments() - read all segment registers
 * @vcpu:	the vCPU
 * @out:	receives them
 *
 * Each has its copy of the code, without what is for the others: that is half.
 */
void svm_get_segments(struct vitro_vcpu *vcpu, struct kvm_sregs *out)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	get_segment(svm, VITRO_CS, &out->cs);
	get_segment(svm, VITRO_DS, &out->ds);
	get_segment(svm, VITRO_ES, &out->es);
	get_segment(svm, VITRO_FS, &out->fs);
	get_segment(svm, VITRO_GS, &out->gs);
	get_segment(svm, VITRO_SS, &out->ss);
	get_segment(svm, VITRO_TR, &out->tr);
	get_segment(svm, VITRO_LDTR, &out->ldt);
}

/**
 * svm_set_segment() - write a segment register with its hidden part
 * @vcpu:	the vCPU
 * @seg:	which
 * @in:		its new value
 */
void svm_set_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg, const struct kvm_segment *in)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_seg *s = svm_seg(svm, seg);

	s->base = in->base;
	s->limit = in->limit;
	s->selector = in->selector;
	s->attrib = (in->type & SVM_SELECTOR_TYPE_MASK) |
		    (in->s & 1) << SVM_SELECTOR_S_SHIFT |
		    (in->dpl & 3) << SVM_SELECTOR_DPL_SHIFT |
		    (in->present && !in->unusable) << SVM_SELECTOR_P_SHIFT |
		    (in->avl & 1) << SVM_SELECTOR_AVL_SHIFT |
		    (in->l & 1) << SVM_SELECTOR_L_SHIFT |
		    (in->db & 1) << SVM_SELECTOR_DB_SHIFT |
		    (in->g & 1) << SVM_SELECTOR_G_SHIFT;

	/* SS.DPL is CPL, null SS included (APM, Segment State in the VMCB). */
	if (seg == VITRO_SS)
		svm->vmcb->save.cpl = in->dpl & 3;
	svm_dirty(svm->vmcb, SVM_CLEAN_SEG);
}

static void svm_get_table(const struct vmcb_seg *s, struct vitro_dtable *out)
{
	out->base = s->base;
	out->limit = s->limit;
}

static void svm_set_table(struct vmcb *vmcb, struct vmcb_seg *s, const struct vitro_dtable *in)
{
	s->base = in->base;
	s->limit = in->limit;
	svm_dirty(vmcb, SVM_CLEAN_DT);
}

/**
 * svm_get_idt() - read IDTR
 * @vcpu:	the vCPU
 * @out:	receives it
 */
void svm_get_idt(struct vitro_vcpu *vcpu, struct vitro_dtable *out)
{
	svm_get_table(&to_svm(vcpu)->vmcb->save.idtr, out);
}

/**
 * svm_set_idt() - write IDTR
 * @vcpu:	the vCPU
 * @in:		its new value
 */
void svm_set_idt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in)
{
	svm_set_table(to_svm(vcpu)->vmcb, &to_svm(vcpu)->vmcb->save.idtr, in);
}

/**
 * svm_get_gdt() - read GDTR
 * @vcpu:	the vCPU
 * @out:	receives it
 */
void svm_get_gdt(struct vitro_vcpu *vcpu, struct vitro_dtable *out)
{
	svm_get_table(&to_svm(vcpu)->vmcb->save.gdtr, out);
}

/**
 * svm_set_gdt() - write GDTR
 * @vcpu:	the vCPU
 * @in:		its new value
 */
void svm_set_gdt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in)
{
	svm_set_table(to_svm(vcpu)->vmcb, &to_svm(vcpu)->vmcb->save.gdtr, in);
}

/**
 * svm_set_cr0() - store the guest's CR0
 * @vcpu:	the vCPU
 * @cr0:	validated by common code
 *
 * The guest's memory is cached whatever its CR0 says (its PAT is honoured), so
 * CD and NW stay clear in the VMCB. While the guest's own value has them set,
 * reads are intercepted, too.
 */
void svm_set_cr0(struct vitro_vcpu *vcpu, u64 cr0)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 real = (cr0 & ~(u64)(X86_CR0_CD | X86_CR0_NW)) | X86_CR0_ET;

	if ((svm->vmcb->save.cr0 ^ real) & (X86_CR0_PG | X86_CR0_PE | X86_CR0_WP))
		svm_want_flush(svm);
	vcpu->cr0 = cr0;
	vcpu->regs_avail |= BIT(VITRO_CR0);
	svm->vmcb->save.cr0 = real;
	svm_intercept(svm->vmcb, INTERCEPT_CR0_READ, real != cr0);
	svm_dirty(svm->vmcb, SVM_CLEAN_CR);
	vitro_forget_sites(vcpu);
}

/**
 * svm_set_cr3() - store the guest's CR3
 * @vcpu:	the vCPU
 * @cr3:	validated by common code
 */
void svm_set_cr3(struct vitro_vcpu *vcpu, u64 cr3)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	vcpu->cr3 = cr3;
	vcpu->regs_avail |= BIT(VITRO_CR3);
	svm->vmcb->save.cr3 = cr3;
	svm_dirty(svm->vmcb, SVM_CLEAN_CR);
}

/**
 * svm_set_cr4() - store the guest's CR4
 * @vcpu:	the vCPU
 * @cr4:	validated by common code
 *
 * MCE stays as the host has it: a machine check is the host's affair and with
 * MCE clear it would be a shutdown. The guest is shown its own value.
 */
void svm_set_cr4(struct vitro_vcpu *vcpu, u64 cr4)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 real = cr4 | svm_caps.host_cr4_mce;

	if ((svm->vmcb->save.cr4 ^ real) & SVM_CR4_FLUSHES)
		svm_want_flush(svm);
	vcpu->cr4 = cr4;
	vcpu->regs_avail |= BIT(VITRO_CR4);
	svm->vmcb->save.cr4 = real;
	svm_intercept(svm->vmcb, INTERCEPT_CR4_READ, real != cr4);
	svm_dirty(svm->vmcb, SVM_CLEAN_CR);
	vitro_forget_sites(vcpu);
}

/**
 * svm_set_efer() - store the guest's EFER
 * @vcpu:	the vCPU
 * @efer:	validated by common code, LMA included
 *
 * VMRUN wants SVME set; the guest, whose accesses are intercepted, never sees it. LME matters
 * when paging is enabled only, by an intercepted write to CR0: it is in the VMCB together with
 * LMA. QEMU's TCG would mistake it for the host's at #VMEXIT, and leave the host without paging.
 */
void svm_set_efer(struct vitro_vcpu *vcpu, u64 efer)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	vcpu->efer = efer;
	if (!(efer & EFER_LMA))
		efer &= ~(u64)EFER_LME;
	svm->vmcb->save.efer = efer | EFER_SVME;
	svm_dirty(svm->vmcb, SVM_CLEAN_CR);
	vitro_forget_sites(vcpu);
}

/**
 * svm_set_dr7() - the debug control that is in force while the guest runs
 * @vcpu:	the vCPU
 * @dr7:	the guest's, or a debugger's
 */
void svm_set_dr7(struct vitro_vcpu *vcpu, u64 dr7)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->save.dr7 = dr7;
	svm_dirty(svm->vmcb, SVM_CLEAN_DR);
}

/**
 * svm_cpl() - current privilege level
 * @vcpu: the vCPU
 */
int svm_cpl(struct vitro_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cpl;
}

/**
 * svm_cs_long() - is the vCPU in 64-bit mode?
 * @vcpu: the vCPU
 */
bool svm_cs_long(struct vitro_vcpu *vcpu)
{
	return vcpu->efer & EFER_LMA &&
	       to_svm(vcpu)->vmcb->save.cs.attrib & SVM_SELECTOR_L_MASK;
}

/**
 * svm_cache_reg() - fetch a register into its vcpu field
 * @vcpu:	the vCPU
 * @reg:	which; they are all there after an exit
 */
void svm_cache_reg(struct vitro_vcpu *vcpu, enum vitro_reg reg)
{
	vcpu->regs_avail |= BIT(reg);
}

/**
 * svm_skip() - advance RIP past an instruction that has been dealt with
 * @vcpu:	the vCPU
 * @len:	length of the instruction in bytes
 */
void svm_skip(struct vitro_vcpu *vcpu, unsigned int len)
{
	u64 rip = vcpu->rip + len;

	/* Only 64-bit code goes beyond 4 GiB; elsewhere the sum wraps. */
	if (!(vcpu->efer & EFER_LMA) ||
	    unlikely(upper_32_bits(rip ^ vcpu->rip) && !svm_cs_long(vcpu)))
		rip = (u32)rip;
	vcpu->rip = rip;
	vcpu->rflags &= ~(u64)X86_EFLAGS_RF;
	to_svm(vcpu)->vmcb->control.int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
	if (unlikely(vcpu->rflags & X86_EFLAGS_TF))
		vitro_step_trap(vcpu);
}
