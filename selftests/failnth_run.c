// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_RUN and the calls beside the ioctls (open, mmap, read), with each of their
 * allocations and user copies failing once.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apic.h"
#include "fault.h"
#include "vm.h"

#define MAX_POINTS	400
/* Runs in a round, of which each is to lose a page if there is a leak. */
#define REPEATS		48
#define RAM		0xa0000ULL
#define GPA_CODE	0x1000
#define GPA_CLOCK	0x3000
#define GPA_RESULT	0x4000
#define GPA_INPUT	0x5000
#define GPA_OUTPUT	0x6000
#define GPA_FILL	0x10000
#define FILL_BYTES	0x8000
#define GVA_FRESH	0x60000000ULL

/*
 * Real mode: nested page faults, ports, string I/O, MMIO, kvmclock, CPUID, HLT.
 * What it reads it leaves at GPA_RESULT.
 */
BLOB(all_exits,
     ".code16\n"
     /* A page each for the fill: DS and ES are there. */
     "movw $0x1000, %ax; movw %ax, %es\n"
     "xorw %di, %di; movw $0x8000, %cx; movb $0x5c, %al; cld; rep stosb\n"
     "xorw %ax, %ax; movw %ax, %es; movw %ax, %ds\n"
     "movb $0x11, %al; outb %al, $0x80\n"
     "inb $0x81, %al; movb %al, 0x4000\n"
     "movw $0x82, %dx; movw $0x5000, %di; movw $8, %cx; rep insb\n"
     "movw $0x83, %dx; movw $0x6000, %si; movw $8, %cx; rep outsb\n"
     "movl $0x4b564d00, %ecx; movl $0x3000, %eax; xorl %edx, %edx; wrmsr\n"
     "movl $0x4b564d01, %ecx; movl $0x3101, %eax; xorl %edx, %edx; wrmsr\n"
     "xorl %eax, %eax; cpuid\n"
     "movw $0xd000, %ax; movw %ax, %ds\n"
     "movb $0x22, %al; movb %al, 4\n"
     "movb 8, %al\n"
     "movw $0, %bx; movw %bx, %ds; movb %al, 0x4001\n"
     "hlt\n");

struct session {
	int vm, vcpu;
	struct kvm_run *run;
	uint8_t *mem;
	unsigned int outs, string_outs, string_ins, ins, mmio_writes, mmio_reads;
};

static void set_start(int vcpu)
{
	struct kvm_regs regs = { .rip = GPA_CODE, .rflags = 2, .rsp = 0x8000 };
	struct kvm_sregs sregs;

	REQUIRE_OK(sys_ioctl(vcpu, KVM_GET_SREGS, &sregs));
	sregs.cs.selector = 0;
	sregs.cs.base = 0;
	REQUIRE_OK(sys_ioctl(vcpu, KVM_SET_SREGS, &sregs));
	REQUIRE_OK(sys_ioctl(vcpu, KVM_SET_REGS, &regs));
}

static void begin(struct session *s, int kvm)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = RAM, .flags = KVM_MEM_LOG_DIRTY_PAGES,
	};

	memset(s, 0, sizeof(*s));
	/* Not there yet: its pages come by the guest's faults. */
	s->mem = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(s->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	memcpy(s->mem + GPA_CODE, blob_all_exits, blob_all_exits_end - blob_all_exits);
	memset(s->mem + GPA_OUTPUT, 0x33, 8);
	region.userspace_addr = (uintptr_t)s->mem;
	s->vm = REQUIRE_OK(sys_ioctl_val(kvm, KVM_CREATE_VM, 0));
	REQUIRE_OK(sys_ioctl(s->vm, KVM_SET_USER_MEMORY_REGION, &region));
	s->vcpu = REQUIRE_OK(sys_ioctl_val(s->vm, KVM_CREATE_VCPU, 0));
	s->run = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, s->vcpu, 0);
	REQUIRE(s->run != MAP_FAILED, "mmap: %s", strerror(errno));
	set_start(s->vcpu);
}

static void end(struct session *s)
{
	munmap(s->run, 2 * PAGE_SIZE);
	close(s->vcpu);
	close(s->vm);
	munmap(s->mem, RAM);
}

