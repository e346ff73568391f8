// SPDX-License-Identifier: GPL-2.0-only
#include "devices/aml.h"
#include "core/util.h"

#include <stdlib.h>
#include <string.h>

#define OP_NAME		0x08
#define OP_BYTE		0x0a
#define OP_WORD		0x0b
#define OP_DWORD	0x0c
#define OP_STRING	0x0d
#define OP_SCOPE	0x10
#define OP_BUFFER	0x11
#define OP_PACKAGE	0x12
#define OP_EXT		0x5b
#define OP_EXT_DEVICE	0x82

#define RES_IRQ		0x22
#define RES_IO		0x47
#define RES_END		0x79
#define RES_DWORD_SPACE	0x87
#define RES_WORD_SPACE	0x88

/* A package length of three bytes: 20 bits, enough for any table here. */
#define PKG_BYTES	3

void aml_init(struct aml *aml, void *buf, size_t max)
{
	*aml = (struct aml){ .buf = buf, .max = max };
}

void aml_bytes(struct aml *aml, const void *data, size_t len)
{
	if (len > aml->max - aml->len) {
		aml->overflow = true;
		return;
	}
	memcpy(aml->buf + aml->len, data, len);
	aml->len += len;
}

static void put(struct aml *aml, uint64_t value, size_t len)
{
	aml_bytes(aml, &value, len);
}

static void put_name(struct aml *aml, const char *name)
{
	aml_bytes(aml, name, strlen(name));
}

static void block_begin(struct aml *aml)
{
	if (aml->depth == AML_DEPTH) {
		aml->overflow = true;
		return;
	}
	aml->block[aml->depth++] = aml->len;
	put(aml, 0, PKG_BYTES);
}

void aml_end(struct aml *aml)
{
	size_t at, len;

	if (aml->overflow || !aml->depth)
		return;
	/* The length counts its own bytes; the lead byte holds four bits. */
	at = aml->block[--aml->depth];
	len = aml->len - at;
	aml->buf[at] = (PKG_BYTES - 1) << 6 | (len & 0xf);
	aml->buf[at + 1] = len >> 4;
	aml->buf[at + 2] = len >> 12;
}

void aml_scope_begin(struct aml *aml, const char *name)
{
	put(aml, OP_SCOPE, 1);
	block_begin(aml);
	put_name(aml, name);
}

void aml_device_begin(struct aml *aml, const char *name)
{
	put(aml, OP_EXT, 1);
	put(aml, OP_EXT_DEVICE, 1);
	block_begin(aml);
	put_name(aml, name);
}

void aml_name_int(struct aml *aml, const char *name, uint32_t value)
{
	put(aml, OP_NAME, 1);
	put_name(aml, name);
	put(aml, OP_DWORD, 1);
	put(aml, value, 4);
}

void aml_name_string(struct aml *aml, const char *name, const char *text)
{
	put(aml, OP_NAME, 1);
	put_name(aml, name);
	put(aml, OP_STRING, 1);
	aml_bytes(aml, text, strlen(text) + 1);
}

void aml_name_eisaid(struct aml *aml, const char *name, const char *id)
{
	uint32_t product = strtoul(id + 3, NULL, 16);
	uint32_t value;

	/* Three letters of five bits and the product, most significant first. */
	value = (id[0] - '@') << 26 | (id[1] - '@') << 21 | (id[2] - '@') << 16 | product;
	aml_name_int(aml, name, __builtin_bswap32(value));
}

void aml_name_package(struct aml *aml, const char *name, const uint8_t *values, unsigned int nr)
{
	put(aml, OP_NAME, 1);
	put_name(aml, name);
	put(aml, OP_PACKAGE, 1);
	block_begin(aml);
	put(aml, nr, 1);
	for (unsigned int i = 0; i < nr; i++) {
		put(aml, OP_BYTE, 1);
		put(aml, values[i], 1);
	}
	aml_end(aml);
}

void aml_resources_begin(struct aml *aml)
{
	put(aml, OP_NAME, 1);
	put_name(aml, "_CRS");
	put(aml, OP_BUFFER, 1);
	block_begin(aml);
	put(aml, OP_WORD, 1);
	aml->resources = aml->len;
	put(aml, 0, 2);
}

void aml_resources_end(struct aml *aml)
{
	uint16_t size;

	put(aml, RES_END, 1);
	put(aml, 0, 1);		/* no checksum */
	if (!aml->overflow) {
		size = aml->len - aml->resources - 2;
		memcpy(aml->buf + aml->resources, &size, sizeof(size));
	}
	aml_end(aml);
}

void aml_io(struct aml *aml, uint16_t port, uint8_t size)
{
	put(aml, RES_IO, 1);
	put(aml, 1, 1);		/* decodes 16 bits */
	put(aml, port, 2);
	put(aml, port, 2);
	put(aml, 1, 1);
	put(aml, size, 1);
}

void aml_irq(struct aml *aml, unsigned int irq)
{
	put(aml, RES_IRQ, 1);
	put(aml, 1U << irq, 2);
}

void aml_window(struct aml *aml, unsigned int type, uint32_t base, uint32_t size)
{
	/* Memory: writable, not cacheable. I/O: the whole range, not just ISA's. */
	static const uint8_t type_flags[] = { 1, 3, 0 };
	/* Bus numbers exist in 16 bits only. */
	bool is_word = type == AML_SPACE_BUS;
	unsigned int width = is_word ? 2 : 4;

	put(aml, is_word ? RES_WORD_SPACE : RES_DWORD_SPACE, 1);
	put(aml, 3 + 5 * width, 2);
	put(aml, type, 1);
	put(aml, 0x0c, 1);	/* minimum and maximum fixed, passed on */
	put(aml, type_flags[type], 1);
	put(aml, 0, width);
	put(aml, base, width);
	put(aml, base + (size - 1), width);
	put(aml, 0, width);
	put(aml, size, width);
}
