// SPDX-License-Identifier: GPL-2.0-only
/* The small devices, as a driver finds them. */
#include <fcntl.h>
#include <linux/serial_reg.h>
#include <string.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "../../selftests/lib/ktap.h"
#include "core/ports.h"
#include "devices/devices.h"
#include "fake-vm.h"

static struct vm vm;
static struct uart uart;
static struct rtc rtc;
static struct acpi_pm pm;
static bool irq;
static unsigned int irq_changes;
static int output[2];

static void spy_irq(struct vm *v, unsigned int gsi, bool level)
{
	CHECK_EQ(gsi, IRQ_COM1);
	irq = level;
	irq_changes++;
}

static void make_uart(void)
{
	REQUIRE_OK(fake_vm_init(&vm, 4096));
	REQUIRE_OK(pipe2(output, O_NONBLOCK));
	REQUIRE_OK(uart_init(&uart, &vm, output[1]));
	uart.set_irq = spy_irq;
}

static uint8_t in(unsigned int reg)
{
	return bus_read(&vm.pio, PORT_COM1 + reg, 1);
}

static void out(unsigned int reg, uint8_t value)
{
	bus_write(&vm.pio, PORT_COM1 + reg, 1, value);
}

static void listen_to_line(void)
{
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS | UART_MCR_DTR);
	out(UART_IER, UART_IER_RDI);
}

TEST(uart_is_a_16550a)
{
	make_uart();
	out(UART_SCR, 0x5a);
	CHECK_EQ(in(UART_SCR), 0x5a);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	CHECK_EQ(in(UART_IIR) & 0xc0, 0xc0);
	out(UART_FCR, 0);
	CHECK_EQ(in(UART_IIR) & 0xc0, 0);
	out(UART_IER, 0xff);
	CHECK_EQ(in(UART_IER), 0x0f);
	out(UART_LCR, UART_LCR_DLAB);
	out(UART_DLL, 0x12);
	out(UART_DLM, 0x34);
	CHECK_EQ(in(UART_DLL), 0x12);
	CHECK_EQ(in(UART_DLM), 0x34);
	out(UART_LCR, 0x03);
	CHECK_EQ(in(UART_IER), 0x0f);
	CHECK_EQ(in(UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}

TEST(uart_transmits)
{
	char text[8] = "";

	make_uart();
	CHECK_EQ(in(UART_LSR), UART_LSR_TEMT | UART_LSR_THRE);
	out(UART_TX, 'h');
	out(UART_TX, 'i');
	CHECK_EQ(read(output[0], text, sizeof(text)), 2);
	CHECK(!strcmp(text, "hi"), "got %s", text);
}

TEST(uart_transmitter_interrupt)
{
	make_uart();
	out(UART_MCR, UART_MCR_OUT2);
	out(UART_IER, UART_IER_THRI);
	CHECK_EQ(irq, true);
	CHECK_EQ(in(UART_IIR) & 0x0f, UART_IIR_THRI);	/* reading it is the answer */
	CHECK_EQ(irq, false);
	CHECK_EQ(in(UART_IIR) & 0x0f, UART_IIR_NO_INT);
	out(UART_TX, 'x');
	CHECK_EQ(irq, true);
	out(UART_IER, 0);
	CHECK_EQ(irq, false);
}

TEST(uart_receives)
{
	make_uart();
	listen_to_line();
	uart_input(&uart, (const uint8_t *)"ab", 2);
	CHECK_EQ(irq, true);
	CHECK_EQ(in(UART_IIR) & 0x0f, UART_IIR_RDI);
	CHECK(in(UART_LSR) & UART_LSR_DR, "no data");
	CHECK_EQ(in(UART_RX), 'a');
	CHECK_EQ(irq, true);
	CHECK_EQ(in(UART_RX), 'b');
	CHECK_EQ(irq, false);
	CHECK(!(in(UART_LSR) & UART_LSR_DR), "still data");
	CHECK_EQ(in(UART_RX), 0);
	CHECK_EQ(irq_changes, 2);
}

/* What Linux's driver does as it probes and opens the port loses nothing. */
TEST(uart_keeps_early_input)
{
	make_uart();
	uart_input(&uart, (const uint8_t *)"0123456789abcdefXYZ", 19);
	CHECK(!(in(UART_LSR) & UART_LSR_DR), "data for nobody");
	out(UART_IER, 0x0f);
	out(UART_IER, 0);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out(UART_FCR, 0);
	in(UART_RX);
	out(UART_MCR, UART_MCR_OUT2);
	in(UART_RX);
	out(UART_IER, UART_IER_RDI);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS);
	for (const char *c = "0123456789abcdefXYZ"; *c; c++)
		CHECK_EQ(in(UART_RX), *c);
	CHECK(!(in(UART_LSR) & UART_LSR_DR), "more data");
}

TEST(uart_loopback)
{
	make_uart();
	listen_to_line();
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT2);
	CHECK_EQ(in(UART_MSR) & 0xf0, UART_MSR_CTS | UART_MSR_DCD);
	uart_input(&uart, (const uint8_t *)"q", 1);
	out(UART_TX, 'l');
	CHECK_EQ(in(UART_RX), 'l');
	CHECK_EQ(irq, false);
	for (int i = 0; i < 100; i++)
		out(UART_TX, 'm');			/* more than fit */
	out(UART_MCR, UART_MCR_RTS | UART_MCR_OUT2);
	CHECK_EQ(in(UART_RX), 'q');
	CHECK_EQ(read(output[0], &(char){ 0 }, 1), -1);	/* none reached the line */
}

