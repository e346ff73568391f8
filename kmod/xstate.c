// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's XSAVE state.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xcr.h>
#include <asm/processor.h>

#include "compat.h"
#include "cpuid.h"
#include "vcpu.h"
#include "xstate.h"

/*
 * PKRU is left out: the kernel's own accesses to user memory obey it, so it
 * could not stay in the register while the vCPU is hot. AMX is left out
 * because its state is 8 KiB and allocated on demand by the kernel only.
 */
#define SUPPORTED_XCR0 (XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM | \
			XFEATURE_MASK_OPMASK | XFEATURE_MASK_ZMM_Hi256 | XFEATURE_MASK_Hi16_ZMM)
#define AVX512_XCR0 (XFEATURE_MASK_OPMASK | XFEATURE_MASK_ZMM_Hi256 | XFEATURE_MASK_Hi16_ZMM)

#define MXCSR_RESET		0x1f80
#define FCW_RESET		0x37f

u64 vitro_host_xcr0;
u64 vitro_guest_xcr0;
static u32 image_size;
static u32 ymm_offset;
static u32 mxcsr_mask;

/**
 * vitro_xstate_size() - size of an XSAVE area in standard format
 * @xcr0: components
 *
 * Return: bytes.
 */
u32 vitro_xstate_size(u64 xcr0)
{
	u32 size = VITRO_XSAVE_LEGACY_SIZE, eax, ebx, ecx, edx;
	int i;

	for (i = 2; i < 63; i++) {
		if (!(xcr0 & vitro_guest_xcr0 & BIT_ULL(i)))
			continue;
		cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx);
		size = max(size, eax + ebx);
	}
	return size;
}

/* The MXCSR bits that the processor accepts; SDM, "FXSAVE". */
static u32 read_mxcsr_mask(void)
{
	struct fxregs_state *fx;
	u32 mask = 0;

	fx = kzalloc(sizeof(*fx), GFP_KERNEL);
	if (fx) {
		kernel_fpu_begin();
		asm volatile("fxsave %0" : "+m" (*fx));
		kernel_fpu_end();
		mask = fx->mxcsr_mask;
		kfree(fx);
	}
	return mask ? mask : 0xffbf;
}

/**
 * vitro_xstate_init() - learn the processor's XSAVE layout
 *
 * Context: module load.
 */
void vitro_xstate_init(void)
{
	u32 eax, ebx, ecx, edx;

	vitro_host_xcr0 = 0;
	vitro_guest_xcr0 = XFEATURE_MASK_FPSSE;
	image_size = VITRO_XSAVE_LEGACY_SIZE;
	mxcsr_mask = read_mxcsr_mask();
	if (!boot_cpu_has(X86_FEATURE_OSXSAVE))
		return;

	vitro_host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	vitro_guest_xcr0 = vitro_host_xcr0 & SUPPORTED_XCR0;
	image_size = vitro_xstate_size(vitro_guest_xcr0);
	if (vitro_guest_xcr0 & XFEATURE_MASK_YMM) {
		cpuid_count(0xd, XFEATURE_YMM, &eax, &ebx, &ecx, &edx);
		ymm_offset = ebx;
	}
}

int vitro_xstate_alloc(struct vitro_vcpu *vcpu)
{
	/* kmalloc aligns powers of two naturally; XSAVE wants 64 bytes. */
	vcpu->xstate = kzalloc(roundup_pow_of_two(image_size), GFP_KERNEL_ACCOUNT);
	return vcpu->xstate ? 0 : -ENOMEM;
}

void vitro_xstate_free(struct vitro_vcpu *vcpu)
{
	kfree(vcpu->xstate);
}

/* The initial configuration of all components, as after RESET. */
void vitro_xstate_reset(struct vitro_vcpu *vcpu)
{
	memset(vcpu->xstate, 0, image_size);
	vcpu->xstate->i387.cwd = FCW_RESET;
	vcpu->xstate->i387.mxcsr = MXCSR_RESET;
	vcpu->xstate->header.xfeatures = XFEATURE_MASK_FPSSE;
	vcpu->xcr0 = XFEATURE_MASK_FP;
	if (!vitro_host_xcr0)
		vcpu->xcr0 = 0;
}

