/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulator is built twice: into the module, and into a host program that compares it with the
 * processor. Everything that differs between the two is here.
 */
#ifndef VITRO_EMUL_PLATFORM_H
#define VITRO_EMUL_PLATFORM_H

#ifdef __KERNEL__

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#else

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <asm/processor-flags.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define X86_TRAP_DE 0
#define X86_TRAP_UD 6
#define X86_TRAP_NM 7
#define X86_TRAP_SS 12
#define X86_TRAP_GP 13
#define X86_TRAP_PF 14

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
/* A process under test has nothing to hide from itself. */
#define array_index_nospec(index, size) (index)
#define noinline __attribute__((noinline))

#endif

#endif
