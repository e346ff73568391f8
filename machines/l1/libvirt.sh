# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Sourced after client.sh by the groups that drive libvirt: a libvirtd, and guests that run
# l2/ticker.  Everything is under / of enter-root.sh, which is in memory.

# Other libvirtds than the first have another socket.
LIBVIRT_DEFAULT_URI=qemu:///system
export LIBVIRT_DEFAULT_URI
# Where the second listens, if there is one, and how that reaches the first.
FIRST_URI='qemu+unix:///system?socket=/tmp/one/libvirt-sock'
SECOND_URI='qemu+unix:///system?socket=/tmp/two/libvirt-sock'
export FIRST_URI SECOND_URI

# Bochs is that much slower.
case $MACHINE in
intel) patience=4 ;;
*) patience=1 ;;
esac

# daemon_config FOLDER UUID: what libvirtd and its QEMUs are to do in FOLDER: no users of their
# own, no other daemons.
daemon_config() {
	mkdir -p "$1" /var/log/libvirt
	cat >"$1/libvirtd.conf" <<-END
		auth_unix_ro = "none"
		auth_unix_rw = "none"
		host_uuid = "$2"
		log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
	END
	cat >"$1/qemu.conf" <<-END
		user = "root"
		group = "root"
		security_driver = "none"
		stdio_handler = "file"
		remember_owner = 0
	END
	# The lab kernel has none.
	grep -q '^Seccomp:' /proc/self/status || echo 'seccomp_sandbox = 0' >>"$1/qemu.conf"
}

# daemon_start: start libvirtd and wait until it answers.
daemon_start() {
	libvirtd --daemon --pid-file /run/libvirtd.pid || problem "libvirtd did not start"
	wait_for 300 virsh -q uri || problem "libvirtd does not answer"
}

# second_config: have a place for a second libvirtd: a mount namespace, kept by the process
# $second, with folders and a name of its own.  Control groups are the first's alone, for both
# would give them the same names.
second_config() {
	mkdir -p /tmp/one /tmp/two
	mount --bind /run/libvirt /tmp/one
	daemon_config /tmp/two/etc 00000000-0000-4000-8000-000000000002
	echo 'unix_sock_dir = "/tmp/two"' >>/tmp/two/etc/libvirtd.conf
	echo 'cgroup_controllers = [ ]' >>/tmp/two/etc/qemu.conf
	# libvirtd goes by the canonical name, so that no UTS namespace is needed.
	echo vitro >/proc/sys/kernel/hostname
	echo '127.0.0.1 one.vitro vitro localhost' >/etc/hosts
	echo '127.0.0.1 two.vitro vitro localhost' >/tmp/two/hosts
	cat >/tmp/two/enter <<-'END'
		set -e
		for folder in /run /var/lib/libvirt /var/log/libvirt /var/cache/libvirt; do
			mount -t tmpfs tmpfs $folder
		done
		mkdir -p /run/libvirt
		mount --bind /tmp/two/etc /etc/libvirt
		mount --bind /tmp/two/hosts /etc/hosts
		touch /tmp/two/entered
		exec sleep 1000000
	END
	rm -f /tmp/two/entered
	unshare -m sh /tmp/two/enter &
	second=$!
	wait_for 60 test -e /tmp/two/entered || problem "there is no place for a second libvirtd"
}

# second_start: start it there.
second_start() {
	nsenter -m -t "$second" libvirtd --daemon --pid-file /tmp/two/pid || problem "the second libvirtd did not start"
	wait_for 300 virsh -q -c "$SECOND_URI" uri || problem "the second libvirtd does not answer"
}

# second_stop: end it and what kept its place.
second_stop() {
	pid=$(cat /tmp/two/pid)
	kill "$pid"
	wait_for 180 sh -c "! kill -0 $pid 2>/dev/null" || problem "the second libvirtd did not end"
	kill "$second"
	umount /tmp/one
}

# end_or_finish: the end of a test without which the others have no chance.
end_or_finish() {
	was=$problems
	[ -z "$was" ] || tail -n 20 /var/log/libvirt/libvirtd.log >>/tmp/output
	end
	[ -z "$was" ] || finish
}

