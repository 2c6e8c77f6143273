#!/usr/bin/env bash
# Devices that may connect only to what an answer gave them (`flows: only-resolved`), and encrypted DNS by group. A camera resolves and
# connects at once, thousands of times, IPv4 and IPv6, under load: none may be refused. What no answer gave is refused at once; a phone
# is untouched; connections that are established outlive reloads and renewed rules; a locked device is held to its answers and to what
# its lock allows; whoever dies, the gate opens or stays shut as the operator wants. Prints what it saw; exit code 1 where it is wrong.
# gate.sh [tproxy|nat]; PAIRS=N: so many pairs of each family.
# shellcheck disable=SC2154,SC2317  # what home.sh and start set; what until_true calls
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
# shellcheck source=/dev/null
source "$here/home.sh"
home_enter "$0" "$@"
command -v python3 >/dev/null || home_skip "python3 is not installed"

wrong=0
mode=${1:-tproxy}
config=$lab/doline.yml
pairs=${PAIRS:-5000}
say_wrong() {
  printf '   WRONG: %s\n' "$*"
  wrong=1
  on gateway nft list set inet doline_gate alive 2>/dev/null | grep elements || echo "   the gate is not held"
  tail -3 "$lab/doline.log"
}
now_ms() { local now=${EPOCHREALTIME/[.,]/}; printf '%s' "${now%???}"; }
traffic() { on "$1" python3 -B "$here/gate_traffic.py" "${@:2}"; }
child_of() { local children; read -r -a children <"/proc/$1/task/$1/children"; printf '%s' "${children[0]:-}"; }

# tries PLACE PROTOCOL ADDRESS PORT WANTED: what a connection comes to
tries() {
  local said ms
  read -r said ms < <(traffic "$1" connect "$2" "$3" "$4")
  [[ $said == "$5" ]] || { say_wrong "$1, $2 to $3 port $4: $said, not $5"; return; }
  [[ $said != refused || $ms -lt 500 ]] || say_wrong "$1, $2 to $3 port $4: refused only after $ms ms"
}
is_tried() { local said; read -r said _ < <(traffic "$1" connect "$2" "$3" "$4"); [[ $said == "$5" ]]; }
resolves() { [[ $(on "$1" dig +short +tries=2 +time=2 "@$2" "$3" "$4" 2>/dev/null) == "$5" ]] || say_wrong "$1: $3 $4 from $2 is not $5"; }
gate_status() { on gateway "$doline" redirect status --config "$config" --json; }
# of_gate KEY: a number of the gate
of_gate() { gate_status | sed -nE "s/.*\"$1\":([0-9]+).*/\1/p"; }
elements() { on gateway nft list set inet doline_gate "$1" | grep -c expires || true; }

write_config() { # FLOWS ON_FAILURE [ENCRYPTED]
  cat >"$config.new" <<YAML
upstreams:
  default: {servers: ["$trusted4"]}
allow_clients: [private, "2001:db8:50::/64", "2001:db8:60::/64"]
state: $lab/state
querylog: {path: $lab/doline.db}
resolver_list: $lab/resolvers.csv
lists:
  doh: {file: $lab/doh.txt, kind: doh}
  doh-addresses: {file: $lab/doh-addresses.txt, kind: doh}
devices:
  camera: {mac: "$camera_mac", groups: [cameras]}
  phone: {mac: "$phone_mac", groups: [logged]}
  tv: {address: 192.168.60.31, groups: [plain-dns]}
groups:
  cameras: {flows: $1}
  logged: {encrypted: log}
  plain-dns: {encrypted: reject}
redirect: {mode: $mode, interfaces: [home0, iot0], on_failure: $2, encrypted: ${3:-leave}}
YAML
  mv "$config.new" "$config"
}
# Doline reads it by itself; the gate follows.
restricts() { [[ $(of_gate only_resolved) == "$1" && $(of_gate observed) == "$2" ]]; }

