"""user_client - a small client of the signed side of the exchange, for its own test.

It signs by the published rules with nothing of the server's: REST over the exact query, the
WebSocket API over the sorted parameters.

SPDX-License-Identifier: Apache-2.0
"""
import base64
import hashlib
import hmac
import itertools
import json
import time
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from yarl import URL

from client import check, hear

numbers = itertools.count(1)


def now_ms():
    return int(time.time() * 1000)


class Trader:
    """One account at the stand-in, and the key that speaks for it."""

    def __init__(self, client, kind="HMAC", market="spot", **balances):
        self.client, self.x, self.kind, self.market = client, client.x, kind, market
        self.api_key = ("trader%d" % next(numbers)).ljust(64, "x")
        body = {"api_key": self.api_key, "kind": kind}
        if kind == "HMAC":
            self.secret = b"a secret of nobody"
            body["secret"] = self.secret.decode()
        else:
            self.private = ed25519.Ed25519PrivateKey.generate() if kind == "ED25519" else \
                rsa.generate_private_key(public_exponent=65537, key_size=2048)
            body["public_key"] = self.private.public_key().public_bytes(
                serialization.Encoding.PEM,
                serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        body["balances"] = {market: balances}
        self.number = self.x.post("account", **body)["account"]

    def sign(self, payload):
        if self.kind == "HMAC":
            return hmac.new(self.secret, payload, hashlib.sha256).hexdigest()
        raw = self.private.sign(payload) if self.kind == "ED25519" else \
            self.private.sign(payload, padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(raw).decode()

    # REST.

    async def rest(self, method, path, signed=True, **params):
        """(status, body)"""
        query = "&".join("%s=%s" % (n, quote(str(v), safe="")) for n, v in params.items())
        if signed:
            query += "%stimestamp=%d" % ("&" if query else "", now_ms())
            query += "&signature=" + quote(self.sign(query.encode()), safe="")
        base = self.x.spot_rest_url if self.market == "spot" else self.x.usdm_rest_url
        url = URL("%s%s?%s" % (base, path, query), encoded=True)
        async with self.client.session.request(method, url, ssl=self.client.tls,
                                               headers={"X-MBX-APIKEY": self.api_key}) as reply:
            return reply.status, json.loads(await reply.text())

    async def done(self, method, path, **more):
        status, body = await self.rest(method, path, **more)
        check(status == 200, "%s %s goes well" % (method, path), status, body)
        return body

    @property
    def order_path(self):
        return "/api/v3/order" if self.market == "spot" else "/fapi/v1/order"

    async def order(self, client_id, side="BUY", kind="LIMIT", **more):
        return await self.done("POST", self.order_path, symbol="BTCUSDT", side=side, type=kind,
                               newClientOrderId=client_id, **more)

    async def cancel(self, client_id, **more):
        return await self.done("DELETE", self.order_path, symbol="BTCUSDT",
                               origClientOrderId=client_id, **more)

    # The WebSocket API.

    def signed(self, **params):
        params = {"apiKey": self.api_key, "timestamp": now_ms(), **params}
        params = {n: v for n, v in params.items() if v is not None}
        payload = "&".join("%s=%s" % (n, params[n]) for n in sorted(params))
        return {**params, "signature": self.sign(payload.encode())}

    async def subscribe(self, ws):
        """The id of the subscription."""
        answer = await call(ws, "userDataStream.subscribe.signature", self.signed())
        check(answer["status"] == 200, "subscribed", answer)
        return answer["result"]["subscriptionId"]


async def call(ws, method, params=None, number=None):
    """The answer to a request of the WebSocket API."""
    number = number or next(numbers)
    body = {"id": number, "method": method}
    if params is not None:
        body["params"] = params
    await ws.send_json(body)
    return await hear(ws, lambda m: m.get("id", 0) == number)


async def event(ws, kind=None, **wanted):
    """The next event of a subscription, or the next that is so."""
    found = await hear(ws, lambda m: "event" in m and (kind is None or m["event"]["e"] == kind)
                       and all(m["event"].get(n) == v for n, v in wanted.items()))
    return found["event"]
