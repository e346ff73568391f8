// SPDX-License-Identifier: GPL-2.0-only
/* Several vCPUs: starting them, IPIs between them, and shared memory. */
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "apic.h"
#include "vm.h"

#define V		0x40
#define GPA_PARAMS	0x9000ULL	/* what the trampoline needs */
#define SIPI_PAGE	(GPA_BLOB >> 12)

struct ap_params {
	uint64_t entry, stack, gs_base;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdt, idt;
};

/* From SIPI to 64-bit mode; the layout above is known here as offsets. */
BLOB(trampoline,
     ".code16\n"
     "cli\n"
     "movw %cs, %ax\n"
     "movw %ax, %ds\n"
     "lgdtl trampoline_gdtr - blob_trampoline\n"
     "movl %cr0, %eax\n"
     "orl $1, %eax\n"
     "movl %eax, %cr0\n"
     "ljmpl $8, $0x8000 + trampoline_32 - blob_trampoline\n"
     ".code32\n"
     "trampoline_32:\n"
     "movw $0x10, %ax\n"
     "movw %ax, %ds\n"
     "movw %ax, %ss\n"
     "movl $0x620, %eax\n"		/* PAE OSFXSR OSXMMEXCPT */
     "movl %eax, %cr4\n"
     "movl $0x1000, %eax\n"		/* GPA_PML4 */
     "movl %eax, %cr3\n"
     "movl $0xc0000080, %ecx\n"
     "rdmsr\n"
     "orl $0x901, %eax\n"		/* NXE LME SCE */
     "wrmsr\n"
     "movl $0x80010033, %eax\n"
     "movl %eax, %cr0\n"
     "ljmpl $0x18, $0x8000 + trampoline_64 - blob_trampoline\n"
     ".code64\n"
     "trampoline_64:\n"
     "movl $0x9000, %ebx\n"
     "movq 8(%rbx), %rsp\n"
     "lgdt 24(%rbx)\n"
     "lidt 34(%rbx)\n"
     "movl $0x1b, %eax\n"		/* GUEST_SEL_USER_DATA */
     "movl %eax, %ds\n"
     "movl %eax, %es\n"
     "movl %eax, %fs\n"
     "movl %eax, %gs\n"
     "movl $0x10, %eax\n"
     "movl %eax, %ss\n"
     "movl $0x28, %eax\n"		/* GUEST_SEL_TSS */
     "ltr %ax\n"
     "movl $0xc0000101, %ecx\n"		/* GS_BASE */
     "movl 16(%rbx), %eax\n"
     "xorl %edx, %edx\n"
     "wrmsr\n"
     "pushq $8\n"
     "pushq (%rbx)\n"
     "lretq\n"
     ".balign 8\n"
     "trampoline_gdt:\n"
     ".quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff\n"
     "trampoline_gdtr:\n"
     ".word 31\n"
     ".long 0x8000 + trampoline_gdt - blob_trampoline\n");

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* vCPU @id waits for INIT and SIPI, then runs @fn in 64-bit mode. */
static struct vcpu *new_ap(struct vm *vm, int id, void (*fn)(uint64_t arg))
{
	struct ap_params *params = vm_ptr(vm, GPA_PARAMS);
	struct vcpu *vcpu = vcpu_new(vm, id, fn);
	uint64_t *gdt = vm_ptr(vm, GPA_CPU(id) + 0x1000);

	vm_blob(vm, GPA_BLOB, trampoline);
	gdt[GUEST_SEL_TSS / 8] &= ~(2ULL << 40);	/* not busy: for LTR */
	params->entry = (uintptr_t)fn;
	params->stack = GPA_STACK(id) + GPA_STACK_SIZE - 8;
	params->gs_base = GPA_CPU(id);
	params->gdt.base = GPA_CPU(id) + 0x1000;
	params->gdt.limit = 7 * 8 - 1;
	params->idt.base = GPA_IDT;
	params->idt.limit = 4095;
	return vcpu;
}

