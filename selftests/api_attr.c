// SPDX-License-Identifier: GPL-2.0-only
/* Device attributes, and capabilities that user space switches on. */
#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>
#include <time.h>

#include "apic.h"
#include "vm.h"

#define PLATFORM_INFO	0xce
#define VECTOR_GP	13
#define HOUR_NS		3600000000000ULL

static long attr_call(int fd, unsigned long call, uint32_t group, uint64_t attr, void *addr)
{
	struct kvm_device_attr args = {
		.group = group, .attr = attr, .addr = (uintptr_t)addr,
	};

	return sys_ioctl(fd, call, &args);
}

static long enable(int fd, uint32_t cap, uint64_t value)
{
	struct kvm_enable_cap args = { .cap = cap, .args = { value } };

	return sys_ioctl(fd, KVM_ENABLE_CAP, &args);
}

TEST(of_the_device)
{
	struct kvm_cpuid_entry2 *leaf = cpuid_find(kvm_supported_cpuid(), 0xd, 0);
	int fd = kvm_open();
	uint64_t xcr0 = 0;

	NEED_CAP(KVM_CAP_SYS_ATTRIBUTES);
	CHECK_ERR(attr_call(fd, KVM_HAS_DEVICE_ATTR, 1, KVM_X86_XCOMP_GUEST_SUPP, NULL), ENXIO);
	CHECK_ERR(attr_call(fd, KVM_HAS_DEVICE_ATTR, 0, 1, NULL), ENXIO);
	CHECK_ERR(attr_call(fd, KVM_GET_DEVICE_ATTR, 0, 1, &xcr0), ENXIO);
	CHECK_ERR(attr_call(fd, KVM_GET_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, BAD_PTR), EFAULT);
	CHECK_OK(attr_call(fd, KVM_HAS_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, NULL));
	CHECK_OK(attr_call(fd, KVM_GET_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, &xcr0));
	if (leaf)
		CHECK_EQ(xcr0, leaf->eax | (uint64_t)leaf->edx << 32);
}

static void tsc_guest(uint64_t arg)
{
	(void)arg;
	for (;;)
		guest_sync(0, rdtsc());
}

TEST(tsc_offset)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, tsc_guest);
	uint64_t offset = 0, value, before, after;

	NEED_CAP(KVM_CAP_VCPU_ATTRIBUTES);
	CHECK_ERR(attr_call(vcpu->fd, KVM_HAS_DEVICE_ATTR, 0, 1, NULL), ENXIO);
	CHECK_ERR(attr_call(vcpu->fd, KVM_HAS_DEVICE_ATTR, 1, 0, NULL), ENXIO);
	CHECK_OK(attr_call(vcpu->fd, KVM_HAS_DEVICE_ATTR, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET,
			   NULL));
	CHECK_ERR(attr_call(vcpu->fd, KVM_GET_DEVICE_ATTR, 0, 0, BAD_PTR), EFAULT);
	CHECK_ERR(attr_call(vcpu->fd, KVM_SET_DEVICE_ATTR, 0, 0, BAD_PTR), EFAULT);
	CHECK_ERR(attr_call(vcpu->fd, KVM_SET_DEVICE_ATTR, 0, 1, &offset), ENXIO);
	CHECK_OK(attr_call(vcpu->fd, KVM_GET_DEVICE_ATTR, 0, 0, &offset));
	before = rdtsc();
	EXPECT_SYNC(vcpu, 0);
	after = rdtsc();
	value = vcpu->call.b - offset;
	CHECK(value >= before && value <= after, "guest's TSC minus offset is not the host's");

	offset += 1ULL << 40;
	CHECK_OK(attr_call(vcpu->fd, KVM_SET_DEVICE_ATTR, 0, 0, &offset));
	value = 0;
	CHECK_OK(attr_call(vcpu->fd, KVM_GET_DEVICE_ATTR, 0, 0, &value));
	CHECK_EQ(value, offset);
	before = rdtsc();
	EXPECT_SYNC(vcpu, 0);
	after = rdtsc();
	value = vcpu->call.b - offset;
	CHECK(value >= before && value <= after, "the guest's TSC is not what the offset says");
}

TEST(xsave2)
{
	static uint8_t one[4096], two[65536];
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, tsc_guest);
	long size = kvm_has(KVM_CAP_XSAVE2);

	NEED_CAP(KVM_CAP_XSAVE2);
	CHECK(size >= 4096 && size <= (long)sizeof(two), "size %ld", size);
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_GET_XSAVE, one));
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_GET_XSAVE2, BAD_PTR), EFAULT);
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_GET_XSAVE2, two));
	CHECK(!memcmp(one, two, sizeof(one)), "the two calls disagree");
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_XSAVE, two));
}

