// SPDX-License-Identifier: GPL-2.0-only
#include "devices/pci.h"
#include "core/ports.h"
#include "core/util.h"
#include "core/vm.h"

#include <string.h>

#define ADDRESS_ENABLE	BIT(31)

/* The ids that Red Hat has set apart for a generic host bridge. */
#define BRIDGE_VENDOR	0x1b36
#define BRIDGE_DEVICE	0x0008
#define BRIDGE_CLASS	0x060000

#define BAR_OFFSET(n)	(PCI_BASE_ADDRESS_0 + (n) * 4)

uint32_t pci_get(const struct pci_dev *pci, unsigned int offset, unsigned int len)
{
	uint32_t value = 0;

	memcpy(&value, pci->config + offset, len);
	return value;
}

void pci_put(struct pci_dev *pci, unsigned int offset, unsigned int len, uint32_t value)
{
	memcpy(pci->config + offset, &value, len);
}

static void unmap_bar(struct pci_dev *pci, unsigned int n)
{
	struct pci_bar *bar = &pci->bar[n];

	if (!bar->mapped)
		return;
	bar->mapped = false;
	if (pci->ops->bar_moved)
		pci->ops->bar_moved(pci, n, bar->base, false);
	bus_remove(bar->is_io ? &pci->vm->pio : &pci->vm->mmio, bar->base, pci);
}

static void map_bar(struct pci_dev *pci, unsigned int n, uint32_t base)
{
	struct pci_bar *bar = &pci->bar[n];

	/* On top of another device it does not answer: the guest's own doing. */
	if (bus_add(bar->is_io ? &pci->vm->pio : &pci->vm->mmio, base, bar->size, bar->ops, pci))
		return;
	bar->base = base;
	bar->mapped = true;
	if (pci->ops->bar_moved)
		pci->ops->bar_moved(pci, n, base, true);
}

