// SPDX-License-Identifier: GPL-2.0-only
/* The ioctls of a VM and what they say to bad input. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

static void *pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

TEST(unknown_ioctls)
{
	struct vm *vm = vm_bare();
	uint64_t buf[512] = { 0 };

	CHECK_ERR(sys_ioctl_val(vm->fd, _IO(KVMIO, 0xff), 0), ENOTTY);
	CHECK_ERR(sys_ioctl_val(vm->fd, _IO('z', 0), 0), ENOTTY);
	CHECK_ERR(sys_ioctl_val(vm->fd, 0, 0), ENOTTY);
	CHECK_ERR(sys_ioctl_val(vm->fd, ~0U, 0), ENOTTY);
	/* Right number, wrong size. */
	CHECK_ERR(sys_ioctl(vm->fd, _IOW(KVMIO, 0x46, uint32_t), buf), ENOTTY);
	CHECK_ERR(sys_ioctl(vm->fd, _IOW(KVMIO, 0x41, uint64_t), buf), ENOTTY);
	CHECK_ERR(sys_ioctl(vm->fd, _IOW(KVMIO, 0x42, uint64_t), buf), ENOTTY);
	CHECK_ERR(sys_ioctl(vm->fd, _IOW(KVMIO, 0x79, uint64_t), buf), ENOTTY);
	/* Of other descriptors. */
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_RUN, 0), ENOTTY);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_REGS, buf), ENOTTY);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VM, 0), ENOTTY);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_GET_API_VERSION, 0), ENOTTY);
}

TEST(null_and_unmapped_pointers)
{
	static const unsigned long requests[] = {
		KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG, KVM_IRQFD,
		KVM_IOEVENTFD, KVM_SET_IDENTITY_MAP_ADDR, KVM_CREATE_PIT2,
		KVM_SET_GSI_ROUTING, KVM_IRQ_LINE, KVM_SIGNAL_MSI,
		KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, KVM_GET_PIT2, KVM_SET_PIT2,
		KVM_SET_CLOCK, KVM_GET_CLOCK,
	};
	struct vm *vm = vm_new(VM_PIT);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		if (!CHECK_ERR(sys_ioctl(vm->fd, requests[i], NULL), EFAULT) ||
		    !CHECK_ERR(sys_ioctl(vm->fd, requests[i], BAD_PTR), EFAULT))
			test_note("with request number %u of the list", i);
	}
}

TEST(check_extension)
{
	struct vm *vm = vm_bare();

	CHECK(sys_ioctl_val(vm->fd, KVM_CHECK_EXTENSION,
			    KVM_CAP_USER_MEMORY) > 0, "expected it on VMs too");
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_CHECK_EXTENSION, 0x7ffffff0), 0);
}

TEST(create_vcpu)
{
	struct vm *vm = vm_bare();
	long max_id = kvm_has(KVM_CAP_MAX_VCPU_ID);

	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0));
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0), EEXIST);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, max_id), EINVAL);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, -1), EINVAL);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0x80000000), EINVAL);
	/* Stock KVM looks at the low 32 bits only. */
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0x100000000),
		  kvm_is_stock() ? EEXIST : EINVAL);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 5));
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, max_id - 1));
}

TEST(create_vcpu_mmap)
{
	struct vm *vm = vm_bare();
	struct vcpu *vcpu = vcpu_bare(vm, 0);
	char *more;

	/* One page more than there is: mapped perhaps, but never readable. */
	more = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, vcpu->fd,
		    vcpu->run_size);
	if (more != MAP_FAILED) {
		int to[2];

		REQUIRE(!pipe(to), "pipe: %s", strerror(errno));
		CHECK(write(to[1], more, 1) == -1 && errno == EFAULT,
		      "page after the last: expected EFAULT, got %s",
		      strerrorname_np(errno));
	}
	CHECK(mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, vm->fd, 0) ==
	      MAP_FAILED, "a VM can be mapped");
}

TEST(memslot_alignment)
{
	struct vm *vm = vm_bare();
	char *mem = pages(4 * PAGE_SIZE);

	CHECK_ERR(vm_slot(vm, 0, 0, 0, PAGE_SIZE + 1, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, 1, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 1, PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0x800, PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, PAGE_SIZE, mem + 1), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, PAGE_SIZE, mem + 2048), EINVAL);
	CHECK_OK(vm_slot(vm, 0, 0, 0, PAGE_SIZE, mem));
}

