// SPDX-License-Identifier: GPL-2.0-only
/* Programs: from the grammar, by mutation, and as bytes. */
#include <string.h>

#include "ioctl.h"

const struct call *call_at(unsigned int i)
{
	i %= nr_ioctl_calls + nr_action_calls;
	return i < nr_ioctl_calls ? &ioctl_calls[i] : &action_calls[i - nr_ioctl_calls];
}

unsigned int call_count(void)
{
	return nr_ioctl_calls + nr_action_calls;
}

/* Numbers as in LEB128: seven bits in a byte, the lowest first. */
static void put_number(struct program *p, uint64_t value)
{
	do {
		p->bytes[p->len++] = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);
		value >>= 7;
	} while (value);
}

static uint8_t get_byte(const struct program *p, uint32_t *at)
{
	return *at < p->len ? p->bytes[(*at)++] : 0;
}

static uint64_t get_number(const struct program *p, uint32_t *at)
{
	uint64_t value = 0;
	unsigned int shift;
	uint8_t byte;

	for (shift = 0; shift < 64; shift += 7) {
		byte = get_byte(p, at);
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	return value;
}

/* The most that an operation takes: see ops_pack(). */
#define OP_BYTES	(5 + 10 + MAX_PATCHES * 14)

void ops_pack(const struct ops *ops, struct program *p)
{
	unsigned int i, j;

	p->len = 0;
	p->bytes[p->len++] = ops->rounds;
	for (i = 0; i < ops->nr && p->len + OP_BYTES <= PROGRAM_MAX; i++) {
		const struct op *op = &ops->op[i];

		p->bytes[p->len++] = op->call;
		p->bytes[p->len++] = op->thread | op->slot << 4;
		p->bytes[p->len++] = op->object;
		p->bytes[p->len++] = op->base | op->place << 4;
		p->bytes[p->len++] = op->nr_patches;
		put_number(p, op->arg);
		for (j = 0; j < op->nr_patches; j++) {
			put_number(p, op->patches[j].offset);
			p->bytes[p->len++] = op->patches[j].size;
			put_number(p, op->patches[j].value);
		}
	}
}

static void unpack_op(struct op *op, const struct program *p, uint32_t *at)
{
	static const uint8_t sizes[] = { 8, 1, 2, 2, 4, 4, 4, 4 };
	uint8_t byte;
	unsigned int j;

	op->call = get_byte(p, at) % call_count();
	byte = get_byte(p, at);
	op->thread = (byte & 15) % FUZZ_THREADS;
	op->slot = byte >> 4;
	op->object = get_byte(p, at);
	byte = get_byte(p, at);
	op->base = (byte & 15) % NR_BASES;
	op->place = (byte >> 4) % NR_PLACES;
	op->nr_patches = get_byte(p, at) % (MAX_PATCHES + 1);
	op->arg = get_number(p, at);
	for (j = 0; j < op->nr_patches; j++) {
		op->patches[j].offset = get_number(p, at);
		op->patches[j].size = sizes[get_byte(p, at) % 8];
		op->patches[j].value = get_number(p, at);
	}
}

void ops_unpack(struct ops *ops, const struct program *p)
{
	uint32_t at = 0;

	ops->rounds = get_byte(p, &at) % 16;
	for (ops->nr = 0; ops->nr < MAX_OPS && at < p->len; ops->nr++)
		unpack_op(&ops->op[ops->nr], p, &at);
}

static void random_patch(struct rng *rng, const struct call *call, struct patch *patch)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	const struct field *field;

	if (call->size && rng_one_in(rng, 20)) {
		patch->offset = rng_below(rng, call->size + call->tail);
		patch->size = rng_pick(rng, sizes);
		patch->value = rng_interesting(rng);
		return;
	}
	field = &call->fields[rng_below(rng, call->nr_fields)];
	patch->offset = field->offset + field->stride * rng_below(rng, field->count);
	patch->size = field->size;
	patch->value = field_value(rng, field);
}

static unsigned int random_call(struct rng *rng)
{
	unsigned int i, sum = 0;

	for (i = 0; i < call_count(); i++)
		sum += call_at(i)->weight;
	sum = rng_below(rng, sum);
	for (i = 0; sum >= call_at(i)->weight; i++)
		sum -= call_at(i)->weight;
	return i;
}

/* All fields, each with one of its meanings. */
static void all_fields(struct rng *rng, const struct call *call, struct op *op)
{
	unsigned int element = rng_one_in(rng, 2) ? 0 : rng_next(rng) % 3, i, j;

	op->nr_patches = 0;
	for (i = 0; i < call->nr_fields; i++) {
		const struct field *field = &call->fields[i];
		struct patch patch = {
			.offset = field->offset + element % field->count * field->stride,
			.size = field->size, .value = field_value(rng, field),
		};

		for (j = 0; j < op->nr_patches && op->patches[j].offset != patch.offset; j++)
			;
		if (j == MAX_PATCHES || (j < op->nr_patches && !rng_one_in(rng, 4)))
			continue;
		op->patches[j] = patch;
		op->nr_patches += j == op->nr_patches;
	}
}

/*
 * A structure that is made from nothing gets all its fields, so that some of
 * them are good together; one that exists gets a few changes.
 */
