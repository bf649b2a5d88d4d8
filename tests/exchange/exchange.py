#!/usr/bin/python3
"""exchange - a stand-in for Binance's market-data side, to test against without the network.

It shares no code with the services and is written from the protocol's published facts: spot and
USD-M streams and REST, their limits read strictly, a true book and true trades behind them, and
faults on demand. README.md tells the parts and the control plane.

usage: exchange.py --synthetic SEED | --recording FILE... | --flood SEED  [options]
Prints one line of JSON with its ports when it is ready.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import asyncio
import gc
import json
import signal
import ssl
import sys

from aiohttp import web

import streams
from accounts import Accounts
from control import Control
from engine import Engine
from faults import Faults, schedule
from limits import Sliding, Weights, Window
from market import Venue
from rest import Rest
from signed import Signed
from source_flood import Flood
from source_recording import Recording, by_market
from source_synthetic import Synthetic
from spot_calls import SPOT_CALLS
from truth import Truth
from usdm_calls import USDM_CALLS
from user_streams import Users, enter_private
from wire import Counters
from ws_api import enter_api

TICK_MS = 10
MARKET_TICK_MS = 100
DAY_MS = 24 * 3600000


class Settings:
    """What a client may do and what the server does by itself; one for each market."""

    def __init__(self, options):
        self.inbound_max = {"spot": options.inbound_max or 5, "usdm": options.inbound_max or 10}
        self.ping_ms = {"spot": options.ping_ms or 20000, "usdm": options.ping_ms or 180000}
        self.pong_ms = {"spot": options.pong_ms or 60000, "usdm": options.pong_ms or 600000}
        self.life_ms = options.life_ms
        self.buffer_bytes_max = options.buffer_bytes_max
        self.socket_bytes = options.socket_bytes
        self.refuse_subscribe = {"count": 0, "code": 2, "msg": "", "is_nested": False}


class Exchange:
    """Both markets, their source and their ports."""

    def __init__(self, options):
        self.options = options
        self.counters = Counters()
        self.attempts = Sliding(options.attempts_max, 300.0)
        self.venues, self.rests, self.sources = {}, {}, {}
        self.over = asyncio.Event()
        for name, limit in (("spot", options.spot_weight), ("usdm", options.usdm_weight)):
            hub = streams.Hub(self.counters)
            venue = Venue(name, hub, self.counters,
                          Weights(limit, options.window_ms, options.strikes_max, options.ban_s),
                          options.history_max)
            venue.settings = Settings(options)
            venue.faults = Faults(venue)
            venue.funding_calls = Window(500, 300000)
            hub.on_wanted = venue.on_wanted
            self.venues[name], self.rests[name] = venue, Rest(venue)
        self.accounts = Accounts(self.venues)
        self.truth, self.engines = Truth(self.counters), {}
        for name, table in (("spot", SPOT_CALLS), ("usdm", USDM_CALLS)):
            self.engines[name] = Engine(self.venues[name], self.source_of)
            self.rests[name].signed = Signed(self.rests[name], table, self.accounts,
                                             self.engines[name], self.truth)
        self.accounts.listen_keys.life_ms = options.listen_key_ms
        self.users = Users(self.venues, self.accounts)

    def chosen(self, market):
        return [self.venues[market]] if market else list(self.venues.values())

    def source_of(self, market):
        return self.sources[market]

    def is_finished(self):
        """Whether all that was recorded has been played."""
        return all(getattr(s, "is_finished", False) for s in self.sources.values())

    def finish(self):
        for venue in self.venues.values():
            for connection in list(venue.hub.connections.values()):
                connection.close(1001, "finished")
        self.over.set()

    # The way in.

    def application(self, unrouted):
        """The server of one port; `unrouted` = the market of /ws and /stream there."""
        app = web.Application(middlewares=[self.listener(unrouted)])
        for prefix, market, root in (("", unrouted, "spot" if unrouted == "spot" else "unrouted"),
                                     ("/public", "usdm", "public"), ("/market", "usdm", "market")):
            raw, wrapped = self.door(market, root, False), self.door(market, root, True)
            app.add_routes([web.get(prefix + "/ws", raw), web.get(prefix + "/ws/{names:.+}", raw),
                            web.get(prefix + "/stream", wrapped)])
        private = self.private_door("usdm", "private", enter_private)
        handle = self.rests[unrouted].handle
        if unrouted == "spot":
            app.add_routes([web.get("/ws-api/v3", self.private_door("spot", "ws-api", enter_api)),
                            web.route("*", "/api/v3/{name:.+}", handle),
                            web.route("*", "/sapi/v1/{name:.+}", handle)])
        else:
            app.add_routes([web.get("/private/ws", private), web.get("/private/ws/{key}", private),
                            web.route("*", "/fapi/v1/{name:.+}", handle),
                            web.route("*", "/fapi/{name:v[23]/.+}", handle)])
        app.add_routes([web.route("*", "/{rest:.*}", self.nowhere)])
        return app

    def listener(self, port):
        """Notes every request of a port."""
        @web.middleware
        async def note(request, handler):
            noted = self.truth.hear(port, request)
            response = await handler(request)
            noted["status"] = response.status
            return response
        return note

    async def nowhere(self, request):
        self.counters.violation("path", "%s %s" % (request.method, request.path))
        return web.Response(status=404, text="not here")

    def refusal(self, venue, root, request):
        """What a new connection is answered instead of being let in, or None."""
        self.counters.add("attempts")
        if not self.attempts.add():
            self.counters.violation("attempts", "more than %d in 5 minutes" % self.attempts.limit)
            return web.Response(status=429, headers={"Retry-After": "300"})
        fault = venue.faults.refuses(root)
        if fault is None:
            return None
        if fault.how == "tcp":
            request.transport.abort()
        return web.Response(status=fault.status, text="Service Unavailable")

    def private_door(self, market, root, enter_by):
        venue = self.venues[market]

        async def enter(request):
            refusal = self.refusal(venue, root, request)
            # An empty response counts as false.
            return await enter_by(request, venue) if refusal is None else refusal
        return enter

    def door(self, market, root, is_combined):
        venue = self.venues[market]

        async def enter(request):
            refusal = self.refusal(venue, root, request)
            if refusal is not None:
                return refusal
            query = dict(request.query)
            names = request.match_info.get("names", "") if not is_combined \
                else query.pop("streams", "")
            if query:
                self.counters.violation("query", request.path_qs)
                return web.Response(status=400, text="unknown parameter")
            listed = [n for n in names.split("/") if n]
            return await streams.serve(request, venue, root, is_combined, listed, venue.settings)
        return enter

    # Time.

    async def live(self):
        """What happens by the clock, every few milliseconds."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        market_due = {}
        while True:
            for name, venue in self.venues.items():
                now = venue.now_ms()
                if name in self.sources:
                    self.sources[name].advance(now)
                if now >= market_due.get(name, 0):
                    market_due[name] = now // MARKET_TICK_MS * MARKET_TICK_MS + MARKET_TICK_MS
                    venue.tick(now)
                self.engines[name].turn()
            self.accounts.listen_keys.sweep()
            due = max(due + TICK_MS / 1000, loop.time())
            await asyncio.sleep(due - loop.time())

    def open_sources(self):
        options = self.options
        recorded = by_market(options.recording) if options.recording else {}
        for market, symbols, flooding in (("spot", options.spot, options.flood_spot),
                                          ("usdm", options.usdm, options.flood_usdm)):
            venue = self.venues[market]
            if recorded:
                if market in recorded:
                    self.sources[market] = Recording(venue, recorded[market], options.synthetic,
                                                     options.speed, options.times)
            elif options.flood is not None:
                if flooding:
                    self.sources[market] = Flood(venue, options.flood, flooding)
            else:
                listed = [s for s in symbols.split(",") if s]
                self.sources[market] = Synthetic(venue, options.synthetic, listed, options.rate)
            if options.begin == "quiet":
                for instrument in venue.instruments.values():
                    instrument.is_quiet = True


