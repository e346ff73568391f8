// SPDX-License-Identifier: GPL-2.0-only
/* Memory-mapped I/O that user space handles. */
#include <stdlib.h>
#include <string.h>

#include "vm.h"

/* A device of one page, which behaves like memory. */
struct device {
	uint8_t mem[PAGE_SIZE];
	unsigned int reads, writes;
};

static struct device device;

/* Serve accesses until the guest calls; returns how the run ended. */
static enum event serve(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	enum event event;
	uint64_t offset;

	for (;;) {
		event = vcpu_run(vcpu);
		if (event != EVENT_EXIT || run->exit_reason != KVM_EXIT_MMIO)
			return event;
		offset = run->mmio.phys_addr - GPA_MMIO;
		REQUIRE(run->mmio.len >= 1 && run->mmio.len <= 8 &&
			offset <= PAGE_SIZE - run->mmio.len,
			"MMIO at %#llx of %u bytes", run->mmio.phys_addr,
			run->mmio.len);
		if (run->mmio.is_write) {
			memcpy(device.mem + offset, run->mmio.data,
			       run->mmio.len);
			device.writes++;
		} else {
			memcpy(run->mmio.data, device.mem + offset,
			       run->mmio.len);
			device.reads++;
		}
	}
}

static void serve_until_done(struct vcpu *vcpu)
{
	enum event event = serve(vcpu);

	CHECK(event == EVENT_DONE, "event %u, exit reason %u, %s", event,
	      vcpu->run->exit_reason, strerrorname_np(errno));
}

static void write_guest(uint64_t arg)
{
	(void)arg;
	asm volatile("movb %b0, 0x10(%1)\n"
		     "movw %w0, 0x20(%1)\n"
		     "movl %k0, 0x30(%1)\n"
		     "movq %q0, 0x40(%1)\n"
		     : : "r"(0x1122334455667788), "r"(GPA_MMIO) : "memory");
	asm volatile("movl $0xa1b2c3d4, 0x51(%0)\n"	/* unaligned */
		     "movb $0x77, 0x60(%0)\n"
		     : : "r"(GPA_MMIO) : "memory");
}

TEST(write_sizes)
{
	static const struct {
		uint32_t offset, len;
		uint64_t data;
	} want[] = {
		{ 0x10, 1, 0x88 }, { 0x20, 2, 0x7788 }, { 0x30, 4, 0x55667788 },
		{ 0x40, 8, 0x1122334455667788 }, { 0x51, 4, 0xa1b2c3d4 },
		{ 0x60, 1, 0x77 },
	};
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, write_guest);
	struct kvm_run *run = vcpu->run;
	unsigned int i;
	uint64_t data;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
		CHECK_EQ(run->mmio.is_write, 1);
		CHECK_EQ(run->mmio.phys_addr, GPA_MMIO + want[i].offset);
		CHECK_EQ(run->mmio.len, want[i].len);
		data = 0;
		memcpy(&data, run->mmio.data, want[i].len);
		CHECK_EQ(data, want[i].data);
	}
	EXPECT_DONE(vcpu);
}

static void read_guest(uint64_t arg)
{
	uint64_t v = ~0ULL;

	(void)arg;
	asm volatile("movb 0x10(%1), %b0" : "+q"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0xffffffffffffff91);
	asm volatile("movw 0x10(%1), %w0" : "+r"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0xffffffffffff9291);
	asm volatile("movl 0x10(%1), %k0" : "+r"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0x94939291);
	asm volatile("movq 0x10(%1), %q0" : "+r"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0x9897969594939291);
	v = ~0ULL;
	asm volatile("movzbl 0x10(%1), %k0" : "+r"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0x91);
	asm volatile("movzwl 0x10(%1), %k0" : "+r"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0x9291);
	asm volatile("movsbq 0x10(%1), %q0" : "+r"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0xffffffffffffff91);
	asm volatile("movswl 0x10(%1), %k0" : "+r"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0xffff9291);
	asm volatile("movslq 0x10(%1), %q0" : "+r"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0xffffffff94939291);
	/* The byte registers that are not the low byte, and R8 and up. */
	asm volatile("xorl %%eax, %%eax; movb 0x10(%1), %%ah"
		     : "=&a"(v) : "r"(GPA_MMIO));
	G_CHECK_EQ(v, 0x9100);
	asm volatile("movl 0x14(%1), %%r13d; movq %%r13, %0"
		     : "=r"(v) : "r"(GPA_MMIO) : "r13");
	G_CHECK_EQ(v, 0x98979695);
}

