// SPDX-License-Identifier: GPL-2.0-only
/* Memory that nothing refers to, by the kernel's kmemleak. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

static bool command(const char *word)
{
	int fd = open(KMEMLEAK, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, word, strlen(word)) == (ssize_t)strlen(word);

	close(fd);
	return done;
}

void leaks_open(void)
{
	/* What booting has lost is not ours; it counts as reported only after a scan. */
	command("scan");
	command("clear");
}

bool leaks_found(char *text, size_t size)
{
	ssize_t n;
	int fd;

	/* An object younger than five seconds, or changed between two scans, is not reported. */
	if (!command("scan"))
		return false;
	sleep(6);
	command("scan");
	fd = open(KMEMLEAK, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	return true;
}
