// SPDX-License-Identifier: GPL-2.0-only
/* vCPUs: set-up, running them, and saying what came back. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "apic.h"
#include "vm.h"

#define CR0_BOOT	0x80010033	/* PG WP NE ET MP PE */
#define CR4_BOOT	0x620		/* PAE OSFXSR OSXMMEXCPT */
#define EFER_BOOT	0xd01		/* SCE LME LMA NXE */

/* A guest's per-CPU pages: struct guest_cpu, then GDT and TSS. */
#define CPU_GDT		0x1000
#define CPU_TSS		0x1100
#define TSS_LIMIT	0x67
/* Stack for double faults: the far end of the second page. */
#define CPU_IST_TOP	0x2000

struct vcpu *vcpu_bare(struct vm *vm, int id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	REQUIRE(vcpu, "out of memory");
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, id));
	vcpu->run_size = REQUIRE_OK(sys_ioctl_val(vm->kvm,
						  KVM_GET_VCPU_MMAP_SIZE, 0));
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	REQUIRE(vcpu->run != MAP_FAILED, "mmap: %s", strerror(errno));
	return vcpu;
}

void vcpu_free(struct vcpu *vcpu)
{
	munmap(vcpu->run, vcpu->run_size);
	close(vcpu->fd);
	free(vcpu);
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, uint8_t l)
{
	return (struct kvm_segment) {
		.selector = selector, .type = type, .present = 1,
		.dpl = selector & 3, .s = 1, .g = 1, .limit = 0xffffffff,
		.l = l, .db = !l,
	};
}

void sregs_long_mode(struct kvm_sregs *sregs, int id)
{
	sregs->cr0 = CR0_BOOT;
	sregs->cr3 = GPA_PML4;
	sregs->cr4 = CR4_BOOT;
	sregs->efer = EFER_BOOT;
	sregs->cs = segment(GUEST_SEL_CODE, 11, 1);
	sregs->ss = segment(GUEST_SEL_DATA, 3, 0);
	/* DPL 3: IRET to user mode would unload others, and GS with its base. */
	sregs->ds = segment(GUEST_SEL_USER_DATA, 3, 0);
	sregs->es = sregs->ds;
	sregs->fs = sregs->ds;
	sregs->gs = sregs->ds;
	sregs->gs.base = GPA_CPU(id);
	sregs->tr = (struct kvm_segment) {
		.selector = GUEST_SEL_TSS, .type = 11, .present = 1,
		.base = GPA_CPU(id) + CPU_TSS, .limit = TSS_LIMIT,
	};
	sregs->ldt = (struct kvm_segment) { .unusable = 1, .type = 2 };
	sregs->gdt.base = GPA_CPU(id) + CPU_GDT;
	sregs->gdt.limit = 7 * 8 - 1;
	sregs->idt.base = GPA_IDT;
	sregs->idt.limit = 256 * 16 - 1;
}

static void fill_cpu_area(struct vm *vm, int id)
{
	struct guest_cpu *cpu = vm_ptr(vm, GPA_CPU(id));
	uint64_t *gdt = vm_ptr(vm, GPA_CPU(id) + CPU_GDT);
	uint32_t *tss = vm_ptr(vm, GPA_CPU(id) + CPU_TSS);
	uint64_t base = GPA_CPU(id) + CPU_TSS;

	_Static_assert(sizeof(*cpu) <= CPU_GDT, "fits in its page");
	cpu->self = (struct guest_cpu *)GPA_CPU(id);
	cpu->id = id;
	gdt[GUEST_SEL_CODE / 8] = 0x00af9b000000ffff;
	gdt[GUEST_SEL_DATA / 8] = 0x00cf93000000ffff;
	gdt[GUEST_SEL_USER_DATA / 8] = 0x00cff3000000ffff;
	gdt[GUEST_SEL_USER_CODE / 8] = 0x00affb000000ffff;
	gdt[GUEST_SEL_TSS / 8] = TSS_LIMIT | (base & 0xffffff) << 16 |
			   0x8bULL << 40 | (base >> 24 & 0xff) << 56;
	/* RSP0 and IST1. */
	tss[1] = GPA_STACK(id) + GPA_STACK_SIZE / 2;
	tss[9] = GPA_CPU(id) + CPU_IST_TOP;
}

struct vcpu *vcpu_new(struct vm *vm, int id, void (*fn)(uint64_t arg))
{
	uint64_t stack = GPA_STACK(id) + GPA_STACK_SIZE - 8;
	struct kvm_regs regs = {
		.rip = (uintptr_t)fn, .rsp = stack, .rflags = 2,
	};
	struct vcpu *vcpu = vcpu_bare(vm, id);
	struct kvm_sregs sregs;

	REQUIRE(id < MAX_VCPUS, "id");
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, kvm_supported_cpuid()));
	fill_cpu_area(vm, id);
	*(uint64_t *)vm_ptr(vm, stack) = (uintptr_t)guest_done;
	vcpu_get_sregs(vcpu, &sregs);
	sregs_long_mode(&sregs, id);
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	vcpu_set_regs(vcpu, &regs);
	return vcpu;
}

