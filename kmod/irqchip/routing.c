// SPDX-License-Identifier: GPL-2.0-only
/*
 * GSI routing: which pins or which message an interrupt number of the KVM API
 * stands for, and the way back from acknowledged pins to GSIs.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "internal.h"

#define NO_PIN		(-1)
#define NO_GSI		(-1)

/**
 * struct vitro_route - where a GSI leads
 * @pin:	pin of each interrupt controller, or NO_PIN
 * @msi:	it is a message instead
 * @data:	the message
 * @address:	where it is written to
 */
struct vitro_route {
	s8 pin[KVM_NR_IRQCHIPS];
	bool msi;
	u32 data;
	u64 address;
};

/* Never changed once published. */
struct vitro_routes {
	s16 gsi[KVM_NR_IRQCHIPS][VITRO_IOAPIC_PINS];
	u32 nr;
	struct vitro_route route[];
};

static unsigned int nr_pins(u32 irqchip)
{
	return irqchip == KVM_IRQCHIP_IOAPIC ? VITRO_IOAPIC_PINS : VITRO_PIC_PINS / 2;
}

static struct vitro_routes *alloc_routes(u32 nr)
{
	struct vitro_routes *routes;
	unsigned int i, pin;

	routes = kvzalloc(struct_size(routes, route, nr), GFP_KERNEL_ACCOUNT);
	if (!routes)
		return NULL;
	routes->nr = nr;
	for (i = 0; i < KVM_NR_IRQCHIPS; i++)
		for (pin = 0; pin < VITRO_IOAPIC_PINS; pin++)
			routes->gsi[i][pin] = NO_GSI;
	for (i = 0; i < nr; i++)
		for (pin = 0; pin < KVM_NR_IRQCHIPS; pin++)
			routes->route[i].pin[pin] = NO_PIN;
	return routes;
}

static void connect(struct vitro_routes *routes, u32 gsi, u32 irqchip, u32 pin)
{
	routes->route[gsi].pin[irqchip] = pin;
	routes->gsi[irqchip][pin] = gsi;
}

static bool route_used(const struct vitro_route *route)
{
	unsigned int i;

	for (i = 0; i < KVM_NR_IRQCHIPS; i++)
		if (route->pin[i] != NO_PIN)
			return true;
	return route->msi;
}

static int add_entry(const struct vitro_irqchip *chip, struct vitro_routes *routes,
		     const struct kvm_irq_routing_entry *entry)
{
	u32 gsi = array_index_nospec(entry->gsi, routes->nr);
	struct vitro_route *route = &routes->route[gsi];
	u32 irqchip, pin;

	if (entry->flags)
		return -EINVAL;

	switch (entry->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		irqchip = entry->u.irqchip.irqchip;
		pin = entry->u.irqchip.pin;
		if (chip->split || irqchip >= KVM_NR_IRQCHIPS || pin >= nr_pins(irqchip))
			return -EINVAL;
		irqchip = array_index_nospec(irqchip, KVM_NR_IRQCHIPS);
		pin = array_index_nospec(pin, VITRO_IOAPIC_PINS);
		if (route->msi || route->pin[irqchip] != NO_PIN)
			return -EINVAL;
		connect(routes, gsi, irqchip, pin);
		return 0;
	case KVM_IRQ_ROUTING_MSI:
		if (route_used(route) || !vitro_msi_valid(chip->vm, entry->u.msi.address_hi))
			return -EINVAL;
		route->msi = true;
		route->address = (u64)entry->u.msi.address_hi << 32 | entry->u.msi.address_lo;
		route->data = entry->u.msi.data;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Replaces the routes; vm->irq_lock held. */
static void publish(struct vitro_irqchip *chip, struct vitro_routes *routes)
{
	struct vitro_vm *vm = chip->vm;
	struct vitro_routes *old;

	old = rcu_dereference_protected(chip->routes, lockdep_is_held(&vm->irq_lock));
	rcu_assign_pointer(chip->routes, routes);
	if (!chip->split)
		vitro_ioapic_update_watch(&chip->ioapic);
	if (old) {
		vitro_sync_readers(vm);
		kvfree(old);
	}
}

/**
 * vitro_set_gsi_routing() - KVM_SET_GSI_ROUTING
 * @vm:		where
 * @entries:	copied from user space
 * @nr:		how many
 * @flags:	none are defined
 *
 * Replaces all routes, or none if one of them is wrong.
 *
 * Context: process; takes vm->irq_lock, waits for readers of vm->srcu.
 * Return: 0; -EINVAL: too many, flags, a type that is not supported, a GSI,
 * controller or pin out of range, a GSI with two pins of a controller or with
 * a message and something else, a message's address that is not valid; or no interrupt
 * controllers; -ENOMEM.
 */
int vitro_set_gsi_routing(struct vitro_vm *vm, const struct kvm_irq_routing_entry *entries,
			  u32 nr, u32 flags)
{
	struct vitro_irqchip *chip = vitro_chip(vm);
	struct vitro_routes *routes;
	u32 i, nr_gsis = 0;
	int err;

	if (!chip || flags || nr > VITRO_MAX_GSIS)
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		if (entries[i].gsi >= VITRO_MAX_GSIS)
			return -EINVAL;
		nr_gsis = max(nr_gsis, entries[i].gsi + 1);
	}

	routes = alloc_routes(nr_gsis);
	if (!routes)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		err = add_entry(chip, routes, &entries[i]);
		if (err) {
			kvfree(routes);
			return err;
		}
	}
	mutex_lock(&vm->irq_lock);
	publish(chip, routes);
	mutex_unlock(&vm->irq_lock);
	return 0;
}

