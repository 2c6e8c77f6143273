#!/usr/bin/env python3
"""A list that comes by zone transfer from a real primary (Knot DNS): whole, by differences, signed, cut off, gone.
`transfer_test.py DOLINE [TEST...]`
"""

import json
import shutil
import socket
import subprocess
import sys
import unittest

from program_test import SKIPPED, Home, free_port, wait_for

SECRET = "c2VjcmV0IG9mIHRoZSBsYWIgYW5kIG9mIG5vYm9keSE="
OTHER_SECRET = "YW5vdGhlciBzZWNyZXQsIHdoaWNoIGlzIG5vdCBpdCE="
# What upstream knows otherwise, or not at all: so that what is answered tells who answered.
LINES = ["blocked.example A 192.0.2.97", "*.blocked.example A 192.0.2.98", "telemetry.example CNAME .", "short.example CNAME *.", "moved.example A 192.0.2.99",
         "text.example TXT \"a text; of two\" \"strings\"", "32.80.2.0.192.rpz-ip CNAME ."]


class Primary:
    """knotd with one response policy zone; `write` and `reload` as its operator does."""

    def __init__(self, folder, key=False, notifies=None):
        self.folder = folder / "primary"
        self.folder.mkdir()
        self.port, self.process, self.serial = free_port(), None, 0
        signed = f"""
key:
  - id: doline-lab.
    algorithm: hmac-sha256
    secret: {SECRET}
""" if key else ""
        remote = f"""
remote:
  - id: doline
    address: 127.0.0.1@{notifies}
    {"key: doline-lab." if key else ""}
""" if notifies else ""
        (self.folder / "knot.conf").write_text(f"""
server:
    listen: 127.0.0.1@{self.port}
    rundir: {self.folder}
database:
    storage: {self.folder}
{signed}
{remote}
acl:
  - id: transfers
    address: 127.0.0.0/8
    action: transfer
    {"key: doline-lab." if key else ""}
zone:
  - domain: rpz.test.
    file: {self.folder}/rpz.zone
    acl: transfers
    {"notify: doline" if notifies else ""}
    zonefile-load: difference
    zonefile-sync: -1
    journal-content: all
""")

    def write(self, lines, refresh=3600, expire=86400):
        self.serial += 1
        text = f"$ORIGIN rpz.test.\n$TTL 60\n@ SOA localhost. root.localhost. {self.serial} {refresh} 600 {expire} 60\n@ NS localhost.\n"
        (self.folder / "rpz.zone").write_text(text + "".join(line + "\n" for line in lines))

    def knotc(self, *words):
        return subprocess.run(["knotc", "-c", self.folder / "knot.conf", *words], capture_output=True, text=True, timeout=60)

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["knotd", "-v", "-c", self.folder / "knot.conf"], stdout=log, stderr=subprocess.STDOUT)
        wait_for("the primary", lambda: f"serial {self.serial}" in self.knotc("zone-status", "rpz.test.", "+serial").stdout
                 or f"| {self.serial}" in self.knotc("zone-status").stdout or f"serial: {self.serial}" in self.knotc("zone-status").stdout)
        return self

    def reload(self):
        self.knotc("-b", "zone-reload", "rpz.test.")

    def transfers(self):
        """What it says to have sent: `AXFR`, `IXFR`."""
        return [line for line in (self.folder / "log").read_text().splitlines() if "outgoing, remote" in line and "finished" in line]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class TransferHome(Home):
    primaries, key, must_resolve = "", "", ""

    def configure(self, rules="", more=None):
        super().configure(rules, more)
        text = self.config.read_text()
        if self.primaries:
            text = text.replace("lists:\n", f"lists:\n  threats: {{zone: rpz.test, primary: [{self.primaries}]{self.key}}}\n")
        self.config.write_text(text + self.must_resolve)

    def threats(self):
        return json.loads(self.command("lists", "--json").stdout.splitlines()[0])


