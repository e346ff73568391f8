// SPDX-License-Identifier: GPL-2.0-only
/* What "vitro check" asks of the processors. */
#include "cmd/check.h"
#include "core/util.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#define MSR_FEATURE_CONTROL	0x3a
#define FEATURE_LOCKED		BIT(0)
#define FEATURE_VMX		BIT(2)		/* outside SMX */
#define MSR_VMX_PROCBASED2	0x48b
#define MSR_VMX_EPT_VPID	0x48c
#define MSR_VMX_TRUE_PIN	0x48d
#define MSR_VM_CR		0xc0010114
#define VM_CR_SVMDIS		BIT(4)
#define MSR_SYSCFG		0xc0010010
#define SYSCFG_SME		BIT(23)

#define CPUID_SVM		0x8000000a

#define ANOTHER_MACHINE	"use a machine that has it"
#define PASS_IT_ON	"this is a virtual machine: have its hypervisor offer nested virtualization, or use another machine"
#define FIRMWARE	"enable it in the firmware set-up (BIOS), often called Virtualization Technology or SVM Mode, and power-cycle"

static const char *missing_remedy(const struct check *c)
{
	return c->nested ? PASS_IT_ON : ANOTHER_MACHINE;
}

/* The bits that vitro requires, with the words of its own refusal to load. */
static const struct vmx_feature {
	const char *name;
	uint32_t msr;
	unsigned int bit;
	bool required;
	const char *line;		/* where /proc/cpuinfo would tell */
	const char *flag;
} vmx_features[] = {
	/* The upper halves of these two say which controls can be 1. */
	{ "nested paging (EPT)", MSR_VMX_PROCBASED2, 32 + 1, true, "flags", "ept" },
	{ "unrestricted guest", MSR_VMX_PROCBASED2, 32 + 7, true, "vmx flags", "unrestricted_guest" },
	{ "virtual NMIs", MSR_VMX_TRUE_PIN, 32 + 5, true, "vmx flags", "vnmi" },
	{ "4-level EPT", MSR_VMX_EPT_VPID, 6, true, NULL, NULL },
	{ "write-back EPT", MSR_VMX_EPT_VPID, 14, true, NULL, NULL },
	{ "INVEPT", MSR_VMX_EPT_VPID, 20, true, NULL, NULL },
	{ "VPID", MSR_VMX_PROCBASED2, 32 + 5, false, "vmx flags", "vpid" },
};

static void check_vmx_feature(struct check *c, const struct vmx_feature *f)
{
	uint64_t value;
	int ret = msr_read(0, f->msr, &value);
	int has;

	if (!ret)
		has = value >> f->bit & 1;
	else if (ret == -EIO)
		has = 0;
	else
		has = f->line ? cpu_has_flag(f->line, f->flag) : -1;
	if (has > 0)
		check_pass(c, f->name, "present");
	else if (has == 0 && f->required)
		check_fail(c, f->name, missing_remedy(c), "missing");
	else if (has == 0)
		check_info(c, f->name, "missing; vitro does without");
	else
		check_unknown(c, f->name, msr_remedy(ret), "cannot be seen without reading MSRs (%s)",
			      strerror(-ret));
}

/* Looks at @msr of every CPU; each must satisfy @good. */
static void check_lock(struct check *c, uint32_t msr, const char *msr_name,
		       bool (*good)(uint64_t value), const char *flag)
{
	uint64_t value;
	int nr = 0, ret;

	for (int cpu = next_cpu(-1); cpu >= 0; cpu = next_cpu(cpu)) {
		ret = msr_read(cpu, msr, &value);
		if (ret == -EIO)
			break;		/* no such register: nothing is locked by it */
		if (ret && cpu_has_flag("flags", flag) == 0) {
			/* Linux hides the flag where firmware has locked it off. */
			check_fail(c, "firmware", FIRMWARE, "locked off: CPUID has %s, /proc/cpuinfo does not", flag);
			return;
		}
		if (ret) {
			check_unknown(c, "firmware", msr_remedy(ret),
				      "%s cannot be read (%s)", msr_name, strerror(-ret));
			return;
		}
		if (!good(value)) {
			check_fail(c, "firmware", FIRMWARE, "locked off on CPU %d (%s=%#llx)",
				   cpu, msr_name, (unsigned long long)value);
			return;
		}
		nr++;
	}
	check_pass(c, "firmware", "does not lock it off (%d CPU%s)", nr, nr == 1 ? "" : "s");
}

/* Unlocked is as good: Linux sets and locks it at boot or at CPU bring-up. */
static bool vmx_unlocked(uint64_t value)
{
	return !(value & FEATURE_LOCKED) || (value & FEATURE_VMX);
}

void check_vmx(struct check *c)
{
	unsigned int a, b, cx, d;

	if (!__get_cpuid(1, &a, &b, &cx, &d) || !(cx & BIT(5))) {
		check_fail(c, "VT-x", missing_remedy(c), "CPUID does not offer it");
		return;
	}
	check_pass(c, "VT-x", "CPUID offers it");
	check_lock(c, MSR_FEATURE_CONTROL, "IA32_FEATURE_CONTROL", vmx_unlocked, "vmx");
	for (unsigned int i = 0; i < ARRAY_SIZE(vmx_features); i++)
		check_vmx_feature(c, &vmx_features[i]);
}

static bool svm_unlocked(uint64_t value)
{
	return !(value & VM_CR_SVMDIS);
}

static void check_memory_encryption(struct check *c)
{
	uint64_t value;

	if (msr_read(0, MSR_SYSCFG, &value) == 0 && (value & SYSCFG_SME))
		check_fail(c, "memory encryption", "boot with mem_encrypt=off",
			   "SME is active in the host, which vitro does not support");
}

void check_svm(struct check *c)
{
	unsigned int a, b, cx, d;

	if (!__get_cpuid(0x80000001, &a, &b, &cx, &d) || !(cx & BIT(2))) {
		check_fail(c, "AMD-V", missing_remedy(c), "CPUID does not offer it");
		return;
	}
	check_pass(c, "AMD-V", "CPUID offers it");
	if (d & BIT(20))
		check_pass(c, "NX", "present");
	else
		check_fail(c, "NX", "enable no-execute pages in the firmware set-up", "off");
	check_lock(c, MSR_VM_CR, "VM_CR", svm_unlocked, "svm");
	if (!__get_cpuid(CPUID_SVM, &a, &b, &cx, &d)) {
		check_fail(c, "nested paging (NPT)", missing_remedy(c), "the processor does not describe its AMD-V");
		return;
	}
	if (d & BIT(0))
		check_pass(c, "nested paging (NPT)", "present");
	else
		check_fail(c, "nested paging (NPT)", missing_remedy(c), "missing");
	if (b >= 2)
		check_pass(c, "ASIDs", "%u", b);
	else
		check_fail(c, "ASIDs", missing_remedy(c), "only %u, vitro needs 2", b);
	check_memory_encryption(c);
}
