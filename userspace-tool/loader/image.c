// SPDX-License-Identifier: GPL-2.0-only
#include "loader/image.h"
#include "core/util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int image_open(struct image *img, const char *path, const char *what)
{
	struct stat st;
	int ret;

	/* Not blocking, lest the name is that of a FIFO. */
	img->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (img->fd < 0)
		return fail(errno, "cannot open the %s %s: %s", what, path, strerror(errno));
	img->path = path;
	if (fstat(img->fd, &st) < 0)
		ret = fail(errno, "cannot examine the %s %s: %s", what, path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		ret = fail(EISDIR, "the %s %s is a directory; give a file", what, path);
	else if (!S_ISREG(st.st_mode))
		ret = fail(EINVAL, "the %s %s is not a regular file", what, path);
	else if (st.st_size == 0)
		ret = fail(EINVAL, "the %s %s is empty", what, path);
	else {
		img->size = st.st_size;
		return 0;
	}
	close(img->fd);
	return ret;
}

void image_close(struct image *img)
{
	close(img->fd);
}

int image_read(const struct image *img, uint64_t offset, void *buf, uint64_t len)
{
	int ret;

	if (offset > img->size || len > img->size - offset)
		ret = -ENODATA;
	else
		ret = read_all(img->fd, buf, len, offset);
	if (ret == -ENODATA)
		return fail(ENODATA, "%s is truncated: its headers point to bytes %#llx to %#llx, it has %#llx",
			    img->path, (unsigned long long)offset,
			    (unsigned long long)(offset + len), (unsigned long long)img->size);
	if (ret)
		return fail(-ret, "cannot read %s: %s", img->path, strerror(-ret));
	return 0;
}

int image_load(const struct image *img, uint64_t offset, struct guest_mem *mem,
	       uint64_t gpa, uint64_t len, uint64_t room)
{
	void *to = guest_mem_at(mem, gpa, room);

	if (len > room)
		return fail(EINVAL, "%s is damaged: a part is longer in the file than in memory", img->path);
	if (!to)
		return fail(ENOMEM, "%s does not fit: it needs guest memory %#llx to %#llx and there are %llu MiB; give more with --mem",
			    img->path, (unsigned long long)gpa, (unsigned long long)(gpa + room),
			    (unsigned long long)(mem->size / MIB));
	return image_read(img, offset, to, len);
}
