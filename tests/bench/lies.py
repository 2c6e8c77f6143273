#!/usr/bin/env python3
"""Does bench_load find every lie? Asks with it a server that answers rightly, or wrong in one way, over UDP and over TCP.

usage: lies.py BENCH_LOAD"""

import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

NAMES = ("www.one.example", "two.example", "a.rather.long.name.of.three.example")
QUERIES = 30
A, CNAME, TXT, AAAA = 1, 5, 16, 28
OWNER = b"\xc0\x0c"  # the question's name


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def address_of(name):
    """What bench_echo answers: FNV-1a of the name in wire form without its end."""
    hashed = 2166136261
    for octet in wire(name)[:-1]:
        hashed = (hashed ^ (octet | 0x20)) * 16777619 & 0xFFFFFFFF
    return bytes([198, 18 + (hashed & 1), hashed >> 8 & 255, hashed >> 16 & 255])


def record(owner, kind, content):
    return owner + struct.pack(">HHIH", kind, 1, 3600, len(content)) + content


class Query:
    def __init__(self, octets):
        self.id, end, labels = octets[:2], 12, []
        while octets[end]:
            labels.append(octets[end + 1:end + 1 + octets[end]].decode())
            end += 1 + octets[end]
        self.name, self.question = ".".join(labels), octets[12:end + 5]
        self.right = address_of(self.name)

    def response(self, *records, ident=None, flags=0x8180, rcode=0, questions=1, question=None, cut=0, more=b""):
        octets = (ident or self.id) + struct.pack(">HHHHH", flags | rcode, questions, len(records), 0, 0)
        octets += (self.question if question is None else question) + b"".join(records) + more
        return octets[:len(octets) - cut]

    def answer(self, content=None, owner=OWNER, kind=A, **other):
        return self.response(record(owner, kind, self.right if content is None else content), **other)

    def alias(self, target, owner):
        return self.response(record(OWNER, CNAME, wire(target)), record(owner, A, self.right))


def other_id(query):
    return struct.pack(">H", struct.unpack(">H", query.id)[0] ^ 0xF000)