/**
 * vitro_xstate_load() - image to registers
 * @vcpu: the vCPU
 *
 * The image has been validated when user space gave it. Should the
 * processor refuse it all the same, the guest gets the initial state.
 */
void vitro_xstate_load(struct vitro_vcpu *vcpu)
{
	u32 low = vitro_guest_xcr0, high = vitro_guest_xcr0 >> 32;
	int err = 0;

	if (!vitro_host_xcr0) {
		asm volatile("1: fxrstor64 %[image]\n"
			     "2:\n"
			     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %[err])
			     : [err] "+r" (err) : [image] "m" (vcpu->xstate->i387));
		return;
	}
	asm volatile("1: xrstor64 %[image]\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %[err])
		     : [err] "+r" (err)
		     : [image] "m" (*vcpu->xstate), "a" (low), "d" (high)
		     : "memory");
	if (unlikely(err)) {
		memset(vcpu->xstate, 0, image_size);
		asm volatile("xrstor64 %[image]"
			     : : [image] "m" (*vcpu->xstate), "a" (low), "d" (high)
			     : "memory");
	}
}

/**
 * vitro_xstate_save() - registers to image
 * @vcpu: the vCPU
 */
void vitro_xstate_save(struct vitro_vcpu *vcpu)
{
	u32 low = vitro_guest_xcr0, high = vitro_guest_xcr0 >> 32;

	if (vitro_host_xcr0)
		asm volatile("xsave64 %[image]"
			     : [image] "+m" (*vcpu->xstate)
			     : "a" (low), "d" (high)
			     : "memory");
	else
		asm volatile("fxsave64 %[image]" : [image] "=m" (vcpu->xstate->i387));
}

/*
 * A component whose XSTATE_BV bit is clear is in its initial state whatever
 * the image's bytes are. Before the bytes of the legacy area are used, make
 * them say so.
 */
static void materialise_legacy(struct vitro_vcpu *vcpu)
{
	struct xregs_state *x = vcpu->xstate;
	u64 missing = XFEATURE_MASK_FPSSE & ~x->header.xfeatures;

	if (!vitro_host_xcr0 || !missing)
		return;
	if (missing & XFEATURE_MASK_FP) {
		/* The first 24 bytes and the eight x87 registers. */
		memset(&x->i387, 0, 24);
		memset(x->i387.st_space, 0, sizeof(x->i387.st_space));
		x->i387.cwd = FCW_RESET;
	}
	if (missing & XFEATURE_MASK_SSE)
		memset(x->i387.xmm_space, 0, sizeof(x->i387.xmm_space));
	x->header.xfeatures |= XFEATURE_MASK_FPSSE;
}

void vitro_get_fpu(struct vitro_vcpu *vcpu, struct kvm_fpu *fpu)
{
	const struct fxregs_state *fx = &vcpu->xstate->i387;

	materialise_legacy(vcpu);
	memset(fpu, 0, sizeof(*fpu));
	memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
	fpu->fcw = fx->cwd;
	fpu->fsw = fx->swd;
	fpu->ftwx = fx->twd;
	fpu->last_opcode = fx->fop;
	fpu->last_ip = fx->rip;
	fpu->last_dp = fx->rdp;
	memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
	fpu->mxcsr = fx->mxcsr;
}

int vitro_set_fpu(struct vitro_vcpu *vcpu, const struct kvm_fpu *fpu)
{
	struct fxregs_state *fx = &vcpu->xstate->i387;

	if (fpu->mxcsr & ~mxcsr_mask)
		return -EINVAL;
	materialise_legacy(vcpu);
	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	fx->mxcsr = fpu->mxcsr;
	return 0;
}

void vitro_get_xsave(struct vitro_vcpu *vcpu, struct kvm_xsave *xsave)
{
	BUILD_BUG_ON(sizeof(*xsave) < VITRO_XSAVE_LEGACY_SIZE);
	memset(xsave, 0, sizeof(*xsave));
	memcpy(xsave, vcpu->xstate, min_t(size_t, image_size, sizeof(*xsave)));
	if (!vitro_host_xcr0)
		((struct xregs_state *)xsave)->header.xfeatures = XFEATURE_MASK_FPSSE;
}