static unsigned int room_calls;

static void on_room(void *arg)
{
	room_calls++;
}

TEST(uart_backlog)
{
	static uint8_t text[UART_BACKLOG + 100];

	make_uart();
	uart.room = on_room;
	CHECK_EQ(uart_room(&uart), UART_BACKLOG);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i;
	uart_input(&uart, text, sizeof(text));		/* the rest is lost */
	CHECK_EQ(uart_room(&uart), 0);
	listen_to_line();
	for (unsigned int i = 0; i < UART_BACKLOG; i++) {
		if (in(UART_RX) != (uint8_t)i) {
			CHECK(false, "character %u", i);
			break;
		}
	}
	CHECK(!(in(UART_LSR) & UART_LSR_DR), "more data");
	CHECK_EQ(room_calls, 1);
	CHECK_EQ(uart_room(&uart), UART_BACKLOG);
}

TEST(uart_with_a_closed_output)
{
	make_uart();
	signal(SIGPIPE, SIG_IGN);
	close(output[0]);
	for (int i = 0; i < 1000; i++)
		out(UART_TX, 'x');
	CHECK_EQ(in(UART_LSR), UART_LSR_TEMT | UART_LSR_THRE);
	CHECK_EQ(uart.out_closed, true);
}

/* An output that nobody reads blocks the guest, but not its end. */
TEST(uart_with_a_full_output)
{
	make_uart();
	vm_stop(&vm, VM_TIMEOUT);
	for (int i = 0; i < 100000; i++)
		out(UART_TX, 'x');
	CHECK_EQ(in(UART_LSR), UART_LSR_TEMT | UART_LSR_THRE);
}

static uint8_t cmos(uint8_t reg)
{
	bus_write(&vm.pio, PORT_RTC, 1, reg);
	return bus_read(&vm.pio, PORT_RTC + 1, 1);
}

static void set_cmos(uint8_t reg, uint8_t value)
{
	bus_write(&vm.pio, PORT_RTC, 1, reg);
	bus_write(&vm.pio, PORT_RTC + 1, 1, value);
}

static unsigned int bcd(uint8_t value)
{
	return (value >> 4) * 10 + (value & 0xf);
}

static void make_rtc(void)
{
	REQUIRE_OK(fake_vm_init(&vm, 4096));
	REQUIRE_OK(rtc_init(&rtc, &vm));
}

static time_t cmos_time(void)
{
	struct tm tm = {
		.tm_sec = bcd(cmos(0)), .tm_min = bcd(cmos(2)), .tm_hour = bcd(cmos(4)),
		.tm_mday = bcd(cmos(7)), .tm_mon = bcd(cmos(8)) - 1,
		.tm_year = bcd(cmos(9)) + 100 * bcd(cmos(0x32)) - 1900,
	};

	return timegm(&tm);
}

TEST(rtc_tells_the_time)
{
	time_t before, guest, after;

	make_rtc();
	/* A reading that straddles a second is none; the next will not. */
	do {
		before = time(NULL);
		guest = cmos_time();
		after = time(NULL);
	} while (before != after);
	CHECK_EQ(guest, before);
	CHECK_EQ(cmos(0x0d), 0x80);
	CHECK_EQ(cmos(0x0b), 0x02);
	CHECK_EQ(cmos(0x0a) & 0x7f, 0x26);
	CHECK_EQ(cmos(0x8d), 0x80);		/* bit 7 is no part of the index */
}

/* 2001-02-03 04:05:06 was a Saturday. */
static const uint8_t moment[][2] = {
	{ 0, 0x06 }, { 2, 0x05 }, { 4, 0x04 }, { 7, 0x03 }, { 8, 0x02 }, { 9, 0x01 },
	{ 0x32, 0x20 },
};

