// SPDX-License-Identifier: GPL-2.0-only
/* Disk: read, write, flush and identify, on a file or block device. */
#include "devices/virtio-blk.h"
#include "core/util.h"
#include "core/vm.h"

#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCI_CLASS_STORAGE	0x018000
#define SECTOR			512
#define SIZE_MAX_SEG		(256 * KIB)
#define SEG_MAX			(VIRTQ_MAX_SIZE - 2)	/* header and status */
#define REQUEST_MAX		(SIZE_MAX_SEG * SEG_MAX)

/* preadv() or pwritev() of everything, in as many calls as it takes. */
static int transfer(struct virtio_blk *blk, bool is_write, struct iovec *iov,
		    unsigned int nr, uint64_t offset)
{
	while (nr) {
		ssize_t n;

		if (!iov->iov_len) {
			iov++;
			nr--;
			continue;
		}
		if (is_write)
			n = pwritev(blk->fd, iov, nr, offset);
		else
			n = preadv(blk->fd, iov, nr, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;	/* the file was cut short */
		offset += n;
		while (n) {
			uint64_t part = min_u64(n, iov->iov_len);

			iov->iov_base = (char *)iov->iov_base + part;
			iov->iov_len -= part;
			n -= part;
			if (!iov->iov_len) {
				iov++;
				nr--;
			}
		}
	}
	return 0;
}

static bool in_range(const struct virtio_blk *blk, uint64_t sector, uint64_t len)
{
	uint64_t sectors = blk->size / SECTOR;

	return len % SECTOR == 0 && len <= REQUEST_MAX && sector <= sectors &&
	       len / SECTOR <= sectors - sector;
}

static int sync_disk(struct virtio_blk *blk)
{
	return fdatasync(blk->fd) < 0 ? -errno : 0;
}

static uint8_t do_write(struct virtio_blk *blk, uint64_t sector, struct virtq_chain *c)
{
	int ret;

	/* The header has been taken off the front of the buffers. */
	if (blk->read_only || !in_range(blk, sector, c->out_len))
		return VIRTIO_BLK_S_IOERR;
	ret = transfer(blk, true, c->iov, c->nr_out, sector * SECTOR);
	/* A driver that does not flush expects a disk without a cache. */
	if (!ret && !(blk->dev.driver_features & BIT(VIRTIO_BLK_F_FLUSH)))
		ret = sync_disk(blk);
	return ret ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

static uint8_t do_read(struct virtio_blk *blk, uint64_t sector, struct iovec *in,
		       unsigned int nr, uint64_t len)
{
	if (!in_range(blk, sector, len) || transfer(blk, false, in, nr, sector * SECTOR))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static uint64_t do_get_id(struct virtio_blk *blk, struct iovec *in, unsigned int nr)
{
	uint64_t done = 0;

	for (unsigned int i = 0; i < nr && done < sizeof(blk->serial); i++) {
		uint64_t n = min_u64(in[i].iov_len, sizeof(blk->serial) - done);

		memcpy(in[i].iov_base, blk->serial + done, n);
		done += n;
	}
	return done;
}

int64_t virtio_blk_process(struct virtio_dev *dev, unsigned int queue, struct virtq_chain *c)
{
	struct virtio_blk *blk = (struct virtio_blk *)dev;
	struct virtio_blk_outhdr header;
	struct iovec *in = c->iov + c->nr_out, *last;
	uint64_t written = 0;
	uint8_t *status;
	uint8_t result;

	if (iov_take(c->iov, c->nr_out, &header, sizeof(header)) < sizeof(header) || !c->nr_in)
		return -EPROTO;
	c->out_len -= sizeof(header);
	/* The last byte is the status; what comes before is data. */
	last = &in[c->nr_in - 1];
	status = (uint8_t *)last->iov_base + --last->iov_len;
	c->in_len--;

	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		result = do_read(blk, header.sector, in, c->nr_in, c->in_len);
		if (result == VIRTIO_BLK_S_OK)
			written = c->in_len;
		break;
	case VIRTIO_BLK_T_OUT:
		result = do_write(blk, header.sector, c);
		break;
	case VIRTIO_BLK_T_FLUSH:
		result = sync_disk(blk) ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
		break;
	case VIRTIO_BLK_T_GET_ID:
		written = do_get_id(blk, in, c->nr_in);
		result = VIRTIO_BLK_S_OK;
		break;
	default:
		result = VIRTIO_BLK_S_UNSUPP;
	}
	*status = result;
	return written + 1;
}

static int lock_file(struct virtio_blk *blk)
{
	if (flock(blk->fd, (blk->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return fail(errno, "cannot lock the disk %s: %s", blk->path, strerror(errno));
	return fail(EBUSY, "the disk %s is in use by another virtual machine; stop that one, or give both of them ,ro",
		    blk->path);
}

static int open_file(struct virtio_blk *blk)
{
	struct stat st;
	off_t size;
	int fd;

	fd = open(blk->path, (blk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(errno, "cannot open the disk %s: %s%s", blk->path, strerror(errno),
			    !blk->read_only && (errno == EACCES || errno == EROFS) ?
			    "; give it as FILE,ro if the guest need not write" : "");
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		close(fd);
		return fail(EINVAL, "the disk %s is neither a file nor a block device", blk->path);
	}
	blk->fd = fd;
	size = lseek(fd, 0, SEEK_END);
	blk->size = size > 0 ? ALIGN_DOWN((uint64_t)size, SECTOR) : 0;
	if (!blk->size)
		return fail(EINVAL, "the disk %s is empty; make it larger, for example with truncate -s 1G", blk->path);
	if ((uint64_t)size != blk->size)
		note("the disk %s is no multiple of %d bytes: its last %d are not seen",
		     blk->path, SECTOR, (int)(size - blk->size));
	return lock_file(blk);
}

static const struct virtio_ops blk_ops = { .process = virtio_blk_process };

int virtio_blk_init(struct virtio_blk *blk, struct vm *vm, struct pci_bus *bus,
		    const char *path, bool read_only, unsigned int index)
{
	int ret;

	blk->fd = -1;
	blk->path = path;
	blk->read_only = read_only;
	ret = open_file(blk);
	if (ret)
		return ret;
	snprintf(blk->serial, sizeof(blk->serial), "vitro-%u", index);
	blk->config.capacity = blk->size / SECTOR;
	blk->config.size_max = SIZE_MAX_SEG;
	blk->config.seg_max = SEG_MAX;
	blk->config.blk_size = SECTOR;
	blk->dev.features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
			    BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH);
	if (read_only)
		blk->dev.features |= BIT(VIRTIO_BLK_F_RO);
	blk->dev.ops = &blk_ops;
	blk->dev.config = &blk->config;
	blk->dev.config_size = sizeof(blk->config);
	blk->dev.nr_queues = 1;
	return virtio_init(&blk->dev, vm, bus, VIRTIO_ID_BLOCK, PCI_CLASS_STORAGE, "virtio-blk");
}

void virtio_blk_destroy(struct virtio_blk *blk)
{
	virtio_destroy(&blk->dev);
	if (!blk->path || blk->fd < 0)
		return;
	if (!blk->read_only && fdatasync(blk->fd) < 0)
		note("the disk %s may have lost data: %s", blk->path, strerror(errno));
	close(blk->fd);
	blk->fd = -1;
}
