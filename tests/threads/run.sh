#!/usr/bin/env bash
# run.sh - builds tests/threads under ThreadSanitizer (preset `tsan`) and runs it.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${SCRIP_TSAN_BUILD:-$root/build/tsan}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake -S "$root" --preset tsan -B "$build" >"$log" 2>&1 &&
    cmake --build "$build" --target threads >>"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    exit 1
}
# Without address randomisation: newer kernels spread mappings further than gcc 12's runtime knows.
exec env TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}" setarch -R "$build/tests/threads/threads"