TEST(max_vcpu_id)
{
	struct vm *vm = vm_bare();
	long max = kvm_has(KVM_CAP_MAX_VCPU_ID);

	CHECK_ERR(enable(vm->fd, KVM_CAP_MAX_VCPU_ID, max + 1), EINVAL);
	CHECK_OK(enable(vm->fd, KVM_CAP_MAX_VCPU_ID, 2));
	CHECK_OK(enable(vm->fd, KVM_CAP_MAX_VCPU_ID, 2));
	CHECK_ERR(enable(vm->fd, KVM_CAP_MAX_VCPU_ID, 3), EINVAL);
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 2), EINVAL);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 1));
}

static void platform_guest(uint64_t arg)
{
	uint64_t value;
	int vector;

	(void)arg;
	for (;;) {
		vector = rdmsr_try(PLATFORM_INFO, &value);
		guest_sync(vector == VECTOR_GP, value);
	}
}

TEST(platform_info)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, platform_guest);
	uint64_t value = 0;

	NEED_CAP(KVM_CAP_MSR_PLATFORM_INFO);
	REQUIRE_OK(vcpu_set_msr(vcpu, PLATFORM_INFO, 0x1200));
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(vcpu->call.b, 0x1200);
	CHECK_OK(enable(vcpu->vm->fd, KVM_CAP_MSR_PLATFORM_INFO, 0));
	EXPECT_SYNC(vcpu, 1);
	CHECK_OK(vcpu_get_msr(vcpu, PLATFORM_INFO, &value));
	CHECK_EQ(value, 0x1200);
	CHECK_OK(enable(vcpu->vm->fd, KVM_CAP_MSR_PLATFORM_INFO, 1));
	EXPECT_SYNC(vcpu, 0);
}

static void pv_guest(uint64_t arg)
{
	static const uint32_t msrs[] = {
		MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK_NEW,
		MSR_KVM_SYSTEM_TIME_NEW,
	};
	uint64_t value, i;

	(void)arg;
	for (;;) {
		for (i = 0; i < ARRAY_SIZE(msrs); i++)
			if (wrmsr_try(msrs[i], 0) != VECTOR_GP &&
			    rdmsr_try(msrs[i], &value) != VECTOR_GP)
				guest_sync(1, msrs[i]);
		guest_sync(2, 0);
	}
}

/* Features that CPUID does not name are there all the same, unless user space insists. */
TEST(pv_features)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, pv_guest);
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();
	struct kvm_cpuid_entry2 *leaf = cpuid_find(cpuid, KVM_CPUID_FEATURES, 0);
	int i;

	NEED_CAP(KVM_CAP_ENFORCE_PV_FEATURE_CPUID);
	REQUIRE(leaf, "KVM's features are not in CPUID");
	leaf->eax = 1 << KVM_FEATURE_CLOCKSOURCE2;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid));
	for (i = 0; i < 4; i++)
		EXPECT_SYNC(vcpu, 1);
	EXPECT_SYNC(vcpu, 2);
	CHECK_ERR(enable(vcpu->fd, 0xffffff, 1), EINVAL);
	CHECK_OK(enable(vcpu->fd, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1));
	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->call.b, MSR_KVM_WALL_CLOCK_NEW);
	EXPECT_SYNC(vcpu, 1);
	EXPECT_SYNC(vcpu, 2);
	/* User space can always save and restore them. */
	CHECK_OK(vcpu_set_msr(vcpu, MSR_KVM_WALL_CLOCK, 0));
}

static void halt_guest(uint64_t arg)
{
	int i;

	(void)arg;
	apic_enable();
	guest_handlers[0x60] = guest_eoi;
	for (i = 0; i < 50; i++) {
		apic_write(APIC_LVTT, 0x60);
		apic_write(APIC_TDCR, 0xb);
		apic_write(APIC_TMICT, 1000);
		guest_wait_hlt(0x60, i + 1);
	}
}

/* Polling may not lose a wake-up, nor keep a signal waiting. */
TEST(halt_poll)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, halt_guest);

	NEED_CAP(KVM_CAP_HALT_POLL);
	CHECK_ERR(enable(vcpu->vm->fd, KVM_CAP_HALT_POLL, 1ULL << 32), EINVAL);
	CHECK_OK(enable(vcpu->vm->fd, KVM_CAP_HALT_POLL, 200000));
	EXPECT_DONE(vcpu);
}
