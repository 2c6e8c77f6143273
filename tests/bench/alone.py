"""Doline alone: what grows with names, devices, workers and lists, and what a change of the lists costs those who ask meanwhile.

Each function is one measurement and yields objects of `what`, `figure`, `unit` and, where it needs one, a `note`."""

import contextlib
import errno
import os
import resource
import shutil
import threading
import time
from pathlib import Path
from statistics import median

import lists
import workloads
from servers import TROUBLE, Failure, Server, Upstream, ask

SMALL = 128 << 20  # octets
SWAPS = 5


def figure(what, value, unit, note=""):
    return {"what": what, "figure": value, "unit": unit, "note": note}


def result_of(server, words, names):
    """What workloads.measure says; a lost or wrong response is a failure."""
    result = workloads.measure(server, workloads.Workload("", words), words.format(**names), names)
    if result["failed"]:
        raise Failure(f"{words}: {result['lost']} lost, {result['wrong']} wrong, {result['stray']} stray")
    return result


def cpu_of(server, words, names):
    """CPU microseconds per query."""
    return result_of(server, words, names)["cpu_us"]


def warm(server, names):
    workloads.load(server.place, server.port, f"--window 64 --seconds 30 --names file={names['cached']},order=once")


# ── scale ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def growth(place, options, names, say):
    """Is the millionth new name as cheap as the first 10,000?"""
    words = f"--window 128 --queries 10000 {workloads.NEW}"
    first = []
    for _ in range(3):
        with Server(place, "doline") as server:
            server.start()
            first.append(cpu_of(server, words, names))
            if len(first) < 3:
                continue
            say("a million names")
            cpu_of(server, f"--window 128 --queries 980000 --seconds 300 --seed 2 {workloads.NEW}", names)
            later = [cpu_of(server, f"{words} --seed {seed}", names) for seed in (3, 4, 5)]
            memory = server.memory_mib()["resident_mib"]
    yield figure("forwarded, first 10,000 names", median(first), "µs CPU/query")
    yield figure("forwarded, after a million names", median(later), "µs CPU/query", f"x {median(later) / median(first):.2f}")
    yield figure("resident after a million names", memory, "MiB", "cache: 256 MiB")


def devices(place, options, names, say):
    """Does a query cost more where more devices are known? Who asks is one of them."""
    def roster(count):
        entries = [f'd{i}: {{mac: "02:00:00:00:{i >> 8:02x}:{i & 255:02x}", address: 10.0.{i >> 8}.{i & 255}}}' for i in range(1, count)]
        return "devices: {" + ", ".join(["asking: {address: 127.0.0.1}", *entries][:count]) + "}"

    with contextlib.ExitStack() as stack:
        servers = {count: stack.enter_context(Server(place, "doline", more=roster(count))) for count in (0, 10, 1000)}
        for server in servers.values():
            server.start()
            warm(server, names)
        costs = {count: [] for count in servers}
        for _ in range(options.rounds):
            for count, server in servers.items():
                costs[count].append(cpu_of(server, f"--window 128 --seconds {options.seconds} {workloads.CACHED}", names))
    for count, own in costs.items():
        ratios = [cost / none for cost, none in zip(own, costs[0])]
        yield figure(f"cached, {count:,} devices", median(own), "µs CPU/query", f"x {median(ratios):.2f}" if count else "")


def workers(place, options, names, say):
    """What two workers answer and what a query costs them, over one; they may use both cores, of which the load takes its part."""
    costs, rates = {}, {}
    with contextlib.ExitStack() as stack:
        servers = {count: stack.enter_context(Server(place, "doline", threads=count)) for count in (1, 2)}
        for server in servers.values():
            server.start(core=f"{place.server_core},{place.load_core}")
            warm(server, names)
            warm(server, names)
        for _ in range(options.rounds):
            for count, server in servers.items():
                words = f"--window 256 --sockets 32 --seconds {options.seconds} {workloads.CACHED}"
                result = result_of(server, words, names)
                costs.setdefault(count, []).append(result["cpu_us"])
                rates.setdefault(count, []).append(result["rate"])
    room = f"servers and load share {len({*place.server_core.split(','), *place.load_core.split(',')})} of {os.cpu_count()} cores"
    for what, unit, own in (("cost", "µs CPU/query", costs), ("throughput", "queries/s", rates)):
        ratios = [two / one for one, two in zip(own[1], own[2])]
        yield figure(f"cached, one worker: {what}", median(own[1]), unit)
        yield figure(f"cached, two workers: {what}", median(own[2]), unit, f"x {median(ratios):.2f}; {room}")


