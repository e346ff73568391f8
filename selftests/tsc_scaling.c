// SPDX-License-Identifier: GPL-2.0-only
/* Guests whose TSC has another frequency than the host's. */
#include <linux/kvm_para.h>
#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "apic.h"
#include "pvclock.h"
#include "vm.h"

#define MSR_TSC			0x10
#define MSR_TSC_ADJUST		0x3b
#define V			0x60
#define TSC_STABLE		1	/* of struct time_info.flags */

/* Of the host's frequency. */
static const struct rate {
	unsigned int numerator, denominator;
} rates[] = { { 1, 2 }, { 3, 4 }, { 2, 1 } };

#define for_each_rate(r)	for ((r) = rates; (r) < rates + sizeof(rates) / sizeof(*rates); (r)++)

/* A moment, as the host's clocks show it. */
struct moment {
	uint64_t tsc, ns;
};

static struct moment now(void)
{
	struct timespec ts;
	struct moment m;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	m.ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
	m.tsc = rdtsc();
	return m;
}

static long host_khz(void)
{
	static long khz;

	if (!khz)
		khz = sys_ioctl_val(vm_bare()->fd, KVM_GET_TSC_KHZ, 0);
	return khz;
}

static long khz_of(const struct rate *r)
{
	return host_khz() * r->numerator / r->denominator;
}

/* Ticks of a TSC of @khz in @ticks of the host's. */
static uint64_t scaled(uint64_t ticks, long khz, long host)
{
	return (__uint128_t)ticks * khz / host;
}

/* A thousandth, and what rounding may cost. */
static uint64_t slack(uint64_t value)
{
	return value / 1000 + 10;
}

#define CHECK_BETWEEN(value, low, high, what)				\
	do {								\
		uint64_t value_ = (value), low_ = (low), high_ = (high); \
									\
		CHECK(value_ + slack(low_) >= low_ && value_ <= high_ + slack(high_), \
		      what ": %llu, not %llu to %llu", (unsigned long long)value_, \
		      (unsigned long long)low_, (unsigned long long)high_); \
	} while (0)

static struct vcpu *vcpu_at(struct vm *vm, int id, void (*guest)(uint64_t), long khz)
{
	struct vcpu *vcpu = vcpu_new(vm, id, guest);

	vcpu_runnable(vcpu);
	REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, khz));
	CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz);
	return vcpu;
}

static uint64_t offset_of(struct vcpu *vcpu)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset,
	};

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &attr));
	return offset;
}

static void set_offset(struct vcpu *vcpu, uint64_t offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset,
	};

	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr));
}

static uint64_t tsc_of(struct vcpu *vcpu)
{
	uint64_t value = 0;

	REQUIRE_OK(vcpu_get_msr(vcpu, MSR_TSC, &value));
	return value;
}

static void tsc_guest(uint64_t arg)
{
	(void)arg;
	guest_sync(0, rdtsc());
	guest_sync(1, rdtsc());
	guest_sync(2, rdmsr(MSR_TSC));
}

/*
 * Between what the guest reads at its start and its end there is at least the time from after
 * the first to before the second, and at most that from before the first to after the second:
 * however slow all of it is.
 */
TEST(rdtsc_runs_at_the_rate)
{
	const struct rate *r;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	for_each_rate(r) {
		long host = host_khz(), khz = khz_of(r);
		struct vcpu *vcpu = vcpu_at(vm_new(0), 0, tsc_guest, khz);
		struct moment first[2], last[2];
		uint64_t start, low, high;
		int stage;

		first[0] = now();
		EXPECT_SYNC(vcpu, 0);
		first[1] = now();
		start = vcpu->call.b;
		for (stage = 1; stage <= 2; stage++) {
			usleep(100000);
			last[0] = now();
			EXPECT_SYNC(vcpu, stage);
			last[1] = now();
			low = last[0].tsc - first[1].tsc;
			high = last[1].tsc - first[0].tsc;
			CHECK_BETWEEN(vcpu->call.b - start, scaled(low, khz, host),
				      scaled(high, khz, host), "ticks by the host's TSC");
			/* The frequency of the host's TSC and its clock's may differ by a little. */
			low = (last[0].ns - first[1].ns) / 100 * 99 * khz / 1000000;
			high = (last[1].ns - first[0].ns) / 100 * 101 * khz / 1000000;
			CHECK_BETWEEN(vcpu->call.b - start, low, high, "ticks by the host's clock");
		}
		EXPECT_DONE(vcpu);
		vcpu_free(vcpu);
	}
}

