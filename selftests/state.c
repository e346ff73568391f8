// SPDX-License-Identifier: GPL-2.0-only
/* What a SET call stores, the GET call gives back, and the guest sees. */
#include <stdlib.h>
#include <string.h>

#include "vm.h"

static void done_guest(uint64_t arg)
{
	(void)arg;
}

TEST(regs)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, done_guest);
	struct kvm_regs set, got;
	uint64_t *reg = (uint64_t *)&set;
	unsigned int i;

	for (i = 0; i < sizeof(set) / 8; i++)
		reg[i] = 0x0101010101010101ULL * (i + 1);
	set.rip = 0xffffffff81000000;
	set.rflags = 0x246;
	vcpu_set_regs(vcpu, &set);
	memset(&got, 0xee, sizeof(got));
	vcpu_get_regs(vcpu, &got);
	CHECK(!memcmp(&set, &got, sizeof(set)), "differs");
	/* Bit 1 of RFLAGS is always set. */
	set.rflags = 0;
	vcpu_set_regs(vcpu, &set);
	vcpu_get_regs(vcpu, &got);
	CHECK_EQ(got.rflags, 2);
}

void regs_guest_entry(uint64_t arg);
asm(".pushsection .text\n"
    "regs_guest_entry:\n"
    "outb %al, $0x80\n"
    "outb %al, $0x80\n"
    "notq %rax; notq %rbx; notq %rcx; notq %rdx; notq %rsi; notq %rdi\n"
    "notq %rbp; notq %rsp; notq %r8; notq %r9; notq %r10; notq %r11\n"
    "notq %r12; notq %r13; notq %r14; notq %r15\n"
    "outb %al, $0x80\n"
    ".popsection");

TEST(regs_in_guest)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, regs_guest_entry);
	struct kvm_regs set, got;
	uint64_t *s = (uint64_t *)&set, *g = (uint64_t *)&got;
	unsigned int i;

	vcpu_get_regs(vcpu, &set);
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	vcpu_complete(vcpu);
	vcpu_get_regs(vcpu, &set);
	for (i = 0; i < 16; i++)
		s[i] = 0x123456789abcdef0ULL * (2 * i + 1);
	vcpu_set_regs(vcpu, &set);
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	vcpu_get_regs(vcpu, &got);
	for (i = 0; i < 16; i++)
		CHECK(g[i] == s[i], "register %u: expected %#llx, got %#llx", i,
		      (unsigned long long)s[i], (unsigned long long)g[i]);
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	vcpu_get_regs(vcpu, &got);
	for (i = 0; i < 16; i++)
		CHECK(g[i] == ~s[i], "register %u: expected %#llx, got %#llx",
		      i, (unsigned long long)~s[i], (unsigned long long)g[i]);
}

/* The state that a processor has after reset. */
TEST(reset_state)
{
	struct vcpu *vcpu = vcpu_bare(vm_new(VM_IRQCHIP), 0);
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_fpu fpu;

	vcpu_get_regs(vcpu, &regs);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(regs.rip, 0xfff0);
	CHECK_EQ(regs.rflags, 2);
	CHECK_EQ(regs.rax, 0);
	CHECK_EQ(sregs.cs.selector, 0xf000);
	CHECK_EQ(sregs.cs.base, 0xffff0000);
	CHECK_EQ(sregs.cs.limit, 0xffff);
	CHECK_EQ(sregs.cs.present, 1);
	CHECK_EQ(sregs.ds.base, 0);
	CHECK_EQ(sregs.ds.limit, 0xffff);
	CHECK_EQ(sregs.cr0, 0x60000010);
	CHECK_EQ(sregs.cr3, 0);
	CHECK_EQ(sregs.cr4, 0);
	CHECK_EQ(sregs.efer, 0);
	CHECK_EQ(sregs.idt.limit, 0xffff);
	CHECK_EQ(sregs.gdt.limit, 0xffff);
	CHECK_EQ(sregs.apic_base, 0xfee00900);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_FPU, &fpu));
	/* Stock KVM does not give MXCSR here, nor take it. */
	if (!kvm_is_stock())
		CHECK_EQ(fpu.mxcsr, 0x1f80);
	CHECK_EQ(vcpu_mp_state(vcpu), KVM_MP_STATE_RUNNABLE);
	vcpu = vcpu_bare(vcpu->vm, 1);
	CHECK_EQ(vcpu_mp_state(vcpu), KVM_MP_STATE_UNINITIALIZED);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.apic_base, 0xfee00800);
}

