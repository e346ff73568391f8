// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "result.h"

const char *const item_names[NR_ITEM_KEYS] = {
#define X(name, text) text,
	ITEMS(X)
#undef X
};

static const char *const reg_names[] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12",
	"r13", "r14", "r15", "rip", "rflags",
};

static const char *const seg_names[] = { "cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt" };
static const char *const seg_words[] = { "base", "limit, selector, type", "attributes" };
static const char *const cr_names[] = { "cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base" };

void result_begin(struct result *r, uint64_t seed)
{
	r->seed = seed;
	r->count = 0;
	r->slot = NO_SLOT;
	r->full = false;
}

void result_put(struct result *r, enum item_key key, uint32_t index, uint64_t value)
{
	struct item *item = &r->items[r->count];

	if (r->count == MAX_ITEMS) {
		r->full = true;
		return;
	}
	item->key = key;
	item->slot = r->slot;
	item->index = index;
	item->value = value;
	r->count++;
	if (r->trace && key < ITEM_STATE_FIRST)
		result_print(stdout, item);
}

bool result_same(const struct item *a, const struct item *b)
{
	return a->key == b->key && a->index == b->index && a->value == b->value;
}

uint64_t result_hash(uint64_t hash, const void *data, size_t size)
{
	const uint64_t *word = data;
	size_t i;

	for (i = 0; i < size / 8; i++)
		hash = (hash ^ word[i]) * 0x9e3779b97f4a7c15 + (hash >> 29);
	return hash;
}

/* Words of struct kvm_sregs: eight segments of three words, two tables of two. */
static void sregs_name(unsigned int word, char *buf, size_t size)
{
	if (word < 24)
		snprintf(buf, size, "%s %s", seg_names[word / 3], seg_words[word % 3]);
	else if (word < 28)
		snprintf(buf, size, "%s %s", word < 26 ? "gdt" : "idt",
			 word % 2 ? "limit" : "base");
	else if (word < 28 + ARRAY_SIZE(cr_names))
		snprintf(buf, size, "%s", cr_names[word - 28]);
	else
		snprintf(buf, size, "interrupt bitmap");
}

const char *result_name(const struct item *item, char *buf, size_t size)
{
	switch (item->key) {
	case ITEM_STATE_REGS:
	case ITEM_GPR:
		if (item->index < ARRAY_SIZE(reg_names))
			return reg_names[item->index];
		break;
	case ITEM_STATE_SREGS:
	case ITEM_SPECIAL:
		if (item->index == ~0U)
			break;
		sregs_name(item->index, buf, size);
		return buf;
	}
	if (item->key < ITEM_STATE_FIRST)
		return item_names[item->key];
	snprintf(buf, size, "%s %#x", item_names[item->key], item->index);
	return buf;
}

void result_print(FILE *file, const struct item *item)
{
	char name[80];

	fprintf(file, "#     slot %2d %s = %#llx\n", (int16_t)item->slot,
		result_name(item, name, sizeof(name)), (unsigned long long)item->value);
}

void guest_print_slot(const struct guest *g, unsigned int slot)
{
	const uint8_t *code = g->mem + CODE_BASE + slot * SLOT_SIZE;
	unsigned int i;

	printf("#   slot %u (%s, %#x):", slot, step_names[g->steps[slot].kind],
	       g->steps[slot].arg);
	for (i = 0; i < 64 && !(code[i] == 0xeb && code[i + 1] == SLOT_SIZE - 2 - i); i++)
		printf(" %02x", code[i]);
	printf("\n");
}
