#!/usr/bin/python3
"""demo - a trader's first minutes with a running Scrip, told step by step.

usage: demo.py URL

Signs up, sets the paper balance, follows the stream, trades, shows what each fill rests on,
cancels an order, places a profit and a loss as one list, asks an order why it filled or did not,
and proves that the account adds up to the last 0.00000001. Exit status 1 when
anything is not as it must be.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from decimal import ROUND_DOWN, Decimal
from urllib.parse import urlparse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import PASSWORD, Client, HttpError  # noqa: E402, tools/client.py

SYMBOL, BASE, QUOTE = "BTCUSDT", "BTC", "USDT"
OPENING = Decimal("10000.50")
FILL_WAIT_S = 20


def title(number, text):
    print("\n%d. %s" % (number, text), flush=True)


def show(text):
    print("   " + text, flush=True)


def amount(value):
    return Decimal(str(value))


def plain(value):
    """An amount without the zeros at its end."""
    text = format(amount(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def must(condition, what):
    if not condition:
        raise SystemExit("\ndemo: this must hold and does not: " + what)


def show_order(order):
    words = [order["side"], order["type"]]
    if amount(order["quantity"]) > 0:
        words.append(plain(order["quantity"]) + " " + BASE)
    if amount(order["quote_order_quantity"]) > 0:
        words.append("for %s %s" % (plain(order["quote_order_quantity"]), QUOTE))
    if amount(order["price"]) > 0:
        words.append("at " + plain(order["price"]))
    if amount(order.get("stop_price", 0)) > 0:
        words.append("set off at " + plain(order["stop_price"]))
    show("order %s: %s -> %s" % (order["order_id"], " ".join(words), order["status"]))
    for fill in order["fills"]:
        evidence = fill["evidence"]
        show("  fill %s at %s, fee %s %s (%s)" % (
            plain(fill["quantity"]), plain(fill["price"]), plain(fill["fee"]), fill["fee_asset"],
            "maker" if fill["is_maker"] else "taker"))
        show("    evidence: %s, tick %s of the symbol showed %s at %s" % (
            evidence["source"], evidence["sequence"], plain(evidence["quantity"]),
            plain(evidence["price"])))


def wait_for_price(client):
    """The market's best bid and ask."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status, ticker = client.ask("GET", "/api/market/ticker", query={"symbol": SYMBOL})
        if status == 200 and amount(ticker["last_price"]) > 0:
            if amount(ticker["bid"]) > 0 and amount(ticker["ask"]) > 0:
                return ticker
        time.sleep(0.1)
    raise SystemExit("demo: no price of %s is known after 30 s; see ./scrip status" % SYMBOL)


def rules_of(client):
    for rules in client.call("GET", "/api/market/symbols")["symbols"]:
        if rules["symbol"] == SYMBOL:
            return rules
    raise SystemExit("demo: this market has no " + SYMBOL)


def cut(value, step):
    """Down to a multiple of the step."""
    step = amount(step)
    return (amount(value) / step).to_integral_value(ROUND_DOWN) * step


def rest_and_fill(client, stream, rules):
    """A limit order one tick from the touch, which the market's next moves cross."""
    for _ in range(3):
        ticker = wait_for_price(client)
        price = cut(ticker["bid"], rules["tick_size"])
        order = client.place("BUY", "LIMIT", SYMBOL, quantity=cut("0.01", rules["step_size"]),
                             price=price, time_in_force="GTC")
        show_order(order)
        if order["status"] == "FILLED":
            return
        show("  ... it rests at the bid until the market trades through it")
        done = stream.wait_order(order["order_id"], ("FILLED",), FILL_WAIT_S)
        if done:
            show_order(client.get_order(order["order_id"]))
            return
        show("  the market moved away in %d s; cancelled, once more nearer to it" % FILL_WAIT_S)
        client.cancel(order["order_id"])
    show("  the market ran away from each of them: that happens too")


def show_why(client, order_id):
    """An order's own account of what became of it."""
    told = client.why(order_id)
    story = told["story"]
    show("why? order %s: %s" % (order_id, told["sentence"]))
    if "bid_at_arrival" in story:
        show("  it met a market of %s to %s, %s %s ahead at its price; %s traded there since" % (
            plain(story["bid_at_arrival"]), plain(story["ask_at_arrival"]),
            plain(story["ahead_at_arrival"]), BASE, plain(story["printed"])))
    must(told["order"]["order_id"] == order_id and told["sentence"] != "", "an order has a story")


