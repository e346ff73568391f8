/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VITRO_RUN_LOOP_H
#define VITRO_RUN_LOOP_H

#include "devices/board.h"

/**
 * run_loop_block_signals() - keep the signals that end a run for run_loop()
 *
 * To be called before any thread is started, so that all inherit it.
 */
void run_loop_block_signals(void);

/**
 * run_loop_unblock_signals() - undo run_loop_block_signals()
 */
void run_loop_unblock_signals(void);

/**
 * run_loop() - serve terminal, signals and time limit until the run ends
 * @board: the running VM's devices
 * @timeout: seconds, 0 for no limit
 *
 * Return: 0 or a negative errno, which has been reported. In either case
 * vm_stop() has been called.
 */
int run_loop(struct board *board, unsigned int timeout);

#endif
