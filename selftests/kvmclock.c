// SPDX-License-Identifier: GPL-2.0-only
/* The paravirtual clock that Linux guests keep time by. */
#include <linux/kvm_para.h>
#include <string.h>
#include <time.h>

#include "pvclock.h"
#include "vm.h"

/* Layout given by KVM's documentation of its MSRs. */
struct wall_clock {
	uint32_t version, sec, nsec;
} __attribute__((packed));

static volatile struct time_info info __attribute__((aligned(64)));
static volatile struct wall_clock wall __attribute__((aligned(64)));

static void clock_guest(uint64_t arg)
{
	uint64_t last, now;
	int i;

	(void)arg;
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)&info | 1);
	G_CHECK_EQ(rdmsr(MSR_KVM_SYSTEM_TIME_NEW), (uintptr_t)&info | 1);
	G_CHECK(info.version != 0);
	G_CHECK_EQ(info.version & 1, 0);
	G_CHECK(info.tsc_to_system_mul != 0);
	last = pvclock_ns(&info);
	for (i = 0; i < 300; i++) {
		now = pvclock_ns(&info);
		G_CHECK(now >= last);
		last = now;
		if (i % 50 == 0)
			guest_sync(i, now);
	}
	wrmsr(MSR_KVM_WALL_CLOCK_NEW, (uintptr_t)&wall);
	G_CHECK_EQ(wall.version & 1, 0);
	guest_sync(1000, pvclock_ns(&info));
	/* Off: it is no longer written. */
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, 0);
	info.version = 0x1000;
	guest_sync(1001, 0);
	G_CHECK_EQ(info.version, 0x1000);
}

static uint64_t now_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

TEST(system_time_and_wall_clock)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, clock_guest);
	struct kvm_cpuid_entry2 *leaf;
	volatile struct wall_clock *clock;
	uint64_t guest_start, guest, ran, real, slack, since;
	/* The host's clock before and after the guest has read its own, at the start and the end. */
	uint64_t first[2], last[2];
	struct kvm_clock_data data = { 0 };
	int i;

	leaf = cpuid_find(kvm_supported_cpuid(), KVM_CPUID_FEATURES, 0);
	if (!leaf || !(leaf->eax & 1 << KVM_FEATURE_CLOCKSOURCE2))
		test_skip("no kvmclock");
	first[0] = now_ns(CLOCK_MONOTONIC);
	EXPECT_SYNC(vcpu, 0);
	first[1] = now_ns(CLOCK_MONOTONIC);
	guest_start = vcpu->call.b;
	for (i = 50; i < 300; i += 50)
		EXPECT_SYNC(vcpu, i);
	real = now_ns(CLOCK_REALTIME);
	last[0] = now_ns(CLOCK_MONOTONIC);
	EXPECT_SYNC(vcpu, 1000);
	last[1] = now_ns(CLOCK_MONOTONIC);
	guest = vcpu->call.b;
	/* Both ran for the same time, within 10% and 50 ms. */
	ran = guest - guest_start;
	slack = (last[1] - first[0]) / 10 + 50000000;
	CHECK(ran < last[1] - first[0] + slack, "guest %llu ns, host at most %llu ns",
	      (unsigned long long)ran, (unsigned long long)(last[1] - first[0]));
	CHECK(ran + slack > last[0] - first[1], "guest %llu ns, host at least %llu ns",
	      (unsigned long long)ran, (unsigned long long)(last[0] - first[1]));
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_CLOCK, &data));
	/* More than the time since the guest has read its clock. */
	since = now_ns(CLOCK_MONOTONIC) - last[0];
	CHECK(data.clock >= guest && data.clock < guest + since + since / 10 + 1000000000,
	      "KVM_GET_CLOCK %llu, guest read %llu", data.clock,
	      (unsigned long long)guest);
	/* Boot time and time since add up to the time of day. */
	clock = &GUEST_VAR(vm, wall);
	guest += clock->sec * 1000000000ULL + clock->nsec;
	CHECK(guest + 2000000000 > real && guest < now_ns(CLOCK_REALTIME) + 2000000000,
	      "guest's time of day %llu, host's %llu",
	      (unsigned long long)guest, (unsigned long long)real);
	EXPECT_SYNC(vcpu, 1001);
	EXPECT_DONE(vcpu);
}

static void set_guest(uint64_t arg)
{
	uint64_t before, after;

	(void)arg;
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)&info | 1);
	before = pvclock_ns(&info);
	guest_sync(1, before);
	after = pvclock_ns(&info);
	G_CHECK(after >= 1000000000000000);
	/* And not more than a test case may take. */
	G_CHECK(after < 1000000000000000 + 100000000000);
}

TEST(set_clock)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, set_guest);
	struct kvm_clock_data data = { .clock = 1000000000000000 };

	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_CLOCK, &data));
	EXPECT_DONE(vcpu);
}

static void bad_guest(uint64_t arg)
{
	(void)arg;
	/* A page that is no memory: nothing happens, nobody falls over. */
	wrmsr_try(MSR_KVM_SYSTEM_TIME_NEW, GPA_MMIO | 1);
	guest_sync(1, 0);
	wrmsr_try(MSR_KVM_SYSTEM_TIME_NEW, 0xfffffffffffff000 | 1);
	guest_sync(2, 0);
	/* Across the end of the slot. */
	wrmsr_try(MSR_KVM_SYSTEM_TIME_NEW, (MEM_SIZE - 4) | 1);
	guest_sync(3, 0);
	wrmsr_try(MSR_KVM_WALL_CLOCK_NEW, GPA_MMIO);
	wrmsr_try(MSR_KVM_WALL_CLOCK_NEW, ~0ULL);
	guest_sync(4, 0);
}

TEST(bad_addresses)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, bad_guest);
	int i;

	for (i = 1; i <= 4; i++)
		EXPECT_SYNC(vcpu, i);
	EXPECT_DONE(vcpu);
}

#define GPA_LATER	0x40000000ULL

static void later_guest(uint64_t arg)
{
	volatile struct time_info *page = (void *)arg;

	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, arg | 1);
	guest_sync(1, 0);
	G_CHECK(page->version != 0);
	G_CHECK_EQ(page->version & 1, 0);
	G_CHECK(page->tsc_to_system_mul != 0);
}

/* A page that could not be written is written when there is memory. */
TEST(memory_comes_later)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, later_guest);

	if (kvm_is_stock())
		test_skip("stock KVM writes it at the next change");
	vcpu_arg(vcpu, GPA_LATER);
	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(vm_slot(vm, 5, 0, GPA_LATER, PAGE_SIZE, vm_ptr(vm, GPA_FREE)));
	EXPECT_DONE(vcpu);
}
