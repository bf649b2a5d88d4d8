"""apart - a corner of the machine for one story: a network and a mount table of its own.

The story runs itself again under unshare(1), as root: its loopback is nobody else's, what it mounts
nobody else sees, and the kernel takes both away with the last process, however that ends. Where
that is not allowed, go() says SKIPPED, and why.

SPDX-License-Identifier: Apache-2.0
"""
import os
import shutil
import subprocess
import sys

MARK = "STORM_APART"
SKIPPED = 77
LOCAL_RULE = 100  # where the table of local addresses moves, so that rules may stand before it
CUT_RULE = 50


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False)


def is_apart():
    return os.environ.get(MARK) == "1"


def why_not():
    """What keeps this machine from it, in words; None when nothing does."""
    if os.geteuid() != 0:
        return "only root may make network and mount namespaces"
    for program in ("unshare", "ip"):
        if shutil.which(program) is None:
            return "there is no %s(1)" % program
    tried = run("unshare", "--net", "--mount", "sh", "-ec", "ip link set lo up; "
                "ip rule add pref 50 ipproto tcp dport 7 blackhole; mount -t tmpfs none /mnt")
    return None if tried.returncode == 0 else "unshare: " + tried.stderr.strip()


def go(needed=True):
    """Runs this program again, apart; returns in there. Without leave: exits with 77 when that is
    needed, returns False otherwise."""
    if is_apart():
        open_network()
        return True
    reason = why_not()
    if reason is None:
        sys.stdout.flush()
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--", sys.executable] + sys.argv)
    print("SKIPPED: no namespaces here: " + reason, flush=True)
    if needed:
        sys.exit(SKIPPED)
    return False


def must(*words):
    done = run(*words)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(words), done.stderr.strip()))


def open_network():
    must("ip", "link", "set", "lo", "up")
    must("ip", "rule", "add", "pref", str(LOCAL_RULE), "lookup", "local")
    must("ip", "rule", "del", "pref", "0")


class Cut:
    """No packet to or from these TCP ports passes, until heal()."""

    def __init__(self, *ports):
        self.ports = ports
        self.change("add")

    def change(self, verb):
        for port in self.ports:
            for side in ("dport", "sport"):
                must("ip", "rule", verb, "pref", str(CUT_RULE), "ipproto", "tcp", side, str(port),
                     "blackhole")

    def heal(self):
        self.change("del")


class SmallDisk:
    """A tmpfs of so many megabytes at `path`, which can be filled to the last byte and freed."""

    def __init__(self, path, megabytes):
        self.path = path
        self.filler = os.path.join(path, "filler")
        os.makedirs(path, exist_ok=True)
        must("mount", "-t", "tmpfs", "-o", "size=%dm,mode=0711" % megabytes, "none", path)

    def fill(self):
        block = b"\0" * 65536
        with open(self.filler, "wb", buffering=0) as file:
            while block:
                try:
                    file.write(block)
                except OSError:  # no space left: smaller steps, down to the last byte
                    block = block[:len(block) // 2]

    def free(self):
        os.unlink(self.filler)

    def end(self):
        run("umount", "-l", self.path)
