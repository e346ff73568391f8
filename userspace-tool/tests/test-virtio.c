// SPDX-License-Identifier: GPL-2.0-only
/* A virtio disk: its requests, and the way to it through PCI. */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../selftests/lib/ktap.h"
#include "core/ports.h"
#include "core/util.h"
#include "devices/virtio-blk.h"
#include "fake-vm.h"

#define DISK_SECTORS	64
#define MEM		(1 << 20)

static struct vm vm;
static struct pci_bus bus;
static struct virtio_blk blk;
static int disk_fd;

static int disk_init(bool read_only, off_t size)
{
	char path[64];

	REQUIRE_OK(fake_vm_init(&vm, MEM));
	REQUIRE_OK(pci_bus_init(&bus, &vm));
	disk_fd = memfd_create("disk", 0);
	REQUIRE_OK(ftruncate(disk_fd, size));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk_fd);
	return virtio_blk_init(&blk, &vm, &bus, strdup(path), read_only, 0);
}

static void make_disk(bool read_only)
{
	REQUIRE_OK(disk_init(read_only, DISK_SECTORS * 512));
}

/* A request as it comes out of a queue: header, data, status. */
static struct {
	struct virtio_blk_outhdr header;
	uint8_t data[4096];
	uint8_t status;
	struct virtq_chain chain;
} r;

static int64_t request(uint32_t type, uint64_t sector, uint32_t len)
{
	bool out = type == VIRTIO_BLK_T_OUT;
	struct virtq_chain *c = &r.chain;

	r.header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	r.status = 0xee;
	memset(c, 0, sizeof(*c));
	c->iov[c->nr_out++] = (struct iovec){ &r.header, sizeof(r.header) };
	if (len && out)
		c->iov[c->nr_out++] = (struct iovec){ r.data, len };
	if (len && !out)
		c->iov[c->nr_out + c->nr_in++] = (struct iovec){ r.data, len };
	c->iov[c->nr_out + c->nr_in++] = (struct iovec){ &r.status, 1 };
	c->out_len = sizeof(r.header) + (out ? len : 0);
	c->in_len = 1 + (out ? 0 : len);
	return virtio_blk_process(&blk.dev, 0, c);
}

TEST(read_and_write)
{
	uint8_t sector[512];

	make_disk(false);
	memset(r.data, 0x42, sizeof(r.data));
	CHECK_EQ(request(VIRTIO_BLK_T_OUT, 3, 1024), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_OK);
	CHECK_EQ(pread(disk_fd, sector, 512, 4 * 512), 512);
	CHECK_EQ(sector[511], 0x42);
	CHECK_EQ(pread(disk_fd, sector, 512, 5 * 512), 512);
	CHECK_EQ(sector[0], 0);
	memset(r.data, 0, sizeof(r.data));
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 3, 1024), 1025);
	CHECK_EQ(r.status, VIRTIO_BLK_S_OK);
	CHECK_EQ(r.data[1023], 0x42);
	CHECK_EQ(request(VIRTIO_BLK_T_FLUSH, 0, 0), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_OK);
}

TEST(last_sector)
{
	make_disk(false);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, DISK_SECTORS - 1, 512), 513);
	CHECK_EQ(r.status, VIRTIO_BLK_S_OK);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, DISK_SECTORS - 1, 1024), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_IOERR);
}

TEST(out_of_range)
{
	static const uint64_t sectors[] = {
		DISK_SECTORS, DISK_SECTORS + 1, ~0ULL, ~0ULL >> 9, 1ULL << 55, (1ULL << 55) - 1,
	};

	make_disk(false);
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		CHECK_EQ(request(VIRTIO_BLK_T_IN, sectors[i], 512), 1);
		CHECK_EQ(r.status, VIRTIO_BLK_S_IOERR);
		CHECK_EQ(request(VIRTIO_BLK_T_OUT, sectors[i], 512), 1);
		CHECK_EQ(r.status, VIRTIO_BLK_S_IOERR);
	}
	CHECK_EQ(lseek(disk_fd, 0, SEEK_END), DISK_SECTORS * 512);
}

TEST(part_of_a_sector)
{
	make_disk(false);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, 100), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(VIRTIO_BLK_T_OUT, 0, 513), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_IOERR);
}

