#!/usr/bin/env bash
# What interception costs, and how long a device is without DNS when something is killed: prints the table of README.md.
#   - CPU time of Doline's threads and of its warden, from the kernel's account, for each query (asked directly; stray, in tproxy
#     and nat, IPv4 and IPv6; of a device that may connect only to what answers gave it), each from a new port and answered from the
#     cache, and for each new connection that is recorded;
#   - the time from kill -9 to the next answer for a device that asks each second, from the one port that it keeps. Where both processes
#     are killed, `redirect remove --after-crash` follows, as a service manager has it.
# Five rounds, medians. `interception_cost.sh [cost|recovery]`; QUERIES, CONNECTIONS: of a round. For people: six minutes.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/../lab/home.sh"
home_enter "$0" "$@"

parts=${1:-cost recovery}
queries=${QUERIES:-20000} connections=${CONNECTIONS:-24000} rounds=5
config=$lab/doline.yml
home_build
home_internet api.wyzecam.com
cat >"$lab/ask.py" <<'PY'
"""SERVER COUNT: so many queries, each from a port of its own, 32 at a time; all are answered."""
import socket, sys
server, count = sys.argv[1], int(sys.argv[2])
query = bytes.fromhex("000101000001000000000000036170690777797a6563616d03636f6d0000010001")
for _ in range(count // 32):
    doors = [socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) for _ in range(32)]
    for door in doors:
        door.settimeout(2)
        door.connect((server, 53))
        door.send(query)
    for door in doors:
        door.recv(512)
        door.close()
PY
cat >"$lab/connect.py" <<'PY'
"""FIRST COUNT MAC: so many UDP flows of 128 devices, by whole frames, 8,000 a second, to the addresses from FIRST on."""
import ipaddress, socket, struct, sys, time
first, count, gateway = int(ipaddress.ip_address(sys.argv[1])), int(sys.argv[2]), bytes.fromhex(sys.argv[3].replace(":", ""))
def total(octets):
    sum_ = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    sum_ = (sum_ & 0xFFFF) + (sum_ >> 16)
    return 0xFFFF & ~(sum_ + (sum_ >> 16))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0x0800))
