// SPDX-License-Identifier: GPL-2.0-only
/* Port I/O that user space handles: IN, OUT and their string forms. */
#include <string.h>

#include "vm.h"

#define PORT	0x1234
#define VECTOR_GP	13
#define VECTOR_PF	14

static char buffer[2 * 4096] __attribute__((aligned(4096)));

/* The next exit shall be this access; returns its data. */
static void *expect_io(struct vcpu *vcpu, int direction, int size)
{
	struct kvm_run *run = vcpu->run;

	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(run->io.direction, direction);
	CHECK_EQ(run->io.port, PORT);
	CHECK_EQ(run->io.size, size);
	CHECK(run->io.count >= 1, "count %u", run->io.count);
	REQUIRE(run->io.data_offset >= sizeof(*run) - 256 - 2048 &&
		run->io.data_offset + (uint64_t)run->io.size * run->io.count <=
		vcpu->run_size, "data at %#llx, %u x %u",
		run->io.data_offset, run->io.count, run->io.size);
	return (char *)run + run->io.data_offset;
}

static void out_guest(uint64_t arg)
{
	(void)arg;
	outb(PORT, 0xa5);
	outw(PORT, 0xbeef);
	outl(PORT, 0xcafef00d);
	asm volatile("outb %%al, $0x42" : : "a"(0x17));
}

TEST(out)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, out_guest);

	CHECK_EQ(*(uint8_t *)expect_io(vcpu, KVM_EXIT_IO_OUT, 1), 0xa5);
	CHECK_EQ(vcpu->run->io.count, 1);
	CHECK_EQ(*(uint16_t *)expect_io(vcpu, KVM_EXIT_IO_OUT, 2), 0xbeef);
	CHECK_EQ(*(uint32_t *)expect_io(vcpu, KVM_EXIT_IO_OUT, 4), 0xcafef00d);
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, 0x42);
	EXPECT_DONE(vcpu);
}

static void in_guest(uint64_t arg)
{
	uint64_t rax = 0x1122334455667788;

	(void)arg;
	asm volatile("inb %%dx, %%al" : "+a"(rax) : "d"(PORT));
	G_CHECK_EQ(rax, 0x11223344556677f1);
	asm volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(PORT));
	G_CHECK_EQ(rax, 0x112233445566f2f3);
	/* 32 bits: the upper half becomes zero. */
	asm volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(PORT));
	G_CHECK_EQ(rax, 0xf4f5f6f7);
}

TEST(in)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, in_guest);

	*(uint8_t *)expect_io(vcpu, KVM_EXIT_IO_IN, 1) = 0xf1;
	*(uint16_t *)expect_io(vcpu, KVM_EXIT_IO_IN, 2) = 0xf2f3;
	*(uint32_t *)expect_io(vcpu, KVM_EXIT_IO_IN, 4) = 0xf4f5f6f7;
	EXPECT_DONE(vcpu);
}

static void complete_guest(uint64_t arg)
{
	uint32_t value;

	(void)arg;
	value = inl(PORT);
	outl(PORT, value + 1);
}

/* The instruction completes at the next KVM_RUN, even if that enters nothing. */
TEST(completion_by_immediate_exit)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, complete_guest);
	struct kvm_regs regs;

	*(uint32_t *)expect_io(vcpu, KVM_EXIT_IO_IN, 4) = 0x1000;
	CHECK_ERR(vcpu_complete(vcpu), EINTR);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rax, 0x1000);
	/* A second time changes nothing. */
	CHECK_ERR(vcpu_complete(vcpu), EINTR);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rax, 0x1000);
	CHECK_EQ(*(uint32_t *)expect_io(vcpu, KVM_EXIT_IO_OUT, 4), 0x1001);
	EXPECT_DONE(vcpu);
}

static void string_out_guest(uint64_t size)
{
	uint64_t si = (uintptr_t)buffer + 4096 - 16, cx = 32 / size;
	unsigned int i;

	for (i = 0; i < sizeof(buffer); i++)
		buffer[i] = i;
	switch (size) {
	case 1:
		asm volatile("rep outsb" : "+S"(si), "+c"(cx) : "d"(PORT)
			     : "memory");
		break;
	case 2:
		asm volatile("rep outsw" : "+S"(si), "+c"(cx) : "d"(PORT)
			     : "memory");
		break;
	default:
		asm volatile("rep outsl" : "+S"(si), "+c"(cx) : "d"(PORT)
			     : "memory");
	}
	G_CHECK_EQ(cx, 0);
	G_CHECK_EQ(si, (uintptr_t)buffer + 4096 + 16);
	/* None at all. */
	asm volatile("rep outsb" : "+S"(si), "+c"(cx) : "d"(PORT) : "memory");
	G_CHECK_EQ(si, (uintptr_t)buffer + 4096 + 16);
}

/* Gathers what a REP OUTS delivers, in however many exits. */
static void gather(struct vcpu *vcpu, int size, uint8_t *data, size_t total)
{
	size_t got = 0, n;

	while (got < total) {
		void *from = expect_io(vcpu, KVM_EXIT_IO_OUT, size);

		n = vcpu->run->io.size * vcpu->run->io.count;
		REQUIRE(n <= total - got, "%zu bytes too many",
			n - (total - got));
		memcpy(data + got, from, n);
		got += n;
	}
}

