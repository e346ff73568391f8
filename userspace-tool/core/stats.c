// SPDX-License-Identifier: GPL-2.0-only
#include "core/stats.h"
#include "core/util.h"

#include <ctype.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DESCS	4096
#define MAX_NAME	256
#define NS_EXPONENT	(-9)

#define EXITS		"exits_"
#define TIME		"time_"

/* The descriptor and its name, which is as long as the header says. */
struct desc {
	struct kvm_stats_desc d;
	char name[MAX_NAME];
};

static struct stats_row *find_row(struct stats_table *t, const char *name, bool is_exit)
{
	struct stats_row *row;

	for (unsigned int i = 0; i < t->nr; i++) {
		row = &t->row[i];
		if (row->is_exit == is_exit && !strncmp(row->name, name, STATS_NAME_MAX - 1))
			return row;
	}
	if (t->nr == STATS_ROWS_MAX)
		return NULL;
	row = &t->row[t->nr++];
	*row = (struct stats_row){ .is_exit = is_exit };
	snprintf(row->name, sizeof(row->name), "%.*s", STATS_NAME_MAX - 1, name);
	return row;
}

/* Time in units of 10^exponent seconds, as nanoseconds. */
static uint64_t to_ns(uint64_t value, int exponent)
{
	for (; exponent > NS_EXPONENT; exponent--)
		value *= 10;
	return value;
}

static void add_value(struct stats_table *t, const struct desc *desc, uint64_t value)
{
	uint32_t type = desc->d.flags & KVM_STATS_TYPE_MASK;
	bool is_time = (desc->d.flags & KVM_STATS_UNIT_MASK) == KVM_STATS_UNIT_SECONDS;
	bool is_exit = !strncmp(desc->name, EXITS, strlen(EXITS));
	const char *name = desc->name;
	struct stats_row *row;

	if (type != KVM_STATS_TYPE_CUMULATIVE || desc->d.size != 1)
		return;
	if (is_time && !strncmp(name, TIME, strlen(TIME))) {
		is_exit = true;
		name += strlen(TIME);
	} else if (is_exit) {
		name += strlen(EXITS);
	}
	row = find_row(t, name, is_exit);
	if (!row)
		return;
	if (is_time) {
		row->has_time = true;
		row->time_ns += to_ns(value, desc->d.exponent);
	} else {
		row->count += value;
	}
}

static int read_desc(int fd, const struct kvm_stats_header *h, unsigned int i, struct desc *desc)
{
	size_t size = sizeof(desc->d) + h->name_size;
	uint8_t buf[sizeof(desc->d) + MAX_NAME];
	int ret = read_all(fd, buf, size, h->desc_offset + (uint64_t)i * size);

	if (ret)
		return ret;
	memcpy(&desc->d, buf, sizeof(desc->d));
	memcpy(desc->name, buf + sizeof(desc->d), h->name_size);
	desc->name[h->name_size - 1] = '\0';
	/* Names go to a terminal, and the file may come from anywhere. */
	for (char *c = desc->name; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '_')
			*c = '?';
	}
	return 0;
}

int stats_add(struct stats_table *table, int fd)
{
	struct kvm_stats_header h;
	struct desc desc;
	uint64_t value;
	int ret = read_all(fd, &h, sizeof(h), 0);

	if (!ret && (!h.name_size || h.name_size > MAX_NAME || h.num_desc > MAX_DESCS))
		ret = -EPROTO;
	for (unsigned int i = 0; !ret && i < h.num_desc; i++) {
		ret = read_desc(fd, &h, i, &desc);
		if (!ret && desc.d.size)
			ret = read_all(fd, &value, sizeof(value),
				       h.data_offset + (uint64_t)desc.d.offset);
		if (!ret && desc.d.size)
			add_value(table, &desc, value);
	}
	return ret == -ENODATA ? -EPROTO : ret;
}

static int compare(const void *a, const void *b)
{
	const struct stats_row *x = a, *y = b;

	if (x->is_exit != y->is_exit)
		return x->is_exit ? -1 : 1;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? 1 : -1;
	return strcmp(x->name, y->name);
}

void stats_sort(struct stats_table *table)
{
	qsort(table->row, table->nr, sizeof(table->row[0]), compare);
}

