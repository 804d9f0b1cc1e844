#!/bin/sh
# Runs the WebSocket suite of Autobahn, without its groups on compression, against the echo server built
# from the bridge's own sockets. The suite exists for Python 2.7 only: where that is absent, this says so
# and stops. Reports are left in target/autobahn/.
set -eu

cd "$(dirname "$0")/.."
python=${PYTHON2:-python2.7}
"$python" -c "" 2>/dev/null || {
    echo "autobahn: there is no Python 2.7 here, and the suite runs on nothing else" >&2
    exit 1
}
folder=$PWD/target/autobahn
mkdir -p "$folder"
[ -d "$folder/site/autobahntestsuite" ] ||
    "$python" -m pip install --target "$folder/site" autobahntestsuite

${CARGO:-cargo} build --locked --package sampan-bridge-ws --example echo
rm -f "$folder/address"
"${CARGO_TARGET_DIR:-target}/debug/examples/echo" 127.0.0.1:0 >"$folder/address" &
server=$!
trap 'kill $server' EXIT
until [ -s "$folder/address" ]; do
    kill -0 "$server"
    sleep 0.1
done

cat >"$folder/spec.json" <<END
{
  "outdir": "$folder/reports",
  "servers": [{ "agent": "sampan", "url": "$(cat "$folder/address")" }],
  "cases": ["*"],
  "exclude-cases": ["12.*", "13.*"],
  "exclude-agent-cases": {}
}
END
"$python" -c 'import site, sys; site.addsitedir(sys.argv.pop(1))
from autobahntestsuite.wstest import run; run()' "$folder/site" -m fuzzingclient -s "$folder/spec.json"
"$python" - "$folder/reports/index.json" <<'END'
import json, sys
cases = json.load(open(sys.argv[1]))["sampan"]
good = ("OK", "NON-STRICT", "INFORMATIONAL")
failed = sorted(case for case, told in cases.items()
                if told["behavior"] not in good or told["behaviorClose"] not in good)
print("autobahn: %d cases, %d failed %s" % (len(cases), len(failed), " ".join(failed)))
sys.exit(1 if failed or not cases else 0)
END
