// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why an entry failed, in both backends: a state that no rule objects to, and
 * what each rule says once it is broken.
 */
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/apicdef.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../svm/svm.h"
#include "../vmx/vmx.h"
#include "fixture.h"

#define TEXT_SIZE	4096
#define NO_RULE		"none of the rules"
#define NO_VMX_RULE	"no rule that vitro knows"

static struct svm_vcpu *good_svm(struct kunit *test)
{
	struct svm_vcpu *svm = kunit_kzalloc(test, sizeof(*svm), GFP_KERNEL);
	struct vmcb *vmcb = kunit_kzalloc(test, sizeof(*vmcb), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, svm);
	KUNIT_ASSERT_NOT_NULL(test, vmcb);
	svm->vmcb = vmcb;
	svm->vcpu.cr4_reserved = ~(u64)(X86_CR4_PAE | X86_CR4_PGE);
	svm_caps = (struct svm_caps) { .nr_asids = 16 };
	vmcb->save.efer = EFER_SVME | EFER_LME | EFER_LMA;
	vmcb->save.cr0 = X86_CR0_PE | X86_CR0_PG;
	vmcb->save.cr3 = 0x1000;
	vmcb->save.cr4 = X86_CR4_PAE;
	vmcb->save.cs.attrib = SVM_SELECTOR_L_MASK;
	vmcb->save.g_pat = 0x0007040600070406;
	vmcb->control.asid = 1;
	vmcb->control.nested_cr3 = 0x2000;
	svm_intercept(vmcb, INTERCEPT_VMRUN, true);
	return svm;
}

#define SAVE(field)	offsetof(struct vmcb, save.field)
#define CONTROL(field)	offsetof(struct vmcb, control.field)

static const struct svm_case {
	const char *name;
	size_t field;
	u8 size;
	u64 value;
	const char *says;
} svm_states[] = {
	{ "SVME", SAVE(efer), 8, EFER_LME | EFER_LMA, "EFER.SVME is clear" },
	{ "NW without CD", SAVE(cr0), 8, X86_CR0_PE | X86_CR0_PG | X86_CR0_NW, "CR0.NW" },
	{ "NW with CD is fine", SAVE(cr0), 8,
	  X86_CR0_PE | X86_CR0_PG | X86_CR0_NW | X86_CR0_CD, NO_RULE },
	{ "CR0, upper half", SAVE(cr0), 8, BIT_ULL(32) | X86_CR0_PE | X86_CR0_PG,
	  "CR0 bits 63:32" },
	{ "CR3", SAVE(cr3), 8, BIT_ULL(52), "CR3 has reserved bits" },
	{ "CR4", SAVE(cr4), 8, X86_CR4_PAE | X86_CR4_VMXE, "CR4 has reserved bits" },
	{ "CR4.MCE is the host's", SAVE(cr4), 8, X86_CR4_PAE | X86_CR4_MCE, NO_RULE },
	{ "DR6", SAVE(dr6), 8, BIT_ULL(32), "DR6 bits 63:32" },
	{ "DR7", SAVE(dr7), 8, BIT_ULL(32), "DR7 bits 63:32" },
	{ "EFER", SAVE(efer), 8, EFER_SVME | BIT_ULL(40), "EFER has reserved bits" },
	{ "PAE", SAVE(cr4), 8, 0, "needs CR4.PAE" },
	{ "PE", SAVE(cr0), 8, X86_CR0_PG, "paging needs CR0.PE" },
	{ "L and D", SAVE(cs.attrib), 2, SVM_SELECTOR_L_MASK | SVM_SELECTOR_DB_MASK,
	  "64-bit (L) and 32-bit (D)" },
	{ "VMRUN not intercepted", CONTROL(intercepts[INTERCEPT_WORD4]), 4, 0,
	  "VMRUN is not intercepted" },
	{ "I/O map", CONTROL(iopm_base_pa), 8, BIT_ULL(52) - 0x1000, "permission map" },
	{ "MSR map", CONTROL(msrpm_base_pa), 8, BIT_ULL(52), "permission map" },
	{ "ASID 0", CONTROL(asid), 4, 0, "ASID is zero" },
	{ "last ASID", CONTROL(asid), 4, 15, NO_RULE },
	{ "ASID too large", CONTROL(asid), 4, 16, "no such ASID" },
	{ "TLB control", CONTROL(tlb_ctl), 1, 3, "TLB_CONTROL" },
	{ "nested CR3 not aligned", CONTROL(nested_cr3), 8, 0x2008, "nested page-table root" },
	{ "nested CR3 too high", CONTROL(nested_cr3), 8, BIT_ULL(52), "nested page-table root" },
	{ "PAT", SAVE(g_pat), 8, 0x0007040600070402, "PAT has an undefined" },
};
TEST_PARAMS(svm_states);

