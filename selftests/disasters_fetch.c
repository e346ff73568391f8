// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest or user space changes while it is being read: it has to be fetched once,
 * and what has been judged has to be what is used. docs/security.md has the class.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "vm.h"

#define TRAP_PF	14

/* Both pages in turn at one address, by page-table entry. */
#define GVA_FLIP	0x50000000ULL
#define FLIP_BYTES	64

static void flip_guest(uint64_t arg)
{
	uint64_t i, si, cx;

	for (i = 0; i < arg; i++) {
		si = GVA_FLIP + 8;
		cx = FLIP_BYTES;
		asm volatile("invlpg (%0)" : : "r"(GVA_FLIP) : "memory");
		asm volatile("rep outsb" : "+S"(si), "+c"(cx) : "d"(0x99)
			     : "memory");
	}
}

struct flipper {
	volatile uint64_t *pte;
	uint64_t one, other;
	volatile bool stop;
};

/*
 * At every moment, beside the vCPU. With one processor they take turns: an emulator
 * interrupts this loop at one place only, and the vCPU would always meet the same value.
 */
static void *flip(void *arg)
{
	cpu_set_t cpus = cpus_allowed();
	bool alone = CPU_COUNT(&cpus) == 1;
	struct flipper *f = arg;

	while (!f->stop) {
		*f->pte = f->other;
		if (alone)
			sched_yield();
		*f->pte = f->one;
		if (alone)
			sched_yield();
	}
	return NULL;
}

static bool all_the_same(const uint8_t *data, uint32_t n)
{
	uint32_t i;

	for (i = 1; i < n; i++)
		if (data[i] != data[0])
			return false;
	return true;
}

/* What the guest changes at every moment is read once and judged as it was then. */
TEST(guest_tables_fetched_once)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, flip_guest);
	uint64_t pages[2] = { GPA_FREE, GPA_FREE + PAGE_SIZE };
	struct flipper flipper = { 0 };
	uint32_t mixed = 0, n = 0;
	pthread_t thread;
	enum event event;

	memset(vm_ptr(vm, pages[0]), 0x11, PAGE_SIZE);
	memset(vm_ptr(vm, pages[1]), 0x22, PAGE_SIZE);
	vm_map(vm, GVA_FLIP, pages[0], PTE_P | PTE_W | PTE_U);
	flipper.pte = vm_pte(vm, GVA_FLIP);
	flipper.one = *flipper.pte;
	flipper.other = flipper.one ^ pages[0] ^ pages[1];
	vcpu_arg(vcpu, 2000);
	REQUIRE(!pthread_create(&thread, NULL, flip, &flipper), "pthread_create");
	for (;;) {
		event = vcpu_run(vcpu);
		if (event != EVENT_EXIT || vcpu->run->exit_reason != KVM_EXIT_IO)
			break;
		mixed += !all_the_same((uint8_t *)vcpu->run + vcpu->run->io.data_offset,
				       vcpu->run->io.count);
		n += vcpu->run->io.count;
	}
	flipper.stop = true;
	pthread_join(thread, NULL);
	CHECK(event == EVENT_DONE, "exit reason %u", vcpu->run->exit_reason);
	CHECK_EQ(mixed, 0);
	CHECK_EQ(n, 2000 * FLIP_BYTES);
}

static uint64_t refused;

/* At least @arg times, and until the entry has been met in both forms. */
static void absent_guest(uint64_t arg)
{
	uint64_t i, si;

	for (i = 0; i < arg || !refused || refused == i; i++) {
		si = GVA_FLIP + 8;
		asm volatile("invlpg (%0)" : : "r"(GVA_FLIP) : "memory");
		refused += GUEST_TRY("outsb", : "+S"(si) : "d"(0x99) : "memory") ==
			   TRAP_PF;
	}
}

/*
 * An entry is present and leads to one page, or is not and has the address of another:
 * what is used is what has been judged.
 */
TEST_LIMIT(guest_entry_judged_and_used, 120)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, absent_guest);
	struct flipper flipper = { 0 };
	uint32_t right = 0, wrong = 0;
	pthread_t thread;
	enum event event;

	memset(vm_ptr(vm, GPA_FREE), 0x11, PAGE_SIZE);
	memset(vm_ptr(vm, GPA_FREE + PAGE_SIZE), 0x22, PAGE_SIZE);
	vm_map(vm, GVA_FLIP, GPA_FREE, PTE_P | PTE_W | PTE_U);
	flipper.pte = vm_pte(vm, GVA_FLIP);
	flipper.one = *flipper.pte;
	flipper.other = (GPA_FREE + PAGE_SIZE) | PTE_W | PTE_U;
	vcpu_arg(vcpu, 4000);
	REQUIRE(!pthread_create(&thread, NULL, flip, &flipper), "pthread_create");
	while ((event = vcpu_run(vcpu)) == EVENT_EXIT &&
	       vcpu->run->exit_reason == KVM_EXIT_IO) {
		uint8_t *data = (uint8_t *)vcpu->run + vcpu->run->io.data_offset;

		right += *data == 0x11;
		wrong += *data != 0x11;
	}
	flipper.stop = true;
	pthread_join(thread, NULL);
	CHECK(event == EVENT_DONE, "exit reason %u", vcpu->run->exit_reason);
	test_note("%u reads, %llu page faults", right,
		  (unsigned long long)GUEST_VAR(vm, refused));
	CHECK_EQ(wrong, 0);
	CHECK(right, "what was read has not come");
}

