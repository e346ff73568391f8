// SPDX-License-Identifier: GPL-2.0-only
/* All state of a guest that has ended. */
#include <errno.h>
#include <string.h>

#include "result.h"

static void put_words(struct vm *vm, enum item_key key, const void *data, size_t size)
{
	const uint64_t *word = data;
	size_t i;

	/* What is zero stands for itself. */
	for (i = 0; i < size / 8; i++)
		if (word[i])
			result_put(vm->result, key, i, word[i]);
}

static void failed(struct vm *vm, enum item_key key, long ret)
{
	if (ret < 0)
		result_put(vm->result, key, ~0, ret);
}

void normal_sregs(struct kvm_sregs *s)
{
	struct kvm_segment *seg = &s->cs;
	unsigned int i;

	for (i = 0; i < 8; i++, seg++) {
		seg->padding = 0;
		/* Nothing but base and selector of an unusable segment means anything. */
		if (!seg->unusable) {
			/* What is loaded has been accessed. */
			seg->type |= seg->s;
			continue;
		}
		seg->limit = 0;
		seg->type = 0;
		seg->present = 0;
		seg->dpl = 0;
		seg->db = 0;
		seg->s = 0;
		seg->l = 0;
		seg->g = 0;
		seg->avl = 0;
	}
	memset(s->gdt.padding, 0, sizeof(s->gdt.padding));
	memset(s->idt.padding, 0, sizeof(s->idt.padding));
}

static void dump_registers(struct vm *vm)
{
	struct kvm_sregs sregs = {};
	struct kvm_regs regs = {};

	failed(vm, ITEM_STATE_REGS, call(vm->vcpu, KVM_GET_REGS, &regs));
	regs.rflags = defined_flags(vm, regs.rflags);
	put_words(vm, ITEM_STATE_REGS, &regs, sizeof(regs));
	failed(vm, ITEM_STATE_SREGS, call(vm->vcpu, KVM_GET_SREGS, &sregs));
	normal_sregs(&sregs);
	put_words(vm, ITEM_STATE_SREGS, &sregs, sizeof(sregs));
}

static void dump_fpu(struct vm *vm)
{
	struct kvm_fpu fpu = {};

	failed(vm, ITEM_STATE_FPU, call(vm->vcpu, KVM_GET_FPU, &fpu));
	/* Stock KVM does not fill it in; the XSAVE area has it. */
	fpu.mxcsr = 0;
	fpu.pad1 = 0;
	fpu.pad2 = 0;
	put_words(vm, ITEM_STATE_FPU, &fpu, sizeof(fpu) & ~7UL);
}

/* A component that XSTATE_BV leaves out is in its initial state: write that. */
static void dump_xsave(struct vm *vm)
{
	struct kvm_xsave xsave = {};
	uint8_t *bytes = (uint8_t *)xsave.region;
	uint16_t fcw = 0x37f;
	uint64_t present;

	failed(vm, ITEM_STATE_XSAVE, call(vm->vcpu, KVM_GET_XSAVE, &xsave));
	memcpy(&present, bytes + 512, 8);
	if (!(present & 1)) {
		memset(bytes, 0, 24);
		memset(bytes + 32, 0, 128);
		memcpy(bytes, &fcw, 2);
	}
	if (!(present & 2))
		memset(bytes + 160, 0, 256);
	if (!(present & 4))
		memset(bytes + 576, 0, 256);
	memset(bytes + 416, 0, 160);
	put_words(vm, ITEM_STATE_XSAVE, xsave.region, 832);
}

static void dump_events(struct vm *vm)
{
	struct kvm_vcpu_events events = {};
	struct kvm_mp_state mp = {};

	failed(vm, ITEM_STATE_EVENTS, call(vm->vcpu, KVM_GET_VCPU_EVENTS, &events));
	/* Details of events that there are not. */
	if (!events.exception.injected)
		memset(&events.exception, 0, sizeof(events.exception));
	events.exception.pending = 0;
	events.exception_has_payload = 0;
	events.exception_payload = 0;
	if (!events.exception.has_error_code)
		events.exception.error_code = 0;
	if (!events.interrupt.injected)
		events.interrupt.nr = 0;
	events.sipi_vector = 0;
	events.flags = 0;
	memset(&events.smi, 0, sizeof(events.smi));
	put_words(vm, ITEM_STATE_EVENTS, &events, sizeof(events));
	failed(vm, ITEM_STATE_MP, call(vm->vcpu, KVM_GET_MP_STATE, &mp));
	result_put(vm->result, ITEM_STATE_MP, 0, mp.mp_state);
}

