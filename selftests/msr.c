// SPDX-License-Identifier: GPL-2.0-only
/* RDMSR and WRMSR by the guest: known, unknown and with bad values. */
#include "vm.h"

#define VECTOR_GP	13

#define MSR_APIC_BASE		0x1b
#define MSR_TSC			0x10
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_PAT			0x277
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102

#define EFER_SCE	(1ULL << 0)
#define EFER_LME	(1ULL << 8)
#define NON_CANONICAL	0x1234567812345678ULL

static void unknown_guest(uint64_t arg)
{
	static const uint32_t unknown[] = {
		0x0fff0000, 0xc0000fff, 0xc0012000, 0x4fffffff, 0xffffffff,
		0x2000, 0xbfffffff, 0x40001000,
	};
	uint64_t rax, rdx, value;
	unsigned int i;
	int vector;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		rax = 0x1111;
		rdx = 0x2222;
		vector = GUEST_TRY("rdmsr", : "+a"(rax), "+d"(rdx)
				   : "c"(unknown[i]) : "memory");
		G_CHECK_EQ(vector, VECTOR_GP);
		G_CHECK_EQ(guest_cpu()->error, 0);
		/* A fault leaves the registers alone. */
		G_CHECK_EQ(rax, 0x1111);
		G_CHECK_EQ(rdx, 0x2222);
		G_CHECK_EQ(wrmsr_try(unknown[i], 0), VECTOR_GP);
		G_CHECK_EQ(wrmsr_try(unknown[i], ~0ULL), VECTOR_GP);
	}
	/* Upper halves of the operands do not count, those of results do. */
	rax = ~0ULL;
	rdx = ~0ULL;
	asm volatile("rdmsr" : "+a"(rax), "+d"(rdx)
		     : "c"(0xffffffff00000000 | MSR_EFER));
	G_CHECK_EQ(rax >> 32, 0);
	G_CHECK_EQ(rdx, 0);
	value = rax;
	asm volatile("wrmsr" : : "a"(value | 0xffffffff00000000),
		     "d"(0xffffffff00000000), "c"(MSR_EFER));
	G_CHECK_EQ(rdmsr(MSR_EFER), value);
}

TEST(unknown)
{
	EXPECT_DONE(vcpu_new(vm_new(VM_IRQCHIP), 0, unknown_guest));
}

static uint64_t user_rdmsr(void)
{
	return GUEST_TRY("rdmsr", : : "c"(MSR_TSC) : "rax", "rdx", "memory");
}

static uint64_t user_wrmsr(void)
{
	return GUEST_TRY("wrmsr", : : "c"(MSR_TSC), "a"(0), "d"(0) : "memory");
}

static void user_guest(uint64_t arg)
{
	(void)arg;
	G_CHECK_EQ(guest_user(user_rdmsr, GPA_FREE + 0x1000), VECTOR_GP);
	G_CHECK_EQ(guest_user(user_wrmsr, GPA_FREE + 0x1000), VECTOR_GP);
}

TEST(user_mode)
{
	EXPECT_DONE(vcpu_new(vm_new(0), 0, user_guest));
}

struct msr_value {
	uint32_t index;
	uint64_t value;
};

static void check_keeps(const struct msr_value *msr)
{
	uint64_t before = rdmsr(msr->index);

	G_CHECK_EQ(wrmsr_try(msr->index, msr->value), GUEST_NO_TRAP);
	G_CHECK_EQ(rdmsr(msr->index), msr->value);
	/* And across an exit to user space. */
	guest_sync(msr->index, msr->value);
	G_CHECK_EQ(rdmsr(msr->index), msr->value);
	wrmsr(msr->index, before);
}

static const struct msr_value kept[] = {
	{ MSR_SYSENTER_CS, 0x1230 },
	/* AMD has but 32 bits of these. */
	{ MSR_SYSENTER_ESP, 0x12345678 },
	{ MSR_SYSENTER_EIP, 0x23456789 },
	{ MSR_STAR, 0x0018000800000000 },
	{ MSR_LSTAR, 0xffffffff81000000 },
	{ MSR_CSTAR, 0xffffffff81000040 },
	{ MSR_SFMASK, 0x47700 },
	{ MSR_FS_BASE, 0x7f0011112222 },
	{ MSR_KERNEL_GS_BASE, 0xffff888001234000 },
	{ MSR_PAT, 0x0007040600070406 },
	{ MSR_PAT, 0x0105040600070501 },
};

