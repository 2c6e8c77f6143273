"""The programs under test: servers/NAME.toml says how each is set up; here they are started, watched and stopped.

A definition:

  program = "unbound"                # looked for in the path; the bench's own tools and Doline where they were built
  role = "floor"                     # optional: answers everything, so what is blocked or right does not concern it
  list_format = "plain"              # plain or one of lists.FORMATS
  command = ["@PROGRAM@", ...]       # must stay in the foreground
  prepare = ["program", ...]         # optional: what makes its own form of the list; it is not measured
  logs = "never"                     # optional: or "always", whatever the variant
  settle = 3                         # optional: seconds until the query log is on disk
  log = "query.db"                   # optional: Doline's query log, whose rows are counted
  [files]
  "unbound.conf" = '''...'''         # written into a folder of its own before the start
  [shipped."doline.yml"]             # optional: the same with a file of the repository
  file = "config/doline.yml"
  replace = [['expression', 'text']] # in this order; each must be found

@PROGRAM@, @FOLDER@, @PORT@, @UPSTREAM@ (a port of 127.0.0.1), @THREADS@, @LIST@ (a file; @LISTS@: all of them, as Doline's YAML),
@ROOT@ (of the repository) and @MORE@ are filled in. A line that begins with ?list, ?nolist, ?log or ?nolog is kept only in that variant.
"""

import atexit
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import lists

DEFINITIONS = Path(__file__).resolve().parent / "servers"


class Failure(Exception):
    """What could not be measured, and why."""


TROUBLE = (Failure, OSError, ValueError, subprocess.SubprocessError, sqlite3.Error)  # ends one measurement, never a run


@dataclass
class Place:
    """Where everything runs: programs, a folder, cores and ports."""
    doline: str
    tools: Path
    folder: Path
    server_core: str
    load_core: str
    port: int
    upstream: int
    realtime: bool = False
    taken: int = 0

    def program(self, name):
        if name == "doline":
            return self.doline
        if name.startswith("bench_"):
            return str(self.tools / name)
        return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")

    def next_port(self):
        """The first port from `port` on that nobody holds, over UDP and TCP."""
        while True:
            port = self.port + self.taken
            self.taken += 1
            if port != self.upstream and is_free(port):
                return port


def is_free(port):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False


# ── one query ────────────────────────────────────────────────────────────────────────────────────────────────────────


def ask(port, name, patience=0.5):
    """"address", "blocked", "rcode N", or None if nothing came."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">HHHHHH", random.randrange(65536), 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(patience)
        try:
            client.connect(("127.0.0.1", port))
            client.send(query)
            response = client.recv(4096)
        except OSError:
            return None
    if len(response) < 12 or response[:2] != query[:2] or not response[2] & 0x80:
        return None
    rcode, answers = response[3] & 15, struct.unpack(">H", response[6:8])[0]
    if rcode == 3 or (rcode == 0 and (answers == 0 or response.endswith(b"\0\4\0\0\0\0"))):
        return "blocked"
    return "address" if rcode == 0 else f"rcode {rcode}"


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def told(path):
    """What a file of /proc says; nothing once that of which it speaks has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def processes(pid):
    """The process and those that it started."""
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        try:
            tasks = os.listdir(f"/proc/{found[-1]}/task")
        except OSError:
            continue  # it ended meanwhile
        for task in tasks:
            waiting += [int(child) for child in told(Path(f"/proc/{found[-1]}/task/{task}/children")).split()]
    return found