static void update_bars(struct pci_dev *pci)
{
	uint16_t command = pci_get(pci, PCI_COMMAND, 2);

	for (unsigned int n = 0; n < ARRAY_SIZE(pci->bar); n++) {
		struct pci_bar *bar = &pci->bar[n];
		uint32_t base;
		bool want;

		if (!bar->size)
			continue;
		base = pci_get(pci, BAR_OFFSET(n), 4);
		base &= bar->is_io ? PCI_BASE_ADDRESS_IO_MASK : PCI_BASE_ADDRESS_MEM_MASK;
		want = command & (bar->is_io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
		if (bar->is_io && base > 0x10000 - bar->size)
			want = false;
		if (bar->mapped && (!want || base != bar->base))
			unmap_bar(pci, n);
		if (want && !bar->mapped)
			map_bar(pci, n, base);
	}
}

/* The device which port 0xcfc leads to, and the register's offset. */
static struct pci_dev *selected(struct pci_bus *bus, uint64_t port_offset, unsigned int *offset)
{
	uint32_t a = bus->address;
	bool bus_0 = (a >> 16 & 0xff) == 0, function_0 = (a >> 8 & 7) == 0;

	*offset = (a & 0xfc) + port_offset;
	if (!(a & ADDRESS_ENABLE) || !bus_0 || !function_0)
		return NULL;
	return bus->slot[a >> 11 & 0x1f];
}

static uint64_t data_read(void *dev, uint64_t port_offset, unsigned int len)
{
	struct pci_bus *bus = dev;
	uint32_t value = ~0U;
	unsigned int offset;
	struct pci_dev *pci;

	pthread_mutex_lock(&bus->lock);
	pci = selected(bus, port_offset, &offset);
	if (pci) {
		if (pci->ops->config_read)
			pci->ops->config_read(pci, offset, len);
		value = pci_get(pci, offset, len);
	}
	pthread_mutex_unlock(&bus->lock);
	return value;
}

static void data_write(void *dev, uint64_t port_offset, unsigned int len, uint64_t value)
{
	struct pci_bus *bus = dev;
	unsigned int offset;
	struct pci_dev *pci;

	pthread_mutex_lock(&bus->lock);
	pci = selected(bus, port_offset, &offset);
	if (pci) {
		for (unsigned int i = 0; i < len; i++) {
			uint8_t *reg = &pci->config[offset + i];
			uint8_t mask = pci->writable[offset + i];

			*reg = (*reg & ~mask) | ((value >> (8 * i)) & mask);
		}
		update_bars(pci);
		if (pci->ops->config_written)
			pci->ops->config_written(pci, offset, len);
	}
	pthread_mutex_unlock(&bus->lock);
}

static uint64_t address_read(void *dev, uint64_t offset, unsigned int len)
{
	struct pci_bus *bus = dev;
	uint32_t value;

	pthread_mutex_lock(&bus->lock);
	value = bus->address >> (8 * offset);
	pthread_mutex_unlock(&bus->lock);
	return value;
}

static void address_write(void *dev, uint64_t offset, unsigned int len, uint64_t value)
{
	struct pci_bus *bus = dev;

	/* Only whole doublewords reach the address register. */
	if (offset || len != 4)
		return;
	pthread_mutex_lock(&bus->lock);
	bus->address = value;
	pthread_mutex_unlock(&bus->lock);
}

static const struct bus_ops address_ops = { .read = address_read, .write = address_write };
static const struct bus_ops data_ops = { .read = data_read, .write = data_write };
static const struct pci_dev_ops bridge_ops;

void pci_dev_init(struct pci_dev *pci, struct vm *vm, uint16_t vendor, uint16_t device,
		  uint32_t class, const struct pci_dev_ops *ops)
{
	memset(pci, 0, sizeof(*pci));
	pci->vm = vm;
	pci->ops = ops;
	pci->next_cap = PCI_STD_HEADER_SIZEOF;
	pci_put(pci, PCI_VENDOR_ID, 2, vendor);
	pci_put(pci, PCI_DEVICE_ID, 2, device);
	pci_put(pci, PCI_CLASS_REVISION, 4, class << 8 | 1);
	pci->writable[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	pci->writable[PCI_COMMAND + 1] = PCI_COMMAND_INTX_DISABLE >> 8;
	pci->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	pci->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_set_bar(struct pci_dev *pci, unsigned int bar, uint32_t size, bool is_io,
		 const struct bus_ops *ops)
{
	uint32_t mask = ~(size - 1);

	pci->bar[bar] = (struct pci_bar){ .size = size, .is_io = is_io, .ops = ops };
	memcpy(pci->writable + BAR_OFFSET(bar), &mask, sizeof(mask));
	pci_put(pci, BAR_OFFSET(bar), 4, is_io ? PCI_BASE_ADDRESS_SPACE_IO : 0);
}

unsigned int pci_add_cap(struct pci_dev *pci, const void *data, unsigned int len)
{
	unsigned int at = pci->next_cap;

	memcpy(pci->config + at, data, len);
	pci->config[at + PCI_CAP_LIST_NEXT] = 0;
	if (pci->last_cap)
		pci->config[pci->last_cap + PCI_CAP_LIST_NEXT] = at;
	else
		pci->config[PCI_CAPABILITY_LIST] = at;
	pci_put(pci, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	pci->last_cap = at;
	pci->next_cap = ALIGN_UP(at + len, 4);
	return at;
}

int pci_add(struct pci_bus *bus, struct pci_dev *pci)
{
	if (bus->nr_devices == PCI_SLOTS)
		return -ENOSPC;
	for (unsigned int n = 0; n < ARRAY_SIZE(pci->bar); n++) {
		struct pci_bar *bar = &pci->bar[n];
		uint32_t *next = bar->is_io ? &bus->next_io : &bus->next_mmio;

		if (!bar->size)
			continue;
		*next = ALIGN_UP(*next, bar->size);
		pci_put(pci, BAR_OFFSET(n), 4, pci_get(pci, BAR_OFFSET(n), 4) | *next);
		*next += bar->size;
	}
	bus->slot[bus->nr_devices++] = pci;
	return 0;
}

int pci_bus_init(struct pci_bus *bus, struct vm *vm)
{
	int ret;

	memset(bus, 0, sizeof(*bus));
	bus->vm = vm;
	bus->next_io = PCI_PORT_BASE;
	bus->next_mmio = PCI_MMIO_BASE;
	pthread_mutex_init(&bus->lock, NULL);
	pci_dev_init(&bus->bridge, vm, BRIDGE_VENDOR, BRIDGE_DEVICE, BRIDGE_CLASS, &bridge_ops);
	ret = pci_add(bus, &bus->bridge);
	if (!ret)
		ret = bus_add(&vm->pio, PORT_PCI_ADDRESS, 4, &address_ops, bus);
	if (!ret)
		ret = bus_add(&vm->pio, PORT_PCI_DATA, 4, &data_ops, bus);
	return ret;
}
