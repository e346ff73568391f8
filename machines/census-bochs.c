// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loaded into Bochs by LD_PRELOAD: counts instructions, in nested guests and outside, and writes
 * to the file that VITRO_CENSUS names: see census.h.
 *
 * Debian's Bochs is built for instrumentation: it calls a function before each instruction, and
 * others at events, all of which do nothing. Each is a RET in 16 bytes of its own, which become a
 * jump to the function here. HLT counts as one, however long the processor sleeps.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "census.h"

#define RET		0xc3
#define STUB_SIZE	16
/* An instruction that Bochs has decoded begins with a pointer to what executes it. */
#define REGISTERS	36	/* where the numbers of its operands are */
#define BX		3

static const void *enters, *exchanges;
static bool user;

/* Of an XCHG of two registers: is it the mark? */
static bool is_mark(const unsigned char *insn)
{
	return insn[REGISTERS] == BX && insn[REGISTERS + 1] == BX;
}

static void before_execution(unsigned int cpu, const void *insn)
{
	const void *executes = *(const void *const *)insn;

	(void)cpu;
	if (user)
		executed.user++;
	else
		executed.kernel++;
	if (executes == enters)
		census_enter();
	else if (executes == exchanges && !census.in_guest && is_mark(insn))
		census_mark();
}

static void vm_exit(unsigned int cpu, unsigned int reason, uint64_t qualification)
{
	(void)cpu;
	(void)reason;
	(void)qualification;
	user = false;
	if (census.in_guest)
		census_leave();
}

static void far_branch(unsigned int cpu, unsigned int what, uint16_t old_cs, uint64_t old_rip,
		       uint16_t new_cs, uint64_t new_rip)
{
	(void)cpu;
	(void)what;
	(void)old_cs;
	(void)old_rip;
	(void)new_cs;
	if (!census.in_guest)
		user = !(new_rip >> 63);
}

static void enters_kernel(void)
{
	user = false;
}

static void *symbol(const char *name)
{
	void *address = dlsym(RTLD_DEFAULT, name);

	if (!address) {
		fprintf(stderr, "census: this Bochs has no %s\n", name);
		exit(1);
	}
	return address;
}

/* Lets an empty function jump to @target. */
static void hook(const char *name, void (*target)(void))
{
	unsigned char jump[14] = { 0xff, 0x25 };	/* JMP to the address behind it */
	unsigned char *stub = symbol(name);
	size_t page = sysconf(_SC_PAGESIZE);
	unsigned char *start = (unsigned char *)((uintptr_t)stub & -page);

	if (*stub != RET || (uintptr_t)stub % STUB_SIZE) {
		fprintf(stderr, "census: this Bochs has something in %s\n", name);
		exit(1);
	}
	memcpy(jump + 6, &target, sizeof(target));
	if (mprotect(start, stub + STUB_SIZE - start, PROT_READ | PROT_WRITE | PROT_EXEC)) {
		perror("census: mprotect");
		exit(1);
	}
	memcpy(stub, jump, sizeof(jump));
}

__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("VITRO_CENSUS");

	if (!name)
		return;
	census.out = fopen(name, "w");
	if (!census.out) {
		perror(name);
		exit(1);
	}
	enters = symbol("_ZN8BX_CPU_C8VMLAUNCHEP15bxInstruction_c");	/* and VMRESUME */
	exchanges = symbol("_ZN8BX_CPU_C10XCHG_EwGwREP15bxInstruction_c");
	hook("_Z25bx_instr_before_executionjP15bxInstruction_c", (void (*)(void))before_execution);
	hook("_Z15bx_instr_vmexitjjm", (void (*)(void))vm_exit);
	hook("_Z19bx_instr_far_branchjjtmtm", (void (*)(void))far_branch);
	hook("_Z18bx_instr_interruptjj", enters_kernel);
	hook("_Z18bx_instr_exceptionjjj", enters_kernel);
	hook("_Z20bx_instr_hwinterruptjjtm", enters_kernel);
}
