// SPDX-License-Identifier: GPL-2.0-only
/*
 * SVM: from the fields of a VMCB to struct vitro_exit (APM, SVM Intercept
 * Codes; IOIO Intercepts; Nested versus Guest Page Faults, Fault Ordering).
 */
#include <linux/slab.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../svm/svm.h"
#include "fixture.h"

#define RIP	0x1000ULL

/* A vCPU as far as svm/exit.c and svm/inject.c look at one. */
static int init_svm(struct kunit *test)
{
	struct svm_vcpu *svm = kunit_kzalloc(test, sizeof(*svm), GFP_KERNEL);

	if (!svm)
		return -ENOMEM;
	svm->vmcb = kunit_kzalloc(test, sizeof(*svm->vmcb), GFP_KERNEL);
	if (!svm->vmcb)
		return -ENOMEM;
	svm->vcpu.regs_avail = ~0UL;
	svm->vcpu.cr0 = X86_CR0_PE;
	svm->vcpu.rip = RIP;
	svm->vmcb->save.rip = RIP;
	svm->vmcb->save.dr6 = SVM_DR6_QUIET;
	svm->vmcb->control.clean = ~0U;
	svm_caps = (struct svm_caps) { .nrips = true, .decode_assists = true, .nr_asids = 16 };
	test->priv = svm;
	return 0;
}

static const struct code_case {
	const char *name;
	u32 code;
	u64 info1, info2;
	u8 len;			/* by NRIP save */
	u32 reason;
	u8 insn_len;
} codes[] = {
	{ "INTR", SVM_EXIT_INTR, 0, 0, 3, VITRO_EXIT_INTR, 0 },
	{ "NMI", SVM_EXIT_NMI, 0, 0, 3, VITRO_EXIT_NMI, 0 },
	{ "SMI", SVM_EXIT_SMI, 0, 0, 3, VITRO_EXIT_RESUME, 0 },
	{ "INIT", SVM_EXIT_INIT, 0, 0, 3, VITRO_EXIT_RESUME, 0 },
	{ "VINTR", SVM_EXIT_VINTR, 0, 0, 3, VITRO_EXIT_IRQ_WINDOW, 0 },
	{ "CPUID", SVM_EXIT_CPUID, 0, 0, 2, VITRO_EXIT_CPUID, 2 },
	{ "CPUID, longest", SVM_EXIT_CPUID, 0, 0, 15, VITRO_EXIT_CPUID, 15 },
	{ "CPUID, length that cannot be", SVM_EXIT_CPUID, 0, 0, 16, VITRO_EXIT_CPUID, 0 },
	{ "HLT", SVM_EXIT_HLT, 0, 0, 1, VITRO_EXIT_HLT, 1 },
	{ "PAUSE", SVM_EXIT_PAUSE, 0, 0, 2, VITRO_EXIT_PAUSE, 2 },
	{ "RDPMC", SVM_EXIT_RDPMC, 0, 0, 2, VITRO_EXIT_RDPMC, 2 },
	{ "INVD", SVM_EXIT_INVD, 0, 0, 2, VITRO_EXIT_CACHE, 2 },
	{ "WBINVD", SVM_EXIT_WBINVD, 0, 0, 2, VITRO_EXIT_CACHE, 2 },
	{ "RDMSR", SVM_EXIT_MSR, 0, 0, 2, VITRO_EXIT_RDMSR, 2 },
	{ "WRMSR", SVM_EXIT_MSR, 1, 0, 2, VITRO_EXIT_WRMSR, 2 },
	{ "VMMCALL", SVM_EXIT_VMMCALL, 0, 0, 3, VITRO_EXIT_HYPERCALL, 3 },
	{ "VMRUN", SVM_EXIT_VMRUN, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "VMLOAD", SVM_EXIT_VMLOAD, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "VMSAVE", SVM_EXIT_VMSAVE, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "STGI", SVM_EXIT_STGI, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "CLGI", SVM_EXIT_CLGI, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "SKINIT", SVM_EXIT_SKINIT, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "INVLPGA", SVM_EXIT_INVLPGA, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "INVLPGB", SVM_CODE_INVLPGB, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "TLBSYNC", SVM_CODE_TLBSYNC, 0, 0, 3, VITRO_EXIT_UD_INSN, 3 },
	{ "MONITOR", SVM_EXIT_MONITOR, 0, 0, 3, VITRO_EXIT_MWAIT, 3 },
	{ "MWAIT", SVM_EXIT_MWAIT, 0, 0, 3, VITRO_EXIT_MWAIT, 3 },
	{ "XSETBV", SVM_EXIT_XSETBV, 0, 0, 3, VITRO_EXIT_XSETBV, 3 },
	{ "#BP", SVM_EXIT_EXCP_BASE + X86_TRAP_BP, 0, 0, 1, VITRO_EXIT_EXCEPTION, 0 },
	{ "#PF", SVM_EXIT_EXCP_BASE + X86_TRAP_PF, 0, 0x1000, 0, VITRO_EXIT_EXCEPTION, 0 },
	{ "not intercepted: NMI vector", SVM_EXIT_EXCP_BASE + X86_TRAP_NMI, 0, 0, 0,
	  VITRO_EXIT_UNKNOWN, 0 },
	{ "not intercepted: CR2", SVM_EXIT_READ_CR0 + 2, 0, 0, 0, VITRO_EXIT_UNKNOWN, 0 },
	{ "not intercepted: RSM", SVM_EXIT_RSM, 0, 0, 0, VITRO_EXIT_UNKNOWN, 0 },
	{ "beyond the table", SVM_NR_CODES, 0, 0, 0, VITRO_EXIT_UNKNOWN, 0 },
	{ "AVIC", SVM_EXIT_AVIC_INCOMPLETE_IPI, 0, 0, 0, VITRO_EXIT_UNKNOWN, 0 },
	{ "wild", 0x7fffffff, 0, 0, 0, VITRO_EXIT_UNKNOWN, 0 },
};
TEST_PARAMS(codes);