def place_profit_or_loss(client, rules, quantity):
    """An OCO list: a limit order a little above the market, a stop order 5 % below."""
    while True:
        ticker, tick = wait_for_price(client), amount(rules["tick_size"])
        profit = cut(amount(ticker["ask"]) * Decimal("1.0002"), tick)
        loss = cut(amount(ticker["bid"]) * Decimal("0.95"), tick)
        try:
            return client.place_list(
                "OCO", ("SELL", "LIMIT_MAKER", {"quantity": quantity, "price": profit}),
                ("SELL", "STOP_LOSS", {"quantity": quantity, "stop_price": loss}), symbol=SYMBOL)
        except HttpError as error:
            if error.code not in ("WOULD_TAKE", "LIST_PRICES"):
                raise
            show("the market has passed %s meanwhile: once more" % plain(profit))


def profit_or_loss(client, stream, rules, quantity):
    placed = place_profit_or_loss(client, rules, quantity)
    list_id = placed["list"]["list_id"]
    for order in placed["orders"]:
        show_order({**order, "fills": []})
    show("the two hold %s %s once" % (plain(client.balances()[BASE][1]), BASE))
    must(client.balances()[BASE][1] == amount(quantity), "a pair holds what one of them can sell")
    show_why(client, placed["orders"][0]["order_id"])
    if not stream.wait_list(list_id, "ALL_DONE", FILL_WAIT_S):
        show("neither price came in %d s: the list is cancelled" % FILL_WAIT_S)
        client.call("DELETE", "%s/%s" % (client.LISTS, list_id), expect=(200, 409))
    done = client.get_list(list_id)
    for order in done["orders"]:
        show("order %s: %s, %s" % (order["order_id"], order["status"], order["end_reason"]))
    must(done["list"]["status"] == "ALL_DONE", "the list is done")
    must(sum(o["status"] == "FILLED" for o in done["orders"]) <= 1, "only one of a pair trades")
    show_why(client, done["orders"][0]["order_id"])


def prove(client):
    """Replays the account's trades with exact decimals and compares."""
    trades = client.trades()
    totals, lines = defaultdict(Decimal), defaultdict(list)

    def post(asset, value, why):
        totals[asset] += value
        lines[asset].append((value, why))

    post(QUOTE, OPENING, "opening balance")
    for trade in sorted(trades, key=lambda t: t["trade_id"]):
        sign = 1 if trade["side"] == "BUY" else -1
        why = "%s %s at %s" % (trade["side"].lower(), plain(trade["quantity"]),
                               plain(trade["price"]))
        post(BASE, sign * amount(trade["quantity"]), why)
        post(QUOTE, -sign * amount(trade["quote_quantity"]), why)
        post(trade["fee_asset"], -amount(trade["fee"]), "fee of it")
    balances = client.balances()
    for asset in (QUOTE, BASE):
        free, held = balances.get(asset, (Decimal(0), Decimal(0)))
        for value, why in lines[asset]:
            show("%20s  %s" % (format(value, "+.8f"), why))
        show("%20s  = %s; the account shows %s free + %s held" % (
            format(totals[asset], ".8f"), asset, plain(free), plain(held)))
        must(free + held == totals[asset], "the %s of the account is the sum of its trades" % asset)
    show("Every %s and every %s is accounted for, to the last 0.00000001." % (QUOTE, BASE))


def prove_journal():
    """Every record since the stack was made, by a tool that needs nothing but the database."""
    scrip = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scrip")
    run = subprocess.run([scrip, "ctl", "verify", "--quiet"], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, check=False)
    must(run.returncode == 0, "the journal is right:\n" + run.stdout + run.stderr)
    show(run.stdout.strip().split("\n")[-1])
    show("It is hash-chained; ./scrip ctl verify replays it and judges every record anew.")


def stack_said():
    """For a stack that is not the usual one: how the commands below find it."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    var = os.environ.get("SCRIP_VAR", "")
    return "" if var in ("", os.path.join(root, "var")) else "\n  export SCRIP_VAR=%s" % var


def what_next(url, client):
    print("""
