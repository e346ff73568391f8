// SPDX-License-Identifier: GPL-2.0-only
#include "unit.h"
#include "world.h"

static struct world w;

static void pending(void)
{
	struct emul_ctx before;

	/* xadd [rbx], rcx on a device */
	WORLD(&w, EMUL_LONG64, 0x48, 0x0f, 0xc1, 0x0b);
	w.ctx.gpr[EMUL_RBX] = 0x5000;
	w.ctx.gpr[EMUL_RCX] = 5;
	memset(w.mem + 0x5000, 0, 8);
	w.mem[0x5000] = 0x30;
	w.device_page = 5;
	w.pending = true;
	before = w.ctx;
	EXPECT(world_step(&w) == EMUL_PENDING);
	EXPECT(!memcmp(before.gpr, w.ctx.gpr, sizeof(before.gpr)));
	EXPECT(before.rip == w.ctx.rip && before.rflags == w.ctx.rflags);
	EXPECT(w.writes == 0 && w.mem[0x5000] == 0x30);
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.mem[0x5000] == 0x35 && w.ctx.gpr[EMUL_RCX] == 0x30 && w.writes == 1);
	EXPECT(w.access == (EMUL_READ | EMUL_WRITE));

	/* cmpsb with both operands on a device: two questions, one instruction */
	WORLD(&w, EMUL_LONG64, 0xa6);
	w.ctx.gpr[EMUL_RSI] = 0x5000;
	w.ctx.gpr[EMUL_RDI] = 0x5100;
	w.mem[0x5000] = w.mem[0x5100] = 1;
	w.device_page = 5;
	w.pending = true;
	EXPECT(world_step(&w) == EMUL_PENDING);
	EXPECT(world_step(&w) == EMUL_PENDING);
	EXPECT(w.ctx.gpr[EMUL_RSI] == 0x5000 && w.ctx.rip == 0x1000);
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.gpr[EMUL_RSI] == 0x5001 && w.ctx.rflags & X86_EFLAGS_ZF);
}

static void kept_bytes(void)
{
	/* mov eax, [rbx] with the bytes provided by the caller */
	static const u8 code[] = { 0x8b, 0x03 };

	world_init(&w, EMUL_LONG64, code, 0);
	memcpy(w.ctx.insn.bytes, code, sizeof(code));
	w.ctx.insn.fetched = sizeof(code);
	EXPECT(emul_step(&w.ctx) == EMUL_DONE);
	EXPECT(w.fetches == 0 && w.ctx.rip == 0x1002);
}

static void repetition(void)
{
	/* rep movsb into a device: one iteration per step, RIP stays until the last */
	WORLD(&w, EMUL_LONG64, 0xf3, 0xa4);
	w.ctx.gpr[EMUL_RSI] = 0x3000;
	w.ctx.gpr[EMUL_RDI] = 0x5000;
	w.ctx.gpr[EMUL_RCX] = 3;
	w.device_page = 5;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.rip == 0x1000 && w.ctx.gpr[EMUL_RCX] == 2);
	EXPECT(w.ctx.gpr[EMUL_RSI] == 0x3001 && w.ctx.gpr[EMUL_RDI] == 0x5001);
	EXPECT(world_step(&w) == EMUL_DONE && w.ctx.rip == 0x1000);
	EXPECT(world_step(&w) == EMUL_DONE && w.ctx.rip == 0x1002);
	EXPECT(w.ctx.gpr[EMUL_RCX] == 0 && !memcmp(w.mem + 0x3000, w.mem + 0x5000, 3));

	/* rep stosd that runs into a fault keeps what it has done */
	WORLD(&w, EMUL_LONG64, 0xf3, 0xab);
	w.ctx.gpr[EMUL_RDI] = 0x5ff0;
	w.ctx.gpr[EMUL_RCX] = 10;
	w.fault_page = 6;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(w.ctx.fault.vector == X86_TRAP_PF && w.ctx.fault.cr2 == 0x6000);
	EXPECT(w.ctx.fault.error_code == 2);
	EXPECT(w.ctx.gpr[EMUL_RCX] == 6 && w.ctx.gpr[EMUL_RDI] == 0x6000 && w.ctx.rip == 0x1000);

	/* repe cmpsb: flags stay until it ends */
	WORLD(&w, EMUL_LONG64, 0xf3, 0xa6);
	memset(w.mem + 0x3000, 1, 16);
	memset(w.mem + 0x5000, 1, 16);
	w.mem[0x5001] = 2;
	w.ctx.gpr[EMUL_RSI] = 0x3000;
	w.ctx.gpr[EMUL_RDI] = 0x5000;
	w.ctx.gpr[EMUL_RCX] = 16;
	w.device_page = 5;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.rip == 0x1000 && !(w.ctx.rflags & X86_EFLAGS_ZF));
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.rip == 0x1002 && w.ctx.rflags & X86_EFLAGS_CF);
	EXPECT(w.ctx.gpr[EMUL_RCX] == 14);
}

static void repetition_bound(void)
{
	/* rep lodsb, many */
	WORLD(&w, EMUL_LONG64, 0xf3, 0xac);
	w.ctx.gpr[EMUL_RCX] = EMUL_MAX_REP + 1;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.gpr[EMUL_RCX] == 1 && w.ctx.rip == 0x1000 && w.reads == EMUL_MAX_REP);
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.gpr[EMUL_RCX] == 0 && w.ctx.rip == 0x1002);
}

