#!/usr/bin/env python3
"""Traffic for gate.sh: the Internet that answers, and devices that resolve and connect.

  serve                              every address of this place answers: echo on UDP and TCP 10240, 443 and 853, and UDP 8853
  pairs RESOLVER FAMILY COUNT FIRST  COUNT times: ask for a name never asked before, connect at once to the answer, by UDP and TCP
                                     in turn; prints `COUNT connected, N refused, N lost, N unanswered, N us to resolve`
  connect udp|tcp ADDRESS PORT       `connected`, `refused` or `lost`, and after how many milliseconds
  hold ADDRESS FILE                  one TCP connection, an octet each tenth of a second; writes what it has seen into FILE
  insist ADDRESS FILE                one TCP connection after the other; writes into FILE how many `connected`, and how many not: `refused`
  flood RESOLVER SECONDS             asks for one name as fast as it can; prints how many answers came in that time
"""
import os
import selectors
import socket
import struct
import sys
import time

ECHO = 10240


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def query(name, qtype, number):
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + question + struct.pack(">HH", qtype, 1)


def serve():
    ready = selectors.DefaultSelector()
    for family in (socket.AF_INET, socket.AF_INET6):
        for port in (ECHO, 443, 853, 8853):
            datagrams = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
                datagrams.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
            else:
                datagrams.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
            datagrams.bind(("", port))
            ready.register(datagrams, selectors.EVENT_READ, "datagrams")
        for port in (ECHO, 443, 853):
            door = socket.socket(family, socket.SOCK_STREAM)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            door.bind(("", port))
            door.listen(4096)
            ready.register(door, selectors.EVENT_READ, "door")
    while True:
        for key, _ in ready.select():
            if key.data == "datagrams":
                octets, about, _, whom = key.fileobj.recvmsg(512, 256)
                # From the very address that was asked.
                for level, kind, info in about:
                    if level == socket.IPPROTO_IP and kind == 8:
                        info = struct.pack("=I", 0) + info[8:12] + info[8:12]
                    else:
                        info = info[:16] + struct.pack("=I", 0)
                    key.fileobj.sendmsg([octets], [(level, kind, info)], 0, whom)
            elif key.data == "door":
                stream, _ = key.fileobj.accept()
                ready.register(stream, selectors.EVENT_READ, "stream")
            else:
                try:
                    octets = key.fileobj.recv(512)
                    if octets:
                        key.fileobj.send(octets)
                except OSError:
                    octets = b""
                if not octets:
                    ready.unregister(key.fileobj)
                    key.fileobj.close()


def connect(protocol, address, port):
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(family_of(address), kind) as device:
        device.settimeout(2)
        try:
            device.connect((address, port))
            device.send(b"?")
            return "connected" if device.recv(1) else "lost"
        except (ConnectionRefusedError, ConnectionResetError):
            return "refused"
        except OSError:
            return "lost"


def pairs(resolver, family, count, first):
    qtype, octets = (1, 4) if family == "4" else (28, 16)
    seen = {"connected": 0, "refused": 0, "lost": 0, "unanswered": 0}
    spent = 0.0
    asker = socket.socket(family_of(resolver), socket.SOCK_DGRAM)
    asker.settimeout(2)
    asker.connect((resolver, 53))
    for at in range(first, first + count):
        address = f"198.18.{at >> 8}.{at & 255}" if family == "4" else f"2001:db8:beef::{at >> 16:x}:{at & 0xFFFF:x}"
        name = (address.replace(".", "-") if family == "4" else full(address)) + ".pairs.lab.example"
        number = at & 0xFFFF
        begin = time.monotonic()
        try:
            asker.send(query(name, qtype, number))
            answer = asker.recv(512)
            while answer[:2] != struct.pack(">H", number):
                answer = asker.recv(512)
        except TimeoutError:
            seen["unanswered"] += 1
            continue
        spent += time.monotonic() - begin
        told = answer.find(struct.pack(">HHH", octets, 0, 0)[:2] + socket.inet_pton(family_of(address), address))
        if answer[3] & 15 or told < 0:
            seen["unanswered"] += 1
            continue
        seen[connect("udp" if at & 1 else "tcp", address, ECHO)] += 1
    answered = max(1, count - seen["unanswered"])
    print(", ".join(f"{value} {key}" for key, value in seen.items()) + f", {1e6 * spent / answered:.0f} us to resolve")


def full(address):
    octets = socket.inet_pton(socket.AF_INET6, address)
    return "-".join(octets[at : at + 2].hex() for at in range(0, 16, 2))


def hold(address, file):
    with socket.create_connection((address, ECHO), 2) as stream:
        stream.settimeout(2)
        count = 0
        while True:
            try:
                stream.send(b"!")
                count += len(stream.recv(1))
                said = str(count)
            except OSError:
                said = "ended"
            with open(file + ".new", "w", encoding="ascii") as out:
                out.write(said)
            os.replace(file + ".new", file)
            if said == "ended":
                return
            time.sleep(0.1)


def insist(address, file):
    connected = refused = 0
    while True:
        if connect("tcp", address, ECHO) == "connected":
            connected += 1
        else:
            refused += 1
        with open(file + ".new", "w", encoding="ascii") as out:
            out.write(f"{connected} connected, {refused} refused")
        os.replace(file + ".new", file)


def flood(resolver, how_long):
    asker = socket.socket(family_of(resolver), socket.SOCK_DGRAM)
    asker.settimeout(0.2)
    asker.connect((resolver, 53))
    octets = query("flood.lab.example", 1, 7)
    until, answered = time.monotonic() + how_long, 0
    while time.monotonic() < until:
        for _ in range(16):
            asker.send(octets)
        try:
            for _ in range(16):
                asker.recv(512)
                answered += 1
        except OSError:
            pass
    print(f"{answered} answers")


def main(words):
    if words[0] == "serve":
        serve()
    elif words[0] == "pairs":
        pairs(words[1], words[2], int(words[3]), int(words[4]))
    elif words[0] == "connect":
        begin = time.monotonic()
        said = connect(words[1], words[2], int(words[3]))
        print(said, round(1000 * (time.monotonic() - begin)))
    elif words[0] == "hold":
        hold(words[1], words[2])
    elif words[0] == "insist":
        insist(words[1], words[2])
    elif words[0] == "flood":
        flood(words[1], float(words[2]))


main(sys.argv[1:])
