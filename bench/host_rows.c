// SPDX-License-Identifier: GPL-2.0-only
/* What is measured from outside a guest: system calls, VMs' lives, memory. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define IDLE_VMS	200
#define LIFETIMES	15

BLOB(out, ".code16; 1: out %al, $0x80; jmp 1b");

static struct vcpu *vcpu;

static void immediate_exit(void)
{
	ioctl(vcpu->fd, KVM_RUN, 0);
}

static void null_ioctl(void)
{
	ioctl(vcpu->vm->kvm, KVM_GET_API_VERSION, 0);
}

static struct kvm_regs regs;
static struct kvm_sregs sregs;

static void get_regs(void)
{
	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
}

static void set_regs(void)
{
	ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

static void get_sregs(void)
{
	ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);
}

static void set_sregs(void)
{
	ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

static void nothing(void)
{
	asm volatile("");
}

static uint64_t batch(void (*fn)(void))
{
	uint64_t start = rdtsc();
	int i;

	for (i = 0; i < ROUNDS; i++) {
		MARK_ROUND();
		fn();
	}
	return rdtsc() - start;
}

struct call {
	const char *name;
	void (*fn)(void);
};

static const struct call calls[] = {
	{ "null ioctl", null_ioctl },
	{ "GET_REGS", get_regs },
	{ "SET_REGS", set_regs },
	{ "GET_SREGS", get_sregs },
	{ "SET_SREGS", set_sregs },
	{ "VCPU_RUN with immediate_exit", immediate_exit },
};

static void call_row(const char *name, const void *arg)
{
	const struct call *call = arg;
	uint64_t ticks[BATCHES];
	int i;

	vcpu = vcpu_bare(vm_new(0), 0);
	vcpu->run->immediate_exit = 1;
	/* What is set is what was read. */
	get_regs();
	get_sregs();
	for (i = 0; i < BATCHES; i++) {
		if (i == BATCHES - 1)
			TRACE_MARK();
		ticks[i] = batch(call->fn);
		if (i == BATCHES - 1)
			TRACE_MARK();
		ticks[i] -= batch(nothing);
	}
	bench_print("ticks", name, bench_median(ticks, BATCHES, ROUNDS));
}

static void lifetime(unsigned int vcpus)
{
	int kvm = kvm_open(), vm, fd[MAX_VCPUS];
	unsigned int i;

	vm = REQUIRE_OK(sys_ioctl_val(kvm, KVM_CREATE_VM, 0));
	for (i = 0; i < vcpus; i++)
		fd[i] = REQUIRE_OK(sys_ioctl_val(vm, KVM_CREATE_VCPU, i));
	for (i = 0; i < vcpus; i++)
		close(fd[i]);
	close(vm);
	close(kvm);
}

struct lives {
	const char *name;
	unsigned int vcpus;
	unsigned int others;		/* VMs that exist meanwhile */
};

static const struct lives lives[] = {
	{ "create and delete a VM with one vCPU", 1, 0 },
	{ "create and delete a VM with one vCPU, beside 200 others", 1, 200 },
	{ "create and delete a VM with 8 vCPUs", 8, 0 },
	{ "create and delete a VM with 64 vCPUs", 64, 0 },
};

/*
 * VMs of another process, whose id is returned; it ends with this one. Those of the same one would make
 * the host's kernel slower, which visits all of a process's mappings to register a VM.
 */
static pid_t other_vms(unsigned int nr)
{
	int ready[2];
	pid_t pid;
	char byte;

	REQUIRE_OK(pipe(ready));
	pid = REQUIRE_OK(fork());
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (nr--)
			vcpu_bare(vm_bare(), 0);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	REQUIRE_EQ(read(ready[0], &byte, 1), 1);
	return pid;
}

