// SPDX-License-Identifier: GPL-2.0-only
/*
 * i8254 (8254 data sheet) and the speaker port. Counts depend on the time: what is
 * checked is what holds whenever it is read.
 */
#include <linux/delay.h>
#include <linux/timex.h>

#include "irq.h"

#define CHANNEL(n)	(0x40 + (n))
#define CONTROL		0x43
#define SPEAKER		0x61

#define SELECT(n)	((n) << 6)
#define LATCH_COUNT		0x00
#define LSB		0x10
#define MSB		0x20
#define WORD		0x30
#define MODE(m)		((m) << 1)
#define READ_BACK	0xc0
#define NO_COUNT	0x20
#define NO_STATUS	0x10
#define ALL		0x0e

static int init_pit(struct kunit *test)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct vitro_vm *vm;
	int err = test_init_irqchip(test);

	if (err)
		return err;
	vm = test_vm(test);
	mutex_lock(&vm->lock);
	err = vitro_pit_create(vm, &config);
	mutex_unlock(&vm->lock);
	return err;
}

static void load(struct kunit *test, unsigned int n, unsigned int mode, u16 count)
{
	port_write(test, CONTROL, SELECT(n) | WORD | MODE(mode));
	port_write(test, CHANNEL(n), count & 0xff);
	port_write(test, CHANNEL(n), count >> 8);
}

static u16 read_word(struct kunit *test, unsigned int n)
{
	u16 low = port_read(test, CHANNEL(n));

	return low | port_read(test, CHANNEL(n)) << 8;
}

static u16 read_latched(struct kunit *test, unsigned int n)
{
	port_write(test, CONTROL, SELECT(n) | LATCH_COUNT);
	return read_word(test, n);
}

static u8 read_status(struct kunit *test, unsigned int n)
{
	port_write(test, CONTROL, READ_BACK | NO_COUNT | 2 << n);
	return port_read(test, CHANNEL(n));
}

static const struct control_case {
	const char *name;
	u8 word;
	u8 status;	/* bits 5:0 */
} controls[] = {
	{ "mode 0, word", SELECT(0) | WORD | MODE(0), 0x30 },
	{ "mode 1, word", SELECT(1) | WORD | MODE(1), 0x32 },
	{ "mode 2, word", SELECT(2) | WORD | MODE(2), 0x34 },
	{ "mode 3, word", SELECT(0) | WORD | MODE(3), 0x36 },
	{ "mode 4, word", SELECT(1) | WORD | MODE(4), 0x38 },
	{ "mode 5, word", SELECT(2) | WORD | MODE(5), 0x3a },
	{ "mode 6 is 2", SELECT(2) | WORD | MODE(6), 0x34 },
	{ "mode 7 is 3", SELECT(2) | WORD | MODE(7), 0x36 },
	{ "low byte", SELECT(1) | LSB | MODE(2), 0x14 },
	{ "high byte", SELECT(1) | MSB | MODE(2), 0x24 },
	{ "BCD is remembered", SELECT(1) | WORD | MODE(2) | 1, 0x35 },
};
TEST_PARAMS(controls);

static void control_word(struct kunit *test)
{
	const struct control_case *p = test->param_value;

	port_write(test, CONTROL, p->word);
	KUNIT_EXPECT_EQ(test, read_status(test, p->word >> 6) & 0x3f, p->status);
}

static const struct mode_case {
	const char *name;
	unsigned int mode;
	bool counts_once;
	bool out_at_start;	/* long before the count has run down */
} modes[] = {
	{ "interrupt on terminal count", 0, true, false },
	{ "one-shot", 1, true, false },
	{ "rate generator", 2, false, true },
	{ "square wave", 3, false, true },
	{ "software strobe", 4, true, true },
	{ "hardware strobe", 5, true, true },
};
TEST_PARAMS(modes);

