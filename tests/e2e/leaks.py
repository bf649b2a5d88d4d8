#!/usr/bin/python3
"""leaks - finds key material where it must not be: in any file below a folder, in any disguise.

    leaks.found(folder, [(api_key, secret), ...])   # names of files, none when all is well
    leaks.py --secrets FOLDER PATH...               # what stories noted; exit status 1

A secret is looked for as it is, in hexadecimal and in base64, by pieces of 12 characters: whatever
has 23 of its characters in a row is found. SCRIP_SECRETS names the folder in which stories note the
keys that they store, so that what they leave behind can be searched for them.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile

PIECE = 12
# What every private key of its kind begins with: the algorithm's name, and lengths.
SAME_FOR_ALL = 40


def pieces(text):
    """Pieces that grep can take: neither line feeds nor NULs."""
    return {text[i:i + PIECE] for i in range(0, len(text) - PIECE + 1, PIECE)
            if not set(text[i:i + PIECE]) & {0, 10}}


def disguises(raw):
    """Bytes as they are, and as text of digits or letters, wherever these begin."""
    found = pieces(raw) | pieces(raw.hex().encode()) | pieces(raw.hex().upper().encode())
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)[4 if shift else 0:-4]
        found |= pieces(text) | pieces(text.replace(b"+", b"-").replace(b"/", b"_"))
    return found


def needles(api_key, secret):
    """What tells of a key: the API key but for its tail, which may be shown, and the secret."""
    found = disguises(api_key[:-4].encode())
    if not secret.startswith("-----"):
        return found | disguises(secret.encode())
    lines = [line for line in secret.splitlines() if line and not line.startswith("-----")]
    body = "".join(lines)
    is_short = len(body) < 100  # Ed25519: half of it is the secret
    found |= pieces(body[24 if is_short else SAME_FOR_ALL:].encode())
    found |= disguises(base64.b64decode(body)[16 if is_short else SAME_FOR_ALL:])
    for line in lines[1:] or [lines[0][24:]]:
        found |= pieces(line.encode())
    return found


def found(folder, secrets, but=()):
    """Names of files below a folder that have any of it; but: names of files that may."""
    wanted = set()
    for api_key, secret in secrets:
        wanted |= needles(api_key, secret)
    if not wanted:
        return []
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"\n".join(sorted(wanted)) + b"\n")
        file.flush()
        run = subprocess.run(["grep", "-rlaF", "-D", "skip", "-f", file.name, folder],
                             env=dict(os.environ, LC_ALL="C"), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    names = run.stdout.decode("utf-8", "replace").splitlines()
    return [name for name in names if os.path.basename(name) not in but]


def note(api_key, secret):
    """A story stores this key."""
    folder = os.environ.get("SCRIP_SECRETS")
    if not folder:
        return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(os.path.join(folder, str(os.getpid())), "a", encoding="utf-8") as file:
        file.write(json.dumps([api_key, secret]) + "\n")


def noted(folder, process=None):
    """What was noted, by all or by one process."""
    secrets = []
    names = os.listdir(folder) if folder and os.path.isdir(folder) else []
    for name in names:
        if process in (None, int(name)):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                secrets += [tuple(json.loads(line)) for line in file]
    return secrets


def main():
    parser = argparse.ArgumentParser(description="Looks for noted keys in files.")
    parser.add_argument("--secrets", required=True, help="the folder of SCRIP_SECRETS")
    parser.add_argument("paths", nargs="+")
    words = parser.parse_args()
    secrets = noted(words.secrets)
    leaks = [name for path in words.paths if os.path.exists(path)
             for name in found(path, secrets)]
    for name in leaks:
        print("key material in " + name)
    print("%d keys were looked for in %s" % (len(secrets), " ".join(words.paths)))
    sys.exit(1 if leaks else 0)


if __name__ == "__main__":
    main()
