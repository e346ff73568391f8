/* SPDX-License-Identifier: GPL-2.0-only */
/* Virtual machines for the tests: thin over the ioctls, nothing hidden. */
#ifndef SELFTESTS_VM_H
#define SELFTESTS_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "guest.h"
#include "ktap.h"

#define PAGE_SIZE	4096ULL
#define MEM_SIZE	(16ULL << 20)	/* slot 0, at guest-physical 0 */
#define MAX_VCPUS	64

/* Where things are in guest memory; the test's image is at 4 MiB. */
#define GPA_PML4	0x1000ULL
#define GPA_PDPT	0x2000ULL
#define GPA_PD		0x3000ULL	/* four of them: 4 GiB in 2 MiB pages */
#define GPA_IDT		0x7000ULL
#define GPA_BLOB	0x8000ULL	/* 16- and 32-bit code, see vm_blob() */
#define GPA_CPU(id)	(0x20000ULL + (id) * 0x2000ULL)
#define GPA_STACK(id)	(0x100000ULL + (id) * 0x8000ULL)
#define GPA_STACK_SIZE	0x8000ULL
#define GPA_PAGES	0x300000ULL	/* vm_page() takes from here ... */
#define GPA_PAGES_END	0x400000ULL
#define GPA_FREE	0x800000ULL	/* for the test itself, to MEM_SIZE */
#define GPA_MMIO	0xd0000000ULL	/* never has memory */

/* Page-table bits. */
#define PTE_P		(1ULL << 0)
#define PTE_W		(1ULL << 1)
#define PTE_U		(1ULL << 2)
#define PTE_PS		(1ULL << 7)
#define PTE_NX		(1ULL << 63)

struct vm {
	int kvm, fd;
	uint8_t *mem;
	size_t mem_size;
	uint64_t next_page;
};

struct vcpu {
	struct vm *vm;
	int id, fd;
	struct kvm_run *run;
	size_t run_size;
	struct guest_call call;	/* of the last EVENT_SYNC */
	pthread_t thread;
};

enum vm_flags {
	VM_IRQCHIP = 1,
	VM_PIT = 2,
};

/* What vcpu_run() came back with. */
enum event {
	EVENT_SYNC,	/* guest_sync(): vcpu->call.a and .b */
	EVENT_DONE,	/* guest_done(), or the guest function returned */
	EVENT_TRAP,	/* unexpected exception, reported as a failure */
	EVENT_EXIT,	/* another exit, see vcpu->run */
	EVENT_ERROR,	/* the ioctl failed, see errno */
};

/* ioctl() that returns its result, or a negative errno. */
long sys_ioctl(int fd, unsigned long request, void *arg);

static inline long sys_ioctl_val(int fd, unsigned long request, long arg)
{
	return sys_ioctl(fd, request, (void *)arg);
}

/* KVM_ENABLE_CAP of a VM with one argument; returns as sys_ioctl(). */
static inline long vm_enable_cap(const struct vm *vm, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap args = { .cap = cap, .args = { arg } };

	return sys_ioctl(vm->fd, KVM_ENABLE_CAP, &args);
}

/**
 * kvm_open() - open the device under test
 *
 * Leaves the test case if that fails.
 *
 * Return: the file descriptor
 */
int kvm_open(void);

/**
 * kvm_is_stock() - whether the device is Linux's own KVM
 *
 * For the few errnos in which vitro differs from it on purpose.
 */
bool kvm_is_stock(void);

/* What the machine is: for what an emulated processor cannot show. */
bool host_is_amd(void);
bool host_is_tcg(void);

/*
 * Errno for an ioctl that a descriptor does not know. On x86 stock KVM says
 * EINVAL for the device and for vCPUs, and the documented ENOTTY for VMs.
 */
int unknown_ioctl_errno(void);

/* Not mapped: below the lowest address that mmap() gives. */
#define BAD_PTR		((void *)8)

/**
 * kvm_has() - value of a capability
 * @cap: KVM_CAP_...
 */
long kvm_has(long cap);

/* Leaves the test case as skipped unless the capability is there. */
#define NEED_CAP(cap)							\
	do {								\
		if (kvm_has(cap) <= 0)					\
			test_skip("no " #cap);				\
	} while (0)

/**
 * vm_new() - a VM with MEM_SIZE of memory, this image and 64-bit tables in it
 * @flags: enum vm_flags
 */
struct vm *vm_new(unsigned int flags);

/**
 * vm_bare() - a VM with nothing in it
 */
struct vm *vm_bare(void);

/**
 * vm_free() - close the descriptors of a VM and unmap its memory
 * @vm: VM whose vCPUs have been freed
 */
void vm_free(struct vm *vm);

/* Add, change or (size 0) delete a memslot. Returns 0 or a negative errno. */
long vm_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa,
	     uint64_t size, void *hva);

/* A page of guest memory for page tables. Returns its GPA. */
uint64_t vm_page(struct vm *vm);

/* Map one 4 KiB page in the guest's tables; flags 0 unmaps it. */
void vm_map(struct vm *vm, uint64_t gva, uint64_t gpa, uint64_t flags);

/* Pointer to the page-table entry of a page that vm_map() mapped. */
uint64_t *vm_pte(struct vm *vm, uint64_t gva);

