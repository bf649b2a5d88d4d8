#!/usr/bin/python3
"""make - the broken copies of source files that mutants.txt describes.

usage: make.py --list                  NAME FILE of each, a line each
       make.py --check                 whether each fault still finds its lines; says which does not
       make.py NAME OUTPUT             writes the broken copy of the file

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


class Mutant:
    def __init__(self, name, path):
        self.name, self.path = name, path
        self.sentence, self.was, self.now = "", [], []

    def broken(self):
        """The text of the file with the fault in it; ValueError when its place is not found."""
        with open(os.path.join(ROOT, self.path), encoding="utf-8") as file:
            lines = file.read().split("\n")
        bare = [line.strip() for line in lines]
        size = len(self.was)
        at = [i for i in range(len(bare) - size + 1) if bare[i:i + size] == self.was]
        if len(at) != 1:
            raise ValueError("%s: its lines stand %d times in %s" % (self.name, len(at), self.path))
        return "\n".join(lines[:at[0]] + self.now + lines[at[0] + size:])


def read():
    mutants = []
    with open(os.path.join(HERE, "mutants.txt"), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            mark, text = line[:2].strip(), line[2:].strip()
            if line.strip() == "" or mark == "#":
                continue
            if mark == ":":
                mutants[-1].sentence = text
            elif mark == "-":
                mutants[-1].was.append(text)
            elif mark == "+":
                mutants[-1].now.append(text)
            elif len(line.split()) == 2:
                mutants.append(Mutant(*line.split()))
            else:
                sys.exit("mutants.txt:%d: '%s' is no mutant" % (number, line.strip()))
    return mutants


def check(mutants):
    wrong = 0
    for mutant in mutants:
        try:
            mutant.broken()
        except (OSError, ValueError) as why:
            print(why, file=sys.stderr)
            wrong += 1
        if not mutant.sentence or not mutant.was or mutant.was == mutant.now:
            print("%s: says nothing, or breaks nothing" % mutant.name, file=sys.stderr)
            wrong += 1
    if len({mutant.name for mutant in mutants}) != len(mutants):
        print("two mutants have one name", file=sys.stderr)
        wrong += 1
    return 1 if wrong else 0


def main(words):
    mutants = read()
    if words == ["--list"]:
        for mutant in mutants:
            print(mutant.name, mutant.path)
        return 0
    if words == ["--check"]:
        return check(mutants)
    if len(words) != 2:
        sys.exit(__doc__)
    chosen = [mutant for mutant in mutants if mutant.name == words[0]]
    if not chosen:
        sys.exit("make.py: there is no mutant '%s'" % words[0])
    text = chosen[0].broken()
    with open(words[1], "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
