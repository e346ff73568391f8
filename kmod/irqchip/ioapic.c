// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOAPIC: 24 pins to interrupt messages (82093AA I/O Advanced Programmable
 * Interrupt Controller data sheet).
 */
#include <linux/nospec.h>
#include <linux/string.h>

#include "internal.h"

#define IOAPIC_SIZE		0x100
#define IOAPIC_SELECT		0x00
#define IOAPIC_WINDOW		0x10

#define IOAPIC_REG_ID		0x00
#define IOAPIC_REG_VERSION	0x01
#define IOAPIC_REG_ARBITRATION	0x02
#define IOAPIC_REG_REDIR	0x10

#define IOAPIC_VERSION		(0x11 | (VITRO_IOAPIC_PINS - 1) << 16)

/* Redirection table entry */
#define RTE_VECTOR(e)		((u8)(e))
#define RTE_MODE(e)		((u32)(e) & APIC_DM_FIXED_MASK)
#define RTE_LOGICAL		BIT_ULL(11)
#define RTE_STATUS		BIT_ULL(12)
#define RTE_REMOTE_IRR		BIT_ULL(14)
#define RTE_LEVEL		BIT_ULL(15)
#define RTE_MASKED		BIT_ULL(16)
#define RTE_DEST(e)		((e) >> 56)
#define RTE_READ_ONLY		(RTE_STATUS | RTE_REMOTE_IRR)
#define RTE_BITS		(GENMASK_ULL(63, 56) | GENMASK_ULL(16, 0))

/*
 * A guest that ends a level-triggered interrupt without having quietened the
 * device gets it again at once, for ever. After this many in a row it gets a
 * pause to do something about it.
 */
#define STORM_LIMIT		10000
#define STORM_PAUSE		(HZ / 100 + 1)

/*
 * Sends the message of @pin if it may be sent. Return: as vitro_deliver(); 0
 * if the interrupt before has not been ended yet. Caller holds the lock.
 */
static int service(struct vitro_ioapic *ioapic, unsigned int pin)
{
	u64 entry = ioapic->redir[pin];
	struct vitro_irq_msg msg = {
		.dest = RTE_DEST(entry),
		.mode = RTE_MODE(entry),
		.vector = RTE_VECTOR(entry),
		.logical = entry & RTE_LOGICAL,
		.level = entry & RTE_LEVEL,
		.wide = READ_ONCE(ioapic->vm->x2apic_api) & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
	};
	int ret;

	if (entry & RTE_MASKED)
		return -1;
	if (entry & RTE_REMOTE_IRR)
		return 0;
	ret = vitro_deliver(ioapic->vm, &msg);
	if (ret >= 0 && msg.level && (msg.mode == APIC_DM_FIXED || msg.mode == APIC_DM_LOWEST))
		ioapic->redir[pin] |= RTE_REMOTE_IRR;
	return ret;
}

static void service_if_asserted(struct vitro_ioapic *ioapic, unsigned int pin)
{
	if ((ioapic->redir[pin] & RTE_LEVEL) && (ioapic->line & BIT(pin)))
		service(ioapic, pin);
}

/* Brings the line to what its sources say. Caller holds the lock. */
static int update_line(struct vitro_ioapic *ioapic, unsigned int pin)
{
	bool was = ioapic->line & BIT(pin);

	if (!ioapic->sources[pin]) {
		ioapic->line &= ~BIT(pin);
		ioapic->reasserts[pin] = 0;
		return 1;
	}
	ioapic->line |= BIT(pin);
	/* High already: an edge there is none, a level is being dealt with. */
	return was ? 0 : service(ioapic, pin);
}

/**
 * vitro_ioapic_set() - a source drives a pin
 * @ioapic:	the IOAPIC
 * @pin:	0..23
 * @source:	who
 * @action:	what it does
 *
 * Any context. Return: >0 delivered (or line lowered), 0 merged with what is
 * pending, -1 masked or not accepted.
 */
