// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_RUN: from the ioctl to the guest and back.
 *
 * Four levels, each entered as rarely as possible:
 *
 *	vitro_vcpu_run()	the ioctl: completes the last user-space exit
 *	  run_loop()		signals, requests that sleep, blocking in HLT
 *	    enter_guest()	preemption off, guest's FPU state in the registers
 *	      inner_loop()	IRQs off: inject, enter, handle what is quick
 */
#define VITRO_COMPAT_WORK

#include <linux/context_tracking.h>
#include <linux/kvm.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/vtime.h>

#include "backend.h"
#include "clock.h"
#include "compat.h"
#include "debug.h"
#include "dirty_ring.h"
#include "hot.h"
#include "irqchip/irqchip.h"
#include "run.h"
#include "steal.h"
#include "trace.h"
#include "vcpu_state.h"
#include "vm.h"
#include "xstate.h"

/* Requests that the inner loop can serve; any other ends it. */
#define FAST_REQUESTS (BIT(VITRO_REQ_EVENT) | BIT(VITRO_REQ_NMI) | \
		       BIT(VITRO_REQ_TLB_FLUSH) | BIT(VITRO_REQ_TIMER))

static DEFINE_PER_CPU(cpumask_var_t, kick_mask);

/**
 * vitro_run_exit() - undo vitro_run_init()
 */
void vitro_run_exit(void)
{
	int cpu;

	preempt_notifier_dec();
	for_each_possible_cpu(cpu)
		free_cpumask_var(per_cpu(kick_mask, cpu));
}

/**
 * vitro_run_init() - prepare for running vCPUs
 *
 * Takes the preempt notifiers' static key once for the module's life: a key
 * patched at every creation of a VM would cost each time.
 *
 * Context: module load.
 * Return: 0 or -ENOMEM.
 */
int vitro_run_init(void)
{
	int cpu;

	preempt_notifier_inc();
	for_each_possible_cpu(cpu) {
		if (!zalloc_cpumask_var_node(&per_cpu(kick_mask, cpu), GFP_KERNEL,
					     cpu_to_node(cpu))) {
			vitro_run_exit();
			return -ENOMEM;
		}
	}
	vitro_xstate_init();
	return 0;
}

/**
 * vitro_vcpu_wake() - wake a vCPU that blocks in HLT
 * @vcpu: the vCPU
 *
 * Context: any.
 */
void vitro_vcpu_wake(struct vitro_vcpu *vcpu)
{
	if (rcuwait_wake_up(&vcpu->wait))
		vcpu->stats.halt_wakeups++;
}

/**
 * vitro_vcpu_kick() - make a vCPU look at its requests
 * @vcpu: the vCPU, for which vitro_request() has been called
 *
 * Wakes it if it blocks; makes it exit if it is in guest mode. The vCPU
 * stores its mode before it reads its requests, and the caller writes the
 * request before it reads the mode: one of them sees the other.
 *
 * Context: any.
 */
void vitro_vcpu_kick(struct vitro_vcpu *vcpu)
{
	int cpu;

	vitro_vcpu_wake(vcpu);
	smp_mb();	/* pairs with smp_store_mb() in inner_loop() */
	if (READ_ONCE(vcpu->mode) != VITRO_IN_GUEST)
		return;
	cpu = READ_ONCE(vcpu->cpu);
	if (cpu >= 0 && cpu != raw_smp_processor_id())
		smp_send_reschedule(cpu);
}

static void nothing(void *unused)
{
}

/**
 * vitro_kick_all() - request something of every vCPU of a VM
 * @vm:   the VM
 * @req:  request
 * @wait: return only when no vCPU is in guest mode without having seen it
 *
 * Context: preemption may be off; with @wait, IRQs on.
 */
void vitro_kick_all(struct vitro_vm *vm, enum vitro_request req, bool wait)
{
	struct cpumask *mask;
	struct vitro_vcpu *vcpu;
	int i, cpu, me = get_cpu();

	mask = this_cpu_cpumask_var_ptr(kick_mask);
	cpumask_clear(mask);
	vitro_for_each_vcpu(i, vcpu, vm) {
		vitro_request(vcpu, req);
		smp_mb();	/* pairs with smp_store_mb() in inner_loop() */
		if (READ_ONCE(vcpu->mode) != VITRO_IN_GUEST)
			continue;
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu >= 0 && cpu != me)
			cpumask_set_cpu(cpu, mask);
	}
	if (!cpumask_empty(mask))
		smp_call_function_many(mask, nothing, NULL, wait);
	put_cpu();
}

