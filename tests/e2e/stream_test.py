#!/usr/bin/python3
"""The WebSocket tells each event of an account once and in order, over breaks and restarts too.

SPDX-License-Identifier: Apache-2.0
"""
import recording
from stack import HttpError, Stack, StreamClosed, check, tell, wait_for


def live_events(user):
    stream = user.stream()
    first = stream.ask(op="ping")
    check(first["ok"], "a ping is answered", first)
    bought = user.place("BUY", "MARKET", quantity="0.01")
    last = user.account()["event_sequence"]
    events = stream.account_events(last)
    kinds = {e["event"] for e in events}
    check(kinds == {"order", "trade", "balance"}, "all three kinds of events came", kinds)
    done = stream.wait_order(bought["order_id"], ("FILLED",))
    check(done is not None, "the order's event says FILLED", events)
    trades = [e["data"] for e in events if e["event"] == "trade"]
    check({t["trade_id"] for t in trades} == {f["trade_id"] for f in bought["fills"]},
          "a trade event for each fill", trades, bought)
    return stream, last


def marks(user):
    """An answer that had to wait for the ledger bears its own operation's id, not a later one's."""
    stream = user.stream(follow=False)
    stream.socket.send('{"op":"subscribe","channel":"orders","id":7}')
    stream.socket.send('{"op":"ping","id":8}')
    answers = {}
    while len(answers) < 2:
        message = stream.receive()
        check(message is not None, "both are answered", answers)
        answers[message.get("op")] = message.get("id")
    check(answers == {"subscribe": 7, "ping": 8}, "each with its id", answers)
    stream.close()


def resume(stack, user, stream, last):
    stream.close()
    missed = [user.place("BUY", "MARKET", quantity="0.01") for _ in range(3)]
    again = user.stream(after=last)
    now = user.account()["event_sequence"]
    events = again.account_events(now)
    check(events[0]["sequence"] == last + 1, "it goes on with the next number", events[0], last)
    for order in missed:
        check(again.wait_order(order["order_id"], ("FILLED",)), "nothing was missed", order)
    again.close()
    # After a crash of everything that holds events, the client still learns where it stands.
    stack.kill("ledger", "gateway")
    stack.wait_serving(user)
    later = user.stream(after=now)
    order = user.place("BUY", "LIMIT", quantity="0.01", price="40000")
    check(later.wait(lambda e: order["order_id"] in
                     ([e["data"].get("order_id")] if e["event"] == "order" else
                      [o["order_id"] for o in e["data"].get("orders", [])])),
          "events go on after a crash", later.events)
    later.close()


def strangers(stack, user):
    nobody = stack.client()
    stream = nobody.stream()
    try:
        stream.ask(op="subscribe", channel="orders")
        check(False, "without a token there are no account events")
    except HttpError as error:
        check(error.code == "TOKEN_MISSING", "signing in comes first", error)
    try:
        stream.ask(op="auth", token=user.token[:-4] + "AAAA")
        check(False, "a bad token is refused")
    except HttpError as error:
        check(error.code == "TOKEN_INVALID", "a bad token is refused", error)
    stream.ask(op="subscribe", channel="ticks", symbols=["BTCUSDT"])
    stream.ask(op="subscribe", channel="candles", symbols=["BTCUSDT"], interval="1m")
    for kind in ("ticks", "candles"):
        event = stream.wait(lambda e, k=kind: e["event"] == k)
        check(event and event["data"]["symbol"] == "BTCUSDT", "public %s come" % kind, event)
    for junk in ("{", "[]", '{"op":"dance"}', '{"op":1}', "x" * 3000, "\u0000"):
        stream.socket.send(junk)
        answer = wait_for(lambda: (m := stream.receive()) and "error" in m and m, "an error")
        check(answer["error"]["code"], "junk is answered with an error", junk[:20], answer)
    try:
        stream.socket.send("y" * 200000)
        wait_for(lambda: stream.receive(1) and False, "the end")
    except (StreamClosed, OSError):
        pass


def story():
    """The WebSocket tells each event once and in order"""
    with Stack(market=recording.write) as stack:
        user = stack.user()
        marks(user)
        stream, last = live_events(user)
        resume(stack, user, stream, last)
        strangers(stack, user)


if __name__ == "__main__":
    tell(story)
