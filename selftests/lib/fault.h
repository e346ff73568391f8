/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Failures of the kernel's allocations and user copies, one by one: the lab
 * kernel's fault injection, Documentation/fault-injection.
 */
#ifndef SELFTESTS_FAULT_H
#define SELFTESTS_FAULT_H

#include <stdbool.h>

/**
 * fault_setup() - prepare for injections into calls of this thread
 *
 * Leaves the test case as skipped if the kernel cannot do it, or if FAILNTH is
 * not set in the environment: machines/faults does so.
 */
void fault_setup(void);

/**
 * fault_arm() - let one of this thread's next allocations or user copies fail
 * @n: which, counted from 1
 */
void fault_arm(unsigned int n);

/**
 * fault_disarm() - end what fault_arm() began
 *
 * Return: whether it has failed; if not, fewer than n came.
 */
bool fault_disarm(void);

/**
 * fault_left() - how many points are still to come until the one that fails
 *
 * The question itself counts as one user copy, or two.
 *
 * Return: 0 if it has failed.
 */
unsigned int fault_left(void);

/**
 * fault_leak_scan() - look for objects of the module's that nobody points to any more
 *
 * Each one fails the test case. Takes long. Leaves it as skipped without kmemleak.
 */
void fault_leak_scan(void);

/**
 * fault_pages_lost() - whether calls lose pages that no leak checker knows
 * @calls: makes a number of calls
 * @arg: passed to @calls
 * @least: fewer pages that they lose are not taken for a leak
 *
 * Has the calls made again as long as it looks like a leak, up to ten times.
 */
bool fault_pages_lost(void (*calls)(void *arg), void *arg, long least);

#endif
