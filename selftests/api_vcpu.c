// SPDX-License-Identifier: GPL-2.0-only
/* The ioctls of a vCPU and what they say to bad input. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

static void nothing(uint64_t arg)
{
	(void)arg;
}

TEST(unknown_ioctls)
{
	struct vcpu *vcpu = vcpu_bare(vm_bare(), 0);
	int fd = vcpu->fd, want = unknown_ioctl_errno();
	uint64_t buf[512] = { 0 };

	CHECK_ERR(sys_ioctl_val(fd, _IO(KVMIO, 0xff), 0), want);
	CHECK_ERR(sys_ioctl_val(fd, _IO('z', 0), 0), want);
	CHECK_ERR(sys_ioctl_val(fd, 0, 0), want);
	CHECK_ERR(sys_ioctl_val(fd, ~0U, 0), want);
	/* Right number, wrong size. */
	CHECK_ERR(sys_ioctl(fd, _IOR(KVMIO, 0x81, uint32_t), buf), want);
	CHECK_ERR(sys_ioctl(fd, _IOW(KVMIO, 0x82, uint32_t), buf), want);
	CHECK_ERR(sys_ioctl(fd, _IOW(KVMIO, 0x84, uint32_t), buf), want);
	CHECK_ERR(sys_ioctl(fd, _IOW(KVMIO, 0x80, uint32_t), buf), want);
	/* Of other descriptors. */
	CHECK_ERR(sys_ioctl_val(fd, KVM_CREATE_VM, 0), want);
	CHECK_ERR(sys_ioctl_val(fd, KVM_CREATE_VCPU, 1), want);
	CHECK_ERR(sys_ioctl(fd, KVM_SET_USER_MEMORY_REGION, buf), want);
	CHECK_ERR(sys_ioctl_val(fd, KVM_GET_API_VERSION, 0), want);
}

TEST(null_and_unmapped_pointers)
{
	static const unsigned long requests[] = {
		KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS,
		KVM_GET_MSRS, KVM_SET_MSRS, KVM_GET_FPU, KVM_SET_FPU,
		KVM_SET_CPUID2, KVM_GET_CPUID2, KVM_GET_XSAVE, KVM_SET_XSAVE,
		KVM_GET_XCRS, KVM_SET_XCRS, KVM_GET_LAPIC, KVM_SET_LAPIC,
		KVM_GET_MP_STATE, KVM_SET_MP_STATE, KVM_GET_VCPU_EVENTS,
		KVM_SET_VCPU_EVENTS, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS,
		KVM_INTERRUPT,
	};
	struct vcpu *vcpu = vcpu_bare(vm_new(VM_IRQCHIP), 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		if (!CHECK_ERR(sys_ioctl(vcpu->fd, requests[i], NULL),
			       EFAULT) ||
		    !CHECK_ERR(sys_ioctl(vcpu->fd, requests[i], BAD_PTR),
			       EFAULT))
			test_note("with request number %u of the list", i);
	}
}

TEST(run_argument)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);

	CHECK_ERR(sys_ioctl_val(vcpu->fd, KVM_RUN, 1), EINVAL);
	EXPECT_DONE(vcpu);
}

TEST(run_without_memory)
{
	struct vcpu *vcpu = vcpu_bare(vm_bare(), 0);
	long ret = vcpu_run_raw(vcpu);

	/*
	 * The first fetch finds no memory. What a VMM is told differs between
	 * processors, but it is told, and the host survives.
	 */
	CHECK(ret == -EFAULT || ret == 0 || (ret == -ENOSPC && kvm_is_stock()),
	      "got %ld", ret);
	if (ret == 0)
		CHECK(vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR ||
		      vcpu->run->exit_reason == KVM_EXIT_MMIO ||
		      vcpu->run->exit_reason == KVM_EXIT_SHUTDOWN,
		      "exit reason %u", vcpu->run->exit_reason);
}

