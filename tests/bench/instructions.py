"""Instructions per query, in user space, counted by callgrind: the one figure that does not depend on what else the machine does.

One program runs under callgrind; for each kind a few queries are asked, then many, and each time the counts are taken and set to
zero. The difference over the difference in queries is what one costs. Of Doline only the worker's thread counts: what the others do
depends on time, not on queries. It is the thread that receives datagrams."""

import csv
import dataclasses
import datetime
import os
import re
import subprocess
import time
from pathlib import Path

import lists
import workloads
from servers import Failure, Server, Upstream

LEDGER = Path(__file__).resolve().parent / "ledger.tsv"
COLUMNS = ("date", "kind", "figure", "unit", "why")
UNIT = "instructions/query"
TOLERANCE = 0.03  # of the check
NOISE = 0.01  # what is less is no change
FEW, MANY = 500, 5500
FORWARDED_PAST = 2.5  # seconds until nothing is left of what was forwarded: Doline looks at each question again after 2

KINDS = {  # names, and how they are asked
    "cached": ("file={cached},order=sequence,expect=address", "--window 64"),
    "blocked": ("file={blocked},order=sequence,expect=blocked", "--window 64"),
    "blocked-new": ("file={blocked_new},order=once,skip={skip},expect=blocked", "--window 64"),
    "forwarded": ("unique=new.example,expect=address", "--window 64"),
    "tcp": ("file={cached},order=sequence,expect=address", "--tcp 64"),
}
PROGRAMS = {  # what is counted: server, kinds, with the log on
    "": ("doline", tuple(KINDS), False),
    "-logged": ("doline", ("cached",), True),
    "-echo": ("echo", ("cached", "tcp"), False),
}


class Missing(Exception):
    """What this machine lacks for the counts."""


class Counted:
    """A server under callgrind."""

    def __init__(self, server):
        self.server, self.taken, self.worker = server, 0, None
        # --fair-sched: no thread waits longer than its turn, whatever else the machine does
        server.start(prefix=("valgrind", "--quiet", "--tool=callgrind", "--separate-threads=yes", "--fair-sched=yes",
                             f"--callgrind-out-file={server.folder}/counts"))

    def take(self):
        """Instructions of each thread since the last time; a number of the thread to the profile and the count."""
        self.taken += 1
        run = subprocess.run(["callgrind_control", "--dump", str(self.server.process.pid)], capture_output=True, text=True, check=False)
        counts = {}
        for path in self.server.folder.glob(f"counts.{self.taken}-*"):
            profile = path.read_text(errors="replace")
            counts[int(path.name.rpartition("-")[2])] = int(re.search(r"^totals: (\d+)", profile, re.MULTILINE)[1])
            if self.worker is None and re.search(r"^c?fn=\(\d+\) recvmmsg$", profile, re.MULTILINE):
                self.worker = int(path.name.rpartition("-")[2])
            path.unlink()
        if not counts:
            raise Missing(f"a callgrind_control that reaches the program ({(run.stdout + run.stderr).strip()})")
        return counts

    def thread(self, counts):
        return sum(counts.values()) if self.server.is_floor else counts[self.worker]


def count(place, log, suffix):
    """Instructions per query of each kind for one of PROGRAMS."""
    name, kinds, _ = PROGRAMS[suffix]
    names = workloads.names_for(place, "20k")
    figures = {}
    with Server(place, name, blocklists=[names["blocklist"]], log=log) as server:
        counted = Counted(server)

        def ask(words, asked):
            words = words.replace("expect=blocked", "expect=address") if server.is_floor else words
            result = workloads.load(place, server.port, f"{words} --sockets 1 --queries {asked} --patience 20000 --seconds 120")
            if result["failed"] or result["received"] != asked:
                raise Failure(f"{name}: {result}")

        for kind in kinds:
            source, way = KINDS[kind]
            if "sequence" in source:  # so that all are known
                ask(f"--window 64 --names {source.format(**names)}", MANY)
                if "expect=address" in source and not server.is_floor:
                    time.sleep(FORWARDED_PAST)
            counted.take()
            totals, skip = [], MANY  # those before were asked for "blocked"
            for asked in (FEW, MANY):
                ask(f"{way} --names {source.format(**names, skip=skip)}", asked)
                skip += asked
                totals.append(counted.thread(counted.take()))
            figures[kind + suffix] = round((totals[1] - totals[0]) / (MANY - FEW))
    return figures


def measure(place, say):
    """All share one core and are batch processes, which do not take it from each other: each does what there is to do and then sleeps,
    so that the server finds the whole window every time it looks."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    place = dataclasses.replace(place, load_core=place.server_core)
    figures = {}
    with Upstream(place):
        for suffix, (name, _, log) in PROGRAMS.items():
            say(f"instructions of {name}{', log on' if log else ''}")
            try:
                figures |= count(place, log, suffix)
            except Failure as failure:
                say(f"once again, since {failure}")
                figures |= count(place, log, suffix)
    return figures


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────


def ledger():
    """The newest figure of each kind."""
    with open(LEDGER, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    newest = {}
    for row in sorted(rows, key=lambda row: row["date"]):  # of one day the later row
        newest[row["kind"]] = int(row["figure"])
    return newest


def record(figures, why):
    """Adds a row for each figure that has changed; gives those."""
    why = " ".join(why.split())
    known = ledger()
    today = datetime.date.today().isoformat()
    changed = {kind: figure for kind, figure in figures.items() if abs(figure - known.get(kind, 0)) > NOISE * known.get(kind, 0)}
    with open(LEDGER, "a", newline="") as file:
        for kind, figure in changed.items():
            file.write("\t".join((today, kind, str(figure), UNIT, why)) + "\n")
    return changed


def judge(figures, known):
    """A word for each kind: "more", "less", "same", or "new" for what the ledger does not have."""
    words = {}
    for kind, figure in figures.items():
        change = figure / known[kind] - 1 if kind in known else None
        words[kind] = "new" if change is None else "more" if change > TOLERANCE else "less" if change < -TOLERANCE else "same"
    return words


def table(figures, known):
    """Lines of Markdown."""
    yield "\nInstructions per query (callgrind, user space, the worker's thread, 64 queries outstanding)\n"
    yield "| kind | now | ledger | change |\n|---|--:|--:|--:|"
    for kind, figure in figures.items():
        change = f"{figure / known[kind] - 1:+.1%}" if kind in known else ""
        yield f"| {kind} | {figure:,} | {known.get(kind, 0):,} | {change} |"