begin() {
  start doline gateway "$doline" run --config "$config"
  is_applied() { gate_status | says '"state":"applied"'; }
  until_true 30 is_applied || { cat "$lab/doline.log"; say_wrong "Doline did not start"; exit 1; }
  warden_id=$(child_of "$doline_id")
}
finish() {
  kill -TERM "$doline_id" 2>/dev/null || true
  wait "$doline_id" 2>/dev/null || true
  until_true 20 is_over "$warden_id" || kill -KILL "$warden_id"
}
is_over() { ! kill -0 "$1" 2>/dev/null; }

home_build
printf '%s\n' address,operator,country,protocols,hostname,note 9.9.9.9,Quad9,CH,plain+dot+doh,dns.lab.example, \
  2620:fe::fe,Quad9,CH,plain+dot+doh,dns.lab.example, >"$lab/resolvers.csv"
printf '198-18-222-1.pairs.lab.example\n' >"$lab/doh.txt"
printf '192.0.2.1\n' >"$lab/doh-addresses.txt"
# The Internet: every address of these networks answers, and has a name.
on internet ip route add local 198.18.0.0/15 dev lo
on internet ip -6 route add local 2001:db8:beef::/48 dev lo
on internet ip addr add 198.51.100.80/32 dev lo
on internet ip addr add 9.9.9.9/32 dev lo
on internet ip addr add 8.8.4.4/32 dev lo
on internet sysctl -qw net.core.somaxconn=4096
server foreign "${foreign4//,/} ${foreign6//,/}" "--address=/#/$lie4" "--address=/#/$lie6"
server trusted "$trusted4 $trusted6" --local=/#/ --local-ttl=300 "--host-record=dns.lab.example,$truth4" "--host-record=flood.lab.example,$truth4" \
  --synth-domain=pairs.lab.example,198.18.0.0,198.18.255.255 --synth-domain=pairs.lab.example,2001:db8:beef::/64
start internet_serve internet python3 -B "$here/gate_traffic.py" serve
until_true 20 is_tried phone udp 2001:db8:beef::101 10240 connected || { cat "$lab/internet_serve.log"; say_wrong "the Internet does not answer"; exit 1; }

write_config only-resolved open
begin
until_true 20 restricts 1 0 || say_wrong "the camera is not restricted: $(gate_status)"

echo "what no answer gave is refused at once, and nobody else's"
for address in 198.18.200.1 2001:db8:beef::c801; do
  for protocol in udp tcp; do
    tries camera "$protocol" "$address" 10240 refused
    tries phone "$protocol" "$address" 10240 connected
  done
done
resolves camera 114.114.114.114 198-18-200-1.pairs.lab.example A 198.18.200.1
resolves camera 114.114.114.114 2001-0db8-beef-0000-0000-0000-0000-c801.pairs.lab.example AAAA 2001:db8:beef::c801
for address in 198.18.200.1 2001:db8:beef::c801; do
  for protocol in udp tcp; do tries camera "$protocol" "$address" 10240 connected; done
done
[[ $(of_gate refused) -gt 0 ]] || say_wrong "what was refused is not counted"

echo "the house itself stays in reach"
on phone python3 -c 'import socket,time; s = socket.create_server(("", 8080)); s.settimeout(20); c, _ = s.accept(); c.send(c.recv(1))' &
until_true 20 is_tried camera tcp 192.168.50.32 8080 connected || say_wrong "the camera does not reach the phone"
wait $! 2>/dev/null || true

echo "a cached answer admits again"
on gateway nft delete element inet doline_gate allowed4 "{ $camera_mac . 198.18.200.1 }"
tries camera tcp 198.18.200.1 10240 refused
resolves camera 114.114.114.114 198-18-200-1.pairs.lab.example A 198.18.200.1
tries camera tcp 198.18.200.1 10240 connected

echo "$pairs pairs of resolving and connecting at once, of each family, four at a time, beside a flood of ordinary queries"
begun=$(now_ms)
traffic phone flood "$gateway4" "$((2 + pairs / 1000))" >"$lab/flood" &
flood_id=$!
quarter=$((pairs / 4))
pair_ids=()
for part in 0 1 2 3; do
  traffic camera pairs 114.114.114.114 4 "$quarter" $((256 + part * quarter)) >"$lab/pairs4.$part" &
  pair_ids+=($!)
  traffic camera pairs 2400:3200::1 6 "$quarter" $((256 + part * quarter)) >"$lab/pairs6.$part" &
  pair_ids+=($!)
