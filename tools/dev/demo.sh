# demo.sh - `./scrip demo`: up, then a trader's first minutes told step by step.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/up.sh"

demo_usage() {
    cat <<'TXT'
usage: ./scrip demo [--market synthetic|binance|FILE...] [--no-build]

./scrip up with the chosen market, then tools/demo.py: signs up, sets the balance, follows the
stream, places market and limit orders, shows fills with their evidence, cancels one, and proves
that the account adds up. Leaves the stack running.
TXT
}

case ${1:-} in
--help | -h) demo_usage && exit 0 ;;
esac
# A demo that names no market shows the synthetic one, whatever `up` was told before.
case " $* " in
*" --market "*) up_main "$@" ;;
*) up_main --market synthetic "$@" ;;
esac
"$python" "$SCRIP_ROOT/tools/demo.py" "http://127.0.0.1:$http_port"
