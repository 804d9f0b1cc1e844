#!/bin/sh
# Unpacks user-mode-linux into a directory without installing it; prints where the kernel is.
set -eu
mkdir -p "$1"
cd "$1"
if [ ! -x unpacked/usr/bin/linux.uml ]; then
    apt-get download user-mode-linux >fetched 2>&1 || { cat fetched >&2; exit 1; }
    for package in user-mode-linux_*.deb; do dpkg-deb -x "$package" unpacked; done
    rm -f user-mode-linux_*.deb
fi
echo "$PWD/unpacked/usr/bin/linux.uml"
