// SPDX-License-Identifier: GPL-2.0-only
/* What capabilities add to a vCPU's state: SREGS2, exception payloads, triple faults. */
#include <errno.h>
#include <string.h>

#include "apic.h"
#include "vm.h"

#define PF	14
#define CR4_PAE	(1ULL << 5)
#define CR0_PG	(1ULL << 31)
#define CR0_PE	1ULL
#define ADDRESS	0x12345000ULL

static void nothing(uint64_t arg)
{
	(void)arg;
}

static void get_events(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, events));
}

TEST(sregs2)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, nothing);
	struct kvm_sregs2 sregs2;
	struct kvm_sregs sregs;

	NEED_CAP(KVM_CAP_SREGS2);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_GET_SREGS2, BAD_PTR), EFAULT);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_SREGS2, BAD_PTR), EFAULT);
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_GET_SREGS2, &sregs2));
	vcpu_get_sregs(vcpu, &sregs);
	CHECK(!memcmp(&sregs, &sregs2, offsetof(struct kvm_sregs2, flags)), "they differ");
	CHECK_EQ(sregs2.flags, 0);
	/* There are none in 64-bit mode, and no other flags. */
	sregs2.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_SREGS2, &sregs2), EINVAL);
	sregs2.flags = 2;
	if (!kvm_is_stock())
		CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_SREGS2, &sregs2), EINVAL);
	sregs2.flags = 0;
	sregs2.cr2 = ADDRESS;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_SREGS2, &sregs2));
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.cr2, ADDRESS);
	EXPECT_DONE(vcpu);
}

TEST(sregs2_with_pae)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_real_mode(vm, 0);
	uint64_t *table = vm_ptr(vm, GPA_PAGES);
	struct kvm_sregs2 sregs2;

	NEED_CAP(KVM_CAP_SREGS2);
	table[0] = GPA_PD | PTE_P;
	table[3] = GPA_PD | PTE_P;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_GET_SREGS2, &sregs2));
	sregs2.cr0 |= CR0_PG | CR0_PE;
	sregs2.cr4 |= CR4_PAE;
	sregs2.cr3 = GPA_PAGES;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_SREGS2, &sregs2));
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_GET_SREGS2, &sregs2));
	CHECK_EQ(sregs2.flags, KVM_SREGS2_FLAGS_PDPTRS_VALID);
	CHECK_EQ(sregs2.pdptrs[0], GPA_PD | PTE_P);
	CHECK_EQ(sregs2.pdptrs[1], 0);
	CHECK_EQ(sregs2.pdptrs[3], GPA_PD | PTE_P);
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_SREGS2, &sregs2));
	/* A reserved bit. */
	sregs2.pdptrs[2] = 1ULL << 63 | PTE_P;
	if (!kvm_is_stock())
		CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_SREGS2, &sregs2), EINVAL);
}

static void fault_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[PF] = guest_ignore;
	guest_sync(1, 0);
	G_CHECK_EQ(guest_cpu()->taken[PF], 1);
	G_CHECK_EQ(read_cr2(), ADDRESS);
}

TEST(exception_payload)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, fault_guest);
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;

	NEED_CAP(KVM_CAP_EXCEPTION_PAYLOAD);
	EXPECT_SYNC(vcpu, 1);
	CHECK_ERR(vcpu_complete(vcpu), EINTR);
	get_events(vcpu, &events);
	CHECK_EQ(events.flags & KVM_VCPUEVENT_VALID_PAYLOAD, 0);
	events.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	CHECK_OK(vm_enable_cap(vcpu->vm, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	get_events(vcpu, &events);
	CHECK_EQ(events.flags & KVM_VCPUEVENT_VALID_PAYLOAD, KVM_VCPUEVENT_VALID_PAYLOAD);
	events.exception.pending = 1;
	events.exception.nr = PF;
	events.exception.has_error_code = 1;
	events.exception.error_code = 2;
	events.exception_has_payload = 1;
	events.exception_payload = ADDRESS;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	memset(&events, 0, sizeof(events));
	get_events(vcpu, &events);
	CHECK_EQ(events.exception.pending, 1);
	CHECK_EQ(events.exception.injected, 0);
	CHECK_EQ(events.exception_has_payload, 1);
	CHECK_EQ(events.exception_payload, ADDRESS);
	/* CR2 changes with the delivery. */
	vcpu_get_sregs(vcpu, &sregs);
	CHECK(sregs.cr2 != ADDRESS, "CR2 has changed already");
	EXPECT_DONE(vcpu);
}

TEST(triple_fault)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);
	struct kvm_vcpu_events events;

	NEED_CAP(KVM_CAP_X86_TRIPLE_FAULT_EVENT);
	get_events(vcpu, &events);
	CHECK_EQ(events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT, 0);
	events.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	CHECK_OK(vm_enable_cap(vcpu->vm, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1));
	get_events(vcpu, &events);
	CHECK_EQ(events.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT, KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
	CHECK_EQ(events.triple_fault.pending, 0);
	events.triple_fault.pending = 1;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	get_events(vcpu, &events);
	CHECK_EQ(events.triple_fault.pending, 1);
	EXPECT_EXIT(vcpu, KVM_EXIT_SHUTDOWN);
}

/* FLD from a device, which nobody emulates. */
static uint64_t user_fld(void)
{
	return GUEST_TRY("flds (%0)", : : "r"(GPA_MMIO) : "memory");
}

static void fld_guest(uint64_t arg)
{
	(void)arg;
	guest_user(user_fld, GPA_FREE + PAGE_SIZE);
}

TEST(exit_on_emulation_failure)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, fld_guest);
	struct kvm_run *run = vcpu->run;

	NEED_CAP(KVM_CAP_EXIT_ON_EMULATION_FAILURE);
	CHECK_ERR(vm_enable_cap(vcpu->vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 2), EINVAL);
	CHECK_OK(vm_enable_cap(vcpu->vm, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1));
	EXPECT_EXIT(vcpu, KVM_EXIT_INTERNAL_ERROR);
	CHECK_EQ(run->emulation_failure.suberror, KVM_INTERNAL_ERROR_EMULATION);
	CHECK_EQ(run->emulation_failure.flags, KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);
	CHECK(run->emulation_failure.insn_size >= 2, "no instruction bytes");
	CHECK_EQ(run->emulation_failure.insn_bytes[0], 0xd9);
}
