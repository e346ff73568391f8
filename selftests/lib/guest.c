// SPDX-License-Identifier: GPL-2.0-only
/* The part of the library that runs inside the guest. */
#include "guest.h"

struct guest_extable {
	uint64_t insn, resume;
};

extern const struct guest_extable __start_guest_extable[]
	__attribute__((weak));
extern const struct guest_extable __stop_guest_extable[]
	__attribute__((weak));

guest_handler guest_handlers[256];

static void guest_call(struct guest_call *call)
{
	outl(GUEST_CALL_PORT, (uint32_t)(uintptr_t)call);
}

void guest_check(const char *file, int line, const char *what,
		 uint64_t got, uint64_t want)
{
	struct guest_call call = {
		.type = GUEST_CHECK, .line = line, .file = file,
		.what = what, .a = got, .b = want,
	};

	if (got != want)
		guest_call(&call);
}

void guest_sync(uint64_t stage, uint64_t value)
{
	struct guest_call call = {
		.type = GUEST_SYNC, .a = stage, .b = value,
	};

	guest_call(&call);
}

void guest_done(void)
{
	struct guest_call call = { .type = GUEST_DONE };

	for (;;)
		guest_call(&call);
}

/* Called by the stubs in vectors.S. */
void guest_trap(struct guest_regs *regs);

/* In vectors.S: where guest_user() goes on at CPL 0. */
extern const char guest_user_return[];

/* IRET from here with this goes back into guest_user(), RAX as it is. */
static void leave_user(struct guest_regs *regs)
{
	regs->rip = (uintptr_t)guest_user_return;
	regs->cs = GUEST_SEL_CODE;
	regs->ss = GUEST_SEL_DATA;
	regs->rsp = guest_cpu()->kernel_rsp;
}

void guest_trap(struct guest_regs *regs)
{
	struct guest_cpu *cpu = guest_cpu();
	const struct guest_extable *entry;
	struct guest_call call = {
		.type = GUEST_TRAP, .a = regs->vector, .b = regs->error,
		.rip = regs->rip, .cr2 = read_cr2(),
	};

	cpu->taken[regs->vector]++;
	if (regs->vector == GUEST_USER_VECTOR) {
		leave_user(regs);
		return;
	}
	if (guest_handlers[regs->vector]) {
		guest_handlers[regs->vector](regs);
		return;
	}
	for (entry = __start_guest_extable; entry < __stop_guest_extable;
	     entry++) {
		if (entry->insn != regs->rip)
			continue;
		cpu->vector = regs->vector;
		cpu->error = regs->error;
		cpu->cr2 = call.cr2;
		cpu->rip = regs->rip;
		regs->rip = entry->resume;
		return;
	}
	for (;;)
		guest_call(&call);
}