TEST(memslot_wrap)
{
	struct vm *vm = vm_bare();
	char *mem = pages(4 * PAGE_SIZE);

	CHECK_ERR(vm_slot(vm, 0, 0, -PAGE_SIZE, 2 * PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, -PAGE_SIZE, PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, PAGE_SIZE, -PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, 1ULL << 62, mem), EINVAL);
	/* Kernel addresses, and a range that ends in them. */
	CHECK_ERR(vm_slot(vm, 0, 0, 0, PAGE_SIZE, (void *)-PAGE_SIZE), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, PAGE_SIZE,
			  (void *)0xffff888000000000), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, 1ULL << 40,
			  (void *)0x7ffffffff000), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, PAGE_SIZE,
			  (void *)0x1000000000000000), EINVAL);
}

TEST(memslot_overlap)
{
	struct vm *vm = vm_bare();
	char *mem = pages(16 * PAGE_SIZE);

	REQUIRE_OK(vm_slot(vm, 0, 0, 4 * PAGE_SIZE, 4 * PAGE_SIZE, mem));
	CHECK_ERR(vm_slot(vm, 1, 0, 4 * PAGE_SIZE, 4 * PAGE_SIZE, mem), EEXIST);
	CHECK_ERR(vm_slot(vm, 1, 0, 3 * PAGE_SIZE, 2 * PAGE_SIZE, mem), EEXIST);
	CHECK_ERR(vm_slot(vm, 1, 0, 7 * PAGE_SIZE, 2 * PAGE_SIZE, mem), EEXIST);
	CHECK_ERR(vm_slot(vm, 1, 0, 5 * PAGE_SIZE, PAGE_SIZE, mem), EEXIST);
	CHECK_ERR(vm_slot(vm, 1, 0, 0, 16 * PAGE_SIZE, mem), EEXIST);
	/* Neighbours are none. */
	CHECK_OK(vm_slot(vm, 1, 0, 0, 4 * PAGE_SIZE, mem));
	CHECK_OK(vm_slot(vm, 2, 0, 8 * PAGE_SIZE, 4 * PAGE_SIZE, mem));
	/* A slot may move, but not onto another. */
	CHECK_ERR(vm_slot(vm, 2, 0, 7 * PAGE_SIZE, 4 * PAGE_SIZE, mem), EEXIST);
	CHECK_OK(vm_slot(vm, 2, 0, 10 * PAGE_SIZE, 4 * PAGE_SIZE, mem));
	/* The failed calls have left the slots as they were. */
	CHECK_ERR(vm_slot(vm, 3, 0, 7 * PAGE_SIZE, PAGE_SIZE, mem), EEXIST);
	CHECK_OK(vm_slot(vm, 3, 0, 8 * PAGE_SIZE, 2 * PAGE_SIZE, mem));
}

TEST(memslot_ids)
{
	struct vm *vm = vm_bare();
	char *mem = pages(2 * PAGE_SIZE);
	long slots = kvm_has(KVM_CAP_NR_MEMSLOTS);

	REQUIRE(slots > 0 && slots < 0x10000, "KVM_CAP_NR_MEMSLOTS: %ld",
		slots);
	CHECK_OK(vm_slot(vm, slots - 1, 0, 0, PAGE_SIZE, mem));
	CHECK_ERR(vm_slot(vm, slots + 8, 0, PAGE_SIZE, PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0xffff, 0, PAGE_SIZE, PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, ~0U, 0, PAGE_SIZE, PAGE_SIZE, mem), EINVAL);
	if (kvm_has(KVM_CAP_MULTI_ADDRESS_SPACE) <= 1)
		CHECK_ERR(vm_slot(vm, 1 << 16, 0, PAGE_SIZE, PAGE_SIZE, mem),
			  EINVAL);
}