/* With the longest count, 55 ms, only a moment passes. */
static void counting(struct kunit *test)
{
	const struct mode_case *p = test->param_value;
	ktime_t start = ktime_get();
	u32 first, second, ticks;
	bool out;

	load(test, 2, p->mode, 0);
	out = read_status(test, 2) & 0x80;
	first = read_latched(test, 2);
	udelay(100);
	second = read_latched(test, 2);
	ticks = (ktime_get() - start) * PIT_TICK_RATE / NSEC_PER_SEC + 1;
	/* Square waves count by two. What took longer than a period proves nothing. */
	if (p->mode == 3)
		ticks *= 2;
	if (ticks < 0x7000) {
		KUNIT_EXPECT_EQ(test, out, p->out_at_start);
		KUNIT_EXPECT_LE(test, (u32)(u16)-first, ticks);
		KUNIT_EXPECT_LE(test, (u32)(u16)-second, ticks);
		KUNIT_EXPECT_LT(test, second, first ?: 0x10000);
		KUNIT_EXPECT_GE(test, (first ?: 0x10000) - second, 90 * PIT_TICK_RATE / 1000000);
	}
	/* Periodic ones start over, the others run through zero. */
	load(test, 2, p->mode, 100);
	udelay(200);
	KUNIT_EXPECT_EQ(test, read_latched(test, 2) > 100, p->counts_once);
	KUNIT_EXPECT_EQ(test, p->mode < 2 && !(read_status(test, 2) & 0x80), false);
}

static void square_wave_is_even(struct kunit *test)
{
	int i;

	load(test, 2, 3, 1000);
	for (i = 0; i < 50; i++) {
		u16 count = read_latched(test, 2);

		KUNIT_EXPECT_EQ(test, count & 1, 0);
		KUNIT_EXPECT_LE(test, count, 1000);
		KUNIT_EXPECT_GE(test, count, 2);
	}
}

static void rate_stays_in_range(struct kunit *test)
{
	int i;

	load(test, 2, 2, 3);
	for (i = 0; i < 50; i++) {
		u16 count = read_latched(test, 2);

		KUNIT_EXPECT_GE(test, count, 1);
		KUNIT_EXPECT_LE(test, count, 3);
	}
}

static void access_by_bytes(struct kunit *test)
{
	u8 value;

	/* The low byte only: the count is 0..255, 0 meaning 65536. */
	port_write(test, CONTROL, SELECT(2) | LSB | MODE(2));
	port_write(test, CHANNEL(2), 0x80);
	value = port_read(test, CHANNEL(2));
	KUNIT_EXPECT_GE(test, value, 1);
	KUNIT_EXPECT_LE(test, value, 0x80);
	/* The high byte only: both reads are high bytes. */
	port_write(test, CONTROL, SELECT(2) | MSB | MODE(2));
	port_write(test, CHANNEL(2), 0x80);
	KUNIT_EXPECT_LE(test, port_read(test, CHANNEL(2)), 0x80);
	port_write(test, CONTROL, SELECT(2) | LATCH_COUNT);
	KUNIT_EXPECT_LE(test, port_read(test, CHANNEL(2)), 0x80);
	/* A word counts once its high byte has come. */
	port_write(test, CONTROL, SELECT(2) | WORD | MODE(4));
	port_write(test, CHANNEL(2), 0x10);
	KUNIT_EXPECT_EQ(test, read_status(test, 2) & 0x3f, 0x38);
	port_write(test, CHANNEL(2), 0x00);
	udelay(100);
	KUNIT_EXPECT_GT(test, read_latched(test, 2), 0x10);
}

static void latch_holds(struct kunit *test)
{
	u16 first, second;
	u32 loaded = 0x10000;

	load(test, 2, 0, 0);
	port_write(test, CONTROL, SELECT(2) | LATCH_COUNT);
	udelay(500);
	/* A second latch command before the read is ignored. */
	port_write(test, CONTROL, SELECT(2) | LATCH_COUNT);
	first = port_read(test, CHANNEL(2));
	udelay(500);
	first |= port_read(test, CHANNEL(2)) << 8;
	second = read_latched(test, 2);
	KUNIT_EXPECT_GE(test, (first ?: loaded) - second, 900 * PIT_TICK_RATE / 1000000);
	/* A control word forgets what was latched. */
	port_write(test, CONTROL, SELECT(2) | LATCH_COUNT);
	port_write(test, CONTROL, SELECT(2) | LSB | MODE(2));
	port_write(test, CHANNEL(2), 5);
	KUNIT_EXPECT_LE(test, port_read(test, CHANNEL(2)), 5);
}

