/* SPDX-License-Identifier: GPL-2.0-only */
/* Which device answers at which port or guest-physical address. */
#ifndef VITRO_BUS_H
#define VITRO_BUS_H

#include <pthread.h>
#include <stdint.h>

/**
 * struct bus_ops - what a device does when the guest touches its range
 * @read: returns the value at @offset; 1, 2, 4 or 8 bytes are used
 * @write: takes a value of @len bytes
 *
 * Both run in the thread of the vCPU that made the access, without the bus's
 * lock, so that a device may move its own ranges. An access never crosses the
 * end of the range.
 */
struct bus_ops {
	uint64_t (*read)(void *dev, uint64_t offset, unsigned int len);
	void (*write)(void *dev, uint64_t offset, unsigned int len, uint64_t value);
};

struct bus_range {
	uint64_t base;
	uint64_t size;
	const struct bus_ops *ops;
	void *dev;
};

#define BUS_MAX_RANGES 128

struct bus {
	pthread_rwlock_t lock;		/* guards everything below */
	unsigned int nr;
	struct bus_range range[BUS_MAX_RANGES];
};

/**
 * bus_init() - make an empty bus
 * @bus: the bus
 */
void bus_init(struct bus *bus);

/**
 * bus_add() - claim a range for a device
 * @bus: the bus
 * @base: first address
 * @size: bytes, not 0
 * @ops: what to call
 * @dev: first argument of the calls; must outlive the bus's last access
 *
 * Return: 0, -EEXIST when part of it is claimed already, -ENOSPC when the bus
 * is full, -EINVAL when the range is empty or wraps.
 */
int bus_add(struct bus *bus, uint64_t base, uint64_t size,
	    const struct bus_ops *ops, void *dev);

/**
 * bus_remove() - give up a range
 * @bus: the bus
 * @base: address that bus_add() was given
 * @dev: device that claimed it; another's range is left alone
 */
void bus_remove(struct bus *bus, uint64_t base, void *dev);

/**
 * bus_read() - the guest reads
 * @bus: the bus
 * @addr: address
 * @len: 1, 2, 4 or 8 bytes
 *
 * Return: the value; all ones where no device answers, as on a PC.
 */
uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned int len);

/**
 * bus_write() - the guest writes
 * @bus: the bus
 * @addr: address
 * @len: 1, 2, 4 or 8 bytes
 * @value: what it writes; lost where no device answers
 */
void bus_write(struct bus *bus, uint64_t addr, unsigned int len, uint64_t value);

#endif