TEST(read_sizes)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, read_guest);
	int i;

	for (i = 0; i < 8; i++)
		device.mem[0x10 + i] = 0x91 + i;
	serve_until_done(vcpu);
	CHECK_EQ(device.writes, 0);
	CHECK_EQ(device.reads, 11);
}

/* Addresses of all forms, and one more access by each to see what was kept right. */
static void address_guest(uint64_t arg)
{
	uint64_t v, i;

	(void)arg;
	for (i = 0; i < 3; i++) {
		asm volatile("movl -0x80(%1,%2,8), %k0" : "=r"(v)
			     : "r"(GPA_MMIO + 0x80), "r"(2 + i));
		G_CHECK_EQ(v, 0x11111111 * (2 + i));
		asm volatile("movq %%rsp, %%rbx\n"
			     "movq %1, %%rsp\n"
			     "movl 8(%%rsp,%2,4), %k0\n"
			     "movq %%rbx, %%rsp\n"
			     : "=r"(v) : "r"(GPA_MMIO + 8), "r"(2 * i) : "rbx");
		G_CHECK_EQ(v, 0x11111111 * (2 + i));
		asm volatile("movl (,%1,2), %k0" : "=r"(v) : "r"((GPA_MMIO + 8 * i) / 2));
		G_CHECK_EQ(v, 0x11111111 * i);
		asm volatile("movq $-2, 0x100(%0)\n"
			     "movw $-2, 0x108(%0)\n"
			     "movb %%ch, 0x10a(%0)\n"
			     : : "r"(GPA_MMIO + 16 * i), "c"(0xab00) : "memory");
	}
}

TEST(addresses)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, address_guest);
	uint32_t i;

	for (i = 0; i < 8; i++)
		memset(device.mem + 8 * i, 0x11 * i, 4);
	serve_until_done(vcpu);
	for (i = 0; i < 3; i++)
		CHECK(!memcmp(device.mem + 0x100 + 16 * i,
			      "\xfe\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xab", 11), "at %u", i);
	CHECK_EQ(device.reads, 9);
	CHECK_EQ(device.writes, 9);
}

/* The same place holds one access after the other: what was there before must not count. */
static void new_code_guest(uint64_t arg)
{
	static const uint8_t code[][4] = {
		{ 0x89, 0x07, 0xc3 },		/* mov %eax, (%rdi); ret */
		{ 0x8b, 0x07, 0xc3 },		/* mov (%rdi), %eax; ret */
		{ 0x88, 0x27, 0xc3 },		/* mov %ah, (%rdi); ret */
		{ 0x89, 0x47, 0x04, 0xc3 },	/* mov %eax, 4(%rdi); ret */
		{ 0x01, 0x07, 0xc3 },		/* add %eax, (%rdi); ret */
	};
	uint8_t *place = (uint8_t *)GPA_FREE;
	uint64_t v;
	int i;

	(void)arg;
	for (i = 0; i < 15; i++) {
		__builtin_memcpy(place, code[i % 5], 4);
		v = 0x1234;
		asm volatile("call *%1" : "+a"(v) : "r"(place), "D"(GPA_MMIO) : "memory");
		G_CHECK_EQ(v, 0x1234);
	}
}

TEST(new_code)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, new_code_guest);
	uint32_t *reg = (uint32_t *)device.mem;

	serve_until_done(vcpu);
	CHECK_EQ(reg[0], 0x1212 + 0x1234);
	CHECK_EQ(reg[1], 0x1234);
	CHECK_EQ(device.reads, 6);
	CHECK_EQ(device.writes, 12);
}

#define STEPS	3

/* A debugger in the guest steps over the accesses. */
static unsigned int steps;

static void count_step(struct guest_regs *regs)
{
	if (++steps == STEPS)
		regs->rflags &= ~0x100ULL;
}