/* Memory of the slot that user space has not mapped. */
TEST(run_unmapped_slot)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, nothing);

	munmap(vm->mem, vm->mem_size);
	CHECK_ERR(vcpu_run_raw(vcpu), EFAULT);
}

TEST(other_process)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, nothing);
	struct kvm_regs regs;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		CHECK_ERR(vcpu_run_raw(vcpu), EIO);
		CHECK_ERR(sys_ioctl(vcpu->fd, KVM_GET_REGS, &regs), EIO);
		CHECK_ERR(vm_slot(vm, 1, 0, GPA_MMIO, PAGE_SIZE, vm->mem), EIO);
		CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 1), EIO);
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid, "waitpid");
	CHECK_EQ(status, 0);
	EXPECT_DONE(vcpu);
}

TEST(set_cpuid2)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	struct vcpu *vcpu = vcpu_bare(vm_bare(), 0);
	uint32_t nent = table->nent;

	table->nent = 10000;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, table), E2BIG);
	table->nent = ~0U;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, table), E2BIG);
	table->nent = nent;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, table));
	table->nent = 0;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, table));
}

TEST(set_cpuid2_after_run)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);
	struct kvm_cpuid_entry2 *entry = cpuid_find(table, 0, 0);

	EXPECT_DONE(vcpu);
	/* The guest has seen it: the same again is fine, another is not. */
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, table));
	entry->ebx ^= 1;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, table), EINVAL);
}

TEST(get_cpuid2)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	struct vcpu *vcpu = vcpu_bare(vm_bare(), 0);
	uint32_t nent = table->nent;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, table));
	table->nent = nent - 1;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_GET_CPUID2, table), E2BIG);
	table->nent = 256;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_GET_CPUID2, table));
	/* Stock KVM leaves the caller's count. */
	if (!kvm_is_stock())
		CHECK_EQ(table->nent, nent);
}

TEST(msrs)
{
	static struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[300];
	} msrs;
	struct vcpu *vcpu = vcpu_bare(vm_bare(), 0);

	msrs.head.nmsrs = 256;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_GET_MSRS, &msrs), E2BIG);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_MSRS, &msrs), E2BIG);
	msrs.head.nmsrs = ~0U;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_GET_MSRS, &msrs), E2BIG);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_MSRS, &msrs), E2BIG);
	msrs.head.nmsrs = 0;
	CHECK_RET(sys_ioctl(vcpu->fd, KVM_GET_MSRS, &msrs), 0);
	/* The result is the number of leading MSRs that could be done. */
	msrs.head.nmsrs = 3;
	msrs.entry[0].index = 0x174;
	msrs.entry[1].index = 0xdeadbeef;
	msrs.entry[2].index = 0x175;
	CHECK_RET(sys_ioctl(vcpu->fd, KVM_GET_MSRS, &msrs), 1);
	CHECK_RET(sys_ioctl(vcpu->fd, KVM_SET_MSRS, &msrs), 1);
}

TEST(msr_bad_values)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} bad[] = {
		{ 0xc0000080, 1ULL << 40 },		/* EFER: reserved */
		{ 0x277, 0x0808080808080808ULL },	/* PAT: no such type */
		{ 0xc0000082, 1ULL << 63 },		/* LSTAR: canonical */
		{ 0xc0000102, 1ULL << 60 },		/* KERNEL_GS_BASE */
		{ 0x1b, ~0ULL },			/* APIC_BASE */
	};
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, nothing);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(vcpu_set_msr(vcpu, bad[i].index, bad[i].value) == -EINVAL,
		      "MSR %#x took %#llx", bad[i].index,
		      (unsigned long long)bad[i].value);
}

