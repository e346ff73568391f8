// SPDX-License-Identifier: GPL-2.0-only
/* Says in words why a vCPU cannot go on, and what its registers held. */
#include "core/util.h"
#include "core/vcpu.h"
#include "core/vm.h"
#include "vitro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define NAME(x) [KVM_EXIT_##x] = #x

const char *exit_reason_name(unsigned int reason)
{
	static const char * const names[] = {
		NAME(UNKNOWN), NAME(EXCEPTION), NAME(IO), NAME(HYPERCALL),
		NAME(DEBUG), NAME(HLT), NAME(MMIO), NAME(IRQ_WINDOW_OPEN),
		NAME(SHUTDOWN), NAME(FAIL_ENTRY), NAME(INTR), NAME(SET_TPR),
		NAME(TPR_ACCESS), NAME(NMI), NAME(INTERNAL_ERROR),
		NAME(SYSTEM_EVENT), NAME(IOAPIC_EOI), NAME(HYPERV),
		NAME(X86_RDMSR), NAME(X86_WRMSR), NAME(X86_BUS_LOCK),
		NAME(DIRTY_RING_FULL), NAME(NOTIFY),
	};

	if (reason < ARRAY_SIZE(names) && names[reason])
		return names[reason];
	return "unknown";
}

static const char *suberror_text(unsigned int suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "an instruction could not be emulated";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "exceptions came too close together";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "the guest left while an event was being delivered";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "the processor gave an exit reason that is not handled";
	}
	return "of a kind that this program does not know";
}

/* What the processor said when it refused to enter the guest. */
static const char *entry_failure_text(uint64_t code)
{
	switch (code) {
	case 0x80000021:
		return "VMX: the guest state is invalid";
	case 0x80000022:
		return "VMX: a value in the MSR-load area is invalid";
	case 0x80000029:
		return "VMX: a machine check came during entry";
	case 7:
		return "VMX: VM entry with invalid control fields";
	case 8:
		return "VMX: VM entry with invalid host-state fields";
	case ~0ULL:
	case 0xffffffff:
		return "SVM: VMEXIT_INVALID, the guest state in the VMCB is invalid";
	}
	return "a code that this program does not know";
}

static void report_entry_failure(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint64_t code = run->fail_entry.hardware_entry_failure_reason;
	struct vitro_explain *explain;

	note("vCPU %u: the processor refused to enter the guest, code %#llx on CPU %u (%s)",
	     vcpu->id, (unsigned long long)code, run->fail_entry.cpu, entry_failure_text(code));
	explain = calloc(1, sizeof(*explain));
	if (!explain)
		return;
	if (ioctl(vcpu->fd, VITRO_EXPLAIN_ENTRY, explain) == 0) {
		explain->text[sizeof(explain->text) - 1] = '\0';
		fprintf(stderr, "%s%s", explain->text,
			explain->text_len && explain->text[explain->text_len - 1] == '\n' ? "" : "\n");
	}
	free(explain);
}

static void report_internal_error(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	unsigned int n = min_u64(run->internal.ndata, ARRAY_SIZE(run->internal.data));

	note("vCPU %u: internal error %u of the hypervisor: %s", vcpu->id,
	     run->internal.suberror, suberror_text(run->internal.suberror));
	for (unsigned int i = 0; i < n; i++)
		fprintf(stderr, "  data[%u] %#018llx\n", i, run->internal.data[i]);
	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	fprintf(stderr, "  instruction bytes:");
	for (unsigned int i = 0; i < min_u64(run->emulation_failure.insn_size, 15); i++)
		fprintf(stderr, " %02x", run->emulation_failure.insn_bytes[i]);
	fprintf(stderr, "\n");
}

static void print_segment(const char *name, const struct kvm_segment *s)
{
	fprintf(stderr, "  %-3s %04x base %016llx limit %08x type %x s %u dpl %u p %u l %u db %u g %u%s\n",
		name, s->selector, s->base, s->limit, s->type, s->s, s->dpl,
		s->present, s->l, s->db, s->g, s->unusable ? " unusable" : "");
}

void vcpu_dump_registers(struct vcpu *vcpu)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &r) < 0 || ioctl(vcpu->fd, KVM_GET_SREGS, &s) < 0) {
		note("vCPU %u: cannot read its registers: %s", vcpu->id, strerror(errno));
		return;
	}
	fprintf(stderr,
		"  rip %016llx rflags %08llx\n"
		"  rax %016llx rbx %016llx rcx %016llx rdx %016llx\n"
		"  rsi %016llx rdi %016llx rsp %016llx rbp %016llx\n"
		"  r8  %016llx r9  %016llx r10 %016llx r11 %016llx\n"
		"  r12 %016llx r13 %016llx r14 %016llx r15 %016llx\n",
		r.rip, r.rflags, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rsp, r.rbp,
		r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15);
	print_segment("cs", &s.cs);
	print_segment("ds", &s.ds);
	print_segment("es", &s.es);
	print_segment("ss", &s.ss);
	print_segment("fs", &s.fs);
	print_segment("gs", &s.gs);
	print_segment("tr", &s.tr);
	print_segment("ldt", &s.ldt);
	fprintf(stderr,
		"  gdt base %016llx limit %04x  idt base %016llx limit %04x\n"
		"  cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx cr8 %llx\n"
		"  efer %04llx apic_base %llx\n",
		s.gdt.base, s.gdt.limit, s.idt.base, s.idt.limit,
		s.cr0, s.cr2, s.cr3, s.cr4, s.cr8, s.efer, s.apic_base);
}

void vcpu_report(struct vcpu *vcpu)
{
	unsigned int reason = vcpu->run->exit_reason;

	switch (reason) {
	case KVM_EXIT_FAIL_ENTRY:
		report_entry_failure(vcpu);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		report_internal_error(vcpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		note("vCPU %u: triple fault: an exception came while a double fault was being delivered",
		     vcpu->id);
		break;
	case KVM_EXIT_UNKNOWN:
		note("vCPU %u: the processor left the guest for a reason unknown to the hypervisor, code %#llx",
		     vcpu->id, vcpu->run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		note("vCPU %u: system event %u, which this program does not handle",
		     vcpu->id, vcpu->run->system_event.type);
		break;
	default:
		note("vCPU %u: exit %u (%s), which this program does not handle",
		     vcpu->id, reason, exit_reason_name(reason));
	}
	vcpu_dump_registers(vcpu);
}
