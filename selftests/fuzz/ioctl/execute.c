// SPDX-License-Identifier: GPL-2.0-only
/* Runs a program: threads, arguments, calls. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "execute.h"
#include "tcg.h"

#define PAGE		4096UL
#define KERNEL_ADDRESS	0xffff888000001000UL
/* How long a guest may run, and the pause between signals to a thread that goes on. */
#define RUN_NS		(5 * 1000000L)
#define AGAIN_NS	(2 * 1000000L)

static struct ops ops;
static struct thread threads[FUZZ_THREADS];
static pthread_t handles[FUZZ_THREADS];
static pthread_barrier_t start;
static uint8_t *shared, *shared_read_only;
static __thread struct thread *me;
static __thread timer_t timer;

static void escape(int signal_number)
{
	if (me && me->may_escape)
		siglongjmp(me->escape, 1);
	signal(signal_number, SIG_DFL);
}

static void nothing(int signal_number)
{
}

int take_fd(int fd, int to)
{
	if (fd < 0)
		return fd;
	if (fd == to)
		return fd;
	to = dup3(fd, to, O_CLOEXEC);
	close(fd);
	return to;
}

int interrupt_thread(unsigned int number)
{
	return handles[number] ? pthread_kill(handles[number], SIGUSR1) : 0;
}

static uint8_t *map(void *at, size_t size, int flags, int fd)
{
	return mmap(at, size, PROT_READ | PROT_WRITE, flags | (at ? MAP_FIXED : 0), fd, 0);
}

