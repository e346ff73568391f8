// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tool's virtio disk, by a driver that may do anything: configuration, rings with
 * loops and wild addresses, indirect tables, in any order.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/ports.h"
#include "core/util.h"
#include "devices/virtio-blk.h"
#include "input.h"
#include "tests/fake-vm.h"

#define MEM		(1 << 20)
#define DISK		(64 * 512)
#define DESC		0x1000
#define AVAIL		0x2000
#define USED		0x3000
#define TABLE		0x4000		/* indirect descriptors */
#define DATA		0x10000

static struct vm vm;
static struct pci_bus bus;
static struct virtio_blk blk;

static void *at(uint64_t gpa)
{
	return vm.mem.region[0].hva + gpa % (MEM - 16);
}

static void set_common(unsigned int offset, unsigned int len, uint32_t value)
{
	bus_write(&vm.mmio, PCI_MMIO_BASE + offset, len, value);
}

static void set_config(unsigned int offset, unsigned int len, uint32_t value)
{
	bus_write(&vm.pio, PORT_PCI_ADDRESS, 4, 0x80000000 | 1 << 11 | (offset & 0xfc));
	bus_write(&vm.pio, PORT_PCI_DATA + (offset & 3), len, value);
}

/* As a driver does it; the queue has 2 to the power of @order entries. */
static void start_driver(unsigned int order, uint8_t features)
{
	set_config(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	set_common(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	set_common(VIRTIO_PCI_COMMON_GF, 4, blk.dev.features & (uint32_t)features << 24);
	set_common(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	set_common(VIRTIO_PCI_COMMON_GF, 4, 1);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	set_common(VIRTIO_PCI_COMMON_Q_SIZE, 2, 1 << order % 10);
	set_common(VIRTIO_PCI_COMMON_Q_DESCLO, 4, DESC);
	set_common(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, AVAIL);
	set_common(VIRTIO_PCI_COMMON_Q_USEDLO, 4, USED);
	set_common(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

/* Mostly an address of data, of the rings, or at the end of memory. */
static uint64_t address(struct input *in)
{
	uint8_t kind = take(in, 1);

	switch (kind % 8) {
	case 0:
		return MEM - (kind >> 3);
	case 1:
		return take(in, 8);
	case 2:
		return (kind >> 3) * 0x800;
	case 3:
		return -(uint64_t)(kind >> 3);
	default:
		return DATA + (kind >> 3) * 512;
	}
}

static void put_descriptor(struct input *in, uint64_t table)
{
	struct vring_desc d;
	unsigned int i = take(in, 1);

	d.flags = take(in, 1);
	d.addr = address(in);
	d.len = d.flags & 0x80 ? take(in, 4) : take(in, 1) * (d.flags & 0x40 ? 16 : 1);
	d.next = take(in, 1);
	d.flags &= 7;
	memcpy(at(table + i * sizeof(d)), &d, sizeof(d));
}

static void offer(struct input *in)
{
	struct vring_avail *avail = at(AVAIL);
	uint8_t head = take(in, 1);

	avail->ring[avail->idx % 256] = head;
	avail->idx += 1 + (head >> 7) * take(in, 1);
}

static void put_header(struct input *in)
{
	struct virtio_blk_outhdr h = { .type = take(in, 1) % 16 };
	uint64_t gpa = DATA + (take(in, 1) & 31) * 512;

	h.sector = take(in, 1);
	if (h.sector == 0xff)
		h.sector = take(in, 8);
	memcpy(at(gpa), &h, sizeof(h));
}

static void act(struct input *in)
{
	unsigned int offset, len;
	uint64_t gpa;

	switch (take(in, 1) % 12) {
	case 0:
	case 1:
		put_descriptor(in, DESC);
		break;
	case 2:
		put_descriptor(in, TABLE);
		break;
	case 3:
		offer(in);
		break;
	case 4:
	case 5:
		/* What the device's thread does when it is woken. */
		virtio_process(&blk.dev);
		break;
	case 6:
		put_header(in);
		break;
	case 7:
		offset = take(in, 1) % 0x40;
		len = 1 << take(in, 1) % 3;
		set_common(offset, len, take(in, 4));
		break;
	case 8:
		offset = take(in, 1);
		len = 1 << take(in, 1) % 3;
		set_config(offset, offset % 4 + len > 4 ? 1 : len, take(in, 4));
		break;
	case 9:
		gpa = take(in, 2) * 4;
		*(uint32_t *)at(gpa) = take(in, 4);
		break;
	case 10:
		offset = take(in, 2) % VIRTIO_MEM_SIZE;
		len = 1 << take(in, 1) % 4;
		bus_write(&vm.mmio, PCI_MMIO_BASE + offset, len, take(in, 8));
		bus_read(&vm.mmio, PCI_MMIO_BASE + offset, len);
		break;
	default:
		start_driver(take(in, 1), take(in, 1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	struct input in = { data, data + size };
	int disk = memfd_create("disk", MFD_CLOEXEC);

	memset(&blk, 0, sizeof(blk));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk);
	REQUIRE(disk >= 0 && !ftruncate(disk, DISK));
	REQUIRE(!fake_vm_init(&vm, MEM) && !pci_bus_init(&bus, &vm));
	REQUIRE(!virtio_blk_init(&blk, &vm, &bus, path, take(&in, 1) & 1, 0));
	start_driver(take(&in, 1), take(&in, 1));
	while (left(&in))
		act(&in);
	virtio_process(&blk.dev);
	REQUIRE(lseek(disk, 0, SEEK_END) == DISK);

	virtio_blk_destroy(&blk);
	guest_mem_destroy(&vm.mem);
	close(vm.stop_fd);
	close(disk);
	return 0;
}
