# restore.sh - `./scrip restore`: a stack's database from a backup, as it was at a moment.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/database.sh"

restore_usage() {
    cat <<'TXT'
usage: ./scrip restore FOLDER [--until TIME]

Makes the database of a stack that has none (SCRIP_VAR names it) from a folder of ./scrip backup, as
it was at TIME, such as '2026-11-21 16:30:00+00' or 2026-11-21T16:30:00Z, or at the end of what was
archived. Then ./scrip up starts it, and scripctl proves it. The backup stays as it is.
TXT
}

# The newest copy that was finished by then.
restore_choose() {
    local path
    [ -e "$folder/cluster" ] || die "restore: $folder is no folder of ./scrip backup"
    base=
    for path in "$folder"/base/*Z; do
        [ -d "$path" ] || continue
        if [ -z "$until" ] || [ "$(date -d "${path##*/}" +%s%6N)" -le "$until_us" ]; then
            base=$path
        fi
    done
    [ -n "$base" ] || die "restore: no copy in $folder is as old as $until"
}

# Settings of the stack that was saved must not go on here: they name its archive.
restore_settings() {
    pg_settings
    printf "restore_command = 'gzip -dc %s/wal/%%f.gz >%%p'\n" "$folder"
    printf "recovery_target_action = 'promote'\n"
    [ -z "$until" ] || printf "recovery_target_time = '%s'\n" "$until"
}

restore_copy() {
    local data=$pg_home/data
    step "copying ${base#"$folder"/}"
    pg_run rm -rf "$data.new"
    pg_run cp -a "$base" "$data.new"
    (umask 077 && for key in "$data.new"/keys/*; do
        [ ! -e "$key" ] || cp "$key" "$etc_dir/${key##*/}"
    done)
    pg_run rm -rf "$data.new/keys"
    pg_run "$pg_bin/pg_verifybackup" --quiet --exit-on-error "$data.new" ||
        die "restore: the copy is damaged: $base"
    restore_settings | pg_run tee "$data.new/postgresql.conf" >/dev/null
    printf '' | pg_run tee "$data.new/postgresql.auto.conf" "$data.new/recovery.signal" >/dev/null
    pg_run mv "$data.new" "$data"
}

# What could not be restored leaves nothing that looks like a stack.
restore_failed() {
    part_stop postgres || true
    pg_run mv "$pg_home/data" "$pg_home/data.failed.$$"
    grep -oE '(FATAL|LOG):  (recovery ended|last completed transaction|requested|could not).*' \
        "$log_dir/postgres.log" | tail -n 3 >&2 || true
    pg_run rm -rf "$pg_home/data.failed.$$"
    die "restore: $1; see $log_dir/postgres.log"
}

# Ids of orders after the moment are given anew, and at an exchange an order is known by deployment
# and id: a new one must not be taken for one that is there. Those that the journal has keep the
# name they were sent by, so that what became of them can still be asked.
restore_deployment() {
    local admin="host=$pg_socket dbname=scrip user=postgres" old new has
    has=$(pg_sql "$admin" "SELECT to_regclass('bridge.deployment'),
        to_regclass('bridge.deployment_before')")
    [ "$has" != '|' ] || return 0
    old=$(pg_sql "$admin" "SELECT id FROM bridge.deployment")
    new=$(openssl rand -hex 3)
    if [ "${has#*|}" != '' ]; then
        pg_sql "$admin" "INSERT INTO bridge.deployment_before (id, until_us)
            SELECT id, ledger.newest_us() FROM bridge.deployment
            ON CONFLICT (until_us) DO NOTHING;
            UPDATE bridge.deployment SET id = '$new'"
    else # of a version that asks for all orders by the id of now
        pg_sql "$admin" "UPDATE bridge.deployment SET id = '$new'"
    fi
    step "real orders are named scrip-$new-... from now on; of before scrip-$old-..."
    say "       What else has that name at an exchange is not known here: docs/operations.md"
}

# pg_start would write the settings anew.
restore_replay() {
    local shown='' now
    pg_run mkdir -p -m 0700 "$pg_socket"
    cd /
    part_start postgres --stop-signal INT --stop-seconds 60 -- \
        "${pg_as[@]}" "$pg_bin/postgres" -D "$pg_home/data"
    cd "$SCRIP_ROOT"
    step "replaying the log up to ${until:-its end}"
    until [ "$(pg_sql "$pg_admin" "SELECT pg_is_in_recovery()" 2>/dev/null)" = f ]; do
        ! grep -q 'FATAL:  recovery ended before' "$log_dir/postgres.log" ||
            restore_failed "the log ends before $until"
        part_runs postgres || restore_failed "PostgreSQL did not start"
        now=$(pg_sql "$pg_admin" "SELECT date_trunc('minute', pg_last_xact_replay_timestamp())" \
            2>/dev/null || true)
        [ -z "$now" ] || [ "$now" = "$shown" ] || step "at $now"
        shown=${now:-$shown}
        sleep 0.1
    done
    step "the last transaction is of $(pg_sql "$pg_admin" \
        "SELECT coalesce(pg_last_xact_replay_timestamp()::text, 'before the copy')" 2>/dev/null)"
    restore_deployment
    part_stop postgres
    pg_settings | pg_run tee "$pg_home/data/postgresql.conf" >/dev/null
}

restore_main() {
    until='' until_us=0 folder=''
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h) restore_usage && return ;;
        --until)
            [ $# -ge 2 ] || die "--until needs a time"
            until=$2
            until_us=$(date -d "$until" +%s%6N 2>/dev/null) || die "restore: '$until' is no time"
            shift
            ;;
        -*) die "restore does not know '$1'" ;;
        *) folder=$1 ;;
        esac
        shift
    done
    [ -n "$folder" ] || { restore_usage >&2 && exit 2; }
    [ -d "$folder" ] || die "restore: there is no folder '$folder'"
    folder=$(realpath "$folder")
    restore_choose
    mkdir -p "$SCRIP_VAR" "$log_dir"
    private_dir "$run_dir"
    private_dir "$etc_dir"
    pg_locate
    ! part_runs postgres || die "restore: a stack runs in $SCRIP_VAR; name another by SCRIP_VAR"
    ! pg_run test -e "$pg_home/data" ||
        die "restore: $SCRIP_VAR has a database; name another by SCRIP_VAR, or ./scrip down --wipe"
    rm -f "$log_dir/postgres.log"
    restore_copy
    restore_replay
    step "restored into $SCRIP_VAR; start it: ./scrip up, prove it: ./scrip ctl verify$(of_stack)"
}

restore_main "$@"
