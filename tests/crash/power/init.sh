#!/bin/sh
# What the machine runs: mounts its disk, becomes the witness, and switches itself off.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
mount -t proc none /proc
mount -t tmpfs none /mnt
mkdir /mnt/disk
mount -t ext4 /dev/ubda /mnt/disk || echo "damaged the disk cannot be mounted"
"$PROGRAM" "$ROLE" /mnt/disk/log $SEED 2>&1
umount /mnt/disk
echo o >/proc/sysrq-trigger
sleep 10
