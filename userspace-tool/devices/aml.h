/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes AML, the byte code of ACPI tables, as far as describing devices
 * needs it (ACPI specification, ACPI Machine Language). A block is opened
 * with a *_begin() call and closed with aml_end().
 */
#ifndef VITRO_AML_H
#define VITRO_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH 8

struct aml {
	uint8_t *buf;
	size_t max;
	size_t len;
	bool overflow;			/* something did not fit; sticky */
	unsigned int depth;
	size_t block[AML_DEPTH];	/* where each open block's length goes */
	size_t resources;		/* where an open template's size goes */
};

/**
 * aml_init() - start writing
 * @aml: the writer
 * @buf: destination
 * @max: its size in bytes; what goes beyond is dropped and @aml->overflow set
 */
void aml_init(struct aml *aml, void *buf, size_t max);

/**
 * aml_bytes() - append bytes as they are
 * @aml: the writer
 * @data: the bytes
 * @len: how many
 */
void aml_bytes(struct aml *aml, const void *data, size_t len);

/**
 * aml_scope_begin() - open Scope (name)
 * @aml: the writer
 * @name: four characters, or a root name of five
 */
void aml_scope_begin(struct aml *aml, const char *name);

/**
 * aml_device_begin() - open Device (name)
 * @aml: the writer
 * @name: four characters
 */
void aml_device_begin(struct aml *aml, const char *name);

/**
 * aml_end() - close the innermost block
 * @aml: the writer
 */
void aml_end(struct aml *aml);

/**
 * aml_name_int() - Name (name, value)
 * @aml: the writer
 * @name: four characters
 * @value: an integer
 */
void aml_name_int(struct aml *aml, const char *name, uint32_t value);

/**
 * aml_name_string() - Name (name, "text")
 * @aml: the writer
 * @name: four characters
 * @text: ASCII
 */
void aml_name_string(struct aml *aml, const char *name, const char *text);

/**
 * aml_name_eisaid() - Name (name, EisaId ("PNP0A03"))
 * @aml: the writer
 * @name: four characters
 * @id: three capitals and four hexadecimal digits
 */
void aml_name_eisaid(struct aml *aml, const char *name, const char *id);

/**
 * aml_name_package() - Name (name, Package () { value, ... })
 * @aml: the writer
 * @name: name with or without a leading backslash
 * @values: small integers
 * @nr: how many
 */
void aml_name_package(struct aml *aml, const char *name, const uint8_t *values, unsigned int nr);

/**
 * aml_resources_begin() - open Name (_CRS, ResourceTemplate () { ... })
 * @aml: the writer
 */
void aml_resources_begin(struct aml *aml);

/**
 * aml_resources_end() - close it
 * @aml: the writer
 */
void aml_resources_end(struct aml *aml);

/**
 * aml_io() - IO (Decode16, port, port, 1, size)
 * @aml: the writer
 * @port: first port
 * @size: number of ports
 */
void aml_io(struct aml *aml, uint16_t port, uint8_t size);

/**
 * aml_irq() - IRQNoFlags () { irq }: edge, active high, not shared
 * @aml: the writer
 * @irq: 0 to 15
 */
void aml_irq(struct aml *aml, unsigned int irq);

/* Resource types of address space descriptors. */
#define AML_SPACE_MEMORY	0
#define AML_SPACE_IO		1
#define AML_SPACE_BUS		2

/**
 * aml_window() - DWordMemory, DWordIO or WordBusNumber: what a bridge passes on
 * @aml: the writer
 * @type: AML_SPACE_*
 * @base: first address
 * @size: number of addresses
 */
void aml_window(struct aml *aml, unsigned int type, uint32_t base, uint32_t size);

#endif
