# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Sourced by the groups of check.d that are scripts: prints KTAP.

ktap_number=0

# plan N: so many results will come.
plan() {
	echo "KTAP version 1"
	echo "1..$1"
}

# result STATUS NAME: a result; 0 is good.
result() {
	ktap_number=$((ktap_number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $ktap_number $2"
	else
		echo "not ok $ktap_number $2"
	fi
}

# skip NAME WHY: a test that cannot run here.
skip() {
	ktap_number=$((ktap_number + 1))
	echo "ok $ktap_number $1 # SKIP $2"
}

# check NAME COMMAND...: a test that is good when COMMAND succeeds; what it writes
# explains a failure.
check() {
	ktap_name=$1
	shift
	ktap_status=0
	ktap_output=$("$@" 2>&1) || ktap_status=$?
	[ $ktap_status = 0 ] || printf '%s\n' "$ktap_output" | sed 's/^/# /'
	result $ktap_status "$ktap_name"
}

# expect NAME WANT GOT: a test that is good when the two are equal.
expect() {
	if [ "$2" = "$3" ]; then
		result 0 "$1"
	else
		printf 'expected: %s\ngot:      %s\n' "$2" "$3" | sed 's/^/# /'
		result 1 "$1"
	fi
}
