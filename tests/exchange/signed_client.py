"""signed_client - an owner of an account, for the tests of the signed side: requests as they are
wanted, right or wrong, byte by byte.

SPDX-License-Identifier: Apache-2.0
"""
import json
from decimal import Decimal
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from yarl import URL

from client import check
from user_client import Trader, now_ms

ROOTS = {"spot": "/api/v3/", "usdm": "/fapi/v1/"}


def encoded(params):
    return "&".join("%s=%s" % (n, quote(str(v), safe="")) for n, v in params.items())


class Owner(Trader):
    """Signs with what the stand-in's own client helper made."""

    def __init__(self, client, credentials, market="spot"):
        self.client, self.x, self.market = client, client.x, market
        self.kind, self.api_key = credentials.kind, credentials.api_key
        self.credentials, self.number = credentials, credentials.number
        self.headers = {}
        if self.kind == "HMAC":
            self.secret = credentials.secret.encode()
        else:
            self.private = load_pem_private_key(credentials.secret.encode(), None)

    async def raw(self, method, path, query="", body="", api_key=None, content_type=None,
                  **more_headers):
        """(status, value) of a request sent as it is written."""
        base = self.x.spot_rest_url if self.market == "spot" else self.x.usdm_rest_url
        path = path if path.startswith("/") else ROOTS[self.market] + path
        headers = {"X-MBX-APIKEY": self.api_key if api_key is None else api_key, **more_headers}
        if body:
            headers["Content-Type"] = content_type or "application/x-www-form-urlencoded"
        if headers["X-MBX-APIKEY"] == "":
            del headers["X-MBX-APIKEY"]
        url = URL("%s%s%s" % (base, path, "?" + query if query else ""), encoded=True)
        async with self.client.session.request(method, url, data=body or None, headers=headers,
                                               ssl=self.client.tls) as reply:
            self.headers = reply.headers
            return reply.status, json.loads(await reply.text())

    def signed_query(self, params, timestamp=None, before=""):
        """The query with time and signature; `before` is what else is signed, in front of it."""
        params = dict(params)
        params.setdefault("timestamp", now_ms() if timestamp is None else timestamp)
        text = encoded(params)
        return "%s&signature=%s" % (text, quote(self.sign((before + text).encode()), safe=""))

    async def ask(self, method, path, timestamp=None, **params):
        """(status, value) of a well-signed request."""
        return await self.raw(method, path, self.signed_query(params, timestamp))

    async def well(self, method, path, **params):
        status, value = await self.ask(method, path, **params)
        check(status == 200, "%s %s %s goes well" % (method, path, params), status, value)
        return value

    async def refused(self, code, method, path, words=None, **params):
        status, value = await self.ask(method, path, **params)
        check(status >= 400 and value["code"] == code and words in (None, value["msg"]),
              "%s %s %s is refused with %d %s" % (method, path, params, code, words or ""),
              status, value)
        return value

    async def place(self, client_id=None, symbol="BTCUSDT", side="BUY", type="LIMIT", **more):
        if type == "LIMIT":
            more.setdefault("timeInForce", "GTC")
        if client_id:
            more["newClientOrderId"] = client_id
        return await self.well("POST", "order", symbol=symbol, side=side, type=type, **more)

    async def spot_balance(self, asset):
        """(free, locked)"""
        value = await self.well("GET", "account")
        for row in value["balances"]:
            if row["asset"] == asset:
                return Decimal(row["free"]), Decimal(row["locked"])
        return Decimal(0), Decimal(0)
