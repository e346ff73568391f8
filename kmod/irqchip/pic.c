// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two 8259A interrupt controllers (8259A Programmable Interrupt
 * Controller data sheet), with the edge/level control registers of the PIIX.
 */
#include <linux/bitops.h>
#include <linux/string.h>

#include "internal.h"

#define PIC_MASTER_PORT		0x20
#define PIC_SLAVE_PORT		0xa0
#define PIC_ELCR_PORT		0x4d0
#define CASCADE			2	/* the master's input for the slave */
#define SPURIOUS		7

/* Lines that are edge-triggered whatever the guest writes: 0, 1, 2, 8, 13 */
#define ELCR_MASK_MASTER	0xf8
#define ELCR_MASK_SLAVE		0xde

#define ICW1			0x10
#define ICW1_ICW4		0x01
#define ICW4_AUTO_EOI		0x02
#define ICW4_NESTED		0x10
#define OCW3			0x08
#define OCW3_READ		0x02
#define OCW3_READ_ISR		0x01
#define OCW3_POLL		0x04
#define OCW3_SPECIAL		0x40
#define OCW3_SPECIAL_ON		0x20

/* Commands of OCW2, bits 7..5 */
enum { ROTATE_AEOI_OFF, EOI, NOP, EOI_SPECIFIC, ROTATE_AEOI_ON, ROTATE_EOI, SET_PRIORITY,
	ROTATE_EOI_SPECIFIC };

/* Position of the best bit of @mask counted from the highest priority; 8: none */
static unsigned int best_priority(const struct kvm_pic_state *s, u8 mask)
{
	u8 rotated = mask >> s->priority_add | mask << (8 - s->priority_add);

	return rotated ? __ffs(rotated) : 8;
}

/* The input that @s would have acknowledged, or -1. */
static int pending_input(const struct vitro_pic *pic, const struct kvm_pic_state *s)
{
	u8 isr = s->isr;
	unsigned int wanted = best_priority(s, s->irr & ~s->imr);

	if (wanted == 8)
		return -1;
	if (s->special_mask)
		isr &= ~s->imr;
	/* The slave may interrupt again while an interrupt of its is served. */
	if (s->special_fully_nested_mode && s == &pic->chip[0])
		isr &= ~BIT(CASCADE);
	if (wanted >= best_priority(s, isr))
		return -1;
	return (wanted + s->priority_add) & 7;
}

/* Wakes one processor that the master's INT is wired to. */
static void raise_int(struct vitro_pic *pic)
{
	struct vitro_vcpu *vcpu;
	int i;

	vitro_for_each_vcpu(i, vcpu, pic->vm) {
		if (!vcpu->lapic || !vitro_lapic_takes_extint(vcpu->lapic))
			continue;
		vitro_request(vcpu, VITRO_REQ_EVENT);
		vitro_vcpu_kick(vcpu);
		return;
	}
}

/* Recomputes the wires after a change. Caller holds the lock. */
static void update(struct vitro_pic *pic)
{
	bool slave = pending_input(pic, &pic->chip[1]) >= 0, output;

	/*
	 * The cascade is edge-triggered, so the master's initialisation forgets it. An
	 * input that falls before it is acknowledged requests nothing (data sheet, Edge
	 * and Level Triggered Modes).
	 */
	if (slave && !pic->slave_int)
		pic->chip[0].irr |= BIT(CASCADE);
	else if (!slave && pic->slave_int)
		pic->chip[0].irr &= ~BIT(CASCADE);
	pic->slave_int = slave;
	output = pending_input(pic, &pic->chip[0]) >= 0;
	WRITE_ONCE(pic->output, output);
	if (output)
		raise_int(pic);
}

/* Input @n of @s is now @high. Return: 0 if it was requested already. */
static int drive_input(struct kvm_pic_state *s, unsigned int n, bool high)
{
	u8 mask = BIT(n), before = s->irr;

	if (s->elcr & mask) {
		if (high)
			s->irr |= mask;
		else
			s->irr &= ~mask;
	} else if (high && !(s->last_irr & mask)) {
		s->irr |= mask;
	}
	if (high)
		s->last_irr |= mask;
	else
		s->last_irr &= ~mask;

	if (s->imr & mask)
		return -1;
	return high && (before & mask) ? 0 : 1;
}

/**
 * vitro_pic_set() - a source drives an input
 * @pic:	the PICs
 * @pin:	0..7 master, 8..15 slave
 * @source:	who
 * @action:	what it does
 *
 * Any context. Return: >0 requested (or line lowered), 0 merged with what is
 * pending, -1 masked.
 */
int vitro_pic_set(struct vitro_pic *pic, unsigned int pin,
		  enum vitro_irq_source source, enum vitro_irq_action action)
{
	struct kvm_pic_state *s = &pic->chip[pin >> 3];
	unsigned long flags;
	int ret = 1;

