/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the executor and its actions. */
#ifndef FUZZ_EXECUTE_H
#define FUZZ_EXECUTE_H

#include "ioctl.h"

/* Give a new descriptor, if it is one, the number @to. Returns that, or a negative value. */
int take_fd(int fd, int to);

/* Prepare the calling thread: coverage, and a timer that gets it out of KVM_RUN. */
void thread_begin(struct thread *thread);

/* Do the thread's part of the program, or in a forked process all of it. */
void thread_ops(struct thread *thread, bool all);

/* Send a thread of the program a signal. */
int interrupt_thread(unsigned int number);

#endif
