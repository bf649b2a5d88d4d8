# status.sh - `./scrip status`: a table of what runs, whether it is ready, and why not.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/database.sh"

status_main() {
    case ${1:-} in
    --help | -h)
        say "usage: ./scrip status     exit status 0 when every part is ready, 1 otherwise"
        return
        ;;
    '') ;;
    *) die "status does not know '$1'" ;;
    esac
    stack_load
    if [ -z "$port_base" ]; then
        say "nothing was ever started in $SCRIP_VAR: ./scrip up"
        return 1
    fi
    local name parts
    parts=("postgres=socket:$(readlink -f "$SCRIP_VAR/pg")/socket/.s.PGSQL.5432")
    parts+=("redis=socket:$(socket_dir)/redis.sock")
    for name in "${service_names[@]}"; do
        parts+=("$name=$(probe_port "$name")")
    done
    say "REST API: http://127.0.0.1:$http_port   state: $SCRIP_VAR   market: $(cat "$etc_dir/market")"
    "$python" "$dev_dir/probe" table "$run_dir" "${parts[@]}"
}

status_main "$@"
