#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# load_unload.sh MODULE [COUNT [HELLO]]
#
# Loads and unloads the module COUNT (1000) times as root, then shows that it
# cannot be unloaded while a VM exists. HELLO is a program that uses the device;
# it runs now and then in between. Prints KTAP; exit status 0 passed, 1 failed.

set -u

module=${1:?usage: load_unload.sh MODULE [COUNT [HELLO]]}
count=${2:-1000}
hello=${3:-}
name=$(basename "$module")
name=${name%%.*}
device=${VITRO_DEVICE:-/dev/vitro}
failed=0

note()
{
	echo "# $*"
}

# ok NUMBER TEXT: reports $bad, a text which says what went wrong, or nothing.
ok()
{
	if [ -n "$bad" ]; then
		note "$bad"
		echo "not ok $1 $2"
		failed=1
	else
		echo "ok $1 $2"
	fi
}

loaded()
{
	grep -q "^$name " /proc/modules
}

# Kernel memory that is not given back, in KiB.
kernel_kib()
{
	awk '/^(SUnreclaim|VmallocUsed|Percpu|PageTables):/ { n += $2 }
	     END { print n }' /proc/meminfo
}

load()
{
	insmod "$module" || { bad="insmod failed in round $1"; return 1; }
	[ -c "$device" ] || { bad="no $device in round $1"; return 1; }
}

unload()
{
	rmmod "$name" || { bad="rmmod failed in round $1"; return 1; }
	loaded && { bad="still loaded after rmmod in round $1"; return 1; }
	return 0
}

repeat()
{
	i=0
	while [ "$i" -lt "$count" ]; do
		i=$((i + 1))
		load "$i" || return
		if [ -n "$hello" ] && [ $((i % 100)) -eq 1 ]; then
			"$hello" > /dev/null ||
				{ bad="$hello failed in round $i"; return; }
		fi
		unload "$i" || return
		[ "$i" -eq 20 ] && before=$(kernel_kib)
		[ $((i % 100)) -eq 0 ] && note "$i rounds"
	done
}

echo "KTAP version 1"
echo "1..3"
loaded && rmmod "$name"
before=0

bad=
repeat
ok 1 "load_unload_$count"

bad=
if [ "$before" -eq 0 ]; then
	echo "ok 2 memory_given_back # SKIP fewer than 20 rounds"
else
	sleep 1
	lost=$(($(kernel_kib) - before))
	note "$lost KiB of kernel memory more than after 20 rounds"
	# One page per round would be 4 KiB times the rounds.
	[ "$lost" -lt $(((count - 20) * 2 + 1000)) ] ||
		bad="expected no growth, got $lost KiB in $count rounds"
	ok 2 memory_given_back
fi

# The shell holds the device node open: that is enough of a user.
bad=
if load last; then
	exec 3<> "$device"
	if rmmod "$name" 2> /dev/null; then
		bad="expected a refusal while the device is in use, got success"
	elif ! loaded; then
		bad="the module is gone while the device is in use"
	fi
	exec 3>&-
	if loaded && ! rmmod "$name"; then
		bad="rmmod failed when nobody used it any more"
	fi
fi
ok 3 refused_while_in_use
exit "$failed"
