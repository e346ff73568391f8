// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events on their way into the guest, what blocks them, and what happens when
 * their delivery is interrupted by a VM exit.
 */
#include <linux/kvm.h>
#include <linux/percpu.h>
#include <linux/string.h>
#include <asm/processor.h>
#include <asm/apicdef.h>
#include <asm/debugreg.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "../irqchip/irqchip.h"
#include "vmx.h"

#define SHADOW (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* Exceptions that push an error code in protected mode. */
#define ERROR_CODE_VECTORS	(BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) |	\
				 BIT(X86_TRAP_NP) | BIT(X86_TRAP_SS) |	\
				 BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_AC))

/**
 * vmx_set_intr_state() - change the guest's interruptibility state
 * @vmx:   the vCPU
 * @state: GUEST_INTR_STATE_* bits
 */
void vmx_set_intr_state(struct vitro_vmx *vmx, u32 state)
{
	if (vmx_intr_state(vmx) == state)
		return;
	vmx->intr_state = state;
	vmx_write(vmx, GUEST_INTERRUPTIBILITY_INFO, state);
	vmx_pend(vmx, VMX_PENDING_CHECK_DEBUG);
}

/*
 * vmx_end_halt() - see struct vitro_backend
 *
 * An exit from a HLT of the guest's leaves that as the activity state, with RIP behind
 * the HLT, and the next entry goes on halting. Entry refuses that state together with an
 * interrupt shadow, with SS.DPL above 0, and with most events to inject (SDM, "Checks on
 * Guest Non-Register State"); and the delivery of any event ends it.
 */
void vmx_end_halt(struct vitro_vcpu *vcpu)
{
	if (vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_HLT))
		vmx_write(to_vmx(vcpu), GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
}

/**
 * vmx_check_pending_debug() - make shadow, RFLAGS and pending traps agree
 * @vmx: the vCPU
 *
 * VM entry refuses a shadow with RFLAGS.TF but no pending single-step trap,
 * and the other way round (SDM, "Checks on Guest Non-Register State"). The
 * processor keeps them in step; whoever changes one of them from outside, or
 * takes the trap away by intercepting #DB, does not. The same holds for a HLT that
 * goes on, which ends here.
 *
 * Context: IRQs off, before an entry.
 */
void vmx_check_pending_debug(struct vitro_vmx *vmx)
{
	u64 rflags = vcpu_rflags(&vmx->vcpu);
	u32 state = vmx_intr_state(vmx);
	u64 old, new;

	vmx_end_halt(&vmx->vcpu);
	/* STI's shadow without IF is not a state that a processor can be in. */
	if (state & GUEST_INTR_STATE_STI && !(rflags & X86_EFLAGS_IF)) {
		state &= ~GUEST_INTR_STATE_STI;
		vmx_set_intr_state(vmx, state);
	}
	if (!(state & SHADOW))
		return;
	old = vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS);
	if (rflags & X86_EFLAGS_TF && !(vmx->debugctl & DEBUGCTLMSR_BTF))
		new = old | DR_STEP;
	else
		new = old & ~(u64)DR_STEP;
	if (new != old)
		vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, new);
}

/*
 * vmx_irq_allowed() - see struct vitro_backend
 */
bool vmx_irq_allowed(struct vitro_vcpu *vcpu)
{
	return vcpu_rflags(vcpu) & X86_EFLAGS_IF && !(vmx_intr_state(to_vmx(vcpu)) & SHADOW);
}

/*
 * vmx_nmi_allowed() - see struct vitro_backend
 *
 * Some processors refuse to inject an NMI in STI's shadow, too.
 */
bool vmx_nmi_allowed(struct vitro_vcpu *vcpu)
{
	return !(vmx_intr_state(to_vmx(vcpu)) & (SHADOW | GUEST_INTR_STATE_NMI));
}

/*
 * vmx_request_irq_window() - see struct vitro_backend
 */
void vmx_request_irq_window(struct vitro_vcpu *vcpu)
{
	vmx_want_ctl(to_vmx(vcpu), CPU_BASED_INTR_WINDOW_EXITING, 0);
}

/*
 * vmx_request_nmi_window() - see struct vitro_backend
 */
