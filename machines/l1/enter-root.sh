#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# enter-root.sh COMMAND...: run a command with Debian's programs around it, those of
# machines/client-root: from the image on the machine's disk, or from /image, where they are
# already (machines/run --root).  What it writes goes to memory.
#
# A change of root alone would not do: libvirt gives each QEMU a mount namespace of its own
# and enters it again later, which leads to the root of the namespace.
set -eu

# from_disk: the image, with memory over it.
from_disk() {
	tries=0
	# By its label: the Intel machine's disks are sda and sdb in any order.
	until disk=$(findfs LABEL=clients); do
		tries=$((tries + 1))
		if [ $tries -gt 600 ]; then
			echo "no disk labelled clients after 60 seconds" >&2
			exit 1
		fi
		sleep 0.1
	done

	mkdir -p /image /writable
	mount -t ext4 -o ro "$disk" /image
	mount -t tmpfs -o size=90% tmpfs /writable
	mkdir -p /writable/upper /writable/work /writable/root
	mount -t overlay -o lowerdir=/image,upperdir=/writable/upper,workdir=/writable/work overlay /writable/root
	cd /writable/root
}

if [ -d /image ]; then
	# To be moved it has to be mounted.
	mount --bind /image /image
	cd /image
else
	from_disk
fi
for folder in dev proc sys root; do
	mount --rbind /$folder $folder
done
mount -t tmpfs -o size=90% tmpfs tmp
mount -t tmpfs tmpfs run
export PATH=/root:/usr/sbin:/usr/bin HOME=/root
# By their paths, for busybox would run its own programs of that name.
# shellcheck disable=SC2016
exec unshare -m sh -c 'mount --move . / && exec chroot . /bin/sh -c "cd; exec \"\$@\"" sh "$@"' sh "$@"