TEST(memslot_flags)
{
	struct vm *vm = vm_bare();
	char *mem = pages(2 * PAGE_SIZE);

	CHECK_ERR(vm_slot(vm, 0, 1 << 10, 0, PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, ~0U, 0, PAGE_SIZE, mem), EINVAL);
	CHECK_OK(vm_slot(vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, PAGE_SIZE, mem));
	CHECK_OK(vm_slot(vm, 0, 0, 0, PAGE_SIZE, mem));
	if (kvm_has(KVM_CAP_READONLY_MEM) > 0) {
		/* Write access cannot be taken from a slot that is in use. */
		CHECK_ERR(vm_slot(vm, 0, KVM_MEM_READONLY, 0, PAGE_SIZE, mem),
			  EINVAL);
		CHECK_OK(vm_slot(vm, 1, KVM_MEM_READONLY, PAGE_SIZE, PAGE_SIZE,
				 mem));
	}
}

TEST(memslot_change)
{
	struct vm *vm = vm_bare();
	char *mem = pages(4 * PAGE_SIZE);

	CHECK_ERR(vm_slot(vm, 0, 0, 0, 0, NULL), EINVAL);
	REQUIRE_OK(vm_slot(vm, 0, 0, 0, 2 * PAGE_SIZE, mem));
	CHECK_OK(vm_slot(vm, 0, 0, 0, 2 * PAGE_SIZE, mem));
	/* Neither size nor backing may change while the slot exists. */
	CHECK_ERR(vm_slot(vm, 0, 0, 0, PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, 3 * PAGE_SIZE, mem), EINVAL);
	CHECK_ERR(vm_slot(vm, 0, 0, 0, 2 * PAGE_SIZE, mem + PAGE_SIZE), EINVAL);
	CHECK_OK(vm_slot(vm, 0, 0, 0, 0, NULL));
	CHECK_ERR(vm_slot(vm, 0, 0, 0, 0, NULL), EINVAL);
	CHECK_OK(vm_slot(vm, 0, 0, 0, PAGE_SIZE, mem + PAGE_SIZE));
}

TEST(memslot_many)
{
	struct vm *vm = vm_bare();
	char *mem = pages(PAGE_SIZE);
	long slots = kvm_has(KVM_CAP_NR_MEMSLOTS);
	long i, n = slots < 500 ? slots : 500;

	/* Every other page, from both ends, then the gaps. */
	for (i = 0; i < n; i++)
		REQUIRE_OK(vm_slot(vm, i, 0, (i * 37 % n) * 2 * PAGE_SIZE,
				   PAGE_SIZE, mem));
	for (i = 0; i < n; i += 2)
		REQUIRE_OK(vm_slot(vm, i, 0, 0, 0, NULL));
	for (i = 0; i < n; i += 2)
		CHECK_OK(vm_slot(vm, i, 0, (i * 2 + 1) * PAGE_SIZE, PAGE_SIZE,
				 mem));
	for (i = 1; i < n; i += 2)
		CHECK_ERR(vm_slot(vm, 0, 0, (i * 37 % n) * 2 * PAGE_SIZE,
				  PAGE_SIZE, mem), EEXIST);
}

TEST(dirty_log_bad_input)
{
	struct vm *vm = vm_bare();
	char *mem = pages(2 * PAGE_SIZE);
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = &bitmap };

	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), ENOENT);
	REQUIRE_OK(vm_slot(vm, 0, 0, 0, PAGE_SIZE, mem));
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), ENOENT);
	REQUIRE_OK(vm_slot(vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, PAGE_SIZE, mem));
	CHECK_OK(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
	log.dirty_bitmap = BAD_PTR;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EFAULT);
	log.dirty_bitmap = &bitmap;
	log.slot = ~0U;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EINVAL);
	log.slot = 0x7fff;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EINVAL);
}

TEST(tss_and_identity_map)
{
	struct vm *vm = vm_bare();
	uint64_t addr = 0xfeffc000;

	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_SET_TSS_ADDR, 0xfffff000), EINVAL);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000));
	CHECK_OK(sys_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &addr));
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0));
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &addr), EINVAL);
}

