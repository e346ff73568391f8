/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMX instructions. Each has a fixup: when something has turned VMX off
 * under us (an emergency reboot does, on every CPU), they fault, and the
 * faults must not be what kills the host.
 */
#ifndef VITRO_VMX_VMCS_H
#define VITRO_VMX_VMCS_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

#include "field.h"

/* VM-exit reasons and controls that older <asm/vmx.h> lack. */
#define VMX_EXIT_GETSEC		11
#define VMX_EXIT_PCONFIG	65
#define VMX_EXIT_LOADIWKEY	69
#define VMX_EXIT_ENCLV		70
#define VMX_EXEC_ENCLV		BIT(28)		/* secondary: ENCLV exiting */
#define VMX_ENCLV_BITMAP	0x00002036	/* field: ENCLV-exiting bitmap */

/* Exit qualification of an EPT violation: what the tables permitted. */
#define VMX_EPT_VIOLATION_RWX	(VMX_EPT_RWX_MASK << 3)

/* The instructions on a VMCS's or VMXON region's address: 0 or -EIO. */
#define VMX_REGION_INSN(name, insn)					\
static inline int name(phys_addr_t pa)					\
{									\
	u64 operand = pa;						\
									\
	asm goto("1: " insn " %[pa]\n"					\
		 "   jna %l[failed]\n"					\
		 _ASM_EXTABLE(1b, %l[failed])				\
		 : : [pa] "m" (operand) : "cc", "memory" : failed);	\
	return 0;							\
failed:									\
	return -EIO;							\
}

VMX_REGION_INSN(vmx_vmxon, "vmxon")
VMX_REGION_INSN(vmx_vmclear, "vmclear")
VMX_REGION_INSN(vmx_vmptrld, "vmptrld")

/* Stores the address of the current VMCS, all ones if there is none: 0 or -EIO. */
static inline int vmx_vmptrst(u64 *pa)
{
	int err = -EIO;

	asm volatile("1: vmptrst %[pa]\n"
		     "   xor %[err], %[err]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [pa] "+m" (*pa), [err] "+r" (err) : : "cc");
	return err;
}

static inline void vmx_vmxoff(void)
{
	asm volatile("1: vmxoff\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b) : : : "cc", "memory");
}

/* INVEPT and INVVPID: @type is VMX_EPT_EXTENT_* or VMX_VPID_EXTENT_*. */
static inline void vmx_invept(unsigned long type, u64 eptp)
{
	struct { u64 eptp, zero; } descriptor = { eptp, 0 };

	asm goto("1: invept %[descriptor], %[type]\n"
		 "   jna %l[failed]\n"
		 _ASM_EXTABLE(1b, %l[off])
		 : : [descriptor] "m" (descriptor), [type] "r" (type)
		 : "cc", "memory" : failed, off);
off:
	return;
failed:
	vmx_insn_failed("INVEPT", type, eptp);
}

static inline void vmx_invvpid(unsigned long type, u16 vpid)
{
	struct { u64 vpid, address; } descriptor = { vpid, 0 };

	asm goto("1: invvpid %[descriptor], %[type]\n"
		 "   jna %l[failed]\n"
		 _ASM_EXTABLE(1b, %l[off])
		 : : [descriptor] "m" (descriptor), [type] "r" (type)
		 : "cc", "memory" : failed, off);
off:
	return;
failed:
	vmx_insn_failed("INVVPID", type, vpid);
}

#endif /* VITRO_VMX_VMCS_H */
