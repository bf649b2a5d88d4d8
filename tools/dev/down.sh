# down.sh - `./scrip down`: stops what up started, in the opposite order, and keeps all data.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

down_usage() {
    cat <<'TXT'
usage: ./scrip down [--wipe]

Stops the services, then Redis and PostgreSQL. Data stay in var/ for the next up.

  --wipe   also deletes the stack's data, settings and logs
TXT
}

down_wipe() {
    local place
    place=$(readlink -f "$SCRIP_VAR/pg" 2>/dev/null || true)
    case $place in
    "$SCRIP_VAR"/pg | /var/tmp/scrip-*) rm -rf "$place" ;;
    esac
    [ "$(socket_dir)" = "$run_dir" ] || rm -rf "$(socket_dir)"
    rm -rf "$SCRIP_VAR/pg" "$SCRIP_VAR/redis" "$run_dir" "$etc_dir" "$log_dir"
    rmdir "$SCRIP_VAR" 2>/dev/null || true
}

down_main() {
    local wipe=no
    case ${1:-} in
    --help | -h) down_usage && return ;;
    --wipe) wipe=yes ;;
    '') ;;
    *) die "down does not know '$1'" ;;
    esac
    local index failed=no
    for ((index = ${#part_names[@]} - 1; index >= 0; index--)); do
        part_stop "${part_names[index]}" || failed=yes
    done
    [ $failed = no ] || die "something does not stop; see above"
    [ $wipe = no ] || down_wipe
    step "everything is stopped"
}

[ "$command" != down ] || down_main "$@"
