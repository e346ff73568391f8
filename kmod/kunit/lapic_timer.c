// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC timer (SDM, APIC Timer).
 */
#include <linux/delay.h>
#include <asm/tsc.h>

#include "../tsc.h"
#include "irq.h"

#define VECTOR		0x40
#define SECOND		1000000000U

/* Let the timer's callback run, then what the vCPU's thread would do on its request. */
static bool ticks(struct vitro_vcpu *vcpu)
{
	int i;

	for (i = 0; i < 200 && !READ_ONCE(vcpu->lapic->timer.expired); i++)
		usleep_range(500, 1000);
	if (!vitro_take_request(vcpu, VITRO_REQ_TIMER))
		return false;
	vitro_lapic_timer_check(vcpu);
	return true;
}

static const struct divide_case {
	const char *name;
	u32 tdcr;
	unsigned int divisor;
} divisors[] = {
	{ "by 2", 0x0, 2 }, { "by 4", 0x1, 4 }, { "by 8", 0x2, 8 }, { "by 16", 0x3, 16 },
	{ "by 32", 0x8, 32 }, { "by 64", 0x9, 64 }, { "by 128", 0xa, 128 }, { "by 1", 0xb, 1 },
};
TEST_PARAMS(divisors);

static void divide(struct kunit *test)
{
	const struct divide_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_lapic_timer *timer = &vcpu->lapic->timer;
	u64 ns = (u64)SECOND * p->divisor;
	ktime_t before, after;
	u32 count;

	apic_write(vcpu, APIC_TDCR, p->tdcr);
	before = ktime_get();
	apic_write(vcpu, APIC_TMICT, SECOND);
	after = ktime_get();
	KUNIT_EXPECT_TRUE(test, timer->armed);
	KUNIT_EXPECT_GE(test, timer->target, before + ns);
	KUNIT_EXPECT_LE(test, timer->target, after + ns);
	count = apic_read(vcpu, APIC_TMCCT);
	KUNIT_EXPECT_LE(test, count, SECOND);
	KUNIT_EXPECT_GE(test, count, (timer->target - ktime_get()) / p->divisor);
}

static void one_shot(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	apic_write(vcpu, APIC_TDCR, 0xb);
	apic_write(vcpu, APIC_LVTT, VECTOR);
	apic_write(vcpu, APIC_TMICT, 100000);
	KUNIT_ASSERT_TRUE(test, ticks(vcpu));
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
	KUNIT_EXPECT_FALSE(test, vcpu->lapic->timer.armed);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TMCCT), 0U);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TMICT), 100000U);
}

static void masked(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_MASKED);
	apic_write(vcpu, APIC_TMICT, 100000);
	KUNIT_ASSERT_TRUE(test, ticks(vcpu));
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
}

static void periodic(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_lapic_timer *timer = &vcpu->lapic->timer;
	ktime_t first;

	apic_write(vcpu, APIC_TDCR, 0xb);
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_PERIODIC);
	apic_write(vcpu, APIC_TMICT, 1000000);
	first = timer->target;
	/* Sleep through some periods: the ticks merge into one. */
	usleep_range(5000, 6000);
	KUNIT_ASSERT_TRUE(test, ticks(vcpu));
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
	KUNIT_EXPECT_EQ(test, vitro_lapic_irr_class(vcpu), -1);
	KUNIT_EXPECT_TRUE(test, timer->armed);
	KUNIT_EXPECT_EQ(test, (timer->target - first) % 1000000, 0LL);
	KUNIT_EXPECT_GE(test, timer->target - first, 2000000LL);
	apic_write(vcpu, APIC_EOI, 0);
	KUNIT_EXPECT_TRUE(test, ticks(vcpu));
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
	/* An initial count of 0 ends it. */
	apic_write(vcpu, APIC_TMICT, 0);
	KUNIT_EXPECT_FALSE(test, timer->armed);
}

static void shortest_period(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	ktime_t before = ktime_get();

	apic_write(vcpu, APIC_TDCR, 0xb);
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_PERIODIC);
	apic_write(vcpu, APIC_TMICT, 1);
	KUNIT_EXPECT_GE(test, vcpu->lapic->timer.target, before + VITRO_MIN_TIMER_PERIOD);
	KUNIT_EXPECT_LE(test, apic_read(vcpu, APIC_TMCCT), 1U);
}