/* A window ends where nothing is mapped, so that reading too far shows. */
static uint8_t *make_window(int fd, int prot)
{
	uint8_t *at = map(NULL, WINDOW_SIZE + PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	mprotect(at + WINDOW_SIZE, PAGE, PROT_NONE);
	if (fd >= 0)
		mmap(at, WINDOW_SIZE, prot, MAP_SHARED | MAP_FIXED, fd, 0);
	return at;
}

static void make_memory(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (ftruncate(fd, SHARED_SIZE))
		fuzz_fail("ftruncate: %s", strerror(errno));
	map((void *)ARENA, ARENA_SIZE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	map((void *)HUGE_AREA, HUGE_SIZE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	map((void *)SHARED_AREA, SHARED_SIZE, MAP_SHARED, fd);
	close(fd);
	fd = memfd_create("window", MFD_CLOEXEC);
	if (ftruncate(fd, WINDOW_SIZE))
		fuzz_fail("ftruncate: %s", strerror(errno));
	shared = make_window(fd, PROT_READ | PROT_WRITE);
	shared_read_only = make_window(fd, PROT_READ);
	close(fd);
}

/* Fills @data, the argument's structure, and returns what the call gets. */
static void *make_argument(struct thread *thread, const struct op *op, const struct call *call,
			   int fd)
{
	size_t size = call->size + call->tail;
	uint8_t *data = (op->place == PLACE_SHARED || op->place == PLACE_READ_ONLY ?
			 shared : thread->window) + WINDOW_SIZE - size;
	struct rng rng = { op->arg };
	unsigned int i;

	memset(data, op->base == BASE_ONES ? 0xff : 0, size);
	for (i = 0; op->base == BASE_RANDOM && i < size; i++)
		data[i] = rng_next(&rng);
	if (op->base == BASE_GETTER && call->getter == KVM_GET_SUPPORTED_CPUID) {
		((struct kvm_cpuid2 *)data)->nent = call->tail / sizeof(struct kvm_cpuid_entry2);
		ioctl(FD(OBJ_DEV, 0), call->getter, data);
	} else if (op->base == BASE_GETTER && call->getter) {
		ioctl(fd, call->getter, data);
	}
	for (i = 0; i < op->nr_patches; i++) {
		const struct patch *patch = &op->patches[i];

		if (patch->offset + patch->size <= size)
			memcpy(data + patch->offset, &patch->value, patch->size);
	}
	if (call->cmd == KVM_SET_SREGS)
		spare_tcg((struct kvm_sregs *)data);

	switch (op->place) {
	case PLACE_NULL:
		return NULL;
	case PLACE_KERNEL:
		return (void *)KERNEL_ADDRESS;
	case PLACE_CUT:
		/* The first half of it is the last that is mapped. */
		memmove(data + size / 2, data, size - size / 2);
		return data + size / 2;
	case PLACE_READ_ONLY:
		return shared_read_only + WINDOW_SIZE - size;
	case PLACE_GUEST:
		memcpy((void *)(ARENA + 0x3000), data, size);
		return (void *)(ARENA + 0x3000);
	default:
		return data;
	}
}

static void arm_timer(long first, long again)
{
	struct itimerspec when = { .it_value.tv_nsec = first, .it_interval.tv_nsec = again };

	timer_settime(timer, 0, &when, NULL);
}

static int fd_of(const struct op *op, const struct call *call)
{
	/* High bit: of another kind than the call is for. */
	if (op->object & 0x80)
		return FD((op->object >> 4 & 7) % NR_OBJECTS, op->object & 7);
	return call->object == OBJ_NONE ? -1 : FD(call->object, op->object & 7);
}

static void do_op(struct thread *thread, const struct op *op)
{
	const struct call *call = call_at(op->call);
	int fd = fd_of(op, call);
	uint64_t data[4];
	void *argument;
	long ret;

	if (call->object == OBJ_DEV && !(op->object & 0x80))
		fd = FD(OBJ_DEV, 0);
	if (call->act) {
		/* Its numbers must not change under it. */
		memcpy(data, make_argument(thread, &(struct op) {
			.nr_patches = op->nr_patches, .arg = op->arg, .base = op->base,
			.patches = { op->patches[0], op->patches[1], op->patches[2],
				     op->patches[3], op->patches[4], op->patches[5] },
		}, call, fd), sizeof(data));
		call->act(thread, data, fd < 0 ? fd : FD(call->object, op->object & 7));
		return;
	}
	if (call->size)
		argument = make_argument(thread, op, call, fd);
	else
		argument = (void *)(op->nr_patches ? op->patches[0].value : op->arg);
	ret = ioctl(fd, call->cmd, argument);
	if (call->makes && ret >= 0)
		take_fd(ret, FD(call->makes, op->slot));
}

void thread_ops(struct thread *thread, bool all)
{
	volatile unsigned int i, round;
	const struct op *op;

	for (round = 0; round < ops.rounds + 1U; round++) {
		for (i = 0; i < ops.nr; i++) {
			op = &ops.op[i];
			if (op->thread != thread->number && !all)
				continue;
			arm_timer(RUN_NS, AGAIN_NS);
			thread->may_escape = true;
			if (!sigsetjmp(thread->escape, 1))
				do_op(thread, op);
			thread->may_escape = false;
		}
	}
	arm_timer(0, 0);
}

void thread_begin(struct thread *thread)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGUSR1,
		._sigev_un._tid = gettid(),
	};

	me = thread;
	timer_create(CLOCK_MONOTONIC, &event, &timer);
}

static void *thread_main(void *arg)
{
	struct thread *thread = arg;

	thread_begin(thread);
	fuzz_cover(thread->number);
	pthread_barrier_wait(&start);
	thread_ops(thread, false);
	/*
	 * Closing is part of the program, and that of the last descriptor is the end of a VM.
	 * At the exit of the process it would not count as covered.
	 */
	pthread_barrier_wait(&start);
	if (thread->number == 0)
		close_range(FD_FIRST, FD_FIRST + NR_OBJECTS * FD_PER_OBJECT, 0);
	return NULL;
}

static void catch_signals(void)
{
	struct sigaction act = { .sa_handler = escape };

	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	act.sa_handler = nothing;
	sigaction(SIGUSR1, &act, NULL);
}

void ops_execute(const struct program *program)
{
	unsigned int i, n = 1;

	ops_unpack(&ops, program);
	for (i = 0; i < ops.nr; i++)
		if (ops.op[i].thread >= n)
			n = ops.op[i].thread + 1;
	catch_signals();
	make_memory();
	take_fd(open(fuzz_device(), O_RDWR | O_CLOEXEC), FD(OBJ_DEV, 0));
	for (i = 0; i < 4; i++)
		take_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), FD(OBJ_EVENT, i));
	pthread_barrier_init(&start, NULL, n);
	for (i = 0; i < n; i++) {
		threads[i].number = i;
		threads[i].window = make_window(-1, 0);
	}
	for (i = 0; i < n; i++)
		pthread_create(&handles[i], NULL, thread_main, &threads[i]);
	for (i = 0; i < n; i++)
		pthread_join(handles[i], NULL);
}