done
wait "${pair_ids[@]}"
for family in 4 6; do
  for part in 0 1 2 3; do
    printf '  IPv%s: %s\n' "$family" "$(<"$lab/pairs$family.$part")"
    [[ $(<"$lab/pairs$family.$part") == "$quarter connected, 0 refused, 0 lost, 0 unanswered"* ]] || say_wrong "IPv$family: $(<"$lab/pairs$family.$part")"
  done
done
printf '  in %d ms; ' $(($(now_ms) - begun))
wait "$flood_id"
printf 'meanwhile the phone got %s\n' "$(<"$lab/flood")"
on gateway "$doline" status --config "$config" | grep -E '^(gate|admission)' || say_wrong "doline status does not speak of the gate"
[[ $(on gateway "$doline" status --config "$config" --json | sed -nE 's/.*"unadmitted":([0-9]+).*/\1/p') == 0 ]] || say_wrong "answers left without admission"

echo "what is established outlives renewed rules, reloads and its element"
traffic camera hold 198.18.200.1 "$lab/held" &
hold_id=$!
until_true 20 test -s "$lab/held" || say_wrong "the camera cannot connect"
before=$(elements allowed4)
on gateway nft delete element inet doline_gate allowed4 "{ $camera_mac . 198.18.200.1 }"
on gateway "$doline" redirect apply --config "$config" >"$lab/apply.log" 2>&1 || { cat "$lab/apply.log"; say_wrong "apply"; }
[[ $(elements allowed4) -ge $((before - 1)) ]] || say_wrong "of $before addresses $(elements allowed4) are left after renewed rules"
write_config observe open
until_true 20 restricts 0 1 || say_wrong "the camera is not observed: $(gate_status)"
tries camera tcp 198.18.201.1 10240 connected
[[ $(of_gate would_refuse) -gt 0 ]] || say_wrong "what would be refused is not counted"
write_config only-resolved open
until_true 20 restricts 1 0 || say_wrong "the camera is not restricted again"
tries camera tcp 198.18.201.1 10240 refused
seen=$(<"$lab/held")
goes_on() { [[ $(<"$lab/held") -gt $seen ]]; }
until_true 20 goes_on || say_wrong "the established connection: $(<"$lab/held")"
kill "$hold_id"
wait "$hold_id" 2>/dev/null || true

echo "who is held from now on keeps what it was told before: not one connection is refused"
write_config any open
until_true 20 restricts 0 0 || say_wrong "the camera is still restricted: $(gate_status)"
resolves camera 114.114.114.114 198-18-200-9.pairs.lab.example A 198.18.200.9
traffic camera insist 198.18.200.9 "$lab/insisted" &
insist_id=$!
until_true 20 test -s "$lab/insisted" || say_wrong "the camera cannot connect"
write_config only-resolved open
until_true 20 restricts 1 0 || say_wrong "the camera is not restricted again: $(gate_status)"
tries camera tcp 198.18.200.9 10240 connected
tries camera tcp 198.18.201.9 10240 refused
kill -TERM "$insist_id"
wait "$insist_id" 2>/dev/null || true
printf '  %s\n' "$(<"$lab/insisted")"
[[ $(<"$lab/insisted") == *" connected, 0 refused" ]] || say_wrong "while it became restricted: $(<"$lab/insisted")"

echo "encrypted DNS is refused to the group, by learned MAC, and it falls back to plain DNS, which is caught"
for address in 8.8.8.8 2620:fe::fe; do
  for way in "tcp $address 853" "udp $address 853" "udp $address 8853"; do
    # shellcheck disable=SC2086  # words
    tries tv $way refused
    # shellcheck disable=SC2086
    tries phone $way connected
  done
done
for address in 9.9.9.9 2620:fe::fe; do
  for protocol in tcp udp; do
    tries tv "$protocol" "$address" 443 refused
    tries phone "$protocol" "$address" 443 connected
  done
