/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VITRO_VIRTIO_BLK_H
#define VITRO_VIRTIO_BLK_H

#include <linux/virtio_blk.h>

#include "devices/virtio.h"

struct virtio_blk {
	struct virtio_dev dev;
	const char *path;
	int fd;				/* valid if path is set */
	bool read_only;
	uint64_t size;			/* bytes, a multiple of 512 */
	char serial[VIRTIO_BLK_ID_BYTES];
	struct virtio_blk_config config;
};

/**
 * virtio_blk_init() - create a disk
 * @blk: zeroed
 * @vm: the VM
 * @bus: PCI bus
 * @path: file or block device that holds the disk; stays in use
 * @read_only: whether the guest may not write
 * @index: which disk it is, for its serial number
 *
 * The file is locked against other VMs: shared if read-only, else exclusive.
 *
 * Return: 0 or a negative errno, which has been reported. virtio_blk_destroy()
 * is to be called either way.
 */
int virtio_blk_init(struct virtio_blk *blk, struct vm *vm, struct pci_bus *bus,
		    const char *path, bool read_only, unsigned int index);

/**
 * virtio_blk_destroy() - stop the disk, write back what the host has cached
 * @blk: set up by virtio_blk_init(), or zeroed
 */
void virtio_blk_destroy(struct virtio_blk *blk);

/**
 * virtio_blk_process() - handle one request
 * @dev: the disk
 * @queue: its only queue, 0
 * @chain: the request
 *
 * Return: bytes written into the guest's buffers, -EPROTO for a request
 * without room for the header or the status.
 */
int64_t virtio_blk_process(struct virtio_dev *dev, unsigned int queue, struct virtq_chain *chain);

#endif
