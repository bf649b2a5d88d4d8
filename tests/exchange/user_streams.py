"""user_streams - what an account is told of its own orders and balances, and over what.

Spot accounts are followed by subscriptions of the WebSocket API (ws_api.py), futures accounts by
listen keys, which are over after an hour unless somebody asks for more. Each event is a message of
the stream user@ACCOUNT@EVENT, so that faults can name it.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import fnmatch
import json
import random
import string

from aiohttp import web

from streams import Connection, converse
from wire import frame

LISTEN_KEY_CHARACTERS = string.ascii_letters + string.digits
PRIVATE_EVENTS = {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL",
                  "TRADE_LITE", "ALGO_UPDATE", "listenKeyExpired"}


def topic_of(name):
    return "user@" + name


def encoded(event):
    return json.dumps(event, separators=(",", ":")).encode()


class ListenKey:
    """What lets its holder hear of one account."""

    def __init__(self, name, text):
        self.name, self.text = name, text
        self.timer = None
        self.connections = {}

    def is_alive(self):
        return self.timer is not None


class Users:
    """Those who may be told of their accounts on one market."""

    def __init__(self, venue):
        self.venue, self.hub, self.counters = venue, venue.hub, venue.counters
        self.keys = {}   # by account name: the one that lives
        self.texts = {}  # every key there ever was
        self.dice = random.Random("listen keys of " + venue.name)

    def tell(self, name, event):
        """An event for all who follow the account."""
        self.counters.add("user_events")
        self.hub.publish("%s@%s" % (topic_of(name), event["e"]), encoded(event), topic_of(name))

    # Listen keys.

    def create_key(self, name):
        """The account's living key, with an hour to live from now; a new one when there is none."""
        key = self.keys.get(name)
        if key is None:
            text = "".join(self.dice.choice(LISTEN_KEY_CHARACTERS) for _ in range(64))
            key = self.keys[name] = self.texts[text] = ListenKey(name, text)
            self.counters.add("listen_keys")
        self.keep(key)
        return key.text

    def extend_key(self, name):
        """Whether there was one to extend; its text."""
        key = self.keys.get(name)
        if key is None:
            return None
        self.keep(key)
        self.counters.add("listen_keys_extended")
        return key.text

    def close_key(self, name):
        """Whether there was one; who listens by it hears nothing more."""
        key = self.keys.pop(name, None)
        if key is None:
            return False
        self.bury(key)
        return True

    def keep(self, key):
        if key.timer is not None:
            key.timer.cancel()
        life_s = self.venue.settings.listen_key_ms / 1000
        key.timer = asyncio.get_running_loop().call_later(life_s, self.expire, key)

    def bury(self, key):
        key.timer.cancel()
        key.timer = None
        for connection in list(key.connections):
            connection.unlisten()

    def expire(self, key):
        """Its connections are told, stay open, and hear nothing more."""
        self.counters.add("listen_keys_expired")
        event = {"e": "listenKeyExpired", "E": self.venue.now_ms(), "listenKey": key.text}
        for connection in list(key.connections):
            connection.put(frame(encoded(event)))
        self.keys.pop(key.name, None)
        self.bury(key)

    # Faults.

    def expire_keys(self, pattern):
        """The accounts whose keys are over before their time."""
        found = [k for n, k in self.keys.items() if fnmatch.fnmatchcase(topic_of(n), pattern)]
        for key in found:
            self.expire(key)
        return [key.name for key in found]

    def end_subscriptions(self, pattern):
        """The accounts whose subscriptions the exchange ends by itself."""
        found = []
        for connection in list(self.hub.connections.values()):
            for topic in fnmatch.filter(connection.streams, pattern):
                if connection.root == "ws-api":
                    connection.terminate(topic)
                    found.append(topic)
        return found


class PrivateConnection(Connection):
    """Futures: one listen key, and the events that were asked for."""

    is_private = True

    def __init__(self, venue, key, events, settings, transport):
        super().__init__(venue, "private", False, settings, transport)
        self.key, self.events = key, events
        if key.is_alive():
            key.connections[self] = True

    def add(self, stream):
        self.streams[stream] = True
        self.hub.listen(self, stream)

    def hear(self, stream, payload):
        if not self.events or stream.rpartition("@")[2] in self.events:
            self.put(frame(payload))

    def subscribe(self, is_on, params, number):
        del is_on, params
        self.refuse("streams of the market are not on this root", number)

    def unlisten(self):
        for stream in self.streams:
            self.hub.unlisten(self, stream)
        self.streams = {}
        self.key.connections.pop(self, None)

    def gone(self):
        self.key.connections.pop(self, None)
        super().gone()


async def enter_private(request, venue):
    """/private/ws/KEY and /private/ws?listenKey=KEY[&events=A/B]."""
    query = dict(request.query)
    text = request.match_info.get("key") or query.pop("listenKey", "")
    events = set(filter(None, query.pop("events", "").split("/")))
    if query or events - PRIVATE_EVENTS:
        venue.counters.violation("query", request.path_qs)
        return web.Response(status=400, text="unknown parameter")
    key = venue.users.texts.get(text)
    if key is None:
        venue.counters.violation("listen_key", "%.80s was never given" % text)
        return web.Response(status=400, text="This listenKey does not exist.")
    if not key.is_alive():
        # It may have ended a moment ago: open, and nothing will ever come.
        venue.counters.add("listen_keys_dead")
    streams = [topic_of(key.name)] if key.is_alive() else []
    return await converse(request, venue, venue.settings, streams,
                          lambda transport: PrivateConnection(venue, key, events, venue.settings,
                                                              transport))
