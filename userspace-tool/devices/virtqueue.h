/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device's side of a split virtqueue (Virtual I/O Device (VIRTIO),
 * Split Virtqueues). The rings are the guest's, and it may change them at any
 * moment: each field is read once, and every address, index and length in
 * them is checked before it is used. A queue that is found to be wrong is
 * broken for good, until the guest resets the device.
 */
#ifndef VITRO_VIRTQUEUE_H
#define VITRO_VIRTQUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/guest-mem.h"

#define VIRTQ_MAX_SIZE	256
#define VIRTQ_MAX_SEGS	VIRTQ_MAX_SIZE	/* buffers of one chain */

struct virtq {
	/* What the guest sets before it enables the queue. */
	uint16_t size;			/* entries */
	uint64_t desc_gpa;
	uint64_t avail_gpa;
	uint64_t used_gpa;
	bool enabled;

	bool broken;
	bool event_idx;			/* VIRTIO_RING_F_EVENT_IDX was agreed on */
	const struct guest_mem *mem;
	uint16_t last_avail;		/* next entry of the available ring */
	uint16_t used_idx;		/* next entry of the used ring */
	uint16_t signalled;		/* used_idx at the last look at notifications */
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
};

/* A request: the buffers that the device reads, then those that it writes. */
struct virtq_chain {
	uint16_t head;
	unsigned int nr_out;
	unsigned int nr_in;
	uint64_t out_len;
	uint64_t in_len;
	struct iovec iov[VIRTQ_MAX_SEGS];	/* nr_out, then nr_in */
};

/**
 * virtq_enable() - take the guest's rings into use
 * @q: queue with size and addresses set
 * @mem: guest memory
 * @event_idx: whether VIRTIO_RING_F_EVENT_IDX was agreed on
 *
 * Return: 0, or -EINVAL when the rings are not what they must be.
 */
int virtq_enable(struct virtq *q, const struct guest_mem *mem, bool event_idx);

/**
 * virtq_reset() - forget everything
 * @q: the queue
 */
void virtq_reset(struct virtq *q);

/**
 * virtq_pop() - take the next request
 * @q: an enabled queue
 * @chain: filled in when 1 is returned
 *
 * Return: 1 for a request, 0 for none, -EPROTO when the guest broke the rules:
 * the queue is broken from now on.
 */
int virtq_pop(struct virtq *q, struct virtq_chain *chain);

/**
 * virtq_push() - give a request back
 * @q: the queue
 * @head: the chain's head
 * @written: bytes written into its buffers
 */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/**
 * virtq_needs_interrupt() - whether the guest wants to hear of what was pushed
 * @q: the queue
 *
 * To be called once after a batch of virtq_push().
 *
 * Return: true if it does.
 */
bool virtq_needs_interrupt(struct virtq *q);

/**
 * virtq_set_notify() - ask for notifications of new requests, or for none
 * @q: the queue
 * @on: whether they are wanted
 *
 * After turning them on, virtq_pop() must be tried once more.
 */
void virtq_set_notify(struct virtq *q, bool on);

/**
 * iov_take() - copy bytes from the front of buffers and shorten them
 * @iov: buffers; those used up become empty
 * @nr: how many
 * @buf: destination
 * @len: bytes
 *
 * Return: bytes copied, less than @len if there were not as many.
 */
uint64_t iov_take(struct iovec *iov, unsigned int nr, void *buf, uint64_t len);

#endif
