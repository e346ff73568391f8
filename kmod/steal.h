/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Steal time: how long the host has kept a vCPU waiting, and that it has been preempted.
 */
#ifndef VITRO_STEAL_H
#define VITRO_STEAL_H

#include <linux/sched.h>

#include "vcpu.h"

/* MSR_KVM_STEAL_TIME; the vCPU's thread. 0, or 1: #GP. */
int vitro_steal_set_msr(struct vitro_vcpu *vcpu, u64 value);

/* VITRO_REQ_STEAL: write the guest's page; may sleep; vm->srcu held. */
void vitro_steal_update(struct vitro_vcpu *vcpu);
/* The thread is scheduled out, which it did not ask for, or sleeps in HLT. */
void vitro_steal_preempted(struct vitro_vcpu *vcpu);

/* Can the host say? */
static inline bool vitro_steal_offered(void)
{
	return IS_ENABLED(CONFIG_SCHED_INFO);
}

/* ns for which the calling thread has been runnable and has not run */
static inline u64 vitro_steal_waited(void)
{
#ifdef CONFIG_SCHED_INFO
	return current->sched_info.run_delay;
#else
	return 0;
#endif
}

/* The vCPU is loaded by its thread, preemption is off: is there news for the guest? */
static inline void vitro_steal_load(struct vitro_vcpu *vcpu)
{
	if (vcpu->steal.enabled &&
	    (vcpu->steal.told || vcpu->steal.waited != vitro_steal_waited()))
		vitro_request(vcpu, VITRO_REQ_STEAL);
}

#endif /* VITRO_STEAL_H */
