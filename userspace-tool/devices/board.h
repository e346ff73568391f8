/* SPDX-License-Identifier: GPL-2.0-only */
/* All devices of a VM. */
#ifndef VITRO_BOARD_H
#define VITRO_BOARD_H

#include "cmd/run-options.h"
#include "devices/devices.h"
#include "devices/pci.h"
#include "devices/virtio-blk.h"
#include "devices/virtio-rng.h"

struct board {
	struct vm *vm;
	struct uart uart;
	struct rtc rtc;
	struct acpi_pm pm;
	struct pci_bus pci;
	struct virtio_rng rng;
	unsigned int nr_disks;
	struct virtio_blk disk[MAX_DISKS];
};

/**
 * board_init() - create the devices and the tables that describe them
 * @board: filled in
 * @vm: the VM, whose vCPUs have not started
 * @opts: what the user wants
 *
 * Return: 0 or a negative errno, which has been reported. board_destroy() is
 * to be called either way.
 */
int board_init(struct board *board, struct vm *vm, const struct run_options *opts);

/**
 * board_destroy() - stop and free the devices
 * @board: zeroed, or from board_init(); no vCPU runs
 */
void board_destroy(struct board *board);

#endif
