// SPDX-License-Identifier: GPL-2.0-only
/* Memslots and the host's memory behind them, seen by a guest. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

#define GPA_TEST	0x40000000ULL	/* a slot of the test's own */
#define HUGE_SIZE	(2ULL << 20)

static uint8_t *map(size_t size, int flags, int fd)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	REQUIRE(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

static uint8_t *anon(size_t size)
{
	return map(size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

/* Commands for a guest that does single accesses until told to stop. */
struct command {
	uint64_t op, addr, value;
};

enum { STOP, READ, WRITE, CALL };

static volatile struct command command;

static void access_guest(uint64_t arg)
{
	(void)arg;
	for (;;) {
		guest_sync(0, command.value);
		switch (command.op) {
		case READ:
			command.value = *(volatile uint64_t *)command.addr;
			break;
		case WRITE:
			*(volatile uint64_t *)command.addr = command.value;
			break;
		case CALL:
			command.value =
				((uint64_t (*)(void))command.addr)();
			break;
		default:
			return;
		}
	}
}

/* Starts one access; how it ends is for the caller to see. */
static void order(struct vcpu *vcpu, int op, uint64_t addr, uint64_t value)
{
	volatile struct command *c = &GUEST_VAR(vcpu->vm, command);

	c->op = op;
	c->addr = addr;
	c->value = value;
}

static struct vcpu *access_vcpu(struct vm *vm)
{
	struct vcpu *vcpu = vcpu_new(vm, 0, access_guest);

	EXPECT_SYNC(vcpu, 0);
	return vcpu;
}

static uint64_t guest_read(struct vcpu *vcpu, uint64_t addr)
{
	order(vcpu, READ, addr, 0);
	EXPECT_SYNC(vcpu, 0);
	return vcpu->call.b;
}

static void guest_write(struct vcpu *vcpu, uint64_t addr, uint64_t value)
{
	order(vcpu, WRITE, addr, value);
	EXPECT_SYNC(vcpu, 0);
}

/* The next access to @addr shall be one to a device. */
static void expect_no_memory(struct vcpu *vcpu, uint64_t addr)
{
	order(vcpu, READ, addr, 0);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.phys_addr, addr);
	CHECK_EQ(vcpu->run->mmio.is_write, 0);
	memset(vcpu->run->mmio.data, 0xff, 8);
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(vcpu->call.b, ~0ULL);
}

static void demand_guest(uint64_t pages)
{
	uint64_t i, bad = 0;

	for (i = 0; i < pages; i++) {
		volatile uint64_t *p = (void *)(GPA_TEST + i * PAGE_SIZE);

		bad += *p != i * 3;
		*p = i * 5;
		bad += p[1] != 0;
		p[511] = i;
	}
	G_CHECK_EQ(bad, 0);
}

TEST(demand_faults)
{
	const uint64_t pages = 1024;
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, demand_guest);
	uint8_t *mem = anon(pages * PAGE_SIZE);
	uint64_t i, bad = 0;

	/* Every other page is not there yet on the host either. */
	for (i = 0; i < pages; i += 2)
		*(uint64_t *)(mem + i * PAGE_SIZE) = i * 3;
	madvise(mem, pages * PAGE_SIZE, MADV_NOHUGEPAGE);
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, pages * PAGE_SIZE, mem));
	for (i = 1; i < pages; i += 2)
		*(uint64_t *)(mem + i * PAGE_SIZE) = i * 3;
	vcpu_arg(vcpu, pages);
	EXPECT_DONE(vcpu);
	for (i = 0; i < pages; i++) {
		uint64_t *p = (uint64_t *)(mem + i * PAGE_SIZE);

		bad += p[0] != i * 5 || p[511] != i;
	}
	CHECK_EQ(bad, 0);
}

