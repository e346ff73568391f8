// SPDX-License-Identifier: GPL-2.0-only
/* What is measured from outside a guest: system calls, VMs' lives, memory. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define IDLE_VMS	200
#define LIFETIMES	5

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

static void get_regs(void)
{
	struct kvm_regs regs;

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
}

static void nothing(void)
{
	asm volatile("");
}

static uint64_t batch(void (*fn)(void))
{
	uint64_t start = rdtsc();
	int i;

	for (i = 0; i < ROUNDS; i++)
		fn();
	return rdtsc() - start;
}

static void call_row(const char *name, void (*fn)(void))
{
	uint64_t ticks[BATCHES];
	int i;

	if (!bench_wanted(name))
		return;
	for (i = 0; i < BATCHES; i++) {
		ticks[i] = batch(fn);
		ticks[i] -= batch(nothing);
	}
	bench_print("ticks", name, bench_median(ticks));
}

static void call_rows(void)
{
	vcpu = vcpu_bare(vm_new(0), 0);
	call_row("null ioctl", null_ioctl);
	call_row("GET_REGS", get_regs);
	vcpu->run->immediate_exit = 1;
	call_row("VCPU_RUN with immediate_exit", immediate_exit);
	vm_free(vcpu->vm);
	vcpu_free(vcpu);
}

static void lifetime(void)
{
	int kvm = kvm_open(), vm, fd;

	vm = REQUIRE_OK(sys_ioctl_val(kvm, KVM_CREATE_VM, 0));
	fd = REQUIRE_OK(sys_ioctl_val(vm, KVM_CREATE_VCPU, 0));
	close(fd);
	close(vm);
	close(kvm);
}

static void lifetime_row(void)
{
	const char *name = "create and delete a VM with one vCPU";
	uint64_t start;
	int i;

	if (!bench_wanted(name))
		return;
	lifetime();
	start = rdtsc();
	for (i = 0; i < LIFETIMES; i++)
		lifetime();
	bench_print("ticks", name, (rdtsc() - start) / LIFETIMES);
}

/* A VM with an interrupt controller, whose vCPU has run, and memory shared by all. */
static struct vcpu *idle_vm(void *page)
{
	struct vm *vm = vm_bare();
	struct vcpu *idle;

	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000));
	REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0));
	REQUIRE_OK(vm_slot(vm, 0, 0, GPA_BLOB, PAGE_SIZE, page));
	idle = vcpu_real_mode(vm, 0);
	REQUIRE_OK(vcpu_run_raw(idle));
	REQUIRE_EQ(idle->run->exit_reason, KVM_EXIT_IO);
	return idle;
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

static void memory_row(void)
{
	const char *name = "kernel memory per idle VM with one vCPU";
	struct vcpu *idle[IDLE_VMS];
	uint64_t before, after;
	char *page;
	int i;

	if (!bench_wanted(name))
		return;
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED, "mmap: %s", strerror(errno));
	memcpy(page, blob_out, blob_out_end - blob_out);
	/* The first ones fill the caches of the kernel's allocators. */
	for (i = 0; i < 4; i++)
		idle_vm(page);
	before = free_kib();
	for (i = 0; i < IDLE_VMS; i++)
		idle[i] = idle_vm(page);
	after = free_kib();
	bench_print("KiB", name, (before - after + IDLE_VMS / 2) / IDLE_VMS);
	for (i = 0; i < IDLE_VMS; i++) {
		vm_free(idle[i]->vm);
		vcpu_free(idle[i]);
	}
}

void host_rows(void)
{
	call_rows();
	lifetime_row();
	memory_row();
}
