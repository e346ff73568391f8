// SPDX-License-Identifier: GPL-2.0-only
/*
 * Differences from stock KVM that are justified, each with its reason.
 *
 * A rule names the step in whose slot the difference showed, and the item; what it does
 * not name may be anything.
 */
#include <errno.h>
#include <string.h>

#include "result.h"

#define ANY	0xffffffff
#define ALL	0, 0xffffffff

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

static const char after_init[] =
	"INIT leaves segments accessed (SDM, Processor State After Reset); stock KVM's VMCB has them not accessed, and a 16-bit TSS";

static const char apic_id[] =
	"vitro's APIC IDs are those of the vCPUs (SDM, Local APIC ID: model-specific whether it can be written)";

static const char cr0_reserved[] =
	"a write to CR0, and CLTS, clear its reserved bits (SDM, Control Registers); QEMU keeps them";

static const char cpuid_topology[] =
	"CPUID leaf 0xB echoes any subleaf in CL (SDM, CPUID); stock KVM does so only if the table has subleaf 1";

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
	{ ANY, ALL, ITEM_STATE_PIC, 0, 0x400,
	  "a request that falls before its acknowledgement is none (8259A data sheet); stock KVM's master does not see the slave's INT fall" },
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
	{ ANY, ALL, ITEM_MEMORY, ANY, 0x0000004000000040,
	  "a write to a device's page sets the dirty bit (SDM, Accessed and Dirty Flags); stock KVM skips the guest's page tables then" },
	{ ANY, ALL, ITEM_STATE_SREGS, 1, 1ULL << 48, after_init },
	{ ANY, ALL, ITEM_STATE_SREGS, 16, 1ULL << 48, after_init },
	{ ANY, ALL, ITEM_STATE_SREGS, 19, 8ULL << 48, after_init },
	{ STEP_EVENT, 0, 2, ITEM_TRAP_IP, ANY, 0xff,
	  "a fault in the delivery of INT n, INT3 or INTO is reported at the instruction (SDM, Saved Program Counter); stock KVM without NRIPS reports the next" },
};

/* Only the time limit has ended the guest. */
static bool endless(const struct item *item)
{
	return item->key == ITEM_END && (int64_t)item->value == -EINTR;
}

