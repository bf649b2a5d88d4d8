"""standin - how a story starts the stand-in exchange and speaks to its control plane.

    with StandIn(synthetic=7, tls=True) as x:
        settings = "spot_stream_url = %s\\nca_file = %s\\n" % (x.spot_stream_url, x.ca_file)
        x.fault("cut")
        x.truth("BTCUSDT")["bids"]

It uses the standard library alone and none of the server's modules. The process is ended by its id.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import secrets
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import leaks  # noqa: E402

READY_S = 60
POLL_S = 0.02


class StandInError(Exception):
    pass


def make_certificates(folder):
    """A CA of its own and a certificate for 127.0.0.1 and localhost: (ca, certificate, key)."""
    path = {name: os.path.join(folder, name) for name in
            ("ca.pem", "ca.key", "exchange.pem", "exchange.key", "exchange.csr", "names.cnf")}
    with open(path["names.cnf"], "w", encoding="utf-8") as file:
        file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for words in (
            ["req", "-x509", *curve, "-keyout", path["ca.key"], "-out", path["ca.pem"],
             "-days", "2", "-subj", "/CN=Stand-in CA",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
            ["req", *curve, "-keyout", path["exchange.key"], "-out", path["exchange.csr"],
             "-subj", "/CN=localhost"],
            ["x509", "-req", "-in", path["exchange.csr"], "-CA", path["ca.pem"],
             "-CAkey", path["ca.key"], "-CAcreateserial", "-days", "2",
             "-extfile", path["names.cnf"], "-out", path["exchange.pem"]]):
        openssl(*words)
    return path["ca.pem"], path["exchange.pem"], path["exchange.key"]


def openssl(*words):
    run = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise StandInError("openssl %s: %s" % (words[0], run.stderr))
    return run.stdout


def make_key(kind):
    """(secret, public key): what its owner signs with, and what the exchange knows of it."""
    if kind == "HMAC":
        return secrets.token_urlsafe(48).replace("-", "x").replace("_", "y"), None
    options = ["-algorithm", "ED25519"] if kind == "ED25519" else \
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    private = openssl("genpkey", *options)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(private)
        file.flush()
        return private, openssl("pkey", "-in", file.name, "-pubout")


class Credentials:
    """What the owner of an account has: `secret` is the private key (PEM) of asymmetric kinds."""

    def __init__(self, number, api_key, secret, kind):
        self.number, self.api_key, self.secret, self.kind = number, api_key, secret, kind


class StandIn:
    """A running stand-in exchange; `options` are those of exchange.py: ping_ms=50, rate=100."""

    def __init__(self, synthetic=None, recording=None, flood=None, tls=False, folder=None,
                 **options):
        self.folder = folder or tempfile.mkdtemp(prefix="scrip-exchange-")
        self.is_own_folder = folder is None
        words = ["/usr/bin/python3", "-B", os.path.join(HERE, "exchange.py")]
        self.ca_file = ""
        if tls:
            self.ca_file, certificate, key = make_certificates(self.folder)
            words += ["--tls", certificate, key]
        if synthetic is not None:
            words += ["--synthetic", str(synthetic)]
        if flood is not None:
            words += ["--flood", str(flood)]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        if recording:
            words += ["--recording", *([recording] if isinstance(recording, str) else recording)]
        self.is_tls = tls
        self.words = words
        self.process = None
        self.ports = {}

    def __enter__(self):
        self.log = open(os.path.join(self.folder, "exchange.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=self.log,
                                        stdin=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("{"):
            self.__exit__(None, None, None)
            raise StandInError("did not start: %s" % self.words)
        self.ports = json.loads(line)
        return self

    def __exit__(self, kind, value, trace):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            self.process.stdout.close()
        self.log.seek(0)
        complaints = self.log.read()
        self.log.close()
        if complaints:
            print("the stand-in exchange said:\n" + complaints[-4000:])
        if self.is_own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Addresses as the services' settings want them.

    def url(self, kind, market):
        return "%s%s://127.0.0.1:%d" % (kind, "s" if self.is_tls else "", self.ports[market])

    @property
    def spot_stream_url(self):
        return self.url("ws", "spot")

    @property
    def spot_rest_url(self):
        return self.url("http", "spot")

    @property
    def usdm_stream_url(self):
        return self.url("ws", "usdm")

    @property
    def usdm_rest_url(self):
        return self.url("http", "usdm")

    def ssl_context(self):
        return ssl.create_default_context(cafile=self.ca_file) if self.is_tls else None

    # The control plane.

    def get(self, path, /, **query):
        return self.ask(path + ("?" + urllib.parse.urlencode(query) if query else ""), None)

    def post(self, path, /, **body):
        return self.ask(path, body)

    def ask(self, path, body):
        url = "http://127.0.0.1:%d/_exchange/%s" % (self.ports["control"], path)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as e:
            raise StandInError("%s: %s" % (path, e.read().decode())) from None

    def truth(self, symbol, market="spot", **query):
        return self.get("truth", symbol=symbol, market=market, **query)

    def trades(self, symbol, market="spot", first=0, last=1 << 60):
        return self.get("trades", symbol=symbol, market=market, **{"from": first, "to": last})

    def klines(self, symbol, market="spot", interval="1m", **query):
        return self.get("klines", symbol=symbol, market=market, interval=interval, **query)

    def fault(self, kind, market="spot", **what):
        """Makes something go wrong; the view has its number, and what it touched so far."""
        return self.post("fault", kind=kind, market=market, **what)

    def fault_view(self, number):
        return next(f for f in self.get("faults") if f["fault"] == number)

    def end_fault(self, number):
        return self.post("fault/end", fault=number)

    def counters(self):
        return self.get("counters")

    def count(self, name):
        return self.counters()["counts"].get(name, 0)

    def connections(self, **query):
        return self.get("connections", **query)

    def symbols(self, **query):
        return self.get("symbols", **query)

    def list(self, symbol, market="spot"):
        return self.post("symbols", action="list", symbol=symbol, market=market)

    def delist(self, symbol, market="spot"):
        return self.post("symbols", action="delist", symbol=symbol, market=market)

    def quiet(self, symbol=None, market="spot"):
        return self.market("quiet", symbol, market)

    def halt(self, symbol=None, market="spot"):
        return self.market("halt", symbol, market)

    def run(self, symbol=None, market="spot"):
        return self.market("run", symbol, market)

    def market(self, action, symbol, market):
        body = {"symbol": symbol} if symbol else {}
        return self.post("market", action=action, market=market, **body)

    def trade(self, symbol, market="spot", **what):
        return self.post("trade", symbol=symbol, market=market, **what)

    def settings(self, market="spot", **what):
        return self.post("settings", market=market, **what)

    # Accounts, and the truth about their orders.

    def add_account(self, kind="HMAC", spot=None, usdm=None, **what):
        """A new account with one key; spot and usdm: {asset: amount}."""
        secret, public = make_key(kind)
        made = self.post("account", kind=kind, balances={"spot": spot or {}, "usdm": usdm or {}},
                         **({"public_key": public} if public else {"secret": secret}), **what)
        leaks.note(made["api_key"], secret)
        return Credentials(made["account"], made["api_key"], secret, kind)

    def account(self, number=1):
        """Its balances, positions and open orders."""
        return self.get("account", account=number)

    def change_key(self, api_key, **what):
        return self.post("account/key/change", api_key=api_key, **what)

    def deposit(self, number, asset, amount, market="spot"):
        return self.post("deposit", account=number, asset=asset, amount=amount, market=market)

    def order_truth(self, client_id, market="spot"):
        """received, executed and refused say how often; orders and placements tell of each."""
        return self.get("orders", client_id=client_id, market=market)

    def placements(self, **query):
        """order_truth of every client id that ever came, in order."""
        return self.get("orders", **query)

    def calls(self, port=None):
        """How often each (method, path) was called, of one port or of both."""
        found = {}
        for row in self.get("calls"):
            if port in (None, row["port"]):
                name = (row["method"], row["path"])
                found[name] = found.get(name, 0) + row["count"]
        return found

    def requests(self, **query):
        """Every request that came; query: port, method, path, api_key, limit."""
        return self.get("requests", **query)

    def script(self, market="spot", **what):
        return self.post("script", market=market, **what)

    def fill(self, client_id, market="spot", **what):
        """An open order trades: all that is left of it at its price, or price and quantity."""
        return self.post("fill", client_id=client_id, market=market, **what)

    def cancel(self, client_id, market="spot", **what):
        """The exchange ends an order by itself; status=EXPIRED and the like."""
        return self.post("cancel", client_id=client_id, market=market, **what)

    def weigh(self, weight=0, market="spot", **what):
        """Somebody else uses the limits: weight of the address, orders of an account."""
        return self.post("weight", weight=weight, market=market, **what)

    def order_limits(self, market="spot", **limits):
        """Placements a window: order_limits(**{"10S": 5})."""
        return self.post("order_limits", market=market, limits=limits)

    def finish(self):
        return self.post("finish")

    def wait(self, condition, what, seconds=30):
        """The first true value of condition(); it fails with the counters in its words."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise StandInError("waited %d s for %s; %s" % (seconds, what, self.counters()))
            time.sleep(POLL_S)