/* 32-bit code with PAE paging that has its PDPTEs loaded again and again, and a handler of #GP. */
#define GPA_PAE_PDPT	0xa000ULL
#define PDPTE_RESERVED	(1ULL << 6)
#define PAE_HANDLER	0x40

BLOB(pae_toggle,
     ".code32\n"
     "1: movl %cr0, %eax\n"
     "xorl $0x40000000, %eax\n"		/* CD */
     "movl %eax, %cr0\n"
     "decl %ecx\n"
     "jnz 1b\n"
     "hlt\n"
     ".skip 0x40 - (. - blob_pae_toggle), 0x90\n"
     "addl $4, %esp\n"			/* the error code */
     "addl $3, (%esp)\n"		/* over MOV to CR0 */
     "iretl\n");

static struct vcpu *pae_vcpu(struct vm *vm)
{
	struct kvm_segment data = { .selector = 16, .type = 3, .present = 1, .s = 1, .g = 1,
				    .db = 1, .limit = 0xffffffff };
	struct vcpu *vcpu = vcpu_real_mode(vm, 0);
	struct kvm_segment code = data;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vm_copy(vm, GPA_BLOB, blob_pae_toggle, blob_pae_toggle_end - blob_pae_toggle);
	/* Where the processor finds the handler's segment, and the interrupt gate of #GP. */
	*(uint64_t *)vm_ptr(vm, 0x6008) = 0x00cf9b000000ffff;
	*(uint64_t *)vm_ptr(vm, 13 * 8) = (GPA_BLOB + PAE_HANDLER) | 8 << 16 | 0x8e00ULL << 32;
	/* One of the page directories that vm_new() has made does. */
	*(uint64_t *)vm_ptr(vm, GPA_PAE_PDPT) = 0x3000 | PTE_P;
	code.selector = 8;
	code.type = 11;
	vcpu_get_sregs(vcpu, &sregs);
	sregs.cs = code;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.gdt = (struct kvm_dtable) { .base = 0x6000, .limit = 15 };
	sregs.idt = (struct kvm_dtable) { .base = 0, .limit = 0xff };
	sregs.cr3 = GPA_PAE_PDPT;
	sregs.cr4 |= 1 << 5;			/* PAE */
	sregs.cr0 = 0x80000031;			/* PG, NE, ET, PE */
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	vcpu_get_regs(vcpu, &regs);
	regs.rip = GPA_BLOB;
	regs.rsp = 0x7000;
	regs.rcx = 4000;
	vcpu_set_regs(vcpu, &regs);
	return vcpu;
}

/* What has been judged is loaded, so no entry with reserved bits fails. */
TEST(page_directory_pointers_fetched_once)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = pae_vcpu(vm);
	volatile uint64_t *unused = (volatile uint64_t *)vm_ptr(vm, GPA_PAE_PDPT) + 2;
	struct flipper flipper = { .pte = unused, .one = 0x3000 | PTE_P,
				   .other = 0x3000 | PTE_P | PDPTE_RESERVED };
	pthread_t thread;

	*unused = flipper.one;
	REQUIRE(!pthread_create(&thread, NULL, flip, &flipper), "pthread_create");
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	flipper.stop = true;
	pthread_join(thread, NULL);
}

static void in_guest(uint64_t arg)
{
	uint64_t i;

	for (i = 0; i < arg; i++) {
		G_CHECK_EQ(inb(0x99), 0x5a);
		G_CHECK_EQ(mmio_read32(GPA_MMIO), 0x5a5a5a5a);
	}
}

static void *scribble(void *arg)
{
	struct kvm_run *run = arg;
	uint32_t i = 0;

	/* Not the answer's bytes: those are ours to give. */
	for (;;) {
		*(volatile uint8_t *)&run->io.size = ++i;
		*(volatile uint32_t *)&run->io.count = i * 0x10001;
		*(volatile uint64_t *)&run->io.data_offset = i * 0x1234567ULL;
		*(volatile uint16_t *)&run->io.port = i;
	}
	return NULL;
}

/* What the mapped page says of the access is for user space to read, not for the kernel. */
TEST(run_page_fetched_once)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, in_guest);
	uint8_t *data = (uint8_t *)vcpu->run + PAGE_SIZE;
	pthread_t thread;
	int i;

	vcpu_arg(vcpu, 300);
	for (i = 0; i < 600; i++) {
		EXPECT_EXIT(vcpu, i % 2 ? KVM_EXIT_MMIO : KVM_EXIT_IO);
		memset(vcpu->run->mmio.data, 0x5a, sizeof(vcpu->run->mmio.data));
		vcpu->run->mmio.len = 0xff;
		memset(data, 0x5a, PAGE_SIZE);
		vcpu->run->io.size = 0xff;
		vcpu->run->io.count = 0xffffffff;
		vcpu->run->io.data_offset = -1ULL;
		if (i % 2)
			memset(vcpu->run->mmio.data, 0x5a,
			       sizeof(vcpu->run->mmio.data));
	}
	EXPECT_DONE(vcpu);

	/* And all the time, by another thread. */
	vcpu = vcpu_new(vm_new(0), 0, in_guest);
	data = (uint8_t *)vcpu->run + PAGE_SIZE;
	memset(data, 0x5a, PAGE_SIZE);
	vcpu_arg(vcpu, 300);
	REQUIRE(!pthread_create(&thread, NULL, scribble, vcpu->run), "pthread_create");
	for (i = 0; i < 600; i++)
		if (vcpu_run_raw(vcpu))
			break;
	CHECK_EQ(i, 600);
}