/* The row of the same name in an earlier reading, or one of zeroes. */
static struct stats_row earlier(const struct stats_table *before, const struct stats_row *row)
{
	for (unsigned int i = 0; before && i < before->nr; i++) {
		const struct stats_row *b = &before->row[i];

		if (b->is_exit == row->is_exit && !strcmp(b->name, row->name))
			return *b;
	}
	return (struct stats_row){ .count = 0 };
}

struct columns {
	bool time;
	bool rate;
	uint64_t interval_ns;
	uint64_t total;			/* exits, for the share of each */
};

static void print_head(FILE *out, const struct columns *c, const char *title)
{
	fprintf(out, "%-28s %12s %7s", title, "count", c->total ? "share" : "");
	if (c->time)
		fprintf(out, " %12s %9s", "time", "each");
	if (c->rate)
		fprintf(out, " %10s", "per s");
	fputc('\n', out);
}

static void print_row(FILE *out, const struct columns *c, const struct stats_row *row,
		      uint64_t since)
{
	fprintf(out, "%-28s %12" PRIu64, row->name, row->count);
	if (row->is_exit && c->total)
		fprintf(out, " %6.1f%%", 100.0 * row->count / c->total);
	else
		fprintf(out, " %7s", "");
	if (c->time && row->has_time) {
		fprintf(out, " %9.3f ms", row->time_ns / 1e6);
		if (row->count)
			fprintf(out, " %6" PRIu64 " ns", row->time_ns / row->count);
		else
			fprintf(out, " %9s", "");
	} else if (c->time) {
		fprintf(out, " %12s %9s", "", "");
	}
	if (c->rate)
		fprintf(out, " %10.0f", c->interval_ns ? since * 1e9 / c->interval_ns : 0.0);
	fputc('\n', out);
}

/* Prints the exits by reason, or everything else; false if all are zero. */
static bool print_part(FILE *out, const struct stats_table *table, bool exits,
		       const struct stats_table *before, uint64_t interval_ns)
{
	struct stats_row total = { .name = "total", .is_exit = exits };
	struct columns c = { .rate = before, .interval_ns = interval_ns };
	unsigned int shown = 0;
	uint64_t since = 0;

	for (unsigned int i = 0; i < table->nr; i++) {
		const struct stats_row *row = &table->row[i];

		if (row->is_exit != exits || (!row->count && !row->time_ns))
			continue;
		shown++;
		total.count += row->count;
		total.time_ns += row->time_ns;
		total.has_time |= row->has_time && row->time_ns;
		since += row->count - earlier(before, row).count;
	}
	if (!shown)
		return false;
	c.time = total.has_time;
	c.total = exits ? total.count : 0;
	print_head(out, &c, exits ? "exits by reason" : "counters");
	for (unsigned int i = 0; i < table->nr; i++) {
		const struct stats_row *row = &table->row[i];

		if (row->is_exit == exits && (row->count || row->time_ns))
			print_row(out, &c, row, row->count - earlier(before, row).count);
	}
	/* Other counters overlap: a sum of them would mean nothing. */
	if (exits)
		print_row(out, &c, &total, since);
	return true;
}

void stats_print(FILE *out, const struct stats_table *table,
		 const struct stats_table *before, uint64_t interval_ns)
{
	bool exits = print_part(out, table, true, before, interval_ns);

	if (!print_part(out, table, false, before, interval_ns) && !exits)
		fprintf(out, "nothing has been counted yet\n");
}

static void print_json_part(FILE *out, const struct stats_table *table, bool exits)
{
	const char *comma = "";

	fprintf(out, "\"%s\": {", exits ? "exits" : "other");
	for (unsigned int i = 0; i < table->nr; i++) {
		const struct stats_row *row = &table->row[i];

		if (row->is_exit != exits)
			continue;
		fprintf(out, "%s\"%s\": {\"count\": %" PRIu64, comma, row->name, row->count);
		if (row->has_time)
			fprintf(out, ", \"time_ns\": %" PRIu64, row->time_ns);
		fputc('}', out);
		comma = ", ";
	}
	fputc('}', out);
}

void stats_print_json(FILE *out, const struct stats_table *table)
{
	print_json_part(out, table, true);
	fputs(", ", out);
	print_json_part(out, table, false);
}
