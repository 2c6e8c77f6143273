"""The workloads: what is asked, how, and beside which floors; and the one way in which a workload is measured."""

import json
import subprocess
import time
from dataclasses import dataclass

import lists
from servers import Failure, processes

CACHED = "--names file={cached},order=zipf:0.9,expect=address"
BLOCKED = "--names file={blocked},order=zipf:0.9,expect=blocked"
NEW = "--names unique=new.example,expect=address"
FREQUENT = 20_000  # of the blocked names; they are the first of those that are asked once
MIX = f"{CACHED},weight=60 {BLOCKED},weight=25 {NEW},weight=15"


@dataclass
class Workload:
    title: str
    load: str  # words for bench_load
    warm: tuple = ()  # names that are asked before, so that nobody forwards them meanwhile
    floors: tuple = ("echo",)  # what it is measured beside; "direct" is the upstream itself

    def is_paced(self):
        return "--rate" in self.load


WORKLOADS = {
    "cached": Workload("cached: 10,000 names, Zipf 0.9", f"--window 128 {CACHED}", ("cached",)),
    "cached-5k": Workload("cached, at 5,000 a second", f"--rate 5000 {CACHED}", ("cached",)),
    "blocked": Workload("blocked: 20,000 names asked again and again, Zipf 0.9", f"--window 128 {BLOCKED}", ("blocked",)),
    "blocked-new": Workload("blocked: a new name each time",
                            "--window 128 --names file={blocked_new},order=once,skip={skip},expect=blocked"),
    "forwarded": Workload("forwarded: a new name each time", f"--window 128 {NEW}", floors=("echo", "relay")),
    "forwarded-5k": Workload("forwarded, at 5,000 a second", f"--rate 5000 {NEW}", floors=("relay", "direct")),
    "tcp": Workload("TCP, cached: 100 connections", f"--tcp 100 {CACHED}", ("cached",)),
    "tcp-1000": Workload("TCP, cached: 1,000 connections", f"--tcp 1000 {CACHED}", ("cached",)),
    "tcp-new": Workload("TCP, cached: a new connection for each query", f"--tcp 16 --reconnect {CACHED}", ("cached",)),
    "mixed": Workload("60 % cached, 25 % blocked, 15 % forwarded; every record is logged to disk",
                      f"--window 128 {MIX}", ("cached", "blocked"), floors=("echo", "relay")),
}


def names_for(place, size):
    """The files that a workload's words name."""
    blocklist = lists.made(place.folder, size)
    return {"cached": lists.cached(place.folder), "blocked": lists.shuffled(blocklist, FREQUENT),
            "blocked_new": lists.shuffled(blocklist), "blocklist": blocklist}


def load(place, port, words, paced=False):
    """What bench_load prints, and how many queries `failed`."""
    command = ["taskset", "-c", place.load_core, *(["chrt", "--rr", "1"] if paced and place.realtime else []),
               place.program("bench_load"), "--port", str(port), *words.split()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode:
        raise Failure(f"{' '.join(command)}: {run.stderr.strip()}")
    result = json.loads(run.stdout)
    result["failed"] = result["lost"] + result["wrong"] + result["stray"]
    return result


def run_realtime(pids, is_on):
    for pid in pids:
        subprocess.run(["chrt", "--all-tasks", *(["--rr", "--pid", "1"] if is_on else ["--other", "--pid", "0"]), str(pid)],
                       capture_output=True, check=False)


def measure(server, workload, words, names):
    """One workload against one server that runs: what bench_load says, and `cpu_us`, CPU time of the server's processes per query that
    was answered, in microseconds; where records can be counted, `unlogged` are those that are missing after the server has settled."""
    place = server.place
    server.must_live()
    if server.is_floor:
        words = words.replace("expect=blocked", "expect=address")
    for kind in workload.warm if not server.is_floor else ():
        load(place, server.port, f"--window 64 --seconds 30 --names file={names[kind]},order=once")
    time.sleep(server.settle)
    pids = processes(server.process.pid)
    paced = workload.is_paced() and place.realtime
    if paced:
        run_realtime(pids, True)
    logged, before = server.logged(), server.cpu_seconds()
    result = load(place, server.port, words, workload.is_paced())
    time.sleep(server.settle)
    server.must_live()
    cpu = server.cpu_seconds() - before
    if paced:
        run_realtime(pids, False)
    if not result["received"]:
        raise Failure(f"{server.name} answered nothing: {result}")
    if logged is not None:
        result["unlogged"] = result["received"] - (server.logged() - logged)
    return result | {"cpu_us": cpu * 1e6 / result["received"], "utilisation": cpu / result["seconds"]}


def words_of(workload, names, seconds, skip):
    """Words of bench_load; `skip` names of those that are asked once were asked before."""
    return workload.load.format(**names, skip=skip) + f" --seconds {seconds} --seed {time.time_ns() % 10**9}"
