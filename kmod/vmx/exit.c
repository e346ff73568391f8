// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the VMCS's exit fields to struct vitro_exit. Fields are read once, and
 * only those that the reason makes valid.
 */
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <linux/percpu.h>
#include <asm/processor.h>
#include <asm/debugreg.h>
#include <asm/traps.h>

#include "vmx.h"

/* Bits of exit qualifications which <asm/vmx.h> does not name. */
#define IO_SIZE_MASK		0x7	/* operand bytes less one */
#define IO_IN			BIT(3)
#define IO_STRING		BIT(4)
#define IO_REP			BIT(5)
#define IO_PORT_SHIFT		16
#define TASK_SOURCE_SHIFT	30	/* as VITRO_TASK_* */
#define EPT_UNBLOCK_NMI		BIT(12)	/* of the page-modification log, too */
#define DEBUG_QUALIFICATION	(DR_TRAP_BITS | DR6_BD_BIT | DR_STEP)
#define DR6_BD_BIT		BIT(13)

/* CR0 to CR4 accesses: types of the exit qualification, which are VITRO_CR_*. */
#define CR_TYPE_SHIFT		4

static void decode_exception(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	u32 info = vmx->exit_intr_info;
	u32 type = info & INTR_INFO_INTR_TYPE_MASK;
	u8 vector = info & INTR_INFO_VECTOR_MASK;

	if (type == INTR_TYPE_NMI_INTR) {
		exit->reason = VITRO_EXIT_NMI;
		return;
	}
	if (vector == X86_TRAP_MC) {
		exit->reason = VITRO_EXIT_MCE;
		return;
	}
	exit->exception.vector = vector;
	exit->exception.has_error_code = info & INTR_INFO_DELIVER_CODE_MASK;
	exit->exception.error_code = exit->exception.has_error_code ?
				     vmcs_read(VM_EXIT_INTR_ERROR_CODE) : 0;
	exit->exception.payload = 0;
	if (type == INTR_TYPE_SOFT_EXCEPTION || type == INTR_TYPE_PRIV_SW_EXCEPTION)
		exit->insn_len = vmcs_read(VM_EXIT_INSTRUCTION_LEN);

	if (vector == X86_TRAP_PF) {
		exit->hw_info = vmcs_read(EXIT_QUALIFICATION);
		exit->exception.payload = exit->hw_info;
	} else if (vector == X86_TRAP_DB) {
		exit->hw_info = vmcs_read(EXIT_QUALIFICATION);
		exit->exception.payload = exit->hw_info & DEBUG_QUALIFICATION;
		/* INT1 traps; intercepted, it has not completed yet. */
		if (type == INTR_TYPE_PRIV_SW_EXCEPTION)
			vmx_skip(&vmx->vcpu, exit->insn_len);
		/* The exit has taken the single-step trap out of the VMCS. */
		vmx_pend(vmx, VMX_PENDING_CHECK_DEBUG);
	}
}

static void decode_irq_window(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	vmx_want_ctl(vmx, 0, CPU_BASED_INTR_WINDOW_EXITING);
}

static void decode_nmi_window(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	vmx_want_ctl(vmx, 0, CPU_BASED_NMI_WINDOW_EXITING);
}

static void decode_io(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	u64 q = vmcs_read(EXIT_QUALIFICATION);

	exit->hw_info = q;
	exit->io.port = q >> IO_PORT_SHIFT;
	exit->io.size = (q & IO_SIZE_MASK) + 1;
	exit->io.in = q & IO_IN;
	exit->io.string = q & IO_STRING;
	exit->io.rep = q & IO_REP;
}

static void decode_cr(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	u64 q = vmcs_read(EXIT_QUALIFICATION);

	exit->hw_info = q;
	exit->cr.cr = q & 0xf;
	exit->cr.op = (q & CONTROL_REG_ACCESS_TYPE) >> CR_TYPE_SHIFT;
	exit->cr.gpr = (q & CONTROL_REG_ACCESS_REG) >> 8;
	exit->cr.value = q >> LMSW_SOURCE_DATA_SHIFT;
}

static void decode_dr(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	u64 q = vmcs_read(EXIT_QUALIFICATION);

	exit->hw_info = q;
	exit->dr.dr = q & DEBUG_REG_ACCESS_NUM;
	exit->dr.gpr = DEBUG_REG_ACCESS_REG(q);
	exit->dr.write = (q & DEBUG_REG_ACCESS_TYPE) == TYPE_MOV_TO_DR;
}

