"""Instructions per query, in user space, counted by callgrind: the one figure that does not depend on what else the machine does.

One program runs under callgrind; for each kind a few queries are asked, then many, and each time the counts are taken and set to
zero. The difference over the difference in queries is what one costs. Of Doline only one thread counts: the worker's, which is the
one that receives datagrams, or the log writer's, which is the one that calls SQLite. What the others do depends on time, not on queries."""

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
from servers import TROUBLE, Failure, Server, Upstream

LEDGER = Path(__file__).resolve().parent / "ledger.tsv"
COLUMNS = ("date", "kind", "figure", "unit", "why")
UNIT = "instructions/query"
TOLERANCE = 0.03  # of the check
NOISE = 0.01  # what is less is no change
FORWARDED_PAST = 2.5  # seconds until nothing is left of what was forwarded: Doline looks at each question again after 2
WORKER, WRITER = "recvmmsg", "sqlite3_step"  # what only that thread calls


@dataclasses.dataclass
class Kind:
    names: str  # words of bench_load, with --names
    way: str = "--window 64"
    few: int = 500
    many: int = 5_500
    thread: str = WORKER


KINDS = {
    "cached": Kind("--names file={cached},order=sequence,expect=address"),
    "blocked": Kind("--names file={blocked},order=sequence,expect=blocked"),
    "blocked-new": Kind("--names file={blocked_new},order=once,skip={skip},expect=blocked"),
    "forwarded": Kind("--names unique=new.example,expect=address"),
    "tcp": Kind("--names file={cached},order=sequence,expect=address", "--tcp 64"),
    # The writer commits once a second or 8,192 rows, and gathers commits: many of both.
    "log-writer": Kind(workloads.MIX, few=10_000, many=50_000, thread=WRITER),
}
PROGRAMS = (  # what is counted: server, with the log on, and the ledger's kinds, which are the above's with that at the end
    ("doline", False, "", ("cached", "blocked", "blocked-new", "forwarded", "tcp")),
    ("doline", True, "-logged", ("cached",)),
    ("doline", True, "", ("log-writer",)),
    ("doline-shipped", True, "-shipped", ("cached", "blocked", "forwarded")),
    ("echo", False, "-echo", ("cached", "tcp")),
)


class Missing(Exception):
    """What this machine lacks for the counts."""


class Counted:
    """A server under callgrind."""

    def __init__(self, server):
        self.server, self.taken, self.threads = server, 0, {}
        # --fair-sched: no thread waits longer than its turn, whatever else the machine does
        server.start(prefix=("valgrind", "--quiet", "--tool=callgrind", "--separate-threads=yes", "--fair-sched=yes",
                             f"--callgrind-out-file={server.folder}/counts"))

    def take(self, wanted):
        """Instructions since the last time, of the threads that called the function `wanted` meanwhile, or else before; of all threads of
        a floor."""
        self.taken += 1
        run = subprocess.run(["callgrind_control", "--dump", str(self.server.process.pid)], capture_output=True, text=True, check=False)
        counts, callers = {}, set()
        for path in self.server.folder.glob(f"counts.{self.taken}-*"):
            profile = path.read_text(errors="replace")
            path.unlink()
            thread = path.name.rpartition("-")[2]
            counts[thread] = int(re.search(r"^totals: (\d+)", profile, re.MULTILINE)[1])
            if re.search(rf"^c?fn=\(\d+\) {wanted}$", profile, re.MULTILINE):
                callers.add(thread)
        if not counts:
            raise Missing(f"a callgrind_control that reaches the program ({(run.stdout + run.stderr).strip()})")
        self.threads[wanted] = callers or self.threads.get(wanted, set())
        return sum(count for thread, count in counts.items() if self.server.is_floor or thread in self.threads[wanted])


def count(place, name, log, suffix, kinds):
    """Instructions per query of each kind for one of PROGRAMS."""
    names = workloads.names_for(place, "20k")
    figures = {}
    with Server(place, name, blocklists=[names["blocklist"]], log=log) as server:
        counted = Counted(server)

        def ask(words, asked):
            words = words.replace("expect=blocked", "expect=address") if server.is_floor else words
            result = workloads.load(place, server.port, f"{words} --sockets 1 --queries {asked} --patience 20000 --seconds 120")
            if result["failed"] or result["received"] != asked:
                raise Failure(f"{name}: {result}")

        def ask_all(kind, source):
            """So that all are known."""
            ask(f"--window 64 --names file={names[source]},order=sequence", min(kind.many, 20_000))
            if source == "cached" and not server.is_floor:
                time.sleep(FORWARDED_PAST)

        for each in kinds:
            kind = KINDS[each]
            for source in ("cached", "blocked"):
                if f"{{{source}}}" in kind.names:
                    ask_all(kind, source)
            rows = server.all_logged() if kind.thread == WRITER else 0
            counted.take(kind.thread)
            totals, skip = [], kind.many  # those before were asked for "blocked"
            for asked in (kind.few, kind.many):
                ask(f"{kind.way} --seed {skip} {kind.names.format(**names, skip=skip)}", asked)
                skip += asked
                if kind.thread == WRITER:
                    rows += asked
                    if rows != (logged := server.all_logged()):
                        raise Failure(f"{name} has logged {logged:,} of {rows:,}")
                totals.append(counted.take(kind.thread))
                if not totals[-1]:
                    raise Failure(f"{name}: no thread calls {kind.thread}")
            figures[each + suffix] = round((totals[1] - totals[0]) / (kind.many - kind.few))
    return figures


def measure(place, say):
    """All share one core and are batch processes, which do not take it from each other: each does what there is to do and then sleeps,
    so that the server finds the whole window every time it looks. Gives the figures; a program that twice could not be counted has none."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    place = dataclasses.replace(place, load_core=place.server_core)
    figures = {}
    with Upstream(place):
        for name, log, suffix, kinds in PROGRAMS:
            say(f"instructions of {name}{', log on' if log else ''}: {', '.join(kinds)}")
            for again in (True, False):
                try:
                    figures |= count(place, name, log, suffix, kinds)
                    break
                except TROUBLE as failure:
                    say(f"once again, since {failure}" if again else f"not counted, since {failure}")
    return figures


def expected():
    """All kinds of the ledger that are counted."""
    return [kind + suffix for _, _, suffix, kinds in PROGRAMS for kind in kinds]


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
    yield "\nInstructions per query (callgrind, user space, the worker's thread, 64 queries outstanding; log-writer: the writer's, per row)\n"
    yield "| kind | now | ledger | change |\n|---|--:|--:|--:|"
    for kind, figure in figures.items():
        change = f"{figure / known[kind] - 1:+.1%}" if kind in known else ""
        yield f"| {kind} | {figure:,} | {known.get(kind, 0):,} | {change} |"
