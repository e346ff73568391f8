// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways in which guest memory and device addresses have hurt hosts: used after
 * they were gone, without a page behind them, written past the log.
 * docs/security.md lists the classes.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apic.h"
#include "vm.h"

#define GPA_TEST	0x40000000ULL
#define SLOT		5
#define MSR_WALL_CLOCK	0x4b564d00
#define MSR_SYSTEM_TIME	0x4b564d01
#define POISON		0xdeadULL
#define NO_MEMORY	0xffffffffffffffffULL

static uint64_t *anon(uint64_t pages)
{
	void *mem = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	return mem;
}

/* Runs until the guest is done; answers reads of no memory with all ones. */
static void *serve(void *arg)
{
	struct vcpu *vcpu = arg;
	enum event event;

	while ((event = vcpu_run(vcpu)) == EVENT_EXIT) {
		if (vcpu->run->exit_reason != KVM_EXIT_MMIO)
			break;
		memset(vcpu->run->mmio.data, 0xff, sizeof(vcpu->run->mmio.data));
	}
	CHECK(event == EVENT_DONE, "exit reason %u, errno %d",
	      vcpu->run->exit_reason, errno);
	return NULL;
}

static volatile uint64_t stop;

static void look_guest(uint64_t arg)
{
	volatile uint64_t *p = (void *)(GPA_TEST + arg * PAGE_SIZE);

	while (!stop)
		G_CHECK(*p != POISON);
}

/* The same by the emulator: the source of OUTS. */
static void look_emulated_guest(uint64_t arg)
{
	uint64_t here;
	uint8_t byte;

	(void)arg;
	while (!stop) {
		/* MOVS from the slot to an address without memory is emulated. */
		uint64_t si = GPA_TEST, di = GPA_MMIO;

		asm volatile("movsb" : "+S"(si), "+D"(di) : : "memory");
		here = si;
		byte = *(volatile uint8_t *)(here - 1);
		G_CHECK(byte != (POISON & 0xff));
	}
}

/*
 * A slot is deleted and another put in its place, again and again, while vCPUs
 * read it. Once the call has returned, what was behind it holds a poison
 * that no guest may see.
 */
TEST_LIMIT(slot_stale_after_deletion, 120)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu[2];
	uint64_t *mem[2], *old;
	pthread_t thread[2];
	int i;

	for (i = 0; i < 2; i++) {
		mem[i] = anon(2);
		vcpu[i] = vcpu_new(vm, i, i ? look_emulated_guest : look_guest);
		vcpu_runnable(vcpu[i]);
		REQUIRE(!pthread_create(&thread[i], NULL, serve, vcpu[i]),
			"pthread_create");
	}
	for (i = 0; i < 100; i++) {
		old = mem[i % 2];
		memset(old, 0, 2 * PAGE_SIZE);
		REQUIRE_OK(vm_slot(vm, SLOT, 0, GPA_TEST, 2 * PAGE_SIZE, old));
		sched_yield();
		REQUIRE_OK(vm_slot(vm, SLOT, 0, 0, 0, NULL));
		old[0] = POISON;
		old[512] = POISON;
		if (i % 8 == 0)
			usleep(1000);
	}
	GUEST_VAR(vm, stop) = 1;
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

static void write_guest(uint64_t arg)
{
	volatile uint64_t *p = (void *)GPA_TEST;
	uint64_t i;

	(void)arg;
	while (!stop)
		for (i = 0; i < 64; i++)
			p[i * 512]++;
}

static bool in_log(struct vm *vm, uint32_t slot, uint64_t page)
{
	static uint64_t bitmap[64];
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
	return bitmap[page / 64] >> page % 64 & 1;
}

static void *fetch_logs(void *arg)
{
	static uint64_t bitmap[64];
	struct vm *vm = arg;
	long ret;

	/* Meanwhile the slot may log or not. */
	while (!GUEST_VAR(vm, stop)) {
		struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bitmap };

		ret = sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log);
		CHECK(!ret || ret == -ENOENT, "KVM_GET_DIRTY_LOG: %ld", ret);
	}
	return NULL;
}