static void read_back(struct kunit *test)
{
	u16 count;
	int n;

	for (n = 0; n < 3; n++)
		load(test, n, 2 + n / 2, 0x4000);
	/* Status and count of all: the status comes first. */
	port_write(test, CONTROL, READ_BACK | ALL);
	for (n = 0; n < 3; n++) {
		KUNIT_EXPECT_EQ(test, port_read(test, CHANNEL(n)) & 0x3f, 0x34 + 2 * (n / 2));
		count = read_word(test, n);
		KUNIT_EXPECT_GE(test, count, 1);
		KUNIT_EXPECT_LE(test, count, 0x4000);
	}
	/* Only one channel is asked: the others are not latched. */
	port_write(test, CONTROL, READ_BACK | NO_COUNT | 2 << 1);
	KUNIT_EXPECT_LE(test, read_word(test, 0), 0x4000);
	KUNIT_EXPECT_EQ(test, port_read(test, CHANNEL(1)) & 0x3f, 0x34);
	KUNIT_EXPECT_EQ(test, port_read(test, CONTROL), 0);
}

/* Give channel 0's interrupt one way to the APIC: IOAPIC pin 0, vector 0x30. */
static void connect(struct kunit *test)
{
	apic_write(test_vcpu(test), APIC_LVT0, APIC_LVT_MASKED);
	mmio_write(test, IO_APIC_DEFAULT_PHYS_BASE, 0x10);
	mmio_write(test, IO_APIC_DEFAULT_PHYS_BASE + 0x10, 0x30);
}

static bool ticked(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	int i;

	for (i = 0; i < 50; i++) {
		if (vitro_ack_vector(vcpu) == 0x30) {
			apic_write(vcpu, APIC_EOI, 0);
			return true;
		}
		usleep_range(500, 1000);
	}
	return false;
}

static const struct tick_case {
	const char *name;
	unsigned int mode;
	int ticks;		/* 2: periodic */
} ticking[] = {
	{ "terminal count ticks once", 0, 1 },
	{ "one-shot waits for its gate", 1, 0 },
	{ "rate generator ticks on", 2, 2 },
	{ "square wave ticks on", 3, 2 },
	{ "software strobe ticks once", 4, 1 },
	{ "hardware strobe waits for its gate", 5, 0 },
};
TEST_PARAMS(ticking);

static void interrupts(struct kunit *test)
{
	const struct tick_case *p = test->param_value;

	connect(test);
	load(test, 0, p->mode, 1193);
	KUNIT_EXPECT_EQ(test, ticked(test), p->ticks >= 1);
	KUNIT_EXPECT_EQ(test, ticked(test), p->ticks == 2);
	/* A control word stops the channel until a count comes. */
	port_write(test, CONTROL, SELECT(0) | WORD | MODE(2));
	ticked(test);
	KUNIT_EXPECT_FALSE(test, ticked(test));
}

static void missed_ticks_are_owed(struct kunit *test)
{
	connect(test);
	load(test, 0, 2, 1193);
	msleep(20);
	/* Stopped: what comes from now on has been kept. */
	port_write(test, CONTROL, SELECT(1) | WORD | MODE(2));
	KUNIT_EXPECT_TRUE(test, ticked(test));
	KUNIT_EXPECT_TRUE(test, vitro_ack_vector(test_vcpu(test)) == 0x30);
	apic_write(test_vcpu(test), APIC_EOI, 0);
	KUNIT_EXPECT_TRUE(test, vitro_ack_vector(test_vcpu(test)) == 0x30);
}

static void ticks_can_be_dropped(struct kunit *test)
{
	struct kvm_reinject_control control = { .pit_reinject = 0 };

	connect(test);
	KUNIT_EXPECT_EQ(test, vitro_pit_reinject(test_vm(test), &control), 0);
	load(test, 0, 2, 0);
	msleep(180);
	/* Three have come, one is left. */
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(test_vcpu(test)), 0x30);
	apic_write(test_vcpu(test), APIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(test_vcpu(test)), -1);
}

static void hpet_replaces_channel_0(struct kunit *test)
{
	struct kvm_pit_state2 *state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, state);
	connect(test);
	KUNIT_EXPECT_EQ(test, vitro_pit_get(test_vm(test), state), 0);
	state->flags |= KVM_PIT_FLAGS_HPET_LEGACY;
	KUNIT_EXPECT_EQ(test, vitro_pit_set(test_vm(test), state), 0);
	load(test, 0, 2, 1193);
	KUNIT_EXPECT_FALSE(test, ticked(test));
}