static void step_guest(uint64_t arg)
{
	uint64_t v = 0;

	(void)arg;
	guest_handlers[1] = count_step;
	asm volatile("pushfq\n"
		     "orq $0x100, (%%rsp)\n"
		     "popfq\n"
		     "movl (%1), %k0\n"
		     "movl %k0, 8(%1)\n"
		     "nop\n"
		     "nop\n"
		     : "+r"(v) : "r"(GPA_MMIO) : "memory", "cc");
	G_CHECK_EQ(v, 0x1234);
	G_CHECK_EQ(steps, STEPS);
}

TEST(single_step)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, step_guest);
	uint32_t *reg = (uint32_t *)device.mem;

	reg[0] = 0x1234;
	serve_until_done(vcpu);
	CHECK_EQ(reg[2], 0x1234);
}

static void modify_guest(uint64_t arg)
{
	uint64_t base = GPA_MMIO, v, flags;
	uint8_t equal;

	(void)arg;
	asm volatile("addl $5, (%0)" : : "r"(base) : "memory");
	asm volatile("orb $0x80, 4(%0)" : : "r"(base) : "memory");
	asm volatile("andw $0x0ff0, 8(%0)" : : "r"(base) : "memory");
	asm volatile("xorl %1, 12(%0)" : : "r"(base), "r"(0xffff0000)
		     : "memory");
	asm volatile("incl 16(%0)" : : "r"(base) : "memory");
	asm volatile("lock; btsl $3, 20(%0)" : : "r"(base) : "memory");
	v = 0x55;
	asm volatile("xchgl %k0, 24(%1)" : "+r"(v) : "r"(base) : "memory");
	G_CHECK_EQ(v, 0x18);
	v = 0x1c;
	asm volatile("lock; cmpxchgl %k3, 28(%2); sete %b1"
		     : "+a"(v), "=q"(equal) : "r"(base), "r"(0x99)
		     : "memory");
	G_CHECK_EQ(equal, 1);
	asm volatile("cmpl $0x20, 32(%1); pushfq; popq %0" : "=r"(flags)
		     : "r"(base) : "memory");
	G_CHECK_EQ(flags & 0x8d5, 0x44);	/* ZF and PF */
	asm volatile("testb $0x20, 32(%1); pushfq; popq %0" : "=r"(flags)
		     : "r"(base) : "memory");
	G_CHECK_EQ(flags & 0x8c5, 0);
	v = 0x10;
	asm volatile("addq 36(%1), %0" : "+r"(v) : "r"(base) : "memory");
	G_CHECK_EQ(v, 0x2800000034ULL);
}

TEST(read_modify_write)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, modify_guest);
	uint32_t i, *reg = (uint32_t *)device.mem;

	for (i = 0; i < 16; i++)
		reg[i] = i * 4;
	serve_until_done(vcpu);
	CHECK_EQ(reg[0], 5);
	CHECK_EQ(reg[1], 0x84);
	CHECK_EQ(reg[2], 0);
	CHECK_EQ(reg[3], 0xffff000c);
	CHECK_EQ(reg[4], 17);
	CHECK_EQ(reg[5], 20 | 8);
	CHECK_EQ(reg[6], 0x55);
	CHECK_EQ(reg[7], 0x99);
	CHECK_EQ(reg[8], 0x20);
}

static void string_guest(uint64_t arg)
{
	uint64_t si, di, cx;

	(void)arg;
	/* RAM to device, device to device, device to RAM. */
	si = GPA_FREE;
	di = GPA_MMIO + 3;
	cx = 5;
	asm volatile("rep movsl" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	G_CHECK_EQ(cx, 0);
	G_CHECK_EQ(si, GPA_FREE + 20);
	G_CHECK_EQ(di, GPA_MMIO + 23);
	si = GPA_MMIO + 3;
	di = GPA_MMIO + 0x100;
	cx = 10;
	asm volatile("rep movsw" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	G_CHECK_EQ(cx, 0);
	si = GPA_MMIO + 0x100;
	di = GPA_FREE + 0x100;
	cx = 20;
	asm volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	G_CHECK_EQ(cx, 0);
	di = GPA_MMIO + 0x200;
	cx = 3;
	asm volatile("rep stosq" : "+D"(di), "+c"(cx)
		     : "a"(0x0807060504030201) : "memory");
	G_CHECK_EQ(cx, 0);
	G_CHECK_EQ(di, GPA_MMIO + 0x218);
}

TEST(strings)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, string_guest);
	uint8_t *ram = vm_ptr(vm, GPA_FREE);
	unsigned int i;

	for (i = 0; i < 20; i++)
		ram[i] = 'a' + i;
	serve_until_done(vcpu);
	CHECK(!memcmp(device.mem + 3, ram, 20), "RAM to device");
	CHECK(!memcmp(device.mem + 0x100, ram, 20), "device to device");
	CHECK(!memcmp(ram + 0x100, ram, 20), "device to RAM");
	for (i = 0; i < 24; i++)
		CHECK_EQ(device.mem[0x200 + i], i % 8 + 1);
}

