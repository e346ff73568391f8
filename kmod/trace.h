/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events: /sys/kernel/tracing/events/vitro. They cost a patched-out
 * jump each while they are off.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vitro

#if !defined(VITRO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VITRO_TRACE_H

#include <linux/tracepoint.h>

#include "exit.h"

#ifndef VITRO_TRACE_EXIT_NAMES
#define VITRO_TRACE_EXIT_NAMES
#define VITRO_EXIT_SYMBOL(sym, name) { VITRO_EXIT_##sym, #name },
#endif

TRACE_EVENT(vitro_entry,
	TP_PROTO(u32 vcpu_id, u64 rip),
	TP_ARGS(vcpu_id, rip),
	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->rip = rip;
	),
	TP_printk("vcpu %u rip 0x%llx", __entry->vcpu_id, __entry->rip)
);

TRACE_EVENT(vitro_exit,
	TP_PROTO(u32 vcpu_id, u64 rip, const struct vitro_exit *exit),
	TP_ARGS(vcpu_id, rip, exit),
	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u32, reason)
		__field(u64, rip)
		__field(u64, hw_reason)
		__field(u64, hw_info)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->reason = exit->reason;
		__entry->rip = rip;
		__entry->hw_reason = exit->hw_reason;
		__entry->hw_info = exit->hw_info;
	),
	TP_printk("vcpu %u reason %s rip 0x%llx hw_reason 0x%llx hw_info 0x%llx",
		  __entry->vcpu_id,
		  __print_symbolic(__entry->reason,
				   VITRO_EXIT_REASONS(VITRO_EXIT_SYMBOL) { -1, NULL }),
		  __entry->rip, __entry->hw_reason, __entry->hw_info)
);

TRACE_EVENT(vitro_inject_irq,
	TP_PROTO(u32 vcpu_id, u8 vector, bool soft, bool again),
	TP_ARGS(vcpu_id, vector, soft, again),
	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u8, vector)
		__field(bool, soft)
		__field(bool, again)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->vector = vector;
		__entry->soft = soft;
		__entry->again = again;
	),
	TP_printk("vcpu %u %s 0x%02x%s", __entry->vcpu_id,
		  __entry->soft ? "soft" : "irq", __entry->vector,
		  __entry->again ? " again" : "")
);

TRACE_EVENT(vitro_inject_nmi,
	TP_PROTO(u32 vcpu_id, bool again),
	TP_ARGS(vcpu_id, again),
	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(bool, again)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->again = again;
	),
	TP_printk("vcpu %u%s", __entry->vcpu_id, __entry->again ? " again" : "")
);

TRACE_EVENT(vitro_inject_exception,
	TP_PROTO(u32 vcpu_id, u8 vector, bool has_error, u32 error_code, bool again),
	TP_ARGS(vcpu_id, vector, has_error, error_code, again),
	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u8, vector)
		__field(bool, has_error)
		__field(bool, again)
		__field(u32, error_code)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->vector = vector;
		__entry->has_error = has_error;
		__entry->error_code = error_code;
		__entry->again = again;
	),
	TP_printk("vcpu %u vector %u error %s0x%x%s", __entry->vcpu_id,
		  __entry->vector, __entry->has_error ? "" : "none ",
		  __entry->error_code, __entry->again ? " again" : "")
);

TRACE_EVENT(vitro_tdp_fault,
	TP_PROTO(u32 vcpu_id, u64 gpa, u8 access, int result, bool fast),
	TP_ARGS(vcpu_id, gpa, access, result, fast),
	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u64, gpa)
		__field(u8, access)
		__field(bool, fast)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->gpa = gpa;
		__entry->access = access;
		__entry->result = result;
		__entry->fast = fast;
	),
	TP_printk("vcpu %u gpa 0x%llx %s%s%s %s%s", __entry->vcpu_id, __entry->gpa,
		  __entry->access & VITRO_ACC_READ ? "r" : "-",
		  __entry->access & VITRO_ACC_WRITE ? "w" : "-",
		  __entry->access & VITRO_ACC_EXEC ? "x" : "-",
		  __print_symbolic(__entry->result, { 0, "mapped" }, { 1, "mmio" },
				   { 2, "slow" }, { 3, "error" }),
		  __entry->fast ? " fast" : "")
);

TRACE_EVENT(vitro_msr,
	TP_PROTO(u32 vcpu_id, bool write, u32 msr, u64 value, bool fault),
	TP_ARGS(vcpu_id, write, msr, value, fault),
	TP_STRUCT__entry(
		__field(u32, vcpu_id)
		__field(u32, msr)
		__field(u64, value)
		__field(bool, write)
		__field(bool, fault)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu_id;
		__entry->msr = msr;
		__entry->value = value;
		__entry->write = write;
		__entry->fault = fault;
	),
	TP_printk("vcpu %u %s 0x%x = 0x%llx%s", __entry->vcpu_id,
		  __entry->write ? "write" : "read", __entry->msr, __entry->value,
		  __entry->fault ? " #GP" : "")
);

#endif /* VITRO_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