/* Until the guest has written to page 3 once more, from start to end. */
static void await_write(volatile uint64_t *mem)
{
	uint64_t before = mem[3 * 512];

	while (mem[3 * 512] < before + 2)
		sched_yield();
}

/* A slot's flags change while its pages are written and its log is fetched. */
TEST_LIMIT(slot_flags_toggled, 120)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, write_guest);
	uint64_t *mem = anon(64);
	pthread_t run, logs;
	uint32_t flags;
	int i;

	REQUIRE_OK(vm_slot(vm, SLOT, 0, GPA_TEST, 64 * PAGE_SIZE, mem));
	REQUIRE(!pthread_create(&run, NULL, serve, vcpu), "pthread_create");
	REQUIRE(!pthread_create(&logs, NULL, fetch_logs, vm), "pthread_create");
	for (i = 0; i < 60; i++) {
		flags = i % 2 ? 0 : KVM_MEM_LOG_DIRTY_PAGES;
		REQUIRE_OK(vm_slot(vm, SLOT, flags, GPA_TEST, 64 * PAGE_SIZE, mem));
		/* Write access cannot be taken away, with or without the log. */
		CHECK_ERR(vm_slot(vm, SLOT, flags | KVM_MEM_READONLY, GPA_TEST,
				  64 * PAGE_SIZE, mem), EINVAL);
	}
	GUEST_VAR(vm, stop) = 1;
	pthread_join(logs, NULL);
	pthread_join(run, NULL);

	/* What is mapped for writing already is logged from then on. */
	GUEST_VAR(vm, stop) = 0;
	vcpu_free(vcpu);
	vcpu = vcpu_new(vm, 1, write_guest);
	vcpu_runnable(vcpu);
	REQUIRE(!pthread_create(&run, NULL, serve, vcpu), "pthread_create");
	await_write(mem);
	REQUIRE_OK(vm_slot(vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST,
			   64 * PAGE_SIZE, mem));
	await_write(mem);
	GUEST_VAR(vm, stop) = 1;
	pthread_join(run, NULL);
	CHECK(in_log(vm, SLOT, 3), "page 3 is not in the log");
}

static void *set_clocks(void *arg)
{
	struct vcpu *vcpu = arg;

	while (!GUEST_VAR(vcpu->vm, stop)) {
		CHECK_OK(vcpu_set_msr(vcpu, MSR_WALL_CLOCK, GPA_TEST));
		CHECK_OK(vcpu_set_msr(vcpu, MSR_SYSTEM_TIME, GPA_TEST | 1));
	}
	return NULL;
}

/* KVM_SET_MSRS writes guest memory: it uses the slots as KVM_RUN does. */
TEST(slots_change_under_set_msrs)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_bare(vm, 0);
	uint64_t *mem = anon(1);
	pthread_t thread;
	int i;

	REQUIRE(!pthread_create(&thread, NULL, set_clocks, vcpu), "pthread_create");
	for (i = 0; i < 200; i++) {
		REQUIRE_OK(vm_slot(vm, SLOT, 0, GPA_TEST, PAGE_SIZE, mem));
		REQUIRE_OK(vm_slot(vm, SLOT, 0, 0, 0, NULL));
	}
	GUEST_VAR(vm, stop) = 1;
	pthread_join(thread, NULL);
}

static void read_guest(uint64_t arg)
{
	guest_sync(1, *(volatile uint64_t *)arg);
}

static void exec_guest(uint64_t arg)
{
	((void (*)(void))arg)();
}

/* An access to such memory: refused, and the VM lives on without the slot. */
static void refuses(void *mem, const char *what)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu;
	uint64_t *plain = anon(1);
	long ret;
	int i;

	ret = vm_slot(vm, SLOT, 0, GPA_TEST, PAGE_SIZE, mem);
	CHECK(!ret, "%s: a slot is refused: %ld", what, ret);
	for (i = 0; i < 2; i++) {
		vcpu = vcpu_new(vm, i, i ? exec_guest : read_guest);
		vcpu_runnable(vcpu);
		vcpu_arg(vcpu, GPA_TEST);
		ret = vcpu_run_raw(vcpu);
		CHECK(ret == -EFAULT, "%s: KVM_RUN: expected -EFAULT, got %ld",
		      what, ret);
	}
	REQUIRE_OK(vm_slot(vm, SLOT, 0, 0, 0, NULL));
	plain[0] = 0x1234;
	REQUIRE_OK(vm_slot(vm, SLOT, 0, GPA_TEST, PAGE_SIZE, plain));
	vcpu = vcpu_new(vm, 2, read_guest);
	vcpu_runnable(vcpu);
	vcpu_arg(vcpu, GPA_TEST);
	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->call.b, 0x1234);
}

