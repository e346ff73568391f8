// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access to guest memory on behalf of the guest, through the user mapping that
 * backs it. Nothing is mapped or pinned for it; what the host has paged out
 * comes back as for any user access.
 */
#include <linux/uaccess.h>

#include "tdp_internal.h"

/* User address of @gpa, or NULL and no slot. A slot may begin at user address 0. */
static __always_inline void __user *user_address(struct vitro_vm *vm, u64 gpa, bool write,
						 struct vitro_memslot **slot)
{
	struct vitro_memslot *found = vitro_find_slot(vm, gpa >> PAGE_SHIFT);

	if (found && write && (found->flags & KVM_MEM_READONLY))
		found = NULL;
	*slot = found;
	if (!found)
		return NULL;
	return (void __user *)(vitro_slot_hva(found, gpa >> PAGE_SHIFT) + offset_in_page(gpa));
}

/* Bytes of an access at @gpa that lie in the first page. */
static size_t first_piece(u64 gpa, size_t len)
{
	return min_t(size_t, len, PAGE_SIZE - offset_in_page(gpa));
}

/*
 * Sizes of operands, of opcodes and of instructions are read and written by one
 * or two plain moves: the general copy costs more than all the rest. Each move
 * is atomic if it is aligned, as the guest expects.
 */
static bool is_small(size_t len)
{
	return len <= 16 && BIT(len) & (BIT(1) | BIT(2) | BIT(4) | GENMASK(16, 8));
}

/* Returns true on failure. */
static __always_inline bool read_small(void *buf, const void __user *from, size_t len)
{
	if (!user_read_access_begin(from, len))
		return true;
	switch (len) {
	case 1:
		unsafe_get_user(*(u8 *)buf, (const u8 __user *)from, fault);
		break;
	case 2:
		unsafe_get_user(*(u16 *)buf, (const u16 __user *)from, fault);
		break;
	case 4:
		unsafe_get_user(*(u32 *)buf, (const u32 __user *)from, fault);
		break;
	default:
		/* The second half may overlap the first. */
		unsafe_get_user(*(u64 *)buf, (const u64 __user *)from, fault);
		if (len == sizeof(u64))
			break;
		buf += len - sizeof(u64);
		from += len - sizeof(u64);
		unsafe_get_user(*(u64 *)buf, (const u64 __user *)from, fault);
	}
	user_read_access_end();
	return false;
fault:
	user_read_access_end();
	return true;
}

/* Returns the number of bytes that have not been written. */
static size_t write_small(void __user *to, const void *buf, size_t len)
{
	if (!user_write_access_begin(to, len))
		return len;
	switch (len) {
	case 1:
		unsafe_put_user(*(const u8 *)buf, (u8 __user *)to, fault);
		break;
	case 2:
		unsafe_put_user(*(const u16 *)buf, (u16 __user *)to, fault);
		break;
	case 4:
		unsafe_put_user(*(const u32 *)buf, (u32 __user *)to, fault);
		break;
	default:
		unsafe_put_user(*(const u64 *)buf, (u64 __user *)to, fault);
	}
	user_write_access_end();
	return 0;
fault:
	user_write_access_end();
	return len;
}

/**
 * vitro_guest_peek() - read four bytes of guest memory that are present now
 * @vm:    the VM
 * @gpa:   guest-physical address; all four bytes are in its page
 * @value: where to
 * @where: receives the user address, good for as long as the slots' generation
 *
 * Context: as vitro_guest_read_atomic(), whose cost it avoids in the inner loop.
 * Return: true if it succeeded.
 */
bool vitro_guest_peek(struct vitro_vm *vm, u64 gpa, u32 *value, const u32 __user **where)
{
	struct vitro_memslot *slot;
	void __user *from = user_address(vm, gpa, false, &slot);
	bool failed;

	if (!slot)
		return false;
	pagefault_disable();
	failed = read_small(value, from, sizeof(*value));
	pagefault_enable();
	*where = from;
	return !failed;
}

/**
 * vitro_guest_read() - read guest memory
 * @vm:  the VM
 * @gpa: guest-physical address
 * @buf: where to
 * @len: bytes; page boundaries may be crossed
 *
 * Context: process context, current->mm is vm->mm, vm->srcu held; may sleep.
 * Return: 0, or -EFAULT (no slot, or user memory not accessible); @buf may have
 *	   been written in part.
 */
int vitro_guest_read(struct vitro_vm *vm, u64 gpa, void *buf, size_t len)
{
	struct vitro_memslot *slot;
	void __user *from;
	size_t n;

	for (; len; gpa += n, buf += n, len -= n) {
		n = first_piece(gpa, len);
		from = user_address(vm, gpa, false, &slot);
		if (!slot)
			return -EFAULT;
		if (is_small(n) ? read_small(buf, from, n) : copy_from_user(buf, from, n))
			return -EFAULT;
	}
	return 0;
}

/**
 * vitro_guest_read_atomic() - read guest memory that is present now
 * @vm:  the VM
 * @gpa: guest-physical address
 * @buf: where to
 * @len: bytes; page boundaries may be crossed
 *
 * Context: any in which current->mm is vm->mm; vm->srcu held. Does not sleep.
 * Return: 0, or -EFAULT (no slot, or not present); @buf may have been written in
 *	   part.
 */