static void keeps_guest(uint64_t arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(kept); i++)
		check_keeps(&kept[i]);
}

TEST(keep_values)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, keeps_guest);
	unsigned int i;
	uint64_t value;

	for (i = 0; i < ARRAY_SIZE(kept); i++) {
		EXPECT_SYNC(vcpu, kept[i].index);
		REQUIRE_OK(vcpu_get_msr(vcpu, kept[i].index, &value));
		CHECK_EQ(value, kept[i].value);
	}
	EXPECT_DONE(vcpu);
}

static void bad_values_guest(uint64_t arg)
{
	static const struct msr_value bad[] = {
		{ MSR_LSTAR, NON_CANONICAL },
		{ MSR_CSTAR, NON_CANONICAL },
		{ MSR_FS_BASE, NON_CANONICAL },
		{ MSR_GS_BASE, NON_CANONICAL },
		{ MSR_KERNEL_GS_BASE, NON_CANONICAL },
		{ MSR_PAT, 0x02 },
		{ MSR_PAT, 0x0300 },
		{ MSR_PAT, 0x0800000000000000 },
		{ MSR_EFER, 1ULL << 1 },
		{ MSR_EFER, 1ULL << 9 },
		{ MSR_EFER, 1ULL << 63 },
		{ MSR_APIC_BASE, 1ULL << 62 },
		{ MSR_APIC_BASE, 1 },
	};
	uint64_t before, value;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (arg && (bad[i].index >= MSR_LSTAR ||
			    bad[i].index == MSR_PAT))
			continue;
		before = rdmsr(bad[i].index);
		value = bad[i].value;
		if (bad[i].index != MSR_PAT)
			value |= before;
		guest_check(__FILE__, __LINE__, "vector of WRMSR",
			    wrmsr_try(bad[i].index, value), VECTOR_GP);
		if (rdmsr(bad[i].index) != before) {
			guest_check(__FILE__, __LINE__, "MSR that changed",
				    bad[i].index, 0);
			wrmsr(bad[i].index, before);
		}
	}
	/* LME cannot change while paging is on. */
	before = rdmsr(MSR_EFER);
	G_CHECK_EQ(wrmsr_try(MSR_EFER, before & ~EFER_LME), VECTOR_GP);
	G_CHECK_EQ(rdmsr(MSR_EFER), before);
}

TEST(bad_values)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, bad_values_guest);

	/* TCG does not check those that a hypervisor need not intercept. */
	vcpu_arg(vcpu, host_is_tcg());
	EXPECT_DONE(vcpu);
}

static void efer_guest(uint64_t arg)
{
	uint64_t efer = rdmsr(MSR_EFER);

	(void)arg;
	wrmsr(MSR_EFER, efer & ~EFER_SCE);
	G_CHECK_EQ(rdmsr(MSR_EFER), efer & ~EFER_SCE);
	G_CHECK_EQ(GUEST_TRY("syscall", : : : "rcx", "r11", "memory"), 6);
	wrmsr(MSR_EFER, efer);
	G_CHECK_EQ(rdmsr(MSR_EFER), efer);
}

TEST(efer_sce)
{
	EXPECT_DONE(vcpu_new(vm_new(0), 0, efer_guest));
}

static void swapgs_guest(uint64_t arg)
{
	uint64_t gs = rdmsr(MSR_GS_BASE), other = 0xffff800000001000, seen;

	(void)arg;
	wrmsr(MSR_KERNEL_GS_BASE, other);
	asm volatile("swapgs" : : : "memory");
	seen = rdmsr(MSR_GS_BASE);
	asm volatile("swapgs" : : : "memory");
	G_CHECK_EQ(seen, other);
	G_CHECK_EQ(rdmsr(MSR_GS_BASE), gs);
	G_CHECK_EQ(rdmsr(MSR_KERNEL_GS_BASE), other);
}

TEST(swapgs)
{
	EXPECT_DONE(vcpu_new(vm_new(0), 0, swapgs_guest));
}