static struct vitro_exit decode(struct svm_vcpu *svm, u32 code, u64 info1, u64 info2)
{
	struct vitro_exit exit;

	memset(&exit, 0xa5, sizeof(exit));
	svm->vmcb->control.exit_code = code;
	svm->vmcb->control.exit_info_1 = info1;
	svm->vmcb->control.exit_info_2 = info2;
	svm_decode_exit(svm, &exit);
	return exit;
}

static void code(struct kunit *test)
{
	const struct code_case *p = test->param_value;
	struct svm_vcpu *svm = test->priv;
	struct vitro_exit exit;

	svm->vmcb->control.next_rip = RIP + p->len;
	exit = decode(svm, p->code, p->info1, p->info2);
	KUNIT_EXPECT_EQ(test, exit.reason, p->reason);
	KUNIT_EXPECT_EQ(test, exit.insn_len, p->insn_len);
	KUNIT_EXPECT_EQ(test, exit.hw_reason, (u64)p->code);
	KUNIT_EXPECT_EQ(test, exit.hw_info, p->info1);
	/* Without NRIP save common code has to find the length. */
	svm_caps.nrips = false;
	exit = decode(svm, p->code, p->info1, p->info2);
	KUNIT_EXPECT_EQ(test, exit.reason, p->reason);
	KUNIT_EXPECT_EQ(test, exit.insn_len, 0);
}

static const struct io_case {
	const char *name;
	u64 info1, next_rip;
	u16 port;
	u8 size;
	bool in, string, rep;
	u8 insn_len;
} ios[] = {
	{ "out %al, $0x80", 0x00800010, RIP + 2, 0x80, 1, false, false, false, 2 },
	{ "in (%dx), %al", 0x03f80011, RIP + 1, 0x3f8, 1, true, false, false, 1 },
	{ "in, 16 bits", 0x01f00021, RIP + 2, 0x1f0, 2, true, false, false, 2 },
	{ "out, 32 bits", 0x0cf80040, RIP + 1, 0xcf8, 4, false, false, false, 1 },
	{ "rep insw", 0x01f0002d, RIP + 3, 0x1f0, 2, true, true, true, 3 },
	{ "outsb", 0x03f80014, RIP + 1, 0x3f8, 1, false, true, false, 1 },
	{ "last port", 0xffff0010, RIP + 1, 0xffff, 1, false, false, false, 1 },
	{ "next RIP that cannot be", 0x00800010, RIP + 16, 0x80, 1, false, false, false, 0 },
	{ "next RIP below", 0x00800010, RIP - 1, 0x80, 1, false, false, false, 0 },
};
TEST_PARAMS(ios);

