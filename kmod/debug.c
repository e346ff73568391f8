// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_SET_GUEST_DEBUG: single steps and breakpoints of a debugger outside of the guest.
 *
 * The guest sees nothing of it: its RFLAGS are never the debugger's. A backend steps by the
 * trap flag, which is there for one entry only, and not while an event is delivered, which
 * would push it: exceptions are intercepted meanwhile, and injected. What instructions do
 * with the flag is put right here. A step ends after one instruction, or at the first
 * instruction of a handler. One that vitro completes or skips is noticed by RIP.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "backend.h"
#include "debug.h"
#include "emul/emul.h"
#include "insn.h"
#include "insn_mode.h"
#include "vm.h"

/**
 * vitro_update_dr7() - put the DR7 in force that the guest runs with
 * @vcpu: the vCPU, loaded, whose dr7, guest_debug or debug_dr7 has changed
 *
 * Context: any of the vCPU's thread, IRQs on or off.
 */
void vitro_update_dr7(struct vitro_vcpu *vcpu)
{
	bool replaced = vitro_debugged(vcpu, KVM_GUESTDBG_USE_HW_BP);

	vcpu->active_dr7 = replaced ? vcpu->debug_dr7 : vcpu->dr7;
	vitro_backend->set_dr7(vcpu, vcpu->active_dr7);
}

/**
 * vitro_debug_exit() - tell user space's debugger of a debug event
 * @vcpu:     the vCPU
 * @vector:   X86_TRAP_DB or X86_TRAP_BP
 * @dr6_bits: what has happened, for #DB
 *
 * Return: 0: kvm_run is filled.
 */