done
resolves tv 8.8.8.8 198-18-200-2.pairs.lab.example A 198.18.200.2
tries tv tcp "$truth4" 443 connected
resolves tv 8.8.8.8 dns.lab.example A "$truth4"
is_recorded() { on gateway "$doline" flows --device phone --address 8.8.4.4 --config "$config" | says "encrypted DNS"; }
tries phone tcp 8.8.4.4 853 connected
until_true 20 is_recorded || say_wrong "the phone's encrypted DNS is let through, and not recorded"
until_true 20 is_tried tv tcp "$truth4" 443 refused || say_wrong "an answer for a DoH name did not shut its address"
tries phone tcp "$truth4" 443 connected

echo "a list of DoH servers shuts addresses and networks as it says them, and those of its names; it blocks no name"
tries tv tcp 198.18.221.7 443 connected
tries tv tcp 198.18.222.1 443 connected
printf '192.0.2.1\n198.18.221.0/24\n198.18.221.9\n8.0.0.0/8\n' >"$lab/doh-addresses.txt.new"
mv "$lab/doh-addresses.txt.new" "$lab/doh-addresses.txt"
until_true 20 is_tried tv tcp 198.18.221.7 443 refused || say_wrong "a network that the list gained is not shut"
tries tv tcp 198.18.221.7 10240 connected
tries tv tcp 8.8.4.4 443 connected
resolves tv 8.8.8.8 198-18-222-1.pairs.lab.example A 198.18.222.1
until_true 20 is_tried tv tcp 198.18.222.1 443 refused || say_wrong "an answer for a name of the list did not shut its address"
is_listed() { on gateway "$doline" flows --device phone --address 198.18.221.7 --config "$config" | says "encrypted DNS"; }
tries phone tcp 198.18.221.7 443 connected
until_true 20 is_listed || say_wrong "the phone's connection to a listed network is not recorded"
on gateway "$doline" redirect plan --config "$config" >"$lab/plan" 2>&1 || say_wrong "plan"
grep -q "doh_servers4 { 9.9.9.9/32, 192.0.2.1/32, 198.18.221.0/24 }" "$lab/plan" || say_wrong "the plan does not count the lists: $(<"$lab/plan")"

echo "what is newly refused to all, by apply, is refused to what was answered before too"
resolves camera 114.114.114.114 dns.lab.example A "$truth4"
tries camera tcp "$truth4" 443 connected
# apply_until ENCRYPTED OUTCOME: Doline reads the file by itself, but `redirect` counts when it is applied.
apply_until() {
  write_config only-resolved open "$1"
  applies() { on gateway "$doline" redirect apply --config "$config" >"$lab/apply" 2>&1 && is_tried camera tcp "$truth4" 443 "$2"; }
  until_true 20 applies "$@" || say_wrong "encrypted: $1 is not in force: $(<"$lab/apply")"
}
apply_until reject refused
tries phone tcp "$truth4" 443 connected
apply_until leave connected