static void svm_rule(struct kunit *test)
{
	const struct svm_case *p = test->param_value;
	struct svm_vcpu *svm = good_svm(test);
	char *buffer = kunit_kzalloc(test, TEXT_SIZE, GFP_KERNEL);
	struct seq_buf text;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	seq_buf_init(&text, buffer, TEXT_SIZE - 1);
	svm_explain(&svm->vcpu, &text);
	KUNIT_EXPECT_NOT_NULL(test, strstr(buffer, NO_RULE));
	memset(buffer, 0, TEXT_SIZE);
	seq_buf_init(&text, buffer, TEXT_SIZE - 1);
	memcpy((u8 *)svm->vmcb + p->field, &p->value, p->size);
	svm_explain(&svm->vcpu, &text);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(buffer, p->says), "it says: %s", buffer);
}

static const struct svm_event_case {
	const char *name;
	u32 event;
	bool bad;
} svm_events[] = {
	{ "nothing", 0, false },
	{ "interrupt", SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_INTR | 0x51, false },
	{ "NMI", SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_NMI | 2, false },
	{ "#GP", SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_EXEPT | 13, false },
	{ "exception 2", SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_EXEPT | 2, true },
	{ "exception 32", SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_EXEPT | 32, true },
	{ "#OF in 64-bit mode", SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_EXEPT | 4, true },
	{ "#BR in 64-bit mode", SVM_EVTINJ_VALID | SVM_EVTINJ_TYPE_EXEPT | 5, true },
	{ "reserved type", SVM_EVTINJ_VALID | 1 << 8 | 5, true },
};
TEST_PARAMS(svm_events);

static void svm_event(struct kunit *test)
{
	const struct svm_event_case *p = test->param_value;
	struct svm_vcpu *svm = good_svm(test);
	char *buffer = kunit_kzalloc(test, TEXT_SIZE, GFP_KERNEL);
	struct seq_buf text;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	seq_buf_init(&text, buffer, TEXT_SIZE - 1);
	svm->failed_event = p->event;
	svm_explain(&svm->vcpu, &text);
	KUNIT_EXPECT_EQ(test, !!strstr(buffer, "the injected event cannot exist"), p->bad);
}

/* A guest in 64-bit mode on a processor that permits everything. */
static const struct {
	u32 field;
	u64 value;
} good_vmcs[] = {
	{ GUEST_CR0, X86_CR0_PE | X86_CR0_PG },
	{ GUEST_CR3, 0x1000 },
	{ GUEST_CR4, X86_CR4_PAE },
	{ GUEST_IA32_EFER, EFER_LME | EFER_LMA },
	{ GUEST_IA32_PAT, 0x0007040600070406 },
	{ GUEST_DR7, 0x400 },
	{ GUEST_RFLAGS, X86_EFLAGS_FIXED },
	{ GUEST_RIP, 0x1000 },
	{ VM_ENTRY_CONTROLS, VM_ENTRY_IA32E_MODE },
	{ EPT_POINTER, VMX_EPTP_MT_WB | VMX_EPTP_PWL_4 | 0x2000 },
	{ VMCS_LINK_POINTER, ~0ULL },
	{ GUEST_CS_AR_BYTES, 0xa09b }, { GUEST_CS_LIMIT, 0xffffffff },
	{ GUEST_SS_AR_BYTES, 0xc093 }, { GUEST_SS_LIMIT, 0xffffffff },
	{ GUEST_DS_AR_BYTES, 0xc093 }, { GUEST_DS_LIMIT, 0xffffffff },
	{ GUEST_ES_AR_BYTES, 0xc093 }, { GUEST_ES_LIMIT, 0xffffffff },
	{ GUEST_FS_AR_BYTES, 0xc093 }, { GUEST_FS_LIMIT, 0xffffffff },
	{ GUEST_GS_AR_BYTES, 0xc093 }, { GUEST_GS_LIMIT, 0xffffffff },
	{ GUEST_TR_AR_BYTES, 0x8b }, { GUEST_TR_LIMIT, 0xffff },
	{ GUEST_LDTR_AR_BYTES, 0x10000 },
	{ GUEST_GDTR_LIMIT, 0xffff }, { GUEST_IDTR_LIMIT, 0xffff },
	{ HOST_CR0, X86_CR0_PE | X86_CR0_PG }, { HOST_CR4, X86_CR4_PAE },
	{ HOST_IA32_EFER, EFER_LMA | EFER_LME }, { HOST_IA32_PAT, 0x0007040600070406 },
};

