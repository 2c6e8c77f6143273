"""Doline beside its peers: every round visits every server in another order; ratios are taken within a round."""

import random
from statistics import median

import workloads
from servers import TROUBLE, Server, Upstream, found

PEERS = ("bind9", "dnsdist", "dnsdist-cdb", "dnsmasq", "kresd", "pdns-recursor", "smartdns", "unbound", "unbound-rpz")
LOG_LIST = "100k"  # beside a log the list's size is no matter, and peers start sooner


def measure(place, options, chosen, log, say):
    """Yields one object for each server's start, and one for each round, workload and server; what failed has a `failure`."""
    names = workloads.names_for(place, LOG_LIST if log else options.list_size)
    floors = sorted({floor for name in chosen for floor in workloads.WORKLOADS[name].floors} - {"direct"})
    with Upstream(place) as upstream:
        upstream.name = "direct"
        servers, absent = found(place, [*options.servers, *floors], blocklists=[names["blocklist"]], log=log)
        if absent:
            say(f"left out, not on this machine: {', '.join(absent)}")
        for server in list(servers):
            try:
                took = server.start()
            except TROUBLE as failure:
                say(f"left out: {failure}")
                yield {"part": "start", "server": server.name, "failure": str(failure)}
                servers.remove(server)
                server.stop()
                continue
            say(f"{server.name} runs after {took:.1f} s")
            if not server.is_floor and not log:
                yield {"part": "start", "server": server.name, "list": options.list_size, "seconds": took, "cpu_seconds": server.start_cpu,
                       **server.memory_mib()}
        asked = dict.fromkeys([*servers, upstream], workloads.FREQUENT)  # of the names that a server is asked once
        for turn in range(options.rounds):
            for name in chosen:
                workload = workloads.WORKLOADS[name]
                candidates = [server for server in [*servers, upstream] if not server.is_floor or server.name in workload.floors]
                for server in random.sample(candidates, len(candidates)):
                    words = workloads.words_of(workload, names, options.seconds * (2 if log else 1), asked[server])
                    measurement = {"part": "log" if log else "peers", "workload": name, "server": server.name, "round": turn}
                    try:
                        result = workloads.measure(server, workload, words, names)
                    except TROUBLE as failure:
                        say(f"round {turn + 1} of {options.rounds}, {name}: {failure}")
                        yield measurement | {"failure": str(failure)}
                        continue
                    if "{skip}" in workload.load:
                        asked[server] += result["sent"]
                    say(f"round {turn + 1} of {options.rounds}, {name}, {server.name}: {result['cpu_us']:.2f} µs a query, "
                        f"{result['rate']:,.0f}/s, {result['lost']} lost, {result['wrong']} wrong" + (f", {result['unlogged']} not logged" if result.get("unlogged") else ""))
                    yield measurement | result
        for server in servers:
            server.stop()


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def ratio(rounds, server, other):
    """The median over rounds of the CPU time of one over another's in the same round."""
    theirs = {each["round"]: each["cpu_us"] for each in rounds if each["server"] == other}
    ratios = [each["cpu_us"] / theirs[each["round"]] for each in rounds if each["server"] == server and each["round"] in theirs]
    return median(ratios) if ratios else None


def over_direct(rounds, server, key):
    """By how much a latency is above that of asking the upstream directly in the same round, and that over the relay's; medians."""
    by_round = {}
    for each in rounds:
        by_round.setdefault(each["round"], {})[each["server"]] = each[key]
    above = [(own[server] - own["direct"], own["relay"] - own["direct"]) for own in by_round.values() if {server, "direct", "relay"} <= own.keys()]
    ratios = [mine / relays for mine, relays in above if relays > 0]
    return (median(mine for mine, _ in above) if above else None, median(ratios) if ratios else None)


def best_peer(rounds):
    """The one with the least CPU time that answers rightly."""
    costs = {}
    for name in {each["server"] for each in rounds}.intersection(PEERS):
        own = [each for each in rounds if each["server"] == name]
        if sum(each["failed"] for each in own) <= 0.01 * sum(each["sent"] for each in own):
            costs[name] = median(each["cpu_us"] for each in own)
    return min(costs, key=costs.get, default=None)


def factor(value):
    return "" if value is None else f"{value:.2f}"


def tables(results):
    """Lines of Markdown."""
    failures = [each for each in results if "failure" in each]
    results = [each for each in results if "failure" not in each]
    starts = [each for each in results if each["part"] == "start"]
    if starts:
        yield f"\nStart with a text list of {starts[0]['list']} names, and memory\n"
        yield "| server | until it blocks | CPU | resident MiB | of it anonymous |\n|---|--:|--:|--:|--:|"
        for each in sorted(starts, key=lambda each: each["seconds"]):
            yield f"| {each['server']} | {each['seconds']:.2f} s | {each['cpu_seconds']:.2f} s | {each['resident_mib']:.0f} | {each['anonymous_mib']:.0f} |"
    for name, workload in workloads.WORKLOADS.items():
        rounds = [each for each in results if each.get("workload") == name]
        if not rounds:
            continue
        best = best_peer(rounds)
        yield f"\n{workload.title}\n"
        paced = workload.is_paced()
        floors = [floor for floor in workload.floors if floor != "direct"]
        latencies = ("p50", "p99") if "direct" in workload.floors else ()
        yield ("| server | CPU µs/query |" + "".join(f" x {floor} |" for floor in floors) + " x best peer | q/s |" +
               (" p50 µs | p99 µs |" if paced else "") +
               "".join(f" {key} over direct | x relay |" for key in latencies) + f" lost{', unlogged' if rounds[0]['part'] == 'log' else ''} or wrong |")
        yield "|---|--:|" + "--:|" * (len(floors) + 3 + 2 * paced + 2 * len(latencies))
        medians = {server: {key: median(each[key] for each in rounds if each["server"] == server)
                            for key in ("cpu_us", "rate", "p50", "p99")} for server in {each["server"] for each in rounds}}
        for server, own in sorted(medians.items(), key=lambda item: item[1]["cpu_us"]):
            failed = sum(each["failed"] + each.get("unlogged", 0) for each in rounds if each["server"] == server)
            cells = [server, f"{own['cpu_us']:.2f}", *(factor(ratio(rounds, server, floor)) for floor in floors),
                     factor(ratio(rounds, server, best)), f"{own['rate']:,.0f}"]
            cells += [f"{own['p50']:.0f}", f"{own['p99']:.0f}"] if paced else []
            for key in latencies:
                above, over_relay = over_direct(rounds, server, key)
                cells += ["" if above is None else f"{above:.0f}", factor(over_relay)]
            yield "| " + " | ".join([*cells, f"{failed:,}"]) + " |"
    if failures:
        yield "\nWhat could not be measured\n"
    for each in failures:
        yield f"- {each['server']}, {each.get('workload', 'start')}: {each['failure'].splitlines()[0]}"
