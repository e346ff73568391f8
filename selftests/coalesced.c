// SPDX-License-Identifier: GPL-2.0-only
/* Writes that user space collects later: KVM_CAP_COALESCED_MMIO, KVM_CAP_COALESCED_PIO. */
#include <errno.h>
#include <string.h>

#include "vm.h"

#define PORT		0x2f0
#define ZONE		0x100U
#define RING_ENTRIES	KVM_COALESCED_MMIO_MAX
/* A ring with one free entry is full. */
#define ROOM		(RING_ENTRIES - 1)

static long zone_call(struct vm *vm, unsigned long call, uint64_t addr, uint32_t size, uint32_t pio)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size, .pio = pio };

	return sys_ioctl(vm->fd, call, &zone);
}

static long add(struct vm *vm, uint64_t addr, uint32_t size, uint32_t pio)
{
	return zone_call(vm, KVM_REGISTER_COALESCED_MMIO, addr, size, pio);
}

static long take_away(struct vm *vm, uint64_t addr, uint32_t size, uint32_t pio)
{
	return zone_call(vm, KVM_UNREGISTER_COALESCED_MMIO, addr, size, pio);
}

static volatile struct kvm_coalesced_mmio_ring *ring_of(struct vcpu *vcpu)
{
	return (void *)((char *)vcpu->run + KVM_COALESCED_MMIO_PAGE_OFFSET * PAGE_SIZE);
}

static void check_entry(struct vcpu *vcpu, uint32_t at, uint64_t addr, uint32_t len, uint32_t pio,
			uint64_t value)
{
	volatile struct kvm_coalesced_mmio *entry = &ring_of(vcpu)->coalesced_mmio[at];
	uint64_t data = 0;

	memcpy(&data, (const void *)entry->data, len);
	CHECK_EQ(entry->phys_addr, addr);
	CHECK_EQ(entry->len, len);
	CHECK_EQ(entry->pio, pio);
	CHECK_EQ(data, value);
}

static void need(void)
{
	if (kvm_has(KVM_CAP_COALESCED_MMIO) != KVM_COALESCED_MMIO_PAGE_OFFSET)
		test_skip("no KVM_CAP_COALESCED_MMIO");
	NEED_CAP(KVM_CAP_COALESCED_PIO);
}

static void write_guest(uint64_t arg)
{
	(void)arg;
	mmio_write32(GPA_MMIO, 0x11223344);
	asm volatile("movq %0, 0x20(%1)" : : "r"(0x1122334455667788), "r"(GPA_MMIO) : "memory");
	/* Not a plain MOV: the emulator's. */
	asm volatile("addb $1, %b0; movb %b0, 0x30(%1); stosb"
		     : : "a"(0x54), "r"(GPA_MMIO), "D"(GPA_MMIO + 0x40) : "memory");
	outb(PORT, 0x99);
	outw(PORT + 2, 0xabcd);
	guest_sync(1, 0);
	/* Across the end of the zone, a read, beside it. */
	asm volatile("movl %0, (%1)" : : "r"(7), "r"(GPA_MMIO + ZONE - 2) : "memory");
	(void)mmio_read32(GPA_MMIO);
	outb(PORT + ZONE, 1);
	(void)inb(PORT);
}

TEST(writes)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, write_guest);

	need();
	REQUIRE_OK(add(vm, GPA_MMIO, ZONE, 0));
	REQUIRE_OK(add(vm, PORT, ZONE, 1));
	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(ring_of(vcpu)->first, 0);
	CHECK_EQ(ring_of(vcpu)->last, 6);
	check_entry(vcpu, 0, GPA_MMIO, 4, 0, 0x11223344);
	check_entry(vcpu, 1, GPA_MMIO + 0x20, 8, 0, 0x1122334455667788);
	check_entry(vcpu, 2, GPA_MMIO + 0x30, 1, 0, 0x55);
	check_entry(vcpu, 3, GPA_MMIO + 0x40, 1, 0, 0x55);
	check_entry(vcpu, 4, PORT, 1, 1, 0x99);
	check_entry(vcpu, 5, PORT + 2, 2, 1, 0xabcd);

	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.phys_addr, GPA_MMIO + ZONE - 2);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK(!vcpu->run->mmio.is_write, "a read was coalesced");
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, PORT + ZONE);
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	EXPECT_DONE(vcpu);
	CHECK_EQ(ring_of(vcpu)->last, 6);
}