static void repetition_traced(void)
{
	/* rep movsb and rep insb with TF: each iteration is a step, and RF is set between them */
	WORLD(&w, EMUL_LONG64, 0xf3, 0xa4);
	w.ctx.gpr[EMUL_RSI] = 0x3000;
	w.ctx.gpr[EMUL_RDI] = 0x5000;
	w.ctx.gpr[EMUL_RCX] = 2;
	w.ctx.rflags |= X86_EFLAGS_TF;
	EXPECT(world_step(&w) == EMUL_DONE && w.ctx.again && w.ctx.gpr[EMUL_RCX] == 1);
	EXPECT(w.ctx.rip == 0x1000 && w.ctx.rflags & X86_EFLAGS_RF);
	EXPECT(world_step(&w) == EMUL_DONE && !w.ctx.again && w.ctx.gpr[EMUL_RCX] == 0);
	EXPECT(w.ctx.rip == 0x1002 && !(w.ctx.rflags & X86_EFLAGS_RF));

	WORLD(&w, EMUL_LONG64, 0xf3, 0x6c);
	w.ctx.gpr[EMUL_RDI] = 0x5000;
	w.ctx.gpr[EMUL_RCX] = 5;
	w.ctx.rflags |= X86_EFLAGS_TF;
	EXPECT(world_step(&w) == EMUL_DONE && w.ctx.again && w.ctx.gpr[EMUL_RCX] == 4);
}

static void locked(void)
{
	/* lock inc dword [rbx] */
	WORLD(&w, EMUL_LONG64, 0xf0, 0xff, 0x03);
	w.ctx.gpr[EMUL_RBX] = 0x5000;
	memset(w.mem + 0x5000, 0, 4);
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.exchanges == 1 && w.writes == 0 && w.mem[0x5000] == 1);

	/* Somebody else was faster: nothing happened, the guest tries again. */
	w.ctx.rip = 0x1000;
	w.race = true;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.rip == 0x1000 && w.mem[0x5000] == 1);

	/* xchg [rbx], eax is atomic without LOCK; its register comes back on a race */
	WORLD(&w, EMUL_LONG64, 0x87, 0x03);
	w.ctx.gpr[EMUL_RBX] = 0x5000;
	w.ctx.gpr[EMUL_RAX] = 0x1234;
	w.race = true;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.exchanges == 1 && w.ctx.gpr[EMUL_RAX] == 0x1234 && w.ctx.rip == 0x1000);

	/* lock mov, and lock on a register */
	WORLD(&w, EMUL_LONG64, 0xf0, 0x89, 0x03);
	EXPECT(world_step(&w) == EMUL_FAULT && w.ctx.fault.vector == X86_TRAP_UD);
	WORLD(&w, EMUL_LONG64, 0xf0, 0x01, 0xc3);
	EXPECT(world_step(&w) == EMUL_FAULT && w.ctx.fault.vector == X86_TRAP_UD);
}

static void fault_leaves_state(void)
{
	struct emul_ctx before;

	/* xadd [rbx], rcx into a page that is not there */
	WORLD(&w, EMUL_LONG64, 0x48, 0x0f, 0xc1, 0x0b);
	w.ctx.gpr[EMUL_RBX] = 0x5000;
	w.ctx.rflags |= X86_EFLAGS_RF;
	w.fault_page = 5;
	before = w.ctx;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(w.ctx.fault.vector == X86_TRAP_PF && w.ctx.fault.error_code == 2);
	EXPECT(w.ctx.fault.has_error);
	EXPECT(!memcmp(before.gpr, w.ctx.gpr, sizeof(before.gpr)));
	EXPECT(w.ctx.rflags == before.rflags && w.ctx.rip == before.rip);

	/* Completion clears RF. */
	w.fault_page = NO_PAGE;
	EXPECT(world_step(&w) == EMUL_DONE && !(w.ctx.rflags & X86_EFLAGS_RF));
}

static void long_instruction(void)
{
	/* 14 prefixes and movsb make 15 bytes; one prefix more is too long. */
	u8 code[16];

	memset(code, 0x66, sizeof(code));
	code[14] = 0xa4;
	world_init(&w, EMUL_LONG64, code, 15);
	EXPECT(world_step(&w) == EMUL_DONE && w.ctx.rip == 0x100f);
	code[14] = 0x66;
	code[15] = 0xa4;
	world_init(&w, EMUL_LONG64, code, 16);
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(w.ctx.fault.vector == X86_TRAP_GP && w.ctx.fault.has_error);
}

static void not_supported(void)
{
	/* cpuid; evex; 66 jmp near in 64-bit mode, on which vendors disagree */
	WORLD(&w, EMUL_LONG64, 0x0f, 0xa2);
	EXPECT(world_step(&w) == EMUL_UNHANDLEABLE && w.ctx.rip == 0x1000);
	EXPECT(w.ctx.insn.fetched == EMUL_MAX_INSN && w.ctx.insn.bytes[1] == 0xa2);
	WORLD(&w, EMUL_LONG64, 0x62, 0xf1, 0x7c, 0x48, 0x28, 0x03);
	EXPECT(world_step(&w) == EMUL_UNHANDLEABLE);
	WORLD(&w, EMUL_LONG64, 0x66, 0xff, 0x23);
	EXPECT(world_step(&w) == EMUL_UNHANDLEABLE);
}

void unit_protocol(void)
{
	world_case("replay after user space was asked", pending);
	world_case("bytes that the caller provides", kept_bytes);
	world_case("repetition stops, faults and goes on", repetition);
	world_case("repetition is bounded", repetition_bound);
	world_case("each iteration is a step", repetition_traced);
	world_case("locked instructions", locked);
	world_case("a fault changes nothing", fault_leaves_state);
	world_case("no instruction has more than 15 bytes", long_instruction);
	world_case("instructions that are not supported", not_supported);
}