TEST(read_only_disk)
{
	make_disk(true);
	CHECK(blk.dev.features & BIT(VIRTIO_BLK_F_RO), "it does not say so");
	/* The disk itself refuses, not only the file. */
	dup2(disk_fd, blk.fd);
	CHECK_EQ(request(VIRTIO_BLK_T_OUT, 0, 512), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_IOERR);
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 0, 512), 513);
	CHECK_EQ(r.status, VIRTIO_BLK_S_OK);
}

TEST(other_requests)
{
	make_disk(false);
	CHECK_EQ(request(VIRTIO_BLK_T_GET_ID, 0, 20), 21);
	CHECK(!strcmp((char *)r.data, "vitro-0"), "got %s", r.data);
	CHECK_EQ(request(VIRTIO_BLK_T_GET_ID, 0, 3), 4);
	CHECK_EQ(request(VIRTIO_BLK_T_GET_ID, 0, 4096), 21);
	CHECK_EQ(request(VIRTIO_BLK_T_DISCARD, 0, 0), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_UNSUPP);
	CHECK_EQ(request(0xffffffff, 0, 512), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_UNSUPP);
}

TEST(malformed_requests)
{
	struct virtq_chain *c = &r.chain;

	make_disk(false);
	memset(c, 0, sizeof(*c));
	CHECK_EQ(virtio_blk_process(&blk.dev, 0, c), -EPROTO);	/* no buffers at all */
	c->nr_out = 1;
	c->out_len = sizeof(r.header);
	c->iov[0] = (struct iovec){ &r.header, sizeof(r.header) };
	CHECK_EQ(virtio_blk_process(&blk.dev, 0, c), -EPROTO);	/* no status */
	c->nr_in = 1;
	c->in_len = 1;
	c->out_len = 15;
	c->iov[0] = (struct iovec){ &r.header, 15 };
	c->iov[1] = (struct iovec){ &r.status, 1 };
	CHECK_EQ(virtio_blk_process(&blk.dev, 0, c), -EPROTO);	/* half a header */
}

TEST(header_in_pieces)
{
	struct virtq_chain *c = &r.chain;

	make_disk(false);
	memset(r.data, 0x17, sizeof(r.data));
	memset(c, 0, sizeof(*c));
	r.header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_OUT, .sector = 1 };
	c->iov[0] = (struct iovec){ &r.header, 3 };
	c->iov[1] = (struct iovec){ (char *)&r.header + 3, 13 };
	c->iov[2] = (struct iovec){ r.data, 100 };
	c->iov[3] = (struct iovec){ r.data + 100, 412 };
	c->iov[4] = (struct iovec){ &r.status, 1 };
	c->nr_out = 4;
	c->nr_in = 1;
	c->out_len = 16 + 512;
	c->in_len = 1;
	CHECK_EQ(virtio_blk_process(&blk.dev, 0, c), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_OK);
	CHECK_EQ(pread(disk_fd, r.data + 1024, 512, 512), 512);
	CHECK_EQ(r.data[1024 + 511], 0x17);
}

TEST(file_cut_short)
{
	make_disk(false);
	REQUIRE_OK(ftruncate(disk_fd, 512));
	CHECK_EQ(request(VIRTIO_BLK_T_IN, 8, 512), 1);
	CHECK_EQ(r.status, VIRTIO_BLK_S_IOERR);
}

TEST(bad_files)
{
	struct virtio_blk other = { .fd = -1 };

	REQUIRE(freopen("/dev/null", "w", stderr), "cannot silence messages");
	CHECK_ERR(disk_init(false, 0), EINVAL);
	memset(&blk, 0, sizeof(blk));
	CHECK_ERR(disk_init(false, 511), EINVAL);
	memset(&blk, 0, sizeof(blk));
	REQUIRE_OK(disk_init(false, 1023));
	CHECK_EQ(blk.config.capacity, 1);
	CHECK_ERR(virtio_blk_init(&other, &vm, &bus, blk.path, false, 1), EBUSY);
	virtio_blk_destroy(&other);
	CHECK_ERR(virtio_blk_init(&other, &vm, &bus, "/nonexistent", true, 1), ENOENT);
	CHECK_ERR(virtio_blk_init(&other, &vm, &bus, "/dev/null", true, 1), EINVAL);
	CHECK(virtio_blk_init(&other, &vm, &bus, "/", true, 1) < 0, "a directory");
}

