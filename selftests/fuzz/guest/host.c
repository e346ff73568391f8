// SPDX-License-Identifier: GPL-2.0-only
/* The state of this computer, which no guest may change. */
#include <asm/prctl.h>
#include <cpuid.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

/* x87, SSE, AVX, AVX-512 */
#define XFEATURES	0xe7ULL
#define XSAVE_SIZE	4096
#define MAX_CPUS	8

struct area {
	uint8_t bytes[XSAVE_SIZE];
} __attribute__((aligned(64)));

/*
 * What the kernel sets once and for all. Those that differ from thread to thread are
 * seen from user space: bases of segments, and TSC_AUX by RDTSCP.
 */
static const uint32_t msrs[] = {
	0x1b, 0x3a, 0x174, 0x175, 0x176, 0x1a0, 0x1d9, 0x277, 0x2ff, 0xda0, 0xc0000080,
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000103, 0xc0010010, 0xc0010015,
	0xc0010114, 0xc0010117,
};

static struct {
	int msr_fd[MAX_CPUS];
	uint64_t msr[MAX_CPUS][ARRAY_SIZE(msrs)];
	bool known[MAX_CPUS][ARRAY_SIZE(msrs)];
	uint64_t bases[2];
	uint64_t features;		/* 0: no XSAVE */
	struct area pattern;
	int watch_fd;
} host;

static volatile uint32_t watched;

static uint64_t base(int which)
{
	uint64_t value = 0;

	syscall(SYS_arch_prctl, which, &value);
	return value;
}

static uint64_t xgetbv(void)
{
	uint32_t low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (uint64_t)high << 32;
}

/* Values that XRSTOR takes, and that differ from what any code leaves there. */
static void make_pattern(void)
{
	uint32_t eax, ebx, ecx, edx;
	unsigned int i, c;
	uint8_t *p = host.pattern.bytes;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
		return;
	host.features = xgetbv() & XFEATURES;
	memcpy(p, &(uint16_t){ 0x37f }, 2);
	p[4] = 0xff;
	memcpy(p + 24, &(uint32_t){ 0x1fa0 }, 4);
	for (i = 0; i < 8 * 16; i++)
		p[32 + i] = i % 16 < 10 ? 0x5a + i : 0;
	for (i = 0; i < 256; i++)
		p[160 + i] = 0xc3 ^ i;
	for (c = 2; c < 8; c++) {
		if (!(host.features >> c & 1) || !__get_cpuid_count(0xd, c, &eax, &ebx, &ecx, &edx))
			continue;
		for (i = 0; i < eax && ebx + i < XSAVE_SIZE; i++)
			p[ebx + i] = 0x3c + c + i;
	}
	memcpy(p + 512, &host.features, 8);
}

static void open_msrs(void)
{
	unsigned int cpu, i;
	char path[32];

	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		snprintf(path, sizeof(path), "/dev/cpu/%u/msr", cpu);
		host.msr_fd[cpu] = open(path, O_RDONLY | O_CLOEXEC);
		for (i = 0; host.msr_fd[cpu] >= 0 && i < ARRAY_SIZE(msrs); i++)
			host.known[cpu][i] = pread(host.msr_fd[cpu], &host.msr[cpu][i], 8,
						   msrs[i]) == 8;
	}
}

static int open_watch(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr), .bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)&watched, .bp_len = HW_BREAKPOINT_LEN_4,
		.exclude_kernel = 1, .exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

void host_open(bool watch)
{
	make_pattern();
	open_msrs();
	host.watch_fd = watch ? open_watch() : -1;
	host.bases[0] = base(ARCH_GET_FS);
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456789000);
	host.bases[1] = 0x123456789000;
}

/* Number of the first byte that differs, or -1. The header is the processor's business. */
static int difference(const struct area *a, const struct area *b)
{
	int i;

	for (i = 0; i < XSAVE_SIZE; i++) {
		/* Last instruction and operand, MXCSR's mask, what software may use, the header. */
		if ((i >= 6 && i < 24) || (i >= 28 && i < 32) || (i >= 416 && i < 576))
			continue;
		if (a->bytes[i] != b->bytes[i])
			return i;
	}
	return -1;
}

long host_run(int fd)
{
	struct area after;
	long ret = SYS_ioctl;
	uint32_t mask = host.features;
	int at;

	if (!host.features)
		return call(fd, KVM_RUN, NULL);
	memset(&after, 0, sizeof(after));
	asm volatile("xrstor64 (%[before])\n"
		     "movl %[mask], %%ebx\n"
		     "movq %[nr], %%rax\n"
		     "xorl %%edx, %%edx\n"
		     "syscall\n"
		     "movq %%rax, %[nr]\n"
		     "movl %%ebx, %%eax\n"
		     "xorl %%edx, %%edx\n"
		     "xsave64 (%[after])\n"
		     "fninit\n"
		     : [nr] "+r"(ret)
		     : [before] "r"(&host.pattern), [after] "r"(&after), [mask] "r"(mask),
		       "D"((long)fd), "S"(KVM_RUN), "a"(mask), "d"(0)
		     : "rbx", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
		       "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
		       "xmm14", "xmm15");
	asm volatile("ldmxcsr %0" : : "m"((uint32_t){ 0x1f80 }));
	at = difference(&host.pattern, &after);
	if (at >= 0)
		fuzz_fail("KVM_RUN changed byte %d of the XSAVE area from %#x to %#x", at,
			  host.pattern.bytes[at], after.bytes[at]);
	return ret;
}

static void check_watch(void)
{
	uint64_t before = 0, after = 0;

	if (host.watch_fd < 0 || read(host.watch_fd, &before, 8) != 8)
		return;
	watched++;
	if (read(host.watch_fd, &after, 8) == 8 && after != before + 1)
		fuzz_fail("a write to a watched word was counted %lld times",
			  (long long)(after - before));
}

void host_check(void)
{
	unsigned int cpu, i;
	uint64_t now;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		for (i = 0; host.msr_fd[cpu] >= 0 && i < ARRAY_SIZE(msrs); i++)
			if (host.known[cpu][i] &&
			    pread(host.msr_fd[cpu], &now, 8, msrs[i]) == 8 &&
			    now != host.msr[cpu][i])
				fuzz_fail("MSR %#x of CPU %u was %#llx and is %#llx", msrs[i], cpu,
					  (unsigned long long)host.msr[cpu][i],
					  (unsigned long long)now);
	if (base(ARCH_GET_FS) != host.bases[0] || base(ARCH_GET_GS) != host.bases[1])
		fuzz_fail("the bases of FS and GS were %#llx, %#llx and are %#llx, %#llx",
			  (unsigned long long)host.bases[0], (unsigned long long)host.bases[1],
			  (unsigned long long)base(ARCH_GET_FS),
			  (unsigned long long)base(ARCH_GET_GS));
	if (host.features && (xgetbv() & XFEATURES) != host.features)
		fuzz_fail("XCR0 was %#llx and is %#llx", (unsigned long long)host.features,
			  (unsigned long long)xgetbv());
	check_watch();
}