static volatile struct time_info pages[2] __attribute__((aligned(128)));

static void clock_guest(uint64_t id)
{
	int i;

	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)&pages[id] | 1);
	for (i = 0; i < 4; i++)
		guest_sync(i, pvclock_ns(&pages[id]));
}

static uint64_t vm_clock(struct vm *vm)
{
	struct kvm_clock_data data = { 0 };

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_CLOCK, &data));
	return data.clock;
}

/* The guest's clock when it reaches @stage, which is between those that KVM_GET_CLOCK tells. */
static uint64_t guest_clock(struct vcpu *vcpu, int stage)
{
	uint64_t before = vm_clock(vcpu->vm), after;

	EXPECT_SYNC(vcpu, stage);
	after = vm_clock(vcpu->vm);
	/* Both are rounded, and differently: by less than 1 part in a million. */
	CHECK(vcpu->call.b + before / 1000000 + 1000 >= before &&
	      vcpu->call.b <= after + after / 1000000 + 1000,
	      "the guest's clock %llu, the VM's %llu to %llu", (unsigned long long)vcpu->call.b,
	      (unsigned long long)before, (unsigned long long)after);
	return vcpu->call.b;
}

TEST(kvmclock)
{
	const struct rate *r;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	for_each_rate(r) {
		struct vcpu *vcpu = vcpu_at(vm_new(0), 0, clock_guest, khz_of(r));
		struct moment first[2], last[2];
		uint64_t start, ns;

		first[0] = now();
		start = guest_clock(vcpu, 0);
		first[1] = now();
		CHECK_EQ(GUEST_VAR(vcpu->vm, pages)[0].flags & TSC_STABLE, TSC_STABLE);
		usleep(100000);
		last[0] = now();
		ns = guest_clock(vcpu, 1) - start;
		last[1] = now();
		CHECK_BETWEEN(ns, (last[0].ns - first[1].ns) / 100 * 99,
			      (last[1].ns - first[0].ns) / 100 * 101, "ns");
		/* The page follows another rate. */
		REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, host_khz() / 4));
		guest_clock(vcpu, 2);
		usleep(100000);
		REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, 0));
		CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), host_khz());
		guest_clock(vcpu, 3);
		EXPECT_DONE(vcpu);
		vcpu_free(vcpu);
	}
}

/* Pages for TSCs of different rates drift apart by a little, and must not say that they agree. */
TEST(kvmclock_of_two_rates)
{
	struct vcpu *vcpus[2];
	struct vm *vm;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	vm = vm_new(0);
	vcpus[0] = vcpu_at(vm, 0, clock_guest, host_khz() / 2);
	vcpus[1] = vcpu_at(vm, 1, clock_guest, host_khz() / 2);
	vcpu_arg(vcpus[1], 1);
	guest_clock(vcpus[0], 0);
	guest_clock(vcpus[1], 0);
	CHECK_EQ(GUEST_VAR(vm, pages)[0].flags & TSC_STABLE, TSC_STABLE);
	CHECK_EQ(GUEST_VAR(vm, pages)[1].flags & TSC_STABLE, TSC_STABLE);
	REQUIRE_OK(sys_ioctl_val(vcpus[1]->fd, KVM_SET_TSC_KHZ, host_khz() / 3));
	guest_clock(vcpus[0], 1);
	guest_clock(vcpus[1], 1);
	CHECK_EQ(GUEST_VAR(vm, pages)[0].flags & TSC_STABLE, 0);
	CHECK_EQ(GUEST_VAR(vm, pages)[1].flags & TSC_STABLE, 0);
	REQUIRE_OK(sys_ioctl_val(vcpus[0]->fd, KVM_SET_TSC_KHZ, host_khz() / 3));
	guest_clock(vcpus[0], 2);
	guest_clock(vcpus[1], 2);
	CHECK_EQ(GUEST_VAR(vm, pages)[0].flags & TSC_STABLE, TSC_STABLE);
	CHECK_EQ(GUEST_VAR(vm, pages)[1].flags & TSC_STABLE, TSC_STABLE);
}

