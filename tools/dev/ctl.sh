# ctl.sh - `./scrip ctl`: the built scripctl on the stack of SCRIP_VAR.
#
# Whatever is said behind it is scripctl's own; its exit status is ours. Where the stack's
# PostgreSQL does not run scripctl still reads segment files, or another database that is named.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/database.sh"

ctl_main() {
    local program=$build_dir/tools/scripctl/scripctl status=0 runs=no
    [ -x "$program" ] || die "scripctl is not built; try: ./scrip build"
    # What needs no deployment works before there is one, and makes no folders.
    if [ -e "$SCRIP_VAR/pg" ] && part_runs postgres; then
        pg_locate
        export SCRIPCTL_DATABASE=$pg_conninfo
        runs=yes
    else
        unset SCRIPCTL_DATABASE
    fi
    if part_runs marketdata; then
        SCRIPCTL_ENDPOINT=ipc://$(socket_dir)/market
        export SCRIPCTL_ENDPOINT
    fi
    if part_runs ledger; then
        SCRIPCTL_LEDGER=0-63=ipc://$(socket_dir)/ledger
        export SCRIPCTL_LEDGER
    fi
    if part_runs bridge; then
        SCRIPCTL_BRIDGE=ipc://$(socket_dir)/bridge
        export SCRIPCTL_BRIDGE
    fi
    if part_runs redis; then
        SCRIPCTL_REDIS=unix:$(socket_dir)/redis.sock
        export SCRIPCTL_REDIS
    fi
    "$program" "$@" || status=$?
    case $runs$status in
    no3)
        printf 'scrip: PostgreSQL of the stack in %s does not run; try: ./scrip up\n' \
            "$SCRIP_VAR" >&2
        ;;
    esac
    return $status
}

ctl_main "$@"