static void start_ap(uint32_t id)
{
	apic_enable();
	apic_icr(id, APIC_DELIVERY_INIT | APIC_ICR_ASSERT);
	apic_icr(id, APIC_DELIVERY_SIPI | APIC_ICR_ASSERT | SIPI_PAGE);
	apic_icr(id, APIC_DELIVERY_SIPI | APIC_ICR_ASSERT | SIPI_PAGE);
}

static volatile uint64_t flag, other_flag, value;

static void ap_sets_flag(uint64_t arg)
{
	(void)arg;
	G_CHECK_EQ(apic_read(APIC_ID) >> 24, guest_cpu()->id);
	G_CHECK(!(rdmsr(MSR_APIC_BASE) & 0x100));	/* not the BSP */
	__atomic_add_fetch(&flag, 1, __ATOMIC_SEQ_CST);
}

static void start_guest(uint64_t arg)
{
	(void)arg;
	G_CHECK(rdmsr(MSR_APIC_BASE) & 0x100);
	start_ap(1);
	while (!flag)
		cpu_relax();
	/* The second SIPI was ignored. */
	G_CHECK_EQ(flag, 1);
}

TEST(init_sipi)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *bsp = vcpu_new(vm, 0, start_guest);
	struct vcpu *ap = new_ap(vm, 1, ap_sets_flag);

	vcpu_start(ap);
	sleep_ms(20);
	CHECK_EQ(GUEST_VAR(vm, flag), 0);
	vcpu_start(bsp);
	vcpu_join(bsp);
	vcpu_join(ap);
}

BLOB(sipi_state,
     ".code16\n"
     "outb %al, $0x80\n"
     "hlt\n");

static void sipi_guest(uint64_t arg)
{
	(void)arg;
	apic_enable();
	apic_icr(1, APIC_DELIVERY_INIT | APIC_ICR_ASSERT);
	apic_icr(1, APIC_DELIVERY_SIPI | APIC_ICR_ASSERT | 0x9a);
}

/* Registers as INIT leaves them, and the code segment as SIPI says. */
TEST(sipi_state)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *bsp = vcpu_new(vm, 0, sipi_guest);
	struct vcpu *ap = vcpu_new(vm, 1, sipi_guest);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vm_blob(vm, 0x9a000, sipi_state);
	EXPECT_DONE(bsp);
	EXPECT_EXIT(ap, KVM_EXIT_IO);
	vcpu_get_regs(ap, &regs);
	vcpu_get_sregs(ap, &sregs);
	CHECK_EQ(sregs.cs.selector, 0x9a00);
	CHECK_EQ(sregs.cs.base, 0x9a000);
	CHECK(regs.rip == 0 || regs.rip == 2, "rip %#llx", regs.rip);
	CHECK_EQ(sregs.cr0 & ~0x60000000ULL, 0x10);
	CHECK_EQ(sregs.cr4, 0);
	CHECK_EQ(sregs.efer, 0);
	CHECK_EQ(regs.rflags, 2);
	CHECK_EQ(sregs.ds.base, 0);
	CHECK_EQ(sregs.ds.limit, 0xffff);
	CHECK_EQ(sregs.idt.base, 0);
	CHECK_EQ(vcpu_mp_state(ap), KVM_MP_STATE_RUNNABLE);
}

static void count_forever(uint64_t arg)
{
	(void)arg;
	for (;;)
		flag++;
}

static void init_guest(uint64_t arg)
{
	volatile uint64_t *tss = (void *)(GPA_CPU(1) + 0x1000 + GUEST_SEL_TSS);
	uint64_t before;
	int i;

	(void)arg;
	start_ap(1);
	while (flag < 100)
		cpu_relax();
	apic_icr(1, APIC_DELIVERY_INIT | APIC_ICR_ASSERT);
	/* It stops, sooner or later, and stays so. */
	do {
		before = flag;
		for (i = 0; i < 100000; i++)
			cpu_relax();
	} while (flag != before);
	/* The trampoline runs twice: the TSS must be free for each LTR. */
	*tss &= ~(2ULL << 40);
	flag = 0;
	apic_icr(1, APIC_DELIVERY_SIPI | APIC_ICR_ASSERT | SIPI_PAGE);
	while (flag < 100)
		cpu_relax();
}