static void fill_op(struct rng *rng, struct op *op)
{
	const struct call *call = call_at(op->call);
	unsigned int i;

	op->arg = rng_one_in(rng, 2) ? rng_interesting(rng) : 0;
	op->place = rng_one_in(rng, 12) ? rng_below(rng, NR_PLACES) : PLACE_GOOD;
	if (rng_one_in(rng, 12))
		op->base = rng_below(rng, NR_BASES);
	else
		op->base = call->getter && !rng_one_in(rng, 8) ? BASE_GETTER : BASE_ZERO;
	if (op->base != BASE_GETTER && call->nr_fields <= 2 * MAX_PATCHES) {
		all_fields(rng, call, op);
		return;
	}
	op->nr_patches = 1 + rng_below(rng, 4);
	for (i = 0; i < op->nr_patches; i++)
		random_patch(rng, call, &op->patches[i]);
}

/* Those with low numbers, which mostly exist. */
static uint8_t random_object(struct rng *rng)
{
	static const uint8_t objects[] = { 0, 0, 0, 0, 0, 0, 1, 1, 2, 3 };

	return rng_pick(rng, objects);
}

static void random_op(struct rng *rng, struct op *op, unsigned int threads)
{
	memset(op, 0, sizeof(*op));
	op->call = random_call(rng);
	op->thread = rng_below(rng, threads);
	op->object = random_object(rng);
	op->slot = rng_below(rng, 4);
	/* Now and then on a descriptor that does not know it. */
	if (rng_one_in(rng, 40))
		op->object |= rng_below(rng, NR_OBJECTS) << 4 | 0x80;
	fill_op(rng, op);
}

/* Most calls mean nothing before there is a VM with memory and vCPUs. */
static void setup_op(struct rng *rng, struct op *op, uint8_t object)
{
	unsigned int i;

	memset(op, 0, sizeof(*op));
	for (i = nr_ioctl_calls; i < call_count(); i++)
		if (!strcmp(call_at(i)->name, "setup"))
			op->call = i;
	op->object = object;
	fill_op(rng, op);
	op->place = PLACE_GOOD;
}

void ops_generate(struct rng *rng, struct program *program)
{
	unsigned int threads = 1 + rng_below(rng, FUZZ_THREADS), n = 4 + rng_below(rng, 16);
	struct ops ops = { .rounds = rng_one_in(rng, 3) ? rng_below(rng, 8) : 1 };

	if (!rng_one_in(rng, 8))
		setup_op(rng, &ops.op[ops.nr++], 0);
	if (rng_one_in(rng, 4))
		setup_op(rng, &ops.op[ops.nr++], 1);
	while (n-- && ops.nr < MAX_OPS)
		random_op(rng, &ops.op[ops.nr++], threads);
	ops_pack(&ops, program);
}

static void insert(struct ops *ops, unsigned int at, const struct op *op)
{
	if (ops->nr == MAX_OPS)
		return;
	memmove(&ops->op[at + 1], &ops->op[at], (ops->nr - at) * sizeof(*op));
	ops->op[at] = *op;
	ops->nr++;
}

static void mutate_patch(struct rng *rng, struct op *op)
{
	struct patch *patch;

	if (!op->nr_patches || (op->nr_patches < MAX_PATCHES && rng_one_in(rng, 3))) {
		random_patch(rng, call_at(op->call), &op->patches[op->nr_patches++]);
		return;
	}
	patch = &op->patches[rng_below(rng, op->nr_patches)];
	switch (rng_below(rng, 4)) {
	case 0:
		random_patch(rng, call_at(op->call), patch);
		break;
	case 1:
		patch->value ^= 1ULL << rng_below(rng, 8 * patch->size);
		break;
	case 2:
		patch->value += rng_below(rng, 9) - 4;
		break;
	default:
		*patch = op->patches[--op->nr_patches];
	}
}

static void mutate_once(struct rng *rng, struct ops *ops, const struct ops *other)
{
	unsigned int at = rng_below(rng, ops->nr);
	struct op *op = &ops->op[at], new;

	switch (rng_below(rng, 10)) {
	case 0:
	case 1:
		random_op(rng, &new, FUZZ_THREADS);
		insert(ops, at + 1, &new);
		break;
	case 2:
		new = *op;
		insert(ops, at, &new);
		break;
	case 3:
		if (ops->nr > 1) {
			memmove(op, op + 1, (ops->nr - at - 1) * sizeof(*op));
			ops->nr--;
		}
		break;
	case 4:
		op->thread = rng_below(rng, FUZZ_THREADS);
		op->object = random_object(rng);
		break;
	case 5:
		op->place = rng_below(rng, NR_PLACES);
		op->base = rng_below(rng, NR_BASES);
		break;
	case 6:
		insert(ops, at, &other->op[rng_below(rng, other->nr)]);
		break;
	case 7:
		ops->rounds = rng_below(rng, 8);
		break;
	default:
		mutate_patch(rng, op);
	}
}

void ops_mutate(struct rng *rng, struct program *program, const struct program *other)
{
	static struct ops ops, donor;
	unsigned int n = 1 + rng_below(rng, 5);

	ops_unpack(&ops, program);
	ops_unpack(&donor, other);
	if (!ops.nr || !donor.nr) {
		ops_generate(rng, program);
		return;
	}
	while (n--)
		mutate_once(rng, &ops, &donor);
	ops_pack(&ops, program);
}
