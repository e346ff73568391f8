// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMX: from the fields of a VMCS to struct vitro_exit (SDM, VM Exits:
 * Recording VM-Exit Information).
 */
#include <linux/slab.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../vmx/vmx.h"
#include "fixture.h"

/* A vCPU as far as vmx/exit.c and vmx/inject.c look at one. */
static int init_vmx(struct kunit *test)
{
	struct vitro_vmx *vmx = kunit_kzalloc(test, sizeof(*vmx), GFP_KERNEL);

	if (!vmx)
		return -ENOMEM;
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	vmx->vcpu.regs_avail = ~0UL;
	vmx->vcpu.cr0 = X86_CR0_PE;
	vmx->vcpu.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
	test->priv = vmx;
	return 0;
}

static struct vitro_exit decode(struct vitro_vmx *vmx, u32 reason, u64 qualification)
{
	struct vitro_exit exit;

	memset(&exit, 0xa5, sizeof(exit));
	vmx->exit_reason = reason;
	vmx->intr_state_known = false;
	fake_vmcs[VM_EXIT_REASON] = reason;
	fake_vmcs[EXIT_QUALIFICATION] = qualification;
	vmx->exit_intr_info = fake_vmcs[VM_EXIT_INTR_INFO];
	vmx_decode_exit(vmx, &exit);
	return exit;
}

static const struct reason_case {
	const char *name;
	u32 number;
	u32 reason;
	u8 insn_len;		/* when the VMCS says 3 */
} reasons[] = {
	{ "external interrupt", 1, VITRO_EXIT_INTR, 0 },
	{ "triple fault", 2, VITRO_EXIT_TRIPLE_FAULT, 0 },
	{ "INIT", 3, VITRO_EXIT_INTR, 0 },
	{ "interrupt window", 7, VITRO_EXIT_IRQ_WINDOW, 0 },
	{ "NMI window", 8, VITRO_EXIT_NMI_WINDOW, 0 },
	{ "CPUID", 10, VITRO_EXIT_CPUID, 3 },
	{ "GETSEC", 11, VITRO_EXIT_UD_INSN, 3 },
	{ "HLT", 12, VITRO_EXIT_HLT, 3 },
	{ "INVD", 13, VITRO_EXIT_CACHE, 3 },
	{ "INVLPG", 14, VITRO_EXIT_INVLPG, 3 },
	{ "RDPMC", 15, VITRO_EXIT_RDPMC, 3 },
	{ "VMCALL", 18, VITRO_EXIT_HYPERCALL, 3 },
	{ "VMCLEAR", 19, VITRO_EXIT_UD_INSN, 3 },
	{ "VMLAUNCH", 20, VITRO_EXIT_UD_INSN, 3 },
	{ "VMREAD", 23, VITRO_EXIT_UD_INSN, 3 },
	{ "VMXOFF", 26, VITRO_EXIT_UD_INSN, 3 },
	{ "VMXON", 27, VITRO_EXIT_UD_INSN, 3 },
	{ "RDMSR", 31, VITRO_EXIT_RDMSR, 3 },
	{ "WRMSR", 32, VITRO_EXIT_WRMSR, 3 },
	{ "MWAIT", 36, VITRO_EXIT_MWAIT, 3 },
	{ "MONITOR", 39, VITRO_EXIT_MWAIT, 3 },
	{ "PAUSE", 40, VITRO_EXIT_PAUSE, 3 },
	{ "TPR below threshold", 43, VITRO_EXIT_TPR, 0 },
	{ "INVEPT", 50, VITRO_EXIT_UD_INSN, 3 },
	{ "RDTSCP", 51, VITRO_EXIT_UD_INSN, 3 },
	{ "preemption timer", 52, VITRO_EXIT_INTR, 0 },
	{ "INVVPID", 53, VITRO_EXIT_UD_INSN, 3 },
	{ "WBINVD", 54, VITRO_EXIT_CACHE, 3 },
	{ "XSETBV", 55, VITRO_EXIT_XSETBV, 3 },
	{ "INVPCID", 58, VITRO_EXIT_UD_INSN, 3 },
	{ "VMFUNC", 59, VITRO_EXIT_UD_INSN, 3 },
	{ "ENCLS", 60, VITRO_EXIT_UD_INSN, 3 },
	{ "XSAVES", 63, VITRO_EXIT_UD_INSN, 3 },
	{ "XRSTORS", 64, VITRO_EXIT_UD_INSN, 3 },
	{ "UMWAIT", 67, VITRO_EXIT_UD_INSN, 3 },
	{ "not asked for: SIPI", 4, VITRO_EXIT_UNKNOWN, 0 },
	{ "not asked for: RDTSC", 16, VITRO_EXIT_UNKNOWN, 0 },
	{ "page-modification log full", 62, VITRO_EXIT_LOG_FULL, 0 },
	{ "unknown: 69 and more", 80, VITRO_EXIT_UNKNOWN, 0 },
	{ "unknown: wild", 0xffff, VITRO_EXIT_UNKNOWN, 0 },
};
TEST_PARAMS(reasons);

