// SPDX-License-Identifier: GPL-2.0-only
/* VMs and their memory. */
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vitro.h>

#include "vm.h"

/* Intel without unrestricted guest wants three pages: out of RAM's way. */
#define GPA_TSS		0xfffbd000L

long sys_ioctl(int fd, unsigned long request, void *arg)
{
	long ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int kvm_open(void)
{
	int fd = open(test_device(), O_RDWR | O_CLOEXEC);

	REQUIRE(fd >= 0, "open %s: %s", test_device(), strerror(errno));
	return fd;
}

bool kvm_is_stock(void)
{
	struct vitro_info info;
	int fd = kvm_open();
	long ret = sys_ioctl(fd, VITRO_GET_INFO, &info);

	close(fd);
	return ret < 0;
}

static bool cpuid_signature(uint32_t leaf, const char *want)
{
	uint32_t regs[4];
	char text[13] = "";

	cpuid(leaf, 0, regs);
	memcpy(text, &regs[1], 4);
	/* The vendor's is in EBX, EDX, ECX; a hypervisor's in order. */
	memcpy(text + 4, &regs[leaf ? 2 : 3], 4);
	memcpy(text + 8, &regs[leaf ? 3 : 2], 4);
	return !strcmp(text, want);
}

bool host_is_amd(void)
{
	return cpuid_signature(0, "AuthenticAMD") ||
	       cpuid_signature(0, "HygonGenuine");
}

bool host_is_tcg(void)
{
	return cpuid_signature(0x40000000, "TCGTCGTCGTCG");
}

int unknown_ioctl_errno(void)
{
	return kvm_is_stock() ? EINVAL : ENOTTY;
}

long kvm_has(long cap)
{
	int fd = kvm_open();
	long ret = sys_ioctl_val(fd, KVM_CHECK_EXTENSION, cap);

	close(fd);
	return ret;
}

struct vm *vm_bare(void)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	REQUIRE(vm, "out of memory");
	vm->kvm = kvm_open();
	vm->fd = REQUIRE_OK(sys_ioctl_val(vm->kvm, KVM_CREATE_VM, 0));
	vm->next_page = GPA_PAGES;
	return vm;
}

void vm_free(struct vm *vm)
{
	close(vm->fd);
	close(vm->kvm);
	if (vm->mem)
		munmap(vm->mem, vm->mem_size);
	free(vm);
}

long vm_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa,
	     uint64_t size, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return sys_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

void vm_copy(struct vm *vm, uint64_t gpa, const void *data, size_t size)
{
	memcpy(vm->mem + gpa, data, size);
}

uint64_t vm_page(struct vm *vm)
{
	uint64_t gpa = vm->next_page;

	REQUIRE(gpa < GPA_PAGES_END, "no page left for guest page tables");
	vm->next_page += PAGE_SIZE;
	return gpa;
}

/* The page directory entry of an address below 4 GiB. */
static uint64_t *pd_entry(struct vm *vm, uint64_t gva)
{
	return (uint64_t *)vm_ptr(vm, GPA_PD) + (gva >> 21);
}

uint64_t *vm_pte(struct vm *vm, uint64_t gva)
{
	uint64_t *pde = pd_entry(vm, gva);
	uint64_t *table, base;
	int i;

	if (*pde & PTE_PS) {
		base = vm_page(vm);
		table = vm_ptr(vm, base);
		for (i = 0; i < 512; i++)
			table[i] = ((gva >> 21 << 21) + i * PAGE_SIZE) |
				   PTE_P | PTE_W | PTE_U;
		*pde = base | PTE_P | PTE_W | PTE_U;
	}
	table = vm_ptr(vm, *pde & ~0xfffULL);
	return table + (gva >> 12) % 512;
}

void vm_map(struct vm *vm, uint64_t gva, uint64_t gpa, uint64_t flags)
{
	*vm_pte(vm, gva) = flags ? gpa | flags : 0;
}

static void fill_page_tables(struct vm *vm)
{
	uint64_t *pml4 = vm_ptr(vm, GPA_PML4), *pdpt = vm_ptr(vm, GPA_PDPT);
	uint64_t i;

	pml4[0] = GPA_PDPT | PTE_P | PTE_W | PTE_U;
	for (i = 0; i < 4; i++)
		pdpt[i] = (GPA_PD + i * PAGE_SIZE) | PTE_P | PTE_W | PTE_U;
	for (i = 0; i < 4 * 512; i++)
		*pd_entry(vm, i << 21) = i << 21 | PTE_P | PTE_W | PTE_U |
					 PTE_PS;
}

static void fill_idt(struct vm *vm)
{
	struct {
		uint16_t low, sel, attr, mid;
		uint32_t high, zero;
	} *idt = vm_ptr(vm, GPA_IDT);
	uint64_t stub;
	int i;

	for (i = 0; i < 256; i++) {
		stub = (uintptr_t)guest_trap_stubs + i * 16;
		idt[i].low = stub;
		idt[i].mid = stub >> 16;
		idt[i].high = stub >> 32;
		idt[i].sel = GUEST_SEL_CODE;
		/* Present, DPL 3 so that CPL 3 may use INT; IST 1 for #DF. */
		idt[i].attr = 0xee00 | (i == 8);
	}
}

static int copy_segment(struct dl_phdr_info *info, size_t size, void *data)
{
	struct vm *vm = data;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type != PT_LOAD)
			continue;
		REQUIRE(ph->p_vaddr >= GPA_PAGES_END &&
			ph->p_vaddr + ph->p_memsz <= GPA_FREE,
			"test is linked for %#lx", (unsigned long)ph->p_vaddr);
		vm_copy(vm, ph->p_vaddr, (void *)ph->p_vaddr, ph->p_memsz);
	}
	return 1;	/* the program only: no vDSO */
}

struct vm *vm_new(unsigned int flags)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct vm *vm = vm_bare();

	CHECK_OK(sys_ioctl_val(vm->fd, KVM_SET_TSS_ADDR, GPA_TSS));
	if (flags & (VM_IRQCHIP | VM_PIT))
		REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_IRQCHIP, 0));
	if (flags & VM_PIT)
		REQUIRE_OK(sys_ioctl(vm->fd, KVM_CREATE_PIT2, &pit));
	vm->mem_size = MEM_SIZE;
	vm->mem = mmap(NULL, vm->mem_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(vm->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	/* Small pages: a page that is new to the guest faults, each of them. */
	madvise(vm->mem, vm->mem_size, MADV_NOHUGEPAGE);
	REQUIRE_OK(vm_slot(vm, 0, 0, 0, vm->mem_size, vm->mem));
	fill_page_tables(vm);
	fill_idt(vm);
	dl_iterate_phdr(copy_segment, vm);
	return vm;
}

struct kvm_cpuid2 *kvm_supported_cpuid(void)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} table;
	int fd;

	if (table.head.nent)
		return &table.head;
	fd = kvm_open();
	table.head.nent = ARRAY_SIZE(table.entries);
	REQUIRE_OK(sys_ioctl(fd, KVM_GET_SUPPORTED_CPUID, &table.head));
	close(fd);
	return &table.head;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *table, uint32_t leaf,
				    uint32_t subleaf)
{
	uint32_t i;

	for (i = 0; i < table->nent; i++)
		if (table->entries[i].function == leaf &&
		    table->entries[i].index == subleaf)
			return &table->entries[i];
	return NULL;
}
