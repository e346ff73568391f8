// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_X86_USER_SPACE_MSR and KVM_CAP_X86_MSR_FILTER: MSR accesses that user space decides. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

#define EFER		0xc0000080
#define STAR		0xc0000081
#define LSTAR		0xc0000082
#define KERNEL_GS_BASE	0xc0000102
#define PAT		0x277
#define MTRR_DEF_TYPE	0x2ff
#define NOWHERE		0x40000000
#define VECTOR_GP	13
#define READ		KVM_MSR_FILTER_READ
#define WRITE		KVM_MSR_FILTER_WRITE
#define ALL_REASONS	(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | \
			 KVM_MSR_EXIT_REASON_FILTER)

static long user_reasons(struct vm *vm, uint64_t reasons)
{
	return vm_enable_cap(vm, KVM_CAP_X86_USER_SPACE_MSR, reasons);
}

/* One range of up to 64 MSRs, of which a bit set in @allowed lets pass. */
static long filter(struct vm *vm, uint32_t flags, uint32_t access, uint32_t base, uint32_t nr,
		   uint64_t allowed)
{
	struct kvm_msr_filter args = { .flags = flags };

	args.ranges[0].flags = access;
	args.ranges[0].base = base;
	args.ranges[0].nmsrs = nr;
	args.ranges[0].bitmap = (uint8_t *)&allowed;
	return sys_ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &args);
}

static struct vcpu *start(void (*fn)(uint64_t arg))
{
	NEED_CAP(KVM_CAP_X86_USER_SPACE_MSR);
	NEED_CAP(KVM_CAP_X86_MSR_FILTER);
	return vcpu_new(vm_new(0), 0, fn);
}

static void expect_msr(struct vcpu *vcpu, uint32_t exit, uint32_t msr, uint32_t reason)
{
	EXPECT_EXIT(vcpu, exit);
	CHECK_EQ(vcpu->run->msr.index, msr);
	CHECK_EQ(vcpu->run->msr.reason, reason);
	CHECK_EQ(vcpu->run->msr.error, 0);
}

TEST(arguments)
{
	struct kvm_msr_filter args = { .flags = 0 };
	struct vm *vm = start(NULL)->vm;
	uint64_t bits = 0;

	CHECK_OK(user_reasons(vm, ALL_REASONS));
	CHECK_OK(user_reasons(vm, 0));
	if (!kvm_is_stock())
		CHECK_ERR(user_reasons(vm, 1ULL << 31), EINVAL);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, BAD_PTR), EFAULT);
	CHECK_OK(sys_ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &args));
	CHECK_ERR(filter(vm, 0, 4, EFER, 1, 0), EINVAL);
	CHECK_ERR(filter(vm, 0, READ, 0, 8 * KVM_MSR_FILTER_MAX_BITMAP_SIZE + 1, 0), EINVAL);
	CHECK_ERR(filter(vm, 0, READ, 0, 0xffffffff, 0), EINVAL);
	CHECK_ERR(filter(vm, KVM_MSR_FILTER_DEFAULT_DENY, READ, EFER, 0, 0), EINVAL);
	if (!kvm_is_stock())
		CHECK_ERR(filter(vm, 2, READ, EFER, 1, 0), EINVAL);
	args.ranges[0].flags = READ;
	args.ranges[0].nmsrs = 1;
	args.ranges[0].bitmap = (uint8_t *)&bits;
	args.ranges[15] = args.ranges[0];
	args.ranges[15].bitmap = BAD_PTR;
	CHECK_ERR(sys_ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &args), EFAULT);
}

static void reasons_guest(uint64_t arg)
{
	uint64_t value;

	(void)arg;
	for (;;) {
		G_CHECK_EQ(rdmsr_try(NOWHERE, &value), GUEST_NO_TRAP);
		G_CHECK_EQ(value, 0x1122334455667788);
		G_CHECK_EQ(wrmsr_try(NOWHERE, 0x99aabbccddeeff00), GUEST_NO_TRAP);
		/* A type that there is not. */
		G_CHECK_EQ(wrmsr_try(PAT, 2), GUEST_NO_TRAP);
		G_CHECK_EQ(rdmsr_try(NOWHERE, &value), VECTOR_GP);
		G_CHECK_EQ(guest_cpu()->error, 0);
		guest_sync(1, 0);
		G_CHECK_EQ(rdmsr_try(NOWHERE, &value), VECTOR_GP);
		G_CHECK_EQ(wrmsr_try(PAT, 2), VECTOR_GP);
		guest_sync(2, 0);
	}
}

