// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coalesced MMIO and port I/O. Guest writes to the zones that user space names
 * are put into a ring in the VM's page that every vCPU's mmap shows, and
 * the guest goes on; user space takes them out when it gets to it.
 *
 * User space can write to the page at any time. Nothing that is read from it is
 * believed: an index is looked at once and must be one of the ring's.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kvm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "coalesced.h"
#include "iobus.h"
#include "vcpu.h"
#include "vm.h"

/* The last of them stays empty: else a full ring would look like an empty one. */
#define RING_ENTRIES	KVM_COALESCED_MMIO_MAX

struct coalesced_zone {
	struct vitro_iodev dev;
	struct kvm_coalesced_mmio_zone where;
};

static struct coalesced_zone *to_zone(struct vitro_iodev *dev)
{
	return container_of(dev, struct coalesced_zone, dev);
}

/* Full, or spoilt: user space does it then, as if there were no zone. */
static bool put_entry(struct kvm_coalesced_mmio_ring *ring,
		      const struct kvm_coalesced_mmio *entry)
{
	u32 last = READ_ONCE(ring->last), next;

	if (last >= RING_ENTRIES)
		return false;
	next = last + 1 == RING_ENTRIES ? 0 : last + 1;
	if (next == READ_ONCE(ring->first))
		return false;
	ring->coalesced_mmio[array_index_nospec(last, RING_ENTRIES)] = *entry;
	smp_wmb();	/* the entry before the index that user space waits for */
	WRITE_ONCE(ring->last, next);
	return true;
}

static int zone_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		      const void *data)
{
	struct kvm_coalesced_mmio entry = {
		.phys_addr = addr,
		.len = len,
		.pio = to_zone(dev)->where.pio,
	};
	struct vitro_vm *vm = vcpu->vm;
	bool done;

	if (len > sizeof(entry.data))
		return -EOPNOTSUPP;
	memcpy(entry.data, data, len);
	spin_lock(&vm->coalesced.lock);
	done = put_entry(vm->coalesced.ring, &entry);
	spin_unlock(&vm->coalesced.lock);
	return done ? 0 : -EOPNOTSUPP;
}

static void zone_destroy(struct vitro_iodev *dev)
{
	kfree(to_zone(dev));
}

static const struct vitro_iodev_ops zone_ops = {
	.write = zone_write,
	.destroy = zone_destroy,
};

/**
 * vitro_coalesced_init() - give a new VM its ring
 * @vm: the VM, not yet visible to anybody
 *
 * Context: process context. Return: 0 or -ENOMEM.
 */
int vitro_coalesced_init(struct vitro_vm *vm)
{
	spin_lock_init(&vm->coalesced.lock);
	vm->coalesced.ring = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return vm->coalesced.ring ? 0 : -ENOMEM;
}

/**
 * vitro_coalesced_free() - undo vitro_coalesced_init()
 * @vm: the VM, whose buses have been destroyed
 *
 * Context: process context.
 */
void vitro_coalesced_free(struct vitro_vm *vm)
{
	free_page((unsigned long)vm->coalesced.ring);
}

/**
 * vitro_coalesced_register() - KVM_REGISTER_COALESCED_MMIO
 * @vm:    the VM
 * @where: where; pio: ports, else guest-physical addresses
 *
 * Context: process context; takes vm->slots_lock.
 * Return: 0; -EINVAL: not a zone; -ENOSPC, -ENOMEM.
 */
int vitro_coalesced_register(struct vitro_vm *vm, const struct kvm_coalesced_mmio_zone *where)
{
	struct coalesced_zone *zone;
	int err;

	/* A bus takes a size of 0 for "any". */
	if (where->pio > 1 || !where->size)
		return -EINVAL;
	zone = kzalloc(sizeof(*zone), GFP_KERNEL_ACCOUNT);
	if (!zone)
		return -ENOMEM;
	zone->dev.ops = &zone_ops;
	zone->where = *where;

	mutex_lock(&vm->slots_lock);
	err = vitro_iobus_register(vm, where->pio ? VITRO_BUS_PIO : VITRO_BUS_MMIO,
				   where->addr, where->size, &zone->dev);
	mutex_unlock(&vm->slots_lock);
	if (err)
		kfree(zone);
	return err;
}

/* Is @dev a zone around the one that user space names? */
static bool is_around(struct vitro_iodev *dev, const void *arg)
{
	const struct kvm_coalesced_mmio_zone *named = arg, *where;
	u64 at;

	if (dev->ops != &zone_ops)
		return false;
	where = &to_zone(dev)->where;
	at = named->addr - where->addr;
	return at < where->size && named->size <= where->size - at;
}

/**
 * vitro_coalesced_unregister() - KVM_UNREGISTER_COALESCED_MMIO
 * @vm:    the VM
 * @where: all zones around this one go
 *
 * Context: process context; takes vm->slots_lock.
 * Return: 0, even if there is no such zone; -EINVAL: not a zone.
 */
int vitro_coalesced_unregister(struct vitro_vm *vm, const struct kvm_coalesced_mmio_zone *where)
{
	enum vitro_bus bus = where->pio ? VITRO_BUS_PIO : VITRO_BUS_MMIO;
	struct vitro_iodev *dev;

	if (where->pio > 1)
		return -EINVAL;
	mutex_lock(&vm->slots_lock);
	while ((dev = vitro_iobus_find(vm, bus, is_around, where)))
		vitro_iobus_unregister(vm, bus, dev);
	mutex_unlock(&vm->slots_lock);
	return 0;
}