static void serve_io(struct session *s)
{
	uint8_t *data = (uint8_t *)s->run + s->run->io.data_offset;
	uint32_t i;

	switch (s->run->io.port) {
	case 0x80:
		s->outs += s->run->io.count;
		CHECK_EQ(data[0], 0x11);
		break;
	case 0x81:
		s->ins += s->run->io.count;
		data[0] = 0x44;
		break;
	case 0x82:
		s->string_ins += s->run->io.count;
		memset(data, 0x55, s->run->io.count);
		break;
	default:
		s->string_outs += s->run->io.count;
		for (i = 0; i < s->run->io.count; i++)
			CHECK_EQ(data[i], 0x33);
	}
}

static void serve_mmio(struct session *s)
{
	if (s->run->mmio.is_write) {
		s->mmio_writes++;
		CHECK_EQ(s->run->mmio.phys_addr, 0xd0004);
		CHECK_EQ(s->run->mmio.data[0], 0x22);
	} else {
		s->mmio_reads++;
		memset(s->run->mmio.data, 0x66, 8);
	}
}

/* The guest has done everything once, whatever failed on the way. */
static void check_result(struct session *s, unsigned int n)
{
	uint32_t i, bad = 0;

	CHECK(s->outs == 1 && s->string_outs == 8 && s->mmio_writes == 1,
	      "point %u: %u OUT, %u items of OUTS, %u MMIO writes", n, s->outs,
	      s->string_outs, s->mmio_writes);
	CHECK(s->ins == 1 && s->mmio_reads == 1 && s->string_ins == 8,
	      "point %u: %u IN, %u items of INS, %u MMIO reads", n, s->ins,
	      s->string_ins, s->mmio_reads);
	CHECK_EQ(s->mem[GPA_RESULT], 0x44);
	CHECK_EQ(s->mem[GPA_RESULT + 1], 0x66);
	for (i = 0; i < 8; i++)
		CHECK_EQ(s->mem[GPA_INPUT + i], 0x55);
	for (i = 0; i < FILL_BYTES; i++)
		bad += s->mem[GPA_FILL + i] != 0x5c;
	CHECK_EQ(bad, 0);
}

/* How a KVM_RUN in which something failed may end. */
static bool failure_told(const struct kvm_run *run, long ret)
{
	if (ret == -ENOMEM || ret == -EFAULT)
		return true;
	/* A fault in an access of the emulator's. */
	return !ret && run->exit_reason == KVM_EXIT_INTERNAL_ERROR;
}

/* To the guest's end. Returns whether the nth point was met. */
static bool session(int kvm, unsigned int n)
{
	struct session s;
	bool failed = false;
	unsigned int calls;
	long ret;

	begin(&s, kvm);
	for (calls = 0; calls < 100; calls++) {
		/* Serving an exit is user space's: only the calls count. */
		if (!failed)
			fault_arm(n);
		ret = sys_ioctl(s.vcpu, KVM_RUN, NULL);
		if (!failed && fault_disarm())
			failed = true;
		if (failure_told(s.run, ret)) {
			if (!CHECK(failed, "KVM_RUN without a fault: %ld, exit %u", ret,
				   s.run->exit_reason))
				break;
			continue;
		}
		if (ret || s.run->exit_reason == KVM_EXIT_HLT)
			break;
		if (s.run->exit_reason == KVM_EXIT_IO)
			serve_io(&s);
		else if (s.run->exit_reason == KVM_EXIT_MMIO)
			serve_mmio(&s);
		else
			break;
	}
	CHECK(!ret && s.run->exit_reason == KVM_EXIT_HLT,
	      "point %u: KVM_RUN: %ld, exit reason %u", n, ret, s.run->exit_reason);
	check_result(&s, n);
	end(&s);
	return failed;
}

static int prepare(void)
{
	fault_setup();
	if (kvm_is_stock())
		test_skip("for vitro only");
	return kvm_open();
}

struct point {
	int kvm;
	unsigned int n;
};

static void repeat(void *arg)
{
	struct point *p = arg;
	unsigned int i;

	for (i = 0; i < REPEATS; i++)
		session(p->kvm, p->n);
}

/* In each KVM_RUN the nth point fails, until a run has none. */
TEST_LIMIT(run, 900)
{
	struct point p = { prepare(), 1 };

	while (p.n < MAX_POINTS && session(p.kvm, p.n) && test_failures() < 20) {
		CHECK(!fault_pages_lost(repeat, &p, REPEATS / 2), "point %u: pages are lost", p.n);
		p.n++;
	}
	test_note("KVM_RUN: %u points", p.n - 1);
	CHECK(p.n > 3 && p.n < MAX_POINTS, "%u points", p.n);
	close(p.kvm);
}