static void *run_thread(void *arg)
{
	vcpu_run(arg);
	return NULL;
}

TEST(init_again)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *bsp = vcpu_new(vm, 0, init_guest);
	struct vcpu *ap = new_ap(vm, 1, count_forever);
	pthread_t thread;

	pthread_create(&thread, NULL, run_thread, ap);
	vcpu_start(bsp);
	vcpu_join(bsp);
}

/*
 * TCG delivers some interrupts twice (docs/machines.md): the second time before the handler
 * has made an exit, and so with IF clear, as no processor does. ipi.c judges that.
 */
static bool taken_twice(struct guest_regs *regs)
{
	return !(regs->rflags & FLAG_IF);
}

#define PINGS	100

static void pong(struct guest_regs *regs)
{
	if (taken_twice(regs))
		return;
	value++;
	apic_eoi();
	apic_icr(0, APIC_ICR_ASSERT | V);
}

static void hear_pong(struct guest_regs *regs)
{
	if (taken_twice(regs))
		return;
	other_flag++;
	apic_eoi();
}

static void wait_hlt_until(volatile uint64_t *count, uint64_t wanted)
{
	cli();
	while (*count < wanted) {
		sti_hlt();
		cli();
	}
}

static void ap_pongs(uint64_t arg)
{
	(void)arg;
	apic_enable();
	flag = 1;
	wait_hlt_until(&value, PINGS);
}

static void ping_guest(uint64_t arg)
{
	uint64_t i;

	(void)arg;
	guest_handlers[V] = hear_pong;
	guest_handlers[V + 1] = pong;
	start_ap(1);
	while (!flag)
		cpu_relax();
	for (i = 1; i <= PINGS; i++) {
		apic_icr(1, APIC_ICR_ASSERT | (V + 1));
		wait_hlt_until(&other_flag, i);
	}
	G_CHECK_EQ(value, PINGS);
	G_CHECK_EQ(other_flag, PINGS);
}

TEST(ipi_ping_pong)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *bsp = vcpu_new(vm, 0, ping_guest);
	struct vcpu *ap = new_ap(vm, 1, ap_pongs);

	vcpu_start(ap);
	vcpu_start(bsp);
	vcpu_join(bsp);
	vcpu_join(ap);
}

/* All vCPUs but the first, made runnable by the host. */
#define APS	3

static volatile uint64_t ready, stop;

static void nmi_count(struct guest_regs *regs)
{
	(void)regs;
}

static void waits(uint64_t arg)
{
	(void)arg;
	apic_enable();
	apic_write(APIC_DFR, 0xffffffff);
	apic_write(APIC_LDR, 1U << (24 + guest_cpu()->id));
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (!stop)
		take_interrupts();
}

/* How often vCPU @id took a vector. */
static uint32_t taken(uint32_t id, uint32_t vector)
{
	return ((struct guest_cpu *)GPA_CPU(id))->taken[vector];
}

static void wait_taken(uint32_t id, uint32_t vector, uint32_t times)
{
	while (taken(id, vector) < times)
		take_interrupts();
}

