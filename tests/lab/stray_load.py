"""Devices that ask a foreign resolver steadily, and what becomes of each query: stray_load.py SECONDS RATE TRUTH4 TRUTH6 NAME...

Runs at the device's place until SECONDS have passed or its standard input ends. 64 sockets, IPv4 and IPv6, each with a source port that
it keeps, as a device has; every query its own ID, sent once and never again. Prints one line of JSON: how many were sent, answered by the
trusted upstream (`ours`), answered by somebody else (`leaked`), and not answered (`lost`).
"""

import json
import random
import select
import socket
import struct
import sys
import time

PATIENCE = 4.0  # after the last query
FOREIGN = {socket.AF_INET: ("114.114.114.114", 53), socket.AF_INET6: ("2400:3200::1", 53)}


def query(identifier, name, qtype):
    wire = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    return struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0) + wire + struct.pack("!2H", qtype, 1)


def main():
    lasts, rate, truth4, truth6, *names = sys.argv[1:]
    truths = {socket.AF_INET: socket.inet_pton(socket.AF_INET, truth4), socket.AF_INET6: socket.inet_pton(socket.AF_INET6, truth6)}
    sockets = []
    for number in range(64):
        family = socket.AF_INET if number % 2 == 0 else socket.AF_INET6
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.setblocking(False)
        one.connect(FOREIGN[family])
        sockets.append(one)
    by_descriptor = {one.fileno(): one for one in sockets}
    poll = select.poll()
    for one in sockets:
        poll.register(one, select.POLLIN)
    waiting, result = set(), {"sent": 0, "ours": 0, "leaked": 0, "lost": 0}
    begin = time.monotonic()
    end, next_at, number = begin + float(lasts), begin, 0
    while True:
        now = time.monotonic()
        if now >= end + PATIENCE or (now >= end and not waiting):
            break
        if select.select([sys.stdin], [], [], 0)[0] and not sys.stdin.read(1):
            end = min(end, now)
        while next_at <= now < end:
            one = sockets[number % len(sockets)]
            identifier = number // len(sockets) % 65536
            qtype = 1 if one.family == socket.AF_INET else 28
            number += 1
            next_at += 1 / float(rate)
            try:
                one.send(query(identifier, random.choice(names), qtype))
            except OSError:  # an ICMP error for the one before; this one was not sent
                continue
            result["sent"] += 1
            waiting.add((one.fileno(), identifier))
        for descriptor, _ in poll.poll(2):
            one = by_descriptor[descriptor]
            try:
                answer = one.recv(4096)
            except OSError:
                continue
            key = (descriptor, struct.unpack("!H", answer[:2])[0])
            if key in waiting:
                waiting.discard(key)
                result["ours" if truths[one.family] in answer else "leaked"] += 1
    result["lost"] = len(waiting)
    print(json.dumps(result))


main()
