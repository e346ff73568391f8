// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once: two vCPUs that exit all the time and interrupt each
 * other, while other threads use the same VM. What this is for shows on a
 * kernel that looks for data races; anywhere, nothing may get stuck.
 */
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "apic.h"
#include "vm.h"

#define V		0x40
#define GSI		5
#define SECONDS		2
#define LOG_SLOT	5
#define LOG_GPA		0x40000000ULL
#define LOG_PAGES	64
#define SPARE_SLOT	6
#define SPARE_GPA	0x50000000ULL

static volatile uint64_t stop;

/* The vCPU has taken an interrupt of each kind. */
static bool taken_all(const struct guest_cpu *cpu)
{
	return cpu->taken[V] && cpu->taken[V + 1] && cpu->taken[V + 3];
}

/* vCPU @arg of two. */
static void busy_guest(uint64_t arg)
{
	volatile uint64_t *page = (uint64_t *)LOG_GPA;
	uint32_t regs[4];
	unsigned int i;

	for (i = 0; i < 4; i++)
		guest_handlers[V + i] = guest_eoi;
	if (arg == 0) {
		/* The line of GSI is the PIC's, too. */
		outb(0x21, 0xff);
		ioapic_route(GSI, V + 2, 1);
	}
	apic_enable();
	apic_write(APIC_LVTT, V + 3);
	sti();
	for (i = 0; !stop || !taken_all(guest_cpu()); i++) {
		cpuid(0, 0, regs);
		/* Now and then they have to wait. */
		apic_write(APIC_TPR, i % 4 ? 0 : V + 0x10);
		apic_icr(!arg, V);
		if (i % 16 == 0)
			apic_write(APIC_TMICT, 1000);
		page[i % LOG_PAGES * 512]++;
		(void)apic_read(APIC_TMCCT);
		(void)rdmsr(MSR_APIC_BASE);
	}
	apic_write(APIC_TPR, 0);
	cli();
}

static bool over(const struct timespec *end)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end->tv_sec ||
	       (now.tv_sec == end->tv_sec && now.tv_nsec >= end->tv_nsec);
}

struct worker {
	struct vm *vm;
	struct vcpu **vcpu;
	struct timespec end;
	pthread_t thread;
};

/* A device model: messages, lines, and looks at the controllers. */
static void *interrupts(void *arg)
{
	struct worker *worker = arg;
	struct vm *vm = worker->vm;
	struct kvm_msi msi = { .data = V + 1 };
	struct kvm_irq_level line = { .irq = GSI };
	struct kvm_irqchip chip;
	int i;

	/* However busy the machine is: until the guests have had theirs. */
	for (i = 0; !over(&worker->end) || !taken_all(vcpu_cpu(worker->vcpu[0])) ||
	     !taken_all(vcpu_cpu(worker->vcpu[1])); i++) {
		msi.address_lo = APIC_BASE | (i & 1) << 12;
		CHECK(sys_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) >= 0, "MSI");
		line.level = i & 1;
		CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE, &line));
		chip.chip_id = i % 3;
		CHECK_OK(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &chip));
	}
	line.level = 0;
	CHECK_OK(sys_ioctl(vm->fd, KVM_IRQ_LINE, &line));
	return NULL;
}

/* A migration: slots come and go, the log is read, pages are taken away. */
static void *memory(void *arg)
{
	struct worker *worker = arg;
	struct vm *vm = worker->vm;
	uint64_t bitmap[LOG_PAGES / 64];
	struct kvm_dirty_log log = { .slot = LOG_SLOT, .dirty_bitmap = bitmap };
	uint8_t *mem = vm->mem + GPA_FREE;

	while (!over(&worker->end)) {
		REQUIRE_OK(vm_slot(vm, LOG_SLOT, KVM_MEM_LOG_DIRTY_PAGES,
				   LOG_GPA, LOG_PAGES * PAGE_SIZE, mem));
		REQUIRE_OK(vm_slot(vm, SPARE_SLOT, 0, SPARE_GPA, PAGE_SIZE, mem));
		CHECK_OK(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
		madvise(mem, LOG_PAGES * PAGE_SIZE, MADV_DONTNEED);
		REQUIRE_OK(vm_slot(vm, SPARE_SLOT, 0, 0, 0, NULL));
		REQUIRE_OK(vm_slot(vm, LOG_SLOT, 0, LOG_GPA,
				   LOG_PAGES * PAGE_SIZE, mem));
	}
	return NULL;
}

/* Somebody who watches. */
static void *statistics(void *arg)
{
	struct worker *worker = arg;
	int vm_fd = sys_ioctl(worker->vm->fd, KVM_GET_STATS_FD, NULL);
	int vcpu_fd = sys_ioctl(worker->vcpu[0]->fd, KVM_GET_STATS_FD, NULL);
	struct kvm_clock_data clock;
	char buf[8192];

	REQUIRE_OK(vm_fd);
	REQUIRE_OK(vcpu_fd);
	while (!over(&worker->end)) {
		CHECK(pread(vm_fd, buf, sizeof(buf), 0) > 0, "of the VM");
		CHECK(pread(vcpu_fd, buf, sizeof(buf), 0) > 0, "of a vCPU");
		CHECK_OK(sys_ioctl(worker->vm->fd, KVM_GET_CLOCK, &clock));
	}
	close(vm_fd);
	close(vcpu_fd);
	return NULL;
}

TEST(all_at_once)
{
	static void *(*const work[])(void *) = { interrupts, memory, statistics };
	struct vm *vm = vm_new(VM_IRQCHIP | VM_PIT);
	struct worker worker[ARRAY_SIZE(work)];
	struct vcpu *vcpu[2];
	struct timespec end;
	unsigned int i;

	REQUIRE_OK(vm_slot(vm, LOG_SLOT, 0, LOG_GPA, LOG_PAGES * PAGE_SIZE,
			   vm->mem + GPA_FREE));
	for (i = 0; i < 2; i++) {
		vcpu[i] = vcpu_new(vm, i, busy_guest);
		vcpu_arg(vcpu[i], i);
	}
	vcpu_runnable(vcpu[1]);
	vcpu_start(vcpu[0]);
	vcpu_start(vcpu[1]);

	clock_gettime(CLOCK_MONOTONIC, &end);
	/* Kernels that look for races see one in so many accesses. */
	end.tv_sec += SECONDS * test_slowness();
	for (i = 0; i < ARRAY_SIZE(work); i++) {
		worker[i].vm = vm;
		worker[i].vcpu = vcpu;
		worker[i].end = end;
		pthread_create(&worker[i].thread, NULL, work[i], &worker[i]);
	}
	for (i = 0; i < ARRAY_SIZE(work); i++)
		pthread_join(worker[i].thread, NULL);

	GUEST_VAR(vm, stop) = 1;
	for (i = 0; i < 2; i++)
		vcpu_join(vcpu[i]);
}