TEST(rtc_can_be_set)
{
	time_t guest;

	make_rtc();
	set_cmos(0x0b, 0x82);
	for (size_t i = 0; i < ARRAY_SIZE(moment); i++)
		set_cmos(moment[i][0], moment[i][1]);
	CHECK_EQ(cmos(0), 0x06);		/* it stands */
	set_cmos(0x0b, 0x02);
	guest = cmos_time();
	CHECK(guest - 981173106 <= 2 && guest >= 981173106, "got %ld", (long)guest);
	CHECK_EQ(cmos(6), 7);
	set_cmos(0x0b, 0x06);			/* binary */
	CHECK_EQ(cmos(0x32), 20);
	set_cmos(0x0b, 0x00);			/* 12 hours, BCD */
	CHECK_EQ(cmos(4), 0x04);
	set_cmos(4, 0x84);			/* 4 PM */
	set_cmos(0x0b, 0x02);
	CHECK_EQ(cmos(4), 0x16);
}

TEST(rtc_takes_nonsense)
{
	make_rtc();
	for (unsigned int reg = 0; reg < 256; reg++) {
		set_cmos(reg, 0xff);
		cmos(reg);
	}
	for (unsigned int reg = 0; reg < 256; reg++) {
		set_cmos(reg, 0x00);
		cmos(reg);
	}
	CHECK_EQ(cmos(0x0d), 0x80);
	set_cmos(0x40, 0x99);
	CHECK_EQ(cmos(0x40), 0x99);		/* plain memory */
}

static void make_pm(void)
{
	REQUIRE_OK(fake_vm_init(&vm, 4096));
	REQUIRE_OK(acpi_pm_init(&pm, &vm));
}

TEST(pm_power_off)
{
	make_pm();
	CHECK_EQ(bus_read(&vm.pio, PORT_PM1_CONTROL, 2), 1);	/* ACPI is on */
	bus_write(&vm.pio, PORT_PM1_CONTROL, 2, ACPI_S5_TYPE << 10);
	bus_write(&vm.pio, PORT_PM1_CONTROL, 2, 1 << 13 | 3 << 10);
	CHECK_EQ(vm_stopping(&vm), false);
	bus_write(&vm.pio, PORT_PM1_CONTROL, 2, 1 << 13 | ACPI_S5_TYPE << 10);
	CHECK_EQ(vm.end, VM_POWER_OFF);
}

TEST(pm_events)
{
	make_pm();
	bus_write(&vm.pio, PORT_PM1_EVENT + 2, 2, 0x0321);
	CHECK_EQ(bus_read(&vm.pio, PORT_PM1_EVENT + 2, 2), 0x0321);
	CHECK_EQ(bus_read(&vm.pio, PORT_PM1_EVENT, 2) & 0xffff, 0);
}

TEST(pm_timer)
{
	struct timespec t = { .tv_nsec = 20000000 };
	uint32_t before, ticks;

	make_pm();
	before = bus_read(&vm.pio, PORT_PM_TIMER, 4);
	nanosleep(&t, NULL);
	ticks = (uint32_t)bus_read(&vm.pio, PORT_PM_TIMER, 4) - before;
	CHECK(ticks >= 71590, "only %u ticks in 20 ms", ticks);
}

TEST(reset_line)
{
	REQUIRE_OK(fake_vm_init(&vm, 4096));
	REQUIRE_OK(i8042_init(&vm));
	CHECK_EQ(bus_read(&vm.pio, PORT_I8042_CMD, 1), 0);
	bus_write(&vm.pio, PORT_I8042_CMD, 1, 0xaa);
	bus_write(&vm.pio, PORT_I8042_DATA, 1, 0xfe);
	CHECK_EQ(vm_stopping(&vm), false);
	bus_write(&vm.pio, PORT_I8042_CMD, 1, 0xfe);
	CHECK_EQ(vm.end, VM_REBOOT);
}

TEST(panic_notifier)
{
	REQUIRE_OK(fake_vm_init(&vm, 4096));
	REQUIRE_OK(pvpanic_init(&vm));
	CHECK_EQ(bus_read(&vm.pio, PORT_PVPANIC, 1), 3);
	bus_write(&vm.pio, PORT_PVPANIC, 1, 2);
	CHECK_EQ(vm_stopping(&vm), false);
	bus_write(&vm.pio, PORT_PVPANIC, 1, 1);
	CHECK_EQ(vm.end, VM_PANIC);
}

TEST(first_end_counts)
{
	REQUIRE_OK(fake_vm_init(&vm, 4096));
	CHECK_EQ(vm_stop(&vm, VM_REBOOT), true);
	CHECK_EQ(vm_stop(&vm, VM_POWER_OFF), false);
	CHECK_EQ(vm.end, VM_REBOOT);
}
