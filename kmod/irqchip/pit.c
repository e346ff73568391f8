// SPDX-License-Identifier: GPL-2.0-only
/*
 * The i8254 interval timer (8254 Programmable Interval Timer data sheet) and
 * the speaker port of the PC. Counting in BCD is not implemented.
 */
#include <linux/hrtimer.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timex.h>

#include "../compat.h"
#include "internal.h"

#define PIT_PORT		0x40
#define PIT_CONTROL		3	/* offset of the control word's port */
#define SPEAKER_PORT		0x61
#define NR_CHANNELS		3

/* Control word and read-back command */
#define CW_CHANNEL(v)		((v) >> 6)
#define CW_READ_BACK		3
#define CW_ACCESS(v)		(((v) >> 4) & 3)
#define CW_MODE(v)		(((v) >> 1) & 7)
#define CW_BCD			0x01
#define RB_NO_COUNT		0x20
#define RB_NO_STATUS		0x10
#define STATUS_OUT		0x80

/* Channel modes */
enum { TERMINAL_COUNT, ONE_SHOT, RATE, SQUARE_WAVE, SOFT_STROBE, HARD_STROBE };
#define MODE_NONE		0xff	/* no control word has been written yet */

/* read_state, write_state and count_latched: what comes next */
enum { RW_NONE, RW_LSB, RW_MSB, RW_WORD_LSB, RW_WORD_MSB };

#define SPEAKER_GATE		0x01
#define SPEAKER_DATA		0x02
#define SPEAKER_REFRESH_SHIFT	4
#define SPEAKER_OUT_SHIFT	5
#define REFRESH_NS		15085	/* DRAM refresh toggles its bit so often */

/* Ticks owed to a guest that does not take them; more are dropped. */
#define MAX_PENDING		0xffff

/**
 * struct vitro_pit - the interval timer
 * @vm:		whose it is; constant
 * @lock:	guards what follows, up to @pending
 * @timer:	channel 0's interrupt; programmed under @lock only
 * @channel:	in the format of the KVM API
 * @flags:	KVM_PIT_FLAGS_*
 * @armed:	channel 0 will interrupt
 * @target:	when, CLOCK_MONOTONIC
 * @period:	ns to the interrupt after that; 0: none
 * @reinject:	ticks that come before the guest has acknowledged the one
 *		before are kept for later
 * @acked:	the guest has acknowledged the last one
 * @pending:	ticks kept
 * @has_speaker: port 0x61 is ours; constant
 * @ports:	the timer's own ports
 * @speaker:	port 0x61
 */
struct vitro_pit {
	struct vitro_vm *vm;
	spinlock_t lock;
	struct hrtimer timer;
	struct kvm_pit_channel_state channel[NR_CHANNELS];
	u32 flags;
	bool armed;
	ktime_t target;
	u64 period;
	bool reinject;
	bool acked;
	u32 pending;
	bool has_speaker;
	struct vitro_iodev ports, speaker;
};

static u64 ns_to_ticks(u64 ns)
{
	return mul_u64_u32_div(ns, PIT_TICK_RATE, NSEC_PER_SEC);
}

static u64 ticks_to_ns(u32 ticks)
{
	return div_u64((u64)ticks * NSEC_PER_SEC, PIT_TICK_RATE);
}

static u64 elapsed_ticks(const struct kvm_pit_channel_state *c)
{
	s64 ns = ktime_get() - c->count_load_time;

	return ns_to_ticks(max(ns, 0LL));
}

static u16 current_count(const struct kvm_pit_channel_state *c)
{
	u64 ticks = elapsed_ticks(c);
	u32 count = c->count;

	switch (c->mode) {
	case TERMINAL_COUNT:
	case ONE_SHOT:
	case SOFT_STROBE:
	case HARD_STROBE:
		return count - ticks;
	case SQUARE_WAVE:
		/* Counts down by two, twice a period. */
		return count - (2 * ticks) % count;
	default:
		return count - ticks % count;
	}
}

static bool output(const struct kvm_pit_channel_state *c)
{
	u64 ticks = elapsed_ticks(c);

	switch (c->mode) {
	case TERMINAL_COUNT:
	case ONE_SHOT:
		return ticks >= c->count;
	case RATE:
		return ticks % c->count != c->count - 1;
	case SQUARE_WAVE:
		return ticks % c->count < (c->count + 1) / 2;
	default:
		return ticks != c->count;
	}
}