static void divisor_of_running_timer(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_lapic_timer *timer = &vcpu->lapic->timer;
	ktime_t left;

	apic_write(vcpu, APIC_TDCR, 0xb);
	apic_write(vcpu, APIC_TMICT, SECOND);
	apic_write(vcpu, APIC_TDCR, 0x2);
	/* The count goes on where it was, eight times slower. */
	left = timer->target - ktime_get();
	KUNIT_EXPECT_LE(test, left, 8LL * SECOND);
	KUNIT_EXPECT_GE(test, left, 4LL * SECOND);
	KUNIT_EXPECT_LE(test, apic_read(vcpu, APIC_TMCCT), SECOND);
}

static void deadline(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 far = rdtsc() + vcpu->tsc_offset + 1000ULL * tsc_khz * 3600;

	vcpu->guest_features |= VITRO_GF_TSC_DEADLINE;
	vitro_lapic_set_deadline(vcpu, far);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_deadline(vcpu), 0ULL);	/* not in this mode */
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	/* SDM, TSC-Deadline Mode: the initial count is ignored, the current one 0 */
	apic_write(vcpu, APIC_TMICT, 1000);
	KUNIT_EXPECT_FALSE(test, vcpu->lapic->timer.armed);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TMCCT), 0U);

	vitro_lapic_set_deadline(vcpu, far);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_deadline(vcpu), far);
	KUNIT_EXPECT_TRUE(test, vcpu->lapic->timer.armed);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
	vitro_lapic_set_deadline(vcpu, 0);
	KUNIT_EXPECT_FALSE(test, vcpu->lapic->timer.armed);

	vitro_lapic_set_deadline(vcpu, 1);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_deadline(vcpu), 0ULL);
	apic_write(vcpu, APIC_EOI, 0);

	/* Leaving the mode disarms. */
	vitro_lapic_set_deadline(vcpu, far);
	apic_write(vcpu, APIC_LVTT, VECTOR);
	KUNIT_EXPECT_FALSE(test, vcpu->lapic->timer.armed);
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_deadline(vcpu), 0ULL);
}

static void deadline_comes(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 goal;

	vcpu->guest_features |= VITRO_GF_TSC_DEADLINE;
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	goal = rdtsc() + vcpu->tsc_offset + 2ULL * tsc_khz;
	vitro_lapic_set_deadline(vcpu, goal);
	KUNIT_ASSERT_TRUE(test, ticks(vcpu));
	KUNIT_EXPECT_GE(test, rdtsc() + vcpu->tsc_offset, goal);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
}

/* The hrtimer may be early, the guest's interrupt may not; how early is learned, up to 5 us. */
static void early_for_a_deadline(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_lapic_timer *timer = &vcpu->lapic->timer;
	u64 us = max(tsc_khz / 1000, 1U), goal;
	int i;

	vcpu->guest_features |= VITRO_GF_TSC_DEADLINE;
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	for (i = 0; i < 20; i++) {
		goal = rdtsc() + vcpu->tsc_offset + 500 * us;
		vitro_lapic_set_deadline(vcpu, goal);
		KUNIT_ASSERT_TRUE(test, ticks(vcpu));
		KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
		vitro_lapic_timer_wait(vcpu);
		KUNIT_EXPECT_GE(test, rdtsc() + vcpu->tsc_offset, goal);
		apic_write(vcpu, APIC_EOI, 0);
		KUNIT_EXPECT_LE(test, timer->advance, 5 * us + us);
	}
	/* What is not close is not waited for: the timer is armed again. */
	goal = rdtsc() + vcpu->tsc_offset + 1000000 * us;
	vitro_lapic_set_deadline(vcpu, goal);
	WRITE_ONCE(timer->expired, true);
	vitro_lapic_timer_check(vcpu);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
	KUNIT_EXPECT_TRUE(test, timer->armed);
	/* Nor is one that user space has moved away by changing the TSC. */
	timer->wait_for = goal;
	vitro_lapic_timer_wait(vcpu);
	KUNIT_EXPECT_LT(test, rdtsc() + vcpu->tsc_offset, goal);
	KUNIT_EXPECT_EQ(test, timer->wait_for, 0ULL);
}

static void deadline_moves_with_the_offset(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	vcpu->guest_features |= VITRO_GF_TSC_DEADLINE;
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	vitro_lapic_set_deadline(vcpu, rdtsc() + vcpu->tsc_offset + 100ULL * tsc_khz * 1000);
	vcpu->tsc_offset += 200ULL * tsc_khz * 1000;
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
	vitro_lapic_tsc_changed(vcpu);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
}

