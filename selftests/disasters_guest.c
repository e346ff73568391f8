// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways in which guests have hurt hosts: instructions and MSRs that were not
 * intercepted, exceptions without end, breakpoints that fired in the host.
 * docs/security.md lists the classes.
 */
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpus.h"
#include "vm.h"

#define TRAP_DB	1
#define TRAP_UD	6
#define TRAP_GP	13

static uint64_t statistic(struct vcpu *vcpu, const char *name)
{
	int64_t value = vcpu_counter(vcpu, name);

	REQUIRE(value >= 0, "no statistic %s", name);
	return value;
}

#define EXPECT_UD(insn)							\
	do {								\
		page[0] = 0;						\
		G_CHECK_EQ(GUEST_TRY(insn, : : "a"(page), "c"(0), "d"(0) \
				     : "memory"), TRAP_UD);		\
		G_CHECK_EQ(page[0], 0);					\
	} while (0)

static uint64_t page[512] __attribute__((aligned(4096)));

/* RAX is the address of a page: each would do something if it were let through. */
static void vm_insns_guest(uint64_t arg)
{
	(void)arg;
	EXPECT_UD("vmsave");
	EXPECT_UD("vmload");
	EXPECT_UD("vmrun");
	EXPECT_UD("stgi");
	EXPECT_UD("clgi");
	EXPECT_UD("invlpga");
	EXPECT_UD("skinit");
	EXPECT_UD("vmxon (%%rax)");
	EXPECT_UD("vmxoff");
	EXPECT_UD("vmclear (%%rax)");
	EXPECT_UD("vmptrld (%%rax)");
	EXPECT_UD("vmptrst (%%rax)");
	EXPECT_UD("vmlaunch");
	EXPECT_UD("vmresume");
	EXPECT_UD("vmread %%rcx, %%rdx");
	EXPECT_UD("vmwrite %%rcx, %%rdx");
	EXPECT_UD("vmfunc");
	EXPECT_UD("invept (%%rax), %%rcx");
	EXPECT_UD("invvpid (%%rax), %%rcx");
	EXPECT_UD("encls");
	EXPECT_UD("enclv");
	EXPECT_UD("pconfig");
	EXPECT_UD("rsm");
	/* GETSEC raises #UD as long as CR4.SMXE is clear. */
	EXPECT_UD(".byte 0x0f, 0x37");
	/* CR4.VMXE, CR4.SMXE and EFER.SVME are not for guests. */
	G_CHECK_EQ(GUEST_TRY("mov %0, %%cr4", : : "r"(read_cr4() | 1 << 13)
			     : "memory"), TRAP_GP);
	G_CHECK_EQ(GUEST_TRY("mov %0, %%cr4", : : "r"(read_cr4() | 1 << 14)
			     : "memory"), TRAP_GP);
	G_CHECK_EQ(wrmsr_try(0xc0000080, rdmsr(0xc0000080) | 1 << 12), TRAP_GP);
	G_CHECK_EQ(rdmsr(0xc0000080) & 1 << 12, 0);
	/* An XCR0 without x87, a component that there is not, another register. */
	write_cr4(read_cr4() | 1 << 18);
	G_CHECK_EQ(read_cr4() >> 18 & 1, 1);
	guest_sync(1, 0);
	G_CHECK_EQ(GUEST_TRY("xsetbv", : : "a"(6), "d"(0), "c"(0)), TRAP_GP);
	G_CHECK_EQ(GUEST_TRY("xsetbv", : : "a"(1), "d"(1 << 30), "c"(0)), TRAP_GP);
	G_CHECK_EQ(GUEST_TRY("xsetbv", : : "a"(1), "d"(0), "c"(1)), TRAP_GP);
}

/* VMLOAD, SKINIT and their like, which show or change what is the host's. */
TEST(virtualization_instructions)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, vm_insns_guest);
	struct kvm_cpuid_entry2 *leaf;

	leaf = cpuid_find(kvm_supported_cpuid(), 1, 0);
	if (!(leaf->ecx & 1 << 26))
		test_skip("no XSAVE");
	EXPECT_SYNC(vcpu, 1);
	EXPECT_DONE(vcpu);
}

