# SPDX-License-Identifier: GPL-2.0-only
# The module itself is described in Kbuild, the tool in userspace-tool/Makefile.

KDIR	?= /lib/modules/$(shell uname -r)/build
PREFIX	?= /usr/local
DESTDIR	?=
RULES	?= $(DESTDIR)/etc/udev/rules.d/60-vitro.rules
MACHINE	?= amd
SUDO	?= $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# of the kernel that KDIR belongs to
RELEASE	= $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h)

V	?= 0
Q	:= $(if $(filter 1,$(V)),,@)
export V MACHINE COUNT SEED

all: module tool

help:
	@echo 'On a computer without VT-x or AMD-V (Debian 12; packages are installed as needed):'
	@echo '  make demo     boot a stock Debian guest under vitro in an emulated machine'
	@echo '  make shell    the emulated machine as a shell, vitro loaded; Ctrl-A X leaves'
	@echo '  make check    run all tests;  TESTS=WORD only the groups with that in their name'
	@echo '  make long     tests that take hours;  TESTS=WORD as above'
	@echo '  make check-clients  QEMU and other programs on vitro, beside stock KVM (hours);  MACHINE='
	@echo '  make matrix   builds and tests on each supported kernel, as a table;  KERNELS=7.2'
	@echo '  make fuzz     look for what nobody thought of;  TIME=SECONDS  FUZZ=ioctl|guest|decoder|...'
	@echo '  make differential  random guests on vitro and on stock KVM; COUNT=, SEED='
	@echo '  make bench    costs of exits and of booting, in instructions, beside KVM'
	@echo ''
	@echo 'On real hardware:'
	@echo '  make          the module for the running kernel (or KDIR=), and the tool'
	@echo '  make load     load the module;  make unload  takes it out again'
	@echo '  make install  module, tool, man page and udev rule;  make uninstall'
	@echo '  make demo MACHINE=host'
	@echo ''
	@echo 'make clean removes what was built here; the cache (~/.cache/vitro) stays.'
	@echo ''
	@echo 'Variables: MACHINE=amd|intel|host (here: $(MACHINE)), V=1 shows the commands,'
	@echo 'KDIR (kernel to build for), PREFIX, DESTDIR, VITRO_CACHE.'

module:
	$(Q)[ -e $(KDIR)/Makefile ] || { \
		echo 'No kernel headers in $(KDIR).' >&2; \
		echo 'Install linux-headers-$(shell uname -r), or set KDIR to those of the kernel to build for.' >&2; \
		echo 'To try vitro in an emulated machine, use "make demo" or "make shell" instead.' >&2; \
		exit 1; }
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR) modules

tool:
	$(Q)$(MAKE) -C userspace-tool

load: module
	$(Q)if grep -q '^vitro ' /proc/modules; then \
		echo 'vitro is loaded already; "make unload" first' >&2; exit 1; fi
	$(Q)$(SUDO) insmod vitro.ko $(ARGS) || { \
		echo 'The module did not load. The kernel log says why:' >&2; \
		$(SUDO) dmesg | grep 'vitro' | tail -n 5 >&2; exit 1; }
	@echo 'vitro is loaded: /dev/vitro'

unload:
	$(Q)$(SUDO) rmmod vitro

install: module tool
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR) $(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) \
		INSTALL_MOD_DIR=extra modules_install
	$(Q)$(MAKE) -C userspace-tool install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)
	$(Q)install -D -m 644 packaging/60-vitro.rules $(RULES)
	$(Q)[ -n "$(DESTDIR)" ] || udevadm control --reload 2>/dev/null || true

uninstall:
	$(Q)rm -f $(DESTDIR)/lib/modules/$(RELEASE)/extra/vitro.ko*
	$(Q)$(MAKE) -C userspace-tool uninstall PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)
	$(Q)rm -f $(RULES)
	$(Q)[ -n "$(DESTDIR)" ] || depmod

demo:
	$(Q)machines/demo

shell:
	$(Q)machines/shell

check:
	$(Q)machines/check $(TESTS)

long:
	$(Q)machines/check --long $(TESTS)

check-clients:
	$(Q)machines/check-clients $(MACHINE)

matrix:
	$(Q)machines/matrix $(KERNELS)

bench:
	$(Q)bench/run

fuzz:
	$(Q)for fuzzer in $(or $(FUZZ),ioctl guest decoder loader virtio); do \
		selftests/fuzz/run $$fuzzer || exit 1; done

differential:
	$(Q)machines/differential $(MACHINE)

clean-module:
	$(Q)[ ! -e $(KDIR)/Makefile ] || $(MAKE) -C $(KDIR) M=$(CURDIR) clean

clean: clean-module
	$(Q)rm -rf build
	$(Q)$(MAKE) -C userspace-tool clean
	$(Q)$(MAKE) -C selftests clean
	$(Q)$(MAKE) -C selftests/fuzz clean

.PHONY: all help module tool load unload install uninstall demo shell check long check-clients matrix bench differential fuzz clean clean-module
