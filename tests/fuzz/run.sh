#!/usr/bin/env bash
# run.sh - builds the preset `fuzz` and runs every fuzz target for SECONDS, a few at a time.
#
#   tests/fuzz/run.sh [SECONDS] [NAME...]      20 seconds and all targets when nothing is said
#
# What was learnt stays in var/fuzz/NAME/corpus and is where the next run begins; what broke a
# target lies in var/fuzz/NAME/found. Prints a line per target; exits 1 when one found something.
# SCRIP_FUZZ_JOBS says how many run at a time (default: the processors, at most 4).
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${SCRIP_FUZZ_BUILD:-$root/build/fuzz}
var=${SCRIP_VAR:-$root/var}/fuzz
seconds=${1:-20}
[ $# -eq 0 ] || shift

case $seconds in
*[!0-9]* | '')
    echo "usage: tests/fuzz/run.sh [SECONDS] [NAME...]" >&2
    exit 2
    ;;
esac
command -v clang >/dev/null || {
    echo "fuzz: clang is not installed" >&2
    exit 2
}

mkdir -p "$var"
cmake -S "$root" --preset fuzz -B "$build" >"$var/build.log" 2>&1 &&
    cmake --build "$build" --target fuzz_targets >>"$var/build.log" 2>&1 || {
    tail -n 40 "$var/build.log" >&2
    echo "fuzz: the targets do not build; the whole log is $var/build.log" >&2
    exit 1
}

# One target; its report in a line. The status is libFuzzer's.
run_target() {
    local name=$1 program=$2 dir=$var/$1 status=0 seeds=()
    mkdir -p "$dir/corpus" "$dir/found"
    for folder in "$build/fuzz_seeds/$name" "$root/tests/fuzz/seeds/$name"; do
        [ ! -d "$folder" ] || seeds+=("$folder")
    done
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
        -print_final_stats=1 -artifact_prefix="$dir/found/" \
        "$dir/corpus" "${seeds[@]}" >"$dir/log" 2>&1 || status=$?
    local runs
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/log" | tail -n 1)
    if [ "$status" -eq 0 ]; then
        printf '  %-20s ok     %12s runs, %s inputs kept\n' "$name" "${runs:-?}" \
            "$(find "$dir/corpus" -type f | wc -l)"
    else
        printf '  %-20s FOUND  see %s\n' "$name" "$dir/log"
        tail -n 30 "$dir/log" >&2
    fi
    return "$status"
}

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
jobs=${SCRIP_FUZZ_JOBS:-$(nproc)}
jobs=$((jobs > 4 ? 4 : jobs < 1 ? 1 : jobs))
failed=0 ran=0 running=0
while read -r name program; do
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    if [ "$running" -ge "$jobs" ]; then
        wait -n || failed=$((failed + 1))
        running=$((running - 1))
    fi
    run_target "$name" "$program" &
    ran=$((ran + 1)) running=$((running + 1))
done <"$build/fuzz_targets.txt"
while [ "$running" -gt 0 ]; do
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
done

[ "$ran" -gt 0 ] || {
    echo "fuzz: no target of that name" >&2
    exit 2
}
echo "fuzz: $ran targets, ${seconds} s each, $failed found something"
[ "$failed" -eq 0 ]