static void deadline_guest(uint64_t khz)
{
	uint64_t goal;
	int i;

	guest_handlers[V] = guest_eoi;
	apic_enable();
	apic_write(APIC_LVTT, V | APIC_LVT_DEADLINE);
	for (i = 0; i < 4; i++) {
		guest_sync(i, 0);
		/* What was far away and comes nearer is programmed anew. */
		if (i >= 2)
			wrmsr(MSR_TSC_DEADLINE, i == 2 ? ~0ULL : rdtsc() + khz * 3600000);
		goal = rdtsc() + khz * 20;
		wrmsr(MSR_TSC_DEADLINE, goal);
		if (i % 2)
			guest_wait(V, i + 1);
		else
			guest_wait_hlt(V, i + 1);
		G_CHECK(rdtsc() >= goal);
	}
	guest_sync(i, 0);
}

TEST(deadline)
{
	const struct rate *r;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	NEED_CAP(KVM_CAP_TSC_DEADLINE_TIMER);
	cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx |= 1 << 24;
	for_each_rate(r) {
		long khz = khz_of(r);
		struct vcpu *vcpu = vcpu_at(vm_new(VM_IRQCHIP), 0, deadline_guest, khz);
		struct moment before, after;
		int i;

		vcpu_arg(vcpu, khz);
		EXPECT_SYNC(vcpu, 0);
		for (i = 1; i <= 4; i++) {
			before = now();
			EXPECT_SYNC(vcpu, i);
			after = now();
			CHECK(after.ns - before.ns >= 19800000, "%u/%u, deadline %d: after %llu ns",
			      r->numerator, r->denominator, i,
			      (unsigned long long)(after.ns - before.ns));
		}
		EXPECT_DONE(vcpu);
		vcpu_free(vcpu);
	}
}

static void adjust_guest(uint64_t arg)
{
	uint64_t adjust;

	(void)arg;
	guest_sync(0, rdtsc());
	wrmsr(MSR_TSC, 1ULL << 50);
	adjust = rdmsr(MSR_TSC_ADJUST);
	G_CHECK(rdtsc() >= 1ULL << 50);
	G_CHECK(adjust > (1ULL << 50) - (1ULL << 45));
	G_CHECK(adjust <= 1ULL << 50);
	guest_sync(1, rdtsc() - adjust);
	wrmsr(MSR_TSC_ADJUST, 0);
	guest_sync(2, rdtsc());
}

/* IA32_TSC by the host, and by the guest, for which IA32_TSC_ADJUST tells the difference. */
TEST(set_tsc)
{
	const struct rate *r;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	for_each_rate(r) {
		long host = host_khz(), khz = khz_of(r);
		struct vcpu *vcpu = vcpu_at(vm_new(0), 0, adjust_guest, khz);
		struct moment start[2], end;
		uint64_t value = 0x2000000000;
		int i;

		start[0] = now();
		REQUIRE_OK(vcpu_set_msr(vcpu, MSR_TSC, value));
		start[1] = now();
		end = now();
		CHECK_BETWEEN(tsc_of(vcpu), value + scaled(end.tsc - start[1].tsc, khz, host),
			      value + scaled(now().tsc - start[0].tsc, khz, host), "TSC");
		for (i = 0; i < 3; i++) {
			usleep(20000);
			end = now();
			EXPECT_SYNC(vcpu, i);
			CHECK_BETWEEN(vcpu->call.b - value,
				      scaled(end.tsc - start[1].tsc, khz, host),
				      scaled(now().tsc - start[0].tsc, khz, host), "ticks since");
		}
		EXPECT_DONE(vcpu);
		vcpu_free(vcpu);
	}
}

TEST(offset)
{
	const struct rate *r;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	for_each_rate(r) {
		long host = host_khz(), khz = khz_of(r);
		struct vcpu *vcpu = vcpu_at(vm_new(0), 0, tsc_guest, khz);
		uint64_t offset = offset_of(vcpu), before, after;

		set_offset(vcpu, offset + 0x4000000000);
		CHECK_EQ(offset_of(vcpu), offset + 0x4000000000);
		offset += 0x4000000000;
		before = now().tsc;
		EXPECT_SYNC(vcpu, 0);
		after = now().tsc;
		CHECK_BETWEEN(vcpu->call.b - offset, scaled(before, khz, host),
			      scaled(after, khz, host), "TSC minus offset");
	}
}