TEST(what_the_kernel_refuses)
{
	struct vcpu *vcpu = start(reasons_guest);

	CHECK_OK(user_reasons(vcpu->vm, KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN));
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, NOWHERE, KVM_MSR_EXIT_REASON_UNKNOWN);
	vcpu->run->msr.data = 0x1122334455667788;
	expect_msr(vcpu, KVM_EXIT_X86_WRMSR, NOWHERE, KVM_MSR_EXIT_REASON_UNKNOWN);
	CHECK_EQ(vcpu->run->msr.data, 0x99aabbccddeeff00);
	expect_msr(vcpu, KVM_EXIT_X86_WRMSR, PAT, KVM_MSR_EXIT_REASON_INVAL);
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, NOWHERE, KVM_MSR_EXIT_REASON_UNKNOWN);
	vcpu->run->msr.error = 1;
	EXPECT_SYNC(vcpu, 1);
	CHECK_OK(user_reasons(vcpu->vm, 0));
	EXPECT_SYNC(vcpu, 2);
}

/* Registers that user space changes between the exit and the next KVM_RUN stand. */
TEST(reset_while_waiting)
{
	struct vcpu *vcpu = start(reasons_guest);
	struct kvm_regs regs;

	CHECK_OK(user_reasons(vcpu->vm, KVM_MSR_EXIT_REASON_UNKNOWN));
	vcpu_get_regs(vcpu, &regs);
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, NOWHERE, KVM_MSR_EXIT_REASON_UNKNOWN);
	vcpu->run->msr.error = 1;
	vcpu_set_regs(vcpu, &regs);
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, NOWHERE, KVM_MSR_EXIT_REASON_UNKNOWN);
	vcpu->run->msr.data = 5;
	REQUIRE_OK(vcpu_complete(vcpu) == -EINTR ? 0 : -1);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rax, 5);
	CHECK_EQ(regs.rdx, 0);
}

/* The MSRs below are reached without an exit if there is no filter. */
static const uint32_t free_msrs[] = {
	0xc0000100, 0xc0000101, KERNEL_GS_BASE, STAR, LSTAR, 0xc0000083, 0xc0000084,
	0x174, 0x175, 0x176,
};

static uint32_t chosen;

static void free_guest(uint64_t arg)
{
	uint64_t value, before;
	uint32_t msr;

	(void)arg;
	for (;;) {
		msr = *(volatile uint32_t *)&chosen;
		G_CHECK_EQ(rdmsr_try(msr, &before), GUEST_NO_TRAP);
		guest_sync(1, 0);
		G_CHECK_EQ(rdmsr_try(msr, &value), VECTOR_GP);
		G_CHECK_EQ(wrmsr_try(msr, before), GUEST_NO_TRAP);
		guest_sync(2, 0);
		G_CHECK_EQ(rdmsr_try(msr, &value), GUEST_NO_TRAP);
		G_CHECK_EQ(value, before);
		G_CHECK_EQ(wrmsr_try(msr, before), VECTOR_GP);
		guest_sync(3, 0);
		G_CHECK_EQ(rdmsr_try(msr, &value), GUEST_NO_TRAP);
		G_CHECK_EQ(value, before);
		G_CHECK_EQ(wrmsr_try(msr, before), GUEST_NO_TRAP);
	}
}

/* What passes by the processor's bitmap stops passing when it is forbidden. */
TEST(free_ones)
{
	struct vcpu *vcpu = start(free_guest);
	struct vm *vm = vcpu->vm;
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(free_msrs); i++) {
		GUEST_VAR(vm, chosen) = free_msrs[i];
		EXPECT_SYNC(vcpu, 1);
		REQUIRE_OK(filter(vm, 0, READ, free_msrs[i], 1, 0));
		EXPECT_SYNC(vcpu, 2);
		REQUIRE_OK(filter(vm, 0, WRITE, free_msrs[i], 1, 0));
		EXPECT_SYNC(vcpu, 3);
		REQUIRE_OK(filter(vm, 0, WRITE, 0, 0, 0));
	}
}

