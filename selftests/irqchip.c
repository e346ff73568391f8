// SPDX-License-Identifier: GPL-2.0-only
/* PIC, IOAPIC, PIT, MSI, routing, irqfd and ioeventfd. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apic.h"
#include "vm.h"

#define V	0x40
#define PIC1	0x20
#define PIC2	0xa0

static long line(struct vm *vm, uint32_t gsi, uint32_t level)
{
	struct kvm_irq_level irq = { .irq = gsi, .level = level };

	return sys_ioctl(vm->fd, KVM_IRQ_LINE, &irq);
}

static void pic_setup(uint8_t base)
{
	outb(PIC1, 0x11);
	outb(PIC1 + 1, base);
	outb(PIC1 + 1, 4);
	outb(PIC1 + 1, 1);
	outb(PIC2, 0x11);
	outb(PIC2 + 1, base + 8);
	outb(PIC2 + 1, 2);
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0);
	outb(PIC2 + 1, 0);
	/* Through the local APIC, as firmware leaves it. */
	apic_enable();
	apic_write(APIC_LVT0, APIC_DELIVERY_EXTINT);
}

/* For those who use the IOAPIC: the same lines lead to the PIC as well. */
static void pic_mask(void)
{
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
}

static void pic_eoi(struct guest_regs *regs)
{
	if (regs->vector >= V + 8)
		outb(PIC2, 0x20);
	outb(PIC1, 0x20);
}

static void pic_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V + 5] = pic_eoi;
	guest_handlers[V + 12] = pic_eoi;
	guest_handlers[V + 3] = pic_eoi;
	pic_setup(V);
	G_CHECK_EQ(inb(PIC1 + 1), 0);
	guest_sync(1, 0);
	guest_wait(V + 5, 1);
	G_CHECK_EQ(guest_cpu()->taken[V + 5], 1);
	guest_sync(2, 0);
	/* Of the slave, while halted. */
	guest_wait_hlt(V + 12, 1);
	/* Masked: it waits in IRR. */
	outb(PIC1 + 1, 1 << 3);
	guest_sync(3, 0);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V + 3], 0);
	outb(PIC1, 0x0a);			/* read IRR */
	G_CHECK_EQ(inb(PIC1) & 1 << 3, 1 << 3);
	outb(PIC1 + 1, 0);
	guest_wait(V + 3, 1);
	outb(PIC1, 0x0b);			/* read ISR */
	G_CHECK_EQ(inb(PIC1), 0);
}

TEST(pic)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, pic_guest);

	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(line(vm, 5, 1));
	REQUIRE_OK(line(vm, 5, 0));
	EXPECT_SYNC(vcpu, 2);
	REQUIRE_OK(line(vm, 12, 1));
	EXPECT_SYNC(vcpu, 3);
	REQUIRE_OK(line(vm, 12, 0));
	REQUIRE_OK(line(vm, 3, 1));
	EXPECT_DONE(vcpu);
	REQUIRE_OK(line(vm, 3, 0));
}

static void ioapic_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V] = guest_eoi;
	guest_handlers[V + 1] = guest_ignore;
	pic_mask();
	apic_enable();
	G_CHECK_EQ(ioapic_read(1) & 0xff, 0x11);
	G_CHECK_EQ(ioapic_read(1) >> 16, 23);
	ioapic_route(10, V, 0);
	G_CHECK_EQ(ioapic_read(0x10 + 20), V);
	ioapic_route(11, (V + 1) | IOAPIC_LEVEL, 0);
	guest_sync(1, 0);
	guest_wait_hlt(V, 1);
	guest_sync(2, 0);
	/* An edge is one interrupt, however long the line stays up. */
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V], 1);
	guest_sync(3, 0);
	guest_wait(V, 2);
	/* Level: remote IRR until EOI, then again while the line is up. */
	guest_sync(4, 0);
	guest_wait(V + 1, 1);
	G_CHECK_EQ(ioapic_read(0x10 + 22) & IOAPIC_REMOTE_IRR,
		   IOAPIC_REMOTE_IRR);
	G_CHECK(apic_bit(APIC_TMR, V + 1));
	apic_eoi();
	guest_wait(V + 1, 2);
	guest_sync(5, 0);
	apic_eoi();
	G_CHECK_EQ(ioapic_read(0x10 + 22) & IOAPIC_REMOTE_IRR, 0);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V + 1], 2);
	/* Masked, nothing; unmasked while a level is up, an interrupt. */
	ioapic_route(11, (V + 1) | IOAPIC_LEVEL | IOAPIC_MASKED, 0);
	guest_sync(6, 0);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V + 1], 2);
	ioapic_route(11, (V + 1) | IOAPIC_LEVEL, 0);
	guest_wait(V + 1, 3);
	guest_sync(7, 0);
	apic_eoi();
}

