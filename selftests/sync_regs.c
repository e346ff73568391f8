// SPDX-License-Identifier: GPL-2.0-only
/* Registers in kvm_run (KVM_CAP_SYNC_REGS), and KVM_TRANSLATE. */
#include <errno.h>
#include <string.h>

#include "vm.h"

#define ALL KVM_SYNC_X86_VALID_FIELDS
#define GVA 0x20000000ULL
#define STI_SHADOW 1

static void guest(uint64_t arg)
{
	asm volatile("1: outl %%eax, $0x80\n"
		     "incq %%rbx\n"
		     "jmp 1b" : : "a"(0), "b"(arg));
}

static struct vcpu *start(void)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, guest);

	if (kvm_has(KVM_CAP_SYNC_REGS) != ALL)
		test_skip("no KVM_CAP_SYNC_REGS");
	vcpu_arg(vcpu, 10);
	return vcpu;
}

TEST(unknown_fields)
{
	struct vcpu *vcpu = start();

	vcpu->run->kvm_valid_regs = ALL + 1;
	CHECK_ERR(vcpu_run_raw(vcpu), EINVAL);
	vcpu->run->kvm_valid_regs = 1ULL << 63;
	CHECK_ERR(vcpu_run_raw(vcpu), EINVAL);
	vcpu->run->kvm_valid_regs = 0;
	vcpu->run->kvm_dirty_regs = ALL + 1;
	CHECK_ERR(vcpu_run_raw(vcpu), EINVAL);
	vcpu->run->kvm_dirty_regs = 0;
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
}

TEST(shown)
{
	struct vcpu *vcpu = start();
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu->run->kvm_valid_regs = ALL;
	/* The bitmap of interrupts must not keep what was there. */
	memset(s, 0xff, sizeof(*s));
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	vcpu_get_regs(vcpu, &regs);
	vcpu_get_sregs(vcpu, &sregs);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK(!memcmp(&regs, &s->regs, sizeof(regs)), "other general registers");
	CHECK(!memcmp(&sregs, &s->sregs, sizeof(sregs)), "other special registers");
	CHECK(!memcmp(&events, &s->events, sizeof(events)), "other events");
	CHECK_EQ(s->regs.rbx, 10);
	/* Only what was asked for. */
	vcpu->run->kvm_valid_regs = KVM_SYNC_X86_SREGS;
	s->regs.rbx = 0x1234;
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(s->regs.rbx, 0x1234);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rbx, 11);
}

TEST(taken_over)
{
	struct vcpu *vcpu = start();
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	struct kvm_vcpu_events events;

	vcpu->run->kvm_valid_regs = ALL;
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	/* Not dirty: not looked at. */
	s->regs.rbx = 100;
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(s->regs.rbx, 11);
	s->regs.rbx = 100;
	s->sregs.cr2 = 0x5000;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->kvm_dirty_regs, 0);
	CHECK_EQ(s->regs.rbx, 101);
	CHECK_EQ(s->sregs.cr2, 0x5000);

	s->sregs.cr8 = 16;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	CHECK_ERR(vcpu_run_raw(vcpu), EINVAL);
	s->events.flags = ~0u;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	CHECK_ERR(vcpu_run_raw(vcpu), EINVAL);
	CHECK_EQ(vcpu->run->kvm_dirty_regs, KVM_SYNC_X86_EVENTS);

	vcpu->run->kvm_dirty_regs = 0;
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	s->events.nmi.masked = 1;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.nmi.masked, 1);
}

static struct kvm_translation translate(struct vcpu *vcpu, uint64_t linear)
{
	struct kvm_translation t = { .linear_address = linear };

	CHECK_OK(sys_ioctl(vcpu->fd, KVM_TRANSLATE, &t));
	return t;
}

TEST(translation)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, guest);
	struct kvm_translation t;

	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_TRANSLATE, BAD_PTR), EFAULT);
	t = translate(vcpu, 0x123456);
	CHECK_EQ(t.valid, 1);
	CHECK_EQ(t.physical_address, 0x123456);

	vm_map(vm, GVA, GPA_FREE, PTE_P | PTE_W);
	vm_map(vm, GVA + PAGE_SIZE, 0, 0);
	t = translate(vcpu, GVA + 0x123);
	CHECK_EQ(t.valid, 1);
	CHECK_EQ(t.physical_address, GPA_FREE + 0x123);
	CHECK_EQ(t.writeable, 1);
	t = translate(vcpu, GVA + PAGE_SIZE);
	CHECK_EQ(t.valid, 0);
	if (kvm_is_stock())
		return;
	/* It only looks. */
	CHECK_EQ(*vm_pte(vm, GVA), GPA_FREE | PTE_P | PTE_W);
	vm_map(vm, GVA, GPA_FREE, PTE_P | PTE_U);
	t = translate(vcpu, GVA);
	CHECK_EQ(t.writeable, 0);
	CHECK_EQ(translate(vcpu, 1ULL << 47).valid, 0);
}

TEST(translation_without_paging)
{
	struct vcpu *vcpu = vcpu_real_mode(vm_new(0), 0);
	struct kvm_translation t = translate(vcpu, 0xfffff000);

	CHECK_EQ(t.valid, 1);
	CHECK_EQ(t.physical_address, 0xfffff000);
	CHECK_EQ(t.writeable, 1);
}