/* The hrtimer stays where it is until it fires, or until the vCPU sleeps. */
static void deadline_put_off(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct hrtimer *hrtimer = &vcpu->lapic->timer.hrtimer;
	u64 second = 1000ULL * tsc_khz, now = rdtsc() + vcpu->tsc_offset;
	ktime_t first;

	vcpu->guest_features |= VITRO_GF_TSC_DEADLINE;
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	vitro_lapic_set_deadline(vcpu, now + 100 * second);
	first = hrtimer_get_expires(hrtimer);
	vitro_lapic_set_deadline(vcpu, now + 200 * second);
	KUNIT_EXPECT_EQ(test, hrtimer_get_expires(hrtimer), first);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_deadline(vcpu), now + 200 * second);
	vitro_lapic_timer_sleep(vcpu);
	KUNIT_EXPECT_GT(test, hrtimer_get_expires(hrtimer), first + 50 * NSEC_PER_SEC);

	/* One that comes earlier is programmed at once. */
	vitro_lapic_set_deadline(vcpu, now + 50 * second);
	KUNIT_EXPECT_LT(test, hrtimer_get_expires(hrtimer), first);
	first = hrtimer_get_expires(hrtimer);
	vitro_lapic_set_deadline(vcpu, now + 300 * second);
	KUNIT_EXPECT_EQ(test, hrtimer_get_expires(hrtimer), first);
	/* It fires: nothing is due, and it is programmed for the rest. */
	hrtimer_cancel(hrtimer);
	WRITE_ONCE(vcpu->lapic->timer.expired, true);
	vitro_lapic_timer_check(vcpu);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
	KUNIT_EXPECT_GT(test, hrtimer_get_expires(hrtimer), first + 200 * NSEC_PER_SEC);
	/* A timer that runs out in 10 ms after one that was put off does so in time. */
	vitro_lapic_set_deadline(vcpu, now + 400 * second);
	vitro_lapic_set_deadline(vcpu, rdtsc() + vcpu->tsc_offset + second / 100);
	KUNIT_EXPECT_TRUE(test, ticks(vcpu));
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
}

static void wild_deadline(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	ktime_t now = ktime_get();

	vcpu->guest_features |= VITRO_GF_TSC_DEADLINE;
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_TSCDEADLINE);
	vitro_lapic_set_deadline(vcpu, U64_MAX);
	KUNIT_EXPECT_TRUE(test, vcpu->lapic->timer.armed);
	KUNIT_EXPECT_GT(test, hrtimer_get_expires(&vcpu->lapic->timer.hrtimer), now);
}

static const struct scale_case {
	const char *name;
	unsigned int numerator, denominator;	/* of the host's frequency */
} scales[] = {
	{ "half", 1, 2 }, { "3/4", 3, 4 }, { "double", 2, 1 }, { "100 times", 100, 1 },
	{ "1/1000", 1, 1000 },
};
TEST_PARAMS(scales);