/* Configuration space of the disk, which is in slot 1. */
static uint32_t config(unsigned int offset, unsigned int len)
{
	bus_write(&vm.pio, PORT_PCI_ADDRESS, 4, 0x80000000 | 1 << 11 | (offset & 0xfc));
	return bus_read(&vm.pio, PORT_PCI_DATA + (offset & 3), len);
}

static void set_config(unsigned int offset, unsigned int len, uint32_t value)
{
	bus_write(&vm.pio, PORT_PCI_ADDRESS, 4, 0x80000000 | 1 << 11 | (offset & 0xfc));
	bus_write(&vm.pio, PORT_PCI_DATA + (offset & 3), len, value);
}

/* The n-th capability of an id, and for virtio ones of a type. */
static unsigned int find_cap(uint8_t id, int type)
{
	unsigned int at = config(PCI_CAPABILITY_LIST, 1), steps = 0;

	while (at && steps++ < 48) {
		if ((config(at, 1) & 0xff) == id &&
		    (type < 0 || (config(at + 3, 1) & 0xff) == (uint32_t)type))
			return at;
		at = config(at + 1, 1) & 0xff;
	}
	test_fail(__FILE__, __LINE__, "expected capability %#x of type %d, found none", id, type);
	test_abort();
}

#define MMIO(offset) (PCI_MMIO_BASE + (offset))

static void set_common(unsigned int offset, unsigned int len, uint32_t value)
{
	bus_write(&vm.mmio, MMIO(offset), len, value);
}

static uint32_t common(unsigned int offset, unsigned int len)
{
	return bus_read(&vm.mmio, MMIO(offset), len) & (len == 4 ? ~0U : (1U << (8 * len)) - 1);
}

