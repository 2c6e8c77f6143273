#!/usr/bin/env python3
"""The published lists beside the project, read by the program as people give them to it, packed ones too: how many names each
has, beside what its folder's README counts. Where the two differ, DIFFERENT says why. `real_lists_test.py DOLINE`
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from program_test import DOLINE, PROJECT, SKIPPED, free_port, wait_for

DATA = PROJECT.parent / "shared/data"
# What is no list of ours to read: DNS stamps, zones of named.conf
PASSED_OVER = (".md", ".md.xz", "bind-online.conf")
# file: names that Doline has, and why not as many as the README counts
DIFFERENT = {
    "adblock/adguard-dns-filter-2019.txt.xz": (27_255, "names under modifiers and exceptions are names of rules; the README leaves them out"),
    "adblock/easylist-network-2019.txt.xz": (919, "likewise, and most lines are about pages and paths"),
    "adblock/perflyst-smarttv-agh.txt": (156, "likewise; line 194 is no name"),
    "allow/hagezi-whitelist.txt": (2_032, "names below which `*.` allows are counted"),
    "hosts/goodbyeads.hosts.xz": (123_802, "the last line is prose, of which the README counts three words"),
    "rpz/knot-policy.test.rpz": (9, "names of all actions are counted"),
    "rpz/powerdns-basic.rpz": (9, "a trigger on an address is a rule, not a name"),
}
# Of these only the addresses count, or the expressions: rules, and why not as many
RULES = {
    "encrypted-dns/crypt0rr-ipv4.list": 179,
    "encrypted-dns/crypt0rr-ipv6.list": 157,  # four are there twice
    "encrypted-dns/dibdot-doh-ipv4.txt": 1_975,
    "encrypted-dns/dibdot-doh-ipv6.txt": 1_340,  # sixteen are there twice
    "encrypted-dns/trickest-resolvers.txt.xz": 12_939,
    "regex/perflyst-regex.list": 14,  # the other half is comments
    "same-list-many-formats/urlhaus-2021-08-22/urlhaus-filter-dnscrypt-blocked-ips-online.txt": 4_862,  # without six comments
    "same-list-many-formats/urlhaus-2021-08-22/urlhaus-filter-ag-online.txt.xz": 0,  # about whole pages ($all): nothing for DNS
}


def counted():
    """file: names, as the README says it."""
    found = {}
    for line in (DATA / "README.md").read_text().splitlines():
        row = re.match(r"\| `lists/([^`]+)` \|.*?\| ([\d,]+) names", line)
        if row:
            found[row[1]] = int(row[2].replace(",", ""))
    return found


class RealLists(unittest.TestCase):
    def test_every_list_has_the_names_that_were_counted(self):
        files = sorted(file for file in (DATA / "lists").rglob("*") if file.is_file() and not file.name.endswith(PASSED_OVER))
        folder = Path(tempfile.mkdtemp(prefix="doline-lab-"))
        self.addCleanup(shutil.rmtree, folder)
        config = folder / "doline.yml"
        config.write_text(f'listen: ["127.0.0.1:{free_port()}"]\nworkers: 1\nupstreams: {{default: {{servers: [127.0.0.1]}}}}\n'
                          f'redirect: {{mode: "off"}}\nquerylog: {{path: "off"}}\nstate: {folder}/state\nlists:\n'
                          + "".join(f'  l{number}: {{file: "{file}"}}\n' for number, file in enumerate(files)))
        with open(folder / "doline.log", "wb") as log:
            process = subprocess.Popen([DOLINE, "run", "--config", config], stderr=log)
        try:
            wait_for("the lists", lambda: process.poll() is not None or b"Ready" in (folder / "doline.log").read_bytes())
            told = subprocess.run([DOLINE, "lists", "--config", config, "--json"], capture_output=True, text=True, check=True).stdout
        finally:
            process.terminate()
            process.wait()
        lists = {row["name"]: row for row in map(json.loads, told.splitlines())}
        names = counted()
        self.assertGreater(len(names), 50)
        for number, file in enumerate(files):
            row, short = lists[f"l{number}"], str(file.relative_to(DATA / "lists"))
            with self.subTest(short):
                self.assertEqual(row["error"], "")
                if short in RULES:
                    self.assertEqual((row["names"], row["rules"]), (0, RULES[short]))
                else:
                    self.assertEqual(row["names"], DIFFERENT.get(short, (names.get(short), ""))[0])


if __name__ == "__main__":
    if not DATA.is_dir():
        print("skipped: the lists are not beside the project")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
