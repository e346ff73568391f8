// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events into the guest: injection, what of it the processor could not finish,
 * and the windows in which interrupts and NMIs can be taken.
 */
#include <linux/kvm.h>
#include <linux/smp.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "svm.h"

/* #BP and #OF come from INT3 and INTO and push the RIP behind those. */
static bool svm_is_soft_exception(u8 vector)
{
	return vector == X86_TRAP_BP || vector == X86_TRAP_OF;
}

static void svm_set_event(struct svm_vcpu *svm, u32 event, u32 error_code)
{
	svm->event_inj = event | SVM_EVTINJ_VALID;
	svm->event_inj_err = error_code;
	svm->vmcb->control.event_inj = svm->event_inj;
	svm->vmcb->control.event_inj_err = error_code;
}

/*
 * A soft event is pushed with the RIP behind its instruction. Processors
 * with NRIP save take it from the VMCB; for others RIP is advanced, and moved back
 * if the delivery is not completed (APM, Event Injection).
 */
static void svm_prepare_soft(struct svm_vcpu *svm, u8 len)
{
	struct vitro_vcpu *vcpu = &svm->vcpu;

	if (svm_caps.nrips) {
		svm->vmcb->control.next_rip = vcpu_rip(vcpu) + len;
		return;
	}
	vcpu_write_rip(vcpu, vcpu_rip(vcpu) + len);
	svm->soft_next_rip = vcpu->rip;
	svm->soft_len = len;
}

/* The soft event was not delivered: RIP goes back to its instruction. */
static void svm_undo_soft(struct svm_vcpu *svm)
{
	struct vitro_vcpu *vcpu = &svm->vcpu;

	if (svm->soft_len && vcpu_rip(vcpu) == svm->soft_next_rip)
		vcpu_write_rip(vcpu, svm->soft_next_rip - svm->soft_len);
	svm->soft_len = 0;
}

/**
 * svm_inject_irq() - deliver an interrupt at the next entry
 * @vcpu:	the vCPU; it can take interrupts
 * @vector:	0 to 255
 * @soft:	as by INT n
 * @insn_len:	length of that INT n in bytes. 0: not known; then the guest
 *		executes the instruction, where RIP still is, again
 */
void svm_inject_irq(struct vitro_vcpu *vcpu, u8 vector, bool soft, u8 insn_len)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (!soft) {
		svm_close_irq_window(svm);
		svm_set_event(svm, vector | SVM_EVTINJ_TYPE_INTR, 0);
		return;
	}
	if (!insn_len)
		return;
	svm_prepare_soft(svm, insn_len);
	svm_set_event(svm, vector | SVM_EVTINJ_TYPE_SOFT, 0);
}

/**
 * svm_inject_nmi() - deliver an NMI at the next entry
 * @vcpu: the vCPU
 *
 * The IRET intercept tells when its handler ends.
 */
void svm_inject_nmi(struct vitro_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_set_nmi_mask(vcpu, true);
	svm->nmi_wanted = false;
	svm_set_event(svm, X86_TRAP_NMI | SVM_EVTINJ_TYPE_NMI, 0);
}

/**
 * svm_inject_exception() - deliver an exception at the next entry
 * @vcpu:	the vCPU
 * @vector:	0 to 31
 * @has_error:	it pushes @error_code
 * @error_code:	the error code
 */
void svm_inject_exception(struct vitro_vcpu *vcpu, u8 vector, bool has_error, u32 error_code)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u32 event = vector | SVM_EVTINJ_TYPE_EXEPT;

	/* INT3 and INTO are one byte long; INT 3 is a soft interrupt. */
	if (svm_is_soft_exception(vector))
		svm_prepare_soft(svm, 1);
	if (has_error)
		event |= SVM_EVTINJ_VALID_ERR;
	svm_set_event(svm, event, error_code);
}

/*
 * Hands an event that did not reach the guest back to the common code. What
 * an instruction raises is not: the instruction raises it again. But what was @injected
 * need not come from one, or it is intercepted for a debugger.
 */
static void svm_requeue(struct svm_vcpu *svm, u32 event, u32 error_code, bool injected)
{
	struct vitro_vcpu *vcpu = &svm->vcpu;
	u8 vector = event & SVM_EXITINTINFO_VEC_MASK;

	switch (event & SVM_EXITINTINFO_TYPE_MASK) {
	case SVM_EXITINTINFO_TYPE_NMI:
		svm_set_nmi_mask(vcpu, false);
		vitro_requeue_nmi(vcpu);
		break;
	case SVM_EXITINTINFO_TYPE_EXEPT:
		if (svm_is_soft_exception(vector)) {
			svm_undo_soft(svm);
			if (!injected)
				break;
		}
		vitro_requeue_exception(vcpu, vector, event & SVM_EXITINTINFO_VALID_ERR,
					error_code);
		break;
	case SVM_EXITINTINFO_TYPE_SOFT:
		svm_undo_soft(svm);
		break;
	case SVM_EXITINTINFO_TYPE_INTR:
		vitro_requeue_irq(vcpu, vector, false, 0);
		break;
	}
}

