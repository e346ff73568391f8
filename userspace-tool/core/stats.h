/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Binary statistics (KVM_GET_STATS_FD): self-describing counters behind a file
 * descriptor. vitro's vCPUs count exits in exits_<reason> and, when timing is
 * on, the nanoseconds they took in time_<reason>. Another hypervisor's
 * counters are shown under the names it gives them.
 */
#ifndef VITRO_STATS_H
#define VITRO_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define STATS_NAME_MAX	48
#define STATS_ROWS_MAX	256

struct stats_row {
	char name[STATS_NAME_MAX];
	bool is_exit;			/* one of vitro's exits_*, and counts for the total */
	bool has_time;
	uint64_t count;
	uint64_t time_ns;
};

/* Sums over vCPUs. */
struct stats_table {
	unsigned int nr;
	struct stats_row row[STATS_ROWS_MAX];
};

/**
 * stats_add() - add one vCPU's counters to a table
 * @table: the table, zeroed at first
 * @fd: statistics file descriptor; its position is left alone
 *
 * Return: 0 or a negative errno; -EPROTO if the data makes no sense.
 */
int stats_add(struct stats_table *table, int fd);

/**
 * stats_sort() - put what counts most first
 * @table: the table
 *
 * Exits by reason come before other counters.
 */
void stats_sort(struct stats_table *table);

/**
 * stats_print() - print a table
 * @out: where to
 * @table: sorted table; rows that are zero are left out
 * @before: an earlier reading in any order, or NULL
 * @interval_ns: time since @before, for rates
 */
void stats_print(FILE *out, const struct stats_table *table,
		 const struct stats_table *before, uint64_t interval_ns);

/**
 * stats_print_json() - print a table as the members of a JSON object
 * @out: where to
 * @table: sorted table
 */
void stats_print_json(FILE *out, const struct stats_table *table);

#endif
