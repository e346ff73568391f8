// SPDX-License-Identifier: GPL-2.0-only
/* Machine checks: the banks that a vCPU is given, and errors that user space reports. */
#include <string.h>

#include "apic.h"
#include "vm.h"

#define MSR_MCG_CAP	0x179
#define MSR_MCG_STATUS	0x17a
#define MSR_MCG_CTL	0x17b
#define MSR_MC_CTL(n)	(0x400 + 4 * (n))
#define MSR_MC_STATUS(n) (0x401 + 4 * (n))
#define MSR_MC_ADDR(n)	(0x402 + 4 * (n))
#define MSR_MC_MISC(n)	(0x403 + 4 * (n))

#define MCG_CTL_P	(1ULL << 8)
#define MCG_SER_P	(1ULL << 24)
#define MCG_STATUS_MCIP	(1ULL << 2)
#define MCI_VAL		(1ULL << 63)
#define MCI_OVER	(1ULL << 62)
#define MCI_UC		(1ULL << 61)

#define CR4_MCE		(1ULL << 6)
#define MC_VECTOR	18
#define GP_VECTOR	13
#define BANKS		10

static long setup(struct vcpu *vcpu, uint64_t cap)
{
	return sys_ioctl(vcpu->fd, KVM_X86_SETUP_MCE, &cap);
}

static long report(struct vcpu *vcpu, uint8_t bank, uint64_t status, uint64_t addr)
{
	struct kvm_x86_mce mce = {
		.status = status, .addr = addr, .misc = 0x86, .bank = bank,
		.mcg_status = MCG_STATUS_MCIP,
	};

	return sys_ioctl(vcpu->fd, KVM_X86_SET_MCE, &mce);
}

static uint64_t msr_of(struct vcpu *vcpu, uint32_t index)
{
	uint64_t value = 0;

	CHECK_OK(vcpu_get_msr(vcpu, index, &value));
	return value;
}

static void nothing(uint64_t arg)
{
	(void)arg;
}

TEST(setup_bounds)
{
	struct vcpu *vcpu;
	uint64_t supported = 0;
	long most;

	NEED_CAP(KVM_CAP_MCE);
	most = kvm_has(KVM_CAP_MCE);
	vcpu = vcpu_bare(vm_bare(), 0);
	CHECK_OK(sys_ioctl(kvm_open(), KVM_X86_GET_MCE_CAP_SUPPORTED, &supported));
	CHECK_ERR(sys_ioctl(kvm_open(), KVM_X86_GET_MCE_CAP_SUPPORTED, BAD_PTR), EFAULT);
	CHECK(supported & MCG_CTL_P, "no MCG_CTL: %#lx", supported);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_X86_SETUP_MCE, BAD_PTR), EFAULT);
	CHECK_ERR(setup(vcpu, 0), EINVAL);
	CHECK_ERR(setup(vcpu, most + 1), EINVAL);
	CHECK_ERR(setup(vcpu, 0xff), EINVAL);
	CHECK_ERR(setup(vcpu, BANKS | 1ULL << 63), EINVAL);
	/* CMCI would need an LVT entry of its own. */
	if (!(supported & 1ULL << 10))
		CHECK_ERR(setup(vcpu, BANKS | 1ULL << 10), EINVAL);
	CHECK_OK(setup(vcpu, most));
	CHECK_OK(vcpu_set_msr(vcpu, MSR_MC_MISC(most - 1), 5));
	CHECK_OK(setup(vcpu, BANKS | MCG_CTL_P | MCG_SER_P));
	/* APM, MCG_CAP: AMD's processors have no bits above MCG_CTL_P. */
	CHECK_EQ(msr_of(vcpu, MSR_MCG_CAP),
		 BANKS | MCG_CTL_P | (host_is_amd() ? 0 : MCG_SER_P));
	CHECK_EQ(msr_of(vcpu, MSR_MCG_CTL), ~0ULL);
	CHECK_EQ(msr_of(vcpu, MSR_MC_CTL(0)), ~0ULL);
	CHECK_EQ(msr_of(vcpu, MSR_MC_CTL(BANKS - 1)), ~0ULL);
	/* Fewer banks than before: those behind are not there any more. */
	CHECK(vcpu_get_msr(vcpu, MSR_MC_CTL(BANKS), &supported), "bank %d is there", BANKS);
	CHECK(vcpu_set_msr(vcpu, MSR_MC_MISC(most - 1), 5), "bank %ld is there", most - 1);
}