void vcpu_arg(struct vcpu *vcpu, uint64_t arg)
{
	struct kvm_regs regs;

	vcpu_get_regs(vcpu, &regs);
	regs.rdi = arg;
	vcpu_set_regs(vcpu, &regs);
}

void vcpu_runnable(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state));
}

uint32_t vcpu_mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { .mp_state = ~0U };

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_MP_STATE, &state));
	return state.mp_state;
}

bool vcpu_apic_bit(struct vcpu *vcpu, uint32_t reg, uint32_t vector)
{
	struct kvm_lapic_state state;
	uint32_t value;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_LAPIC, &state));
	memcpy(&value, state.regs + reg + vector / 32 * 16, sizeof(value));
	return value >> vector % 32 & 1;
}

void vcpu_apic_enable(struct vcpu *vcpu)
{
	struct kvm_lapic_state state;
	uint32_t svr = APIC_SVR_ENABLE | 0xff;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_LAPIC, &state));
	memcpy(state.regs + APIC_SVR, &svr, sizeof(svr));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_LAPIC, &state));
}

int64_t vcpu_counter(struct vcpu *vcpu, const char *name)
{
	char *buf = calloc(1, 1 << 16);
	const struct kvm_stats_header *head = (void *)buf;
	const struct kvm_stats_desc *desc;
	int64_t value = -1;
	uint32_t i;
	long fd;

	fd = REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_GET_STATS_FD, 0));
	REQUIRE(pread(fd, buf, 1 << 16, 0) > (ssize_t)sizeof(*head), "no statistics");
	close(fd);
	for (i = 0; i < head->num_desc; i++) {
		desc = (void *)(buf + head->desc_offset + i * (sizeof(*desc) + head->name_size));
		if (!strcmp(desc->name, name))
			value = *(int64_t *)(buf + head->data_offset + desc->offset);
	}
	free(buf);
	return value;
}

struct vcpu *vcpu_real_mode(struct vm *vm, int id)
{
	struct kvm_regs regs = {
		.rip = GPA_BLOB, .rsp = GPA_BLOB, .rflags = 2,
	};
	struct vcpu *vcpu = vcpu_bare(vm, id);
	struct kvm_sregs sregs;

	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, kvm_supported_cpuid()));
	vcpu_get_sregs(vcpu, &sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	vcpu_set_regs(vcpu, &regs);
	return vcpu;
}

struct guest_cpu *vcpu_cpu(struct vcpu *vcpu)
{
	return vm_ptr(vcpu->vm, GPA_CPU(vcpu->id));
}

long vcpu_run_raw(struct vcpu *vcpu)
{
	return sys_ioctl_val(vcpu->fd, KVM_RUN, 0);
}

long vcpu_complete(struct vcpu *vcpu)
{
	long ret;

	vcpu->run->immediate_exit = 1;
	ret = vcpu_run_raw(vcpu);
	vcpu->run->immediate_exit = 0;
	return ret;
}

/* A string of the guest, if it lies in its memory. */
static const char *guest_string(struct vm *vm, const char *s)
{
	uint64_t gpa = (uintptr_t)s;

	return gpa && gpa < vm->mem_size - 256 ? vm_ptr(vm, gpa) : "?";
}

static bool is_guest_call(struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_IO &&
	       run->io.direction == KVM_EXIT_IO_OUT &&
	       run->io.port == GUEST_CALL_PORT && run->io.size == 4 &&
	       run->io.count == 1;
}

/* Returns whether vcpu_run() is to return. */
static bool guest_call_event(struct vcpu *vcpu, enum event *event)
{
	struct kvm_run *run = vcpu->run;
	struct vm *vm = vcpu->vm;
	struct guest_call *call = &vcpu->call;
	uint32_t gpa;

	memcpy(&gpa, (char *)run + run->io.data_offset, sizeof(gpa));
	if (gpa > vm->mem_size - sizeof(*call)) {
		*event = EVENT_EXIT;
		return true;
	}
	memcpy(call, vm_ptr(vm, gpa), sizeof(*call));
	switch (call->type) {
	case GUEST_CHECK:
		test_fail(guest_string(vm, call->file), call->line,
			  "guest: %s: expected %#llx, got %#llx",
			  guest_string(vm, call->what),
			  (unsigned long long)call->b,
			  (unsigned long long)call->a);
		return false;
	case GUEST_TRAP:
		test_fail(__FILE__, __LINE__,
			  "guest: unexpected vector %llu, error %#llx, rip %#llx, cr2 %#llx",
			  (unsigned long long)call->a,
			  (unsigned long long)call->b,
			  (unsigned long long)call->rip,
			  (unsigned long long)call->cr2);
		*event = EVENT_TRAP;
		return true;
	case GUEST_SYNC:
		*event = EVENT_SYNC;
		return true;
	default:
		*event = EVENT_DONE;
		return true;
	}
}

enum event vcpu_run(struct vcpu *vcpu)
{
	enum event event;
	long ret;

