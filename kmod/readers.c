// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for the readers of a VM's memory slots, buses and GSI routes.
 *
 * A vCPU thread holds vm->srcu all the time that its guest runs; a guest that
 * exits for nothing slow would never end that read. VITRO_REQ_OUT makes the
 * thread begin a new one. A single request is not enough: the thread may have
 * obeyed before the grace period has begun, and what it began then is waited
 * for, too. So it is repeated until the grace period has ended.
 */
#include <linux/hrtimer.h>
#include <linux/srcu.h>

#include "compat.h"
#include "vcpu.h"
#include "vm.h"

#define FIRST_NUDGE_NS		(20 * NSEC_PER_USEC)
#define LAST_NUDGE_NS		(500 * NSEC_PER_USEC)

struct nudge {
	struct hrtimer timer;
	struct vitro_vm *vm;
	u64 interval;
};

static enum hrtimer_restart nudge_readers(struct hrtimer *timer)
{
	struct nudge *nudge = container_of(timer, struct nudge, timer);
	struct vitro_vcpu *vcpu;
	int i;

	vitro_for_each_vcpu(i, vcpu, nudge->vm) {
		vitro_request(vcpu, VITRO_REQ_OUT);
		vitro_vcpu_kick(vcpu);
	}
	nudge->interval = min_t(u64, 2 * nudge->interval, LAST_NUDGE_NS);
	hrtimer_forward_now(timer, ns_to_ktime(nudge->interval));
	return HRTIMER_RESTART;
}

/**
 * vitro_sync_readers() - wait until nobody uses what has been replaced
 * @vm:	the VM
 *
 * On return, every read of vm->srcu that had begun before the call has ended.
 *
 * Context: process, vm->srcu not held.
 */
void vitro_sync_readers(struct vitro_vm *vm)
{
	struct nudge nudge = { .vm = vm, .interval = FIRST_NUDGE_NS };

	if (!vitro_nr_vcpus(vm)) {
		synchronize_srcu_expedited(&vm->srcu);
		return;
	}
	vitro_hrtimer_setup_on_stack(&nudge.timer, nudge_readers, CLOCK_MONOTONIC,
				     HRTIMER_MODE_REL_HARD);
	hrtimer_start(&nudge.timer, ns_to_ktime(nudge.interval), HRTIMER_MODE_REL_HARD);
	synchronize_srcu_expedited(&vm->srcu);
	hrtimer_cancel(&nudge.timer);
	destroy_hrtimer_on_stack(&nudge.timer);
}
