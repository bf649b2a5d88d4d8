# backup.sh - `./scrip backup`: a copy of the running database, and its log from then on.
#
# A backup folder holds the log of one cluster (wal/) and copies of the whole to begin with (base/,
# named by when they were finished, UTC, with the stack's keys). Nothing of it is ever written over.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/database.sh"

backup_usage() {
    cat <<'TXT'
usage: ./scrip backup FOLDER     copies the database, and archives its log there from now on
       ./scrip backup --status   where the log goes, and how far it has come
       ./scrip backup --off      ends the archiving; what is there stays

Services go on meanwhile. Each call adds a copy of the whole; from the first one on the stack can be
restored to any moment up to the last file of the log, which is sent after 2 MB or a minute. The
folder belongs on another disk, and to nobody else: it has passwords' hashes and the stack's keys.
The master keys that exchange keys are sealed by are not in it, or who has the folder had both: keep
a copy of etc/master-keys elsewhere.
TXT
}

# The folder's way into settings of PostgreSQL and commands of its shell.
backup_folder() {
    mkdir -p "$1" 2>/dev/null || die "$1 cannot be made"
    folder=$(realpath "$1")
    case $folder in
    *[!A-Za-z0-9._/+-]*) die "backup: a path may have letters, digits and ._/+- only: $folder" ;;
    "$SCRIP_VAR" | "$SCRIP_VAR"/*) die "backup: $folder goes with the stack it is to save" ;;
    esac
}

backup_sql() { pg_sql "$pg_admin" "$1"; }

# One cluster's log: that of another would be taken for its continuation.
backup_claim() {
    local cluster
    cluster=$(backup_sql "SELECT system_identifier FROM pg_control_system()")
    if [ -e "$folder/cluster" ]; then
        [ "$(cat "$folder/cluster")" = "$cluster" ] ||
            die "backup: $folder is of another database; name another folder"
    elif [ -n "$(ls -A "$folder")" ]; then
        die "backup: $folder is not empty, and no backup; name another folder"
    fi
    ! is_root || chown postgres:postgres "$folder"
    chmod 0700 "$folder" 2>/dev/null || true
    pg_run test -w "$folder" || die "backup: PostgreSQL's user cannot write into $folder"
    pg_run mkdir -p -m 0700 "$folder/wal" "$folder/base"
    printf '%s\n' "$cluster" | pg_run tee "$folder/cluster" >/dev/null
}

# A file is there whole or not at all, and one that is there is only taken for done when it is the
# same.
backup_archive() {
    local to=$folder/wal/%f.gz
    local command="if test -e $to; then gzip -dc $to | cmp -s - %p; else gzip -1 <%p >$to.new && "
    command+="sync $to.new && mv $to.new $to; fi"
    [ "$(backup_sql "SHOW archive_mode")" = on ] ||
        die "backup: PostgreSQL runs since before it could archive: ./scrip stop postgres, start it"
    backup_sql "ALTER SYSTEM SET archive_command = '$command'"
    backup_sql "ALTER SYSTEM SET archive_timeout = '60s'"
    backup_sql "SELECT pg_reload_conf()" >/dev/null
}

# The log reaches the archive, or PostgreSQL says in its own what is in the way.
backup_archived() {
    local file deadline=$((SECONDS + 60))
    file=$(backup_sql "SELECT pg_walfile_name(pg_switch_wal())")
    until pg_run test -e "$folder/wal/$file.gz"; do
        [ $SECONDS -lt $deadline ] || {
            tail -n 5 "$log_dir/postgres.log" >&2
            die "backup: the log does not reach $folder/wal; see $log_dir/postgres.log"
        }
        sleep 0.1
    done
}

backup_base() {
    local part=$folder/base/part.$$ name progress=()
    [ ! -t 2 ] || progress=(--progress)
    step "copying the database"
    pg_run "$pg_bin/pg_basebackup" --dbname "$pg_admin" --pgdata "$part" --checkpoint fast \
        --wal-method stream --manifest-checksums SHA256 "${progress[@]}" || {
        pg_run rm -rf "$part"
        die "backup: the database could not be copied"
    }
    step "checking the copy"
    pg_run "$pg_bin/pg_verifybackup" --quiet "$part" || die "backup: the copy is damaged: $part"
    pg_run mkdir -m 0700 "$part/keys"
    local key
    for key in "$etc_dir"/jwt-keys "$etc_dir"/anchor-key*.pem; do
        [ ! -e "$key" ] || (umask 077 && pg_run tee "$part/keys/${key##*/}" <"$key" >/dev/null)
    done
    name=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ) # by then it was finished
    pg_run mv -T "$part" "$folder/base/$name"
    step "the copy is $folder/base/$name"
}

backup_status() {
    local command
    command=$(backup_sql "SHOW archive_command")
    case $command in
    */wal/%f.gz*)
        say "the log goes to $(grep -oE '/[^ ]*/wal/' <<<"$command" | head -n 1)"
        backup_sql "SELECT format('last file %s at %s, %s failed tries', last_archived_wal,
            last_archived_time, failed_count) FROM pg_stat_archiver"
        ;;
    *) say "the log is not archived: ./scrip backup FOLDER" ;;
    esac
}

backup_off() {
    backup_sql "ALTER SYSTEM RESET archive_command"
    backup_sql "ALTER SYSTEM RESET archive_timeout"
    backup_sql "SELECT pg_reload_conf()" >/dev/null
    step "the log is no longer archived"
}

backup_main() {
    case ${1:-} in
    --help | -h) backup_usage && return ;;
    '') backup_usage >&2 && exit 2 ;;
    esac
    part_runs postgres || die "there is no running stack in $SCRIP_VAR: ./scrip up"
    pg_locate
    case $1 in
    --status) backup_status ;;
    --off) backup_off ;;
    -*) die "backup does not know '$1'" ;;
    *)
        backup_folder "$1"
        backup_claim
        backup_archive
        backup_archived
        backup_base
        backup_archived
        step "done; the log goes to $folder/wal until ./scrip backup --off"
        ;;
    esac
}

backup_main "$@"