static void reason(struct kunit *test)
{
	const struct reason_case *p = test->param_value;
	struct vitro_exit exit;

	fake_vmcs[VM_EXIT_INSTRUCTION_LEN] = 3;
	exit = decode(test->priv, p->number, 0x1234);
	KUNIT_EXPECT_EQ(test, exit.reason, p->reason);
	KUNIT_EXPECT_EQ(test, exit.insn_len, p->insn_len);
	KUNIT_EXPECT_EQ(test, exit.hw_reason, (u64)p->number);
	/* The qualification only where it means something. */
	KUNIT_EXPECT_EQ(test, exit.hw_info, p->reason == VITRO_EXIT_UNKNOWN ||
					    p->reason == VITRO_EXIT_LOG_FULL ||
					    p->reason == VITRO_EXIT_INVLPG ? 0x1234ULL : 0ULL);
}

static const struct io_case {
	const char *name;
	u64 qualification;
	u16 port;
	u8 size;
	bool in, string, rep;
} ios[] = {
	{ "out %al", 0x00800000, 0x80, 1, false, false, false },
	{ "in, 8 bits", 0x03f80008, 0x3f8, 1, true, false, false },
	{ "in, 16 bits", 0x01f00009, 0x1f0, 2, true, false, false },
	{ "out, 32 bits", 0x0cf80003, 0xcf8, 4, false, false, false },
	{ "immediate operand", 0x00600048, 0x60, 1, true, false, false },
	{ "rep insw", 0x01f00039, 0x1f0, 2, true, true, true },
	{ "outsb", 0x03f80010, 0x3f8, 1, false, true, false },
	{ "last port", 0xffff0000, 0xffff, 1, false, false, false },
};
TEST_PARAMS(ios);

static void io(struct kunit *test)
{
	const struct io_case *p = test->param_value;
	struct vitro_exit exit;

	fake_vmcs[VM_EXIT_INSTRUCTION_LEN] = 2;
	exit = decode(test->priv, EXIT_REASON_IO_INSTRUCTION, p->qualification);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_IO);
	KUNIT_EXPECT_EQ(test, exit.io.port, p->port);
	KUNIT_EXPECT_EQ(test, exit.io.size, p->size);
	KUNIT_EXPECT_EQ(test, exit.io.in, p->in);
	KUNIT_EXPECT_EQ(test, exit.io.string, p->string);
	KUNIT_EXPECT_EQ(test, exit.io.rep, p->rep);
	KUNIT_EXPECT_EQ(test, exit.insn_len, 2);
}

