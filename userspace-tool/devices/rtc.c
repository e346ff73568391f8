// SPDX-License-Identifier: GPL-2.0-only
/*
 * MC146818 real-time clock. It follows the host's clock in UTC; a guest that
 * sets it shifts its own view. Alarm and periodic interrupts are not there,
 * and the ACPI tables give it no interrupt line.
 */
#include "core/ports.h"
#include "core/util.h"
#include "core/vm.h"
#include "devices/devices.h"

#include <string.h>
#include <time.h>

enum {
	REG_SECONDS	= 0x00,
	REG_MINUTES	= 0x02,
	REG_HOURS	= 0x04,
	REG_WEEKDAY	= 0x06,
	REG_DAY		= 0x07,
	REG_MONTH	= 0x08,
	REG_YEAR	= 0x09,
	REG_A		= 0x0a,
	REG_B		= 0x0b,
	REG_C		= 0x0c,
	REG_D		= 0x0d,
	REG_CENTURY	= 0x32,		/* where the FADT says it is */
};

#define A_UIP		BIT(7)		/* an update is near: do not read */
#define A_DIVIDER	0x26		/* 32768 Hz crystal, 1024 Hz rate */
#define B_SET		BIT(7)		/* the clock stands while it is set */
#define B_BINARY	BIT(2)		/* else BCD */
#define B_24H		BIT(1)
#define D_VALID		BIT(7)		/* the battery is good */
#define HOUR_PM		0x80

/* UIP is up during the last 244 us of each second. */
#define UPDATE_NS	(1000000000L - 244000L)

static uint8_t encode(const struct rtc *rtc, unsigned int value)
{
	if (rtc->cmos[REG_B] & B_BINARY)
		return value;
	return (value / 10 % 10) << 4 | value % 10;
}

static unsigned int decode(const struct rtc *rtc, uint8_t value)
{
	if (rtc->cmos[REG_B] & B_BINARY)
		return value;
	return (value >> 4) * 10 + (value & 0xf);
}

/* Host time to registers. */
static void load_time(struct rtc *rtc)
{
	time_t now = time(NULL) + rtc->offset;
	unsigned int hour, pm = 0;
	struct tm tm;

	if (rtc->cmos[REG_B] & B_SET || !gmtime_r(&now, &tm))
		return;
	hour = tm.tm_hour;
	if (!(rtc->cmos[REG_B] & B_24H)) {
		pm = hour >= 12 ? HOUR_PM : 0;
		hour = hour % 12 ? hour % 12 : 12;
	}
	rtc->cmos[REG_SECONDS] = encode(rtc, tm.tm_sec);
	rtc->cmos[REG_MINUTES] = encode(rtc, tm.tm_min);
	rtc->cmos[REG_HOURS] = encode(rtc, hour) | pm;
	rtc->cmos[REG_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->cmos[REG_DAY] = encode(rtc, tm.tm_mday);
	rtc->cmos[REG_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->cmos[REG_YEAR] = encode(rtc, tm.tm_year % 100);
	rtc->cmos[REG_CENTURY] = encode(rtc, (tm.tm_year + 1900) / 100);
}

/* Registers to offset from host time, after the guest changed them. */
static void store_time(struct rtc *rtc)
{
	uint8_t hours = rtc->cmos[REG_HOURS];
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->cmos[REG_SECONDS]),
		.tm_min = decode(rtc, rtc->cmos[REG_MINUTES]),
		.tm_hour = decode(rtc, hours),
		.tm_mday = decode(rtc, rtc->cmos[REG_DAY]),
		.tm_mon = (int)decode(rtc, rtc->cmos[REG_MONTH]) - 1,
		.tm_year = decode(rtc, rtc->cmos[REG_CENTURY]) * 100 +
			   decode(rtc, rtc->cmos[REG_YEAR]) - 1900,
	};

	if (!(rtc->cmos[REG_B] & B_24H))
		tm.tm_hour = decode(rtc, hours & ~HOUR_PM) % 12 + (hours & HOUR_PM ? 12 : 0);
	rtc->offset = timegm(&tm) - time(NULL);
}

static bool is_time(unsigned int reg)
{
	switch (reg) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_WEEKDAY ... REG_YEAR:
	case REG_CENTURY:
		return true;
	}
	return false;
}

static uint8_t read_register(struct rtc *rtc, unsigned int reg)
{
	struct timespec now;

	if (is_time(reg))
		load_time(rtc);
	if (reg == REG_A && !(rtc->cmos[REG_B] & B_SET)) {
		clock_gettime(CLOCK_REALTIME, &now);
		return rtc->cmos[REG_A] | (now.tv_nsec >= UPDATE_NS ? A_UIP : 0);
	}
	return rtc->cmos[reg];
}

static void write_register(struct rtc *rtc, unsigned int reg, uint8_t value)
{
	uint8_t old = rtc->cmos[reg];

	switch (reg) {
	case REG_A:
		rtc->cmos[reg] = value & ~A_UIP;
		break;
	case REG_B:
		/* Registers as they were when the clock is stopped. */
		load_time(rtc);
		rtc->cmos[reg] = value;
		if ((old & B_SET) && !(value & B_SET))
			store_time(rtc);
		break;
	case REG_C:
	case REG_D:
		break;
	default:
		if (!is_time(reg)) {
			rtc->cmos[reg] = value;
			break;
		}
		load_time(rtc);
		rtc->cmos[reg] = value;
		if (!(rtc->cmos[REG_B] & B_SET))
			store_time(rtc);
	}
}

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned int len)
{
	struct rtc *rtc = dev;
	uint8_t value = 0xff;		/* the index cannot be read back */

	pthread_mutex_lock(&rtc->lock);
	if (offset == 1)
		value = read_register(rtc, rtc->index);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void rtc_write(void *dev, uint64_t offset, unsigned int len, uint64_t value)
{
	struct rtc *rtc = dev;

	pthread_mutex_lock(&rtc->lock);
	if (offset == 0)
		rtc->index = value & 0x7f;	/* bit 7 masks NMIs on a PC */
	else
		write_register(rtc, rtc->index, value);
	pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops rtc_ops = { .read = rtc_read, .write = rtc_write };

int rtc_init(struct rtc *rtc, struct vm *vm)
{
	memset(rtc, 0, sizeof(*rtc));
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->cmos[REG_A] = A_DIVIDER;
	rtc->cmos[REG_B] = B_24H;
	rtc->cmos[REG_D] = D_VALID;
	return bus_add(&vm->pio, PORT_RTC, 2, &rtc_ops, rtc);
}
