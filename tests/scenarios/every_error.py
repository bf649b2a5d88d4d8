#!/usr/bin/env python3
"""Every row of errors.def is provoked somewhere: by a story, or where told-elsewhere.txt says.

  every_error.py SOURCE_DIR

Fails for a row that nothing provokes, for one that the list says is provoked by a test that does
not mention it, and for a listed row that a story tells after all.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import sys


def rows(source):
    text = (source / "common/tbl/errors.def").read_text()
    return re.findall(r"^ERROR\((\w+),", text, re.M)


def told_by_stories(source):
    """Names that stand behind error= in an answer, or as a word of their own in one."""
    told = set()
    for story in (source / "tests/scenarios").glob("*/*.scn"):
        in_answers = False
        for line in story.read_text().splitlines():
            if line == "----":
                in_answers = True
            elif not line:
                in_answers = False
            elif in_answers:
                told.update(re.findall(r"(?:^|[ =])([A-Z][A-Z_]{3,})(?=$|[ }])", line))
    return told


def listed(source):
    """NAME PATH [PATH...], or NAME until PART."""
    out = {}
    for line in (source / "tests/scenarios/told-elsewhere.txt").read_text().splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            out[words[0]] = words[1:]
    return out


def mentions(path, name):
    return path.is_file() and re.search(rf"(?<![A-Z_]){name}(?![A-Z_])",
                                        path.read_text().replace("ERR_", ""))


def main():
    source = pathlib.Path(sys.argv[1])
    names, told, elsewhere = rows(source), told_by_stories(source), listed(source)
    wrong = []
    for name in names:
        places = elsewhere.get(name)
        if name in told and places:
            wrong.append(f"{name}: a story tells it; take it off the list")
        elif name not in told and not places:
            wrong.append(f"{name}: no story tells it and the list does not say what does")
        elif places and places[0] == "until":
            if len(places) < 2:
                wrong.append(f"{name}: the list does not say what it waits for")
            else:
                print(f"provoked by nothing yet: {name}, until {' '.join(places[1:])}")
        elif places:
            wrong += [f"{name}: {place} does not mention it" for place in places
                      if not mentions(source / place, name)]
    wrong += [f"{name}: listed, and no row of errors.def" for name in elsewhere
              if name not in names]
    print("\n".join(wrong) if wrong else f"{len(names)} errors, every one accounted for")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