static const struct control_case {
	const char *name;
	u64 qualification;
	u8 cr, op, gpr;
	u16 value;
} controls[] = {
	{ "mov %rax, %cr0", 0x000, 0, VITRO_CR_WRITE, 0, 0 },
	{ "mov %r11, %cr4", 0xb04, 4, VITRO_CR_WRITE, 11, 0 },
	{ "mov %cr3, %rcx", 0x113, 3, VITRO_CR_READ, 1, 0 },
	{ "mov %rdx, %cr8", 0x208, 8, VITRO_CR_WRITE, 2, 0 },
	{ "clts", 0x020, 0, VITRO_CR_CLTS, 0, 0 },
	{ "lmsw", 0xfff10030, 0, VITRO_CR_LMSW, 0, 0xfff1 },
};
TEST_PARAMS(controls);

static void control_register(struct kunit *test)
{
	const struct control_case *p = test->param_value;
	struct vitro_exit exit = decode(test->priv, EXIT_REASON_CR_ACCESS, p->qualification);

	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_CR);
	KUNIT_EXPECT_EQ(test, exit.cr.cr, p->cr);
	KUNIT_EXPECT_EQ(test, exit.cr.op, p->op);
	if (p->op < VITRO_CR_CLTS)
		KUNIT_EXPECT_EQ(test, exit.cr.gpr, p->gpr);
	if (p->op == VITRO_CR_LMSW)
		KUNIT_EXPECT_EQ(test, exit.cr.value, p->value);
}

static const struct debug_case {
	const char *name;
	u64 qualification;
	u8 dr, gpr;
	bool write;
} debugs[] = {
	{ "mov %rax, %dr7", 0x007, 7, 0, true },
	{ "mov %dr6, %rbx", 0x316, 6, 3, false },
	{ "mov %r15, %dr0", 0xf00, 0, 15, true },
};
TEST_PARAMS(debugs);

static void debug_register(struct kunit *test)
{
	const struct debug_case *p = test->param_value;
	struct vitro_exit exit = decode(test->priv, EXIT_REASON_DR_ACCESS, p->qualification);

	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_DR);
	KUNIT_EXPECT_EQ(test, exit.dr.dr, p->dr);
	KUNIT_EXPECT_EQ(test, exit.dr.gpr, p->gpr);
	KUNIT_EXPECT_EQ(test, exit.dr.write, p->write);
}

static const struct violation_case {
	const char *name;
	u64 qualification, gpa;
	u8 access;
	bool present, walk;
} violations[] = {
	{ "read", 0x181, 0xfee00300, VITRO_ACC_READ, false, false },
	{ "write", 0x182, 0x1000, VITRO_ACC_WRITE, false, false },
	{ "fetch", 0x184, 0x2000, VITRO_ACC_EXEC, false, false },
	{ "read-modify-write", 0x183, 0x3000, VITRO_ACC_READ | VITRO_ACC_WRITE, false, false },
	{ "write to a page that permits reading", 0x18a, 0x4000, VITRO_ACC_WRITE, true, false },
	{ "fetch from a page that permits the rest", 0x19c, 0x4000, VITRO_ACC_EXEC, true, false },
	{ "walk of the guest's tables", 0x081, 0x5000, VITRO_ACC_READ, false, true },
	{ "high address", 0x181, 0xfffffffff000, VITRO_ACC_READ, false, false },
};
TEST_PARAMS(violations);

static void ept_violation(struct kunit *test)
{
	const struct violation_case *p = test->param_value;
	struct vitro_exit exit;

	fake_vmcs[GUEST_PHYSICAL_ADDRESS] = p->gpa;
	exit = decode(test->priv, EXIT_REASON_EPT_VIOLATION, p->qualification);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_TDP_FAULT);
	KUNIT_EXPECT_EQ(test, exit.fault.gpa, p->gpa);
	KUNIT_EXPECT_EQ(test, exit.fault.access, p->access);
	KUNIT_EXPECT_EQ(test, exit.fault.present, p->present);
	KUNIT_EXPECT_EQ(test, exit.fault.walk, p->walk);
	KUNIT_EXPECT_EQ(test, exit.insn_len, 0);
}