/* Virtual pages: RAM, then the device, then RAM. */
#define GVA_ACROSS	0x10000000ULL

static void across_guest(uint64_t arg)
{
	uint64_t v = 0x8877665544332211;

	(void)arg;
	asm volatile("movq %0, (%1)" : : "r"(v), "r"(GVA_ACROSS + 4096 - 3)
		     : "memory");
	asm volatile("movq (%1), %0" : "=r"(v) : "r"(GVA_ACROSS + 4096 - 3)
		     : "memory");
	G_CHECK_EQ(v, 0x8877665544332211);
	asm volatile("movl %k0, (%1)" : : "r"(v), "r"(GVA_ACROSS + 8192 - 1)
		     : "memory");
	asm volatile("movl (%1), %k0" : "=r"(v) : "r"(GVA_ACROSS + 8192 - 1)
		     : "memory");
	G_CHECK_EQ(v, 0x44332211);
}

TEST(across_pages)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, across_guest);
	uint8_t *ram = vm_ptr(vm, GPA_FREE);

	vm_map(vm, GVA_ACROSS, GPA_FREE, PTE_P | PTE_W);
	vm_map(vm, GVA_ACROSS + PAGE_SIZE, GPA_MMIO, PTE_P | PTE_W);
	vm_map(vm, GVA_ACROSS + 2 * PAGE_SIZE, GPA_FREE + PAGE_SIZE,
	       PTE_P | PTE_W);
	serve_until_done(vcpu);
	CHECK(!memcmp(ram + 4096 - 3, "\x11\x22\x33", 3), "RAM before");
	CHECK(!memcmp(device.mem, "\x44\x55\x66\x77\x88", 5), "device, first");
	CHECK_EQ(device.mem[4095], 0x11);
	CHECK(!memcmp(ram + 4096, "\x22\x33\x44", 3), "RAM after");
}

static void across_fault_guest(uint64_t arg)
{
	uint64_t v = 0x8877665544332211;
	int vector;

	(void)arg;
	/* The second half faults: no part of the write may happen. */
	vector = GUEST_TRY("movq %0, (%1)", : : "r"(v),
			   "r"(GVA_ACROSS + 4096 - 3) : "memory");
	G_CHECK_EQ(vector, 14);
	G_CHECK_EQ(guest_cpu()->cr2, GVA_ACROSS + 4096);
}

TEST(across_into_fault)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, across_fault_guest);

	vm_map(vm, GVA_ACROSS, GPA_MMIO, PTE_P | PTE_W);
	vm_map(vm, GVA_ACROSS + PAGE_SIZE, 0, 0);
	serve_until_done(vcpu);
	CHECK_EQ(device.writes, 0);
}

static void completion_guest(uint64_t arg)
{
	uint32_t v = mmio_read32(GPA_MMIO);

	(void)arg;
	guest_sync(1, v);
}

TEST(completion_by_immediate_exit)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, completion_guest);

	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.is_write, 0);
	CHECK_EQ(vcpu->run->mmio.len, 4);
	memcpy(vcpu->run->mmio.data, "\x01\x02\x03\x04", 4);
	CHECK_ERR(vcpu_complete(vcpu), EINTR);
	CHECK_ERR(vcpu_complete(vcpu), EINTR);
	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->call.b, 0x04030201);
	EXPECT_DONE(vcpu);
}

