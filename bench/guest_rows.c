// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens between an instruction that exits and the next one, counted by
 * the guest: a loop with the instruction minus the same loop without it.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "apic.h"
#include "bench.h"

#define PORT		0x510
#define EVENT_PORT	0x600
#define EVENT_MMIO	(GPA_MMIO + 0x1000)
#define PAT_RESET	0x0007040600070406ULL
#define VECTOR_INT	0x40	/* by the INT instruction */
#define VECTOR_IPI	0x41
/*
 * Fields of pages that the guest has not touched, each for one row. Those of 4 KiB
 * are one slot, whose second half is there already. Those of 2 MiB that are there
 * already have several slots with the same few pages.
 */
#define FRESH_GPA	0x40000000ULL
#define FRESH_SIZE	((BATCHES * ROUNDS + 1) * PAGE_SIZE)
#define PRESENT_GPA	(FRESH_GPA + FRESH_SIZE)
#define LARGE_FRESH_GPA	0x50000000ULL
#define LARGE_FRESH_SIZE ((BATCHES + 1) * LARGE_PAGE)
#define LARGE_GPA	0x60000000ULL
#define LARGE_SLOTS	11
#define LARGE_SIZE	(16 * LARGE_PAGE)
#define LARGE_ROUNDS	4
/* One page in many slots, and many ioeventfds, for the rows that are among them. */
#define MANY_GPA	0x100000000ULL
#define FIRST_MANY	16
#define MANY_SLOTS	490
#define MANY_EVENTS	255

typedef uint64_t loop_fn(uint64_t rounds, uint64_t arg);

struct row {
	const char *name;
	loop_fn *full, *empty;
	uint64_t arg;
	uint64_t step;		/* that a round adds to arg */
	unsigned int rounds;	/* in a batch, if not ROUNDS */
	void (*prepare)(void);	/* in the guest */
	unsigned int flags;
};

enum row_flags {
	ROW_IRQCHIP = 1,
	ROW_DEADLINE = 2,	/* arg is a time from now */
	ROW_AMD = 4,
	ROW_INTEL = 8,
	ROW_PAGES = 16,		/* needs the 4 KiB pages */
	ROW_LARGE = 32,		/* needs those of 2 MiB */
	ROW_SLOTS = 64,		/* among 500 slots */
	ROW_EVENTS = 128,	/* among 256 ioeventfds */
};

/*
 * All loops are in one page: a processor that does not tell the length of an
 * instruction makes one dearer that may go on in the next page.
 */
asm(".pushsection .text.loops, \"ax\", @progbits\n\t"
    ".balign 4096\n\t"
    ".popsection");