/**
 * svm_cancel_injection() - take back what the next entry would inject
 * @vcpu: the vCPU
 *
 * Also after an entry that VMRUN has refused.
 */
void svm_cancel_injection(struct vitro_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u32 event = svm->event_inj;

	svm->vmcb->control.event_inj = 0;
	svm->event_inj = 0;
	if (event & SVM_EVTINJ_VALID)
		svm_requeue(svm, event, svm->event_inj_err, true);
	svm->soft_len = 0;
}

/**
 * svm_finish_injection() - find out what of an injection the exit interrupted
 * @svm: the vCPU, after an exit
 *
 * A task switch through a task gate reports the event that it delivers: it is not
 * interrupted but under way.
 */
void svm_finish_injection(struct svm_vcpu *svm)
{
	const struct vmcb_control_area *control = &svm->vmcb->control;
	u32 event = control->exit_int_info;
	bool injected = svm->event_inj;

	svm->event_inj = 0;
	svm->vmcb->control.event_inj = 0;
	if (unlikely(event & SVM_EXITINTINFO_VALID) && svm_exit_code(svm->vmcb) != SVM_EXIT_TASK_SWITCH)
		svm_requeue(svm, event, control->exit_int_info_err, injected);
	svm->soft_len = 0;
}

/**
 * svm_irq_allowed() - could the guest take an interrupt at the next entry?
 * @vcpu: the vCPU
 */
bool svm_irq_allowed(struct vitro_vcpu *vcpu)
{
	return vcpu_rflags(vcpu) & X86_EFLAGS_IF &&
	       !(to_svm(vcpu)->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK);
}

/**
 * svm_request_irq_window() - exit as soon as the guest can take an interrupt
 * @vcpu: the vCPU
 *
 * A virtual interrupt of the highest priority, which ignores TPR, is made
 * pending; its intercept fires where it would be taken, before it is.
 */
void svm_request_irq_window(struct vitro_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	if (vcpu->irq_window_open)
		return;
	vcpu->irq_window_open = 1;
	vmcb->control.int_ctl |= V_IRQ_MASK | V_IGN_TPR_MASK | V_INTR_PRIO_MASK;
	vmcb->control.int_vector = 0;
	svm_dirty(vmcb, SVM_CLEAN_INTR);
	svm_intercept(vmcb, INTERCEPT_VINTR, true);
}

/**
 * svm_close_irq_window() - undo svm_request_irq_window()
 * @svm: the vCPU
 */
void svm_close_irq_window(struct svm_vcpu *svm)
{
	if (!svm->vcpu.irq_window_open)
		return;
	svm->vcpu.irq_window_open = 0;
	svm->vmcb->control.int_ctl &= ~V_IRQ_INJECTION_BITS_MASK;
	svm_dirty(svm->vmcb, SVM_CLEAN_INTR);
	svm_intercept(svm->vmcb, INTERCEPT_VINTR, false);
}

/**
 * svm_check_iret() - has an NMI handler ended?
 * @svm: the vCPU, outside of the guest
 *
 * The IRET intercept comes before the IRET: NMIs stay blocked until RIP has moved.
 */
void svm_check_iret(struct svm_vcpu *svm)
{
	if (svm->nmi == SVM_NMI_IRET && vcpu_rip(&svm->vcpu) != svm->nmi_iret_rip)
		svm->nmi = SVM_NMI_OPEN;
}

/**
 * svm_nmi_allowed() - could the guest take an NMI at the next entry?
 * @vcpu: the vCPU
 */
bool svm_nmi_allowed(struct vitro_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_check_iret(svm);
	return svm->nmi == SVM_NMI_OPEN &&
	       !(svm->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK);
}

/**
 * svm_request_nmi_window() - exit as soon as the guest can take an NMI
 * @vcpu: the vCPU; IRQs off, right before an entry
 *
 * In an NMI handler, the IRET intercept is there already. For the one
 * instruction that remains (the IRET, or that in an interrupt shadow) the guest is
 * single-stepped by its trap flag, which svm_start_step() sets.
 */