TEST(sregs)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, done_guest);
	struct kvm_sregs set, got;

	vcpu_get_sregs(vcpu, &set);
	set.fs.base = 0x7f1234560000;
	set.gs.base = 0xffff888000000000;
	set.ldt = (struct kvm_segment) {
		.base = 0x12340, .limit = 0xff, .selector = 0x30, .type = 2,
		.present = 1,
	};
	set.gdt.limit = 0x123;
	set.cr2 = 0xdeadbeef;
	set.cr8 = 7;
	set.interrupt_bitmap[1] = 1ULL << 3;	/* vector 67 */
	REQUIRE_OK(vcpu_set_sregs(vcpu, &set));
	memset(&got, 0xee, sizeof(got));
	vcpu_get_sregs(vcpu, &got);
	CHECK(!memcmp(&set.ldt, &got.ldt, sizeof(set.ldt)), "LDT differs");
	CHECK(!memcmp(&set.tr, &got.tr, sizeof(set.tr)), "TR differs");
	CHECK(!memcmp(&set.gdt, &got.gdt, sizeof(set.gdt)), "GDT differs");
	CHECK(!memcmp(&set.cs, &got.cs, sizeof(set.cs)), "CS differs");
	CHECK(!memcmp(&set.fs, &got.fs, sizeof(set.fs)), "FS differs");
	CHECK(!memcmp(&set.gs, &got.gs, sizeof(set.gs)), "GS differs");
	CHECK(!memcmp(&set, &got, sizeof(set)), "something differs");
}

static void segment_guest(uint64_t arg)
{
	uint16_t ds, fs;
	uint64_t first, second;

	(void)arg;
	asm volatile("movw %%ds, %0; movw %%fs, %1" : "=r"(ds), "=r"(fs));
	G_CHECK_EQ(ds, GUEST_SEL_USER_DATA);
	G_CHECK_EQ(fs, GUEST_SEL_USER_DATA);
	asm volatile("movq %%fs:8, %0" : "=r"(first));
	asm volatile("movl %1, %%fs; movq %%fs:(%2), %0" : "=r"(second)
		     : "r"(GUEST_SEL_DATA), "r"(GPA_FREE + 0x1008));
	G_CHECK_EQ(first, 0x1111);
	G_CHECK_EQ(second, 0x2222);
	guest_sync(1, 0);
}

TEST(segment_bases)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, segment_guest);
	struct kvm_sregs sregs;

	*(uint64_t *)vm_ptr(vm, GPA_FREE + 8) = 0x1111;
	*(uint64_t *)vm_ptr(vm, GPA_FREE + 0x1008) = 0x2222;
	vcpu_get_sregs(vcpu, &sregs);
	sregs.fs.base = GPA_FREE;
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	EXPECT_SYNC(vcpu, 1);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.fs.base, 0);
	CHECK_EQ(sregs.fs.selector, GUEST_SEL_DATA);
	EXPECT_DONE(vcpu);
}

TEST(fpu)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, done_guest);
	struct kvm_fpu set, got;
	unsigned int i;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_FPU, &set));
	CHECK_EQ(set.fcw, 0x37f);
	memset(set.fpr, 0x5a, sizeof(set.fpr));
	for (i = 0; i < 8; i++)
		memset(set.fpr[i] + 10, 0, 6);
	for (i = 0; i < sizeof(set.xmm); i++)
		set.xmm[i / 16][i % 16] = i;
	set.fcw = 0x27f;
	set.fsw = 0x3800;
	set.ftwx = 0xff;
	set.mxcsr = 0x1fa0;
	set.last_opcode = 0x123;
	set.last_ip = 0x1234567;
	set.last_dp = 0x7654321;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_FPU, &set));
	memset(&got, 0xee, sizeof(got));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_FPU, &got));
	CHECK(!memcmp(set.fpr, got.fpr, sizeof(set.fpr)), "x87 differs");
	CHECK(!memcmp(set.xmm, got.xmm, sizeof(set.xmm)), "XMM differs");
	CHECK_EQ(got.fcw, set.fcw);
	CHECK_EQ(got.fsw, set.fsw);
	CHECK_EQ(got.ftwx, set.ftwx);
	if (!kvm_is_stock())
		CHECK_EQ(got.mxcsr, set.mxcsr);
	CHECK_EQ(got.last_opcode, set.last_opcode);
	CHECK_EQ(got.last_ip, set.last_ip);
	CHECK_EQ(got.last_dp, set.last_dp);
}

/* KVM_GET_XSAVE's region: the legacy area, the header, then AVX at 576. */
#define XSAVE_XMM	160
#define XSAVE_BV	512
#define XSAVE_YMM	576