TEST(nr_mmu_pages)
{
	struct vm *vm = vm_bare();

	CHECK_RET(kvm_has(KVM_CAP_MMU_SHADOW_CACHE_CONTROL), 1);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_SET_NR_MMU_PAGES, 63), EINVAL);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_SET_NR_MMU_PAGES, 64));
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_GET_NR_MMU_PAGES, 0), 64);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_SET_NR_MMU_PAGES, 0), EINVAL);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_SET_NR_MMU_PAGES, 1000));
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_GET_NR_MMU_PAGES, 0), 1000);
	/* More than fit in the int that is returned. */
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_SET_NR_MMU_PAGES, -1));
	CHECK(sys_ioctl_val(vm->fd, KVM_GET_NR_MMU_PAGES, 0) >= 1000, "a negative number");
}

TEST(irqchip_order)
{
	struct kvm_pit_config pit = { 0 };
	struct kvm_pit_config bad_pit = { .flags = ~0U };
	struct vm *vm = vm_bare();

	/* Stock KVM allows it before 6.14. */
	if (!kvm_is_stock())
		CHECK_ERR(sys_ioctl(vm->fd, KVM_CREATE_PIT2, &pit), ENOENT);
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0));
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0), EEXIST);
	if (!kvm_is_stock())
		CHECK_ERR(sys_ioctl(vm->fd, KVM_CREATE_PIT2, &bad_pit), EINVAL);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_CREATE_PIT2, &pit));
	CHECK_ERR(sys_ioctl(vm->fd, KVM_CREATE_PIT2, &pit), EEXIST);

	vm = vm_bare();
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0));
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0), EINVAL);
}

TEST(irqchip_missing)
{
	static struct kvm_irqchip chip;
	static struct kvm_pit_state2 pit;
	struct kvm_irq_level level = { .irq = 1, .level = 1 };
	struct kvm_irq_routing none = { 0 };
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x40 };
	struct kvm_irqfd irqfd = { .gsi = 1, .fd = eventfd(0, 0) };
	struct vm *vm = vm_bare();

	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQ_LINE, &level), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &chip), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_IRQCHIP, &chip), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_PIT2, &pit), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_PIT2, &pit), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi), EINVAL);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &none), EINVAL);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd), EINVAL);
}

TEST(irqchip_bad_input)
{
	static struct kvm_irqchip chip;
	struct kvm_irq_level level = { .irq = 1 << 20, .level = 1 };
	struct kvm_msi msi = { .flags = ~0U };
	struct vm *vm = vm_new(VM_IRQCHIP);

	chip.chip_id = 3;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &chip), EINVAL);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_IRQCHIP, &chip), EINVAL);
	chip.chip_id = ~0U;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &chip), EINVAL);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_IRQCHIP, &chip), EINVAL);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi), EINVAL);
	/* A line that leads nowhere is no error: QEMU would stop at one. */
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE, &level));
}

TEST(gsi_routing_bad_input)
{
	static struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[2];
	} table = { .head.nr = 1 };
	struct kvm_irq_routing_entry *entry = &table.entry[0];
	struct vm *vm = vm_new(VM_IRQCHIP);

	entry->type = KVM_IRQ_ROUTING_MSI;
	entry->gsi = 24;
	CHECK_OK(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table));
	table.head.flags = 1;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	table.head.flags = 0;
	entry->flags = ~0U;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	entry->flags = 0;
	entry->gsi = 0xffff;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	entry->gsi = ~0U;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	entry->gsi = 24;
	entry->type = 77;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	entry->type = KVM_IRQ_ROUTING_IRQCHIP;
	entry->u.irqchip.irqchip = 3;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	entry->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	entry->u.irqchip.pin = 24;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	entry->u.irqchip.irqchip = KVM_IRQCHIP_PIC_MASTER;
	entry->u.irqchip.pin = 8;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
	table.head.nr = 0x7fffffff;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table), EINVAL);
}

TEST(irqfd_bad_input)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct kvm_irqfd irqfd = { .gsi = 5 };
	int event = eventfd(0, 0), other = eventfd(0, 0);

	irqfd.fd = -1;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd), EBADF);
	irqfd.fd = vm->fd;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.fd = event;
	irqfd.flags = 1 << 5;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.flags = 0;
	irqfd.gsi = ~0U;
	/* Stock KVM takes a line that can never have a route. */
	if (!kvm_is_stock())
		CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd), EINVAL);
	irqfd.gsi = 5;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
	/* An eventfd can have one consumer; a line many. */
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd), EBUSY);
	irqfd.fd = other;
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
	irqfd.fd = event;
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irqfd));
}