static void dump_debug(struct vm *vm)
{
	struct kvm_debugregs debug = {};
	struct kvm_xcrs xcrs = {};

	failed(vm, ITEM_STATE_DEBUG, call(vm->vcpu, KVM_GET_DEBUGREGS, &debug));
	put_words(vm, ITEM_STATE_DEBUG, &debug, sizeof(debug));
	failed(vm, ITEM_STATE_XCR0, call(vm->vcpu, KVM_GET_XCRS, &xcrs));
	result_put(vm->result, ITEM_STATE_XCR0, 0, xcrs.xcrs[0].value);
}

static const uint32_t msrs[] = {
	0x1b, 0x174, 0x175, 0x176, 0x1a0, 0x1d9, 0x200, 0x201, 0x20f, 0x250, 0x258, 0x259,
	0x268, 0x26f, 0x277, 0x2ff, 0x6e0, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083,
	0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
};

static void dump_msrs(struct vm *vm)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[ARRAY_SIZE(msrs)];
	} list = {};
	unsigned int done, i;
	long ret;

	/* The call ends at the first one that it does not know. */
	for (done = 0; done < ARRAY_SIZE(msrs); done += ret + 1) {
		list.head.nmsrs = ARRAY_SIZE(msrs) - done;
		for (i = 0; done + i < ARRAY_SIZE(msrs); i++)
			list.entries[i].index = msrs[done + i];
		ret = call(vm->vcpu, KVM_GET_MSRS, &list);
		if (ret < 0) {
			failed(vm, ITEM_STATE_MSR, ret);
			return;
		}
		for (i = 0; i < ret; i++)
			result_put(vm->result, ITEM_STATE_MSR, msrs[done + i],
				   list.entries[i].data);
	}
}

static void dump_irqchip(struct vm *vm)
{
	struct kvm_lapic_state lapic = {};
	struct kvm_irqchip chip = {};
	const __u64 *word;
	unsigned int i;

	failed(vm, ITEM_STATE_LAPIC, call(vm->vcpu, KVM_GET_LAPIC, &lapic));
	put_words(vm, ITEM_STATE_LAPIC, &lapic, sizeof(lapic));
	for (i = 0; i < 2; i++) {
		chip.chip_id = i;
		failed(vm, ITEM_STATE_PIC, call(vm->fd, KVM_GET_IRQCHIP, &chip));
		word = (const __u64 *)&chip.chip.pic;
		result_put(vm->result, ITEM_STATE_PIC, 16 * i, word[0]);
		result_put(vm->result, ITEM_STATE_PIC, 16 * i + 8, word[1]);
	}
	chip.chip_id = KVM_IRQCHIP_IOAPIC;
	failed(vm, ITEM_STATE_IOAPIC, call(vm->fd, KVM_GET_IRQCHIP, &chip));
	put_words(vm, ITEM_STATE_IOAPIC, &chip.chip.ioapic, sizeof(chip.chip.ioapic));
}

static void dump_memory(struct vm *vm)
{
	const uint64_t *now = (const uint64_t *)vm->machine->mem;
	const uint64_t *then = (const uint64_t *)vm->guest->mem;
	unsigned int i;

	for (i = 0; i < MEM_SIZE / 8; i++)
		if (now[i] != then[i])
			result_put(vm->result, ITEM_MEMORY, 8 * i, now[i]);
}

void vm_dump(struct vm *vm)
{
	dump_memory(vm);
	if (vm->broken)
		return;
	dump_registers(vm);
	dump_fpu(vm);
	dump_xsave(vm);
	dump_debug(vm);
	dump_events(vm);
	dump_msrs(vm);
	if (vm->guest->irqchip)
		dump_irqchip(vm);
}
