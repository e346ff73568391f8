# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Shared by the scripts of machines/: messages, the cache, locks and stamps.
# Source it with $here set to the folder of the machines.

# The tree these scripts belong to, and the cache outside of it that everything
# downloaded or built for all trees lands in.
# shellcheck disable=SC2034,SC2154
top=$(cd "$here/.." && pwd)
cache=${VITRO_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set, set it or VITRO_CACHE}/.cache}/vitro}

# say MESSAGE...: tell the person at the terminal where we are.
say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# die MESSAGE...: say what went wrong and end.
die() {
	say "$*"
	exit 1
}

# lock NAME: take the lock NAME in the cache until the script ends.  Others who
# want it wait.  The descriptor is 9: close it (9>&-) for a program that outlives
# the script.
lock() {
	mkdir -p "$cache" || die "cannot create the cache $cache; set VITRO_CACHE to a folder that you can write to"
	exec 9>"$cache/$1.lock"
	# Who only looks whether all is there has it for seconds, on a slow computer.
	if ! flock -w 30 9; then
		say "waiting for another process that is filling the cache ($cache/$1.lock)"
		flock 9
	fi
}

# refresh_lists: have this computer's apt fetch its lists of packages.
refresh_lists() {
	say "refreshing the package lists"
	if [ "$(id -u)" = 0 ]; then
		persistent apt-get -q update >&2
	else
		persistent sudo apt-get -q update >&2
	fi
}

# persistent COMMAND...: a command that fetches, three times at most: a mirror may be in the
# middle of an update or out of reach for a moment, and this computer's apt in other hands.
persistent() {
	for pause in 15 60; do
		"$@" && return
		say "this failed, and is tried again in $pause seconds: $*"
		sleep $pause
	done
	"$@"
}

# fingerprint DIR [FILE...]: one line that changes when a file of DIR goes missing,
# appears or changes its size, or one of the FILEs in it changes its content.
fingerprint() {
	(
		cd "$1" || exit 1
		shift
		find . -type f ! -name .stamp -printf '%s %p\n' | LC_ALL=C sort | sha256sum
		if [ $# -gt 0 ]; then
			sha256sum "$@"
		fi
	) 2>/dev/null | tr '\n' ' '
}

# stamp DIR [FILE...]: declare DIR complete.
stamp() {
	fingerprint "$@" >"$1/.stamp"
}

# stamped DIR [FILE...]: succeed when DIR is exactly as it was at stamp().
stamped() {
	[ -f "$1/.stamp" ] && [ "$(cat "$1/.stamp")" = "$(fingerprint "$@")" ]
}

# build PART: run make in a folder of the tree, one at a time, for groups of tests run
# side by side.
build() {
	mkdir -p "$top/build"
	flock "$top/build/$(echo "$1" | tr / -).lock" make -s -C "$top/$1" >&2 || die "$1 does not build, see above"
}
