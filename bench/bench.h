/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs here share. VMs, vCPUs and guest code come from the
 * selftests' library: its guests run in 64-bit mode with paging, as a real
 * guest does, and can be written in C.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "vm.h"

/*
 * A row's cost is the median of so many batches of so many rounds: batches
 * that a timer tick of the host falls into are outliers, as is the first.
 */
#define BATCHES	41
#define ROUNDS	16

/*
 * For bench/where: machines/run --trace writes down what is executed between two of the
 * former, which each row has around its last batch, when all is warm. The latter shows
 * there where a round begins; a row without rounds is left out. Neither does anything, and
 * no compiler emits them.
 */
#define TRACE_MARK()	asm volatile("xchg %%bx, %%bx" : : : "memory")
#define ROUND_MARK	"xchg %%cx, %%cx"
#define MARK_ROUND()	asm volatile(ROUND_MARK : : : "memory")

/**
 * bench_row() - measure a row, if it was asked for
 * @name:    the row
 * @measure: gets @name and @arg, and calls bench_print(); a process of its own, so
 *	     that rows neither find what others have left nor have to clean up
 * @arg:     for @measure
 *
 * Ends the program when a row fails.
 */
void bench_row(const char *name, void (*measure)(const char *name, const void *arg),
	       const void *arg);

/**
 * bench_print() - print a row
 * @unit: what is counted: "ticks", "KiB", "bytes"
 * @name: the row
 * @value: how many
 */
void bench_print(const char *unit, const char *name, uint64_t value);

/**
 * bench_median() - median of batches, per round
 * @ticks:  what each took, sorted afterwards
 * @nr:     number of batches
 * @rounds: in each
 */
uint64_t bench_median(uint64_t *ticks, unsigned int nr, unsigned int rounds);

#define LARGE_PAGE	(2ULL << 20)

/**
 * bench_map() - private memory, for a slot
 * @size:   bytes, a multiple of a page
 * @advice: MADV_HUGEPAGE or MADV_NOHUGEPAGE
 *
 * Return: the memory, in which no page is present yet
 */
void *bench_map(uint64_t size, int advice);

/**
 * bench_map_large() - the same in large pages, aligned to one
 * @size: bytes, a multiple of a page
 */
void *bench_map_large(uint64_t size);

/* Rows measured inside a guest, by the guest's time-stamp counter. */
void guest_rows(void);

/* Rows of vCPUs that sleep: two threads take turns. */
void wake_rows(void);

/* Rows measured by the program: system calls, VMs' lives, kernel memory. */
void host_rows(void);

#endif
