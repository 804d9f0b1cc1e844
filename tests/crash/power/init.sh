#!/bin/sh
# What the machine runs: mounts its disk, becomes the witness, or a broker and its clients, and
# switches itself off.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
mount -t proc none /proc
mount -t tmpfs none /mnt
mkdir /mnt/disk /mnt/none /mnt/careless
mount -t ext4 /dev/ubda /mnt/disk || echo "damaged the disk cannot be mounted"

# The kernel writes nothing of its own accord, however long the machine takes: files of which it had
# written the names alone would be damaged, not lost.
keep_nothing() {
    mount -o remount,commit=3600 /mnt/disk && echo 0 >/proc/sys/vm/dirty_writeback_centisecs
}

# A directory of the disk on which syncs do nothing.
careless() {
    python3 -S "${0%/*}/load.py" "${KERNEL%/bin/*}/lib/uml/modules/$(uname -r)/kernel/fs/overlayfs/overlay.ko" &&
        rm -rf /mnt/disk/aside && mkdir /mnt/disk/aside &&
        mount -t overlay -o volatile,lowerdir=/mnt/none,upperdir=/mnt/disk/data,workdir=/mnt/disk/aside \
            none /mnt/careless
}

serve() {
    ip link set lo up
    printf '[shards]\ncount = 2\n[journal]\nsegment_bytes = 2097152\n' >/mnt/config.toml
    {
        "$BROKER" serve --config /mnt/config.toml --data "$1" >/mnt/said 2>&1
        echo "damaged the broker has ended: $(tail -n 5 /mnt/said | tr '\n' ' ')"
        echo o >/proc/sysrq-trigger
    } &
    until grep -q '^listening ' /mnt/said; do sleep 0.1; done
    "$BROKER" token --config /mnt/config.toml --data "$1" --user crash --role service >/mnt/token
    cp "$1/dev-certificate.pem" /mnt
}

case $ROLE in
*-careless) keep_nothing || echo "damaged the kernel cannot be kept from writing" ;;
esac
case $ROLE in
use-careless) mkdir -p /mnt/disk/data; careless && serve /mnt/careless && set -- /mnt ;;
use | consume) mkdir -p /mnt/disk/data; serve /mnt/disk/data && set -- /mnt ;;
*) set -- /mnt/disk/log ;;
esac
[ $# = 1 ] && "$PROGRAM" "$ROLE" "$1" $SEED 2>&1 || echo "damaged $ROLE has failed"
echo o >/proc/sysrq-trigger
sleep 10
