// SPDX-License-Identifier: GPL-2.0-only
/* A virtio device's PCI function: capabilities, BARs, notification, thread. */
#include "core/util.h"
#include "core/vm.h"
#include "devices/virtio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VIRTIO_VENDOR	0x1af4
#define VIRTIO_DEVICE	0x1040		/* plus the virtio device id */

static void kick(struct virtio_dev *dev)
{
	uint64_t one = 1;

	if (write(dev->kick_fd, &one, sizeof(one)) < 0)
		note("cannot wake a device's thread: %s", strerror(errno));
}

static uint64_t read_config(struct virtio_dev *dev, uint64_t offset, unsigned int len)
{
	uint64_t value = 0;

	if (offset < dev->config_size)
		memcpy(&value, (const char *)dev->config + offset,
		       min_u64(len, dev->config_size - offset));
	return value;
}

static uint64_t mem_read(void *arg, uint64_t offset, unsigned int len)
{
	struct virtio_dev *dev = arg;

	if (offset < VIRTIO_MEM_ISR)
		return virtio_common_read(dev, offset);
	if (offset < VIRTIO_MEM_DEVICE)
		return 0;		/* the ISR status is for INTx alone */
	if (offset < VIRTIO_MEM_MSIX_TABLE)
		return read_config(dev, offset - VIRTIO_MEM_DEVICE, len);
	if (offset < VIRTIO_MEM_MSIX_PBA)
		return msix_table_read(&dev->msix, offset - VIRTIO_MEM_MSIX_TABLE, len);
	return msix_pba_read(&dev->msix, offset - VIRTIO_MEM_MSIX_PBA);
}

static void mem_write(void *arg, uint64_t offset, unsigned int len, uint64_t value)
{
	struct virtio_dev *dev = arg;

	if (offset < VIRTIO_MEM_ISR)
		virtio_common_write(dev, offset, value);
	else if (offset >= VIRTIO_MEM_MSIX_TABLE && offset < VIRTIO_MEM_MSIX_PBA)
		msix_table_write(&dev->msix, offset - VIRTIO_MEM_MSIX_TABLE, len, value);
}

static uint64_t notify_read(void *arg, uint64_t offset, unsigned int len)
{
	return 0;
}

/* Reached only where there are no ioeventfds. */
static void notify_write(void *arg, uint64_t offset, unsigned int len, uint64_t value)
{
	if (offset == 0)
		kick(arg);
}

static const struct bus_ops mem_ops = { .read = mem_read, .write = mem_write };
static const struct bus_ops notify_ops = { .read = notify_read, .write = notify_write };

/* The notification port has an ioeventfd wherever the guest puts it. */
static void bar_moved(struct pci_dev *pci, unsigned int bar, uint64_t base, bool mapped)
{
	struct virtio_dev *dev = (struct virtio_dev *)pci;
	struct kvm_ioeventfd io = {
		.addr = base,
		.len = 2,
		.fd = dev->kick_fd,
		.flags = KVM_IOEVENTFD_FLAG_PIO | (mapped ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	if (bar != VIRTIO_BAR_NOTIFY || !dev->use_ioeventfd)
		return;
	if (ioctl(pci->vm->vm_fd, KVM_IOEVENTFD, &io) < 0 && mapped)
		note("no ioeventfd at port %#llx: %s; notifications will be slower",
		     (unsigned long long)base, strerror(errno));
}

/* What the guest's window into a BAR shows, if it is a valid one. */
static const struct bus_ops *window(struct virtio_dev *dev, uint32_t *offset, uint32_t *len)
{
	const struct pci_dev *pci = &dev->pci;
	unsigned int cap = dev->pci_cfg_cap;
	unsigned int bar = pci_get(pci, cap + offsetof(struct virtio_pci_cap, bar), 1);

	*offset = pci_get(pci, cap + offsetof(struct virtio_pci_cap, offset), 4);
	*len = pci_get(pci, cap + offsetof(struct virtio_pci_cap, length), 4);
	if (bar >= ARRAY_SIZE(pci->bar) || !pci->bar[bar].size)
		return NULL;
	if ((*len != 1 && *len != 2 && *len != 4) || *offset % *len ||
	    *offset > pci->bar[bar].size - *len)
		return NULL;
	return pci->bar[bar].ops;
}

static bool touches_window(const struct virtio_dev *dev, unsigned int offset, unsigned int len)
{
	unsigned int data = dev->pci_cfg_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);

	return offset < data + 4 && data < offset + len;
}

static void config_read(struct pci_dev *pci, unsigned int offset, unsigned int len)
{
	struct virtio_dev *dev = (struct virtio_dev *)pci;
	const struct bus_ops *ops;
	uint32_t at, size;

	if (!touches_window(dev, offset, len))
		return;
	ops = window(dev, &at, &size);
	if (ops)
		pci_put(pci, dev->pci_cfg_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data),
			size, ops->read(dev, at, size));
}

