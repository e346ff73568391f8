// SPDX-License-Identifier: GPL-2.0-only
#include "core/bus.h"
#include "core/util.h"

#include <string.h>

void bus_init(struct bus *bus)
{
	pthread_rwlock_init(&bus->lock, NULL);
	bus->nr = 0;
}

int bus_add(struct bus *bus, uint64_t base, uint64_t size,
	    const struct bus_ops *ops, void *dev)
{
	int ret = 0;

	if (!size || base + (size - 1) < base)
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	for (unsigned int i = 0; i < bus->nr; i++) {
		const struct bus_range *r = &bus->range[i];

		if (base <= r->base + (r->size - 1) && r->base <= base + (size - 1))
			ret = -EEXIST;
	}
	if (!ret && bus->nr == BUS_MAX_RANGES)
		ret = -ENOSPC;
	if (!ret)
		bus->range[bus->nr++] = (struct bus_range){ base, size, ops, dev };
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

void bus_remove(struct bus *bus, uint64_t base, void *dev)
{
	pthread_rwlock_wrlock(&bus->lock);
	for (unsigned int i = 0; i < bus->nr; i++) {
		struct bus_range *r = &bus->range[i];

		if (r->base == base && r->dev == dev) {
			*r = bus->range[--bus->nr];
			break;
		}
	}
	pthread_rwlock_unlock(&bus->lock);
}

static bool find(struct bus *bus, uint64_t addr, unsigned int len, struct bus_range *found)
{
	bool hit = false;

	pthread_rwlock_rdlock(&bus->lock);
	for (unsigned int i = 0; i < bus->nr && !hit; i++) {
		const struct bus_range *r = &bus->range[i];

		if (addr >= r->base && addr - r->base < r->size &&
		    len <= r->size - (addr - r->base)) {
			*found = *r;
			hit = true;
		}
	}
	pthread_rwlock_unlock(&bus->lock);
	return hit;
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned int len)
{
	struct bus_range r;

	if (!find(bus, addr, len, &r))
		return ~0ULL;
	return r.ops->read(r.dev, addr - r.base, len);
}

void bus_write(struct bus *bus, uint64_t addr, unsigned int len, uint64_t value)
{
	struct bus_range r;

	if (find(bus, addr, len, &r))
		r.ops->write(r.dev, addr - r.base, len, value);
}
