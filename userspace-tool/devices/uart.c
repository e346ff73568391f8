// SPDX-License-Identifier: GPL-2.0-only
/* 16550A UART at COM1. Transmission takes no time; the line never fails. */
#include "core/irq.h"
#include "core/ports.h"
#include "core/util.h"
#include "core/vm.h"
#include "devices/devices.h"

#include <linux/serial_reg.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define FIFO_ENABLED(u)	((u)->fcr & UART_FCR_ENABLE_FIFO)
#define LOOPBACK(u)	((u)->mcr & UART_MCR_LOOP)
#define MSR_LINES	(UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)
#define POLL_MS		100	/* how often a blocked output looks for the end */

/* The most urgent interrupt there is (16550A data sheet, Interrupt Control). */
static uint8_t pending(const struct uart *u)
{
	if ((u->ier & UART_IER_RDI) && u->fifo_len)
		return UART_IIR_RDI;
	if ((u->ier & UART_IER_THRI) && u->thre_pending)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

static void update_irq(struct uart *u)
{
	/* On a PC, OUT2 gates the interrupt line. */
	bool level = pending(u) != UART_IIR_NO_INT &&
		     (u->mcr & UART_MCR_OUT2) && !LOOPBACK(u);

	if (level != u->irq_level) {
		u->irq_level = level;
		u->set_irq(u->vm, IRQ_COM1, level);
	}
}

/*
 * A guest that listens takes interrupts or raises "request to send". Linux
 * tries the interrupt enables while it probes: they count only when OUT2 lets
 * interrupts through.
 */
static bool guest_listens(const struct uart *u)
{
	bool by_interrupt = (u->ier & UART_IER_RDI) && (u->mcr & UART_MCR_OUT2);

	return (by_interrupt || (u->mcr & UART_MCR_RTS)) && !LOOPBACK(u);
}

static void refill(struct uart *u)
{
	unsigned int depth = FIFO_ENABLED(u) ? UART_FIFO : 1;

	if (!guest_listens(u))
		return;
	while (u->backlog_len && u->fifo_len < depth) {
		u->fifo[u->fifo_len++] = u->backlog[u->backlog_head];
		u->backlog_head = (u->backlog_head + 1) % UART_BACKLOG;
		if (--u->backlog_len == 0 && u->room)
			u->room(u->room_arg);
	}
}

/*
 * Linux's driver switches the FIFO on after it has let interrupts through, and
 * that empties it. What the guest has not read waits on the wire again.
 */
static void clear_fifo(struct uart *u)
{
	while (!LOOPBACK(u) && u->fifo_len && u->backlog_len < UART_BACKLOG) {
		u->backlog_head = (u->backlog_head + UART_BACKLOG - 1) % UART_BACKLOG;
		u->backlog[u->backlog_head] = u->fifo[--u->fifo_len];
		u->backlog_len++;
	}
	u->fifo_len = 0;
}

static uint8_t receive(struct uart *u)
{
	uint8_t c = 0;

	if (u->fifo_len) {
		c = u->fifo[0];
		memmove(u->fifo, u->fifo + 1, --u->fifo_len);
	}
	if (!u->fifo_len)
		refill(u);
	return c;
}

static void emit(struct uart *u, uint8_t c)
{
	struct pollfd p = { .fd = u->out_fd, .events = POLLOUT };

	while (!u->out_closed) {
		ssize_t n = write(u->out_fd, &c, 1);

		if (n == 1)
			return;
		/* A reader that stopped reading must not keep the VM alive. */
		if (vm_stopping(u->vm))
			return;
		if (n < 0 && errno == EAGAIN)
			poll(&p, 1, POLL_MS);
		else if (n < 0 && errno != EINTR)
			u->out_closed = true;
	}
}

static uint8_t modem_status(const struct uart *u)
{
	uint8_t msr = 0;

	if (!LOOPBACK(u))
		return MSR_LINES;
	/* In loopback the outputs are the inputs. */
	msr |= u->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0;
	msr |= u->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0;
	msr |= u->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0;
	msr |= u->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0;
	return msr;
}

static uint8_t read_register(struct uart *u, unsigned int reg)
{
	bool dlab = u->lcr & UART_LCR_DLAB;
	uint8_t value;

	switch (reg) {
	case UART_RX:
		return dlab ? u->dll : receive(u);
	case UART_IER:
		return dlab ? u->dlm : u->ier;
	case UART_IIR:
		value = pending(u);
		if (value == UART_IIR_THRI)
			u->thre_pending = false;
		return value | (FIFO_ENABLED(u) ? 0xc0 : 0);
	case UART_LCR:
		return u->lcr;
	case UART_MCR:
		return u->mcr;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE | (u->fifo_len ? UART_LSR_DR : 0);
	case UART_MSR:
		return modem_status(u);
	default:
		return u->scr;
	}
}

static uint64_t uart_read(void *dev, uint64_t offset, unsigned int len)
{
	struct uart *u = dev;
	uint8_t value;

	pthread_mutex_lock(&u->lock);
	value = read_register(u, offset);
	update_irq(u);
	pthread_mutex_unlock(&u->lock);
	return value;
}

static void transmit(struct uart *u, uint8_t c)
{
	if (LOOPBACK(u)) {
		if (u->fifo_len < (FIFO_ENABLED(u) ? UART_FIFO : 1))
			u->fifo[u->fifo_len++] = c;
	} else {
		/* A slow terminal must not hold up input: output has no lock. */
		pthread_mutex_unlock(&u->lock);
		emit(u, c);
		pthread_mutex_lock(&u->lock);
	}
	u->thre_pending = true;
}

static void write_register(struct uart *u, unsigned int reg, uint8_t value)
{
	bool dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			u->dll = value;
		else
			transmit(u, value);
		break;
	case UART_IER:
		if (dlab) {
			u->dlm = value;
			break;
		}
		/* Enabling it tells at once of a transmitter that is empty. */
		if (!(u->ier & UART_IER_THRI) && (value & UART_IER_THRI))
			u->thre_pending = true;
		u->ier = value & 0x0f;
		break;
	case UART_FCR:
		if (((u->fcr ^ value) & UART_FCR_ENABLE_FIFO) || (value & UART_FCR_CLEAR_RCVR))
			clear_fifo(u);
		u->fcr = value & UART_FCR_ENABLE_FIFO;
		break;
	case UART_LCR:
		u->lcr = value;
		break;
	case UART_MCR:
		/* What came round in loopback was never on the wire. */
		if (LOOPBACK(u) && !(value & UART_MCR_LOOP))
			u->fifo_len = 0;
		u->mcr = value & 0x1f;
		break;
	case UART_SCR:
		u->scr = value;
		break;
	}
	refill(u);
}