/**
 * vitro_flush_remote_tlbs() - drop a VM's nested translations everywhere
 * @vm: the VM
 *
 * A vCPU that is not in guest mode flushes before it enters again.
 *
 * Context: IRQs on; vm->mmu_lock may be held.
 */
void vitro_flush_remote_tlbs(struct vitro_vm *vm)
{
	atomic64_inc((atomic64_t *)&vm->stats.remote_tlb_flushes);
	vitro_kick_all(vm, VITRO_REQ_TLB_FLUSH, true);
}

static void empty_logs_here(void *data)
{
	struct vitro_vm *vm = data;
	struct vitro_vcpu *vcpu;
	int i;

	vitro_for_each_vcpu(i, vcpu, vm)
		if (READ_ONCE(vcpu->cpu) == raw_smp_processor_id())
			vitro_backend->log_empty(vcpu);
}

/**
 * vitro_collect_logs() - enter what the processors have logged for a VM's vCPUs into its dirty log
 * @vm: the VM
 *
 * On return each page is marked that was written before the call. A vCPU that is loaded nowhere
 * has nothing logged, and one that is loaded elsewhere meanwhile was put before, which empties
 * its log as well. The others' CPUs have to look, also of those that are not in guest mode now: a
 * request would be served at their next entry only.
 *
 * Context: process, no vCPU loaded by the caller.
 */
void vitro_collect_logs(struct vitro_vm *vm)
{
	struct cpumask *mask;
	struct vitro_vcpu *vcpu;
	int i, cpu, me;

	if (!READ_ONCE(vm->cpu_log))
		return;
	me = get_cpu();
	mask = this_cpu_cpumask_var_ptr(kick_mask);
	cpumask_clear(mask);
	vitro_for_each_vcpu(i, vcpu, vm) {
		/* Pairs with vcpu.c: who sees it put sees the marks. */
		cpu = smp_load_acquire(&vcpu->cpu);
		if (cpu >= 0 && cpu != me)
			cpumask_set_cpu(cpu, mask);
	}
	smp_call_function_many(mask, empty_logs_here, vm, true);
	put_cpu();
}

/* A halted vCPU goes on when something can interrupt it. */
static bool has_event(struct vitro_vcpu *vcpu)
{
	if (vcpu->events.exception.pending || vcpu->events.exception.injected ||
	    vcpu->events.irq.injected || vcpu->events.nmi.injected || READ_ONCE(vcpu->unhalted))
		return true;
	if ((vcpu->events.nmi.pending || atomic_read(&vcpu->nmi_queued)) &&
	    static_call(vitro_nmi_allowed)(vcpu))
		return true;
	return vcpu->lapic && vitro_has_interrupt(vcpu) && static_call(vitro_irq_allowed)(vcpu);
}

/**
 * vitro_vcpu_runnable() - would the vCPU execute instructions?
 * @vcpu: the vCPU, loaded; ends a HLT that has nothing left to wait for
 */
bool vitro_vcpu_runnable(struct vitro_vcpu *vcpu)
{
	if (vcpu->mp_state == KVM_MP_STATE_RUNNABLE)
		return true;
	if (vcpu->mp_state != KVM_MP_STATE_HALTED || !has_event(vcpu))
		return false;
	/*
	 * A guest that has halted looks again at what it waited for, whoever has ended the HLT;
	 * it sees what was written before a kick that is forgotten here, as entries are barriers.
	 */
	WRITE_ONCE(vcpu->unhalted, false);
	WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
	return true;
}

static void lock_srcu(struct vitro_vcpu *vcpu) __acquires(&vcpu->vm->srcu)
{
	vcpu->srcu_idx = srcu_read_lock(&vcpu->vm->srcu);
}