/* Armed for the host's time, which a deadline of the guest's time is. */
static void deadline_of_a_scaled_tsc(struct kunit *test)
{
	const struct scale_case *p = test->param_value;
	u64 host_khz = tsc_khz, khz = host_khz * p->numerator / p->denominator, goal;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_lapic_timer *timer = &vcpu->lapic->timer;
	ktime_t before, after, expires;
	int i;

	vcpu->guest_features |= VITRO_GF_TSC_DEADLINE;
	vitro_caps.tsc_ratio_bits = 48;
	vcpu->tsc_ratio = vitro_tsc_ratio(khz, host_khz, 48);
	vcpu->tsc_offset = 0;
	apic_write(vcpu, APIC_LVTT, VECTOR | APIC_LVT_TIMER_TSCDEADLINE);

	/* 100 s, to a thousandth */
	before = ktime_get();
	vitro_lapic_set_deadline(vcpu, vitro_guest_tsc(vcpu) + khz * 100000);
	after = ktime_get();
	expires = hrtimer_get_expires(&timer->hrtimer);
	KUNIT_EXPECT_GT(test, expires, before + 100 * NSEC_PER_SEC - NSEC_PER_SEC / 10);
	KUNIT_EXPECT_LT(test, expires, after + 100 * NSEC_PER_SEC + NSEC_PER_SEC / 10);
	/* Put off, which leaves the timer alone, and brought forward */
	vitro_lapic_set_deadline(vcpu, vitro_guest_tsc(vcpu) + khz * 101000);
	KUNIT_EXPECT_EQ(test, hrtimer_get_expires(&timer->hrtimer), expires);
	vitro_lapic_set_deadline(vcpu, vitro_guest_tsc(vcpu) + khz * 50000);
	KUNIT_EXPECT_LT(test, hrtimer_get_expires(&timer->hrtimer), after + 51 * NSEC_PER_SEC);
	/* One that is as far as can be does not keep a near one from coming. */
	vitro_lapic_set_deadline(vcpu, 0);
	vitro_lapic_set_deadline(vcpu, U64_MAX);
	KUNIT_EXPECT_TRUE(test, timer->armed);
	for (i = 0; i < 5; i++) {
		goal = vitro_guest_tsc(vcpu) + khz * 2;
		vitro_lapic_set_deadline(vcpu, goal);
		KUNIT_ASSERT_TRUE(test, ticks(vcpu));
		KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
		vitro_lapic_timer_wait(vcpu);
		KUNIT_EXPECT_GE(test, vitro_guest_tsc(vcpu), goal);
		KUNIT_EXPECT_LE(test, timer->advance, host_khz / 200 + 1);
		apic_write(vcpu, APIC_EOI, 0);
	}
	/* What is left is waited for, if it is not much by the host's time. */
	goal = vitro_guest_tsc(vcpu) + khz * 1000;
	timer->wait_for = goal;
	vitro_lapic_timer_wait(vcpu);
	KUNIT_EXPECT_LT(test, vitro_guest_tsc(vcpu), goal);
	vitro_caps.tsc_ratio_bits = 0;
}

static void stale_report(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	/* A callback that lost a race with the guest's writing the count anew. */
	apic_write(vcpu, APIC_LVTT, VECTOR);
	apic_write(vcpu, APIC_TMICT, SECOND);
	WRITE_ONCE(vcpu->lapic->timer.expired, true);
	vitro_lapic_timer_check(vcpu);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
	KUNIT_EXPECT_TRUE(test, vcpu->lapic->timer.armed);
	apic_write(vcpu, APIC_TMICT, 0);
	WRITE_ONCE(vcpu->lapic->timer.expired, true);
	vitro_lapic_timer_check(vcpu);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
}

static void restored(struct kunit *test)
{
	struct kvm_lapic_state *state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);
	struct vitro_vcpu *vcpu = test_vcpu(test);
	s64 left;
	u32 count;

	KUNIT_ASSERT_NOT_NULL(test, state);
	apic_write(vcpu, APIC_TDCR, 0xb);
	apic_write(vcpu, APIC_LVTT, VECTOR);
	apic_write(vcpu, APIC_TMICT, SECOND);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_state(vcpu, state), 0);
	count = SECOND / 2;
	memcpy(state->regs + APIC_TMCCT, &count, sizeof(count));
	KUNIT_EXPECT_EQ(test, vitro_lapic_set_state(vcpu, state), 0);
	left = vcpu->lapic->timer.target - ktime_get();
	KUNIT_EXPECT_LE(test, left, (s64)SECOND / 2);
	/* Without a count, a one-shot timer fires at once. */
	memset(state->regs + APIC_TMCCT, 0, sizeof(count));
	KUNIT_EXPECT_EQ(test, vitro_lapic_set_state(vcpu, state), 0);
	KUNIT_EXPECT_TRUE(test, ticks(vcpu));
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), VECTOR);
}

static struct kunit_case lapic_timer_cases[] = {
	KUNIT_CASE_PARAM(divide, divisors_gen_params),
	KUNIT_CASE(one_shot),
	KUNIT_CASE(masked),
	KUNIT_CASE(periodic),
	KUNIT_CASE(shortest_period),
	KUNIT_CASE(divisor_of_running_timer),
	KUNIT_CASE(deadline),
	KUNIT_CASE(deadline_comes),
	KUNIT_CASE(early_for_a_deadline),
	KUNIT_CASE(deadline_moves_with_the_offset),
	KUNIT_CASE(deadline_put_off),
	KUNIT_CASE(wild_deadline),
	KUNIT_CASE_PARAM(deadline_of_a_scaled_tsc, scales_gen_params),
	KUNIT_CASE(stale_report),
	KUNIT_CASE(restored),
	{}
};

TEST_SUITE(lapic_timer, test_init_irqchip);