	spin_lock_irqsave(&pic->lock, flags);
	if (action != VITRO_LINE_LOW) {
		pic->sources[pin] |= BIT(source);
		ret = drive_input(s, pin & 7, true);
	}
	if (action != VITRO_LINE_HIGH) {
		pic->sources[pin] &= ~BIT(source);
		drive_input(s, pin & 7, pic->sources[pin]);
	}
	update(pic);
	spin_unlock_irqrestore(&pic->lock, flags);
	return ret;
}

/* Ends the interrupt of input @n. Return: pins to report as acknowledged. */
static u32 end_interrupt(struct vitro_pic *pic, struct kvm_pic_state *s, unsigned int n)
{
	if (!(s->isr & BIT(n)))
		return 0;
	s->isr &= ~BIT(n);
	return BIT(n) << (s == &pic->chip[1] ? 8 : 0);
}

static u32 acknowledge(struct vitro_pic *pic, struct kvm_pic_state *s, unsigned int n)
{
	s->isr |= BIT(n);
	if (!(s->elcr & BIT(n)))
		s->irr &= ~BIT(n);
	if (!s->auto_eoi)
		return 0;
	if (s->rotate_on_auto_eoi)
		s->priority_add = (n + 1) & 7;
	return end_interrupt(pic, s, n);
}

/* Reports acknowledged pins 0..15; without the lock. */
static void report_acked(struct vitro_pic *pic, u32 pins)
{
	struct vitro_irqchip *chip = container_of(pic, struct vitro_irqchip, pic);

	if (pins & 0xff)
		vitro_pins_acked(chip, KVM_IRQCHIP_PIC_MASTER, pins & 0xff);
	if (pins >> 8)
		vitro_pins_acked(chip, KVM_IRQCHIP_PIC_SLAVE, pins >> 8);
}

/**
 * vitro_pic_peek() - the vector that an acknowledge cycle would return
 * @pic:	the PICs
 *
 * Any context. Return: the vector, or -1.
 */
int vitro_pic_peek(struct vitro_pic *pic)
{
	const struct kvm_pic_state *s = &pic->chip[0];
	int n, vector = -1;
	unsigned long flags;

	spin_lock_irqsave(&pic->lock, flags);
	n = pending_input(pic, s);
	if (n == CASCADE) {
		s = &pic->chip[1];
		n = pending_input(pic, s);
		if (n < 0)
			n = SPURIOUS;
	}
	if (n >= 0)
		vector = s->irq_base + n;
	spin_unlock_irqrestore(&pic->lock, flags);
	return vector;
}

/**
 * vitro_pic_ack() - interrupt acknowledge cycle
 * @pic:	the PICs
 *
 * Context: vCPU thread, IRQs on or off. Return: the vector; that of a spurious
 * interrupt if the request has gone.
 */
int vitro_pic_ack(struct vitro_pic *pic)
{
	const struct kvm_pic_state *s = &pic->chip[0];
	unsigned long flags;
	u32 acked = 0;
	int n, vector;

	spin_lock_irqsave(&pic->lock, flags);
	n = pending_input(pic, s);
	if (n >= 0)
		acked = acknowledge(pic, &pic->chip[0], n);
	if (n == CASCADE) {
		s = &pic->chip[1];
		n = pending_input(pic, s);
		if (n >= 0)
			acked |= acknowledge(pic, &pic->chip[1], n);
		/* INT falls while it is acknowledged: what comes next is another edge. */
		pic->slave_int = false;
	}
	vector = s->irq_base + (n < 0 ? SPURIOUS : n);
	update(pic);
	spin_unlock_irqrestore(&pic->lock, flags);

	report_acked(pic, acked);
	return vector;
}

static void write_icw1(struct kvm_pic_state *s, u8 value)
{
	u8 level = s->irr & s->elcr;

	s->init4 = value & ICW1_ICW4;
	/* Edges are forgotten; lines that are high by level stay. */
	s->irr = level;
	s->last_irr = 0;
	s->imr = 0;
	s->isr = 0;
	s->priority_add = 0;
	s->read_reg_select = 0;
	s->poll = 0;
	s->special_mask = 0;
	s->auto_eoi = 0;
	s->rotate_on_auto_eoi = 0;
	s->special_fully_nested_mode = 0;
	s->init_state = 1;
}

static void write_ocw3(struct kvm_pic_state *s, u8 value)
{
	if (value & OCW3_POLL)
		s->poll = 1;
	if (value & OCW3_READ)
		s->read_reg_select = value & OCW3_READ_ISR;
	if (value & OCW3_SPECIAL)
		s->special_mask = !!(value & OCW3_SPECIAL_ON);
}

