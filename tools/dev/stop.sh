# stop.sh - `./scrip stop PART...` and `./scrip start PART...`: parts of a running stack.
#
# For looking at how the others take it. SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/database.sh"
. "$dev_dir/services.sh"

part_again() {
    pg_locate
    stack_load
    [ -n "$port_base" ] || die "there is no stack in $SCRIP_VAR yet: ./scrip up"
    market_source=$(cat "$etc_dir/market")
    trading_mode_choose keep
    case $1 in
    postgres) pg_start && pg_wait ;;
    redis) redis_start && redis_wait ;;
    *) service_start "$1" ;;
    esac
}

stop_main() {
    local verb=stop
    [ "${1:-}" != --start ] || { verb=start && shift; }
    case ${1:-} in
    --help | -h | '')
        say "usage: ./scrip $verb PART..."
        say "Parts: ${part_names[*]}"
        [ $# -gt 0 ] && return || exit 2
        ;;
    esac
    local name
    for name in "$@"; do
        is_part "$name" || die "there is no part '$name'; parts: ${part_names[*]}"
    done
    for name in "$@"; do
        if [ $verb = stop ]; then
            part_stop "$name"
        else
            part_again "$name"
        fi
    done
}

stop_main "$@"