/* Gives the guest a tick if it has taken the one before. Caller holds the lock. */
static void inject(struct vitro_pit *pit)
{
	if (!pit->acked || !pit->pending)
		return;
	if (vitro_drive_gsi(pit->vm, VITRO_PIT_GSI, VITRO_SOURCE_PIT, VITRO_LINE_PULSE) < 0) {
		/* Masked everywhere: nobody is counting. */
		pit->pending = 0;
		return;
	}
	pit->pending--;
	pit->acked = false;
}

static void tick(struct vitro_pit *pit, u64 ticks)
{
	if (!pit->reinject) {
		vitro_drive_gsi(pit->vm, VITRO_PIT_GSI, VITRO_SOURCE_PIT, VITRO_LINE_PULSE);
		return;
	}
	pit->pending = min_t(u64, pit->pending + ticks, MAX_PENDING);
	inject(pit);
}

static void start_timer(struct vitro_pit *pit)
{
	hrtimer_start(&pit->timer, pit->target, HRTIMER_MODE_ABS_HARD);
}

static enum hrtimer_restart timer_fired(struct hrtimer *timer)
{
	struct vitro_pit *pit = container_of(timer, struct vitro_pit, timer);
	unsigned long flags;
	u64 ticks = 1;
	ktime_t now;

	/*
	 * Whoever programs the timer holds the lock, and so do we: a callback
	 * that lost the race finds a later target and leaves.
	 */
	spin_lock_irqsave(&pit->lock, flags);
	now = ktime_get();
	if (!pit->armed || ktime_before(now, pit->target))
		goto out;
	if (pit->period) {
		ticks += div64_u64(ktime_to_ns(ktime_sub(now, pit->target)), pit->period);
		pit->target = ktime_add_ns(pit->target, ticks * pit->period);
		start_timer(pit);
	} else {
		pit->armed = false;
	}
	tick(pit, ticks);
out:
	spin_unlock_irqrestore(&pit->lock, flags);
	return HRTIMER_NORESTART;
}

/* Starts over with taking ticks. Caller holds the lock. */
static void forget_pending(struct vitro_pit *pit)
{
	pit->pending = 0;
	pit->acked = true;
}

static void disarm(struct vitro_pit *pit)
{
	pit->armed = false;
	hrtimer_try_to_cancel(&pit->timer);
	forget_pending(pit);
}

/* Programs the interrupt of channel 0. Caller holds the lock. */
static void arm(struct vitro_pit *pit)
{
	const struct kvm_pit_channel_state *c = &pit->channel[0];
	u64 ns = ticks_to_ns(c->count);

	disarm(pit);
	if (pit->flags & KVM_PIT_FLAGS_HPET_LEGACY)
		return;

	switch (c->mode) {
	case TERMINAL_COUNT:
	case SOFT_STROBE:
		pit->period = 0;
		break;
	case RATE:
	case SQUARE_WAVE:
		ns = max_t(u64, ns, VITRO_MIN_TIMER_PERIOD);
		pit->period = ns;
		break;
	default:
		/* Started by the gate, which is wired high. */
		return;
	}
	pit->armed = true;
	pit->target = ktime_add_ns(c->count_load_time, ns);
	start_timer(pit);
}

static void load_count(struct vitro_pit *pit, unsigned int n, u32 count)
{
	struct kvm_pit_channel_state *c = &pit->channel[n];

	c->count = count ?: 0x10000;
	c->count_load_time = ktime_get();
	if (n == 0)
		arm(pit);
}

static void latch_count(struct kvm_pit_channel_state *c)
{
	if (c->count_latched)
		return;
	c->latched_count = current_count(c);
	c->count_latched = c->rw_mode;
}

static void latch_status(struct kvm_pit_channel_state *c)
{
	if (c->status_latched)
		return;
	c->status = (output(c) ? STATUS_OUT : 0) | (c->rw_mode & 3) << 4 |
		    (c->mode & 7) << 1 | c->bcd;
	c->status_latched = 1;
}