TEST(ioapic)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, ioapic_guest);

	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(line(vm, 10, 1));
	EXPECT_SYNC(vcpu, 2);
	REQUIRE_OK(line(vm, 10, 1));
	EXPECT_SYNC(vcpu, 3);
	REQUIRE_OK(line(vm, 10, 0));
	REQUIRE_OK(line(vm, 10, 1));
	EXPECT_SYNC(vcpu, 4);
	REQUIRE_OK(line(vm, 11, 1));
	EXPECT_SYNC(vcpu, 5);
	REQUIRE_OK(line(vm, 11, 0));
	EXPECT_SYNC(vcpu, 6);
	REQUIRE_OK(line(vm, 11, 1));
	EXPECT_SYNC(vcpu, 7);
	REQUIRE_OK(line(vm, 11, 0));
	EXPECT_DONE(vcpu);
}

static long msi(struct vm *vm, uint32_t dest, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = 0xfee00000 | dest << 12, .data = data,
	};

	return sys_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

static void msi_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V] = guest_eoi;
	guest_sync(1, 0);
	apic_enable();
	guest_sync(2, 0);
	guest_wait(V, 1);
	guest_sync(3, 0);
	guest_wait(V, 2);
	guest_sync(4, 0);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V], 2);
}

TEST(signal_msi)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, msi_guest);
	struct kvm_msi offset = { .data = V };

	EXPECT_SYNC(vcpu, 1);
	/* The number of vCPUs that took it: none while the APIC is off. */
	CHECK(msi(vm, 0, V) <= 0, "delivered to a disabled APIC");
	EXPECT_SYNC(vcpu, 2);
	CHECK_RET(msi(vm, 0, V), 1);
	EXPECT_SYNC(vcpu, 3);
	/* As QEMU does for devices of its own: the offset from 0xfee00000. */
	CHECK_RET(sys_ioctl(vm->fd, KVM_SIGNAL_MSI, &offset), 1);
	EXPECT_SYNC(vcpu, 4);
	/* To an APIC that does not exist. */
	CHECK(msi(vm, 77, V) <= 0, "delivered to nobody");
	EXPECT_DONE(vcpu);
}

static struct {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[4];
} table;

static void route_msi(struct vm *vm, uint32_t gsi, uint32_t data)
{
	memset(&table, 0, sizeof(table));
	table.head.nr = 1;
	table.entry[0].gsi = gsi;
	table.entry[0].type = KVM_IRQ_ROUTING_MSI;
	table.entry[0].u.msi.address_lo = 0xfee00000;
	table.entry[0].u.msi.data = data;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table));
}

static void route_guest(uint64_t arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 4; i++)
		guest_handlers[V + i] = guest_eoi;
	apic_enable();
	guest_sync(1, 0);
	guest_wait(V, 1);
	guest_sync(2, 0);
	guest_wait(V + 1, 1);
	guest_sync(3, 0);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V], 1);
	G_CHECK_EQ(guest_cpu()->taken[V + 1], 1);
}

