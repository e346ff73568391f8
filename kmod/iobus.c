// SPDX-License-Identifier: GPL-2.0-only
/*
 * In-kernel devices on the guest's port and memory buses.
 *
 * A bus is an array sorted by address that is copied to add to it. Removing
 * blanks the entry in place, so that it cannot fail; the next copy leaves
 * blanks out. Both wait for the readers (vm->srcu) before anything is freed.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "iobus.h"
#include "vcpu.h"
#include "vm.h"

/* Devices on a bus, ioeventfds included: bounds the cost of a copy. */
#define MAX_RANGES		4096

/**
 * struct vitro_iorange - where a device answers
 * @addr:	first address
 * @len:	bytes; 0: accesses of any size that begin at @addr
 * @last:	highest address that this range or one before it covers
 * @dev:	NULL: removed
 * @destroy:	the device's; the device itself may be gone when the VM dies
 */
struct vitro_iorange {
	u64 addr;
	u64 len;
	u64 last;
	struct vitro_iodev *dev;
	void (*destroy)(struct vitro_iodev *dev);
};

struct vitro_iobus {
	int nr;
	struct vitro_iorange ranges[];
};

static u64 range_last(const struct vitro_iorange *range)
{
	return range->len ? range->addr + range->len - 1 : range->addr;
}

static struct vitro_iobus *bus_of_writer(struct vitro_vm *vm, enum vitro_bus bus)
{
	return rcu_dereference_protected(vm->buses[bus], lockdep_is_held(&vm->slots_lock));
}

/* Copies what is left of @old and adds @new behind those of its address. */
static void copy_ranges(struct vitro_iobus *bus, const struct vitro_iobus *old,
			const struct vitro_iorange *new)
{
	int i, nr = old ? old->nr : 0;
	bool added = false;
	u64 last = 0;

	bus->nr = 0;
	for (i = 0; i < nr; i++) {
		if (!old->ranges[i].dev)
			continue;
		if (!added && old->ranges[i].addr > new->addr) {
			bus->ranges[bus->nr++] = *new;
			added = true;
		}
		bus->ranges[bus->nr++] = old->ranges[i];
	}
	if (!added)
		bus->ranges[bus->nr++] = *new;

	for (i = 0; i < bus->nr; i++) {
		last = max(last, range_last(&bus->ranges[i]));
		bus->ranges[i].last = last;
	}
}

/**
 * vitro_iobus_register() - add a device to a bus
 * @vm:		where
 * @bus:	which
 * @addr:	first address
 * @len:	bytes; 0: accesses of any size that begin at @addr
 * @dev:	the device; one registration each
 *
 * Ranges may overlap: the one that begins last is asked first.
 *
 * Context: process, vm->slots_lock held; waits for readers of vm->srcu.
 * Return: 0; -EINVAL: the range wraps; -ENOSPC: the bus is full; -ENOMEM.
 */
int vitro_iobus_register(struct vitro_vm *vm, enum vitro_bus bus, u64 addr,
			 u64 len, struct vitro_iodev *dev)
{
	struct vitro_iorange new = {
		.addr = addr,
		.len = len,
		.dev = dev,
		.destroy = dev->ops->destroy,
	};
	struct vitro_iobus *old = bus_of_writer(vm, bus), *copy;
	int i, nr = 1;

	if (len && addr + len - 1 < addr)
		return -EINVAL;
	for (i = 0; old && i < old->nr; i++)
		nr += !!old->ranges[i].dev;
	if (nr > MAX_RANGES)
		return -ENOSPC;

	copy = kvmalloc(struct_size(copy, ranges, nr), GFP_KERNEL_ACCOUNT);
	if (!copy)
		return -ENOMEM;
	copy_ranges(copy, old, &new);
	rcu_assign_pointer(vm->buses[bus], copy);
	if (old) {
		vitro_sync_readers(vm);
		kvfree(old);
	}
	return 0;
}

/**
 * vitro_iobus_unregister() - remove a device from a bus and destroy it
 * @vm:		where
 * @bus:	which
 * @dev:	the device
 *
 * Context: process, vm->slots_lock held; waits for readers of vm->srcu.
 * Return: 0; -ENOENT: it was not registered.
 */
int vitro_iobus_unregister(struct vitro_vm *vm, enum vitro_bus bus, struct vitro_iodev *dev)
{
	struct vitro_iobus *ranges = bus_of_writer(vm, bus);
	int i;

	for (i = 0; ranges && i < ranges->nr; i++) {
		if (ranges->ranges[i].dev != dev)
			continue;
		WRITE_ONCE(ranges->ranges[i].dev, NULL);
		vitro_sync_readers(vm);
		if (ranges->ranges[i].destroy)
			ranges->ranges[i].destroy(dev);
		return 0;
	}
	return -ENOENT;
}

