# SPDX-License-Identifier: BSL-1.0
"""Runs the programs of the race against their server, and what can be counted about them."""
import os
import pathlib
import re
import subprocess
import urllib.request

OUT = pathlib.Path("build/race").resolve()
PORTS = ("plain", "tls", "full")  # as tiny_server prints them; `full` gives no tickets


class Server:
    """tiny_server on the first core."""

    def __init__(self):
        command = ["taskset", "-c", "0", OUT / "tiny_server", OUT / "files", OUT / "server.pem", OUT / "server.key"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.ports = dict(zip(PORTS, self.process.stdout.readline().split()))
        self.address = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def url(self, port, path):
        """Of another of its addresses each time; see tiny_server."""
        self.address = self.address % 16 + 1
        return f"{'http' if port == 'plain' else 'https'}://127.0.0.{self.address}:{self.ports[port]}{path}"

    def handshakes(self):
        """How many were resumed, of how many, since the server began."""
        with urllib.request.urlopen(self.url("plain", "/resumed")) as answer:
            return [int(number) for number in answer.read().split()]


def run(command, body, authority="server", prefix=()):
    """One run of a client on the second core: what it prints as a dictionary, and what `prefix` writes to stderr."""
    environment = os.environ | {"RACE_BODY": str(OUT / "files" / body), "RACE_CA": str(OUT / f"{authority}-ca.pem")}
    done = subprocess.run(["taskset", "-c", "1", *prefix, *map(str, command)], env=environment, text=True, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    line = re.search(r"^client=.*$", done.stdout, re.MULTILINE)
    if not line:
        return {"wrong": "all"}, done.stderr
    return dict(pair.split("=", 1) for pair in line.group().split()), done.stderr


def slope(count, lengths):
    """What one request adds to `count(requests)`."""
    short, long = lengths
    a, b = count(short), count(long)
    return None if a is None or b is None else (b - a) / (long - short)


def counted(command, body, prefix, pattern):
    answer, stderr = run(command, body, prefix=prefix)
    if answer["wrong"] != "0":
        raise SystemExit(f"{' '.join(map(str, command))}: {answer['wrong']} wrong answers\n{stderr}")
    found = re.search(pattern, stderr, re.MULTILINE)
    return int(found.group(1)) if found else None


def instructions(command, body):
    """User instructions of the whole run."""
    return counted(command, body, ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"), r"Collected : (\d+)")


def can_perf():
    try:
        return subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def syscalls(command, body, perf=can_perf()):
    """System calls of the whole run; by strace, which slows it, where perf may not count them."""
    if perf:
        return counted(command, body, ("perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter"), r"^(\d+),,raw_syscalls")
    return counted(command, body, ("strace", "-f", "-c", "-q"), r"^100\.00\s+\S+\s+\S+\s+(\d+)")