# daemon_stop: end it, its guests go on.
daemon_stop() {
	pid=$(cat /run/libvirtd.pid)
	kill "$pid"
	wait_for 180 sh -c "! kill -0 $pid 2>/dev/null" || problem "libvirtd did not end"
}

# wait_for SECONDS COMMAND...: until it succeeds, so long on the AMD machine; its output is dropped.
# A test that has a problem already does not wait for what may never come.
wait_for() {
	until_then=$(($(cut -d . -f 1 /proc/uptime) + $1 * patience))
	shift
	[ -z "$problems" ] || until_then=0
	until "$@" >/dev/null 2>&1; do
		[ "$(cut -d . -f 1 /proc/uptime)" -lt $until_then ] || return 1
		sleep 0.2
	done
}

# v ARGS...: virsh, which has to succeed; its output is the test's.
v() {
	echo "virsh $*" >>/tmp/output
	# Who waits for the slow machine wants to know where it is.
	[ "$MACHINE" != intel ] || echo "# virsh $*"
	virsh -q "$@" >/tmp/answer 2>&1 || problem "virsh $1 failed: $(cat /tmp/answer)"
	head -c 2000 /tmp/answer >>/tmp/output
}

# answered TEXT: the last virsh must have said that.
answered() {
	grep -qF -- "$1" /tmp/answer || problem "virsh did not say '$1' but: $(head -c 300 /tmp/answer)"
}

# state NAME WANTED: the state must come to be that.
state() {
	wait_for 180 sh -c "virsh domstate $1 | grep -qx '$2'" ||
		problem "$1 is '$(virsh domstate "$1" 2>&1)' instead of '$2'"
}

# domain NAME [ELEMENTS]: the XML of a guest with a console, its log in /tmp/NAME.log. What it
# differs in are variables: words (for l2/ticker), append (for the kernel), vcpus, memory (MiB), ...
domain() {
	cat <<-END
		<domain type='kvm'>
		<name>$1</name>
		<memory unit='MiB'>${memory:-192}</memory>
		<vcpu current='${vcpus:-1}'>${max_vcpus:-${vcpus:-1}}</vcpu>
		<os>
		<type arch='x86_64' machine='${machine:-pc}'>hvm</type>
		<kernel>/root/guest/kernel</kernel>
		<initrd>/root/guest/ticker</initrd>
		<cmdline>console=ttyS0 ${append:-} -- ${words:-}</cmdline>
		</os>
		<features><acpi/><apic/></features>
		${cpu:-<cpu mode='host-passthrough'/>}
		<devices>
		<emulator>/usr/bin/qemu-system-x86_64</emulator>
		<serial type='pty'><log file='/tmp/$1.log' append='on'/></serial>
		<console type='pty'/>
		<memballoon model='virtio'/>
		<video><model type='none'/></video>
		${elements:-}
		</devices>
		${more:-}
		</domain>
	END
}

# started NAME: define it, start it and wait until its guest ticks.
started() {
	rm -f "/tmp/$1.log"
	domain "$1" >"/tmp/$1.xml"
	v define "/tmp/$1.xml"
	v start "$1"
	ticks "$1" 2
}