static void io(struct kunit *test)
{
	const struct io_case *p = test->param_value;
	struct vitro_exit exit = decode(test->priv, SVM_EXIT_IOIO, p->info1, p->next_rip);

	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_IO);
	KUNIT_EXPECT_EQ(test, exit.io.port, p->port);
	KUNIT_EXPECT_EQ(test, exit.io.size, p->size);
	KUNIT_EXPECT_EQ(test, exit.io.in, p->in);
	KUNIT_EXPECT_EQ(test, exit.io.string, p->string);
	KUNIT_EXPECT_EQ(test, exit.io.rep, p->rep);
	KUNIT_EXPECT_EQ(test, exit.insn_len, p->insn_len);
}

static const struct register_case {
	const char *name;
	u32 code;
	u64 info1;
	bool assists;
	u8 reg, gpr;
	bool write;
	u8 insn_len;
} registers[] = {
	{ "mov %rax, %cr0", SVM_EXIT_WRITE_CR0, BIT_ULL(63), true, 0, 0, true, 3 },
	{ "mov %r9, %cr4", SVM_EXIT_WRITE_CR4, BIT_ULL(63) | 9, true, 4, 9, true, 3 },
	{ "mov %cr0, %rdi", SVM_EXIT_READ_CR0, BIT_ULL(63) | 7, true, 0, 7, false, 3 },
	{ "mov %rcx, %cr8", SVM_EXIT_WRITE_CR8, BIT_ULL(63) | 1, true, 8, 1, true, 3 },
	{ "CLTS or LMSW", SVM_EXIT_WRITE_CR0, 0, true, 0, 0xff, true, 0 },
	{ "no decode assists", SVM_EXIT_WRITE_CR0, BIT_ULL(63) | 3, false, 0, 0xff, true, 0 },
	{ "mov %rdx, %dr7", SVM_EXIT_WRITE_DR7, 2, true, 7, 2, true, 3 },
	{ "mov %dr0, %r15", SVM_EXIT_READ_DR0, 15, true, 0, 15, false, 3 },
	{ "mov %rax, %dr0", SVM_EXIT_WRITE_DR0, 0, true, 0, 0, true, 3 },
	{ "mov %dr6, no assists", SVM_EXIT_READ_DR6, 0, false, 6, 0xff, false, 0 },
};
TEST_PARAMS(registers);

static void register_access(struct kunit *test)
{
	const struct register_case *p = test->param_value;
	struct svm_vcpu *svm = test->priv;
	struct vitro_exit exit;

	svm_caps.decode_assists = p->assists;
	svm->vmcb->control.next_rip = RIP + 3;
	exit = decode(svm, p->code, p->info1, 0);
	KUNIT_EXPECT_EQ(test, exit.insn_len, p->insn_len);
	if (p->code >= SVM_EXIT_READ_DR0) {
		KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_DR);
		KUNIT_EXPECT_EQ(test, exit.dr.dr, p->reg);
		KUNIT_EXPECT_EQ(test, exit.dr.gpr, p->gpr);
		KUNIT_EXPECT_EQ(test, exit.dr.write, p->write);
		return;
	}
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_CR);
	KUNIT_EXPECT_EQ(test, exit.cr.cr, p->reg);
	KUNIT_EXPECT_EQ(test, exit.cr.gpr, p->gpr);
	KUNIT_EXPECT_EQ(test, exit.cr.op, p->write ? VITRO_CR_WRITE : VITRO_CR_READ);
}

static const struct fault_case {
	const char *name;
	u64 info1, gpa;
	u8 access;
	bool present, walk;
} faults[] = {
	{ "read, not present", BIT_ULL(2) | BIT_ULL(32), 0x1234, VITRO_ACC_READ, false, false },
	{ "write, not present", BIT_ULL(1) | BIT_ULL(2) | BIT_ULL(32), 0xfee00300, VITRO_ACC_WRITE,
	  false, false },
	{ "write, not permitted", BIT_ULL(0) | BIT_ULL(1) | BIT_ULL(2) | BIT_ULL(32), 0x5000,
	  VITRO_ACC_WRITE, true, false },
	{ "fetch", BIT_ULL(2) | BIT_ULL(4) | BIT_ULL(32), 0x7000, VITRO_ACC_EXEC, false, false },
	{ "walk of the guest's tables", BIT_ULL(1) | BIT_ULL(2) | BIT_ULL(33), 0x8000,
	  VITRO_ACC_WRITE, false, true },
	{ "high address", BIT_ULL(2) | BIT_ULL(32), 0xfffffffff000, VITRO_ACC_READ, false, false },
};
TEST_PARAMS(faults);