TEST(read_only_slot)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	uint8_t *mem = anon(2 * PAGE_SIZE);

	NEED_CAP(KVM_CAP_READONLY_MEM);
	memset(mem, 0x11, PAGE_SIZE);
	/* mov $0x1234, %eax; ret */
	memcpy(mem + 64, "\xb8\x34\x12\x00\x00\xc3", 6);
	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_READONLY, GPA_TEST, 2 * PAGE_SIZE,
			   mem));
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 0x1111111111111111);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + PAGE_SIZE), 0);
	order(vcpu, CALL, GPA_TEST + 64, 0);
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(vcpu->call.b, 0x1234);
	order(vcpu, WRITE, GPA_TEST + 8, 0x2222);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.is_write, 1);
	CHECK_EQ(vcpu->run->mmio.phys_addr, GPA_TEST + 8);
	CHECK_EQ(vcpu->run->mmio.len, 8);
	CHECK_EQ(*(uint64_t *)vcpu->run->mmio.data, 0x2222);
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + 8), 0x1111111111111111);
	/* To a page never read before, too. */
	order(vcpu, WRITE, GPA_TEST + PAGE_SIZE, 0x3333);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(*(uint64_t *)(mem + PAGE_SIZE), 0);
}

/* A read-only slot may lie over memory that the process cannot write. */
TEST(read_only_slot_read_only_memory)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	uint8_t *mem = anon(PAGE_SIZE);

	NEED_CAP(KVM_CAP_READONLY_MEM);
	memset(mem, 0x44, PAGE_SIZE);
	mprotect(mem, PAGE_SIZE, PROT_READ);
	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_READONLY, GPA_TEST, PAGE_SIZE, mem));
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 0x4444444444444444);
	order(vcpu, WRITE, GPA_TEST, 1);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(*(uint64_t *)mem, 0x4444444444444444);
}

TEST(slot_delete_and_return)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	uint8_t *mem = anon(2 * PAGE_SIZE);

	memset(mem, 0x55, PAGE_SIZE);
	memset(mem + PAGE_SIZE, 0x66, PAGE_SIZE);
	expect_no_memory(vcpu, GPA_TEST);
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, PAGE_SIZE, mem));
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 0x5555555555555555);
	guest_write(vcpu, GPA_TEST, 1);
	REQUIRE_OK(vm_slot(vm, 1, 0, 0, 0, NULL));
	expect_no_memory(vcpu, GPA_TEST);
	/* Other memory in the same place, under another number. */
	REQUIRE_OK(vm_slot(vm, 2, 0, GPA_TEST, PAGE_SIZE, mem + PAGE_SIZE));
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 0x6666666666666666);
	guest_write(vcpu, GPA_TEST, 2);
	CHECK_EQ(*(uint64_t *)mem, 1);
	CHECK_EQ(*(uint64_t *)(mem + PAGE_SIZE), 2);
}

TEST(slot_move)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	uint8_t *mem = anon(4 * PAGE_SIZE);
	uint64_t other = GPA_TEST + 0x100000;

	memset(mem, 0x77, PAGE_SIZE);
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, 4 * PAGE_SIZE, mem));
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 0x7777777777777777);
	REQUIRE_OK(vm_slot(vm, 1, 0, other, 4 * PAGE_SIZE, mem));
	expect_no_memory(vcpu, GPA_TEST);
	CHECK_EQ(guest_read(vcpu, other), 0x7777777777777777);
	/* Onto part of where it was. */
	REQUIRE_OK(vm_slot(vm, 1, 0, other + PAGE_SIZE, 4 * PAGE_SIZE, mem));
	expect_no_memory(vcpu, other);
	CHECK_EQ(guest_read(vcpu, other + PAGE_SIZE), 0x7777777777777777);
	guest_write(vcpu, other + 4 * PAGE_SIZE, 5);
	CHECK_EQ(*(uint64_t *)(mem + 3 * PAGE_SIZE), 5);
}

/* One page of memory in two places of the guest. */
TEST(slot_alias)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	uint8_t *mem = anon(PAGE_SIZE);

	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, PAGE_SIZE, mem));
	REQUIRE_OK(vm_slot(vm, 2, 0, GPA_TEST + 0x200000, PAGE_SIZE, mem));
	guest_write(vcpu, GPA_TEST, 0x88);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + 0x200000), 0x88);
	madvise(mem, PAGE_SIZE, MADV_DONTNEED);
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 0);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + 0x200000), 0);
}