static void read_back(struct vitro_pit *pit, u8 value)
{
	unsigned int n;

	for (n = 0; n < NR_CHANNELS; n++) {
		if (!(value & (2 << n)))
			continue;
		if (!(value & RB_NO_COUNT))
			latch_count(&pit->channel[n]);
		if (!(value & RB_NO_STATUS))
			latch_status(&pit->channel[n]);
	}
}

static void write_control(struct vitro_pit *pit, u8 value)
{
	unsigned int n = CW_CHANNEL(value), access = CW_ACCESS(value);
	struct kvm_pit_channel_state *c;

	if (n == CW_READ_BACK) {
		read_back(pit, value);
		return;
	}
	c = &pit->channel[n];
	if (!access) {
		latch_count(c);
		return;
	}
	c->rw_mode = access;
	c->read_state = access;
	c->write_state = access;
	c->count_latched = 0;
	c->status_latched = 0;
	c->bcd = value & CW_BCD;
	/* Modes 6 and 7 are 2 and 3. */
	c->mode = CW_MODE(value) > HARD_STROBE ? CW_MODE(value) - 4 : CW_MODE(value);
	/* The channel stands still until a count comes. */
	if (n == 0)
		disarm(pit);
}

static void write_channel(struct vitro_pit *pit, unsigned int n, u8 value)
{
	struct kvm_pit_channel_state *c = &pit->channel[n];

	switch (c->write_state) {
	case RW_LSB:
		load_count(pit, n, value);
		break;
	case RW_MSB:
		load_count(pit, n, value << 8);
		break;
	case RW_WORD_LSB:
		c->write_latch = value;
		c->write_state = RW_WORD_MSB;
		break;
	case RW_WORD_MSB:
		load_count(pit, n, c->write_latch | value << 8);
		c->write_state = RW_WORD_LSB;
		break;
	}
}

static u8 read_latched(struct kvm_pit_channel_state *c)
{
	u8 step = c->count_latched;

	c->count_latched = step == RW_WORD_LSB ? RW_WORD_MSB : RW_NONE;
	return step == RW_LSB || step == RW_WORD_LSB ? c->latched_count : c->latched_count >> 8;
}

static u8 read_channel(struct kvm_pit_channel_state *c)
{
	if (c->status_latched) {
		c->status_latched = 0;
		return c->status;
	}
	if (c->count_latched)
		return read_latched(c);

	switch (c->read_state) {
	case RW_LSB:
		return current_count(c);
	case RW_MSB:
		return current_count(c) >> 8;
	case RW_WORD_LSB:
		c->read_state = RW_WORD_MSB;
		return current_count(c);
	case RW_WORD_MSB:
		c->read_state = RW_WORD_LSB;
		return current_count(c) >> 8;
	default:
		return 0;
	}
}