static void broadcast_guest(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	for (i = 0; i < 8; i++)
		guest_handlers[V + i] = guest_eoi;
	guest_handlers[2] = nmi_count;
	apic_enable();
	apic_write(APIC_DFR, 0xffffffff);
	apic_write(APIC_LDR, 1 << 24);
	while (ready < APS)
		cpu_relax();
	apic_icr(0, APIC_ICR_OTHERS | APIC_ICR_ASSERT | V);
	for (i = 1; i <= APS; i++)
		wait_taken(i, V, 1);
	G_CHECK_EQ(taken(0, V), 0);
	apic_icr(0, APIC_ICR_ALL | APIC_ICR_ASSERT | (V + 1));
	for (i = 0; i <= APS; i++)
		wait_taken(i, V + 1, 1);
	/* Physical broadcast. */
	apic_icr(0xff, APIC_ICR_ASSERT | (V + 2));
	for (i = 0; i <= APS; i++)
		wait_taken(i, V + 2, 1);
	/* Logical, to two of them. */
	apic_icr(1 << 1 | 1 << 3, APIC_ICR_LOGICAL | APIC_ICR_ASSERT | (V + 3));
	wait_taken(1, V + 3, 1);
	wait_taken(3, V + 3, 1);
	G_CHECK_EQ(taken(0, V + 3) + taken(2, V + 3), 0);
	/* Lowest priority: exactly one of them. */
	apic_icr(0xf, APIC_ICR_LOGICAL | APIC_ICR_ASSERT | 0x100 | (V + 4));
	do {
		take_interrupts();
	} while (!(taken(0, V + 4) + taken(1, V + 4) + taken(2, V + 4) +
		   taken(3, V + 4)));
	/* To one that does not exist: lost. */
	apic_icr(9, APIC_ICR_ASSERT | (V + 5));
	apic_icr(0, APIC_ICR_OTHERS | APIC_DELIVERY_NMI | APIC_ICR_ASSERT);
	for (i = 1; i <= APS; i++)
		wait_taken(i, 2, 1);
	G_CHECK_EQ(taken(0, 2), 0);
	for (i = 0; i <= APS; i++) {
		G_CHECK_EQ(taken(i, V + 1), 1);
		G_CHECK_EQ(taken(i, V + 5), 0);
	}
	G_CHECK_EQ(taken(0, V + 4) + taken(1, V + 4) + taken(2, V + 4) +
		   taken(3, V + 4), 1);
	stop = 1;
}

TEST(ipi_destinations)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu[APS + 1];
	int i;

	vcpu[0] = vcpu_new(vm, 0, broadcast_guest);
	for (i = 1; i <= APS; i++) {
		vcpu[i] = vcpu_new(vm, i, waits);
		vcpu_runnable(vcpu[i]);
		vcpu_start(vcpu[i]);
	}
	vcpu_start(vcpu[0]);
	for (i = 0; i <= APS; i++)
		vcpu_join(vcpu[i]);
}

#define GVA_SHARED	0x20000000ULL
#define PAGES		16

static uint64_t ptes;

static void shootdown(struct guest_regs *regs)
{
	if (taken_twice(regs))
		return;
	asm volatile("invlpg (%0)" : : "r"(GVA_SHARED) : "memory");
	apic_eoi();
	other_flag++;
}

static void reads_shared(uint64_t arg)
{
	volatile uint64_t *p = (uint64_t *)GVA_SHARED;
	uint64_t round;

	(void)arg;
	apic_enable();
	flag = 1;
	for (;;) {
		sti();
		round = other_flag;
		value = *p;
		cli();
		/* After the n-th shootdown no older page may be seen. */
		if (other_flag == round)
			G_CHECK(value == round || value == round + 1);
		if (round == PAGES - 1)
			break;
	}
}

static void shootdown_guest(uint64_t arg)
{
	volatile uint64_t *pte = (uint64_t *)ptes;
	uint64_t i;

	(void)arg;
	guest_handlers[V] = shootdown;
	apic_enable();
	while (!flag)
		cpu_relax();
	for (i = 1; i < PAGES; i++) {
		*pte = (GPA_FREE + i * PAGE_SIZE) | PTE_P | PTE_W;
		apic_icr(1, APIC_ICR_ASSERT | V);
		while (other_flag != i)
			cpu_relax();
	}
}

TEST(tlb_shootdown_by_ipi)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *bsp = vcpu_new(vm, 0, shootdown_guest);
	struct vcpu *ap = vcpu_new(vm, 1, reads_shared);
	uint64_t *pte = vm_pte(vm, GVA_SHARED);
	uint64_t i;

	*pte = GPA_FREE | PTE_P | PTE_W;
	GUEST_VAR(vm, ptes) = (uint8_t *)pte - vm->mem;
	for (i = 0; i < PAGES; i++)
		*(uint64_t *)vm_ptr(vm, GPA_FREE + i * PAGE_SIZE) = i;
	vcpu_runnable(ap);
	vcpu_start(ap);
	vcpu_start(bsp);
	vcpu_join(bsp);
	vcpu_join(ap);
}

