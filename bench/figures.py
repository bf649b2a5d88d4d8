"""figures - what every measurement does the same way: runs, medians, the table, the JSON file.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("SCRIP_BUILD", os.path.join(ROOT, "build", "release"))
OUT = os.path.join(os.environ.get("SCRIP_VAR", os.path.join(ROOT, "var")), "bench")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
RUNS = max(5, int(os.environ.get("SCRIP_BENCH_RUNS", "5")))


class Failed(Exception):
    pass


def median(values):
    return statistics.median(values)


def medians(rows):
    """One row of medians from rows with the same numeric keys."""
    return {key: median([row[key] for row in rows]) for key in rows[0]
            if isinstance(rows[0][key], (int, float))}


def run(words, quiet=False, **more):
    """Standard output of a command; Failed with its errors. Shows what it says on the side."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise Failed("%s: exit status %d\n%s%s" % (" ".join(words), done.returncode,
                                                   done.stdout[-2000:], done.stderr[-2000:]))
    if done.stderr.strip() and not quiet:
        say("    " + done.stderr.strip().replace("\n", "\n    "))
    return done.stdout


def cpu_s(pid):
    """Processor time of a process and its threads so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def program(name):
    path = os.path.join(BUILD, "bench", name)
    if not os.access(path, os.X_OK):
        raise Failed("%s is missing: ./scrip build" % path)
    return path


def say(text):
    print(text, flush=True)


def data(*names):
    """Paths of recordings under SCRIP_DATA; None, loudly, when one of them is not there."""
    folder = os.environ.get("SCRIP_DATA")
    if folder is None:
        say("  SKIPPED: SCRIP_DATA, the folder of recordings, is not set")
        return None
    paths = [os.path.join(folder, name) for name in names]
    for path in paths:
        if not os.path.isfile(path):
            say("  SKIPPED: there is no %s" % path)
            return None
    return paths


def write_between(path, name, text):
    """Puts `text` between the lines `<!-- name: begin -->` and `<!-- name: end -->` of a page."""
    begin, end = "<!-- %s: begin -->\n" % name, "<!-- %s: end -->\n" % name
    try:
        with open(path, encoding="utf-8") as file:
            page = file.read()
    except OSError as error:
        raise Failed("%s cannot be read: %s" % (path, error.strerror)) from error
    if page.count(begin) != 1 or page.count(end) != 1 or page.find(begin) > page.find(end):
        raise Failed("%s has no lines '%s' and '%s'" % (path, begin.strip(), end.strip()))
    head, rest = page.split(begin)
    page = head + begin + text + end + rest.split(end)[1]
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(page)
    os.rename(path + ".new", path)
    say("  -> %s" % path)


def settle(name, ratio, aim, unit, raw, sentence, runs=RUNS, more=None):
    """Prints the figure and writes its file; `more` are fields of their own beside the raw ones."""
    machine = {"processors": os.cpu_count(), "load_1m": os.getloadavg()[0]}
    os.makedirs(OUT, exist_ok=True)
    path = os.path.join(OUT, name + ".json")
    figure = {"name": name, "ratio": round(ratio, 4) if ratio is not None else None, "aim": aim,
              "unit": unit, "runs": runs, "raw": raw, "machine": machine,
              **(more or {})}
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(figure, file, indent=1)
        file.write("\n")
    os.rename(path + ".new", path)
    if ratio is None:
        verdict = "no ratio"
    else:
        verdict = "ratio %.3f, aim %s: %s" % (ratio, aim, "met" if ratio >= aim else "MISSED")
    say("%s: %s   (%s)\n  -> %s" % (name, verdict, sentence, os.path.relpath(path, ROOT)))
    sys.stdout.flush()