static void misconfiguration(struct kunit *test)
{
	struct vitro_exit exit;

	fake_vmcs[GUEST_PHYSICAL_ADDRESS] = 0x7000;
	exit = decode(test->priv, EXIT_REASON_EPT_MISCONFIG, 0);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_UNKNOWN);
	KUNIT_EXPECT_EQ(test, exit.hw_info, 0x7000ULL);
}

#define INFO(type, vector)	(INTR_INFO_VALID_MASK | INTR_TYPE_##type | (vector))
#define ERROR_VALID		INTR_INFO_DELIVER_CODE_MASK

static const struct exception_case {
	const char *name;
	u32 info;
	u64 qualification;
	u32 reason;
	u8 vector;
	bool has_error;
	u64 payload;
	u8 insn_len;
} exceptions[] = {
	{ "NMI", INFO(NMI_INTR, 2), 0, VITRO_EXIT_NMI },
	{ "machine check", INFO(HARD_EXCEPTION, X86_TRAP_MC), 0, VITRO_EXIT_MCE },
	{ "#UD", INFO(HARD_EXCEPTION, X86_TRAP_UD), 0, VITRO_EXIT_EXCEPTION, X86_TRAP_UD },
	{ "#AC", INFO(HARD_EXCEPTION, X86_TRAP_AC) | ERROR_VALID, 0, VITRO_EXIT_EXCEPTION,
	  X86_TRAP_AC, true },
	{ "#PF", INFO(HARD_EXCEPTION, X86_TRAP_PF) | ERROR_VALID, 0xdeadb000,
	  VITRO_EXIT_EXCEPTION, X86_TRAP_PF, true, 0xdeadb000 },
	{ "#DB, single step", INFO(HARD_EXCEPTION, X86_TRAP_DB), BIT(14), VITRO_EXIT_EXCEPTION,
	  X86_TRAP_DB, false, BIT(14) },
	{ "#DB, breakpoint, bits that DR6 lacks", INFO(HARD_EXCEPTION, X86_TRAP_DB),
	  BIT(1) | BIT(12), VITRO_EXIT_EXCEPTION, X86_TRAP_DB, false, BIT(1) },
	{ "#BP", INFO(SOFT_EXCEPTION, X86_TRAP_BP), 0, VITRO_EXIT_EXCEPTION, X86_TRAP_BP, false,
	  0, 1 },
};
TEST_PARAMS(exceptions);

static void exception(struct kunit *test)
{
	const struct exception_case *p = test->param_value;
	struct vitro_vmx *vmx = test->priv;
	struct vitro_exit exit;

	fake_vmcs[VM_EXIT_INTR_INFO] = p->info;
	fake_vmcs[VM_EXIT_INTR_ERROR_CODE] = 0x11;
	fake_vmcs[VM_EXIT_INSTRUCTION_LEN] = 1;
	exit = decode(vmx, EXIT_REASON_EXCEPTION_NMI, p->qualification);
	KUNIT_EXPECT_EQ(test, exit.reason, p->reason);
	if (p->reason != VITRO_EXIT_EXCEPTION)
		return;
	KUNIT_EXPECT_EQ(test, exit.exception.vector, p->vector);
	KUNIT_EXPECT_EQ(test, exit.exception.has_error_code, p->has_error);
	KUNIT_EXPECT_EQ(test, exit.exception.error_code, p->has_error ? 0x11U : 0U);
	KUNIT_EXPECT_EQ(test, exit.exception.payload, p->payload);
	KUNIT_EXPECT_EQ(test, exit.insn_len, p->insn_len);
	KUNIT_EXPECT_EQ(test, !!(vmx->pending & VMX_PENDING_CHECK_DEBUG), p->vector == X86_TRAP_DB);
}

static void int1_has_completed(struct kunit *test)
{
	struct vitro_vmx *vmx = test->priv;

	vmx->vcpu.rip = 0x1000;
	fake_vmcs[GUEST_RIP] = 0x1000;
	fake_vmcs[VM_EXIT_INTR_INFO] = INFO(PRIV_SW_EXCEPTION, X86_TRAP_DB);
	fake_vmcs[VM_EXIT_INSTRUCTION_LEN] = 1;
	decode(vmx, EXIT_REASON_EXCEPTION_NMI, 0);
	KUNIT_EXPECT_EQ(test, vmx->vcpu.rip, 0x1001ULL);
}