/* Host pointer to guest memory of slot 0. */
static inline void *vm_ptr(struct vm *vm, uint64_t gpa)
{
	return vm->mem + gpa;
}

/* The guest's copy of a static variable of the test. */
#define GUEST_VAR(vm, var)						\
	(*(volatile __typeof__(var) *)vm_ptr(vm, (uintptr_t)&(var)))

/* Code for other modes: BLOB(name, "assembly") and vm_blob(vm, gpa, name). */
#define BLOB(name, text)						\
	extern const char blob_##name[], blob_##name##_end[];		\
	asm(".pushsection .rodata\n"					\
	    "blob_" #name ":\n" text "\n"				\
	    "blob_" #name "_end:\n"					\
	    ".code64\n"							\
	    ".popsection")
#define vm_blob(vm, gpa, name)						\
	vm_copy(vm, gpa, blob_##name, blob_##name##_end - blob_##name)
void vm_copy(struct vm *vm, uint64_t gpa, const void *data, size_t size);

/* Fill in a vCPU's supported CPUID table. The result is static. */
struct kvm_cpuid2 *kvm_supported_cpuid(void);

/* Entry of a table, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t leaf,
				    uint32_t subleaf);

/**
 * vcpu_bare() - a vCPU as it is created
 * @vm: VM
 * @id: id of the vCPU
 */
struct vcpu *vcpu_bare(struct vm *vm, int id);

/**
 * vcpu_new() - a vCPU about to run a function of the test in 64-bit mode
 * @vm: VM from vm_new()
 * @id: id of the vCPU, less than MAX_VCPUS
 * @fn: guest code; its argument is set by vcpu_arg(), 0 until then
 *
 * Has the supported CPUID table, a stack, and an IDT that catches everything.
 */
struct vcpu *vcpu_new(struct vm *vm, int id, void (*fn)(uint64_t arg));
void vcpu_arg(struct vcpu *vcpu, uint64_t arg);

/* Let a vCPU other than the first run at once, without INIT and SIPI. */
void vcpu_runnable(struct vcpu *vcpu);

/* KVM_GET_MP_STATE: KVM_MP_STATE_* */
uint32_t vcpu_mp_state(struct vcpu *vcpu);

/* Its local APIC as user space sees it: the bit of a vector in ISR, TMR or IRR; switch it on. */
bool vcpu_apic_bit(struct vcpu *vcpu, uint32_t reg, uint32_t vector);
void vcpu_apic_enable(struct vcpu *vcpu);

/* Of a vCPU's binary statistics, the value of that name; -1 if there is none. */
int64_t vcpu_counter(struct vcpu *vcpu, const char *name);

void vcpu_free(struct vcpu *vcpu);

/* A vCPU in real mode, at GPA 0x8000 with flat segments, CPUID set. */
struct vcpu *vcpu_real_mode(struct vm *vm, int id);

/* Registers of 64-bit mode into *sregs, for vCPU id. */
void sregs_long_mode(struct kvm_sregs *sregs, int id);

/* The guest's per-CPU area. */
struct guest_cpu *vcpu_cpu(struct vcpu *vcpu);

/**
 * vcpu_run() - KVM_RUN until the guest or the kernel has something to say
 * @vcpu: vCPU
 *
 * Checks that failed in the guest are reported, and the guest goes on.
 */
enum event vcpu_run(struct vcpu *vcpu);

/* vcpu_run(), which shall end like this; otherwise the test case is left. */
#define EXPECT_SYNC(vcpu, stage)					\
	vcpu_expect(vcpu, EVENT_SYNC, stage, __FILE__, __LINE__)
#define EXPECT_DONE(vcpu)						\
	vcpu_expect(vcpu, EVENT_DONE, 0, __FILE__, __LINE__)
#define EXPECT_EXIT(vcpu, reason)					\
	vcpu_expect(vcpu, EVENT_EXIT, reason, __FILE__, __LINE__)
void vcpu_expect(struct vcpu *vcpu, enum event event, uint64_t detail,
		 const char *file, int line);

/* KVM_RUN with immediate_exit: completes the last exit, enters no guest. */
long vcpu_complete(struct vcpu *vcpu);

/* Plain KVM_RUN: 0 or a negative errno. */
long vcpu_run_raw(struct vcpu *vcpu);

void vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_set_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
long vcpu_set_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);

/* One MSR. The get and set calls return 0 or a negative errno. */
long vcpu_get_msr(struct vcpu *vcpu, uint32_t index, uint64_t *value);
long vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value);

/* Run the vCPU in a thread of its own until EVENT_DONE, which is expected. */
void vcpu_start(struct vcpu *vcpu);
void vcpu_join(struct vcpu *vcpu);

/*
 * Interrupt the system call that this thread is in, each @ms milliseconds until alarm_ms(0):
 * nobody knows when the thread gets its turn, and once may be before the call.
 */
void alarm_ms(unsigned int ms);

/* vcpu_run() until the vCPU sleeps in the kernel; otherwise the test case is left. */
#define EXPECT_HALTED(vcpu)						\
	vcpu_expect_halted(vcpu, __FILE__, __LINE__)
void vcpu_expect_halted(struct vcpu *vcpu, const char *file, int line);

/* SIGUSR1 then interrupts system calls and does nothing else. */
void catch_sigusr1(void);

#endif
