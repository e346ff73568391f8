// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exceptions that exit, and single steps for user space's debugger. The trap flag is in the VMCS
 * for one entry; the guest's RFLAGS as vitro keeps them never have it.
 */
#include <linux/kvm.h>
#include <linux/smp.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "../debug.h"
#include "vmx.h"

#define SHADOW (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* Exceptions while the trap flag is the debugger's: all, since they would push it. */
#define STEP_EXCEPTIONS	(~(u32)BIT(X86_TRAP_NMI))

/*
 * vmx_update_exceptions() - see struct vitro_backend
 *
 * #DB and #AC are intercepted because their delivery can raise them again for ever,
 * #MC because it is the host's, #UD because of the other vendor's hypercalls.
 */
void vmx_update_exceptions(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	u32 bitmap = BIT(X86_TRAP_DB) | BIT(X86_TRAP_UD) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC);

	vmx->step = vitro_debugged(vcpu, KVM_GUESTDBG_SINGLESTEP);
	if (vitro_debugged(vcpu, KVM_GUESTDBG_USE_SW_BP))
		bitmap |= BIT(X86_TRAP_BP);
	if (bitmap == vmx->exception_bitmap)
		return;
	vmx->exception_bitmap = bitmap;
	vmx_write(vmx, EXCEPTION_BITMAP, bitmap);
}

/**
 * vmx_start_step() - set the trap flag for this entry
 * @vmx: the vCPU, about to enter; the VMCS is current and has the guest's RFLAGS
 *
 * With an event to inject, the step is its delivery, which would push the flag. The
 * VMX-preemption timer ends the entry right after it (SDM, "VMX-Preemption Timer"), else an
 * interrupt of the host; Bochs keeps those masked while the guest's IF is clear.
 *
 * The flag and an interrupt shadow together would be a trap before the instruction. What comes in
 * the shadow is not for this entry, as common code has looked for events.
 */
void vmx_start_step(struct vitro_vmx *vmx)
{
	u64 rflags = vcpu_rflags(&vmx->vcpu);

	vmx->step_event = vmx->inject.info;
	if (vmx->step_event) {
		if (vmx_can(VMX_PIN, PIN_BASED_VMX_PREEMPTION_TIMER))
			vmcs_write(VMX_PREEMPTION_TIMER_VALUE, 0);
		else
			smp_send_reschedule(smp_processor_id());
		return;
	}
	vmx_end_halt(&vmx->vcpu);
	vmx->step_tf = rflags & X86_EFLAGS_TF;
	vmx->step_rip = vcpu_rip(&vmx->vcpu);
	vmx->step_shadow = vmx_intr_state(vmx) & SHADOW;
	if (vmx->step_shadow)
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, vmx_intr_state(vmx) & ~SHADOW);
	vmcs_write(GUEST_RFLAGS, rflags | X86_EFLAGS_TF);
	vmcs_write(EXCEPTION_BITMAP, STEP_EXCEPTIONS);
}

/*
 * vmx_end_step() - see struct vitro_backend
 */
void vmx_end_step(struct vitro_vcpu *vcpu, struct vitro_exit *exit)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	if (vmx->step_event) {
		if (vmx_can(VMX_PIN, PIN_BASED_VMX_PREEMPTION_TIMER))
			vmx_write_preemption_timer();
		return;
	}
	vmcs_write(EXCEPTION_BITMAP, vmx->exception_bitmap);
	vitro_debug_end_step(vcpu, exit, vmx->step_tf);
	/* It has not executed: the shadow is still there. */
	if (vmx->step_shadow && vcpu_rip(vcpu) == vmx->step_rip)
		vmx_set_intr_state(vmx, vmx_intr_state(vmx) | vmx->step_shadow);
}