/**
 * vitro_set_xsave() - KVM_SET_XSAVE
 * @vcpu:  the vCPU
 * @xsave: the image
 *
 * Return: 0, or -EINVAL if XRSTOR would refuse the image.
 */
int vitro_set_xsave(struct vitro_vcpu *vcpu, const struct kvm_xsave *xsave)
{
	static const u8 zeros[sizeof_field(struct xstate_header, reserved)];
	const struct xregs_state *image = (const struct xregs_state *)xsave;

	if (image->header.xfeatures & ~vitro_guest_xcr0 ||
	    image->header.xcomp_bv ||
	    memcmp(image->header.reserved, zeros, sizeof(zeros)) ||
	    image->i387.mxcsr & ~mxcsr_mask)
		return -EINVAL;
	memcpy(vcpu->xstate, xsave, min_t(size_t, image_size, sizeof(*xsave)));
	return 0;
}

int vitro_get_xcrs(struct vitro_vcpu *vcpu, struct kvm_xcrs *xcrs)
{
	if (!vitro_host_xcr0)
		return -EINVAL;
	memset(xcrs, 0, sizeof(*xcrs));
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].xcr = XCR_XFEATURE_ENABLED_MASK;
	xcrs->xcrs[0].value = vcpu->xcr0;
	return 0;
}

int vitro_set_xcrs(struct vitro_vcpu *vcpu, const struct kvm_xcrs *xcrs)
{
	u32 i;

	if (!vitro_host_xcr0 || xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == XCR_XFEATURE_ENABLED_MASK)
			return vitro_write_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK,
					       xcrs->xcrs[i].value) ? -EINVAL : 0;
	return 0;
}

/**
 * vitro_write_xcr() - XSETBV
 * @vcpu:  the vCPU, not hot
 * @index: extended control register
 * @value: new value
 *
 * SDM, "Extended Control Registers (Including XCR0)".
 *
 * Return: 0, or 1 if the instruction raises #GP.
 */
int vitro_write_xcr(struct vitro_vcpu *vcpu, u32 index, u64 value)
{
	if (index != XCR_XFEATURE_ENABLED_MASK || !(value & XFEATURE_MASK_FP))
		return 1;
	if (value & ~vcpu->guest_xcr0_mask)
		return 1;
	if (value & XFEATURE_MASK_YMM && !(value & XFEATURE_MASK_SSE))
		return 1;
	if (value & AVX512_XCR0 && ((value & AVX512_XCR0) != AVX512_XCR0 ||
				    !(value & XFEATURE_MASK_YMM)))
		return 1;
	vcpu->xcr0 = value;
	vitro_cpuid_runtime(vcpu);
	return 0;
}

static u8 *ymm_upper(struct vitro_vcpu *vcpu, unsigned int reg)
{
	return (u8 *)vcpu->xstate + ymm_offset + 16 * (reg & 15);
}

void vitro_xstate_get_vector(struct vitro_vcpu *vcpu, unsigned int reg, void *buf,
			     unsigned int len)
{
	materialise_legacy(vcpu);
	memcpy(buf, (u8 *)vcpu->xstate->i387.xmm_space + 16 * (reg & 15), 16);
	if (len <= 16)
		return;
	if (ymm_offset && vcpu->xstate->header.xfeatures & XFEATURE_MASK_YMM)
		memcpy(buf + 16, ymm_upper(vcpu, reg), 16);
	else
		memset(buf + 16, 0, 16);
}

void vitro_xstate_set_vector(struct vitro_vcpu *vcpu, unsigned int reg, const void *buf,
			     unsigned int len, bool zero_upper)
{
	static const u8 zeros[16];
	const void *upper = len > 16 ? buf + 16 : zeros;
	struct xregs_state *x = vcpu->xstate;

	materialise_legacy(vcpu);
	memcpy((u8 *)x->i387.xmm_space + 16 * (reg & 15), buf, 16);
	if (!ymm_offset || (len <= 16 && !zero_upper))
		return;
	if (!(x->header.xfeatures & XFEATURE_MASK_YMM)) {
		memset((u8 *)x + ymm_offset, 0, 256);
		x->header.xfeatures |= XFEATURE_MASK_YMM;
	}
	memcpy(ymm_upper(vcpu, reg), upper, 16);
}
