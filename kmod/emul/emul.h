/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A decoder and emulator of the x86 instructions that reach a hypervisor as MMIO or as string I/O,
 * and a length decoder for the instructions that a hypervisor skips.
 *
 * It knows no vCPU. The caller fills a struct emul_ctx, the emulator asks for bytes, memory, ports
 * and vector registers through struct emul_ops, and the caller takes the new state back.
 *
 * Not modelled: alignment checks (#AC), linear address masking, shadow stacks, AMD's EFER.LMSLE and
 * MXCSR.MM. Not supported: EVEX, XOP, x87, MMX, far branches, anything else that OP(NONE, ...) in
 * table.c names.
 */
#ifndef VITRO_EMUL_H
#define VITRO_EMUL_H

#include "platform.h"

/** The longest instruction, in bytes; a longer one raises #GP(0). */
#define EMUL_MAX_INSN 15
/** The most bytes that one io_in or io_out moves. */
#define EMUL_IO_BATCH 1024
/** The most iterations of a repeated string instruction that one emul_step() performs. */
#define EMUL_MAX_REP 1024

/**
 * enum emul_result - what emul_step() and the operations answer
 * @EMUL_DONE: Finished. From emul_step() with RIP unchanged: run the guest or call again; a string
 *	instruction has iterations left, or a locked access lost a race.
 * @EMUL_STOP: From operations only. Succeeded as with @EMUL_DONE, but a repeated instruction stops
 *	after the present iteration. emul_step() then returns @EMUL_DONE.
 * @EMUL_FAULT: The instruction raises the exception in &emul_ctx.fault.
 * @EMUL_PENDING: An operation needs user space first. Nothing but already completed iterations has
 *	changed. Once user space has answered, the same instruction is executed again, and the
 *	operation finds the answer where it kept it.
 * @EMUL_UNHANDLEABLE: The instruction, or an access that it makes, is not supported.
 * @EMUL_MISMATCH: From emul_ops.compare_exchange only: memory did not hold the old value.
 */
enum emul_result {
	EMUL_DONE,
	EMUL_STOP,
	EMUL_FAULT,
	EMUL_PENDING,
	EMUL_UNHANDLEABLE,
	EMUL_MISMATCH,
};

/**
 * enum emul_mode - how the processor decodes and addresses
 * @EMUL_REAL: CR0.PE is clear.
 * @EMUL_VM86: RFLAGS.VM is set (and CR0.PE).
 * @EMUL_PROT16: Protected or compatibility mode, CS.D clear.
 * @EMUL_PROT32: Protected or compatibility mode, CS.D set.
 * @EMUL_LONG64: EFER.LMA and CS.L set.
 */
enum emul_mode {
	EMUL_REAL,
	EMUL_VM86,
	EMUL_PROT16,
	EMUL_PROT32,
	EMUL_LONG64,
};

/** General registers by their number in an instruction. */
enum emul_gpr {
	EMUL_RAX, EMUL_RCX, EMUL_RDX, EMUL_RBX, EMUL_RSP, EMUL_RBP, EMUL_RSI, EMUL_RDI,
	EMUL_R8, EMUL_R9, EMUL_R10, EMUL_R11, EMUL_R12, EMUL_R13, EMUL_R14, EMUL_R15,
	EMUL_NR_GPR,
};

/** Segment registers by their number in an instruction. */
enum emul_seg_reg {
	EMUL_ES, EMUL_CS, EMUL_SS, EMUL_DS, EMUL_FS, EMUL_GS,
	EMUL_NR_SEG,
};

/**
 * struct emul_seg - a segment register with its hidden part
 * @base: Linear base address.
 * @limit: Limit in bytes, already scaled by the granularity.
 * @selector: The visible part.
 * @type: Descriptor type, bits 3:0 of the access byte.
 * @s: Code or data segment, not a system one.
 * @dpl: Descriptor privilege level.
 * @present: Descriptor's P bit.
 * @db: Descriptor's D/B bit.
 * @l: Descriptor's L bit.
 * @g: Descriptor's G bit.
 * @unusable: Loaded with a null selector; any access faults outside 64-bit mode.
 */
struct emul_seg {
	u64 base;
	u32 limit;
	u16 selector;
	u8 type;
	u8 dpl;
	bool s;
	bool present;
	bool db;
	bool l;
	bool g;
	bool unusable;
};

/**
 * struct emul_exception - an exception to inject
 * @vector: 0 to 31.
 * @has_error: The exception pushes @error_code. Clear in real mode for every vector.
 * @error_code: As pushed.
 * @cr2: Linear address; for #PF only.
 */
struct emul_exception {
	u8 vector;
	bool has_error;
	u32 error_code;
	u64 cr2;
};

/**
 * struct emul_system - system registers that an instruction stores
 * @gdt_base: GDTR's base, linear.
 * @idt_base: IDTR's.
 * @gdt_limit: GDTR's limit in bytes, less one.
 * @idt_limit: IDTR's.
 * @ldtr: Selector of LDTR.
 * @tr: Selector of TR.
 */
struct emul_system {
	u64 gdt_base;
	u64 idt_base;
	u16 gdt_limit;
	u16 idt_limit;
	u16 ldtr;
	u16 tr;
};

/** What an access does; a read-modify-write access is both. */
#define EMUL_READ 1
#define EMUL_WRITE 2

struct emul_ctx;
struct emul_opcode;

/**
 * struct emul_ops - what the emulator needs from its caller
 *
 * Operations return &enum emul_result: EMUL_DONE, EMUL_STOP, EMUL_FAULT after emul_fault() or
 * emul_page_fault(), EMUL_PENDING, EMUL_UNHANDLEABLE. Linear addresses are already checked against
 * segments and canonical form; paging is the operation's to check, with the privilege
 * &emul_ctx.cpl. An operand can cross a page: use emul_linear_add() to find the rest. All reads of
 * an instruction (of an iteration of a repeated one) come before its first write. At most two
 * writes are made per iteration.
 */
struct emul_ops {
	/**
	 * @segment: Fill in &emul_ctx.seg of @seg, one of &emul_ctx.seg_absent.
	 */
	void (*segment)(struct emul_ctx *ctx, unsigned int seg);
	/** @system: Fill in @out. NULL: instructions that need it are not supported. */
	void (*system)(struct emul_ctx *ctx, struct emul_system *out);
	/**
	 * @fetch: Read @len instruction bytes (1 to 15, within a page) with execute rights. Not
	 * needed when &emul_insn.fetched bytes given by the caller suffice.
	 */
	int (*fetch)(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len);
	/**
	 * @read: Read an operand: 1, 2, 4, 8, 16 or 32 bytes, or up to %EMUL_IO_BATCH within a page
	 * for OUTS. @access is %EMUL_READ, or %EMUL_READ|%EMUL_WRITE if the instruction is going to
	 * write there too, so that a page fault says so. A read that is answered with data kept
	 * from an earlier EMUL_PENDING must return EMUL_STOP: that data belongs to this iteration
	 * only.
	 */
	int (*read)(struct emul_ctx *ctx, u64 linear, void *buf, unsigned int len,
		    unsigned int access);
	/**
	 * @write: Write an operand: 1, 2, 4, 6, 8, 10, 16 or 32 bytes, or up to %EMUL_IO_BATCH within a
	 * page for INS where @probe said EMUL_DONE. Must check all pages before it changes one.
	 * Device writes are queued and EMUL_STOP returned; EMUL_PENDING is not allowed.
	 */
	int (*write)(struct emul_ctx *ctx, u64 linear, const void *buf, unsigned int len);
	/**
	 * @compare_exchange: Atomically replace @old by @new, 1, 2, 4, 8 or 16 bytes, for locked
	 * instructions and XCHG. EMUL_MISMATCH if memory does not hold @old. For device memory:
	 * as @write of @new.
	 */
	int (*compare_exchange)(struct emul_ctx *ctx, u64 linear, const void *old, const void *new,
				unsigned int len);
	/**
	 * @probe: Would the access (%EMUL_READ or %EMUL_WRITE) fault? EMUL_DONE: no, it is plain
	 * memory. EMUL_STOP: no, but it is a device. Reads nothing, changes nothing.
	 */
	int (*probe)(struct emul_ctx *ctx, u64 linear, unsigned int len, unsigned int access);
	/** @io_in: Read @count items of @size bytes (1, 2, 4) from @port. */
	int (*io_in)(struct emul_ctx *ctx, u16 port, unsigned int size, void *buf,
		     unsigned int count);
	/** @io_out: Write @count items of @size bytes (1, 2, 4) to @port. May return EMUL_PENDING. */
	int (*io_out)(struct emul_ctx *ctx, u16 port, unsigned int size, const void *buf,
		      unsigned int count);
	/**
	 * @io_permitted: Does the TSS's I/O permission bitmap allow @port..@port+@size-1? Asked
	 * only when CPL and IOPL leave it to the bitmap. EMUL_FAULT with #GP(0) if not. NULL:
	 * never allowed.
	 */
	int (*io_permitted)(struct emul_ctx *ctx, u16 port, unsigned int size);
	/** @get_vec: Read the low @len (16 or 32) bytes of vector register @reg. */
	int (*get_vec)(struct emul_ctx *ctx, unsigned int reg, void *buf, unsigned int len);
	/** @set_vec: Write the low @len bytes, and clear those above if @zero_upper (VEX). */
	int (*set_vec)(struct emul_ctx *ctx, unsigned int reg, const void *buf, unsigned int len,
		       bool zero_upper);
};

/**
 * struct emul_insn - a decoded instruction
 * @bytes: The instruction's bytes as far as they have been fetched.
 * @fetched: How many bytes are valid. Set to 0, or to the number of bytes that the hardware or the
 *	caller already provided, before emul_step(); valid afterwards for error reports.
 * @len: Length of the instruction in bytes.
 * @map: Opcode map: 0 one-byte, 1 0F, 2 0F38, 3 0F3A.
 * @opcode: Opcode byte within @map.
 * @modrm: ModRM byte, if @has_modrm.
 * @has_modrm: The instruction has a ModRM byte.
 * @lock: LOCK prefix.
 * @rep: 0, 0xf2 or 0xf3: the repeat or mandatory prefix that counts.
 * @opsize_prefix: 66 prefix.
 * @addrsize_prefix: 67 prefix.
 * @rex: REX prefix, or the same bits from a VEX prefix.
 * @vex: Has a VEX prefix.
 * @vex_l: VEX.L, 256-bit.
 * @vex_v: VEX.vvvv, not inverted.
 * @segment: &enum emul_seg_reg of a segment override, or -1.
 * @op_bytes: Operand size.
 * @addr_bytes: Address size.
 * @base: Base register of a memory operand, or -1.
 * @index: Index register, or -1.
 * @scale: Shift of the index, 0 to 3.
 * @rip_relative: Memory operand is relative to the next instruction.
 * @disp: Displacement, sign-extended, or the absolute offset of A0..A3.
 * @imm: Immediate, sign-extended.
 * @imm2: Second immediate (ENTER, far pointers).
 * @op: Operation; the emulator's own numbering.
 * @desc: Entry of the opcode table.
 */
struct emul_insn {
	u8 bytes[EMUL_MAX_INSN];
	u8 fetched;
	u8 len;
	u8 map;
	u8 opcode;
	u8 modrm;
	bool has_modrm;
	bool lock;
	u8 rep;
	bool opsize_prefix;
	bool addrsize_prefix;
	u8 rex;
	bool vex;
	bool vex_l;
	u8 vex_v;
	s8 segment;
	u8 op_bytes;
	u8 addr_bytes;
	s8 base;
	s8 index;
	u8 scale;
	bool rip_relative;
	s64 disp;
	u64 imm;
	u16 imm2;
	u8 op;
	const struct emul_opcode *desc;
};

/**
 * struct emul_ctx - one instruction's worth of processor state
 * @gpr: General registers by &enum emul_gpr. In and out.
 * @rip: Instruction pointer, an offset in CS. In and out.
 * @rflags: In and out. RF is cleared by completion; single-step and interrupt shadow are the
 *	caller's.
 * @mode: &enum emul_mode. In.
 * @cpl: Current privilege level. In; 0 in real mode, 3 in virtual-8086 mode.
 * @seg_absent: Bits of segment registers that the caller has left out: in 64-bit mode hardly any
 *	instruction uses one. They are asked for by emul_ops.segment. In.
 * @again: EMUL_DONE, with RIP unchanged, stands for iterations of a string instruction of which
 *	more are to come. Out.
 * @decoded: @insn is what the last emul_step() decoded, in the same mode: execute it again. In.
 * @seg: Segment registers by &enum emul_seg_reg. In.
 * @cr0: In. EM and TS decide over SSE instructions; SMSW stores it.
 * @cr4: In. OSFXSR, OSXSAVE, UMIP and LA57.
 * @xcr0: In. Needed for VEX instructions only; 0 makes them raise #UD.
 * @ops: Operations.
 * @opaque: The caller's.
 * @fault: Out: the exception, when emul_step() returns EMUL_FAULT.
 * @insn: &emul_insn.fetched and &emul_insn.bytes in, everything out.
 * @saved: Scratch: the general registers before the instruction.
 * @io: Scratch for string I/O.
 */
struct emul_ctx {
	u64 gpr[EMUL_NR_GPR];
	u64 rip;
	u64 rflags;
	enum emul_mode mode;
	u8 cpl;
	u8 seg_absent;
	bool decoded;
	bool again;
	struct emul_seg seg[EMUL_NR_SEG];
	u64 cr0;
	u64 cr4;
	u64 xcr0;
	const struct emul_ops *ops;
	void *opaque;
	struct emul_exception fault;
	struct emul_insn insn;
	u64 saved[EMUL_NR_GPR];
	u8 io[EMUL_IO_BATCH];
};

/**
 * emul_step() - execute the instruction at CS:RIP
 * @ctx: Processor state. Whatever the result, gpr, rip and rflags are consistent afterwards and the
 *	caller writes them back: they are as before the instruction, save for completed iterations
 *	of a repeated one.
 *
 * Context: Any that the operations allow; the emulator itself neither sleeps nor locks.
 * Return: EMUL_DONE, EMUL_FAULT, EMUL_PENDING or EMUL_UNHANDLEABLE.
 */
int emul_step(struct emul_ctx *ctx);

/**
 * emul_insn_length() - decode an instruction without executing it
 * @insn: Receives the decoded instruction; must not overlap @bytes.
 * @mode: &enum emul_mode that the instruction executes in.
 * @bytes: The instruction.
 * @len: How many bytes are there, 1 to 15.
 *
 * Return: the length in bytes; -EINVAL if it is no instruction or one of an encoding that the
 * decoder does not know (EVEX, XOP); -ENODATA if @len bytes do not hold all of it; -E2BIG if it is
 * longer than 15 bytes.
 */
int emul_insn_length(struct emul_insn *insn, enum emul_mode mode, const void *bytes,
		     unsigned int len);

/**
 * struct emul_mov - a MOV between memory and a general register, or of an immediate to memory
 * @len: Length of the instruction in bytes; 0: the instruction is something else.
 * @bytes: Of the memory operand: 1, 2, 4 or 8.
 * @store: To memory.
 * @has_imm: Stores @imm.
 * @sign: The register receives the sign-extended value, otherwise the zero-extended one.
 * @reg: Number of the register, 0 to 15.
 * @reg_bytes: How much of the register is read or written.
 * @reg_shift: 8 for AH, CH, DH and BH, else 0.
 * @base: Base register of the address, or -1.
 * @index: Index register, or -1.
 * @scale: Shift of the index, 0 to 3.
 * @rip_relative: The address is relative to the next instruction.
 * @disp: Displacement.
 * @imm: Immediate, to be sign-extended.
 */
struct emul_mov {
	u8 len;
	u8 bytes;
	bool store;
	bool has_imm;
	bool sign;
	u8 reg;
	u8 reg_bytes;
	u8 reg_shift;
	s8 base;
	s8 index;
	u8 scale;
	bool rip_relative;
	s32 disp;
	s32 imm;
};

/**
 * emul_plain_mov() - is a decoded instruction of 64-bit mode a plain MOV to or from memory?
 * @insn: What emul_insn_length() has decoded.
 * @mov: Receives its operands; all zero if it is something else.
 *
 * Plain are MOV, MOVZX, MOVSX and their kind with 64-bit addresses, in no segment but the flat
 * ones, without LOCK or REP: what compilers make of an access to a device.
 *
 * Return: true if it is.
 */
bool emul_plain_mov(const struct emul_insn *insn, struct emul_mov *mov);

/**
 * emul_insn_id() - opcode map and byte as one number
 * @insn: A decoded instruction.
 *
 * Return: 0x0000 to 0x00ff for one-byte opcodes, 0x0f00 to 0x0fff for 0F, 0x3800 and 0x3a00 upwards
 * for 0F38 and 0F3A: CPUID is 0x0fa2, HLT 0xf4.
 */
u16 emul_insn_id(const struct emul_insn *insn);

/**
 * emul_fault() - record an exception with error code
 * @ctx: Context.
 * @vector: Exception vector.
 * @error_code: Error code; not delivered in real mode or by vectors without one.
 *
 * Return: EMUL_FAULT, for operations to return.
 */
int emul_fault(struct emul_ctx *ctx, u8 vector, u32 error_code);

/**
 * emul_page_fault() - record a page fault
 * @ctx: Context.
 * @linear: The address for CR2.
 * @error_code: PFERR bits.
 *
 * Return: EMUL_FAULT, for operations to return.
 */
int emul_page_fault(struct emul_ctx *ctx, u64 linear, u32 error_code);

/**
 * emul_linear_add() - step within an operand
 * @ctx: Context.
 * @linear: Start of the operand.
 * @n: Bytes to advance.
 *
 * Return: the linear address, wrapped at 4 GiB outside 64-bit mode.
 */
static inline u64 emul_linear_add(const struct emul_ctx *ctx, u64 linear, unsigned int n)
{
	return ctx->mode == EMUL_LONG64 ? linear + n : (u32)(linear + n);
}

#endif
