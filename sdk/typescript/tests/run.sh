#!/bin/sh
# Builds the package and its tests, and runs them. Node 20 has a WebSocket behind a flag only.
set -eu
cd "$(dirname "$0")/.."
export NODE_OPTIONS="${NODE_OPTIONS:-} --experimental-websocket --no-warnings"
npx tsc -p tsconfig.json
rm -rf build
npx tsc -p tests/tsconfig.json
# Files by name: what a folder means to the runner differs between versions of Node.
# shellcheck disable=SC2046
exec node --test --test-reporter=spec --test-timeout=240000 "$@" $(find build/tests -name '*.test.js')