enum failure { GUEST, CONTROLS, HOST };

static struct vitro_vmx *good_vmx(struct kunit *test, enum failure failure)
{
	struct vitro_vmx *vmx = kunit_kzalloc(test, sizeof(*vmx), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, vmx);
	vmx->vapic = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vmx->vapic);
	vmx->vcpu.regs_avail = ~0UL;
	memset(&vmx_config, 0, sizeof(vmx_config));
	memset(vmx_config.may, 0xff, sizeof(vmx_config.may));
	vmx_config.cr0_may = U32_MAX;
	vmx_config.cr4_may = U32_MAX;
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	for (i = 0; i < ARRAY_SIZE(good_vmcs); i++)
		fake_vmcs[good_vmcs[i].field] = good_vmcs[i].value;
	if (failure == GUEST)
		vmx->exit_reason = VMX_EXIT_REASONS_FAILED_VMENTRY | EXIT_REASON_INVALID_STATE;
	else
		vmx->insn_error = failure == HOST ? VMXERR_ENTRY_INVALID_HOST_STATE_FIELD :
						    VMXERR_ENTRY_INVALID_CONTROL_FIELD;
	return vmx;
}

static const struct vmx_case {
	const char *name;
	enum failure failure;
	u32 field;
	u64 value;
	const char *says;
} vmx_states[] = {
	{ "CR0.PG without PE", GUEST, GUEST_CR0, X86_CR0_PG, "CR0.PG needs CR0.PE" },
	{ "CR4", GUEST, GUEST_CR4, X86_CR4_PAE | BIT_ULL(40), "CR4 must have only bits" },
	{ "IA-32e without PAE", GUEST, GUEST_CR4, 0, "IA-32e mode needs" },
	{ "LMA outside IA-32e mode", GUEST, VM_ENTRY_CONTROLS, 0, "EFER.LMA must agree" },
	{ "CR3", GUEST, GUEST_CR3, BIT_ULL(52), "CR3 must be a physical address" },
	{ "DEBUGCTL", GUEST, GUEST_IA32_DEBUGCTL, BIT(5), "DEBUGCTL" },
	{ "DR7", GUEST, GUEST_DR7, BIT_ULL(32), "DR7 must be 0" },
	{ "SYSENTER_EIP", GUEST, GUEST_SYSENTER_EIP, BIT_ULL(60), "SYSENTER" },
	{ "PAT", GUEST, GUEST_IA32_PAT, 2, "PAT must hold" },
	{ "EFER", GUEST, GUEST_IA32_EFER, EFER_LME | EFER_LMA | BIT_ULL(12), "EFER must be 0" },
	{ "EFER.LMA", GUEST, GUEST_IA32_EFER, 0, "EFER.LMA must agree" },
	{ "TR in the LDT", GUEST, GUEST_TR_SELECTOR, 4, "TR: the selector must refer" },
	{ "FS base", GUEST, GUEST_FS_BASE, BIT_ULL(60), "FS: the base must be canonical" },
	{ "SS base", GUEST, GUEST_SS_BASE, BIT_ULL(33), "SS: the base must fit" },
	{ "SS unusable", GUEST, GUEST_SS_AR_BYTES, 0x10000, NO_VMX_RULE },
	{ "CS type", GUEST, GUEST_CS_AR_BYTES, 0xa093 & ~1, "CS: the type" },
	{ "SS type", GUEST, GUEST_SS_AR_BYTES, 0xc091, "SS: the type" },
	{ "DS type", GUEST, GUEST_DS_AR_BYTES, 0xc092, "DS: the type" },
	{ "ES is a system segment", GUEST, GUEST_ES_AR_BYTES, 0xc083, "ES: it must be a code" },
	{ "CS DPL", GUEST, GUEST_CS_AR_BYTES, 0xa0fb, "CS.DPL must suit" },
	{ "GS not present", GUEST, GUEST_GS_AR_BYTES, 0xc013, "GS: it must be present" },
	{ "DS reserved rights", GUEST, GUEST_DS_AR_BYTES, 0xc193, "DS: reserved access rights" },
	{ "CS L and D", GUEST, GUEST_CS_AR_BYTES, 0xe09b, "CS: a 64-bit code segment" },
	{ "limit with G", GUEST, GUEST_DS_LIMIT, 0xfffffffe, "DS: the limit must suit G" },
	{ "limit without G", GUEST, GUEST_TR_LIMIT, 0x100000, "TR: the limit must suit G" },
	{ "TR not busy", GUEST, GUEST_TR_AR_BYTES, 0x89, "TR: it must be a usable busy TSS" },
	{ "TR unusable", GUEST, GUEST_TR_AR_BYTES, 0x1008b, "TR: it must be a usable busy TSS" },
	{ "LDTR type", GUEST, GUEST_LDTR_AR_BYTES, 0x83, "LDTR: it must be an LDT" },
	{ "GDTR base", GUEST, GUEST_GDTR_BASE, BIT_ULL(60), "GDTR" },
	{ "IDTR limit", GUEST, GUEST_IDTR_LIMIT, 0x10000, "IDTR" },
	{ "RIP", GUEST, GUEST_RIP, BIT_ULL(60), "RIP must be canonical" },
	{ "RFLAGS bit 1", GUEST, GUEST_RFLAGS, 0, "reserved bits of RFLAGS" },
	{ "RFLAGS bit 15", GUEST, GUEST_RFLAGS, X86_EFLAGS_FIXED | BIT(15), "bits of RFLAGS" },
	{ "RFLAGS.VM", GUEST, GUEST_RFLAGS, X86_EFLAGS_FIXED | X86_EFLAGS_VM, "RFLAGS.VM needs" },
	{ "activity", GUEST, GUEST_ACTIVITY_STATE, 4, "activity state" },
	{ "interruptibility", GUEST, GUEST_INTERRUPTIBILITY_INFO, BIT(5), "interruptibility" },
	{ "both shadows", GUEST, GUEST_INTERRUPTIBILITY_INFO, 3, "STI and MOV SS" },
	{ "STI without IF", GUEST, GUEST_INTERRUPTIBILITY_INFO, 1, "blocking by STI needs" },
	{ "pending debug", GUEST, GUEST_PENDING_DBG_EXCEPTIONS, BIT(5), "pending debug" },
	{ "link pointer", GUEST, VMCS_LINK_POINTER, 0, "link pointer" },
	{ "MSR bitmap", CONTROLS, MSR_BITMAP, 0x123, "MSR bitmap" },
	{ "virtual-APIC page", CONTROLS, VIRTUAL_APIC_PAGE_ADDR, BIT_ULL(52), "virtual-APIC page" },
	{ "VPID 0", CONTROLS, SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_VPID, "VPID" },
	{ "log off", CONTROLS, PML_ADDRESS, 0x123, NO_VMX_RULE },
	{ "log needs EPT", CONTROLS, SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_PML,
	  "page-modification log" },
	{ "EPTP type", CONTROLS, EPT_POINTER, 0x2000 | VMX_EPTP_PWL_4, "EPTP" },
	{ "EPTP A/D", CONTROLS, EPT_POINTER,
	  VMX_EPTP_MT_WB | VMX_EPTP_PWL_4 | VMX_EPTP_AD_ENABLE_BIT | 0x2000, "EPTP" },
	{ "host CR0", HOST, HOST_CR0, X86_CR0_PE, "host CR0" },
	{ "host CR4", HOST, HOST_CR4, 0, "host CR4" },
	{ "host EFER", HOST, HOST_IA32_EFER, EFER_LMA, "host EFER" },
	{ "host PAT", HOST, HOST_IA32_PAT, 3, "host PAT" },
	{ "host GS base", HOST, HOST_GS_BASE, BIT_ULL(60), "host bases" },
	{ "host RIP", HOST, HOST_RIP, BIT_ULL(60), "host RIP" },
};
TEST_PARAMS(vmx_states);

