/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMREAD and VMWRITE. Apart, so that the unit tests can have an array in place of
 * the current VMCS; as in vmcs.h, a fault is not what kills the host.
 */
#ifndef VITRO_VMX_FIELD_H
#define VITRO_VMX_FIELD_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

/* caps.c: logs, rate-limited, that @insn on @operand failed. */
void vmx_insn_failed(const char *insn, u64 operand, u64 value);

/**
 * vmcs_read() - read a field of the current VMCS
 * @field: its encoding
 *
 * Context: the VMCS is current on this CPU. No exception, no tracing.
 * Return: the value; 0 if there is no current VMCS.
 */
static __always_inline u64 vmcs_read(enum vmcs_field field)
{
	u64 value = 0;

	asm volatile("1: vmread %[field], %[value]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [value] "+r" (value)
		     : [field] "r" ((u64)field)
		     : "cc");
	return value;
}

/**
 * vmcs_write() - write a field of the current VMCS
 * @field: its encoding
 * @value: new value, truncated to the field's width by the processor
 *
 * Context: the VMCS is current on this CPU.
 */
static __always_inline void vmcs_write(enum vmcs_field field, u64 value)
{
	asm goto("1: vmwrite %[value], %[field]\n"
		 "   jna %l[failed]\n"
		 _ASM_EXTABLE(1b, %l[off])
		 : : [field] "r" ((u64)field), [value] "rm" (value)
		 : "cc" : failed, off);
off:
	return;
failed:
	vmx_insn_failed("VMWRITE", field, value);
}

#endif /* VITRO_VMX_FIELD_H */