def swap(place, options, names, say):
    """New lists come into force while 5,000 a second are asked: what is lost, and who waits, beside the same runs without one. The lists
    are written before each run, since that costs the load's core more than the change costs the server's."""
    blocklist = place.folder / "swapped.txt"
    shutil.copy(names["blocklist"], blocklist)
    words = f"--rate 5000 --seconds 8 {workloads.CACHED}".format(**names)
    swapped, results = [], {"without": [], "with": []}
    with Server(place, "doline", blocklists=[blocklist]) as server:
        server.start()
        warm(server, names)
        for each in range(SWAPS):
            say(f"a new list under load, {each + 1} of {SWAPS}")
            results["without"].append(workloads.load(place, server.port, words, paced=True))
            added = f"swapped-{each}.in.example"
            new = blocklist.with_suffix(".new")
            new.write_text(f"{blocklist.read_text()}{added}\n")

            def change(new=new, added=added):
                time.sleep(1)
                began = time.monotonic()
                new.rename(blocklist)
                while time.monotonic() < began + 30 and ask(server.port, added) != "blocked":
                    time.sleep(0.02)
                swapped.append(time.monotonic() - began)

            changing = threading.Thread(target=change)
            changing.start()
            results["with"].append(workloads.load(place, server.port, words, paced=True))
            changing.join()
    if max(swapped) > 7:
        raise Failure(f"a new list was in force only after {max(swapped):.1f} s")
    yield figure(f"a new list of {options.list_size} names in force", median(swapped), "s", "after the file was changed")
    for kind, runs in results.items():
        sent, failed = (sum(run[what] for run in runs) for what in ("sent", "failed"))
        yield figure(f"lost or wrong of {sent:,}, {kind} the change", failed, "queries")
        yield figure(f"p999 {kind} the change", median(run["p999"] for run in runs), "µs")


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def come_to_rest(server, names, listed=None):
    """What the start needed is given back, and what a home's queries need is there: of the list `listed` all."""
    time.sleep(2)
    asked = [f"--queries 1000 --names file={names['cached']}"]
    if listed:
        asked.append(f"--queries 200000 --names file={listed},expect=blocked")
    for words in asked:
        workloads.load(server.place, server.port, f"--window 8 --seconds 20 {words}")


def sizes(place, options, names, say):
    """Text lists to serving, the next start, and memory: without a list, with made ones, and with all real ones."""
    with Server(place, "doline") as server:
        server.start()
        come_to_rest(server, names)
        yield figure("resident, no list", server.memory_mib()["resident_mib"], "MiB", anonymous(server))
    chosen = {f"{size} names": [lists.made(place.folder, size)] for size in options.sizes.split(",")}
    real = lists.real(place.folder / "real")
    if real:
        chosen[f"{len(real)} real lists"] = real
    else:
        say("no shared/data/lists: without the real lists")
    for label, files in chosen.items():
        say(f"starts with {label}")
        with Server(place, "doline", blocklists=files) as server:
            yield figure(f"text to serving, {label}", server.start(), "s")
            yield figure(f"text to serving, {label}: CPU", server.start_cpu, "s", "of all threads, until the first blocked response")
            come_to_rest(server, names, files[0] if len(files) == 1 else None)
            yield figure(f"resident, {label}", server.memory_mib()["resident_mib"], "MiB", anonymous(server))
            again = []
            for _ in range(5):
                server.stop()
                again.append(server.start(again=True) * 1000)
            yield figure(f"restart to blocking, {label}", median(again), "ms", f"compiled before; {min(again):.1f} to {max(again):.1f} in 5")


def anonymous(server):
    return f"{server.memory_mib()['anonymous_mib']:.1f} MiB anonymous"


@contextlib.contextmanager
def small_room():
    """A limit of memory, as a function to call in the new process, its name, and a function that gives the most that was used in MiB."""
    for root, procs, limit, peak in (("/sys/fs/cgroup/memory", "tasks", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
                                     ("/sys/fs/cgroup", "cgroup.procs", "memory.max", "memory.peak")):
        group = Path(root) / f"doline-bench-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(SMALL))
        except OSError as problem:
            if problem.errno != errno.EEXIST and group.exists():
                group.rmdir()
            continue
        try:
            yield (lambda: (group / procs).write_text(str(os.getpid())), "a cgroup of 128 MiB",
                   lambda: int((group / peak).read_text()) / 2**20 if (group / peak).exists() else None)
        finally:
            for _ in range(100):
                try:
                    group.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)  # the last process has not gone yet
        return
    yield (lambda: resource.setrlimit(resource.RLIMIT_DATA, (SMALL, SMALL)), "a resource limit of 128 MiB of data (no cgroup may be made)",
           lambda: None)


def small(place, options, names, say):
    """One core and 128 MiB, with all lists that there are."""
    files = lists.real(place.folder / "real") or [lists.made(place.folder, "1M")]
    with small_room() as (enter, room, most), Server(place, "doline", blocklists=files) as server:
        say(f"in {room}")
        yield figure("in 128 MiB: text to serving", server.start(into=enter), "s",
                     f"{server.start_cpu:.2f} s CPU; {room}, one core; {len(files)} lists")
        warm(server, names)
        words = f"--window 128 --seconds {options.seconds} {workloads.CACHED}"
        yield figure("in 128 MiB: cached", cpu_of(server, words, names), "µs CPU/query")
        yield figure("in 128 MiB: resident", server.memory_mib()["resident_mib"], "MiB", anonymous(server))
        if most() is not None:
            yield figure("in 128 MiB: most that was charged", most(), "MiB", "files read count until they are evicted")
        server.stop()
        yield figure("in 128 MiB: restart to blocking", server.start(again=True, into=enter) * 1000, "ms")
        server.stop()


PARTS = {"scale": (growth, devices, workers, swap), "lists": (sizes, small)}


def measure(place, options, part, say):
    names = workloads.names_for(place, options.list_size)
    with Upstream(place):
        for measurement in PARTS[part]:
            say(measurement.__doc__.splitlines()[0])
            try:
                for each in measurement(place, options, names, say):
                    yield {"part": part} | each
            except TROUBLE as failure:
                say(f"{measurement.__name__}: {failure}")
                yield {"part": part} | figure(measurement.__name__, None, "", str(failure).splitlines()[0])


def table(results):
    """Lines of Markdown."""
    yield "\n| Doline | figure | | |\n|---|--:|---|---|"
    for each in results:
        value = each["figure"]
        text = "failed" if value is None else f"{value:,.2f}" if value < 100 and value != int(value) else f"{value:,.0f}"
        yield f"| {each['what']} | {text} | {each['unit']} | {each['note']} |"
