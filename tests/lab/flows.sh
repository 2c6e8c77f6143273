#!/usr/bin/env bash
# What devices connect to, set against what they looked up; and audit, which alters nothing. The reported case: a camera sends UDP to
# port 10240 of three addresses that nothing ever named. A phone looks up over IPv4 and connects over both. In audit mode the foreign
# resolvers answer on, and each query to them is recorded. What is removed leaves the gateway's ruleset byte for byte. Prints what was
# recorded; exit code 1 where it is wrong.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"

wrong=0
config=$lab/doline.yml
say_wrong() { printf '   WRONG: %s\n' "$*"; wrong=1; }

# configure LINE...: the configuration, with these lines behind what all have
configure() {
  rm -rf "$lab/state" "$lab"/doline.db*
  cat >"$config" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
allow_clients: [private, "2001:db8:50::/64"]
state: $lab/state
querylog: {path: $lab/doline.db}
devices:
  camera: {mac: "$camera_mac"}
  phone: {mac: "$phone_mac"}
YAML
  printf '%s\n' "$@" >>"$config"
}
is_applied() { on gateway "$doline" redirect status --config "$config"; }
begin() {
  ruleset=$(on gateway nft list ruleset)
  start doline gateway "$doline" run --config "$config"
  until_true 30 is_applied || { cat "$lab/doline.log"; say_wrong "the rules are not in place"; exit 1; }
  on gateway "$doline" redirect verify --config "$config" >"$lab/verify.log" || { cat "$lab/verify.log"; say_wrong "verify"; }
}
remove() {
  on gateway "$doline" redirect remove --config "$config" >"$lab/remove.log" 2>&1 || { cat "$lab/remove.log"; say_wrong "remove"; }
  [[ $(on gateway nft list ruleset) == "$ruleset" ]] || { diff <(echo "$ruleset") <(on gateway nft list ruleset); say_wrong "the ruleset is not as it was"; }
}
finish() {
  kill -TERM "$doline_id"
  wait "$doline_id" || say_wrong "Doline ended with $?"
  [[ $(on gateway nft list ruleset) == "$ruleset" ]] || say_wrong "the ruleset is not as it was"
  ! grep -i ' error: \| critical: ' "$lab/doline.log" || say_wrong "errors in Doline's log"
}