static const struct task_case {
	const char *name;
	u64 qualification;
	u32 vectoring;
	u8 reason;
	u8 insn_len;
	bool has_error, blocks_nmis;
} tasks[] = {
	{ "CALL", 0x00000028, 0, VITRO_TASK_CALL, 5, false, false },
	{ "IRET", 0x40000028, 0, VITRO_TASK_IRET, 5, false, false },
	{ "JMP", 0x80000028, 0, VITRO_TASK_JMP, 5, false, false },
	{ "INT n through a gate", 0xc0000028, INFO(SOFT_INTR, 0x80), VITRO_TASK_GATE, 5, false,
	  false },
	{ "interrupt through a gate", 0xc0000028, INFO(EXT_INTR, 0x51), VITRO_TASK_GATE, 0, false,
	  false },
	{ "exception through a gate", 0xc0000028, INFO(HARD_EXCEPTION, X86_TRAP_DF) | ERROR_VALID,
	  VITRO_TASK_GATE, 0, true, false },
	{ "NMI through a gate", 0xc0000028, INFO(NMI_INTR, 2), VITRO_TASK_GATE, 0, false, true },
};
TEST_PARAMS(tasks);

static void task_switch(struct kunit *test)
{
	const struct task_case *p = test->param_value;
	struct vitro_vmx *vmx = test->priv;
	struct vitro_exit exit;

	fake_vmcs[IDT_VECTORING_INFO_FIELD] = p->vectoring;
	fake_vmcs[IDT_VECTORING_ERROR_CODE] = 0x1234;
	fake_vmcs[VM_EXIT_INSTRUCTION_LEN] = 5;
	exit = decode(vmx, EXIT_REASON_TASK_SWITCH, p->qualification);
	KUNIT_EXPECT_EQ(test, exit.reason, (u32)VITRO_EXIT_TASK_SWITCH);
	KUNIT_EXPECT_EQ(test, exit.task.selector, 0x28);
	KUNIT_EXPECT_EQ(test, exit.task.reason, p->reason);
	KUNIT_EXPECT_EQ(test, exit.task.has_error_code, p->has_error);
	KUNIT_EXPECT_EQ(test, exit.task.error_code, p->has_error ? 0x1234U : 0U);
	KUNIT_EXPECT_EQ(test, exit.insn_len, p->insn_len);
	KUNIT_EXPECT_EQ(test, vmx_get_nmi_mask(&vmx->vcpu), p->blocks_nmis);
	/* The task switch delivers the event. */
	KUNIT_EXPECT_FALSE(test, vmx->vcpu.events.irq.injected ||
				 vmx->vcpu.events.exception.injected ||
				 vmx->vcpu.events.nmi.injected);
}

static const struct vectoring_case {
	const char *name;
	u32 info;
	bool irq, soft, nmi, exception;
	u8 vector;
	u32 again;		/* entry information when it is injected once more */
} vectorings[] = {
	{ "nothing", 0, false },
	{ "not valid", INTR_TYPE_EXT_INTR | 0x51, false },
	{ "interrupt", INFO(EXT_INTR, 0x51), true, false, false, false, 0x51,
	  INFO(EXT_INTR, 0x51) },
	{ "INT n", INFO(SOFT_INTR, 0x80), true, true, false, false, 0x80, INFO(SOFT_INTR, 0x80) },
	{ "NMI", INFO(NMI_INTR, 2), false, false, true, false, 2, INFO(NMI_INTR, 2) },
	{ "#GP", INFO(HARD_EXCEPTION, X86_TRAP_GP) | ERROR_VALID, false, false, false, true,
	  X86_TRAP_GP, INFO(HARD_EXCEPTION, X86_TRAP_GP) | ERROR_VALID },
	{ "#UD", INFO(HARD_EXCEPTION, X86_TRAP_UD), false, false, false, true, X86_TRAP_UD,
	  INFO(HARD_EXCEPTION, X86_TRAP_UD) },
	{ "#BP", INFO(SOFT_EXCEPTION, X86_TRAP_BP), false, false, false, true, X86_TRAP_BP,
	  INFO(SOFT_EXCEPTION, X86_TRAP_BP) },
	{ "INT1", INFO(PRIV_SW_EXCEPTION, X86_TRAP_DB), false, false, false, true, X86_TRAP_DB,
	  INFO(PRIV_SW_EXCEPTION, X86_TRAP_DB) },
};
TEST_PARAMS(vectorings);