/* What a program does that moves a VM: a new one goes on where the old one was. */
TEST(carried)
{
	const struct rate *r;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	for_each_rate(r) {
		long host = host_khz(), khz = khz_of(r);
		struct vcpu *vcpu = vcpu_at(vm_new(0), 0, tsc_guest, khz);
		uint64_t first, value, adjust = 0;
		struct moment start, saved[2];

		REQUIRE_OK(vcpu_set_msr(vcpu, MSR_TSC, 0x3000000000));
		EXPECT_SYNC(vcpu, 0);
		first = vcpu->call.b;
		saved[0] = now();
		value = tsc_of(vcpu);
		saved[1] = now();
		REQUIRE_OK(vcpu_get_msr(vcpu, MSR_TSC_ADJUST, &adjust));
		CHECK(value >= first, "the TSC went back");
		vcpu_free(vcpu);

		vcpu = vcpu_at(vm_new(0), 0, tsc_guest, khz);
		REQUIRE_OK(vcpu_set_msr(vcpu, MSR_TSC_ADJUST, adjust));
		value += scaled(now().tsc - saved[1].tsc, khz, host);
		start = now();
		REQUIRE_OK(vcpu_set_msr(vcpu, MSR_TSC, value));
		EXPECT_SYNC(vcpu, 0);
		CHECK(vcpu->call.b >= value && vcpu->call.b > first, "the TSC went back");
		CHECK_BETWEEN(vcpu->call.b - value, 0, scaled(now().tsc - start.tsc, khz, host),
			      "ticks since");
		vcpu_free(vcpu);
	}
}

/* vCPUs that get the same are in step, whether it is their rate or their TSC that is set. */
TEST(in_step)
{
	struct vcpu *vcpus[2];
	struct vm *vm;
	uint64_t value;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	vm = vm_new(0);
	vcpus[0] = vcpu_at(vm, 0, tsc_guest, host_khz() / 2);
	usleep(20000);
	vcpus[1] = vcpu_at(vm, 1, tsc_guest, host_khz() / 2);
	CHECK_EQ(offset_of(vcpus[0]), offset_of(vcpus[1]));
	/* Meant to be the same at the same time, and told one after the other. */
	REQUIRE_OK(vcpu_set_msr(vcpus[0], MSR_TSC, 0x1000000000));
	usleep(20000);
	REQUIRE_OK(vcpu_set_msr(vcpus[1], MSR_TSC, 0x1000000000));
	CHECK_EQ(offset_of(vcpus[0]), offset_of(vcpus[1]));
	usleep(20000);
	value = tsc_of(vcpus[0]);
	CHECK(tsc_of(vcpus[1]) >= value, "the second TSC is behind");
	REQUIRE_OK(vcpu_set_msr(vcpus[0], MSR_TSC, 0));
	usleep(20000);
	REQUIRE_OK(vcpu_set_msr(vcpus[1], MSR_TSC, 0));
	CHECK_EQ(offset_of(vcpus[0]), offset_of(vcpus[1]));
	/* At another rate the same offset means another time. */
	REQUIRE_OK(vcpu_set_msr(vcpus[0], MSR_TSC, 0x1000000000));
	REQUIRE_OK(sys_ioctl_val(vcpus[1]->fd, KVM_SET_TSC_KHZ, host_khz() * 3 / 4));
	REQUIRE_OK(vcpu_set_msr(vcpus[1], MSR_TSC, 0x1000000000));
	value = tsc_of(vcpus[1]);
	CHECK(value >= 0x1000000000, "%#llx", (unsigned long long)value);
}

/* KVM_SET_TSC_KHZ of the VM is what its vCPUs begin with. */
TEST(default_of_the_vm)
{
	struct moment first[2], last[2];
	long host = host_khz(), khz;
	struct vcpu *vcpu;
	uint64_t start;
	struct vm *vm;

	NEED_CAP(KVM_CAP_VM_TSC_CONTROL);
	vm = vm_new(0);
	khz = host / 2;
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_GET_TSC_KHZ, 0), host);
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_SET_TSC_KHZ, khz));
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_GET_TSC_KHZ, 0), khz);
	vcpu = vcpu_new(vm, 0, tsc_guest);
	CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz);
	first[0] = now();
	EXPECT_SYNC(vcpu, 0);
	first[1] = now();
	start = vcpu->call.b;
	usleep(50000);
	last[0] = now();
	EXPECT_SYNC(vcpu, 1);
	last[1] = now();
	CHECK_BETWEEN(vcpu->call.b - start, scaled(last[0].tsc - first[1].tsc, khz, host),
		      scaled(last[1].tsc - first[0].tsc, khz, host), "ticks");
	/* Too late now. */
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_SET_TSC_KHZ, host), -EINVAL);
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_GET_TSC_KHZ, 0), khz);
	/* Both begin with the VM, and one may go its own way. */
	CHECK_EQ(offset_of(vcpu_new(vm, 1, tsc_guest)), offset_of(vcpu));
	CHECK_OK(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, host));
	CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), host);
}