void svm_request_nmi_window(struct vitro_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_check_iret(svm);
	svm->nmi_wanted = true;
	/* A debugger's step is as good: somebody asks again after each. */
	if (svm->nmi == SVM_NMI_BLOCKED || svm->step == SVM_STEP_DEBUG)
		return;
	if (svm->event_inj) {
		/* The trap flag would be pushed with the event. Exit after its delivery. */
		vitro_request(vcpu, VITRO_REQ_EVENT);
		smp_send_reschedule(smp_processor_id());
		return;
	}
	svm->step = svm->nmi == SVM_NMI_IRET ? SVM_STEP_IRET : SVM_STEP_SHADOW;
	vcpu->refresh |= VITRO_REFRESH_GUEST;
}

/**
 * svm_iret_starts() - the guest is about to return from its NMI handler
 * @svm: the vCPU, after an IRET intercept
 *
 * Return: true if an NMI waits for the end of the handler.
 */
bool svm_iret_starts(struct svm_vcpu *svm)
{
	svm_intercept(svm->vmcb, INTERCEPT_IRET, false);
	if (svm->nmi == SVM_NMI_BLOCKED) {
		svm->nmi = SVM_NMI_IRET;
		svm->nmi_iret_rip = svm->vcpu.rip;
		/* By the time somebody asks, the guest may have come to the same IRET again. */
		if (svm->step != SVM_STEP_DEBUG)
			svm->step = SVM_STEP_WATCH;
	}
	return svm->nmi_wanted;
}

/**
 * svm_get_shadow() - the interrupt shadow
 * @vcpu: the vCPU
 *
 * Return: KVM_X86_SHADOW_INT_* bits; the processor does not tell the two apart.
 */
u32 svm_get_shadow(struct vitro_vcpu *vcpu)
{
	if (to_svm(vcpu)->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK)
		return KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS;
	return 0;
}

/**
 * svm_set_shadow() - put the next instruction into an interrupt shadow or not
 * @vcpu:	the vCPU
 * @shadow:	KVM_X86_SHADOW_INT_* bits
 */
void svm_set_shadow(struct vitro_vcpu *vcpu, u32 shadow)
{
	struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;

	if (shadow)
		control->int_state |= SVM_INTERRUPT_SHADOW_MASK;
	else
		control->int_state &= ~SVM_INTERRUPT_SHADOW_MASK;
}

/**
 * svm_get_nmi_mask() - are NMIs blocked until IRET?
 * @vcpu: the vCPU
 */
bool svm_get_nmi_mask(struct vitro_vcpu *vcpu)
{
	svm_check_iret(to_svm(vcpu));
	return to_svm(vcpu)->nmi != SVM_NMI_OPEN;
}

/**
 * svm_set_nmi_mask() - block NMIs until IRET, or do not
 * @vcpu:	the vCPU
 * @masked:	block
 */
void svm_set_nmi_mask(struct vitro_vcpu *vcpu, bool masked)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->nmi = masked ? SVM_NMI_BLOCKED : SVM_NMI_OPEN;
	svm_intercept(svm->vmcb, INTERCEPT_IRET, masked);
}

/**
 * svm_update_tpr() - the APIC's TPR or its highest request has changed
 * @vcpu:	the vCPU
 * @tpr:	TPR, 0 to 255
 * @irr_class:	priority class of the highest request, or -1
 *
 * The guest's CR8 is V_TPR and costs no exit, unless a request waits that a
 * lower CR8 would let through. While a window is requested it does: QEMU's TCG
 * ends with a failed assertion when a guest writes CR8 and V_IRQ is set (UEFI's
 * interrupt handlers do).
 */
void svm_update_tpr(struct vitro_vcpu *vcpu, u8 tpr, int irr_class)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	u8 v_tpr = tpr >> 4;

	if (svm->v_tpr != v_tpr || (vmcb->control.int_ctl & V_TPR_MASK) != v_tpr) {
		svm->v_tpr = v_tpr;
		vmcb->control.int_ctl = (vmcb->control.int_ctl & ~V_TPR_MASK) | v_tpr;
		svm_dirty(vmcb, SVM_CLEAN_INTR);
	}
	svm_intercept(vmcb, INTERCEPT_CR8_WRITE,
		      !vcpu->lapic || vcpu->irq_window_open ||
		      (irr_class >= 0 && irr_class <= v_tpr));
}

/**
 * svm_reset_events() - nothing injected, no window requested, no shadow, NMIs open
 * @svm: the vCPU, after svm_init_control()
 */
void svm_reset_events(struct svm_vcpu *svm)
{
	svm->event_inj = 0;
	svm->vmcb->control.int_state = 0;
	svm->soft_len = 0;
	svm->nmi = SVM_NMI_OPEN;
	svm->nmi_wanted = false;
	svm->step = SVM_STEP_NONE;
	svm->v_tpr = 0;
	svm->vcpu.irq_window_open = 0;
}