static void interrupted_delivery(struct kunit *test)
{
	const struct vectoring_case *p = test->param_value;
	struct vitro_vmx *vmx = test->priv;
	struct vitro_events *e = &vmx->vcpu.events;

	fake_vmcs[IDT_VECTORING_INFO_FIELD] = p->info;
	fake_vmcs[IDT_VECTORING_ERROR_CODE] = 0x18;
	fake_vmcs[VM_EXIT_INSTRUCTION_LEN] = 2;
	fake_vmcs[GUEST_INTERRUPTIBILITY_INFO] = p->nmi ? GUEST_INTR_STATE_NMI : 0;
	decode(vmx, EXIT_REASON_EPT_VIOLATION, 0x181);
	KUNIT_EXPECT_EQ(test, e->irq.injected, p->irq);
	KUNIT_EXPECT_EQ(test, e->nmi.injected, p->nmi);
	KUNIT_EXPECT_EQ(test, e->exception.injected, p->exception);
	/* Delivery had begun and blocked NMIs, among them itself. */
	KUNIT_EXPECT_FALSE(test, vmx_get_nmi_mask(&vmx->vcpu));
	if (p->irq) {
		KUNIT_EXPECT_EQ(test, e->irq.vector, p->vector);
		KUNIT_EXPECT_EQ(test, e->irq.soft, p->soft);
		vmx_inject_irq(&vmx->vcpu, e->irq.vector, e->irq.soft, e->irq.insn_len);
	} else if (p->nmi) {
		vmx_inject_nmi(&vmx->vcpu);
	} else if (p->exception) {
		KUNIT_EXPECT_EQ(test, e->exception.vector, p->vector);
		vmx_config.error_codes = false;
		vmx_inject_exception(&vmx->vcpu, e->exception.vector, e->exception.has_error_code,
				     e->exception.error_code);
		if (e->exception.has_error_code)
			KUNIT_EXPECT_EQ(test, vmx->inject.error_code, 0x18U);
	}
	KUNIT_EXPECT_EQ(test, vmx->inject.info, p->again);
	/* Software events need the length of their instruction. */
	if (p->soft || p->vector == X86_TRAP_BP || p->vector == X86_TRAP_DB)
		KUNIT_EXPECT_EQ(test, vmx->inject.insn_len, 2U);
}

/* Also when the page-modification log was full. */
static void delivery_filled_log(struct kunit *test)
{
	struct vitro_vmx *vmx = test->priv;

	fake_vmcs[IDT_VECTORING_INFO_FIELD] = INFO(EXT_INTR, 0x51);
	/* The qualification tells nothing then. */
	decode(vmx, EXIT_REASON_PML_FULL, BIT(12));
	KUNIT_EXPECT_TRUE(test, vmx->vcpu.events.irq.injected);
	KUNIT_EXPECT_EQ(test, vmx->vcpu.events.irq.vector, 0x51);
	KUNIT_EXPECT_FALSE(test, vmx_get_nmi_mask(&vmx->vcpu));
}

static const struct unblocking_case {
	const char *name;
	u32 number;
	u64 qualification;
} unblockings[] = {
	{ "EPT violation", EXIT_REASON_EPT_VIOLATION, 0x181 },
	{ "page-modification log full", EXIT_REASON_PML_FULL, 0 },
};
TEST_PARAMS(unblockings);