TEST(gsi_routing)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, route_guest);

	EXPECT_SYNC(vcpu, 1);
	route_msi(vm, 40, V);
	REQUIRE_OK(line(vm, 40, 1));
	EXPECT_SYNC(vcpu, 2);
	/* The new table replaces all of the old. */
	route_msi(vm, 41, V + 1);
	REQUIRE_OK(line(vm, 40, 0));
	REQUIRE_OK(line(vm, 40, 1));
	REQUIRE_OK(line(vm, 41, 1));
	EXPECT_SYNC(vcpu, 3);
	table.head.nr = 0;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table));
	REQUIRE_OK(line(vm, 41, 0));
	REQUIRE_OK(line(vm, 41, 1));
	EXPECT_DONE(vcpu);
}

TEST(irqfd)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, route_guest);
	struct kvm_irqfd irqfd = { .fd = eventfd(0, 0), .gsi = 30 };
	uint64_t one = 1;

	EXPECT_SYNC(vcpu, 1);
	route_msi(vm, 30, V);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
	CHECK(write(irqfd.fd, &one, 8) == 8, "write");
	EXPECT_SYNC(vcpu, 2);
	/* An existing irqfd follows a change of the routes. */
	route_msi(vm, 30, V + 1);
	CHECK(write(irqfd.fd, &one, 8) == 8, "write");
	EXPECT_SYNC(vcpu, 3);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
	CHECK(write(irqfd.fd, &one, 8) == 8, "write");
	EXPECT_DONE(vcpu);
}

/* An eventfd that was written before is seen when it is assigned. */
TEST(irqfd_pending)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, route_guest);
	struct kvm_irqfd irqfd = { .fd = eventfd(1, 0), .gsi = 30 };

	EXPECT_SYNC(vcpu, 1);
	route_msi(vm, 30, V);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
	EXPECT_SYNC(vcpu, 2);
}

static void resample_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V] = guest_eoi;
	pic_mask();
	apic_enable();
	ioapic_route(10, V | IOAPIC_LEVEL, 0);
	guest_sync(1, 0);
	guest_wait(V, 1);
	guest_sync(2, 0);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[V], 1);
}

/* A level-triggered irqfd: the line falls at EOI, and the caller is told. */
TEST(irqfd_resample)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, resample_guest);
	struct kvm_irqfd irqfd = {
		.fd = eventfd(0, 0), .gsi = 10,
		.flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = eventfd(0, EFD_NONBLOCK),
	};
	uint64_t one = 1, got = 0;

	NEED_CAP(KVM_CAP_IRQFD_RESAMPLE);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
	EXPECT_SYNC(vcpu, 1);
	CHECK(read(irqfd.resamplefd, &got, 8) == -1, "EOI before the interrupt");
	CHECK(write(irqfd.fd, &one, 8) == 8, "write");
	EXPECT_SYNC(vcpu, 2);
	CHECK(read(irqfd.resamplefd, &got, 8) == 8, "no EOI was reported");
	EXPECT_DONE(vcpu);
}

#define PORT	0x510

static void ioeventfd_guest(uint64_t arg)
{
	uint64_t eight = 0x1122334455667788;

	(void)arg;
	/* The first two are taken; each of the others reaches user space. */
	outw(PORT, 0x1234);
	mmio_write32(GPA_MMIO, 7);
	guest_sync(1, 0);
	outw(PORT, 0x1235);
	outb(PORT, 0x34);
	mmio_write32(GPA_MMIO + 4, 7);
	/* Any length. */
	mmio_write32(GPA_MMIO + 0x100, 1);
	asm volatile("movb $1, (%0); movq %1, (%0)"
		     : : "r"(GPA_MMIO + 0x100), "r"(eight) : "memory");
	guest_sync(2, 0);
	asm volatile("movq %1, (%0)" : : "r"(GPA_MMIO + 0x200), "r"(eight)
		     : "memory");
	guest_sync(3, 0);
	mmio_write32(GPA_MMIO, 7);
}

static int ioeventfd(struct vm *vm, uint64_t addr, uint32_t len,
		     uint32_t flags, uint64_t match)
{
	struct kvm_ioeventfd io = {
		.addr = addr, .len = len, .flags = flags, .datamatch = match,
		.fd = eventfd(0, EFD_NONBLOCK),
	};

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io));
	return io.fd;
}