static void unlock_srcu(struct vitro_vcpu *vcpu) __releases(&vcpu->vm->srcu)
{
	srcu_read_unlock(&vcpu->vm->srcu, vcpu->srcu_idx);
}

static bool can_wake(struct vitro_vcpu *vcpu)
{
	/* A TLB flush alone can wait until the guest runs again. */
	if (READ_ONCE(vcpu->requests) & ~(BIT(VITRO_REQ_EVENT) | BIT(VITRO_REQ_TLB_FLUSH)))
		return true;
	return vitro_vcpu_runnable(vcpu) || signal_pending(current);
}

/*
 * Looks for something to do for as long as user space wants (KVM_CAP_HALT_POLL), which
 * spares the scheduler. A vCPU that has lately slept for longer would only burn time.
 */
static bool poll_before_sleep(struct vitro_vcpu *vcpu, u64 begin)
{
	u64 limit = READ_ONCE(vcpu->vm->halt_poll_ns);

	if (!limit || vcpu->last_halt_ns > 2 * limit)
		return false;
	do {
		if (can_wake(vcpu))
			return true;
		cpu_relax();
	} while (!need_resched() && ktime_get_ns() - begin < limit);
	return false;
}

/* Sleeps until there is something to do. Returns 1. */
static int block(struct vitro_vcpu *vcpu) __must_hold(&vcpu->vm->srcu)
{
	u64 begin = READ_ONCE(vcpu->vm->halt_poll_ns) ? ktime_get_ns() : 0;

	vcpu->stats.halt_blocks++;
	unlock_srcu(vcpu);
	if (begin && poll_before_sleep(vcpu, begin))
		goto out;
	if (vcpu->lapic)
		vitro_lapic_timer_sleep(vcpu);
	prepare_to_rcuwait(&vcpu->wait);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (can_wake(vcpu))
			break;
		schedule();
	}
	finish_rcuwait(&vcpu->wait);
out:
	if (begin)
		vcpu->last_halt_ns = ktime_get_ns() - begin;
	lock_srcu(vcpu);
	return 1;
}

static void startup_ipi(struct vitro_vcpu *vcpu)
{
	struct kvm_segment cs;
	u8 vector = READ_ONCE(vcpu->sipi_vector);

	static_call(vitro_get_segment)(vcpu, VITRO_CS, &cs);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	static_call(vitro_set_segment)(vcpu, VITRO_CS, &cs);
	vcpu_write_rip(vcpu, 0);
	WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
}

static void init_sipi(struct vitro_vcpu *vcpu)
{
	if (test_and_clear_bit(VITRO_INIT_PENDING, &vcpu->init_sipi)) {
		vitro_vcpu_reset(vcpu, true);
		WRITE_ONCE(vcpu->mp_state, vcpu->id == vcpu->vm->bsp_id ?
			   KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_INIT_RECEIVED);
	}
	/* Only a processor that waits for a start-up IPI takes it. */
	if (test_and_clear_bit(VITRO_SIPI_PENDING, &vcpu->init_sipi) &&
	    vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED)
		startup_ipi(vcpu);
}

/* Requests that the inner loop leaves alone. 1: go on; 0: to user space. */
static int slow_requests(struct vitro_vcpu *vcpu)
{
	if (vitro_take_request(vcpu, VITRO_REQ_TRIPLE_FAULT)) {
		vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
		return 0;
	}
	if (vitro_take_request(vcpu, VITRO_REQ_IOAPIC_EOI)) {
		vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
		vcpu->run->eoi.vector = vitro_lapic_take_user_eoi(vcpu);
		return 0;
	}
	if (vitro_take_request(vcpu, VITRO_REQ_RING_FULL) && vitro_dirty_ring_full(vcpu)) {
		vitro_request(vcpu, VITRO_REQ_RING_FULL);
		vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
		return 0;
	}
	if (vitro_take_request(vcpu, VITRO_REQ_OUT)) {
		/* Someone waits for old readers of slots and buses to go. */
		unlock_srcu(vcpu);
		lock_srcu(vcpu);
	}
	if (vitro_take_request(vcpu, VITRO_REQ_INIT_SIPI))
		init_sipi(vcpu);
	if (vitro_take_request(vcpu, VITRO_REQ_LOG))
		vitro_backend->log_start(vcpu);
	if (vitro_take_request(vcpu, VITRO_REQ_MSR_FILTER))
		vitro_backend->msr_filter_changed(vcpu);
	if (vitro_take_request(vcpu, VITRO_REQ_STEAL))
		vitro_steal_update(vcpu);
	if (vitro_take_request(vcpu, VITRO_REQ_PV_EOI))
		vitro_pv_eoi_bring_page(vcpu);
	if (vitro_take_request(vcpu, VITRO_REQ_CLOCK))
		vitro_clock_update(vcpu);
	/* A blocked vCPU has left the inner loop, where timers are served. */
	if (vitro_take_request(vcpu, VITRO_REQ_TIMER))
		vitro_lapic_timer_check(vcpu);
	return 1;
}