def cpu_seconds(pid):
    """Of processes that live, to the nanosecond, with threads that ended; and of children that ended, to the kernel's tick."""
    total = 0
    for process in processes(pid):
        try:
            total += time.clock_gettime(~process << 3 | 2)  # as clock_getcpuclockid(3) makes it
        except OSError:
            continue
        words = told(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
        total += (int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK") if words else 0
    return total


def memory_mib(pid):
    """What is resident, and of that what no file backs."""
    pages = {"VmRSS": 0, "RssAnon": 0}
    for process in processes(pid):
        status = told(Path(f"/proc/{process}/status"))
        for key in pages:
            size = re.search(rf"{key}:\s+(\d+)", status)
            pages[key] += int(size[1]) if size else 0
    return {"resident_mib": pages["VmRSS"] / 1024, "anonymous_mib": pages["RssAnon"] / 1024}


RUNNING = set()
atexit.register(lambda: [server.stop() for server in list(RUNNING)])


class Server:
    """One program in one variant, with a port and a folder of its own."""

    def __init__(self, place, name, blocklists=(), log=False, threads=1, more=""):
        self.place, self.name, self.process, self.start_cpu = place, name, None, None
        self.definition = tomllib.loads((DEFINITIONS / f"{name}.toml").read_text())
        self.log = log or self.definition.get("logs") == "always"
        self.program = place.program(self.definition.get("program", name))
        self.is_floor = self.definition.get("role") == "floor"
        self.settle = self.definition.get("settle", 0.5) if self.log else 0
        self.port = place.next_port()
        self.folder = place.folder / f"{name}-{self.port}"
        self.blocklists = [] if self.is_floor else [Path(path) for path in blocklists]
        self.more, self.threads = more, threads

    def is_there(self):
        needed = [self.program, *(self.place.program(word) for word in self.definition.get("prepare", [])[:1])]
        return all(program and Path(program).exists() for program in needed)

    def fill(self, text):
        kept = []
        is_on = {"list": bool(self.blocklists), "nolist": not self.blocklists, "log": self.log, "nolog": not self.log}
        for line in text.split("\n"):
            mark = re.match(r"\?(\w+) ", line)
            if mark is None:
                kept.append(line)
            elif is_on[mark[1]]:
                kept.append(line[mark.end():])
        words = {"PROGRAM": self.program, "FOLDER": self.folder, "PORT": self.port, "UPSTREAM": self.place.upstream,
                 "THREADS": self.threads, "ROOT": lists.ROOT, "MORE": self.more}
        if self.blocklists:
            words["LIST"] = lists.converted(self.blocklists[0], self.definition["list_format"])
            words["LISTS"] = ", ".join(f'l{i}: {{file: "{path}", format: {"hosts" if "hosts" in path.name else "domains"}}}'
                                       for i, path in enumerate(self.blocklists))
        return re.sub(r"@([A-Z]+)@", lambda mark: str(words[mark[1]]), "\n".join(kept))

    def files(self):
        """The names of the files that are written before the start, and their texts."""
        yield from self.definition.get("files", {}).items()
        for name, shipped in self.definition.get("shipped", {}).items():
            text = (lists.ROOT / shipped["file"]).read_text()
            for expression, words in shipped["replace"]:
                text, count = re.subn(expression, words, text)
                if not count:
                    raise Failure(f"{self.name}: {shipped['file']} has no {expression}")
            yield name, text

    def start(self, again=False, prefix=(), core=None, patience=300, into=None):
        """Starts it and waits until it answers and, with lists, blocks the last name of the last; gives the seconds, and `start_cpu`
        has those of CPU time. `again` keeps the folder, `into` is called in the new process before the program."""
        if not again:
            shutil.rmtree(self.folder, ignore_errors=True)
        for file, text in self.files():
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.fill(text))
        self.folder.mkdir(exist_ok=True)
        if "prepare" in self.definition and not again:
            subprocess.run(list(map(self.fill, self.definition["prepare"])), check=True, timeout=patience, capture_output=True)
        command = ["taskset", "-c", core or self.place.server_core, *prefix, *map(self.fill, self.definition["command"])]
        blocked = lists.last_name(self.blocklists[-1]) if self.blocklists else None
        began = time.monotonic()
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder,
                                            start_new_session=True, preexec_fn=into)
        RUNNING.add(self)
        self.wait_for(blocked, "blocked", began, patience)
        took = time.monotonic() - began
        self.start_cpu = self.cpu_seconds()
        self.wait_for(f"ready.{lists.CACHED_ZONE}", "address", began, patience)
        return took

    def wait_for(self, name, expected, began, patience):
        """Looks each millisecond, and less often once it has waited for seconds, so as not to take the time of what it waits for."""
        while name is not None:
            got = ask(self.port, name)
            if got == expected or (got and self.is_floor):
                return
            if self.process.poll() is not None or time.monotonic() > began + patience:
                raise Failure(f"{self.name} does not answer {name} ({got}):\n{self.last_words()}")
            time.sleep(max(0.001, (time.monotonic() - began) / 1000))

    def stop(self, patience=60):
        if self.process is None:
            return
        RUNNING.discard(self)
        family = processes(self.process.pid)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for pid in family:
                try:
                    os.kill(pid, sign)
                except ProcessLookupError:
                    pass
            try:
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                pass
        self.process = None

    def must_live(self):
        if self.process is None or self.process.poll() is not None:
            raise Failure(f"{self.name} has ended:\n{self.last_words()}")

    def last_words(self):
        return (self.folder / "output").read_text(errors="replace")[-600:]

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def memory_mib(self):
        return memory_mib(self.process.pid)

    def logged(self):
        """How many records are on disk, where that can be told."""
        if not self.log or "log" not in self.definition:
            return None
        with contextlib.closing(sqlite3.connect(f"file:{self.folder / self.definition['log']}?mode=ro", uri=True)) as database:
            return database.execute("SELECT coalesce(sum(rows), 0) FROM segment").fetchone()[0]

    def all_logged(self):
        """How many records are on disk, once no more come."""
        count = None
        while count != (count := self.logged()):
            time.sleep(self.settle)
        return count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Upstream(Server):
    """Whom all ask: the echo, on the load's core."""

    def __init__(self, place):
        super().__init__(place, "echo")
        if not place.upstream:
            place.upstream = self.port
        self.port = place.upstream
        self.start(core=place.load_core)


def found(place, names, **variant):
    """Those of the servers that are on this machine, and the names of those that are not."""
    servers = [Server(place, name, **variant) for name in names]
    servers = [server for server in servers if not (server.log and server.definition.get("logs") == "never")]
    return ([server for server in servers if server.is_there()], [server.name for server in servers if not server.is_there()])