static void make_pci_disk(void)
{
	make_disk(false);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

TEST(pci_identity)
{
	make_disk(false);
	CHECK_EQ(config(PCI_VENDOR_ID, 4), 0x10421af4);
	CHECK_EQ(config(PCI_HEADER_TYPE, 1) & 0xff, 0);
	CHECK_EQ(config(PCI_INTERRUPT_PIN, 1) & 0xff, 0);
	bus_write(&vm.pio, PORT_PCI_ADDRESS, 4, 0x80000000);
	CHECK_EQ(bus_read(&vm.pio, PORT_PCI_DATA, 4), 0x00081b36);
	bus_write(&vm.pio, PORT_PCI_ADDRESS, 4, 0x80000000 | 5 << 11);	/* empty slot */
	CHECK_EQ((uint32_t)bus_read(&vm.pio, PORT_PCI_DATA, 4), 0xffffffff);
	bus_write(&vm.pio, PORT_PCI_ADDRESS, 4, 0x80000000 | 1 << 16);	/* other bus */
	CHECK_EQ((uint32_t)bus_read(&vm.pio, PORT_PCI_DATA, 4), 0xffffffff);
	bus_write(&vm.pio, PORT_PCI_ADDRESS, 4, 1 << 11);		/* not enabled */
	CHECK_EQ((uint32_t)bus_read(&vm.pio, PORT_PCI_DATA, 4), 0xffffffff);
}

TEST(pci_bars)
{
	make_disk(false);
	CHECK_EQ(bus_read(&vm.mmio, MMIO(0), 4), ~0ULL);	/* not enabled yet */
	set_config(PCI_BASE_ADDRESS_0, 4, ~0U);
	CHECK_EQ(config(PCI_BASE_ADDRESS_0, 4), ~(VIRTIO_MEM_SIZE - 1u));
	set_config(PCI_BASE_ADDRESS_2, 4, ~0U);
	CHECK_EQ(config(PCI_BASE_ADDRESS_2, 4), (~(VIRTIO_NOTIFY_SIZE - 1u) & ~3U) | 1);
	set_config(PCI_BASE_ADDRESS_1, 4, ~0U);
	CHECK_EQ(config(PCI_BASE_ADDRESS_1, 4), 0);
	set_config(PCI_BASE_ADDRESS_0, 4, 0xd8000000);
	set_config(PCI_BASE_ADDRESS_2, 4, PORT_COM1);		/* not on a boundary */
	set_config(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	CHECK_EQ(bus_read(&vm.mmio, 0xd8000000 + VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	set_config(PCI_BASE_ADDRESS_0, 4, 0xd9000000);		/* moves while it answers */
	CHECK_EQ(bus_read(&vm.mmio, 0xd8000000 + VIRTIO_PCI_COMMON_NUMQ, 2), ~0ULL);
	CHECK_EQ(bus_read(&vm.mmio, 0xd9000000 + VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	set_config(PCI_COMMAND, 2, 0);
	CHECK_EQ(bus_read(&vm.mmio, 0xd9000000 + VIRTIO_PCI_COMMON_NUMQ, 2), ~0ULL);
}

TEST(pci_bar_over_a_device)
{
	make_disk(false);
	/* The notification port over the configuration ports: they must survive. */
	set_config(PCI_BASE_ADDRESS_2, 4, PORT_PCI_ADDRESS & ~0x1f);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_IO);
	CHECK_EQ(config(PCI_VENDOR_ID, 4), 0x10421af4);
	set_config(PCI_BASE_ADDRESS_2, 4, 0xfffffff1);		/* beyond the ports */
	CHECK_EQ(config(PCI_VENDOR_ID, 4), 0x10421af4);
	CHECK_EQ(blk.dev.pci.bar[2].mapped, false);
}

TEST(virtio_capabilities)
{
	unsigned int cap;

	make_pci_disk();
	cap = find_cap(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_COMMON_CFG);
	CHECK_EQ(config(cap + 4, 1) & 0xff, VIRTIO_BAR_MEM);
	CHECK_EQ(config(cap + 8, 4), VIRTIO_MEM_COMMON);
	find_cap(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_ISR_CFG);
	cap = find_cap(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_DEVICE_CFG);
	CHECK_EQ(bus_read(&vm.mmio, MMIO(config(cap + 8, 4)), 8), DISK_SECTORS);
	cap = find_cap(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);
	CHECK_EQ(config(cap + 16, 4), 0);
	/* The window: one byte of the common configuration, the number of queues. */
	cap = find_cap(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);
	set_config(cap + 4, 1, VIRTIO_BAR_MEM);
	set_config(cap + 8, 4, VIRTIO_PCI_COMMON_NUMQ);
	set_config(cap + 12, 4, 2);
	CHECK_EQ(config(cap + 16, 2) & 0xffff, 1);
	set_config(cap + 8, 4, VIRTIO_MEM_SIZE);		/* past the end */
	config(cap + 16, 4);
	set_config(cap + 8, 4, 0xfffffffe);
	config(cap + 16, 4);
	set_config(cap + 4, 1, 0xff);
	config(cap + 16, 4);
	set_config(cap + 16, 4, 0);
}

TEST(features)
{
	make_pci_disk();
	set_common(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_DF, 4), 1);		/* VERSION_1 */
	set_common(VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_DF, 4), 0);
	/* Without VERSION_1, and with a feature that was not offered: no. */
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_STATUS, 1), 3);
	set_common(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	set_common(VIRTIO_PCI_COMMON_GF, 4, 3);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_STATUS, 1), 3);
	set_common(VIRTIO_PCI_COMMON_GF, 4, 1);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_STATUS, 1), 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	/* They are settled now, until a reset. */
	set_common(VIRTIO_PCI_COMMON_GF, 4, 0);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_GF, 4), 1);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_GF, 4), 0);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_STATUS, 1), 0);
}

