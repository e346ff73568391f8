/* SPDX-License-Identifier: GPL-2.0-only */
/* MSI-X: a device's interrupt messages, delivered through irqfds. */
#ifndef VITRO_MSIX_H
#define VITRO_MSIX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/pci.h"

#define MSIX_MAX_VECTORS 4

struct msix_vector {
	uint32_t entry[4];		/* as in the table: address, data, control */
	bool pending;			/* signalled while masked */
	bool routed;			/* the GSI sends this entry's message */
	int gsi;
	int fd;				/* irqfd, -1: none */
};

struct msix {
	struct vm *vm;
	pthread_mutex_t lock;		/* guards the fields below */
	bool enabled;
	bool all_masked;
	bool use_irqfd;
	unsigned int cap;		/* offset of the capability */
	unsigned int nr;
	struct msix_vector vector[MSIX_MAX_VECTORS];
};

/**
 * msix_init() - give a device MSI-X
 * @msix: filled in
 * @vm: the VM
 * @pci: device not yet on the bus
 * @nr: vectors, at most MSIX_MAX_VECTORS
 * @bar: BAR that holds the table and the pending bits
 * @table: the table's offset in it
 * @pba: the pending bits' offset in it
 *
 * Return: 0 or a negative errno.
 */
int msix_init(struct msix *msix, struct vm *vm, struct pci_dev *pci, unsigned int nr,
	      unsigned int bar, uint32_t table, uint32_t pba);

/**
 * msix_destroy() - free what msix_init() made
 * @msix: the device's, zeroed or set up
 */
void msix_destroy(struct msix *msix);

/**
 * msix_signal() - interrupt the guest
 * @msix: the device's
 * @vector: number; those that do not exist are ignored
 *
 * Any thread may call it.
 */
void msix_signal(struct msix *msix, unsigned int vector);

/**
 * msix_config_written() - the guest may have changed the capability
 * @msix: the device's
 * @pci: the device, its bus's lock held
 */
void msix_config_written(struct msix *msix, const struct pci_dev *pci);

/**
 * msix_table_read() - the guest reads the table
 * @msix: the device's
 * @offset: bytes from the table's start
 * @len: bytes
 *
 * Return: the value.
 */
uint64_t msix_table_read(struct msix *msix, uint64_t offset, unsigned int len);

/**
 * msix_table_write() - the guest writes the table
 * @msix: the device's
 * @offset: bytes from the table's start
 * @len: bytes
 * @value: what it writes
 */
void msix_table_write(struct msix *msix, uint64_t offset, unsigned int len, uint64_t value);

/**
 * msix_pba_read() - the guest reads the pending bits
 * @msix: the device's
 * @offset: bytes from their start
 *
 * Return: the value.
 */
uint64_t msix_pba_read(struct msix *msix, uint64_t offset);

#endif