/* The kernel's data for the vDSO: mapped by frame number, in every process. */
static void *vvar_page(void)
{
	unsigned long start, end, found = 0;
	char line[256];
	FILE *f = fopen("/proc/self/maps", "r");

	REQUIRE(f, "/proc/self/maps: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "[vvar]") &&
		    sscanf(line, "%lx-%lx", &start, &end) == 2)
			found = start;
	fclose(f);
	return (void *)found;
}

/*
 * Mappings without struct page, whose lifetime nobody would tell us: VM_PFNMAP.
 * Stock KVM maps them, vitro refuses.
 */
TEST(memory_without_page)
{
	void *vvar = vvar_page(), *device;
	int fd;

	if (kvm_is_stock())
		test_skip("stock KVM maps it");
	REQUIRE(vvar, "no [vvar] in /proc/self/maps");
	refuses(vvar, "vvar");
	fd = open("/dev/mem", O_RDONLY);
	if (fd < 0)
		return;
	/* The IOAPIC's registers. */
	device = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, IOAPIC_BASE);
	if (device != MAP_FAILED)
		refuses(device, "/dev/mem");
	close(fd);
}

/* A file's pages that end, and memory that the process may not read. */
TEST(memory_not_accessible)
{
	int fd = memfd_create("short", 0);
	void *mem;

	REQUIRE(fd >= 0, "memfd_create: %s", strerror(errno));
	mem = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	refuses(mem, "behind the end of a file");
	mem = mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	refuses(mem, "PROT_NONE");
}

#define GVA_FRESH	0x60000000ULL

/* Writes that the hypervisor makes for the guest, one by one. */
static void emulated_guest(uint64_t arg)
{
	uint64_t di = GPA_TEST, si = GPA_MMIO, cx = 4;

	(void)arg;
	guest_sync(1, 0);
	asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(0x99) : "memory");
	guest_sync(2, 0);
	di = GPA_TEST + PAGE_SIZE;
	asm volatile("movsb" : "+S"(si), "+D"(di) : : "memory");
	guest_sync(3, 0);
	wrmsr(MSR_WALL_CLOCK, GPA_TEST + 2 * PAGE_SIZE);
	guest_sync(4, 0);
	wrmsr(MSR_SYSTEM_TIME, (GPA_TEST + 3 * PAGE_SIZE) | 1);
	guest_sync(5, 0);
	wrmsr(MSR_SYSTEM_TIME, 0);
	asm volatile("mov %%rsp, %%rcx\n"
		     "mov %1, %%rsp\n"
		     "pushq (%0)\n"
		     "mov %%rcx, %%rsp\n"
		     : : "r"(GPA_MMIO), "r"(GPA_TEST + 4 * PAGE_SIZE + 64)
		     : "rcx", "memory");
	guest_sync(6, 0);
}

static void serve_until_sync(struct vcpu *vcpu, uint64_t stage)
{
	enum event event;

	while ((event = vcpu_run(vcpu)) == EVENT_EXIT)
		memset(vcpu->run->mmio.data, 0x77, sizeof(vcpu->run->mmio.data));
	REQUIRE(event == EVENT_SYNC && vcpu->call.a == stage,
		"stage %llu: event %d, exit reason %u",
		(unsigned long long)stage, event, vcpu->run->exit_reason);
}