static void string_out(int size)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, string_out_guest);
	uint8_t data[32];
	unsigned int i;

	vcpu_arg(vcpu, size);
	gather(vcpu, size, data, sizeof(data));
	for (i = 0; i < sizeof(data); i++)
		CHECK_EQ(data[i], (4096 - 16 + i) & 0xff);
	EXPECT_DONE(vcpu);
}

TEST(rep_outs)
{
	string_out(1);
	string_out(2);
	string_out(4);
}

static void string_in_guest(uint64_t size)
{
	uint64_t di = (uintptr_t)buffer + 4096 - 16, cx = 32 / size;
	unsigned int i;

	switch (size) {
	case 1:
		asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(PORT)
			     : "memory");
		break;
	case 2:
		asm volatile("rep insw" : "+D"(di), "+c"(cx) : "d"(PORT)
			     : "memory");
		break;
	default:
		asm volatile("rep insl" : "+D"(di), "+c"(cx) : "d"(PORT)
			     : "memory");
	}
	G_CHECK_EQ(cx, 0);
	G_CHECK_EQ(di, (uintptr_t)buffer + 4096 + 16);
	for (i = 0; i < 32; i++)
		G_CHECK_EQ((uint8_t)buffer[4096 - 16 + i], 0x40 + i);
	G_CHECK_EQ(buffer[4096 - 17], 0);
	G_CHECK_EQ(buffer[4096 + 16], 0);
}

static void string_in(int size)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, string_in_guest);
	uint8_t next = 0x40;

	vcpu_arg(vcpu, size);
	while (next < 0x60) {
		uint8_t *to = expect_io(vcpu, KVM_EXIT_IO_IN, size);
		size_t i, n = vcpu->run->io.size * vcpu->run->io.count;

		REQUIRE(n <= 0x60U - next, "asks for too much");
		for (i = 0; i < n; i++)
			to[i] = next++;
	}
	EXPECT_DONE(vcpu);
}

TEST(rep_ins)
{
	string_in(1);
	string_in(2);
	string_in(4);
}

static uint64_t changed_rcx;

static void changed_guest(uint64_t arg)
{
	uint64_t di = (uintptr_t)buffer, cx = 3;

	(void)arg;
	asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(PORT) : "memory");
	G_CHECK_EQ(cx, 0);
	G_CHECK_EQ(di, (uintptr_t)buffer + changed_rcx);
}

/*
 * User space may change RCX while it has the access to do: the data that it gives is used as
 * far as RCX asks for it, and what is missing is asked for.
 */
static void string_in_changed(uint64_t rcx)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, changed_guest);
	struct kvm_regs regs;
	enum event event;
	unsigned int more = 0;

	GUEST_VAR(vm, changed_rcx) = rcx;
	memset(expect_io(vcpu, KVM_EXIT_IO_IN, 1), 0x5a, 3);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rcx, 3);
	regs.rcx = rcx;
	vcpu_set_regs(vcpu, &regs);
	while ((event = vcpu_run(vcpu)) == EVENT_EXIT) {
		REQUIRE(vcpu->run->exit_reason == KVM_EXIT_IO, "exit reason %u",
			vcpu->run->exit_reason);
		more += vcpu->run->io.count;
	}
	CHECK_EQ(event, EVENT_DONE);
	CHECK(more ? rcx > 3 : rcx <= 3, "RCX %llu, %u more asked for", (unsigned long long)rcx,
	      more);
}

TEST(rep_ins_changed)
{
	string_in_changed(1);
	string_in_changed(0);
	string_in_changed(4096);
}

static void backward_guest(uint64_t arg)
{
	uint64_t si = (uintptr_t)buffer + 7, cx = 8;

	(void)arg;
	asm volatile("std; rep outsb; cld" : "+S"(si), "+c"(cx) : "d"(PORT)
		     : "memory");
	G_CHECK_EQ(si, (uintptr_t)buffer - 1);
	G_CHECK_EQ(cx, 0);
}

TEST(rep_outs_backward)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, backward_guest);
	uint8_t data[8];

	memcpy((char *)&GUEST_VAR(vm, buffer), "01234567", 8);
	gather(vcpu, 1, data, sizeof(data));
	CHECK(!memcmp(data, "76543210", 8), "got %.8s", data);
	EXPECT_DONE(vcpu);
}

static void large_guest(uint64_t arg)
{
	uint64_t si = GPA_FREE, cx = 0x4000;

	(void)arg;
	asm volatile("rep outsb" : "+S"(si), "+c"(cx) : "d"(PORT) : "memory");
	G_CHECK_EQ(cx, 0);
}

