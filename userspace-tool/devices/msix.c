// SPDX-License-Identifier: GPL-2.0-only
#include "devices/msix.h"
#include "core/irq.h"
#include "core/util.h"
#include "core/vm.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Doublewords of a table entry (PCI Local Bus, MSI-X Table Structure). */
enum { ENTRY_ADDR_LOW, ENTRY_ADDR_HIGH, ENTRY_DATA, ENTRY_CONTROL };

struct msix_cap {
	uint8_t id;
	uint8_t next;
	uint16_t control;
	uint32_t table;
	uint32_t pba;
} __attribute__((packed));

static bool deliverable(const struct msix *msix, const struct msix_vector *v)
{
	return msix->enabled && !msix->all_masked &&
	       !(v->entry[ENTRY_CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static uint64_t message_address(const struct msix_vector *v)
{
	return v->entry[ENTRY_ADDR_LOW] | (uint64_t)v->entry[ENTRY_ADDR_HIGH] << 32;
}

/* The GSI is routed before the irqfd is attached to it. */
static int route(struct msix *msix, struct msix_vector *v)
{
	int ret = irq_route_msi(msix->vm, v->gsi, message_address(v), v->entry[ENTRY_DATA]);
	struct kvm_irqfd irqfd = { .gsi = v->gsi };

	if (ret || v->fd >= 0)
		return ret;
	v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->fd < 0)
		return -errno;
	irqfd.fd = v->fd;
	if (ioctl(msix->vm->vm_fd, KVM_IRQFD, &irqfd) < 0) {
		ret = -errno;
		close(v->fd);
		v->fd = -1;
	}
	return ret;
}

static void deliver(struct msix *msix, struct msix_vector *v)
{
	uint64_t one = 1;
	int ret;

	if (!msix->use_irqfd) {
		irq_send_msi(msix->vm, message_address(v), v->entry[ENTRY_DATA]);
		return;
	}
	if (!v->routed) {
		ret = route(msix, v);
		if (ret) {
			if (vm_stop(msix->vm, VM_HOST_ERROR))
				note("cannot route an interrupt message to GSI %d: %s",
				     v->gsi, strerror(-ret));
			return;
		}
		v->routed = true;
	}
	if (write(v->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		note("cannot signal GSI %d: %s", v->gsi, strerror(errno));
}

/* After a mask was lifted. */
static void deliver_pending(struct msix *msix)
{
	for (unsigned int i = 0; i < msix->nr; i++) {
		struct msix_vector *v = &msix->vector[i];

		if (v->pending && deliverable(msix, v)) {
			v->pending = false;
			deliver(msix, v);
		}
	}
}

void msix_signal(struct msix *msix, unsigned int vector)
{
	pthread_mutex_lock(&msix->lock);
	if (msix->enabled && vector < msix->nr) {
		struct msix_vector *v = &msix->vector[vector];

		if (deliverable(msix, v))
			deliver(msix, v);
		else
			v->pending = true;
	}
	pthread_mutex_unlock(&msix->lock);
}

void msix_config_written(struct msix *msix, const struct pci_dev *pci)
{
	uint16_t control = pci_get(pci, msix->cap + PCI_MSIX_FLAGS, 2);

	pthread_mutex_lock(&msix->lock);
	msix->enabled = control & PCI_MSIX_FLAGS_ENABLE;
	msix->all_masked = control & PCI_MSIX_FLAGS_MASKALL;
	deliver_pending(msix);
	pthread_mutex_unlock(&msix->lock);
}

uint64_t msix_table_read(struct msix *msix, uint64_t offset, unsigned int len)
{
	unsigned int i = offset / PCI_MSIX_ENTRY_SIZE, at = offset % PCI_MSIX_ENTRY_SIZE;
	uint64_t value = 0;

	pthread_mutex_lock(&msix->lock);
	if (i < msix->nr && len <= PCI_MSIX_ENTRY_SIZE - at)
		memcpy(&value, (uint8_t *)msix->vector[i].entry + at, len);
	pthread_mutex_unlock(&msix->lock);
	return value;
}

void msix_table_write(struct msix *msix, uint64_t offset, unsigned int len, uint64_t value)
{
	unsigned int i = offset / PCI_MSIX_ENTRY_SIZE, at = offset % PCI_MSIX_ENTRY_SIZE;

	/* The specification knows aligned accesses of 4 and 8 bytes only. */
	if ((len != 4 && len != 8) || at % len)
		return;
	pthread_mutex_lock(&msix->lock);
	if (i < msix->nr) {
		memcpy((uint8_t *)msix->vector[i].entry + at, &value, len);
		if (at < ENTRY_CONTROL * 4)
			msix->vector[i].routed = false;
		deliver_pending(msix);
	}
	pthread_mutex_unlock(&msix->lock);
}

uint64_t msix_pba_read(struct msix *msix, uint64_t offset)
{
	uint64_t bits = 0;

	pthread_mutex_lock(&msix->lock);
	for (unsigned int i = 0; i < msix->nr; i++)
		bits |= msix->vector[i].pending ? BIT(i) : 0;
	pthread_mutex_unlock(&msix->lock);
	return offset < 8 ? bits >> (8 * offset) : 0;
}

int msix_init(struct msix *msix, struct vm *vm, struct pci_dev *pci, unsigned int nr,
	      unsigned int bar, uint32_t table, uint32_t pba)
{
	struct msix_cap cap = {
		.id = PCI_CAP_ID_MSIX,
		.control = nr - 1,
		.table = table | bar,
		.pba = pba | bar,
	};

	memset(msix, 0, sizeof(*msix));
	pthread_mutex_init(&msix->lock, NULL);
	msix->vm = vm;
	msix->nr = nr;
	msix->use_irqfd = vm_cap(vm, KVM_CAP_IRQFD);
	msix->cap = pci_add_cap(pci, &cap, sizeof(cap));
	pci->writable[msix->cap + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	for (unsigned int i = 0; i < nr; i++) {
		struct msix_vector *v = &msix->vector[i];

		v->fd = -1;
		v->entry[ENTRY_CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		v->gsi = irq_alloc_msi(vm);
		if (v->gsi < 0)
			return v->gsi;
	}
	return 0;
}

void msix_destroy(struct msix *msix)
{
	for (unsigned int i = 0; i < msix->nr; i++) {
		if (msix->vector[i].fd >= 0)
			close(msix->vector[i].fd);
	}
	msix->nr = 0;
}
