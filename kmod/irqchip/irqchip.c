// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM's interrupt controllers as a whole: life and state.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "internal.h"

static int register_devices(struct vitro_irqchip *chip)
{
	struct vitro_vm *vm = chip->vm;
	int err;

	mutex_lock(&vm->slots_lock);
	err = vitro_pic_init(chip);
	if (!err) {
		err = vitro_ioapic_init(chip);
		if (err)
			vitro_pic_destroy(chip);
	}
	mutex_unlock(&vm->slots_lock);
	return err;
}

static int create(struct vitro_vm *vm, bool split, u32 user_pins)
{
	struct vitro_irqchip *chip;
	int err;

	chip = kzalloc(sizeof(*chip), GFP_KERNEL_ACCOUNT);
	if (!chip)
		return -ENOMEM;
	chip->vm = vm;
	chip->split = split;
	chip->user_pins = user_pins;
	vitro_irqfds_init(chip);
	err = vitro_routes_init(chip);
	if (err)
		goto free;
	/* Without vCPUs there is nobody to use the devices before we are done. */
	err = split ? 0 : register_devices(chip);
	if (err)
		goto routes;

	vm->pic_in_kernel = !split;
	smp_store_release(&vm->irqchip, chip);	/* pairs with vitro_chip() */
	smp_store_release(&vm->irqchip_in_kernel, true);	/* pairs with has_irqchip() */
	return 0;
routes:
	vitro_routes_destroy(chip);
free:
	kfree(chip);
	return err;
}

/**
 * vitro_irqchip_create() - KVM_CREATE_IRQCHIP
 * @vm:		where
 *
 * Context: process, vm->lock held. Return: 0; -EEXIST: there are some; -EINVAL:
 * vCPUs exist; -ENOMEM, -ENOSPC.
 */
int vitro_irqchip_create(struct vitro_vm *vm)
{
	if (vm->irqchip)
		return -EEXIST;
	if (vm->nr_vcpus)
		return -EINVAL;
	return create(vm, false, 0);
}

/**
 * vitro_irqchip_create_split() - KVM_CAP_SPLIT_IRQCHIP
 * @vm:		where
 * @user_pins:	pins of the IOAPIC that user space has
 *
 * Local APICs, routes to them, and irqfds; user space has PIC, IOAPIC and PIT.
 *
 * Context: process, vm->lock held. Return: 0; -EEXIST: there are interrupt controllers
 * or vCPUs; -EINVAL: too many pins; -ENOMEM.
 */
int vitro_irqchip_create_split(struct vitro_vm *vm, u64 user_pins)
{
	if (user_pins > VITRO_MAX_GSIS)
		return -EINVAL;
	if (vm->irqchip || vm->nr_vcpus)
		return -EEXIST;
	return create(vm, true, user_pins);
}

/**
 * vitro_irqchip_destroy() - the VM dies
 * @vm:		VM whose vCPUs do not run any more but have not been freed
 *
 * Afterwards nothing sends interrupts to the vCPUs. vitro_iobus_destroy() may
 * follow or have gone before.
 *
 * Context: process.
 */
void vitro_irqchip_destroy(struct vitro_vm *vm)
{
	struct vitro_irqchip *chip = vm->irqchip;

	if (!chip)
		return;
	vitro_irqfds_destroy(chip);
	vitro_pit_destroy(chip);
	if (!chip->split)
		vitro_ioapic_destroy(chip);
	vm->irqchip = NULL;
	vm->irqchip_in_kernel = false;
	vitro_routes_destroy(chip);
	kfree(chip);
}

/**
 * vitro_irqchip_get() - KVM_GET_IRQCHIP
 * @vm:		where
 * @state:	chip_id tells which; the rest is filled
 *
 * Context: process, vm->lock held. Return: 0; -ENXIO: no interrupt controllers;
 * -EINVAL: no such controller.
 */
int vitro_irqchip_get(struct vitro_vm *vm, struct kvm_irqchip *state)
{
	struct vitro_irqchip *chip = vitro_chip(vm);
	u32 id = state->chip_id;

	if (!chip || chip->split)
		return -ENXIO;
	memset(state, 0, sizeof(*state));
	state->chip_id = id;
	switch (id) {
	case KVM_IRQCHIP_PIC_MASTER:
		vitro_pic_get_state(&chip->pic, 0, &state->chip.pic);
		return 0;
	case KVM_IRQCHIP_PIC_SLAVE:
		vitro_pic_get_state(&chip->pic, 1, &state->chip.pic);
		return 0;
	case KVM_IRQCHIP_IOAPIC:
		vitro_ioapic_get_state(&chip->ioapic, &state->chip.ioapic);
		return 0;
	default:
		return -EINVAL;
	}
}

/**
 * vitro_irqchip_set() - KVM_SET_IRQCHIP
 * @vm:		where
 * @state:	copied from user space
 *
 * Context: process, vm->lock held. Return: 0; -ENXIO: no interrupt controllers;
 * -EINVAL: no such controller, or a field is out of range.
 */
int vitro_irqchip_set(struct vitro_vm *vm, const struct kvm_irqchip *state)
{
	struct vitro_irqchip *chip = vitro_chip(vm);

	if (!chip || chip->split)
		return -ENXIO;
	switch (state->chip_id) {
	case KVM_IRQCHIP_PIC_MASTER:
		return vitro_pic_set_state(&chip->pic, 0, &state->chip.pic);
	case KVM_IRQCHIP_PIC_SLAVE:
		return vitro_pic_set_state(&chip->pic, 1, &state->chip.pic);
	case KVM_IRQCHIP_IOAPIC:
		return vitro_ioapic_set_state(&chip->ioapic, &state->chip.ioapic);
	default:
		return -EINVAL;
	}
}
