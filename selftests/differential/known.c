// SPDX-License-Identifier: GPL-2.0-only
/*
 * Differences from stock KVM that are justified, each with its reason.
 *
 * A rule names the step in whose slot the difference showed, and the item; what it does
 * not name may be anything.
 */
#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>

#include "known.h"

struct rule {
	uint32_t step;		/* enum step_kind, or ANY */
	uint32_t first, last;	/* the step's argument */
	uint32_t key;		/* enum item_key, or ANY */
	uint32_t index;
	uint64_t bits;		/* no others differ; 0: any may */
	const char *reason;
};

#define MSR_RULE(first, last, text)					\
	{ STEP_RDMSR, first, last, ANY, ANY, 0, text },			\
	{ STEP_WRMSR, first, last, ANY, ANY, 0, text }

static const char sysenter[] =
	"AMD's SYSENTER_ESP and SYSENTER_EIP have 64 bits; stock KVM shows user space the lower half";

static const char clflush[] =
	"CLFLUSH does not read what it flushes; stock KVM reads the device";

const char after_init[] =
	"INIT leaves segments accessed (SDM, Processor State After Reset); stock KVM's VMCB has them not accessed, and a 16-bit TSS";

const char apic_id[] =
	"vitro's APIC IDs are those of the vCPUs (SDM, Local APIC ID: model-specific whether it can be written)";

const char cr0_reserved[] =
	"a write to CR0, LMSW and CLTS clear its reserved bits (SDM, Control Registers); QEMU keeps them";

static const char pic_int[] =
	"a request that falls before its acknowledgement is none (8259A data sheet); stock KVM's master does not see the slave's INT fall";

const char loaded_tr[] =
	"a TSS that TR refers to is busy (SDM, LTR): vitro sets that bit of a type, stock KVM the lowest one";

const char cpuid_topology[] =
	"CPUID leaf 0xB echoes any subleaf in CL (SDM, CPUID); stock KVM does so only if the table has subleaf 1";

const char illegal_ipi[] =
	"an IPI of an illegal vector or kind reaches nobody (SDM, Interrupt Command Register); KVM_HC_SEND_IPI of stock KVM sends it";

static const struct rule rules[] = {
	MSR_RULE(0x3a, 0x3a, "CPUID has neither VMX nor SGX, so IA32_FEATURE_CONTROL does not exist (SDM); stock KVM has it always"),
	MSR_RULE(0x8b, 0x8b, "the microcode revision of a virtual processor is the hypervisor's choice"),
	MSR_RULE(0xce, 0xce, "MSR_PLATFORM_INFO: vitro offers no CPUID faulting"),
	MSR_RULE(0x179, 0x17b, "stock KVM shows 32 machine-check banks that nobody asked for; vitro shows none"),
	MSR_RULE(0x1d9, 0x1d9, "reserved bits of DebugCtl raise #GP (APM, DebugCtl MSR); stock KVM without LBR virtualization drops anything"),
	MSR_RULE(0x400, 0x47f, "stock KVM shows 32 machine-check banks that nobody asked for; vitro shows none"),
	MSR_RULE(0x480, 0x491, "CPUID has no VMX, so its capability MSRs do not exist (SDM)"),
	MSR_RULE(0x6e0, 0x6e0, "CPUID has no TSC_DEADLINE, so the MSR does not exist (SDM, TSC-Deadline Mode); stock KVM has it always"),
	MSR_RULE(0xda0, 0xda0, "CPUID has no XSAVES, so IA32_XSS does not exist (SDM)"),
	MSR_RULE(0xc0010010, 0xc0010010, "SYSCFG takes the value that it has; stock KVM refuses to write what it lets be read"),
	MSR_RULE(0xc001001f, 0xc001001f, "NB_CFG takes only the value that it has; stock KVM drops others"),
	MSR_RULE(0xc0010114, 0xc0010114, "VM_CR says that SVM is disabled and locked (APM, VM_CR MSR), as CPUID has none"),
	MSR_RULE(0xc0010117, 0xc0010117, "VM_HSAVE_PA: without SVM in CPUID, vitro drops what is written"),
	MSR_RULE(0xc0011029, 0xc0011029, "DE_CFG says that LFENCE serialises, as it does on this host"),
	{ STEP_MEMORY, 0x0fae07, 0x0fae07, ANY, ANY, 0, clflush },
	{ STEP_APIC, 0x0fae07, 0x0fae07, ANY, ANY, 0, clflush },
	{ STEP_MEMORY, 0x8c00, 0x8c07, ITEM_MMIO_KIND, ANY, 10,
	  "a selector in memory has 16 bits, whatever the operand size (SDM, MOV); stock KVM writes 64 with REX.W" },
	{ STEP_STRING, 0xa6, 0xa7, ITEM_TRAP, ANY, 0,
	  "CMPS has two operands; which one's fault comes first is not defined if both have one" },
	{ STEP_APIC, 0xb0, 0xb0, ANY, ANY, 0,
	  "the EOI register cannot be read (SDM, Local APIC Register Address Map): vitro answers 0, stock KVM what its buffer held" },
	{ ANY, ALL, ITEM_STATE_PIC, 0, 0x400, pic_int },
	{ ANY, ALL, ITEM_STATE_LAPIC, 4, 0xff000000, apic_id },
	{ ANY, ALL, ITEM_STATE_MSR, 0xc0000102, 0xffff000000000000,
	  "QEMU takes any number for KERNEL_GS_BASE, and makes it canonical at the next VMLOAD, whenever that is" },
	{ ANY, ALL, ITEM_STATE_MSR, 0x175, 0xffffffff00000000, sysenter },
	{ ANY, ALL, ITEM_STATE_MSR, 0x176, 0xffffffff00000000, sysenter },
	{ ANY, ALL, ITEM_SETUP, (uint32_t)KVM_SET_SREGS, 0,
	  "vitro refuses special registers that contradict the manuals; stock KVM lets the entry fail, or clears what it does not know" },
	{ STEP_CPUID, 0xb, 0xb, ANY, ANY, 0, cpuid_topology },
	{ STEP_CR_WRITE, 0, 0, ITEM_SPECIAL, ANY, 0, cr0_reserved },
	{ STEP_CR_WRITE, 6, 6, ITEM_SPECIAL, ANY, 0, cr0_reserved },
	{ STEP_LMSW, ALL, ITEM_SPECIAL, ANY, 0, cr0_reserved },
	{ STEP_PORT, 0x20, 0x20, ITEM_IO_DATA, ANY, 4, pic_int },
	{ ANY, ALL, ITEM_MEMORY, ANY, 0x0000004000000040,
	  "a write to a device's page sets the dirty bit (SDM, Accessed and Dirty Flags); stock KVM skips the guest's page tables then" },
	{ ANY, ALL, ITEM_STATE_SREGS, 1, 1ULL << 48, after_init },
	{ ANY, ALL, ITEM_STATE_SREGS, 16, 1ULL << 48, after_init },
	{ ANY, ALL, ITEM_STATE_SREGS, 19, 8ULL << 48, after_init },
	{ STEP_HYPERCALL, KVM_HC_SEND_IPI, KVM_HC_SEND_IPI, ITEM_IO_DATA, ANY, 1, illegal_ipi },
	{ STEP_EVENT, 0, 2, ITEM_TRAP_IP, ANY, 0xff,
	  "a fault in the delivery of INT n, INT3 or INTO is reported at the instruction (SDM, Saved Program Counter); stock KVM without NRIPS reports the next" },
};