static void decode_ept_violation(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	u64 q = vmcs_read(EXIT_QUALIFICATION);
	u8 access = 0;

	if (q & EPT_VIOLATION_ACC_READ)
		access |= VITRO_ACC_READ;
	if (q & EPT_VIOLATION_ACC_WRITE)
		access |= VITRO_ACC_WRITE;
	if (q & EPT_VIOLATION_ACC_INSTR)
		access |= VITRO_ACC_EXEC;

	exit->hw_info = q;
	exit->fault.gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	exit->fault.access = access;
	exit->fault.present = q & VMX_EPT_VIOLATION_RWX;
	exit->fault.walk = !(q & EPT_VIOLATION_GVA_TRANSLATED);
}

/*
 * A task gate that an event went through: the task switch delivers the event, so
 * it must not be delivered again.
 */
static void decode_task_switch(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	u64 q = vmcs_read(EXIT_QUALIFICATION);
	u32 info, type;

	exit->hw_info = q;
	exit->task.selector = q;
	exit->task.reason = (q >> TASK_SOURCE_SHIFT) & 3;
	exit->task.has_error_code = false;
	exit->task.error_code = 0;
	exit->insn_len = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	if (exit->task.reason != VITRO_TASK_GATE)
		return;

	info = vmcs_read(IDT_VECTORING_INFO_FIELD);
	if (!(info & VECTORING_INFO_VALID_MASK))
		return;
	type = info & VECTORING_INFO_TYPE_MASK;
	if (type == INTR_TYPE_EXT_INTR || type == INTR_TYPE_NMI_INTR ||
	    type == INTR_TYPE_HARD_EXCEPTION)
		exit->insn_len = 0;
	if (type == INTR_TYPE_NMI_INTR)
		vmx_set_nmi_mask(&vmx->vcpu, true);
	if (info & VECTORING_INFO_DELIVER_CODE_MASK) {
		exit->task.has_error_code = true;
		exit->task.error_code = vmcs_read(IDT_VECTORING_ERROR_CODE);
	}
}

static void decode_qualification(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	exit->hw_info = vmcs_read(EXIT_QUALIFICATION);
}

static void decode_ept_misconfig(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	exit->hw_info = vmcs_read(GUEST_PHYSICAL_ADDRESS);
}

/* How to decode an exit; flags of struct vmx_exit_info. */
#define KNOWN		BIT(0)
#define INSN		BIT(1)	/* by an instruction, whose length the VMCS tells */
#define EVENT		BIT(2)	/* can occur while an event is delivered; has @decode */
#define DECODE		BIT(3)	/* has @decode */

/**
 * struct vmx_exit_info - how to decode an exit reason
 * @reason:	VITRO_EXIT_*
 * @flags:	as above; 0: unknown reason
 * @decode:	fills in the rest
 */
struct vmx_exit_info {
	u8 reason;
	u8 flags;
	void (*decode)(struct vitro_vmx *vmx, struct vitro_exit *exit);
};

#define EXIT(r, name, flags) [r] = { VITRO_EXIT_##name, KNOWN | (flags) }
#define EXIT_FN(r, name, flags, fn) [r] = { VITRO_EXIT_##name, KNOWN | DECODE | (flags), fn }

