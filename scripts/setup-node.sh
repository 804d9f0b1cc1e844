#!/bin/sh
# Installs what the tests in Node need: Node 20 or later with npm, a Chromium to be driven, and nginx to
# stand in front. Does nothing where they are present.
set -eu

missing=
command -v node >/dev/null && command -v npm >/dev/null || missing="nodejs npm"
command -v chromium >/dev/null || missing="$missing chromium"
PATH="$PATH:/usr/sbin" command -v nginx >/dev/null || missing="$missing nginx-light"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || {
        echo "setup: install $missing first" >&2
        exit 1
    }
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update -q
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi

node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || {
    echo "setup: Node $(node --version) is too old; install 20 or later" >&2
    exit 1
}
