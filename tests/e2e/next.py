#!/usr/bin/python3
"""next - makes the version after this one, for the story of an upgrade.

usage: next.py SOURCE TARGET [CMAKE-OPTION...]

TARGET/source becomes a copy of what the services are built from, with more fields in the messages
and in the rows of orders, which this version neither sets nor knows; TARGET/db gets a migration
that adds; TARGET/build is where its services are built. What has not changed is not built again.

SPDX-License-Identifier: Apache-2.0
"""
import filecmp
import os
import shutil
import subprocess
import sys

SERVICES = ("marketdata", "matcher", "ledger", "bridge", "gateway")
FOLDERS = ("common", "services", "config")
LENT = ("bench", "tests/unit", "tests/scenarios", "tests/sim", "tests/fuzz")  # named, not built

# Path, what stands there once, and what takes its place.
CHANGES = (
    ("common/tbl/messages.def",
     "#define FIELDS_frame(F, E, R, L) ",
     "#define FIELDS_frame(F, E, R, L) F(60, CODE, build, 0, \"Version of the sender.\") "),
    ("common/tbl/messages.def",
     "#define FIELDS_order_wish(F, E, R, L) ",
     "#define FIELDS_order_wish(F, E, R, L) F(60, CODE, mood, IN | OPT, \"What moved it.\") "),
    ("common/tbl/messages.def",
     "#define FIELDS_order(F, E, R, L) ",
     "#define FIELDS_order(F, E, R, L) F(60, CODE, mood, OPT, \"What moved it.\") "),
    ("common/tbl/messages.def",
     "#define FIELDS_order_terms(F, E, R, L) ",
     "#define FIELDS_order_terms(F, E, R, L) F(60, CODE, mood, HID, \"As in order.\") "),
    ("common/tbl/messages.def",
     "#define FIELDS_order_work(F, E, R, L) ",
     "#define FIELDS_order_work(F, E, R, L) F(60, CODE, mood, 0, \"As in order.\") "),
    ("common/tbl/messages.def",
     "#define FIELDS_order_report(F, E, R, L) ",
     "#define FIELDS_order_report(F, E, R, L) F(60, U64, effort, 0, \"Of the matcher.\") "),
    ("common/wire/bus_out.c",
     "struct frame head = {.epoch =",
     "struct frame head = {.build = {\"next\"}, .epoch ="),
    ("services/ledger/core/order.c",
     "return (struct order){.order_id = o->id,",
     "return (struct order){.mood = {\"calm\"}, .order_id = o->id,"),
    ("services/ledger/core/order.c",
     "*work = (struct order_work){.order_id = o->id,",
     "*work = (struct order_work){.mood = {\"calm\"}, .order_id = o->id,"),
    ("services/ledger/shell/rows.c",
     "const struct order_terms terms = {",
     "const struct order_terms terms = {.mood = {\"calm\"},"),
    ("services/matcher/core/report.c",
     "    r->order_id = order_id;",
     "    r->order_id = order_id;\n    r->effort = 9;"),
)

MIGRATION = "next_version"
DEPLOY = """-- What the version after this one adds.
BEGIN;

ALTER TABLE ledger."order" ADD COLUMN mood text NOT NULL DEFAULT 'calm';
ALTER TABLE ledger.trade ADD COLUMN weight bigint;
ALTER TABLE ledger.account ADD COLUMN colour integer NOT NULL DEFAULT 7;
ALTER TABLE ledger.balance ADD COLUMN age bigint NOT NULL DEFAULT 0;
ALTER TABLE gateway.users ADD COLUMN motto text;
CREATE TABLE ledger.mood (name text PRIMARY KEY);

COMMIT;
"""
REVERT = """BEGIN;

DROP TABLE ledger.mood;
ALTER TABLE gateway.users DROP COLUMN motto;
ALTER TABLE ledger.balance DROP COLUMN age;
ALTER TABLE ledger.account DROP COLUMN colour;
ALTER TABLE ledger.trade DROP COLUMN weight;
ALTER TABLE ledger."order" DROP COLUMN mood;

COMMIT;
"""
VERIFY = """BEGIN;

SELECT name FROM ledger.mood WHERE false;

ROLLBACK;
"""


def changed(path, text):
    for where, old, new in CHANGES:
        if where == path:
            if text.count(old) != 1:
                sys.exit("next: %s has %d times: %s" % (path, text.count(old), old))
            text = text.replace(old, new)
    return text


def write(path, text):
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except FileNotFoundError:
        pass
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def copy(source, target, path):
    there = os.path.join(target, path)
    if any(where == path for where, _, _ in CHANGES):
        with open(os.path.join(source, path), encoding="utf-8") as file:
            write(there, changed(path, file.read()))
    elif not os.path.exists(there) or not filecmp.cmp(os.path.join(source, path), there, False):
        os.makedirs(os.path.dirname(there), exist_ok=True)
        shutil.copyfile(os.path.join(source, path), there)


def copy_folder(source, target, folder):
    """A copy that keeps the times of what has not changed, and nothing that is gone."""
    wanted = set()
    for at, _, names in os.walk(os.path.join(source, folder)):
        for name in names:
            path = os.path.relpath(os.path.join(at, name), source)
            wanted.add(path)
            copy(source, target, path)
    for at, _, names in os.walk(os.path.join(target, folder)):
        for name in names:
            path = os.path.relpath(os.path.join(at, name), target)
            if path not in wanted:
                os.unlink(os.path.join(target, path))


def make_database(source, target):
    shutil.rmtree(os.path.join(target, "db"), ignore_errors=True)
    shutil.copytree(os.path.join(source, "db"), os.path.join(target, "db"))
    for folder, text in (("deploy", DEPLOY), ("revert", REVERT), ("verify", VERIFY)):
        write(os.path.join(target, "db", folder, MIGRATION + ".sql"), text)
    with open(os.path.join(target, "db", "sqitch.plan"), "a", encoding="utf-8") as plan:
        plan.write("%s 2026-12-31T00:00:00Z Scrip <scrip@localhost> # of the version after this\n"
                   % MIGRATION)


def main():
    source, target = (os.path.abspath(path) for path in sys.argv[1:3])
    there = os.path.join(target, "source")
    for folder in FOLDERS:
        copy_folder(source, there, folder)
    copy(source, there, "CMakeLists.txt")
    for name in LENT:
        link = os.path.join(there, name)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if not os.path.islink(link):
            os.symlink(os.path.join(source, name), link)
    make_database(source, target)
    build = os.path.join(target, "build")
    subprocess.run(["cmake", "-G", "Ninja", "-S", there, "-B", build, *sys.argv[3:]], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build, "-j2", *("scrip-" + name for name in SERVICES)],
                   check=True)


if __name__ == "__main__":
    main()
