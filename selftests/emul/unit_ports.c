// SPDX-License-Identifier: GPL-2.0-only
#include "unit.h"
#include "world.h"

static struct world w;

static void in_out(void)
{
	/* in eax, dx */
	WORLD(&w, EMUL_LONG64, 0xed);
	w.ctx.gpr[EMUL_RDX] = 0xffff03f8;
	w.ctx.gpr[EMUL_RAX] = ~0ULL;
	w.port_value = 0x12345678;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.gpr[EMUL_RAX] == 0x12345678 && w.port == 0x3f8 && w.size == 4);

	/* in al, 0x80, after asking user space */
	WORLD(&w, EMUL_REAL, 0xe4, 0x80);
	w.ctx.gpr[EMUL_RAX] = 0x1100;
	w.port_value = 0x42;
	w.pending = true;
	EXPECT(world_step(&w) == EMUL_PENDING);
	EXPECT(w.ctx.gpr[EMUL_RAX] == 0x1100 && w.ctx.rip == 0x1000);
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.gpr[EMUL_RAX] == 0x1142 && w.port == 0x80 && w.size == 1);

	/* out dx, ax */
	WORLD(&w, EMUL_PROT32, 0x66, 0xef);
	w.ctx.gpr[EMUL_RDX] = 0x1f0;
	w.ctx.gpr[EMUL_RAX] = 0xaabbccdd;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.outs == 1 && w.port == 0x1f0 && w.size == 2 && w.out[0] == 0xdd);
	EXPECT(w.out[1] == 0xcc && w.ctx.rip == 0x1002);
}

static void permission(void)
{
	/* in al, dx at CPL 3 */
	WORLD(&w, EMUL_PROT32, 0xec);
	w.ctx.cpl = 3;
	EXPECT(world_step(&w) == EMUL_DONE && w.permission_checks == 1);
	w.ctx.rip = 0x1000;
	w.deny_ports = true;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(w.ctx.fault.vector == X86_TRAP_GP && w.ins == 1);

	/* IOPL 3 suffices in protected mode, not in virtual-8086 mode. */
	w.ctx.rflags |= X86_EFLAGS_IOPL;
	EXPECT(world_step(&w) == EMUL_DONE && w.permission_checks == 2);
	WORLD(&w, EMUL_VM86, 0xec);
	w.ctx.rflags |= X86_EFLAGS_IOPL;
	w.deny_ports = true;
	EXPECT(world_step(&w) == EMUL_FAULT && w.permission_checks == 1);

	/* rep insb of nothing is checked nevertheless */
	WORLD(&w, EMUL_PROT32, 0xf3, 0x6c);
	w.ctx.cpl = 3;
	w.deny_ports = true;
	EXPECT(world_step(&w) == EMUL_FAULT);
}