static void nested_fault(struct kunit *test)
{
	const struct fault_case *p = test->param_value;
	struct vitro_exit exit = decode(test->priv, SVM_EXIT_NPF, p->info1, p->gpa);

	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_TDP_FAULT);
	KUNIT_EXPECT_EQ(test, exit.fault.gpa, p->gpa);
	KUNIT_EXPECT_EQ(test, exit.fault.access, p->access);
	KUNIT_EXPECT_EQ(test, exit.fault.present, p->present);
	KUNIT_EXPECT_EQ(test, exit.fault.walk, p->walk);
}

static const struct task_case {
	const char *name;
	u64 info1, info2;
	u32 int_info;
	u16 selector;
	u8 reason;
	bool has_error;
	u32 error;
} tasks[] = {
	{ "CALL", 0x28, 0, 0, 0x28, VITRO_TASK_CALL, false, 0 },
	{ "JMP", 0x30, BIT_ULL(38), 0, 0x30, VITRO_TASK_JMP, false, 0 },
	{ "IRET", 0x38, BIT_ULL(36), 0, 0x38, VITRO_TASK_IRET, false, 0 },
	{ "gate, with error code", 0x40, BIT_ULL(44) | 0x1234,
	  SVM_EXITINTINFO_VALID | SVM_EXITINTINFO_TYPE_EXEPT | X86_TRAP_DF, 0x40, VITRO_TASK_GATE,
	  true, 0x1234 },
};
TEST_PARAMS(tasks);

static void task_switch(struct kunit *test)
{
	const struct task_case *p = test->param_value;
	struct svm_vcpu *svm = test->priv;
	struct vitro_exit exit;

	svm->vmcb->control.exit_int_info = p->int_info;
	exit = decode(svm, SVM_EXIT_TASK_SWITCH, p->info1, p->info2);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_TASK_SWITCH);
	KUNIT_EXPECT_EQ(test, exit.task.selector, p->selector);
	KUNIT_EXPECT_EQ(test, exit.task.reason, p->reason);
	KUNIT_EXPECT_EQ(test, exit.task.has_error_code, p->has_error);
	if (p->has_error)
		KUNIT_EXPECT_EQ(test, exit.task.error_code, p->error);
	/* The task switch delivers the event: it must not be delivered again. */
	KUNIT_EXPECT_FALSE(test, svm->vcpu.events.exception.injected);
}

static void exceptions(struct kunit *test)
{
	struct svm_vcpu *svm = test->priv;
	struct vitro_exit exit;

	exit = decode(svm, SVM_EXIT_EXCP_BASE + X86_TRAP_AC, 0, 0);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_EXCEPTION);
	KUNIT_EXPECT_EQ(test, exit.exception.vector, X86_TRAP_AC);
	KUNIT_EXPECT_TRUE(test, exit.exception.has_error_code);
	/* #DB: what is new in DR6, which is made quiet for the next one. */
	svm->vmcb->save.dr6 = SVM_DR6_QUIET | BIT(14) | BIT(2);
	exit = decode(svm, SVM_EXIT_EXCP_BASE + X86_TRAP_DB, 0, 0);
	KUNIT_EXPECT_EQ(test, exit.exception.vector, X86_TRAP_DB);
	KUNIT_EXPECT_FALSE(test, exit.exception.has_error_code);
	KUNIT_EXPECT_EQ(test, exit.exception.payload, (u64)(BIT(14) | BIT(2)));
	KUNIT_EXPECT_EQ(test, svm->vmcb->save.dr6, (u64)SVM_DR6_QUIET);
	KUNIT_EXPECT_EQ(test, svm->vmcb->control.clean & BIT(SVM_CLEAN_DR), 0U);
}

#define EVENT(type, vector)	(SVM_EXITINTINFO_VALID | SVM_EXITINTINFO_TYPE_##type | (vector))

