// SPDX-License-Identifier: GPL-2.0-only
#include "unit.h"
#include "world.h"

static struct world w;

static void load32(u32 at, u32 value)
{
	memcpy(w.mem + at, &value, 4);
}

static bool raised(u8 vector, bool has_error)
{
	return w.ctx.fault.vector == vector && w.ctx.fault.has_error == has_error &&
	       w.ctx.fault.error_code == 0 && w.ctx.rip == 0x1000;
}

static void real_mode(void)
{
	/* mov ax, [bx+si+0x10] */
	WORLD(&w, EMUL_REAL, 0x8b, 0x40, 0x10);
	w.ctx.seg[EMUL_DS].base = 0x8000;
	w.ctx.gpr[EMUL_RBX] = 0xabcd0000fff0;
	w.ctx.gpr[EMUL_RSI] = 0x0104;
	w.ctx.gpr[EMUL_RAX] = 0x1122334455667788;
	load32(0x8104, 0x0000beef);
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.linear == 0x8104);
	EXPECT(w.ctx.gpr[EMUL_RAX] == 0x112233445566beef);
	EXPECT(w.ctx.rip == 0x1003);

	/* mov [bp+2], cl: SS by default */
	WORLD(&w, EMUL_REAL, 0x88, 0x4e, 0x02);
	w.ctx.seg[EMUL_SS].base = 0x4000;
	w.ctx.gpr[EMUL_RBP] = 0x100;
	w.ctx.gpr[EMUL_RCX] = 0x5a;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.linear == 0x4102 && w.mem[0x4102] == 0x5a);

	/* es mov eax, [0x1234]: base above 1 MiB - 64 KiB is not wrapped */
	WORLD(&w, EMUL_REAL, 0x26, 0x66, 0xa1, 0x34, 0x12);
	w.ctx.seg[EMUL_ES].base = 0xffff0;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.linear == 0x101224);
}

static void real_mode_limit(void)
{
	/* mov ax, [0xffff] */
	WORLD(&w, EMUL_REAL, 0xa1, 0xff, 0xff);
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_GP, false));

	/* mov ax, [bp], bp = 0xffff */
	WORLD(&w, EMUL_REAL, 0x8b, 0x46, 0x00);
	w.ctx.gpr[EMUL_RBP] = 0xffff;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_SS, false));

	/* The same in virtual-8086 mode pushes an error code. */
	WORLD(&w, EMUL_VM86, 0x8b, 0x46, 0x00);
	w.ctx.gpr[EMUL_RBP] = 0xffff;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_SS, true));

	/* An operation's fault pushes none in real mode either. */
	WORLD(&w, EMUL_REAL, 0x90);
	EXPECT(emul_fault(&w.ctx, X86_TRAP_GP, 8) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_GP, false));

	/* a32 mov al, [ebx] beyond 64 KiB: a fault, but not in unreal mode */
	WORLD(&w, EMUL_REAL, 0x67, 0x8a, 0x03);
	w.ctx.gpr[EMUL_RBX] = 0x12345;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_GP, false));
	w.ctx.seg[EMUL_DS].limit = 0xffffffff;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.linear == 0x12345);

	/* movsb in a 16-bit string wraps SI at 64 KiB */
	WORLD(&w, EMUL_REAL, 0xa4);
	w.ctx.gpr[EMUL_RSI] = 0x7777ffff;
	w.ctx.gpr[EMUL_RDI] = 0x0010;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.gpr[EMUL_RSI] == 0x77770000);
	EXPECT(w.ctx.gpr[EMUL_RDI] == 0x0011);
}

static void segment_types(void)
{
	/* mov [ebx], eax through a read-only, a code, and an unusable segment */
	WORLD(&w, EMUL_PROT32, 0x89, 0x03);
	w.ctx.seg[EMUL_DS].type = 1;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_GP, true));
	w.ctx.seg[EMUL_DS].type = 0xb;
	EXPECT(world_step(&w) == EMUL_FAULT);
	w.ctx.seg[EMUL_DS].type = 3;
	EXPECT(world_step(&w) == EMUL_DONE);
	w.ctx.rip = 0x1000;
	w.ctx.seg[EMUL_DS].unusable = true;
	EXPECT(world_step(&w) == EMUL_FAULT);

	/* cs mov eax, [ebx]: readable code, then execute-only code */
	WORLD(&w, EMUL_PROT32, 0x2e, 0x8b, 0x03);
	EXPECT(world_step(&w) == EMUL_DONE);
	w.ctx.rip = 0x1000;
	w.ctx.seg[EMUL_CS].type = 9;
	EXPECT(world_step(&w) == EMUL_FAULT);

	/* 64-bit mode looks at none of this. */
	WORLD(&w, EMUL_LONG64, 0x89, 0x03);
	w.ctx.seg[EMUL_DS].type = 1;
	w.ctx.seg[EMUL_DS].limit = 0;
	w.ctx.seg[EMUL_DS].base = 0x100;
	w.ctx.seg[EMUL_DS].unusable = true;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.linear == 0);
}

