#!/usr/bin/env python3
"""The real program on this machine's loopback, between dig and a real authoritative server: what a person does with it and what
happens when things go wrong. Needs no privilege: high ports, no interception. `program_test.py DOLINE [TEST...]`
"""

import datetime
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import read_log

DOLINE = Path(sys.argv.pop(1) if len(sys.argv) > 1 else os.environ["DOLINE"]).resolve()
PROJECT = Path(__file__).resolve().parents[2]
SKIPPED = 77  # exit status that CTest counts as skipped
PATIENCE = 20  # seconds; for what takes milliseconds on an idle machine

ZONE = """\
$ORIGIN example.
$TTL 300
@ SOA ns.example. root.example. 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
www A 192.0.2.80
www AAAA 2001:db8::80
short 1 A 192.0.2.1
ads A 192.0.2.66
telemetry A 192.0.2.67
alias CNAME www
big TXT "%s" "%s" "%s" "%s" "%s" "%s"
""" % tuple(letter * 250 for letter in "abcdef")


def free_port():
    """A port that is free for UDP and TCP, both families."""
    while True:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tcp, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
            tcp.bind(("::", 0))
            try:
                udp.bind(("::", tcp.getsockname()[1]))
            except OSError:
                continue
            return tcp.getsockname()[1]


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


class Response:
    """What dig says of one query."""

    def __init__(self, text):
        self.text = text
        status = re.search(r"status: (\w+)", text)
        self.status = status.group(1) if status else None
        answer = re.search(r";; ANSWER SECTION:\n((?:.+\n)*)", text)
        rows = [line.split(None, 4) for line in (answer.group(1).splitlines() if answer else [])]
        self.answers = [row[4] for row in rows]
        self.ttls = [int(row[1]) for row in rows]
        flags = re.search(r";; flags: ([a-z ]+);", text)
        self.flags = flags.group(1).split() if flags else []
        self.errors = [int(code) for code in re.findall(r"; EDE: (\d+)", text)]


