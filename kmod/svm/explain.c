// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why VMRUN has refused a VMCB: the processor only says VMEXIT_INVALID, so its
 * checks are made again here, one by one.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/seq_buf.h>
#include <asm/msr-index.h>
#include <asm/processor.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "svm.h"

#define CHECKS	"VMRUN, Canonicalization and Consistency Checks"
#define INJECT	"Event Injection"
#define NESTED	"Nested Paging"
#define ASIDS	"TLB Control"

#define SVM_EFER_DEFINED (EFER_SCE | EFER_LME | EFER_LMA | EFER_NX | EFER_SVME | \
			  EFER_LMSLE | EFER_FFXSR | BIT_ULL(15) | BIT_ULL(17) | \
			  BIT_ULL(18) | BIT_ULL(20) | EFER_AUTOIBRS)

static bool above_physical(u64 address, u64 size)
{
	return (address + size - 1) >> boot_cpu_data.x86_phys_bits;
}

static bool paging_long(const struct vmcb_save_area *save)
{
	return save->efer & EFER_LME && save->cr0 & X86_CR0_PG;
}

static bool no_svme(const struct svm_vcpu *svm)
{
	return !(svm->vmcb->save.efer & EFER_SVME);
}

static bool cr0_nw_alone(const struct svm_vcpu *svm)
{
	return (svm->vmcb->save.cr0 & (X86_CR0_CD | X86_CR0_NW)) == X86_CR0_NW;
}

static bool cr0_upper(const struct svm_vcpu *svm)
{
	return svm->vmcb->save.cr0 >> 32;
}

static bool cr3_reserved(const struct svm_vcpu *svm)
{
	/* Outside long mode the upper half does not count. */
	return paging_long(&svm->vmcb->save) && above_physical(svm->vmcb->save.cr3, 1);
}

static bool cr4_reserved(const struct svm_vcpu *svm)
{
	return svm->vmcb->save.cr4 & svm->vcpu.cr4_reserved & ~(u64)X86_CR4_MCE;
}

static bool dr6_upper(const struct svm_vcpu *svm)
{
	return svm->vmcb->save.dr6 >> 32;
}

static bool dr7_upper(const struct svm_vcpu *svm)
{
	return svm->vmcb->save.dr7 >> 32;
}

static bool efer_reserved(const struct svm_vcpu *svm)
{
	return svm->vmcb->save.efer & ~SVM_EFER_DEFINED;
}

static bool long_without_pae(const struct svm_vcpu *svm)
{
	return paging_long(&svm->vmcb->save) && !(svm->vmcb->save.cr4 & X86_CR4_PAE);
}

static bool long_without_pe(const struct svm_vcpu *svm)
{
	return paging_long(&svm->vmcb->save) && !(svm->vmcb->save.cr0 & X86_CR0_PE);
}

static bool long_cs_both(const struct svm_vcpu *svm)
{
	const u16 both = SVM_SELECTOR_L_MASK | SVM_SELECTOR_DB_MASK;

	return paging_long(&svm->vmcb->save) && svm->vmcb->save.cr4 & X86_CR4_PAE &&
	       (svm->vmcb->save.cs.attrib & both) == both;
}

static bool vmrun_free(const struct svm_vcpu *svm)
{
	return !svm_intercepts(svm->vmcb, INTERCEPT_VMRUN);
}

static bool maps_too_high(const struct svm_vcpu *svm)
{
	return above_physical(svm->vmcb->control.iopm_base_pa, 12 * 1024) ||
	       above_physical(svm->vmcb->control.msrpm_base_pa, 8 * 1024);
}

static bool no_asid(const struct svm_vcpu *svm)
{
	return !svm->vmcb->control.asid;
}

static bool asid_too_high(const struct svm_vcpu *svm)
{
	return svm->vmcb->control.asid >= svm_caps.nr_asids;
}

static bool flush_unknown(const struct svm_vcpu *svm)
{
	return svm->vmcb->control.tlb_ctl > TLB_CONTROL_FLUSH_ALL_ASID && !svm_caps.flush_by_asid;
}

static bool nested_cr3_bad(const struct svm_vcpu *svm)
{
	return svm->vmcb->control.nested_cr3 & ~PAGE_MASK ||
	       above_physical(svm->vmcb->control.nested_cr3, PAGE_SIZE);
}

static bool pat_bad(const struct svm_vcpu *svm)
{
	u64 pat = svm->vmcb->save.g_pat;
	int i;

	for (i = 0; i < 8; i++, pat >>= 8)
		if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
			return true;
	return false;
}

