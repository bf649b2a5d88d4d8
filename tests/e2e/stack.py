"""stack - a whole Scrip of one's own for a story: real processes, real PostgreSQL, real Redis.

A Stack lives in a temporary folder on free ports and is made by the very scripts that make the
user's. Stories wait for events and answers, never for seconds: wait_for() asks again until a
condition holds or its deadline tells why it did not.

SPDX-License-Identifier: Apache-2.0
"""
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import leaks

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from client import Client, HttpError, StreamClosed, flat  # noqa: E402, F401, tools/client.py

SERVICES = ("marketdata", "matcher", "ledger", "bridge", "gateway")
POLL_S = 0.02
PORTS_FIRST, PORTS_EACH, PORTS_BLOCKS = 20000, 10, 1200
PARTS = ("postgres", "redis") + SERVICES
# What no log of a healthy run contains.
BROKEN = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|CHECK failed"
                    r"|signal=SIG(ABRT|SEGV|BUS|ILL|FPE)")


class StoryFailed(Exception):
    pass


def check(condition, what, *found):
    """A story's assertion: says what was expected and what was found."""
    if not condition:
        raise StoryFailed("%s; found: %s" % (what, ", ".join(repr(f) for f in found)))


def wait_for(condition, what, seconds=60.0):
    """The first true value of condition(); fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise StoryFailed("waited %.0f s for: %s" % (seconds, what))
        time.sleep(POLL_S)


kept_ports = []  # locks, until this process ends


def free_ports():
    """The first of ten ports that are ours. What will listen there starts one by one, so until then
    they look free to everybody: a lock keeps stories that run side by side apart."""
    folder = os.path.join(tempfile.gettempdir(), "scrip-ports-%d" % os.getuid())
    os.makedirs(folder, mode=0o700, exist_ok=True)
    first = PORTS_FIRST + os.getpid() % PORTS_BLOCKS * PORTS_EACH
    while True:
        first = int(subprocess.check_output([os.path.join(ROOT, "tools", "dev", "ports"),
                                             str(first), str(PORTS_EACH), str(PORTS_EACH)]))
        lock = open(os.path.join(folder, str(first)), "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            first += PORTS_EACH
            continue
        kept_ports.append(lock)
        return first


class Stack:
    """One running Scrip. Use as a context manager."""

    def __init__(self, settings=None, market=None, buffers="64MB"):
        self.dir = tempfile.mkdtemp(prefix="scrip-e2e-", dir=os.environ.get("SCRIP_E2E_DIR"))
        # PostgreSQL may run as another user, who must be able to pass through.
        os.chmod(self.dir, 0o711)
        base = free_ports()
        self.url_port = base + 9
        # `market` writes a recording: recording.write.
        self.market = [market(os.path.join(self.dir, "market.txt"))] if market else None
        self.environment = dict(
            os.environ, SCRIP_VAR=self.dir, SCRIP_PORT_BASE=str(base),
            SCRIP_HTTP_PORT=str(self.url_port), SCRIP_PG_BUFFERS=buffers,
            SCRIP_BUILD=os.environ.get("SCRIP_BUILD", os.path.join(ROOT, "build", "release")))
        settings = dict(settings or {})
        # Many users sign up from one address.
        settings["gateway"] = "logins_burst = 100000\n" + settings.get("gateway", "")
        # Stories and benchmarks count on fills at once; what chance adds has stories of its own.
        if "fill_preset" not in settings.get("ledger", ""):
            settings["ledger"] = "fill_preset = optimistic\n" + settings.get("ledger", "")
        for service, text in settings.items():
            self.environment["SCRIP_SETTINGS_" + service.upper()] = text
        self.port_base = base
        self.users_made = 0
        self.is_proved = True  # a story that damages its journal for good says False
        self.extras = {}  # name of a further process: its probe's port

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.end(failed=True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.end(failed=kind is not None)

    def scrip(self, *words):
        """Runs ./scrip in this stack."""
        run = subprocess.run([os.path.join(ROOT, "scrip"), *words], env=self.environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        if run.returncode != 0 and words[0] != "status":
            raise StoryFailed("./scrip %s:\n%s" % (" ".join(words), run.stdout))
        return run.stdout

    def up(self):
        market = ["--market", *self.market] if self.market else []
        self.scrip("up", "--no-build", *market)

    def end(self, failed):
        complaints = []
        try:
            if failed:
                self.show_logs()
            elif self.is_proved:
                complaints = self.proof()
            for name in self.extras:
                self.supervise(name, "--stop")
            self.scrip("down")
            complaints += self.complaints() + self.leaks()
        finally:
            if failed and os.environ.get("SCRIP_E2E_KEEP"):
                print("kept: " + self.dir)
            else:
                self.scrip("down", "--wipe")
                shutil.rmtree(self.dir, ignore_errors=True)
        if complaints and not failed:
            raise StoryFailed("logs or books show trouble:\n" + "\n".join(complaints[:40]))

    def log_path(self, name):
        return os.path.join(self.dir, "log", name + ".log")

    def log(self, name):
        try:
            with open(self.log_path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def proof(self):
        """What `scripctl verify` finds wrong. Nothing when it cannot read it: some stories end
        with a database that is down, or a journal whose beginning was archived."""
        program = os.path.join(self.environment["SCRIP_BUILD"], "tools", "scripctl", "scripctl")
        socket = os.path.join(os.path.realpath(os.path.join(self.dir, "pg")), "socket")
        run = subprocess.run([program, "verify", "--quiet", "--database",
                              "host=%s dbname=scrip user=scrip" % socket],
                             capture_output=True, text=True, check=False)
        return run.stdout.splitlines() if run.returncode == 1 else []

    def complaints(self):
        found = []
        for name in SERVICES + tuple(self.extras):
            lines = self.log(name).splitlines()
            for index, line in enumerate(lines):
                if BROKEN.search(line):
                    found += ["%s: %s" % (name, near) for near in lines[index:index + 15]]
                    break
        return found

    def leaks(self):
        """Where keys that this story stored were left, when the suite is to look for them."""
        noted = leaks.noted(os.environ.get("SCRIP_SECRETS"), os.getpid())
        return ["key material in " + name
                for name in leaks.found(self.dir, noted, but=("master-keys",))]

    def show_logs(self):
        print(self.scrip("status") if os.path.exists(self.dir + "/etc/stack.env") else "not up")
        for name in PARTS + tuple(self.extras):
            lines = self.log(name).splitlines()[-25:]
            print("\n".join(["--- " + name] + lines))
        sys.stdout.flush()

    # ---- Parts ----

    def pid(self, name):
        try:
            with open(os.path.join(self.dir, "run", name + ".pid"), encoding="ascii") as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return None

    def signal(self, name, number):
        pid = self.pid(name)
        check(pid is not None, name + " runs", pid)
        os.kill(pid, number)
        return pid

    def kill(self, *names):
        """kill -9; the supervisor starts each again. Returns when the new processes run."""
        old = {name: self.signal(name, signal.SIGKILL) for name in names}
        for name, pid in old.items():
            wait_for(lambda n=name, p=pid: self.pid(n) not in (None, p), name + " runs again")

    def stop(self, name):
        self.scrip("stop", name)

    def start(self, name):
        self.scrip("start", name)

    def supervise(self, name, *words):
        subprocess.run([os.path.join(ROOT, "tools", "dev", "supervise"), "--name", name,
                        "--run", os.path.join(self.dir, "run"), "--log", self.log_path(name),
                        *words], check=True)

    def start_standby(self, name, service="ledger"):
        """A second process of a service, with the same settings but its own name and probe."""
        self.extras[name] = self.port_base + 7 + len(self.extras)
        with open(os.path.join(self.dir, "etc", service + ".conf"), encoding="utf-8") as file:
            text = file.read()
        text = re.sub(r"(?m)^name = .*$", "name = " + name, text)
        text = re.sub(r"(?m)^probe_endpoint = .*$",
                      "probe_endpoint = 127.0.0.1:%d" % self.extras[name], text)
        path = os.path.join(self.dir, "etc", name + ".conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        program = os.path.join(self.environment["SCRIP_BUILD"], "services", service,
                               "scrip-" + service)
        self.supervise(name, "--", program, "--config", path)

    def probe_port(self, name):
        return self.extras.get(name) or self.port_base + 1 + SERVICES.index(name)

    def ready(self, name, timeout=5):
        """(whether /readyz says yes, what it says)"""
        client = Client(self.probe_port(name), timeout=timeout)
        try:
            status, _, body = client.raw("GET", "/readyz")
            return status == 200, body.decode("utf-8", "replace").strip()
        except HttpError as error:
            return False, str(error)
        finally:
            client.close()

    def wait_ready(self, *names, seconds=60):
        for name in names or SERVICES:
            wait_for(lambda n=name: self.pid(n) and self.ready(n)[0], name + " is ready", seconds)

    def wait_serving(self, user):
        """All are ready, and the gateway has found the ledger, which takes it up to 0.1 s more."""
        self.wait_ready()
        wait_for(lambda: user.ask("GET", "/api/paper-trading/account")[0] == 200,
                 "the gateway has found the ledger")

    def metric(self, service, name):
        """The sum of a metric over its labels."""
        client = Client(self.probe_port(service))
        _, _, body = client.raw("GET", "/metrics")
        client.close()
        found = re.findall(r"^%s(?:\{[^}]*\})? (\S+)$" % re.escape(name), body.decode(), re.M)
        return sum(int(float(value)) for value in found)

    # ---- What is in the database ----

    def sql(self, text, user="scrip"):
        """Rows of a query as lists of texts."""
        socket = os.path.join(os.path.realpath(os.path.join(self.dir, "pg")), "socket")
        out = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-F", "\x1f",
                              "-d", "host=%s dbname=scrip user=%s" % (socket, user), "-c", text],
                             check=True, capture_output=True, text=True).stdout
        return [line.split("\x1f") for line in out.splitlines()]

    # ---- Users ----

    def client(self):
        return Client(self.url_port)

    @staticmethod
    def logged_in(client):
        try:
            client.log_in(client.name)
        except HttpError as error:
            if error.status != 503:
                raise
        return client.token is not None

    def user(self, name=None, balance="100000"):
        """A signed-up client with that paper balance."""
        self.users_made += 1
        client = self.client()
        try:
            client.sign_up(name or "story.%d.%d" % (os.getpid(), self.users_made))
        except HttpError as error:
            # A ledger that serves again is found by the gateway within a tenth of a second.
            if error.status != 503:
                raise
            wait_for(lambda: self.logged_in(client), "the gateway has found the ledger")
        if balance is not None:
            client.set_balance(balance)
        return client


def tell(story):
    """Runs a story function and turns its outcome into an exit status."""
    try:
        story()
    except (StoryFailed, HttpError) as failure:
        print("FAILED: %s" % failure)
        sys.exit(1)
    print("ok: " + (story.__doc__ or story.__name__).strip().split("\n")[0])