static void wild_guest(uint64_t arg)
{
	uint64_t i;

	(void)arg;
	guest_handlers[V] = guest_eoi;
	apic_enable();
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uintptr_t)&pages[0] | 1);
	apic_write(APIC_LVTT, V | APIC_LVT_DEADLINE);
	for (i = 0; i < 64; i++) {
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + (1ULL << i));
		if (i % 8 == 0)
			wrmsr(MSR_TSC, 1ULL << (63 - i));
		pvclock_ns(&pages[0]);
	}
	wrmsr(MSR_TSC_DEADLINE, ~0ULL);
	wrmsr(MSR_TSC_DEADLINE, 0);
	guest_sync(0, 0);
}

/* What cannot be is refused; what can be, however odd, harms nobody. */
TEST(odd_values)
{
	static const long refused[] = { -1, LONG_MIN, 1L << 31, 1L << 32, 1L << 40, LONG_MAX };
	static const long odd[] = { 1, 2, 999, 8000000, 1 << 30, INT_MAX };
	struct vcpu *vcpu;
	struct vm *vm;
	size_t i;

	NEED_CAP(KVM_CAP_TSC_CONTROL);
	if (kvm_is_stock())
		test_skip("stock KVM takes the low half of what it is given");
	cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx |= 1 << 24;
	for (i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		vm = vm_new(0);
		CHECK_RET(sys_ioctl_val(vm->fd, KVM_SET_TSC_KHZ, refused[i]), -EINVAL);
		CHECK_RET(sys_ioctl_val(vm->fd, KVM_GET_TSC_KHZ, 0), host_khz());
		vcpu = vcpu_at(vm, 0, tsc_guest, host_khz() / 2);
		CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, refused[i]), -EINVAL);
		CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), host_khz() / 2);
	}
	for (i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		long ret;

		vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, wild_guest);
		ret = sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, odd[i]);
		/* Whether the hardware can do the largest depends on the host's. */
		if (ret)
			CHECK_RET(ret, -EINVAL);
		else
			CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), odd[i]);
		EXPECT_SYNC(vcpu, 0);
		EXPECT_DONE(vcpu);
	}
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_SET_TSC_KHZ, 0), -EINVAL);	/* it has vCPUs */
}

/* Where the hardware cannot, the VM says so and goes on as before. */
TEST(not_offered)
{
	long host = host_khz(), ret;
	struct vcpu *vcpu;
	struct vm *vm;

	if (kvm_has(KVM_CAP_TSC_CONTROL) > 0)
		test_skip("the hardware scales the TSC");
	if (kvm_is_stock())
		test_skip("stock KVM takes a faster TSC and advances it from time to time");
	CHECK_RET(kvm_has(KVM_CAP_VM_TSC_CONTROL), 0);
	vm = vm_new(0);
	ret = sys_ioctl_val(vm->fd, KVM_SET_TSC_KHZ, host / 2);
	CHECK_RET(ret, -EINVAL);
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_SET_TSC_KHZ, host * 2), -EINVAL);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_SET_TSC_KHZ, host));
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_SET_TSC_KHZ, 0));
	CHECK_RET(sys_ioctl_val(vm->fd, KVM_GET_TSC_KHZ, 0), host);
	vcpu = vcpu_at(vm, 0, tsc_guest, host);
	CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, host / 2), -EINVAL);
	CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, host * 2), -EINVAL);
	CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, -1), -EINVAL);
	/* 250 ppm are as good as none. */
	CHECK_OK(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, host + host / 5000));
	CHECK_OK(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, 0));
	CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), host);
	EXPECT_SYNC(vcpu, 0);
}