static uint64_t count(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, 8) == 8 ? n : 0;
}

TEST(ioeventfd)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, ioeventfd_guest);
	int pio, mmio, any, wide;
	struct kvm_ioeventfd gone = {
		.addr = GPA_MMIO, .len = 4, .flags = KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	pio = ioeventfd(vm, PORT, 2, KVM_IOEVENTFD_FLAG_PIO |
			KVM_IOEVENTFD_FLAG_DATAMATCH, 0x1234);
	mmio = ioeventfd(vm, GPA_MMIO, 4, 0, 0);
	any = ioeventfd(vm, GPA_MMIO + 0x100, 0, 0, 0);
	wide = ioeventfd(vm, GPA_MMIO + 0x200, 8, KVM_IOEVENTFD_FLAG_DATAMATCH,
			 0x1122334455667788);
	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(count(pio), 1);
	CHECK_EQ(count(mmio), 1);
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.size, 2);
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.size, 1);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.phys_addr, GPA_MMIO + 4);
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(count(any), 3);
	EXPECT_SYNC(vcpu, 3);
	CHECK_EQ(count(wide), 1);
	CHECK_EQ(count(pio), 0);
	gone.fd = mmio;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IOEVENTFD, &gone));
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	EXPECT_DONE(vcpu);
	CHECK_EQ(count(mmio), 0);
}

/* The count of channel 0, latched. */
static uint32_t pit_count(void)
{
	uint32_t count;

	outb(0x43, 0);
	count = inb(0x40);
	return count | inb(0x40) << 8;
}

static void pit_guest(uint64_t arg)
{
	uint32_t first, i, down = 0;

	(void)arg;
	guest_handlers[V] = pic_eoi;
	pic_setup(V);
	/* Channel 0, mode 2: 1193182 Hz / 2386 = 500 Hz. */
	outb(0x43, 0x34);
	outb(0x40, 2386 & 0xff);
	outb(0x40, 2386 >> 8);
	guest_wait_hlt(V, 5);
	for (i = 0; i < 20; i++)
		G_CHECK(pit_count() <= 2386);
	/* The count falls. It begins anew each 55 ms, so seldom between two looks. */
	outb(0x43, 0x34);
	outb(0x40, 0);
	outb(0x40, 0);
	for (i = 0; i < 20; i++) {
		first = pit_count();
		down += pit_count() < first;
	}
	G_CHECK(down > 10);
	outb(PIC1 + 1, 1);
	/* Channel 2 through port 0x61, mode 0: the output rises at the end. */
	outb(0x61, (inb(0x61) & ~2) | 1);
	/* 25 ms, of which a busy machine may see nothing at first. */
	do {
		outb(0x43, 0xb0);
		outb(0x42, 30000 & 0xff);
		outb(0x42, 30000 >> 8);
	} while (inb(0x61) & 0x20);
	while (!(inb(0x61) & 0x20))
		cpu_relax();
}

TEST(pit)
{
	EXPECT_DONE(vcpu_new(vm_new(VM_PIT), 0, pit_guest));
}

static void pit_ioapic_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[V] = guest_eoi;
	pic_mask();
	apic_enable();
	ioapic_route(2, V, 0);
	outb(0x43, 0x34);
	outb(0x40, 2386 & 0xff);
	outb(0x40, 2386 >> 8);
	guest_wait_hlt(V, 5);
	outb(0x43, 0x30);
}

/* GSI 0 on pin 2, as on a PC. */
TEST(pit_through_ioapic)
{
	struct vm *vm = vm_new(VM_PIT);

	memset(&table, 0, sizeof(table));
	table.head.nr = 1;
	table.entry[0].type = KVM_IRQ_ROUTING_IRQCHIP;
	table.entry[0].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	table.entry[0].u.irqchip.pin = 2;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table));
	EXPECT_DONE(vcpu_new(vm, 0, pit_ioapic_guest));
}