static void start_driver(uint64_t desc)
{
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	set_common(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	set_common(VIRTIO_PCI_COMMON_GF, 4, 1);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	set_common(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	set_common(VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
	set_common(VIRTIO_PCI_COMMON_Q_DESCLO, 4, desc);
	set_common(VIRTIO_PCI_COMMON_Q_DESCHI, 4, desc >> 32);
	set_common(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0x2000);
	set_common(VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0x3000);
	set_common(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

TEST(bad_queue_asks_for_reset)
{
	make_pci_disk();
	start_driver(1ULL << 40);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	CHECK(common(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET, "it does not");
	set_common(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	CHECK_EQ(common(VIRTIO_PCI_COMMON_STATUS, 1), 0);
}

TEST(queue_select_out_of_range)
{
	make_pci_disk();
	for (unsigned int i = 1; i < 0x10000; i = i * 2 + 1) {
		set_common(VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		CHECK_EQ(common(VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		set_common(VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
		set_common(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		set_common(VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
	}
}

/* The driver's side of a whole request, through the device's thread. */
TEST(a_request_through_the_queue)
{
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint8_t *status;

	make_pci_disk();
	desc = guest_mem_at(&vm.mem, 0x1000, 1);
	avail = guest_mem_at(&vm.mem, 0x2000, 1);
	used = guest_mem_at(&vm.mem, 0x3000, 1);
	status = guest_mem_at(&vm.mem, 0x5000, 1);
	memcpy(guest_mem_at(&vm.mem, 0x4000, 16),
	       &(struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_GET_ID }, 16);
	desc[0] = (struct vring_desc){ 0x4000, 16, VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc){ 0x4800, 20, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 };
	desc[2] = (struct vring_desc){ 0x5000, 1, VRING_DESC_F_WRITE, 0 };
	*status = 0xee;
	start_driver(0x1000);
	__atomic_store_n(&avail->idx, 1, __ATOMIC_RELEASE);
	bus_write(&vm.pio, PCI_PORT_BASE, 2, 0);
	while (!__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE))
		usleep(1000);
	CHECK_EQ(*status, VIRTIO_BLK_S_OK);
	CHECK_EQ(used->ring[0].len, 21);
	CHECK(!strcmp(guest_mem_at(&vm.mem, 0x4800, 8), "vitro-0"), "another serial number");
	virtio_blk_destroy(&blk);
}

TEST(a_broken_request_through_the_queue)
{
	struct vring_desc *desc;
	struct vring_avail *avail;

	make_pci_disk();
	desc = guest_mem_at(&vm.mem, 0x1000, 1);
	avail = guest_mem_at(&vm.mem, 0x2000, 1);
	desc[0] = (struct vring_desc){ 0x4000, 16, VRING_DESC_F_NEXT, 0 };
	start_driver(0x1000);
	__atomic_store_n(&avail->idx, 1, __ATOMIC_RELEASE);
	bus_write(&vm.pio, PCI_PORT_BASE, 2, 0);
	while (!(common(VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET))
		usleep(1000);
	virtio_blk_destroy(&blk);
}

TEST(msix_masks)
{
	unsigned int cap;

	make_pci_disk();
	cap = find_cap(PCI_CAP_ID_MSIX, -1);
	CHECK_EQ(config(cap + PCI_MSIX_FLAGS, 2) & 0x7ff, 1);	/* two vectors */
	set_config(cap + PCI_MSIX_FLAGS, 2, 0xffff);
	CHECK_EQ(config(cap + PCI_MSIX_FLAGS, 2) & 0xffff, 0xc001);
	/* Masked ones become pending, and those that do not exist nothing. */
	msix_signal(&blk.dev.msix, 1);
	msix_signal(&blk.dev.msix, 2);
	msix_signal(&blk.dev.msix, 0xffff);
	CHECK_EQ(bus_read(&vm.mmio, MMIO(VIRTIO_MEM_MSIX_PBA), 8), 2);
	set_config(cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	CHECK_EQ(bus_read(&vm.mmio, MMIO(VIRTIO_MEM_MSIX_PBA), 8), 2);	/* its own mask holds */
	set_common(VIRTIO_MEM_MSIX_TABLE + 16, 4, 0xfee00000);
	set_common(VIRTIO_MEM_MSIX_TABLE + 24, 4, 0x41);
	CHECK_EQ(bus_read(&vm.mmio, MMIO(VIRTIO_MEM_MSIX_TABLE + 24), 4), 0x41);
	/* Odd accesses and entries that do not exist change nothing. */
	set_common(VIRTIO_MEM_MSIX_TABLE + 24, 1, 0xff);
	set_common(VIRTIO_MEM_MSIX_TABLE + 26, 4, 0xff);
	set_common(VIRTIO_MEM_MSIX_TABLE + 32, 4, 0xff);
	CHECK_EQ(bus_read(&vm.mmio, MMIO(VIRTIO_MEM_MSIX_TABLE + 24), 4), 0x41);
	CHECK_EQ(bus_read(&vm.mmio, MMIO(VIRTIO_MEM_MSIX_TABLE + 32), 4), 0);
}