/* The VMCB's field has been cleared when the injection was taken back. */
static bool event_bad(const struct svm_vcpu *svm)
{
	u32 event = svm->failed_event;
	u8 vector = event & SVM_EVTINJ_VEC_MASK;

	if (!(event & SVM_EVTINJ_VALID))
		return false;
	switch (event & SVM_EVTINJ_TYPE_MASK) {
	case SVM_EVTINJ_TYPE_INTR:
	case SVM_EVTINJ_TYPE_NMI:
	case SVM_EVTINJ_TYPE_SOFT:
		return false;
	case SVM_EVTINJ_TYPE_EXEPT:
		if (vector > 31 || vector == X86_TRAP_NMI)
			return true;
		/* INTO and BOUND do not exist in 64-bit mode. */
		return (vector == X86_TRAP_OF || vector == X86_TRAP_BR) &&
		       paging_long(&svm->vmcb->save) &&
		       svm->vmcb->save.cs.attrib & SVM_SELECTOR_L_MASK;
	default:
		return true;
	}
}

/* Where a field is, to be shown with its name. */
struct svm_field {
	const char *name;
	u16 offset;
	u8 size;
};

#define SAVE(field)							\
	{ #field, offsetof(struct vmcb, save.field), sizeof_field(struct vmcb, save.field) }
#define CONTROL(field)							\
	{ #field, offsetof(struct vmcb, control.field), sizeof_field(struct vmcb, control.field) }

/* Not in the VMCB any more: size 0. */
#define FAILED_EVENT	{ "event_inj", 0, 0 }

/**
 * struct svm_rule - a check that VMRUN makes
 * @name:	what is wrong
 * @broken:	tells whether the VMCB breaks it
 * @fields:	what to show
 * @section:	where the AMD64 Architecture Programmer's Manual has it
 * @remedy:	what whoever set the state should do
 */
struct svm_rule {
	const char *name;
	bool (*broken)(const struct svm_vcpu *svm);
	struct svm_field fields[4];
	const char *section;
	const char *remedy;
};

static const struct svm_rule svm_rules[] = {
	{ "EFER.SVME is clear", no_svme, { SAVE(efer) }, CHECKS,
	  "a defect of vitro: please report it" },
	{ "CR0.NW is set while CR0.CD is clear", cr0_nw_alone, { SAVE(cr0) }, CHECKS,
	  "set CD, or clear NW" },
	{ "CR0 bits 63:32 are not zero", cr0_upper, { SAVE(cr0) }, CHECKS,
	  "clear them in KVM_SET_SREGS" },
	{ "CR3 has reserved bits set", cr3_reserved, { SAVE(cr3), SAVE(efer) }, CHECKS,
	  "keep CR3 below the processor's physical address width" },
	{ "CR4 has reserved bits set", cr4_reserved, { SAVE(cr4) }, CHECKS,
	  "set only bits that the guest's CPUID offers" },
	{ "DR6 bits 63:32 are not zero", dr6_upper, { SAVE(dr6) }, CHECKS,
	  "clear them in KVM_SET_DEBUGREGS" },
	{ "DR7 bits 63:32 are not zero", dr7_upper, { SAVE(dr7) }, CHECKS,
	  "clear them in KVM_SET_DEBUGREGS" },
	{ "EFER has reserved bits set", efer_reserved, { SAVE(efer) }, CHECKS,
	  "set only bits that the guest's CPUID offers" },
	{ "long mode with paging needs CR4.PAE", long_without_pae,
	  { SAVE(efer), SAVE(cr0), SAVE(cr4) }, CHECKS,
	  "set CR4.PAE, or clear EFER.LME" },
	{ "paging needs CR0.PE", long_without_pe, { SAVE(efer), SAVE(cr0) }, CHECKS,
	  "set CR0.PE, or clear CR0.PG" },
	{ "CS is 64-bit (L) and 32-bit (D) at once", long_cs_both,
	  { SAVE(cs.attrib), SAVE(efer), SAVE(cr0) }, CHECKS,
	  "clear cs.db for a 64-bit code segment" },
	{ "VMRUN is not intercepted", vmrun_free, { CONTROL(intercepts[4]) }, CHECKS,
	  "a defect of vitro: please report it" },
	{ "a permission map lies above the physical address width", maps_too_high,
	  { CONTROL(iopm_base_pa), CONTROL(msrpm_base_pa) }, CHECKS,
	  "a defect of vitro: please report it" },
	{ "the ASID is zero, which is the host's", no_asid, { CONTROL(asid) }, CHECKS,
	  "a defect of vitro: please report it" },
	{ "the processor has no such ASID", asid_too_high, { CONTROL(asid) }, ASIDS,
	  "a defect of vitro: please report it" },
	{ "the processor does not know this TLB_CONTROL", flush_unknown,
	  { CONTROL(tlb_ctl) }, ASIDS, "a defect of vitro: please report it" },
	{ "the nested page-table root has reserved bits set", nested_cr3_bad,
	  { CONTROL(nested_cr3) }, NESTED, "a defect of vitro: please report it" },
	{ "PAT has an undefined memory type", pat_bad, { SAVE(g_pat) }, NESTED,
	  "use the types 0, 1, 4, 5, 6 and 7 only" },
	{ "the injected event cannot exist", event_bad,
	  { FAILED_EVENT, SAVE(cs.attrib), SAVE(efer) }, INJECT,
	  "check the exception that KVM_SET_VCPU_EVENTS has set" },
};

static u64 svm_field_value(const struct svm_vcpu *svm, const struct svm_field *field)
{
	u64 value = 0;

	if (!field->size)
		return svm->failed_event;
	/* Little-endian: shorter fields are the low bytes. */
	memcpy(&value, (const u8 *)svm->vmcb + field->offset, min_t(size_t, field->size, 8));
	return value;
}

/**
 * svm_explain() - write what broke the last failed entry
 * @vcpu:	the vCPU
 * @text:	receives one line for each rule that is broken
 */
void svm_explain(struct vitro_vcpu *vcpu, struct seq_buf *text)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	bool found = false;
	int i, f;

	if (svm->failed_off) {
		seq_buf_printf(text, "SVM has been turned off on the host's CPU %d: the host is restarting\n",
			       svm->failed_cpu);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(svm_rules); i++) {
		const struct svm_rule *rule = &svm_rules[i];

		if (!rule->broken(svm))
			continue;
		found = true;
		seq_buf_printf(text, "%s:", rule->name);
		for (f = 0; f < ARRAY_SIZE(rule->fields) && rule->fields[f].name; f++)
			seq_buf_printf(text, " %s=%#llx", rule->fields[f].name,
				       svm_field_value(svm, &rule->fields[f]));
		seq_buf_printf(text, " (APM, \"%s\"): %s\n", rule->section, rule->remedy);
	}
	if (!found)
		seq_buf_printf(text, "VMRUN refused the VMCB, but none of the rules that vitro knows is broken: please report it with the dump in the kernel log\n");
}

static void svm_dump_seg(const char *name, const struct vmcb_seg *seg)
{
	pr_err("%-4s sel=%04x attrib=%03x limit=%08x base=%016llx\n", name, seg->selector,
	       seg->attrib, seg->limit, seg->base);
}

/**
 * svm_dump() - log the VMCB
 * @vcpu: the vCPU; the caller limits the rate
 */
void svm_dump(struct vitro_vcpu *vcpu)
{
	const struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	const struct vmcb_control_area *c = &vmcb->control;
	const struct vmcb_save_area *s = &vmcb->save;

	pr_err("vCPU %u: VMCB\n", vcpu->id);
	pr_err("exit_code=%#x info1=%#llx info2=%#llx int_info=%#x next_rip=%#llx\n",
	       svm_exit_code(vmcb), c->exit_info_1, c->exit_info_2, c->exit_int_info, c->next_rip);
	pr_err("intercepts cr=%08x dr=%08x exc=%08x w3=%08x w4=%08x w5=%08x\n",
	       c->intercepts[0], c->intercepts[1], c->intercepts[2], c->intercepts[3],
	       c->intercepts[4], c->intercepts[5]);
	pr_err("asid=%u tlb_ctl=%u int_ctl=%08x int_state=%#x event_inj=%08x clean=%#x ncr3=%#llx\n",
	       c->asid, c->tlb_ctl, c->int_ctl, c->int_state, c->event_inj, c->clean,
	       c->nested_cr3);
	pr_err("rip=%016llx rsp=%016llx rax=%016llx rflags=%08llx cpl=%u\n",
	       s->rip, s->rsp, s->rax, s->rflags, s->cpl);
	pr_err("cr0=%08llx cr2=%016llx cr3=%016llx cr4=%08llx efer=%#llx\n",
	       s->cr0, s->cr2, s->cr3, s->cr4, s->efer);
	pr_err("dr6=%08llx dr7=%08llx pat=%016llx\n", s->dr6, s->dr7, s->g_pat);
	svm_dump_seg("cs", &s->cs);
	svm_dump_seg("ss", &s->ss);
	svm_dump_seg("ds", &s->ds);
	svm_dump_seg("es", &s->es);
	svm_dump_seg("fs", &s->fs);
	svm_dump_seg("gs", &s->gs);
	svm_dump_seg("tr", &s->tr);
	svm_dump_seg("ldtr", &s->ldtr);
	svm_dump_seg("gdtr", &s->gdtr);
	svm_dump_seg("idtr", &s->idtr);
}
