// SPDX-License-Identifier: GPL-2.0-only
/* PM1 event and control registers and the PM timer (ACPI, Fixed Hardware). */
#include "core/ports.h"
#include "core/util.h"
#include "core/vm.h"
#include "devices/devices.h"

#include <time.h>

#define PM_TIMER_HZ	3579545ULL
#define NSEC_PER_SEC	1000000000ULL

#define CNT_SCI_EN	BIT(0)
#define CNT_SLP_EN	BIT(13)
#define CNT_SLP_TYP(x)	((x) >> 10 & 7)

#define OFF_STATUS	0
#define OFF_ENABLE	2
#define OFF_CONTROL	(PORT_PM1_CONTROL - PORT_PM1_EVENT)
#define OFF_TIMER	(PORT_PM_TIMER - PORT_PM1_EVENT)

static uint32_t timer_value(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * PM_TIMER_HZ + now.tv_nsec * PM_TIMER_HZ / NSEC_PER_SEC;
}

static uint64_t pm_read(void *dev, uint64_t offset, unsigned int len)
{
	struct acpi_pm *pm = dev;
	uint32_t value = 0;

	pthread_mutex_lock(&pm->lock);
	switch (offset) {
	case OFF_STATUS:
		value = pm->status | (uint32_t)pm->enable << 16;
		break;
	case OFF_ENABLE:
		value = pm->enable;
		break;
	case OFF_CONTROL:
		/* There is no SMI handler to switch to ACPI: it is always on. */
		value = pm->control | CNT_SCI_EN;
		break;
	case OFF_TIMER:
		value = timer_value();
		break;
	}
	pthread_mutex_unlock(&pm->lock);
	return value;
}

static void pm_write(void *dev, uint64_t offset, unsigned int len, uint64_t value)
{
	struct acpi_pm *pm = dev;

	pthread_mutex_lock(&pm->lock);
	switch (offset) {
	case OFF_STATUS:
		pm->status &= ~value;		/* write one to clear */
		if (len == 4)
			pm->enable = value >> 16;
		break;
	case OFF_ENABLE:
		pm->enable = value;
		break;
	case OFF_CONTROL:
		pm->control = value & ~CNT_SLP_EN;
		if ((value & CNT_SLP_EN) && CNT_SLP_TYP(value) == ACPI_S5_TYPE)
			vm_stop(pm->vm, VM_POWER_OFF);
		break;
	}
	pthread_mutex_unlock(&pm->lock);
}

static const struct bus_ops pm_ops = { .read = pm_read, .write = pm_write };

int acpi_pm_init(struct acpi_pm *pm, struct vm *vm)
{
	*pm = (struct acpi_pm){ .vm = vm };
	pthread_mutex_init(&pm->lock, NULL);
	return bus_add(&vm->pio, PORT_PM1_EVENT, PORT_PM_SIZE, &pm_ops, pm);
}
