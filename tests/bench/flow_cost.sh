#!/usr/bin/env bash
# What a new connection of a device costs the warden and the log writer, beside a query: CPU time of each thread, from the kernel's
# account, over 60,000 of each, three rounds. `flow_cost.sh [PER_SECOND]`: so many connections a second (8,000). For people.
# shellcheck disable=SC2154  # what home.sh and start set
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/../lab/home.sh"
home_enter "$0" "$@"

rate=${1:-8000} count=60000
config=$lab/doline.yml
home_build
home_internet api.wyzecam.com
cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
workers: 1
state: $lab/state
querylog: {path: $lab/doline.db}
redirect: {mode: off, interfaces: [home0, iot0]}
flows: {watch: true, warm_up: 0s}
YAML
cat >"$lab/connect.py" <<'PY'
import ipaddress, socket, sys, time
first, count, rate = int(ipaddress.ip_address(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3])
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begin = time.monotonic()
for i in range(count):
    door.sendto(b"12345678", (str(ipaddress.ip_address(first + i // 50000)), 10000 + i % 50000))
    if i % 100 == 0:
        time.sleep(max(0, begin + i / rate - time.monotonic()))
PY
cat >"$lab/ask.py" <<'PY'
import socket, sys
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.connect((sys.argv[1], 53))
door.settimeout(2)
query = bytes.fromhex("01000001000000000000036170690777797a6563616d03636f6d0000010001")
sent = got = 0
while got < int(sys.argv[2]):
    while sent - got < 32 and sent < int(sys.argv[2]):
        door.send(sent.to_bytes(4, "big")[2:] + query)
        sent += 1
    door.recv(512)
    got += 1
PY

start doline gateway "$doline" run --config "$config"
is_applied() { on gateway "$doline" redirect status --config "$config"; }
until_true 30 is_applied || { cat "$lab/doline.log"; exit 1; }
read -r warden_id _ <"/proc/$doline_id/task/$doline_id/children" || true # it ends without a line feed

# account FILE: thread and its nanoseconds
account() {
  local thread name nanoseconds
  for thread in "/proc/$doline_id"/task/* "/proc/$warden_id"/task/*; do
    name=$(<"$thread/comm")
    read -r nanoseconds _ <"$thread/schedstat"
    printf '%s/%s %s\n' "${name// /-}" "${thread##*/}" "$nanoseconds"
  done | sort >"$1"
}
# measure WHAT COMMAND...
measure() {
  local what=$1
  account "$lab/before"
  on camera "${@:2}"
  sleep 6 # until what is held has been judged and written
  account "$lab/after"
  printf '%s\n' "$what"
  join "$lab/before" "$lab/after" | awk -v count="$count" '
    {took = ($3 - $2) / 1000; if (took > 1000) printf "  %-24s %9.1f ms %8.2f us each\n", $1, took / 1000, took / count}'
}
# Connections last: conntrack remembers them for a while, and the warden asks it once a minute what each has carried.
for round in 1 2 3; do measure "$count queries, answered from the cache" python3 "$lab/ask.py" "$gateway4" "$count"; done
for round in 1 2 3; do
  measure "$count new connections, $rate a second" python3 "$lab/connect.py" "120.24.$((round * 2)).1" "$count" "$rate"
  on gateway "$doline" status --config "$config" | grep '^flows'
done
