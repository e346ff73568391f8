// SPDX-License-Identifier: GPL-2.0-only
/* VMs for guests, and what happens to them from outside. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "tcg.h"

#define MAX_CPUID 96

struct cpuid {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[MAX_CPUID];
};

long call(int fd, unsigned long request, const void *argument)
{
	long ret = ioctl(fd, request, argument);

	return ret < 0 ? -errno : ret;
}

long set_slot(struct machine *m, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
	      void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return call(m->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void set_cpuid(struct machine *m, struct vcpu *vcpu, struct stream *s)
{
	struct cpuid cpuid = { .head.nent = MAX_CPUID };
	unsigned int n = one_in(s, 3) ? below(s, 6) : 0;
	struct kvm_cpuid_entry2 *entry;

	if (call(m->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid))
		return;
	while (n--) {
		entry = &cpuid.entries[below(s, cpuid.head.nent)];
		if (one_in(s, 4))
			cpuid.head.nent = below(s, cpuid.head.nent) + 1;
		else
			(&entry->eax)[below(s, 4)] ^= one_in(s, 2) ? interesting(s) :
							       1U << below(s, 32);
	}
	call(vcpu->fd, KVM_SET_CPUID2, &cpuid);
}

static uint8_t *memory(size_t size)
{
	uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static bool vcpu_make(struct machine *m, unsigned int i, struct stream *s)
{
	struct vcpu *vcpu = &m->vcpu[i];
	long size = call(m->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);

	vcpu->fd = call(m->vm, KVM_CREATE_VCPU, (void *)(long)i);
	if (vcpu->fd < 0 || size < 0) {
		fuzz_fail("KVM_CREATE_VCPU: %s", strerror(-vcpu->fd));
		return false;
	}
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	set_cpuid(m, vcpu, s);
	if (call(vcpu->fd, KVM_GET_SREGS, &vcpu->sregs) || vcpu->run == MAP_FAILED) {
		fuzz_fail("a new vCPU does not answer: %s", strerror(errno));
		return false;
	}
	return true;
}

bool machine_make(struct machine *m, struct stream *s)
{
	struct kvm_pit_config pit = { 0 };
	unsigned int i;

	m->kvm = open(fuzz_device(), O_RDWR | O_CLOEXEC);
	m->vm = call(m->kvm, KVM_CREATE_VM, NULL);
	m->ram = memory(RAM_SIZE);
	m->rom = memory(ROM_SIZE);
	if (m->vm < 0 || !m->ram || !m->rom) {
		fuzz_fail("no VM on %s: %s", fuzz_device(), strerror(errno));
		return false;
	}
	m->irqchip = one_in(s, 2) && !call(m->vm, KVM_CREATE_IRQCHIP, NULL);
	if (m->irqchip && one_in(s, 2))
		call(m->vm, KVM_CREATE_PIT2, &pit);
	madvise(m->ram, RAM_SIZE, one_in(s, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	set_slot(m, 0, one_in(s, 4) ? KVM_MEM_LOG_DIRTY_PAGES : 0, 0, RAM_SIZE, m->ram);
	set_slot(m, 1, KVM_MEM_READONLY, ROM_GPA, ROM_SIZE, m->rom);
	m->nr_vcpus = one_in(s, 3) ? 2 : 1;
	for (i = 0; i < m->nr_vcpus; i++)
		if (!vcpu_make(m, i, s))
			return false;
	return true;
}

void machine_start(struct machine *m, unsigned int i)
{
	struct vcpu *v = &m->vcpu[i];
	struct kvm_mp_state mp = { KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs now;

	spare_tcg(&v->sregs);
	call(v->fd, KVM_SET_MP_STATE, &mp);
	if (call(v->fd, KVM_SET_SREGS, &v->sregs) && !call(v->fd, KVM_GET_SREGS, &now)) {
		/* Refused as a whole; a start in real mode always works. */
		now.cs.base = CODE;
		now.cs.selector = CODE >> 4;
		spare_tcg(&now);
		call(v->fd, KVM_SET_SREGS, &now);
	}
	call(v->fd, KVM_SET_REGS, &v->regs);
}

void exit_answer(struct vcpu *vcpu, struct stream *s)
{
	uint8_t *area = (uint8_t *)vcpu->run;
	unsigned int i;

	if (vcpu->run->exit_reason == KVM_EXIT_IO)
		for (i = 0; i < vcpu->run->io.size * vcpu->run->io.count && i < 4096; i++)
			area[(vcpu->run->io.data_offset + i) & 8191] = take8(s);
	else if (vcpu->run->exit_reason == KVM_EXIT_MMIO)
		for (i = 0; i < 8; i++)
			vcpu->run->mmio.data[i] = take8(s);
	vcpu->run->cr8 = take8(s) & 15;
	vcpu->run->request_interrupt_window = one_in(s, 8);
	vcpu->run->immediate_exit = one_in(s, 16);
}

