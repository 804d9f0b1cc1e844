#!/bin/sh
# Runs every proof that nothing acknowledged is lost, in full, and ends with a table of them. One
# that fails does not hide the others.
set -u
cd "$(dirname "$0")/.."

CRASH_FULL=1
CRASH_TABLE=${CRASH_TABLE:-$PWD/target/crash.tsv}
export CRASH_FULL CRASH_TABLE
mkdir -p "$(dirname "$CRASH_TABLE")"
: >"$CRASH_TABLE"
cargo=${CARGO:-cargo}
failed=0

# What a faulty disk in memory does to a log; then real processes, kernels and disks.
$cargo test --locked --release --package sampan-journal --test battery -- --nocapture || failed=1
$cargo test --locked --package sampan-tests --test crash || failed=1
$cargo test --locked --package sampan --test e2e crash:: -- --nocapture || failed=1
# Stock on real databases: against its model, and expiry against payment.
$cargo test --locked --package sampan-services --test stores inventory:: -- --nocapture || failed=1

awk -F '\t' -v failed=$failed '
    function row(name, cases, violations, notes) {
        printf "%-28s %9s %10s  %s\n", name, cases, violations, notes
    }
    BEGIN { print ""; row("proof", "cases", "violations", "") }
    { row($1, $2, $3, $4); cases += $2; violations += $3 }
    END {
        row("all", cases, violations, failed ? "FAILED" : "")
        exit failed || violations > 0 || NR == 0
    }' "$CRASH_TABLE"
