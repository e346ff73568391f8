// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench DEVICE: what round trips between a guest and a hypervisor that speaks the KVM
 * API cost, in ticks of the TSC.  One line per row: name, tab, ticks.
 * bench -t COMMAND ARGS...: run the command, then print the ticks that it took.
 *
 * In machines/run --deterministic a tick is an instruction.  Elsewhere ticks are time,
 * and other work on the computer is in them.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define MEM_SIZE	(32UL << 20)
#define CODE		0x1000UL
#define TOUCH		(16UL << 20)	/* pages that nobody has used, from here on */
#define PAGE		4096UL
#define MMIO		0xd0000000UL
#define ROUNDS		1000
#define IDLE_VMS	32

struct machine {
	int dev, vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	unsigned char *mem;
};

/*
 * The guests, in 32-bit protected mode without paging.  Each starts with the number of
 * rounds in ESI and ends by a write to port 1.
 */
#define GUEST(name, body)						\
	extern const unsigned char guest_##name[], guest_##name##_end[];\
	asm(".pushsection .rodata\n"					\
	    ".code32\n"							\
	    "guest_" #name ":\n"					\
	    "1:\n" body "\n"						\
	    "	decl	%esi\n"						\
	    "	jnz	1b\n"						\
	    "	outb	%al, $1\n"					\
	    "guest_" #name "_end:\n"					\
	    ".code64\n"							\
	    ".popsection\n")

GUEST(nop, "nop");
GUEST(cpuid, "xorl %eax, %eax\n xorl %ecx, %ecx\n cpuid");
GUEST(vmcall, "movl $99, %eax\n vmcall");
GUEST(vmmcall, "movl $99, %eax\n vmmcall");
GUEST(rdmsr, "movl $0x1b, %ecx\n rdmsr");
GUEST(pic, "inb $0x21, %al");
GUEST(out, "outb %al, $0x80");
GUEST(in, "inb $0x80, %al");
GUEST(mmio_write, "movl %eax, (%edi)");
GUEST(mmio_read, "movl (%edi), %eax");
GUEST(touch, "movb %al, (%edi)\n addl $4096, %edi");
GUEST(hlt, "hlt");

#define CODE_OF(name)	guest_##name, guest_##name##_end

static void fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int call(int fd, unsigned long nr, void *arg, const char *name)
{
	int ret = ioctl(fd, nr, arg);

	if (ret < 0)
		fail(name);
	return ret;
}

#define CALL(fd, nr, arg)	call(fd, nr, (void *)(arg), #nr)

static void create_vcpu(struct machine *m)
{
	struct kvm_sregs sregs;
	struct kvm_segment flat = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1,
		.db = 1, .s = 1, .g = 1,
	};

	m->vcpu = CALL(m->vm, KVM_CREATE_VCPU, 0);
	m->run_size = CALL(m->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	if (m->run == MAP_FAILED)
		fail("mmap of the vCPU");
	CALL(m->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr0 |= 1;
	sregs.cs = flat;
	flat.selector = 16;
	flat.type = 3;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	CALL(m->vcpu, KVM_SET_SREGS, &sregs);
}

static void set_cpuid(struct machine *m)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[128];
	} cpuid = { .head.nent = 128 };

	CALL(m->dev, KVM_GET_SUPPORTED_CPUID, &cpuid);
	CALL(m->vcpu, KVM_SET_CPUID2, &cpuid);
}

static struct machine create(const char *device, int irqchip)
{
	struct kvm_userspace_memory_region slot = { .memory_size = MEM_SIZE };
	struct machine m = { .dev = open(device, O_RDWR | O_CLOEXEC) };

	if (m.dev < 0)
		fail(device);
	m.vm = CALL(m.dev, KVM_CREATE_VM, 0);
	if (irqchip)
		CALL(m.vm, KVM_CREATE_IRQCHIP, 0);
	m.mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m.mem == MAP_FAILED)
		fail("mmap of guest memory");
	/* Faults are counted by pages of 4 KiB. */
	madvise(m.mem, MEM_SIZE, MADV_NOHUGEPAGE);
	slot.userspace_addr = (uintptr_t)m.mem;
	CALL(m.vm, KVM_SET_USER_MEMORY_REGION, &slot);
	create_vcpu(&m);
	set_cpuid(&m);
	return m;
}

static void destroy(struct machine *m)
{
	munmap(m->run, m->run_size);
	close(m->vcpu);
	close(m->vm);
	close(m->dev);
	munmap(m->mem, MEM_SIZE);
}

/* Run the guest until it writes to port 1; other exits are answered at once. */
static uint64_t run(struct machine *m, const unsigned char *code, const unsigned char *end,
		    unsigned int rounds, uint32_t edi)
{
	struct kvm_regs regs = { .rip = CODE, .rsi = rounds, .rdi = edi, .rflags = 2 };
	uint64_t start;

	memcpy(m->mem + CODE, code, end - code);
	CALL(m->vcpu, KVM_SET_REGS, &regs);
	start = __rdtsc();
	for (;;) {
		if (ioctl(m->vcpu, KVM_RUN, 0))
			fail("KVM_RUN");
		switch (m->run->exit_reason) {
		case KVM_EXIT_IO:
			if (m->run->io.port == 1)
				return __rdtsc() - start;
			break;
		case KVM_EXIT_MMIO:
		case KVM_EXIT_HLT:
			break;
		default:
			fprintf(stderr, "bench: unexpected exit %u\n", m->run->exit_reason);
			exit(1);
		}
	}
}

