# services.sh - the five services of a stack: their settings, their start, and when they serve.
#
# A service is started with a settings file written here. Beside its pid lies a stamp of that file,
# of its program and of its settings in the environment, so that `./scrip up` restarts exactly what
# has changed.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

# Chooses ports once per stack; what the user names wins and is never replaced by another.
ports_choose() {
    stack_load
    if [ -z "$port_base" ] || [ "${SCRIP_PORT_BASE:-$port_base}" != "$port_base" ]; then
        port_base=${SCRIP_PORT_BASE:-$("$python" "$dev_dir/ports" 9100 6 10)}
    fi
    if [ -z "$http_port" ] || [ "${SCRIP_HTTP_PORT:-$http_port}" != "$http_port" ]; then
        http_port=${SCRIP_HTTP_PORT:-$("$python" "$dev_dir/ports" 8080 1)}
    fi
    if ! part_runs gateway &&
        [ "$("$python" "$dev_dir/ports" "$http_port" 1)" != "$http_port" ]; then
        die "port $http_port is taken by another program; name one with SCRIP_HTTP_PORT=8090"
    fi
    printf 'http_port=%s\nport_base=%s\n' "$http_port" "$port_base" >"$etc_dir/stack.env"
}

# A path that the list of sources can hold: a link to it where a character has a meaning there.
market_path() {
    case $1 in
    *[!A-Za-z0-9._/+-]*)
        local link
        link=$etc_dir/market-$(basename "$1" | tr -c 'A-Za-z0-9._\n-' _)
        ln -sfn "$1" "$link"
        printf '%s' "$link"
        ;;
    *) printf '%s' "$1" ;;
    esac
}

# The sources of market data, in the form of services/marketdata/core/spec.h: synthetic without
# arguments, the live market for `binance`, otherwise these files one after the other.
market_sources() {
    local usual=BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT,XRPUSDT
    case ${1:-} in
    '') printf 'synthetic:seed=7:symbols=%s' "$usual" && return ;;
    binance) printf 'binance:spot:symbols=%s' "$usual" && return ;;
    esac
    local file files=() symbol=''
    for file in "$@"; do
        files+=("$(market_path "$file")")
        case $file in
        *.csv | *.csv.*) symbol=$(symbol_in_name "$file") ;;
        esac
    done
    (IFS=, && printf 'playback:%s:clock=now:loop=1%s' "${files[*]}" "${symbol:+:symbols=$symbol}")
}

# CSV files do not name their symbol, but their names do: BTCUSDT-trades-2024-08.csv.gz.
symbol_in_name() {
    local symbol
    for symbol in $(grep -oE '"symbol": *"[A-Z0-9]+"' "$SCRIP_ROOT/config/symbols.json" |
        cut -d'"' -f4); do
        case $(basename "$1") in
        *"$symbol"*) printf '%s' "$symbol" && return ;;
        esac
    done
    die "--market: the name of $1 holds no symbol of config/symbols.json"
}

# The pair of keys of anchors, made once: what was signed with a key is checked with it for ever. A
# public key whose private one is gone is kept beside the new one.
anchor_key_make() {
    local key=$etc_dir/anchor-key
    [ ! -e "$key.pem" ] || return 0
    [ ! -e "$key.pub.pem" ] || mv "$key.pub.pem" "$key.$(date -u +%Y%m%dT%H%M%S).pub.pem"
    rm -f "$key.new.pem" "$key.new.pub.pem"
    "$build_dir/tools/scripctl/scripctl" anchor keygen "$key.new.pem" >/dev/null ||
        die "the key of anchors could not be made: ./scrip build"
    mv "$key.new.pub.pem" "$key.pub.pem"
    mv "$key.new.pem" "$key.pem"
}

# What real orders are allowed, by the environment: nothing is assumed that was not said. `up`
# chooses, and a part that is started alone follows, unless told otherwise.
trading_mode_choose() {
    trading_mode=${TRADING_MODE:-paper}
    if [ -z "${TRADING_MODE:-}" ] && [ "${1:-}" = keep ] && [ -s "$etc_dir/trading-mode" ]; then
        trading_mode=$(cat "$etc_dir/trading-mode")
    fi
    case $trading_mode in
    paper | testnet | live) printf '%s\n' "$trading_mode" >"$etc_dir/trading-mode" ;;
    *) die "TRADING_MODE is '$trading_mode'; it takes paper (no real orders), testnet or live" ;;
    esac
}