static void inject(struct machine *m, struct vcpu *vcpu, struct stream *s)
{
	struct kvm_irq_level line = { .irq = below(s, 24), .level = take8(s) & 1 };
	struct kvm_interrupt vector = { below(s, 256) };
	struct kvm_msi msi = {
		.address_lo = APIC_MMIO | (take8(s) & 3) << 12 | (take8(s) & 0xc),
		.data = take(s, 2) & 0xc7ff,
	};

	switch (take8(s) % 4) {
	case 0:
		call(m->vm, KVM_IRQ_LINE, &line);
		break;
	case 1:
		call(vcpu->fd, KVM_INTERRUPT, &vector);
		break;
	case 2:
		call(m->vm, KVM_SIGNAL_MSI, &msi);
		break;
	default:
		call(vcpu->fd, KVM_NMI, NULL);
	}
}

static void change_memory(struct machine *m, struct stream *s)
{
	static uint64_t log[RAM_SIZE / 4096 / 64];
	struct kvm_dirty_log dirty = { .dirty_bitmap = log };
	uint64_t at = below(s, RAM_SIZE / 4096) * 4096UL;

	switch (take8(s) % 6) {
	case 0:
		call(m->vm, KVM_GET_DIRTY_LOG, &dirty);
		break;
	case 1:
		madvise(m->ram + at, RAM_SIZE - at, MADV_DONTNEED);
		break;
	case 2:
		set_slot(m, 0, take8(s) & 1, 0, RAM_SIZE, m->ram);
		break;
	case 3:
		/* For a moment there is none, and then the same. */
		set_slot(m, 0, 0, 0, 0, NULL);
		set_slot(m, 0, 0, 0, RAM_SIZE, m->ram);
		break;
	case 4:
		mprotect(m->ram + at, 4096, take8(s) & 3);
		mprotect(m->ram + at, 4096, PROT_READ | PROT_WRITE);
		break;
	default:
		*(uint64_t *)(m->ram + below(s, RAM_SIZE / 64) * 64) = interesting(s);
	}
}

static void change_events(struct vcpu *vcpu, struct stream *s)
{
	struct kvm_vcpu_events events;
	uint8_t *bytes = (uint8_t *)&events;
	unsigned int n = 1 + below(s, 4);

	if (call(vcpu->fd, KVM_GET_VCPU_EVENTS, &events))
		return;
	while (n--)
		bytes[below(s, 32)] = one_in(s, 2) ? take8(s) & 1 : take8(s);
	call(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
}

static void change_registers(struct vcpu *vcpu, struct stream *s)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1 };

	switch (take8(s) % 3) {
	case 0:
		if (call(vcpu->fd, KVM_GET_REGS, &regs))
			break;
		((uint64_t *)&regs)[below(s, sizeof(regs) / 8)] = interesting(s);
		call(vcpu->fd, KVM_SET_REGS, &regs);
		break;
	case 1:
		if (call(vcpu->fd, KVM_GET_SREGS, &sregs))
			break;
		((uint8_t *)&sregs)[below(s, sizeof(sregs))] ^= 1 << below(s, 8);
		spare_tcg(&sregs);
		call(vcpu->fd, KVM_SET_SREGS, &sregs);
		break;
	default:
		msr.entry.index = msr_index(s);
		msr.entry.data = interesting(s);
		call(vcpu->fd, KVM_SET_MSRS, &msr);
	}
}

void event_happens(struct machine *m, struct vcpu *vcpu, struct stream *s)
{
	struct kvm_lapic_state apic;

	switch (take8(s) % 24) {
	case 0:
	case 1:
	case 2:
	case 3:
		inject(m, vcpu, s);
		break;
	case 4:
	case 5:
		change_memory(m, s);
		break;
	case 6:
		change_events(vcpu, s);
		break;
	case 7:
		change_registers(vcpu, s);
		break;
	case 8:
		if (call(vcpu->fd, KVM_GET_LAPIC, &apic))
			break;
		apic.regs[below(s, sizeof(apic.regs))] ^= take8(s);
		call(vcpu->fd, KVM_SET_LAPIC, &apic);
		break;
	case 9:
		/* Begin anew where it began, with the events that wait. */
		machine_start(m, vcpu - m->vcpu);
		break;
	}
}