TEST(ioeventfd_bad_input)
{
	struct kvm_ioeventfd io = { .addr = GPA_MMIO, .len = 4 };
	struct vm *vm = vm_new(0);

	io.fd = -1;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), EBADF);
	io.fd = vm->fd;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), EINVAL);
	io.fd = eventfd(0, 0);
	io.len = 3;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), EINVAL);
	io.len = 16;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), EINVAL);
	io.len = 4;
	io.flags = 1 << 20;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), EINVAL);
	io.flags = 0;
	io.addr = ~0ULL;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), EINVAL);
	io.addr = GPA_MMIO;
	/* Any length has no data to compare. */
	io.len = 0;
	io.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), EINVAL);
	io.len = 4;
	io.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), ENOENT);
	io.flags = 0;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io));
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), EEXIST);
	io.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
	CHECK_OK(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io));
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io), ENOENT);
}

TEST(clock_bad_input)
{
	struct kvm_clock_data data = { .flags = ~0U };
	struct vm *vm = vm_bare();

	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_CLOCK, &data), EINVAL);
}

TEST(enable_cap_bad_input)
{
	struct kvm_enable_cap cap = { .cap = 0x7ffffff0 };
	struct vm *vm = vm_bare();

	/* EINVAL from a VM that has the call, ENOTTY from one without it. */
	if (kvm_has(KVM_CAP_ENABLE_CAP_VM) > 0)
		CHECK_ERR(sys_ioctl(vm->fd, KVM_ENABLE_CAP, &cap), EINVAL);
	else
		CHECK_ERR(sys_ioctl(vm->fd, KVM_ENABLE_CAP, &cap), ENOTTY);
}

TEST(boot_cpu_id)
{
	struct vm *vm = vm_bare();
	struct vcpu *first, *second;
	struct kvm_sregs sregs;

	NEED_CAP(KVM_CAP_SET_BOOT_CPU_ID);
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0));
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_SET_BOOT_CPU_ID, 3));
	first = vcpu_bare(vm, 0);
	second = vcpu_bare(vm, 3);
	/* The BSP flag of the APIC base. */
	vcpu_get_sregs(first, &sregs);
	CHECK_EQ(sregs.apic_base & 0x100, 0);
	vcpu_get_sregs(second, &sregs);
	CHECK_EQ(sregs.apic_base & 0x100, 0x100);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_SET_BOOT_CPU_ID, 0), EBUSY);
}

TEST(create_pit)
{
	static struct kvm_pit_state2 pit;
	struct vm *vm = vm_bare();

	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0));
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_PIT2, &pit), ENXIO);
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_PIT, 0));
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_PIT, 0), EEXIST);
	CHECK_OK(sys_ioctl(vm->fd, KVM_GET_PIT2, &pit));
}

TEST(reinject_control)
{
	struct kvm_reinject_control control = { .pit_reinject = 1 };
	struct vm *vm = vm_bare();

	NEED_CAP(KVM_CAP_REINJECT_CONTROL);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_REINJECT_CONTROL, &control), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_REINJECT_CONTROL, BAD_PTR), EFAULT);
	vm = vm_new(VM_PIT);
	CHECK_OK(sys_ioctl(vm->fd, KVM_REINJECT_CONTROL, &control));
	control.pit_reinject = 0;
	CHECK_OK(sys_ioctl(vm->fd, KVM_REINJECT_CONTROL, &control));
}

TEST(irq_line_status)
{
	struct kvm_irq_level level = { .irq = 5, .level = 1 };
	struct vm *vm = vm_bare();

	NEED_CAP(KVM_CAP_IRQ_INJECT_STATUS);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQ_LINE_STATUS, &level), ENXIO);
	vm = vm_new(VM_IRQCHIP);
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE_STATUS, &level));
	/* No route: ignored, which is -1. */
	level.irq = 1 << 20;
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE_STATUS, &level));
	CHECK_EQ((int)level.status, -1);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_IRQ_LINE_STATUS, BAD_PTR), EFAULT);
}
