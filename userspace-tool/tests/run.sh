#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs the unit tests and prints one KTAP stream; "make check" calls it.
# Exit status: 0 if all passed.
set -u

cd "$(dirname "$0")" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

set --
for source in test-*.c; do
	set -- "$@" "../build/tests/${source%.c}"
done
set -- "$@" ./cli.sh

echo "KTAP version 1"
echo "1..$#"
number=0 failed=0
for program; do
	number=$((number + 1))
	name=$(basename "$program" .sh)
	echo "  # Subtest: $name"
	{
		case $program in
		*.sh) timeout 120 sh "$program" ;;
		*) timeout 120 "$program" ;;
		esac
		echo $? >"$work/status"
	} 2>&1 | sed 's/^/  /'
	status=$(cat "$work/status")
	if [ "$status" = 0 ]; then
		echo "ok $number $name"
	else
		failed=1
		echo "# $name: exit status $status"
		echo "not ok $number $name"
	fi
done
exit $failed