static u32 write_ocw2(struct vitro_pic *pic, struct kvm_pic_state *s, u8 value)
{
	unsigned int command = value >> 5, n = value & 7, best;
	u8 isr = s->isr;

	switch (command) {
	case ROTATE_AEOI_OFF:
	case ROTATE_AEOI_ON:
		s->rotate_on_auto_eoi = command == ROTATE_AEOI_ON;
		return 0;
	case EOI:
	case ROTATE_EOI:
		/* Data sheet, Special Mask Mode: what is masked is not ended so. */
		if (s->special_mask)
			isr &= ~s->imr;
		best = best_priority(s, isr);
		if (best == 8)
			return 0;
		n = (best + s->priority_add) & 7;
		break;
	case SET_PRIORITY:
		s->priority_add = (n + 1) & 7;
		return 0;
	case NOP:
		return 0;
	}
	if (command == ROTATE_EOI || command == ROTATE_EOI_SPECIFIC)
		s->priority_add = (n + 1) & 7;
	return end_interrupt(pic, s, n);
}

static void write_data(struct kvm_pic_state *s, u8 value)
{
	switch (s->init_state) {
	case 0:
		s->imr = value;
		break;
	case 1:
		s->irq_base = value & 0xf8;
		s->init_state = 2;
		break;
	case 2:
		s->init_state = s->init4 ? 3 : 0;
		break;
	case 3:
		s->special_fully_nested_mode = !!(value & ICW4_NESTED);
		s->auto_eoi = !!(value & ICW4_AUTO_EOI);
		s->init_state = 0;
		break;
	}
}

static u8 read_chip(struct vitro_pic *pic, struct kvm_pic_state *s, bool data, u32 *acked)
{
	int n;

	if (s->poll) {
		s->poll = 0;
		n = pending_input(pic, s);
		if (n < 0)
			return 0;
		*acked |= acknowledge(pic, s, n);
		update(pic);
		return 0x80 | n;
	}
	if (data)
		return s->imr;
	return s->read_reg_select ? s->isr : s->irr;
}

static int chip_read(struct vitro_pic *pic, unsigned int which, u64 addr, int len, u8 *data)
{
	struct kvm_pic_state *s = &pic->chip[which];
	unsigned long flags;
	u32 acked = 0;
	int i;

	/* One byte that nothing follows from, as it is now: no need of the lock. */
	if (len == 1 && addr & 1 && likely(!READ_ONCE(s->poll))) {
		*data = READ_ONCE(s->imr);
		return 0;
	}
	spin_lock_irqsave(&pic->lock, flags);
	for (i = 0; i < len; i++)
		data[i] = read_chip(pic, s, (addr + i) & 1, &acked);
	spin_unlock_irqrestore(&pic->lock, flags);
	report_acked(pic, acked);
	return 0;
}

static int chip_write(struct vitro_pic *pic, unsigned int which, u64 addr, int len,
		      const u8 *data)
{
	struct vitro_irqchip *chip = container_of(pic, struct vitro_irqchip, pic);
	struct kvm_pic_state *s = &pic->chip[which];
	unsigned long flags;
	u32 acked = 0;
	unsigned long changed;
	u8 old_imr;
	int i;

	spin_lock_irqsave(&pic->lock, flags);
	/* A mask that is there already is written often, by old interrupt code. */
	if (len == 1 && addr & 1 && !s->init_state && s->imr == *data) {
		spin_unlock_irqrestore(&pic->lock, flags);
		return 0;
	}
	old_imr = s->imr;
	for (i = 0; i < len; i++) {
		if ((addr + i) & 1)
			write_data(s, data[i]);
		else if (data[i] & ICW1)
			write_icw1(s, data[i]);
		else if (data[i] & OCW3)
			write_ocw3(s, data[i]);
		else
			acked |= write_ocw2(pic, s, data[i]);
	}
	/* Initialisation forgets what was in service as well. */
	changed = s->init_state == 1 ? 0xff : old_imr ^ s->imr;
	update(pic);
	spin_unlock_irqrestore(&pic->lock, flags);

	report_acked(pic, acked);
	for_each_set_bit(i, &changed, 8)
		vitro_pin_mask_changed(chip, which ? KVM_IRQCHIP_PIC_SLAVE :
				       KVM_IRQCHIP_PIC_MASTER, i);
	return 0;
}

static int master_read(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		       void *data)
{
	return chip_read(container_of(dev, struct vitro_pic, master), 0, addr, len, data);
}

static int master_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
			const void *data)
{
	return chip_write(container_of(dev, struct vitro_pic, master), 0, addr, len, data);
}

static int slave_read(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		      void *data)
{
	return chip_read(container_of(dev, struct vitro_pic, slave), 1, addr, len, data);
}

static int slave_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		       const void *data)
{
	return chip_write(container_of(dev, struct vitro_pic, slave), 1, addr, len, data);
}