/* Serves requests right before an entry. False: the inner loop must end. */
static bool fast_requests(struct vitro_vcpu *vcpu)
{
	if (READ_ONCE(vcpu->requests) & ~FAST_REQUESTS)
		return false;
	/* What is in service decides about what comes. */
	if (unlikely(vcpu->pv_eoi_pending) && !vitro_pv_eoi_try_settle(vcpu))
		return false;
	if (vitro_take_request(vcpu, VITRO_REQ_TLB_FLUSH)) {
		vcpu->stats.tlb_flushes++;
		vitro_backend->flush_tlb(vcpu);
	}
	if (vitro_take_request(vcpu, VITRO_REQ_TIMER))
		vitro_lapic_timer_check(vcpu);
	if (vitro_take_request(vcpu, VITRO_REQ_NMI) |
	    vitro_take_request(vcpu, VITRO_REQ_EVENT)) {
		if (vcpu->lapic)
			vitro_lapic_timer_wait(vcpu);
		vitro_inject_events(vcpu);
	}
	return true;
}

static void account_time(struct vitro_vcpu *vcpu)
{
	if (vcpu->exit_tsc)
		vcpu->stats.exit_time[vcpu->exit.reason] += rdtsc() - vcpu->exit_tsc;
	vcpu->exit_tsc = 0;
}

/* From one entry to its exit, IRQs off. */
static __always_inline void enter_once(struct vitro_vcpu *vcpu)
{
	if (unlikely(vcpu->timing))
		account_time(vcpu);
	if (trace_vitro_entry_enabled())
		trace_vitro_entry(vcpu->id, vcpu_rip(vcpu));

	static_call(vitro_enter)(vcpu, &vcpu->exit);

	WRITE_ONCE(vcpu->mode, VITRO_OUTSIDE_GUEST);
	vcpu->stats.exit_count[vcpu->exit.reason]++;
	if (unlikely(vcpu->timing))
		vcpu->exit_tsc = rdtsc();
	if (trace_vitro_exit_enabled())
		trace_vitro_exit(vcpu->id, vcpu_rip(vcpu), &vcpu->exit);
}

/*
 * IRQs stay off from the first entry to the last exit. That a signal or a
 * reschedule is due need be checked only once, by the caller: whoever makes
 * it due sends an IPI, which stays pending and ends the next entry at once.
 * But a thread that an exit's handler has woken may be due on this very CPU,
 * and then there is no IPI.
 *
 * Returns true if vcpu->exit is left to be handled.
 */
static bool inner_loop(struct vitro_vcpu *vcpu)
{
	for (;;) {
		/* Pairs with vitro_vcpu_kick(). */
		smp_store_mb(vcpu->mode, VITRO_IN_GUEST);
		if (unlikely(READ_ONCE(vcpu->requests)) && !fast_requests(vcpu)) {
			WRITE_ONCE(vcpu->mode, VITRO_OUTSIDE_GUEST);
			return false;
		}
		enter_once(vcpu);
		if (!vitro_handle_exit_fast(vcpu))
			return true;
		vcpu->stats.fast_exits++;
		if (unlikely(test_preempt_need_resched()))
			return false;
	}
}

/*
 * A debugger single-steps: one entry, then a look whether the instruction has completed. As in
 * the inner loop otherwise.
 */