#define SLOT_LARGE	5
#define GPA_LARGE	0x40000000ULL
#define SIZE_LARGE	0x200000ULL
#define GPA_MACHINE_CLOCK	(GPA_FREE + 4 * PAGE_SIZE)
#define PORT_EVENT	0x1234
#define VECTOR		0x41

static void interrupted(struct guest_regs *regs)
{
	(void)regs;
	apic_eoi();
}

/*
 * With interrupt controllers, 64-bit page tables, devices in the kernel, a large page.
 * String instructions through a page that the tables have not had yet.
 */
static void machine_guest(uint64_t fresh)
{
	volatile uint64_t *large = (void *)GPA_LARGE;
	uint64_t di = fresh + PAGE_SIZE - 2, si = GPA_MMIO + 8, cx = 4;

	guest_handlers[VECTOR] = interrupted;
	apic_enable();
	mmio_write32(GPA_MMIO, 1);
	outb(PORT_EVENT, 1);
	asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(0x81) : "memory");
	asm volatile("movsb" : "+S"(si), "+D"(di) : : "memory");
	G_CHECK_EQ(*(volatile uint32_t *)(fresh + PAGE_SIZE - 2), 0x44444444);
	G_CHECK_EQ(*(volatile uint8_t *)(fresh + PAGE_SIZE + 2), 0x66);
	wrmsr(0x4b564d01, GPA_MACHINE_CLOCK | 1);
	G_CHECK_EQ(large[0], 0x5c5c5c5c5c5c5c5cULL);
	large[1] = 1;
	guest_sync(1, 0);
	/* The multiplier: if it could not be written at once, it has been now. */
	G_CHECK(*(volatile uint32_t *)(GPA_MACHINE_CLOCK + 24));
	large[512] = 2;
	G_CHECK_EQ(large[1], 1);
	apic_write(APIC_ICR, APIC_ICR_SELF | VECTOR);
	take_interrupts();
	G_CHECK_EQ(guest_cpu()->taken[VECTOR], 1);
}

static void add_event(struct vm *vm, uint64_t addr, uint32_t len, uint32_t flags, int fd)
{
	struct kvm_ioeventfd args = { .addr = addr, .len = len, .flags = flags, .fd = fd };

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IOEVENTFD, &args));
}

/* What the guest's devices and tables are to find. */
static struct vcpu *new_machine(uint8_t *large, int event)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, machine_guest);
	uint64_t i;

	memset(large, 0x5c, SIZE_LARGE);
	REQUIRE_OK(vm_slot(vm, SLOT_LARGE, 0, GPA_LARGE, SIZE_LARGE, large));
	add_event(vm, GPA_MMIO, 4, 0, event);
	add_event(vm, PORT_EVENT, 1, KVM_IOEVENTFD_FLAG_PIO, event);
	for (i = 0; i < 2; i++)
		vm_map(vm, GVA_FRESH + i * PAGE_SIZE, GPA_FREE + i * PAGE_SIZE,
		       PTE_P | PTE_W | PTE_U);
	vcpu_arg(vcpu, GVA_FRESH);
	return vcpu;
}

static void check_machine(struct vcpu *vcpu, int event, unsigned int n)
{
	uint64_t count = 0;

	CHECK(read(event, &count, sizeof(count)) == sizeof(count) && count == 2,
	      "point %u: %llu events", n, (unsigned long long)count);
	CHECK((*vm_pte(vcpu->vm, GVA_FRESH) & 0x60) == 0x60, "point %u: not accessed, dirty", n);
}

/* To the guest's end. Returns whether the nth point was met. */
static bool machine(uint8_t *large, unsigned int n)
{
	int event = eventfd(0, EFD_NONBLOCK);
	struct vcpu *vcpu = new_machine(large, event);
	struct vm *vm = vcpu->vm;
	enum event came = EVENT_ERROR;
	bool failed = false, told;
	unsigned int calls;

	for (calls = 0; calls < 100; calls++) {
		if (!failed)
			fault_arm(n);
		errno = 0;
		came = vcpu_run(vcpu);
		told = failure_told(vcpu->run, -errno);
		if (!failed && fault_disarm())
			failed = true;
		if (came == EVENT_DONE)
			break;
		if (told && (came == EVENT_ERROR || came == EVENT_EXIT)) {
			if (!CHECK(failed, "KVM_RUN without a fault: exit %u",
				   vcpu->run->exit_reason))
				break;
		} else if (came == EVENT_SYNC) {
			REQUIRE_OK(vm_slot(vm, SLOT_LARGE, KVM_MEM_LOG_DIRTY_PAGES, GPA_LARGE,
					   SIZE_LARGE, large));
		} else if (came == EVENT_EXIT && vcpu->run->exit_reason == KVM_EXIT_IO) {
			memset((uint8_t *)vcpu->run + vcpu->run->io.data_offset, 0x44,
			       vcpu->run->io.count);
		} else if (came == EVENT_EXIT && vcpu->run->exit_reason == KVM_EXIT_MMIO) {
			memset(vcpu->run->mmio.data, 0x66, sizeof(vcpu->run->mmio.data));
		} else {
			break;
		}
	}
	CHECK(came == EVENT_DONE, "point %u: event %d, exit reason %u", n, came,
	      vcpu->run->exit_reason);
	check_machine(vcpu, event, n);
	vcpu_free(vcpu);
	vm_free(vm);
	close(event);
	return failed;
}