/* Ranges of the permission maps of both vendors. */
static const uint32_t msr_ranges[] = { 0, 0xc0000000, 0xc0010000 };

#define MSRS_IN_RANGE	0x2000

static void read_msrs_guest(uint64_t first)
{
	uint64_t value;
	uint32_t i;

	for (i = 0; i < MSRS_IN_RANGE; i++)
		rdmsr_try(first + i, &value);
}

/* Those that are switched with the guest, so that they need no exit. */
static bool passed_through(uint32_t msr)
{
	switch (msr) {
	case 0x174 ... 0x176:		/* IA32_SYSENTER_* */
	case 0xc0000081 ... 0xc0000084:	/* STAR, LSTAR, CSTAR, SFMASK */
	case 0xc0000100 ... 0xc0000102:	/* FS, GS, KERNEL_GS base */
		return true;
	default:
		return false;
	}
}

/* Every MSR that is not switched with the guest exits. */
TEST_LIMIT(msr_intercepts, 240)
{
	uint32_t i, msr, want;
	struct vcpu *vcpu;

	NEED_CAP(KVM_CAP_BINARY_STATS_FD);
	if (kvm_is_stock())
		test_skip("the statistics are vitro's");
	for (i = 0; i < ARRAY_SIZE(msr_ranges); i++) {
		vcpu = vcpu_new(vm_new(0), 0, read_msrs_guest);
		vcpu_arg(vcpu, msr_ranges[i]);
		EXPECT_DONE(vcpu);
		want = MSRS_IN_RANGE;
		for (msr = 0; msr < MSRS_IN_RANGE; msr++)
			want -= passed_through(msr_ranges[i] + msr);
		CHECK_EQ(statistic(vcpu, "exits_rdmsr"), want);
	}
}

static const uint32_t host_msrs[] = {
	0x1b, 0x3a, 0x48, 0x17a, 0x17b, 0x174, 0x175, 0x176, 0x1a0, 0x1d9,
	0x200, 0x201, 0x250, 0x277, 0x2ff, 0x38d, 0x38f, 0x3f1, 0x400, 0x401,
	0x480, 0x570, 0x6e1, 0xda0,
	0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000103,
	0xc0000104, 0xc0010000, 0xc0010010, 0xc0010015, 0xc0010016, 0xc001001f,
	0xc0010055, 0xc0010058, 0xc0010111, 0xc0010112, 0xc0010113, 0xc0010114,
	0xc0010117, 0xc0011020, 0xc0011022, 0xc0011023, 0xc0011029,
};

static void write_msrs_guest(uint64_t arg)
{
	uint64_t value, i;
	uint32_t bit;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(host_msrs); i++) {
		wrmsr_try(host_msrs[i], ~0ULL);
		wrmsr_try(host_msrs[i], 0x1000);
		wrmsr_try(host_msrs[i], 0);
		if (rdmsr_try(host_msrs[i], &value) != GUEST_NO_TRAP)
			value = 0;
		for (bit = 0; bit < 48; bit++)
			wrmsr_try(host_msrs[i], value ^ 1ULL << bit);
	}
}

static bool host_msr(int fd, uint32_t msr, uint64_t *value)
{
	return pread(fd, value, sizeof(*value), msr) == sizeof(*value);
}

/* Whatever the guest writes, the host's registers keep their values. */
TEST(host_msrs)
{
	uint64_t before[ARRAY_SIZE(host_msrs)], after;
	bool there[ARRAY_SIZE(host_msrs)];
	struct vcpu *vcpu;
	int fd, cpu = sched_getcpu();
	cpu_set_t set = cpus_one(cpu);
	char path[32];
	uint32_t i;

	REQUIRE(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
	snprintf(path, sizeof(path), "/dev/cpu/%d/msr", cpu);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		test_skip("no %s: %s", path, strerror(errno));
	vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, write_msrs_guest);
	for (i = 0; i < ARRAY_SIZE(host_msrs); i++)
		there[i] = host_msr(fd, host_msrs[i], &before[i]);
	EXPECT_DONE(vcpu);
	for (i = 0; i < ARRAY_SIZE(host_msrs); i++) {
		if (!there[i])
			continue;
		CHECK(host_msr(fd, host_msrs[i], &after) && after == before[i],
		      "MSR %#x was %#llx, is %#llx", host_msrs[i],
		      (unsigned long long)before[i], (unsigned long long)after);
	}
}