/* More than the page that the data of one exit lies in. */
TEST(rep_outs_large)
{
	static uint8_t data[0x4000];
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, large_guest);
	uint32_t i, *mem = vm_ptr(vm, GPA_FREE);

	for (i = 0; i < sizeof(data) / 4; i++)
		mem[i] = i * 2654435761U;
	gather(vcpu, 1, data, sizeof(data));
	CHECK(!memcmp(data, mem, sizeof(data)), "data differs");
	EXPECT_DONE(vcpu);
}

static void fault_guest(uint64_t arg)
{
	uint64_t di = GPA_FREE + PAGE_SIZE - 4, cx = 8;
	int vector;

	(void)arg;
	vector = GUEST_TRY("rep insb", : "+D"(di), "+c"(cx) : "d"(PORT)
			   : "memory");
	G_CHECK_EQ(vector, VECTOR_PF);
	G_CHECK_EQ(guest_cpu()->cr2, GPA_FREE + PAGE_SIZE);
	G_CHECK_EQ(guest_cpu()->error & ~4ULL, 2);
	/* What came before the fault has happened. */
	G_CHECK_EQ(cx, 4);
	G_CHECK_EQ(di, GPA_FREE + PAGE_SIZE);
}

TEST(rep_ins_page_fault)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, fault_guest);
	int served = 0;

	vm_map(vm, GPA_FREE, GPA_FREE, PTE_P | PTE_W);
	vm_map(vm, GPA_FREE + PAGE_SIZE, 0, 0);
	while (vcpu_run(vcpu) == EVENT_EXIT) {
		uint8_t *to = (uint8_t *)vcpu->run + vcpu->run->io.data_offset;
		unsigned int i;

		REQUIRE_EQ(vcpu->run->exit_reason, KVM_EXIT_IO);
		REQUIRE_EQ(vcpu->run->io.direction, KVM_EXIT_IO_IN);
		REQUIRE(vcpu->run->io.count <= 8, "count %u",
			vcpu->run->io.count);
		for (i = 0; i < vcpu->run->io.count; i++)
			to[i] = 0x30 + served++;
	}
	/* Stock KVM asks for more and loses what has no place. */
	if (!kvm_is_stock())
		CHECK_EQ(served, 4);
	CHECK(!memcmp(vm_ptr(vm, GPA_FREE + PAGE_SIZE - 4), "0123", 4),
	      "data differs");
}

static uint64_t user_out(void)
{
	return GUEST_TRY("outb %%al, %%dx", : : "a"(1), "d"(PORT));
}

static void user_guest(uint64_t arg)
{
	(void)arg;
	/* IOPL is 0 and the TSS has no permission bitmap. */
	G_CHECK_EQ(guest_user(user_out, GPA_FREE + 0x1000), VECTOR_GP);
	G_CHECK_EQ(guest_cpu()->error, 0);
	asm volatile("pushfq; orl $0x3000, (%%rsp); popfq" : : : "memory", "cc");
	G_CHECK_EQ(guest_user(user_out, GPA_FREE + 0x1000),
		   (uint64_t)GUEST_NO_TRAP);
}

TEST(user_mode)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, user_guest);

	CHECK_EQ(*(uint8_t *)expect_io(vcpu, KVM_EXIT_IO_OUT, 1), 1);
	EXPECT_DONE(vcpu);
}

BLOB(real_string,
     ".code16\n"
     "movw $0x2000, %ax\n"
     "movw %ax, %ds\n"
     "movw %ax, %es\n"
     "movw $0xfffe, %si\n"
     "movw $4, %cx\n"
     "movw $0x1234, %dx\n"
     "cld\n"
     "rep outsb\n"		/* wraps at 64 KiB */
     "movw $0x10, %di\n"
     "movw $2, %cx\n"
     "rep insw\n"
     "movw %di, %ax\n"
     "outw %ax, %dx\n"
     "movw $0x10, %si\n"
     "movw $0x3000, %ax\n"
     "movw %ax, %fs\n"
     "fs outsb\n"
     "hlt\n");

TEST(real_mode_strings)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_real_mode(vm, 0);
	uint8_t data[4], given = 0;

	vm_blob(vm, GPA_BLOB, real_string);
	memcpy(vm_ptr(vm, 0x2fffe), "AB", 2);
	memcpy(vm_ptr(vm, 0x20000), "CD", 2);
	memcpy(vm_ptr(vm, 0x30000), "XX", 2);
	memcpy(vm_ptr(vm, 0x30010), "Q", 1);
	gather(vcpu, 1, data, 4);
	CHECK(!memcmp(data, "ABCD", 4), "got %.4s", data);
	while (given < 4) {
		uint8_t *to = expect_io(vcpu, KVM_EXIT_IO_IN, 2);
		unsigned int i;

		for (i = 0; i < vcpu->run->io.count * 2; i++)
			to[i] = 'a' + given++;
	}
	CHECK_EQ(*(uint16_t *)expect_io(vcpu, KVM_EXIT_IO_OUT, 2), 0x14);
	CHECK(!memcmp(vm_ptr(vm, 0x20010), "abcd", 4), "got %.4s",
	      (char *)vm_ptr(vm, 0x20010));
	CHECK_EQ(*(uint8_t *)expect_io(vcpu, KVM_EXIT_IO_OUT, 1), 'Q');
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
}