# What exchange keys are sealed by, made once. It is never replaced here: without it the keys that
# are stored cannot be opened.
master_key_make() {
    local key=$etc_dir/master-keys
    [ ! -e "$key" ] || return 0
    (umask 077 && printf '%s:%s\n' "$(date -u +%Y-%m-%d)" "$(openssl rand -hex 32)" >"$key.new")
    mv "$key.new" "$key"
}

service_settings() {
    local sockets
    sockets=ipc://$(socket_dir)
    printf '# Written by ./scrip up; change services/%s or the environment instead.\n' "$1"
    printf 'name = %s-0\nprobe_endpoint = 127.0.0.1:%s\n' "$1" "$(probe_port "$1")"
    case $1 in
    marketdata)
        cat <<EOT
publish_endpoint = $sockets/market.pub
serve_endpoint = $sockets/market
redis = unix:$(socket_dir)/redis.sock
database = $pg_conninfo
rules_file = $SCRIP_ROOT/config/symbols.json
sources = $market_source
EOT
        ;;
    matcher)
        cat <<EOT
serve_endpoint = $sockets/matcher
market_endpoint = $sockets/market.pub
market_ask_endpoint = $sockets/market
EOT
        ;;
    ledger)
        cat <<EOT
serve_endpoint = $sockets/ledger
publish_endpoint = $sockets/ledger.pub
matcher_endpoints = $sockets/matcher
market_endpoint = $sockets/market.pub
market_ask_endpoint = $sockets/market
database = $pg_conninfo
rules_file = $SCRIP_ROOT/config/symbols.json
shards = 0-63
group = 0
anchor_key_file = $etc_dir/anchor-key.pem
bridge_endpoints = $sockets/bridge
trading_mode = $trading_mode
EOT
        ;;
    bridge)
        cat <<EOT
serve_endpoint = $sockets/bridge
ledger_endpoints = 0-63=$sockets/ledger
redis = unix:$(socket_dir)/redis.sock
database = host=$pg_socket dbname=scrip user=scrip_bridge
master_key_file = $etc_dir/master-keys
trading_mode = $trading_mode
EOT
        ;;
    gateway)
        cat <<EOT
http_address = 127.0.0.1
http_port = $http_port
ledger_endpoints = 0-63=$sockets/ledger
ledger_event_endpoints = 0-63=$sockets/ledger.pub
market_endpoint = $sockets/market.pub
market_ask_endpoint = $sockets/market
bridge_endpoints = $sockets/bridge
redis = unix:$(socket_dir)/redis.sock
database = $pg_conninfo
jwt_key_file = $etc_dir/jwt-keys
audit_program = $build_dir/tools/scripctl/scripctl
audit_database = host=$pg_socket dbname=scrip user=scrip_audit
EOT
        ;;
    esac
    # Tests and benchmarks add settings of their own: SCRIP_SETTINGS_LEDGER="key = value".
    local extra=SCRIP_SETTINGS_${1^^}
    [ -z "${!extra:-}" ] || printf '%s\n' "${!extra}"
}

service_stamp() {
    {
        grep -v '^name = ' "$etc_dir/$1.conf"
        stat -c '%Y %s %i' "$(service_program "$1")"
        env | grep "^SCRIP_${1^^}_" | sort || true
    } | cksum
}

# The gateway's socket belongs to its supervisor, so that one gateway can follow another.
service_options() {
    [ "$1" != gateway ] || printf '%s\n' --listen "127.0.0.1:$http_port"
}

# The next one of a service is known to others beside the one that still runs: names differ.
service_names_next() {
    sed -i 's/^name = gateway-0$/name = gateway-1/; t; s/^name = gateway-1$/name = gateway-0/' "$1"
}

