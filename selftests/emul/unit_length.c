// SPDX-License-Identifier: GPL-2.0-only
#include "ktap.h"
#include "unit.h"
#include "world.h"

/* Instructions that a hypervisor skips, and traps for a decoder. Followed by zeros. */
static const struct {
	const char *name;
	enum emul_mode mode;
	u8 bytes[EMUL_MAX_INSN];
	int length;
	u16 id;
} cases[] = {
	{ "cpuid", EMUL_LONG64, { 0x0f, 0xa2 }, 2, 0x0fa2 },
	{ "cpuid with prefixes", EMUL_LONG64, { 0x66, 0xf3, 0x48, 0x0f, 0xa2 }, 5, 0x0fa2 },
	{ "rdmsr", EMUL_PROT32, { 0x0f, 0x32 }, 2, 0x0f32 },
	{ "wrmsr", EMUL_REAL, { 0x0f, 0x30 }, 2, 0x0f30 },
	{ "rdtsc", EMUL_LONG64, { 0x0f, 0x31 }, 2, 0x0f31 },
	{ "rdpmc", EMUL_LONG64, { 0x0f, 0x33 }, 2, 0x0f33 },
	{ "vmmcall", EMUL_LONG64, { 0x0f, 0x01, 0xd9 }, 3, 0x0f01 },
	{ "vmcall", EMUL_PROT16, { 0x0f, 0x01, 0xc1 }, 3, 0x0f01 },
	{ "xsetbv", EMUL_LONG64, { 0x0f, 0x01, 0xd1 }, 3, 0x0f01 },
	{ "rdtscp", EMUL_LONG64, { 0x0f, 0x01, 0xf9 }, 3, 0x0f01 },
	{ "invlpg [rax+rcx*4+8]", EMUL_LONG64, { 0x0f, 0x01, 0x7c, 0x88, 0x08 }, 5, 0x0f01 },
	{ "lgdt [rip+x]", EMUL_LONG64, { 0x0f, 0x01, 0x15 }, 7, 0x0f01 },
	{ "lidt [0x1234]", EMUL_REAL, { 0x0f, 0x01, 0x1e, 0x34, 0x12 }, 5, 0x0f01 },
	{ "lmsw ax", EMUL_REAL, { 0x0f, 0x01, 0xf0 }, 3, 0x0f01 },
	{ "hlt", EMUL_LONG64, { 0xf4 }, 1, 0x00f4 },
	{ "invd", EMUL_LONG64, { 0x0f, 0x08 }, 2, 0x0f08 },
	{ "wbinvd", EMUL_LONG64, { 0x0f, 0x09 }, 2, 0x0f09 },
	{ "clts", EMUL_PROT32, { 0x0f, 0x06 }, 2, 0x0f06 },
	{ "mov rax, cr0", EMUL_LONG64, { 0x0f, 0x20, 0xc0 }, 3, 0x0f20 },
	{ "mov cr8, r15", EMUL_LONG64, { 0x45, 0x0f, 0x22, 0xc7 }, 4, 0x0f22 },
	{ "mov cr3, eax, mod ignored", EMUL_PROT32, { 0x0f, 0x22, 0x1c }, 3, 0x0f22 },
	{ "mov dr7, rdx", EMUL_LONG64, { 0x0f, 0x23, 0xfa }, 3, 0x0f23 },
	{ "pause", EMUL_LONG64, { 0xf3, 0x90 }, 2, 0x0090 },
	{ "monitor", EMUL_LONG64, { 0x0f, 0x01, 0xc8 }, 3, 0x0f01 },
	{ "rsm", EMUL_PROT32, { 0x0f, 0xaa }, 2, 0x0faa },
	{ "int 0x80", EMUL_PROT32, { 0xcd, 0x80 }, 2, 0x00cd },
	{ "int3", EMUL_PROT32, { 0xcc }, 1, 0x00cc },
	{ "iret", EMUL_LONG64, { 0x48, 0xcf }, 2, 0x00cf },
	{ "pushf", EMUL_LONG64, { 0x9c }, 1, 0x009c },
	{ "lldt ax", EMUL_PROT32, { 0x0f, 0x00, 0xd0 }, 3, 0x0f00 },
	{ "invpcid", EMUL_LONG64, { 0x66, 0x0f, 0x38, 0x82, 0x00 }, 5, 0x3882 },
	{ "rdrand eax", EMUL_LONG64, { 0x0f, 0xc7, 0xf0 }, 3, 0x0fc7 },
	{ "xsaves [rax]", EMUL_LONG64, { 0x0f, 0xc7, 0x28 }, 3, 0x0fc7 },
	{ "vmread", EMUL_LONG64, { 0x0f, 0x78, 0xc1 }, 3, 0x0f78 },
	{ "extrq, two immediates", EMUL_LONG64, { 0x66, 0x0f, 0x78, 0xc1 }, 6, 0x0f78 },
	{ "in al, dx", EMUL_REAL, { 0xec }, 1, 0x00ec },
	{ "movabs rax, imm64", EMUL_LONG64, { 0x48, 0xb8 }, 10, 0x00b8 },
	{ "movabs al, [moffs64]", EMUL_LONG64, { 0xa0 }, 9, 0x00a0 },
	{ "mov al, [moffs32]", EMUL_LONG64, { 0x67, 0xa0 }, 6, 0x00a0 },
	{ "test byte, imm8", EMUL_LONG64, { 0xf6, 0x00 }, 3, 0x00f6 },
	{ "not byte", EMUL_LONG64, { 0xf6, 0x10 }, 2, 0x00f6 },
	{ "test word, imm16", EMUL_LONG64, { 0x66, 0xf7, 0x00 }, 5, 0x00f7 },
	{ "enter", EMUL_LONG64, { 0xc8 }, 4, 0x00c8 },
	{ "jmp far", EMUL_PROT16, { 0xea }, 5, 0x00ea },
	{ "jmp far 32", EMUL_PROT32, { 0xea }, 7, 0x00ea },
	{ "jmp far in 64-bit mode", EMUL_LONG64, { 0xea }, -EINVAL, 0 },
	{ "les in 32-bit mode", EMUL_PROT32, { 0xc4, 0x00 }, 2, 0x00c4 },
	{ "vex in 32-bit mode", EMUL_PROT32, { 0xc5, 0xfc, 0x10, 0x00 }, 4, 0x0f10 },
	{ "vzeroupper", EMUL_LONG64, { 0xc5, 0xf8, 0x77 }, 3, 0x0f77 },
	{ "evex", EMUL_LONG64, { 0x62, 0xf1, 0x7c, 0x48, 0x28, 0x03 }, -EINVAL, 0 },
	{ "inc eax in 32-bit mode", EMUL_PROT32, { 0x40 }, 1, 0x0040 },
	{ "too many prefixes", EMUL_LONG64,
	  { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	    0x66 }, -E2BIG, 0 },
};

void unit_length(void)
{
	struct emul_insn insn;
	unsigned int i;
	bool ok = true;
	int r;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		r = emul_insn_length(&insn, cases[i].mode, cases[i].bytes, EMUL_MAX_INSN);
		if (r == cases[i].length && (r < 0 || emul_insn_id(&insn) == cases[i].id))
			continue;
		ok = false;
		ktap_note("%s: %d, not %d", cases[i].name, r, cases[i].length);
	}
	ktap_result(ok, "lengths of %zu instructions", ARRAY_SIZE(cases));

	/* With fewer bytes than the instruction has, each says that bytes are missing. */
	for (ok = true, i = 0; i < ARRAY_SIZE(cases); i++) {
		for (r = 1; r < cases[i].length; r++)
			ok &= emul_insn_length(&insn, cases[i].mode, cases[i].bytes, r) == -ENODATA;
	}
	ktap_result(ok, "lengths of incomplete instructions");
}
