// SPDX-License-Identifier: GPL-2.0-only
/* Entropy device: fills the guest's buffers from the host's generator. */
#include "devices/virtio-rng.h"
#include "core/util.h"

#include <linux/virtio_ids.h>
#include <sys/random.h>

#define PCI_CLASS_OTHER	0x00ff00
#define RNG_MAX		4096	/* bytes for one request; less is allowed */

static int64_t rng_process(struct virtio_dev *dev, unsigned int queue, struct virtq_chain *c)
{
	struct iovec *in = c->iov + c->nr_out;
	uint64_t done = 0;

	for (unsigned int i = 0; i < c->nr_in && done < RNG_MAX; i++) {
		uint64_t want = min_u64(in[i].iov_len, RNG_MAX - done);
		ssize_t n = getrandom(in[i].iov_base, want, 0);

		if (n < 0)
			break;
		done += n;
		if ((uint64_t)n < want)
			break;
	}
	return done;
}

static const struct virtio_ops rng_ops = { .process = rng_process };

int virtio_rng_init(struct virtio_rng *rng, struct vm *vm, struct pci_bus *bus)
{
	rng->dev.ops = &rng_ops;
	rng->dev.nr_queues = 1;
	return virtio_init(&rng->dev, vm, bus, VIRTIO_ID_RNG, PCI_CLASS_OTHER, "virtio-rng");
}
