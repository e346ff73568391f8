// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC timer: one-shot, periodic and TSC-deadline (SDM, APIC Timer).
 */
#include <linux/hrtimer.h>
#include <linux/math64.h>
#include <asm/tsc.h>

#include "../compat.h"
#include "../tsc.h"
#include "internal.h"

/* The APIC's bus clock is 1 GHz: one count lasts a nanosecond, before division. */
#define LVTT_MODE_MASK		(3 << 17)

/*
 * A TSC deadline is turned into at most this many ns; whoever wakes early arms
 * again. It bounds the arithmetic, whatever the guest writes and however slow
 * the TSC is.
 */
#define MAX_DEADLINE_SECONDS	(24 * 3600)

/*
 * From the hrtimer's interrupt to the guest's takes a while, the more if the
 * vCPU has to be woken. So the hrtimer is armed that much before a TSC deadline,
 * learned from how it went before, and what is left is waited for right before
 * the entry: at most this many us, with IRQs off.
 */
#define MAX_ADVANCE_US		5

#define TIMER_MODE		HRTIMER_MODE_ABS_PINNED_HARD

static u32 timer_mode(const struct vitro_lapic *lapic)
{
	return vitro_lapic_reg(lapic, APIC_LVTT) & LVTT_MODE_MASK;
}

static bool deadline_mode(const struct vitro_lapic *lapic)
{
	return timer_mode(lapic) == APIC_LVT_TIMER_TSCDEADLINE;
}

static unsigned int divide_shift(u32 tdcr)
{
	/* Bits 3, 1 and 0; 0b111 divides by 1, 0b000 by 2 ... 0b110 by 128. */
	u32 value = (tdcr & 3) | ((tdcr & 8) >> 1);

	return (value + 1) & 7;
}

static u64 counts_to_ns(const struct vitro_lapic *lapic, u32 count)
{
	return (u64)count << divide_shift(vitro_lapic_reg(lapic, APIC_TDCR));
}

/* ns from one tick to the next; nonzero if the initial count is. */
static u64 timer_period(const struct vitro_lapic *lapic)
{
	u64 period = counts_to_ns(lapic, vitro_lapic_reg(lapic, APIC_TMICT));

	if (timer_mode(lapic) == APIC_LVT_TIMER_PERIODIC)
		period = max_t(u64, period, VITRO_MIN_TIMER_PERIOD);
	return period;
}

static enum hrtimer_restart timer_fired(struct hrtimer *hrtimer)
{
	struct vitro_lapic *lapic = container_of(hrtimer, struct vitro_lapic, timer.hrtimer);

	WRITE_ONCE(lapic->timer.expired, true);
	vitro_request(lapic->vcpu, VITRO_REQ_TIMER);
	vitro_vcpu_kick(lapic->vcpu);
	return HRTIMER_NORESTART;
}

/**
 * vitro_lapic_timer_init() - set up a new APIC's timer
 * @lapic:	the APIC
 */
void vitro_lapic_timer_init(struct vitro_lapic *lapic)
{
	vitro_hrtimer_setup(&lapic->timer.hrtimer, timer_fired, CLOCK_MONOTONIC, TIMER_MODE);
}

/**
 * vitro_lapic_timer_stop() - disarm
 * @lapic:	APIC of the calling vCPU thread
 *
 * A callback that runs at this moment on another CPU is not waited for: what
 * it reports will find the timer disarmed.
 */
void vitro_lapic_timer_stop(struct vitro_lapic *lapic)
{
	lapic->timer.armed = false;
	lapic->timer.deadline = 0;
	lapic->timer.wait_for = 0;
	hrtimer_try_to_cancel(&lapic->timer.hrtimer);
}

/* Apart, so that guests whose TSC is not scaled pay one branch. */
static noinline u64 scaled_distance(const struct vitro_lapic *lapic, u64 tsc)
{
	u64 now = vitro_tsc_scale(lapic->vcpu, tsc) + lapic->vcpu->tsc_offset;
	u64 deadline = lapic->timer.deadline;

	return deadline > now ? vitro_tsc_unscale(lapic->vcpu, deadline - now) : 0;
}

