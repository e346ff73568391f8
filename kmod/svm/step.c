// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single steps by the trap flag: on our own behalf, to notice the end of an NMI handler or of an
 * interrupt shadow, and for user space's debugger. The flag is in the VMCB for one entry; the
 * guest's RFLAGS as vitro keeps them never have it.
 */
#include <linux/smp.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "../debug.h"
#include "svm.h"

/* Vectors whose exceptions can be intercepted, without those that always are. */
#define STEP_EXCEPTIONS	(BIT(X86_TRAP_DE) | BIT(X86_TRAP_BP) | BIT(X86_TRAP_OF) |	\
			 BIT(X86_TRAP_BR) | BIT(X86_TRAP_NM) |				\
			 BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) |	\
			 BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) |	\
			 BIT(X86_TRAP_MF) | BIT(X86_TRAP_XF))

/*
 * While the trap flag is the debugger's, whatever pushes RFLAGS is intercepted, to be injected
 * when it is gone.
 */
static void intercept_pushes(struct svm_vcpu *svm, bool on)
{
	bool breakpoints = vitro_debugged(&svm->vcpu, KVM_GUESTDBG_USE_SW_BP);
	unsigned long vectors = STEP_EXCEPTIONS;
	int vector;

	for_each_set_bit(vector, &vectors, 32)
		svm_intercept(svm->vmcb, INTERCEPT_EXCEPTION_OFFSET + vector,
			      on || (vector == X86_TRAP_BP && breakpoints));
	/* QEMU's TCG takes INT3 for an INT n. */
	svm_intercept(svm->vmcb, INTERCEPT_INTn, breakpoints);
}

/**
 * svm_update_exceptions() - what a debugger wants to know has changed
 * @vcpu: the vCPU
 */
void svm_update_exceptions(struct vitro_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	intercept_pushes(svm, false);
	if (vitro_debugged(vcpu, KVM_GUESTDBG_SINGLESTEP))
		svm->step = SVM_STEP_DEBUG;
	else if (svm->step == SVM_STEP_DEBUG)
		svm->step = svm->nmi == SVM_NMI_IRET ? SVM_STEP_WATCH : SVM_STEP_NONE;
}

/**
 * svm_start_step() - set the trap flag for this entry
 * @svm: the vCPU, about to enter; the VMCB's RFLAGS are the guest's
 *
 * With an event to inject, a debugger's step is its delivery, which would push the flag: an
 * interrupt of the host that is pending ends the entry right after it.
 */
void svm_start_step(struct svm_vcpu *svm)
{
	if (svm->step == SVM_STEP_WATCH)
		return;
	if (svm->step == SVM_STEP_DEBUG) {
		svm->step_event = svm->event_inj;
		if (svm->step_event) {
			smp_send_reschedule(smp_processor_id());
			return;
		}
		intercept_pushes(svm, true);
	}
	svm->step_tf = svm->vmcb->save.rflags & X86_EFLAGS_TF;
	svm->vmcb->save.rflags |= X86_EFLAGS_TF;
}

/* Did the exit end nothing but a step on our own behalf? */
static bool end_own_step(struct svm_vcpu *svm, bool stepped)
{
	struct vitro_vcpu *vcpu = &svm->vcpu;
	bool executed_iret = svm->step == SVM_STEP_IRET && vcpu->rip != svm->nmi_iret_rip;

	svm->step = SVM_STEP_NONE;
	if (!executed_iret && !svm->step_tf)
		vcpu->rflags &= ~(u64)X86_EFLAGS_TF;
	svm_check_iret(svm);
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return stepped && !svm->step_tf;
}

/**
 * svm_end_step() - take the trap flag of svm_start_step() back, or end the watch for an IRET
 * @svm:  the vCPU, after any exit of an entry with svm->step set
 * @exit: what the exit is; changed if it is the end of the step, and nothing else that the
 *	  guest or a debugger would want to see
 *
 * A step lasts for one entry. The event code is asked to look again, in case
 * the exit was another one. An IRET that has executed has loaded its own
 * flags; the trap flag is removed only where it is still ours.
 */
void svm_end_step(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	switch (svm->step) {
	case SVM_STEP_WATCH:
		svm_check_iret(svm);
		if (svm->nmi != SVM_NMI_IRET)
			svm->step = SVM_STEP_NONE;
		break;
	case SVM_STEP_DEBUG:
		break;
	default:
		if (end_own_step(svm, exit->reason == VITRO_EXIT_EXCEPTION &&
				 exit->exception.vector == X86_TRAP_DB &&
				 exit->exception.payload == DR_STEP))
			exit->reason = VITRO_EXIT_NMI_WINDOW;
	}
}

/**
 * svm_end_debug_step() - take the trap flag of a debugger's step back
 * @vcpu: the vCPU, after any exit of an entry that was to be a step; IRQs off
 * @exit: what the exit is; changed if it is the end of the step
 */
void svm_end_debug_step(struct vitro_vcpu *vcpu, struct vitro_exit *exit)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_check_iret(svm);
	if (svm->nmi_wanted)
		vitro_request(vcpu, VITRO_REQ_EVENT);
	if (!svm->step_event) {
		intercept_pushes(svm, false);
		vitro_debug_end_step(vcpu, exit, svm->step_tf);
	}
}