/* The same for a guest of a whole machine. */
TEST_LIMIT(run_machine, 900)
{
	uint8_t *mem, *large;
	unsigned int n = 1;

	close(prepare());
	mem = mmap(NULL, 2 * SIZE_LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	large = (uint8_t *)(((uintptr_t)mem + SIZE_LARGE - 1) & -SIZE_LARGE);
	madvise(large, SIZE_LARGE, MADV_HUGEPAGE);
	while (n < MAX_POINTS && machine(large, n) && test_failures() < 20)
		n++;
	test_note("KVM_RUN of a machine: %u points", n - 1);
	CHECK(n > 3 && n < MAX_POINTS, "%u points", n);
	fault_leak_scan();
}

TEST(open_device)
{
	unsigned int n;
	bool failed;
	int fd;

	close(prepare());
	for (n = 1; n < MAX_POINTS; n++) {
		fault_arm(n);
		fd = open(test_device(), O_RDWR);
		failed = fault_disarm();
		if (fd < 0) {
			CHECK(failed && (errno == ENOMEM || errno == EFAULT || errno == ENFILE),
			      "point %u: %s", n, strerror(errno));
			fd = open(test_device(), O_RDWR);
		}
		REQUIRE(fd >= 0, "point %u, again: %s", n, strerror(errno));
		CHECK_EQ(sys_ioctl_val(fd, KVM_GET_API_VERSION, 0), KVM_API_VERSION);
		close(fd);
		if (!failed)
			break;
	}
	test_note("open: %u points", n - 1);
}

static bool map_run(int vcpu, unsigned int n)
{
	bool failed;
	void *run;

	fault_arm(n);
	run = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_POPULATE, vcpu, 0);
	failed = fault_disarm();
	if (run == MAP_FAILED) {
		CHECK(failed && errno == ENOMEM, "point %u: %s", n, strerror(errno));
		run = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, vcpu, 0);
	}
	REQUIRE(run != MAP_FAILED, "point %u, again: %s", n, strerror(errno));
	*(volatile uint8_t *)run = 0;
	((volatile uint8_t *)run)[PAGE_SIZE] = 0;
	munmap(run, 2 * PAGE_SIZE);
	return failed;
}

static bool read_stats(int stats, unsigned int n)
{
	static char before[1 << 15], bytes[1 << 15];
	ssize_t size = pread(stats, before, sizeof(before), 0), got;
	bool failed;

	fault_arm(n);
	got = pread(stats, bytes, sizeof(bytes), 0);
	failed = fault_disarm();
	if (got < 0) {
		CHECK(failed && (errno == ENOMEM || errno == EFAULT), "point %u: %s", n,
		      strerror(errno));
		got = pread(stats, bytes, sizeof(bytes), 0);
	}
	CHECK(size > 0 && got == size && !memcmp(before, bytes, size),
	      "point %u: %zd bytes, %zd before", n, got, size);
	return failed;
}

TEST(map_and_read)
{
	int kvm = prepare(), stats;
	struct session s;
	unsigned int n;

	begin(&s, kvm);
	for (n = 1; n < MAX_POINTS && map_run(s.vcpu, n); n++)
		;
	test_note("mmap: %u points", n - 1);
	stats = REQUIRE_OK(sys_ioctl(s.vcpu, KVM_GET_STATS_FD, NULL));
	for (n = 1; n < MAX_POINTS && read_stats(stats, n); n++)
		;
	test_note("read of statistics: %u points", n - 1);
	CHECK(n > 1, "no point in a read");
	close(stats);
	end(&s);
}
