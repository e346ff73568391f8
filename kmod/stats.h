/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters, read by user space through KVM_GET_STATS_FD.
 */
#ifndef VITRO_STATS_H
#define VITRO_STATS_H

#include <linux/types.h>

#include "exit.h"

struct vitro_vm;
struct vitro_vcpu;

/* Beside the exits by reason: X(field). All count up. */
#define VITRO_VCPU_COUNTERS(X)	\
	X(fast_exits)		\
	X(user_exits)		\
	X(signal_exits)		\
	X(irq_injections)	\
	X(nmi_injections)	\
	X(exception_injections)	\
	X(halt_blocks)		\
	X(halt_wakeups)		\
	X(tlb_flushes)		\
	X(emulated_insns)	\
	X(preemptions)

/* These tell what there is now. */
#define VITRO_VM_GAUGES(X)	\
	X(tdp_pages_4k)		\
	X(tdp_pages_2m)		\
	X(tdp_pages_1g)

#define VITRO_VM_COUNTERS(X)	\
	X(tdp_zaps)		\
	X(remote_tlb_flushes)

struct vitro_vcpu_stats {
	u64 exit_count[VITRO_NR_EXITS];
	u64 exit_time[VITRO_NR_EXITS];	/* TSC ticks, while VITRO_SET_TIMING is on */
#define X(field) u64 field;
	VITRO_VCPU_COUNTERS(X)
#undef X
};

/* Any thread of the VM counts: as atomic64_t. */
struct vitro_vm_stats {
#define X(field) u64 field;
	VITRO_VM_GAUGES(X)
	VITRO_VM_COUNTERS(X)
#undef X
};

/* stats.c: new fds for the binary statistics, or -errno. */
int vitro_vm_stats_fd(struct vitro_vm *vm);
int vitro_vcpu_stats_fd(struct vitro_vcpu *vcpu);

#endif /* VITRO_STATS_H */