static void uart_write(void *dev, uint64_t offset, unsigned int len, uint64_t value)
{
	struct uart *u = dev;

	pthread_mutex_lock(&u->lock);
	write_register(u, offset, value);
	update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

static const struct bus_ops uart_ops = { .read = uart_read, .write = uart_write };

int uart_init(struct uart *uart, struct vm *vm, int out_fd)
{
	memset(uart, 0, sizeof(*uart));
	uart->vm = vm;
	uart->out_fd = out_fd;
	uart->set_irq = irq_set_line;
	uart->dll = 1;			/* 115200 baud */
	pthread_mutex_init(&uart->lock, NULL);
	return bus_add(&vm->pio, PORT_COM1, 8, &uart_ops, uart);
}

size_t uart_room(struct uart *uart)
{
	size_t room;

	pthread_mutex_lock(&uart->lock);
	room = UART_BACKLOG - uart->backlog_len;
	pthread_mutex_unlock(&uart->lock);
	return room;
}

void uart_input(struct uart *uart, const uint8_t *data, size_t len)
{
	pthread_mutex_lock(&uart->lock);
	while (len-- && uart->backlog_len < UART_BACKLOG)
		uart->backlog[(uart->backlog_head + uart->backlog_len++) % UART_BACKLOG] = *data++;
	refill(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}
