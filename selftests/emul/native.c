// SPDX-License-Identifier: GPL-2.0-only
/*
 * An instruction is executed by a signal handler that replaces the interrupted context with the
 * state to be tested, with the trap flag set. The trap, or the fault, after one instruction enters
 * the handler again, which keeps the resulting state and puts the context back. That loads and
 * stores every register without a line of assembly.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "native.h"

/* LDT entries. */
enum { LDT_CODE = 1, LDT_DATA, LDT_STACK, LDT_EXPAND_DOWN, LDT_READ_ONLY };

#define SELECTOR(entry) ((entry) << 3 | 7)

#define XSTATE_BV_OFFSET 512
#define XSTATE_AVX_OFFSET 576
#define XSTATE_X87_SSE_AVX 7

/* No instruction under test repeats more often. */
#define MAX_TRAPS 5000

static struct {
	enum { IDLE, STARTING, RUNNING } phase;
	unsigned int traps;
	struct machine *machine;
	u64 start;
	u16 cs, ss;
	greg_t gregs[NGREG];
	u8 legacy[XSTATE_BV_OFFSET];
	u8 vec[NR_VECTORS][32];
} run;

static const int greg_of[EMUL_NR_GPR] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static bool avx;

bool native_has_avx(void)
{
	return avx;
}

static u8 *xmm_at(ucontext_t *uc, unsigned int i)
{
	return (u8 *)uc->uc_mcontext.fpregs + 160 + 16 * i;
}

static u8 *ymm_at(ucontext_t *uc, unsigned int i)
{
	return (u8 *)uc->uc_mcontext.fpregs + XSTATE_AVX_OFFSET + 16 * i;
}

static void store_vectors(ucontext_t *uc, u8 vec[NR_VECTORS][32])
{
	u64 *present = (u64 *)((u8 *)uc->uc_mcontext.fpregs + XSTATE_BV_OFFSET);
	unsigned int i;

	for (i = 0; i < NR_VECTORS; i++) {
		memset(vec[i], 0, 32);
		memcpy(vec[i], xmm_at(uc, i), 16);
		if (avx && *present & 4)
			memcpy(vec[i] + 16, ymm_at(uc, i), 16);
	}
}

static void load_vectors(ucontext_t *uc, u8 vec[NR_VECTORS][32])
{
	u64 *present = (u64 *)((u8 *)uc->uc_mcontext.fpregs + XSTATE_BV_OFFSET);
	unsigned int i;

	for (i = 0; i < NR_VECTORS; i++) {
		memcpy(xmm_at(uc, i), vec[i], 16);
		if (avx)
			memcpy(ymm_at(uc, i), vec[i] + 16, 16);
	}
	if (avx)
		*present |= XSTATE_X87_SSE_AVX;
}

static void begin(ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	struct machine *m = run.machine;
	unsigned int i;

	memcpy(run.gregs, g, sizeof(run.gregs));
	memcpy(run.legacy, uc->uc_mcontext.fpregs, sizeof(run.legacy));
	store_vectors(uc, run.vec);
	for (i = 0; i < EMUL_NR_GPR; i++)
		g[greg_of[i]] = m->gpr[i];
	g[REG_RIP] = m->rip;
	g[REG_EFL] = m->rflags | X86_EFLAGS_TF;
	g[REG_CSGSFS] = (g[REG_CSGSFS] & 0x0000ffffffff0000LL) | run.cs | (greg_t)run.ss << 48;
	load_vectors(uc, m->vec);
	run.start = m->rip;
	run.traps = 0;
	run.phase = RUNNING;
}

static void end(ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	struct machine *m = run.machine;
	unsigned int i;

	for (i = 0; i < EMUL_NR_GPR; i++)
		m->gpr[i] = g[greg_of[i]];
	m->rip = g[REG_RIP];
	m->rflags = g[REG_EFL] & ~(u64)X86_EFLAGS_TF;
	m->trap = g[REG_TRAPNO] == 1 ? NO_TRAP : g[REG_TRAPNO];
	m->error = m->trap == NO_TRAP ? 0 : g[REG_ERR];
	m->cr2 = m->trap == X86_TRAP_PF ? g[REG_CR2] : 0;
	store_vectors(uc, m->vec);

	memcpy(g, run.gregs, sizeof(run.gregs));
	/* An instruction under test may have changed x87 state and MXCSR. */
	memcpy(uc->uc_mcontext.fpregs, run.legacy, sizeof(run.legacy));
	load_vectors(uc, run.vec);
	run.phase = IDLE;
}