#define GPA_SLOT	0x40000000ULL

static volatile uint64_t turn, bad;

/*
 * turn is even while the host fills the page, odd once the page is gone; the
 * host moves on when the guest has noted that.
 */
static void reads_zapped(uint64_t rounds)
{
	volatile uint64_t *p = (uint64_t *)GPA_SLOT;
	uint64_t now, seen;

	do {
		now = turn;
		seen = *p;
		if (now & 1 && value != now) {
			/* Zapped before turn became odd, and so until noted. */
			if (seen)
				bad++;
			value = now;
		}
	} while (now < 2 * rounds - 1);
}

static void zap(int write)
{
	const uint64_t rounds = 50;
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, reads_zapped);
	uint64_t *page, i;

	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED, "mmap");
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_SLOT, PAGE_SIZE, page));
	vcpu_arg(vcpu, rounds);
	*page = 0xaa;
	vcpu_start(vcpu);
	for (i = 0; i < rounds; i++) {
		*(volatile uint64_t *)page = 0xaa;
		if (i % 10 == 0)
			sleep_ms(1);
		if (write)
			*(volatile uint64_t *)page = 0;
		else
			madvise(page, PAGE_SIZE, MADV_DONTNEED);
		GUEST_VAR(vm, turn) = 2 * i + 1;
		while (GUEST_VAR(vm, value) != 2 * i + 1)
			sched_yield();
		if (i + 1 < rounds)
			GUEST_VAR(vm, turn) = 2 * i + 2;
	}
	vcpu_join(vcpu);
	CHECK_EQ(GUEST_VAR(vm, bad), 0);
}

/* Once madvise() has returned, no vCPU sees what was there. */
TEST(madvise_shootdown)
{
	zap(0);
}

/* The same by a plain write: shows that the check above is about madvise(). */
TEST(host_write_seen)
{
	zap(1);
}

static void own_memory_guest(uint64_t pattern)
{
	volatile uint64_t *p = (uint64_t *)GPA_FREE;
	uint64_t round, i, wrong = 0;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 64; i++)
			p[i * 512] = pattern + round + i;
		if (round % 5 == 0)
			guest_sync(round, 0);
		for (i = 0; i < 64; i++)
			wrong += p[i * 512] != pattern + round + i;
	}
	G_CHECK_EQ(wrong, 0);
}

static void *own_memory_thread(void *arg)
{
	uint64_t round;

	for (round = 0; round < 20; round += 5)
		EXPECT_SYNC((struct vcpu *)arg, round);
	EXPECT_DONE((struct vcpu *)arg);
	return NULL;
}

TEST(two_vms)
{
	struct vcpu *vcpu[4];
	pthread_t thread[4];
	int i;

	for (i = 0; i < 4; i++) {
		vcpu[i] = vcpu_new(vm_new(VM_IRQCHIP), 0, own_memory_guest);
		vcpu_arg(vcpu[i], 0x1111111111111111ULL * (i + 1));
	}
	for (i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, own_memory_thread, vcpu[i]);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
}

static void add_guest(uint64_t arg)
{
	__atomic_add_fetch(&value, arg, __ATOMIC_SEQ_CST);
}

TEST(many_vcpus)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	long n = kvm_has(KVM_CAP_MAX_VCPUS), i;

	if (n > MAX_VCPUS)
		n = MAX_VCPUS;
	for (i = 0; i < n; i++) {
		struct vcpu *vcpu = vcpu_new(vm, i, add_guest);

		vcpu_runnable(vcpu);
		vcpu_arg(vcpu, i + 1);
		EXPECT_DONE(vcpu);
	}
	CHECK_EQ(GUEST_VAR(vm, value), n * (n + 1) / 2);
}

TEST(too_many_vcpus)
{
	struct vm *vm = vm_bare();
	long max = kvm_has(KVM_CAP_MAX_VCPUS), i;

	for (i = 0; i < max; i++)
		close(REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, i)));
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, max), EINVAL);
}
