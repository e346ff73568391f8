// SPDX-License-Identifier: GPL-2.0-only
/* A VM for a guest, made anew for each. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "result.h"

long call(int fd, unsigned long request, void *arg)
{
	long ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static const struct {
	uint32_t flags, base, size;
} slots[] = {
	{ 0, TABLES_BASE, CODE_BASE - TABLES_BASE },
	{ KVM_MEM_READONLY, CODE_BASE, CODE_SIZE },
	{ 0, DATA_BASE, READONLY_BASE - DATA_BASE },
	{ KVM_MEM_READONLY, READONLY_BASE, HOLE_BASE - READONLY_BASE },
};

static int add_memory(struct vm *vm)
{
	struct kvm_userspace_memory_region region;
	unsigned int i;

	memcpy(vm->machine->mem, vm->guest->mem, MEM_SIZE);
	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		region.slot = i;
		region.flags = slots[i].flags;
		region.guest_phys_addr = slots[i].base;
		region.memory_size = slots[i].size;
		region.userspace_addr = (uintptr_t)vm->machine->mem + slots[i].base;
		if (call(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
			return -1;
	}
	return 0;
}

/*
 * Without the other vendor's hypercall instruction being patched, MWAIT as a NOP, and what stock
 * KVM has by default and vitro does not: performance counters.
 */
static void make_plain(struct vm *vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2 };

	cap.args[0] = KVM_X86_QUIRK_FIX_HYPERCALL_INSN | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS;
	call(vm->fd, KVM_ENABLE_CAP, &cap);
	if (!vm->machine->stock)
		return;
	cap.cap = KVM_CAP_PMU_CAPABILITY;
	cap.args[0] = KVM_PMU_CAP_DISABLE;
	call(vm->fd, KVM_ENABLE_CAP, &cap);
}

/* KVM's own MSRs are there whether or not CPUID tells of them, unless it is asked. */
static void enforce_cpuid(struct vm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args[0] = 1,
	};

	call(vm->vcpu, KVM_ENABLE_CAP, &cap);
}

struct msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[8];
};

/* System calls go to code that ends the guest. */
static void set_msrs(struct vm *vm)
{
	struct msr_list list = {
		.head.nmsrs = 7,
		.entries = {
			{ .index = 0xc0000081, .data = (uint64_t)SEL_CODE32 << 32 },
			{ .index = 0xc0000082, .data = CODE_BASE + 0x8000 },
			{ .index = 0xc0000083, .data = CODE_BASE + 0x8000 },
			{ .index = 0x174, .data = SEL_CODE32 },
			{ .index = 0x175, .data = KERNEL_STACK },
			{ .index = 0x176, .data = CODE_BASE + 0x8000 },
			/* No two agree on what it is at reset: branch traces unavailable. */
			{ .index = 0x1a0, .data = 0x1801 },
		},
	};

	result_put(vm->result, ITEM_SETUP, KVM_SET_MSRS, call(vm->vcpu, KVM_SET_MSRS, &list));
}

/* A call whose answer is part of the result. */
static void set(struct vm *vm, unsigned long request, void *arg)
{
	result_put(vm->result, ITEM_SETUP, request, call(vm->vcpu, request, arg));
}

/* An enabled APIC, and known to all: stock KVM finds no new one before it is written to. */
static void enable_apic(struct vm *vm)
{
	struct kvm_lapic_state lapic;
	uint32_t spurious = 0x1ff;

	result_put(vm->result, ITEM_SETUP, 0, call(vm->vcpu, KVM_GET_LAPIC, &lapic));
	memcpy(lapic.regs + 0xf0, &spurious, sizeof(spurious));
	set(vm, KVM_SET_LAPIC, &lapic);
}

static void set_state(struct vm *vm)
{
	struct guest *g = vm->guest;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = g->xcr0 };
	struct kvm_sregs sregs = g->sregs;

	set_msrs(vm);
	if (g->cpuid->nent)
		set(vm, KVM_SET_XCRS, &xcrs);
	set(vm, KVM_SET_XSAVE, &g->xsave);
	set(vm, KVM_SET_SREGS, &sregs);
	if (g->irqchip)
		enable_apic(vm);
	set(vm, KVM_SET_DEBUGREGS, &g->debugregs);
	set(vm, KVM_SET_REGS, &g->regs);
	set(vm, KVM_SET_VCPU_EVENTS, &g->events);
}