static void handler(int sig, siginfo_t *info, void *context)
{
	static const char stray[] = "Bail out! signal outside of a tested instruction\n";
	ucontext_t *uc = context;

	if (run.phase == STARTING && sig == SIGTRAP) {
		begin(uc);
		return;
	}
	if (run.phase != RUNNING) {
		if (write(STDOUT_FILENO, stray, sizeof(stray) - 1) < 0)
			_exit(2);
		_exit(1);
	}
	/* Single-stepping stops after each iteration of a repeated instruction. */
	if (sig == SIGTRAP && (u64)uc->uc_mcontext.gregs[REG_RIP] == run.start &&
	    ++run.traps < MAX_TRAPS)
		return;
	end(uc);
}

void native_run(struct machine *m)
{
	run.machine = m;
	run.phase = STARTING;
	asm volatile("int3" ::: "memory");
}

static int map_area(u64 base, int prot)
{
	u64 guarded = base - AREA_SIZE;
	void *p;

	p = mmap((void *)guarded, 3 * AREA_SIZE, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != (void *)guarded || mprotect((void *)base, AREA_SIZE, prot))
		return -errno;
	return 0;
}

int native_init(void)
{
	static const int signals[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction sa = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	stack_t stack = { .ss_size = 1 << 20 };
	unsigned int i;
	int r;

	avx = __builtin_cpu_supports("avx");
	r = map_area(DATA_BASE, PROT_READ | PROT_WRITE);
	if (!r)
		r = map_area(CODE_BASE, PROT_READ | PROT_WRITE | PROT_EXEC);
	if (r)
		return r;
	stack.ss_sp = malloc(stack.ss_size);
	if (!stack.ss_sp || sigaltstack(&stack, NULL))
		return -errno;
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		if (sigaction(signals[i], &sa, NULL))
			return -errno;
	}
	return 0;
}

static int set_ldt(struct user_desc *d, unsigned int entry)
{
	d->entry_number = entry;
	return syscall(SYS_modify_ldt, 1, d, sizeof(*d)) ? -errno : 0;
}

static struct emul_seg describe(const struct user_desc *d, unsigned int entry)
{
	return (struct emul_seg) {
		.selector = SELECTOR(entry),
		.base = d->base_addr,
		.limit = d->limit,
		.type = d->contents << 2 | !d->read_exec_only << 1 | 1,
		.s = true,
		.dpl = 3,
		.present = true,
		.db = d->seg_32bit,
	};
}

static int make_segments(bool wide, struct emul_seg seg[EMUL_NR_SEG])
{
	static const struct {
		unsigned int reg, entry, contents, limit, read_only;
		u64 base;
	} wanted[] = {
		{ EMUL_CS, LDT_CODE, 2, 2 * AREA_SIZE - 1, 0, CODE_BASE },
		{ EMUL_DS, LDT_DATA, 0, AREA_SIZE - 1, 0, DATA_BASE },
		{ EMUL_SS, LDT_STACK, 0, AREA_SIZE - 1, 0, DATA_BASE },
		{ EMUL_ES, LDT_EXPAND_DOWN, 1, 0xfff, 0, DATA_BASE },
		{ EMUL_GS, LDT_READ_ONLY, 0, AREA_SIZE / 2, 1, DATA_BASE },
	};
	unsigned int i;
	int r;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct user_desc d = {
			.base_addr = wanted[i].base,
			.limit = wanted[i].limit,
			.contents = wanted[i].contents,
			.read_exec_only = wanted[i].read_only,
			.seg_32bit = wide && wanted[i].reg != EMUL_ES,
			.useable = 1,
		};

		r = set_ldt(&d, wanted[i].entry);
		if (r)
			return r;
		seg[wanted[i].reg] = describe(&d, wanted[i].entry);
	}
	seg[EMUL_FS] = (struct emul_seg) { .unusable = true };
	run.cs = SELECTOR(LDT_CODE);
	run.ss = SELECTOR(LDT_STACK);
	asm volatile("mov %0, %%ds" : : "r" (SELECTOR(LDT_DATA)));
	asm volatile("mov %0, %%es" : : "r" (SELECTOR(LDT_EXPAND_DOWN)));
	asm volatile("mov %0, %%gs" : : "r" (SELECTOR(LDT_READ_ONLY)));
	return 0;
}

int native_set_mode(enum emul_mode mode, struct emul_seg seg[EMUL_NR_SEG])
{
	memset(seg, 0, EMUL_NR_SEG * sizeof(*seg));
	if (mode != EMUL_LONG64)
		return make_segments(mode == EMUL_PROT32, seg);

	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r" (0));
	asm volatile("mov %%cs, %0" : "=r" (run.cs));
	asm volatile("mov %%ss, %0" : "=r" (run.ss));
	seg[EMUL_CS].selector = run.cs;
	seg[EMUL_SS].selector = run.ss;
	seg[EMUL_GS].base = DATA_BASE + AREA_SIZE / 2;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, seg[EMUL_GS].base) ||
	    syscall(SYS_arch_prctl, ARCH_GET_FS, &seg[EMUL_FS].base))
		return -errno;
	return 0;
}