/* What QEMU writes at reset, and saves and restores. */
TEST(user_space_sets_registers)
{
	struct vcpu *vcpu;
	int i;

	NEED_CAP(KVM_CAP_MCE);
	vcpu = vcpu_bare(vm_bare(), 0);
	CHECK_OK(setup(vcpu, BANKS | MCG_CTL_P));
	CHECK_OK(vcpu_set_msr(vcpu, MSR_MCG_STATUS, 5));
	CHECK_EQ(msr_of(vcpu, MSR_MCG_STATUS), 5);
	CHECK_OK(vcpu_set_msr(vcpu, MSR_MCG_CTL, 0));
	CHECK_OK(vcpu_set_msr(vcpu, MSR_MCG_CTL, ~0ULL));
	CHECK(vcpu_set_msr(vcpu, MSR_MCG_CTL, 7), "MCG_CTL takes some bits");
	for (i = 0; i < BANKS; i++) {
		CHECK_OK(vcpu_set_msr(vcpu, MSR_MC_CTL(i), ~0ULL));
		CHECK_OK(vcpu_set_msr(vcpu, MSR_MC_STATUS(i), MCI_VAL | i));
		CHECK_OK(vcpu_set_msr(vcpu, MSR_MC_ADDR(i), 0x1000 * i));
		CHECK_OK(vcpu_set_msr(vcpu, MSR_MC_MISC(i), i));
	}
	CHECK_EQ(msr_of(vcpu, MSR_MC_STATUS(BANKS - 1)), MCI_VAL | (BANKS - 1));
	CHECK_EQ(msr_of(vcpu, MSR_MC_ADDR(3)), 0x3000);
	CHECK_EQ(msr_of(vcpu, MSR_MC_MISC(4)), 4);
}

static void registers_guest(uint64_t arg)
{
	uint64_t value;

	(void)arg;
	G_CHECK_EQ(rdmsr(MSR_MCG_CAP), BANKS | MCG_CTL_P);
	G_CHECK_EQ(wrmsr_try(MSR_MCG_CAP, BANKS), GP_VECTOR);
	wrmsr(MSR_MCG_CTL, ~0ULL);
	wrmsr(MSR_MC_CTL(BANKS - 1), 0);
	G_CHECK_EQ(rdmsr(MSR_MC_CTL(BANKS - 1)), 0);
	G_CHECK_EQ(rdmsr(MSR_MC_STATUS(2)), MCI_VAL | 7);
	G_CHECK_EQ(wrmsr_try(MSR_MC_STATUS(2), MCI_VAL), GP_VECTOR);
	wrmsr(MSR_MC_STATUS(2), 0);
	G_CHECK_EQ(rdmsr(MSR_MC_STATUS(2)), 0);
	G_CHECK_EQ(rdmsr_try(MSR_MC_CTL(BANKS), &value), GP_VECTOR);
	G_CHECK_EQ(wrmsr_try(MSR_MC_CTL(BANKS), 0), GP_VECTOR);
}

TEST(guest_uses_registers)
{
	struct vcpu *vcpu;

	NEED_CAP(KVM_CAP_MCE);
	vcpu = vcpu_new(vm_new(0), 0, registers_guest);
	CHECK_OK(setup(vcpu, BANKS | MCG_CTL_P));
	CHECK_OK(vcpu_set_msr(vcpu, MSR_MC_STATUS(2), MCI_VAL | 7));
	EXPECT_DONE(vcpu);
}

TEST(corrected_errors)
{
	struct vcpu *vcpu;

	NEED_CAP(KVM_CAP_MCE);
	vcpu = vcpu_new(vm_new(0), 0, nothing);
	CHECK_OK(setup(vcpu, BANKS));
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_X86_SET_MCE, BAD_PTR), EFAULT);
	CHECK_ERR(report(vcpu, BANKS, MCI_VAL, 0), EINVAL);
	CHECK_ERR(report(vcpu, 255, MCI_VAL, 0), EINVAL);
	CHECK_ERR(report(vcpu, 1, 1, 0), EINVAL);
	CHECK_OK(report(vcpu, 1, MCI_VAL | 1, 0x1000));
	CHECK_EQ(msr_of(vcpu, MSR_MC_STATUS(1)), MCI_VAL | 1);
	CHECK_EQ(msr_of(vcpu, MSR_MC_ADDR(1)), 0x1000);
	CHECK_EQ(msr_of(vcpu, MSR_MC_MISC(1)), 0x86);
	CHECK_OK(report(vcpu, 1, MCI_VAL | 2, 0x2000));
	CHECK_EQ(msr_of(vcpu, MSR_MC_STATUS(1)), MCI_VAL | MCI_OVER | 2);
	/* An uncorrected one is not overwritten by one that was corrected. */
	CHECK_OK(vcpu_set_msr(vcpu, MSR_MC_STATUS(1), MCI_VAL | MCI_UC | 3));
	CHECK_OK(report(vcpu, 1, MCI_VAL | 4, 0x4000));
	CHECK_EQ(msr_of(vcpu, MSR_MC_STATUS(1)), MCI_VAL | MCI_UC | MCI_OVER | 3);
	CHECK_EQ(msr_of(vcpu, MSR_MC_ADDR(1)), 0x2000);
	/* Nothing of this interrupts the guest. */
	EXPECT_DONE(vcpu);
}

