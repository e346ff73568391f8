#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh [--device PATH] [--limit SECONDS] [--dir DIR] [--leaks] [PROGRAM...]
#
# Runs test programs as root and prints one KTAP stream in which each program is
# one test and its own report the subtest. A program also fails if the kernel
# logged a splat while it ran, if it did not end within its time limit or, with
# --leaks on a kernel with kmemleak, if it left memory that nothing points to.
# Exit status: 0 all passed, 1 some failed, 4 all were skipped, 2 wrong usage.

set -u

dir=$(dirname "$0")
[ -d "$dir/build" ] && dir=$dir/build
limit=300
look_for_leaks=no
VITRO_DEVICE=${VITRO_DEVICE:-/dev/vitro}

usage()
{
	sed -n '/^# run.sh/,/^# Exit/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

while [ $# -gt 0 ]; do
	case $1 in
	--device) [ $# -gt 1 ] || usage; VITRO_DEVICE=$2; shift 2 ;;
	--limit) [ $# -gt 1 ] || usage; limit=$2; shift 2 ;;
	--dir) [ $# -gt 1 ] || usage; dir=$2; shift 2 ;;
	--leaks) look_for_leaks=yes; shift ;;
	-*) usage ;;
	*) break ;;
	esac
done
export VITRO_DEVICE

# Kernels that watch themselves take their time. Races are found by patience, which some
# tests scale with it.
case $(uname -r) in
*-lab) VITRO_SLOWNESS=${VITRO_SLOWNESS:-8} ;;
*-kcsan) VITRO_SLOWNESS=${VITRO_SLOWNESS:-30} ;;
esac
export VITRO_SLOWNESS="${VITRO_SLOWNESS:-1}"
limit=$((limit * VITRO_SLOWNESS))

if [ $# -eq 0 ]; then
	for program in "$dir"/*; do
		if [ -f "$program" ] && [ -x "$program" ]; then
			case $program in
			*.sh) ;;
			*) set -- "$@" "$(basename "$program")" ;;
			esac
		fi
	done
fi
[ $# -gt 0 ] || usage

# What a kernel log must not hold. Lock debugging says INFO for some of its findings,
# and when it gives up.
splat='WARNING:|BUG:|Oops|Call Trace|general protection fault|possible .* detected|INFO: task|rcu.*stall'
splat="$splat|KASAN:|KCSAN:|UBSAN:|ODEBUG:|refcount_t:|corruption|INFO: trying to register non-static key"
splat="$splat|lockdep is turned off|turning off the locking|leak detector disabled"

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

# leaks: print what kmemleak suspects to have leaked since it was asked last. Objects
# younger than 5 seconds do not count, nor those whose content has changed since the
# scan before; hence two scans, the second so much later. What the kernel leaked while it
# booted (comm "swapper/0") is not the programs', though a stale pointer may have kept it
# from being seen until now.
kmemleak=/sys/kernel/debug/kmemleak
leaks()
{
	[ "$look_for_leaks" = yes ] && [ -w $kmemleak ] || return
	echo scan > $kmemleak
	sleep 5
	echo scan > $kmemleak
	awk '/^unreferenced/ { head = $0; next }
	     /^  comm/ { shown = !/"swapper\/0"/; if (shown) print head }
	     shown' $kmemleak
	echo clear > $kmemleak
}

# What the kernel has leaked until now is not the programs'.
leaks > /dev/null

echo "KTAP version 1"
echo "1..$#"
number=0 passed=0 failed=0 skipped=0
for name; do
	number=$((number + 1))
	# A mark in the log separates this program's lines from those before.
	mark="selftests: $name $$ $number"
	echo "$mark" > /dev/kmsg
	echo "# Subtest: $name" | sed 's/^/  /'
	{
		timeout -k 5 "$limit" "$dir/$name"
		echo $? > "$work/status"
	} 2>&1 | sed 's/^/  /'
	status=$(cat "$work/status")
	leaks > "$work/leaks"
	dmesg > "$work/log"
	# Without the mark the log has overflowed, and all of it is later.
	grep -qF "$mark" "$work/log" && sed -i "1,/$mark/d" "$work/log"
	why=
	if grep -qE "$splat" "$work/log"; then
		why="expected a quiet kernel log, got:"
		grep -E -A 30 "$splat" "$work/log" | head -n 60 |
			sed 's/^/# /'
	fi
	if [ -s "$work/leaks" ]; then
		why="$why expected no leak, got $(grep -c '^unreferenced' "$work/leaks") objects:"
		head -n 60 "$work/leaks" | sed 's/^/# /'
	fi
	case $status in
	0 | 4) ;;
	124 | 137 | 143) why="$why expected an end within $limit s, got none" ;;
	1) why="$why failed checks" ;;
	*) why="$why expected exit status 0, got $status" ;;
	esac
	if [ -n "$why" ]; then
		failed=$((failed + 1))
		echo "# $name: $why"
		echo "not ok $number $name"
	elif [ "$status" -eq 4 ]; then
		skipped=$((skipped + 1))
		echo "ok $number $name # SKIP all of it"
	else
		passed=$((passed + 1))
		echo "ok $number $name"
	fi
done
echo "# Totals: pass:$passed fail:$failed skip:$skipped"
[ "$failed" -eq 0 ] || exit 1
[ "$passed" -gt 0 ] || exit 4
