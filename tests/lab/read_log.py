#!/usr/bin/env python3
"""Every row of a query log, read as src/querylog/SCHEMA.md says, one JSON object a line: proof that the document suffices."""

import ipaddress
import json
import sqlite3
import sys

COLUMNS = ("time", "device", "client", "destination", "name", "qtype", "verdict", "answer", "destination_source", "transport", "rule",
           "lists", "observed", "observed_rule", "source", "rcode", "ttl", "upstream", "latency_us", "dnssec",
           "withheld")


def number(octets, at):
    value = shift = 0
    while True:
        value, shift, at = value | (octets[at] & 127) << shift, shift + 7, at + 1
        if octets[at - 1] < 128:
            return value, at


def set_of(octets, at, count):
    values = []
    for _ in range(count):
        more, at = number(octets, at)
        values.append(more + (values[-1] if values else 0))
    return values, at


def rows_of(first_number, head, body):
    rows, at = number(head, 1)
    columns, body_at = [], 0
    while at < len(head):
        column, coding = head[at], head[at + 1]
        count, at = number(head, at + 2)
        octets, at = number(head, at)
        values = None
        if coding == 0:
            values, at = set_of(head, at, count)
        columns.append((column, coding, count, values))
    table = {name: [0] * rows for name in COLUMNS}
    for column, coding, count, values in columns:
        if coding:
            values, body_at = set_of(body, body_at, count)
        bits = (count - 1).bit_length()
        end = body_at + (bits * rows + 7) // 8
        places, body_at = int.from_bytes(body[body_at:end], "little"), end
        if column < len(COLUMNS):
            table[COLUMNS[column]] = [values[places >> bits * row & (1 << bits) - 1] for row in range(rows)]
            if coding == 2:
                time = 0
                for row, value in enumerate(table[COLUMNS[column]]):
                    time += value // 2 if value % 2 == 0 else -(value + 1) // 2
                    table[COLUMNS[column]][row] = time
    return [{"number": first_number + row, **{name: table[name][row] for name in COLUMNS}} for row in range(rows)]


def name_of(key):
    labels, at = [], 0
    while at < len(key):
        labels.insert(0, key[at + 1:at + 1 + key[at]].decode("latin-1"))
        at += 1 + key[at]
    return ".".join(labels) or "."


def read(file):
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    database.execute("BEGIN")  # one state of the file, and of what ids mean in it
    devices = dict(database.execute("SELECT id, name FROM device"))
    names = {row: name_of(key) for row, key in database.execute("SELECT id, key FROM name")}
    texts = dict(database.execute("SELECT id, text FROM text"))
    endpoints = {row: (str(ipaddress.ip_address(address)), port) for row, address, port in database.execute("SELECT * FROM endpoint")}
    rows = [row for segment in database.execute("SELECT number, head, body FROM segment") for row in rows_of(*segment)]
    for row in rows:
        row.update(device=devices.get(row["device"]), name=names[row["name"]])
        row.update({column: texts.get(row[column]) for column in ("rule", "lists", "observed_rule")})
        row.update({column: endpoints.get(row[column]) for column in ("client", "destination", "upstream")})
    return sorted(rows, key=lambda row: (row["time"], row["number"]))


if __name__ == "__main__":
    for each in read(sys.argv[1]):
        print(json.dumps(each))
