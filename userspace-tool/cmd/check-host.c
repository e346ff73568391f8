// SPDX-License-Identifier: GPL-2.0-only
/* How "vitro check" looks at the host: MSRs and files in /proc and /sys. */
#include "cmd/check.h"
#include "core/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int msr_read(unsigned int cpu, uint32_t msr, uint64_t *value)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/cpu/%u/msr", cpu);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = read_all(fd, value, sizeof(*value), msr);
	close(fd);
	return ret;
}

const char *msr_remedy(int err)
{
	switch (err) {
	case -ENOENT:
	case -ENXIO:
		return "load the driver that shows MSRs: modprobe msr";
	case -EACCES:
	case -EPERM:
		return "run this as root; under lockdown even root may not read MSRs";
	}
	return "look into the firmware set-up instead";
}

int next_cpu(int cpu)
{
	char list[256];
	char *p = list;
	int next = -1;

	if (read_word("/sys/devices/system/cpu/online", list, sizeof(list)))
		return cpu < 0 ? 0 : -1;
	/* Ranges such as 0-3,6. */
	while (*p >= '0' && *p <= '9') {
		int first = strtol(p, &p, 10), last = first;

		if (*p == '-')
			last = strtol(p + 1, &p, 10);
		if (last > cpu && next < 0)
			next = first > cpu ? first : cpu + 1;
		if (*p == ',')
			p++;
	}
	return next;
}

/* Whether @word stands in the list, between blanks. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = strstr(list, word); p; p = strstr(p + 1, word)) {
		if ((p == list || p[-1] == ' ' || p[-1] == '\t') &&
		    (p[len] == ' ' || p[len] == '\n' || !p[len]))
			return true;
	}
	return false;
}

int cpu_has_flag(const char *line, const char *flag)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *text = NULL, *colon;
	size_t size = 0;
	int found = -1;

	if (!f)
		return -1;
	while (found < 0 && getline(&text, &size, f) > 0) {
		colon = strchr(text, ':');
		if (colon && !strncmp(text, line, strlen(line)) &&
		    strspn(text + strlen(line), " \t") == (size_t)(colon - text) - strlen(line))
			found = has_word(colon + 1, flag);
	}
	free(text);
	fclose(f);
	return found;
}

int read_word(const char *path, char *buf, int size)
{
	FILE *f = fopen(path, "re");
	int ret = 0;

	if (!f)
		return -errno;
	if (!fgets(buf, size, f))
		ret = -ENODATA;
	else
		buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
	return ret;
}