static void input_string(void)
{
	/* rep insw up to a page's end, then the rest */
	WORLD(&w, EMUL_LONG64, 0x66, 0xf3, 0x6d);
	w.ctx.gpr[EMUL_RDI] = 0x5ffa;
	w.ctx.gpr[EMUL_RCX] = 5;
	w.ctx.gpr[EMUL_RDX] = 0x1f0;
	w.port_value = 0x100;
	w.pending = true;
	EXPECT(world_step(&w) == EMUL_PENDING && w.count == 3 && w.size == 2);
	EXPECT(w.ctx.gpr[EMUL_RCX] == 5 && w.writes == 0);
	EXPECT(world_step(&w) == EMUL_DONE && w.ctx.rip == 0x1000);
	EXPECT(w.ctx.gpr[EMUL_RCX] == 2 && w.ctx.gpr[EMUL_RDI] == 0x6000);
	w.pending = false;
	EXPECT(world_step(&w) == EMUL_DONE && w.ctx.rip == 0x1003);
	EXPECT(w.ctx.gpr[EMUL_RCX] == 0 && w.ctx.gpr[EMUL_RDI] == 0x6004 && w.count == 2);
	EXPECT(w.mem[0x5ffa] == 0 && w.mem[0x5ffb] == 1 && w.mem[0x6002] == 4);

	/* A destination that faults is found before the port is read. */
	WORLD(&w, EMUL_LONG64, 0xf3, 0x6c);
	w.ctx.gpr[EMUL_RDI] = 0x5000;
	w.ctx.gpr[EMUL_RCX] = 5;
	w.fault_page = 5;
	EXPECT(world_step(&w) == EMUL_FAULT && w.ins == 0);
	EXPECT(w.ctx.fault.vector == X86_TRAP_PF && w.ctx.fault.error_code == 2);

	/* Batches are bounded, also by a count that does not fit. */
	WORLD(&w, EMUL_LONG64, 0xf3, 0x6d);
	w.ctx.gpr[EMUL_RDI] = 0x5000;
	w.ctx.gpr[EMUL_RCX] = ~0ULL;
	EXPECT(world_step(&w) == EMUL_DONE && w.count == EMUL_IO_BATCH / 4);
	EXPECT(w.ctx.gpr[EMUL_RCX] == ~0ULL - EMUL_IO_BATCH / 4 && w.ctx.rip == 0x1000);

	/* Into a device, and downwards: one at a time. */
	WORLD(&w, EMUL_LONG64, 0xf3, 0x6c);
	w.ctx.gpr[EMUL_RDI] = 0x5000;
	w.ctx.gpr[EMUL_RCX] = 5;
	w.device_page = 5;
	EXPECT(world_step(&w) == EMUL_DONE && w.count == 1 && w.ctx.gpr[EMUL_RCX] == 4);
	w.device_page = NO_PAGE;
	w.ctx.rflags |= X86_EFLAGS_DF;
	EXPECT(world_step(&w) == EMUL_DONE && w.count == 1);
	EXPECT(w.ctx.gpr[EMUL_RDI] == 0x5000 && w.ctx.gpr[EMUL_RCX] == 3);
}

static void output_string(void)
{
	/* rep fs outsd, 16-bit addresses: the offset wraps between two batches */
	WORLD(&w, EMUL_REAL, 0x66, 0x64, 0xf3, 0x6f);
	w.ctx.seg[EMUL_FS].base = 0x2000;
	w.ctx.gpr[EMUL_RSI] = 0xfff8;
	w.ctx.gpr[EMUL_RCX] = 4;
	memcpy(w.mem + 0x11ff8, "abcdefgh", 8);
	EXPECT(world_step(&w) == EMUL_DONE && w.size == 4 && w.count == 1);
	EXPECT(!memcmp(w.out, "abcd", 4) && w.ctx.gpr[EMUL_RSI] == 0xfffc);
	EXPECT(world_step(&w) == EMUL_DONE && !memcmp(w.out, "efgh", 4));
	EXPECT(w.ctx.gpr[EMUL_RSI] == 0);
	EXPECT(world_step(&w) == EMUL_DONE && w.count == 2);
	EXPECT(w.ctx.gpr[EMUL_RSI] == 8 && w.ctx.gpr[EMUL_RCX] == 0 && w.ctx.rip == 0x1004);

	/* outsb that waits for user space is executed again. */
	WORLD(&w, EMUL_LONG64, 0x6e);
	w.ctx.gpr[EMUL_RSI] = 0x5000;
	w.pending = true;
	EXPECT(world_step(&w) == EMUL_PENDING && w.ctx.gpr[EMUL_RSI] == 0x5000);
	EXPECT(world_step(&w) == EMUL_DONE && w.ctx.gpr[EMUL_RSI] == 0x5001 && w.outs == 1);
}

void unit_ports(void)
{
	world_case("IN and OUT", in_out);
	world_case("port permission", permission);
	world_case("INS", input_string);
	world_case("OUTS", output_string);
}