/* Host TSC ticks from host TSC @tsc until the deadline, or 0 if it has been reached. */
static u64 deadline_distance(const struct vitro_lapic *lapic, u64 tsc)
{
	u64 now = tsc + lapic->vcpu->tsc_offset;
	u64 deadline = lapic->timer.deadline;

	if (unlikely(lapic->vcpu->tsc_ratio))
		return scaled_distance(lapic, tsc);
	return deadline > now ? deadline - now : 0;
}

/* Host TSC ticks. */
static u64 max_advance(void)
{
	return (u64)READ_ONCE(tsc_khz) * MAX_ADVANCE_US / USEC_PER_MSEC;
}

/* @distance from host TSC @tsc */
static void arm_deadline(struct vitro_lapic *lapic, u64 distance, u64 tsc)
{
	/* Read each time: the kernel refines it some time after boot. */
	u32 khz = max(READ_ONCE(tsc_khz), 1U);
	u64 limit = (u64)khz * MSEC_PER_SEC * MAX_DEADLINE_SECONDS;
	u64 early = min_t(u64, distance, lapic->timer.advance);
	u64 ticks = min(distance - early, limit);
	u64 ns = mul_u64_u32_div(ticks, NSEC_PER_MSEC, khz) + 1;

	lapic->timer.armed = true;
	lapic->timer.put_off = false;
	lapic->timer.queued_for = tsc + ticks;
	hrtimer_start(&lapic->timer.hrtimer, ktime_add_ns(ktime_get(), ns), TIMER_MODE);
}

/*
 * Will the hrtimer fire anyhow before the deadline, at host TSC @deadline? Programming it costs
 * more than all the rest of a write to IA32_TSC_DEADLINE, and guests often put a deadline off
 * before it comes. When the hrtimer fires, it is programmed for what is left then.
 */
static bool fires_before(struct vitro_lapic *lapic, u64 deadline)
{
	struct vitro_lapic_timer *timer = &lapic->timer;

	return timer->armed && hrtimer_is_queued(&timer->hrtimer) &&
	       timer->queued_for + timer->advance <= deadline;
}

static void start_deadline(struct vitro_lapic *lapic, bool exactly)
{
	u64 tsc = rdtsc(), distance = deadline_distance(lapic, tsc);

	if (distance) {
		if (!exactly && fires_before(lapic, tsc + distance)) {
			lapic->timer.put_off = true;
			return;
		}
		arm_deadline(lapic, distance, tsc);
		return;
	}
	vitro_lapic_timer_stop(lapic);
	vitro_lapic_local(lapic, APIC_LVTT);
}

/* The hrtimer has fired: the guest's interrupt is due soon, if not now. */
static void check_deadline(struct vitro_lapic *lapic)
{
	u64 deadline = lapic->timer.deadline;

	if (deadline_distance(lapic, rdtsc()) > max_advance()) {
		start_deadline(lapic, true);
		return;
	}
	vitro_lapic_timer_stop(lapic);
	/* A masked one interrupts nobody: nothing to wait for, nothing to learn. */
	if (!(vitro_lapic_reg(lapic, APIC_LVTT) & APIC_LVT_MASKED))
		lapic->timer.wait_for = deadline;
	vitro_lapic_local(lapic, APIC_LVTT);
}

/* Host TSC ticks from host TSC @tsc until the guest's is @value; negative if it has been. */
static s64 ticks_until(const struct vitro_vcpu *vcpu, u64 value, u64 tsc)
{
	s64 ticks = value - vitro_tsc_scale(vcpu, tsc) - vcpu->tsc_offset;

	return ticks < 0 ? -vitro_tsc_unscale(vcpu, -ticks) : vitro_tsc_unscale(vcpu, ticks);
}

static noinline void wait_for_deadline(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic_timer *timer = &vcpu->lapic->timer;
	u64 tsc = rdtsc();
	s64 early = ticks_until(vcpu, timer->wait_for, tsc), limit = max_advance();

	/* Or it is much too late for other reasons, or the guest's TSC has been changed. */
	if (early <= limit && early >= -8 * limit) {
		timer->advance = clamp_t(s64, (s64)timer->advance - early / 8, 0, limit);
		while ((s64)(tsc + early - rdtsc()) > 0)
			cpu_relax();
	}
	timer->wait_for = 0;
}

