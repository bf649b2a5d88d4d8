#!/usr/bin/python3
"""follower - listens to accounts' events on the WebSocket and checks their numbers, come what may.

usage: follower.py JOB.json    the job: port, users, file; ends after SIGTERM, once each account's
                               last event has come, or with its standard input

A break is healed by resuming after the last number; now and then a follower resumes from further
back, so that it is told again what it knows. The file has one JSON object a line: {"n": number,
"user": name, "hash": of its content}, {"snapshot": number}, {"wrong": sentence}.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import websocket  # noqa: E402, Debian's python3-websocket
from client import Client, HttpError  # noqa: E402, tools/client.py

BREAK_S = (4, 12)
BACK_MAX = 60
PAUSE_S = 0.1
END_S = 90


class Follower(threading.Thread):
    def __init__(self, job, index, ended, write):
        super().__init__(daemon=True)
        user = job["users"][index % len(job["users"])]
        self.index, self.name_of = index, user["name"]
        self.client = Client(job["port"], timeout=10)
        self.client.token = user["token"]
        self.password = job["password"]
        self.random = random.Random("%s.follower.%d" % (job["seed"], index))
        self.ended, self.write = ended, write
        self.last = None
        self.breaks = 0

    def say(self, **line):
        self.write({"follower": self.index, "user": self.name_of, **line})

    def take(self, message, expected):
        """The number that must come next, after this message."""
        number = message["sequence"]
        if message["event"] == "snapshot":
            if self.last is not None and number < self.last:
                self.say(wrong="a snapshot of %d after event %d" % (number, self.last))
            self.say(snapshot=number)
        else:
            text = json.dumps([message["event"], message["data"]], sort_keys=True, default=str)
            self.say(n=number, hash=hashlib.sha256(text.encode()).hexdigest()[:16])
            if expected is not None and number != expected:
                self.say(wrong="event %d where %d was to come" % (number, expected))
        self.last = number if self.last is None else max(self.last, number)
        return number + 1

    def listen(self):
        """One connection, until it breaks, is broken on purpose, or the end has come."""
        after = self.last
        if after is not None and self.random.random() < 0.5:
            after = max(0, after - self.random.randrange(BACK_MAX))
        stream = self.client.stream(after=after) if after is not None else self.client.stream()
        expected = None if after is None else after + 1
        until = time.monotonic() + self.random.uniform(*BREAK_S)
        try:
            while time.monotonic() < until and not self.is_done():
                while stream.events:
                    message = stream.events.pop(0)
                    if "sequence" in message:
                        expected = self.take(message, expected)
                stream.receive(0.2)
        finally:
            stream.close()

    def is_done(self):
        """Whether the end was asked for and all events have come."""
        if not self.ended.is_set():
            return False
        if time.monotonic() > self.deadline():
            self.say(wrong="the last events did not come within %d s of the end" % END_S)
            return True
        return self.last is not None and self.last >= self.client.account()["event_sequence"]

    def deadline(self):
        if self.ends_at is None:
            self.ends_at = time.monotonic() + END_S
        return self.ends_at

    def run(self):
        self.ends_at = None
        while True:
            try:
                self.listen()
                if self.is_done():
                    break
            except (HttpError, OSError, ValueError, websocket.WebSocketException) as error:
                self.breaks += 1
                if getattr(error, "status", 0) in (401, 4001):
                    self.sign_in()
                if self.ends_at is not None and time.monotonic() > self.ends_at + END_S:
                    self.say(wrong="no stream at the end: %r" % error)
                    break
                self.ended.wait(PAUSE_S)
        self.say(done=self.last, breaks=self.breaks)

    def sign_in(self):
        try:
            self.client.log_in(self.name_of, self.password)
        except HttpError:
            pass


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    ended, lock = threading.Event(), threading.Lock()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(job["file"], "a", buffering=1, encoding="utf-8") as out:
        def write(line):
            with lock:
                out.write(json.dumps(line) + "\n")

        # Two for each account: they compare what each was told.
        followers = [Follower(job, index, ended, write) for index in range(2 * len(job["users"]))]
        for follower in followers:
            follower.start()
        print("ready", flush=True)
        # Nobody would end us once he who started us is gone.
        threading.Thread(target=lambda: os._exit(len(os.read(0, 1)) + 1), daemon=True).start()
        for follower in followers:
            while follower.is_alive():
                follower.join(1)


if __name__ == "__main__":
    main()
