// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend that common code meets in the tests.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "../msr_filter.h"
#include "fake_backend.h"

static int fake_nothing(void)
{
	return 0;
}

static void fake_no_teardown(void)
{
}

static int fake_vcpu_create(struct vitro_vcpu *vcpu)
{
	/* No register is ever elsewhere. */
	vcpu->regs_avail = ~0UL;
	return 0;
}

static void fake_no_vcpu(struct vitro_vcpu *vcpu)
{
}

static void fake_vcpu_reset(struct vitro_vcpu *vcpu, bool init)
{
	struct fake_vcpu *fake = to_fake(vcpu);
	int i;

	for (i = 0; i < VITRO_NR_SEGS; i++)
		fake->seg[i] = (struct kvm_segment) {
			.limit = 0xffff, .type = i == VITRO_CS ? 11 : 3, .s = 1, .present = 1,
		};
	fake->seg[VITRO_CS].selector = 0xf000;
	fake->seg[VITRO_CS].base = 0xffff0000;
	fake->level = 0;
	fake->long_mode = false;
	fake->shadow = 0;
	fake->nmi_mask = false;
}

static void fake_load(struct vitro_vcpu *vcpu, int cpu)
{
}

static void fake_enter(struct vitro_vcpu *vcpu, struct vitro_exit *exit)
{
	exit->reason = VITRO_EXIT_INTR;
}

static void fake_skip(struct vitro_vcpu *vcpu, unsigned int len)
{
	vcpu_write_rip(vcpu, vcpu_rip(vcpu) + len);
	to_fake(vcpu)->skipped = len;
	to_fake(vcpu)->shadow = 0;
	if (vcpu->rflags & X86_EFLAGS_TF)
		vitro_step_trap(vcpu);
}

static void fake_cache_reg(struct vitro_vcpu *vcpu, enum vitro_reg reg)
{
}

static bool fake_irq_allowed(struct vitro_vcpu *vcpu)
{
	return !to_fake(vcpu)->irqs_off;
}

static bool fake_nmi_allowed(struct vitro_vcpu *vcpu)
{
	return !to_fake(vcpu)->nmis_off && !to_fake(vcpu)->nmi_mask;
}

static void fake_request_irq_window(struct vitro_vcpu *vcpu)
{
	to_fake(vcpu)->irq_window++;
}

static void fake_request_nmi_window(struct vitro_vcpu *vcpu)
{
	to_fake(vcpu)->nmi_window++;
}

static void fake_inject_irq(struct vitro_vcpu *vcpu, u8 vector, bool soft, u8 insn_len)
{
	to_fake(vcpu)->injected = soft ? FAKE_SOFT_IRQ : FAKE_IRQ;
	to_fake(vcpu)->vector = vector;
}

static void fake_inject_nmi(struct vitro_vcpu *vcpu)
{
	to_fake(vcpu)->injected = FAKE_NMI;
	to_fake(vcpu)->nmi_mask = true;
}

static void fake_inject_exception(struct vitro_vcpu *vcpu, u8 vector, bool has_error,
				  u32 error_code)
{
	to_fake(vcpu)->injected = FAKE_EXCEPTION;
	to_fake(vcpu)->vector = vector;
	to_fake(vcpu)->has_error = has_error;
	to_fake(vcpu)->error_code = error_code;
}

static u32 fake_get_shadow(struct vitro_vcpu *vcpu)
{
	return to_fake(vcpu)->shadow;
}

static void fake_set_shadow(struct vitro_vcpu *vcpu, u32 shadow)
{
	to_fake(vcpu)->shadow = shadow;
}

static bool fake_get_nmi_mask(struct vitro_vcpu *vcpu)
{
	return to_fake(vcpu)->nmi_mask;
}

static void fake_set_nmi_mask(struct vitro_vcpu *vcpu, bool masked)
{
	to_fake(vcpu)->nmi_mask = masked;
}

static void fake_update_tpr(struct vitro_vcpu *vcpu, u8 tpr, int irr_class)
{
	to_fake(vcpu)->tpr = tpr;
	to_fake(vcpu)->irr_class = irr_class;
}

static void fake_get_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg,
			     struct kvm_segment *out)
{
	*out = to_fake(vcpu)->seg[seg];
}

static void fake_get_segments(struct vitro_vcpu *vcpu, struct kvm_sregs *out)
{
	const struct kvm_segment *seg = to_fake(vcpu)->seg;

	out->cs = seg[VITRO_CS];
	out->ds = seg[VITRO_DS];
	out->es = seg[VITRO_ES];
	out->fs = seg[VITRO_FS];
	out->gs = seg[VITRO_GS];
	out->ss = seg[VITRO_SS];
	out->tr = seg[VITRO_TR];
	out->ldt = seg[VITRO_LDTR];
}

static void fake_set_segment(struct vitro_vcpu *vcpu, enum vitro_seg seg,
			     const struct kvm_segment *in)
{
	to_fake(vcpu)->seg[seg] = *in;
}