/**
 * vitro_lapic_timer_wait() - do not let the guest see its deadline's interrupt early
 * @vcpu:	the caller's vCPU, about to enter; it has an in-kernel APIC
 *
 * Context: IRQs off. Waits for some us at most.
 */
void vitro_lapic_timer_wait(struct vitro_vcpu *vcpu)
{
	if (unlikely(vcpu->lapic->timer.wait_for))
		wait_for_deadline(vcpu);
}

static void start_at(struct vitro_lapic *lapic, ktime_t target)
{
	lapic->timer.armed = true;
	lapic->timer.target = target;
	hrtimer_start(&lapic->timer.hrtimer, target, TIMER_MODE);
}

/**
 * vitro_lapic_timer_start() - the guest has written the initial count
 * @lapic:	APIC of the calling vCPU thread
 */
void vitro_lapic_timer_start(struct vitro_lapic *lapic)
{
	if (deadline_mode(lapic))
		return;
	if (!vitro_lapic_reg(lapic, APIC_TMICT)) {
		vitro_lapic_timer_stop(lapic);
		return;
	}
	start_at(lapic, ktime_add_ns(ktime_get(), timer_period(lapic)));
}

/**
 * vitro_lapic_timer_restore() - start the timer of a restored APIC
 * @lapic:	APIC of the calling vCPU thread, registers in place
 * @count:	current count to continue with
 *
 * User space that does not keep the current count restores 0. A one-shot
 * timer then fires at once: guests cope with a tick too many, not with one
 * that is lost.
 */
void vitro_lapic_timer_restore(struct vitro_lapic *lapic, u32 count)
{
	u64 ns;

	vitro_lapic_timer_stop(lapic);
	if (deadline_mode(lapic) || !vitro_lapic_reg(lapic, APIC_TMICT))
		return;
	ns = min(counts_to_ns(lapic, count), timer_period(lapic));
	if (!count && timer_mode(lapic) == APIC_LVT_TIMER_PERIODIC)
		ns = timer_period(lapic);
	start_at(lapic, ktime_add_ns(ktime_get(), ns));
}

/**
 * vitro_lapic_timer_count() - the current count register
 * @lapic:	APIC of the calling vCPU thread
 *
 * Return: counts until the next expiry; 0 if the timer does not run.
 */
u32 vitro_lapic_timer_count(const struct vitro_lapic *lapic)
{
	unsigned int shift = divide_shift(vitro_lapic_reg(lapic, APIC_TDCR));
	u32 initial = vitro_lapic_reg(lapic, APIC_TMICT);
	s64 left;

	if (!lapic->timer.armed || deadline_mode(lapic))
		return 0;

	left = ktime_to_ns(ktime_sub(lapic->timer.target, ktime_get()));
	if (left <= 0) {
		u64 late = -left, period = timer_period(lapic);

		if (timer_mode(lapic) != APIC_LVT_TIMER_PERIODIC)
			return 0;
		left = period - late % period;
	}
	/* A period below the minimum is stretched, the count is not. */
	return min_t(u64, (u64)left >> shift, initial);
}

/**
 * vitro_lapic_timer_set_divide() - write the divide configuration register
 * @lapic:	APIC of the calling vCPU thread
 * @tdcr:	value
 *
 * A running timer continues with the count that it has reached.
 */
void vitro_lapic_timer_set_divide(struct vitro_lapic *lapic, u32 tdcr)
{
	u32 count = vitro_lapic_timer_count(lapic);

	vitro_lapic_set_reg(lapic, APIC_TDCR, tdcr & VITRO_LAPIC_TDCR_BITS);
	if (lapic->timer.armed && !deadline_mode(lapic))
		start_at(lapic, ktime_add_ns(ktime_get(), counts_to_ns(lapic, count)));
}

/**
 * vitro_lapic_timer_set_lvt() - write the timer's local vector table entry
 * @lapic:	APIC of the calling vCPU thread
 * @value:	with reserved bits cleared
 *
 * Changing to or from TSC-deadline mode disarms the timer (SDM, TSC-Deadline
 * Mode).
 */
