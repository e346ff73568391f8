/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VMCS in memory. The unit tests are built with this header in place of
 * ../vmx/field.h: Kbuild includes it before all others, and the guard keeps
 * that one out. It includes nothing itself, as files define pr_fmt() first.
 */
#ifndef VITRO_VMX_FIELD_H
#define VITRO_VMX_FIELD_H

/* Encodings have 15 bits. */
#define FAKE_VMCS_FIELDS	0x8000

/* The current VMCS: values by the fields' encodings. */
extern unsigned long long fake_vmcs[FAKE_VMCS_FIELDS];

/* ../vmx/caps.c */
void vmx_insn_failed(const char *insn, unsigned long long operand, unsigned long long value);

#define vmcs_read(field)		(fake_vmcs[field])
#define vmcs_write(field, value)	((void)(fake_vmcs[field] = (value)))

#endif /* VITRO_VMX_FIELD_H */