echo "a locked device connects to what answers give it and to what its lock allows, and to nothing else"
device_command() { on gateway "$doline" device "$1" camera --config "$config" "${@:2}" 2>&1; }
write_config any open
until_true 20 restricts 0 0 || say_wrong "the camera is still restricted: $(gate_status)"
tries camera tcp 198.18.210.1 10240 connected
device_command lock --since 1h --flow 198.18.210.0/24,udp,10240 --flow 2001:db8:beef::d200,tcp >"$lab/lock" || say_wrong "lock: $(<"$lab/lock")"
grep -q "udp 198.18.210.0/24 port 10240" "$lab/lock" || say_wrong "the lock does not say what it allows: $(<"$lab/lock")"
until_true 20 restricts 1 0 || say_wrong "the locked camera is not held: $(gate_status)"
tries camera udp 198.18.210.1 10240 connected
tries camera tcp 198.18.210.1 10240 refused
tries camera tcp 2001:db8:beef::d200 10240 connected
tries camera udp 2001:db8:beef::d200 10240 refused
tries camera udp 198.18.211.1 10240 refused
tries phone udp 198.18.211.1 10240 connected
resolves camera 114.114.114.114 198-18-211-1.pairs.lab.example A 198.18.211.1
tries camera udp 198.18.211.1 10240 connected
tells() { grep -q "Locked device camera wanted to connect by udp 198.18.211.1 port 10240.*: refused" "$lab/doline.log"; }
until_true 20 tells || say_wrong "no alarm: $(tail -3 "$lab/doline.log")"
device_command show | says "refused  *tcp 198.18.210.1 port 10240" || say_wrong "show: $(device_command show)"
counted() { on gateway "$doline" status --config "$config" --json | python3 -c "
import json, sys
gate = json.load(sys.stdin)['interception']['gate']
camera = [one for one in gate['devices'] if one['device'] == 'camera']
sys.exit(not camera or camera[0]['refused'] != gate['refused'] or gate['refused'] < 3)"; }
until_true 25 counted || say_wrong "refusals by device: $(on gateway "$doline" status --config "$config" --json)"
on gateway "$doline" status --config "$config" | grep -E 'camera +[0-9]+ connections refused|locked to .* and 2 connections' || say_wrong "doline status does not tell of the camera"
device_command lock --since 1h --flow 198.18.210.0/24 --observe >/dev/null || say_wrong "lock --observe"
restricts 0 1 || say_wrong "the observed lock: $(gate_status)"
tries camera tcp 198.18.210.1 10240 connected
tries camera udp 198.18.212.1 10240 connected
passes() { grep -q "Locked device camera wanted to connect by udp 198.18.212.1 port 10240.*was let through" "$lab/doline.log"; }
until_true 20 passes || say_wrong "no alarm of what is observed"
device_command unlock >/dev/null || say_wrong "unlock"
restricts 0 0 || say_wrong "the camera is still held: $(gate_status)"
write_config only-resolved open
until_true 20 restricts 1 0 || say_wrong "the camera is not restricted again"

echo "the warden is killed"
kill -KILL "$warden_id"
begun=$(now_ms)
until_true 20 is_tried camera tcp 198.18.202.1 10240 connected || say_wrong "on_failure: open: the gate stays shut"
printf '  open: it opens after %d ms\n' $(($(now_ms) - begun))
finish
on gateway "$doline" redirect remove --config "$config" >/dev/null || say_wrong "remove"
[[ $(on gateway nft list tables) == "table ip wan" ]] || say_wrong "left: $(on gateway nft list tables)"

write_config only-resolved closed
begin
until_true 20 restricts 1 0 || say_wrong "the camera is not restricted (closed)"
echo "  what the camera was told before, the gate knows again, though its table was lost"
until_true 20 is_tried camera tcp 198.18.200.1 10240 connected || say_wrong "the camera may not use what it was told before the restart"
tries camera tcp 198.18.202.1 10240 refused
resolves tv 8.8.8.8 dns.lab.example A "$truth4"
until_true 20 is_tried tv tcp "$truth4" 443 refused || say_wrong "an answer for a DoH name did not shut its address (closed)"
gate_status >/dev/null
on gateway nft delete table inet doline_gate
gate_status >/dev/null # it looks, and puts it back
until_true 20 is_tried camera tcp 198.18.200.1 10240 connected || say_wrong "the camera may not use what it was told before its table was lost"
until_true 20 is_tried tv tcp "$truth4" 443 refused || say_wrong "what was answered for a DoH name is open since its table was lost"
tries camera tcp 198.18.202.1 10240 refused
kill -KILL "$warden_id" "$doline_id"
wait "$doline_id" 2>/dev/null || true
sleep 12
tries camera tcp 198.18.202.1 10240 refused
tries phone tcp 198.18.202.1 10240 connected
echo "  closed: it stays shut"
on gateway "$doline" redirect remove --after-crash --config "$config" >/dev/null || say_wrong "remove --after-crash"
tries camera tcp 198.18.202.1 10240 refused
on gateway "$doline" redirect remove --config "$config" >/dev/null || say_wrong "remove"
[[ $(on gateway nft list tables) == "table ip wan" ]] || say_wrong "left: $(on gateway nft list tables)"
tries camera tcp 198.18.202.1 10240 connected
exit "$wrong"