static void check_bad_sregs(struct vcpu *vcpu, const struct kvm_sregs *good,
			    const char *what, const struct kvm_sregs *bad)
{
	struct kvm_sregs now, try = *bad;
	long ret = vcpu_set_sregs(vcpu, &try);

	CHECK(ret == -EINVAL, "%s: expected -EINVAL, got %ld", what, ret);
	vcpu_get_sregs(vcpu, &now);
	CHECK(now.cr0 == good->cr0 && now.cr4 == good->cr4 &&
	      now.efer == good->efer && now.cr3 == good->cr3,
	      "%s: the failed call changed registers", what);
}

TEST(sregs_bad_values)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, nothing);
	struct kvm_sregs good, bad;

	vcpu_get_sregs(vcpu, &good);
#define BAD(what, change)						\
	do {								\
		bad = good;						\
		change;							\
		check_bad_sregs(vcpu, &good, what, &bad);		\
	} while (0)
	BAD("CR4 reserved bit", bad.cr4 |= 1ULL << 31);
	BAD("CR4 without PAE in long mode", bad.cr4 &= ~(1ULL << 5));
	BAD("CR0 above 32 bits", bad.cr0 |= 1ULL << 32);
	BAD("CR0.PG without PE", bad.cr0 &= ~1ULL);
	BAD("CR0.NW without CD", bad.cr0 |= 1ULL << 29);
	BAD("EFER.LME without LMA", bad.efer &= ~(1ULL << 10));
	/* Stock KVM takes these, and the entry fails. */
	if (!kvm_is_stock())
		BAD("EFER reserved bit", bad.efer |= 1ULL << 50);
	BAD("CR3 beyond physical width", bad.cr3 |= 1ULL << 60);
	BAD("APIC base beyond physical width", bad.apic_base |= 1ULL << 60);
#undef BAD
	EXPECT_DONE(vcpu);
}

TEST(debugregs)
{
	struct vcpu *vcpu = vcpu_bare(vm_bare(), 0);
	struct kvm_debugregs regs;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &regs));
	regs.flags = 1;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &regs), EINVAL);
	regs.flags = 0;
	regs.dr6 |= 1ULL << 32;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &regs), EINVAL);
	regs.dr6 &= 0xffffffff;
	regs.dr7 |= 1ULL << 32;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &regs), EINVAL);
	regs.dr7 &= 0xffffffff;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &regs));
}

TEST(xcrs)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);
	struct kvm_xcrs xcrs;

	NEED_CAP(KVM_CAP_XCRS);
	if (!(cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & 1 << 26))
		test_skip("no XSAVE");
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_XCRS, &xcrs));
	xcrs.nr_xcrs = 17;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.nr_xcrs = ~0U;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.nr_xcrs = 1;
	xcrs.flags = 1;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.flags = 0;
	xcrs.xcrs[0].xcr = 0;
	xcrs.xcrs[0].value = 0;		/* x87 is not optional */
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.xcrs[0].value = 5;		/* AVX without SSE */
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.xcrs[0].value = 1ULL << 62 | 1;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs), EINVAL);
	xcrs.xcrs[0].value = 1;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs));
}

TEST(xsave_bad_header)
{
	static struct kvm_xsave xsave;
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);
	uint64_t *header = (uint64_t *)((char *)xsave.region + 512);

	if (!(cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & 1 << 26))
		test_skip("no XSAVE");
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_XSAVE, &xsave));
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_XSAVE, &xsave));
	header[0] |= 1ULL << 62;	/* XSTATE_BV: no such component */
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_XSAVE, &xsave), EINVAL);
	header[0] &= ~(1ULL << 62);
	xsave.region[6] = 0xffff0000;	/* MXCSR: reserved bits would #GP */
	header[0] |= 2;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_XSAVE, &xsave), EINVAL);
}

TEST(fpu_reserved_mxcsr)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);
	struct kvm_fpu fpu;
	long ret;

	/* The host must not meet #GP when it loads this. */
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_FPU, &fpu));
	fpu.mxcsr = 0xffff0000;
	ret = sys_ioctl(vcpu->fd, KVM_SET_FPU, &fpu);
	CHECK(ret == 0 || ret == -EINVAL, "got %ld", ret);
	EXPECT_DONE(vcpu);
}