static void tsc_guest(uint64_t arg)
{
	uint64_t last = rdtsc(), now;
	int i;

	(void)arg;
	for (i = 0; i < 1000; i++) {
		now = i % 10 ? rdtsc() : rdmsr(MSR_TSC);
		G_CHECK(now >= last);
		last = now;
		if (i % 250 == 0)
			guest_sync(i, 0);
	}
	/* The guest sets it ... */
	wrmsr(MSR_TSC, 0x100000000000);
	now = rdtsc();
	G_CHECK(now >= 0x100000000000 && now < 0x110000000000);
	guest_sync(2000, now);
	/* ... and so does the host. */
	now = rdtsc();
	G_CHECK(now >= 0x200000000000 && now < 0x210000000000);
}

TEST(tsc)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, tsc_guest);
	uint64_t value;
	int i;

	for (i = 0; i < 1000; i += 250)
		EXPECT_SYNC(vcpu, i);
	EXPECT_SYNC(vcpu, 2000);
	REQUIRE_OK(vcpu_get_msr(vcpu, MSR_TSC, &value));
	CHECK(value >= vcpu->call.b && value < 0x110000000000,
	      "TSC %#llx, guest read %#llx", (unsigned long long)value,
	      (unsigned long long)vcpu->call.b);
	REQUIRE_OK(vcpu_set_msr(vcpu, MSR_TSC, 0x200000000000));
	EXPECT_DONE(vcpu);
}

/* Every MSR that the list promises can be read, and takes what was read. */
TEST(listed)
{
	static struct {
		struct kvm_msr_list head;
		uint32_t index[1024];
	} list = { .head.nmsrs = 1024 };
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, efer_guest);
	uint64_t value;
	uint32_t i;

	REQUIRE_OK(sys_ioctl(vm->kvm, KVM_GET_MSR_INDEX_LIST, &list));
	for (i = 0; i < list.head.nmsrs; i++) {
		uint32_t index = list.head.indices[i];
		long ret = vcpu_get_msr(vcpu, index, &value);

		/* Stock KVM lists some that this vCPU's CPUID rules out. */
		if (ret && kvm_is_stock())
			continue;
		CHECK(ret == 0, "GET of MSR %#x failed", index);
		ret = vcpu_set_msr(vcpu, index, value);
		CHECK(ret == 0 || kvm_is_stock(), "MSR %#x refuses its own value %#llx",
		      index, (unsigned long long)value);
	}
}

/* What QEMU writes at reset; it stops if one of them is refused. */
TEST(qemu_reset)
{
	static const struct msr_value msrs[] = {
		{ MSR_SYSENTER_CS, 0 }, { MSR_SYSENTER_ESP, 0 },
		{ MSR_SYSENTER_EIP, 0 }, { MSR_PAT, 0x0007040600070406 },
		{ MSR_STAR, 0 }, { MSR_CSTAR, 0 }, { MSR_KERNEL_GS_BASE, 0 },
		{ MSR_SFMASK, 0 }, { MSR_LSTAR, 0 }, { MSR_TSC, 0 },
		{ 0x4b564d01, 0 }, { 0x4b564d00, 0 },	/* kvmclock */
		{ 0x11, 0 }, { 0x12, 0 },
		{ 0x3b, 0 },				/* TSC_ADJUST */
		{ 0x6e0, 0 },				/* TSC_DEADLINE */
	};
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, efer_guest);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		CHECK(!vcpu_set_msr(vcpu, msrs[i].index, msrs[i].value),
		      "MSR %#x refuses %#llx", msrs[i].index,
		      (unsigned long long)msrs[i].value);
}

#define MSR_MISC_ENABLE		0x1a0
#define MISC_EMON		(1ULL << 7)
#define MISC_BTS_UNAVAILABLE	(1ULL << 11)
#define MISC_PEBS_UNAVAILABLE	(1ULL << 12)