static bool has_avx(void)
{
	struct kvm_cpuid_entry2 *leaf;

	leaf = cpuid_find(kvm_supported_cpuid(), 0xd, 0);
	return leaf && (leaf->eax & 7) == 7 &&
	       cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & 1 << 28;
}

static void ymm_guest(uint64_t arg)
{
	uint64_t q[4];

	(void)arg;
	write_cr4(read_cr4() | 1 << 18);
	asm volatile("vmovdqu %%ymm3, %0" : "=m"(q));
	G_CHECK_EQ(q[0], 0x0707060605050404);
	G_CHECK_EQ(q[3], 0x1717161615151414);
	q[2] = 0x2222;
	asm volatile("vmovdqu %0, %%ymm3; vmovdqu %0, %%ymm15" : : "m"(q));
	guest_sync(1, 0);
}

TEST(xsave)
{
	static struct kvm_xsave set, got;
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, ymm_guest);
	uint8_t *area = (uint8_t *)set.region;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = 7 };

	if (!has_avx())
		test_skip("no AVX");
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_XSAVE, &set));
	*(uint64_t *)(area + XSAVE_BV) = 7;
	memcpy(area + XSAVE_XMM + 48, "\4\4\5\5\6\6\7\7\4\4\5\5\6\6\7\7", 16);
	memcpy(area + XSAVE_YMM + 48,
	       "\4\4\5\5\6\6\7\7\x14\x14\x15\x15\x16\x16\x17\x17", 16);
	*(uint32_t *)(area + 24) = 0x1f80;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_XSAVE, &set));
	memset(&got, 0xee, sizeof(got));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_XSAVE, &got));
	CHECK(!memcmp(area + XSAVE_XMM, (uint8_t *)got.region + XSAVE_XMM, 256),
	      "XMM differs");
	CHECK(!memcmp(area + XSAVE_YMM, (uint8_t *)got.region + XSAVE_YMM, 256),
	      "YMM differs");
	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_XSAVE, &got));
	area = (uint8_t *)got.region;
	CHECK_EQ(*(uint64_t *)(area + XSAVE_YMM + 48), 0x2222);
	CHECK_EQ(*(uint64_t *)(area + XSAVE_YMM + 240), 0x2222);
	CHECK_EQ(*(uint64_t *)(area + XSAVE_XMM + 240), 0x0707060605050404);
	EXPECT_DONE(vcpu);
}

static void xcr_guest(uint64_t arg)
{
	uint32_t low, high;

	write_cr4(read_cr4() | 1 << 18);
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	G_CHECK_EQ(low, arg);
	asm volatile("xsetbv" : : "a"(1), "d"(0), "c"(0) : "memory");
}

TEST(xcrs)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, xcr_guest);
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = 3 };

	if (!(cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & 1 << 26))
		test_skip("no XSAVE");
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs));
	memset(&xcrs, 0xee, sizeof(xcrs));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_XCRS, &xcrs));
	CHECK_EQ(xcrs.nr_xcrs, 1);
	CHECK_EQ(xcrs.flags, 0);
	CHECK_EQ(xcrs.xcrs[0].xcr, 0);
	CHECK_EQ(xcrs.xcrs[0].value, 3);
	vcpu_arg(vcpu, 3);
	EXPECT_DONE(vcpu);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_XCRS, &xcrs));
	/* TCG has no exit for XSETBV, and stock KVM does not look. */
	if (!kvm_is_stock() || !host_is_tcg())
		CHECK_EQ(xcrs.xcrs[0].value, 1);
}

TEST(debugregs)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, done_guest);
	struct kvm_debugregs set = {
		.db = { 0x1000, 0xffff800000001000, 3, 4 },
		.dr6 = 0xffff4ff3, .dr7 = 0x4aa,
	}, got;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &set));
	memset(&got, 0xee, sizeof(got));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &got));
	CHECK(!memcmp(&set, &got, sizeof(set)), "differs");
}