static void deny_guest(uint64_t arg)
{
	uint64_t value;

	(void)arg;
	for (;;) {
		G_CHECK_EQ(rdmsr_try(LSTAR, &value), GUEST_NO_TRAP);
		G_CHECK_EQ(rdmsr_try(STAR, &value), GUEST_NO_TRAP);
		G_CHECK_EQ(value, 0x1234);
		G_CHECK_EQ(wrmsr_try(MTRR_DEF_TYPE, 0x806), GUEST_NO_TRAP);
		G_CHECK_EQ(rdmsr_try(PAT, &value), VECTOR_GP);
		guest_sync(1, 0);
	}
}

TEST(deny_by_default)
{
	struct vcpu *vcpu = start(deny_guest);

	REQUIRE_OK(user_reasons(vcpu->vm, ALL_REASONS));
	/* LSTAR alone. */
	REQUIRE_OK(filter(vcpu->vm, KVM_MSR_FILTER_DEFAULT_DENY, READ, STAR, 3, 2));
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, STAR, KVM_MSR_EXIT_REASON_FILTER);
	vcpu->run->msr.data = 0x1234;
	expect_msr(vcpu, KVM_EXIT_X86_WRMSR, MTRR_DEF_TYPE, KVM_MSR_EXIT_REASON_FILTER);
	CHECK_EQ(vcpu->run->msr.data, 0x806);
	expect_msr(vcpu, KVM_EXIT_X86_RDMSR, PAT, KVM_MSR_EXIT_REASON_FILTER);
	vcpu->run->msr.error = 1;
	EXPECT_SYNC(vcpu, 1);
	/* User space's own accesses are not filtered. */
	CHECK_OK(vcpu_set_msr(vcpu, PAT, 0x0007040600070406));
}

static void two_ranges_guest(uint64_t arg)
{
	uint64_t value;

	(void)arg;
	G_CHECK_EQ(rdmsr_try(EFER, &value), GUEST_NO_TRAP);
	G_CHECK_EQ(rdmsr_try(PAT, &value), VECTOR_GP);
}

/* The first range that has the MSR decides. */
TEST(order_of_ranges)
{
	uint64_t none = 0, all = ~0ULL;
	struct kvm_msr_filter args = {
		.ranges = {
			{ .flags = WRITE, .base = EFER, .nmsrs = 1, .bitmap = (uint8_t *)&none },
			{ .flags = READ, .base = EFER - 1, .nmsrs = 2, .bitmap = (uint8_t *)&all },
			{ .flags = READ, .base = EFER, .nmsrs = 1, .bitmap = (uint8_t *)&none },
			{ .flags = READ, .base = PAT - 63, .nmsrs = 64, .bitmap = (uint8_t *)&none },
		},
	};
	struct vcpu *vcpu = start(two_ranges_guest);

	REQUIRE_OK(sys_ioctl(vcpu->vm->fd, KVM_X86_SET_MSR_FILTER, &args));
	EXPECT_DONE(vcpu);
}

static volatile uint32_t stop, seen_both;

static void spin_guest(uint64_t arg)
{
	uint64_t value;
	bool traps = false, passes = false;

	(void)arg;
	while (!stop) {
		if (rdmsr_try(LSTAR, &value) == GUEST_NO_TRAP)
			passes = true;
		else
			traps = true;
		seen_both = traps && passes;
	}
}

/* Filters come and go under a running guest, which sees both. */
TEST(replaced_under_way)
{
	struct vcpu *vcpu = start(spin_guest);
	struct vm *vm = vcpu->vm;
	int i;

	vcpu_start(vcpu);
	for (i = 0; i < 200 || !GUEST_VAR(vm, seen_both); i++)
		REQUIRE_OK(filter(vm, 0, READ, LSTAR, i & 1, 0));
	GUEST_VAR(vm, stop) = 1;
	vcpu_join(vcpu);
}