static const struct vmx_exit_info exits[] = {
	EXIT(EXIT_REASON_EXTERNAL_INTERRUPT, INTR, 0),
	/* Nothing to do but to let the host have the CPU for a moment. */
	EXIT(EXIT_REASON_PREEMPTION_TIMER, INTR, 0),
	/* Another CPU of the host resets this one: root operation holds it back. */
	EXIT(EXIT_REASON_INIT_SIGNAL, INTR, 0),
	EXIT_FN(EXIT_REASON_EXCEPTION_NMI, EXCEPTION, EVENT, decode_exception),
	EXIT(EXIT_REASON_CPUID, CPUID, INSN),
	EXIT(EXIT_REASON_HLT, HLT, INSN),
	EXIT_FN(EXIT_REASON_IO_INSTRUCTION, IO, INSN, decode_io),
	EXIT(EXIT_REASON_MSR_READ, RDMSR, INSN),
	EXIT(EXIT_REASON_MSR_WRITE, WRMSR, INSN),
	EXIT(EXIT_REASON_VMCALL, HYPERCALL, INSN),
	EXIT_FN(EXIT_REASON_CR_ACCESS, CR, INSN, decode_cr),
	EXIT_FN(EXIT_REASON_DR_ACCESS, DR, INSN, decode_dr),
	EXIT_FN(EXIT_REASON_EPT_VIOLATION, TDP_FAULT, EVENT, decode_ept_violation),
	EXIT_FN(EXIT_REASON_EPT_MISCONFIG, UNKNOWN, EVENT, decode_ept_misconfig),
	EXIT_FN(EXIT_REASON_PML_FULL, LOG_FULL, EVENT, decode_qualification),
	EXIT_FN(EXIT_REASON_INTERRUPT_WINDOW, IRQ_WINDOW, 0, decode_irq_window),
	EXIT_FN(EXIT_REASON_NMI_WINDOW, NMI_WINDOW, 0, decode_nmi_window),
	EXIT(EXIT_REASON_TPR_BELOW_THRESHOLD, TPR, 0),
	EXIT(EXIT_REASON_XSETBV, XSETBV, INSN),
	EXIT(EXIT_REASON_INVD, CACHE, INSN),
	EXIT(EXIT_REASON_WBINVD, CACHE, INSN),
	EXIT_FN(EXIT_REASON_INVLPG, INVLPG, INSN, decode_qualification),
	EXIT(EXIT_REASON_RDPMC, RDPMC, INSN),
	EXIT(EXIT_REASON_PAUSE_INSTRUCTION, PAUSE, INSN),
	EXIT(EXIT_REASON_MWAIT_INSTRUCTION, MWAIT, INSN),
	EXIT(EXIT_REASON_MONITOR_INSTRUCTION, MWAIT, INSN),
	EXIT(EXIT_REASON_TRIPLE_FAULT, TRIPLE_FAULT, 0),
	/* Not through the common path: its event must not be requeued. */
	EXIT_FN(EXIT_REASON_TASK_SWITCH, TASK_SWITCH, 0, decode_task_switch),

	EXIT(VMX_EXIT_GETSEC, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMCLEAR, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMLAUNCH, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMPTRLD, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMPTRST, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMREAD, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMRESUME, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMWRITE, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMOFF, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMON, UD_INSN, INSN),
	EXIT(EXIT_REASON_INVEPT, UD_INSN, INSN),
	EXIT(EXIT_REASON_INVVPID, UD_INSN, INSN),
	EXIT(EXIT_REASON_VMFUNC, UD_INSN, INSN),
	EXIT(EXIT_REASON_INVPCID, UD_INSN, INSN),
	EXIT(EXIT_REASON_RDTSCP, UD_INSN, INSN),
	EXIT(EXIT_REASON_ENCLS, UD_INSN, INSN),
	EXIT(VMX_EXIT_ENCLV, UD_INSN, INSN),
	EXIT(VMX_EXIT_PCONFIG, UD_INSN, INSN),
	EXIT(VMX_EXIT_LOADIWKEY, UD_INSN, INSN),
	EXIT(EXIT_REASON_XSAVES, UD_INSN, INSN),
	EXIT(EXIT_REASON_XRSTORS, UD_INSN, INSN),
	EXIT(EXIT_REASON_UMWAIT, UD_INSN, INSN),
	EXIT(EXIT_REASON_TPAUSE, UD_INSN, INSN),
};

/*
 * IRET had unblocked NMIs when it faulted. It will be executed again, so they
 * must be blocked again (SDM, "Resuming Guest Software after Handling an
 * Exception"). Intercepted exceptions are reflected, not resumed from: there the guest
 * sees what it would see without us, NMIs unblocked.
 */
static void block_nmis_again(struct vitro_vmx *vmx, const struct vitro_exit *exit)
{
	if (unlikely(exit->hw_info & EPT_UNBLOCK_NMI) &&
	    (exit->reason == VITRO_EXIT_TDP_FAULT || exit->reason == VITRO_EXIT_LOG_FULL))
		vmx_set_nmi_mask(&vmx->vcpu, true);
}

static noinline void decode_more(struct vitro_vmx *vmx, struct vitro_exit *exit,
				 const struct vmx_exit_info *info)
{
	u32 vectoring;

	info->decode(vmx, exit);
	if (!(info->flags & EVENT))
		return;
	vectoring = vmcs_read(IDT_VECTORING_INFO_FIELD);
	if (unlikely(vectoring & VECTORING_INFO_VALID_MASK))
		vmx_requeue_vectored(vmx, vectoring);
	else
		block_nmis_again(vmx, exit);
}

/**
 * vmx_decode_exit() - fill in @exit from the VMCS
 * @vmx:  the vCPU, right after an exit; exit_reason is current
 * @exit: to be filled
 *
 * Context: IRQs off.
 */
void vmx_decode_exit(struct vitro_vmx *vmx, struct vitro_exit *exit)
{
	u32 reason = vmx->exit_reason;
	const struct vmx_exit_info *info;

	exit->hw_reason = reason;
	exit->hw_info = 0;
	exit->insn_len = 0;
	info = &exits[array_index_nospec(reason, ARRAY_SIZE(exits))];
	if (unlikely(reason >= ARRAY_SIZE(exits) || !info->flags)) {
		exit->reason = VITRO_EXIT_UNKNOWN;
		exit->hw_info = vmcs_read(EXIT_QUALIFICATION);
		return;
	}

	exit->reason = info->reason;
	/* Most of them: nothing but the length. */
	if (info->flags == (KNOWN | INSN)) {
		exit->insn_len = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
		return;
	}
	if (info->flags & INSN)
		exit->insn_len = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	if (info->flags & DECODE)
		decode_more(vmx, exit, info);
}
