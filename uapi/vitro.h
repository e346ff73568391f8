/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What vitro adds to the KVM API of <linux/kvm.h>.
 *
 * Every call here has an ioctl magic of its own, so a program that issues one
 * to another implementation of the KVM API gets ENOTTY and nothing else.
 */
#ifndef _UAPI_VITRO_H
#define _UAPI_VITRO_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VITRO_IOC_MAGIC		0xB7

/* Version of this header's extensions; grows when something is added. */
#define VITRO_EXTENSION_VERSION	1

/* struct vitro_info, backend */
#define VITRO_BACKEND_VMX	1
#define VITRO_BACKEND_SVM	2

/**
 * struct vitro_info - which hypervisor this is and what it found
 * @version:	VITRO_EXTENSION_VERSION of the loaded module
 * @backend:	VITRO_BACKEND_VMX or VITRO_BACKEND_SVM
 * @tsc_khz:	host TSC frequency in kHz
 * @max_vcpus:	vCPUs that a VM can have
 * @release:	version of the module, NUL-terminated
 * @features:	names of the processor features in use, separated by spaces,
 *		NUL-terminated
 */
struct vitro_info {
	__u32 version;
	__u32 backend;
	__u32 tsc_khz;
	__u32 max_vcpus;
	char  release[32];
	char  features[208];
};

/*
 * VITRO_GET_INFO - on the device fd. Fills struct vitro_info.
 * Errors: EFAULT.
 */
#define VITRO_GET_INFO		_IOR(VITRO_IOC_MAGIC, 0x00, struct vitro_info)

/*
 * VITRO_SET_TIMING - on a VM fd. The argument (by value) 1 turns the per-exit
 * time statistics (time_<exit>, nanoseconds, in the vCPU's binary statistics)
 * on, 0 turns them off. Off by default: it costs two time-stamp reads an exit.
 * Errors: EINVAL if the argument is neither 0 nor 1.
 */
#define VITRO_SET_TIMING	_IO(VITRO_IOC_MAGIC, 0x10)

/**
 * struct vitro_explain - why the last VM entry failed
 * @code:	what the processor said: the VM-instruction error or exit
 *		reason (VMX), EXITCODE (SVM); 0 if no entry has failed
 * @text_len:	bytes used in @text without the NUL
 * @reserved:	0
 * @text:	one line for each rule that the guest state breaks: the rule,
 *		the field, its value, the manual's section name, the remedy;
 *		NUL-terminated
 */
struct vitro_explain {
	__u64 code;
	__u32 text_len;
	__u32 reserved;
	char  text[4080];
};

/*
 * VITRO_EXPLAIN_ENTRY - on a vCPU fd. Tells rule by rule why the last
 * KVM_RUN ended in KVM_EXIT_FAIL_ENTRY.
 * Errors: EFAULT, ENOENT if no entry has failed on this vCPU.
 */
#define VITRO_EXPLAIN_ENTRY	_IOR(VITRO_IOC_MAGIC, 0x20, struct vitro_explain)

#endif /* _UAPI_VITRO_H */