/**
 * vitro_iobus_find() - look through the devices of a bus
 * @vm:		where
 * @bus:	which
 * @match:	is it the one?
 * @arg:	passed to @match
 *
 * Context: process, vm->slots_lock held. Return: the first device that @match
 * says yes to, or NULL.
 */
struct vitro_iodev *vitro_iobus_find(struct vitro_vm *vm, enum vitro_bus bus,
				     bool (*match)(struct vitro_iodev *dev, const void *arg),
				     const void *arg)
{
	struct vitro_iobus *ranges = bus_of_writer(vm, bus);
	int i;

	for (i = 0; ranges && i < ranges->nr; i++)
		if (ranges->ranges[i].dev && match(ranges->ranges[i].dev, arg))
			return ranges->ranges[i].dev;
	return NULL;
}

static bool covers(const struct vitro_iorange *range, u64 addr, int len)
{
	u64 at = addr - range->addr;

	if (!range->len)
		return !at;
	return at < range->len && range->len - at >= len;
}

/* Index behind the last range that begins at or below @addr. */
static int upper_bound(const struct vitro_iobus *bus, u64 addr)
{
	int low = 0, high = bus->nr;

	while (low < high) {
		int middle = (low + high) / 2;

		if (bus->ranges[middle].addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The same. Mostly it is what the vCPU has found last, which takes two looks to see. */
static int range_behind(struct vitro_vcpu *vcpu, enum vitro_bus which,
			const struct vitro_iobus *bus, u64 addr)
{
	int i = vcpu->io_hint[which];

	if (i > 0 && i <= bus->nr && bus->ranges[i - 1].addr <= addr &&
	    (i == bus->nr || bus->ranges[i].addr > addr))
		return i;
	i = upper_bound(bus, addr);
	vcpu->io_hint[which] = i;
	return i;
}

/*
 * Asks the devices that cover the access, one by one: reads into @in, or
 * writes from @out.
 */
static int access(struct vitro_vcpu *vcpu, enum vitro_bus which, u64 addr, int len,
		  void *in, const void *out)
{
	struct vitro_vm *vm = vcpu->vm;
	const struct vitro_iobus *bus = srcu_dereference(vm->buses[which], &vm->srcu);
	int i, err;

	if (!bus)
		return -EOPNOTSUPP;
	for (i = range_behind(vcpu, which, bus, addr) - 1; i >= 0 && bus->ranges[i].last >= addr; i--) {
		struct vitro_iodev *dev = READ_ONCE(bus->ranges[i].dev);

		if (!dev || !covers(&bus->ranges[i], addr, len))
			continue;
		err = -EOPNOTSUPP;
		if (in && dev->ops->read)
			err = dev->ops->read(vcpu, dev, addr, len, in);
		else if (out && dev->ops->write)
			err = dev->ops->write(vcpu, dev, addr, len, out);
		if (!err)
			return 0;
	}
	return -EOPNOTSUPP;
}

/**
 * vitro_iobus_read() - the guest reads from a port or from MMIO
 * @vcpu:	the caller's vCPU
 * @bus:	which
 * @addr:	port or guest-physical address
 * @len:	bytes
 * @data:	result
 *
 * Context: vm->srcu held; IRQs on or off. Return: 0, or -EOPNOTSUPP if no
 * device took it.
 */
int vitro_iobus_read(struct vitro_vcpu *vcpu, enum vitro_bus bus, u64 addr, int len, void *data)
{
	return access(vcpu, bus, addr, len, data, NULL);
}

/**
 * vitro_iobus_write() - the guest writes to a port or to MMIO
 * @vcpu:	the caller's vCPU
 * @bus:	which
 * @addr:	port or guest-physical address
 * @len:	bytes
 * @data:	what it writes
 *
 * Context: vm->srcu held; IRQs on or off. Return: 0, or -EOPNOTSUPP if no
 * device took it.
 */
int vitro_iobus_write(struct vitro_vcpu *vcpu, enum vitro_bus bus, u64 addr, int len,
		      const void *data)
{
	return access(vcpu, bus, addr, len, NULL, data);
}

/**
 * vitro_iobus_destroy() - the VM dies: destroy what is on its buses
 * @vm:		VM that no vCPU runs of
 *
 * Context: process.
 */
void vitro_iobus_destroy(struct vitro_vm *vm)
{
	int which, i;

	for (which = 0; which < VITRO_NR_BUSES; which++) {
		struct vitro_iobus *bus = rcu_dereference_protected(vm->buses[which], true);

		if (!bus)
			continue;
		for (i = 0; i < bus->nr; i++)
			if (bus->ranges[i].dev && bus->ranges[i].destroy)
				bus->ranges[i].destroy(bus->ranges[i].dev);
		RCU_INIT_POINTER(vm->buses[which], NULL);
		kvfree(bus);
	}
}