/**
 * vitro_routes_init() - the routes that a new VM has
 * @chip:	the VM's interrupt controllers, not yet published
 *
 * GSI n is IOAPIC pin n, and PIC input n where there is one. None if user space has them.
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int vitro_routes_init(struct vitro_irqchip *chip)
{
	u32 nr = chip->split ? 0 : VITRO_IOAPIC_PINS;
	struct vitro_routes *routes = alloc_routes(nr);
	u32 gsi;

	if (!routes)
		return -ENOMEM;
	for (gsi = 0; gsi < nr; gsi++) {
		connect(routes, gsi, KVM_IRQCHIP_IOAPIC, gsi);
		if (gsi < VITRO_PIC_PINS)
			connect(routes, gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER :
				KVM_IRQCHIP_PIC_SLAVE, gsi & 7);
	}
	RCU_INIT_POINTER(chip->routes, routes);
	return 0;
}

/**
 * vitro_routes_destroy() - free the routes
 * @chip:	the VM's interrupt controllers, which nobody uses any more
 */
void vitro_routes_destroy(struct vitro_irqchip *chip)
{
	kvfree(rcu_dereference_protected(chip->routes, true));
	RCU_INIT_POINTER(chip->routes, NULL);
}

static int drive_pin(struct vitro_irqchip *chip, u32 irqchip, unsigned int pin,
		     enum vitro_irq_source source, enum vitro_irq_action action)
{
	if (irqchip == KVM_IRQCHIP_IOAPIC)
		return vitro_ioapic_set(&chip->ioapic, pin, source, action);
	if (irqchip == KVM_IRQCHIP_PIC_SLAVE)
		pin += 8;
	return vitro_pic_set(&chip->pic, pin, source, action);
}

static int drive_route(struct vitro_irqchip *chip, const struct vitro_route *route,
		       enum vitro_irq_source source, enum vitro_irq_action action)
{
	int i, ret, sum = -1;

	if (route->msi) {
		if (action == VITRO_LINE_LOW)
			return -1;
		return vitro_deliver_msi(chip->vm, route->address, route->data);
	}
	for (i = 0; i < KVM_NR_IRQCHIPS; i++) {
		if (route->pin[i] == NO_PIN)
			continue;
		ret = drive_pin(chip, i, route->pin[i], source, action);
		if (ret >= 0)
			sum = max(sum, 0) + ret;
	}
	return sum;
}

/**
 * vitro_drive_gsi() - a source drives a GSI
 * @vm:		where
 * @gsi:	any number
 * @source:	who
 * @action:	what it does; a message is sent unless it is VITRO_LINE_LOW
 *
 * Any context. Return: >0 delivered, 0 merged with what is pending, <0
 * ignored: no route, masked, nobody there.
 */
