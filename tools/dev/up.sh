# up.sh - `./scrip up`: from a bare machine to five services that answer; again, it only checks.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/packages.sh"
. "$dev_dir/database.sh"
. "$dev_dir/services.sh"

up_usage() {
    cat <<'TXT'
usage: ./scrip up [--market synthetic|binance|FILE...] [--no-build]

Installs the Debian packages that are missing, builds, starts a private PostgreSQL and Redis,
migrates the database, starts the five services and prints the URL. What already runs is left
alone unless its program or its settings have changed: then it is replaced, one service after the
other, while requests go on.

  --market synthetic   a seeded market of several symbols (the default)
  --market binance     the same symbols live from Binance's public streams; needs the internet
  --market FILE...     a recording of Binance's streams (.txt, .gz, .xz), a folder that was
                       recorded here, or CSV files of Binance's public data that name their
                       symbol, played in a loop with the clock shifted to now
                       What is named stays chosen until --market names another.
  --no-build           neither installs nor builds

TRADING_MODE (environment) says what real orders are allowed, each time anew: paper (the default)
none at all, testnet those at Binance's testnet, live both, with money that is real. An account
trades so only once its owner has stored a key and changed its mode: docs/real-trading.md.
TXT
}

up_folders() {
    mkdir -p "$SCRIP_VAR" "$log_dir"
    private_dir "$run_dir"
    private_dir "$etc_dir"
    [ "$(socket_dir)" = "$run_dir" ] || private_dir "$(socket_dir)"
    # One `up` at a time for a stack.
    exec 9>"$run_dir/up.lock"
    flock --timeout 300 9 || die "another ./scrip up of this stack has been running for 5 minutes"
}

# Reads --market and --no-build; leaves the market's sources in market_source.
up_options() {
    local files=() market=''
    build=yes
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h) up_usage && exit 0 ;;
        --no-build) build=no ;;
        --market)
            [ $# -ge 2 ] || die "--market needs 'synthetic', 'binance' or a file"
            market=$2
            shift
            case $market in
            synthetic) ;;
            binance) files=(binance) ;;
            *)
                while [ $# -ge 1 ] && [ "${1#--}" = "$1" ]; do
                    [ -r "$1" ] || die "--market: there is no file '$1'"
                    files+=("$(realpath "$1")")
                    shift
                done
                continue
                ;;
            esac
            ;;
        *) die "up does not know '$1'; see ./scrip up --help" ;;
        esac
        shift
    done
    mkdir -p "$SCRIP_VAR"
    private_dir "$etc_dir"
    if [ -n "$market" ] || [ ! -s "$etc_dir/market" ]; then
        market_sources "${files[@]}" >"$etc_dir/market"
    fi
    market_source=$(cat "$etc_dir/market")
}

up_build() {
    [ "$build" = yes ] || return 0
    packages_install run
    . "$dev_dir/build.sh"
    build_preset "$SCRIP_PRESET" "$build_dir"
}

# Migrations add, and services of the version before go on meanwhile: they name what they write. One
# that does more says so, and finds the services stopped.
up_migrate() {
    local index name
    ! pg_is_migrated || return 0
    # A database that knows more than this version is as good.
    [ ! -e "$run_dir/migrated" ] || [ -n "$(pg_migrations_new)" ] || return 0
    if ! pg_migration_is_hard; then
        pg_migrate
        return
    fi
    for ((index = ${#service_names[@]} - 1; index >= 0; index--)); do
        name=${service_names[index]}
        part_runs "$name" || continue
        step "stopping $name: the database is to be migrated"
        part_stop "$name"
    done
    pg_migrate
}

up_main() {
    up_options "$@"
    up_folders
    trading_mode_choose
    up_build
    ports_choose
    step "starting PostgreSQL and Redis"
    pg_start
    redis_start
    pg_prepare
    redis_wait
    up_migrate
    pg_roles
    anchor_key_make
    master_key_make
    step "starting ${service_names[*]}"
    local name
    for name in "${service_names[@]}"; do
        service_start "$name"
    done
    services_wait "${service_names[@]}"
    exec 9>&-
    step "Scrip is ready: http://127.0.0.1:$http_port"
    case $trading_mode in
    testnet) step "TRADING_MODE is testnet: REAL orders go to the exchange's testnet" ;;
    live) step "TRADING_MODE is live: REAL orders cost real money" ;;
    esac
}

[ "$command" != up ] || {
    up_main "$@"
    say "       try: ./scrip demo, ./scrip status, ./scrip logs ledger, ./scrip down$(of_stack)"
}
