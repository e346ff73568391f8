// SPDX-License-Identifier: GPL-2.0-only
/* What vitro adds to the KVM API: uapi/vitro.h. */
#include <string.h>

#include <vitro.h>

#include "vm.h"

static void need_vitro(void)
{
	if (kvm_is_stock())
		test_skip("%s is not vitro", test_device());
}

static void hlt_guest(uint64_t arg)
{
	(void)arg;
	hlt();
}

TEST(info)
{
	struct vitro_info info;
	int fd = kvm_open();

	need_vitro();
	memset(&info, 0xee, sizeof(info));
	REQUIRE_OK(sys_ioctl(fd, VITRO_GET_INFO, &info));
	CHECK_EQ(info.version, VITRO_EXTENSION_VERSION);
	CHECK_EQ(info.backend, host_is_amd() ? VITRO_BACKEND_SVM :
					       VITRO_BACKEND_VMX);
	CHECK(info.tsc_khz > 1000, "tsc_khz %u", info.tsc_khz);
	CHECK_EQ(info.max_vcpus, kvm_has(KVM_CAP_MAX_VCPUS));
	CHECK(memchr(info.release, 0, sizeof(info.release)) &&
	      info.release[0], "release is no text");
	CHECK(memchr(info.features, 0, sizeof(info.features)) &&
	      info.features[0], "features is no text");
	CHECK_ERR(sys_ioctl(fd, VITRO_GET_INFO, NULL), EFAULT);
	CHECK_ERR(sys_ioctl(fd, VITRO_GET_INFO, BAD_PTR), EFAULT);
}

TEST(timing)
{
	struct vm *vm = vm_new(0);

	need_vitro();
	CHECK_OK(sys_ioctl_val(vm->fd, VITRO_SET_TIMING, 1));
	EXPECT_EXIT(vcpu_new(vm, 0, hlt_guest), KVM_EXIT_HLT);
	CHECK_OK(sys_ioctl_val(vm->fd, VITRO_SET_TIMING, 0));
	CHECK_ERR(sys_ioctl_val(vm->fd, VITRO_SET_TIMING, 2), EINVAL);
	CHECK_ERR(sys_ioctl_val(vm->fd, VITRO_SET_TIMING, -1), EINVAL);
}

TEST(explain_entry)
{
	static struct vitro_explain explain;
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, hlt_guest);
	struct kvm_sregs sregs;

	need_vitro();
	CHECK_ERR(sys_ioctl(vcpu->fd, VITRO_EXPLAIN_ENTRY, &explain), ENOENT);
	CHECK_ERR(sys_ioctl(vcpu->fd, VITRO_EXPLAIN_ENTRY, BAD_PTR), ENOENT);
	vcpu_get_sregs(vcpu, &sregs);
	/* Both 64-bit and 32-bit. */
	sregs.cs.db = 1;
	if (vcpu_set_sregs(vcpu, &sregs))
		test_skip("KVM_SET_SREGS refuses what would fail the entry");
	EXPECT_EXIT(vcpu, KVM_EXIT_FAIL_ENTRY);
	memset(&explain, 0xee, sizeof(explain));
	REQUIRE_OK(sys_ioctl(vcpu->fd, VITRO_EXPLAIN_ENTRY, &explain));
	CHECK(explain.code != 0, "no code");
	CHECK_EQ(explain.reserved, 0);
	REQUIRE(explain.text_len < sizeof(explain.text), "text_len %u",
		explain.text_len);
	CHECK_EQ(explain.text[explain.text_len], 0);
	CHECK_EQ(strlen(explain.text), explain.text_len);
	/* The rule that is broken is about this register. */
	CHECK(strstr(explain.text, "CS"), "text: %s", explain.text);
	CHECK_ERR(sys_ioctl(vcpu->fd, VITRO_EXPLAIN_ENTRY, BAD_PTR), EFAULT);
}

TEST(wrong_descriptor)
{
	static struct vitro_explain explain;
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, hlt_guest);
	struct vitro_info info;

	need_vitro();
	CHECK_ERR(sys_ioctl(vm->fd, VITRO_GET_INFO, &info), ENOTTY);
	CHECK_ERR(sys_ioctl(vcpu->fd, VITRO_GET_INFO, &info), ENOTTY);
	CHECK_ERR(sys_ioctl_val(vm->kvm, VITRO_SET_TIMING, 1), ENOTTY);
	CHECK_ERR(sys_ioctl_val(vcpu->fd, VITRO_SET_TIMING, 1), ENOTTY);
	CHECK_ERR(sys_ioctl(vm->kvm, VITRO_EXPLAIN_ENTRY, &explain), ENOTTY);
	CHECK_ERR(sys_ioctl(vm->fd, VITRO_EXPLAIN_ENTRY, &explain), ENOTTY);
}

/* On stock KVM these calls must be unknown, whatever the answer is there. */
TEST(unknown_to_others)
{
	struct vitro_info info;

	if (!kvm_is_stock())
		test_skip("%s is vitro", test_device());
	CHECK_ERR(sys_ioctl(kvm_open(), VITRO_GET_INFO, &info),
		  unknown_ioctl_errno());
}