	for (;;) {
		ret = vcpu_run_raw(vcpu);
		/* The documented answer of a vCPU that INIT has woken. */
		if (ret == -EAGAIN)
			continue;
		if (ret < 0)
			return EVENT_ERROR;
		if (!is_guest_call(vcpu->run))
			return EVENT_EXIT;
		if (guest_call_event(vcpu, &event))
			return event;
	}
}

static void describe_exit(struct vcpu *vcpu, char *buf, size_t size)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		snprintf(buf, size, "exit IO %s port %#x size %u count %u",
			 run->io.direction ? "out" : "in", run->io.port,
			 run->io.size, run->io.count);
		break;
	case KVM_EXIT_MMIO:
		snprintf(buf, size, "exit MMIO %s gpa %#llx len %u",
			 run->mmio.is_write ? "write" : "read",
			 run->mmio.phys_addr, run->mmio.len);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(buf, size, "exit FAIL_ENTRY reason %#llx",
			 run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(buf, size, "exit INTERNAL_ERROR suberror %u",
			 run->internal.suberror);
		break;
	default:
		snprintf(buf, size, "exit reason %u", run->exit_reason);
	}
}

static void describe(struct vcpu *vcpu, enum event event, uint64_t detail,
		     char *buf, size_t size)
{
	switch (event) {
	case EVENT_SYNC:
		snprintf(buf, size, "sync %llu", (unsigned long long)detail);
		break;
	case EVENT_DONE:
		snprintf(buf, size, "done");
		break;
	case EVENT_TRAP:
		snprintf(buf, size, "unexpected exception");
		break;
	case EVENT_EXIT:
		describe_exit(vcpu, buf, size);
		break;
	case EVENT_ERROR:
		snprintf(buf, size, "KVM_RUN: %s", strerrorname_np(errno));
		break;
	}
}

void vcpu_expect(struct vcpu *vcpu, enum event want, uint64_t detail,
		 const char *file, int line)
{
	enum event got = vcpu_run(vcpu);
	char text[100], wanted[40] = "done";
	struct kvm_regs regs;

	if (got == want &&
	    (want != EVENT_SYNC || vcpu->call.a == detail) &&
	    (want != EVENT_EXIT || vcpu->run->exit_reason == detail))
		return;
	describe(vcpu, got, vcpu->call.a, text, sizeof(text));
	if (want != EVENT_DONE)
		snprintf(wanted, sizeof(wanted), "%s %llu",
			 want == EVENT_SYNC ? "sync" : "exit reason",
			 (unsigned long long)detail);
	memset(&regs, 0, sizeof(regs));
	sys_ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	test_fail(file, line, "vCPU %d: expected %s, got %s (rip %#llx)",
		  vcpu->id, wanted, text, regs.rip);
	test_abort();
}

void vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_REGS, regs));
}

void vcpu_set_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_REGS, regs));
}

void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_SREGS, sregs));
}

long vcpu_set_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	return sys_ioctl(vcpu->fd, KVM_SET_SREGS, sregs);
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

long vcpu_get_msr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	struct one_msr msr = { .head.nmsrs = 1, .entry.index = index };
	long ret = sys_ioctl(vcpu->fd, KVM_GET_MSRS, &msr);

	*value = msr.entry.data;
	if (ret < 0)
		return ret;
	return ret == 1 ? 0 : -EINVAL;
}

long vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct one_msr msr = {
		.head.nmsrs = 1, .entry.index = index, .entry.data = value,
	};
	long ret = sys_ioctl(vcpu->fd, KVM_SET_MSRS, &msr);

	if (ret < 0)
		return ret;
	return ret == 1 ? 0 : -EINVAL;
}

static void *vcpu_thread(void *arg)
{
	EXPECT_DONE((struct vcpu *)arg);
	return NULL;
}

void vcpu_start(struct vcpu *vcpu)
{
	int err = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);

	REQUIRE(!err, "pthread_create: %s", strerror(err));
}

void vcpu_join(struct vcpu *vcpu)
{
	pthread_join(vcpu->thread, NULL);
}

static void ignore(int sig)
{
	(void)sig;
}

void alarm_ms(unsigned int ms)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval timer = {
		.it_value = {
			.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000,
		},
	};

	timer.it_interval = timer.it_value;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

void vcpu_expect_halted(struct vcpu *vcpu, const char *file, int line)
{
	enum event event;
	char text[100];

	alarm_ms(50);
	do {
		event = vcpu_run(vcpu);
		if (event != EVENT_ERROR || errno != EINTR) {
			describe(vcpu, event, vcpu->call.a, text, sizeof(text));
			test_fail(file, line, "vCPU %d: expected it to sleep, got %s",
				  vcpu->id, text);
			test_abort();
		}
	} while (vcpu_mp_state(vcpu) != KVM_MP_STATE_HALTED);
	alarm_ms(0);
}

void catch_sigusr1(void)
{
	struct sigaction action = { .sa_handler = ignore };

	sigaction(SIGUSR1, &action, NULL);
}