/* A loop of rounds; its argument is in RDI. Returns the ticks that it took. */
#define LOOP(name, body)						\
__attribute__((section(".text.loops")))					\
static uint64_t name(uint64_t rounds, uint64_t arg)			\
{									\
	uint64_t start = rdtsc();					\
									\
	asm volatile("1:\n\t" ROUND_MARK "\n\t" body "\n\t"		\
		     "dec %0\n\t"					\
		     "jnz 1b"						\
		     : "+r"(rounds), "+D"(arg) :			\
		     : "rax", "rbx", "rcx", "rdx", "cc", "memory");	\
	return rdtsc() - start;						\
}
#define LOOPS(name, setup, insn)					\
	LOOP(name##_full, setup "\n\t" insn)				\
	LOOP(name##_empty, setup)

#define WRMSR_ARG(msr)							\
	"movl $" msr ", %%ecx\n\tmovl %%edi, %%eax\n\t"			\
	"movq %%rdi, %%rdx\n\tshrq $32, %%rdx"

LOOPS(cpuid_insn, "xorl %%eax, %%eax\n\txorl %%ecx, %%ecx", "cpuid")
LOOPS(vmcall, "movl $99, %%eax", "vmcall")
LOOPS(vmmcall, "movl $99, %%eax", "vmmcall")
LOOPS(rdmsr_insn, "movl $0x1b, %%ecx", "rdmsr")		/* APIC_BASE */
LOOPS(wrmsr_insn, WRMSR_ARG("0x277"), "wrmsr")		/* PAT */
LOOPS(port_write, "movl %%edi, %%edx\n\tmovb $0xff, %%al", "outb %%al, %%dx")
LOOPS(port_read, "movl %%edi, %%edx", "inb %%dx, %%al")
LOOPS(mmio_write, "", "movl %%eax, (%%rdi)")
LOOPS(mmio_read, "", "movl (%%rdi), %%eax")
LOOPS(touch, "addq $4096, %%rdi", "movb %%al, (%%rdi)")
LOOPS(touch_large, "addq $0x200000, %%rdi", "movb %%al, (%%rdi)")
LOOPS(hlt_insn, "", "hlt")
LOOPS(x2apic_tpr, WRMSR_ARG("0x808"), "wrmsr")
LOOPS(deadline, WRMSR_ARG("0x6e0"), "wrmsr")
/* Both loops take an interrupt; only the IPI's handler writes EOI. */
LOOP(self_ipi_full, WRMSR_ARG("0x83f") "\n\twrmsr")
LOOP(self_ipi_empty, WRMSR_ARG("0x83f") "\n\tint $0x40")

static void x2apic_eoi(struct guest_regs *regs)
{
	(void)regs;
	wrmsr(MSR_X2APIC(APIC_EOI), 0);
}

static void x2apic_prepare(void)
{
	wrmsr(MSR_APIC_BASE, APIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC | 0x100);
	wrmsr(MSR_X2APIC(APIC_SVR), APIC_SVR_ENABLE | 0xff);
	wrmsr(MSR_X2APIC(APIC_LVTT), APIC_LVT_DEADLINE | VECTOR_INT);
	guest_handlers[VECTOR_INT] = guest_ignore;
	guest_handlers[VECTOR_IPI] = x2apic_eoi;
}

static void ipi_prepare(void)
{
	x2apic_prepare();
	sti();
}

/* Names and loops, and what is not zero of the rest. */
#define ROW(label, loop, ...)						\
	{ .name = label, .full = loop##_full, .empty = loop##_empty, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW("CPUID", cpuid_insn),
	ROW("hypercall", vmmcall, .flags = ROW_AMD),
	ROW("hypercall", vmcall, .flags = ROW_INTEL),
	ROW("RDMSR", rdmsr_insn),
	ROW("WRMSR", wrmsr_insn, .arg = PAT_RESET),
	ROW("port read, in-kernel PIC", port_read, .arg = 0x21, .flags = ROW_IRQCHIP),
	ROW("port write, in-kernel PIC", port_write, .arg = 0x21, .flags = ROW_IRQCHIP),
	ROW("port write to user space", port_write, .arg = PORT),
	ROW("port read to user space", port_read, .arg = PORT),
	ROW("MMIO write to user space", mmio_write, .arg = GPA_MMIO),
	ROW("MMIO read to user space", mmio_read, .arg = GPA_MMIO),
	ROW("nested-page fault, host page present", touch, .arg = PRESENT_GPA, .step = PAGE_SIZE,
	    .flags = ROW_PAGES),
	ROW("nested-page fault, host page present, among 500 slots", touch, .arg = PRESENT_GPA,
	    .step = PAGE_SIZE, .flags = ROW_PAGES | ROW_SLOTS),
	ROW("nested-page fault, new host page", touch, .arg = FRESH_GPA, .step = PAGE_SIZE,
	    .flags = ROW_PAGES),
	ROW("nested-page fault of 2 MiB, host page present", touch_large,
	    .arg = LARGE_GPA - LARGE_PAGE, .step = LARGE_PAGE, .rounds = LARGE_ROUNDS,
	    .flags = ROW_LARGE),
	ROW("nested-page fault of 2 MiB, new host page", touch_large,
	    .arg = LARGE_FRESH_GPA - LARGE_PAGE, .step = LARGE_PAGE, .rounds = 1,
	    .flags = ROW_LARGE),
	ROW("HLT to user space and back", hlt_insn),
	ROW("ioeventfd, port write", port_write, .arg = EVENT_PORT, .flags = ROW_IRQCHIP),
	ROW("ioeventfd, MMIO write", mmio_write, .arg = EVENT_MMIO, .flags = ROW_IRQCHIP),
	ROW("ioeventfd, MMIO write, among 256 and 500 slots", mmio_write, .arg = EVENT_MMIO,
	    .flags = ROW_IRQCHIP | ROW_SLOTS | ROW_EVENTS),
	ROW("local APIC, MMIO read of TPR", mmio_read, .arg = APIC_BASE + APIC_TPR,
	    .flags = ROW_IRQCHIP),
	ROW("local APIC, MMIO write of TPR", mmio_write, .arg = APIC_BASE + APIC_TPR,
	    .flags = ROW_IRQCHIP),
	ROW("local APIC, x2APIC write of TPR", x2apic_tpr, .arg = 0x10,
	    .prepare = x2apic_prepare, .flags = ROW_IRQCHIP),
	ROW("local APIC, TSC deadline write", deadline, .arg = 1000000000,
	    .prepare = x2apic_prepare, .flags = ROW_IRQCHIP | ROW_DEADLINE),
	ROW("local APIC, self-IPI taken and EOI", self_ipi, .arg = VECTOR_IPI,
	    .prepare = ipi_prepare, .flags = ROW_IRQCHIP),
	ROW("IOAPIC, MMIO write of the register select", mmio_write, .arg = IOAPIC_BASE,
	    .flags = ROW_IRQCHIP),
	ROW("IOAPIC, MMIO read of a register", mmio_read, .arg = IOAPIC_BASE + 0x10,
	    .flags = ROW_IRQCHIP),
};

static unsigned int rounds_of(const struct row *row)
{
	return row->rounds ?: ROUNDS;
}

static uint64_t ticks[BATCHES];		/* the guest's copy counts */

static void measure(uint64_t index)
{
	const struct row *row = &rows[index];
	uint64_t arg = row->arg;
	int i;

	if (row->prepare)
		row->prepare();
	if (row->flags & ROW_DEADLINE)
		arg += rdtsc();
	for (i = 0; i < BATCHES; i++) {
		if (i == BATCHES - 1)
			TRACE_MARK();
		ticks[i] = row->full(rounds_of(row), arg);
		if (i == BATCHES - 1)
			TRACE_MARK();
		ticks[i] -= row->empty(rounds_of(row), arg);
		arg += rounds_of(row) * row->step;
	}
}

/* Answers each exit at once, until the guest has done its batches. */
static void run(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct guest_call call;
	uint32_t gpa;

	do {
		if (ioctl(vcpu->fd, KVM_RUN, 0))
			test_fail(__FILE__, __LINE__, "KVM_RUN: %s", strerror(errno));
		if (run->exit_reason != KVM_EXIT_IO && run->exit_reason != KVM_EXIT_MMIO &&
		    run->exit_reason != KVM_EXIT_HLT)
			test_fail(__FILE__, __LINE__, "unexpected exit %u", run->exit_reason);
	} while (run->exit_reason != KVM_EXIT_IO || run->io.port != GUEST_CALL_PORT);

	memcpy(&gpa, (char *)run + run->io.data_offset, sizeof(gpa));
	REQUIRE(gpa < MEM_SIZE - sizeof(call), "guest call at %#x", gpa);
	memcpy(&call, vm_ptr(vcpu->vm, gpa), sizeof(call));
	REQUIRE(call.type == GUEST_DONE, "guest: vector %llu at %#llx",
		(unsigned long long)call.a, (unsigned long long)call.rip);
}

static void add_eventfd(struct vm *vm, uint64_t addr, uint32_t len, uint32_t flags)
{
	struct kvm_ioeventfd event = {
		.addr = addr, .len = len, .flags = flags,
		.fd = REQUIRE_OK(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
	};

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IOEVENTFD, &event));
}

static void add_pages(struct vm *vm)
{
	char *pages = bench_map(2 * FRESH_SIZE, MADV_NOHUGEPAGE);

	memset(pages + FRESH_SIZE, 1, FRESH_SIZE);
	REQUIRE_OK(vm_slot(vm, 1, 0, FRESH_GPA, 2 * FRESH_SIZE, pages));
}

static void add_large_pages(struct vm *vm)
{
	char *present = bench_map_large(LARGE_SIZE);
	uint64_t i;

	REQUIRE_OK(vm_slot(vm, 1, 0, LARGE_FRESH_GPA, LARGE_FRESH_SIZE,
			   bench_map_large(LARGE_FRESH_SIZE)));
	for (i = 0; i < LARGE_SIZE; i += LARGE_PAGE)
		present[i] = 1;
	for (i = 0; i < LARGE_SLOTS; i++)
		REQUIRE_OK(vm_slot(vm, 2 + i, 0, LARGE_GPA + i * LARGE_SIZE, LARGE_SIZE, present));
}

static void add_many(struct vm *vm, unsigned int flags)
{
	char *page = bench_map(PAGE_SIZE, MADV_NOHUGEPAGE);
	uint64_t i;

	for (i = 0; flags & ROW_SLOTS && i < MANY_SLOTS; i++)
		REQUIRE_OK(vm_slot(vm, FIRST_MANY + i, 0, MANY_GPA + 2 * i * PAGE_SIZE, PAGE_SIZE,
				   page));
	for (i = 1; flags & ROW_EVENTS && i <= MANY_EVENTS; i++)
		add_eventfd(vm, EVENT_MMIO + 8 * i, 4, 0);
}

static void guest_row(const char *name, const void *arg)
{
	const struct row *row = arg;
	struct vm *vm = vm_new(row->flags & ROW_IRQCHIP ? VM_IRQCHIP : 0);
	struct vcpu *vcpu;

	if (row->flags & ROW_PAGES)
		add_pages(vm);
	if (row->flags & ROW_LARGE)
		add_large_pages(vm);
	if (row->flags & ROW_IRQCHIP) {
		add_eventfd(vm, EVENT_PORT, 1, KVM_IOEVENTFD_FLAG_PIO);
		add_eventfd(vm, EVENT_MMIO, 4, 0);
	}
	add_many(vm, row->flags);
	vcpu = vcpu_new(vm, 0, measure);
	vcpu_arg(vcpu, row - rows);
	run(vcpu);
	memcpy(ticks, (void *)&GUEST_VAR(vm, ticks), sizeof(ticks));
	bench_print("ticks", name, bench_median(ticks, BATCHES, rounds_of(row)));
}

void guest_rows(void)
{
	unsigned int not_here = host_is_amd() ? ROW_INTEL : ROW_AMD;
	struct kvm_cpuid_entry2 *features;
	size_t i;

	/* User space may offer it: KVM_CAP_TSC_DEADLINE_TIMER. */
	features = cpuid_find(kvm_supported_cpuid(), 1, 0);
	REQUIRE(features, "no leaf 1 in KVM_GET_SUPPORTED_CPUID");
	features->ecx |= 1 << 24;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (!(rows[i].flags & not_here))
			bench_row(rows[i].name, guest_row, &rows[i]);
}