RIGHT = {  # what is no lie: the response, and what is expected
    "an address": (Query.answer, "address"),
    "the question in capitals": (lambda query: query.answer(question=query.question[:-5].upper() + query.question[-5:]), "address"),
    "the owner written out": (lambda query: query.answer(owner=wire(query.name)), "address"),
    "an alias": (lambda query: query.alias("of.example", wire("OF.example")), "address"),
    "an alias, by pointer": (lambda query: query.alias("of.example", struct.pack(">H", 0xC000 + 12 + len(query.question) + 12)), "address"),
    "no such name": (lambda query: query.response(rcode=3), "blocked"),
    "no record": (Query.response, "blocked"),
    "a null address": (lambda query: query.answer(bytes(4)), "blocked"),
    "anything": (lambda query: query.response(rcode=2), "anything"),
}
LIES = {
    "no response": (lambda query: query.answer(flags=0x0180), "address"),
    "no response, to what is blocked": (lambda query: query.response(flags=0x0180, rcode=3), "blocked"),
    "another ID": (lambda query: query.answer(ident=other_id(query)), "address"),
    "another operation": (lambda query: query.answer(flags=0xA180), "address"),
    "another name": (lambda query: query.answer(question=wire("bad.name") + query.question[-4:]), "address"),
    "another name of that length": (lambda query: query.answer(question=query.question[:1] + b"X" + query.question[2:]), "address"),
    "another name, blocked": (lambda query: query.response(rcode=3, question=wire("bad.name") + query.question[-4:]), "blocked"),
    "another type": (lambda query: query.answer(question=query.question[:-4] + b"\0\x1c\0\1"), "address"),
    "no question": (lambda query: query.response(question=b"", questions=0), "anything"),
    "two questions": (lambda query: query.response(questions=2, more=query.question, rcode=3), "blocked"),
    "another address": (lambda query: query.answer(b"\x09\x09\x09\x09"), "address"),
    "a null address for an address": (lambda query: query.answer(bytes(4)), "address"),
    "one address too many": (lambda query: query.response(record(OWNER, A, query.right), record(OWNER, A, b"\x09\x09\x09\x09")), "address"),
    "another owner": (lambda query: query.answer(owner=wire("bad.name")), "address"),
    "another owner, blocked": (lambda query: query.answer(bytes(4), owner=wire("bad.name")), "blocked"),
    "an alias that leads nowhere": (lambda query: query.response(record(OWNER, CNAME, wire("of.example"))), "address"),
    "an alias of another name": (lambda query: query.alias("of.example", wire("or.example")), "address"),
    "an owner in a circle": (lambda query: query.answer(owner=struct.pack(">H", 0xC000 + 12 + len(query.question))), "address"),
    "another class": (lambda query: query.response(OWNER + b"\0\1\0\3\0\0\0\1\0\4" + query.right), "address"),
    "another type of record": (lambda query: query.answer(b"\3abc", kind=TXT), "address"),
    "an IPv6 address": (lambda query: query.answer(bytes(16), kind=AAAA), "address"),
    "no record for an address": (Query.response, "address"),
    "no such name for an address": (lambda query: query.response(rcode=3), "address"),
    "failed": (lambda query: query.response(rcode=2), "address"),
    "cut off": (lambda query: query.answer(cut=3), "address"),
    "truncated": (lambda query: query.answer(flags=0x8380), "address"),
    "an address for what is blocked": (Query.answer, "blocked"),
    "refused for what is blocked": (lambda query: query.response(rcode=5), "blocked"),
    "failed for what is blocked": (lambda query: query.response(rcode=2), "blocked"),
    "only a header": (lambda query: query.response(question=b""), "blocked"),
}
STRAY = ("no response", "no response, to what is blocked", "another ID")  # over UDP: what was asked is lost then


class Liar:
    """Answers over UDP and TCP by `say`, until the program ends."""

    def __init__(self):
        self.say, self.udp, self.tcp = None, socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp.bind(("127.0.0.1", self.port))
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def serve_udp(self):
        while True:
            octets, client = self.udp.recvfrom(2000)
            self.udp.sendto(self.say(Query(octets)), client)

    def serve_tcp(self):
        while True:
            threading.Thread(target=self.serve, args=(self.tcp.accept()[0],), daemon=True).start()

    def serve(self, connection):
        with connection:
            while len(length := connection.recv(2, socket.MSG_WAITALL)) == 2:
                response = self.say(Query(connection.recv(struct.unpack(">H", length)[0], socket.MSG_WAITALL)))
                connection.sendall(struct.pack(">H", len(response)) + response)


def main(program):
    liar, failures = Liar(), []
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "names"
        names.write_text("\n".join(NAMES) + "\n")
        for is_lie, cases in ((False, RIGHT), (True, LIES)):
            for what, (liar.say, expect) in cases.items():
                for way in ("--sockets 1 --window 4", "--tcp 2"):
                    patience = 60 if is_lie and what in STRAY else 20_000
                    words = f"--port {liar.port} {way} --queries {QUERIES} --patience {patience} --names file={names},expect={expect}"
                    run = subprocess.run([program, *words.split()], capture_output=True, text=True, timeout=60, check=True)
                    got = json.loads(run.stdout)
                    found = got["wrong"] + (got["lost"] if got["stray"] >= got["lost"] else 0)
                    if found != (QUERIES if is_lie else 0) or got["sent"] != QUERIES or (not is_lie and got["stray"]):
                        failures.append(f"{what} ({way}): {run.stdout.strip()}")
    print("\n".join(failures) or f"{len(LIES)} lies found, {len(RIGHT)} truths believed, over UDP and TCP")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