/*
 * Ticks per round: the difference of a long and a short run has the rounds alone in it.
 * The loop's own instructions are subtracted as the loop of nops has them.
 */
static void row(struct machine *m, const char *name, const unsigned char *code,
		const unsigned char *end)
{
	uint64_t nop, body;

	run(m, CODE_OF(nop), 10, MMIO);
	nop = run(m, CODE_OF(nop), 1100, MMIO) - run(m, CODE_OF(nop), 100, MMIO);
	run(m, code, end, 10, MMIO);
	body = run(m, code, end, ROUNDS + 100, MMIO) - run(m, code, end, 100, MMIO);
	printf("%s\t%ld\n", name, (long)(body - nop) / ROUNDS);
}

static void touch_rows(const char *device)
{
	const unsigned int few = 100, many = few + ROUNDS;
	struct machine m = create(device, 0);
	uint64_t ticks;

	run(&m, CODE_OF(touch), few, TOUCH);
	ticks = run(&m, CODE_OF(touch), ROUNDS, TOUCH + few * PAGE);
	printf("nested-page fault, new host page\t%ld\n", (long)ticks / ROUNDS);
	memset(m.mem + TOUCH + many * PAGE, 1, ROUNDS * PAGE);
	ticks = run(&m, CODE_OF(touch), ROUNDS, TOUCH + many * PAGE);
	printf("nested-page fault, host page present\t%ld\n", (long)ticks / ROUNDS);
	destroy(&m);
}

static void ioctl_rows(struct machine *m)
{
	struct kvm_regs regs;
	uint64_t start;
	int i;

	m->run->immediate_exit = 1;
	ioctl(m->vcpu, KVM_RUN, 0);
	start = __rdtsc();
	for (i = 0; i < ROUNDS; i++)
		ioctl(m->vcpu, KVM_RUN, 0);
	printf("VCPU_RUN with immediate_exit\t%ld\n", (long)(__rdtsc() - start) / ROUNDS);
	m->run->immediate_exit = 0;

	start = __rdtsc();
	for (i = 0; i < ROUNDS; i++)
		ioctl(m->dev, KVM_GET_API_VERSION, 0);
	printf("null ioctl\t%ld\n", (long)(__rdtsc() - start) / ROUNDS);

	start = __rdtsc();
	for (i = 0; i < ROUNDS; i++)
		ioctl(m->vcpu, KVM_GET_REGS, &regs);
	printf("GET_REGS\t%ld\n", (long)(__rdtsc() - start) / ROUNDS);
}

static long mem_free_kib(void)
{
	char line[128];
	long kib = 0;
	FILE *file;

	/* What is freed later, by RCU or lazily, must not count as used. */
	sync();
	sleep(1);
	file = fopen("/proc/meminfo", "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "MemFree: %ld kB", &kib);
	if (file)
		fclose(file);
	return kib;
}

static void lifetime_rows(const char *device)
{
	struct machine m[IDLE_VMS];
	uint64_t start;
	long before;
	int i;

	m[0] = create(device, 0);
	destroy(&m[0]);
	start = __rdtsc();
	for (i = 0; i < 10; i++) {
		m[0] = create(device, 0);
		destroy(&m[0]);
	}
	printf("create and delete a VM with one vCPU\t%ld\n", (long)(__rdtsc() - start) / 10);

	before = mem_free_kib();
	for (i = 0; i < IDLE_VMS; i++)
		m[i] = create(device, 1);
	printf("KiB of kernel memory per idle VM\t%ld\n", (before - mem_free_kib()) / IDLE_VMS);
	for (i = 0; i < IDLE_VMS; i++)
		destroy(&m[i]);
}

static int is_amd(void)
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	return ebx == signature_AMD_ebx;
}

static int time_command(char **argv)
{
	uint64_t start = __rdtsc();
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (!pid) {
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	printf("ticks\t%llu\n", (unsigned long long)(__rdtsc() - start));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	struct machine m;

	if (argc > 2 && !strcmp(argv[1], "-t"))
		return time_command(argv + 2);
	if (argc != 2) {
		fprintf(stderr, "usage: bench DEVICE | bench -t COMMAND ARGS...\n");
		return 2;
	}
	m = create(argv[1], 0);
	row(&m, "CPUID", CODE_OF(cpuid));
	if (is_amd())
		row(&m, "hypercall", CODE_OF(vmmcall));
	else
		row(&m, "hypercall", CODE_OF(vmcall));
	row(&m, "RDMSR", CODE_OF(rdmsr));
	row(&m, "port write to user space", CODE_OF(out));
	row(&m, "port read to user space", CODE_OF(in));
	row(&m, "MMIO write to user space", CODE_OF(mmio_write));
	row(&m, "MMIO read to user space", CODE_OF(mmio_read));
	row(&m, "HLT to user space and back", CODE_OF(hlt));
	ioctl_rows(&m);
	destroy(&m);

	m = create(argv[1], 1);
	row(&m, "port read, in-kernel PIC", CODE_OF(pic));
	destroy(&m);

	touch_rows(argv[1]);
	lifetime_rows(argv[1]);
	return 0;
}