int vitro_ioapic_set(struct vitro_ioapic *ioapic, unsigned int pin,
		     enum vitro_irq_source source, enum vitro_irq_action action)
{
	unsigned long flags;
	int ret = 1;

	spin_lock_irqsave(&ioapic->lock, flags);
	if (action != VITRO_LINE_LOW) {
		ioapic->sources[pin] |= BIT(source);
		ret = update_line(ioapic, pin);
	}
	if (action != VITRO_LINE_HIGH) {
		ioapic->sources[pin] &= ~BIT(source);
		update_line(ioapic, pin);
	}
	spin_unlock_irqrestore(&ioapic->lock, flags);
	return ret;
}

/* Pins that have @vector and wait for its EOI; ends their interrupt. */
static u32 end_interrupt(struct vitro_ioapic *ioapic, u8 vector)
{
	u32 pins = 0;
	unsigned int pin;

	for (pin = 0; pin < VITRO_IOAPIC_PINS; pin++) {
		u64 entry = ioapic->redir[pin];

		if (RTE_VECTOR(entry) != vector)
			continue;
		if ((entry & RTE_LEVEL) && !(entry & RTE_REMOTE_IRR))
			continue;
		ioapic->redir[pin] &= ~RTE_REMOTE_IRR;
		pins |= BIT(pin);
	}
	return pins;
}

static void service_again(struct vitro_ioapic *ioapic, unsigned int pin)
{
	if (!(ioapic->redir[pin] & RTE_LEVEL))
		return;
	if (!(ioapic->line & BIT(pin))) {
		ioapic->reasserts[pin] = 0;
	} else if (++ioapic->reasserts[pin] < STORM_LIMIT) {
		service(ioapic, pin);
	} else {
		ioapic->reasserts[pin] = 0;
		schedule_delayed_work(&ioapic->storm, STORM_PAUSE);
	}
}

/**
 * vitro_ioapic_eoi() - a local APIC broadcasts the end of an interrupt
 * @ioapic:	the IOAPIC
 * @vector:	which
 *
 * Context: vCPU thread, IRQs on or off.
 */
void vitro_ioapic_eoi(struct vitro_ioapic *ioapic, u8 vector)
{
	unsigned long flags, pending;
	unsigned int pin;
	u32 pins;

	spin_lock_irqsave(&ioapic->lock, flags);
	pins = end_interrupt(ioapic, vector);
	spin_unlock_irqrestore(&ioapic->lock, flags);
	if (!pins)
		return;

	/* May lower the line: before it is looked at again. */
	vitro_pins_acked(ioapic->vm->irqchip, KVM_IRQCHIP_IOAPIC, pins);

	spin_lock_irqsave(&ioapic->lock, flags);
	pending = pins;
	for_each_set_bit(pin, &pending, VITRO_IOAPIC_PINS)
		service_again(ioapic, pin);
	spin_unlock_irqrestore(&ioapic->lock, flags);
}

static void storm_over(struct work_struct *work)
{
	struct vitro_ioapic *ioapic = container_of(to_delayed_work(work), struct vitro_ioapic,
						   storm);
	unsigned long flags;
	unsigned int pin;

	spin_lock_irqsave(&ioapic->lock, flags);
	for (pin = 0; pin < VITRO_IOAPIC_PINS; pin++)
		service_if_asserted(ioapic, pin);
	spin_unlock_irqrestore(&ioapic->lock, flags);
}

/*
 * Caller holds the lock: of two that update, the later one sees what the
 * earlier one has seen, or something newer.
 */
static void update_watch(struct vitro_ioapic *ioapic)
{
	DECLARE_BITMAP(vectors, VITRO_NR_VECTORS) = { };
	unsigned long watched = vitro_watched_pins(container_of(ioapic, struct vitro_irqchip,
								ioapic));
	unsigned int i;

	for_each_set_bit(i, &watched, VITRO_IOAPIC_PINS)
		__set_bit(RTE_VECTOR(ioapic->redir[i]), vectors);
	for (i = 0; i < VITRO_VECTOR_LONGS; i++)
		WRITE_ONCE(ioapic->eoi_watch[i], vectors[i]);
}

