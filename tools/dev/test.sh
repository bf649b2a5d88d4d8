# test.sh - `./scrip test`: builds with sanitizers and runs every test against real servers.
#
# The PostgreSQL and Redis of a run lie in var/test-PID and end with it, however it ends; a running
# stack is not touched. Stories with real processes start stacks of their own.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/packages.sh"
. "$dev_dir/build.sh"

test_usage() {
    cat <<'TXT'
usage: ./scrip test [NAME-REGEX] [-- CTEST-OPTIONS...]

Builds everything with AddressSanitizer and UBSan, starts a PostgreSQL and a Redis for the tests
and runs ctest: all tests, or those whose names match. Settings (environment):

  SCRIP_TEST_PRESET    asan (the default), dev, tsan or release
  SCRIP_TEST_JOBS      tests at a time (default: 2 to 4, by processors)
  SCRIP_FUZZ_SECONDS   also runs each fuzz target for so long (default: not at all)
  SCRIP_DATA           folder of recorded market data; tests that need it are skipped without
  SCRIP_BENCH          folder of order streams for the matcher; likewise
TXT
}

# Ends what this run started, on success, failure and Ctrl-C alike.
test_cleanup() {
    local status=$?
    trap - EXIT
    ( set +e; command=''; . "$dev_dir/down.sh"; down_main --wipe ) >/dev/null 2>&1 || true
    rm -rf "$SCRIP_SECRETS"
    exit $status
}

# What tests stored of exchange keys must be nowhere in what they left behind.
test_leaks() {
    "$python" "$SCRIP_ROOT/tests/e2e/leaks.py" --secrets "$SCRIP_SECRETS" "$SCRIP_VAR/log" \
        "$(readlink -f "$SCRIP_VAR/pg")" "$SCRIP_VAR/redis" "$1/Testing"
}

# Keeps paths of this stack apart from the user's: everything below works on the test's folder.
test_servers() {
    export SCRIP_VAR=$test_var
    . "$dev_dir/lib.sh"
    . "$dev_dir/database.sh"
    SCRIP_SECRETS=$(mktemp -d)
    export SCRIP_SECRETS
    # Of the unit tests, whose keys are always the same.
    printf '["api-key-of-alice", "secret of alice"]\n' >"$SCRIP_SECRETS/0"
    trap test_cleanup EXIT
    trap 'exit 130' INT TERM
    mkdir -p "$SCRIP_VAR" "$log_dir" "$run_dir" "$etc_dir"
    chmod 0711 "$SCRIP_VAR"
    SCRIP_PG_BUFFERS=64MB
    redis_port=$("$python" "$dev_dir/ports" $((20000 + $$ % 1200 * 10)) 1)
    step "starting PostgreSQL and Redis for the tests"
    pg_start
    redis_start
    pg_wait
    redis_wait
    export SCRIP_TEST_PG=$pg_admin SCRIP_TEST_REDIS=127.0.0.1:$redis_port
}

test_data() {
    [ -n "${SCRIP_DATA:-}" ] ||
        say "  SCRIP_DATA is not set: tests on recorded markets will be SKIPPED"
    [ -n "${SCRIP_BENCH:-}" ] ||
        say "  SCRIP_BENCH is not set: tests on recorded order streams will be SKIPPED"
}

test_fuzz() {
    [ "${SCRIP_FUZZ_SECONDS:-0}" -gt 0 ] || return 0
    step "fuzzing: each target for $SCRIP_FUZZ_SECONDS s"
    "$SCRIP_ROOT/tests/fuzz/run.sh" "$SCRIP_FUZZ_SECONDS" || die "a fuzz target found something"
}

test_main() {
    case ${1:-} in
    --help | -h) test_usage && return ;;
    esac
    local select=() jobs preset=${SCRIP_TEST_PRESET:-asan} status=0
    if [ $# -gt 0 ] && [ "$1" != -- ]; then
        case $1 in
        -*) die "test does not know '$1'; what is for ctest stands behind --" ;;
        esac
        select=(-R "$1")
        shift
    fi
    [ "${1:-}" != -- ] || shift
    jobs=$(nproc)
    jobs=$((jobs > 4 ? 4 : jobs < 2 ? 2 : jobs))
    test_var=$SCRIP_VAR/test-$$
    build_dir=$SCRIP_ROOT/build/$preset
    local dir=$build_dir

    packages_install run test
    build_preset "$preset" "$dir"
    [ ${#select[@]} -gt 0 ] || test_fuzz
    test_servers
    test_data
    step "running the tests (${SCRIP_TEST_JOBS:-$jobs} at a time)"
    export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
    export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    cd "$dir"
    # Twice in some ten thousand starts a unit test's runner hung under the sanitizers, without a
    # word and never again: what runs out of time is run once more, and both runs are shown. What
    # fails is not.
    ctest --output-on-failure --no-tests=error --timeout 300 --repeat after-timeout:2 \
        -j "${SCRIP_TEST_JOBS:-$jobs}" "${select[@]}" "$@" || status=$?
    step "looking for exchange keys in what the tests left"
    test_leaks "$dir" || status=1
    exit $status
}

test_main "$@"
