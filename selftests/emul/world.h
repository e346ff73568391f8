/* SPDX-License-Identifier: GPL-2.0-only */
/* A small machine for cases that are written by hand. */
#ifndef VITRO_SELFTEST_EMUL_WORLD_H
#define VITRO_SELFTEST_EMUL_WORLD_H

#include "emul.h"

#define WORLD_MEMORY 0x20000U
#define NO_PAGE (~0ULL)

/**
 * struct world - memory, a device, ports, and what was asked of them
 * @mem: Memory. A linear address means the byte at its remainder.
 * @fault_page: Page number whose accesses fault, or %NO_PAGE.
 * @device_page: Page number that is a device, or %NO_PAGE.
 * @pending: User space has to be asked for reads of the device and for port input.
 * @answered: Answers that user space has given so far for this iteration.
 * @asked: Answers asked for in this attempt.
 * @race: compare_exchange finds that memory has changed.
 * @deny_ports: The I/O bitmap forbids everything.
 * @port_value: First value that a port delivers; each item is one more.
 * @fetches: Calls of fetch.
 * @reads: Calls of read.
 * @writes: Calls of write.
 * @exchanges: Calls of compare_exchange.
 * @permission_checks: Calls of io_permitted.
 * @ins: Calls of io_in that delivered.
 * @outs: Calls of io_out.
 * @linear: Address of the last read or write.
 * @access: Access of the last read.
 * @port: Of the last port access.
 * @size: Of its items.
 * @count: Of them.
 * @out: First bytes of the last output.
 */
struct world {
	struct emul_ctx ctx;
	u8 mem[WORLD_MEMORY];
	u64 fault_page;
	u64 device_page;
	bool pending;
	unsigned int answered;
	unsigned int asked;
	bool race;
	bool deny_ports;
	u32 port_value;
	unsigned int fetches;
	unsigned int reads;
	unsigned int writes;
	unsigned int exchanges;
	unsigned int permission_checks;
	unsigned int ins;
	unsigned int outs;
	u64 linear;
	unsigned int access;
	u16 port;
	unsigned int size;
	unsigned int count;
	u8 out[16];
};

/**
 * world_init() - a fresh machine with flat segments and zeroed registers
 * @w: Machine.
 * @mode: Its mode; real and virtual-8086 segments have limit 0xffff.
 * @code: Instruction, put at linear address and RIP 0x1000.
 * @len: Its length.
 */
void world_init(struct world *w, enum emul_mode mode, const void *code, unsigned int len);

/** world_step() - emul_step(), with the bytes fetched anew */
int world_step(struct world *w);

/** world_fail() - a check of the present case does not hold */
void world_fail(const char *file, int line, const char *what);

/** world_case() - run @test and report under @name whether all of its checks held */
void world_case(const char *name, void (*test)(void));

#define EXPECT(condition)						\
	do {								\
		if (!(condition))					\
			world_fail(__FILE__, __LINE__, #condition);	\
	} while (0)

#define WORLD(w, mode, ...)						\
	do {								\
		static const u8 code_[] = { __VA_ARGS__ };		\
									\
		world_init(w, mode, code_, sizeof(code_));		\
	} while (0)

#endif