/* Stock KVM gives up on an instruction that vitro emulates: an error, #UD for users, or a loop. */
static bool kvm_cannot_emulate(const struct item *a, const struct item *b)
{
	bool gave_up = (a->key == ITEM_EXIT && a->value == KVM_EXIT_INTERNAL_ERROR) ||
		       (a->key == ITEM_TRAP && a->value == 6);

	return (gave_up || endless(a)) && b->key == ITEM_MMIO;
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

/* Is there such a step, with an argument from @first to @last, in one of these slots? */
static bool has_step(const struct guest *g, unsigned int from, unsigned int to, uint32_t kind,
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

/* Was the last exit before this item a write to a device? */
static bool after_device_write(const struct item *item)
{
	for (item--; item->key != ITEM_SETUP; item--) {
		if (item->key == ITEM_MMIO_KIND)
			return item->value >> 32;
		if (item->key == ITEM_IO || item->key == ITEM_TRAP || item->key == ITEM_EXIT)
			return false;
	}
	return false;
}

/* The exception that an item tells of, or NULL. */
static const struct item *trap_of(const struct item *item)
{
	while (item->key > ITEM_TRAP && item->key <= ITEM_TRAP_DR6)
		item--;
	return item->key == ITEM_TRAP ? item : NULL;
}

/* The IP in the frame of an exception, or ~0. */
static uint64_t frame_ip(const struct item *trap)
{
	for (trap++; trap->key > ITEM_TRAP && trap->key <= ITEM_TRAP_DR6; trap++)
		if (trap->key == ITEM_TRAP_IP)
			return trap->value;
	return ~0ULL;
}

/* With TF set, vitro has a #DB for the guest where stock KVM has none, or a later one. */
static bool step_lost(const struct item *a, const struct item *b)
{
	const struct item *trap = trap_of(b);

	if (b->key == ITEM_RUN)
		return (a->value ^ b->value) == 2 && after_device_write(b);
	return trap && trap->value == 1 && after_device_write(trap);
}

static const struct step *item_step(const struct guest *g, const struct item *item)
{
	static const struct step none = { .kind = STEP_NONE };

	return item->slot < g->nr_slots ? &g->steps[item->slot] : &none;
}

static uint32_t step_of(const struct guest *g, const struct item *item)
{
	return item_step(g, item)->kind;
}

/*
 * TCG sets accessed bits in the entries that PAE's CR3 points to, where they are reserved.
 * Stock KVM reads them whenever it emulates an instruction, skips one or changes CR0 or CR4.
 */
static bool accessed_pdpte(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *trap = trap_of(a);
	uint32_t step = step_of(g, a);

	if (!guest_on_amd(g) || g->mode != MODE_PAE)
		return false;
	if (a->key == ITEM_EXIT && a->value == KVM_EXIT_INTERNAL_ERROR)
		return b->key != ITEM_EXIT;
	/* #GP, or what comes of it. */
	if (trap && (trap->value == 13 || trap->value == 8) &&
	    (step == STEP_CR_WRITE || step == STEP_LMSW))
		return true;
	return a->key == ITEM_TRAP && a->value == 14 && b->value != 14;
}

/* What an IRET from an NMI handler uncovers: without virtual NMIs stock KVM notices it late. */
static bool nmi_first(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && a->key == ITEM_TRAP && a->value >= 32 &&
	       b->key == ITEM_TRAP && b->value == 2;
}

/* Did an exception or interrupt come in the handler of another? @trap: its item. */
static bool in_handler(const struct guest *g, const struct item *trap)
{
	uint64_t offset = frame_ip(trap) - (guest_bits(g) == 16 ? 0 : CODE_BASE);

	return offset >= STUBS && offset < CODE_SIZE;
}

/*
 * QEMU 7.2 lets the shadow of the STI before VMRUN reach into the guest, so an NMI or interrupt
 * that is to follow an injected event at once follows an instruction later, in whichever way
 * it was asked for. The same if the guest's first instruction faults.
 */
static bool after_event(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *kvm = trap_of(a);

	if (!guest_on_amd(g) || !kvm || a->key != b->key || (kvm->value != 2 && kvm->value < 32))
		return false;
	if (a->key == ITEM_TRAP)
		return b->value == 1 || in_handler(g, kvm);
	return a->key == ITEM_TRAP_IP && in_handler(g, kvm);
}

/* Waiting for the end of an NMI's handler, stock KVM steps, and clears the guest's own TF. */
static bool tf_forgotten(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && (a->key == ITEM_TRAP_FLAGS || a->key == ITEM_FLAGS) &&
	       a->key == b->key && b->value == (a->value | 0x100);
}

/*
 * Between the exits of an instruction that is not complete. The interrupt that user space wants
 * to inject, or has injected, comes after the instruction in any case.
 */
static bool window(const struct item *a, const struct item *b)
{
	if (a->key == ITEM_EXIT && a->value == KVM_EXIT_IRQ_WINDOW_OPEN)
		return b->key == ITEM_INJECT || b->key == ITEM_TRAP;
	if (b->key == ITEM_EXIT && b->value == KVM_EXIT_IRQ_WINDOW_OPEN)
		return a->key == ITEM_INJECT;
	return a->key == ITEM_INJECT && (b->key == ITEM_MMIO || b->key == ITEM_IO);
}

/* SYSENTER on AMD, in a mode where it has none. */
static bool sysenter_on_amd(const struct guest *g, const struct item *a, const struct item *b)
{
	uint32_t step = step_of(g, b);

	return guest_on_amd(g) && (step == STEP_OTHER || step == STEP_NONE) &&
	       a->key == ITEM_EXIT && a->value == KVM_EXIT_INTERNAL_ERROR &&
	       b->key == ITEM_TRAP && b->value == 6;
}

/* EFER.LMSLE, which CPUID's EferLmsleUnsupported takes away. */
static bool lmsle(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && step_of(g, b) == STEP_WRMSR &&
	       item_step(g, b)->arg == 0xc0000080 && a->key == ITEM_EXIT &&
	       a->value == KVM_EXIT_FAIL_ENTRY && b->key == ITEM_TRAP && b->value == 13;
}

/* Did the guest end in a shutdown or an error? @item: of the state afterwards. */
static bool after_crash(const struct item *item)
{
	while (item->key >= ITEM_STATE_FIRST || item->key == ITEM_END)
		item--;
	while (item->key != ITEM_EXIT && item->key != ITEM_SETUP)
		item--;
	return item->key == ITEM_EXIT && (item->value == KVM_EXIT_SHUTDOWN ||
					  item->value == KVM_EXIT_INTERNAL_ERROR);
}

/* Page tables are where there is no memory, or none that accessed bits can be written to. */
static bool tables_nowhere(const struct item *a, const struct item *b)
{
	if (b->key != ITEM_EXIT ||
	    (b->value != KVM_EXIT_INTERNAL_ERROR && b->value != KVM_EXIT_SHUTDOWN))
		return false;
	return endless(a) || (a->key == ITEM_TRAP && a->value == 14);
}

/* The same in PAE mode: stock KVM goes on with what it knew of the old tables. */
static bool old_pdpte(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->mode == MODE_PAE && step_of(g, b) == STEP_CR_WRITE && a->key == ITEM_IO &&
	       b->key == ITEM_EXIT && b->value == KVM_EXIT_INTERNAL_ERROR;
}

/* INS to a device: stock KVM asks for the next item, and forgets the write of this one. */
static bool ins_to_device(const struct guest *g, const struct item *a, const struct item *b)
{
	return step_of(g, b) == STEP_STRING_PORT && a->key == ITEM_IO && !(a->value >> 32) &&
	       b->key == ITEM_MMIO;
}

/* What CPUID leaf 0xB left in CL, if nothing looked at it before the end. */
static bool subleaf_in_cl(const struct guest *g, const struct item *item)
{
	return item->key == ITEM_STATE_REGS && item->index == 2 &&
	       has_step(g, 0, MAX_SLOTS, STEP_CPUID, 0xb, 0xb);
}

/* Stock KVM's guest has given itself another APIC ID: a message does not find it. */
static bool other_apic_id(const struct guest *g, const struct item *a, const struct item *b)
{
	return a->key == ITEM_INJECT && b->key == ITEM_INJECT && !a->value && b->value == 1 &&
	       has_step(g, 0, b->slot, STEP_APIC, ALL);
}

static bool not_emulated(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->mode != MODE_LONG && a->key == ITEM_MMIO && b->key == ITEM_EXIT &&
	       b->value == KVM_EXIT_INTERNAL_ERROR;
}

/* The guest ends before an instruction is completed, at the first one after VMRUN. */
static bool host_shadow(const struct guest *g, const struct item *a, const struct item *b)
{
	const struct item *item = b ? b : a;
	uint64_t shadow = ((a ? a->value : 0) ^ (b ? b->value : 0)) & ~0x3000000ULL;

	return guest_on_amd(g) && item->key == ITEM_STATE_EVENTS && item->index == 1 && !shadow;
}

/* A vector that the slave or the master makes up, as the request has gone. */
static bool spurious_irq(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->irqchip && a->key == ITEM_TRAP && (a->value & 7) == 7 &&
	       (b->key != ITEM_TRAP || b->value < 32);
}

/* Has the guest initialised the master in a slot before this one? */
static bool after_icw1(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->irqchip && a->key == ITEM_TRAP && b->key != ITEM_TRAP &&
	       has_step(g, 0, b->slot, STEP_PORT, 0x20, 0x20);
}

/* On Intel, too, stock KVM has some of AMD's registers. */
static bool amd_msr_on_intel(const struct guest *g, const struct item *item)
{
	const struct step *step = item_step(g, item);

	if (guest_on_amd(g))
		return false;
	return (step->kind == STEP_RDMSR || step->kind == STEP_WRMSR) &&
	       step->arg >> 16 == 0xc001;
}

/* Entries that PAE's CR3 may not point to, which no processor would have loaded. */
static bool bad_pdpte(const struct guest *g, const struct item *a, const struct item *b)
{
	return g->mode == MODE_PAE && a->key == ITEM_EXIT && a->value == KVM_EXIT_SHUTDOWN &&
	       b->key == ITEM_EXIT && b->value == KVM_EXIT_FAIL_ENTRY;
}

/* VMCALL is not AMD's: no privilege makes a difference. The #UD may meet with other faults. */
static bool vmcall_on_amd(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && step_of(g, b) == STEP_HYPERCALL && trap_of(a) && trap_of(b) &&
	       trap_of(a)->value < 32;
}

/* A string instruction on a device with TF set: stock KVM forgets the traps of iterations. */
static bool iteration_lost(const struct guest *g, const struct item *b)
{
	const struct item *trap = trap_of(b);
	uint32_t step = step_of(g, b);

	return trap && trap->value == 1 && (step == STEP_STRING || step == STEP_STRING_PORT);
}

/* Reading, changing, writing: the write is checked first. INS is alike. */
static bool read_before_fault(const struct item *a, const struct item *b)
{
	if (a->key != ITEM_MMIO && (a->key != ITEM_IO || a->value >> 32))
		return false;
	/* Or what comes of it, if the fault cannot be delivered. */
	return (b->key == ITEM_EXIT && b->value == KVM_EXIT_SHUTDOWN) ||
	       (b->key == ITEM_TRAP && (b->value == 8 || (b->value >= 10 && b->value <= 14)));
}

/* The IP in the frame of a #DB; ~0 if the exception is another. */
static uint64_t debug_trap_ip(const struct item *trap)
{
	return trap->value == 1 ? frame_ip(trap) : ~0ULL;
}

/*
 * Bochs notes before an instruction that it will trap, and an exit from the midst of it
 * keeps the note in the pending debug exceptions: when the instruction is begun again, its
 * trap comes first. Stock KVM has instructions begun again where vitro finishes them:
 * first accesses to devices, and to debug registers.
 */
static bool stepped_again(const struct guest *g, const struct item *a)
{
	const struct item *trap = trap_of(a);
	uint64_t ip = trap ? debug_trap_ip(trap) : ~0ULL;

	if (guest_on_amd(g) || ip == ~0ULL)
		return false;
	for (trap--; trap->key != ITEM_SETUP; trap--)
		if (trap->key == ITEM_TRAP)
			return debug_trap_ip(trap) == ip;
	return false;
}

/* SFMASK with bits from 32 up. */
static bool wide_sfmask(const struct guest *g, const struct item *b)
{
	return !guest_on_amd(g) && b->key == ITEM_TRAP && b->value == 13 &&
	       item_step(g, b)->kind == STEP_WRMSR && item_step(g, b)->arg == 0xc0000084;
}

/* After a MOV to CR3, on Intel: page tables are to be where there is no memory. */
static bool tables_in_device(const struct guest *g, const struct item *a, const struct item *b)
{
	if (guest_on_amd(g) || step_of(g, b) != STEP_CR_WRITE || item_step(g, b)->arg != 3)
		return false;
	/* Both gave up, with different errors; or PAE's MOV to CR3 reads the first of them. */
	return (a->key == ITEM_DETAIL && b->key == ITEM_DETAIL) ||
	       (g->mode == MODE_PAE && a->key == ITEM_TRAP && a->value == 13 &&
		b->key == ITEM_EXIT && b->value == KVM_EXIT_INTERNAL_ERROR);
}

/* What is in service when a PIC's initialisation begins. */
static bool pic_begun_anew(const struct guest *g, const struct item *a, const struct item *b)
{
	if (a->key != ITEM_STATE_PIC || (a->value ^ b->value) & ~0xff000000ULL)
		return false;
	return has_step(g, 0, MAX_SLOTS, STEP_PORT, 0x20, 0x20) ||
	       has_step(g, 0, MAX_SLOTS, STEP_PORT, 0xa0, 0xa0);
}

/* An event is to be delivered by way of a device, its stack for instance. */
static bool delivery_by_device(const struct item *b)
{
	return b->key == ITEM_EXIT && b->value == KVM_EXIT_INTERNAL_ERROR &&
	       b[1].key == ITEM_DETAIL && b[1].value == KVM_INTERNAL_ERROR_DELIVERY_EV;
}

static bool upper_half_of_cr(const struct guest *g, const struct item *a, const struct item *b)
{
	return guest_on_amd(g) && g->mode == MODE_LONG && a->key == ITEM_IO &&
	       b->key == ITEM_TRAP && b->value == 13 && step_of(g, b) == STEP_CR_WRITE;
}

const char *known_difference(const struct guest *g, const struct item *a,
			     const struct item *b)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (matches(&rules[i], g, a, b, b ? b : a) ||
		    (a && matches(&rules[i], g, a, b, a)))
			return rules[i].reason;
	if (a && !b && a->key == ITEM_STATE_EVENTS && !a->index && (uint8_t)a->value == 1 &&
	    after_crash(a))
		return "what ends in a shutdown or an error is over; stock KVM keeps the exception injected, or has one for the error";
	if (host_shadow(g, a, b))
		return "QEMU takes the host's STI shadow for the guest's, and shows it at the exit";
	if (subleaf_in_cl(g, b ? b : a))
		return cpuid_topology;
	if (!a || !b)
		return NULL;
	if (accessed_pdpte(g, a, b))
		return "QEMU sets accessed bits in PAE page-directory pointers, which stock KVM refuses as reserved bits when it reads them again";
	if (tf_forgotten(g, a, b))
		return "NMIs leave RFLAGS.TF alone; stock KVM on AMD, stepping to the end of a handler, clears it";
	if (window(a, b))
		return "when the interrupt window is said to open, in the middle of an instruction, is the hypervisor's choice";
	if (sysenter_on_amd(g, a, b))
		return "SYSENTER is undefined in AMD's long mode (APM, SYSENTER); stock KVM tries to emulate it and fails";
	if (lmsle(g, a, b))
		return "EFER.LMSLE is refused, as not all processors have it (APM, EFER); with stock KVM the entry fails";
	if (tables_nowhere(a, b))
		return "page tables are where there is no memory, or none to be written: vitro says so, stock KVM tries for ever or takes them for empty";
	if (old_pdpte(g, a, b))
		return "page tables are where there is no memory; stock KVM emulates with PAE's old page-directory pointers";
	if (ins_to_device(g, a, b))
		return "INS writes to a device as to memory (SDM, INS); stock KVM loses what a repeated one writes";
	if (other_apic_id(g, a, b))
		return apic_id;
	if (not_emulated(g, a, b))
		return "vitro does not emulate on a device what no driver uses there, such as PUSHA, and says so";
	if (after_icw1(g, a, b))
		return "initialisation forgets edges (8259A data sheet), the slave's as well; stock KVM makes a new one at any change";
	if (spurious_irq(g, a, b))
		return "a request that has gone interrupts no more; stock KVM's PIC looks again only when something else changes";
	if (amd_msr_on_intel(g, a) || amd_msr_on_intel(g, b))
		return "AMD's MSRs do not exist on Intel (SDM, RDMSR); stock KVM has some of them on any vendor";
	if (bad_pdpte(g, a, b))
		return "VM entry refuses reserved bits in PAE's page-directory pointers (SDM, Checks on Guest Page-Directory-Pointer-Table Entries); stock KVM loads none of them";
	if (nmi_first(g, a, b))
		return "NMIs come before interrupts (APM, Priorities); stock KVM on AMD notices the end of an NMI handler an instruction late";
	if (after_event(g, a, b))
		return "an NMI or interrupt comes before a handler's first instruction (APM, Priorities); QEMU takes the host's STI shadow for the guest's";
	if (iteration_lost(g, b))
		return "each iteration of a string instruction traps if TF is set (SDM, Single-Step Exception); stock KVM forgets some when a device is read";
	if (read_before_fault(a, b))
		return "an instruction that reads a device or port and then writes memory is checked for the write before it reads; stock KVM reads first";
	if (upper_half_of_cr(g, a, b))
		return "reserved bits of the upper half of CR0 and CR4 raise #GP (APM, Control Registers); stock KVM without decode assists drops them";
	if (vmcall_on_amd(g, a, b))
		return "VMCALL is undefined on AMD at any CPL; stock KVM checks the CPL first";
	if (step_lost(a, b))
		return "an instruction that completes with TF set traps (SDM, Single-Step Exception); stock KVM forgets it when a device write goes to user space";
	if (stepped_again(g, a))
		return "an instruction that is begun again after an exit has not completed, so it has not trapped (SDM, Single-Step Exception); Bochs has kept the trap, where stock KVM has instructions begun again";
	if (wide_sfmask(g, b))
		return "the upper half of SFMASK is reserved, and reserved bits raise #GP (SDM, WRMSR); Bochs, whom stock KVM asks, drops them";
	if (tables_in_device(g, a, b))
		return "page tables where there is no memory: vitro gives up when they are read; stock KVM raises #GP for PAE's first entries, and gives up at the delivery of an event";
	if (pic_begun_anew(g, a, b))
		return "ICW1 begins the initialisation of a PIC, after which nothing is in service; stock KVM keeps what was";
	if (delivery_by_device(b))
		return "an event whose delivery accesses a device is an error that user space is told of; stock KVM on AMD, and at the first access on Intel, emulates the instruction at RIP instead";
	if (kvm_cannot_emulate(a, b))
		return "stock KVM does not emulate the instruction on a device";
	return NULL;
}