static noinline bool step(struct vitro_vcpu *vcpu)
{
	vitro_debug_begin_step(vcpu);
	/* Pairs with vitro_vcpu_kick(). */
	smp_store_mb(vcpu->mode, VITRO_IN_GUEST);
	if (READ_ONCE(vcpu->requests) && !fast_requests(vcpu)) {
		WRITE_ONCE(vcpu->mode, VITRO_OUTSIDE_GUEST);
		return false;
	}
	enter_once(vcpu);
	vitro_backend->end_step(vcpu, &vcpu->exit);
	return !vitro_handle_exit_fast(vcpu);
}

/* 1: go on; 0: to user space; -errno. */
static int enter_guest(struct vitro_vcpu *vcpu)
{
	bool exited = false;

	preempt_disable();
	vitro_hot_begin(vcpu);
	local_irq_disable();
	vcpu->refresh = VITRO_REFRESH_HOST | VITRO_REFRESH_GUEST;
	vtime_account_guest_enter();

	if (!xfer_to_guest_mode_work_pending()) {
		vitro_hot_debug_load(vcpu);
		static_call_cond(vitro_begin)(vcpu);
		exited = unlikely(vitro_debugged(vcpu, KVM_GUESTDBG_SINGLESTEP)) ?
			 step(vcpu) : inner_loop(vcpu);
		static_call_cond(vitro_end)(vcpu);
		vitro_hot_debug_restore(vcpu);
	}

	/*
	 * The interrupt that ended the guest's run is taken here and counts as
	 * guest time. (STI right before CLI would not let it in.)
	 */
	local_irq_enable();
	vitro_hot_end(vcpu);
	local_irq_disable();
	vtime_account_guest_exit();
	/*
	 * Only a guest that computes for long keeps RCU waiting, and only
	 * interrupts end its run. Other exits lead to user space or are short.
	 */
	if (vcpu->exit.reason == VITRO_EXIT_INTR)
		vitro_rcu_note();
	local_irq_enable();
	preempt_enable();

	if (unlikely(vcpu->pv_eoi_pending))
		vitro_pv_eoi_settle(vcpu);
	return exited ? vitro_handle_exit(vcpu) : 1;
}

/* Without in-kernel PIC: could user space inject an interrupt now? */
static bool ready_for_irq(struct vitro_vcpu *vcpu)
{
	return (!vcpu->lapic || vitro_lapic_takes_extint(vcpu->lapic)) &&
	       vcpu->events.user_irq == VITRO_NO_VECTOR && !vcpu->events.irq.injected &&
	       !vcpu->events.exception.pending && !vcpu->events.exception.injected &&
	       static_call(vitro_irq_allowed)(vcpu);
}

/* An NMI goes first: user space may ask for the window again and again. */
static bool window_open(struct vitro_vcpu *vcpu)
{
	return READ_ONCE(vcpu->run->request_interrupt_window) && ready_for_irq(vcpu) &&
	       !vcpu->events.nmi.pending && !atomic_read(&vcpu->nmi_queued);
}

static int run_loop(struct vitro_vcpu *vcpu)
{
	int r;

	for (;;) {
		if (vitro_debug_stepped(vcpu))
			return vitro_debug_step_done(vcpu, 0);
		if (READ_ONCE(vcpu->requests)) {
			r = slow_requests(vcpu);
			if (r <= 0)
				return r;
		}
		if (!vcpu->vm->pic_in_kernel && window_open(vcpu)) {
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			return 0;
		}

		r = vitro_vcpu_runnable(vcpu) ? enter_guest(vcpu) : block(vcpu);
		if (r <= 0)
			return r;

		if (__xfer_to_guest_mode_work_pending()) {
			unlock_srcu(vcpu);
			r = vitro_handle_work();
			lock_srcu(vcpu);
			if (r) {
				vcpu->stats.signal_exits++;
				vcpu->run->exit_reason = KVM_EXIT_INTR;
				return r;
			}
		}
	}
}

static int complete_last_exit(struct vitro_vcpu *vcpu)
{
	int (*complete)(struct vitro_vcpu *vcpu) = vcpu->complete;

	if (!complete)
		return 1;
	vcpu->complete = NULL;
	if (vcpu_rip(vcpu) == vcpu->complete_rip)
		return complete(vcpu);
	/* User space has sent the guest elsewhere (a reset, say). */
	memset(&vcpu->io, 0, sizeof(vcpu->io));
	return 1;
}

