// SPDX-License-Identifier: GPL-2.0-only
#include "devices/virtqueue.h"
#include "core/util.h"

#include <string.h>

/* One read or write of memory that the guest also writes. */
#define ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define SET_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* A walk through one descriptor table, the queue's own or an indirect one. */
struct walk {
	const struct vring_desc *table;
	unsigned int size;
	unsigned int next;
};

static int break_queue(struct virtq *q)
{
	q->broken = true;
	return -EPROTO;
}

/* The event index that the other side reads sits behind each ring. */
static const uint16_t *used_event(const struct virtq *q)
{
	return &q->avail->ring[q->size];
}

static uint16_t *avail_event(const struct virtq *q)
{
	return (uint16_t *)&q->used->ring[q->size];
}

int virtq_enable(struct virtq *q, const struct guest_mem *mem, bool event_idx)
{
	uint64_t size = q->size;

	if (!size || size > VIRTQ_MAX_SIZE || (size & (size - 1)))
		return -EINVAL;
	if (q->desc_gpa % 16 || q->avail_gpa % 2 || q->used_gpa % 4)
		return -EINVAL;
	q->desc = guest_mem_at(mem, q->desc_gpa, size * sizeof(struct vring_desc));
	q->avail = guest_mem_at(mem, q->avail_gpa, sizeof(struct vring_avail) + (size + 1) * 2);
	q->used = guest_mem_at(mem, q->used_gpa, sizeof(struct vring_used) +
			       size * sizeof(struct vring_used_elem) + 2);
	if (!q->desc || !q->avail || !q->used)
		return -EINVAL;
	q->mem = mem;
	q->event_idx = event_idx;
	q->broken = false;
	q->last_avail = q->used_idx = q->signalled = 0;
	q->enabled = true;
	return 0;
}

void virtq_reset(struct virtq *q)
{
	*q = (struct virtq){ .size = VIRTQ_MAX_SIZE };
}

static int add_buffer(struct virtq *q, struct virtq_chain *c, const struct vring_desc *d)
{
	unsigned int nr = c->nr_out + c->nr_in;
	void *p;

	/* Zero length would be accepted by address checks and means nothing. */
	if (!d->len || nr == VIRTQ_MAX_SEGS)
		return -EPROTO;
	p = guest_mem_at(q->mem, d->addr, d->len);
	if (!p)
		return -EPROTO;
	if (d->flags & VRING_DESC_F_WRITE) {
		c->nr_in++;
		c->in_len += d->len;
	} else {
		if (c->nr_in)
			return -EPROTO;		/* device-readable ones come first */
		c->nr_out++;
		c->out_len += d->len;
	}
	c->iov[nr] = (struct iovec){ .iov_base = p, .iov_len = d->len };
	return 0;
}

/* Goes on in the table that @d points to. */
static int enter_indirect(struct virtq *q, struct walk *w, const struct vring_desc *d)
{
	unsigned int nr = d->len / sizeof(struct vring_desc);

	if (d->len % sizeof(struct vring_desc) || !nr || nr > q->size ||
	    (d->flags & VRING_DESC_F_NEXT))
		return -EPROTO;
	w->table = guest_mem_at(q->mem, d->addr, d->len);
	if (!w->table)
		return -EPROTO;
	w->size = nr;
	w->next = 0;
	return 0;
}

static int walk_chain(struct virtq *q, struct virtq_chain *c, struct walk *w)
{
	bool indirect = false;

	for (;;) {
		const volatile struct vring_desc *from;
		struct vring_desc d;

		if (w->next >= w->size)
			return -EPROTO;
		from = &w->table[w->next];
		d.addr = from->addr;
		d.len = from->len;
		d.flags = from->flags;
		d.next = from->next;
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (indirect || enter_indirect(q, w, &d))
				return -EPROTO;
			indirect = true;
			continue;
		}
		/* Every step takes a buffer and these are counted: loops end. */
		if (add_buffer(q, c, &d))
			return -EPROTO;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		w->next = d.next;
	}
}

int virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	struct walk w = { .size = q->size };
	uint16_t avail;

	if (q->broken)
		return -EPROTO;
	if (!q->enabled)
		return 0;
	/* What the index covers was written before the index. */
	avail = __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE);
	if (avail == q->last_avail)
		return 0;
	if ((uint16_t)(avail - q->last_avail) > q->size)
		return break_queue(q);

	chain->head = ONCE(q->avail->ring[q->last_avail % q->size]);
	chain->nr_out = chain->nr_in = 0;
	chain->out_len = chain->in_len = 0;
	w.table = q->desc;
	w.next = chain->head;
	if (walk_chain(q, chain, &w))
		return break_queue(q);
	q->last_avail++;
	return 1;
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	struct vring_used_elem *e = &q->used->ring[q->used_idx % q->size];

	SET_ONCE(e->id, head);
	SET_ONCE(e->len, written);
	q->used_idx++;
	__atomic_store_n(&q->used->idx, q->used_idx, __ATOMIC_RELEASE);
}

bool virtq_needs_interrupt(struct virtq *q)
{
	uint16_t old = q->signalled;

	if (q->used_idx == old)
		return false;
	q->signalled = q->used_idx;
	/* The used index must be out before the guest's wish is read. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_idx)
		return vring_need_event(ONCE(*used_event(q)), q->used_idx, old);
	return !(ONCE(q->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

void virtq_set_notify(struct virtq *q, bool on)
{
	if (!q->enabled || q->broken)
		return;
	if (q->event_idx) {
		if (on)
			SET_ONCE(*avail_event(q), q->last_avail);
	} else {
		SET_ONCE(q->used->flags, on ? 0 : VRING_USED_F_NO_NOTIFY);
	}
	/* The wish must be out before the available index is read again. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint64_t iov_take(struct iovec *iov, unsigned int nr, void *buf, uint64_t len)
{
	uint64_t done = 0;

	for (unsigned int i = 0; i < nr && done < len; i++) {
		uint64_t n = min_u64(iov[i].iov_len, len - done);

		memcpy((char *)buf + done, iov[i].iov_base, n);
		iov[i].iov_base = (char *)iov[i].iov_base + n;
		iov[i].iov_len -= n;
		done += n;
	}
	return done;
}