class Transfers(unittest.TestCase):
    def home(self, key=False, lines=LINES, notifies=False, **options):
        home = TransferHome(more="")
        self.addCleanup(home.close)
        primary = Primary(home.folder, key, home.port if notifies else None)
        self.addCleanup(primary.stop)
        primary.write(lines, **options)
        primary.start()
        home.primaries = f"127.0.0.1:{primary.port}"
        home.start_upstream()
        return home, primary

    def is_listed(self, home):
        return home.dig("blocked.example").answers == ["192.0.2.97"]

    def wait_for_serial(self, home, serial):
        return wait_for(f"serial {serial}", lambda: home.threats().get("serial") == serial and home.threats()["entries"] and home.threats())

    def test_a_zone_comes_whole_and_means_what_its_records_say(self):
        home, primary = self.home()
        home.configure()
        home.start()
        threats = self.wait_for_serial(home, 1)
        self.assertEqual((threats["format"], threats["state"], threats["entries"]), ("rpz", "in force", 7))
        self.assertTrue(self.is_listed(home))
        self.assertEqual(home.dig("deep.blocked.example").answers, ["192.0.2.98"])
        self.assertEqual(home.dig("telemetry.example").status, "NXDOMAIN")
        self.assertEqual((home.dig("short.example").status, home.dig("short.example").answers), ("NOERROR", []))
        self.assertEqual(home.dig("moved.example").answers, ["192.0.2.99"])
        self.assertEqual(home.dig("text.example", "TXT").answers, ['"a text; of two" "strings"'])
        self.assertEqual(home.dig("www.example").status, "NXDOMAIN")  # by its address
        self.assertIn("serial 1", home.command("lists").stdout)

        primary.write(LINES[:5] + ["new.example A 192.0.2.96"])
        primary.reload()
        wait_for("serial 2", lambda: "serial: 2" in primary.knotc("zone-status").stdout or "| 2" in primary.knotc("zone-status").stdout)
        home.command("lists", "refresh")  # whole
        self.wait_for_serial(home, 2)
        wait_for("the new set", lambda: home.dig("new.example").answers == ["192.0.2.96"])
        self.assertEqual(home.dig("www.example").answers, ["192.0.2.80"])
        self.assertTrue(all("AXFR" in line for line in primary.transfers()), primary.transfers())

    def test_what_has_changed_comes_alone_when_the_zone_is_due(self):
        home, primary = self.home(refresh=60)
        home.configure()
        home.start()
        self.wait_for_serial(home, 1)
        home.stop()
        primary.write(LINES[1:] + ["new.example A 192.0.2.96"], refresh=60)
        primary.reload()
        notes = home.folder / "state/lists/threats.json"
        written = json.loads(notes.read_text())
        written["fetched"] -= 3600  # it is due at once
        notes.write_text(json.dumps(written))
        home.start()
        self.wait_for_serial(home, 2)
        wait_for("the new set", lambda: home.dig("new.example").answers == ["192.0.2.96"])
        self.assertEqual(home.dig("blocked.example").status, "NXDOMAIN")  # as upstream says
        self.assertEqual(home.dig("deep.blocked.example").answers, ["192.0.2.98"])
        self.assertEqual(home.dig("moved.example").answers, ["192.0.2.99"])
        wait_for("a difference", lambda: any("IXFR" in line for line in primary.transfers()))
        # And the text is what a whole transfer makes.
        copy = home.folder / "state/lists/threats.txt"
        by_difference = sorted(copy.read_text().splitlines())
        home.command("lists", "refresh", "threats")
        wait_for("a whole one", lambda: sum("AXFR" in line for line in primary.transfers()) == 2)
        wait_for("its text", lambda: home.threats()["last_fetch"] > 0 and sorted(copy.read_text().splitlines()) == by_difference)
        self.assertEqual(home.command("lists", "refresh", "nobody").returncode, 1)

    def test_the_primary_tells_of_a_new_zone_and_it_is_fetched_at_once(self):
        for key in (False, True):
            with self.subTest(key=key):
                home, primary = self.home(key=key, notifies=True)
                if key:
                    secret = home.folder / "rpz.key"
                    secret.write_text(SECRET + "\n")
                    home.key = f", key: {{name: doline-lab, secret_file: {secret}}}"
                home.configure()
                home.start()
                self.wait_for_serial(home, 1)
                primary.write(LINES[:5] + ["new.example A 192.0.2.96"])  # its REFRESH is an hour
                primary.reload()
                self.wait_for_serial(home, 2)
                wait_for("the new set", lambda: home.dig("new.example").answers == ["192.0.2.96"])
                self.assertIn("its primary says that there is news", home.told())
                wait_for("what was sent", lambda: [line for line in (primary.folder / "log").read_text().splitlines() if "notify, outgoing" in line])
                said = [line for line in (primary.folder / "log").read_text().splitlines() if "notify, outgoing" in line]
                self.assertTrue(any("serial 2" in line for line in said) and not any("failed" in line for line in said[-1:]), said)
                rows = [row["qname"] for row in home.rows()]
                self.assertNotIn("rpz.test", rows)

    def test_others_are_not_heard(self):
        home, primary = self.home(refresh=86400)
        home.configure()
        home.start()
        self.wait_for_serial(home, 1)
        transfers = len(primary.transfers())

        def notify(zone, source):
            message = b"\x12\x34\x24\x00\x00\x01" + bytes(6) + b"".join(bytes([len(label)]) + label.encode() for label in zone.split(".")) + b"\0\0\6\0\1"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.bind((source, 0))
                asking.settimeout(5)
                asking.sendto(message, ("127.0.0.1", home.port))
                answer = asking.recv(512)
                self.assertEqual((answer[:2], answer[2] & 0xf8, answer[12:]), (message[:2], 0xa0, message[12:]))
                return answer[3] & 0x0f
        self.assertEqual(notify("rpz.test", "127.0.0.9"), 5)
        self.assertEqual(notify("other.test", "127.0.0.1"), 9)
        self.assertNotIn("its primary says", home.told())
        self.assertEqual(len(primary.transfers()), transfers)
        self.assertEqual(notify("rpz.test", "127.0.0.1"), 0)
        wait_for("the look", lambda: "serial 1 is the newest" in home.told())

    def test_a_key_is_needed_where_the_primary_wants_one_and_must_be_the_right_one(self):
        home, primary = self.home(key=True)
        home.configure()
        home.start()
        wait_for("the refusal", lambda: home.threats()["error"])
        self.assertEqual(home.threats()["entries"], 0)

        secret = home.folder / "rpz.key"
        secret.write_text(OTHER_SECRET + "\n")
        home.key = f", key: {{name: doline-lab, secret_file: {secret}}}"
        home.configure()
        wait_for("the wrong secret", lambda: "BADSIG" in home.threats()["error"])
        secret.write_text("no secret!")
        home.command("lists", "refresh", "threats")
        wait_for("no secret", lambda: "holds no secret" in home.threats()["error"])
        secret.write_text(SECRET + "\n")
        home.command("lists", "refresh", "threats")
        self.wait_for_serial(home, 1)
        wait_for("the list", lambda: self.is_listed(home))
        self.assertNotIn(SECRET, home.told())

    def test_a_primary_that_does_not_sign_is_not_believed(self):
        home, primary = self.home()
        secret = home.folder / "rpz.key"
        secret.write_text(SECRET)
        home.key = f", key: {{name: doline-lab, secret_file: {secret}}}"
        home.configure()
        home.start()
        wait_for("the refusal", lambda: home.threats()["error"])
        self.assertEqual(home.threats()["entries"], 0)

    def test_the_copy_serves_while_the_primary_is_down_and_the_next_primary_is_asked(self):
        home, primary = self.home()
        home.configure()
        home.start()
        self.wait_for_serial(home, 1)
        home.stop()
        primary.stop()
        home.start()
        wait_for("the list", lambda: self.is_listed(home))
        home.command("lists", "refresh")
        wait_for("the trouble", lambda: "127.0.0.1" in home.threats()["error"])
        self.assertTrue(self.is_listed(home))
        self.assertEqual(home.threats()["state"], "not refreshed")
        primary.start()
        home.primaries = f"127.0.0.1:{free_port()}, 127.0.0.1:{primary.port}"
        home.configure()
        wait_for("the other primary", lambda: not home.threats()["error"] and home.threats()["serial"] == 1)

    def test_a_zone_that_has_shrunk_to_nothing_or_would_block_what_must_resolve_is_not_taken(self):
        home, primary = self.home()
        home.must_resolve = "must_resolve: [needed.example]\n"
        home.configure()
        home.start()
        self.wait_for_serial(home, 1)
        for lines, why in (([], "names nothing"), (LINES + ["*.example CNAME ."], "needed.example")):
            primary.write(lines)
            primary.reload()
            wait_for("the serial", lambda: str(primary.serial) in primary.knotc("zone-status", "rpz.test.").stdout)
            home.command("lists", "refresh", "threats")
            wait_for(why, lambda: why in home.threats()["error"])
            self.assertEqual(home.threats()["serial"], 1)
            self.assertTrue(self.is_listed(home))

    def test_name_servers_are_asked_for_and_judged(self):
        for trigger, server in (("ns.example.rpz-nsdname", "ns.example"), ("8.0.0.0.127.rpz-nsip", "127.0.0.1")):
            home, primary = self.home(lines=[f"{trigger} A 192.0.2.95"])
            home.configure()
            home.start()
            self.wait_for_serial(home, 1)
            wait_for("the name server", lambda: home.dig("www.example").answers == ["192.0.2.95"])
            self.assertEqual(home.dig("short.example").answers, ["192.0.2.95"])
            self.assertEqual(home.status()["queries"]["servers_unknown"], 0)
            self.assertIn("listed in threats", home.command("explain", "phone", "www.example", "--server", server).stdout)
            self.assertNotIn("listed in threats", home.command("explain", "phone", "www.example").stdout)

    def test_a_large_zone_comes_over_many_signed_messages(self):
        home, primary = self.home(key=True, lines=[f"name{number}.example A 192.0.2.97" for number in range(30_000)])
        secret = home.folder / "rpz.key"
        secret.write_text(SECRET)
        home.key = f", key: {{name: doline-lab, secret_file: {secret}}}"
        home.configure()
        home.start()
        self.assertEqual(self.wait_for_serial(home, 1)["entries"], 30_000)
        wait_for("the list", lambda: home.dig("name29999.example").answers == ["192.0.2.97"])

    def test_a_copy_that_no_primary_confirms_expires_and_stays_in_force(self):
        home, primary = self.home(expire=7200)
        home.configure()
        home.start()
        self.wait_for_serial(home, 1)
        home.stop()
        primary.stop()
        notes = home.folder / "state/lists/threats.json"
        written = json.loads(notes.read_text())
        written["fetched"] -= 7300
        notes.write_text(json.dumps(written))
        home.start()
        wait_for("it to be told", lambda: home.threats()["state"] == "expired")
        wait_for("the list", lambda: self.is_listed(home))


if __name__ == "__main__":
    for tool in ("dig", "knotd", "knotc"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            sys.exit(SKIPPED)
    unittest.main(verbosity=2)