async def listen(app, options, port, tls):
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, options.host, port, ssl_context=tls, backlog=256,
                       shutdown_timeout=0.2)
    await site.start()
    return runner, site._server.sockets[0].getsockname()[1]


async def run(options):
    exchange = Exchange(options)
    exchange.open_sources()
    tls = None
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*options.tls)
    control = web.Application()
    control.add_routes(Control(exchange).routes())
    runners, ports = [], {}
    for name, app, port, context in (
            ("spot", exchange.application("spot"), options.port, tls),
            ("usdm", exchange.application("usdm"), options.usdm_port, tls),
            ("control", control, options.control_port, None)):
        runner, ports[name] = await listen(app, options, port, context)
        runners.append(runner)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, exchange.finish)
    # The books of the start are for ever; the collector need not walk them again.
    gc.collect()
    gc.freeze()
    tasks = [asyncio.create_task(exchange.live())]
    if options.faults:
        tasks.append(asyncio.create_task(schedule(list(exchange.venues.values()), options.faults)))
    over = asyncio.create_task(exchange.over.wait())
    print(json.dumps(ports), flush=True)
    done, _ = await asyncio.wait(tasks + [over], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for runner in runners:
        await runner.cleanup()
    for task in done:
        task.result()


def parse(arguments):
    p = argparse.ArgumentParser(description="a stand-in for Binance's market-data side")
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0, help="spot, and usdm under its roots; 0 = free")
    p.add_argument("--usdm-port", type=int, default=0, help="the same, but /ws is un-routed usdm")
    p.add_argument("--control-port", type=int, default=0)
    p.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    p.add_argument("--synthetic", default="1", metavar="SEED")
    p.add_argument("--spot", default="BTCUSDT,ETHUSDT", help="synthetic symbols")
    p.add_argument("--usdm", default="BTCUSDT,ETHUSDT", help="synthetic symbols")
    p.add_argument("--rate", type=float, default=40.0, help="steps a second and symbol")
    p.add_argument("--recording", nargs="+", metavar="FILE", help="instead: raw recordings")
    p.add_argument("--speed", type=float, default=1.0, help="of the recording")
    p.add_argument("--times", choices=("shifted", "recorded"), default="shifted",
                   help="event times of the recording: moved to now, or as they were")
    p.add_argument("--flood", metavar="SEED", help="instead: hundreds of symbols")
    p.add_argument("--flood-spot", type=int, default=500, help="symbols of the flood")
    p.add_argument("--flood-usdm", type=int, default=0, help="symbols of the flood")
    p.add_argument("--begin", choices=("run", "quiet"), default="run",
                   help="quiet: nothing happens until the control plane says run")
    p.add_argument("--faults", help='"every=3s,seed=7,kinds=drop+cut"')
    p.add_argument("--history-max", type=int, default=20000, help="diffs a symbol remembered")
    p.add_argument("--ping-ms", type=int, default=0, help="0 = as Binance")
    p.add_argument("--pong-ms", type=int, default=0, help="0 = as Binance")
    p.add_argument("--inbound-max", type=int, default=0, help="messages a second; 0 = as Binance")
    p.add_argument("--life-ms", type=int, default=DAY_MS, help="of a connection")
    p.add_argument("--listen-key-ms", type=int, default=3600000, help="life of a listen key")
    p.add_argument("--attempts-max", type=int, default=300, help="connections in five minutes")
    p.add_argument("--buffer-bytes-max", type=int, default=8 << 20, help="that a client may lag")
    p.add_argument("--socket-bytes", type=int, default=0,
                   help="of the kernel's buffer for a client; 0 = the system's")
    p.add_argument("--spot-weight", type=int, default=6000, help="request weight a window")
    p.add_argument("--usdm-weight", type=int, default=2400, help="request weight a window")
    p.add_argument("--window-ms", type=int, default=60000, help="of the request weight")
    p.add_argument("--strikes-max", type=int, default=5, help="replies of 429 before 418")
    p.add_argument("--ban-s", type=int, default=120, help="the first ban; each is twice as long")
    return p.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(run(parse(sys.argv[1:])))