TEST(mp_state)
{
	struct kvm_mp_state state = { .mp_state = 0xffff };
	struct vcpu *vcpu = vcpu_bare(vm_new(VM_IRQCHIP), 0);
	struct vcpu *no_apic = vcpu_bare(vm_bare(), 0);

	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state), EINVAL);
	state.mp_state = KVM_MP_STATE_HALTED;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state));
	CHECK_ERR(sys_ioctl(no_apic->fd, KVM_SET_MP_STATE, &state), EINVAL);
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	CHECK_OK(sys_ioctl(no_apic->fd, KVM_SET_MP_STATE, &state));
}

TEST(vcpu_events)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, nothing);
	struct kvm_vcpu_events events, good;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &good));
	events = good;
	events.flags = 1U << 31;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	events = good;
	events.exception.injected = 1;
	events.exception.nr = 32;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	events.exception.nr = 2;	/* NMI is no exception */
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events), EINVAL);
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &good));
	EXPECT_DONE(vcpu);
}

TEST(interrupt)
{
	struct kvm_interrupt irq = { .irq = 256 };
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);
	struct vcpu *with_chip = vcpu_new(vm_new(VM_IRQCHIP), 0, nothing);

	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_INTERRUPT, &irq), EINVAL);
	irq.irq = ~0U;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_INTERRUPT, &irq), EINVAL);
	irq.irq = 0x40;
	CHECK_ERR(sys_ioctl(with_chip->fd, KVM_INTERRUPT, &irq), ENXIO);
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_INTERRUPT, &irq));
}

TEST(lapic)
{
	struct vcpu *none = vcpu_new(vm_new(0), 0, nothing);
	struct kvm_lapic_state state;

	CHECK_ERR(sys_ioctl(none->fd, KVM_GET_LAPIC, &state), EINVAL);
	memset(&state, 0, sizeof(state));
	CHECK_ERR(sys_ioctl(none->fd, KVM_SET_LAPIC, &state), EINVAL);
}

TEST(signal_mask)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} mask = { .head.len = 4 };
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);
	long ret = sys_ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask);

	if (ret == -ENOTTY)
		test_skip("no KVM_SET_SIGNAL_MASK");
	CHECK_RET(ret, -EINVAL);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, BAD_PTR), EFAULT);
	mask.head.len = 8;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask));
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, NULL));
	EXPECT_DONE(vcpu);
}

TEST(set_tsc_khz)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);
	long khz = sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0);

	CHECK_OK(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, khz));
	CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz);
	/* Without the capability the guest's TSC cannot be slower. */
	if (kvm_has(KVM_CAP_TSC_CONTROL) <= 0)
		CHECK(sys_ioctl_val(vcpu->fd, KVM_SET_TSC_KHZ, khz / 2) < 0,
		      "took half the frequency");
	/* Stock KVM reports what it refused. */
	if (!kvm_is_stock())
		CHECK_RET(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0), khz);
	EXPECT_DONE(vcpu);
}

TEST(kvmclock_ctrl)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nothing);

	/* The guest has no clock. */
	CHECK_ERR(sys_ioctl_val(vcpu->fd, KVM_KVMCLOCK_CTRL, 0), EINVAL);
}

TEST(vapic_addr)
{
	struct vcpu *vcpu = vcpu_bare(vm_new(VM_IRQCHIP), 0);
	struct vcpu *none = vcpu_bare(vm_new(0), 0);
	struct kvm_vapic_addr addr = { .vapic_addr = 0 };

	/* As QEMU does at each reset. */
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_VAPIC_ADDR, &addr));
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_VAPIC_ADDR, BAD_PTR), EFAULT);
	CHECK_ERR(sys_ioctl(none->fd, KVM_SET_VAPIC_ADDR, &addr), EINVAL);
	addr.vapic_addr = GPA_MMIO;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_VAPIC_ADDR, &addr), EINVAL);
}