void vitro_lapic_timer_set_lvt(struct vitro_lapic *lapic, u32 value)
{
	bool was_deadline = deadline_mode(lapic);

	vitro_lapic_set_reg(lapic, APIC_LVTT, value);
	if (was_deadline != deadline_mode(lapic)) {
		vitro_lapic_timer_stop(lapic);
		vitro_lapic_set_reg(lapic, APIC_TMICT, 0);
	}
}

static void check_counter(struct vitro_lapic *lapic)
{
	struct vitro_lapic_timer *timer = &lapic->timer;
	ktime_t now = ktime_get();
	u64 period, late;

	if (ktime_before(now, timer->target)) {
		/* A stale report; the hrtimer may or may not be queued. */
		start_at(lapic, timer->target);
		return;
	}
	if (timer_mode(lapic) != APIC_LVT_TIMER_PERIODIC) {
		timer->armed = false;
	} else {
		/*
		 * Ticks that were missed while the vCPU did not run merge
		 * into one, as they do in the IRR of hardware.
		 */
		period = timer_period(lapic);
		late = ktime_to_ns(ktime_sub(now, timer->target));
		start_at(lapic, ktime_add_ns(timer->target, (late / period + 1) * period));
	}
	vitro_lapic_local(lapic, APIC_LVTT);
}

/**
 * vitro_lapic_timer_check() - deliver the timer's interrupt if it is due
 * @vcpu:	the caller's vCPU
 *
 * Context: IRQs on or off.
 */
void vitro_lapic_timer_check(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	if (!lapic || !READ_ONCE(lapic->timer.expired))
		return;
	WRITE_ONCE(lapic->timer.expired, false);
	/* A callback from here on reports anew; one before is dealt with now. */
	smp_mb();

	if (!lapic->timer.armed)
		return;
	if (deadline_mode(lapic))
		check_deadline(lapic);
	else
		check_counter(lapic);
}

/**
 * vitro_lapic_timer_migrate() - take the timer along to this CPU
 * @vcpu:	the caller's vCPU
 *
 * A timer that stays behind works as well, but interrupts two CPUs.
 */
void vitro_lapic_timer_migrate(struct vitro_vcpu *vcpu)
{
	struct hrtimer *hrtimer;

	if (!vcpu->lapic)
		return;
	hrtimer = &vcpu->lapic->timer.hrtimer;
	if (hrtimer_try_to_cancel(hrtimer) > 0)
		hrtimer_start_expires(hrtimer, TIMER_MODE);
}

/**
 * vitro_lapic_tsc_changed() - vcpu->tsc_offset or vcpu->tsc_ratio has changed
 * @vcpu:	the caller's vCPU
 */
void vitro_lapic_tsc_changed(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	if (lapic && lapic->timer.armed && deadline_mode(lapic))
		start_deadline(lapic, true);
}

/**
 * vitro_lapic_get_deadline() - read IA32_TSC_DEADLINE
 * @vcpu:	the caller's vCPU
 *
 * Return: guest TSC value, or 0 if the timer is not armed.
 */
u64 vitro_lapic_get_deadline(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	return lapic && deadline_mode(lapic) ? lapic->timer.deadline : 0;
}

/**
 * vitro_lapic_set_deadline() - write IA32_TSC_DEADLINE
 * @vcpu:	the caller's vCPU
 * @value:	guest TSC value; 0 disarms; one that has passed fires at once
 *
 * Ignored unless the timer is in TSC-deadline mode.
 */
void vitro_lapic_set_deadline(struct vitro_vcpu *vcpu, u64 value)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	if (!lapic || !deadline_mode(lapic))
		return;
	if (!value) {
		vitro_lapic_timer_stop(lapic);
		return;
	}
	lapic->timer.deadline = value;
	start_deadline(lapic, false);
}

/**
 * vitro_lapic_timer_sleep() - the vCPU is about to sleep
 * @vcpu:	the caller's vCPU, which has an in-kernel APIC
 *
 * Nothing but the deadline itself shall wake it.
 */
void vitro_lapic_timer_sleep(struct vitro_vcpu *vcpu)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	if (lapic->timer.put_off && lapic->timer.armed && deadline_mode(lapic))
		start_deadline(lapic, true);
	lapic->timer.put_off = false;
}