/* 32-bit code at CPL 3 whose stack is misaligned, and whose #AC handler has it, too. */
BLOB(alignment,
     ".code32\n"
     "movl %eax, 1(%ebx)\n"
     /* Only a processor that checks no alignment gets here. */
     "outb %al, $0x80\n"
     ".org 64\n"
     "1: jmp 1b\n");

#define ALIGNMENT_HANDLER	(GPA_BLOB + 64)
#define ALIGNMENT_GDT		GPA_FREE
#define ALIGNMENT_IDT		(GPA_FREE + 0x1000)
#define ALIGNMENT_STACK		(GPA_FREE + 0x3002)
#define SEL_CODE3		0x0b
#define SEL_DATA3		0x13

static struct kvm_segment flat(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type,
		.s = 1, .dpl = 3, .present = 1, .db = 1, .g = 1,
	};
}

static void alignment_state(struct vcpu *vcpu)
{
	struct kvm_regs regs = {
		.rip = GPA_BLOB, .rsp = ALIGNMENT_STACK, .rbx = GPA_FREE + 0x4000,
		.rflags = 2 | 3 << 12 | 1 << 18,
	};
	struct kvm_segment data = flat(SEL_DATA3, 3);
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr0 = 1 | 1 << 4 | 1 << 18;
	sregs.cr4 = 0;
	sregs.efer = 0;
	sregs.cs = flat(SEL_CODE3, 11);
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.gdt.base = ALIGNMENT_GDT;
	sregs.gdt.limit = 0xff;
	sregs.idt.base = ALIGNMENT_IDT;
	sregs.idt.limit = 0x7ff;
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	vcpu_set_regs(vcpu, &regs);
}

/*
 * The handler's frame is pushed at CPL 3 to its misaligned stack: delivering
 * #AC raises #AC. Without an intercept the processor never leaves the guest.
 */
TEST(alignment_check_loop)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_bare(vm, 0);
	uint64_t *gdt = vm_ptr(vm, ALIGNMENT_GDT);
	uint64_t *idt = vm_ptr(vm, ALIGNMENT_IDT);
	long ret;

	vm_blob(vm, GPA_BLOB, alignment);
	gdt[1] = 0x00cffb000000ffffULL;
	gdt[2] = 0x00cff3000000ffffULL;
	idt[17] = (ALIGNMENT_HANDLER & 0xffff) | (uint64_t)SEL_CODE3 << 16 |
		  0xee00ULL << 32 | (uint64_t)(ALIGNMENT_HANDLER >> 16) << 48;
	alignment_state(vcpu);
	alarm_ms(500);
	ret = vcpu_run_raw(vcpu);
	if (!ret && vcpu->run->exit_reason == KVM_EXIT_IO)
		test_skip("this processor checks no alignment");
	CHECK_RET(ret, -EINTR);
}

static void step_guest(uint64_t arg)
{
	(void)arg;
	guest_sync(1, 0);
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq\n"
		     "nop; nop; nop\n"
		     "pushfq; andq $~0x100, (%%rsp); popfq\n"
		     : : : "memory", "cc");
	guest_sync(2, guest_cpu()->taken[TRAP_DB]);
}

static void no_step(struct guest_regs *regs)
{
	(void)regs;
}

