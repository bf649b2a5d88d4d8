# bench.sh - `./scrip bench`: builds the release and measures it.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/packages.sh"
. "$dev_dir/build.sh"

bench_usage() {
    cat <<'TXT'
usage: ./scrip bench [bridge] [bridge-rate] [cost] [e2e] [journal] [match] [recovery] [replay]
                     [tick]
                     [marketdata [feed] [cache] [crowd] [symbols]]
                     [realism [FILE] [--write PAGE]] [sensitivity [SEED] [--write PAGE]]
       ./scrip bench storm [--seconds S] [--seed N] [--kills N] [--rate N]
       ./scrip bench bridge-faults

Measures what is named, or everything but the last two: at least five runs each, medians, one ratio.
Writes var/bench/NAME.json with name, ratio (bigger is better), aim, unit and the raw figures. Needs
no root when everything is installed, starts its own servers and stops them, and exits 0 whatever
the figures are.

  bridge       signed calls to an exchange beside keep-alive GETs of plain libcurl; signing alone
  bridge-rate  three bridges, a thousand queued calls and a small budget: the share of it that is
               used, calls over it, order of priorities
  bridge-faults  each fault of the exchange in each call, and bridge and ledger killed meanwhile;
               some minutes; ratio 1 when no real order was lost or executed twice
  cost         what a filled order costs in each process, with one client and with 64: processor
               time, system calls, allocations, messages, bytes written; no ratio
  marketdata   ticks to a follower, tickers to Redis, a thousand WebSocket clients, and five
               hundred symbols on one processor, beside the bare libraries; or the parts named
  realism      what the fill models make of the real orders of FILE, order-by-order messages in
               LOBSTER's format; without FILE those under SCRIP_DATA/l3
  recovery     starts with a million open orders, and kills under load; several minutes
  replay       a journal proved from its first record on, out of segment files, on one core
  sensitivity  the same orders under each preset of fill rules, in the market recorded under
               SCRIP_DATA/l2_raw, or in the synthetic one
  storm        one run of about 8 minutes: all parts are killed, stopped and cut off under load,
               200 times and more; ratio 1 when nothing was lost or doubled. Cuts of the network
               need root, who gets a network of its own for it; without they are left out
  --write      puts the table between its markers in PAGE, such as docs/fills.md

  SCRIP_DATA        folder of recorded market data for `realism` and `sensitivity`
  SCRIP_BENCH       folder of recorded order streams for `match` (its own generator without)
  SCRIP_BENCH_KILLS, SCRIP_BENCH_ORDERS  of `recovery`: kills of a kind, open orders
  SCRIP_BENCH_RECORDS  of `replay`: records of its journal
  SCRIP_BENCH_CLIENTS  of `marketdata crowd`: WebSocket clients
  SCRIP_BENCH_SECONDS, SCRIP_BENCH_UNDER_WAY  of `bridge`: a run's length, requests at a time
  SCRIP_BENCH_REPEATS  of `bridge-faults`: runs of each fault in each call
  SCRIP_BENCH_RUNS  runs of each measurement, at least 5
TXT
}

bench_main() {
    case ${1:-} in
    --help | -h) bench_usage && return ;;
    esac
    packages_install run bench
    build_preset release "$SCRIP_ROOT/build/release"
    SCRIP_BUILD=$SCRIP_ROOT/build/release "$python" "$SCRIP_ROOT/bench/run.py" "$@"
}

bench_main "$@"
