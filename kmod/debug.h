/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM_SET_GUEST_DEBUG: a debugger outside of the guest. The vCPU's thread.
 */
#ifndef VITRO_DEBUG_H
#define VITRO_DEBUG_H

#include <linux/kvm.h>
#include <linux/types.h>

#include "vcpu.h"

/* All that there are: the value of KVM_CAP_SET_GUEST_DEBUG2. */
#define VITRO_GUESTDBG_FLAGS						\
	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | \
	 KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP | \
	 KVM_GUESTDBG_BLOCKIRQ)

/* vcpu->step_insn: what the instruction does with RFLAGS */
#define VITRO_STEP_PLAIN		0
#define VITRO_STEP_PUSHES_FLAGS		1	/* PUSHF */
#define VITRO_STEP_LOADS_FLAGS		2	/* POPF, IRET */

long vitro_set_guest_debug(struct vitro_vcpu *vcpu, const struct kvm_guest_debug *debug);
void vitro_debug_begin_step(struct vitro_vcpu *vcpu);
void vitro_debug_end_step(struct vitro_vcpu *vcpu, struct vitro_exit *exit, bool own_tf);
void vitro_update_dr7(struct vitro_vcpu *vcpu);
int vitro_debug_exit(struct vitro_vcpu *vcpu, u8 vector, u64 dr6_bits);
void vitro_debug_clear_pushed(struct vitro_vcpu *vcpu);
int vitro_debug_step_done(struct vitro_vcpu *vcpu, u64 dr6_bits);

/* Are all of these KVM_GUESTDBG_* in force? */
static inline bool vitro_debugged(const struct vitro_vcpu *vcpu, u32 how)
{
	return (vcpu->guest_debug & how) == how;
}

/**
 * vitro_debug_stepped() - has the instruction that a debugger wants to see executed completed?
 * @vcpu: the vCPU, between two instructions
 *
 * One that vitro has completed or skipped, or an event that has been delivered, moves RIP;
 * what the processor itself tells comes as VITRO_EXIT_STEP.
 */
static inline bool vitro_debug_stepped(struct vitro_vcpu *vcpu)
{
	return unlikely(vcpu->step_begun) && vcpu_rip(vcpu) != vcpu->step_rip;
}

#endif /* VITRO_DEBUG_H */