int vm_setup(struct vm *vm)
{
	vm->vcpu = -1;
	vm->fd = call(vm->machine->kvm, KVM_CREATE_VM, NULL);
	if (vm->fd < 0) {
		fprintf(stderr, "differential: cannot create a VM: %s\n", strerror(-vm->fd));
		return -1;
	}
	make_plain(vm);
	if (add_memory(vm))
		return -1;
	if (vm->guest->irqchip && call(vm->fd, KVM_CREATE_IRQCHIP, NULL))
		return -1;
	vm->vcpu = call(vm->fd, KVM_CREATE_VCPU, NULL);
	if (vm->vcpu < 0)
		return -1;
	vm->run = mmap(NULL, vm->machine->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       vm->vcpu, 0);
	if (vm->run == MAP_FAILED)
		return -1;
	if (call(vm->vcpu, KVM_SET_CPUID2, vm->machine->cpuid))
		return -1;
	enforce_cpuid(vm);
	set_state(vm);
	return 0;
}

void vm_close(struct vm *vm)
{
	if (vm->vcpu >= 0) {
		munmap(vm->run, vm->machine->run_size);
		close(vm->vcpu);
	}
	if (vm->fd >= 0)
		close(vm->fd);
}

static bool nmis_blocked(struct vm *vm)
{
	struct kvm_vcpu_events events;

	return vm->vcpu >= 0 && !call(vm->vcpu, KVM_GET_VCPU_EVENTS, &events) &&
	       events.nmi.masked;
}

/*
 * Bochs 2.7 knows one blocking of NMIs for all guests: a VM entry may set it, but none clears
 * it. So a guest that ends in an NMI's handler leaves it to the next one. This is a guest
 * that executes IRET, which clears it, and then OUT.
 */
static void unblock_nmis(struct machine *machine, struct guest *g)
{
	static const uint8_t code[] = { 0xcf, 0xe6, DONE_PORT };
	static const uint16_t frame[] = { 1, DATA_BASE / 16, 2 };
	struct kvm_regs regs = { .rsp = KERNEL_STACK - sizeof(frame), .rflags = 2 };
	struct vm vm = { .machine = machine, .guest = g, .vcpu = -1 };
	struct kvm_sregs sregs;

	vm.fd = call(machine->kvm, KVM_CREATE_VM, NULL);
	if (vm.fd < 0 || add_memory(&vm))
		goto out;
	memcpy(machine->mem + DATA_BASE, code, sizeof(code));
	memcpy(machine->mem + regs.rsp, frame, sizeof(frame));
	vm.vcpu = call(vm.fd, KVM_CREATE_VCPU, NULL);
	if (vm.vcpu < 0 || call(vm.vcpu, KVM_GET_SREGS, &sregs))
		goto out;
	sregs.cs.base = DATA_BASE;
	sregs.cs.selector = DATA_BASE / 16;
	if (!call(vm.vcpu, KVM_SET_SREGS, &sregs) && !call(vm.vcpu, KVM_SET_REGS, &regs))
		call(vm.vcpu, KVM_RUN, NULL);
out:
	if (vm.vcpu >= 0)
		close(vm.vcpu);
	if (vm.fd >= 0)
		close(vm.fd);
}

int vm_run(struct machine *machine, struct guest *g, struct result *result)
{
	struct vm vm = {
		.machine = machine, .guest = g, .result = result,
		.rng.state = ~g->seed,
	};
	bool blocked;
	int ret;

	result_begin(result, g->seed);
	ret = vm_setup(&vm);
	if (!ret) {
		vm_exits(&vm);
		vm_dump(&vm);
	}
	blocked = !guest_on_amd(g) && nmis_blocked(&vm);
	vm_close(&vm);
	if (blocked)
		unblock_nmis(machine, g);
	return ret;
}