# flows OPTION...: rows as `explanation protocol address port name`, oldest first
flows() {
  "$doline" flows --config "$config" --json --limit 0 "$@" | python3 -c '
import json, sys
for row in map(json.loads, sys.stdin):
    print(row["explanation"].replace(" ", "-"), row["protocol"], row["address"], row["port"], row["name"] or "-", row["mac"] or "-", sep=" ")'
}
count_is() { [[ $(flows "${@:2}" | wc -l) == "$1" ]]; }
# expect ROWS OPTION...
expect() {
  local rows=$1
  until_true 20 count_is "$(wc -l <<<"$rows")" "${@:2}" || true
  local found
  found=$(flows "${@:2}" | sort)
  [[ $found == "$(sort <<<"$rows")" ]] || { diff <(sort <<<"$rows") <(echo "$found") || true; say_wrong "connections ($*)"; }
}
# say PLACE ADDRESS PORT [COUNT]: a datagram, from one port
say() { on "$1" python3 -c '
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
door = socket.socket(family, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[3])): door.sendto(b"x" * 100, (sys.argv[1], int(sys.argv[2])))' "$2" "$3" "${4:-1}"; }
# shellcheck disable=SC2016  # for that shell
call() { on "$1" timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/$2"' - "$2" "$3" 2>/dev/null || true; }

home_build
home_internet api.wyzecam.com
for address in "$truth4" "$truth6" "$lie4"; do ip -n internet addr add "$address" dev lo; done
# Somebody who answers each datagram with four times as much.
cat >"$lab/echo.py" <<'PY'
import socket, sys
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((sys.argv[1], 5000))
while True:
    said, whom = door.recvfrom(2000)
    door.sendto(said * 4, whom)
PY
start echo internet python3 "$lab/echo.py" "$truth4"

# ── connections ──
configure "redirect: {mode: tproxy, interfaces: [home0, iot0], encrypted: log}" "flows: {watch: true, warm_up: 0s}"
begin
for address in 120.24.59.150 61.188.37.216 114.215.137.159; do say camera "$address" 10240 5; done
expect "without-lookup 17 120.24.59.150 10240 - $camera_mac
without-lookup 17 61.188.37.216 10240 - $camera_mac
without-lookup 17 114.215.137.159 10240 - $camera_mac" --device camera
"$doline" flows --config "$config" --device camera

for type in A AAAA; do on phone dig +short "@$gateway4" api.wyzecam.com "$type" >/dev/null; done
say phone "$truth4" 5000
say phone "$truth6" 5000
call phone "$truth4" 8443
call phone "$truth6" 8443
say phone 203.0.113.2 123
say phone 203.0.113.2 4500
expect "looked-up 17 $truth4 5000 api.wyzecam.com $phone_mac
looked-up 17 $truth6 5000 api.wyzecam.com $phone_mac
looked-up 6 $truth4 8443 api.wyzecam.com $phone_mac
looked-up 6 $truth6 8443 api.wyzecam.com $phone_mac
time 17 203.0.113.2 123 - $phone_mac
without-lookup 17 203.0.113.2 4500 - $phone_mac" --device phone
# From here on it asks somebody whose answers nobody here sees.
call phone 8.8.8.8 853
until_true 20 count_is 1 --address 8.8.8.8 || say_wrong "encrypted DNS is not recorded"
"$doline" flows --config "$config" --address 8.8.8.8 | says 'encrypted DNS' || say_wrong "encrypted DNS is not told"
say phone 203.0.113.2 4501
asked_elsewhere() { flows --device phone | says "asked-elsewhere 17 203.0.113.2 4501"; }
until_true 20 asked_elsewhere || say_wrong "a device that asks elsewhere is accused"
on gateway "$doline" status --config "$config" | grep '^flows' || say_wrong "status does not tell of connections"
# Conntrack is asked once a minute, or tells at the end.
counted() {
  "$doline" flows --config "$config" --json --address "$truth4" --limit 0 | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
sys.exit(not any(row["octets_out"] == 128 and row["octets_in"] == 428 and row["packets_in"] == 1 for row in rows))'
}
until_true 90 counted || { "$doline" flows --config "$config" --json --address "$truth4"; say_wrong "octets are not counted"; }
"$doline" flows --config "$config" --summary
remove
finish

# ── audit ──
configure "redirect: {mode: audit, interfaces: [home0, iot0]}" "flows: {watch: true, warm_up: 0s}"
begin
for server in 114.114.114.114 2400:3200::1; do
  for over in +notcp +tcp; do
    [[ $(on camera dig +short +tries=1 +time=2 "$over" "@$server" "audit.example" A) == "$lie4" ]] || say_wrong "$server does not answer ($over)"
  done
done
audited() {
  "$doline" log --config "$config" --verdict audited --json --limit 0 | python3 -c '
import json, sys
for row in map(json.loads, sys.stdin):
    print(row["device"], row["mac"], row["original_destination"], row["original_port"], row["transport"], row["qname"], row["qtype"], row["intercepted_by"])' | sort
}
audited_rows="camera $camera_mac 114.114.114.114 53 tcp audit.example A seen
camera $camera_mac 114.114.114.114 53 udp audit.example A seen
camera $camera_mac 2400:3200::1 53 tcp audit.example A seen
camera $camera_mac 2400:3200::1 53 udp audit.example A seen"
all_audited() { [[ $(audited) == "$audited_rows" ]]; }
until_true 20 all_audited || { diff <(echo "$audited_rows") <(audited) || true; say_wrong "not every query is recorded"; }
"$doline" log --config "$config" --verdict audited
say camera "$lie4" 443
elsewhere() { flows --address "$lie4" | says '^asked-elsewhere'; }
until_true 20 elsewhere || say_wrong "a device whose answers are not seen is accused"
[[ $(on gateway nft list tables) != *"inet doline"$'\n'* ]] || say_wrong "audit alters something"
remove
on camera dig +short +tries=1 +time=2 @114.114.114.114 audit.example A >/dev/null
finish

# ── encrypted DNS alone ──
echo api.wyzecam.com >"$lab/doh.txt"
echo 192.0.2.1 >"$lab/doh-addresses.txt"
configure "redirect: {mode: off, interfaces: [home0, iot0], encrypted: log}" "lists: {doh: {file: $lab/doh.txt, kind: doh}, doh-addresses: {file: $lab/doh-addresses.txt, kind: doh}}"
begin
for type in A AAAA; do on phone dig +short "@$gateway4" api.wyzecam.com "$type" >/dev/null; done
call phone "$truth4" 443
say phone "$truth6" 443
say phone "$truth4" 5000
say phone 61.188.37.216 443
call phone 8.8.8.8 853
expect "looked-up 6 $truth4 443 api.wyzecam.com $phone_mac
looked-up 17 $truth6 443 api.wyzecam.com $phone_mac
resolver 6 8.8.8.8 853 - $phone_mac"
printf '61.188.37.0/24\n' >"$lab/doh-addresses.txt.new"
mv "$lab/doh-addresses.txt.new" "$lab/doh-addresses.txt"
is_followed() { say phone 61.188.37.216 443; ! count_is 0 --address 61.188.37.216; }
until_true 20 is_followed || say_wrong "what is recorded does not follow the list"
! "$doline" flows --config "$config" --limit 0 | grep -w 'UDP\|TCP' | grep -v 'encrypted DNS' || say_wrong "more than encrypted DNS is recorded"
remove
finish

# ── what the gate refuses ──
configure "redirect: {mode: tproxy, interfaces: [home0, iot0], encrypted: reject}" "flows: {watch: true, warm_up: 0s}" \
  "groups: {strict: {network: 192.168.50.31/32, flows: only-resolved}}"
begin
is_held() { say camera 61.188.37.216 10240 && "$doline" flows --config "$config" | says '61.188.37.216:10240 .*WITHOUT LOOKUP, refused'; }
until_true 20 is_held || say_wrong "a refused connection is not told as such"
call phone 8.8.8.8 853
say phone 61.188.37.216 10240
is_told() { "$doline" flows --config "$config" --device phone | says '8.8.8.8:853 .*encrypted DNS, refused'; }
until_true 20 is_told || say_wrong "refused encrypted DNS is not told as such"
# Who is refused gets no answers elsewhere, and is accused.
expect "without-lookup 17 61.188.37.216 10240 - $phone_mac" --device phone --address 61.188.37.216
! "$doline" flows --config "$config" --device phone --address 61.188.37.216 | grep refused || say_wrong "what passed is told as refused"
remove
finish

# ── watching alone ──
configure "redirect: {mode: off, interfaces: [home0]}" "flows: {watch: true}"
begin
say camera 120.24.59.150 10240
expect "warming-up 17 120.24.59.150 10240 - $camera_mac" --device camera
kill -KILL "$doline_id"
wait "$doline_id" 2>/dev/null || true
is_as_before() { [[ $(on gateway nft list ruleset) == "$ruleset"* ]] && ! on gateway nft list table inet doline_watch; }
until_true 20 is_as_before || say_wrong "rules outlive Doline"
"$doline" log forget --config "$config" --device camera
count_is 0 || say_wrong "a forgotten device's connections are there"
exit "$wrong"