static int ports_read(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		      void *data)
{
	struct vitro_pit *pit = container_of(dev, struct vitro_pit, ports);
	unsigned long flags;
	u8 *out = data;
	int i;

	spin_lock_irqsave(&pit->lock, flags);
	for (i = 0; i < len; i++) {
		unsigned int n = (addr + i) & 3;

		/* The control word cannot be read. */
		out[i] = n == PIT_CONTROL ? 0 : read_channel(&pit->channel[n]);
	}
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static int ports_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		       const void *data)
{
	struct vitro_pit *pit = container_of(dev, struct vitro_pit, ports);
	unsigned long flags;
	const u8 *in = data;
	int i;

	spin_lock_irqsave(&pit->lock, flags);
	for (i = 0; i < len; i++) {
		unsigned int n = (addr + i) & 3;

		if (n == PIT_CONTROL)
			write_control(pit, in[i]);
		else
			write_channel(pit, n, in[i]);
	}
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static void set_gate(struct kvm_pit_channel_state *c, u8 gate)
{
	if (c->gate == gate)
		return;
	/* A rising gate starts these modes over; a low one is not modelled. */
	if (gate && c->mode != TERMINAL_COUNT && c->mode != SOFT_STROBE)
		c->count_load_time = ktime_get();
	c->gate = gate;
}

static int speaker_read(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
			void *data)
{
	struct vitro_pit *pit = container_of(dev, struct vitro_pit, speaker);
	const struct kvm_pit_channel_state *c = &pit->channel[2];
	u8 refresh = div_u64(ktime_get_ns(), REFRESH_NS) & 1;
	unsigned long flags;

	spin_lock_irqsave(&pit->lock, flags);
	*(u8 *)data = (c->gate ? SPEAKER_GATE : 0) |
		      (pit->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON ? SPEAKER_DATA : 0) |
		      refresh << SPEAKER_REFRESH_SHIFT | output(c) << SPEAKER_OUT_SHIFT;
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static int speaker_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
			 const void *data)
{
	struct vitro_pit *pit = container_of(dev, struct vitro_pit, speaker);
	u8 value = *(const u8 *)data;
	unsigned long flags;

	spin_lock_irqsave(&pit->lock, flags);
	if (value & SPEAKER_DATA)
		pit->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	else
		pit->flags &= ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	set_gate(&pit->channel[2], value & SPEAKER_GATE);
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static const struct vitro_iodev_ops ports_ops = { .read = ports_read, .write = ports_write };
static const struct vitro_iodev_ops speaker_ops = {
	.read = speaker_read,
	.write = speaker_write,
};

/**
 * vitro_pit_acked() - the guest has ended the interrupt of GSI 0
 * @pit:	the timer, or NULL
 *
 * Any context; no interrupt controller's lock held.
 */
void vitro_pit_acked(struct vitro_pit *pit)
{
	unsigned long flags;

	if (!pit)
		return;
	spin_lock_irqsave(&pit->lock, flags);
	pit->acked = true;
	inject(pit);
	spin_unlock_irqrestore(&pit->lock, flags);
}

/**
 * vitro_pit_mask_changed() - GSI 0 has been masked or unmasked
 * @pit:	the timer, or NULL
 *
 * A tick that waits for its acknowledgement may never get it now, and ticks
 * from before the guest listened are of no interest.
 *
 * Any context; no interrupt controller's lock held.
 */
void vitro_pit_mask_changed(struct vitro_pit *pit)
{
	unsigned long flags;

	if (!pit)
		return;
	spin_lock_irqsave(&pit->lock, flags);
	forget_pending(pit);
	spin_unlock_irqrestore(&pit->lock, flags);
}

static void init_channels(struct vitro_pit *pit)
{
	unsigned int n;

	for (n = 0; n < NR_CHANNELS; n++) {
		pit->channel[n].mode = MODE_NONE;
		pit->channel[n].gate = n != 2;
		pit->channel[n].count = 0x10000;
		pit->channel[n].count_load_time = ktime_get();
	}
}

static int register_ports(struct vitro_pit *pit)
{
	struct vitro_vm *vm = pit->vm;
	int err;

	mutex_lock(&vm->slots_lock);
	err = vitro_iobus_register(vm, VITRO_BUS_PIO, PIT_PORT, 4, &pit->ports);
	if (!err && pit->has_speaker) {
		err = vitro_iobus_register(vm, VITRO_BUS_PIO, SPEAKER_PORT, 1, &pit->speaker);
		if (err)
			vitro_iobus_unregister(vm, VITRO_BUS_PIO, &pit->ports);
	}
	mutex_unlock(&vm->slots_lock);
	return err;
}

/**
 * vitro_pit_create() - KVM_CREATE_PIT2
 * @vm:		where
 * @config:	copied from user space
 *
 * Context: process, vm->lock held. Return: 0; -EEXIST: there is one; -ENOENT:
 * no interrupt controllers; -EINVAL: unknown flags; -ENOMEM, -ENOSPC.
 */
int vitro_pit_create(struct vitro_vm *vm, const struct kvm_pit_config *config)
{
	struct vitro_irqchip *chip = vitro_chip(vm);
	struct vitro_pit *pit;
	int err;

	if (!chip || chip->split)
		return -ENOENT;
	if (chip->pit)
		return -EEXIST;
	if (config->flags & ~KVM_PIT_SPEAKER_DUMMY)
		return -EINVAL;

	pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);
	if (!pit)
		return -ENOMEM;
	pit->vm = vm;
	spin_lock_init(&pit->lock);
	vitro_hrtimer_setup(&pit->timer, timer_fired, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
	pit->reinject = true;
	pit->acked = true;
	pit->has_speaker = config->flags & KVM_PIT_SPEAKER_DUMMY;
	pit->ports.ops = &ports_ops;
	pit->speaker.ops = &speaker_ops;
	init_channels(pit);

	err = register_ports(pit);
	if (err) {
		/* A vCPU may have used the ports already. */
		hrtimer_cancel(&pit->timer);
		kfree(pit);
		return err;
	}
	smp_store_release(&chip->pit, pit);	/* pairs with the_pit() of routing.c */
	vitro_ioapic_update_watch(&chip->ioapic);
	/* A tick from before this point has been acknowledged unheard. */
	vitro_pit_mask_changed(pit);
	return 0;
}

/**
 * vitro_pit_destroy() - stop and free the timer
 * @chip:	the VM's interrupt controllers
 *
 * Context: process; no vCPU runs any more.
 */
void vitro_pit_destroy(struct vitro_irqchip *chip)
{
	struct vitro_pit *pit = chip->pit;
	unsigned long flags;

	if (!pit)
		return;
	/* The callback starts the timer again only if it is armed. */
	spin_lock_irqsave(&pit->lock, flags);
	disarm(pit);
	spin_unlock_irqrestore(&pit->lock, flags);
	hrtimer_cancel(&pit->timer);
	chip->pit = NULL;
	kfree(pit);
}

static struct vitro_pit *find_pit(struct vitro_vm *vm)
{
	struct vitro_irqchip *chip = vitro_chip(vm);

	return chip ? chip->pit : NULL;
}

/**
 * vitro_pit_get() - KVM_GET_PIT2
 * @vm:		where
 * @state:	result
 *
 * Context: process, vm->lock held. Return: 0, or -ENXIO without a PIT.
 */
int vitro_pit_get(struct vitro_vm *vm, struct kvm_pit_state2 *state)
{
	struct vitro_pit *pit = find_pit(vm);
	unsigned long flags;

	if (!pit)
		return -ENXIO;
	memset(state, 0, sizeof(*state));
	spin_lock_irqsave(&pit->lock, flags);
	memcpy(state->channels, pit->channel, sizeof(state->channels));
	state->flags = pit->flags;
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

static bool channel_valid(const struct kvm_pit_channel_state *c)
{
	return c->count <= 0x10000 && (c->mode <= HARD_STROBE || c->mode == MODE_NONE) &&
	       c->rw_mode <= RW_WORD_LSB && c->read_state <= RW_WORD_MSB &&
	       c->write_state <= RW_WORD_MSB && c->count_latched <= RW_WORD_MSB &&
	       c->status_latched <= 1 && c->bcd <= 1 && c->gate <= 1;
}

/**
 * vitro_pit_set() - KVM_SET_PIT2
 * @vm:		where
 * @state:	copied from user space; the channels start to count anew
 *
 * Context: process, vm->lock held. Return: 0; -ENXIO: no PIT; -EINVAL: a field
 * is out of range.
 */
int vitro_pit_set(struct vitro_vm *vm, const struct kvm_pit_state2 *state)
{
	struct vitro_pit *pit = find_pit(vm);
	unsigned long flags;
	unsigned int n;

	if (!pit)
		return -ENXIO;
	if (state->flags & ~(KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON))
		return -EINVAL;
	for (n = 0; n < NR_CHANNELS; n++)
		if (!channel_valid(&state->channels[n]))
			return -EINVAL;

	spin_lock_irqsave(&pit->lock, flags);
	memcpy(pit->channel, state->channels, sizeof(pit->channel));
	pit->flags = state->flags;
	for (n = 0; n < NR_CHANNELS; n++)
		load_count(pit, n, pit->channel[n].count);
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}

/**
 * vitro_pit_reinject() - KVM_REINJECT_CONTROL
 * @vm:		where
 * @control:	copied from user space
 *
 * Context: process, vm->lock held. Return: 0, or -ENXIO without a PIT.
 */
int vitro_pit_reinject(struct vitro_vm *vm, const struct kvm_reinject_control *control)
{
	struct vitro_pit *pit = find_pit(vm);
	unsigned long flags;

	if (!pit)
		return -ENXIO;
	spin_lock_irqsave(&pit->lock, flags);
	pit->reinject = control->pit_reinject;
	forget_pending(pit);
	spin_unlock_irqrestore(&pit->lock, flags);
	return 0;
}