int vitro_guest_read_atomic(struct vitro_vm *vm, u64 gpa, void *buf, size_t len)
{
	struct vitro_memslot *slot;
	unsigned long left = 0;
	void __user *from;
	size_t n;

	pagefault_disable();
	for (; len && !left; gpa += n, buf += n, len -= n) {
		n = first_piece(gpa, len);
		from = user_address(vm, gpa, false, &slot);
		if (!slot)
			left = n;
		else if (is_small(n))
			left = read_small(buf, from, n);
		else
			left = access_ok(from, n) ? __copy_from_user_inatomic(buf, from, n) : n;
	}
	pagefault_enable();
	return left ? -EFAULT : 0;
}

/**
 * vitro_guest_write() - write guest memory
 * @vm:  the VM
 * @gpa: guest-physical address
 * @buf: where from
 * @len: bytes; page boundaries may be crossed
 *
 * Pages written are entered into the dirty log.
 *
 * Context: process context, current->mm is vm->mm, vm->srcu held; may sleep.
 * Return: 0, or -EFAULT (no slot, read-only slot, or user memory not
 *	   accessible); memory may have been written in part.
 */
int vitro_guest_write(struct vitro_vm *vm, u64 gpa, const void *buf, size_t len)
{
	struct vitro_memslot *slot;
	unsigned long left;
	void __user *to;
	size_t n;

	for (; len; gpa += n, buf += n, len -= n) {
		n = first_piece(gpa, len);
		to = user_address(vm, gpa, true, &slot);
		if (!slot)
			return -EFAULT;
		/* Two moves could leave half of it written and no mark in the log. */
		left = is_small(n) && n <= sizeof(u64) ? write_small(to, buf, n) :
							 copy_to_user(to, buf, n);
		if (left < n)
			vitro_mark_dirty(vm, slot, gpa >> PAGE_SHIFT);
		if (left)
			return -EFAULT;
	}
	return 0;
}

/* Compare and exchange in user memory: 0, -EAGAIN with *old updated, -EFAULT. */
#define DEFINE_CMPXCHG(type)							\
static int cmpxchg_##type(type __user *ptr, u64 *old, u64 new)			\
{										\
	type expected = *old;							\
	bool same;								\
										\
	if (!user_access_begin(ptr, sizeof(*ptr)))				\
		return -EFAULT;							\
	same = unsafe_try_cmpxchg_user(ptr, &expected, (type)new, fault);	\
	user_access_end();							\
	if (same)								\
		return 0;							\
	*old = expected;							\
	return -EAGAIN;								\
fault:										\
	user_access_end();							\
	return -EFAULT;								\
}

DEFINE_CMPXCHG(u8)
DEFINE_CMPXCHG(u16)
DEFINE_CMPXCHG(u32)
DEFINE_CMPXCHG(u64)

/**
 * vitro_guest_cmpxchg() - atomically compare and exchange in guest memory
 * @vm:  the VM
 * @gpa: guest-physical address, a multiple of @len
 * @old: what is expected there; if something else is, that
 * @new: what to put there
 * @len: 1, 2, 4 or 8 bytes
 *
 * Atomic against other vCPUs and other threads. The page is entered into the
 * dirty log, as a locked instruction writes even if it does not change anything.
 *
 * Context: process context, current->mm is vm->mm, vm->srcu held. May sleep unless
 *	    the caller has disabled page faults.
 * Return: 0; -EAGAIN when *@old differed; -EFAULT (no slot, read-only slot, or
 *	   user memory not accessible); -EOPNOTSUPP for another or unaligned @len.
 */
int vitro_guest_cmpxchg(struct vitro_vm *vm, u64 gpa, u64 *old, u64 new, size_t len)
{
	struct vitro_memslot *slot;
	void __user *ptr;
	int r;

	if (!is_power_of_2(len) || len > sizeof(u64) || !IS_ALIGNED(gpa, len))
		return -EOPNOTSUPP;
	ptr = user_address(vm, gpa, true, &slot);
	if (!slot)
		return -EFAULT;

	switch (len) {
	case 1:
		r = cmpxchg_u8(ptr, old, new);
		break;
	case 2:
		r = cmpxchg_u16(ptr, old, new);
		break;
	case 4:
		r = cmpxchg_u32(ptr, old, new);
		break;
	default:
		r = cmpxchg_u64(ptr, old, new);
		break;
	}
	if (r != -EFAULT)
		vitro_mark_dirty(vm, slot, gpa >> PAGE_SHIFT);
	return r;
}

/**
 * vitro_guest_read_entry() - read an entry of a guest's page table
 * @vm:    the VM
 * @gpa:   guest-physical address, a multiple of @size
 * @size:  4 or 8 bytes
 * @entry: the entry, zero-extended
 * @from:  receives its user address, valid as long as the VM's slots are the same
 *
 * Context: as vitro_guest_cmpxchg().
 * Return: 0; -ENXIO if no slot covers it; -EFAULT if user memory is not accessible
 *	   (or not present, with page faults disabled).
 */
int vitro_guest_read_entry(struct vitro_vm *vm, u64 gpa, size_t size, u64 *entry,
			   const void __user **from)
{
	struct vitro_memslot *slot;
	void __user *ptr = user_address(vm, gpa, false, &slot);
	u32 half;

	if (!slot)
		return -ENXIO;
	*from = ptr;
	if (size == sizeof(u64))
		return get_user(*entry, (u64 __user *)ptr);
	if (get_user(half, (u32 __user *)ptr))
		return -EFAULT;
	*entry = half;
	return 0;
}