bool endless(const struct item *item)
{
	return item->key == ITEM_END && (int64_t)item->value == -EINTR;
}

bool has_step(const struct guest *g, unsigned int from, unsigned int to, uint32_t kind,
	      uint32_t first, uint32_t last)
{
	const struct step *step;
	unsigned int i;

	for (i = from; i <= to && i < g->nr_slots; i++) {
		step = &g->steps[i];
		if (step->kind == kind && step->arg >= first && step->arg <= last)
			return true;
	}
	return false;
}

bool has_out(const struct guest *g, unsigned int to, uint32_t port)
{
	const struct step *step;

	for (step = g->steps; step <= &g->steps[to] && step < &g->steps[g->nr_slots]; step++)
		if (step->kind == STEP_PORT && step->arg == port && step->value)
			return true;
	return false;
}

const struct item *trap_of(const struct item *item)
{
	while (item->key > ITEM_TRAP && item->key <= ITEM_TRAP_DR6)
		item--;
	return item->key == ITEM_TRAP ? item : NULL;
}

uint64_t frame_ip(const struct item *trap)
{
	for (trap++; trap->key > ITEM_TRAP && trap->key <= ITEM_TRAP_DR6; trap++)
		if (trap->key == ITEM_TRAP_IP)
			return trap->value;
	return ~0ULL;
}

const struct step *item_step(const struct guest *g, const struct item *item)
{
	static const struct step none = { .kind = STEP_NONE };

	return item->slot < g->nr_slots ? &g->steps[item->slot] : &none;
}

uint32_t step_of(const struct guest *g, const struct item *item)
{
	return item_step(g, item)->kind;
}

/* Memory that a pass has not listed has not changed. */
static uint64_t value_of(const struct guest *g, const struct item *item,
			 const struct item *other)
{
	uint64_t value = 0;

	if (item)
		return item->value;
	if (other->key == ITEM_MEMORY)
		memcpy(&value, g->mem + other->index, sizeof(value));
	return value;
}

/* Slots that make no exits of their own have run since the last item before this slot. */
static unsigned int first_slot(const struct item *item)
{
	uint16_t slot = item->slot;

	if (item->key >= ITEM_STATE_FIRST)
		return slot;
	while (item->slot == slot && item->key != ITEM_SETUP)
		item--;
	return item->slot < slot ? item->slot + 1U : 0;
}

/* And after that slot, before the guest says that it is done. */
static unsigned int last_slot(const struct guest *g, const struct item *item)
{
	const struct item *io = item->key == ITEM_IO_DATA ? item - 1 : item;

	if (io->key == ITEM_IO && (uint16_t)io->value == DONE_PORT)
		return g->nr_slots - 1;
	return item->slot;
}

/* @item: the one of @a and @b in whose slot the rule's step is looked for. */
static bool matches(const struct rule *rule, const struct guest *g, const struct item *a,
		    const struct item *b, const struct item *item)
{
	if (rule->bits && (value_of(g, a, b) ^ value_of(g, b, a)) & ~rule->bits)
		return false;
	if (rule->key != ANY && rule->key != item->key)
		return false;
	if (rule->index != ANY && rule->index != item->index)
		return false;
	if (rule->step == ANY)
		return true;
	if (item->slot >= g->nr_slots)
		return false;
	return has_step(g, first_slot(item), last_slot(g, item), rule->step, rule->first,
			rule->last);
}

const char *known_difference(const struct guest *g, const struct item *a,
			     const struct item *b)
{
	const char *reason;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (matches(&rules[i], g, a, b, b ? b : a) ||
		    (a && matches(&rules[i], g, a, b, a)))
			return rules[i].reason;
	reason = known_of_end(g, a, b);
	if (reason || !a || !b)
		return reason;
	reason = known_of_devices(g, a, b);
	if (!reason)
		reason = known_of_events(g, a, b);
	return reason ? reason : known_of_registers(g, a, b);
}