static void speaker(struct kunit *test)
{
	u16 before;

	port_write(test, SPEAKER, 0x00);
	KUNIT_EXPECT_EQ(test, port_read(test, SPEAKER) & 0x03, 0x00);
	port_write(test, SPEAKER, 0x03);
	KUNIT_EXPECT_EQ(test, port_read(test, SPEAKER) & 0x03, 0x03);
	port_write(test, SPEAKER, 0x00);
	/* The rising gate starts a rate generator over. */
	load(test, 2, 2, 0xffff);
	msleep(20);
	before = read_latched(test, 2);
	port_write(test, SPEAKER, 0x01);
	KUNIT_EXPECT_GT(test, read_latched(test, 2), before);
	/* The output of channel 2, mode 0, before and after its count. */
	load(test, 2, 0, 0xffff);
	KUNIT_EXPECT_EQ(test, port_read(test, SPEAKER) & 0x20, 0x00);
	load(test, 2, 0, 10);
	udelay(100);
	KUNIT_EXPECT_EQ(test, port_read(test, SPEAKER) & 0x20, 0x20);
}

#define FIELD(name)	offsetof(struct kvm_pit_channel_state, name)

static const struct state_case {
	const char *name;
	size_t field;
	u8 value;
	int result;
} states[] = {
	{ "mode 5", FIELD(mode), 5, 0 },
	{ "no mode yet", FIELD(mode), 0xff, 0 },
	{ "mode 6", FIELD(mode), 6, -EINVAL },
	{ "access", FIELD(rw_mode), 4, -EINVAL },
	{ "read state", FIELD(read_state), 5, -EINVAL },
	{ "write state", FIELD(write_state), 5, -EINVAL },
	{ "latch", FIELD(count_latched), 5, -EINVAL },
	{ "status latch", FIELD(status_latched), 2, -EINVAL },
	{ "BCD", FIELD(bcd), 2, -EINVAL },
	{ "gate", FIELD(gate), 2, -EINVAL },
	{ "count above 65536", FIELD(count) + 2, 2, -EINVAL },
	{ "count 0", FIELD(count) + 2, 0, 0 },
};
TEST_PARAMS(states);

static void set_state(struct kunit *test)
{
	const struct state_case *p = test->param_value;
	struct kvm_pit_state2 *state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, state);
	KUNIT_ASSERT_EQ(test, vitro_pit_get(test_vm(test), state), 0);
	state->channels[1].count = 0x10000;
	((u8 *)&state->channels[1])[p->field] = p->value;
	KUNIT_EXPECT_EQ(test, vitro_pit_set(test_vm(test), state), p->result);
	state->flags = BIT(7);
	KUNIT_EXPECT_EQ(test, vitro_pit_set(test_vm(test), state), -EINVAL);
	if (p->result)
		return;
	/* Whatever has been set, reading must not divide by a count of 0. */
	read_latched(test, 1);
	KUNIT_EXPECT_EQ(test, vitro_pit_get(test_vm(test), state), 0);
	KUNIT_EXPECT_NE(test, state->channels[1].count, 0U);
}

static void created_once(struct kunit *test)
{
	struct kvm_pit_config config = { };
	struct vitro_vm *vm = test_vm(test);

	mutex_lock(&vm->lock);
	KUNIT_EXPECT_EQ(test, vitro_pit_create(vm, &config), -EEXIST);
	mutex_unlock(&vm->lock);
}

static struct kunit_case pit_cases[] = {
	KUNIT_CASE_PARAM(control_word, controls_gen_params),
	KUNIT_CASE_PARAM(counting, modes_gen_params),
	KUNIT_CASE(square_wave_is_even),
	KUNIT_CASE(rate_stays_in_range),
	KUNIT_CASE(access_by_bytes),
	KUNIT_CASE(latch_holds),
	KUNIT_CASE(read_back),
	KUNIT_CASE_PARAM(interrupts, ticking_gen_params),
	KUNIT_CASE(missed_ticks_are_owed),
	KUNIT_CASE(ticks_can_be_dropped),
	KUNIT_CASE(hpet_replaces_channel_0),
	KUNIT_CASE(speaker),
	KUNIT_CASE_PARAM(set_state, states_gen_params),
	KUNIT_CASE(created_once),
	{}
};

TEST_SUITE(pit, init_pit);