static void interrupted_delivery(struct kunit *test)
{
	struct svm_vcpu *svm = test->priv;
	struct vitro_events *events = &svm->vcpu.events;
	struct vmcb_control_area *control = &svm->vmcb->control;

	control->exit_int_info = EVENT(INTR, 0x51);
	decode(svm, SVM_EXIT_NPF, 0, 0);
	KUNIT_EXPECT_TRUE(test, events->irq.injected);
	KUNIT_EXPECT_FALSE(test, events->irq.soft);
	KUNIT_EXPECT_EQ(test, events->irq.vector, 0x51);

	control->exit_int_info = EVENT(EXEPT, X86_TRAP_GP) | SVM_EXITINTINFO_VALID_ERR;
	control->exit_int_info_err = 0x18;
	decode(svm, SVM_EXIT_NPF, 0, 0);
	KUNIT_EXPECT_TRUE(test, events->exception.injected);
	KUNIT_EXPECT_EQ(test, events->exception.vector, X86_TRAP_GP);
	KUNIT_EXPECT_TRUE(test, events->exception.has_error_code);
	KUNIT_EXPECT_EQ(test, events->exception.error_code, 0x18U);

	/* An NMI whose delivery did not complete blocks none. */
	svm_set_nmi_mask(&svm->vcpu, true);
	control->exit_int_info = EVENT(NMI, X86_TRAP_NMI);
	decode(svm, SVM_EXIT_NPF, 0, 0);
	KUNIT_EXPECT_TRUE(test, events->nmi.injected);
	KUNIT_EXPECT_FALSE(test, svm_get_nmi_mask(&svm->vcpu));

	/* What an instruction raises, the instruction raises again. */
	memset(events, 0, sizeof(*events));
	control->exit_int_info = EVENT(SOFT, 0x80);
	decode(svm, SVM_EXIT_NPF, 0, 0);
	control->exit_int_info = EVENT(EXEPT, X86_TRAP_BP);
	decode(svm, SVM_EXIT_NPF, 0, 0);
	KUNIT_EXPECT_FALSE(test, events->irq.injected);
	KUNIT_EXPECT_FALSE(test, events->exception.injected);
}

static void soft_injection_without_nrips(struct kunit *test)
{
	struct svm_vcpu *svm = test->priv;

	svm_caps.nrips = false;
	svm_inject_irq(&svm->vcpu, 0x80, true, 2);
	KUNIT_EXPECT_EQ(test, svm->vcpu.rip, RIP + 2);
	KUNIT_EXPECT_EQ(test, svm->vmcb->control.event_inj,
			0x80U | SVM_EVTINJ_TYPE_SOFT | SVM_EVTINJ_VALID);
	/* Not delivered: RIP goes back. */
	svm->vmcb->control.exit_int_info = EVENT(SOFT, 0x80);
	decode(svm, SVM_EXIT_NPF, 0, 0);
	KUNIT_EXPECT_EQ(test, svm->vcpu.rip, RIP);
	KUNIT_EXPECT_EQ(test, svm->vmcb->control.event_inj, 0U);
	/* With NRIP save the VMCB has the address to push. */
	svm_caps.nrips = true;
	svm_inject_exception(&svm->vcpu, X86_TRAP_BP, false, 0);
	KUNIT_EXPECT_EQ(test, svm->vcpu.rip, RIP);
	KUNIT_EXPECT_EQ(test, svm->vmcb->control.next_rip, RIP + 1);
}

static void refused_entry(struct kunit *test)
{
	struct svm_vcpu *svm = test->priv;
	struct vitro_exit exit;

	svm_inject_exception(&svm->vcpu, X86_TRAP_GP, true, 0x28);
	exit = decode(svm, (u32)SVM_EXIT_ERR, 0, 0);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_ENTRY_FAILED);
	KUNIT_EXPECT_EQ(test, exit.fail.code, (u64)(u32)SVM_EXIT_ERR);
	/* What it was to inject is back, and known for the explanation. */
	KUNIT_EXPECT_TRUE(test, svm->vcpu.events.exception.injected);
	KUNIT_EXPECT_EQ(test, svm->vcpu.events.exception.error_code, 0x28U);
	KUNIT_EXPECT_EQ(test, svm->vmcb->control.event_inj, 0U);
	KUNIT_EXPECT_EQ(test, svm->failed_event & SVM_EVTINJ_VEC_MASK, X86_TRAP_GP);
}

static void irq_window(struct kunit *test)
{
	struct svm_vcpu *svm = test->priv;
	struct vmcb_control_area *control = &svm->vmcb->control;

	svm_request_irq_window(&svm->vcpu);
	KUNIT_EXPECT_TRUE(test, svm_intercepts(svm->vmcb, INTERCEPT_VINTR));
	KUNIT_EXPECT_EQ(test, control->int_ctl & V_IRQ_MASK, (u32)V_IRQ_MASK);
	KUNIT_EXPECT_EQ(test, control->clean & BIT(SVM_CLEAN_INTR), 0U);
	decode(svm, SVM_EXIT_VINTR, 0, 0);
	KUNIT_EXPECT_FALSE(test, svm_intercepts(svm->vmcb, INTERCEPT_VINTR));
	KUNIT_EXPECT_EQ(test, control->int_ctl & V_IRQ_MASK, 0U);
}