static int elcr_read(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		     void *data)
{
	struct vitro_pic *pic = container_of(dev, struct vitro_pic, elcr);
	u8 *out = data;
	int i;

	for (i = 0; i < len; i++)
		out[i] = READ_ONCE(pic->chip[(addr + i) & 1].elcr);
	return 0;
}

static int elcr_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		      const void *data)
{
	struct vitro_pic *pic = container_of(dev, struct vitro_pic, elcr);
	const u8 *in = data;
	unsigned long flags;
	int i;

	spin_lock_irqsave(&pic->lock, flags);
	for (i = 0; i < len; i++) {
		struct kvm_pic_state *s = &pic->chip[(addr + i) & 1];

		WRITE_ONCE(s->elcr, in[i] & s->elcr_mask);
	}
	spin_unlock_irqrestore(&pic->lock, flags);
	return 0;
}

static const struct vitro_iodev_ops master_ops = { .read = master_read, .write = master_write };
static const struct vitro_iodev_ops slave_ops = { .read = slave_read, .write = slave_write };
static const struct vitro_iodev_ops elcr_ops = { .read = elcr_read, .write = elcr_write };

/**
 * vitro_pic_init() - put the PICs on the port bus
 * @chip:	the VM's interrupt controllers
 *
 * Context: process, vm->slots_lock held. Return: 0, or -errno with nothing
 * registered.
 */
int vitro_pic_init(struct vitro_irqchip *chip)
{
	struct vitro_pic *pic = &chip->pic;
	int err;

	spin_lock_init(&pic->lock);
	pic->vm = chip->vm;
	pic->chip[0].elcr_mask = ELCR_MASK_MASTER;
	pic->chip[1].elcr_mask = ELCR_MASK_SLAVE;
	pic->master.ops = &master_ops;
	pic->slave.ops = &slave_ops;
	pic->elcr.ops = &elcr_ops;

	err = vitro_iobus_register(chip->vm, VITRO_BUS_PIO, PIC_MASTER_PORT, 2, &pic->master);
	if (!err)
		err = vitro_iobus_register(chip->vm, VITRO_BUS_PIO, PIC_SLAVE_PORT, 2,
					   &pic->slave);
	if (!err)
		err = vitro_iobus_register(chip->vm, VITRO_BUS_PIO, PIC_ELCR_PORT, 2, &pic->elcr);
	if (err)
		vitro_pic_destroy(chip);
	return err;
}

/**
 * vitro_pic_destroy() - take the PICs off the port bus
 * @chip:	the VM's interrupt controllers
 *
 * Context: process, vm->slots_lock held.
 */
void vitro_pic_destroy(struct vitro_irqchip *chip)
{
	vitro_iobus_unregister(chip->vm, VITRO_BUS_PIO, &chip->pic.master);
	vitro_iobus_unregister(chip->vm, VITRO_BUS_PIO, &chip->pic.slave);
	vitro_iobus_unregister(chip->vm, VITRO_BUS_PIO, &chip->pic.elcr);
}

/**
 * vitro_pic_get_state() - KVM_GET_IRQCHIP
 * @pic:	the PICs
 * @n:		0 master, 1 slave
 * @state:	result
 */
void vitro_pic_get_state(struct vitro_pic *pic, unsigned int n, struct kvm_pic_state *state)
{
	unsigned long flags;

	spin_lock_irqsave(&pic->lock, flags);
	*state = pic->chip[n];
	spin_unlock_irqrestore(&pic->lock, flags);
}

/**
 * vitro_pic_set_state() - KVM_SET_IRQCHIP
 * @pic:	the PICs
 * @n:		0 master, 1 slave
 * @state:	new state
 *
 * Return: 0; -EINVAL: a field that is a number or a flag is out of range.
 */
int vitro_pic_set_state(struct vitro_pic *pic, unsigned int n, const struct kvm_pic_state *state)
{
	struct kvm_pic_state new = *state;
	unsigned long flags;

	if (new.priority_add > 7 || new.init_state > 3 || (new.irq_base & 7) ||
	    new.read_reg_select > 1 || new.poll > 1 || new.special_mask > 1 ||
	    new.auto_eoi > 1 || new.rotate_on_auto_eoi > 1 ||
	    new.special_fully_nested_mode > 1 || new.init4 > 1)
		return -EINVAL;

	new.elcr_mask = n ? ELCR_MASK_SLAVE : ELCR_MASK_MASTER;
	new.elcr &= new.elcr_mask;
	spin_lock_irqsave(&pic->lock, flags);
	pic->chip[n] = new;
	/* A master whose state was not saved at the same time must not miss the slave. */
	pic->slave_int = false;
	update(pic);
	spin_unlock_irqrestore(&pic->lock, flags);
	return 0;
}
