"""What happened in the demo: told in sentences and a table, and checked.

demo.sh has left in a folder: asked.tsv (what dig got, of each question), log.json and devices.json (what Doline says), what the
kernel counted, and texts for people. Every claim printed here is checked against at least two of these; one that is not true is
named, and the exit code is 1.
"""

import json
import sys
from collections import namedtuple
from pathlib import Path

folder, camera_mac, lie4, lie6, truth4, truth6 = sys.argv[1:]
folder = Path(folder)
Ask = namedtuple("Ask", "when device server name type over status answers source")

FOREIGN = {"114.114.114.114": ("114DNS", "CN"), "2400:3200::1": ("AliDNS", "CN"), "8.8.8.8": ("Google", "US"),
           "2620:fe::fe": ("Quad9", "CH")}
lie, truth, nothing = {"A": lie4, "AAAA": lie6}, {"A": truth4, "AAAA": truth6}, {"A": "0.0.0.0", "AAAA": "::"}
asked = [Ask(*line.split("\t")) for line in (folder / "asked.tsv").read_text().splitlines()]
log = [json.loads(line) for line in (folder / "log.json").read_text().splitlines()]
devices = {line["device"]: line for line in map(json.loads, (folder / "devices.json").read_text().splitlines())}
DEVICE = {"camera": "wyze-base", "phone": "phone", "tv": "tv"}
false = []


def number(name):
    return int((folder / name).read_text() or -1)


def during(when, *places):
    return [ask for ask in asked if ask.when == when and (not places or ask.device in places)]


def row_of(ask):
    """The one row of Doline's log about this question; None where there is none or more than one."""
    meant = ask.server if ask.server in FOREIGN else None
    rows = [row for row in log if (row["device"], row["original_destination"], row["qname"].rstrip("."), row["qtype"],
                                   row["transport"].upper()) == (DEVICE[ask.device], meant, ask.name, ask.type, ask.over)]
    return rows[0] if len(rows) == 1 else None


def claim(sentence, holds, why=""):
    if holds:
        print(f"  ✓ {sentence}")
    else:
        print(f"  ✗ NOT TRUE: {sentence} {why}")
        false.append(sentence)


def table(titles, rows):
    widths = [max(len(str(cell)) for cell in column) for column in zip(titles, *rows)]
    for row in (titles, *rows):
        print("  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def indented(name):
    for line in (folder / name).read_text().splitlines():
        print("  " + line)


def is_blocked(ask):
    return ask.device == "camera" and ask.name == telemetry


caught, own = during("with", "camera", "tv"), during("with", "phone")
telemetry = next(ask.name for ask in own)
blocked = [ask for ask in caught if is_blocked(ask)]

print(f"""
A home of network namespaces: a camera base station ({camera_mac}) that was built to ask 114.114.114.114 and 2400:3200::1 whatever
the router says, a phone that asks the router, a television in a second network that asks 8.8.8.8, and the router itself.
On its Internet, the foreign resolvers answer every question with {lie4} or {lie6}; so it shows who was asked.

As it was, without Doline:""")
before = during("before")
claim(f"each of {len(before)} questions got the foreign resolver's answer; {number('foreign.before')} packets came to the foreign resolvers",
      all(ask.answers == lie[ask.type] for ask in before) and number("foreign.before") >= 2 * 4 + 8,
      [ask for ask in before if ask.answers != lie[ask.type]])

print("\nWith Doline on the router, after `doline redirect apply`; nothing was changed on the devices:\n")


def verdict_of(ask):
    row = row_of(ask) or {}
    if row.get("verdict") != "forward":
        return f"{row.get('verdict', '?')} ({Path(row.get('rule') or '?').name})"
    return "forward, " + (f"to {row['upstream'].removesuffix(':53')}" if row["upstream"] else "from the cache")


table(("WHO", "ASKED", "OVER", "FOR", "GOT", "FROM", "VERDICT"),
      [(DEVICE[ask.device], ask.server, ask.over, f"{ask.name} {ask.type}", ask.answers, ask.source, verdict_of(ask))
       for ask in during("with")])
print()

claim("the camera and the television got every answer from the very address they had asked (so they believe it)",
      all(ask.source == ask.server for ask in caught) and number("as_asked.with") > 0 and number("otherwise.with") == 0,
      f"the kernel counted {number('otherwise.with')} packets from others; " +
      str([ask for ask in caught if ask.source != ask.server]))
claim("no foreign resolver saw a single packet", number("foreign.with") == 0, f"{number('foreign.with')} packets came to them")
claim(f"the trusted upstream was asked instead ({number('trusted.with')} packets came to it), and its answers are what the devices got",
      number("trusted.with") > 0 and all(ask.answers == truth[ask.type] for ask in caught + own if not is_blocked(ask)),
      [ask for ask in caught + own if not is_blocked(ask) and ask.answers != truth[ask.type]])
claim(f"{telemetry} was blocked for the camera, by the rule for its group and the list that names it",
      all(ask.answers == nothing[ask.type] for ask in blocked) and
      all((row_of(ask) or {}).get("verdict") == "block" and row_of(ask)["lists"] == ["telemetry"] for ask in blocked), blocked)
claim(f"{telemetry} was answered to the phone", all(ask.answers == truth[ask.type] for ask in own if ask.name == telemetry), own)
unlogged = [ask for ask in caught + own if row_of(ask) is None]
claim(f"the log has each of these {len(caught + own)} questions once, with device and whom it was meant for; the phone's were meant for us",
      not unlogged, unlogged)
claim("the log knows the foreign resolvers: " + ", ".join(f"{address} is {name} ({country})" for address, (name, country) in
                                                          FOREIGN.items() if ":" not in address),
      all(((row_of(ask) or {}).get("known_as") or {}).get("operator") == FOREIGN[ask.server][0] for ask in caught),
      {ask.server: (row_of(ask) or {}).get("known_as") for ask in caught})
base = devices.get("wyze-base", {})
claim("`doline devices` has the camera with its MAC, both addresses, and the two resolvers it meant to ask",
      base.get("mac") == camera_mac and {"192.168.50.31", "2001:db8:50::31"} <= set(base.get("addresses", [])) and
      {meant["address"] for meant in base.get("meant_to_ask", [])} == {"114.114.114.114", "2400:3200::1"}, base)
after = during("after")
left = folder / "left"
claim("Doline was then killed (kill -9): its rules are gone, the camera's questions go their old way, nobody at home is cut off",
      not left.exists() and all(ask.answers == lie[ask.type] for ask in after), left.read_text() if left.exists() else after)

print("\n$ doline devices")
indented("devices.txt")
print(f"\n$ doline explain wyze-base {telemetry}")
indented("explain.txt")
if false:
    print(f"\nThe demo failed: {len(false)} of its claims are not true.")
    sys.exit(1)
print("""
The same at home, on the machine that routes for your network:
  ./run                                          serve DNS; changes nothing in the firewall
  build/release/doline redirect plan             what interception would do; `redirect apply` does it, `redirect remove` undoes it
  build/release/doline log --follow              every question as it comes: who, meant for whom, what was answered and why
  build/release/doline log --intercepted         only those that were meant for somebody else
  build/release/doline devices                   every device, and the foreign resolvers it meant to ask""")
