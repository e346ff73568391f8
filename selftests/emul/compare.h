/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VITRO_SELFTEST_EMUL_COMPARE_H
#define VITRO_SELFTEST_EMUL_COMPARE_H

#include "emul.h"

/**
 * compare_mode() - compare emulator and processor for all opcodes, one result per operation
 * @mode: EMUL_LONG64, EMUL_PROT32 or EMUL_PROT16.
 * @seed: Of the random numbers; the same seed repeats the same tests.
 */
void compare_mode(enum emul_mode mode, u64 seed);

/**
 * compare_lengths() - compare decoder and processor on instructions that are not emulated
 * @mode: As in compare_mode().
 * @seed: As in compare_mode().
 */
void compare_lengths(enum emul_mode mode, u64 seed);

#endif
