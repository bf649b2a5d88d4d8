#!/usr/bin/python3
"""PostgreSQL's disk is full: first tables cannot grow, then its log cannot; freed, all goes on.

The disk is a tmpfs of its own, which needs root; SKIPPED where that is not allowed.

SPDX-License-Identifier: Apache-2.0
"""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "storm"), HERE]
import apart  # noqa: E402, tests/storm
import recording  # noqa: E402
from books import check_account, check_journal, check_zero_sums  # noqa: E402
from load import Load  # noqa: E402
from stack import SERVICES, Stack, check, tell, wait_for  # noqa: E402

DISK_MB = 760  # half a gigabyte of it is for files of the log that PostgreSQL keeps ahead
LOG_DISK_MB = 48


class SmallStack(Stack):
    """A stack whose PostgreSQL lies on a small disk."""

    disk = log_disk = None

    def up(self):
        if self.disk is None:
            self.disk = apart.SmallDisk(os.path.join(self.dir, "disk"), DISK_MB)
            self.log_disk = apart.SmallDisk(os.path.join(self.dir, "log-disk"), LOG_DISK_MB)
            home = os.path.join(self.disk.path, "pg")
            os.mkdir(home, 0o700)
            os.symlink(home, os.path.join(self.dir, "pg"))
            apart.must("chown", "postgres:postgres", home, self.log_disk.path)
        super().up()

    def end(self, failed):
        try:
            super().end(failed)
        finally:
            self.disk.end()
            self.log_disk.end()
            if not os.path.exists(os.path.join(self.dir, "etc")):
                shutil.rmtree(self.dir, ignore_errors=True)

    def move_log(self):
        """PostgreSQL's log moves to the smaller disk, with hardly any file ahead."""
        for setting in ("min_wal_size = '4MB'", "max_wal_size = '8MB'"):
            self.sql("ALTER SYSTEM SET " + setting, user="postgres")
        self.sql("SELECT pg_reload_conf()", user="postgres")

        def is_small():
            # Files that are ahead go only once they have been used.
            self.sql("DO $$BEGIN FOR i IN 1 .. 64 LOOP"
                     " PERFORM pg_logical_emit_message(false, '', ''), pg_switch_wal();"
                     " END LOOP; END$$", user="postgres")
            self.sql("CHECKPOINT", user="postgres")
            found = self.sql("SELECT sum(size) FROM pg_ls_waldir()", user="postgres")
            return int(found[0][0]) < LOG_DISK_MB << 19

        wait_for(is_small, "PostgreSQL gives its spare files back")
        self.stop("postgres")
        old = os.path.join(self.disk.path, "pg", "data", "pg_wal")
        new = os.path.join(self.log_disk.path, "pg_wal")
        apart.must("cp", "-a", old, new)
        shutil.rmtree(old)
        os.symlink(new, old)
        self.start("postgres")
        self.wait_ready()


def nothing_is_acknowledged(stack, load):
    """Orders are told 503 or 504 while the disk is full."""
    user = stack.client()
    user.token = load.traders[0].user.token
    status, answer = user.ask("POST", "/api/paper-trading/orders",
                              user.order("BUY", "MARKET", quantity="0.001"))
    check(status in (503, 504), "an order is answered with 503 or 504", status, answer)
    load.stand_still()
    count = load.count()
    status, answer = user.ask("GET", "/api/market/depth", query={"symbol": "BTCUSDT"})
    check(status == 200, "market data goes on", status, answer)
    check(load.count() == count, "nothing is acknowledged without the disk", load.count())


def tables_cannot_grow(stack, load):
    stack.disk.fill()
    wait_for(lambda: "No space left" in stack.log("postgres"), "PostgreSQL finds its disk full")
    wait_for(lambda: not stack.ready("ledger")[0], "the ledger says that it is not ready")
    nothing_is_acknowledged(stack, load)
    stack.disk.free()
    stack.wait_ready()
    load.progress()


def log_cannot_grow(stack, load):
    """A commit that finds no room for the log ends PostgreSQL: a crash, and recovery at the next
    start, for which there is no room either until the disk is freed."""
    stack.move_log()
    load.progress()
    # As long as somebody else might read the log no file of it is used again: a load that is slower
    # than checkpoints would else always find one.
    stack.sql("SELECT pg_create_physical_replication_slot('reader', true)", user="postgres")
    stack.log_disk.fill()
    wait_for(lambda: "PANIC" in stack.log("postgres"), "a commit finds no room for its log")
    nothing_is_acknowledged(stack, load)
    stack.log_disk.free()
    stack.wait_ready(seconds=120)
    stack.sql("SELECT pg_drop_replication_slot('reader')", user="postgres")
    load.progress()


def story():
    """A full disk loses nothing"""
    with SmallStack(market=recording.write) as stack:
        pids = {name: stack.pid(name) for name in SERVICES}
        with Load(stack) as load:
            load.progress()
            tables_cannot_grow(stack, load)
            print("tables: %d orders acknowledged so far" % load.count())
            log_cannot_grow(stack, load)
        print("requests that had to be repeated, by status: %s" % load.troubles())
        load.check_nothing_lost()
        for trader in load.traders:
            check_account(trader.user, load.balance)
        check_zero_sums(stack)
        check_journal(stack)
        for name, pid in pids.items():
            check(stack.pid(name) == pid, name + " lived through it", pid, stack.pid(name))


if __name__ == "__main__":
    apart.go()
    tell(story)