/* Each #DB exits, so none can be delivered without end. */
TEST(debug_exceptions_exit)
{
	struct vcpu *vcpu;
	uint64_t before;

	if (kvm_is_stock())
		test_skip("the statistics are vitro's");
	guest_handlers[TRAP_DB] = no_step;
	vcpu = vcpu_new(vm_new(0), 0, step_guest);
	EXPECT_SYNC(vcpu, 1);
	before = statistic(vcpu, "exits_exception");
	EXPECT_SYNC(vcpu, 2);
	CHECK(vcpu->call.b >= 4, "%llu traps", (unsigned long long)vcpu->call.b);
	CHECK(statistic(vcpu, "exits_exception") - before >= vcpu->call.b,
	      "%llu traps, %llu exits", (unsigned long long)vcpu->call.b,
	      (unsigned long long)(statistic(vcpu, "exits_exception") - before));
	EXPECT_DONE(vcpu);
}

/* A breakpoint on the memory to which #DB's own frame is pushed. */
static void debug_loop_guest(uint64_t arg)
{
	uint64_t here;

	(void)arg;
	asm volatile("mov %%rsp, %0" : "=r"(here));
	/* The frame's lowest quadwords, wherever the stack is aligned to. */
	write_dr0((here - 0x100) & ~7ULL);
	write_dr1((here - 0x100) | 8);
	write_dr7(0x400 | 0xf | 0x99 << 16);
	asm volatile("mov %%rsp, %%rax\n"
		     "lea -0xd0(%%rsp), %%rsp\n"
		     "andq $~15, %%rsp\n"
		     "int1\n"
		     "mov %%rax, %%rsp\n"
		     : : : "rax", "memory");
}

static void debug_again(struct guest_regs *regs)
{
	(void)regs;
	asm volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ULL));
}

TEST(debug_exception_loop)
{
	struct vcpu *vcpu;
	long ret;

	if (host_is_tcg())
		test_skip("TCG arms no breakpoints that VMRUN loads");
	guest_handlers[TRAP_DB] = debug_again;
	vcpu = vcpu_new(vm_new(0), 0, debug_loop_guest);
	alarm_ms(500);
	ret = vcpu_run_raw(vcpu);
	CHECK(ret == -EINTR || !ret, "KVM_RUN: %ld", ret);
}

/* Where the kernel enters guests. */
static uint64_t enter_address(void)
{
	uint64_t address, found = 0;
	char line[256], name[128];
	FILE *f = fopen("/proc/kallsyms", "r");

	REQUIRE(f, "/proc/kallsyms: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %*c %127s", &address, name) == 2 &&
		    strstr(line, "[vitro]") &&
		    (!strcmp(name, "svm_enter") ||
		     !strcmp(name, "vmx_enter")))
			found = address;
	}
	fclose(f);
	return found;
}

static void breakpoint_guest(uint64_t address)
{
	int i;

	write_dr0(address);
	write_dr1(address);
	write_dr2(address);
	write_dr3(address);
	/* All four, on execution. */
	write_dr7(0x400 | 0xff);
	for (i = 0; i < 20; i++)
		guest_sync(1, i);
	write_dr7(0x400);
}

static __attribute__((noinline)) void never_called(void)
{
	asm volatile("nop");
}

/*
 * The host watches something in this thread, so that its DR7 is in force,
 * while the guest's addresses go into DR0 to DR3: they must not be the kernel's.
 */
TEST(guest_breakpoint_in_host)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_X, .bp_addr = (uintptr_t)never_called,
		.bp_len = sizeof(long),
	};
	uint64_t hits = 0, address;
	struct vcpu *vcpu;
	int fd, i;

	if (kvm_is_stock())
		test_skip("where stock KVM enters guests is not known");
	address = enter_address();
	REQUIRE(address, "neither backend is in /proc/kallsyms");
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (fd < 0)
		test_skip("no hardware breakpoints: %s", strerror(errno));
	vcpu = vcpu_new(vm_new(0), 0, breakpoint_guest);
	vcpu_arg(vcpu, address);
	for (i = 0; i < 20; i++)
		EXPECT_SYNC(vcpu, 1);
	EXPECT_DONE(vcpu);
	REQUIRE(read(fd, &hits, sizeof(hits)) == sizeof(hits), "read");
	CHECK_EQ(hits, 0);
	/* The host's own is in place again. */
	never_called();
	REQUIRE(read(fd, &hits, sizeof(hits)) == sizeof(hits), "read");
	CHECK_EQ(hits, 1);
}
