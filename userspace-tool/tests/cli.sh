#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The program's face: options, messages and exit statuses. Runs anywhere, since it
# stops before there is a virtual machine. Prints KTAP.
set -u

cd "$(dirname "$0")/.." || exit 1
vitro=./vitro
number=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# result NAME: whether the command before it succeeded.
result() {
	status=$?
	number=$((number + 1))
	if [ $status = 0 ]; then
		echo "ok $number $1"
	else
		failed=1
		echo "not ok $number $1"
	fi
}

# refuses STATUS TEXT ARGS...: vitro ARGS says TEXT and exits with STATUS.
refuses() {
	want=$1 text=$2
	shift 2
	got=0
	$vitro "$@" >"$work/out" 2>&1 </dev/null || got=$?
	[ "$got" = "$want" ] && grep -q -- "$text" "$work/out" && return 0
	echo "# vitro $*: expected status $want and '$text', got $got and:"
	sed 's/^/# /' "$work/out"
	return 1
}

# options_of TEXT: the long options in it, without those that argp gives to all.
options_of() {
	grep -o -- '--[a-z][a-z-]*' | LC_ALL=C sort -u | grep -vxE -- '--(help|usage|version)'
}

# Long options in the manual: the part about a command starts with its heading.
manual_options() {
	sed 's/\\-/-/g' vitro.1 | awk -v want="VITRO $1" '/^\.SH/ { on = substr($0, 5) == want } on && /^\.(BR|B|BI) .*--/ { print }' |
		options_of
}

same_options() {
	command=$1
	$vitro "$command" --help | options_of >"$work/help"
	manual_options "$(echo "$command" | tr '[:lower:]' '[:upper:]')" >"$work/man"
	cmp -s "$work/help" "$work/man" && return 0
	echo "# options of --help (left) and of vitro.1 (right):"
	diff "$work/help" "$work/man" | sed 's/^/# /'
	return 1
}

run_statuses() {
	missing=
	for status in 3 4 5 6 7 8; do
		$vitro run --help | tr '\n' ' ' | grep -q "[ ,]$status " || missing="$missing help:$status"
		grep -q "^\.B $status\$" vitro.1 || missing="$missing man:$status"
	done
	[ -z "$missing" ] || echo "# not documented: $missing"
	[ -z "$missing" ]
}

check_works() {
	got=0
	$vitro check >"$work/out" 2>&1 || got=$?
	# Whatever this host is: the verdict and the status agree.
	case $got in
	0) grep -q '^This host can run vitro' "$work/out" && ! grep -q '^FAIL' "$work/out" ;;
	1) grep -q '^This host cannot run vitro' "$work/out" && grep -q '^FAIL' "$work/out" ;;
	*) false ;;
	esac && return 0
	echo "# status $got:"
	sed 's/^/# /' "$work/out"
	return 1
}

short_example() {
	lines=$(wc -l <example/hello.c)
	[ "$lines" -lt 120 ] || echo "# expected fewer than 120 lines, got $lines"
	[ "$lines" -lt 120 ]
}

hello_without_device() {
	got=0
	./example/hello "$work/none" 2>"$work/out" || got=$?
	[ $got = 1 ] && grep -q "$work/none: No such file" "$work/out"
}

echo "KTAP version 1"
echo "1..24"
[ "$($vitro --version)" = "vitro $($vitro run --version | cut -d' ' -f2)" ]
result "version"
same_options run
result "run: manual and --help have the same options"
same_options stat
result "stat: manual and --help have the same options"
same_options check
result "check: manual and --help have the same options"
run_statuses
result "run: exit statuses are documented"
refuses 2 "no command given"
result "no command"
refuses 2 "no such command" frobnicate
result "unknown command"
refuses 2 "unrecognized option" --frobnicate run
result "unknown option before the command"
refuses 2 "unrecognized option" run --frobnicate
result "unknown option of a command"
refuses 2 "no kernel to boot" run
result "run: no kernel"
refuses 2 "did you mean --kernel" run vmlinux
result "run: kernel without its option"
refuses 2 "the least is 16M" run -k x --mem 0
result "run: no memory"
refuses 2 "from 1 to 254" run -k x --cpus 9999
result "run: too many vCPUs"
refuses 1 "the module is not loaded" run -k x --device "$work/none"
result "run: no device"
refuses 1 "is no hypervisor" run -k x --device /dev/null
result "run: another device"
refuses 1 "that is a directory" run -k x --device "$work"
result "run: a directory for a device"
refuses 1 "runs no virtual machine" stat $$
result "stat: a process without VM"
refuses 1 "there is no such process" stat 2147483647
result "stat: no such process"
refuses 2 "give one process id" stat x
result "stat: no number"
refuses 2 "give one process id" stat 1 2
result "stat: two processes"
refuses 2 "no such argument" check this
result "check: an argument"
check_works
result "check: verdict and status agree"
short_example
result "the example has fewer than 120 lines"
hello_without_device
result "the example without a device"
exit $failed
