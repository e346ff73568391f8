// SPDX-License-Identifier: GPL-2.0-only
#include "cmd/vm-process.h"
#include "core/util.h"

#include <dirent.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool skip(const char **s, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*s, prefix, len))
		return false;
	*s += len;
	return true;
}

enum vm_fd_kind vm_fd_kind(const char *link)
{
	/* "vcpu:N" and "vcpu-stats:N"; some kernels leave the number out. */
	if (!skip(&link, "anon_inode:") || !(skip(&link, "vitro-") || skip(&link, "kvm-")) ||
	    !skip(&link, "vcpu"))
		return VM_FD_OTHER;
	if (skip(&link, "-stats"))
		return *link == ':' || !*link ? VM_FD_VCPU_STATS : VM_FD_OTHER;
	return *link == ':' || !*link ? VM_FD_VCPU : VM_FD_OTHER;
}

/* Calls @fn for each fd of @pid until it returns something but 0. */
static int visit_fds(int pid, int (*fn)(void *arg, int fd, enum vm_fd_kind kind), void *arg)
{
	char path[64], name[sizeof(path) + NAME_MAX + 1], link[128];
	struct dirent *e;
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!ret && (e = readdir(dir))) {
		ssize_t n;

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n = readlink(name, link, sizeof(link) - 1);
		if (n < 0)
			continue;	/* closed meanwhile */
		link[n] = '\0';
		ret = fn(arg, atoi(e->d_name), vm_fd_kind(link));
	}
	closedir(dir);
	return ret;
}

static int is_vm(void *arg, int fd, enum vm_fd_kind kind)
{
	return kind != VM_FD_OTHER;
}

int vm_process_find(void)
{
	char list[256] = "";
	int found = 0, count = 0;
	struct dirent *e;
	DIR *proc = opendir("/proc");

	if (!proc)
		return fail(errno, "cannot list processes: /proc: %s", strerror(errno));
	while ((e = readdir(proc))) {
		unsigned int pid;
		size_t len = strlen(list);

		if (parse_uint(e->d_name, INT32_MAX, &pid) || visit_fds(pid, is_vm, NULL) <= 0)
			continue;
		found = pid;
		count++;
		snprintf(list + len, sizeof(list) - len, " %u", pid);
	}
	closedir(proc);
	if (!count)
		return fail(ESRCH, "no process that runs a virtual machine was found%s",
			    geteuid() ? "; other users' are seen by root only" : "");
	if (count > 1)
		return fail(EINVAL, "%d processes run virtual machines, give one of them:%s", count, list);
	return found;
}

static int take_fd(struct vm_process *p, int fd, enum vm_fd_kind kind)
{
	int copy, stats, err;

	if (p->nr == VM_PROCESS_MAX_VCPUS)
		return 0;
	copy = syscall(SYS_pidfd_getfd, p->pidfd, fd, 0);
	if (copy < 0)
		return errno == EBADF ? 0 : -errno;
	if (kind == VM_FD_VCPU_STATS) {
		p->stats_fd[p->nr++] = copy;
		return 0;
	}
	stats = ioctl(copy, KVM_GET_STATS_FD, 0);
	err = errno;
	close(copy);
	if (stats < 0)
		return -err;
	p->stats_fd[p->nr++] = stats;
	return 0;
}

static int take_stats(void *arg, int fd, enum vm_fd_kind kind)
{
	return kind == VM_FD_VCPU_STATS ? take_fd(arg, fd, kind) : 0;
}

static int take_vcpus(void *arg, int fd, enum vm_fd_kind kind)
{
	return kind == VM_FD_VCPU ? take_fd(arg, fd, kind) : 0;
}

static int explain(int pid, int err)
{
	const char *why;

	switch (err) {
	case ESRCH:
	case ENOENT:
		why = "there is no such process";
		break;
	case EPERM:
	case EACCES:
		why = "run as root, or as the user who runs it where ptrace of one's own processes is allowed";
		break;
	case EIO:
		why = "KVM gives them to the process itself only, and this one has not opened them; 'vitro run' does";
		break;
	case ENOTTY:
		why = "its hypervisor has no binary statistics";
		break;
	default:
		why = strerror(err);
	}
	return fail(err, "cannot get the statistics of process %d: %s", pid, why);
}

int vm_process_open(struct vm_process *p, int pid)
{
	int ret;

	*p = (struct vm_process){ .pid = pid };
	p->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd < 0)
		return explain(pid, errno);
	ret = visit_fds(pid, take_stats, p);
	if (!ret && !p->nr)
		ret = visit_fds(pid, take_vcpus, p);
	if (ret < 0)
		ret = explain(pid, -ret);
	else if (!p->nr)
		ret = fail(ESRCH, "process %d runs no virtual machine", pid);
	if (ret)
		vm_process_close(p);
	return ret;
}

void vm_process_close(struct vm_process *p)
{
	for (unsigned int i = 0; i < p->nr; i++)
		close(p->stats_fd[i]);
	p->nr = 0;
	close(p->pidfd);
}