static void vmx_rule(struct kunit *test)
{
	const struct vmx_case *p = test->param_value;
	struct vitro_vmx *vmx = good_vmx(test, p->failure);
	char *buffer = kunit_kzalloc(test, TEXT_SIZE, GFP_KERNEL);
	struct seq_buf text;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	seq_buf_init(&text, buffer, TEXT_SIZE - 1);
	vmx_explain(&vmx->vcpu, &text);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(buffer, NO_VMX_RULE), "it says: %s", buffer);
	memset(buffer, 0, TEXT_SIZE);
	seq_buf_init(&text, buffer, TEXT_SIZE - 1);
	fake_vmcs[p->field] = p->value;
	vmx_explain(&vmx->vcpu, &text);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(buffer, p->says), "it says: %s", buffer);
}

static const struct vmx_event_case {
	const char *name;
	enum failure failure;
	u32 info, error_code, insn_len, intr_state, activity;
	const char *says;
} vmx_events[] = {
	{ "NMI with another vector", CONTROLS, INTR_INFO_VALID_MASK | INTR_TYPE_NMI_INTR | 3,
	  .says = "vector must suit" },
	{ "exception 32", CONTROLS, INTR_INFO_VALID_MASK | INTR_TYPE_HARD_EXCEPTION | 32,
	  .says = "vector must suit" },
	{ "error code of an interrupt", CONTROLS,
	  INTR_INFO_VALID_MASK | INTR_TYPE_EXT_INTR | INTR_INFO_DELIVER_CODE_MASK | 0x51,
	  .says = "error code" },
	{ "error code with 17 bits", CONTROLS,
	  INTR_INFO_VALID_MASK | INTR_TYPE_HARD_EXCEPTION | INTR_INFO_DELIVER_CODE_MASK | 13,
	  0x10000, .says = "error code" },
	{ "INT n without length", CONTROLS, INTR_INFO_VALID_MASK | INTR_TYPE_SOFT_INTR | 0x80,
	  .says = "instruction length" },
	{ "INT n with 16 bytes", CONTROLS, INTR_INFO_VALID_MASK | INTR_TYPE_SOFT_INTR | 0x80,
	  .insn_len = 16, .says = "instruction length" },
	{ "INT n", CONTROLS, INTR_INFO_VALID_MASK | INTR_TYPE_SOFT_INTR | 0x80, .insn_len = 2,
	  .says = NO_VMX_RULE },
	{ "interrupt without IF", GUEST, INTR_INFO_VALID_MASK | INTR_TYPE_EXT_INTR | 0x51,
	  .says = "needs RFLAGS.IF" },
	{ "interrupt in a shadow", GUEST, INTR_INFO_VALID_MASK | INTR_TYPE_EXT_INTR | 0x51,
	  .intr_state = GUEST_INTR_STATE_MOV_SS, .says = "no external interrupt in" },
	{ "NMI while blocked", GUEST, INTR_INFO_VALID_MASK | INTR_TYPE_NMI_INTR | 2,
	  .intr_state = GUEST_INTR_STATE_NMI, .says = "no NMI in" },
	{ "NMI while halted", GUEST, INTR_INFO_VALID_MASK | INTR_TYPE_NMI_INTR | 2,
	  .activity = GUEST_ACTIVITY_HLT, .says = NO_VMX_RULE },
	{ "#DB while halted", GUEST, INTR_INFO_VALID_MASK | INTR_TYPE_HARD_EXCEPTION | 1,
	  .activity = GUEST_ACTIVITY_HLT, .says = NO_VMX_RULE },
	{ "#UD while halted", GUEST, INTR_INFO_VALID_MASK | INTR_TYPE_HARD_EXCEPTION | 6,
	  .activity = GUEST_ACTIVITY_HLT, .says = "wakes to no such event" },
	{ "halted in a shadow", GUEST, .intr_state = GUEST_INTR_STATE_MOV_SS,
	  .activity = GUEST_ACTIVITY_HLT, .says = "active in an interrupt shadow" },
};
TEST_PARAMS(vmx_events);

static void vmx_event(struct kunit *test)
{
	const struct vmx_event_case *p = test->param_value;
	struct vitro_vmx *vmx = good_vmx(test, p->failure);
	char *buffer = kunit_kzalloc(test, TEXT_SIZE, GFP_KERNEL);
	struct seq_buf text;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	seq_buf_init(&text, buffer, TEXT_SIZE - 1);
	vmx->failed = (struct vmx_injection) { p->info, p->error_code, p->insn_len };
	fake_vmcs[GUEST_INTERRUPTIBILITY_INFO] = p->intr_state;
	fake_vmcs[GUEST_ACTIVITY_STATE] = p->activity;
	vmx_explain(&vmx->vcpu, &text);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(buffer, p->says), "it says: %s", buffer);
}

static struct kunit_case explain_cases[] = {
	KUNIT_CASE_PARAM(svm_rule, svm_states_gen_params),
	KUNIT_CASE_PARAM(svm_event, svm_events_gen_params),
	KUNIT_CASE_PARAM(vmx_rule, vmx_states_gen_params),
	KUNIT_CASE_PARAM(vmx_event, vmx_events_gen_params),
	{}
};

TEST_BARE_SUITE(explain, NULL);