static void config_written(struct pci_dev *pci, unsigned int offset, unsigned int len)
{
	struct virtio_dev *dev = (struct virtio_dev *)pci;
	const struct bus_ops *ops;
	uint32_t at, size;

	msix_config_written(&dev->msix, pci);
	if (!touches_window(dev, offset, len))
		return;
	ops = window(dev, &at, &size);
	if (ops)
		ops->write(dev, at, size,
			   pci_get(pci, dev->pci_cfg_cap +
				   offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), size));
}

static const struct pci_dev_ops virtio_pci_ops = {
	.config_read = config_read,
	.config_written = config_written,
	.bar_moved = bar_moved,
};

static void add_structure(struct pci_dev *pci, unsigned int type, unsigned int bar,
			  uint32_t offset, uint32_t length)
{
	bool is_notify = type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	/* The notification capability has the multiplier, 0, at its end. */
	struct virtio_pci_notify_cap cap = {
		.cap = {
			.cap_vndr = PCI_CAP_ID_VNDR,
			.cap_len = is_notify ? sizeof(cap) : sizeof(cap.cap),
			.cfg_type = type,
			.bar = bar,
			.offset = offset,
			.length = length,
		},
	};

	pci_add_cap(pci, &cap, cap.cap.cap_len);
}

static void add_window(struct virtio_dev *dev)
{
	struct virtio_pci_cfg_cap cap = {
		.cap = {
			.cap_vndr = PCI_CAP_ID_VNDR,
			.cap_len = sizeof(cap),
			.cfg_type = VIRTIO_PCI_CAP_PCI_CFG,
		},
	};
	uint8_t *writable;

	dev->pci_cfg_cap = pci_add_cap(&dev->pci, &cap, sizeof(cap));
	writable = dev->pci.writable + dev->pci_cfg_cap;
	writable[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(writable + offsetof(struct virtio_pci_cap, offset), 0xff, 12);
}

static void *device_thread(void *arg)
{
	struct virtio_dev *dev = arg;
	uint64_t count;

	while (!atomic_load(&dev->stopping)) {
		if (read(dev->kick_fd, &count, sizeof(count)) < 0 && errno != EINTR)
			break;
		virtio_process(dev);
	}
	return NULL;
}

static int start_thread(struct virtio_dev *dev, const char *name)
{
	int ret;

	dev->kick_fd = eventfd(0, EFD_CLOEXEC);
	if (dev->kick_fd < 0)
		return -errno;
	ret = pthread_create(&dev->thread, NULL, device_thread, dev);
	if (ret)
		return -ret;
	dev->has_thread = true;
	pthread_setname_np(dev->thread, name);
	return 0;
}

int virtio_init(struct virtio_dev *dev, struct vm *vm, struct pci_bus *bus,
		unsigned int id, uint32_t class, const char *name)
{
	struct pci_dev *pci = &dev->pci;
	int ret;

	pthread_mutex_init(&dev->lock, NULL);
	dev->kick_fd = -1;
	dev->features |= BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			 BIT(VIRTIO_RING_F_EVENT_IDX);
	dev->use_ioeventfd = vm_cap(vm, KVM_CAP_IOEVENTFD);
	pci_dev_init(pci, vm, VIRTIO_VENDOR, VIRTIO_DEVICE + id, class, &virtio_pci_ops);
	pci_put(pci, PCI_SUBSYSTEM_VENDOR_ID, 2, VIRTIO_VENDOR);
	pci_put(pci, PCI_SUBSYSTEM_ID, 2, VIRTIO_DEVICE + id);
	pci_set_bar(pci, VIRTIO_BAR_MEM, VIRTIO_MEM_SIZE, false, &mem_ops);
	pci_set_bar(pci, VIRTIO_BAR_NOTIFY, VIRTIO_NOTIFY_SIZE, true, &notify_ops);
	add_structure(pci, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_BAR_MEM, VIRTIO_MEM_COMMON,
		      sizeof(struct virtio_pci_common_cfg));
	add_structure(pci, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_BAR_MEM, VIRTIO_MEM_ISR, 1);
	if (dev->config_size)
		add_structure(pci, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_BAR_MEM, VIRTIO_MEM_DEVICE,
			      dev->config_size);
	add_structure(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_BAR_NOTIFY, 0, VIRTIO_NOTIFY_SIZE);
	add_window(dev);
	/* One vector for changes of the configuration, one for each queue. */
	ret = msix_init(&dev->msix, vm, pci, dev->nr_queues + 1, VIRTIO_BAR_MEM,
			VIRTIO_MEM_MSIX_TABLE, VIRTIO_MEM_MSIX_PBA);
	virtio_common_write(dev, VIRTIO_PCI_COMMON_STATUS, 0);
	if (!ret)
		ret = start_thread(dev, name);
	if (!ret)
		ret = pci_add(bus, pci);
	if (ret)
		return fail(-ret, "cannot create the %s device: %s", name, strerror(-ret));
	return 0;
}

void virtio_destroy(struct virtio_dev *dev)
{
	if (dev->has_thread) {
		atomic_store(&dev->stopping, true);
		kick(dev);
		pthread_join(dev->thread, NULL);
		dev->has_thread = false;
	}
	msix_destroy(&dev->msix);
	if (dev->kick_fd > 0)
		close(dev->kick_fd);
	dev->kick_fd = -1;
}