static void lifetime_row(const char *name, const void *arg)
{
	const struct lives *l = arg;
	unsigned int vcpus = l->vcpus;
	bool trace = vcpus == 1 && !l->others;
	pid_t others = 0;
	uint64_t ticks[LIFETIMES];
	unsigned int i;

	if (l->others)
		others = other_vms(l->others);
	lifetime(vcpus);
	/* Of many vCPUs or VMs, a trace would take minutes and tell no more: an empty one. */
	if (!trace) {
		TRACE_MARK();
		TRACE_MARK();
	}
	for (i = 0; i < LIFETIMES; i++) {
		if (trace && i == LIFETIMES - 1) {
			TRACE_MARK();
			MARK_ROUND();
		}
		ticks[i] = -rdtsc();
		lifetime(vcpus);
		ticks[i] += rdtsc();
		if (trace && i == LIFETIMES - 1)
			TRACE_MARK();
	}
	if (others) {
		/* The module is unloaded next: all of them must be gone. */
		kill(others, SIGKILL);
		REQUIRE_EQ(waitpid(others, NULL, 0), others);
	}
	bench_print("ticks", name, bench_median(ticks, LIFETIMES, 1));
}

/* What a nested-page fault of a new host page is to be compared with. */
static void host_fault_row(const char *name, const void *arg)
{
	uint64_t ticks[BATCHES];
	size_t size = BATCHES * ROUNDS * PAGE_SIZE, at = 0;
	volatile char *pages;
	int i, j;

	(void)arg;
	pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(pages != MAP_FAILED, "mmap: %s", strerror(errno));
	REQUIRE_OK(madvise((void *)pages, size, MADV_NOHUGEPAGE));
	for (i = 0; i < BATCHES; i++) {
		if (i == BATCHES - 1)
			TRACE_MARK();
		ticks[i] = -rdtsc();
		for (j = 0; j < ROUNDS; j++, at += PAGE_SIZE) {
			MARK_ROUND();
			pages[at] = 1;
		}
		ticks[i] += rdtsc();
		if (i == BATCHES - 1)
			TRACE_MARK();
	}
	bench_print("ticks", name, bench_median(ticks, BATCHES, ROUNDS));
}

/* A VM with an interrupt controller, whose vCPU has run, and memory shared by all. */
static void idle_vm(void *page)
{
	struct vm *vm = vm_bare();
	struct vcpu *idle;

	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000));
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0));
	REQUIRE_OK(vm_slot(vm, 0, 0, GPA_BLOB, PAGE_SIZE, page));
	idle = vcpu_real_mode(vm, 0);
	REQUIRE_OK(vcpu_run_raw(idle));
	REQUIRE_EQ(idle->run->exit_reason, KVM_EXIT_IO);
}

/*
 * Memory that no one uses: MemFree of /proc/meminfo leaves out the free pages on
 * the processors' own lists, which can be megabytes.
 */
static uint64_t free_kib(void)
{
	unsigned long long pages, sum = 0;
	char line[128];
	FILE *file;
	int fd;

	/* Neither caches nor what is freed later, by RCU, shall count. */
	sync();
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	REQUIRE(fd >= 0 && write(fd, "3", 1) == 1, "drop_caches: %s", strerror(errno));
	close(fd);
	sleep(1);
	file = fopen("/proc/zoneinfo", "r");
	REQUIRE(file, "/proc/zoneinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " nr_free_pages %llu", &pages) == 1 ||
		    sscanf(line, " count: %llu", &pages) == 1)
			sum += pages;
	fclose(file);
	return sum * PAGE_SIZE / 1024;
}

static void memory_row(const char *name, const void *arg)
{
	uint64_t before, after;
	char *page;
	int i;

	(void)arg;
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED, "mmap: %s", strerror(errno));
	memcpy(page, blob_out, blob_out_end - blob_out);
	/* The first ones fill the caches of the kernel's allocators. */
	for (i = 0; i < 4; i++)
		idle_vm(page);
	before = free_kib();
	for (i = 0; i < IDLE_VMS; i++)
		idle_vm(page);
	after = free_kib();
	bench_print("bytes", name, (before - after) * 1024 / IDLE_VMS);
}

void host_rows(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		bench_row(calls[i].name, call_row, &calls[i]);
	bench_row("page fault of the host's own, new page", host_fault_row, NULL);
	for (i = 0; i < ARRAY_SIZE(lives); i++)
		bench_row(lives[i].name, lifetime_row, &lives[i]);
	bench_row("kernel memory per idle VM with one vCPU", memory_row, NULL);
}
