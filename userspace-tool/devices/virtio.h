/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio devices on PCI, modern interface only.
 *
 * Why PCI with MSI-X and not virtio-mmio: a stock kernel finds a PCI device by
 * itself, while Debian's cannot even be told of a virtio-mmio one on its
 * command line (VIRTIO_MMIO_CMDLINE_DEVICES is off); and an MSI-X interrupt
 * costs no exit, while virtio-mmio's takes two, to read and to acknowledge the
 * status. The price is a host bridge. Queues are notified through a port
 * rather than through memory, because a port exit needs no instruction to be
 * decoded. There is no INTx: a guest must use MSI-X.
 */
#ifndef VITRO_VIRTIO_H
#define VITRO_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/msix.h"
#include "devices/pci.h"
#include "devices/virtqueue.h"

#define VIRTIO_MAX_QUEUES 2

struct virtio_dev;

/**
 * struct virtio_ops - what makes a device a disk or something else
 * @process: handle a request; returns the bytes written into its buffers, or
 *	     a negative errno when the request makes no sense, which breaks
 *	     the device until the guest resets it
 *
 * Called in the device's thread with its lock held.
 */
struct virtio_ops {
	int64_t (*process)(struct virtio_dev *dev, unsigned int queue,
			   struct virtq_chain *chain);
};

struct virtio_dev {
	struct pci_dev pci;		/* must be first: it is the BARs' argument */
	struct msix msix;
	const struct virtio_ops *ops;
	uint64_t features;		/* offered */
	const void *config;		/* device-specific configuration */
	unsigned int config_size;
	unsigned int nr_queues;

	pthread_t thread;
	bool has_thread;
	atomic_bool stopping;
	int kick_fd;			/* eventfd: the guest has notified */
	bool use_ioeventfd;
	unsigned int pci_cfg_cap;	/* offset of the access capability */

	pthread_mutex_t lock;		/* guards the fields below */
	uint64_t driver_features;
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t status;
	struct virtq queue[VIRTIO_MAX_QUEUES];
	uint16_t queue_vector[VIRTIO_MAX_QUEUES];
	struct virtq_chain chain;	/* the request at hand */
};

/**
 * virtio_init() - make a virtio device and plug it in
 * @dev: zeroed but for ops, features, config, config_size and nr_queues
 * @vm: the VM
 * @bus: PCI bus
 * @id: VIRTIO_ID_*
 * @class: PCI class code
 * @name: name of the device's thread
 *
 * Return: 0 or a negative errno, which has been reported. virtio_destroy() is
 * to be called either way.
 */
int virtio_init(struct virtio_dev *dev, struct vm *vm, struct pci_bus *bus,
		unsigned int id, uint32_t class, const char *name);

/**
 * virtio_destroy() - stop the device's thread and free what it has
 * @dev: set up by virtio_init(), or zeroed
 */
void virtio_destroy(struct virtio_dev *dev);

/* Offsets of the common configuration's parts within the memory BAR. */
#define VIRTIO_BAR_MEM		0
#define VIRTIO_BAR_NOTIFY	2
#define VIRTIO_MEM_COMMON	0x0000
#define VIRTIO_MEM_ISR		0x1000
#define VIRTIO_MEM_DEVICE	0x2000
#define VIRTIO_MEM_MSIX_TABLE	0x3000
#define VIRTIO_MEM_MSIX_PBA	0x3800
#define VIRTIO_MEM_SIZE		0x4000
#define VIRTIO_NOTIFY_SIZE	0x20

/**
 * virtio_common_read() - the guest reads the common configuration
 * @dev: the device
 * @offset: VIRTIO_PCI_COMMON_*
 *
 * Return: the value.
 */
uint32_t virtio_common_read(struct virtio_dev *dev, uint64_t offset);

/**
 * virtio_common_write() - the guest writes the common configuration
 * @dev: the device
 * @offset: VIRTIO_PCI_COMMON_*
 * @value: what it writes
 */
void virtio_common_write(struct virtio_dev *dev, uint64_t offset, uint32_t value);

/**
 * virtio_process() - handle all requests that are waiting
 * @dev: the device
 *
 * Called by the device's thread.
 */
void virtio_process(struct virtio_dev *dev);

#endif