static void iret_unblocked_nmis(struct kunit *test)
{
	const struct unblocking_case *p = test->param_value;
	struct vitro_vmx *vmx = test->priv;

	decode(vmx, p->number, p->qualification);
	KUNIT_EXPECT_FALSE(test, vmx_get_nmi_mask(&vmx->vcpu));
	decode(vmx, p->number, p->qualification | BIT(12));
	KUNIT_EXPECT_TRUE(test, vmx_get_nmi_mask(&vmx->vcpu));
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_INTERRUPTIBILITY_INFO],
			(unsigned long long)GUEST_INTR_STATE_NMI);
}

static void windows(struct kunit *test)
{
	struct vitro_vmx *vmx = test->priv;

	vmx_request_irq_window(&vmx->vcpu);
	vmx_request_nmi_window(&vmx->vcpu);
	KUNIT_EXPECT_EQ(test, vmx->cpu_ctl, (u32)(CPU_BASED_INTR_WINDOW_EXITING |
						  CPU_BASED_NMI_WINDOW_EXITING));
	decode(vmx, EXIT_REASON_INTERRUPT_WINDOW, 0);
	KUNIT_EXPECT_EQ(test, vmx->cpu_ctl, (u32)CPU_BASED_NMI_WINDOW_EXITING);
	decode(vmx, EXIT_REASON_NMI_WINDOW, 0);
	KUNIT_EXPECT_EQ(test, vmx->cpu_ctl, 0U);
}

static const struct allowed_case {
	const char *name;
	u32 state;
	bool flag_if, irq, nmi;
} states[] = {
	{ "open", 0, true, true, true },
	{ "IF clear", 0, false, false, true },
	{ "STI", GUEST_INTR_STATE_STI, true, false, false },
	{ "MOV SS", GUEST_INTR_STATE_MOV_SS, true, false, false },
	{ "NMIs blocked", GUEST_INTR_STATE_NMI, true, true, false },
};
TEST_PARAMS(states);

static void allowed(struct kunit *test)
{
	const struct allowed_case *p = test->param_value;
	struct vitro_vmx *vmx = test->priv;

	vmx->vcpu.rflags = X86_EFLAGS_FIXED | (p->flag_if ? X86_EFLAGS_IF : 0);
	fake_vmcs[GUEST_INTERRUPTIBILITY_INFO] = p->state;
	KUNIT_EXPECT_EQ(test, vmx_irq_allowed(&vmx->vcpu), p->irq);
	KUNIT_EXPECT_EQ(test, vmx_nmi_allowed(&vmx->vcpu), p->nmi);
}

static const struct step_case {
	const char *name;
	u32 state;
	u64 rflags, pending;
	u32 state_after;
	u64 pending_after;
} steps[] = {
	{ "no shadow", 0, X86_EFLAGS_IF | X86_EFLAGS_TF, 0, 0, 0 },
	{ "MOV SS and TF want a trap pending", GUEST_INTR_STATE_MOV_SS, X86_EFLAGS_TF, 0,
	  GUEST_INTR_STATE_MOV_SS, BIT(14) },
	{ "MOV SS without TF wants none", GUEST_INTR_STATE_MOV_SS, 0, BIT(14),
	  GUEST_INTR_STATE_MOV_SS, 0 },
	{ "STI with IF and TF", GUEST_INTR_STATE_STI, X86_EFLAGS_IF | X86_EFLAGS_TF, BIT(1),
	  GUEST_INTR_STATE_STI, BIT(14) | BIT(1) },
	{ "STI without IF cannot be", GUEST_INTR_STATE_STI, 0, 0, 0, 0 },
};
TEST_PARAMS(steps);

