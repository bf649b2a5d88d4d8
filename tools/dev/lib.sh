# lib.sh - what the scripts of ./scrip share: where things lie, how they speak, who runs what.
#
# Sourced, never run. SCRIP_ROOT is set by the caller. Every path of a stack follows from
# SCRIP_VAR, so two stacks with two folders never meet.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

SCRIP_VAR=${SCRIP_VAR:-$SCRIP_ROOT/var}
SCRIP_VAR=$(realpath -m "$SCRIP_VAR")
SCRIP_PRESET=${SCRIP_PRESET:-release}
export SCRIP_VAR SCRIP_PRESET

run_dir=$SCRIP_VAR/run
log_dir=$SCRIP_VAR/log
etc_dir=$SCRIP_VAR/etc
build_dir=${SCRIP_BUILD:-$SCRIP_ROOT/build/$SCRIP_PRESET}
dev_dir=$SCRIP_ROOT/tools/dev
# The system's own Python, whatever stands first in PATH: python3-websocket belongs to it.
python=/usr/bin/python3

# In the order in which they start; they stop in the opposite one.
service_names=(marketdata matcher ledger bridge gateway)
part_names=(postgres redis "${service_names[@]}")

started_at=${started_at:-$SECONDS}
say() { printf '%s\n' "$*"; }
# A line of progress: what is being done now.
step() { printf '[%3ds] %s\n' $((SECONDS - started_at)) "$*"; }
die() {
    printf 'scrip: %s\n' "$*" >&2
    exit 1
}
# Behind commands that are proposed: that they are meant for this stack, and not for the usual one.
of_stack() {
    [ "$SCRIP_VAR" = "$(realpath -m "$SCRIP_ROOT/var")" ] ||
        printf ' (with SCRIP_VAR=%s)' "$SCRIP_VAR"
}
is_root() { [ "$(id -u)" = 0 ]; }

# A short name for this stack, for places whose paths must stay short.
stack_hash() { printf '%s' "$SCRIP_VAR" | cksum | cut -d' ' -f1; }

# Unix socket paths end at 107 bytes; the folder must leave room for the names.
socket_dir() {
    local dir=$run_dir
    if [ ${#dir} -gt 80 ]; then
        dir=${TMPDIR:-/tmp}/scrip-$(id -u)-$(stack_hash)
        [ ${#dir} -le 80 ] || dir=/tmp/scrip-$(id -u)-$(stack_hash)
    fi
    printf '%s' "$dir"
}

# Makes a folder that only we may enter, and refuses one that belongs to somebody else.
private_dir() {
    mkdir -p -m 0700 "$1"
    [ -O "$1" ] || die "$1 belongs to another user; remove it or set SCRIP_VAR to another folder"
    chmod 0700 "$1"
}

# The program of a service.
service_program() {
    local dir=$1
    [ "$dir" = bridge ] && dir=exchange-bridge
    printf '%s/services/%s/scrip-%s' "$build_dir" "$dir" "$1"
}

is_part() {
    local name
    for name in "${part_names[@]}"; do
        [ "$name" = "$1" ] && return 0
    done
    return 1
}

# Whether the supervisor of a part lives: it holds the lock of its lock file.
part_runs() {
    local lock=$run_dir/$1.lock
    [ -e "$lock" ] && ! flock --nonblock --shared "$lock" true
}

part_pid() { cat "$run_dir/$1.pid" 2>/dev/null || true; }

# part_start NAME [supervise options] -- command...: starts a supervised part.
part_start() {
    local name=$1
    shift
    "$python" "$dev_dir/supervise" --name "$name" --run "$run_dir" --log "$log_dir/$name.log" "$@"
}

# Stops a part and waits for its end; asks for nothing when it does not run.
part_stop() {
    part_runs "$1" || return 0
    "$python" "$dev_dir/supervise" --name "$1" --run "$run_dir" --stop
}

# Ports and other choices that outlive one command.
stack_load() {
    http_port='' port_base=''
    # shellcheck source=/dev/null
    [ ! -e "$etc_dir/stack.env" ] || . "$etc_dir/stack.env"
}

stack_is_up() {
    local name
    for name in "${part_names[@]}"; do
        part_runs "$name" && return 0
    done
    return 1
}

probe_port() {
    local name index=0
    for name in "${service_names[@]}"; do
        index=$((index + 1))
        if [ "$name" = "$1" ]; then
            printf '%d' $((port_base + index))
            return 0
        fi
    done
    die "'$1' has no probe"
}