int vitro_drive_gsi(struct vitro_vm *vm, u32 gsi, enum vitro_irq_source source,
		    enum vitro_irq_action action)
{
	struct vitro_irqchip *chip = vitro_chip(vm);
	const struct vitro_routes *routes;
	int idx, ret = -1;

	if (!chip)
		return -1;
	idx = srcu_read_lock(&vm->srcu);
	routes = srcu_dereference(chip->routes, &vm->srcu);
	if (gsi < routes->nr)
		ret = drive_route(chip, &routes->route[array_index_nospec(gsi, routes->nr)],
				  source, action);
	srcu_read_unlock(&vm->srcu, idx);
	return ret;
}

/**
 * vitro_set_irq() - KVM_IRQ_LINE
 * @vm:		where
 * @gsi:	any number
 * @level:	0 low, else high
 *
 * Any context. Return: >0 delivered, 0 merged with what is pending, <0 ignored.
 */
int vitro_set_irq(struct vitro_vm *vm, u32 gsi, int level)
{
	return vitro_drive_gsi(vm, gsi, VITRO_SOURCE_USER,
			       level ? VITRO_LINE_HIGH : VITRO_LINE_LOW);
}

static struct vitro_pit *the_pit(struct vitro_irqchip *chip)
{
	/* Pairs with the release in vitro_pit_create(): it is complete, or not there. */
	return smp_load_acquire(&chip->pit);
}

/**
 * vitro_pins_acked() - the guest has ended the interrupts of some pins
 * @chip:	the VM's interrupt controllers
 * @irqchip:	KVM_IRQCHIP_*
 * @pins:	bits
 *
 * Any context; no interrupt controller's lock held.
 */
void vitro_pins_acked(struct vitro_irqchip *chip, u32 irqchip, u32 pins)
{
	bool resample = READ_ONCE(chip->nr_resamplers);
	const struct vitro_routes *routes;
	unsigned long bits = pins;
	unsigned int pin;
	int idx, gsi;

	idx = srcu_read_lock(&chip->vm->srcu);
	routes = srcu_dereference(chip->routes, &chip->vm->srcu);
	for_each_set_bit(pin, &bits, VITRO_IOAPIC_PINS) {
		gsi = routes->gsi[irqchip][pin];
		if (gsi == VITRO_PIT_GSI)
			vitro_pit_acked(the_pit(chip));
		if (gsi >= 0 && resample)
			vitro_irqfds_acked(chip, gsi);
	}
	srcu_read_unlock(&chip->vm->srcu, idx);
}

/**
 * vitro_pin_mask_changed() - the guest has masked or unmasked a pin
 * @chip:	the VM's interrupt controllers
 * @irqchip:	KVM_IRQCHIP_*
 * @pin:	which
 *
 * Any context; no interrupt controller's lock held.
 */
void vitro_pin_mask_changed(struct vitro_irqchip *chip, u32 irqchip, u32 pin)
{
	const struct vitro_routes *routes;
	int idx, gsi;

	idx = srcu_read_lock(&chip->vm->srcu);
	routes = srcu_dereference(chip->routes, &chip->vm->srcu);
	gsi = routes->gsi[irqchip][pin];
	srcu_read_unlock(&chip->vm->srcu, idx);
	if (gsi == VITRO_PIT_GSI)
		vitro_pit_mask_changed(the_pit(chip));
}

/**
 * vitro_watched_pins() - pins of the IOAPIC whose EOI is of interest even if
 * they are edge-triggered
 * @chip:	the VM's interrupt controllers
 *
 * Any context. Return: bits.
 */
u32 vitro_watched_pins(struct vitro_irqchip *chip)
{
	bool resample = READ_ONCE(chip->nr_resamplers);
	const struct vitro_routes *routes;
	unsigned int pin;
	u32 pins = 0;
	int idx, gsi;

	idx = srcu_read_lock(&chip->vm->srcu);
	routes = srcu_dereference(chip->routes, &chip->vm->srcu);
	for (pin = 0; pin < VITRO_IOAPIC_PINS; pin++) {
		gsi = routes->gsi[KVM_IRQCHIP_IOAPIC][pin];
		if (gsi == VITRO_PIT_GSI ? !!READ_ONCE(chip->pit) : gsi >= 0 && resample)
			pins |= BIT(pin);
	}
	srcu_read_unlock(&chip->vm->srcu, idx);
	return pins;
}
