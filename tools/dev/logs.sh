# logs.sh - `./scrip logs`: the logs of a stack, with lines of several parts told apart.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

logs_main() {
    local follow=() lines=50 names=()
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h)
            say "usage: ./scrip logs [PART...] [-f] [-n LINES]"
            say "Parts: ${part_names[*]} (all when none is named); -f follows."
            return
            ;;
        -f) follow=(-F) ;;
        -n)
            case ${2:-} in
            '' | *[!0-9]*) die "-n needs a number of lines" ;;
            esac
            lines=$2
            shift
            ;;
        *)
            is_part "$1" || die "there is no part '$1'; parts: ${part_names[*]}"
            names+=("$1")
            ;;
        esac
        shift
    done
    [ ${#names[@]} -gt 0 ] || names=("${part_names[@]}")
    local name files=()
    for name in "${names[@]}"; do
        [ ! -e "$log_dir/$name.log" ] || files+=("$log_dir/$name.log")
    done
    [ ${#files[@]} -gt 0 ] || die "there is no log yet in $log_dir"
    tail -n "$lines" "${follow[@]}" "${files[@]}"
}

logs_main "$@"
