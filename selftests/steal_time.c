// SPDX-License-Identifier: GPL-2.0-only
/* MSR_KVM_STEAL_TIME: how long the host has kept a vCPU waiting. */
#include <errno.h>
#include <linux/kvm_para.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "vm.h"

#define VECTOR_GP	13
#define PAGE		GPA_FREE
#define MISALIGNED	(PAGE | 2 | KVM_MSR_ENABLED)

static struct kvm_steal_time *page(struct vcpu *vcpu)
{
	return vm_ptr(vcpu->vm, PAGE);
}

static void need(void)
{
	struct kvm_cpuid_entry2 *leaf = cpuid_find(kvm_supported_cpuid(), KVM_CPUID_FEATURES, 0);

	NEED_CAP(KVM_CAP_STEAL_TIME);
	if (!leaf || !(leaf->eax & 1 << KVM_FEATURE_STEAL_TIME))
		test_skip("the host does not account for waiting");
}

static void enable_guest(uint64_t arg)
{
	uint64_t value;

	(void)arg;
	G_CHECK_EQ(wrmsr_try(MSR_KVM_STEAL_TIME, MISALIGNED), VECTOR_GP);
	G_CHECK_EQ(wrmsr_try(MSR_KVM_STEAL_TIME, PAGE | KVM_MSR_ENABLED), GUEST_NO_TRAP);
	G_CHECK_EQ(rdmsr_try(MSR_KVM_STEAL_TIME, &value), GUEST_NO_TRAP);
	G_CHECK_EQ(value, PAGE | KVM_MSR_ENABLED);
	guest_sync(1, 0);
	/* Where there is no memory, nobody is told. */
	wrmsr(MSR_KVM_STEAL_TIME, GPA_MMIO | KVM_MSR_ENABLED);
	guest_sync(2, 0);
	wrmsr(MSR_KVM_STEAL_TIME, 0);
}

TEST(enable)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, enable_guest);

	need();
	page(vcpu)->version = 5;
	page(vcpu)->steal = 1000;
	page(vcpu)->preempted = KVM_VCPU_PREEMPTED;
	EXPECT_SYNC(vcpu, 1);
	CHECK(!(page(vcpu)->version & 1) && page(vcpu)->version > 5, "version %u",
	      page(vcpu)->version);
	/* What a migrated guest brings is added to. */
	CHECK(page(vcpu)->steal >= 1000, "steal %llu", page(vcpu)->steal);
	CHECK_EQ(page(vcpu)->preempted, 0);
	EXPECT_SYNC(vcpu, 2);
	EXPECT_DONE(vcpu);
}

static volatile int stop;

static void *burn(void *arg)
{
	while (!stop)
		;
	return arg;
}

static void spin_guest(uint64_t arg)
{
	uint64_t end;

	(void)arg;
	wrmsr(MSR_KVM_STEAL_TIME, PAGE | KVM_MSR_ENABLED);
	guest_sync(1, 0);
	for (;;) {
		for (end = rdtsc() + 400000000; rdtsc() < end; )
			cpu_relax();
		guest_sync(2, 0);
	}
}

static uint64_t waited(void)
{
	char text[64] = "";
	FILE *f = fopen("/proc/thread-self/schedstat", "r");
	unsigned long long on_cpu, wait = 0;

	if (f && fgets(text, sizeof(text), f) &&
	    sscanf(text, "%llu %llu", &on_cpu, &wait) != 2)
		wait = 0;
	if (f)
		fclose(f);
	return wait;
}

/* Another thread wants the same CPU: what the guest is told is what the kernel has counted. */
TEST_LIMIT(stolen, 120)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, spin_guest);
	uint64_t before, after, stolen;
	pthread_t thread;
	cpu_set_t cpus = cpus_allowed(), one = cpus_one(cpus_nth(&cpus, 0));

	need();
	REQUIRE(!sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity: %s", strerror(errno));
	REQUIRE(!pthread_create(&thread, NULL, burn, NULL), "pthread_create");
	EXPECT_SYNC(vcpu, 1);
	before = waited();
	stolen = page(vcpu)->steal;
	/* Until the other has had its turn: the whole machine may have been kept waiting. */
	do {
		EXPECT_SYNC(vcpu, 2);
		after = waited();
	} while (after <= before + 1000000);
	EXPECT_SYNC(vcpu, 2);
	stolen = page(vcpu)->steal - stolen;
	stop = 1;
	pthread_join(thread, NULL);
	CHECK(stolen >= after - before, "the guest knows of %llu ns of at least %llu",
	      (unsigned long long)stolen, (unsigned long long)(after - before));
}