void vmx_request_nmi_window(struct vitro_vcpu *vcpu)
{
	vmx_want_ctl(to_vmx(vcpu), CPU_BASED_NMI_WINDOW_EXITING, 0);
}

static void inject(struct vitro_vmx *vmx, u32 info, u32 error_code, u32 insn_len)
{
	vmx->inject.info = info | INTR_INFO_VALID_MASK;
	vmx->inject.error_code = error_code;
	vmx->inject.insn_len = insn_len;
	vmx->vcpu.refresh |= VITRO_REFRESH_GUEST;
	vmx_end_halt(&vmx->vcpu);
}

/*
 * vmx_inject_irq() - see struct vitro_backend
 */
void vmx_inject_irq(struct vitro_vcpu *vcpu, u8 vector, bool soft, u8 insn_len)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	/* Asked for again if another one waits. */
	vmx_want_ctl(vmx, 0, CPU_BASED_INTR_WINDOW_EXITING);
	if (soft)
		inject(vmx, vector | INTR_TYPE_SOFT_INTR, 0, insn_len);
	else
		inject(vmx, vector | INTR_TYPE_EXT_INTR, 0, 0);
}

/*
 * vmx_inject_nmi() - see struct vitro_backend
 *
 * An NMI that is injected again, because its delivery was interrupted, has
 * not blocked NMIs yet: see vmx_requeue_vectored().
 */
void vmx_inject_nmi(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	vmx_want_ctl(vmx, 0, CPU_BASED_NMI_WINDOW_EXITING);
	inject(vmx, X86_TRAP_NMI | INTR_TYPE_NMI_INTR, 0, 0);
}

/* Does the exception come with an error code, as VM entry will check? */
static bool error_code_due(struct vitro_vcpu *vcpu, u8 vector, bool has_error)
{
	if (!(vcpu->cr0 & X86_CR0_PE) || vector > 31)
		return false;
	if (vmx_config.error_codes)
		return has_error;
	return ERROR_CODE_VECTORS & BIT(vector);
}

/*
 * vmx_inject_exception() - see struct vitro_backend
 *
 * #BP and #OF are raised by instructions and push the address behind them:
 * they are software exceptions to VM entry, which wants the length.
 */
void vmx_inject_exception(struct vitro_vcpu *vcpu, u8 vector, bool has_error, u32 error_code)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	bool again = vmx->soft_info && (vmx->soft_info & INTR_INFO_VECTOR_MASK) == vector;

	if (again) {
		inject(vmx, vmx->soft_info, 0, vmx->soft_len);
	} else if (vector == X86_TRAP_BP || vector == X86_TRAP_OF) {
		inject(vmx, vector | INTR_TYPE_SOFT_EXCEPTION, 0, 1);
	} else if (error_code_due(vcpu, vector, has_error)) {
		inject(vmx, vector | INTR_TYPE_HARD_EXCEPTION | INTR_INFO_DELIVER_CODE_MASK,
		       has_error ? error_code & U16_MAX : 0, 0);
	} else {
		inject(vmx, vector | INTR_TYPE_HARD_EXCEPTION, 0, 0);
	}
	vmx->soft_info = 0;

	/* Generating #DB ends branch stepping; an injected one does not do it. */
	if (vector == X86_TRAP_DB && unlikely(vmx->debugctl)) {
		vmx->debugctl = 0;
		vmx_write(vmx, GUEST_IA32_DEBUGCTL, 0);
	}
}

/* Hands an event back to common code, to be injected once more. */
static void requeue(struct vitro_vmx *vmx, u32 info, u32 error_code, u8 insn_len)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;
	u8 vector = info & INTR_INFO_VECTOR_MASK;

	switch (info & INTR_INFO_INTR_TYPE_MASK) {
	case INTR_TYPE_EXT_INTR:
		vitro_requeue_irq(vcpu, vector, false, 0);
		break;
	case INTR_TYPE_SOFT_INTR:
		vitro_requeue_irq(vcpu, vector, true, insn_len);
		break;
	case INTR_TYPE_NMI_INTR:
		vitro_requeue_nmi(vcpu);
		break;
	case INTR_TYPE_PRIV_SW_EXCEPTION:
	case INTR_TYPE_SOFT_EXCEPTION:
		vmx->soft_info = info & (INTR_INFO_VECTOR_MASK | INTR_INFO_INTR_TYPE_MASK);
		vmx->soft_len = insn_len;
		fallthrough;
	case INTR_TYPE_HARD_EXCEPTION:
		vitro_requeue_exception(vcpu, vector, info & INTR_INFO_DELIVER_CODE_MASK,
					error_code);
		break;
	}
}

