/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The small devices of the board. Each *_init() puts its device on the VM's
 * buses and returns 0 or a negative errno of bus_add().
 */
#ifndef VITRO_DEVICES_H
#define VITRO_DEVICES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;

/* ACPI power management: power-off, and the timer. */
struct acpi_pm {
	struct vm *vm;
	pthread_mutex_t lock;		/* guards the registers */
	uint16_t status, enable, control;
};

int acpi_pm_init(struct acpi_pm *pm, struct vm *vm);

/* Keyboard controller without keyboard; its reset line is what matters. */
int i8042_init(struct vm *vm);

/* A port which a guest that panics writes to. */
int pvpanic_init(struct vm *vm);

/* MC146818 clock and its 128 bytes of CMOS memory. No interrupts. */
struct rtc {
	pthread_mutex_t lock;		/* guards the fields below */
	uint8_t index;
	uint8_t cmos[128];
	int64_t offset;			/* guest's clock minus the host's, seconds */
};

int rtc_init(struct rtc *rtc, struct vm *vm);

#define UART_FIFO	16
#define UART_BACKLOG	4096

/*
 * 16550A. Input waits in a backlog, as behind a wire with flow control, until
 * the guest is ready for it: it is not lost when the guest's driver resets the
 * FIFO while it probes.
 */
struct uart {
	struct vm *vm;
	pthread_mutex_t lock;		/* guards all but the output */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	bool thre_pending;		/* "transmitter empty" not yet told */
	bool irq_level;			/* what irq_set_line() was last told */
	uint8_t fifo[UART_FIFO];
	unsigned int fifo_len;
	uint8_t backlog[UART_BACKLOG];
	unsigned int backlog_head, backlog_len;
	int out_fd;
	bool out_closed;		/* nobody reads the output any more */
	void (*room)(void *arg);	/* called when the backlog has emptied */
	void *room_arg;
	void (*set_irq)(struct vm *vm, unsigned int gsi, bool level);
};

/**
 * uart_init() - create COM1
 * @uart: the device
 * @vm: the VM
 * @out_fd: where its output goes
 */
int uart_init(struct uart *uart, struct vm *vm, int out_fd);

/**
 * uart_room() - how much input the UART takes
 * @uart: the device
 *
 * Return: bytes.
 */
size_t uart_room(struct uart *uart);

/**
 * uart_input() - characters arrive on the line
 * @uart: the device
 * @data: the characters; those beyond uart_room() are lost
 * @len: how many
 *
 * Any thread may call it.
 */
void uart_input(struct uart *uart, const uint8_t *data, size_t len);

#endif