# common: have the guest that most tests share: 2 of 4 vCPUs, a disk, work; on the slow machine 1 of 2,
# no work, and a console that says little.  A test leaves it as it was, with left.
COMMON_VCPUS=2
[ "$MACHINE" != intel ] || COMMON_VCPUS=1
common() {
	[ "$(virsh domstate guest 2>&1)" != running ] || return 0
	virsh -q undefine guest >/dev/null 2>&1
	rm -f /tmp/*.qcow2
	if [ "$MACHINE" = intel ]; then
		common_append=loglevel=6 common_words=
	else
		common_append='' common_words=work
	fi
	vcpus=$COMMON_VCPUS max_vcpus=$((COMMON_VCPUS * 2)) memory=256 words=$common_words append=$common_append \
		elements=$(disk /tmp/disk.qcow2) started guest
}

# left: the guest goes on for the next test, unless something is wrong with it.
left() {
	ticks guest 2
	continuous guest
	[ -z "$problems" ] || gone guest
}

# disk FILE: elements of a domain with that disk.
disk() {
	qemu-img create -q -f qcow2 "$1" 64M
	echo "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$1'/>
		<target dev='vda' bus='virtio'/></disk>"
}

# tick_lines NAME: the lines of the guest's ticks. The newest may still be on its way: it has no end then.
tick_lines() {
	head -n "$(wc -l <"/tmp/$1.log")" "/tmp/$1.log" | grep -a '^guest: tick .* sum ' | tr -d '\r'
}

# tick NAME [LINE]: the number of the guest's last tick, or of that line from the end.
tick() {
	field "$1" tick "${2:-1}"
}

# field NAME WORD [LINE]: what stands after WORD in the guest's last tick (or in that line from
# the end).
field() {
	tick_lines "$1" 2>/dev/null | tail -n "${3:-1}" | head -n 1 |
		awk -v word="$2" '{ for (i = 1; i < NF; i++) if ($i == word) { print $(i + 1); exit } }'
}

# ticks NAME MORE: the guest must tick so many times more.
ticks() {
	from=$(tick "$1")
	until_tick "$1" $((${from:-0} + $2))
}

# until_tick NAME COUNT: the guest must come to that tick.
until_tick() {
	wanted_tick=$2
	wait_for 600 reached "$1" || {
		problem "$1 does not tick: its last was ${from:-none}, now $(tick "$1")"
		tail -n 5 "/tmp/$1.log" >>/tmp/output
		tail -n 5 "/var/log/libvirt/qemu/$1.log" >>/tmp/output
	}
}

reached() {
	now=$(tick "$1")
	[ "${now:-0}" -ge "$wanted_tick" ]
}

# still NAME: the guest must not tick.
still() {
	sleep 1
	before=$(tick "$1")
	sleep 3
	[ "$before" = "$(tick "$1")" ] || problem "$1 ticks, though it should not: $before, $(tick "$1")"
}

# continuous NAME [SECONDS]: the guest has not been started again, has lost nothing, its clock has
# neither gone back nor jumped (by more than SECONDS between two ticks), and its kernel is content.
continuous() {
	tick_lines "$1" | awk -v most="${2:-20}" '
		$NF != "OK" { print "memory has changed: " $0 }
		NR > 1 && $3 != tick + 1 { print "tick " $3 " after " tick }
		NR > 1 && $5 != boot { print "another boot at tick " $3 }
		NR > 1 && ($7 < up || $7 > up + most) { print "up " $7 " seconds after " up " at tick " $3 }
		NR > 1 && ($9 < date || $9 > date + most) { print "date " $9 " after " date " at tick " $3 }
		NR > 1 && $15 != clock { print "clocksource " $15 " after " clock }
		{ tick = $3; boot = $5; up = $7; date = $9; clock = $15 }' >/tmp/broken
	[ ! -s /tmp/broken ] || problem "$1 was not continuous: $(head -n 3 /tmp/broken)"
	content "$1"
}

# content NAME: its kernel has not complained.  On stock KVM it does: of the size of the XSAVE area,
# by the CPUID of QEMU's TCG.
content() {
	[ "$HV" != kvm ] || return 0
	tr -d '\000' <"/tmp/$1.log" >/tmp/console
	complaints /tmp/console
	[ -z "$problems" ] || grep -v 'guest: tick' /tmp/console | tail -n 30 >>/tmp/output
}

# gone NAME: end it and forget it.
gone() {
	virsh -q destroy "$1" >/dev/null 2>&1
	wait_for 180 sh -c "virsh domstate $1 | grep -q 'shut off'"
	virsh -q undefine "$1" --managed-save --snapshots-metadata >/dev/null 2>&1 ||
		problem "$1 cannot be undefined: $(virsh undefine "$1" 2>&1)"
}

# none_left: what tests shared goes too, for the hypervisor is unloaded next.
none_left() {
	! virsh -q domstate guest >/dev/null 2>&1 || gone guest
}

# process NAME: the number of its QEMU.
process() {
	cat "/run/libvirt/qemu/$1.pid"
}