begin = time.monotonic()
for i in range(count):
    device = i % 128
    head = struct.pack(">BBHHHBBH4s4s", 69, 0, 36, 0, 0, 64, 17, 0, bytes([192, 168, 50, 100 + device]), (first + i // 50000).to_bytes(4, "big"))
    head = head[:10] + struct.pack(">H", total(head)) + head[12:]
    wire.send(gateway + bytes([2, 0xD0, 0x11, 1, 0x50, device]) + b"\x08\x00" + head + struct.pack(">HHHH", 20000, 10000 + i % 50000, 16, 0) + b"12345678")
    if i % 100 == 0:
        time.sleep(max(0, begin + i / 8000 - time.monotonic()))
PY
cat >"$lab/retry.py" <<'PY'
"""SERVER FILE: asks each second from one port, and says in FILE, for each answer, when it came (CLOCK_MONOTONIC, ms)."""
import socket, sys, time
family, own = (socket.AF_INET6, "2001:db8:50::31") if ":" in sys.argv[1] else (socket.AF_INET, "192.168.50.31")
query = bytes.fromhex("01000001000000000000036170690777797a6563616d03636f6d0000010001")
door = socket.socket(family, socket.SOCK_DGRAM)
door.bind((own, 5555))
number, due = 0, time.monotonic()
with open(sys.argv[2], "w") as out:
    while True:
        number += 1
        try:
            door.sendto(number.to_bytes(2, "big") + query, (sys.argv[1], 53))
        except OSError:
            pass  # what is refused is told at the next occasion
        due += 1
        while (left := due - time.monotonic()) > 0:
            door.settimeout(left)
            try:
                if door.recv(512)[:2] == number.to_bytes(2, "big"):
                    print(round(1000 * time.monotonic()), file=out, flush=True)
            except OSError:
                pass
PY

write_config() { # LINE...
  rm -rf "$lab/state" "$lab"/doline.db*
  cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
allow_clients: [private, "2001:db8:50::/64"]
workers: 1
state: $lab/state
querylog: {path: $lab/doline.db}
devices: {camera: {mac: "$camera_mac", groups: [cameras]}, phone: {mac: "$phone_mac"}}
YAML
  printf '%s\n' "$@" >>"$config"
}
is_applied() { on gateway "$doline" redirect status --config "$config"; }
begin() {
  start doline gateway "$doline" run --config "$config"
  until_true 30 is_applied || { cat "$lab/doline.log"; exit 1; }
  read -r warden_id _ <"/proc/$doline_id/task/$doline_id/children" || true # it ends without a line feed
}
end() {
  kill -TERM "$doline_id" 2>/dev/null || true
  wait "$doline_id" 2>/dev/null || true
  until_true 10 is_over "$warden_id" || kill -KILL "$warden_id"
}
is_over() { ! kill -0 "$1" 2>/dev/null; }
nanoseconds_of() { cat "/proc/$1"/task/*/schedstat | awk '{all += $1} END {printf "%.0f", all}'; }

# measure WHAT COUNT SECONDS PLACE COMMAND...: a line of $lab/costs; so long after it, what is written later has been written
measure() {
  local resolver warden
  resolver=$(nanoseconds_of "$doline_id") warden=$(nanoseconds_of "$warden_id")
  on "$4" "${@:5}"
  sleep "$3"
  printf '%s\t%s\t%s\n' "$1" $((($(nanoseconds_of "$doline_id") - resolver) / $2)) $((($(nanoseconds_of "$warden_id") - warden) / $2)) >>"$lab/costs"
}

costs() {
  local mode round family how what
  local -A direct=([IPv4]=$gateway4 [IPv6]=$gateway6) stray=([IPv4]=114.114.114.114 [IPv6]=2400:3200::1)
  for mode in tproxy nat; do
    write_config "redirect: {mode: $mode, interfaces: [home0, iot0]}"
    begin
    for ((round = 0; round <= rounds; ++round)); do
      for family in IPv4 IPv6; do
        what="$mode, $family"
        measure "query to Doline itself ($what)" "$queries" 2 camera python3 "$lab/ask.py" "${direct[$family]}" "$queries"
        measure "stray query ($what)" "$queries" 2 camera python3 "$lab/ask.py" "${stray[$family]}" "$queries"
      done
      ((round > 0)) || : >"$lab/costs.$mode" # the first warms up
      ((round > 0)) && cat "$lab/costs" >>"$lab/costs.$mode"
      : >"$lab/costs"
    done
    end
  done
  write_config "redirect: {mode: tproxy, interfaces: [home0, iot0]}" "groups: {cameras: {flows: only-resolved}}"
  begin
  for ((round = 0; round <= rounds; ++round)); do
    for how in "phone not held" "camera only-resolved"; do
      measure "stray query (tproxy, IPv4), device ${how#* }" "$queries" 2 "${how%% *}" python3 "$lab/ask.py" 114.114.114.114 "$queries"
    done
    ((round > 0)) || : >"$lab/costs.gate"
    ((round > 0)) && cat "$lab/costs" >>"$lab/costs.gate"
    : >"$lab/costs"
  done
  end
  write_config "redirect: {mode: off, interfaces: [home0, iot0]}" "flows: {watch: true, warm_up: 0s}"
  begin
  : >"$lab/costs.flows"
  for ((round = 1; round <= rounds; ++round)); do
    measure "new connection, recorded (watch, IPv4)" "$connections" 6 camera python3 "$lab/connect.py" "120.24.$round.1" "$connections" 02:d0:11:00:50:01
  done
  on gateway "$doline" status --config "$config" | grep '^flows'
  end
  cat "$lab/costs" >"$lab/costs.flows"
  printf '\n| CPU time, microseconds each (median, least to most of %s rounds) | resolver | warden |\n|---|---|---|\n' "$rounds"
  python3 - "$lab"/costs.{tproxy,nat,gate,flows} <<'PY'
import statistics, sys
rows = {}
for file in sys.argv[1:]:
    for line in open(file):
        what, *figures = line.rstrip("\n").split("\t")
        rows.setdefault(what, []).append([int(figure) / 1000 for figure in figures])
for what, rounds in rows.items():
    cells = [f"{statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})" for each in zip(*rounds)]
    print("|", what, "|", " | ".join(cells), "|")
PY
}

# now_ms: of the clock that retry.py has
now_ms() { awk '{printf "%.0f", 1000 * $1}' /proc/uptime; }
last_answer() { tail -qn 1 "$lab/retry$1" 2>/dev/null || true; }
# answered_since FAMILY TIME
answered_since() { local last; last=$(last_answer "$1"); [[ -n $last && $last -gt $2 ]]; }

recovery() {
  local mode who round family killed
  for mode in tproxy nat; do
    write_config "redirect: {mode: $mode, interfaces: [home0, iot0]}"
    for who in resolver warden both; do
      : >"$lab/waits"
      for ((round = 1; round <= rounds; ++round)); do
        begin
        start retry4 camera python3 "$lab/retry.py" 114.114.114.114 "$lab/retry4"
        start retry6 camera python3 "$lab/retry.py" 2400:3200::1 "$lab/retry6"
        killed=$(now_ms)
        { until_true 10 answered_since 4 "$killed" && until_true 10 answered_since 6 "$killed"; } || echo "no answer before anything was killed"
        sleep "0.$((RANDOM % 9 + 1))" # the death comes at any time of the device's second
        killed=$(now_ms)
        case $who in
          resolver)
            kill -KILL "$doline_id"
            wait "$doline_id" 2>/dev/null || true ;;
          warden) kill -KILL "$warden_id" ;;
          both)
            kill -KILL "$doline_id" "$warden_id"
            wait "$doline_id" 2>/dev/null || true
            on gateway "$doline" redirect remove --after-crash --config "$config" >/dev/null 2>&1 || true ;;
        esac
        for family in 4 6; do
          until_true 20 answered_since "$family" $((killed + 30)) || echo 20000 # none came in that time
          awk -v killed=$((killed + 30)) -v from="$killed" '$1 > killed {print $1 - from; exit}' "$lab/retry$family" # 30: answered before
        done | paste -sd ' ' >>"$lab/waits"
        kill "$retry4_id" "$retry6_id"
        wait "$retry4_id" "$retry6_id" 2>/dev/null || true
        end
        on gateway "$doline" redirect remove --config "$config" >/dev/null 2>&1 || true
      done
      python3 - "$mode, $who" "$lab/waits" <<'PY'
import statistics, sys
columns = list(zip(*([int(word) for word in line.split()] for line in open(sys.argv[2]))))
print("|", sys.argv[1], "|", " | ".join(f"{statistics.median(each):.0f} ({min(each)} to {max(each)})" for each in columns), "|")
PY
    done
  done >"$lab/recovery"
  printf '\n| milliseconds from kill -9 to the next answer (median, least to most of %s) | IPv4 | IPv6 |\n|---|---|---|\n' "$rounds"
  cat "$lab/recovery"
}

for part in $parts; do
  case $part in
    cost) costs ;;
    recovery) recovery ;;
    *) echo "interception_cost.sh [cost|recovery]"; exit 64 ;;
  esac
done
