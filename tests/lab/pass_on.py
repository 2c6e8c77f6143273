#!/usr/bin/env python3
"""pass_on.py udp|tcp BOX CLIENT DESTINATION NAME: asks BOX as a router that puts a PROXY header (version 2) before the question,
and prints the response code; the response must come from BOX, with the question's ID."""

import ipaddress
import socket
import struct
import sys

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


def header(client, destination, transport):
    ends = [ipaddress.ip_address(text) for text in (client, destination)]
    family = 0x10 if ends[0].version == 4 else 0x20
    body = b"".join(end.packed for end in ends) + struct.pack(">HH", 5555, 53)
    return SIGNATURE + bytes([0x21, family | (2 if transport == "udp" else 1)]) + struct.pack(">H", len(body)) + body


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def main(transport, box, client, destination, name):
    family = socket.AF_INET6 if ":" in box else socket.AF_INET
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    message = question(name)
    with socket.socket(family, kind) as connection:
        connection.settimeout(3)
        connection.connect((box, 53))
        head = header(client, destination, transport)
        if transport == "udp":
            connection.send(head + message)
            response = connection.recv(4096)
        else:
            connection.sendall(head + struct.pack(">H", len(message)) + message)
            with connection.makefile("rb") as stream:
                response = stream.read(struct.unpack(">H", stream.read(2))[0])
    identity, flags = struct.unpack(">HH", response[:4])
    if flags & 15 == 0 and identity != 4711:
        sys.exit("another question's response")
    print(CODES.get(flags & 15, str(flags & 15)))


if __name__ == "__main__":
    main(*sys.argv[1:])