/* The KVM_RUN that starts a vCPU which waits for its start-up IPI. */
static int wait_for_startup(struct vitro_vcpu *vcpu)
{
	if (vitro_immediate_exit(vcpu->run))
		return -EINTR;
	block(vcpu);
	if (signal_pending(current)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		return -EINTR;
	}
	return slow_requests(vcpu) ? -EAGAIN : 0;
}

static void fill_run(struct vitro_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = !!(vcpu_rflags(vcpu) & X86_EFLAGS_IF);
	run->cr8 = vcpu->lapic ? vitro_lapic_get_tpr(vcpu) >> 4 : vcpu->cr8;
	run->apic_base = vcpu->msrs.apic_base;
	run->flags = 0;
	run->ready_for_interrupt_injection = vcpu->vm->pic_in_kernel ||
					     ready_for_irq(vcpu);
}

static int run_locked(struct vitro_vcpu *vcpu) __must_hold(&vcpu->vm->srcu)
{
	int r;

	vcpu->has_run = true;
	vcpu->timing = READ_ONCE(vcpu->vm->timing);
	if (unlikely(vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED))
		return wait_for_startup(vcpu);

	r = complete_last_exit(vcpu);
	if (r <= 0)
		return r;
	if (vitro_immediate_exit(vcpu->run))
		return -EINTR;

	/* With an APIC outside the kernel, CR8 is user space's to set. */
	if (!vcpu->lapic) {
		u64 cr8 = READ_ONCE(vcpu->run->cr8);

		if (cr8 > 15)
			return -EINVAL;
		if (cr8 != vcpu->cr8)
			vitro_request(vcpu, VITRO_REQ_EVENT);
		vcpu->cr8 = cr8;
	}
	if (!vcpu->vm->pic_in_kernel && READ_ONCE(vcpu->run->request_interrupt_window))
		vitro_request(vcpu, VITRO_REQ_EVENT);
	/* One that only completed the last exit leaves its reason for user space to look at. */
	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	return run_loop(vcpu);
}

/* The registers that user space shares by kvm_run (KVM_CAP_SYNC_REGS) are mostly none. */
static int take_shared_regs(struct vitro_vcpu *vcpu)
{
	u64 dirty = READ_ONCE(vcpu->run->kvm_dirty_regs);
	u64 valid = READ_ONCE(vcpu->run->kvm_valid_regs);

	return unlikely(dirty | valid) ? vitro_regs_from_run(vcpu, dirty, valid) : 0;
}

static void leave_shared_regs(struct vitro_vcpu *vcpu)
{
	u64 valid = READ_ONCE(vcpu->run->kvm_valid_regs);

	if (unlikely(valid))
		vitro_regs_to_run(vcpu, valid);
}

static int run(struct vitro_vcpu *vcpu)
{
	int r = take_shared_regs(vcpu);

	if (r)
		return r;
	/* With nothing to complete, no guest memory is needed either. */
	if (vitro_immediate_exit(vcpu->run) && !vcpu->complete)
		return -EINTR;
	lock_srcu(vcpu);
	r = run_locked(vcpu);
	unlock_srcu(vcpu);
	return r;
}

/**
 * vitro_vcpu_run() - KVM_RUN
 * @vcpu: the vCPU, loaded, its mutex held
 *
 * Context: process context of the VM's mm.
 * Return: 0 with kvm_run filled, -EINTR on a signal or immediate_exit,
 * -EAGAIN when a start-up IPI has been waited for, -EINVAL for registers in kvm_run
 * (KVM_CAP_SYNC_REGS) that there are not, or what went wrong.
 */
long vitro_vcpu_run(struct vitro_vcpu *vcpu)
{
	int r;

	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &current->real_blocked);

	r = run(vcpu);
	fill_run(vcpu);
	leave_shared_regs(vcpu);
	vcpu->complete_rip = vcpu_rip(vcpu);
	vcpu->stats.user_exits++;

	if (vcpu->sigset_active) {
		sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
		sigemptyset(&current->real_blocked);
	}
	return r;
}
