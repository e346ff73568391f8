/* SPDX-License-Identifier: GPL-2.0-only */
/* One PCI bus behind a host bridge, reached through ports 0xcf8 and 0xcfc. */
#ifndef VITRO_PCI_H
#define VITRO_PCI_H

#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/bus.h"

struct vm;
struct pci_dev;

#define PCI_SLOTS	32
#define PCI_CONFIG_SIZE	256

/**
 * struct pci_dev_ops - what a device adds to plain configuration space
 * @config_read: bytes [offset, offset + len) are about to be read
 * @config_written: they were written
 * @bar_moved: a BAR has begun (@mapped) or ceased to answer at @base
 *
 * All are called with the bus's lock held. Any may be NULL.
 */
struct pci_dev_ops {
	void (*config_read)(struct pci_dev *pci, unsigned int offset, unsigned int len);
	void (*config_written)(struct pci_dev *pci, unsigned int offset, unsigned int len);
	void (*bar_moved)(struct pci_dev *pci, unsigned int bar, uint64_t base, bool mapped);
};

struct pci_bar {
	uint32_t size;			/* a power of two; 0: no such BAR */
	bool is_io;
	bool mapped;
	uint32_t base;			/* where it answers if mapped */
	const struct bus_ops *ops;
};

/* Fields are guarded by the bus's lock once pci_add() has returned. */
struct pci_dev {
	struct vm *vm;
	const struct pci_dev_ops *ops;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];	/* bits that the guest can change */
	unsigned int next_cap;			/* where the next capability goes */
	unsigned int last_cap;			/* offset of the last, 0: none */
	struct pci_bar bar[6];
};

struct pci_bus {
	struct vm *vm;
	pthread_mutex_t lock;			/* guards what is below and the devices */
	uint32_t address;			/* port 0xcf8 */
	unsigned int nr_devices;
	struct pci_dev *slot[PCI_SLOTS];
	uint32_t next_io, next_mmio;		/* where the next BAR goes */
	struct pci_dev bridge;
};

/**
 * pci_bus_init() - create the bus and its host bridge
 * @bus: filled in
 * @vm: the VM
 *
 * Return: 0 or a negative errno of bus_add().
 */
int pci_bus_init(struct pci_bus *bus, struct vm *vm);

/**
 * pci_dev_init() - give a device its identity
 * @pci: filled in
 * @vm: the VM
 * @vendor: vendor id
 * @device: device id
 * @class: class, subclass and programming interface, 24 bits
 * @ops: what the device does itself
 */
void pci_dev_init(struct pci_dev *pci, struct vm *vm, uint16_t vendor, uint16_t device,
		  uint32_t class, const struct pci_dev_ops *ops);

/**
 * pci_set_bar() - give a device a BAR
 * @pci: a device not yet on the bus
 * @bar: 0 to 5
 * @size: bytes, a power of two
 * @is_io: ports rather than memory
 * @ops: who answers; its first argument is @pci
 */
void pci_set_bar(struct pci_dev *pci, unsigned int bar, uint32_t size, bool is_io,
		 const struct bus_ops *ops);

/**
 * pci_add_cap() - append a capability
 * @pci: a device not yet on the bus
 * @data: the capability; its first byte is the id, the second is filled in
 * @len: its bytes
 *
 * Return: its offset in configuration space.
 */
unsigned int pci_add_cap(struct pci_dev *pci, const void *data, unsigned int len);

/**
 * pci_add() - plug a device in
 * @bus: the bus
 * @pci: the device, which must outlive the vCPUs
 *
 * BARs get addresses but do not answer before the guest enables them.
 *
 * Return: 0, or -ENOSPC when there is no slot left.
 */
int pci_add(struct pci_bus *bus, struct pci_dev *pci);

/**
 * pci_get() - read a register of configuration space
 * @pci: the device
 * @offset: where
 * @len: 1, 2 or 4 bytes
 *
 * Context: bus's lock held.
 *
 * Return: the value.
 */
uint32_t pci_get(const struct pci_dev *pci, unsigned int offset, unsigned int len);

/**
 * pci_put() - write a register of configuration space, as the device
 * @pci: the device
 * @offset: where
 * @len: 1, 2 or 4 bytes
 * @value: the value
 */
void pci_put(struct pci_dev *pci, unsigned int offset, unsigned int len, uint32_t value);

#endif