class Home:
    """One Doline, its configuration, and the server it asks."""

    def __init__(self, more="", lists="ads.example\n"):
        self.folder = Path(tempfile.mkdtemp(prefix="doline-lab-"))
        self.port, self.upstream_port = free_port(), free_port()
        self.process = self.knot = None
        self.list = self.folder / "ads.txt"
        self.list.write_text(lists)
        self.config = self.folder / "doline.yml"
        self.state = None  # instead of the configuration's
        self.more = more
        self.configure()
        (self.folder / "example.zone").write_text(ZONE)
        (self.folder / "knot.conf").write_text(f"""
server:
    listen: 127.0.0.1@{self.upstream_port}
    rundir: {self.folder}
database:
    storage: {self.folder}
zone:
  - domain: example.
    file: {self.folder}/example.zone
    zonefile-load: whole
    journal-content: none
""")

    def configure(self, rules="", more=None, lists="", port=None):
        """Replaced by rename, as editors do."""
        new = self.config.with_suffix(".new")
        new.write_text(f"""\
listen: [127.0.0.1:{port or self.port}, "[::1]:{port or self.port}"]
workers: 2
upstreams:
  default: {{servers: [127.0.0.1:{self.upstream_port}], timeout: 1s}}
state: {self.folder}/state
devices:
  camera: {{address: 127.0.0.2}}
  phone: {{address: 127.0.0.3}}
lists:
  ads: {{file: {self.list}}}
{lists}
rules:
  - {{when: {{device: camera, name: telemetry.example}}, then: nxdomain}}
{rules}
{self.more if more is None else more}
""")
        new.rename(self.config)

    def start_upstream(self):
        self.knot = subprocess.Popen(["knotd", "-c", self.folder / "knot.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("knotd", lambda: self.dig("ns.example", port=self.upstream_port).status == "NOERROR")

    def stop_upstream(self):
        self.knot.terminate()
        self.knot.wait()

    def choice(self):
        return ["--config", self.config, *(["--state", self.state] if self.state else [])]

    def start(self, *more):
        self.log = open(self.folder / "doline.log", "ab")
        self.process = subprocess.Popen([DOLINE, "run", *self.choice(), *more], stderr=self.log)
        wait_for("doline to be ready", lambda: self.process.poll() is not None or self.status().get("ready"))
        if self.process.poll() is not None:
            raise AssertionError("doline ended: " + self.told())
        return self

    def told(self):
        return (self.folder / "doline.log").read_text()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self.log.close()
        return status

    def close(self):
        for process in (self.process, self.knot):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder)

    def command(self, *words):
        return subprocess.run([DOLINE, *words, *self.choice()], capture_output=True, text=True, timeout=60)

    def lone_command(self, *words):
        """One that needs no configuration, or names another."""
        return subprocess.run([DOLINE, *words], capture_output=True, text=True, timeout=60)

    def status(self):
        done = self.command("status", "--json")
        return json.loads(done.stdout) if done.stdout else {}

    def rows(self, *filters, count=1):
        """The query log's rows, once there are so many: they are in the file within a second or so."""
        def read():
            done = self.command("log", "--json", "--limit", "0", *filters)
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            return rows if len(rows) >= count else None
        return wait_for(f"{count} rows of {filters}", read)

    def dig(self, name, kind="A", *more, server="127.0.0.1", port=None, source=None):
        source = [f"-b{source}"] if source else []
        done = subprocess.run(["dig", f"@{server}", "-p", str(port or self.port), *source, "+tries=1", "+time=3", name, kind, *more],
                              capture_output=True, text=True, timeout=60)
        return Response(done.stdout)


class Program(unittest.TestCase):
    def home(self, **options):
        home = Home(**options)
        self.addCleanup(home.close)
        home.start_upstream()
        return home

    def test_queries_are_answered_over_udp_and_tcp_and_both_families_and_then_from_the_cache(self):
        home = self.home().start()
        for server in ("127.0.0.1", "::1"):
            for transport in ("+notcp", "+tcp"):
                response = home.dig("www.example", "A", transport, server=server)
                self.assertEqual((response.status, response.answers), ("NOERROR", ["192.0.2.80"]), response.text)
                self.assertIn("ra", response.flags)
        self.assertEqual(home.dig("alias.example", "AAAA").answers, ["www.example.", "2001:db8::80"])
        self.assertEqual(home.dig("nothing.example").status, "NXDOMAIN")
        queries = home.status()["queries"]
        self.assertEqual(queries["received"], 6)
        self.assertEqual(queries["answered"], 6)
        self.assertEqual((queries["forwarded"], queries["from_cache"]), (3, 3))

    def test_clients_are_told_ttls_within_the_bounds_of_the_cache(self):
        home = self.home(more="cache: {min_ttl: 60s, max_ttl: 100s}").start()
        self.assertEqual(home.dig("www.example").ttls, [100])
        self.assertEqual(home.dig("short.example").ttls, [60])
        time.sleep(1.1)
        again = home.dig("www.example").ttls
        self.assertLess(again[0], 100)

    def test_cached_answers_are_forgotten_on_command_at_sighup_and_when_the_upstreams_change(self):
        home = self.home().start()
        def edit():
            home.configure(more="")
            text = home.config.read_text().replace("timeout: 1s", "timeout: 900ms")
            new = home.config.with_suffix(".new")
            new.write_text(text)
            new.rename(home.config)
        self.assertEqual(home.dig("www.example").ttls, [300])
        for forget in (lambda: self.assertEqual(home.command("flush").returncode, 0), lambda: home.process.send_signal(signal.SIGHUP), edit):
            wait_for("the TTL to be less", lambda: home.dig("www.example").ttls[0] < 300)
            forget()
            wait_for("the upstream to be asked again", lambda: home.dig("www.example").ttls == [300])
        self.assertIn("no cached answers", home.told())
        home.stop()
        self.assertEqual(home.command("flush").returncode, 69)

    def test_a_large_answer_is_cut_for_udp_and_whole_over_tcp(self):
        home = self.home().start()
        self.assertIn("tc", home.dig("big.example", "TXT", "+ignore", "+notcp").flags)
        self.assertEqual(len(home.dig("big.example", "TXT").answers), 1)

    def test_lists_and_rules_decide_per_device_and_the_log_says_why(self):
        home = self.home().start()
        blocked = home.dig("ads.example")
        self.assertEqual(blocked.answers, ["0.0.0.0"], blocked.text)
        self.assertIn(15, blocked.errors)
        self.assertEqual(home.dig("telemetry.example", source="127.0.0.2").status, "NXDOMAIN")
        self.assertEqual(home.dig("telemetry.example", source="127.0.0.3").answers, ["192.0.2.67"])
        rows = home.rows("--name", "telemetry.example", count=2)
        by_device = {row["device"]: row for row in rows}
        self.assertEqual(by_device["camera"]["verdict"], "nxdomain")
        self.assertRegex(by_device["camera"]["rule"], r"^doline\.yml:\d+$")
        self.assertEqual(by_device["phone"]["verdict"], "forward")
        self.assertEqual(by_device["phone"]["upstream"], f"127.0.0.1:{home.upstream_port}")
        self.assertEqual([row["lists"] for row in home.rows("--verdict", "block")], [["ads"]])
        self.assertEqual(len(home.rows("--answer", "192.0.2.67")), 1)
        devices = home.command("devices")
        self.assertIn("camera", devices.stdout)

    def test_explain_names_the_line_of_the_configuration_or_of_the_list(self):
        home = self.home().start()
        line = home.config.read_text().splitlines().index("  - {when: {device: camera, name: telemetry.example}, then: nxdomain}") + 1
        told = home.command("explain", "camera", "telemetry.example").stdout
        self.assertIn(f"{home.config}:{line}", told)
        self.assertIn("nxdomain", told)
        told = json.loads(home.command("explain", "phone", "ads.example", "--json").stdout)
        self.assertEqual(told["verdict"], "block")
        self.assertEqual([(one["list"], one["line"]) for one in told["lists"]], [("ads", 1)])
        # What a list says of addresses: of the answer, of the client, of the name server.
        home.list.write_text("$ORIGIN rpz.test.\n@ 60 SOA a. b. 1 2 3 4 60\nother.example CNAME .\n32.1.2.0.192.rpz-ip CNAME .\n"
                             "24.0.3.0.192.rpz-nsip CNAME .\n32.4.0.0.127.rpz-client-ip CNAME .\n")

        def lines(*words):
            told = json.loads(home.lone_command("explain", "--config", str(home.config), "--json", *words).stdout)
            return [(one["list"], one["line"], one["listed_name"]) for one in told["lists"]], told["verdict"]
        self.assertEqual(lines("phone", "www.example", "--answer", "192.0.2.1"), ([("ads", 4, "192.0.2.1/32")], "nxdomain"))
        self.assertEqual(lines("phone", "www.example", "--server", "192.0.3.7"), ([("ads", 5, "server 192.0.3.0/24")], "nxdomain"))
        self.assertEqual(lines("127.0.0.4", "www.example"), ([("ads", 6, "client 127.0.0.4/32")], "nxdomain"))
        self.assertEqual(lines("phone", "www.example", "--answer", "192.0.2.2"), ([], "forward"))

    def test_an_edit_takes_effect_and_a_bad_one_does_not(self):
        home = self.home().start()
        generation = home.status()["generation"]
        home.configure(rules="  - {when: {name: www.example}, then: refuse}")
        wait_for("the new rule", lambda: home.dig("www.example").status == "REFUSED")
        self.assertGreater(home.status()["generation"], generation)
        self.assertIn("rules +1 -0", home.told())
        home.configure(rules="  - {when: {nmae: www.example}, then: forward}")
        shortcomings = wait_for("the mistake to be told", lambda: home.status()["shortcomings"])
        self.assertIn("nmae", " ".join(shortcomings))
        self.assertIn("name", " ".join(shortcomings))
        self.assertEqual(home.dig("www.example").status, "REFUSED")
        home.configure()
        wait_for("the old rules", lambda: home.dig("www.example").status == "NOERROR")
        self.assertEqual(home.status()["shortcomings"], [])

    def test_what_needs_a_restart_is_said(self):
        home = self.home().start()
        home.configure(more="cache: {size: 8MiB}")
        wait_for("it to be said", lambda: home.status()["waiting_for_restart"])

    def test_what_the_command_line_replaces_does_not_wait_for_a_restart(self):
        home = self.home()
        home.state, home.port = home.folder / "elsewhere", free_port()
        home.start("--port", str(home.port))
        home.configure(rules="  - {when: {name: www.example}, then: refuse}", port=free_port())
        wait_for("the new rule", lambda: home.dig("www.example").status == "REFUSED")
        self.assertEqual(home.status()["waiting_for_restart"], [])

    def test_an_edit_behind_a_link_takes_effect(self):
        home = self.home()
        (home.folder / "real").mkdir()
        for link in (home.config, home.list):
            link.rename(home.folder / "real" / link.name)
            link.symlink_to(Path("real") / link.name)
        home.start()
        text = (home.folder / "real" / "doline.yml").read_text()
        (home.folder / "real" / "doline.yml").write_text(text.replace("telemetry.example", "www.example").replace("device: camera, ", ""))
        wait_for("the new rule", lambda: home.dig("www.example").status == "NXDOMAIN")
        (home.folder / "real" / "ads.txt").write_text("ads.example\nbig.example\n")
        wait_for("the new list", lambda: home.dig("big.example").answers == ["0.0.0.0"])

    def test_a_list_that_is_gone_stays_in_force_and_is_told(self):
        home = self.home().start()
        wait_for("its copy", (home.folder / "state" / "lists" / "ads.txt").exists)
        home.list.unlink()
        told = wait_for("it to be told", lambda: home.status()["shortcomings"])
        self.assertEqual(told, [f"List ads is not refreshed: {home.list} cannot be read: No such file or directory."])
        self.assertEqual(home.command("status").returncode, 1)
        home.stop()
        home.start()
        self.assertEqual(home.dig("ads.example").answers, ["0.0.0.0"])
        self.assertIn(f"{home.folder}/state/lists/ads.txt:1: ads.example", home.command("explain", "phone", "ads.example").stdout)
        home.list.write_text("www.example\n")
        wait_for("the file", lambda: home.dig("ads.example").answers == ["192.0.2.66"])
        self.assertEqual(home.status()["state"], "well")

    def test_a_list_that_never_came_is_told_with_the_reason(self):
        home = self.home().start()
        home.configure(lists=f"  far: {{url: http://127.0.0.1:{free_port()}/far.txt}}")
        told = wait_for("it to be told", lambda: home.status()["shortcomings"])
        self.assertIn("List far is empty: ", told[0])
        self.assertIn("onnect", told[0])
        self.assertIn("onnect", home.command("lists").stdout)

    def test_a_list_that_changes_is_compiled_anew_and_its_bad_lines_are_named(self):
        home = self.home().start()
        self.assertEqual(home.dig("www.example").answers, ["192.0.2.80"])
        home.list.write_text("ads.example\n-bad-..-line-\nwww.example\n")
        wait_for("the new list", lambda: home.dig("www.example").answers == ["0.0.0.0"])
        listed = home.status()["lists"][0]
        self.assertEqual((listed["names"], listed["problems"], listed["first_problems"][0]["line"]), (2, 1, 2))

    def test_blocking_is_paused_and_a_name_allowed_for_a_while_and_over_a_restart(self):
        home = self.home().start()
        self.assertEqual(home.dig("ads.example").answers, ["0.0.0.0"])
        self.assertIn("for everybody", home.command("pause", "1h").stdout)
        wait_for("the pause", lambda: home.dig("ads.example").answers == ["192.0.2.66"])
        self.assertRegex(home.command("status").stdout, r"(?s)set aside .*devices  ")
        self.assertIn("but blocking is set aside", home.command("explain", "phone", "ads.example").stdout)
        home.stop()
        home.start()
        self.assertEqual(home.dig("ads.example").answers, ["192.0.2.66"])
        self.assertEqual(home.command("resume").returncode, 0)
        wait_for("its end", lambda: home.dig("ads.example").answers == ["0.0.0.0"])
        self.assertEqual(home.command("resume").returncode, 1)
        self.assertEqual(home.command("allow", "ads.example", "--for", "2s").returncode, 0)
        wait_for("the name to be let through", lambda: home.dig("ads.example").answers == ["192.0.2.66"])
        wait_for("it to end by itself", lambda: home.dig("ads.example").answers == ["0.0.0.0"])
        self.assertEqual(home.status()["exemptions"], [])
        refused = home.command("pause", "--device", "camerra")
        self.assertEqual(refused.returncode, 64)
        self.assertIn("did you mean 'camera'", refused.stderr)
        self.assertEqual(home.command("pause", "forever").returncode, 64)

    def test_a_device_is_learned_reviewed_locked_and_unlocked(self):
        home = self.home().start()
        camera = {"source": "127.0.0.2"}
        self.assertEqual(home.command("device", "lock", "camera").returncode, 64)  # not learned
        self.assertEqual(home.command("device", "review", "camera").returncode, 1)
        self.assertIn("Then: doline device review camera\n", home.command("device", "learn", "127.0.0.2", "--for", "1h").stdout)
        for wrong in ("ever", "0s", "10y", "367d"):
            refused = home.command("device", "learn", "camera", "--for", wrong)
            self.assertEqual(refused.returncode, 64)
            self.assertIn("is no time from 1s to 366d", refused.stderr)
        nobody = home.command("device", "review", "camerra")
        self.assertEqual(nobody.returncode, 64)
        self.assertIn("did you mean 'camera'", nobody.stderr)
        for name in ("www.example", "www.example", "telemetry.example"):
            home.dig(name, **camera)
        home.dig("ads.example", source="127.0.0.3")
        home.rows("--device", "camera", count=3)

        review = [json.loads(line) for line in home.command("device", "review", "camera", "--json").stdout.splitlines()]
        self.assertEqual([(group["registrable"], group["queries"], group["let_through"]) for group in review],
                         [("www.example", 2, 2), ("telemetry.example", 1, 0)])
        self.assertIn("2x forward", home.command("device", "review", "camera", "--names").stdout)
        # Its address leads to it as the running Doline knows it, though no file says so.
        other = home.folder / "other.yml"
        other.write_text(home.config.read_text().replace("  camera: {address: 127.0.0.2}\n", "").replace("device: camera, ", ""))
        self.assertIn("2x forward", home.lone_command("device", "review", "127.0.0.2", "--config", other).stdout)
        self.assertIn("camera is observed", home.lone_command("device", "lock", "127.0.0.2", "--observe", "--config", other).stdout)

        observed = home.command("device", "lock", "camera", "--observe")
        self.assertIn("www.example and all below it", observed.stdout)
        self.assertIn("never let through", observed.stderr)
        wait_for("the lock", lambda: home.dig("ns.example", **camera) and "asked for ns.example" in home.told())
        self.assertEqual(home.dig("ns.example", **camera).status, "NOERROR")
        row = wait_for("the observation", lambda: [row for row in home.rows("--device", "camera", "--name", "ns.example") if row["observed"]])[0]
        self.assertEqual((row["verdict"], row["observed"]["verdict"], row["observed"]["rule"]), ("forward", "refuse", "lock of camera"))

        self.assertEqual(home.command("device", "lock", "camera", "--also", "ns.example").returncode, 0)
        wait_for("the lock", lambda: home.dig("another.example", **camera).status == "REFUSED")
        self.assertEqual(home.dig("www.example", **camera).status, "NOERROR")
        self.assertEqual(home.dig("ns.example", **camera).status, "NOERROR")
        self.assertEqual(home.dig("other.example", source="127.0.0.3").status, "NXDOMAIN")
        self.assertEqual(home.dig("other.example", **camera).status, "REFUSED")
        wait_for("the alarm", lambda: "asked for other.example, which it may not look up: refused" in home.told())
        for _ in range(3):
            home.dig("other.example", **camera)
        self.assertEqual(home.told().count("asked for other.example"), 1)
        self.assertIn("lock of camera", home.command("explain", "camera", "other.example").stdout)
        self.assertIn("a name that it lets pass", home.command("explain", "camera", "www.example").stdout)
        replayed = home.command("replay", "--since", "1h", "--device", "camera")
        self.assertIn("lock of camera", replayed.stdout)
        shown = home.command("device", "show", "127.0.0.2").stdout
        for part in ("locked      since", "ns.example and all below it", "refused     other.example"):
            self.assertIn(part, shown)
        self.assertIn("locked to 2 names, 2 others asked for", home.command("status").stdout)
        self.assertRegex(shown, r"locked      since [0-9-]+ [0-9:]+ [A-Z+-]")  # with the zone
        self.assertIn("It stays locked", home.command("device", "learn", "camera", "--for", "1h").stdout)
        self.assertGreaterEqual(home.status()["queries"]["beyond_lock"], 4)

        home.stop()
        home.start()
        self.assertEqual(home.dig("other.example", **camera).status, "REFUSED")
        self.assertEqual(home.command("device", "unlock", "camera").returncode, 0)
        wait_for("its end", lambda: home.dig("other.example", **camera).status == "NXDOMAIN")
        self.assertEqual(home.command("device", "unlock", "camera").returncode, 1)
        self.assertEqual(home.command("device", "show", "camerra").returncode, 64)
        self.assertEqual(home.status()["device_book"], [])

    def test_devices_that_were_found_are_forgotten_whether_it_runs_or_not(self):
        leases = "0 94:51:3d:13:9a:35 192.168.1.30 cam *\n0 94:51:3d:13:9a:36 192.168.1.31 laptop *\n"
        home = self.home(more="leases: [leases]")
        (home.folder / "leases").write_text(leases)
        remembered = home.folder / "state" / "devices.json"
        home.start()
        done = home.command("log", "forget", "--device", "cam")
        self.assertEqual((done.returncode, done.stdout.splitlines()[0]), (0, "Forgotten: 1 device that Doline had found by itself."), done.stderr)
        self.assertNotIn("9a:35", remembered.read_text())
        self.assertIn("9a:36", remembered.read_text())
        home.stop()
        self.assertIn("9a:36", remembered.read_text())
        home.command("log", "forget", "--all")
        self.assertFalse(remembered.exists())
        home.configure(more="querylog: off")
        self.assertEqual(home.command("log", "forget", "--all").returncode, 1)

    def test_a_mac_is_joined_to_a_device_and_separated_from_it(self):
        home = self.home().start()
        self.assertIn("Joined to phone", home.command("device", "join", "phone", "5e:11:22:33:44:55").stdout)
        self.assertEqual(home.command("device", "join", "phone", "5e:11:22:33:44:55").returncode, 64)
        self.assertIn("write its MAC", home.command("device", "join", "phone", "camera").stderr)
        shown = json.loads(home.command("device", "show", "phone", "--json").stdout)
        self.assertEqual(shown["device"]["macs"], [{"mac": "5e:11:22:33:44:55", "made_up": True}])
        self.assertIn("1 MAC joined", home.command("status").stdout)
        home.stop()
        home.start()
        self.assertEqual(home.command("device", "separate", "5e:11:22:33:44:55").returncode, 0)
        self.assertEqual(home.command("device", "separate", "phone").returncode, 1)

    def test_lists_tell_what_they_hold_also_after_a_restart(self):
        home = self.home(lists="||ads.example^\n@@||good.ads.example^\n||x.example^$third-party\n/(/\n").start()
        for _ in range(2):
            told = json.loads(home.command("lists", "--json").stdout.splitlines()[0])
            self.assertEqual((told["format"], told["names"], told["rules"], told["exceptions"], told["problems"]), ("adblock", 2, 1, 1, 2))
            self.assertEqual(told["skipped"]["a modifier that DNS does not know"], 1)
            home.stop()
            home.start()
        self.assertIn("adblock", home.command("lists").stdout)
        checked = home.lone_command("lists", "check", str(home.list))
        self.assertEqual(checked.returncode, 0)
        self.assertIn(f"{home.list}:3:14: a modifier that DNS does not know", checked.stdout)
        self.assertIn("1 rules (1 exceptions), 2 skipped", checked.stdout)
        subprocess.run(["xz", "-k", str(home.list)], check=True)
        packed = home.lone_command("lists", "check", "--all", "--json", str(home.list) + ".xz")
        self.assertEqual(json.loads(packed.stdout.splitlines()[0]), {"line": 1, "says": "||ads.example^"})
        self.assertEqual(home.lone_command("lists", "check", str(home.config)).returncode, 1)
        self.assertEqual(home.lone_command("lists", "check", "/does/not/exist").returncode, 66)
        piped = subprocess.run([DOLINE, "lists", "check", "/dev/stdin"], input=home.list.read_text(), capture_output=True, text=True)
        self.assertEqual((piped.returncode, piped.stdout.splitlines()[-1].split(":")[1:]),
                         (checked.returncode, checked.stdout.splitlines()[-1].split(":")[1:]), piped.stderr)

    def test_a_client_behind_a_nat64_is_given_ipv6_addresses_that_stand_for_ipv4_ones(self):
        home = self.home(more='dns64: {prefix: "2001:db8:64::/96", clients: 127.0.0.3}').start()
        for _ in range(2):  # from upstream, then from the cache
            self.assertEqual(home.dig("short.example", "AAAA", source="127.0.0.3").answers, ["2001:db8:64::c000:201"])
            self.assertEqual(home.dig("short.example", "AAAA", source="127.0.0.2").answers, [])
        self.assertEqual(home.dig("www.example", "AAAA", source="127.0.0.3").answers, ["2001:db8::80"])
        self.assertEqual(home.dig("ipv4only.arpa", "AAAA", source="127.0.0.3").answers, ["2001:db8:64::c000:aa", "2001:db8:64::c000:ab"])
        self.assertEqual(home.dig("ads.example", "AAAA", source="127.0.0.3").answers, ["::"])
        told = home.command("explain", "127.0.0.3", "short.example", "AAAA")
        self.assertIn("this client has `dns64`", told.stdout)

    def test_resolvers_that_ask_us_keep_our_negative_answers(self):
        home = self.home()
        home.configure("  - {when: {name: gone.example}, then: nxdomain}\n  - {when: {name: empty.example}, then: nodata}\n"
                       "block_ttl: 5m")
        home.start()
        port = free_port()
        (home.folder / "unbound.conf").write_text(f"""
server:
  interface: 127.0.0.1@{port}
  username: ""
  chroot: ""
  directory: "{home.folder}"
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  module-config: "iterator"
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{home.port}
remote-control:
  control-enable: no
""")
        names = {"gone.example": "NXDOMAIN", "empty.example": "NOERROR", "laptop": "NXDOMAIN"}
        for words in (["unbound", "-d", "-c", home.folder / "unbound.conf"],
                      ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=", "--pid-file=",
                       "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}", f"--server=127.0.0.1#{home.port}"]):
            with self.subTest(resolver=words[0]):
                if not shutil.which(words[0]):
                    self.skipTest(f"{words[0]} is not here")
                home.dig(f"before-{words[0]}.example")
                home.rows("--name", f"before-{words[0]}.example")
                before = len(home.rows())
                resolver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                try:
                    wait_for(words[0], lambda: home.dig("www.example", port=port).status == "NOERROR")
                    for _ in range(3):
                        for name, status in names.items():
                            self.assertEqual(home.dig(name, port=port).status, status)
                finally:
                    resolver.kill()
                    resolver.wait()
                home.dig(f"behind-{words[0]}.example")
                home.rows("--name", f"behind-{words[0]}.example")
                asked = [row["qname"] for row in home.rows()][before:]
                self.assertEqual({name: asked.count(name) for name in names}, dict.fromkeys(names, 1), asked)

    def test_replay_tells_what_another_configuration_would_have_changed(self):
        home = self.home().start()
        for name in ("www.example", "www.example", "ads.example"):
            home.dig(name)
        home.rows(count=3)
        same = home.command("replay", "--since", "1h")
        self.assertEqual((same.returncode, same.stdout), (0, "3 queries judged anew: 0 would be answered otherwise.\n"))
        candidate = home.folder / "candidate.yml"
        candidate.write_text(home.config.read_text().replace("rules:\n", "rules:\n  - {when: {name: www.example}, then: refuse}\n"))
        told = home.lone_command("replay", "--since", "1h", "--config", str(candidate), "--json")
        self.assertEqual(told.returncode, 1)
        change, total = [json.loads(line) for line in told.stdout.splitlines()]
        self.assertEqual((change["name"], change["was"], change["would_be"], change["queries"]), ("www.example", "forward", "refuse", 2))
        self.assertEqual((total["judged"], total["would_change"]), (3, 2))
        candidate.write_text(home.config.read_text().replace("lists:\n", "lists:\n  more: {file: nowhere.txt}\n"))
        lacking = home.lone_command("replay", "--since", "1h", "--config", str(candidate))
        self.assertEqual(lacking.returncode, 66)
        self.assertRegex(lacking.stderr, r"list more is not judged by: .*nowhere\.txt")
        self.assertEqual(home.command("replay", "--since", "soon").returncode, 64)

    def test_replay_notices_that_a_rewrite_is_gone_and_does_not_take_a_local_name_for_one(self):
        home = self.home(more="records: {shop.example: {cname: www.example}}").start()
        rewriting = "  - {when: {name: rewritten.example}, then: {rewrite: 192.0.2.9}}"
        home.configure(rules=rewriting)
        wait_for("the rule", lambda: home.dig("rewritten.example").answers == ["192.0.2.9"])
        self.assertEqual(home.dig("shop.example").answers, ["www.example.", "192.0.2.80"])
        home.rows("--name", "shop.example")
        home.configure()
        told = home.command("replay", "--since", "1h", "--json")
        changes = [json.loads(line) for line in told.stdout.splitlines()][:-1]
        self.assertEqual({(change["name"], change["was"], change["would_be"]) for change in changes},
                         {("rewritten.example", "rewrite", "forward")})

    def test_replay_judges_what_an_answer_led_to_also_where_that_was_kept_back(self):
        home = self.home().start()
        self.assertEqual(home.dig("alias.example").answers[0], "www.example.")
        home.list.write_text("www.example\n")
        wait_for("the new list", lambda: home.dig("alias.example").answers == ["0.0.0.0"])
        kept_back = home.rows("--verdict", "block")[-1]
        rows = home.rows(count=2)
        self.assertEqual(kept_back["withheld"][0]["rdata"], "www.example.")
        self.assertEqual(kept_back["answers"], [])
        home.list.write_text("other.example\n")
        told = home.command("replay", "--since", "1h", "--json")
        self.assertEqual(told.returncode, 1)
        changes = [json.loads(line) for line in told.stdout.splitlines()][:-1]
        self.assertEqual({(change["name"], change["was"], change["would_be"]) for change in changes},
                         {("alias.example", "block", "forward")})
        listed = json.loads(home.command("lists", "--json").stdout.splitlines()[0])
        self.assertGreaterEqual(listed["hits"], 1)
        self.assertEqual(listed["hits_since"], rows[0]["time"])

    def test_sighup_reads_everything_again(self):
        home = self.home().start()
        home.process.send_signal(signal.SIGHUP)
        wait_for("it to be told", lambda: "SIGHUP" in home.told())
        self.assertEqual(home.dig("www.example").status, "NOERROR")

    def test_compiled_lists_are_used_again_at_the_next_start(self):
        home = self.home().start()
        self.assertEqual(home.stop(), 0)
        image = next((home.folder / "state").glob("lists.*"))
        made = image.stat().st_mtime_ns
        home.start()
        self.assertEqual(home.dig("ads.example").answers, ["0.0.0.0"])
        self.assertEqual(image.stat().st_mtime_ns, made)

    def test_with_the_upstream_gone_old_answers_are_served_and_new_questions_fail_with_a_reason(self):
        home = self.home().start()
        self.assertEqual(home.dig("short.example").answers, ["192.0.2.1"])
        home.stop_upstream()
        time.sleep(1.1)  # its TTL
        stale = home.dig("short.example")
        self.assertEqual((stale.status, stale.answers, stale.ttls), ("NOERROR", ["192.0.2.1"], [30]), stale.text)
        self.assertIn(3, stale.errors)
        failed = home.dig("unheard.example")
        self.assertEqual(failed.status, "SERVFAIL")
        self.assertTrue(set(failed.errors) & {22, 23}, failed.text)
        # One name alone would not say so, however often it is asked for.
        another = (f"unheard{i}.example" for i in range(1_000))
        wait_for("the status to say it", lambda: home.dig(next(another)) and home.status()["state"] == "degraded")
        self.assertIn("'default'", " ".join(home.status()["shortcomings"]))
        self.assertEqual([server["up"] for server in home.status()["upstreams"]], [False])
        self.assertEqual(home.command("status").returncode, 1)
        home.start_upstream()
        wait_for("the upstream to be found again", lambda: home.dig("www.example").status == "NOERROR")
        self.assertEqual(home.status()["state"], "well")

    def test_a_port_that_is_taken_is_told_with_who_holds_it(self):
        home = self.home().start()
        second = subprocess.run([DOLINE, "run", "--config", home.config, "--state", home.folder / "second"], capture_output=True,
                                text=True, timeout=60)
        self.assertEqual(second.returncode, 69)
        self.assertIn(str(home.port), second.stderr)
        self.assertRegex(second.stderr, rf"doline.*{home.process.pid}|{home.process.pid}.*doline")

    def test_a_configuration_named_from_its_folder_means_the_same_files_at_start_and_after_an_edit(self):
        home = self.home(more="hosts_files: [house.hosts]\n" + ("user: nobody\n" if os.geteuid() == 0 else ""))
        home.folder.chmod(0o755)
        (home.folder / "house.hosts").write_text("192.168.1.10 nas.home.arpa\n")
        home.config.write_text(home.config.read_text().replace(f"{home.folder}/", ""))
        home.log = open(home.folder / "doline.log", "ab")
        home.process = subprocess.Popen([DOLINE, "run", "--config", home.config.name], cwd=home.folder, stderr=home.log)
        wait_for("doline to be ready", lambda: home.process.poll() is not None or home.status().get("ready"))
        self.assertEqual((home.dig("ads.example").answers, home.dig("nas.home.arpa").answers), (["0.0.0.0"], ["192.168.1.10"]), home.told())
        self.assertTrue((home.folder / "state/doline.db").exists())
        new = home.config.with_suffix(".new")
        new.write_text(home.config.read_text().replace("rules:\n", "rules:\n  - {when: {listed: ads}, then: nxdomain}\n"))
        new.rename(home.config)
        wait_for("the edit to be in force", lambda: home.dig("ads.example").status == "NXDOMAIN")
        self.assertEqual(home.dig("nas.home.arpa").answers, ["192.168.1.10"])
        self.assertEqual(home.status()["state"], "well", home.told())
        self.assertEqual(home.stop(), 0)

    def test_where_the_usual_state_folder_is_not_for_this_user_his_own_is_kept_and_told(self):
        if Path("/var/lib/doline").exists():
            self.skipTest("this machine has a Doline of its own")
        home = self.home()
        home.folder.chmod(0o755)
        own = home.folder / "own"
        own.mkdir()
        nobody = {}
        if os.geteuid() == 0:
            nobody = {"user": 65534, "group": 65534, "extra_groups": []}
            os.chown(own, 65534, 65534)
            if subprocess.run(["test", "-x", DOLINE], **nobody).returncode != 0:
                self.skipTest("the program is not for everybody to start")
        home.config.write_text(home.config.read_text().replace(f"state: {home.folder}/state\n", ""))
        log, env = home.folder / "doline.log", {**os.environ, "XDG_STATE_HOME": str(own)}
        home.process = subprocess.Popen([DOLINE, "run", "--config", home.config], stderr=log.open("wb"), env=env, **nobody)

        def ask(*words):
            return subprocess.run([DOLINE, *words, "--config", home.config], capture_output=True, text=True, timeout=60, env=env, **nobody)
        wait_for("doline to be ready", lambda: ask("status", "--json").stdout and json.loads(ask("status", "--json").stdout)["ready"])
        self.assertIn(f"kept in {own}/doline.", log.read_text())
        nothing = ask("log")
        self.assertEqual((nothing.returncode, nothing.stderr), (1, f"Nothing found in {own}/doline/doline.db.\n"))
        # The same is told of a folder that the configuration names, and no other is looked into.
        home.config.write_text(home.config.read_text() + f"state: {home.folder}/service\n")
        self.assertIn(f"{home.folder}/service/control.socket", ask("status").stderr)
        self.assertEqual(ask("log", "forget", "--all").returncode, 66)

    def test_an_address_that_cannot_be_had_leaves_the_others(self):
        home = self.home()
        text = home.config.read_text().replace("listen: [", "listen: [192.0.2.254:5300, ")
        home.config.write_text(text)
        home.start()
        self.assertEqual(home.dig("www.example").status, "NOERROR")
        self.assertEqual(home.status()["state"], "degraded")
        self.assertIn("192.0.2.254", " ".join(home.status()["shortcomings"]))

    def test_check_names_every_mistake_and_ends_with_78(self):
        home = self.home()
        self.assertEqual(subprocess.run([DOLINE, "check", home.config], capture_output=True).returncode, 0)
        # What Doline would do without is a warning.
        good = home.config.read_text()
        home.config.write_text(good.replace("lists:\n", "lists:\n  zone: {zone: rpz.example, primary: 127.0.0.1, "
                                            "key: {name: k.example, secret_file: gone.key}}\n")
                               + "geo: {country: gone.mmdb}\nhosts_files: [gone.hosts]\n")
        home.list.unlink()
        done = subprocess.run([DOLINE, "check", home.config], capture_output=True, text=True)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (0, 4), done.stderr)
        for key in ("geo.country", "hosts_files", "lists.ads", "lists.zone.key.secret_file"):
            self.assertRegex(done.stderr, rf"doline\.yml: warning: {key}: .*(gone|ads)")
        done = subprocess.run([DOLINE, "check", "--json", home.config], capture_output=True, text=True)
        self.assertIn("gone.mmdb", json.loads(done.stdout.splitlines()[0])["warning"])
        # What is wrong with a line of the resolvers, and how many have no port: once.
        (home.folder / "resolvers.csv").write_text("address,operator,country,protocols,hostname,note,port\n8.8.8.8,Google,US,plain,,,29200\n"
                                                   "1.1.1.1,Cloudflare,US,plain,,,\n9.9.9.9,Quad9,CH,plain,,\n8.8.4.4,Google,US,plain,,,29200\n")
        home.config.write_text(good + "resolver_list: resolvers.csv\nredirect: {mode: off, port_map: listed}\n")
        done = subprocess.run([DOLINE, "check", home.config], capture_output=True, text=True)
        self.assertIn("resolvers.csv:5: port 29200 stands for 8.8.8.8 already", done.stderr)
        self.assertEqual((done.returncode, done.stderr.count("2 of 3 resolvers in"), done.stderr.count("have no port")), (0, 1, 1), done.stderr)
        home.config.write_text(good.replace("upstreams:", "upstrems:") + "nonsense: 1\n")
        done = subprocess.run([DOLINE, "check", home.config], capture_output=True, text=True)
        self.assertEqual(done.returncode, 78)
        self.assertIn("'upstreams'", done.stderr)
        self.assertRegex(done.stderr, r"doline\.yml:\d+:\d+")
        self.assertEqual(subprocess.run([DOLINE, "run", "--config", home.config], capture_output=True).returncode, 78)
        home.config.write_text(good + "user: nobody-of-this-name\n")
        done = subprocess.run([DOLINE, "check", home.config], capture_output=True, text=True)
        self.assertEqual(done.returncode, 78)
        self.assertIn("there is no user 'nobody-of-this-name'", done.stderr)

    def test_a_configuration_that_was_named_has_to_be_there_and_numbers_of_rows_are_not_below_0(self):
        home = self.home()
        for words in (("run",), ("status",), ("lists",), ("log",), ("log", "forget", "--all"), ("flows",), ("devices",),
                      ("device", "show", "camera"), ("redirect", "status")):
            done = home.lone_command(*words, "--config", str(home.folder / "gone.yml"))
            self.assertEqual(done.returncode, 66, words)
            self.assertIn("gone.yml", done.stderr)
        self.assertEqual(home.lone_command("check", str(home.folder / "gone.yml")).returncode, 66)
        for words in (("log",), ("flows",), ("replay",)):
            for limit in ("-1", "1000001", "many"):
                done = home.command(*words, "--limit", limit)
                self.assertEqual(done.returncode, 64, words)
                self.assertNotIn("18446744073709551615", done.stdout + done.stderr)
        home.config.write_text(home.config.read_text() + "redirect: {interfaces: [br-lan], ports: [53, 443]}\n")
        self.assertIn("warning: Port 443 of `redirect.ports`", home.lone_command("check", str(home.config)).stderr)

    def test_who_reads_the_query_log_by_its_document_reads_what_doline_reads(self):
        home = self.home().start()
        for number in range(30):
            home.dig(f"{number}.www.example" if number % 3 else "www.example", "AAAA" if number % 2 else "A")
        rows = home.rows(count=30)
        read = read_log.read(next((home.folder / "state").glob("*.db")))
        self.assertEqual(len(read), len(rows))
        for row, own in zip(rows, read):
            time = datetime.datetime.fromtimestamp(own["time"] // 10**6, datetime.timezone.utc)
            self.assertEqual(row["time"], f"{time:%Y-%m-%dT%H:%M:%S}.{own['time'] % 10**6:06}Z")
            self.assertEqual((row["device"], row["client"]), (own["device"], own["client"][0]))
            self.assertEqual((row["qname"], row["qtype"]), (own["name"], {1: "A", 28: "AAAA"}[own["qtype"]]))
            self.assertEqual((row["rule"], row["latency_us"]), (own["rule"], own["latency_us"]))
            self.assertEqual(row["upstream"], ":".join(map(str, own["upstream"])) if own["upstream"] else None)
            self.assertEqual(row["ttl"], own["ttl"] if own["answer"] else None)

    def test_a_damaged_query_log_is_set_aside_and_a_new_one_begun(self):
        home = self.home()
        home.start()
        home.dig("www.example")
        home.rows()
        database = next((home.folder / "state").glob("*.db"))
        home.stop()
        for rest in (database.with_name(database.name + "-wal"), database.with_name(database.name + "-shm")):
            rest.unlink(missing_ok=True)
        octets = bytearray(database.read_bytes())
        octets[100:8192] = b"\xaa" * (8192 - 100)
        database.write_bytes(octets)
        home.start()
        home.dig("www.example")
        home.rows()
        self.assertTrue(list((home.folder / "state").glob("*.corrupt-*")))
        self.assertIn("corrupt", home.told())

    def test_signals_end_it_cleanly_and_nothing_is_lost(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            home = self.home().start()
            for _ in range(50):
                home.dig("www.example")
            self.assertEqual(home.stop(number), 0)
            self.assertEqual(len(home.rows(count=50)), 50)
            self.assertEqual(home.command("status").returncode, 69)

    def test_privileges_are_gone_once_it_serves(self):
        home = self.home().start()
        status = Path(f"/proc/{home.process.pid}/status").read_text()
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            self.assertRegex(status, rf"{kind}:\s0000000000000000")
        self.assertRegex(status, r"NoNewPrivs:\s1")

    def test_without_a_download_there_is_no_curl_in_memory(self):
        home = self.home().start()
        self.assertNotIn("libcurl", Path(f"/proc/{home.process.pid}/maps").read_text())

    def test_malformed_queries_are_answered_as_the_rfcs_say_and_harm_nothing(self):
        home = self.home().start()
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", home.port))
        client.send(bytes.fromhex("0001 8000 0001 0000 0000 0000"))  # a response: no answer
        client.send(b"\x00")  # no header: no answer
        client.send(bytes.fromhex("0002 0100 0001 0000 0000 0000"))  # no question where one is announced
        self.assertEqual(client.recv(512)[:4], bytes.fromhex("0002 8181"))
        client.send(bytes.fromhex("0003 2900 0000 0000 0000 0000"))  # UPDATE
        answer = client.recv(512)
        self.assertEqual((answer[:2], answer[3] & 15), (bytes.fromhex("0003"), 4))
        self.assertEqual(home.dig("www.example", "A", "+edns=1", "+noednsneg").status, "BADVERS")
        self.assertEqual(home.dig("www.example").status, "NOERROR")
        queries = home.status()["queries"]
        self.assertEqual(queries["received"], queries["answered"] + queries["dropped_malformed"])
        self.assertIn(f"{queries['rejected'] + 2} not understood", home.command("status").stdout)

    def test_the_manual_page_and_the_completions_say_what_the_program_says(self):
        package = PROJECT / "cmake/package"
        page = subprocess.run([package / "manual.sh", DOLINE], capture_output=True, text=True, check=True, timeout=300).stdout
        home = Path(tempfile.mkdtemp(prefix="doline-lab-"))
        self.addCleanup(shutil.rmtree, home)
        (home / "doline").symlink_to(DOLINE)

        def completed(*words):
            script = f'. {package}/completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _doline; printf "%s\\n" "${{COMPREPLY[@]}}"'
            done = subprocess.run(["bash", "-c", script, "bash", "doline", *words], capture_output=True, text=True, timeout=60,
                                  env={**os.environ, "PATH": f"{home}:{os.environ['PATH']}"})
            self.assertEqual(done.stderr, "")
            return done.stdout.split()

        def walk(*words):
            text = self.lone_help(*words)
            parts = text.split("Subcommands:\n")[1:]
            below = re.findall(r"^  ([a-z]+) ", parts[0].split("\n\n")[0], re.M) if parts else []
            options = re.findall(r"^  (?:-\w,)?(--[a-z-]+)", text, re.M)
            if words:
                self.assertIn(f".Ss doline {' '.join(words)}\n", page)
                section = page.split(f".Ss doline {' '.join(words)}\n")[1].split(".Ss ")[0].replace("\\-", "-")
                for option in set(options) - {"--help"}:
                    self.assertRegex(section, rf'\.It Sy "(-\w,)?{option}[ "]', words)
            self.assertLessEqual({*below, *options}, set(completed(*words, "")), words)
            for one in below:
                walk(*words, one)
        walk()
        self.assertIn("flush", completed("fl"))
        self.assertEqual(completed("log", "--verdict", "re"), ["rewrite", "refuse", "rebinding", "rejected"])
        self.assertEqual(completed("log", "--config", ""), [])  # files, by bash itself
        if shutil.which("groff"):
            told = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, timeout=60)
            self.assertEqual(told.stderr, "")
        described = {number for number in re.findall(r"^\.It (\d+)$", page, re.M)}
        known = re.findall(r"exit_\w+ = (\d+);", (PROJECT / "src/doline/exit_status.h").read_text())
        self.assertEqual(described, set(known))

    def lone_help(self, *words):
        return subprocess.run([DOLINE, *words, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout

    def test_the_commands_that_only_print(self):
        self.assertRegex(subprocess.run([DOLINE, "version"], capture_output=True, text=True).stdout, r"^doline \d+\.\d+\.\d+\n$")
        limits = subprocess.run([DOLINE, "limits", "--json"], capture_output=True, text=True).stdout.splitlines()
        self.assertGreater(len([json.loads(line) for line in limits]), 30)
        for command in ("run", "check", "explain", "log", "devices", "status", "limits", "redirect"):
            done = subprocess.run([DOLINE, command, "--help"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0)
            self.assertIn("Example", done.stdout, command)
        self.assertEqual(subprocess.run([DOLINE, "frobnicate"], capture_output=True).returncode, 64)


if __name__ == "__main__":
    for tool in ("dig", "knotd"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            sys.exit(SKIPPED)
    unittest.main(verbosity=2)