static void sse_guest(uint64_t arg)
{
	uint64_t low, high;

	(void)arg;
	asm volatile("movdqu (%2), %%xmm5\n"
		     "movdqu %%xmm5, 0x100(%2)\n"
		     "movq %%xmm5, %0\n"
		     "psrldq $8, %%xmm5\n"
		     "movq %%xmm5, %1\n"
		     : "=r"(low), "=r"(high) : "r"(GPA_MMIO) : "memory");
	G_CHECK_EQ(low, 0x0807060504030201);
	G_CHECK_EQ(high, 0x100f0e0d0c0b0a09);
}

TEST(sixteen_bytes)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, sse_guest);
	int i;

	for (i = 0; i < 16; i++)
		device.mem[i] = i + 1;
	serve_until_done(vcpu);
	CHECK(!memcmp(device.mem, device.mem + 0x100, 16), "written back");
}

static void fetch_guest(uint64_t arg)
{
	(void)arg;
	((void (*)(void))GPA_MMIO)();
}

/* Code cannot run from a device: user space is told, the host survives. */
TEST(fetch)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, fetch_guest);

	EXPECT_EXIT(vcpu, KVM_EXIT_INTERNAL_ERROR);
	CHECK_EQ(vcpu->run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
}

static void tables_guest(uint64_t arg)
{
	/* Page tables in a hole: every fetch of an entry fails. */
	write_cr3(arg);
}

/* Such a guest may spin, but a signal still ends KVM_RUN. */
TEST(page_tables_in_hole)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, tables_guest);
	enum event event;

	vcpu_arg(vcpu, GPA_MMIO);
	alarm_ms(500);
	event = vcpu_run(vcpu);
	CHECK((event == EVENT_ERROR && errno == EINTR) || event == EVENT_EXIT,
	      "event %u, %s", event, strerrorname_np(errno));
}

static void push_guest(uint64_t arg)
{
	uint64_t v;

	(void)arg;
	asm volatile("movq %%rsp, %%rbx\n"
		     "movq %1, %%rsp\n"
		     "pushq $0x1234\n"
		     "popq %0\n"
		     "movq %%rbx, %%rsp\n"
		     : "=&r"(v) : "r"(GPA_MMIO + 0x800) : "rbx", "memory");
	G_CHECK_EQ(v, 0x1234);
}

TEST(stack)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, push_guest);

	serve_until_done(vcpu);
	CHECK_EQ(device.writes, 1);
	CHECK_EQ(device.reads, 1);
}

BLOB(real_mmio,
     ".code16\n"
     "movw $0xb800, %ax\n"	/* what a text screen would be */
     "movw %ax, %ds\n"
     "movw %ax, %es\n"
     "movb $0x41, 0x20\n"
     "movw 0x20, %bx\n"
     "incw %bx\n"
     "movw %bx, 0x30\n"
     "movl $0x12345678, %eax\n"
     "movw $0x40, %di\n"
     "stosl\n"
     "hlt\n");

TEST(real_mode)
{
	static uint8_t screen[0x8000];
	struct vm *vm = vm_bare();
	struct vcpu *vcpu;
	struct kvm_run *run;

	vm->mem = aligned_alloc(PAGE_SIZE, 0x20000);
	vm->mem_size = 0x20000;
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000));
	REQUIRE_OK(vm_slot(vm, 0, 0, 0, vm->mem_size, vm->mem));
	vm_blob(vm, GPA_BLOB, real_mmio);
	vcpu = vcpu_real_mode(vm, 0);
	run = vcpu->run;
	while (vcpu_run(vcpu) == EVENT_EXIT &&
	       run->exit_reason == KVM_EXIT_MMIO) {
		uint64_t offset = run->mmio.phys_addr - 0xb8000;

		REQUIRE(offset < sizeof(screen) - 8, "gpa %#llx",
			run->mmio.phys_addr);
		if (run->mmio.is_write)
			memcpy(screen + offset, run->mmio.data, run->mmio.len);
		else
			memcpy(run->mmio.data, screen + offset, run->mmio.len);
	}
	CHECK_EQ(run->exit_reason, KVM_EXIT_HLT);
	CHECK_EQ(screen[0x20], 0x41);
	CHECK_EQ(screen[0x30], 0x42);
	CHECK_EQ(*(uint32_t *)(screen + 0x40), 0x12345678);
}