TEST(madvise_and_remap)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	uint8_t *mem = anon(2 * PAGE_SIZE), *again;

	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, 2 * PAGE_SIZE, mem));
	guest_write(vcpu, GPA_TEST, 0x99);
	guest_write(vcpu, GPA_TEST + PAGE_SIZE, 0xaa);
	madvise(mem, PAGE_SIZE, MADV_DONTNEED);
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 0);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + PAGE_SIZE), 0xaa);
	/* The zero page was mapped for the read: a write gets its own. */
	guest_write(vcpu, GPA_TEST, 0xbb);
	CHECK_EQ(*(uint64_t *)mem, 0xbb);

	munmap(mem, 2 * PAGE_SIZE);
	order(vcpu, READ, GPA_TEST, 0);
	CHECK_ERR(vcpu_run_raw(vcpu), EFAULT);
	again = mmap(mem, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	REQUIRE(again == mem, "mmap: %s", strerror(errno));
	*(uint64_t *)mem = 0xcc;
	/* The access starts over. */
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(vcpu->call.b, 0xcc);
}

TEST(mprotect_write)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	uint8_t *mem = anon(PAGE_SIZE);

	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, PAGE_SIZE, mem));
	guest_write(vcpu, GPA_TEST, 1);
	mprotect(mem, PAGE_SIZE, PROT_READ);
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 1);
	order(vcpu, WRITE, GPA_TEST, 2);
	CHECK_ERR(vcpu_run_raw(vcpu), EFAULT);
	CHECK_EQ(*(uint64_t *)mem, 1);
	mprotect(mem, PAGE_SIZE, PROT_NONE);
	CHECK_ERR(vcpu_run_raw(vcpu), EFAULT);
	mprotect(mem, PAGE_SIZE, PROT_READ | PROT_WRITE);
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(*(uint64_t *)mem, 2);
}

/* Whoever writes first after fork() gets a new page: the guest follows. */
TEST(copy_on_write)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	uint8_t *mem = anon(3 * PAGE_SIZE);
	int go[2], status, i;
	char byte = 0;
	pid_t pid;

	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, 3 * PAGE_SIZE, mem));
	for (i = 0; i < 3; i++)
		guest_write(vcpu, GPA_TEST + i * PAGE_SIZE, 100 + i);
	REQUIRE(!pipe(go), "pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) < 0)
			_exit(1);
		for (i = 0; i < 3; i++)
			CHECK_EQ(*(uint64_t *)(mem + i * PAGE_SIZE), 100 + i);
		_exit(0);
	}
	*(uint64_t *)mem = 200;
	CHECK_EQ(guest_read(vcpu, GPA_TEST), 200);
	guest_write(vcpu, GPA_TEST + PAGE_SIZE, 201);
	CHECK_EQ(*(uint64_t *)(mem + PAGE_SIZE), 201);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + 2 * PAGE_SIZE), 102);
	*(uint64_t *)(mem + 2 * PAGE_SIZE) = 202;
	CHECK_EQ(guest_read(vcpu, GPA_TEST + 2 * PAGE_SIZE), 202);
	close(go[1]);
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
}

TEST(shared_file)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = access_vcpu(vm);
	int fd = memfd_create("memory", MFD_CLOEXEC);
	uint64_t value = 0;
	uint8_t *mem;

	REQUIRE(fd >= 0 && !ftruncate(fd, 2 * PAGE_SIZE), "memfd: %s",
		strerror(errno));
	mem = map(2 * PAGE_SIZE, MAP_SHARED, fd);
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, 2 * PAGE_SIZE, mem));
	guest_write(vcpu, GPA_TEST + PAGE_SIZE + 8, 0xdd);
	CHECK(pread(fd, &value, 8, PAGE_SIZE + 8) == 8, "pread");
	CHECK_EQ(value, 0xdd);
	value = 0xee;
	CHECK(pwrite(fd, &value, 8, 16) == 8, "pwrite");
	CHECK_EQ(guest_read(vcpu, GPA_TEST + 16), 0xee);
	/* The file shrinks: the page is gone for the guest as for us. */
	REQUIRE(!ftruncate(fd, PAGE_SIZE), "ftruncate");
	order(vcpu, READ, GPA_TEST + PAGE_SIZE + 8, 0);
	CHECK_ERR(vcpu_run_raw(vcpu), EFAULT);
	REQUIRE(!ftruncate(fd, 2 * PAGE_SIZE), "ftruncate");
	EXPECT_SYNC(vcpu, 0);
	CHECK_EQ(vcpu->call.b, 0);
}

