// SPDX-License-Identifier: GPL-2.0-only
/* The common configuration of virtio over PCI, and the handling of requests. */
#include "devices/virtio.h"
#include "core/util.h"
#include "core/vm.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

/* Called with the lock held. */
static void reset(struct virtio_dev *dev)
{
	dev->status = 0;
	dev->driver_features = 0;
	dev->device_feature_select = dev->driver_feature_select = 0;
	dev->queue_select = 0;
	dev->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		virtq_reset(&dev->queue[i]);
		dev->queue_vector[i] = VIRTIO_MSI_NO_VECTOR;
	}
}

/* The guest broke the rules; tells it so and stops. Called with the lock held. */
static void break_device(struct virtio_dev *dev)
{
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		msix_signal(&dev->msix, dev->config_vector);
}

static void write_status(struct virtio_dev *dev, uint8_t value)
{
	if (!value) {
		reset(dev);
		return;
	}
	/* Features that were not offered, or no VERSION_1: not agreed. */
	if ((value & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    ((dev->driver_features & ~dev->features) ||
	     !(dev->driver_features & BIT(VIRTIO_F_VERSION_1))))
		value &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	dev->status = value | (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static struct virtq *selected_queue(struct virtio_dev *dev)
{
	return dev->queue_select < dev->nr_queues ? &dev->queue[dev->queue_select] : NULL;
}

static uint32_t read_queue(struct virtio_dev *dev, uint64_t offset)
{
	struct virtq *q = selected_queue(dev);

	if (!q)
		return 0;		/* size 0: there is no such queue */
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return q->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return dev->queue_vector[dev->queue_select];
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return 0;		/* all notify at one place */
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return q->desc_gpa;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return q->desc_gpa >> 32;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return q->avail_gpa;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return q->avail_gpa >> 32;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return q->used_gpa;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return q->used_gpa >> 32;
	}
	return 0;
}

uint32_t virtio_common_read(struct virtio_dev *dev, uint64_t offset)
{
	uint32_t value = 0;

	pthread_mutex_lock(&dev->lock);
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		value = dev->device_feature_select;
		break;
	case VIRTIO_PCI_COMMON_DF:
		if (dev->device_feature_select < 2)
			value = dev->features >> (32 * dev->device_feature_select);
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		value = dev->driver_feature_select;
		break;
	case VIRTIO_PCI_COMMON_GF:
		if (dev->driver_feature_select < 2)
			value = dev->driver_features >> (32 * dev->driver_feature_select);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		value = dev->config_vector;
		break;
	case VIRTIO_PCI_COMMON_NUMQ:
		value = dev->nr_queues;
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		value = dev->status;
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		value = dev->queue_select;
		break;
	default:
		value = read_queue(dev, offset);
	}
	pthread_mutex_unlock(&dev->lock);
	return value;
}

static void set_low(uint64_t *reg, uint32_t value)
{
	*reg = (*reg & ~0xffffffffULL) | value;
}

static void set_high(uint64_t *reg, uint32_t value)
{
	*reg = (*reg & 0xffffffffULL) | (uint64_t)value << 32;
}

static uint16_t valid_vector(const struct virtio_dev *dev, uint32_t vector)
{
	return vector < dev->msix.nr ? vector : VIRTIO_MSI_NO_VECTOR;
}

static void write_queue(struct virtio_dev *dev, uint64_t offset, uint32_t value)
{
	struct virtq *q = selected_queue(dev);

	if (!q)
		return;
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
		dev->queue_vector[dev->queue_select] = valid_vector(dev, value);
		return;
	}
	if (q->enabled)
		return;			/* its rings stay where they are */
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		q->size = value;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if ((value & 0xffff) == 1 &&
		    virtq_enable(q, &dev->pci.vm->mem,
				 dev->driver_features & BIT(VIRTIO_RING_F_EVENT_IDX)))
			break_device(dev);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_low(&q->desc_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_high(&q->desc_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_low(&q->avail_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_high(&q->avail_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_low(&q->used_gpa, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_high(&q->used_gpa, value);
		break;
	}
}

static void write_driver_features(struct virtio_dev *dev, uint32_t value)
{
	/* They are settled once the device has agreed. */
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	if (dev->driver_feature_select == 0)
		set_low(&dev->driver_features, value);
	else if (dev->driver_feature_select == 1)
		set_high(&dev->driver_features, value);
}

void virtio_common_write(struct virtio_dev *dev, uint64_t offset, uint32_t value)
{
	pthread_mutex_lock(&dev->lock);
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		dev->device_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		dev->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		write_driver_features(dev, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		dev->config_vector = valid_vector(dev, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		write_status(dev, value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		dev->queue_select = value;
		break;
	default:
		write_queue(dev, offset, value);
	}
	pthread_mutex_unlock(&dev->lock);
}

static bool is_running(const struct virtio_dev *dev)
{
	return (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Called with the lock held. Returns whether a request was handled. */
static bool process_one(struct virtio_dev *dev, unsigned int i)
{
	struct virtq *q = &dev->queue[i];
	int64_t written;
	int ret = virtq_pop(q, &dev->chain);

	if (ret == 0)
		return false;
	written = ret < 0 ? ret : dev->ops->process(dev, i, &dev->chain);
	if (written < 0) {
		break_device(dev);
		return false;
	}
	virtq_push(q, dev->chain.head, written);
	return true;
}

static void process_queue(struct virtio_dev *dev, unsigned int i)
{
	struct virtq *q = &dev->queue[i];
	bool more;

	do {
		virtq_set_notify(q, false);
		while (!atomic_load(&dev->stopping) && is_running(dev) && process_one(dev, i))
			;
		if (q->enabled && virtq_needs_interrupt(q))
			msix_signal(&dev->msix, dev->queue_vector[i]);
		virtq_set_notify(q, true);
		/* A request may have come before notifications were on again. */
		more = !atomic_load(&dev->stopping) && is_running(dev) && process_one(dev, i);
	} while (more);
}

void virtio_process(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	for (unsigned int i = 0; i < dev->nr_queues && is_running(dev); i++)
		process_queue(dev, i);
	pthread_mutex_unlock(&dev->lock);
}