static void pending_debug(struct kunit *test)
{
	const struct step_case *p = test->param_value;
	struct vitro_vmx *vmx = test->priv;

	vmx->vcpu.rflags = X86_EFLAGS_FIXED | p->rflags;
	fake_vmcs[GUEST_INTERRUPTIBILITY_INFO] = p->state;
	fake_vmcs[GUEST_PENDING_DBG_EXCEPTIONS] = p->pending;
	vmx_check_pending_debug(vmx);
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_INTERRUPTIBILITY_INFO],
			(unsigned long long)p->state_after);
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_PENDING_DBG_EXCEPTIONS],
			(unsigned long long)p->pending_after);
}

static void error_codes(struct kunit *test)
{
	struct vitro_vmx *vmx = test->priv;

	/* Without the feature, VM entry wants one wherever hardware pushes one. */
	vmx_config.error_codes = false;
	vmx_inject_exception(&vmx->vcpu, X86_TRAP_GP, false, 0);
	KUNIT_EXPECT_EQ(test, vmx->inject.info, INFO(HARD_EXCEPTION, X86_TRAP_GP) | ERROR_VALID);
	vmx_inject_exception(&vmx->vcpu, X86_TRAP_UD, true, 5);
	KUNIT_EXPECT_EQ(test, vmx->inject.info, (u32)INFO(HARD_EXCEPTION, X86_TRAP_UD));
	vmx_config.error_codes = true;
	vmx_inject_exception(&vmx->vcpu, X86_TRAP_GP, false, 0);
	KUNIT_EXPECT_EQ(test, vmx->inject.info, (u32)INFO(HARD_EXCEPTION, X86_TRAP_GP));
	/* Real mode has none, and the field only 16 bits. */
	vmx_inject_exception(&vmx->vcpu, X86_TRAP_GP, true, 0x10018);
	KUNIT_EXPECT_EQ(test, vmx->inject.error_code, 0x18U);
	vmx->vcpu.cr0 = 0;
	vmx_inject_exception(&vmx->vcpu, X86_TRAP_GP, true, 0x18);
	KUNIT_EXPECT_EQ(test, vmx->inject.info, (u32)INFO(HARD_EXCEPTION, X86_TRAP_GP));
}

static void failed_entry_gives_back(struct kunit *test)
{
	struct vitro_vmx *vmx = test->priv;

	vmx_inject_irq(&vmx->vcpu, 0x51, false, 0);
	vmx_cancel_injection(&vmx->vcpu);
	KUNIT_EXPECT_EQ(test, vmx->inject.info, 0U);
	KUNIT_EXPECT_TRUE(test, vmx->vcpu.events.irq.injected);
	KUNIT_EXPECT_EQ(test, vmx->vcpu.events.irq.vector, 0x51);
	vmx->vcpu.events.irq.injected = false;
	vmx_cancel_injection(&vmx->vcpu);
	KUNIT_EXPECT_FALSE(test, vmx->vcpu.events.irq.injected);
}

static struct kunit_case vmx_exit_cases[] = {
	KUNIT_CASE_PARAM(reason, reasons_gen_params),
	KUNIT_CASE_PARAM(io, ios_gen_params),
	KUNIT_CASE_PARAM(control_register, controls_gen_params),
	KUNIT_CASE_PARAM(debug_register, debugs_gen_params),
	KUNIT_CASE_PARAM(ept_violation, violations_gen_params),
	KUNIT_CASE(misconfiguration),
	KUNIT_CASE_PARAM(exception, exceptions_gen_params),
	KUNIT_CASE(int1_has_completed),
	KUNIT_CASE_PARAM(task_switch, tasks_gen_params),
	KUNIT_CASE_PARAM(interrupted_delivery, vectorings_gen_params),
	KUNIT_CASE(delivery_filled_log),
	KUNIT_CASE_PARAM(iret_unblocked_nmis, unblockings_gen_params),
	KUNIT_CASE(windows),
	KUNIT_CASE_PARAM(allowed, states_gen_params),
	KUNIT_CASE_PARAM(pending_debug, steps_gen_params),
	KUNIT_CASE(error_codes),
	KUNIT_CASE(failed_entry_gives_back),
	{}
};

TEST_BARE_SUITE(vmx_exit, init_vmx);