int vitro_debug_exit(struct vitro_vcpu *vcpu, u8 vector, u64 dr6_bits)
{
	struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;

	vcpu->step_begun = false;
	/* The processor may have cleared GD. */
	vitro_update_dr7(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_DEBUG;
	arch->exception = vector;
	arch->pad = 0;
	arch->pc = vitro_linear_rip(vcpu);
	arch->dr6 = DR6_FIXED_ONES | dr6_bits;
	arch->dr7 = vcpu->active_dr7;
	return 0;
}

/**
 * vitro_debug_begin_step() - prepare the entry that executes one instruction for a debugger
 * @vcpu: the vCPU
 *
 * Context: preemption off; vm->srcu held.
 */
void vitro_debug_begin_step(struct vitro_vcpu *vcpu)
{
	const struct vitro_events *events = &vcpu->events;
	u8 bytes[EMUL_MAX_INSN];
	struct emul_insn insn;
	int n, len;

	if (!vcpu->step_begun) {
		vcpu->step_begun = true;
		vcpu->step_rip = vcpu_rip(vcpu);
		vcpu->step_stuck = false;
	}
	vcpu->step_insn = VITRO_STEP_PLAIN;
	n = vitro_fetch_insn(vcpu, bytes, sizeof(bytes), true);
	len = n > 0 ? emul_insn_length(&insn, vitro_insn_mode(vcpu), bytes, n) : 0;
	if (len <= 0)
		return;
	switch (emul_insn_id(&insn)) {
	case 0x9c:
		vcpu->step_insn = VITRO_STEP_PUSHES_FLAGS;
		break;
	case 0x9d:
	case 0xcf:
		vcpu->step_insn = VITRO_STEP_LOADS_FLAGS;
		break;
	case 0xcd:
		/* The processor would push the flag, and not stop at the handler. */
		if (!vitro_event_on_its_way(vcpu) && !events->exception.pending)
			vitro_requeue_irq(vcpu, bytes[len - 1], true, len);
		break;
	}
}

/**
 * vitro_debug_end_step() - for end_step of a backend: an entry with the trap flag has ended
 * @vcpu:   the vCPU
 * @exit:   the exit; changed if the step has been completed
 * @own_tf: the guest has the flag set by itself
 *
 * Context: IRQs off.
 */
void vitro_debug_end_step(struct vitro_vcpu *vcpu, struct vitro_exit *exit, bool own_tf)
{
	bool stepped = exit->reason == VITRO_EXIT_EXCEPTION &&
		       exit->exception.vector == X86_TRAP_DB && exit->exception.payload & DR6_BS;

	if (!own_tf && !(stepped && vcpu->step_insn == VITRO_STEP_LOADS_FLAGS))
		vcpu_write_rflags(vcpu, vcpu_rflags(vcpu) & ~(u64)X86_EFLAGS_TF);
	if (!stepped) {
		vcpu->step_stuck = false;
		return;
	}
	/*
	 * Bochs has a trap pending where another exit has ended the last entry with the flag.
	 * An instruction that jumps to itself is executed twice.
	 */
	if (vcpu_rip(vcpu) == vcpu->step_rip && !vcpu->step_stuck) {
		vcpu->step_stuck = true;
		exit->reason = VITRO_EXIT_RESUME;
		return;
	}
	exit->reason = VITRO_EXIT_STEP;
	if (!own_tf)
		exit->exception.payload &= ~DR6_BS;
	exit->exception.pushed_flags = !own_tf && vcpu->step_insn == VITRO_STEP_PUSHES_FLAGS;
}

/**
 * vitro_debug_clear_pushed() - take the trap flag out of RFLAGS on top of the guest's stack
 * @vcpu: the vCPU, which has stepped over PUSHF
 *
 * It is not our error if the guest has unmapped its stack meanwhile.
 *
 * Context: process context, vm->srcu held.
 */
void vitro_debug_clear_pushed(struct vitro_vcpu *vcpu)
{
	/* Where TF is: in the second byte. */
	u64 linear = vcpu_rsp(vcpu) + 1;
	u32 access = VITRO_ACC_READ | VITRO_ACC_WRITE;
	struct vitro_walk walk;
	struct kvm_segment ss;
	u8 flags;

	if (!static_call(vitro_cs_long)(vcpu)) {
		static_call(vitro_get_segment)(vcpu, VITRO_SS, &ss);
		linear = (u32)(ss.base + (linear & (ss.db ? U32_MAX : U16_MAX)));
	}
	if (static_call(vitro_cpl)(vcpu) == 3)
		access |= VITRO_ACC_USER;
	if (vitro_walk_gva(vcpu, linear, access, false, &walk) ||
	    vitro_guest_read(vcpu->vm, walk.gpa, &flags, sizeof(flags)))
		return;
	flags &= ~(X86_EFLAGS_TF >> 8);
	vitro_guest_write(vcpu->vm, walk.gpa, &flags, sizeof(flags));
}

/**
 * vitro_debug_step_done() - a debugger's single step has ended
 * @vcpu:     the vCPU
 * @dr6_bits: breakpoints that the instruction has met beside
 *
 * Return: 0: kvm_run is filled.
 */
int vitro_debug_step_done(struct vitro_vcpu *vcpu, u64 dr6_bits)
{
	/* Unless the debugger has the breakpoints, they are the guest's, which is to hear of them. */
	if (dr6_bits && !vitro_debugged(vcpu, KVM_GUESTDBG_USE_HW_BP)) {
		vitro_queue_db(vcpu, dr6_bits);
		dr6_bits = 0;
	}
	return vitro_debug_exit(vcpu, X86_TRAP_DB, DR6_BS | dr6_bits);
}

/**
 * vitro_set_guest_debug() - KVM_SET_GUEST_DEBUG
 * @vcpu:  the vCPU, loaded
 * @debug: what the debugger wants
 *
 * Return: 0; -EINVAL: there is no such flag on this processor; -EBUSY: an exception is to be
 * injected, but another one waits. Then nothing has changed.
 */
long vitro_set_guest_debug(struct vitro_vcpu *vcpu, const struct kvm_guest_debug *debug)
{
	u32 inject = debug->control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP);

	if (debug->control & ~VITRO_GUESTDBG_FLAGS)
		return -EINVAL;
	if (inject) {
		if (vcpu->events.exception.pending || vcpu->events.exception.injected)
			return -EBUSY;
		vitro_queue_exception(vcpu, inject & KVM_GUESTDBG_INJECT_DB ? X86_TRAP_DB :
									      X86_TRAP_BP);
	}

	vcpu->guest_debug = debug->control & KVM_GUESTDBG_ENABLE ? debug->control & ~inject : 0;
	vcpu->step_begun = false;
	if (vitro_debugged(vcpu, KVM_GUESTDBG_USE_HW_BP)) {
		memcpy(vcpu->debug_dr, debug->arch.debugreg, sizeof(vcpu->debug_dr));
		vcpu->debug_dr7 = (debug->arch.debugreg[7] & DR7_WRITABLE) | DR7_FIXED_1;
	}
	vitro_update_dr7(vcpu);
	vitro_backend->update_exceptions(vcpu);
	/* What has been blocked may be deliverable now. */
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return 0;
}