# While the supervisor with this id replaces market data: when the new process gets no price it says
# why and is ended, so that the one before goes on. Otherwise that would be waited for in silence.
market_judge() {
    local before new
    before=$(part_pid marketdata)
    while kill -0 "$1" 2>/dev/null; do
        new=$(part_pid marketdata)
        [ "${new:-$before}" = "$before" ] || break
        sleep 0.05
    done
    [ -n "${new:-}" ] && [ "$new" != "$before" ] || return 0
    "$python" "$dev_dir/probe" wait "$run_dir" "${SCRIP_READY_SECONDS:-60}" \
        "marketdata=$(probe_port marketdata)" && return
    [ "$(part_pid marketdata)" != "$new" ] || kill "$new" 2>/dev/null || true
}

# What to do when the market that `up` was told of is live, and is not there.
market_advice() {
    case ${market_source:-} in
    binance:*)
        say "--- The market is Binance, live: this machine must reach stream.binance.com:9443"
        say "    and api.binance.com:443. Without the internet:"
        say "    ./scrip up --market synthetic, or --market FILE with a recording."
        ;;
    esac
}

# Puts a service's new program or settings in the place of what runs. A ledger starts as the standby
# of the old one, a gateway at the same socket, before the old one is told to end; the others follow
# at once, and those who talk to them ask again. Services that an older version started are stopped
# and started.
service_replace() {
    local name=$1 conf=$etc_dir/$1.conf status=0 replacing overlap=()
    shift
    case $name in
    ledger | gateway) overlap=(--overlap) ;;
    esac
    "$python" "$dev_dir/supervise" --name "$name" --run "$run_dir" --replace "${overlap[@]}" \
        -- "$@" &
    replacing=$!
    [ "$name" != marketdata ] || market_judge "$replacing"
    wait "$replacing" || status=$?
    case $status in
    0) services_wait "$name" ;;
    4) part_stop "$name" ;;
    *)
        mv "$conf.before" "$conf"
        rm -f "$run_dir/$name.stamp"
        if [ "$name" = marketdata ]; then
            market_advice
            sed -n 's/^sources = //p' "$conf" >"$etc_dir/market"
        fi
        die "$name could not be replaced, the one before goes on; see $log_dir/$name.log"
        ;;
    esac
}

service_start() {
    local name=$1 program conf=$etc_dir/$1.conf options
    program=$(service_program "$name")
    [ -x "$program" ] || die "$program is missing: ./scrip build"
    [ ! -e "$conf" ] || cp -p "$conf" "$conf.before"
    (umask 077 && service_settings "$name" >"$conf")
    mapfile -t options < <(service_options "$name")
    if part_runs "$name"; then
        if [ "$(cat "$run_dir/$name.stamp" 2>/dev/null)" = "$(service_stamp "$name")" ]; then
            [ ! -e "$conf.before" ] || mv "$conf.before" "$conf"
            return 0
        fi
        step "replacing $name: its program or its settings changed"
        service_stamp "$name" >"$run_dir/$name.stamp"
        if [ "$name" = gateway ] && grep -q '^name = gateway-0$' "$conf.before" 2>/dev/null; then
            service_names_next "$conf"
        fi
        service_replace "$name" "$program" --config "$conf"
        ! part_runs "$name" || return 0
    fi
    service_stamp "$name" >"$run_dir/$name.stamp"
    part_start "$name" "${options[@]}" -- "$program" --config "$conf"
}

services_wait() {
    local name parts=()
    for name in "$@"; do
        parts+=("$name=$(probe_port "$name")")
    done
    "$python" "$dev_dir/probe" wait "$run_dir" "${SCRIP_READY_SECONDS:-60}" "${parts[@]}" && return
    for name in "$@"; do
        "$python" "$dev_dir/probe" wait "$run_dir" 0 "$name=$(probe_port "$name")" >/dev/null &&
            continue
        say "--- last lines of $log_dir/$name.log"
        tail -n 5 "$log_dir/$name.log" 2>/dev/null || true
    done
    market_advice
    say "What runs goes on by itself once it can; ./scrip status tells."
    die "not every service is ready, see above; ./scrip down stops them"
}