static void read_only_guest(uint64_t arg)
{
	uint64_t value = rdmsr(MSR_MISC_ENABLE);

	(void)arg;
	G_CHECK(value & MISC_BTS_UNAVAILABLE);
	G_CHECK(value & MISC_PEBS_UNAVAILABLE);
	G_CHECK_EQ(wrmsr_try(MSR_MISC_ENABLE, value ^ MISC_BTS_UNAVAILABLE), VECTOR_GP);
	G_CHECK_EQ(wrmsr_try(MSR_MISC_ENABLE, value ^ MISC_EMON), GUEST_NO_TRAP);
	G_CHECK_EQ(rdmsr(MSR_MISC_ENABLE), value);
	/* Read as zero for systems that do not ask CPUID, but not to be written. */
	G_CHECK_EQ(rdmsr(0x2a), 0);
	G_CHECK_EQ(wrmsr_try(0x2a, 1), VECTOR_GP);
}

/* What a guest can see but not change. */
TEST(read_only)
{
	EXPECT_DONE(vcpu_new(vm_new(0), 0, read_only_guest));
}

/* What is written, and whether that raises #GP: with the types and reserved bits of the SDM. */
static const struct {
	uint32_t index;
	bool refused;
	uint64_t value;
} policy[] = {
	{ 0x2ff, false, 0xc06 },			/* MTRRdefType */
	{ 0x2ff, true, 0xc02 },
	{ 0x2ff, true, 0xc07 },
	{ 0x2ff, true, 0xd06 },
	{ 0x2ff, true, 0x1c06 },
	{ 0x2ff, true, 1ULL << 63 },
	{ 0x250, false, 0x0606060605040100 },		/* fixed ranges */
	{ 0x250, true, 0x0606060605040102 },
	{ 0x259, true, 0x0306060606060606 },
	{ 0x26f, false, 0x0000000000000005 },
	{ 0x26f, true, 0x0006060706060606 },
	{ 0x251, true, 0 },				/* there is none */
	{ 0x200, false, 0x80000006 },			/* variable ranges */
	{ 0x200, true, 0x80000003 },
	{ 0x200, true, 0x80000106 },
	{ 0x20e, true, 1ULL << 62 },
	{ 0x20f, false, 0x80000800 },
	{ 0x20f, true, 0x80000c00 },
	{ 0x20f, true, 0x80000801 },
	{ 0x210, true, 6 },
	{ 0xfe, true, 0x508 },				/* MTRRcap */
	{ MSR_PAT, true, 0x0007040600070402 },
	{ MSR_PAT, true, 0x0f07040600070406 },
	{ MSR_APIC_BASE, true, 0xfee00801 },
	{ MSR_APIC_BASE, true, 0xfee00400 },		/* x2APIC, but not on */
	{ MSR_EFER, true, 0x1d01 | 1ULL << 20 },
};

static uint64_t with_vector(unsigned int line, int vector)
{
	return line << 8 | (vector & 0xff);
}

static void policy_guest(uint64_t is_tcg)
{
	uint64_t before = 0, after = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(policy); i++) {
		/* TCG does not check what a hypervisor need not intercept. */
		if (is_tcg && policy[i].index == MSR_PAT)
			continue;
		/* One that is not there cannot be read, either. */
		rdmsr_try(policy[i].index, &before);
		guest_check(__FILE__, __LINE__, "line of policy[], vector of WRMSR",
			    with_vector(i, wrmsr_try(policy[i].index, policy[i].value)),
			    with_vector(i, policy[i].refused ? VECTOR_GP : GUEST_NO_TRAP));
		rdmsr_try(policy[i].index, &after);
		guest_check(__FILE__, __LINE__, "value of an MSR", after,
			    policy[i].refused ? before : policy[i].value);
	}
}

/* The same from inside and from user space, and on stock KVM. */
TEST(policy)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, policy_guest);
	uint64_t value;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(policy); i++)
		CHECK(!vcpu_set_msr(vcpu, policy[i].index, policy[i].value) != policy[i].refused,
		      "MSR %#x takes %#llx, or does not", policy[i].index,
		      (unsigned long long)policy[i].value);
	vcpu_arg(vcpu, host_is_tcg());
	EXPECT_DONE(vcpu);
	for (i = 0; i < ARRAY_SIZE(policy); i++)
		if (!policy[i].refused && !vcpu_get_msr(vcpu, policy[i].index, &value))
			CHECK_EQ(value, policy[i].value);
}