/**
 * vitro_ioapic_update_watch() - the set of pins whose EOI matters has changed
 * @ioapic:	the IOAPIC
 *
 * Any context.
 */
void vitro_ioapic_update_watch(struct vitro_ioapic *ioapic)
{
	unsigned long flags;

	spin_lock_irqsave(&ioapic->lock, flags);
	update_watch(ioapic);
	spin_unlock_irqrestore(&ioapic->lock, flags);
}

static u32 read_window(struct vitro_ioapic *ioapic)
{
	unsigned int index = ioapic->select - IOAPIC_REG_REDIR;

	switch (ioapic->select) {
	case IOAPIC_REG_ID:
	case IOAPIC_REG_ARBITRATION:
		return ioapic->id << 24;
	case IOAPIC_REG_VERSION:
		return IOAPIC_VERSION;
	}
	if (index >= 2 * VITRO_IOAPIC_PINS)
		return U32_MAX;
	index = array_index_nospec(index, 2 * VITRO_IOAPIC_PINS);
	return ioapic->redir[index / 2] >> (index & 1 ? 32 : 0);
}

/* Return: the pin whose mask bit has changed, or -1. Caller holds the lock. */
static int write_redir(struct vitro_ioapic *ioapic, unsigned int index, u32 value)
{
	unsigned int pin = index / 2;
	u64 old = ioapic->redir[pin], entry;

	if (index & 1)
		entry = (u64)value << 32 | (u32)old;
	else
		entry = (old & GENMASK_ULL(63, 32)) | (value & ~RTE_READ_ONLY) |
			(old & RTE_READ_ONLY);
	entry &= RTE_BITS;
	/* Drivers for IOAPICs without an EOI register clear Remote IRR so. */
	if (!(entry & RTE_LEVEL))
		entry &= ~RTE_REMOTE_IRR;
	ioapic->redir[pin] = entry;
	service_if_asserted(ioapic, pin);
	return (old ^ entry) & RTE_MASKED ? pin : -1;
}

static void write_window(struct vitro_ioapic *ioapic, u32 value)
{
	unsigned long flags;
	unsigned int index;
	int changed = -1;

	spin_lock_irqsave(&ioapic->lock, flags);
	index = ioapic->select - IOAPIC_REG_REDIR;
	if (ioapic->select == IOAPIC_REG_ID) {
		ioapic->id = (value >> 24) & 0xf;
	} else if (index < 2 * VITRO_IOAPIC_PINS) {
		changed = write_redir(ioapic, array_index_nospec(index, 2 * VITRO_IOAPIC_PINS),
				      value);
		update_watch(ioapic);
	}
	spin_unlock_irqrestore(&ioapic->lock, flags);

	if (changed >= 0)
		vitro_pin_mask_changed(ioapic->vm->irqchip, KVM_IRQCHIP_IOAPIC, changed);
}

static int mmio_read(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		     void *data)
{
	struct vitro_ioapic *ioapic = container_of(dev, struct vitro_ioapic, dev);
	unsigned long flags;
	u32 value = 0;

	spin_lock_irqsave(&ioapic->lock, flags);
	switch (addr & (IOAPIC_SIZE - 1)) {
	case IOAPIC_SELECT:
		value = ioapic->select;
		break;
	case IOAPIC_WINDOW:
		value = read_window(ioapic);
		break;
	}
	spin_unlock_irqrestore(&ioapic->lock, flags);

	memset(data, 0, len);
	memcpy(data, &value, min_t(size_t, len, sizeof(value)));
	return 0;
}

static int mmio_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		      const void *data)
{
	struct vitro_ioapic *ioapic = container_of(dev, struct vitro_ioapic, dev);
	unsigned long flags;
	u32 value = 0;

	memcpy(&value, data, min_t(size_t, len, sizeof(value)));
	switch (addr & (IOAPIC_SIZE - 1)) {
	case IOAPIC_SELECT:
		spin_lock_irqsave(&ioapic->lock, flags);
		ioapic->select = value;
		spin_unlock_irqrestore(&ioapic->lock, flags);
		break;
	case IOAPIC_WINDOW:
		write_window(ioapic, value);
		break;
	}
	return 0;
}

