"""user_streams - what an account is told of its own orders and balances, and over what.

Spot accounts are followed by subscriptions of the WebSocket API (ws_api.py), futures accounts by
listen keys, which end after an hour unless somebody keeps them. Each event is a message of the
stream user@ACCOUNT@EVENT (user@3@executionReport), so that faults can name it.

SPDX-License-Identifier: Apache-2.0
"""
import fnmatch
import json

from aiohttp import web

from streams import Connection, converse
from user_events import WORDED
from wire import frame

PRIVATE_EVENTS = {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL",
                  "TRADE_LITE", "ALGO_UPDATE", "listenKeyExpired"}


def topic_of(account):
    return "user@%d" % account.number


def encoded(event):
    return json.dumps(event, separators=(",", ":")).encode()


class Users:
    """Who follows the accounts: spot over the WebSocket API, futures by listen keys."""

    def __init__(self, venues, accounts):
        self.venues, self.accounts = venues, accounts
        self.ended = set()  # listen keys that lived once
        accounts.listen(self.heard)
        accounts.listen_keys.on_end = self.key_ended
        for venue in venues.values():
            venue.users = self
        venues["spot"].weights.on_ban = self.address_banned

    def heard(self, account, kind, what):
        market, word = WORDED[kind]
        venue = self.venues[market]
        self.tell(venue, account, word(venue, account, what))

    @staticmethod
    def tell(venue, account, event):
        """An event for all who follow the account."""
        venue.counters.add("user_events")
        topic = topic_of(account)
        venue.hub.publish("%s@%s" % (topic, event["e"]), encoded(event), topic)

    def key_ended(self, key, account, reason):
        """Its connections stay open and hear nothing more; of an expiry they are told."""
        venue = self.venues["usdm"]
        venue.counters.add("listen_keys_" + reason)
        self.ended.add(key)
        event = {"e": "listenKeyExpired", "E": venue.clock_ms(), "listenKey": key}
        for connection in list(venue.hub.connections.values()):
            if connection.root == "private" and connection.key == key:
                if reason == "expired":
                    connection.put(frame(encoded(event)))
                connection.unlisten()

    def address_banned(self):
        """Its connections to the WebSocket API are ended, too."""
        for connection in list(self.venues["spot"].hub.connections.values()):
            if connection.root == "ws-api":
                connection.banned()

    # Faults.

    def expire_keys(self, pattern):
        """Listen keys end before their time; whose."""
        keys = self.accounts.listen_keys
        found = [a for a in keys.by_account if fnmatch.fnmatchcase(topic_of(a), pattern)]
        for account in found:
            keys.close(account, "expired")
        return [{"account": account.number} for account in found]

    def end_subscriptions(self, pattern):
        """The exchange ends subscriptions by itself; whose."""
        found = []
        for connection in list(self.venues["spot"].hub.connections.values()):
            for topic in fnmatch.filter(connection.streams, pattern):
                if connection.root == "ws-api":
                    connection.terminate(topic)
                    found.append({"connection": connection.number, "topic": topic})
        return found


class PrivateConnection(Connection):
    """Futures: one listen key, and the events that were asked for."""

    is_private = True

    def __init__(self, venue, key, events, settings, transport):
        super().__init__(venue, "private", False, settings, transport)
        self.key, self.events = key, events

    def add(self, stream):
        self.streams[stream] = True
        self.hub.listen(self, stream)

    def unlisten(self):
        for stream in self.streams:
            self.hub.unlisten(self, stream)
        self.streams = {}

    def hear(self, stream, payload):
        if not self.events or stream.rpartition("@")[2] in self.events:
            self.put(frame(payload))

    def subscribe(self, is_on, params, number):
        del is_on, params
        self.refuse("streams of the market are not on this root", number)


async def enter_private(request, venue):
    """/private/ws/KEY and /private/ws?listenKey=KEY[&events=A/B]."""
    query = dict(request.query)
    key = request.match_info.get("key") or query.pop("listenKey", "")
    events = set(filter(None, query.pop("events", "").split("/")))
    if query or events - PRIVATE_EVENTS:
        venue.counters.violation("query", request.path)
        return web.Response(status=400, text="unknown parameter")
    account = venue.users.accounts.listen_keys.find(key)
    if account is None:
        if key not in venue.users.ended:
            venue.counters.violation("listen_key", "one that was never given")
            return web.Response(status=400, text="This listenKey does not exist.")
        # It may have ended a moment ago: the connection opens and nothing will ever come.
        venue.counters.add("listen_keys_dead")
    topics = [topic_of(account)] if account else []
    return await converse(request, venue, venue.settings, topics,
                          lambda transport: PrivateConnection(venue, key, events, venue.settings,
                                                              transport))