static void fake_get_idt(struct vitro_vcpu *vcpu, struct vitro_dtable *out)
{
	*out = to_fake(vcpu)->idt;
}

static void fake_set_idt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in)
{
	to_fake(vcpu)->idt = *in;
}

static void fake_get_gdt(struct vitro_vcpu *vcpu, struct vitro_dtable *out)
{
	*out = to_fake(vcpu)->gdt;
}

static void fake_set_gdt(struct vitro_vcpu *vcpu, const struct vitro_dtable *in)
{
	to_fake(vcpu)->gdt = *in;
}

static void fake_set_cr0(struct vitro_vcpu *vcpu, u64 cr0)
{
	vcpu->cr0 = cr0;
}

static void fake_set_cr3(struct vitro_vcpu *vcpu, u64 cr3)
{
	vcpu->cr3 = cr3;
}

static void fake_set_cr4(struct vitro_vcpu *vcpu, u64 cr4)
{
	vcpu->cr4 = cr4;
}

static void fake_set_efer(struct vitro_vcpu *vcpu, u64 efer)
{
	vcpu->efer = efer;
}

static void fake_set_dr7(struct vitro_vcpu *vcpu, u64 dr7)
{
	to_fake(vcpu)->dr7 = dr7;
}

static int fake_cpl(struct vitro_vcpu *vcpu)
{
	return to_fake(vcpu)->level;
}

static bool fake_cs_long(struct vitro_vcpu *vcpu)
{
	return to_fake(vcpu)->long_mode;
}

static int fake_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value)
{
	if (msr != FAKE_MSR)
		return VITRO_MSR_UNKNOWN;
	*value = to_fake(vcpu)->star;
	return 0;
}

static int fake_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value)
{
	if (msr != FAKE_MSR)
		return VITRO_MSR_UNKNOWN;
	to_fake(vcpu)->star = value;
	return 0;
}

static void fake_end_halt(struct vitro_vcpu *vcpu)
{
	to_fake(vcpu)->halts_ended++;
}

static void fake_set_root(struct vitro_vcpu *vcpu, u64 root_hpa)
{
}

static int fake_log_alloc(struct vitro_vcpu *vcpu)
{
	to_fake(vcpu)->log_allocs++;
	return to_fake(vcpu)->log_error;
}

static void fake_explain(struct vitro_vcpu *vcpu, struct seq_buf *text)
{
}

/* Not constant: tests choose the format of the nested page tables. */
struct vitro_backend fake_backend = {
	.name			= "fake",
	.vcpu_size		= sizeof(struct fake_vcpu),

	.probe			= fake_nothing,
	.setup			= fake_nothing,
	.teardown		= fake_no_teardown,
	.cpu_enable		= fake_nothing,
	.cpu_disable		= fake_no_teardown,

	.vcpu_create		= fake_vcpu_create,
	.vcpu_destroy		= fake_no_vcpu,
	.vcpu_reset		= fake_vcpu_reset,
	.load			= fake_load,
	.put			= fake_no_vcpu,

	.enter			= fake_enter,
	.skip			= fake_skip,
	.cache_reg		= fake_cache_reg,
	.flush_tlb		= fake_no_vcpu,
	.flush_guest_tlb	= fake_no_vcpu,

	.irq_allowed		= fake_irq_allowed,
	.nmi_allowed		= fake_nmi_allowed,
	.request_irq_window	= fake_request_irq_window,
	.request_nmi_window	= fake_request_nmi_window,
	.inject_irq		= fake_inject_irq,
	.inject_nmi		= fake_inject_nmi,
	.inject_exception	= fake_inject_exception,
	.get_shadow		= fake_get_shadow,
	.set_shadow		= fake_set_shadow,
	.get_nmi_mask		= fake_get_nmi_mask,
	.set_nmi_mask		= fake_set_nmi_mask,
	.update_tpr		= fake_update_tpr,

	.get_segment		= fake_get_segment,
	.get_segments		= fake_get_segments,
	.set_segment		= fake_set_segment,
	.get_idt		= fake_get_idt,
	.set_idt		= fake_set_idt,
	.get_gdt		= fake_get_gdt,
	.set_gdt		= fake_set_gdt,
	.set_cr0		= fake_set_cr0,
	.set_cr3		= fake_set_cr3,
	.set_cr4		= fake_set_cr4,
	.set_efer		= fake_set_efer,
	.set_dr7		= fake_set_dr7,
	.cpl			= fake_cpl,
	.cs_long		= fake_cs_long,
	.get_msr		= fake_get_msr,
	.set_msr		= fake_set_msr,
	.write_tsc_offset	= fake_no_vcpu,
	.write_tsc_ratio	= fake_no_vcpu,
	.update_exceptions	= fake_no_vcpu,
	.end_halt		= fake_end_halt,
	.cpuid_changed		= fake_no_vcpu,
	.set_root		= fake_set_root,
	.log_alloc		= fake_log_alloc,
	.log_start		= fake_no_vcpu,
	.log_empty		= fake_no_vcpu,
	.explain		= fake_explain,
	.dump			= fake_no_vcpu,
};
