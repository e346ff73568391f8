/* SPDX-License-Identifier: GPL-2.0-only */
/* The user's terminal: raw while the guest has it, restored however we end. */
#ifndef VITRO_TERMINAL_H
#define VITRO_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * terminal_raw() - hand the terminal on standard input to the guest
 *
 * Does nothing if standard input is no terminal. The terminal is restored by
 * terminal_restore(), at exit(), and by a signal which kills the program.
 */
void terminal_raw(void);

/**
 * terminal_restore() - undo terminal_raw()
 *
 * May be called at any time, from a signal handler as well.
 */
void terminal_restore(void);

/* What a key sequence asks for. */
enum escape_action {
	ESCAPE_NONE,
	ESCAPE_QUIT,
	ESCAPE_HELP,
};

/* The state between two keys. */
struct escape {
	bool seen_prefix;		/* Ctrl-A was the last key */
};

/**
 * escape_filter() - take Ctrl-A sequences out of the input
 * @e: state, zeroed at first
 * @buf: what was typed; replaced by what the guest is to get
 * @len: bytes in @buf; set to what is left
 *
 * Return: what the user asked for. Input after a quit is dropped.
 */
enum escape_action escape_filter(struct escape *e, uint8_t *buf, size_t *len);

#endif