TEST(lapic)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, done_guest);
	struct kvm_lapic_state set, got;
	uint32_t *reg = (uint32_t *)set.regs;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_LAPIC, &set));
	CHECK_EQ(reg[0x20 / 4], 0);
	CHECK_EQ(reg[0xf0 / 4], 0xff);
	reg[0x80 / 4] = 0x30;			/* TPR */
	reg[0xd0 / 4] = 0x04000000;		/* logical destination */
	reg[0xf0 / 4] = 0x1ff;			/* spurious: enabled */
	reg[0x320 / 4] = 0x10040;		/* timer: masked */
	reg[0x350 / 4] = 0x700;			/* LINT0: ExtINT */
	reg[0x3e0 / 4] = 0xb;
	reg[0x200 / 4 + 4 * 2] = 1 << 5;	/* IRR: vector 0x45 */
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_LAPIC, &set));
	memset(&got, 0xee, sizeof(got));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_LAPIC, &got));
	CHECK_EQ(*(uint32_t *)(got.regs + 0x80), 0x30);
	CHECK_EQ(*(uint32_t *)(got.regs + 0xd0), 0x04000000);
	CHECK_EQ(*(uint32_t *)(got.regs + 0xf0), 0x1ff);
	CHECK_EQ(*(uint32_t *)(got.regs + 0x320), 0x10040);
	CHECK_EQ(*(uint32_t *)(got.regs + 0x350), 0x700);
	CHECK_EQ(*(uint32_t *)(got.regs + 0x3e0), 0xb);
	CHECK_EQ(*(uint32_t *)(got.regs + 0x220), 1 << 5);
}

TEST(mp_state)
{
	static const uint32_t states[] = {
		KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED,
		KVM_MP_STATE_HALTED, KVM_MP_STATE_RUNNABLE,
	};
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, done_guest);
	struct kvm_mp_state state;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		state.mp_state = states[i];
		REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state));
		CHECK_EQ(vcpu_mp_state(vcpu), states[i]);
	}
	EXPECT_DONE(vcpu);
}

TEST(irqchip)
{
	static struct kvm_irqchip set, got;
	struct vm *vm = vm_new(VM_IRQCHIP);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(&set, 0, sizeof(set));
		set.chip_id = i;
		set.chip.pic.irq_base = i ? 0x28 : 0x20;
		set.chip.pic.imr = 0xa5;
		set.chip.pic.elcr = i ? 0x0c : 0x20;
		set.chip.pic.elcr_mask = i ? 0xde : 0xf8;
		REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_IRQCHIP, &set));
		memset(&got, 0xee, sizeof(got));
		got.chip_id = i;
		REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &got));
		CHECK_EQ(got.chip.pic.irq_base, i ? 0x28 : 0x20);
		CHECK_EQ(got.chip.pic.imr, 0xa5);
		CHECK_EQ(got.chip.pic.elcr, i ? 0x0c : 0x20);
	}
	set.chip_id = KVM_IRQCHIP_IOAPIC;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &set));
	CHECK_EQ(set.chip.ioapic.base_address, 0xfec00000);
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
		CHECK_EQ(set.chip.ioapic.redirtbl[i].fields.mask, 1);
		set.chip.ioapic.redirtbl[i].bits =
			0x0100000000010000ULL | (0x30 + i);
	}
	set.chip.ioapic.id = 5;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_IRQCHIP, &set));
	memset(&got, 0xee, sizeof(got));
	got.chip_id = KVM_IRQCHIP_IOAPIC;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_IRQCHIP, &got));
	CHECK_EQ(got.chip.ioapic.id, 5);
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		CHECK_EQ(got.chip.ioapic.redirtbl[i].bits,
			 0x0100000000010000ULL | (0x30 + i));
}

TEST(pit)
{
	static struct kvm_pit_state2 set, got;
	struct vm *vm = vm_new(VM_PIT);

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_PIT2, &set));
	set.channels[0].count = 0x1234;
	set.channels[0].mode = 2;
	set.channels[0].rw_mode = 3;
	set.channels[2].count = 0x4321;
	set.channels[2].mode = 3;
	set.channels[2].gate = 1;
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_PIT2, &set));
	memset(&got, 0xee, sizeof(got));
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_PIT2, &got));
	CHECK_EQ(got.channels[0].count, 0x1234);
	CHECK_EQ(got.channels[0].mode, 2);
	CHECK_EQ(got.channels[0].rw_mode, 3);
	CHECK_EQ(got.channels[2].count, 0x4321);
	CHECK_EQ(got.channels[2].mode, 3);
	CHECK_EQ(got.channels[2].gate, 1);
	CHECK_EQ(got.flags, set.flags);
}

TEST(clock)
{
	struct kvm_clock_data set = { .clock = 0x123456789abc }, got;
	struct vm *vm = vm_new(0);

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_CLOCK, &set));
	memset(&got, 0xee, sizeof(got));
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_CLOCK, &got));
	CHECK(got.clock >= set.clock && got.clock < set.clock + 100000000000ULL,
	      "expected %#llx or a little more, got %#llx", set.clock,
	      got.clock);
}

TEST(tsc_khz)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, done_guest);
	long khz = sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0);

	CHECK(khz > 1000 && khz < 100000000, "got %ld", khz);
}