static const struct vitro_iodev_ops ioapic_ops = {
	.read = mmio_read,
	.write = mmio_write,
};

/**
 * vitro_ioapic_init() - put the IOAPIC on the MMIO bus
 * @chip:	the VM's interrupt controllers
 *
 * Context: process, vm->slots_lock held. Return: 0 or -errno.
 */
int vitro_ioapic_init(struct vitro_irqchip *chip)
{
	struct vitro_ioapic *ioapic = &chip->ioapic;
	unsigned int pin;

	spin_lock_init(&ioapic->lock);
	INIT_DELAYED_WORK(&ioapic->storm, storm_over);
	ioapic->vm = chip->vm;
	ioapic->dev.ops = &ioapic_ops;
	for (pin = 0; pin < VITRO_IOAPIC_PINS; pin++)
		ioapic->redir[pin] = RTE_MASKED;
	return vitro_iobus_register(chip->vm, VITRO_BUS_MMIO, IO_APIC_DEFAULT_PHYS_BASE,
				    IOAPIC_SIZE, &ioapic->dev);
}

/**
 * vitro_ioapic_destroy() - stop what the IOAPIC does by itself
 * @chip:	the VM's interrupt controllers
 *
 * Context: process; no vCPU runs any more.
 */
void vitro_ioapic_destroy(struct vitro_irqchip *chip)
{
	cancel_delayed_work_sync(&chip->ioapic.storm);
}

/**
 * vitro_ioapic_get_state() - KVM_GET_IRQCHIP
 * @ioapic:	the IOAPIC
 * @state:	zeroed by the caller
 */
void vitro_ioapic_get_state(struct vitro_ioapic *ioapic, struct kvm_ioapic_state *state)
{
	unsigned long flags;
	unsigned int pin;

	state->base_address = IO_APIC_DEFAULT_PHYS_BASE;
	spin_lock_irqsave(&ioapic->lock, flags);
	state->ioregsel = ioapic->select;
	state->id = ioapic->id;
	state->irr = ioapic->line;
	for (pin = 0; pin < VITRO_IOAPIC_PINS; pin++)
		state->redirtbl[pin].bits = ioapic->redir[pin];
	spin_unlock_irqrestore(&ioapic->lock, flags);
}

/**
 * vitro_ioapic_set_state() - KVM_SET_IRQCHIP
 * @ioapic:	the IOAPIC
 * @state:	reserved bits are dropped; lines stay as it says until a source
 *		drives them again
 *
 * Return: 0; -EINVAL: base address other than the usual, or a register or ID
 * out of range.
 */
int vitro_ioapic_set_state(struct vitro_ioapic *ioapic, const struct kvm_ioapic_state *state)
{
	unsigned long flags;
	unsigned int pin;

	if (state->base_address != IO_APIC_DEFAULT_PHYS_BASE || state->ioregsel > 0xff ||
	    state->id > 0xf)
		return -EINVAL;

	spin_lock_irqsave(&ioapic->lock, flags);
	ioapic->select = state->ioregsel;
	ioapic->id = state->id;
	ioapic->line = state->irr & GENMASK(VITRO_IOAPIC_PINS - 1, 0);
	for (pin = 0; pin < VITRO_IOAPIC_PINS; pin++) {
		u64 entry = state->redirtbl[pin].bits & RTE_BITS & ~RTE_STATUS;

		if (!(entry & RTE_LEVEL))
			entry &= ~RTE_REMOTE_IRR;
		ioapic->redir[pin] = entry;
		ioapic->reasserts[pin] = 0;
		service_if_asserted(ioapic, pin);
	}
	update_watch(ioapic);
	spin_unlock_irqrestore(&ioapic->lock, flags);
	return 0;
}
