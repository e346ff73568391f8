# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Sourced by the groups of clients.d, which run in the emulated machine: prints KTAP.

number=0
failed=0

# Clients open /dev/kvm, whatever is behind it.
[ "${HV:-vitro}" = kvm ] || [ -e /dev/kvm ] || ln -s vitro /dev/kvm

# wanted NAME: succeed when the test is one of those asked for.
wanted() {
	[ -n "$ONLY" ] || return 0
	for word in $ONLY; do
		case $1 in
		*"$word"*) return 0 ;;
		esac
	done
	return 1
}

# begin NAME: a test begins.
begin() {
	name=$1
	number=$((number + 1))
	problems=
	skip=
	started=$(cut -d ' ' -f 1 /proc/uptime)
	dmesg | wc -l >/tmp/kernel-lines
	: >/tmp/output
}

# problem TEXT...: the test has failed, for that reason.
problem() {
	problems="$problems
$*"
}

# end: the test is over; what its program and the kernel wrote explains a failure.
end() {
	echo "# seconds: $name $(cut -d ' ' -f 1 /proc/uptime | awk -v from="$started" '{ printf "%.1f", $1 - from }')"
	if [ -z "$problems" ]; then
		echo "ok $number $name${skip:+ # SKIP $skip}"
		return
	fi
	failed=1
	echo "$problems" | sed '1d; s/^/# /'
	tail -n 30 /tmp/output | tr -d '\r' | sed 's/^/# output: /'
	dmesg | tail -n +"$(($(cat /tmp/kernel-lines) + 1))" | tail -n 20 | sed 's/^/# kernel: /'
	echo "not ok $number $name"
}

# test_of NAME: run the function do_NAME as a test, if it was asked for.
test_of() {
	wanted "$1" || return 0
	begin "$1"
	"do_$1"
	end
}

# skipped WHY: the test cannot run here.
skipped() {
	skip=$1
}

# finish: all tests are over.
finish() {
	if [ "$number" = 0 ]; then
		echo "Bail out! no test has a word of '$ONLY' in its name"
		failed=1
	fi
	echo "1..$number"
	exit "$failed"
}

# qemu SECONDS ARGS...: run QEMU on the hypervisor, the guest's console in /tmp/output.
qemu() {
	limit=$1
	shift
	status=0
	timeout -s KILL "$limit" /usr/bin/qemu-system-x86_64 -accel kvm -no-user-config -display none \
		-nic none -no-reboot "$@" </dev/null >/tmp/output 2>&1 || status=$?
	case $status in
	0) ;;
	137) problem "QEMU did not end within $limit seconds" ;;
	*) problem "QEMU ended with status $status" ;;
	esac
}

# said TEXT: the guest must have written that.
said() {
	grep -qF "$1" /tmp/output || problem "the guest did not write '$1'"
}

# complaints [FILE]: the guest's kernel, whose console is in FILE, must be as quiet as on a computer
# that it likes.  Two are about the emulated processor, see linux-guest.
complaints() {
	grep -E 'WARNING:|BUG:|Oops|Call Trace|general protection|rcu: INFO|Marking TSC unstable|clocksource: .*unstable|unchecked MSR|lost .* interrupt|MP-BIOS bug|not responding|I/O error' "${1:-/tmp/output}" |
		grep -vE 'Speculative Return Stack Overflow: WARNING: See|RETBleed: WARNING: Spectre v2|TSC unstable due to TSCs unsynchronized' >/tmp/complaints &&
		problem "the guest's kernel complains: $(head -n 3 /tmp/complaints)"
}