static void nmi_handler_ends(struct kunit *test)
{
	struct svm_vcpu *svm = test->priv;
	struct vitro_vcpu *vcpu = &svm->vcpu;
	struct vitro_exit exit;

	svm_inject_nmi(vcpu);
	KUNIT_EXPECT_TRUE(test, svm_intercepts(svm->vmcb, INTERCEPT_IRET));
	decode(svm, SVM_EXIT_INTR, 0, 0);
	KUNIT_EXPECT_FALSE(test, svm_nmi_allowed(vcpu));
	svm_request_nmi_window(vcpu);
	/* The intercept comes before the IRET: NMIs stay blocked until that has executed. */
	exit = decode(svm, SVM_EXIT_IRET, 0, 0);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_NMI_WINDOW);
	KUNIT_EXPECT_EQ(test, exit.insn_len, 0);
	KUNIT_EXPECT_FALSE(test, svm_nmi_allowed(vcpu));
	svm_request_nmi_window(vcpu);
	KUNIT_EXPECT_EQ(test, svm->step, SVM_STEP_IRET);
	svm_start_step(svm);
	KUNIT_EXPECT_NE(test, svm->vmcb->save.rflags & X86_EFLAGS_TF, 0ULL);
	vcpu->rip = RIP + 100;
	svm->vmcb->save.dr6 = SVM_DR6_QUIET | BIT(14);
	exit = decode(svm, SVM_EXIT_EXCP_BASE + X86_TRAP_DB, 0, 0);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_NMI_WINDOW);
	KUNIT_EXPECT_EQ(test, svm->step, SVM_STEP_NONE);
	KUNIT_EXPECT_TRUE(test, svm_nmi_allowed(vcpu));
}

static void tpr(struct kunit *test)
{
	struct svm_vcpu *svm = test->priv;

	svm->vcpu.lapic = (void *)1;
	svm_update_tpr(&svm->vcpu, 0x53, -1);
	KUNIT_EXPECT_EQ(test, svm->vmcb->control.int_ctl & V_TPR_MASK, 5U);
	KUNIT_EXPECT_FALSE(test, svm_intercepts(svm->vmcb, INTERCEPT_CR8_WRITE));
	/* A request waits that a lower CR8 would let through. */
	svm_update_tpr(&svm->vcpu, 0x53, 5);
	KUNIT_EXPECT_TRUE(test, svm_intercepts(svm->vmcb, INTERCEPT_CR8_WRITE));
	svm_update_tpr(&svm->vcpu, 0x53, 6);
	KUNIT_EXPECT_FALSE(test, svm_intercepts(svm->vmcb, INTERCEPT_CR8_WRITE));
	/* A window is requested by V_IRQ. */
	svm_request_irq_window(&svm->vcpu);
	svm_update_tpr(&svm->vcpu, 0x53, -1);
	KUNIT_EXPECT_TRUE(test, svm_intercepts(svm->vmcb, INTERCEPT_CR8_WRITE));
	svm_close_irq_window(svm);
	svm_update_tpr(&svm->vcpu, 0x53, -1);
	KUNIT_EXPECT_FALSE(test, svm_intercepts(svm->vmcb, INTERCEPT_CR8_WRITE));
	svm->vcpu.lapic = NULL;
	svm_update_tpr(&svm->vcpu, 0, -1);
	KUNIT_EXPECT_TRUE(test, svm_intercepts(svm->vmcb, INTERCEPT_CR8_WRITE));
}

static struct kunit_case svm_exit_cases[] = {
	KUNIT_CASE_PARAM(code, codes_gen_params),
	KUNIT_CASE_PARAM(io, ios_gen_params),
	KUNIT_CASE_PARAM(register_access, registers_gen_params),
	KUNIT_CASE_PARAM(nested_fault, faults_gen_params),
	KUNIT_CASE_PARAM(task_switch, tasks_gen_params),
	KUNIT_CASE(exceptions),
	KUNIT_CASE(interrupted_delivery),
	KUNIT_CASE(soft_injection_without_nrips),
	KUNIT_CASE(refused_entry),
	KUNIT_CASE(irq_window),
	KUNIT_CASE(nmi_handler_ends),
	KUNIT_CASE(tpr),
	{}
};

TEST_BARE_SUITE(svm_exit, init_svm);