static void fill_guest(uint64_t size)
{
	uint64_t i;

	for (i = 0; i < size; i += PAGE_SIZE)
		*(volatile uint64_t *)(GPA_TEST + i) = i + 1;
	guest_sync(0, 0);
	for (i = 0; i < size; i += PAGE_SIZE)
		if (*(volatile uint64_t *)(GPA_TEST + i) != i + 2)
			guest_check(__FILE__, __LINE__, "offset", i, 0);
}

static void check_huge(struct vm *vm, uint8_t *mem, uint64_t size)
{
	struct vcpu *vcpu = vcpu_new(vm, 0, fill_guest);
	uint64_t i, bad = 0;

	vcpu_arg(vcpu, size);
	EXPECT_SYNC(vcpu, 0);
	for (i = 0; i < size; i += PAGE_SIZE) {
		bad += *(uint64_t *)(mem + i) != i + 1;
		*(uint64_t *)(mem + i) = i + 2;
	}
	CHECK_EQ(bad, 0);
	EXPECT_DONE(vcpu);
	vcpu_free(vcpu);
}

static uint64_t anon_huge_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	unsigned long kib = 0;
	char line[200];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

TEST(transparent_huge_pages)
{
	const uint64_t size = 4 * HUGE_SIZE;
	struct vm *vm = vm_new(0);
	uint8_t *area = anon(size + HUGE_SIZE), *mem;
	struct vcpu *vcpu;

	mem = (uint8_t *)(((uintptr_t)area + HUGE_SIZE - 1) & -HUGE_SIZE);
	if (madvise(mem, size, MADV_HUGEPAGE))
		test_skip("no transparent huge pages");
	*mem = 0;
	if (!anon_huge_kib())
		test_note("no huge page was to be had");
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, size, mem));
	check_huge(vm, mem, size);
	vcpu = vcpu_new(vm, 1, access_guest);
	EXPECT_SYNC(vcpu, 0);
	/* A hole in a huge page: neighbours stay. */
	madvise(mem + 5 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + 5 * PAGE_SIZE), 0);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + 4 * PAGE_SIZE), 4 * PAGE_SIZE + 2);
	guest_write(vcpu, GPA_TEST + 5 * PAGE_SIZE, 7);
	CHECK_EQ(*(uint64_t *)(mem + 5 * PAGE_SIZE), 7);
	/* All of one away, and there again. */
	madvise(mem + HUGE_SIZE, HUGE_SIZE, MADV_DONTNEED);
	CHECK_EQ(guest_read(vcpu, GPA_TEST + HUGE_SIZE + 8 * PAGE_SIZE), 0);
	guest_write(vcpu, GPA_TEST + HUGE_SIZE + 8 * PAGE_SIZE, 8);
	CHECK_EQ(*(uint64_t *)(mem + HUGE_SIZE + 8 * PAGE_SIZE), 8);
}

/* Host and guest addresses that do not agree in their low 21 bits. */
TEST(huge_pages_misaligned)
{
	const uint64_t size = 2 * HUGE_SIZE;
	struct vm *vm = vm_new(0);
	uint8_t *area = anon(size + 2 * HUGE_SIZE), *mem;

	mem = (uint8_t *)(((uintptr_t)area + HUGE_SIZE - 1) & -HUGE_SIZE);
	madvise(mem, size + HUGE_SIZE, MADV_HUGEPAGE);
	memset(mem, 0, size);
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, size, mem + 3 * PAGE_SIZE));
	check_huge(vm, mem + 3 * PAGE_SIZE, size);
}

TEST(hugetlb)
{
	const uint64_t size = HUGE_SIZE;
	struct vm *vm = vm_new(0);
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "w");
	uint8_t *mem;

	if (f) {
		fputs("4", f);
		fclose(f);
	}
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (mem == MAP_FAILED)
		test_skip("no hugetlb pages: %s", strerror(errno));
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, size, mem));
	check_huge(vm, mem, size);
}