/* What vitro writes for the guest is in the log as if the guest had. */
TEST(emulated_writes_logged)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, emulated_guest);
	uint64_t *mem = anon(64), page;

	REQUIRE_OK(vm_slot(vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST,
			   64 * PAGE_SIZE, mem));
	serve_until_sync(vcpu, 1);
	for (page = 0; page < 5; page++) {
		CHECK(!in_log(vm, SLOT, page), "page %llu is in the log too early",
		      (unsigned long long)page);
		serve_until_sync(vcpu, page + 2);
		CHECK(mem[page * 512] || mem[page * 512 + 7],
		      "page %llu has not been written", (unsigned long long)page);
		CHECK(in_log(vm, SLOT, page), "page %llu is not in the log",
		      (unsigned long long)page);
	}
	/* By user space's call. */
	REQUIRE_OK(vcpu_set_msr(vcpu, MSR_WALL_CLOCK, GPA_TEST + 9 * PAGE_SIZE));
	CHECK(in_log(vm, SLOT, 9), "KVM_SET_MSRS: not in the log");
	EXPECT_DONE(vcpu);
}

static void fresh_guest(uint64_t arg)
{
	uint64_t di = GVA_FRESH, cx = 4;

	(void)arg;
	guest_sync(1, 0);
	asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(0x99) : "memory");
	guest_sync(2, 0);
}

/* Accessed and dirty bits that the emulator sets in the guest's tables. */
TEST(emulated_table_bits_logged)
{
	static uint64_t bitmap[MEM_SIZE / PAGE_SIZE / 64];
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, fresh_guest);
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bitmap };
	uint64_t *pte, page;

	vm_map(vm, GVA_FRESH, GPA_FREE, PTE_P | PTE_W | PTE_U);
	pte = vm_pte(vm, GVA_FRESH);
	page = ((uintptr_t)pte - (uintptr_t)vm_ptr(vm, 0)) / PAGE_SIZE;
	serve_until_sync(vcpu, 1);
	REQUIRE_OK(vm_slot(vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEM_SIZE, vm->mem));
	*pte &= ~0x60ULL;
	serve_until_sync(vcpu, 2);
	CHECK_EQ(*pte & 0x60, 0x60);
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
	CHECK(bitmap[page / 64] >> page % 64 & 1, "the table is not in the log");
	EXPECT_DONE(vcpu);
}

#define PORT		0x1234

static void devices_guest(uint64_t arg)
{
	(void)arg;
	while (!stop) {
		outb(PORT, 1);
		mmio_write32(GPA_MMIO, 1);
	}
}

static void *discard(void *arg)
{
	struct vcpu *vcpu = arg;

	while (vcpu_run(vcpu) == EVENT_EXIT)
		;
	return NULL;
}

static long rule(struct vm *vm, int fd, bool port, uint32_t flags)
{
	struct kvm_ioeventfd args = {
		.addr = port ? PORT : GPA_MMIO, .len = port ? 1 : 4, .fd = fd,
		.flags = flags | (port ? KVM_IOEVENTFD_FLAG_PIO : 0),
	};

	return sys_ioctl(vm->fd, KVM_IOEVENTFD, &args);
}

/* An entry of the I/O buses goes while vCPUs use it: then it is gone. */
TEST_LIMIT(bus_entry_removed_in_use, 120)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	uint64_t signalled = 0, count;
	struct vcpu *vcpu[2];
	pthread_t thread[2];
	int i, fd;

	for (i = 0; i < 2; i++) {
		vcpu[i] = vcpu_new(vm, i, devices_guest);
		vcpu_runnable(vcpu[i]);
		REQUIRE(!pthread_create(&thread[i], NULL, discard, vcpu[i]),
			"pthread_create");
	}
	/* Until a guest has met one, however busy the machine is. */
	for (i = 0; i < 100 || !signalled; i++) {
		fd = eventfd(0, EFD_NONBLOCK);
		REQUIRE_OK(rule(vm, fd, i & 1, 0));
		CHECK_ERR(rule(vm, fd, i & 1, 0), EEXIST);
		if (i % 4 == 0)
			usleep(500);
		REQUIRE_OK(rule(vm, fd, i & 1, KVM_IOEVENTFD_FLAG_DEASSIGN));
		if (read(fd, &count, sizeof(count)) == sizeof(count))
			signalled += count;
		if (i % 8 == 0)
			usleep(500);
		CHECK(read(fd, &count, sizeof(count)) < 0,
		      "signalled after it was removed");
		close(fd);
	}
	GUEST_VAR(vm, stop) = 1;
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}