/* An uncorrected error of which nothing follows is logged and interrupts nobody. */
TEST(no_action_required)
{
	struct kvm_x86_mce mce = { .status = MCI_VAL | MCI_UC | 5, .addr = 0x6000, .bank = 2 };
	struct vcpu *vcpu;

	NEED_CAP(KVM_CAP_MCE);
	vcpu = vcpu_new(vm_new(0), 0, nothing);
	CHECK_OK(setup(vcpu, BANKS));
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_X86_SET_MCE, &mce));
	CHECK_EQ(msr_of(vcpu, MSR_MC_STATUS(2)), MCI_VAL | MCI_UC | 5);
	CHECK_EQ(msr_of(vcpu, MSR_MC_ADDR(2)), 0x6000);
	EXPECT_DONE(vcpu);
}

static void uncorrected_guest(uint64_t arg)
{
	(void)arg;
	write_cr4(read_cr4() | CR4_MCE);
	guest_handlers[MC_VECTOR] = guest_ignore;
	guest_sync(1, 0);
	G_CHECK_EQ(guest_cpu()->taken[MC_VECTOR], 1);
	G_CHECK_EQ(rdmsr(MSR_MCG_STATUS), MCG_STATUS_MCIP);
	G_CHECK_EQ(rdmsr(MSR_MC_STATUS(3)), MCI_VAL | MCI_UC | 9);
	G_CHECK_EQ(rdmsr(MSR_MC_ADDR(3)), 0x5000);
	wrmsr(MSR_MC_STATUS(3), 0);
	wrmsr(MSR_MCG_STATUS, 0);
	wrmsr(MSR_MC_CTL(3), 0);
	guest_sync(2, 0);
	/* Its reporting was disabled. */
	G_CHECK_EQ(guest_cpu()->taken[MC_VECTOR], 1);
	G_CHECK_EQ(rdmsr(MSR_MC_STATUS(3)), 0);
	wrmsr(MSR_MC_CTL(3), ~0ULL);
	guest_sync(3, 0);
	G_CHECK(!"a second machine check during the first has no effect");
}

TEST(uncorrected_errors)
{
	struct vcpu *vcpu;

	NEED_CAP(KVM_CAP_MCE);
	vcpu = vcpu_new(vm_new(0), 0, uncorrected_guest);
	CHECK_OK(setup(vcpu, BANKS | MCG_CTL_P | MCG_SER_P));
	EXPECT_SYNC(vcpu, 1);
	CHECK_OK(report(vcpu, 3, MCI_VAL | MCI_UC | 9, 0x5000));
	EXPECT_SYNC(vcpu, 2);
	CHECK_OK(report(vcpu, 3, MCI_VAL | MCI_UC | 9, 0x5000));
	EXPECT_SYNC(vcpu, 3);
	CHECK_OK(vcpu_set_msr(vcpu, MSR_MCG_STATUS, MCG_STATUS_MCIP));
	CHECK_OK(report(vcpu, 3, MCI_VAL | MCI_UC | 9, 0x5000));
	EXPECT_EXIT(vcpu, KVM_EXIT_SHUTDOWN);
}

TEST(uncorrected_without_handler)
{
	struct vcpu *vcpu;
	struct vm *vm;

	NEED_CAP(KVM_CAP_MCE);
	/* CR4.MCE is clear. */
	vcpu = vcpu_new(vm_new(0), 0, nothing);
	CHECK_OK(setup(vcpu, BANKS));
	CHECK_OK(report(vcpu, 0, MCI_VAL | MCI_UC, 0));
	EXPECT_EXIT(vcpu, KVM_EXIT_SHUTDOWN);

	/* The same for one that waits to be started. */
	vm = vm_new(VM_IRQCHIP);
	vcpu_bare(vm, 0);
	vcpu = vcpu_bare(vm, 1);
	CHECK_OK(setup(vcpu, BANKS));
	CHECK_OK(report(vcpu, 0, MCI_VAL | MCI_UC, 0));
	EXPECT_EXIT(vcpu, KVM_EXIT_SHUTDOWN);
}