static void wrapping(void)
{
	/* mov eax, [ebx]: base + offset wraps at 4 GiB, and an operand may lie across */
	WORLD(&w, EMUL_PROT32, 0x8b, 0x03);
	w.ctx.seg[EMUL_DS].base = 0xfffffff0;
	w.ctx.gpr[EMUL_RBX] = 0x20;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.linear == 0x10);
	w.ctx.rip = 0x1000;
	w.ctx.gpr[EMUL_RBX] = 0x0e;
	load32(0, 0x44332211);
	w.mem[WORLD_MEMORY - 2] = 0xaa;
	w.mem[WORLD_MEMORY - 1] = 0xbb;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.linear == 0xfffffffe && w.ctx.gpr[EMUL_RAX] == 0x2211bbaa);

	/* In 64-bit mode a 32-bit address is cut before the FS base is added. */
	WORLD(&w, EMUL_LONG64, 0x67, 0x64, 0x8b, 0x43, 0x10);
	w.ctx.seg[EMUL_FS].base = 0x100000000;
	w.ctx.gpr[EMUL_RBX] = 0x1fffffff8;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.linear == 0x100000008);
}

static void canonical(void)
{
	/* mov al, [rbx] */
	WORLD(&w, EMUL_LONG64, 0x8a, 0x03);
	w.ctx.gpr[EMUL_RBX] = 0x0000800000000000;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_GP, true));
	w.ctx.cr4 |= X86_CR4_LA57;
	EXPECT(world_step(&w) == EMUL_DONE);
	w.ctx.rip = 0x1000;
	w.ctx.gpr[EMUL_RBX] = 0x0100000000000000;
	EXPECT(world_step(&w) == EMUL_FAULT);

	/* mov rax, [rbx], the last bytes of the lower half */
	WORLD(&w, EMUL_LONG64, 0x48, 0x8b, 0x03);
	w.ctx.gpr[EMUL_RBX] = 0x00007ffffffffff8;
	EXPECT(world_step(&w) == EMUL_DONE);
	w.ctx.rip = 0x1000;
	w.ctx.gpr[EMUL_RBX]++;
	EXPECT(world_step(&w) == EMUL_FAULT);
}

static void code_fetch(void)
{
	static const u8 code[] = { 0x8b, 0x83, 0x00, 0x00, 0x00, 0x00 };

	/* A six-byte instruction that ends with the page needs no byte of the next one. */
	world_init(&w, EMUL_LONG64, code, 0);
	memcpy(w.mem + 0x1ffa, code, sizeof(code));
	w.ctx.rip = 0x1ffa;
	w.fault_page = 2;
	EXPECT(world_step(&w) == EMUL_DONE);
	EXPECT(w.ctx.rip == 0x2000);

	/* One byte later it does. */
	world_init(&w, EMUL_LONG64, code, 0);
	memcpy(w.mem + 0x1ffb, code, sizeof(code));
	w.ctx.rip = 0x1ffb;
	w.fault_page = 2;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(w.ctx.fault.vector == X86_TRAP_PF && w.ctx.fault.cr2 == 0x2000);
	EXPECT(w.ctx.fault.error_code == 0x10 && w.ctx.rip == 0x1ffb);

	/* Or the code segment ends before the instruction does. */
	world_init(&w, EMUL_PROT32, code, sizeof(code));
	w.ctx.seg[EMUL_CS].limit = 0x1004;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_GP, true));
	w.ctx.seg[EMUL_CS].limit = 0x1005;
	EXPECT(world_step(&w) == EMUL_DONE);
}

static void wide_accesses(void)
{
	/* movaps xmm0, [rbx]; vmovaps ymm0, [rbx]: what must be enabled */
	WORLD(&w, EMUL_LONG64, 0x0f, 0x28, 0x03);
	EXPECT(world_step(&w) == EMUL_DONE);
	w.ctx.rip = 0x1000;
	w.ctx.cr0 |= X86_CR0_TS;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_NM, false));
	w.ctx.cr4 = 0;
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_UD, false));

	WORLD(&w, EMUL_LONG64, 0xc5, 0xfc, 0x28, 0x03);
	EXPECT(world_step(&w) == EMUL_FAULT);
	EXPECT(raised(X86_TRAP_UD, false));
	w.ctx.cr4 |= X86_CR4_OSXSAVE;
	w.ctx.xcr0 = 7;
	EXPECT(world_step(&w) == EMUL_DONE);
}

void unit_addressing(void)
{
	world_case("real-mode addresses", real_mode);
	world_case("real-mode limits", real_mode_limit);
	world_case("segment types", segment_types);
	world_case("wrap-around", wrapping);
	world_case("canonical addresses", canonical);
	world_case("instruction fetch at page and segment ends", code_fetch);
	world_case("vector state that is not enabled", wide_accesses);
}
