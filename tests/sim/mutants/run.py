#!/usr/bin/python3
"""run - runs the simulation of each broken program until it sees what is wrong.

usage: run.py FOLDER [--seeds N] [--steps M] [--jobs J] [NAME...]

FOLDER holds the programs mutant_NAME. Prints each with the seed that saw it and what was seen, then
how many were; the exit status is 1 when one of them went unseen.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

import make

SEEN = re.compile(r"^seen at seed (\d+), (.*)$", re.M)
DIED = re.compile(r"^seed (\d+): again with", re.M)


def run(folder, mutant, seeds, steps):
    """(the first seed that saw it or 0, what it saw)"""
    done = subprocess.run([os.path.join(folder, "mutant_" + mutant.name), "--seed", "1", "--runs",
                           str(seeds), "--steps", str(steps), "--expect-failure"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode("utf-8", "replace")
    seen, died = SEEN.search(said), DIED.search(said)
    if done.returncode == 0 and seen:
        return int(seen[1]), seen[2]
    if done.returncode < 0 and died: # a CHECK of the product itself
        return int(died[1]), "it died of signal %d" % -done.returncode
    return 0, said[-300:].strip().replace("\n", "; ")


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    words.add_argument("folder")
    words.add_argument("names", nargs="*")
    words.add_argument("--seeds", type=int, default=1000)
    words.add_argument("--steps", type=int, default=1500)
    words.add_argument("--jobs", type=int, default=max(2, min(4, os.cpu_count() or 2)))
    asked = words.parse_args()
    mutants = [m for m in make.read() if not asked.names or m.name in asked.names]
    began, unseen, most = time.monotonic(), [], 0
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        runs = {pool.submit(run, asked.folder, m, asked.seeds, asked.steps): m for m in mutants}
        for done in concurrent.futures.as_completed(runs):
            mutant, (seed, what) = runs[done], done.result()
            print("%-26s %-10s %s" % (mutant.name, "seed %d" % seed if seed else "NOT SEEN", what),
                  flush=True)
            most = max(most, seed)
            if not seed:
                unseen.append(mutant.name)
    print("%d broken programs, %d seen, the last of them at seed %d; %.0f s"
          % (len(mutants), len(mutants) - len(unseen), most, time.monotonic() - began))
    if unseen:
        print("NOT SEEN: " + ", ".join(sorted(unseen)))
    return 1 if unseen or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())