The stack keeps running. Try:%(stack)s
  TOKEN=$(curl -s %(url)s/api/auth/login -H 'Content-Type: application/json' \\
    -d '{"username":"%(name)s","password":"%(password)s"}' \\
    | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
  curl -s "%(url)s/api/market/ticker?symbol=%(symbol)s"
  curl -s %(url)s/api/paper-trading/account -H "Authorization: Bearer $TOKEN"
  curl -s %(url)s/api/paper-trading/orders -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' \\
    -d '{"symbol":"%(symbol)s","side":"BUY","type":"MARKET","quote_order_quantity":"100"}'
  ./scrip ctl account %(account)d        # its whole life, in words; ./scrip ctl --help
  ./scrip status; ./scrip logs ledger -f; ./scrip down
The API, to read: %(url)s/api/docs""" % {
        "url": url, "name": client.name, "password": PASSWORD, "symbol": SYMBOL,
        "account": client.account()["account_id"], "stack": stack_said()})


def demo(url):
    parts = urlparse(url)
    client = Client(parts.port, parts.hostname)
    title(1, "The market")
    ticker = wait_for_price(client)
    rules = rules_of(client)
    show("%s: bid %s, ask %s, last %s" % (SYMBOL, plain(ticker["bid"]), plain(ticker["ask"]),
                                          plain(ticker["last_price"])))
    title(2, "Sign-up, and a paper balance of %s %s" % (plain(OPENING), QUOTE))
    client.sign_up("demo.%d.%d" % (int(time.time()), os.getpid()))
    view = client.set_balance(OPENING)
    show("%s has %s %s" % (client.name, plain(view["paper_balance_usdt"]), QUOTE))
    must(amount(view["paper_balance_usdt"]) == OPENING, "the balance is what was set")
    rules_set = client.call("GET", "/api/settings/trading/spot")["fill_rules"]
    show("its orders fill by the rules \"%s\": model %s, %s ms and more on the way" % (
        rules_set["fill_preset"], rules_set["fill_model"],
        plain(Decimal(rules_set["latency_us"]) / 1000)))
    stream = client.stream()
    show("its events are followed over WebSocket")

    title(3, "Market orders: by amount to spend, then by quantity")
    bought = client.place("BUY", "MARKET", SYMBOL, quote_order_quantity="2500")
    show_order(bought)
    must(bought["status"] == "FILLED", "a market order fills")
    half = cut(amount(bought["executed_quantity"]) / 2, rules["step_size"])
    sold = client.place("SELL", "MARKET", SYMBOL, quantity=half)
    show_order(sold)
    must(sold["status"] == "FILLED", "a market order fills")

    title(4, "A limit order that the market comes to")
    rest_and_fill(client, stream, rules)

    title(5, "A limit order far away: it rests, holds its money, and is cancelled")
    far = cut(amount(ticker["bid"]) * Decimal("0.8"), rules["tick_size"])
    resting = client.place("BUY", "LIMIT", SYMBOL, quantity=cut("0.01", rules["step_size"]),
                           price=far, time_in_force="GTC")
    show_order(resting)
    free, held = client.balances()[QUOTE]
    show("%s %s are free, %s are held for it" % (plain(free), QUOTE, plain(held)))
    must(held == amount(resting["held"]) > 0, "the order's reservation is held")
    show_order(client.cancel(resting["order_id"]))
    must(client.balances()[QUOTE] == (free + held, Decimal(0)), "its hold was given back")

    title(6, "A profit and a loss as one list: the order that trades ends the other")
    profit_or_loss(client, stream, rules, cut(half / 2, rules["step_size"]))

    title(7, "What the stream told meanwhile")
    events = stream.account_events(client.account()["event_sequence"])
    kinds = Counter(event["event"] for event in events)
    show("%d events, numbered without a gap: %s" % (
        len(events), ", ".join("%d x %s" % (n, kind) for kind, n in sorted(kinds.items()))))
    must(kinds["trade"] > 0 and kinds["order"] > 0, "the stream told of orders and trades")
    stream.close()

    title(8, "The account, added up from its trades alone")
    prove(client)

    title(9, "The journal, proved record by record")
    prove_journal()
    what_next(url, client)


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `./scrip demo | head` ends quietly
    try:
        demo(sys.argv[1])
    except HttpError as error:
        print("\ndemo: %s" % error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