static void many_guest(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	for (i = 0;; i++)
		mmio_write32(GPA_MMIO, i);
}

/* A full ring: user space gets the write itself, and what it takes out makes room. */
TEST(full)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, many_guest);
	volatile struct kvm_coalesced_mmio_ring *ring = ring_of(vcpu);

	need();
	/* It takes the difference of the indices modulo the size after it has wrapped at 2^32. */
	if (kvm_is_stock())
		test_skip("stock KVM's ring is full earlier");
	REQUIRE_OK(add(vm, GPA_MMIO, 4, 0));
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(*(uint32_t *)vcpu->run->mmio.data, ROOM);
	CHECK_EQ(ring->last, ROOM);
	check_entry(vcpu, ROOM - 1, GPA_MMIO, 4, 0, ROOM - 1);
	/* Three go in, around the end. */
	ring->first = 3;
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(*(uint32_t *)vcpu->run->mmio.data, ROOM + 4);
	CHECK_EQ(ring->last, 2);
	check_entry(vcpu, RING_ENTRIES - 1, GPA_MMIO, 4, 0, ROOM + 1);
	check_entry(vcpu, 1, GPA_MMIO, 4, 0, ROOM + 3);
}

/* Whatever user space writes to the ring, the kernel stays in it. */
TEST(spoilt)
{
	static const uint32_t bad[] = {
		RING_ENTRIES, RING_ENTRIES + 1, 0x7fffffff, 0x80000000, 0xffffffff,
	};
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, many_guest);
	volatile struct kvm_coalesced_mmio_ring *ring = ring_of(vcpu);
	uint32_t i;

	need();
	REQUIRE_OK(add(vm, GPA_MMIO, 4, 0));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ring->last = bad[i];
		ring->first = i & 1 ? bad[i] : 0;
		EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
		CHECK_EQ(*(uint32_t *)vcpu->run->mmio.data, i);
		CHECK_EQ(ring->last, bad[i]);
	}
}

static void again_guest(uint64_t arg)
{
	(void)arg;
	for (;;) {
		mmio_write32(GPA_MMIO + 8, 1);
		outb(PORT, 2);
	}
}

TEST(zones)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, again_guest), *other = vcpu_bare(vm, 1);

	need();
	CHECK_ERR(sys_ioctl(vm->fd, KVM_REGISTER_COALESCED_MMIO, BAD_PTR), EFAULT);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_UNREGISTER_COALESCED_MMIO, BAD_PTR), EFAULT);
	CHECK_ERR(add(vm, GPA_MMIO, 4, 2), EINVAL);
	CHECK_ERR(take_away(vm, GPA_MMIO, 4, 2), EINVAL);
	if (!kvm_is_stock())
		CHECK_ERR(add(vm, GPA_MMIO, 0, 0), EINVAL);
	/* Not there: nobody complains. */
	CHECK_OK(take_away(vm, GPA_MMIO, 4, 0));

	REQUIRE_OK(add(vm, GPA_MMIO, 16, 0));
	REQUIRE_OK(add(vm, GPA_MMIO, 16, 0));
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(ring_of(vcpu)->last, 1);
	/* One ring for the VM. */
	CHECK_EQ(ring_of(other)->last, 1);
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(ring_of(vcpu)->last, 2);
	/* Neither a part of another kind nor one beyond the end means it. */
	REQUIRE_OK(take_away(vm, GPA_MMIO, 16, 1));
	REQUIRE_OK(take_away(vm, GPA_MMIO + 8, 16, 0));
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(ring_of(vcpu)->last, 3);
	REQUIRE_OK(take_away(vm, GPA_MMIO, 16, 0));
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	REQUIRE_OK(add(vm, PORT, 1, 1));
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(ring_of(vcpu)->last, 4);
	REQUIRE_OK(take_away(vm, PORT, 1, 1));
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
}