/**
 * vmx_requeue_vectored() - an exit has interrupted the delivery of an event
 * @vmx:  the vCPU
 * @info: valid IDT-vectoring information
 *
 * SDM, "Information for VM Exits That Occur During Event Delivery".
 */
void vmx_requeue_vectored(struct vitro_vmx *vmx, u32 info)
{
	u32 type = info & VECTORING_INFO_TYPE_MASK;
	u32 error_code = 0;
	u8 insn_len = 0;

	if (info & VECTORING_INFO_DELIVER_CODE_MASK)
		error_code = vmcs_read(IDT_VECTORING_ERROR_CODE);
	if (type == INTR_TYPE_SOFT_INTR || type == INTR_TYPE_SOFT_EXCEPTION ||
	    type == INTR_TYPE_PRIV_SW_EXCEPTION)
		insn_len = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	/* Its delivery had begun and blocked NMIs, among them itself. */
	if (type == INTR_TYPE_NMI_INTR)
		vmx_set_intr_state(vmx, vmx_intr_state(vmx) & ~GUEST_INTR_STATE_NMI);
	requeue(vmx, info, error_code, insn_len);
}

/*
 * vmx_cancel_injection() - take back what a failed entry did not inject
 * @vcpu: the vCPU
 */
void vmx_cancel_injection(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	struct vmx_injection event = vmx->inject;

	if (!event.info)
		return;
	vmx->inject.info = 0;
	requeue(vmx, event.info, event.error_code, event.insn_len);
}

/*
 * vmx_get_shadow() - see struct vitro_backend
 */
u32 vmx_get_shadow(struct vitro_vcpu *vcpu)
{
	u32 state = vmx_intr_state(to_vmx(vcpu));

	return (state & GUEST_INTR_STATE_STI ? KVM_X86_SHADOW_INT_STI : 0) |
	       (state & GUEST_INTR_STATE_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
}

/*
 * vmx_set_shadow() - see struct vitro_backend
 *
 * The processor has at most one of the two.
 */
void vmx_set_shadow(struct vitro_vcpu *vcpu, u32 shadow)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	u32 state = vmx_intr_state(vmx) & ~SHADOW;

	if (shadow & KVM_X86_SHADOW_INT_MOV_SS)
		state |= GUEST_INTR_STATE_MOV_SS;
	else if (shadow & KVM_X86_SHADOW_INT_STI)
		state |= GUEST_INTR_STATE_STI;
	vmx_set_intr_state(vmx, state);
}

/*
 * vmx_get_nmi_mask() - see struct vitro_backend
 */
bool vmx_get_nmi_mask(struct vitro_vcpu *vcpu)
{
	return vmx_intr_state(to_vmx(vcpu)) & GUEST_INTR_STATE_NMI;
}

/*
 * vmx_set_nmi_mask() - see struct vitro_backend
 */
void vmx_set_nmi_mask(struct vitro_vcpu *vcpu, bool masked)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	u32 state = vmx_intr_state(vmx) & ~GUEST_INTR_STATE_NMI;

	vmx_set_intr_state(vmx, masked ? state | GUEST_INTR_STATE_NMI : state);
}

/*
 * vmx_update_tpr() - see struct vitro_backend
 *
 * The threshold makes the guest exit when it lowers its TPR below the class
 * of an interrupt that waits. VM entry wants it not above the TPR's class.
 */
void vmx_update_tpr(struct vitro_vcpu *vcpu, u8 tpr, int irr_class)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	u8 threshold = 0;

	if (!vmx->tpr_shadow)
		return;
	if (tpr != vmx->tpr) {
		vmx->tpr = tpr;
		WRITE_ONCE(vmx->vapic[APIC_TASKPRI], tpr);
	}
	if (irr_class > 0 && irr_class <= tpr >> 4)
		threshold = irr_class;
	if (threshold != vmx->tpr_threshold) {
		vmx->tpr_threshold = threshold;
		vmx_write(vmx, TPR_THRESHOLD, threshold);
	}
}
