# database.sh - the stack's own PostgreSQL and Redis: made once, started under the supervisor.
#
# Both listen on unix sockets in folders that only their user may enter, on no port at all; whoever
# may open a socket is trusted. PostgreSQL refuses to run as root, so root runs it as
# the user `postgres`, and where that user cannot reach the checkout the data lies in /var/tmp
# with a link in var/.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

pg_bin=/usr/lib/postgresql/15/bin

# Sets pg_home (data and socket lie below it) and pg_as (how to become its user).
pg_locate() {
    pg_home=$SCRIP_VAR/pg
    pg_as=()
    if is_root; then
        pg_as=(setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig INT --)
        [ -e "$pg_home" ] || pg_place_for_root
        pg_home=$(readlink -f "$pg_home")
    elif [ ! -e "$pg_home" ]; then
        mkdir -p -m 0700 "$pg_home"
    fi
    pg_socket=$pg_home/socket
    [ ${#pg_socket} -le 80 ] || pg_socket=/tmp/scrip-pg-$(id -u)-$(stack_hash)
    pg_conninfo="host=$pg_socket dbname=scrip user=scrip"
    pg_admin="host=$pg_socket dbname=postgres user=postgres"
}

pg_place_for_root() {
    local place=$SCRIP_VAR/pg
    mkdir -p "$SCRIP_VAR"
    if ! (cd / && "${pg_as[@]}" test -x "$SCRIP_VAR"); then
        place=/var/tmp/scrip-$(stack_hash)
        [ ! -L "$place" ] || die "$place is a link; remove it first"
        ln -sfn "$place" "$SCRIP_VAR/pg"
    fi
    mkdir -p "$place"
    chown postgres:postgres "$place"
    chmod 0700 "$place"
}

# Runs a program as PostgreSQL's user, from a folder that it may be in.
pg_run() { (cd / && exec "${pg_as[@]}" "$@"); }
pg_sql() { psql -XqAt -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

pg_settings() {
    cat <<EOT
listen_addresses = ''
unix_socket_directories = '$pg_socket'
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = ${SCRIP_PG_BUFFERS:-256MB}
# What was acknowledged is on the disk. Never turn these off.
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = 4GB
min_wal_size = 512MB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
jit = off
# Nowhere, until ./scrip backup names a folder: turning it on would need a restart.
archive_mode = on
archive_command = '/bin/true'
log_line_prefix = '%m [%p] '
log_checkpoints = off
EOT
}

pg_init() {
    [ ! -e "$pg_home/data/PG_VERSION" ] || return 0
    step "making a PostgreSQL cluster in $pg_home"
    pg_run rm -rf "$pg_home/data.new"
    pg_run "$pg_bin/initdb" -D "$pg_home/data.new" -U postgres -E UTF8 --locale=C.UTF-8 \
        --wal-segsize=2 --auth-local=trust --auth-host=reject --no-instructions \
        >"$log_dir/initdb.log" 2>&1 || {
        cat "$log_dir/initdb.log" >&2
        die "initdb failed"
    }
    pg_run mv "$pg_home/data.new" "$pg_home/data"
}

pg_start() {
    pg_locate
    part_runs postgres && return 0
    pg_init
    pg_run mkdir -p -m 0700 "$pg_socket"
    pg_settings | pg_run tee "$pg_home/data/postgresql.conf" >/dev/null
    cd /
    part_start postgres --stop-signal INT --stop-seconds 60 -- \
        "${pg_as[@]}" "$pg_bin/postgres" -D "$pg_home/data"
    cd "$SCRIP_ROOT"
}

pg_wait() {
    local deadline=$((SECONDS + 60))
    until "$pg_bin/pg_isready" -q -h "$pg_socket"; do
        [ $SECONDS -lt $deadline ] || {
            tail -n 20 "$log_dir/postgres.log" >&2
            die "PostgreSQL does not answer; see $log_dir/postgres.log"
        }
        sleep 0.05
    done
}

# A new file of the write-ahead log is filled with zeros and flushed inside the commit that comes to
# the end of the last: 20 to 30 ms for all who wait when it has 16 MB, so ours have 2. A checkpoint
# keeps used files for later, so a new cluster uses as many as `min_wal_size` has once.
pg_wal_ahead() {
    pg_sql "$pg_admin" "DO 'BEGIN FOR i IN 1 .. 255 LOOP
        PERFORM pg_logical_emit_message(false, '''', ''''), pg_switch_wal();
        END LOOP; END'"
    pg_sql "$pg_admin" CHECKPOINT
}

# A role that owns its database and nothing else, so that a service cannot reach further.
pg_prepare() {
    pg_wait
    [ "$(pg_sql "$pg_admin" "SELECT count(*) FROM pg_database WHERE datname = 'scrip'")" = 0 ] ||
        return 0
    pg_wal_ahead
    pg_sql "$pg_admin" "CREATE ROLE scrip LOGIN" 2>/dev/null || true
    pg_sql "$pg_admin" "CREATE DATABASE scrip OWNER scrip"
}

# Tests bring migrations of a newer version.
db_dir=${SCRIP_DB:-$SCRIP_ROOT/db}

pg_is_migrated() { cmp -s "$run_dir/migrated" "$db_dir/sqitch.plan"; }

# Names of the migrations that the database lacks.
pg_migrations_new() {
    local deployed
    deployed=$(pg_sql "$pg_conninfo" "SELECT change FROM sqitch.changes" 2>/dev/null || true)
    grep -oE '^[a-z][a-z0-9_]*' "$db_dir/sqitch.plan" | grep -vxF -e "${deployed:-.}" || true
}

# Whether services of the version before must not see the tables change: a migration that does more
# than add says so in a line of its own.
pg_migration_is_hard() {
    local name
    for name in $(pg_migrations_new); do
        ! grep -qx -- '-- Services must be stopped.' "$db_dir/deploy/$name.sql" || return 0
    done
    return 1
}

sqitch_run() {
    (cd "$db_dir" && HOME=$run_dir SQITCH_FULLNAME=scrip SQITCH_EMAIL=scrip@localhost \
        PGOPTIONS='-c lock_timeout=2s' sqitch "$@" "db:pg://scrip@/scrip?host=$pg_socket")
}

# sqitch keeps track of what was deployed, so that only what is new is. A change of a table waits
# for those who are reading it, and everybody else behind it; so it gives up soon and tries again.
pg_migrate() {
    local tries=0
    step "migrating the database"
    pg_bridge_open
    until sqitch_run deploy --verify >"$log_dir/migrate.log" 2>&1; do
        tries=$((tries + 1))
        if [ $tries -ge 20 ] || ! grep -q 'lock timeout' "$log_dir/migrate.log"; then
            tail -n 30 "$log_dir/migrate.log" >&2
            die "the migration failed; see $log_dir/migrate.log"
        fi
        step "a table is being read by others: trying again"
        sleep 1
    done
    cp "$db_dir/sqitch.plan" "$run_dir/migrated"
}

# The bridge's schema is not the migrating role's: it is let in for a migration of that schema,
# until db/bridge_role.sql ends it.
pg_bridge_open() {
    case $'\n'$(pg_migrations_new) in
    *$'\n'bridge_*) ;;
    *) return 0 ;;
    esac
    [ -z "$(pg_sql "$pg_admin" "SELECT 1 FROM pg_roles WHERE rolname = 'scrip_bridge'")" ] ||
        pg_sql "$pg_admin" "GRANT scrip_bridge TO scrip"
}

# The roles that auditing and the bridge connect as; db/NAME_role.sql tells what each may.
pg_roles() {
    local name
    for name in audit bridge; do
        PGOPTIONS='-c client_min_messages=error' psql -Xq -v ON_ERROR_STOP=1 \
            -d "host=$pg_socket dbname=scrip user=postgres" -f "$SCRIP_ROOT/db/${name}_role.sql" \
            >"$log_dir/$name-role.log" 2>&1 || {
            tail -n 5 "$log_dir/$name-role.log" >&2
            die "the database's role scrip_$name could not be made"
        }
    done
}

# Prices only, remade by marketdata at any time: nothing is written to disk. Tests set redis_port,
# to reach it by host and port too.
redis_start() {
    redis_socket=$(socket_dir)/redis.sock
    part_runs redis && return 0
    mkdir -p "$SCRIP_VAR/redis"
    (
        umask 077
        cat >"$etc_dir/redis.conf" <<EOT
bind 127.0.0.1
port ${redis_port:-0}
unixsocket $redis_socket
unixsocketperm 700
daemonize no
save ""
appendonly no
dir $SCRIP_VAR/redis
maxmemory 256mb
maxmemory-policy noeviction
EOT
    )
    part_start redis -- /usr/bin/redis-server "$etc_dir/redis.conf"
}

redis_wait() {
    local deadline=$((SECONDS + 20))
    until [ "$(redis-cli -s "$redis_socket" ping 2>/dev/null)" = PONG ]; do
        [ $SECONDS -lt $deadline ] || {
            tail -n 20 "$log_dir/redis.log" >&2
            die "Redis does not answer; see $log_dir/redis.log"
        }
        sleep 0.05
    done
}
