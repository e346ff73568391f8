/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VITRO_VIRTIO_RNG_H
#define VITRO_VIRTIO_RNG_H

#include "devices/virtio.h"

struct virtio_rng {
	struct virtio_dev dev;
};

/**
 * virtio_rng_init() - create an entropy device
 * @rng: zeroed
 * @vm: the VM
 * @bus: PCI bus
 *
 * Return: 0 or a negative errno, which has been reported. virtio_destroy() is
 * to be called either way.
 */
int virtio_rng_init(struct virtio_rng *rng, struct vm *vm, struct pci_bus *bus);

#endif
