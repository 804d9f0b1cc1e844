#!/bin/sh
# Installs what building and testing need beyond a Rust toolchain: a C compiler and its headers,
# for the TLS library. Does nothing where they are present.
set -eu

command -v cargo >/dev/null || {
    echo "setup: no cargo; install a Rust toolchain first" >&2
    exit 1
}

printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' |
    cc -x c - -o /dev/null 2>/dev/null && exit 0

command -v apt-get >/dev/null || {
    echo "setup: no working C compiler as cc; install gcc and the C library's headers" >&2
    exit 1
}
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends gcc libc6-dev
